//! Who may do what, when: one table (role × state × action), deny by default, printed whole in
//! `docs/access.md` for an auditor to read; and the relations that a table cannot hold (own force,
//! own gallery, own request, need to know).

use crate::{
    clause::Clause,
    decide::Context,
    people::{Actor, Role},
    record::GalleryId,
    refusal::{Refusal, refuse},
    request::{Request, State},
};
use serde::{Deserialize, Serialize};

/// Everything that can be done or looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs)] // each is the command or page of the same name
pub enum Action {
    Prepare,
    Return,
    Approve,
    Withdraw,
    Reject,
    Take,
    DeclareConflict,
    PutBack,
    Allocate,
    AskClarification,
    AnswerClarification,
    Assess,
    FlagVulnerable,
    Admit,
    StartSearch,
    RecordSearch,
    ExpireAuthorisation,
    Examine,
    ReplaceExaminer,
    GiveVisual,
    GiveInformed,
    ConcludeEmpty,
    DecideSharing,
    Answer,
    Release,
    Collect,
    AskReview,
    DecideReview,
    AskOnward,
    DecideOnward,
    TryAgain,
    PlaceHold,
    ReviewHold,
    LiftHold,
    SeedTrial,
    StopTrial,
    Close,
    Erase,
    SeeRequest,
    SeeImage,
    SeeComparison,
    SeeCandidates,
    SeeAnswer,
    SeeHistory,
    /// What examiners did to the pictures before they gave their opinions, and the pictures made again by it.
    SeeImageLog,
    SeeLedger,
    SeeProcessing,
    ExportLog,
    SeeRegister,
    ChangeRegister,
    SeeStatistics,
    LookUp,
    ProposeThreshold,
    ConfirmThreshold,
    RevokeCertificate,
    /// Which searches rest on a certificate: cases and where they are, nobody who was searched for.
    TraceSearches,
    ExportReferences,
    SeeTrial,
    SeeTrialResults,
}

/// One row of the table: who, in which states, and the clause that says so.
struct Row {
    roles: &'static [Role],
    states: &'static [State],
    clause: Clause,
}

const ANY: &[State] = &[
    State::Draft,
    State::AwaitingApproval,
    State::Returned,
    State::Rejected,
    State::Received,
    State::Assessing,
    State::Clarifying,
    State::Searching,
    State::Comparing,
    State::Responding,
    State::Answering,
    State::Answered,
    State::Withdrawn,
    State::Closed,
    State::Erased,
];
const RECORDED: &[State] = &[
    State::AwaitingApproval,
    State::Returned,
    State::Rejected,
    State::Received,
    State::Assessing,
    State::Clarifying,
    State::Searching,
    State::Comparing,
    State::Responding,
    State::Answering,
    State::Answered,
    State::Withdrawn,
    State::Closed,
];
const WITH_US: &[State] = &[State::Received, State::Assessing, State::Clarifying, State::Searching, State::Comparing, State::Responding];
const SUBMITTED: &[State] = &[
    State::Rejected,
    State::Received,
    State::Assessing,
    State::Clarifying,
    State::Searching,
    State::Comparing,
    State::Responding,
    State::Answering,
    State::Answered,
    State::Withdrawn,
    State::Closed,
];
const BEFORE_ANSWER: &[State] = &[
    State::AwaitingApproval,
    State::Returned,
    State::Received,
    State::Assessing,
    State::Clarifying,
    State::Searching,
    State::Comparing,
    State::Responding,
    State::Answering,
];
const AT_WORK: &[State] = &[State::Assessing, State::Searching, State::Comparing];

fn row(action: Action) -> Row {
    use Action as A;
    use Role as R;
    let (roles, states, clause): (&'static [Role], &'static [State], Clause) = match action {
        A::Prepare => (&[R::Requester], &[State::Draft, State::Returned], Clause::S1),
        A::Return | A::Approve => (&[R::Approver], &[State::AwaitingApproval], Clause::S9),
        A::Withdraw => (&[R::Requester], BEFORE_ANSWER, Clause::S1),
        A::Reject => (&[R::Assessor], &[State::Assessing], Clause::S1),
        A::Take | A::PutBack => (&[R::Assessor], WITH_US, Clause::R1),
        A::DeclareConflict => (&[R::Assessor, R::Examiner], WITH_US, Clause::R1),
        A::Allocate => (&[R::TeamLeader], WITH_US, Clause::R3),
        A::AskClarification => (&[R::Assessor], &[State::Assessing], Clause::A3),
        A::AnswerClarification => (&[R::Requester], &[State::Clarifying], Clause::A3),
        A::Assess => (&[R::Assessor], &[State::Assessing], Clause::R1),
        A::FlagVulnerable => (&[R::Requester, R::Approver, R::Assessor, R::Examiner, R::TeamLeader], RECORDED, Clause::V0),
        A::Admit => (&[R::Assessor, R::TeamLeader], SUBMITTED, Clause::V1),
        A::StartSearch => (&[R::Assessor], AT_WORK, Clause::M1),
        A::Examine | A::GiveVisual | A::GiveInformed => (&[R::Examiner], AT_WORK, Clause::M2),
        A::ReplaceExaminer => (&[R::TeamLeader], AT_WORK, Clause::M2),
        A::ConcludeEmpty => (&[R::Examiner], AT_WORK, Clause::P2),
        A::DecideSharing => (&[R::Assessor], &[State::Responding], Clause::O10),
        A::Answer => (&[R::Assessor], &[State::Responding], Clause::O10),
        A::Collect => (&[R::Requester], &[State::Answered, State::Closed], Clause::V2),
        A::AskReview => (&[R::Requester], &[State::Rejected, State::Answered, State::Closed], Clause::W2),
        A::DecideReview => (&[R::TeamLeader], &[State::Rejected, State::Answered, State::Closed], Clause::W3),
        A::AskOnward => (&[R::Requester], &[State::Answered, State::Closed], Clause::V3),
        A::DecideOnward => (&[R::Assessor, R::TeamLeader], &[State::Answered, State::Closed], Clause::V3),
        A::TryAgain => (&[R::TeamLeader], ANY, Clause::R3),
        A::SeedTrial => (&[R::TeamLeader], &[State::Draft], Clause::P1),
        A::StopTrial => (&[R::TeamLeader], &[State::Comparing, State::Responding, State::Closed], Clause::P1),
        A::SeeTrial => (&[R::TeamLeader], ANY, Clause::P1),
        A::SeeTrialResults => (&[R::Examiner, R::TeamLeader, R::Siao], ANY, Clause::P1),
        A::Close => (&[R::Assessor, R::TeamLeader], &[State::Answered, State::Rejected, State::Withdrawn], Clause::D3),
        A::PlaceHold | A::ReviewHold | A::LiftHold => (&[R::TeamLeader, R::Siao], SUBMITTED, Clause::D3),
        // What only a worker does, carrying out what people decided (P2).
        A::RecordSearch | A::ExpireAuthorisation | A::Release | A::Erase => (&[], &[], Clause::P2),
        A::SeeRequest => (&[R::Requester, R::Approver, R::Assessor, R::TeamLeader, R::Siao, R::Auditor], RECORDED, Clause::D5),
        A::SeeImage => (&[R::Requester, R::Approver, R::Assessor, R::TeamLeader], RECORDED, Clause::D5),
        A::SeeComparison => (&[R::Examiner], AT_WORK, Clause::M2),
        A::SeeCandidates => (&[R::Assessor], &[State::Responding, State::Answering, State::Answered], Clause::M3),
        A::SeeAnswer => (
            &[R::Requester, R::Assessor, R::TeamLeader],
            &[State::Responding, State::Answering, State::Rejected, State::Answered, State::Withdrawn, State::Closed],
            Clause::V2,
        ),
        A::SeeHistory => (&[R::Requester, R::Assessor, R::TeamLeader, R::Siao, R::Auditor], ANY, Clause::D5),
        A::SeeImageLog => (&[R::TeamLeader, R::Auditor], ANY, Clause::D5),
        A::SeeLedger => (&[R::Siao, R::Auditor], ANY, Clause::D5),
        // Who did what, with the reasons: for those who answer for a gallery (R3) and the outside assessor (D5).
        // The people of a case read its history instead; nobody else has a use for it (DPA 2018, s.62(3)).
        A::SeeProcessing => (&[R::Siao, R::Auditor], ANY, Clause::D5),
        // A copy for somebody outside, the ICO first of all.
        A::ExportLog => (&[R::Siao, R::Auditor], ANY, Clause::D5),
        A::SeeRegister => (&[R::Registrar, R::Siao, R::Auditor], ANY, Clause::R3),
        A::ChangeRegister => (&[R::Registrar], ANY, Clause::R3),
        A::SeeStatistics => (&[R::TeamLeader, R::Siao, R::Auditor], ANY, Clause::D4),
        A::ProposeThreshold => (&[R::Siao], ANY, Clause::P1),
        A::ConfirmThreshold => (&[R::Siao, R::TeamLeader], ANY, Clause::P1),
        A::RevokeCertificate => (&[R::Siao, R::TeamLeader], ANY, Clause::P1),
        // Those who can revoke a certificate, and whoever asks whether its cases were looked at again.
        A::TraceSearches => (&[R::Siao, R::TeamLeader, R::Auditor], ANY, Clause::P1),
        // Outside any request, and so of the owner alone (R3): what it says, `export` holds to.
        A::ExportReferences => (&[R::Siao], ANY, Clause::R3),
        A::LookUp => (&[R::Assessor, R::TeamLeader, R::Siao, R::Auditor], ANY, Clause::D5),
    };
    Row { roles, states, clause }
}

/// One cell of the table with the clause that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the role may do it in that state.
    pub allowed: bool,
    /// The clause that decides.
    pub clause: Clause,
}

/// The table. What it does not allow is denied.
#[must_use]
pub fn ruling(role: Role, state: State, action: Action) -> Ruling {
    let row = row(action);
    Ruling { allowed: row.roles.contains(&role) && row.states.contains(&state) && !too_early(role, state, action), clause: row.clause }
}

/// Whether any of their roles includes it in any state.
pub(crate) fn in_a_role(actor: &Actor, action: Action) -> bool {
    row(action).roles.iter().any(|r| actor.has(*r))
}

/// What would otherwise be seen before its time: a form that its force has not yet submitted, by our
/// staff; an answer that has not left, by the force.
fn too_early(role: Role, state: State, action: Action) -> bool {
    use Action as A;
    match action {
        A::SeeRequest | A::SeeImage | A::SeeHistory | A::FlagVulnerable => {
            !role.is_police() && role != Role::Auditor && matches!(state, State::Draft | State::AwaitingApproval | State::Returned)
        }
        A::SeeAnswer => role == Role::Requester && matches!(state, State::Responding | State::Answering | State::Withdrawn),
        _ => false,
    }
}

/// Whether a person may know that a request exists: their force or gallery, and need to know (V1).
#[must_use]
pub fn may_know(request: &Request, actor: &Actor) -> bool {
    let p = actor.person;
    if actor.leo.is_some() {
        let own = request.requester == Some(p) || request.approver == Some(p);
        let waiting = actor.has(Role::Approver) && request.state == State::AwaitingApproval;
        return request.version == 0 || (request.leo == actor.leo && (own || waiting));
    }
    if actor.has(Role::Auditor) {
        return true;
    }
    if actor.gallery.is_none() || actor.gallery != request.gallery {
        return false;
    }
    !request.sensitive
        || request.assignee == Some(p)
        || request.examines(p)
        || request.admitted.contains(&p)
        || actor.has(Role::TeamLeader)
        || actor.has(Role::Siao)
}

/// What can be done with a known-answer trial (P1), where the table allows it: the examiners' own steps, as in
/// casework; the rest by whoever put it before them, who is no examiner of it. It is nobody's to read, to hold or to
/// answer, so it goes no further than the comparison, and no force and no search has a part in it.
fn in_trial(request: &Request, actor: Option<&Actor>, action: Action) -> bool {
    let Some(actor) = actor else { return matches!(action, Action::Close | Action::Erase) };
    let seeder = request.requester == Some(actor.person);
    match action {
        Action::Examine
        | Action::GiveVisual
        | Action::GiveInformed
        | Action::ConcludeEmpty
        | Action::SeeComparison
        | Action::DeclareConflict
        | Action::FlagVulnerable => actor.has(Role::Examiner),
        Action::ReplaceExaminer | Action::StopTrial | Action::SeeTrial => seeder,
        Action::TryAgain => actor.has(Role::TeamLeader),
        Action::SeeHistory => actor.has(Role::Auditor),
        _ => false,
    }
}

/// What is done with a trial and with nothing else.
fn only_in_trial(action: Action) -> bool {
    matches!(action, Action::StopTrial | Action::SeeTrial)
}

/// R1: the right post for the gallery, and training in date.
#[must_use]
pub fn staff_refusals(actor: &Actor, gallery: GalleryId, ctx: &Context<'_>) -> Vec<Refusal> {
    let mut out = vec![];
    let g = ctx.policy.gallery(gallery);
    if actor.gallery != Some(gallery) || actor.post != Some(g.post) {
        out.push(refuse(&[Clause::R1], format!("Only staff in the post for the {} do this.", g.name.to_lowercase())));
    }
    if !actor.trained {
        out.push(refuse(&[Clause::R1], "Your training record for facial image searching is not in date. Ask your registrar."));
    }
    out
}

/// Everything access has against an action, at once; a person who may not know that the request
/// exists gets one answer only, the same as for a request that does not exist (V1).
#[must_use]
pub fn refusals(request: &Request, action: Action, ctx: &Context<'_>) -> Vec<Refusal> {
    let Some(actor) = ctx.actor else {
        // Closing is a person's step, and a worker's once nothing has happened for the policy's time.
        let worker_only = row(action).roles.is_empty() || action == Action::Close;
        let allowed = worker_only && (request.trial.is_none() || in_trial(request, None, action));
        return if allowed { vec![] } else { vec![refuse(&[Clause::P2], "Only a person can do this.")] };
    };
    let begins = request.version == 0 && matches!(action, Action::Prepare | Action::SeedTrial);
    let knows = may_know(request, actor) || (begins && action == Action::SeedTrial);
    if (request.version == 0 && !begins) || !knows {
        return vec![unknown()];
    }
    let mut out = vec![];
    if !actor.roles.iter().any(|r| ruling(*r, request.state, action).allowed) {
        let row = row(action);
        let words = if in_a_role(actor, action) {
            format!("This cannot be done now. The state of the request is: {}.", request.state.label().to_lowercase())
        } else {
            "Your role does not include this.".to_owned()
        };
        out.push(refuse(&[row.clause], words));
    }
    // M2: an examiner knows of the request what the comparison shows them, and nothing else, until it
    // is answered, whatever other roles they hold.
    if request.examines(actor.person)
        && WITH_US.contains(&request.state)
        && matches!(
            action,
            Action::SeeRequest
                | Action::SeeImage
                | Action::SeeCandidates
                | Action::SeeAnswer
                | Action::SeeHistory
                | Action::SeeProcessing
                | Action::SeeImageLog
                | Action::ReplaceExaminer
                | Action::TryAgain
        )
    {
        out.push(refuse(&[Clause::M2], "You examine this request, so you stay blind to the rest of it until it is answered."));
    }
    // V2: within the force an answer is for the requester, once it has left.
    if action == Action::SeeAnswer
        && actor.leo.is_some()
        && (request.requester != Some(actor.person) || (request.released_at.is_none() && request.rejected.is_empty()))
    {
        out.push(refuse(&[Clause::V2], "There is no answer for you on this request."));
    }
    // R1: the question that taking a request asks is asked of whoever it was allocated to as well.
    if request.undeclared() == Some(actor.person) && !matches!(action, Action::Take | Action::PutBack | Action::DeclareConflict) {
        out.push(refuse(
            &[Clause::R1],
            "This request was allocated to you. Say first whether you have a conflict of interest: take it up, or declare one.",
        ));
    }
    if request.conflicted.contains(&actor.person) && action != Action::DeclareConflict {
        out.push(refuse(&[Clause::R1], "You have a conflict of interest in this request."));
    }
    // What casework refuses is refused in the same words in a trial, so that refusals tell nothing; what casework
    // allows and a trial does not, is not there.
    let there = if request.trial.is_some() { in_trial(request, Some(actor), action) } else { !only_in_trial(action) };
    if out.is_empty() && !there {
        return vec![unknown()];
    }
    out
}

/// The answer for what does not exist or may not be known (V1).
#[must_use]
pub fn unknown() -> Refusal {
    refuse(&[], "There is no such request, or it is not for you to see.")
}

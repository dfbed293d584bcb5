//! What somebody may ask to be done to a request.

use crate::{
    access::Action,
    assess::{Assessment, Decision},
    disclosure::Sealed,
    event::{Found, ReviewResult, SearchFacts, Sharing},
    form::{Field, Form},
    ids::{AuthorisationId, CandidateId, Digest, PersonId, ProbeId, RequestId},
    record::{GalleryId, RetentionClass},
    review::{Informed, Visual},
    task::Task,
    trial::Material,
    witnessed::Witnessed,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A command. Ids and orders that need randomness are made by the caller and travel inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
#[allow(missing_docs)] // fields carry the names of the words they bring
pub enum Command {
    /// Send a complete form to an approver. `same_investigation`: another open request of this force and
    /// investigation in this gallery (S2). `image_seen_before`: one of its images is in another request.
    Prepare {
        form: Box<Form>,
        gallery: GalleryId,
        twin: Option<RequestId>,
        replaces: Option<RequestId>,
        same_investigation: Option<RequestId>,
        image_seen_before: bool,
    },
    /// Send it back to the requester.
    Return { reasons: String },
    /// Approve and submit it (S9).
    Approve,
    /// Take it back.
    Withdraw { reason: String },
    /// Reject it as off-template or incomplete, naming every question that lacks an answer (S1).
    Reject { missing: Vec<(Field, String)> },
    /// Take it from the queue, or take up what was allocated; `no_conflict` answers the
    /// conflict-of-interest question.
    Take { no_conflict: bool },
    /// Say that one has a conflict of interest.
    DeclareConflict { words: String },
    /// Put it back in the queue.
    PutBack,
    /// Give it to a colleague.
    Allocate { to: PersonId, reason: String },
    /// Ask the force something.
    AskClarification { question: String },
    /// Answer it.
    AnswerClarification { answer: String },
    /// Decide on one probe.
    Assess { probe: ProbeId, assessment: Box<Assessment>, decision: Decision, authorisation: AuthorisationId },
    /// Say that the person may be vulnerable (V0).
    FlagVulnerable { words: String },
    /// Let a named person into a sensitive request (V1).
    Admit { person: PersonId, reason: String },
    /// Use leave to search.
    StartSearch { probe: ProbeId },
    /// Record what a search found (worker).
    RecordSearch { probe: ProbeId, authorisation: AuthorisationId, facts: SearchFacts, found: Vec<Found> },
    /// Record that leave ran out (worker).
    ExpireAuthorisation { probe: ProbeId },
    /// Join as an examiner, seeing the candidates in this order.
    Examine { probe: ProbeId, order: Vec<CandidateId> },
    /// Replace an examiner who cannot finish: their places are free again (M2).
    ReplaceExaminer { examiner: PersonId, reason: String },
    /// Give a blind visual opinion. `version` is the examiner's own.
    GiveVisual { probe: ProbeId, candidate: CandidateId, opinion: Visual, version: u64 },
    /// Give an informed conclusion. `version` is the examiner's own.
    GiveInformed { probe: ProbeId, candidate: CandidateId, opinion: Informed, version: u64 },
    /// Conclude that an empty list is no match (P2).
    ConcludeEmpty { probe: ProbeId, words: String },
    /// Decide what is shared of one match (O10).
    DecideSharing { probe: ProbeId, candidate: CandidateId, sharing: Sharing },
    /// Make up the answer for its requester, confirmed by name where it is sensitive (V2).
    Answer { recipient_confirmed: bool },
    /// Let the answer leave, sealed as it is, with the digest of what was sealed, once enough witnesses have cosigned
    /// the record of everything before (worker).
    Release { answer: Box<Sealed>, digest: Digest, witnessed: Witnessed },
    /// Open the answer.
    Collect,
    /// Ask for a review (W2).
    AskReview { reasons: String },
    /// Answer it (W3–W5).
    DecideReview { result: ReviewResult, reasons: String },
    /// Ask to pass a sensitive answer on (V3).
    AskOnward { to: String, reasons: String },
    /// Answer that.
    DecideOnward { allowed: bool, reasons: String },
    /// Let a worker do again what failed for good.
    TryAgain { task: Task },
    /// Keep everything of it from being erased, in somebody's name, until it is looked at again on a London date.
    PlaceHold { owner: PersonId, reason: String, review: Date },
    /// Say anew why it is kept, in whose name, and until when.
    ReviewHold { owner: PersonId, reason: String, review: Date },
    /// Keep it no longer.
    LiftHold { reason: String },
    /// Put a known-answer trial before the examiners (P1).
    SeedTrial { material: Box<Material> },
    /// Stop it: it counts for nothing.
    StopTrial { reason: String },
    /// Close it.
    Close,
    /// Destroy a class of data (worker).
    Erase { class: RetentionClass },
}

impl Command {
    /// What the access table calls it.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::Prepare { .. } => Action::Prepare,
            Self::Return { .. } => Action::Return,
            Self::Approve => Action::Approve,
            Self::Withdraw { .. } => Action::Withdraw,
            Self::Reject { .. } => Action::Reject,
            Self::Take { .. } => Action::Take,
            Self::DeclareConflict { .. } => Action::DeclareConflict,
            Self::PutBack => Action::PutBack,
            Self::Allocate { .. } => Action::Allocate,
            Self::AskClarification { .. } => Action::AskClarification,
            Self::AnswerClarification { .. } => Action::AnswerClarification,
            Self::Assess { .. } => Action::Assess,
            Self::FlagVulnerable { .. } => Action::FlagVulnerable,
            Self::Admit { .. } => Action::Admit,
            Self::StartSearch { .. } => Action::StartSearch,
            Self::RecordSearch { .. } => Action::RecordSearch,
            Self::ExpireAuthorisation { .. } => Action::ExpireAuthorisation,
            Self::Examine { .. } => Action::Examine,
            Self::ReplaceExaminer { .. } => Action::ReplaceExaminer,
            Self::GiveVisual { .. } => Action::GiveVisual,
            Self::GiveInformed { .. } => Action::GiveInformed,
            Self::ConcludeEmpty { .. } => Action::ConcludeEmpty,
            Self::DecideSharing { .. } => Action::DecideSharing,
            Self::Answer { .. } => Action::Answer,
            Self::Release { .. } => Action::Release,
            Self::Collect => Action::Collect,
            Self::AskReview { .. } => Action::AskReview,
            Self::DecideReview { .. } => Action::DecideReview,
            Self::AskOnward { .. } => Action::AskOnward,
            Self::DecideOnward { .. } => Action::DecideOnward,
            Self::TryAgain { .. } => Action::TryAgain,
            Self::PlaceHold { .. } => Action::PlaceHold,
            Self::ReviewHold { .. } => Action::ReviewHold,
            Self::LiftHold { .. } => Action::LiftHold,
            Self::SeedTrial { .. } => Action::SeedTrial,
            Self::StopTrial { .. } => Action::StopTrial,
            Self::Close => Action::Close,
            Self::Erase { .. } => Action::Erase,
        }
    }
}

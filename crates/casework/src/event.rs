//! What has happened to a request. A request *is* these events; nothing else changes it.

use crate::{
    assess::{Assessment, Handling},
    certificate::Running,
    clause::Clause,
    disclosure::Sealed,
    form::{Form, Purpose},
    ids::{AuthorisationId, CandidateId, Digest, LeoId, PersonId, ProbeId, ReferenceId, RequestId, TeamId},
    people::Rank,
    policy::BioField,
    record::{GalleryId, Header, NewRecord, RetentionClass},
    refusal::Refusal,
    request::{Outcome, Request, State},
    review::{Informed, Visual},
    task::Task,
    trial::Material,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// A person on the register.
    Person(PersonId),
    /// A worker carrying out what people decided.
    System,
}

/// Leave to search one probe in one gallery, once, until it expires (M1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorisation {
    /// Its id.
    pub id: AuthorisationId,
    /// The probe.
    pub probe: ProbeId,
    /// SHA-256 of the image that was assessed.
    pub digest: Digest,
    /// Which face on it: an index from the left.
    pub face: usize,
    /// The gallery.
    pub gallery: GalleryId,
    /// The purposes that were assessed.
    pub purposes: BTreeSet<Purpose>,
    /// The policy version it was given under.
    pub policy: String,
    /// The instant from which it is dead.
    pub expires: Timestamp,
    /// Who gave it.
    pub by: PersonId,
}

/// One entry a search found. Scores stay in here, sealed; they never leave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The opaque id that examiners see.
    pub candidate: CandidateId,
    /// The held reference.
    pub reference: ReferenceId,
    /// Comparison score in the model's own range.
    #[serde(with = "exact")]
    pub score: f64,
}

/// How a search was made: everything needed to repeat it, without a score in clear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchFacts {
    /// Engine name and version.
    pub engine: String,
    /// The pack, the model and the image specification that it was made with.
    pub running: Running,
    /// The gallery epoch that was searched.
    pub epoch: u64,
    /// References compared.
    pub searched: u64,
    /// The threshold in use, in the model's score range.
    #[serde(with = "exact")]
    pub threshold: f64,
    /// SHA-256 of the certificate that covers it (P1).
    pub certificate: Digest,
    /// SHA-256 over the ordered list (reference ids and scores), so that it can be proved later.
    pub list: Digest,
    /// Whether more than the list's bound lay above the threshold.
    pub more: bool,
}

/// Numbers that a digest covers, written as their shortest decimal text, so that they are read back to
/// the bit (a JSON number need not be). One that is not finite cannot be written.
pub(crate) mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    const NOT_FINITE: &str = "a score or threshold is not finite";

    pub(crate) fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        if !value.is_finite() {
            return Err(ser::Error::custom(NOT_FINITE));
        }
        s.serialize_str(&value.to_string())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        let value: f64 = String::deserialize(d)?.parse().map_err(de::Error::custom)?;
        // `inf`, `NaN` and `1e999` are numbers to the parser.
        if value.is_finite() { Ok(value) } else { Err(de::Error::custom(NOT_FINITE)) }
    }
}

/// What is decided about sharing one matched candidate (O10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// It is shared.
    Share {
        /// Whether the held image goes too.
        image: bool,
        /// Each field that goes, with why.
        fields: Vec<(BioField, String)>,
        /// Why sharing is necessary, proportionate and in the public interest.
        reasons: String,
    },
    /// It is withheld.
    Withhold {
        /// Why.
        reasons: String,
    },
}

/// What a team leader decides on a review (W4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ReviewResult {
    /// It is not about eligibility.
    OutOfScope,
    /// The decision stands.
    Maintained,
    /// The decision changes.
    Changed,
}

/// An event in the life of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[strum(serialize_all = "kebab-case")]
#[allow(missing_docs)] // fields carry the names of the words they record
pub enum Event {
    /// A requester sent a form to an approver.
    Prepared {
        form: Box<Form>,
        gallery: GalleryId,
        leo: LeoId,
        twin: Option<RequestId>,
        replaces: Option<RequestId>,
        image_seen_before: bool,
    },
    /// The approver sent it back with reasons.
    Returned { reasons: String },
    /// The approver approved it (S9).
    Approved { rank: Option<Rank>, by_delegation: bool },
    /// It left the force.
    Submitted { urgent: bool },
    /// It arrived complete; the answer is due on this London date.
    Received { due: Date },
    /// It was not on the template or not complete (S1), and the force is told what is missing (W1).
    Rejected { missing: Vec<Refusal>, by: Option<PersonId>, team: Option<TeamId> },
    /// The force took it back.
    Withdrawn { reason: String },
    /// A member of staff took it (or took up what was allocated to them), having said that they have no
    /// conflict of interest.
    Taken { person: PersonId, team: Option<TeamId> },
    /// A person said that they have a conflict of interest and is barred from the request.
    ConflictDeclared { person: PersonId, words: String },
    /// It was put back.
    PutBack { person: PersonId },
    /// A team leader gave it to somebody, who has yet to say whether they have a conflict of interest.
    Allocated { to: PersonId, team: Option<TeamId>, reason: String },
    /// The assessor asked for clarification.
    ClarificationAsked { question: String },
    /// The force answered.
    ClarificationAnswered { answer: String },
    /// Somebody found that the person may be vulnerable (V0).
    VulnerabilityFlagged { words: String },
    /// The assessor read section 8 and chose how the request is handled (A9).
    HandlingChosen { handling: Handling },
    /// A named person was let into a sensitive request (V1).
    Admitted { person: PersonId, reason: String },
    /// The assessor authorised a search.
    Authorised { assessment: Box<Assessment>, authorisation: Authorisation },
    /// The assessor declined a search, with an explanation that cites clauses (O1).
    Declined { probe: ProbeId, assessment: Box<Assessment>, clauses: Vec<Clause>, explanation: String, by: PersonId, team: Option<TeamId> },
    /// Leave to search was used.
    SearchStarted { probe: ProbeId, authorisation: AuthorisationId },
    /// The search was made.
    Searched { probe: ProbeId, authorisation: AuthorisationId, facts: SearchFacts, listed: usize },
    /// Its candidate list: a class of its own, so that it goes as soon as people have concluded.
    Listed { probe: ProbeId, found: Vec<Found> },
    /// Leave to search ran out unused.
    AuthorisationExpired { probe: ProbeId },
    /// An examiner joined; the order in which they see the candidates is their own.
    ExaminerJoined { probe: ProbeId, examiner: PersonId, order: Vec<CandidateId> },
    /// A team leader replaced an examiner who could not finish: what they said so far does not count.
    ExaminerReplaced { examiner: PersonId, reason: String },
    /// A blind visual opinion (M2).
    VisualGiven { probe: ProbeId, candidate: CandidateId, examiner: PersonId, opinion: Visual },
    /// An informed conclusion (M2).
    InformedGiven { probe: ProbeId, candidate: CandidateId, examiner: PersonId, opinion: Informed },
    /// Two examiners differ on these candidates; a third begins blind.
    AdjudicationOpened { probe: ProbeId, candidates: Vec<CandidateId> },
    /// People concluded on a candidate. A match keeps its reference; nothing else does.
    Concluded { probe: ProbeId, candidate: CandidateId, reference: Option<ReferenceId>, confirmed_by: Vec<PersonId> },
    /// A person concluded that an empty list is no match (P2).
    EmptyConcluded { probe: ProbeId, by: PersonId, words: String },
    /// What is shared of a matched candidate, or that it is withheld (O10).
    SharingDecided { probe: ProbeId, candidate: CandidateId, sharing: Sharing },
    /// The answer is made up for the person who asked.
    AnswerPrepared { recipient: PersonId, outcome: Outcome },
    /// The answer was released to the force: SHA-256 of what was sealed, and the policy it was made under.
    Released { outcome: Outcome, digest: Digest, policy: String },
    /// The answer exactly as it left: a class of its own, so that it goes before the record of it.
    Disclosed { answer: Box<Sealed> },
    /// The force opened the answer for the first time.
    Collected { by: PersonId },
    /// The force asked for a review (W2).
    ReviewAsked { reasons: String },
    /// The team leader answered (W5).
    ReviewDecided { result: ReviewResult, reasons: String },
    /// The force asked to pass a sensitive answer on (V3).
    OnwardAsked { to: String, reasons: String },
    /// Whether it may (V3).
    OnwardDecided { allowed: bool, reasons: String },
    /// A team leader let a worker do again what had failed for good.
    TriedAgain { task: Task },
    /// A legal hold: nothing of it is erased until somebody lifts it; looked at again on this London date.
    HoldPlaced { owner: PersonId, reason: String, review: Date },
    /// It was looked at again, and goes on.
    HoldReviewed { owner: PersonId, reason: String, review: Date },
    /// It ended.
    HoldLifted { reason: String },
    /// A team leader put a known-answer trial before the examiners (P1).
    TrialSeeded { material: Box<Material>, gallery: GalleryId, team: Option<TeamId>, came_in: Date, due: Date },
    /// It was stopped, and counts for nothing.
    TrialStopped { reason: String },
    /// Nothing more is to be done.
    Closed,
    /// A class of data was destroyed (D3).
    Erased { class: RetentionClass },
}

impl Event {
    /// The header kind, e.g. `clarification-asked`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// How long the payload lives.
    #[must_use]
    pub fn class(&self) -> RetentionClass {
        match self {
            Self::Listed { .. } => RetentionClass::Candidates,
            Self::Disclosed { .. } => RetentionClass::Disclosure,
            _ => RetentionClass::Record,
        }
    }

    /// The clauses that the header cites.
    #[must_use]
    pub fn clauses(&self) -> Vec<Clause> {
        let mut out = match self {
            Self::Rejected { missing, .. } => {
                let mut out: Vec<_> = missing.iter().flat_map(|r| r.clauses.clone()).collect();
                out.push(Clause::W1);
                out
            }
            Self::Declined { clauses, .. } => clauses.clone(),
            Self::Approved { .. } => vec![Clause::S9],
            Self::Authorised { .. } => vec![Clause::A6],
            Self::SearchStarted { .. } | Self::Searched { .. } | Self::Listed { .. } | Self::AuthorisationExpired { .. } => {
                vec![Clause::M1]
            }
            Self::ExaminerReplaced { .. } | Self::VisualGiven { .. } | Self::InformedGiven { .. } | Self::AdjudicationOpened { .. } => {
                vec![Clause::M2]
            }
            Self::Concluded { .. } => vec![Clause::M2, Clause::M3],
            Self::EmptyConcluded { .. } => vec![Clause::P2],
            Self::SharingDecided { .. } | Self::Disclosed { .. } => vec![Clause::O10],
            Self::VulnerabilityFlagged { .. } => vec![Clause::V0],
            Self::HandlingChosen { .. } => vec![Clause::A9],
            Self::Admitted { .. } => vec![Clause::V1],
            Self::OnwardAsked { .. } | Self::OnwardDecided { .. } => vec![Clause::V3],
            Self::ReviewAsked { .. } => vec![Clause::W2],
            Self::ReviewDecided { .. } => vec![Clause::W4, Clause::W5],
            Self::HoldPlaced { .. } | Self::HoldReviewed { .. } | Self::HoldLifted { .. } | Self::Erased { .. } => vec![Clause::D3],
            Self::TriedAgain { task } => vec![task.clause()],
            Self::TrialSeeded { .. } => vec![Clause::P1, Clause::R1],
            Self::TrialStopped { .. } => vec![Clause::P1],
            _ => vec![],
        };
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The one-word outcome that statistics read.
    #[must_use]
    pub fn outcome(&self) -> Option<String> {
        match self {
            Self::Searched { listed, .. } => Some(if *listed == 0 { "no-candidates" } else { "candidates" }.into()),
            Self::Concluded { reference, .. } => Some(if reference.is_some() { "match" } else { "no-match" }.into()),
            Self::EmptyConcluded { .. } => Some("no-match".into()),
            Self::SharingDecided { sharing, .. } => Some(match sharing {
                Sharing::Share { .. } => "share".into(),
                Sharing::Withhold { .. } => "withhold".into(),
            }),
            Self::AnswerPrepared { outcome, .. } | Self::Released { outcome, .. } => Some(outcome.to_string()),
            Self::ReviewDecided { result, .. } => Some(result.to_string()),
            Self::OnwardDecided { allowed, .. } => Some(if *allowed { "allowed" } else { "refused" }.into()),
            Self::Erased { class } => Some(class.to_string()),
            Self::TriedAgain { task } => Some(task.kind().into()),
            Self::Submitted { urgent: true } => Some("urgent".into()),
            _ => None,
        }
    }
}

/// An event with who did it: the sealed payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Who. Written as `who`, since several events carry a `by` of their own beside it.
    #[serde(rename = "who")]
    pub by: Who,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// The facts of a request that a header repeats.
#[derive(Clone, Copy, Debug)]
pub struct HeaderFacts<'a> {
    /// The gallery asked.
    pub gallery: Option<GalleryId>,
    /// The force.
    pub leo: Option<LeoId>,
    /// The state after the event.
    pub state: State,
    /// The policy version.
    pub policy: &'a str,
    /// Whether it is a known-answer trial.
    pub trial: bool,
}

impl<'a> HeaderFacts<'a> {
    /// The facts of a request as it stands.
    #[must_use]
    pub fn of(request: &Request, policy: &'a str) -> Self {
        Self { gallery: request.gallery, leo: request.leo, state: request.state, policy, trial: request.trial.is_some() }
    }
}

/// Makes the record of one event.
///
/// # Errors
/// When the event cannot be written as JSON (it holds a number that is not finite).
pub fn record(by: Who, event: Event, at: Timestamp, facts: HeaderFacts<'_>) -> Result<NewRecord, serde_json::Error> {
    let header = Header {
        kind: event.kind().into(),
        at,
        gallery: facts.gallery,
        leo: facts.leo,
        clauses: event.clauses().iter().map(ToString::to_string).collect(),
        outcome: event.outcome(),
        state: Some(facts.state.to_string()),
        policy: facts.policy.into(),
        class: event.class(),
        trial: facts.trial,
    };
    Ok(NewRecord { header, payload: serde_json::to_vec(&Entry { by, event })? })
}

/// Something personal that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "thing", content = "id")]
pub enum Thing {
    /// What the force says.
    Form,
    /// An image of the request.
    Probe(ProbeId),
    /// A held image.
    CandidateImage(CandidateId),
    /// A held biography.
    Biography(CandidateId),
    /// The answer.
    Answer,
    /// The history.
    History,
}

/// A look at something personal: recorded before the bytes are served, one for each person, thing and
/// sitting; ignored by `decide` (D5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consulted {
    /// Who looked.
    pub by: PersonId,
    /// At what.
    #[serde(flatten)]
    pub thing: Thing,
    /// Why, in words of the step they were at.
    pub why: String,
}

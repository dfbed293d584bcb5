//! A request as JSON: in a list, whole, and its history; cut down by the use cases to what the caller
//! may know.

use super::{
    call::Version,
    form::{Form, Image},
    problem::RefusalJson,
    words::{BioField, Findings, Gallery, Handling, Outcome, Purpose, ReviewResult, State},
};
use bureau::views;
use casework::{assess, event, request, witnessed::Witnessed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// One request in a list: nothing personal about the person searched for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    /// Its id.
    id: Uuid,
    /// Its short reference.
    reference: String,
    /// The gallery.
    gallery: Gallery,
    /// The force's name.
    leo: String,
    /// Its state.
    state: State,
    /// Its state in words.
    state_label: String,
    /// Urgent (S6).
    urgent: bool,
    /// Sensitive (V0).
    sensitive: bool,
    /// When it was received (or first recorded).
    #[schema(value_type = String, format = DateTime)]
    received: Timestamp,
    /// Its age in working days.
    age_working_days: u32,
    /// How long is left, in words; nothing once answered.
    due_words: Option<String>,
    /// Whether it is overdue.
    overdue: bool,
    /// Who holds it.
    assignee: Option<String>,
    /// Whether the caller holds it.
    mine: bool,
    /// Who asked.
    requester: String,
}

impl From<views::RequestLine> for Line {
    fn from(l: views::RequestLine) -> Self {
        Self {
            id: l.id.0,
            reference: l.reference,
            gallery: l.gallery.into(),
            leo: l.leo,
            state: l.state.into(),
            state_label: l.state_label.into(),
            urgent: l.urgent,
            sensitive: l.sensitive,
            received: l.received,
            age_working_days: l.age_working_days,
            due_words: l.due_words,
            overdue: l.overdue,
            assignee: l.assignee,
            mine: l.mine,
            requester: l.requester,
        }
    }
}

/// The assessor's work on one image (A1–A10).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assessment {
    /// The gallery's legal basis relied on (A1), by its id at `/policy`.
    legal_basis: String,
    /// A finding for each criterion.
    findings: Findings,
    /// The purposes that the assessor accepts (A6).
    #[schema(value_type = Vec<Purpose>)]
    purposes: BTreeSet<Purpose>,
    /// The serious-crime test as the assessor answers it (A7).
    crime: super::form::Crime,
    /// Whether section 8 was read (A9).
    section_8_read: bool,
    /// The handling chosen (A9).
    #[serde(default)]
    handling: Option<Handling>,
}

impl From<Assessment> for assess::Assessment {
    fn from(a: Assessment) -> Self {
        Self {
            legal_basis: a.legal_basis,
            findings: a.findings.into(),
            purposes: a.purposes.into_iter().map(Into::into).collect(),
            crime: a.crime.into(),
            section_8_read: a.section_8_read,
            handling: a.handling.map(Into::into),
        }
    }
}
impl From<assess::Assessment> for Assessment {
    fn from(a: assess::Assessment) -> Self {
        Self {
            legal_basis: a.legal_basis,
            findings: a.findings.into(),
            purposes: a.purposes.into_iter().map(Into::into).collect(),
            crime: a.crime.into(),
            section_8_read: a.section_8_read,
            handling: a.handling.map(Into::into),
        }
    }
}

/// What is decided about sharing one match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SharingDecision {
    Share,
    Withhold,
}

/// A field that is shared, with why.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharedField {
    /// The field.
    field: BioField,
    /// Why it is needed.
    why: String,
}

/// What is shared of a match, or that it is withheld (O10).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sharing {
    /// Whether it is shared.
    decision: SharingDecision,
    /// Whether the held image goes too; only when shared.
    #[serde(default)]
    image: bool,
    /// Each field that goes; only when shared.
    #[serde(default)]
    fields: Vec<SharedField>,
    /// Why.
    reasons: String,
}

impl From<Sharing> for event::Sharing {
    fn from(s: Sharing) -> Self {
        match s.decision {
            SharingDecision::Share => {
                Self::Share { image: s.image, fields: s.fields.into_iter().map(|f| (f.field.into(), f.why)).collect(), reasons: s.reasons }
            }
            SharingDecision::Withhold => Self::Withhold { reasons: s.reasons },
        }
    }
}
impl From<event::Sharing> for Sharing {
    fn from(s: event::Sharing) -> Self {
        match s {
            event::Sharing::Share { image, fields, reasons } => Self {
                decision: SharingDecision::Share,
                image,
                fields: fields.into_iter().map(|(f, why)| SharedField { field: f.into(), why }).collect(),
                reasons,
            },
            event::Sharing::Withhold { reasons } => Self { decision: SharingDecision::Withhold, image: false, fields: vec![], reasons },
        }
    }
}

/// A candidate as the holder sees it once people have concluded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Candidate {
    /// Its opaque id.
    id: Uuid,
    /// What people concluded together.
    matched: Option<bool>,
    /// How many confirmed it.
    confirmed_by: usize,
    /// What is shared.
    sharing: Option<Sharing>,
    /// Whether there is a picture to show.
    has_image: bool,
}

/// Why the search of an image was declined.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Declined {
    /// The clauses it rests on.
    clauses: Vec<String>,
    /// What the force is told.
    explanation: String,
}

/// An image of a request and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Probe {
    /// Its id.
    id: Uuid,
    /// 1 for the first image of the form.
    number: usize,
    /// `pending`, `declined`, `authorised`, `started`, `no-candidates`, `comparing`, `concluded`; for the
    /// force `pending` or `in-hand`.
    state: String,
    /// The assessment, for staff.
    assessment: Option<Assessment>,
    /// Why it was declined, for staff.
    declined: Option<Declined>,
    /// When leave to search ends, for staff.
    #[schema(value_type = Option<String>, format = DateTime)]
    leave_expires: Option<Timestamp>,
    /// References searched, for staff.
    searched: Option<u64>,
    /// The engine and model, for staff.
    engine: Option<String>,
    /// Candidates, for the holder, once people have concluded; in no order that tells anything.
    candidates: Vec<Candidate>,
    /// Whether it has come to its end.
    ended: bool,
}

impl From<views::ProbeView> for Probe {
    fn from(p: views::ProbeView) -> Self {
        Self {
            id: p.id.0,
            number: p.number,
            state: p.state.into(),
            assessment: p.assessment.map(Into::into),
            declined: p
                .declined
                .map(|(clauses, explanation)| Declined { clauses: clauses.iter().map(ToString::to_string).collect(), explanation }),
            leave_expires: p.leave_expires,
            searched: p.searched,
            engine: p.engine,
            candidates: p
                .candidates
                .into_iter()
                .map(|c| Candidate {
                    id: c.id.0,
                    matched: c.matched,
                    confirmed_by: c.confirmed_by,
                    sharing: c.sharing.map(Into::into),
                    has_image: c.has_image,
                })
                .collect(),
            ended: p.ended,
        }
    }
}

/// A question to the force and its answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Clarification {
    /// What was asked.
    question: String,
    /// What was answered.
    answer: Option<String>,
}

/// A review that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Review {
    /// The force's reasons.
    reasons: String,
    /// The leader's result.
    result: Option<ReviewResult>,
    /// The leader's reasons.
    result_reasons: Option<String>,
}

impl From<request::Review> for Review {
    fn from(r: request::Review) -> Self {
        let (result, result_reasons) = r.result.unzip();
        Self { reasons: r.reasons, result: result.map(Into::into), result_reasons }
    }
}

/// Asked-for onward sharing of a sensitive answer (V3).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Onward {
    /// To whom.
    to: String,
    /// Why.
    reasons: String,
    /// Whether it is allowed.
    allowed: Option<bool>,
    /// Why, or why not.
    decision_reasons: Option<String>,
}

impl From<request::Onward> for Onward {
    fn from(o: request::Onward) -> Self {
        let (allowed, decision_reasons) = o.decision.unzip();
        Self { to: o.to, reasons: o.reasons, allowed, decision_reasons }
    }
}

/// A request as the caller may know it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestWhole {
    /// What lists show of it.
    line: Line,
    /// Its version, for the next step.
    version: Version,
    /// The gallery's name.
    gallery_name: String,
    /// Who holds the gallery.
    owner: String,
    /// The answers of its form; gone once erased.
    form: Option<Form>,
    /// The images of its form.
    images: Vec<Image>,
    /// What became of each image.
    probes: Vec<Probe>,
    /// Who approved.
    approver: Option<String>,
    /// The linked request to the other gallery (S3).
    twin: Option<Uuid>,
    /// The rejected request that it replaces.
    replaces: Option<Uuid>,
    /// Whether an image of it is in another request; for staff.
    image_seen_before: bool,
    /// Questions to the force.
    clarifications: Vec<Clarification>,
    /// Why the approver returned it.
    returned: Option<String>,
    /// What was missing when it was rejected (W1).
    rejected: Vec<RefusalJson>,
    /// Reviews.
    reviews: Vec<Review>,
    /// Onward sharing.
    onward: Vec<Onward>,
    /// The handling chosen.
    handling: Option<Handling>,
    /// The answer in one word, once released (or to staff).
    outcome: Option<Outcome>,
    /// To whom the answer goes.
    recipient: Option<String>,
    /// When it was released.
    #[schema(value_type = Option<String>, format = DateTime)]
    released_at: Option<Timestamp>,
    /// When it was first opened.
    #[schema(value_type = Option<String>, format = DateTime)]
    collected_at: Option<Timestamp>,
    /// The witnesses outside that the answer waits for, while it does: to be released, or, released, to be opened (D5).
    waits_for: Option<WaitsFor>,
    /// When it is due, in words.
    due: Option<String>,
    /// What the caller may do or see now, in the words of `docs/access.md`.
    may: Vec<String>,
}

/// Witnesses that an answer waits for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitsFor {
    /// Witnesses that have cosigned the record of it.
    cosigned: u32,
    /// Witnesses that must have.
    required: u32,
    /// Witnesses that there are.
    of: u32,
    /// The same in words.
    words: String,
}

impl From<Witnessed> for WaitsFor {
    fn from(w: Witnessed) -> Self {
        let n = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self { cosigned: n(w.cosigned), required: n(w.required), of: n(w.of), words: w.words() }
    }
}

impl From<views::RequestView> for RequestWhole {
    fn from(v: views::RequestView) -> Self {
        Self {
            line: v.line.into(),
            version: Version::of(v.version),
            gallery_name: v.gallery_name,
            owner: v.owner,
            images: v.form.iter().flat_map(|f| &f.images).map(Into::into).collect(),
            form: v.form.as_ref().map(Into::into),
            probes: v.probes.into_iter().map(Into::into).collect(),
            approver: v.approver,
            twin: v.twin.map(|t| t.0),
            replaces: v.replaces.map(|r| r.0),
            image_seen_before: v.image_seen_before,
            clarifications: v.clarifications.into_iter().map(|c| Clarification { question: c.question, answer: c.answer }).collect(),
            returned: v.returned,
            rejected: v.rejected.into_iter().map(Into::into).collect(),
            reviews: v.reviews.into_iter().map(Into::into).collect(),
            onward: v.onward.into_iter().map(Into::into).collect(),
            handling: v.handling.map(Into::into),
            outcome: v.outcome.map(Into::into),
            recipient: v.recipient,
            released_at: v.released_at,
            collected_at: v.collected_at,
            waits_for: v.waits_for.map(Into::into),
            due: v.due,
            may: v.may.iter().map(ToString::to_string).collect(),
        }
    }
}

/// One line of a request's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryLine {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who, by name; police see the Home Office only.
    who: String,
    /// The person's team or force.
    team: String,
    /// What, in words.
    what: String,
    /// The clauses it rests on.
    clauses: Vec<String>,
    /// Whether it is a look rather than a change.
    look: bool,
}

impl From<views::HistoryLine> for HistoryLine {
    fn from(l: views::HistoryLine) -> Self {
        Self { at: l.at, who: l.who, team: l.team, what: l.what, clauses: l.clauses, look: l.look }
    }
}

//! Which of the processing operations of the Data Protection Act 2018, section 62, each recorded event is:
//! collection, alteration, consultation, disclosure (including transfers), combination or erasure [rule: D5].
//! Told by the header alone, so that it holds after the payload was erased.

use crate::{
    event::{Entry, Event, Sharing, Who},
    ids::PersonId,
};
use serde::{Deserialize, Serialize};

/// A processing operation that section 62(1) asks to be logged.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Operation {
    /// Personal data came into the house.
    Collection,
    /// Something was added to, decided on or changed in what the house holds.
    Alteration,
    /// Somebody looked.
    Consultation,
    /// Personal data left the house, or reached whom it was for; has a recipient.
    Disclosure,
    /// One person's data was compared or joined with another's: a search, and what people concluded.
    Combination,
    /// Data was destroyed.
    Erasure,
}

impl Operation {
    /// The operation in a word for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Collection => "Collected",
            Self::Alteration => "Altered",
            Self::Consultation => "Consulted",
            Self::Disclosure => "Disclosed",
            Self::Combination => "Combined",
            Self::Erasure => "Erased",
        }
    }

    /// The operation that an event of this header kind and outcome is; `None` for a kind that no part of the
    /// product records.
    #[must_use]
    pub fn of(kind: &str, outcome: Option<&str>) -> Option<Self> {
        // Leave that was refused lets nothing out: the decision is recorded, nothing more.
        if kind == "onward-decided" && outcome != Some("allowed") {
            return Some(Self::Alteration);
        }
        TABLE.iter().find(|(k, _)| *k == kind).map(|(_, operation)| *operation)
    }
}

/// What happens in the house outside any request: the kinds of the house's own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum HouseKind {
    /// References were enrolled in a gallery.
    Enrolled,
    /// A token of the API was issued.
    TokenIssued,
    /// References were exported: with the recipient, before the first file was written.
    Exported,
    /// How many files of an export were written.
    ExportEnded,
    /// Somebody read the log.
    LogRead,
    /// Somebody had the log verified.
    LogVerified,
    /// A copy of the log left, for somebody outside: with the recipient, before anything was written.
    LogExported,
    /// Somebody took the signed checkpoint.
    CheckpointTaken,
    /// Somebody drew a sample of cases.
    SampleDrawn,
    /// Somebody looked a reference up.
    LookedUp,
    /// Somebody read who did what (section 62).
    ProcessingRead,
    /// Somebody downloaded who did what.
    ProcessingTaken,
    /// Somebody took the proof that an entry is in the log.
    ProofTaken,
    /// Notes of the house went at the end of their time.
    NotesErased,
    /// An operator copied the records, and perhaps the keys.
    Copied,
    /// An operator brought a copy back.
    Restored,
    /// Somebody read what known-answer trials came to.
    TrialResultsRead,
    /// Somebody read where examiners differ in casework.
    ExaminersCompared,
    /// Somebody read which searches rest on an accuracy certificate.
    SearchesTraced,
}

/// The looks at what belongs to a request: the only kind of its stream.
pub const CONSULTED: &str = "consulted";

/// Every kind of event, and which operation it is. Decisions and opinions are alterations: each adds to what
/// is held about a person. A search joins the probe with what is held, and people's conclusion says whether
/// the two belong together: combinations. An answer is disclosed when it is sealed as it leaves and released,
/// and when its recipient first opens it.
pub const TABLE: &[(&str, Operation)] = &[
    // A request.
    ("prepared", Operation::Collection),
    ("returned", Operation::Alteration),
    ("approved", Operation::Alteration),
    ("submitted", Operation::Collection),
    ("received", Operation::Collection),
    ("rejected", Operation::Alteration),
    ("withdrawn", Operation::Alteration),
    ("taken", Operation::Alteration),
    ("conflict-declared", Operation::Alteration),
    ("put-back", Operation::Alteration),
    ("allocated", Operation::Alteration),
    ("clarification-asked", Operation::Alteration),
    ("clarification-answered", Operation::Collection),
    ("vulnerability-flagged", Operation::Alteration),
    ("handling-chosen", Operation::Alteration),
    ("admitted", Operation::Alteration),
    ("authorised", Operation::Alteration),
    ("declined", Operation::Alteration),
    ("search-started", Operation::Combination),
    ("searched", Operation::Combination),
    ("listed", Operation::Combination),
    ("authorisation-expired", Operation::Alteration),
    ("examiner-joined", Operation::Alteration),
    ("examiner-replaced", Operation::Alteration),
    ("visual-given", Operation::Alteration),
    ("informed-given", Operation::Alteration),
    ("adjudication-opened", Operation::Alteration),
    ("concluded", Operation::Combination),
    ("empty-concluded", Operation::Combination),
    ("sharing-decided", Operation::Alteration),
    ("answer-prepared", Operation::Alteration),
    ("released", Operation::Disclosure),
    ("disclosed", Operation::Disclosure),
    ("collected", Operation::Disclosure),
    ("review-asked", Operation::Collection),
    ("review-decided", Operation::Alteration),
    ("onward-asked", Operation::Collection),
    ("onward-decided", Operation::Disclosure),
    ("tried-again", Operation::Alteration),
    ("hold-placed", Operation::Alteration),
    ("hold-reviewed", Operation::Alteration),
    ("hold-lifted", Operation::Alteration),
    ("trial-seeded", Operation::Collection),
    ("trial-stopped", Operation::Alteration),
    ("closed", Operation::Alteration),
    ("erased", Operation::Erasure),
    // The looks at it.
    (CONSULTED, Operation::Consultation),
    // The register.
    ("leo-entered", Operation::Alteration),
    ("dsa-entered", Operation::Alteration),
    ("person-entered", Operation::Collection),
    ("training-entered", Operation::Alteration),
    ("team-entered", Operation::Alteration),
    ("delegation-entered", Operation::Alteration),
    ("person-left", Operation::Alteration),
    ("certificate-issued", Operation::Alteration),
    ("threshold-proposed", Operation::Alteration),
    ("threshold-confirmed", Operation::Alteration),
    ("threshold-declined", Operation::Alteration),
    ("certificate-revoked", Operation::Alteration),
    // The house.
    ("enrolled", Operation::Collection),
    ("token-issued", Operation::Alteration),
    ("exported", Operation::Disclosure),
    ("export-ended", Operation::Disclosure),
    ("log-exported", Operation::Disclosure),
    ("log-read", Operation::Consultation),
    ("log-verified", Operation::Consultation),
    ("checkpoint-taken", Operation::Consultation),
    ("sample-drawn", Operation::Consultation),
    ("looked-up", Operation::Consultation),
    ("processing-read", Operation::Consultation),
    ("processing-taken", Operation::Consultation),
    ("proof-taken", Operation::Consultation),
    ("notes-erased", Operation::Erasure),
    ("copied", Operation::Consultation),
    ("restored", Operation::Alteration),
    ("trial-results-read", Operation::Consultation),
    ("examiners-compared", Operation::Consultation),
    ("searches-traced", Operation::Consultation),
];

/// Why it was done, where the event itself says so, in the words of whoever did it; elsewhere the clauses that
/// its header cites say why. What a force wrote of a person, and what is special to one (section 8, a conflict
/// of interest), is not repeated here: it is read in the record itself.
#[must_use]
pub fn why(event: &Event) -> Option<String> {
    let words = match event {
        Event::Prepared { form, .. } => {
            let purposes: Vec<String> = form.purposes.iter().map(|p| p.to_string().replace('-', " ")).collect();
            format!("For the purposes of the request: {}.", purposes.join(", "))
        }
        Event::Authorised { assessment, authorisation } => {
            let purposes: Vec<String> = authorisation.purposes.iter().map(|p| p.to_string().replace('-', " ")).collect();
            format!("Legal basis: {}. Purposes assessed: {}.", assessment.legal_basis, purposes.join(", "))
        }
        Event::Returned { reasons } | Event::ReviewAsked { reasons } | Event::ReviewDecided { reasons, .. } => reasons.clone(),
        Event::Withdrawn { reason }
        | Event::Allocated { reason, .. }
        | Event::Admitted { reason, .. }
        | Event::ExaminerReplaced { reason, .. }
        | Event::HoldPlaced { reason, .. }
        | Event::HoldReviewed { reason, .. }
        | Event::HoldLifted { reason } => reason.clone(),
        Event::ClarificationAsked { question } => question.clone(),
        Event::Declined { explanation, .. } => explanation.clone(),
        Event::SharingDecided { sharing: Sharing::Share { reasons, .. } | Sharing::Withhold { reasons }, .. } => reasons.clone(),
        Event::OnwardAsked { reasons, .. } | Event::OnwardDecided { reasons, .. } => reasons.clone(),
        Event::Released { .. } | Event::Disclosed { .. } | Event::Collected { .. } => {
            "To answer the request, for the purposes for which it was made.".into()
        }
        Event::Searched { .. } | Event::SearchStarted { .. } | Event::Listed { .. } => "Under the leave to search that was given.".into(),
        Event::Erased { class } => format!("The end of the retention of this class ({class})."),
        _ => return None,
    };
    Some(words)
}

/// Who did it, and to whom it was disclosed: the people under whom an entry is found.
#[must_use]
pub fn parties(entry: &Entry) -> Vec<PersonId> {
    let mut out: Vec<PersonId> = match entry.by {
        Who::Person(p) => vec![p],
        Who::System => vec![],
    };
    match &entry.event {
        Event::AnswerPrepared { recipient, .. } => out.push(*recipient),
        Event::Collected { by } => out.push(*by),
        _ => {}
    }
    out.sort_unstable();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::RegisterEvent;
    use std::collections::BTreeSet;
    use strum::{IntoEnumIterator as _, VariantNames as _};

    #[test]
    fn d5_every_kind_of_event_is_one_of_the_six_operations_and_the_table_holds_nothing_else() {
        let mut kinds: Vec<String> = Event::VARIANTS.iter().chain(RegisterEvent::VARIANTS).map(|k| (*k).to_owned()).collect();
        kinds.extend(HouseKind::iter().map(|k| k.to_string()));
        kinds.push(CONSULTED.into());
        for kind in &kinds {
            assert!(Operation::of(kind, None).is_some(), "{kind} is in no row of TABLE: say which operation of s.62 it is");
        }
        let known: BTreeSet<&str> = kinds.iter().map(String::as_str).collect();
        assert_eq!(known.len(), kinds.len(), "no two kinds share a name");
        assert_eq!(TABLE.iter().map(|(k, _)| *k).collect::<BTreeSet<_>>(), known);
        assert_eq!(TABLE.len(), known.len(), "each once");
        // All six are there: section 62(1)(a) to (f).
        let operations: BTreeSet<Operation> = TABLE.iter().map(|(_, o)| *o).collect();
        assert_eq!(operations, Operation::iter().collect());
    }

    #[test]
    fn d5_passing_on_that_was_refused_discloses_nothing() {
        assert_eq!(Operation::of("onward-decided", Some("allowed")), Some(Operation::Disclosure));
        assert_eq!(Operation::of("onward-decided", Some("refused")), Some(Operation::Alteration));
        assert_eq!(Operation::of("made-up", None), None);
    }
}

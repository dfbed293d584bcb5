//! One image of a request and its own small life: pending → declined, or authorised → started →
//! (no candidates | comparing → adjudicating) → concluded.

use crate::{
    assess::Assessment,
    clause::Clause,
    event::{Authorisation, SearchFacts, Sharing},
    ids::{CandidateId, PersonId, ProbeId, ReferenceId},
    review::{Informed, Visual},
    trial::Known,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One examiner's two steps on one candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// The blind step.
    pub visual: Option<Visual>,
    /// The informed step.
    pub informed: Option<Informed>,
}

impl Opinion {
    /// Whether both steps support that it is the same person.
    #[must_use]
    pub fn confirms(&self) -> bool {
        self.visual.as_ref().is_some_and(|v| v.conclusion.supports_same()) && self.informed.as_ref().is_some_and(|i| i.same_person)
    }
}

/// One entry of a candidate list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its opaque id.
    pub id: CandidateId,
    /// The held reference; gone for an unmatched candidate once its class is erased.
    pub reference: Option<ReferenceId>,
    /// Opinions by examiner.
    pub opinions: BTreeMap<PersonId, Opinion>,
    /// What people concluded: `Some(true)` is a match.
    pub matched: Option<bool>,
    /// Who confirmed it.
    pub confirmed_by: Vec<PersonId>,
    /// What is shared (O10).
    pub sharing: Option<Sharing>,
}

impl Candidate {
    pub(crate) fn new(id: CandidateId, reference: Option<ReferenceId>) -> Self {
        Self { id, reference, opinions: BTreeMap::new(), matched: None, confirmed_by: vec![], sharing: None }
    }
}

/// An examiner on a probe and the order in which they see its candidates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examiner {
    /// Who.
    pub person: PersonId,
    /// Their own order.
    pub order: Vec<CandidateId>,
}

/// Where a probe is in its own small life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeState {
    /// Not yet decided.
    Pending,
    /// No search; the explanation that the force gets.
    Declined {
        /// The clauses it rests on.
        clauses: Vec<Clause>,
        /// In plain words.
        explanation: String,
        /// Who decided.
        by: PersonId,
    },
    /// May be searched until the leave expires.
    Authorised(Authorisation),
    /// The leave is used and the search is under way.
    Started(Authorisation),
    /// The list is empty and waits for a person to conclude so (P2).
    NoCandidates,
    /// Two examiners compare.
    Comparing,
    /// They differ on some; a third compares those.
    Adjudicating(Vec<CandidateId>),
    /// Every candidate is concluded, or the empty list is.
    Concluded,
}

/// One image of the request and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Its id.
    pub id: ProbeId,
    /// Where it is.
    pub state: ProbeState,
    /// The assessment in force.
    pub assessment: Option<Assessment>,
    /// How it was searched.
    pub facts: Option<SearchFacts>,
    /// Its candidate list, in no order that tells a rank.
    pub candidates: Vec<Candidate>,
    /// Who compares.
    pub examiners: Vec<Examiner>,
}

impl Probe {
    pub(crate) fn new(id: ProbeId) -> Self {
        Self { id, state: ProbeState::Pending, assessment: None, facts: None, candidates: vec![], examiners: vec![] }
    }
    /// The probe of a known-answer trial: its list is there without a search, in no order that tells anything.
    pub(crate) fn compared(id: ProbeId, list: &[Known]) -> Self {
        let mut candidates: Vec<_> = list.iter().map(|k| Candidate::new(k.candidate, Some(k.reference()))).collect();
        candidates.sort_by_key(|c| c.id);
        Self { state: ProbeState::Comparing, candidates, ..Self::new(id) }
    }
    /// A candidate of this probe.
    #[must_use]
    pub fn candidate(&self, id: CandidateId) -> Option<&Candidate> {
        self.candidates.iter().find(|c| c.id == id)
    }
    /// The candidates that people matched.
    pub fn matches(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|c| c.matched == Some(true))
    }
    /// Whether this probe has come to its end.
    #[must_use]
    pub fn ended(&self) -> bool {
        match &self.state {
            ProbeState::Declined { .. } => true,
            ProbeState::Concluded => self.matches().all(|c| c.sharing.is_some()),
            _ => false,
        }
    }
    /// Frees an examiner's place; what they said of candidates that are not concluded does not count.
    pub(crate) fn free_place(&mut self, examiner: PersonId) {
        self.examiners.retain(|e| e.person != examiner);
        for c in self.candidates.iter_mut().filter(|c| c.matched.is_none()) {
            c.opinions.remove(&examiner);
        }
    }
    /// The candidates that this examiner is asked about, in their own order.
    #[must_use]
    pub fn asked_of(&self, examiner: PersonId) -> Vec<CandidateId> {
        self.examiners.iter().find(|e| e.person == examiner).map(|e| e.order.clone()).unwrap_or_default()
    }
}

//! A list of candidates, believed only when everything about it holds.

use crate::{Error, Settings, wire};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What a search asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// What this search is called in the other side's records.
    pub transaction: Uuid,
    /// The most candidates.
    pub most: usize,
    /// The score from which a reference is a candidate, in the engine's range, inclusive.
    pub threshold: f64,
    /// References that are held here, and so have to be enrolled there, exactly.
    pub held: u64,
}

/// A reference and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The reference.
    pub reference: Uuid,
    /// The engine's score, higher is more alike.
    pub score: f64,
}

/// An id that we gave: a UUID in its plain form.
pub(crate) fn reference(id: &str) -> Result<Uuid, Error> {
    Uuid::parse_str(id).ok().filter(|u| u.hyphenated().to_string() == id).ok_or(Error::Id)
}

/// The candidates, whole and in order, or why none of them is believed.
pub(crate) fn believed(list: Vec<wire::Candidate>, asked: &Asked, settings: &Settings) -> Result<Vec<Candidate>, Error> {
    if list.len() > asked.most {
        return Err(Error::More { given: list.len(), asked: asked.most });
    }
    let (min, max) = (settings.score_min, settings.score_max);
    let mut seen = BTreeSet::new();
    let mut out: Vec<Candidate> = Vec::with_capacity(list.len());
    for (n, c) in list.into_iter().enumerate() {
        let found = reference(&c.person_id)?;
        if !seen.insert(found) {
            return Err(Error::Twice);
        }
        if usize::try_from(c.rank).ok() != Some(n + 1) {
            return Err(Error::Rank);
        }
        for score in c.scores.iter().map(|s| s.score).chain([c.score]) {
            if !(min..=max).contains(&score) {
                return Err(Error::Range { min, max });
            }
        }
        if c.score < asked.threshold {
            return Err(Error::Threshold);
        }
        if out.last().is_some_and(|before| before.score < c.score) {
            return Err(Error::Order);
        }
        for detail in &c.scores {
            if detail.biometric_type.as_deref().is_some_and(|t| t != "FACE") {
                return Err(Error::Modality);
            }
            if detail.encounter_id.as_ref().is_some_and(|e| *e != c.person_id) {
                return Err(Error::Id);
            }
        }
        out.push(Candidate { reference: found, score: c.score });
    }
    Ok(out)
}

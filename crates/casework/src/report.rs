//! report: management information and a repeatable sample (D4), folded from clear headers alone.

use crate::{
    ids::RequestId,
    record::{GalleryId, Header},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts below this are not shown to anyone outside the house.
pub const SMALL_COUNT: u32 = 5;

/// Requests and responses, by gallery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Submitted to us.
    pub received: u32,
    /// Of those, urgent.
    pub urgent: u32,
    /// Rejected as off-template or incomplete.
    pub rejected: u32,
    /// Images authorised to be searched.
    pub authorised: u32,
    /// Images declined.
    pub declined: u32,
    /// Answers, by outcome.
    pub answered: BTreeMap<String, u32>,
    /// Declines, by clause.
    pub declines_by_clause: BTreeMap<String, u32>,
}

/// What is counted of a request's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Measure {
    /// Submitted to us.
    Received,
    /// Of those, urgent.
    Urgent,
    /// Rejected as off-template or incomplete.
    Rejected,
    /// Images authorised to be searched.
    Authorised,
    /// Images declined.
    Declined,
    /// Declines that cite a clause: which one is the detail.
    DeclinedCiting,
    /// Answers: the outcome is the detail.
    Answered,
}

/// What one header adds one to, each with its detail (empty where the measure has none).
#[must_use]
pub fn measures(h: &Header) -> Vec<(Measure, String)> {
    let plain = |m| vec![(m, String::new())];
    match h.kind.as_str() {
        "submitted" => {
            let mut out = plain(Measure::Received);
            if h.outcome.as_deref() == Some("urgent") {
                out.extend(plain(Measure::Urgent));
            }
            out
        }
        "rejected" => plain(Measure::Rejected),
        "authorised" => plain(Measure::Authorised),
        "declined" => {
            let mut out = plain(Measure::Declined);
            out.extend(h.clauses.iter().map(|c| (Measure::DeclinedCiting, c.clone())));
            out
        }
        "released" => vec![(Measure::Answered, h.outcome.clone().unwrap_or_default())],
        _ => vec![],
    }
}

impl Counts {
    /// Adds `n` to a measure.
    pub fn add(&mut self, measure: Measure, detail: &str, n: u32) {
        match measure {
            Measure::Received => self.received += n,
            Measure::Urgent => self.urgent += n,
            Measure::Rejected => self.rejected += n,
            Measure::Authorised => self.authorised += n,
            Measure::Declined => self.declined += n,
            Measure::DeclinedCiting => *self.declines_by_clause.entry(detail.to_owned()).or_default() += n,
            Measure::Answered => *self.answered.entry(detail.to_owned()).or_default() += n,
        }
    }
}

/// Folds headers into counts by gallery. Order does not matter; payloads are not needed, so erased requests count.
#[must_use]
pub fn counts<'a>(headers: impl IntoIterator<Item = &'a Header>) -> BTreeMap<GalleryId, Counts> {
    counts_by(headers, |h| h.gallery)
}

/// The same by whatever a header is filed under: a month, a force. A header without a key is passed over, and so is
/// every header of a known-answer trial, which is no casework (P1).
#[must_use]
pub fn counts_by<'a, K: Ord>(headers: impl IntoIterator<Item = &'a Header>, key: impl Fn(&Header) -> Option<K>) -> BTreeMap<K, Counts> {
    let mut out: BTreeMap<K, Counts> = BTreeMap::new();
    for h in headers.into_iter().filter(|h| !h.trial) {
        let Some(key) = key(h) else { continue };
        let c = out.entry(key).or_default();
        for (measure, detail) in measures(h) {
            c.add(measure, &detail, 1);
        }
    }
    out
}

/// Draws `size` requests that anyone with the same seed draws again: those with the smallest keyed
/// digests. `digest` is a keyed hash of an id under the seed, from the caller's crypto library.
#[must_use]
pub fn sample(ids: &[RequestId], size: usize, digest: impl Fn(&RequestId) -> [u8; 32]) -> Vec<RequestId> {
    let mut keyed: Vec<_> = ids.iter().map(|id| (digest(id), *id)).collect();
    keyed.sort_unstable();
    keyed.dedup();
    keyed.into_iter().take(size).map(|(_, id)| id).collect()
}

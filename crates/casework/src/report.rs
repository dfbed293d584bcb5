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

/// Folds headers into counts by gallery. Order does not matter; payloads are not needed, so erased requests count.
#[must_use]
pub fn counts<'a>(headers: impl IntoIterator<Item = &'a Header>) -> BTreeMap<GalleryId, Counts> {
    counts_by(headers, |h| h.gallery)
}

/// The same by whatever a header is filed under: a month, a force. A header without a key is passed over.
#[must_use]
pub fn counts_by<'a, K: Ord>(headers: impl IntoIterator<Item = &'a Header>, key: impl Fn(&Header) -> Option<K>) -> BTreeMap<K, Counts> {
    let mut out: BTreeMap<K, Counts> = BTreeMap::new();
    for h in headers {
        let Some(key) = key(h) else { continue };
        let c = out.entry(key).or_default();
        match h.kind.as_str() {
            "submitted" => {
                c.received += 1;
                c.urgent += u32::from(h.outcome.as_deref() == Some("urgent"));
            }
            "rejected" => c.rejected += 1,
            "authorised" => c.authorised += 1,
            "declined" => {
                c.declined += 1;
                for clause in &h.clauses {
                    *c.declines_by_clause.entry(clause.clone()).or_default() += 1;
                }
            }
            "released" => *c.answered.entry(h.outcome.clone().unwrap_or_default()).or_default() += 1,
            _ => {}
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

//! The search itself: every live reference is looked at, none is skipped by an index.
//!
//! A worker takes chunks of rows, computes quick scores, and lets a reference go only when its
//! proven upper bound (`quick + slack`, see [`crate::score`]) is below a floor that the answer is
//! known to reach: the threshold, or the worst of `k` canonical scores that *some* worker already
//! holds. Everything else gets its canonical score, and lists are built from those alone. A
//! reference that is let go is therefore strictly below `k` others or below the threshold, so it
//! cannot be in the true list, not even through a tie; the list equals that of a brute-force scan.
//! It does not depend on the number of threads or on their luck.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::snapshot::{LiveSegment, Snapshot};
use crate::{Candidate, CandidateList, Filters, ReferenceId, SearchLimits, score};

/// Rows that a worker takes at a time (2 MiB of 128-dimensional templates).
const CHUNK_ROWS: usize = 4_096;
/// Quick scores computed before they are looked at; they stay in the first-level cache.
const BATCH_ROWS: usize = 256;

/// A candidate in rank order: greater is better, and among equal scores the lower id is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked {
    score: f64,
    id: ReferenceId,
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        // Scores are finite, and a sum that starts at +0 is never −0, so total_cmp is numeric order.
        self.score.total_cmp(&other.score).then_with(|| other.id.cmp(&self.id))
    }
}

/// A floor that all workers raise together: a score that `k` references are known to reach.
struct RisingFloor(AtomicU64);

impl RisingFloor {
    fn get(&self) -> f64 {
        let key = self.0.load(Relaxed);
        f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
    }

    fn raise(&self, to: f64) {
        // Keys order as unsigned integers the way the scores order as numbers.
        let bits = to.to_bits();
        self.0.fetch_max(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }, Relaxed);
    }
}

/// What all workers share.
struct Search<'a> {
    probe: &'a [f32],
    k: usize,
    threshold: f64,
    filters: Option<&'a Filters>,
    slack: f64,
    chunks: Vec<(&'a LiveSegment, usize, usize)>,
    next: AtomicUsize,
    floor: RisingFloor,
}

/// What one worker found.
#[derive(Default)]
struct Found {
    best: BinaryHeap<Reverse<Ranked>>,
    more: bool,
    searched: u64,
}

/// Searches one snapshot with up to `threads` threads. The probe has been checked against the gallery.
pub(crate) fn search(snapshot: &Snapshot, probe: &[f32], limits: &SearchLimits, threads: usize) -> CandidateList {
    let mut chunks = Vec::new();
    for live in &snapshot.segments {
        for from in (0..live.segment.rows()).step_by(CHUNK_ROWS) {
            chunks.push((live, from, live.segment.rows().min(from + CHUNK_ROWS)));
        }
    }
    let workers = threads.clamp(1, chunks.len().max(1));
    let search = Search {
        probe,
        k: limits.k,
        threshold: limits.threshold.unwrap_or(f64::NEG_INFINITY),
        filters: (!limits.filters.is_all()).then_some(&limits.filters),
        slack: score::slack(probe.len()),
        chunks,
        next: AtomicUsize::new(0),
        floor: RisingFloor(AtomicU64::new(0)),
    };
    search.floor.raise(f64::NEG_INFINITY);
    let found = if workers == 1 {
        vec![search.work()]
    } else {
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..workers).map(|_| scope.spawn(|| search.work())).collect();
            let mut found = vec![search.work()];
            for helper in helpers {
                // A worker can only fail by a bug; a partial answer must not come out of one.
                found.push(helper.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
            }
            found
        })
    };
    let mut more = found.iter().any(|f| f.more);
    let searched = found.iter().map(|f| f.searched).sum();
    let mut best: Vec<Ranked> = found.into_iter().flat_map(|f| f.best).map(|Reverse(r)| r).collect();
    best.sort_unstable_by(|a, b| b.cmp(a));
    more |= best.len() > limits.k;
    best.truncate(limits.k);
    CandidateList {
        entries: best.into_iter().map(|r| Candidate { id: r.id, score: r.score }).collect(),
        epoch: snapshot.epoch,
        more_above_threshold: more,
        searched,
    }
}

impl Search<'_> {
    fn work(&self) -> Found {
        let mut found = Found::default();
        let mut quick = [0.0_f32; BATCH_ROWS];
        while let Some(&(live, from, to)) = self.chunks.get(self.next.fetch_add(1, Relaxed)) {
            for first in (from..to).step_by(BATCH_ROWS) {
                let rows = BATCH_ROWS.min(to - first);
                self.batch(live, first, &mut quick[..rows], &mut found);
            }
        }
        found
    }

    /// Looks at the rows of `live` from `first`, one for each place in `quick`.
    fn batch(&self, live: &LiveSegment, first: usize, quick: &mut [f32], found: &mut Found) {
        let d = self.probe.len();
        let templates = &live.segment.templates()[first * d..(first + quick.len()) * d];
        for (quick, template) in quick.iter_mut().zip(templates.chunks_exact(d)) {
            *quick = score::quick(self.probe, template);
        }
        for (i, quick) in quick.iter().enumerate() {
            let row = first + i;
            if live.is_erased(row) {
                continue;
            }
            if self.filters.is_some_and(|f| !f.admit(&live.segment.attributes(row))) {
                continue;
            }
            found.searched += 1;
            let upper = f64::from(*quick) + self.slack;
            let lower = f64::from(*quick) - self.slack;
            if upper < self.threshold {
                continue;
            }
            // Out of the list for sure. It is let go only once it is known whether it makes the
            // list shorter than what reaches the threshold.
            if upper < self.floor.get() && (found.more || lower >= self.threshold) {
                found.more = true;
                continue;
            }
            let score = score::canonical(self.probe, &templates[i * d..(i + 1) * d]);
            if score >= self.threshold {
                self.offer(Ranked { score, id: live.segment.id(row) }, found);
            }
        }
    }

    /// Takes a reference at or above the threshold into the worker's list, or notes that it did not fit.
    fn offer(&self, candidate: Ranked, found: &mut Found) {
        found.best.push(Reverse(candidate));
        if found.best.len() > self.k {
            found.best.pop();
            found.more = true;
        }
        if found.best.len() == self.k
            && let Some(Reverse(worst)) = found.best.peek()
        {
            self.floor.raise(worst.score);
        }
    }
}

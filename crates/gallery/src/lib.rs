#![doc = include_str!("../README.md")]

mod codes;
mod disk;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod kernel;
mod local;
mod log;
mod manifest;
mod map;
mod reference;
mod rotation;
mod scan;
mod score;
mod segment;
mod snapshot;
mod table;
mod writer;
mod zone;

pub use error::{Error, Refusal, RefusedReference};
pub use kernel::Kernel;
pub use local::{Appended, Compacted, Erased, LocalGallery, Replaced, Settings};
pub use reference::{Attributes, Candidate, CandidateList, Filters, ModelId, NewReference, Probe, ReferenceId, SearchLimits, YearBand};
pub use score::canonical as canonical_score;

/// Most components of a template.
pub const MAX_DIMENSION: usize = 4_096;
/// Longest model id, in bytes.
pub const MAX_MODEL_ID_BYTES: usize = 128;
/// How far a template's Euclidean length may be from 1. Normalising in f32 stays a thousand times closer.
pub const UNIT_TOLERANCE: f64 = 1e-4;
/// Longest candidate list.
pub const MAX_CANDIDATES: usize = 10_000;
/// Most references in one append: what is validated and acknowledged as one.
pub const MAX_BATCH: usize = 1 << 20;
/// Erased references that may wait for their bytes to be removed before the next erasure compacts first.
pub const MAX_ERASED_WAITING: usize = 1 << 16;

/// References in the log before they become a segment, and so the fewest that are appended as segments at once.
const MAX_LOG_ROWS: usize = 1 << 12;
/// Bytes in the log before it is rolled over: bounds what opening reads.
const MAX_LOG_BYTES: usize = 1 << 26;
/// Most rows of one segment: bounds what a compaction rewrites for one erasure.
const MAX_SEGMENT_ROWS: usize = 1 << 18;
/// A segment with fewer rows is small: joined with others by a compaction.
const SMALL_SEGMENT_ROWS: usize = 1 << 13;
/// So many small segments are joined before another is appended, so that enrolling one by one does
/// not leave a file for each.
const MAX_SMALL_SEGMENTS: usize = 64;

/// Exact 1:N identification over templates of one model: the whole of what a search needs to know
/// about where and how a gallery is kept. Implementations share one contract: the candidate list
/// equals that of a brute-force scan by [`canonical_score`], ties by reference id, over the
/// references of exactly one epoch.
pub trait Gallery: Send + Sync {
    /// The model whose templates are enrolled.
    fn model_id(&self) -> &ModelId;

    /// Components a template.
    fn dimension(&self) -> usize;

    /// Which state of the gallery this is: rises with every append, replacement, erasure and compaction
    /// (changes that were made at the same time may share one).
    fn epoch(&self) -> u64;

    /// References that are enrolled and not erased.
    fn len(&self) -> u64;

    /// Whether no reference is enrolled.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The best candidates for each probe, exactly, all from one epoch. Up to sixteen probes at a time
    /// are searched in one pass over the codes, which costs far less than sixteen passes.
    ///
    /// # Errors
    /// As [`Gallery::search`]; one wrong probe refuses the batch.
    fn search_batch(&self, probes: &[Probe], limits: &SearchLimits) -> Result<Vec<CandidateList>, Error>;

    /// The best candidates for `probe`, exactly. Runs on the calling thread and helpers of its own
    /// for as long as it takes; call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::Probe`] if the probe is of another model or dimension, [`Error::Limits`],
    /// [`Error::Damaged`] or [`Error::Io`] if the newest epoch cannot be read. Never a partial list.
    fn search(&self, probe: &Probe, limits: &SearchLimits) -> Result<CandidateList, Error>;
}

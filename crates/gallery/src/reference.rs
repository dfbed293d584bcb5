//! The words of the room: model ids, references and their attributes, probes, limits, candidates.

use std::fmt;

use crate::{Error, MAX_CANDIDATES, MAX_MODEL_ID_BYTES, Refusal, UNIT_TOLERANCE, score};

/// A reference's id: 16 opaque bytes, unique in a gallery. Ties in score are ordered by it, bytewise.
pub type ReferenceId = [u8; 16];

/// Which model made a template. Templates of different models never compare.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelId(String);

impl ModelId {
    /// A model id: 1 to [`MAX_MODEL_ID_BYTES`] printable ASCII characters.
    ///
    /// # Errors
    /// [`Error::ModelId`] for anything else.
    pub fn new(id: impl Into<String>) -> Result<Self, Error> {
        let id = id.into();
        let fits = !id.is_empty() && id.len() <= MAX_MODEL_ID_BYTES;
        if fits && id.bytes().all(|b| b.is_ascii_graphic() || b == b' ') { Ok(ModelId(id)) } else { Err(Error::ModelId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a gallery knows about a reference beside its template: only what a search may be narrowed
/// by. Names, pictures and biography are held elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Made up to fill a gallery, not taken from a person.
    pub synthetic: bool,
    /// The sex marker of the record in the caller's own code; 0 = not known.
    pub sex_marker: u8,
    /// Year of birth, Gregorian; 0 = not known.
    pub year_of_birth: u16,
    /// When the reference was enrolled: microseconds since 1970-01-01 UTC.
    pub enrolled_at: i64,
}

/// A reference to enrol.
#[derive(Clone, PartialEq)]
pub struct NewReference {
    /// Its id, new to the gallery.
    pub id: ReferenceId,
    /// Its template: finite, unit length, of the gallery's dimension.
    pub template: Vec<f32>,
    /// Its attributes.
    pub attributes: Attributes,
}

impl fmt::Debug for NewReference {
    // A template is biometric data: it must not reach a log by way of `{:?}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewReference").finish_non_exhaustive()
    }
}

/// A probe's template, checked to be finite and of unit length.
#[derive(Clone, PartialEq)]
pub struct Probe {
    model_id: ModelId,
    template: Vec<f32>,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("model_id", &self.model_id).finish_non_exhaustive()
    }
}

impl Probe {
    /// A probe from a template that `model_id` made.
    ///
    /// # Errors
    /// [`Error::Probe`] with [`Refusal::NotFinite`] or [`Refusal::NotUnit`].
    pub fn new(model_id: ModelId, template: Vec<f32>) -> Result<Self, Error> {
        check_template(&template).map_err(Error::Probe)?;
        Ok(Probe { model_id, template })
    }

    /// The model that made it.
    pub fn model_id(&self) -> &ModelId {
        &self.model_id
    }

    /// Its components.
    pub fn template(&self) -> &[f32] {
        &self.template
    }
}

/// Finite and of unit length within [`UNIT_TOLERANCE`]; the same test for probes and references.
pub(crate) fn check_template(template: &[f32]) -> Result<(), Refusal> {
    if let Some(component) = template.iter().position(|x| !x.is_finite()) {
        return Err(Refusal::NotFinite { component });
    }
    let length = score::canonical(template, template).sqrt();
    if (length - 1.0).abs() <= UNIT_TOLERANCE { Ok(()) } else { Err(Refusal::NotUnit { length }) }
}

/// Which references a search, or a count, is about. The default is all of them. Each part that is
/// set must hold. Narrowing by a value leaves out everybody whose value is wrong in the record, so
/// *not known* is always asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Only these sex markers; empty = any. List 0 to keep those not known.
    pub sex_markers: Vec<u8>,
    /// Only these years of birth.
    pub years_of_birth: Option<YearBand>,
    /// Only references enrolled before this moment (microseconds since 1970 UTC, exclusive).
    pub enrolled_before: Option<i64>,
    /// Only synthetic references (`true`) or only real ones (`false`).
    pub synthetic: Option<bool>,
}

/// A band of years of birth, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YearBand {
    /// First year.
    pub from: u16,
    /// Last year.
    pub to: u16,
    /// Keep the references whose year of birth is not known.
    pub or_unknown: bool,
}

impl Filters {
    /// Whether nothing is narrowed.
    pub fn is_all(&self) -> bool {
        *self == Filters::default()
    }

    /// Whether a reference with these attributes is in.
    pub fn admit(&self, a: &Attributes) -> bool {
        let year = |b: YearBand| match a.year_of_birth {
            0 => b.or_unknown,
            y => (b.from..=b.to).contains(&y),
        };
        (self.sex_markers.is_empty() || self.sex_markers.contains(&a.sex_marker))
            && self.years_of_birth.is_none_or(year)
            && self.enrolled_before.is_none_or(|t| a.enrolled_at < t)
            && self.synthetic.is_none_or(|s| a.synthetic == s)
    }
}

/// How far a search goes.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchLimits {
    /// The longest candidate list, 1 to [`MAX_CANDIDATES`].
    pub k: usize,
    /// Only references scoring at least this (cosine, −1 to 1, inclusive); `None` = any.
    pub threshold: Option<f64>,
    /// Which references are searched.
    pub filters: Filters,
}

impl SearchLimits {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.k == 0 || self.k > MAX_CANDIDATES {
            return Err(Error::Limits("k must be from 1 to 10,000"));
        }
        if self.threshold.is_some_and(|t| !t.is_finite()) {
            return Err(Error::Limits("the threshold must be a finite number"));
        }
        Ok(())
    }
}

/// One candidate: a reference and its comparison score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The reference.
    pub id: ReferenceId,
    /// The canonical score (see the crate's documentation), higher is more alike.
    pub score: f64,
}

/// What a search returns: the best `k` at or above the threshold, best first, ties by id.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateList {
    /// The candidates in rank order.
    pub entries: Vec<Candidate>,
    /// The gallery's epoch that was searched.
    pub epoch: u64,
    /// More references reach the threshold than the list holds (with no threshold: more were
    /// searched than the list holds).
    pub more_above_threshold: bool,
    /// How many references were searched: enrolled at that epoch, not erased, and inside the filters.
    pub searched: u64,
}

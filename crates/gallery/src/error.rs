//! What can go wrong, said so that the reader knows what to do. No message carries a reference id,
//! an attribute or a template: positions in the caller's own batch are given instead.

use std::io;
use std::path::PathBuf;

/// Why a gallery could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some references of a batch cannot be enrolled; none of the batch was.
    #[error("{} of the batch refused and nothing was enrolled; first, at position {}: {}",
        .0.len(), .0.first().map_or(0, |r| r.position), .0.first().map_or_else(String::new, |r| r.refusal.to_string()))]
    Refused(Vec<RefusedReference>),
    /// The probe cannot be compared with this gallery.
    #[error("the probe cannot be searched: {0}")]
    Probe(#[source] Refusal),
    /// The search limits are outside what a search takes.
    #[error("the search limits are wrong: {0}")]
    Limits(&'static str),
    /// The gallery holds templates of another model; templates never compare across models.
    #[error("this gallery holds templates of model '{gallery}', not '{asked}': open it with its own model, or enrol its pictures again")]
    OtherModel {
        /// The model id in the gallery's manifest.
        gallery: String,
        /// The model id that the caller has.
        asked: String,
    },
    /// The gallery's templates have another dimension.
    #[error("this gallery holds templates of dimension {gallery}, not {asked}")]
    OtherDimension {
        /// The dimension in the gallery's manifest.
        gallery: usize,
        /// The dimension that the caller asked for.
        asked: usize,
    },
    /// A model id is empty, too long, or has characters other than printable ASCII.
    #[error("a model id is 1 to {max} printable ASCII characters", max = crate::MAX_MODEL_ID_BYTES)]
    ModelId,
    /// A dimension outside 1 to [`crate::MAX_DIMENSION`].
    #[error("a template dimension is 1 to {max}, not {0}", max = crate::MAX_DIMENSION)]
    Dimension(usize),
    /// There is no gallery in the folder.
    #[error("{} holds no gallery: create one first", .0.display())]
    NotAGallery(PathBuf),
    /// There is already a gallery, or part of one, in the folder.
    #[error("{} already holds a gallery (or part of one): open it, or choose an empty folder", .0.display())]
    AlreadyThere(PathBuf),
    /// Another process, or another value in this one, has the gallery open for enrolment.
    #[error("{} is open for enrolment elsewhere: one writer at a time", .0.display())]
    InUse(PathBuf),
    /// The gallery was opened for search only.
    #[error("this gallery was opened for search only: open it for enrolment to change it")]
    SearchOnly,
    /// A file is not what was written. Nothing is answered from a damaged gallery, because a
    /// missing person would be a wrong answer.
    #[error("{} is damaged ({what}): restore the gallery from a backup, or enrol it again", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What does not hold.
        what: &'static str,
    },
    /// The operating system refused; nothing was changed.
    #[error("could not {doing} {}", file.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        file: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A change could not be made sure of: it may or may not survive. The writer takes no further
    /// change until the gallery is opened again, which finds out.
    #[error("the last change could not be made sure of: open the gallery again before changing it further")]
    Unsure,
}

impl Error {
    pub(crate) fn io(doing: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let file = file.into();
        move |source| Error::Io { doing, file, source }
    }

    /// The same error once more: what stopped a group of changes is told to each of the callers.
    pub(crate) fn again(&self) -> Self {
        match self {
            Error::Damaged { file, what } => Error::Damaged { file: file.clone(), what },
            Error::Io { doing, file, source } => {
                Error::Io { doing, file: file.clone(), source: io::Error::new(source.kind(), source.to_string()) }
            }
            // Nothing else stops a group.
            _ => Error::Unsure,
        }
    }
}

/// One reference of a batch that was refused, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedReference {
    /// Its position in the caller's batch, from 0.
    pub position: usize,
    /// Why.
    pub refusal: Refusal,
}

/// Why one template, or one reference, is not accepted at the door.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The template has the wrong number of components.
    #[error("the template has dimension {given}; this gallery's is {expected}")]
    WrongDimension {
        /// Components in the template.
        given: usize,
        /// The gallery's dimension.
        expected: usize,
    },
    /// A component is NaN or infinite.
    #[error("component {component} of the template is not a finite number")]
    NotFinite {
        /// The first such component, from 0.
        component: usize,
    },
    /// The template is zero or not of unit length.
    #[error("the template's length is {length:.6}; it must be 1 within {tolerance}", tolerance = crate::UNIT_TOLERANCE)]
    NotUnit {
        /// Its Euclidean length.
        length: f64,
    },
    /// The template was made by another model.
    #[error("the template was made by model '{given}'; this gallery's is '{expected}'")]
    OtherModel {
        /// The template's model id.
        given: String,
        /// The gallery's model id.
        expected: String,
    },
    /// The gallery holds a reference with this id.
    #[error("a reference with this id is already enrolled")]
    AlreadyEnrolled,
    /// The same id stands earlier in the batch.
    #[error("the same id stands earlier in the batch")]
    TwiceInBatch,
}

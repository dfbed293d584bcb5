//! Why nothing was taken from the other side. No message repeats what it said.

use crate::ANSWER_BYTES_MAX;

/// Why nothing was taken from the other side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings cannot be used.
    #[error("the ABIS's settings cannot be used: {0}")]
    Settings(String),
    /// No connection.
    #[error("the ABIS cannot be reached: {0}")]
    Unreachable(std::io::Error),
    /// It did not prove who it is.
    #[error("the ABIS did not prove by its certificate who it is: {0}")]
    Tls(std::io::Error),
    /// Too late.
    #[error("the ABIS did not answer within {0} seconds")]
    Late(u64),
    /// The connection broke in the middle, or what came is no HTTP.
    #[error("the ABIS's answer was cut off, or is no HTTP")]
    CutOff,
    /// Too much.
    #[error("the ABIS's answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    /// It points elsewhere.
    #[error("the ABIS answered {0} and points elsewhere; that is not followed")]
    Redirect(u16),
    /// It answers later, elsewhere.
    #[error("the ABIS says that it answers later by callback (202), though none was asked for: it has to answer at once")]
    Later,
    /// Another status.
    #[error("the ABIS answered {0}")]
    Status(u16),
    /// Not JSON.
    #[error("the ABIS's answer is not JSON")]
    NotJson,
    /// JSON of another form.
    #[error("the ABIS's answer has another form than the interface says")]
    Form,
    /// More candidates than asked.
    #[error("the ABIS gave {given} candidates, though at most {asked} were asked for")]
    More {
        /// How many it gave.
        given: usize,
        /// How many it was asked for.
        asked: usize,
    },
    /// A candidate twice.
    #[error("the ABIS gave a candidate twice")]
    Twice,
    /// An id that we never gave.
    #[error("the ABIS named somebody by an id that is not a reference's")]
    Id,
    /// Ranks.
    #[error("the ABIS's candidates are not ranked 1, 2, 3 …")]
    Rank,
    /// Order.
    #[error("the ABIS's candidates are not in the order of their scores")]
    Order,
    /// A score that cannot be.
    #[error("the ABIS gave a score outside its engine's range ({min} to {max})")]
    Range {
        /// Least.
        min: f64,
        /// Most.
        max: f64,
    },
    /// A score that does not reach the threshold.
    #[error("the ABIS gave a candidate below the threshold")]
    Threshold,
    /// Not a face.
    #[error("the ABIS compared something other than faces")]
    Modality,
    /// Another model.
    #[error("the ABIS's templates are by another vendor or algorithm than the one that was measured (P1)")]
    Model,
    /// Not the gallery that is held here.
    #[error("the ABIS's gallery does not hold exactly the {0} references that are held here: a search of it would not be whole")]
    Incomplete(u64),
    /// Nobody is enrolled.
    #[error("nobody is enrolled in the ABIS's gallery")]
    Empty,
}

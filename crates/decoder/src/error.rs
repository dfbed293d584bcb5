//! Why bytes did not become a picture, in words for the person who sent them.

use crate::{Format, IMAGE_BYTES_MAX, PIXELS_MAX, SIDE_PIXELS_MAX, WALL_SECONDS_MAX};
use serde::{Deserialize, Serialize};

/// A refusal. Each says what was wrong, the limit where there is one, and what to do. None holds anything from
/// inside the file but numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refused", rename_all = "snake_case")]
pub enum DecodeError {
    /// No bytes.
    #[error("The file is empty. Choose the picture again")]
    Empty,
    /// More than [`IMAGE_BYTES_MAX`] bytes.
    #[error("The file is {} MB; {} MB at most can be taken. Save the picture as a JPEG of good quality, without making it smaller than it need be", .bytes / 1_000_000, IMAGE_BYTES_MAX / 1_000_000)]
    TooManyBytes {
        /// The file's size.
        bytes: u64,
    },
    /// Something that is not a picture.
    #[error("The file is not a picture: it looks like {looks_like}. Send a JPEG or PNG picture")]
    NotAnImage {
        /// What it seems to be, such as `a PDF document`.
        looks_like: String,
    },
    /// A picture of another format.
    #[error("The file is a {format} picture; only JPEG and PNG can be taken. Save it as one of these, from the original")]
    OtherFormat {
        /// The format's name.
        format: String,
    },
    /// A variant that is not read.
    #[error("The {format} uses {variant}, which cannot be read. Save it again as an ordinary JPEG or PNG")]
    OtherVariant {
        /// The format.
        format: Format,
        /// What is unusual about it.
        variant: String,
    },
    /// Several pictures in one.
    #[error("The {format} is animated. Send the one still picture that is to be searched with")]
    Animated {
        /// The format's name.
        format: String,
    },
    /// The end is missing.
    #[error("The {format} is cut short: its end is missing, so part of the picture is lost. Copy it again from its source")]
    Truncated {
        /// The format.
        format: Format,
    },
    /// Something follows the picture's end.
    #[error("The {format} has {bytes} bytes of something else after the picture's end. Open it and save it again as a plain picture")]
    TrailingData {
        /// The format.
        format: Format,
        /// How many bytes follow.
        bytes: u64,
    },
    /// Too large a picture.
    #[error("The picture is {width} × {height} pixels; {} million pixels and {SIDE_PIXELS_MAX} a side are the most that can be taken. Crop it to the person, or make it smaller", PIXELS_MAX / 1_000_000)]
    TooManyPixels {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// The inside does not make sense.
    #[error("The {format} is damaged and cannot be read. Copy it again from its source")]
    Damaged {
        /// The format.
        format: Format,
    },
    /// The child took longer than allowed.
    #[error("The picture took more than {WALL_SECONDS_MAX} seconds to read and was given up. Save it again as an ordinary JPEG or PNG")]
    TookTooLong,
    /// The child died: memory, processor time, or something worse.
    #[error(
        "The picture could not be read within the memory and time allowed ({how}). Save it again as an ordinary JPEG or PNG; if this goes on, tell the operator"
    )]
    ChildDied {
        /// How it ended, such as `signal 9`.
        how: String,
    },
    /// The child could not be started, or talked nonsense: a fault of the installation.
    #[error("The picture reader is not working ({reason}). Nothing is wrong with the picture; tell the operator")]
    Unavailable {
        /// What happened.
        reason: String,
    },
}

impl DecodeError {
    /// Whether the picture is at fault (and not this installation).
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Unavailable { .. })
    }
}

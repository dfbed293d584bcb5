//! Untrusted image bytes in, bounded pixels out.
//!
//! Bytes from outside are decoded in a child process of the one binary ([`child_main`]) that first gives up
//! everything it does not need ([`confine`]): memory past a limit, processor time, files, sockets, processes, and every
//! system call but the few that it decodes with.
//! The parent ([`Decoder`]) bounds bytes before and pixels after, kills a child that takes too long, and
//! believes nothing that the child says without checking it. What comes out ([`Decoded`]) is plain RGB:
//! no metadata survives, and the EXIF orientation has been applied. With it come [`Sign`]s of how the file was made, for a
//! person to weigh.
//!
//! [`Rgb8`] is for pixels that have come through: cropping, scaling, masking, and writing JPEG and PNG.
//!
//! Deliberately absent: any format but JPEG and PNG, colour profiles, and decoding in the server's process.

mod child;
mod confine;
mod container;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod parent;
mod pixels;
mod provenance;

pub use child::child_main;
pub use confine::{Confinement, Held, Layer, confine, leave_no_core};
pub use error::DecodeError;
pub use parent::{Decoded, Decoder, ExtensionMismatch};
pub use pixels::{JPEG_QUALITY, Mask, PixelArea, PixelError, Rgb8};
pub use provenance::{Sign, Suspicion};

use serde::{Deserialize, Serialize};

/// The largest file that is accepted, in bytes.
pub const IMAGE_BYTES_MAX: usize = 20 * 1000 * 1000;
/// The largest picture that is accepted, in pixels: width times height.
pub const PIXELS_MAX: u64 = 40_000_000;
/// The longest side that is accepted, in pixels.
pub const SIDE_PIXELS_MAX: u32 = 12_000;
/// How long a child may take in all, in seconds.
pub const WALL_SECONDS_MAX: u64 = 20;
/// How much processor time a child may take, in seconds.
pub const CPU_SECONDS_MAX: u64 = 10;
/// How much address space a child may use, in bytes. A 16-bit picture of [`PIXELS_MAX`] with transparency
/// takes 320 MB, and twice its 8-bit size while it is turned.
pub const CHILD_ADDRESS_BYTES_MAX: u64 = 1 << 30;
/// How many children one [`Decoder`] runs at once; more wait.
pub const CHILDREN_MAX: usize = 4;

/// A file format that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG: baseline or progressive, 8 bits a sample, grey, colour or CMYK.
    Jpeg,
    /// PNG, not animated.
    Png,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    fn owns_extension(self, extension: &str) -> bool {
        match self {
            Self::Jpeg => ["jpg", "jpeg", "jpe", "jfif"].contains(&extension),
            Self::Png => extension == "png",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
        })
    }
}

//! From pixels to faces, quality findings and templates.
//!
//! A [`Pack`] is a folder with a manifest and ONNX files; [`OnnxEngine`] runs one. Everything that is
//! particular to a model (input geometry, channel order, alignment, score range, threshold) is in the
//! manifest, so another model is another folder, not other code. A vendor's engine stands beside it
//! behind the same [`Engine`] trait.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let rgb = vec![0; 3 * 640 * 480];
//! use face::{Engine, Image, OnnxEngine, Pack};
//! let pack = Pack::open("build/packs/bundled".as_ref())?;
//! let engine = OnnxEngine::load(&pack, "build/onnxruntime/libonnxruntime.so".as_ref())?;
//! let image = Image::new(640, 480, &rgb)?;
//! for face in engine.detect(&image)? {
//!     let template = engine.template(&image, &face)?;
//!     println!("face {} of model {}", face.index, template.model());
//! }
//! # Ok(()) }
//! ```
//!
//! Deliberately absent: decoding files (the `decoder` room does that, in a process of its own), storage,
//! search, and any human word such as *match*.

pub mod accuracy;
mod check;
mod detect;
mod engine;
pub mod filler;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod pack;
pub mod quality;
mod score;
mod warp;

pub use check::{CheckError, PackReport, check as check_pack, pack_check};
pub use detect::{Area, DetectedFace, Point, Points};
pub use engine::{Engine, FaceError, OnnxEngine};
pub use pack::{ModelInfo, Pack, PackError};
pub use quality::{Component, Finding, ImageSpecification, Level, Measured, Quality, SpecificationError, measure, no_face, quality};
pub use score::{Better, ModelId, Score, ScoreScale, Template, Threshold};

/// The most faces that one image may hold. A picture of a crowd is refused, not searched.
pub const FACES_PER_IMAGE_MAX: usize = 30;

/// The longest side of an image, in pixels.
pub const SIDE_PIXELS_MAX: u32 = 20_000;

/// Decoded pixels, borrowed: 8-bit RGB, rows from the top, no padding between rows.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    width: u32,
    height: u32,
    rgb: &'a [u8],
}

impl<'a> Image<'a> {
    /// Wraps pixels that are `width` × `height` × 3 bytes long.
    ///
    /// # Errors
    /// [`FaceError::Geometry`] if a side is zero or over [`SIDE_PIXELS_MAX`], or the length does not fit.
    pub fn new(width: u32, height: u32, rgb: &'a [u8]) -> Result<Self, FaceError> {
        let sides = 1..=SIDE_PIXELS_MAX;
        // The sides come first: within them the product cannot overflow.
        let fits = sides.contains(&width) && sides.contains(&height) && rgb.len() == width as usize * height as usize * 3;
        if !fits {
            return Err(FaceError::Geometry { width, height, bytes: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, row by row from the top, three bytes each.
    pub fn rgb(&self) -> &'a [u8] {
        self.rgb
    }
}

//! The child's side: give up what is not needed, read one file, answer, end.

use crate::{
    CHILD_ADDRESS_BYTES_MAX, Confinement, DecodeError, Format, IMAGE_BYTES_MAX, Layer, SIDE_PIXELS_MAX, Sign, confine::confine, container,
    provenance,
};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, metadata::Orientation};
use serde::{Deserialize, Serialize};
use std::{
    io::{Cursor, Read, Write},
    process::ExitCode,
};

/// Begins both the request (then a u64 length and the file) and the answer (then a u32 length, JSON, pixels).
/// Numbers are little-endian.
pub(crate) const MAGIC: &[u8; 8] = b"CSIMAGE1";

/// The child's last argument when it is only to say how it is confined.
pub(crate) const REPORT: &str = "--report";

/// What the child says before the pixels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Pixels follow: `width` × `height` × 3 bytes.
    Pixels {
        width: u32,
        height: u32,
        format: Format,
        /// The EXIF orientation that was applied, 1 to 8.
        orientation: u8,
        /// What the file says of its own making.
        signs: Vec<Sign>,
    },
    /// Nothing follows.
    Refused { error: DecodeError },
}

/// The whole life of a decoding child: limits, one request on standard input, one answer on standard output.
/// The binary calls this first thing when it is started as a child, and returns what it returns.
///
/// Started with [`REPORT`] as its last argument it reads nothing and answers with its [`Confinement`], as JSON.
///
/// Exit codes: 0 answered (a refusal is an answer), 3 it could not be confined, 4 the request was not whole.
pub fn child_main() -> ExitCode {
    // Asked before the layers are on; of the arguments nothing else matters, and none comes from outside.
    let report = std::env::args_os().next_back().is_some_and(|a| a == REPORT);
    let Ok(confinement) = confine(&Layer::ALL) else {
        return ExitCode::from(3);
    };
    if report {
        return match write_report(&confinement) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(5),
        };
    }
    let Some(bytes) = read_request() else {
        return ExitCode::from(4);
    };
    let (answer, pixels) = match decode(&bytes) {
        Ok((answer, picture)) => (answer, picture.into_raw()),
        Err(error) => (Answer::Refused { error }, Vec::new()),
    };
    match write_answer(&answer, &pixels) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(5),
    }
}

fn write_report(confinement: &Confinement) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(&serde_json::to_vec(confinement)?)?;
    output.flush()
}

fn read_request() -> Option<Vec<u8>> {
    let mut input = std::io::stdin().lock();
    let mut head = [0; 16];
    input.read_exact(&mut head).ok()?;
    let (magic, length) = head.split_at(8);
    let length = u64::from_le_bytes(length.try_into().ok()?);
    if magic != MAGIC || length > IMAGE_BYTES_MAX as u64 {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn write_answer(answer: &Answer, pixels: &[u8]) -> std::io::Result<()> {
    put_answer(&mut std::io::stdout().lock(), answer, pixels)
}

pub(crate) fn put_answer(output: &mut impl Write, answer: &Answer, pixels: &[u8]) -> std::io::Result<()> {
    let json = serde_json::to_vec(answer)?;
    let length = u32::try_from(json.len()).map_err(std::io::Error::other)?;
    output.write_all(MAGIC)?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(&json)?;
    output.write_all(pixels)?;
    output.flush()
}

/// Known gap: a JPEG holds no checksum, so one whose coded data was changed, or stops early before a proper end
/// marker, decodes with a spoilt part. Only people see that.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Answer, RgbImage), DecodeError> {
    let format = container::inspect(bytes)?.format;
    let damaged = |_: image::ImageError| DecodeError::Damaged { format };
    let kind = match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_PIXELS_MAX);
    limits.max_image_height = Some(SIDE_PIXELS_MAX);
    limits.max_alloc = Some(CHILD_ADDRESS_BYTES_MAX / 2);
    // The JPEG decoder gives up on some damage by a panic (found by the fuzzer; zune-image issue 409). The file is at fault then,
    // not the memory or time allowed, and is told so.
    let read = std::panic::catch_unwind(|| {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
        reader.limits(limits);
        let mut decoder = reader.into_decoder()?;
        // A picture whose metadata is damaged is still a picture.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        Ok((DynamicImage::from_decoder(decoder)?, orientation))
    });
    let read: Result<_, image::ImageError> = read.map_err(|_| DecodeError::Damaged { format })?;
    let (picture, orientation) = read.map_err(damaged)?;
    let mut picture = flatten(picture);
    // Nor is a picture refused for what is beside it.
    let signs = std::panic::catch_unwind(|| provenance::signs(bytes, &picture)).unwrap_or_default();
    picture.apply_orientation(orientation);
    let picture = picture.into_rgb8();
    let answer = Answer::Pixels { width: picture.width(), height: picture.height(), format, orientation: orientation.to_exif(), signs };
    Ok((answer, picture))
}

/// 8-bit RGB. Transparent parts become white, rather than whatever colour lay hidden under them.
fn flatten(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return DynamicImage::ImageRgb8(picture.into_rgb8());
    }
    let picture = picture.into_rgba8();
    let (width, height) = picture.dimensions();
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let mut data = Vec::with_capacity(width as usize * height as usize * 3);
    for pixel in picture.pixels() {
        let [r, g, b, a] = pixel.0;
        data.extend([over_white(r, a), over_white(g, a), over_white(b, a)]);
    }
    let flat = RgbImage::from_raw(width, height, data).unwrap_or_default();
    DynamicImage::ImageRgb8(flat)
}

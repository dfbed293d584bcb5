//! The outside of a file: what it is, how large it says it is, and where it ends. No pixel is decoded here.

use crate::{DecodeError, Format, PIXELS_MAX, SIDE_PIXELS_MAX};

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What a file's outside says of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) format: Format,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A part of a file beside its pixels, without its length and checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// A JPEG's marker and what its segment holds.
    Segment(u8, &'a [u8]),
    /// A PNG's chunk.
    Chunk(&'a [u8], &'a [u8]),
}

/// Checks a file's structure from its first byte to its last.
///
/// # Errors
/// A [`DecodeError`] for anything but one whole, still, not too large JPEG or PNG with nothing behind it.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Outline, DecodeError> {
    inspect_each(bytes, &mut |_| ())
}

/// The same, and every part is shown on the way.
///
/// # Errors
/// As [`inspect`].
pub(crate) fn inspect_each<'a>(bytes: &'a [u8], each: &mut dyn FnMut(Part<'a>)) -> Result<Outline, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let (format, end, width, height) = if bytes.starts_with(PNG_SIGNATURE) {
        let (end, width, height) = png(bytes, each)?;
        (Format::Png, end, width, height)
    } else if bytes.starts_with(&[0xFF, 0xD8]) {
        let (end, width, height) = jpeg(bytes, each)?;
        (Format::Jpeg, end, width, height)
    } else {
        return Err(something_else(bytes));
    };
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(DecodeError::Damaged { format });
    }
    if pixels > PIXELS_MAX || width > SIDE_PIXELS_MAX || height > SIDE_PIXELS_MAX {
        return Err(DecodeError::TooManyPixels { width, height });
    }
    // Some cameras fill their last block with zeros; these cannot be anything else.
    let rest = &bytes[end..];
    if rest.iter().any(|b| *b != 0) {
        let bytes = rest.len() as u64;
        return Err(DecodeError::TrailingData { format, bytes });
    }
    Ok(Outline { format, width, height })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(part.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(part.try_into().ok()?))
}

/// Where the picture ends, its width and its height. Follows the segments (ITU-T T.81, annex B).
fn jpeg<'a>(bytes: &'a [u8], each: &mut dyn FnMut(Part<'a>)) -> Result<(usize, u32, u32), DecodeError> {
    const FORMAT: Format = Format::Jpeg;
    let truncated = DecodeError::Truncated { format: FORMAT };
    let damaged = DecodeError::Damaged { format: FORMAT };
    let other = |variant: &str| DecodeError::OtherVariant { format: FORMAT, variant: variant.into() };
    let mut size = None;
    let mut scans = 0;
    let mut at = 2;
    loop {
        if *bytes.get(at).ok_or(truncated.clone())? != 0xFF {
            return Err(damaged);
        }
        // Any number of 0xFF may stand before a marker.
        let fill = bytes[at..].iter().take_while(|b| **b == 0xFF).count();
        at += fill;
        let marker = *bytes.get(at).ok_or(truncated.clone())?;
        at += 1;
        match marker {
            0xD9 => {
                let (width, height) = size.ok_or(damaged.clone())?;
                return if scans == 0 { Err(damaged) } else { Ok((at, width, height)) };
            }
            0x01 => continue,
            0x00 | 0xD0..=0xD8 => return Err(damaged),
            _ => {}
        }
        let length = usize::from(u16_at(bytes, at).ok_or(truncated.clone())?);
        if length < 2 {
            return Err(damaged);
        }
        let segment = bytes.get(at..at + length).ok_or(truncated.clone())?;
        each(Part::Segment(marker, &segment[2..]));
        match marker {
            0xC0..=0xC2 => {
                let [_, _, precision, h1, h0, w1, w0, components, ..] = segment else {
                    return Err(damaged);
                };
                if *precision != 8 {
                    return Err(other(&format!("{precision} bits a sample")));
                }
                if ![1, 3, 4].contains(components) {
                    return Err(other(&format!("{components} colour channels")));
                }
                let height = u32::from(u16::from_be_bytes([*h1, *h0]));
                let width = u32::from(u16::from_be_bytes([*w1, *w0]));
                if size.replace((width, height)).is_some() {
                    return Err(damaged);
                }
            }
            0xC3 => return Err(other("lossless coding")),
            0xC5..=0xC7 | 0xCD..=0xCF => return Err(other("hierarchical coding")),
            0xC9..=0xCB => return Err(other("arithmetic coding")),
            _ => {}
        }
        at += length;
        if marker == 0xDA {
            scans += 1;
            at = scan_end(bytes, at).ok_or(truncated.clone())?;
        }
    }
}

/// The first marker after a scan's coded data: in there 0xFF is followed by 0x00 or a restart marker.
fn scan_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == 0xFF)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}

/// Where the picture ends, its width and its height. Follows the chunks (PNG, third edition, section 5).
fn png<'a>(bytes: &'a [u8], each: &mut dyn FnMut(Part<'a>)) -> Result<(usize, u32, u32), DecodeError> {
    const FORMAT: Format = Format::Png;
    let truncated = DecodeError::Truncated { format: FORMAT };
    let damaged = DecodeError::Damaged { format: FORMAT };
    let mut at = PNG_SIGNATURE.len();
    let mut size = None;
    let mut data = false;
    loop {
        let length = u32_at(bytes, at).ok_or(truncated.clone())? as usize;
        let kind = bytes.get(at + 4..at + 8).ok_or(truncated.clone())?;
        if length > i32::MAX as usize || !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(damaged);
        }
        if size.is_none() {
            let width = u32_at(bytes, at + 8).ok_or(truncated.clone())?;
            let height = u32_at(bytes, at + 12).ok_or(truncated.clone())?;
            if kind != b"IHDR" || length != 13 {
                return Err(damaged);
            }
            size = Some((width, height));
        } else if kind == b"acTL" {
            return Err(DecodeError::Animated { format: FORMAT.to_string() });
        }
        data |= kind == b"IDAT";
        if let Some(held) = bytes.get(at + 8..at + 8 + length) {
            each(Part::Chunk(kind, held));
        }
        let last = kind == b"IEND";
        // Length, kind and checksum stand around the chunk's data.
        at += 12 + length;
        if at > bytes.len() {
            return Err(truncated);
        }
        if last {
            let (width, height) = size.ok_or(damaged.clone())?;
            return if data { Ok((at, width, height)) } else { Err(damaged) };
        }
    }
}

/// Names what is not a JPEG or PNG.
fn something_else(bytes: &[u8]) -> DecodeError {
    let starts = |prefix: &[u8]| bytes.starts_with(prefix);
    let at = |offset: usize, what: &[u8]| bytes.get(offset..).is_some_and(|b| b.starts_with(what));
    let head = &bytes[..bytes.len().min(64 * 1024)];
    let contains = |what: &[u8]| head.windows(what.len()).any(|w| w == what);
    if starts(b"GIF8") && contains(b"NETSCAPE2.0") {
        return DecodeError::Animated { format: "GIF".into() };
    }
    if starts(b"RIFF") && at(8, b"WEBP") && contains(b"ANIM") {
        return DecodeError::Animated { format: "WebP".into() };
    }
    let pictures: [(bool, &str); 8] = [
        (starts(b"GIF8"), "GIF"),
        (starts(b"RIFF") && at(8, b"WEBP"), "WebP"),
        (starts(b"BM"), "BMP"),
        (starts(b"II*\0") || starts(b"MM\0*"), "TIFF"),
        (at(4, b"ftypheic") || at(4, b"ftypheix") || at(4, b"ftypmif1"), "HEIC"),
        (at(4, b"ftypavif") || at(4, b"ftypavis"), "AVIF"),
        (starts(b"\xFF\x0A") || at(4, b"JXL "), "JPEG XL"),
        (at(4, b"jP  "), "JPEG 2000"),
    ];
    if let Some((_, format)) = pictures.iter().find(|(is, _)| *is) {
        return DecodeError::OtherFormat { format: (*format).into() };
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    let markup = |prefix: &[u8]| text.starts_with(prefix);
    let others: [(bool, &str); 7] = [
        (starts(b"%PDF"), "a PDF document"),
        (starts(b"PK\x03\x04"), "a ZIP archive or office document"),
        (at(4, b"ftyp") || starts(b"\x1A\x45\xDF\xA3"), "a video"),
        (starts(b"MZ") || starts(b"\x7FELF"), "a program"),
        (markup(b"<svg") || (markup(b"<?xml") && contains(b"<svg")), "an SVG drawing"),
        (markup(b"<!doctype") || markup(b"<html") || markup(b"<"), "a web page"),
        (head.iter().all(|b| !b.is_ascii_control() || b.is_ascii_whitespace()), "text"),
    ];
    let found = others.iter().find(|(is, _)| *is);
    DecodeError::NotAnImage { looks_like: found.map_or("unknown data", |(_, name)| name).into() }
}

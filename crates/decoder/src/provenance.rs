//! What a file says of its own making: signs that it is not a photograph as a camera took it.
//!
//! A sign is a reason to look closer and nothing else: whoever edits a picture can also take the signs out, and a
//! harmless tool leaves them too. So their absence means nothing, none of them refuses anything, and a person weighs them.
//! Every sign is one of a closed list, so no word of the file's metadata (names, places, remarks) leaves the child.
//!
//! Read here: EXIF (`Software`, `UserComment`, the thumbnail), XMP (`CreatorTool`, the edit history, IPTC's *digital source
//! type*), what generators and editors write into PNG text, Photoshop's *save for web*, and C2PA content credentials, of which only
//! what they say is read: their signatures are not checked. Deliberately absent: any judgement from pixels alone. A
//! detector of morphs or generated faces would need a model whose error rates on our pictures are known.

use crate::container::{self, Part};
use image::{DynamicImage, GrayImage, ImageFormat, ImageReader, Limits, imageops};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, io::Cursor};

/// What a picture is suspected of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspicion {
    /// Changed after it was taken.
    Edited,
    /// Made by a program rather than taken.
    Synthetic,
    /// A picture of a screen.
    ScreenCapture,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// A picture editor wrote its name into the file.
    NamesAnEditor,
    /// XMP tells of changes after the picture was taken.
    TellsOfChanges,
    /// Photoshop's *save for web* wrote the file.
    SavedForTheWeb,
    /// The thumbnail inside shows another picture, or another part of it.
    OtherThumbnail,
    /// A program that generates pictures wrote its name into the file.
    NamesAGenerator,
    /// The settings of such a program are in the file.
    HoldsGeneratorSettings,
    /// IPTC's digital source type, in XMP, says that it was generated, all or in part.
    SaysGenerated,
    /// A content credential says so.
    CredentialSaysGenerated,
    /// IPTC's digital source type says that it was put together from several pictures.
    SaysComposite,
    /// The file says that it is a screenshot, or names a program that takes them.
    SaysScreenCapture,
}

impl Sign {
    /// What it is a sign of.
    pub fn suspicion(self) -> Suspicion {
        match self {
            Self::NamesAnEditor | Self::TellsOfChanges | Self::SavedForTheWeb | Self::OtherThumbnail | Self::SaysComposite => {
                Suspicion::Edited
            }
            Self::NamesAGenerator | Self::HoldsGeneratorSettings | Self::SaysGenerated | Self::CredentialSaysGenerated => {
                Suspicion::Synthetic
            }
            Self::SaysScreenCapture => Suspicion::ScreenCapture,
        }
    }

    /// The reason, in a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NamesAnEditor => "The file names a program for editing pictures as what wrote it.",
            Self::TellsOfChanges => "The file keeps a history of changes made after the picture was taken.",
            Self::SavedForTheWeb => "The file was written by an editor's 'save for web', not by a camera.",
            Self::OtherThumbnail => {
                "The small preview inside the file does not show the same picture, so the picture was changed or cropped after it was taken."
            }
            Self::NamesAGenerator => "The file names a program that generates pictures as what wrote it.",
            Self::HoldsGeneratorSettings => "The file holds the settings of a program that generates pictures.",
            Self::SaysGenerated => "The file says of itself that it was generated, all or in part, by a program.",
            Self::CredentialSaysGenerated => {
                "A content credential in the file says that the picture was generated, all or in part, by a program. Its signature was not checked."
            }
            Self::SaysComposite => "The file says of itself that it was put together from several pictures.",
            Self::SaysScreenCapture => "The file says of itself that it is a capture of a screen.",
        }
    }
}

/// Programs that edit pictures, as they write themselves, in lower case.
const EDITORS: [&str; 27] = [
    "adobe photoshop",
    "adobe lightroom",
    "affinity photo",
    "beautyplus",
    "canva",
    "capture one",
    "corel",
    "darktable",
    "faceapp",
    "facetune",
    "fotor",
    "gimp",
    "imagemagick",
    "instagram",
    "krita",
    "luminar",
    "meitu",
    "paint.net",
    "paintshop",
    "photopea",
    "picasa",
    "picsart",
    "pixelmator",
    "pixlr",
    "remini",
    "snapseed",
    "youcam",
];
/// Programs that generate pictures.
const GENERATORS: [&str; 12] = [
    "adobe firefly",
    "automatic1111",
    "comfyui",
    "dall-e",
    "dall\u{b7}e",
    "invokeai",
    "leonardo.ai",
    "made with google ai",
    "midjourney",
    "novelai",
    "openai",
    "stable diffusion",
];
/// Programs that capture screens.
const CAPTURERS: [&str; 7] = ["flameshot", "greenshot", "lightshot", "screenshot", "sharex", "snagit", "spectacle"];
/// Keywords of PNG text in which generators keep their settings.
const SETTINGS: [&str; 5] = ["dream", "invokeai_metadata", "parameters", "sd-metadata", "workflow"];

/// The largest thumbnail that is looked at: EXIF has 64 KiB for everything.
const THUMBNAIL_SIDE_PIXELS_MAX: u32 = 512;
/// Blocks a side in which a picture is compared with its thumbnail.
const BLOCKS: u32 = 12;
/// How far the mean of a block may be from what the thumbnail says, after the best even change of brightness and contrast, in
/// levels of 255. A copy that was sharpened, softened, lightened or compressed again stays below it (tests).
const BLOCK_LEVELS_MAX: f64 = 32.0;
/// How far the shape (width to height) may be from the thumbnail's. Cameras round sides of 160 or 120 pixels to whole blocks.
const SHAPE_RATIO_MAX: f64 = 1.08;
/// Rows and columns of a thumbnail that are no lighter than this are its black bars.
const BAR_LEVEL_MAX: u8 = 12;

/// The signs in a file's parts, each once, in a fixed order; `picture` is what it holds, not turned.
pub(crate) fn signs(bytes: &[u8], picture: &DynamicImage) -> Vec<Sign> {
    let mut found = BTreeSet::new();
    let mut credential = Vec::new();
    // The structure was checked before anything was decoded; what cannot be read says nothing.
    let mut exif_read = false;
    let _ = container::inspect_each(bytes, &mut |part| match part {
        Part::Segment(0xE1, held) => {
            if let Some(exif) = held.strip_prefix(b"Exif\0\0") {
                // There is one; more would only take time.
                if !std::mem::replace(&mut exif_read, true) {
                    from_exif(exif, picture, &mut found);
                }
            } else if let Some(xmp) = held.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                from_xmp(xmp, &mut found);
            }
        }
        Part::Segment(0xEB, held) if held.starts_with(b"JP") => credential.extend_from_slice(held),
        Part::Segment(0xEC, held) if held.starts_with(b"Ducky") => {
            found.insert(Sign::SavedForTheWeb);
        }
        Part::Chunk(b"eXIf", held) if !std::mem::replace(&mut exif_read, true) => from_exif(held, picture, &mut found),
        Part::Chunk(b"caBX", held) => credential.extend_from_slice(held),
        Part::Chunk(b"tEXt" | b"iTXt" | b"zTXt", held) => from_text(held, &mut found),
        _ => {}
    });
    if holds(&credential, b"rainedAlgorithmicMedia") {
        found.insert(Sign::CredentialSaysGenerated);
    }
    found.into_iter().collect()
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}

fn names(text: &str, list: &[&str]) -> bool {
    let text = text.to_lowercase();
    list.iter().any(|known| text.contains(known))
}

/// What a program's name is a sign of.
fn from_name(name: &str, found: &mut BTreeSet<Sign>) {
    let among = |list: &[&str]| names(name, list);
    if among(&GENERATORS) {
        found.insert(Sign::NamesAGenerator);
    } else if among(&CAPTURERS) {
        found.insert(Sign::SaysScreenCapture);
    } else if among(&EDITORS) {
        found.insert(Sign::NamesAnEditor);
    }
}

fn from_exif(exif: &[u8], picture: &DynamicImage, found: &mut BTreeSet<Sign>) {
    let Ok(read) = exif::Reader::new().read_raw(exif.to_vec()) else {
        return;
    };
    for field in read.fields() {
        match (field.tag, &field.value) {
            (exif::Tag::Software, exif::Value::Ascii(lines)) => {
                lines.iter().for_each(|line| from_name(&String::from_utf8_lossy(line), found));
            }
            // The first eight bytes name the character code; what iOS and macOS write here is ASCII.
            (exif::Tag::UserComment, exif::Value::Undefined(held, _))
                if held.get(8..).is_some_and(|text| text.eq_ignore_ascii_case(b"screenshot")) =>
            {
                found.insert(Sign::SaysScreenCapture);
            }
            _ => {}
        }
    }
    let number = |tag| read.get_field(tag, exif::In::THUMBNAIL).and_then(|f| f.value.get_uint(0));
    let (at, length) = (number(exif::Tag::JPEGInterchangeFormat), number(exif::Tag::JPEGInterchangeFormatLength));
    let (Some(at), Some(length)) = (at, length) else {
        return;
    };
    let thumbnail = exif.get(at as usize..(at as usize).saturating_add(length as usize));
    if thumbnail.and_then(small_picture).is_some_and(|small| !turned(small).iter().any(|t| same(t, picture))) {
        found.insert(Sign::OtherThumbnail);
    }
}

fn small_picture(bytes: &[u8]) -> Option<GrayImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(THUMBNAIL_SIDE_PIXELS_MAX);
    limits.max_image_height = Some(THUMBNAIL_SIDE_PIXELS_MAX);
    // The decoder may panic, as on the picture itself; a thumbnail that cannot be read says nothing.
    let read = std::panic::catch_unwind(|| {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Jpeg);
        reader.limits(limits);
        reader.decode().ok()
    });
    let small = read.ok().flatten()?.into_luma8();
    (small.width() >= 2 * BLOCKS && small.height() >= 2 * BLOCKS).then_some(small)
}

/// A thumbnail every way up: some cameras turn it and leave the picture to EXIF.
fn turned(small: GrayImage) -> [GrayImage; 4] {
    let (right, over, left) = (imageops::rotate90(&small), imageops::rotate180(&small), imageops::rotate270(&small));
    [small, right, over, left]
}

/// Whether a thumbnail shows the picture: the same shape inside its black bars, and the same blocks of light and dark.
fn same(thumbnail: &GrayImage, picture: &DynamicImage) -> bool {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let shape = |w: f64, h: f64| (w / h * height / width).max(h / w * width / height);
    let inside = if shape(thumbnail.width().into(), thumbnail.height().into()) <= SHAPE_RATIO_MAX {
        thumbnail.clone()
    } else {
        match inside_bars(thumbnail, width / height) {
            Some(inside) => inside,
            None => return false,
        }
    };
    let (ours, theirs) = (blocks(&picture.thumbnail_exact(12 * BLOCKS, 12 * BLOCKS).into_luma8()), blocks(&inside));
    // The best line from the thumbnail's levels to the picture's (least squares).
    let n = ours.len() as f64;
    let mean = |of: &[f64]| of.iter().sum::<f64>() / n;
    let (x, y) = (mean(&theirs), mean(&ours));
    let spread: f64 = theirs.iter().map(|t| (t - x).powi(2)).sum();
    let together: f64 = theirs.iter().zip(&ours).map(|(t, o)| (t - x) * (o - y)).sum();
    let slope = if spread > 0.0 { (together / spread).clamp(0.5, 2.0) } else { 1.0 };
    theirs.iter().zip(&ours).all(|(t, o)| (o - (y + slope * (t - x))).abs() <= BLOCK_LEVELS_MAX)
}

/// The mean level of each block, row by row.
fn blocks(picture: &GrayImage) -> Vec<f64> {
    imageops::thumbnail(picture, BLOCKS, BLOCKS).pixels().map(|p| f64::from(p.0[0])).collect()
}

/// A thumbnail of a fixed shape holds the picture, of this shape (width to height), in its middle between black bars; `None`
/// if what is outside is not black. How dark the picture itself is does not matter.
fn inside_bars(thumbnail: &GrayImage, shape: f64) -> Option<GrayImage> {
    let (width, height) = (f64::from(thumbnail.width()), f64::from(thumbnail.height()));
    let (w, h) = if shape > width / height { (width, width / shape) } else { (height * shape, height) };
    let (w, h) = ((w.round() as u32).max(1), (h.round() as u32).max(1));
    let (left, top) = ((thumbnail.width() - w) / 2, (thumbnail.height() - h) / 2);
    // A pixel on each side, where the bar is soft.
    let outside = |x: u32, y: u32| x + 1 < left || x > left + w || y + 1 < top || y > top + h;
    let black = thumbnail.enumerate_pixels().all(|(x, y, p)| !outside(x, y) || p.0[0] <= BAR_LEVEL_MAX);
    (black && w >= BLOCKS && h >= BLOCKS).then(|| imageops::crop_imm(thumbnail, left, top, w, h).to_image())
}

fn from_xmp(xmp: &[u8], found: &mut BTreeSet<Sign>) {
    let Ok(text) = std::str::from_utf8(xmp) else {
        return;
    };
    // Packets are padded with blanks, and some writers end them with zeros. Nothing outside of them is ever fetched.
    let Ok(document) = roxmltree::Document::parse(text.trim_matches(['\0', '\u{feff}'])) else {
        return;
    };
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let own = node.text().map(|text| (node.tag_name().name(), text));
        for (name, value) in own.into_iter().chain(node.attributes().map(|a| (a.name(), a.value()))) {
            match name {
                "CreatorTool" | "softwareAgent" | "Software" => from_name(value, found),
                // A person's or an agency's name, or a generator's.
                "Credit" if names(value, &GENERATORS) => {
                    found.insert(Sign::NamesAGenerator);
                }
                "DigitalSourceType" => from_source_type(value, found),
                // What the camera itself writes is `created`; a raw developer's `derived` and the like come after.
                "action" if ["saved", "edited", "cropped", "resized", "filtered", "manipulated"].contains(&value) => {
                    found.insert(Sign::TellsOfChanges);
                }
                _ => {}
            }
        }
    }
}

/// IPTC NewsCodes, scheme `digitalsourcetype`.
fn from_source_type(value: &str, found: &mut BTreeSet<Sign>) {
    let code = value.trim().rsplit('/').next().unwrap_or_default();
    let sign = match code {
        "trainedAlgorithmicMedia"
        | "compositeWithTrainedAlgorithmicMedia"
        | "algorithmicMedia"
        | "compositeSynthetic"
        | "virtualRecording" => Sign::SaysGenerated,
        "composite" | "compositeCapture" => Sign::SaysComposite,
        "screenCapture" => Sign::SaysScreenCapture,
        "algorithmicallyEnhanced" | "humanEdits" | "minorHumanEdits" => Sign::TellsOfChanges,
        _ => return,
    };
    found.insert(sign);
}

/// PNG text: a keyword, a zero, and (behind flags, in `iTXt`) the text. Compressed text is not read.
fn from_text(held: &[u8], found: &mut BTreeSet<Sign>) {
    let Some(end) = held.iter().position(|b| *b == 0) else {
        return;
    };
    let (keyword, text) = (String::from_utf8_lossy(&held[..end]), &held[end + 1..]);
    let keyword = keyword.to_lowercase();
    match keyword.as_str() {
        // `iTXt`: two flags, a language, a translated keyword, each ended by a zero.
        "xml:com.adobe.xmp" if text.starts_with(b"\0\0") => {
            let mut parts = text[2..].splitn(3, |b| *b == 0);
            if let Some(xmp) = parts.nth(2) {
                from_xmp(xmp, found);
            }
        }
        "software" => from_name(&String::from_utf8_lossy(text), found),
        // Free text: only what nobody writes by the way.
        "source" | "comment" | "description" if names(&String::from_utf8_lossy(text), &GENERATORS) => {
            found.insert(Sign::NamesAGenerator);
        }
        keyword if SETTINGS.contains(&keyword) => {
            found.insert(Sign::HoldsGeneratorSettings);
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "provenance_tests.rs"]
mod tests;

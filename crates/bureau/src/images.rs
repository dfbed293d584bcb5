//! Images on a form: decoding, finding faces, quality, and the renderings that people look at.

use crate::{Bureau, BureauError, Result, sha256};
use casework::{
    clause::Clause,
    form::{FaceBox, Field, Form, FormImage, QualityNote, Suspicion, SuspicionNote, Verdict},
    ids::{Digest, ProbeId, RequestId},
    policy::IMAGE_SPECIFICATIONS,
    record::{GalleryId, RetentionClass, StreamId},
    refusal::{Refusal, refuse_field},
};
use decoder::{JPEG_QUALITY, Mask, PixelArea, Rgb8, Sign};
use face::{Component, DetectedFace, FaceError, Finding, ImageSpecification, Level, Measured};
use std::collections::{BTreeMap, BTreeSet};
use strum::IntoEnumIterator;

/// Pixels of a decoded image: upright, RGB, 8 bits a channel, row by row.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// `width × height × 3` bytes.
    pub data: Vec<u8>,
}

/// The share of a face's box shown around it in a comparison.
const FACE_MARGIN: f64 = 0.55;
/// The share of another face's box masked around it.
const MASK_MARGIN: f64 = 0.15;
/// The longest side of a rendering served to a page, pixels.
const RENDERING_SIDE_PIXELS: u32 = 1_600;

impl Bureau {
    /// Decodes untrusted bytes in a process of its own.
    ///
    /// # Errors
    /// Refused (S10) when the bytes are not an acceptable image, saying what was wrong, the limit and
    /// what to do; failed when the decoder itself could not run.
    pub async fn decode(&self, bytes: &[u8]) -> Result<Pixels> {
        let decoded = self.decoder()?.decode(bytes, None).await.map_err(|e| {
            if e.is_refusal() {
                BureauError::Refused(vec![refuse_field(Clause::S10, Field::Images, e.to_string())])
            } else {
                BureauError::Failed(e.to_string())
            }
        })?;
        let p = decoded.pixels;
        Ok(Pixels { width: p.width(), height: p.height(), data: p.data().to_vec() })
    }

    /// Decodes again what was decoded when it came in: if it cannot be read now (a child ran out of time
    /// beside others, say), that is not the picture's fault, and it can be tried again.
    pub(crate) async fn decode_again(&self, bytes: &[u8]) -> Result<Pixels> {
        self.decode(bytes).await.map_err(|e| match e {
            BureauError::Refused(why) => BureauError::Failed(why.iter().map(|r| r.words.as_str()).collect::<Vec<_>>().join(" ")),
            e => e,
        })
    }

    /// Finds every face, left to right.
    ///
    /// # Errors
    /// Refused when there is none or too many; failed when the engine fails.
    pub async fn faces(&self, pixels: &Pixels) -> Result<Vec<DetectedFace>> {
        let (engine, pixels) = (self.engine()?.clone(), pixels.clone());
        let found = tokio::task::spawn_blocking(move || engine.detect(&face::Image::new(pixels.width, pixels.height, &pixels.data)?));
        match found.await.map_err(|e| BureauError::Engine(e.to_string()))? {
            Ok(faces) if faces.is_empty() => {
                let advice = face::no_face().findings.into_iter().map(|f| f.advice).collect::<Vec<_>>().join(" ");
                Err(vec![refuse_field(Clause::S10, Field::Images, advice)].into())
            }
            Ok(faces) => Ok(faces),
            Err(e @ FaceError::TooManyFaces { .. }) => Err(vec![refuse_field(Clause::S10, Field::Images, format!("{e}."))].into()),
            Err(e) => Err(BureauError::Engine(e.to_string())),
        }
    }

    /// Judges each image of a form by what the galleries ask for that it goes to, from the numbers that were measured; where
    /// they differ, by the strictest in each component (S10, A3b).
    pub(crate) fn judge(&self, form: &mut Form, galleries: &[GalleryId]) {
        let specifications: Vec<_> = galleries.iter().filter_map(|g| self.specifications.get(g)).collect();
        let digests: BTreeSet<_> = specifications.iter().map(|s| Digest(s.digest())).collect();
        for image in &mut form.images {
            let number = |n: &QualityNote| Some(Measured { component: Component::named(&n.component)?, value: n.value });
            let measured: Vec<Measured> = image.quality.iter().filter_map(number).collect();
            let judged = specifications.iter().map(|s| s.judge(&measured).findings.into_iter().map(note).collect::<Vec<_>>());
            let strictest = judged.reduce(|a, b| a.into_iter().zip(b).map(|(a, b)| if b.verdict > a.verdict { b } else { a }).collect());
            // Where there is nothing to judge by, nothing is known of the face, and it is not usable.
            image.quality = strictest.unwrap_or_default();
            image.specification = digests.iter().next().filter(|_| digests.len() == 1).copied();
        }
    }

    /// What an image must be like to be searched with in this gallery (A3b).
    pub(crate) fn specification(&self, gallery: GalleryId) -> Result<&ImageSpecification> {
        let found = self.specifications.get(&gallery);
        found.ok_or_else(|| BureauError::Failed(format!("the {gallery} gallery has no image specification here")))
    }

    /// The quality of one face of so many, component by component, judged by nothing yet.
    fn quality(pixels: &Pixels, face: &DetectedFace, of: usize) -> Vec<QualityNote> {
        let Ok(image) = face::Image::new(pixels.width, pixels.height, &pixels.data) else { return vec![] };
        let measured = face::measure(&image, face, of);
        ImageSpecification::default().judge(&measured).findings.into_iter().map(note).collect()
    }

    /// Takes an uploaded image in: decodes it, finds the faces, keeps the original and an upright,
    /// metadata-free rendering sealed under the request's image key.
    ///
    /// # Errors
    /// Refused when it is not an acceptable image; failed when something broke. Nothing is kept then.
    pub(crate) async fn take_in(&self, id: RequestId, bytes: &[u8], name: Option<&str>) -> Result<(FormImage, Vec<Refusal>)> {
        let decoded = self.decoder()?.decode(bytes, name).await.map_err(|e| {
            if e.is_refusal() {
                BureauError::Refused(vec![refuse_field(Clause::S10, Field::Images, e.to_string())])
            } else {
                BureauError::Failed(e.to_string())
            }
        })?;
        let mut notes = vec![];
        if let Some(m) = &decoded.extension_mismatch {
            notes.push(refuse_field(
                Clause::S10,
                Field::Images,
                format!("The file's name says {}, but it is a {}. It was taken in as what it is.", m.declared, m.actual),
            ));
        }
        let rgb = decoded.pixels;
        let pixels = Pixels { width: rgb.width(), height: rgb.height(), data: rgb.data().to_vec() };
        let faces = self.faces(&pixels).await?;
        let (chosen, quality) = match faces.as_slice() {
            [one] => (Some(0), Self::quality(&pixels, one, 1)),
            _ => (None, vec![]),
        };
        let rendering = rgb.to_jpeg(JPEG_QUALITY).map_err(|e| BureauError::Failed(e.to_string()))?;
        let (stream, now) = (StreamId::Request(id), self.now());
        let original = self.store.put_blob(stream, RetentionClass::Images, bytes, now).await?;
        let rendering = self.store.put_blob(stream, RetentionClass::Images, &rendering, now).await?;
        let image = FormImage {
            probe: self.id::<ProbeId>()?,
            digest: sha256(bytes),
            original,
            rendering,
            width: pixels.width,
            height: pixels.height,
            faces: faces.iter().map(box_of).collect(),
            chosen,
            quality,
            specification: None,
            suspicions: decoded.signs.iter().map(suspicion).collect(),
            source: None,
        };
        Ok((image, notes))
    }

    /// The quality of another face of an image that was taken in.
    ///
    /// # Errors
    /// Refused when no face is found in its place any more.
    pub(crate) async fn quality_of(&self, image: &FormImage, chosen: usize) -> Result<Vec<QualityNote>> {
        let original = self.store.get_blob(image.original).await?.ok_or(BureauError::Gone)?;
        let pixels = self.decode_again(&original).await?;
        let faces = self.faces(&pixels).await?;
        let face = found_again(image, chosen, &faces).ok_or_else(|| {
            let words = "That face is not found on this image any more. Take the image off the form and add it again.";
            vec![refuse_field(Clause::S10, Field::Images, words)]
        })?;
        Ok(Self::quality(&pixels, face, faces.len()))
    }

    /// The rendering that people look at: the whole image, fitted.
    pub(crate) async fn rendering(&self, image: &FormImage) -> Result<Vec<u8>> {
        self.store.get_blob(image.rendering).await?.ok_or(BureauError::Gone)
    }

    /// The chosen face with a margin; every other face is masked, so that an examiner sees nobody else.
    pub(crate) async fn masked(&self, image: &FormImage) -> Result<Vec<u8>> {
        let rendering = self.rendering(image).await?;
        let rgb = self.decoder()?.decode(&rendering, None).await.map_err(|e| BureauError::Failed(e.to_string()))?.pixels;
        let chosen = image.chosen.and_then(|i| image.faces.get(i).map(|f| (i, area(f)))).ok_or(BureauError::Gone)?;
        let others: Vec<PixelArea> = image.faces.iter().enumerate().filter(|(i, _)| *i != chosen.0).map(|(_, f)| area(f)).collect();
        nobody_else(&rgb, chosen.1, &others)
    }
}

/// One face of an image as it is now, as [`Bureau::masked`] shows it.
pub(crate) fn alone(pixels: Pixels, faces: &[DetectedFace], chosen: &DetectedFace) -> Result<Vec<u8>> {
    let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).map_err(|e| BureauError::Failed(e.to_string()))?;
    let place = |f: &DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
    let others: Vec<PixelArea> = faces.iter().filter(|f| f.index != chosen.index).map(place).collect();
    nobody_else(&whole, place(chosen), &others)
}

/// A face with a margin, every other face masked, as a JPEG.
fn nobody_else(whole: &Rgb8, chosen: PixelArea, others: &[PixelArea]) -> Result<Vec<u8>> {
    let others: Vec<PixelArea> = others.iter().map(|o| o.padded(MASK_MARGIN)).collect();
    let shown = whole
        .mask_boxes(&others, Mask::Solid)
        .crop(chosen.padded(FACE_MARGIN))
        .map_err(|e| BureauError::Failed(e.to_string()))?
        .scale_to_fit(RENDERING_SIDE_PIXELS, RENDERING_SIDE_PIXELS);
    shown.to_jpeg(JPEG_QUALITY).map_err(|e| BureauError::Failed(e.to_string()))
}

/// A face of an image that was taken in, among the faces that the engine finds on it now. By its place, never by its
/// number: another model may find one face more or fewer, and the number would then name somebody else (M1).
pub(crate) fn found_again<'a>(image: &FormImage, face: usize, now: &'a [DetectedFace]) -> Option<&'a DetectedFace> {
    let PixelArea { x, y, width, height } = area(image.faces.get(face)?);
    DetectedFace::nearest(&face::Area { x, y, width, height }, now)
}

/// A finding as it is recorded.
fn note(f: Finding) -> QualityNote {
    let verdict = match f.level {
        Level::Unmeasured => Verdict::Unmeasured,
        Level::Fine => Verdict::Fine,
        Level::Inform => Verdict::Inform,
        Level::Warn => Verdict::Warn,
        Level::Block => Verdict::Block,
    };
    QualityNote { component: f.component.name().into(), value: f.value, unit: f.unit, verdict, advice: f.advice }
}

/// A sign as it is recorded: what it is a sign of, and why.
fn suspicion(sign: &Sign) -> SuspicionNote {
    let suspicion = match sign.suspicion() {
        decoder::Suspicion::Edited => Suspicion::Edited,
        decoder::Suspicion::Synthetic => Suspicion::Synthetic,
        decoder::Suspicion::ScreenCapture => Suspicion::ScreenCapture,
    };
    SuspicionNote { suspicion, reason: sign.reason().into() }
}

/// What an image must be like, for each gallery, as the policy says it.
///
/// # Errors
/// Failed when the policy's specifications cannot be read or a gallery has none: a broken build, told at start.
pub fn image_specifications() -> Result<BTreeMap<GalleryId, ImageSpecification>> {
    let mut all = ImageSpecification::read(IMAGE_SPECIFICATIONS).map_err(|e| BureauError::Failed(e.to_string()))?;
    let of = |g: GalleryId| {
        let found = all.remove(&g.to_string());
        found.map(|s| (g, s)).ok_or_else(|| BureauError::Failed(format!("the policy has no image specification for the {g} gallery")))
    };
    GalleryId::iter().map(of).collect()
}

#[allow(clippy::cast_possible_truncation)] // pixel coordinates of an image of at most 12,000 a side
fn box_of(face: &DetectedFace) -> FaceBox {
    FaceBox { x: face.area.x as f32, y: face.area.y as f32, width: face.area.width as f32, height: face.area.height as f32 }
}

fn area(f: &FaceBox) -> PixelArea {
    PixelArea { x: f64::from(f.x), y: f64::from(f.y), width: f64::from(f.width), height: f64::from(f.height) }
}

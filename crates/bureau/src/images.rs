//! Images on a form: decoding, finding faces, quality, and the renderings that people look at.

use crate::{Bureau, BureauError, Result, sha256};
use casework::{
    clause::Clause,
    form::{FaceBox, Field, FormImage, QualityNote, Verdict},
    ids::{ProbeId, RequestId},
    record::{RetentionClass, StreamId},
    refusal::{Refusal, refuse_field},
};
use decoder::{JPEG_QUALITY, Mask, PixelArea};
use face::{DetectedFace, FaceError};

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

    /// The quality of one face, component by component (S10, A3).
    #[must_use]
    pub fn quality(&self, pixels: &Pixels, faces: &[DetectedFace], chosen: usize) -> Vec<QualityNote> {
        let (Some(face), Ok(image)) = (faces.get(chosen), face::Image::new(pixels.width, pixels.height, &pixels.data)) else {
            return vec![];
        };
        face::quality(&image, face, faces.len(), &self.specification)
            .findings
            .into_iter()
            .map(|f| QualityNote {
                component: component(f.component).into(),
                verdict: match f.level {
                    face::Level::Fine => Verdict::Fine,
                    face::Level::Warn => Verdict::Warn,
                    face::Level::Block => Verdict::Block,
                },
                advice: f.advice,
            })
            .collect()
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
        let chosen = (faces.len() == 1).then_some(0);
        let quality = chosen.map(|c| self.quality(&pixels, &faces, c)).unwrap_or_default();
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
            source: None,
        };
        Ok((image, notes))
    }

    /// The quality of another face of an image that was taken in.
    pub(crate) async fn quality_of(&self, image: &FormImage, chosen: usize) -> Result<Vec<QualityNote>> {
        let original = self.store.get_blob(image.original).await?.ok_or(BureauError::Gone)?;
        let pixels = self.decode(&original).await?;
        let faces = self.faces(&pixels).await?;
        Ok(self.quality(&pixels, &faces, chosen))
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
        let others: Vec<PixelArea> =
            image.faces.iter().enumerate().filter(|(i, _)| *i != chosen.0).map(|(_, f)| area(f).padded(0.15)).collect();
        let shown = rgb
            .mask_boxes(&others, Mask::Solid)
            .crop(chosen.1.padded(FACE_MARGIN))
            .map_err(|e| BureauError::Failed(e.to_string()))?
            .scale_to_fit(RENDERING_SIDE_PIXELS, RENDERING_SIDE_PIXELS);
        shown.to_jpeg(JPEG_QUALITY).map_err(|e| BureauError::Failed(e.to_string()))
    }
}

/// The component's name in records and on pages, kebab-case.
fn component(c: face::Component) -> &'static str {
    match c {
        face::Component::FaceCount => "face-count",
        face::Component::EyeDistance => "eye-distance",
        face::Component::Sharpness => "sharpness",
        face::Component::Exposure => "exposure",
        face::Component::Contrast => "contrast",
        face::Component::Roll => "roll",
        face::Component::Yaw => "yaw",
        face::Component::Margin => "margin",
    }
}

#[allow(clippy::cast_possible_truncation)] // pixel coordinates of an image of at most 12,000 a side
fn box_of(face: &DetectedFace) -> FaceBox {
    FaceBox { x: face.area.x as f32, y: face.area.y as f32, width: face.area.width as f32, height: face.area.height as f32 }
}

fn area(f: &FaceBox) -> PixelArea {
    PixelArea { x: f64::from(f.x), y: f64::from(f.y), width: f64::from(f.width), height: f64::from(f.height) }
}

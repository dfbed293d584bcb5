//! enrolment: adding held images to a gallery, resumably, with a report of what was refused and why.

use crate::{Bureau, BureauError, Result, sha256};
use casework::{
    disclosure::Biography,
    ids::{Digest, ReferenceId},
    policy::BioField,
    record::GalleryId,
};
use decoder::JPEG_QUALITY;
use gallery::{Attributes, NewReference};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use store::NewHolding;

/// The largest biography file, in bytes.
const BIOGRAPHY_BYTES_MAX: u64 = 64 * 1024;
/// Synthetic references appended at a time.
const FILLERS_AT_ONCE: u64 = 5_000;

/// One reference to enrol.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The image file's bytes.
    pub image: Vec<u8>,
    /// Its biography.
    pub biography: Biography,
}

/// What became of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It is in the gallery under this id.
    Added(ReferenceId),
    /// It was there already.
    Already,
}

/// One refused file.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedFile {
    /// The file's name within the folder.
    pub file: String,
    /// Why, in plain words.
    pub why: String,
}

/// The report of a bulk enrolment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EnrolReport {
    /// Added now.
    pub added: u64,
    /// Enrolled before.
    pub already: u64,
    /// Refused, with reasons.
    pub refused: Vec<RefusedFile>,
}

/// The file beside an image, `NAME.json`: fields by name.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
struct Sidecar(std::collections::BTreeMap<BioField, String>);

impl Bureau {
    /// Enrols one image. The reference's id comes from the image's digest and the gallery, so that an
    /// enrolment killed half-way is taken up again without doubling anything.
    ///
    /// # Errors
    /// Refused when it is not an acceptable image or does not show exactly one face.
    pub async fn enrol_one(&self, gallery: GalleryId, enrolment: Enrolment) -> Result<Enrolled> {
        let local = self.galleries.get(&gallery).ok_or_else(|| BureauError::Gallery("this gallery is not open here".into()))?.clone();
        let source = sha256(&enrolment.image);
        let id = self.reference_id(gallery, source);
        if local.contains(id.as_bytes()).map_err(|e| BureauError::Gallery(e.to_string()))?
            && self.store.holding_by_source(gallery, source).await?.is_some()
        {
            return Ok(Enrolled::Already);
        }
        let pixels = self.decode(&enrolment.image).await?;
        let faces = self.faces(&pixels).await?;
        if faces.len() != 1 {
            return Err(vec![casework::refusal::refuse(
                &[casework::clause::Clause::A3],
                format!("The image shows {} faces; a reference shows exactly one.", faces.len()),
            )]
            .into());
        }
        let (engine, copy) = (self.engine()?.clone(), pixels.clone());
        let made = tokio::task::spawn_blocking(move || {
            let image = face::Image::new(copy.width, copy.height, &copy.data)?;
            engine.template(&image, &faces[0])
        });
        let template = made.await.map_err(|e| BureauError::Engine(e.to_string()))?.map_err(|e| BureauError::Engine(e.to_string()))?;
        let clean = decoder::Rgb8::new(pixels.width, pixels.height, pixels.data)
            .and_then(|p| p.to_jpeg(JPEG_QUALITY))
            .map_err(|e| BureauError::Failed(e.to_string()))?;
        let biography = serde_json::to_vec(&enrolment.biography)?;
        // The holding first: a template without its picture could be found but not compared.
        self.store.put_holdings(gallery, vec![NewHolding { reference: id, source, image: Some(clean), biography }], self.now()).await?;
        let attributes = Attributes { synthetic: false, enrolled_at: self.now().as_microsecond(), ..attributes(&enrolment.biography) };
        let reference = NewReference { id: *id.as_bytes(), template: template.values().to_vec(), attributes };
        append(local, vec![reference]).await?;
        Ok(Enrolled::Added(id))
    }

    /// Enrols every JPEG and PNG of a folder, in name order. `NAME.json` beside an image holds its
    /// biography. `progress(done, all)` is called after each file.
    ///
    /// # Errors
    /// When the folder cannot be read or the gallery fails; a refused file is reported, not an error.
    pub async fn enrol_folder(&self, gallery: GalleryId, folder: &Path, mut progress: impl FnMut(u64, u64)) -> Result<EnrolReport> {
        let files = image_files(folder)?;
        let all = files.len() as u64;
        let mut report = EnrolReport::default();
        for (n, file) in files.iter().enumerate() {
            let name = file.strip_prefix(folder).unwrap_or(file).display().to_string();
            match self.enrol_file(gallery, file).await {
                Ok(Enrolled::Added(_)) => report.added += 1,
                Ok(Enrolled::Already) => report.already += 1,
                Err(BureauError::Refused(why)) => {
                    report.refused.push(RefusedFile { file: name, why: why.iter().map(|r| r.words.as_str()).collect::<Vec<_>>().join(" ") })
                }
                Err(BureauError::Failed(why)) => report.refused.push(RefusedFile { file: name, why }),
                Err(e) => return Err(e),
            }
            progress(n as u64 + 1, all);
        }
        let what = format!("{} added, {} already there, {} refused", report.added, report.already, report.refused.len());
        self.note("enrolled", None, &what, Some(gallery)).await?;
        Ok(report)
    }

    /// The first 16 bytes of a keyed hash of gallery and source, as a UUID of version 8 (free form, RFC
    /// 9562): the same image gets the same id, and nobody without the key can test whether it is enrolled.
    fn reference_id(&self, gallery: GalleryId, source: Digest) -> ReferenceId {
        let digest = self.store.keyed_hash("reference", format!("{gallery}|{source}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        ReferenceId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    async fn enrol_file(&self, gallery: GalleryId, file: &Path) -> Result<Enrolled> {
        let failed = |e: std::io::Error| BureauError::Failed(format!("The file could not be read: {e}."));
        let size = std::fs::metadata(file).map_err(failed)?.len();
        if size > decoder::IMAGE_BYTES_MAX as u64 {
            return Err(BureauError::Failed(format!("The file has {size} bytes; at most {} are allowed.", decoder::IMAGE_BYTES_MAX)));
        }
        let image = std::fs::read(file).map_err(failed)?;
        let sidecar = file.with_extension("json");
        let biography = if sidecar.exists() {
            let length = std::fs::metadata(&sidecar).map_err(failed)?.len();
            if length > BIOGRAPHY_BYTES_MAX {
                return Err(BureauError::Failed(format!(
                    "The biography beside it has {length} bytes; at most {BIOGRAPHY_BYTES_MAX} are allowed."
                )));
            }
            let text = std::fs::read(&sidecar).map_err(failed)?;
            let Sidecar(fields) =
                serde_json::from_slice(&text).map_err(|e| BureauError::Failed(format!("The biography beside it cannot be read: {e}.")))?;
            Biography(fields)
        } else {
            Biography::default()
        };
        self.enrol_one(gallery, Enrolment { image, biography }).await
    }

    /// Fills a gallery up with synthetic references that have no picture and no person behind them.
    /// Resumable: what is there is left. `progress(done, all)` is called after each batch.
    ///
    /// # Errors
    /// When the gallery or the store fails.
    pub async fn enrol_fillers(
        &self,
        gallery: GalleryId,
        filler: &face::filler::Filler,
        seed: u64,
        count: u64,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64> {
        let local = self.galleries.get(&gallery).ok_or_else(|| BureauError::Gallery("this gallery is not open here".into()))?.clone();
        let mut added = 0;
        let mut from = 0;
        while from < count {
            let until = count.min(from + FILLERS_AT_ONCE);
            let mut holdings = vec![];
            let mut references = vec![];
            for n in from..until {
                let source = sha256(format!("countersign synthetic {seed} {n}").as_bytes());
                let id = self.reference_id(gallery, source);
                if local.contains(id.as_bytes()).map_err(|e| BureauError::Gallery(e.to_string()))? {
                    continue;
                }
                let template = filler.template(seed, n).map_err(|e| BureauError::Engine(e.to_string()))?;
                let biography =
                    Biography([(BioField::OtherBiographical, format!("Synthetic reference {n}: no person and no picture"))].into());
                holdings.push(NewHolding { reference: id, source, image: None, biography: serde_json::to_vec(&biography)? });
                let attributes = Attributes { synthetic: true, enrolled_at: self.now().as_microsecond(), ..Attributes::default() };
                references.push(NewReference { id: *id.as_bytes(), template: template.values().to_vec(), attributes });
            }
            if !references.is_empty() {
                added += references.len() as u64;
                self.store.put_holdings(gallery, holdings, self.now()).await?;
                append(local.clone(), references).await?;
            }
            from = until;
            progress(from, count);
        }
        Ok(added)
    }
}

async fn append(local: std::sync::Arc<gallery::LocalGallery>, references: Vec<NewReference>) -> Result<()> {
    let model = gallery::Gallery::model_id(&*local).clone();
    let done = tokio::task::spawn_blocking(move || local.append(&model, &references));
    done.await.map_err(|e| BureauError::Gallery(e.to_string()))?.map_err(|e| BureauError::Gallery(e.to_string()))?;
    Ok(())
}

fn attributes(biography: &Biography) -> Attributes {
    let year = biography.0.get(&BioField::DateOfBirth).and_then(|d| d.get(..4)).and_then(|y| y.parse().ok()).unwrap_or(0);
    let sex_marker = biography.0.get(&BioField::SexMarker).and_then(|s| s.bytes().next()).unwrap_or(0);
    Attributes { synthetic: false, sex_marker, year_of_birth: year, enrolled_at: 0 }
}

/// The JPEG and PNG files in a folder and those below it, in name order; links are left out.
///
/// # Errors
/// When a folder cannot be read.
pub fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut out = vec![];
    let mut waiting = vec![folder.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries = std::fs::read_dir(&dir).map_err(|e| BureauError::Failed(format!("{} cannot be read: {e}", dir.display())))?;
        for entry in entries {
            let path = entry.map_err(|e| BureauError::Failed(e.to_string()))?.path();
            if path.is_symlink() {
                continue; // what is enrolled lies in the folder itself
            }
            if path.is_dir() {
                waiting.push(path);
            } else if path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| ["jpg", "jpeg", "png"].contains(&e.to_ascii_lowercase().as_str()))
            {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

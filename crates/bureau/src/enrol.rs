//! enrolment: adding held images to a gallery, resumably, with a report of what was refused and why.
//!
//! Images flow through decode → detect → template → keep, several on their way at once; what is ready
//! is kept together, so that a batch costs one commit and one sync. For another model the same flow
//! fills a second index from the images that are held, while the first is searched. A file of the ANSI/NIST-ITL
//! exchange format goes the same way, each of its faces as a picture ([`crate::exchange`]).

use crate::{
    Bureau, BureauError, Result,
    exchange::{self, Type2},
    images::Pixels,
    sha256,
};
use casework::{
    disclosure::Biography,
    ids::{Digest, ReferenceId},
    policy::BioField,
    record::GalleryId,
};
use decoder::JPEG_QUALITY;
use face::Engine;
use futures_util::{Stream, StreamExt};
use gallery::{Attributes, Gallery as _, LocalGallery, NewReference};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Instant,
};
use store::NewHolding;

/// The largest biography file, in bytes.
const BIOGRAPHY_BYTES_MAX: u64 = 64 * 1024;
/// Synthetic references appended at a time.
const FILLERS_AT_ONCE: u64 = 5_000;
/// References kept together at most.
const KEPT_TOGETHER: usize = 64;
/// References that a second index asks for at a time.
const PAGE: u32 = 1_000;

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

/// One refused file, or one refused picture of a file.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedFile {
    /// The file's name within the folder, and which of its pictures, where it may have several.
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
    /// Where the time went.
    pub spent: Spent,
}

/// The report of filling a second index.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReEnrolReport {
    /// Added now.
    pub added: u64,
    /// In it before.
    pub already: u64,
    /// Held without a picture (synthetic references): no template can be made for them.
    pub without_picture: u64,
    /// How many pictures the new model refused; the references have no template in the second index.
    pub refused: u64,
    /// How many could not be read or seen for a fault that is not theirs. Until there are none the index is
    /// not whole: run it again.
    pub failed: u64,
    /// Where the time went.
    pub spent: Spent,
}

/// Seconds spent in each step, added up over all images. Steps of several images run side by side, so
/// the sum is more than the time that passed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spent {
    /// From file to pixels, in a process of its own.
    pub decode: f64,
    /// From pixels to faces.
    pub detect: f64,
    /// From face to template, and the rendering that is held.
    pub template: f64,
    /// Onto disk: holdings and gallery.
    pub keep: f64,
}

impl Spent {
    /// The step that took most, and its share of all (0 to 1); `None` before anything was done.
    pub fn bottleneck(&self) -> Option<(&'static str, f64)> {
        let steps = [
            ("decoding the pictures", self.decode),
            ("finding the faces", self.detect),
            ("making the templates", self.template),
            ("keeping them", self.keep),
        ];
        let all: f64 = steps.iter().map(|(_, seconds)| seconds).sum();
        let most = steps.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (all > 0.0).then_some((most.0, most.1 / all))
    }

    fn add(&mut self, other: &Self) {
        self.decode += other.decode;
        self.detect += other.detect;
        self.template += other.template;
        self.keep += other.keep;
    }
}

/// What is made of an image that shows one face.
struct Made {
    template: face::Template,
    /// Upright and without metadata.
    clean: Vec<u8>,
    spent: Spent,
}

/// A reference that is ready to be kept.
struct Ready {
    holding: NewHolding,
    reference: NewReference,
    spent: Spent,
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
        let Some(ready) = self.prepare(gallery, enrolment, None).await? else { return Ok(Enrolled::Already) };
        let id = ready.holding.reference;
        Ok(if self.hold(gallery, vec![ready]).await? == 1 { Enrolled::Added(id) } else { Enrolled::Already })
    }

    /// Enrols every JPEG, PNG and ANSI/NIST-ITL file of a folder, in name order. `NAME.json` beside an image holds its
    /// biography; in an ANSI/NIST-ITL file it is Type-2, read by `map`. `progress(done, all)` is called whenever some
    /// files are done.
    ///
    /// # Errors
    /// When the folder cannot be read or the gallery fails; a refused file is reported, not an error.
    pub async fn enrol_folder(
        &self,
        gallery: GalleryId,
        folder: &Path,
        map: &Type2,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<EnrolReport> {
        let files = files(folder, &[&PICTURES[..], &exchange::EXTENSIONS].concat())?;
        let all = files.len() as u64;
        let mut report = EnrolReport::default();
        let mut done = 0;
        let ready = files.iter().map(|file| async move {
            if has_extension(file, &exchange::EXTENSIONS) {
                (file, self.prepare_exchanged(gallery, file, map).await)
            } else {
                (file, vec![(None, self.prepare_file(gallery, file).await)])
            }
        });
        let mut ready = pin!(side_by_side(ready));
        while let Some(some) = ready.next().await {
            done += some.len() as u64;
            let mut batch = vec![];
            let pictures = some.into_iter().flat_map(|(file, pictures)| pictures.into_iter().map(move |(which, made)| (file, which, made)));
            for (file, which, outcome) in pictures {
                let file = || {
                    let name = file.strip_prefix(folder).unwrap_or(file).display();
                    which.as_ref().map_or_else(|| name.to_string(), |which| format!("{name}, {which}"))
                };
                match outcome {
                    Ok(Some(one)) => batch.push(one),
                    Ok(None) => report.already += 1,
                    Err(BureauError::Refused(why)) => report
                        .refused
                        .push(RefusedFile { file: file(), why: why.iter().map(|r| r.words.as_str()).collect::<Vec<_>>().join(" ") }),
                    // One picture that the engine stumbles over does not keep the others out.
                    Err(BureauError::Failed(why) | BureauError::Engine(why)) => report.refused.push(RefusedFile { file: file(), why }),
                    Err(e) => return Err(e),
                }
            }
            batch.iter().for_each(|one| report.spent.add(&one.spent));
            let (began, of) = (Instant::now(), batch.len() as u64);
            let added = self.hold(gallery, batch).await?;
            report.spent.keep += began.elapsed().as_secs_f64();
            report.added += added;
            report.already += of - added;
            progress(done, all);
        }
        let what = format!("{} added, {} already there, {} refused", report.added, report.already, report.refused.len());
        self.note(casework::processing::HouseKind::Enrolled, None, &what, Some(gallery)).await?;
        Ok(report)
    }

    /// Makes the templates of a gallery's references anew with another engine, into `index`, an index
    /// for that engine's model. The gallery is searched with its first index meanwhile. Stopped half-way,
    /// it goes on where it was; run again, it takes in what was enrolled since. `progress(done, all)` is
    /// called whenever some are done.
    ///
    /// # Errors
    /// When the gallery or the store fails; a picture that the new model refuses is counted.
    pub async fn re_enrol(
        &self,
        gallery: GalleryId,
        engine: &Arc<dyn Engine>,
        index: &Arc<LocalGallery>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<ReEnrolReport> {
        let all = self.store.holding_count(gallery).await?;
        let mut report = ReEnrolReport::default();
        let mut after = None;
        let mut done = 0;
        loop {
            let page = self.store.holdings_after(gallery, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0);
            let mut waiting = vec![];
            for (reference, pictured) in page {
                if index.contains(reference.as_bytes()).map_err(gallery_error)? {
                    report.already += 1;
                } else if pictured {
                    waiting.push(reference);
                    continue;
                } else {
                    report.without_picture += 1;
                }
                done += 1;
            }
            let ready = waiting.into_iter().map(|reference| self.made_anew(gallery, reference, engine));
            let mut ready = pin!(side_by_side(ready));
            while let Some(some) = ready.next().await {
                done += some.len() as u64;
                let mut batch = vec![];
                for outcome in some {
                    match outcome {
                        Ok((reference, spent)) => {
                            report.spent.add(&spent);
                            batch.push(reference);
                        }
                        Err(BureauError::Refused(_)) => report.refused += 1,
                        Err(BureauError::Failed(_) | BureauError::Engine(_)) => report.failed += 1,
                        Err(e) => return Err(e),
                    }
                }
                let began = Instant::now();
                report.added += batch.len() as u64;
                append(index.clone(), batch).await?;
                report.spent.keep += began.elapsed().as_secs_f64();
                progress(done, all);
            }
            progress(done, all);
        }
        let what = format!(
            "for the model {}: {} added, {} already there, {} refused, {} failed, {} without a picture",
            engine.model().id,
            report.added,
            report.already,
            report.refused,
            report.failed,
            report.without_picture
        );
        self.note(casework::processing::HouseKind::Enrolled, None, &what, Some(gallery)).await?;
        Ok(report)
    }

    /// How many references are held, with a template or without.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn held(&self, gallery: GalleryId) -> Result<u64> {
        Ok(self.store.holding_count(gallery).await?)
    }

    /// A held reference as another engine sees it.
    async fn made_anew(&self, gallery: GalleryId, reference: ReferenceId, engine: &Arc<dyn Engine>) -> Result<(NewReference, Spent)> {
        let gone = || BureauError::Failed("a reference was taken out while it was read; run it again".into());
        let image = self.store.get_holding_image(gallery, reference).await?.ok_or_else(gone)?;
        let biography = self.store.get_holding_biography(gallery, reference).await?.ok_or_else(gone)?;
        let biography: Biography = serde_json::from_slice(&biography)?;
        let known = match self.gallery(gallery) {
            Some(first) => first.attributes(reference.as_bytes()).map_err(gallery_error)?,
            None => None,
        };
        let began = Instant::now();
        let pixels = self.decode_again(&image).await?;
        let decode = began.elapsed().as_secs_f64();
        let made = see(engine, pixels).await?;
        let attributes = known.unwrap_or(Attributes { enrolled_at: self.now().as_microsecond(), ..attributes(&biography) });
        Ok((
            NewReference { id: *reference.as_bytes(), template: made.template.values().to_vec(), attributes },
            Spent { decode, ..made.spent },
        ))
    }

    /// From an image to what is kept of it; `None` if it is enrolled. Where the file `says` how large the picture is, it
    /// has to be so, upright or turned.
    async fn prepare(&self, gallery: GalleryId, enrolment: Enrolment, says: Option<(u32, u32)>) -> Result<Option<Ready>> {
        let source = sha256(&enrolment.image);
        let id = self.reference_id(gallery, source);
        let held = self.store.holding_by_source(gallery, source).await?.is_some();
        let enrolled = match self.elsewhere.get(&gallery) {
            Some(elsewhere) => held && self.enrolled_elsewhere(elsewhere, id).await?,
            None => held && self.index(gallery)?.contains(id.as_bytes()).map_err(gallery_error)?,
        };
        if enrolled {
            return Ok(None);
        }
        let began = Instant::now();
        let pixels = self.decode(&enrolment.image).await?;
        let decode = began.elapsed().as_secs_f64();
        if let Some((width, height)) = says
            && ![(width, height), (height, width)].contains(&(pixels.width, pixels.height))
        {
            let (w, h) = (pixels.width, pixels.height);
            return Err(not_one(format!("The file says that the picture has {width} × {height} pixels; it has {w} × {h}.")));
        }
        let made = see(self.engine()?, pixels).await?;
        let attributes = Attributes { synthetic: false, enrolled_at: self.now().as_microsecond(), ..attributes(&enrolment.biography) };
        Ok(Some(Ready {
            reference: NewReference { id: *id.as_bytes(), template: made.template.values().to_vec(), attributes },
            holding: NewHolding { reference: id, source, image: Some(made.clean), biography: serde_json::to_vec(&enrolment.biography)? },
            spent: Spent { decode, ..made.spent },
        }))
    }

    /// Keeps references together, and returns how many were new: one image may come twice.
    async fn hold(&self, gallery: GalleryId, mut ready: Vec<Ready>) -> Result<u64> {
        let mut seen = BTreeSet::new();
        ready.retain(|one| seen.insert(one.reference.id));
        if let Some(elsewhere) = self.elsewhere.get(&gallery) {
            return self.hold_elsewhere(gallery, elsewhere, ready.into_iter().map(|one| one.holding).collect()).await;
        }
        let index = self.index(gallery)?;
        let (mut holdings, mut references) = (vec![], vec![]);
        for one in ready {
            // It may have come in while this one was on its way; or its holding alone, before a crash.
            if !index.contains(&one.reference.id).map_err(gallery_error)? {
                references.push(one.reference);
            }
            holdings.push(one.holding);
        }
        let new = references.len() as u64;
        // The holdings first: a template without its picture could be found but not compared.
        if !holdings.is_empty() {
            self.store.put_holdings(gallery, holdings, self.now()).await?;
        }
        append(index, references).await?;
        Ok(new)
    }

    /// The index that is searched.
    fn index(&self, gallery: GalleryId) -> Result<Arc<LocalGallery>> {
        self.gallery(gallery).cloned().ok_or_else(|| BureauError::Gallery("this gallery is not open here".into()))
    }

    /// The first 16 bytes of a keyed hash of gallery and source, as a UUID of version 8 (free form, RFC
    /// 9562): the same image gets the same id, and nobody without the key can test whether it is enrolled.
    fn reference_id(&self, gallery: GalleryId, source: Digest) -> ReferenceId {
        let digest = self.store.keyed_hash("reference", format!("{gallery}|{source}").as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        ReferenceId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Each face of an ANSI/NIST-ITL file: which it is, and what is kept of it.
    async fn prepare_exchanged(&self, gallery: GalleryId, file: &Path, map: &Type2) -> Vec<(Option<String>, Result<Option<Ready>>)> {
        let bytes = match read(file, nist::FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(e) => return vec![(None, Err(e))],
        };
        let mut out = vec![];
        for (which, face) in exchange::faces(&bytes, map) {
            let made = match face {
                Ok(face) => self.prepare(gallery, face.enrolment, Some(face.says)).await,
                Err(e) => Err(e),
            };
            out.push((which, made));
        }
        out
    }

    async fn prepare_file(&self, gallery: GalleryId, file: &Path) -> Result<Option<Ready>> {
        let failed = |e: std::io::Error| BureauError::Failed(format!("The file could not be read: {e}."));
        let image = read(file, decoder::IMAGE_BYTES_MAX)?;
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
        self.prepare(gallery, Enrolment { image, biography }, None).await
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
        let local = self.index(gallery)?;
        let mut added = 0;
        let mut from = 0;
        while from < count {
            let until = count.min(from + FILLERS_AT_ONCE);
            let mut holdings = vec![];
            let mut references = vec![];
            for n in from..until {
                let source = sha256(format!("countersign synthetic {seed} {n}").as_bytes());
                let id = self.reference_id(gallery, source);
                if local.contains(id.as_bytes()).map_err(gallery_error)? {
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

/// Finds an image's one face and makes the template.
async fn see(engine: &Arc<dyn Engine>, pixels: Pixels) -> Result<Made> {
    let engine = engine.clone();
    let made = tokio::task::spawn_blocking(move || {
        use face::FaceError::{NoAlignment, TooManyFaces};
        let failed = |e: face::FaceError| match e {
            TooManyFaces { .. } | NoAlignment => not_one(format!("{e}.")),
            e => BureauError::Engine(e.to_string()),
        };
        let image = face::Image::new(pixels.width, pixels.height, &pixels.data).map_err(failed)?;
        let began = Instant::now();
        let faces = engine.detect(&image).map_err(failed)?;
        let [face] = faces.as_slice() else {
            return Err(not_one(format!("The image shows {} faces; a reference shows exactly one.", faces.len())));
        };
        let detect = began.elapsed().as_secs_f64();
        let template = engine.template(&image, face).map_err(failed)?;
        let clean = decoder::Rgb8::new(pixels.width, pixels.height, pixels.data)
            .and_then(|p| p.to_jpeg(JPEG_QUALITY))
            .map_err(|e| BureauError::Failed(e.to_string()))?;
        let spent = Spent { decode: 0.0, detect, template: began.elapsed().as_secs_f64() - detect, keep: 0.0 };
        Ok(Made { template, clean, spent })
    });
    made.await.map_err(|e| BureauError::Engine(e.to_string()))?
}

/// Refused because it is not a picture of one face that can be made a template of (A3).
fn not_one(words: String) -> BureauError {
    vec![casework::refusal::refuse(&[casework::clause::Clause::A3], words)].into()
}

/// Runs as many at once as there are processors, and yields what is ready together, in order.
fn side_by_side<F: Future>(each: impl Iterator<Item = F>) -> impl Stream<Item = Vec<F::Output>> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    futures_util::stream::iter(each).buffered(processors).ready_chunks(KEPT_TOGETHER)
}

async fn append(local: Arc<LocalGallery>, references: Vec<NewReference>) -> Result<()> {
    if references.is_empty() {
        return Ok(());
    }
    let model = local.model_id().clone();
    let done = tokio::task::spawn_blocking(move || local.append(&model, &references));
    done.await.map_err(|e| BureauError::Gallery(e.to_string()))?.map_err(gallery_error)?;
    Ok(())
}

fn gallery_error(e: gallery::Error) -> BureauError {
    BureauError::Gallery(e.to_string())
}

fn attributes(biography: &Biography) -> Attributes {
    let year = biography.0.get(&BioField::DateOfBirth).and_then(|d| d.get(..4)).and_then(|y| y.parse().ok()).unwrap_or(0);
    let sex_marker = biography.0.get(&BioField::SexMarker).and_then(|s| s.bytes().next()).unwrap_or(0);
    Attributes { synthetic: false, sex_marker, year_of_birth: year, enrolled_at: 0 }
}

/// A whole file, if it is not too large.
fn read(file: &Path, most: usize) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| BureauError::Failed(format!("The file could not be read: {e}."));
    let size = std::fs::metadata(file).map_err(failed)?.len();
    if size > most as u64 {
        return Err(BureauError::Failed(format!("The file has {size} bytes; at most {most} are allowed.")));
    }
    std::fs::read(file).map_err(failed)
}

/// Extensions of pictures.
const PICTURES: [&str; 3] = ["jpg", "jpeg", "png"];

fn has_extension(path: &Path, of: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| of.contains(&e.to_ascii_lowercase().as_str()))
}

/// The JPEG and PNG files in a folder and those below it, in name order; links are left out.
///
/// # Errors
/// When a folder cannot be read.
pub fn image_files(folder: &Path) -> Result<Vec<PathBuf>> {
    files(folder, &PICTURES)
}

fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
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
            } else if has_extension(&path, extensions) {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

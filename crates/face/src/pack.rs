//! A model pack: a folder with `manifest.toml` and the files that it names, each checked by digest.

use crate::{Better, ModelId, ScoreScale, Threshold};
use serde::Deserialize;
use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
};

/// The manifest's name.
const MANIFEST: &str = "manifest.toml";
/// The manifest version that this code reads.
const FORMAT: u32 = 1;
/// Raised whenever this code turns the same image and manifest into another template.
const PIPELINE: u32 = 2;
/// YuNet's coarsest stride, in pixels.
const YUNET_STRIDE_MAX: u32 = 32;
/// The longest pack id, in characters.
const ID_CHARACTERS_MAX: usize = 64;
/// What no file's contents depend on: left out of the model id.
const NOT_SHAPING: [&str; 3] = ["file", "self_test", "self_test_output"];
/// The largest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// The largest single net, in bytes.
const NET_BYTES_MAX: u64 = 1 << 30;

/// Why a pack could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path} of the model pack: {source}. Run `make setup`, or give the folder of a model pack")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is larger than the limit.
    #[error("{path} is larger than {limit} bytes, the limit for this file of a model pack")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A name leads to something other than a file.
    #[error("{path} of the model pack is not a file. Replace it, or make the pack again")]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// The manifest is not what this version reads.
    #[error("{path} is not a manifest that this version reads: {reason}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is not the one that the manifest names.
    #[error(
        "{path} is not the file its manifest names: its SHA-256 is {found}, expected {expected}. Replace the file, or make the pack again"
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The manifest's digest.
        expected: String,
        /// The file's digest.
        found: String,
    },
}

/// What is known about the model of an engine.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Identifies the embedding.
    pub id: ModelId,
    /// The pack's id.
    pub pack: String,
    /// The pack's name for people.
    pub name: String,
    /// The licence of the weights.
    pub licence: String,
    /// Where the weights came from.
    pub source: String,
    /// Values in a template.
    pub dimension: usize,
    /// What scores can be.
    pub scale: ScoreScale,
    /// The calibrated threshold.
    pub threshold: Threshold,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    id: String,
    name: String,
    model: String,
    licence: String,
    source: String,
    #[serde(default)]
    notes: String,
    /// A folder of sample photographs, relative to the pack.
    samples: Option<PathBuf>,
    pub(crate) detector: Detector,
    pub(crate) landmarks: Option<Landmarks>,
    pub(crate) embedding: Embedding,
    score: ScoreScale,
    threshold: ThresholdRecord,
    filler: Option<Data>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum DetectorKind {
    /// Outputs `boxes` (top, left, bottom, right, relative to the input) and `scores`.
    #[serde(rename = "ssd-mobilenet-v1-faceapi")]
    SsdFaceApi,
    /// Outputs `cls_s`, `obj_s`, `bbox_s`, `kps_s` for strides 8, 16 and 32 (Wu et al. 2023).
    #[serde(rename = "yunet")]
    YuNet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum LandmarksKind {
    /// 68 points in the iBUG 300-W order, relative to the input.
    #[serde(rename = "landmarks-68")]
    SixtyEight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum EmbeddingKind {
    /// One vector out for one aligned chip in.
    #[serde(rename = "embedding")]
    Embedding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channels {
    Rgb,
    Bgr,
}

/// How pixels become a net's input: each channel (in `channels` order) is `(pixel - mean) / divide_by`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Pixels; the most of them, if `multiple_of` is given.
    pub(crate) width: u32,
    /// Pixels; the most of them, if `multiple_of` is given.
    pub(crate) height: u32,
    /// For a detector that takes any size: an image within `width` × `height` keeps its own, a larger one is made
    /// smaller, and black is added at the right and bottom up to the next multiple of this.
    pub(crate) multiple_of: Option<u32>,
    pub(crate) channels: Channels,
    pub(crate) mean: [f32; 3],
    pub(crate) divide_by: [f32; 3],
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detector {
    pub(crate) kind: DetectorKind,
    file: PathBuf,
    sha256: String,
    pub(crate) input: Input,
    /// The least detection score, 0 to 1.
    pub(crate) score_min: f32,
    /// Two boxes that overlap more than this (intersection over union) are one face.
    pub(crate) overlap_max: f32,
    /// When nothing is found: try again with the image filling only this share of the input, in this order.
    /// Helps detectors that miss faces which fill the picture.
    #[serde(default)]
    pub(crate) retry_fill: Vec<f64>,
    /// Unless a face reaches this score, the picture is looked at turned, too. By default any face suffices.
    #[serde(default)]
    pub(crate) sure_score: f32,
    /// Degrees by which the picture is then turned. The look with the highest score counts.
    #[serde(default)]
    pub(crate) retry_turns: Vec<f64>,
    /// For detectors that place points less well on a tilted face: one tilted by more than so many degrees is looked
    /// at again, alone and levelled.
    pub(crate) level_over: Option<f64>,
    /// What the net answered, where the pack was made, to the ramp picture of `width` × `height`:
    /// pixel (x, y, channel) = (3x + 5y + 7·channel) mod 256. The first values of `self_test_output`.
    #[serde(default)]
    pub(crate) self_test: Vec<f32>,
    /// The output that the self-test looks at; the net's first without it.
    pub(crate) self_test_output: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Landmarks {
    #[allow(dead_code, reason = "reading it is the check that the kind is known")]
    kind: LandmarksKind,
    file: PathBuf,
    sha256: String,
    pub(crate) input: Input,
    #[serde(default)]
    pub(crate) self_test: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Normalisation {
    /// The output is scaled to unit length before it is compared.
    UnitLength,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embedding {
    #[allow(dead_code, reason = "reading it is the check that the kind is known")]
    kind: EmbeddingKind,
    file: PathBuf,
    sha256: String,
    pub(crate) dimension: usize,
    #[allow(dead_code, reason = "reading it is the check that the kind is known")]
    normalisation: Normalisation,
    pub(crate) input: Input,
    pub(crate) alignment: Alignment,
    /// Whether the template is the mean of the chip's and its mirror image's.
    #[serde(default)]
    pub(crate) flip: bool,
    #[serde(default)]
    pub(crate) self_test: Vec<f32>,
}

/// Where points of a face belong in the chip, in chip pixels. Left and right are the image's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alignment {
    pub(crate) left_eye: [f64; 2],
    pub(crate) right_eye: [f64; 2],
    pub(crate) nose: Option<[f64; 2]>,
    pub(crate) left_mouth: [f64; 2],
    pub(crate) right_mouth: [f64; 2],
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdRecord {
    value: f64,
    false_match_rate: f64,
    method: String,
    measured_on: String,
    genuine_pairs: u64,
    impostor_pairs: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    file: PathBuf,
    sha256: String,
}

/// An opened pack: its manifest and its files, all read and checked.
pub struct Pack {
    folder: PathBuf,
    digest: String,
    text: String,
    info: ModelInfo,
    notes: String,
    samples: Option<PathBuf>,
    pub(crate) manifest: Manifest,
    pub(crate) detector: Vec<u8>,
    pub(crate) landmarks: Option<Vec<u8>>,
    pub(crate) embedding: Vec<u8>,
    pub(crate) filler: Option<Vec<u8>>,
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pack({}, {})", self.info.id, self.folder.display())
    }
}

impl Pack {
    /// Reads a pack and checks every file against its digest. What was checked is what an engine loads:
    /// the files are not read again.
    ///
    /// # Errors
    /// [`PackError`] if a file is missing, too large, malformed, or not the one that the manifest names.
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        let path = folder.join(MANIFEST);
        let text = String::from_utf8(read(&path, MANIFEST_BYTES_MAX)?);
        let wrong = |reason: String| PackError::Manifest { path: path.clone(), reason };
        let text = text.map_err(|_| wrong("it is not UTF-8 text".into()))?;
        let (manifest, info) = Manifest::read(&text).map_err(wrong)?;
        let part = |file: &Path, sha256: &str| read_checked(folder, file, sha256);
        let detector = part(&manifest.detector.file, &manifest.detector.sha256)?;
        let landmarks = match &manifest.landmarks {
            Some(l) => Some(part(&l.file, &l.sha256)?),
            None => None,
        };
        let embedding = part(&manifest.embedding.file, &manifest.embedding.sha256)?;
        let filler = match &manifest.filler {
            Some(f) => Some(part(&f.file, &f.sha256)?),
            None => None,
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            digest: hex::encode(sha256(text.as_bytes())),
            info,
            text,
            notes: manifest.notes.clone(),
            samples: manifest.samples.as_ref().map(|s| folder.join(s)),
            manifest,
            detector,
            landmarks,
            embedding,
            filler,
        })
    }

    /// What is known about its model.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// SHA-256 of the manifest, which names the digests of all other files: it stands for the whole pack.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The manifest and every file that it names, as they were read and checked: what a copy consists of.
    pub fn files(&self) -> Vec<(&Path, &[u8])> {
        let m = &self.manifest;
        let mut files: Vec<(&Path, &[u8])> = vec![(MANIFEST.as_ref(), self.text.as_bytes())];
        files.push((&m.detector.file, &self.detector));
        if let (Some(l), Some(data)) = (&m.landmarks, &self.landmarks) {
            files.push((&l.file, data));
        }
        files.push((&m.embedding.file, &self.embedding));
        if let (Some(f), Some(data)) = (&m.filler, &self.filler) {
            files.push((&f.file, data));
        }
        files
    }

    /// The maker's remarks; may be empty.
    pub fn notes(&self) -> &str {
        &self.notes
    }

    /// A folder of sample photographs that came with the weights, if the manifest names one.
    pub fn samples(&self) -> Option<&Path> {
        self.samples.as_deref()
    }
}

impl Manifest {
    /// Reads a manifest's text and checks everything that can be checked without the files that it names.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(text: &str) -> Result<(Self, ModelInfo), String> {
        let table: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
        let manifest: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        manifest.check()?;
        let info = manifest.info(manifest.model_id(&table));
        Ok((manifest, info))
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("its format is {}, this version reads {FORMAT}", self.format));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.id.is_empty() || self.id.len() > ID_CHARACTERS_MAX || !self.id.chars().all(plain) {
            return Err(format!("its id must be 1 to {ID_CHARACTERS_MAX} characters of a to z, 0 to 9 and hyphen"));
        }
        let named = [Some(&self.detector.file), self.landmarks.as_ref().map(|l| &l.file), Some(&self.embedding.file)];
        for file in named.into_iter().chain([self.filler.as_ref().map(|f| &f.file)]).flatten() {
            let mut parts = file.components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) || file == Path::new(MANIFEST) {
                return Err(format!("{} is not the plain name of a file in the pack's own folder", file.display()));
            }
        }
        if self.detector.kind == DetectorKind::SsdFaceApi && self.landmarks.is_none() {
            return Err("this detector gives boxes only, so [landmarks] is needed".into());
        }
        let inputs = [&self.detector.input, &self.embedding.input];
        for input in inputs.into_iter().chain(self.landmarks.as_ref().map(|l| &l.input)) {
            if !(16..=2048).contains(&input.width) || !(16..=2048).contains(&input.height) {
                return Err("an input's width and height must be 16 to 2048 pixels".into());
            }
            if input.divide_by.iter().any(|d| !d.is_normal()) {
                return Err("divide_by must hold three numbers other than zero".into());
            }
        }
        let retries = &self.detector.retry_fill;
        if retries.len() > 4 || retries.iter().any(|r| !(0.05..=1.0).contains(r)) {
            return Err("retry_fill must hold at most 4 shares of 0.05 to 1".into());
        }
        let turns = &self.detector.retry_turns;
        if turns.len() > 8 || turns.iter().any(|t| !(-360.0..=360.0).contains(t)) {
            return Err("retry_turns must hold at most 8 numbers of degrees".into());
        }
        if self.detector.level_over.is_some_and(|d| !(1.0..=90.0).contains(&d)) {
            return Err("level_over must be 1 to 90 degrees".into());
        }
        if self.detector.level_over.is_some() && (self.landmarks.is_some() || self.detector.input.multiple_of.is_none()) {
            return Err("level_over is for a detector that places points itself and takes any size (multiple_of)".into());
        }
        if !(0.0..=1.0).contains(&self.detector.sure_score) {
            return Err("sure_score must be 0 to 1".into());
        }
        let input = &self.detector.input;
        let fits = |m: u32| (1..=256).contains(&m) && input.width.is_multiple_of(m) && input.height.is_multiple_of(m);
        if input.multiple_of.is_some_and(|m| !fits(m)) {
            return Err("multiple_of must be 1 to 256 and divide the input's width and height".into());
        }
        if self.embedding.input.multiple_of.or(self.landmarks.as_ref().and_then(|l| l.input.multiple_of)).is_some() {
            return Err("only a detector's input can have multiple_of".into());
        }
        let stride = input.multiple_of.unwrap_or(YUNET_STRIDE_MAX);
        let strides = [input.width, input.height, stride].iter().all(|v| v.is_multiple_of(YUNET_STRIDE_MAX));
        if self.detector.kind == DetectorKind::YuNet && !strides {
            return Err("a yunet input must be a multiple of 32 in width and height".into());
        }
        if !(2..=4096).contains(&self.embedding.dimension) {
            return Err("the embedding's dimension must be 2 to 4096".into());
        }
        if self.score.kind != "cosine" || self.score.better != Better::Higher {
            return Err("templates are compared by cosine, higher is better".into());
        }
        if !(self.score.min..=self.score.max).contains(&self.threshold.value) {
            return Err("the threshold is outside the score's range".into());
        }
        Ok(())
    }

    /// The model id: the name and a digest over all that shapes a template, as the manifest has it.
    fn model_id(&self, table: &toml::Table) -> ModelId {
        let mut shape = format!("{FORMAT}|{PIPELINE}");
        for part in ["detector", "landmarks", "embedding"] {
            shape.push_str(&format!("|{part}="));
            if let Some(value) = table.get(part) {
                canonical(value, &mut shape);
            }
        }
        let digest = hex::encode(&sha256(shape.as_bytes())[..6]);
        ModelId::new(&format!("{}@{digest}", self.model))
    }

    fn info(&self, id: ModelId) -> ModelInfo {
        let t = &self.threshold;
        ModelInfo {
            threshold: Threshold {
                model: id.clone(),
                value: t.value,
                better: self.score.better,
                false_match_rate: t.false_match_rate,
                provenance: format!(
                    "{} Measured on {} ({} genuine and {} impostor pairs).",
                    t.method, t.measured_on, t.genuine_pairs, t.impostor_pairs
                ),
            },
            id,
            pack: self.id.clone(),
            name: self.name.clone(),
            licence: self.licence.clone(),
            source: self.source.clone(),
            dimension: self.embedding.dimension,
            scale: self.score.clone(),
        }
    }
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// One text for one meaning: tables by key, without what shapes no template.
fn canonical(value: &toml::Value, to: &mut String) {
    match value {
        toml::Value::Table(table) => {
            let mut entries: Vec<_> = table.iter().filter(|(k, _)| !NOT_SHAPING.contains(&k.as_str())).collect();
            entries.sort_by_key(|(k, _)| *k);
            to.push('{');
            for (key, value) in entries {
                to.push_str(key);
                to.push('=');
                canonical(value, to);
                to.push(';');
            }
            to.push('}');
        }
        toml::Value::Array(values) => {
            to.push('[');
            for value in values {
                canonical(value, to);
                to.push(';');
            }
            to.push(']');
        }
        other => to.push_str(&other.to_string()),
    }
}

/// Reads a file, and never more of it than the limit.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PackError> {
    let failed = |source| PackError::Read { path: path.to_path_buf(), source };
    let too_large = || PackError::TooLarge { path: path.to_path_buf(), limit };
    // Before it is opened: opening a pipe would wait for somebody to write.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(PackError::NotAFile { path: path.to_path_buf() });
    }
    if metadata.len() > limit {
        return Err(too_large());
    }
    let mut data = Vec::new();
    File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut data).map_err(failed)?;
    if data.len() as u64 > limit { Err(too_large()) } else { Ok(data) }
}

fn read_checked(folder: &Path, file: &Path, expected: &str) -> Result<Vec<u8>, PackError> {
    let path = folder.join(file);
    let data = read(&path, NET_BYTES_MAX)?;
    let found = hex::encode(sha256(&data));
    if found == expected.to_ascii_lowercase() { Ok(data) } else { Err(PackError::Digest { path, expected: expected.to_owned(), found }) }
}

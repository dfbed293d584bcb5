//! The `Engine` trait, and the engine that runs ONNX packs.

use crate::{
    FACES_PER_IMAGE_MAX, Image, ModelId, ModelInfo, Pack, SIDE_PIXELS_MAX, Template,
    detect::{self, DetectedFace, Found, YuNetStride},
    pack::{Alignment, DetectorKind, Input, Manifest},
    warp::{Clip, Similarity, tensor, warp},
};
use ort::{
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
    value::TensorRef,
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The most copies of each net; as many images are looked at side by side.
const LANES_MAX: usize = 4;
/// YuNet's strides.
const YUNET_STRIDES: [u32; 3] = [8, 16, 32];

/// What can go wrong between pixels and a template. Messages hold no personal data.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// The pixels are not an image.
    #[error("{bytes} bytes are not a {width} × {height} RGB image with sides of 1 to {SIDE_PIXELS_MAX} pixels")]
    Geometry {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes given.
        bytes: usize,
    },
    /// A crowd.
    #[error("The picture shows {found} faces; {FACES_PER_IMAGE_MAX} at most can be handled. Crop it to the person concerned")]
    TooManyFaces {
        /// Faces found.
        found: usize,
    },
    /// The face's points do not make an alignment.
    #[error("The face's eyes and mouth could not be placed, so no template can be made. Use a clearer picture")]
    NoAlignment,
    /// A template's values are not of unit length.
    #[error("a template must have length 1; this one has length {length}")]
    NotUnit {
        /// Its length.
        length: f64,
    },
    /// Two models met.
    #[error("templates of model {ours} and model {theirs} cannot be compared. Make templates with the model in use first")]
    OtherModel {
        /// The model of the left side.
        ours: ModelId,
        /// The model of the right side.
        theirs: ModelId,
    },
    /// The ONNX Runtime library could not be loaded.
    #[error("cannot load ONNX Runtime from {path}: {reason}. Run `make setup`, or set the path of libonnxruntime.so")]
    Runtime {
        /// The library.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A net did not load or run.
    #[error("the {net} net of the model pack failed: {reason}")]
    Net {
        /// Which net.
        net: &'static str,
        /// What the runtime said.
        reason: String,
    },
    /// The filler statistics are missing or belong to another model.
    #[error("cannot make filler templates: {0}")]
    Filler(String),
}

/// Finds faces and makes templates. The same image gives the same answer, on every thread and run.
pub trait Engine: Send + Sync {
    /// The model behind it.
    fn model(&self) -> &ModelInfo;

    /// All faces, from left to right; none is not an error.
    ///
    /// # Errors
    /// [`FaceError::TooManyFaces`], or [`FaceError::Net`] if the model fails.
    fn detect(&self, image: &Image<'_>) -> Result<Vec<DetectedFace>, FaceError>;

    /// The template of one face.
    ///
    /// # Errors
    /// [`FaceError::NoAlignment`], or [`FaceError::Net`] if the model fails.
    fn template(&self, image: &Image<'_>, face: &DetectedFace) -> Result<Template, FaceError>;
}

/// Runs a pack with ONNX Runtime.
pub struct OnnxEngine {
    info: ModelInfo,
    manifest: Manifest,
    detector: Net,
    landmarks: Option<Net>,
    embedding: Net,
}

impl std::fmt::Debug for OnnxEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OnnxEngine({})", self.info.id)
    }
}

impl OnnxEngine {
    /// Loads a pack's nets. The runtime library is loaded once per process, from the first path given.
    ///
    /// # Errors
    /// [`FaceError::Runtime`] if the library does not load, [`FaceError::Net`] if a net does not.
    pub fn load(pack: &Pack, library: &Path) -> Result<Self, FaceError> {
        let environment = environment(library)?;
        let manifest = pack.manifest.clone();
        let landmarks = match (&manifest.landmarks, &pack.landmarks) {
            (Some(l), Some(data)) => Some(Net::load(&environment, "landmarks", data, &l.input)?),
            _ => None,
        };
        let detector = &manifest.detector.input;
        let embedding = &manifest.embedding.input;
        Ok(Self {
            info: pack.info().clone(),
            detector: Net::load(&environment, "detector", &pack.detector, detector)?,
            landmarks,
            embedding: Net::load(&environment, "embedding", &pack.embedding, embedding)?,
            manifest,
        })
    }

    fn found(&self, image: &Image<'_>) -> Result<Vec<Found>, FaceError> {
        for fill in std::iter::once(&1.0).chain(&self.manifest.detector.retry_fill) {
            let found = self.found_at(image, *fill)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    fn found_at(&self, image: &Image<'_>, fill: f64) -> Result<Vec<Found>, FaceError> {
        let detector = &self.manifest.detector;
        let map = detect::layout(image, detector, fill);
        let (pixels, _) = warp(image, Clip::whole(image), map, detector.input.width, detector.input.height);
        let out = self.detector.run(&pixels)?;
        let scale = map.scale();
        let found = match detector.kind {
            DetectorKind::SsdFaceApi => {
                let boxes = self.detector.output(&out, "boxes")?;
                let scores = self.detector.output(&out, "scores")?;
                detect::ssd(boxes, scores, detector, scale)
            }
            DetectorKind::YuNet => {
                let mut all = Vec::new();
                for stride in YUNET_STRIDES {
                    let get = |name: &str| self.detector.output(&out, &format!("{name}_{stride}"));
                    let part = YuNetStride { stride, class: get("cls")?, object: get("obj")?, boxes: get("bbox")?, points: get("kps")? };
                    all.extend(detect::yunet(&part, detector, scale));
                }
                all
            }
        };
        detect::settle(found, detector.overlap_max, image)
    }

    /// The aligned chip of a face, and the share of it (0 to 1) that lies outside the image.
    fn chip(&self, image: &Image<'_>, face: &DetectedFace) -> Result<(Vec<[f32; 3]>, f64), FaceError> {
        let embedding = &self.manifest.embedding;
        let map = alignment(&embedding.alignment, face).ok_or(FaceError::NoAlignment)?;
        let (w, h) = (embedding.input.width, embedding.input.height);
        Ok(warp(image, Clip::whole(image), map, w, h))
    }

    /// Each net's first output for the ramp picture, for a pack's self-test.
    pub(crate) fn self_test(&self) -> Result<Vec<Ramp>, FaceError> {
        let mut all =
            vec![self.detector.ramp(&self.manifest.detector.self_test)?, self.embedding.ramp(&self.manifest.embedding.self_test)?];
        if let (Some(net), Some(record)) = (&self.landmarks, &self.manifest.landmarks) {
            all.push(net.ramp(&record.self_test)?);
        }
        Ok(all)
    }
}

impl Engine for OnnxEngine {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn detect(&self, image: &Image<'_>) -> Result<Vec<DetectedFace>, FaceError> {
        let mut faces = Vec::new();
        for found in self.found(image)? {
            let (outline, points) = match (&self.landmarks, found.points) {
                (Some(net), _) => {
                    let (w, h) = (net.input.width, net.input.height);
                    let (clip, map) = detect::landmark_layout(image, &found.area, w, h);
                    let (pixels, _) = warp(image, clip, map, w, h);
                    let out = net.run(&pixels)?;
                    let values = net.first(&out)?;
                    detect::sixty_eight(values, w, h, map).ok_or_else(|| net.shape())?
                }
                (None, Some(points)) => (Vec::new(), points),
                (None, None) => return Err(FaceError::NoAlignment),
            };
            faces.push(DetectedFace { index: faces.len(), area: found.area, score: found.score, points, outline });
        }
        Ok(faces)
    }

    fn template(&self, image: &Image<'_>, face: &DetectedFace) -> Result<Template, FaceError> {
        let (chip, _) = self.chip(image, face)?;
        let out = self.embedding.run(&chip)?;
        let values = self.embedding.first(&out)?;
        if values.len() != self.info.dimension {
            return Err(self.embedding.shape());
        }
        Template::normalised(self.info.id.clone(), values.to_vec())
    }
}

/// Chip pixel → image pixel, by the face's points.
pub(crate) fn alignment(to: &Alignment, face: &DetectedFace) -> Option<Similarity> {
    let p = &face.points;
    let mut chip = vec![to.left_eye, to.right_eye, to.left_mouth, to.right_mouth];
    let mut image = vec![p.left_eye.array(), p.right_eye.array(), p.left_mouth.array(), p.right_mouth.array()];
    if let Some(nose) = to.nose {
        chip.push(nose);
        image.push(p.nose.array());
    }
    // Fitted in chip pixels, so that a large picture's points weigh as a small one's, then turned round.
    let forward = Similarity::fit(&image, &chip)?;
    let square = forward.a * forward.a + forward.b * forward.b;
    let (a, b) = (forward.a / square, -forward.b / square);
    let map = Similarity { a, b, c: -(a * forward.c - b * forward.d), d: -(b * forward.c + a * forward.d) };
    [map.a, map.b, map.c, map.d].iter().all(|v| v.is_finite()).then_some(map)
}

type Outputs = Vec<(String, Vec<f32>)>;
/// A net's name, the values that the manifest expects, and those found.
type Ramp = (&'static str, Vec<f32>, Vec<f32>);

/// One net, in as many copies as there are lanes: ONNX Runtime's sessions are used by one caller at a time.
struct Net {
    name: &'static str,
    input: Input,
    lanes: Vec<Mutex<Session>>,
    next: AtomicUsize,
}

impl Net {
    fn load(environment: &Environment, name: &'static str, data: &[u8], input: &Input) -> Result<Self, FaceError> {
        let failed = |reason: String| FaceError::Net { net: name, reason };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        let lanes = (0..threads.min(LANES_MAX)).map(|_| {
            let open = || -> ort::Result<Session> {
                Session::builder(environment)?
                    .with_optimization_level(GraphOptimizationLevel::Level3)?
                    // One thread a session: sums then have one order, and callers share the cores.
                    .with_intra_threads(1)?
                    .with_inter_threads(1)?
                    .with_deterministic_compute(true)?
                    .commit_from_memory(data)
            };
            open().map(Mutex::new).map_err(|e| failed(e.to_string()))
        });
        Ok(Self { name, input: input.clone(), lanes: lanes.collect::<Result<_, _>>()?, next: AtomicUsize::new(0) })
    }

    fn run(&self, pixels: &[[f32; 3]]) -> Result<Outputs, FaceError> {
        let values = tensor(pixels, &self.input);
        let shape = [1, 3, i64::from(self.input.height), i64::from(self.input.width)];
        let failed = |e: ort::Error| FaceError::Net { net: self.name, reason: e.to_string() };
        let input = TensorRef::from_array_view((shape, values.as_slice())).map_err(failed)?;
        let lane = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let free = self.lanes.iter().find_map(|l| l.try_lock().ok());
        // A poisoned lane is still sound: a session holds no state between runs.
        let mut session = match free {
            Some(session) => session,
            None => self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner),
        };
        let outputs = session.run(ort::inputs![input]).map_err(failed)?;
        outputs
            .iter()
            .map(|(name, value)| {
                let (_, data) = value.try_extract_tensor::<f32>().map_err(failed)?;
                Ok((name.to_owned(), data.to_vec()))
            })
            .collect()
    }

    fn output<'a>(&self, outputs: &'a Outputs, name: &str) -> Result<&'a [f32], FaceError> {
        let found = outputs.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_slice()).ok_or_else(|| FaceError::Net { net: self.name, reason: format!("it has no output named {name}") })
    }

    fn first<'a>(&self, outputs: &'a Outputs) -> Result<&'a [f32], FaceError> {
        let first = outputs.first().map(|(_, v)| v.as_slice());
        first.ok_or_else(|| self.shape())
    }

    fn shape(&self) -> FaceError {
        FaceError::Net { net: self.name, reason: "its output is not of the shape or range that the manifest promises".into() }
    }

    /// What the net says about the ramp picture, beside what the manifest expects.
    fn ramp(&self, expected: &[f32]) -> Result<Ramp, FaceError> {
        let (w, h) = (self.input.width, self.input.height);
        let pixel = |x: u32, y: u32, c: u32| ((3 * x + 5 * y + 7 * c) % 256) as f32;
        let places = (0..h).flat_map(|y| (0..w).map(move |x| (x, y)));
        let pixels: Vec<[f32; 3]> = places.map(|(x, y)| [pixel(x, y, 0), pixel(x, y, 1), pixel(x, y, 2)]).collect();
        let out = self.run(&pixels)?;
        let found = self.first(&out)?.iter().take(expected.len()).copied();
        Ok((self.name, expected.to_vec(), found.collect()))
    }
}

/// The process's one ONNX Runtime environment.
fn environment(library: &Path) -> Result<Environment, FaceError> {
    static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);
    let failed = |reason: String| FaceError::Runtime { path: library.to_path_buf(), reason };
    let path = library.canonicalize().map_err(|e| failed(e.to_string()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((from, environment)) = loaded.as_ref() {
        if *from != path {
            let reason = format!("this process already uses {}", from.display());
            return Err(failed(reason));
        }
        return Ok(environment.clone());
    }
    let environment = ort::init_from(&path)
        .map_err(|e| failed(e.to_string()))?
        .with_name("countersign")
        .with_telemetry(false)
        .build()
        .map_err(|e| failed(e.to_string()))?;
    *loaded = Some((path, environment.clone()));
    Ok(environment)
}

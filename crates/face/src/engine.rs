//! The `Engine` trait, and the engine that runs ONNX packs.

use crate::{
    FACES_PER_IMAGE_MAX, Image, ModelId, ModelInfo, Pack, SIDE_PIXELS_MAX, Template,
    detect::{self, Area, DetectedFace, Found, Frame, Layout, Points, YuNetStride},
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
/// The most looks at a tilted face.
const LEVEL_LOOKS_MAX: usize = 3;
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

    /// Looks at the picture upright; unless a face is sure then, turned in every way too. The look whose best face
    /// scores highest counts, the first of equals.
    fn found(&self, image: &Image<'_>) -> Result<(Frame, Vec<Found>), FaceError> {
        let detector = &self.manifest.detector;
        let score = |found: &[Found]| found.first().map_or(0.0, |f| f.score);
        let upright = Frame::turned(image, 0.0);
        let mut best = (upright, self.look(image, &upright)?);
        if best.1.is_empty() || score(&best.1) < f64::from(detector.sure_score) {
            // Turning reads pixels across rows, which is slow on a large picture: a copy that fits the input is turned.
            let input = &detector.input;
            let scale = (upright.width / f64::from(input.width)).max(upright.height / f64::from(input.height)).max(1.0);
            let copy = (scale > 1.0 && !detector.retry_turns.is_empty()).then(|| shrunk(image, scale));
            let (seen, scale) = match &copy {
                Some((width, height, rgb)) => (Image::new(*width, *height, rgb)?, scale),
                None => (*image, 1.0),
            };
            for turn in &detector.retry_turns {
                let frame = Frame::turned(&seen, *turn);
                let found = self.look(&seen, &frame)?;
                if score(&found) > score(&best.1) {
                    best = (frame.of_larger(scale), found);
                }
            }
        }
        Ok(best)
    }

    /// Looks at a picture as it stands, made smaller step by step while nothing is found.
    fn look(&self, image: &Image<'_>, frame: &Frame) -> Result<Vec<Found>, FaceError> {
        let detector = &self.manifest.detector;
        for fill in std::iter::once(&1.0).chain(&detector.retry_fill) {
            let found = self.found_at(image, frame, &Layout::of(frame, &detector.input, *fill))?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    fn found_at(&self, image: &Image<'_>, frame: &Frame, layout: &Layout) -> Result<Vec<Found>, FaceError> {
        let detector = &self.manifest.detector;
        let map = frame.map.after(&Similarity::scaling(layout.scale, 0.0, 0.0));
        let (pixels, _) = warp(image, Clip::whole(image), map, layout.width, layout.height);
        let out = self.detector.run(&pixels, layout.width, layout.height)?;
        let found = match detector.kind {
            DetectorKind::SsdFaceApi => {
                let boxes = self.detector.output(&out, "boxes")?;
                let scores = self.detector.output(&out, "scores")?;
                detect::ssd(boxes, scores, detector, layout)
            }
            DetectorKind::YuNet => {
                let mut all = Vec::new();
                for stride in YUNET_STRIDES {
                    let get = |name: &str| self.detector.output(&out, &format!("{name}_{stride}"));
                    let part = YuNetStride { stride, class: get("cls")?, object: get("obj")?, boxes: get("bbox")?, points: get("kps")? };
                    all.extend(detect::yunet(&part, detector, layout));
                }
                all
            }
        };
        Ok(detect::settle(found, detector.overlap_max, frame))
    }

    /// A found face in the image's own pixels, with its points.
    fn placed(&self, image: &Image<'_>, frame: &Frame, found: Found) -> Result<DetectedFace, FaceError> {
        match (&self.landmarks, found.points) {
            (Some(net), _) => {
                let (w, h) = (net.input.width, net.input.height);
                let (clip, map) = detect::landmark_layout(image, frame, &found.area, w, h);
                let (pixels, _) = warp(image, clip, map, w, h);
                let out = net.run(&pixels, w, h)?;
                let (outline, points) = detect::sixty_eight(net.first(&out)?, w, h, map).ok_or_else(|| net.shape())?;
                Ok(DetectedFace { index: 0, area: frame.area(&found.area), score: found.score, points, outline })
            }
            (None, Some(points)) => self.levelled(image, *frame, found, points),
            (None, None) => Err(FaceError::NoAlignment),
        }
    }

    /// Looks again at a face that is tilted in its frame, alone and turned upright, until it is level or looks run out.
    fn levelled(&self, image: &Image<'_>, mut frame: Frame, mut found: Found, mut points: Points) -> Result<DetectedFace, FaceError> {
        if let Some(over) = self.manifest.detector.level_over {
            for _ in 0..LEVEL_LOOKS_MAX {
                if points.roll().abs() <= over {
                    break;
                }
                let window = Frame::window(&frame.area(&found.area), frame.degrees - points.roll());
                let again = detect::middle(self.found_at(image, &window, &Layout::window(&window))?, &window);
                let Some((again, placed)) = again.and_then(|f| f.points.map(|p| (f, p))) else { break };
                (frame, found, points) = (window, again, placed);
            }
        }
        let at = |p| frame.point(p);
        let (left_eye, right_eye, nose) = (at(points.left_eye), at(points.right_eye), at(points.nose));
        let points = Points { left_eye, right_eye, nose, left_mouth: at(points.left_mouth), right_mouth: at(points.right_mouth) };
        Ok(DetectedFace { index: 0, area: frame.area(&found.area), score: found.score, points, outline: Vec::new() })
    }

    /// The aligned chip of a face.
    fn chip(&self, image: &Image<'_>, face: &DetectedFace) -> Result<Vec<[f32; 3]>, FaceError> {
        let embedding = &self.manifest.embedding;
        let map = alignment(&embedding.alignment, face).ok_or(FaceError::NoAlignment)?;
        Ok(warp(image, Clip::whole(image), map, embedding.input.width, embedding.input.height).0)
    }

    fn embedded(&self, chip: &[[f32; 3]]) -> Result<Template, FaceError> {
        let out = self.embedding.run(chip, self.embedding.input.width, self.embedding.input.height)?;
        let values = self.embedding.first(&out)?;
        if values.len() != self.info.dimension {
            return Err(self.embedding.shape());
        }
        Template::normalised(self.info.id.clone(), values.to_vec())
    }

    /// What each net says about the ramp picture, beside what the manifest expects.
    pub(crate) fn self_test(&self) -> Result<Vec<Ramp>, FaceError> {
        let m = &self.manifest;
        let mut all = vec![
            self.detector.ramp(&m.detector.self_test, m.detector.self_test_output.as_deref())?,
            self.embedding.ramp(&m.embedding.self_test, None)?,
        ];
        if let (Some(net), Some(record)) = (&self.landmarks, &m.landmarks) {
            all.push(net.ramp(&record.self_test, None)?);
        }
        Ok(all)
    }

    /// Runs every net once as a search would: outputs of another name or shape show here, before anybody's picture.
    pub(crate) fn dry_run(&self) -> Result<(), FaceError> {
        let input = &self.manifest.embedding.input;
        self.embedded(&ramp(input.width, input.height))?;
        let side = 64;
        let grey = vec![128; (side * side * 3) as usize];
        let image = Image::new(side, side, &grey)?;
        let frame = Frame::turned(&image, 0.0);
        self.found_at(&image, &frame, &Layout::of(&frame, &self.manifest.detector.input, 1.0))?;
        if self.landmarks.is_some() {
            let area = Area { x: 0.0, y: 0.0, width: f64::from(side), height: f64::from(side) };
            self.placed(&image, &frame, Found { area, score: 1.0, points: None })?;
        }
        Ok(())
    }
}

impl Engine for OnnxEngine {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn detect(&self, image: &Image<'_>) -> Result<Vec<DetectedFace>, FaceError> {
        let (frame, found) = self.found(image)?;
        if found.len() > FACES_PER_IMAGE_MAX {
            return Err(FaceError::TooManyFaces { found: found.len() });
        }
        let faces = found.into_iter().map(|f| self.placed(image, &frame, f));
        Ok(detect::counted(faces.collect::<Result<_, _>>()?))
    }

    fn template(&self, image: &Image<'_>, face: &DetectedFace) -> Result<Template, FaceError> {
        let mut chip = self.chip(image, face)?;
        let template = self.embedded(&chip)?;
        if !self.manifest.embedding.flip {
            return Ok(template);
        }
        chip.chunks_exact_mut(self.embedding.input.width as usize).for_each(<[_]>::reverse);
        let mirrored = self.embedded(&chip)?;
        let sum = template.values().iter().zip(mirrored.values()).map(|(a, b)| a + b);
        Template::normalised(self.info.id.clone(), sum.collect())
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

    fn run(&self, pixels: &[[f32; 3]], width: u32, height: u32) -> Result<Outputs, FaceError> {
        let values = tensor(pixels, &self.input);
        let shape = [1, 3, i64::from(height), i64::from(width)];
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

    /// What the net says about the ramp picture, beside what the manifest expects of the output.
    fn ramp(&self, expected: &[f32], output: Option<&str>) -> Result<Ramp, FaceError> {
        let (w, h) = (self.input.width, self.input.height);
        let out = self.run(&ramp(w, h), w, h)?;
        let found = match output {
            Some(name) => self.output(&out, name)?,
            None => self.first(&out)?,
        };
        Ok((self.name, expected.to_vec(), found.iter().take(expected.len()).copied().collect()))
    }
}

/// The image made smaller: width, height and pixels.
fn shrunk(image: &Image<'_>, scale: f64) -> (u32, u32, Vec<u8>) {
    // A hair less, so that rounding does not add a row of nothing.
    let side = |v: u32| ((f64::from(v) / scale - 1e-6).ceil() as u32).max(1);
    let (width, height) = (side(image.width()), side(image.height()));
    let (pixels, _) = warp(image, Clip::whole(image), Similarity::scaling(scale, 0.0, 0.0), width, height);
    (width, height, pixels.as_flattened().iter().map(|v| (v + 0.5) as u8).collect())
}

/// A picture that every maker of packs can draw: pixel (x, y, channel) = (3x + 5y + 7·channel) mod 256.
fn ramp(width: u32, height: u32) -> Vec<[f32; 3]> {
    let pixel = |x: u32, y: u32, c: u32| ((3 * x + 5 * y + 7 * c) % 256) as f32;
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    places.map(|(x, y)| [pixel(x, y, 0), pixel(x, y, 1), pixel(x, y, 2)]).collect()
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

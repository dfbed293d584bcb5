//! A template for every image: decoded as the product decodes, by several workers, and kept in a file so that an
//! evaluation that was stopped goes on where it was.

use aws_lc_rs::digest::{Context, SHA256};
use decoder::{DecodeError, Decoder, IMAGE_BYTES_MAX};
use face::{Component, DetectedFace, Engine, FaceError, Image, Measured, ModelId, OnnxEngine, Pack, Template, measure};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions, TryLockError},
    io::{BufReader, Read, Seek, SeekFrom, Write},
    num::NonZeroUsize,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{sync::mpsc, task::JoinSet};

/// What the file begins with.
const HEADER: &[u8] = b"countersign templates 3\n";
/// What is measured of a face, in bytes.
const MEASURED_BYTES: usize = 8 * Component::ALL.len();
/// The longest record's body, in bytes: two digests, a kind, what was measured, and 4,096 values.
const BODY_BYTES_MAX: usize = 32 + 32 + 1 + MEASURED_BYTES + 4 * 4096;
/// Results that wait to be written, at most.
const WAITING_MAX: usize = 16;

type Digest = [u8; 32];

/// What became of one image.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A template, what was measured of its face, and whether that is one of several.
    Made(Template, Vec<Measured>, bool),
    /// None, and why, in words that name nobody.
    Refused(String),
}

/// What makes templates.
pub struct Maker {
    engine: OnnxEngine,
    decoder: Decoder,
    /// Stands for everything but the image that a template depends on.
    key: Digest,
}

impl Maker {
    /// Around an engine that was loaded from this pack.
    ///
    /// # Errors
    /// When the path of this program, which decodes in children of its own, is not known, or it does not decode.
    pub async fn new(engine: OnnxEngine, pack: &Pack) -> Result<Self> {
        let exe = std::env::current_exe().into_diagnostic()?;
        let decoder = Decoder::new(exe, vec!["decode-child".into()]);
        let pixels = pixels_of(&decoder).await?;
        let components = Component::ALL.map(Component::name).concat();
        let model = engine.model().id.as_str().as_bytes();
        let key = digest(&[pack.digest().as_bytes(), model, face::accuracy::ENGINE.as_bytes(), &pixels, components.as_bytes()]);
        Ok(Self { engine, decoder, key })
    }

    fn model(&self) -> &ModelId {
        &self.engine.model().id
    }
}

/// SHA-256 of the pixels that the decoder makes of a picture that is always the same: a decoder that gives others makes
/// other templates, and what was kept of the one before it is made again.
async fn pixels_of(decoder: &Decoder) -> Result<Digest> {
    const SIDE: u32 = 96;
    // Slopes and a pattern in all three colours, so that transform, colour and rounding all tell.
    let data = (0..SIDE * SIDE).flat_map(|n| {
        let (x, y) = (n % SIDE, n / SIDE);
        [x * 2, y * 2, (x * y) % 251].map(|v| u8::try_from(v % 256).unwrap_or_default())
    });
    let jpeg = decoder::Rgb8::new(SIDE, SIDE, data.collect()).into_diagnostic()?.to_jpeg(90).into_diagnostic()?;
    let pixels = decoder.decode(&jpeg, None).await.into_diagnostic().wrap_err("the decoder does not decode")?.pixels;
    Ok(digest(&[pixels.data()]))
}

/// Makes what is missing. `progress(done)` is called after each image.
///
/// # Errors
/// When the work file cannot be used, a file cannot be read, or decoder or engine fail (an image at fault is an [`Outcome`]).
pub async fn make(
    maker: Arc<Maker>,
    images: Vec<PathBuf>,
    work: Option<&Path>,
    threads: NonZeroUsize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Outcome>> {
    let mut kept = work.map(|folder| Kept::open(folder, &maker)).transpose()?;
    let known = Arc::new(kept.as_mut().map(|k| std::mem::take(&mut k.outcomes)).unwrap_or_default());
    let images = Arc::new(images);
    let next = Arc::new(AtomicUsize::new(0));
    let (send, mut receive) = mpsc::channel(WAITING_MAX);
    let mut workers = JoinSet::new();
    for _ in 0..threads.get() {
        let (maker, images, next, known, send) = (maker.clone(), images.clone(), next.clone(), known.clone(), send.clone());
        workers.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(image) = images.get(at) else { break };
                let done = one(&maker, image, &known).await.map(|found| (at, found));
                let failed = done.is_err();
                if send.send(done).await.is_err() || failed {
                    break;
                }
            }
        });
    }
    drop(send);
    let mut all: Vec<Option<Outcome>> = vec![None; images.len()];
    let mut done = 0;
    while let Some(result) = receive.recv().await {
        let (at, found) = result?;
        if let (Some(kept), Some(source)) = (&mut kept, found.keep) {
            kept.append(source, &found.outcome)?;
        }
        all[at] = Some(found.outcome);
        done += 1;
        progress(done);
    }
    all.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| miette!("a worker ended early. Run it again"))
}

/// An image's outcome, and its digest if the outcome is new and worth keeping.
struct One {
    outcome: Outcome,
    keep: Option<Digest>,
}

async fn one(maker: &Arc<Maker>, path: &Path, known: &HashMap<Digest, Outcome>) -> Result<One> {
    let refused = |why: &str, keep: Option<Digest>| Ok(One { outcome: Outcome::Refused(why.into()), keep });
    let bytes = match read(path).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", path.display()))? {
        Some(bytes) => bytes,
        None => return refused("the file is too large", None),
    };
    let source = digest(&[&bytes]);
    if let Some(outcome) = known.get(&source) {
        return Ok(One { outcome: outcome.clone(), keep: None });
    }
    let pixels = match maker.decoder.decode(&bytes, None).await {
        Ok(decoded) => decoded.pixels,
        // A machine that was too busy may do better another time.
        Err(DecodeError::TookTooLong | DecodeError::ChildDied { .. }) => return refused("the image could not be decoded", None),
        Err(e) if e.is_refusal() => return refused("the file is not a usable JPEG or PNG image", Some(source)),
        Err(e) => return Err(e).into_diagnostic(),
    };
    drop(bytes);
    let maker = maker.clone();
    let made = tokio::task::spawn_blocking(move || {
        let image = Image::new(pixels.width(), pixels.height(), pixels.data())?;
        let faces = maker.engine.detect(&image)?;
        let several = faces.len() > 1;
        match concerned(&faces, pixels.width(), pixels.height()) {
            Some(face) => Ok(Outcome::Made(maker.engine.template(&image, face)?, measure(&image, face, faces.len()), several)),
            None => Ok(Outcome::Refused("no face was found".into())),
        }
    });
    let outcome = match made.await.into_diagnostic()? {
        Ok(outcome) => outcome,
        Err(FaceError::TooManyFaces { .. }) => Outcome::Refused("the image shows more faces than can be handled".into()),
        Err(FaceError::NoAlignment) => Outcome::Refused("the face's eyes and mouth could not be placed".into()),
        Err(e) => return Err(e).into_diagnostic(),
    };
    Ok(One { outcome, keep: Some(source) })
}

/// The face that an image is of, as in Labeled Faces in the Wild: the largest of those that cover the image's centre;
/// where none does, the largest.
fn concerned(faces: &[DetectedFace], width: u32, height: u32) -> Option<&DetectedFace> {
    let (x, y) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let central = |f: &DetectedFace| {
        let a = &f.area;
        (a.x..=a.x + a.width).contains(&x) && (a.y..=a.y + a.height).contains(&y)
    };
    let size = |f: &DetectedFace| f.area.width * f.area.height;
    faces.iter().max_by(|a, b| central(a).cmp(&central(b)).then(size(a).total_cmp(&size(b))))
}

/// A file's bytes; none if there are too many.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![];
    File::open(path)?.take(IMAGE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= IMAGE_BYTES_MAX).then_some(bytes))
}

fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        if parts.len() > 1 {
            context.update(&(part.len() as u64).to_le_bytes());
        }
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// What is kept of an evaluation while it runs: an append-only file of records, each a length and a CRC-32 (both little
/// endian, 4 bytes) and a body. What a kill cut short at the end is cut off and made again.
///
/// A body is the maker's key, the image's SHA-256, a kind and a rest: 0 and 1, what was measured (a double for each
/// component, not a number if none) and a template's values (of the only face, of one of several); 2, a reason.
struct Kept {
    file: File,
    key: Digest,
    outcomes: HashMap<Digest, Outcome>,
    /// What this run wrote: an image that lies in two places is kept once.
    written: HashSet<Digest>,
}

impl Kept {
    fn open(folder: &Path, maker: &Maker) -> Result<Self> {
        let path = folder.join("templates");
        let cannot = || format!("the work file {} cannot be used", path.display());
        fs::create_dir_all(folder).into_diagnostic().wrap_err_with(cannot)?;
        // Templates are biometric data: nobody else reads them.
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.into_diagnostic().wrap_err_with(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(miette!("another evaluation is at work in {}. Name another folder", folder.display()));
            }
            Err(TryLockError::Error(e)) => return Err(e).into_diagnostic().wrap_err_with(cannot),
        }
        let (end, outcomes) = understand(&mut BufReader::new(&file), maker).into_diagnostic().wrap_err_with(cannot)?;
        let Some(end) = end else {
            return Err(miette!("{} is not the work file of an evaluation. Name another folder", path.display()));
        };
        let mut ready = || -> std::io::Result<()> {
            file.set_len(end)?;
            file.seek(SeekFrom::Start(end))?;
            if end == 0 { file.write_all(HEADER) } else { Ok(()) }
        };
        ready().into_diagnostic().wrap_err_with(cannot)?;
        Ok(Self { file, key: maker.key, outcomes, written: HashSet::new() })
    }

    fn append(&mut self, source: Digest, outcome: &Outcome) -> Result<()> {
        if !self.written.insert(source) {
            return Ok(());
        }
        let mut body = [self.key, source].concat();
        match outcome {
            Outcome::Made(template, measured, several) => {
                body.push(u8::from(*several));
                let value = |c| measured.iter().find(|m| m.component == c).and_then(|m| m.value);
                body.extend(Component::ALL.into_iter().flat_map(|c| value(c).unwrap_or(f64::NAN).to_le_bytes()));
                body.extend(template.values().iter().flat_map(|v| v.to_le_bytes()));
            }
            Outcome::Refused(why) => {
                body.push(2);
                body.extend_from_slice(why.as_bytes());
            }
        }
        let length = u32::try_from(body.len()).into_diagnostic()?;
        let record = [&length.to_le_bytes()[..], &crc32fast::hash(&body).to_le_bytes()[..], &body].concat();
        self.file.write_all(&record).into_diagnostic().wrap_err("the work file cannot be written")
    }
}

/// Reads records up to the first that is cut short or damaged: where that is, and what this maker made. No place if it
/// is another kind of file.
fn understand(file: &mut impl Read, maker: &Maker) -> std::io::Result<(Option<u64>, HashMap<Digest, Outcome>)> {
    let mut outcomes = HashMap::new();
    let mut header = vec![];
    file.by_ref().take(HEADER.len() as u64).read_to_end(&mut header)?;
    if header != HEADER {
        // Killed while the header was written: as good as new.
        return Ok((HEADER.starts_with(&header).then_some(0), outcomes));
    }
    let mut end = HEADER.len() as u64;
    let mut record = vec![];
    loop {
        record.clear();
        file.by_ref().take(8).read_to_end(&mut record)?;
        let ([length, sum], []) = record.as_chunks::<4>() else { break };
        let (length, sum) = (u32::from_le_bytes(*length) as usize, u32::from_le_bytes(*sum));
        if !(65..=BODY_BYTES_MAX).contains(&length) {
            break;
        }
        let mut body = vec![];
        file.by_ref().take(length as u64).read_to_end(&mut body)?;
        if body.len() != length || crc32fast::hash(&body) != sum {
            break;
        }
        end += 8 + length as u64;
        let (head, rest) = body.split_at(65);
        let mut source = [0; 32];
        source.copy_from_slice(&head[32..64]);
        if head[..32] == maker.key
            && let Some(outcome) = outcome(head[64], rest, maker)
        {
            outcomes.insert(source, outcome);
        }
    }
    Ok((Some(end), outcomes))
}

fn outcome(kind: u8, rest: &[u8], maker: &Maker) -> Option<Outcome> {
    if kind == 2 {
        return Some(Outcome::Refused(String::from_utf8(rest.to_vec()).ok()?));
    }
    let (measured, values) = rest.split_at_checked(MEASURED_BYTES)?;
    let (measured, _) = measured.as_chunks::<8>();
    let number = |b: &[u8; 8]| Some(f64::from_le_bytes(*b)).filter(|v| !v.is_nan());
    let measured = Component::ALL.into_iter().zip(measured).map(|(component, b)| Measured { component, value: number(b) }).collect();
    let (values, []) = values.as_chunks::<4>() else { return None };
    let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
    let fits = values.len() == maker.engine.model().dimension;
    let template = Template::from_parts(maker.model().clone(), values).ok()?;
    fits.then_some(Outcome::Made(template, measured, kind == 1))
}

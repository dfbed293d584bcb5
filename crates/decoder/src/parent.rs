//! The parent's side: start a child, feed it, watch it, and check what it says.

use crate::{
    CHILDREN_MAX, Confinement, DecodeError, Format, IMAGE_BYTES_MAX, PIXELS_MAX, Rgb8, Sign, WALL_SECONDS_MAX,
    child::{Answer, MAGIC, REPORT},
};
use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
};

/// The longest JSON in an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// A picture that came through.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Upright 8-bit RGB without metadata.
    pub pixels: Rgb8,
    /// What the file was, whatever its name says.
    pub format: Format,
    /// The EXIF orientation that was applied: 1 (none) to 8.
    pub orientation: u8,
    /// Signs that it is not a photograph as a camera took it, each once. Reasons to look closer, never to refuse.
    pub signs: Vec<Sign>,
    /// SHA-256 of the file as it came, in lower-case hexadecimal.
    pub sha256: String,
    /// Size of the file as it came.
    pub bytes: usize,
    /// Set when the name's extension says another format. Information, not a refusal.
    pub extension_mismatch: Option<ExtensionMismatch>,
}

/// A name that says another format than the file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionMismatch {
    /// The name's extension in lower case, at most eight letters and digits; empty when it had none.
    pub declared: String,
    /// What the file is.
    pub actual: Format,
}

/// Decodes untrusted files in child processes. Cheap to clone; clones share the limit on children.
#[derive(Clone, Debug)]
pub struct Decoder {
    exe: PathBuf,
    args: Vec<String>,
    children: Arc<Semaphore>,
    wall: Duration,
}

impl Decoder {
    /// A decoder whose children are `exe args…`: a program that calls [`crate::child_main`] at once.
    pub fn new(exe: PathBuf, args: Vec<String>) -> Self {
        Self { exe, args, children: Arc::new(Semaphore::new(CHILDREN_MAX)), wall: Duration::from_secs(WALL_SECONDS_MAX) }
    }

    /// The same with a shorter wall-clock limit.
    #[must_use]
    pub fn with_wall_limit(mut self, limit: Duration) -> Self {
        self.wall = limit.min(self.wall);
        self
    }

    /// Decodes one file. `name_hint` is the name it came under; it decides nothing.
    ///
    /// # Errors
    /// A [`DecodeError`] that says what was wrong with the file; [`DecodeError::Unavailable`] if no child could
    /// be started or its answer made no sense.
    pub async fn decode(&self, bytes: &[u8], name_hint: Option<&str>) -> Result<Decoded, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        if bytes.len() > IMAGE_BYTES_MAX {
            return Err(DecodeError::TooManyBytes { bytes: bytes.len() as u64 });
        }
        let permit = self.children.acquire().await;
        let _permit = permit.map_err(|_| unavailable("it is shutting down"))?;
        let talk = self.talk(bytes);
        // Dropping the conversation kills the child.
        let answer = tokio::time::timeout(self.wall, talk).await;
        let answer = answer.map_err(|_| DecodeError::TookTooLong)??;
        understand(answer, bytes, name_hint)
    }

    /// Asks a child how the kernel holds it, for the operator.
    ///
    /// # Errors
    /// [`DecodeError::Unavailable`] when no child could be started, confined or understood.
    pub async fn confinement(&self) -> Result<Confinement, DecodeError> {
        let run = Command::new(&self.exe).args(&self.args).arg(REPORT).env_clear().stdin(Stdio::null()).kill_on_drop(true).output();
        let run = tokio::time::timeout(self.wall, run).await.map_err(|_| unavailable("it does not end"))?;
        let run = run.map_err(|e| unavailable(&format!("it does not start: {}", e.kind())))?;
        if !run.status.success() {
            let how = died(run.status);
            return Err(if how.is_refusal() { unavailable(&how.to_string()) } else { how });
        }
        serde_json::from_slice(&run.stdout).map_err(|_| unavailable("its answer makes no sense"))
    }

    async fn talk(&self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut child = Command::new(&self.exe)
            .args(&self.args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| unavailable(&format!("it does not start: {}", e.kind())))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(unavailable("it has no pipes"));
        };
        let feed = async {
            // A child that ends early closes the pipe; its exit says why.
            let length = (bytes.len() as u64).to_le_bytes();
            for part in [MAGIC.as_slice(), &length, bytes] {
                if input.write_all(part).await.is_err() {
                    break;
                }
            }
            let _ = input.shutdown().await;
            drop(input);
        };
        let most = MAGIC.len() + 4 + ANSWER_BYTES_MAX + PIXELS_MAX as usize * 3;
        let mut answer = Vec::new();
        let mut output = output.take(most as u64 + 1);
        let ((), read) = tokio::join!(feed, output.read_to_end(&mut answer));
        read.map_err(|_| unavailable("its answer could not be read"))?;
        if answer.len() > most {
            return Err(unavailable("its answer is too long"));
        }
        let status = child.wait().await;
        let status = status.map_err(|_| unavailable("it cannot be waited for"))?;
        if status.success() { Ok(answer) } else { Err(died(status)) }
    }
}

fn unavailable(reason: &str) -> DecodeError {
    DecodeError::Unavailable { reason: reason.into() }
}

fn died(status: ExitStatus) -> DecodeError {
    use std::os::unix::process::ExitStatusExt;
    match (status.signal(), status.code()) {
        (Some(signal), _) => DecodeError::ChildDied { how: format!("signal {signal}") },
        (None, Some(3)) => unavailable("it could not set its limits"),
        (None, Some(4)) => unavailable("it did not understand the request"),
        (None, code) => DecodeError::ChildDied { how: format!("exit code {}", code.unwrap_or(-1)) },
    }
}

/// Takes an answer apart, trusting nothing in it: a decoder that was taken over may say anything.
pub(crate) fn understand(mut answer: Vec<u8>, bytes: &[u8], name_hint: Option<&str>) -> Result<Decoded, DecodeError> {
    let nonsense = || unavailable("its answer makes no sense");
    let head = MAGIC.len() + 4;
    if answer.len() < head || !answer.starts_with(MAGIC) {
        return Err(nonsense());
    }
    let length: [u8; 4] = answer[MAGIC.len()..head].try_into().map_err(|_| nonsense())?;
    let length = u32::from_le_bytes(length) as usize;
    if length > ANSWER_BYTES_MAX || answer.len() < head + length {
        return Err(nonsense());
    }
    let said: Answer = serde_json::from_slice(&answer[head..head + length]).map_err(|_| nonsense())?;
    let (width, height, format, orientation, mut signs) = match said {
        Answer::Refused { error } => return Err(error),
        Answer::Pixels { width, height, format, orientation, signs } => (width, height, format, orientation, signs),
    };
    answer.drain(..head + length);
    if u64::from(width) * u64::from(height) > PIXELS_MAX || !(1..=8).contains(&orientation) {
        return Err(nonsense());
    }
    signs.sort_unstable();
    signs.dedup();
    let pixels = Rgb8::new(width, height, answer).map_err(|_| nonsense())?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Ok(Decoded {
        pixels,
        format,
        orientation,
        signs,
        sha256: hex::encode(digest.as_ref()),
        bytes: bytes.len(),
        extension_mismatch: name_hint.and_then(|name| mismatch(name, format)),
    })
}

fn mismatch(name: &str, actual: Format) -> Option<ExtensionMismatch> {
    let extension = Path::new(name).extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_lowercase();
    // The name came from outside: keep nothing of it that could be more than an extension.
    let declared: String = extension.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    (!actual.owns_extension(&declared)).then_some(ExtensionMismatch { declared, actual })
}

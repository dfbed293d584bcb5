//! The witness's folder: its key, its logs, and what it last cosigned for each.

use ledger::witness::{AddCheckpoint, Known, Verdict, judge};
use ledger::{Checkpoint, LedgerError, VerifierKey, WitnessKey, WitnessSigner, bundle, note};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Longest file of the folder that is read, in bytes.
const MAX_FILE_BYTES: u64 = note::MAX_NOTE_BYTES as u64 + 1024;

/// Why a witness's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// There is something already.
    #[error("{} is there already; choose a folder that does not exist yet", path.display())]
    AlreadyExists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process uses the folder.
    #[error("{} is in use by another witness process; stop that one first", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not what it should be. A witness that has forgotten what it cosigned must not go on.
    #[error("{} is damaged; restore it, or retire this witness and its key: one that has forgotten what it cosigned must not go on", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The key can be read by others.
    #[error("{} can be read by others (mode {mode:04o}); run chmod 600 on it and find out who read it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The log is watched already.
    #[error("a log of this origin is watched already")]
    Watched,
    /// A bad name or key.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system gave no randomness.
    #[error("the system's random source failed")]
    Random,
    /// A file could not be used.
    #[error("{} could not be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> WitnessError + '_ {
    move |source| WitnessError::Io { path: path.to_owned(), source }
}

/// What a witness answers to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// An open folder. One process at a time has it.
#[derive(Debug)]
pub struct Witness {
    dir: PathBuf,
    signer: WitnessSigner,
    /// Held from the look at the last checkpoint until the next is on disk: requests are judged one by one.
    known: Mutex<Known>,
    _lock: File,
}

impl Witness {
    /// Makes a folder with a fresh key. `name` is the witness's for ever: a schema-less URL-like name.
    ///
    /// # Errors
    /// [`WitnessError::AlreadyExists`]; [`WitnessError::Ledger`] for a bad name; IO errors.
    pub fn create(dir: &Path, name: &str) -> Result<WitnessKey, WitnessError> {
        if dir.exists() {
            return Err(WitnessError::AlreadyExists { path: dir.to_owned() });
        }
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| WitnessError::Random)?;
        let signer = WitnessSigner::from_seed(name, *seed)?;
        let mut private = fs::DirBuilder::new();
        private.mode(0o700);
        private.create(dir).map_err(at(dir))?;
        let logs = dir.join("logs");
        private.create(&logs).map_err(at(&logs))?;
        let text = Zeroizing::new(format!("{name}\n{}\n", Zeroizing::new(hex::encode(seed.as_slice())).as_str()));
        put(dir, "witness.key", text.as_bytes())?;
        sync(dir)?;
        Ok(signer.key().clone())
    }

    /// Opens a folder, checking everything in it.
    ///
    /// # Errors
    /// [`WitnessError::InUse`], [`WitnessError::Damaged`], [`WitnessError::Permissions`]; IO errors.
    pub fn open(dir: &Path) -> Result<Self, WitnessError> {
        let lock = lock(dir)?;
        let path = dir.join("witness.key");
        let mode = fs::metadata(&path).map_err(at(&path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(WitnessError::Permissions { path, mode });
        }
        let damaged = |path: &Path| WitnessError::Damaged { path: path.to_owned() };
        let text = Zeroizing::new(read(&path)?);
        let (name, seed) = text.trim_end().split_once('\n').ok_or_else(|| damaged(&path))?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(seed, bytes.as_mut_slice()).map_err(|_| damaged(&path))?;
        let signer = WitnessSigner::from_seed(name, *bytes)?;
        let mut known = Known::default();
        let logs = dir.join("logs");
        for entry in fs::read_dir(&logs).map_err(at(&logs))? {
            let path = entry.map_err(at(&logs))?.path();
            if path.extension().is_some_and(|e| e == "new") {
                // Killed before it had its name: the one before it still counts.
                fs::remove_file(&path).map_err(at(&path))?;
                continue;
            }
            let text = read(&path)?;
            let (key, last) = text.split_once('\n').ok_or_else(|| damaged(&path))?;
            let key = VerifierKey::parse(key).map_err(|_| damaged(&path))?;
            let last = match last {
                "" => None,
                note => Some(Checkpoint::open(note, &key).map_err(|_| damaged(&path))?),
            };
            if path.file_name().is_none_or(|n| n.to_string_lossy() != file_of(key.origin())) {
                return Err(damaged(&path));
            }
            known.watch(key, last);
        }
        Ok(Self { dir: dir.to_owned(), signer, known: Mutex::new(known), _lock: lock })
    }

    /// Watches one more log. Nothing was cosigned for it yet.
    ///
    /// # Errors
    /// [`WitnessError::Watched`] if a log of its origin is watched; IO errors.
    pub fn watch(&self, key: VerifierKey) -> Result<(), WitnessError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.origins().any(|o| o == key.origin()) {
            return Err(WitnessError::Watched);
        }
        put(&self.dir.join("logs"), &file_of(key.origin()), format!("{key}\n").as_bytes())?;
        known.watch(key, None);
        Ok(())
    }

    /// The public key to hand out.
    #[must_use]
    pub fn key(&self) -> &WitnessKey {
        self.signer.key()
    }

    /// Each log with the last checkpoint that was cosigned for it, as a note that others can remember.
    ///
    /// # Errors
    /// IO errors.
    pub fn last(&self) -> Result<Vec<(String, Option<String>)>, WitnessError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = vec![];
        for origin in known.origins() {
            let path = self.dir.join("logs").join(file_of(origin));
            let text = read(&path)?;
            let note = text.split_once('\n').map(|(_, note)| note.to_owned()).filter(|n| !n.is_empty());
            out.push((origin.to_owned(), note));
        }
        Ok(out)
    }

    /// Answers an `add-checkpoint` request at a time (seconds since 1970). Blocks on the disk: what is cosigned is
    /// remembered there first.
    #[must_use]
    pub fn add_checkpoint(&self, body: &str, now: u64) -> Answer {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Answer::text(400, format!("{error}\n")),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (checkpoint, text) = match judge(&known, &request) {
            Verdict::Cosign { checkpoint, text } => (checkpoint, text),
            Verdict::BadRequest(why) => return Answer::text(400, format!("{why}\n")),
            Verdict::Forbidden => return Answer::text(403, "no signature of the log's key verifies\n"),
            Verdict::UnknownLog => return Answer::text(404, "this log is not watched here\n"),
            Verdict::NotConsistent => return Answer::text(422, "the proof does not lead from the last checkpoint to this one\n"),
            Verdict::Conflict { size } => return Answer { status: 409, kind: "text/x.tlog.size", body: format!("{size}\n") },
        };
        match self.remember(&checkpoint, &request.note) {
            Ok(()) => known.cosigned(checkpoint),
            Err(error) => {
                tracing::error!(%error, "a checkpoint could not be remembered, so it is not cosigned");
                return Answer::text(500, "the checkpoint could not be remembered, so it is not cosigned\n");
            }
        }
        match self.signer.cosign(&text, now) {
            Ok(line) => Answer::text(200, line),
            Err(_) => Answer::text(500, "the checkpoint could not be signed\n"),
        }
    }

    fn remember(&self, checkpoint: &Checkpoint, note: &str) -> Result<(), WitnessError> {
        let name = file_of(&checkpoint.origin);
        let path = self.dir.join("logs").join(&name);
        let text = read(&path)?;
        let key = text.split_once('\n').map(|(key, _)| key).ok_or(WitnessError::Damaged { path })?;
        put(&self.dir.join("logs"), &name, format!("{key}\n{note}").as_bytes())
    }
}

/// A log's file: no origin can lead elsewhere.
fn file_of(origin: &str) -> String {
    bundle::sha256(origin.as_bytes())
}

fn lock(dir: &Path) -> Result<File, WitnessError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WitnessError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(WitnessError::Io { path, source }),
    }
}

fn read(path: &Path) -> Result<String, WitnessError> {
    let mut text = String::new();
    let file = File::open(path).map_err(at(path))?;
    match file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 <= MAX_FILE_BYTES => Ok(text),
        Ok(_) => Err(WitnessError::Damaged { path: path.to_owned() }),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(WitnessError::Damaged { path: path.to_owned() }),
        Err(e) => Err(at(path)(e)),
    }
}

/// Puts a file whole or not at all: written beside its place, flushed, given its name, and that flushed too.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), WitnessError> {
    let new = dir.join(format!("{name}.new"));
    let write = || {
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, dir.join(name))
    };
    write().map_err(at(&new))?;
    sync(dir)
}

fn sync(dir: &Path) -> Result<(), WitnessError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(at(dir))
}

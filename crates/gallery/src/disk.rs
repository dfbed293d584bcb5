//! Every change to the gallery's folder goes through here, so that what must survive a power cut is
//! synced in one place, and a test can stop the world at any of the steps, or write all of them down
//! and play what a power cut could leave.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// The writing hand. Outside tests it has no state.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) watch: watch::Watch,
}

/// What a step does, as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))] // built always, so that steps cannot differ from what is tested
pub(crate) enum Step<'a> {
    Create(&'a Path),
    Write(&'a Path, u64, &'a [u8]),
    Cut(&'a Path, u64),
    Sync(&'a Path),
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
    SyncFolder(&'a Path),
}

/// How much of a write a kill in the middle of it leaves, in tests.
#[cfg(test)]
fn torn(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

impl Disk {
    /// Makes the folder and those above it as needed, open to this account alone, and syncs their names.
    pub(crate) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let folder = std::path::absolute(folder)?;
        let missing: Vec<&Path> = folder.ancestors().take_while(|f| !f.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        missing.iter().filter_map(|f| f.parent()).try_for_each(|above| self.sync_folder(above))
    }

    /// Writes a new file whole and syncs its contents. The name itself is only safe after
    /// [`Disk::sync_folder`]. Refuses to overwrite.
    pub(crate) fn write_new<T>(&self, path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        let out = self.create(path)?;
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let value = write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync()?;
        Ok(value)
    }

    /// Writes `bytes` at the end of a file that is `length` long, made new if that is 0, and syncs them.
    pub(crate) fn append(&self, path: &Path, length: u64, bytes: &[u8]) -> io::Result<()> {
        let mut out = match length {
            0 => self.create(path)?,
            at => Out { disk: self, path, file: OpenOptions::new().write(true).open(path)?, at },
        };
        out.write_all(bytes)?;
        out.sync()
    }

    /// Cuts a file to its first `length` bytes and syncs that.
    pub(crate) fn cut(&self, path: &Path, length: u64) -> io::Result<()> {
        let out = Out { disk: self, path, file: OpenOptions::new().write(true).open(path)?, at: length };
        self.step(Step::Cut(path, length))?;
        out.file.set_len(length)?;
        out.sync()
    }

    /// Renames over whatever is there: either the old or the new file is seen, never a mixture.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename(from, to))?;
        fs::rename(from, to)
    }

    /// Makes the names in the folder survive a power cut.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(Step::SyncFolder(folder))?;
        File::open(folder)?.sync_all()
    }

    /// Unlinks a file; one that is gone already is no error.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove(path))?;
        match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn create<'a>(&'a self, path: &'a Path) -> io::Result<Out<'a>> {
        self.step(Step::Create(path))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Out { disk: self, path, file, at: 0 })
    }

    #[cfg(not(test))]
    fn step(&self, _: Step<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A file being written.
struct Out<'a> {
    disk: &'a Disk,
    path: &'a Path,
    file: File,
    at: u64,
}

impl Out<'_> {
    fn sync(self) -> io::Result<()> {
        self.disk.step(Step::Sync(self.path))?;
        // The length is synced with the contents; only times are left out.
        self.file.sync_data()
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.step(Step::Write(self.path, self.at, bytes)).inspect_err(|_| {
            // Killed inside a write: some of it is in the file.
            #[cfg(test)]
            self.disk.watch.tear(|| self.file.write_all_at(torn(bytes), self.at));
        })?;
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tests do to a disk: stop it at a step, hold it there, or write every step down.
#[cfg(test)]
pub(crate) mod watch {
    use std::io;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use super::{Disk, Step};

    /// A [`Step`] that owns its parts.
    #[derive(Debug, Clone)]
    pub(crate) enum Done {
        Create(PathBuf),
        Write(PathBuf, u64, Vec<u8>),
        Cut(PathBuf, u64),
        Sync(PathBuf),
        Rename(PathBuf, PathBuf),
        Remove(PathBuf),
        SyncFolder,
    }

    /// Shared by the clones of a disk.
    #[derive(Debug, Default, Clone)]
    pub(crate) struct Watch(Arc<Inner>);

    #[derive(Debug)]
    struct Inner {
        /// Steps that still succeed.
        left: AtomicI64,
        /// What was done, if it is being written down.
        done: Mutex<Option<Vec<Done>>>,
        /// What a sync takes at least, in microseconds.
        sync_takes: AtomicI64,
        /// Whether steps are held up, and how many are.
        held: Mutex<(bool, usize)>,
        changed: Condvar,
    }

    impl Default for Inner {
        fn default() -> Self {
            Inner {
                left: AtomicI64::new(i64::MAX),
                done: Mutex::default(),
                sync_takes: AtomicI64::new(0),
                held: Mutex::default(),
                changed: Condvar::new(),
            }
        }
    }

    impl Watch {
        /// Lets `steps` more steps succeed and fails all after them, as after a kill.
        pub(crate) fn die_after(&self, steps: i64) {
            self.0.left.store(steps, SeqCst);
        }

        /// Whether a step has failed.
        pub(crate) fn dead(&self) -> bool {
            self.0.left.load(SeqCst) < 0
        }

        /// Makes each sync take as long as on a disk, also in a folder in memory.
        pub(crate) fn slow_syncs(&self, at_least: Duration) {
            self.0.sync_takes.store(at_least.as_micros() as i64, SeqCst);
        }

        /// Begins to write steps down.
        pub(crate) fn record(&self) {
            *self.0.done.lock().unwrap() = Some(Vec::new());
        }

        /// What was written down so far.
        pub(crate) fn recorded(&self) -> Vec<Done> {
            self.0.done.lock().unwrap().clone().unwrap_or_default()
        }

        /// Holds up the next step until [`Watch::release`].
        pub(crate) fn hold(&self) {
            self.0.held.lock().unwrap().0 = true;
        }

        /// Waits until a step is held up.
        pub(crate) fn wait_until_held(&self) {
            let held = self.0.held.lock().unwrap();
            drop(self.0.changed.wait_while(held, |(_, waiting)| *waiting == 0).unwrap());
        }

        pub(crate) fn release(&self) {
            self.0.held.lock().unwrap().0 = false;
            self.0.changed.notify_all();
        }

        /// Runs `write` if the step that just failed was the first to fail.
        pub(super) fn tear(&self, write: impl FnOnce() -> io::Result<()>) {
            if self.0.left.load(SeqCst) == -1 {
                write().unwrap();
            }
        }
    }

    impl Disk {
        pub(super) fn step(&self, step: Step<'_>) -> io::Result<()> {
            let inner = &self.watch.0;
            let mut held = inner.held.lock().unwrap();
            held.1 += 1;
            inner.changed.notify_all();
            held = inner.changed.wait_while(held, |(hold, _)| *hold).unwrap();
            held.1 -= 1;
            drop(held);
            if matches!(step, Step::Sync(_) | Step::SyncFolder(_)) {
                std::thread::sleep(Duration::from_micros(inner.sync_takes.load(SeqCst) as u64));
            }
            let left = inner.left.fetch_sub(1, SeqCst);
            let step = match step {
                Step::Write(path, at, bytes) if left == 0 => Step::Write(path, at, super::torn(bytes)),
                _ if left <= 0 => return Err(io::Error::other("killed here by a test")),
                step => step,
            };
            if let Some(done) = inner.done.lock().unwrap().as_mut() {
                done.push(match step {
                    Step::Create(p) => Done::Create(p.into()),
                    Step::Write(p, at, bytes) => Done::Write(p.into(), at, bytes.into()),
                    Step::Cut(p, length) => Done::Cut(p.into(), length),
                    Step::Sync(p) => Done::Sync(p.into()),
                    Step::Rename(from, to) => Done::Rename(from.into(), to.into()),
                    Step::Remove(p) => Done::Remove(p.into()),
                    Step::SyncFolder(_) => Done::SyncFolder,
                });
            }
            if left > 0 { Ok(()) } else { Err(io::Error::other("killed here by a test")) }
        }
    }
}

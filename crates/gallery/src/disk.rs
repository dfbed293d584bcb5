//! Every write to the gallery's folder goes through here, so that what must survive a power cut is
//! synced in one place, and a test can stop the world at any of the steps.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The writing hand. Outside tests it has no state.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) fault: fault::Fault,
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
        self.step()?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let value = write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.tear(&file)?;
        file.sync_all()?;
        Ok(value)
    }

    /// Renames over whatever is there: either the old or the new file is seen, never a mixture.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)
    }

    /// Makes the names in the folder survive a power cut.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        File::open(folder)?.sync_all()
    }

    /// Unlinks a file; one that is gone already is no error.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    #[cfg(not(test))]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(test))]
    fn tear(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
}

/// Faults for tests: from the chosen step on, every write fails, as after a kill.
#[cfg(test)]
pub(crate) mod fault {
    use std::fs::File;
    use std::io;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[derive(Debug)]
    pub(crate) struct Fault(AtomicI64);

    impl Default for Fault {
        fn default() -> Self {
            Fault(AtomicI64::new(i64::MAX))
        }
    }

    impl Fault {
        /// Lets `steps` more steps succeed and fails all after them.
        pub(crate) fn after(&self, steps: i64) {
            self.0.store(steps, Ordering::SeqCst);
        }

        fn dead(&self) -> bool {
            self.0.fetch_sub(1, Ordering::SeqCst) <= 0
        }
    }

    impl super::Disk {
        pub(super) fn step(&self) -> io::Result<()> {
            if self.fault.dead() { Err(io::Error::other("killed here by a test")) } else { Ok(()) }
        }

        /// A kill between writing and syncing leaves some of the bytes: here, the first half.
        pub(super) fn tear(&self, file: &File) -> io::Result<()> {
            self.step().inspect_err(|_| {
                let half = file.metadata().map_or(0, |m| m.len() / 2);
                file.set_len(half).unwrap();
            })
        }
    }
}

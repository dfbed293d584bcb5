//! A gallery in a folder of this machine.

use std::fs::{File, TryLockError};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::disk::Disk;
use crate::manifest::{self, CommitError, LogEntry, Manifest};
use crate::reference::check_template;
use crate::rotation::Rotation;
use crate::snapshot::Snapshot;
use crate::writer::{self, Change, Desk, Done, Kind};
use crate::{
    Attributes, CandidateList, Error, Filters, Gallery, Kernel, MAX_BATCH, MAX_DIMENSION, MAX_LOG_ROWS, ModelId, NewReference, Probe,
    ReferenceId, Refusal, RefusedReference, SearchLimits, log, scan,
};

/// How a gallery is run; nothing here changes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Threads a search may use, at least 1.
    pub threads: NonZeroUsize,
    /// Which kernel reads the codes, one that runs on this machine.
    pub kernel: Kernel,
}

impl Default for Settings {
    /// As many threads as the machine runs at once, and its best kernel.
    fn default() -> Self {
        Settings { threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), kernel: Kernel::best() }
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// References enrolled.
    pub count: u64,
    /// The first epoch that has them.
    pub epoch: u64,
}

/// What a replacement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// References that are enrolled now.
    pub count: u64,
    /// References that were enrolled under their ids before, and are erased.
    pub erased: u64,
    /// The first epoch that has it.
    pub epoch: u64,
}

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// References that were enrolled and now never come back from a search.
    pub erased: u64,
    /// Ids that were not enrolled (erased before, or given twice): nothing to do.
    pub unknown: u64,
    /// The first epoch without them.
    pub epoch: u64,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Erased references whose bytes are gone from every file.
    pub removed: u64,
    /// Segments that were rewritten or dropped.
    pub rewritten: u64,
    /// The epoch after it.
    pub epoch: u64,
}

/// A gallery in a folder: immutable checked segments, a log of the newest changes, an atomic
/// manifest, one writer at a time (of any number of threads) and any number of searches, in this
/// process and others, each of which sees one epoch and never waits for enrolment.
///
/// Nothing but this crate may write in the folder: the segments are mapped into memory.
#[derive(Debug)]
pub struct LocalGallery {
    pub(crate) folder: PathBuf,
    model_id: ModelId,
    pub(crate) dimension: usize,
    pub(crate) rotation: Rotation,
    settings: Settings,
    /// [`MAX_LOG_ROWS`], but for tests.
    pub(crate) log_rows: usize,
    current: RwLock<Arc<Snapshot>>,
    desk: Option<Desk>,
    pub(crate) disk: Disk,
}

impl LocalGallery {
    /// Makes an empty gallery in `folder` (created if need be, readable by this account only) and
    /// opens it for enrolment.
    ///
    /// # Errors
    /// [`Error::AlreadyThere`] if the folder holds a gallery or a part of one, [`Error::Dimension`],
    /// [`Error::InUse`], [`Error::Io`].
    pub fn create(folder: impl AsRef<Path>, model_id: &ModelId, dimension: usize, settings: Settings) -> Result<Self, Error> {
        Self::create_on(Disk::default(), folder.as_ref(), model_id, dimension, settings)
    }

    fn create_on(disk: Disk, folder: &Path, model_id: &ModelId, dimension: usize, settings: Settings) -> Result<Self, Error> {
        if dimension == 0 || dimension > MAX_DIMENSION {
            return Err(Error::Dimension(dimension));
        }
        disk.make_folder(folder).map_err(Error::io("make", folder))?;
        let lock = lock(folder)?;
        if manifest::path(folder).exists() || !writer::numbered_files(folder)?.is_empty() {
            return Err(Error::AlreadyThere(folder.to_owned()));
        }
        let no_key = |e: getrandom::Error| Error::io("draw a random key for", folder)(std::io::Error::other(e.to_string()));
        let manifest = Manifest {
            model_id: model_id.as_str().to_owned(),
            dimension,
            rotation_key: getrandom::u64().map_err(no_key)?,
            epoch: 0,
            next_number: 2,
            log: LogEntry::empty(1),
            segments: Vec::new(),
        };
        manifest.commit(&disk, folder).map_err(|e| match e {
            CommitError::NotDone(e) => e,
            CommitError::Unsure => Error::Unsure,
        })?;
        let snapshot = Snapshot::open(folder, &manifest, Vec::new(), None)?;
        Ok(Self::assemble(folder, model_id, settings, snapshot, manifest, Some(lock), disk))
    }

    /// Opens the gallery in `folder` for enrolment and search, and removes what a crash left
    /// half-written. The manifest, the log and the shapes and checksum lists of segments are checked
    /// now, their rows when they are first read (see [`LocalGallery::check_all`]).
    ///
    /// # Errors
    /// [`Error::NotAGallery`], [`Error::OtherModel`], [`Error::InUse`] if it is open for enrolment
    /// already, [`Error::Damaged`] if any file is not what was written, [`Error::Io`].
    pub fn open(folder: impl AsRef<Path>, model_id: &ModelId, settings: Settings) -> Result<Self, Error> {
        Self::open_on(Disk::default(), folder.as_ref(), model_id, settings)
    }

    fn open_on(disk: Disk, folder: &Path, model_id: &ModelId, settings: Settings) -> Result<Self, Error> {
        Manifest::read_bytes(folder)?; // so that a wrong folder gets no lock file
        let lock = lock(folder)?;
        // Whoever wrote the manifest may have been killed before its name was synced. It must not be
        // lost after we have removed what only the one before it names.
        disk.sync_folder(folder).map_err(Error::io("sync", folder))?;
        let (manifest, snapshot) = Snapshot::open_newest(folder, None)?;
        same_model(&manifest, model_id)?;
        writer::sweep(&disk, folder, &manifest)?;
        let log = log::path(folder, manifest.log.number);
        if log.metadata().is_ok_and(|m| m.len() > manifest.log.length) {
            disk.cut(&log, manifest.log.length).map_err(Error::io("cut", &log))?;
        }
        Ok(Self::assemble(folder, model_id, settings, snapshot, manifest, Some(lock), disk))
    }

    /// Opens the gallery in `folder` for search only, beside whoever enrols. It follows the other's
    /// changes: each search looks whether there is a newer epoch, so an erased reference is never
    /// returned after its erasure was acknowledged, in whichever process.
    ///
    /// # Errors
    /// As [`LocalGallery::open`], without [`Error::InUse`].
    pub fn open_for_search(folder: impl AsRef<Path>, model_id: &ModelId, settings: Settings) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let (manifest, snapshot) = Snapshot::open_newest(folder, None)?;
        same_model(&manifest, model_id)?;
        Ok(Self::assemble(folder, model_id, settings, snapshot, manifest, None, Disk::default()))
    }

    /// Opens the gallery in `folder` for enrolment, making an empty one if there is none.
    ///
    /// # Errors
    /// As [`LocalGallery::create`] and [`LocalGallery::open`]; [`Error::OtherDimension`] if it is
    /// there with another dimension.
    pub fn open_or_create(folder: impl AsRef<Path>, model_id: &ModelId, dimension: usize, settings: Settings) -> Result<Self, Error> {
        match Self::open(folder.as_ref(), model_id, settings) {
            Err(Error::NotAGallery(_)) => Self::create(folder, model_id, dimension, settings),
            Ok(gallery) if gallery.dimension != dimension => Err(Error::OtherDimension { gallery: gallery.dimension, asked: dimension }),
            other => other,
        }
    }

    fn assemble(
        folder: &Path,
        model_id: &ModelId,
        settings: Settings,
        snapshot: Snapshot,
        manifest: Manifest,
        lock: Option<File>,
        disk: Disk,
    ) -> Self {
        LocalGallery {
            folder: folder.to_owned(),
            model_id: model_id.clone(),
            dimension: manifest.dimension,
            rotation: Rotation::new(manifest.rotation_key, manifest.dimension),
            settings,
            log_rows: MAX_LOG_ROWS,
            current: RwLock::new(Arc::new(snapshot)),
            desk: lock.map(|lock| Desk::new(manifest, lock)),
            disk,
        }
    }

    /// Enrols a batch: all of it, or, if any reference is refused, none. When this returns, the
    /// references survive a power cut and every search that starts later sees them. Threads that
    /// append at the same time share one sync, so several appending one by one are not slow.
    ///
    /// # Errors
    /// [`Error::Refused`] with every refused position, [`Error::OtherModel`], [`Error::Limits`] for
    /// more than [`MAX_BATCH`] references, [`Error::SearchOnly`], [`Error::Io`] (nothing changed),
    /// [`Error::Unsure`], [`Error::Damaged`] if it cannot be known whether an id is enrolled.
    pub fn append(&self, model_id: &ModelId, references: &[NewReference]) -> Result<Appended, Error> {
        let done = self.enrol(Kind::Append, model_id, references)?;
        Ok(Appended { count: done.enrolled, epoch: done.epoch })
    }

    /// Enrols a batch, erasing what is enrolled under the same ids, all at one instant: no search sees
    /// a person missing, or twice. Of what is replaced the bytes leave as with [`LocalGallery::erase`].
    ///
    /// # Errors
    /// As [`LocalGallery::append`], but that an id is enrolled is no reason to refuse.
    pub fn replace(&self, model_id: &ModelId, references: &[NewReference]) -> Result<Replaced, Error> {
        let done = self.enrol(Kind::Replace, model_id, references)?;
        Ok(Replaced { count: done.enrolled, erased: done.erased, epoch: done.epoch })
    }

    fn enrol(&self, kind: Kind, model_id: &ModelId, references: &[NewReference]) -> Result<Done, Error> {
        self.desk()?;
        if *model_id != self.model_id {
            return Err(Error::OtherModel { gallery: self.model_id.to_string(), asked: model_id.to_string() });
        }
        if references.len() > MAX_BATCH {
            return Err(Error::Limits("a batch is at most 1,048,576 references: split it"));
        }
        if !self.refusals(None, references)?.is_empty() {
            let enrolled = self.snapshot();
            return Err(Error::Refused(self.refusals((kind == Kind::Append).then_some(&enrolled), references)?));
        }
        if references.len() >= self.log_rows {
            return self.enrol_in_bulk(kind, references);
        }
        self.change(Change::enrol(kind, references))
    }

    /// Every reason why [`LocalGallery::append`] would refuse parts of this batch now, by position;
    /// empty if it would take it. A bulk enrolment asks first, reports, and leaves those out.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it cannot be known whether an id is enrolled.
    pub fn check(&self, references: &[NewReference]) -> Result<Vec<RefusedReference>, Error> {
        self.refusals(Some(&self.snapshot()), references)
    }

    /// Erases references: when this returns, no search that starts later returns them, and a power
    /// cut does not bring them back. Their bytes leave the files with [`LocalGallery::compact`]
    /// (of which the needful part runs before an erasure that finds [`crate::MAX_ERASED_WAITING`] waiting).
    ///
    /// # Errors
    /// [`Error::SearchOnly`], [`Error::Io`] (nothing changed), [`Error::Unsure`], [`Error::Damaged`]
    /// if it cannot be known where they are.
    pub fn erase(&self, ids: &[ReferenceId]) -> Result<Erased, Error> {
        let done = self.change(Change::erase(ids))?;
        Ok(Erased { erased: done.erased, unknown: ids.len() as u64 - done.erased, epoch: done.epoch })
    }

    /// Rewrites every segment that holds erased references, the log too, and joins small segments, so
    /// that when this returns no file of the folder holds a byte of an erased reference. (What the
    /// file system or the disk keeps below its files is for disk encryption; what a backup keeps, for
    /// its keys.) Searches go on meanwhile; one that began before may still read the old epoch to its end.
    ///
    /// # Errors
    /// [`Error::SearchOnly`], [`Error::Io`], [`Error::Unsure`], [`Error::Damaged`]; but for the last,
    /// run it again then.
    pub fn compact(&self) -> Result<Compacted, Error> {
        let (removed, rewritten, epoch) = self.tidy_all()?;
        Ok(Compacted { removed, rewritten, epoch })
    }

    /// Whether a live reference has this id.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it cannot be known.
    pub fn contains(&self, id: &ReferenceId) -> Result<bool, Error> {
        Ok(self.snapshot().find(id)?.is_some())
    }

    /// The attributes of a live reference.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they cannot be read.
    pub fn attributes(&self, id: &ReferenceId) -> Result<Option<Attributes>, Error> {
        self.snapshot().attributes(id)
    }

    /// How many live references the filters admit.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it cannot be known.
    pub fn count(&self, filters: &Filters) -> Result<u64, Error> {
        self.snapshot().count(filters)
    }

    /// Reads the newest epoch from disk anew and checks every byte of every file in it. Opening leaves
    /// rows to be checked when a search first needs them; this finds damage where none has looked yet.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the file, [`Error::Io`].
    pub fn check_all(&self) -> Result<(), Error> {
        let (manifest, snapshot) = Snapshot::open_newest(&self.folder, None)?;
        self.same_gallery(&manifest)?;
        snapshot.segments.iter().try_for_each(|live| live.segment.check_all())
    }

    /// Loads the codes of the current epoch into memory of this process's own (1.125 bytes a
    /// dimension and 8 a reference), in huge pages where the system has them, and reads everything else
    /// once. Searches do not need it; they are slower without, the first ones most. What is enrolled
    /// later is not loaded by itself.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the file, [`Error::Io`] if there is not enough memory.
    pub fn warm(&self) -> Result<(), Error> {
        self.snapshot().segments.iter().try_for_each(|live| live.segment.load())
    }

    /// Follows another process's changes; returns the epoch. Searches do it by themselves. Where
    /// this value is the writer there is nothing to follow.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`] if the newest epoch cannot be opened.
    pub fn refresh(&self) -> Result<u64, Error> {
        let old = self.snapshot();
        if self.desk.is_some() || Manifest::read_bytes(&self.folder)? == old.manifest_bytes {
            return Ok(old.epoch);
        }
        let (manifest, newer) = Snapshot::open_newest(&self.folder, Some(&old))?;
        self.same_gallery(&manifest)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if newer.epoch > current.epoch {
            *current = Arc::new(newer);
        }
        Ok(current.epoch)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes an epoch the one that searches see.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    pub(crate) fn desk(&self) -> Result<&Desk, Error> {
        self.desk.as_ref().ok_or(Error::SearchOnly)
    }

    /// Whether a manifest found in the folder is of the gallery that was opened.
    fn same_gallery(&self, manifest: &Manifest) -> Result<(), Error> {
        same_model(manifest, &self.model_id)?;
        if manifest.dimension == self.dimension && Rotation::new(manifest.rotation_key, self.dimension) == self.rotation {
            return Ok(());
        }
        Err(Error::Damaged { file: manifest::path(&self.folder), what: "it is of another gallery" })
    }

    /// Why references are refused, by position: for what they are, and, given a snapshot, for being in it.
    fn refusals(&self, enrolled: Option<&Snapshot>, references: &[NewReference]) -> Result<Vec<RefusedReference>, Error> {
        let mut order: Vec<usize> = (0..references.len()).collect();
        order.sort_by_key(|at| references[*at].id);
        let mut repeated = vec![false; references.len()];
        for pair in order.windows(2) {
            repeated[pair[1]] = references[pair[0]].id == references[pair[1]].id;
        }
        let mut present = vec![false; references.len()];
        if let Some(snapshot) = enrolled {
            let ids: Vec<ReferenceId> = order.iter().map(|at| references[*at].id).collect();
            for (at, place) in order.iter().zip(snapshot.places(&ids)?) {
                present[*at] = place.is_some();
            }
        }
        let refusal = |(position, r): (usize, &NewReference)| {
            let refusal = if r.template.len() != self.dimension {
                Refusal::WrongDimension { given: r.template.len(), expected: self.dimension }
            } else if let Err(refusal) = check_template(&r.template) {
                refusal
            } else if repeated[position] {
                Refusal::TwiceInBatch
            } else if present[position] {
                Refusal::AlreadyEnrolled
            } else {
                return None;
            };
            Some(RefusedReference { position, refusal })
        };
        Ok(references.iter().enumerate().filter_map(refusal).collect())
    }

    /// Whether a probe can be compared with what is enrolled here.
    fn check_probe(&self, probe: &Probe) -> Result<(), Error> {
        if *probe.model_id() != self.model_id {
            return Err(Error::Probe(Refusal::OtherModel { given: probe.model_id().to_string(), expected: self.model_id.to_string() }));
        }
        if probe.template().len() != self.dimension {
            return Err(Error::Probe(Refusal::WrongDimension { given: probe.template().len(), expected: self.dimension }));
        }
        Ok(())
    }
}

impl Gallery for LocalGallery {
    fn model_id(&self) -> &ModelId {
        &self.model_id
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn epoch(&self) -> u64 {
        self.snapshot().epoch
    }

    fn len(&self) -> u64 {
        self.snapshot().len()
    }

    fn search(&self, probe: &Probe, limits: &SearchLimits) -> Result<CandidateList, Error> {
        // One list for one probe.
        self.search_batch(std::slice::from_ref(probe), limits).map(|mut lists| lists.swap_remove(0))
    }

    fn search_batch(&self, probes: &[Probe], limits: &SearchLimits) -> Result<Vec<CandidateList>, Error> {
        limits.check()?;
        probes.iter().try_for_each(|probe| self.check_probe(probe))?;
        self.refresh()?;
        let templates: Vec<&[f32]> = probes.iter().map(Probe::template).collect();
        scan::search(&self.snapshot(), &self.rotation, &templates, limits, self.settings)
    }
}

/// Takes the folder's writer lock, or says that somebody has it.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("LOCK");
    let file = File::create(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(folder.to_owned())),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", path)(e)),
    }
}

fn same_model(manifest: &Manifest, model_id: &ModelId) -> Result<(), Error> {
    if manifest.model_id == model_id.as_str() {
        return Ok(());
    }
    Err(Error::OtherModel { gallery: manifest.model_id.clone(), asked: model_id.as_str().to_owned() })
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "power_tests.rs"]
mod power_tests;

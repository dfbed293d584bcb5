//! A gallery in a folder of this machine.

use std::fs::{self, File, TryLockError};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::disk::Disk;
use crate::manifest::{self, CommitError, Manifest, SegmentEntry};
use crate::reference::check_template;
use crate::segment::{self, Row, Segment};
use crate::snapshot::Snapshot;
use crate::{
    Attributes, CandidateList, Error, Filters, Gallery, MAX_BATCH, MAX_DIMENSION, MAX_ERASED_WAITING, MAX_SEGMENT_ROWS, MAX_SMALL_SEGMENTS,
    ModelId, NewReference, Probe, ReferenceId, Refusal, RefusedReference, SMALL_SEGMENT_ROWS, SearchLimits, scan,
};

/// How a gallery is run; nothing here changes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Threads a search may use, at least 1.
    pub threads: NonZeroUsize,
}

impl Default for Settings {
    /// As many threads as the machine runs at once.
    fn default() -> Self {
        Settings { threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN) }
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

/// A gallery in a folder: immutable checked segments, an atomic manifest, one writer at a time and
/// any number of searches, in this process and others, each of which sees one epoch and never waits
/// for enrolment.
///
/// Nothing but this crate may write in the folder: the segments are mapped into memory.
#[derive(Debug)]
pub struct LocalGallery {
    folder: PathBuf,
    model_id: ModelId,
    dimension: usize,
    settings: Settings,
    current: RwLock<Arc<Snapshot>>,
    writer: Option<Mutex<Writer>>,
    disk: Disk,
}

/// Held by the one value that may change the gallery.
#[derive(Debug)]
struct Writer {
    manifest: Manifest,
    unsure: bool,
    /// Locked for as long as the writer lives; the operating system frees it if the process dies.
    _lock: File,
}

impl LocalGallery {
    /// Makes an empty gallery in `folder` (created if need be, readable by this account only) and
    /// opens it for enrolment.
    ///
    /// # Errors
    /// [`Error::AlreadyThere`] if the folder holds a gallery or a part of one, [`Error::Dimension`],
    /// [`Error::InUse`], [`Error::Io`].
    pub fn create(folder: impl AsRef<Path>, model_id: &ModelId, dimension: usize, settings: Settings) -> Result<Self, Error> {
        let folder = folder.as_ref();
        if dimension == 0 || dimension > MAX_DIMENSION {
            return Err(Error::Dimension(dimension));
        }
        let disk = Disk::default();
        disk.make_folder(folder).map_err(Error::io("make", folder))?;
        let lock = lock(folder)?;
        if manifest::path(folder).exists() || !segment_numbers(folder)?.is_empty() {
            return Err(Error::AlreadyThere(folder.to_owned()));
        }
        let manifest = Manifest { model_id: model_id.as_str().to_owned(), dimension, epoch: 0, next_segment: 1, segments: Vec::new() };
        manifest.commit(&disk, folder).map_err(|e| match e {
            CommitError::NotDone(e) => e,
            CommitError::Unsure => Error::Unsure,
        })?;
        let snapshot = Snapshot::open(folder, &manifest, Vec::new(), None)?;
        let writer = Writer { manifest, unsure: false, _lock: lock };
        Ok(Self::assemble(folder, model_id, settings, snapshot, Some(writer), dimension, disk))
    }

    /// Opens the gallery in `folder` for enrolment and search. Every byte is checked, and what a
    /// crash left half-written is removed.
    ///
    /// # Errors
    /// [`Error::NotAGallery`], [`Error::OtherModel`], [`Error::InUse`] if it is open for enrolment
    /// already, [`Error::Damaged`] if any file is not what was written, [`Error::Io`].
    pub fn open(folder: impl AsRef<Path>, model_id: &ModelId, settings: Settings) -> Result<Self, Error> {
        let folder = folder.as_ref();
        Manifest::read_bytes(folder)?; // so that a wrong folder gets no lock file
        let lock = lock(folder)?;
        let disk = Disk::default();
        let (manifest, snapshot) = Snapshot::open_newest(folder, None)?;
        same_model(&manifest, model_id)?;
        sweep(&disk, folder, &manifest)?;
        let dimension = manifest.dimension;
        let writer = Writer { manifest, unsure: false, _lock: lock };
        Ok(Self::assemble(folder, model_id, settings, snapshot, Some(writer), dimension, disk))
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
        let disk = Disk::default();
        Ok(Self::assemble(folder, model_id, settings, snapshot, None, manifest.dimension, disk))
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
        writer: Option<Writer>,
        dimension: usize,
        disk: Disk,
    ) -> Self {
        LocalGallery {
            folder: folder.to_owned(),
            model_id: model_id.clone(),
            dimension,
            settings,
            current: RwLock::new(Arc::new(snapshot)),
            writer: writer.map(Mutex::new),
            disk,
        }
    }

    /// Enrols a batch: all of it, or, if any reference is refused, none. When this returns, the
    /// references survive a power cut and every search that starts later sees them.
    ///
    /// # Errors
    /// [`Error::Refused`] with every refused position, [`Error::OtherModel`], [`Error::Limits`] for
    /// more than [`MAX_BATCH`] references, [`Error::SearchOnly`], [`Error::Io`] (nothing changed),
    /// [`Error::Unsure`].
    pub fn append(&self, model_id: &ModelId, references: &[NewReference]) -> Result<Appended, Error> {
        let mut writer = self.writer()?;
        if *model_id != self.model_id {
            return Err(Error::OtherModel { gallery: self.model_id.to_string(), asked: model_id.to_string() });
        }
        if references.len() > MAX_BATCH {
            return Err(Error::Limits("a batch is at most 1,048,576 references: split it"));
        }
        let snapshot = self.snapshot();
        let refused = self.refusals(&snapshot, references);
        if !refused.is_empty() {
            return Err(Error::Refused(refused));
        }
        if references.is_empty() {
            return Ok(Appended { count: 0, epoch: snapshot.epoch });
        }
        let rows: Vec<Row<'_>> = references.iter().map(|r| Row { id: r.id, template: &r.template, attributes: r.attributes }).collect();
        let small = writer.manifest.segments.iter().filter(|s| s.rows < SMALL_SEGMENT_ROWS).count();
        if small >= MAX_SMALL_SEGMENTS {
            self.rewrite(&mut writer, |s| s.rows < SMALL_SEGMENT_ROWS)?;
        }
        let mut next = writer.manifest.clone();
        self.write_segments(&mut writer, &mut next, &rows)?;
        self.commit(&mut writer, next)?;
        Ok(Appended { count: references.len() as u64, epoch: writer.manifest.epoch })
    }

    /// Every reason why [`LocalGallery::append`] would refuse parts of this batch now, by position;
    /// empty if it would take it. A bulk enrolment asks first, reports, and leaves those out.
    pub fn check(&self, references: &[NewReference]) -> Vec<RefusedReference> {
        self.refusals(&self.snapshot(), references)
    }

    /// Erases references: when this returns, no search that starts later returns them, and a power
    /// cut does not bring them back. Their bytes leave the files with [`LocalGallery::compact`]
    /// (of which the needful part runs before an erasure that finds [`MAX_ERASED_WAITING`] waiting).
    ///
    /// # Errors
    /// [`Error::SearchOnly`], [`Error::Io`] (nothing changed), [`Error::Unsure`].
    pub fn erase(&self, ids: &[ReferenceId]) -> Result<Erased, Error> {
        let mut writer = self.writer()?;
        let waiting: usize = writer.manifest.segments.iter().map(|s| s.erased.len()).sum();
        if waiting >= MAX_ERASED_WAITING {
            self.rewrite(&mut writer, |s| !s.erased.is_empty())?;
        }
        let snapshot = self.snapshot();
        let mut next = writer.manifest.clone();
        let mut erased = 0;
        for (at, row) in ids.iter().filter_map(|id| snapshot.find(id)) {
            let rows = &mut next.segments[at].erased;
            if let Err(place) = rows.binary_search(&(row as u32)) {
                rows.insert(place, row as u32);
                erased += 1;
            }
        }
        let unknown = ids.len() as u64 - erased;
        if erased > 0 {
            self.commit(&mut writer, next)?;
        }
        Ok(Erased { erased, unknown, epoch: writer.manifest.epoch })
    }

    /// Rewrites every segment that holds erased references, and joins small ones, so that when this
    /// returns no file of the folder holds a byte of an erased reference. (What the file system or
    /// the disk keeps below its files is for disk encryption; what a backup keeps, for its keys.)
    /// Searches go on meanwhile; one that began before may still read the old epoch to its end.
    ///
    /// # Errors
    /// [`Error::SearchOnly`], [`Error::Io`], [`Error::Unsure`]; run it again then.
    pub fn compact(&self) -> Result<Compacted, Error> {
        let mut writer = self.writer()?;
        let small = writer.manifest.segments.iter().filter(|s| s.rows < SMALL_SEGMENT_ROWS).count();
        self.rewrite(&mut writer, |s| !s.erased.is_empty() || (small > 1 && s.rows < SMALL_SEGMENT_ROWS))
    }

    /// Whether a live reference has this id.
    pub fn contains(&self, id: &ReferenceId) -> bool {
        self.snapshot().find(id).is_some()
    }

    /// The attributes of a live reference.
    pub fn attributes(&self, id: &ReferenceId) -> Option<Attributes> {
        let snapshot = self.snapshot();
        let (at, row) = snapshot.find(id)?;
        Some(snapshot.segments[at].segment.attributes(row))
    }

    /// How many live references the filters admit.
    pub fn count(&self, filters: &Filters) -> u64 {
        self.snapshot().count(filters)
    }

    /// Follows another process's changes; returns the epoch. Searches do it by themselves. Where
    /// this value is the writer there is nothing to follow.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Io`] if the newest epoch cannot be opened.
    pub fn refresh(&self) -> Result<u64, Error> {
        let old = self.snapshot();
        if self.writer.is_some() || Manifest::read_bytes(&self.folder)? == old.manifest_bytes {
            return Ok(old.epoch);
        }
        let (manifest, newer) = Snapshot::open_newest(&self.folder, Some(&old))?;
        same_model(&manifest, &self.model_id)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if newer.epoch > current.epoch {
            *current = Arc::new(newer);
        }
        Ok(current.epoch)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let writer = self.writer.as_ref().ok_or(Error::SearchOnly)?;
        // A panic while the lock was held leaves nothing half-changed in memory: the manifest is
        // replaced in one assignment, after the disk has it.
        let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.unsure { Err(Error::Unsure) } else { Ok(writer) }
    }

    fn refusals(&self, snapshot: &Snapshot, references: &[NewReference]) -> Vec<RefusedReference> {
        let mut order: Vec<usize> = (0..references.len()).collect();
        order.sort_by_key(|at| references[*at].id);
        let mut repeated = vec![false; references.len()];
        for pair in order.windows(2) {
            repeated[pair[1]] = references[pair[0]].id == references[pair[1]].id;
        }
        let refusal = |(position, r): (usize, &NewReference)| {
            let refusal = if r.template.len() != self.dimension {
                Refusal::WrongDimension { given: r.template.len(), expected: self.dimension }
            } else if let Err(refusal) = check_template(&r.template) {
                refusal
            } else if repeated[position] {
                Refusal::TwiceInBatch
            } else if snapshot.find(&r.id).is_some() {
                Refusal::AlreadyEnrolled
            } else {
                return None;
            };
            Some(RefusedReference { position, refusal })
        };
        references.iter().enumerate().filter_map(refusal).collect()
    }

    /// Writes `rows` as new segments (synced, not yet named by a manifest) and adds them to `next`.
    fn write_segments(&self, writer: &mut Writer, next: &mut Manifest, rows: &[Row<'_>]) -> Result<(), Error> {
        for rows in rows.chunks(MAX_SEGMENT_ROWS) {
            let number = next.next_segment;
            // Also when the write fails: a number is never tried twice, whatever it left behind.
            next.next_segment += 1;
            writer.manifest.next_segment = next.next_segment;
            let entry =
                Segment::write(&self.disk, &self.folder, number, self.dimension, rows).inspect_err(|_| self.sweep_if_possible(writer))?;
            next.segments.push(entry);
        }
        Ok(())
    }

    /// Makes `next` the gallery, on disk and then in memory.
    fn commit(&self, writer: &mut Writer, mut next: Manifest) -> Result<(), Error> {
        next.epoch = writer.manifest.epoch + 1;
        let old = self.snapshot();
        let ready = || {
            // The new segments' names first, then the manifest that speaks of them. They are read
            // back through the same checks as at opening before anybody relies on them.
            self.disk.sync_folder(&self.folder).map_err(Error::io("sync", &self.folder))?;
            Snapshot::open(&self.folder, &next, Vec::new(), Some(&old))
        };
        let committed = ready().map_err(CommitError::NotDone).and_then(|snapshot| next.commit(&self.disk, &self.folder).map(|()| snapshot));
        match committed {
            Ok(snapshot) => {
                writer.manifest = next;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
                Ok(())
            }
            Err(CommitError::NotDone(error)) => {
                self.sweep_if_possible(writer);
                Err(error)
            }
            Err(CommitError::Unsure) => {
                writer.unsure = true;
                Err(Error::Unsure)
            }
        }
    }

    /// Tidies after a change that failed; what stays is swept by the next compaction or opening.
    fn sweep_if_possible(&self, writer: &Writer) {
        let _: Result<(), Error> = sweep(&self.disk, &self.folder, &writer.manifest);
    }

    /// Rewrites the live references of the chosen segments into new ones and unlinks the old.
    fn rewrite(&self, writer: &mut Writer, chosen: impl Fn(&SegmentEntry) -> bool) -> Result<Compacted, Error> {
        let snapshot = self.snapshot();
        let mut next = writer.manifest.clone();
        let mut removed = 0;
        let mut rewritten = 0;
        let mut rows = Vec::new();
        for (entry, live) in writer.manifest.segments.iter().zip(&snapshot.segments) {
            if chosen(entry) {
                removed += entry.erased.len() as u64;
                rewritten += 1;
                rows.extend(live.live_rows().map(|row| Row {
                    id: live.segment.id(row),
                    template: live.segment.template(row),
                    attributes: live.segment.attributes(row),
                }));
            }
        }
        next.segments.retain(|entry| !chosen(entry));
        if rewritten > 0 {
            self.write_segments(writer, &mut next, &rows)?;
            self.commit(writer, next)?;
        }
        // Also when there was nothing to rewrite: an earlier compaction may have been cut short here.
        sweep(&self.disk, &self.folder, &writer.manifest)?;
        Ok(Compacted { removed, rewritten, epoch: writer.manifest.epoch })
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
        limits.check()?;
        if *probe.model_id() != self.model_id {
            return Err(Error::Probe(Refusal::OtherModel { given: probe.model_id().to_string(), expected: self.model_id.to_string() }));
        }
        if probe.template().len() != self.dimension {
            return Err(Error::Probe(Refusal::WrongDimension { given: probe.template().len(), expected: self.dimension }));
        }
        self.refresh()?;
        let snapshot = self.snapshot();
        Ok(scan::search(&snapshot, probe.template(), limits, self.settings.threads.get()))
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

/// The numbers of all segment files in the folder, with their paths.
fn segment_numbers(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if let Some(number) = entry.file_name().to_str().and_then(segment::number_of) {
            numbers.push((number, entry.path()));
        }
    }
    Ok(numbers)
}

/// Unlinks the segment files that the manifest does not name, and a manifest that never came to be.
fn sweep(disk: &Disk, folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let mut swept = false;
    let next = manifest::next_path(folder);
    let unnamed = segment_numbers(folder)?
        .into_iter()
        .filter(|(number, _)| manifest.segments.iter().all(|s| s.number != *number))
        .map(|(_, path)| path);
    for path in unnamed.chain(next.exists().then_some(next)) {
        disk.remove(&path).map_err(Error::io("remove", &path))?;
        swept = true;
    }
    if swept {
        disk.sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;

//! Changing a gallery: one writer, many callers.
//!
//! Callers put their changes in a queue. One of them, if none is at it, commits everything that is in
//! the queue, for all of them, with one sync of the log and one manifest; the others wait to be told
//! what became of theirs. So the more callers there are, the more changes a sync carries, and nobody
//! waits for company.
//!
//! Every commit is the same: files that nobody reads yet are written and synced, their names are
//! synced, and then one rename of the manifest makes them count.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::local::LocalGallery;
use crate::manifest::{self, CommitError, LogEntry, Manifest, SegmentEntry};
use crate::segment::{self, Row, Segment};
use crate::snapshot::{LiveSegment, Place, Snapshot};
use crate::{
    Error, MAX_ERASED_WAITING, MAX_LOG_BYTES, MAX_SEGMENT_ROWS, MAX_SMALL_SEGMENTS, NewReference, ReferenceId, Refusal, RefusedReference,
    SMALL_SEGMENT_ROWS, log,
};

/// What a change does about ids that are enrolled, and those that are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Enrols; an id that is enrolled already refuses the change.
    Append,
    /// Enrols; an id that is enrolled already is erased first.
    Replace,
    /// Erases.
    Erase,
}

/// What a caller wants done at one instant, or not at all. It owns what it holds: another caller's
/// thread may write it.
pub(crate) struct Change {
    kind: Kind,
    ids: Vec<ReferenceId>,
    /// The log records that enrol, in the order of the ids.
    records: Vec<u8>,
}

impl fmt::Debug for Change {
    // Templates and ids must not reach a log by way of `{:?}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Change {
    /// A change that enrols references, which have been checked.
    pub(crate) fn enrol(kind: Kind, references: &[NewReference]) -> Self {
        let bytes = references.first().map_or(0, |r| log::enrol_bytes(r.template.len()));
        let mut records = Vec::with_capacity(references.len() * bytes);
        references.iter().for_each(|r| log::put_enrol(r, &mut records));
        Change { kind, ids: references.iter().map(|r| r.id).collect(), records }
    }

    /// A change that erases.
    pub(crate) fn erase(ids: &[ReferenceId]) -> Self {
        Change { kind: Kind::Erase, ids: ids.to_vec(), records: Vec::new() }
    }

    /// The erasures that the change comes to after all that `snapshot` has, as log records, and what
    /// there is to tell the caller.
    fn plan(&self, snapshot: &Snapshot) -> Result<(Vec<u8>, Done), Error> {
        let mut order: Vec<usize> = (0..self.ids.len()).collect();
        order.sort_unstable_by_key(|at| (self.ids[*at], *at));
        let sorted: Vec<ReferenceId> = order.iter().map(|at| self.ids[*at]).collect();
        let places = snapshot.places(&sorted)?;
        if self.kind == Kind::Append {
            let mut refused: Vec<_> = order.iter().zip(&places).filter(|(_, place)| place.is_some()).map(|(at, _)| *at).collect();
            refused.sort_unstable();
            if !refused.is_empty() {
                let refused = refused.into_iter().map(|position| RefusedReference { position, refusal: Refusal::AlreadyEnrolled });
                return Err(Error::Refused(refused.collect()));
            }
        }
        let mut erased: Vec<Place> = places.into_iter().flatten().collect();
        erased.sort_unstable();
        erased.dedup();
        let mut records = Vec::new();
        for place in &erased {
            match place {
                Place::Segment(at, row) => log::put_erase_row(snapshot.segments[*at].segment.number(), *row as u32, &mut records),
                Place::Log(at) => log::put_erase_logged(&snapshot.log.rows[*at].id, &mut records),
            }
        }
        let (asked, erased) = (self.ids.len() as u64, erased.len() as u64);
        Ok((records, Done { enrolled: if self.kind == Kind::Erase { 0 } else { asked }, erased, epoch: 0 }))
    }
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) enrolled: u64,
    pub(crate) erased: u64,
    /// The first epoch that has it.
    pub(crate) epoch: u64,
}

/// Where a caller finds the result.
pub(crate) type Slot = Arc<Mutex<Option<Result<Done, Error>>>>;

/// A change that waits for the writer.
#[derive(Debug)]
pub(crate) struct Pending {
    change: Change,
    slot: Slot,
}

/// What makes a gallery open for enrolment.
#[derive(Debug)]
pub(crate) struct Desk {
    queue: Mutex<Queue>,
    /// Told when changes are done.
    done: Condvar,
    writer: Mutex<Writer>,
}

/// Changes on their way to the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) pending: VecDeque<Pending>,
    /// Somebody is at it, or waits for the writer to be.
    led: bool,
}

/// Held by the caller that is at the queue; lets go of it also in a panic, so that nobody waits for ever.
struct Lead<'a>(&'a Desk);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.queue().led = false;
        self.0.done.notify_all();
    }
}

/// Held by whoever changes the gallery.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) manifest: Manifest,
    unsure: bool,
    /// A log in which a write, or a sync, did not succeed. What a disk makes of a file after that is
    /// not known, so it gets no more: the next change begins a new one.
    spoilt: Option<u64>,
    /// Locked for as long as the writer lives; the operating system frees it if the process dies.
    _lock: File,
}

impl Desk {
    pub(crate) fn new(manifest: Manifest, lock: File) -> Self {
        Desk {
            queue: Mutex::default(),
            done: Condvar::new(),
            writer: Mutex::new(Writer { manifest, unsure: false, spoilt: None, _lock: lock }),
        }
    }

    /// Puts a change in the queue.
    pub(crate) fn put(&self, change: Change) -> Slot {
        let slot = Slot::default();
        self.queue().pending.push_back(Pending { change, slot: Arc::clone(&slot) });
        slot
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic while the lock was held leaves nothing half-changed in memory: the manifest is
        // replaced in one assignment after the disk has it, and the log is held to be spoilt meanwhile.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much a rebuilding does beside what it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tidy {
    /// Small segments are joined when there are many, erased rows removed when they are many.
    AsNeeded,
    /// All erased rows are removed, and all small segments joined.
    All,
}

/// A gallery ready to be committed.
struct Rebuilt {
    next: Manifest,
    draft: Snapshot,
    /// Segments of before that are not in it.
    rewritten: u64,
}

impl LocalGallery {
    /// Does one change, together with those of other callers.
    pub(crate) fn change(&self, change: Change) -> Result<Done, Error> {
        let desk = self.desk()?;
        let slot = desk.put(change);
        let result = || slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut queue = desk.queue();
        loop {
            if let Some(result) = result() {
                return result;
            }
            if !queue.led {
                break;
            }
            queue = desk.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.led = true;
        drop(queue);
        let lead = Lead(desk);
        self.settle(desk, &mut desk.writer());
        drop(lead);
        // Empty only if somebody panicked with our change in hand.
        result().unwrap_or(Err(Error::Unsure))
    }

    /// Does what is in the queue.
    pub(crate) fn settle(&self, desk: &Desk, writer: &mut Writer) {
        let mut pending = std::mem::take(&mut desk.queue().pending);
        while !pending.is_empty() {
            let mut group = Vec::new();
            let outcome = self.commit_group(writer, &mut pending, &mut group);
            if group.is_empty() {
                group.extend(pending.pop_front().map(|p| (p.slot, Err(Error::Unsure))));
            }
            for (slot, mut result) in group {
                match &outcome {
                    Ok(epoch) => result = result.map(|done| Done { epoch: *epoch, ..done }),
                    // Also for what was refused: the reason may have been another change that is not done either.
                    Err(error) => result = Err(error.again()),
                }
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        }
    }

    /// Commits as many pending changes as the log has room for, at least one, and puts what each came
    /// to into `group`. Returns the epoch that has them.
    fn commit_group(
        &self,
        writer: &mut Writer,
        pending: &mut VecDeque<Pending>,
        group: &mut Vec<(Slot, Result<Done, Error>)>,
    ) -> Result<u64, Error> {
        if writer.unsure {
            return Err(Error::Unsure);
        }
        let current = self.snapshot();
        let crowded = |p: &Pending| p.change.kind != Kind::Append && current.erased_waiting() >= MAX_ERASED_WAITING;
        let full = |p: &Pending| !self.has_room(&current, 0, &p.change);
        let rebuild = writer.spoilt.is_some() || pending.front().is_some_and(|p| full(p) || crowded(p));
        let (mut next, mut draft) = if rebuild {
            let rebuilt = self.rebuild(writer, &current, Tidy::AsNeeded, &[])?;
            (rebuilt.next, rebuilt.draft)
        } else {
            (writer.manifest.clone(), (*current).clone())
        };
        let mut records = Vec::new();
        while let Some(p) = pending.pop_front_if(|p| self.has_room(&draft, records.len(), &p.change)) {
            match p.change.plan(&draft) {
                Ok((erasures, done)) => {
                    group.push((p.slot, Ok(done)));
                    let from = records.len();
                    records.extend_from_slice(&erasures);
                    records.extend_from_slice(&p.change.records);
                    let damaged = |what| Error::Damaged { file: log::path(&self.folder, next.log.number), what };
                    draft.replay(&records[from..]).map_err(damaged)?;
                }
                Err(error) => group.push((p.slot, Err(error))),
            }
        }
        if records.is_empty() && !rebuild {
            return Ok(current.epoch);
        }
        if !records.is_empty() {
            next.log = self.write_log(writer, next.log, &records)?;
            draft.log.entry = next.log;
        }
        self.commit(writer, next, draft)?;
        if rebuild {
            self.sweep_if_possible(writer);
        }
        Ok(writer.manifest.epoch)
    }

    /// Whether a change fits into the log of `draft` and `planned` bytes more. An empty log takes any.
    fn has_room(&self, draft: &Snapshot, planned: usize, change: &Change) -> bool {
        let bytes = draft.log.entry.length as usize + planned;
        let enrolled = if change.kind == Kind::Erase { 0 } else { change.ids.len() };
        bytes == 0 || (bytes + change.records.len() <= MAX_LOG_BYTES && draft.log.rows.len() + enrolled <= self.log_rows)
    }

    /// Appends to the log and syncs it. It counts only once a manifest says so.
    fn write_log(&self, writer: &mut Writer, entry: LogEntry, records: &[u8]) -> Result<LogEntry, Error> {
        let path = log::path(&self.folder, entry.number);
        let header = log::header(entry.number, self.dimension);
        let bytes = if entry.length == 0 { [&header, records].concat() } else { records.to_vec() };
        writer.spoilt = Some(entry.number);
        self.disk.append(&path, entry.length, &bytes).map_err(Error::io("write", &path))?;
        if entry.length == 0 {
            self.disk.sync_folder(&self.folder).map_err(Error::io("sync", &self.folder))?;
        }
        Ok(log::extended(entry, &bytes))
    }

    /// Enrols so many references that they go into segments at once, past the log.
    pub(crate) fn enrol_in_bulk(&self, kind: Kind, references: &[NewReference]) -> Result<Done, Error> {
        let change = Change { kind, ids: references.iter().map(|r| r.id).collect(), records: Vec::new() };
        let mut writer = self.writer()?;
        let mut base = (*self.snapshot()).clone();
        let (erasures, done) = change.plan(&base)?;
        let damaged = |what| Error::Damaged { file: self.folder.clone(), what };
        base.replay(&erasures).map_err(damaged)?;
        let rebuilt = self.rebuild(&mut writer, &base, Tidy::AsNeeded, references)?;
        self.commit(&mut writer, rebuilt.next, rebuilt.draft)?;
        self.sweep_if_possible(&writer);
        Ok(Done { epoch: writer.manifest.epoch, ..done })
    }

    /// Removes every byte of what is erased. Returns how many references that were, how many segments
    /// were rewritten, and the epoch.
    pub(crate) fn tidy_all(&self) -> Result<(u64, u64, u64), Error> {
        let mut writer = self.writer()?;
        let base = self.snapshot();
        let removed = base.erased_waiting() + base.log.erased;
        let small = base.segments.iter().filter(|live| is_small(live)).count();
        let mut rewritten = 0;
        if removed > 0 || small > 1 || base.log.entry.length > 0 || writer.spoilt.is_some() {
            let rebuilt = self.rebuild(&mut writer, &base, Tidy::All, &[])?;
            rewritten = rebuilt.rewritten;
            self.commit(&mut writer, rebuilt.next, rebuilt.draft)?;
        }
        // Also when there was nothing to do: an earlier compaction may have been cut short here.
        sweep(&self.disk, &self.folder, &writer.manifest)?;
        Ok((removed as u64, rewritten, writer.manifest.epoch))
    }

    /// Writes the references of `base` that are in the log, those in segments that are due to be
    /// rewritten, and `new` ones as new segments, and begins a new log. Nobody sees it before the commit.
    fn rebuild(&self, writer: &mut Writer, base: &Snapshot, tidy: Tidy, new: &[NewReference]) -> Result<Rebuilt, Error> {
        self.try_rebuild(writer, base, tidy, new).inspect_err(|_| self.sweep_if_possible(writer))
    }

    fn try_rebuild(&self, writer: &mut Writer, base: &Snapshot, tidy: Tidy, new: &[NewReference]) -> Result<Rebuilt, Error> {
        let small = base.segments.iter().filter(|live| is_small(live)).count() + usize::from(!base.log.rows.is_empty());
        let (many_small, many_erased) = match tidy {
            Tidy::AsNeeded => (small > MAX_SMALL_SEGMENTS, base.erased_waiting() >= MAX_ERASED_WAITING),
            Tidy::All => (small > 1, true),
        };
        let mut next = writer.manifest.clone();
        let mut rows = Vec::with_capacity(new.len());
        let mut rewritten = 0;
        next.segments.clear();
        for (entry, live) in writer.manifest.segments.iter().zip(&base.segments) {
            let erased = live.live() < live.segment.rows();
            if live.live() > 0 && !(erased && many_erased) && !(is_small(live) && many_small) {
                next.segments.push(SegmentEntry { erased: live.erased_rows(), ..*entry });
                continue;
            }
            rewritten += 1;
            for row in live.live_rows() {
                let (segment, attributes) = (&live.segment, live.segment.attributes(row)?);
                rows.push(Row { id: segment.id(row)?, template: segment.template(row)?, attributes });
            }
        }
        rows.extend(base.log_rows().map(|(id, template, attributes)| Row { id: *id, template, attributes: *attributes }));
        rows.extend(new.iter().map(|r| Row { id: r.id, template: &r.template, attributes: r.attributes }));
        for rows in rows.chunks_mut(MAX_SEGMENT_ROWS) {
            let number = writer.manifest.take_number();
            next.segments.push(Segment::write(&self.disk, &self.folder, number, self.dimension, &self.rotation, rows)?);
        }
        next.log = LogEntry::empty(writer.manifest.take_number());
        next.next_number = writer.manifest.next_number;
        // The new files' names, before a manifest speaks of them.
        self.disk.sync_folder(&self.folder).map_err(Error::io("sync", &self.folder))?;
        let draft = Snapshot::open(&self.folder, &next, Vec::new(), Some(base))?;
        Ok(Rebuilt { next, draft, rewritten })
    }

    /// Makes `next` the gallery, on disk and then in memory.
    fn commit(&self, writer: &mut Writer, mut next: Manifest, mut draft: Snapshot) -> Result<(), Error> {
        next.epoch += 1;
        draft.epoch = next.epoch;
        match next.commit(&self.disk, &self.folder) {
            Ok(()) => {
                writer.manifest = next;
                writer.spoilt = None;
                self.publish(draft);
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

    /// The writer, for this caller alone.
    pub(crate) fn writer(&self) -> Result<MutexGuard<'_, Writer>, Error> {
        let writer = self.desk()?.writer();
        if writer.unsure { Err(Error::Unsure) } else { Ok(writer) }
    }

    /// Tidies after a change; what stays is swept by the next compaction or opening.
    fn sweep_if_possible(&self, writer: &Writer) {
        let _: Result<(), Error> = sweep(&self.disk, &self.folder, &writer.manifest);
    }
}

fn is_small(live: &LiveSegment) -> bool {
    live.segment.rows() < SMALL_SEGMENT_ROWS
}

/// The numbers of all segment files and logs in the folder, with their paths.
pub(crate) fn numbered_files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        if let Some(number) = entry.file_name().to_str().and_then(|name| segment::number_of(name).or(log::number_of(name))) {
            numbers.push((number, entry.path()));
        }
    }
    Ok(numbers)
}

/// Unlinks the segments and logs that the manifest does not name, and a manifest that never came to be.
pub(crate) fn sweep(disk: &Disk, folder: &Path, manifest: &Manifest) -> Result<(), Error> {
    let mut swept = false;
    let next = manifest::next_path(folder);
    let log = (manifest.log.length > 0).then_some(manifest.log.number);
    let named = |number: u64| log == Some(number) || manifest.segments.iter().any(|s| s.number == number);
    let unnamed = numbered_files(folder)?.into_iter().filter(|(number, _)| !named(*number)).map(|(_, path)| path);
    for path in unnamed.chain(next.exists().then_some(next)) {
        disk.remove(&path).map_err(Error::io("remove", &path))?;
        swept = true;
    }
    if swept {
        disk.sync_folder(folder).map_err(Error::io("sync", folder))?;
    }
    Ok(())
}

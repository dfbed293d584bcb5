//! One epoch of a gallery, open: what a search sees from beginning to end, whatever is enrolled or
//! erased meanwhile. Epochs share all that did not change between them.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::log::{self, Record};
use crate::manifest::{LogEntry, Manifest, SegmentEntry};
use crate::segment::Segment;
use crate::zone::{Admits, ZONE_ROWS};
use crate::{Attributes, Error, Filters, ReferenceId};

/// With so many rows of a segment for one id that is looked for, looking for each alone is quicker
/// than passing over all of them.
const ROWS_AN_ID: usize = 16;

/// A segment and what of it is erased.
#[derive(Debug, Clone)]
pub(crate) struct LiveSegment {
    pub(crate) segment: Arc<Segment>,
    /// One bit a row; empty when nothing is erased.
    erased: Arc<Vec<u64>>,
    live: usize,
}

impl LiveSegment {
    fn new(segment: Arc<Segment>, erased_rows: &[u32]) -> Self {
        let mut live = LiveSegment { live: segment.rows(), segment, erased: Arc::default() };
        for row in erased_rows {
            live.erase(*row as usize);
        }
        live
    }

    /// Erases a row; says whether it was there.
    fn erase(&mut self, row: usize) -> bool {
        if row >= self.segment.rows() || self.is_erased(row) {
            return false;
        }
        let erased = Arc::make_mut(&mut self.erased);
        erased.resize(self.segment.rows().div_ceil(64), 0);
        erased[row / 64] |= 1 << (row % 64);
        self.live -= 1;
        true
    }

    /// Whether the row is erased.
    pub(crate) fn is_erased(&self, row: usize) -> bool {
        self.erased.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Rows that are not erased.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// The rows that are not erased.
    pub(crate) fn live_rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.segment.rows()).filter(|row| !self.is_erased(*row))
    }

    /// The rows that are erased.
    pub(crate) fn erased_rows(&self) -> Vec<u32> {
        (0..self.segment.rows()).filter(|row| self.is_erased(*row)).map(|row| row as u32).collect()
    }

    /// How many of some rows are not erased. `rows` begins with a zone, and ends with one or with the segment.
    fn live_in(&self, rows: Range<usize>) -> usize {
        const { assert!(ZONE_ROWS.is_multiple_of(64), "a zone is a whole number of words") };
        let words = self.erased.iter().skip(rows.start / 64).take(rows.len().div_ceil(64));
        rows.len() - words.map(|word| word.count_ones() as usize).sum::<usize>()
    }
}

/// A live reference of the log.
pub(crate) struct LogRow {
    pub(crate) id: ReferenceId,
    pub(crate) template: Box<[f32]>,
    pub(crate) attributes: Attributes,
}

impl fmt::Debug for LogRow {
    // A template is biometric data: it must not reach a log by way of `{:?}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRow").finish_non_exhaustive()
    }
}

/// What the log comes to.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// Up to where it has been read.
    pub(crate) entry: LogEntry,
    /// Its live references, in order of id.
    pub(crate) rows: Vec<Arc<LogRow>>,
    /// How many of its references it has erased again.
    pub(crate) erased: usize,
}

/// Where a live reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In a segment, by position among the segments, and a row of it.
    Segment(usize, usize),
    /// In the log, by position among its rows.
    Log(usize),
}

/// All of one epoch.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) epoch: u64,
    pub(crate) segments: Vec<LiveSegment>,
    pub(crate) log: Log,
    dimension: usize,
    /// The manifest's bytes, or none if this process wrote it: by them a reader sees a change.
    pub(crate) manifest_bytes: Vec<u8>,
}

impl Snapshot {
    /// Opens what `manifest` names, taking over what `old` has open and read already.
    pub(crate) fn open(folder: &Path, manifest: &Manifest, manifest_bytes: Vec<u8>, old: Option<&Snapshot>) -> Result<Self, Error> {
        let open = |entry: &SegmentEntry| {
            let known = old.into_iter().flat_map(|s| &s.segments).find(|s| s.segment.number() == entry.number);
            let segment = match known {
                Some(live) => Arc::clone(&live.segment),
                None => Arc::new(Segment::open(folder, manifest.dimension, entry)?),
            };
            Ok(LiveSegment::new(segment, &entry.erased))
        };
        let mut snapshot = match old {
            // While a log goes on, the segments stay as they were: only its new records are news.
            Some(old) if old.log.entry.number == manifest.log.number => old.clone(),
            _ => Snapshot {
                epoch: 0,
                segments: manifest.segments.iter().map(open).collect::<Result<_, Error>>()?,
                log: Log { entry: LogEntry::empty(manifest.log.number), rows: Vec::new(), erased: 0 },
                dimension: manifest.dimension,
                manifest_bytes: Vec::new(),
            },
        };
        let records = log::read(folder, snapshot.log.entry, manifest.log, manifest.dimension)?;
        let damaged = |what| Error::Damaged { file: log::path(folder, manifest.log.number), what };
        snapshot.replay(&records).map_err(damaged)?;
        snapshot.log.entry = manifest.log;
        snapshot.epoch = manifest.epoch;
        snapshot.manifest_bytes = manifest_bytes;
        Ok(snapshot)
    }

    /// Opens the newest epoch while another process may be changing the gallery: it may unlink a
    /// segment or a log between our reading the manifest and our opening the file; then there is a
    /// newer manifest to read.
    pub(crate) fn open_newest(folder: &Path, old: Option<&Snapshot>) -> Result<(Manifest, Self), Error> {
        let mut bytes = Manifest::read_bytes(folder)?;
        loop {
            let manifest = Manifest::parse(folder, &bytes)?;
            if old.is_some_and(|old| manifest.epoch < old.epoch) {
                let file = crate::manifest::path(folder);
                return Err(Error::Damaged { file, what: "its epoch went backwards" });
            }
            match Snapshot::open(folder, &manifest, bytes.clone(), old) {
                Err(Error::Io { source, file, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    let newer = Manifest::read_bytes(folder)?;
                    if newer == bytes {
                        return Err(Error::Damaged { file, what: "it is missing" });
                    }
                    bytes = newer;
                }
                other => return other.map(|snapshot| (manifest, snapshot)),
            }
        }
    }

    /// Does what `records` of the log say. Also the writer learns of its own changes here, so that
    /// it sees what everybody else will.
    ///
    /// # Errors
    /// What is wrong with them; some may have been done then.
    pub(crate) fn replay(&mut self, records: &[u8]) -> Result<(), &'static str> {
        const ABSENT: &str = "it erases what is not there";
        for record in log::records(records, self.dimension) {
            match record? {
                Record::Enrol { id, attributes, template } => {
                    let at = self.log.place(&id).err().ok_or("it enrols an id twice")?;
                    let template = template.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
                    self.log.rows.insert(at, Arc::new(LogRow { id, template, attributes }));
                }
                Record::EraseRow { segment, row } => {
                    let live = self.segments.iter_mut().find(|live| live.segment.number() == segment).ok_or(ABSENT)?;
                    if !live.erase(row as usize) {
                        return Err(ABSENT);
                    }
                }
                Record::EraseLogged(id) => {
                    let at = self.log.place(&id).map_err(|_| ABSENT)?;
                    self.log.rows.remove(at);
                    self.log.erased += 1;
                }
            }
        }
        Ok(())
    }

    /// References that are enrolled and not erased.
    pub(crate) fn len(&self) -> u64 {
        (self.segments.iter().map(LiveSegment::live).sum::<usize>() + self.log.rows.len()) as u64
    }

    /// The live references that are in the log and in no segment yet.
    pub(crate) fn log_rows(&self) -> impl Iterator<Item = (&ReferenceId, &[f32], &Attributes)> + '_ {
        self.log.rows.iter().map(|row| (&row.id, &*row.template, &row.attributes))
    }

    /// Erased rows of segments, whose bytes are there still.
    pub(crate) fn erased_waiting(&self) -> usize {
        self.segments.iter().map(|live| live.segment.rows() - live.live).sum()
    }

    /// Where a live reference is.
    pub(crate) fn find(&self, id: &ReferenceId) -> Result<Option<Place>, Error> {
        Ok(self.places(&[*id])?[0])
    }

    /// Where live references are; `ids` in ascending order.
    pub(crate) fn places(&self, ids: &[ReferenceId]) -> Result<Vec<Option<Place>>, Error> {
        let mut places: Vec<Option<Place>> = ids.iter().map(|id| self.log.place(id).ok().map(Place::Log)).collect();
        for (at, live) in self.segments.iter().enumerate() {
            let segment = &live.segment;
            let mut found = |place: usize, row: usize| {
                if !live.is_erased(row) {
                    places[place] = Some(Place::Segment(at, row));
                }
            };
            if ids.len() < segment.rows() / ROWS_AN_ID {
                for (place, id) in ids.iter().enumerate() {
                    if let Some(row) = segment.find(id)? {
                        found(place, row);
                    }
                }
                continue;
            }
            let mut place = 0;
            for rank in 0..segment.rows() {
                let (row, id) = segment.ranked(rank)?;
                while ids.get(place).is_some_and(|wanted| *wanted < id) {
                    place += 1;
                }
                // The same id may be asked for more than once.
                let equal = ids[place..].iter().take_while(|wanted| **wanted == id).count();
                (place..place + equal).for_each(|place| found(place, row));
                place += equal;
                if place == ids.len() {
                    break;
                }
            }
        }
        Ok(places)
    }

    /// The attributes of a live reference.
    pub(crate) fn attributes(&self, id: &ReferenceId) -> Result<Option<Attributes>, Error> {
        match self.find(id)? {
            Some(Place::Segment(at, row)) => self.segments[at].segment.attributes(row).map(Some),
            Some(Place::Log(at)) => Ok(Some(self.log.rows[at].attributes)),
            None => Ok(None),
        }
    }

    /// How many live references the filters admit. Where a whole zone is in or out, its rows are not looked at.
    pub(crate) fn count(&self, filters: &Filters) -> Result<u64, Error> {
        if filters.is_all() {
            return Ok(self.len());
        }
        let mut count = self.log_rows().filter(|(.., attributes)| filters.admit(attributes)).count();
        for live in &self.segments {
            for (n, zone) in live.segment.zones()?.iter().enumerate() {
                let rows = n * ZONE_ROWS..live.segment.rows().min((n + 1) * ZONE_ROWS);
                match zone.admits(filters) {
                    Admits::None => {}
                    Admits::All => count += live.live_in(rows),
                    Admits::Some => {
                        for row in rows.filter(|row| !live.is_erased(*row)) {
                            count += usize::from(filters.admit(&live.segment.attributes(row)?));
                        }
                    }
                }
            }
        }
        Ok(count as u64)
    }
}

impl Log {
    /// Where a live reference is among the rows, or where it would be.
    fn place(&self, id: &ReferenceId) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.id.cmp(id))
    }
}

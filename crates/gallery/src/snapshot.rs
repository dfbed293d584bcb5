//! One epoch of a gallery, open and checked: what a search sees from beginning to end, whatever is
//! enrolled or erased meanwhile.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::manifest::{Manifest, SegmentEntry};
use crate::segment::Segment;
use crate::{Attributes, Error, Filters, ReferenceId};

/// A segment and what of it is erased.
#[derive(Debug, Clone)]
pub(crate) struct LiveSegment {
    pub(crate) segment: Arc<Segment>,
    /// One bit a row; empty when nothing is erased.
    erased: Vec<u64>,
    live: u64,
}

impl LiveSegment {
    fn new(segment: Arc<Segment>, erased_rows: &[u32]) -> Self {
        let mut erased = Vec::new();
        if !erased_rows.is_empty() {
            erased.resize(segment.rows().div_ceil(64), 0_u64);
            for row in erased_rows {
                erased[*row as usize / 64] |= 1 << (row % 64);
            }
        }
        let live = (segment.rows() - erased_rows.len()) as u64;
        LiveSegment { segment, erased, live }
    }

    /// Whether the row is erased.
    pub(crate) fn is_erased(&self, row: usize) -> bool {
        self.erased.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The rows that are not erased.
    pub(crate) fn live_rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.segment.rows()).filter(|row| !self.is_erased(*row))
    }
}

/// All of one epoch.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) epoch: u64,
    pub(crate) segments: Vec<LiveSegment>,
    /// The manifest's bytes, or none if this process wrote it: by them a reader sees a change.
    pub(crate) manifest_bytes: Vec<u8>,
}

impl Snapshot {
    /// Opens what `manifest` names, taking over the segments that `old` has open already.
    pub(crate) fn open(folder: &Path, manifest: &Manifest, manifest_bytes: Vec<u8>, old: Option<&Snapshot>) -> Result<Self, Error> {
        let open = |entry: &SegmentEntry| {
            let known = old.into_iter().flat_map(|s| &s.segments).find(|s| s.segment.number() == entry.number);
            let segment = match known {
                Some(live) => Arc::clone(&live.segment),
                None => Arc::new(Segment::open(folder, manifest.dimension, entry)?),
            };
            Ok(LiveSegment::new(segment, &entry.erased))
        };
        let segments = manifest.segments.iter().map(open).collect::<Result<_, Error>>()?;
        Ok(Snapshot { epoch: manifest.epoch, segments, manifest_bytes })
    }

    /// Opens the newest epoch while another process may be changing the gallery: a compaction may
    /// unlink a segment between our reading the manifest and our opening the segment; then there is
    /// a newer manifest to read.
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

    /// References that are enrolled and not erased.
    pub(crate) fn len(&self) -> u64 {
        self.segments.iter().map(|s| s.live).sum()
    }

    /// Where a live reference is: which segment, which row.
    pub(crate) fn find(&self, id: &ReferenceId) -> Option<(usize, usize)> {
        self.segments.iter().enumerate().find_map(|(at, live)| {
            let row = live.segment.find(id)?;
            (!live.is_erased(row)).then_some((at, row))
        })
    }

    /// The attributes of every live reference.
    fn attributes(&self) -> impl Iterator<Item = Attributes> + '_ {
        self.segments.iter().flat_map(|s| s.live_rows().map(|row| s.segment.attributes(row)))
    }

    /// How many live references the filters admit.
    pub(crate) fn count(&self, filters: &Filters) -> u64 {
        if filters.is_all() {
            return self.len();
        }
        self.attributes().filter(|a| filters.admit(a)).count() as u64
    }
}

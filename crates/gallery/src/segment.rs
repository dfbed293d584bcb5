//! A segment: some references that were enrolled together, in two immutable tables. Templates are
//! kept apart from ids and attributes, so a scan reads nothing else, and the two can be guarded
//! differently.
//!
//! A references row is 32 bytes: id (16), enrolled-at i64, year of birth u16, sex marker u8, flags
//! u8 (1 = synthetic), and a u32 that does not belong to the row itself: read down the column it is
//! the row numbers in order of id, the index by which an id is found without holding a map of ids
//! in memory.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::manifest::SegmentEntry;
use crate::map;
use crate::table::{Kind, Table};
use crate::{Attributes, Error, ReferenceId};

const REFERENCE_BYTES: usize = 32;
const SYNTHETIC: u8 = 1;

/// One reference on its way into a segment.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: ReferenceId,
    pub(crate) template: &'a [f32],
    pub(crate) attributes: Attributes,
}

/// An open, checked segment.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    dimension: usize,
    templates: Table,
    references: Table,
}

/// The two files of segment `number`.
pub(crate) fn paths(folder: &Path, number: u64) -> [PathBuf; 2] {
    ["templates", "references"].map(|kind| folder.join(format!("{number:016}.{kind}")))
}

/// Whether a file name is one of a segment's, and of which.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let (number, kind) = name.split_once('.')?;
    let ours = number.len() == 16 && number.bytes().all(|b| b.is_ascii_digit());
    (ours && (kind == "templates" || kind == "references")).then(|| number.parse().ok())?
}

impl Segment {
    /// Writes and syncs the two files of a new segment. If that fails, part of them may be left.
    pub(crate) fn write(disk: &Disk, folder: &Path, number: u64, dimension: usize, rows: &[Row<'_>]) -> Result<SegmentEntry, Error> {
        let [templates, references] = &paths(folder, number);
        let count = rows.len() as u32;
        let mut by_id: Vec<u32> = (0..count).collect();
        by_id.sort_unstable_by_key(|row| rows[*row as usize].id);
        let templates = Table::write(disk, templates, Kind::Templates, count, 4 * dimension, |row, out| {
            for x in rows[row as usize].template {
                out.extend_from_slice(&x.to_le_bytes());
            }
        })?;
        let references = Table::write(disk, references, Kind::References, count, REFERENCE_BYTES, |row, out| {
            let Row { id, attributes: a, .. } = &rows[row as usize];
            out.extend_from_slice(id);
            out.extend_from_slice(&a.enrolled_at.to_le_bytes());
            out.extend_from_slice(&a.year_of_birth.to_le_bytes());
            out.push(a.sex_marker);
            out.push(if a.synthetic { SYNTHETIC } else { 0 });
            out.extend_from_slice(&by_id[row as usize].to_le_bytes());
        })?;
        Ok(SegmentEntry { number, rows: count, templates, references, erased: Vec::new() })
    }

    /// Maps and checks the segment that `entry` of the manifest names.
    pub(crate) fn open(folder: &Path, dimension: usize, entry: &SegmentEntry) -> Result<Self, Error> {
        let [templates, references] = paths(folder, entry.number);
        let segment = Segment {
            number: entry.number,
            dimension,
            templates: Table::open(&templates, Kind::Templates, entry.rows, 4 * dimension, entry.templates)?,
            references: Table::open(&references, Kind::References, entry.rows, REFERENCE_BYTES, entry.references)?,
        };
        if segment.templates().len() != segment.rows() * dimension {
            return Err(Error::Damaged { file: templates, what: "its rows are not aligned" });
        }
        Ok(segment)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn rows(&self) -> usize {
        self.templates.rows()
    }

    /// All templates, row after row.
    pub(crate) fn templates(&self) -> &[f32] {
        map::floats(self.templates.body()).unwrap_or_default()
    }

    /// The template of a row below [`Segment::rows`].
    pub(crate) fn template(&self, row: usize) -> &[f32] {
        &self.templates()[row * self.dimension..(row + 1) * self.dimension]
    }

    fn reference(&self, row: usize) -> &[u8; REFERENCE_BYTES] {
        &self.references.body().as_chunks::<REFERENCE_BYTES>().0[row]
    }

    /// The id of a row below [`Segment::rows`].
    pub(crate) fn id(&self, row: usize) -> ReferenceId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.reference(row)[..16]);
        id
    }

    /// The attributes of a row below [`Segment::rows`].
    pub(crate) fn attributes(&self, row: usize) -> Attributes {
        let r = self.reference(row);
        Attributes {
            enrolled_at: i64::from_le_bytes([r[16], r[17], r[18], r[19], r[20], r[21], r[22], r[23]]),
            year_of_birth: u16::from_le_bytes([r[24], r[25]]),
            sex_marker: r[26],
            synthetic: r[27] & SYNTHETIC != 0,
        }
    }

    /// The row that holds `id`, erased or not.
    pub(crate) fn find(&self, id: &ReferenceId) -> Option<usize> {
        let row_at = |rank: usize| {
            let r = self.reference(rank);
            u32::from_le_bytes([r[28], r[29], r[30], r[31]]) as usize
        };
        let (mut low, mut high) = (0, self.rows());
        while low < high {
            let middle = low.midpoint(high);
            let row = row_at(middle);
            match self.reference(row)[..16].cmp(&id[..]) {
                std::cmp::Ordering::Equal => return Some(row),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

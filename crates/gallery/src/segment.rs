//! A segment: some references that were enrolled together, in five immutable tables, so that a scan
//! reads codes and nothing else, and each can be placed and guarded differently:
//!
//! * `templates`: the f32 vectors, read only for the few that a bound cannot decide;
//! * `references`: ids and attributes, 32 bytes a row: id (16), enrolled-at i64, year of birth u16,
//!   sex marker u8, flags u8 (1 = synthetic), and a u32 that does not belong to the row itself: read
//!   down the column it is the row numbers in order of id, the index by which an id is found without
//!   holding a map of ids in memory;
//! * `coarse`, `sixth` and `fine`: the codes (see [`crate::codes`]); the last row of `coarse` is the segment's
//!   frame: centre and reach, f32.
//!
//! Rows are sorted by synthetic, sex marker, year of birth and time of enrolment, so that what a
//! filter leaves out lies together and whole zones of it are never read.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::codes::{self, Coded, Coder, Depth, Frame, GROUP};
use crate::disk::Disk;
use crate::kernel::{self, Stretch};
use crate::manifest::SegmentEntry;
use crate::rotation::Rotation;
use crate::table::{Kind, Layout, Table};
use crate::zone::{ZONE_ROWS, Zone};
use crate::{Attributes, Error, ReferenceId, map};

const REFERENCE_BYTES: usize = 32;
const SYNTHETIC: u8 = 1;

/// The kinds of file that make up a segment.
pub(crate) const FILES: [&str; 5] = ["templates", "references", "coarse", "sixth", "fine"];

/// One reference on its way into a segment.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: ReferenceId,
    pub(crate) template: &'a [f32],
    pub(crate) attributes: Attributes,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    number: u64,
    rows: usize,
    dimension: usize,
    templates: Table,
    references: Table,
    coarse: Table,
    sixth: Table,
    fine: Table,
    frame: Frame,
    zones: OnceLock<Vec<Zone>>,
}

/// The files of segment `number`, in the order of [`FILES`].
pub(crate) fn paths(folder: &Path, number: u64) -> [PathBuf; FILES.len()] {
    FILES.map(|kind| folder.join(format!("{number:016}.{kind}")))
}

/// Whether a file name is one of a segment's, and of which.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let (number, kind) = name.split_once('.')?;
    let ours = number.len() == 16 && number.bytes().all(|b| b.is_ascii_digit());
    (ours && FILES.contains(&kind)).then(|| number.parse().ok())?
}

/// The shapes of a segment's tables, in the order of [`FILES`].
pub(crate) fn layouts(rows: u32, dimension: usize) -> [Layout; FILES.len()] {
    let groups = rows.div_ceil(GROUP as u32);
    // Templates and fine codes are read here and there, so little is checked for one of them.
    [
        Layout { kind: Kind::Templates, rows, row_bytes: 4 * dimension, rows_a_block: 4 },
        Layout { kind: Kind::References, rows, row_bytes: REFERENCE_BYTES, rows_a_block: 1_024 },
        Layout { kind: Kind::Coarse, rows: groups + 1, row_bytes: codes::coarse_bytes(dimension), rows_a_block: 64 },
        Layout { kind: Kind::Sixth, rows: groups, row_bytes: codes::sixth_bytes(dimension), rows_a_block: 64 },
        Layout { kind: Kind::Fine, rows, row_bytes: codes::fine_bytes(dimension), rows_a_block: 32 },
    ]
}

impl Segment {
    /// Sorts `rows`, codes them, writes and syncs the files of a new segment. If that fails, part of
    /// them may be left.
    pub(crate) fn write(
        disk: &Disk,
        folder: &Path,
        number: u64,
        dimension: usize,
        rotation: &Rotation,
        rows: &mut [Row<'_>],
    ) -> Result<SegmentEntry, Error> {
        rows.sort_unstable_by_key(|r| {
            (r.attributes.synthetic, r.attributes.sex_marker, r.attributes.year_of_birth, r.attributes.enrolled_at, r.id)
        });
        let count = rows.len() as u32;
        let mut by_id: Vec<u32> = (0..count).collect();
        by_id.sort_unstable_by_key(|row| rows[*row as usize].id);
        let codes = Codes::of(rows, dimension, rotation);
        let of = |table: &[u8], row_bytes: usize, at: usize, out: &mut Vec<u8>| {
            out.extend_from_slice(&table[at * row_bytes..(at + 1) * row_bytes])
        };

        let paths = paths(folder, number);
        let layouts = layouts(count, dimension);
        let mut digests = [0; FILES.len()];
        for ((digest, path), layout) in digests.iter_mut().zip(&paths).zip(layouts) {
            *digest = Table::write(disk, path, layout, |row, out| {
                let at = row as usize;
                match layout.kind {
                    Kind::Templates => rows[at].template.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
                    Kind::References => reference_row(&rows[at], by_id[at], out),
                    Kind::Coarse => of(&codes.coarse, layout.row_bytes, at, out),
                    Kind::Sixth => of(&codes.sixth, layout.row_bytes, at, out),
                    Kind::Fine => of(&codes.fine, layout.row_bytes, at, out),
                }
            })?;
        }
        Ok(SegmentEntry { number, rows: count, digests, erased: Vec::new() })
    }

    /// Maps the segment that `entry` of the manifest names. Its rows are checked as they are read.
    pub(crate) fn open(folder: &Path, dimension: usize, entry: &SegmentEntry) -> Result<Self, Error> {
        let paths = paths(folder, entry.number);
        let layouts = layouts(entry.rows, dimension);
        let table = |at: usize| Table::open(&paths[at], layouts[at], entry.digests[at]);
        let (templates, references, coarse, sixth, fine) = (table(0)?, table(1)?, table(2)?, table(3)?, table(4)?);
        let groups = entry.rows.div_ceil(GROUP as u32) as usize;
        let frame = coarse.rows(groups..groups + 1)?;
        let numbers = map::floats(frame).and_then(|f| f.get(..=dimension)).ok_or_else(|| coarse.damaged("its rows are not aligned"))?;
        let frame = Frame { centre: numbers[..dimension].to_vec(), reach: numbers[dimension] };
        let rows = entry.rows as usize;
        Ok(Segment { number: entry.number, rows, dimension, templates, references, coarse, sixth, fine, frame, zones: OnceLock::new() })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of the coarse table, the frame's not counted.
    pub(crate) fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The template of a row below [`Segment::rows`].
    ///
    /// # Errors
    /// [`Error::Damaged`], as all that read rows.
    pub(crate) fn template(&self, row: usize) -> Result<&[f32], Error> {
        let bytes = self.templates.rows(row..row + 1)?;
        match map::floats(bytes) {
            Some(template) if template.len() == self.dimension => Ok(template),
            _ => Err(self.templates.damaged("its rows are not aligned")),
        }
    }

    /// What is wrong when the codes name a row at or above [`Segment::rows`].
    pub(crate) fn no_such_row(&self) -> Error {
        self.coarse.damaged("it codes a row that is not there")
    }

    /// What a pass of some depth reads of some groups.
    pub(crate) fn stretch(&self, groups: Range<usize>, depth: Depth) -> Result<Stretch<'_>, Error> {
        let first_row = (groups.start * GROUP) as u32;
        let sixth = match depth {
            Depth::Five => &[],
            Depth::Six => self.sixth.rows(groups.clone())?,
        };
        Ok(Stretch { coarse: self.coarse.rows(groups)?, sixth, first_row })
    }

    /// All fine codes, of which those of `rows` are checked to be what was written.
    pub(crate) fn fine(&self, rows: &[u32]) -> Result<&[u8], Error> {
        self.fine.all_with(rows)
    }

    /// Asks for a row's fine codes soon.
    pub(crate) fn prefetch_fine(&self, row: u32) {
        self.fine.prefetch(row as usize);
    }

    fn reference(&self, row: usize) -> Result<&[u8; REFERENCE_BYTES], Error> {
        self.references.rows(row..row + 1)?.first_chunk().ok_or_else(|| self.references.damaged("too short"))
    }

    /// The id of a row below [`Segment::rows`].
    pub(crate) fn id(&self, row: usize) -> Result<ReferenceId, Error> {
        let mut id = [0; 16];
        id.copy_from_slice(&self.reference(row)?[..16]);
        Ok(id)
    }

    /// The attributes of a row below [`Segment::rows`].
    pub(crate) fn attributes(&self, row: usize) -> Result<Attributes, Error> {
        let r = self.reference(row)?;
        Ok(Attributes {
            enrolled_at: i64::from_le_bytes([r[16], r[17], r[18], r[19], r[20], r[21], r[22], r[23]]),
            year_of_birth: u16::from_le_bytes([r[24], r[25]]),
            sex_marker: r[26],
            synthetic: r[27] & SYNTHETIC != 0,
        })
    }

    /// What each [`ZONE_ROWS`] rows have in common; made when a filter first asks.
    pub(crate) fn zones(&self) -> Result<&[Zone], Error> {
        if let Some(zones) = self.zones.get() {
            return Ok(zones);
        }
        let zone = |from: usize| Zone::of((from..self.rows.min(from + ZONE_ROWS)).map(|row| self.attributes(row)));
        let zones = (0..self.rows).step_by(ZONE_ROWS).map(zone).collect::<Result<Vec<_>, _>>()?;
        Ok(self.zones.get_or_init(|| zones))
    }

    /// The row that holds `id`, erased or not.
    pub(crate) fn find(&self, id: &ReferenceId) -> Result<Option<usize>, Error> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low.midpoint(high);
            let (row, found) = self.ranked(middle)?;
            match found.cmp(id) {
                std::cmp::Ordering::Equal => return Ok(Some(row)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// The row with the `rank`-th id, and that id.
    pub(crate) fn ranked(&self, rank: usize) -> Result<(usize, ReferenceId), Error> {
        let r = self.reference(rank)?;
        let row = u32::from_le_bytes([r[28], r[29], r[30], r[31]]) as usize;
        Ok((row, self.id(row)?))
    }

    /// Checks everything, and copies the codes into memory of our own.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the file; [`Error::Io`] if there is no memory.
    pub(crate) fn load(&self) -> Result<(), Error> {
        self.coarse.load()?;
        self.sixth.load()?;
        self.fine.load()?;
        self.templates.check_all()?;
        self.references.check_all()
    }

    /// Reads and checks every byte of the five files.
    ///
    /// # Errors
    /// [`Error::Damaged`] naming the file.
    pub(crate) fn check_all(&self) -> Result<(), Error> {
        [&self.templates, &self.references, &self.coarse, &self.sixth, &self.fine].into_iter().try_for_each(Table::check_all)
    }
}

fn reference_row(Row { id, attributes: a, .. }: &Row<'_>, by_id: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(id);
    out.extend_from_slice(&a.enrolled_at.to_le_bytes());
    out.extend_from_slice(&a.year_of_birth.to_le_bytes());
    out.push(a.sex_marker);
    out.push(if a.synthetic { SYNTHETIC } else { 0 });
    out.extend_from_slice(&by_id.to_le_bytes());
}

/// The bodies of the tables of codes, the frame's row included.
struct Codes {
    coarse: Vec<u8>,
    sixth: Vec<u8>,
    fine: Vec<u8>,
}

impl Codes {
    fn of(rows: &[Row<'_>], dimension: usize, rotation: &Rotation) -> Self {
        let coarse_row = codes::coarse_bytes(dimension);
        let groups = rows.len().div_ceil(GROUP);
        let mut codes = Codes {
            coarse: vec![0; (groups + 1) * coarse_row],
            sixth: vec![0; groups * codes::sixth_bytes(dimension)],
            fine: Vec::with_capacity(rows.len() * codes::fine_bytes(dimension)),
        };
        let mut frame = Frame::of(rows.iter().map(|r| r.template), dimension);
        kernel::vectorised(Coding { rows, rotation, frame: &mut frame, codes: &mut codes });
        let last = &mut codes.coarse[groups * coarse_row..];
        for (place, number) in last.chunks_exact_mut(4).zip(frame.centre.iter().chain([&frame.reach])) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        codes
    }
}

/// The part of [`Codes::of`] that does the arithmetic.
struct Coding<'a, 'b> {
    rows: &'a [Row<'b>],
    rotation: &'a Rotation,
    frame: &'a mut Frame,
    codes: &'a mut Codes,
}

impl kernel::Work for Coding<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let dimension = self.frame.centre.len();
        let mut coder = Coder::new(self.rotation, self.frame);
        let mut coded = Coded::new(dimension);
        let coarse = self.codes.coarse.chunks_exact_mut(codes::coarse_bytes(dimension));
        let sixth = self.codes.sixth.chunks_exact_mut(codes::sixth_bytes(dimension));
        for ((coarse, sixth), rows) in coarse.zip(sixth).zip(self.rows.chunks(GROUP)) {
            for (v, row) in rows.iter().enumerate() {
                coder.code(row.template, &mut coded);
                coded.fine_row(&mut self.codes.fine);
                coded.put_in_rows(v, coarse, sixth);
            }
            (rows.len()..GROUP).for_each(|v| codes::vacate(v, codes::lines(dimension), coarse));
        }
    }
}

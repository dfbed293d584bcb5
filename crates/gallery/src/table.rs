//! The file format under a segment: a checked, immutable table of rows of one fixed size.
//!
//! ```text
//! 0      header, 64 bytes: magic "CSGALLRY", version u32, kind u32, rows u64, row bytes u32,
//!        rows a block u32, zeros, CRC-32 of the first 60 bytes
//! 64     rows, one after the other (so row 0 is aligned to 64 bytes in a map)
//! …      CRC-32 of each block of rows, u32 each
//! end−4  digest: CRC-32 of header and block checksums; the manifest holds it too
//! ```
//! All integers are little-endian. The manifest's own checksum covers the digest, the digest the
//! block checksums, and those the rows. The first three are checked when the table is opened, rows
//! when they are first read: what is answered was checked (since it was
//! last brought into memory, unless the system dropped and read it again), and opening reads no rows.

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

use crate::Error;
use crate::disk::Disk;
use crate::kernel;
use crate::map::{Mapping, Memory};

const MAGIC: &[u8; 8] = b"CSGALLRY";
const VERSION: u32 = 3;
const HEADER_BYTES: usize = 64;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// f32 templates.
    Templates = 1,
    /// Ids and attributes.
    References = 2,
    /// Coarse codes, sixteen references a row.
    Coarse = 3,
    /// Fine codes.
    Fine = 4,
    /// Sixth bits, sixteen references a row.
    Sixth = 5,
}

/// The shape of a table, known before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) kind: Kind,
    pub(crate) rows: u32,
    pub(crate) row_bytes: usize,
    /// Rows under one checksum: what is checked when one of them is first read.
    pub(crate) rows_a_block: u32,
}

impl Layout {
    fn blocks(&self) -> usize {
        self.rows.div_ceil(self.rows_a_block) as usize
    }

    fn body(&self) -> usize {
        self.rows as usize * self.row_bytes
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(self.kind as u32).to_le_bytes());
        header[16..24].copy_from_slice(&u64::from(self.rows).to_le_bytes());
        header[24..28].copy_from_slice(&(self.row_bytes as u32).to_le_bytes());
        header[28..32].copy_from_slice(&self.rows_a_block.to_le_bytes());
        let sum = crc32fast::hash(&header[..HEADER_BYTES - 4]);
        header[HEADER_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
        header
    }
}

/// An open table. Its header and list of checksums are checked when it is opened; a block of rows
/// when it is first read, so opening costs a map and not a read of everything.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    map: Mapping,
    layout: Layout,
    /// One bit a block: its rows are what was written.
    checked: Vec<AtomicU64>,
    /// The rows in memory of our own, once somebody asked for that.
    loaded: OnceLock<Memory>,
}

/// Header, rows, checksums, digest.
type Parts<'a> = (&'a [u8; HEADER_BYTES], &'a [u8], &'a [u8], &'a [u8]);

impl Table {
    /// Writes a table and returns its digest. `fill` appends the bytes of one row.
    pub(crate) fn write(disk: &Disk, path: &Path, layout: Layout, mut fill: impl FnMut(u32, &mut Vec<u8>)) -> Result<u32, Error> {
        let header = layout.header();
        let write = |out: &mut dyn Write| {
            out.write_all(&header)?;
            let mut sums = Vec::with_capacity(4 * layout.blocks());
            let mut block = Vec::with_capacity(layout.rows_a_block.min(layout.rows) as usize * layout.row_bytes);
            for first in (0..layout.rows).step_by(layout.rows_a_block as usize) {
                block.clear();
                (first..layout.rows.min(first.saturating_add(layout.rows_a_block))).for_each(|row| fill(row, &mut block));
                sums.extend_from_slice(&crc32fast::hash(&block).to_le_bytes());
                out.write_all(&block)?;
            }
            let digest = digest(&header, &sums);
            out.write_all(&sums)?;
            out.write_all(&digest.to_le_bytes())?;
            Ok(digest)
        };
        disk.write_new(path, write).map_err(Error::io("write", path))
    }

    /// Maps a table, and checks its shape and its list of checksums against `digest`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they differ from what was written, [`Error::Io`] if it cannot be read.
    pub(crate) fn open(path: &Path, layout: Layout, digest: u32) -> Result<Self, Error> {
        let damaged = |what| Error::Damaged { file: path.to_owned(), what };
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length = HEADER_BYTES + layout.body() + 4 * layout.blocks() + 4;
        let found = file.metadata().map_err(Error::io("read", path))?.len();
        if found != length as u64 {
            return Err(damaged("its length is not what was written"));
        }
        let map = Mapping::of(&file).map_err(Error::io("map", path))?;
        let checked = (0..layout.blocks().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let table = Table { path: path.to_owned(), map, layout, checked, loaded: OnceLock::new() };
        let (head, _, sums, end) = table.parts().ok_or(damaged("too short"))?;
        if *head != layout.header() {
            return Err(damaged("its header is not what was written"));
        }
        if end != digest.to_le_bytes() || digest != self::digest(head, sums) {
            return Err(damaged("its checksums are not what was written"));
        }
        Ok(table)
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let (head, rest) = self.map.bytes().split_first_chunk()?;
        let (body, rest) = rest.split_at_checked(self.layout.body())?;
        let (sums, end) = rest.split_at_checked(4 * self.layout.blocks())?;
        Some((head, body, sums, end))
    }

    /// The bytes of some rows, checked to be what was written.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a block that holds one of them is not, or if there are no such rows.
    #[inline]
    pub(crate) fn rows(&self, rows: Range<usize>) -> Result<&[u8], Error> {
        let a_block = self.layout.rows_a_block as usize;
        (rows.start / a_block..rows.end.div_ceil(a_block)).try_for_each(|block| self.check_block(block))?;
        self.body().get(rows.start * self.layout.row_bytes..rows.end * self.layout.row_bytes).ok_or_else(|| self.damaged("too short"))
    }

    /// The bytes of all rows, of which `rows` are checked to be what was written.
    ///
    /// # Errors
    /// As [`Table::rows`].
    pub(crate) fn all_with(&self, rows: &[u32]) -> Result<&[u8], Error> {
        for row in rows {
            self.check_block(*row as usize / self.layout.rows_a_block as usize)?;
        }
        Ok(self.body())
    }

    /// Asks for a row's bytes soon.
    #[inline]
    pub(crate) fn prefetch(&self, row: usize) {
        let bytes = self.layout.row_bytes;
        kernel::prefetch(self.body().get(row * bytes..(row + 1) * bytes).unwrap_or_default());
    }

    /// Checks a block unless it was checked before.
    #[inline]
    fn check_block(&self, block: usize) -> Result<(), Error> {
        let known = self.checked.get(block / 64).is_some_and(|word| word.load(Acquire) >> (block % 64) & 1 == 1);
        if known { Ok(()) } else { self.check(block, self.body()) }
    }

    /// All rows, checked or not.
    #[inline]
    fn body(&self) -> &[u8] {
        let bytes = match self.loaded.get() {
            Some(memory) => memory.bytes(),
            None => self.map.bytes().get(HEADER_BYTES..).unwrap_or_default(),
        };
        bytes.get(..self.layout.body()).unwrap_or_default()
    }

    /// Copies every row into memory of our own, and checks the copy.
    ///
    /// # Errors
    /// As [`Table::rows`]; [`Error::Io`] if the system refuses the memory.
    pub(crate) fn load(&self) -> Result<(), Error> {
        if self.loaded.get().is_some() {
            return Ok(());
        }
        let memory = Memory::of(self.body()).map_err(Error::io("load", &self.path))?;
        let copy = memory.bytes().get(..self.layout.body()).unwrap_or_default();
        (0..self.layout.blocks()).try_for_each(|block| self.check(block, copy))?;
        let _ = self.loaded.set(memory); // somebody else was quicker, with the same
        Ok(())
    }

    /// Reads and checks every row.
    ///
    /// # Errors
    /// As [`Table::rows`].
    pub(crate) fn check_all(&self) -> Result<(), Error> {
        (0..self.layout.blocks()).try_for_each(|block| self.check(block, self.body()))
    }

    /// Checks one block of `body`, which is all rows, or a copy of them.
    #[cold]
    fn check(&self, block: usize, body: &[u8]) -> Result<(), Error> {
        let (_, _, sums, _) = self.parts().ok_or_else(|| self.damaged("too short"))?;
        let bytes = self.layout.rows_a_block as usize * self.layout.row_bytes;
        let rows = body.chunks(bytes).nth(block).ok_or_else(|| self.damaged("too short"))?;
        let sum = sums.as_chunks::<4>().0.get(block).ok_or_else(|| self.damaged("too short"))?;
        if crc32fast::hash(rows).to_le_bytes() != *sum {
            return Err(self.damaged("its rows are not what was written"));
        }
        if let Some(word) = self.checked.get(block / 64) {
            word.fetch_or(1 << (block % 64), Release);
        }
        Ok(())
    }

    /// The error that says this file is damaged.
    pub(crate) fn damaged(&self, what: &'static str) -> Error {
        Error::Damaged { file: self.path.clone(), what }
    }
}

fn digest(header: &[u8], sums: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(sums);
    hasher.finalize()
}

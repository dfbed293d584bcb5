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
//! block checksums, and those the rows, so no bit of any file can change unseen.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::Error;
use crate::disk::Disk;
use crate::map::Mapping;

const MAGIC: &[u8; 8] = b"CSGALLRY";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
const ROWS_PER_BLOCK: u32 = 4_096;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// f32 templates.
    Templates = 1,
    /// Ids and attributes.
    References = 2,
}

/// An open table, all of its bytes checked.
#[derive(Debug)]
pub(crate) struct Table {
    map: Mapping,
    rows: usize,
    row_bytes: usize,
}

impl Table {
    /// Writes a table of `rows` rows and returns its digest. `fill` appends the bytes of one row.
    pub(crate) fn write(
        disk: &Disk,
        path: &Path,
        kind: Kind,
        rows: u32,
        row_bytes: usize,
        mut fill: impl FnMut(u32, &mut Vec<u8>),
    ) -> Result<u32, Error> {
        let header = header(kind, rows, row_bytes);
        let write = |out: &mut dyn Write| {
            out.write_all(&header)?;
            let mut sums = Vec::new();
            let mut block = Vec::new();
            for first in (0..rows).step_by(ROWS_PER_BLOCK as usize) {
                block.clear();
                (first..rows.min(first.saturating_add(ROWS_PER_BLOCK))).for_each(|row| fill(row, &mut block));
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

    /// Maps a table and checks every byte of it against `digest`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if anything differs from what was written, [`Error::Io`] if it cannot be read.
    pub(crate) fn open(path: &Path, kind: Kind, rows: u32, row_bytes: usize, digest: u32) -> Result<Self, Error> {
        let damaged = |what| Error::Damaged { file: path.to_owned(), what };
        let file = File::open(path).map_err(Error::io("open", path))?;
        let blocks = rows.div_ceil(ROWS_PER_BLOCK) as usize;
        let body = rows as usize * row_bytes;
        let length = HEADER_BYTES + body + 4 * blocks + 4;
        let found = file.metadata().map_err(Error::io("read", path))?.len();
        if found != length as u64 {
            return Err(damaged("its length is not what was written"));
        }
        let map = Mapping::of(&file).map_err(Error::io("map", path))?;
        let table = Table { map, rows: rows as usize, row_bytes };
        let bytes = table.map.bytes();
        let (head, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(damaged("too short"))?;
        let (body, rest) = rest.split_at_checked(body).ok_or(damaged("too short"))?;
        let (sums, end) = rest.split_at_checked(4 * blocks).ok_or(damaged("too short"))?;
        if head != header(kind, rows, row_bytes) {
            return Err(damaged("its header is not what was written"));
        }
        if end != digest.to_le_bytes() || digest != self::digest(head, sums) {
            return Err(damaged("its checksums are not what was written"));
        }
        let chunks = body.chunks(ROWS_PER_BLOCK as usize * row_bytes);
        for (block, sum) in chunks.zip(sums.chunks_exact(4)) {
            if crc32fast::hash(block).to_le_bytes() != sum {
                return Err(damaged("its rows are not what was written"));
            }
        }
        Ok(table)
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// All rows, one after the other.
    pub(crate) fn body(&self) -> &[u8] {
        let end = HEADER_BYTES + self.rows * self.row_bytes;
        self.map.bytes().get(HEADER_BYTES..end).unwrap_or_default()
    }
}

fn header(kind: Kind, rows: u32, row_bytes: usize) -> [u8; HEADER_BYTES] {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&(kind as u32).to_le_bytes());
    header.extend_from_slice(&u64::from(rows).to_le_bytes());
    header.extend_from_slice(&(row_bytes as u32).to_le_bytes());
    header.extend_from_slice(&ROWS_PER_BLOCK.to_le_bytes());
    header.resize(HEADER_BYTES - 4, 0);
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    let mut fixed = [0; HEADER_BYTES];
    fixed.copy_from_slice(&header);
    fixed
}

fn digest(header: &[u8], sums: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(sums);
    hasher.finalize()
}

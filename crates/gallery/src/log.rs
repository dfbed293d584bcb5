//! The log: the newest changes, before they become a segment. One change costs an append to this
//! file and a manifest, not files of its own.
//!
//! ```text
//! 0   header, 32 bytes: magic "CSGALLOG", version u32, dimension u32, number u64, zeros
//! 32  records, one after the other, each with a head of 32 bytes:
//!     enrol         as a row of a segment's references (id 16, enrolled-at i64, year of birth u16,
//!                   sex marker u8, flags u8), kind u32 = 1, then the template, f32
//!     erase a row   segment number u64, row u32, zeros, kind u32 = 2
//!     erase logged  id 16 of a reference enrolled earlier in this log, zeros, kind u32 = 3
//! ```
//! All integers are little-endian. The manifest says how many bytes count and what their CRC-32 is:
//! what is beyond was never acknowledged, and a group of changes counts wholly or not at all.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::manifest::LogEntry;
use crate::{Attributes, Error, NewReference, ReferenceId};

const MAGIC: &[u8; 8] = b"CSGALLOG";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 32;
const ENROL: u32 = 1;
const ERASE_ROW: u32 = 2;
const ERASE_LOGGED: u32 = 3;
const SYNTHETIC: u8 = 1;

/// The file of log `number`.
pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016}.log"))
}

/// Whether a file name is a log's, and of which number.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".log")?;
    let ours = number.len() == 16 && number.bytes().all(|b| b.is_ascii_digit());
    ours.then(|| number.parse().ok())?
}

/// Bytes of the record that enrols a reference.
pub(crate) fn enrol_bytes(dimension: usize) -> usize {
    HEAD_BYTES + 4 * dimension
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Record<'a> {
    /// A reference is enrolled; the template is little-endian f32.
    Enrol { id: ReferenceId, attributes: Attributes, template: &'a [u8] },
    /// A row of a segment is erased.
    EraseRow { segment: u64, row: u32 },
    /// A reference enrolled earlier in the log is erased.
    EraseLogged(ReferenceId),
}

/// The first bytes of a log.
pub(crate) fn header(number: u64, dimension: usize) -> [u8; HEAD_BYTES] {
    let mut header = [0; HEAD_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(dimension as u32).to_le_bytes());
    header[16..24].copy_from_slice(&number.to_le_bytes());
    header
}

/// Adds the record that enrols a reference.
pub(crate) fn put_enrol(reference: &NewReference, out: &mut Vec<u8>) {
    let a = reference.attributes;
    out.extend_from_slice(&reference.id);
    out.extend_from_slice(&a.enrolled_at.to_le_bytes());
    out.extend_from_slice(&a.year_of_birth.to_le_bytes());
    out.push(a.sex_marker);
    out.push(if a.synthetic { SYNTHETIC } else { 0 });
    out.extend_from_slice(&ENROL.to_le_bytes());
    reference.template.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}

/// Adds the record that erases a row of a segment.
pub(crate) fn put_erase_row(segment: u64, row: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&segment.to_le_bytes());
    out.extend_from_slice(&row.to_le_bytes());
    out.extend_from_slice(&[0; HEAD_BYTES - 16]);
    out.extend_from_slice(&ERASE_ROW.to_le_bytes());
}

/// Adds the record that erases a reference of the log.
pub(crate) fn put_erase_logged(id: &ReferenceId, out: &mut Vec<u8>) {
    out.extend_from_slice(id);
    out.extend_from_slice(&[0; HEAD_BYTES - 20]);
    out.extend_from_slice(&ERASE_LOGGED.to_le_bytes());
}

/// The records in `bytes`, or `Err` where they end being records.
pub(crate) fn records(mut bytes: &[u8], dimension: usize) -> impl Iterator<Item = Result<Record<'_>, &'static str>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let next = split(bytes, dimension);
        bytes = next.map_or(&[], |(_, rest)| rest);
        Some(next.map(|(record, _)| record).ok_or("it is not made of records"))
    })
}

fn split(bytes: &[u8], dimension: usize) -> Option<(Record<'_>, &[u8])> {
    let (h, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let mut id = [0; 16];
    id.copy_from_slice(&h[..16]);
    match u32::from_le_bytes([h[28], h[29], h[30], h[31]]) {
        ENROL => {
            let attributes = Attributes {
                enrolled_at: i64::from_le_bytes([h[16], h[17], h[18], h[19], h[20], h[21], h[22], h[23]]),
                year_of_birth: u16::from_le_bytes([h[24], h[25]]),
                sex_marker: h[26],
                synthetic: h[27] & SYNTHETIC != 0,
            };
            let (template, rest) = rest.split_at_checked(4 * dimension)?;
            Some((Record::Enrol { id, attributes, template }, rest))
        }
        ERASE_ROW => {
            let segment = u64::from_le_bytes([h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]]);
            let row = u32::from_le_bytes([h[8], h[9], h[10], h[11]]);
            Some((Record::EraseRow { segment, row }, rest))
        }
        ERASE_LOGGED => Some((Record::EraseLogged(id), rest)),
        _ => None,
    }
}

/// The entry of a log after `bytes` more.
pub(crate) fn extended(entry: LogEntry, bytes: &[u8]) -> LogEntry {
    let mut crc = crc32fast::Hasher::new_with_initial(entry.crc);
    crc.update(bytes);
    LogEntry { length: entry.length + bytes.len() as u64, crc: crc.finalize(), ..entry }
}

/// Reads the records that `entry` has beyond `known`, an earlier entry of the same log, and checks
/// every byte of them.
///
/// # Errors
/// [`Error::Io`] if there is no such file (it may have been rolled over), [`Error::Damaged`].
pub(crate) fn read(folder: &Path, known: LogEntry, entry: LogEntry, dimension: usize) -> Result<Vec<u8>, Error> {
    if known == entry {
        return Ok(Vec::new());
    }
    let path = path(folder, entry.number);
    let damaged = |what| Error::Damaged { file: path.clone(), what };
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    let found = file.metadata().map_err(Error::io("read", &path))?.len();
    if found < entry.length || entry.length < known.length {
        return Err(damaged("it is shorter than what was written"));
    }
    let mut bytes = vec![0; (entry.length - known.length) as usize];
    file.read_exact_at(&mut bytes, known.length).map_err(Error::io("read", &path))?;
    if extended(known, &bytes) != entry {
        return Err(damaged("its records are not what was written"));
    }
    if known.length == 0 {
        if !bytes.starts_with(&header(entry.number, dimension)) {
            return Err(damaged("its header is not what was written"));
        }
        bytes.drain(..HEAD_BYTES);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_put() {
        let attributes = Attributes { synthetic: true, sex_marker: 200, year_of_birth: 1987, enrolled_at: -5 };
        let reference = NewReference { id: [7; 16], template: vec![0.6, -0.8], attributes };
        let mut bytes = Vec::new();
        put_enrol(&reference, &mut bytes);
        assert_eq!(bytes.len(), enrol_bytes(2));
        put_erase_row(1 << 40, 3_000_000_000, &mut bytes);
        put_erase_logged(&[7; 16], &mut bytes);
        let template: Vec<u8> = reference.template.iter().flat_map(|x| x.to_le_bytes()).collect();
        let expected = [
            Record::Enrol { id: [7; 16], attributes, template: &template },
            Record::EraseRow { segment: 1 << 40, row: 3_000_000_000 },
            Record::EraseLogged([7; 16]),
        ];
        assert_eq!(records(&bytes, 2).collect::<Result<Vec<_>, _>>().unwrap(), expected);
        for cut in (1..bytes.len()).filter(|cut| ![40, 72].contains(cut)) {
            assert!(records(&bytes[..cut], 2).any(|r| r.is_err()), "{cut}");
        }
        assert!(records(&[0; 32], 2).any(|r| r.is_err()), "no kind");
    }

    #[test]
    fn names_are_read_as_they_were_made() {
        assert_eq!(number_of("0000000000000012.log"), Some(12));
        for other in ["000000000000012.log", "00000000000000+1.log", "0000000000000012.fine", "notes.log"] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}

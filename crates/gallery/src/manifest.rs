//! The manifest: the one file that says what the gallery is. It is replaced whole, by a rename, so
//! every change to the gallery happens at one instant or not at all.
//!
//! First line: `countersign-gallery 3 ` and the CRC-32 of everything after the line, in hex. Then JSON.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::{Error, MAX_DIMENSION, ModelId};

const NAME: &str = "countersign-gallery ";
const VERSION: u32 = 3;

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Which model made every template.
    pub(crate) model_id: String,
    /// Components a template.
    pub(crate) dimension: usize,
    /// Draws the rotation of this gallery's codes (see [`crate::rotation`]); random, made with the gallery.
    pub(crate) rotation_key: u64,
    /// Counts the commits: 0 when created, one more with every change or group of changes, and with every compaction.
    pub(crate) epoch: u64,
    /// The number that the next segment or log gets; numbers are never used twice.
    pub(crate) next_number: u64,
    /// The changes since the newest segment.
    pub(crate) log: LogEntry,
    /// The segments, oldest first.
    pub(crate) segments: Vec<SegmentEntry>,
}

/// One segment as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentEntry {
    /// Its number, which names its files.
    pub(crate) number: u64,
    /// Rows in it, erased ones included.
    pub(crate) rows: u32,
    /// Digests of its files, in the order of [`crate::segment::FILES`].
    pub(crate) digests: [u32; crate::segment::FILES.len()],
    /// Rows that were erased before the log began, and wait for compaction; ascending.
    pub(crate) erased: Vec<u32>,
}

/// The log as the manifest names it. As long as its number stays, so do the segments and their erased rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogEntry {
    /// Its number, which names its file.
    pub(crate) number: u64,
    /// How many of its bytes count; with 0 there need be no file.
    pub(crate) length: u64,
    /// CRC-32 of those bytes.
    pub(crate) crc: u32,
}

impl LogEntry {
    /// A log in which nothing has been written.
    pub(crate) fn empty(number: u64) -> Self {
        LogEntry { number, length: 0, crc: 0 }
    }
}

/// Where a gallery's manifest is.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("MANIFEST")
}

/// Where the next manifest is written before it takes the other's place.
pub(crate) fn next_path(folder: &Path) -> PathBuf {
    folder.join("MANIFEST.next")
}

/// How far a failed commit got.
pub(crate) enum CommitError {
    /// The old manifest stands.
    NotDone(Error),
    /// The rename may or may not have happened, or may not survive.
    Unsure,
}

/// What stands before the JSON of a manifest, with its line end.
pub(crate) fn first_line(body: &[u8]) -> Vec<u8> {
    format!("{NAME}{VERSION} {:08x}\n", crc32fast::hash(body)).into_bytes()
}

impl Manifest {
    /// Takes the next number. Also what fails keeps its number, whatever it left behind.
    pub(crate) fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Replaces the manifest on disk by this one.
    pub(crate) fn commit(&self, disk: &Disk, folder: &Path) -> Result<(), CommitError> {
        let next = next_path(folder);
        let put = || -> io::Result<()> {
            let body = serde_json::to_vec(self)?;
            disk.remove(&next)?;
            disk.write_new(&next, |out| {
                out.write_all(&first_line(&body))?;
                out.write_all(&body)
            })
        };
        put().map_err(|e| CommitError::NotDone(Error::io("write", &next)(e)))?;
        disk.rename(&next, &path(folder)).map_err(|_| CommitError::Unsure)?;
        disk.sync_folder(folder).map_err(|_| CommitError::Unsure)
    }

    /// The bytes of the manifest as they are on disk now.
    pub(crate) fn read_bytes(folder: &Path) -> Result<Vec<u8>, Error> {
        let path = path(folder);
        fs::read(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NotAGallery(folder.to_owned()),
            _ => Error::io("read", path)(e),
        })
    }

    /// Checks and reads the bytes of a manifest.
    pub(crate) fn parse(folder: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |what| Error::Damaged { file: path(folder), what };
        let end = bytes.iter().position(|b| *b == b'\n').ok_or(damaged("it has no first line"))?;
        let (line, body) = bytes.split_at(end + 1);
        if line != first_line(body) {
            if (1..VERSION).any(|older| line.starts_with(format!("{NAME}{older} ").as_bytes())) {
                return Err(damaged("it is of an older version of this program"));
            }
            return Err(damaged("its checksum is not that of its contents"));
        }
        let manifest: Manifest = serde_json::from_slice(body).map_err(|_| damaged("it is not of this format"))?;
        manifest.check().map_err(damaged)?;
        Ok(manifest)
    }

    /// What must hold even in a manifest with a right checksum.
    fn check(&self) -> Result<(), &'static str> {
        ModelId::new(self.model_id.as_str()).map_err(|_| "it has no proper model id")?;
        if self.dimension == 0 || self.dimension > MAX_DIMENSION {
            return Err("its dimension is out of range");
        }
        let mut numbers: Vec<u64> = self.segments.iter().map(|s| s.number).chain([self.log.number]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() != self.segments.len() + 1 || numbers.last().is_some_and(|n| *n >= self.next_number) {
            return Err("its numbers clash");
        }
        let proper =
            |s: &SegmentEntry| s.rows > 0 && s.erased.windows(2).all(|w| w[0] < w[1]) && s.erased.last().is_none_or(|r| *r < s.rows);
        if self.segments.iter().all(proper) { Ok(()) } else { Err("it erases rows that are not") }
    }
}

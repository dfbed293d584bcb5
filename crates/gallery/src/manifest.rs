//! The manifest: the one file that says what the gallery is. It is replaced whole, by a rename, so
//! every change to the gallery happens at one instant or not at all.
//!
//! First line: `countersign-gallery 1 ` and the CRC-32 of everything after the line, in hex. Then JSON.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::Disk;
use crate::{Error, MAX_DIMENSION, ModelId};

const TITLE: &str = "countersign-gallery 1 ";

/// What the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Which model made every template.
    pub(crate) model_id: String,
    /// Components a template.
    pub(crate) dimension: usize,
    /// Counts the changes: 0 when created, one more with every append, erasure or compaction.
    pub(crate) epoch: u64,
    /// The number that the next segment gets; numbers are never used twice.
    pub(crate) next_segment: u64,
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
    /// Digest of its templates file.
    pub(crate) templates: u32,
    /// Digest of its references file.
    pub(crate) references: u32,
    /// Rows that are erased and wait for compaction, ascending.
    pub(crate) erased: Vec<u32>,
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

impl Manifest {
    /// Replaces the manifest on disk by this one.
    pub(crate) fn commit(&self, disk: &Disk, folder: &Path) -> Result<(), CommitError> {
        let next = next_path(folder);
        let put = || -> io::Result<()> {
            let body = serde_json::to_vec(self)?;
            disk.remove(&next)?;
            disk.write_new(&next, |out| {
                writeln!(out, "{TITLE}{:08x}", crc32fast::hash(&body))?;
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
        let (line, body) = (&bytes[..end], &bytes[end + 1..]);
        let title = format!("{TITLE}{:08x}", crc32fast::hash(body));
        if line != title.as_bytes() {
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
        let mut numbers: Vec<u64> = self.segments.iter().map(|s| s.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() != self.segments.len() || numbers.last().is_some_and(|n| *n >= self.next_segment) {
            return Err("its segment numbers clash");
        }
        let proper =
            |s: &SegmentEntry| s.rows > 0 && s.erased.windows(2).all(|w| w[0] < w[1]) && s.erased.last().is_none_or(|r| *r < s.rows);
        if self.segments.iter().all(proper) { Ok(()) } else { Err("it erases rows that are not") }
    }
}

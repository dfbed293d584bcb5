//! The log as an outsider gets it: a folder of small files that needs nothing else to be checked.
//!
//! | file | what |
//! | --- | --- |
//! | `manifest` | what is covered: sizes, keys, and every other file with its SHA-256 |
//! | `checkpoint` | the newest checkpoint, with the witnesses' cosignatures ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)) |
//! | `checkpoints/<N>` | every checkpoint ever signed, in order of size |
//! | `tile/<L>/<N>`, `tile/entries/<N>` | the tree's hashes and the 32-byte leaves (C2SP tlog-tiles) |
//! | `openings/<N>` | for each leaf, what it is made of: see [`Opening`] |
//! | `README.txt` | how to check it, for people |
//!
//! `<N>` is a number in C2SP's three-digit path elements, with `.p/<W>` after a last file of `W` < 256 items. The
//! files of entries, openings and checkpoints are sequences of items, each after its length in two
//! big-endian bytes. [`check`] says what is wrong first; the order in which it looks is part of the
//! format (`docs/RECORD.md`), so that two verifiers name the same thing.

mod check;

pub use check::{Fault, Files, Report, Stopped, Trust, check};

use crate::{Commitment, Leaf, LedgerError, VerifierKey, WitnessKey, tree};
use aws_lc_rs::digest;
use tlog_tiles::Tile;

/// Hashes in a full tile, and items in a full file.
pub const FILE_ITEMS: u64 = 256;
/// Height of a tile.
const TILE_HEIGHT: u8 = 8;
/// First line of a manifest.
const VERSION: &str = "countersign bundle v1";
/// The file for people.
pub const README_PATH: &str = "README.txt";
/// What it says.
pub const README: &str = "\
This folder is a copy of the transparency log of a Countersign installation, for somebody outside to check.

    python3 verify.py THIS_FOLDER --key LOG_KEY

verify.py comes with the product's source (verifier/), not with this folder. Get LOG_KEY from somewhere
else than this folder, or the check shows no more than that the folder agrees with itself. With a
checkpoint that you kept from before (--remember FILE) or the key of a witness (--witness KEY) it also
shows that nothing was taken away and that nobody was shown another log. The file manifest says what is
covered. A leaf whose opening is closed is in the log like any other; what it stands for is not shown.
";

/// What a leaf is made of, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The two commitments alone: nothing is shown.
    Closed {
        /// Commitment to the header.
        header: Commitment,
        /// Commitment to the payload.
        payload: Commitment,
    },
    /// The clear header, with what it takes to recompute its commitment.
    Open {
        /// The stream, 17 bytes: a kind letter and an id.
        stream: [u8; 17],
        /// Position in the stream, from 1.
        seq: u64,
        /// Salt of the header's commitment.
        salt: [u8; 32],
        /// The header as JSON, exactly the bytes committed to.
        header: String,
        /// Commitment to the payload.
        payload: Commitment,
    },
}

/// Commitment to an event's header in its place: `stream ‖ seq (8 bytes, big-endian) ‖ header JSON`.
#[must_use]
pub fn header_commitment(salt: &[u8; 32], stream: &[u8; 17], seq: u64, header: &[u8]) -> Commitment {
    Commitment::new(salt, &[stream.as_slice(), &seq.to_be_bytes(), header].concat())
}

impl Opening {
    /// The leaf that it is the opening of.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        match self {
            Self::Closed { header, payload } => Leaf::new(header, payload),
            Self::Open { stream, seq, salt, header, payload } => {
                Leaf::new(&header_commitment(salt, stream, *seq, header.as_bytes()), payload)
            }
        }
    }

    /// As an item of a file: `0 ‖ header commitment ‖ payload commitment`, or
    /// `1 ‖ stream ‖ seq ‖ salt ‖ payload commitment ‖ header`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Closed { header, payload } => [&[0], header.0.as_slice(), &payload.0].concat(),
            Self::Open { stream, seq, salt, header, payload } => {
                [&[1], stream.as_slice(), &seq.to_be_bytes(), salt, &payload.0, header.as_bytes()].concat()
            }
        }
    }

    /// Reads an item; `None` if it is none.
    #[must_use]
    pub fn parse(item: &[u8]) -> Option<Self> {
        let (kind, rest) = item.split_first()?;
        match kind {
            0 => {
                let (header, payload) = rest.split_first_chunk::<32>()?;
                Some(Self::Closed { header: Commitment(*header), payload: Commitment(payload.try_into().ok()?) })
            }
            1 => {
                let (stream, rest) = rest.split_first_chunk::<17>()?;
                let (seq, rest) = rest.split_first_chunk::<8>()?;
                let (salt, rest) = rest.split_first_chunk::<32>()?;
                let (payload, header) = rest.split_first_chunk::<32>()?;
                let header = String::from_utf8(header.to_vec()).ok()?;
                Some(Self::Open { stream: *stream, seq: u64::from_be_bytes(*seq), salt: *salt, header, payload: Commitment(*payload) })
            }
            _ => None,
        }
    }
}

/// Joins items, each after its length.
///
/// # Errors
/// [`LedgerError::OutOfRange`] if one is longer than 65,535 bytes.
pub fn join<I: AsRef<[u8]>>(items: impl IntoIterator<Item = I>) -> Result<Vec<u8>, LedgerError> {
    let limit = u64::from(u16::MAX);
    let mut out = Vec::new();
    for item in items {
        let item = item.as_ref();
        let length =
            u16::try_from(item.len()).map_err(|_| LedgerError::OutOfRange { what: "an item's length", value: item.len() as u64, limit })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(item);
    }
    Ok(out)
}

/// One file of hashes or items: which, and how many of them it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Level in the tree; 0 for files of items.
    pub level: u8,
    /// Number of the file within its level.
    pub n: u64,
    /// Hashes or items in it, 1 to [`FILE_ITEMS`].
    pub width: u64,
}

impl Part {
    /// Number of its first hash or item within the level.
    #[must_use]
    pub fn start(self) -> u64 {
        self.n * FILE_ITEMS
    }

    fn path(self) -> String {
        // The crate's paths also name the height (as the Go checksum database has them); C2SP's do not.
        let width = u32::try_from(self.width).unwrap_or(1).clamp(1, 1 << TILE_HEIGHT);
        Tile::new(TILE_HEIGHT, self.level, self.n, width, false).path().replacen("tile/8/", "tile/", 1)
    }

    /// Path as a tile of hashes.
    #[must_use]
    pub fn tile(self) -> String {
        self.path()
    }

    /// Path as a file of items, below `folder`.
    #[must_use]
    pub fn items(self, folder: &str) -> String {
        self.path().replacen("tile/0/", &format!("{folder}/"), 1)
    }
}

/// Folder of the leaves.
pub const ENTRIES: &str = "tile/entries";
/// Folder of the openings.
pub const OPENINGS: &str = "openings";
/// Folder of the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";

/// The files that `count` items make.
pub fn parts(count: u64) -> impl Iterator<Item = Part> {
    (0..count.div_ceil(FILE_ITEMS)).map(move |n| Part { level: 0, n, width: (count - n * FILE_ITEMS).min(FILE_ITEMS) })
}

/// The tiles of a tree of `size` leaves, level by level; at most [`tree::MAX_SIZE`].
#[must_use]
pub fn tiles(size: u64) -> Vec<Part> {
    let tiles = Tile::new_tiles(TILE_HEIGHT, 0, size.min(tree::MAX_SIZE));
    tiles.iter().map(|t| Part { level: t.level(), n: t.level_index(), width: u64::from(t.width()) }).collect()
}

/// Every file of a bundle but the manifest, sorted by its bytes.
#[must_use]
pub fn paths(size: u64, checkpoints: u64) -> Vec<String> {
    let mut out = vec![README_PATH.to_owned(), "checkpoint".to_owned()];
    out.extend(parts(checkpoints).map(|p| p.items(CHECKPOINTS)));
    out.extend(parts(size).flat_map(|p| [p.items(ENTRIES), p.items(OPENINGS)]));
    out.extend(tiles(size).into_iter().map(Part::tile));
    out.sort_unstable();
    out
}

/// SHA-256, as the manifest writes it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// What a bundle says of itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Leaves.
    pub size: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Leaves with an open opening.
    pub opened: u64,
    /// Leaves with a closed one.
    pub closed: u64,
    /// The log's key, which also names the log.
    pub log_key: VerifierKey,
    /// Keys of the witnesses whose cosignatures are in it, sorted by their text.
    pub witness_keys: Vec<WitnessKey>,
    /// Every other file: SHA-256, length, path; sorted by path.
    pub files: Vec<(String, u64, String)>,
}

impl Manifest {
    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { size, checkpoints, opened, closed, log_key, .. } = self;
        let origin = log_key.origin();
        let mut text = format!(
            "{VERSION}\norigin {origin}\nsize {size}\ncheckpoints {checkpoints}\nopened {opened}\nclosed {closed}\nlog-key {log_key}\n"
        );
        for key in &self.witness_keys {
            text.push_str(&format!("witness-key {key}\n"));
        }
        for (digest, length, path) in &self.files {
            text.push_str(&format!("file {digest} {length} {path}\n"));
        }
        text
    }
}

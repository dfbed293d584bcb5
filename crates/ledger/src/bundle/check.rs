//! Checking a bundle, and naming the first thing that is wrong with it.

use super::{CHECKPOINTS, ENTRIES, FILE_ITEMS, Manifest, OPENINGS, Opening, Part, VERSION, parts, paths, sha256, tiles};
use crate::tree::{self, Hash, MAX_SIZE};
use crate::{Checkpoint, Leaf, LedgerError, Signed, VerifierKey, WitnessKey, note};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::{fmt, io};

/// Longest manifest read, in bytes: some two million files.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;

/// Where a bundle's files are read from.
pub trait Files {
    /// Path of everything that is no folder, relative, with `/`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file's bytes, but no more than one over `limit`. A link, or whatever else is no plain file, is
    /// [`io::ErrorKind::InvalidInput`].
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;
}

/// Who checks brings what they know from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The log's key. Without it the bundle's own is used, which shows only that the bundle agrees with itself.
    pub log_key: Option<VerifierKey>,
    /// Checkpoints kept from before, as signed notes.
    pub remembered: Vec<String>,
    /// Witnesses that must have cosigned the newest checkpoint.
    pub witnesses: Vec<WitnessKey>,
    /// They must have done so at or after this time, in seconds since 1970.
    pub since: Option<u64>,
}

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The log.
    pub origin: String,
    /// Its key.
    pub log_key: String,
    /// Leaves.
    pub size: u64,
    /// Root over them, as signed.
    pub root: Hash,
    /// Checkpoints checked.
    pub checkpoints: u64,
    /// Leaves recomputed from their clear header.
    pub opened: u64,
    /// Leaves recomputed from their commitments alone.
    pub closed: u64,
    /// Who cosigned the newest checkpoint, and when (seconds since 1970).
    pub cosigned: Vec<(String, u64)>,
}

/// The first thing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, and the place in it.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Why checking stopped.
#[derive(Debug)]
pub enum Stopped {
    /// Something is wrong with the bundle.
    Wrong(Fault),
    /// A remembered checkpoint is not one: (its number from 0, why).
    Remembered(usize, LedgerError),
    /// The folder itself cannot be read.
    Unreadable(io::Error),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Wrong(fault)
    }
}

fn fault(place: impl Into<String>, what: impl Into<String>) -> Fault {
    Fault { place: place.into(), what: what.into() }
}

/// Reads each file once and remembers its digest and length for the end.
struct Reading<'a, F: ?Sized> {
    files: &'a F,
    seen: BTreeMap<String, (String, u64)>,
}

impl<F: Files + ?Sized> Reading<'_, F> {
    fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, Stopped> {
        let bytes = match self.files.read(path, limit) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(fault(path, "it is missing").into()),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Err(fault(path, "it is not a plain file").into()),
            Err(e) => return Err(Stopped::Unreadable(e)),
        };
        if bytes.len() as u64 > limit {
            return Err(fault(path, format!("it is longer than {limit} bytes")).into());
        }
        self.seen.insert(path.to_owned(), (sha256(&bytes), bytes.len() as u64));
        Ok(bytes)
    }
}

/// Checks a bundle: everything in it against everything else, and against what is known from elsewhere.
///
/// # Errors
/// [`Stopped::Wrong`] with the first thing wrong, in the order that `docs/RECORD.md` lays down.
pub fn check(files: &(impl Files + ?Sized), trust: &Trust) -> Result<Report, Stopped> {
    let mut reading = Reading { files, seen: BTreeMap::new() };
    let manifest = manifest(&reading.read("manifest", MAX_MANIFEST_BYTES)?, trust)?;
    on_disk(files, &manifest)?;
    let newest =
        String::from_utf8(reading.read("checkpoint", note::MAX_NOTE_BYTES as u64)?).map_err(|_| fault("checkpoint", "it is not UTF-8"))?;
    let (head, _) = signed("checkpoint", &newest, &manifest)?;
    if head.size != manifest.size {
        return Err(fault("checkpoint", "its size is not the manifest's").into());
    }
    let signed_before = checkpoints(&mut reading, &manifest, &newest)?;
    let (hashes, opened) = leaves(&mut reading, &manifest)?;
    upper_tiles(&mut reading, &manifest, &hashes)?;
    for (place, checkpoint) in &signed_before {
        if root(checkpoint.size, &hashes) != checkpoint.root {
            return Err(fault(place, "it signs another root than these leaves have").into());
        }
    }
    if opened != manifest.opened || manifest.size - opened != manifest.closed {
        let line = if opened == manifest.opened { 6 } else { 5 };
        return Err(fault(format!("manifest line {line}"), "it counts the openings wrongly").into());
    }
    reading.read(super::README_PATH, note::MAX_NOTE_BYTES as u64)?;
    for (digest, length, path) in &manifest.files {
        if reading.seen.get(path).is_none_or(|(d, l)| d != digest || l != length) {
            return Err(fault(path, "its bytes are not the ones that the manifest lists").into());
        }
    }
    let cosigned = trusted(&newest, &head, &manifest, trust, &hashes)?;
    Ok(Report {
        origin: head.origin,
        log_key: manifest.log_key.to_string(),
        size: manifest.size,
        root: head.root,
        checkpoints: manifest.checkpoints,
        opened,
        closed: manifest.closed,
        cosigned,
    })
}

/// A number written as a plain decimal, at most the largest tree.
fn number(text: &str) -> Option<u64> {
    let n: u64 = text.parse().ok()?;
    (n.to_string() == text && n <= MAX_SIZE).then_some(n)
}

fn manifest(bytes: &[u8], trust: &Trust) -> Result<Manifest, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| fault("manifest", "it is not UTF-8"))?;
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.pop() != Some("") {
        return Err(fault("manifest", "it does not end with a newline"));
    }
    let at = |n: usize, what: &str| fault(format!("manifest line {}", n + 1), what);
    let field = |n: usize, name: &str| {
        lines.get(n).and_then(|l| l.strip_prefix(name)).ok_or_else(|| at(n, &format!("it should say: {}", name.trim_end())))
    };
    let count =
        |n: usize, name: &str| field(n, name).and_then(|v| number(v).ok_or_else(|| at(n, "it is not a number as this format writes it")));
    if !field(0, VERSION)?.is_empty() {
        return Err(at(0, "it is another version of this format"));
    }
    let origin = field(1, "origin ")?;
    let (size, checkpoints) = (count(2, "size ")?, count(3, "checkpoints ")?);
    let (opened, closed) = (count(4, "opened ")?, count(5, "closed ")?);
    let log_key = log_key(field(6, "log-key ")?).ok_or_else(|| at(6, "it is not a log's key"))?;
    if log_key.origin() != origin {
        return Err(at(1, "the log's key is for another log"));
    }
    if trust.log_key.as_ref().is_some_and(|k| k.to_string() != log_key.to_string()) {
        return Err(at(6, "it names another log key than the one that is trusted"));
    }
    let mut n = 7;
    let mut witness_keys: Vec<WitnessKey> = vec![];
    while let Some(text) = lines.get(n).and_then(|l| l.strip_prefix("witness-key ")) {
        let key = WitnessKey::parse(text).map_err(|_| at(n, "it is not a witness's key"))?;
        if witness_keys.last().is_some_and(|before| before.to_string().as_str() >= text) {
            return Err(at(n, "the witnesses' keys are not in order"));
        }
        witness_keys.push(key);
        n += 1;
    }
    let listed = (lines.len() - n) as u64;
    for (line, value) in [(2, size), (3, checkpoints)] {
        if value.div_ceil(FILE_ITEMS) > listed {
            return Err(at(line, "it is more than the files listed could hold"));
        }
    }
    if checkpoints == 0 {
        return Err(at(3, "a log has at least one checkpoint"));
    }
    let mut files = vec![];
    for path in paths(size, checkpoints) {
        let wrong = || at(n, &format!("it should list {path}"));
        let mut words = lines.get(n).and_then(|l| l.strip_prefix("file ")).ok_or_else(wrong)?.splitn(3, ' ');
        let (digest, length, name) = (words.next(), words.next(), words.next());
        let hex = |d: &&str| d.len() == 64 && d.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match (digest.filter(hex), length.and_then(number)) {
            (Some(digest), Some(length)) if name == Some(path.as_str()) => files.push((digest.to_owned(), length, path)),
            _ => return Err(wrong()),
        }
        n += 1;
    }
    if lines.len() > n {
        return Err(at(n, "it is one line too many"));
    }
    Ok(Manifest { size, checkpoints, opened, closed, log_key, witness_keys, files })
}

/// A log's key in its one spelling.
fn log_key(text: &str) -> Option<VerifierKey> {
    let key = VerifierKey::parse(text).ok()?;
    let encoded = BASE64_STANDARD.decode(text.splitn(3, '+').nth(2)?).ok()?;
    let spelt = format!("{}+{:08x}+{}", key.origin(), signed_note::key_id(key.origin(), &encoded), BASE64_STANDARD.encode(&encoded));
    (spelt == text).then_some(key)
}

/// What lies in the folder is what the manifest lists.
fn on_disk(files: &(impl Files + ?Sized), manifest: &Manifest) -> Result<(), Stopped> {
    let there: BTreeSet<String> = files.list().map_err(Stopped::Unreadable)?.into_iter().filter(|p| p != "manifest").collect();
    let listed: BTreeSet<String> = manifest.files.iter().map(|f| f.2.clone()).collect();
    if let Some(path) = there.symmetric_difference(&listed).next() {
        let what = if there.contains(path) { "it is not part of the bundle" } else { "it is missing" };
        return Err(fault(path, what).into());
    }
    Ok(())
}

/// A checkpoint whose every signature verifies and is by a key of the manifest, with its cosignatures.
fn signed(place: &str, note: &str, manifest: &Manifest) -> Result<(Checkpoint, Vec<(String, u64)>), Fault> {
    let parsed = Signed::parse(note).map_err(|_| fault(place, "it is not a signed note"))?;
    let checkpoint = match Checkpoint::open(note, &manifest.log_key) {
        Ok(checkpoint) => checkpoint,
        Err(LedgerError::BadSignature) => return Err(fault(place, "it is not signed by the log's key")),
        Err(_) => return Err(fault(place, "it is not a checkpoint of this log")),
    };
    let mut cosigned = vec![];
    for line in parsed.lines.iter().skip(1) {
        let by = |key: &&WitnessKey| signed_note::Signature::from_bytes(line.as_bytes()).is_ok_and(|s| key.is_by(&s));
        let Some(key) = manifest.witness_keys.iter().find(by) else {
            return Err(fault(place, "a signature after the log's is by no witness that the manifest names"));
        };
        let at = key.check(&parsed.text, line).map_err(|_| fault(place, format!("the cosignature of {} does not verify", key.name())))?;
        cosigned.push((key.name().to_owned(), at));
    }
    Ok((checkpoint, cosigned))
}

/// Every checkpoint with its place.
fn checkpoints<F: Files + ?Sized>(
    reading: &mut Reading<'_, F>,
    manifest: &Manifest,
    newest: &str,
) -> Result<Vec<(String, Checkpoint)>, Stopped> {
    let mut out: Vec<(String, Checkpoint)> = vec![];
    let mut last = String::new();
    for part in parts(manifest.checkpoints) {
        let path = part.items(CHECKPOINTS);
        let bytes = reading.read(&path, part.width * (2 + u64::from(u16::MAX)))?;
        for (n, item) in (part.start()..).zip(items(&path, "checkpoint", part, &bytes)?) {
            let place = format!("{path} checkpoint {n}");
            let note = std::str::from_utf8(item).map_err(|_| fault(&place, "it is not UTF-8"))?;
            let (checkpoint, _) = signed(&place, note, manifest)?;
            if out.last().is_some_and(|(_, before)| before.size >= checkpoint.size) {
                return Err(fault(place, "it is not larger than the one before it").into());
            }
            if checkpoint.size > manifest.size {
                return Err(fault(place, "it signs more leaves than there are").into());
            }
            last = note.to_owned();
            out.push((place, checkpoint));
        }
    }
    if last != newest {
        return Err(fault("checkpoint", "it is not the last of the checkpoints").into());
    }
    Ok(out)
}

/// The items of a file.
fn items<'a>(path: &str, what: &str, part: Part, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, Fault> {
    let mut out = vec![];
    let mut rest = bytes;
    let place = |n: u64| format!("{path} {what} {}", part.start() + n);
    while !rest.is_empty() {
        let n = out.len() as u64;
        if n == part.width {
            return Err(fault(place(n), "it is one too many for this file"));
        }
        let item =
            rest.split_first_chunk::<2>().and_then(|(length, after)| after.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((item, after)) = item else { return Err(fault(place(n), "it is cut short")) };
        out.push(item);
        rest = after;
    }
    if (out.len() as u64) < part.width {
        return Err(fault(place(out.len() as u64), "it is missing from this file"));
    }
    Ok(out)
}

fn tile<F: Files + ?Sized>(reading: &mut Reading<'_, F>, part: Part) -> Result<(String, Vec<Hash>), Stopped> {
    let path = part.tile();
    let bytes = reading.read(&path, FILE_ITEMS * 32)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() as u64 != part.width || !rest.is_empty() {
        return Err(fault(path, format!("it is not {} hashes long", part.width)).into());
    }
    Ok((path, hashes.to_vec()))
}

/// Recomputes every leaf: the tree's hashes, and how many were recomputed from a clear header.
fn leaves<F: Files + ?Sized>(reading: &mut Reading<'_, F>, manifest: &Manifest) -> Result<(HashMap<u64, Hash>, u64), Stopped> {
    let mut hashes: HashMap<u64, Hash> = HashMap::new();
    let mut opened = 0;
    for part in parts(manifest.size) {
        let (entries, openings) = (part.items(ENTRIES), part.items(OPENINGS));
        let entry_bytes = reading.read(&entries, part.width * 34)?;
        let entry_items = items(&entries, "leaf", part, &entry_bytes)?;
        let opening_bytes = reading.read(&openings, part.width * (2 + u64::from(u16::MAX)))?;
        let opening_items = items(&openings, "leaf", part, &opening_bytes)?;
        let (tile_path, tile_hashes) = tile(reading, part)?;
        for (((n, entry), opening), hash) in (part.start()..).zip(entry_items).zip(opening_items).zip(tile_hashes) {
            let place = |path: &str| format!("{path} leaf {n}");
            let entry = Leaf(entry.try_into().map_err(|_| fault(place(&entries), "it is not 32 bytes"))?);
            let opening = Opening::parse(opening).ok_or_else(|| fault(place(&openings), "it is not an opening"))?;
            opened += u64::from(matches!(opening, Opening::Open { .. }));
            // Three say what the leaf is; where two agree, the third is wrong.
            let (fits, hashed) = (opening.leaf() == entry, tree::leaf_hash(entry) == hash);
            match (fits, hashed) {
                (true, true) => {}
                (false, true) => return Err(fault(place(&openings), "it does not make the leaf").into()),
                (true, false) => return Err(fault(format!("{tile_path} hash {}", n % FILE_ITEMS), "it is not the leaf's").into()),
                (false, false) if tree::leaf_hash(opening.leaf()) == hash => {
                    return Err(fault(place(&entries), "it is not what its opening and its hash say").into());
                }
                (false, false) => return Err(fault(place(&entries), "entry, opening and hash are three different leaves").into()),
            }
            let new = tree::append(n, entry, &hashes).map_err(|_| fault(place(&entries), "it does not fit the tree"))?;
            hashes.extend(new);
        }
    }
    Ok((hashes, opened))
}

fn upper_tiles<F: Files + ?Sized>(reading: &mut Reading<'_, F>, manifest: &Manifest, hashes: &HashMap<u64, Hash>) -> Result<(), Stopped> {
    for part in tiles(manifest.size).into_iter().filter(|t| t.level > 0) {
        let (path, tile) = tile(reading, part)?;
        for (n, hash) in (part.start()..).zip(tile) {
            if hashes.get(&tree::stored_index(part.level * 8, n)) != Some(&hash) {
                return Err(fault(format!("{path} hash {}", n % FILE_ITEMS), "it is not what the tile below makes").into());
            }
        }
    }
    Ok(())
}

/// The root of the first `size` leaves, all of which are there.
fn root(size: u64, hashes: &HashMap<u64, Hash>) -> Hash {
    tree::root(size, hashes).unwrap_or_default()
}

/// Against what is known from elsewhere; gives who cosigned the newest checkpoint.
fn trusted(
    newest: &str,
    head: &Checkpoint,
    manifest: &Manifest,
    trust: &Trust,
    hashes: &HashMap<u64, Hash>,
) -> Result<Vec<(String, u64)>, Stopped> {
    for (n, note) in trust.remembered.iter().enumerate() {
        let kept = Checkpoint::open(note, &manifest.log_key).map_err(|e| Stopped::Remembered(n, e))?;
        if kept.size > head.size {
            let what = format!("truncated or rolled back: {} leaves were remembered and {} are here", kept.size, head.size);
            return Err(fault("checkpoint", what).into());
        }
        if root(kept.size, hashes) != kept.root {
            let what = format!("split view: the checkpoint remembered at {} leaves is of another history", kept.size);
            return Err(fault("checkpoint", what).into());
        }
    }
    for key in &trust.witnesses {
        let name = key.name();
        let at = key.cosigned(newest).map_err(|_| fault("checkpoint", format!("the cosignature of {name} does not verify")))?;
        let Some(at) = at else {
            let what = format!("{name} did not cosign it: it may be a rollback, or another log than the one that {name} saw");
            return Err(fault("checkpoint", what).into());
        };
        if trust.since.is_some_and(|since| at < since) {
            let what = format!("{name} cosigned it before the time asked for: it may be an older state of the log");
            return Err(fault("checkpoint", what).into());
        }
    }
    Ok(signed("checkpoint", newest, manifest)?.1)
}

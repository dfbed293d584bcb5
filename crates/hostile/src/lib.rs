//! For tests: a parser is given hostile bytes. What it is given to is a `fn(&[u8])` that panics where the parser broke a
//! promise; the same function is a target of a coverage-guided fuzzer (docs/FUZZING.md).
//!
//! [`tried`] runs every file of the kept corpus, every input that once broke something, and a bounded number of changes
//! to them that are the same on every machine. They lie in `fuzz/corpus/NAME` and `fuzz/broken/NAME`; `UPDATE_CORPUS=1` writes
//! the seeds there that the test makes.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// How many changed inputs an ordinary test tries.
pub const CHANGES: usize = 2_000;
/// The longest input that is tried, in bytes.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Gives `target` everything that is kept under `name`, and `changes` to it. `seeds` are well-formed inputs to begin from, made by
/// the code itself.
///
/// # Panics
/// When the parser broke a promise, with the path of a file that holds the input; when no corpus is kept.
pub fn tried(name: &str, seeds: Vec<Vec<u8>>, target: fn(&[u8]), changes: usize) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let corpus = kept.join("corpus").join(name);
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        keep(&corpus, &seeds);
    }
    let kept = [read(&corpus), read(&kept.join("broken").join(name))].concat();
    assert!(!kept.is_empty(), "{} holds no corpus", corpus.display());
    for (path, bytes) in &kept {
        attempt(name, &path.display().to_string(), bytes, target);
    }
    let known: Vec<Vec<u8>> = kept.into_iter().map(|(_, bytes)| bytes).chain(seeds).collect();
    let mut chance = Chance::of(name);
    for n in 0..changes {
        let bytes = changed(&known, &mut chance);
        attempt(name, &format!("change {n}"), &bytes, target);
    }
}

fn keep(folder: &Path, seeds: &[Vec<u8>]) {
    let written = fs::create_dir_all(folder)
        .and_then(|()| seeds.iter().enumerate().try_for_each(|(n, bytes)| fs::write(folder.join(format!("seed-{n:02}")), bytes)));
    assert!(written.is_ok(), "{} cannot be written", folder.display());
}

/// Every file of a folder that may be missing, in name order.
fn read(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let mut all: Vec<_> = entries.filter_map(|p| fs::read(&p).ok().map(|bytes| (p, bytes))).collect();
    all.sort();
    all
}

fn attempt(name: &str, which: &str, bytes: &[u8], target: fn(&[u8])) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_ok() {
        return;
    }
    let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    let kept = fs::write(&path, bytes).is_ok();
    #[allow(clippy::panic, reason = "this is what a test is for")]
    {
        panic!("{name}: {which} broke it; the input is {}", if kept { path.display().to_string() } else { format!("{bytes:?}") });
    }
}

/// One known input, changed in a few places: bits, bytes, numbers at their edges, pieces taken out, repeated or brought in from another.
fn changed(known: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = known[chance.below(known.len())].clone();
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let length = chance.below(32).min(bytes.len() - at);
        match chance.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = chance.below(256) as u8,
            2 => {
                let edges: [&[u8]; 8] = [&[0; 4], &[0xFF; 4], &[0x7F, 0xFF], &[0; 8], &[0xFF; 8], b"-1", b"1e999", b"\xF0\x9F\x99\x82"];
                let edge = edges[chance.below(edges.len())];
                let end = (at + edge.len()).min(bytes.len());
                bytes.splice(at..end, edge.iter().copied());
            }
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece.repeat(1 + chance.below(64)));
            }
            5 => {
                let other = &known[chance.below(known.len())];
                let from = chance.below(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            6 => bytes.truncate(at),
            _ => bytes.insert(at, chance.below(256) as u8),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

/// A fixed walk of numbers, another for each name (xorshift64; FNV-1a of the name begins it).
struct Chance(u64);

impl Chance {
    fn of(name: &str) -> Self {
        Self(name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks at a byte that no seed holds.
    fn brittle(bytes: &[u8]) {
        assert!(!bytes.contains(&0xFF), "as it should");
    }

    #[test]
    fn changes_find_what_the_seeds_do_not_show_and_are_the_same_each_time() {
        let known = vec![b"a seed without that byte".to_vec()];
        let walk = |name| {
            let mut chance = Chance::of(name);
            (0..CHANGES).map(|_| changed(&known, &mut chance)).collect::<Vec<_>>()
        };
        assert_eq!(walk("one"), walk("one"));
        assert_ne!(walk("one"), walk("another"));
        let broke = walk("one").iter().filter(|bytes| catch_unwind(|| brittle(bytes)).is_err()).count();
        assert!(broke > 20 && broke < CHANGES / 2, "{broke}");
    }

    #[test]
    #[should_panic(expected = "holds no corpus")]
    fn a_test_without_a_corpus_is_no_test() {
        tried("missing", vec![], brittle, 1);
    }
}

//! The RFC 6962 tree: appending, roots and proofs over stored hashes.

use crate::{Leaf, LedgerError};
use std::collections::{BTreeMap, HashMap};
use tlog_tiles::tlog;

/// A SHA-256 tree hash.
pub type Hash = [u8; 32];

/// Largest tree: far beyond need, and small enough that no index arithmetic can overflow.
pub const MAX_SIZE: u64 = 1 << 48;

/// Where stored hashes are read from, by their dense index (see [`stored_index`]).
pub trait Hashes {
    /// The stored hash at `index`, or `None` if it is not there.
    fn get(&self, index: u64) -> Option<Hash>;
}

impl Hashes for BTreeMap<u64, Hash> {
    fn get(&self, index: u64) -> Option<Hash> {
        BTreeMap::get(self, &index).copied()
    }
}

impl Hashes for HashMap<u64, Hash> {
    fn get(&self, index: u64) -> Option<Hash> {
        HashMap::get(self, &index).copied()
    }
}

/// Lets `tlog_tiles` read from our [`Hashes`], and remembers what was missing.
struct Reader<'a, H: ?Sized> {
    hashes: &'a H,
    missing: std::cell::Cell<Option<u64>>,
}

impl<H: Hashes + ?Sized> tlog::HashReader for Reader<'_, H> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        indexes
            .iter()
            .map(|&index| {
                self.hashes.get(index).map(tlog::Hash).ok_or_else(|| {
                    self.missing.set(Some(index));
                    tlog::Error::IndexesNotInTree
                })
            })
            .collect()
    }
}

/// Runs one `tlog_tiles` step over `hashes`, naming the missing hash if there is one.
fn reading<H: Hashes + ?Sized, T>(hashes: &H, step: impl FnOnce(&Reader<'_, H>) -> Result<T, tlog::Error>) -> Result<T, LedgerError> {
    let reader = Reader { hashes, missing: std::cell::Cell::new(None) };
    step(&reader).map_err(|_| match reader.missing.get() {
        Some(index) => LedgerError::MissingHash { index },
        None => LedgerError::InvalidProof,
    })
}

/// Refuses a `value` over `limit`, before any arithmetic that could panic.
pub(crate) fn within(what: &'static str, value: u64, limit: u64) -> Result<(), LedgerError> {
    if value > limit { Err(LedgerError::OutOfRange { what, value, limit }) } else { Ok(()) }
}

/// Where the `n`-th hash of `level` is stored (level 0 holds leaf hashes), in the dense order in
/// which hashes are written. Levels up to 48, `n` below [`MAX_SIZE`].
#[must_use]
pub fn stored_index(level: u8, n: u64) -> u64 {
    tlog::stored_hash_index(level, n)
}

/// How many hashes a tree of `size` leaves stores.
#[must_use]
pub fn stored_count(size: u64) -> u64 {
    tlog::stored_hash_count(size)
}

/// The RFC 6962 hash of a leaf: `SHA-256(0x00 ‖ leaf)`.
#[must_use]
pub fn leaf_hash(leaf: Leaf) -> Hash {
    tlog::record_hash(&leaf.0).0
}

/// Appends `leaf` to a tree of `size` leaves: the new stored hashes, each with its index.
///
/// Reads only the hashes named by [`crate::needs::append`]; when many leaves are appended in a row,
/// those of [`crate::needs::root`] at the start are enough for all of them.
///
/// # Errors
/// [`LedgerError::OutOfRange`] at [`MAX_SIZE`]; [`LedgerError::MissingHash`].
pub fn append<H: Hashes + ?Sized>(size: u64, leaf: Leaf, hashes: &H) -> Result<Vec<(u64, Hash)>, LedgerError> {
    append_record(size, &leaf.0, hashes)
}

/// [`append`] for a record of any length, as RFC 6962's published vectors have them.
fn append_record<H: Hashes + ?Sized>(size: u64, record: &[u8], hashes: &H) -> Result<Vec<(u64, Hash)>, LedgerError> {
    within("the tree's size", size, MAX_SIZE - 1)?;
    let new = reading(hashes, |r| tlog::stored_hashes(size, record, r))?;
    Ok((tlog::stored_hash_index(0, size)..).zip(new.into_iter().map(|h| h.0)).collect())
}

/// The root of the first `size` leaves; for none, SHA-256 of nothing.
///
/// # Errors
/// [`LedgerError::OutOfRange`] over [`MAX_SIZE`]; [`LedgerError::MissingHash`].
pub fn root<H: Hashes + ?Sized>(size: u64, hashes: &H) -> Result<Hash, LedgerError> {
    within("the tree's size", size, MAX_SIZE)?;
    reading(hashes, |r| tlog::tree_hash(size, r)).map(|h| h.0)
}

/// Proof that leaf `index` is in the tree of `size` leaves (RFC 6962 section 2.1.1), leaf upwards.
///
/// # Errors
/// [`LedgerError::OutOfRange`] unless `index < size`; [`LedgerError::MissingHash`].
pub fn inclusion_proof<H: Hashes + ?Sized>(size: u64, index: u64, hashes: &H) -> Result<Vec<Hash>, LedgerError> {
    within("the tree's size", size, MAX_SIZE)?;
    // An empty tree has no last leaf: the limit shown is then 0, and index 0 is refused by the crate.
    within("the leaf's index", index, size.saturating_sub(1))?;
    reading(hashes, |r| tlog::prove_record(size, index, r)).map(|proof| proof.into_iter().map(|h| h.0).collect())
}

/// Proof that the tree of `old` leaves is a prefix of the tree of `new` leaves (section 2.1.2).
///
/// # Errors
/// [`LedgerError::OutOfRange`] unless `1 <= old <= new`; [`LedgerError::MissingHash`].
pub fn consistency_proof<H: Hashes + ?Sized>(old: u64, new: u64, hashes: &H) -> Result<Vec<Hash>, LedgerError> {
    within("the newer tree's size", new, MAX_SIZE)?;
    within("the older tree's size", old, new)?;
    reading(hashes, |r| tlog::prove_tree(new, old, r)).map(|proof| proof.into_iter().map(|h| h.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Certificate Transparency reference test vectors (the `merkle_tree` inputs and roots of the
    /// public RFC 6962 test suites).
    const RECORDS: [&str; 8] = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hex(proof: &[Hash]) -> Vec<String> {
        proof.iter().map(hex::encode).collect()
    }

    #[test]
    fn the_public_rfc_6962_vectors() {
        let mut hashes = BTreeMap::new();
        assert_eq!(hex::encode(root(0, &hashes).unwrap()), ROOTS[0]);
        for (size, record) in RECORDS.iter().enumerate() {
            let new = append_record(size as u64, &hex::decode(record).unwrap(), &hashes).unwrap();
            hashes.extend(new);
            assert_eq!(hashes.len() as u64, stored_count(size as u64 + 1));
            assert_eq!(hex::encode(root(size as u64 + 1, &hashes).unwrap()), ROOTS[size + 1]);
        }
        // Every earlier root can still be had from the same stored hashes.
        for (size, expected) in ROOTS.iter().enumerate() {
            assert_eq!(hex::encode(root(size as u64, &hashes).unwrap()), *expected);
        }
        let first = [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ];
        let sixth = [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        assert_eq!(hex(&inclusion_proof(8, 0, &hashes).unwrap()), first);
        assert_eq!(hex(&inclusion_proof(8, 5, &hashes).unwrap()), sixth);
        assert_eq!(hex(&inclusion_proof(1, 0, &hashes).unwrap()), Vec::<String>::new());
        assert_eq!(hex(&consistency_proof(1, 8, &hashes).unwrap()), first);
        assert_eq!(
            hex(&consistency_proof(6, 8, &hashes).unwrap()),
            ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", sixth[1], sixth[2]]
        );
        assert_eq!(hex(&consistency_proof(8, 8, &hashes).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn edges_are_refused_not_panicked_at() {
        let empty = BTreeMap::new();
        assert!(inclusion_proof(0, 0, &empty).is_err());
        assert!(inclusion_proof(3, 3, &empty).is_err());
        assert!(consistency_proof(0, 3, &empty).is_err());
        assert!(consistency_proof(4, 3, &empty).is_err());
        assert!(root(MAX_SIZE + 1, &empty).is_err());
        assert!(append(MAX_SIZE, Leaf([0; 32]), &empty).is_err());
        assert!(matches!(root(1, &empty), Err(LedgerError::MissingHash { index: 0 })));
        assert!(matches!(root(u64::MAX, &empty), Err(LedgerError::OutOfRange { .. })));
    }
}

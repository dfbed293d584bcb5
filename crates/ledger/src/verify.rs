//! What an outsider runs: proofs against a signed root. Needs no store, no secret and no network.

use crate::tree::{Hash, MAX_SIZE, leaf_hash, within};
use crate::{Leaf, LedgerError};
use tlog_tiles::tlog;

/// Checks that `leaf` is number `index` (from 0) of the tree of `size` leaves with this `root`.
///
/// # Errors
/// [`LedgerError::InvalidProof`]; [`LedgerError::OutOfRange`].
pub fn inclusion(proof: &[Hash], size: u64, root: Hash, index: u64, leaf: Leaf) -> Result<(), LedgerError> {
    within("the tree's size", size, MAX_SIZE)?;
    within("the leaf's index", index, size.saturating_sub(1))?;
    let proof = bounded(proof)?;
    tlog::check_record(&proof, size, tlog::Hash(root), index, tlog::Hash(leaf_hash(leaf))).map_err(|_| LedgerError::InvalidProof)
}

/// Checks that the tree of `old` leaves with `old_root` is a prefix of the tree of `new` leaves with
/// `new_root`: nothing that was logged has been changed or taken out since.
///
/// # Errors
/// [`LedgerError::InvalidProof`]; [`LedgerError::OutOfRange`] unless `1 <= old <= new`.
pub fn consistency(proof: &[Hash], old: u64, old_root: Hash, new: u64, new_root: Hash) -> Result<(), LedgerError> {
    within("the newer tree's size", new, MAX_SIZE)?;
    within("the older tree's size", old, new)?;
    let proof = bounded(proof)?;
    tlog::check_tree(&proof, new, tlog::Hash(new_root), old, tlog::Hash(old_root)).map_err(|_| LedgerError::InvalidProof)
}

/// No honest proof is longer than a path through the largest tree, so a longer one is not walked.
fn bounded(proof: &[Hash]) -> Result<Vec<tlog::Hash>, LedgerError> {
    if proof.len() > 64 {
        return Err(LedgerError::InvalidProof);
    }
    Ok(proof.iter().copied().map(tlog::Hash).collect())
}

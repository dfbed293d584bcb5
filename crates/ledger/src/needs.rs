//! Which stored hashes a step will read, so that a store can fetch exactly those, in one query,
//! before calling it. Each list has at most about `2·log₂(size)` indexes.

use crate::tree::{Hash, Hashes, consistency_proof, inclusion_proof, root as tree_root};
use crate::{Leaf, LedgerError};
use std::cell::RefCell;

/// Answers every read with zeros and remembers what was asked: the crate's own code decides what is
/// needed, so the list cannot disagree with the step.
#[derive(Default)]
struct Asked(RefCell<Vec<u64>>);

impl Hashes for Asked {
    fn get(&self, index: u64) -> Option<Hash> {
        self.0.borrow_mut().push(index);
        Some([0; 32])
    }
}

/// For [`crate::tree::append`] onto a tree of `size` leaves.
///
/// # Errors
/// [`LedgerError::OutOfRange`].
pub fn append(size: u64) -> Result<Vec<u64>, LedgerError> {
    let asked = Asked::default();
    crate::tree::append(size, Leaf([0; 32]), &asked)?;
    Ok(asked.0.into_inner())
}

/// For [`crate::tree::root`]; also enough to append any number of leaves after `size`.
///
/// # Errors
/// [`LedgerError::OutOfRange`].
pub fn root(size: u64) -> Result<Vec<u64>, LedgerError> {
    let asked = Asked::default();
    tree_root(size, &asked)?;
    Ok(asked.0.into_inner())
}

/// For [`crate::tree::inclusion_proof`].
///
/// # Errors
/// [`LedgerError::OutOfRange`].
pub fn inclusion(size: u64, index: u64) -> Result<Vec<u64>, LedgerError> {
    let asked = Asked::default();
    inclusion_proof(size, index, &asked)?;
    Ok(asked.0.into_inner())
}

/// For [`crate::tree::consistency_proof`].
///
/// # Errors
/// [`LedgerError::OutOfRange`].
pub fn consistency(old: u64, new: u64) -> Result<Vec<u64>, LedgerError> {
    let asked = Asked::default();
    consistency_proof(old, new, &asked)?;
    Ok(asked.0.into_inner())
}

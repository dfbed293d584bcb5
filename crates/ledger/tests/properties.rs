//! Whatever the sizes: honest proofs hold, tampered ones don't, and the lists in `needs` are enough.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ledger::{Commitment, Hash, Leaf, needs, tree, verify};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn leaf(n: u64) -> Leaf {
    let part = Commitment::new(&[3; 32], &n.to_be_bytes());
    Leaf::new(&part, &part)
}

fn grown(size: u64) -> BTreeMap<u64, Hash> {
    let mut hashes = BTreeMap::new();
    for n in 0..size {
        let new = tree::append(n, leaf(n), &hashes).unwrap();
        hashes.extend(new);
    }
    hashes
}

/// Only the hashes that `needs` names.
fn only(hashes: &BTreeMap<u64, Hash>, needed: &[u64]) -> BTreeMap<u64, Hash> {
    needed.iter().map(|i| (*i, hashes[i])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn inclusion_holds_and_tampering_shows(size in 1_u64..300, pick: u64, bit: usize) {
        let (hashes, index) = (grown(size), pick % size);
        let root = tree::root(size, &only(&hashes, &needs::root(size).unwrap())).unwrap();
        let needed = needs::inclusion(size, index).unwrap();
        let proof = tree::inclusion_proof(size, index, &only(&hashes, &needed)).unwrap();
        verify::inclusion(&proof, size, root, index, leaf(index)).unwrap();

        prop_assert!(verify::inclusion(&proof, size, root, index, leaf(index + 1)).is_err());
        prop_assert!(verify::inclusion(&proof, size, root, size, leaf(index)).is_err());
        let mut long = proof.clone();
        long.push([0; 32]);
        prop_assert!(verify::inclusion(&long, size, root, index, leaf(index)).is_err());
        if size > 1 {
            let other = (index + 1) % size;
            prop_assert!(verify::inclusion(&proof, size, root, other, leaf(index)).is_err());
            let mut bad = proof.clone();
            let at = bit % (bad.len() * 256);
            bad[at / 256][at % 256 / 8] ^= 1 << (at % 8);
            prop_assert!(verify::inclusion(&bad, size, root, index, leaf(index)).is_err());
            prop_assert!(verify::inclusion(&proof[1..], size, root, index, leaf(index)).is_err());
        }
    }

    #[test]
    fn consistency_holds_and_tampering_shows(a in 1_u64..300, b in 1_u64..300, bit: usize) {
        let (old, new) = (a.min(b), a.max(b));
        let hashes = grown(new);
        let (old_root, new_root) =
            (tree::root(old, &hashes).unwrap(), tree::root(new, &hashes).unwrap());
        let needed = needs::consistency(old, new).unwrap();
        let proof = tree::consistency_proof(old, new, &only(&hashes, &needed)).unwrap();
        verify::consistency(&proof, old, old_root, new, new_root).unwrap();

        let mut wrong = old_root;
        wrong[bit % 32] ^= 1;
        prop_assert!(verify::consistency(&proof, old, wrong, new, new_root).is_err());
        prop_assert!(verify::consistency(&proof, new + 1, old_root, new, new_root).is_err());
        if !proof.is_empty() {
            let mut bad = proof.clone();
            let at = bit % (bad.len() * 256);
            bad[at / 256][at % 256 / 8] ^= 1 << (at % 8);
            prop_assert!(verify::consistency(&bad, old, old_root, new, new_root).is_err());
        }
    }

    #[test]
    fn appending_needs_only_the_frontier(size in 0_u64..200, more in 0_u64..200) {
        let full = grown(size + more);
        let mut hashes = only(&full, &needs::root(size).unwrap());
        for n in size..size + more {
            for index in needs::append(n).unwrap() {
                prop_assert!(hashes.contains_key(&index));
            }
            let new = tree::append(n, leaf(n), &hashes).unwrap();
            hashes.extend(new);
        }
        prop_assert_eq!(
            tree::root(size + more, &hashes).unwrap(),
            tree::root(size + more, &full).unwrap()
        );
    }

    #[test]
    fn a_rewritten_past_is_inconsistent(size in 2_u64..200, pick: u64) {
        let (honest, at) = (grown(size), pick % (size - 1));
        let mut forged = BTreeMap::new();
        for n in 0..size {
            let new = tree::append(n, leaf(if n == at { 1_000 } else { n }), &forged).unwrap();
            forged.extend(new);
        }
        let signed = tree::root(size - 1, &honest).unwrap();
        let proof = tree::consistency_proof(size - 1, size, &forged).unwrap();
        let root = tree::root(size, &forged).unwrap();
        prop_assert!(verify::consistency(&proof, size - 1, signed, size, root).is_err());
    }
}

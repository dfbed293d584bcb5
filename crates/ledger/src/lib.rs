//! The append-only transparency log: a record that an outsider can check without trusting us.
//!
//! * **Leaves** are exactly 32 bytes and tell nothing by themselves: see [`Leaf`].
//! * **The tree** is RFC 6962 (SHA-256; leaf hash `SHA-256(0x00 ‖ leaf)`, node hash
//!   `SHA-256(0x01 ‖ left ‖ right)`), laid out as in Crosby and Wallach, *Efficient Data Structures
//!   for Tamper-Evident Logging*, section 3.3, through the `tlog_tiles` crate.
//! * **Checkpoints** are [C2SP tlog-checkpoints](https://c2sp.org/tlog-checkpoint) in
//!   [C2SP signed notes](https://c2sp.org/signed-note) (Ed25519), through the `signed_note` crate.
//!
//! This room does no IO and reads no clock or random source. Whoever keeps the hashes (the `store`
//! keeps them in SQL) asks [`needs`] which stored hashes a step reads, fetches those however it
//! likes, and hands them over as [`Hashes`]. [`verify`] needs nothing but a proof and a public key,
//! so a checker can be built from this crate alone.
//!
//! ```
//! use ledger::{Checkpoint, Commitment, Leaf, SigningKey, tree, verify};
//! use std::collections::BTreeMap;
//!
//! # fn main() -> Result<(), ledger::LedgerError> {
//! let mut hashes = BTreeMap::new();
//! let leaf = Leaf::new(
//!     &Commitment::new(&[7; 32], b"header"),
//!     &Commitment::new(&[9; 32], b"payload"),
//! );
//! for (index, hash) in tree::append(0, leaf, &hashes)? {
//!     hashes.insert(index, hash);
//! }
//! let key = SigningKey::from_seed("example.org/log", [1; 32])?;
//! let root = tree::root(1, &hashes)?;
//! let note = Checkpoint { origin: "example.org/log".into(), size: 1, root }.sign(&key)?;
//!
//! let seen = Checkpoint::open(&note, &key.verifier_key())?;
//! let proof = tree::inclusion_proof(1, 0, &hashes)?;
//! verify::inclusion(&proof, seen.size, seen.root, 0, leaf)?;
//! # Ok(()) }
//! ```

pub mod bundle;
mod checkpoint;
mod cosign;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod leaf;
pub mod needs;
pub mod note;
mod proof;
pub mod tree;
pub mod verify;
pub mod witness;

pub use checkpoint::{Checkpoint, SigningKey, VerifierKey};
pub use cosign::{Signed, WitnessKey, WitnessSigner};
pub use leaf::{Commitment, Leaf};
pub use proof::{EntryProof, MAX_PROOF_BYTES};
pub use tree::{Hash, Hashes};

/// Why the log refused. Never holds anything that was logged.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A stored hash that the step reads was not supplied.
    #[error("stored hash {index} of the log is missing; restore it from a backup or rebuild the hashes from the leaves")]
    MissingHash {
        /// Position in the dense order of [`tree::stored_index`].
        index: u64,
    },
    /// A position or size outside the tree.
    #[error("{what} is outside the tree: {value}, and the limit is {limit}")]
    OutOfRange {
        /// Which argument.
        what: &'static str,
        /// What was given.
        value: u64,
        /// The largest value allowed.
        limit: u64,
    },
    /// A proof that does not prove what it is said to prove.
    #[error("the proof does not lead from what it is said to prove to the signed root")]
    InvalidProof,
    /// A key name or origin that C2SP signed notes cannot carry.
    #[error("a log's origin must be 1 to {limit} bytes without spaces, control characters or '+'")]
    InvalidOrigin {
        /// Longest origin, in bytes.
        limit: usize,
    },
    /// A seed or verifier key that is not an Ed25519 key in the expected form.
    #[error("the key is not a valid Ed25519 {0}")]
    InvalidKey(&'static str),
    /// A note that is not a well-formed checkpoint.
    #[error("the checkpoint is malformed: {0}")]
    MalformedCheckpoint(&'static str),
    /// A file that is not a well-formed proof of one of our entries.
    #[error("this is not the proof of an entry: {0}")]
    MalformedProof(&'static str),
    /// A checkpoint that the expected key did not sign.
    #[error("it is not signed by the expected key")]
    BadSignature,
    /// A text that is no signed note.
    #[error("the signed note is malformed: {0}")]
    MalformedNote(&'static str),
    /// A request to a witness that is not one.
    #[error("the request is malformed: {0}")]
    MalformedRequest(&'static str),
    /// Signing failed inside the cryptographic provider.
    #[error("the note could not be signed")]
    CannotSign,
}

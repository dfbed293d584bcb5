//! Signed statements of how long the log is and what its root is.

use crate::{LedgerError, note, tree::Hash};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use signed_note::{Signer, StandardVerifier, Verifier};
use std::fmt;
use zeroize::Zeroizing;

/// Longest origin (which is also the key's name), in bytes.
pub const MAX_ORIGIN_BYTES: usize = 200;
/// Signature algorithm byte of Ed25519 in C2SP signed notes.
const ALGORITHM_ED25519: u8 = 1;

/// One state of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a schema-less URL-like name that belongs to one key for ever.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root of those leaves.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint as a C2SP signed note (UTF-8 text).
    ///
    /// # Errors
    /// [`LedgerError::InvalidOrigin`]; [`LedgerError::BadSignature`] if the key belongs to another
    /// origin; [`LedgerError::CannotSign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, LedgerError> {
        valid_origin(&self.origin)?;
        if key.origin() != self.origin {
            return Err(LedgerError::BadSignature);
        }
        let text = tlog_tiles::Checkpoint::new(&self.origin, self.size, tlog_tiles::Hash(self.root), "")
            .map_err(|_| LedgerError::MalformedCheckpoint("it cannot be written down"))?
            .to_bytes();
        note::sign(std::str::from_utf8(&text).map_err(|_| LedgerError::MalformedNote("it is not UTF-8"))?, key)
    }

    /// Reads a signed note: the checkpoint, if `key` signed it and it is for the key's own origin.
    /// Signatures by other keys (witnesses) may stand beside ours and are not looked at; so are
    /// extension lines.
    ///
    /// # Errors
    /// [`LedgerError::BadSignature`]; [`LedgerError::MalformedNote`]; [`LedgerError::MalformedCheckpoint`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, LedgerError> {
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note::open(note, key)?.as_bytes())
            .map_err(|_| LedgerError::MalformedCheckpoint("its origin, size and root do not parse"))?;
        if checkpoint.origin() != key.verifier.name() {
            return Err(LedgerError::MalformedCheckpoint("it is for another log's origin"));
        }
        Ok(Self { origin: checkpoint.origin().to_owned(), size: checkpoint.size(), root: checkpoint.hash().0 })
    }
}

/// A private Ed25519 key, bound to the name of what it signs (for the log, its origin). The provider wipes it when dropped.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SigningKey {
    /// The key made from 32 secret random bytes; this copy of the seed is wiped.
    ///
    /// # Errors
    /// [`LedgerError::InvalidOrigin`]; [`LedgerError::InvalidKey`].
    pub fn from_seed(origin: &str, seed: [u8; 32]) -> Result<Self, LedgerError> {
        let seed = Zeroizing::new(seed);
        valid_origin(origin)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| LedgerError::InvalidKey("seed"))?;
        let encoded = [&[ALGORITHM_ED25519], pair.public_key().as_ref()].concat();
        let verifier =
            VerifierKey::parse(&format!("{origin}+{:08x}+{}", signed_note::key_id(origin, &encoded), BASE64_STANDARD.encode(&encoded)))?;
        Ok(Self { pair, verifier })
    }

    /// The log's origin, which is also the key's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.verifier.origin()
    }

    /// The public key to hand to outsiders.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.verifier.clone()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Signer for SigningKey {
    fn name(&self) -> &str {
        self.verifier.origin()
    }
    fn key_id(&self) -> u32 {
        self.verifier.verifier.key_id()
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

/// The log's public key, in C2SP text form `origin+hash+base64`.
#[derive(Clone)]
pub struct VerifierKey {
    text: String,
    verifier: StandardVerifier,
}

impl VerifierKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`LedgerError::InvalidKey`] if the form, the key hash or the key itself is wrong.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let verifier = StandardVerifier::new(text).map_err(|_| LedgerError::InvalidKey("verifier key (origin+hash+base64)"))?;
        Ok(Self { text: text.to_owned(), verifier })
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    pub(crate) fn verifier(&self) -> &StandardVerifier {
        &self.verifier
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({})", self.text)
    }
}

/// C2SP: not empty, no Unicode space, no plus; ours: bounded, no control characters.
pub(crate) fn valid_origin(origin: &str) -> Result<(), LedgerError> {
    let printable = !origin.chars().any(char::is_control);
    if signed_note::is_key_name_valid(origin) && printable && origin.len() <= MAX_ORIGIN_BYTES {
        Ok(())
    } else {
        Err(LedgerError::InvalidOrigin { limit: MAX_ORIGIN_BYTES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signed_note::Note;

    const ORIGIN: &str = "example.org/countersign";

    fn key() -> SigningKey {
        SigningKey::from_seed(ORIGIN, [42; 32]).unwrap()
    }

    fn note() -> String {
        Checkpoint { origin: ORIGIN.into(), size: 3, root: [5; 32] }.sign(&key()).unwrap()
    }

    /// The text is the one the C2SP pages describe: three lines, an empty one, a signature line.
    #[test]
    fn the_note_has_the_published_form() {
        let note = note();
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[..4], [ORIGIN, "3", "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=", ""]);
        assert!(lines[4].starts_with("\u{2014} example.org/countersign "));
        assert_eq!(lines.len(), 5);
        let opened = Checkpoint::open(&note, &key().verifier_key()).unwrap();
        assert_eq!(opened, Checkpoint { origin: ORIGIN.into(), size: 3, root: [5; 32] });
    }

    /// RFC 8032, section 7.1, test 1: the seed and its public key.
    #[test]
    fn the_public_key_is_ed25519s() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let key = SigningKey::from_seed(ORIGIN, seed.unwrap().try_into().unwrap()).unwrap();
        let text = key.verifier_key().to_string();
        let public = BASE64_STANDARD.decode(text.splitn(3, '+').nth(2).unwrap()).unwrap();
        assert_eq!(hex::encode(public), "01d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    }

    /// The verifier key published with the signed-note format's reference implementation.
    #[test]
    fn a_published_verifier_key_parses() {
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = VerifierKey::parse(text).unwrap();
        assert_eq!((key.origin(), key.to_string().as_str()), ("PeterNeumann", text));
        assert!(VerifierKey::parse(&text.replace("c74f20a3", "c74f20a4")).is_err());
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let (note, key) = (note(), key().verifier_key());
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let opened = String::from_utf8(bytes).ok().map(|n| Checkpoint::open(&n, &key));
            assert!(!matches!(opened, Some(Ok(_))), "byte {at}");
        }
    }

    #[test]
    fn another_key_or_origin_is_refused() {
        let other = SigningKey::from_seed(ORIGIN, [43; 32]).unwrap();
        assert!(matches!(Checkpoint::open(&note(), &other.verifier_key()), Err(LedgerError::BadSignature)));
        let elsewhere = Checkpoint { origin: "example.org/else".into(), size: 0, root: [0; 32] };
        assert!(elsewhere.sign(&key()).is_err());
        // A note that our key signed for something else than its own log.
        let text = tlog_tiles::Checkpoint::new("x", 1, tlog_tiles::Hash([0; 32]), "").unwrap();
        let mut note = Note::new(&text.to_bytes(), &[]).unwrap();
        note.add_sigs(&[&key()]).unwrap();
        let note = String::from_utf8(note.to_bytes()).unwrap();
        assert!(matches!(Checkpoint::open(&note, &key().verifier_key()), Err(LedgerError::MalformedCheckpoint(_))));
    }

    #[test]
    fn a_witness_may_sign_beside_us() {
        let witness = SigningKey::from_seed("witness.example", [1; 32]).unwrap();
        let mut both = Note::from_bytes(note().as_bytes()).unwrap();
        both.add_sigs(&[&witness]).unwrap();
        let both = String::from_utf8(both.to_bytes()).unwrap();
        assert_eq!(Checkpoint::open(&both, &key().verifier_key()).unwrap().size, 3);
    }

    #[test]
    fn names_are_bounded() {
        for bad in ["", "a b", "a+b", "a\u{7}", &"x".repeat(MAX_ORIGIN_BYTES + 1)] {
            assert!(SigningKey::from_seed(bad, [0; 32]).is_err(), "{bad:?}");
        }
        assert!(SigningKey::from_seed(&"x".repeat(MAX_ORIGIN_BYTES), [0; 32]).is_ok());
        assert!(Checkpoint::open(&"x".repeat(note::MAX_NOTE_BYTES + 1), &key().verifier_key()).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let seed = [42_u8; 32];
        let shown = format!("{:?}", key());
        assert!(!shown.contains(&hex::encode(seed)) && !shown.contains(&BASE64_STANDARD.encode(seed)));
    }
}

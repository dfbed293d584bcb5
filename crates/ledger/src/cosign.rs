//! Cosignatures of witnesses over checkpoints: [C2SP tlog-cosignature](https://c2sp.org/tlog-cosignature),
//! version 1 (Ed25519 with a time).
//!
//! A witness says: at this time, this was the largest checkpoint of this log that I have seen, and it
//! is consistent with every one that I cosigned before.

use crate::{LedgerError, checkpoint::valid_origin, note};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use signed_note::{Note, Signature};
use std::fmt;
use zeroize::Zeroizing;

/// Signature type byte of timestamped Ed25519 cosignatures.
const ALGORITHM_COSIGNATURE: u8 = 4;
/// Bytes of a time, before the signature.
const TIME_BYTES: usize = 8;

/// What a witness signs: two lines, then the checkpoint's text.
fn message(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}

/// A witness's public key, in C2SP text form `name+hash+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    id: u32,
    public: [u8; 32],
}

impl WitnessKey {
    fn new(name: &str, public: [u8; 32]) -> Result<Self, LedgerError> {
        valid_origin(name)?;
        let id = signed_note::key_id(name, &[&[ALGORITHM_COSIGNATURE], public.as_slice()].concat());
        Ok(Self { name: name.to_owned(), id, public })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`LedgerError::InvalidKey`] if the form, the type or the key hash is wrong.
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let wrong = || LedgerError::InvalidKey("witness key (name+hash+base64, signature type 4)");
        let (name, rest) = text.split_once('+').ok_or_else(wrong)?;
        let (_, encoded) = rest.split_once('+').ok_or_else(wrong)?;
        let encoded = BASE64_STANDARD.decode(encoded).map_err(|_| wrong())?;
        let (kind, public) = encoded.split_first().ok_or_else(wrong)?;
        let key = Self::new(name, public.try_into().map_err(|_| wrong())?).map_err(|_| wrong())?;
        // One spelling only: what a key says of itself is compared as text.
        if *kind == ALGORITHM_COSIGNATURE && key.to_string() == text { Ok(key) } else { Err(wrong()) }
    }

    /// The witness's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether two keys are one signer's, whatever it is called.
    #[must_use]
    pub fn same_signer(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// When this witness cosigned a checkpoint's text, in seconds since 1970, if this signature line
    /// (with or without its newline) says so.
    ///
    /// # Errors
    /// [`LedgerError::BadSignature`] if the line is another key's or does not verify.
    pub fn check(&self, text: &str, line: &str) -> Result<u64, LedgerError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let signature =
            Signature::from_bytes(line.as_bytes()).map_err(|_| LedgerError::MalformedNote("a signature line does not parse"))?;
        if !self.is_by(&signature) {
            return Err(LedgerError::BadSignature);
        }
        let (at, ed25519) = signature.signature().split_first_chunk::<TIME_BYTES>().ok_or(LedgerError::BadSignature)?;
        let at = u64::from_be_bytes(*at);
        if i64::try_from(at).is_err() {
            return Err(LedgerError::BadSignature); // the specification's bound
        }
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(message(text, at).as_bytes(), ed25519)
            .map_err(|_| LedgerError::BadSignature)?;
        Ok(at)
    }

    /// When this witness cosigned this note; `None` if it did not.
    ///
    /// # Errors
    /// [`LedgerError::BadSignature`] if a line claims to be its and does not verify.
    pub fn cosigned(&self, note: &str) -> Result<Option<u64>, LedgerError> {
        let signed = Signed::parse(note)?;
        let mut at = None;
        for line in signed.lines.iter().filter(|l| Signature::from_bytes(l.as_bytes()).is_ok_and(|s| self.is_by(&s))) {
            at = at.max(Some(self.check(&signed.text, line)?));
        }
        Ok(at)
    }

    /// Whether a signature says that this key made it.
    pub(crate) fn is_by(&self, signature: &Signature) -> bool {
        signature.name() == self.name && signature.id() == self.id
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = [&[ALGORITHM_COSIGNATURE], self.public.as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, BASE64_STANDARD.encode(encoded))
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessKey({self})")
    }
}

/// A witness's private key. It signs cosignatures and nothing else. The provider wipes it when dropped.
pub struct WitnessSigner {
    pair: Ed25519KeyPair,
    key: WitnessKey,
}

impl WitnessSigner {
    /// The key made from 32 secret random bytes; this copy of the seed is wiped.
    ///
    /// # Errors
    /// [`LedgerError::InvalidOrigin`] for a bad name; [`LedgerError::InvalidKey`].
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, LedgerError> {
        let seed = Zeroizing::new(seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| LedgerError::InvalidKey("seed"))?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| LedgerError::InvalidKey("seed"))?;
        Ok(Self { key: WitnessKey::new(name, public)?, pair })
    }

    /// The public key to hand out.
    #[must_use]
    pub fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// The cosignature line, with its newline, over a checkpoint's text at a time (seconds since 1970).
    /// Whether it deserves one is [`crate::witness::judge`]'s to say.
    ///
    /// # Errors
    /// [`LedgerError::CannotSign`].
    pub fn cosign(&self, text: &str, at: u64) -> Result<String, LedgerError> {
        let signature = self.pair.sign(message(text, at).as_bytes());
        let bytes = [at.to_be_bytes().as_slice(), signature.as_ref()].concat();
        let line = Signature::new(self.key.name.clone(), self.key.id, bytes).map_err(|_| LedgerError::CannotSign)?.to_bytes();
        String::from_utf8(line).map_err(|_| LedgerError::CannotSign)
    }
}

impl fmt::Debug for WitnessSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitnessSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A signed note taken apart, its form checked and no signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The text that is signed, with its last newline.
    pub text: String,
    /// The signature lines, without newlines.
    pub lines: Vec<String>,
}

impl Signed {
    /// Takes a note apart.
    ///
    /// # Errors
    /// [`LedgerError::MalformedNote`] if it is not one, is longer than [`note::MAX_NOTE_BYTES`], or is not
    /// spelt as its parts are written.
    pub fn parse(note: &str) -> Result<Self, LedgerError> {
        if note.len() > note::MAX_NOTE_BYTES {
            return Err(LedgerError::MalformedNote("it is longer than 65536 bytes"));
        }
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| LedgerError::MalformedNote("it is not a signed note"))?;
        if parsed.to_bytes() != note.as_bytes() {
            return Err(LedgerError::MalformedNote("it is not spelt as its parts are written"));
        }
        let text = String::from_utf8(parsed.text().to_vec()).map_err(|_| LedgerError::MalformedNote("it is not UTF-8"))?;
        let lines = note[text.len() + 1..].lines().map(str::to_owned).collect();
        Ok(Self { text, lines })
    }

    /// The note again.
    #[must_use]
    pub fn to_note(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for line in &self.lines {
            note.push_str(line);
            note.push('\n');
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's page, <https://c2sp.org/tlog-cosignature>: its key hash is
    /// not reproduced there, so only the form can be checked.
    const PAGE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    fn signer() -> WitnessSigner {
        WitnessSigner::from_seed("witness.example.com/w1", [7; 32]).unwrap()
    }

    #[test]
    fn the_published_form_is_read_and_its_time_is_where_the_page_says() {
        let signed = Signed::parse(PAGE).unwrap();
        assert_eq!((signed.lines.len(), signed.to_note().as_str()), (2, PAGE));
        let signature = Signature::from_bytes(signed.lines[1].as_bytes()).unwrap();
        let (at, rest) = signature.signature().split_first_chunk::<8>().unwrap();
        assert_eq!((u64::from_be_bytes(*at), rest.len()), (1_679_315_147, 64), "the page's own time line");
        assert_eq!(message(&signed.text, 1_679_315_147), format!("cosignature/v1\ntime 1679315147\n{}", signed.text));
    }

    #[test]
    fn a_cosignature_is_read_back_under_its_own_key_and_no_other() {
        let (signer, text) = (signer(), Signed::parse(PAGE).unwrap().text);
        let line = signer.cosign(&text, 1_790_000_000).unwrap();
        assert_eq!(signer.key().check(&text, &line).unwrap(), 1_790_000_000);
        let note = format!("{PAGE}{line}");
        assert_eq!(signer.key().cosigned(&note).unwrap(), Some(1_790_000_000));
        assert_eq!(signer.key().cosigned(PAGE).unwrap(), None);
        assert!(signer.key().check(&text.replace("20852163", "20852164"), &line).is_err());
        let other = WitnessSigner::from_seed("witness.example.com/w1", [8; 32]).unwrap();
        assert!(matches!(other.key().check(&text, &line), Err(LedgerError::BadSignature)));
        assert_eq!(other.key().cosigned(&note).unwrap(), None);
        for at in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            let checked = String::from_utf8(bytes).ok().map(|l| signer.key().check(&text, &l));
            assert!(!matches!(checked, Some(Ok(_))), "byte {at}");
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        let text = signer().key().to_string();
        assert_eq!(&WitnessKey::parse(&text).unwrap(), signer().key());
        let hash = text.split('+').nth(1).unwrap();
        for wrong in [text.replace(hash, "00000000"), text.to_uppercase(), format!("{text} "), text.replace('=', "")] {
            assert!(WitnessKey::parse(&wrong).is_err() || wrong == text, "{wrong}");
        }
        // A log's key is no witness's.
        let log = crate::SigningKey::from_seed("witness.example.com/w1", [7; 32]).unwrap().verifier_key().to_string();
        assert!(WitnessKey::parse(&log).is_err());
        assert!(!format!("{:?}", signer()).contains(&hex::encode([7; 32])));
    }
}

//! Proof that one entry is in the log, in one text file that stands alone: a
//! [C2SP tlog-proof](https://c2sp.org/tlog-proof).
//!
//! Its extra data opens the leaf: `salt (32 bytes) ‖ payload's commitment (32) ‖ header`, where the header is
//! what its salted commitment covers ([`Commitment`]). So whoever holds the file and the log's public key sees
//! when what was recorded, under which clauses, and that it is in the log; and nothing of the payload.

use crate::{Checkpoint, Commitment, Hash, Leaf, LedgerError, VerifierKey, note::MAX_NOTE_BYTES, verify};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::fmt::Write as _;

/// First line of the file.
const MAGIC: &str = "c2sp.org/tlog-proof@v1";
/// Longest header, in bytes.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest file, in bytes.
pub const MAX_PROOF_BYTES: usize = MAX_NOTE_BYTES + 2 * MAX_HEADER_BYTES + 16 * 1024;
/// No honest path is longer.
const MAX_HASHES: usize = 64;

/// Proof that an entry is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// The salt of the commitment to the header.
    pub salt: [u8; 32],
    /// The commitment to the payload.
    pub payload: Commitment,
    /// What the commitment to the header covers.
    pub header: Vec<u8>,
    /// The leaf's index, from 0.
    pub index: u64,
    /// RFC 6962 audit path, leaf upwards.
    pub path: Vec<Hash>,
    /// The checkpoint that it leads to: a signed note.
    pub checkpoint: String,
}

impl EntryProof {
    /// The leaf that the opening makes.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        Leaf::new(&Commitment::new(&self.salt, &self.header), &self.payload)
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let extra = [self.salt.as_slice(), &self.payload.0, &self.header].concat();
        let mut out = format!("{MAGIC}\nextra {}\nindex {}\n", BASE64_STANDARD.encode(extra), self.index);
        for hash in &self.path {
            let _ = writeln!(out, "{}", BASE64_STANDARD.encode(hash));
        }
        let _ = write!(out, "\n{}", self.checkpoint);
        out
    }

    /// Reads a file. It proves nothing until it is checked.
    ///
    /// # Errors
    /// [`LedgerError::MalformedProof`].
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let bad = LedgerError::MalformedProof;
        if text.len() > MAX_PROOF_BYTES {
            return Err(bad("it is too long to be one"));
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or(bad("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(MAGIC) {
            return Err(bad("its first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = lines.next().and_then(|l| l.strip_prefix("extra ")).ok_or(bad("it has no extra line that opens its leaf"))?;
        let extra = BASE64_STANDARD.decode(extra).map_err(|_| bad("its extra line is not base64"))?;
        let opened = extra.split_first_chunk::<32>().and_then(|(salt, rest)| Some((salt, rest.split_first_chunk::<32>()?)));
        let (salt, (payload, header)) = opened.ok_or(bad("its extra line is too short"))?;
        if header.len() > MAX_HEADER_BYTES {
            return Err(bad("its header is longer than 16384 bytes"));
        }
        let digits = lines.next().and_then(|l| l.strip_prefix("index ")).ok_or(bad("it has no index"))?;
        let index: u64 = digits.parse().map_err(|_| bad("its index is not a number"))?;
        if index.to_string() != digits {
            return Err(bad("its index is not a number"));
        }
        let mut path = vec![];
        for line in lines {
            let hash =
                BASE64_STANDARD.decode(line).ok().and_then(|h| Hash::try_from(h).ok()).ok_or(bad("a line of its path is not a hash"))?;
            path.push(hash);
            if path.len() > MAX_HASHES {
                return Err(bad("its path is longer than any tree is high"));
            }
        }
        Ok(Self { salt: *salt, payload: Commitment(*payload), header: header.to_vec(), index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Checks that the leaf is in the log that `key` signed, and returns the checkpoint.
    ///
    /// # Errors
    /// [`LedgerError::BadSignature`], [`LedgerError::MalformedNote`], [`LedgerError::MalformedCheckpoint`] for the
    /// checkpoint; [`LedgerError::InvalidProof`], [`LedgerError::OutOfRange`] for the path.
    pub fn check(&self, key: &VerifierKey) -> Result<Checkpoint, LedgerError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        verify::inclusion(&self.path, checkpoint.size, checkpoint.root, self.index, self.leaf())?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SigningKey, tree};
    use std::collections::BTreeMap;

    fn key() -> SigningKey {
        SigningKey::from_seed("example.org/log", [1; 32]).unwrap()
    }

    /// A log of `size` leaves and the proof of one of them.
    fn proof(size: u8, index: u8) -> EntryProof {
        let mut hashes = BTreeMap::new();
        let parts = |n: u8| ([n; 32], Commitment::new(&[n ^ 0x55; 32], b"payload"), vec![n; 40]);
        for n in 0..size {
            let (salt, payload, header) = parts(n);
            let leaf = Leaf::new(&Commitment::new(&salt, &header), &payload);
            let new = tree::append(n.into(), leaf, &hashes).unwrap();
            hashes.extend(new);
        }
        let root = tree::root(size.into(), &hashes).unwrap();
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size: size.into(), root }.sign(&key()).unwrap();
        let (salt, payload, header) = parts(index);
        let path = tree::inclusion_proof(size.into(), index.into(), &hashes).unwrap();
        EntryProof { salt, payload, header, index: index.into(), path, checkpoint }
    }

    #[test]
    fn every_leaf_of_every_size_is_proved_and_read_back() {
        for size in 1..20 {
            for index in 0..size {
                let made = proof(size, index);
                let read = EntryProof::parse(&made.to_text()).unwrap();
                assert_eq!(read, made);
                assert_eq!(read.check(&key().verifier_key()).unwrap().size, u64::from(size));
            }
        }
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let text = proof(13, 6).to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[2], lines.len()), ("c2sp.org/tlog-proof@v1", "index 6", 13));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let checked = EntryProof::parse(&changed).and_then(|p| p.check(&key().verifier_key()));
            assert!(checked.is_err(), "byte {at}: {changed}");
        }
    }

    #[test]
    fn what_is_no_proof_is_refused_with_a_reason() {
        let text = proof(3, 1).to_text();
        let other = SigningKey::from_seed("example.org/log", [2; 32]).unwrap();
        assert!(matches!(EntryProof::parse(&text).unwrap().check(&other.verifier_key()), Err(LedgerError::BadSignature)));
        for wrong in [
            String::new(),
            "\n\n".into(),
            text.replace("@v1", "@v2"),
            text.replace("index 1", "index 01"),
            text.replace("index 1", "index -1"),
            text.replace("extra ", "extra !"),
            text.replacen("extra ", "ex ", 1),
            text.replacen("\n\n", "\n", 1),
            text.replacen("\n\n", &format!("{}\n\n", format!("\n{}", BASE64_STANDARD.encode([0; 32])).repeat(70)), 1),
            "x".repeat(MAX_PROOF_BYTES + 1),
        ] {
            assert!(matches!(EntryProof::parse(&wrong), Err(LedgerError::MalformedProof(_))), "{wrong:.80}");
        }
    }
}

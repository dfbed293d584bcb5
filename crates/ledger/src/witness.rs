//! What a witness is asked and how it judges: [C2SP tlog-witness](https://c2sp.org/tlog-witness), without
//! the HTTP around it.

use crate::{Checkpoint, Hash, LedgerError, Signed, VerifierKey, note, tree, verify};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::collections::BTreeMap;

/// Most lines of a consistency proof, by the specification.
pub const MAX_PROOF_LINES: usize = 63;
/// Longest request, in bytes: a note, a proof, and the line of the old size.
pub const MAX_REQUEST_BYTES: usize = note::MAX_NOTE_BYTES + MAX_PROOF_LINES * 45 + 64;

/// A request to cosign a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the last checkpoint that the witness cosigned, as the asker knows it; 0 for none.
    pub old: u64,
    /// RFC 6962 consistency proof from `old` to the checkpoint; empty if `old` is 0.
    pub proof: Vec<Hash>,
    /// The checkpoint, as a signed note.
    pub note: String,
}

impl AddCheckpoint {
    /// The request's body.
    #[must_use]
    pub fn to_body(&self) -> String {
        let mut body = format!("old {}\n", self.old);
        for hash in &self.proof {
            body.push_str(&BASE64_STANDARD.encode(hash));
            body.push('\n');
        }
        body + "\n" + &self.note
    }

    /// Reads a request's body.
    ///
    /// # Errors
    /// [`LedgerError::MalformedRequest`].
    pub fn parse(body: &str) -> Result<Self, LedgerError> {
        let wrong = LedgerError::MalformedRequest;
        if body.len() > MAX_REQUEST_BYTES {
            return Err(wrong("it is longer than a note and a proof can be"));
        }
        let (head, note) = body.split_once("\n\n").ok_or(wrong("no empty line stands before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|l| l.strip_prefix("old ")).ok_or(wrong("its first line is not 'old' and a size"))?;
        let size: u64 = old.parse().map_err(|_| wrong("the old size is not a number"))?;
        if size.to_string() != old {
            return Err(wrong("the old size is not written as a plain decimal"));
        }
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_LINES {
                return Err(wrong("the proof has more than 63 lines"));
            }
            let hash = BASE64_STANDARD.decode(line).map_err(|_| wrong("a line of the proof is not base64"))?;
            proof.push(hash.try_into().map_err(|_| wrong("a line of the proof is not 32 bytes"))?);
        }
        Ok(Self { old: size, proof, note: note.to_owned() })
    }
}

/// What a witness knows of the logs that it watches.
#[derive(Clone, Debug, Default)]
pub struct Known {
    logs: BTreeMap<String, (VerifierKey, Option<Checkpoint>)>,
}

impl Known {
    /// Watches a log from now on, with the last checkpoint cosigned for it.
    pub fn watch(&mut self, key: VerifierKey, last: Option<Checkpoint>) {
        self.logs.insert(key.origin().to_owned(), (key, last));
    }

    /// The last checkpoint cosigned for a log that is watched.
    #[must_use]
    pub fn last(&self, origin: &str) -> Option<&Checkpoint> {
        self.logs.get(origin)?.1.as_ref()
    }

    /// The origins watched.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.logs.keys().map(String::as_str)
    }

    /// What has been cosigned counts as the last from now on. It must be durable before.
    pub fn cosigned(&mut self, checkpoint: Checkpoint) {
        if let Some((_, last)) = self.logs.get_mut(&checkpoint.origin) {
            *last = Some(checkpoint);
        }
    }
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is consistent with everything cosigned before: remember it, then cosign this text.
    Cosign {
        /// The checkpoint, to be remembered first.
        checkpoint: Checkpoint,
        /// The text to sign.
        text: String,
    },
    /// The request is malformed, or its old size is above the checkpoint's (400).
    BadRequest(&'static str),
    /// The log's key did not sign it (403).
    Forbidden,
    /// The log is not watched (404).
    UnknownLog,
    /// The old size is not the last one cosigned, or another root was cosigned for that size (409).
    Conflict {
        /// Size of the last checkpoint cosigned.
        size: u64,
    },
    /// The proof does not lead from the last checkpoint to this one (422).
    NotConsistent,
}

/// Judges a request by the specification's rules, in its order. Nothing is remembered here.
#[must_use]
pub fn judge(known: &Known, request: &AddCheckpoint) -> Verdict {
    let Ok(signed) = Signed::parse(&request.note) else { return Verdict::BadRequest("the checkpoint is not a signed note") };
    let origin = signed.text.lines().next().unwrap_or_default();
    let Some((key, last)) = known.logs.get(origin) else { return Verdict::UnknownLog };
    let checkpoint = match Checkpoint::open(&request.note, key) {
        Ok(checkpoint) => checkpoint,
        Err(LedgerError::BadSignature) => return Verdict::Forbidden,
        Err(_) => return Verdict::BadRequest("the checkpoint does not parse"),
    };
    if request.old > checkpoint.size {
        return Verdict::BadRequest("the old size is above the checkpoint's size");
    }
    let (size, root) = last.as_ref().map_or((0, None), |l| (l.size, Some(l.root)));
    if request.old != size || (checkpoint.size == size && root.is_some_and(|root| root != checkpoint.root)) {
        return Verdict::Conflict { size };
    }
    let consistent = match root {
        // Of nothing, everything is a continuation, and an empty tree has one root.
        _ if size == 0 => {
            request.proof.is_empty() && (checkpoint.size > 0 || tree::root(0, &BTreeMap::new()).is_ok_and(|r| r == checkpoint.root))
        }
        Some(root) => verify::consistency(&request.proof, size, root, checkpoint.size, checkpoint.root).is_ok(),
        None => false,
    };
    if consistent { Verdict::Cosign { checkpoint, text: signed.text } } else { Verdict::NotConsistent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Commitment, Leaf, SigningKey};

    const ORIGIN: &str = "example.org/log";

    fn key() -> SigningKey {
        SigningKey::from_seed(ORIGIN, [1; 32]).unwrap()
    }

    fn grown(size: u64, branch: u8) -> BTreeMap<u64, Hash> {
        let mut hashes = BTreeMap::new();
        for n in 0..size {
            let part = Commitment::new(&[if n < 5 { 0 } else { branch }; 32], &n.to_be_bytes());
            let new = tree::append(n, Leaf::new(&part, &part), &hashes).unwrap();
            hashes.extend(new);
        }
        hashes
    }

    fn ask(old: u64, size: u64, branch: u8) -> AddCheckpoint {
        let hashes = grown(size, branch);
        let note = Checkpoint { origin: ORIGIN.into(), size, root: tree::root(size, &hashes).unwrap() }.sign(&key()).unwrap();
        let proof = if old == 0 || old > size { vec![] } else { tree::consistency_proof(old, size, &hashes).unwrap() };
        AddCheckpoint { old, proof, note }
    }

    fn step(known: &mut Known, request: &AddCheckpoint) -> Verdict {
        let verdict = judge(known, request);
        if let Verdict::Cosign { checkpoint, .. } = &verdict {
            known.cosigned(checkpoint.clone());
        }
        verdict
    }

    #[test]
    fn each_answer_of_the_specification() {
        let mut known = Known::default();
        assert_eq!(step(&mut known, &ask(0, 3, 0)), Verdict::UnknownLog);
        known.watch(key().verifier_key(), None);
        assert_eq!(step(&mut known, &ask(2, 3, 0)), Verdict::Conflict { size: 0 });
        assert!(matches!(step(&mut known, &ask(0, 3, 0)), Verdict::Cosign { .. }));
        assert_eq!(step(&mut known, &ask(0, 7, 0)), Verdict::Conflict { size: 3 });
        assert!(matches!(step(&mut known, &ask(4, 3, 0)), Verdict::BadRequest(_)));
        // The same again is cosigned again; a longer one with its proof too.
        assert!(matches!(step(&mut known, &ask(3, 3, 0)), Verdict::Cosign { .. }));
        assert!(matches!(step(&mut known, &ask(3, 7, 0)), Verdict::Cosign { .. }));
        // A rollback, a split view of the same size, and one that goes on from it.
        assert_eq!(step(&mut known, &ask(3, 5, 0)), Verdict::Conflict { size: 7 });
        assert_eq!(step(&mut known, &ask(7, 7, 9)), Verdict::Conflict { size: 7 });
        assert_eq!(step(&mut known, &ask(7, 9, 9)), Verdict::NotConsistent);
        let mut longer = ask(7, 9, 0);
        longer.proof.push([0; 32]);
        assert_eq!(step(&mut known, &longer), Verdict::NotConsistent);
        let forged = Checkpoint { origin: ORIGIN.into(), size: 9, root: [0; 32] };
        let note = forged.sign(&SigningKey::from_seed(ORIGIN, [2; 32]).unwrap()).unwrap();
        assert_eq!(step(&mut known, &AddCheckpoint { note, ..ask(7, 9, 0) }), Verdict::Forbidden);
        assert_eq!(known.last(ORIGIN).unwrap().size, 7);
        assert!(matches!(step(&mut known, &ask(7, 9, 0)), Verdict::Cosign { .. }));
    }

    #[test]
    fn nothing_may_be_claimed_of_an_empty_tree() {
        let mut known = Known::default();
        known.watch(key().verifier_key(), None);
        let note = Checkpoint { origin: ORIGIN.into(), size: 0, root: [9; 32] }.sign(&key()).unwrap();
        assert_eq!(step(&mut known, &AddCheckpoint { old: 0, proof: vec![], note }), Verdict::NotConsistent);
        assert!(matches!(step(&mut known, &ask(0, 0, 0)), Verdict::Cosign { .. }));
        assert!(matches!(step(&mut known, &ask(0, 4, 0)), Verdict::Cosign { .. }));
        let proved = AddCheckpoint { proof: vec![[0; 32]], ..ask(0, 4, 0) };
        let mut fresh = Known::default();
        fresh.watch(key().verifier_key(), None);
        assert_eq!(step(&mut fresh, &proved), Verdict::NotConsistent);
    }

    #[test]
    fn a_body_is_read_as_it_is_written_and_nothing_else_is() {
        let request = ask(3, 7, 0);
        assert!(!request.proof.is_empty());
        let body = request.to_body();
        assert_eq!(AddCheckpoint::parse(&body).unwrap(), request);
        for wrong in [
            body.replacen("old 3", "old 03", 1),
            body.replacen("old 3", "old +3", 1),
            body.replacen("old 3", "new 3", 1),
            body.replacen("old 3\n", "old 3\n!!!!\n", 1),
            body.replacen("old 3\n", "old 3\nAAAA\n", 1),
            body.replacen("old 3\n", &format!("old 3\n{}", format!("{}\n", BASE64_STANDARD.encode([0; 32])).repeat(63)), 1),
            "old 3\n".to_owned(),
            String::new(),
            "x".repeat(MAX_REQUEST_BYTES + 1),
        ] {
            assert!(AddCheckpoint::parse(&wrong).is_err(), "{}", wrong.chars().take(60).collect::<String>());
        }
    }
}

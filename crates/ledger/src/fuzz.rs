//! Hostile bytes for each of this crate's parsers (docs/FUZZING.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::{Checkpoint, SigningKey, VerifierKey, note as signed_note};

fn key() -> SigningKey {
    SigningKey::from_seed("example.org/log", [7; 32]).unwrap()
}

/// As it came, and as if our own key had signed it: a signature stops nobody who holds a key.
pub fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let verifier = key().verifier_key();
    let _ = VerifierKey::parse(text);
    let _ = Checkpoint::open(text, &verifier);
    if let Ok(opened) = signed_note::open(text, &verifier) {
        assert!(opened.ends_with('\n'));
    }
    if let Ok(ours) = signed_note::sign(text, &key()) {
        assert_eq!(signed_note::open(&ours, &verifier).unwrap(), text, "what was signed is what is read");
        if let Ok(checkpoint) = Checkpoint::open(&ours, &verifier) {
            assert_eq!(checkpoint.origin, "example.org/log");
            let again = checkpoint.sign(&key()).unwrap();
            assert_eq!(Checkpoint::open(&again, &verifier).unwrap(), checkpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes() -> Vec<Vec<u8>> {
        let checkpoint = Checkpoint { origin: "example.org/log".into(), size: 12_345, root: [9; 32] }.sign(&key()).unwrap();
        let other = signed_note::sign("a certificate\n{\"a\": 1}\n", &key()).unwrap();
        [checkpoint, other, key().verifier_key().to_string()].map(String::into_bytes).into()
    }

    #[test]
    fn notes_and_checkpoints() {
        hostile::tried("note", notes(), note, 1_000);
    }
}

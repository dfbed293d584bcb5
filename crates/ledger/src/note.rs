//! A text signed by one of the installation's keys: a [C2SP signed note](https://c2sp.org/signed-note).
//! A key signs one kind of text only, so that no text can pass for another kind.

use crate::{LedgerError, SigningKey, VerifierKey};
use signed_note::{Note, VerifierList};

/// Longest signed note that is parsed, in bytes: our lines and a hundred cosignatures.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;

/// Signs a text, which must end with a newline.
///
/// # Errors
/// [`LedgerError::MalformedNote`] if the text cannot be a note's; [`LedgerError::CannotSign`].
pub fn sign(text: &str, key: &SigningKey) -> Result<String, LedgerError> {
    let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| LedgerError::MalformedNote("its text does not fit a note"))?;
    note.add_sigs(&[key]).map_err(|_| LedgerError::CannotSign)?;
    let note = String::from_utf8(note.to_bytes()).map_err(|_| LedgerError::MalformedNote("it is not UTF-8"))?;
    if note.len() > MAX_NOTE_BYTES {
        return Err(LedgerError::MalformedNote("it is longer than 65536 bytes"));
    }
    Ok(note)
}

/// The text of a note, if `key` signed it. Signatures by others may stand beside ours and are not looked at.
///
/// # Errors
/// [`LedgerError::BadSignature`]; [`LedgerError::MalformedNote`].
pub fn open(note: &str, key: &VerifierKey) -> Result<String, LedgerError> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(LedgerError::MalformedNote("it is longer than 65536 bytes"));
    }
    let note = Note::from_bytes(note.as_bytes()).map_err(|_| LedgerError::MalformedNote("it is not a signed note"))?;
    note.verify(&VerifierList::new(vec![Box::new(key.verifier().clone())])).map_err(|_| LedgerError::BadSignature)?;
    String::from_utf8(note.text().to_vec()).map_err(|_| LedgerError::MalformedNote("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_under_its_own_key_and_no_other() {
        let key = |n| SigningKey::from_seed("example.org/certificates", [n; 32]).unwrap();
        let note = sign("hello\n{\n  \"a\": 1\n}\n", &key(1)).unwrap();
        assert_eq!(open(&note, &key(1).verifier_key()).unwrap(), "hello\n{\n  \"a\": 1\n}\n");
        assert!(matches!(open(&note, &key(2).verifier_key()), Err(LedgerError::BadSignature)));
        let renamed = SigningKey::from_seed("example.org/other", [1; 32]).unwrap();
        assert!(matches!(open(&note, &renamed.verifier_key()), Err(LedgerError::BadSignature)));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let opened = String::from_utf8(bytes).ok().map(|n| open(&n, &key(1).verifier_key()));
            assert!(!matches!(opened, Some(Ok(_))), "byte {at}");
        }
    }

    #[test]
    fn what_is_no_text_of_a_note_is_not_signed() {
        let key = SigningKey::from_seed("example.org/certificates", [1; 32]).unwrap();
        assert!(sign("no newline at its end", &key).is_err());
        assert!(sign("a bell\u{7}\n", &key).is_err());
        assert!(sign(&format!("{}\n", "x".repeat(MAX_NOTE_BYTES)), &key).is_err());
    }
}

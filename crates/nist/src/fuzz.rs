//! Hostile bytes for this crate's parser (docs/FUZZING.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::parse;

/// A file is refused with its place, or is written again as it was read; whatever its faces and text hold can be asked for.
pub fn nist(bytes: &[u8]) {
    match parse(bytes) {
        Ok(file) => {
            assert_eq!(parse(&file.to_bytes()).unwrap(), file, "written again, it reads the same");
            for face in file.faces() {
                let _ = face.map(|f| f.to_record());
            }
            for record in file.tagged(2) {
                for field in record.fields() {
                    let _ = (file.text(record, field.number()), field.subfields().map(Iterator::count).sum::<usize>());
                }
            }
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Face, Field, Header, Tagged, Transaction};

    fn seeds() -> Vec<Vec<u8>> {
        let header = Header {
            transaction_type: "FACE".into(),
            date: "20261128".into(),
            destination: "TO0000000".into(),
            origin: "FROM00000".into(),
            control_number: "TCN-1".into(),
        };
        let bare = Transaction::new(&header).unwrap();
        let mut full = bare.clone();
        full.declare_utf8().unwrap();
        let mut two = Tagged::new(2, 0).unwrap();
        two.set(Field::text(18, "Invented, Anna").unwrap()).unwrap();
        two.set(Field::items(900, &[&["a", "b"], &["c"]]).unwrap()).unwrap();
        full.push(two).unwrap();
        let face = Face {
            idc: 0,
            source: "FROM00000".into(),
            taken: "20200229".into(),
            width: 300,
            height: 400,
            compression: "JPEGB".into(),
            colour: "YCC".into(),
            picture: vec![0xFF, 0xD8, 0x1C, 0x1D, 0x1E, 0x1F, b'9', 0xFF, 0xD9],
        };
        full.push(face.to_record().unwrap()).unwrap();
        vec![bare.to_bytes(), full.to_bytes()]
    }

    #[test]
    fn files_from_outside() {
        hostile::tried("nist", seeds(), nist, hostile::CHANGES);
    }
}

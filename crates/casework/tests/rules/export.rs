//! What a gallery's owner takes out of it outside any request (D5, R3).

use crate::support::*;
use casework::{
    clause::Clause,
    export::Export,
    ids::{PersonId, ReferenceId},
    limits::{EXPORT_REFERENCES_MAX, TEXT_CHARS_MAX},
    record::GalleryId,
    testing::{AUDITOR, REGISTRAR, REQUESTER, World, desk},
};

fn export(by: PersonId, references: usize) -> Export {
    Export {
        by,
        gallery: GalleryId::Passport,
        recipient: "The successor of this system".into(),
        reasons: "It is moved.".into(),
        format: "ANSI/NIST-ITL".into(),
        references: (0..references).map(|n| ReferenceId(uuid::Uuid::from_u128(n as u128))).collect(),
    }
}

#[test]
fn d5_only_the_owner_exports_and_says_to_whom_and_why() {
    let w = World::new();
    let own = desk(GalleryId::Passport);
    let allowed = |e: &Export| e.allowed(&w.actor(e.by));
    assert_eq!(allowed(&export(own.siao, 1)), Ok(()));
    assert_eq!(allowed(&export(own.siao, EXPORT_REFERENCES_MAX)), Ok(()));
    for other in [own.leader, own.assessors[0], own.examiners[0], AUDITOR, REGISTRAR, REQUESTER] {
        let why = allowed(&export(other, 1)).unwrap_err();
        assert!(cites(&why, Clause::R3), "{why:?}");
    }
    let why = allowed(&export(desk(GalleryId::Immigration).siao, 1)).unwrap_err();
    assert_eq!(why.len(), 1, "only the gallery is another's: {why:?}");
    assert!(cites(&why, Clause::R3));
    // Everything at once.
    let empty = Export { recipient: " ".into(), reasons: String::new(), references: vec![], ..export(REQUESTER, 0) };
    assert_eq!(allowed(&empty).unwrap_err().len(), 5, "role, gallery, recipient, reasons, references");
    for edited in [
        export(own.siao, EXPORT_REFERENCES_MAX + 1),
        Export { reasons: "x".repeat(TEXT_CHARS_MAX + 1), ..export(own.siao, 1) },
        Export { recipient: "x".repeat(TEXT_CHARS_MAX + 1), ..export(own.siao, 1) },
    ] {
        let why = allowed(&edited).unwrap_err();
        assert!(why.len() == 1 && cites(&why, Clause::D5), "{why:?}");
    }
}

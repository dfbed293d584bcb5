//! Drafts, blobs, holdings and sessions.

use crate::{at, behind, files, fresh, holding, record, request};
use casework::ids::{BlobId, Digest, DraftId, LeoId, PersonId, ReferenceId};
use casework::record::{GalleryId, RetentionClass};
use jiff::Timestamp;
use store::{Commit, NewHolding, PutDraft, StoreError, Swept};

fn draft(expected: u64, bytes: &[u8], blobs: Vec<BlobId>) -> PutDraft {
    let (id, owner, leo) = (DraftId::fixed(1), PersonId::fixed(1), LeoId::fixed(1));
    PutDraft { id, owner, leo, expected, bytes: bytes.to_vec(), blobs }
}

/// After every file the sweep looks at was written.
fn later() -> Timestamp {
    Timestamp::from_second(4_000_000_000).unwrap()
}

#[tokio::test]
async fn a_stale_tab_cannot_overwrite_a_draft() {
    let (_dir, store) = fresh().await;
    let canary = b"canary-in-a-draft-7261";
    assert_eq!(store.put_draft(draft(0, canary, vec![]), at(0)).await.unwrap(), 1);
    assert_eq!(store.put_draft(draft(1, b"second", vec![]), at(5)).await.unwrap(), 2);
    for stale in [0, 1, 3] {
        let refused = store.put_draft(draft(stale, b"lost", vec![]), at(6)).await;
        assert!(matches!(refused, Err(StoreError::Stale { actual: 2 })), "{refused:?}");
    }
    let mut stolen = draft(2, b"x", vec![]);
    stolen.owner = PersonId::fixed(2);
    assert!(matches!(store.put_draft(stolen, at(6)).await, Err(StoreError::Invalid(_))));
    let read = store.get_draft(DraftId::fixed(1)).await.unwrap().unwrap();
    assert_eq!((read.bytes.as_slice(), read.summary.version), (b"second".as_slice(), 2));
    assert_eq!(store.drafts_of(PersonId::fixed(1), 10).await.unwrap(), [read.summary]);
    assert!(store.drafts_of(PersonId::fixed(2), 10).await.unwrap().is_empty());
    assert!(holding(store.dir(), canary).is_empty());

    store.delete_draft(DraftId::fixed(1)).await.unwrap();
    store.delete_draft(DraftId::fixed(1)).await.unwrap();
    assert!(store.get_draft(DraftId::fixed(1)).await.unwrap().is_none());
    let keys = behind(&store, "keys.db").await;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM wrapped_key WHERE scope <> $1").bind(b"K".as_slice()).fetch_one(&keys).await.unwrap();
    assert_eq!(left, 0, "the draft's key is destroyed with it");

    let large = draft(0, &vec![0; store::MAX_DRAFT_BYTES + 1], vec![]);
    assert!(matches!(store.put_draft(large, at(0)).await, Err(StoreError::TooLarge { .. })));
}

#[tokio::test]
async fn blobs_are_sealed_and_found_damaged() {
    let (_dir, store) = fresh().await;
    let canary = b"canary-in-an-image-91f2";
    let id = store.put_blob(request(1), RetentionClass::Images, canary, at(0)).await.unwrap();
    assert_eq!(store.get_blob(id).await.unwrap().as_deref(), Some(canary.as_slice()));
    assert_eq!(store.blob_of(id).await.unwrap(), Some((request(1), RetentionClass::Images)));
    assert!(store.get_blob(BlobId::fixed(1)).await.unwrap().is_none());
    assert!(holding(store.dir(), canary).is_empty());

    let file = files(&store.dir().join("blobs")).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert!(matches!(store.get_blob(id).await, Err(StoreError::Damaged { .. })));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(store.get_blob(id).await, Err(StoreError::Damaged { .. })));

    let large = vec![0; store::MAX_BLOB_BYTES + 1];
    let refused = store.put_blob(request(1), RetentionClass::Images, &large, at(0)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
}

/// The sweep takes what nothing refers to and nothing else.
#[tokio::test]
async fn orphans_are_swept() {
    let (_dir, store) = fresh().await;
    let put = |n: i64| store.put_blob(request(1), RetentionClass::Images, b"image", at(n));
    let (bound, drafted, orphan, young) = (put(0).await.unwrap(), put(0).await.unwrap(), put(0).await.unwrap(), put(100).await.unwrap());
    let commit = Commit { blobs: vec![bound], ..Commit::new(request(1), 0, vec![record("submitted", b"x")]) };
    store.commit(commit).await.unwrap();
    store.put_draft(draft(0, b"form", vec![drafted]), at(0)).await.unwrap();
    // A file whose row is gone, as after a crash between the two.
    let stray = store.dir().join("blobs/aa/0000000000000000000000000000aaaa");
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, b"stray").unwrap();
    // A file that was being written when the process was killed, as `object_store` names it.
    let cut = store.dir().join("blobs/aa/0000000000000000000000000000bbaa#1");
    std::fs::write(&cut, b"half an ima").unwrap();

    assert_eq!(store.sweep_orphans(at(50)).await.unwrap(), Swept { blobs: 1, draft_keys: 0 });
    assert!(store.get_blob(orphan).await.unwrap().is_none());
    for kept in [bound, drafted, young] {
        assert!(store.get_blob(kept).await.unwrap().is_some());
    }
    assert!(stray.exists() && cut.exists(), "these files are younger than the sweep's line");
    assert!(matches!(store.delete_blob(bound).await, Err(StoreError::Invalid(_))));

    // Off the draft, and later: swept as well, with the stray files.
    store.put_draft(draft(1, b"form", vec![]), at(1)).await.unwrap();
    assert_eq!(store.sweep_orphans(later()).await.unwrap().blobs, 4);
    assert_eq!(files(&store.dir().join("blobs")).len(), 1);
    assert!(store.get_blob(bound).await.unwrap().is_some());
    let gone = Commit { blobs: vec![young], ..Commit::new(request(1), 1, vec![record("a", b"")]) };
    assert!(store.commit(gone).await.is_err(), "an event can't refer to a swept image");
}

/// A draft's row went, then the process was killed before its key did.
#[tokio::test]
async fn a_lost_drafts_key_is_swept() {
    let (_dir, store) = fresh().await;
    store.put_draft(draft(0, b"form", vec![]), at(0)).await.unwrap();
    let db = behind(&store, "records.db").await;
    sqlx::query("DELETE FROM draft").execute(&db).await.unwrap();
    assert_eq!(store.sweep_orphans(at(0)).await.unwrap(), Swept { blobs: 0, draft_keys: 1 });
    assert_eq!(store.sweep_orphans(at(0)).await.unwrap(), Swept::default());
    assert_eq!(store.put_draft(draft(0, b"anew", vec![]), at(0)).await.unwrap(), 1);
}

#[tokio::test]
async fn holdings_are_sealed_and_resumable() {
    let (_dir, store) = fresh().await;
    let (biography, image) = (b"canary-biography-55aa".to_vec(), b"canary-image-0x66bb".to_vec());
    let one =
        NewHolding { reference: ReferenceId::fixed(1), source: Digest([1; 32]), image: Some(image.clone()), biography: biography.clone() };
    let two = NewHolding { reference: ReferenceId::fixed(2), source: Digest([2; 32]), image: None, biography: b"{}".to_vec() };
    let passport = GalleryId::Passport;
    assert_eq!(store.put_holdings(passport, vec![one.clone(), two.clone()], at(0)).await.unwrap(), 2);
    // Resumed: same file under a new reference is not held twice.
    let again = NewHolding { reference: ReferenceId::fixed(3), ..one.clone() };
    assert_eq!(store.put_holdings(passport, vec![again, two], at(0)).await.unwrap(), 0);
    assert_eq!(store.holding_by_source(passport, Digest([1; 32])).await.unwrap(), Some(ReferenceId::fixed(1)));
    assert_eq!(store.holding_by_source(passport, Digest([9; 32])).await.unwrap(), None);
    assert_eq!(store.holding_by_source(GalleryId::Immigration, Digest([1; 32])).await.unwrap(), None);
    assert_eq!(store.holding_count(passport).await.unwrap(), 2);
    assert_eq!(store.holding_count(GalleryId::Immigration).await.unwrap(), 0);

    let id = ReferenceId::fixed(1);
    assert_eq!(store.get_holding_image(passport, id).await.unwrap(), Some(image.clone()));
    assert_eq!(store.get_holding_biography(passport, id).await.unwrap(), Some(biography.clone()));
    assert_eq!(store.get_holding_image(passport, ReferenceId::fixed(2)).await.unwrap(), None);
    assert_eq!(store.get_holding_biography(GalleryId::Immigration, id).await.unwrap(), None);
    for canary in [&biography, &image, &[1; 32].to_vec()] {
        assert!(holding(store.dir(), canary).is_empty());
    }

    // One person's biography put in another's place does not open.
    let db = behind(&store, "records.db").await;
    sqlx::query("UPDATE holding SET sealed = (SELECT sealed FROM holding WHERE reference = $1) WHERE reference = $2")
        .bind(id.as_bytes().as_slice())
        .bind(ReferenceId::fixed(2).as_bytes().as_slice())
        .execute(&db)
        .await
        .unwrap();
    let swapped = store.get_holding_biography(passport, ReferenceId::fixed(2)).await;
    assert!(matches!(swapped, Err(StoreError::Damaged { .. })));

    store.delete_holding(passport, id).await.unwrap();
    assert_eq!(store.get_holding_image(passport, id).await.unwrap(), None);
    assert_eq!(store.holding_count(passport).await.unwrap(), 1);
}

#[tokio::test]
async fn sessions_come_and_go() {
    let (_dir, store) = fresh().await;
    let (id, canary) = (b"session-id-in-a-cookie".as_slice(), b"canary-session-record".as_slice());
    assert!(store.create_session(id, canary, at(100)).await.unwrap());
    assert!(!store.create_session(id, b"other", at(100)).await.unwrap());
    assert_eq!(store.get_session(id, at(99)).await.unwrap().as_deref(), Some(canary));
    assert_eq!(store.get_session(id, at(100)).await.unwrap(), None);
    store.put_session(id, b"renewed", at(200)).await.unwrap();
    assert_eq!(store.get_session(id, at(150)).await.unwrap().as_deref(), Some(b"renewed".as_slice()));
    assert!(holding(store.dir(), canary).is_empty() && holding(store.dir(), id).is_empty());
    assert_eq!(store.purge_sessions(at(199)).await.unwrap(), 0);
    assert_eq!(store.purge_sessions(at(200)).await.unwrap(), 1);
    store.put_session(id, b"again", at(300)).await.unwrap();
    store.delete_session(id).await.unwrap();
    assert_eq!(store.get_session(id, at(0)).await.unwrap(), None);
}

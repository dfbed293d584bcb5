use crate::{at, behind, fresh, record, request};
use casework::ids::RequestId;
use casework::record::{GalleryId, RetentionClass, StreamId};
use ledger::{Checkpoint, VerifierKey, verify};
use store::{Commit, EntryFilter, LogFault, Store, StoreError};

/// Seven events in three streams, sequenced in two goes.
pub async fn logged(store: &Store) {
    for n in 1..=3 {
        let mut records = vec![record("submitted", b"one"), record("assessed", b"two")];
        records[1].header.outcome = Some("authorised".into());
        records[1].header.clauses = vec!["A7".into()];
        records[1].header.at = at(10);
        records[0].header.clauses = vec![];
        if n == 3 {
            records[1].header.gallery = Some(GalleryId::Immigration);
        }
        store.commit(Commit::new(request(n), 0, records)).await.unwrap();
        if n == 2 {
            assert_eq!(store.sequence(at(2)).await.unwrap().size, 4);
        }
    }
    store.append(StreamId::House, vec![record("signed-in", b"x")]).await.unwrap();
    let done = store.sequence(at(3)).await.unwrap();
    assert_eq!((done.added, done.size), (3, 7));
}

/// An outsider with the public key's text, a note and a proof, and no store.
#[tokio::test]
async fn every_event_can_be_proved_to_an_outsider() {
    let (_dir, store) = fresh().await;
    assert!(store.checkpoint().await.unwrap().is_none());
    assert!(store.inclusion(request(1), 1).await.unwrap().is_none());
    store.sequence(at(0)).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap().unwrap().checkpoint.size, 0);
    logged(&store).await;
    store.commit(Commit::new(request(4), 0, vec![record("submitted", b"late")])).await.unwrap();

    let key = VerifierKey::parse(&store.verifier_key().to_string()).unwrap();
    let signed = store.checkpoint().await.unwrap().unwrap();
    let seen = Checkpoint::open(&signed.note, &key).unwrap();
    assert_eq!((seen.size, seen.origin.as_str()), (7, crate::ORIGIN));
    let mut indexes = Vec::new();
    for (stream, version) in store.streams().await.unwrap() {
        for seq in 1..=version {
            let Some(proof) = store.inclusion(stream, seq).await.unwrap() else {
                assert_eq!(stream, request(4), "only the late one is not sequenced yet");
                continue;
            };
            verify::inclusion(&proof.proof, seen.size, seen.root, proof.index, proof.leaf).unwrap();
            indexes.push(proof.index);
        }
    }
    indexes.sort_unstable();
    assert_eq!(indexes, (0..7).collect::<Vec<_>>());

    store.sequence(at(4)).await.unwrap();
    let now = store.checkpoint().await.unwrap().unwrap().checkpoint;
    let proof = store.consistency(seen.size, now.size).await.unwrap();
    verify::consistency(&proof, seen.size, seen.root, now.size, now.root).unwrap();
    assert!(store.consistency(now.size, now.size + 1).await.is_err());
    // Nothing new: nothing signed.
    let again = store.sequence(at(9)).await.unwrap();
    assert_eq!((again.added, again.size), (0, 8));
    assert_eq!(store.checkpoint().await.unwrap().unwrap().at, at(4));
}

#[tokio::test]
async fn entries_are_filtered_and_paged() {
    let (_dir, store) = fresh().await;
    logged(&store).await;
    let all = EntryFilter::default;
    let index = async |filter: EntryFilter| {
        let entries = store.entries(&filter).await.unwrap();
        entries.iter().map(|e| e.index).collect::<Vec<_>>()
    };
    assert_eq!(index(all()).await, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(index(EntryFilter { limit: 2, before: Some(5), ..all() }).await, [4, 3]);
    assert_eq!(index(EntryFilter { kind: Some("assessed".into()), ..all() }).await, [5, 3, 1]);
    assert_eq!(index(EntryFilter { gallery: Some(GalleryId::Immigration), ..all() }).await, [5]);
    assert_eq!(index(EntryFilter { outcome: Some("authorised".into()), ..all() }).await, [5, 3, 1]);
    assert_eq!(index(EntryFilter { clause: Some("A7".into()), ..all() }).await, [6, 5, 3, 1]);
    assert_eq!(index(EntryFilter { clause: Some("A6".into()), ..all() }).await, [6]);
    assert_eq!(index(EntryFilter { from: Some(at(10)), ..all() }).await, [5, 3, 1]);
    assert_eq!(index(EntryFilter { until: Some(at(10)), ..all() }).await, [6, 4, 2, 0]);
    let entry = &store.entries(&all()).await.unwrap()[0];
    let proof = store.inclusion(StreamId::House, 1).await.unwrap().unwrap();
    assert_eq!((entry.leaf, entry.header.kind.as_str()), (proof.leaf, "signed-in"));
    let long = EntryFilter { limit: store::log::ENTRIES_PAGE_LIMIT + 1, ..all() };
    assert!(matches!(store.entries(&long).await, Err(StoreError::TooLarge { .. })));
}

/// A rewritten past that is consistent in itself (leaf recomputed, hashes recomputed) still disagrees
/// with what was signed, and the sequencer refuses to sign on top of a tree it did not sign.
#[tokio::test]
async fn a_thorough_forger_meets_the_signature() {
    let (_dir, store) = fresh().await;
    logged(&store).await;
    let db = behind(&store, "records.db").await;
    // Take the last event out without a trace in its own database: stream, leaf, hashes, checkpoint.
    for sql in ["DELETE FROM event WHERE position = 7", "DELETE FROM stream WHERE version = 1", "DELETE FROM log_hash WHERE idx > 9"] {
        sqlx::query(sql).execute(&db).await.unwrap();
    }
    let fault = store.verify_log().await.unwrap().fault;
    assert_eq!(fault, Some(LogFault::Checkpoint { size: 7, wrong: "it signs more leaves than there are" }));
    assert_eq!(fault.unwrap().to_string(), "checkpoint of size 7: it signs more leaves than there are");
    sqlx::query("UPDATE log_hash SET hash = $1 WHERE idx = 6").bind([0_u8; 32].as_slice()).execute(&db).await.unwrap();
    store.commit(Commit::new(request(9), 0, vec![record("submitted", b"x")])).await.unwrap();
    assert!(store.sequence(at(9)).await.is_err());
    assert_eq!(store.checkpoint().await.unwrap().unwrap().checkpoint.size, 7);
}

#[tokio::test]
async fn a_lost_image_is_named() {
    let (_dir, store) = fresh().await;
    let id = store.put_blob(request(1), RetentionClass::Images, b"image", at(0)).await.unwrap();
    let commit = Commit { blobs: vec![id], ..Commit::new(request(1), 0, vec![record("submitted", b"x")]) };
    store.commit(commit).await.unwrap();
    store.sequence(at(1)).await.unwrap();
    assert!(store.verify_log().await.unwrap().verified());
    std::fs::remove_file(crate::files(&store.dir().join("blobs")).pop().unwrap()).unwrap();
    let fault = store.verify_log().await.unwrap().fault.unwrap();
    assert_eq!(fault, LogFault::Blob { stream: request(1), id });
    assert!(fault.to_string().contains(&RequestId::fixed(1).to_string()));
}

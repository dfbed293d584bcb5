//! Dumps that are brought back, in every order; and what the server's own files keep of a destroyed key.

use crate::{at, classed, fresh, record, request};
use casework::record::RetentionClass::{Images, Record};
use casework::record::StreamId;
use store::{Commit, Store, StoreError};

/// A request with an image, and a note of the house; sequenced.
async fn filled(store: &Store) -> casework::ids::BlobId {
    let blob = store.put_blob(request(1), Images, b"canary-image", at(0)).await.unwrap();
    let records = vec![record("submitted", b"x"), classed("searched", Images, b"canary")];
    store.commit(Commit { blobs: vec![blob], ..Commit::new(request(1), 0, records) }).await.unwrap();
    store.append(StreamId::House, vec![record("noted", b"y")]).await.unwrap();
    store.sequence(at(1)).await.unwrap();
    blob
}

#[tokio::test]
async fn an_old_dump_does_not_bring_the_erased_back_nor_hide_the_end_of_the_log() {
    let (ground, store) = fresh().await;
    let place = store.place().clone();
    let blob = filled(&store).await;
    let dump = ground.cluster.dump("records");
    store.erase(request(1), Images, at(2)).await.unwrap();
    store.commit(Commit::new(request(1), 2, vec![record("erased", b"images")])).await.unwrap();
    store.sequence(at(3)).await.unwrap();
    store.close().await;

    // The records are lost; their last dump comes back, and the keys are today's.
    ground.cluster.bring_back("records", &dump);
    let forked = |error: StoreError| matches!(error, StoreError::LogForked { size: 3, remembered: 4 });
    assert!(forked(Store::open_at(&place).await.unwrap_err()), "no node goes on with a shorter log by itself");
    assert!(forked(Store::accept_restored(&place, at(5), false).await.unwrap_err()));
    assert!(forked(Store::open_at(&place).await.unwrap_err()), "being refused changed nothing");
    let (store, restored) = Store::accept_restored(&place, at(5), true).await.unwrap();
    assert_eq!((restored.copy.log_size, restored.copy.at, restored.lost_up_to, restored.stays_erased), (3, at(1), Some(4), 1));
    assert_eq!(store.load(request(1)).await.unwrap()[1].payload, None);
    assert!(store.get_blob(blob).await.unwrap().is_none());
    assert!(store.erased(request(1), Images).await.unwrap().is_some());
    assert_eq!(ground.cluster.sql("records", "SELECT count(*) FROM event WHERE class = 'images' AND sealed IS NOT NULL"), "0");
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.fault, report.leaves, report.erased), (None, 3, 1));
    // It goes on from there.
    store.commit(Commit::new(request(1), 2, vec![record("noted", b"again")])).await.unwrap();
    store.sequence(at(6)).await.unwrap();
    store.close().await;
    Store::open_at(&place).await.unwrap();
}

#[tokio::test]
async fn a_dump_of_the_whole_log_keeps_erased_what_was_erased_since() {
    let (ground, store) = fresh().await;
    let place = store.place().clone();
    filled(&store).await;
    let dump = ground.cluster.dump("records");
    store.erase(request(1), Record, at(2)).await.unwrap();
    store.close().await;
    ground.cluster.bring_back("records", &dump);
    let (store, restored) = Store::accept_restored(&place, at(5), false).await.unwrap();
    assert_eq!((restored.lost_up_to, restored.stays_erased), (None, 1));
    let loaded = store.load(request(1)).await.unwrap();
    assert_eq!((&loaded[0].payload, loaded[1].payload.as_deref()), (&None, Some(b"canary".as_slice())));
    assert_eq!(store.verify_log().await.unwrap().fault, None);
    // In a folder it is `restore` that does this.
    let folder = store::Place::folder(&ground.path().join("folder"));
    assert!(matches!(Store::accept_restored(&folder, at(5), true).await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn an_old_dump_of_the_keys_is_rid_of_what_the_records_say_is_destroyed() {
    let (ground, store) = fresh().await;
    let place = store.place().clone();
    filled(&store).await;
    let dump = ground.cluster.dump("keys");
    store.erase(request(1), Images, at(2)).await.unwrap();
    store.close().await;
    ground.cluster.bring_back("keys", &dump);
    let keys = || ground.cluster.sql("keys", "SELECT count(*) FROM wrapped_key");
    let with_it: u32 = keys().parse().unwrap();
    let store = Store::open_at(&place).await.unwrap();
    assert_eq!(keys().parse::<u32>().unwrap(), with_it - 1);
    assert_eq!(store.load(request(1)).await.unwrap()[1].payload, None);
}

#[tokio::test]
async fn copies_of_files_are_refused_and_say_what_to_use() {
    let (ground, store) = fresh().await;
    for refused in [
        store.backup(&ground.path().join("copy"), at(1)).await.unwrap_err(),
        store.backup_keys(&ground.path().join("copy"), at(1)).await.unwrap_err(),
    ] {
        let said = refused.to_string();
        assert!(matches!(refused, StoreError::OnServers { .. }) && said.contains("pg_dump") && said.contains("RUNBOOK"), "{said}");
    }
    assert!(!ground.path().join("copy").exists());
}

/// A destroyed key's bytes stay in the table's pages, dead, until the tables are written anew; then they are in no
/// file of the server but its write-ahead log, which is its administrator's.
#[tokio::test]
async fn a_destroyed_key_is_in_no_file_of_the_server_but_its_log() {
    let (ground, store) = fresh().await;
    filled(&store).await;
    let hex = ground.cluster.sql("keys", "SELECT encode(wrapped, 'hex') FROM wrapped_key ORDER BY key_id");
    let wrapped: Vec<Vec<u8>> = hex.lines().map(|line| hex::decode(line).unwrap()).collect();
    assert!(wrapped.len() >= 4, "{hex}");
    let lying = || {
        ground.cluster.sql("keys", "CHECKPOINT");
        wrapped.iter().filter(|key| ground.cluster.holding(key).iter().any(|f| !f.components().any(|c| c.as_os_str() == "pg_wal"))).count()
    };
    assert_eq!(lying(), wrapped.len());
    store.erase(request(1), Images, at(2)).await.unwrap();
    assert_eq!(ground.cluster.sql("keys", "SELECT count(*) FROM wrapped_key"), (wrapped.len() - 1).to_string());
    assert_eq!(lying(), wrapped.len(), "dead in its page: what a plain DELETE leaves");
    store.scrub().await.unwrap();
    assert_eq!(lying(), wrapped.len() - 1);
    assert_eq!(ground.cluster.sql("keys", "SELECT count(*) FROM fact WHERE name = 'worn'"), "0");
    // Nothing was destroyed since: nobody is kept waiting for it again.
    let file = || ground.cluster.sql("keys", "SELECT pg_relation_filepath('wrapped_key')");
    let before = file();
    store.scrub().await.unwrap();
    assert_eq!(file(), before);
    // And the sealed bytes go from the records' files when they are asked to.
    store.compact().await.unwrap();
    assert_eq!(store.verify_log().await.unwrap().fault, None);
}

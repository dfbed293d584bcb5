//! A store moved from a folder to servers: whole, verified on both sides, and not left in two places.

use crate::cluster::Cluster;
use crate::{ORIGIN, at, classed, record, request, row};
use casework::ids::{DraftId, LeoId, PersonId};
use casework::record::{RetentionClass, StreamId};
use std::time::Duration;
use store::{Commit, Database, LookupEntry, NewJob, Place, PutDraft, Servers, Store, StoreError};

/// A store in a folder with something in every kind of table; one class erased, one job taken.
async fn filled(dir: &std::path::Path) -> Store {
    let store = Store::create(dir, ORIGIN).await.unwrap();
    for n in 1..=120_u128 {
        let blob = store.put_blob(request(n), RetentionClass::Images, b"image", at(0)).await.unwrap();
        let commit = Commit {
            row: Some(row(n, "received")),
            jobs: vec![NewJob { kind: "search".into(), payload: "{}".into(), run_at: at(0) }],
            index: vec![LookupEntry { kind: "crime-reference".into(), value: n.to_be_bytes().to_vec(), class: RetentionClass::Record }],
            blobs: vec![blob],
            ..Commit::new(request(n), 0, vec![record("submitted", b"one"), classed("searched", RetentionClass::Images, b"two")])
        };
        store.commit(commit).await.unwrap();
    }
    let (id, owner, leo) = (DraftId::fixed(1), PersonId::fixed(1), LeoId::fixed(1));
    let draft = PutDraft { id, owner, leo, expected: 0, bytes: b"form".to_vec(), blobs: vec![] };
    store.put_draft(draft, at(0)).await.unwrap();
    store.put_session(b"session", b"record", at(1_000)).await.unwrap();
    store.append(StreamId::House, vec![record("signed-in", b"x")]).await.unwrap();
    store.erase(request(7), RetentionClass::Images, at(2)).await.unwrap();
    let job = store.claim_job("w", at(1), Duration::from_secs(60)).await.unwrap().unwrap();
    store.finish_job(&job).await.unwrap();
    store.sequence(at(3)).await.unwrap();
    store.append(StreamId::House, vec![record("signed-in", b"not sequenced")]).await.unwrap();
    store
}

fn ground() -> (Cluster, tempfile::TempDir, Servers) {
    let Some(cluster) = Cluster::start() else { std::process::exit(0) };
    let servers = Servers::new(&cluster.url("records"), &cluster.url("keys")).unwrap();
    (cluster, tempfile::tempdir().unwrap(), servers)
}

#[tokio::test]
async fn everything_arrives_and_goes_on_there() {
    let (cluster, folder, servers) = ground();
    let dir = folder.path().join("data");
    let source = filled(&dir).await;
    let before = source.verify_log().await.unwrap();
    let note = source.checkpoint().await.unwrap().unwrap();
    assert_eq!((before.fault.clone(), before.leaves, before.unsequenced, before.erased), (None, 241, 1, 1));
    source.close().await;

    let copied = Store::copy_to_servers(&dir, &servers, true).await.unwrap();
    let table = |name: &str| copied.tables.iter().find(|t| t.name == name).unwrap();
    assert_eq!((table("event").rows, table("job").rows, table("draft").rows, copied.before), (242, 119, 1, false));
    let counted: u64 = copied.tables.iter().map(|t| t.rows).sum();
    assert!(counted > 1_000, "{counted}");

    let place = Place { database: Database::Postgres(servers.clone()), ..Place::folder(&dir) };
    let there = Store::open_at(&place).await.unwrap();
    assert_eq!(there.verify_log().await.unwrap(), before);
    assert_eq!(there.checkpoint().await.unwrap().unwrap(), note, "the same checkpoint, to the letter");
    let source = Store::open(&dir).await.unwrap();
    assert_eq!(source.verify_log().await.unwrap(), before, "the source is as it was");
    for n in [1, 7, 120] {
        let payloads = async |store: &Store| -> Vec<_> { store.load(request(n)).await.unwrap().into_iter().map(|r| r.payload).collect() };
        assert_eq!(payloads(&source).await, payloads(&there).await);
        assert_eq!(
            source.queue_row(casework::ids::RequestId::fixed(n)).await.unwrap(),
            there.queue_row(casework::ids::RequestId::fixed(n)).await.unwrap()
        );
    }
    assert_eq!(there.get_draft(DraftId::fixed(1)).await.unwrap().unwrap().bytes, b"form");
    assert_eq!(there.get_session(b"session", at(5)).await.unwrap().as_deref(), Some(b"record".as_slice()));
    source.close().await;
    there.close().await;

    // The real move finds the rehearsal's copy, sees that it is the same, and shuts the folder.
    assert!(Store::copy_to_servers(&dir, &servers, false).await.unwrap().before);
    let refused = Store::open(&dir).await.unwrap_err();
    assert!(matches!(refused, StoreError::Moved { .. }), "{refused:?}");
    assert!(matches!(Store::copy_to_servers(&dir, &servers, false).await, Err(StoreError::Moved { .. })));

    // It goes on with new numbers: none that was given before, even where its row is gone.
    let there = Store::open_at(&place).await.unwrap();
    let jobs = vec![NewJob { kind: "search".into(), payload: "{}".into(), run_at: at(0) }];
    there.commit(Commit { jobs, ..Commit::new(request(500), 0, vec![record("submitted", b"x")]) }).await.unwrap();
    there.sequence(at(9)).await.unwrap();
    let after = there.verify_log().await.unwrap();
    assert_eq!((after.fault, after.leaves, after.unsequenced), (None, 243, 0));
    assert_eq!(cluster.sql("records", "SELECT max(id) FROM job"), "121");
    assert_eq!(cluster.sql("records", "SELECT max(position) FROM event"), "243");
}

#[tokio::test]
async fn a_target_with_anything_else_in_it_is_refused() {
    let (cluster, folder, servers) = ground();
    let dir = folder.path().join("data");
    filled(&dir).await.close().await;
    Store::copy_to_servers(&dir, &servers, true).await.unwrap();
    // Somebody worked on the copy, or it is another store's.
    cluster.sql("records", "UPDATE request_row SET urgent = 1 WHERE state = 'received' AND urgent = 0 AND received_at < 1790000002000000");
    assert!(matches!(Store::copy_to_servers(&dir, &servers, false).await, Err(StoreError::NotEmpty)));
    Store::open(&dir).await.unwrap().close().await;

    // A table that the server's layout lacks is said, and nothing is copied.
    cluster.sql("postgres", "DROP DATABASE records");
    cluster.sql("postgres", "CREATE DATABASE records");
    Store::copy_to_servers(&dir, &servers, true).await.unwrap();
    cluster.sql("records", "TRUNCATE house; DROP TABLE lookup");
    let refused = Store::copy_to_servers(&dir, &servers, true).await.unwrap_err();
    assert!(matches!(&refused, StoreError::CopyDiffers { table } if table == "lookup"), "{refused:?}");
}

/// Broken off in the middle: nothing counts there, and the next copy is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_broken_off_is_begun_again() {
    let (cluster, folder, servers) = ground();
    let dir = folder.path().join("data");
    filled(&dir).await.close().await;
    let mut broken = 0;
    for after in [40, 80, 160] {
        let (from, to) = (dir.clone(), servers.clone());
        let copy = tokio::spawn(async move { Store::copy_to_servers(&from, &to, true).await });
        tokio::time::sleep(Duration::from_millis(after)).await;
        cluster.sql("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ('records', 'keys')");
        broken += u32::from(copy.await.unwrap().is_err());
    }
    eprintln!("{broken} of 3 were broken off");
    let copied = Store::copy_to_servers(&dir, &servers, true).await.unwrap();
    assert_eq!(copied.tables.iter().find(|t| t.name == "event").unwrap().rows, 242);
    let place = Place { database: Database::Postgres(servers), ..Place::folder(&dir) };
    assert!(Store::open_at(&place).await.unwrap().verify_log().await.unwrap().verified());
}

//! Several nodes on one server, killed nodes, lost connections, a crashed server.

use crate::{Ground, ORIGIN, at, behind, classed, fresh, record, request, row};
use casework::record::{RetentionClass, StreamId};
use std::collections::HashSet;
use std::time::Duration;
use store::{Blobs, Commit, CommitError, Database, Erased, IdempotencyKey, NewJob, Place, Store, StoreError};

/// A second node: a folder of its own, with the first one's secrets, and its blobs where the first one's are.
fn node(ground: &Ground, first: &Store, name: &str) -> Place {
    let place = ground.place(name);
    std::fs::create_dir_all(place.dir.join("secrets")).unwrap();
    for name in ["master.key", "log.key", "certificate.key", "lookup.key"] {
        std::fs::copy(first.dir().join("secrets").join(name), place.dir.join("secrets").join(name)).unwrap();
    }
    for private in [place.dir.clone(), place.dir.join("secrets")] {
        std::fs::set_permissions(private, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    Place { blobs: Blobs::Elsewhere(first.dir().join("blobs")), ..place }
}

#[tokio::test]
async fn a_second_node_needs_the_first_ones_secrets() {
    let (ground, first) = fresh().await;
    first.ping().await.unwrap();
    let refused = Store::create_at(&ground.place("other"), ORIGIN).await.unwrap_err();
    assert!(matches!(refused, StoreError::SecretsElsewhere { .. }), "{refused:?}");
    assert!(!ground.place("other").dir.exists(), "nothing is made");
    assert!(matches!(Store::open_at(&ground.place("other")).await, Err(StoreError::SecretsElsewhere { .. })));
    let refused = Store::create_at(first.place(), ORIGIN).await.unwrap_err();
    assert!(matches!(refused, StoreError::AlreadyExists { .. }), "{refused:?}");
    // Another store's secrets.
    let stranger = Store::create(&ground.path().join("stranger"), ORIGIN).await.unwrap();
    let place = Place { dir: stranger.dir().to_owned(), ..first.place().clone() };
    assert!(matches!(Store::open_at(&place).await, Err(StoreError::WrongMasterKey)));

    let place = node(&ground, &first, "second");
    let second = Store::open_at(&place).await.unwrap();
    let blob = first.put_blob(request(1), RetentionClass::Images, b"image", at(0)).await.unwrap();
    let commit = Commit { blobs: vec![blob], ..Commit::new(request(1), 0, vec![record("submitted", b"x")]) };
    first.commit(commit).await.unwrap();
    assert_eq!(second.load(request(1)).await.unwrap()[0].payload.as_deref(), Some(b"x".as_slice()));
    assert_eq!(second.get_blob(blob).await.unwrap().as_deref(), Some(b"image".as_slice()));
}

/// Killed while it was being made, before anything was recorded: it begins again with the same secrets.
#[tokio::test]
async fn making_is_begun_again_where_it_was_left() {
    let (ground, store) = fresh().await;
    let place = store.place().clone();
    store.close().await;
    assert!(Store::is_made(&place).await.unwrap());
    ground.cluster.sql("records", "DELETE FROM house");
    assert!(!Store::is_made(&place).await.unwrap());
    let store = Store::create_at(&place, ORIGIN).await.unwrap();
    store.commit(Commit::new(request(1), 0, vec![record("submitted", b"x")])).await.unwrap();
}

/// A node of another version neither changes the tables nor works on them.
#[tokio::test]
async fn another_layout_is_refused_and_migrated_on_request() {
    let (ground, store) = fresh().await;
    let place = store.place().clone();
    store.close().await;
    ground
        .cluster
        .sql("records", "UPDATE _sqlx_migrations SET version = version + 1000 WHERE version = (SELECT max(version) FROM _sqlx_migrations)");
    let newer = Store::open_at(&place).await.unwrap_err();
    assert!(matches!(newer, StoreError::OtherLayout { database: "records", .. }) && newer.to_string().contains("newer version"), "{newer}");
    ground.cluster.sql("records", "UPDATE _sqlx_migrations SET version = version - 1000 WHERE version > 1000");
    Store::open_at(&place).await.unwrap().close().await;
    // As an installation that has never had any change of the keys' tables.
    ground.cluster.sql("keys", "DROP TABLE _sqlx_migrations, fact; ALTER TABLE wrapped_key RENAME TO kept");
    let older = Store::open_at(&place).await.unwrap_err();
    assert!(older.to_string().contains("countersign migrate"), "{older}");
    ground.cluster.sql("keys", "DROP INDEX wrapped_key_current, wrapped_key_scope; ALTER INDEX wrapped_key_pkey RENAME TO kept_pkey");
    Store::migrate(&place).await.unwrap();
    ground.cluster.sql("keys", "INSERT INTO wrapped_key SELECT * FROM kept");
    Store::open_at(&place).await.unwrap();
}

#[tokio::test]
async fn a_server_that_forgets_is_refused() {
    let (ground, store) = fresh().await;
    let place = store.place().clone();
    ground.cluster.sql("postgres", "ALTER SYSTEM SET full_page_writes = off");
    ground.cluster.sql("postgres", "SELECT pg_reload_conf()");
    for _ in 0..100 {
        if let Err(refused) = Store::open_at(&place).await {
            assert!(matches!(refused, StoreError::NotDurable { setting: "full_page_writes" }), "{refused:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("opened all the same");
}

/// Positions are given in the order of commits, whoever writes, so that the log's order, the streams' order and
/// the pages of headers agree: what the one writer's lock is for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_nodes_write_one_log() {
    let (ground, first) = fresh().await;
    let second = Store::open_at(&node(&ground, &first, "second")).await.unwrap();
    let tasks: Vec<_> = (0..8_u128)
        .map(|n| {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            tokio::spawn(async move {
                for k in 0..10 {
                    let jobs = vec![NewJob { kind: "x".into(), payload: "{}".into(), run_at: at(0) }];
                    let commit = Commit { jobs, row: Some(row(n, "received")), ..Commit::new(request(n), k, vec![record("noted", b"x")]) };
                    store.commit(commit).await.unwrap();
                    store.append(StreamId::House, vec![record("looked", b"y")]).await.unwrap();
                    store.sequence(at(1)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let report = first.verify_log().await.unwrap();
    assert_eq!((report.fault, report.leaves, report.unsequenced), (None, 160, 0));
    let headers = second.headers(0, 1_000).await.unwrap();
    assert!(headers.is_sorted_by_key(|h| h.position) && headers.len() == 160);
    assert_eq!(first.pending_jobs().await.unwrap(), 80);
    let mut claimed = HashSet::new();
    while let Some(job) = second.claim_job("w", at(1), Duration::from_secs(60)).await.unwrap() {
        assert!(claimed.insert(job.id));
        first.finish_job(&job).await.unwrap();
    }
    assert_eq!(claimed.len(), 80);
}

/// The server ends every connection in the middle of the work (its administrator may): each write is whole or
/// is not there, and named commands are carried out once however often they are asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lost_connections_lose_nothing_and_double_nothing() {
    let (ground, store) = fresh().await;
    let writers: Vec<_> = (0..4_u128)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut refused = 0;
                for k in 0..25_u64 {
                    let command = Commit {
                        idempotency: Some(IdempotencyKey(format!("{n}/{k}"))),
                        row: Some(row(n, "received")),
                        ..Commit::new(request(n), k, vec![record("noted", b"one")])
                    };
                    loop {
                        match store.commit(command.clone()).await {
                            Ok(version) | Err(CommitError::Duplicate { version, .. }) => {
                                assert_eq!(version, k + 1);
                                break;
                            }
                            Err(CommitError::Store(StoreError::Database(_))) => refused += 1,
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                }
                refused
            })
        })
        .collect();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        ground
            .cluster
            .sql("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ('records', 'keys')");
    }
    let mut refused = 0;
    for writer in writers {
        refused += writer.await.unwrap();
    }
    eprintln!("{refused} attempts refused");
    store.sequence(at(1)).await.unwrap();
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.fault, report.events), (None, 100));
    for n in 0..4 {
        assert_eq!(store.version(request(n)).await.unwrap(), 25);
    }
}

/// The server is killed and comes back: what was returned as recorded is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crashed_server_keeps_what_it_acknowledged() {
    let (mut ground, store) = fresh().await;
    for round in 0..2_u64 {
        let writer = store.clone();
        let writing = tokio::spawn(async move {
            let mut version = writer.version(request(1)).await.unwrap();
            while let Ok(new) = writer.commit(Commit::new(request(1), version, vec![record("noted", b"x")])).await {
                version = new;
            }
            version
        });
        tokio::time::sleep(Duration::from_millis(150)).await;
        ground.cluster.crash();
        let acknowledged = writing.await.unwrap();
        let now = store.version(request(1)).await.unwrap();
        // One more may have been made durable whose acknowledgement was lost on the way.
        assert!(now == acknowledged || now == acknowledged + 1, "round {round}: {now} of {acknowledged}");
        assert!(acknowledged > round);
        store.sequence(at(1)).await.unwrap();
        let report = store.verify_log().await.unwrap();
        assert_eq!((report.fault, report.events), (None, now));
    }
}

/// A node that began a write and fell silent (its machine stopped, its network gone) does not stop the others.
#[tokio::test]
async fn a_silent_node_does_not_hold_the_others_up_for_ever() {
    let (_ground, store) = fresh().await;
    let db = behind(&store, "records.db").await;
    let mut silent = db.begin().await.unwrap();
    // As the store sets it, shortened for this test.
    sqlx::query("SET idle_in_transaction_session_timeout = 300").execute(&mut *silent).await.unwrap();
    let lock = i64::from_be_bytes(*b"counters");
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock).execute(&mut *silent).await.unwrap();
    store.commit(Commit::new(request(1), 0, vec![record("submitted", b"x")])).await.unwrap();
    let set: String = sqlx::query_scalar("SELECT current_setting('idle_in_transaction_session_timeout')").fetch_one(&db).await.unwrap();
    assert_eq!(set, "0", "not the server's own default");
    assert!(silent.commit().await.is_err(), "it was sent away");
}

/// Erased: its key, sealed bytes and look-ups are in no row any more, and the log verifies. What PostgreSQL's own
/// files still hold is sealed under a key that no row has.
#[tokio::test]
async fn the_erased_is_in_no_row() {
    let (ground, store) = fresh().await;
    let images = RetentionClass::Images;
    let blob = store.put_blob(request(1), images, b"canary-image", at(0)).await.unwrap();
    let commit =
        Commit { blobs: vec![blob], ..Commit::new(request(1), 0, vec![record("submitted", b"x"), classed("searched", images, b"canary")]) };
    store.commit(commit).await.unwrap();
    store.sequence(at(1)).await.unwrap();
    assert_eq!(ground.cluster.sql("keys", "SELECT count(*) FROM wrapped_key"), "3");
    let erased = store.erase(request(1), images, at(2)).await.unwrap();
    assert_eq!(erased, Erased { keys: 1, payloads: 1, blobs: 1, lookups: 0 });
    assert_eq!(ground.cluster.sql("keys", "SELECT count(*) FROM wrapped_key"), "2");
    assert_eq!(ground.cluster.sql("records", "SELECT count(*) FROM event WHERE class = 'images' AND sealed IS NOT NULL"), "0");
    assert!(store.get_blob(blob).await.unwrap().is_none());
    assert_eq!(store.load(request(1)).await.unwrap()[1].payload, None);
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.fault, report.erased), (None, 1));
    assert!(matches!(store.place().database, Database::Postgres(_)));
}

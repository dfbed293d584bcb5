//! Copies of records and keys, brought back in every order.

use crate::erasing::filled;
use crate::{ORIGIN, at, behind, classed, files, fresh, holding, record, request};
use casework::record::RetentionClass::{Images, Record};
use casework::record::StreamId;
use std::fs;
use std::path::{Path, PathBuf};
use store::{Commit, LookupEntry, Store, StoreError};

/// Everything below a folder, byte for byte.
fn whole(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = if folder.exists() { files(folder) } else { vec![] };
    all.sort();
    all.into_iter().map(|f| (f.clone(), fs::read(&f).unwrap())).collect()
}

/// The records are lost; the keys are there.
fn lose_the_records(dir: &Path) {
    for name in ["records.db", "records.db-wal", "records.db-shm"] {
        let _ = fs::remove_file(dir.join(name)); // a clean close leaves the first only
    }
    fs::remove_dir_all(dir.join("blobs")).unwrap();
}

#[tokio::test]
async fn records_and_keys_come_back_together_and_neither_opens_alone() {
    let (dir, store) = fresh().await;
    let secret = filled(&store).await;
    store.create_session(b"id", b"typed before the session ran out", at(500)).await.unwrap();
    store.append(StreamId::House, vec![record("noted", b"a note of the house")]).await.unwrap();
    let (records, keys) = (dir.path().join("copies/records"), dir.path().join("elsewhere/keys"));
    fs::create_dir_all(records.parent().unwrap()).unwrap();
    fs::create_dir_all(keys.parent().unwrap()).unwrap();
    let copied = store.backup(&records, at(10)).await.unwrap();
    let copied_keys = store.backup_keys(&keys, at(11)).await.unwrap();
    assert_eq!((copied.files, copied.log_size, copied_keys.files), (2, 4, 5));

    // No key is among the records, nor the other way round.
    let wrapped = secret.iter().find(|s| !holding(store.dir(), s).is_empty() && holding(&keys, s).len() == 1).unwrap();
    assert!(holding(&records, wrapped).is_empty());
    for name in ["master.key", "log.key", "lookup.key", "certificate.key"] {
        let bytes = fs::read(store.dir().join("secrets").join(name)).unwrap();
        assert!(holding(&records, &bytes).is_empty() && holding(&keys, &bytes).len() == 1, "{name}");
    }
    let sealed = fs::read(files(&store.dir().join("blobs")).pop().unwrap()).unwrap();
    assert!(holding(&keys, &sealed).is_empty() && holding(&records, &sealed).len() == 1);
    let pool =
        sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(records.join("records.db")).immutable(true))
            .await
            .unwrap();
    let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM session").fetch_one(&pool).await.unwrap();
    assert_eq!(sessions, 0, "sessions are not copied");
    pool.close().await;

    let (before, verified) = (store.load(request(1)).await.unwrap(), store.verify_log().await.unwrap());
    store.close().await;
    let elsewhere = dir.path().join("another/data");
    let (again, restored) = Store::restore(&records, Some(&keys), &elsewhere, false).await.unwrap();
    assert_eq!((restored.copy.clone(), restored.lost_up_to, restored.stays_erased), (copied, None, 0));
    let after = again.load(request(1)).await.unwrap();
    assert_eq!(before.iter().map(|r| &r.payload).collect::<Vec<_>>(), after.iter().map(|r| &r.payload).collect::<Vec<_>>());
    assert!(before.iter().all(|r| r.payload.is_some()));
    let report = again.verify_log().await.unwrap();
    assert_eq!((report.fault, report.opened, report.leaves), (None, verified.opened, verified.leaves));
    assert_eq!(again.origin(), ORIGIN);
    again.close().await;
    Store::open(&elsewhere).await.unwrap();
    assert!(matches!(Store::restore(&records, Some(&keys), &elsewhere, true).await, Err(StoreError::AlreadyExists { .. })));
}

#[tokio::test]
async fn what_was_erased_since_stays_erased_when_old_records_come_back() {
    let (dir, store) = fresh().await;
    let secret = filled(&store).await;
    let (path, records) = (store.dir().to_owned(), dir.path().join("records"));
    store.backup(&records, at(10)).await.unwrap();
    assert_eq!(secret.iter().filter(|s| !holding(&records, s).is_empty()).count(), 3, "the copy holds what is erased later, sealed");
    store.erase(request(1), Images, at(20)).await.unwrap();
    store.commit(Commit::new(request(1), 2, vec![classed("erased", Record, b"images")])).await.unwrap();
    store.sequence(at(21)).await.unwrap();
    store.close().await;

    // By hand, around the product: found when it is opened.
    let kept = fs::read(path.join("records.db")).unwrap();
    fs::copy(records.join("records.db"), path.join("records.db")).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::LogForked { size: 3, remembered: 4 }), "{error}");
    fs::write(path.join("records.db"), kept).unwrap();
    let store = Store::open(&path).await.unwrap();
    store.close().await;

    lose_the_records(&path);
    let before = whole(&path);
    let error = Store::restore(&records, None, &path, false).await.unwrap_err();
    assert!(matches!(error, StoreError::LogForked { size: 3, remembered: 4 }), "{error}");
    assert!(error.to_string().contains("--accept-shorter-log"));
    assert_eq!(whole(&path), before, "nothing was touched");

    let (again, restored) = Store::restore(&records, None, &path, true).await.unwrap();
    assert_eq!((restored.lost_up_to, restored.stays_erased), (Some(4), 1));
    let loaded = again.load(request(1)).await.unwrap();
    assert_eq!(loaded.iter().map(|r| r.payload.is_some()).collect::<Vec<_>>(), [true, false], "the erased class, and no other");
    for bytes in &secret {
        assert_eq!(holding(&path, bytes), Vec::<PathBuf>::new(), "not even sealed");
    }
    assert!(again.lookup("probe-digest", b"canary-looked-up-value-9e").await.unwrap().is_empty());
    assert!(again.load(request(2)).await.unwrap()[0].payload.is_some(), "another's is there");
    let report = again.verify_log().await.unwrap();
    assert_eq!((report.fault, report.erased, report.leaves), (None, 1, 3));
    // Life goes on, from the shorter log.
    again.commit(Commit::new(request(1), 2, vec![record("noted", b"on")])).await.unwrap();
    again.sequence(at(30)).await.unwrap();
    again.close().await;
    assert_eq!(Store::open(&path).await.unwrap().verify_log().await.unwrap().fault, None);
}

#[tokio::test]
async fn keys_that_were_destroyed_do_not_come_back_with_an_old_copy_of_the_keys() {
    let (dir, store) = fresh().await;
    let secret = filled(&store).await;
    let (path, keys, records) = (store.dir().to_owned(), dir.path().join("keys"), dir.path().join("records"));
    store.backup_keys(&keys, at(10)).await.unwrap();
    store.erase(request(1), Images, at(20)).await.unwrap();
    store.sequence(at(21)).await.unwrap();
    store.backup(&records, at(22)).await.unwrap();
    store.close().await;
    // Offered as what they are, they are refused.
    let error = Store::restore(&records, Some(&keys), &dir.path().join("new"), false).await.unwrap_err();
    assert!(matches!(error, StoreError::OlderKeys { .. }), "{error}");
    assert!(!dir.path().join("new").exists());
    // Put there by hand, those that the records say were destroyed are destroyed again.
    for name in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        let _ = fs::remove_file(path.join(name));
    }
    fs::copy(keys.join("keys.db"), path.join("keys.db")).unwrap();
    let wrapped: Vec<_> = secret.iter().filter(|s| !holding(&path, s).is_empty()).collect();
    assert_eq!(wrapped.len(), 1, "the key is back");
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.load(request(1)).await.unwrap()[1].payload, None);
    assert!(holding(&path, wrapped[0]).is_empty());
    assert_eq!(store.verify_log().await.unwrap().fault, None);
}

#[tokio::test]
async fn a_copy_that_is_not_what_was_copied_is_refused_and_nothing_is_touched() {
    let (dir, store) = fresh().await;
    filled(&store).await;
    let (records, keys, target) = (dir.path().join("records"), dir.path().join("keys"), dir.path().join("target"));
    store.backup(&records, at(10)).await.unwrap();
    store.backup_keys(&keys, at(11)).await.unwrap();
    for (path, bytes) in whole(&records).into_iter().chain(whole(&keys)) {
        let manifest = path.ends_with("manifest.json");
        let damaged: Vec<Option<Vec<u8>>> = vec![
            None,
            Some(bytes[..bytes.len() / 2].to_vec()),
            Some([&bytes[..bytes.len() / 2], &[bytes[bytes.len() / 2] ^ 1], &bytes[bytes.len() / 2 + 1..]].concat()),
        ];
        for (n, wrong) in damaged.into_iter().enumerate().filter(|(n, _)| !manifest || *n < 2) {
            fs::remove_file(&path).unwrap();
            if let Some(wrong) = wrong {
                fs::write(&path, wrong).unwrap();
            }
            let error = Store::restore(&records, Some(&keys), &target, false).await.unwrap_err();
            let named = matches!(&error, StoreError::DamagedCopy { path: p } if *p == path)
                || (manifest && matches!(error, StoreError::NotACopy { .. }));
            assert!(named, "{} ({n}): {error}", path.display());
            assert!(!target.exists());
            let _ = fs::remove_file(&path);
            fs::write(&path, &bytes).unwrap();
        }
    }
    // A name that leads out of the copy.
    let manifest = records.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"records.db\"", "\"../records.db\"")).unwrap();
    assert!(matches!(Store::restore(&records, Some(&keys), &target, false).await, Err(StoreError::NotACopy { .. })));
    fs::write(&manifest, text).unwrap();
    assert!(matches!(Store::restore(&keys, Some(&records), &target, false).await, Err(StoreError::NotACopy { .. })), "the other way round");
    assert!(matches!(Store::restore(&records, None, &target, false).await, Err(StoreError::NotAStore { missing: "keys.db", .. })));
    Store::restore(&records, Some(&keys), &target, false).await.unwrap();
    // Nothing is written over.
    for occupied in [&records, &keys, &target] {
        assert!(matches!(store.backup(occupied, at(12)).await, Err(StoreError::AlreadyExists { .. })));
        assert!(matches!(store.backup_keys(occupied, at(12)).await, Err(StoreError::AlreadyExists { .. })));
    }
}

#[tokio::test]
async fn killed_half_way_it_begins_again() {
    let (dir, store) = fresh().await;
    filled(&store).await;
    let (path, records) = (store.dir().to_owned(), dir.path().join("records"));
    // A copy that was being made when its process was killed.
    fs::create_dir_all(dir.path().join(".records.being-made/blobs")).unwrap();
    fs::write(dir.path().join(".records.being-made/records.db"), "half").unwrap();
    store.backup(&records, at(10)).await.unwrap();
    assert!(!dir.path().join(".records.being-made").exists());
    store.close().await;
    lose_the_records(&path);
    // A restore that was killed with the images in their place and the records not.
    fs::create_dir_all(path.join(".being-restored")).unwrap();
    fs::write(path.join(".being-restored/records.db"), "half").unwrap();
    fs::create_dir_all(path.join("blobs/ab")).unwrap();
    fs::write(path.join("blobs/ab/left"), "an image of that try").unwrap();
    assert!(matches!(Store::open(&path).await, Err(StoreError::NotAStore { .. })), "it is no data directory meanwhile");
    let (store, _) = Store::restore(&records, None, &path, false).await.unwrap();
    assert!(!path.join("blobs/ab/left").exists() && !path.join(".being-restored").exists());
    assert_eq!(store.verify_log().await.unwrap().fault, None);
    store.close().await;
    // And one that was killed when all was in its place, and before what was destroyed since was gone through.
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(path.join("records.db"))).await.unwrap();
    sqlx::query("INSERT INTO house (name, value) VALUES ('restored', 'whole')").execute(&pool).await.unwrap();
    pool.close().await;
    fs::create_dir_all(path.join(".being-restored")).unwrap();
    let store = Store::open(&path).await.unwrap();
    assert!(!path.join(".being-restored").exists());
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM house WHERE name = 'restored'")
        .fetch_one(&behind(&store, "records.db").await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

/// Copied while others write: what is in the copy is one moment's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_moment() {
    let (dir, store) = fresh().await;
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        for n in 0..60_u64 {
            let blob = writer.put_blob(request(7), Images, format!("image number {n}").as_bytes(), at(0)).await.unwrap();
            let index = vec![LookupEntry { kind: "image".into(), value: n.to_be_bytes().to_vec(), class: Images }];
            let commit = Commit { blobs: vec![blob], index, ..Commit::new(request(7), n, vec![record("noted", b"and again")]) };
            writer.commit(commit).await.unwrap();
            if n % 20 == 19 {
                writer.erase(request(7), Images, at(1)).await.unwrap();
            }
        }
    });
    let (mut made, keys) = (vec![], dir.path().join("keys"));
    while !writing.is_finished() || made.is_empty() {
        let to = dir.path().join(format!("copy-{}", made.len()));
        store.backup(&to, at(5)).await.unwrap();
        made.push(to);
    }
    writing.await.unwrap();
    store.backup_keys(&keys, at(6)).await.unwrap();
    store.close().await;
    for (n, copy) in [made.first().unwrap(), made.last().unwrap()].into_iter().enumerate() {
        let (again, _) = Store::restore(copy, Some(&keys), &dir.path().join(format!("restored-{n}")), true).await.unwrap();
        let report = again.verify_log().await.unwrap();
        assert_eq!(report.fault, None, "copy {n}");
        assert_eq!(again.version(request(7)).await.unwrap(), report.events);
    }
}

use crate::{at, behind, classed, files, fresh, holding, record, request};
use casework::ids::RequestId;
use casework::record::RetentionClass::{Images, Record};
use store::{Commit, Erased, LookupEntry, Store};

const RECORD: &[u8] = b"canary-record-payload-1c9d";
const CANDIDATE: &[u8] = b"canary-images-payload-77e0";
const IMAGE: &[u8] = b"canary-image-bytes-40bb";
const VALUE: &[u8] = b"canary-looked-up-value-9e";

/// A request with something in two classes; returns the sealed bytes and wrapped keys of *images*.
pub async fn filled(store: &Store) -> Vec<Vec<u8>> {
    let blob = store.put_blob(request(1), Images, IMAGE, at(0)).await.unwrap();
    let index = |kind: &str, class| LookupEntry { kind: kind.into(), value: VALUE.to_vec(), class };
    let commit = Commit {
        blobs: vec![blob],
        index: vec![index("crime-reference", Record), index("probe-digest", Images)],
        ..Commit::new(request(1), 0, vec![record("submitted", RECORD), classed("searched", Images, CANDIDATE)])
    };
    store.commit(commit).await.unwrap();
    store.commit(Commit::new(request(2), 0, vec![classed("searched", Images, b"other")])).await.unwrap();
    store.sequence(at(1)).await.unwrap();

    let stream = [b"R".as_slice(), RequestId::fixed(1).as_bytes()].concat();
    let db = behind(store, "records.db").await;
    let mut secret: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM event WHERE stream = $1 AND class = 'images'").bind(&stream).fetch_all(&db).await.unwrap();
    secret.extend(sqlx::query_scalar::<_, Vec<u8>>("SELECT mac FROM lookup WHERE class = 'images'").fetch_all(&db).await.unwrap());
    let keys = behind(store, "keys.db").await;
    secret.extend(
        sqlx::query_scalar::<_, Vec<u8>>("SELECT wrapped FROM wrapped_key WHERE scope = $1")
            .bind([b"S".as_slice(), &stream, b"images"].concat())
            .fetch_all(&keys)
            .await
            .unwrap(),
    );
    for file in files(&store.dir().join("blobs")) {
        secret.push(std::fs::read(file).unwrap());
    }
    db.close().await;
    keys.close().await;
    assert_eq!(secret.len(), 4);
    secret
}

/// Not one file of the data directory holds personal bytes in clear at any time, and after erasure not
/// one holds what was sealed, the key it was sealed under, or the look-up's HMAC.
#[tokio::test]
async fn the_erased_is_nowhere_and_the_log_still_verifies() {
    let (_dir, store) = fresh().await;
    let secret = filled(&store).await;
    for canary in [RECORD, CANDIDATE, IMAGE, VALUE] {
        assert_eq!(holding(store.dir(), canary), Vec::<std::path::PathBuf>::new());
    }
    for bytes in &secret {
        assert!(!holding(store.dir(), bytes).is_empty(), "the scan can find what is there");
    }
    let before = store.verify_log().await.unwrap();
    assert_eq!((before.fault, before.opened, before.erased), (None, 3, 0));

    let erased = store.erase(request(1), Images, at(9)).await.unwrap();
    assert_eq!(erased, Erased { keys: 1, payloads: 1, blobs: 1, lookups: 1 });
    for bytes in &secret {
        assert_eq!(holding(store.dir(), bytes), Vec::<std::path::PathBuf>::new());
    }
    let loaded = store.load(request(1)).await.unwrap();
    assert_eq!(loaded[0].payload.as_deref(), Some(RECORD));
    assert_eq!((loaded[1].payload.as_ref(), loaded[1].header.kind.as_str()), (None, "searched"));
    assert!(store.lookup("probe-digest", VALUE).await.unwrap().is_empty());
    assert_eq!(store.lookup("crime-reference", VALUE).await.unwrap(), [RequestId::fixed(1)]);
    assert!(store.load(request(2)).await.unwrap()[0].payload.is_some(), "only this request");
    assert_eq!(store.erased(request(1), Images).await.unwrap(), Some(at(9)));
    assert_eq!(store.erased(request(1), Record).await.unwrap(), None);

    let after = store.verify_log().await.unwrap();
    assert_eq!((after.fault, after.opened, after.erased, after.leaves), (None, 2, 1, 3));
}

/// Life goes on after an erasure: new events get a new key, and a second erasure takes those too.
#[tokio::test]
async fn recording_goes_on_after_erasure() {
    let (_dir, store) = fresh().await;
    filled(&store).await;
    store.erase(request(1), Record, at(2)).await.unwrap();
    store.commit(Commit::new(request(1), 2, vec![record("erased", b"after")])).await.unwrap();
    let loaded = store.load(request(1)).await.unwrap();
    assert_eq!(loaded[0].payload, None);
    assert_eq!(loaded[2].payload.as_deref(), Some(b"after".as_slice()));
    assert_eq!(store.erase(request(1), Record, at(3)).await.unwrap().payloads, 1);
    assert_eq!(store.erase(request(1), Record, at(4)).await.unwrap(), Erased::default());
    store.sequence(at(5)).await.unwrap();
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.fault, report.erased), (None, 2));
}

/// An old backup of the records, restored beside today's keys, does not bring the erased back.
#[tokio::test]
async fn a_restored_backup_stays_erased() {
    let (dir, store) = fresh().await;
    filled(&store).await;
    let path = store.dir().to_owned();
    store.close().await;
    let backup = dir.path().join("records.bak");
    std::fs::copy(path.join("records.db"), &backup).unwrap();

    let store = Store::open(&path).await.unwrap();
    store.erase(request(1), Images, at(2)).await.unwrap();
    store.close().await;
    std::fs::copy(&backup, path.join("records.db")).unwrap();

    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.load(request(1)).await.unwrap()[1].payload, None);
}

/// Killed between writing the erasure down and carrying it out: opening finishes it.
#[tokio::test]
async fn an_interrupted_erasure_is_finished_on_opening() {
    let (_dir, store) = fresh().await;
    let secret = filled(&store).await;
    let (db, keys) = (behind(&store, "records.db").await, behind(&store, "keys.db").await);
    sqlx::query(
        "INSERT INTO erasure (key_id, stream, class, at, done)
         SELECT key_id, stream, class, 1, 0 FROM event WHERE class = 'images' LIMIT 1",
    )
    .execute(&db)
    .await
    .unwrap();
    sqlx::query("UPDATE wrapped_key SET retired = 1 WHERE key_id = $1")
        .bind(sqlx::query_scalar::<_, Vec<u8>>("SELECT key_id FROM erasure").fetch_one(&db).await.unwrap())
        .execute(&keys)
        .await
        .unwrap();
    db.close().await;
    keys.close().await;
    let path = store.dir().to_owned();
    store.close().await;

    let store = Store::open(&path).await.unwrap();
    for bytes in &secret {
        assert_eq!(holding(&path, bytes), Vec::<std::path::PathBuf>::new());
    }
    assert_eq!(store.load(request(1)).await.unwrap()[1].payload, None);
    assert_eq!(store.verify_log().await.unwrap().fault, None);
}

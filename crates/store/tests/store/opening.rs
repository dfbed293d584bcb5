use crate::{ORIGIN, at, behind, files, fresh, record, request};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use store::{Commit, Store, StoreError};

#[tokio::test]
async fn a_new_store_is_private_and_opens_again() {
    let (_dir, store) = fresh().await;
    store.ping().await.unwrap();
    store.commit(Commit::new(request(1), 0, vec![record("submitted", b"x")])).await.unwrap();
    let (path, key) = (store.dir().to_owned(), store.verifier_key().to_string());
    assert!(key.starts_with(&format!("{ORIGIN}+")));
    for private in [path.clone(), path.join("secrets"), path.join("blobs")] {
        assert_eq!(fs::metadata(private).unwrap().permissions().mode() & 0o777, 0o700);
    }
    for file in files(&path.join("secrets")) {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    store.close().await;
    let again = Store::open(&path).await.unwrap();
    assert_eq!((again.origin(), again.verifier_key().to_string()), (ORIGIN, key));
    assert_eq!(again.load(request(1)).await.unwrap()[0].payload.as_deref(), Some(b"x".as_slice()));
}

#[tokio::test]
async fn create_leaves_other_peoples_directories_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.path().join("letter"), "mine").unwrap();
    let refused = Store::create(dir.path(), ORIGIN).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })));
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(matches!(Store::create(&dir.path().join("new"), "not an origin").await, Err(StoreError::Ledger(_))));
}

#[tokio::test]
async fn nothing_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(dir.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { missing: "records.db", .. }), "{error}");
    assert_eq!(files(dir.path()).len(), 0, "looking makes nothing");
}

#[tokio::test]
async fn a_directory_of_another_format_is_refused_and_left_as_it_is() {
    let (_dir, store) = fresh().await;
    let path = store.dir().to_owned();
    // As the first version left it, which did not say; and as a later one might.
    for (sql, format) in
        [("DELETE FROM house WHERE name = 'format'", "1"), ("INSERT INTO house (name, value) VALUES ('format', '99')", "99")]
    {
        let pool = behind(&store, "records.db").await;
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
        let refused = Store::open(&path).await.unwrap_err();
        assert!(matches!(&refused, StoreError::OtherFormat { found, .. } if found == format), "{refused:?}");
        let told = refused.to_string();
        assert!(told.contains("another version") && told.contains("start with an empty directory"), "what to do: {told}");
    }
    let pool = behind(&store, "records.db").await;
    sqlx::query("UPDATE house SET value = $1 WHERE name = 'format'").bind(store::FORMAT).execute(&pool).await.unwrap();
    pool.close().await;
    Store::open(&path).await.unwrap();
}

#[tokio::test]
async fn the_wrong_or_a_damaged_key_is_refused() {
    let (_dir, store) = fresh().await;
    let (_other_dir, other) = fresh().await;
    let (path, stranger) = (store.dir().to_owned(), other.dir().to_owned());
    store.close().await;
    let master = path.join("secrets/master.key");
    let right = fs::read(&master).unwrap();

    fs::copy(stranger.join("secrets/master.key"), &master).unwrap();
    assert!(matches!(Store::open(&path).await, Err(StoreError::WrongMasterKey)));
    fs::write(&master, &right[..40]).unwrap();
    assert!(matches!(Store::open(&path).await, Err(StoreError::BadSecret { .. })));
    fs::remove_file(&master).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { missing: "secrets/master.key", .. }));
    fs::write(&master, &right).unwrap();
    fs::set_permissions(&master, Permissions::from_mode(0o600)).unwrap();
    Store::open(&path).await.unwrap();

    // All of another store's secrets, which agree among themselves.
    for name in ["master.key", "log.key", "certificate.key", "lookup.key"] {
        fs::copy(stranger.join("secrets").join(name), path.join("secrets").join(name)).unwrap();
    }
    let opened = Store::open(&path).await;
    assert!(matches!(opened, Err(StoreError::WrongMasterKey)), "{opened:?}");
}

#[tokio::test]
async fn a_certificate_is_signed_here_and_read_back_here_only() {
    let (_dir, ours) = fresh().await;
    let (_other_dir, theirs) = fresh().await;
    let note = ours.sign_certificate("a text\n").unwrap();
    assert_eq!(ours.open_certificate(&note).unwrap(), "a text\n");
    assert!(theirs.open_certificate(&note).is_err(), "the same name, another installation's key");
    assert!(ours.open_certificate(&note.replacen("a text", "a test", 1)).is_err());
    // The log's key signs checkpoints and nothing else: each has its own name.
    assert_eq!(ours.certificate_key().origin(), format!("{ORIGIN}/certificates"));
    assert!(ledger::note::open(&note, &ours.verifier_key()).is_err());
    let path = ours.dir().to_owned();
    ours.close().await;
    assert_eq!(Store::open(&path).await.unwrap().open_certificate(&note).unwrap(), "a text\n");
    fs::remove_file(path.join("secrets/certificate.key")).unwrap();
    let refused = Store::open(&path).await.unwrap_err();
    assert!(matches!(&refused, StoreError::OtherFormat { found, .. } if found == "2 or older"), "{refused:?}");
}

#[tokio::test]
async fn secrets_that_others_can_read_are_refused() {
    let (_dir, store) = fresh().await;
    let secrets = store.dir().join("secrets");
    for (path, good) in [
        (secrets.join("master.key"), 0o600),
        (secrets.join("log.key"), 0o600),
        (secrets.join("lookup.key"), 0o600),
        (secrets.join("certificate.key"), 0o600),
        (secrets.clone(), 0o700),
    ] {
        for open in [0o040, 0o004, 0o020] {
            fs::set_permissions(&path, Permissions::from_mode(good | open)).unwrap();
            let error = Store::open(store.dir()).await.unwrap_err();
            assert!(matches!(&error, StoreError::Permissions { path: p, limit, .. } if *p == path && *limit == good), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(good)).unwrap();
        Store::open(store.dir()).await.unwrap();
    }
}

/// Every write is synced: the settings are asked of the database itself.
#[tokio::test]
async fn durable_by_default() {
    let (_dir, store) = fresh().await;
    store.commit(Commit::new(request(1), 0, vec![record("submitted", b"x")])).await.unwrap();
    // A copy of the files as a crash would leave them: database and write-ahead log, no clean close.
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("data");
    for file in files(store.dir()) {
        let target = to.join(file.strip_prefix(store.dir()).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
    fs::create_dir_all(to.join("blobs")).unwrap();
    fs::set_permissions(to.join("secrets"), Permissions::from_mode(0o700)).unwrap();
    let crashed = Store::open(&to).await.unwrap();
    crashed.sequence(at(1)).await.unwrap();
    assert_eq!(crashed.verify_log().await.unwrap().leaves, 1);
}

//! A new master key in the place of the old one.

use crate::erasing::filled;
use crate::{at, behind, fresh, holding, request};
use casework::record::RetentionClass::Images;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use store::{Place, Store, StoreError};

pub async fn everything_opens(store: &Store) {
    assert!(store.load(request(1)).await.unwrap().iter().all(|r| r.payload.is_some()));
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.fault, report.opened), (None, 3));
    assert!(store.open_certificate(&store.sign_certificate("a text\n").unwrap()).is_ok());
}

#[tokio::test]
async fn every_data_key_is_wrapped_anew_and_the_former_key_opens_nothing() {
    let (_dir, store) = fresh().await;
    filled(&store).await;
    let (path, key) = (store.dir().to_owned(), store.verifier_key().to_string());
    let refused = Store::rotate_master(&Place::folder(&path), None).await.unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    let db = behind(&store, "keys.db").await;
    let wrapped: Vec<Vec<u8>> = sqlx::query_scalar("SELECT wrapped FROM wrapped_key").fetch_all(&db).await.unwrap();
    db.close().await;
    let blob = fs::read(crate::files(&path.join("blobs")).pop().unwrap()).unwrap();
    store.close().await;
    let master = path.join("secrets/master.key");
    let former = fs::read(&master).unwrap();

    let done = Store::rotate_master(&Place::folder(&path), None).await.unwrap();
    assert_eq!(done, wrapped.len() as u64);
    let store = Store::open(&path).await.unwrap();
    everything_opens(&store).await;
    assert_eq!(store.verifier_key().to_string(), key, "the log is the same log");
    assert_eq!(fs::read(crate::files(&path.join("blobs")).pop().unwrap()).unwrap(), blob, "nothing was sealed again");
    for old in wrapped.iter().chain([&former[..64].to_vec()]) {
        assert_eq!(holding(&path, old), Vec::<PathBuf>::new(), "neither the former key nor what it wrapped is left");
    }
    assert_eq!(fs::read_dir(path.join("secrets")).unwrap().count(), 4);
    store.close().await;
    let present = fs::read(&master).unwrap();
    fs::write(&master, &former).unwrap();
    assert!(matches!(Store::open(&path).await, Err(StoreError::WrongMasterKey)));
    assert!(matches!(Store::rotate_master(&Place::folder(&path), None).await, Err(StoreError::WrongMasterKey)), "nor is it rotated by");
    assert_eq!(fs::read_dir(path.join("secrets")).unwrap().count(), 4);
    fs::write(&master, &present).unwrap();
    everything_opens(&Store::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn stopped_half_way_it_opens_as_before_and_goes_on() {
    let (_dir, store) = fresh().await;
    filled(&store).await;
    let path = store.dir().to_owned();
    // Keys enough for several transactions.
    for n in 100..400_u128 {
        store.put_blob(request(n), Images, b"a picture", at(0)).await.unwrap();
    }
    let db = behind(&store, "keys.db").await;
    store.close().await;
    let stop = "CREATE TRIGGER stop BEFORE UPDATE ON wrapped_key WHEN new.key_id > x'D0' BEGIN SELECT RAISE(ABORT, 'stopped'); END";
    sqlx::query(stop).execute(&db).await.unwrap();
    assert!(Store::rotate_master(&Place::folder(&path), None).await.is_err());
    assert!(path.join("secrets/master.next.key").exists());
    let store = Store::open(&path).await.unwrap();
    everything_opens(&store).await;
    // Work goes on meanwhile, with new keys.
    store.put_blob(request(900), Images, b"a picture", at(0)).await.unwrap();
    store.close().await;
    sqlx::query("DROP TRIGGER stop").execute(&db).await.unwrap();
    db.close().await;
    let done = Store::rotate_master(&Place::folder(&path), None).await.unwrap();
    assert!(done > 0 && done < 300, "{done} of some 306 were left to do");
    let store = Store::open(&path).await.unwrap();
    everything_opens(&store).await;
    assert!(!path.join("secrets/master.next.key").exists());
    store.close().await;
    // Killed when all was wrapped and before the keys changed places.
    let master = path.join("secrets/master.key");
    let before = fs::read(&master).unwrap();
    Store::rotate_master(&Place::folder(&path), None).await.unwrap();
    let after = fs::read(&master).unwrap();
    fs::write(path.join("secrets/master.next.key"), &after).unwrap();
    fs::set_permissions(path.join("secrets/master.next.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&master, &before).unwrap();
    everything_opens(&Store::open(&path).await.unwrap()).await;
    assert_eq!(Store::rotate_master(&Place::folder(&path), None).await.unwrap(), 0);
    everything_opens(&Store::open(&path).await.unwrap()).await;
}

/// A SoftHSM of a test's own (Debian's `softhsm2`).
pub struct Token(pub PathBuf);

impl Token {
    /// The module reads where its tokens are from the environment of its process. So a test runs itself again in a process that has
    /// one; `None` in the outer, once the inner passed.
    pub fn in_a_process_of_its_own(test: &str) -> Option<Self> {
        if let Some(config) = std::env::var_os("SOFTHSM2_CONF") {
            return Some(Self(PathBuf::from(config).parent().unwrap().to_owned()));
        }
        if !Path::new("/usr/bin/softhsm2-util").exists() {
            eprintln!("NOT RUN: no softhsm2-util (Debian's softhsm2; make setup-test)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (tokens, config) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
        fs::create_dir(&tokens).unwrap();
        fs::write(&config, format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display()))
            .unwrap();
        let run = |mut command: Command| {
            let out = command.env("SOFTHSM2_CONF", &config).output().unwrap();
            let said = [out.stdout, out.stderr].concat();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&said));
        };
        let mut making = Command::new("softhsm2-util");
        making.args(["--init-token", "--free", "--label", "countersign", "--pin", "12345678", "--so-pin", "87654321"]);
        run(making);
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", test, "--nocapture"]);
        run(again);
        None
    }

    /// A file (0600) beside the token.
    pub fn private(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// SoftHSM's module.
    pub fn module() -> &'static Path {
        let modules = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"].map(Path::new);
        modules.into_iter().find(|m| m.exists()).expect("libsofthsm2.so is missing: run make setup-test")
    }

    /// The file that says where the key of this name is.
    fn key(&self, name: &str, pin: &str) -> PathBuf {
        self.key_through(Self::module(), name, pin)
    }

    /// The same, by another module.
    pub fn key_through(&self, module: &Path, name: &str, pin: &str) -> PathBuf {
        let pin = self.private("pin", pin);
        let place = serde_json::json!({ "module": module, "token": "countersign", "key": name, "pin_file": pin });
        self.private(&format!("{name}.json"), &place.to_string())
    }
}

#[tokio::test]
async fn the_master_key_moves_into_a_token_to_another_there_and_back() {
    let Some(token) = Token::in_a_process_of_its_own("rotated::the_master_key_moves_into_a_token_to_another_there_and_back") else {
        return;
    };
    let (_dir, store) = fresh().await;
    filled(&store).await;
    let path = store.dir().to_owned();
    let place = Place::folder(&path);
    store.close().await;
    let secrets = || {
        let mut names: Vec<_> =
            fs::read_dir(path.join("secrets")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let former = fs::read(path.join("secrets/master.key")).unwrap();

    let first = token.key("first", "12345678\n");
    assert!(Store::rotate_master(&place, Some(&first)).await.unwrap() > 0);
    assert_eq!(secrets(), ["certificate.key", "log.key", "lookup.key", "master.pkcs11"]);
    assert_eq!(holding(&path, &former[..64]), Vec::<PathBuf>::new(), "the former key is nowhere");
    let store = Store::open(&path).await.unwrap();
    everything_opens(&store).await;
    store.put_blob(request(900), Images, b"a picture", at(0)).await.unwrap();
    store.close().await;
    let again = Store::rotate_master(&place, Some(&first)).await;
    assert!(matches!(again, Err(StoreError::Invalid(_))), "the one in use is no new one: {again:?}");

    let second = token.key("second", "12345678\n");
    assert!(Store::rotate_master(&place, Some(&second)).await.unwrap() > 0);
    everything_opens(&Store::open(&path).await.unwrap()).await;

    // A key that is not there, a wrong PIN, no token: said as what it is, and nothing is changed.
    let said = fs::read(path.join("secrets/master.pkcs11")).unwrap();
    let other = String::from_utf8(said.clone()).unwrap();
    for (instead, expected) in [
        (other.replace("second", "third"), "no AES key of that label"),
        (other.replace("\"countersign\"", "\"elsewhere\""), "no token of that label"),
        (other.replace("libsofthsm2", "libnothing"), "loading its module"),
    ] {
        fs::write(path.join("secrets/master.pkcs11"), instead).unwrap();
        let refused = Store::open(&path).await.unwrap_err();
        assert!(matches!(refused, StoreError::Token { .. }) && refused.to_string().contains(expected), "{refused}");
    }
    // Another key that is there is not the one that wrapped these.
    fs::write(path.join("secrets/master.pkcs11"), other.replace("second", "first")).unwrap();
    let refused = Store::open(&path).await.unwrap_err();
    assert!(matches!(refused, StoreError::WrongMasterKey), "{refused}");
    fs::write(path.join("secrets/master.pkcs11"), &said).unwrap();

    // A rotation that was stopped is gone on from as it was asked for, not to somewhere else.
    let next = path.join("secrets/master.next.key");
    fs::write(&next, "11".repeat(32)).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = Store::rotate_master(&place, Some(&first)).await.unwrap_err();
    assert!(refused.to_string().contains("under way"), "{refused}");
    fs::remove_file(&next).unwrap();

    assert!(Store::rotate_master(&place, None).await.unwrap() > 0);
    assert_eq!(secrets(), ["certificate.key", "log.key", "lookup.key", "master.key"]);
    everything_opens(&Store::open(&path).await.unwrap()).await;

    // Killed when a token's key was to take a file's place, and the file had gone.
    assert!(Store::rotate_master(&place, Some(&token.key("third", "12345678\n"))).await.is_ok());
    fs::rename(path.join("secrets/master.pkcs11"), path.join("secrets/master.next.pkcs11")).unwrap();
    everything_opens(&Store::open(&path).await.unwrap()).await;
    assert!(Store::rotate_master(&place, None).await.unwrap() > 0, "it goes on from there");
    assert_eq!(secrets(), ["certificate.key", "log.key", "lookup.key", "master.key"]);
    everything_opens(&Store::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn a_token_with_a_wrong_pin_is_a_clear_refusal() {
    let Some(token) = Token::in_a_process_of_its_own("rotated::a_token_with_a_wrong_pin_is_a_clear_refusal") else {
        return;
    };
    let (_dir, store) = fresh().await;
    let path = store.dir().to_owned();
    store.close().await;
    let place = Place::folder(&path);
    let file = token.key("first", "00000000\n");
    let refused = Store::rotate_master(&place, Some(&file)).await.unwrap_err();
    assert!(matches!(refused, StoreError::PinRefused { .. }) && !refused.to_string().contains("00000000"), "{refused}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = Store::rotate_master(&place, Some(&file)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Permissions { .. }), "{refused}");
    assert!(Store::open(&path).await.is_ok(), "nothing was changed");
}

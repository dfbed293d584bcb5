//! A token that fails, loses its session, or refuses its PIN: SoftHSM with something in between (`token.c`).

use crate::erasing::filled;
use crate::rotated::{Token, everything_opens};
use crate::{at, fresh, request};
use casework::record::RetentionClass::Images;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use store::{Place, Store, StoreError};

const PIN: &str = "12345678\n";
const WRONG: &str = "87654321\n";

impl Token {
    /// The module that stands in between.
    fn between(&self) -> PathBuf {
        let library = self.0.join("token.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/token.c");
        let real = format!("-DREAL={:?}", Self::module().display().to_string());
        let made = Command::new("cc").args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", &real, "-o"]).arg(&library).arg(source).output();
        let made = made.expect("cc is there: Rust links with it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        library
    }

    fn does(&self, what: &str) {
        fs::write(self.0.join(what), "").unwrap();
    }

    fn does_no_more(&self, what: &str) {
        fs::remove_file(self.0.join(what)).unwrap();
    }

    /// How often somebody signed in or tried to.
    fn sign_ins(&self) -> usize {
        fs::read_to_string(self.0.join("sign-ins")).unwrap_or_default().lines().count()
    }
}

/// A store whose master key is in the token, as `first`.
async fn in_token(token: &Token) -> (tempfile::TempDir, Store, PathBuf) {
    let (dir, store) = fresh().await;
    filled(&store).await;
    let path = store.dir().to_owned();
    store.close().await;
    let module = token.between();
    assert!(Store::rotate_master(&Place::folder(&path), Some(&token.key_through(&module, "first", PIN))).await.unwrap() > 0);
    let store = Store::open(&path).await.unwrap();
    everything_opens(&store).await;
    (dir, store, path)
}

#[tokio::test]
async fn d1_a_token_that_fails_is_not_taken_for_a_wrong_key() {
    let Some(token) = Token::in_a_process_of_its_own("token::d1_a_token_that_fails_is_not_taken_for_a_wrong_key") else {
        return;
    };
    let (_dir, store, path) = in_token(&token).await;
    token.does("failing");
    let said = store.put_blob(request(900), Images, b"a picture", at(0)).await.unwrap_err();
    assert!(matches!(said, StoreError::Token { .. }) && said.to_string().contains("nor does it open what it has just sealed"), "{said}");
    store.close().await;
    let said = Store::open(&path).await.unwrap_err();
    assert!(matches!(said, StoreError::Token { .. }), "not a wrong master key: {said}");
    token.does_no_more("failing");
    everything_opens(&Store::open(&path).await.unwrap()).await;
    // For a moment only: asked again, it opens.
    token.does("failing-once");
    let store = Store::open(&path).await.unwrap();
    assert!(!token.0.join("failing-once").exists());
    everything_opens(&store).await;
    store.close().await;

    // A token that works and was given what another key sealed, or something changed, still says so.
    let log = path.join("secrets/log.key");
    let sealed = fs::read(&log).unwrap();
    let mut changed = sealed.clone();
    changed[20] ^= 1;
    fs::write(&log, &changed).unwrap();
    let said = Store::open(&path).await.unwrap_err();
    assert!(matches!(said, StoreError::WrongMasterKey), "{said}");
    fs::write(&log, &sealed).unwrap();
    let module = token.0.join("token.so");
    assert!(Store::rotate_master(&Place::folder(&path), Some(&token.key_through(&module, "second", PIN))).await.unwrap() > 0);
    let place = path.join("secrets/master.pkcs11");
    let text = fs::read_to_string(&place).unwrap();
    fs::write(&place, text.replace("second", "first")).unwrap();
    let said = Store::open(&path).await.unwrap_err();
    assert!(matches!(said, StoreError::WrongMasterKey), "{said}");
    fs::write(&place, text).unwrap();
    everything_opens(&Store::open(&path).await.unwrap()).await;
}

#[tokio::test]
async fn d1_a_pin_that_a_token_refused_is_not_tried_again_until_its_file_changes() {
    let test = "token::d1_a_pin_that_a_token_refused_is_not_tried_again_until_its_file_changes";
    let Some(token) = Token::in_a_process_of_its_own(test) else {
        return;
    };
    let (_dir, store, path) = in_token(&token).await;
    let before = token.sign_ins();
    assert!(before > 0, "they are counted");
    let put = async |n: u128| store.put_blob(request(n), Images, b"a picture", at(0)).await;
    // A session that is lost is made good, with one sign-in.
    token.does("lost");
    put(900).await.unwrap();
    assert_eq!(token.sign_ins(), before + 1);

    // With a wrong PIN: one try, however much is asked of it, and a clear word each time.
    token.private("pin", WRONG);
    token.does("lost");
    for n in 901..906 {
        let said = put(n).await.unwrap_err();
        assert!(matches!(&said, StoreError::PinRefused { pin_file, .. } if pin_file.ends_with("pin")), "{said}");
        assert!(said.to_string().contains("it is wrong") && !said.to_string().contains(WRONG.trim()), "{said}");
    }
    assert!(matches!(Store::open(&path).await, Err(StoreError::PinRefused { .. })), "whoever asks in this process");
    assert_eq!(token.sign_ins(), before + 2, "one try");
    // Written anew, it is tried, once; the right one works, and the store goes on.
    token.private("pin", "11111111\n");
    for n in 906..909 {
        assert!(matches!(put(n).await, Err(StoreError::PinRefused { .. })));
    }
    assert_eq!(token.sign_ins(), before + 3);
    token.private("pin", PIN);
    put(909).await.unwrap();
    assert_eq!(token.sign_ins(), before + 4);

    // One that is locked is said to be. Unlocked with the same PIN, the file is written anew as it was.
    token.does("locked");
    token.does("lost");
    for n in 910..913 {
        let said = put(n).await.unwrap_err();
        assert!(matches!(said, StoreError::PinRefused { .. }) && said.to_string().contains("locked"), "{said}");
    }
    token.does_no_more("locked");
    assert!(put(913).await.is_err(), "nothing tells this process so");
    assert_eq!(token.sign_ins(), before + 5);
    std::thread::sleep(std::time::Duration::from_millis(20)); // a file system's clock may stand still for so long
    token.private("pin", PIN);
    put(914).await.unwrap();
    assert_eq!(token.sign_ins(), before + 6);
    everything_opens(&store).await;
}

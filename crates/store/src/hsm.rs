//! A master key in a PKCS#11 token (a hardware security module, or SoftHSM), which it never leaves.
//!
//! `secrets/master.pkcs11` says where: one JSON object with the `module` (the maker's library), the `token`'s and the `key`'s
//! label, and `pin_file`, a private file (0600) outside the data directory that holds the user PIN. The key is AES-256, made in the token if
//! it is not there, sensitive and never extractable. It wraps by AES-GCM, as the file provider does, with 12 random bytes
//! of our own before what the token answers.
//!
//! A token that answers no more is an error each time, never a wrong key; each call opens a new session if the last was lost. A PIN that
//! the token refused is not given to it again by this process, whoever asks and however often, until its file is written anew:
//! a token locks itself after a few wrong ones.

use crate::provider::KeyProvider;
use crate::sealing::{Aad, random};
use crate::secrets::read_private;
use crate::{Result, StoreError};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, aead::GcmParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Random bytes before the ciphertext: what AES-GCM takes.
const NONCE_BYTES: usize = 12;
/// What AES-GCM adds at the end.
const TAG_BYTES: usize = 16;

/// Where a master key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    module: PathBuf,
    token: String,
    key: String,
    pin_file: PathBuf,
}

impl Whereabouts {
    /// Reads a private file that says it.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bad = || StoreError::BadSecret { path: path.to_owned() };
        let value: serde_json::Value = serde_json::from_slice(&read_private(path)?).map_err(|_| bad())?;
        let text = |name: &str| value[name].as_str().filter(|t| !t.is_empty()).map(str::to_owned).ok_or_else(bad);
        Ok(Self { module: text("module")?.into(), token: text("token")?, key: text("key")?, pin_file: text("pin_file")?.into() })
    }

    /// Whether both name one key, however it is reached.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        (&self.token, &self.key) == (&other.token, &other.key)
    }

    fn fault(&self, what: &'static str, error: impl ToString) -> StoreError {
        StoreError::Token { token: self.token.clone(), what, why: error.to_string() }
    }
}

/// A master key in a token.
pub(crate) struct TokenProvider {
    place: Whereabouts,
    /// A session and the key in it. One at a time: a session does one thing at once.
    session: Mutex<Option<(Session, ObjectHandle)>>,
}

impl TokenProvider {
    /// Signs in and finds the key.
    ///
    /// # Errors
    /// [`StoreError::Token`] with what failed; a key that could be taken out of the token is refused.
    pub(crate) fn open(place: Whereabouts) -> Result<Self> {
        let session = sign_in(&place, false)?;
        Ok(Self { place, session: Mutex::new(Some(session)) })
    }

    /// The same, and the key is made if it is not there.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_or_make(place: Whereabouts) -> Result<Self> {
        let session = sign_in(&place, true)?;
        Ok(Self { place, session: Mutex::new(Some(session)) })
    }

    /// Does one thing with the key; once more with a new session if the first was lost with its token.
    fn with<T>(&self, what: &'static str, mut work: impl FnMut(&Session, ObjectHandle) -> std::result::Result<T, Error>) -> Result<T> {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((session, key)) = held.as_ref() {
            match work(session, *key) {
                Ok(done) => return Ok(done),
                Err(error) if !lost(&error) => return Err(self.place.fault(what, error)),
                Err(_) => *held = None,
            }
        }
        let (session, key) = held.insert(sign_in(&self.place, false)?);
        work(session, *key).map_err(|e| self.place.fault(what, e))
    }
}

impl KeyProvider for TokenProvider {
    fn wrap(&self, purpose: &Aad, secret: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let sealed = self.with("wrapping a key", |session, key| {
            let mut nonce = nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, purpose.bytes(), (8 * TAG_BYTES as u64).into())?);
            session.encrypt(&mechanism, key, secret)
        })?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn unwrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((nonce, sealed)) = wrapped.split_first_chunk::<NONCE_BYTES>().filter(|(_, s)| s.len() >= TAG_BYTES) else {
            return Ok(None);
        };
        let said = match self.open_sealed(purpose, nonce, sealed)? {
            Said::Opened(plain) => return Ok(Some(plain)),
            Said::NotThis => return Ok(None),
            Said::Unclear(error) => error,
        };
        // A token that fails says no more than one that was given another key's bytes. What it seals itself tells them apart; and
        // asked once more, one that failed for a moment is not taken for the other either.
        self.opens_its_own(&said)?;
        match self.open_sealed(purpose, nonce, sealed)? {
            Said::Opened(plain) => Ok(Some(plain)),
            Said::NotThis | Said::Unclear(_) => Ok(None),
        }
    }
}

/// What a token says of sealed bytes.
enum Said {
    Opened(Zeroizing<Vec<u8>>),
    /// Another key sealed them, or they were changed.
    NotThis,
    /// That, or that it fails.
    Unclear(Error),
}

impl TokenProvider {
    fn open_sealed(&self, purpose: &Aad, nonce: &[u8; NONCE_BYTES], sealed: &[u8]) -> Result<Said> {
        self.with(UNWRAPPING, |session, key| {
            let mut nonce = *nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, purpose.bytes(), (8 * TAG_BYTES as u64).into())?);
            match session.decrypt(&mechanism, key, sealed) {
                Ok(plain) => Ok(Said::Opened(Zeroizing::new(plain))),
                Err(Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::EncryptedDataLenRange, _)) => Ok(Said::NotThis),
                // What SoftHSM says of a wrong key.
                Err(error @ Error::Pkcs11(RvError::GeneralError, _)) => Ok(Said::Unclear(error)),
                Err(error) => Err(error),
            }
        })
    }

    /// Seals a text of our own with the key and opens it again.
    ///
    /// # Errors
    /// [`StoreError::Token`] with what it `said` before, if it does not.
    fn opens_its_own(&self, said: &Error) -> Result<()> {
        let failing =
            |how: String| self.place.fault(UNWRAPPING, format!("{said}; nor does it open what it has just sealed itself ({how})"));
        let (purpose, text) = (Aad::secret("a trial of the token"), random::<32>()?);
        let wrapped = self.wrap(&purpose, &text)?;
        let Some((nonce, sealed)) = wrapped.split_first_chunk() else {
            return Err(failing("it sealed nothing".into()));
        };
        match self.open_sealed(&purpose, nonce, sealed)? {
            Said::Opened(plain) if *plain == text => Ok(()),
            Said::Opened(_) => Err(failing("it opens as something else".into())),
            Said::NotThis => Err(failing("it says that another key sealed it".into())),
            Said::Unclear(error) => Err(failing(error.to_string())),
        }
    }
}

const UNWRAPPING: &str = "unwrapping a key";

/// What they say when the session went with the token, or the sign-in did.
fn lost(error: &Error) -> bool {
    use RvError::{DeviceRemoved, KeyHandleInvalid, SessionClosed, SessionHandleInvalid, TokenNotPresent, UserNotLoggedIn};
    matches!(
        error,
        Error::Pkcs11(DeviceRemoved | KeyHandleInvalid | SessionClosed | SessionHandleInvalid | TokenNotPresent | UserNotLoggedIn, _)
    )
}

/// A maker's library is loaded and begun once in a process, whoever asks.
fn module(place: &Whereabouts) -> Result<Pkcs11> {
    static BEGUN: OnceLock<Mutex<HashMap<PathBuf, Pkcs11>>> = OnceLock::new();
    let mut begun = BEGUN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = begun.get(&place.module) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(&place.module).map_err(|e| place.fault("loading its module", e))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(e) => return Err(place.fault("beginning with its module", e)),
    }
    begun.insert(place.module.clone(), module.clone());
    Ok(module)
}

fn sign_in(place: &Whereabouts, make: bool) -> Result<(Session, ObjectHandle)> {
    let module = module(place)?;
    let slots = module.get_slots_with_initialized_token().map_err(|e| place.fault("looking for it", e))?;
    let named = |slot: &cryptoki::slot::Slot| module.get_token_info(*slot).is_ok_and(|info| info.label() == place.token);
    let slot = slots.into_iter().find(named).ok_or_else(|| place.fault("looking for it", "there is no token of that label"))?;
    let session = if make { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
    let session = session.map_err(|e| place.fault("opening a session", e))?;
    log_in(place, &session)?;
    let label = Attribute::Label(place.key.as_bytes().to_vec());
    let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES), label.clone()];
    let mut found = session.find_objects(&wanted).map_err(|e| place.fault("looking for the key", e))?;
    if found.is_empty() && make {
        let template = [
            label,
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::ValueLen(32.into()),
        ];
        found = vec![session.generate_key(&Mechanism::AesKeyGen, &template).map_err(|e| place.fault("making the key", e))?];
    }
    let [key] = found.as_slice() else {
        let why = if found.is_empty() { "there is no AES key of that label" } else { "there are several AES keys of that label" };
        return Err(place.fault("looking for the key", why));
    };
    let kept = session.get_attributes(*key, &[AttributeType::Sensitive, AttributeType::Extractable]);
    let kept = kept.map_err(|e| place.fault("looking at the key", e))?;
    if !kept.contains(&Attribute::Sensitive(true)) || !kept.contains(&Attribute::Extractable(false)) {
        return Err(place.fault("looking at the key", "it can be taken out of the token; make one that cannot"));
    }
    Ok((session, *key))
}

/// A PIN as its file has it.
#[derive(PartialEq, Eq)]
struct Pin {
    text: Zeroizing<Vec<u8>>,
    written: Option<SystemTime>,
}

impl Pin {
    fn read(path: &Path) -> Result<Self> {
        let written = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        Ok(Self { text: Zeroizing::new(read_private(path)?.trim_ascii_end().to_vec()), written })
    }
}

/// A PIN that a token refused, and in which words.
struct Refused {
    pin: Pin,
    why: &'static str,
}

/// Which PIN: the module, the token's label, and the PIN's file.
type Which = (PathBuf, String, PathBuf);

/// What tokens refused in this process.
static REFUSED: Mutex<BTreeMap<Which, Refused>> = Mutex::new(BTreeMap::new());

/// Gives the PIN to the token, unless the token refused it before. One at a time: what one learns, the next need not try.
fn log_in(place: &Whereabouts, session: &Session) -> Result<()> {
    let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    let which = (place.module.clone(), place.token.clone(), place.pin_file.clone());
    let refusal = |why: &'static str| StoreError::PinRefused { token: place.token.clone(), pin_file: place.pin_file.clone(), why };
    let pin = Pin::read(&place.pin_file)?;
    if let Some(before) = refused.get(&which).filter(|before| before.pin == pin) {
        return Err(refusal(before.why));
    }
    let text = std::str::from_utf8(&pin.text).map_err(|_| StoreError::BadSecret { path: place.pin_file.clone() })?;
    match session.login(UserType::User, Some(&AuthPin::new(text.into()))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
            refused.remove(&which);
            Ok(())
        }
        Err(e) => {
            let Some(why) = refuses(&e) else { return Err(place.fault("signing in", e)) };
            refused.insert(which, Refused { pin, why });
            Err(refusal(why))
        }
    }
}

/// What a token says of a PIN that it does not take, in words; `None` for what has nothing to do with the PIN.
fn refuses(error: &Error) -> Option<&'static str> {
    match error {
        Error::Pkcs11(RvError::PinLocked, _) => Some("it is locked; whoever administers the token can unlock it"),
        Error::Pkcs11(RvError::PinExpired, _) => Some("it has expired; set a new one in the token"),
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => Some("it is wrong"),
        _ => None,
    }
}

//! Sessions: a random id in a cookie, and sealed bytes in the store.
//!
//! The store never sees the id. It sees SHA-256 of it as a key, and the session's contents sealed
//! under a key derived from the id; so a stolen store signs nobody in and shows nothing that somebody
//! was typing. What a session holds: who signed in and when, the form token, notices for the next
//! page, and at most one form that arrived after its session had ended ([`crate::kept`]).

use crate::{
    desk::{Desk, Person, SessionKey, Unavailable},
    limits::{SESSION_IDLE_S, SESSION_MAX_S, SESSION_TOUCH_S},
};
use async_trait::async_trait;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, hkdf,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::{SameSite, time::Duration, time::OffsetDateTime},
    session::{Id, Record},
    session_store,
};
use uuid::Uuid;

const PERSON: &str = "person";
const SINCE: &str = "since";
const SEEN: &str = "seen";
const TOKEN: &str = "token";
const NOTICES: &str = "notices";

/// The adapter between tower-sessions and the house.
#[derive(Clone)]
pub(crate) struct SealedSessions(pub(crate) Arc<dyn Desk>);

impl fmt::Debug for SealedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSessions")
    }
}

/// The layer that gives each request its [`Session`].
pub(crate) fn layer(desk: Arc<dyn Desk>, secure: bool) -> SessionManagerLayer<SealedSessions> {
    SessionManagerLayer::new(SealedSessions(desk))
        // The prefix makes browsers refuse a cookie that another subdomain or a plain connection set.
        .with_name(if secure { "__Host-countersign" } else { "countersign" })
        .with_secure(secure)
        .with_http_only(true)
        // Strict would show the sign-in page to somebody who follows a link from an email.
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(Duration::seconds(SESSION_IDLE_S)))
}

fn store_key(id: &Id) -> SessionKey {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"countersign session key v1");
    context.update(&id.0.to_be_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

struct Len32;
impl hkdf::KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

fn sealing_key(id: &Id) -> session_store::Result<RandomizedNonceKey> {
    let failed = |_| session_store::Error::Backend("a session key could not be derived".into());
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"countersign session seal v1")
        .extract(&id.0.to_be_bytes())
        .expand(&[b"contents"], Len32)
        .and_then(|okm| okm.fill(&mut key))
        .map_err(failed)?;
    RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(failed)
}

fn seal(record: &Record) -> session_store::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(record).map_err(|e| session_store::Error::Encode(e.to_string()))?;
    let nonce = sealing_key(&record.id)?
        .seal_in_place_append_tag(Aad::from(b"session"), &mut bytes)
        .map_err(|_| session_store::Error::Encode("a session could not be sealed".into()))?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut bytes);
    Ok(sealed)
}

fn unseal(id: &Id, sealed: &[u8]) -> session_store::Result<Record> {
    let failed = || session_store::Error::Decode("a stored session does not open with its own id".into());
    let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or_else(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
    let mut bytes = bytes.to_vec();
    let plain = sealing_key(id)?.open_in_place(nonce, Aad::from(b"session"), &mut bytes).map_err(|_| failed())?;
    serde_json::from_slice(plain).map_err(|_| failed())
}

fn backend(e: Unavailable) -> session_store::Error {
    session_store::Error::Backend(e.to_string())
}

fn expires(record: &Record) -> Timestamp {
    Timestamp::from_second(record.expiry_date.unix_timestamp()).unwrap_or(Timestamp::MIN)
}

#[async_trait]
impl SessionStore for SealedSessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        // 128 random bits do not collide; if they ever did, the two would share one sealed record that
        // only one of them can open, so a fresh id is drawn.
        while self.0.session(store_key(&record.id)).await.map_err(backend)?.is_some() {
            record.id = Id::default();
        }
        self.0.put_session(store_key(&record.id), seal(record)?, expires(record)).await.map_err(backend)
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        self.0.replace_session(store_key(&record.id), seal(record)?, expires(record)).await.map(|_| ()).map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        match self.0.session(store_key(id)).await.map_err(backend)? {
            Some(sealed) => Ok(Some(unseal(id, &sealed)?).filter(|r| r.expiry_date > OffsetDateTime::now_utc())),
            None => Ok(None),
        }
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.0.forget_session(store_key(id)).await.map_err(backend)
    }
}

/// Who is looking, if anybody is signed in, and the token their forms carry.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The person signed in.
    pub person: Option<Person>,
    /// The form token of this session; empty until something needs one.
    pub token: String,
}

/// What a notice at the top of the next page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// Something was done.
    Success,
    /// Something to know.
    Information,
}

/// A notice at the top of the next page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Which colour and heading.
    pub kind: NoticeKind,
    /// One sentence, without personal data.
    pub words: String,
}

/// Reads who is looking out of a session, and marks the session as still in use.
pub(crate) async fn visitor(session: &Session, desk: &dyn Desk) -> Result<Visitor, Unavailable> {
    let gone = |_| Unavailable;
    let token: String = session.get(TOKEN).await.map_err(gone)?.unwrap_or_default();
    let Some(id) = session.get::<Uuid>(PERSON).await.map_err(gone)? else {
        return Ok(Visitor { person: None, token });
    };
    let now = Timestamp::now().as_second();
    let since: i64 = session.get(SINCE).await.map_err(gone)?.unwrap_or_default();
    // Somebody who has left, or has been signed in for too long, is nobody from now on.
    let person = if now - since < SESSION_MAX_S { desk.person(id).await? } else { None };
    if person.is_none() {
        session.flush().await.map_err(gone)?;
        return Ok(Visitor::default());
    }
    let seen: i64 = session.get(SEEN).await.map_err(gone)?.unwrap_or_default();
    if now - seen >= SESSION_TOUCH_S {
        session.insert(SEEN, now).await.map_err(gone)?;
    }
    Ok(Visitor { person, token })
}

/// The session's form token, made now if it has none.
pub(crate) async fn token(session: &Session) -> Result<String, Unavailable> {
    if let Some(token) = session.get::<String>(TOKEN).await.map_err(|_| Unavailable)? {
        return Ok(token);
    }
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Unavailable)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    session.insert(TOKEN, &token).await.map_err(|_| Unavailable)?;
    Ok(token)
}

/// Signs a person in: a new id (so that a planted cookie is worth nothing) and a new form token.
pub(crate) async fn sign_in(session: &Session, person: Uuid) -> Result<(), Unavailable> {
    let gone = |_| Unavailable;
    session.cycle_id().await.map_err(gone)?;
    session.remove_value(TOKEN).await.map_err(gone)?;
    token(session).await?;
    let now = Timestamp::now().as_second();
    session.insert(SINCE, now).await.map_err(gone)?;
    session.insert(SEEN, now).await.map_err(gone)?;
    session.insert(PERSON, person).await.map_err(gone)
}

/// Puts a notice at the top of the next page.
pub(crate) async fn notice(session: &Session, notice: Notice) -> Result<(), Unavailable> {
    let mut all: Vec<Notice> = session.get(NOTICES).await.map_err(|_| Unavailable)?.unwrap_or_default();
    all.push(notice);
    session.insert(NOTICES, all).await.map_err(|_| Unavailable)
}

/// Takes the notices for this page; they are shown once.
pub(crate) async fn take_notices(session: &Session) -> Result<Vec<Notice>, Unavailable> {
    if session.get_value(NOTICES).await.map_err(|_| Unavailable)?.is_none() {
        return Ok(Vec::new());
    }
    Ok(session.remove(NOTICES).await.map_err(|_| Unavailable)?.unwrap_or_default())
}

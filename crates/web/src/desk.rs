//! What the pages need from the house before any page is drawn: where sessions are kept and who the
//! people are. `bureau` stands behind it in the product; [`MemoryDesk`] in tests of the pages alone.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::HashMap, sync::Mutex};
use uuid::Uuid;

/// The house did not answer. The cause was logged where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records could not be reached; nothing was changed, try again in a moment")]
pub struct Unavailable;

/// Names a session in the store: SHA-256 of its id, so that who reads the store cannot sign in with it.
pub type SessionKey = [u8; 32];

/// A person who can sign in, as the pages show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Their id.
    pub id: Uuid,
    /// Their name.
    pub name: String,
    /// Their roles in kebab-case (`team-leader`), which choose the navigation. Whether they may *do*
    /// something is never decided here.
    pub roles: Vec<String>,
    /// Their roles in words: `Caseworker and examiner`.
    pub role_words: String,
    /// Their force, team or office.
    pub organisation: String,
}

/// Where sessions are kept: opaque, already sealed bytes by key, with an expiry.
#[async_trait]
pub trait SessionBackend: Send + Sync + 'static {
    /// The bytes under a key, unless expired.
    async fn session(&self, key: SessionKey) -> Result<Option<Vec<u8>>, Unavailable>;
    /// Puts bytes under a new key until `expires`.
    async fn put_session(&self, key: SessionKey, bytes: Vec<u8>, expires: Timestamp) -> Result<(), Unavailable>;
    /// Replaces the bytes and expiry under a key that is still there; `false` if it is not, so that a
    /// request still running cannot bring back a session that was just signed out.
    async fn replace_session(&self, key: SessionKey, bytes: Vec<u8>, expires: Timestamp) -> Result<bool, Unavailable>;
    /// Forgets a key; nothing happens if it is not there.
    async fn forget_session(&self, key: SessionKey) -> Result<(), Unavailable>;
}

/// Sessions, people and readiness: all that the pages' frame asks of the house.
#[async_trait]
pub trait Desk: SessionBackend {
    /// A person who may sign in today, or none.
    async fn person(&self, id: Uuid) -> Result<Option<Person>, Unavailable>;
    /// Everybody who may sign in today, for the demo's sign-in page.
    async fn people(&self) -> Result<Vec<Person>, Unavailable>;
    /// Whether requests can be served now.
    async fn ready(&self) -> Result<(), Unavailable>;
}

/// A desk in memory, for tests and examples of the pages alone.
#[derive(Debug, Default)]
pub struct MemoryDesk {
    people: Vec<Person>,
    sessions: Mutex<HashMap<SessionKey, (Vec<u8>, Timestamp)>>,
}

impl MemoryDesk {
    /// A desk that knows these people.
    #[must_use]
    pub fn new(people: Vec<Person>) -> Self {
        Self { people, sessions: Mutex::default() }
    }

    /// How many sessions are held.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.held().len()
    }

    /// Ends every session, as the passing of time would.
    pub fn end_all_sessions(&self) {
        self.held().clear();
    }

    /// Everything held, as somebody who stole the store would see it.
    #[must_use]
    pub fn stolen(&self) -> Vec<(SessionKey, Vec<u8>)> {
        self.held().iter().map(|(k, (bytes, _))| (*k, bytes.clone())).collect()
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<SessionKey, (Vec<u8>, Timestamp)>> {
        self.sessions.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionBackend for MemoryDesk {
    async fn session(&self, key: SessionKey) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.held().get(&key).filter(|(_, until)| *until > Timestamp::now()).map(|(bytes, _)| bytes.clone()))
    }
    async fn put_session(&self, key: SessionKey, bytes: Vec<u8>, expires: Timestamp) -> Result<(), Unavailable> {
        self.held().insert(key, (bytes, expires));
        Ok(())
    }
    async fn replace_session(&self, key: SessionKey, bytes: Vec<u8>, expires: Timestamp) -> Result<bool, Unavailable> {
        Ok(self.held().get_mut(&key).map(|slot| *slot = (bytes, expires)).is_some())
    }
    async fn forget_session(&self, key: SessionKey) -> Result<(), Unavailable> {
        self.held().remove(&key);
        Ok(())
    }
}

#[async_trait]
impl Desk for MemoryDesk {
    async fn person(&self, id: Uuid) -> Result<Option<Person>, Unavailable> {
        Ok(self.people.iter().find(|p| p.id == id).cloned())
    }
    async fn people(&self) -> Result<Vec<Person>, Unavailable> {
        Ok(self.people.clone())
    }
    async fn ready(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}

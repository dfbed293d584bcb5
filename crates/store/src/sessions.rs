//! Signed-in sessions, for the web room's session layer: found by the SHA-256 of their id, sealed.

use crate::db;
use crate::keys::{DataKey, Keyring, Scope};
use crate::sealing::Aad;
use crate::{Result, Store, StoreError, micros, within};
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

/// Largest session record, in bytes.
pub const MAX_SESSION_BYTES: usize = 1024 * 1024;

fn session_key(id: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, id).as_ref());
    key
}

impl Store {
    /// Stores a new session; `false` if that id is taken (draw another).
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; database errors.
    pub async fn create_session(&self, id: &[u8], record: &[u8], expires_at: Timestamp) -> Result<bool> {
        let (hash, key, sealed) = self.seal_session(id, record, expires_at).await?;
        let mut tx = self.write_beside().await?;
        let made = db::query(
            "INSERT INTO session (key, key_id, sealed, expires_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(hash.as_slice())
        .bind(key.id.as_slice())
        .bind(sealed)
        .bind(micros(expires_at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(made.rows_affected() == 1)
    }

    /// Stores a session, new or not.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; database errors.
    pub async fn put_session(&self, id: &[u8], record: &[u8], expires_at: Timestamp) -> Result<()> {
        let (hash, key, sealed) = self.seal_session(id, record, expires_at).await?;
        let mut tx = self.write_beside().await?;
        db::query(
            "INSERT INTO session (key, key_id, sealed, expires_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (key) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed,
               expires_at = excluded.expires_at",
        )
        .bind(hash.as_slice())
        .bind(key.id.as_slice())
        .bind(sealed)
        .bind(micros(expires_at))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Replaces a session that is still there; `false` if it is not, so that a request still running
    /// cannot bring back a session that was just ended.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; database errors.
    pub async fn replace_session(&self, id: &[u8], record: &[u8], expires_at: Timestamp) -> Result<bool> {
        let (hash, key, sealed) = self.seal_session(id, record, expires_at).await?;
        let mut tx = self.write_beside().await?;
        let done = db::query("UPDATE session SET key_id = $2, sealed = $3, expires_at = $4 WHERE key = $1")
            .bind(hash.as_slice())
            .bind(key.id.as_slice())
            .bind(sealed)
            .bind(micros(expires_at))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// A session that has not expired by `now`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub async fn get_session(&self, id: &[u8], now: Timestamp) -> Result<Option<Vec<u8>>> {
        let hash = session_key(id);
        let found = db::query("SELECT key_id, sealed FROM session WHERE key = $1 AND expires_at > $2")
            .bind(hash.as_slice())
            .bind(micros(now))
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = found else { return Ok(None) };
        let damaged = || StoreError::Damaged { what: "session" };
        let key = self.keys().find(&mut Keyring::new(), row.try_get(0)?).await?.ok_or_else(damaged)?;
        key.open(&Aad::session(&hash), row.try_get(1)?).map(|plain| Some(plain.to_vec())).ok_or_else(damaged)
    }

    /// Ends a session. One that is not there is no error.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_session(&self, id: &[u8]) -> Result<()> {
        let mut tx = self.write_beside().await?;
        db::query("DELETE FROM session WHERE key = $1").bind(session_key(id).as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes sessions that have expired by `now`, and destroys the keys of the days before; returns how many.
    ///
    /// # Errors
    /// Database errors.
    pub async fn purge_sessions(&self, now: Timestamp) -> Result<u64> {
        let mut tx = self.write_beside().await?;
        let gone = db::query("DELETE FROM session WHERE expires_at <= $1").bind(micros(now)).execute(&mut *tx).await?;
        // Within the write transaction, so that no session is being sealed for one of those days meanwhile.
        let mut over = self.keys().of_past_sessions(now).await?;
        let used: Vec<Vec<u8>> = db::query_scalar("SELECT DISTINCT key_id FROM session").fetch_all(&mut *tx).await?;
        over.retain(|id| !used.iter().any(|u| u == id));
        self.keys().destroy(&over).await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }

    async fn seal_session(&self, id: &[u8], record: &[u8], expires_at: Timestamp) -> Result<([u8; 32], DataKey, Vec<u8>)> {
        within("session", record.len(), MAX_SESSION_BYTES, "bytes")?;
        let hash = session_key(id);
        let key = self.keys().current(&Scope::sessions(expires_at)).await?;
        let sealed = key.key.seal(&Aad::session(&hash), record)?;
        Ok((hash, key, sealed))
    }
}

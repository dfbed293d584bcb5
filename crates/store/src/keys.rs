//! Data keys, wrapped by the master key, in a database of their own.

use crate::db::{self, Connection};
use crate::log::SignedCheckpoint;
use crate::place::Base;
use crate::provider::Masters;
use crate::sealing::{Aad, SealingKey, Secret, random};
use crate::{Result, StoreError, rows};
use casework::ids::DraftId;
use casework::record::{GalleryId, RetentionClass};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Names a data key; stands beside everything sealed under it.
pub(crate) type KeyId = [u8; 16];

/// What a data key is for, as stored in `wrapped_key.scope`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope(Vec<u8>);

impl Scope {
    /// `'S'`, the stream (17 bytes), the class's name: one key per request *and* retention class.
    pub(crate) fn stream(stream: &[u8; 17], class: RetentionClass) -> Self {
        Self([b"S", stream.as_slice(), rows::class_text(class).as_bytes()].concat())
    }
    /// The same for one London day of a stream that never ends: its keys go day by day.
    pub(crate) fn stream_on(stream: &[u8; 17], class: RetentionClass, day: Date) -> Self {
        let mut scope = Self::stream(stream, class);
        scope.0.extend_from_slice(format!(" {day}").as_bytes());
        scope
    }
    /// Every key of a stream, of all classes and days: what begins with this.
    fn whole_stream(stream: &[u8; 17]) -> Self {
        Self([b"S", stream.as_slice()].concat())
    }
    /// `'D'`, the draft's id.
    pub(crate) fn draft(id: DraftId) -> Self {
        Self([b"D", id.as_bytes().as_slice()].concat())
    }
    /// `'H'`, the gallery's name: one key per gallery.
    pub(crate) fn gallery(gallery: GalleryId) -> Self {
        Self([b"H", rows::gallery_text(gallery).as_bytes()].concat())
    }
    /// `'K'`: seals nothing; tells this store's master key from another's.
    pub(crate) fn check() -> Self {
        Self(b"K".to_vec())
    }
    /// `'N'`, the UTC day on which they expire: one key for all sessions of a day, which goes with the last.
    pub(crate) fn sessions(expires: Timestamp) -> Self {
        Self([b"N", expires.to_zoned(TimeZone::UTC).date().to_string().as_bytes()].concat())
    }
    /// What begins with this scope: from here to there, the end left out.
    fn range(&self) -> (Vec<u8>, Vec<u8>) {
        let mut end = self.0.clone();
        // No scope ends in 0xFF: each begins with a letter.
        while let Some(last) = end.pop() {
            if last < 0xFF {
                end.push(last + 1);
                break;
            }
        }
        (self.0.clone(), end)
    }
}

/// A data key ready to use.
#[derive(Clone)]
pub(crate) struct DataKey {
    pub(crate) id: KeyId,
    pub(crate) key: Arc<SealingKey>,
}

/// The data keys fetched during one call; never outlives it, so that a destroyed key is gone at once.
pub(crate) type Keyring = HashMap<KeyId, Option<Arc<SealingKey>>>;

const CURRENT: &str = "SELECT key_id, wrapped FROM wrapped_key WHERE scope = $1 AND retired = 0";

/// Keys wrapped anew in one transaction.
const REWRAPPED_AT_ONCE: usize = 200;

pub(crate) struct KeyStore {
    base: Base,
    masters: Masters,
}

impl KeyStore {
    pub(crate) fn new(base: Base, masters: Masters) -> Self {
        Self { base, masters }
    }

    /// The database itself.
    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        db::query("SELECT count(*) FROM wrapped_key WHERE scope = $1").bind(Vec::new()).fetch_one(&self.base.reader).await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.base.close().await;
    }

    /// Refuses a master key that did not wrap this store's keys, and a key store that is not the one
    /// made together with it.
    pub(crate) async fn check_master(&self) -> Result<()> {
        let scope = Scope::check();
        let row =
            db::query(CURRENT).bind(&scope.0).fetch_optional(&self.base.reader).await?.ok_or(StoreError::Damaged { what: "key store" })?;
        match self.unwrap(&scope, row.try_get(0)?, row.try_get(1)?) {
            Ok(_) => Ok(()),
            Err(StoreError::Damaged { .. }) => Err(StoreError::WrongMasterKey),
            Err(e) => Err(e),
        }
    }

    /// The current key for `scope`, made and durably stored first if there is none.
    pub(crate) async fn current(&self, scope: &Scope) -> Result<DataKey> {
        if let Some(row) = db::query(CURRENT).bind(&scope.0).fetch_optional(&self.base.reader).await? {
            return self.unwrap(scope, row.try_get(0)?, row.try_get(1)?);
        }
        let secret: Secret = Zeroizing::new(random()?);
        let id: KeyId = random()?;
        let wrapped = self.masters.wrap(&Aad::wrap(&id, &scope.0), secret.as_slice())?;
        let mut tx = self.base.writer.write().await?;
        db::query("INSERT INTO wrapped_key (key_id, scope, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(id.as_slice())
            .bind(&scope.0)
            .bind(wrapped)
            .execute(&mut *tx)
            .await?;
        // Another writer may have been first: what is stored counts.
        let row = db::query(CURRENT).bind(&scope.0).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        self.unwrap(scope, row.try_get(0)?, row.try_get(1)?)
    }

    fn unwrap(&self, scope: &Scope, id: &[u8], wrapped: &[u8]) -> Result<DataKey> {
        let id: KeyId = rows::array(id, "key id")?;
        let plain = self.masters.unwrap(&Aad::wrap(&id, &scope.0), wrapped)?.ok_or(StoreError::Damaged { what: "data key" })?;
        let secret: Secret = Zeroizing::new(rows::array(&plain, "data key")?);
        Ok(DataKey { id, key: Arc::new(SealingKey::new(&secret)?) })
    }

    /// The key `id`, or `None` once it is destroyed. Remembered in `ring` for the rest of the call.
    pub(crate) async fn find(&self, ring: &mut Keyring, id: &[u8]) -> Result<Option<Arc<SealingKey>>> {
        let id: KeyId = rows::array(id, "key id")?;
        if let Some(known) = ring.get(&id) {
            return Ok(known.clone());
        }
        let row = db::query("SELECT scope, wrapped FROM wrapped_key WHERE key_id = $1")
            .bind(id.as_slice())
            .fetch_optional(&self.base.reader)
            .await?;
        let found = match row {
            Some(row) => Some(self.unwrap(&Scope(row.try_get(0)?), &id, row.try_get(1)?)?.key),
            None => None,
        };
        ring.insert(id, found.clone());
        Ok(found)
    }

    /// Takes the keys of `scope` out of use, keeping them until [`Self::destroy`]: what is sealed from
    /// now on gets a new key. Returns every key of the scope, also those retired before.
    pub(crate) async fn retire(&self, scope: &Scope) -> Result<Vec<KeyId>> {
        let mut tx = self.base.writer.write().await?;
        let ids: Vec<Vec<u8>> = db::query_scalar("UPDATE wrapped_key SET retired = 1 WHERE scope = $1 RETURNING key_id")
            .bind(&scope.0)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        ids.iter().map(|id| rows::array(id, "key id")).collect()
    }

    /// Takes one key out of use, as [`Self::retire`] does.
    pub(crate) async fn retire_one(&self, id: &[u8]) -> Result<KeyId> {
        let mut tx = self.base.writer.write().await?;
        db::query("UPDATE wrapped_key SET retired = 1 WHERE key_id = $1").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        rows::array(id, "key id")
    }

    /// Every draft that has a key.
    pub(crate) async fn drafts(&self) -> Result<Vec<(DraftId, KeyId)>> {
        let mut drafts = Vec::new();
        for (scope, id) in self.beginning(&Scope(b"D".to_vec())).await? {
            if let Some(draft) = crate::blobs::draft_of(&scope) {
                drafts.push((draft, id));
            }
        }
        Ok(drafts)
    }

    /// Every key of a stream.
    pub(crate) async fn of_stream(&self, stream: &[u8; 17]) -> Result<Vec<KeyId>> {
        Ok(self.beginning(&Scope::whole_stream(stream)).await?.into_iter().map(|(_, id)| id).collect())
    }

    /// Every key of sessions that have all expired by `now`.
    pub(crate) async fn of_past_sessions(&self, now: Timestamp) -> Result<Vec<KeyId>> {
        let today = Scope::sessions(now).0;
        let found = self.beginning(&Scope(b"N".to_vec())).await?;
        Ok(found.into_iter().filter(|(scope, _)| *scope < today).map(|(_, id)| id).collect())
    }

    async fn beginning(&self, scope: &Scope) -> Result<Vec<(Vec<u8>, KeyId)>> {
        let (from, to) = scope.range();
        let found = db::query("SELECT scope, key_id FROM wrapped_key WHERE scope >= $1 AND scope < $2")
            .bind(from)
            .bind(to)
            .fetch_all(&self.base.reader)
            .await?;
        found.iter().map(|row| Ok((row.try_get(0)?, rows::array(row.try_get(1)?, "key id")?))).collect()
    }

    /// Wraps every key by the next master key, a few in each transaction; returns how many were not yet.
    pub(crate) async fn rewrap(&self) -> Result<u64> {
        let mut ids: Vec<Vec<u8>> = db::query_scalar("SELECT key_id FROM wrapped_key ORDER BY key_id").fetch_all(&self.base.reader).await?;
        let mut done = 0;
        while !ids.is_empty() {
            let rest = ids.split_off(ids.len().min(REWRAPPED_AT_ONCE));
            let mut tx = self.base.writer.write().await?;
            for id in &ids {
                let row = db::query("SELECT scope, wrapped FROM wrapped_key WHERE key_id = $1").bind(id).fetch_optional(&mut *tx).await?;
                let Some(row) = row else { continue };
                let aad = Aad::wrap(&rows::array(id, "key id")?, row.try_get(0)?);
                if let Some(wrapped) = self.masters.rewrap(&aad, row.try_get(1)?)? {
                    db::query("UPDATE wrapped_key SET wrapped = $2 WHERE key_id = $1").bind(id).bind(wrapped).execute(&mut *tx).await?;
                    done += 1;
                }
            }
            wear(&mut tx).await?;
            tx.commit().await?;
            ids = rest;
        }
        Ok(done)
    }

    /// Every key there is.
    pub(crate) async fn all(&self) -> Result<HashSet<KeyId>> {
        let found: Vec<Vec<u8>> = db::query_scalar("SELECT key_id FROM wrapped_key").fetch_all(&self.base.reader).await?;
        found.iter().map(|id| rows::array(id, "key id")).collect()
    }

    /// Remembers a checkpoint that was signed, if it is of a longer log than the one remembered: records whose log is
    /// shorter are an old copy.
    pub(crate) async fn remember(&self, size: u64, note: &str) -> Result<()> {
        let mut tx = self.base.writer.write().await?;
        let known: Option<String> = db::query_scalar("SELECT value FROM fact WHERE name = 'log-size'").fetch_optional(&mut *tx).await?;
        if known.and_then(|n| n.parse::<u64>().ok()).is_none_or(|n| n < size) {
            put_fact(&mut tx, "log-size", &size.to_string()).await?;
            put_fact(&mut tx, "checkpoint", note).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Remembers another checkpoint instead, or none: the log lost its end, and this was accepted.
    pub(crate) async fn remember_instead(&self, last: Option<&SignedCheckpoint>) -> Result<()> {
        let mut tx = self.base.writer.write().await?;
        db::query("DELETE FROM fact WHERE name IN ('log-size', 'checkpoint')").execute(&mut *tx).await?;
        if let Some(last) = last {
            put_fact(&mut tx, "log-size", &last.checkpoint.size.to_string()).await?;
            put_fact(&mut tx, "checkpoint", &last.note).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The checkpoint of the longest log that was signed, as a note.
    pub(crate) async fn remembered(&self) -> Result<Option<String>> {
        Ok(db::query_scalar("SELECT value FROM fact WHERE name = 'checkpoint'").fetch_optional(&self.base.reader).await?)
    }

    /// Destroys keys. On SQLite their bytes are zeroed where they lay and the write-ahead log is emptied; on
    /// PostgreSQL the dead rows lie in their pages until [`Self::scrub`].
    pub(crate) async fn destroy(&self, ids: &[KeyId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.base.writer.write().await?;
        for id in ids {
            db::query("DELETE FROM wrapped_key WHERE key_id = $1").bind(id.as_slice()).execute(&mut *tx).await?;
        }
        wear(&mut tx).await?;
        tx.commit().await?;
        Ok(self.base.writer.truncate_wal().await?)
    }

    /// Writes every table anew if a key was destroyed since it was last done, so that no copy of a row that a
    /// page kept when it was split, and no dead row, is left; and empties the write-ahead log.
    pub(crate) async fn scrub(&self) -> Result<()> {
        let worn: Option<String> = db::query_scalar("SELECT value FROM fact WHERE name = 'worn'").fetch_optional(&self.base.reader).await?;
        if let Some(worn) = worn {
            self.base.writer.write_anew().await?;
            let mut tx = self.base.writer.write().await?;
            db::query("DELETE FROM fact WHERE name = 'worn' AND value = $1").bind(worn).execute(&mut *tx).await?;
            tx.commit().await?;
        }
        Ok(self.base.writer.truncate_wal().await?)
    }
}

/// What was in a table is to be left in no page of it. A number, so that whoever writes the tables anew sees that more
/// went meanwhile.
async fn wear(tx: &mut Connection) -> Result<()> {
    db::query(
        "INSERT INTO fact (name, value) VALUES ('worn', '1')
         ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(fact.value AS BIGINT) + 1 AS TEXT)",
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn put_fact(tx: &mut Connection, name: &str, value: &str) -> Result<()> {
    db::query("INSERT INTO fact (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name)
        .bind(value)
        .execute(tx)
        .await?;
    Ok(())
}

//! Data keys, wrapped by the master key, in a database of their own.

use crate::db;
use crate::place::Base;
use crate::sealing::{Aad, SealingKey, Secret, random};
use crate::{Result, StoreError, rows};
use casework::ids::DraftId;
use casework::record::{GalleryId, RetentionClass};
use std::collections::HashMap;
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
    /// `'N'`: one key for all sessions.
    pub(crate) fn sessions() -> Self {
        Self(b"N".to_vec())
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

pub(crate) struct KeyStore {
    base: Base,
    master: Arc<SealingKey>,
}

impl KeyStore {
    pub(crate) fn new(base: Base, master: Arc<SealingKey>) -> Self {
        Self { base, master }
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
            Err(_) => Err(StoreError::WrongMasterKey),
        }
    }

    /// The current key for `scope`, made and durably stored first if there is none.
    pub(crate) async fn current(&self, scope: &Scope) -> Result<DataKey> {
        if let Some(row) = db::query(CURRENT).bind(&scope.0).fetch_optional(&self.base.reader).await? {
            return self.unwrap(scope, row.try_get(0)?, row.try_get(1)?);
        }
        let secret: Secret = Zeroizing::new(random()?);
        let id: KeyId = random()?;
        let wrapped = self.master.seal(&Aad::wrap(&id, &scope.0), secret.as_slice())?;
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
        let plain = self.master.open(&Aad::wrap(&id, &scope.0), wrapped).ok_or(StoreError::Damaged { what: "data key" })?;
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

    /// Every draft that has a key.
    pub(crate) async fn drafts(&self) -> Result<Vec<(DraftId, KeyId)>> {
        let found = db::query("SELECT scope, key_id FROM wrapped_key WHERE scope >= $1 AND scope < $2")
            .bind(b"D".as_slice())
            .bind(b"E".as_slice())
            .fetch_all(&self.base.reader)
            .await?;
        let mut drafts = Vec::with_capacity(found.len());
        for row in found {
            if let Some(id) = crate::blobs::draft_of(row.try_get(0)?) {
                drafts.push((id, rows::array(row.try_get(1)?, "key id")?));
            }
        }
        Ok(drafts)
    }

    /// Destroys keys. The freed pages are zeroed and the write-ahead log is emptied.
    pub(crate) async fn destroy(&self, ids: &[KeyId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut tx = self.base.writer.write().await?;
        for id in ids {
            db::query("DELETE FROM wrapped_key WHERE key_id = $1").bind(id.as_slice()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(self.base.writer.truncate_wal().await?)
    }
}

//! Sealed image bytes, one file each.
//!
//! Order of writing: key, row (unbound), file (fsynced), and only then the event that refers to it,
//! whose commit binds the row. A crash in between leaves an unbound row, and perhaps a part of the file;
//! the sweep takes what is old enough and held by no draft.

use crate::db::{self, Connection};
use crate::keys::{Keyring, Scope};
use crate::rows::{self, class_text, stream_key};
use crate::sealing::{Aad, random};
use crate::{Result, Store, StoreError, micros, within};
use casework::ids::{BlobId, DraftId};
use casework::record::{RetentionClass, StreamId};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use object_store::{ObjectStoreExt, path::Path};
use std::collections::BTreeSet;
use std::path::PathBuf;
use uuid::Uuid;

/// Largest blob, in bytes before sealing.
pub const MAX_BLOB_BYTES: usize = 32 * 1024 * 1024;

/// What a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Blobs that no event and no draft refers to.
    pub blobs: u64,
    /// Keys of drafts that are gone.
    pub draft_keys: u64,
}

/// Where a blob lies, fanned out over 256 folders by its last (random) byte.
pub(crate) fn place(id: &[u8]) -> Path {
    let name = hex::encode(id);
    let fan = name.get(name.len().saturating_sub(2)..).unwrap_or_default();
    Path::from(format!("{fan}/{name}"))
}

impl Store {
    /// Seals and stores bytes for a stream and retention class; durable on return. Until a commit names
    /// the blob (or a draft holds it), it counts as an orphan.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; database and file errors.
    pub async fn put_blob(&self, stream: StreamId, class: RetentionClass, bytes: &[u8], now: Timestamp) -> Result<BlobId> {
        within("image", bytes.len(), MAX_BLOB_BYTES, "bytes")?;
        let stream = stream_key(stream);
        let id = BlobId(uuid::Builder::from_random_bytes(random()?).into_uuid());
        let mut tx = self.write().await?;
        let key = self.keys().current(&Scope::stream(&stream, class)).await?;
        db::query(
            "INSERT INTO blob (id, stream, class, key_id, bytes, created_at, bound)
             VALUES ($1, $2, $3, $4, $5, $6, 0)",
        )
        .bind(id.as_bytes().as_slice())
        .bind(stream.as_slice())
        .bind(class_text(class))
        .bind(key.id.as_slice())
        .bind(i64::try_from(bytes.len()).unwrap_or(i64::MAX))
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let sealed = key.key.seal(&Aad::blob(&stream, class, id.as_bytes()), bytes)?;
        self.inner.blobs.put(&place(id.as_bytes()), sealed.into()).await?;
        Ok(id)
    }

    /// A blob's bytes; `None` if it never was, was deleted, or its class was erased.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the file is missing or does not open under its existing key.
    pub async fn get_blob(&self, id: BlobId) -> Result<Option<Vec<u8>>> {
        let found = db::query("SELECT stream, class, key_id FROM blob WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = found else { return Ok(None) };
        let stream: [u8; 17] = rows::array(row.try_get(0)?, "stream name")?;
        let class = rows::class_from(row.try_get(1)?)?;
        let Some(key) = self.keys().find(&mut Keyring::new(), row.try_get(2)?).await? else {
            return Ok(None);
        };
        let sealed = match self.inner.blobs.get(&place(id.as_bytes())).await {
            Ok(file) => file.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(StoreError::Damaged { what: "image (its file is missing)" });
            }
            Err(error) => return Err(error.into()),
        };
        key.open(&Aad::blob(&stream, class, id.as_bytes()), &sealed)
            .map(|plain| Some(plain.to_vec()))
            .ok_or(StoreError::Damaged { what: "image" })
    }

    /// The stream and class that a blob belongs to, to check access before reading it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn blob_of(&self, id: BlobId) -> Result<Option<(StreamId, RetentionClass)>> {
        let found =
            db::query("SELECT stream, class FROM blob WHERE id = $1").bind(id.as_bytes().as_slice()).fetch_optional(self.reader()).await?;
        found.map(|row| Ok((rows::stream_from(row.try_get(0)?)?, rows::class_from(row.try_get(1)?)?))).transpose()
    }

    /// Deletes a blob that no event refers to, e.g. an image taken off a draft. One that is not there
    /// is no error.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if an event refers to it: then only erasure ends it.
    pub async fn delete_blob(&self, id: BlobId) -> Result<()> {
        let mut tx = self.write().await?;
        let bound: Option<bool> =
            db::query_scalar("SELECT bound FROM blob WHERE id = $1").bind(id.as_bytes().as_slice()).fetch_optional(&mut *tx).await?;
        if bound == Some(true) {
            return Err(StoreError::Invalid("the image is part of a record; only erasure ends it"));
        }
        db::query("DELETE FROM blob WHERE id = $1").bind(id.as_bytes().as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        self.remove_file(id.as_bytes()).await
    }

    /// Takes away blobs made before `older_than` that neither an event nor a draft refers to, files
    /// without a row or cut short by a crash, and keys of drafts that are gone. Choose `older_than` well before now, so that an
    /// upload on its way to its commit is left alone.
    ///
    /// # Errors
    /// Database and file errors; what was done stays done.
    pub async fn sweep_orphans(&self, older_than: Timestamp) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut tx = self.write().await?;
        let gone: Vec<(Vec<u8>, Vec<u8>)> = db::query_as(
            "DELETE FROM blob WHERE bound = 0 AND created_at < $1
               AND NOT EXISTS (SELECT 1 FROM draft_blob d WHERE d.blob = blob.id) RETURNING id, stream",
        )
        .bind(micros(older_than))
        .fetch_all(&mut *tx)
        .await?;
        // Within the write transaction, so that no draft is being written meanwhile.
        let mut lost = Vec::new();
        for (id, key) in self.keys().drafts().await? {
            let kept: Option<i64> =
                db::query_scalar("SELECT 1 FROM draft WHERE id = $1").bind(id.as_bytes().as_slice()).fetch_optional(&mut *tx).await?;
            if kept.is_none() {
                lost.push(key);
            }
        }
        swept.draft_keys = lost.len() as u64;
        // What the images of a form that was never sent were sealed under goes with the last of them.
        for stream in gone.iter().map(|(_, stream)| stream).collect::<BTreeSet<_>>() {
            let kept: Option<i64> = db::query_scalar(
                "SELECT 1 WHERE EXISTS (SELECT 1 FROM stream WHERE stream = $1) OR EXISTS (SELECT 1 FROM blob WHERE stream = $1)",
            )
            .bind(stream)
            .fetch_optional(&mut *tx)
            .await?;
            if kept.is_none() {
                lost.extend(self.keys().of_stream(&rows::array(stream, "stream name")?).await?);
            }
        }
        self.keys().destroy(&lost).await?;
        tx.commit().await?;
        for (id, _) in &gone {
            self.remove_file(id).await?;
            swept.blobs += 1;
        }
        swept.blobs += self.sweep_files(older_than).await?;
        Ok(swept)
    }

    /// Files whose row is gone (a crash between deleting the two), and what a crash left of a file that
    /// was still being written: that has its blob's name with `#` and a number behind it, and no list of
    /// `object_store` shows it.
    async fn sweep_files(&self, older_than: Timestamp) -> Result<u64> {
        let Some(folder) = self.place().blobs.folder(self.dir()) else { return self.sweep_bucket(older_than).await };
        let files = tokio::task::spawn_blocking(move || old_files(&folder, older_than))
            .await
            .map_err(|_| StoreError::Invalid("the sweep of the blob folder was broken off"))??;
        let mut count = 0;
        for file in files {
            let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let (id, whole) = name.split_once('#').map_or((name, true), |(id, _)| (id, false));
            let Ok(id) = Uuid::try_parse(id) else { continue };
            let known = whole && self.has_row(&id).await?;
            if !known {
                match std::fs::remove_file(&file) {
                    Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io(&file)(e)),
                    _ => count += 1,
                }
            }
        }
        Ok(count)
    }

    async fn has_row(&self, id: &Uuid) -> Result<bool> {
        let found: Option<i64> =
            db::query_scalar("SELECT 1 FROM blob WHERE id = $1").bind(id.as_bytes().as_slice()).fetch_optional(self.reader()).await?;
        Ok(found.is_some())
    }

    /// The same in a bucket, by its server's clock. An object is there whole or not at all.
    async fn sweep_bucket(&self, older_than: Timestamp) -> Result<u64> {
        let mut count = 0;
        let mut objects = self.inner.blobs.list(None);
        while let Some(object) = objects.try_next().await? {
            let Some(Ok(id)) = object.location.filename().map(Uuid::try_parse) else { continue };
            if object.last_modified.timestamp_micros() < micros(older_than) && !self.has_row(&id).await? {
                self.remove_file(id.as_bytes()).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    pub(crate) async fn remove_file(&self, id: &[u8]) -> Result<()> {
        match self.inner.blobs.delete(&place(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Every file in the folders of `folder` that was last changed before `older_than`.
fn old_files(folder: &std::path::Path, older_than: Timestamp) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for fan in std::fs::read_dir(folder).map_err(StoreError::io(folder))?.flatten() {
        for file in std::fs::read_dir(fan.path()).into_iter().flatten().flatten() {
            // One that is gone meanwhile needs no sweeping.
            let Ok(changed) = file.metadata().and_then(|m| m.modified()) else { continue };
            if Timestamp::try_from(changed).is_ok_and(|at| at < older_than) {
                out.push(file.path());
            }
        }
    }
    Ok(out)
}

/// Binds a stream's blobs to the commit being written.
pub(crate) async fn bind(tx: &mut Connection, stream: &[u8; 17], ids: &[BlobId]) -> Result<()> {
    for id in ids {
        let bound = db::query("UPDATE blob SET bound = 1 WHERE id = $1 AND stream = $2")
            .bind(id.as_bytes().as_slice())
            .bind(stream.as_slice())
            .execute(&mut *tx)
            .await?;
        if bound.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "image of this request" });
        }
    }
    Ok(())
}

/// A draft's id out of a key's scope.
pub(crate) fn draft_of(scope: &[u8]) -> Option<DraftId> {
    let (b'D', id) = scope.split_first()? else {
        return None;
    };
    Uuid::from_slice(id).ok().map(DraftId)
}

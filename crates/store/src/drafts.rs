//! Unsent forms: sealed, outside the log, gone with their key.

use crate::db::{self, Connection, Row};
use crate::keys::{Keyring, Scope};
use crate::rows::{self, signed, time, unsigned};
use crate::sealing::Aad;
use crate::{Result, Store, StoreError, micros, within};
use casework::ids::{BlobId, DraftId, LeoId, PersonId};
use jiff::Timestamp;

/// Largest draft, in bytes; images are blobs beside it.
pub const MAX_DRAFT_BYTES: usize = 1024 * 1024;

/// A draft to save.
#[derive(Clone, Debug)]
pub struct PutDraft {
    /// Its id.
    pub id: DraftId,
    /// Whose it is. Cannot change later.
    pub owner: PersonId,
    /// The owner's force.
    pub leo: LeoId,
    /// The version that was edited; 0 for a new draft.
    pub expected: u64,
    /// The form.
    pub bytes: Vec<u8>,
    /// Every blob that the form refers to: kept from the orphan sweep while it does.
    pub blobs: Vec<BlobId>,
}

/// A draft read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its id, owner, force, version and time.
    pub summary: DraftSummary,
    /// The form.
    pub bytes: Vec<u8>,
}

/// A draft in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftSummary {
    /// Its id.
    pub id: DraftId,
    /// Whose it is.
    pub owner: PersonId,
    /// The owner's force.
    pub leo: LeoId,
    /// Optimistic version, from 1.
    pub version: u64,
    /// When it was last saved.
    pub changed_at: Timestamp,
}

impl Store {
    /// Saves a draft; returns its new version.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if another tab saved first; [`StoreError::NotFound`] for a blob that is
    /// gone; [`StoreError::TooLarge`].
    pub async fn put_draft(&self, draft: PutDraft, now: Timestamp) -> Result<u64> {
        within("draft", draft.bytes.len(), MAX_DRAFT_BYTES, "bytes")?;
        let id = draft.id.as_bytes();
        let mut tx = self.write().await?;
        let stored = db::query("SELECT version, owner FROM draft WHERE id = $1").bind(id.as_slice()).fetch_optional(&mut *tx).await?;
        let actual = match &stored {
            Some(row) => unsigned(row.try_get(0)?)?,
            None => 0,
        };
        if let Some(row) = &stored
            && row.try_get::<&[u8], _>(1)? != draft.owner.as_bytes().as_slice()
        {
            return Err(StoreError::Invalid("the draft is somebody else's"));
        }
        if actual != draft.expected {
            return Err(StoreError::Stale { actual });
        }
        let version = actual + 1;
        // Its time begins when it is saved, and never before what was recorded last: the clock may have been set back.
        let last: Option<i64> = db::query_scalar("SELECT at FROM event ORDER BY position DESC LIMIT 1").fetch_optional(&mut *tx).await?;
        let saved = micros(now).max(last.unwrap_or(i64::MIN));
        let key = self.keys().current(&Scope::draft(draft.id)).await?;
        let sealed = key.key.seal(&Aad::draft(id, version), &draft.bytes)?;
        db::query(
            "INSERT INTO draft (id, owner, leo, version, changed_at, key_id, sealed)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (id) DO UPDATE SET leo = excluded.leo, version = excluded.version,
               changed_at = excluded.changed_at, key_id = excluded.key_id, sealed = excluded.sealed",
        )
        .bind(id.as_slice())
        .bind(draft.owner.as_bytes().as_slice())
        .bind(draft.leo.as_bytes().as_slice())
        .bind(signed(version)?)
        .bind(saved)
        .bind(key.id.as_slice())
        .bind(sealed)
        .execute(&mut *tx)
        .await?;
        db::query("DELETE FROM draft_blob WHERE draft = $1").bind(id.as_slice()).execute(&mut *tx).await?;
        for blob in &draft.blobs {
            let kept = db::query(
                "INSERT INTO draft_blob (draft, blob) SELECT $1, id FROM blob WHERE id = $2
                 ON CONFLICT (draft, blob) DO UPDATE SET blob = excluded.blob",
            )
            .bind(id.as_slice())
            .bind(blob.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
            if kept.rows_affected() == 0 {
                return Err(StoreError::NotFound { what: "image" });
            }
        }
        tx.commit().await?;
        Ok(version)
    }

    /// A draft, or `None`. The caller checks whose it is.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub async fn get_draft(&self, id: DraftId) -> Result<Option<Draft>> {
        let found = db::query("SELECT id, owner, leo, version, changed_at, key_id, sealed FROM draft WHERE id = $1")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = found else { return Ok(None) };
        let summary = summary_from(&row)?;
        // No key: it is being deleted at this moment.
        let Some(key) = self.keys().find(&mut Keyring::new(), row.try_get("key_id")?).await? else {
            return Ok(None);
        };
        let bytes = key
            .open(&Aad::draft(id.as_bytes(), summary.version), row.try_get("sealed")?)
            .ok_or(StoreError::Damaged { what: "draft" })?
            .to_vec();
        Ok(Some(Draft { summary, bytes }))
    }

    /// A person's drafts, last saved first, at most `limit`.
    ///
    /// # Errors
    /// Database errors.
    pub async fn drafts_of(&self, owner: PersonId, limit: u32) -> Result<Vec<DraftSummary>> {
        let found = db::query(
            "SELECT id, owner, leo, version, changed_at FROM draft WHERE owner = $1
             ORDER BY changed_at DESC, id LIMIT $2",
        )
        .bind(owner.as_bytes().as_slice())
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        found.iter().map(summary_from).collect()
    }

    /// Deletes a draft and destroys its key. One that is not there is no error. Its blobs become
    /// orphans, which the next sweep takes.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_draft(&self, id: DraftId) -> Result<()> {
        let mut tx = self.write().await?;
        db::query("DELETE FROM draft WHERE id = $1").bind(id.as_bytes().as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        self.destroy_draft_key(id).await
    }

    /// Deletes every draft that was last saved before `before`, each with its key; returns how many. Its
    /// images become orphans, which the next sweep takes.
    ///
    /// # Errors
    /// Database errors; what was deleted stays deleted.
    pub async fn delete_drafts_saved_before(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.write().await?;
        let gone: Vec<Vec<u8>> =
            db::query_scalar("DELETE FROM draft WHERE changed_at < $1 RETURNING id").bind(micros(before)).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        for id in &gone {
            self.destroy_draft_key(DraftId(rows::uuid(id)?)).await?;
        }
        Ok(gone.len() as u64)
    }

    /// After a draft's row is gone. Were the process killed just before, the sweep would do it.
    pub(crate) async fn destroy_draft_key(&self, id: DraftId) -> Result<()> {
        let retired = self.keys().retire(&Scope::draft(id)).await?;
        self.keys().destroy(&retired).await
    }
}

/// Deletes a draft within the transaction that turns it into a request, unless it was saved meanwhile.
pub(crate) async fn drop_version(tx: &mut Connection, id: DraftId, version: u64) -> Result<()> {
    let gone = db::query("DELETE FROM draft WHERE id = $1 AND version = $2")
        .bind(id.as_bytes().as_slice())
        .bind(signed(version)?)
        .execute(&mut *tx)
        .await?;
    if gone.rows_affected() == 1 {
        return Ok(());
    }
    let stored: Option<i64> =
        db::query_scalar("SELECT version FROM draft WHERE id = $1").bind(id.as_bytes().as_slice()).fetch_optional(tx).await?;
    Err(StoreError::Stale { actual: unsigned(stored.unwrap_or(0))? })
}

fn summary_from(row: &Row) -> Result<DraftSummary> {
    Ok(DraftSummary {
        id: DraftId(rows::uuid(row.try_get("id")?)?),
        owner: PersonId(rows::uuid(row.try_get("owner")?)?),
        leo: LeoId(rows::uuid(row.try_get("leo")?)?),
        version: unsigned(row.try_get("version")?)?,
        changed_at: time(row.try_get("changed_at")?)?,
    })
}

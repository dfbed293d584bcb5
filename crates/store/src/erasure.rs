//! Erasure: the key is destroyed, then everything it sealed is overwritten. The log still verifies.
//!
//! Order, so that a crash at any point loses nothing that was not to be lost and [`Store::open`] can
//! finish: (1) with the records locked, the keys are retired and the erasure is written down; what is
//! recorded from now on gets a new key; (2) the keys are destroyed; (3) sealed bytes and look-ups go;
//! (4) blob files, then their rows; (5) the write-ahead log is emptied; (6) marked done.

use crate::db::{self, Connection};
use crate::keys::{KeyId, Scope};
use crate::rows::{self, class_text, stream_key, time};
use crate::{Result, Store, micros};
use casework::record::{RetentionClass, StreamId};
use jiff::Timestamp;

/// What an erasure took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Data keys destroyed.
    pub keys: u64,
    /// Sealed payloads overwritten.
    pub payloads: u64,
    /// Blobs deleted.
    pub blobs: u64,
    /// Look-ups deleted.
    pub lookups: u64,
}

impl Store {
    /// Erases one retention class of one stream, for ever. Whether it may be (retention, legal hold)
    /// is the caller's to decide and record. Repeating it erases what was recorded since.
    ///
    /// # Errors
    /// Database and file errors; call again to finish.
    pub async fn erase(&self, stream: StreamId, class: RetentionClass, now: Timestamp) -> Result<Erased> {
        let key = stream_key(stream);
        let mut tx = self.write().await?;
        let ids = self.keys().retire(&Scope::stream(&key, class)).await?;
        for id in &ids {
            write_down(&mut tx, id, &key, class, now).await?;
        }
        tx.commit().await?;
        self.finish_erasure(&key, class, &ids).await
    }

    /// Erases what was noted in the house's own stream before an instant, key by key (one for each London day):
    /// a key goes once everything that it sealed is that old.
    ///
    /// # Errors
    /// Database errors; call again to finish.
    pub async fn erase_notes_before(&self, class: RetentionClass, before: Timestamp, now: Timestamp) -> Result<Erased> {
        let key = stream_key(StreamId::House);
        let mut tx = self.write().await?;
        let old: Vec<Vec<u8>> = db::query_scalar(
            "SELECT key_id FROM event WHERE stream = $1 AND class = $2 AND sealed IS NOT NULL
             GROUP BY key_id HAVING max(at) < $3",
        )
        .bind(key.as_slice())
        .bind(class_text(class))
        .bind(micros(before))
        .fetch_all(&mut *tx)
        .await?;
        let mut ids = Vec::with_capacity(old.len());
        for id in &old {
            ids.push(self.keys().retire_one(id).await?);
            write_down(&mut tx, id, &key, class, now).await?;
        }
        tx.commit().await?;
        if ids.is_empty() {
            return Ok(Erased::default());
        }
        self.finish_erasure(&key, class, &ids).await
    }

    /// Leaves no trace in the files of what was deleted: the write-ahead logs are emptied, and the key store is
    /// written anew if a key was destroyed. Once an hour is enough. On PostgreSQL the key store's tables are written
    /// anew too; its write-ahead log is not ours to empty.
    ///
    /// # Errors
    /// Database errors.
    pub async fn scrub(&self) -> Result<()> {
        self.keys().scrub().await?;
        self.truncate_wal().await
    }

    /// Writes the whole database of records anew. Deleted bytes are zeroed where they lay (`secure_delete`), but a
    /// page that was split may keep a copy of a row in its unused part: sealed bytes, under a key that is
    /// destroyed. This leaves not even those. It takes as much free space again as the file has, and writers wait.
    /// On PostgreSQL it empties the tables' files the same way; the server's write-ahead log is its administrator's.
    ///
    /// # Errors
    /// Database errors.
    pub async fn compact(&self) -> Result<()> {
        self.inner.base.writer.write_anew().await?;
        self.scrub().await
    }

    /// When a class of a stream was (last) erased; `None` if never.
    ///
    /// # Errors
    /// Database errors.
    pub async fn erased(&self, stream: StreamId, class: RetentionClass) -> Result<Option<Timestamp>> {
        let at: Option<i64> = db::query_scalar("SELECT max(at) FROM erasure WHERE stream = $1 AND class = $2")
            .bind(stream_key(stream).as_slice())
            .bind(class_text(class))
            .fetch_one(self.reader())
            .await?;
        at.map(time).transpose()
    }

    /// Steps 2 to 6; each may be repeated.
    async fn finish_erasure(&self, stream: &[u8; 17], class: RetentionClass, ids: &[KeyId]) -> Result<Erased> {
        self.keys().destroy(ids).await?;
        let mut erased = Erased { keys: ids.len() as u64, ..Erased::default() };
        let mut tx = self.write().await?;
        let mut blobs: Vec<Vec<u8>> = Vec::new();
        for id in ids {
            erased.payloads += db::query(
                "UPDATE event SET sealed = NULL
                 WHERE stream = $1 AND class = $2 AND key_id = $3 AND sealed IS NOT NULL",
            )
            .bind(stream.as_slice())
            .bind(class_text(class))
            .bind(id.as_slice())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            blobs.extend(
                db::query_scalar::<Vec<u8>>("SELECT id FROM blob WHERE stream = $1 AND class = $2 AND key_id = $3")
                    .bind(stream.as_slice())
                    .bind(class_text(class))
                    .bind(id.as_slice())
                    .fetch_all(&mut *tx)
                    .await?,
            );
        }
        crate::processing::forget_parties(&mut tx, stream).await?;
        if let StreamId::Request(request) = rows::stream_from(stream)? {
            erased.lookups = db::query("DELETE FROM lookup WHERE request = $1 AND class = $2")
                .bind(request.as_bytes().as_slice())
                .bind(class_text(class))
                .execute(&mut *tx)
                .await?
                .rows_affected();
        }
        if let (StreamId::Request(request), RetentionClass::Record) = (rows::stream_from(stream)?, class) {
            // The row keeps what the clear headers tell; who had a part in it goes with the record.
            let id = request.as_bytes().as_slice();
            db::query("DELETE FROM request_people WHERE request = $1").bind(id).execute(&mut *tx).await?;
            for belonging in ["DELETE FROM job WHERE stream = $1", "DELETE FROM idempotency WHERE stream = $1"] {
                db::query(belonging).bind(stream.as_slice()).execute(&mut *tx).await?;
            }
            db::query("UPDATE request_row SET requester = $2, approver = NULL, assignee = NULL WHERE request = $1")
                .bind(id)
                .bind([0; 16].as_slice())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        for id in &blobs {
            self.remove_file(id).await?;
            erased.blobs += 1;
        }
        self.truncate_wal().await?;
        let mut tx = self.write().await?;
        for id in &blobs {
            db::query("DELETE FROM blob WHERE id = $1").bind(id.as_slice()).execute(&mut *tx).await?;
        }
        for id in ids {
            db::query("UPDATE erasure SET done = 1 WHERE key_id = $1").bind(id.as_slice()).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(erased)
    }

    /// Finishes erasures that a crash interrupted.
    pub(crate) async fn resume_erasures(&self) -> Result<()> {
        let open = db::query("SELECT key_id, stream, class FROM erasure WHERE done = 0").fetch_all(self.reader()).await?;
        for row in open {
            let stream = rows::array(row.try_get(1)?, "stream name")?;
            let class = rows::class_from(row.try_get(2)?)?;
            self.finish_erasure(&stream, class, &[rows::array(row.try_get(0)?, "key id")?]).await?;
        }
        Ok(())
    }
}

/// Writes down that a key is being destroyed on purpose.
async fn write_down(tx: &mut Connection, id: &[u8], stream: &[u8; 17], class: RetentionClass, now: Timestamp) -> Result<()> {
    db::query(
        "INSERT INTO erasure (key_id, stream, class, at, done) VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(stream.as_slice())
    .bind(class_text(class))
    .bind(micros(now))
    .execute(tx)
    .await?;
    Ok(())
}

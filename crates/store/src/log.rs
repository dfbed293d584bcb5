//! The transparency log over all events: sequencing, signed checkpoints, proofs, and its pages.

use crate::db::{self, Connection, QueryBuilder};
use crate::events::header_from;
use crate::rows::{self, gallery_text, signed, stream_key, unsigned};
use crate::{Result, Store, StoreError, micros, within};
use casework::ids::LeoId;
use casework::record::{GalleryId, Header, StreamId};
use jiff::Timestamp;
use ledger::{Checkpoint, Hash, Leaf, needs, tree};
use std::collections::HashMap;

/// Leaves integrated in one transaction.
pub const SEQUENCE_BATCH: u32 = 1_000;
/// Longest page of entries, in rows.
pub const ENTRIES_PAGE_LIMIT: u32 = 500;

/// What a sequencing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// Leaves integrated.
    pub added: u64,
    /// Size of the log now.
    pub size: u64,
}

/// The newest checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note, as an outsider checks it.
    pub note: String,
    /// When it was signed.
    pub at: Timestamp,
}

/// Proof that one event is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// RFC 6962 audit path, leaf upwards, for [`ledger::verify::inclusion`].
    pub proof: Vec<Hash>,
    /// The checkpoint that it leads to.
    pub checkpoint: SignedCheckpoint,
}

/// One line of the log's page: no person and no request is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// The event's clear header.
    pub header: Header,
}

/// Which entries to list; `default()` lists the newest 50.
#[derive(Clone, Debug)]
pub struct EntryFilter {
    /// Only this kind of event.
    pub kind: Option<String>,
    /// Only this gallery.
    pub gallery: Option<GalleryId>,
    /// Only this force.
    pub leo: Option<LeoId>,
    /// Only this outcome.
    pub outcome: Option<String>,
    /// Only events citing this clause id.
    pub clause: Option<String>,
    /// Only events recorded at or after.
    pub from: Option<Timestamp>,
    /// Only events recorded before.
    pub until: Option<Timestamp>,
    /// Only indexes below this one: the last index of the page before.
    pub before: Option<u64>,
    /// Rows to return, at most [`ENTRIES_PAGE_LIMIT`].
    pub limit: u32,
}

impl Default for EntryFilter {
    fn default() -> Self {
        Self { kind: None, gallery: None, leo: None, outcome: None, clause: None, from: None, until: None, before: None, limit: 50 }
    }
}

impl Store {
    /// Integrates every event committed so far into the tree, in commit order, and signs a checkpoint
    /// if there was any (or there is none yet). Safe to call from anywhere at any time: the write lock
    /// makes one sequencer of many.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the stored tree no longer agrees with the last signed checkpoint:
    /// then nothing is signed.
    pub async fn sequence(&self, now: Timestamp) -> Result<Sequenced> {
        let mut added = 0;
        loop {
            let (batch, size) = self.sequence_batch(now).await?;
            added += batch;
            if batch < u64::from(SEQUENCE_BATCH) {
                return Ok(Sequenced { added, size });
            }
        }
    }

    async fn sequence_batch(&self, now: Timestamp) -> Result<(u64, u64)> {
        let mut tx = self.write().await?;
        let last = self.last_checkpoint(&mut tx).await?;
        let size = last.as_ref().map_or(0, |c| c.checkpoint.size);
        let waiting: Vec<(i64, Vec<u8>)> =
            db::query_as("SELECT position, leaf FROM event WHERE log_index IS NULL ORDER BY position LIMIT $1")
                .bind(SEQUENCE_BATCH)
                .fetch_all(&mut *tx)
                .await?;
        if waiting.is_empty() && last.is_some() {
            return Ok((0, size));
        }
        let mut hashes = read_hashes(&mut tx, &needs::root(size)?).await?;
        if let Some(last) = &last
            && tree::root(size, &hashes)? != last.checkpoint.root
        {
            return Err(StoreError::Damaged { what: "log (it disagrees with its last checkpoint)" });
        }
        let mut at = size;
        for (position, leaf) in &waiting {
            let leaf = Leaf(rows::array(leaf, "leaf")?);
            for (index, hash) in tree::append(at, leaf, &hashes)? {
                db::query("INSERT INTO log_hash (idx, hash) VALUES ($1, $2)")
                    .bind(signed(index)?)
                    .bind(hash.as_slice())
                    .execute(&mut *tx)
                    .await?;
                hashes.insert(index, hash);
            }
            db::query("UPDATE event SET log_index = $1 WHERE position = $2").bind(signed(at)?).bind(position).execute(&mut *tx).await?;
            at += 1;
        }
        let key = self.secrets().signing_key();
        let root = tree::root(at, &hashes)?;
        let note = Checkpoint { origin: key.origin().to_owned(), size: at, root }.sign(key)?;
        db::query("INSERT INTO checkpoint (size, at, note) VALUES ($1, $2, $3)")
            .bind(signed(at)?)
            .bind(micros(now))
            .bind(&note)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.keys().remember(at, &note).await?;
        Ok((waiting.len() as u64, at))
    }

    /// The newest checkpoint, its signature checked; `None` before the first sequencing.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if it is not signed by our key.
    pub async fn checkpoint(&self) -> Result<Option<SignedCheckpoint>> {
        self.last_checkpoint(&mut *self.reader().acquire().await?).await
    }

    async fn last_checkpoint(&self, tx: &mut Connection) -> Result<Option<SignedCheckpoint>> {
        let found = db::query("SELECT at, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetch_optional(tx).await?;
        let Some(row) = found else { return Ok(None) };
        let note: String = row.try_get(1)?;
        let checkpoint = Checkpoint::open(&note, &self.verifier_key())?;
        Ok(Some(SignedCheckpoint { checkpoint, note, at: rows::time(row.try_get(0)?)? }))
    }

    /// Proof that event `seq` of a stream is in the log under the newest checkpoint; `None` if there is
    /// no such event or it is not sequenced yet.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if the stored tree is incomplete.
    pub async fn inclusion(&self, stream: StreamId, seq: u64) -> Result<Option<Inclusion>> {
        let mut tx = self.reader().begin().await?;
        let found = db::query("SELECT log_index, leaf FROM event WHERE stream = $1 AND seq = $2")
            .bind(stream_key(stream).as_slice())
            .bind(signed(seq)?)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = found else { return Ok(None) };
        let Some(index) = row.try_get::<Option<i64>, _>(0)? else {
            return Ok(None);
        };
        let (index, leaf) = (unsigned(index)?, Leaf(rows::array(row.try_get(1)?, "leaf")?));
        let Some(checkpoint) = self.last_checkpoint(&mut tx).await? else {
            return Ok(None);
        };
        let size = checkpoint.checkpoint.size;
        let hashes = read_hashes(&mut tx, &needs::inclusion(size, index)?).await?;
        let proof = tree::inclusion_proof(size, index, &hashes)?;
        Ok(Some(Inclusion { index, leaf, proof, checkpoint }))
    }

    /// Proof that the log of `old` leaves is a prefix of the log of `new` leaves.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] unless `1 <= old <= new` and `new` is not more than is sequenced.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        let mut tx = self.reader().acquire().await?;
        let hashes = read_hashes(&mut tx, &needs::consistency(old, new)?).await?;
        Ok(tree::consistency_proof(old, new, &hashes)?)
    }

    /// A page of the log, newest first.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; database errors.
    pub async fn entries(&self, filter: &EntryFilter) -> Result<Vec<LedgerEntry>> {
        let sql = entries_sql("SELECT e.log_index, e.leaf, e.header", filter)?;
        let found = sql.build().fetch_all(self.reader()).await?;
        found
            .iter()
            .map(|row| {
                Ok(LedgerEntry {
                    index: unsigned(row.try_get(0)?)?,
                    leaf: Leaf(rows::array(row.try_get(1)?, "leaf")?),
                    header: header_from(row.try_get(2)?)?,
                })
            })
            .collect()
    }

    /// The root of the first `size` leaves; `None` if the tree lacks what it needs.
    pub(crate) async fn root_at(&self, size: u64) -> Result<Option<Hash>> {
        let hashes = read_hashes(&mut *self.reader().acquire().await?, &needs::root(size)?).await?;
        Ok(tree::root(size, &hashes).ok())
    }

    /// How many events wait to be sequenced.
    ///
    /// # Errors
    /// Database errors.
    pub async fn unsequenced(&self) -> Result<u64> {
        let n: i64 = db::query_scalar("SELECT count(*) FROM event WHERE log_index IS NULL").fetch_one(self.reader()).await?;
        unsigned(n)
    }
}

/// The events that a filter lets through, newest first; `columns` is a `SELECT` of columns of `event e`.
pub(crate) fn entries_sql(columns: &'static str, filter: &EntryFilter) -> Result<QueryBuilder> {
    within("page", filter.limit as usize, ENTRIES_PAGE_LIMIT as usize, "entries")?;
    let mut sql = QueryBuilder::new(columns);
    sql.push(" FROM event e WHERE e.log_index IS NOT NULL");
    if let Some(kind) = &filter.kind {
        sql.push(" AND e.kind = ").push_bind(kind.clone());
    }
    if let Some(gallery) = filter.gallery {
        sql.push(" AND e.gallery = ").push_bind(gallery_text(gallery));
    }
    if let Some(leo) = filter.leo {
        sql.push(" AND e.leo = ").push_bind(leo.as_bytes().to_vec());
    }
    if let Some(outcome) = &filter.outcome {
        sql.push(" AND e.outcome = ").push_bind(outcome.clone());
    }
    if let Some(clause) = &filter.clause {
        sql.push(" AND EXISTS (SELECT 1 FROM event_clause c WHERE c.position = e.position AND c.clause = ");
        sql.push_bind(clause.clone()).push(")");
    }
    if let Some(from) = filter.from {
        sql.push(" AND e.at >= ").push_bind(micros(from));
    }
    if let Some(until) = filter.until {
        sql.push(" AND e.at < ").push_bind(micros(until));
    }
    if let Some(before) = filter.before {
        sql.push(" AND e.log_index < ").push_bind(signed(before)?);
    }
    sql.push(" ORDER BY e.log_index DESC LIMIT ").push_bind(i64::from(filter.limit));
    Ok(sql)
}

/// The stored hashes at `indexes`; a missing one is left out, and the step that needs it says so.
pub(crate) async fn read_hashes(tx: &mut Connection, indexes: &[u64]) -> Result<HashMap<u64, Hash>> {
    let mut hashes = HashMap::with_capacity(indexes.len());
    for &index in indexes {
        let hash: Option<Vec<u8>> =
            db::query_scalar("SELECT hash FROM log_hash WHERE idx = $1").bind(signed(index)?).fetch_optional(&mut *tx).await?;
        if let Some(hash) = hash {
            hashes.insert(index, rows::array(&hash, "log hash")?);
        }
    }
    Ok(hashes)
}

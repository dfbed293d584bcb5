//! Sealed event streams, and the one transaction in which anything is ever decided.
//!
//! # What an event commits to
//! The *header* commitment covers `stream (17 bytes) ‖ seq (8, big-endian) ‖ header JSON as stored`
//! under a random salt kept beside it; the *payload* commitment covers the payload under a random salt
//! that is sealed with it (`sealed = seal(salt ‖ payload)`). [`ledger::Leaf::new`] joins the two.
//! Destroying the payload's key leaves its bare commitment, so the log still verifies and nobody can
//! test a guess about what was there.

use crate::db::{self, Connection, Transaction};
use crate::jobs::{self, JobId, NewJob};
use crate::keys::{DataKey, Keyring, Scope};
use crate::lookups::{self, LookupEntry};
use crate::queue::{self, QueueRow};
use crate::rows::{self, class_text, gallery_text, signed, stream_key, unsigned};
use crate::sealing::{Aad, random};
use crate::{Result, Store, StoreError, blobs, drafts, micros, within};
use casework::ids::{BlobId, DraftId};
use casework::record::{Header, NewRecord, OpenedRecord, RetentionClass, StreamId};
use ledger::{Commitment, Leaf};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Largest payload of one event, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 4 * 1024 * 1024;
/// Most events in one commit.
pub const MAX_RECORDS_PER_COMMIT: usize = 256;
/// How often a commit is begun whose connection is lost before its end.
const MAX_COMMIT_TRIES: u32 = 3;

/// A caller's name for one command, e.g. a form's one-time token: the same name is carried out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// A value under which no other request may be found in one of some states: asked within the transaction,
/// so that of two who ask at once one is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    /// The look-up's kind.
    pub kind: String,
    /// The value, normalised as for [`LookupEntry`].
    pub value: Vec<u8>,
    /// The states, kebab-case.
    pub states: Vec<String>,
}

/// Everything that one decision changes.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The stream decided about.
    pub stream: StreamId,
    /// Its version as the decision saw it; 0 for a new stream.
    pub expected: u64,
    /// The events, in order; at least one, at most [`MAX_RECORDS_PER_COMMIT`].
    pub records: Vec<NewRecord>,
    /// The request's queue row as it is after these events.
    pub row: Option<QueueRow>,
    /// Work to be done because of them.
    pub jobs: Vec<NewJob>,
    /// Carry out once.
    pub idempotency: Option<IdempotencyKey>,
    /// The draft, at its version, that this commit turns into a request; deleted with its key. If it was
    /// saved again meanwhile, nothing is committed ([`StoreError::Stale`]).
    pub drop_draft: Option<(DraftId, u64)>,
    /// What no other request may be in the way of, when this is written.
    pub alone: Option<Alone>,
    /// Another stream that the decision rests on, at the version that it saw: if that has changed, nothing is
    /// committed ([`CommitError::Conflict`] names it).
    pub rests_on: Option<(StreamId, u64)>,
    /// The job, given up before, that goes back in the queue.
    pub retry: Option<JobId>,
    /// Look-ups to the request; only for [`StreamId::Request`].
    pub index: Vec<LookupEntry>,
    /// Blobs of this stream that the events refer to; from now on they are no orphans.
    pub blobs: Vec<BlobId>,
}

impl Commit {
    /// A commit of events alone.
    #[must_use]
    pub fn new(stream: StreamId, expected: u64, records: Vec<NewRecord>) -> Self {
        Self {
            stream,
            expected,
            records,
            row: None,
            jobs: Vec::new(),
            idempotency: None,
            drop_draft: None,
            alone: None,
            rests_on: None,
            retry: None,
            index: Vec::new(),
            blobs: Vec::new(),
        }
    }
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else decided first: fold again and decide anew.
    #[error("it was changed meanwhile: its version is {actual}, the decision saw {expected}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// What the decision saw.
        expected: u64,
        /// What is stored.
        actual: u64,
    },
    /// The same command was carried out before.
    #[error("this was already done")]
    Duplicate {
        /// The stream that it changed.
        stream: StreamId,
        /// The version that it led to.
        version: u64,
    },
    /// Another request stands where this one must be alone ([`Commit::alone`]).
    #[error("another request was first")]
    NotAlone,
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CommitError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// One event's clear part, in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRow {
    /// Commit order, from 1; may have gaps.
    pub position: u64,
    /// Its stream.
    pub stream: StreamId,
    /// Position in its stream, from 1.
    pub seq: u64,
    /// The header.
    pub header: Header,
}

impl Store {
    /// Writes one decision, durably, all or nothing; returns the stream's new version.
    ///
    /// # Errors
    /// [`CommitError::Duplicate`] (looked at first), [`CommitError::Conflict`], [`CommitError::Store`].
    pub async fn commit(&self, commit: Commit) -> Result<u64, CommitError> {
        let versions = self.commit_all(vec![commit]).await?;
        Ok(versions.first().copied().unwrap_or_default())
    }

    /// Writes several decisions in one transaction, e.g. the two requests of a linked pair.
    ///
    /// # Errors
    /// As [`Self::commit`]; then none of them is written.
    pub async fn commit_all(&self, commits: Vec<Commit>) -> Result<Vec<u64>, CommitError> {
        for commit in &commits {
            self.check(commit)?;
        }
        let mut tries = 1;
        let (tx, versions) = loop {
            match self.write_commits(&commits).await {
                Ok(written) => break written,
                // Nothing is done until the transaction ends, so it can be begun again.
                Err(CommitError::Store(StoreError::Database(error))) if tries < MAX_COMMIT_TRIES && db::passing(&error) => tries += 1,
                Err(error) => return Err(error),
            }
        };
        // Lost here, nobody knows whether it was written: told to the caller, whose command has a name.
        tx.commit().await?;
        for (draft, _) in commits.iter().filter_map(|c| c.drop_draft) {
            self.destroy_draft_key(draft).await?;
        }
        Ok(versions)
    }

    async fn write_commits(&self, commits: &[Commit]) -> Result<(Transaction, Vec<u64>), CommitError> {
        let mut tx = self.write().await?;
        let mut versions = Vec::with_capacity(commits.len());
        for commit in commits {
            versions.push(self.write_commit(&mut tx, commit).await?);
        }
        Ok((tx, versions))
    }

    /// Adds events at the end of a stream that nobody decides on: *consulted* and the house's own.
    /// Many writers may append at once. Returns the new version.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a stream with an optimistic version; as [`Self::commit`] else.
    pub async fn append(&self, stream: StreamId, records: Vec<NewRecord>) -> Result<u64> {
        if !matches!(stream, StreamId::Consulted(_) | StreamId::House) {
            return Err(StoreError::Invalid("this stream is written with commit, not append"));
        }
        let mut commit = Commit::new(stream, 0, records);
        self.check(&commit)?;
        let mut tx = self.write().await?;
        commit.expected = version(&mut tx, &stream_key(stream)).await?;
        let version = match self.write_commit(&mut tx, &commit).await {
            Ok(version) => version,
            Err(CommitError::Store(error)) => return Err(error),
            Err(_) => {
                return Err(StoreError::Damaged { what: "stream version" });
            }
        };
        tx.commit().await?;
        Ok(version)
    }

    /// Every event of a stream, in order; none if there is no such stream. A payload is `None` once
    /// its class was erased.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if a payload does not open under its own, existing key.
    pub async fn load(&self, stream: StreamId) -> Result<Vec<OpenedRecord>> {
        let key = stream_key(stream);
        let found = db::query("SELECT seq, header, class, key_id, sealed FROM event WHERE stream = $1 ORDER BY seq")
            .bind(key.as_slice())
            .fetch_all(self.reader())
            .await?;
        let mut ring = Keyring::new();
        let mut opened = Vec::with_capacity(found.len());
        for row in found {
            let seq = unsigned(row.try_get("seq")?)?;
            let class = rows::class_from(row.try_get("class")?)?;
            let sealed: Option<&[u8]> = row.try_get("sealed")?;
            let payload = match sealed {
                Some(sealed) => {
                    self.open_payload(&mut ring, row.try_get("key_id")?, &key, seq, class, sealed).await?.map(|(_, payload)| payload)
                }
                None => None,
            };
            opened.push(OpenedRecord { seq, header: header_from(row.try_get("header")?)?, payload });
        }
        Ok(opened)
    }

    /// Every stream and its version, in no particular order (for replay).
    ///
    /// # Errors
    /// Database errors.
    pub async fn streams(&self) -> Result<Vec<(StreamId, u64)>> {
        let found = db::query("SELECT stream, version FROM stream").fetch_all(self.reader()).await?;
        found.iter().map(|r| Ok((rows::stream_from(r.try_get(0)?)?, unsigned(r.try_get(1)?)?))).collect()
    }

    /// A stream's version: the number of its events; 0 if there is no such stream.
    ///
    /// # Errors
    /// Database errors.
    pub async fn version(&self, stream: StreamId) -> Result<u64> {
        version(&mut *self.reader().acquire().await?, &stream_key(stream)).await
    }

    /// When the newest event was recorded; `None` before the first.
    ///
    /// # Errors
    /// Database errors.
    pub async fn last_recorded(&self) -> Result<Option<jiff::Timestamp>> {
        let at: Option<i64> = db::query_scalar("SELECT at FROM event ORDER BY position DESC LIMIT 1").fetch_optional(self.reader()).await?;
        at.map(rows::time).transpose()
    }

    /// The clear headers of all streams in commit order: those after `position`, at most `limit`. What
    /// statistics fold.
    ///
    /// # Errors
    /// Database errors.
    pub async fn headers(&self, position: u64, limit: u32) -> Result<Vec<HeaderRow>> {
        let found = db::query("SELECT position, stream, seq, header FROM event WHERE position > $1 ORDER BY position LIMIT $2")
            .bind(signed(position)?)
            .bind(limit)
            .fetch_all(self.reader())
            .await?;
        found
            .iter()
            .map(|r| {
                Ok(HeaderRow {
                    position: unsigned(r.try_get(0)?)?,
                    stream: rows::stream_from(r.try_get(1)?)?,
                    seq: unsigned(r.try_get(2)?)?,
                    header: header_from(r.try_get(3)?)?,
                })
            })
            .collect()
    }

    /// Whether a command of this name was carried out, and to which version of which stream it led.
    ///
    /// # Errors
    /// Database errors.
    pub async fn done_before(&self, key: &IdempotencyKey) -> Result<Option<(StreamId, u64)>> {
        let mac = self.secrets().mac("idempotency", key.0.as_bytes());
        let found =
            db::query("SELECT stream, version FROM idempotency WHERE mac = $1").bind(mac.as_slice()).fetch_optional(self.reader()).await?;
        found.map(|r| Ok((rows::stream_from(r.try_get(0)?)?, unsigned(r.try_get(1)?)?))).transpose()
    }

    /// Forgets the names of commands carried out before `before`; a repeat would then meet the
    /// optimistic version instead.
    ///
    /// # Errors
    /// Database errors.
    pub async fn purge_idempotency(&self, before: jiff::Timestamp) -> Result<u64> {
        let mut tx = self.write().await?;
        let gone = db::query("DELETE FROM idempotency WHERE at < $1").bind(micros(before)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(gone.rows_affected())
    }

    /// What can be refused without the database.
    fn check(&self, commit: &Commit) -> Result<()> {
        if commit.records.is_empty() {
            return Err(StoreError::Invalid("a commit records at least one event"));
        }
        within("commit", commit.records.len(), MAX_RECORDS_PER_COMMIT, "events")?;
        for record in &commit.records {
            within("event's payload", record.payload.len(), MAX_PAYLOAD_BYTES, "bytes")?;
        }
        let request = match commit.stream {
            StreamId::Request(id) => Some(id),
            _ => None,
        };
        if request.is_none() && (commit.row.is_some() || !commit.index.is_empty()) {
            return Err(StoreError::Invalid("queue rows and look-ups belong to a request"));
        }
        if commit.row.as_ref().is_some_and(|row| Some(row.request) != request) {
            return Err(StoreError::Invalid("the queue row is another request's"));
        }
        Ok(())
    }

    async fn write_commit(&self, tx: &mut Connection, commit: &Commit) -> Result<u64, CommitError> {
        let stream = stream_key(commit.stream);
        let mac = commit.idempotency.as_ref().map(|k| self.secrets().mac("idempotency", k.0.as_bytes()));
        if let Some(mac) = &mac {
            let before =
                db::query("SELECT stream, version FROM idempotency WHERE mac = $1").bind(mac.as_slice()).fetch_optional(&mut *tx).await?;
            if let Some(row) = before {
                return Err(CommitError::Duplicate { stream: rows::stream_from(row.try_get(0)?)?, version: unsigned(row.try_get(1)?)? });
            }
        }
        let actual = version(tx, &stream).await?;
        if actual != commit.expected {
            let expected = commit.expected;
            return Err(CommitError::Conflict { stream: commit.stream, expected, actual });
        }
        if let Some((stream, expected)) = commit.rests_on {
            let actual = version(tx, &stream_key(stream)).await?;
            if actual != expected {
                return Err(CommitError::Conflict { stream, expected, actual });
            }
        }
        if let (StreamId::Request(request), Some(alone)) = (commit.stream, &commit.alone)
            && lookups::taken(tx, self.secrets(), request, alone).await?
        {
            return Err(CommitError::NotAlone);
        }
        let new = actual + commit.records.len() as u64;
        db::query(
            "INSERT INTO stream (stream, version) VALUES ($1, $2)
             ON CONFLICT (stream) DO UPDATE SET version = excluded.version",
        )
        .bind(stream.as_slice())
        .bind(signed(new)?)
        .execute(&mut *tx)
        .await?;
        self.write_events(tx, &stream, actual, &commit.records).await?;
        if let Some(row) = &commit.row {
            queue::put_row(tx, row, new).await?;
        }
        for job in &commit.jobs {
            jobs::enqueue(tx, &stream, job).await?;
        }
        if let (Some(job), Some(last)) = (commit.retry, commit.records.last()) {
            jobs::retry(tx, &stream, job, last.header.at).await?;
        }
        if let StreamId::Request(request) = commit.stream {
            lookups::put(tx, self.secrets(), request, &commit.index).await?;
        }
        blobs::bind(tx, &stream, &commit.blobs).await?;
        if let Some((draft, version)) = commit.drop_draft {
            drafts::drop_version(tx, draft, version).await?;
        }
        if let (Some(mac), Some(last)) = (&mac, commit.records.last()) {
            db::query("INSERT INTO idempotency (mac, stream, version, at) VALUES ($1, $2, $3, $4)")
                .bind(mac.as_slice())
                .bind(stream.as_slice())
                .bind(signed(new)?)
                .bind(micros(last.header.at))
                .execute(&mut *tx)
                .await?;
        }
        Ok(new)
    }

    async fn write_events(&self, tx: &mut Connection, stream: &[u8; 17], after: u64, records: &[NewRecord]) -> Result<()> {
        let mut keys: HashMap<RetentionClass, DataKey> = HashMap::new();
        for (seq, record) in (after + 1..).zip(records) {
            let header = &record.header;
            // Fetched inside the write transaction: an erasure either sees these events or is over.
            let key = match keys.get(&header.class) {
                Some(key) => key.clone(),
                None => {
                    let key = self.keys().current(&scope_of(stream, header)?).await?;
                    keys.insert(header.class, key.clone());
                    key
                }
            };
            let sealed = seal_event(&key, stream, seq, record)?;
            let position: i64 = db::query_scalar(
                "INSERT INTO event (stream, seq, at, kind, gallery, leo, outcome, class, header,
                   header_salt, payload_commitment, key_id, sealed, leaf)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                 RETURNING position",
            )
            .bind(stream.as_slice())
            .bind(signed(seq)?)
            .bind(micros(header.at))
            .bind(&header.kind)
            .bind(header.gallery.map(gallery_text))
            .bind(header.leo.as_ref().map(|leo| leo.as_bytes().as_slice()))
            .bind(&header.outcome)
            .bind(class_text(header.class))
            .bind(sealed.header)
            .bind(sealed.header_salt.as_slice())
            .bind(sealed.payload.0.as_slice())
            .bind(key.id.as_slice())
            .bind(sealed.sealed)
            .bind(sealed.leaf.0.as_slice())
            .fetch_one(&mut *tx)
            .await?;
            for clause in &header.clauses {
                db::query("INSERT INTO event_clause (clause, position) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind(clause)
                    .bind(position)
                    .execute(&mut *tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// Opens a sealed payload: its commitment's salt and the payload; `None` if its key is gone.
    pub(crate) async fn open_payload(
        &self,
        ring: &mut Keyring,
        key_id: &[u8],
        stream: &[u8; 17],
        seq: u64,
        class: RetentionClass,
        sealed: &[u8],
    ) -> Result<Option<([u8; 32], Vec<u8>)>> {
        let Some(key) = self.keys().find(ring, key_id).await? else {
            return Ok(None);
        };
        let plain = key.open(&Aad::event(stream, seq, class), sealed).ok_or(StoreError::Damaged { what: "payload of an event" })?;
        let (salt, payload) = plain.split_first_chunk::<32>().ok_or(StoreError::Damaged { what: "payload of an event" })?;
        Ok(Some((*salt, payload.to_vec())))
    }
}

/// What the key of an event is for. The house's own stream never ends, so its keys are for a London day each; a
/// commit to it is of one instant.
fn scope_of(stream: &[u8; 17], header: &Header) -> Result<Scope> {
    Ok(match rows::stream_from(stream)? {
        StreamId::House => Scope::stream_on(stream, header.class, casework::calendar::london_date(header.at)),
        _ => Scope::stream(stream, header.class),
    })
}

struct SealedEvent {
    header: String,
    header_salt: [u8; 32],
    payload: Commitment,
    sealed: Vec<u8>,
    leaf: Leaf,
}

fn seal_event(key: &DataKey, stream: &[u8; 17], seq: u64, record: &NewRecord) -> Result<SealedEvent> {
    let header = serde_json::to_string(&record.header).map_err(|_| StoreError::Invalid("the event's header cannot be written as JSON"))?;
    let header_salt = random()?;
    let salt = Zeroizing::new(random::<32>()?);
    let payload = Commitment::new(&salt, &record.payload);
    let leaf = Leaf::new(&header_commitment(&header_salt, stream, seq, &header), &payload);
    let mut plain = Zeroizing::new(Vec::with_capacity(32 + record.payload.len()));
    plain.extend_from_slice(salt.as_slice());
    plain.extend_from_slice(&record.payload);
    let sealed = key.key.seal(&Aad::event(stream, seq, record.header.class), &plain)?;
    Ok(SealedEvent { header, header_salt, payload, sealed, leaf })
}

/// See the module's page.
pub(crate) fn header_commitment(salt: &[u8; 32], stream: &[u8; 17], seq: u64, header: &str) -> Commitment {
    ledger::bundle::header_commitment(salt, stream, seq, header.as_bytes())
}

pub(crate) fn header_from(text: &str) -> Result<Header> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged { what: "header of an event" })
}

async fn version(tx: &mut Connection, stream: &[u8; 17]) -> Result<u64> {
    let version: Option<i64> =
        db::query_scalar("SELECT version FROM stream WHERE stream = $1").bind(stream.as_slice()).fetch_optional(tx).await?;
    unsigned(version.unwrap_or(0))
}

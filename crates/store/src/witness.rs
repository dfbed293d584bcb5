//! Cosignatures of witnesses, what they last told us, and what an outsider's copy reads of the log with them.

use crate::db;
use crate::rows::{self, signed, stream_key, time, unsigned};
use crate::{Result, Store, StoreError, micros};
use casework::ids::RequestId;
use casework::record::{GalleryId, StreamId};
use jiff::Timestamp;
use ledger::{Checkpoint, Commitment, Leaf, WitnessKey, needs, tree, verify};
use std::collections::HashMap;

/// One event as it is in the log, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// The stream.
    pub stream: StreamId,
    /// The stream as it is committed to.
    pub stream_key: [u8; 17],
    /// Position in the stream, from 1.
    pub seq: u64,
    /// The clear header as JSON, exactly the bytes committed to.
    pub header: String,
    /// Salt of the commitment to the header.
    pub salt: [u8; 32],
    /// Commitment to the payload.
    pub payload: Commitment,
}

/// What a witness last told us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessState {
    /// Size of the last checkpoint that it is known to have cosigned; 0 for none.
    pub size: u64,
    /// Why it does not cosign now: a code; `None`: it does.
    pub problem: Option<String>,
    /// When it last answered, or failed to.
    pub at: Timestamp,
}

impl Store {
    /// Events whose leaves have indexes in `from..until`, in order.
    ///
    /// # Errors
    /// Database errors.
    pub async fn log_rows(&self, from: u64, until: u64) -> Result<Vec<LogRow>> {
        let found = db::query(
            "SELECT log_index, leaf, stream, seq, header, header_salt, payload_commitment FROM event
             WHERE log_index >= $1 AND log_index < $2 ORDER BY log_index",
        )
        .bind(signed(from)?)
        .bind(signed(until)?)
        .fetch_all(self.reader())
        .await?;
        let mut out = Vec::with_capacity(found.len());
        for row in &found {
            let stream_key: [u8; 17] = rows::array(row.try_get(2)?, "stream name")?;
            out.push(LogRow {
                index: unsigned(row.try_get(0)?)?,
                leaf: Leaf(rows::array(row.try_get(1)?, "leaf")?),
                stream: rows::stream_from(&stream_key)?,
                stream_key,
                seq: unsigned(row.try_get(3)?)?,
                header: row.try_get(4)?,
                salt: rows::array(row.try_get(5)?, "salt")?,
                payload: Commitment(rows::array(row.try_get(6)?, "commitment")?),
            });
        }
        Ok(out)
    }

    /// Requests whose existence is no secret, with their galleries: not handled sensitively now or at
    /// any time that their clear headers tell of, and submitted (V1).
    ///
    /// # Errors
    /// Database errors.
    pub async fn plain_requests(&self) -> Result<HashMap<RequestId, GalleryId>> {
        let found = db::query(
            "SELECT request, gallery FROM request_row
             WHERE sensitive = 0 AND state NOT IN ('draft', 'awaiting-approval', 'returned')",
        )
        .fetch_all(self.reader())
        .await?;
        let mut out = HashMap::with_capacity(found.len());
        for row in &found {
            out.insert(RequestId(rows::uuid(row.try_get(0)?)?), rows::gallery_from(row.try_get(1)?)?);
        }
        let told: Vec<Vec<u8>> = db::query_scalar(
            "SELECT DISTINCT stream FROM event WHERE kind IN ('vulnerability-flagged', 'admitted', 'onward-asked', 'onward-decided')",
        )
        .fetch_all(self.reader())
        .await?;
        for stream in told {
            if let StreamId::Request(id) = rows::stream_from(&stream)? {
                out.remove(&id);
            }
        }
        Ok(out)
    }

    /// Every checkpoint of at most `size` leaves, in order, each with its cosignatures.
    ///
    /// # Errors
    /// Database errors.
    pub async fn checkpoint_notes(&self, size: u64) -> Result<Vec<String>> {
        let found = db::query(
            "SELECT c.size, c.note, s.line FROM checkpoint c LEFT JOIN cosignature s ON s.size = c.size
             WHERE c.size <= $1 ORDER BY c.size, s.witness",
        )
        .bind(signed(size)?)
        .fetch_all(self.reader())
        .await?;
        let mut out: Vec<String> = vec![];
        let mut last: Option<i64> = None;
        for row in &found {
            let at: i64 = row.try_get(0)?;
            if last != Some(at) {
                out.push(row.try_get(1)?);
                last = Some(at);
            }
            if let (Some(note), Some(line)) = (out.last_mut(), row.try_get::<Option<&str>, _>(2)?) {
                note.push_str(line);
            }
        }
        Ok(out)
    }

    /// Every witness whose cosignatures are kept, sorted by the text of their keys.
    ///
    /// # Errors
    /// Database errors.
    pub async fn cosigners(&self) -> Result<Vec<WitnessKey>> {
        let keys: Vec<String> =
            db::query_scalar("SELECT DISTINCT witness FROM cosignature ORDER BY witness").fetch_all(self.reader()).await?;
        let mut out = keys.iter().map(|k| Ok(WitnessKey::parse(k)?)).collect::<Result<Vec<_>>>()?;
        out.sort_by_key(ToString::to_string);
        Ok(out)
    }

    /// Keeps a cosignature, durably, once it verifies against the checkpoint of that size. A witness that
    /// cosigns again replaces its line.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a size that was never signed; [`StoreError::Ledger`] if it does not verify.
    pub async fn keep_cosignature(&self, size: u64, witness: &WitnessKey, line: &str, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        let note: Option<String> =
            db::query_scalar("SELECT note FROM checkpoint WHERE size = $1").bind(signed(size)?).fetch_optional(&mut *tx).await?;
        let note = note.ok_or(StoreError::NotFound { what: "checkpoint of that size" })?;
        let seconds = witness.check(&ledger::Signed::parse(&note)?.text, line)?;
        let at = i64::try_from(seconds)
            .ok()
            .and_then(|s| s.checked_mul(1_000_000))
            .ok_or(StoreError::Invalid("the cosignature's time is beyond the calendar"))?;
        db::query(
            "INSERT INTO cosignature (size, witness, at, line) VALUES ($1, $2, $3, $4)
             ON CONFLICT (size, witness) DO UPDATE SET at = excluded.at, line = excluded.line",
        )
        .bind(signed(size)?)
        .bind(witness.to_string())
        .bind(at)
        .bind(format!("{}\n", line.trim_end_matches('\n')))
        .execute(&mut *tx)
        .await?;
        put_state(&mut tx, witness, size, None, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes what a witness said, or that it said nothing: the size it knows, and a code.
    ///
    /// # Errors
    /// Database errors.
    pub async fn note_witness(&self, witness: &WitnessKey, size: u64, problem: Option<&str>, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        put_state(&mut tx, witness, size, problem, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What a witness last told us; `None` if it was never asked.
    ///
    /// # Errors
    /// Database errors.
    pub async fn witness_state(&self, witness: &WitnessKey) -> Result<Option<WitnessState>> {
        let found = db::query("SELECT size, problem, at FROM witness WHERE key = $1")
            .bind(witness.to_string())
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(WitnessState { size: unsigned(row.try_get(0)?)?, problem: row.try_get(1)?, at: time(row.try_get(2)?)? }))
    }

    /// The newest checkpoint that this witness cosigned, and the time that it signed; verified anew. What is kept of
    /// it and does not verify counts as nothing.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if the checkpoint is not signed by our key.
    pub async fn cosigned_by(&self, witness: &WitnessKey) -> Result<Option<(Checkpoint, Timestamp)>> {
        let found = db::query(
            "SELECT c.size, c.note, s.line FROM cosignature s JOIN checkpoint c ON c.size = s.size
             WHERE s.witness = $1 ORDER BY c.size DESC LIMIT 1",
        )
        .bind(witness.to_string())
        .fetch_optional(self.reader())
        .await?;
        let Some(row) = found else { return Ok(None) };
        let (note, line): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
        let checkpoint = Checkpoint::open(note, &self.verifier_key())?;
        if checkpoint.size != unsigned(row.try_get(0)?)? {
            return Err(StoreError::Damaged { what: "checkpoint (it signs another size)" });
        }
        let at = witness.check(&ledger::Signed::parse(note)?.text, line).ok();
        let at = at.and_then(|s| i64::try_from(s).ok()).and_then(|s| Timestamp::from_second(s).ok());
        Ok(at.map(|at| (checkpoint, at)))
    }

    /// Whether this witness has cosigned a checkpoint that event `seq` of a stream is under. It is proved each
    /// time: the log's signature, the cosignature, and that the leaf is in the tree.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if the stored tree does not make the checkpoint's root.
    pub async fn is_witnessed(&self, witness: &WitnessKey, stream: StreamId, seq: u64) -> Result<bool> {
        let Some((checkpoint, _)) = self.cosigned_by(witness).await? else { return Ok(false) };
        let mut tx = self.reader().begin().await?;
        let found = db::query("SELECT log_index, leaf FROM event WHERE stream = $1 AND seq = $2 AND log_index IS NOT NULL")
            .bind(stream_key(stream).as_slice())
            .bind(signed(seq)?)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = found else { return Ok(false) };
        let (index, leaf) = (unsigned(row.try_get(0)?)?, Leaf(rows::array(row.try_get(1)?, "leaf")?));
        if index >= checkpoint.size {
            return Ok(false); // recorded since
        }
        let hashes = crate::log::read_hashes(&mut tx, &needs::inclusion(checkpoint.size, index)?).await?;
        let proof = tree::inclusion_proof(checkpoint.size, index, &hashes)?;
        verify::inclusion(&proof, checkpoint.size, checkpoint.root, index, leaf)?;
        Ok(true)
    }

    /// Of the checkpoints of at least `size` leaves, the one that most witnesses have cosigned; the newest of those.
    ///
    /// # Errors
    /// Database errors.
    pub async fn most_cosigned_from(&self, size: u64) -> Result<Option<u64>> {
        let found: Option<i64> = db::query_scalar(
            "SELECT c.size FROM checkpoint c LEFT JOIN cosignature s ON s.size = c.size WHERE c.size >= $1
             GROUP BY c.size ORDER BY count(s.witness) DESC, c.size DESC LIMIT 1",
        )
        .bind(signed(size)?)
        .fetch_optional(self.reader())
        .await?;
        found.map(unsigned).transpose()
    }
}

async fn put_state(tx: &mut db::Connection, witness: &WitnessKey, size: u64, problem: Option<&str>, now: Timestamp) -> Result<()> {
    db::query(
        "INSERT INTO witness (key, size, problem, at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO UPDATE SET size = excluded.size, problem = excluded.problem, at = excluded.at",
    )
    .bind(witness.to_string())
    .bind(signed(size)?)
    .bind(problem)
    .bind(micros(now))
    .execute(tx)
    .await?;
    Ok(())
}

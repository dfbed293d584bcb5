//! What an outsider's copy reads of the log, with the cosignatures that are kept. Nothing asks witnesses for any yet (docs/adr/0018).

use crate::db;
use crate::rows::{self, signed, unsigned};
use crate::{Result, Store};
use casework::ids::RequestId;
use casework::record::{GalleryId, StreamId};
use ledger::{Commitment, Leaf, WitnessKey};
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
}

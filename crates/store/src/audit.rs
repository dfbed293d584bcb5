//! Checking the whole log against itself: every event against its leaf, every leaf against the tree,
//! the tree against every checkpoint ever signed.

use crate::db::{self, Connection, Row};
use crate::events::{header_commitment, header_from};
use crate::keys::Keyring;
use crate::rows::{self, class_text, gallery_text, unsigned};
use crate::{Result, Store, StoreError, micros};
use casework::record::{Header, StreamId};
use ledger::{Checkpoint, Commitment, Hash, Leaf, tree};
use std::collections::HashMap;
use std::fmt;

/// Events read at a time.
const PAGE: i64 = 500;

/// What was checked, and the first thing found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Events in the store.
    pub events: u64,
    /// Of these, leaves in the tree.
    pub leaves: u64,
    /// Of these, waiting to be sequenced.
    pub unsequenced: u64,
    /// Payloads opened and found to be what was committed to.
    pub opened: u64,
    /// Payloads erased on purpose; their headers were still checked.
    pub erased: u64,
    /// Checkpoints whose signature and root were checked.
    pub checkpoints: u64,
    /// Size that the newest checkpoint signs.
    pub size: u64,
    /// The first thing wrong; `None`: all is well. Counts are up to there.
    pub fault: Option<LogFault>,
}

impl LogReport {
    /// Nothing was found wrong.
    #[must_use]
    pub fn verified(&self) -> bool {
        self.fault.is_none()
    }
}

/// The first thing that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFault {
    /// An event is not what it was when it was recorded.
    Event {
        /// Its stream.
        stream: StreamId,
        /// Its position there, from 1.
        seq: u64,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// A stream has lost or gained events.
    Stream {
        /// The stream.
        stream: StreamId,
        /// The version it says it has.
        version: u64,
        /// The events it has.
        events: u64,
    },
    /// A leaf is missing from the log's order.
    Gap {
        /// The first index without an event.
        index: u64,
    },
    /// A stored hash of the tree is not what the leaves make.
    Hash {
        /// Its dense index.
        index: u64,
    },
    /// A signed checkpoint does not fit the leaves.
    Checkpoint {
        /// The size it is stored under.
        size: u64,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// A blob that a record refers to does not open.
    Blob {
        /// The stream it belongs to.
        stream: StreamId,
        /// Its id.
        id: casework::ids::BlobId,
    },
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { stream, seq, wrong } => {
                write!(f, "event {seq} of {}: {wrong}", name(*stream))
            }
            Self::Stream { stream, version, events } => {
                write!(f, "{}: it has {events} events, its version says {version}", name(*stream))
            }
            Self::Gap { index } => write!(f, "leaf {index}: no event has this place in the log"),
            Self::Hash { index } => write!(f, "stored hash {index}: not what the leaves make"),
            Self::Checkpoint { size, wrong } => write!(f, "checkpoint of size {size}: {wrong}"),
            Self::Blob { stream, id } => {
                write!(f, "image {id} of {}: missing or changed", name(*stream))
            }
        }
    }
}

fn name(stream: StreamId) -> String {
    match stream {
        StreamId::Request(id) => format!("request {id}"),
        StreamId::Consulted(id) => format!("consulted stream of request {id}"),
        StreamId::Register => "the register".to_owned(),
        StreamId::House => "the house stream".to_owned(),
    }
}

/// Stops the walk; a fault is a finding, not an error of the store.
enum Stop {
    Fault(LogFault),
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// What the walk carries along.
struct Walk {
    report: LogReport,
    ring: Keyring,
    hashes: HashMap<u64, Hash>,
    seqs: HashMap<[u8; 17], u64>,
}

impl Store {
    /// Recomputes everything: each event's commitments and leaf, the tree, every checkpoint, every
    /// stream's length, every bound blob. Names the first thing wrong. Reads one snapshot; writers are
    /// not held up.
    ///
    /// # Errors
    /// Database and file errors; something wrong in the data is a [`LogReport::fault`] instead.
    pub async fn verify_log(&self) -> Result<LogReport> {
        let mut walk = Walk { report: LogReport::default(), ring: Keyring::new(), hashes: HashMap::new(), seqs: HashMap::new() };
        match self.walk(&mut walk).await {
            Ok(()) => {}
            Err(Stop::Fault(fault)) => walk.report.fault = Some(fault),
            Err(Stop::Store(error)) => return Err(error),
        }
        Ok(walk.report)
    }

    async fn walk(&self, walk: &mut Walk) -> Result<(), Stop> {
        let mut tx = self.reader().begin().await?;
        self.walk_events(&mut tx, walk).await?;
        walk_streams(&mut tx, walk).await?;
        walk_hashes(&mut tx, walk).await?;
        self.walk_checkpoints(&mut tx, walk).await?;
        let blobs = db::query("SELECT id, stream FROM blob WHERE bound = 1 ORDER BY id").fetch_all(&mut *tx).await?;
        drop(tx);
        for row in blobs {
            let id = casework::ids::BlobId(rows::uuid(row.try_get(0)?)?);
            let mut read = self.get_blob(id).await;
            if read.is_err() {
                // It may have been erased at that moment; then it is gone for good now.
                read = self.get_blob(id).await;
            }
            match read {
                Ok(_) => {}
                Err(StoreError::Damaged { .. }) => {
                    let stream = rows::stream_from(row.try_get(1)?)?;
                    return Err(Stop::Fault(LogFault::Blob { stream, id }));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn walk_events(&self, tx: &mut Connection, walk: &mut Walk) -> Result<(), Stop> {
        let mut after = 0_i64;
        loop {
            let page = db::query(
                "SELECT e.position, e.stream, e.seq, e.at, e.kind, e.gallery, e.leo, e.outcome, e.class,
                   e.header, e.header_salt, e.payload_commitment, e.key_id, e.sealed, e.leaf, e.log_index,
                   x.key_id IS NOT NULL AS was_erased,
                   (SELECT string_agg(c.clause, ' ') FROM event_clause c WHERE c.position = e.position)
                     AS clauses
                 FROM event e LEFT JOIN erasure x ON x.key_id = e.key_id
                 WHERE e.position > $1 ORDER BY e.position LIMIT $2",
            )
            .bind(after)
            .bind(PAGE)
            .fetch_all(&mut *tx)
            .await?;
            for row in &page {
                after = row.try_get("position")?;
                self.walk_event(row, walk).await?;
            }
            if (page.len() as i64) < PAGE {
                return Ok(());
            }
        }
    }

    async fn walk_event(&self, row: &Row, walk: &mut Walk) -> Result<(), Stop> {
        let key: [u8; 17] = rows::array(row.try_get("stream")?, "stream name")?;
        let stream = rows::stream_from(&key)?;
        let seq = unsigned(row.try_get("seq")?)?;
        let fault = |wrong| Err(Stop::Fault(LogFault::Event { stream, seq, wrong }));
        walk.report.events += 1;
        // Commit order keeps each stream's own order.
        let count = walk.seqs.entry(key).or_default();
        *count += 1;
        if *count != seq {
            return fault("an event before it is missing");
        }
        let text: &str = row.try_get("header")?;
        let (Ok(salt), Ok(payload), Ok(leaf)) = (
            rows::array::<32>(row.try_get("header_salt")?, "salt"),
            rows::array::<32>(row.try_get("payload_commitment")?, "commitment"),
            rows::array::<32>(row.try_get("leaf")?, "leaf"),
        ) else {
            return fault("its commitments are not 32 bytes each");
        };
        let payload = Commitment(payload);
        if Leaf::new(&header_commitment(&salt, &key, seq, text), &payload) != Leaf(leaf) {
            return fault("its header, its place or its commitment was changed");
        }
        let Ok(header) = header_from(text) else {
            return fault("its header cannot be read");
        };
        if !columns_agree(row, &header)? {
            return fault("the columns searched by disagree with its header");
        }
        let sealed: Option<&[u8]> = row.try_get("sealed")?;
        let was_erased: bool = row.try_get("was_erased")?;
        let opened = match sealed {
            Some(sealed) => {
                let key_id = row.try_get("key_id")?;
                match self.open_payload(&mut walk.ring, key_id, &key, seq, header.class, sealed).await {
                    Ok(opened) => opened,
                    Err(StoreError::Damaged { .. }) => {
                        return fault("its sealed payload does not open");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            None => None,
        };
        match opened {
            Some((salt, bytes)) if Commitment::new(&salt, &bytes) == payload => walk.report.opened += 1,
            Some(_) => return fault("its payload is not what was committed to"),
            None if was_erased || self.key_erased(row.try_get("key_id")?).await? => {
                walk.report.erased += 1;
            }
            None => return fault("its payload or its key is gone, and it was never erased"),
        }
        match row.try_get::<Option<i64>, _>("log_index")? {
            None => walk.report.unsequenced += 1,
            Some(index) => {
                let expected = walk.report.leaves;
                if unsigned(index)? != expected || walk.report.unsequenced > 0 {
                    return Err(Stop::Fault(LogFault::Gap { index: expected }));
                }
                for (at, hash) in tree::append(expected, Leaf(leaf), &walk.hashes)? {
                    walk.hashes.insert(at, hash);
                }
                walk.report.leaves += 1;
            }
        }
        Ok(())
    }

    /// Asked outside the snapshot: an erasure may have begun since it was taken.
    async fn key_erased(&self, key_id: &[u8]) -> Result<bool> {
        let found: Option<i64> =
            db::query_scalar("SELECT 1 FROM erasure WHERE key_id = $1").bind(key_id).fetch_optional(self.reader()).await?;
        Ok(found.is_some())
    }

    async fn walk_checkpoints(&self, tx: &mut Connection, walk: &mut Walk) -> Result<(), Stop> {
        let found = db::query("SELECT size, note FROM checkpoint ORDER BY size").fetch_all(tx).await?;
        for row in &found {
            let size = unsigned(row.try_get(0)?)?;
            let fault = |wrong| Err(Stop::Fault(LogFault::Checkpoint { size, wrong }));
            let Ok(opened) = Checkpoint::open(row.try_get(1)?, &self.verifier_key()) else {
                return fault("it is not signed by the log's key");
            };
            if opened.size != size {
                return fault("it signs another size");
            }
            if size > walk.report.leaves {
                return fault("it signs more leaves than there are");
            }
            if tree::root(size, &walk.hashes)? != opened.root {
                return fault("it signs another root");
            }
            walk.report.checkpoints += 1;
            walk.report.size = size;
        }
        if walk.report.size != walk.report.leaves {
            let size = walk.report.size;
            return Err(Stop::Fault(LogFault::Checkpoint { size, wrong: "it is the newest and signs fewer leaves than there are" }));
        }
        Ok(())
    }
}

async fn walk_streams(tx: &mut Connection, walk: &Walk) -> Result<(), Stop> {
    let found = db::query("SELECT stream, version FROM stream").fetch_all(tx).await?;
    for row in &found {
        let key: [u8; 17] = rows::array(row.try_get(0)?, "stream name")?;
        let version = unsigned(row.try_get(1)?)?;
        let events = walk.seqs.get(&key).copied().unwrap_or(0);
        if version != events {
            let stream = rows::stream_from(&key)?;
            return Err(Stop::Fault(LogFault::Stream { stream, version, events }));
        }
    }
    Ok(())
}

async fn walk_hashes(tx: &mut Connection, walk: &Walk) -> Result<(), Stop> {
    let expected = tree::stored_count(walk.report.leaves);
    let mut next = 0_u64;
    loop {
        let page: Vec<(i64, Vec<u8>)> = db::query_as("SELECT idx, hash FROM log_hash WHERE idx >= $1 ORDER BY idx LIMIT $2")
            .bind(rows::signed(next)?)
            .bind(PAGE)
            .fetch_all(&mut *tx)
            .await?;
        for (index, hash) in &page {
            let hash = rows::array::<32>(hash, "log hash").ok();
            if unsigned(*index)? != next || hash.is_none() || hash != walk.hashes.get(&next).copied() {
                return Err(Stop::Fault(LogFault::Hash { index: next }));
            }
            next += 1;
        }
        if (page.len() as i64) < PAGE {
            break;
        }
    }
    if next != expected { Err(Stop::Fault(LogFault::Hash { index: next })) } else { Ok(()) }
}

/// The columns that lists search by say what the committed header says.
fn columns_agree(row: &Row, header: &Header) -> Result<bool, sqlx::Error> {
    let clauses: Option<&str> = row.try_get("clauses")?;
    let mut stored: Vec<&str> = clauses.unwrap_or_default().split_whitespace().collect();
    let mut cited: Vec<&str> = header.clauses.iter().map(String::as_str).collect();
    stored.sort_unstable();
    cited.sort_unstable();
    cited.dedup();
    Ok(row.try_get::<i64, _>("at")? == micros(header.at)
        && row.try_get::<&str, _>("kind")? == header.kind
        && row.try_get::<Option<&str>, _>("gallery")? == header.gallery.map(gallery_text)
        && row.try_get::<Option<&[u8]>, _>("leo")? == header.leo.as_ref().map(|leo| leo.as_bytes().as_slice())
        && row.try_get::<Option<&str>, _>("outcome")? == header.outcome.as_deref()
        && row.try_get::<&str, _>("class")? == class_text(header.class)
        && stored == cited)
}

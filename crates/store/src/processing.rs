//! Who did what, to be searched (D5), and the figures (D4): folded out of the log as it grows, a batch at a
//! time, and held against a whole fold by `audit replay`.

use crate::db::{self, Connection, QueryBuilder, Row};
use crate::events::header_from;
use crate::keys::Keyring;
use crate::log::{EntryFilter, entries_sql};
use crate::rows::{self, gallery_from, gallery_text, signed, unsigned};
use crate::{Result, Store, StoreError, micros, within};
use casework::ids::{LeoId, PersonId, RequestId};
use casework::processing::Operation;
use casework::record::{GalleryId, Header, StreamId};
use jiff::Timestamp;
use ledger::{Commitment, Leaf};

/// Longest page of entries, in rows.
pub const PROCESSING_PAGE_LIMIT: u32 = 500;
/// Entries folded in one transaction at most.
pub const FOLD_BATCH: u32 = 500;
/// What the HMAC of a person is for.
const PARTY: &str = "processing-party";

/// An event in the log, opened.
#[derive(Clone, Debug)]
pub struct LoggedRecord {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// Its stream.
    pub stream: StreamId,
    /// Position in its stream, from 1.
    pub seq: u64,
    /// The clear header.
    pub header: Header,
    /// The header's bytes as committed to, the salt of that commitment, and the bare commitment to the payload:
    /// what shows that the header is the leaf's.
    pub opening: Opening,
    /// The payload; `None` once it was erased.
    pub payload: Option<Vec<u8>>,
}

/// What shows that a header is a leaf's: see [`crate::events`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// `stream ‖ seq ‖ header JSON`, as committed to.
    pub header: Vec<u8>,
    /// The salt of that commitment.
    pub salt: [u8; 32],
    /// The commitment to the payload.
    pub payload: Commitment,
}

/// One entry as it is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessingRow {
    /// The leaf's index, from 0.
    pub index: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Which operation it is.
    pub operation: Operation,
    /// The gallery, where there is one.
    pub gallery: Option<GalleryId>,
    /// The force, where there is one.
    pub leo: Option<LeoId>,
    /// The request that it belongs to, where there is one.
    pub request: Option<RequestId>,
    /// The clauses that it cites, in order.
    pub clauses: Vec<String>,
    /// Who did it or received it, in order; nobody once its payload was erased.
    pub parties: Vec<PersonId>,
}

/// What a count is filed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FigureKey {
    /// The gallery.
    pub gallery: GalleryId,
    /// By what it is grouped, kebab-case.
    pub filed: String,
    /// Which of those; empty where the group is the gallery itself.
    pub of: String,
    /// What is counted, kebab-case.
    pub measure: String,
    /// Which of those; may be empty.
    pub detail: String,
}

/// Where a page begins: below the entry recorded at this time with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// When that entry was recorded.
    pub at: Timestamp,
    /// Its index.
    pub index: u64,
}

/// Which entries to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct ProcessingFilter {
    /// Only this operation.
    pub operation: Option<Operation>,
    /// Only what this person did or received.
    pub person: Option<PersonId>,
    /// Only this request.
    pub request: Option<RequestId>,
    /// Only this gallery.
    pub gallery: Option<GalleryId>,
    /// Only this force.
    pub leo: Option<LeoId>,
    /// Only entries citing this clause.
    pub clause: Option<String>,
    /// Only entries recorded at or after.
    pub from: Option<Timestamp>,
    /// Only entries recorded before.
    pub until: Option<Timestamp>,
    /// Only entries below this one: the last of the page before.
    pub below: Option<Below>,
}

impl Store {
    /// How many leaves have been folded.
    ///
    /// # Errors
    /// Database errors.
    pub async fn folded(&self) -> Result<u64> {
        folded(&mut *self.reader().acquire().await?).await
    }

    /// Events in the log from an index on, in the log's order, opened.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; [`StoreError::Damaged`] if a payload does not open under its own key.
    pub async fn logged(&self, from: u64, limit: u32) -> Result<Vec<LoggedRecord>> {
        within("page", limit as usize, PROCESSING_PAGE_LIMIT as usize, "entries")?;
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push(" FROM event e WHERE e.log_index >= ")
            .push_bind(signed(from)?)
            .push(" ORDER BY e.log_index LIMIT ")
            .push_bind(i64::from(limit));
        self.opened(sql.build().fetch_all(self.reader()).await?).await
    }

    /// One event in the log, opened; `None` if the log is shorter.
    ///
    /// # Errors
    /// As [`Self::logged`].
    pub async fn logged_at(&self, index: u64) -> Result<Option<LoggedRecord>> {
        if index > i64::MAX.unsigned_abs() {
            return Ok(None);
        }
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push(" FROM event e WHERE e.log_index = ").push_bind(signed(index)?);
        Ok(self.opened(sql.build().fetch_all(self.reader()).await?).await?.pop())
    }

    /// Writes down what was folded out of the leaves from `from` on, with what they add to the figures, in one
    /// transaction; `false` if somebody else has folded them meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] unless the rows follow one another from `from`; database errors.
    pub async fn fold(&self, from: u64, rows: &[ProcessingRow], figures: &[(FigureKey, u64)]) -> Result<bool> {
        if rows.iter().zip(from..).any(|(row, index)| row.index != index) {
            return Err(StoreError::Invalid("the rows do not follow one another"));
        }
        let mut tx = self.write().await?;
        if folded(&mut tx).await? != from {
            return Ok(false);
        }
        for row in rows {
            self.put_processing(&mut tx, row).await?;
        }
        for (key, n) in figures {
            db::query(
                "INSERT INTO figure (gallery, filed, of, measure, detail, number) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (gallery, filed, of, measure, detail) DO UPDATE SET number = figure.number + excluded.number",
            )
            .bind(gallery_text(key.gallery))
            .bind(&key.filed)
            .bind(&key.of)
            .bind(&key.measure)
            .bind(&key.detail)
            .bind(signed(*n)?)
            .execute(&mut *tx)
            .await?;
        }
        db::query("UPDATE folded SET upto = $1").bind(signed(from + rows.len() as u64)?).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn put_processing(&self, tx: &mut Connection, row: &ProcessingRow) -> Result<()> {
        let (index, at) = (signed(row.index)?, micros(row.at));
        db::query("INSERT INTO processing (log_index, at, operation, gallery, leo, request) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(index)
            .bind(at)
            .bind(<&str>::from(row.operation))
            .bind(row.gallery.map(gallery_text))
            .bind(row.leo.as_ref().map(|l| l.as_bytes().as_slice()))
            .bind(row.request.as_ref().map(|r| r.as_bytes().as_slice()))
            .execute(&mut *tx)
            .await?;
        for clause in &row.clauses {
            db::query("INSERT INTO processing_clause (clause, at, log_index) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(clause)
                .bind(at)
                .bind(index)
                .execute(&mut *tx)
                .await?;
        }
        for party in &row.parties {
            // Erased since it was opened: then nobody is found under it any more.
            db::query(
                "INSERT INTO processing_party (mac, at, log_index)
                 SELECT $1, $2, $3 WHERE EXISTS (SELECT 1 FROM event e WHERE e.log_index = $3 AND e.sealed IS NOT NULL)
                 ON CONFLICT DO NOTHING",
            )
            .bind(self.secrets().mac(PARTY, party.as_bytes()).as_slice())
            .bind(at)
            .bind(index)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }

    /// A page of entries, newest first (by the time recorded, then by their place in the log), opened.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; as [`Self::logged`].
    pub async fn processing(&self, filter: &ProcessingFilter, limit: u32) -> Result<Vec<LoggedRecord>> {
        within("page", limit as usize, PROCESSING_PAGE_LIMIT as usize, "entries")?;
        let mut sql = QueryBuilder::new(COLUMNS);
        // The narrowest part of the filter leads: the page is read off its index, in order. The order of the
        // joined tables is the order in which they are read.
        let lead = match filter {
            ProcessingFilter { request: Some(_), .. } => "p",
            ProcessingFilter { person: Some(_), .. } => "w",
            ProcessingFilter { clause: Some(_), .. } => "c",
            _ => "p",
        };
        match lead {
            "w" => sql.push(" FROM processing_party w CROSS JOIN processing p CROSS JOIN event e WHERE p.log_index = w.log_index"),
            "c" => sql.push(" FROM processing_clause c CROSS JOIN processing p CROSS JOIN event e WHERE p.log_index = c.log_index"),
            _ => sql.push(" FROM processing p CROSS JOIN event e WHERE 1 = 1"),
        };
        sql.push(" AND e.log_index = p.log_index");
        if let (Some(person), "w") = (filter.person, lead) {
            sql.push(" AND w.mac = ").push_bind(self.secrets().mac(PARTY, person.as_bytes()).to_vec());
        }
        if let (Some(clause), "c") = (&filter.clause, lead) {
            sql.push(" AND c.clause = ").push_bind(clause.clone());
        }
        if let Some(request) = filter.request {
            sql.push(" AND p.request = ").push_bind(request.as_bytes().to_vec());
        }
        if let Some(operation) = filter.operation {
            sql.push(" AND p.operation = ").push_bind(<&str>::from(operation));
        }
        if let Some(gallery) = filter.gallery {
            sql.push(" AND p.gallery = ").push_bind(gallery_text(gallery));
        }
        if let Some(leo) = filter.leo {
            sql.push(" AND p.leo = ").push_bind(leo.as_bytes().to_vec());
        }
        if let (Some(person), true) = (filter.person, lead != "w") {
            sql.push(" AND EXISTS (SELECT 1 FROM processing_party x WHERE x.log_index = p.log_index AND x.mac = ");
            sql.push_bind(self.secrets().mac(PARTY, person.as_bytes()).to_vec()).push(")");
        }
        if let (Some(clause), true) = (&filter.clause, lead != "c") {
            sql.push(" AND EXISTS (SELECT 1 FROM processing_clause x WHERE x.log_index = p.log_index AND x.clause = ");
            sql.push_bind(clause.clone()).push(")");
        }
        if let Some(from) = filter.from {
            sql.push(" AND ").push(lead).push(".at >= ").push_bind(micros(from));
        }
        if let Some(until) = filter.until {
            sql.push(" AND ").push(lead).push(".at < ").push_bind(micros(until));
        }
        if let Some(below) = filter.below {
            sql.push(" AND (").push(lead).push(".at, ").push(lead).push(".log_index) < (").push_bind(micros(below.at)).push(", ");
            sql.push_bind(signed(below.index)?).push(")");
        }
        sql.push(" ORDER BY ").push(lead).push(".at DESC, ").push(lead).push(".log_index DESC LIMIT ").push_bind(i64::from(limit));
        self.opened(sql.build().fetch_all(self.reader()).await?).await
    }

    /// A page of the log as [`Store::entries`] gives it, newest first, opened.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; as [`Self::logged`].
    pub async fn entries_opened(&self, filter: &EntryFilter) -> Result<Vec<LoggedRecord>> {
        self.opened(entries_sql(COLUMNS, filter)?.build().fetch_all(self.reader()).await?).await
    }

    /// Whether what was folded of an entry is something else than this, for comparison with a whole fold.
    ///
    /// # Errors
    /// Database errors.
    pub async fn differs(&self, row: &ProcessingRow) -> Result<bool> {
        let mut db = self.reader().acquire().await?;
        let index = signed(row.index)?;
        let found = db::query("SELECT at, operation, gallery, leo, request FROM processing WHERE log_index = $1")
            .bind(index)
            .fetch_optional(&mut *db)
            .await?;
        let Some(found) = found else { return Ok(true) };
        let mut macs: Vec<Vec<u8>> = db::query_scalar("SELECT mac FROM processing_party WHERE log_index = $1 AND at = $2 ORDER BY mac")
            .bind(index)
            .bind(micros(row.at))
            .fetch_all(&mut *db)
            .await?;
        let mut clauses: Vec<String> =
            db::query_scalar("SELECT clause FROM processing_clause WHERE log_index = $1 AND at = $2 ORDER BY clause")
                .bind(index)
                .bind(micros(row.at))
                .fetch_all(&mut *db)
                .await?;
        let mut expected: Vec<Vec<u8>> = row.parties.iter().map(|p| self.secrets().mac(PARTY, p.as_bytes()).to_vec()).collect();
        let mut cited = row.clauses.clone();
        for list in [&mut expected, &mut macs] {
            list.sort_unstable();
            list.dedup();
        }
        for list in [&mut cited, &mut clauses] {
            list.sort_unstable();
            list.dedup();
        }
        let same = found.try_get::<i64, _>(0)? == micros(row.at)
            && found.try_get::<&str, _>(1)? == <&str>::from(row.operation)
            && found.try_get::<Option<&str>, _>(2)? == row.gallery.map(gallery_text)
            && found.try_get::<Option<&[u8]>, _>(3)? == row.leo.as_ref().map(|l| l.as_bytes().as_slice())
            && found.try_get::<Option<&[u8]>, _>(4)? == row.request.as_ref().map(|r| r.as_bytes().as_slice())
            && macs == expected
            && clauses == cited;
        Ok(!same)
    }

    /// The figures, of one gallery or of all.
    ///
    /// # Errors
    /// Database errors.
    pub async fn figures(&self, gallery: Option<GalleryId>) -> Result<Vec<(FigureKey, u64)>> {
        let mut sql = QueryBuilder::new("SELECT gallery, filed, of, measure, detail, number FROM figure");
        if let Some(gallery) = gallery {
            sql.push(" WHERE gallery = ").push_bind(gallery_text(gallery));
        }
        sql.push(" ORDER BY gallery, filed, of, measure, detail");
        let found = sql.build().fetch_all(self.reader()).await?;
        found
            .iter()
            .map(|r| {
                let key = FigureKey {
                    gallery: gallery_from(r.try_get(0)?)?,
                    filed: r.try_get(1)?,
                    of: r.try_get(2)?,
                    measure: r.try_get(3)?,
                    detail: r.try_get(4)?,
                };
                Ok((key, unsigned(r.try_get(5)?)?))
            })
            .collect()
    }

    /// When the last event of a kind before event `seq` of a stream was recorded.
    ///
    /// # Errors
    /// Database errors.
    pub async fn last_before(&self, stream: StreamId, seq: u64, kind: &str) -> Result<Option<Timestamp>> {
        let at: Option<i64> =
            db::query_scalar("SELECT at FROM event WHERE stream = $1 AND seq < $2 AND kind = $3 ORDER BY seq DESC LIMIT 1")
                .bind(rows::stream_key(stream).as_slice())
                .bind(signed(seq)?)
                .bind(kind)
                .fetch_optional(self.reader())
                .await?;
        at.map(rows::time).transpose()
    }

    async fn opened(&self, found: Vec<Row>) -> Result<Vec<LoggedRecord>> {
        let mut ring = Keyring::new();
        let mut out = Vec::with_capacity(found.len());
        for row in found {
            let key: [u8; 17] = rows::array(row.try_get(2)?, "stream name")?;
            let seq = unsigned(row.try_get(3)?)?;
            let class = rows::class_from(row.try_get(5)?)?;
            let header: &str = row.try_get(4)?;
            let payload = match row.try_get::<Option<&[u8]>, _>(7)? {
                Some(sealed) => self.open_payload(&mut ring, row.try_get(6)?, &key, seq, class, sealed).await?.map(|(_, payload)| payload),
                None => None,
            };
            out.push(LoggedRecord {
                index: unsigned(row.try_get(0)?)?,
                leaf: Leaf(rows::array(row.try_get(1)?, "leaf")?),
                stream: rows::stream_from(&key)?,
                seq,
                header: header_from(header)?,
                opening: Opening {
                    header: [key.as_slice(), &seq.to_be_bytes(), header.as_bytes()].concat(),
                    salt: rows::array(row.try_get(8)?, "salt")?,
                    payload: Commitment(rows::array(row.try_get(9)?, "commitment")?),
                },
                payload,
            });
        }
        Ok(out)
    }
}

const COLUMNS: &str =
    "SELECT e.log_index, e.leaf, e.stream, e.seq, e.header, e.class, e.key_id, e.sealed, e.header_salt, e.payload_commitment";

async fn folded(db: &mut Connection) -> Result<u64> {
    unsigned(db::query_scalar::<i64>("SELECT upto FROM folded").fetch_one(db).await?)
}

/// Nobody is found any more under what was erased of a stream.
pub(crate) async fn forget_parties(tx: &mut Connection, stream: &[u8; 17]) -> Result<()> {
    db::query(
        "DELETE FROM processing_party WHERE log_index IN
         (SELECT log_index FROM event WHERE stream = $1 AND sealed IS NULL AND log_index IS NOT NULL)",
    )
    .bind(stream.as_slice())
    .execute(tx)
    .await?;
    Ok(())
}

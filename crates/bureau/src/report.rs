//! report: the log, its verification, management information and samples (D4, D5).

use crate::{Bureau, Result};
use casework::{
    access::Action,
    calendar,
    ids::{PersonId, RequestId},
    people::Role,
    record::{GalleryId, Header, NewRecord, RetentionClass, StreamId},
    report::{self, Counts},
    request::{Request, State},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
pub use store::EntryFilter;
use store::{HeaderRow, LedgerEntry, LogReport, SignedCheckpoint};

/// Headers read at a time.
const HEADERS_AT_ONCE: u32 = 2_000;

/// Something that happened in the house outside a request: the sealed payload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Who; none where an operator acted at the command line.
    pub by: Option<PersonId>,
    /// What, in words; nothing personal.
    pub what: String,
}

/// How long answers took, in working days from receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Took {
    /// Answers counted.
    pub answers: usize,
    /// The middle one (of an even number, the longer of the two).
    pub median_working_days: u32,
    /// The longest.
    pub longest_working_days: u32,
}

/// Management information (D4).
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// By gallery.
    pub galleries: BTreeMap<GalleryId, Counts>,
    /// By gallery and force's name.
    pub forces: Vec<((GalleryId, String), Counts)>,
    /// By gallery and London month (`2026-11`).
    pub months: Vec<((GalleryId, String), Counts)>,
    /// How long answers took, by gallery.
    pub took: BTreeMap<GalleryId, Took>,
}

/// What `audit replay` found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// Requests folded again.
    pub requests: u64,
    /// Events folded.
    pub events: u64,
    /// Requests whose row in the queue is not what their events lead to.
    pub differing: Vec<String>,
}

/// What an auditor reads about the log's verification.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Whether everything holds.
    pub verified: bool,
    /// Leaves under the checkpoint.
    pub size: u64,
    /// Events in the database.
    pub events: u64,
    /// Payloads opened and compared with their commitment.
    pub opened: u64,
    /// Payloads that were erased; their commitments still count.
    pub erased: u64,
    /// The first wrong thing.
    pub fault: Option<String>,
    /// The signed checkpoint (C2SP signed note), where everything holds.
    pub checkpoint: Option<String>,
    /// The key to check it with.
    pub key: String,
}

/// Cases in one sample at most.
pub const SAMPLE_MAX: usize = 100;
/// Characters of a sample's seed at most.
pub const SEED_CHARS_MAX: usize = 100;

impl Bureau {
    pub(crate) async fn note_house(&self, kind: &str, by: PersonId, what: &str, gallery: Option<GalleryId>) -> Result<()> {
        self.note(kind, Some(by), what, gallery).await
    }

    pub(crate) async fn note(&self, kind: &str, by: Option<PersonId>, what: &str, gallery: Option<GalleryId>) -> Result<()> {
        let header = Header {
            kind: kind.into(),
            at: self.now(),
            gallery,
            leo: None,
            clauses: vec!["D5".into()],
            outcome: None,
            state: None,
            policy: self.policy().version.clone(),
            class: RetentionClass::Record,
        };
        let payload = serde_json::to_vec(&Note { by, what: what.into() })?;
        self.store.append(StreamId::House, vec![NewRecord { header, payload }]).await?;
        Ok(())
    }

    /// Entries of the log for somebody who may read it; the look is recorded.
    ///
    /// # Errors
    /// Refused to others.
    pub async fn ledger(&self, who: PersonId, mut filter: EntryFilter) -> Result<Vec<LedgerEntry>> {
        let (_, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeLedger)?;
        if !actor.has(Role::Auditor) {
            // A SIAO answers for one gallery (R3); one without a gallery for none.
            filter.gallery = Some(actor.gallery.ok_or_else(|| vec![casework::access::unknown()])?);
        }
        self.note_house("log-read", who, "read the log", actor.gallery).await?;
        self.store.sequence(self.now()).await?;
        Ok(self.store.entries(&filter).await?)
    }

    /// Verifies the whole log in front of somebody who may read it.
    ///
    /// # Errors
    /// Refused to others; failed when the store fails. A fault in the log is an answer, not an error.
    pub async fn verify_for(&self, who: PersonId) -> Result<Verified> {
        let (_, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeLedger)?;
        self.note_house("log-verified", who, "verified the log", actor.gallery).await?;
        self.verify().await
    }

    /// Verifies the whole log: every leaf, the tree, every checkpoint, every payload that is not erased.
    ///
    /// # Errors
    /// When the store fails. A fault in the log is an answer, not an error.
    pub async fn verify(&self) -> Result<Verified> {
        // A log that was tampered with may not take new leaves; then what is wrong with it is the answer.
        let sequenced = self.store.sequence(self.now()).await;
        let report: LogReport = self.store.verify_log().await?;
        let checkpoint: Option<SignedCheckpoint> = if report.verified() {
            sequenced?;
            self.store.checkpoint().await?
        } else {
            None
        };
        Ok(Verified {
            verified: report.verified(),
            size: report.size,
            events: report.events,
            opened: report.opened,
            erased: report.erased,
            fault: report.fault.map(|f| f.to_string()),
            checkpoint: checkpoint.map(|c| c.note),
            key: self.store.verifier_key().to_string(),
        })
    }

    /// Folds every request again and compares the result with its row in the queue. Of a request whose
    /// record was erased, only the state is left to compare.
    ///
    /// # Errors
    /// When the store fails or events do not add up.
    pub async fn replay(&self) -> Result<Replayed> {
        let mut out = Replayed::default();
        for (stream, version) in self.store.streams().await? {
            let StreamId::Request(id) = stream else { continue };
            let records = self.store.load(stream).await?;
            let request = Request::fold(id, records)?;
            out.requests += 1;
            out.events += request.version;
            let row = self.store.queue_row(id).await?;
            // The row of an erased record is not written again, even if its erasure had to be tried again.
            let current = |r: u64| request.version == version && (r == version || request.state == State::Erased);
            if !row.is_some_and(|r| current(r.version) && crate::act::same_row(&request, &r)) {
                out.differing.push(id.reference());
            }
        }
        Ok(out)
    }

    /// Requests and responses by gallery, from clear headers alone (D4).
    ///
    /// # Errors
    /// Refused to people who may not see statistics.
    pub async fn statistics(&self, who: PersonId) -> Result<BTreeMap<GalleryId, Counts>> {
        let (_, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeStatistics)?;
        let mut all = self.counts().await?;
        if !actor.has(Role::Auditor) {
            all.retain(|g, _| Some(*g) == actor.gallery);
        }
        Ok(all)
    }

    async fn counts(&self) -> Result<BTreeMap<GalleryId, Counts>> {
        Ok(report::counts(self.headers().await?.iter().map(|h| &h.header)))
    }

    async fn headers(&self) -> Result<Vec<HeaderRow>> {
        let mut headers = vec![];
        let mut position = 0;
        loop {
            let page = self.store.headers(position, HEADERS_AT_ONCE).await?;
            let Some(last) = page.last() else { break };
            position = last.position;
            headers.extend(page);
        }
        Ok(headers)
    }

    /// The management information (D4): by gallery, force and month, with how long answers took; all of it
    /// from clear headers alone.
    ///
    /// # Errors
    /// Refused to people who may not see statistics.
    pub async fn figures(&self, who: PersonId) -> Result<Figures> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeStatistics)?;
        let mut rows = self.headers().await?;
        if !actor.has(Role::Auditor) {
            rows.retain(|r| r.header.gallery.is_some() && r.header.gallery == actor.gallery);
        }
        let headers = || rows.iter().map(|r| &r.header);
        let force = |id| register.leos.get(&id).map_or_else(|| "No longer on the register".to_owned(), |l| l.name.clone());
        let mut received: BTreeMap<RequestId, Date> = BTreeMap::new();
        let mut days: BTreeMap<GalleryId, Vec<u32>> = BTreeMap::new();
        for row in &rows {
            let (StreamId::Request(id), Some(gallery)) = (row.stream, row.header.gallery) else { continue };
            let on = calendar::london_date(row.header.at);
            match row.header.kind.as_str() {
                "received" => drop(received.insert(id, on)),
                "released" => days.entry(gallery).or_default().extend(received.get(&id).map(|from| calendar::working_days(*from, on))),
                _ => {}
            }
        }
        let took = days.into_iter().filter_map(|(gallery, mut days)| {
            days.sort_unstable();
            let median = *days.get(days.len() / 2)?;
            Some((gallery, Took { answers: days.len(), median_working_days: median, longest_working_days: *days.last()? }))
        });
        Ok(Figures {
            galleries: report::counts(headers()),
            forces: report::counts_by(headers(), |h| Some((h.gallery?, force(h.leo?)))).into_iter().collect(),
            months: report::counts_by(headers(), |h| {
                let on = calendar::london_date(h.at);
                Some((h.gallery?, format!("{}-{:02}", on.year(), on.month())))
            })
            .into_iter()
            .collect(),
            took: took.collect(),
        })
    }

    /// The newest signed checkpoint and the key to check it with, for somebody who may read the log.
    ///
    /// # Errors
    /// Refused to others.
    pub async fn checkpoint_for(&self, who: PersonId) -> Result<(Option<String>, String)> {
        let (_, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeLedger)?;
        self.note_house("checkpoint-taken", who, "took the signed checkpoint", actor.gallery).await?;
        self.store.sequence(self.now()).await?;
        Ok((self.store.checkpoint().await?.map(|c| c.note), self.store.verifier_key().to_string()))
    }

    /// A sample of cases that anyone with the same seed draws again (D4): HMAC-SHA-256 of the id under
    /// the seed, smallest first. At most [`SAMPLE_MAX`].
    ///
    /// # Errors
    /// Refused to people who may not see statistics.
    pub async fn sample(&self, who: PersonId, seed: &str, size: usize) -> Result<Vec<crate::views::RequestLine>> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeStatistics)?;
        let mut ids: Vec<RequestId> = vec![];
        for (stream, _) in self.store.streams().await? {
            if let StreamId::Request(id) = stream {
                ids.push(id);
            }
        }
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, seed.as_bytes());
        let drawn = report::sample(&ids, ids.len(), |id| {
            let mut out = [0; 32];
            out.copy_from_slice(aws_lc_rs::hmac::sign(&key, id.as_bytes()).as_ref());
            out
        });
        let mut out = vec![];
        for id in drawn {
            if out.len() >= size.min(SAMPLE_MAX) {
                break;
            }
            let Some(row) = self.store.queue_row(id).await? else { continue };
            let visible = actor.has(Role::Auditor) || (Some(row.gallery) == actor.gallery && crate::views::viewer(&actor).sees(&row));
            // M2: how far a request has come would tell an examiner of it what another examiner did.
            if visible && !crate::assess::examines(&row, who) {
                out.push(self.line(&row, &register, who));
            }
        }
        self.note_house("sample-drawn", who, &format!("{} drawn", out.len()), actor.gallery).await?;
        Ok(out)
    }
}

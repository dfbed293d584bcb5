//! report: the log, its verification, management information and samples (D4, D5).

use crate::{Bureau, Result};
use casework::{
    access::Action,
    clause::Clause,
    ids::PersonId,
    people::{Actor, Register, Role},
    processing::HouseKind,
    record::{GalleryId, Header, NewRecord, RetentionClass, StreamId},
    report::{self, Counts, Measure},
    request::{Request, State},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
pub use store::EntryFilter;
use store::{LedgerEntry, LogReport, SignedCheckpoint};

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

impl Took {
    /// Out of the number of answers by working days taken.
    fn of(days: &BTreeMap<u32, u64>) -> Option<Self> {
        let answers: u64 = days.values().sum();
        let mut before = 0;
        let median = days.iter().find_map(|(day, n)| {
            before += n;
            (before > answers / 2).then_some(*day)
        })?;
        let (longest, _) = days.last_key_value()?;
        Some(Self { answers: usize::try_from(answers).unwrap_or(usize::MAX), median_working_days: median, longest_working_days: *longest })
    }
}

/// The gallery that somebody answers for.
fn own(actor: &Actor) -> Result<GalleryId> {
    Ok(actor.gallery.ok_or_else(|| vec![casework::access::unknown()])?)
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
    /// Entries of who did what (s.62) that are not what their event folds to, by index in the log.
    pub entries_differing: Vec<u64>,
    /// Whether the figures are not what the headers fold to.
    pub figures_differ: bool,
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
    pub(crate) async fn note_house(&self, kind: HouseKind, by: PersonId, what: &str, gallery: Option<GalleryId>) -> Result<()> {
        self.note(kind, Some(by), what, gallery).await
    }

    pub(crate) async fn note(&self, kind: HouseKind, by: Option<PersonId>, what: &str, gallery: Option<GalleryId>) -> Result<()> {
        self.note_about(kind, by, what, gallery, &[Clause::D5], None).await
    }

    pub(crate) async fn note_about(
        &self,
        kind: HouseKind,
        by: Option<PersonId>,
        what: &str,
        gallery: Option<GalleryId>,
        clauses: &[Clause],
        outcome: Option<&str>,
    ) -> Result<()> {
        self.house_event(kind, gallery, clauses, outcome, serde_json::to_vec(&Note { by, what: what.into() })?).await
    }

    /// Records something that happened in the house outside a request.
    pub(crate) async fn house_event(
        &self,
        kind: HouseKind,
        gallery: Option<GalleryId>,
        clauses: &[Clause],
        outcome: Option<&str>,
        payload: Vec<u8>,
    ) -> Result<()> {
        let header = Header {
            kind: kind.to_string(),
            at: self.now(),
            gallery,
            leo: None,
            clauses: clauses.iter().map(ToString::to_string).collect(),
            outcome: outcome.map(Into::into),
            state: None,
            policy: self.policy().version.clone(),
            class: RetentionClass::Record,
            trial: false,
        };
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
        self.note_house(HouseKind::LogRead, who, "read the log", actor.gallery).await?;
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
        self.note_house(HouseKind::LogVerified, who, "verified the log", actor.gallery).await?;
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

    /// Folds every request again and compares the result with its row in the queue; and the whole log, and
    /// compares with the index of who did what and the figures. Of a request whose
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
        (out.entries_differing, out.figures_differ) = self.refold().await?;
        Ok(out)
    }

    /// Requests and responses by gallery, from clear headers alone (D4).
    ///
    /// # Errors
    /// Refused to people who may not see statistics.
    pub async fn statistics(&self, who: PersonId) -> Result<BTreeMap<GalleryId, Counts>> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeStatistics)?;
        Ok(self.figures_of(&actor, &register).await?.galleries)
    }

    /// The management information (D4): by gallery, force and month, with how long answers took; all of it
    /// from clear headers alone.
    ///
    /// # Errors
    /// Refused to people who may not see statistics.
    pub async fn figures(&self, who: PersonId) -> Result<Figures> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeStatistics)?;
        self.figures_of(&actor, &register).await
    }

    /// The figures of the galleries that somebody answers for, read off what is kept in step with the log: only
    /// what is new is folded.
    async fn figures_of(&self, actor: &Actor, register: &Register) -> Result<Figures> {
        self.fold_log().await?;
        let mut out = Figures { galleries: BTreeMap::new(), forces: vec![], months: vec![], took: BTreeMap::new() };
        let kept = match (actor.has(Role::Auditor), actor.gallery) {
            (true, _) => self.store.figures(None).await?,
            (false, Some(own)) => self.store.figures(Some(own)).await?,
            (false, None) => return Ok(out),
        };
        let force = |id: &str| {
            let known = id.parse().ok().and_then(|id| register.leos.get(&id));
            known.map_or_else(|| "No longer on the register".to_owned(), |l| l.name.clone())
        };
        let mut forces: BTreeMap<(GalleryId, String), Counts> = BTreeMap::new();
        let mut months: BTreeMap<(GalleryId, String), Counts> = BTreeMap::new();
        let mut days: BTreeMap<GalleryId, BTreeMap<u32, u64>> = BTreeMap::new();
        for (key, n) in kept {
            let counts = match key.filed.as_str() {
                "gallery" => out.galleries.entry(key.gallery).or_default(),
                "force" => forces.entry((key.gallery, force(&key.of))).or_default(),
                "month" => months.entry((key.gallery, key.of)).or_default(),
                _ => {
                    *days.entry(key.gallery).or_default().entry(key.detail.parse().unwrap_or_default()).or_default() += n;
                    continue;
                }
            };
            if let Ok(measure) = key.measure.parse::<Measure>() {
                counts.add(measure, &key.detail, u32::try_from(n).unwrap_or(u32::MAX));
            }
        }
        out.took = days.into_iter().filter_map(|(gallery, days)| Some((gallery, Took::of(&days)?))).collect();
        out.forces = forces.into_iter().collect();
        out.months = months.into_iter().collect();
        Ok(out)
    }

    /// The newest signed checkpoint and the key to check it with, for somebody who may read the log.
    ///
    /// # Errors
    /// Refused to others.
    pub async fn checkpoint_for(&self, who: PersonId) -> Result<(Option<String>, String)> {
        let (_, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeLedger)?;
        self.note_house(HouseKind::CheckpointTaken, who, "took the signed checkpoint", actor.gallery).await?;
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
        // Sixteen bytes a request, off an index; nothing of the log is read.
        let ids = self.store.request_ids(if actor.has(Role::Auditor) { None } else { Some(own(&actor)?) }).await?;
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
            let visible =
                !row.trial && (actor.has(Role::Auditor) || (Some(row.gallery) == actor.gallery && crate::views::viewer(&actor).sees(&row)));
            // M2: how far a request has come would tell an examiner of it what another examiner did.
            if visible && !crate::assess::examines(&row, who) {
                out.push(self.line(&row, &register, who));
            }
        }
        self.note_house(HouseKind::SampleDrawn, who, &format!("{} drawn", out.len()), actor.gallery).await?;
        Ok(out)
    }
}

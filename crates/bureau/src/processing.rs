//! report: who collected, altered, consulted, disclosed (to whom), combined and erased; when; why (D5, DPA 2018
//! s.62). Read off what [`Bureau::fold_log`] keeps in step with the log; looking at it is recorded like any look.

use crate::{
    Bureau, Result,
    export::LogExported,
    register::{Change, in_words, name_of, organisation_of},
    report::Note,
    views::{thing_words, words},
};
use casework::{
    access::{self, Action},
    calendar,
    decide::Context,
    event::{Consulted, Entry, Event, Thing, Who},
    export::Export,
    ids::{PersonId, RequestId},
    people::{Actor, Register, Role},
    processing::{self, HouseKind, Operation},
    record::{GalleryId, OpenedRecord, StreamId},
    report,
    request::Request,
};
use jiff::Timestamp;
use ledger::EntryProof;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
pub use store::{Below, ProcessingFilter};
use store::{FOLD_BATCH, FigureKey, LoggedRecord, ProcessingRow};

/// Entries on one page.
pub const PROCESSING_ON_PAGE: usize = 50;
/// Entries in one download at most.
pub const PROCESSING_IN_CSV_MAX: usize = 20_000;

/// One entry: who did what to whose request, when, why, and to whom it went.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessingLine {
    /// The leaf's index in the log, from 0.
    pub index: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Which operation of s.62 it is.
    pub operation: Operation,
    /// The event's kind.
    pub kind: String,
    /// What, in words.
    pub what: String,
    /// Who, by name; `None` once erased.
    pub who: Option<String>,
    /// Their team, force or office; empty where the house itself did it.
    pub organisation: String,
    /// Whom it went to, for a disclosure.
    pub to: Option<String>,
    /// Why, in the words of whoever did it; elsewhere the clauses say why.
    pub why: Option<String>,
    /// The request.
    pub request: Option<RequestId>,
    /// Its short reference.
    pub reference: Option<String>,
    /// The gallery.
    pub gallery: Option<GalleryId>,
    /// The force, by name.
    pub force: Option<String>,
    /// The clauses that it rests on.
    pub clauses: Vec<String>,
    /// Whether who and why were erased at the end of their retention: what is left is the clear header.
    pub erased: bool,
}

/// A page of entries.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessingPage {
    /// Newest first.
    pub lines: Vec<ProcessingLine>,
    /// Where the next page begins, if there may be more.
    #[serde(skip)]
    pub next: Option<Below>,
}

/// What a viewer may know of one request, and its events: opened once for a page.
struct Case {
    visible: bool,
    records: Vec<OpenedRecord>,
}

/// Whoever reads, with the requests opened so far.
struct Reader<'a> {
    actor: &'a Actor,
    register: &'a Register,
    cases: HashMap<RequestId, Case>,
}

fn request_of(stream: StreamId) -> Option<RequestId> {
    match stream {
        StreamId::Request(id) | StreamId::Consulted(id) => Some(id),
        StreamId::Register | StreamId::House => None,
    }
}

impl Bureau {
    /// Brings what is folded out of the log (who did what, the figures) up to its end: only what is new is
    /// opened. Safe to call from anywhere at any time.
    ///
    /// # Errors
    /// When the store fails or something stored does not open.
    pub async fn fold_log(&self) -> Result<()> {
        self.store.sequence(self.now()).await?;
        loop {
            let from = self.store.folded().await?;
            let page = self.store.logged(from, FOLD_BATCH).await?;
            if page.is_empty() {
                return Ok(());
            }
            let (rows, figures) = self.folded(&page).await?;
            self.store.fold(from, &rows, &figures.into_iter().collect::<Vec<_>>()).await?;
        }
    }

    /// What a run of the log's events folds to.
    async fn folded(&self, page: &[LoggedRecord]) -> Result<(Vec<ProcessingRow>, BTreeMap<FigureKey, u64>)> {
        let mut rows = Vec::with_capacity(page.len());
        let mut figures = BTreeMap::new();
        for record in page {
            let h = &record.header;
            rows.push(ProcessingRow {
                index: record.index,
                at: h.at,
                // A kind outside the table is none of the product's: a test of `casework` holds the table whole.
                operation: Operation::of(&h.kind, h.outcome.as_deref()).unwrap_or(Operation::Alteration),
                gallery: h.gallery,
                leo: h.leo,
                request: request_of(record.stream),
                clauses: h.clauses.clone(),
                parties: parties(record)?,
            });
            // A known-answer trial is in the log and in no figure of casework (P1).
            let Some(gallery) = h.gallery.filter(|_| !h.trial) else { continue };
            let mut add = |filed: &str, of: String, measure: String, detail: String| {
                *figures.entry(FigureKey { gallery, filed: filed.into(), of, measure, detail }).or_insert(0) += 1;
            };
            let on = calendar::london_date(h.at);
            // Every entry counts as one, so that a gallery, force or month is listed before anything is measured of it.
            let measured = report::measures(h).into_iter().map(|(m, detail)| (m.to_string(), detail));
            for (measure, detail) in measured.chain([("entries".to_owned(), String::new())]) {
                add("gallery", String::new(), measure.clone(), detail.clone());
                add("month", format!("{}-{:02}", on.year(), on.month()), measure.clone(), detail.clone());
                if let Some(leo) = h.leo {
                    add("force", leo.to_string(), measure, detail);
                }
            }
            if h.kind == "released"
                && let StreamId::Request(_) = record.stream
                && let Some(received) = self.store.last_before(record.stream, record.seq, "received").await?
            {
                let days = calendar::working_days(calendar::london_date(received), on);
                add("days", String::new(), report::Measure::Answered.to_string(), days.to_string());
            }
        }
        Ok((rows, figures))
    }

    /// Folds the whole log again and says what of it differs from what is kept: the indexes of entries, and
    /// whether the figures do.
    pub(crate) async fn refold(&self) -> Result<(Vec<u64>, bool)> {
        loop {
            self.fold_log().await?;
            let upto = self.store.folded().await?;
            let (mut differing, mut figures, mut from) = (vec![], BTreeMap::new(), 0);
            while from < upto {
                let limit = u32::try_from(upto - from).unwrap_or(u32::MAX).min(FOLD_BATCH);
                let page = self.store.logged(from, limit).await?;
                let Some(last) = page.last() else { break };
                from = last.index + 1;
                let (rows, adds) = self.folded(&page).await?;
                for row in rows {
                    if self.store.differs(&row).await? {
                        differing.push(row.index);
                    }
                }
                for (key, n) in adds {
                    *figures.entry(key).or_insert(0) += n;
                }
            }
            let kept: BTreeMap<FigureKey, u64> = self.store.figures(None).await?.into_iter().collect();
            // Somebody else folded on meanwhile: then the two are not of the same length.
            if self.store.folded().await? == upto {
                return Ok((differing, kept != figures));
            }
        }
    }

    /// A page of who did what, for those who may see it. The look is recorded: in the house's stream what was
    /// read, and in a request's own if it was asked for by itself.
    ///
    /// # Errors
    /// Refused to others; a request that is not for them to see is unknown (V1).
    pub async fn processing(&self, who: PersonId, filter: &ProcessingFilter) -> Result<ProcessingPage> {
        let page = self.read_processing(who, filter, PROCESSING_ON_PAGE).await?;
        self.record_reading(who, HouseKind::ProcessingRead, filter, &page).await?;
        Ok(page)
    }

    /// All that fits a filter, newest first, up to [`PROCESSING_IN_CSV_MAX`] entries, for a download; recorded
    /// as such.
    ///
    /// # Errors
    /// As [`Self::processing`].
    pub async fn take_processing(&self, who: PersonId, filter: &ProcessingFilter) -> Result<ProcessingPage> {
        let page = self.read_processing(who, filter, PROCESSING_IN_CSV_MAX).await?;
        self.record_reading(who, HouseKind::ProcessingTaken, filter, &page).await?;
        Ok(page)
    }

    async fn read_processing(&self, who: PersonId, filter: &ProcessingFilter, wanted: usize) -> Result<ProcessingPage> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeProcessing)?;
        let mut filter = filter.clone();
        if !actor.has(Role::Auditor) {
            // A SIAO answers for one gallery (R3); one without a gallery for none.
            let own = actor.gallery.ok_or_else(|| vec![access::unknown()])?;
            if filter.gallery.is_some_and(|g| g != own) {
                return Ok(ProcessingPage { lines: vec![], next: None });
            }
            filter.gallery = Some(own);
        }
        self.fold_log().await?;
        let mut reader = Reader { actor: &actor, register: &register, cases: HashMap::new() };
        let mut lines = vec![];
        loop {
            let limit = u32::try_from(wanted - lines.len()).unwrap_or(u32::MAX).min(store::PROCESSING_PAGE_LIMIT);
            let found = self.store.processing(&filter, limit).await?;
            let Some(last) = found.last() else { return Ok(ProcessingPage { lines, next: None }) };
            let below = Some(Below { at: last.header.at, index: last.index });
            let more = found.len() == limit as usize;
            for record in &found {
                if self.may_see(&mut reader, record).await? {
                    lines.push(said(&reader, record)?);
                }
            }
            if !more || lines.len() >= wanted {
                return Ok(ProcessingPage { lines, next: below.filter(|_| more) });
            }
            filter.below = below;
        }
    }

    async fn record_reading(&self, who: PersonId, kind: HouseKind, filter: &ProcessingFilter, page: &ProcessingPage) -> Result<()> {
        let (_, actor) = self.actor(who).await?;
        // One request asked for by itself is a look at it. For whoever could yet examine, so is each that stands on a
        // mixed page: having read of it, they are not blind to it any more (M2).
        let mut looked: Vec<RequestId> = page.lines.iter().filter_map(|l| l.request).collect();
        looked.sort_unstable();
        looked.dedup();
        looked.retain(|id| filter.request == Some(*id) || actor.has(Role::Examiner));
        for id in looked {
            self.consult(who, &self.open(id).await?, Thing::History, "reading who did what").await?;
        }
        let span = page.lines.iter().map(|l| l.index);
        let shown = match (span.clone().min(), span.max()) {
            (Some(first), Some(last)) => format!("{} entries, {first} to {last}", page.lines.len()),
            _ => "no entries".into(),
        };
        self.note_house(kind, who, &format!("who did what: {}; {shown}", filter_in_words(filter)), actor.gallery).await
    }

    /// Proof that one entry is in the log, as a C2SP tlog-proof that opens its header, for those who may see
    /// the entry. That it was taken is recorded.
    ///
    /// # Errors
    /// Refused to others; an entry that is not there or not theirs to see is unknown (V1).
    pub async fn processing_proof(&self, who: PersonId, index: u64) -> Result<String> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeProcessing)?;
        let mut reader = Reader { actor: &actor, register: &register, cases: HashMap::new() };
        let record = self.store.logged_at(index).await?.ok_or_else(|| vec![access::unknown()])?;
        if !self.may_see(&mut reader, &record).await? {
            return Err(vec![access::unknown()].into());
        }
        self.note_house(HouseKind::ProofTaken, who, &format!("took the proof of entry {index}"), actor.gallery).await?;
        let proof = self.store.inclusion(record.stream, record.seq).await?.ok_or_else(|| vec![access::unknown()])?;
        let store::Opening { header, salt, payload } = record.opening;
        Ok(EntryProof { salt, payload, header, index, path: proof.proof, checkpoint: proof.checkpoint.note }.to_text())
    }

    /// Whether an entry is for this reader: of a request as the access table and need to know say (V1, M2); of
    /// the house and the register for the auditor, and for an owner what concerns their gallery (R3).
    async fn may_see(&self, reader: &mut Reader<'_>, record: &LoggedRecord) -> Result<bool> {
        let Some(id) = request_of(record.stream) else {
            let own = record.header.gallery.is_some() && record.header.gallery == reader.actor.gallery;
            return Ok(reader.actor.has(Role::Auditor) || own);
        };
        if let Some(case) = reader.cases.get(&id) {
            return Ok(case.visible);
        }
        let records = self.store.load(StreamId::Request(id)).await?;
        let request = Request::fold(id, records.clone())?;
        let ctx = Context { actor: Some(reader.actor), register: reader.register, policy: self.policy(), now: self.now(), running: None };
        let visible = access::refusals(&request, Action::SeeProcessing, &ctx).is_empty();
        let records = if visible { records } else { vec![] };
        reader.cases.insert(id, Case { visible, records });
        Ok(visible)
    }
}

/// Whether it is the one event of the house that says more than a note.
fn exported(record: &LoggedRecord) -> bool {
    record.header.kind == <&str>::from(HouseKind::Exported)
}

/// The people under whom an entry is found.
fn parties(record: &LoggedRecord) -> Result<Vec<PersonId>> {
    let Some(payload) = &record.payload else { return Ok(vec![]) };
    let by = |who: Who| match who {
        Who::Person(p) => vec![p],
        Who::System => vec![],
    };
    Ok(match record.stream {
        StreamId::Request(_) => processing::parties(&serde_json::from_slice::<Entry>(payload)?),
        StreamId::Consulted(_) => vec![serde_json::from_slice::<Consulted>(payload)?.by],
        StreamId::Register => by(serde_json::from_slice::<Change>(payload)?.by),
        StreamId::House if exported(record) => vec![serde_json::from_slice::<Export>(payload)?.by],
        StreamId::House => serde_json::from_slice::<Note>(payload)?.by.into_iter().collect(),
    })
}

fn said(reader: &Reader<'_>, record: &LoggedRecord) -> Result<ProcessingLine> {
    let register = reader.register;
    let h = &record.header;
    let request = request_of(record.stream);
    let mut line = ProcessingLine {
        index: record.index,
        at: h.at,
        operation: Operation::of(&h.kind, h.outcome.as_deref()).unwrap_or(Operation::Alteration),
        kind: h.kind.clone(),
        what: capital(&h.kind.replace('-', " ")),
        who: None,
        organisation: String::new(),
        to: None,
        why: None,
        request,
        reference: request.map(|r| r.reference()),
        gallery: h.gallery,
        force: h.leo.and_then(|l| register.leos.get(&l)).map(|l| l.name.clone()),
        clauses: h.clauses.clone(),
        erased: record.payload.is_none(),
    };
    let Some(payload) = &record.payload else { return Ok(line) };
    let by = match record.stream {
        StreamId::Request(id) => {
            let entry: Entry = serde_json::from_slice(payload)?;
            line.what = words(&entry.event);
            line.why = processing::why(&entry.event);
            line.to = recipient(reader, id, record.seq, &entry.event)?;
            Some(entry.by)
        }
        StreamId::Consulted(_) => {
            let look: Consulted = serde_json::from_slice(payload)?;
            line.what = format!("Looked at {}", thing_words(look.thing));
            line.why = Some(capital(&look.why));
            Some(Who::Person(look.by))
        }
        StreamId::Register => {
            let change: Change = serde_json::from_slice(payload)?;
            line.what = in_words(register, &change.event);
            Some(change.by)
        }
        StreamId::House if exported(record) => {
            let export: Export = serde_json::from_slice(payload)?;
            line.what = format!("Exported {} held references as {}", export.references.len(), export.format);
            line.why = Some(export.reasons);
            line.to = Some(export.recipient);
            Some(Who::Person(export.by))
        }
        StreamId::House if h.kind == <&str>::from(HouseKind::LogExported) => {
            let copy: LogExported = serde_json::from_slice(payload)?;
            line.what = capital(&copy.what);
            line.why = Some(copy.why);
            line.to = Some(copy.to);
            Some(Who::Person(copy.by))
        }
        StreamId::House => {
            let note: Note = serde_json::from_slice(payload)?;
            line.what = capital(&note.what);
            // Where nobody is named an operator acted at the command line.
            if note.by.is_none() {
                line.who = Some("An operator of the service".into());
            }
            note.by.map(Who::Person)
        }
    };
    if let Some(by) = by {
        line.who = Some(name_of(register, by));
        if let Who::Person(p) = by {
            line.organisation = register.people.get(&p).map(|p| organisation_of(register, p)).unwrap_or_default();
        }
    }
    Ok(line)
}

/// Whom a disclosure went to: whoever the answer was addressed to when it left, or whom the force was let pass
/// it on to.
fn recipient(reader: &Reader<'_>, id: RequestId, seq: u64, event: &Event) -> Result<Option<String>> {
    let person = |p: PersonId| {
        let organisation = reader.register.people.get(&p).map(|p| organisation_of(reader.register, p)).unwrap_or_default();
        format!("{}, {organisation}", name_of(reader.register, Who::Person(p)))
    };
    let before = |kind: &str| -> Result<Option<Event>> {
        let records = reader.cases.get(&id).map(|c| c.records.as_slice()).unwrap_or_default();
        let found = records.iter().rev().find(|r| r.seq < seq && r.header.kind == kind).and_then(|r| r.payload.as_deref());
        Ok(found.map(serde_json::from_slice::<Entry>).transpose()?.map(|e| e.event))
    };
    Ok(match event {
        Event::AnswerPrepared { recipient, .. } => Some(person(*recipient)),
        Event::Collected { by } => Some(person(*by)),
        Event::Released { .. } | Event::Disclosed { .. } => match before("answer-prepared")? {
            Some(Event::AnswerPrepared { recipient, .. }) => Some(person(recipient)),
            // A rejection or a withdrawal goes to whoever asked.
            _ => records_requester(reader, id)?.map(person),
        },
        Event::OnwardDecided { allowed: true, .. } => match before("onward-asked")? {
            Some(Event::OnwardAsked { to, .. }) => Some(to),
            _ => None,
        },
        _ => None,
    })
}

/// Who prepared the form of a request.
fn records_requester(reader: &Reader<'_>, id: RequestId) -> Result<Option<PersonId>> {
    let records = reader.cases.get(&id).map(|c| c.records.as_slice()).unwrap_or_default();
    let found = records.iter().find(|r| r.header.kind == "prepared").and_then(|r| r.payload.as_deref());
    Ok(match found.map(serde_json::from_slice::<Entry>).transpose()?.map(|e| e.by) {
        Some(Who::Person(p)) => Some(p),
        _ => None,
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A filter as the record keeps it: ids, no names.
fn filter_in_words(f: &ProcessingFilter) -> String {
    let parts: Vec<String> = [
        f.operation.map(|o| o.to_string()),
        f.person.map(|p| format!("person {p}")),
        f.request.map(|r| format!("request {r}")),
        f.gallery.map(|g| format!("{g} gallery")),
        f.leo.map(|l| format!("force {l}")),
        f.clause.as_ref().map(|c| format!("clause {c}")),
        f.from.map(|t| format!("from {t}")),
        f.until.map(|t| format!("until {t}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "all".into() } else { parts.join(", ") }
}

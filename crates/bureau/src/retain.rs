//! retain: destroying what is due (D3).

use crate::{Bureau, BureauError, Result, register::name_of, views::RequestLine};
use casework::{
    access::Action,
    clause::Clause,
    command::Command,
    event::Who,
    ids::{PersonId, RequestId},
    people::Role,
    processing::HouseKind,
    record::{RetentionClass, StreamId},
    request::State,
    retain,
};
use jiff::civil::Date;
use serde::Serialize;
use std::sync::PoisonError;
use store::{QueueFilter, QueueOrder};
use strum::IntoEnumIterator as _;

/// Requests on one page of what will go.
const PAGE_SIZE: u32 = 25;
/// Legal holds shown at most.
pub const HOLDS_MAX: u32 = 200;

/// A closed request and what of it has gone or will go.
#[derive(Clone, Debug, Serialize)]
pub struct RetentionLine {
    /// The request.
    pub line: RequestLine,
    /// Classes already destroyed.
    pub gone: Vec<RetentionClass>,
    /// Classes with the London date on which they go, and whether that has come.
    pub goes: Vec<(RetentionClass, Date, bool)>,
    /// Whether a legal hold keeps all of it.
    pub held: bool,
}

/// A legal hold, for people who answer for what is kept.
#[derive(Clone, Debug, Serialize)]
pub struct HeldLine {
    /// The request.
    pub line: RequestLine,
    /// Who answers for the hold, by name.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The London date on which it is to be looked at again.
    pub review: Date,
    /// Whether that has passed.
    pub overdue: bool,
}

/// Something that is due, for an operator: it names a reference and nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DueLine {
    /// The request.
    pub request: RequestId,
    /// Its short reference.
    pub reference: String,
    /// What goes.
    pub class: RetentionClass,
    /// Since which London date.
    pub since: Date,
    /// The rule that says so, by the London date from which it applies.
    pub rule: Option<Date>,
    /// Why.
    pub why: &'static str,
    /// The clause.
    pub clause: Clause,
}

/// What waits to go, and what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outstanding {
    /// What is due now.
    pub due: Vec<DueLine>,
    /// References of requests that a legal hold keeps, with the London date of its review and whether that has passed.
    pub held: Vec<(String, Date, bool)>,
}

/// A page of closed requests.
#[derive(Clone, Debug, Serialize)]
pub struct RetentionPage {
    /// Newest first.
    pub lines: Vec<RetentionLine>,
    /// How many there are in all.
    pub total: u64,
    /// This page, from 1.
    pub page: u32,
    /// Pages in all.
    pub pages: u32,
    /// Legal holds, the newest request first; at most [`HOLDS_MAX`].
    pub held: Vec<HeldLine>,
}

impl Bureau {
    /// Erases a class of a request that is due: first the record that it goes, then the key and bytes.
    /// Killed in between, the job runs again and finishes.
    ///
    /// # Errors
    /// When the store fails, or the policy says that it is not due after all.
    pub(crate) async fn erase(&self, id: RequestId, class: RetentionClass) -> Result<()> {
        if !self.open(id).await?.erased.contains(&class) {
            self.act_as_worker(id, Command::Erase { class }).await?;
        }
        if class == RetentionClass::Record {
            // Nothing outlives the record: not a class whose own erasure failed, nor who looked at it.
            for other in RetentionClass::iter().filter(|c| *c != class) {
                self.store.erase(StreamId::Request(id), other, self.now()).await?;
            }
            self.store.erase(StreamId::Consulted(id), class, self.now()).await?;
        }
        self.store.erase(StreamId::Request(id), class, self.now()).await?;
        Ok(())
    }

    /// Who may answer for a legal hold on a request: the staff of its gallery, by name.
    ///
    /// # Errors
    /// Refused to whoever may not place or review one.
    pub async fn hold_owners(&self, who: PersonId, id: RequestId) -> Result<Vec<(PersonId, String)>> {
        let (request, _, register) = match self.open_for(who, id, Action::PlaceHold).await {
            Err(BureauError::Refused(_)) => self.open_for(who, id, Action::ReviewHold).await?,
            open => open?,
        };
        let today = casework::calendar::london_date(self.now());
        let works_here = |p: &&PersonId| register.actor(**p, today).is_some_and(|a| a.gallery == request.gallery && !a.roles.is_empty());
        let mut out: Vec<_> = register.people.keys().filter(works_here).map(|p| (*p, name_of(&register, Who::Person(*p)))).collect();
        out.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
        Ok(out)
    }

    /// Everything that is due and everything that is kept, of all requests: for an operator and for the daily sweep.
    ///
    /// # Errors
    /// When the store fails or events do not add up.
    pub async fn outstanding(&self) -> Result<Outstanding> {
        let today = casework::calendar::london_date(self.now());
        let mut out = Outstanding::default();
        for (stream, _) in self.store.streams().await? {
            let StreamId::Request(id) = stream else { continue };
            let request = self.open(id).await?;
            if let Some(hold) = &request.hold {
                out.held.push((id.reference(), hold.review, hold.overdue(today)));
            }
            out.due.extend(retain::due(&request, self.policy(), today).into_iter().map(|d| DueLine {
                request: id,
                reference: id.reference(),
                class: d.class,
                since: d.since,
                rule: d.rule,
                why: d.why,
                clause: d.clause,
            }));
        }
        out.due.sort_by_key(|d| (d.since, d.request, d.class));
        Ok(out)
    }

    /// Erases everything that is due, one class after the other, each as a job would; returns how many went and how
    /// many could not. Stopped half-way, what was recorded as gone is finished by a worker, and the rest is still due.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn erase_due(&self) -> Result<(u32, u32)> {
        let (mut done, mut failed) = (0, 0);
        for due in self.outstanding().await?.due {
            match self.erase(due.request, due.class).await {
                Ok(()) => done += 1,
                // Held, or gone by another hand, since the look.
                Err(BureauError::Refused(_)) => {}
                Err(error) => {
                    tracing::error!(%error, class = %due.class, "an erasure failed");
                    failed += 1;
                }
            }
        }
        self.store.sequence(self.now()).await?;
        Ok((done, failed))
    }

    /// Once a London day: whatever is due and has no job (a rule became stricter, a job was lost) goes too.
    pub(crate) async fn sweep_due(&self) -> Result<()> {
        let today = casework::calendar::london_date(self.now());
        let swept = *self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept != Some(today) {
            self.erase_due().await?;
            *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = Some(today);
        }
        Ok(())
    }

    /// Erases notes of the house (looks at the log, references looked up, looks at erased records) that are as old
    /// as a record may be (D3), and notes that they went.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn forget_notes(&self) -> Result<()> {
        let now = self.now();
        let before = retain::notes_before(casework::calendar::london_date(now), self.policy());
        let gone = self.store.erase_notes_before(RetentionClass::Record, before, now).await?;
        if gone.payloads > 0 {
            let what = format!("{} notes of the house went with their keys", gone.payloads);
            self.note_about(HouseKind::NotesErased, None, &what, None, &[Clause::D3], None).await?;
        }
        Ok(())
    }

    /// What has closed, with what of it has gone and when the rest goes, for people who answer for it.
    /// Sensitive requests are listed only for those with a part in them (V1).
    ///
    /// # Errors
    /// Refused to people who may not read the log.
    pub async fn retention(&self, who: PersonId, page: u32) -> Result<RetentionPage> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeLedger)?;
        let page = page.max(1);
        let filter = QueueFilter {
            gallery: if actor.has(Role::Auditor) { None } else { actor.gallery },
            states: [State::Closed, State::Erased].iter().map(ToString::to_string).collect(),
            viewer: Some(crate::views::viewer(&actor)),
            order: QueueOrder::NewestFirst,
            limit: PAGE_SIZE,
            offset: (page - 1).saturating_mul(PAGE_SIZE),
            ..QueueFilter::default()
        };
        let (rows, total) = self.store.queue(&filter).await?;
        let today = casework::calendar::london_date(self.now());
        let mut lines = vec![];
        for row in &rows {
            let request = self.open(row.request).await?;
            lines.push(RetentionLine {
                line: self.line(row, &register, who),
                gone: request.erased.iter().copied().collect(),
                goes: retain::schedule(&request, self.policy())
                    .into_iter()
                    .filter(|(class, _)| !request.erased.contains(class))
                    .map(|(class, on)| (class, on, on <= today))
                    .collect(),
                held: request.hold.is_some(),
            });
        }
        let pages = u32::try_from(total.div_ceil(u64::from(PAGE_SIZE))).unwrap_or(u32::MAX).max(1);
        let held = QueueFilter {
            gallery: filter.gallery,
            viewer: filter.viewer,
            order: QueueOrder::NewestFirst,
            flagged: vec!["held"],
            limit: HOLDS_MAX,
            ..QueueFilter::default()
        };
        let mut holds = vec![];
        for row in &self.store.queue(&held).await?.0 {
            let Some(hold) = self.open(row.request).await?.hold else { continue };
            holds.push(HeldLine {
                line: self.line(row, &register, who),
                owner: name_of(&register, Who::Person(hold.owner)),
                overdue: hold.overdue(today),
                review: hold.review,
                reason: hold.reason,
            });
        }
        Ok(RetentionPage { lines, total, page, pages, held: holds })
    }
}

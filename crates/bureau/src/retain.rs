//! retain: destroying what is due (D3).

use crate::{Bureau, Result, views::RequestLine};
use casework::{
    access::Action,
    clause::Clause,
    command::Command,
    ids::{PersonId, RequestId},
    people::Role,
    processing::HouseKind,
    record::{RetentionClass, StreamId},
    request::State,
    retain,
};
use jiff::civil::Date;
use serde::Serialize;
use store::{QueueFilter, QueueOrder};
use strum::IntoEnumIterator as _;

/// Requests on one page of what will go.
const PAGE_SIZE: u32 = 25;

/// A closed request and what of it has gone or will go.
#[derive(Clone, Debug, Serialize)]
pub struct RetentionLine {
    /// The request.
    pub line: RequestLine,
    /// Classes already destroyed.
    pub gone: Vec<RetentionClass>,
    /// Classes with the London date on which they go, and whether that has come.
    pub goes: Vec<(RetentionClass, Date, bool)>,
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
            });
        }
        let pages = u32::try_from(total.div_ceil(u64::from(PAGE_SIZE))).unwrap_or(u32::MAX).max(1);
        Ok(RetentionPage { lines, total, page, pages })
    }
}

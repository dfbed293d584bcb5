//! The work-queue projection: what lists show, in ids, states, dates and flags only.
//!
//! A list costs the same however many requests there are: each state asked for is read in order from
//! an index, at most `offset + limit` rows, and the total is counted up to [`QUEUE_COUNT_LIMIT`].

use crate::db::{self, Connection, QueryBuilder, Row};
use crate::rows::{self, gallery_from, gallery_text, optional, signed, time, unsigned};
use crate::{Result, Store, micros, within};
use casework::ids::{LeoId, PersonId, RequestId, TeamId};
use casework::record::GalleryId;
use casework::request::State;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Longest page, in rows.
pub const QUEUE_PAGE_LIMIT: u32 = 200;
/// Totals are counted up to this many rows, and no page starts after it.
pub const QUEUE_COUNT_LIMIT: u32 = 1_000;
/// Most states in one filter; each costs one ordered read.
const MAX_STATES: usize = 40;

/// One request as queues show it. No names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    /// The request.
    pub request: RequestId,
    /// Stream version the row belongs to. Set by [`Store::commit`]; what is given there is ignored.
    pub version: u64,
    /// The gallery asked about.
    pub gallery: GalleryId,
    /// The requesting force.
    pub leo: LeoId,
    /// The Home Office team that works on it.
    pub team: Option<TeamId>,
    /// The request's state, kebab-case.
    pub state: String,
    /// Goes first (S6).
    pub urgent: bool,
    /// Someone may be vulnerable: hidden from everyone who has no part in it and does not answer for it (V1).
    pub sensitive: bool,
    /// When it was received, or first recorded before that.
    pub received_at: Timestamp,
    /// When an answer is due.
    pub due_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Who asked; the nil id once the record is erased.
    pub requester: PersonId,
    /// Who approved.
    pub approver: Option<PersonId>,
    /// Who works on it now.
    pub assignee: Option<PersonId>,
    /// A known-answer trial: on the lists that ask for trials only, and never counted.
    pub trial: bool,
    /// Small non-personal facts, as JSON.
    pub flags: String,
    /// Everyone with a part in it, with the part (`requester`, `assessor`, `examiner`, …), sorted.
    pub people: Vec<(PersonId, String)>,
}

/// Whom a request is assigned to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assigned {
    /// Does not matter.
    #[default]
    Any,
    /// Nobody yet.
    Nobody,
    /// This person.
    To(PersonId),
}

/// Whether a list is of casework.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trials {
    /// Casework alone.
    #[default]
    Without,
    /// Casework and known-answer trials alike, as examiners see them.
    With,
    /// Trials alone.
    Only,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// Urgent first, then the oldest (S6).
    #[default]
    UrgentFirst,
    /// The newest first.
    NewestFirst,
}

/// Who is looking, and what they answer for as the register has them now (V1): asked at each look, so that
/// somebody who takes an office over sees what it brings with it, and somebody who left it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// The person.
    pub person: PersonId,
    /// Sees every sensitive request (an auditor).
    pub sees_all: bool,
    /// Sees the sensitive requests of this gallery (its team leaders and SIAO).
    pub oversees: Option<GalleryId>,
    /// Sees the sensitive requests of this force that wait for an approver.
    pub approves_for: Option<LeoId>,
}

impl Viewer {
    /// Somebody who holds no office: sees the sensitive requests in which they have a part.
    #[must_use]
    pub fn only(person: PersonId) -> Self {
        Self { person, sees_all: false, oversees: None, approves_for: None }
    }

    /// Whether this request may be listed for them: what the lists ask in SQL, of one row.
    #[must_use]
    pub fn sees(&self, row: &QueueRow) -> bool {
        // Holding it once is no part in it any more; holding it now is.
        let part = |(p, role): &(PersonId, String)| *p == self.person && (role != HELD || row.assignee == Some(*p));
        !row.sensitive
            || self.sees_all
            || self.oversees == Some(row.gallery)
            || (self.approves_for == Some(row.leo) && row.state == awaiting_approval())
            || row.people.iter().any(part)
    }
}

/// The part in [`QueueRow::people`] of everybody who has held a request.
pub const HELD: &str = "assessor";

fn awaiting_approval() -> &'static str {
    State::AwaitingApproval.into()
}

/// Which requests to list; `default()` lists the first 50 that are not sensitive.
#[derive(Clone, Debug)]
pub struct QueueFilter {
    /// Only this gallery.
    pub gallery: Option<GalleryId>,
    /// Only this force.
    pub leo: Option<LeoId>,
    /// Only this team.
    pub team: Option<TeamId>,
    /// Only these states; empty: any.
    pub states: Vec<String>,
    /// Only so assigned.
    pub assigned: Assigned,
    /// Only requests by this person.
    pub requester: Option<PersonId>,
    /// Only requests in which this person has a part, and, if given, this part.
    pub involving: Option<(PersonId, Option<String>)>,
    /// Casework, trials or both.
    pub trials: Trials,
    /// Only rows in whose flags at least one of these names is `true`; empty: any. Names are letters and
    /// underscores.
    pub flagged: Vec<&'static str>,
    /// Who is looking: sensitive requests are listed (and counted) only if this person has a part in
    /// them or answers for them (V1). `None` sees none of them.
    pub viewer: Option<Viewer>,
    /// The order.
    pub order: QueueOrder,
    /// Rows to return, at most [`QUEUE_PAGE_LIMIT`].
    pub limit: u32,
    /// Rows to pass over, at most [`QUEUE_COUNT_LIMIT`].
    pub offset: u32,
}

impl Default for QueueFilter {
    fn default() -> Self {
        Self {
            gallery: None,
            leo: None,
            team: None,
            states: Vec::new(),
            assigned: Assigned::Any,
            requester: None,
            involving: None,
            trials: Trials::Without,
            flagged: Vec::new(),
            viewer: None,
            order: QueueOrder::UrgentFirst,
            limit: 50,
            offset: 0,
        }
    }
}

/// Requests in one state of one gallery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// The gallery.
    pub gallery: GalleryId,
    /// The state.
    pub state: String,
    /// How many.
    pub number: u64,
}

const COLUMNS: &str = "r.request, r.version, r.gallery, r.leo, r.team, r.state, r.urgent, r.sensitive,
    r.received_at, r.due_at, r.changed_at, r.requester, r.approver, r.assignee, r.trial, r.flags";

impl Store {
    /// Every request that was ever recorded, of one gallery or of all, in no particular order.
    ///
    /// # Errors
    /// Database errors.
    pub async fn request_ids(&self, gallery: Option<GalleryId>) -> Result<Vec<RequestId>> {
        let mut sql = QueryBuilder::new("SELECT request FROM request_row");
        if let Some(gallery) = gallery {
            sql.push(" WHERE gallery = ").push_bind(gallery_text(gallery));
        }
        let found = sql.build_query_scalar::<Vec<u8>>().fetch_all(self.reader()).await?;
        found.iter().map(|id| rows::uuid(id).map(RequestId)).collect()
    }

    /// One page of a list, and how many rows the whole list has (counted up to
    /// [`QUEUE_COUNT_LIMIT`], which then means *that many or more*).
    ///
    /// # Errors
    /// [`crate::StoreError::TooLarge`] over a limit; database errors.
    pub async fn queue(&self, filter: &QueueFilter) -> Result<(Vec<QueueRow>, u64)> {
        within("page", filter.limit as usize, QUEUE_PAGE_LIMIT as usize, "rows")?;
        within("page's start", filter.offset as usize, QUEUE_COUNT_LIMIT as usize, "rows")?;
        within("filter", filter.states.len(), MAX_STATES, "states")?;
        let sql = page_sql(filter);
        let found = sql.build().fetch_all(self.reader()).await?;
        let mut rows = found.iter().map(row_from).collect::<Result<Vec<_>>>()?;
        self.add_people(&mut rows).await?;

        let mut sql = QueryBuilder::new("SELECT count(*) FROM (");
        union(&mut sql, filter, "1", QUEUE_COUNT_LIMIT, false);
        sql.push(") u");
        let total: i64 = sql.build_query_scalar().fetch_one(self.reader()).await?;
        Ok((rows, unsigned(total)?.min(u64::from(QUEUE_COUNT_LIMIT))))
    }

    /// One request's row, whoever is looking: the caller checks access.
    ///
    /// # Errors
    /// Database errors.
    pub async fn queue_row(&self, request: RequestId) -> Result<Option<QueueRow>> {
        let mut sql = QueryBuilder::new("SELECT ");
        sql.push(COLUMNS).push(" FROM request_row r WHERE r.request = ");
        sql.push_bind(request.as_bytes().to_vec());
        let found = sql.build().fetch_optional(self.reader()).await?;
        let mut rows = found.iter().map(row_from).collect::<Result<Vec<_>>>()?;
        self.add_people(&mut rows).await?;
        Ok(rows.pop())
    }

    /// How many requests are in each state of each gallery; sensitive ones only where the viewer may know
    /// of them (V1).
    ///
    /// # Errors
    /// Database errors.
    pub async fn counts(&self, viewer: Option<Viewer>) -> Result<Vec<Counts>> {
        let open = db::query("SELECT gallery, state, number FROM request_count WHERE sensitive = 0 AND number > 0")
            .fetch_all(self.reader())
            .await?;
        let hidden = match viewer {
            Some(viewer) => {
                let mut sql =
                    QueryBuilder::new("SELECT r.gallery, r.state, count(*) FROM request_row r WHERE r.sensitive = 1 AND r.trial = 0 AND (");
                may_see(&mut sql, &viewer);
                sql.push(") GROUP BY r.gallery, r.state");
                sql.build().fetch_all(self.reader()).await?
            }
            None => Vec::new(),
        };
        let mut counts: BTreeMap<(GalleryId, String), u64> = BTreeMap::new();
        for row in open.iter().chain(&hidden) {
            let key = (gallery_from(row.try_get(0)?)?, row.try_get(1)?);
            *counts.entry(key).or_default() += unsigned(row.try_get(2)?)?;
        }
        let counts = counts.into_iter();
        Ok(counts.map(|((gallery, state), number)| Counts { gallery, state, number }).collect())
    }

    async fn add_people(&self, rows: &mut [QueueRow]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut sql = QueryBuilder::new("SELECT request, person, role FROM request_people WHERE request IN (");
        sql.push_list(rows.iter().map(|row| row.request.as_bytes().as_slice()));
        sql.push(") ORDER BY request, person, role");
        let mut people: HashMap<RequestId, Vec<(PersonId, String)>> = HashMap::new();
        for row in sql.build().fetch_all(self.reader()).await? {
            let request = RequestId(rows::uuid(row.try_get(0)?)?);
            let person = PersonId(rows::uuid(row.try_get(1)?)?);
            people.entry(request).or_default().push((person, row.try_get(2)?));
        }
        for row in rows {
            row.people = people.remove(&row.request).unwrap_or_default();
        }
        Ok(())
    }
}

/// The page's query: each state's first rows in order, merged.
fn page_sql(filter: &QueueFilter) -> QueryBuilder {
    let mut sql = QueryBuilder::new("SELECT r.* FROM (");
    union(&mut sql, filter, COLUMNS, filter.offset + filter.limit, true);
    sql.push(") r").push(order(filter.order)).push(" LIMIT ").push_bind(i64::from(filter.limit));
    sql.push(" OFFSET ").push_bind(i64::from(filter.offset));
    sql
}

/// One branch for each state asked for, so that each can be read in order from an index.
fn union(sql: &mut QueryBuilder, filter: &QueueFilter, columns: &'static str, limit: u32, ordered: bool) {
    let mut states: Vec<Option<&str>> = filter.states.iter().map(|s| Some(s.as_str())).collect();
    states.sort_unstable();
    states.dedup();
    if states.is_empty() {
        states.push(None);
    }
    for (n, state) in states.into_iter().enumerate() {
        sql.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
        branch(sql, filter, columns, state);
        if ordered {
            sql.push(order(filter.order));
        }
        sql.push(" LIMIT ").push_bind(i64::from(limit)).push(") s");
    }
}

fn branch(sql: &mut QueryBuilder, filter: &QueueFilter, columns: &'static str, state: Option<&str>) {
    sql.push("SELECT ").push(columns).push(" FROM ");
    if let Some((person, role)) = &filter.involving {
        // A person has a part in few requests: start from those.
        sql.push("(SELECT DISTINCT request FROM request_people WHERE person = ");
        sql.push_bind(person.as_bytes().to_vec());
        if let Some(role) = role {
            sql.push(" AND role = ").push_bind(role.clone());
        }
        sql.push(") p CROSS JOIN request_row r WHERE r.request = p.request AND ");
    } else {
        sql.push("request_row r WHERE ");
    }
    if let Some(gallery) = filter.gallery {
        sql.push("r.gallery = ").push_bind(gallery_text(gallery)).push(" AND ");
    }
    if let Some(leo) = filter.leo {
        sql.push("r.leo = ").push_bind(leo.as_bytes().to_vec()).push(" AND ");
    }
    if let Some(team) = filter.team {
        sql.push("r.team = ").push_bind(team.as_bytes().to_vec()).push(" AND ");
    }
    if let Some(person) = filter.requester {
        sql.push("r.requester = ").push_bind(person.as_bytes().to_vec()).push(" AND ");
    }
    match filter.assigned {
        Assigned::Any => {}
        Assigned::Nobody => {
            sql.push("r.assignee IS NULL AND ");
        }
        Assigned::To(person) => {
            sql.push("r.assignee = ").push_bind(person.as_bytes().to_vec()).push(" AND ");
        }
    }
    match filter.trials {
        Trials::Without => {
            sql.push("r.trial = 0 AND ");
        }
        Trials::With => {}
        Trials::Only => {
            sql.push("r.trial = 1 AND ");
        }
    }
    if !filter.flagged.is_empty() {
        sql.push("(1 = 0");
        for name in &filter.flagged {
            sql.push(" OR json_extract(r.flags, ").push_bind(format!("$.{name}")).push(")");
        }
        sql.push(") AND ");
    }
    if let Some(state) = state {
        sql.push("r.state = ").push_bind(state.to_owned()).push(" AND ");
    }
    match &filter.viewer {
        None => {
            sql.push("r.sensitive = 0");
        }
        Some(viewer) => {
            sql.push("(r.sensitive = 0 OR ");
            may_see(sql, viewer);
            sql.push(")");
        }
    }
}

/// Whether a sensitive row `r` may be seen: [`Viewer::sees`] in SQL.
fn may_see(sql: &mut QueryBuilder, viewer: &Viewer) {
    if viewer.sees_all {
        sql.push("1 = 1");
        return;
    }
    if let Some(gallery) = viewer.oversees {
        sql.push("r.gallery = ").push_bind(gallery_text(gallery)).push(" OR ");
    }
    if let Some(leo) = viewer.approves_for {
        sql.push("(r.leo = ").push_bind(leo.as_bytes().to_vec()).push(" AND r.state = ").push_bind(awaiting_approval()).push(") OR ");
    }
    sql.push("EXISTS (SELECT 1 FROM request_people v WHERE v.request = r.request AND v.person = ");
    sql.push_bind(viewer.person.as_bytes().to_vec());
    sql.push(" AND (v.role <> ").push_bind(HELD).push(" OR r.assignee = v.person))");
}

fn order(order: QueueOrder) -> &'static str {
    match order {
        QueueOrder::UrgentFirst => " ORDER BY r.urgent DESC, r.received_at, r.request",
        QueueOrder::NewestFirst => " ORDER BY r.received_at DESC, r.request",
    }
}

fn row_from(row: &Row) -> Result<QueueRow> {
    Ok(QueueRow {
        request: RequestId(rows::uuid(row.try_get("request")?)?),
        version: unsigned(row.try_get("version")?)?,
        gallery: gallery_from(row.try_get("gallery")?)?,
        leo: LeoId(rows::uuid(row.try_get("leo")?)?),
        team: optional(row.try_get("team")?)?,
        state: row.try_get("state")?,
        urgent: row.try_get("urgent")?,
        sensitive: row.try_get("sensitive")?,
        received_at: time(row.try_get("received_at")?)?,
        due_at: row.try_get::<Option<i64>, _>("due_at")?.map(time).transpose()?,
        changed_at: time(row.try_get("changed_at")?)?,
        requester: PersonId(rows::uuid(row.try_get("requester")?)?),
        approver: optional(row.try_get("approver")?)?,
        assignee: optional(row.try_get("assignee")?)?,
        trial: row.try_get("trial")?,
        flags: row.try_get("flags")?,
        people: Vec::new(),
    })
}

/// Writes a request's row, its people and the counts, within the deciding transaction.
pub(crate) async fn put_row(tx: &mut Connection, row: &QueueRow, version: u64) -> Result<()> {
    let request = row.request.as_bytes().as_slice();
    // A trial is one from its first event to its last, and is never counted.
    if !row.trial {
        let before = db::query("SELECT gallery, state, sensitive FROM request_row WHERE request = $1")
            .bind(request)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(old) = before {
            let (gallery, state, sensitive): (&str, &str, bool) = (old.try_get(0)?, old.try_get(1)?, old.try_get(2)?);
            count(tx, gallery, state, sensitive, -1).await?;
        }
        count(tx, gallery_text(row.gallery), &row.state, row.sensitive, 1).await?;
    }
    db::query(
        "INSERT INTO request_row (request, version, gallery, leo, team, state, urgent, sensitive,
           received_at, due_at, changed_at, requester, approver, assignee, trial, flags)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (request) DO UPDATE SET version = excluded.version, gallery = excluded.gallery,
           leo = excluded.leo, team = excluded.team, state = excluded.state,
           urgent = excluded.urgent, sensitive = excluded.sensitive,
           received_at = excluded.received_at, due_at = excluded.due_at,
           changed_at = excluded.changed_at, requester = excluded.requester,
           approver = excluded.approver, assignee = excluded.assignee, trial = excluded.trial, flags = excluded.flags",
    )
    .bind(request)
    .bind(signed(version)?)
    .bind(gallery_text(row.gallery))
    .bind(row.leo.as_bytes().as_slice())
    .bind(row.team.as_ref().map(|t| t.as_bytes().as_slice()))
    .bind(&row.state)
    .bind(row.urgent)
    .bind(row.sensitive)
    .bind(micros(row.received_at))
    .bind(row.due_at.map(micros))
    .bind(micros(row.changed_at))
    .bind(row.requester.as_bytes().as_slice())
    .bind(row.approver.as_ref().map(|p| p.as_bytes().as_slice()))
    .bind(row.assignee.as_ref().map(|p| p.as_bytes().as_slice()))
    .bind(row.trial)
    .bind(&row.flags)
    .execute(&mut *tx)
    .await?;
    db::query("DELETE FROM request_people WHERE request = $1").bind(request).execute(&mut *tx).await?;
    for (person, role) in &row.people {
        db::query("INSERT INTO request_people (request, person, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(request)
            .bind(person.as_bytes().as_slice())
            .bind(role)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn count(tx: &mut Connection, gallery: &str, state: &str, sensitive: bool, by: i64) -> Result<()> {
    db::query(
        "INSERT INTO request_count (gallery, state, sensitive, number) VALUES ($1, $2, $3, $4)
         ON CONFLICT (gallery, state, sensitive)
           DO UPDATE SET number = request_count.number + excluded.number",
    )
    .bind(gallery)
    .bind(state)
    .bind(sensitive)
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every list that a page shows is read in order from an index: no sorting and no scanning of the
    /// table, whatever it holds.
    #[tokio::test]
    async fn lists_are_read_in_order_from_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(&dir.path().join("data"), "example.org/log").await.unwrap();
        let (me, gallery) = (PersonId::fixed(1), Some(GalleryId::Passport));
        let viewer = Viewer { oversees: gallery, approves_for: Some(LeoId::fixed(1)), ..Viewer::only(me) };
        let base = || QueueFilter { viewer: Some(viewer), ..QueueFilter::default() };
        let newest = QueueOrder::NewestFirst;
        let filters = [
            (base(), None),
            (base(), Some("received")),
            (QueueFilter { order: newest, ..base() }, None),
            (QueueFilter { gallery, ..base() }, None),
            (QueueFilter { gallery, ..base() }, Some("received")),
            (QueueFilter { gallery, assigned: Assigned::Nobody, ..base() }, Some("received")),
            (QueueFilter { gallery, assigned: Assigned::To(me), ..base() }, Some("received")),
            (QueueFilter { gallery, order: newest, ..base() }, None),
            (QueueFilter { assigned: Assigned::To(me), ..base() }, None),
            (QueueFilter { assigned: Assigned::To(me), ..base() }, Some("received")),
            (QueueFilter { assigned: Assigned::To(me), order: newest, ..base() }, None),
            (QueueFilter { requester: Some(me), order: newest, ..base() }, None),
            (QueueFilter { requester: Some(me), order: newest, ..base() }, Some("received")),
            (QueueFilter { requester: Some(me), ..base() }, Some("received")),
            (QueueFilter { leo: Some(LeoId::fixed(1)), order: newest, ..base() }, None),
            (QueueFilter { leo: Some(LeoId::fixed(1)), order: newest, ..base() }, Some("approved")),
            (QueueFilter { leo: Some(LeoId::fixed(1)), ..base() }, Some("approved")),
        ];
        for (filter, state) in filters {
            let mut sql = QueryBuilder::new("EXPLAIN QUERY PLAN ");
            branch(&mut sql, &filter, COLUMNS, state);
            sql.push(order(filter.order)).push(" LIMIT 50");
            let steps = sql.build().fetch_all(store.reader()).await.unwrap();
            for step in steps {
                let step: String = step.try_get("detail").unwrap();
                assert!(!step.contains("TEMP B-TREE"), "{step} for {filter:?} {state:?}");
                assert!(!step.starts_with("SCAN r") || step.contains("INDEX"), "{step} for {filter:?}");
            }
        }
    }
}

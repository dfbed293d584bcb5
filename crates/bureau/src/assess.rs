//! assess: the lists that people work from.

use crate::{Bureau, Done, Result, act::With, elsewhere::Elsewhere, views::RequestLine};
use casework::{
    access::{self, Action},
    clause::Clause,
    command::Command,
    decide::Context,
    ids::{PersonId, RequestId, TeamId},
    people::{Actor, Role},
    record::GalleryId,
    refusal::{Refusal, refuse},
    request::{Request, State},
};
use gallery::Gallery as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{Assigned, QueueFilter, QueueOrder, Trials};
use strum::IntoEnumIterator as _;

/// Requests on one page of a list.
pub const PAGE_SIZE: u32 = 25;
/// The last page of a list: the store counts no further. A page beyond it is this one.
pub const PAGES_MAX: u32 = store::QUEUE_COUNT_LIMIT / PAGE_SIZE;

/// Which list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum List {
    /// What I hold (or, for police, asked for).
    #[default]
    Mine,
    /// What nobody holds.
    Waiting,
    /// Everything open in my gallery.
    All,
    /// What waits for my approval.
    Approval,
    /// What wants an examiner, or that I examine.
    Comparison,
    /// What is answered, closed, rejected or withdrawn.
    Ended,
    /// Reviews and onward sharing that wait for a leader.
    Asked,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Lines {
    /// The lines.
    pub lines: Vec<RequestLine>,
    /// How many there are in all.
    pub total: u64,
    /// This page, from 1.
    pub page: u32,
    /// Pages in all.
    pub pages: u32,
}

/// The states that a caseworker's open list shows.
const OPEN: [State; 7] =
    [State::Received, State::Assessing, State::Clarifying, State::Searching, State::Comparing, State::Responding, State::Answering];

impl Bureau {
    /// A list of requests for somebody, urgent first, then oldest (S6).
    ///
    /// # Errors
    /// Refused to people who have no such list.
    pub async fn list(&self, who: PersonId, list: List, state: Option<State>, page: u32) -> Result<Lines> {
        let (register, actor) = self.actor(who).await?;
        let page = page.clamp(1, PAGES_MAX);
        let mut filter = QueueFilter {
            viewer: Some(crate::views::viewer(&actor)),
            limit: PAGE_SIZE,
            offset: (page - 1).saturating_mul(PAGE_SIZE),
            ..QueueFilter::default()
        };
        self.narrow(&mut filter, &actor, list)?;
        if let Some(state) = state.map(|s| s.to_string()) {
            // Narrows a list, never widens it.
            let there = filter.states.is_empty() || filter.states.contains(&state);
            if !there {
                return Ok(Lines { lines: vec![], total: 0, page: 1, pages: 1 });
            }
            filter.states = vec![state];
        }
        filter.flagged = match list {
            List::Comparison => vec!["wants_examiner", "wants_empty_conclusion"],
            List::Asked => vec!["review_asked", "onward_asked"],
            _ => vec![],
        };
        // To whoever examines them, trials are casework; to everybody else they are not there (P1).
        filter.trials = if list == List::Comparison { Trials::With } else { Trials::Without };
        let (rows, total) = self.store.queue(&filter).await?;
        let mut lines: Vec<RequestLine> = vec![];
        let blind = |row: &store::QueueRow| examines(row, who);
        for row in &rows {
            let line = self.line(row, &register, who);
            let part = |name: &str| row.people.iter().any(|(p, r)| *p == who && r == name);
            let keep = match list {
                List::Comparison => !part("assessor"),
                List::Asked => true,
                // M2: how far a request has come would tell an examiner what another examiner did.
                _ => actor.leo.is_some() || !blind(row),
            };
            if keep {
                lines.push(line);
            }
        }
        let pages = u32::try_from(total.div_ceil(u64::from(PAGE_SIZE))).unwrap_or(u32::MAX).max(1);
        Ok(Lines { lines, total, page, pages })
    }

    fn narrow(&self, filter: &mut QueueFilter, actor: &Actor, list: List) -> Result<()> {
        let names = |states: &[State]| states.iter().map(ToString::to_string).collect();
        if actor.leo.is_some() {
            filter.leo = actor.leo;
            if list == List::Approval {
                if !actor.has(Role::Approver) {
                    return Err(vec![refuse(&[Clause::S9], "Only an approver has a queue of requests to approve.")].into());
                }
                filter.states = names(&[State::AwaitingApproval]);
                return Ok(());
            }
            filter.requester = Some(actor.person);
            filter.order = QueueOrder::NewestFirst;
            if list == List::Ended {
                // For the force what has ended is what was answered.
                filter.states = names(&[State::Answered, State::Closed]);
            }
            return Ok(());
        }
        if !actor.has(Role::Auditor) {
            filter.gallery = Some(actor.gallery.ok_or_else(|| vec![casework::access::unknown()])?);
        }
        let may = match list {
            List::Mine | List::Waiting | List::All | List::Ended => {
                [Role::Assessor, Role::TeamLeader, Role::Siao, Role::Auditor].iter().any(|r| actor.has(*r))
            }
            List::Comparison => actor.has(Role::Examiner),
            List::Asked => actor.has(Role::TeamLeader),
            List::Approval => false,
        };
        if !may {
            return Err(vec![refuse(&[Clause::R1], "Your role does not include this list.")].into());
        }
        filter.states = names(&OPEN);
        match list {
            List::Mine => filter.assigned = Assigned::To(actor.person),
            List::Waiting => {
                filter.assigned = Assigned::Nobody;
            }
            List::All | List::Approval => {}
            List::Comparison => filter.states = names(&[State::Assessing, State::Searching, State::Comparing]),
            List::Ended => {
                filter.states = names(&[State::Answered, State::Closed, State::Rejected, State::Withdrawn]);
                filter.order = QueueOrder::NewestFirst;
            }
            List::Asked => filter.states = names(&[State::Answered, State::Closed, State::Rejected]),
        }
        Ok(())
    }

    /// The next request to take: urgent first, then the oldest that nobody holds and that is not sensitive.
    ///
    /// # Errors
    /// As [`Bureau::list`].
    pub async fn next_in_queue(&self, who: PersonId) -> Result<Option<RequestId>> {
        for line in self.list(who, List::Waiting, None, 1).await?.lines {
            // Not one that they would be refused: a conflict of interest they declared, a sensitive request.
            match self.check(who, line.id, Command::Take { no_conflict: true }, None).await {
                Ok(_) => return Ok(Some(line.id)),
                Err(crate::BureauError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// What would come of a command, without carrying it out: for pages that check and preview before
    /// they ask to confirm.
    ///
    /// # Errors
    /// As [`Bureau::act`].
    pub async fn check(&self, who: PersonId, id: RequestId, command: Command, seen: Option<u64>) -> Result<Done> {
        let (register, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        let (_, next, events) = self.decided(Some(&actor), &register, &request, &command, seen, &With::default())?;
        Ok(Done { request: next, events })
    }

    /// A request's line and what its viewer may do: what may be shown before they have said that they
    /// have no conflict of interest. Nothing that the force says is in it, so it is no look.
    ///
    /// # Errors
    /// Refused as unknown to people who may not know that it exists (V1).
    pub async fn brief(&self, who: PersonId, id: RequestId) -> Result<Brief> {
        let (register, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
        let may: BTreeSet<Action> = Action::iter().filter(|a| access::refusals(&request, *a, &ctx).is_empty()).collect();
        let row = self.store.queue_row(id).await?;
        let mut refusals = line_refusals(&request, &actor, &ctx);
        match row {
            Some(row) if refusals.is_empty() => {
                let undeclared = request.undeclared() == Some(who);
                Ok(Brief { line: self.line(&row, &register, who), version: request.version, may, undeclared })
            }
            _ => {
                if refusals.is_empty() {
                    refusals.push(access::unknown());
                }
                Err(refusals.into())
            }
        }
    }

    /// References in a gallery, if it is open here.
    #[must_use]
    pub fn gallery_size(&self, id: GalleryId) -> Option<u64> {
        self.elsewhere.get(&id).map(Elsewhere::held).or_else(|| self.galleries.get(&id).map(|g| g.len()))
    }

    /// Finds requests by their short reference, or by a force's investigation reference. The look-up goes
    /// through keyed hashes, answers only what the viewer may know, and is recorded.
    ///
    /// # Errors
    /// Refused to people without the role.
    pub async fn look_up(&self, who: PersonId, text: &str) -> Result<Vec<RequestLine>> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::LookUp)?;
        let text = text.trim();
        let mut ids = self.store.lookup("reference", text.to_uppercase().as_bytes()).await?;
        ids.extend(self.store.lookup("investigation-any", crate::act::normal(text).as_bytes()).await?);
        ids.sort();
        ids.dedup();
        let mut out = vec![];
        for id in ids {
            let request = self.open(id).await?;
            let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
            if !line_refusals(&request, &actor, &ctx).is_empty() {
                continue;
            }
            if let Some(row) = self.store.queue_row(id).await? {
                out.push(self.line(&row, &register, who));
            }
        }
        let found: Vec<_> = out.iter().map(|l| l.reference.as_str()).collect();
        self.note_house(
            casework::processing::HouseKind::LookedUp,
            who,
            &format!("looked a reference up; found: {}", found.join(", ")),
            actor.gallery,
        )
        .await?;
        Ok(out)
    }

    /// Colleagues in the gallery who may hold a request, with how many each holds.
    ///
    /// # Errors
    /// Refused to anyone but a team leader or somebody who lets colleagues in.
    pub async fn team_load(&self, who: PersonId) -> Result<Vec<Load>> {
        let (register, actor) = self.actor(who).await?;
        let today = casework::calendar::london_date(self.now());
        if !actor.has(Role::TeamLeader) && !actor.has(Role::Assessor) {
            return Err(vec![refuse(&[Clause::R3], "Your role does not include this list.")].into());
        }
        let Some(gallery) = actor.gallery else { return Err(vec![casework::access::unknown()].into()) };
        let mut out = vec![];
        for p in register.people.values() {
            let Some(colleague) = register.actor(p.id, today) else { continue };
            if colleague.gallery != Some(gallery) || !(colleague.has(Role::Assessor) || colleague.has(Role::Examiner)) {
                continue;
            }
            let filter = QueueFilter {
                gallery: Some(gallery),
                assigned: Assigned::To(p.id),
                states: OPEN.iter().map(ToString::to_string).collect(),
                viewer: Some(crate::views::viewer(&actor)),
                limit: 1,
                ..QueueFilter::default()
            };
            let (_, holds) = self.store.queue(&filter).await?;
            out.push(Load {
                person: p.id,
                name: p.name.clone(),
                roles: colleague.roles.iter().map(|r| r.label()).collect(),
                team: colleague.team,
                same_team: colleague.team == actor.team,
                assessor: colleague.has(Role::Assessor),
                trained: colleague.trained,
                gallery,
                holds,
            });
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }
}

/// What stands in the way of seeing a request's line: what stands in the way of the request, but for the
/// question that whoever it was allocated to is asked first (R1).
fn line_refusals(request: &Request, actor: &Actor, ctx: &Context<'_>) -> Vec<Refusal> {
    if request.undeclared() == Some(actor.person) && access::may_know(request, actor) {
        return vec![];
    }
    access::refusals(request, Action::SeeRequest, ctx)
}

/// A request before anything that the force says is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Brief {
    /// Its line.
    pub line: RequestLine,
    /// Its version, for forms.
    pub version: u64,
    /// What the viewer may do now.
    pub may: BTreeSet<Action>,
    /// Whether it was allocated to the viewer, who has yet to say whether they have a conflict (R1).
    pub undeclared: bool,
}

/// A colleague and how much they hold.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Their id.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Their roles in words.
    pub roles: Vec<&'static str>,
    /// Their team.
    pub team: Option<TeamId>,
    /// Whether it is the viewer's.
    pub same_team: bool,
    /// Whether they may hold requests.
    pub assessor: bool,
    /// Whether their training is in date (R1).
    pub trained: bool,
    /// Their gallery.
    pub gallery: GalleryId,
    /// Open requests they hold.
    pub holds: u64,
}

/// Whether somebody examines a request that is still with us, by its row.
pub(crate) fn examines(row: &store::QueueRow, who: PersonId) -> bool {
    let with_us = row.state.parse::<State>().is_ok_and(|s| OPEN.contains(&s));
    with_us && row.people.iter().any(|(p, part)| *p == who && part == "examiner")
}

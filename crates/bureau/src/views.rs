//! What pages and the API show: a request cut down to what its viewer may know.

use crate::{
    Bureau, Result,
    act::Flags,
    register::{name_of, organisation_of},
};
use casework::{
    access::{self, Action},
    assess::{Assessment, Handling},
    calendar,
    clause::Clause,
    decide::Context,
    event::{Entry, Event, Thing, Who},
    form::Form,
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    people::{Actor, Register, Role},
    record::{GalleryId, Header, RetentionClass, StreamId},
    refusal::Refusal,
    request::{Clarification, Onward, Outcome, Probe, ProbeState, Request, Review, State},
    witnessed::Witnessed,
};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use std::collections::BTreeSet;
use store::{QueueRow, Viewer};
use strum::IntoEnumIterator;

/// One request in a list. No personal data of the person searched for.
#[derive(Clone, Debug, Serialize)]
pub struct RequestLine {
    /// Its id.
    pub id: RequestId,
    /// Its short reference.
    pub reference: String,
    /// The gallery.
    pub gallery: GalleryId,
    /// The force's name.
    pub leo: String,
    /// Its state.
    pub state: State,
    /// Its state in words.
    pub state_label: &'static str,
    /// Urgent (S6).
    pub urgent: bool,
    /// Sensitive (V0).
    pub sensitive: bool,
    /// When it was received (or first recorded).
    pub received: Timestamp,
    /// Its age in working days.
    pub age_working_days: u32,
    /// When the answer is due, in London; nothing once answered.
    pub due: Option<Date>,
    /// How long is left, in words; nothing once answered.
    pub due_words: Option<String>,
    /// Whether it is overdue.
    pub overdue: bool,
    /// Who holds it.
    pub assignee: Option<String>,
    /// Whether the viewer holds it.
    pub mine: bool,
    /// Who asked.
    pub requester: String,
    /// Small facts.
    pub flags: Flags,
}

/// A candidate as an assessor sees it once people have concluded.
#[derive(Clone, Debug, Serialize)]
pub struct CandidateView {
    /// Its opaque id.
    pub id: CandidateId,
    /// What people concluded.
    pub matched: Option<bool>,
    /// How many confirmed it.
    pub confirmed_by: usize,
    /// What is shared.
    pub sharing: Option<casework::event::Sharing>,
    /// Whether there is a picture to show.
    pub has_image: bool,
}

/// A probe as its viewer may know it.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeView {
    /// Its id.
    pub id: ProbeId,
    /// 1 for the first image of the form.
    pub number: usize,
    /// Its state: `pending`, `declined`, `authorised`, `started`, `no-candidates`, `comparing`, `concluded`.
    pub state: &'static str,
    /// The assessment, for staff.
    pub assessment: Option<Assessment>,
    /// Clauses and explanation of a decline.
    pub declined: Option<(Vec<Clause>, String)>,
    /// When leave to search ends.
    pub leave_expires: Option<Timestamp>,
    /// References searched, for staff.
    pub searched: Option<u64>,
    /// The engine and model, for staff.
    pub engine: Option<String>,
    /// How many candidates the search listed, for staff; never their scores or ranks.
    pub listed: Option<usize>,
    /// Concluded candidates, for the assessor.
    pub candidates: Vec<CandidateView>,
    /// Whether it has come to its end.
    pub ended: bool,
}

/// A request as its viewer may know it.
#[derive(Clone, Debug, Serialize)]
pub struct RequestView {
    /// Its line.
    #[serde(flatten)]
    pub line: RequestLine,
    /// Its version, for forms.
    pub version: u64,
    /// The gallery's name.
    pub gallery_name: String,
    /// Who holds the gallery.
    pub owner: String,
    /// The form.
    pub form: Option<Form>,
    /// Its probes.
    pub probes: Vec<ProbeView>,
    /// Who approved.
    pub approver: Option<String>,
    /// The linked request to the other gallery (S3).
    pub twin: Option<RequestId>,
    /// Its reference.
    pub twin_reference: Option<String>,
    /// The rejected request that it replaces.
    pub replaces: Option<RequestId>,
    /// Whether an image of it is in another request (staff only).
    pub image_seen_before: bool,
    /// Questions to the force.
    pub clarifications: Vec<Clarification>,
    /// Why the approver returned it.
    pub returned: Option<String>,
    /// What was missing (W1).
    pub rejected: Vec<Refusal>,
    /// Reviews.
    pub reviews: Vec<Review>,
    /// Onward sharing.
    pub onward: Vec<Onward>,
    /// The handling chosen.
    pub handling: Option<Handling>,
    /// The answer in one word, once released (or to staff).
    pub outcome: Option<Outcome>,
    /// To whom the answer goes.
    pub recipient: Option<String>,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// When it was first opened.
    pub collected_at: Option<Timestamp>,
    /// The witnesses that the answer waits for, while it does: to be released, or, released, to be opened (D5).
    pub waits_for: Option<Witnessed>,
    /// When it was due, in words.
    pub due: Option<String>,
    /// The legal hold that keeps it, for staff.
    pub hold: Option<Held>,
    /// What the viewer may do now.
    pub may: BTreeSet<Action>,
}

/// A legal hold, for staff.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Who answers for it.
    pub owner: PersonId,
    /// Their name.
    pub owner_name: String,
    /// Why.
    pub reason: String,
    /// The London date on which it is to be looked at again.
    pub review: Date,
    /// Whether that has passed.
    pub overdue: bool,
}

/// One line of a request's history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryLine {
    /// When.
    pub at: Timestamp,
    /// When, in words.
    pub when: String,
    /// Who, by name; police see the team only.
    pub who: String,
    /// The person's team or force.
    pub team: String,
    /// What, in words.
    pub what: String,
    /// The clauses it rests on.
    pub clauses: Vec<String>,
    /// Whether it is a look rather than a change.
    pub look: bool,
}

/// What somebody may see of lists, by what the register says of them now; [`access::may_know`] says the same
/// of one request (V1).
pub(crate) fn viewer(actor: &Actor) -> Viewer {
    Viewer {
        person: actor.person,
        sees_all: actor.has(Role::Auditor),
        oversees: actor.gallery.filter(|_| actor.has(Role::TeamLeader) || actor.has(Role::Siao)),
        approves_for: actor.leo.filter(|_| actor.has(Role::Approver)),
    }
}

impl Bureau {
    pub(crate) fn line(&self, row: &QueueRow, register: &Register, viewer: PersonId) -> RequestLine {
        let today = calendar::london_date(self.now());
        let state: State = row.state.parse().unwrap_or_default();
        let open = !matches!(
            state,
            State::Answered
                | State::Closed
                | State::Erased
                | State::Withdrawn
                | State::Rejected
                | State::Draft
                | State::AwaitingApproval
                | State::Returned
        );
        let due = row.due_at.map(calendar::london_date).filter(|_| open);
        let name = |p: PersonId| name_of(register, Who::Person(p));
        let police = register.people.get(&viewer).is_some_and(|p| matches!(p.at, casework::people::Affiliation::Leo(_)));
        RequestLine {
            id: row.request,
            reference: row.request.reference(),
            gallery: row.gallery,
            leo: register.leos.get(&row.leo).map(|l| l.name.clone()).unwrap_or_default(),
            state,
            state_label: state.label(),
            urgent: row.urgent,
            sensitive: row.sensitive,
            received: row.received_at,
            age_working_days: calendar::working_days(calendar::london_date(row.received_at), today),
            due,
            due_words: due.map(|d| calendar::due_in_words(today, d)),
            overdue: due.is_some_and(|d| d < today),
            assignee: row.assignee.filter(|_| !police).map(name),
            mine: row.assignee == Some(viewer),
            requester: name(row.requester),
            flags: if police && viewer != row.requester { Flags::default() } else { serde_json::from_str(&row.flags).unwrap_or_default() },
        }
    }

    /// Opens a request for somebody who wants to see something of it. The look itself is recorded by the
    /// caller ([`Bureau::consult`]), once it is sure that there is something to serve.
    ///
    /// # Errors
    /// Refused with every reason; as unknown to people who may not know that it exists (V1).
    pub(crate) async fn open_for(
        &self,
        who: PersonId,
        id: RequestId,
        action: Action,
    ) -> Result<(Request, Actor, std::sync::Arc<Register>)> {
        let (register, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        if request.version == 0 {
            return Err(vec![access::unknown()].into());
        }
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
        let refusals = access::refusals(&request, action, &ctx);
        if !refusals.is_empty() {
            return Err(refusals.into());
        }
        Ok((request, actor, register))
    }

    /// A request, cut down to what this person may know. The look is recorded.
    ///
    /// # Errors
    /// Refused with every reason.
    pub async fn request(&self, who: PersonId, id: RequestId) -> Result<RequestView> {
        let (request, actor, register) = self.open_for(who, id, Action::SeeRequest).await?;
        self.consult(who, &request, Thing::Form, "reading the request").await?;
        let row = self.store.queue_row(id).await?.ok_or_else(|| vec![access::unknown()])?;
        let mut line = self.line(&row, &register, who);
        let police = actor.leo.is_some();
        let policy = self.policy();
        let ctx = Context { actor: Some(&actor), register: &register, policy, now: self.now(), running: None };
        if police {
            line.assignee = None;
        }
        let may: BTreeSet<Action> = Action::iter().filter(|a| access::refusals(&request, *a, &ctx).is_empty()).collect();
        let gallery = request.gallery.map(|g| policy.gallery(g));
        let sees_candidates = may.contains(&Action::SeeCandidates) && request.assignee == Some(who);
        let probes = request.probes.iter().enumerate().map(|(n, p)| probe_view(p, n + 1, police, sees_candidates)).collect();
        // V2: within the force the answer is the requester's, and nobody's before it has left.
        let released = !police || may.contains(&Action::SeeAnswer);
        let waits_for = if released { self.waits_for(&request).await? } else { None };
        // What an answer says has not left before its record is witnessed (D5).
        let left = released && !(police && waits_for.is_some());
        Ok(RequestView {
            line,
            version: request.version,
            gallery_name: gallery.map(|g| g.name.clone()).unwrap_or_default(),
            owner: gallery.map(|g| g.owner.clone()).unwrap_or_default(),
            form: request.form.clone(),
            probes,
            approver: request.approver.map(|p| name_of(&register, Who::Person(p))),
            twin: request.twin,
            twin_reference: request.twin.map(|t| t.reference()),
            replaces: request.replaces,
            image_seen_before: request.image_seen_before && !police,
            clarifications: request.clarifications.clone(),
            returned: request.returned.clone(),
            rejected: request.rejected.clone(),
            reviews: request.reviews.clone(),
            onward: request.onward.clone(),
            handling: request.handling,
            outcome: request.outcome.filter(|_| left),
            recipient: request.recipient.filter(|_| released).map(|p| name_of(&register, Who::Person(p))),
            released_at: request.released_at,
            collected_at: request.collected_at,
            waits_for,
            due: request.due.map(calendar::date_in_words),
            hold: request.hold.as_ref().filter(|_| !police).map(|h| Held {
                owner: h.owner,
                owner_name: name_of(&register, Who::Person(h.owner)),
                reason: h.reason.clone(),
                review: h.review,
                overdue: h.overdue(ctx.today()),
            }),
            may,
        })
    }

    /// The rendering of a probe, whole, for people who may see it; the look is recorded.
    ///
    /// # Errors
    /// Refused with every reason.
    pub async fn probe_image(&self, who: PersonId, id: RequestId, probe: ProbeId) -> Result<Vec<u8>> {
        let (request, ..) = self.open_for(who, id, Action::SeeImage).await?;
        let bytes = self.rendering(request.image(probe).ok_or_else(|| vec![access::unknown()])?).await?;
        self.consult(who, &request, Thing::Probe(probe), WHOLE_IMAGE).await?;
        Ok(bytes)
    }

    /// What happened to a request and who looked, oldest first; looking at it is recorded too.
    ///
    /// # Errors
    /// Refused with every reason.
    pub async fn history(&self, who: PersonId, id: RequestId) -> Result<Vec<HistoryLine>> {
        let (request, actor, register) = self.open_for(who, id, Action::SeeHistory).await?;
        self.consult(who, &request, Thing::History, "reading the history").await?;
        let police = actor.leo.is_some();
        let team = |w: Who| match w {
            Who::System => String::new(),
            Who::Person(p) => register.people.get(&p).map(|p| organisation_of(&register, p)).unwrap_or_default(),
        };
        let mut out = vec![];
        for record in self.store.load(StreamId::Request(id)).await? {
            let entry = record.payload.as_deref().map(serde_json::from_slice::<Entry>).transpose()?;
            let by = entry.as_ref().map_or(Who::System, |e| e.by);
            let own = matches!(by, Who::Person(p) if register.people.get(&p).is_some_and(|p| matches!(p.at, casework::people::Affiliation::Leo(_))));
            if police && !told_to_the_force(&record.header) {
                continue;
            }
            out.push(HistoryLine {
                at: record.header.at,
                when: calendar::in_words(record.header.at),
                who: if police && !own { "Home Office".into() } else { name_of(&register, by) },
                team: team(by),
                what: match entry {
                    // The force learns what it says by opening it: nobody else does (V2), and nobody before it is witnessed (D5).
                    Some(Entry { event: Event::Released { .. }, .. }) if police => "Answer released".into(),
                    Some(entry) => words(&entry.event),
                    None => format!("{} (its contents were erased)", record.header.kind.replace('-', " ")),
                },
                clauses: record.header.clauses,
                look: false,
            });
        }
        if !police {
            for record in self.store.load(StreamId::Consulted(id)).await? {
                let Some(payload) = record.payload else { continue };
                let look: casework::event::Consulted = serde_json::from_slice(&payload)?;
                let by = Who::Person(look.by);
                out.push(HistoryLine {
                    at: record.header.at,
                    when: calendar::in_words(record.header.at),
                    who: name_of(&register, by),
                    team: team(by),
                    what: format!("Looked at {} ({})", thing_words(look.thing), look.why),
                    clauses: record.header.clauses,
                    look: true,
                });
            }
            out.sort_by_key(|l| l.at);
        }
        Ok(out)
    }
}

fn probe_view(p: &Probe, number: usize, police: bool, sees_candidates: bool) -> ProbeView {
    let state = match &p.state {
        ProbeState::Pending => "pending",
        ProbeState::Declined { .. } => "declined",
        ProbeState::Authorised(_) => "authorised",
        ProbeState::Started(_) => "started",
        ProbeState::NoCandidates => "no-candidates",
        ProbeState::Comparing | ProbeState::Adjudicating(_) => "comparing",
        ProbeState::Concluded => "concluded",
    };
    ProbeView {
        id: p.id,
        number,
        // The force learns the outcome from the answer, not from the way there.
        state: if police && !matches!(p.state, ProbeState::Pending) { "in-hand" } else { state },
        assessment: p.assessment.clone().filter(|_| !police),
        declined: match &p.state {
            ProbeState::Declined { clauses, explanation, .. } if !police => Some((clauses.clone(), explanation.clone())),
            _ => None,
        },
        leave_expires: match &p.state {
            ProbeState::Authorised(a) | ProbeState::Started(a) if !police => Some(a.expires),
            _ => None,
        },
        searched: p.facts.as_ref().filter(|_| !police).map(|f| f.searched),
        engine: p.facts.as_ref().filter(|_| !police).map(|f| format!("{}, model {}", f.engine, f.running.model)),
        listed: p.facts.as_ref().filter(|_| !police).map(|_| p.candidates.len()),
        candidates: if sees_candidates {
            p.candidates
                .iter()
                .map(|c| CandidateView {
                    id: c.id,
                    matched: c.matched,
                    confirmed_by: c.confirmed_by.len(),
                    sharing: c.sharing.clone(),
                    has_image: c.reference.is_some(),
                })
                .collect()
        } else {
            vec![]
        },
        ended: p.ended() && !police,
    }
}

pub(crate) fn thing_words(thing: Thing) -> &'static str {
    match thing {
        Thing::Form => "the request",
        Thing::Probe(_) => "an image of the request",
        Thing::CandidateImage(_) => "a held image",
        Thing::Biography(_) => "a held biography",
        Thing::Answer => "the answer",
        Thing::History => "the history",
    }
}

/// Why a look at a probe is recorded when the whole image was seen, as the force sent it.
pub(crate) const WHOLE_IMAGE: &str = "looking at the image";

/// What the force sees in its history, by the header's kind, so that it holds after erasure too: its own
/// steps and what it was told; never how staff came to the answer, nor that a search found anybody.
fn told_to_the_force(header: &Header) -> bool {
    // That there were candidates is how staff came to the answer; their end is on our side of the record.
    let candidates = header.outcome.as_deref() == Some(RetentionClass::Candidates.to_string().as_str());
    !candidates
        && matches!(
            header.kind.as_str(),
            "prepared"
                | "returned"
                | "approved"
                | "submitted"
                | "received"
                | "rejected"
                | "withdrawn"
                | "clarification-asked"
                | "clarification-answered"
                | "released"
                | "collected"
                | "review-asked"
                | "review-decided"
                | "onward-asked"
                | "onward-decided"
                | "closed"
                | "erased"
        )
}

/// An event in words; nothing personal.
pub(crate) fn words(event: &Event) -> String {
    match event {
        Event::Prepared { .. } => "Request sent to an approver".into(),
        Event::Returned { .. } => "Returned to the requester".into(),
        Event::Approved { rank, by_delegation } => format!(
            "Approved{}{}",
            rank.map(|r| format!(" ({})", r.label())).unwrap_or_default(),
            if *by_delegation { ", by recorded delegation" } else { "" }
        ),
        Event::Submitted { .. } => "Submitted".into(),
        Event::Received { due } => format!("Received; answer due {}", calendar::date_in_words(*due)),
        Event::Rejected { missing, .. } => format!("Rejected as incomplete: {} to put right", missing.len()),
        Event::Withdrawn { .. } => "Withdrawn by the requester".into(),
        Event::Taken { .. } => "Taken, with no conflict of interest declared".into(),
        Event::ConflictDeclared { .. } => "Declared a conflict of interest".into(),
        Event::PutBack { .. } => "Put back in the queue".into(),
        Event::Allocated { .. } => "Allocated by the team leader".into(),
        Event::ClarificationAsked { .. } => "Clarification asked".into(),
        Event::ClarificationAnswered { .. } => "Clarification answered".into(),
        Event::VulnerabilityFlagged { .. } => "Flagged: the person may be vulnerable".into(),
        Event::HandlingChosen { handling } => format!("Handling chosen: {handling}"),
        Event::Admitted { .. } => "A named colleague was let in".into(),
        Event::Authorised { .. } => "Search authorised".into(),
        Event::Declined { .. } => "Search declined".into(),
        Event::SearchStarted { .. } => "Leave to search used".into(),
        Event::Searched { facts, listed, .. } => format!("Searched {} references: {listed} on the candidate list", facts.searched),
        Event::Listed { .. } => "The candidate list was sealed".into(),
        Event::AuthorisationExpired { .. } => "Leave to search expired unused".into(),
        Event::ExaminerJoined { .. } => "An examiner began".into(),
        Event::ExaminerReplaced { .. } => "An examiner who had not finished was replaced".into(),
        Event::VisualGiven { .. } => "A blind visual opinion was locked".into(),
        Event::InformedGiven { .. } => "An informed conclusion was given".into(),
        Event::AdjudicationOpened { .. } => "The examiners differ; a third is asked".into(),
        Event::Concluded { reference, .. } => {
            if reference.is_some() {
                "Concluded: match".into()
            } else {
                "Concluded: no match".into()
            }
        }
        Event::EmptyConcluded { .. } => "Concluded by a person: no candidates, no match".into(),
        Event::SharingDecided { sharing, .. } => match sharing {
            casework::event::Sharing::Share { .. } => "Decided to share a match".into(),
            casework::event::Sharing::Withhold { .. } => "Decided to withhold a match".into(),
        },
        Event::AnswerPrepared { .. } => "Answer made up and addressed".into(),
        Event::Disclosed { .. } => "The answer was sealed as it left".into(),
        Event::Released { outcome, .. } => format!("Answer released: {}", outcome.to_string().replace('-', " ")),
        Event::Collected { .. } => "Answer opened".into(),
        Event::ReviewAsked { .. } => "Review asked".into(),
        Event::ReviewDecided { result, .. } => format!("Review decided: {}", result.to_string().replace('-', " ")),
        Event::OnwardAsked { .. } => "Asked to pass the answer on".into(),
        Event::OnwardDecided { allowed, .. } => {
            if *allowed {
                "Passing on allowed".into()
            } else {
                "Passing on refused".into()
            }
        }
        Event::TriedAgain { task } => format!("Asked a worker to try again what had failed: {}", task.kind()),
        Event::HoldPlaced { review, .. } => format!("Placed under a legal hold, to be reviewed on {}", calendar::date_in_words(*review)),
        Event::HoldReviewed { review, .. } => format!("Legal hold reviewed; again on {}", calendar::date_in_words(*review)),
        Event::HoldLifted { .. } => "Legal hold lifted".into(),
        Event::TrialSeeded { .. } => "A known-answer trial was put before the examiners".into(),
        Event::TrialStopped { .. } => "The known-answer trial was stopped".into(),
        Event::Closed => "Closed".into(),
        Event::Erased { class } => format!("Erased: {class}"),
    }
}

//! A request as it stands: the fold of its events.

use crate::{
    assess::Handling,
    disclosure::Sealed,
    event::{Authorisation, Entry, Event, Found, ReviewResult, Sharing, Who},
    form::{Form, FormImage, Mode},
    ids::{AuthorisationId, CandidateId, Digest, LeoId, PersonId, ProbeId, RequestId, TeamId},
    limits::CONFIRMATIONS_MIN,
    record::{GalleryId, OpenedRecord, RetentionClass},
    refusal::Refusal,
    review,
    trial::Trial,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a request is in its life. The diagram in `docs/ARCHITECTURE.md` is generated from the code.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum State {
    /// Not yet sent to an approver: nothing is recorded.
    #[default]
    Draft,
    /// With the approver.
    AwaitingApproval,
    /// Sent back by the approver.
    Returned,
    /// Not on the template or not complete.
    Rejected,
    /// Complete, waiting for an assessor.
    Received,
    /// With an assessor.
    Assessing,
    /// Waiting for the force's clarification.
    Clarifying,
    /// At least one probe may be or is being searched; none is undecided.
    Searching,
    /// At least one candidate list is with people.
    Comparing,
    /// Every probe has its end; what to share is being decided.
    Responding,
    /// The answer is made up and about to leave.
    Answering,
    /// The answer has left.
    Answered,
    /// Taken back by the force.
    Withdrawn,
    /// Nothing more is to be done.
    Closed,
    /// The record's own retention has ended.
    Erased,
}

impl State {
    /// Whether a request in this state keeps its force from asking again for the same investigation (S2).
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Draft | Self::Rejected | Self::Withdrawn | Self::Answered | Self::Closed | Self::Erased)
    }
    /// The state in words, for a status tag.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Draft => "Draft",
            Self::AwaitingApproval => "With approver",
            Self::Returned => "Returned",
            Self::Rejected => "Rejected",
            Self::Received => "Received",
            Self::Assessing => "Being assessed",
            Self::Clarifying => "Clarification asked",
            Self::Searching => "Being searched",
            Self::Comparing => "Being compared",
            Self::Responding => "Answer being prepared",
            Self::Answering => "Answer being sent",
            Self::Answered => "Answered",
            Self::Withdrawn => "Withdrawn",
            Self::Closed => "Closed",
            Self::Erased => "Erased",
        }
    }
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// At least one match is shared.
    Match,
    /// Nothing matched.
    NoMatch,
    /// No search was made.
    Declined,
    /// A match is withheld and nothing else is shared.
    Withheld,
}

pub use crate::asked::{Clarification, Onward, Review};
pub use crate::hold::Hold;
pub use crate::probe::{Candidate, Examiner, Opinion, Probe, ProbeState};

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The number of events folded: the optimistic version.
    pub version: u64,
    /// Where it is.
    pub state: State,
    /// The gallery asked.
    pub gallery: Option<GalleryId>,
    /// The force.
    pub leo: Option<LeoId>,
    /// The form, until the record is erased.
    pub form: Option<Form>,
    /// The linked request to the other gallery (S3).
    pub twin: Option<RequestId>,
    /// The rejected request that this one replaces (S1).
    pub replaces: Option<RequestId>,
    /// Whether an image of it was seen in another request.
    pub image_seen_before: bool,
    /// Who asks.
    pub requester: Option<PersonId>,
    /// Who approved.
    pub approver: Option<PersonId>,
    /// When it was received.
    pub received_at: Option<Timestamp>,
    /// When the answer is due.
    pub due: Option<Date>,
    /// The probes.
    pub probes: Vec<Probe>,
    /// Who holds it.
    pub assignee: Option<PersonId>,
    /// The team that works on it.
    pub team: Option<TeamId>,
    /// Who decided it (assessed or rejected): barred from its review (W3).
    pub deciders: BTreeSet<PersonId>,
    /// The team that decided it (W3).
    pub decided_by_team: Option<TeamId>,
    /// Examiners who were replaced before they had finished: they neither examine nor hold it again (M2).
    pub replaced: BTreeSet<PersonId>,
    /// Who replaced an examiner, and so knew who had finished and who had not: no blind examiner of it (M2).
    pub replaced_by: BTreeSet<PersonId>,
    /// Who has a conflict of interest.
    pub conflicted: BTreeSet<PersonId>,
    /// Everyone who has held it and so may have seen what the force says.
    pub held_by: BTreeSet<PersonId>,
    /// Who said, on taking it up, that they have no conflict of interest.
    pub declared: BTreeSet<PersonId>,
    /// Who was let into it by name (V1).
    pub admitted: BTreeSet<PersonId>,
    /// Whether it is handled sensitively (V0).
    pub sensitive: bool,
    /// The handling chosen (A9).
    pub handling: Option<Handling>,
    /// Reasons why the approver returned it.
    pub returned: Option<String>,
    /// What was missing when it was rejected.
    pub rejected: Vec<Refusal>,
    /// Questions to the force.
    pub clarifications: Vec<Clarification>,
    /// To whom the answer goes.
    pub recipient: Option<PersonId>,
    /// The answer.
    pub outcome: Option<Outcome>,
    /// The answer exactly as it left, until its class is erased.
    pub disclosed: Option<Sealed>,
    /// SHA-256 of it.
    pub disclosed_digest: Option<Digest>,
    /// Whether an answer ever left.
    pub answered: bool,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// Position in the stream of the event by which it was released.
    pub released_in: Option<u64>,
    /// When the force first opened the answer.
    pub collected_at: Option<Timestamp>,
    /// Reviews asked for.
    pub reviews: Vec<Review>,
    /// Onward sharing asked for.
    pub onward: Vec<Onward>,
    /// Whether the force took it back: nothing reopens it then.
    pub withdrawn: bool,
    /// When anything last happened to it.
    pub changed_at: Option<Timestamp>,
    /// When it was closed: by the clock, and never before what happened last.
    pub closed_at: Option<Timestamp>,
    /// The legal hold that keeps it from being erased.
    pub hold: Option<Hold>,
    /// What makes it a known-answer trial; none in casework.
    pub trial: Option<Trial>,
    /// The classes that are gone.
    pub erased: BTreeSet<RetentionClass>,
}

/// Why events do not make a request.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// A payload is not an event.
    #[error("event {seq} ({kind}) cannot be read")]
    Unreadable {
        /// Position in the stream.
        seq: u64,
        /// Its header's kind.
        kind: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A header's state is not what its events lead to.
    #[error("event {seq} ({kind}): the header says {header:?}, the events lead to {folded}")]
    StateDiffers {
        /// Position in the stream.
        seq: u64,
        /// Its header's kind.
        kind: String,
        /// The header's state.
        header: Option<String>,
        /// The folded state.
        folded: State,
    },
}

impl Request {
    /// A request of which nothing is recorded yet.
    #[must_use]
    pub fn new(id: RequestId) -> Self {
        Self {
            id,
            version: 0,
            state: State::Draft,
            gallery: None,
            leo: None,
            form: None,
            twin: None,
            replaces: None,
            image_seen_before: false,
            requester: None,
            approver: None,
            received_at: None,
            due: None,
            probes: vec![],
            assignee: None,
            team: None,
            deciders: BTreeSet::new(),
            decided_by_team: None,
            replaced: BTreeSet::new(),
            replaced_by: BTreeSet::new(),
            conflicted: BTreeSet::new(),
            held_by: BTreeSet::new(),
            declared: BTreeSet::new(),
            admitted: BTreeSet::new(),
            sensitive: false,
            handling: None,
            returned: None,
            rejected: vec![],
            clarifications: vec![],
            recipient: None,
            outcome: None,
            disclosed: None,
            disclosed_digest: None,
            answered: false,
            released_at: None,
            released_in: None,
            collected_at: None,
            reviews: vec![],
            onward: vec![],
            withdrawn: false,
            changed_at: None,
            closed_at: None,
            hold: None,
            trial: None,
            erased: BTreeSet::new(),
        }
    }

    /// Folds a stream. An erased payload leaves its header's state and nothing else.
    ///
    /// # Errors
    /// When a payload cannot be read, or a header's state is not what the events lead to.
    pub fn fold(id: RequestId, records: impl IntoIterator<Item = OpenedRecord>) -> Result<Self, FoldError> {
        let mut request = Self::new(id);
        for r in records {
            match &r.payload {
                Some(bytes) => {
                    let entry: Entry = serde_json::from_slice(bytes).map_err(|source| FoldError::Unreadable {
                        seq: r.seq,
                        kind: r.header.kind.clone(),
                        source,
                    })?;
                    request.apply(&entry, r.header.at);
                    if r.header.state.as_deref() != Some(request.state.into()) && request.erased.is_empty() {
                        return Err(FoldError::StateDiffers {
                            seq: r.seq,
                            kind: r.header.kind,
                            header: r.header.state,
                            folded: request.state,
                        });
                    }
                }
                None => {
                    request.version += 1;
                    request.changed_at = Some(r.header.at);
                    request.gallery = request.gallery.or(r.header.gallery);
                    request.leo = request.leo.or(r.header.leo);
                    request.erased.insert(r.header.class);
                    if r.header.trial {
                        request.trial.get_or_insert_default();
                    }
                }
            }
            if let Some(state) = r.header.state.as_deref().and_then(|s| s.parse().ok()) {
                request.state = state;
            }
        }
        Ok(request)
    }

    /// A probe of this request.
    #[must_use]
    pub fn probe(&self, id: ProbeId) -> Option<&Probe> {
        self.probes.iter().find(|p| p.id == id)
    }

    /// A probe's image on the form.
    #[must_use]
    pub fn image(&self, id: ProbeId) -> Option<&FormImage> {
        self.form.as_ref()?.images.iter().find(|i| i.probe == id)
    }

    /// The mode of the request (O3, O4).
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.form.as_ref()?.mode
    }

    /// Whether a person is an examiner of any probe.
    #[must_use]
    pub fn examines(&self, person: PersonId) -> bool {
        self.probes.iter().any(|p| p.examiners.iter().any(|e| e.person == person))
    }

    /// Whom it was given to and who has not yet said whether they have a conflict of interest: to them
    /// it is shut until they take it up, put it back, or declare one (R1).
    #[must_use]
    pub fn undeclared(&self) -> Option<PersonId> {
        self.assignee.filter(|p| !self.declared.contains(p))
    }

    /// Whether the request is urgent (S6).
    #[must_use]
    pub fn urgent(&self) -> bool {
        self.form.as_ref().is_some_and(|f| f.urgent == Some(true))
    }

    /// Whether the force waits for us to answer a review or a wish to pass an answer on.
    #[must_use]
    pub fn waits_for_us(&self) -> bool {
        self.reviews.iter().any(|r| r.result.is_none()) || self.onward.iter().any(|o| o.decision.is_none())
    }

    /// Leave to search a probe: the only way to get the value that a search needs (M1).
    #[must_use]
    pub fn leave_to_search(&self, probe: ProbeId, leave: AuthorisationId) -> Option<LeaveToSearch> {
        let at_work = matches!(self.state, State::Assessing | State::Clarifying | State::Searching | State::Comparing);
        match &self.probe(probe)?.state {
            ProbeState::Started(a) if a.id == leave && at_work => Some(LeaveToSearch { request: self.id, authorisation: a.clone() }),
            _ => None,
        }
    }

    /// The answer that the probes' ends add up to.
    #[must_use]
    pub fn answer(&self) -> Outcome {
        let mut declined = !self.probes.is_empty();
        let mut withheld = false;
        for p in &self.probes {
            if !matches!(p.state, ProbeState::Declined { .. }) {
                declined = false;
            }
            for c in p.matches() {
                match c.sharing {
                    Some(Sharing::Share { .. }) => return Outcome::Match,
                    _ => withheld = true,
                }
            }
        }
        if declined {
            Outcome::Declined
        } else if withheld {
            Outcome::Withheld
        } else {
            Outcome::NoMatch
        }
    }

    fn probe_mut(&mut self, id: ProbeId) -> Option<&mut Probe> {
        self.probes.iter_mut().find(|p| p.id == id)
    }

    fn opinion_mut(&mut self, probe: ProbeId, candidate: CandidateId, examiner: PersonId) -> Option<&mut Opinion> {
        let c = self.probe_mut(probe)?.candidates.iter_mut().find(|c| c.id == candidate)?;
        Some(c.opinions.entry(examiner).or_default())
    }

    /// The state that the probes add up to, between assessment and answer.
    fn gathered(&self) -> State {
        let any = |f: fn(&ProbeState) -> bool| self.probes.iter().any(|p| f(&p.state));
        let asked = self.clarifications.last().is_some_and(|c| c.answer.is_none());
        if any(|s| matches!(s, ProbeState::Pending)) {
            // A question to the force stays open whatever happens to the other images meanwhile.
            if asked { State::Clarifying } else { State::Assessing }
        } else if any(|s| matches!(s, ProbeState::Authorised(_) | ProbeState::Started(_))) {
            State::Searching
        } else if any(|s| matches!(s, ProbeState::NoCandidates | ProbeState::Comparing | ProbeState::Adjudicating(_))) {
            State::Comparing
        } else {
            State::Responding
        }
    }

    /// Applies one event. Events come from `decide`, so they fit; one that does not is ignored rather
    /// than panicked on, and `audit replay` shows the difference.
    pub fn apply(&mut self, entry: &Entry, at: Timestamp) {
        self.version += 1;
        // The clock may have been set back since: what closes now closes after what happened before.
        let not_before = self.changed_at.map_or(at, |c| c.max(at));
        // That a worker is to try again, or that it is kept, changes nothing: what was due to be done stays due.
        let beside = matches!(
            entry.event,
            Event::TriedAgain { .. } | Event::HoldPlaced { .. } | Event::HoldReviewed { .. } | Event::HoldLifted { .. }
        );
        if !beside {
            self.changed_at = Some(at);
        }
        match entry.event.clone() {
            Event::Prepared { form, gallery, leo, twin, replaces, image_seen_before } => {
                self.state = State::AwaitingApproval;
                self.gallery = Some(gallery);
                self.leo = Some(leo);
                self.twin = twin;
                self.replaces = replaces;
                self.image_seen_before = image_seen_before;
                // What was once flagged stays flagged, whatever a later version of the form says (V0).
                self.sensitive |= form.vulnerable == Some(true);
                self.probes = form.images.iter().map(|i| Probe::new(i.probe)).collect();
                self.returned = None;
                if let Who::Person(p) = entry.by {
                    self.requester = Some(p);
                }
                self.form = Some(*form);
            }
            Event::Returned { reasons } => {
                self.state = State::Returned;
                self.returned = Some(reasons);
            }
            Event::Approved { .. } => {
                if let Who::Person(p) = entry.by {
                    self.approver = Some(p);
                }
            }
            Event::Submitted { .. } => {}
            Event::Received { due } => {
                self.state = State::Received;
                self.received_at.get_or_insert(at);
                self.due.get_or_insert(due);
            }
            Event::Rejected { missing, by, team } => {
                self.state = State::Rejected;
                self.rejected = missing;
                self.deciders.extend(by);
                self.decided_by_team = team.or(self.decided_by_team);
            }
            Event::Withdrawn { .. } => {
                self.state = State::Withdrawn;
                self.withdrawn = true;
            }
            Event::Taken { person, team } | Event::Allocated { to: person, team, .. } => {
                if matches!(entry.event, Event::Taken { .. }) {
                    self.declared.insert(person);
                }
                self.assignee = Some(person);
                self.held_by.insert(person);
                self.team = team.or(self.team);
                if self.state == State::Received {
                    self.state = State::Assessing;
                }
            }
            Event::ConflictDeclared { person, .. } => {
                self.conflicted.insert(person);
                self.unassign(person);
                self.forget_examiner(person);
            }
            Event::PutBack { person } => self.unassign(person),
            Event::ClarificationAsked { question } => {
                self.state = State::Clarifying;
                self.clarifications.push(Clarification { question, answer: None });
            }
            Event::ClarificationAnswered { answer } => {
                if let Some(c) = self.clarifications.last_mut() {
                    c.answer = Some(answer);
                }
                self.state = self.gathered();
            }
            Event::VulnerabilityFlagged { .. } => {
                self.sensitive = true;
                // An answer that was addressed before this was known is made up again: what is shared
                // is decided afresh and its recipient named and confirmed (V0, V2).
                if self.state == State::Answering {
                    self.state = State::Responding;
                    self.outcome = None;
                    self.recipient = None;
                }
            }
            Event::HandlingChosen { handling } => {
                self.sensitive |= handling == Handling::Sensitive;
                self.handling = Some(handling);
            }
            Event::Admitted { person, .. } => drop(self.admitted.insert(person)),
            Event::Authorised { assessment, authorisation } => {
                self.deciders.insert(authorisation.by);
                // The team that declined another image stays the one whose leader reviews it (W3).
                self.decided_by_team = self.decided_by_team.or(self.team);
                if let Some(p) = self.probe_mut(authorisation.probe) {
                    p.assessment = Some(*assessment);
                    p.state = ProbeState::Authorised(authorisation);
                }
                self.state = self.gathered();
            }
            Event::Declined { probe, assessment, clauses, explanation, by, team } => {
                self.deciders.insert(by);
                self.decided_by_team = team;
                if let Some(p) = self.probe_mut(probe) {
                    p.assessment = Some(*assessment);
                    p.state = ProbeState::Declined { clauses, explanation, by };
                }
                self.state = self.gathered();
            }
            Event::SearchStarted { probe, .. } => {
                if let Some(p) = self.probe_mut(probe)
                    && let ProbeState::Authorised(a) = p.state.clone()
                {
                    p.state = ProbeState::Started(a);
                }
            }
            Event::Searched { probe, facts, listed, .. } => {
                if let Some(p) = self.probe_mut(probe) {
                    p.state = if listed == 0 { ProbeState::NoCandidates } else { ProbeState::Comparing };
                    p.facts = Some(facts);
                }
                self.state = self.gathered();
            }
            Event::Listed { probe, found } => {
                if let Some(p) = self.probe_mut(probe) {
                    p.candidates = found.into_iter().map(|f: Found| Candidate::new(f.candidate, Some(f.reference))).collect();
                    p.candidates.sort_by_key(|c| c.id);
                }
            }
            Event::AuthorisationExpired { probe } => {
                if let Some(p) = self.probe_mut(probe) {
                    p.state = ProbeState::Pending;
                }
                self.state = self.gathered();
            }
            Event::ExaminerJoined { probe, examiner, order } => {
                if let Some(p) = self.probe_mut(probe) {
                    // Once the unmatched candidates are erased, their opaque ids are known from here only.
                    for id in &order {
                        if p.candidate(*id).is_none() {
                            p.candidates.push(Candidate::new(*id, None));
                        }
                    }
                    p.candidates.sort_by_key(|c| c.id);
                    p.examiners.push(Examiner { person: examiner, order });
                }
            }
            Event::ExaminerReplaced { examiner, .. } => {
                self.replaced.insert(examiner);
                if let Who::Person(p) = entry.by {
                    self.replaced_by.insert(p);
                }
                for p in self.probes.iter_mut().filter(|p| review::unfinished(p, examiner)) {
                    p.free_place(examiner);
                }
            }
            Event::VisualGiven { probe, candidate, examiner, opinion } => {
                if let Some(o) = self.opinion_mut(probe, candidate, examiner) {
                    o.visual = Some(opinion);
                }
            }
            Event::InformedGiven { probe, candidate, examiner, opinion } => {
                if let Some(o) = self.opinion_mut(probe, candidate, examiner) {
                    o.informed = Some(opinion);
                }
            }
            Event::AdjudicationOpened { probe, candidates } => {
                if let Some(p) = self.probe_mut(probe) {
                    p.state = ProbeState::Adjudicating(candidates);
                }
            }
            Event::Concluded { probe, candidate, reference, confirmed_by } => {
                if let Some(p) = self.probe_mut(probe) {
                    if let Some(c) = p.candidates.iter_mut().find(|c| c.id == candidate) {
                        c.matched = Some(reference.is_some());
                        c.reference = reference;
                        c.confirmed_by = confirmed_by;
                    }
                    if p.candidates.iter().all(|c| c.matched.is_some()) {
                        p.state = ProbeState::Concluded;
                    }
                }
                self.state = self.gathered();
            }
            Event::EmptyConcluded { probe, .. } => {
                if let Some(p) = self.probe_mut(probe) {
                    p.state = ProbeState::Concluded;
                }
                self.state = self.gathered();
            }
            Event::SharingDecided { probe, candidate, sharing } => {
                if let Some(c) = self.probe_mut(probe).and_then(|p| p.candidates.iter_mut().find(|c| c.id == candidate)) {
                    c.sharing = Some(sharing);
                }
            }
            Event::AnswerPrepared { recipient, outcome } => {
                self.state = State::Answering;
                self.recipient = Some(recipient);
                self.outcome = Some(outcome);
            }
            Event::Released { digest, .. } => {
                self.answered = true;
                self.disclosed_digest = Some(digest);
                self.state = State::Answered;
                self.released_at = Some(at);
                self.released_in = Some(self.version);
                self.collected_at = None;
            }
            Event::Disclosed { answer } => self.disclosed = Some(*answer),
            Event::Collected { .. } => self.collected_at = Some(at),
            Event::ReviewAsked { reasons } => self.reviews.push(Review { reasons, result: None }),
            Event::ReviewDecided { result, reasons } => {
                if let Some(r) = self.reviews.last_mut() {
                    r.result = Some((result, reasons));
                }
                if result == ReviewResult::Changed {
                    self.assignee = None;
                    self.state = State::Received;
                    self.outcome = None;
                    self.recipient = None;
                    self.released_at = None;
                    self.released_in = None;
                    self.disclosed = None;
                    self.disclosed_digest = None;
                    self.collected_at = None;
                    self.closed_at = None;
                    // An image may be searched now, and whom that lists goes in its own time.
                    self.erased.remove(&RetentionClass::Candidates);
                    for p in &mut self.probes {
                        if matches!(p.state, ProbeState::Declined { .. }) {
                            p.state = ProbeState::Pending;
                        }
                    }
                }
            }
            Event::OnwardAsked { to, reasons } => self.onward.push(Onward { to, reasons, decision: None }),
            Event::OnwardDecided { allowed, reasons } => {
                if let Some(o) = self.onward.last_mut() {
                    o.decision = Some((allowed, reasons));
                }
            }
            Event::TrialSeeded { material, gallery, team, came_in, due } => {
                (self.gallery, self.team, self.due) = (Some(gallery), team, Some(due));
                self.seeded(*material, came_in, entry.by, at);
            }
            Event::TrialStopped { reason } => self.trial_stopped(reason),
            // A worker is to do again what was decided before: nothing about the request changes by it.
            Event::TriedAgain { .. } => {}
            Event::HoldPlaced { owner, reason, review } => self.hold = Some(Hold { owner, reason, review, since: at }),
            Event::HoldReviewed { owner, reason, review } => {
                if let Some(hold) = &mut self.hold {
                    *hold = Hold { owner, reason, review, since: hold.since };
                }
            }
            Event::HoldLifted { .. } => self.hold = None,
            Event::Closed => {
                self.state = State::Closed;
                self.closed_at = Some(not_before);
            }
            Event::Erased { class } => {
                self.erased.insert(class);
                if class == RetentionClass::Candidates {
                    // How it was searched is the record; whom it listed is not.
                    for p in &mut self.probes {
                        for c in p.candidates.iter_mut().filter(|c| c.matched != Some(true)) {
                            c.reference = None;
                        }
                    }
                }
                if class == RetentionClass::Disclosure {
                    self.disclosed = None;
                }
                if class == RetentionClass::Record {
                    self.state = State::Erased;
                }
            }
        }
    }

    /// What a person with a conflict of interest said does not count: their place is free again, and a
    /// match that rests on them is compared again by somebody else.
    fn forget_examiner(&mut self, person: PersonId) {
        let mut reopened = false;
        for p in &mut self.probes {
            if !p.examiners.iter().any(|e| e.person == person) {
                continue;
            }
            let mut again = vec![];
            for c in &mut p.candidates {
                if c.matched == Some(true) && c.confirmed_by.contains(&person) {
                    c.matched = None;
                    c.confirmed_by.clear();
                    c.sharing = None;
                    again.push(c.id);
                }
            }
            if p.state == ProbeState::Concluded && again.is_empty() {
                continue;
            }
            p.free_place(person);
            match &mut p.state {
                ProbeState::Adjudicating(asked) => asked.append(&mut again),
                state @ ProbeState::Concluded => {
                    reopened = true;
                    *state = if p.examiners.len() < CONFIRMATIONS_MIN { ProbeState::Comparing } else { ProbeState::Adjudicating(again) };
                }
                _ => {}
            }
        }
        if reopened && self.state == State::Responding {
            self.state = self.gathered();
        }
    }

    fn unassign(&mut self, person: PersonId) {
        if self.assignee == Some(person) {
            self.assignee = None;
            if self.state == State::Assessing && self.probes.iter().all(|p| p.state == ProbeState::Pending) {
                self.state = State::Received;
            }
        }
    }
}

/// The value that a search needs. Only [`Request::leave_to_search`] makes one, from an authorised,
/// started, unfinished search; it carries what the search is bound to (M1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveToSearch {
    request: RequestId,
    authorisation: Authorisation,
}

impl LeaveToSearch {
    /// The request it belongs to.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }
    /// What it is bound to.
    #[must_use]
    pub fn authorisation(&self) -> &Authorisation {
        &self.authorisation
    }
}

//! The spine: open, decide, commit. No other function changes a request.

use crate::{Bureau, BureauError, Result, work};
use casework::{
    access, calendar,
    clause::Clause,
    command::Command,
    decide::{Context, decide},
    event::{self, Entry, Event, HeaderFacts, ReviewResult},
    ids::{BlobId, DraftId, PersonId, RequestId},
    people::{Actor, Register},
    record::{NewRecord, RetentionClass, StreamId},
    refusal::refuse,
    request::{Request, State},
    review,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Alone, Commit, CommitError, IdempotencyKey, JobId, LookupEntry, QueueRow};
use strum::IntoEnumIterator as _;

/// How often a decision that nobody else's step can spoil is taken anew when somebody was quicker.
const RETRIES_MAX: usize = 8;

/// A form's one-time token: the same token is carried out once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once(pub String);

impl Once {
    /// The token of this person for this command on this request: sent by anybody else, for another
    /// request (V1), or with a changed decision, it is another token.
    pub(crate) fn of(&self, who: Option<PersonId>, request: RequestId, command: Option<&Command>) -> IdempotencyKey {
        let who = who.map(|p| p.to_string()).unwrap_or_default();
        let what = command.map(|c| crate::sha256(&comparable(c)).to_string()).unwrap_or_default();
        IdempotencyKey(format!("{who}|{request}|{what}|{}", self.0))
    }
}

/// A command as bytes, without what the caller makes anew for each try. One that cannot be written
/// (it holds a number that is not finite) is refused by `decide`.
fn comparable(command: &Command) -> Vec<u8> {
    let mut command = command.clone();
    match &mut command {
        Command::Assess { authorisation, .. } => *authorisation = casework::ids::AuthorisationId::fixed(0),
        Command::Examine { order, .. } => order.clear(),
        _ => {}
    }
    serde_json::to_vec(&command).unwrap_or_default()
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Done {
    /// The request as it stands now.
    pub request: Request,
    /// What happened; empty when a repeat of something already done.
    pub events: Vec<Event>,
}

/// What a commit carries besides the events.
#[derive(Clone, Debug, Default)]
pub(crate) struct With {
    pub(crate) blobs: Vec<BlobId>,
    pub(crate) drop_draft: Option<(DraftId, u64)>,
    pub(crate) once: Option<Once>,
    pub(crate) retry: Option<JobId>,
    /// It happens no earlier than this, whatever the clock says.
    pub(crate) not_before: Option<Timestamp>,
}

impl Bureau {
    /// Carries out a person's command on a request.
    ///
    /// `seen` is the version of the page it came from, where the page showed one: if the request has
    /// moved on since, nothing is done. Opinions carry their examiner's own version instead, so that
    /// nobody learns of another's step. `once` makes a double submit harmless.
    ///
    /// # Errors
    /// [`BureauError::Refused`] with every reason, [`BureauError::Overtaken`], or a failure of the store.
    pub async fn act(&self, who: PersonId, id: RequestId, command: Command, seen: Option<u64>, once: Option<Once>) -> Result<Done> {
        let (register, actor) = self.actor(who).await?;
        self.carry_out(Some(&actor), &register, id, &command, seen, With { once, ..With::default() }).await
    }

    /// What stands in the way of a command now, without doing it: for a page that says so before its
    /// button is pressed. Empty when it would be done.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn obstacles(&self, who: PersonId, id: RequestId, command: &Command) -> Result<Vec<casework::refusal::Refusal>> {
        let (register, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        let running = request.gallery.and_then(|g| self.running(g).ok());
        let running = running.as_ref().map(|(r, n)| (r, *n));
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running };
        Ok(decide(&request, command, &ctx).err().unwrap_or_default())
    }

    /// Carries out what people decided, as a worker.
    pub(crate) async fn act_as_worker(&self, id: RequestId, command: Command) -> Result<Done> {
        let register = self.register().await?;
        self.carry_out(None, &register, id, &command, None, With::default()).await
    }

    pub(crate) async fn carry_out(
        &self,
        actor: Option<&Actor>,
        register: &Register,
        id: RequestId,
        command: &Command,
        seen: Option<u64>,
        with: With,
    ) -> Result<Done> {
        if let Some(done) = self.done_before(actor, id, command, &with).await? {
            return Ok(done);
        }
        match self.carry_out_now(actor, register, id, command, seen, &with).await {
            Ok(done) => Ok(done),
            // Done by the same form's other copy since the question above: then this is no failure.
            Err(e) => self.done_before(actor, id, command, &with).await?.ok_or(e),
        }
    }

    /// What came of this very command, if its token was used before.
    async fn done_before(&self, actor: Option<&Actor>, id: RequestId, command: &Command, with: &With) -> Result<Option<Done>> {
        let Some(token) = &with.once else { return Ok(None) };
        if self.store.done_before(&token.of(actor.map(|a| a.person), id, Some(command))).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Done { request: self.open(id).await?, events: vec![] }))
    }

    async fn carry_out_now(
        &self,
        actor: Option<&Actor>,
        register: &Register,
        id: RequestId,
        command: &Command,
        seen: Option<u64>,
        with: &With,
    ) -> Result<Done> {
        let mut with = with.clone();
        if *command == Command::Close {
            // Everything is kept for a time after closing: with the clock set back, it would go too early.
            with.not_before = self.store.last_recorded().await?;
        }
        for _ in 0..RETRIES_MAX {
            let request = self.open(id).await?;
            let (commit, next, events) = self.decided(actor, register, &request, command, seen, &with)?;
            match self.store.commit(commit).await {
                Ok(_) => return Ok(Done { request: next, events }),
                Err(CommitError::Duplicate { .. }) => {
                    return Ok(Done { request: self.open(id).await?, events: vec![] });
                }
                Err(CommitError::NotAlone) => {
                    let words = "The force has another request open for this investigation. It is dealt with first.";
                    return Err(vec![refuse(&[Clause::S2], words)].into());
                }
                // Who may do it is to be asked of the register as it is by now.
                Err(CommitError::Conflict { stream: StreamId::Register, .. }) => return Err(BureauError::Overtaken),
                Err(CommitError::Conflict { .. }) if seen.is_some() => return Err(BureauError::Overtaken),
                Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(e)) => return Err(e.into()),
            }
        }
        Err(BureauError::Overtaken)
    }

    /// Decides and makes up the commit: pure but for the clock.
    pub(crate) fn decided(
        &self,
        actor: Option<&Actor>,
        register: &Register,
        request: &Request,
        command: &Command,
        seen: Option<u64>,
        with: &With,
    ) -> Result<(Commit, Request, Vec<Event>)> {
        let now = with.not_before.map_or(self.now(), |t| t.max(self.now()));
        let policy = self.policy();
        let running = request.gallery.and_then(|g| self.running(g).ok());
        let ctx = Context { actor, register, policy, now, running: running.as_ref().map(|(r, n)| (r, *n)) };
        // What is not there and what may not be known answer alike, whatever version was claimed (V1).
        let may_know = request.version > 0 && actor.is_none_or(|a| access::may_know(request, a));
        if may_know && seen.is_some_and(|v| v != request.version) {
            return Err(BureauError::Overtaken);
        }
        let events = decide(request, command, &ctx)?;
        let mut next = request.clone();
        let mut records: Vec<NewRecord> = vec![];
        let mut jobs = vec![];
        for event in &events {
            next.apply(&Entry { by: ctx.who(), event: event.clone() }, now);
            let facts = HeaderFacts::of(&next, &policy.version);
            records.push(event::record(ctx.who(), event.clone(), now, facts)?);
            jobs.extend(work::jobs_for(event, now)?);
        }
        jobs.extend(work::jobs_after(request, &next, policy, now)?);
        let mut commit = Commit::new(StreamId::Request(request.id), request.version, records);
        commit.row = row(&next, now);
        commit.jobs = jobs;
        commit.idempotency = with
            .once
            .as_ref()
            .map(|o| o.of(actor.map(|a| a.person), request.id, Some(command).filter(|c| c.action() != access::Action::Prepare)));
        commit.retry = with.retry;
        commit.drop_draft = with.drop_draft;
        commit.blobs = with.blobs.clone();
        commit.alone = events.iter().find_map(|e| alone(e, &next));
        // A search rests on a certificate: whoever revokes it meanwhile is first, or the search is (P1).
        let searches = |e: &Event| matches!(e, Event::SearchStarted { .. } | Event::Searched { .. });
        commit.rests_on = events.iter().any(searches).then_some((StreamId::Register, register.version));
        commit.index = events.iter().flat_map(|e| index(e, &next)).collect();
        Ok((commit, next, events))
    }
}

/// The queue's row of a request: ids, states, dates and flags only.
fn row(request: &Request, now: Timestamp) -> Option<QueueRow> {
    let requester = request.requester?;
    let mut people: Vec<(PersonId, String)> = vec![(requester, "requester".into())];
    people.extend(request.approver.map(|p| (p, "approver".into())));
    people.extend(request.held_by.iter().map(|p| (*p, store::queue::HELD.into())));
    people.extend(request.admitted.iter().map(|p| (*p, "admitted".into())));
    for probe in &request.probes {
        people.extend(probe.examiners.iter().map(|e| (e.person, "examiner".into())));
    }
    people.sort();
    people.dedup();
    let flags = Flags {
        probes: request.probes.len(),
        wants_examiner: request.probes.iter().any(review::wants_examiner),
        wants_empty_conclusion: request.probes.iter().any(|p| p.state == casework::request::ProbeState::NoCandidates),
        review_asked: request.reviews.iter().any(|r| r.result.is_none()),
        onward_asked: request.onward.iter().any(|o| o.decision.is_none()),
        outcome: request.outcome.map(|o| o.to_string()),
        collected: request.collected_at.is_some(),
        held: request.hold.is_some(),
    };
    Some(QueueRow {
        request: request.id,
        version: request.version,
        gallery: request.gallery?,
        // No force has a part in a trial, so no force's list shows one.
        leo: request.leo.or(request.trial.as_ref().map(|_| casework::ids::LeoId::fixed(0)))?,
        team: request.team,
        state: request.state.to_string(),
        urgent: request.urgent(),
        sensitive: request.sensitive,
        received_at: request.received_at.unwrap_or(now),
        due_at: request.due.map(calendar::start_of),
        changed_at: now,
        requester,
        approver: request.approver,
        assignee: request.assignee,
        trial: request.trial.is_some(),
        flags: serde_json::to_string(&flags).unwrap_or_default(),
        people,
    })
}

/// Whether a row is what a request's events lead to, as far as events can tell: when it changed comes from
/// elsewhere.
pub(crate) fn same_row(request: &Request, stored: &QueueRow) -> bool {
    if request.erased.contains(&RetentionClass::Record) {
        return stored.state == request.state.to_string();
    }
    let Some(mut folded) = row(request, stored.changed_at) else { return false };
    folded.version = stored.version;
    if request.received_at.is_none() {
        folded.received_at = stored.received_at;
    }
    if request.erased.contains(&RetentionClass::Candidates) {
        // Whether anybody was still wanted to compare them went with the candidates.
        folded.flags.clone_from(&stored.flags);
    }
    folded == *stored
}

/// Small facts of a row that lists show; none is personal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    /// Images on the form.
    pub probes: usize,
    /// Whether a further examiner is wanted.
    pub wants_examiner: bool,
    /// Whether an empty candidate list waits for a person (P2).
    pub wants_empty_conclusion: bool,
    /// Whether a review waits for the team leader.
    pub review_asked: bool,
    /// Whether onward sharing waits for an answer.
    pub onward_asked: bool,
    /// The answer in one word.
    pub outcome: Option<String>,
    /// Whether the force has opened the answer.
    pub collected: bool,
    /// Whether a legal hold keeps it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// Look-ups to the request, by keyed HMAC in the store.
fn index(event: &Event, request: &Request) -> Vec<LookupEntry> {
    let Event::Prepared { form, gallery, leo, .. } = event else { return vec![] };
    let entry = |kind: &str, value: Vec<u8>, class| LookupEntry { kind: kind.into(), value, class };
    let mut out = vec![
        entry("reference", request.id.reference().into_bytes(), RetentionClass::Record),
        entry("investigation", investigation(*leo, *gallery, &form.investigation), RetentionClass::Record),
        entry("investigation-any", normal(&form.investigation).into_bytes(), RetentionClass::Record),
    ];
    out.extend(form.images.iter().map(|i| entry("image", i.digest.0.to_vec(), RetentionClass::Images)));
    out
}

/// S2: when a form is sent, or a changed decision opens a request again, no other request of that force and
/// investigation is open in that gallery.
fn alone(event: &Event, next: &Request) -> Option<Alone> {
    let opens = match event {
        Event::Prepared { .. } => true,
        Event::ReviewDecided { result, .. } => *result == ReviewResult::Changed && next.state.is_open(),
        _ => false,
    };
    let (form, gallery, leo) = (next.form.as_ref().filter(|_| opens)?, next.gallery?, next.leo?);
    let states = State::iter().filter(|s| s.is_open()).map(|s| s.to_string()).collect();
    Some(Alone { kind: "investigation".into(), value: investigation(leo, gallery, &form.investigation), states })
}

/// The look-up value of an investigation of a force in a gallery (S2).
pub(crate) fn investigation(leo: casework::ids::LeoId, gallery: casework::record::GalleryId, reference: &str) -> Vec<u8> {
    format!("{leo}|{gallery}|{}", normal(reference)).into_bytes()
}

/// A reference as look-ups compare it: letters and digits, lower case.
pub(crate) fn normal(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

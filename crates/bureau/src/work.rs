//! Jobs: what people decided, carried out by workers. A job is enqueued in the deciding transaction,
//! survives a killed server, and is harmless when it runs twice.

use crate::{
    Bureau, BureauError, Result,
    act::{Done, With},
    witnesses::{LOOKED_AGAIN_S, WAITING},
};
pub use casework::task::Task;
use casework::{
    access,
    command::Command,
    decide::Context,
    event::Event,
    ids::{PersonId, RequestId},
    people::Role,
    policy::Policy,
    record::StreamId,
    request::Request,
    retain,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::time::Duration;
use store::{Job, JobId, NewJob};

/// How long a worker may hold a job before another takes it over.
pub const LEASE: Duration = Duration::from_secs(120);
/// How often a failed job is tried before it waits for a person.
pub const ATTEMPTS_MAX: u32 = 6;

/// Failed jobs shown at most, oldest first.
pub const FAILED_JOBS_MAX: u32 = 100;
/// How long what belongs to nothing (an upload that was overtaken, half of a pair that was not sent) is
/// left alone, since it may be on its way to its commit.
pub const ORPHANS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a form's one-time token is remembered; after that a repeat meets the request's version.
pub const TOKENS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

fn job(task: Task, run_at: Timestamp) -> Result<NewJob> {
    Ok(NewJob { kind: task.kind().into(), payload: serde_json::to_string(&task)?, run_at })
}

/// The jobs that an event asks for.
pub(crate) fn jobs_for(event: &Event, now: Timestamp) -> Result<Vec<NewJob>> {
    let (task, at) = match event {
        Event::SearchStarted { probe, authorisation } => (Task::Search { probe: *probe, authorisation: *authorisation }, now),
        Event::Authorised { authorisation, .. } => (Task::Expire { probe: authorisation.probe }, authorisation.expires),
        Event::AnswerPrepared { .. } => (Task::Release, now),
        // Recorded as gone, the key and the bytes still have to go: owed until it is done, whoever is killed meanwhile.
        Event::Erased { class } => (Task::Erase { class: *class }, now),
        _ => return Ok(vec![]),
    };
    Ok(vec![job(task, at)?])
}

/// The jobs that the new state asks for: what has just become due to be erased, and what will.
pub(crate) fn jobs_after(before: &Request, after: &Request, policy: &Policy, now: Timestamp) -> Result<Vec<NewJob>> {
    let today = casework::calendar::london_date(now);
    let was: Vec<_> = retain::due(before, policy, today).into_iter().map(|d| d.class).collect();
    let mut out = vec![];
    for due in retain::due(after, policy, today) {
        if !was.contains(&due.class) {
            out.push(job(Task::Erase { class: due.class }, now)?);
        }
    }
    // A request that nothing changed (a task tried again) has its job already.
    let due = retain::close_due(after, policy);
    if (before.changed_at != after.changed_at || due != retain::close_due(before, policy))
        && let Some(due) = due
    {
        out.push(job(Task::Close, casework::calendar::start_of(due))?);
    }
    if before.closed_at.is_none() && after.closed_at.is_some() {
        for (class, date) in retain::schedule(after, policy) {
            out.push(job(Task::Erase { class }, casework::calendar::start_of(date))?);
        }
    }
    Ok(out)
}

/// A job that failed for good, as the leader of the gallery's team sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedJob {
    /// Its number.
    pub job: u64,
    /// What was to be done: a [`Task`]'s kind.
    pub kind: String,
    /// Why it failed, in one word: `refused`, `overtaken`, `erased`, `engine`, `face`, `gallery` or `failed`.
    pub reason: String,
    /// The request.
    pub request: RequestId,
    /// Its short reference.
    pub reference: String,
    /// Whether the request still asks for it, so that it can be tried again.
    pub owed: bool,
}

/// What one round of work did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// Jobs done.
    pub done: u32,
    /// Jobs that failed and will be tried again or wait for a person.
    pub failed: u32,
}

impl Bureau {
    /// Brings the galleries' codes into memory, so that the first search is as quick as the others.
    /// Searches do not need it: where memory is short they read from disk.
    ///
    /// # Errors
    /// When a gallery is damaged, or there is not enough memory.
    pub async fn warm(&self) -> Result<()> {
        for gallery in self.galleries.values() {
            let gallery = gallery.clone();
            let done = tokio::task::spawn_blocking(move || gallery.warm()).await;
            done.map_err(|e| BureauError::Gallery(e.to_string()))?.map_err(|e| BureauError::Gallery(e.to_string()))?;
        }
        Ok(())
    }

    /// Does every job that is due, then brings the log, and what is folded out of it, up to date.
    ///
    /// # Errors
    /// When the store fails. A job's own failure is counted, not returned.
    pub async fn work(&self, worker: &str) -> Result<Worked> {
        let mut worked = Worked::default();
        while let Some(job) = self.store.claim_job(worker, self.now(), LEASE).await? {
            match self.run(&job).await {
                Ok(()) => {
                    still_ours(self.store.finish_job(&job).await)?;
                    worked.done += 1;
                }
                Err(BureauError::AwaitingWitnesses(_)) => {
                    // No failure, however long it takes: it is made due again when they have cosigned.
                    let next = self.now() + SignedDuration::from_secs(LOOKED_AGAIN_S);
                    still_ours(self.store.rest_job(&job, next, WAITING).await)?;
                }
                Err(error) => {
                    worked.failed += 1;
                    let (again, reason) = self.verdict(&job, &error);
                    tracing::warn!(kind = job.kind, attempts = job.attempts, reason, "a job failed");
                    still_ours(self.store.fail_job(&job, again, reason).await)?;
                }
            }
        }
        self.fold_log().await?;
        Ok(worked)
    }

    /// Takes away drafts that nobody has saved for the policy's time, notes of the house as old as a record may be,
    /// and what belongs to nothing any more: images that no form and no request names, sessions and tokens that are
    /// over, failed jobs that nothing asks for. Leaves no trace of what went in the databases' files. Once an hour is enough; more often is harmless.
    ///
    /// # Errors
    /// When the store fails; what was done stays done.
    pub async fn tidy(&self) -> Result<()> {
        let now = self.now();
        let before = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let today = casework::calendar::london_date(now);
        self.store.delete_drafts_saved_before(retain::drafts_saved_before(today, self.policy())).await?;
        self.store.sweep_orphans(before(ORPHANS_KEPT)).await?;
        self.store.purge_sessions(now).await?;
        self.store.purge_idempotency(before(TOKENS_KEPT)).await?;
        self.forget_void_jobs().await?;
        self.forget_notes().await?;
        self.sweep_due().await?;
        self.store.scrub().await?;
        Ok(())
    }

    /// Whether to try again, and a reason without personal data.
    fn verdict(&self, job: &Job, error: &BureauError) -> (Option<Timestamp>, &'static str) {
        let reason = match error {
            BureauError::Refused(_) => "refused",
            BureauError::Overtaken => "overtaken",
            BureauError::Gone => "erased",
            BureauError::Engine(_) => "engine",
            BureauError::FaceNotFoundAgain => "face",
            BureauError::Gallery(_) => "gallery",
            _ => "failed",
        };
        let tries = job.attempts.saturating_sub(job.waited);
        let seconds = 5_i64.saturating_mul(1 << tries.min(10));
        // The same engine finds the same faces, and the rules do not change by waiting: a person has to look first.
        let final_at_once = matches!(error, BureauError::Refused(_) | BureauError::FaceNotFoundAgain);
        let again = (tries < ATTEMPTS_MAX && !final_at_once).then(|| self.now() + SignedDuration::from_secs(seconds));
        (again, reason)
    }

    async fn run(&self, job: &Job) -> Result<()> {
        let StreamId::Request(id) = job.stream else { return Ok(()) };
        let task: Task = serde_json::from_str(&job.payload)?;
        // Done before, or not asked for any more (withdrawn, closed, reopened): nothing is left to do.
        if !self.owes(id, task).await? {
            return Ok(());
        }
        let done = match task {
            Task::Search { probe, authorisation } => self.search_now(id, probe, authorisation).await,
            Task::Expire { probe } => self.act_as_worker(id, Command::ExpireAuthorisation { probe }).await.map(drop),
            Task::Release => self.release(id).await,
            Task::Close => self.act_as_worker(id, Command::Close).await.map(drop),
            Task::Erase { class } => self.erase(id, class).await,
        };
        match done {
            // Overtaken by the request's own life, or done by another worker, between the look and the commit.
            Err(BureauError::Refused(_)) if !self.owes(id, task).await? => Ok(()),
            done => done,
        }
    }

    async fn owes(&self, id: RequestId, task: Task) -> Result<bool> {
        Ok(task.owed(&self.open(id).await?, self.policy(), self.now()))
    }

    /// Jobs that failed for good, oldest first, of requests that this team leader may know of: what, why,
    /// and whether there is anything to try again.
    ///
    /// # Errors
    /// Refused to others.
    pub async fn failed_jobs(&self, who: PersonId) -> Result<Vec<FailedJob>> {
        let (register, actor) = self.actor(who).await?;
        if !actor.has(Role::TeamLeader) {
            return Err(vec![access::unknown()].into());
        }
        let gallery = actor.gallery.ok_or_else(|| vec![access::unknown()])?;
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
        let mut out = vec![];
        let mut after = JobId(0);
        loop {
            let page = self.store.failed_jobs_after(after, Some(gallery), FAILED_JOBS_MAX).await?;
            let Some(last) = page.last() else { return Ok(out) };
            after = last.id;
            for job in page {
                let StreamId::Request(id) = job.stream else { continue };
                let request = self.open(id).await?;
                if !access::refusals(&request, access::Action::TryAgain, &ctx).is_empty() {
                    continue; // one of which they must not know how far it is (M2)
                }
                let owed = serde_json::from_str::<Task>(&job.payload).is_ok_and(|t| t.owed(&request, ctx.policy, ctx.now));
                let reason = job.reason.unwrap_or_default();
                out.push(FailedJob { job: job.id.0, kind: job.kind, reason, request: id, reference: id.reference(), owed });
                if out.len() == FAILED_JOBS_MAX as usize {
                    return Ok(out);
                }
            }
        }
    }

    /// Lets a worker try again what failed for good, and records who asked for it. The job and the event
    /// are one transaction; a started search is made again under the same leave, so it stays one use of it.
    ///
    /// # Errors
    /// Refused to anyone but a team leader of the gallery, and where the request does not ask for it any
    /// more; [`BureauError::Overtaken`] when a colleague was quicker.
    pub async fn try_again(&self, who: PersonId, job: u64) -> Result<Done> {
        let (register, actor) = self.actor(who).await?;
        let unknown = || BureauError::Refused(vec![access::unknown()]);
        if !actor.has(Role::TeamLeader) {
            return Err(unknown());
        }
        let from = self.store.failed_jobs_after(JobId(job.saturating_sub(1)), None, 1).await?;
        let Some(found) = from.into_iter().find(|f| f.id.0 == job) else {
            return Err(BureauError::Overtaken); // a colleague was quicker, or it was not needed any more
        };
        let StreamId::Request(id) = found.stream else { return Err(unknown()) };
        let command = Command::TryAgain { task: serde_json::from_str(&found.payload)? };
        let with = With { retry: Some(found.id), ..With::default() };
        match self.carry_out(Some(&actor), &register, id, &command, None, with).await {
            Err(BureauError::Store(store::StoreError::NotFound { .. })) => Err(BureauError::Overtaken),
            done => done,
        }
    }

    /// Forgets failed jobs that nothing asks for any more.
    async fn forget_void_jobs(&self) -> Result<()> {
        let mut after = JobId(0);
        loop {
            let page = self.store.failed_jobs_after(after, None, FAILED_JOBS_MAX).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for job in page {
                let (StreamId::Request(id), Ok(task)) = (job.stream, serde_json::from_str::<Task>(&job.payload)) else { continue };
                if !self.owes(id, task).await? {
                    self.store.forget_job(job.id).await?;
                }
            }
        }
    }
}

/// A job that took longer than its lease may have passed to another worker, who does it again harmlessly:
/// no failure of this round.
fn still_ours(ended: store::Result<()>) -> Result<()> {
    match ended {
        Err(store::StoreError::LeaseLost) => Ok(()),
        other => Ok(other?),
    }
}

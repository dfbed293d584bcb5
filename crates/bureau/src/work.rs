//! Jobs: what people decided, carried out by workers. A job is enqueued in the deciding transaction,
//! survives a killed server, and is harmless when it runs twice.

use crate::{Bureau, BureauError, Result};
use casework::{
    command::Command,
    event::Event,
    ids::{AuthorisationId, ProbeId, RequestId},
    policy::Policy,
    record::{RetentionClass, StreamId},
    request::{ProbeState, Request},
    retain,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{Job, NewJob};

/// How long a worker may hold a job before another takes it over.
pub const LEASE: Duration = Duration::from_secs(120);
/// How often a failed job is tried before it waits for a person.
pub const ATTEMPTS_MAX: u32 = 6;

/// How long what belongs to nothing (an upload that was overtaken, half of a pair that was not sent) is
/// left alone, since it may be on its way to its commit.
pub const ORPHANS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long a form's one-time token is remembered; after that a repeat meets the request's version.
pub const TOKENS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a worker does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "job")]
pub enum Task {
    /// Make the search that leave was used for.
    Search {
        /// The image.
        probe: ProbeId,
        /// The leave.
        authorisation: AuthorisationId,
    },
    /// Note that leave ran out.
    Expire {
        /// The image.
        probe: ProbeId,
    },
    /// Let the answer leave.
    Release,
    /// Close what has ended, or was abandoned, and lain idle.
    Close,
    /// Destroy a class of data that is due.
    Erase {
        /// The class.
        class: RetentionClass,
    },
}

impl Task {
    fn kind(&self) -> &'static str {
        match self {
            Self::Search { .. } => "search",
            Self::Expire { .. } => "expire",
            Self::Release => "release",
            Self::Close => "close",
            Self::Erase { .. } => "erase",
        }
    }
    fn job(&self, run_at: Timestamp) -> Result<NewJob> {
        Ok(NewJob { kind: self.kind().into(), payload: serde_json::to_string(self)?, run_at })
    }
}

/// The jobs that an event asks for.
pub(crate) fn jobs_for(event: &Event, now: Timestamp) -> Result<Vec<NewJob>> {
    let (task, at) = match event {
        Event::SearchStarted { probe, authorisation } => (Task::Search { probe: *probe, authorisation: *authorisation }, now),
        Event::Authorised { authorisation, .. } => (Task::Expire { probe: authorisation.probe }, authorisation.expires),
        Event::AnswerPrepared { .. } => (Task::Release, now),
        _ => return Ok(vec![]),
    };
    Ok(vec![task.job(at)?])
}

/// The jobs that the new state asks for: what has just become due to be erased, and what will.
pub(crate) fn jobs_after(before: &Request, after: &Request, policy: &Policy, now: Timestamp) -> Result<Vec<NewJob>> {
    let today = casework::calendar::london_date(now);
    let was: Vec<_> = retain::due(before, policy, today).into_iter().map(|d| d.class).collect();
    let mut out = vec![];
    for due in retain::due(after, policy, today) {
        if !was.contains(&due.class) {
            out.push(Task::Erase { class: due.class }.job(now)?);
        }
    }
    if let Some(due) = retain::close_due(after, policy) {
        out.push(Task::Close.job(casework::calendar::start_of(due))?);
    }
    if before.closed_at.is_none() && after.closed_at.is_some() {
        for (class, date) in retain::schedule(after, policy) {
            out.push(Task::Erase { class }.job(casework::calendar::start_of(date))?);
        }
    }
    Ok(out)
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
    /// Does every job that is due, then brings the log up to date.
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
                Err(error) => {
                    worked.failed += 1;
                    let (again, reason) = self.verdict(&job, &error);
                    tracing::warn!(kind = job.kind, attempts = job.attempts, reason, "a job failed");
                    still_ours(self.store.fail_job(&job, again, reason).await)?;
                }
            }
        }
        self.store.sequence(self.now()).await?;
        Ok(worked)
    }

    /// Takes away what belongs to nothing any more: images that no form and no request names, sessions
    /// and tokens that are over. Once an hour is enough; more often is harmless.
    ///
    /// # Errors
    /// When the store fails; what was done stays done.
    pub async fn tidy(&self) -> Result<()> {
        let now = self.now();
        let before = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        self.store.sweep_orphans(before(ORPHANS_KEPT)).await?;
        self.store.purge_sessions(now).await?;
        self.store.purge_idempotency(before(TOKENS_KEPT)).await?;
        Ok(())
    }

    /// Whether to try again, and a reason without personal data.
    fn verdict(&self, job: &Job, error: &BureauError) -> (Option<Timestamp>, &'static str) {
        let reason = match error {
            BureauError::Refused(_) => "refused",
            BureauError::Overtaken => "overtaken",
            BureauError::Gone => "erased",
            BureauError::Engine(_) => "engine",
            BureauError::Gallery(_) => "gallery",
            _ => "failed",
        };
        let seconds = 5_i64.saturating_mul(1 << job.attempts.min(10));
        let again = (job.attempts < ATTEMPTS_MAX && !matches!(error, BureauError::Refused(_)))
            .then(|| self.now() + SignedDuration::from_secs(seconds));
        (again, reason)
    }

    async fn run(&self, job: &Job) -> Result<()> {
        let StreamId::Request(id) = job.stream else { return Ok(()) };
        match serde_json::from_str(&job.payload)? {
            Task::Search { probe, authorisation } => self.search_now(id, probe, authorisation).await,
            Task::Expire { probe } => {
                let request = self.open(id).await?;
                match request.probe(probe).map(|p| &p.state) {
                    Some(ProbeState::Authorised(a) | ProbeState::Started(a)) if self.now() >= a.expires => {
                        self.act_as_worker(id, Command::ExpireAuthorisation { probe }).await.map(drop)
                    }
                    _ => Ok(()),
                }
            }
            Task::Release => self.release(id).await,
            Task::Close => self.close_if_idle(id).await,
            Task::Erase { class } => self.erase_if_due(id, class).await,
        }
    }

    async fn close_if_idle(&self, id: RequestId) -> Result<()> {
        let request = self.open(id).await?;
        let waits = request.reviews.iter().any(|r| r.result.is_none()) || request.onward.iter().any(|o| o.decision.is_none());
        let today = casework::calendar::london_date(self.now());
        if waits || retain::close_due(&request, self.policy()).is_none_or(|due| due > today) {
            return Ok(()); // what happened meanwhile has made a later job of this
        }
        self.act_as_worker(id, Command::Close).await.map(drop)
    }

    async fn release(&self, id: RequestId) -> Result<()> {
        if self.open(id).await?.state != casework::request::State::Answering {
            return Ok(()); // released before, or withdrawn meanwhile
        }
        match self.act_as_worker(id, Command::Release).await {
            // Withdrawn, or found to be sensitive, between the look above and the commit.
            Err(BureauError::Refused(_)) if self.open(id).await?.state != casework::request::State::Answering => Ok(()),
            done => done.map(drop),
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

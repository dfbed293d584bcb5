//! Outgoing work: enqueued in the deciding transaction, claimed under a lease, never run twice at once.

use crate::db::{self, Connection, QueryBuilder, Row};
use crate::rows::{self, gallery_text, signed, time, unsigned};
use crate::{Result, Store, StoreError, micros, within};
use casework::record::{GalleryId, StreamId};
use jiff::Timestamp;
use std::time::Duration;

/// Largest job payload, in bytes: ids only.
pub const MAX_JOB_BYTES: usize = 16 * 1024;

/// Numbers a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Work to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// What to do, kebab-case.
    pub kind: String,
    /// JSON of ids only: the rest is read from the stream when it runs.
    pub payload: String,
    /// Not before.
    pub run_at: Timestamp,
}

/// A job as claimed or listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What to do.
    pub kind: String,
    /// The stream whose commit asked for it.
    pub stream: StreamId,
    /// JSON of ids.
    pub payload: String,
    /// Not before.
    pub run_at: Timestamp,
    /// How often it was claimed, this time included; also the lease's fencing number.
    pub attempts: u32,
    /// How many of those claims ended in waiting ([`Store::rest_job`]).
    pub waited: u32,
    /// Code of its last failure, or of what it waits for.
    pub reason: Option<String>,
}

impl Store {
    /// Takes the most overdue job whose time has come and that nobody holds, for `lease`. A worker that
    /// dies loses it when the lease runs out.
    ///
    /// # Errors
    /// Database errors.
    pub async fn claim_job(&self, worker: &str, now: Timestamp, lease: Duration) -> Result<Option<Job>> {
        // A look without the write lock first: idle workers must not hold up deciders.
        let due: Option<i64> = db::query_scalar(
            "SELECT id FROM job WHERE failed = 0 AND run_at <= $1
               AND (lease_until IS NULL OR lease_until <= $1) ORDER BY run_at, id LIMIT 1",
        )
        .bind(micros(now))
        .fetch_optional(self.reader())
        .await?;
        if due.is_none() {
            return Ok(None);
        }
        let until = now.checked_add(lease).map_err(|_| StoreError::Invalid("the lease ends beyond the calendar"))?;
        let mut tx = self.write_beside().await?;
        let mut sql = QueryBuilder::new("UPDATE job SET attempts = attempts + 1, lease_until = ");
        sql.push_bind(micros(until)).push(", worker = ").push_bind(worker);
        sql.push(" WHERE id = (SELECT id FROM job WHERE failed = 0 AND run_at <= ").push_bind(micros(now));
        sql.push(" AND (lease_until IS NULL OR lease_until <= ").push_bind(micros(now));
        sql.push(") ORDER BY run_at, id LIMIT 1").push(self.reader().skip_locked());
        sql.push(") RETURNING id, kind, stream, payload, run_at, attempts, waited, reason");
        let row = sql.build().fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        row.as_ref().map(job_from).transpose()
    }

    /// The job is done: forgets it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if somebody else has claimed it since.
    pub async fn finish_job(&self, job: &Job) -> Result<()> {
        let mut tx = self.write_beside().await?;
        let gone = db::query("DELETE FROM job WHERE id = $1 AND attempts = $2 AND failed = 0")
            .bind(signed(job.id.0)?)
            .bind(job.attempts)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        if gone.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    /// The job did not succeed: to be tried again at `next`, or, with `None`, given up until a person
    /// looks. `reason` is a short code, never free text.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if somebody else has claimed it since.
    pub async fn fail_job(&self, job: &Job, next: Option<Timestamp>, reason: &str) -> Result<()> {
        let mut tx = self.write_beside().await?;
        let changed = db::query(
            "UPDATE job SET lease_until = NULL, worker = NULL, run_at = $3, failed = $4, reason = $5
             WHERE id = $1 AND attempts = $2 AND failed = 0",
        )
        .bind(signed(job.id.0)?)
        .bind(job.attempts)
        .bind(micros(next.unwrap_or(job.run_at)))
        .bind(next.is_none())
        .bind(reason)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if changed.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    /// The job waits for somebody outside, which is no failure: to be looked at again at `next`, or as soon as
    /// [`Self::wake_jobs`] is called with its reason, a short code.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if somebody else has claimed it since.
    pub async fn rest_job(&self, job: &Job, next: Timestamp, reason: &str) -> Result<()> {
        let mut tx = self.write_beside().await?;
        let changed = db::query(
            "UPDATE job SET lease_until = NULL, worker = NULL, run_at = $3, waited = waited + 1, reason = $4
             WHERE id = $1 AND attempts = $2 AND failed = 0",
        )
        .bind(signed(job.id.0)?)
        .bind(job.attempts)
        .bind(micros(next))
        .bind(reason)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if changed.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    /// Makes jobs that wait for `reason` due now. A worker that holds one keeps it.
    ///
    /// # Errors
    /// Database errors.
    pub async fn wake_jobs(&self, reason: &str, now: Timestamp) -> Result<u64> {
        if self.resting_jobs(reason).await? == 0 {
            return Ok(0); // no write lock for nothing
        }
        let mut tx = self.write_beside().await?;
        let woken = db::query(
            "UPDATE job SET run_at = $2
             WHERE failed = 0 AND waited > 0 AND lease_until IS NULL AND reason = $1 AND run_at > $2",
        )
        .bind(reason)
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(woken.rows_affected())
    }

    /// How many jobs wait for `reason`.
    ///
    /// # Errors
    /// Database errors.
    pub async fn resting_jobs(&self, reason: &str) -> Result<u64> {
        let n: i64 = db::query_scalar("SELECT count(*) FROM job WHERE failed = 0 AND waited > 0 AND reason = $1")
            .bind(reason)
            .fetch_one(self.reader())
            .await?;
        unsigned(n)
    }

    /// Jobs that were given up, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Database errors.
    pub async fn failed_jobs(&self, limit: u32) -> Result<Vec<Job>> {
        self.failed_jobs_after(JobId(0), None, limit).await
    }

    /// Jobs that were given up, oldest first: those numbered after `after`, at most `limit`; with a gallery,
    /// those of its requests only.
    ///
    /// # Errors
    /// Database errors.
    pub async fn failed_jobs_after(&self, after: JobId, gallery: Option<GalleryId>, limit: u32) -> Result<Vec<Job>> {
        let found = db::query(
            "SELECT id, kind, stream, payload, run_at, attempts, waited, reason FROM job
             WHERE failed = 1 AND id > $1
               AND ($2 IS NULL OR EXISTS (SELECT 1 FROM request_row r WHERE r.request = substr(stream, 2) AND r.gallery = $2))
             ORDER BY id LIMIT $3",
        )
        .bind(signed(after.0)?)
        .bind(gallery.map(gallery_text))
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        found.iter().map(job_from).collect()
    }

    /// Forgets a job that was given up and is not wanted any more. One that is not there is no error.
    ///
    /// # Errors
    /// Database errors.
    pub async fn forget_job(&self, id: JobId) -> Result<()> {
        let mut tx = self.write_beside().await?;
        db::query("DELETE FROM job WHERE id = $1 AND failed = 1").bind(signed(id.0)?).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// How many jobs wait or run.
    ///
    /// # Errors
    /// Database errors.
    pub async fn pending_jobs(&self) -> Result<u64> {
        let n: i64 = db::query_scalar("SELECT count(*) FROM job WHERE failed = 0").fetch_one(self.reader()).await?;
        unsigned(n)
    }
}

/// Puts a job of a stream that was given up back in the queue, within the transaction that records why.
pub(crate) async fn retry(tx: &mut Connection, stream: &[u8; 17], id: JobId, at: Timestamp) -> Result<()> {
    let changed = db::query("UPDATE job SET failed = 0, run_at = $3 WHERE id = $1 AND stream = $2 AND failed = 1")
        .bind(signed(id.0)?)
        .bind(stream.as_slice())
        .bind(micros(at))
        .execute(tx)
        .await?;
    if changed.rows_affected() == 1 { Ok(()) } else { Err(StoreError::NotFound { what: "failed job" }) }
}

pub(crate) async fn enqueue(tx: &mut Connection, stream: &[u8; 17], job: &NewJob) -> Result<()> {
    within("job's payload", job.payload.len(), MAX_JOB_BYTES, "bytes")?;
    db::query("INSERT INTO job (kind, stream, payload, run_at) VALUES ($1, $2, $3, $4)")
        .bind(&job.kind)
        .bind(stream.as_slice())
        .bind(&job.payload)
        .bind(micros(job.run_at))
        .execute(tx)
        .await?;
    Ok(())
}

fn job_from(row: &Row) -> Result<Job> {
    Ok(Job {
        id: JobId(unsigned(row.try_get("id")?)?),
        kind: row.try_get("kind")?,
        stream: rows::stream_from(row.try_get("stream")?)?,
        payload: row.try_get("payload")?,
        run_at: time(row.try_get("run_at")?)?,
        attempts: row.try_get("attempts")?,
        waited: row.try_get("waited")?,
        reason: row.try_get("reason")?,
    })
}

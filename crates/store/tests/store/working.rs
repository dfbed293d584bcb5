use crate::{at, fresh, record, request, row};
use casework::record::{GalleryId, NewRecord, StreamId};
use std::collections::HashSet;
use std::time::Duration;
use store::{Commit, CommitError, Job, JobId, NewJob, QueueRow, Store, StoreError};

const LEASE: Duration = Duration::from_secs(60);

async fn enqueue(store: &Store, n: u128, run_at: i64) {
    let jobs = vec![NewJob { kind: "search".into(), payload: format!("{{\"n\":{n}}}"), run_at: at(run_at) }];
    let commit = Commit { jobs, ..Commit::new(request(n), 0, vec![record("authorised", b"x")]) };
    store.commit(commit).await.unwrap();
}

#[tokio::test]
async fn in_order_and_not_before_their_time() {
    let (_dir, store) = fresh().await;
    enqueue(&store, 1, 20).await;
    enqueue(&store, 2, 10).await;
    assert!(store.claim_job("w", at(9), LEASE).await.unwrap().is_none());
    let job = store.claim_job("w", at(10), LEASE).await.unwrap().unwrap();
    assert_eq!((job.stream, job.kind.as_str(), job.payload.as_str()), (request(2), "search", "{\"n\":2}"));
    assert_eq!(job.attempts, 1);
    assert!(store.claim_job("w", at(19), LEASE).await.unwrap().is_none());
    assert_eq!(store.claim_job("w", at(20), LEASE).await.unwrap().unwrap().stream, request(1));
    store.finish_job(&job).await.unwrap();
    assert_eq!(store.pending_jobs().await.unwrap(), 1);
}

/// A worker that was killed loses its lease; should it wake up after all, it can't report any more.
#[tokio::test]
async fn a_dead_workers_lease_runs_out() {
    let (_dir, store) = fresh().await;
    enqueue(&store, 1, 0).await;
    let dead = store.claim_job("dead", at(0), LEASE).await.unwrap().unwrap();
    assert!(store.claim_job("next", at(59), LEASE).await.unwrap().is_none());
    let next = store.claim_job("next", at(60), LEASE).await.unwrap().unwrap();
    assert_eq!((next.id, next.attempts), (dead.id, 2));
    assert!(matches!(store.finish_job(&dead).await, Err(StoreError::LeaseLost)));
    assert!(matches!(store.fail_job(&dead, None, "late").await, Err(StoreError::LeaseLost)));
    store.finish_job(&next).await.unwrap();
    assert!(matches!(store.finish_job(&next).await, Err(StoreError::LeaseLost)));
}

#[tokio::test]
async fn failures_are_retried_then_given_up() {
    let (_dir, store) = fresh().await;
    enqueue(&store, 1, 0).await;
    let job = store.claim_job("w", at(0), LEASE).await.unwrap().unwrap();
    store.fail_job(&job, Some(at(30)), "engine-busy").await.unwrap();
    assert!(store.claim_job("w", at(29), LEASE).await.unwrap().is_none());
    let job = store.claim_job("w", at(30), LEASE).await.unwrap().unwrap();
    assert_eq!((job.attempts, job.reason.as_deref()), (2, Some("engine-busy")));
    store.fail_job(&job, None, "engine-gone").await.unwrap();
    assert!(store.claim_job("w", at(9_999), LEASE).await.unwrap().is_none());
    let failed = store.failed_jobs(10).await.unwrap();
    assert_eq!((failed.len(), failed[0].reason.as_deref()), (1, Some("engine-gone")));
    // Put back with the event that says why, once, and only by the stream whose job it is.
    let again = |seconds| {
        let mut record: NewRecord = record("tried-again", b"{}");
        record.header.at = at(seconds);
        record
    };
    let retry = |n: u128, expected: u64, seconds: i64| {
        let commit = Commit::new(request(n), expected, vec![again(seconds)]);
        store.commit(Commit { retry: Some(job.id), ..commit })
    };
    assert!(matches!(retry(2, 0, 100).await, Err(CommitError::Store(StoreError::NotFound { .. }))));
    assert_eq!(store.version(request(2)).await.unwrap(), 0, "nothing is recorded without it");
    retry(1, 1, 100).await.unwrap();
    assert!(matches!(retry(1, 2, 101).await, Err(CommitError::Store(StoreError::NotFound { .. }))));
    assert_eq!(store.version(request(1)).await.unwrap(), 2);
    assert!(store.claim_job("w", at(99), LEASE).await.unwrap().is_none());
    let job = store.claim_job("w", at(100), LEASE).await.unwrap().unwrap();
    assert!(store.failed_jobs(10).await.unwrap().is_empty());
    // What nothing asks for any more is forgotten, but never while it may run.
    store.forget_job(job.id).await.unwrap();
    store.fail_job(&job, None, "engine-gone").await.unwrap();
    store.forget_job(job.id).await.unwrap();
    assert!(store.failed_jobs(10).await.unwrap().is_empty());
}

/// Waiting for somebody outside is no try that failed, and ends as soon as they have come.
#[tokio::test]
async fn what_waits_rests_and_is_woken_by_its_reason() {
    let (_dir, store) = fresh().await;
    enqueue(&store, 1, 0).await;
    enqueue(&store, 2, 590).await;
    for n in 1..=9 {
        let job = store.claim_job("w", at(n * 60), LEASE).await.unwrap().unwrap();
        assert_eq!((job.stream, i64::from(job.attempts), i64::from(job.waited)), (request(1), n, n - 1));
        store.rest_job(&job, at((n + 1) * 60), "witness").await.unwrap();
        assert!(matches!(store.finish_job(&Job { attempts: job.attempts + 1, ..job }).await, Err(StoreError::LeaseLost)));
    }
    let other = store.claim_job("w", at(599), LEASE).await.unwrap().unwrap();
    assert_eq!((other.stream, other.waited), (request(2), 0));
    store.fail_job(&other, Some(at(900)), "engine").await.unwrap();
    assert_eq!(store.resting_jobs("witness").await.unwrap(), 1);
    assert_eq!(store.wake_jobs("engine", at(599)).await.unwrap(), 0, "a failure has its own time");
    assert_eq!(store.wake_jobs("witness", at(599)).await.unwrap(), 1);
    let job = store.claim_job("w", at(599), LEASE).await.unwrap().unwrap();
    assert_eq!((job.stream, job.attempts, job.waited), (request(1), 10, 9));
    assert_eq!(store.wake_jobs("witness", at(599)).await.unwrap(), 0, "a worker that holds one keeps it");
    store.finish_job(&job).await.unwrap();
}

#[tokio::test]
async fn one_gallerys_failures_do_not_hide_anothers() {
    let (_dir, store) = fresh().await;
    for n in 1..=9_u128 {
        let gallery = if n == 9 { GalleryId::Passport } else { GalleryId::Immigration };
        let jobs = vec![NewJob { kind: "search".into(), payload: "{}".into(), run_at: at(0) }];
        let row = Some(QueueRow { gallery, ..row(n, "searching") });
        store.commit(Commit { jobs, row, ..Commit::new(request(n), 0, vec![record("authorised", b"x")]) }).await.unwrap();
        let job = store.claim_job("w", at(0), LEASE).await.unwrap().unwrap();
        store.fail_job(&job, None, "engine").await.unwrap();
    }
    let streams = async |after: u64, gallery: GalleryId, limit: u32| -> Vec<StreamId> {
        store.failed_jobs_after(JobId(after), Some(gallery), limit).await.unwrap().iter().map(|j| j.stream).collect()
    };
    assert_eq!(streams(0, GalleryId::Passport, 3).await, [request(9)]);
    assert_eq!(streams(0, GalleryId::Immigration, 3).await, [request(1), request(2), request(3)]);
    assert_eq!(streams(6, GalleryId::Immigration, 3).await, [request(7), request(8)]);
    assert_eq!(store.failed_jobs(100).await.unwrap().len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_never_share_a_job() {
    let (_dir, one) = fresh().await;
    let two = Store::open_at(one.place()).await.unwrap();
    for n in 0..24 {
        enqueue(&one, n, 0).await;
    }
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move {
                let mut mine = Vec::new();
                while let Some(job) = store.claim_job("w", at(1), LEASE).await.unwrap() {
                    mine.push(job.id);
                }
                mine
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for task in tasks {
        claimed.extend(task.await.unwrap());
    }
    assert_eq!(claimed.len(), 24);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 24);
}

use crate::{at, fresh, record, request, row};
use casework::ids::{BlobId, DraftId, LeoId, PersonId, RequestId};
use casework::record::{RetentionClass, StreamId};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Alone, Commit, CommitError, IdempotencyKey, LookupEntry, NewJob, PutDraft, Store, StoreError};

#[tokio::test]
async fn what_was_committed_is_loaded() {
    let (_dir, store) = fresh().await;
    let records = vec![record("submitted", b"one"), record("received", b"")];
    assert_eq!(store.commit(Commit::new(request(1), 0, records.clone())).await.unwrap(), 2);
    assert_eq!(store.commit(Commit::new(request(1), 2, vec![record("assessed", b"3")])).await.unwrap(), 3);

    let loaded = store.load(request(1)).await.unwrap();
    assert_eq!(loaded.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(loaded[0].header, records[0].header);
    assert_eq!(loaded[0].payload.as_deref(), Some(b"one".as_slice()));
    assert_eq!(loaded[1].payload.as_deref(), Some(b"".as_slice()));
    assert!(store.load(request(2)).await.unwrap().is_empty());
    assert_eq!(store.streams().await.unwrap(), [(request(1), 3)]);
    assert_eq!(store.version(request(1)).await.unwrap(), 3);

    let headers = store.headers(0, 10).await.unwrap();
    assert_eq!(headers.len(), 3);
    assert_eq!((headers[2].stream, headers[2].seq), (request(1), 3));
    assert_eq!(store.headers(headers[1].position, 10).await.unwrap(), headers[2..]);
}

/// Eight writers over two openings of the same directory (two processes, as far as SQLite can tell),
/// each adding its own events to one stream: conflicts happen, nothing is lost, nothing is doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_lose_nothing() {
    const EACH: u32 = 15;
    let (_dir, one) = fresh().await;
    let two = Store::open_at(one.place()).await.unwrap();
    let conflicts = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for writer in 0..8_u32 {
        let store = if writer % 2 == 0 { one.clone() } else { two.clone() };
        let conflicts = conflicts.clone();
        tasks.push(tokio::spawn(async move {
            let mut version = 0;
            for n in 0..EACH {
                let payload = format!("{writer}/{n}");
                loop {
                    let records = vec![record("noted", payload.as_bytes())];
                    match store.commit(Commit::new(request(1), version, records)).await {
                        Ok(new) => {
                            version = new;
                            break;
                        }
                        Err(CommitError::Conflict { actual, expected, .. }) => {
                            assert_eq!(expected, version);
                            conflicts.fetch_add(1, Ordering::Relaxed);
                            version = actual;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let loaded = one.load(request(1)).await.unwrap();
    let payloads: HashSet<Vec<u8>> = loaded.iter().map(|r| r.payload.clone().unwrap()).collect();
    assert_eq!((loaded.len() as u32, payloads.len() as u32), (8 * EACH, 8 * EACH));
    assert!(conflicts.load(Ordering::Relaxed) > 0, "the writers never met");
    two.sequence(at(2)).await.unwrap();
    let report = one.verify_log().await.unwrap();
    assert_eq!((report.fault, report.leaves), (None, u64::from(8 * EACH)));
}

/// Consulted events need no version: many readers look at once, and each look is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn looks_are_appended_by_many() {
    let (_dir, store) = fresh().await;
    let stream = StreamId::Consulted(RequestId::fixed(1));
    let tasks: Vec<_> = (0..20_u32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(stream, vec![record("consulted", &n.to_be_bytes())]).await.unwrap() })
        })
        .collect();
    let mut versions = HashSet::new();
    for task in tasks {
        versions.insert(task.await.unwrap());
    }
    assert_eq!(versions.len(), 20);
    assert_eq!(store.load(stream).await.unwrap().len(), 20);
    assert!(matches!(store.append(request(1), vec![record("x", b"")]).await, Err(StoreError::Invalid(_))));
}

#[tokio::test]
async fn a_double_submit_is_done_once() {
    let (_dir, store) = fresh().await;
    let key = Some(IdempotencyKey("form-token-1".into()));
    let commit = |expected| Commit { idempotency: key.clone(), ..Commit::new(request(1), expected, vec![record("submitted", b"x")]) };
    assert_eq!(store.commit(commit(0)).await.unwrap(), 1);
    // The repeat is recognised whatever version it thinks it saw.
    for expected in [0, 1] {
        let again = store.commit(commit(expected)).await;
        assert!(matches!(again, Err(CommitError::Duplicate { stream, version: 1 }) if stream == request(1)), "{again:?}");
    }
    assert_eq!(store.load(request(1)).await.unwrap().len(), 1);
    assert_eq!(store.purge_idempotency(at(1)).await.unwrap(), 0);
    assert_eq!(store.purge_idempotency(at(2)).await.unwrap(), 1);
    assert!(matches!(store.commit(commit(0)).await, Err(CommitError::Conflict { actual: 1, .. })));
}

/// One transaction: when any part is refused, no part is there.
#[tokio::test]
async fn all_or_nothing() {
    let (_dir, store) = fresh().await;
    let draft = DraftId::fixed(1);
    let put = PutDraft { id: draft, owner: PersonId::fixed(1), leo: LeoId::fixed(1), expected: 0, bytes: b"form".to_vec(), blobs: vec![] };
    store.put_draft(put, at(0)).await.unwrap();
    let blob = store.put_blob(request(1), RetentionClass::Images, b"image", at(0)).await.unwrap();
    let entry = LookupEntry { kind: "crime-reference".into(), value: b"42/1".to_vec(), class: RetentionClass::Record };
    let full = |blobs| Commit {
        row: Some(row(1, "submitted")),
        jobs: vec![NewJob { kind: "notify".into(), payload: "{}".into(), run_at: at(0) }],
        idempotency: Some(IdempotencyKey("k".into())),
        drop_draft: Some((draft, 1)),
        index: vec![entry.clone()],
        blobs,
        ..Commit::new(request(1), 0, vec![record("submitted", b"x")])
    };

    // The last thing that a commit looks at is wrong: an image that is not there.
    let refused = store.commit(full(vec![blob, BlobId::fixed(9)])).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::NotFound { .. }))), "{refused:?}");
    assert!(store.load(request(1)).await.unwrap().is_empty());
    assert!(store.queue_row(RequestId::fixed(1)).await.unwrap().is_none());
    assert!(store.counts(None).await.unwrap().is_empty());
    assert_eq!(store.pending_jobs().await.unwrap(), 0);
    assert!(store.lookup("crime-reference", b"42/1").await.unwrap().is_empty());
    assert!(store.get_draft(draft).await.unwrap().is_some());
    assert_eq!(store.unsequenced().await.unwrap(), 0);

    assert_eq!(store.commit(full(vec![blob])).await.unwrap(), 1);
    assert_eq!(store.queue_row(RequestId::fixed(1)).await.unwrap().unwrap(), row(1, "submitted"));
    assert_eq!(store.pending_jobs().await.unwrap(), 1);
    assert_eq!(store.lookup("crime-reference", b"42/1").await.unwrap(), [RequestId::fixed(1)]);
    assert!(store.lookup("probe-digest", b"42/1").await.unwrap().is_empty());
    assert!(store.get_draft(draft).await.unwrap().is_none());

    // Of a pair, both or none.
    let pair =
        vec![Commit::new(request(2), 0, vec![record("submitted", b"x")]), Commit::new(request(1), 0, vec![record("submitted", b"x")])];
    let refused = store.commit_all(pair).await;
    assert!(matches!(refused, Err(CommitError::Conflict { stream, .. }) if stream == request(1)));
    assert!(store.load(request(2)).await.unwrap().is_empty());
}

/// What a decision read elsewhere still holds when it is written.
#[tokio::test]
async fn what_a_decision_rests_on_is_looked_at_again() {
    let (_dir, store) = fresh().await;
    let searched = |expected, register| Commit {
        rests_on: Some((StreamId::Register, register)),
        ..Commit::new(request(1), expected, vec![record("searched", b"x")])
    };
    assert_eq!(store.commit(searched(0, 0)).await.unwrap(), 1);
    store.commit(Commit::new(StreamId::Register, 0, vec![record("certificate-revoked", b"x")])).await.unwrap();
    let late = store.commit(searched(1, 0)).await;
    assert!(matches!(late, Err(CommitError::Conflict { stream: StreamId::Register, expected: 0, actual: 1 })), "{late:?}");
    assert_eq!(store.load(request(1)).await.unwrap().len(), 1, "nothing is written");
    assert_eq!(store.commit(searched(1, 1)).await.unwrap(), 2);
}

#[tokio::test]
async fn senseless_commits_are_refused() {
    let (_dir, store) = fresh().await;
    let invalid = |c: Result<u64, CommitError>| matches!(c, Err(CommitError::Store(StoreError::Invalid(_))));
    assert!(invalid(store.commit(Commit::new(request(1), 0, vec![])).await));
    let other = Commit { row: Some(row(2, "x")), ..Commit::new(request(1), 0, vec![record("a", b"")]) };
    assert!(invalid(store.commit(other).await));
    let house = Commit { row: Some(row(1, "x")), ..Commit::new(StreamId::House, 0, vec![record("a", b"")]) };
    assert!(invalid(store.commit(house).await));

    let large = |n| Commit::new(request(1), 0, vec![record("a", &vec![0; n])]);
    assert!(matches!(
        store.commit(large(store::MAX_PAYLOAD_BYTES + 1)).await,
        Err(CommitError::Store(StoreError::TooLarge { limit: store::MAX_PAYLOAD_BYTES, .. }))
    ));
    assert_eq!(store.commit(large(store::MAX_PAYLOAD_BYTES)).await.unwrap(), 1);
    let many = vec![record("a", b""); store::MAX_RECORDS_PER_COMMIT + 1];
    assert!(matches!(store.commit(Commit::new(request(2), 0, many)).await, Err(CommitError::Store(StoreError::TooLarge { .. }))));
}

#[tokio::test]
async fn a_draft_saved_meanwhile_is_not_dropped() {
    let (_dir, store) = fresh().await;
    let draft = DraftId::fixed(1);
    let save = |expected, bytes: &[u8]| {
        let put = PutDraft { id: draft, owner: PersonId::fixed(1), leo: LeoId::fixed(1), expected, bytes: bytes.to_vec(), blobs: vec![] };
        store.put_draft(put, at(0))
    };
    save(0, b"as it was sent").await.unwrap();
    save(1, b"edited in another tab").await.unwrap();
    let send = |version| {
        let commit = Commit { drop_draft: Some((draft, version)), ..Commit::new(request(1), 0, vec![record("prepared", b"x")]) };
        store.commit(commit)
    };
    for stale in [0, 1, 3] {
        let refused = send(stale).await;
        assert!(matches!(refused, Err(CommitError::Store(StoreError::Stale { actual: 2 }))), "{refused:?}");
        assert_eq!(store.version(request(1)).await.unwrap(), 0, "nothing is sent either");
    }
    assert_eq!(store.get_draft(draft).await.unwrap().unwrap().bytes, b"edited in another tab");
    send(2).await.unwrap();
    assert!(store.get_draft(draft).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_must_be_alone_one_is() {
    let (_dir, one) = fresh().await;
    let two = Store::open_at(one.place()).await.unwrap();
    let commit = |n: u128, value: &[u8], state: &str| Commit {
        row: Some(row(n, state)),
        index: vec![LookupEntry { kind: "investigation".into(), value: value.to_vec(), class: RetentionClass::Record }],
        alone: Some(Alone { kind: "investigation".into(), value: value.to_vec(), states: vec!["received".into(), "assessing".into()] }),
        ..Commit::new(request(n), 0, vec![record("prepared", b"x")])
    };
    // What is over is in nobody's way, nor is another value.
    one.commit(commit(90, b"heron", "closed")).await.unwrap();
    one.commit(commit(91, b"egret", "received")).await.unwrap();
    let tasks: Vec<_> = (1..=12_u128)
        .map(|n| {
            let (store, commit) = (if n % 2 == 0 { one.clone() } else { two.clone() }, commit(n, b"heron", "received"));
            tokio::spawn(async move { store.commit(commit).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => done += 1,
            Err(CommitError::NotAlone) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(done, 1);
    assert_eq!(one.lookup("investigation", b"heron").await.unwrap().len(), 2, "the closed one and the one that was first");
}

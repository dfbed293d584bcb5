//! Several real processes on one server, each of them killed (SIGKILL) in the middle of its work: nothing that was
//! returned as done is lost, no job is done twice, one log.

use crate::{at, fresh, killed, record, request, row};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use store::{Commit, CommitError, IdempotencyKey, NewJob, Store};

const NUMBER: &str = "COUNTERSIGN_TEST_NODE";
/// Requests that all of them work on.
const REQUESTS: u128 = 4;

/// Not a test: one node. Decides, sequences, claims and finishes jobs for ever, and says what has been returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started as a child process by nodes_that_are_killed_lose_nothing"]
async fn child() {
    let node: u64 = std::env::var(NUMBER).unwrap().parse().unwrap();
    let store = Store::open_at(&killed::place_from_environment()).await.unwrap();
    for step in 0_u64.. {
        let n = u128::from(step) % REQUESTS;
        loop {
            let version = store.version(request(n)).await.unwrap();
            let commit = Commit {
                row: Some(row(n, "received")),
                jobs: vec![NewJob { kind: "x".into(), payload: format!("{{\"by\":\"{node}/{step}\"}}"), run_at: at(0) }],
                idempotency: Some(IdempotencyKey(format!("{node}/{step}"))),
                ..Commit::new(request(n), version, vec![record("noted", b"one")])
            };
            match store.commit(commit).await {
                Ok(version) => {
                    println!("done {n} {version} {node}/{step}");
                    break;
                }
                Err(CommitError::Conflict { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        store.sequence(at(1)).await.unwrap();
        // The lease outlasts the test: what a killed node held is nobody's until its end.
        if let Some(job) = store.claim_job(&node.to_string(), at(1), Duration::from_secs(1_000)).await.unwrap() {
            println!("ran {} -", job.id.0);
            store.finish_job(&job).await.unwrap();
            println!("finished {} -", job.id.0);
        }
    }
}

fn start(store: &Store, node: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "racing::child", "--ignored", "--nocapture"])
        .envs(killed::environment(store.place()))
        .env(NUMBER, node.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn nodes_that_are_killed_lose_nothing() {
    let (_ground, store) = fresh().await;
    let mut said = Vec::new();
    for round in 0..2_u64 {
        let children: Vec<_> = (0..3).map(|n| start(&store, 10 * round + n)).collect();
        let readers: Vec<_> = children
            .into_iter()
            .enumerate()
            .map(|(n, mut child)| {
                std::thread::spawn(move || {
                    let mut said = Vec::new();
                    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
                        let line = line.unwrap();
                        // The harness may put its own words before the first.
                        let Some(at) = ["done ", "ran ", "finished "].iter().find_map(|word| line.find(word)) else { continue };
                        said.push(line[at..].to_owned());
                        // Each at another moment.
                        if said.len() == 40 + 7 * n {
                            child.kill().unwrap();
                        }
                    }
                    assert!(!child.wait().unwrap().success());
                    assert!(said.len() >= 40, "it died by itself: {said:?}");
                    said
                })
            })
            .collect();
        for reader in readers {
            said.extend(reader.join().unwrap());
        }
    }

    let mut newest: BTreeMap<u128, u64> = BTreeMap::new();
    let (mut acknowledged, mut ran, mut finished) = (0, Vec::new(), BTreeSet::new());
    for line in &said {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "done" => {
                acknowledged += 1;
                let version = newest.entry(words[1].parse().unwrap()).or_default();
                *version = (*version).max(words[2].parse().unwrap());
            }
            "ran" => ran.push(words[1].to_owned()),
            _ => assert!(finished.insert(words[1].to_owned()), "finished twice: {line}"),
        }
    }
    // No job was run twice, though six processes asked for jobs at once.
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), ran.len());
    let mut events = 0;
    for n in 0..REQUESTS {
        let version = store.version(request(n)).await.unwrap();
        assert!(version >= newest.get(&n).copied().unwrap_or(0), "what was returned as done is there");
        assert_eq!(store.load(request(n)).await.unwrap().len() as u64, version);
        events += version;
    }
    // Each process was killed at most once between its commit and its word for it.
    assert!(events >= acknowledged && events <= acknowledged + 6, "{events} events, {acknowledged} acknowledged");
    // Every job is finished, or still there: claimable at once, or when a killed node's lease is over.
    let pending = store.pending_jobs().await.unwrap();
    let gone = events - pending;
    assert!(gone >= finished.len() as u64 && gone <= finished.len() as u64 + 6, "{gone} gone, {} said to be finished", finished.len());
    let mut left = BTreeSet::new();
    while let Some(job) = store.claim_job("last", at(5_000), Duration::from_secs(1)).await.unwrap() {
        assert!(left.insert(job.id.0) && !finished.contains(&job.id.0.to_string()));
        store.finish_job(&job).await.unwrap();
    }
    assert_eq!(left.len() as u64, pending);
    store.sequence(at(2)).await.unwrap();
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.fault, report.leaves), (None, events));
}

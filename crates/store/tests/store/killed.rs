//! A real process killed in the middle of writing (SIGKILL), several times over.

use crate::{at, fresh, record, request, row};
use casework::record::RetentionClass;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use store::{Commit, Database, NewJob, Place, Servers, Store};

/// The folder, and on servers the two databases' addresses.
const PLACE: [&str; 3] = ["COUNTERSIGN_TEST_STORE_DIR", "COUNTERSIGN_TEST_RECORDS_URL", "COUNTERSIGN_TEST_KEYS_URL"];

pub fn place_from_environment() -> Place {
    let [dir, records, keys] = PLACE.map(|name| std::env::var(name).ok());
    let database = match (records, keys) {
        (Some(records), Some(keys)) => Database::Postgres(Servers::new(&records, &keys).unwrap()),
        _ => Database::Folder,
    };
    Place { database, ..Place::folder(Path::new(&dir.expect("only started by its parent"))) }
}

pub fn environment(place: &Place) -> Vec<(&'static str, String)> {
    let mut values = vec![place.dir.display().to_string()];
    if let Database::Postgres(servers) = &place.database {
        values.extend([servers.records().to_owned(), servers.keys().to_owned()]);
    }
    PLACE.into_iter().zip(values).collect()
}

/// Not a test: the process that is killed. Writes for ever, and says what has been returned as done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started as a child process by killed_writers_lose_nothing"]
async fn child() {
    let store = Store::open_at(&place_from_environment()).await.unwrap();
    let sequencer = store.clone();
    tokio::spawn(async move {
        loop {
            sequencer.sequence(at(1)).await.unwrap();
        }
    });
    loop {
        for n in 1..=3_u128 {
            let version = store.version(request(n)).await.unwrap();
            let blob = store.put_blob(request(n), RetentionClass::Images, b"image", at(0)).await.unwrap();
            let commit = Commit {
                row: Some(row(n, "received")),
                jobs: vec![NewJob { kind: "x".into(), payload: "{}".into(), run_at: at(0) }],
                blobs: vec![blob],
                ..Commit::new(request(n), version, vec![record("noted", b"one"), record("noted", b"two")])
            };
            let version = store.commit(commit).await.unwrap();
            println!("done {n} {version}");
        }
    }
}

#[tokio::test]
async fn killed_writers_lose_nothing() {
    let (_dir, store) = fresh().await;
    let place = store.place().clone();
    store.close().await;
    let mut done: HashMap<u128, u64> = HashMap::new();
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child", "--ignored", "--nocapture"])
            .envs(environment(&place))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            // The harness may put its own words before the first.
            let Some(at) = line.find("done ") else {
                continue;
            };
            let mut words = line[at + 5..].split(' ');
            let n = words.next().unwrap().parse().unwrap();
            done.insert(n, words.next().unwrap().parse().unwrap());
            seen += 1;
            if seen == 8 + round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(seen >= 8 + round, "the child died by itself");

        let store = Store::open_at(&place).await.unwrap();
        let mut events = 0;
        for (n, version) in &done {
            let loaded = store.load(request(*n)).await.unwrap();
            // What was returned is there; at most one more, whole, that was not yet said.
            let now = loaded.len() as u64;
            assert!(now == *version || now == version + 2, "{now} of {version}");
            assert!(loaded.iter().all(|r| r.payload.is_some()));
            let row = store.queue_row(casework::ids::RequestId::fixed(*n)).await.unwrap().unwrap();
            assert_eq!(row.version, now, "the row is as new as the events");
            events += now;
        }
        assert_eq!(store.pending_jobs().await.unwrap(), events / 2, "one job for each commit");
        store.sequence(at(2)).await.unwrap();
        let report = store.verify_log().await.unwrap();
        assert_eq!((report.fault, report.leaves, report.opened), (None, events, events));
        let later = jiff::Timestamp::from_second(4_000_000_000).unwrap();
        assert!(store.sweep_orphans(later).await.unwrap().blobs <= 2, "at most the one on its way, and a part of it");
        assert!(store.verify_log().await.unwrap().verified());
        store.close().await;
    }
}

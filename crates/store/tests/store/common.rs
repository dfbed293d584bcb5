//! What the tests of both databases make their stores and records of.

use casework::ids::{LeoId, PersonId, RequestId};
use casework::record::{GalleryId, Header, NewRecord, RetentionClass, StreamId};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use store::QueueRow;

pub const ORIGIN: &str = "example.org/countersign-test";

/// A second of a fixed day, so that nothing depends on the clock.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub fn request(n: u128) -> StreamId {
    StreamId::Request(RequestId::fixed(n))
}

pub fn record(kind: &str, payload: &[u8]) -> NewRecord {
    classed(kind, RetentionClass::Record, payload)
}

pub fn classed(kind: &str, class: RetentionClass, payload: &[u8]) -> NewRecord {
    let header = Header {
        kind: kind.to_owned(),
        at: at(1),
        gallery: Some(GalleryId::Passport),
        leo: Some(LeoId::fixed(1)),
        clauses: vec!["A6".into(), "A7".into()],
        outcome: None,
        state: None,
        policy: "v1".into(),
        class,
        trial: false,
    };
    NewRecord { header, payload: payload.to_vec() }
}

pub fn row(n: u128, state: &str) -> QueueRow {
    QueueRow {
        request: RequestId::fixed(n),
        version: 1,
        gallery: GalleryId::Passport,
        leo: LeoId::fixed(1),
        team: None,
        state: state.to_owned(),
        urgent: false,
        sensitive: false,
        received_at: at(i64::try_from(n).unwrap()),
        due_at: None,
        changed_at: at(1),
        requester: PersonId::fixed(100),
        approver: None,
        assignee: None,
        trial: false,
        flags: "{}".to_owned(),
        people: vec![(PersonId::fixed(100), "requester".to_owned())],
    }
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files of the data directory that hold these bytes.
pub fn holding(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    assert!(needle.len() >= 12, "a short needle is found by chance");
    let mut found = files(dir);
    found.retain(|f| std::fs::read(f).unwrap().windows(needle.len()).any(|w| w == needle));
    found
}

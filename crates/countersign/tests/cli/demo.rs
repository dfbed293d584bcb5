//! `demo`, `audit` and `token` on what it made.

use crate::run::{Place, run};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

fn headless(place: &Place) -> crate::run::Ran {
    run(&["demo", "--headless", "--synthetic", "1000", "--data", place.data.to_str().unwrap()])
}

#[test]
fn m2_the_headless_demo_walks_the_seven_words_and_ends_with_one_json_line() {
    let place = Place::new();
    let ran = headless(&place).well();
    let lines: Vec<&str> = ran.out.lines().collect();
    let words: Vec<&str> = lines.iter().map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(words[..7], ["intake", "assess", "search", "review", "respond", "retain", "report"]);
    assert_eq!(lines.len(), 8, "{lines:#?}");
    let said = ran.json();
    let keys: BTreeSet<&str> = said.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["outcome", "request", "searched", "candidates", "confirmed_by", "ledger_size", "ledger_verified"]));
    assert_eq!((&said["outcome"], said["confirmed_by"].as_u64(), &said["ledger_verified"]), (&"match".into(), Some(2), &true.into()));
    let (searched, candidates) = (said["searched"].as_u64().unwrap(), said["candidates"].as_u64().unwrap());
    assert!(searched > 1_000 && (1..=10).contains(&candidates), "{said}");
    assert!(said["request"].as_str().unwrap().starts_with("FIS-"));

    // An auditor's view of the same folder.
    let verified = place.holds();
    assert_eq!(verified["size"], said["ledger_size"]);
    assert!(verified["erased"].as_u64().unwrap() >= 1, "the unmatched candidates went at once");
    assert!(verified["checkpoint"].as_str().unwrap().starts_with("countersign/log\n"));
    assert!(verified["key"].as_str().unwrap().starts_with("countersign/log+"));
    assert!(place.run(&["audit", "verify"]).well().out.contains("Everything holds."));
    assert!(place.run(&["audit", "replay"]).well().out.contains("0 differ"));

    // A token of the API, by name or id; never for a stranger, never for longer than the limit.
    let token = place.run(&["token", "Sam Okafor", "--days", "1"]).well().out;
    assert!(token.starts_with("cst_") && token.trim().len() == 4 + 64, "{token}");
    assert_ne!(place.run(&["token", "Sam Okafor"]).well().out, token);
    assert!(place.run(&["token", "Nobody Atall"]).badly().said().contains("nobody of that id or name"));
    assert_eq!(place.run(&["token", "Sam Okafor", "--days", "91"]).code, Some(2));
    // Only its hash is kept.
    let secret = token.trim().as_bytes();
    for file in ["store/records.db", "store/records.db-wal"] {
        let bytes = fs::read(place.data.join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{file} holds the token");
    }
    // What was issued is in the log.
    assert_eq!(place.holds()["size"].as_u64().unwrap(), said["ledger_size"].as_u64().unwrap() + 2);
    assert_eq!(place.run(&["work", "--once"]).well().out.trim(), "0 jobs done, 0 failed");

    // A second run starts clean.
    let again = headless(&place).well().json();
    assert_ne!(again["request"], said["request"]);
    assert_eq!(again["ledger_size"], said["ledger_size"]);
}

#[test]
fn the_demo_clears_its_own_folder_only() {
    let place = Place::new();
    fs::create_dir_all(&place.data).unwrap();
    fs::write(place.data.join("thesis.txt"), "mine").unwrap();
    let said = headless(&place).badly().said();
    assert!(said.contains("is not a demo's folder") && said.contains("--data"), "{said}");
    assert_eq!(fs::read_to_string(place.data.join("thesis.txt")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&place.data).unwrap().count(), 1);
}

#[test]
fn the_demo_which_signs_anybody_in_listens_on_this_machine_only() {
    let place = Place::new();
    for address in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:0"] {
        let said = run(&["demo", "--listen", address, "--data", place.data.to_str().unwrap()]).badly().said();
        assert!(said.contains("on this machine only"), "{said}");
    }
    assert!(!place.data.exists(), "nothing was made");
}

#[test]
fn d5_audit_fails_when_the_record_was_changed() {
    let place = Place::new();
    headless(&place).well();
    // One byte of one image that is part of the record.
    let mut blobs: Vec<_> =
        fs::read_dir(place.data.join("store/blobs")).unwrap().flatten().flat_map(|d| fs::read_dir(d.path()).unwrap().flatten()).collect();
    blobs.sort_by_key(fs::DirEntry::path);
    let blob = blobs[0].path();
    let bytes = fs::read(&blob).unwrap();
    let mut changed = bytes.clone();
    changed[100] ^= 1;
    fs::write(&blob, &changed).unwrap();
    let ran = place.run(&["audit", "verify", "--json"]).badly();
    assert_eq!(ran.json()["verified"], Value::Bool(false));
    assert!(ran.json()["fault"].as_str().unwrap().contains("missing or changed"), "{ran:#?}");
    let words = place.run(&["audit", "verify"]).badly().out;
    assert!(words.contains("WRONG:"), "{words}");
    fs::write(&blob, &bytes).unwrap();
    place.holds();
}

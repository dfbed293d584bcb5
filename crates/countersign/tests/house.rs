//! The house plan, held to: which room may know which, and how pure the law is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Each crate of the workspace with what it depends on, outside its tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let said = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let metadata: Value = serde_json::from_slice(&said.stdout).unwrap();
    let of = |p: &Value| {
        let dependencies = p["dependencies"].as_array().unwrap().iter();
        dependencies.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap().to_owned()).collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|p| (p["name"].as_str().unwrap().to_owned(), of(p))).collect()
}

#[test]
fn the_rooms_depend_on_each_other_as_the_plan_says() {
    let all = dependencies();
    let plan: BTreeMap<&str, &[&str]> = [
        ("abis", &[][..]),
        ("casework", &[]),
        ("hostile", &[]),
        ("ledger", &[]),
        ("face", &[]),
        ("gallery", &[]),
        ("decoder", &[]),
        ("witness", &["ledger"]),
        ("nist", &[]),
        ("store", &["casework", "ledger"]),
        ("bureau", &["abis", "casework", "decoder", "face", "gallery", "ledger", "nist", "store", "witness"]),
        ("web", &["bureau", "casework"]),
        ("countersign", &["abis", "bureau", "casework", "decoder", "face", "gallery", "ledger", "store", "web", "witness"]),
    ]
    .into();
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), plan.keys().copied().collect::<Vec<_>>(), "every crate is in the plan");
    for (room, may) in plan {
        let rooms: Vec<&str> = all[room].iter().filter(|d| all.contains_key(*d)).map(String::as_str).collect();
        assert_eq!(rooms, may, "{room}");
    }
}

#[test]
fn one_room_holds_the_sql_one_the_model_runtime_and_one_the_image_formats() {
    let all = dependencies();
    let who = |needs: &str| all.iter().filter(|(_, d)| d.contains(needs)).map(|(room, _)| room.as_str()).collect::<Vec<_>>();
    assert_eq!(who("sqlx"), ["store"]);
    assert_eq!(who("object_store"), ["store"]);
    assert_eq!(who("ort"), ["face"]);
    assert_eq!(who("image"), ["decoder"]);
    assert_eq!(who("axum"), ["web"]);
    assert_eq!(who("tokio-rustls"), ["abis"], "one room calls other machines");
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut out = vec![];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out
}

#[test]
fn the_law_reads_no_clock_no_chance_no_file_and_no_network() {
    let casework = root().join("crates/casework");
    let files = sources(&casework.join("src"));
    assert!(files.len() > 20, "it looks at the whole room");
    let forbidden = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "SystemTime",
        "Instant",
        "rand",
        "getrandom",
        "tokio",
        "async fn",
        "now_v7",
        "new_v4",
        "Timestamp::now",
        "Zoned::now",
        "unsafe",
        "println!",
    ];
    for file in files.iter().filter(|f| !f.ends_with("testing.rs")) {
        let text = fs::read_to_string(file).unwrap();
        // What is written for the room's own tests, and remarks, may say these words.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (n, line) in code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for word in forbidden {
                let at = line.match_indices(word).any(|(at, _)| {
                    let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
                    alone(line[..at].chars().next_back()) && alone(line[at + word.len()..].chars().next())
                });
                assert!(!at, "{}:{} says {word}", file.display(), n + 1);
            }
        }
    }
    let needs = &dependencies()["casework"];
    let permitted: BTreeSet<String> = ["serde", "serde_json", "thiserror", "jiff", "uuid", "strum", "hex", "toml"].map(String::from).into();
    assert!(needs.is_subset(&permitted), "{:?}", needs.difference(&permitted));
}

#[test]
fn no_crate_allows_unsafe_code_beyond_the_rooms_that_say_why() {
    // The gallery maps files into memory: the one place, with its reasons beside it.
    let with: BTreeSet<String> = sources(&root().join("crates"))
        .into_iter()
        .filter(|f| fs::read_to_string(f).unwrap().lines().any(|l| l.contains("allow(unsafe_code") && !l.contains("l.contains")))
        .map(|f| f.strip_prefix(root().join("crates")).unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned())
        .collect();
    let permitted: BTreeSet<String> = ["gallery"].map(String::from).into();
    assert!(with.is_subset(&permitted), "{with:?}");
}

#[test]
fn files_stay_short_enough_to_read() {
    for file in sources(&root().join("crates")) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 800, "{} has {lines} lines: split it by noun", file.display());
    }
}

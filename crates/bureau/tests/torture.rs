//! A short run of the crash and fault campaign: `examples/torture` (docs/TORTURE.md).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::process::{Command, Output};

/// Cycles of a short run; the seed is always the same, the moments at which a process is killed are not.
const CYCLES: &str = "60";
/// It ends after so many seconds whatever it has done by then.
const SECONDS: &str = "25";

#[test]
fn killed_cut_off_full_and_raced_everything_acknowledged_is_there() {
    let ran = torture(&["--cycles", CYCLES, "--seed", "7", "--seconds", SECONDS]);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    println!("{said}");
    assert!(said.contains("everything held after each") && said.contains("| PowerCut |"), "{said}");
    assert!(said.contains("of 3 witnesses required") && !said.contains("; 0 answers left;"), "{said}");
    assert!(!said.contains("0 cycles began with a change of it"), "{said}");
}

/// The same campaign on a disk that lies about its flushes, which nothing survives: it sees what is lost.
#[test]
fn a_disk_that_lies_is_found_out() {
    let ran = torture(&["--cycles", "48", "--seed", "7", "--seconds", SECONDS, "--liar", "1"]);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(!ran.status.success() && said.contains("WRONG after cycle"), "{said}");
}

/// Lives whose witnesses are out of reach, and whose processes do not wait for them: it sees what left too early.
#[test]
fn an_answer_that_left_before_its_witnesses_is_found_out() {
    let ran = torture(&["--cycles", "240", "--seed", "7", "--seconds", SECONDS, "--careless", "1"]);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(!ran.status.success() && said.contains("under 2 witnesses, and they do not cover"), "{said}");
}

/// The same lives on PostgreSQL: nodes killed alone and by twos, connections ended, the server crashed under them.
#[test]
fn on_postgresql_nodes_killed_connections_lost_and_the_server_crashed_lose_nothing() {
    let ran = torture(&["--cycles", "10", "--seed", "7", "--seconds", "60", "--postgres", "1"]);
    let (said, why) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{why}");
    println!("{said}{why}");
    let left_out = why.contains("NOT RUN");
    let faults = ["KilledAtAnyMoment", "ClockJumps", "TwoNodesKilled", "LostConnections", "ServerCrashed"];
    assert!(left_out || said.contains("everything held after each") && faults.iter().all(|f| said.contains(f)), "{said}");
}

fn torture(arguments: &[&str]) -> Output {
    let example = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/torture");
    assert!(example.exists(), "{} is missing: cargo builds it with the tests of the whole package", example.display());
    let ran = Command::new(example).args(arguments).env("TMPDIR", env!("CARGO_TARGET_TMPDIR")).output();
    ran.unwrap()
}

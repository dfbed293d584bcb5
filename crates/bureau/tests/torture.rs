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
}

/// The same campaign on a disk that lies about its flushes, which nothing survives: it sees what is lost.
#[test]
fn a_disk_that_lies_is_found_out() {
    let ran = torture(&["--cycles", "48", "--seed", "7", "--seconds", SECONDS, "--liar", "1"]);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(!ran.status.success() && said.contains("WRONG after cycle"), "{said}");
}

fn torture(arguments: &[&str]) -> Output {
    let example = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/torture");
    assert!(example.exists(), "{} is missing: cargo builds it with the tests of the whole package", example.display());
    let ran = Command::new(example).args(arguments).env("TMPDIR", env!("CARGO_TARGET_TMPDIR")).output();
    ran.unwrap()
}

//! What a decoding child cannot do, tried from inside: by each layer alone, and by all of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use decoder::{Decoder, Held};
use std::{os::unix::process::ExitStatusExt, process::Command};

/// How a deed ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was possible.
    Done,
    /// The kernel answered no.
    Refused,
    /// The kernel ended the process.
    Killed,
}

fn tried(layers: &str, deed: &str) -> End {
    let run = Command::new(env!("CARGO_BIN_EXE_try-confined")).args([layers, deed]).output().unwrap();
    match (run.status.code(), run.status.signal()) {
        (Some(0), _) => End::Done,
        (Some(10), _) => End::Refused,
        (_, Some(signal)) if signal == libc::SIGSYS => End::Killed,
        _ => panic!("{layers} {deed}: {run:?}"),
    }
}

const DEEDS: [&str; 6] = ["open", "create", "listen", "thread", "process", "exec"];

async fn held() -> decoder::Confinement {
    Decoder::new(env!("CARGO_BIN_EXE_decode-child").into(), vec![]).confinement().await.unwrap()
}

/// Says what was left out, so that a kernel without a layer does not look like one that was tried.
fn lacks(layer: &str, held: &Held) -> bool {
    if *held != Held::Full {
        eprintln!("NOT TRIED: {layer} holds {held} here");
    }
    *held != Held::Full
}

#[test]
fn without_layers_all_of_it_is_possible() {
    for deed in DEEDS {
        assert_eq!(tried("none", deed), End::Done, "{deed}: or nothing below would prove anything");
    }
}

#[test]
fn the_limits_alone_refuse_files_and_sockets() {
    for deed in ["open", "create", "listen"] {
        assert_eq!(tried("limits", deed), End::Refused, "{deed}");
    }
}

#[tokio::test]
async fn landlock_alone_refuses_files_sockets_and_programs() {
    if lacks("Landlock", &held().await.landlock) {
        return;
    }
    for deed in ["open", "create", "listen", "process", "exec"] {
        assert_eq!(tried("landlock", deed), End::Refused, "{deed}");
    }
}

#[tokio::test]
async fn seccomp_alone_ends_whoever_tries_anything() {
    if lacks("seccomp", &held().await.seccomp) {
        return;
    }
    assert_eq!(tried("seccomp", "nothing"), End::Done);
    // New processes and threads too, also for root, whom the limit on processes does not hold.
    for deed in DEEDS {
        assert_eq!(tried("seccomp", deed), End::Killed, "{deed}");
    }
}

#[tokio::test]
async fn a_child_with_every_layer_can_do_nothing_but_answer() {
    let held = held().await;
    assert_eq!(held.limits, Held::Full);
    assert_eq!(tried("landlock,limits,seccomp", "nothing"), End::Done);
    for deed in DEEDS {
        let thread_of_root = deed == "thread" && held.seccomp != Held::Full;
        assert!(thread_of_root || tried("landlock,limits,seccomp", deed) != End::Done, "{deed}");
    }
}

#[tokio::test]
async fn what_does_not_hold_is_named() {
    let all = decoder::Confinement { limits: Held::Full, landlock: Held::Absent("why".into()), seccomp: Held::Part("how".into()) };
    assert_eq!(all.gaps(), ["Landlock: not at all (why)", "seccomp: in part (how)"]);
    let broken = Decoder::new("/bin/false".into(), vec![]).confinement().await.unwrap_err();
    assert!(!broken.is_refusal(), "{broken}");
    assert!(Decoder::new("/bin/true".into(), vec![]).confinement().await.is_err(), "no answer is not an answer");
}

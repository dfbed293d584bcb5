//! The one binary from outside: real processes, real folders, real photographs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bundle;
mod certificate;
mod demo;
mod enrol;
mod evaluate;
mod exchange;
mod galleries;
mod killed;
mod packs;
mod run;
mod witness;
mod words;

//! The one binary from outside: real processes, real folders, real photographs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod demo;
mod enrol;
mod galleries;
mod killed;
mod run;
mod words;

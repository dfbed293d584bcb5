//! The one binary from outside: real processes, real folders, real photographs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../killed/address.rs"]
mod address;
mod bundle;
mod certificate;
#[path = "../../../store/tests/postgres/cluster.rs"]
mod cluster;
mod copies;
mod demo;
mod elsewhere;
mod enrol;
mod evaluate;
mod exchange;
mod galleries;
mod killed;
mod nodes;
mod packs;
mod run;
mod witness;
mod words;

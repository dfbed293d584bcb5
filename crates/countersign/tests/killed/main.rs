//! Killed at every step: a whole request, from the first word typed to the last record erased, through the
//! real server, cut off at every change that it makes to its files, and at every exchange with a client.
//! Reopened, the log verifies, nothing is half done, and the same call sent again leads to the same end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod address;
mod cut;
mod every_change;
mod every_exchange;
mod form;
mod founding;
mod ground;
#[path = "../../../bureau/tests/common/measured.rs"]
mod measured;
mod server;
mod stopped;
mod story;

/// The demo's people, as the binary has them.
#[path = "../../src/demo/people.rs"]
#[allow(dead_code)]
mod people;

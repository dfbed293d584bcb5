//! The rules of the policy, tried from outside: clause by clause, cell by cell, and over every path.
// Helpers beside the tests fail a test as the tests themselves do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod answer;
mod assess;
mod certificate;
mod coverage;
mod decade;
mod erasure;
mod export;
mod hold;
mod intake;
mod model;
mod replaced;
mod sealed;
mod sequences;
mod states;
mod support;
mod trial;

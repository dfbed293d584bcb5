//! The use cases over a real house: see `house`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod affected;
mod again;
mod certificate;
#[path = "../../../store/tests/postgres/cluster.rs"]
mod cluster;
mod elsewhere;
mod erased;
mod hidden;
mod house;
mod images;
mod looked;
#[path = "../common/measured.rs"]
mod measured;
mod processing;
mod record;
mod retained;
mod search;
mod together;
mod trial;
mod witnessed;

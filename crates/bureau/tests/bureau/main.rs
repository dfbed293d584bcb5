//! The use cases over a real house: see `house`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod again;
mod certificate;
mod hidden;
mod house;
mod images;
#[path = "../common/measured.rs"]
mod measured;
mod processing;
mod record;
mod search;
mod together;
mod witnessed;

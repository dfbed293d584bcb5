//! The use cases over a real house: see `house`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod house;
mod search;

#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod error;
mod settings;
mod wire;

pub use answer::{Asked, Candidate};
pub use client::{Abis, Enrolled};
pub use error::Error;
pub use settings::Settings;

use std::time::Duration;

/// The longest answer that is read, in bytes. Ten candidates take a few thousand.
pub const ANSWER_BYTES_MAX: usize = 1_000_000;
/// The longest that a search may take, all calls together, in seconds: a worker holds its job for 120.
pub const ANSWER_SECONDS_MAX: u64 = 90;
/// How long a connection may take to be made.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The longest id of a gallery there, in characters.
pub const GALLERY_ID_CHARS_MAX: usize = 64;

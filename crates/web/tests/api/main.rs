//! The JSON API through the whole router, over a real house: the same rules and refusals as the pages,
//! nothing that a caller may not know, and every answer of the shape that the document says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accuracy;
mod conform;
mod document;
mod doors;
mod house;
#[path = "../../../bureau/tests/common/measured.rs"]
mod measured;
mod story;
mod trials;

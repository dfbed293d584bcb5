//! The law and the life of a request. Pure: no IO, no async, no SQL, no clock, no randomness.
//!
//! A request is its recorded events. [`decide::decide`] takes a request as it stands, a command, and a
//! context (who, the register, the policy, now) and gives events, or every refusal at once with the
//! clauses it rests on. [`request::Request::fold`] turns events back into the request.
//!
//! Rule → place: S and R2 `decide/intake.rs` and `form.rs`; R1, R3, V1 `decide/handle.rs` and
//! `people.rs`; A `assess.rs` and `decide/assess.rs`; **A7** `crime.rs`; M1 `decide/search.rs`; M2, M3
//! `review.rs` and `decide/review.rs`; O, V2, V3, W `decide/respond.rs` and `disclosure.rs`; D3
//! `retain.rs`; D4 `report.rs`; P1 `certificate.rs` and `trial.rs`; D5 `processing.rs` and `witnessed.rs`; who may do what `access.rs`. Words and numbers: `policy/v1.toml`.

pub mod access;
pub mod asked;
pub mod assess;
pub mod calendar;
pub mod certificate;
pub mod clause;
pub mod command;
pub mod coverage;
pub mod crime;
pub mod decide;
pub mod disclosure;
pub mod event;
pub mod export;
pub mod form;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod hold;
pub mod ids;
pub mod image_log;
pub mod limits;
pub mod people;
pub mod policy;
pub mod probe;
pub mod processing;
pub mod record;
pub mod refusal;
pub mod report;
pub mod request;
pub mod retain;
pub mod review;
pub mod task;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trial;
pub mod witnessed;

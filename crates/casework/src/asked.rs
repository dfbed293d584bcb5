//! What is asked and answered in the life of a request.

use crate::event::ReviewResult;
use serde::{Deserialize, Serialize};

/// A question put to the force and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clarification {
    /// What was asked.
    pub question: String,
    /// What was answered.
    pub answer: Option<String>,
}

/// A review asked for, and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The force's reasons.
    pub reasons: String,
    /// The leader's result and reasons.
    pub result: Option<(ReviewResult, String)>,
}

/// Asked-for onward sharing of a sensitive answer (V3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onward {
    /// To whom.
    pub to: String,
    /// Why.
    pub reasons: String,
    /// The answer.
    pub decision: Option<(bool, String)>,
}

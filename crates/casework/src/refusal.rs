//! A refusal says what the policy forbids, in plain words, with the clauses. All come at once.

use crate::{clause::Clause, form::Field};
use serde::{Deserialize, Serialize};

/// One reason why a command cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The clauses it rests on; empty only for housekeeping (a stale form, an unknown id).
    pub clauses: Vec<Clause>,
    /// What is wrong and what to do, in plain words. Never holds personal data.
    pub words: String,
    /// The question on the form that it is about.
    pub field: Option<Field>,
}

/// A refusal that cites clauses.
#[must_use]
pub fn refuse(clauses: &[Clause], words: impl Into<String>) -> Refusal {
    Refusal { clauses: clauses.to_vec(), words: words.into(), field: None }
}

/// A refusal about one question of the form.
#[must_use]
pub fn refuse_field(clause: Clause, field: Field, words: impl Into<String>) -> Refusal {
    Refusal { clauses: vec![clause], words: words.into(), field: Some(field) }
}

//! Whether each clause of the policy has a rule in the code and a test that names it. What the code
//! holds is found by [`scan`] when the binary is built; what it must hold is the policy and the list of
//! deferred clauses.

pub mod scan;

use crate::{
    clause::{Clause, Strength},
    policy::{Deferred, Policy},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Path from the repository's root.
    pub file: String,
    /// Line number, from 1.
    pub line: u32,
    /// The test's name; none for a rule.
    #[serde(default)]
    pub name: Option<String>,
}

/// The rules and tests of one clause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Where the code applies it.
    #[serde(default)]
    pub rules: Vec<Place>,
    /// The tests that name it.
    #[serde(default)]
    pub tests: Vec<Place>,
}

/// What was found in the code, by clause.
pub type Found = BTreeMap<Clause, Places>;

/// How a clause stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It has a rule and a test.
    Covered,
    /// It is not a MUST, and lacks a rule or a test: allowed.
    Optional,
    /// Later work will enforce it, for this reason.
    Deferred(String),
    /// It is a MUST and lacks something.
    Missing {
        /// It lacks a rule.
        rule: bool,
        /// It lacks a test.
        test: bool,
    },
    /// It is deferred and must not be, for this reason.
    WronglyDeferred(String),
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The clause.
    pub clause: Clause,
    /// MUST, SHOULD, MAY, or none for a statement.
    pub strength: Option<Strength>,
    /// Its words.
    pub text: String,
    /// Where the code applies it.
    pub rules: Vec<Place>,
    /// The tests that name it.
    pub tests: Vec<Place>,
    /// How it stands.
    pub status: Status,
}

/// Whether a clause may be deferred at all: mail (D2, S5), the force's attestations (L), the public
/// register (T), accuracy (P), custody (C), live recognition (F) and further galleries (G). No other.
#[must_use]
pub fn may_be_deferred(clause: Clause) -> bool {
    matches!(clause, Clause::D2 | Clause::S5) || clause.to_string().starts_with(['L', 'T', 'P', 'C', 'F', 'G'])
}

/// Reads what the build script found: a JSON object of clause id → rules and tests.
///
/// # Errors
/// When it is not that, or names a clause that the policy does not have.
pub fn read(json: &str) -> Result<Found, serde_json::Error> {
    serde_json::from_str(json)
}

/// Sets the policy beside what was found: one line for each clause, in the policy's order.
#[must_use]
pub fn check(policy: &Policy, deferred: &[Deferred], found: &Found) -> Vec<Line> {
    let nothing = Places::default();
    policy
        .clauses
        .iter()
        .map(|c| {
            let places = found.get(&c.id).unwrap_or(&nothing);
            let (rule, test) = (places.rules.is_empty(), places.tests.is_empty());
            let must = c.strength == Some(Strength::Must);
            let wrong = |words: &str| Status::WronglyDeferred(words.into());
            let mut entries = deferred.iter().filter(|d| d.id == c.id);
            let status = match (entries.next(), entries.next()) {
                (Some(_), Some(_)) => wrong("It is on the list twice."),
                (Some(_), None) if !may_be_deferred(c.id) => wrong("This clause may not be left to later work."),
                (Some(_), None) if !must => wrong("It is not a MUST, so there is nothing to defer."),
                (Some(_), None) if !rule && !test => wrong("It has a rule and a test by now: take it off the list."),
                (Some(d), None) if d.reason.trim().is_empty() => wrong("It gives no reason."),
                (Some(d), None) => Status::Deferred(d.reason.clone()),
                (None, _) if !rule && !test => Status::Covered,
                (None, _) if must => Status::Missing { rule, test },
                (None, _) => Status::Optional,
            };
            Line {
                clause: c.id,
                strength: c.strength,
                text: c.text.clone(),
                rules: places.rules.clone(),
                tests: places.tests.clone(),
                status,
            }
        })
        .collect()
}

/// Whether nothing is missing and nothing is wrongly deferred.
#[must_use]
pub fn ok(lines: &[Line]) -> bool {
    !lines.iter().any(|l| matches!(l.status, Status::Missing { .. } | Status::WronglyDeferred(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use scan::{Kind, scan};

    fn ids() -> Vec<String> {
        Policy::in_force(jiff::civil::Date::MAX).clauses.iter().map(|c| c.id.to_string()).collect()
    }

    #[test]
    fn the_scanner_tells_rules_from_tests() {
        let text = "\
use crate::clause::Clause;
fn rule() { refuse(&[Clause::A7, Clause::A10], \"no\") } // [rule: D1]
#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a7_is_tested() { assert_eq!(x, Clause::A8); }
    #[test]
    #[ignore]
    fn a10_is_switched_off() {}
    #[test]
    fn a9_runs() {}
    fn a1_is_no_test() {}
}
";
        let hits: Vec<_> =
            scan(&ids(), "crates/x/src/lib.rs", text).into_iter().map(|h| (h.clause, h.kind == Kind::Test, h.line)).collect();
        let want = [("A7", false, 2), ("A10", false, 2), ("D1", false, 2), ("A7", true, 6), ("A9", true, 11)];
        assert_eq!(hits, want.map(|(c, t, l)| (c.to_owned(), t, l)));
        assert!(scan(&ids(), "crates/x/tests/it.rs", "x(Clause::A7)").is_empty());
        let page = scan(&ids(), "tools/browser/a.mjs", "test('A7: the limb', go)");
        assert_eq!((page.len(), page[0].kind), (1, Kind::Test));
        assert!(scan(&ids(), "tools/browser/a.mjs", "test.skip('A7: the limb', go)\ntest('A7: it', { todo: true }, go)").is_empty());
    }

    fn covered(lines: &[Line], clause: Clause) -> Status {
        lines.iter().find(|l| l.clause == clause).unwrap().status.clone()
    }

    #[test]
    fn nothing_else_may_be_deferred() {
        let policy = Policy::in_force(jiff::civil::Date::MAX);
        let place = Place { file: "x".into(), line: 1, name: None };
        let both = Places { rules: vec![place.clone()], tests: vec![place.clone()] };
        let all: Found = policy.clauses.iter().map(|c| (c.id, both.clone())).collect();
        assert!(ok(&check(policy, &[], &all)));
        let deferring = |id, reason: &str| vec![Deferred { id, reason: reason.into() }];
        let with = |d: Vec<Deferred>, found: &Found| check(policy, &d, found);
        let stands = |lines: &[Line], clause| covered(lines, clause);
        // A rule that is there must not be hidden behind the list.
        let lines = with(deferring(Clause::T1, "later"), &all);
        assert!(matches!(stands(&lines, Clause::T1), Status::WronglyDeferred(_)));
        // The law itself cannot be put off.
        let lines = with(deferring(Clause::A7, "later"), &Found::new());
        assert!(matches!(stands(&lines, Clause::A7), Status::WronglyDeferred(_)));
        assert!(!ok(&lines));
        // Nor what is no MUST, nor anything without a reason.
        let lines = with(deferring(Clause::F3, "later"), &Found::new());
        assert!(matches!(stands(&lines, Clause::F3), Status::WronglyDeferred(_)));
        let lines = with(deferring(Clause::T1, " "), &Found::new());
        assert!(matches!(stands(&lines, Clause::T1), Status::WronglyDeferred(_)));
        let lines = with(deferring(Clause::T1, "later"), &Found::new());
        assert_eq!(stands(&lines, Clause::T1), Status::Deferred("later".into()));
        assert_eq!(stands(&lines, Clause::A7), Status::Missing { rule: true, test: true });
        assert_eq!(stands(&lines, Clause::S6), Status::Optional);
        // Half is not enough.
        let half: Found = [(Clause::A7, Places { rules: vec![place], tests: vec![] })].into();
        assert_eq!(stands(&with(vec![], &half), Clause::A7), Status::Missing { rule: false, test: true });
    }

    #[test]
    fn an_unknown_clause_is_an_error() {
        assert!(read(r#"{"A7":{"rules":[{"file":"a","line":1}]}}"#).is_ok());
        assert!(read(r#"{"Z9":{}}"#).is_err());
    }
}

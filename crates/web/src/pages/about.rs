//! Pages about the service itself, open to everybody: the policy clause by clause, what is recorded,
//! privacy, accessibility.

use super::Routes;
use crate::{errors::PageError, page::OpenPage};
use axum::{Router, response::Response, routing::get};
use casework::{clause::Strength, policy::Policy};
use jiff::{Timestamp, tz::TimeZone};
use minijinja::{Value, context};

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/policy", get(policy))
            .route("/accessibility", get(accessibility))
            .route("/privacy", get(privacy))
            .route("/recorded", get(recorded)),
    )
}

/// The letters that clauses begin with, in the order of the policy, and what each part is about.
const PARTS: &[(&str, &str)] = &[
    ("R", "Roles"),
    ("S", "Submission"),
    ("A", "Assessment, before any search"),
    ("M", "Search and matching"),
    ("O", "Outcomes and responses"),
    ("V", "Vulnerable people"),
    ("L", "What the law enforcement organisation must do"),
    ("W", "Rejection and its review"),
    ("D", "Data, records and assurance"),
    ("T", "Transparency register"),
    ("P", "Accuracy and human decision"),
    ("C", "Custody images"),
    ("F", "Live facial recognition"),
    ("G", "Other galleries"),
];

async fn policy(page: OpenPage) -> Result<Response, PageError> {
    let today = Timestamp::now().to_zoned(TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC)).date();
    let policy = Policy::in_force(today);
    let parts: Vec<Value> = PARTS
        .iter()
        .map(|(letter, name)| {
            let clauses: Vec<Value> = policy
                .clauses
                .iter()
                .filter(|c| c.id.to_string().trim_end_matches(|d: char| d.is_ascii_digit()) == *letter)
                .map(|c| {
                    let strength = c.strength.map(|s| match s {
                        Strength::Must => "must",
                        Strength::Should => "should",
                        Strength::May => "may",
                    });
                    let later = Policy::deferred().iter().find(|d| d.id == c.id).map(|d| d.reason.as_str());
                    context! { id => c.id.to_string(), text => c.text.as_str(), source => c.source.as_str(), strength, later }
                })
                .collect();
            context! { letter => *letter, name => *name, clauses }
        })
        .collect();
    page.view("policy.html", "The policy, clause by clause")
        .with(context! { parts, version => policy.version.as_str(), effective => policy.effective.to_string() })
        .draw()
        .await
}

async fn accessibility(page: OpenPage) -> Result<Response, PageError> {
    page.view("accessibility.html", "Accessibility").draw().await
}

async fn privacy(page: OpenPage) -> Result<Response, PageError> {
    page.view("privacy.html", "Privacy").draw().await
}

async fn recorded(page: OpenPage) -> Result<Response, PageError> {
    page.view("recorded.html", "What is recorded").draw().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use casework::clause::Clause;

    #[test]
    fn every_clause_has_its_part_of_the_page() {
        for clause in &Policy::in_force(jiff::civil::date(2026, 11, 22)).clauses {
            let id: Clause = clause.id;
            assert!(PARTS.iter().any(|(letter, _)| id.to_string().starts_with(letter)), "{id} is on no page");
        }
    }
}

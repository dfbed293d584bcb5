//! register: forces and their agreements, people, ranks and training, teams and delegations (R1–R3). A
//! registrar enters; those who answer for the service read. Nothing is overwritten: each entry is an
//! event, and the history page shows every one.

mod forms;

use super::Routes;
use crate::{
    errors::{PageError, RefusalLine},
    page::Page,
    render::show,
};
use axum::{Router, extract::Path, response::Response, routing::get};
use bureau::{Bureau, BureauError, register::organisation_of};
use casework::{
    ids::PersonId,
    people::{Person, Post, Register},
};
use jiff::civil::Date;
use minijinja::{Value, context};
use std::sync::Arc;

/// Days before training or an agreement ends from which the page says that it ends soon.
const SOON_DAYS: i32 = 30;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/register", get(forces))
            .route("/register/people", get(people))
            .route("/register/people/{id}", get(person))
            .route("/register/teams", get(teams))
            .route("/register/history", get(history)),
    )
    .and(forms::routes())
}

fn me(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

/// What a role does not include is closed, not a problem with a form.
pub(super) fn closed(e: BureauError) -> PageError {
    match PageError::from(e) {
        PageError::Refused(lines) => PageError::Forbidden(lines),
        other => other,
    }
}

struct Opened {
    bureau: Arc<Bureau>,
    register: Arc<Register>,
    may: bool,
    today: Date,
}

async fn open(page: &Page) -> Result<Opened, PageError> {
    let bureau = page.state.bureau()?.clone();
    let register = bureau.see_register(me(page)).await.map_err(closed)?;
    let may = bureau.may_change_register(me(page)).await?;
    let today = casework::calendar::london_date(bureau.now());
    Ok(Opened { bureau, register, may, today })
}

/// The sections of the register, as tabs.
fn tabs(current: &str) -> Vec<Value> {
    [("Forces and agreements", "/register"), ("People", "/register/people"), ("Teams", "/register/teams"), ("History", "/register/history")]
        .into_iter()
        .map(|(text, href)| context! { text, href, current => href == current })
        .collect()
}

/// Whether a span of days holds today, in words and a colour that repeats them.
fn span(from: Date, until: Date, today: Date) -> (String, &'static str) {
    let days = |to: Date| to.since(today).map_or(i32::MAX, |s| s.get_days());
    if until < today {
        ("Expired".into(), "red")
    } else if today < from {
        ("Not yet in force".into(), "blue")
    } else if days(until) <= SOON_DAYS {
        let n = days(until);
        (if n == 0 { "Ends today".into() } else { format!("Ends in {n} day{}", if n == 1 { "" } else { "s" }) }, "orange")
    } else {
        ("In force".into(), "green")
    }
}

fn span_shown(from: Date, until: Date, today: Date) -> Value {
    let (words, colour) = span(from, until, today);
    context! { from => from.to_string(), until => until.to_string(), words, colour }
}

async fn forces(page: Page) -> Result<Response, PageError> {
    let o = open(&page).await?;
    let forces: Vec<Value> = o
        .register
        .leos
        .values()
        .map(|l| {
            let agreements: Vec<Value> = o
                .register
                .dsas
                .values()
                .filter(|d| d.leo == l.id)
                .map(|d| {
                    context! {
                        id => d.id.to_string(), gallery => d.gallery.to_string(), online => d.online,
                        ..span_shown(d.from, d.until, o.today)
                    }
                })
                .collect();
            context! { id => l.id.to_string(), name => l.name.as_str(), competent => l.competent_authority, agreements }
        })
        .collect();
    page.view("register/forces.html", "Forces and agreements")
        .with(context! { forces, may => o.may, tabs_items => tabs("/register") })
        .draw()
        .await
}

/// The latest training of somebody, in words.
fn training(p: &Person, today: Date) -> Option<Value> {
    let latest = p.training.iter().max_by_key(|t| t.until)?;
    Some(span_shown(latest.from, latest.until, today))
}

fn post_words(post: Post) -> &'static str {
    match post {
        Post::PassportCounterFraudOfficer => "Passport counter fraud officer",
        Post::ImmigrationFingerprintBureauCaseworker => "Immigration Fingerprint Bureau caseworker",
    }
}

fn person_shown(register: &Register, p: &Person, today: Date) -> Value {
    let staff = p.post.is_some();
    context! {
        id => p.id.to_string(), name => p.name.as_str(), at => organisation_of(register, p),
        roles => p.roles.iter().map(|r| r.label()).collect::<Vec<_>>(), rank => p.rank.map(|r| r.label()),
        by_delegation => p.may_approve_by_delegation, post => p.post.map(post_words), needs_training => staff,
        training => training(p, today), left => p.left.map(|d| d.to_string()),
        gone => p.left.is_some_and(|d| d < today),
    }
}

async fn people(page: Page) -> Result<Response, PageError> {
    let o = open(&page).await?;
    let mut all: Vec<&Person> = o.register.people.values().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let people: Vec<Value> = all.into_iter().map(|p| person_shown(&o.register, p, o.today)).collect();
    page.view("register/people.html", "People").with(context! { people, may => o.may, tabs_items => tabs("/register/people") }).draw().await
}

async fn person(page: Page, Path(id): Path<PersonId>) -> Result<Response, PageError> {
    let o = open(&page).await?;
    let p = o.register.people.get(&id).ok_or(PageError::NotFound)?;
    let trainings: Vec<Value> = p.training.iter().rev().map(|t| span_shown(t.from, t.until, o.today)).collect();
    let delegations: Vec<Value> = o
        .register
        .delegations
        .iter()
        .filter(|d| d.to == id)
        .map(|d| context! { gallery => d.gallery.to_string(), ..span_shown(d.from, d.until, o.today) })
        .collect();
    page.view("register/person.html", "A person on the register")
        .back("/register/people")
        .with(context! { p => person_shown(&o.register, p, o.today), trainings, delegations, may => o.may })
        .draw()
        .await
}

async fn teams(page: Page) -> Result<Response, PageError> {
    let o = open(&page).await?;
    let name = |id: PersonId| o.register.people.get(&id).map(|p| p.name.clone());
    let teams: Vec<Value> = o.register.teams.values().map(|t| {
        let at = casework::people::Affiliation::Team(t.id);
        let size = o.register.people.values().filter(|p| p.at == at && p.left.is_none_or(|d| d >= o.today)).count();
        context! { id => t.id.to_string(), name => t.name.as_str(), gallery => t.gallery.to_string(), leader => t.leader.and_then(name), size }
    }).collect();
    let delegations: Vec<Value> = o
        .register
        .delegations
        .iter()
        .rev()
        .map(|d| {
            context! { to => name(d.to), gallery => d.gallery.to_string(), ..span_shown(d.from, d.until, o.today) }
        })
        .collect();
    page.view("register/teams.html", "Teams and delegations")
        .with(context! { teams, delegations, may => o.may, tabs_items => tabs("/register/teams") })
        .draw()
        .await
}

async fn history(page: Page) -> Result<Response, PageError> {
    let lines = open(&page).await?.bureau.register_history(me(&page)).await.map_err(closed)?;
    page.view("register/history.html", "Every change to the register")
        .with(context! { lines => show(&lines), tabs_items => tabs("/register/history") })
        .draw()
        .await
}

fn plain(all: Vec<casework::refusal::Refusal>, field: &str) -> Vec<RefusalLine> {
    all.into_iter().map(|r| RefusalLine { field: Some(field.into()), ..r.into() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn what_ends_soon_says_when() {
        let today = date(2026, 11, 22);
        let words = |from, until| span(from, until, today).0;
        assert_eq!(words(date(2025, 1, 1), date(2026, 11, 21)), "Expired");
        assert_eq!(words(date(2025, 1, 1), today), "Ends today");
        assert_eq!(words(date(2025, 1, 1), date(2026, 11, 23)), "Ends in 1 day");
        assert_eq!(words(date(2025, 1, 1), date(2026, 12, 22)), "Ends in 30 days");
        assert_eq!(words(date(2025, 1, 1), date(2026, 12, 23)), "In force");
        assert_eq!(words(date(2026, 11, 23), date(2027, 12, 23)), "Not yet in force");
    }
}

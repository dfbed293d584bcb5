//! retain: how long things live, what goes when, and the evidence that it went (D3).

use super::{
    Routes,
    assess::{lines, once, refused, who},
    register::closed,
};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::{Path, Query},
    response::Response,
    routing::get,
};
use bureau::{report::EntryFilter, views::RequestView};
use casework::{
    access::Action,
    calendar,
    command::Command,
    hold::latest_review,
    ids::{PersonId, RequestId},
    record::RetentionClass,
};
use jiff::civil::Date;
use minijinja::{Value, context};
use serde::Deserialize;

/// Entries of evidence on the page; the log holds the rest.
const EVIDENCE_MAX: u32 = 50;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/retain", get(retain))
            .route("/retain/{id}/hold", get(ask_hold).post(hold))
            .route("/retain/{id}/hold/lift", get(ask_lift).post(lift)),
    )
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    page: Option<u32>,
}

/// A class in words.
fn class(c: RetentionClass) -> &'static str {
    match c {
        RetentionClass::Record => "The record",
        RetentionClass::Images => "Images and templates",
        RetentionClass::Disclosure => "The answer as it left",
        RetentionClass::Candidates => "Candidates nobody confirmed",
        RetentionClass::Mail => "Mail",
    }
}

async fn retain(page: Page, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?.clone();
    let who = PersonId(page.person.id);
    let closing = bureau.retention(who, asked.page.unwrap_or(1)).await.map_err(closed)?;
    let erased = bureau
        .ledger(who, EntryFilter { kind: Some("erased".into()), limit: EVIDENCE_MAX, ..EntryFilter::default() })
        .await
        .map_err(closed)?;
    let evidence: Vec<Value> = erased.iter().map(|e| {
        let what = e.header.outcome.as_deref().and_then(|o| o.parse().ok()).map_or("A class of data", class);
        context! { index => e.index, at => e.header.at.to_string(), what, gallery => e.header.gallery.map(|g| g.to_string()), leaf => hex::encode(e.leaf.0) }
    }).collect();
    let lines: Vec<Value> = closing
        .lines
        .iter()
        .map(|l| {
            let goes: Vec<Value> = l.goes.iter().map(|(c, on, due)| context! { what => class(*c), on => on.to_string(), due }).collect();
            context! { line => show(&l.line), gone => l.gone.iter().map(|c| class(*c)).collect::<Vec<_>>(), goes, held => l.held }
        })
        .collect();
    let policy = bureau.policy();
    let rule = policy.retention_on(calendar::london_date(bureau.now()));
    page.view("retain/overview.html", "What is kept, and what goes")
        .with(context! {
            held => show(&closing.held), lines, total => closing.total, current => closing.page, pages_in_all => closing.pages, evidence,
            images_days => rule.images_days_after_closing, disclosure_days => rule.disclosure_days_after_closing, record_years => rule.record_years_after_closing, policy_version => policy.version.as_str(),
        })
        .draw()
        .await
}

async fn ask_hold(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let view = page.state.bureau()?.request(who(&page), id).await.map_err(closed)?;
    draw_hold(&page, &view, Value::UNDEFINED, vec![]).await
}

/// The hold that lasts, for a page.
fn held(view: &RequestView) -> Option<Value> {
    view.hold.as_ref().map(|h| context! { owner => h.owner.to_string(), hold => show(h), on => calendar::date_in_words(h.review) })
}

async fn draw_hold(page: &Page, view: &RequestView, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let owners = page.state.bureau()?.hold_owners(who(page), view.line.id).await.map_err(closed)?;
    let owners: Vec<Value> = owners.iter().map(|(id, name)| context! { value => id.to_string(), text => name }).collect();
    let bureau = page.state.bureau()?;
    let (policy, today) = (bureau.policy(), calendar::london_date(bureau.now()));
    let latest = latest_review(policy, today);
    // A form that is drawn for the first time suggests the latest day; one that comes back keeps what was typed.
    let values = if values.is_undefined() { review_fields(latest) } else { values };
    page.view("retain/hold.html", if view.hold.is_some() { "Review the legal hold" } else { "Place a legal hold" })
        .back(home(page, view))
        .with(context! {
            home => home(page, view), id => view.line.id.to_string(), version => view.version, reference_text => view.line.reference.clone(), values, owners,
            held => held(view), may => view.may.contains(&Action::PlaceHold), latest => calendar::date_in_words(latest),
        })
        .errors(errors)
        .draw()
        .await
}

/// Places or reviews a hold.
async fn hold(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let view = page.state.bureau()?.request(who(&page), id).await.map_err(closed)?;
    let mut missing = vec![];
    let owner: Option<PersonId> = posted.text("owner").and_then(|p| p.parse().ok());
    if owner.is_none() {
        missing.push(RefusalLine::on("owner", "Choose who answers for the hold"));
    }
    let review = date(&posted, "review");
    if review.is_none() {
        missing.push(RefusalLine::on("review-day", "The day of its review must be a real date, such as 27 3 2027"));
    }
    let (Some(owner), Some(review)) = (owner, review) else {
        return draw_hold(&page, &view, posted.values(), missing).await;
    };
    let reason = posted.text("reason").unwrap_or_default().to_owned();
    let (command, done) = if view.hold.is_some() {
        (Command::ReviewHold { owner, reason, review }, "The legal hold goes on.")
    } else {
        (Command::PlaceHold { owner, reason, review }, "The legal hold is placed. Nothing of this request is erased until it is lifted.")
    };
    match page.state.bureau()?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) => page.done(done, &home(&page, &view)).await,
        Err(e) => {
            let all = lines(refused(e)?, |r| {
                let field = match r.words.as_str() {
                    w if w.starts_with("Name somebody") => "owner",
                    w if w.starts_with("Choose a day") => "review-day",
                    _ => "reason",
                };
                Some(field.into())
            });
            draw_hold(&page, &view, posted.values(), all).await
        }
    }
}

async fn ask_lift(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let view = page.state.bureau()?.request(who(&page), id).await.map_err(closed)?;
    draw_lift(&page, &view, Value::UNDEFINED, vec![]).await
}

/// Asked on a page of its own: what goes when a hold is lifted cannot be brought back.
async fn draw_lift(page: &Page, view: &RequestView, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let Some(held) = held(view).filter(|_| view.may.contains(&Action::LiftHold)) else {
        return draw_hold(page, view, Value::UNDEFINED, errors).await;
    };
    page.view("retain/lift.html", "Lift the legal hold?")
        .back(format!("/retain/{}/hold", view.line.id))
        .with(context! { id => view.line.id.to_string(), version => view.version, reference_text => view.line.reference.clone(), values, held })
        .errors(errors)
        .draw()
        .await
}

async fn lift(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let view = page.state.bureau()?.request(who(&page), id).await.map_err(closed)?;
    let command = Command::LiftHold { reason: posted.text("reason").unwrap_or_default().to_owned() };
    match page.state.bureau()?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) => page.done("The legal hold is lifted. What is due goes now.", &home(&page, &view)).await,
        Err(e) => draw_lift(&page, &view, posted.values(), lines(refused(e)?, |_| Some("reason".into()))).await,
    }
}

/// Where the viewer came from: who answers for the gallery, from the page of what is kept; its team leader, from the case.
fn home(page: &Page, view: &RequestView) -> String {
    if page.person.roles.iter().any(|r| r == "siao") { "/retain".into() } else { format!("/assess/{}", view.line.id) }
}

/// A review's day, as the form's three fields have it.
fn review_fields(on: Date) -> Value {
    Value::from_pairs([
        ("review-day", on.day().to_string()),
        ("review-month", on.month().to_string()),
        ("review-year", on.year().to_string()),
    ])
}

/// A day, month and year, if they are a real date.
fn date(posted: &Posted, field: &str) -> Option<Date> {
    let part = |name: &str| posted.text(&format!("{field}-{name}")).and_then(|v| v.trim().parse::<i16>().ok());
    let (day, month) = (i8::try_from(part("day")?).ok()?, i8::try_from(part("month")?).ok()?);
    Date::new(part("year").filter(|y| (1_900..=2_200).contains(y))?, month, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d3_the_day_that_a_hold_form_suggests_is_the_one_that_it_reads_back() {
        for on in [jiff::civil::date(2027, 11, 30), jiff::civil::date(2028, 2, 29), jiff::civil::date(2027, 1, 1)] {
            let values = review_fields(on);
            let field = |name: &str| (name.to_owned(), values.get_attr(name).unwrap().to_string());
            let posted = Posted { fields: ["review-day", "review-month", "review-year"].map(field).into(), files: vec![] };
            assert_eq!(date(&posted, "review"), Some(on));
        }
    }
}

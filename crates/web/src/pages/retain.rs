//! retain: how long things live, what goes when, and the evidence that it went (D3).

use super::{Routes, register::closed};
use crate::{errors::PageError, page::Page, render::show};
use axum::{Router, extract::Query, response::Response, routing::get};
use bureau::report::EntryFilter;
use casework::{ids::PersonId, record::RetentionClass};
use minijinja::{Value, context};
use serde::Deserialize;

/// Entries of evidence on the page; the log holds the rest.
const EVIDENCE_MAX: u32 = 50;

pub(crate) fn routes() -> Routes {
    Routes::pages(Router::new().route("/retain", get(retain)))
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
            context! { line => show(&l.line), gone => l.gone.iter().map(|c| class(*c)).collect::<Vec<_>>(), goes }
        })
        .collect();
    let policy = bureau.policy();
    page.view("retain/overview.html", "What is kept, and what goes")
        .with(context! {
            lines, total => closing.total, current => closing.page, pages_in_all => closing.pages, evidence,
            images_days => policy.images_days_after_closing, disclosure_days => policy.disclosure_days_after_closing, record_years => policy.record_years_after_closing, policy_version => policy.version.as_str(),
        })
        .draw()
        .await
}

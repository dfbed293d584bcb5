//! Rejecting an incomplete form: which questions lack an answer, in words for each, the letter as the
//! force will read it, and then the rejection itself (S1, W1).

use super::{Routes, lines, once, open::Case, refused, who};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{Router, extract::Path, response::Response, routing::get};
use bureau::views::RequestView;
use casework::{
    command::Command,
    form::{Field, SECTIONS},
    ids::RequestId,
};
use minijinja::{Value, context};
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

pub(super) fn routes() -> Routes {
    Routes::pages(Router::<AppState>::new().route("/assess/{id}/reject", get(ask).post(act)))
}

/// What was ticked and written, by question.
#[derive(Default)]
struct Ticked(BTreeMap<Field, String>, BTreeMap<Field, String>);

impl Ticked {
    fn read(posted: &Posted) -> Self {
        let words = |f: Field| posted.text(&format!("words-{f}")).unwrap_or_default().to_owned();
        let ticked = posted.all("field").filter_map(|f| f.parse::<Field>().ok()).map(|f| (f, words(f))).collect();
        Self(ticked, Field::iter().map(|f| (f, words(f))).filter(|(_, w)| !w.is_empty()).collect())
    }

    fn command(&self) -> Command {
        Command::Reject { missing: self.0.iter().map(|(f, w)| (*f, w.clone())).collect() }
    }

    /// The form again, as hidden fields.
    fn hidden(&self) -> Vec<(String, String)> {
        let ticks = self.0.keys().map(|f| ("field".to_owned(), f.to_string()));
        ticks.chain(self.0.iter().map(|(f, w)| (format!("words-{f}"), w.clone()))).collect()
    }
}

async fn ask(page: Page, Case(view): Case) -> Result<Response, PageError> {
    draw(&page, &view, &Ticked::default(), vec![]).await
}

async fn draw(page: &Page, view: &RequestView, ticked: &Ticked, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let sections: Vec<Value> = SECTIONS
        .iter()
        .enumerate()
        .map(|(n, title)| {
            let fields: Vec<Value> = Field::iter()
                .filter(|f| usize::from(f.section()) == n + 1)
                .map(|f| {
                    context! {
                        value => f.to_string(), label => f.label(), ticked => ticked.0.contains_key(&f),
                        words => ticked.1.get(&f).or(ticked.0.get(&f)).cloned(),
                    }
                })
                .collect();
            context! { number => n + 1, title => *title, fields }
        })
        .collect();
    page.view("assess/reject.html", "Reject as incomplete")
        .back(format!("/assess/{}", view.line.id))
        .with(context! { sections, version => view.version, reference_text => view.line.reference.clone(), id => view.line.id.to_string() })
        .errors(errors)
        .draw()
        .await
}

async fn act(page: Page, Case(view): Case, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let ticked = Ticked::read(&posted);
    if posted.has("step", "change") {
        return draw(&page, &view, &ticked, vec![]).await;
    }
    let bureau = page.state.bureau()?;
    let version = Some(posted.version()?);
    let answer = if posted.has("step", "confirm") {
        bureau.act_and_work(who(&page), id, ticked.command(), version, once(&posted)?).await.map(|_| None)
    } else {
        bureau.check(who(&page), id, ticked.command(), version).await.map(Some)
    };
    match answer {
        Ok(None) => page.done("The request was rejected. The force is told what is missing.", &format!("/assess/{id}")).await,
        Ok(Some(done)) => {
            page.view("assess/reject-check.html", "Check the rejection")
                .back(format!("/assess/{id}/reject"))
                .with(context! {
                    id => id.to_string(), version => view.version, reference_text => view.line.reference.clone(), force => view.line.leo.clone(),
                    recipient => view.line.requester.clone(),
                    missing => show(&done.request.rejected.iter().map(|r| (r.field.map(Field::label), &r.words, &r.clauses)).collect::<Vec<_>>()),
                    hidden => show(&ticked.hidden()),
                })
                .draw()
                .await
        }
        Err(e) => {
            let all = lines(refused(e)?, |r| {
                let named = Field::iter().find(|f| r.words == format!("Say what is missing in: {}.", f.label()));
                Some(named.map_or_else(|| "field".into(), |f| format!("words-{f}")))
            });
            draw(&page, &view, &ticked, all).await
        }
    }
}

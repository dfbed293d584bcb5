//! Answers, as the requester collects them (O1–O8, V2, V3): exactly what was disclosed, and what the
//! force must do with it.

use super::{
    Routes,
    intake::{Words, answered, at, house, jpeg, once, sections, who},
};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::{Path, Query},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bureau::{assess::List, views::RequestView};
use casework::{
    access::Action,
    command::Command,
    disclosure::Disclosure,
    ids::{CandidateId, RequestId},
    request::Outcome,
};
use minijinja::{Value, context};
use serde::Deserialize;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/respond/answers", get(list))
            .route("/respond/answers/{id}", get(read).post(open))
            .route("/respond/answers/{id}/images/{candidate}", get(picture))
            .route("/respond/answers/{id}/onward", get(ask_onward).post(onward)),
    )
}

fn path(id: RequestId) -> String {
    format!("/respond/answers/{id}")
}

#[derive(Default, Deserialize)]
struct Chosen {
    page: Option<u32>,
}

async fn list(page: Page, Query(chosen): Query<Chosen>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let (_, actor) = bureau.actor(who(&page)).await?;
    if actor.leo.is_none() {
        // The same list has another meaning, and another page, for our staff.
        return Err(PageError::Forbidden(vec![]));
    }
    let lines = bureau.list(who(&page), List::Ended, None, chosen.page.unwrap_or(1)).await?;
    page.view("respond/answers.html", "Your answers").with(context! { answers => show(&lines) }).draw().await
}

async fn picture(page: Page, Path((id, candidate)): Path<(RequestId, CandidateId)>) -> Result<Response, PageError> {
    Ok(jpeg(house(&page)?.answer_image(who(&page), id, candidate).await?))
}

/// The answer, or, before it was opened for the first time, the question whether to.
async fn read(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let (bureau, me) = (house(&page)?, who(&page));
    let request = bureau.request(me, id).await?;
    if !request.may.contains(&Action::Collect) || request.released_at.is_none() || request.waits_for.is_some() {
        return Ok(Redirect::to(&at(id)).into_response());
    }
    if request.collected_at.is_none() {
        return page
            .view("respond/answer-open.html", "Open the answer?")
            .back("/respond/answers")
            .with(context! {
                id => id.to_string(), version => request.version, cancel => at(id), caption => request.line.reference.as_str(),
                sensitive => request.line.sensitive, recipient => request.recipient.as_deref(),
            })
            .draw()
            .await;
    }
    let answer = bureau.answer(me, id).await?;
    draw(&page, &request, &answer).await
}

/// Opens it: recorded as collected.
async fn open(page: Page, Path(id): Path<RequestId>, _: Posted) -> Result<Response, PageError> {
    house(&page)?.answer(who(&page), id).await?;
    Ok(Redirect::to(&path(id)).into_response())
}

/// A held value as people read it: a date in words, anything else as it is held.
fn shown(value: &str) -> String {
    value.parse::<jiff::civil::Date>().map_or_else(|_| value.to_owned(), casework::calendar::date_in_words)
}

/// An outcome in words, and the colour that repeats them.
fn outcome_words(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Match => ("Match", "green"),
        Outcome::NoMatch => ("No match", "grey"),
        Outcome::Declined => ("Declined", "red"),
        Outcome::Withheld => ("Not shared", "orange"),
    }
}

async fn draw(page: &Page, request: &RequestView, answer: &Disclosure) -> Result<Response, PageError> {
    let id = request.line.id;
    let pictures = request.form.as_ref().map(|f| sections::images(f, &format!("{}/images", at(id)))).unwrap_or_default();
    let probes: Vec<Value> = answer
        .probes()
        .iter()
        .enumerate()
        .map(|(n, p)| {
            let (says, colour) = outcome_words(p.outcome);
            let shared: Vec<Value> = p
                .shared
                .iter()
                .map(|s| {
                    let fields: Vec<Value> =
                        s.fields.iter().map(|(_, label, value)| context! { key => label.as_str(), value => shown(value) }).collect();
                    context! { src => s.image.then(|| format!("{}/images/{}", path(id), s.candidate)), fields }
                })
                .collect();
            context! {
                number => n + 1, says, colour, words => p.words.as_str(), shared,
                clauses => p.clauses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                image => pictures.iter().find(|i| i.probe == p.probe).map(show),
            }
        })
        .collect();
    let conditions: Vec<Value> =
        answer.conditions().iter().map(|(c, words)| context! { clause => c.to_string(), words => words.as_str() }).collect();
    let declined = answer.probes().iter().any(|p| p.outcome == Outcome::Declined);
    let may = |a| request.may.contains(&a);
    let (says, colour) = outcome_words(answer.outcome());
    page.view("respond/answer.html", "The answer to a request")
        .back("/respond/answers")
        .with(context! {
            id => id.to_string(), r => show(request), probes, conditions, says, colour, recipient => answer.recipient(),
            is_match => answer.outcome() == Outcome::Match,
            purposes => request.form.as_ref().map(|f| f.purposes.iter().map(|p| p.label()).collect::<Vec<_>>()),
            onward => request.onward.iter().map(|o| context! {
                to => o.to.as_str(), reasons => o.reasons.as_str(),
                decision => o.decision.as_ref().map(|(allowed, why)| context! { allowed => *allowed, why => why.as_str() }),
            }).collect::<Vec<_>>(),
            can => context! {
                onward => request.line.sensitive && may(Action::AskOnward) && request.onward.iter().all(|o| o.decision.is_some()),
                review => declined && may(Action::AskReview) && request.reviews.iter().all(|r| r.result.is_some()),
                flag => may(Action::FlagVulnerable) && !request.line.sensitive,
            },
        })
        .draw()
        .await
}

async fn ask_onward(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    draw_onward(&page, id, Value::UNDEFINED, vec![]).await
}

async fn draw_onward(page: &Page, id: RequestId, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let request = house(page)?.request(who(page), id).await?;
    if !request.may.contains(&Action::AskOnward) || !request.line.sensitive {
        return Ok(Redirect::to(&path(id)).into_response());
    }
    let words = Words {
        title: "Ask to pass the answer on",
        label: "Why do they need it?",
        consequences: vec![
            "The answer is sensitive, so it may be passed on only after we have agreed.".into(),
            "Pass nothing on before you have our answer, which will be shown with the answer itself.".into(),
        ],
        clauses: &["V3"],
        button: "Ask",
        warning: false,
        back: path(id),
        version: request.version,
        quote: None,
        first: Some(("to", "Who needs it?", "A named person, and where they work.")),
    };
    words.draw(page, values, errors).await
}

async fn onward(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let typed = |field| posted.text(field).unwrap_or_default().replace("\r\n", "\n");
    let command = Command::AskOnward { to: typed("to"), reasons: typed("words") };
    let done = house(&page)?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await;
    match answered(done)? {
        Ok(_) => page.done("You asked to pass the answer on. Wait for our answer before you do.", &path(id)).await,
        Err(lines) => draw_onward(&page, id, posted.values(), lines).await,
    }
}

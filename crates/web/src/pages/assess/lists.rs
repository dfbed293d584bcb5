//! The lists that caseworkers work from: urgent first, then oldest; get next; look-up by reference.

use super::{Routes, who};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::Query,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bureau::assess::List;
use casework::request::State;
use minijinja::{Value, context};
use serde::Deserialize;

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/assess", get(list))
            .route("/assess/next", post(next))
            .route("/assess/look-up", get(look_up_form).post(look_up)),
    )
}

/// The states that a list of open requests can be narrowed to.
const OPEN: [State; 7] =
    [State::Received, State::Assessing, State::Clarifying, State::Searching, State::Comparing, State::Responding, State::Answering];
/// And one of ended requests.
const ENDED: [State; 4] = [State::Answered, State::Rejected, State::Withdrawn, State::Closed];

/// What a list is narrowed by.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    list: String,
    state: String,
    page: String,
}

async fn list(page: Page, Query(filter): Query<Filter>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let list = match filter.list.as_str() {
        "waiting" => List::Waiting,
        "all" => List::All,
        "ended" => List::Ended,
        _ => List::Mine,
    };
    let states: &[State] = match list {
        List::Ended => &ENDED,
        List::Waiting => &OPEN[..1],
        _ => &OPEN,
    };
    let state = filter.state.parse::<State>().ok().filter(|s| states.contains(s));
    let number = filter.page.parse().unwrap_or(1);
    let mine = bureau.list(who(&page), List::Mine, None, 1).await?.total;
    let waiting = bureau.list(who(&page), List::Waiting, None, 1).await?.total;
    let lines = bureau.list(who(&page), list, state, number).await?;
    let tab = |name: &str, text: String, this: List| context! { text, href => format!("/assess?list={name}"), current => this == list };
    let tabs = vec![
        tab("mine", format!("Your list ({mine})"), List::Mine),
        tab("waiting", format!("Waiting ({waiting})"), List::Waiting),
        tab("all", "All open".into(), List::All),
        tab("ended", "Ended".into(), List::Ended),
    ];
    let title = match list {
        List::Waiting => "Waiting for somebody",
        List::All => "All open requests",
        List::Ended => "Ended requests",
        _ => "Your list",
    };
    let options: Vec<Value> =
        states.iter().map(|s| context! { value => s.to_string(), text => s.label(), selected => Some(*s) == state }).collect();
    let first = (u64::from(lines.page) - 1) * u64::from(bureau::assess::PAGE_SIZE) + 1;
    page.view("assess/list.html", title)
        .with(context! {
            list_tabs => tabs, list => list.to_string(), lines => show(&lines.lines), total => lines.total, page_number => lines.page, page_count => lines.pages,
            first, last => first + (lines.lines.len() as u64).saturating_sub(1),
            options, filters => states.len() > 1, state_label => state.map(State::label),
            base => format!("/assess?list={list}"), state => state.map(|s| s.to_string()),
            leads => page.person.roles.iter().any(|r| r == "team-leader"),
        })
        .draw()
        .await
}

/// Leads to the next request that waits; it is taken there, once the question about conflicts is answered.
async fn next(page: Page, _: Posted) -> Result<Response, PageError> {
    match page.state.bureau()?.next_in_queue(who(&page)).await? {
        Some(id) => Ok(Redirect::to(&format!("/assess/{id}")).into_response()),
        None => page.done("Nothing is waiting for you.", "/assess").await,
    }
}

async fn look_up_form(page: Page) -> Result<Response, PageError> {
    found(&page, Value::UNDEFINED, None, vec![]).await
}

/// Finds a request by reference. Sent by POST, so that the reference stays out of addresses and logs.
async fn look_up(page: Page, posted: Posted) -> Result<Response, PageError> {
    let Some(text) = posted.text("reference") else {
        return found(&page, posted.values(), None, vec![RefusalLine::on("reference", "Enter a reference")]).await;
    };
    let lines = page.state.bureau()?.look_up(who(&page), text).await?;
    found(&page, posted.values(), Some(show(&lines)), vec![]).await
}

async fn found(page: &Page, values: Value, lines: Option<Value>, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    page.view("assess/look-up.html", "Look up a request")
        .back("/assess")
        .with(context! { values, asked => lines.is_some(), lines => lines.unwrap_or_default() })
        .errors(errors)
        .draw()
        .await
}

//! intake: what the police side does before our staff begin: drafts, approval, and following a request.
//!
//! | file | pages |
//! | --- | --- |
//! | here | `/intake`: your drafts and requests, or your approval queue |
//! | `draft` | `/intake/drafts/{id}`: task list, sections, check, send, discard |
//! | `images` | section 5 and everything about pictures |
//! | `tracker` | `/intake/requests/{id}`: where it is, and what the requester can do about it |
//! | `approval` | `/intake/approval/{id}`: approve or return |
//! | `sections` | the form as pages read and show it |

mod approval;
mod draft;
mod images;
pub(super) mod sections;
mod tracker;

use super::Routes;
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::Query,
    http::header,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bureau::{Bureau, BureauError, Once, assess::List};
use casework::{
    ids::{PersonId, RequestId},
    request::State,
};
use minijinja::{Value, context};
use serde::Deserialize;
use std::sync::Arc;
use strum::IntoEnumIterator;

pub(crate) fn routes() -> Routes {
    Routes::pages(Router::new().route("/intake", get(home)).route("/intake/new", post(begin)))
        .and(draft::routes())
        .and(images::routes())
        .and(tracker::routes())
        .and(approval::routes())
}

/// Who is looking.
pub(super) fn who(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

/// The use cases.
pub(super) fn house(page: &Page) -> Result<&Arc<Bureau>, PageError> {
    page.state.bureau()
}

/// The one-time token of a form.
pub(super) fn once(posted: &Posted) -> Result<Option<Once>, PageError> {
    Ok(Some(Once(posted.once()?.to_string())))
}

/// What came of a use case: done, or refused for reasons that the same form shows again. A refusal that
/// the thing is not there for this person is no reason to show a form.
pub(super) fn answered<T>(result: Result<T, BureauError>) -> Result<Result<T, Vec<RefusalLine>>, PageError> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(BureauError::Refused(all)) if all.first() != Some(&casework::access::unknown()) => {
            Ok(Err(all.into_iter().map(Into::into).collect()))
        }
        Err(e) => Err(e.into()),
    }
}

/// Refusals about nothing in particular lead to the page's one field.
pub(super) fn about(field: &str, lines: Vec<RefusalLine>) -> Vec<RefusalLine> {
    lines.into_iter().map(|l| RefusalLine { field: l.field.or_else(|| Some(field.to_owned())), ..l }).collect()
}

/// A picture, for this person and this moment only.
pub(super) fn jpeg(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
}

/// What a person may not have a list of is no list, not an error.
fn if_theirs<T>(result: Result<T, BureauError>) -> Result<Option<T>, PageError> {
    match result {
        Ok(list) => Ok(Some(list)),
        Err(BureauError::Refused(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[derive(Default, Deserialize)]
struct Chosen {
    /// Only requests in this state.
    state: Option<String>,
    /// Page of the requests.
    page: Option<u32>,
    /// Page of the approval queue.
    queue: Option<u32>,
}

async fn home(page: Page, Query(chosen): Query<Chosen>) -> Result<Response, PageError> {
    let (bureau, me) = (house(&page)?, who(&page));
    let drafts = if_theirs(bureau.drafts(me).await)?;
    let queue = if_theirs(bureau.list(me, List::Approval, None, chosen.queue.unwrap_or(1)).await)?;
    let state = chosen.state.as_deref().and_then(|s| s.parse::<State>().ok());
    let requests = match drafts {
        Some(_) => Some(bureau.list(me, List::Mine, state, chosen.page.unwrap_or(1)).await?),
        None => None,
    };
    if requests.is_none() && queue.is_none() {
        return Err(PageError::Forbidden(vec![]));
    }
    let drafts: Vec<Value> = drafts
        .unwrap_or_default()
        .iter()
        .map(|d| {
            context! {
                id => d.id.to_string(), investigation => d.form.investigation.as_str(), changed_at => d.changed_at.to_string(),
                done => d.complete.iter().enumerate().filter(|(n, done)| **done && sections::touched(*n as u8 + 1, &d.form)).count(),
                left => d.missing.len(), returned => d.returned.is_some(), replaces => d.replaces.map(|r| r.reference()),
            }
        })
        .collect();
    let states: Vec<Value> = State::iter()
        .filter(|s| !matches!(s, State::Draft | State::Erased))
        .map(|s| context! { value => s.to_string(), text => s.label(), selected => state == Some(s) })
        .collect();
    page.view("intake/home.html", if requests.is_some() { "Your requests" } else { "Requests to approve" })
        .with(context! {
            drafts, states, requests => show(&requests), queue => show(&queue),
            state => state.map(|s| context! { value => s.to_string(), text => s.label() }),
        })
        .draw()
        .await
}

async fn begin(page: Page, _: Posted) -> Result<Response, PageError> {
    match answered(house(&page)?.new_draft(who(&page)).await)? {
        Ok(id) => Ok(Redirect::to(&format!("/intake/drafts/{id}")).into_response()),
        Err(lines) => Err(PageError::Refused(lines)),
    }
}

/// A page of one text box: what it is for, what follows, and what is typed. For everything that a person
/// says in their own words.
pub(super) struct Words<'a> {
    /// The page's name.
    pub(super) title: &'static str,
    /// What the box asks.
    pub(super) label: &'static str,
    /// What follows from sending it.
    pub(super) consequences: Vec<String>,
    /// The clauses that it rests on.
    pub(super) clauses: &'static [&'static str],
    /// The button.
    pub(super) button: &'static str,
    /// Whether the button warns.
    pub(super) warning: bool,
    /// Where back and cancel lead.
    pub(super) back: String,
    /// The version that the page was drawn from.
    pub(super) version: u64,
    /// What was asked, if it answers something.
    pub(super) quote: Option<&'a str>,
    /// Another one-line question above the box: name, label, hint.
    pub(super) first: Option<(&'static str, &'static str, &'static str)>,
}

impl Words<'_> {
    /// Draws it, with what was typed and what is wrong with it.
    pub(super) async fn draw(self, page: &Page, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
        page.view("intake/words.html", self.title)
            .back(self.back.clone())
            .with(context! {
                label => self.label, consequences => self.consequences, clause_ids => show(&self.clauses), button => self.button,
                warning => self.warning, cancel => self.back, version => self.version, quote => self.quote, values,
                first => self.first.map(|(name, label, hint)| context! { name, label, hint }),
            })
            .errors(about("words", errors))
            .draw()
            .await
    }
}

/// The path of a request's own page.
pub(super) fn at(id: RequestId) -> String {
    format!("/intake/requests/{id}")
}

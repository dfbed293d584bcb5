//! What stands before a case: the conflict-of-interest question when it is not one's own, or was only
//! allocated (R1), and the interruption card when it is sensitive (V0, V1). Until both are answered only
//! its line is shown.
//!
//! Answers are kept in the session for one sitting ([`bureau::SITTING`]).

use super::{Routes, lines, once, refused, who};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    guard,
    kept::{self, Kept},
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use bureau::{assess::Brief, views::RequestView};
use casework::{access::Action, command::Command, ids::RequestId};
use jiff::Timestamp;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where the session keeps what was acknowledged.
const ACKNOWLEDGED: &str = "case-acknowledged";
/// Acknowledgements kept at most; the oldest go first, which only asks again.
const ACKNOWLEDGED_MAX: usize = 60;

pub(super) fn routes() -> Routes {
    Routes::pages(Router::<AppState>::new().route("/assess/{id}/open", post(answer)).route("/assess/{id}/acknowledge", post(acknowledge)))
}

/// A case that may be shown, cut down to what the viewer may know; the look is recorded. Where a question
/// comes first it is asked instead of the page, and a form that was sent is kept until it is answered.
pub(in crate::pages) struct Case(pub(in crate::pages) Box<RequestView>);

impl FromRequestParts<AppState> for Case {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        match Self::open(parts, state).await {
            Ok(Ok(case)) => Ok(case),
            Ok(Err(question)) => Err(question),
            Err(e) => Err(e.into_response()),
        }
    }
}

impl Case {
    async fn open(parts: &mut Parts, state: &AppState) -> Result<Result<Self, Response>, PageError> {
        let page = Page::from_request_parts(parts, state).await?;
        let Path(OfCase { id }) = Path::from_request_parts(parts, state).await.map_err(|_| PageError::NotFound)?;
        let bureau = page.state.bureau()?;
        let brief = bureau.brief(who(&page), id).await?;
        let sent = parts.extensions.get::<Posted>();
        let then = if sent.is_some() { kept::PATH } else { &page.path };
        let Some(question) = before(&page, id, &brief, then).await? else {
            return Ok(Ok(Self(Box::new(bureau.request(who(&page), id).await?))));
        };
        if let Some(sent) = sent {
            let form = Kept::new(&page.path, guard::page_of(&parts.headers), page.person.id, sent.clone()).asked_before();
            kept::keep(&page.session, form).await?;
        }
        Ok(Err(question))
    }
}

/// The request that a path of a case names.
#[derive(Deserialize)]
struct OfCase {
    id: RequestId,
}

#[derive(Serialize, Deserialize)]
struct Acknowledged {
    person: Uuid,
    request: RequestId,
    what: What,
    at_s: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    /// No conflict of interest, to read what a colleague holds.
    NoConflict,
    /// The interruption card.
    Sensitive,
}

/// Whether the questions before a case are answered, for its images.
pub(in crate::pages) async fn answered(page: &Page, id: RequestId) -> Result<(), PageError> {
    let brief = page.state.bureau()?.brief(who(page), id).await?;
    if asks_conflict(page, id, &brief).await? || asks_sensitive(page, id, &brief).await? {
        return Err(PageError::Forbidden(vec![RefusalLine {
            clauses: vec!["R1".into(), "V1".into()],
            words: "Open the request first and answer what is asked there.".into(),
            field: None,
        }]));
    }
    Ok(())
}

async fn before(page: &Page, id: RequestId, brief: &Brief, then: &str) -> Result<Option<Response>, PageError> {
    if asks_conflict(page, id, brief).await? {
        return conflict_page(page, brief, then, Value::UNDEFINED, vec![]).await.map(Some);
    }
    if asks_sensitive(page, id, brief).await? {
        let data = context! { line => show(&brief.line), action => format!("/assess/{id}/acknowledge"), then };
        return page.view("assess/sensitive.html", "This request is sensitive").with(data).draw().await.map(Some);
    }
    Ok(None)
}

async fn asks_conflict(page: &Page, id: RequestId, brief: &Brief) -> Result<bool, PageError> {
    let reads = !brief.line.mine && brief.may.contains(&Action::Take);
    Ok(brief.undeclared || reads && !acknowledged(page, id, What::NoConflict).await?)
}

async fn asks_sensitive(page: &Page, id: RequestId, brief: &Brief) -> Result<bool, PageError> {
    Ok(brief.line.sensitive && !acknowledged(page, id, What::Sensitive).await?)
}

async fn conflict_page(page: &Page, brief: &Brief, then: &str, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let held = brief.line.assignee.is_some() && !brief.undeclared;
    let title = match (brief.undeclared, held) {
        (true, _) => "Take up a case that was allocated to you",
        (_, true) => "Read a colleague’s case",
        _ => "Take a case",
    };
    page.view("assess/conflict.html", title)
        .back("/assess")
        .with(context! {
            line => show(&brief.line), version => brief.version, values, then, held, allocated => brief.undeclared,
            blind => brief.may.contains(&Action::Examine),
            action => format!("/assess/{}/open", brief.line.id),
        })
        .errors(errors)
        .draw()
        .await
}

/// Answers the conflict-of-interest question: take it, read it, or be barred from it.
async fn answer(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let then = then(&posted, id);
    // What the form offered, not how it stands now: somebody who meant to take it is told if they cannot.
    let reads = posted.has("to", "read");
    bureau.brief(who(&page), id).await?;
    let (command, told) = match posted.text("conflict") {
        Some("no") if reads => {
            remember(&page, id, What::NoConflict).await?;
            return Ok(Redirect::to(&then).into_response());
        }
        Some("no") => (Command::Take { no_conflict: true }, "You hold this request now."),
        Some("yes") => (
            Command::DeclareConflict { words: posted.text("words").unwrap_or_default().into() },
            "Your conflict of interest is recorded. You will not be asked to work on that request.",
        ),
        _ => {
            let missing =
                RefusalLine { clauses: vec!["R1".into()], ..RefusalLine::on("conflict", "Say whether you have a conflict of interest") };
            return again(&page, id, &then, &posted, vec![missing]).await;
        }
    };
    let declares = matches!(command, Command::DeclareConflict { .. });
    match bureau.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) if declares => {
            kept::forget(&page.session).await?; // a form on this case, if any
            page.done(told, "/assess").await
        }
        Ok(_) => page.done(told, &then).await,
        Err(e) => {
            let all = lines(refused(e)?, |_| Some(if declares { "words".into() } else { "conflict".into() }));
            again(&page, id, &then, &posted, all).await
        }
    }
}

async fn again(page: &Page, id: RequestId, then: &str, posted: &Posted, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let brief = page.state.bureau()?.brief(who(page), id).await?;
    conflict_page(page, &brief, then, posted.values(), errors).await
}

/// Passes the interruption card.
async fn acknowledge(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    page.state.bureau()?.brief(who(&page), id).await?;
    remember(&page, id, What::Sensitive).await?;
    Ok(Redirect::to(&then(&posted, id)).into_response())
}

/// Where to go on: one of this case's own pages.
fn then(posted: &Posted, id: RequestId) -> String {
    let first = format!("/assess/{id}");
    let own = [first.clone(), format!("/search/{id}"), format!("/respond/{id}")];
    match posted.text("then") {
        Some(kept::PATH) => kept::PATH.into(),
        Some(path) if own.iter().any(|o| path == o || path.strip_prefix(o.as_str()).is_some_and(|rest| rest.starts_with('/'))) => {
            path.into()
        }
        _ => first,
    }
}

async fn acknowledged(page: &Page, id: RequestId, what: What) -> Result<bool, PageError> {
    let all: Vec<Acknowledged> = page.session.get(ACKNOWLEDGED).await.map_err(|_| PageError::Unavailable)?.unwrap_or_default();
    let since = Timestamp::now().as_second().saturating_sub(sitting_s());
    Ok(all.iter().any(|a| a.person == page.person.id && a.request == id && a.what == what && a.at_s > since))
}

async fn remember(page: &Page, id: RequestId, what: What) -> Result<(), PageError> {
    let mut all: Vec<Acknowledged> = page.session.get(ACKNOWLEDGED).await.map_err(|_| PageError::Unavailable)?.unwrap_or_default();
    let now = Timestamp::now().as_second();
    all.retain(|a| a.at_s > now.saturating_sub(sitting_s()));
    let over = (all.len() + 1).saturating_sub(ACKNOWLEDGED_MAX);
    all.drain(..over);
    all.push(Acknowledged { person: page.person.id, request: id, what, at_s: now });
    page.session.insert(ACKNOWLEDGED, all).await.map_err(|_| PageError::Unavailable)
}

fn sitting_s() -> i64 {
    i64::try_from(bureau::SITTING.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_on_stays_within_the_case() {
        let id = RequestId::fixed(7);
        let to = |path: &str| then(&Posted { fields: vec![("then".into(), path.into())], files: vec![] }, id);
        assert_eq!(to(&format!("/search/{id}")), format!("/search/{id}"));
        assert_eq!(to(&format!("/assess/{id}/images")), format!("/assess/{id}/images"));
        for away in ["https://elsewhere.example", "//elsewhere.example", "/assess", "/sign-out"] {
            assert_eq!(to(away), format!("/assess/{id}"), "{away}");
        }
        assert_eq!(to(&format!("/assess/{id}x")), format!("/assess/{id}"));
        assert_eq!(to(kept::PATH), kept::PATH, "to a form that was sent before the question");
    }
}

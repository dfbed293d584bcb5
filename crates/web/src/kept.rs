//! Nothing typed is lost: a form that arrives after its session has ended is kept, sealed, until its
//! owner has signed in again, and is then shown to them to send or to throw away. So is one that arrives
//! when a question has come to stand before it (a conflict of interest, the interruption card).
//!
//! It is kept in the new, still anonymous session of the same browser, whose contents only that
//! browser's cookie opens. It goes back to the person whose page it was and to nobody else who signs in
//! there. Files are not kept: they may be large, and what they show is not ours to hold yet. The page
//! says that they must be chosen again.

use crate::{
    AppState,
    desk::Unavailable,
    errors::PageError,
    forms::Posted,
    limits::KEPT_MAX_S,
    page::Page,
    session::{self, Notice, NoticeKind},
};
use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use minijinja::context;
use serde::{Deserialize, Serialize};
use tower_sessions::Session;
use uuid::Uuid;

const KEPT: &str = "kept";

/// Where a kept form is shown.
pub(crate) const PATH: &str = "/kept";

/// A form whose session had ended, or that a question came before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    action: String,
    page: Option<String>,
    owner: Uuid,
    at_s: i64,
    fields: Vec<(String, String)>,
    files: bool,
    #[serde(default)]
    asked_before: bool,
}

impl Kept {
    /// The fields of a form, without its worn-out token.
    pub(crate) fn new(action: &str, page: Option<String>, owner: Uuid, posted: Posted) -> Self {
        let fields = posted.fields.into_iter().filter(|(n, _)| !matches!(n.as_str(), "_csrf" | "_for" | "_kept")).collect();
        let files = !posted.files.is_empty();
        Self { action: action.to_owned(), page, owner, at_s: Timestamp::now().as_second(), fields, files, asked_before: false }
    }

    /// One that a question came before, in a session that goes on.
    pub(crate) fn asked_before(self) -> Self {
        Self { asked_before: true, ..self }
    }
}

/// Keeps a form; a later one takes its place.
pub(crate) async fn keep(session: &Session, form: Kept) -> Result<(), Unavailable> {
    session.insert(KEPT, form).await.map_err(|_| Unavailable)
}

/// Forgets the kept form.
pub(crate) async fn forget(session: &Session) -> Result<(), Unavailable> {
    session.remove_value(KEPT).await.map(|_| ()).map_err(|_| Unavailable)
}

/// Whether a form waits for this person. One that waits for somebody else, or has waited too long, is
/// forgotten now.
pub(crate) async fn waits_for(session: &Session, person: Uuid) -> Result<Option<Kept>, Unavailable> {
    let Some(form) = session.get::<Kept>(KEPT).await.map_err(|_| Unavailable)? else { return Ok(None) };
    if form.owner == person && Timestamp::now().as_second() - form.at_s <= KEPT_MAX_S {
        return Ok(Some(form));
    }
    forget(session).await?;
    if form.owner != person {
        let words = "A form that somebody else had begun in this browser was thrown away unseen.".to_owned();
        session::notice(session, Notice { kind: NoticeKind::Information, words }).await?;
    }
    Ok(None)
}

/// Whether any form waits in this browser, for the sign-in page to say so. It says nothing about it.
pub(crate) async fn any(session: &Session) -> Result<bool, Unavailable> {
    Ok(session.get_value(KEPT).await.map_err(|_| Unavailable)?.is_some())
}

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route(PATH, get(show)).route("/kept/discard", post(discard))
}

/// `section4.other-avenues` → `Section 4 other avenues`.
fn label(name: &str) -> String {
    let spaced: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let spaced = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = spaced.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What the page put into the form rather than the person: which button, an id, where to go afterwards.
fn ours(name: &str, value: &str) -> bool {
    matches!(name, "action" | "step") || value.starts_with('/') || value.parse::<Uuid>().is_ok()
}

/// A choice as words: `cannot-say` → `cannot say`. What was typed stays as it was typed.
fn answer(value: &str) -> String {
    let choice = value.contains('-') && value.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    if choice { value.replace('-', " ") } else { value.to_owned() }
}

async fn show(page: Page) -> Result<Response, PageError> {
    let Some(form) = waits_for(&page.session, page.person.id).await? else {
        return Ok(Redirect::to("/").into_response());
    };
    let shown: Vec<_> = form
        .fields
        .iter()
        .filter(|(n, v)| !n.starts_with('_') && !v.trim().is_empty() && !ours(n, v))
        .map(|(n, v)| context! { label => label(n), value => answer(v) })
        .collect();
    let hidden: Vec<_> = form.fields.iter().map(|(n, v)| context! { name => n, value => v }).collect();
    let title = if form.asked_before { "A question came before this was sent" } else { "Your session ended before this was sent" };
    page.view("kept.html", title)
        .with(context! { action => form.action, form_page => form.page, shown, hidden, files => form.files })
        .draw()
        .await
}

async fn discard(page: Page, _: Posted) -> Result<Response, PageError> {
    forget(&page.session).await?;
    page.done("What you had typed was thrown away.", "/").await
}

#[cfg(test)]
mod tests {
    #[test]
    fn field_names_become_words() {
        assert_eq!(super::label("section4.other-avenues"), "Section4 other avenues");
        assert_eq!(super::label(""), "");
    }

    #[test]
    fn only_what_a_person_said_is_shown_back() {
        assert!(
            super::ours("action", "lock") && super::ours("then", "/assess") && super::ours("to", "01a2048f-d1b9-7d02-98a8-70eab4e1c38f")
        );
        assert!(!super::ours("words", "He was seen twice."));
        assert_eq!(super::answer("cannot-say"), "cannot say");
        assert_eq!(super::answer("A well-known face"), "A well-known face");
    }
}

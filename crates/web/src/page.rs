//! A page: who is looking at it, and the view that is drawn for them.
//!
//! A handler takes [`Page`] (somebody is signed in; otherwise they are sent to sign in) or [`OpenPage`]
//! (anybody), and returns a [`View`].

use crate::{
    AppState,
    desk::{Person, Unavailable},
    errors::{PageError, Problem, RefusalLine},
    nav,
    render::{self, show},
    session::{self, Notice, NoticeKind, Visitor},
};
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use minijinja::{Value, context, value::Kwargs};
use std::sync::Arc;
use tower_sessions::Session;
use uuid::Uuid;

/// The name of the service, as in the header and every title.
pub const SERVICE: &str = "Countersign";

/// Everything around a page that does not depend on what it is about.
#[derive(Clone)]
pub struct OpenPage {
    /// The application.
    pub state: AppState,
    /// Who is looking.
    pub visitor: Visitor,
    /// The path asked for, without its query.
    pub path: Arc<str>,
    pub(crate) session: Session,
}

/// A page that somebody signed in is looking at.
#[derive(Clone)]
pub struct Page {
    open: OpenPage,
    /// Who is signed in.
    pub person: Person,
}

impl std::ops::Deref for Page {
    type Target = OpenPage;
    fn deref(&self) -> &OpenPage {
        &self.open
    }
}

impl FromRequestParts<AppState> for OpenPage {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, PageError> {
        let session = parts.extensions.get::<Session>().cloned().ok_or_else(|| PageError::internal("a page outside the session layer"))?;
        let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
        Ok(Self { state: state.clone(), visitor, path: parts.uri.path().into(), session })
    }
}

impl FromRequestParts<AppState> for Page {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, PageError> {
        let open = OpenPage::from_request_parts(parts, state).await?;
        match open.visitor.person.clone() {
            Some(person) => Ok(Self { open, person }),
            None => {
                let back = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
                Err(PageError::SignIn { back })
            }
        }
    }
}

impl OpenPage {
    /// Begins a view: which template, and the page's name for the title. The title must hold no
    /// personal data: it stays in the browser's history.
    #[must_use]
    pub fn view(&self, template: &'static str, title: impl Into<String>) -> View {
        View {
            page: self.clone(),
            template,
            title: title.into(),
            status: StatusCode::OK,
            back: None,
            errors: vec![],
            data: Value::UNDEFINED,
            notices: vec![],
        }
    }

    /// Puts a notice at the top of the next page, for after a redirect. One sentence, no personal data.
    ///
    /// # Errors
    /// When the session cannot be reached.
    pub async fn tell(&self, kind: NoticeKind, words: impl Into<String>) -> Result<(), Unavailable> {
        session::notice(&self.session, Notice { kind, words: words.into() }).await
    }

    /// Ends a change that worked: a notice, and then another page (post, redirect, get).
    ///
    /// # Errors
    /// When the session cannot be reached.
    pub async fn done(&self, words: impl Into<String>, then: &str) -> Result<Response, PageError> {
        self.tell(NoticeKind::Success, words).await?;
        Ok(Redirect::to(then).into_response())
    }

    pub(crate) async fn with_token(mut self) -> Result<Self, Unavailable> {
        self.visitor.token = session::token(&self.session).await?;
        Ok(self)
    }
}

/// A page about to be drawn.
pub struct View {
    page: OpenPage,
    template: &'static str,
    title: String,
    status: StatusCode,
    back: Option<String>,
    errors: Vec<RefusalLine>,
    data: Value,
    notices: Vec<Notice>,
}

impl View {
    /// What the template shows: usually `context! { request, values }`.
    #[must_use]
    pub fn with(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// A back link to this path.
    #[must_use]
    pub fn back(mut self, path: impl Into<String>) -> Self {
        self.back = Some(path.into());
        self
    }

    /// Refusals, all at once: an error summary on top, `errors` for the template (see
    /// `error(errors, field)` in macros.html), "Error: " in the title, and status 422.
    #[must_use]
    pub fn errors(mut self, errors: impl IntoIterator<Item = impl Into<RefusalLine>>) -> Self {
        self.errors = errors.into_iter().map(Into::into).collect();
        if !self.errors.is_empty() {
            self.status = StatusCode::UNPROCESSABLE_ENTITY;
        }
        self
    }

    /// Another status than 200 (or 422 with errors).
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Takes the notices that wait for this person and draws the page. Every handler ends with this.
    ///
    /// # Errors
    /// When the session cannot be reached or the template fails.
    pub async fn draw(mut self) -> Result<Response, PageError> {
        self.notices = session::take_notices(&self.page.session).await?;
        let html = render::render(self.template, &self.context())?;
        Ok((self.status, Html(html)).into_response())
    }

    fn context(&self) -> Value {
        let frame = frame(&self.page.state, &self.page.visitor, &self.page.path);
        let title = page_title(&self.title, !self.errors.is_empty());
        context! {
            title, heading => self.title.clone(), back => self.back.clone(), errors => show(&self.errors),
            notices => show(&self.notices),
            ..context! { ..self.data.clone(), ..frame }
        }
    }
}

fn page_title(title: &str, errors: bool) -> String {
    format!("{}{title} – {SERVICE}", if errors { "Error: " } else { "" })
}

/// What the layout needs on every page.
fn frame(state: &AppState, visitor: &Visitor, path: &str) -> Value {
    let nav = visitor.person.as_ref().map(|p| nav::items(&p.roles, path)).unwrap_or_default();
    let token = visitor.token.clone();
    let owner = visitor.person.as_ref().map(|p| p.id.to_string()).unwrap_or_default();
    let form_fields = Value::from_function(move |kwargs: Kwargs| -> Result<Value, minijinja::Error> {
        let version: Option<u64> = kwargs.get("version")?;
        kwargs.assert_all_used()?;
        Ok(Value::from_safe_string(hidden_fields(&token, &owner, version, Uuid::new_v4())))
    });
    context! {
        service => SERVICE,
        demo => state.config().demo,
        visitor => visitor.person.as_ref().map(show),
        nav => show(&nav),
        path => path,
        csrf => visitor.token.clone(),
        form_fields,
    }
}

/// The hidden fields of every form. None of them holds a character that HTML would read.
pub(crate) fn hidden_fields(token: &str, owner: &str, version: Option<u64>, once: Uuid) -> String {
    let version = version.map(|v| format!("<input type=\"hidden\" name=\"_version\" value=\"{v}\">")).unwrap_or_default();
    format!(
        "<input type=\"hidden\" name=\"_csrf\" value=\"{token}\">\
         <input type=\"hidden\" name=\"_for\" value=\"{owner}\">\
         <input type=\"hidden\" name=\"_once\" value=\"{once}\">{version}"
    )
}

/// Draws a problem as a page, with whatever is known about who is looking.
pub(crate) fn problem_page(state: &AppState, visitor: &Visitor, path: &str, problem: &Problem, request_id: &str) -> Response {
    let data = context! {
        title => page_title(&problem.title, !problem.refusals.is_empty()),
        heading => problem.title.clone(),
        words => problem.words.clone(),
        errors => show(&problem.refusals),
        server_fault => problem.status.is_server_error(),
        request_id,
        ..frame(state, visitor, path)
    };
    match render::render("problem.html", &data) {
        Ok(html) => (problem.status, Html(html)).into_response(),
        Err(e) => {
            tracing::error!(kind = ?e.kind(), template = e.name(), line = e.line(), "the problem page failed");
            let plain = format!("{}. {}", problem.title, problem.words.join(" "));
            (problem.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], plain).into_response()
        }
    }
}

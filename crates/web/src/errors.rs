//! What goes wrong, as people read it: a GOV.UK page, or problem+json (RFC 9457) below `/api/`.
//!
//! A handler returns [`PageError`]; the answer is drawn by [`crate::envelope`], which knows who is
//! looking and whether they read pages or JSON. Nothing here carries personal data.

use crate::{desk::Unavailable, limits::UPLOAD_MAX_BYTES};
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// One reason why something was refused: plain words, the clauses they rest on, and the field to mend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusalLine {
    /// Clause ids; empty for housekeeping.
    pub clauses: Vec<String>,
    /// What is wrong and what to do.
    pub words: String,
    /// The id of the field on the page, which the error summary links to.
    pub field: Option<String>,
}

impl RefusalLine {
    /// A line about one field, without a clause: something the page itself asks for.
    #[must_use]
    pub fn on(field: &str, words: &str) -> Self {
        Self { clauses: vec![], words: words.into(), field: Some(field.into()) }
    }
}

impl From<casework::refusal::Refusal> for RefusalLine {
    fn from(r: casework::refusal::Refusal) -> Self {
        Self { clauses: r.clauses.iter().map(ToString::to_string).collect(), words: r.words, field: r.field.map(|f| f.to_string()) }
    }
}

impl From<Vec<casework::refusal::Refusal>> for PageError {
    fn from(all: Vec<casework::refusal::Refusal>) -> Self {
        Self::Refused(all.into_iter().map(Into::into).collect())
    }
}

/// Why a page, or a change, could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageError {
    /// Nobody is signed in: they are sent to sign in, and come back here.
    SignIn {
        /// Path to come back to.
        back: String,
    },
    /// Nothing is there, or nothing that this person may know of: the two look the same (V1).
    NotFound,
    /// Known, but not for this person.
    Forbidden(Vec<RefusalLine>),
    /// The policy or the form says no; all reasons at once.
    Refused(Vec<RefusalLine>),
    /// Somebody else was first; what is here now is newer than what the form was drawn from.
    Stale,
    /// The form is not one of ours, or lost a part on the way.
    BadForm {
        /// The part, by its technical name.
        part: &'static str,
    },
    /// The form came from another site.
    CrossSite,
    /// The content type is not that of a form.
    NotAForm,
    /// More bytes than may be sent.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The house could not be reached.
    Unavailable,
    /// A fault of ours. The words go to the log, not to the page.
    Internal {
        /// What broke, without personal data.
        what: &'static str,
    },
}

impl PageError {
    /// A form that is not one of ours.
    #[must_use]
    pub fn bad_form(part: &'static str) -> Self {
        Self::BadForm { part }
    }

    /// A fault of ours.
    #[must_use]
    pub fn internal(what: &'static str) -> Self {
        Self::Internal { what }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn { .. } => StatusCode::SEE_OTHER,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden(_) | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Stale => StatusCode::CONFLICT,
            Self::BadForm { .. } => StatusCode::BAD_REQUEST,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn problem(self) -> Problem {
        let mut problem = Problem::of(self.status());
        match self {
            Self::Forbidden(lines) => problem.refusals = lines,
            Self::Refused(lines) => {
                problem.title = "There is a problem".into();
                problem.say("It could not be done. Every reason is listed.");
                problem.refusals = lines;
            }
            Self::Stale => {
                problem.title = "Someone else has already done this".into();
                problem.say("What you were looking at has changed since your page was drawn, so nothing was done. Go back, look again, and repeat it if it still makes sense.");
            }
            Self::BadForm { part } => {
                problem.title = "The form did not arrive whole".into();
                problem.say(&format!("{part} was missing or could not be read. Go back, reload the page and send it again."));
            }
            Self::CrossSite => {
                problem.title = "The form came from somewhere else".into();
                problem.say("Forms are only taken from the pages of this service. Nothing was done.");
            }
            Self::TooLarge { limit } => {
                problem.say(&format!("The most that can be sent here at once is {}.", bytes_in_words(limit)));
                if limit == UPLOAD_MAX_BYTES {
                    problem.say("Save the image as a JPEG at its own size and try again.");
                }
            }
            _ => {}
        }
        problem
    }
}

/// `262144` → `256 KB`.
#[must_use]
pub fn bytes_in_words(bytes: usize) -> String {
    const KB: usize = 1024;
    if bytes >= KB * KB { format!("{} MB", bytes / (KB * KB)) } else { format!("{} KB", bytes / KB) }
}

impl From<Unavailable> for PageError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

impl From<bureau::BureauError> for PageError {
    fn from(e: bureau::BureauError) -> Self {
        use bureau::BureauError as B;
        match e {
            B::Refused(all) if all.first() == Some(&casework::access::unknown()) => Self::NotFound,
            B::Refused(all) => all.into(),
            B::Overtaken => Self::Stale,
            B::Gone => Self::Forbidden(vec![RefusalLine { clauses: vec!["D3".into()], words: e.to_string(), field: None }]),
            other => {
                // Errors of the house carry no personal data (see their types).
                tracing::error!(error = %other, "a use case failed");
                Self::internal("a use case failed")
            }
        }
    }
}

impl From<minijinja::Error> for PageError {
    fn from(e: minijinja::Error) -> Self {
        // The detail of a template error may quote what was shown: only its place is logged.
        tracing::error!(kind = ?e.kind(), template = e.name(), line = e.line(), "a template failed");
        Self::internal("a template failed")
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::SignIn { back } = &self {
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("back", back).finish();
            return (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/sign-in?{query}"))]).into_response();
        }
        if let Self::Internal { what } = &self {
            tracing::error!(what, "a fault of ours");
        }
        let problem = self.problem();
        let mut response = problem.status.into_response();
        response.extensions_mut().insert(problem);
        response
    }
}

/// A problem, before it is known whether a page or JSON is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) title: String,
    pub(crate) words: Vec<String>,
    pub(crate) refusals: Vec<RefusalLine>,
}

impl Problem {
    /// What a bare status means to the person who gets it.
    pub(crate) fn of(status: StatusCode) -> Self {
        let (title, words) = match status {
            StatusCode::NOT_FOUND => (
                "Page not found",
                "If you typed or pasted the address, check that it is complete. What you are looking for may also be something that only those working on it can see.",
            ),
            StatusCode::FORBIDDEN => ("You cannot see this page", "It is not part of your role, or it belongs to somebody else's work."),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("This cannot be done here", "The page exists, but not for what was asked of it. Go back and use its own buttons.")
            }
            StatusCode::REQUEST_TIMEOUT => {
                ("This took too long", "It was stopped after 30 seconds. Nothing half done was kept. Try again in a moment.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("That is too large", "Nothing was kept."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("The form did not arrive as a form", "Use the form on the page."),
            StatusCode::MISDIRECTED_REQUEST => ("Wrong address", "This server answers only under the names it was set up with."),
            StatusCode::TOO_MANY_REQUESTS => ("Too many requests", "Wait a few seconds, then go on. Nothing was lost."),
            StatusCode::SERVICE_UNAVAILABLE => {
                ("The service is unavailable", "The records could not be reached. Nothing was changed; try again in a moment.")
            }
            s if s.is_server_error() => ("Sorry, there is a problem with the service", "Try again later. What was already saved is safe."),
            _ => ("That request could not be understood", "Go back and try again."),
        };
        Self { status, title: title.into(), words: vec![words.into()], refusals: vec![] }
    }

    fn say(&mut self, words: &str) {
        if self.status != StatusCode::PAYLOAD_TOO_LARGE && self.words.len() == 1 {
            self.words.clear();
        }
        self.words.push(words.to_owned());
    }

    /// The problem as RFC 9457 JSON, with the refusals as an extension member.
    pub(crate) fn json(&self, request_id: &str) -> Response {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.words.join(" "),
            "refusals": self.refusals,
            "request_id": request_id,
        });
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_says_no_says_the_limit() {
        let words = PageError::TooLarge { limit: UPLOAD_MAX_BYTES }.problem().words.join(" ");
        assert!(words.contains("32 MB") && words.contains("Nothing was kept"), "{words}");
    }

    #[test]
    fn where_to_come_back_to_survives_signing_in() {
        let r = PageError::SignIn { back: "/assess/1?tab=images&n=2".into() }.into_response();
        assert_eq!(r.headers()["location"], "/sign-in?back=%2Fassess%2F1%3Ftab%3Dimages%26n%3D2");
    }
}

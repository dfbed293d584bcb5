//! What goes wrong, as problem+json (RFC 9457). Drawn by [`crate::envelope`], which adds the request id.
//!
//! | status | meaning |
//! | --- | --- |
//! | 400 | the message is not understood: not JSON, or not of the documented shape |
//! | 401 | no good bearer token |
//! | 404 | nothing is there, or nothing that the caller may know of: the two are the same answer (V1) |
//! | 409 | overtaken: what was decided on has changed |
//! | 410 | erased at the end of its retention (D3) |
//! | 413, 415 | too large; not a content type that is taken here |
//! | 422 | the policy says no; every reason at once, each with its clause ids |
//! | 429 | too many requests |

use crate::errors::{Problem, RefusalLine, bytes_in_words};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bureau::BureauError;
use casework::refusal::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

/// The shape of every error. Only described here: [`Problem`] writes it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemJson {
    /// Always `about:blank`: the status says what kind it is.
    r#type: String,
    /// What went wrong, in a few words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What it means and what to do.
    detail: String,
    /// Every reason why the policy says no; empty where it was not asked.
    refusals: Vec<RefusalJson>,
    /// Names this answer in the server's log.
    request_id: String,
}

/// One reason why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(crate) struct RefusalJson {
    /// The clauses of the policy that it rests on; empty for housekeeping. Their words are at `/policy`.
    clauses: Vec<String>,
    /// What is wrong and what to do.
    words: String,
    /// The question of the form that it is about.
    field: Option<String>,
}

impl From<Refusal> for RefusalJson {
    fn from(r: Refusal) -> Self {
        let RefusalLine { clauses, words, field } = r.into();
        Self { clauses, words, field }
    }
}

/// Why a call was not answered as asked.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Problem>);

impl ApiError {
    fn new(status: StatusCode, title: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem { status, title: title.into(), words: vec![detail.into()], refusals: vec![] }))
    }

    /// The message is not understood.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "The message is not understood", detail)
    }

    /// No good token.
    pub(crate) fn unauthorised() -> Self {
        let detail =
            "Send `Authorization: Bearer` with a token that has not expired. `countersign token` issues one to a person on the register.";
        Self::new(StatusCode::UNAUTHORIZED, "No good token was shown", detail)
    }

    /// Nothing there, or nothing for this person: one answer (V1).
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", casework::access::unknown().words)
    }

    /// Not a content type that is taken here.
    pub(crate) fn unsupported(takes: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type is not taken here", format!("Send {takes}."))
    }

    /// More bytes than are taken here.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "That is too large",
            format!("At most {} can be sent here. Nothing was kept.", bytes_in_words(limit)),
        )
    }

    /// Too many requests.
    pub(crate) fn too_many() -> Self {
        Self(Box::new(Problem::of(StatusCode::TOO_MANY_REQUESTS)))
    }

    /// The house could not be reached.
    pub(crate) fn unavailable() -> Self {
        Self(Box::new(Problem::of(StatusCode::SERVICE_UNAVAILABLE)))
    }

    /// A fault of ours; the words go to the log.
    pub(crate) fn internal(what: &'static str) -> Self {
        tracing::error!(what, "a fault of ours");
        Self(Box::new(Problem::of(StatusCode::INTERNAL_SERVER_ERROR)))
    }

    fn refused(mut self, all: Vec<Refusal>) -> Self {
        self.0.refusals = all.into_iter().map(Into::into).collect();
        self
    }
}

impl From<BureauError> for ApiError {
    fn from(e: BureauError) -> Self {
        match e {
            BureauError::Refused(all) if all.first() == Some(&casework::access::unknown()) => Self::not_found(),
            BureauError::Refused(all) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "It was refused", "It could not be done. Every reason is listed.").refused(all)
            }
            BureauError::Overtaken => Self::new(
                StatusCode::CONFLICT,
                "Someone else has already done this",
                "What you decided on has changed, so nothing was done. Get it again, and repeat the step with its new version if it still makes sense.",
            ),
            BureauError::Gone => {
                let why = casework::refusal::refuse(&[casework::clause::Clause::D3], BureauError::Gone.to_string());
                Self::new(StatusCode::GONE, "It was erased", BureauError::Gone.to_string()).refused(vec![why])
            }
            other => {
                // Errors of the house carry no personal data (see their types).
                tracing::error!(error = %other, "a use case failed");
                Self::internal("a use case failed")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.status;
        let mut response = status.into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
        }
        response.extensions_mut().insert(*self.0);
        response
    }
}

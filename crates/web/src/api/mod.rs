//! The JSON API of the requester's and the staff's steps, under `/api/v1`: the same use cases as the
//! pages, the same rules, the same refusals. It decides nothing.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`call`] | who calls, what they sent, how a step is carried out |
//! | [`problem`] | what goes wrong, as RFC 9457 problem+json with clause ids |
//! | [`words`] | the field's words as they are written in JSON, in step with `casework` by compilation |
//! | [`intake`], [`assess`], [`review`], [`respond`], [`report`], [`processing`], [`accuracy`] | the endpoints, one file per word of the flow, and accuracy |
//! | [`trials`] | known-answer trials |
//! | [`form`], [`request`] | the form and the request, as sent and as shown |
//! | [`spec`] | the OpenAPI document: from the endpoints, plus what is true of all of them |
//!
//! A caller shows a bearer token (`countersign token PERSON`); what the person may do decides. A step
//! names the `version` that it was decided on, and may carry an `Idempotency-Key`, so that a repeat
//! after a lost answer is harmless.

pub(crate) mod accuracy;
pub(crate) mod assess;
pub(crate) mod call;
pub(crate) mod form;
pub(crate) mod intake;
pub(crate) mod problem;
mod processing;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod review;
mod spec;
pub(crate) mod trials;
pub(crate) mod words;

use crate::AppState;
use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::OnceLock;
use utoipa_axum::router::OpenApiRouter;

fn endpoints() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(spec::head())
        .merge(intake::routes())
        .merge(assess::routes())
        .merge(review::routes())
        .merge(respond::routes())
        .merge(report::routes())
        .merge(processing::routes())
        .merge(accuracy::routes())
        .merge(trials::routes())
}

/// Every endpoint, to be mounted under `/api`.
pub fn routes() -> Router<AppState> {
    let (endpoints, _) = endpoints().split_for_parts();
    Router::new().nest("/v1", endpoints.route("/openapi.json", get(serve_openapi)))
}

/// The OpenAPI document as it is served at `/api/v1/openapi.json`, pretty-printed, with a last newline.
#[must_use]
pub fn openapi() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| spec::document(endpoints().into_openapi()))
}

async fn serve_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}

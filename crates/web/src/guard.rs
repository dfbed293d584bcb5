//! What stands before every change made from a page: the form comes from one of our own pages, is not
//! too large, and carries the token of the session it is sent in.
//!
//! Two checks, because each alone lets something through: browsers say where a form comes from
//! (`Sec-Fetch-Site`, `Origin`), but other clients need not; the token cannot be known to another site,
//! but would not tell a stale tab from an attack. So a form from elsewhere is refused and forgotten,
//! while one from our own page whose session has ended is kept for its owner ([`crate::kept`]).
//!
//! What the headers tell comes first: how many requests this address and person make (in
//! [`crate::envelope`]), where the form comes from, who sends it, of what kind and how long it is. Only
//! then is a byte of it read: up to the route's own limit for somebody signed in, and up to that of an
//! ordinary form for anybody else, which is what a form kept for its owner may hold.

use crate::{
    AppState,
    errors::PageError,
    forms::{Posted, PostedFile},
    kept,
    limits::{DRAIN_MAX_BYTES, FORM_MAX_BYTES, FORM_MAX_FIELDS, REQUEST_MAX_S},
    session::{self, Visitor},
};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http_body_util::BodyExt;
use std::time::Duration;
use tower_sessions::Session;
use uuid::Uuid;

/// How many bytes the routes behind a guard take.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) state: AppState,
    pub(crate) limit: usize,
}

/// The middleware itself.
pub(crate) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    // Forms send POST and nothing else does: no page may change anything by another method.
    if *request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD, POST")]).into_response();
    }
    match admit(&guard, request).await {
        Ok(Ok(request)) => next.run(request).await,
        Ok(Err(instead)) => instead,
        Err(e) => e.into_response(),
    }
}

/// The request with its form read and its token checked, or what to answer instead.
async fn admit(guard: &Guard, request: Request) -> Result<Result<Request, Response>, PageError> {
    if !from_our_own_page(request.headers(), guard.state.config().secure) {
        return Err(PageError::CrossSite);
    }
    let (mut parts, body) = request.into_parts();
    let kind = Kind::of(&parts.headers).ok_or(PageError::NotAForm)?;
    let session = parts.extensions.get::<Session>().cloned().ok_or_else(|| PageError::internal("a form outside the session layer"))?;
    let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
    let path = parts.uri.path();
    let signing = matches!(path, "/sign-in" | "/sign-out");
    let limit = if visitor.person.is_some() { guard.limit } else { guard.limit.min(FORM_MAX_BYTES) };
    if limit < guard.limit && longer_than(&body, limit) {
        // Images of somebody whose session has ended, most likely. Nothing typed is lost with them: words
        // have forms of their own (see `Routes::uploads`).
        linger(body);
        let back = page_of(&parts.headers).unwrap_or_else(|| "/".to_owned());
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("unsent", "images").append_pair("back", &back).finish();
        return Ok(Err(Redirect::to(&format!("/sign-in?{query}")).into_response()));
    }
    let mut posted = read(kind, &parts.headers, body, limit).await?;

    let sent = posted.text("_csrf").unwrap_or_default();
    let fresh =
        !visitor.token.is_empty() && aws_lc_rs::constant_time::verify_slices_are_equal(sent.as_bytes(), visitor.token.as_bytes()).is_ok();
    if fresh && (visitor.person.is_some() || signing) {
        if posted.has("_kept", "yes") {
            kept::forget(&session).await?;
        }
        posted.fields.retain(|(name, _)| !matches!(name.as_str(), "_csrf" | "_for" | "_kept"));
        parts.extensions.insert(posted);
        return Ok(Ok(Request::from_parts(parts, Body::empty())));
    }
    if signing {
        return Ok(Err(Redirect::to("/sign-in").into_response()));
    }
    // A token that was never one of ours means the form was not drawn by us: there is nobody to keep it for.
    if sent.is_empty() {
        return Err(PageError::bad_form("The form's token"));
    }
    let owner = posted.text("_for").and_then(|id| id.parse::<Uuid>().ok());
    let Some(owner) = owner else { return Err(PageError::bad_form("The form's owner")) };
    if visitor.person.as_ref().is_some_and(|p| p.id != owner) {
        return Err(PageError::Stale);
    }
    let page = page_of(&parts.headers);
    kept::keep(&session, kept::Kept::new(path, page, owner, posted)).await?;
    session::token(&session).await?;
    Ok(Err(Redirect::to(if visitor.person.is_some() { "/kept" } else { "/sign-in?kept" }).into_response()))
}

/// Whether a browser says that a form comes from a page of this very origin. A client that says
/// nothing is not a browser and has to show the token like everybody else.
fn from_our_own_page(headers: &HeaderMap, secure: bool) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    let Some(origin) = text("origin") else { return true };
    let host = text("host").unwrap_or_default();
    origin.strip_prefix(if secure { "https://" } else { "http://" }) == Some(host)
}

/// The path of the page that the form was on. Pages are sent with `Referrer-Policy: same-origin`, so
/// this is one of our own or missing.
pub(crate) fn page_of(headers: &HeaderMap) -> Option<String> {
    let referrer = headers.get(header::REFERER)?.to_str().ok()?;
    let uri: axum::http::Uri = referrer.parse().ok()?;
    let host = headers.get(header::HOST)?.to_str().ok()?;
    (uri.authority()?.as_str() == host).then(|| uri.path().to_owned())
}

/// How a form is written down.
#[derive(Clone, Copy)]
enum Kind {
    Fields,
    Parts,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        if kind.starts_with("application/x-www-form-urlencoded") {
            Some(Self::Fields)
        } else {
            kind.starts_with("multipart/form-data").then_some(Self::Parts)
        }
    }
}

async fn read(kind: Kind, headers: &HeaderMap, body: Body, limit: usize) -> Result<Posted, PageError> {
    let bytes = collect(body, limit).await?;
    let posted = match kind {
        Kind::Fields => {
            let fields = form_urlencoded::parse(&bytes).take(FORM_MAX_FIELDS + 1).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
            Posted { fields, files: vec![] }
        }
        Kind::Parts => parts(headers, bytes).await?,
    };
    if posted.fields.len() + posted.files.len() > FORM_MAX_FIELDS {
        return Err(PageError::bad_form("The form has more than 500 fields; one of them"));
    }
    Ok(posted)
}

/// The whole body, if it is within the limit. One that says itself that it is not is not begun with.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, PageError> {
    let mut kept = Vec::new();
    let mut too_large = longer_than(&body, limit);
    while !too_large {
        let Some(frame) = body.frame().await else { return Ok(kept.into()) };
        let frame = frame.map_err(|_| PageError::bad_form("Part of what was sent"))?;
        let Some(data) = frame.data_ref() else { continue };
        too_large = data.len() > limit - kept.len();
        if !too_large {
            kept.extend_from_slice(data);
        }
    }
    linger(body);
    Err(PageError::TooLarge { limit })
}

/// Whether a body says itself, in its headers, that it is longer than this.
fn longer_than(body: &Body, limit: usize) -> bool {
    body.size_hint().lower() > limit as u64
}

/// A browser reads an answer only when it has been able to send everything. So the rest of what was
/// refused is let run by, behind an answer that does not wait for it, some way and for some time.
fn linger(mut body: Body) {
    let drain = async move {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > DRAIN_MAX_BYTES {
                break;
            }
        }
    };
    tokio::spawn(tokio::time::timeout(Duration::from_secs(REQUEST_MAX_S), drain));
}

pub(crate) async fn parts(headers: &HeaderMap, bytes: Bytes) -> Result<Posted, PageError> {
    let broken = |_| PageError::bad_form("Part of what was sent");
    let mut request = Request::new(Body::from(bytes));
    *request.headers_mut() = headers.clone();
    // `collect` has already bounded it.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| PageError::NotAForm)?;
    let mut posted = Posted::default();
    while let Some(field) = multipart.next_field().await.map_err(|_| PageError::bad_form("Part of what was sent"))? {
        if posted.fields.len() + posted.files.len() > FORM_MAX_FIELDS {
            break;
        }
        let name = field.name().unwrap_or_default().to_owned();
        match field.file_name().map(str::to_owned) {
            Some(file_name) => {
                let bytes = field.bytes().await.map_err(broken)?;
                if !(file_name.is_empty() && bytes.is_empty()) {
                    posted.files.push(PostedFile { field: name, file_name, bytes });
                }
            }
            None => posted.fields.push((name, field.text().await.map_err(broken)?)),
        }
    }
    Ok(posted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn only_our_own_origin_may_send_forms() {
        let ours = [("host", "127.0.0.1:8080"), ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")];
        assert!(from_our_own_page(&headers(&ours), false));
        assert!(!from_our_own_page(&headers(&ours), true), "a plain page may not send to a secure one");
        for (site, origin) in [
            ("same-site", "http://127.0.0.1:9999"),
            ("cross-site", "http://127.0.0.1:8080"),
            ("same-origin", "null"),
            ("same-origin", "http://127.0.0.1:8080.example"),
        ] {
            let h = headers(&[("host", "127.0.0.1:8080"), ("origin", origin), ("sec-fetch-site", site)]);
            assert!(!from_our_own_page(&h, false), "{site} {origin}");
        }
        assert!(from_our_own_page(&headers(&[("host", "x")]), false), "not a browser: the token decides");
    }
}

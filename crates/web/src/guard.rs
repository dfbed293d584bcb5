//! What stands before every change made from a page: the form comes from one of our own pages, is not
//! too large, and carries the token of the session it is sent in.
//!
//! Two checks, because each alone lets something through: browsers say where a form comes from
//! (`Sec-Fetch-Site`, `Origin`), but other clients need not; the token cannot be known to another site,
//! but would not tell a stale tab from an attack. So a form from elsewhere is refused and forgotten,
//! while one from our own page whose session has ended is kept for its owner ([`crate::kept`]).

use crate::{
    AppState,
    errors::PageError,
    forms::{Posted, PostedFile},
    kept,
    limits::{DRAIN_MAX_BYTES, FORM_MAX_FIELDS},
    session::{self, Visitor},
};
use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use http_body_util::BodyExt;
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
    let mut posted = read(&parts.headers, body, guard.limit).await?;
    let session = parts.extensions.get::<Session>().cloned().ok_or_else(|| PageError::internal("a form outside the session layer"))?;
    let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();

    let sent = posted.text("_csrf").unwrap_or_default();
    let path = parts.uri.path();
    let signing = matches!(path, "/sign-in" | "/sign-out");
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
fn page_of(headers: &HeaderMap) -> Option<String> {
    let referrer = headers.get(header::REFERER)?.to_str().ok()?;
    let uri: axum::http::Uri = referrer.parse().ok()?;
    let host = headers.get(header::HOST)?.to_str().ok()?;
    (uri.authority()?.as_str() == host).then(|| uri.path().to_owned())
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Posted, PageError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let bytes = collect(body, limit).await?;
    let posted = if kind.starts_with("application/x-www-form-urlencoded") {
        let fields = form_urlencoded::parse(&bytes).take(FORM_MAX_FIELDS + 1).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
        Posted { fields, files: vec![] }
    } else if kind.starts_with("multipart/form-data") {
        parts(headers, bytes).await?
    } else {
        return Err(PageError::NotAForm);
    };
    if posted.fields.len() + posted.files.len() > FORM_MAX_FIELDS {
        return Err(PageError::bad_form("The form has more than 500 fields; one of them"));
    }
    Ok(posted)
}

/// The whole body, if it is within the limit. A browser reads an answer only when it has been able to
/// send everything, so what is over the limit is still read, and thrown away.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, PageError> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| PageError::bad_form("Part of what was sent"))?;
        let Some(data) = frame.data_ref() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            kept.extend_from_slice(data);
        } else {
            kept = Vec::new();
        }
        if seen > DRAIN_MAX_BYTES {
            break;
        }
    }
    if seen > limit { Err(PageError::TooLarge { limit }) } else { Ok(kept.into()) }
}

async fn parts(headers: &HeaderMap, bytes: Bytes) -> Result<Posted, PageError> {
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

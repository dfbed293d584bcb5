//! What is around every answer: the Host check, a request id, a log line, security headers, rate
//! limits, and errors drawn as a page or as problem+json.
//!
//! The log line names the *route* (`/assess/{id}`), the status and the time taken: never the path,
//! query, body, person or address.

use crate::{
    AppState,
    errors::{PageError, Problem},
    limits::{ADDRESS_BURST, ADDRESS_PER_S, SESSION_BURST, SESSION_PER_S},
    page::problem_page,
    session::{self, Visitor},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};
use tower_sessions::Session;
use uuid::Uuid;

/// The address at the other end of the connection, put into each request by [`crate::serve`].
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Filled by [`know_visitor`], read when an error page is drawn outside it.
#[derive(Clone, Default)]
struct Seen(Arc<OnceLock<Visitor>>);

/// Token buckets for addresses and for sessions.
pub(crate) struct Rates {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    sessions: DefaultKeyedRateLimiter<Uuid>,
    checks: AtomicU32,
}

fn quota(per_second: u32, burst: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN)).allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            addresses: RateLimiter::keyed(quota(ADDRESS_PER_S, ADDRESS_BURST)),
            sessions: RateLimiter::keyed(quota(SESSION_PER_S, SESSION_BURST)),
            checks: AtomicU32::new(0),
        }
    }

    fn address(&self, client: Option<IpAddr>) -> bool {
        // Buckets that are full again are dropped now and then, so that they do not gather for ever.
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(4096) {
            self.addresses.retain_recent();
            self.sessions.retain_recent();
        }
        client.is_none_or(|ip| self.addresses.check_key(&ip).is_ok())
    }

    pub(crate) fn session(&self, person: Uuid) -> bool {
        self.sessions.check_key(&person).is_ok()
    }
}

/// The address that a request comes from. Each proxy writes whom it saw at the end of `X-Forwarded-For`,
/// after whatever it was sent; so the header is read from its end, for as long as the one who wrote is
/// trusted. Of two headers for one thing a proxy may pass on a client's own, so `Forwarded` is not read.
fn client(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut at = request.extensions().get::<Peer>()?.0.ip().to_canonical();
    let said = request.headers().get_all("x-forwarded-for").iter().rev();
    for hop in said.flat_map(|v| v.to_str().unwrap_or("?").rsplit(',')) {
        if !trusted.iter().any(|n| n.contains(&at)) {
            break;
        }
        let hop = hop.trim();
        // Some proxies write the port too.
        let Some(next) = hop.parse().ok().or_else(|| hop.parse().ok().map(|a: SocketAddr| a.ip())) else { break };
        at = next.to_canonical();
    }
    Some(at)
}

/// The outermost middleware.
pub(crate) async fn wrap(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = Uuid::new_v4().simple().to_string();
    let seen = Seen::default();
    request.extensions_mut().insert(seen.clone());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
    let asset = route.starts_with("/assets/");
    let health = route.starts_with("/health/");

    let response = if !host_allowed(&state, &request) {
        StatusCode::MISDIRECTED_REQUEST.into_response()
    } else if !asset && !health && !state.rates().address(client(&request, &state.config().trusted_proxies)) {
        StatusCode::TOO_MANY_REQUESTS.into_response()
    } else {
        next.run(request).await
    };

    let status = response.status();
    let drawn = response.extensions().get::<Problem>().cloned().or_else(|| {
        let is_error = status.is_client_error() || status.is_server_error();
        let bare = !matches!(response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
            Some(t) if t.starts_with(b"text/html") || t.starts_with(b"application/"));
        (is_error && bare).then(|| Problem::of(status))
    });
    let mut response = match drawn {
        Some(problem) if path.starts_with("/api/") => carry(response, problem.json(&request_id)),
        Some(_) if health => response,
        Some(problem) => {
            let visitor = seen.0.get().cloned().unwrap_or_default();
            carry(response, problem_page(&state, &visitor, &path, &problem, &request_id))
        }
        None => response,
    };
    protect(&mut response, &request_id, state.config().secure);

    let ms = started.elapsed().as_millis();
    let status = status.as_u16();
    if status >= 500 {
        tracing::error!(%method, route, status, ms, request_id, "answered");
    } else if asset || health {
        tracing::debug!(%method, route, status, ms, request_id, "answered");
    } else {
        tracing::info!(%method, route, status, ms, request_id, "answered");
    }
    response
}

/// An error page in place of a bare answer, with what the bare answer had set (`Allow`, cookies, how to sign in).
fn carry(bare: Response, mut drawn: Response) -> Response {
    for name in [header::ALLOW, header::SET_COOKIE, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        for value in bare.headers().get_all(&name) {
            drawn.headers_mut().append(name.clone(), value.clone());
        }
    }
    if drawn.status() == StatusCode::TOO_MANY_REQUESTS {
        drawn.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("5"));
    }
    drawn
}

fn host_allowed(state: &AppState, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|h| h.to_str().ok());
    hosts.next().is_none() && host.is_some_and(|h| state.config().hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(h)))
}

/// Nothing from elsewhere, no script or style inside a page, no frame around one, no copy in a cache.
fn protect(response: &mut Response, request_id: &str, secure: bool) {
    let always = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers would then send `Origin: null` with our own forms. Other sites get nothing.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ];
    let headers = response.headers_mut();
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
}

/// Finds out who is looking, once, for everything behind it.
pub(crate) async fn know_visitor(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let Some(session) = request.extensions().get::<Session>().cloned() else {
        return PageError::internal("no session layer").into_response();
    };
    let visitor = match session::visitor(&session, state.desk()).await {
        Ok(visitor) => visitor,
        Err(e) => return PageError::from(e).into_response(),
    };
    if let Some(Seen(slot)) = request.extensions().get::<Seen>() {
        let _ = slot.set(visitor.clone());
    }
    if visitor.person.as_ref().is_some_and(|p| !state.rates().session(p.id)) {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn only_a_trusted_proxy_says_for_whom_it_asks() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|n| n.parse().unwrap()).into();
        let from = |peer: &str, headers: &[&str], trusted: &[IpNet]| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
            for value in headers {
                request.headers_mut().append("x-forwarded-for", value.parse().unwrap());
            }
            client(&request, trusted).unwrap().to_string()
        };
        for (peer, headers, expected) in [
            ("10.0.0.1:1", vec![], "10.0.0.1"),
            ("10.0.0.1:1", vec!["192.0.2.7"], "192.0.2.7"),
            // What the client wrote itself stands before what the proxy saw, in the same line or another.
            ("10.0.0.1:1", vec!["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1:1", vec!["198.51.100.9", "192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1:1", vec!["192.0.2.7, 10.9.9.9"], "192.0.2.7"),
            ("10.0.0.1:1", vec!["10.1.1.1, 10.9.9.9"], "10.1.1.1"),
            ("10.0.0.1:1", vec!["192.0.2.7:4711"], "192.0.2.7"),
            ("[fd00::1]:1", vec!["[2001:db8::7]:4711"], "2001:db8::7"),
            ("[::ffff:10.0.0.1]:1", vec!["::ffff:192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1:1", vec!["192.0.2.7, unknown"], "10.0.0.1"),
            ("203.0.113.5:1", vec!["192.0.2.7"], "203.0.113.5"),
        ] {
            assert_eq!(from(peer, &headers, &trusted), expected, "{peer} {headers:?}");
        }
        assert_eq!(from("10.0.0.1:1", &["192.0.2.7"], &[]), "10.0.0.1", "none is trusted unless named");
    }
}

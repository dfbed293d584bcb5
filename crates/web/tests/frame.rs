//! The frame of the pages, spoken to as a browser speaks to it: sessions, tokens, limits, headers, and
//! what becomes of a form whose session has ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use http_body_util::BodyExt;
use minijinja::context;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use uuid::Uuid;
use web::{
    AppState, Config,
    desk::{MemoryDesk, Person},
    errors::{PageError, RefusalLine},
    forms::Posted,
    limits::{ADDRESS_BURST, FORM_MAX_BYTES, SESSION_BURST, UPLOAD_MAX_BYTES},
    page::Page,
    pages::{self, Routes},
    router_with,
};

const HOST: &str = "127.0.0.1:8080";
const MORGAN: Uuid = Uuid::from_u128(1);
const ROWAN: Uuid = Uuid::from_u128(2);

type Saved = Arc<Mutex<Vec<(Uuid, String)>>>;

struct House {
    router: Router,
    desk: Arc<MemoryDesk>,
    saved: Saved,
}

/// The frame around one form (`/intake`), one upload (`/intake/image`) and one broken page.
fn house() -> House {
    let person = |id, name: &str, role: &str| Person {
        id,
        name: name.into(),
        roles: vec![role.into()],
        role_words: role.into(),
        organisation: "Northshire Police".into(),
    };
    let desk = Arc::new(MemoryDesk::new(vec![person(MORGAN, "Morgan Hale", "requester"), person(ROWAN, "Rowan Pike", "approver")]));
    let saved = Saved::default();
    let (one, two) = (saved.clone(), saved.clone());
    let show = async |page: Page| page.view("frame-sample.html", "A sample").with(context! { version => 7 }).draw().await;
    let save = async move |page: Page, posted: Posted| -> Result<Response, PageError> {
        posted.version()?;
        if posted.has("reason", "refuse") {
            let line = RefusalLine { clauses: vec!["A7".into()], words: "Not serious <crime>".into(), field: Some("reason".into()) };
            return page.view("frame-sample.html", "A sample").with(context! { values => posted.values() }).errors([line]).draw().await;
        }
        one.lock().unwrap().push((posted.once()?, posted.text("reason").unwrap_or_default().to_owned()));
        page.done("Saved.", "/intake").await
    };
    let upload = async move |page: Page, posted: Posted| -> Result<Response, PageError> {
        let file = posted.file("image").ok_or(PageError::NotFound)?;
        two.lock().unwrap().push((posted.once()?, format!("{} bytes", file.bytes.len())));
        page.done("Saved.", "/intake").await
    };
    #[allow(unreachable_code)]
    let broken = async || -> Response { panic!("the secret is 1234") };
    let routes = Routes::pages(Router::new().route("/intake", get(show).post(save)).route("/broken", get(broken)))
        .with_uploads(Router::new().route("/intake/image", post(upload)));
    let config = Config { hosts: vec![HOST.into()], demo: true, secure: false, trusted_proxies: vec![] };
    let state = AppState::new(config, desk.clone()).unwrap();
    let api = Router::new().route("/v1/stale", post(async || PageError::Stale));
    House { router: router_with(state, pages::frame().and(routes), api), desk, saved }
}

/// A browser: one cookie, and an `Origin` on every form.
struct Browser<'a> {
    house: &'a House,
    cookie: Option<String>,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    fn to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers[header::LOCATION].to_str().unwrap()
    }
    /// The value of the first hidden field of this name.
    fn field(&self, name: &str) -> String {
        let at = self.body.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {}", self.body));
        self.body[at..].split('"').nth(3).unwrap().to_owned()
    }
}

impl<'a> Browser<'a> {
    fn new(house: &'a House) -> Self {
        Self { house, cookie: None }
    }

    async fn send(&mut self, mut request: Request<Body>) -> Answer {
        request.headers_mut().entry(header::HOST).or_insert(HOST.parse().unwrap());
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        }
        let response = self.house.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") || set.contains("Max-Age=0"), "{set}");
            self.cookie = Some(set.split(';').next().unwrap().to_owned());
        }
        let body = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(
            Request::post(path)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("origin", format!("http://{HOST}"))
                .header("sec-fetch-site", "same-origin")
                .header("referer", format!("http://{HOST}/intake?tab=1"))
                .body(Body::from(body))
                .unwrap(),
        )
        .await
    }

    async fn sign_in(&mut self, who: Uuid) -> Answer {
        let token = self.get("/sign-in").await.field("_csrf");
        self.post("/sign-in", &[("_csrf", &token), ("person", &who.to_string()), ("back", "/intake")]).await
    }
}

async fn upload(browser: &mut Browser<'_>, token: &str, once: &str, bytes: usize) -> Answer {
    let part = |name: &str, value: &str| format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let mut body = part("_csrf", token) + &part("_for", &MORGAN.to_string()) + &part("_once", once) + &part("note", "Left profile");
    body += "--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n";
    let mut body = body.into_bytes();
    body.resize(body.len() + bytes, 7);
    body.extend_from_slice(b"\r\n--B--\r\n");
    browser
        .send(
            Request::post("/intake/image")
                .header("content-type", "multipart/form-data; boundary=B")
                .header("referer", format!("http://{HOST}/intake"))
                .body(Body::from(body))
                .unwrap(),
        )
        .await
}

#[tokio::test]
async fn a_person_signs_in_sends_a_form_and_signs_out() {
    let house = house();
    let mut b = Browser::new(&house);
    assert_eq!(b.get("/intake?n=1").await.to(), "/sign-in?back=%2Fintake%3Fn%3D1");
    assert_eq!(b.sign_in(MORGAN).await.to(), "/intake");
    let page = b.get("/intake").await;
    assert!(page.body.contains("<title>A sample – Countersign</title>"), "{}", page.body);
    assert!(page.body.contains("Morgan Hale"));
    let (token, once) = (page.field("_csrf"), page.field("_once"));
    let sent = b
        .post("/intake", &[("_csrf", &token), ("_for", &MORGAN.to_string()), ("_once", &once), ("_version", "7"), ("reason", " A child ")])
        .await;
    assert_eq!(sent.to(), "/intake");
    assert_eq!(house.saved.lock().unwrap()[0].1, "A child");
    assert!(b.get("/intake").await.body.contains("Saved."));
    assert!(!b.get("/intake").await.body.contains("Saved."), "a notice is shown once");
    let before = b.cookie.clone();
    assert_eq!(b.post("/sign-out", &[("_csrf", &token)]).await.to(), "/sign-in");
    b.cookie = before;
    assert!(b.get("/intake").await.to().starts_with("/sign-in"), "the old cookie is worth nothing");
}

#[tokio::test]
async fn a_planted_session_is_not_the_one_signed_into() {
    let house = house();
    let mut b = Browser::new(&house);
    b.get("/sign-in").await;
    let planted = b.cookie.clone();
    b.sign_in(MORGAN).await;
    assert_ne!(b.cookie, planted);
    b.cookie = planted;
    assert!(b.get("/intake").await.to().starts_with("/sign-in"));
}

#[tokio::test]
async fn a_stolen_store_neither_signs_in_nor_shows_anything() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let cookie = b.cookie.clone().unwrap();
    let id = cookie.split('=').nth(1).unwrap();
    let stolen = house.desk.stolen();
    assert!(!stolen.is_empty());
    for (key, bytes) in stolen {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(id) && !text.contains("person") && !text.contains(&MORGAN.to_string()));
        assert!(!hex::encode(key).contains(id));
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused_and_forgotten() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let page = b.get("/intake").await;
    let body = format!("_csrf={}&_for={MORGAN}&_version=7&_once={}&reason=planted", page.field("_csrf"), page.field("_once"));
    for (name, value) in [("origin", "http://elsewhere.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
        let request = Request::post("/intake").header("content-type", "application/x-www-form-urlencoded").header(name, value);
        let answer = b.send(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("from somewhere else"));
    }
    assert!(house.saved.lock().unwrap().is_empty());
    assert_eq!(b.get("/kept").await.to(), "/", "nothing of it was kept");
    let bare = b.post("/intake", &[("reason", "no token at all")]).await;
    assert_eq!(bare.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nothing_typed_is_lost_when_the_session_ends_mid_form() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let page = b.get("/intake").await;
    let (token, once) = (page.field("_csrf"), page.field("_once"));
    house.desk.end_all_sessions();
    let words = "Seen at the counter <twice> & \"again\"";
    let fields = [
        ("_csrf", token.as_str()),
        ("_for", &MORGAN.to_string()),
        ("_once", &once),
        ("_version", "7"),
        ("reason", words),
        ("purpose", "crime"),
        ("purpose", "life"),
    ];
    assert_eq!(b.post("/intake", &fields).await.to(), "/sign-in?kept");
    assert!(house.saved.lock().unwrap().is_empty());
    let sign_in = b.get("/sign-in?kept").await;
    assert!(sign_in.body.contains("It has been kept") && !sign_in.body.contains("counter"), "nobody is shown it yet");

    assert_eq!(b.sign_in(MORGAN).await.to(), "/kept");
    let kept = b.get("/kept").await;
    assert!(kept.body.contains("Seen at the counter &lt;twice&gt; &amp;"), "{}", kept.body);
    assert!(kept.body.contains("href=\"/intake\""), "a way back to the form");
    assert!(kept.body.matches("name=\"purpose\"").count() == 2);
    let fresh = kept
        .body
        .rsplit("action=\"/intake\"")
        .next()
        .unwrap()
        .split("_csrf\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    assert_ne!(fresh, token);
    let again = [
        ("_csrf", fresh.as_str()),
        ("_for", &MORGAN.to_string()),
        ("_kept", "yes"),
        ("_once", &once),
        ("_version", "7"),
        ("reason", words),
    ];
    assert_eq!(b.post("/intake", &again).await.to(), "/intake");
    assert_eq!(
        house.saved.lock().unwrap().as_slice(),
        [(once.parse().unwrap(), words.to_owned())],
        "the same key as it was first sent with"
    );
    assert_eq!(b.get("/kept").await.to(), "/", "and then it is gone");
}

#[tokio::test]
async fn a_kept_form_is_given_back_to_its_owner_and_nobody_else() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let page = b.get("/intake").await;
    house.desk.end_all_sessions();
    let fields =
        [("_csrf", page.field("_csrf")), ("_for", MORGAN.to_string()), ("_version", "7".into()), ("reason", "for Morgan's eyes".into())];
    let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    b.post("/intake", &fields).await;
    assert_eq!(b.sign_in(ROWAN).await.to(), "/intake");
    let page = b.get("/intake").await;
    assert!(page.body.contains("thrown away unseen") && !page.body.contains("Morgan's eyes"));
    assert_eq!(b.get("/kept").await.to(), "/");
}

#[tokio::test]
async fn a_stale_tab_of_the_same_person_keeps_its_form_too() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let old = b.get("/intake").await.field("_csrf");
    b.sign_in(MORGAN).await;
    let sent = b.post("/intake", &[("_csrf", &old), ("_for", &MORGAN.to_string()), ("_version", "7"), ("reason", "typed before")]).await;
    assert_eq!(sent.to(), "/kept");
    assert!(b.get("/kept").await.body.contains("typed before"));
    let token = b.get("/kept").await.field("_csrf");
    assert_eq!(b.post("/kept/discard", &[("_csrf", &token)]).await.to(), "/");
    assert_eq!(b.get("/kept").await.to(), "/");
}

#[tokio::test]
async fn an_upload_whose_session_ended_keeps_its_words_and_asks_for_the_image_again() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let page = b.get("/intake").await;
    let (token, once) = (page.field("_csrf"), page.field("_once"));
    assert_eq!(upload(&mut b, &token, &once, 300 * 1024).await.to(), "/intake");
    assert_eq!(house.saved.lock().unwrap()[0].1, "307200 bytes");
    house.desk.end_all_sessions();
    assert_eq!(upload(&mut b, &token, &once, 1000).await.to(), "/sign-in?kept");
    assert_eq!(b.sign_in(MORGAN).await.to(), "/kept");
    let kept = b.get("/kept").await.body;
    assert!(kept.contains("Left profile") && kept.contains("choose them again"), "{kept}");
    house.desk.end_all_sessions();
    assert_eq!(upload(&mut b, &token, &once, FORM_MAX_BYTES).await.to(), "/sign-in?unsent=images&back=%2Fintake");
    let page = b.get("/sign-in?unsent=images&back=%2Fintake").await;
    assert!(page.body.contains("choose them once more"), "{}", page.body);
    let (token, back) = (page.field("_csrf"), page.field("back"));
    assert_eq!(b.post("/sign-in", &[("_csrf", &token), ("person", &MORGAN.to_string()), ("back", &back)]).await.to(), "/intake");
}

#[tokio::test]
async fn what_is_too_large_is_told_the_limit() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let page = b.get("/intake").await;
    let (token, once) = (page.field("_csrf"), page.field("_once"));
    let large = upload(&mut b, &token, &once, UPLOAD_MAX_BYTES + 1).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(large.body.contains("32 MB") && large.body.contains("Morgan Hale"), "a page of ours: {}", large.body);
    let empty = format!("_csrf={token}&_version=7&_once={once}&reason=").len();
    for (extra, status) in [(0, StatusCode::SEE_OTHER), (1, StatusCode::PAYLOAD_TOO_LARGE)] {
        let reason = "x".repeat(FORM_MAX_BYTES - empty + extra);
        let answer = b.post("/intake", &[("_csrf", &token), ("_version", "7"), ("_once", &once), ("reason", &reason)]).await;
        assert_eq!(answer.status, status, "at the edge, and one byte over");
    }
}

#[tokio::test]
async fn refusals_come_all_at_once_with_their_clauses() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let token = b.get("/intake").await.field("_csrf");
    let answer = b.post("/intake", &[("_csrf", &token), ("_version", "7"), ("reason", "refuse"), ("purpose", "life")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("<title>Error: A sample – Countersign</title>"));
    assert!(answer.body.contains("<a href=\"#reason\">Not serious &lt;crime&gt;</a>") && answer.body.contains("href=\"/policy#A7\""));
    assert!(answer.body.contains("id=\"reason-error\"") && answer.body.contains(">refuse</textarea>"), "filled in again: {}", answer.body);
}

#[tokio::test]
async fn every_answer_is_wrapped_safely() {
    let house = house();
    let mut b = Browser::new(&house);
    for path in ["/sign-in", "/policy", "/nowhere", "/broken", "/api/nowhere", "/health/live"] {
        let answer = b.get(path).await;
        let header = |name: &str| answer.headers.get(name).unwrap_or_else(|| panic!("{path} lacks {name}")).to_str().unwrap().to_owned();
        let csp = header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'") && csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"));
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("x-request-id").len(), 32);
    }
    let asset = b.get(&web::assets::asset_url("app.css")).await;
    assert!(asset.headers["cache-control"].to_str().unwrap().contains("immutable"));
    assert_eq!(b.get("/assets/0000/app.css").await.headers["cache-control"], "no-store");
    assert_eq!(b.get("/assets/0000/../../etc/passwd").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn errors_are_pages_for_people_and_problems_for_programs() {
    let house = house();
    let mut b = Browser::new(&house);
    let missing = b.get("/nowhere").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.body.contains("<h1 class=\"govuk-heading-l\">Page not found</h1>"));
    let broken = b.get("/broken").await;
    assert_eq!(broken.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(broken.body.contains("problem with the service") && !broken.body.contains("1234"));
    let delete = b.send(Request::delete("/policy").body(Body::empty()).unwrap()).await;
    assert_eq!(delete.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(delete.headers["allow"].to_str().unwrap().contains("GET") && delete.body.contains("cannot be done here"));
    let api = b.send(Request::post("/api/v1/stale").body(Body::empty()).unwrap()).await;
    assert_eq!((api.status, api.headers["content-type"].to_str().unwrap()), (StatusCode::CONFLICT, "application/problem+json"));
    let problem: serde_json::Value = serde_json::from_str(&api.body).unwrap();
    assert_eq!(problem["status"], 409);
    assert!(problem["refusals"].is_array());
    assert_eq!(b.get("/api/nowhere").await.headers["content-type"], "application/problem+json");
    let json = Request::post("/intake").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(b.send(json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn only_known_hosts_are_answered() {
    let house = house();
    for host in ["attacker.example", "127.0.0.1:9999", "127.0.0.1:8080.attacker.example"] {
        let request = Request::get("/sign-in").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(Browser::new(&house).send(request).await.status, StatusCode::MISDIRECTED_REQUEST);
    }
    let open = Config { hosts: vec!["countersign.example:80".into()], demo: true, secure: false, trusted_proxies: vec![] };
    assert!(AppState::new(open, house.desk.clone()).is_err(), "the demo never listens to others");
}

#[tokio::test]
async fn the_demo_signs_in_this_machine_only() {
    let house = house();
    let mut request = Request::get("/sign-in").body(Body::empty()).unwrap();
    request.extensions_mut().insert(web::envelope::Peer("192.0.2.7:4000".parse().unwrap()));
    assert_eq!(Browser::new(&house).send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn addresses_are_counted_behind_a_trusted_proxy_and_are_not_believed_from_anybody_else() {
    let desk = Arc::new(MemoryDesk::default());
    let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let config = Config { hosts: vec![HOST.into()], demo: true, secure: false, trusted_proxies };
    let router = router_with(AppState::new(config, desk).unwrap(), pages::frame(), Router::new());
    let ask = async |peer: &str, client: String| {
        let mut request = Request::get("/policy").header("host", HOST).header("x-forwarded-for", client).body(Body::empty()).unwrap();
        request.extensions_mut().insert(web::envelope::Peer(peer.parse().unwrap()));
        router.clone().oneshot(request).await.unwrap().status()
    };
    let enough = ADDRESS_BURST * 2;
    let mut slowed = 0;
    for n in 0..enough {
        assert_eq!(ask("10.0.0.1:4000", format!("198.51.{}.{}", n / 256, n % 256)).await, StatusCode::OK, "each client by itself");
        // Somebody who makes clients up is counted as who they are.
        slowed += u32::from(ask("203.0.113.5:4000", format!("198.51.{}.{}", n / 256, n % 256)).await == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(slowed > 0, "{enough} requests of one address");
}

#[tokio::test]
async fn a_session_that_asks_without_end_is_slowed() {
    let house = house();
    let mut b = Browser::new(&house);
    b.sign_in(MORGAN).await;
    let mut last = StatusCode::OK;
    for _ in 0..SESSION_BURST * 3 {
        let answer = b.get("/policy").await;
        last = answer.status;
        if last == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.body.contains("Too many requests") && answer.headers.contains_key("retry-after"));
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let mut other = Browser::new(&house);
    assert_eq!(other.sign_in(ROWAN).await.status, StatusCode::SEE_OTHER, "others are not");
}

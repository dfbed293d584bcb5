//! A whole house behind the API: real store, galleries, engine and decoder's child, and callers who
//! remember every answer, compared at once with the document.

use crate::conform;
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use bureau::{Bureau, Clock, Parts, certificate::Wanted, enrol::Enrolment};
use casework::{
    disclosure::Biography,
    ids::PersonId,
    people::{Register, RegisterEvent},
    policy::BioField,
    record::GalleryId,
    testing::World,
};
use decoder::{Decoder, Mask, PixelArea, Rgb8};
use face::{Engine, OnnxEngine, Pack};
use gallery::{LocalGallery, ModelId, Settings};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};
use store::Store;
use tempfile::TempDir;
use tower::ServiceExt;
use web::{AppState, Config};

pub const HOST: &str = "127.0.0.1:8080";

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct StandingClock(Mutex<Timestamp>);

impl StandingClock {
    pub fn days(&self, days: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_hours(24 * days);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn pack() -> Pack {
    Pack::open(&root().join("build/packs/bundled")).expect("the bundled pack is there: run make setup")
}

pub fn engine() -> Arc<dyn Engine> {
    static ENGINE: OnceLock<Arc<dyn Engine>> = OnceLock::new();
    let load =
        || OnnxEngine::load(&pack(), &root().join("build/onnxruntime/libonnxruntime.so")).expect("the runtime is there: run make setup");
    ENGINE.get_or_init(|| Arc::new(load())).clone()
}

/// A photograph of the pack.
pub fn photograph(name: &str) -> Vec<u8> {
    fs::read(root().join("node_modules/@vladmandic/face-api/demo").join(name)).expect("the photographs are there: run make setup")
}

fn decoder() -> Decoder {
    let exe = std::env::current_exe().unwrap();
    let child = exe.ancestors().nth(2).unwrap().join("examples/api_decode_child");
    assert!(child.exists(), "{} is missing: cargo builds it with the tests of the whole package", child.display());
    Decoder::new(child, vec![])
}

fn founding(register: &Register) -> Vec<RegisterEvent> {
    let leos = register.leos.values().cloned().map(RegisterEvent::LeoEntered);
    let dsas = register.dsas.values().cloned().map(RegisterEvent::DsaEntered);
    let people = register.people.values().cloned().map(RegisterEvent::PersonEntered);
    let teams = register.teams.values().cloned().map(RegisterEvent::TeamEntered);
    leos.chain(dsas).chain(people).chain(teams).collect()
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub caller: Option<PersonId>,
    pub what: String,
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{}: {e}: {}", self.what, self.text()))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
    /// The clause ids of every refusal.
    pub fn clauses(&self) -> Vec<String> {
        let json = self.json();
        let all = json["refusals"].as_array().unwrap().iter().flat_map(|r| r["clauses"].as_array().unwrap().clone());
        all.map(|c| c.as_str().unwrap().to_owned()).collect()
    }
    /// The answer, where it is what was expected.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.what, self.text());
        self
    }
}

/// The house.
pub struct House {
    pub bureau: Arc<Bureau>,
    pub clock: Arc<StandingClock>,
    router: Router,
    tokens: Mutex<BTreeMap<PersonId, String>>,
    pub answers: Mutex<Vec<Got>>,
    _folder: TempDir,
}

impl House {
    /// Two forces, both galleries with their people; the faces of `sample1.jpg` in the passport gallery.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(StandingClock(Mutex::new(World::new().now)));
        let engine = engine();
        let model = ModelId::new(engine.model().id.as_str()).unwrap();
        let open = |g: GalleryId| {
            LocalGallery::open_or_create(folder.path().join(g.to_string()), &model, engine.model().dimension, Settings::default()).unwrap()
        };
        let galleries = [GalleryId::Passport, GalleryId::Immigration].map(|g| (g, Arc::new(open(g)))).into();
        let bureau = Arc::new(Bureau::new(Parts {
            store: Store::create(&folder.path().join("store"), "example.test/countersign").await.unwrap(),
            engine: engine.clone(),
            galleries,
            decoder: decoder(),
            clock: clock.clone(),
            specifications: bureau::images::image_specifications().unwrap(),
            pack_digest: pack().digest().to_owned(),
        }));
        bureau.found_register(founding(&World::new().register)).await.unwrap();
        let config = Config { hosts: vec![HOST.into()], demo: true, secure: false, trusted_proxies: vec![] };
        let router = web::router(AppState::over(config, bureau.clone()).unwrap());
        Self { bureau, clock, router, tokens: Mutex::default(), answers: Mutex::default(), _folder: folder }
    }

    /// With references: every face of a photograph that is found again alone.
    pub async fn enrolled() -> Self {
        let house = Self::new().await;
        let b = &house.bureau;
        for (n, image) in house.cut_out("sample1.jpg").await.into_iter().enumerate() {
            let biography =
                Biography([(BioField::Name, format!("Invented Person {n}")), (BioField::PassportNumber, format!("DEMO{n}"))].into());
            b.enrol_one(GalleryId::Passport, Enrolment { image, biography }).await.unwrap();
        }
        let measured = crate::measured::evaluation(&pack(), engine().model(), 100, World::new().today(), |_| ());
        for gallery in [GalleryId::Passport, GalleryId::Immigration] {
            let wanted = Wanted { gallery, threshold: engine().model().threshold.value, references_max: 500, estimate: false };
            b.issue_certificate(&measured, wanted).await.unwrap();
        }
        house
    }

    /// Each face of a photograph as a picture of its own.
    pub async fn cut_out(&self, name: &str) -> Vec<Vec<u8>> {
        let pixels = self.bureau.decode(&photograph(name)).await.unwrap();
        let faces = self.bureau.faces(&pixels).await.unwrap();
        let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).unwrap();
        let area = |f: &face::DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
        let one = |f: &face::DetectedFace| {
            let others: Vec<_> = faces.iter().filter(|o| o.index != f.index).map(|o| area(o).padded(0.1)).collect();
            whole.mask_boxes(&others, Mask::Solid).crop(area(f).padded(0.6)).unwrap().to_jpeg(92).unwrap()
        };
        faces.iter().map(one).collect()
    }

    pub async fn token(&self, who: PersonId) -> String {
        if let Some(held) = self.tokens.lock().unwrap().get(&who) {
            return held.clone();
        }
        let token = self.bureau.issue_token(who, 30).await.unwrap();
        self.tokens.lock().unwrap().insert(who, token.clone());
        token
    }

    /// Sends a request as it is, remembers the answer, and compares it with the document.
    pub async fn send(&self, caller: Option<PersonId>, request: Request<Body>) -> Got {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let got = Got { caller, what: format!("{method} {path}"), status: parts.status, headers: parts.headers, bytes };
        if let Some(operation) = path.strip_prefix("/api/v1").and_then(|p| conform::operation(method.as_str(), p)) {
            let kind = got.headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap()).unwrap_or_default();
            let faults = conform::faults(operation, got.status.as_u16(), kind, &got.bytes);
            assert!(faults.is_empty(), "{} → {}: {faults:#?}\n{}", got.what, got.status, got.text());
        }
        self.answers.lock().unwrap().push(got.clone());
        got
    }

    pub async fn request(&self, who: PersonId, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(header::HOST, HOST)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(who).await))
    }

    pub async fn get(&self, who: PersonId, path: &str) -> Got {
        let request = self.request(who, "GET", path).await.body(Body::empty()).unwrap();
        self.send(Some(who), request).await
    }

    pub async fn empty(&self, who: PersonId, method: &str, path: &str) -> Got {
        let request = self.request(who, method, path).await.body(Body::empty()).unwrap();
        self.send(Some(who), request).await
    }

    pub async fn json(&self, who: PersonId, method: &str, path: &str, body: Value) -> Got {
        let builder = self.request(who, method, path).await.header(header::CONTENT_TYPE, "application/json");
        self.send(Some(who), builder.body(Body::from(body.to_string())).unwrap()).await
    }

    pub async fn post(&self, who: PersonId, path: &str, body: Value) -> Got {
        self.json(who, "POST", path, body).await
    }

    /// A step that carries an idempotency key.
    pub async fn post_once(&self, who: PersonId, path: &str, key: &str, body: Value) -> Got {
        let builder = self.request(who, "POST", path).await.header(header::CONTENT_TYPE, "application/json").header("idempotency-key", key);
        self.send(Some(who), builder.body(Body::from(body.to_string())).unwrap()).await
    }

    pub async fn upload(&self, who: PersonId, path: &str, bytes: Vec<u8>) -> Got {
        self.upload_by(who, "POST", path, bytes).await
    }

    pub async fn upload_by(&self, who: PersonId, method: &str, path: &str, bytes: Vec<u8>) -> Got {
        let builder = self.request(who, method, path).await.header(header::CONTENT_TYPE, "image/jpeg");
        self.send(Some(who), builder.body(Body::from(bytes)).unwrap()).await
    }

    /// A page, as the browser of somebody who has just signed in gets it.
    pub async fn page(&self, who: PersonId, path: &str) -> String {
        let cookie = |got: &Got| got.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let begun = self.send(None, Request::get("/sign-in").header(header::HOST, HOST).body(Body::empty()).unwrap()).await;
        let html = begun.text();
        let token = html.split("name=\"_csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let fields = [("_csrf", token), ("person", &who.to_string())];
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let sign_in = Request::post("/sign-in")
            .header(header::HOST, HOST)
            .header(header::COOKIE, cookie(&begun))
            .header(header::ORIGIN, format!("http://{HOST}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let signed_in = self.send(None, sign_in.body(Body::from(form)).unwrap()).await.is(303);
        let request = Request::get(path).header(header::HOST, HOST).header(header::COOKIE, cookie(&signed_in));
        self.send(Some(who), request.body(Body::empty()).unwrap()).await.is(200).text()
    }

    /// The request's version, as this person sees it.
    pub async fn version(&self, who: PersonId, id: &str) -> u64 {
        self.get(who, &format!("/requests/{id}")).await.is(200).json()["version"].as_u64().unwrap()
    }
}

//! Non-interference (M2): the second examiner's pages are the same byte for byte whatever the first did.
//!
//! One house is taken to the moment of comparison and copied; in each copy the first examiner does
//! something else, before the second begins or while they work. The second then does exactly the same in
//! each, and every page, picture and redirect that they get is held against the first copy's. Only a
//! session's own form tokens differ; they are made equal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use bureau::{Bureau, Clock, Parts, certificate::Wanted, enrol::Enrolment};
use casework::{
    command::Command,
    disclosure::Biography,
    form::Nationality,
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    image_log::Steps,
    policy::BioField,
    record::GalleryId,
    request::ProbeState,
    review::{Agreement, Component, Conclusion, Informed, Visual},
};
use decoder::{Decoder, Mask, PixelArea, Rgb8};
use demo::{people, stories};
use face::{Engine, OnnxEngine, Pack};
use gallery::{LocalGallery, ModelId, Settings};
use http_body_util::BodyExt;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::Store;
use tower::ServiceExt;

#[path = "../../bureau/tests/common/measured.rs"]
mod measured;

/// The demo's people and stories, as the binary has them.
#[path = "../src/demo"]
mod demo {
    #[allow(dead_code)]
    pub mod people;
    #[allow(dead_code)]
    pub mod stories;
}

const HOST: &str = "127.0.0.1:8080";
const FIRST: PersonId = people::LIN;
const SECOND: PersonId = people::CLARKE;

/// Stands still, so that nothing on a page depends on how fast the test runs.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Ground {
    pack: Pack,
    engine: Arc<dyn Engine>,
    clock: Arc<Still>,
}

impl Ground {
    fn new() -> Self {
        let pack = Pack::open(&root().join("build/packs/bundled")).expect("run `make setup` first");
        let engine = OnnxEngine::load(&pack, &root().join("build/onnxruntime/libonnxruntime.so")).expect("run `make setup` first");
        Self { pack, engine: Arc::new(engine), clock: Arc::new(Still(Timestamp::now())) }
    }

    async fn open(&self, dir: &Path) -> Arc<Bureau> {
        let at = dir.join("store");
        let store = if at.exists() { Store::open(&at).await } else { Store::create(&at, "countersign/log").await }.unwrap();
        let model = ModelId::new(self.engine.model().id.as_str()).unwrap();
        let gallery =
            LocalGallery::open_or_create(dir.join("passport"), &model, self.engine.model().dimension, Settings::default()).unwrap();
        Arc::new(Bureau::new(Parts {
            store,
            engine: self.engine.clone(),
            galleries: BTreeMap::from([(GalleryId::Passport, Arc::new(gallery))]),
            decoder: Decoder::new(env!("CARGO_BIN_EXE_countersign").into(), vec!["decode-child".into()]),
            clock: self.clock.clone(),
            specifications: bureau::images::image_specifications().unwrap(),
            pack_digest: self.pack.digest().to_owned(),
        }))
    }

    /// A house in which a search for one face of the photograph has been made.
    async fn searched(&self, dir: &Path, face: usize) -> (Arc<Bureau>, RequestId, ProbeId) {
        let (bureau, _) = self.founded(dir).await;
        let photograph = std::fs::read(self.pack.samples().unwrap().join("sample3.jpg")).unwrap();
        let (id, probe) = self.searched_with(&bureau, &photograph, face).await;
        (bureau, id, probe)
    }

    /// A request of which one face was searched for.
    async fn searched_with(&self, bureau: &Bureau, photograph: &[u8], face: usize) -> (RequestId, ProbeId) {
        let form = stories::form("NS/2026/0500", Nationality::British);
        let id = stories::submitted(bureau, stories::PASSPORT, form, photograph, face).await.unwrap()[0];
        let probe = stories::authorised(bureau, stories::PASSPORT, id).await.unwrap();
        bureau.act_and_work(people::VERMA, id, Command::StartSearch { probe }, None, None).await.unwrap();
        (id, probe)
    }

    /// A house whose passport gallery holds the faces of a photograph twice, as two photographs that differ in their
    /// frame; with each, what is held of it.
    async fn founded(&self, dir: &Path) -> (Arc<Bureau>, Vec<(Vec<u8>, Biography)>) {
        std::fs::create_dir_all(dir).unwrap();
        let bureau = self.open(dir).await;
        bureau.found_register(people::register(casework::calendar::london_date(bureau.now()))).await.unwrap();
        let samples = self.pack.samples().unwrap();
        let bytes = std::fs::read(samples.join("sample1.jpg")).unwrap();
        let pixels = bureau.decode(&bytes).await.unwrap();
        let faces = bureau.faces(&pixels).await.unwrap();
        let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).unwrap();
        let mut held = vec![];
        for (n, f) in faces.iter().enumerate() {
            for margin in [0.45, 0.6] {
                let area = PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
                let image = whole.crop(area.padded(margin)).unwrap().to_jpeg(92).unwrap();
                let biography = Biography([(BioField::Name, format!("Invented {n} at {margin}"))].into());
                // A crop that shows a neighbour too is refused, which is as well here.
                let enrolment = Enrolment { image: image.clone(), biography: biography.clone() };
                if bureau.enrol_one(GalleryId::Passport, enrolment).await.is_ok() {
                    held.push((image, biography));
                }
            }
        }
        let model = self.engine.model();
        let wanted = Wanted { gallery: GalleryId::Passport, threshold: model.threshold.value, references_max: 300, estimate: false };
        bureau
            .issue_certificate(&measured::evaluation(&self.pack, model, 0, casework::calendar::london_date(bureau.now()), |_| ()), wanted)
            .await
            .unwrap();
        (bureau, held)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    // The store refuses folders that others could read.
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// What the first examiner does in one copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Nothing,
    TakesUp,
    LocksVisual(Conclusion),
    Concludes(Conclusion),
    DeclaresConflict,
}

impl First {
    async fn acts(self, bureau: &Bureau, id: RequestId, probe: ProbeId) {
        if self == Self::Nothing {
            return;
        }
        bureau.take_up(FIRST, id, probe).await.unwrap();
        if self == Self::DeclaresConflict {
            let words = "I know the officer who asks.".into();
            bureau.act_and_work(FIRST, id, Command::DeclareConflict { words }, None, None).await.unwrap();
        }
        let (Self::LocksVisual(conclusion) | Self::Concludes(conclusion)) = self else { return };
        let sheet = bureau.comparison(FIRST, id, probe).await.unwrap().sheet;
        let mut version = 0;
        for c in &sheet.candidates {
            bureau.comparison_candidate(FIRST, id, probe, c.id).await.unwrap();
            // What the first did to the pictures must not show either.
            let steps = Steps::read("pv200.500.400_hv200.500.400_pt30.-15_g1_hr345");
            let image_log = bureau.image_log(FIRST, id, probe, c.id, steps).await.unwrap();
            assert!(!image_log.shown.is_empty());
            let opinion =
                Visual { conclusion, components: [(Component::Nose, Agreement::Alike)].into(), words: "What I saw.".into(), image_log };
            let command = Command::GiveVisual { probe, candidate: c.id, opinion, version };
            bureau.act_and_work(FIRST, id, command, None, None).await.unwrap();
            version += 1;
        }
        if matches!(self, Self::LocksVisual(_)) {
            return;
        }
        for c in &sheet.candidates {
            bureau.informed(FIRST, id, probe, c.id).await.unwrap();
            let opinion = Informed { same_person: conclusion.supports_same(), reasons: "As I saw.".into(), image_log: Default::default() };
            let command = Command::GiveInformed { probe, candidate: c.id, opinion, version };
            bureau.act_and_work(FIRST, id, command, None, None).await.unwrap();
            version += 1;
        }
    }
}

/// Everything that one browser got, in order.
type Transcript = Vec<(String, Vec<u8>)>;

/// The second examiner's browser.
struct Browser {
    router: Router,
    cookie: String,
    /// A token of the API; without one, the pages' cookie is sent.
    bearer: Option<String>,
    got: Transcript,
}

impl Browser {
    async fn sign_in(bureau: Arc<Bureau>) -> Self {
        let config = web::Config { hosts: vec![HOST.into()], demo: true, secure: false, trusted_proxies: vec![] };
        let router = web::router(web::AppState::over(config, bureau).unwrap());
        let mut b = Self { router, cookie: String::new(), bearer: None, got: vec![] };
        let page = b.get("/sign-in").await;
        b.post("/sign-in", &[("_csrf", &field(&page, "_csrf")), ("person", &SECOND.to_string())]).await;
        b.got.clear();
        b
    }

    async fn send(&mut self, name: String, request: axum::http::request::Builder, body: Body) -> Vec<u8> {
        let request = match &self.bearer {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request.header(header::COOKIE, &self.cookie),
        };
        let request = request.header(header::HOST, HOST).body(body).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        if let Some(set) = parts.headers.get(header::SET_COOKIE) {
            self.cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let mut headers: Vec<String> = parts
            .headers
            .iter()
            .filter(|(n, _)| !["set-cookie", "x-request-id"].contains(&n.as_str()))
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect();
        headers.sort();
        let mut bytes = format!("{} {}\n\n", parts.status, headers.join("\n")).into_bytes();
        bytes.extend(equalised(&body));
        self.got.push((name, bytes));
        body
    }

    async fn get(&mut self, path: &str) -> String {
        loop {
            let body = self.send(format!("GET {path}"), Request::get(path), Body::empty()).await;
            // The server's limit is in the way of nothing but haste.
            if self.got.pop_if(|(_, answer)| answer.starts_with(b"429")).is_none() {
                return String::from_utf8_lossy(&body).into_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded").header("origin", format!("http://{HOST}"));
        let body = self.send(format!("POST {path}"), request, Body::from(form)).await;
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Fills in the form of a page and sends it.
    async fn fill(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let page = self.get(path).await;
        let ours: Vec<(&str, String)> = ["_csrf", "_for", "_once", "_version"]
            .into_iter()
            .filter(|n| page.contains(&format!("name=\"{n}\" value=\"")))
            .map(|n| (n, last_field(&page, n)))
            .collect();
        let mut all: Vec<(&str, &str)> = ours.iter().map(|(n, v)| (*n, v.as_str())).collect();
        all.extend_from_slice(fields);
        self.post(path, &all).await
    }

    /// Every page, picture and redirect that this examiner can reach.
    async fn look_everywhere(&mut self, base: &str, candidates: &[String]) {
        self.get("/review").await;
        self.get(base).await;
        for tail in ["take-up", "empty", "vulnerable", "conflict", "probe.jpg", "probe.jpg?steps=pi-pb"] {
            self.get(&format!("{base}/{tail}")).await;
        }
        for c in candidates {
            for tail in ["", "/held.jpg", "/informed"] {
                self.get(&format!("{base}/{c}{tail}")).await;
            }
        }
        let request = base.split('/').nth(2).unwrap();
        self.get(&format!("/assess/{request}")).await;
    }
}

/// Form tokens and the number of an answer of the API made equal: they are random every time.
fn equalised(body: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(body) else { return body.to_vec() };
    let mut out = text.to_owned();
    let hidden = ["_csrf", "_once"].map(|name| format!("name=\"{name}\" value=\""));
    for mark in hidden.into_iter().chain(["\"request_id\":\"".to_owned()]) {
        let mut at = 0;
        while let Some(found) = out[at..].find(&mark) {
            let start = at + found + mark.len();
            let end = start + out[start..].find('"').unwrap();
            out.replace_range(start..end, "TOKEN");
            at = start;
        }
    }
    out.into_bytes()
}

fn field(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let at = page.find(&mark).unwrap_or_else(|| panic!("no {name}")) + mark.len();
    page[at..].split('"').next().unwrap().to_owned()
}

/// The page's own form comes after the one that signs out.
fn last_field(page: &str, name: &str) -> String {
    let mark = format!("name=\"{name}\" value=\"");
    let at = page.rfind(&mark).unwrap() + mark.len();
    page[at..].split('"').next().unwrap().to_owned()
}

/// When the first examiner acts, seen from the second one's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    BeforeTheOtherLooks,
    AfterTheOthersFirstOpinion,
    BeforeTheOthersConclusions,
    AfterTheOtherHasFinished,
}

/// The second examiner's whole work in one copy, the first acting at one moment.
async fn work(bureau: Arc<Bureau>, id: RequestId, probe: ProbeId, first: First, when: When) -> Transcript {
    let mut b = Browser::sign_in(bureau.clone()).await;
    let base = format!("/review/{id}/{probe}");
    let acts = async |moment: When| {
        if moment == when {
            first.acts(&bureau, id, probe).await;
        }
    };
    let order: Vec<String> =
        bureau.comparison(SECOND, id, probe).await.unwrap().sheet.candidates.iter().map(|c| c.id.to_string()).collect();
    acts(When::BeforeTheOtherLooks).await;
    b.look_everywhere(&base, &order).await;
    for (n, c) in order.iter().enumerate() {
        let opinion = [("part-nose", "alike"), ("conclusion", "same"), ("words", "The nose agrees."), ("action", "lock")];
        b.fill(&format!("{base}/{c}"), &opinion).await;
        if n == 0 {
            acts(When::AfterTheOthersFirstOpinion).await;
            b.look_everywhere(&base, &order).await;
        }
    }
    acts(When::BeforeTheOthersConclusions).await;
    b.look_everywhere(&base, &order).await;
    for c in &order {
        b.fill(&format!("{base}/{c}/informed"), &[("same", "yes"), ("reasons", "The record agrees.")]).await;
    }
    acts(When::AfterTheOtherHasFinished).await;
    b.look_everywhere(&base, &order).await;
    b.got
}

fn same(reference: &Transcript, other: &Transcript, what: &str) {
    assert_eq!(reference.len(), other.len(), "{what}: as many answers");
    for ((name, a), (other_name, b)) in reference.iter().zip(other) {
        assert_eq!(name, other_name);
        if a != b {
            let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
            let line = a.lines().zip(b.lines()).find(|(x, y)| x != y);
            panic!("{what}: {name} differs: {line:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m2_the_second_examiners_pages_are_the_same_whatever_the_first_did() {
    let ground = Ground::new();
    let temp = tempfile::tempdir().unwrap();
    let origin = temp.path().join("origin");
    // Each house stays open while it is copied, so that no file is being put away meanwhile.
    let (held, id, probe) = ground.searched(&origin, 1).await;
    let found = held.open(id).await.unwrap().probe(probe).unwrap().candidates.len();
    assert!(found >= 2, "an order needs two candidates, and the search found {found}");
    let mut copies = 0;
    let mut fork = |from: &Path| {
        copies += 1;
        let to = temp.path().join(format!("copy-{copies}"));
        copy(from, &to);
        to
    };

    // Before the second takes it up: the way in looks the same.
    let mut reference: Option<Transcript> = None;
    for first in
        [First::Nothing, First::TakesUp, First::LocksVisual(Conclusion::StronglyDifferent), First::Concludes(Conclusion::StronglySame)]
    {
        let bureau = ground.open(&fork(&origin)).await;
        first.acts(&bureau, id, probe).await;
        let mut b = Browser::sign_in(bureau).await;
        b.get("/review").await;
        b.get(&format!("/review/{id}/{probe}/take-up")).await;
        b.get(&format!("/review/{id}/{probe}")).await;
        match &reference {
            None => reference = Some(b.got),
            Some(r) => same(r, &b.got, &format!("before taking up, the first {first:?}")),
        }
    }

    // Their own order is drawn once, then copied.
    let begun = fork(&origin);
    let second = ground.open(&begun).await;
    second.take_up(SECOND, id, probe).await.unwrap();
    let quiet = {
        let bureau = ground.open(&fork(&begun)).await;
        work(bureau, id, probe, First::Nothing, When::BeforeTheOtherLooks).await
    };
    let pages = quiet.iter().filter(|(_, b)| b.starts_with(b"200")).count();
    assert!(pages > 30, "only {pages} of {} answers were pages or pictures: the test sees too little", quiet.len());
    assert!(quiet.iter().any(|(n, b)| n.ends_with("/informed") && b.starts_with(b"200")), "the informed step was reached");

    let mut ends = vec![];
    for (first, when) in [
        (First::TakesUp, When::BeforeTheOtherLooks),
        (First::DeclaresConflict, When::BeforeTheOtherLooks),
        (First::LocksVisual(Conclusion::StronglyDifferent), When::BeforeTheOtherLooks),
        (First::Concludes(Conclusion::StronglySame), When::BeforeTheOtherLooks),
        (First::Concludes(Conclusion::StronglyDifferent), When::BeforeTheOtherLooks),
        (First::Concludes(Conclusion::StronglySame), When::AfterTheOthersFirstOpinion),
        (First::Concludes(Conclusion::CannotSay), When::BeforeTheOthersConclusions),
        (First::Concludes(Conclusion::StronglySame), When::AfterTheOtherHasFinished),
        (First::Concludes(Conclusion::StronglyDifferent), When::AfterTheOtherHasFinished),
    ] {
        let bureau = ground.open(&fork(&begun)).await;
        let got = work(bureau.clone(), id, probe, first, when).await;
        same(&quiet, &got, &format!("the first {first:?} {when:?}"));
        ends.push(bureau.open(id).await.unwrap().probe(probe).unwrap().state.clone());
    }
    // The copies did part: otherwise equality would mean nothing.
    assert!(ends.contains(&ProbeState::Concluded), "in some copy both agreed");
    assert!(ends.iter().any(|e| matches!(e, ProbeState::Adjudicating(_))), "in some copy they differed");
    assert!(ends.contains(&ProbeState::Comparing), "in some copy the first had not finished");
}

/// A known-answer trial with the same content as a request: its picture, its words, its candidates in this order.
async fn trial_like(bureau: &Bureau, probe: &[u8], candidates: &[(Vec<u8>, Biography)]) -> (RequestId, ProbeId) {
    let form = stories::form("NS/2026/0500", Nationality::British);
    let id = bureau.new_trial(people::ADEYEMI).await.unwrap();
    let words = casework::trial::Words {
        origin: "Invented for a test.".into(),
        mode: form.mode,
        source: Some(casework::form::Source::Unsupervised),
        offence: form.offence,
        person: form.person,
        urgent: form.urgent == Some(true),
        came_in_days_ago: 0,
    };
    let leader = people::ADEYEMI;
    let mut version = bureau.save_trial(leader, id, 1, words).await.unwrap();
    version = bureau.add_trial_image(leader, id, version, false, probe, None).await.unwrap();
    for (n, (image, biography)) in candidates.iter().enumerate() {
        version = bureau.add_trial_image(leader, id, version, true, image, None).await.unwrap();
        let candidate = bureau.trial_draft(leader, id).await.unwrap().material.candidates[n].candidate;
        version = bureau.describe_trial_candidate(leader, id, version, candidate, Some(n == 0), biography.clone()).await.unwrap();
    }
    bureau.seed_trial(leader, id, version, None).await.unwrap_or_else(|e| panic!("{e:?}"));
    (id, bureau.open(id).await.unwrap().probes[0].id)
}

/// Everything that an examiner is served of a comparison, by pages and by the API, with what is drawn by chance in
/// every request (its ids, and a picture of the candidates' order) made equal.
async fn examined(bureau: Arc<Bureau>, id: RequestId, probe: ProbeId, order: Vec<CandidateId>) -> Transcript {
    let token = bureau.issue_token(SECOND, 1).await.unwrap();
    let mut b = Browser::sign_in(bureau.clone()).await;
    let (base, api) = (format!("/review/{id}/{probe}"), format!("/api/v1/comparisons/{id}/{probe}"));
    let names: Vec<String> = order.iter().map(ToString::to_string).collect();
    let asks = |b: &mut Browser| b.bearer = Some(token.clone());
    let everywhere = async |b: &mut Browser| {
        b.bearer = None;
        b.look_everywhere(&base, &names).await;
        b.get("/review/trials").await;
        b.fill(&format!("/assess/{id}/take"), &[("conflict", "no")]).await;
        asks(b);
        b.get("/api/v1/comparisons").await;
        b.get(&api).await;
        b.get(&format!("{api}/image")).await;
        for tail in ["", "/history", "/brief", "/answer"] {
            b.get(&format!("/api/v1/requests/{id}{tail}")).await;
        }
        b.get(&format!("/api/v1/trials/{id}")).await;
        for c in &names {
            b.get(&format!("{api}/candidates/{c}/image")).await;
            b.get(&format!("{api}/candidates/{c}/informed")).await;
        }
        b.bearer = None;
    };
    everywhere(&mut b).await;
    bureau.act_and_work(SECOND, id, Command::Examine { probe, order: order.clone() }, None, None).await.unwrap();
    everywhere(&mut b).await;
    for c in &names {
        let opinion = [("part-nose", "alike"), ("conclusion", "same"), ("words", "The nose agrees."), ("action", "lock")];
        b.fill(&format!("{base}/{c}"), &opinion).await;
    }
    First::TakesUp.acts(&bureau, id, probe).await;
    everywhere(&mut b).await;
    for c in &names {
        b.fill(&format!("{base}/{c}/informed"), &[("same", "yes"), ("reasons", "The record agrees.")]).await;
    }
    everywhere(&mut b).await;
    let mut equal = vec![(id.to_string(), "REQUEST".to_owned()), (probe.to_string(), "PROBE".into()), (id.reference(), "REFERENCE".into())];
    equal.extend(names.iter().enumerate().map(|(n, c)| (c.clone(), format!("CANDIDATE-{n}"))));
    let plain = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => equal.iter().fold(text, |text, (from, to)| text.replace(from, to)).into_bytes(),
        Err(picture) => picture.into_bytes(),
    };
    b.got.into_iter().map(|(name, bytes)| (String::from_utf8(plain(name.into_bytes())).unwrap(), plain(bytes))).collect()
}

/// P1, M2: a known-answer trial is casework to whoever examines it, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn p1_an_examiner_is_served_a_trial_and_a_request_with_the_same_content_alike() {
    let ground = Ground::new();
    let temp = tempfile::tempdir().unwrap();
    let origin = temp.path().join("origin");
    let (founded, held) = ground.founded(&origin).await;
    // One face, cut out of another photograph of the same people.
    let photograph = std::fs::read(ground.pack.samples().unwrap().join("sample3.jpg")).unwrap();
    let pixels = founded.decode(&photograph).await.unwrap();
    let faces = founded.faces(&pixels).await.unwrap();
    let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).unwrap();
    let area = |f: &face::DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
    let others: Vec<_> = faces.iter().filter(|f| f.index != 1).map(|f| area(f).padded(0.1)).collect();
    let sought = whole.mask_boxes(&others, Mask::Solid).crop(area(&faces[1]).padded(0.6)).unwrap().to_jpeg(92).unwrap();
    let (with_request, with_trial) = (temp.path().join("request"), temp.path().join("trial"));
    copy(&origin, &with_request);
    copy(&origin, &with_trial);

    let real = ground.open(&with_request).await;
    let (id, probe) = ground.searched_with(&real, &sought, 0).await;
    let listed_probe = probe;
    let request = real.open(id).await.unwrap();
    let mut listed = vec![];
    for c in &request.probe(probe).unwrap().candidates {
        let held_of = real.store().get_holding_biography(GalleryId::Passport, c.reference.unwrap()).await.unwrap().unwrap();
        let biography: Biography = serde_json::from_slice(&held_of).unwrap();
        let image = held.iter().find(|(_, b)| *b == biography).unwrap().0.clone();
        listed.push((c.id, image, biography));
    }
    assert!(listed.len() >= 2, "the search found {}", listed.len());
    let order = listed.iter().map(|l| l.0).collect();
    let served = examined(real.clone(), id, probe, order).await;
    let pages = served.iter().filter(|(_, b)| b.starts_with(b"200")).count();
    assert!(pages > 40, "only {pages} of {} answers were pages or pictures", served.len());

    let made = ground.open(&with_trial).await;
    let candidates: Vec<_> = listed.into_iter().map(|(_, image, biography)| (image, biography)).collect();
    let (id, probe) = trial_like(&made, &sought, &candidates).await;
    let order = made.open(id).await.unwrap().trial.unwrap().material.candidates.iter().map(|k| k.candidate).collect();
    let got = examined(made.clone(), id, probe, order).await;
    same(&served, &got, "a trial");
    // No id of either tells when it was made: they are random, every bit that is not the form of such an id.
    let ids = |p: &casework::request::Probe, id: RequestId| [vec![id.0, p.id.0], p.candidates.iter().map(|c| c.id.0).collect()].concat();
    let (a, b) = (request.probe(listed_probe).unwrap(), &made.open(id).await.unwrap().probes[0]);
    assert!([ids(a, request.id), ids(b, id)].concat().iter().all(|id| id.get_version_num() == 4));
    // They did part, or equality would mean nothing: behind one stands a request, behind the other none.
    assert!(real.open(id).await.unwrap().version == 0 && made.open(id).await.unwrap().trial.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_person_concludes_on_an_empty_list() {
    let ground = Ground::new();
    let temp = tempfile::tempdir().unwrap();
    let (bureau, id, probe) = ground.searched(&temp.path().join("house"), 0).await;
    assert_eq!(bureau.open(id).await.unwrap().probe(probe).unwrap().state, ProbeState::NoCandidates);
    let mut b = Browser::sign_in(bureau.clone()).await;
    let path = format!("/review/{id}/{probe}/empty");
    assert!(b.get("/review").await.contains(&path));
    let refused = b.fill(&path, &[]).await;
    assert!(refused.contains("Say in a few words that you looked"), "{refused}");
    b.fill(&path, &[("words", "I looked at the empty list: no match.")]).await;
    assert_eq!(bureau.open(id).await.unwrap().probe(probe).unwrap().state, ProbeState::Concluded);
    assert!(b.get("/review").await.contains("no candidates, so no match"), "the page says that it was recorded");
}

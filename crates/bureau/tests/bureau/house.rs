//! A whole house for each test: real store, real galleries, real engine, real decoder's child, a clock
//! that the test moves. One house is prepared for all test processes of a run and copied for each test.

use crate::cluster::Cluster;
use bureau::{Bureau, BureauError, Clock, Done, Once, Parts, certificate::Wanted, enrol::Enrolment};
use casework::{
    assess::{Decision, Handling},
    clause::Clause,
    command::Command,
    disclosure::Biography,
    event::{Consulted, Entry, Event, Sharing},
    form::{Form, Source},
    ids::{AuthorisationId, CandidateId, PersonId, ProbeId, ReferenceId, RequestId},
    people::{Register, RegisterEvent},
    policy::BioField,
    record::{GalleryId, StreamId},
    refusal::Refusal,
    request::{Request, State},
    review::{Agreement, Component, Conclusion, Informed, Visual},
    testing::{self, APPROVER, REQUESTER, World, desk},
};
use decoder::{Decoder, Mask, PixelArea, Rgb8};
use face::{DetectedFace, Engine, FaceError, OnnxEngine, Pack, Template, accuracy::Evaluation, filler::Filler};
use gallery::{LocalGallery, ModelId, Settings};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        mpsc::{Receiver, Sender, channel},
    },
};
use store::{Database, Place, Servers, Store};
use tempfile::TempDir;

/// Synthetic references in each gallery of the house.
pub const FILLERS: u64 = 2_000;
/// The synthetic references' seed by gallery.
pub fn seed(gallery: GalleryId) -> u64 {
    match gallery {
        GalleryId::Passport => 11,
        GalleryId::Immigration => 12,
    }
}
/// Which photograph's faces are enrolled in which gallery.
pub fn enrolled(gallery: GalleryId) -> &'static str {
    match gallery {
        GalleryId::Passport => "sample1.jpg",
        GalleryId::Immigration => "sample4.jpg",
    }
}
/// The face on `sample3.jpg` whose person is the third from the left on `sample1.jpg`.
pub const SOUGHT: usize = 1;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct StandingClock(Mutex<Timestamp>);

impl StandingClock {
    pub fn forward(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now += by;
    }
    pub fn days(&self, days: i64) {
        self.forward(SignedDuration::from_hours(24 * days));
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

/// One engine for a process: loading it is the dear part.
pub fn engine() -> Arc<dyn Engine> {
    static ENGINE: OnceLock<Arc<dyn Engine>> = OnceLock::new();
    let load =
        || OnnxEngine::load(&pack(), &root().join("build/onnxruntime/libonnxruntime.so")).expect("the runtime is there: run make setup");
    ENGINE.get_or_init(|| Arc::new(load())).clone()
}

/// The real engine, but for which faces it finds: as another pack or runtime would.
struct Changed {
    real: Arc<dyn Engine>,
    change: fn(Vec<DetectedFace>) -> Vec<DetectedFace>,
}

impl Engine for Changed {
    fn model(&self) -> &face::ModelInfo {
        self.real.model()
    }
    fn detect(&self, image: &face::Image<'_>) -> Result<Vec<DetectedFace>, FaceError> {
        Ok((self.change)(self.real.detect(image)?))
    }
    fn template(&self, image: &face::Image<'_>, face: &DetectedFace) -> Result<Template, FaceError> {
        self.real.template(image, face)
    }
}

/// The real engine, but before it makes a template it says so and waits to be let go on.
struct HeldUp {
    real: Arc<dyn Engine>,
    reached: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Engine for HeldUp {
    fn model(&self) -> &face::ModelInfo {
        self.real.model()
    }
    fn detect(&self, image: &face::Image<'_>) -> Result<Vec<DetectedFace>, FaceError> {
        self.real.detect(image)
    }
    fn template(&self, image: &face::Image<'_>, face: &DetectedFace) -> Result<Template, FaceError> {
        self.reached.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        self.real.template(image, face)
    }
}

/// One face more, left of all others: every number now names the face left of the one that it named.
pub fn one_more_on_the_left(mut faces: Vec<DetectedFace>) -> Vec<DetectedFace> {
    let mut more = faces[0].clone();
    more.area.x -= 2.0 * more.area.width;
    faces.insert(0, more);
    (0..).zip(&mut faces).for_each(|(n, f)| f.index = n);
    faces
}

/// All but [`SOUGHT`], whose number now names somebody else.
pub fn without_the_one_sought(mut faces: Vec<DetectedFace>) -> Vec<DetectedFace> {
    faces.remove(SOUGHT);
    (0..).zip(&mut faces).for_each(|(n, f)| f.index = n);
    faces
}

/// A photograph of the pack.
pub fn photograph(name: &str) -> Vec<u8> {
    fs::read(root().join("node_modules/@vladmandic/face-api/demo").join(name)).expect("the photographs are there: run make setup")
}

/// The photograph that is searched with.
pub fn probe() -> Vec<u8> {
    photograph("sample3.jpg")
}

fn decoder() -> Decoder {
    let exe = std::env::current_exe().unwrap();
    let child = exe.ancestors().nth(2).unwrap().join("examples/decode_child");
    assert!(child.exists(), "{} is missing: cargo builds it with the tests of the whole package", child.display());
    Decoder::new(child, vec![])
}

/// A house in a folder of its own.
pub struct House {
    pub bureau: Arc<Bureau>,
    pub clock: Arc<StandingClock>,
    pub folder: TempDir,
}

/// The servers of houses that were moved to PostgreSQL, by folder. They end with the test's process.
static SERVERS: Mutex<BTreeMap<PathBuf, Cluster>> = Mutex::new(BTreeMap::new());

fn place(folder: &Path) -> Place {
    let dir = folder.join("store");
    match SERVERS.lock().unwrap().get(folder) {
        Some(cluster) => {
            let servers = Servers::new(&cluster.url("records"), &cluster.url("keys")).unwrap();
            Place { database: Database::Postgres(servers), ..Place::folder(&dir) }
        }
        None => Place::folder(&dir),
    }
}

/// With `COUNTERSIGN_TEST_DATABASE=postgres`, the house's records and keys are moved to a server of its own, as
/// `countersign store copy` does.
async fn move_to_a_server(folder: &Path) {
    if std::env::var_os("COUNTERSIGN_TEST_DATABASE").is_none_or(|database| database != "postgres") {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    let server = folder.join("pg");
    fs::create_dir(&server).unwrap();
    let Some(cluster) = Cluster::start_in(&server) else { std::process::exit(0) };
    SERVERS.lock().unwrap().insert(folder.to_owned(), cluster);
    let Database::Postgres(servers) = place(folder).database else { panic!("it was just started") };
    Store::copy_to_servers(&folder.join("store"), &servers, false).await.unwrap();
}

/// Opens a folder with some galleries; `model` is what their templates are said to be of.
async fn open_parts(folder: &Path, clock: Arc<StandingClock>, galleries: &[GalleryId], model: &str, engine: Arc<dyn Engine>) -> Bureau {
    let place = place(folder);
    let store = if place.dir.exists() { Store::open_at(&place).await } else { Store::create_at(&place, "example.test/countersign").await };
    let model = ModelId::new(model).unwrap();
    let galleries = galleries
        .iter()
        .map(|g| {
            let at = folder.join("galleries").join(g.to_string());
            (*g, Arc::new(LocalGallery::open_or_create(at, &model, engine.model().dimension, Settings::default()).unwrap()))
        })
        .collect::<BTreeMap<_, _>>();
    Bureau::new(Parts {
        store: store.unwrap(),
        engine,
        galleries,
        decoder: decoder(),
        clock,
        pack_digest: pack().digest().to_owned(),
        specifications: bureau::images::image_specifications().unwrap(),
    })
}

const BOTH: [GalleryId; 2] = [GalleryId::Passport, GalleryId::Immigration];

fn standing() -> Arc<StandingClock> {
    Arc::new(StandingClock(Mutex::new(World::new().now)))
}

/// The prepared house of this run, made by whichever test process comes first.
async fn prepared_folder() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let folder = tmp.join(format!("bureau-house-{run}"));
    let lock = fs::File::create(tmp.join("bureau-house.lock")).unwrap();
    // Held until this function is left, so that one process prepares and the others wait.
    let _held = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    if folder.join("ready").exists() {
        return folder;
    }
    for old in fs::read_dir(tmp).unwrap().flatten() {
        let aged = old.metadata().and_then(|m| m.modified()).is_ok_and(|m| m.elapsed().is_ok_and(|e| e.as_secs() > 3600));
        if aged && old.file_name().to_string_lossy().starts_with("bureau-house-") {
            let _ = fs::remove_dir_all(old.path()); // another run may be tidying too
        }
    }
    let _ = fs::remove_dir_all(&folder); // left by a process that was killed
    fs::create_dir_all(&folder).unwrap();
    let bureau = open_parts(&folder, standing(), &BOTH, engine().model().id.as_str(), engine()).await;
    bureau.found_register(founding(&World::new().register)).await.unwrap();
    let filler = Filler::open(&pack()).unwrap();
    for gallery in BOTH {
        for (n, image) in faces_cut_out(&bureau, enrolled(gallery)).await.into_iter().enumerate() {
            let biography = biography(n);
            bureau.enrol_one(gallery, Enrolment { image, biography }).await.unwrap();
        }
        bureau.enrol_fillers(gallery, &filler, seed(gallery), FILLERS, |_, _| {}).await.unwrap();
    }
    let measured = evaluation(2_000, |_| ());
    for gallery in BOTH {
        bureau.issue_certificate(&measured, wanted(gallery, threshold())).await.unwrap();
    }
    bureau.store().clone().close().await;
    drop(bureau);
    fs::write(folder.join("ready"), "").unwrap();
    folder
}

/// The threshold that the house's certificates are for: the pack's own.
pub fn threshold() -> f64 {
    engine().model().threshold.value
}

/// A certificate for up to 4,000 references.
pub fn wanted(gallery: GalleryId, threshold: f64) -> Wanted {
    Wanted { gallery, threshold, references_max: 4_000, estimate: false }
}

/// An evaluation by the real protocol over synthetic templates, `fillers` enrolled beside them, made on the day that houses open.
pub fn evaluation(fillers: u64, edit: impl FnOnce(&mut Evaluation)) -> Vec<u8> {
    crate::measured::evaluation(&pack(), engine().model(), fillers, World::new().today(), edit)
}

/// Invented; the words are what the test of sealing looks for.
pub fn biography(n: usize) -> Biography {
    Biography(
        [
            (BioField::Name, format!("Zephyrine Canary-{n}")),
            (BioField::DateOfBirth, format!("1984-02-{:02}", n + 1)),
            (BioField::PassportNumber, format!("CANARYPASS{n:04}")),
            (BioField::LastKnownAddress, format!("{n} Canarywharf Lane, Oystermouth")),
        ]
        .into(),
    )
}

fn founding(register: &Register) -> Vec<RegisterEvent> {
    let leos = register.leos.values().cloned().map(RegisterEvent::LeoEntered);
    let dsas = register.dsas.values().cloned().map(RegisterEvent::DsaEntered);
    let people = register.people.values().cloned().map(RegisterEvent::PersonEntered);
    let teams = register.teams.values().cloned().map(RegisterEvent::TeamEntered);
    leos.chain(dsas).chain(people).chain(teams).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

/// Every face of a photograph as a picture of its own, with every other face masked; those that the
/// detector finds again alone.
pub async fn faces_cut_out(bureau: &Bureau, name: &str) -> Vec<Vec<u8>> {
    let pixels = bureau.decode(&photograph(name)).await.unwrap();
    let faces = bureau.faces(&pixels).await.unwrap();
    let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).unwrap();
    let area = |f: &face::DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
    let mut out = vec![];
    for f in &faces {
        let others: Vec<_> = faces.iter().filter(|o| o.index != f.index).map(|o| area(o).padded(0.1)).collect();
        let one = whole.mask_boxes(&others, Mask::Solid).crop(area(f).padded(0.6)).unwrap().to_jpeg(92).unwrap();
        let again = bureau.decode(&one).await.unwrap();
        if bureau.faces(&again).await.is_ok_and(|found| found.len() == 1) {
            out.push(one);
        }
    }
    out
}

impl House {
    /// A fresh house: two forces, both galleries with their people, references enrolled, no request.
    pub async fn new() -> Self {
        // In memory where there is some: nothing here is about a power cut.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let prepared = prepared_folder().await;
        for part in ["store", "galleries"] {
            copy_folder(&prepared.join(part), &folder.path().join(part));
        }
        move_to_a_server(folder.path()).await;
        let clock = standing();
        let bureau = open_parts(folder.path(), clock.clone(), &BOTH, engine().model().id.as_str(), engine()).await;
        Self { bureau: Arc::new(bureau), clock, folder }
    }

    /// A folder of a house that was closed, opened again.
    pub async fn opened(folder: TempDir, clock: Arc<StandingClock>) -> Self {
        let bureau = open_parts(folder.path(), clock.clone(), &BOTH, engine().model().id.as_str(), engine()).await;
        Self { bureau: Arc::new(bureau), clock, folder }
    }

    /// The same folder opened again as another process would, with some of the galleries.
    pub async fn reopened(self, galleries: &[GalleryId]) -> Self {
        self.reopened_as(galleries, engine().model().id.as_str(), engine()).await
    }

    /// The same with one empty gallery, whose templates are said to be of another model.
    pub async fn with_a_gallery_of_another_model(self, gallery: GalleryId) -> Self {
        fs::remove_dir_all(self.folder.path().join("galleries")).unwrap();
        self.reopened_as(&[gallery], "another-model", engine()).await
    }

    /// The same with the engine after a change: on each image it finds what `change` makes of the faces found before.
    pub async fn with_an_engine_that_finds(self, change: fn(Vec<DetectedFace>) -> Vec<DetectedFace>) -> Self {
        self.reopened_as(&BOTH, engine().model().id.as_str(), Arc::new(Changed { real: engine(), change })).await
    }

    /// The same with an engine that is held up in the middle of each search: it says on the one channel that it has come
    /// there, and goes on when told to on the other.
    pub async fn with_an_engine_that_is_held_up(self) -> (Self, Receiver<()>, Sender<()>) {
        let (reached, is_there) = channel();
        let (let_go, go_on) = channel();
        let held_up = HeldUp { real: engine(), reached, go_on: Mutex::new(go_on) };
        (self.reopened_as(&BOTH, engine().model().id.as_str(), Arc::new(held_up)).await, is_there, let_go)
    }

    /// The same folder opened again with the passport gallery searched by a system elsewhere.
    pub async fn searching_elsewhere(self, abis: abis::Abis) -> Self {
        let held = self.bureau.held(GalleryId::Passport).await.unwrap();
        let Self { bureau, clock, folder } = self;
        bureau.store().clone().close().await;
        drop(bureau);
        let bureau = open_parts(folder.path(), clock.clone(), &BOTH, engine().model().id.as_str(), engine()).await;
        let there = bureau::elsewhere::Elsewhere::new(Arc::new(abis), held);
        Self { bureau: Arc::new(bureau.searching([(GalleryId::Passport, there)].into())), clock, folder }
    }

    /// The same house with witnesses of its log.
    pub async fn with_witnesses(self, witnesses: bureau::witnesses::Witnesses) -> Self {
        let Self { bureau, clock, folder } = self;
        bureau.store().clone().close().await;
        drop(bureau);
        let bureau = open_parts(folder.path(), clock.clone(), &BOTH, engine().model().id.as_str(), engine()).await;
        Self { bureau: Arc::new(bureau.with_witnesses(witnesses)), clock, folder }
    }

    async fn reopened_as(self, galleries: &[GalleryId], model: &str, engine: Arc<dyn Engine>) -> Self {
        let Self { bureau, clock, folder } = self;
        bureau.store().clone().close().await;
        drop(bureau);
        Self { bureau: Arc::new(open_parts(folder.path(), clock.clone(), galleries, model, engine).await), clock, folder }
    }

    /// The records opened beside the product, to look into them or to tamper, past their foreign keys.
    pub async fn sql(&self, statement: &'static str) -> u64 {
        let server = SERVERS.lock().unwrap().get(self.folder.path()).map(|cluster| cluster.url("records"));
        if let Some(url) = server {
            assert!(!statement.contains(" TRIGGER "), "this test speaks SQLite's own words: leave it out on a server");
            let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
            let options = options.options([("session_replication_role", "replica")]);
            let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
            return sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected();
        }
        let file = self.folder.path().join("store/records.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).foreign_keys(false);
        let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options).await.unwrap();
        let done = sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected();
        sqlx::Connection::close(connection).await.unwrap();
        done
    }

    pub async fn open(&self, id: RequestId) -> Request {
        self.bureau.open(id).await.unwrap()
    }

    /// Does something that is allowed.
    pub async fn act(&self, who: PersonId, id: RequestId, command: Command) -> Done {
        let name = command.action();
        self.bureau.act(who, id, command, None, None).await.unwrap_or_else(|e| panic!("{name} was refused: {e}"))
    }

    /// Does something and lets the worker carry on.
    pub async fn act_and_work(&self, who: PersonId, id: RequestId, command: Command) -> Done {
        let done = self.act(who, id, command).await;
        self.work().await;
        done
    }

    pub async fn work(&self) {
        let worked = self.bureau.work("tests").await.unwrap();
        assert_eq!(worked.failed, 0, "no job fails");
    }

    /// A draft with one described image, ready to be sent.
    pub async fn drafted(&self, who: PersonId, form: Form, image: &[u8], face: usize) -> (RequestId, u64) {
        let b = &self.bureau;
        let id = b.new_draft(who).await.unwrap();
        let version = b.save_draft(who, id, 1, form).await.unwrap();
        let (version, probe, _) = b.add_image(who, id, version, image, Some("still.jpg")).await.unwrap();
        let version = b.describe_image(who, id, version, probe, Some(face), Some(Source::Unsupervised)).await.unwrap();
        (id, version)
    }

    /// A request that waits for its approver.
    pub async fn prepared(&self, form: Form, face: usize) -> RequestId {
        let (id, version) = self.drafted(REQUESTER, form, &probe(), face).await;
        self.bureau.send(REQUESTER, id, version, None).await.unwrap()[0]
    }

    /// A request that a gallery received.
    pub async fn received(&self, form: Form, face: usize) -> RequestId {
        let id = self.prepared(form, face).await;
        self.act_and_work(APPROVER, id, Command::Approve).await;
        id
    }

    /// Its first image authorised by the desk's first assessor (allocated where sensitive).
    pub async fn authorised(&self, form: Form, face: usize) -> (RequestId, ProbeId) {
        let id = self.received(form, face).await;
        (id, self.authorise(id).await)
    }

    /// Takes it, if nobody holds it, and authorises its first image.
    pub async fn authorise(&self, id: RequestId) -> ProbeId {
        let request = self.open(id).await;
        let desk = desk(request.gallery.unwrap());
        let holder = desk.assessors[0];
        if request.assignee.is_none() {
            if request.sensitive {
                let reason = "Trained for it.".into();
                self.act(desk.leader, id, Command::Allocate { to: holder, reason }).await;
            }
            self.act(holder, id, Command::Take { no_conflict: true }).await;
        }
        let mut assessment = World::new().assessment(request.gallery.unwrap());
        assessment.handling = Some(if request.sensitive { Handling::Sensitive } else { Handling::Ordinary });
        let probe = request.probes[0].id;
        let command = Command::Assess {
            probe,
            assessment: Box::new(assessment),
            decision: Decision::Authorise,
            authorisation: AuthorisationId(uuid::Uuid::now_v7()),
        };
        self.act_and_work(holder, id, command).await;
        probe
    }

    /// Searched: the person sought is on the passport gallery's list.
    pub async fn searched(&self, form: Form, face: usize) -> (RequestId, ProbeId) {
        let (id, probe) = self.authorised(form, face).await;
        let holder = self.open(id).await.assignee.unwrap();
        self.act_and_work(holder, id, Command::StartSearch { probe }).await;
        (id, probe)
    }

    /// One examiner's whole work: they see one person where there is a picture, and cannot say where not.
    pub async fn examine(&self, examiner: PersonId, id: RequestId, probe: ProbeId) {
        let b = &self.bureau;
        if self.open(id).await.sensitive {
            let leader = desk(self.open(id).await.gallery.unwrap()).leader;
            self.act(leader, id, Command::Admit { person: examiner, reason: "To compare.".into() }).await;
        }
        b.take_up(examiner, id, probe).await.unwrap();
        let sheet = b.comparison(examiner, id, probe).await.unwrap().sheet;
        let mut version = sheet.version;
        let mut pictures = vec![];
        for c in &sheet.candidates {
            b.comparison_probe(examiner, id, probe).await.unwrap();
            let picture = b.comparison_candidate(examiner, id, probe, c.id).await.unwrap().is_some();
            let opinion = Visual {
                conclusion: if picture { Conclusion::StronglySame } else { Conclusion::CannotSay },
                components: [(Component::Eyes, if picture { Agreement::Alike } else { Agreement::NotVisible })].into(),
                words: "Canarious eyes compared.".into(),
                image_log: Default::default(),
            };
            self.act(examiner, id, Command::GiveVisual { probe, candidate: c.id, opinion, version }).await;
            version += 1;
            pictures.push(picture);
        }
        for (c, same_person) in sheet.candidates.iter().zip(pictures) {
            b.informed(examiner, id, probe, c.id).await.unwrap();
            let opinion = Informed { same_person, reasons: "It fits, canariously.".into(), image_log: Default::default() };
            self.act_and_work(examiner, id, Command::GiveInformed { probe, candidate: c.id, opinion, version }).await;
            version += 1;
        }
    }

    /// Both examiners' work, what is shared decided, the answer sent.
    pub async fn answer(&self, id: RequestId, probe: ProbeId) {
        let desk = desk(self.open(id).await.gallery.unwrap());
        for examiner in &desk.examiners[..2] {
            self.examine(*examiner, id, probe).await;
        }
        let holder = self.open(id).await.assignee.unwrap();
        for m in self.bureau.matches(holder, id).await.unwrap() {
            let fields = vec![(BioField::Name, "So that the canary can be traced.".into())];
            let sharing = Sharing::Share { image: true, fields, reasons: "Grave harm, and no other way.".into() };
            self.act(holder, id, Command::DecideSharing { probe, candidate: m.candidate, sharing }).await;
        }
        self.act_and_work(holder, id, Command::Answer { recipient_confirmed: true }).await;
        assert_eq!(self.open(id).await.state, State::Answered);
    }

    /// A whole request that ends in a match, released and opened.
    pub async fn matched(&self, form: Form) -> RequestId {
        let (id, probe) = self.searched(form, SOUGHT).await;
        self.answer(id, probe).await;
        self.bureau.answer(REQUESTER, id).await.unwrap();
        id
    }

    /// The events of a request that are still readable.
    pub async fn events(&self, id: RequestId) -> Vec<Event> {
        let records = self.bureau.store().load(StreamId::Request(id)).await.unwrap();
        records.iter().filter_map(|r| r.payload.as_deref()).map(|p| serde_json::from_slice::<Entry>(p).unwrap().event).collect()
    }

    /// Who looked at what in a request.
    pub async fn looks(&self, id: RequestId) -> Vec<Consulted> {
        let records = self.bureau.store().load(StreamId::Consulted(id)).await.unwrap();
        records.iter().filter_map(|r| r.payload.as_deref()).map(|p| serde_json::from_slice(p).unwrap()).collect()
    }

    /// Everything holds: the log verifies and every request folds to its row.
    pub async fn holds(&self) {
        let verified = self.bureau.verify().await.unwrap();
        assert!(verified.verified, "{:?}", verified.fault);
        let replayed = self.bureau.replay().await.unwrap();
        assert!(replayed.differing.is_empty(), "{:?}", replayed.differing);
        assert!(replayed.entries_differing.is_empty() && !replayed.figures_differ, "{replayed:?}");
    }
}

/// A complete form, full of words to look for.
pub fn form(gallery: GalleryId) -> Form {
    static NEXT: Mutex<u32> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap();
    *next += 1;
    Form {
        investigation: format!("OP-CANARY-{next}"),
        offence: "Stabbing at Canaryoffence Wharf.".into(),
        person: "Scar like a Canaryperson.".into(),
        ..World::new().form(gallery)
    }
}

/// The refusals of an answer that must be a refusal.
pub fn refusals<T: std::fmt::Debug>(answer: Result<T, BureauError>) -> Vec<Refusal> {
    match answer {
        Err(BureauError::Refused(refusals)) => {
            assert!(!refusals.is_empty(), "a refusal says why");
            refusals
        }
        other => panic!("it should have been refused: {other:?}"),
    }
}

/// Whether a refusal cites a clause.
pub fn cites(refusals: &[Refusal], clause: Clause) -> bool {
    refusals.iter().any(|r| r.clauses.contains(&clause))
}

pub fn once(token: &str) -> Option<Once> {
    Some(Once(token.into()))
}

/// The match that people concluded on.
pub fn the_match(request: &Request) -> (CandidateId, ReferenceId) {
    let c = request.probes.iter().flat_map(casework::request::Probe::matches).next().expect("there is a match");
    (c.id, c.reference.expect("a match keeps its reference"))
}

pub use testing::{AUDITOR, NCA_REQUESTER, OTHER_REQUESTER};

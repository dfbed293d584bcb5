//! A small data folder with people and two references, made by the product's own commands, and the same
//! house opened in the test's own process.

use crate::{
    address::{free_port, home},
    people,
    server::Client,
};
use bureau::{Bureau, Clock, Parts};
use casework::{
    ids::{PersonId, RequestId},
    record::{GalleryId, RetentionClass, StreamId},
};
use decoder::{Decoder, Mask, PixelArea, Rgb8};
use face::{Engine, OnnxEngine, Pack};
use gallery::{LocalGallery, ModelId, Settings};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use store::Store;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

/// Everybody who takes part.
const CAST: [PersonId; 5] = [people::OKAFOR, people::MARSH, people::VERMA, people::LIN, people::CLARKE];
/// A job that a killed server held is taken over after this; in seconds, with some to spare.
pub const LEASE_S: u64 = bureau::work::LEASE.as_secs() + 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub fn photograph(name: &str) -> Vec<u8> {
    fs::read(root().join("node_modules/@vladmandic/face-api/demo").join(name)).expect("the photographs are there: run make setup")
}

/// A clock that is ahead of the machine's, by seconds.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

pub struct Ground {
    folder: TempDir,
    pub runtime: Runtime,
    engine: Arc<dyn Engine>,
    pack_digest: String,
    galleries: BTreeMap<GalleryId, Arc<LocalGallery>>,
    pub client: Client,
}

impl Ground {
    pub fn new() -> Self {
        // In memory where there is some: a killed process loses nothing that it handed to the kernel, so
        // it is as good a test, and quicker.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let runtime = Runtime::new().unwrap();
        let pack = Pack::open(&root().join("build/packs/bundled")).expect("the bundled pack is there: run make setup");
        let engine =
            OnnxEngine::load(&pack, &root().join("build/onnxruntime/libonnxruntime.so")).expect("the runtime is there: run make setup");
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let client = Client { port: 0, tokens: BTreeMap::new() };
        let pack_digest = pack.digest().to_owned();
        let mut ground = Self { folder, runtime, engine, pack_digest, galleries: BTreeMap::new(), client };
        let entries = people::register(casework::calendar::london_date(Timestamp::now()));
        let file = ground.path("people.json");
        fs::write(&file, serde_json::to_string(&entries).unwrap()).unwrap();
        ground.run(&["register", "found", file.to_str().unwrap()]);
        let pictures = ground.path("pictures");
        ground.portraits(&pictures);
        ground.run(&["enrol", pictures.to_str().unwrap(), "--gallery", "passport"]);
        let (measured, threshold) = (ground.path("evaluation.json"), ground.engine.model().threshold.value.to_string());
        let today = casework::calendar::london_date(Timestamp::now());
        fs::write(&measured, crate::measured::evaluation(&pack, ground.engine.model(), 0, today, |_| ())).unwrap();
        let setting = ["--gallery", "passport", "--threshold", &threshold, "--size-up-to", "300"];
        ground.run(&[&["certificate", "issue", measured.to_str().unwrap()], &setting[..]].concat());
        let model = ModelId::new(ground.engine.model().id.as_str()).unwrap();
        let passport =
            LocalGallery::open_for_search(ground.path(&format!("data/galleries/passport/model {model}")), &model, Settings::default())
                .unwrap();
        ground.galleries.insert(GalleryId::Passport, Arc::new(passport));
        ground.client.tokens = ground.runtime.block_on(async {
            let bureau = ground.bureau(&ground.store(), 0).await;
            let mut tokens = BTreeMap::new();
            for who in CAST {
                tokens.insert(who, bureau.issue_token(who, 90).await.unwrap());
            }
            bureau.store().clone().close().await;
            tokens
        });
        ground
    }

    pub fn path(&self, tail: &str) -> PathBuf {
        self.folder.path().join(tail)
    }

    /// The records, which are what is copied and killed.
    pub fn store(&self) -> PathBuf {
        self.path("data/store")
    }

    /// A configuration file for a server on this port.
    pub fn configured(&self, port: u16) -> PathBuf {
        let (file, at) = (self.path("countersign.toml"), home(port));
        let data = self.path("data").display().to_string();
        let text = format!("data_dir = {data:?}\n[serve]\nlisten = \"{at}\"\nhosts = [\"{at}\"]\nsecure = false\n");
        fs::write(&file, text).unwrap();
        file
    }

    /// A command of the product that goes well.
    pub fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(args).arg("--config").arg(self.configured(free_port())).env_remove("COUNTERSIGN_CONFIG");
        let ran = command.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Two people of `sample1.jpg`: the one sought, and one who is not.
    fn portraits(&self, into: &Path) {
        let bytes = photograph("sample1.jpg");
        let pixels = self.runtime.block_on(decoder().decode(&bytes, None)).unwrap().pixels;
        let faces = self.engine.detect(&face::Image::new(pixels.width(), pixels.height(), pixels.data()).unwrap()).unwrap();
        let whole = Rgb8::new(pixels.width(), pixels.height(), pixels.data().to_vec()).unwrap();
        let area = |f: &face::DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
        fs::create_dir_all(into).unwrap();
        for n in [0, 2] {
            let others: Vec<_> = faces.iter().filter(|o| o.index != n).map(|o| area(o).padded(0.1)).collect();
            let one = whole.mask_boxes(&others, Mask::Solid).crop(area(&faces[n]).padded(0.6)).unwrap();
            fs::write(into.join(format!("{n}.jpg")), one.to_jpeg(92).unwrap()).unwrap();
            fs::write(into.join(format!("{n}.json")), format!(r#"{{"name":"Invented Person {n}"}}"#)).unwrap();
        }
    }

    /// The house over some records, its clock ahead by some seconds.
    pub async fn bureau(&self, store: &Path, ahead: u64) -> Arc<Bureau> {
        self.bureau_by(store, Arc::new(Ahead(AtomicI64::new(ahead.try_into().unwrap())))).await
    }

    async fn bureau_by(&self, store: &Path, clock: Arc<Ahead>) -> Arc<Bureau> {
        Arc::new(Bureau::new(Parts {
            store: Store::open(store).await.unwrap(),
            engine: self.engine.clone(),
            galleries: self.galleries.clone(),
            decoder: decoder(),
            clock,
            specifications: bureau::images::image_specifications().unwrap(),
            pack_digest: self.pack_digest.clone(),
        }))
    }

    /// The same, served.
    pub fn house(&self, store: &Path, ahead: u64) -> House<'_> {
        self.runtime.block_on(async {
            let clock = Arc::new(Ahead(AtomicI64::new(ahead.try_into().unwrap())));
            let bureau = self.bureau_by(store, clock.clone()).await;
            let listener = TcpListener::bind(home(0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let config = web::Config { hosts: vec![home(port).to_string()], demo: true, secure: false, trusted_proxies: vec![] };
            let router = web::router(web::AppState::over(config, bureau.clone()).unwrap());
            let (stop, stopped) = oneshot::channel::<()>();
            let serving = tokio::spawn(async move {
                let stopped = async move { drop(stopped.await) };
                web::serve(listener, router, stopped).await.unwrap();
            });
            House { ground: self, bureau, clock, client: Client { port, ..self.client.clone() }, stop, serving }
        })
    }
}

fn decoder() -> Decoder {
    Decoder::new(env!("CARGO_BIN_EXE_countersign").into(), vec!["decode-child".into()])
}

/// Some records, opened and served in this process.
pub struct House<'a> {
    ground: &'a Ground,
    pub bureau: Arc<Bureau>,
    clock: Arc<Ahead>,
    pub client: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// What matters of a house at rest, without what is drawn anew each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What is recorded of the request.
    pub events: Vec<String>,
    /// Its state and the states of its images' searches.
    pub state: String,
    /// The requester's drafts: investigation, images, described images.
    pub drafts: Vec<(String, usize, usize)>,
    /// Jobs that wait.
    pub jobs: u64,
    /// Files of images.
    pub files: usize,
    /// Classes that are gone.
    pub gone: Vec<String>,
}

impl House<'_> {
    /// Nothing is broken or half done: the log verifies, every request folds to its row, and every image
    /// that a draft names opens.
    pub fn holds(&self) {
        self.ground.runtime.block_on(async {
            let verified = self.bureau.verify().await.unwrap();
            assert!(verified.verified, "{:?}", verified.fault);
            let replayed = self.bureau.replay().await.unwrap();
            assert!(replayed.differing.is_empty(), "{replayed:?}");
            for draft in self.bureau.drafts(people::OKAFOR).await.unwrap() {
                for image in &draft.form.images {
                    self.bureau.draft_image(people::OKAFOR, draft.id, image.probe).await.unwrap();
                }
            }
        });
    }

    /// What is recorded of a request: kinds, outcomes and states.
    pub fn events(&self, request: &str) -> Vec<String> {
        let Ok(id) = request.parse::<RequestId>() else { return vec![] };
        let records = self.ground.runtime.block_on(self.bureau.store().load(StreamId::Request(id))).unwrap();
        records.iter().map(|r| format!("{} {:?} {:?} {:?}", r.header.kind, r.header.outcome, r.header.state, r.header.class)).collect()
    }

    /// Lets a worker do what is due.
    pub fn work(&self) {
        let worked = self.ground.runtime.block_on(self.bureau.work("after")).unwrap();
        assert_eq!(worked.failed, 0, "no job fails");
    }

    /// Does what a worker does in a day, and looks at what there is then.
    pub fn at_rest(self, request: &str, store: &Path) -> Shape {
        self.work();
        self.holds();
        let events = self.events(request);
        let ground = self.ground;
        let mut shape = ground.runtime.block_on(async {
            let b = &self.bureau;
            let mut shape = Shape { events, jobs: b.store().pending_jobs().await.unwrap(), ..Shape::default() };
            assert!(b.store().failed_jobs(10).await.unwrap().is_empty());
            if let Ok(id) = request.parse::<RequestId>() {
                let r = b.open(id).await.unwrap();
                shape.state = r.state.to_string();
                for class in <RetentionClass as strum::IntoEnumIterator>::iter() {
                    if b.store().erased(StreamId::Request(id), class).await.unwrap().is_some() {
                        shape.gone.push(class.to_string());
                    }
                }
            }
            for d in b.drafts(people::OKAFOR).await.unwrap() {
                let described = d.form.images.iter().filter(|i| i.chosen.is_some() && i.source.is_some()).count();
                shape.drafts.push((d.form.investigation.clone(), d.form.images.len(), described));
            }
            shape
        });
        // What was on its way when the server was killed is swept away once it is old enough.
        let later = bureau::work::ORPHANS_KEPT.as_secs() + 3600;
        self.clock.0.fetch_add(later.try_into().unwrap(), Ordering::Relaxed);
        ground.runtime.block_on(self.bureau.tidy()).unwrap();
        self.leave();
        shape.files = files(&store.join("blobs")).len();
        shape
    }

    /// Stops serving and closes.
    pub fn leave(self) {
        let Self { ground, bureau, stop, serving, .. } = self;
        let _ = stop.send(()); // it may have stopped
        ground.runtime.block_on(async {
            serving.await.unwrap();
            bureau.store().clone().close().await;
        });
    }
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = vec![];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            out.extend(files(&entry.path()));
        } else {
            out.push(entry.path());
        }
    }
    out
}

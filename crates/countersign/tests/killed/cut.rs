//! Standing between the server and its files: see `cut.c`.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
};

/// The compiled library.
pub fn library() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Other tests' processes make it at the same time: each moves its own, whole, to the one place.
        let (mine, library) = (folder.join(format!("cut-{}.so", std::process::id())), folder.join("cut.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/killed/cut.c");
        let made = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&mine).arg(source).output();
        let made = made.expect("cc is there: Rust links with it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::rename(mine, &library).unwrap();
        library
    })
}

/// What the server is about to do to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `write`, `half`, `flush`, `rename`, `link`, `remove` or `shorten`.
    pub what: String,
    /// The file, below the folder.
    pub path: String,
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes on.
    Go,
    /// Half of the write happens, then it asks again.
    Half,
}

/// Asked before each change; the server stands still meanwhile.
pub type Watch = Box<dyn FnMut(&Change) -> Answer + Send>;

/// Listens to a server that has the library loaded.
pub struct Watcher {
    pub socket: PathBuf,
    watch: Arc<Mutex<Watch>>,
}

impl Watcher {
    /// Lets everything go on until told otherwise.
    pub fn listen(socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let watch: Arc<Mutex<Watch>> = Arc::new(Mutex::new(Box::new(|_| Answer::Go)));
        let watching = watch.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut answers = stream.try_clone().unwrap();
                let watch = watching.clone();
                std::thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        let (what, path) = line.split_once(' ').unwrap();
                        let change = Change { what: what.into(), path: path.into() };
                        let answer = watch.lock().unwrap_or_else(PoisonError::into_inner)(&change);
                        // Killed just now: then it waits for no answer.
                        if answers.write_all(if answer == Answer::Half { b"h" } else { b"g" }).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { socket, watch }
    }

    /// Watches with something else from the next change on.
    pub fn with(&self, watch: impl FnMut(&Change) -> Answer + Send + 'static) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(watch);
    }

    /// Copies `folder` as a kill would leave it: at each moment at which it holds something else than at
    /// the last one. The copies come as they are made, until [`Self::with`] watches otherwise.
    pub fn copies(&self, folder: PathBuf, into: PathBuf) -> Receiver<Copied> {
        let (copied, copies) = mpsc::channel();
        let mut copier = Copier { folder, into, copied, changed: true, writing: HashSet::new(), count: 0 };
        self.with(move |change| copier.before(change));
        copies
    }
}

/// A copy of the folder, and what came next.
#[derive(Debug)]
pub struct Copied {
    pub at: PathBuf,
    pub before: Change,
}

struct Copier {
    folder: PathBuf,
    into: PathBuf,
    copied: Sender<Copied>,
    /// Something was changed since the last copy.
    changed: bool,
    /// Files written to since they were last flushed.
    writing: HashSet<String>,
    count: usize,
}

impl Copier {
    fn before(&mut self, change: &Change) -> Answer {
        // A long write is looked at as it begins, in the middle of its first piece, and when it is flushed.
        let begins = change.what == "write" && self.writing.insert(change.path.clone());
        if change.what != "write" && change.what != "half" {
            self.writing.remove(&change.path);
        }
        if self.changed && (begins || change.what != "write") {
            self.changed = false;
            self.count += 1;
            let at = self.into.join(format!("{:04}", self.count));
            copy(&self.folder, &at);
            let _ = self.copied.send(Copied { at, before: change.clone() }); // nobody wants them any more
        }
        self.changed |= change.what != "flush";
        if begins { Answer::Half } else { Answer::Go }
    }
}

/// Copies a folder, permissions too.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.path().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

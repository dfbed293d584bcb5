//! The witnesses of a life: real ones, each a process of its own that outlives whoever is tormented, and between them
//! and the house a network that loses, delays and refuses.

use crate::Chance;
use bureau::witnesses::{WitnessAt, Witnesses};
use ledger::{VerifierKey, WitnessKey};
use std::{
    collections::BTreeMap,
    fs, io,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    task::JoinHandle,
};
use witness::Witness;

/// How many there are.
pub(crate) const OF: usize = 3;
/// How many must have cosigned before anything leaves.
pub(crate) const REQUIRED: usize = 2;
/// The environment's name for the list of them: how many are required, then an address and a key a line.
pub(crate) const LIST: &str = "TORTURE_WITNESSES";
/// An answer that comes late, in milliseconds at most.
const LATE_MS: u64 = 120;
/// Changes to its folder within which a witness meets its end; each cosignature makes four.
const CHANGES: u64 = 8;
/// How long what is under way between a house and its witnesses may take to end.
const UNDER_WAY_MAX: Duration = Duration::from_secs(20);

/// What is done to the witnesses in one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// One does not answer.
    OneDown,
    /// So many do not answer that nothing may leave.
    TooManyDown,
    /// Each answer comes late.
    Late,
    /// What one of them cosigned does not arrive.
    AnswersLost,
    /// One is killed at a moment, and started again.
    Killed,
    /// One is killed before a change to its folder.
    KilledAtAChange,
    /// The same, and what it wrote and did not flush is lost.
    PowerCut,
}

const TROUBLES: [Trouble; 8] = [
    Trouble::None,
    Trouble::OneDown,
    Trouble::TooManyDown,
    Trouble::Late,
    Trouble::AnswersLost,
    Trouble::Killed,
    Trouble::KilledAtAChange,
    Trouble::PowerCut,
];

impl Trouble {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        TROUBLES[usize::try_from(chance.below(TROUBLES.len() as u64)).unwrap()]
    }
}

/// How the network stands before one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Well,
    Down,
    Late(u64),
    Loses,
}

struct Running {
    child: Child,
    /// Where it listens, unless it met its end before.
    at: Option<SocketAddr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// One witness, and the address that the house knows.
struct One {
    dir: PathBuf,
    key: WitnessKey,
    url: String,
    running: Mutex<Option<Running>>,
    network: Mutex<Network>,
    under_way: AtomicUsize,
    /// What it answered: statuses, and how often.
    said: Mutex<BTreeMap<u16, u64>>,
}

impl One {
    /// Starts its process, after the last has ended; a fault may be set for it.
    fn start(&self, fault: Option<(&Path, String, u64)>) {
        let mut running = self.running.lock().unwrap();
        *running = None;
        let doomed = fault.is_some();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("witness").arg(&self.dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some((library, what, seed)) = fault {
            command.env("LD_PRELOAD", library).env("FAULT", what).env("FAULT_FOLDER", &self.dir).env("FAULT_SEED", seed.to_string());
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let at = line.trim().parse().ok();
        assert!(at.is_some() || doomed, "a witness does not start again on {}: {line:?}", self.dir.display());
        *running = Some(Running { child, at });
    }

    fn at(&self) -> Option<SocketAddr> {
        self.running.lock().unwrap().as_ref().and_then(|r| r.at)
    }

    fn has_ended(&self) -> bool {
        self.running.lock().unwrap().as_mut().is_none_or(|r| r.child.try_wait().unwrap().is_some())
    }
}

/// The witnesses of one life.
pub(crate) struct Outside {
    all: Vec<Arc<One>>,
    fronts: Vec<JoinHandle<()>>,
    /// Who is killed at a moment of its own.
    killer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Outside {
    /// Makes them in folders of their own and starts them.
    pub(crate) fn start(runtime: &Runtime, folder: &Path, log: &VerifierKey) -> Self {
        fs::create_dir(folder).unwrap();
        let (mut all, mut fronts) = (vec![], vec![]);
        for n in 0..OF {
            let dir = folder.join(n.to_string());
            let key = Witness::create(&dir, &format!("witness.example/w{n}")).unwrap();
            Witness::open(&dir).unwrap().watch(log.clone()).unwrap();
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let one = Arc::new(One {
                dir,
                key,
                url: format!("http://{}", listener.local_addr().unwrap()),
                running: Mutex::new(None),
                network: Mutex::new(Network::Well),
                under_way: AtomicUsize::new(0),
                said: Mutex::default(),
            });
            one.start(None);
            fronts.push(runtime.spawn(front(listener, one.clone())));
            all.push(one);
        }
        Self { all, fronts, killer: Mutex::new(None) }
    }

    /// As a house is told of them.
    pub(crate) fn witnesses(&self) -> Witnesses {
        Witnesses { require: REQUIRED, list: self.all.iter().map(|w| WitnessAt { url: w.url.clone(), key: w.key.clone() }).collect() }
    }

    /// The same for a child's environment.
    pub(crate) fn told(&self, require: usize) -> String {
        let lines = self.all.iter().map(|w| format!("\n{} {}", w.url, w.key));
        format!("{require}{}", lines.collect::<String>())
    }

    /// Begins what is done to them while a cycle's processes live.
    pub(crate) fn trouble(&self, trouble: Trouble, library: &Path, chance: &mut Chance) {
        let first = usize::try_from(chance.below(OF as u64)).unwrap();
        let (n, seed) = (1 + chance.below(CHANGES), chance.next());
        let set = |one: &One, network| *one.network.lock().unwrap() = network;
        match trouble {
            Trouble::None => {}
            Trouble::OneDown => set(&self.all[first], Network::Down),
            Trouble::TooManyDown => (0..=OF - REQUIRED).for_each(|more| set(&self.all[(first + more) % OF], Network::Down)),
            Trouble::Late => self.all.iter().for_each(|one| set(one, Network::Late(1 + seed % LATE_MS))),
            Trouble::AnswersLost => set(&self.all[first], Network::Loses),
            Trouble::Killed => {
                let one = self.all[first].clone();
                *self.killer.lock().unwrap() = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(seed % 300));
                    one.start(None);
                }));
            }
            Trouble::KilledAtAChange => self.all[first].start(Some((library, format!("kill {n}"), seed))),
            Trouble::PowerCut => self.all[first].start(Some((library, format!("power {n}"), seed))),
        }
    }

    /// Waits until nothing is under way any more; then whoever met an end is started again, and the network is well. Says
    /// whether somebody had met one.
    pub(crate) fn calm(&self, trouble: Trouble) -> bool {
        if let Some(killer) = self.killer.lock().unwrap().take() {
            killer.join().unwrap();
        }
        let began = Instant::now();
        while self.all.iter().any(|w| w.under_way.load(Ordering::SeqCst) > 0) {
            assert!(began.elapsed() < UNDER_WAY_MAX, "what is asked of a witness never ends");
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut met = trouble == Trouble::Killed;
        let doomed = matches!(trouble, Trouble::KilledAtAChange | Trouble::PowerCut);
        for one in &self.all {
            *one.network.lock().unwrap() = Network::Well;
            let ended = one.has_ended();
            met |= ended;
            // Its end may not have come; then it is spared.
            if ended || doomed {
                one.start(None);
            }
        }
        met
    }

    /// The last checkpoint that each has cosigned, as it keeps it on its disk.
    pub(crate) fn kept(&self) -> Vec<Option<String>> {
        let last = |one: &Arc<One>| {
            let files = fs::read_dir(one.dir.join("logs")).unwrap().map(|e| e.unwrap().path());
            let file = files.into_iter().find(|f| f.extension().is_none_or(|e| e != "new")).expect("it watches the log");
            let text = fs::read_to_string(file).unwrap();
            text.split_once('\n').map(|(_, note)| note.to_owned()).filter(|note| !note.is_empty())
        };
        self.all.iter().map(last).collect()
    }

    /// What they answered in this life: statuses, and how often each.
    pub(crate) fn said(&self) -> BTreeMap<u16, u64> {
        let mut all = BTreeMap::new();
        for one in &self.all {
            one.said.lock().unwrap().iter().for_each(|(status, n)| *all.entry(*status).or_default() += n);
        }
        all
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.fronts.iter().for_each(JoinHandle::abort);
        self.all.iter().for_each(|one| *one.running.lock().unwrap() = None);
    }
}

/// The list that a child was told.
pub(crate) fn list() -> Option<Witnesses> {
    let text = std::env::var(LIST).ok()?;
    let mut lines = text.lines();
    let require = lines.next().unwrap().parse().unwrap();
    let list = lines.map(|line| {
        let (url, key) = line.split_once(' ').unwrap();
        WitnessAt { url: url.to_owned(), key: WitnessKey::parse(key).unwrap() }
    });
    Some(Witnesses { require, list: list.collect() })
}

/// The address that the house knows, which stays while the process behind it comes and goes.
async fn front(listener: TcpListener, one: Arc<One>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        one.under_way.fetch_add(1, Ordering::SeqCst);
        let one = one.clone();
        tokio::spawn(async move {
            let _ = carry(client, &one).await; // whoever asked, or was asked, may be gone
            one.under_way.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn carry(mut client: TcpStream, one: &One) -> io::Result<()> {
    let network = *one.network.lock().unwrap();
    let Some(at) = one.at().filter(|_| network != Network::Down) else { return Ok(()) };
    let mut server = TcpStream::connect(at).await?;
    let mut answer = vec![];
    {
        let ((mut question, _), (mut reply, mut asking)) = (client.split(), server.split());
        let hung_up = tokio::select! {
            copied = copy(&mut question, &mut asking) => copied.map(|_| true)?,
            read = reply.read_to_end(&mut answer) => read.map(|_| false)?,
        };
        if hung_up {
            asking.shutdown().await?;
            reply.read_to_end(&mut answer).await?;
        }
    }
    let head = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
    if let Some(status) = head.strip_prefix("HTTP/1.1 ").and_then(|s| s.parse().ok()) {
        *one.said.lock().unwrap().entry(status).or_default() += 1;
    }
    match network {
        Network::Loses => return Ok(()),
        Network::Late(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Network::Well | Network::Down => {}
    }
    client.write_all(&answer).await?;
    client.shutdown().await
}

/// The process of one witness: it serves until whoever started it is gone.
pub(crate) async fn serve() -> ExitCode {
    let dir = PathBuf::from(std::env::args().nth(2).expect("witness DIR"));
    let witness = match Witness::open(&dir) {
        Ok(witness) => Arc::new(witness),
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut out = io::stdout().lock();
    out.write_all(format!("{}\n", listener.local_addr().unwrap()).as_bytes()).and_then(|()| out.flush()).unwrap();
    drop(out);
    let gone = tokio::task::spawn_blocking(|| io::stdin().lock().read_to_end(&mut vec![]));
    witness::serve(listener, witness, async { drop(gone.await) }).await.unwrap();
    ExitCode::SUCCESS
}

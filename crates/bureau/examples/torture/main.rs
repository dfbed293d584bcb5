//! `torture`: lives of requests through the real use cases and the real store, in processes of their own that are
//! killed, cut off from power, run out of disk, are told that a flush failed, meet a slow disk or a clock that
//! jumps, or race each other; after each cycle everything is opened again and must hold.
//!
//! ```text
//! cargo run --release -p bureau --example torture -- --cycles 10000 --seed 1
//! ```
//!
//! Every third life requires two of three witnesses, real processes that are killed, late or out of reach themselves. In
//! a folder the master key is changed now and then, and killed at that as well.
//!
//! With `--postgres 1` records and keys are on a server of the run's own; then nodes are killed, alone and by twos,
//! their connections end at any moment, and the server crashes under them.
//!
//! What must hold, each time: the store opens; the log verifies; replay agrees; a decision that was acknowledged
//! is there; an answer that was served was released before, and with witnesses both were under their hands; an answer
//! left once for each time that it was made up;
//! what is owed is done without a failure. See `docs/TORTURE.md` for what it does not do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test; a panic is its finding")]

mod check;
mod child;
#[path = "../../../store/tests/postgres/cluster.rs"]
mod cluster;
mod outside;

use child::{ADDRESSES, ROTATE, Step};
use cluster::Cluster;
use outside::{LIST, Outside, REQUIRED, Trouble};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};
use store::{Database, Place, Servers};

/// Cycles that one data directory lives through.
const LIFE: u64 = 12;
/// Changes to files within which a fault is set; a cycle that is left alone makes some two thousand.
const CHANGES: u64 = 1_500;
/// The changes that have a name of their own: around each commit, key, picture and erasure.
const POINTS: [&str; 10] = [
    "records.db-wal write",
    "records.db-wal flush",
    "records.db write",
    "records.db flush",
    "records.db-wal shorten",
    "keys.db-wal flush",
    "keys.db write",
    "blobs write",
    "blobs rename",
    "blobs remove",
];

/// Every so many lives one requires witnesses.
const WITNESSED: u64 = 3;
/// One cycle of so many begins with another master key.
const ROTATES: u64 = 6;
/// Changes that a change of the master key makes at least.
const ROTATION_CHANGES: u64 = 120;
/// Flushes among them.
const ROTATION_FLUSHES: u64 = 12;
/// Those of them that have a name of their own, and how many there are of it.
const ROTATION_POINTS: [(&str, u64); 5] =
    [("secrets write", 5), ("secrets rename", 5), ("secrets flush", 8), ("keys.db-wal flush", 4), ("keys.db write", 20)];
/// Draws beside those of the faults, so that a seed's faults are the same with them and without.
const BESIDE: u64 = 0x5EED_0F07_4E25;

/// Chance that can be had again: SplitMix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// What is done to a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KilledAtAnyMoment,
    KilledAtAChange,
    KilledAtANamedPoint,
    PowerCut,
    DiskFull,
    FlushFailed,
    SlowDisk,
    ClockJumps,
    TwoProcesses,
    DiskThatLies,
    TwoNodesKilled,
    LostConnections,
    ServerCrashed,
}

/// On PostgreSQL: what happens to nodes, to their connections and to the server. Its files are its own to keep.
const SERVER_FAULTS: [Fault; 5] =
    [Fault::KilledAtAnyMoment, Fault::ClockJumps, Fault::TwoNodesKilled, Fault::LostConnections, Fault::ServerCrashed];

const FAULTS: [Fault; 9] = [
    Fault::KilledAtAnyMoment,
    Fault::KilledAtAChange,
    Fault::KilledAtANamedPoint,
    Fault::PowerCut,
    Fault::DiskFull,
    Fault::FlushFailed,
    Fault::SlowDisk,
    Fault::ClockJumps,
    Fault::TwoProcesses,
];

#[derive(Default)]
struct Tally {
    cycles: u64,
    /// The fault struck: the process died of it, or a change failed.
    struck: u64,
    acknowledged: u64,
    served: u64,
    refused: u64,
}

struct Settings {
    cycles: u64,
    seed: u64,
    seconds: u64,
    /// Every cycle is a power cut of a disk that lied about its flushes: the run must find that something is lost.
    liar: bool,
    /// Records and keys are on a PostgreSQL server, which is the run's own.
    postgres: bool,
    /// Witnesses are required, and the tormented process does not ask for them: the run must find that something left.
    careless: bool,
}

fn settings() -> Settings {
    let mut out = Settings { cycles: 100, seed: 1, seconds: u64::MAX, liar: false, postgres: false, careless: false };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name} takes a number"));
        match name.as_str() {
            "--cycles" => out.cycles = value,
            "--seed" => out.seed = value,
            "--seconds" => out.seconds = value,
            "--liar" => out.liar = value != 0,
            "--postgres" => out.postgres = value != 0,
            "--careless" => out.careless = value != 0,
            _ => panic!("torture [--cycles N] [--seed N] [--seconds N] [--liar 1] [--careless 1] [--postgres 1]: {name} is none of these"),
        }
    }
    out
}

/// The server's databases for one life, or for what every life begins as.
fn place(folder: &Path, server: Option<&Cluster>, life: &str) -> Place {
    let database = match server {
        Some(server) => {
            let url = |of: &str| server.url(&format!("{of}{life}"));
            Database::Postgres(Servers::new(&url("records"), &url("keys")).unwrap())
        }
        None => Database::Folder,
    };
    Place { database, ..Place::folder(folder) }
}

/// The library that stands between a process and its files.
fn library(folder: &Path) -> PathBuf {
    let library = folder.join("fault.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/torture/fault.c");
    let made = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").output();
    let made = made.expect("cc is there: Rust links with it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::args().nth(1).as_deref() == Some("child") {
        return runtime.block_on(child::run());
    }
    if std::env::args().nth(1).as_deref() == Some("witness") {
        return runtime.block_on(outside::serve());
    }
    let settings = settings();
    let ground = tempfile::tempdir().unwrap();
    let library = library(ground.path());
    let founded = ground.path().join("founded");
    let mut server = None;
    if settings.postgres {
        server = Cluster::start();
        if server.is_none() {
            return ExitCode::SUCCESS;
        }
    }
    let key = runtime.block_on(check::found(&place(&founded, server.as_ref(), "")));
    let began = Instant::now();
    let mut tally: BTreeMap<Fault, Tally> = BTreeMap::new();
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
    let mut beside = Beside::default();
    let mut cycle = 0;
    while cycle < settings.cycles && began.elapsed() < Duration::from_secs(settings.seconds) {
        // A life can be had again by itself: its seed is the run's and its number.
        let number = cycle / LIFE;
        let seed = settings.seed.wrapping_mul(1_000_003).wrapping_add(number);
        let store = ground.path().join(format!("life-{number}"));
        copy(&founded, &store);
        let suffix = format!("_{number}");
        if let Some(server) = &server {
            for of in ["records", "keys"] {
                server.sql("postgres", &format!("CREATE DATABASE {of}{suffix} TEMPLATE {of}"));
            }
        }
        let life_place = place(&store, server.as_ref(), &suffix);
        let mut life = check::Life::default();
        let (mut chance, mut more) = (Chance(seed), Chance(seed ^ BESIDE));
        let watched = settings.careless || number.is_multiple_of(WITNESSED) && !settings.liar;
        let around = ground.path().join(format!("witnesses-{number}"));
        let outside = watched.then(|| Outside::start(&runtime, &around, &key));
        let mut left = 0;
        for turn in 0..LIFE.min(settings.cycles - cycle) {
            let drawn = match server {
                // Few and slow: each in its turn, so that a short run has all of them.
                Some(_) => SERVER_FAULTS[usize::try_from((seed.wrapping_add(turn)) % SERVER_FAULTS.len() as u64).unwrap()],
                None => FAULTS[usize::try_from(chance.below(FAULTS.len() as u64)).unwrap()],
            };
            let fault = if settings.liar { Fault::DiskThatLies } else { drawn };
            let rotates = more.below(ROTATES) == 0 && server.is_none() && !settings.liar;
            let trouble = if settings.careless { Trouble::TooManyDown } else { Trouble::draw(&mut more) };
            if let Some(outside) = &outside {
                outside.trouble(trouble, &library, &mut more);
            }
            let scene = Scene {
                place: &life_place,
                library: &library,
                ground: ground.path(),
                witnesses: outside.as_ref().map(|o| o.told(if settings.careless { 0 } else { REQUIRED })),
                rotates,
            };
            let master = |of: &Place| fs::read(of.dir.join("secrets/master.key")).unwrap_or_default();
            let former = master(&life_place);
            let said = torment(&scene, fault, turn, &mut chance, server.as_mut());
            if let Some(outside) = &outside {
                beside.watched += 1;
                *beside.troubles.entry(trouble).or_default() += 1;
                beside.ended += u64::from(outside.calm(trouble));
            }
            let rotated = said.steps.iter().any(|s| matches!(s, Step::Rotated));
            let half_way = life_place.dir.join("secrets/master.next.key").exists();
            beside.rotations += u64::from(rotates);
            beside.half_way += u64::from(rotates && half_way);
            let mut wrong = rotated && master(&life_place) == former;
            let mut why = "the master key was changed, and is the same".to_owned();
            // Left as it is, or run again: half of the time each.
            if !wrong && half_way && more.below(2) == 0 {
                match runtime.block_on(check::rotation_ends(&life_place)) {
                    Ok(()) => beside.gone_on += 1,
                    Err(e) => (wrong, why) = (true, e),
                }
            }
            let t = tally.entry(fault).or_default();
            t.cycles += 1;
            t.struck += u64::from(said.struck);
            if let Some(name) = said.name {
                *names.entry(name).or_default() += 1;
            }
            for step in said.steps {
                match step {
                    Step::Acknowledged { .. } | Step::Erased { .. } => t.acknowledged += 1,
                    Step::Served { .. } => t.served += 1,
                    Step::Rotated => beside.rotated += 1,
                    Step::Refused => t.refused += 1,
                }
                life.learn(step);
            }
            let held = if wrong { Err(why) } else { runtime.block_on(check::holds(&life_place, &life, days(turn), outside.as_ref())) };
            left = held.as_ref().map_or(left, |n| *n);
            if let Err(wrong) = held {
                if let Some(server) = &server {
                    for of in ["records", "keys"] {
                        fs::write(ground.path().join(of), server.dump(&format!("{of}{suffix}"))).unwrap();
                    }
                }
                println!("WRONG after cycle {cycle} ({fault:?}), life {number}, turn {turn}, seed {}: {wrong}", settings.seed);
                if !settings.liar && !settings.careless {
                    println!("the data directory is kept: {}", store.display());
                    let _ = ground.keep();
                }
                return ExitCode::FAILURE;
            }
            cycle += 1;
        }
        fs::remove_dir_all(&store).unwrap();
        if let Some(outside) = outside {
            beside.left += left;
            outside.said().into_iter().for_each(|(status, n)| *beside.answers.entry(status).or_default() += n);
            drop(outside);
            fs::remove_dir_all(&around).unwrap();
        }
        if let Some(server) = &server {
            for of in ["records", "keys"] {
                server.sql("postgres", &format!("DROP DATABASE {of}{suffix} WITH (FORCE)"));
            }
        }
    }
    println!("seed {}, {cycle} cycles in {} s; everything held after each", settings.seed, began.elapsed().as_secs());
    println!(
        "| fault | cycles | it struck | decisions acknowledged | answers served | steps that failed |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (fault, t) in &tally {
        println!("| {fault:?} | {} | {} | {} | {} | {} |", t.cycles, t.struck, t.acknowledged, t.served, t.refused);
    }
    println!("\n| struck at | times |\n| --- | --- |");
    for (name, n) in &names {
        println!("| {name} | {n} |");
    }
    beside.print();
    ExitCode::SUCCESS
}

/// How far the clock stands on in a turn of a life. In its last quarter it is years ahead: all is due to be erased.
fn days(turn: u64) -> i64 {
    i64::try_from(if turn >= LIFE * 3 / 4 { 2_400 + turn } else { turn }).unwrap()
}

/// What a cycle's processes said before they ended.
struct Said {
    steps: Vec<Step>,
    struck: bool,
    name: Option<String>,
}

/// What goes on beside the faults.
#[derive(Default)]
struct Beside {
    /// Cycles of lives that require witnesses, and what was done to those.
    watched: u64,
    troubles: BTreeMap<Trouble, u64>,
    /// Cycles in which a witness met its end.
    ended: u64,
    /// Answers that left in these lives, each found under enough witnesses.
    left: u64,
    /// What the witnesses answered.
    answers: BTreeMap<u16, u64>,
    /// Cycles that began with another master key: begun, acknowledged, left half-way, and of these ended by running it again.
    rotations: u64,
    rotated: u64,
    half_way: u64,
    gone_on: u64,
}

impl Beside {
    fn print(&self) {
        println!("\n{} cycles with {REQUIRED} of {} witnesses required: {:?}", self.watched, outside::OF, self.troubles);
        println!("a witness met its end in {}; {} answers left; what the witnesses answered: {:?}", self.ended, self.left, self.answers);
        println!(
            "master key: {} cycles began with a change of it, {} were acknowledged, {} stopped half-way, {} of those run again at once",
            self.rotations, self.rotated, self.half_way, self.gone_on
        );
    }
}

/// Where a cycle is played.
struct Scene<'a> {
    place: &'a Place,
    library: &'a Path,
    ground: &'a Path,
    /// The witnesses as a child is told of them.
    witnesses: Option<String>,
    /// The first process begins with another master key.
    rotates: bool,
}

/// One cycle.
fn torment(scene: &Scene, fault: Fault, turn: u64, chance: &mut Chance, mut server: Option<&mut Cluster>) -> Said {
    let (place, store) = (scene.place, &scene.place.dir);
    let report = scene.ground.join("report");
    let _ = fs::remove_file(&report); // there may be none
    let mut children = vec![];
    let two = matches!(fault, Fault::TwoProcesses | Fault::TwoNodesKilled | Fault::LostConnections | Fault::ServerCrashed);
    for n in 0..if two { 2 } else { 1 } {
        let rotates = scene.rotates && n == 0;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("child").arg(store).arg(chance.next().to_string()).arg(days(turn).to_string());
        command.arg(if fault == Fault::ClockJumps { "jumps" } else { "steady" });
        if let Database::Postgres(servers) = &place.database {
            command.envs(ADDRESSES.into_iter().zip([servers.records(), servers.keys()]));
        }
        if let Some(witnesses) = &scene.witnesses {
            command.env(LIST, witnesses);
        }
        if rotates {
            command.env(ROTATE, "1");
        }
        // While it changes the master key, if it does.
        let soon = |n: u64, most: u64| if rotates { 1 + n % most } else { n };
        let what = match fault {
            Fault::KilledAtAChange | Fault::TwoProcesses => Some(format!("kill {}", soon(1 + chance.below(CHANGES), ROTATION_CHANGES))),
            Fault::KilledAtANamedPoint => {
                let point = POINTS[usize::try_from(chance.below(POINTS.len() as u64)).unwrap()];
                let often = if point.ends_with("write") { 400 } else { 30 };
                let n = 1 + chance.below(if point.starts_with("records.db-wal") { often } else { 12 });
                Some(if rotates {
                    let all = ROTATION_POINTS.len() as u64;
                    let (point, times) = ROTATION_POINTS[usize::try_from(n % all).unwrap()];
                    format!("point {point}: {}", 1 + n / all % times)
                } else {
                    format!("point {point}: {n}")
                })
            }
            Fault::PowerCut => Some(format!("power {}", soon(1 + chance.below(CHANGES), ROTATION_CHANGES))),
            Fault::DiskThatLies => Some(format!("liar {}", soon(1 + chance.below(CHANGES), ROTATION_CHANGES))),
            Fault::DiskFull => Some(format!("full {} {}", soon(1 + chance.below(CHANGES), ROTATION_CHANGES), 1 + chance.below(40))),
            Fault::FlushFailed => Some(format!("badflush {}", soon(1 + chance.below(CHANGES / 15), ROTATION_FLUSHES))),
            Fault::SlowDisk => Some("slow 8".to_owned()),
            Fault::KilledAtAnyMoment | Fault::ClockJumps | Fault::TwoNodesKilled | Fault::LostConnections | Fault::ServerCrashed => None,
        };
        if let Some(what) = what {
            command.env("LD_PRELOAD", scene.library).env("FAULT", what).env("FAULT_FOLDER", store);
            command.env("FAULT_SEED", chance.next().to_string()).env("FAULT_REPORT", &report);
        }
        children.push(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    }
    let readers: Vec<_> = children
        .iter_mut()
        .map(|c| {
            let out = c.stdout.take().unwrap();
            std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).filter_map(|l| Step::read(&l)).collect::<Vec<_>>())
        })
        .collect();
    let killing = matches!(fault, Fault::KilledAtAnyMoment | Fault::SlowDisk | Fault::ClockJumps);
    if killing {
        std::thread::sleep(Duration::from_millis(20 + chance.below(if server.is_some() { 1_500 } else { 350 })));
        for c in &mut children {
            let _ = c.kill(); // it may have ended
        }
    }
    let mut struck = false;
    if let Some(server) = &mut server {
        struck = strike(server, fault, chance, &mut children);
    }
    for c in &mut children {
        struck |= c.wait().unwrap().code().is_none();
    }
    if let Some(server) = server {
        // What a killed node had asked for last may still be under way there.
        while server.sql("postgres", &format!("SELECT count(*) FROM pg_stat_activity WHERE {NODES}")) != "0" {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let steps = readers.into_iter().flat_map(|r| r.join().unwrap()).collect();
    let name = fs::read_to_string(&report).ok().and_then(|t| t.lines().next().map(str::to_owned));
    Said { steps, struck: struck || name.is_some(), name }
}

/// The connections of nodes, in the server's view of what goes on.
const NODES: &str = "datname LIKE 'records%' OR datname LIKE 'keys%'";

/// What is done to nodes through the server, and to the server, while they work; whether anything was met.
fn strike(server: &mut Cluster, fault: Fault, chance: &mut Chance, children: &mut [Child]) -> bool {
    let mut pause = |least: u64| std::thread::sleep(Duration::from_millis(least + chance.below(600)));
    match fault {
        Fault::TwoNodesKilled => {
            for child in children {
                pause(150);
                let _ = child.kill(); // it may have ended
            }
            false
        }
        Fault::LostConnections => {
            let mut ended = 0_u64;
            while children.iter_mut().any(|c| c.try_wait().unwrap().is_none()) {
                pause(20);
                // In the middle of whatever they are doing, as a network or a failover does it.
                let all = format!("SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {NODES}");
                ended += server.sql("postgres", &all).parse::<u64>().unwrap();
            }
            ended > 0
        }
        Fault::ServerCrashed => {
            pause(200);
            let at_work = server.sql("postgres", &format!("SELECT count(*) FROM pg_stat_activity WHERE {NODES}")) != "0";
            server.crash();
            at_work
        }
        _ => false,
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

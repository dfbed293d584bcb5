//! `torture`: lives of requests through the real use cases and the real store, in processes of their own that are
//! killed, cut off from power, run out of disk, are told that a flush failed, meet a slow disk or a clock that
//! jumps, or race each other; after each cycle everything is opened again and must hold.
//!
//! ```text
//! cargo run --release -p bureau --example torture -- --cycles 10000 --seed 1
//! ```
//!
//! With `--postgres 1` records and keys are on a server of the run's own; then nodes are killed, alone and by twos,
//! their connections end at any moment, and the server crashes under them.
//!
//! What must hold, each time: the store opens; the log verifies; replay agrees; a decision that was acknowledged
//! is there; an answer that was served was released before; an answer left once for each time that it was made up;
//! what is owed is done without a failure. See `docs/TORTURE.md` for what it does not do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test; a panic is its finding")]

mod check;
mod child;
#[path = "../../../store/tests/postgres/cluster.rs"]
mod cluster;

use child::{ADDRESSES, Step};
use cluster::Cluster;
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
}

fn settings() -> Settings {
    let mut out = Settings { cycles: 100, seed: 1, seconds: u64::MAX, liar: false, postgres: false };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name} takes a number"));
        match name.as_str() {
            "--cycles" => out.cycles = value,
            "--seed" => out.seed = value,
            "--seconds" => out.seconds = value,
            "--liar" => out.liar = value != 0,
            "--postgres" => out.postgres = value != 0,
            _ => panic!("torture [--cycles N] [--seed N] [--seconds N] [--liar 1] [--postgres 1]: {name} is none of these"),
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
    runtime.block_on(check::found(&place(&founded, server.as_ref(), "")));
    let began = Instant::now();
    let mut tally: BTreeMap<Fault, Tally> = BTreeMap::new();
    let mut names: BTreeMap<String, u64> = BTreeMap::new();
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
        let mut chance = Chance(seed);
        for turn in 0..LIFE.min(settings.cycles - cycle) {
            let drawn = match server {
                // Few and slow: each in its turn, so that a short run has all of them.
                Some(_) => SERVER_FAULTS[usize::try_from((seed.wrapping_add(turn)) % SERVER_FAULTS.len() as u64).unwrap()],
                None => FAULTS[usize::try_from(chance.below(FAULTS.len() as u64)).unwrap()],
            };
            let fault = if settings.liar { Fault::DiskThatLies } else { drawn };
            let said = torment(&life_place, &library, fault, turn, &mut chance, ground.path(), server.as_mut());
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
                    Step::Refused => t.refused += 1,
                }
                life.learn(step);
            }
            if let Err(wrong) = runtime.block_on(check::holds(&life_place, &life, days(turn))) {
                if let Some(server) = &server {
                    for of in ["records", "keys"] {
                        fs::write(ground.path().join(of), server.dump(&format!("{of}{suffix}"))).unwrap();
                    }
                }
                println!("WRONG after cycle {cycle} ({fault:?}), life {number}, turn {turn}, seed {}: {wrong}", settings.seed);
                if !settings.liar {
                    println!("the data directory is kept: {}", store.display());
                    let _ = ground.keep();
                }
                return ExitCode::FAILURE;
            }
            cycle += 1;
        }
        fs::remove_dir_all(&store).unwrap();
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

/// One cycle.
fn torment(
    place: &Place,
    library: &Path,
    fault: Fault,
    turn: u64,
    chance: &mut Chance,
    ground: &Path,
    mut server: Option<&mut Cluster>,
) -> Said {
    let store = &place.dir;
    let report = ground.join("report");
    let _ = fs::remove_file(&report); // there may be none
    let mut children = vec![];
    let two = matches!(fault, Fault::TwoProcesses | Fault::TwoNodesKilled | Fault::LostConnections | Fault::ServerCrashed);
    for _ in 0..if two { 2 } else { 1 } {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("child").arg(store).arg(chance.next().to_string()).arg(days(turn).to_string());
        command.arg(if fault == Fault::ClockJumps { "jumps" } else { "steady" });
        if let Database::Postgres(servers) = &place.database {
            command.envs(ADDRESSES.into_iter().zip([servers.records(), servers.keys()]));
        }
        let what = match fault {
            Fault::KilledAtAChange | Fault::TwoProcesses => Some(format!("kill {}", 1 + chance.below(CHANGES))),
            Fault::KilledAtANamedPoint => {
                let point = POINTS[usize::try_from(chance.below(POINTS.len() as u64)).unwrap()];
                let often = if point.ends_with("write") { 400 } else { 30 };
                Some(format!("point {point}: {}", 1 + chance.below(if point.starts_with("records.db-wal") { often } else { 12 })))
            }
            Fault::PowerCut => Some(format!("power {}", 1 + chance.below(CHANGES))),
            Fault::DiskThatLies => Some(format!("liar {}", 1 + chance.below(CHANGES))),
            Fault::DiskFull => Some(format!("full {} {}", 1 + chance.below(CHANGES), 1 + chance.below(40))),
            Fault::FlushFailed => Some(format!("badflush {}", 1 + chance.below(CHANGES / 15))),
            Fault::SlowDisk => Some("slow 8".to_owned()),
            Fault::KilledAtAnyMoment | Fault::ClockJumps | Fault::TwoNodesKilled | Fault::LostConnections | Fault::ServerCrashed => None,
        };
        if let Some(what) = what {
            command.env("LD_PRELOAD", library).env("FAULT", what).env("FAULT_FOLDER", store);
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

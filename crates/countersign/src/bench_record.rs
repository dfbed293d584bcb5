//! `bench record`: what the record costs, as ratios within one run (issue: cost as ratios).

use bureau::{Bureau, SystemClock};
use casework::{
    event::{self, Event, HeaderFacts, Who},
    ids::{LeoId, PersonId, RequestId},
    policy::Policy,
    record::{GalleryId, NewRecord, RetentionClass, StreamId},
    request::State,
};
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result, ensure, miette};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{
    Bare, Commit, Database, IdempotencyKey, LookupEntry, MAX_RECORDS_PER_COMMIT, NewJob, Place, ProcessingFilter, QueueFilter, QueueRow,
    Servers, Store,
};
use uuid::Uuid;

/// Entries asked for, or pages, in one measurement; the median is told.
const LOOKS: usize = 101;
/// Writers at once, where the databases are compared.
const WRITERS: usize = 8;
/// Requests in one transaction while a store is filled: filling is not what is measured.
const FILL: usize = 500;

/// `bench record`
#[derive(clap::Args)]
pub struct Args {
    /// Commits timed, one by one.
    #[arg(long, default_value_t = 1_000)]
    commits: usize,
    /// Leaves of the shorter log; the longer has ten times as many.
    #[arg(long, default_value_t = 5_000)]
    leaves: u64,
    /// Requests in the fuller queue, against 100.
    #[arg(long, default_value_t = 100_000)]
    requests: usize,
    /// An empty PostgreSQL database for records: what a write costs there is measured against the folder too.
    #[arg(long, value_name = "URL", requires = "keys_database")]
    database: Option<String>,
    /// An empty PostgreSQL database for keys.
    #[arg(long, value_name = "URL", requires = "database")]
    keys_database: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One line of the table.
struct Line {
    what: &'static str,
    ratio: f64,
    seen: String,
}

/// Measures in `folder` and prints.
///
/// # Errors
/// When the store fails.
pub async fn run(args: &Args, folder: &Path) -> Result<()> {
    ensure!(args.commits > 0 && args.leaves > 0 && args.requests >= 100, "measure at least one commit, one leaf and 100 requests");
    std::fs::create_dir_all(folder).into_diagnostic()?;
    let mut lines = commits(args, folder).await?;
    lines.extend(log(args, folder).await?);
    lines.extend(queue(args, folder).await?);
    if let (Some(records), Some(keys)) = (&args.database, &args.keys_database) {
        let servers = Servers::new(records, keys).map_err(|faults| miette!("{}", faults.join("\n")))?;
        lines.extend(on_servers(args, folder, servers).await?);
    }
    if args.json {
        let ratios: serde_json::Map<_, _> = lines.iter().map(|l| (l.what.replace(' ', "_"), serde_json::json!(l.ratio))).collect();
        println!("{}", serde_json::json!({ "commits": args.commits, "leaves": args.leaves, "requests": args.requests, "ratios": ratios }));
        return Ok(());
    }
    for line in &lines {
        println!("{:<58} {:>7.2}×   {}", line.what, line.ratio, line.seen);
    }
    Ok(())
}

fn new_id() -> RequestId {
    RequestId(Uuid::now_v7())
}

/// An event as it is recorded, with a reason of ordinary length.
fn record(now: Timestamp) -> Result<NewRecord> {
    let leo = Some(LeoId::fixed(7));
    let policy = &Policy::in_force(casework::calendar::london_date(now)).version;
    let facts = HeaderFacts { gallery: Some(GalleryId::Passport), leo, state: State::Received, policy, trial: false };
    let reason = "It is in the public interest, and nothing less would do. ".repeat(8);
    event::record(Who::Person(PersonId::fixed(9)), Event::Withdrawn { reason }, now, facts).into_diagnostic()
}

fn row(request: RequestId, now: Timestamp) -> QueueRow {
    QueueRow {
        request,
        version: 1,
        gallery: GalleryId::Passport,
        leo: LeoId::fixed(7),
        team: None,
        state: State::Received.to_string(),
        urgent: false,
        sensitive: false,
        received_at: now,
        due_at: Some(now),
        changed_at: now,
        requester: PersonId::fixed(9),
        approver: Some(PersonId::fixed(8)),
        assignee: None,
        trial: false,
        flags: "{}".into(),
        people: vec![(PersonId::fixed(8), "approver".into()), (PersonId::fixed(9), "requester".into())],
    }
}

/// A decision as the product commits it.
fn decision(now: Timestamp) -> Result<Commit> {
    let id = new_id();
    let mut commit = Commit::new(StreamId::Request(id), 0, vec![record(now)?]);
    commit.row = Some(row(id, now));
    commit.idempotency = Some(IdempotencyKey(id.to_string()));
    let value = id.reference().into_bytes();
    commit.index = vec![LookupEntry { kind: "reference".into(), value, class: RetentionClass::Record }];
    Ok(commit)
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

fn ratio(more: Duration, less: Duration) -> f64 {
    more.as_secs_f64() / less.as_secs_f64().max(1e-9)
}

/// The one and the other in turn, so that both meet the same disk.
async fn commits(args: &Args, folder: &Path) -> Result<Vec<Line>> {
    let store = Store::create(&folder.join("commits"), "bench.example/record").await.into_diagnostic()?;
    let bare = Bare::create(&folder.join("bare.db")).await.into_diagnostic()?;
    let (mut plain, mut event, mut whole) = (vec![], vec![], vec![]);
    // A stream's first commit makes its key, durably, in the key store; its later ones do not.
    let stream = StreamId::Request(new_id());
    store.commit(Commit::new(stream, 0, vec![record(Timestamp::now())?])).await.into_diagnostic()?;
    for n in 0..args.commits {
        let one = record(Timestamp::now())?;
        let header = serde_json::to_string(&one.header).into_diagnostic()?;
        let began = Instant::now();
        bare.insert(&header, &one.payload).await.into_diagnostic()?;
        plain.push(began.elapsed());
        let began = Instant::now();
        store.commit(Commit::new(stream, n as u64 + 1, vec![one])).await.into_diagnostic()?;
        event.push(began.elapsed());
        let commit = decision(Timestamp::now())?;
        let began = Instant::now();
        store.commit(commit).await.into_diagnostic()?;
        whole.push(began.elapsed());
    }
    let began = Instant::now();
    let added = store.sequence(Timestamp::now()).await.into_diagnostic()?.added;
    let sequenced = began.elapsed() / u32::try_from(added).unwrap_or(u32::MAX).max(1);
    store.close().await;
    let (plain, event, whole) = (median(plain), median(event), median(whole));
    let seen = |d: Duration| format!("{:.2} ms against {:.2} ms", d.as_secs_f64() * 1e3, plain.as_secs_f64() * 1e3);
    Ok(vec![
        Line { what: "one sealed event with its leaf : bare insert, as durable", ratio: ratio(event, plain), seen: seen(event) },
        Line {
            what: "the same, put into the tree and signed : bare insert",
            ratio: ratio(event + sequenced, plain),
            seen: seen(event + sequenced),
        },
        Line { what: "a new request's first decision, its key too : bare insert", ratio: ratio(whole, plain), seen: seen(whole) },
    ])
}

/// Of one length of the log: a proof, its hashes, a full check, a page of who did what.
struct Log {
    proof: Duration,
    hashes: usize,
    check: Duration,
    page: Duration,
    figures: Duration,
}

async fn grow(store: &Store, upto: u64, stream: StreamId) -> Result<()> {
    let mut size = store.version(stream).await.into_diagnostic()?;
    while size < upto {
        let batch = (upto - size).min(MAX_RECORDS_PER_COMMIT as u64);
        let records = (0..batch).map(|_| record(Timestamp::now())).collect::<Result<Vec<_>>>()?;
        size = store.commit(Commit::new(stream, size, records)).await.into_diagnostic()?;
    }
    Ok(())
}

async fn look(store: &Store, bureau: &Bureau, stream: StreamId, size: u64) -> Result<Log> {
    bureau.fold_log().await.into_diagnostic()?;
    let (mut proofs, mut pages, mut figures, mut hashes) = (vec![], vec![], vec![], 0);
    for n in 0..LOOKS as u64 {
        let began = Instant::now();
        let proof = store.inclusion(stream, 1 + n * (size - 1) / LOOKS as u64).await.into_diagnostic()?;
        proofs.push(began.elapsed());
        hashes = hashes.max(proof.ok_or_else(|| miette!("an entry is not in the log"))?.proof.len());
        let began = Instant::now();
        let filter =
            ProcessingFilter { person: Some(PersonId::fixed(9)), gallery: Some(GalleryId::Passport), ..ProcessingFilter::default() };
        ensure!(store.processing(&filter, 50).await.into_diagnostic()?.len() == 50, "a page is full");
        pages.push(began.elapsed());
        let began = Instant::now();
        store.figures(None).await.into_diagnostic()?;
        figures.push(began.elapsed());
    }
    let began = Instant::now();
    ensure!(store.verify_log().await.into_diagnostic()?.verified(), "the log verifies");
    Ok(Log { proof: median(proofs), hashes, check: began.elapsed(), page: median(pages), figures: median(figures) })
}

async fn log(args: &Args, folder: &Path) -> Result<Vec<Line>> {
    let store = Store::create(&folder.join("log"), "bench.example/record").await.into_diagnostic()?;
    let bureau = Bureau::of_record(store.clone(), Arc::new(SystemClock));
    let stream = StreamId::Request(new_id());
    grow(&store, args.leaves.max(200), stream).await?;
    let short = look(&store, &bureau, stream, args.leaves.max(200)).await?;
    grow(&store, args.leaves.max(200) * 10, stream).await?;
    let long = look(&store, &bureau, stream, args.leaves.max(200) * 10).await?;
    drop(bureau);
    store.close().await;
    let seen = |long: Duration, short: Duration| format!("{:.2} ms against {:.2} ms", long.as_secs_f64() * 1e3, short.as_secs_f64() * 1e3);
    #[expect(clippy::cast_precision_loss, reason = "a proof has some twenty hashes")]
    let hashes = long.hashes as f64 / short.hashes.max(1) as f64;
    Ok(vec![
        Line { what: "log 10 times as long: hashes in a proof", ratio: hashes, seen: format!("{} against {}", long.hashes, short.hashes) },
        Line { what: "log 10 times as long: making a proof", ratio: ratio(long.proof, short.proof), seen: seen(long.proof, short.proof) },
        Line {
            what: "log 10 times as long: a page of who did what",
            ratio: ratio(long.page, short.page),
            seen: seen(long.page, short.page),
        },
        Line {
            what: "log 10 times as long: reading the figures",
            ratio: ratio(long.figures, short.figures),
            seen: seen(long.figures, short.figures),
        },
        Line {
            what: "log 10 times as long: checking all of it",
            ratio: ratio(long.check, short.check),
            seen: seen(long.check, short.check),
        },
    ])
}

async fn queue(args: &Args, folder: &Path) -> Result<Vec<Line>> {
    let store = Store::create(&folder.join("queue"), "bench.example/record").await.into_diagnostic()?;
    let mut held = 0;
    let fill = async |held: &mut usize, upto: usize| -> Result<()> {
        while *held < upto {
            let batch = (upto - *held).min(FILL);
            let commits = (0..batch).map(|_| decision(Timestamp::now())).collect::<Result<Vec<_>>>()?;
            store.commit_all(commits).await.map_err(|e| miette!("{e}"))?;
            *held += batch;
        }
        Ok(())
    };
    let page = async || -> Result<Duration> {
        let filter = QueueFilter {
            gallery: Some(GalleryId::Passport),
            states: vec![State::Received.to_string()],
            limit: 25,
            ..QueueFilter::default()
        };
        let mut took = vec![];
        for _ in 0..LOOKS {
            let began = Instant::now();
            let (rows, _) = store.queue(&filter).await.into_diagnostic()?;
            store.counts(None).await.into_diagnostic()?;
            took.push(began.elapsed());
            ensure!(rows.len() == 25, "a page is full");
        }
        Ok(median(took))
    };
    fill(&mut held, 100).await?;
    let few = page().await?;
    fill(&mut held, args.requests).await?;
    let many = page().await?;
    store.close().await;
    let seen = format!("{:.2} ms with {held} requests against {:.2} ms with 100", many.as_secs_f64() * 1e3, few.as_secs_f64() * 1e3);
    Ok(vec![Line { what: "a page of the work queue with its counts", ratio: ratio(many, few), seen }])
}

/// What one database takes for each thing.
struct Took {
    event: Duration,
    decision: Duration,
    job: Duration,
    page: Duration,
    /// For each decision, with several writers at once.
    crowd: Duration,
}

/// The same on PostgreSQL and in the folder, in turn.
async fn on_servers(args: &Args, folder: &Path, servers: Servers) -> Result<Vec<Line>> {
    let here = Store::create(&folder.join("here"), "bench.example/record").await.into_diagnostic()?;
    let place = Place { database: Database::Postgres(servers), ..Place::folder(&folder.join("there")) };
    let there = Store::create_at(&place, "bench.example/record").await.into_diagnostic()?;
    let stores = [&there, &here];
    let stream = StreamId::Request(new_id());
    for store in stores {
        store.commit(Commit::new(stream, 0, vec![record(Timestamp::now())?])).await.into_diagnostic()?;
    }
    // Of each store: events, decisions, jobs, pages.
    let mut took: [[Vec<Duration>; 4]; 2] = Default::default();
    for n in 0..args.commits as u64 {
        for (store, [events, decisions, jobs, _]) in stores.into_iter().zip(&mut took) {
            let one = Commit::new(stream, n + 1, vec![record(Timestamp::now())?]);
            let began = Instant::now();
            store.commit(one).await.into_diagnostic()?;
            events.push(began.elapsed());
            let now = Timestamp::now();
            let mut one = decision(now)?;
            one.jobs = vec![NewJob { kind: "bench".into(), payload: "{}".into(), run_at: now }];
            let began = Instant::now();
            store.commit(one).await.into_diagnostic()?;
            decisions.push(began.elapsed());
            let began = Instant::now();
            let job = store.claim_job("bench", Timestamp::now(), Duration::from_secs(60)).await.into_diagnostic()?;
            store.finish_job(&job.ok_or_else(|| miette!("a job that was enqueued is due"))?).await.into_diagnostic()?;
            jobs.push(began.elapsed());
        }
    }
    let filter = QueueFilter { gallery: Some(GalleryId::Passport), limit: 25, ..QueueFilter::default() };
    for _ in 0..LOOKS {
        for (store, [.., pages]) in stores.into_iter().zip(&mut took) {
            let began = Instant::now();
            store.queue(&filter).await.into_diagnostic()?;
            store.counts(None).await.into_diagnostic()?;
            pages.push(began.elapsed());
        }
    }
    let mut each = vec![];
    for (store, [events, decisions, jobs, pages]) in stores.into_iter().zip(took) {
        let crowd = crowd(store, args.commits).await?;
        each.push(Took { event: median(events), decision: median(decisions), job: median(jobs), page: median(pages), crowd });
    }
    there.close().await;
    here.close().await;
    let [there, here] = each.as_slice() else { return Err(miette!("two stores were measured")) };
    let line = |what, of: fn(&Took) -> Duration| {
        let (there, here) = (of(there), of(here));
        let seen = format!("{:.2} ms against {:.2} ms", there.as_secs_f64() * 1e3, here.as_secs_f64() * 1e3);
        Line { what, ratio: ratio(there, here), seen }
    };
    Ok(vec![
        line("PostgreSQL : folder, one sealed event with its leaf", |t| t.event),
        line("PostgreSQL : folder, a new request's first decision", |t| t.decision),
        line("PostgreSQL : folder, a job claimed and finished", |t| t.job),
        line("PostgreSQL : folder, a page of the work queue", |t| t.page),
        line("PostgreSQL : folder, a decision with 8 writers at once", |t| t.crowd),
    ])
}

/// Time for each decision when several are made at once.
async fn crowd(store: &Store, commits: usize) -> Result<Duration> {
    let each = commits.div_ceil(WRITERS);
    let began = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..each {
                store.commit(decision(Timestamp::now())?).await.into_diagnostic()?;
            }
            Ok::<_, miette::Report>(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done.into_diagnostic()??;
    }
    Ok(began.elapsed() / u32::try_from(each * WRITERS).unwrap_or(u32::MAX))
}

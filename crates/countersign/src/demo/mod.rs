//! `demo`: invented people, real photographs, one whole request through all seven rooms.

pub mod accuracy;
pub mod gallery;
pub mod people;
pub mod stories;

use crate::{
    config::Config,
    house::{self, Galleries},
    serve,
};
use bureau::{Bureau, Clock};
use casework::{
    command::Command,
    form::{Form, Nationality},
    ids::RequestId,
    record::GalleryId,
    request::Outcome,
};
use face::Pack;
use jiff::{SignedDuration, Timestamp};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use people::{BYRNE, HALE, OKAFOR, PRICE, REID, VERMA};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use stories::{Cast, IMMIGRATION, PASSPORT};

/// The file that says that a folder is a demo's, so that no other folder is ever cleared.
pub const MARK: &str = "THIS-IS-A-DEMO";

/// `demo`
#[derive(clap::Args)]
pub struct Args {
    /// Walk one request through the seven rooms in the terminal, then stop.
    #[arg(long)]
    headless: bool,
    /// The demo's own folder; cleared at each start.
    #[arg(long, default_value = "demo-data")]
    data: PathBuf,
    /// Address and port; loopback only.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Synthetic references in each gallery.
    #[arg(long, default_value_t = 100_000)]
    synthetic: u64,
}

/// The machine's clock, set back while the past is told.
#[derive(Debug, Default)]
pub struct DemoClock {
    back_seconds: AtomicI64,
}

impl DemoClock {
    /// Sets it back by this many hours.
    pub fn back(&self, hours: i64) {
        self.back_seconds.store(hours * 3600, Ordering::Relaxed);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() - SignedDuration::from_secs(self.back_seconds.load(Ordering::Relaxed))
    }
}

/// Runs the demo.
///
/// # Errors
/// When the set-up is missing, the folder is not a demo's, or the story does not come out.
pub async fn run(args: &Args) -> Result<ExitCode> {
    serve::log_to_stderr("warn");
    if !args.listen.ip().is_loopback() {
        return Err(miette!("the demo signs anybody in, so it listens on this machine only (127.0.0.1)"));
    }
    let (bureau, pack, clock) = prepare(&args.data, args.synthetic).await?;
    if args.headless {
        return headless(&bureau, &pack, &clock).await;
    }
    eprintln!("Telling the stories so far");
    past(&bureau, &pack, &clock).await?;
    let port = args.listen.port();
    let pages = web::Config {
        hosts: vec![format!("127.0.0.1:{port}"), format!("localhost:{port}")],
        demo: true,
        secure: false,
        trusted_proxies: vec![],
    };
    let names = bureau.people().await.into_diagnostic()?;
    let register = bureau.register().await.into_diagnostic()?;
    serve::pages_and_work(bureau, pages, args.listen, true, || {
        println!("\nCountersign is at http://{}\n\nSign in as:", args.listen);
        for p in &names {
            let roles: Vec<_> = p.roles.iter().map(|r| r.label()).collect();
            println!("  {:<18} {:<38} {}", p.name, roles.join(", "), bureau::register::organisation_of(&register, p));
        }
        println!("\nAnother threshold can be proposed with {}.", args.data.join(accuracy::FILE).display());
        println!("\nEverything about the people in it is invented. Ctrl-C stops it; the next start begins afresh.");
    })
    .await
}

/// An empty demo house: folder cleared, register founded, galleries filled.
///
/// # Errors
/// When the set-up is missing or the folder is not a demo's.
pub async fn prepare(data: &Path, synthetic: u64) -> Result<(Arc<Bureau>, Pack, Arc<DemoClock>)> {
    let config = Config { data_dir: data.to_owned(), ..Config::default() };
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(miette!(help = "run `make setup`", "{}", faults.join("\n")));
    }
    clear(data)?;
    let clock = Arc::new(DemoClock::default());
    clock.back(24 * 9);
    let bureau = house::open(&config, clock.clone(), Galleries::Enrol, true).await?;
    let today = casework::calendar::london_date(bureau.now());
    bureau.found_register(people::register(today)).await.into_diagnostic()?;
    let pack = Pack::open(&config.face.pack).into_diagnostic()?;
    eprintln!("Preparing {}: people, two galleries", data.display());
    let (people, fillers) = gallery::fill(&bureau, &pack, synthetic).await?;
    eprintln!("{people} faces from the sample photographs and {fillers} synthetic references are enrolled");
    accuracy::certify(&bureau, &pack, data, synthetic).await?;
    Ok((bureau, pack, clock))
}

fn clear(data: &Path) -> Result<()> {
    if data.exists() {
        if !data.join(MARK).exists() && std::fs::read_dir(data).into_diagnostic()?.next().is_some() {
            return Err(miette!(
                help = "name an empty folder with --data",
                "{} is not a demo's folder, so it is not cleared",
                data.display()
            ));
        }
        std::fs::remove_dir_all(data).into_diagnostic().wrap_err_with(|| format!("{} cannot be cleared", data.display()))?;
    }
    std::fs::create_dir_all(data).into_diagnostic().wrap_err_with(|| format!("{} cannot be made", data.display()))?;
    std::fs::write(data.join(MARK), "Made by `countersign demo`, which clears this folder at each start.\n").into_diagnostic()
}

/// The photograph that is searched with.
///
/// # Errors
/// When it is not there.
pub fn photograph(pack: &Pack) -> Result<Vec<u8>> {
    std::fs::read(gallery::photographs(pack)?.join(gallery::PROBE)).into_diagnostic()
}

async fn headless(bureau: &Arc<Bureau>, pack: &Pack, clock: &DemoClock) -> Result<ExitCode> {
    clock.back(0);
    let photograph = photograph(pack)?;
    let say = |word: &str, what: &str| println!("{word:<8} {what}");
    let told = stories::whole(bureau, PASSPORT, stories::form("NS/2026/0401", Nationality::British), &photograph, 1, &say).await?;
    let id = told.request;
    let closed = bureau.act_and_work(VERMA, id, Command::Close, None, None).await.into_diagnostic()?;
    let gone: Vec<_> = closed.request.erased.iter().map(ToString::to_string).collect();
    say(
        "retain",
        &format!("closed; erased at once: {}; the rest has its dates", if gone.is_empty() { "nothing".into() } else { gone.join(", ") }),
    );
    let verified = bureau.verify().await.into_diagnostic()?;
    let replayed = bureau.replay().await.into_diagnostic()?;
    say("report", &format!("{} events verified under a signed checkpoint; {} request folded again", verified.size, replayed.requests));
    println!(
        "{}",
        serde_json::json!({
            "outcome": told.outcome.to_string(),
            "request": id.reference(),
            "searched": told.searched,
            "candidates": told.candidates,
            "confirmed_by": told.confirmed_by,
            "ledger_size": verified.size,
            "ledger_verified": verified.verified && replayed.differing.is_empty(),
        })
    );
    let well = told.outcome == Outcome::Match && told.confirmed_by == 2 && verified.verified && replayed.differing.is_empty();
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The stories told before the visitor comes: each end once, and something to do for every role.
///
/// # Errors
/// When a story does not come out as it should.
pub async fn past(bureau: &Arc<Bureau>, pack: &Pack, clock: &DemoClock) -> Result<()> {
    let photograph = photograph(pack)?;
    let quiet = |_: &str, _: &str| {};
    let hours = |h: i64| clock.back(h);
    hours(24 * 8);
    let matched = stories::whole(bureau, PASSPORT, stories::form("NS/2026/0388", Nationality::British), &photograph, 1, &quiet).await?;
    expect(matched.outcome == Outcome::Match, "the first story ends in a match")?;
    hours(24 * 7);
    let foreign = stories::form("NCA/26/117", Nationality::Foreign);
    let unmatched = stories::whole(bureau, IMMIGRATION, foreign, &photograph, 0, &quiet).await?;
    expect(unmatched.outcome == Outcome::NoMatch, "the second story ends in no match")?;
    hours(24 * 6);
    stories::declined(bureau, &photograph).await?;
    hours(24 * 5);
    stories::rejected(bureau, &photograph).await?;
    hours(24 * 3);
    let hidden = stories::vulnerable(bureau, &photograph).await?;
    expect(!stories::sees(bureau, PRICE, hidden).await?, "a colleague who does not need to know cannot see the sensitive request")?;
    // Something to do: compare, assess, take, approve.
    hours(30);
    let comparing = stories::submitted(bureau, PASSPORT, stories::form("NS/2026/0461", Nationality::British), &photograph, 1).await?[0];
    let probe = stories::authorised(bureau, Cast { assessor: VERMA, ..PASSPORT }, comparing).await?;
    bureau.act_and_work(VERMA, comparing, Command::StartSearch { probe }, None, None).await.into_diagnostic()?;
    hours(26);
    let urgent = Form {
        urgent: Some(true),
        urgent_reason: "A second attack is expected within days.".into(),
        ..stories::form("NS/2026/0466", Nationality::British)
    };
    stories::submitted(bureau, Cast { requester: REID, ..PASSPORT }, urgent, &photograph, 0).await?;
    hours(25);
    let unsure = stories::form("NS/2026/0470", Nationality::Unsure);
    stories::submitted(bureau, PASSPORT, unsure, &photograph, 2).await?;
    hours(3);
    let waiting = stories::form("NCA/26/121", Nationality::British);
    stories::prepared(bureau, Cast { requester: BYRNE, approver: HALE, ..PASSPORT }, waiting, &photograph, 0).await?;
    let again = stories::form("NS/2026/0475", Nationality::British);
    stories::prepared(bureau, PASSPORT, again, &photograph, 1).await?;
    hours(1);
    let draft: RequestId = bureau.new_draft(OKAFOR).await.into_diagnostic()?;
    let begun = Form { investigation: "NS/2026/0480".into(), nationality: Some(Nationality::British), ..Form::new() };
    bureau.save_draft(OKAFOR, draft, 1, begun).await.into_diagnostic()?;
    hours(0);
    for gallery in [GalleryId::Passport, GalleryId::Immigration] {
        expect(bureau.gallery(gallery).is_some(), "both galleries are open")?;
    }
    Ok(())
}

fn expect(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(miette!("the demo did not come out as told: {what}")) }
}

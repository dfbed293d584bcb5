//! `serve`, `work` and `token`.

use crate::{
    config::Config,
    house::{self, Galleries},
};
use bureau::{Bureau, SystemClock};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    future::poll_fn,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How long a worker rests when there is nothing to do.
const REST: Duration = Duration::from_millis(500);
/// How long a witness that does not cosign is left alone at most.
const WITNESS_REST_MAX: Duration = Duration::from_secs(30);
/// How often a worker takes away what belongs to nothing any more.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// `serve`
#[derive(clap::Args)]
pub struct Args {
    /// Do no jobs in this process; run `work` beside it.
    #[arg(long)]
    no_work: bool,
}

/// `work`
#[derive(clap::Args)]
pub struct WorkArgs {
    /// Do what is due now, then stop.
    #[arg(long)]
    once: bool,
}

/// `token`
#[derive(clap::Args)]
pub struct TokenArgs {
    /// The person's id or exact name, as on the register.
    person: String,
    /// Days that it lasts, 1 to 90.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=90))]
    days: i64,
}

/// Logs to standard error: JSON lines without personal data, filtered by `RUST_LOG`.
pub fn log_to_stderr(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
    // A second call in one process would fail; the first one stands.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).json().with_writer(std::io::stderr).try_init();
}

/// Serves until asked to stop.
///
/// # Errors
/// When the configuration is unsound, the data cannot be opened or the port is taken.
pub async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    log_to_stderr("info");
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(miette!("{}", faults.join("\n")));
    }
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Search, true).await?;
    let pages = web::Config {
        hosts: config.serve.hosts.clone(),
        demo: false,
        secure: config.serve.secure,
        trusted_proxies: config.serve.trusted_proxies.clone(),
    };
    pages_and_work(bureau, pages, config.serve.listen, !args.no_work, || {}).await
}

/// Serves pages over a bureau, with a worker beside them, until asked to stop. `ready` is called once
/// the port is open.
///
/// # Errors
/// When the port is taken or the pages cannot be drawn.
pub async fn pages_and_work(
    bureau: Arc<Bureau>,
    pages: web::Config,
    listen: SocketAddr,
    work: bool,
    ready: impl FnOnce(),
) -> Result<ExitCode> {
    let mut asked = Box::pin(async {
        if let Err(error) = web::asked_to_stop().await {
            tracing::error!(%error, "cannot listen for signals");
        }
    });
    // Listened for before the port is open: from then on a signal is a wish, not a death.
    let at_once = poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_ready())).await;
    let asked = async move {
        if !at_once {
            asked.await;
        }
    };
    let listener = TcpListener::bind(listen).await.into_diagnostic().wrap_err_with(|| format!("{listen} cannot be listened on"))?;
    let state = web::AppState::over(pages, bureau.clone()).into_diagnostic()?;
    let (stop, stopped) = watch::channel(false);
    let worker = work.then(|| worker(bureau, stopped));
    ready();
    let served = web::serve(listener, web::router(state), asked).await;
    let _ = stop.send(true); // nobody listens when no worker runs
    if let Some(worker) = worker {
        worker.await.into_diagnostic()?;
    }
    served.into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

fn worker(bureau: Arc<Bureau>, mut stopped: watch::Receiver<bool>) -> JoinHandle<()> {
    let name = format!("{}-{}", std::process::id(), bureau.now().as_microsecond());
    let searched = bureau.clone();
    tokio::spawn(async move {
        if let Err(error) = searched.warm().await {
            tracing::warn!(%error, "the galleries are not all in memory: searches are exact, but slower");
        }
    });
    // Each witness is asked on its own, so that one that is slow or down holds up nothing else.
    let asking: Vec<JoinHandle<()>> = (0..bureau.witness_count()).map(|n| tokio::spawn(ask_witness(bureau.clone(), n))).collect();
    tokio::spawn(async move {
        let mut tidied: Option<Instant> = None;
        while !*stopped.borrow() {
            if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                if let Err(error) = bureau.tidy().await {
                    tracing::error!(%error, "tidying failed");
                }
            }
            let busy = match bureau.work(&name).await {
                Ok(worked) => worked.done > 0,
                Err(error) => {
                    tracing::error!(%error, "a round of work failed");
                    false
                }
            };
            if !busy {
                tokio::select! {
                    () = tokio::time::sleep(REST) => {}
                    _ = stopped.changed() => {}
                }
            }
        }
        // What a witness answers from now on is asked again by the next process.
        asking.iter().for_each(JoinHandle::abort);
    })
}

/// Submits each new checkpoint to one witness; after a failure it rests, longer each time.
async fn ask_witness(bureau: Arc<Bureau>, n: usize) {
    let mut rest = REST;
    loop {
        match bureau.ask_witness(n).await {
            Ok(true) => rest = REST,
            Ok(false) => rest = (rest * 2).min(WITNESS_REST_MAX),
            Err(error) => {
                tracing::error!(%error, "a witness could not be asked");
                rest = (rest * 2).min(WITNESS_REST_MAX);
            }
        }
        tokio::time::sleep(rest).await;
    }
}

/// Does jobs until asked to stop.
///
/// # Errors
/// When the data cannot be opened.
pub async fn work(config: &Config, args: &WorkArgs) -> Result<ExitCode> {
    log_to_stderr("info");
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Search, false).await?;
    if args.once {
        let mut worked = bureau.work("once").await.into_diagnostic()?;
        if bureau.ask_all_witnesses().await.into_diagnostic()? > 0 {
            // What waited for them is due now, and recorded itself.
            let more = bureau.work("once").await.into_diagnostic()?;
            worked = bureau::work::Worked { done: worked.done + more.done, failed: worked.failed + more.failed };
            bureau.ask_all_witnesses().await.into_diagnostic()?;
        }
        println!("{} jobs done, {} failed", worked.done, worked.failed);
        return Ok(if worked.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let (stop, stopped) = watch::channel(false);
    let worker = worker(bureau, stopped);
    web::asked_to_stop().await.into_diagnostic()?;
    let _ = stop.send(true);
    worker.await.into_diagnostic()?;
    Ok(ExitCode::SUCCESS)
}

/// Issues a bearer token and prints it once; only its hash is kept.
///
/// # Errors
/// When nobody of that id or name is on the register.
pub async fn token(config: &Config, args: &TokenArgs) -> Result<ExitCode> {
    let bureau = house::record(config, false).await?;
    let people = bureau.people().await.into_diagnostic()?;
    let person = people
        .iter()
        .find(|p| p.id.to_string() == args.person || p.name == args.person)
        .ok_or_else(|| miette!("nobody of that id or name is on the register"))?;
    println!("{}", bureau.issue_token(person.id, args.days).await.into_diagnostic()?);
    Ok(ExitCode::SUCCESS)
}

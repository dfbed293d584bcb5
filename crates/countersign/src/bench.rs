//! `bench request`: ratios and counts, printed; nothing here is a test.

use crate::{
    demo::{self, stories::{self, PASSPORT}},
};
use bureau::{Bureau, assess::List};
use casework::{command::Command, form::Nationality, ids::RequestId};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result};
use std::{
    cell::RefCell,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// `bench …`
#[derive(Subcommand)]
pub enum Verb {
    /// A whole request's server time by step, and a page's with many requests held against few.
    Request(Args),
}

/// `bench request`
#[derive(clap::Args)]
pub struct Args {
    /// Whole requests to walk; the median of each step is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests held for the second measurement.
    #[arg(long, default_value_t = 10_000)]
    held: usize,
    /// Synthetic references in each gallery.
    #[arg(long, default_value_t = 100_000)]
    synthetic: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs `bench …` in a temporary folder.
///
/// # Errors
/// When the set-up is missing or a story does not come out.
pub async fn run(verb: &Verb) -> Result<ExitCode> {
    let Verb::Request(args) = verb;
    let folder = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
    let out = measure(args, &folder).await;
    let _ = std::fs::remove_dir_all(&folder); // a bench leaves nothing behind; a failure to clean up is not its result
    out.map(|()| ExitCode::SUCCESS)
}

async fn measure(args: &Args, folder: &std::path::Path) -> Result<()> {
    let (bureau, pack, clock) = demo::prepare(folder, args.synthetic).await?;
    clock.back(0);
    let photograph = demo::photograph(&pack)?;
    let steps: Mutex<Vec<(String, Vec<Duration>)>> = Mutex::default();
    for round in 0..args.rounds {
        let last = RefCell::new(Instant::now());
        let last = Mutex::new(last);
        let tell = |word: &str, _: &str| {
            let last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let took = last.replace(Instant::now()).elapsed();
            let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
            match steps.iter_mut().find(|(w, _)| w == word) {
                Some((_, all)) => all.push(took),
                None => steps.push((word.to_owned(), vec![took])),
            }
        };
        stories::whole(&bureau, PASSPORT, stories::form(&format!("BENCH/{round}"), Nationality::British), &photograph, 1, &tell).await?;
    }
    let steps: Vec<(String, Duration)> =
        steps.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().map(|(w, d)| (w, median(d))).collect();
    let total: Duration = steps.iter().map(|(_, d)| *d).sum();

    let few = pages(&bureau, None).await?;
    let ids = hold(&bureau, &photograph, args.held).await?;
    let many = pages(&bureau, ids.last().copied()).await?;
    if args.json {
        let shares: serde_json::Map<_, _> =
            steps.iter().map(|(w, d)| (w.clone(), serde_json::json!(d.as_secs_f64() / total.as_secs_f64()))).collect();
        println!("{}", serde_json::json!({ "share_by_step": shares, "held": args.held, "list_ratio": ratio(many.0, few.0), "page_ratio": ratio(many.1, few.1) }));
        return Ok(());
    }
    println!("A whole request, server time by step (median of {}):", args.rounds);
    for (word, took) in &steps {
        println!("  {word:<8} {:>5.1} %", 100.0 * took.as_secs_f64() / total.as_secs_f64());
    }
    println!("With {} more requests held, against the same before:", args.held);
    println!("  work queue page  {:.2}×", ratio(many.0, few.0));
    println!("  request page     {:.2}×", ratio(many.1, few.1));
    Ok(())
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// The time of a work queue page and of a request page.
async fn pages(bureau: &Arc<Bureau>, id: Option<RequestId>) -> Result<(Duration, Duration)> {
    let id = match id {
        Some(id) => id,
        None => bureau.list(PASSPORT.assessor, List::Ended, None, 1).await.into_diagnostic()?.lines[0].id,
    };
    let (mut list, mut page) = (vec![], vec![]);
    for _ in 0..51 {
        let from = Instant::now();
        bureau.list(PASSPORT.assessor, List::Waiting, None, 1).await.into_diagnostic()?;
        list.push(from.elapsed());
        let from = Instant::now();
        bureau.request(PASSPORT.assessor, id).await.into_diagnostic()?;
        page.push(from.elapsed());
    }
    Ok((median(list), median(page)))
}

/// Holds many more requests, each through the same door as any other; they share their image's bytes.
async fn hold(bureau: &Arc<Bureau>, photograph: &[u8], count: usize) -> Result<Vec<RequestId>> {
    let progress = crate::enrol::bar(count as u64, "Holding requests");
    let mut ids = vec![];
    for n in 0..count {
        let form = stories::form(&format!("HELD/{n}"), Nationality::British);
        let id = stories::prepared(bureau, PASSPORT, form, photograph, 1).await?[0];
        bureau.act(PASSPORT.approver, id, Command::Approve, None, None).await.into_diagnostic()?;
        ids.push(id);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(ids)
}

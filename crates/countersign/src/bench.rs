//! `bench request` and `bench record`: ratios and counts, printed; nothing here is a test.

use crate::demo::{
    self,
    stories::{self, PASSPORT},
};
use bureau::{Bureau, assess::List};
use casework::{
    command::Command,
    form::{Form, Nationality},
    ids::{DraftId, RequestId},
    record::{RetentionClass, StreamId},
};
use clap::Subcommand;
use decoder::{JPEG_QUALITY, PixelArea, Rgb8};
use indicatif::ProgressBar;
use miette::{IntoDiagnostic, Result, miette};
use std::{
    ops::Range,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use store::PutDraft;
use tokio::task::JoinSet;

/// Requests held for the first measurement of a page.
const FEW: usize = 10;
/// How often each page is asked for; the median is told.
const LOOKS: usize = 51;
/// Held requests that share one image.
const COPIES: usize = 200;
/// Requests sent side by side, so that one's arithmetic runs while another waits for the disk.
const AT_ONCE: usize = 8;

/// `bench …`
#[derive(Subcommand)]
pub enum Verb {
    /// A whole request's server time by step, and a page's with many requests held against few.
    Request(Args),
    /// What the record costs: a commit against a bare insert, proofs and checks of a log ten times as long, a
    /// page of a full work queue against an almost empty one.
    Record(crate::bench_record::Args),
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
    let folder = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
    let out = match verb {
        Verb::Request(args) => measure(args, &folder).await,
        Verb::Record(args) => crate::bench_record::run(args, &folder).await,
    };
    let _ = std::fs::remove_dir_all(&folder); // a bench leaves nothing behind; a failure to clean up is not its result
    out.map(|()| ExitCode::SUCCESS)
}

async fn measure(args: &Args, folder: &std::path::Path) -> Result<()> {
    let (bureau, pack, clock) = demo::prepare(folder, args.synthetic).await?;
    clock.back(0);
    let photograph = demo::photograph(&pack)?;
    let steps = walk(&bureau, &photograph, args.rounds).await?;
    let total: Duration = steps.iter().map(|(_, d)| *d).sum();
    let share = |d: &Duration| d.as_secs_f64() / total.as_secs_f64().max(1e-9);

    let few = args.held.min(FEW);
    let portrait = portrait(&bureau, &photograph).await?;
    let progress = crate::enrol::bar(args.held as u64, "Holding requests");
    let mut held = hold(&bureau, &portrait, 0..few, &progress).await?;
    let before = pages(&bureau, held.first().copied()).await?;
    held.extend(hold(&bureau, &portrait, few..args.held, &progress).await?);
    progress.finish_and_clear();
    let after = pages(&bureau, held.first().copied()).await?;
    let waiting = bureau.list(PASSPORT.assessor, List::Waiting, None, 1).await.into_diagnostic()?.total;
    let ratios: Vec<(&str, f64)> =
        before.iter().zip(&after).map(|((name, few), (_, many))| (*name, many.as_secs_f64() / few.as_secs_f64().max(1e-9))).collect();

    if args.json {
        let shares: serde_json::Map<_, _> = steps.iter().map(|(w, d)| (w.clone(), serde_json::json!(share(d)))).collect();
        let ratios: serde_json::Map<_, _> = ratios.iter().map(|(n, r)| ((*n).replace(' ', "_"), serde_json::json!(r))).collect();
        println!(
            "{}",
            serde_json::json!({ "rounds": args.rounds, "share_by_step": shares, "few": few, "held": held.len(), "waiting": waiting, "ratios": ratios })
        );
        return Ok(());
    }
    println!("A whole request, server time by step (median of {}):", args.rounds);
    for (word, took) in &steps {
        println!("  {word:<16} {:>5.1} %", 100.0 * share(took));
    }
    let waiting = if waiting >= u64::from(store::QUEUE_COUNT_LIMIT) { format!("{waiting} or more") } else { waiting.to_string() };
    println!("With {} requests held against {few} ({waiting} wait on the work queue):", held.len());
    for (name, ratio) in ratios {
        println!("  {name:<16} {ratio:>5.2}×");
    }
    Ok(())
}

/// Walks whole requests; the median time of each of the seven words, in flow order.
async fn walk(bureau: &Arc<Bureau>, photograph: &[u8], rounds: usize) -> Result<Vec<(String, Duration)>> {
    let steps: Mutex<Vec<(String, Vec<Duration>)>> = Mutex::default();
    for round in 0..rounds {
        let last = Mutex::new(Instant::now());
        let tell = |word: &str, _: &str| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let took = std::mem::replace(&mut *last, Instant::now()).elapsed();
            let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
            match steps.iter_mut().find(|(w, _)| w == word) {
                Some((_, all)) => all.push(took),
                None => steps.push((word.to_owned(), vec![took])),
            }
        };
        stories::whole(bureau, PASSPORT, stories::form(&format!("BENCH/{round}"), Nationality::British), photograph, 1, &tell).await?;
    }
    Ok(steps.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().map(|(w, d)| (w, median(d))).collect())
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// The median times of what pages ask for: a work queue, the same without those that somebody holds, a
/// look-up by reference, and one request.
async fn pages(bureau: &Arc<Bureau>, id: Option<RequestId>) -> Result<Vec<(&'static str, Duration)>> {
    let Some(id) = id else { return Ok(vec![]) };
    let who = PASSPORT.assessor;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..LOOKS {
        let from = Instant::now();
        bureau.list(who, List::Waiting, None, 1).await.into_diagnostic()?;
        times[0].push(from.elapsed());
        let from = Instant::now();
        bureau.list(who, List::All, None, 1).await.into_diagnostic()?;
        times[1].push(from.elapsed());
        let from = Instant::now();
        bureau.look_up(who, &id.reference()).await.into_diagnostic()?;
        times[2].push(from.elapsed());
        let from = Instant::now();
        bureau.request(who, id).await.into_diagnostic()?;
        times[3].push(from.elapsed());
    }
    Ok(["waiting list", "whole list", "look-up", "request page"].into_iter().zip(times.map(median)).collect())
}

/// One face of the photograph as a small picture of its own: thousands of them fit on a disk.
async fn portrait(bureau: &Arc<Bureau>, photograph: &[u8]) -> Result<Rgb8> {
    let pixels = bureau.decode(photograph).await.into_diagnostic()?;
    let faces = bureau.faces(&pixels).await.into_diagnostic()?;
    let area = &faces.first().ok_or_else(|| miette!("the photograph shows no face"))?.area;
    let area = PixelArea { x: area.x, y: area.y, width: area.width, height: area.height };
    let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).into_diagnostic()?;
    whole.crop(area.padded(0.6)).into_diagnostic()
}

/// Holds more requests, each filled in, sent and approved like any other. Only their image is not read
/// again each time: a form is copied with what was found on it, and every [`COPIES`] copies begin with
/// another image.
async fn hold(bureau: &Arc<Bureau>, portrait: &Rgb8, numbers: Range<usize>, progress: &ProgressBar) -> Result<Vec<RequestId>> {
    let mut ids = vec![];
    let mut original: Option<RequestId> = None;
    let mut sending: JoinSet<Result<RequestId>> = JoinSet::new();
    let requester = PASSPORT.requester;
    for (at, n) in numbers.enumerate() {
        if at % COPIES == 0 {
            while let Some(sent) = sending.join_next().await {
                ids.push(sent.into_diagnostic()??);
                progress.inc(1);
            }
            if let Some(used) = original.take() {
                bureau.discard_draft(requester, used).await.into_diagnostic()?;
            }
            let shade = i32::try_from((n / COPIES) % 100).unwrap_or_default() - 50;
            let image = portrait.brightness_contrast(shade, 0).to_jpeg(JPEG_QUALITY).into_diagnostic()?;
            original = Some(stories::drafted(bureau, PASSPORT, stories::form("HELD", Nationality::British), &image, 0).await?.0);
        }
        let Some(original) = original else { continue };
        if sending.len() >= AT_ONCE
            && let Some(sent) = sending.join_next().await
        {
            ids.push(sent.into_diagnostic()??);
            progress.inc(1);
        }
        sending.spawn(send_copy(bureau.clone(), original, n));
    }
    for sent in sending.join_all().await {
        ids.push(sent?);
        progress.inc(1);
    }
    if let Some(used) = original {
        bureau.discard_draft(requester, used).await.into_diagnostic()?;
    }
    Ok(ids)
}

async fn send_copy(bureau: Arc<Bureau>, original: RequestId, n: usize) -> Result<RequestId> {
    let (id, version) = copied(&bureau, original, format!("HELD/{n}")).await?;
    bureau.send(PASSPORT.requester, id, version, None).await.into_diagnostic()?;
    bureau.act(PASSPORT.approver, id, Command::Approve, None, None).await.into_diagnostic()?;
    Ok(id)
}

/// Puts a copy of a draft for another investigation into the store, images and all, each under the copy's
/// own key: what was found on the images is known, so they are not read again. Only a measurement does so.
async fn copied(bureau: &Bureau, original: RequestId, investigation: String) -> Result<(RequestId, u64)> {
    let store = bureau.store();
    let id: RequestId = bureau.id().into_diagnostic()?;
    let draft = store.get_draft(DraftId(original.0)).await.into_diagnostic()?.ok_or_else(|| miette!("the draft to copy is gone"))?;
    let mut kept: serde_json::Value = serde_json::from_slice(&draft.bytes).into_diagnostic()?;
    let mut form: Form = serde_json::from_value(kept["form"].take()).into_diagnostic()?;
    form.investigation = investigation;
    let mut blobs = vec![];
    for image in &mut form.images {
        image.probe = bureau.id().into_diagnostic()?;
        for blob in [&mut image.original, &mut image.rendering] {
            let bytes = store.get_blob(*blob).await.into_diagnostic()?.ok_or_else(|| miette!("the image to copy is gone"))?;
            *blob = store.put_blob(StreamId::Request(id), RetentionClass::Images, &bytes, bureau.now()).await.into_diagnostic()?;
            blobs.push(*blob);
        }
    }
    kept["form"] = serde_json::to_value(&form).into_diagnostic()?;
    let bytes = serde_json::to_vec(&kept).into_diagnostic()?;
    let (owner, leo) = (draft.summary.owner, draft.summary.leo);
    let put = PutDraft { id: DraftId(id.0), owner, leo, expected: 0, bytes, blobs };
    let version = store.put_draft(put, bureau.now()).await.into_diagnostic()?;
    Ok((id, version))
}

//! `gallery …`: checking what is enrolled, and measuring what a search takes here.

use crate::{
    config::Config,
    enrol::bar,
    export,
    house::{self, Galleries},
};
use bureau::{Bureau, SystemClock};
use casework::record::GalleryId;
use clap::Subcommand;
use face::{Engine, OnnxEngine, Pack, filler::Filler};
use gallery::{
    Attributes, Filters, Gallery, LocalGallery, ModelId, NewReference, Probe, SearchLimits, Settings, YearBand, canonical_score,
};
use miette::{IntoDiagnostic, Result, miette};
use serde::Serialize;
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use strum::IntoEnumIterator;

/// Probes that take turns.
const PROBES: usize = 64;
/// References appended at a time.
const BATCH: usize = 1 << 17;
/// First of the years of birth that the measured filter keeps; it keeps eight of eighty.
const YEARS: (u16, u16) = (1960, 1967);

/// `gallery …`
#[derive(Subcommand)]
pub enum Verb {
    /// Read every byte of every gallery and compare it with its checksums.
    Check,
    /// Make a gallery's templates anew with another model pack, in a second index, while the first is
    /// searched. Stopped half-way, run it again: it goes on. The second index is searched once the
    /// configuration names its pack (`face.pack`) and `serve` is started again.
    ReEnrol(ReEnrolArgs),
    /// Write references as ANSI/NIST-ITL files, as the gallery's owner: recorded, with to whom and why, before the first.
    Export(export::Args),
    /// Measure a search against a plain f32 scan and the memory's bandwidth, in one run. Every measured
    /// list is exact; some are compared with a float64 brute force here.
    Bench(Args),
}

/// `gallery re-enrol`
#[derive(clap::Args)]
pub struct ReEnrolArgs {
    /// The gallery: passport or immigration.
    #[arg(long)]
    gallery: GalleryId,
    /// The other model pack's folder.
    #[arg(long)]
    pack: PathBuf,
    /// Print one JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// `gallery bench`
#[derive(clap::Args)]
pub struct Args {
    /// References, one table row for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000])]
    references: Vec<usize>,
    /// Components a template, if templates are synthetic.
    #[arg(long, value_delimiter = ',', default_values_t = [512])]
    dimension: Vec<usize>,
    /// Threads of a search.
    #[arg(long, value_delimiter = ',', default_values_t = [NonZeroUsize::MIN])]
    threads: Vec<NonZeroUsize>,
    /// Longest list.
    #[arg(long, default_value_t = 50)]
    k: usize,
    /// Rounds, in each of which everything is measured once, in turn; medians are told.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Real templates: enrol the faces of this folder's photographs (every third picture is left out and
    /// searched for), and fill up with references fitted to the model's statistics.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs `gallery …`.
///
/// # Errors
/// When a gallery is damaged or the set-up is missing.
pub async fn run(config: impl Fn() -> Result<Config>, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Check => check(&config()?).await,
        Verb::ReEnrol(args) => re_enrol(&config()?, args).await,
        Verb::Export(args) => export::run(&config()?, args).await,
        Verb::Bench(args) => bench(config, args).await,
    }
}

async fn check(config: &Config) -> Result<ExitCode> {
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Search, false).await?;
    let mut whole = true;
    for id in GalleryId::iter() {
        match bureau.check_elsewhere(id).await.into_diagnostic()? {
            Some(Ok(held)) => {
                println!("{id}: searched elsewhere; exactly the {held} references that are held here are enrolled there");
                let (running, _) = bureau.running(id).into_diagnostic()?;
                println!(
                    "{id}: its certificate takes an evaluation of pack {:?}, pack_digest {:?}, model {:?}",
                    running.pack, running.pack_digest, running.model
                );
                continue;
            }
            Some(Err(e)) => {
                whole = false;
                eprintln!("{id}: searched elsewhere; {e}");
                continue;
            }
            None => {}
        }
        let Some(gallery) = bureau.gallery(id) else {
            println!("{id}: none here");
            continue;
        };
        match gallery.check_all() {
            Ok(()) => {
                println!("{id}: {} references at epoch {}, every byte as written", gallery.len(), gallery.epoch());
                let missing = bureau.held(id).await.into_diagnostic()?.saturating_sub(gallery.len());
                if missing > 0 {
                    println!(
                        "{id}: {missing} more are held, but without a template of this model; run `enrol` or `gallery re-enrol` again"
                    );
                }
            }
            Err(e) => {
                whole = false;
                eprintln!("{id}: {e}");
            }
        }
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn re_enrol(config: &Config, args: &ReEnrolArgs) -> Result<ExitCode> {
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Search, false).await?;
    let first = bureau.gallery(args.gallery).ok_or_else(|| miette!("there is no {} gallery here; `enrol` makes one", args.gallery))?;
    let pack = Pack::open(&args.pack).into_diagnostic()?;
    let model = ModelId::new(pack.info().id.as_str()).into_diagnostic()?;
    if model == *first.model_id() {
        return Err(miette!("the {} gallery is searched with this model already ({model})", args.gallery));
    }
    let engine: Arc<dyn Engine> = Arc::new(OnnxEngine::load(&pack, &config.face.runtime).into_diagnostic()?);
    let (growing, whole) = (config.growing_gallery_dir(args.gallery, &model), config.gallery_dir(args.gallery, &model));
    let folder = if whole.exists() { &whole } else { &growing };
    let index = LocalGallery::open_or_create(folder, &model, pack.info().dimension, Settings::default()).into_diagnostic()?;
    let index = Arc::new(index);
    let progress = bar(0, "Making templates anew");
    let report = bureau
        .re_enrol(args.gallery, &engine, &index, |done, all| {
            progress.set_length(all);
            progress.set_position(done);
        })
        .await
        .into_diagnostic()?;
    progress.finish_and_clear();
    drop(index); // its folder is nobody's while it is renamed
    if *folder == growing && report.failed == 0 {
        std::fs::rename(&growing, &whole).into_diagnostic()?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report).into_diagnostic()?);
    } else {
        println!(
            "{} added, {} already there, {} refused by the new model, {} without a picture",
            report.added, report.already, report.refused, report.without_picture
        );
    }
    if report.failed > 0 {
        return Err(miette!("{} pictures could not be read or seen just now, so the index is not whole: run it again", report.failed));
    }
    if args.json {
        return Ok(ExitCode::SUCCESS);
    }
    println!("To search with it, name the pack in face.pack of the configuration and start `serve` again.");
    Ok(ExitCode::SUCCESS)
}

/// Templates one after the other, and probes.
struct Material {
    what: String,
    dimension: usize,
    threshold: f64,
    rows: Vec<f32>,
    probes: Vec<Vec<f32>>,
}

/// One line of the table. Ratios are medians over the rounds of plain time to ours.
#[derive(Serialize)]
struct Line {
    templates: String,
    references: usize,
    dimension: usize,
    threads: NonZeroUsize,
    /// The best `k` for one probe.
    one: f64,
    /// Sixteen probes at once, against sixteen plain scans.
    sixteen: f64,
    /// All at or above the threshold, one probe.
    above_threshold: f64,
    /// The best `k` among about a tenth, by year of birth, against a plain scan of everything.
    filtered: f64,
    /// The part of the memory's bandwidth at which the one-probe search reads codes.
    of_bandwidth: f64,
    enrolled_a_second: f64,
    opening_ms: f64,
    one_ms: f64,
    compared: usize,
    differ: usize,
}

async fn bench(config: impl Fn() -> Result<Config>, args: &Args) -> Result<ExitCode> {
    let mut lines = vec![];
    let real = match &args.pictures {
        Some(folder) => Some(templates_of(&config()?, folder).await?),
        None => None,
    };
    let dimensions = real.as_ref().map_or(args.dimension.clone(), |r| vec![r.dimension]);
    for dimension in dimensions {
        for references in &args.references {
            let material = match &real {
                Some(real) => real.filled_to(*references)?,
                None => Material::synthetic(*references, dimension),
            };
            lines.extend(measure(&material, args)?);
        }
    }
    let differ: usize = lines.iter().map(|l| l.differ).sum();
    if args.json {
        println!("{}", serde_json::to_string(&lines).into_diagnostic()?);
    } else {
        println!(
            "Ratios to a plain f32 scan on one thread; kernel {:?}; k = {}; {} rounds, in turn.\n",
            Settings::default().kernel,
            args.k,
            args.rounds
        );
        println!(
            "| templates | references | dimension | threads | one probe | sixteen | above threshold | a tenth by filter | of bandwidth | enrolled/s | opened, ms | one probe, ms |"
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for l in &lines {
            println!(
                "| {} | {} | {} | {} | {:.1}× | {:.1}× | {:.1}× | {:.1}× | {:.0} % | {:.0} | {:.1} | {:.2} |",
                l.templates,
                l.references,
                l.dimension,
                l.threads,
                l.one,
                l.sixteen,
                l.above_threshold,
                l.filtered,
                100.0 * l.of_bandwidth,
                l.enrolled_a_second,
                l.opening_ms,
                l.one_ms
            );
        }
        let compared: usize = lines.iter().map(|l| l.compared).sum();
        println!("\n{compared} lists compared with a float64 brute force, {differ} differ.");
    }
    Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Enrols the material in a temporary gallery and measures it with each number of threads.
fn measure(material: &Material, args: &Args) -> Result<Vec<Line>> {
    let folder = std::env::temp_dir().join(format!("countersign-gallery-bench-{}", std::process::id()));
    let out = measure_in(&folder, material, args);
    let _ = std::fs::remove_dir_all(&folder); // a bench leaves nothing behind; a failure to clean up is not its result
    out
}

fn measure_in(folder: &Path, material: &Material, args: &Args) -> Result<Vec<Line>> {
    let d = material.dimension;
    let references = material.rows.len() / d;
    let model = ModelId::new("bench/1").into_diagnostic()?;
    let gallery = LocalGallery::create(folder, &model, d, Settings::default()).into_diagnostic()?;
    let mut enrolling = Duration::ZERO;
    let progress = bar(references as u64, "Enrolling");
    for (n, rows) in material.rows.chunks(BATCH * d).enumerate() {
        let batch: Vec<NewReference> = rows.chunks_exact(d).enumerate().map(|(i, template)| reference(n * BATCH + i, template)).collect();
        let start = Instant::now();
        gallery.append(&model, &batch).into_diagnostic()?;
        enrolling += start.elapsed();
        progress.inc(batch.len() as u64);
    }
    progress.finish_and_clear();
    drop(gallery);

    let probes: Vec<Probe> =
        material.probes.iter().map(|p| Probe::new(model.clone(), p.clone())).collect::<Result<_, _>>().into_diagnostic()?;
    let best = SearchLimits { k: args.k, threshold: None, filters: Filters::default() };
    let above = SearchLimits { k: gallery::MAX_CANDIDATES, threshold: Some(material.threshold), filters: Filters::default() };
    let years = YearBand { from: YEARS.0, to: YEARS.1, or_unknown: false };
    let some = SearchLimits { filters: Filters { years_of_birth: Some(years), ..Filters::default() }, ..best.clone() };
    let mut lines = vec![];
    for threads in &args.threads {
        let start = Instant::now();
        let settings = Settings { threads: *threads, ..Settings::default() };
        let gallery = LocalGallery::open_for_search(folder, &model, settings).into_diagnostic()?;
        let opening = start.elapsed();
        let search = |probes: &[Probe], limits: &SearchLimits| -> Result<Duration> {
            let start = Instant::now();
            gallery.search_batch(probes, limits).into_diagnostic()?;
            Ok(start.elapsed())
        };
        gallery.warm().into_diagnostic()?;
        search(&probes[..1], &some)?; // filters look at every row's attributes the first time
        let mut measured: [Vec<f64>; 6] = Default::default();
        let progress = bar(args.rounds as u64, "Measuring");
        for round in 0..args.rounds {
            let at = round % (PROBES / 16) * 16;
            let probe = &probes[at..at + 1];
            let plain = plain(&material.rows, &material.probes[at], args.k);
            let bandwidth = bandwidth(&material.rows);
            let ours = [search(probe, &best)?, search(&probes[at..at + 16], &best)?, search(probe, &above)?, search(probe, &some)?]
                .map(|took| took.as_secs_f64());
            let plain = plain.as_secs_f64();
            let coarse = references as f64 * (0.625 * d as f64 + 8.0);
            let numbers =
                [plain / ours[0], 16.0 * plain / ours[1], plain / ours[2], plain / ours[3], coarse / ours[0] / bandwidth, 1e3 * ours[0]];
            measured.iter_mut().zip(numbers).for_each(|(list, number)| list.push(number));
            progress.inc(1);
        }
        progress.finish_and_clear();
        let [one, sixteen, above_threshold, filtered, of_bandwidth, one_ms] = measured.map(median);
        let compared = 4.min(PROBES);
        let mut differ = 0;
        for (at, probe) in probes.iter().enumerate().take(compared) {
            let list = gallery.search(probe, &best).into_diagnostic()?;
            let found: Vec<(u64, u128)> = list.entries.iter().map(|c| (c.score.to_bits(), u128::from_be_bytes(c.id))).collect();
            differ += usize::from(found != brute_force(&material.rows, &material.probes[at], args.k));
        }
        lines.push(Line {
            templates: material.what.clone(),
            references,
            dimension: d,
            threads: *threads,
            one,
            sixteen,
            above_threshold,
            filtered,
            of_bandwidth,
            enrolled_a_second: references as f64 / enrolling.as_secs_f64(),
            opening_ms: 1e3 * opening.as_secs_f64(),
            one_ms,
            compared,
            differ,
        });
    }
    Ok(lines)
}

fn reference(n: usize, template: &[f32]) -> NewReference {
    let attributes =
        Attributes { synthetic: true, sex_marker: (n % 2) as u8, year_of_birth: 1930 + (n / 2 % 80) as u16, enrolled_at: n as i64 };
    NewReference { id: (n as u128).to_be_bytes(), template: template.to_vec(), attributes }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What one would write without this crate: every row's dot product in f32, sixteen sums side by side,
/// and the best `k` kept in order.
fn plain(rows: &[f32], probe: &[f32], k: usize) -> Duration {
    let start = Instant::now();
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(k + 1);
    for (n, row) in rows.chunks_exact(probe.len()).enumerate() {
        let mut lanes = [0.0_f32; 16];
        for (row, probe) in row.chunks(16).zip(probe.chunks(16)) {
            for ((lane, x), p) in lanes.iter_mut().zip(row).zip(probe) {
                *lane += x * p;
            }
        }
        let score: f32 = lanes.iter().sum();
        if best.len() < k || best.last().is_some_and(|worst| score > worst.0) {
            let at = best.partition_point(|b| b.0 >= score);
            best.insert(at, (score, n));
            best.truncate(k);
        }
    }
    std::hint::black_box(&best);
    start.elapsed()
}

/// Bytes a second that one thread reads.
fn bandwidth(rows: &[f32]) -> f64 {
    let start = Instant::now();
    let mut lanes = [0_u32; 64];
    for part in rows.as_chunks::<64>().0 {
        for (lane, x) in lanes.iter_mut().zip(part) {
            *lane = lane.wrapping_add(x.to_bits());
        }
    }
    std::hint::black_box(&lanes);
    size_of_val(rows) as f64 / start.elapsed().as_secs_f64()
}

fn brute_force(rows: &[f32], probe: &[f32], k: usize) -> Vec<(u64, u128)> {
    let mut all: Vec<(f64, u128)> =
        rows.chunks_exact(probe.len()).enumerate().map(|(n, row)| (canonical_score(probe, row), n as u128)).collect();
    all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(k).map(|(score, n)| (score.to_bits(), n)).collect()
}

impl Material {
    /// Unit vectors whose components fall off as those of real embeddings do; half of the probes are
    /// another picture of somebody enrolled (cosine about 0.6).
    fn synthetic(references: usize, dimension: usize) -> Self {
        let spectrum: Vec<f32> = (0..dimension).map(|i| (i as f32 + 150.0).powf(-0.5)).collect();
        let mut state = 7_u64;
        let mut normal = move || {
            // The sum of four even numbers: close enough to a normal one.
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let bits = state ^ (state >> 29);
            (0..4).map(|i| (bits >> (16 * i) & 0xffff) as f32).sum::<f32>() / 65_536.0 - 2.0
        };
        let mut unit = |near: Option<&[f32]>| {
            let mut v: Vec<f32> = spectrum.iter().map(|s| normal() * s).collect();
            scale(&mut v);
            if let Some(near) = near {
                v.iter_mut().zip(near).for_each(|(v, x)| *v = 0.6 * x + 0.8 * *v);
                scale(&mut v);
            }
            v
        };
        let mut rows = Vec::with_capacity(references * dimension);
        let progress = bar(references as u64, "Drawing templates");
        for n in 0..references {
            rows.extend(unit(None));
            if n % 10_000 == 0 {
                progress.set_position(n as u64);
            }
        }
        progress.finish_and_clear();
        let mut probes = Vec::with_capacity(PROBES);
        for n in 0..PROBES {
            let mated = rows.get(n * references / PROBES * dimension..).and_then(|r| r.get(..dimension));
            probes.push(unit(mated.filter(|_| n % 2 == 0)));
        }
        Material { what: "synthetic".into(), dimension, threshold: 0.45, rows, probes }
    }
}

fn scale(v: &mut [f32]) {
    let length = canonical_score(v, v).sqrt();
    v.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
}

/// Templates of real photographs, and what fills up.
struct Real {
    dimension: usize,
    threshold: f64,
    templates: Vec<Vec<f32>>,
    filler: Filler,
}

impl Real {
    fn filled_to(&self, references: usize) -> Result<Material> {
        let (mut rows, mut probes) = (Vec::with_capacity(references * self.dimension), vec![]);
        let mut enrolled = 0;
        for (n, template) in self.templates.iter().enumerate() {
            if n % 3 == 2 && probes.len() < PROBES {
                probes.push(template.clone());
            } else if enrolled < references {
                rows.extend_from_slice(template);
                enrolled += 1;
            }
        }
        let real = enrolled;
        let progress = bar(references as u64, "Drawing fillers");
        for index in 0..(references - enrolled) as u64 {
            rows.extend_from_slice(self.filler.template(1, index).into_diagnostic()?.values());
            if index % 10_000 == 0 {
                progress.set_position(index);
            }
        }
        progress.finish_and_clear();
        if probes.len() < PROBES {
            return Err(miette!("{} faces were found; {} or more are needed", self.templates.len(), 3 * PROBES));
        }
        let what = format!("{real} real, rest fitted");
        Ok(Material { what, dimension: self.dimension, threshold: self.threshold, rows, probes })
    }
}

/// The template of the largest face of every photograph in a folder.
async fn templates_of(config: &Config, folder: &Path) -> Result<Real> {
    let pack = Pack::open(&config.face.pack).into_diagnostic()?;
    let filler = Filler::open(&pack).into_diagnostic()?;
    let house = std::env::temp_dir().join(format!("countersign-gallery-house-{}", std::process::id()));
    let config = Config { data_dir: house.clone(), ..config.clone() };
    let out = async {
        let bureau = house::open(&config, Arc::new(SystemClock), Galleries::Search, true).await?;
        let files = bureau::enrol::image_files(folder).into_diagnostic()?;
        let progress = bar(files.len() as u64, "Reading photographs");
        let mut templates = vec![];
        for file in files {
            templates.extend(largest(&bureau, &std::fs::read(file).into_diagnostic()?).await);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(templates)
    };
    let templates: Result<Vec<Vec<f32>>> = out.await;
    let _ = std::fs::remove_dir_all(&house); // as above
    let info = pack.info();
    Ok(Real { dimension: info.dimension, threshold: info.threshold.value, templates: templates?, filler })
}

/// Nothing for a picture that cannot be read or shows nobody: a measurement does without it.
async fn largest(bureau: &Bureau, bytes: &[u8]) -> Option<Vec<f32>> {
    let pixels = bureau.decode(bytes).await.ok()?;
    let faces = bureau.faces(&pixels).await.ok()?;
    let face = faces.into_iter().max_by(|a, b| (a.area.width * a.area.height).total_cmp(&(b.area.width * b.area.height)))?;
    let engine = bureau.engine().ok()?.clone();
    let template = move || engine.template(&face::Image::new(pixels.width, pixels.height, &pixels.data)?, &face);
    Some(tokio::task::spawn_blocking(template).await.ok()?.ok()?.values().to_vec())
}

//! `evaluate DIR`: how far the engine can be trusted, measured on people whose truth is known (POLICY P1).

mod report;
mod sample;
mod templates;

use crate::{config::Config, enrol::bar};
use bureau::{Clock as _, SystemClock, images::image_specifications};
use casework::record::GalleryId;
use face::{
    ImageSpecification, OnnxEngine, Pack, Template,
    accuracy::{self, About, Acquired, Evaluation, Person, Protocol, Refusals, Source},
    filler::Filler,
};
use jiff::civil::Date;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use sample::Sample;
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use templates::{Maker, Outcome};

/// The most synthetic references: they are held in memory.
const FILLERS_MAX: u64 = 2_000_000;
/// Where standard error is not a terminal, progress is told every so many images.
const TOLD_EVERY: usize = 500;

/// `evaluate`
#[derive(clap::Args)]
pub struct Args {
    /// A folder that holds one folder of images for each person: NAME/NAME_0001.jpg.
    folder: PathBuf,
    /// Pairs for one-to-one accuracy, in the form of LFW's pairs.txt. Without it, pairs are drawn.
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Groups to compare: a CSV file whose first line is name,COLUMN,… and whose names are those of the folders.
    #[arg(long, value_name = "CSV")]
    groups: Option<PathBuf>,
    /// The share of the people with two or more images who are enrolled, with their first image.
    #[arg(long, default_value_t = 1.0)]
    gallery_fraction: f64,
    /// Search only for images that this gallery's image specification lets through, as of a request's (A3b). One that it blocks
    /// is not searched for: a miss if the person is enrolled. A certificate from it is for that specification alone.
    #[arg(long, value_name = "GALLERY")]
    image_specification: Option<GalleryId>,
    /// Decides who is enrolled, which pairs are drawn and which fillers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Synthetic references enrolled beside the real ones, if the pack has statistics for them.
    #[arg(long, default_value_t = 0, value_name = "N")]
    fillers: u64,
    /// The model pack's folder; the configuration's without it.
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
    /// Print the evaluation as one JSON object: every search's outcome, nobody's name.
    #[arg(long)]
    json: bool,
    /// Write a report for people: one HTML file, made to be printed too.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep templates here, so that a stopped evaluation goes on. They are biometric data: delete the folder afterwards.
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Images looked at side by side; one for each processor without it. The result is the same for any number.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Mark the result as a demonstration, on which no statement about real searches may rest.
    #[arg(long)]
    demonstration: bool,
    /// Name the files of the worst errors in the report, to look for images under a wrong name.
    #[arg(long, requires = "report")]
    name_people: bool,
}

/// Evaluates a folder.
///
/// # Errors
/// When something is wrong with the folder, the files given beside it or the set-up, in plain words.
pub async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    // Everything that can be wrong is found before the work begins.
    if args.fillers > FILLERS_MAX {
        return Err(miette!("{} fillers were asked for; {FILLERS_MAX} at most can be held", args.fillers));
    }
    if !(args.gallery_fraction > 0.0 && args.gallery_fraction <= 1.0) {
        return Err(accuracy::AccuracyError::Fraction(args.gallery_fraction)).into_diagnostic();
    }
    if let Some(report) = &args.report
        && (report.is_dir() || !report.parent().is_none_or(|p| p.as_os_str().is_empty() || p.is_dir()))
    {
        return Err(miette!("the report cannot be written to {}. Name a file in a folder that is there", report.display()));
    }
    let sample = Sample::read(&args.folder, args.groups.as_deref())?;
    if sample.all_enrolled_at(args.gallery_fraction) {
        return Err(accuracy::AccuracyError::NobodyOutside).into_diagnostic();
    }
    let pairs = args.pairs.as_ref().map(|file| sample.pairs(file)).transpose()?;
    let specification = match args.image_specification {
        Some(gallery) => image_specifications().into_diagnostic()?.remove(&gallery),
        None => None,
    };
    let folder = args.pack.as_ref().unwrap_or(&config.face.pack);
    let pack = Pack::open(folder).into_diagnostic()?;
    let fillers = fillers(&pack, args)?;
    let maker = Arc::new(Maker::new(OnnxEngine::load(&pack, &config.face.runtime).into_diagnostic()?, &pack).await?);

    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let outcomes = templates(maker, &sample, args.work.as_deref(), threads).await?;
    let today = casework::calendar::london_date(SystemClock.now());
    let (about, people) = measured(&pack, args, specification.as_ref(), &sample, outcomes, today);
    let protocol = Protocol { seed: args.seed, gallery_fraction: args.gallery_fraction, columns: sample.columns.clone(), threads };
    eprintln!("Searching.");
    let measure = move || accuracy::evaluate_traced(about, &people, &fillers, pairs, &protocol);
    let (evaluation, sources) = tokio::task::spawn_blocking(measure).await.into_diagnostic()?.into_diagnostic()?;

    if let Some(path) = &args.report {
        let worst = if args.name_people { worst(&evaluation, &sources, &sample, &args.folder) } else { vec![] };
        let html = report::html(&evaluation, &worst).into_diagnostic()?;
        std::fs::write(path, html).into_diagnostic().wrap_err_with(|| format!("{} cannot be written", path.display()))?;
        eprintln!("The report is {}.", path.display());
    }
    if args.json {
        println!("{}", serde_json::to_string(&evaluation).into_diagnostic()?);
    } else {
        print!("{}", report::words(&evaluation));
    }
    Ok(ExitCode::SUCCESS)
}

fn fillers(pack: &Pack, args: &Args) -> Result<Vec<Template>> {
    if args.fillers == 0 {
        return Ok(vec![]);
    }
    let filler = Filler::open(pack).into_diagnostic()?;
    filler.templates(args.seed, args.fillers).collect::<Result<_, _>>().into_diagnostic()
}

async fn templates(maker: Arc<Maker>, sample: &Sample, work: Option<&Path>, threads: NonZeroUsize) -> Result<Vec<Outcome>> {
    let images: Vec<PathBuf> = sample.images().cloned().collect();
    let all = images.len();
    let bar = bar(all as u64, "Making templates");
    let outcomes = templates::make(maker, images, work, threads, |done| {
        bar.set_position(done as u64);
        if bar.is_hidden() && (done % TOLD_EVERY == 0 || done == all) {
            eprintln!("Templates: {done} of {all} images.");
        }
    });
    let outcomes = outcomes.await?;
    bar.finish_and_clear();
    Ok(outcomes)
}

/// The sample as numbers: from here on nobody has a name.
fn measured(
    pack: &Pack,
    args: &Args,
    specification: Option<&ImageSpecification>,
    sample: &Sample,
    outcomes: Vec<Outcome>,
    today: Date,
) -> (About, Vec<Person>) {
    let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
    let mut several_faces = 0;
    let mut templates = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Made(template, measured, several) => {
            several_faces += u64::from(several);
            Some(Acquired::new(template, &measured, specification))
        }
        Outcome::Refused(why) => {
            *refusals.entry(why).or_default() += 1;
            None
        }
    });
    let people = sample.people.iter().zip(&sample.groups);
    let people: Vec<Person> =
        people.map(|(p, groups)| Person { groups: groups.clone(), images: templates.by_ref().take(p.images.len()).collect() }).collect();
    drop(templates);
    let info = pack.info();
    let about = About {
        measured_on: today,
        demonstration: args.demonstration,
        pack: info.pack.clone(),
        pack_digest: pack.digest().to_owned(),
        model: info.id.as_str().to_owned(),
        pack_threshold: info.threshold.value,
        image_specification: specification.map(|s| hex::encode(s.digest())),
        refusals: refusals.into_iter().map(|(why, images)| Refusals { why, images }).collect(),
        several_faces,
    };
    (about, people)
}

/// The searches that went most wrong, with the names of their files: for who owns them.
fn worst(evaluation: &Evaluation, sources: &[Source], sample: &Sample, folder: &Path) -> Vec<report::Worst> {
    let file = |person: usize, image: usize| {
        let path = &sample.people[person].images[image];
        path.strip_prefix(folder).unwrap_or(path).display().to_string()
    };
    let mut all: Vec<(f64, report::Worst)> = vec![];
    for (search, source) in evaluation.searches.iter().zip(sources) {
        let image = file(source.person, source.image);
        let nearest = source.other.map_or("a filler".to_owned(), |other| file(other, 0));
        match (search.mated, search.mate, search.other) {
            // Lowest mates first, then highest strangers.
            (true, Some(score), _) => all.push((score, report::Worst::mated(image, file(source.person, 0), score))),
            (false, _, Some(score)) => all.push((-score, report::Worst::nonmated(image, nearest, score))),
            _ => {}
        }
    }
    all.sort_by(|a, b| a.1.mated.cmp(&b.1.mated).reverse().then(a.0.total_cmp(&b.0)));
    let (mated, nonmated): (Vec<_>, Vec<_>) = all.into_iter().map(|(_, w)| w).partition(|w| w.mated);
    mated.into_iter().take(report::WORST).chain(nonmated.into_iter().take(report::WORST)).collect()
}

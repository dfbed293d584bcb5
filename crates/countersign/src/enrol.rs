//! `enrol DIR`

use crate::{
    config::Config,
    house::{self, Galleries},
};
use bureau::{SystemClock, exchange::Type2};
use casework::record::GalleryId;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// `enrol`
#[derive(clap::Args)]
pub struct Args {
    /// A folder of JPEG and PNG files, one person each, NAME.json beside NAME.jpg with the biography; and of ANSI/NIST-ITL
    /// files (.an2, .nist, .eft), Type-10 with Type-2.
    folder: PathBuf,
    /// Which Type-2 field holds which field of the biography: a file like crates/bureau/src/type2.toml, which is used
    /// where none is named.
    #[arg(long)]
    fields: Option<PathBuf>,
    /// The gallery: passport or immigration.
    #[arg(long)]
    gallery: GalleryId,
    /// Print one JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// A progress bar on standard error, hidden when that is not a terminal.
pub fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg:<28} {bar:30} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar
}

/// The mapping of Type-2 fields that is named, or the standard one.
///
/// # Errors
/// When the file cannot be read or is no mapping.
pub fn type2(named: Option<&Path>) -> Result<Type2> {
    let Some(path) = named else { return Type2::standard().into_diagnostic() };
    let text = std::fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", path.display()))?;
    Type2::read(&text).into_diagnostic().wrap_err_with(|| format!("{} is not a mapping", path.display()))
}

/// Enrols a folder. Stopped half-way, run it again: what is there is not enrolled twice.
///
/// # Errors
/// When the folder cannot be read or the gallery is in use by another enrolment.
pub async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let map = type2(args.fields.as_deref())?;
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Enrol, true).await?;
    let progress = bar(0, "Enrolling");
    let report = bureau
        .enrol_folder(args.gallery, &args.folder, &map, |done, all| {
            progress.set_length(all);
            progress.set_position(done);
        })
        .await
        .into_diagnostic()?;
    progress.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string(&report).into_diagnostic()?);
    } else {
        println!("{} added, {} already there, {} refused", report.added, report.already, report.refused.len());
        for r in &report.refused {
            println!("  {}: {}", r.file, r.why);
        }
        if let Some((step, share)) = report.spent.bottleneck() {
            println!("Most of the work was {step}: {:.0} % of it.", share * 100.0);
        }
    }
    Ok(ExitCode::SUCCESS)
}

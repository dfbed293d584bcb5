//! `enrol DIR`

use crate::{
    config::Config,
    house::{self, Galleries},
};
use bureau::SystemClock;
use casework::record::GalleryId;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{IntoDiagnostic, Result};
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// `enrol`
#[derive(clap::Args)]
pub struct Args {
    /// A folder of JPEG and PNG files, one person each; NAME.json beside NAME.jpg holds the biography.
    folder: PathBuf,
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

/// Enrols a folder. Stopped half-way, run it again: what is there is not enrolled twice.
///
/// # Errors
/// When the folder cannot be read or the gallery is in use by another enrolment.
pub async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Enrol, true).await?;
    let progress = bar(0, "Enrolling");
    let report = bureau
        .enrol_folder(args.gallery, &args.folder, |done, all| {
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

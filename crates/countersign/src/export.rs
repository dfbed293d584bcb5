//! `gallery export`: held references as ANSI/NIST-ITL files, as an event of a named person.

use crate::{
    config::Config,
    enrol::{bar, type2},
    house::{self, Galleries},
};
use bureau::{SystemClock, exchange::Wanted};
use casework::{ids::ReferenceId, record::GalleryId};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf, process::ExitCode, sync::Arc};

/// `gallery export`
#[derive(clap::Args)]
pub struct Args {
    /// The folder for the files: new, or empty.
    folder: PathBuf,
    /// The gallery: passport or immigration.
    #[arg(long)]
    gallery: GalleryId,
    /// To whom they go. Recorded.
    #[arg(long)]
    recipient: String,
    /// Why. Recorded.
    #[arg(long)]
    reason: String,
    /// The sending agency's code (1.008, ORI).
    #[arg(long)]
    origin: String,
    /// The receiving agency's code (1.007, DAI).
    #[arg(long)]
    destination: String,
    /// A reference's id; may be given several times. Without any: all that have a picture.
    #[arg(long = "reference")]
    references: Vec<uuid::Uuid>,
    /// A file with the API token of whoever exports: the gallery's owner. `countersign token` issues one.
    #[arg(long, env = "COUNTERSIGN_TOKEN_FILE")]
    token_file: PathBuf,
    /// Which Type-2 field holds which field of the biography, as for `enrol`.
    #[arg(long)]
    fields: Option<PathBuf>,
    /// Print one JSON object instead of words.
    #[arg(long)]
    json: bool,
}

/// Exports. Nothing is written before it is recorded.
///
/// # Errors
/// Refused to anybody but the gallery's owner; when the folder is not empty or a file cannot be written.
pub async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let map = type2(args.fields.as_deref())?;
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Search, false).await?;
    let who = house::bearer(&bureau, &args.token_file).await?;
    let unmade = || format!("{} cannot be made", args.folder.display());
    fs::create_dir_all(&args.folder).into_diagnostic().wrap_err_with(unmade)?;
    if fs::read_dir(&args.folder).into_diagnostic()?.next().is_some() {
        return Err(miette!("{} is not empty: name a new folder", args.folder.display()));
    }
    let wanted = Wanted {
        gallery: args.gallery,
        references: args.references.iter().copied().map(ReferenceId).collect(),
        recipient: args.recipient.clone(),
        reasons: args.reason.clone(),
        origin: args.origin.clone(),
        destination: args.destination.clone(),
    };
    let write = |reference: ReferenceId, bytes: &[u8]| {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(args.folder.join(format!("{reference}.an2")))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    let progress = bar(0, "Exporting");
    let done = bureau
        .export(who, &wanted, &map, write, |done, all| {
            progress.set_length(all);
            progress.set_position(done);
        })
        .await
        .into_diagnostic()?;
    progress.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string(&done).into_diagnostic()?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} written, {} without a picture left out", done.written, done.without_picture);
    let without = map.without();
    if !without.is_empty() {
        let names: Vec<_> = without.iter().map(ToString::to_string).collect();
        println!("Not in the files, because the mapping names no Type-2 field for them: {}.", names.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

//! `backup` and `restore`.

use crate::{config::Config, house};
use bureau::{Bureau, SystemClock};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use store::{Copied, Database, Store, StoreError, backup};

/// `backup`
#[derive(clap::Args)]
pub struct BackupArgs {
    /// A new folder for the records: databases and sealed images, which nobody can open without the keys.
    dir: PathBuf,
    /// Copy the keys as well, to a new folder somewhere else. Keep the newest only: an older copy holds keys that
    /// were destroyed since.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// `restore`
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The folder that `backup` made.
    dir: PathBuf,
    /// Bring back the keys too, from a copy made with the records or after them. Without this, the keys that are
    /// there are used.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The records are older than the last signed checkpoint, and the latest are lost: go on with a shorter log. It
    /// is recorded, and whoever holds the later checkpoint will see it.
    #[arg(long)]
    accept_shorter_log: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn said(copied: &Copied) -> serde_json::Value {
    json!({ "files": copied.files, "bytes": copied.bytes, "log_size": copied.log_size, "at": copied.at })
}

/// Refuses what works on the files of a folder alone.
fn on_servers(config: &Config, instead: &'static str) -> Result<()> {
    match house::place(config)?.database {
        Database::Folder => Ok(()),
        Database::Postgres(_) => Err(StoreError::OnServers { instead }).into_diagnostic(),
    }
}

/// Copies records, and keys apart from them.
///
/// # Errors
/// When something is there already, the two places are not apart, or the store fails.
pub async fn backup(config: &Config, args: &BackupArgs) -> Result<ExitCode> {
    let whole = |p: &Path| std::path::absolute(p).into_diagnostic();
    if let Some(keys) = &args.keys {
        let (records, keys) = (whole(&args.dir)?, whole(keys)?);
        if records.starts_with(&keys) || keys.starts_with(&records) {
            return Err(miette!(
                help = "name a folder elsewhere, best on another machine",
                "the keys would lie with the records that they open"
            ));
        }
    }
    let data = whole(&config.data_dir)?;
    if whole(&args.dir)?.starts_with(&data) {
        return Err(miette!("a copy within {} would be lost with it; name a folder elsewhere", data.display()));
    }
    on_servers(config, backup::INSTEAD_OF_BACKUP)?;
    let bureau = house::record(config, false).await?;
    let (records, keys) = bureau.copy(&args.dir, args.keys.as_deref()).await.into_diagnostic()?;
    if args.json {
        println!("{}", json!({ "records": said(&records), "keys": keys.as_ref().map(said) }));
    } else {
        println!(
            "Records: {} files, {} bytes, a log of {} leaves, in {}",
            records.files,
            records.bytes,
            records.log_size,
            args.dir.display()
        );
        match (&keys, &args.keys) {
            (Some(keys), Some(dir)) => println!("Keys: {} files in {}. Keep them apart, and only the newest.", keys.files, dir.display()),
            _ => println!("The keys are not in it: without them nothing of it opens."),
        }
        println!("Galleries are not copied: `countersign gallery re-enrol` makes them again from the held images.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings a copy back.
///
/// # Errors
/// When anything in the copy is not what it was, or records are there already.
pub async fn restore(config: &Config, args: &RestoreArgs) -> Result<ExitCode> {
    on_servers(config, backup::INSTEAD_OF_RESTORE)?;
    if config.blobs.is_some() {
        return Err(miette!(
            help = "take [blobs] out of the configuration, restore, then move store/blobs/ to where it belongs and name it again",
            "a copy's images come back to the data directory, and the configuration has them elsewhere"
        ));
    }
    std::fs::create_dir_all(&config.data_dir).into_diagnostic()?;
    let dir = config.store_dir();
    let (store, restored) = Store::restore(&args.dir, args.keys.as_deref(), &dir, args.accept_shorter_log).await.into_diagnostic()?;
    let bureau = Bureau::of_record(store, Arc::new(SystemClock));
    bureau.note_restored(&restored).await.into_diagnostic()?;
    let verified = bureau.verify().await.into_diagnostic()?;
    if args.json {
        println!(
            "{}",
            json!({ "records": said(&restored.copy), "lost_up_to": restored.lost_up_to, "stays_erased": restored.stays_erased,
                "verified": verified.verified, "fault": verified.fault })
        );
    } else {
        println!("{} files of {} are back; the log has {} leaves", restored.copy.files, restored.copy.at, restored.copy.log_size);
        if let Some(lost) = restored.lost_up_to {
            println!("The log had been signed up to {lost} leaves. What was recorded after the copy is lost, and this is recorded.");
        }
        println!("{} keys were destroyed since the copy was made; what they sealed stays erased", restored.stays_erased);
        println!("{}", verified.fault.as_ref().map_or_else(|| "Everything holds.".to_owned(), |f| format!("WRONG: {f}")));
        println!("Make the galleries again with `countersign gallery re-enrol`, where they are not there.");
    }
    Ok(if verified.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `audit export DIR` and `audit verify DIR`: a copy of the log in a folder, for an outsider.

use crate::{config::Config, house};
use ledger::{
    VerifierKey, WitnessKey,
    bundle::{self, Files, Stopped, Trust},
};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Longest remembered checkpoint read, in bytes.
const MAX_CHECKPOINT_BYTES: u64 = ledger::note::MAX_NOTE_BYTES as u64;

/// `audit export`
#[derive(clap::Args)]
pub struct Export {
    /// Where the copy is put; it must not exist yet.
    dir: PathBuf,
    /// Who takes it: the person's id or exact name, as on the register.
    #[arg(long)]
    by: String,
    /// Whom it is for.
    #[arg(long)]
    to: String,
    /// Why.
    #[arg(long)]
    why: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is known from elsewhere, for `audit verify DIR`.
#[derive(clap::Args)]
pub struct Known {
    /// The log's key, from somewhere else than the folder.
    #[arg(long, requires = "dir")]
    key: Option<String>,
    /// A checkpoint that was kept from before, in a file. May be given several times.
    #[arg(long, requires = "dir")]
    remember: Vec<PathBuf>,
    /// The key of a witness that must have cosigned the newest checkpoint. May be given several times.
    #[arg(long, requires = "dir")]
    witness: Vec<String>,
    /// The witnesses must have cosigned it at or after this time (2026-11-28T09:00:00Z).
    #[arg(long, requires = "witness")]
    since: Option<jiff::Timestamp>,
}

/// A folder as a bundle's files.
struct Folder<'a>(&'a Path);

impl Files for Folder<'_> {
    fn list(&self) -> io::Result<Vec<String>> {
        fn walk(dir: &Path, below: &str, out: &mut Vec<String>) -> io::Result<()> {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let path = format!("{below}{}", entry.file_name().to_string_lossy());
                // Not followed: a link is listed, and then found to be no part of a bundle.
                if entry.file_type()?.is_dir() {
                    walk(&entry.path(), &format!("{path}/"), out)?;
                } else {
                    out.push(path);
                }
            }
            Ok(())
        }
        let mut out = vec![];
        walk(self.0, "", &mut out)?;
        Ok(out)
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let path = self.0.join(path);
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut bytes = vec![];
        fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Runs `audit verify DIR`; fails when something is wrong, and names the first such thing.
///
/// # Errors
/// When the folder or what is known from elsewhere cannot be read.
pub fn verify(dir: &Path, known: &Known, json: bool) -> Result<ExitCode> {
    let mut trust = Trust { since: known.since.map(|t| u64::try_from(t.as_second()).unwrap_or(0)), ..Trust::default() };
    if let Some(key) = &known.key {
        trust.log_key = Some(VerifierKey::parse(key).into_diagnostic()?);
    }
    for key in &known.witness {
        trust.witnesses.push(WitnessKey::parse(key).into_diagnostic()?);
    }
    for path in &known.remember {
        let mut text = String::new();
        let read = fs::File::open(path).and_then(|f| f.take(MAX_CHECKPOINT_BYTES + 1).read_to_string(&mut text));
        read.into_diagnostic().wrap_err_with(|| format!("{} cannot be read", path.display()))?;
        trust.remembered.push(text);
    }
    let fault = match bundle::check(&Folder(dir), &trust) {
        Ok(report) => {
            if json {
                let cosigned: Vec<_> = report.cosigned.iter().map(|(name, at)| serde_json::json!({ "witness": name, "at": at })).collect();
                let said = serde_json::json!({
                    "verified": true, "origin": report.origin, "key": report.log_key, "size": report.size, "checkpoints": report.checkpoints,
                    "opened": report.opened, "closed": report.closed, "cosigned": cosigned, "fault": null,
                });
                println!("{said}");
            } else {
                println!(
                    "{}: {} leaves, {} opened, {} closed, {} checkpoints",
                    report.origin, report.size, report.opened, report.closed, report.checkpoints
                );
                for (name, at) in &report.cosigned {
                    let at = i64::try_from(*at).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
                    println!("cosigned by {name} at {}", at.map_or_else(|| "no time of this calendar".into(), |t| t.to_string()));
                }
                if known.key.is_none() {
                    println!("the log's key is the folder's own, {}: compare it with the one that you have from elsewhere", report.log_key);
                }
                println!("Everything holds.");
            }
            return Ok(ExitCode::SUCCESS);
        }
        Err(Stopped::Wrong(fault)) => fault,
        Err(Stopped::Remembered(n, why)) => {
            let path = known.remember.get(n).map(|p| p.display().to_string()).unwrap_or_default();
            return Err(miette!("{path} is not a checkpoint of this log: {why}"));
        }
        Err(Stopped::Unreadable(e)) => return Err(e).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", dir.display())),
    };
    if json {
        println!("{}", serde_json::json!({ "verified": false, "fault": { "place": fault.place, "what": fault.what } }));
    } else {
        println!("WRONG: {fault}");
    }
    Ok(ExitCode::FAILURE)
}

/// Runs `audit export DIR`. The copy is made beside its place and has its name only when it is whole, on
/// disk, and found to hold.
///
/// # Errors
/// Refused to people who may not; when the place is taken, or cannot be written.
pub async fn export(config: &Config, args: &Export) -> Result<ExitCode> {
    let dir = &args.dir;
    if fs::symlink_metadata(dir).is_ok() {
        return Err(miette!("{} is there already; name a folder that does not exist yet", dir.display()));
    }
    let name = dir.file_name().ok_or_else(|| miette!("{} names no folder", dir.display()))?;
    let making = dir.with_file_name(format!(".{}.being-made", name.to_string_lossy()));
    let bureau = house::record(config, false).await?;
    let people = bureau.people().await.into_diagnostic()?;
    let person = people
        .iter()
        .find(|p| p.id.to_string() == args.by || p.name == args.by)
        .ok_or_else(|| miette!("nobody of that id or name is on the register"))?;
    if making.exists() {
        // Left by a run that was stopped half-way: it never had its manifest.
        fs::remove_dir_all(&making).into_diagnostic().wrap_err_with(|| format!("{} cannot be removed", making.display()))?;
    }
    fs::DirBuilder::new().mode(0o700).create(&making).into_diagnostic().wrap_err_with(|| format!("{} cannot be made", making.display()))?;
    let made = bureau.export_log(person.id, &args.to, &args.why, &mut |path, bytes| put(&making, path, bytes)).await;
    let manifest = match made.into_diagnostic().and_then(|m| finish(&making, dir).map(|()| m)) {
        Ok(manifest) => manifest,
        Err(error) => {
            // What was begun is worth nothing; a failure to remove it is not what went wrong.
            let _ = fs::remove_dir_all(&making);
            return Err(error);
        }
    };
    if args.json {
        let said = serde_json::json!({
            "size": manifest.size, "opened": manifest.opened, "closed": manifest.closed,
            "checkpoints": manifest.checkpoints, "key": manifest.log_key.to_string(),
        });
        println!("{said}");
    } else {
        println!(
            "{}: {} leaves, {} opened, {} closed, {} checkpoints",
            dir.display(),
            manifest.size,
            manifest.opened,
            manifest.closed,
            manifest.checkpoints
        );
        println!("Tell the recipient the log's key by another way than this folder:\n{}", manifest.log_key);
    }
    Ok(ExitCode::SUCCESS)
}

fn put(making: &Path, path: &str, bytes: &[u8]) -> io::Result<()> {
    let path = making.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Checks what was made, makes it durable and gives it its name.
fn finish(making: &Path, dir: &Path) -> Result<()> {
    match bundle::check(&Folder(making), &Trust::default()) {
        Ok(_) => {}
        Err(Stopped::Wrong(fault)) => return Err(miette!("the log does not hold; run `countersign audit verify`: {fault}")),
        Err(_) => return Err(miette!("{} cannot be read again", making.display())),
    }
    sync_folders(making).into_diagnostic()?;
    fs::rename(making, dir).into_diagnostic().wrap_err_with(|| format!("{} could not be given its name", dir.display()))?;
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|p| p.sync_all()).into_diagnostic()
}

fn sync_folders(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    fs::File::open(dir)?.sync_all()
}

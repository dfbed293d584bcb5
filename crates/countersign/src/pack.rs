//! `pack …`: model packs brought in, listed and checked.

use crate::config::Config;
use casework::record::GalleryId;
use clap::Subcommand;
use face::{Pack, PackReport, check_pack};
use gallery::{LocalGallery, ModelId, Settings};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::Serialize;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use strum::IntoEnumIterator;

/// How the name of a copy begins until it is whole.
const PARTIAL: &str = ".partial-";

/// `pack …`
#[derive(Subcommand)]
pub enum Verb {
    /// Check a model pack in full and copy it into the data directory.
    Add {
        /// The pack's folder: manifest.toml and the files that it names.
        folder: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// The packs in the data directory and the one in use: model, licence, digest, and the galleries made with it.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Check a pack where it is: digests, licence, and whether its nets answer here as they did where it was made.
    Check {
        /// The pack's folder.
        folder: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What is told of a pack.
#[derive(Serialize)]
struct Line {
    id: String,
    name: String,
    model: String,
    licence: String,
    source: String,
    notes: String,
    /// SHA-256 of the manifest.
    digest: String,
    folder: PathBuf,
    /// Whether `face.pack` names it.
    configured: bool,
    /// Galleries that hold its templates.
    galleries: Vec<GalleryId>,
    /// Nets whose recorded values were compared; absent where the pack was only opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    self_tested: Option<Vec<&'static str>>,
}

impl Line {
    fn of(config: &Config, pack: &Pack) -> Self {
        let info = pack.info();
        let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
        Self {
            id: info.pack.clone(),
            name: info.name.clone(),
            model: info.id.to_string(),
            licence: info.licence.clone(),
            source: info.source.clone(),
            notes: pack.notes().to_owned(),
            digest: pack.digest().to_owned(),
            folder: pack.folder().to_owned(),
            configured: same(pack.folder(), &config.face.pack),
            galleries: GalleryId::iter().filter(|id| made_with(config, *id, info.id.as_str())).collect(),
            self_tested: None,
        }
    }

    fn print(&self) {
        println!("{}  {}", self.id, self.name);
        println!("  model    {}", self.model);
        println!("  licence  {}", self.licence);
        println!("  source   {}", self.source);
        if !self.notes.is_empty() {
            println!("  notes    {}", self.notes);
        }
        println!("  digest   sha256:{}", self.digest);
        println!("  folder   {}", self.folder.display());
        let mut uses: Vec<String> = self.galleries.iter().map(|g| format!("the {g} gallery")).collect();
        if self.configured {
            uses.push("the configuration (face.pack)".into());
        }
        println!("  used by  {}", if uses.is_empty() { "nothing".into() } else { uses.join(", ") });
        if let Some(nets) = &self.self_tested {
            let nets = if nets.is_empty() { "the pack records no values to compare".into() } else { nets.join(", ") };
            println!("  tested   {nets}");
        }
    }
}

/// Whether a gallery has an index of this model.
fn made_with(config: &Config, gallery: GalleryId, model: &str) -> bool {
    ModelId::new(model).is_ok_and(|model| {
        let folder = config.gallery_dir(gallery, &model);
        folder.is_dir() && LocalGallery::open_for_search(folder, &model, Settings::default()).is_ok()
    })
}

/// Runs `pack …`.
///
/// # Errors
/// When a pack does not pass, or is there already.
pub fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Add { folder, json } => add(config, folder, *json)?,
        Verb::List { json } => list(config, *json)?,
        Verb::Check { folder, json } => {
            let pack = Pack::open(folder).into_diagnostic()?;
            let report = check_pack(&pack, &config.face.runtime).into_diagnostic()?;
            tell(config, &pack, report, *json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(config: &Config, pack: &Pack, report: PackReport, json: bool) -> Result<()> {
    let line = Line { self_tested: Some(report.self_tested), ..Line::of(config, pack) };
    if json {
        println!("{}", serde_json::to_string(&line).into_diagnostic()?);
    } else {
        line.print();
    }
    Ok(())
}

fn packs_dir(config: &Config) -> PathBuf {
    config.data_dir.join("packs")
}

/// The packs that were added, by name; what is not whole is passed over.
fn added(config: &Config) -> Result<Vec<PathBuf>> {
    let folder = packs_dir(config);
    if !folder.exists() {
        return Ok(vec![]);
    }
    let entries = fs::read_dir(&folder).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<_>>().into_diagnostic()?;
    found.retain(|p| p.is_dir() && p.file_name().is_some_and(|n| !n.to_string_lossy().starts_with('.')));
    found.sort();
    Ok(found)
}

fn list(config: &Config, json: bool) -> Result<()> {
    let mut folders = added(config)?;
    if config.face.pack.exists() && !folders.iter().any(|f| f.canonicalize().ok() == config.face.pack.canonicalize().ok()) {
        folders.insert(0, config.face.pack.clone());
    }
    let mut lines = vec![];
    for folder in folders {
        // One that does not open is told on the side: the others are still worth listing.
        match Pack::open(&folder) {
            Ok(pack) => lines.push(Line::of(config, &pack)),
            Err(e) => eprintln!("{}: {e}", folder.display()),
        }
    }
    if json {
        println!("{}", serde_json::to_string(&lines).into_diagnostic()?);
    } else if lines.is_empty() {
        println!("No packs. Run `make setup`, or `countersign pack add DIR`.");
    } else {
        lines.iter().for_each(Line::print);
    }
    Ok(())
}

fn add(config: &Config, folder: &Path, json: bool) -> Result<()> {
    let pack = Pack::open(folder).into_diagnostic()?;
    let report = check_pack(&pack, &config.face.runtime).into_diagnostic()?;
    let to = packs_dir(config).join(&pack.info().pack);
    for there in added(config)? {
        let Ok(other) = Pack::open(&there) else { continue };
        if other.digest() == pack.digest() {
            return Err(miette!("this pack is there already, in {}", there.display()));
        }
        if other.info().id == pack.info().id {
            return Err(miette!(help = "use that one", "its model, {}, is there already, in {}", other.info().id, there.display()));
        }
    }
    if to.exists() {
        return Err(miette!(
            help = "give the new pack another `id` in its manifest; the old one may have made a gallery's templates",
            "another pack named {} is there already, in {}",
            pack.info().pack,
            to.display()
        ));
    }
    copy(&pack, &to).into_diagnostic().wrap_err_with(|| format!("{} cannot be written", to.display()))?;
    let copied = Pack::open(&to).into_diagnostic()?;
    tell(config, &copied, report, json)?;
    eprintln!(
        "To use it, set `pack = {:?}` under [face] in the configuration. A gallery is enrolled again for another model.",
        to.display().to_string()
    );
    Ok(())
}

/// Writes what was read and checked, not what may lie in the folder by now; whole or not at all.
fn copy(pack: &Pack, to: &Path) -> std::io::Result<()> {
    let Some(packs) = to.parent() else { return Err(std::io::Error::other("a pack needs a folder to lie in")) };
    fs::create_dir_all(packs)?;
    let partial = packs.join(format!("{PARTIAL}{}", std::process::id()));
    let written = (|| {
        fs::create_dir(&partial)?;
        for (name, data) in pack.files() {
            let mut file = File::create_new(partial.join(name))?;
            file.write_all(data)?;
            file.sync_all()?;
        }
        File::open(&partial)?.sync_all()?;
        // A folder that is not empty is never replaced: of two at once one fails here.
        fs::rename(&partial, to)?;
        File::open(packs)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_dir_all(&partial); // what is left of it is passed over anyway
    }
    written
}

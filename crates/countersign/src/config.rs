//! The configuration file, its defaults, and `config check`.

use clap::Subcommand;
use ipnet::IpNet;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Everything that can be configured. Unknown keys are refused, so that a typing error is noticed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Serving.
    pub serve: Serve,
    /// The face engine.
    pub face: Face,
    /// Who outside cosigns the log.
    pub witness: Witness,
}

/// How pages are served.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The `Host` headers that are answered.
    pub hosts: Vec<String>,
    /// Whether browsers reach it over HTTPS.
    pub secure: bool,
    /// The networks of the proxies in front, whose `X-Forwarded-For` is believed: `["10.1.2.0/24"]`.
    /// None of them by default.
    pub trusted_proxies: Vec<IpNet>,
}

/// Which model, and what runs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Face {
    /// The model pack's folder.
    pub pack: PathBuf,
    /// The ONNX Runtime shared library.
    pub runtime: PathBuf,
}

/// The witnesses of this house's log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Witness {
    /// How many of them must have cosigned the record of an answer before it is released; 0: none.
    pub require: usize,
    /// Which there are.
    pub list: Vec<WitnessAt>,
}

/// One witness.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessAt {
    /// Where it is asked: `http://HOST[:PORT][/PREFIX]`.
    pub url: String,
    /// Its key, as `countersign witness init` printed it.
    pub key: String,
}

impl Witness {
    /// The witnesses with their keys read.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub fn read(&self) -> Result<bureau::witnesses::Witnesses, Vec<String>> {
        let (mut list, mut faults) = (vec![], vec![]);
        for w in &self.list {
            match ledger::WitnessKey::parse(&w.key) {
                Ok(key) => list.push(bureau::witnesses::WitnessAt { url: w.url.clone(), key }),
                Err(e) => faults.push(format!("witness.list: {}: {e}.", w.url)),
            }
        }
        let out = bureau::witnesses::Witnesses { require: self.require, list };
        if faults.is_empty() {
            faults = out.faults();
        }
        if faults.is_empty() { Ok(out) } else { Err(faults) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { data_dir: "data".into(), serve: Serve::default(), face: Face::default(), witness: Witness::default() }
    }
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: vec!["127.0.0.1:8080".into(), "localhost:8080".into()],
            secure: true,
            trusted_proxies: vec![],
        }
    }
}

impl Default for Face {
    fn default() -> Self {
        let built = |tail: &str| built(tail).unwrap_or_else(|| PathBuf::from("build").join(tail));
        Self { pack: built("packs/bundled"), runtime: built("onnxruntime/libonnxruntime.so") }
    }
}

/// What `make setup` brought, looked for from the working directory and the binary upwards.
fn built(tail: &str) -> Option<PathBuf> {
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    starts.into_iter().flatten().find_map(|s| s.ancestors().map(|a| a.join("build").join(tail)).find(|p| p.exists()))
}

impl Config {
    /// Reads a file, or the defaults where none is named.
    ///
    /// # Errors
    /// When the file cannot be read or has a key or value that does not belong there.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", path.display()))?;
        toml::from_str(&text).into_diagnostic().wrap_err_with(|| format!("{} is not a valid configuration", path.display()))
    }

    /// Where events, keys and blobs are.
    pub fn store_dir(&self) -> PathBuf {
        self.data_dir.join("store")
    }

    /// Where a gallery's templates of one model are. A gallery may have several such indexes; the one of
    /// the configured pack's model is searched.
    pub fn gallery_dir(&self, gallery: casework::record::GalleryId, model: &gallery::ModelId) -> PathBuf {
        self.index_dir(gallery, "model", model)
    }

    /// Where such an index grows until it is whole.
    pub fn growing_gallery_dir(&self, gallery: casework::record::GalleryId, model: &gallery::ModelId) -> PathBuf {
        self.index_dir(gallery, "growing", model)
    }

    fn index_dir(&self, gallery: casework::record::GalleryId, what: &str, model: &gallery::ModelId) -> PathBuf {
        // A pack names its model; the name must not lead elsewhere.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_@.".contains(c) { c } else { '_' };
        let model: String = model.as_str().chars().map(plain).collect();
        self.data_dir.join("galleries").join(gallery.to_string()).join(format!("{what} {model}"))
    }

    /// Everything wrong with it, at once.
    pub fn faults(&self) -> Vec<String> {
        let mut out = vec![];
        if self.serve.hosts.is_empty() {
            out.push("serve.hosts is empty: nobody could be answered. Name the hosts that browsers use, with port.".into());
        }
        if !self.serve.listen.ip().is_loopback() && !self.serve.secure {
            out.push("serve.listen is not this machine only and serve.secure is false: put HTTPS in front and set it to true.".into());
        }
        if let Some(all) = self.serve.trusted_proxies.iter().find(|n| n.prefix_len() == 0) {
            out.push(format!(
                "serve.trusted_proxies: {all} is everybody, so that anybody could choose the address they are limited by. Name the proxies."
            ));
        }
        if let Err(faults) = self.witness.read() {
            out.extend(faults);
        }
        if !self.face.pack.join("manifest.toml").is_file() {
            out.push(format!(
                "face.pack: {} holds no model pack (manifest.toml). Run `make setup`, or name the folder.",
                self.face.pack.display()
            ));
        } else if let Err(e) = face::Pack::open(&self.face.pack) {
            out.push(format!("face.pack: {e}"));
        }
        if !self.face.runtime.is_file() {
            out.push(format!("face.runtime: {} is not there. Run `make setup`, or name libonnxruntime.so.", self.face.runtime.display()));
        }
        out
    }
}

/// `config …`
#[derive(Subcommand)]
pub enum Verb {
    /// Check the configuration and say everything that is wrong at once.
    Check {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show the configuration in force, defaults included.
    Show,
}

/// Runs `config …`.
///
/// # Errors
/// When something is wrong with the configuration.
pub fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Show => print!("{}", toml::to_string_pretty(config).into_diagnostic()?),
        Verb::Check { json } => {
            let faults = config.faults();
            if *json {
                println!("{}", serde_json::json!({ "ok": faults.is_empty(), "faults": faults }));
                return Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            if !faults.is_empty() {
                return Err(miette!(help = "mend these and run it again", "{}", faults.join("\n")));
            }
            println!("The configuration is sound.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! The configuration file, its defaults, and `config check`.

use casework::record::GalleryId;
use clap::Subcommand;
use ipnet::IpNet;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Everything that can be configured. Unknown keys are refused, so that a typing error is noticed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where records and keys are kept, if not in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// Where sealed images are kept, if not in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobs: Option<Blobs>,
    /// Serving.
    pub serve: Serve,
    /// The face engine.
    pub face: Face,
    /// Galleries that a system elsewhere searches, over HTTP, instead of an index here: `[abis.passport]`.
    pub abis: BTreeMap<GalleryId, Elsewhere>,
    /// Who outside cosigns the log.
    pub witness: Witness,
}

/// Two PostgreSQL databases. Passwords stand in a password file (`PGPASSFILE`), not here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The records: `postgres://user@host/records?sslmode=verify-full&sslrootcert=/etc/…/ca.pem`.
    pub url: String,
    /// The data keys, in a database of their own that is backed up apart.
    pub keys_url: String,
}

/// A folder that nodes share, or a bucket of a server that speaks S3: one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blobs {
    /// The folder.
    pub folder: Option<PathBuf>,
    /// The bucket.
    pub bucket: Option<String>,
    /// Its server, `https://host`; none: Amazon's own.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Put before every object's name.
    pub prefix: Option<String>,
    /// A file (0600) with `aws_access_key_id = …` and `aws_secret_access_key = …`; none: from the environment.
    pub credentials: Option<PathBuf>,
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

/// A gallery of a biometric system elsewhere, by OSIA's Biometrics interface (v7).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// Where the interface begins, without `/v1`: `https://…`; `http` for this machine alone.
    pub url: String,
    /// The gallery's id there.
    pub gallery: String,
    /// The engine's maker, as its templates say it. With the algorithm it is the model that certificates are for (P1).
    pub vendor: String,
    /// The engine's algorithm, as its templates say it.
    pub algorithm: String,
    /// The engine's least score.
    pub score_min: f64,
    /// The engine's highest score.
    pub score_max: f64,
    /// How long a search may take there, in seconds: 1 to 90.
    #[serde(default = "answer_within_seconds")]
    pub answer_within_seconds: u64,
    /// A file with the bearer token that is sent.
    pub token_file: Option<PathBuf>,
    /// A file of PEM certificates: the authorities that prove the system. Needed for `https`.
    pub authorities: Option<PathBuf>,
}

fn answer_within_seconds() -> u64 {
    60
}

impl Elsewhere {
    /// The client.
    ///
    /// # Errors
    /// When a file cannot be read or the settings cannot be used.
    pub fn open(&self) -> Result<abis::Abis> {
        let read = |file: &PathBuf| std::fs::read(file).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", file.display()));
        let token = self.token_file.as_ref().map(read).transpose()?.map(|t| String::from_utf8_lossy(&t).trim().to_owned());
        abis::Abis::new(abis::Settings {
            url: self.url.clone(),
            gallery: self.gallery.clone(),
            vendor: self.vendor.clone(),
            algorithm: self.algorithm.clone(),
            score_min: self.score_min,
            score_max: self.score_max,
            answer_within: Duration::from_secs(self.answer_within_seconds),
            token,
            authorities: self.authorities.as_ref().map(read).transpose()?.unwrap_or_default(),
        })
        .into_diagnostic()
    }
}

/// The witnesses of this house's log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Witness {
    /// How many of them must have cosigned the record of what leaves before it does; 0: none.
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
        Self {
            data_dir: "data".into(),
            database: None,
            blobs: None,
            serve: Serve::default(),
            face: Face::default(),
            abis: BTreeMap::new(),
            witness: Witness::default(),
        }
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

    /// Where the store is: its folder, its databases and its images.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub fn place(&self) -> Result<store::Place, Vec<String>> {
        let mut faults = vec![];
        let database = match &self.database {
            None => store::Database::Folder,
            Some(named) => match store::Servers::new(&named.url, &named.keys_url) {
                Ok(servers) => store::Database::Postgres(servers),
                Err(wrong) => {
                    faults.extend(wrong);
                    store::Database::Folder
                }
            },
        };
        let blobs = match &self.blobs {
            None => store::Blobs::Folder,
            Some(Blobs { folder: Some(folder), bucket: None, endpoint: None, region: None, prefix: None, credentials: None }) => {
                store::Blobs::Elsewhere(folder.clone())
            }
            Some(Blobs { folder: None, bucket: Some(name), endpoint, region, prefix, credentials }) => {
                let bucket = store::Bucket {
                    name: name.clone(),
                    endpoint: endpoint.clone(),
                    region: region.clone().unwrap_or_else(|| "us-east-1".into()),
                    prefix: prefix.clone(),
                    credentials: credentials.clone(),
                };
                faults.extend(bucket.faults());
                store::Blobs::Bucket(bucket)
            }
            Some(_) => {
                faults.push(
                    "blobs: name a folder, or a bucket with its endpoint, region, prefix and credentials; not both, not neither".into(),
                );
                store::Blobs::Folder
            }
        };
        if faults.is_empty() { Ok(store::Place { dir: self.store_dir(), database, blobs }) } else { Err(faults) }
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
        let mut out = self.place().err().unwrap_or_default();
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
        for (gallery, elsewhere) in &self.abis {
            if let Err(e) = elsewhere.open() {
                out.push(format!("abis.{gallery}: {e}"));
            }
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
pub async fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Show => print!("{}", toml::to_string_pretty(config).into_diagnostic()?),
        Verb::Check { json } => {
            let mut faults = config.faults();
            // Not configured, but as much a property of where it runs: how this kernel holds a process that decodes.
            let held = crate::house::decoder()?.confinement().await;
            if let Err(e) = &held {
                faults.push(e.to_string());
            }
            if *json {
                let held = held.ok();
                println!("{}", serde_json::json!({ "ok": faults.is_empty(), "faults": faults, "decoder": held }));
                return Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            if !faults.is_empty() {
                return Err(miette!(help = "mend these and run it again", "{}", faults.join("\n")));
            }
            println!("The configuration is sound.");
            match held.map(|h| h.gaps()).unwrap_or_default().as_slice() {
                [] => println!("Images are decoded behind resource limits, Landlock and seccomp, all in full."),
                gaps => {
                    println!("Images are decoded with less between them and this machine than newer kernels give: {}.", gaps.join("; "))
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `witness …`: a small process of its own, kept by somebody else, that cosigns checkpoints.

use clap::Subcommand;
use ledger::VerifierKey;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};
use tokio::net::TcpListener;
use witness::Witness;

/// `witness …`
#[derive(Subcommand)]
pub enum Verb {
    /// Make a witness's folder with a fresh key, and print the key to hand out.
    Init {
        /// The folder; it must not exist yet.
        dir: PathBuf,
        /// Its name, for ever: like a URL without scheme, e.g. witness.example.org/w1.
        #[arg(long)]
        name: String,
    },
    /// Watch a log, by its key. Its witness process must be stopped meanwhile.
    Watch {
        /// The folder.
        dir: PathBuf,
        /// The log's key, from whoever keeps the log.
        key: String,
    },
    /// Answer requests to cosign (C2SP tlog-witness) until asked to stop.
    Serve {
        /// The folder.
        dir: PathBuf,
        /// Address and port to listen on.
        #[arg(long, default_value = "127.0.0.1:8474")]
        listen: SocketAddr,
    },
    /// Print the key, and the last checkpoint cosigned for each log. Its process must be stopped meanwhile.
    Show {
        /// The folder.
        dir: PathBuf,
        /// Print nothing but the checkpoint of the log with this origin: a file for `audit verify --remember`.
        #[arg(long, value_name = "ORIGIN")]
        checkpoint: Option<String>,
    },
}

/// Runs `witness …`.
///
/// # Errors
/// When the folder cannot be used or the port is taken.
pub async fn run(verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Init { dir, name } => println!("{}", Witness::create(dir, name).into_diagnostic()?),
        Verb::Watch { dir, key } => {
            let key = VerifierKey::parse(key).into_diagnostic()?;
            Witness::open(dir).into_diagnostic()?.watch(key).into_diagnostic()?;
        }
        Verb::Show { dir, checkpoint: Some(wanted) } => {
            let all = Witness::open(dir).into_diagnostic()?.last().into_diagnostic()?;
            let found = all.into_iter().find(|(origin, _)| origin == wanted).and_then(|(_, note)| note);
            print!("{}", found.ok_or_else(|| miette!("nothing was cosigned for a log of that origin"))?);
        }
        Verb::Show { dir, checkpoint: None } => {
            let witness = Witness::open(dir).into_diagnostic()?;
            println!("{}", witness.key());
            for (origin, note) in witness.last().into_diagnostic()? {
                println!("\n{origin}");
                print!("{}", note.unwrap_or_else(|| "nothing cosigned yet\n".into()));
            }
        }
        Verb::Serve { dir, listen } => {
            crate::serve::log_to_stderr("info");
            let witness = Arc::new(Witness::open(dir).into_diagnostic()?);
            let listener = TcpListener::bind(listen).await.into_diagnostic().wrap_err_with(|| format!("{listen} cannot be listened on"))?;
            let at = listener.local_addr().into_diagnostic()?;
            println!("{} on http://{at}", witness.key());
            let stop = async {
                if let Err(error) = web::asked_to_stop().await {
                    tracing::error!(%error, "cannot listen for signals");
                }
            };
            witness::serve(listener, witness, stop).await.into_diagnostic()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

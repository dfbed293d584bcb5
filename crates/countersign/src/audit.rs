//! `audit …`

use crate::{config::Config, house};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result};
use std::process::ExitCode;

/// `audit …`
#[derive(Subcommand)]
pub enum Verb {
    /// Check the tree, every leaf and the signed checkpoints.
    Verify {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Fold every request again from its events and compare with what the queues say.
    Replay {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `audit …`; fails when something does not hold.
///
/// # Errors
/// When the data cannot be opened.
pub async fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    let bureau = house::record(config, false).await?;
    let ok = match verb {
        Verb::Verify { json } => {
            let v = bureau.verify().await.into_diagnostic()?;
            if *json {
                println!("{}", serde_json::to_string(&v).into_diagnostic()?);
            } else {
                println!("{} events, {} leaves under the checkpoint, {} payloads opened, {} erased", v.events, v.size, v.opened, v.erased);
                println!("key {}", v.key);
                if let Some(note) = &v.checkpoint {
                    print!("{note}");
                }
                println!("{}", v.fault.as_ref().map_or_else(|| "Everything holds.".to_owned(), |f| format!("WRONG: {f}")));
            }
            v.verified
        }
        Verb::Replay { json } => {
            let r = bureau.replay().await.into_diagnostic()?;
            if *json {
                println!("{}", serde_json::to_string(&r).into_diagnostic()?);
            } else {
                println!("{} requests folded from {} events; {} differ", r.requests, r.events, r.differing.len());
                for reference in &r.differing {
                    println!("  {reference}");
                }
            }
            r.differing.is_empty()
        }
    };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

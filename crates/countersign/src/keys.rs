//! `keys …`

use crate::{config::Config, house};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result};
use std::{path::PathBuf, process::ExitCode};
use store::Store;

/// `keys …`
#[derive(Subcommand)]
pub enum Verb {
    /// Put a new master key in the place of the one in use, and wrap every data key by it. Nothing else may have the
    /// data open. Stopped half-way, run it again. Put the new key in escrow afterwards.
    Rotate {
        /// Keep the new key in a PKCS#11 token: a private file (0600) with one JSON object of `module`, `token`, `key` and
        /// `pin_file`. The key is made in the token if it is not there, and cannot be taken out.
        #[arg(long, value_name = "FILE")]
        pkcs11: Option<PathBuf>,
    },
}

/// Runs `keys …`.
///
/// # Errors
/// When the data is in use or cannot be opened.
pub async fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Rotate { pkcs11 } => {
            let place = house::place(config)?;
            let done = Store::rotate_master(&place, pkcs11.as_deref()).await.into_diagnostic()?;
            println!("{done} keys are wrapped by a new master key.");
            let where_to = place.dir.join("secrets");
            println!("Put {} in escrow now, make a new copy of the keys, and destroy the former of both.", where_to.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

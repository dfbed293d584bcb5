//! `register …`

use crate::{config::Config, house};
use casework::people::RegisterEvent;
use clap::Subcommand;
use miette::{IntoDiagnostic, Result, WrapErr};
use std::{path::PathBuf, process::ExitCode};

/// `register …`
#[derive(Subcommand)]
pub enum Verb {
    /// Enter the first people into an empty register, a registrar among them. Later changes are theirs.
    Found {
        /// A JSON list of entries, as `register example` prints one.
        file: PathBuf,
    },
    /// Print a list of entries to begin from: the demo's, all invented.
    Example,
}

/// Runs `register …`.
///
/// # Errors
/// When the file is not such a list, or the register is not empty.
pub async fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Example => {
            let today = casework::calendar::london_date(jiff::Timestamp::now());
            println!("{}", serde_json::to_string_pretty(&crate::demo::people::register(today)).into_diagnostic()?);
        }
        Verb::Found { file } => {
            let text = std::fs::read_to_string(file).into_diagnostic().wrap_err_with(|| format!("{} cannot be read", file.display()))?;
            let entries: Vec<RegisterEvent> =
                serde_json::from_str(&text).into_diagnostic().wrap_err_with(|| format!("{} is not a list of entries", file.display()))?;
            let bureau = house::record(config, true).await?;
            let count = entries.len();
            bureau.found_register(entries).await.into_diagnostic()?;
            println!("{count} entries made; a registrar makes the next.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

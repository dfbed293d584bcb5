//! `store …` and `migrate`.

use crate::{config::Config, house};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{path::PathBuf, process::ExitCode};
use store::{Servers, Store};

/// `store …`
#[derive(Subcommand)]
pub enum Verb {
    /// Move the records and keys of this data directory to two empty PostgreSQL databases. Stop every process that
    /// uses it first. Secrets, images and galleries stay where they are.
    Copy {
        /// The store's folder; by default the configured one.
        #[arg(long)]
        from: Option<PathBuf>,
        /// The records' new database, `postgres://…`.
        #[arg(long)]
        to: String,
        /// The keys' new database, another one.
        #[arg(long)]
        keys_to: String,
        /// Leave the source usable, as a rehearsal: the two must not both be worked on.
        #[arg(long)]
        keep: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs `store …`.
///
/// # Errors
/// With what stands in the way; then nothing was moved.
pub async fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    let Verb::Copy { from, to, keys_to, keep, json } = verb;
    let from = from.clone().unwrap_or_else(|| config.store_dir());
    let servers = Servers::new(to, keys_to)
        .map_err(|faults| miette!("{}", faults.join("\n").replace("database.keys_url", "--keys-to").replace("database.url", "--to")))?;
    let copied = Store::copy_to_servers(&from, &servers, *keep)
        .await
        .into_diagnostic()
        .wrap_err_with(|| format!("the store in {} was not moved", from.display()))?;
    let rows: u64 = copied.tables.iter().map(|t| t.rows).sum();
    if *json {
        let tables: Vec<_> =
            copied.tables.iter().map(|t| serde_json::json!({ "table": t.name, "rows": t.rows, "sha256": t.digest })).collect();
        println!("{}", serde_json::json!({ "rows": rows, "already": copied.before, "tables": tables }));
        return Ok(ExitCode::SUCCESS);
    }
    for table in &copied.tables {
        println!("{} {:>10} {}", table.digest, table.rows, table.name);
    }
    println!("{rows} rows, the same on both sides{}.", if copied.before { ", copied before" } else { "" });
    println!("Now name both databases under [database] in the configuration, and run `countersign audit verify`.");
    Ok(ExitCode::SUCCESS)
}

/// Brings the tables up to date.
///
/// # Errors
/// With what stands in the way.
pub async fn migrate(config: &Config) -> Result<ExitCode> {
    Store::migrate(&house::place(config)?).await.into_diagnostic().wrap_err("the tables were not brought up to date")?;
    println!("The tables are up to date.");
    Ok(ExitCode::SUCCESS)
}

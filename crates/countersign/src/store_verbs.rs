//! `store …` and `migrate`.

use crate::{config::Config, house};
use bureau::{Bureau, Clock as _, SystemClock};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{path::PathBuf, process::ExitCode, sync::Arc};
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
    /// After a dump of the records was brought back to PostgreSQL, before any node starts: agree it with the keys that
    /// are there. What was erased since the dump stays erased.
    Restored {
        /// The dump is older than the last signed checkpoint, and the latest records are lost: go on with a shorter log.
        /// It is recorded, and whoever holds the later checkpoint will see it.
        #[arg(long)]
        accept_shorter_log: bool,
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
    let (from, to, keys_to, keep, json) = match verb {
        Verb::Copy { from, to, keys_to, keep, json } => (from, to, keys_to, keep, json),
        Verb::Restored { accept_shorter_log, json } => return restored(config, *accept_shorter_log, *json).await,
    };
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
    if !*keep {
        println!(
            "Then delete records.db and keys.db in {}, and copies of the keys: what is erased from now on could be read with them.",
            from.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens records that were brought back, and says what that took.
async fn restored(config: &Config, accept_shorter_log: bool, json: bool) -> Result<ExitCode> {
    let clock = SystemClock;
    let (store, restored) = Store::accept_restored(&house::place(config)?, clock.now(), accept_shorter_log).await.into_diagnostic()?;
    let bureau = Bureau::of_record(store, Arc::new(clock));
    bureau.note_restored(&restored).await.into_diagnostic()?;
    let verified = bureau.verify().await.into_diagnostic()?;
    if json {
        println!(
            "{}",
            serde_json::json!({ "log_size": restored.copy.log_size, "lost_up_to": restored.lost_up_to,
                "stays_erased": restored.stays_erased, "verified": verified.verified, "fault": verified.fault })
        );
    } else {
        println!("The log that is back has {} leaves, the last signed at {}.", restored.copy.log_size, restored.copy.at);
        if let Some(lost) = restored.lost_up_to {
            println!("It had been signed up to {lost} leaves. What was recorded after the dump is lost, and this is recorded.");
        }
        println!("{} keys were destroyed since the dump; what they sealed stays erased.", restored.stays_erased);
        println!("{}", verified.fault.as_ref().map_or_else(|| "Everything holds.".to_owned(), |f| format!("WRONG: {f}")));
    }
    Ok(if verified.verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

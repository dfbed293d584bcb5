//! `retain`: what is due to go, and why.

use crate::{config::Config, house};
use casework::calendar::date_in_words;
use miette::{IntoDiagnostic, Result};
use serde_json::json;
use std::process::ExitCode;

/// `retain`
#[derive(clap::Args)]
pub struct Args {
    /// Erase what is due now. Without this, nothing is changed.
    #[arg(long)]
    run: bool,
    /// Write the database of records anew as well, so that no unused part of a page keeps even sealed bytes. It takes
    /// as much free space again, and nobody else writes meanwhile.
    #[arg(long, requires = "run")]
    compact: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Says what is due and what is kept; with `--run`, erases it.
///
/// # Errors
/// When the data cannot be opened or the store fails.
pub async fn run(config: &Config, args: &Args) -> Result<ExitCode> {
    let bureau = house::record(config, false).await?;
    let before = bureau.outstanding().await.into_diagnostic()?;
    let ran = if args.run {
        let counts = bureau.erase_due().await.into_diagnostic()?;
        // What belongs to nothing, drafts, sessions and notes whose time is over; and no trace in the files.
        bureau.tidy().await.into_diagnostic()?;
        if args.compact {
            bureau.store().compact().await.into_diagnostic()?;
        }
        Some(counts)
    } else {
        None
    };
    if args.json {
        println!("{}", json!({ "due": before.due, "held": before.held, "erased": ran.map(|r| r.0), "failed": ran.map(|r| r.1) }));
    } else {
        println!("{} due", before.due.len());
        for d in &before.due {
            let rule = d.rule.map(|r| format!(", rule of {}", date_in_words(r))).unwrap_or_default();
            println!("  {} {}: since {} ({}{rule}). {}", d.reference, d.class, date_in_words(d.since), d.clause, d.why);
        }
        println!("{} kept by a legal hold", before.held.len());
        for (reference, review, overdue) in &before.held {
            println!("  {reference}: review on {}{}", date_in_words(*review), if *overdue { ", which has passed" } else { "" });
        }
        match ran {
            Some((done, failed)) => println!("{done} erased, {failed} failed"),
            None if !before.due.is_empty() => println!("`countersign retain --run` erases what is due; a worker does so every day."),
            None => {}
        }
    }
    Ok(if ran.is_none_or(|(_, failed)| failed == 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

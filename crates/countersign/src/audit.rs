//! `audit …`

use crate::{bundle, config::Config, house};
use clap::Subcommand;
use ledger::{EntryProof, MAX_PROOF_BYTES, VerifierKey};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// `audit …`
#[derive(Subcommand)]
pub enum Verb {
    /// Check the tree, every leaf and the signed checkpoints; with a folder, a copy that was exported.
    Verify {
        /// A copy that `audit export` made, to be checked as an outsider does, without the data.
        dir: Option<PathBuf>,
        #[command(flatten)]
        known: bundle::Known,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a copy of the log for somebody outside to check. That it left is recorded.
    Export(bundle::Export),
    /// How each witness stands to this log.
    Witnesses {
        /// Bring the log up to date, and ask each now to cosign it.
        #[arg(long)]
        ask: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Fold every request and the whole log again, and compare with the queues, the figures and who did what.
    Replay {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Check the proof that an entry is in the log. Needs the file and the log's public key, and no data.
    Check {
        /// The proof, as downloaded (a C2SP tlog-proof).
        file: PathBuf,
        /// The log's public key, as `audit verify` and the page on verification show it.
        #[arg(long)]
        key: String,
    },
}

/// Runs `audit …`; fails when something does not hold.
///
/// # Errors
/// When the data cannot be opened.
pub async fn run(config: impl FnOnce() -> Result<Config>, verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Check { file, key } => return check(file, key),
        Verb::Verify { dir: Some(dir), known, json } => return bundle::verify(dir, known, *json),
        _ => {}
    }
    let config = &config()?;
    if let Verb::Export(args) = verb {
        return bundle::export(config, args).await;
    }
    let bureau = house::record(config, false).await?;
    let ok = match verb {
        Verb::Verify { json, .. } => {
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
        Verb::Witnesses { ask, json } => {
            if *ask {
                bureau.store().sequence(bureau.now()).await.into_diagnostic()?;
                bureau.ask_all_witnesses().await.into_diagnostic()?;
            }
            let all = bureau.witness_standings().await.into_diagnostic()?;
            if *json {
                println!("{}", serde_json::to_string(&all).into_diagnostic()?);
            } else {
                for w in &all.witnesses {
                    let cosigned =
                        w.cosigned.map_or_else(|| "nothing cosigned".to_owned(), |(size, at)| format!("cosigned {size} leaves at {at}"));
                    println!("{} ({}): {cosigned}{}", w.name, w.url, w.problem.map(|p| format!("; {p}")).unwrap_or_default());
                }
                println!(
                    "{} leaves now; {} of {} must have cosigned; answers that wait: {}",
                    all.size,
                    all.required,
                    all.witnesses.len(),
                    all.waiting
                );
            }
            all.witnesses.iter().all(|w| w.problem.is_none())
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
                println!("Who did what: {} entries differ", r.entries_differing.len());
                for index in &r.entries_differing {
                    println!("  {index}");
                }
                println!("Figures: {}", if r.figures_differ { "DIFFER from the headers" } else { "as the headers have them" });
            }
            r.differing.is_empty() && r.entries_differing.is_empty() && !r.figures_differ
        }
        Verb::Check { .. } | Verb::Export(_) => false, // done above
    };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks a proof; an outsider can, with this program or another that knows the format.
fn check(file: &Path, key: &str) -> Result<ExitCode> {
    let key = VerifierKey::parse(key.trim()).into_diagnostic()?;
    let mut text = String::new();
    std::fs::File::open(file)
        .and_then(|f| f.take(MAX_PROOF_BYTES as u64 + 1).read_to_string(&mut text))
        .into_diagnostic()
        .wrap_err_with(|| format!("{} cannot be read as a proof", file.display()))?;
    match EntryProof::parse(&text).and_then(|p| Ok((p.check(&key)?, p))) {
        Ok((checkpoint, proof)) => {
            println!("Entry {} is in the log {} under its checkpoint of {} leaves.", proof.index, checkpoint.origin, checkpoint.size);
            // The header follows the stream's name (17 bytes) and the position in it (8).
            let header = proof.header.get(25..).map(String::from_utf8_lossy).unwrap_or_default();
            println!("leaf   {}\nheader {header}", hex::encode(proof.leaf().0));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            println!("WRONG: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

//! `certificate …`: issuing, checking and listing what searches rest on (P1).

use crate::{
    config::Config,
    demo,
    house::{self, Galleries},
};
use bureau::{Bureau, SystemClock, affected::AffectedCount, certificate::Wanted};
use casework::{
    certificate::{Certificate, Setting, percent},
    ids::Digest,
    record::GalleryId,
};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// `certificate …`
#[derive(Subcommand)]
pub enum Verb {
    /// Sign and enter a certificate. A gallery's first for a model sets its threshold; later ones measure that
    /// threshold again. It counts from the day of the evaluation. Another threshold takes two people, on the pages or by the API.
    Issue(Issue),
    /// Check whether this installation signed a certificate, and whether a search here is within it today.
    Check {
        /// The signed note.
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// End a gallery's certificate before its time: nothing is searched within it, or an older one of its model, from then
    /// on. One person does it, the gallery's owner or a team leader. To search again takes a new evaluation and two people.
    Revoke(Revoke),
    /// List which searches rest on a certificate and on those that stopped counting with it, and where their cases are now;
    /// of one that counts, what its revocation would touch. For the gallery's owner, its team leaders and the auditor. The
    /// look is recorded.
    Affected(Affected),
    /// List the certificates in force, and why a gallery is not searched where none is; and those that were revoked.
    List {
        /// Print the signed notes.
        #[arg(long)]
        notes: bool,
    },
}

/// `certificate issue`
#[derive(clap::Args)]
pub struct Issue {
    /// What `evaluate --json` wrote. You are trusted with it: its rates are counted again, but nothing shows whose images
    /// were searched for.
    evaluation: PathBuf,
    /// The gallery: `passport` or `immigration`.
    #[arg(long)]
    gallery: GalleryId,
    /// The score from which a search lists a reference.
    #[arg(long, allow_negative_numbers = true)]
    threshold: f64,
    /// References that the gallery may hold.
    #[arg(long)]
    size_up_to: u64,
    /// The gallery may hold more than twice as many references as were measured: state the false positive rate
    /// up to which its full size may go as an estimate, 1 − (1 − FPIR)^(most / measured), from the upper end of the
    /// FPIR's 95 % interval.
    #[arg(long)]
    estimate: bool,
}

/// `certificate revoke`
#[derive(clap::Args)]
pub struct Revoke {
    /// The gallery: `passport` or `immigration`.
    #[arg(long)]
    gallery: GalleryId,
    /// Why. It stays on the record, and everybody reads it. Name nobody.
    #[arg(long)]
    reason: String,
    /// A file with the API token of whoever revokes it. `countersign token` issues one.
    #[arg(long, env = "COUNTERSIGN_TOKEN_FILE")]
    token_file: PathBuf,
}

/// `certificate affected`
#[derive(clap::Args)]
pub struct Affected {
    /// The certificate: SHA-256 of its note, as `certificate list` prints it.
    id: Digest,
    /// A file with the API token of whoever reads it. `countersign token` issues one.
    #[arg(long, env = "COUNTERSIGN_TOKEN_FILE")]
    token_file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs `certificate …`.
///
/// # Errors
/// When a certificate is refused, every reason at once, or the set-up is missing.
pub async fn run(config: &Config, verb: &Verb) -> Result<ExitCode> {
    let bureau = house::open(config, Arc::new(SystemClock), Galleries::Search, false).await?;
    match verb {
        Verb::Issue(args) => issue(&bureau, config, args).await,
        Verb::Check { file, json } => check(&bureau, file, *json).await,
        Verb::Revoke(args) => revoke(&bureau, args).await,
        Verb::Affected(args) => affected(&bureau, args).await,
        Verb::List { notes } => list(&bureau, *notes).await,
    }
}

async fn issue(bureau: &Bureau, config: &Config, args: &Issue) -> Result<ExitCode> {
    let file = read(&args.evaluation, bureau::certificate::EVALUATION_BYTES_MAX)?;
    let demonstrates = face::accuracy::Evaluation::read(&file).into_diagnostic()?.demonstration;
    if demonstrates && !config.data_dir.join(demo::MARK).exists() {
        return Err(miette!(
            help = "measure with `countersign evaluate`",
            "this evaluation is a demonstration; only a demo's folder takes a certificate from it"
        ));
    }
    let wanted = Wanted { gallery: args.gallery, threshold: args.threshold, references_max: args.size_up_to, estimate: args.estimate };
    let held = bureau.issue_certificate(&file, wanted).await.map_err(|e| refused("no certificate was issued", &e))?;
    eprintln!("{}", in_words(&held.certificate));
    print!("{}", held.note);
    Ok(ExitCode::SUCCESS)
}

async fn revoke(bureau: &Bureau, args: &Revoke) -> Result<ExitCode> {
    let who = house::bearer(bureau, &args.token_file).await?;
    let all = bureau.accuracy().await.into_diagnostic()?;
    let held = all.into_iter().find(|a| a.gallery == args.gallery).and_then(|a| a.held);
    let held = held.ok_or_else(|| miette!("the gallery has no certificate"))?;
    let digest = held.genuine.ok_or_else(|| miette!("the certificate is not one of this installation"))?;
    bureau.revoke_certificate(who, args.gallery, digest, &args.reason).await.map_err(|e| refused("the certificate was not revoked", &e))?;
    println!("Revoked: {}", in_words(&held.certificate));
    let touched = bureau.affected_count(who, digest).await.into_diagnostic()?;
    println!("{}: countersign certificate affected {digest}", number(&touched));
    Ok(ExitCode::SUCCESS)
}

/// How many searches rest on a certificate, in words.
fn number(n: &AffectedCount) -> String {
    let searches = if n.searches == 1 { "search rests" } else { "searches rest" };
    let cases = if n.cases == 1 { "case" } else { "cases" };
    format!("{} {searches} on it, in {} {cases}", n.searches, n.cases)
}

async fn affected(bureau: &Bureau, args: &Affected) -> Result<ExitCode> {
    let who = house::bearer(bureau, &args.token_file).await?;
    let found = match bureau.affected(who, args.id).await {
        Ok(found) => found,
        Err(bureau::BureauError::Refused(why)) if why.first() == Some(&casework::access::unknown()) => {
            return Err(miette!(
                help = "`countersign certificate list` prints them",
                "there is no such certificate, or it is not for you to see"
            ));
        }
        Err(e) => return Err(refused("the searches are not listed", &e)),
    };
    if args.json {
        println!("{}", serde_json::to_string(&found).into_diagnostic()?);
        return Ok(ExitCode::SUCCESS);
    }
    match &found.revoked {
        Some(revoked) => println!("{}", revoked.in_words()),
        None => println!("Not revoked: this is what its revocation would touch."),
    }
    for other in &found.with {
        println!("With it: {other}");
    }
    println!("{}", number(&found.count));
    for s in &found.searches {
        let outcome = s.outcome.map(|o| format!(", {}", o.to_string().replace('-', " "))).unwrap_or_default();
        println!("- {}  searched {}  {} gallery  {}{outcome}", s.reference, s.searched_at, s.gallery, s.state.label().to_lowercase());
    }
    if found.count.withheld > 0 {
        println!("Not listed for you, as you examine the case: {} (M2)", found.count.withheld);
    }
    if found.count.erased > 0 {
        println!("Of that time and erased since, so that nobody knows what they rested on: {} (D3)", found.count.erased);
    }
    Ok(ExitCode::SUCCESS)
}

/// Every reason on a line of its own, with its clauses.
fn refused(what: &str, e: &bureau::BureauError) -> miette::Report {
    let bureau::BureauError::Refused(why) = e else { return miette!("{e}") };
    let line = |r: &casework::refusal::Refusal| {
        let clauses: Vec<_> = r.clauses.iter().map(ToString::to_string).collect();
        format!("{} ({})", r.words, clauses.join(", "))
    };
    miette!("{what}:\n{}", why.iter().map(line).collect::<Vec<_>>().join("\n"))
}

async fn check(bureau: &Bureau, file: &Path, json: bool) -> Result<ExitCode> {
    let note = String::from_utf8(read(file, ledger::note::MAX_NOTE_BYTES)?).into_diagnostic().wrap_err("a certificate is UTF-8 text")?;
    let checked = bureau.check_certificate(&note).await.into_diagnostic()?;
    if json {
        println!("{}", serde_json::to_string(&checked).into_diagnostic()?);
    } else {
        println!("Signed by this installation.\n{}", in_words(&checked.certificate));
        for why in &checked.against {
            println!("- {why}");
        }
    }
    Ok(if checked.against.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(bureau: &Bureau, notes: bool) -> Result<ExitCode> {
    let register = bureau.register().await.into_diagnostic()?;
    for a in bureau.accuracy().await.into_diagnostic()? {
        println!("{}: {}", a.gallery, if a.against.is_empty() { "searched within" } else { "not searched" });
        if let Some(held) = &a.held {
            println!("{}", in_words(&held.certificate));
            if let Some(id) = held.genuine {
                println!("  id {id}");
            }
            if notes {
                print!("{}", held.note);
            }
        }
        for r in &a.against {
            println!("- {}", r.words);
        }
        for (revoked, held) in register.settings.get(&a.gallery).map(Setting::revocations).unwrap_or_default() {
            if let Some(id) = held.genuine {
                println!("Revoked on {}, id {id}: {}", revoked.on, revoked.reasons);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(c: &Certificate) -> String {
    let rate = |r: &casework::certificate::Rate| {
        format!("{} ({} of {}; 95 %: {} to {})", percent(r.share()), r.errors, r.of, percent(r.low), percent(r.high))
    };
    let mut out = format!(
        "{}{} gallery, up to {} references, threshold {}, {} ({}), measured on {}, counts {} to {}\n  pointed at by mistake {}\n  missed {}",
        if c.demonstration { "DEMONSTRATION, no statement about real searches: " } else { "" },
        c.gallery,
        c.references_max,
        c.threshold,
        c.running.pack,
        c.running.model,
        c.measured,
        c.issued,
        c.until,
        rate(&c.rates.fpir),
        rate(&c.rates.fnir)
    );
    if let Some(estimate) = c.fpir_estimate {
        out += &format!(
            "\n  pointed at by mistake with {} references: up to {} (an ESTIMATE; measured with {})",
            c.references_max,
            percent(estimate),
            c.references_measured
        );
    }
    out
}

fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>> {
    let cannot = || format!("{} cannot be read", path.display());
    let size = std::fs::metadata(path).into_diagnostic().wrap_err_with(cannot)?.len();
    if size > bytes_max as u64 {
        return Err(miette!("{} has {size} bytes; at most {bytes_max} are read", path.display()));
    }
    std::fs::read(path).into_diagnostic().wrap_err_with(cannot)
}

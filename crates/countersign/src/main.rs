//! The one binary: `countersign serve | work | demo | enrol | evaluate | gallery | policy | audit | witness | retain | backup | restore | certificate | pack | keys | store | migrate | token | bench | config`.

mod audit;
mod backup;
mod bench;
mod bench_record;
mod bundle;
mod certificate;
mod config;
mod demo;
mod enrol;
mod evaluate;
mod export;
mod galleries;
mod house;
mod keys;
mod pack;
mod policy;
mod register;
mod retain;
mod serve;
mod store_verbs;
mod witness;

use clap::{Parser, Subcommand};
use config::Config;
use miette::{IntoDiagnostic, Result};
use std::{path::PathBuf, process::ExitCode};

/// Facial image search requests: intake → assess → search → review → respond → retain → report.
#[derive(Parser)]
#[command(name = "countersign", version, about, propagate_version = true)]
struct Cli {
    /// The configuration file.
    #[arg(long, short, env = "COUNTERSIGN_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the pages and the JSON API, and do the jobs that come of them.
    Serve(serve::Args),
    /// Do jobs only (searches, releases, erasures), beside one or more `serve`.
    Work(serve::WorkArgs),
    /// Prepare invented data in a folder of its own and serve it on this machine, or walk it in the terminal.
    Demo(demo::Args),
    /// Enrol a folder of photographs into a gallery.
    Enrol(enrol::Args),
    /// Measure how far the engine can be trusted, on folders of people's images.
    Evaluate(Box<evaluate::Args>),
    /// What is enrolled, and what a search of it takes.
    #[command(subcommand)]
    Gallery(galleries::Verb),
    /// The register of forces, agreements, people and teams.
    #[command(subcommand)]
    Register(register::Verb),
    /// The rules.
    #[command(subcommand)]
    Policy(policy::Verb),
    /// The record.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// What is due to be erased, and why; with `--run`, erase it.
    Retain(retain::Args),
    /// Copy the records, while they are served, and the keys apart from them.
    Backup(backup::BackupArgs),
    /// Bring a copy of the records back.
    Restore(backup::RestoreArgs),
    /// A witness of a log, kept by somebody else: it cosigns checkpoints.
    #[command(subcommand)]
    Witness(witness::Verb),
    /// The master key.
    #[command(subcommand)]
    Keys(keys::Verb),
    /// Accuracy certificates: what each gallery's searches rest on.
    #[command(subcommand)]
    Certificate(certificate::Verb),
    /// Model packs: brought in, listed, checked.
    #[command(subcommand)]
    Pack(pack::Verb),
    /// Where everything is kept.
    #[command(subcommand)]
    Store(store_verbs::Verb),
    /// Bring the tables of a PostgreSQL installation up to date. Stop every node first, and take a backup.
    Migrate,
    /// Issue a bearer token of the JSON API to a person on the register.
    Token(serve::TokenArgs),
    /// Measure.
    #[command(subcommand)]
    Bench(bench::Verb),
    /// The configuration.
    #[command(subcommand)]
    Config(config::Verb),
    /// Decode one untrusted image from standard input, in a process with hard limits.
    #[command(hide = true)]
    DecodeChild,
}

fn main() -> ExitCode {
    // The decoder's child gives up everything before anything else happens in its process.
    if std::env::args_os().nth(1).is_some_and(|a| a == "decode-child") {
        return decoder::child_main();
    }
    // Keys and personal data are in this process's memory: it is never written to a file, and nobody else looks into it.
    if let Err(error) = decoder::leave_no_core() {
        eprintln!("core dumps cannot be switched off: {error}");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    let config = || Config::load(cli.config.as_deref());
    runtime.block_on(async {
        match &cli.verb {
            Verb::Serve(args) => serve::run(&config()?, args).await,
            Verb::Work(args) => serve::work(&config()?, args).await,
            Verb::Demo(args) => demo::run(args).await,
            Verb::Enrol(args) => enrol::run(&config()?, args).await,
            Verb::Evaluate(args) => evaluate::run(&config()?, args).await,
            Verb::Register(verb) => register::run(&config()?, verb).await,
            Verb::Policy(verb) => policy::run(verb),
            Verb::Retain(args) => retain::run(&config()?, args).await,
            Verb::Backup(args) => backup::backup(&config()?, args).await,
            Verb::Restore(args) => backup::restore(&config()?, args).await,
            Verb::Audit(verb) => audit::run(config, verb).await,
            Verb::Witness(verb) => witness::run(verb).await,
            Verb::Token(args) => serve::token(&config()?, args).await,
            Verb::Keys(verb) => keys::run(&config()?, verb).await,
            Verb::Certificate(verb) => certificate::run(&config()?, verb).await,
            Verb::Pack(verb) => pack::run(&config()?, verb),
            Verb::Gallery(verb) => galleries::run(config, verb).await,
            Verb::Store(verb) => store_verbs::run(&config()?, verb).await,
            Verb::Migrate => store_verbs::migrate(&config()?).await,
            Verb::Bench(verb) => bench::run(verb).await,
            Verb::Config(verb) => config::run(&config()?, verb).await,
            Verb::DecodeChild => Ok(ExitCode::FAILURE),
        }
    })
}

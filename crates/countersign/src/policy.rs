//! `policy …`

use casework::{
    coverage::{self, Status},
    policy::Policy,
};
use clap::Subcommand;
use miette::{IntoDiagnostic, Result};
use std::process::ExitCode;

/// `policy …`
#[derive(Subcommand)]
pub enum Verb {
    /// Each clause with its rule and the tests that name it; fails when a MUST clause lacks either.
    Coverage {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// A clause's words.
    Show {
        /// Its id, e.g. A7.
        clause: casework::clause::Clause,
    },
    /// The access table: who may do what, in which state, under which clause.
    Access,
}

/// Runs `policy …`.
///
/// # Errors
/// When the embedded findings cannot be read: a broken build.
pub fn run(verb: &Verb) -> Result<ExitCode> {
    let policy = Policy::in_force(casework::calendar::london_date(jiff::Timestamp::now()));
    match verb {
        Verb::Show { clause } => {
            if let Some(c) = policy.clause(*clause) {
                let strength = c.strength.map(|s| format!(" {}", format!("{s:?}").to_uppercase())).unwrap_or_default();
                println!("{}{strength}  {}\n    {}", c.id, c.text, c.source);
            }
        }
        Verb::Access => print!("{}", include_str!("../../../docs/access.md")),
        Verb::Coverage { json } => {
            let found = coverage::read(include_str!(concat!(env!("OUT_DIR"), "/coverage.json"))).into_diagnostic()?;
            let lines = coverage::check(policy, Policy::deferred(), &found);
            for l in &lines {
                if *json {
                    println!("{}", serde_json::to_string(l).into_diagnostic()?);
                    continue;
                }
                let place = |p: &coverage::Place| format!("{}:{}", p.file, p.line);
                let status = match &l.status {
                    Status::Covered => "covered".to_owned(),
                    Status::Optional => "not a MUST".to_owned(),
                    Status::Deferred(why) => format!("deferred: {why}"),
                    Status::Missing { rule, test } => {
                        format!("MISSING{}{}", if *rule { " rule" } else { "" }, if *test { " test" } else { "" })
                    }
                    Status::WronglyDeferred(why) => format!("WRONGLY DEFERRED: {why}"),
                };
                println!("{:<4} {status}\n     {}", l.clause.to_string(), l.text);
                if let Some(first) = l.rules.first() {
                    println!("     rule  {}{}", place(first), more(l.rules.len()));
                }
                if let Some(first) = l.tests.first() {
                    println!("     test  {} ({}){}", place(first), first.name.as_deref().unwrap_or_default(), more(l.tests.len()));
                }
            }
            return Ok(if coverage::ok(&lines) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn more(count: usize) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}

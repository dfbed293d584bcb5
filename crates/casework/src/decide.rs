//! The one door: a command against a request as it stands gives events or every refusal at once.

mod assess;
mod handle;
mod intake;
mod respond;
mod review;
mod search;
mod trial;

pub use search::judged_by_another;

use crate::{
    access,
    certificate::Running,
    command::Command,
    event::{Entry, Event, Who},
    people::{Actor, Register},
    policy::Policy,
    refusal::{Refusal, refuse},
    request::Request,
};
use jiff::{Timestamp, civil::Date};

/// What a decision may know besides the request: who, the register, the policy, and what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who acts; `None` is a worker carrying out what people decided.
    pub actor: Option<&'a Actor>,
    /// The register as it stands.
    pub register: &'a Register,
    /// The policy in force.
    pub policy: &'a Policy,
    /// Now.
    pub now: Timestamp,
    /// What a search of the request's gallery would run on now, and how many references it holds; none
    /// where nothing is searched.
    pub running: Option<(&'a Running, u64)>,
}

impl Context<'_> {
    /// Today in London.
    #[must_use]
    pub fn today(&self) -> Date {
        crate::calendar::london_date(self.now)
    }
    /// Who, for the record.
    #[must_use]
    pub fn who(&self) -> Who {
        self.actor.map_or(Who::System, |a| Who::Person(a.person))
    }
}

/// Decides a command. Pure: the same request, command and context give the same answer.
///
/// # Errors
/// Every refusal at once, each with its clauses and plain words. A person who may not know that the
/// request exists gets the one refusal that an unknown request gives (V1).
pub fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    let mut out = access::refusals(request, command.action(), ctx);
    // Who has no part in such a step at all is told that, and nothing of how the request stands (M2, V1).
    let none_of_theirs = ctx.actor.is_some_and(|a| !access::in_a_role(a, command.action()));
    if none_of_theirs || out.first().is_some_and(|r| *r == access::unknown()) {
        return Err(out);
    }
    let answer = match command {
        Command::Prepare { .. } | Command::Return { .. } | Command::Approve | Command::Withdraw { .. } | Command::Reject { .. } => {
            intake::decide(request, command, ctx)
        }
        Command::Take { .. }
        | Command::DeclareConflict { .. }
        | Command::PutBack
        | Command::Allocate { .. }
        | Command::ReplaceExaminer { .. }
        | Command::FlagVulnerable { .. }
        | Command::Admit { .. } => handle::decide(request, command, ctx),
        Command::AskClarification { .. } | Command::AnswerClarification { .. } | Command::Assess { .. } => {
            assess::decide(request, command, ctx)
        }
        Command::StartSearch { .. } | Command::RecordSearch { .. } | Command::ExpireAuthorisation { .. } => {
            search::decide(request, command, ctx)
        }
        Command::Examine { .. } | Command::GiveVisual { .. } | Command::GiveInformed { .. } | Command::ConcludeEmpty { .. } => {
            review::decide(request, command, ctx)
        }
        Command::SeedTrial { .. } | Command::StopTrial { .. } => trial::decide(request, command, ctx),
        Command::DecideSharing { .. }
        | Command::Answer { .. }
        | Command::Release { .. }
        | Command::Collect
        | Command::AskReview { .. }
        | Command::DecideReview { .. }
        | Command::AskOnward { .. }
        | Command::DecideOnward { .. }
        | Command::TryAgain { .. }
        | Command::PlaceHold { .. }
        | Command::ReviewHold { .. }
        | Command::LiftHold { .. }
        | Command::Close
        | Command::Erase { .. } => respond::decide(request, command, ctx),
    };
    match answer {
        Ok(events) if out.is_empty() => Ok(events),
        Ok(_) => Err(out),
        Err(more) => {
            for r in more {
                if !out.contains(&r) {
                    out.push(r);
                }
            }
            Err(out)
        }
    }
}

/// Applies what was decided to a copy, so that a rule can look one step ahead.
fn after(request: &Request, ctx: &Context<'_>, events: &[Event]) -> Request {
    let mut next = request.clone();
    for event in events {
        next.apply(&Entry { by: ctx.who(), event: event.clone() }, ctx.now);
    }
    next
}

/// A refusal unless the text says something and fits.
fn need_words(text: &str, clause: crate::clause::Clause, ask: &str) -> Vec<Refusal> {
    let length = text.chars().count();
    let max = crate::limits::TEXT_CHARS_MAX;
    if text.trim().is_empty() {
        vec![refuse(&[clause], ask)]
    } else if length > max {
        vec![refuse(&[clause], format!("That is {length} characters long; at most {max} fit."))]
    } else {
        vec![]
    }
}

/// The holder's own business: refused to everybody else.
fn holder_refusals(request: &Request, ctx: &Context<'_>) -> Vec<Refusal> {
    let mut out = vec![];
    if let (Some(actor), Some(gallery)) = (ctx.actor, request.gallery) {
        out.extend(access::staff_refusals(actor, gallery, ctx));
        if request.assignee != Some(actor.person) {
            out.push(refuse(&[crate::clause::Clause::R1], "Assign the request to yourself first."));
        }
    }
    out
}

fn finish(events: Vec<Event>, out: Vec<Refusal>) -> Result<Vec<Event>, Vec<Refusal>> {
    if out.is_empty() { Ok(events) } else { Err(out) }
}

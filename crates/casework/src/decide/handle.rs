//! Who holds a request, who may not, and who is let in (R1, R3, V0, V1, O9).

use super::{Context, finish, need_words};
use crate::{
    access,
    clause::Clause,
    command::Command,
    event::Event,
    people::{Actor, Role},
    refusal::{Refusal, refuse},
    request::Request,
    review,
};

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    let Some(actor) = ctx.actor else {
        return Err(vec![]);
    };
    match command {
        Command::Take { no_conflict } => {
            let mut out = may_hold(request, actor, ctx);
            if !no_conflict {
                out.push(refuse(&[Clause::R1], "Say whether you have a conflict of interest before you take it."));
            }
            if let Some(holder) = request.assignee
                && request.undeclared() != Some(actor.person)
            {
                out.push(refuse(&[], if holder == actor.person { "You already hold it." } else { "Someone else has already taken it." }));
            }
            if request.sensitive && !request.admitted.contains(&actor.person) && !request.held_by.contains(&actor.person) {
                out.push(refuse(&[Clause::V1], "A sensitive request is allocated by name by the team leader."));
            }
            finish(vec![Event::Taken { person: actor.person, team: actor.team }], out)
        }
        Command::DeclareConflict { words } => {
            let out = need_words(words, Clause::R1, "Say in a few words what the conflict is.");
            finish(vec![Event::ConflictDeclared { person: actor.person, words: words.clone() }], out)
        }
        Command::PutBack => {
            let mut out = vec![];
            if request.assignee != Some(actor.person) {
                out.push(refuse(&[], "You do not hold it."));
            }
            finish(vec![Event::PutBack { person: actor.person }], out)
        }
        Command::Allocate { to, reason } => {
            let mut out = need_words(reason, Clause::R3, "Say why you are allocating it.");
            match ctx.register.actor(*to, ctx.today()) {
                None => out.push(refuse(&[Clause::R1], "That person is not on the register or has left.")),
                Some(colleague) => {
                    if !colleague.has(Role::Assessor) {
                        out.push(refuse(&[Clause::R1], "That person is not a caseworker."));
                    }
                    out.extend(may_hold(request, &colleague, ctx));
                    if request.conflicted.contains(to) {
                        out.push(refuse(&[Clause::R1], "That person has a conflict of interest."));
                    }
                    if actor.team.is_none() || colleague.team != actor.team {
                        out.push(refuse(&[Clause::R3], "You allocate within the team you lead."));
                    }
                }
            }
            if request.assignee == Some(*to) {
                out.push(refuse(&[], "That person already holds it."));
            }
            finish(vec![Event::Allocated { to: *to, team: actor.team, reason: reason.clone() }], out)
        }
        Command::ReplaceExaminer { examiner, reason } => {
            let mut out = need_words(reason, Clause::M2, "Say why the examiner is replaced.");
            if !request.probes.iter().any(|p| review::unfinished(p, *examiner)) {
                out.push(refuse(&[Clause::M2], "That person has no comparison left to finish on this request."));
            }
            finish(vec![Event::ExaminerReplaced { examiner: *examiner, reason: reason.clone() }], out)
        }
        Command::FlagVulnerable { words } => {
            let mut out = need_words(words, Clause::V0, "Say why the person may be vulnerable.");
            if request.sensitive {
                out.push(refuse(&[], "It is already handled sensitively."));
            }
            finish(vec![Event::VulnerabilityFlagged { words: words.clone() }], out)
        }
        Command::Admit { person, reason } => {
            let mut out = need_words(reason, Clause::V1, "Say why this person needs to know.");
            let leads = actor.has(Role::TeamLeader);
            if request.assignee != Some(actor.person) && !leads {
                out.push(refuse(&[Clause::V1], "Only the person who holds it, or the team leader, lets others in."));
            }
            match ctx.register.actor(*person, ctx.today()) {
                Some(p) if p.gallery == request.gallery && !p.roles.is_empty() => {}
                _ => out.push(refuse(&[Clause::V1], "That person does not work for this gallery.")),
            }
            finish(vec![Event::Admitted { person: *person, reason: reason.clone() }], out)
        }
        _ => Err(vec![]),
    }
}

fn may_hold(request: &Request, who: &Actor, ctx: &Context<'_>) -> Vec<Refusal> {
    let mut out = request.gallery.map(|g| access::staff_refusals(who, g, ctx)).unwrap_or_default();
    if request.examines(who.person) || request.replaced.contains(&who.person) {
        out.push(refuse(&[Clause::M2], "An examiner of this request stays blind to the rest of it, so cannot hold it."));
    }
    out
}

//! review: two different trained people, blind first, then informed (M2, M3, P2).

use super::{Context, after, finish, need_words};
use crate::{
    access,
    clause::Clause,
    command::Command,
    event::Event,
    ids::{CandidateId, ProbeId},
    people::Actor,
    refusal::{Refusal, refuse},
    request::{Probe, ProbeState, Request},
    review,
};
use std::collections::BTreeSet;

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    let Some(actor) = ctx.actor else {
        return Err(vec![]);
    };
    let (Command::Examine { probe, .. }
    | Command::GiveVisual { probe, .. }
    | Command::GiveInformed { probe, .. }
    | Command::ConcludeEmpty { probe, .. }) = command
    else {
        return Err(vec![]);
    };
    let mut out = request.gallery.map(|g| access::staff_refusals(actor, g, ctx)).unwrap_or_default();
    let Some(p) = request.probe(*probe) else {
        out.push(refuse(&[], "There is no such image on this request."));
        return Err(out);
    };
    match command {
        Command::Examine { order, .. } => {
            out.extend(blind_refusals(request, actor));
            if request.replaced.contains(&actor.person) {
                out.push(refuse(&[Clause::M2], "You were replaced as an examiner of this request, so you cannot begin again."));
            }
            if p.examiners.iter().any(|e| e.person == actor.person) {
                out.push(refuse(&[], "You already examine this image."));
            } else if !review::wants_examiner(p) {
                out.push(refuse(&[Clause::M2], "No further examiner is wanted on this image."));
            }
            let asked: BTreeSet<CandidateId> = review::in_question(p).into_iter().collect();
            let given: BTreeSet<CandidateId> = order.iter().copied().collect();
            if asked != given || order.len() != given.len() {
                out.push(refuse(&[Clause::M2], "The order does not hold exactly the candidates in question."));
            }
            finish(vec![Event::ExaminerJoined { probe: *probe, examiner: actor.person, order: order.clone() }], out)
        }
        Command::GiveVisual { candidate, opinion, version, .. } => {
            out.extend(own_opinion(request, p, *probe, *candidate, actor, *version));
            if own(p, *candidate, actor).is_some_and(|o| o.visual.is_some()) {
                out.push(refuse(&[Clause::M2], "Your visual opinion is locked. Confirm or change it in the informed step."));
            }
            out.extend(opinion.incomplete());
            out.extend(need_words(&opinion.words, Clause::M2, "Say in a few words what you saw."));
            out.extend(opinion.image_log.refusals());
            out.dedup();
            finish(vec![Event::VisualGiven { probe: *probe, candidate: *candidate, examiner: actor.person, opinion: opinion.clone() }], out)
        }
        Command::GiveInformed { candidate, opinion, version, .. } => {
            out.extend(own_opinion(request, p, *probe, *candidate, actor, *version));
            match own(p, *candidate, actor) {
                Some(o) if o.informed.is_some() => out.push(refuse(&[Clause::M2], "Your conclusion is already given.")),
                // The informed step shows what the force says, which bears on every candidate.
                Some(o) if o.visual.is_some() => {
                    if !review::ready_to_be_informed(request, *probe, actor.person) {
                        out.push(refuse(
                            &[Clause::M2],
                            "Give your visual opinion on every candidate first, before anything else is shown.",
                        ));
                    }
                }
                _ => out.push(refuse(&[Clause::M2], "Give your visual opinion first, before anything else is shown.")),
            }
            out.extend(need_words(&opinion.reasons, Clause::M2, "Say why, and what you confirm or change."));
            out.extend(opinion.image_log.refusals());
            let given = Event::InformedGiven { probe: *probe, candidate: *candidate, examiner: actor.person, opinion: opinion.clone() };
            let mut events = vec![given];
            if out.is_empty()
                && let Some(next) = after(request, ctx, &events).probe(*probe)
            {
                events.extend(review::consequences(next));
            }
            finish(events, out)
        }
        Command::ConcludeEmpty { words, .. } => {
            if p.state != ProbeState::NoCandidates {
                out.push(refuse(&[Clause::P2], "There is no empty candidate list to conclude on."));
            }
            out.extend(need_words(words, Clause::P2, "Say in a few words that you looked and what you conclude."));
            finish(vec![Event::EmptyConcluded { probe: *probe, by: actor.person, words: words.clone() }], out)
        }
        _ => Err(out),
    }
}

fn own<'a>(p: &'a Probe, candidate: CandidateId, actor: &Actor) -> Option<&'a crate::request::Opinion> {
    p.candidate(candidate)?.opinions.get(&actor.person)
}

/// An examiner must not have seen what the force says, nor know how far others are: holders, deciders, the
/// force itself and whoever replaced an examiner are out.
fn blind_refusals(request: &Request, actor: &Actor) -> Vec<Refusal> {
    let p = actor.person;
    let informed = request.probes.iter().flat_map(|p| &p.candidates).any(|c| c.opinions.get(&p).is_some_and(|o| o.informed.is_some()));
    if informed
        || request.held_by.contains(&p)
        || request.deciders.contains(&p)
        || request.replaced_by.contains(&p)
        || request.requester == Some(p)
        || request.approver == Some(p)
    {
        vec![refuse(&[Clause::M2], "You have seen the rest of this request, so you cannot give a blind opinion on it.")]
    } else {
        vec![]
    }
}

fn own_opinion(request: &Request, p: &Probe, probe: ProbeId, candidate: CandidateId, actor: &Actor, version: u64) -> Vec<Refusal> {
    let mut out = vec![];
    match review::sheet(request, probe, actor.person) {
        None => out.push(refuse(&[Clause::M2], "You do not examine this image.")),
        Some(sheet) => {
            if !sheet.candidates.iter().any(|c| c.id == candidate) {
                out.push(refuse(&[], "There is no such candidate for you to compare."));
            }
            if sheet.version != version {
                out.push(refuse(&[], "You have already gone on since this page was opened. Open it again."));
            }
        }
    }
    if !matches!(p.state, ProbeState::Comparing | ProbeState::Adjudicating(_)) {
        out.push(refuse(&[Clause::M2], "This image is already concluded."));
    }
    out
}

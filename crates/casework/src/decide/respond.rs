//! respond and after: sharing, answering, releasing, reviews, onward sharing, closing, erasing
//! (O1–O10, V2, V3, W2–W5, D3).

use super::{Context, finish, holder_refusals, need_words};
use crate::{
    access, calendar,
    clause::Clause,
    command::Command,
    disclosure,
    event::{Event, ReviewResult, Sharing},
    hold::latest_review,
    ids::PersonId,
    people::Role,
    record::RetentionClass,
    refusal::{Refusal, refuse},
    request::{Outcome, ProbeState, Request, State},
    retain,
};
use jiff::civil::Date;

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    match command {
        Command::DecideSharing { probe, candidate, sharing } => {
            let mut out = holder_refusals(request, ctx);
            match request.probe(*probe).and_then(|p| p.candidate(*candidate)) {
                None => out.push(refuse(&[], "There is no such candidate.")),
                Some(c) => {
                    if c.matched != Some(true) {
                        out.push(refuse(&[Clause::M3], "Only a candidate that two people confirmed can be shared."));
                    }
                    if c.sharing.is_some() && request.outcome.is_some() {
                        out.push(refuse(&[], "This is already decided."));
                    }
                }
            }
            out.extend(sharing_refusals(request, sharing, ctx));
            finish(vec![Event::SharingDecided { probe: *probe, candidate: *candidate, sharing: sharing.clone() }], out)
        }
        Command::Answer { recipient_confirmed } => {
            let mut out = holder_refusals(request, ctx);
            if let Some(n) = request.probes.iter().position(|p| !p.ended()) {
                out.push(refuse(
                    &[Clause::O10],
                    format!("Image {} has not come to its end: decide on it, or on sharing its matches, first.", n + 1),
                ));
            }
            if request.sensitive && !recipient_confirmed {
                out.push(refuse(&[Clause::V2], "Confirm that the answer goes to this person and nobody else."));
            }
            // V2: a person, and the one who asked; nobody else can open it.
            let prepared = request.requester.map(|recipient| Event::AnswerPrepared { recipient, outcome: request.answer() });
            finish(prepared.into_iter().collect(), out)
        }
        Command::Release { answer, digest, witnessed } => {
            // Everything is asked again at the door: standing, withdrawal, and two confirmations.
            let mut out = vec![];
            if request.state != State::Answering {
                out.push(refuse(&[Clause::O10], "There is no answer waiting to leave."));
            }
            if !witnessed.enough() {
                out.push(refuse(&[Clause::D5], witnessed.words()));
            }
            // A lapsed agreement stops data, not the news that there is none.
            if let (Some(gallery), Some(Outcome::Match)) = (request.gallery, request.outcome) {
                out.extend(ctx.register.force_refusals(request.leo, gallery, ctx.today()));
            }
            out.extend(disclosure::refusals(request, ctx.policy));
            if out.is_empty() && !answer.fits(request, ctx.policy) {
                out.push(refuse(&[Clause::O10], "The answer that was made up is not what was decided. It is made up again."));
            }
            let Some(outcome) = request.outcome else { return Err(out) };
            let released = Event::Released { outcome, digest: *digest, policy: ctx.policy.version.clone() };
            finish(vec![Event::Disclosed { answer: answer.clone() }, released], out)
        }
        Command::Collect => {
            let Some(actor) = ctx.actor else {
                return Err(vec![]);
            };
            let mut out = own_answer(request, ctx, Clause::V2);
            if request.collected_at.is_some() {
                out.push(refuse(&[], "The answer was already opened."));
            }
            finish(vec![Event::Collected { by: actor.person }], out)
        }
        Command::AskReview { reasons } => {
            let mut out = need_words(reasons, Clause::W2, "Give your reasons for asking for a review.");
            if ctx.actor.map(|a| a.person) != request.requester {
                out.push(refuse(&[Clause::W2], "Only the requester asks for a review."));
            }
            if request.reviews.iter().any(|r| r.result.is_none()) {
                out.push(refuse(&[Clause::W2], "A review is already under way."));
            }
            if request.withdrawn {
                out.push(refuse(&[Clause::W4], "You withdrew this request, so there is no decision to review."));
            }
            if [RetentionClass::Images, RetentionClass::Disclosure].iter().any(|c| request.erased.contains(c)) {
                out.push(refuse(&[Clause::D3], "The images are erased, so nothing can be decided anew. Send a new request."));
            }
            finish(vec![Event::ReviewAsked { reasons: reasons.clone() }], out)
        }
        Command::DecideReview { result, reasons } => decide_review(request, *result, reasons, ctx),
        Command::AskOnward { to, reasons } => {
            let mut out = own_answer(request, ctx, Clause::V3);
            out.extend(need_words(to, Clause::V3, "Say with whom you need to share it."));
            out.extend(need_words(reasons, Clause::V3, "Say why you need to share it."));
            if request.onward.iter().any(|o| o.decision.is_none()) {
                out.push(refuse(&[Clause::V3], "You have already asked; wait for the answer."));
            }
            finish(vec![Event::OnwardAsked { to: to.clone(), reasons: reasons.clone() }], out)
        }
        Command::DecideOnward { allowed, reasons } => {
            let mut out = need_words(reasons, Clause::V3, "Give your reasons.");
            if let (Some(actor), Some(gallery)) = (ctx.actor, request.gallery)
                && actor.gallery != Some(gallery)
            {
                out.push(refuse(&[Clause::V3], "Only staff of this gallery decide that."));
            }
            if request.onward.last().is_none_or(|o| o.decision.is_some()) {
                out.push(refuse(&[Clause::V3], "Nobody has asked to share it."));
            }
            finish(vec![Event::OnwardDecided { allowed: *allowed, reasons: reasons.clone() }], out)
        }
        Command::TryAgain { task } => {
            let mut out = vec![];
            if !task.owed(request, ctx.policy, ctx.now) {
                out.push(refuse(&[task.clause()], "The request does not ask for this any more, so there is nothing to try again."));
            }
            finish(vec![Event::TriedAgain { task: *task }], out)
        }
        Command::PlaceHold { owner, reason, review } => {
            let mut out = hold_refusals(request, *owner, reason, *review, ctx);
            if request.hold.is_some() {
                out.push(refuse(&[Clause::D3], "It is already kept by a legal hold. Review that one."));
            }
            finish(vec![Event::HoldPlaced { owner: *owner, reason: reason.clone(), review: *review }], out)
        }
        Command::ReviewHold { owner, reason, review } => {
            let mut out = hold_refusals(request, *owner, reason, *review, ctx);
            if request.hold.is_none() {
                out.push(refuse(&[Clause::D3], NO_HOLD));
            }
            finish(vec![Event::HoldReviewed { owner: *owner, reason: reason.clone(), review: *review }], out)
        }
        Command::LiftHold { reason } => {
            let mut out = need_words(reason, Clause::D3, "Say why it need not be kept any longer.");
            if request.hold.is_none() {
                out.push(refuse(&[Clause::D3], NO_HOLD));
            }
            finish(vec![Event::HoldLifted { reason: reason.clone() }], out)
        }
        Command::Close => {
            let mut out = vec![];
            match ctx.actor {
                None if retain::close_due(request, ctx.policy).is_none_or(|due| due > ctx.today()) => {
                    out.push(refuse(&[Clause::D3], "It is not yet due to be closed."));
                }
                Some(actor) if !actor.has(Role::TeamLeader) => out.extend(holder_refusals(request, ctx)),
                _ => {}
            }
            if request.waits_for_us() {
                out.push(refuse(&[Clause::W5, Clause::V3], "The force still waits for an answer."));
            }
            finish(vec![Event::Closed], out)
        }
        Command::Erase { class } => {
            let mut out = vec![];
            if request.hold.is_some() {
                out.push(refuse(&[Clause::D3], "A legal hold keeps it. Lift that first."));
            } else if !retain::due(request, ctx.policy, ctx.today()).iter().any(|d| d.class == *class) {
                out.push(refuse(&[Clause::D3], "That is not due to be erased."));
            }
            finish(vec![Event::Erased { class: *class }], out)
        }
        _ => Err(vec![]),
    }
}

const NO_HOLD: &str = "No legal hold keeps it.";

/// What stands in the way of a legal hold: it has a reason, a member of this gallery's staff who answers for it, and
/// a day on which it is looked at again, not too far away.
fn hold_refusals(request: &Request, owner: PersonId, reason: &str, review: Date, ctx: &Context<'_>) -> Vec<Refusal> {
    let mut out = need_words(reason, Clause::D3, "Say why it must be kept.");
    match ctx.register.actor(owner, ctx.today()) {
        Some(p) if p.gallery == request.gallery && !p.roles.is_empty() => {}
        _ => out.push(refuse(&[Clause::D3], "Name somebody who works for this gallery and answers for the hold.")),
    }
    let last = latest_review(ctx.policy, ctx.today());
    if review <= ctx.today() || review > last {
        let until = calendar::date_in_words(last);
        out.push(refuse(&[Clause::D3], format!("Choose a day on which the hold is looked at again, after today and not after {until}.")));
    }
    out
}

/// A released answer is the requester's, and nobody else's in the force.
fn own_answer(request: &Request, ctx: &Context<'_>, clause: Clause) -> Vec<Refusal> {
    let mut out = vec![];
    if ctx.actor.map(|a| a.person) != request.requester {
        out.push(refuse(&[clause], "The answer is for the requester."));
    }
    if request.released_at.is_none() {
        out.push(refuse(&[clause], "No answer was sent."));
    }
    out
}

fn sharing_refusals(request: &Request, sharing: &Sharing, ctx: &Context<'_>) -> Vec<Refusal> {
    let mut out = vec![];
    match sharing {
        Sharing::Share { image, fields, reasons } => {
            out.extend(need_words(
                reasons,
                Clause::O10,
                "Say why sharing this result is necessary and proportionate, and the public interest sufficient.",
            ));
            if !image && fields.is_empty() {
                out.push(refuse(&[Clause::O3, Clause::O4], "Choose what is shared, or withhold the match."));
            }
            if let Some(gallery) = request.gallery {
                let permitted = &ctx.policy.gallery(gallery).fields;
                for (field, why) in fields {
                    match permitted.iter().find(|r| r.field == *field) {
                        None => out.push(refuse(
                            &[Clause::O5, Clause::O6],
                            format!("The {} does not share: {}.", ctx.policy.gallery(gallery).name.to_lowercase(), field.label()),
                        )),
                        Some(rule) => out.extend(need_words(why, rule.clause, &format!("Say why this is needed: {}.", field.label()))),
                    }
                }
                for (n, (field, _)) in fields.iter().enumerate() {
                    if fields[..n].iter().any(|(f, _)| f == field) {
                        out.push(refuse(&[], format!("Chosen twice: {}.", field.label())));
                    }
                }
            }
        }
        Sharing::Withhold { reasons } => out.extend(need_words(reasons, Clause::O10, "Say why the match is withheld.")),
    }
    out
}

fn decide_review(request: &Request, result: ReviewResult, reasons: &str, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    let mut out = need_words(reasons, Clause::W5, "Give the reasons that the requester will read.");
    if request.reviews.last().is_none_or(|r| r.result.is_some()) {
        out.push(refuse(&[Clause::W2], "Nobody has asked for a review."));
    }
    let Some(actor) = ctx.actor else {
        return Err(out);
    };
    if request.deciders.contains(&actor.person) {
        out.push(refuse(&[Clause::W3], "A review is never decided by the person who made the decision."));
    }
    let leads = |team| ctx.register.teams.get(&team).is_some_and(|t| t.leader == Some(actor.person));
    let own_team = match request.decided_by_team {
        Some(team) => leads(team),
        None => actor.gallery == request.gallery && actor.team.is_some_and(leads),
    };
    if !own_team {
        out.push(refuse(&[Clause::W3], "Only the leader of the team that decided reviews it."));
    }
    let eligibility = request.state == State::Rejected || request.probes.iter().any(|p| matches!(p.state, ProbeState::Declined { .. }));
    if !eligibility && result != ReviewResult::OutOfScope {
        out.push(refuse(&[Clause::W4], "No decision on eligibility was made, so this is out of scope."));
    }
    if let Some(gallery) = request.gallery
        && actor.gallery != Some(gallery)
    {
        out.push(access::unknown());
    }
    let mut events = vec![Event::ReviewDecided { result, reasons: reasons.into() }];
    // Rejected at the door, it was never received: the clock starts now.
    if result == ReviewResult::Changed && request.received_at.is_none() {
        let due = calendar::after(ctx.today(), ctx.policy.answer_period(request.urgent()));
        events.push(Event::Received { due });
    }
    finish(events, out)
}

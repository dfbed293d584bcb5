//! intake: preparing, approving, receiving, rejecting, withdrawing (S1–S12, R2).

use super::{Context, finish, holder_refusals, need_words};
use crate::{
    calendar,
    clause::Clause,
    command::Command,
    event::Event,
    form::Form,
    record::GalleryId,
    refusal::{Refusal, refuse, refuse_field},
    request::Request,
};

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    match command {
        Command::Prepare { form, gallery, twin, replaces, same_investigation, image_seen_before } => {
            let leo = ctx.actor.and_then(|a| a.leo);
            let mut out = receivable(form, *gallery, twin.is_some(), ctx, leo);
            if same_investigation.is_some_and(|r| r != request.id) {
                out.push(refuse_field(
                    Clause::S2,
                    crate::form::Field::Investigation,
                    "Your force already has an open request for this investigation in this gallery. One form carries all its images.",
                ));
            }
            let Some(leo) = leo else { return Err(out) };
            finish(
                vec![Event::Prepared {
                    form: form.clone(),
                    gallery: *gallery,
                    leo,
                    twin: *twin,
                    replaces: *replaces,
                    image_seen_before: *image_seen_before,
                }],
                out,
            )
        }
        Command::Return { reasons } => {
            let mut out = not_own(request, ctx);
            out.extend(need_words(reasons, Clause::S9, "Say why you are returning it."));
            finish(vec![Event::Returned { reasons: reasons.clone() }], out)
        }
        Command::Approve => {
            let mut out = not_own(request, ctx);
            let Some(actor) = ctx.actor else {
                return Err(out);
            };
            let ranked = actor.rank.is_some_and(|r| r >= ctx.policy.approving_rank);
            if !ranked && !actor.may_approve_by_delegation {
                out.push(refuse(
                    &[Clause::S9],
                    format!("Approval needs the rank of {} or equivalent, or a recorded delegation.", ctx.policy.approving_rank.label()),
                ));
            }
            let mut events =
                vec![Event::Approved { rank: actor.rank, by_delegation: !ranked }, Event::Submitted { urgent: request.urgent() }];
            // S1 at the door: what was complete when it was prepared may no longer be (a lapsed
            // agreement, a template that was replaced meanwhile). Then it is rejected, saying everything.
            let missing = match (&request.form, request.gallery) {
                (Some(form), Some(gallery)) => receivable(form, gallery, request.twin.is_some(), ctx, request.leo),
                _ => vec![refuse(&[Clause::S1], "The form is not there.")],
            };
            events.push(if missing.is_empty() {
                let due = calendar::after(ctx.today(), ctx.policy.answer_period(request.urgent()));
                Event::Received { due }
            } else {
                Event::Rejected { missing, by: None, team: None }
            });
            finish(events, out)
        }
        Command::Withdraw { reason } => {
            let mut out = need_words(reason, Clause::S1, "Say why you are withdrawing it.");
            if ctx.actor.map(|a| a.person) != request.requester {
                out.push(refuse(&[Clause::S1], "Only the requester can withdraw it."));
            }
            finish(vec![Event::Withdrawn { reason: reason.clone() }], out)
        }
        Command::Reject { missing } => {
            let mut out = holder_refusals(request, ctx);
            if missing.is_empty() {
                out.push(refuse(&[Clause::S1], "Say what is missing. A request that is complete is assessed, not rejected."));
            }
            let mut told = vec![];
            for (field, words) in missing {
                out.extend(need_words(words, Clause::S1, &format!("Say what is missing in: {}.", field.label())));
                told.push(refuse_field(Clause::S1, *field, words.clone()));
            }
            if request.probes.iter().any(|p| p.state != crate::request::ProbeState::Pending) {
                out.push(refuse(&[Clause::S1], "An image of this request is already decided, so it was complete."));
            }
            let actor = ctx.actor.map(|a| (a.person, a.team));
            finish(vec![Event::Rejected { missing: told, by: actor.map(|a| a.0), team: actor.and_then(|a| a.1) }], out)
        }
        _ => Err(vec![]),
    }
}

/// Everything that stands in the way of receiving a form in a gallery.
fn receivable(form: &Form, gallery: GalleryId, has_twin: bool, ctx: &Context<'_>, leo: Option<crate::ids::LeoId>) -> Vec<Refusal> {
    let mut out = ctx.register.force_refusals(leo, gallery, ctx.today());
    out.extend(form.missing(ctx.policy));
    if let Some(n) = form.nationality {
        if !n.galleries().contains(&gallery) {
            out.push(refuse_field(
                Clause::S3,
                crate::form::Field::Nationality,
                format!("With that answer the request goes elsewhere than to {}.", ctx.policy.gallery(gallery).owner),
            ));
        } else if n.galleries().len() > 1 && !has_twin {
            out.push(refuse_field(
                Clause::S3,
                crate::form::Field::Nationality,
                "When you are unsure, a separate, linked request goes to each gallery.",
            ));
        }
    }
    out
}

fn not_own(request: &Request, ctx: &Context<'_>) -> Vec<Refusal> {
    if ctx.actor.map(|a| a.person) == request.requester {
        vec![refuse(&[Clause::S9], "The approver is a different person from the requester.")]
    } else {
        vec![]
    }
}

//! assess: clarification, findings, and the decision on each probe (A1–A10, O1).

use super::{Context, after, finish, holder_refusals, need_words, search::judged_by_another};
use crate::{
    assess::{Decision, Handling},
    calendar::{self, Period},
    clause::Clause,
    command::Command,
    event::{Authorisation, Event},
    refusal::{Refusal, refuse},
    request::{ProbeState, Request},
};

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    match command {
        Command::AskClarification { question } => {
            let mut out = holder_refusals(request, ctx);
            out.extend(need_words(question, Clause::A3, "Write the question."));
            finish(vec![Event::ClarificationAsked { question: question.clone() }], out)
        }
        Command::AnswerClarification { answer } => {
            let mut out = need_words(answer, Clause::A3, "Write the answer.");
            if ctx.actor.map(|a| a.person) != request.requester {
                out.push(refuse(&[Clause::A3], "Only the requester answers."));
            }
            finish(vec![Event::ClarificationAnswered { answer: answer.clone() }], out)
        }
        Command::Assess { probe, assessment, decision, authorisation } => {
            let mut out = holder_refusals(request, ctx);
            let (Some(p), Some(gallery), Some(actor)) = (request.probe(*probe), request.gallery, ctx.actor) else {
                out.push(refuse(&[], "There is no such image on this request."));
                return Err(out);
            };
            if p.state != ProbeState::Pending {
                out.push(refuse(&[], "Someone has already decided on this image."));
            }
            if actor.person == request.requester.unwrap_or(crate::ids::PersonId::fixed(0)) || Some(actor.person) == request.approver {
                out.push(refuse(&[Clause::R1], "Police do not assess their own request."));
            }
            let g = ctx.policy.gallery(gallery);
            out.extend(assessment.incomplete(g, request.sensitive));
            if request.form.as_ref().is_none_or(|f| !assessment.purposes.is_subset(&f.purposes)) {
                out.push(refuse(&[Clause::A6, Clause::S12], "Accept only purposes for which the force made the request."));
            }
            let image = request.image(*probe);
            let mut against = assessment.against(image);
            against.extend(ctx.running.and_then(|(running, _)| judged_by_another(image, running)));
            let mut events = vec![];
            if let Some(handling) = assessment.handling
                && request.handling != Some(handling)
                && !(request.handling == Some(Handling::Sensitive) && handling == Handling::Ordinary)
            {
                events.push(Event::HandlingChosen { handling });
            }
            match decision {
                Decision::Authorise => {
                    out.extend(against);
                    let expires = calendar::start_of(calendar::after(ctx.today(), Period::Days(ctx.policy.authorisation_days + 1)));
                    let Some((digest, face)) = image.and_then(|i| Some((i.digest, i.chosen?))) else {
                        return Err(out);
                    };
                    events.push(Event::Authorised {
                        assessment: assessment.clone(),
                        authorisation: Authorisation {
                            id: *authorisation,
                            probe: *probe,
                            digest,
                            face,
                            gallery,
                            purposes: assessment.purposes.clone(),
                            policy: ctx.policy.version.clone(),
                            expires,
                            by: actor.person,
                        },
                    });
                }
                Decision::Decline { explanation } => {
                    out.extend(need_words(explanation, Clause::O1, "Explain the decision to the force."));
                    let clauses = clauses(&against);
                    if clauses.is_empty() {
                        out.push(refuse(
                            &[Clause::O1, Clause::O9],
                            "Every criterion is met, so there is no ground to decline. A full queue is not one.",
                        ));
                    }
                    events.push(Event::Declined {
                        probe: *probe,
                        assessment: assessment.clone(),
                        clauses,
                        explanation: explanation.clone(),
                        by: actor.person,
                        team: actor.team,
                    });
                }
            }
            debug_assert!(!out.is_empty() || after(request, ctx, &events).probe(*probe).is_some_and(|p| p.state != ProbeState::Pending));
            finish(events, out)
        }
        _ => Err(vec![]),
    }
}

fn clauses(refusals: &[Refusal]) -> Vec<Clause> {
    let mut out: Vec<_> = refusals.iter().flat_map(|r| r.clauses.iter().copied()).collect();
    out.sort_unstable();
    out.dedup();
    out
}

//! search: using leave, once, before it expires, for what was assessed (M1, P1, P2).

use super::{Context, finish, holder_refusals};
use crate::{
    clause::Clause,
    command::Command,
    event::Event,
    limits::CANDIDATES_MAX,
    refusal::{Refusal, refuse},
    request::{ProbeState, Request, State},
};
use std::collections::BTreeSet;

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    match command {
        Command::StartSearch { probe } => {
            let mut out = holder_refusals(request, ctx);
            match request.probe(*probe).map(|p| &p.state) {
                Some(ProbeState::Authorised(a)) => {
                    if ctx.now >= a.expires {
                        out.push(refuse(&[Clause::M1], "Leave to search this image has expired. Assess it again."));
                    }
                    if request.image(*probe).is_none_or(|i| i.digest != a.digest || i.chosen != Some(a.face)) {
                        out.push(refuse(&[Clause::M1], "This is not the image and face that were assessed."));
                    }
                    if request.gallery != Some(a.gallery) {
                        out.push(refuse(&[Clause::M1], "Leave was given for another gallery."));
                    }
                    finish(vec![Event::SearchStarted { probe: *probe, authorisation: a.id }], out)
                }
                Some(ProbeState::Pending | ProbeState::Declined { .. }) => {
                    out.push(refuse(&[Clause::M1], "No search of this image is authorised."));
                    Err(out)
                }
                Some(_) => {
                    out.push(refuse(&[Clause::M1], "Leave to search this image was used."));
                    Err(out)
                }
                None => {
                    out.push(refuse(&[], "There is no such image on this request."));
                    Err(out)
                }
            }
        }
        Command::RecordSearch { probe, authorisation, facts, found } => {
            let mut out = at_work(request);
            match request.leave_to_search(*probe, *authorisation) {
                None => out.push(refuse(&[Clause::M1], "No such search was started.")),
                Some(leave) if ctx.now >= leave.authorisation().expires => {
                    out.push(refuse(&[Clause::M1], "Leave to search expired before the search was made."));
                }
                Some(_) => {}
            }
            if found.len() > CANDIDATES_MAX {
                out.push(refuse(
                    &[Clause::M1],
                    format!("A candidate list has at most {CANDIDATES_MAX} entries; this one has {}.", found.len()),
                ));
            }
            if !facts.threshold.is_finite() {
                out.push(refuse(&[Clause::M1, Clause::P1], "The threshold of a search is a number."));
            } else if found.iter().any(|f| !f.score.is_finite() || f.score < facts.threshold) {
                out.push(refuse(&[Clause::M1, Clause::P1], "A candidate below the threshold does not belong on the list."));
            }
            let ids: BTreeSet<_> = found.iter().map(|f| f.candidate).collect();
            let references: BTreeSet<_> = found.iter().map(|f| f.reference).collect();
            let known = request.probes.iter().flat_map(|p| &p.candidates);
            if ids.len() != found.len() || references.len() != found.len() || known.into_iter().any(|c| ids.contains(&c.id)) {
                out.push(refuse(&[Clause::M1], "A candidate is on the list twice."));
            }
            let mut events =
                vec![Event::Searched { probe: *probe, authorisation: *authorisation, facts: facts.clone(), listed: found.len() }];
            if !found.is_empty() {
                events.push(Event::Listed { probe: *probe, found: found.clone() });
            }
            finish(events, out)
        }
        Command::ExpireAuthorisation { probe } => {
            let mut out = at_work(request);
            match request.probe(*probe).map(|p| &p.state) {
                Some(ProbeState::Authorised(a) | ProbeState::Started(a)) if ctx.now >= a.expires => {}
                _ => out.push(refuse(&[Clause::M1], "Nothing has expired.")),
            }
            finish(vec![Event::AuthorisationExpired { probe: *probe }], out)
        }
        _ => Err(vec![]),
    }
}

/// A worker too changes only a request that is still with us: a search that ends after the force has
/// withdrawn is not recorded, and so cannot bring the request back.
fn at_work(request: &Request) -> Vec<Refusal> {
    if matches!(request.state, State::Assessing | State::Clarifying | State::Searching | State::Comparing) {
        vec![]
    } else {
        vec![refuse(&[Clause::M1], format!("No search belongs to this request now: it is {}.", request.state.label().to_lowercase()))]
    }
}

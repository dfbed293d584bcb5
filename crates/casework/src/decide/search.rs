//! search: using leave, once, before it expires, for what was assessed (M1, P1, P2).

use super::{Context, finish, holder_refusals};
use crate::{
    certificate::Running,
    clause::Clause,
    command::Command,
    event::Event,
    form::FormImage,
    limits::CANDIDATES_MAX,
    record::GalleryId,
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
                    out.extend(outside_the_setting(a.gallery, ctx));
                    out.extend(ctx.running.and_then(|(running, _)| judged_by_another(request.image(*probe), running)));
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
                Some(leave) => {
                    let gallery = leave.authorisation().gallery;
                    out.extend(judged_by_another(request.image(*probe), &facts.running));
                    match ctx.register.certified(gallery, &facts.running, facts.threshold, facts.searched, ctx.today()) {
                        Ok(held) if held.genuine == Some(facts.certificate) => {}
                        Ok(_) => out.push(refuse(&[Clause::P1], "The search names another certificate than the one that covers it.")),
                        Err(why) => out.extend(why),
                    }
                }
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

/// P1: nothing is searched outside the setting that was measured. Where the gallery is not open, this is
/// judged by the worker that has it: before it searches, and of what it records.
fn outside_the_setting(gallery: GalleryId, ctx: &Context<'_>) -> Vec<Refusal> {
    let Some((running, references)) = ctx.running else { return vec![] };
    let threshold = ctx.register.settings.get(&gallery).and_then(|s| s.threshold(&running.model)).unwrap_or_default();
    ctx.register.certified(gallery, running, threshold, references, ctx.today()).err().unwrap_or_default()
}

/// An image that was judged by another image specification than the one in force was not found fit for this search, and the
/// certificate does not speak of it. It is judged when the force sends the request, so the way on is a new request; until
/// then leave runs out, and it can be declined on this ground.
#[must_use]
pub fn judged_by_another(image: Option<&FormImage>, running: &Running) -> Option<Refusal> {
    let judged = image?.specification.map(|d| d.to_string());
    (judged.as_ref() != Some(&running.specification)).then(|| {
        refuse(
            &[Clause::P1, Clause::A3],
            "The image was judged by another image specification than the one in force (A3b). It is judged anew when the force sends the request again: this one can be declined on this ground.",
        )
    })
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

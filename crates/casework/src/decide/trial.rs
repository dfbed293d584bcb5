//! Known-answer trials: putting one before the examiners, and stopping it (P1, R1, M2).

use super::{Context, finish, need_words};
use crate::{
    calendar,
    clause::Clause,
    command::Command,
    event::Event,
    form::FormImage,
    limits::CANDIDATES_MAX,
    policy::GalleryPolicy,
    refusal::{Refusal, refuse},
    request::Request,
    trial::{CAME_IN_DAYS_MAX, Known, Material},
};
use jiff::ToSpan as _;
use std::collections::BTreeSet;

pub(super) fn decide(request: &Request, command: &Command, ctx: &Context<'_>) -> Result<Vec<Event>, Vec<Refusal>> {
    let Some(actor) = ctx.actor else {
        return Err(vec![]);
    };
    match command {
        Command::SeedTrial { material } => {
            let mut out = vec![];
            if request.version != 0 {
                out.push(refuse(&[], "This was put before the examiners already."));
            }
            let leads = actor.team.is_some_and(|t| ctx.register.teams.get(&t).is_some_and(|t| t.leader == Some(actor.person)));
            if !leads {
                out.push(refuse(&[Clause::R3], "Only the leader of a team puts a trial before examiners."));
            }
            let Some(gallery) = actor.gallery else {
                out.push(refuse(&[Clause::R3], "A trial belongs to a gallery's staff."));
                return Err(out);
            };
            let came_in = ctx.today().checked_sub(i64::from(material.words.came_in_days_ago).days()).unwrap_or(ctx.today());
            let due = calendar::after(came_in, ctx.policy.answer_period(material.words.urgent));
            if material.words.came_in_days_ago > CAME_IN_DAYS_MAX {
                out.push(refuse(&[Clause::P1], format!("It may look as if it came in at most {CAME_IN_DAYS_MAX} days ago.")));
            } else if due < ctx.today() {
                out.push(refuse(&[Clause::P1], "Its answer would be overdue from the start. Say fewer days."));
            }
            out.extend(incomplete(material, ctx.policy.gallery(gallery)));
            let event = Event::TrialSeeded { material: Box::new(material.as_ref().clone()), gallery, team: actor.team, came_in, due };
            finish(vec![event], out)
        }
        Command::StopTrial { reason } => {
            let mut out = need_words(reason, Clause::P1, "Say why the trial is stopped.");
            if request.trial.as_ref().is_none_or(|t| t.stopped.is_some()) {
                out.push(refuse(&[], "It is stopped already."));
            }
            finish(vec![Event::TrialStopped { reason: reason.clone() }], out)
        }
        _ => Err(vec![]),
    }
}

/// Everything that keeps it from being a trial, or would give it away.
fn incomplete(material: &Material, gallery: &GalleryPolicy) -> Vec<Refusal> {
    let words = &material.words;
    let mut out = need_words(&words.origin, Clause::P1, "Say where the pictures come from, and why they may be used for this.");
    out.extend(need_words(&words.offence, Clause::M2, "Say what happened, as the examiners are to read it."));
    out.extend(need_words(&words.person, Clause::M2, "Say what is known about the person, as the examiners are to read it."));
    if words.mode.is_none() {
        out.push(refuse(&[Clause::M2], "Choose whether it is an unidentified or a known person."));
    }
    if words.source.is_none() {
        out.push(refuse(&[Clause::M2], "Choose where the picture in the place of the request's image is to come from."));
    }
    match &material.probe {
        None => out.push(refuse(&[Clause::M2], "Add the picture that stands in the place of the image of a request.")),
        Some(image) => {
            // Casework never shows an examiner an image that could not be searched.
            if !image.usable() {
                out.push(refuse(
                    &[Clause::M2, Clause::A3],
                    "The picture in the place of the request's image does not meet the image specification, so no real request would show it.",
                ));
            }
        }
    }
    let n = material.candidates.len();
    if n == 0 || n > CANDIDATES_MAX {
        out.push(refuse(&[Clause::M2], format!("A trial has 1 to {CANDIDATES_MAX} candidates; this one has {n}.")));
    }
    for (n, known) in material.candidates.iter().enumerate() {
        out.extend(incomplete_candidate(n + 1, known, gallery));
    }
    let digests: BTreeSet<_> = material.images().map(|i: &FormImage| i.digest.0).collect();
    if digests.len() != material.images().count() {
        out.push(refuse(&[Clause::M2], "The same picture is there twice, which would give the trial away. Each stands once."));
    }
    let ids: BTreeSet<_> = material.candidates.iter().map(|c| c.candidate).collect();
    if ids.len() != n {
        out.push(refuse(&[], "A candidate is there twice."));
    }
    out
}

fn incomplete_candidate(number: usize, known: &Known, gallery: &GalleryPolicy) -> Vec<Refusal> {
    let mut out = vec![];
    if known.same_person.is_none() {
        out.push(refuse(&[Clause::P1], format!("Candidate {number}: say whether it is the same person.")));
    }
    if known.image.chosen.is_none() {
        out.push(refuse(&[Clause::M2], format!("Candidate {number}: the picture shows no face, or several.")));
    }
    let fields = &known.biography.0;
    if fields.values().all(|v| v.trim().is_empty()) {
        out.push(refuse(
            &[Clause::M2],
            format!("Candidate {number}: give at least one field of the record that the examiners are to read."),
        ));
    }
    for (field, value) in fields {
        if !gallery.fields.iter().any(|r| r.field == *field) {
            out.push(refuse(
                &[Clause::M2],
                format!("Candidate {number}: the {} has no field: {}.", gallery.name.to_lowercase(), field.label()),
            ));
        }
        let (length, max) = (value.chars().count(), crate::limits::TEXT_CHARS_MAX);
        if length > max {
            out.push(refuse(&[], format!("Candidate {number}: {} is {length} characters long; at most {max} fit.", field.label())));
        }
    }
    out
}

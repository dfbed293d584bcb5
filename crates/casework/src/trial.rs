//! Known-answer trials: how often each examiner is wrong, measured on pairs whose truth is known (P1, R1).
//!
//! A trial is a request without a force and without a search. A team leader puts pictures before the
//! examiners that were given for this; from then on it goes the way that every comparison goes (M2), by the
//! same commands and the same sheets, so an examiner cannot tell it from casework. Its probe is never
//! authorised, so no gallery is searched (M1), and nobody can hold or answer it, so nothing leaves. Every
//! header of it is marked, and folds of casework leave marked headers out.

use crate::{
    calendar,
    disclosure::Biography,
    event::Who,
    form::{Form, FormImage, Mode, Source},
    ids::{CandidateId, PersonId, ReferenceId},
    record::GalleryId,
    request::{Opinion, Probe, Request, State},
    review::Conclusion,
};
use jiff::{Timestamp, ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Days before today on which a trial may look as if it had come in.
pub const CAME_IN_DAYS_MAX: u8 = 30;

/// One candidate of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The opaque id that examiners see.
    pub candidate: CandidateId,
    /// The picture in the place of a held one.
    pub image: FormImage,
    /// The record in the place of a held biography; it should be invented.
    pub biography: Biography,
    /// The truth: whether the probe shows the same person.
    pub same_person: Option<bool>,
}

impl Known {
    /// What stands in the place of the held reference. No gallery holds it.
    #[must_use]
    pub fn reference(&self) -> ReferenceId {
        ReferenceId(self.candidate.0)
    }
}

/// What a leader writes of a trial: what the examiners read in a form's place, and how it is to look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// Where the pictures come from, and why they may be used for this. No examiner reads it.
    pub origin: String,
    /// Unidentified or known person.
    pub mode: Option<Mode>,
    /// Where the picture in the place of the request's image is to come from.
    pub source: Option<Source>,
    /// What happened.
    pub offence: String,
    /// What is known about the person.
    pub person: String,
    /// Whether it goes first in the queue, like an urgent request.
    pub urgent: bool,
    /// How many days ago it is to look as if it had come in.
    pub came_in_days_ago: u8,
}

/// What a leader puts before the examiners, and the truth of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Material {
    /// What is written of it.
    #[serde(flatten)]
    pub words: Words,
    /// The picture in the place of the image of a request.
    pub probe: Option<FormImage>,
    /// The candidates.
    pub candidates: Vec<Known>,
}

impl Material {
    /// Every picture.
    pub fn images(&self) -> impl Iterator<Item = &FormImage> {
        self.probe.iter().chain(self.candidates.iter().map(|c| &c.image))
    }

    /// What an examiner reads of it, in the form's place.
    #[must_use]
    pub(crate) fn form(&self) -> Form {
        Form {
            mode: self.words.mode,
            offence: self.words.offence.clone(),
            person: self.words.person.clone(),
            urgent: Some(self.words.urgent),
            images: self.probe.iter().map(|i| FormImage { source: self.words.source, ..i.clone() }).collect(),
            ..Form::new()
        }
    }
}

/// What makes a request a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What was put before the examiners; empty once the record is erased.
    pub material: Material,
    /// When it was put before them; none once the record is erased.
    pub seeded_at: Option<Timestamp>,
    /// Why it was stopped: then it counts for nothing.
    pub stopped: Option<String>,
}

impl Trial {
    /// What is known of a candidate.
    #[must_use]
    pub fn known(&self, candidate: CandidateId) -> Option<&Known> {
        self.material.candidates.iter().find(|k| k.candidate == candidate)
    }
}

impl Request {
    /// It begins where a comparison begins.
    pub(crate) fn seeded(&mut self, material: Material, came_in: Date, by: Who, at: Timestamp) {
        self.state = State::Comparing;
        self.received_at = Some(if came_in == calendar::london_date(at) { at } else { self.in_office_hours(came_in) });
        if let Who::Person(p) = by {
            self.requester = Some(p);
        }
        self.probes = material.probe.iter().map(|i| Probe::compared(i.probe, &material.candidates)).collect();
        self.form = Some(material.form());
        self.trial = Some(Trial { material, seeded_at: Some(at), stopped: None });
    }

    /// A moment between eight and six of a London date, drawn by its id: where a trial is to look as if it had come in.
    fn in_office_hours(&self, on: Date) -> Timestamp {
        let [a, b, c, d, ..] = *self.id.as_bytes();
        let seconds = 8 * 3600 + i64::from(u32::from_be_bytes([a, b, c, d])) % (10 * 3600);
        calendar::start_of(on).checked_add(seconds.seconds()).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn trial_stopped(&mut self, reason: String) {
        if self.state != State::Closed {
            self.state = State::Withdrawn;
        }
        if let Some(t) = &mut self.trial {
            t.stopped = Some(reason);
        }
    }
}

/// How often somebody was wrong where the truth is known. A confirmation takes both steps, as in casework:
/// a visual opinion that supports one person, and an informed conclusion that it is (M2). Who could not say
/// is neither right nor wrong, and is counted apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Pairs of two people that were decided.
    pub nonmated: u64,
    /// Of those, confirmed as one person.
    pub false_confirms: u64,
    /// Pairs of two people of which they could not say.
    pub nonmated_cannot_say: u64,
    /// Pairs of one person that were decided.
    pub mated: u64,
    /// Of those, not confirmed.
    pub misses: u64,
    /// Pairs of one person of which they could not say.
    pub mated_cannot_say: u64,
}

impl Tally {
    fn count(&mut self, same_person: bool, said: Said) {
        let (decided, wrong, open) = if same_person {
            (&mut self.mated, &mut self.misses, &mut self.mated_cannot_say)
        } else {
            (&mut self.nonmated, &mut self.false_confirms, &mut self.nonmated_cannot_say)
        };
        match said {
            Said::CannotSay => *open += 1,
            said => {
                *decided += 1;
                *wrong += u64::from((said == Said::Confirmed) != same_person);
            }
        }
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.nonmated += other.nonmated;
        self.false_confirms += other.false_confirms;
        self.nonmated_cannot_say += other.nonmated_cannot_say;
        self.mated += other.mated;
        self.misses += other.misses;
        self.mated_cannot_say += other.mated_cannot_say;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Confirmed,
    NotConfirmed,
    CannotSay,
}

fn said(opinion: &Opinion) -> Option<Said> {
    let visual = opinion.visual.as_ref()?;
    opinion.informed.as_ref()?;
    Some(match visual.conclusion {
        Conclusion::CannotSay => Said::CannotSay,
        _ if opinion.confirms() => Said::Confirmed,
        _ => Said::NotConfirmed,
    })
}

/// The trial of a request, once everybody has concluded on it and unless it was stopped: before that
/// nothing is compared with the truth, by anybody.
#[must_use]
pub fn concluded(request: &Request) -> Option<&Trial> {
    let over = matches!(request.state, State::Responding | State::Closed);
    request.trial.as_ref().filter(|t| over && t.stopped.is_none())
}

/// What each of the first two examiners of a concluded trial got right. A third is asked only where two
/// differ, so on the hard pairs; that would make whoever settles differences look worse, and is left out.
#[must_use]
pub fn tallies(request: &Request) -> BTreeMap<PersonId, Tally> {
    let mut out: BTreeMap<PersonId, Tally> = BTreeMap::new();
    let Some(trial) = concluded(request) else { return out };
    for p in &request.probes {
        let first = first_two(request, p);
        for c in &p.candidates {
            let Some(same_person) = trial.known(c.id).and_then(|k| k.same_person) else { continue };
            for (who, opinion) in c.opinions.iter().filter(|(who, _)| first.contains(who)) {
                if let Some(said) = said(opinion) {
                    out.entry(*who).or_default().count(same_person, said);
                }
            }
        }
    }
    out
}

/// What the whole procedure of M2 came to in a concluded trial: pairs of two people that were concluded to
/// be one, and pairs of one person that were not.
#[must_use]
pub fn procedure(request: &Request) -> Tally {
    let mut out = Tally::default();
    let Some(trial) = concluded(request) else { return out };
    for c in request.probes.iter().flat_map(|p| &p.candidates) {
        if let (Some(same_person), Some(matched)) = (trial.known(c.id).and_then(|k| k.same_person), c.matched) {
            out.count(same_person, if matched { Said::Confirmed } else { Said::NotConfirmed });
        }
    }
    out
}

/// How an examiner's conclusions stand beside the other first examiner's, in casework.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Candidates on which both concluded.
    pub compared: u64,
    /// Of those, where both came to the same conclusion.
    pub agreed: u64,
    /// Of those, where this examiner confirmed.
    pub confirmed: u64,
    /// Of those, where this examiner could not say at the visual step.
    pub cannot_say: u64,
    /// Differences that a third examiner settled.
    pub settled: u64,
    /// Of those, where the third came to this examiner's conclusion.
    pub upheld: u64,
}

impl Agreement {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.compared += other.compared;
        self.agreed += other.agreed;
        self.confirmed += other.confirmed;
        self.cannot_say += other.cannot_say;
        self.settled += other.settled;
        self.upheld += other.upheld;
    }
}

/// Where the first two examiners of a request agreed and where not, once people have concluded on the image;
/// nothing of a trial, and nothing while anybody is at work (M2).
#[must_use]
pub fn agreement(request: &Request) -> BTreeMap<PersonId, Agreement> {
    let mut out: BTreeMap<PersonId, Agreement> = BTreeMap::new();
    let at_work = matches!(request.state, State::Assessing | State::Clarifying | State::Searching | State::Comparing);
    if request.trial.is_some() || at_work {
        return out;
    }
    for p in &request.probes {
        let first = first_two(request, p);
        let third = p.examiners.iter().map(|e| e.person).find(|e| !first.contains(e) && !request.conflicted.contains(e));
        for c in p.candidates.iter().filter(|c| c.matched.is_some()) {
            let whole = |who: &PersonId| c.opinions.get(who).filter(|o| o.visual.is_some() && o.informed.is_some());
            let both: Vec<_> = first.iter().filter_map(|who| Some((*who, whole(who)?))).collect();
            let [(a, of_a), (b, of_b)] = both.as_slice() else { continue };
            let settled = third.as_ref().and_then(whole).map(Opinion::confirms);
            for (who, own, other) in [(a, of_a, of_b), (b, of_b, of_a)] {
                let entry = out.entry(*who).or_default();
                entry.compared += 1;
                entry.agreed += u64::from(own.confirms() == other.confirms());
                entry.confirmed += u64::from(own.confirms());
                entry.cannot_say += u64::from(own.visual.as_ref().is_some_and(|v| v.conclusion == Conclusion::CannotSay));
                if let Some(third) = settled.filter(|_| own.confirms() != other.confirms()) {
                    entry.settled += 1;
                    entry.upheld += u64::from(own.confirms() == third);
                }
            }
        }
    }
    out
}

/// The two whose opinions were asked on every candidate, unless they had a conflict of interest.
fn first_two(request: &Request, probe: &Probe) -> BTreeSet<PersonId> {
    let two = probe.examiners.iter().take(crate::limits::CONFIRMATIONS_MIN).map(|e| e.person);
    two.filter(|e| !request.conflicted.contains(e)).collect()
}

/// The gallery whose staff a leader may put a trial before.
#[must_use]
pub fn gallery_of(actor: &crate::people::Actor) -> Option<GalleryId> {
    actor.gallery.filter(|_| actor.has(crate::people::Role::TeamLeader))
}

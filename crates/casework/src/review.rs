//! Comparing faces: what examiners say, and what two of them add up to (M2, M3).

use crate::{
    clause::Clause,
    event::Event,
    ids::{CandidateId, PersonId, ProbeId},
    image_log::ImageLog,
    limits::{CONFIRMATIONS_MIN, EXAMINERS_MAX},
    refusal::{Refusal, refuse},
    request::{Examiner, Probe, ProbeState, Request},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The scale of a visual conclusion, in our own words.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Conclusion {
    /// Clear differences that cannot be explained.
    StronglyDifferent,
    /// More speaks for two people than for one.
    Different,
    /// The images do not let anyone tell. A respectable answer.
    CannotSay,
    /// More speaks for one person than for two.
    Same,
    /// Clear agreement in detail, and no difference that cannot be explained.
    StronglySame,
}

impl Conclusion {
    /// Whether it supports that both images show one person.
    #[must_use]
    pub fn supports_same(self) -> bool {
        matches!(self, Self::Same | Self::StronglySame)
    }
    /// The step in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::StronglyDifferent => "Strong support for different people",
            Self::Different => "Some support for different people",
            Self::CannotSay => "Cannot say",
            Self::Same => "Some support for the same person",
            Self::StronglySame => "Strong support for the same person",
        }
    }
    /// What the step means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::StronglyDifferent => "Clear differences that angle, light, age or image quality cannot explain.",
            Self::Different => "More speaks for two people than for one.",
            Self::CannotSay => "The images do not let you tell either way. This is a good answer when it is true.",
            Self::Same => "More speaks for one person than for two.",
            Self::StronglySame => "Agreement in fine detail, and no difference that cannot be explained.",
        }
    }
}

/// A part of the face on the checklist, in our own words after FISWG and ASTM E3149.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Component {
    /// Outline and proportions of the whole face.
    Outline,
    /// Hairline and forehead.
    Forehead,
    /// Eyebrows.
    Eyebrows,
    /// Eyes and lids.
    Eyes,
    /// Nose.
    Nose,
    /// Mouth and lips.
    Mouth,
    /// Chin and jaw.
    Jaw,
    /// Cheeks.
    Cheeks,
    /// Ears.
    Ears,
    /// Lines and creases.
    Lines,
    /// Scars, moles and other marks.
    Marks,
}

impl Component {
    /// The part and what to look at.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Outline => "Outline and proportions",
            Self::Forehead => "Hairline and forehead",
            Self::Eyebrows => "Eyebrows",
            Self::Eyes => "Eyes and lids",
            Self::Nose => "Nose",
            Self::Mouth => "Mouth and lips",
            Self::Jaw => "Chin and jaw",
            Self::Cheeks => "Cheeks",
            Self::Ears => "Ears",
            Self::Lines => "Lines and creases",
            Self::Marks => "Scars, moles and other marks",
        }
    }
}

/// What the examiner sees in one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Agreement {
    /// Alike.
    Alike,
    /// Different.
    Different,
    /// Not visible in one of the images.
    NotVisible,
}

/// A blind visual opinion: given before anything but the two images was shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visual {
    /// On the scale.
    pub conclusion: Conclusion,
    /// The checklist, component by component.
    pub components: BTreeMap<Component, Agreement>,
    /// In the examiner's own words.
    pub words: String,
    /// What was done to the pictures before it was given.
    #[serde(default)]
    pub image_log: ImageLog,
}

/// An informed conclusion: after the force's information and the held biography were read (M2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Informed {
    /// Whether both images show one person.
    pub same_person: bool,
    /// Why; what was confirmed or changed.
    pub reasons: String,
    /// What was done to the pictures before it was given.
    #[serde(default)]
    pub image_log: ImageLog,
}

impl Visual {
    /// What keeps it from being an opinion.
    #[must_use]
    pub fn incomplete(&self) -> Vec<Refusal> {
        let mut out = vec![];
        if self.components.values().all(|a| *a == Agreement::NotVisible) && self.conclusion != Conclusion::CannotSay {
            out.push(refuse(&[Clause::M2], "Compare at least one part of the face, or conclude that you cannot say."));
        }
        if self.words.trim().is_empty() {
            out.push(refuse(&[Clause::M2], "Say in a few words what you saw."));
        }
        out
    }
}

/// What an examiner may know of one candidate. The type holds nothing else, so nothing else can leak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlindCandidate {
    /// The opaque id.
    pub id: CandidateId,
    /// Their own visual opinion, once given.
    pub visual: Option<Visual>,
    /// Their own informed conclusion, once given.
    pub informed: Option<Informed>,
}

/// What an examiner may know of a probe: the same bytes whatever another examiner did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlindSheet {
    /// The probe.
    pub probe: ProbeId,
    /// The candidates asked of this examiner, in their own order.
    pub candidates: Vec<BlindCandidate>,
    /// The examiner's own version: how many opinions they gave.
    pub version: u64,
}

/// The sheet of one examiner, or `None` when they do not examine this probe.
#[must_use]
pub fn sheet(request: &Request, probe: ProbeId, examiner: PersonId) -> Option<BlindSheet> {
    let p = request.probe(probe)?;
    p.examiners.iter().find(|e| e.person == examiner)?;
    let mut version = 0;
    let candidates = p
        .asked_of(examiner)
        .into_iter()
        .map(|id| {
            let own = p.candidate(id).and_then(|c| c.opinions.get(&examiner)).cloned().unwrap_or_default();
            version += u64::from(own.visual.is_some()) + u64::from(own.informed.is_some());
            BlindCandidate { id, visual: own.visual, informed: own.informed }
        })
        .collect();
    Some(BlindSheet { probe, candidates, version })
}

/// Whether an examiner has locked a visual opinion on every candidate asked of them, and so may see what
/// the force says and the held biographies.
#[must_use]
pub fn ready_to_be_informed(request: &Request, probe: ProbeId, examiner: PersonId) -> bool {
    let looked = |p: &Probe| {
        let opinion = |id| p.candidate(id).and_then(|c| c.opinions.get(&examiner));
        p.asked_of(examiner).into_iter().all(|id| opinion(id).is_some_and(|o| o.visual.is_some()))
    };
    // On every image of the request that they examine: the story is the same for all of them.
    sheet(request, probe, examiner).is_some_and(|s| !s.candidates.is_empty())
        && request.probes.iter().filter(|p| p.examiners.iter().any(|e| e.person == examiner)).all(looked)
}

/// Whether an examiner has yet to finish a comparison of this probe.
#[must_use]
pub fn unfinished(probe: &Probe, examiner: PersonId) -> bool {
    matches!(probe.state, ProbeState::Comparing | ProbeState::Adjudicating(_))
        && probe.examiners.iter().any(|e| e.person == examiner && !finished(probe, e))
}

fn finished(probe: &Probe, e: &Examiner) -> bool {
    e.order.iter().all(|id| probe.candidate(*id).and_then(|c| c.opinions.get(&e.person)).is_some_and(|o| o.informed.is_some()))
}

/// Whether a further examiner is wanted on a probe.
#[must_use]
pub fn wants_examiner(probe: &Probe) -> bool {
    match &probe.state {
        ProbeState::Comparing => probe.examiners.len() < 2,
        ProbeState::Adjudicating(_) => probe.examiners.len() < EXAMINERS_MAX,
        _ => false,
    }
}

/// The candidates that the next examiner would be asked about.
#[must_use]
pub fn in_question(probe: &Probe) -> Vec<CandidateId> {
    match &probe.state {
        ProbeState::Adjudicating(ids) => ids.clone(),
        _ => probe.candidates.iter().filter(|c| c.matched.is_none()).map(|c| c.id).collect(),
    }
}

/// What the opinions given so far lead to: conclusions, or an adjudication; nothing while somebody is still at
/// work, and nothing about a confirmed candidate whose reference is gone.
#[must_use]
pub fn consequences(probe: &Probe) -> Vec<Event> {
    let needed = match probe.state {
        ProbeState::Comparing => 2,
        ProbeState::Adjudicating(_) => 3,
        _ => return vec![],
    };
    if probe.examiners.len() < needed || !probe.examiners.iter().all(|e| finished(probe, e)) {
        return vec![];
    }
    let mut out = vec![];
    let mut disputed = vec![];
    for c in probe.candidates.iter().filter(|c| c.matched.is_none()) {
        let confirmed_by: Vec<PersonId> = c.opinions.iter().filter(|(_, o)| o.confirms()).map(|(p, _)| *p).collect();
        let says_same = c.opinions.values().filter(|o| o.informed.as_ref().is_some_and(|i| i.same_person)).count();
        let matched = confirmed_by.len() >= CONFIRMATIONS_MIN;
        if !matched && says_same > 0 && needed == 2 {
            disputed.push(c.id);
            continue;
        }
        // Two people confirmed it, but who it is is gone: no conclusion is true of it, so there is none.
        if matched && c.reference.is_none() {
            continue;
        }
        out.push(Event::Concluded {
            probe: probe.id,
            candidate: c.id,
            reference: if matched { c.reference } else { None },
            confirmed_by: if matched { confirmed_by } else { vec![] },
        });
    }
    if !disputed.is_empty() {
        out.push(Event::AdjudicationOpened { probe: probe.id, candidates: disputed });
    }
    out
}

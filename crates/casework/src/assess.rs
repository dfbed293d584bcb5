//! Assessment: one finding per criterion, each with its own reasons, before any search (A1–A10).

use crate::{
    clause::Clause,
    crime::SeriousCrimeTest,
    form::{FormImage, Purpose},
    policy::GalleryPolicy,
    refusal::{Refusal, refuse},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use strum::IntoEnumIterator;

/// A criterion of the guidance that gets a finding of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Criterion {
    /// A2.
    Importance,
    /// A3 (a).
    Connection,
    /// A3 (b).
    ImageUsable,
    /// A3 (c): looked at; having none is not a failure.
    Biography,
    /// A4.
    Exhausted,
    /// A5.
    Balance,
    /// A6.
    Threshold,
    /// A8.
    Extent,
    /// A10.
    Rights,
}

impl Criterion {
    /// Its clause.
    #[must_use]
    pub fn clause(self) -> Clause {
        match self {
            Self::Importance => Clause::A2,
            Self::Connection | Self::ImageUsable | Self::Biography => Clause::A3,
            Self::Exhausted => Clause::A4,
            Self::Balance => Clause::A5,
            Self::Threshold => Clause::A6,
            Self::Extent => Clause::A8,
            Self::Rights => Clause::A10,
        }
    }

    /// The question the assessor answers.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::Importance => "Does the search serve an important objective in the public interest?",
            Self::Connection => "Is there a rational connection between the search and its purpose?",
            Self::ImageUsable => "Is the image usable, and does it meet the requirements?",
            Self::Biography => "Have you looked at any biographical information, which might show whether the person is likely to be held?",
            Self::Exhausted => "Have less intrusive ways been looked at and exhausted?",
            Self::Balance => "Does the benefit outweigh the intrusion on everyone in the gallery, matched or not?",
            Self::Threshold => "Is it for serious crime, national security, or preventing serious risk to life?",
            Self::Extent => "Weighing the people affected and the harm, is the public interest sufficient to share?",
            Self::Rights => "Is the whole in line with the Human Rights Act 1998, the Data Protection Act 2018 and equalities law?",
        }
    }

    /// What the force is told when it is not met.
    #[must_use]
    pub fn not_met(self) -> &'static str {
        match self {
            Self::Importance => "The search was not found to serve an important objective in the public interest.",
            Self::Connection => "No rational connection was found between the search and its purpose.",
            Self::ImageUsable => "The image is not usable or does not meet the requirements.",
            Self::Biography => "The biographical information was not looked at.",
            Self::Exhausted => "Less intrusive ways of identifying the person were not exhausted.",
            Self::Balance => "The benefit was not found to outweigh the intrusion on everyone in the gallery.",
            Self::Threshold => {
                "The request is below the threshold: it is not for serious crime, national security or preventing serious risk to life."
            }
            Self::Extent => "The public interest was not found sufficient to share the information.",
            Self::Rights => "The request was not found to be in line with human rights, data protection and equalities law.",
        }
    }
}

/// What the assessor finds on one criterion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it is met; `None` while unanswered.
    pub met: Option<bool>,
    /// Why, in the assessor's own words.
    pub reasons: String,
}

/// How a request is handled after section 8 was read (A9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Handling {
    /// Nobody suspects that the person may be vulnerable.
    Ordinary,
    /// Need to know, named recipient, permission before it is passed on (V1–V3).
    Sensitive,
}

/// The assessor's work on one probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Assessment {
    /// The gallery's legal basis relied on (A1).
    pub legal_basis: String,
    /// A finding for each criterion.
    pub findings: BTreeMap<Criterion, Finding>,
    /// The purposes the assessor accepts (A6).
    pub purposes: BTreeSet<Purpose>,
    /// The serious-crime test as the assessor answers it (A7).
    pub crime: SeriousCrimeTest,
    /// Whether section 8 was read (A9).
    pub section_8_read: bool,
    /// The handling chosen (A9).
    pub handling: Option<Handling>,
}

impl Assessment {
    /// What is not yet answered, whatever the decision: each criterion needs a finding with reasons.
    #[must_use]
    pub fn incomplete(&self, gallery: &GalleryPolicy, suspected: bool) -> Vec<Refusal> {
        let mut out = vec![];
        if !gallery.legal_bases.iter().any(|b| b.id == self.legal_basis) {
            out.push(refuse(&[Clause::A1], format!("Choose a legal basis of the {}.", gallery.name.to_lowercase())));
        }
        for c in Criterion::iter() {
            let f = self.findings.get(&c);
            if f.is_none_or(|f| f.met.is_none()) {
                out.push(refuse(&[c.clause()], format!("Answer: {}", c.question())));
            }
            if f.is_none_or(|f| f.reasons.trim().is_empty()) {
                out.push(refuse(&[c.clause()], format!("Give your reasons: {}", c.question())));
            }
        }
        if self.findings.get(&Criterion::Biography).is_some_and(|f| f.met == Some(false)) {
            out.push(refuse(&[Clause::A3], "Look at any biographical information before you decide. Having none is not a failure."));
        }
        if !self.section_8_read {
            out.push(refuse(&[Clause::A9], "Read section 8 and say that you have."));
        }
        match self.handling {
            None => out.push(refuse(&[Clause::A9], "Choose how the request is handled.")),
            Some(Handling::Ordinary) if suspected => {
                out.push(refuse(&[Clause::A9, Clause::V0], "The person may be vulnerable, so the request is handled sensitively."))
            }
            Some(_) => {}
        }
        out
    }

    /// Everything that stands in the way of a search, by clause.
    #[must_use]
    pub fn against(&self, image: Option<&FormImage>) -> Vec<Refusal> {
        let mut out = vec![];
        for (c, f) in &self.findings {
            if f.met == Some(false) && *c != Criterion::Biography {
                out.push(refuse(&[c.clause()], c.not_met()));
            }
        }
        if self.purposes.is_empty() {
            out.push(refuse(&[Clause::A6], Criterion::Threshold.not_met()));
        }
        if self.purposes.iter().all(|p| *p == Purpose::SeriousCrime)
            && !self.purposes.is_empty()
            && let Err(failed) = self.crime.run()
        {
            for limb in failed {
                out.push(refuse(&[Clause::A6, Clause::A7], format!("It is not a serious crime; {}.", limb.words())));
            }
        }
        if image.is_none_or(|i| !i.usable()) {
            let mut why = "The image does not meet the requirements for a search.".to_owned();
            for note in image.into_iter().flat_map(FormImage::blocked) {
                why.push(' ');
                why.push_str(&note.advice);
            }
            out.push(refuse(&[Clause::A3], why));
        }
        out
    }
}

/// What the assessor decides on one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Search it.
    Authorise,
    /// Do not, and say why.
    Decline {
        /// In plain words, to the force (O1).
        explanation: String,
    },
}

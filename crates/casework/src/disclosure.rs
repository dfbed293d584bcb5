//! What leaves. A [`Disclosure`] can only be made from doubly confirmed, decided candidates and the
//! field list of the gallery; everything that leaves goes through it (M2, M3, O1–O8, V2, V3).

use crate::{
    clause::Clause,
    event::Sharing,
    form::{Mode, Purpose},
    ids::{CandidateId, ProbeId, ReferenceId, RequestId},
    limits::CONFIRMATIONS_MIN,
    policy::{BioField, Policy},
    record::GalleryId,
    refusal::{Refusal, refuse},
    request::{Outcome, ProbeState, Request},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A held biography: what is known of a reference, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Biography(pub BTreeMap<BioField, String>);

/// One person as disclosed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// The opaque candidate id, to fetch the image by.
    pub candidate: CandidateId,
    /// The reference whose image is shared; never serialised.
    #[serde(skip)]
    pub image_of: Option<ReferenceId>,
    /// Whether the image is shared.
    pub image: bool,
    /// Field, label and value, in the gallery's order.
    pub fields: Vec<(BioField, &'static str, String)>,
}

/// The answer on one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeAnswer {
    /// The image.
    pub probe: ProbeId,
    /// In one word.
    pub outcome: Outcome,
    /// What the force reads.
    pub words: String,
    /// The clauses it cites.
    pub clauses: Vec<Clause>,
    /// The people shared.
    pub shared: Vec<Shared>,
}

/// Everything that leaves for one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disclosure {
    request: RequestId,
    gallery: GalleryId,
    recipient: String,
    outcome: Outcome,
    probes: Vec<ProbeAnswer>,
    conditions: Vec<(Clause, String)>,
}

impl Disclosure {
    /// The request it answers.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }
    /// The named person it goes to.
    #[must_use]
    pub fn recipient(&self) -> &str {
        &self.recipient
    }
    /// The answer in one word.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
    /// The answer on each image.
    #[must_use]
    pub fn probes(&self) -> &[ProbeAnswer] {
        &self.probes
    }
    /// What the force must do with it, with clauses.
    #[must_use]
    pub fn conditions(&self) -> &[(Clause, String)] {
        &self.conditions
    }
    /// The person shared under a candidate id whose image is shared.
    #[must_use]
    pub fn image_of(&self, candidate: CandidateId) -> Option<ReferenceId> {
        self.probes.iter().flat_map(|p| &p.shared).find(|s| s.candidate == candidate && s.image)?.image_of
    }

    /// Makes the disclosure from the request as decided and the biographies of its shared references.
    /// A field that was chosen but is not held is left out.
    ///
    /// # Errors
    /// Everything that stands in the way: a probe without an end, a match without two confirmations, a
    /// field outside the gallery's list.
    pub fn assemble(request: &Request, biographies: &BTreeMap<ReferenceId, Biography>, policy: &Policy) -> Result<Self, Vec<Refusal>> {
        let found = refusals(request, policy);
        let (Some(gallery), true) = (request.gallery, found.is_empty()) else {
            return Err(found);
        };
        let mode = request.mode();
        let probes = request.probes.iter().map(|p| {
            let mut shared = vec![];
            let mut withheld = false;
            for c in p.matches() {
                match (&c.sharing, c.reference) {
                    (Some(Sharing::Share { image, fields, .. }), Some(reference)) => {
                        let held = biographies.get(&reference).cloned().unwrap_or_default();
                        let mut chosen: Vec<_> = policy.gallery(gallery).fields.iter()
                            .filter(|r| fields.iter().any(|(f, _)| *f == r.field))
                            .filter_map(|r| held.0.get(&r.field).map(|v| (r.field, r.field.label(), v.clone())))
                            .collect();
                        chosen.dedup_by_key(|(f, _, _)| *f);
                        shared.push(Shared { candidate: c.id, image_of: Some(reference), image: *image, fields: chosen });
                    }
                    _ => withheld = true,
                }
            }
            let (outcome, words, clauses) = match &p.state {
                ProbeState::Declined { clauses, explanation, .. } => (Outcome::Declined, explanation.clone(), clauses.clone()),
                _ if !shared.is_empty() => match mode {
                    Some(Mode::Known) => (Outcome::Match, "The image matched the person or persons below. Use the details to confirm whether the identities relate to the same person.".into(), vec![Clause::O4]),
                    _ => (Outcome::Match, "Two members of staff confirmed that the image matches the person below.".into(), vec![Clause::O3]),
                },
                _ if withheld => (Outcome::Withheld, "The Home Office is not able to share a result for this image.".into(), vec![Clause::O10]),
                _ => (Outcome::NoMatch, NO_MATCH.into(), vec![Clause::O2]),
            };
            ProbeAnswer { probe: p.id, outcome, words, clauses, shared }
        }).collect();
        Ok(Self {
            request: request.id,
            gallery,
            recipient: request.recipient.clone().or_else(|| request.form.as_ref().map(|f| f.recipient.clone())).unwrap_or_default(),
            outcome: request.answer(),
            probes,
            conditions: conditions(request),
        })
    }
}

/// O2's sentence.
pub const NO_MATCH: &str = "The image could not be matched. This does not mean that the person is not held on either of the HM Passport Office or UK Visas and Immigration databases, only that the image could not be matched.";

fn conditions(request: &Request) -> Vec<(Clause, String)> {
    let purposes: Vec<&str> = request.form.iter().flat_map(|f| f.purposes.iter().copied()).map(Purpose::label).collect();
    let mut out = vec![];
    if request.answer() == Outcome::Match {
        out.push((Clause::O8, format!("Use this only for the purpose for which the request was made: {}.", purposes.join("; "))));
        out.push((Clause::L2, "Store it as your Data Sharing Agreement says, keep it only while it is necessary, then destroy it.".into()));
        out.push((Clause::L3, "If the person turns out not to be relevant, delete it immediately.".into()));
        out.push((
            Clause::L4,
            "Share it with another organisation only where that is lawful and within the policy and your agreement.".into(),
        ));
        if request.sensitive {
            out.push((
                Clause::V3,
                "This is sensitive. It is for the named recipient only: ask us before it is passed on to anybody.".into(),
            ));
        }
    }
    out
}

/// Everything that stands in the way of a disclosure, asked of the request as it stands.
#[must_use]
pub fn refusals(request: &Request, policy: &Policy) -> Vec<Refusal> {
    let mut out = vec![];
    let Some(gallery) = request.gallery else {
        return vec![refuse(&[], "There is no request.")];
    };
    for p in &request.probes {
        if !p.ended() {
            out.push(refuse(&[Clause::O10], "An image has not come to its end."));
        }
        for c in &p.candidates {
            if let Some(Sharing::Share { fields, .. }) = &c.sharing {
                let people: BTreeSet<_> = c.confirmed_by.iter().filter(|e| c.opinions.get(e).is_some_and(|o| o.confirms())).collect();
                if c.matched != Some(true) || people.len() < CONFIRMATIONS_MIN {
                    out.push(refuse(&[Clause::M2, Clause::M3], "A candidate is not confirmed by two people."));
                }
                if fields.iter().any(|(f, _)| !policy.gallery(gallery).fields.iter().any(|r| r.field == *f)) {
                    out.push(refuse(&[Clause::O5, Clause::O6], "A field is not among those the gallery shares."));
                }
            }
        }
    }
    out
}

//! What leaves. A [`Disclosure`] can only be made from doubly confirmed, decided candidates and the
//! field list of the gallery; everything that leaves goes through it (M2, M3, O1–O8, V2, V3).

use crate::{
    clause::Clause,
    event::Sharing,
    form::{Mode, Purpose},
    ids::{BlobId, CandidateId, Digest, PersonId, ProbeId, RequestId},
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

/// What the gallery holds of a match whose person is shared. One person may match two images, and less be
/// shared on one than on the other, so it is kept by candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// What is known of the person.
    pub biography: Biography,
    /// Whether there is a picture; a synthetic reference has none.
    pub picture: bool,
}

/// One person as disclosed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The opaque candidate id, to fetch the image by.
    pub candidate: CandidateId,
    /// Whether the image is shared, and there is one.
    pub image: bool,
    /// Field, label and value, in the gallery's order.
    pub fields: Vec<(BioField, String, String)>,
}

/// The answer on one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Everything that leaves for one request. It is assembled from what was decided, or read back from what
/// was sealed when it left; there is no third way to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Disclosure(Parts);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    request: RequestId,
    gallery: GalleryId,
    requester: PersonId,
    recipient: String,
    outcome: Outcome,
    probes: Vec<ProbeAnswer>,
    conditions: Vec<(Clause, String)>,
}

/// A picture that left with an answer: a sealed blob of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Whose it is.
    pub candidate: CandidateId,
    /// The blob.
    pub blob: BlobId,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// An answer as it leaves, to be sealed: nothing that changes in the galleries or the policy later
/// changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The disclosure as JSON.
    text: String,
    /// Its pictures.
    pictures: Vec<Picture>,
}

impl Sealed {
    /// An answer with its pictures.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which no disclosure is known to do.
    pub fn new(answer: &Disclosure, pictures: Vec<Picture>) -> Result<Self, serde_json::Error> {
        Ok(Self { text: serde_json::to_string(answer)?, pictures })
    }

    /// The bytes that its digest covers.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The picture of a candidate, where one left.
    #[must_use]
    pub fn picture(&self, candidate: CandidateId) -> Option<Picture> {
        self.pictures.iter().find(|p| p.candidate == candidate).copied()
    }

    /// Whether it is what the request, as decided, leads to: the same people, fields, words and
    /// conditions, to the letter, for the one who asked. Values come from the galleries; which values leave
    /// is what is asked here.
    #[must_use]
    pub fn fits(&self, request: &Request, policy: &Policy) -> bool {
        let Ok(said) = serde_json::from_str::<Parts>(&self.text) else { return false };
        let mut held: BTreeMap<CandidateId, Held> = BTreeMap::new();
        for s in said.probes.iter().flat_map(|p| &p.shared) {
            let biography = Biography(s.fields.iter().map(|(f, _, value)| (*f, value.clone())).collect());
            held.insert(s.candidate, Held { biography, picture: self.picture(s.candidate).is_some() });
        }
        let pictured = said.probes.iter().flat_map(|p| &p.shared).filter(|s| s.image).count();
        let again = Disclosure::assemble(request, &held, &said.recipient, policy).and_then(|d| Self::new(&d, vec![]).map_err(|_| vec![]));
        again.is_ok_and(|again| again.text == self.text) && pictured == self.pictures.len()
    }
}

impl Disclosure {
    /// The answer as it was released, read from what was sealed then; `None` before that, and once its
    /// class is erased.
    #[must_use]
    pub fn released(request: &Request) -> Option<Self> {
        serde_json::from_str(&request.disclosed.as_ref()?.text).ok().map(Self)
    }
    /// The request it answers.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.0.request
    }
    /// The name of the person it goes to.
    #[must_use]
    pub fn recipient(&self) -> &str {
        &self.0.recipient
    }
    /// The answer in one word.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }
    /// The answer on each image.
    #[must_use]
    pub fn probes(&self) -> &[ProbeAnswer] {
        &self.0.probes
    }
    /// What the force must do with it, with clauses.
    #[must_use]
    pub fn conditions(&self) -> &[(Clause, String)] {
        &self.0.conditions
    }
    /// What must be done with it besides its own conditions, as the request stands now: `sensitive` may have
    /// become true after it left, and what was sealed then does not say so (V0, V3).
    #[must_use]
    pub fn besides(&self, sensitive: bool) -> Vec<(Clause, String)> {
        let said = self.0.conditions.iter().any(|(clause, _)| *clause == Clause::V3);
        if sensitive && !said { vec![onward()] } else { vec![] }
    }
    /// Makes the disclosure from the request as decided and what is held of its shared candidates; `name`
    /// is the requester's. A field or picture that was chosen but is not held is left out.
    ///
    /// # Errors
    /// Everything that stands in the way: a probe without an end, a match without two confirmations, a
    /// field outside the gallery's list.
    pub fn assemble(request: &Request, held: &BTreeMap<CandidateId, Held>, name: &str, policy: &Policy) -> Result<Self, Vec<Refusal>> {
        let found = refusals(request, policy);
        let (Some(gallery), Some(requester), true) = (request.gallery, request.requester, found.is_empty()) else {
            return Err(found);
        };
        let mode = request.mode();
        let probes = request.probes.iter().map(|p| {
            let mut shared = vec![];
            let mut withheld = false;
            for c in p.matches() {
                match (&c.sharing, c.reference) {
                    (Some(Sharing::Share { image, fields, .. }), Some(_)) => {
                        let held = held.get(&c.id).cloned().unwrap_or_default();
                        let mut chosen: Vec<_> = policy.gallery(gallery).fields.iter()
                            .filter(|r| fields.iter().any(|(f, _)| *f == r.field))
                            .filter_map(|r| held.biography.0.get(&r.field).map(|v| (r.field, r.field.label().to_owned(), v.clone())))
                            .collect();
                        chosen.dedup_by_key(|(f, _, _)| *f);
                        shared.push(Shared { candidate: c.id, image: *image && held.picture, fields: chosen });
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
        Ok(Self(Parts {
            request: request.id,
            gallery,
            requester,
            recipient: name.into(),
            outcome: request.answer(),
            probes,
            conditions: conditions(request),
        }))
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
            out.push(onward());
        }
    }
    out
}

fn onward() -> (Clause, String) {
    (Clause::V3, "This is sensitive. It is for the named recipient only: ask us before it is passed on to anybody.".into())
}

/// Everything that stands in the way of a disclosure, asked of the request as it stands.
#[must_use]
pub fn refusals(request: &Request, policy: &Policy) -> Vec<Refusal> {
    let mut out = vec![];
    let Some(gallery) = request.gallery else {
        return vec![refuse(&[], "There is no request.")];
    };
    if request.trial.is_some() {
        out.push(refuse(&[Clause::P1], "A known-answer trial answers nobody: nothing of it is disclosed."));
    }
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

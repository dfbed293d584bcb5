//! respond: deciding what is shared, previewing exactly what will leave, sealing it as it leaves, and
//! opening what was sealed.

use crate::{Bureau, BureauError, Result, act::With, register::name_of, sha256};
use casework::{
    access::{self, Action},
    clause::Clause,
    command::Command,
    disclosure::{Biography, Disclosure, Held, Picture, Sealed},
    event::{Sharing, Thing, Who},
    ids::{CandidateId, PersonId, RequestId},
    people::Role,
    policy::BioField,
    record::{RetentionClass, StreamId},
    refusal::{Refusal, refuse},
    request::{Request, State},
};
use serde::Serialize;
use std::{collections::BTreeMap, ops::Deref};

/// A match and what could be shared of it, for the person who decides.
#[derive(Clone, Debug, Serialize)]
pub struct MatchView {
    /// The candidate.
    pub candidate: CandidateId,
    /// The fields that the gallery may share and that are held: field, label, value, clause.
    pub fields: Vec<(BioField, &'static str, String, Clause)>,
    /// Whether there is a picture.
    pub has_image: bool,
    /// What was decided.
    pub sharing: Option<Sharing>,
}

/// An answer as it left, or would leave, and what holds besides as the request stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The answer.
    #[serde(flatten)]
    answer: Disclosure,
    /// Whether the request is handled sensitively now, whatever it was when the answer left (V0).
    pub sensitive: bool,
    /// What the force must do besides what the answer itself says (V3).
    pub besides: Vec<(Clause, String)>,
}

impl Answer {
    fn of(request: &Request, answer: Disclosure) -> Self {
        Self { besides: answer.besides(request.sensitive), sensitive: request.sensitive, answer }
    }
}

impl Deref for Answer {
    type Target = Disclosure;
    fn deref(&self) -> &Disclosure {
        &self.answer
    }
}

impl Bureau {
    /// The matches of a request, with the fields that may be shared of each, for the person who holds it; once the
    /// answer has left, with those that left.
    ///
    /// # Errors
    /// Refused to everybody else.
    pub async fn matches(&self, who: PersonId, id: RequestId) -> Result<Vec<MatchView>> {
        let (request, _, _) = self.open_for(who, id, Action::SeeCandidates).await?;
        if request.assignee != Some(who) {
            return Err(vec![refuse(&[Clause::R1], "Assign the request to yourself first.")].into());
        }
        let Some(gallery) = request.gallery else { return Err(vec![access::unknown()].into()) };
        // Once the answer has left, a match is what left of it: what the gallery holds of the person is opened no more.
        let left_with = request.released_at.map(|_| left(&request));
        let rules = &self.policy().gallery(gallery).fields;
        let mut out = vec![];
        for c in request.probes.iter().flat_map(casework::request::Probe::matches) {
            let (held, has_image) = match &left_with {
                None => {
                    self.consult(who, &request, Thing::Biography(c.id), "deciding what is shared").await?;
                    (self.held_biography(&request, c.id).await?, self.held_image(&request, c.id).await?.is_some())
                }
                Some(Ok(answer)) => {
                    self.consult(who, &request, Thing::Answer, "reading what was shared").await?;
                    answer
                        .probes()
                        .iter()
                        .flat_map(|p| &p.shared)
                        .find(|s| s.candidate == c.id)
                        .map(|s| (Biography(s.fields.iter().map(|(f, _, value)| (*f, value.clone())).collect()), s.image))
                        .unwrap_or_default()
                }
                Some(Err(_)) => (Biography::default(), false),
            };
            out.push(MatchView {
                candidate: c.id,
                fields: rules
                    .iter()
                    .filter_map(|r| held.0.get(&r.field).map(|v| (r.field, r.field.label(), v.clone(), r.clause)))
                    .collect(),
                has_image,
                sharing: c.sharing.clone(),
            });
        }
        Ok(out)
    }

    /// A match's held image, for the person who decides what is shared; once the answer has left, the picture
    /// that left with it, for those who may preview it.
    ///
    /// # Errors
    /// Refused to everybody else.
    pub async fn match_image(&self, who: PersonId, id: RequestId, candidate: CandidateId) -> Result<Option<Vec<u8>>> {
        if self.open(id).await?.released_at.is_some() {
            let request = self.previewed_by(who, id).await?;
            return self.left_image(who, &request, candidate, "previewing the answer").await.map(Some);
        }
        let (request, ..) = self.open_for(who, id, Action::SeeCandidates).await?;
        let matched = request.probes.iter().flat_map(casework::request::Probe::matches).any(|c| c.id == candidate);
        if request.assignee != Some(who) || !matched {
            return Err(vec![access::unknown()].into());
        }
        self.consult(who, &request, Thing::CandidateImage(candidate), "deciding what is shared").await?;
        self.held_image(&request, candidate).await
    }

    /// The answer exactly as it will arrive, field by field.
    ///
    /// # Errors
    /// Refused with everything that still stands in its way.
    pub async fn preview(&self, who: PersonId, id: RequestId) -> Result<Answer> {
        let request = self.previewed_by(who, id).await?;
        // What has left is shown as it left; before that, what would leave.
        let answer = if request.released_at.is_some() { left(&request)? } else { self.assembled(&request).await? };
        self.consult(who, &request, Thing::Answer, "previewing the answer").await?;
        Ok(Answer::of(&request, answer))
    }

    async fn previewed_by(&self, who: PersonId, id: RequestId) -> Result<Request> {
        let (request, actor, _) = self.open_for(who, id, Action::SeeAnswer).await?;
        if request.assignee != Some(who) && !actor.has(Role::TeamLeader) {
            return Err(vec![refuse(&[Clause::V1], "Only the person who holds the request, or the team leader, sees its answer.")].into());
        }
        Ok(request)
    }

    /// The answer as it would arrive if it were sent now; nothing is done.
    ///
    /// # Errors
    /// Refused with everything that sending it would be refused for.
    pub async fn preview_to(&self, who: PersonId, id: RequestId, recipient_confirmed: bool, seen: Option<u64>) -> Result<Answer> {
        let (request, ..) = self.open_for(who, id, Action::SeeAnswer).await?;
        let command = Command::Answer { recipient_confirmed };
        let done = self.check(who, id, command, seen).await?;
        let answer = self.assembled(&done.request).await?;
        self.consult(who, &request, Thing::Answer, "previewing the answer").await?;
        Ok(Answer::of(&request, answer))
    }

    async fn assembled(&self, request: &Request) -> Result<Disclosure> {
        let mut held: BTreeMap<CandidateId, Held> = BTreeMap::new();
        for c in request.probes.iter().flat_map(casework::request::Probe::matches) {
            if let Some(Sharing::Share { image, .. }) = &c.sharing {
                let picture = *image && self.held_image(request, c.id).await?.is_some();
                held.insert(c.id, Held { biography: self.held_biography(request, c.id).await?, picture });
            }
        }
        let register = self.register().await?;
        let name = request.requester.map(|p| name_of(&register, Who::Person(p))).unwrap_or_default();
        Ok(Disclosure::assemble(request, &held, &name, self.policy())?)
    }

    /// Lets the answer leave: makes it up once more, seals it with its pictures, and records the release,
    /// which is refused unless what was sealed is what was decided. What is not released is swept.
    ///
    /// # Errors
    /// Refused with everything that stands in its way; when the store fails.
    pub(crate) async fn release(&self, id: RequestId) -> Result<()> {
        let request = self.open(id).await?;
        let witnessed = self.witnessed(StreamId::Request(id), request.version).await?;
        if !witnessed.enough() {
            return Err(BureauError::AwaitingWitnesses(witnessed));
        }
        let answer = self.assembled(&request).await?;
        let (mut pictures, mut blobs) = (vec![], vec![]);
        for s in answer.probes().iter().flat_map(|p| &p.shared).filter(|s| s.image) {
            let bytes = self.held_image(&request, s.candidate).await?.ok_or(BureauError::Gone)?;
            let blob = self.store.put_blob(StreamId::Request(id), RetentionClass::Disclosure, &bytes, self.now()).await?;
            pictures.push(Picture { candidate: s.candidate, blob, digest: sha256(&bytes) });
            blobs.push(blob);
        }
        let sealed = Sealed::new(&answer, pictures)?;
        let digest = sha256(&sealed.to_bytes()?);
        let command = Command::Release { answer: Box::new(sealed), digest, witnessed };
        let register = self.register().await?;
        // What the witnesses saw is what is released: if anything was recorded since, it begins again.
        let seen = (witnessed.required > 0).then_some(request.version);
        self.carry_out(None, &register, id, &command, seen, With { blobs, ..With::default() }).await.map(drop)
    }

    /// Opens the answer: the first time is recorded as collected, every time as a look.
    ///
    /// # Errors
    /// Refused before it is released and the release is witnessed (D5), and to anyone but the requester (V2). [`BureauError::Gone`] once it is
    /// erased: then nothing was opened, and nothing is recorded.
    pub async fn answer(&self, who: PersonId, id: RequestId) -> Result<Answer> {
        let (request, answer) = self.released_to(who, id).await?;
        if request.collected_at.is_none() {
            match self.act(who, id, Command::Collect, Some(request.version), None).await {
                // Opened in two tabs at once: one of them is the first.
                Ok(_) | Err(BureauError::Overtaken) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Answer::of(&request, answer))
    }

    /// A shared person's image.
    ///
    /// # Errors
    /// Refused unless it is part of the released answer.
    pub async fn answer_image(&self, who: PersonId, id: RequestId, candidate: CandidateId) -> Result<Vec<u8>> {
        let (request, _) = self.released_to(who, id).await?;
        self.left_image(who, &request, candidate, "opening the answer").await
    }

    /// A picture that left with an answer, unchanged since it was sealed.
    async fn left_image(&self, who: PersonId, request: &Request, candidate: CandidateId, why: &str) -> Result<Vec<u8>> {
        left(request)?;
        let picture = request.disclosed.as_ref().and_then(|a| a.picture(candidate)).ok_or_else(|| vec![access::unknown()])?;
        self.consult(who, request, Thing::CandidateImage(candidate), why).await?;
        let bytes = self.store.get_blob(picture.blob).await?.ok_or(BureauError::Gone)?;
        if sha256(&bytes) != picture.digest {
            return Err(BureauError::Failed(NOT_AS_RELEASED.into()));
        }
        Ok(bytes)
    }

    async fn released_to(&self, who: PersonId, id: RequestId) -> Result<(Request, Disclosure)> {
        let (request, ..) = self.open_for(who, id, Action::Collect).await?;
        let mut out: Vec<Refusal> = vec![];
        if request.requester != Some(who) {
            out.push(refuse(&[Clause::V2], "The answer is for the requester named on the form."));
        }
        if request.released_at.is_none() || !matches!(request.state, State::Answered | State::Closed) {
            out.push(refuse(&[Clause::O10], "The answer has not been released yet."));
        }
        if out.is_empty()
            && let Some(seq) = request.released_in
        {
            // That it left, to whom and what, is under the witnesses' hands before anybody reads it.
            let witnessed = self.witnessed(StreamId::Request(id), seq).await?;
            if !witnessed.enough() {
                out.push(refuse(&[Clause::D5], witnessed.words()));
            }
        }
        if !out.is_empty() {
            return Err(out.into());
        }
        let answer = left(&request)?; // gone, or not as released: then nobody looked at it
        self.consult(who, &request, Thing::Answer, "opening the answer").await?;
        Ok((request, answer))
    }
}

const NOT_AS_RELEASED: &str = "the sealed answer is not what was released";

/// The answer exactly as it left, checked against the digest in the record of its release.
fn left(request: &Request) -> Result<Disclosure> {
    let sealed = request.disclosed.as_ref().ok_or(BureauError::Gone)?;
    if Some(sha256(&sealed.to_bytes()?)) != request.disclosed_digest {
        return Err(BureauError::Failed(NOT_AS_RELEASED.into()));
    }
    Disclosure::released(request).ok_or(BureauError::Gone)
}

//! respond: deciding what is shared, previewing exactly what will leave, and opening the answer.

use crate::{Bureau, BureauError, Result};
use casework::{
    access::{self, Action},
    clause::Clause,
    command::Command,
    disclosure::{Biography, Disclosure},
    event::{Sharing, Thing},
    ids::{CandidateId, PersonId, ReferenceId, RequestId},
    people::Role,
    policy::BioField,
    refusal::{Refusal, refuse},
    request::{Request, State},
};
use serde::Serialize;
use std::collections::BTreeMap;

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

impl Bureau {
    /// The matches of a request, with the fields that may be shared of each, for the person who holds it.
    ///
    /// # Errors
    /// Refused to everybody else.
    pub async fn matches(&self, who: PersonId, id: RequestId) -> Result<Vec<MatchView>> {
        let (request, _, _) = self.open_for(who, id, Action::SeeCandidates).await?;
        if request.assignee != Some(who) {
            return Err(vec![refuse(&[Clause::R1], "Assign the request to yourself first.")].into());
        }
        let Some(gallery) = request.gallery else { return Err(vec![access::unknown()].into()) };
        let rules = &self.policy().gallery(gallery).fields;
        let mut out = vec![];
        for c in request.probes.iter().flat_map(casework::request::Probe::matches) {
            self.consult(who, &request, Thing::Biography(c.id), "deciding what is shared").await?;
            let held = self.held_biography(&request, c.id).await?;
            out.push(MatchView {
                candidate: c.id,
                fields: rules
                    .iter()
                    .filter_map(|r| held.0.get(&r.field).map(|v| (r.field, r.field.label(), v.clone(), r.clause)))
                    .collect(),
                has_image: self.held_image(&request, c.id).await?.is_some(),
                sharing: c.sharing.clone(),
            });
        }
        Ok(out)
    }

    /// A match's held image, for the person who decides what is shared.
    ///
    /// # Errors
    /// Refused to everybody else.
    pub async fn match_image(&self, who: PersonId, id: RequestId, candidate: CandidateId) -> Result<Option<Vec<u8>>> {
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
    pub async fn preview(&self, who: PersonId, id: RequestId) -> Result<Disclosure> {
        let (request, actor, _) = self.open_for(who, id, Action::SeeAnswer).await?;
        if request.assignee != Some(who) && !actor.has(Role::TeamLeader) {
            return Err(vec![refuse(&[Clause::V1], "Only the person who holds the request, or the team leader, sees its answer.")].into());
        }
        let answer = self.assembled(&request).await?;
        self.consult(who, &request, Thing::Answer, "previewing the answer").await?;
        Ok(answer)
    }

    /// The answer as it would arrive if it were sent to this person now; nothing is done.
    ///
    /// # Errors
    /// Refused with everything that sending it would be refused for.
    pub async fn preview_to(
        &self,
        who: PersonId,
        id: RequestId,
        recipient: &str,
        recipient_confirmed: bool,
        seen: Option<u64>,
    ) -> Result<Disclosure> {
        let (request, ..) = self.open_for(who, id, Action::SeeAnswer).await?;
        let command = Command::Answer { recipient: recipient.into(), recipient_confirmed };
        let done = self.check(who, id, command, seen).await?;
        let answer = self.assembled(&done.request).await?;
        self.consult(who, &request, Thing::Answer, "previewing the answer").await?;
        Ok(answer)
    }

    async fn assembled(&self, request: &Request) -> Result<Disclosure> {
        let mut held: BTreeMap<ReferenceId, Biography> = BTreeMap::new();
        for c in request.probes.iter().flat_map(casework::request::Probe::matches) {
            if let (Some(reference), Some(Sharing::Share { .. })) = (c.reference, &c.sharing) {
                held.insert(reference, self.held_biography(request, c.id).await?);
            }
        }
        Ok(Disclosure::assemble(request, &held, self.policy())?)
    }

    /// Opens the answer: the first time is recorded as collected, every time as a look.
    ///
    /// # Errors
    /// Refused before it is released and to anyone but the requester (V2).
    pub async fn answer(&self, who: PersonId, id: RequestId) -> Result<Disclosure> {
        let request = self.released_to(who, id).await?;
        if request.collected_at.is_none() {
            match self.act(who, id, Command::Collect, Some(request.version), None).await {
                // Opened in two tabs at once: one of them is the first.
                Ok(_) | Err(BureauError::Overtaken) => {}
                Err(e) => return Err(e),
            }
        }
        self.assembled(&request).await
    }

    /// A shared person's image.
    ///
    /// # Errors
    /// Refused unless it is part of the released answer.
    pub async fn answer_image(&self, who: PersonId, id: RequestId, candidate: CandidateId) -> Result<Vec<u8>> {
        let request = self.released_to(who, id).await?;
        let disclosure = self.assembled(&request).await?;
        disclosure.image_of(candidate).ok_or_else(|| vec![access::unknown()])?;
        self.consult(who, &request, Thing::CandidateImage(candidate), "opening the answer").await?;
        self.held_image(&request, candidate).await?.ok_or(BureauError::Gone)
    }

    async fn released_to(&self, who: PersonId, id: RequestId) -> Result<Request> {
        let (request, ..) = self.open_for(who, id, Action::Collect).await?;
        let mut out: Vec<Refusal> = vec![];
        if request.requester != Some(who) {
            out.push(refuse(&[Clause::V2], "The answer is for the requester named on the form."));
        }
        if request.released_at.is_none() || !matches!(request.state, State::Answered | State::Closed) {
            out.push(refuse(&[Clause::O10], "The answer has not been released yet."));
        }
        if !out.is_empty() {
            return Err(out.into());
        }
        self.consult(who, &request, Thing::Answer, "opening the answer").await?;
        Ok(request)
    }
}

//! review: what an examiner is shown, step by step. Nothing here depends on another examiner.

use crate::{Bureau, BureauError, Done, Result, register::name_of, shuffle, views::RequestLine};
use casework::{
    access::{self, Action},
    clause::Clause,
    command::Command,
    decide::{Context, decide},
    disclosure::Biography,
    event::{Consulted, Entry, Event, Thing, Who},
    form::{Mode, Source},
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    people::{Actor, Role},
    policy::BioField,
    record::StreamId,
    refusal::refuse,
    request::{ProbeState, Request, State},
    review::{self, BlindSheet, Conclusion},
};
use jiff::Timestamp;
use serde::Serialize;
use store::{QUEUE_PAGE_LIMIT, QueueFilter, QueueOrder, Trials};

/// An examiner who has yet to finish, as a team leader sees them: nothing of what they gave.
#[derive(Clone, Debug, Serialize)]
pub struct AtWork {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// When they first took up a comparison of this request.
    pub since: Timestamp,
}

/// A probe that an examiner may take up, or examines.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonLine {
    /// The request.
    pub request: RequestId,
    /// Its short reference.
    pub reference: String,
    /// The probe.
    pub probe: ProbeId,
    /// 1 for the first image of the form.
    pub number: usize,
    /// `take-up`, `yours`, `done` or `conclude-empty`.
    pub step: &'static str,
    /// Urgent (S6).
    pub urgent: bool,
    /// How long is left, in words.
    pub due_words: Option<String>,
}

/// What an examiner sees of a probe: only this, whatever another examiner did.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonView {
    /// The request.
    pub request: RequestId,
    /// Its short reference.
    pub reference: String,
    /// Their own sheet.
    pub sheet: BlindSheet,
    /// Whether every visual opinion is locked, so that the informed step is open.
    pub informed_open: bool,
    /// Whether they have nothing more to do here.
    pub finished: bool,
}

/// What an examiner reads in the informed step (M2).
#[derive(Clone, Debug, Serialize)]
pub struct InformedView {
    /// Their locked visual conclusion.
    pub visual: Conclusion,
    /// Unidentified or known person.
    pub mode: Option<Mode>,
    /// Where the image comes from.
    pub source: Option<Source>,
    /// What the force knows about the person.
    pub person: String,
    /// What happened.
    pub offence: String,
    /// The held biography: label and value.
    pub biography: Vec<(BioField, &'static str, String)>,
}

impl Bureau {
    /// The probes that this examiner may take up, has taken up or has finished with. What is finished
    /// stays listed whatever becomes of the request, so that its going tells nothing of a colleague's view.
    ///
    /// # Errors
    /// Refused to people who do not examine (M2).
    pub async fn comparisons(&self, who: PersonId) -> Result<Vec<ComparisonLine>> {
        let (register, actor) = self.actor(who).await?;
        if !actor.roles.iter().any(|r| access::ruling(*r, State::Comparing, Action::Examine).allowed) {
            return Err(vec![refuse(&[Clause::M2], "Only examiners compare faces.")].into());
        }
        let mut out = vec![];
        let own = QueueFilter {
            gallery: actor.gallery,
            involving: Some((who, Some("examiner".into()))),
            viewer: Some(crate::views::viewer(&actor)),
            trials: Trials::With,
            order: QueueOrder::NewestFirst,
            limit: QUEUE_PAGE_LIMIT,
            ..QueueFilter::default()
        };
        for row in self.store.queue(&own).await?.0 {
            let line = self.line(&row, &register, who);
            let request = self.open(line.id).await?;
            for (n, p) in request.probes.iter().enumerate() {
                let Some(sheet) = review::sheet(&request, p.id, who) else { continue };
                let done = finished(&sheet);
                if !done && !access::ruling(Role::Examiner, request.state, Action::GiveVisual).allowed {
                    continue; // withdrawn meanwhile
                }
                let due_words = line.due_words.clone().filter(|_| !done);
                out.push(comparison_line(&line, p.id, n + 1, if done { "done" } else { "yours" }, due_words));
            }
        }
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
        let mut waiting = vec![];
        for page in 1.. {
            let lines = self.list(who, crate::assess::List::Comparison, None, page).await?;
            waiting.extend(lines.lines);
            if page >= lines.pages {
                break;
            }
        }
        for line in waiting {
            let request = self.open(line.id).await?;
            for (n, p) in request.probes.iter().enumerate().filter(|(_, p)| review::sheet(&request, p.id, who).is_none()) {
                let (step, command) = if p.state == ProbeState::NoCandidates {
                    ("conclude-empty", Command::ConcludeEmpty { probe: p.id, words: "I looked and found nothing.".into() })
                } else {
                    ("take-up", Command::Examine { probe: p.id, order: review::in_question(p) })
                };
                // Missing training alone does not hide the work: they are told when they try.
                let open = match decide(&request, &command, &ctx) {
                    Ok(_) => true,
                    Err(all) => !request.conflicted.contains(&who) && all.iter().all(|r| r.clauses == [Clause::R1]),
                };
                if open {
                    out.push(comparison_line(&line, p.id, n + 1, step, line.due_words.clone()));
                }
            }
        }
        Ok(out)
    }

    /// The examiners of a request who have yet to finish, for the team leader who may replace one (M2).
    /// Whoever has looked cannot take a comparison of it up afterwards.
    ///
    /// # Errors
    /// Refused to everybody else.
    pub async fn examiners_at_work(&self, who: PersonId, id: RequestId) -> Result<Vec<AtWork>> {
        let (request, _, register) = self.open_for(who, id, Action::ReplaceExaminer).await?;
        // Who has yet to finish is what a blind examiner must not know: the look is recorded first (D5).
        self.consult(who, &request, Thing::History, "who has yet to finish comparing").await?;
        let mut out: Vec<AtWork> = vec![];
        for record in self.store.load(StreamId::Request(id)).await? {
            let Some(payload) = record.payload.filter(|_| record.header.kind == "examiner-joined") else { continue };
            let Event::ExaminerJoined { examiner, .. } = serde_json::from_slice::<Entry>(&payload)?.event else { continue };
            let at_work = request.probes.iter().any(|p| review::unfinished(p, examiner));
            if at_work && !out.iter().any(|e| e.person == examiner) {
                out.push(AtWork { person: examiner, name: name_of(&register, Who::Person(examiner)), since: record.header.at });
            }
        }
        Ok(out)
    }

    /// One comparison that may be taken up, or an empty list that may be concluded, for its own page.
    ///
    /// # Errors
    /// Refused as unknown when it is not among [`Bureau::comparisons`] with that step.
    pub async fn comparison_line(&self, who: PersonId, id: RequestId, probe: ProbeId, step: &str) -> Result<ComparisonLine> {
        let found = self.comparisons(who).await?.into_iter().find(|c| c.request == id && c.probe == probe && c.step == step);
        Ok(found.ok_or_else(|| vec![access::unknown()])?)
    }

    /// Takes up a comparison, with the candidates in an order of the examiner's own; once taken up, it is
    /// theirs however often they ask.
    ///
    /// # Errors
    /// As [`Bureau::act`].
    pub async fn take_up(&self, who: PersonId, id: RequestId, probe: ProbeId) -> Result<Done> {
        let request = self.open(id).await?;
        if request.probe(probe).is_some_and(|p| p.examiners.iter().any(|e| e.person == who)) {
            return Ok(Done { request, events: vec![] }); // asked twice: nothing was heard of the answer
        }
        // The events say who held it; the looks say who read it without holding it.
        if self.has_read(who, id).await? {
            let words = "You have read this request, so you cannot give a blind opinion on it.";
            return Err(vec![casework::refusal::refuse(&[casework::clause::Clause::M2], words)].into());
        }
        let mut order = request.probe(probe).map(review::in_question).unwrap_or_default();
        shuffle(&mut order)?;
        self.act(who, id, Command::Examine { probe, order }, None, None).await
    }

    /// Whether somebody has looked at what the force says, or at its images as it sent them.
    async fn has_read(&self, who: PersonId, id: RequestId) -> Result<bool> {
        for record in self.store.load(StreamId::Consulted(id)).await? {
            let Some(payload) = record.payload else { continue };
            let look: Consulted = serde_json::from_slice(&payload)?;
            let whole = matches!(look.thing, Thing::Probe(_)) && look.why == crate::views::WHOLE_IMAGE;
            if look.by == who && (whole || matches!(look.thing, Thing::Form | Thing::History | Thing::Answer)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn examined(&self, who: PersonId, id: RequestId, probe: ProbeId, thing: Thing, why: &str) -> Result<(Request, BlindSheet)> {
        // Asked first: once they have concluded, how pictures are refused would tell how far others are.
        if self.comparison(who, id, probe).await?.finished {
            return Err(vec![access::unknown()].into());
        }
        let (request, ..) = self.open_for(who, id, Action::SeeComparison).await?;
        let sheet = review::sheet(&request, probe, who).ok_or_else(|| vec![access::unknown()])?;
        if let Thing::CandidateImage(candidate) = thing
            && !sheet.candidates.iter().any(|c| c.id == candidate)
        {
            return Err(vec![access::unknown()].into());
        }
        self.consult(who, &request, thing, why).await?;
        Ok((request, sheet))
    }

    /// The examiner's own sheet.
    ///
    /// # Errors
    /// Refused as unknown to anyone who does not examine this probe.
    pub async fn comparison(&self, who: PersonId, id: RequestId, probe: ProbeId) -> Result<ComparisonView> {
        let (_, actor) = self.actor(who).await?;
        self.sheet_of(&self.open(id).await?, &actor, probe)
    }

    fn sheet_of(&self, request: &Request, actor: &Actor, probe: ProbeId) -> Result<ComparisonView> {
        if !access::may_know(request, actor) {
            return Err(vec![access::unknown()].into());
        }
        let sheet = review::sheet(request, probe, actor.person).ok_or_else(|| vec![access::unknown()])?;
        Ok(ComparisonView {
            request: request.id,
            reference: request.id.reference(),
            informed_open: review::ready_to_be_informed(request, probe, actor.person),
            finished: finished(&sheet),
            sheet,
        })
    }

    /// The probe as an examiner sees it: the chosen face, every bystander masked.
    ///
    /// # Errors
    /// Refused as unknown to anyone who does not examine this probe, or has concluded on it.
    pub async fn comparison_probe(&self, who: PersonId, id: RequestId, probe: ProbeId) -> Result<Vec<u8>> {
        let (request, _) = self.examined(who, id, probe, Thing::Probe(probe), "comparing faces").await?;
        self.masked(request.image(probe).ok_or(BureauError::Gone)?).await
    }

    /// A candidate's held image; `None` for a synthetic reference, which has no picture.
    ///
    /// # Errors
    /// Refused as unknown to anyone who is not asked about this candidate.
    pub async fn comparison_candidate(
        &self,
        who: PersonId,
        id: RequestId,
        probe: ProbeId,
        candidate: CandidateId,
    ) -> Result<Option<Vec<u8>>> {
        let (request, _) = self.examined(who, id, probe, Thing::CandidateImage(candidate), "comparing faces").await?;
        self.held_image(&request, candidate).await
    }

    /// What is read in the informed step; only once every visual opinion is locked (M2).
    ///
    /// # Errors
    /// Refused before that, and once one's conclusion is given.
    pub async fn informed(&self, who: PersonId, id: RequestId, probe: ProbeId, candidate: CandidateId) -> Result<InformedView> {
        let (register, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        let view = self.sheet_of(&request, &actor, probe)?;
        let own = view.sheet.candidates.iter().find(|c| c.id == candidate);
        if own.is_some_and(|c| c.informed.is_some()) {
            // Nothing more is needed, and what is still held would tell what others concluded.
            return Err(vec![refuse(&[Clause::M2], "You have given your conclusion on this candidate; it is not shown again.")].into());
        }
        let own = own.and_then(|c| c.visual.clone());
        let (true, Some(visual)) = (view.informed_open, own) else {
            return Err(vec![refuse(&[Clause::M2], "Give your visual opinion on every candidate first.")].into());
        };
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
        let refusals = access::refusals(&request, Action::SeeComparison, &ctx);
        if !refusals.is_empty() {
            return Err(refusals.into());
        }
        self.consult(who, &request, Thing::Form, "informed conclusion").await?;
        self.consult(who, &request, Thing::Biography(candidate), "informed conclusion").await?;
        let form = request.form.as_ref().ok_or(BureauError::Gone)?;
        Ok(InformedView {
            visual: visual.conclusion,
            mode: form.mode,
            source: request.image(probe).and_then(|i| i.source),
            person: form.person.clone(),
            offence: form.offence.clone(),
            biography: self.biography_lines(&request, candidate).await?,
        })
    }

    pub(crate) async fn held_image(&self, request: &Request, candidate: CandidateId) -> Result<Option<Vec<u8>>> {
        if let Some(trial) = &request.trial {
            let known = trial.known(candidate).ok_or(BureauError::Gone)?;
            return Ok(Some(self.rendering(&known.image).await?));
        }
        let reference = request.probes.iter().find_map(|p| p.candidate(candidate)).and_then(|c| c.reference);
        match (request.gallery, reference) {
            (Some(gallery), Some(reference)) => Ok(self.store.get_holding_image(gallery, reference).await?),
            _ => Err(BureauError::Gone),
        }
    }

    pub(crate) async fn held_biography(&self, request: &Request, candidate: CandidateId) -> Result<Biography> {
        if let Some(trial) = &request.trial {
            return Ok(trial.known(candidate).ok_or(BureauError::Gone)?.biography.clone());
        }
        let reference = request.probes.iter().find_map(|p| p.candidate(candidate)).and_then(|c| c.reference);
        let (Some(gallery), Some(reference)) = (request.gallery, reference) else { return Err(BureauError::Gone) };
        let bytes = self.store.get_holding_biography(gallery, reference).await?.ok_or(BureauError::Gone)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    pub(crate) async fn biography_lines(&self, request: &Request, candidate: CandidateId) -> Result<Vec<(BioField, &'static str, String)>> {
        let held = self.held_biography(request, candidate).await?;
        Ok(held.0.into_iter().map(|(f, v)| (f, f.label(), v)).collect())
    }
}

fn comparison_line(line: &RequestLine, probe: ProbeId, number: usize, step: &'static str, due_words: Option<String>) -> ComparisonLine {
    ComparisonLine { request: line.id, reference: line.reference.clone(), probe, number, step, urgent: line.urgent, due_words }
}

fn finished(sheet: &BlindSheet) -> bool {
    sheet.candidates.iter().all(|c| c.informed.is_some())
}

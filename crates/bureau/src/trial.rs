//! Known-answer trials: a leader prepares one from pictures given for it, puts it before the examiners, and
//! once they have concluded, how often each was wrong (P1, R1). Beside it, where examiners differ in casework.
//!
//! From [`Bureau::seed_trial`] on a trial goes through the calls of [`crate::review`], like casework.

use crate::{Bureau, BureauError, Done, Once, Result, act::With, register::name_of};
use casework::{
    access::{self, Action},
    calendar,
    clause::Clause,
    command::Command,
    disclosure::Biography,
    event::Who,
    form::Form,
    ids::{BlobId, CandidateId, DraftId, LeoId, PersonId, ProbeId, RequestId},
    limits::CANDIDATES_MAX,
    people::{Actor, Register, Role},
    processing::HouseKind,
    record::GalleryId,
    refusal::{Refusal, refuse},
    request::{Request, State},
    retain, review,
    trial::{self, Agreement, Known, Material, Tally, Words},
};
use face::accuracy::statistics::{clopper_pearson, rule_of_three};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use std::collections::BTreeMap;
use store::{PutDraft, QUEUE_COUNT_LIMIT, QUEUE_PAGE_LIMIT, QueueFilter, QueueOrder, StoreError, Trials, Viewer};

/// Trials that one leader may be preparing at once.
pub const TRIAL_DRAFTS_MAX: u32 = 20;
/// Of how many requests, the newest first, examiners' agreement is told.
pub const AGREEMENT_REQUESTS_MAX: u32 = QUEUE_PAGE_LIMIT;
/// Pairs below which no rate is printed as a percentage: the interval would be wider than what it says.
pub const RATE_PAIRS_MIN: u64 = 30;

/// Where a trial is that everybody has concluded on.
const CONCLUDED: &[State] = &[State::Responding, State::Closed];
/// Where one is of which its examiners are told.
const TOLD: &[State] = &[State::Closed];

/// A trial that its leader is preparing.
#[derive(Clone, Debug, Serialize)]
pub struct TrialDraft {
    /// Its id, which the trial keeps.
    pub id: RequestId,
    /// Optimistic version.
    pub version: u64,
    /// The London date on which it goes unless it is saved again.
    pub goes: Date,
    /// The gallery whose examiners it is put before.
    pub gallery: GalleryId,
    /// What there is of it.
    pub material: Material,
    /// Everything that keeps it from being put before them, at once.
    pub missing: Vec<Refusal>,
}

/// What of a trial is told to whoever put it before the examiners.
#[derive(Clone, Debug, Serialize)]
pub struct TrialView {
    /// Its id.
    pub id: RequestId,
    /// The short reference that examiners see.
    pub reference: String,
    /// Its version, for forms.
    pub version: u64,
    /// When it was put before them; none once the record is erased.
    pub seeded_at: Option<Timestamp>,
    /// When it looks as if it had come in.
    pub looks_received_at: Option<Timestamp>,
    /// Where it is: `comparing`, `concluded` or `stopped`.
    pub step: &'static str,
    /// Why it was stopped.
    pub stopped: Option<String>,
    /// Where the pictures come from.
    pub origin: String,
    /// Each candidate: the truth, and what people concluded once all have.
    pub candidates: Vec<TrialCandidate>,
    /// Who has yet to finish.
    pub at_work: Vec<String>,
    /// When it closes and its pictures go; none while it is open.
    pub goes: Vec<(String, Date)>,
}

/// One candidate of a trial.
#[derive(Clone, Debug, Serialize)]
pub struct TrialCandidate {
    /// Its opaque id.
    pub id: CandidateId,
    /// The picture's id, to see it by.
    pub picture: ProbeId,
    /// The truth.
    pub same_person: bool,
    /// What two people concluded; none before all have.
    pub matched: Option<bool>,
}

/// A number of errors and what it shows of the rate behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Errors.
    pub errors: u64,
    /// Pairs decided.
    pub of: u64,
    /// The lower end of the exact interval at 95 % (Clopper and Pearson).
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Where there was no error, what the rate may still be (rule of three, 95 %).
    pub rule_of_three: Option<f64>,
}

impl Share {
    fn of(errors: u64, of: u64) -> Self {
        let [low, high] = clopper_pearson(errors, of);
        Self { errors, of, low, high, rule_of_three: (errors == 0).then(|| rule_of_three(of)) }
    }
}

/// Error rates where the truth is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wrong {
    /// Pairs of two people that were confirmed as one.
    pub false_confirms: Share,
    /// Pairs of one person that were not confirmed.
    pub misses: Share,
    /// Pairs of which they could not say, counted in neither.
    pub cannot_say: u64,
}

impl From<Tally> for Wrong {
    fn from(t: Tally) -> Self {
        Self {
            false_confirms: Share::of(t.false_confirms, t.nonmated),
            misses: Share::of(t.misses, t.mated),
            cannot_say: t.nonmated_cannot_say + t.mated_cannot_say,
        }
    }
}

/// One examiner's.
#[derive(Clone, Debug)]
pub struct ExaminerResult {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// Trials that they concluded on.
    pub trials: u64,
    /// How often they were wrong.
    pub wrong: Wrong,
    /// Whether they hold a role that reads requests, and so could have found that no request lay behind a trial.
    pub reads_requests: bool,
}

/// What trials came to, for one who may know.
#[derive(Clone, Debug)]
pub struct TrialResults {
    /// Trials that everybody has concluded on, and that were not stopped.
    pub trials: u64,
    /// One's own, where one examines.
    pub own: Option<ExaminerResult>,
    /// The examiners of the team that one leads.
    pub team: Vec<ExaminerResult>,
    /// All examiners of the gallery together, and what the whole procedure of M2 came to: for its leaders and owner.
    pub gallery: Option<(Wrong, Wrong)>,
}

/// How one examiner's conclusions in casework stand beside the others'.
#[derive(Clone, Debug, Serialize)]
pub struct ExaminerAgreement {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// The counts.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// Concluded trials, counted.
#[derive(Default)]
struct Counted {
    trials: u64,
    by: BTreeMap<PersonId, (u64, Tally)>,
    all: Tally,
    procedure: Tally,
}

impl Bureau {
    /// Begins an empty trial.
    ///
    /// # Errors
    /// Refused to anyone but a team leader, or one who is preparing too many.
    pub async fn new_trial(&self, who: PersonId) -> Result<RequestId> {
        let (_, actor) = self.trial_leader(who).await?;
        let held = self.store.drafts_of(who, TRIAL_DRAFTS_MAX).await?;
        // One that was begun and not written in is given again: asking twice leaves no second one.
        if let Some(empty) = held.iter().find(|d| d.version == 1) {
            return Ok(RequestId(empty.id.0));
        }
        if held.len() >= TRIAL_DRAFTS_MAX as usize {
            let words = format!("You are preparing {TRIAL_DRAFTS_MAX} trials, which is the limit. Finish or discard one first.");
            return Err(vec![refuse(&[], words)].into());
        }
        let id = self.id::<RequestId>()?;
        self.keep_trial(&actor, id, 0, &Material::default()).await?;
        Ok(id)
    }

    async fn trial_leader(&self, who: PersonId) -> Result<(std::sync::Arc<Register>, Actor)> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeedTrial)?;
        if actor.gallery.is_none() {
            return Err(vec![access::unknown()].into());
        }
        Ok((register, actor))
    }

    async fn keep_trial(&self, actor: &Actor, id: RequestId, expected: u64, material: &Material) -> Result<u64> {
        let mut material = material.clone();
        self.judge_probe(actor, &mut material);
        let put = PutDraft {
            id: DraftId(id.0),
            owner: actor.person,
            leo: LeoId::fixed(0),
            expected,
            bytes: serde_json::to_vec(&material)?,
            blobs: blobs(&material),
        };
        match self.store.put_draft(put, self.now()).await {
            Ok(version) => Ok(version),
            Err(StoreError::Stale { .. }) => Err(BureauError::Overtaken),
            Err(e) => Err(e.into()),
        }
    }

    /// By what the gallery asks of a request's image (A3b): one that could not be searched would give a trial away.
    fn judge_probe(&self, actor: &Actor, material: &mut Material) {
        let (Some(gallery), Some(probe)) = (actor.gallery, material.probe.take()) else { return };
        let mut form = Form { images: vec![probe], ..Form::new() };
        self.judge(&mut form, &[gallery]);
        material.probe = form.images.pop();
    }

    async fn kept_trial(&self, who: PersonId, id: RequestId) -> Result<(std::sync::Arc<Register>, Actor, TrialDraft)> {
        let (register, actor) = self.trial_leader(who).await?;
        let gallery = actor.gallery.ok_or_else(|| vec![access::unknown()])?;
        let draft = self.store.get_draft(DraftId(id.0)).await?.filter(|d| d.summary.owner == who).ok_or_else(|| vec![access::unknown()])?;
        let material: Material = serde_json::from_slice(&draft.bytes)?;
        let (version, goes) = (draft.summary.version, retain::draft_goes(draft.summary.changed_at, self.policy()));
        Ok((register, actor, TrialDraft { id, version, goes, gallery, material, missing: vec![] }))
    }

    /// One's own trial in preparation, with everything that it still lacks.
    ///
    /// # Errors
    /// Refused as unknown to everybody else.
    pub async fn trial_draft(&self, who: PersonId, id: RequestId) -> Result<TrialDraft> {
        let (register, actor, mut draft) = self.kept_trial(who, id).await?;
        let command = Command::SeedTrial { material: Box::new(draft.material.clone()) };
        let fresh = Request::new(id);
        if let Err(BureauError::Refused(missing)) = self.decided(Some(&actor), &register, &fresh, &command, None, &With::default()) {
            draft.missing = missing;
        }
        Ok(draft)
    }

    async fn change_trial(
        &self,
        who: PersonId,
        id: RequestId,
        version: u64,
        change: impl FnOnce(&mut Material) -> Result<()>,
    ) -> Result<u64> {
        let (_, actor, mut draft) = self.kept_trial(who, id).await?;
        change(&mut draft.material)?;
        self.keep_trial(&actor, id, version, &draft.material).await
    }

    /// Saves what was written.
    ///
    /// # Errors
    /// As [`Bureau::trial_draft`]; [`BureauError::Overtaken`] when another tab saved first.
    pub async fn save_trial(&self, who: PersonId, id: RequestId, version: u64, words: Words) -> Result<u64> {
        self.change_trial(who, id, version, |m| {
            m.words = words;
            Ok(())
        })
        .await
    }

    /// Takes a picture in: as the request's image, in whose place it stands, or as a further candidate.
    ///
    /// # Errors
    /// Refused when it is not an acceptable image of one face, or there are candidates enough.
    pub async fn add_trial_image(
        &self,
        who: PersonId,
        id: RequestId,
        version: u64,
        as_candidate: bool,
        bytes: &[u8],
        name: Option<&str>,
    ) -> Result<u64> {
        let (_, actor, mut draft) = self.kept_trial(who, id).await?;
        if draft.version != version {
            return Err(BureauError::Overtaken);
        }
        let digest = crate::sha256(bytes);
        if draft.material.images().any(|i| i.digest == digest) {
            return Err(vec![refuse(&[Clause::M2], "This picture is there already, and twice it would give the trial away.")].into());
        }
        if as_candidate && draft.material.candidates.len() >= CANDIDATES_MAX {
            return Err(vec![refuse(&[Clause::M2], format!("A trial has at most {CANDIDATES_MAX} candidates. Remove one first."))].into());
        }
        let (image, _) = self.take_in(id, bytes, name).await?;
        let (faces, taken) = (image.faces.len(), [image.original, image.rendering]);
        let mut replaced = vec![];
        let kept = if faces == 1 {
            if as_candidate {
                let candidate = self.id::<CandidateId>()?;
                draft.material.candidates.push(Known { candidate, image, biography: Biography::default(), same_person: None });
            } else {
                let before = draft.material.probe.replace(image);
                replaced.extend(before.iter().flat_map(|i| [i.original, i.rendering]));
            }
            self.keep_trial(&actor, id, version, &draft.material).await
        } else {
            Err(vec![refuse(&[Clause::M2], format!("The picture shows {faces} faces; a trial's shows one."))].into())
        };
        // What was refused or overtaken belongs to nothing, and what was replaced no more: it goes at once.
        for blob in if kept.is_ok() { replaced } else { taken.to_vec() } {
            self.store.delete_blob(blob).await?;
        }
        kept
    }

    /// Says whether a candidate is the same person, and the record that the examiners are to read; both whole.
    ///
    /// # Errors
    /// Refused as unknown when there is no such candidate.
    pub async fn describe_trial_candidate(
        &self,
        who: PersonId,
        id: RequestId,
        version: u64,
        candidate: CandidateId,
        same_person: Option<bool>,
        biography: Biography,
    ) -> Result<u64> {
        self.change_trial(who, id, version, |m| {
            let known = m.candidates.iter_mut().find(|k| k.candidate == candidate).ok_or_else(|| vec![access::unknown()])?;
            known.same_person = same_person;
            known.biography = biography;
            Ok(())
        })
        .await
    }

    /// Takes a candidate off and destroys its picture.
    ///
    /// # Errors
    /// Refused as unknown when there is no such candidate.
    pub async fn remove_trial_candidate(&self, who: PersonId, id: RequestId, version: u64, candidate: CandidateId) -> Result<u64> {
        let mut gone = vec![];
        let kept = self
            .change_trial(who, id, version, |m| {
                let at = m.candidates.iter().position(|k| k.candidate == candidate).ok_or_else(|| vec![access::unknown()])?;
                let image = m.candidates.remove(at).image;
                gone = vec![image.original, image.rendering];
                Ok(())
            })
            .await?;
        for blob in gone {
            self.store.delete_blob(blob).await?;
        }
        Ok(kept)
    }

    /// A picture of a trial, for whoever prepares it or put it before the examiners.
    ///
    /// # Errors
    /// Refused as unknown to everybody else.
    pub async fn trial_image(&self, who: PersonId, id: RequestId, image: ProbeId) -> Result<Vec<u8>> {
        let material = match self.kept_trial(who, id).await {
            Ok((_, _, draft)) => draft.material,
            Err(_) => {
                let (request, ..) = self.open_for(who, id, Action::SeeTrial).await?;
                request.trial.map(|t| t.material).ok_or(BureauError::Gone)?
            }
        };
        let found = material.images().find(|i| i.probe == image).ok_or_else(|| vec![access::unknown()])?;
        self.rendering(found).await
    }

    /// Throws a trial in preparation away, with its pictures.
    ///
    /// # Errors
    /// Refused as unknown to everybody but its owner.
    pub async fn discard_trial(&self, who: PersonId, id: RequestId) -> Result<()> {
        let (_, _, draft) = self.kept_trial(who, id).await?;
        self.store.delete_draft(DraftId(id.0)).await?;
        for blob in blobs(&draft.material) {
            self.store.delete_blob(blob).await?;
        }
        Ok(())
    }

    /// Puts a trial before the examiners.
    ///
    /// # Errors
    /// Refused with everything that it lacks; the draft stays.
    pub async fn seed_trial(&self, who: PersonId, id: RequestId, version: u64, once: Option<Once>) -> Result<Done> {
        let before = self.open(id).await?;
        if before.trial.is_some() && before.requester == Some(who) {
            return Ok(Done { request: before, events: vec![] }); // sent twice
        }
        let (register, actor, draft) = self.kept_trial(who, id).await?;
        if draft.version != version {
            return Err(BureauError::Overtaken);
        }
        let with = With { blobs: blobs(&draft.material), drop_draft: Some((DraftId(id.0), version)), once, ..With::default() };
        let command = Command::SeedTrial { material: Box::new(draft.material) };
        self.carry_out(Some(&actor), &register, id, &command, None, with).await
    }

    /// One's own trials: those in preparation, and those put before the examiners, newest first.
    ///
    /// # Errors
    /// Refused to anyone but a team leader.
    pub async fn trials(&self, who: PersonId) -> Result<(Vec<TrialDraft>, Vec<TrialView>)> {
        let (_, actor) = self.trial_leader(who).await?;
        let mut drafts = vec![];
        for summary in self.store.drafts_of(who, TRIAL_DRAFTS_MAX).await? {
            drafts.push(self.trial_draft(who, RequestId(summary.id.0)).await?);
        }
        let own = QueueFilter { requester: Some(who), ..all_trials(actor.gallery) };
        let mut views = vec![];
        for row in self.store.queue(&own).await?.0 {
            if row.state != State::Erased.to_string() {
                views.push(self.trial_view(self.open(row.request).await?, None));
            }
        }
        Ok((drafts, views))
    }

    /// A trial, for whoever put it before the examiners.
    ///
    /// # Errors
    /// Refused as unknown to everybody else.
    pub async fn trial(&self, who: PersonId, id: RequestId) -> Result<TrialView> {
        let (request, _, register) = self.open_for(who, id, Action::SeeTrial).await?;
        Ok(self.trial_view(request, Some(&register)))
    }

    fn trial_view(&self, request: Request, register: Option<&Register>) -> TrialView {
        let trial = request.trial.clone().unwrap_or_default();
        let over = trial::concluded(&request).is_some();
        let step = match (&trial.stopped, over) {
            (Some(_), _) => "stopped",
            (None, true) => "concluded",
            (None, false) => "comparing",
        };
        let concluded = |id| request.probes.iter().find_map(|p| p.candidate(id)).and_then(|c| c.matched);
        let candidates = trial.material.candidates.iter().map(|k| TrialCandidate {
            id: k.candidate,
            picture: k.image.probe,
            same_person: k.same_person.unwrap_or_default(),
            matched: concluded(k.candidate).filter(|_| over),
        });
        let unfinished = |p: &PersonId| request.probes.iter().any(|probe| review::unfinished(probe, *p));
        let examiners = request.probes.iter().flat_map(|p| &p.examiners).map(|e| e.person).filter(|p| unfinished(p));
        TrialView {
            id: request.id,
            reference: request.id.reference(),
            version: request.version,
            seeded_at: trial.seeded_at,
            looks_received_at: request.received_at,
            step,
            stopped: trial.stopped.clone(),
            origin: trial.material.words.origin.clone(),
            candidates: candidates.collect(),
            at_work: register.map(|r| examiners.map(|person| name_of(r, Who::Person(person))).collect()).unwrap_or_default(),
            goes: retain::schedule(&request, self.policy()).into_iter().map(|(class, on)| (class.to_string(), on)).collect(),
        }
    }

    /// What trials came to: one's own where one examines, one's team's where one leads it, the gallery's for its
    /// leaders and owner. Nothing of a trial that anybody has yet to conclude on.
    ///
    /// # Errors
    /// Refused to everybody else.
    pub async fn trial_results(&self, who: PersonId) -> Result<TrialResults> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeTrialResults)?;
        let gallery = actor.gallery.ok_or_else(|| vec![access::unknown()])?;
        let counted = self.counted(gallery, CONCLUDED).await?;
        let mut team: Vec<_> =
            self.led(&register, &actor).into_iter().filter(|p| *p != who).map(|p| self.result(&register, &counted, p)).collect();
        team.sort_by(|a, b| a.name.cmp(&b.name));
        let answers = actor.has(Role::TeamLeader) || actor.has(Role::Siao);
        if answers {
            self.note_house(HouseKind::TrialResultsRead, who, "read what known-answer trials came to", Some(gallery)).await?;
        }
        let own = match actor.has(Role::Examiner) {
            true => Some(self.own(&register, gallery, who).await?),
            false => None,
        };
        Ok(TrialResults {
            trials: if answers { counted.trials } else { own.as_ref().map_or(0, |o| o.trials) },
            own,
            team,
            gallery: answers.then(|| (counted.all.into(), counted.procedure.into())),
        })
    }

    /// One's own results as an examiner, whatever other office one holds: of trials that are closed, which is days
    /// after everybody concluded. Told at once, they would say which comparison it was.
    ///
    /// # Errors
    /// Refused to anyone who is no examiner.
    pub async fn own_trial_result(&self, who: PersonId) -> Result<ExaminerResult> {
        let (register, actor) = self.actor(who).await?;
        let (Some(gallery), true) = (actor.gallery, actor.has(Role::Examiner)) else {
            return Err(vec![refuse(&[Clause::M2], "Only examiners compare faces.")].into());
        };
        self.own(&register, gallery, who).await
    }

    async fn own(&self, register: &Register, gallery: GalleryId, who: PersonId) -> Result<ExaminerResult> {
        Ok(self.result(register, &self.counted(gallery, TOLD).await?, who))
    }

    fn result(&self, register: &Register, counted: &Counted, person: PersonId) -> ExaminerResult {
        let (trials, tally) = counted.by.get(&person).copied().unwrap_or_default();
        let name = name_of(register, Who::Person(person));
        ExaminerResult { person, name, trials, wrong: tally.into(), reads_requests: self.reads_requests(register, person) }
    }

    /// Every concluded trial of a gallery in these states, counted.
    async fn counted(&self, gallery: GalleryId, states: &[State]) -> Result<Counted> {
        let mut out = Counted::default();
        let mut filter = QueueFilter { states: states.iter().map(ToString::to_string).collect(), ..all_trials(Some(gallery)) };
        loop {
            let (rows, total) = self.store.queue(&filter).await?;
            for row in &rows {
                let request = self.open(row.request).await?;
                if trial::concluded(&request).is_none() {
                    continue;
                }
                out.trials += 1;
                out.procedure.add(&trial::procedure(&request));
                for (person, tally) in trial::tallies(&request) {
                    let entry = out.by.entry(person).or_default();
                    entry.0 += 1;
                    entry.1.add(&tally);
                    out.all.add(&tally);
                }
            }
            filter.offset += QUEUE_PAGE_LIMIT;
            if u64::from(filter.offset) >= total || filter.offset >= QUEUE_COUNT_LIMIT {
                return Ok(out);
            }
        }
    }

    /// How the examiners of the team that somebody leads agree with others in casework, in the newest
    /// [`AGREEMENT_REQUESTS_MAX`] requests that people have concluded on and that the leader may know of.
    ///
    /// # Errors
    /// Refused to anyone but a team leader.
    pub async fn agreement(&self, who: PersonId) -> Result<Vec<ExaminerAgreement>> {
        let (register, actor) = self.trial_leader(who).await?;
        let filter = QueueFilter {
            gallery: actor.gallery,
            states: [State::Responding, State::Answering, State::Answered, State::Closed].iter().map(ToString::to_string).collect(),
            viewer: Some(crate::views::viewer(&actor)),
            order: QueueOrder::NewestFirst,
            limit: AGREEMENT_REQUESTS_MAX,
            ..QueueFilter::default()
        };
        let mut by: BTreeMap<PersonId, Agreement> = BTreeMap::new();
        for row in self.store.queue(&filter).await?.0 {
            // M2: how a request stands that they examine themselves is not theirs to know until it is answered.
            if crate::assess::examines(&row, who) {
                continue;
            }
            for (person, counts) in trial::agreement(&self.open(row.request).await?) {
                by.entry(person).or_default().add(&counts);
            }
        }
        self.note_house(HouseKind::ExaminersCompared, who, "read where examiners differ", actor.gallery).await?;
        let row = |person| {
            let agreement = by.get(&person).copied().unwrap_or_default();
            ExaminerAgreement { person, name: name_of(&register, Who::Person(person)), agreement }
        };
        let mut out: Vec<_> = self.led(&register, &actor).into_iter().map(row).collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// The examiners of the team that somebody leads.
    fn led(&self, register: &Register, actor: &Actor) -> Vec<PersonId> {
        let today = calendar::london_date(self.now());
        let leads = actor.team.filter(|t| register.teams.get(t).is_some_and(|t| t.leader == Some(actor.person)));
        let of_team = |p: &PersonId| register.actor(*p, today).is_some_and(|a| a.team == leads && a.has(Role::Examiner));
        if leads.is_none() { vec![] } else { register.people.keys().copied().filter(of_team).collect() }
    }

    fn reads_requests(&self, register: &Register, person: PersonId) -> bool {
        let today = calendar::london_date(self.now());
        let reads = |r: &Role| access::ruling(*r, State::Comparing, Action::SeeRequest).allowed;
        register.actor(person, today).is_some_and(|a| a.roles.iter().any(reads))
    }
}

/// Every trial of a gallery, also one whose person seemed vulnerable to an examiner: what is read of them is numbers.
fn all_trials(gallery: Option<GalleryId>) -> QueueFilter {
    let nobody = PersonId(LeoId::fixed(0).0);
    QueueFilter {
        gallery,
        trials: Trials::Only,
        viewer: Some(Viewer { sees_all: true, ..Viewer::only(nobody) }),
        order: QueueOrder::NewestFirst,
        limit: QUEUE_PAGE_LIMIT,
        ..QueueFilter::default()
    }
}

fn blobs(material: &Material) -> Vec<BlobId> {
    material.images().flat_map(|i| [i.original, i.rendering]).collect()
}

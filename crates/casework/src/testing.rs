//! A small world for tests, here and in other rooms: a register with two forces, both galleries and
//! everyone a request needs, and helpers that walk a request to any state through the real
//! [`decide`] and the real record.
// Test support: a world that cannot be built is a failed test, not a condition to handle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{
    assess::{Assessment, Criterion, Decision, Finding, Handling},
    certificate::{Certificate, Rate, Rates, Running},
    command::Command,
    crime::SeriousCrimeTest,
    decide::{Context, decide},
    disclosure::{Biography, Disclosure, Held, Picture, Sealed},
    event::{self, Entry, Event, Found, HeaderFacts, ReviewResult, SearchFacts, Sharing, Who},
    form::{Declaration, FaceBox, FingerprintCheck, Form, FormImage, Mode, Nationality, Purpose, QualityNote, Source, Verdict},
    ids::{AuthorisationId, BlobId, CandidateId, Digest, DsaId, LeoId, PersonId, ProbeId, ReferenceId, RequestId, TeamId},
    people::{Actor, Affiliation, Dsa, Leo, Person, Post, Rank, Register, RegisterEvent, Role, Team, Training},
    policy::{BioField, Policy},
    record::{GalleryId, OpenedRecord},
    refusal::Refusal,
    request::{Candidate, Request, State},
    review::{Agreement, Component, Conclusion, Informed, Visual},
    witnessed::Witnessed,
};
use jiff::{Timestamp, ToSpan, civil::Date};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::LazyLock,
};
use strum::IntoEnumIterator;

mod trials;

/// The police force of the world.
pub const FORCE: LeoId = LeoId::fixed(501);
/// The National Crime Agency of the world.
pub const NCA: LeoId = LeoId::fixed(502);
/// A constable of the force, who asks.
pub const REQUESTER: PersonId = PersonId::fixed(1);
/// An inspector of the force, who approves.
pub const APPROVER: PersonId = PersonId::fixed(2);
/// Another constable of the force.
pub const OTHER_REQUESTER: PersonId = PersonId::fixed(3);
/// A sergeant of the force with the approver's role, but neither rank nor delegation.
pub const SERGEANT: PersonId = PersonId::fixed(4);
/// An officer of the National Crime Agency, who asks.
pub const NCA_REQUESTER: PersonId = PersonId::fixed(5);
/// An inspector's equivalent at the National Crime Agency.
pub const NCA_APPROVER: PersonId = PersonId::fixed(6);
/// The outside assessor.
pub const AUDITOR: PersonId = PersonId::fixed(300);
/// The keeper of the register.
pub const REGISTRAR: PersonId = PersonId::fixed(301);

/// What the world's searches run on.
pub static RUNNING: LazyLock<Running> = LazyLock::new(|| Running {
    pack: "test-pack".into(),
    pack_digest: "aa".repeat(32),
    model: "test-model".into(),
    specification: "bb".repeat(32),
});
/// The threshold in use in both galleries of the world.
pub const THRESHOLD: f64 = 0.5;
/// The digest of a certificate that the world's key is taken to have signed.
pub const GENUINE: Digest = Digest([7; 32]);

/// A certificate for what the world runs on: up to 2,000 references, good until 2060.
#[must_use]
pub fn certificate(gallery: GalleryId, threshold: f64) -> Certificate {
    let rate = |errors, of| Rate { errors, of, low: 0.001, high: 0.02 };
    Certificate {
        gallery,
        running: RUNNING.clone(),
        threshold,
        references_max: 2_000,
        references_measured: 1_000,
        synthetic: 0,
        fpir_estimate: None,
        rates: Rates { fpir: rate(3, 1_000), fnir: rate(10, 1_000) },
        groups: vec![],
        people: 800,
        images: 2_000,
        evaluation: Digest([8; 32]),
        demonstration: false,
        measured: Date::constant(2026, 1, 1),
        issued: Date::constant(2026, 1, 1),
        until: Date::constant(2060, 1, 1),
    }
}

/// The certificate as a note; its signature is none.
#[must_use]
pub fn note(certificate: &Certificate) -> String {
    format!("{}\n\u{2014} test AAAA\n", certificate.text().unwrap())
}

/// The people of one gallery.
#[derive(Clone, Copy, Debug)]
pub struct Desk {
    /// Their team.
    pub team: TeamId,
    /// Its leader.
    pub leader: PersonId,
    /// Caseworkers.
    pub assessors: [PersonId; 2],
    /// Examiners.
    pub examiners: [PersonId; 4],
    /// The Senior Information Asset Owner.
    pub siao: PersonId,
}

/// The people of a gallery.
#[must_use]
pub fn desk(gallery: GalleryId) -> Desk {
    let n = match gallery {
        GalleryId::Passport => 100,
        GalleryId::Immigration => 200,
    };
    let p = |i| PersonId::fixed(n + i);
    Desk { team: TeamId::fixed(n), leader: p(0), assessors: [p(1), p(2)], examiners: [p(3), p(4), p(5), p(6)], siao: p(7) }
}

/// A request with the records that it is the fold of.
#[derive(Clone, Debug)]
pub struct Case {
    /// As it stands.
    pub request: Request,
    /// Its stream.
    pub records: Vec<OpenedRecord>,
}

impl Deref for Case {
    type Target = Request;
    fn deref(&self) -> &Request {
        &self.request
    }
}

impl Case {
    /// A request of which nothing is recorded yet.
    #[must_use]
    pub fn new(id: RequestId) -> Self {
        Self { request: Request::new(id), records: vec![] }
    }
    /// Its first image's probe.
    #[must_use]
    pub fn probe_id(&self) -> ProbeId {
        self.request.probes[0].id
    }
    /// The candidates of its first probe.
    #[must_use]
    pub fn candidate_ids(&self) -> Vec<CandidateId> {
        self.request.probes[0].candidates.iter().map(|c| c.id).collect()
    }
    /// Records one event, as the store does.
    pub fn commit(&mut self, by: Who, event: Event, at: Timestamp, policy: &Policy) {
        let entry = Entry { by, event: event.clone() };
        self.request.apply(&entry, at);
        let new = event::record(by, event, at, HeaderFacts::of(&self.request, &policy.version)).expect("an event is written");
        self.records.push(OpenedRecord { seq: self.records.len() as u64 + 1, header: new.header, payload: Some(new.payload) });
    }
    /// The request folded again from its records.
    #[must_use]
    pub fn refolded(&self) -> Request {
        Request::fold(self.request.id, self.records.clone()).expect("the stream folds")
    }
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    /// Everyone.
    pub register: Register,
    /// The policy in force.
    pub policy: Policy,
    /// The clock; each decision moves it on by a second.
    pub now: Timestamp,
    next: u128,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// The world on Monday 23 November 2026, 9:00.
    #[must_use]
    pub fn new() -> Self {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        Self { register: register(), policy: Policy::in_force(crate::calendar::london_date(now)).clone(), now, next: 10_000 }
    }

    /// An id's number that was not used before.
    pub fn fresh(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    /// Lets days pass.
    pub fn pass_days(&mut self, days: i64) {
        self.now = self.now.checked_add((days * 24).hours()).unwrap();
    }

    /// Today in London.
    #[must_use]
    pub fn today(&self) -> Date {
        crate::calendar::london_date(self.now)
    }

    /// A person as the register has them today.
    #[must_use]
    pub fn actor(&self, person: PersonId) -> Actor {
        self.register.actor(person, self.today()).expect("the person is on the register")
    }

    /// What a decision by this actor may know.
    #[must_use]
    pub fn context<'a>(&'a self, actor: Option<&'a Actor>) -> Context<'a> {
        Context { actor, register: &self.register, policy: &self.policy, now: self.now, running: Some((&RUNNING, 1_000)) }
    }

    /// Decides and records nothing.
    ///
    /// # Errors
    /// Every refusal.
    pub fn ask(&self, who: impl Into<Option<PersonId>>, request: &Request, command: &Command) -> Result<Vec<Event>, Vec<Refusal>> {
        let actor = who.into().map(|p| self.actor(p));
        decide(request, command, &self.context(actor.as_ref()))
    }

    /// Decides, records, applies, and checks that the records still fold to the request. `None` is a worker.
    ///
    /// # Errors
    /// Every refusal; then nothing was recorded.
    pub fn decide(&mut self, who: impl Into<Option<PersonId>>, case: &mut Case, command: Command) -> Result<Vec<Event>, Vec<Refusal>> {
        let who = who.into();
        self.now = self.now.checked_add(1.second()).unwrap();
        let events = self.ask(who, &case.request, &command)?;
        let by = who.map_or(Who::System, Who::Person);
        for event in &events {
            case.commit(by, event.clone(), self.now, &self.policy);
        }
        let folded = case.refolded();
        if case.request.erased.is_empty() {
            assert_eq!(folded, case.request, "the records fold to the request as applied");
        } else {
            assert_eq!(folded.state, case.request.state);
        }
        Ok(events)
    }

    /// As [`Self::decide`], where the command is expected to succeed.
    pub fn done(&mut self, who: impl Into<Option<PersonId>>, case: &mut Case, command: Command) -> Vec<Event> {
        let name = command.action();
        self.decide(who, case, command).unwrap_or_else(|r| panic!("{name} in {} was refused: {r:#?}", case.request.state))
    }

    /// As [`Self::decide`], where the command is expected to be refused.
    pub fn refused(&mut self, who: impl Into<Option<PersonId>>, case: &mut Case, command: Command) -> Vec<Refusal> {
        let name = command.action();
        let (version, records) = (case.version, case.records.len());
        let refusals = self.decide(who, case, command).expect_err(&format!("{name} in {} was allowed", case.request.state));
        assert_eq!((version, records), (case.version, case.records.len()));
        assert!(!refusals.is_empty(), "a refusal says why");
        refusals
    }

    /// A complete form for the passport gallery.
    #[must_use]
    pub fn complete_form(&mut self) -> Form {
        self.form(GalleryId::Passport)
    }

    /// A complete form for a gallery: one usable image, unidentified person, a serious crime by limb (b).
    #[must_use]
    pub fn form(&mut self, gallery: GalleryId) -> Form {
        let foreign = gallery == GalleryId::Immigration;
        Form {
            investigation: format!("OP-{}", self.fresh()),
            nationality: Some(if foreign { Nationality::Foreign } else { Nationality::British }),
            fingerprints_held: foreign.then_some(true),
            fingerprint_check: foreign.then_some(FingerprintCheck::NotIdentified),
            fingerprint_reference: if foreign { "IABS-1".into() } else { String::new() },
            purposes: [Purpose::SeriousCrime].into(),
            purpose_words: "To identify the man seen leaving the scene.".into(),
            mode: Some(Mode::Unidentified),
            offence: "Robbery with a knife.".into(),
            crime: SeriousCrimeTest { sexual_offence: Some(false), two_years: Some(true), violence: true, ..Default::default() },
            people_affected: "Two.".into(),
            harm: "Both were stabbed.".into(),
            images: vec![self.image()],
            person: "About thirty, local accent.".into(),
            own_databases: "PNC, custody images.".into(),
            other_databases: "PND.".into(),
            other_enquiries: "House to house, media appeal.".into(),
            vulnerable: Some(false),
            urgent: Some(false),
            declarations: Declaration::iter().collect(),
            ..Form::new()
        }
    }

    /// A usable image with one face.
    #[must_use]
    pub fn image(&mut self) -> FormImage {
        let n = self.fresh();
        let mut digest = [7; 32];
        digest[16..].copy_from_slice(&n.to_be_bytes());
        FormImage {
            probe: ProbeId::fixed(n),
            digest: Digest(digest),
            original: BlobId::fixed(n),
            rendering: BlobId::fixed(n + 1_000_000),
            width: 640,
            height: 480,
            faces: vec![FaceBox { x: 100.0, y: 80.0, width: 120.0, height: 160.0 }],
            chosen: Some(0),
            quality: vec![QualityNote {
                component: "inter-eye-distance".into(),
                value: Some(70.0),
                unit: "pixels".into(),
                verdict: Verdict::Fine,
                advice: "The face is 70 pixels between the eyes.".into(),
            }],
            specification: Some(Digest([0xbb; 32])),
            suspicions: vec![],
            source: Some(Source::Unsupervised),
        }
    }

    /// The command that sends a form to an approver.
    #[must_use]
    pub fn prepare(form: Form, gallery: GalleryId) -> Command {
        Command::Prepare { form: Box::new(form), gallery, twin: None, replaces: None, same_investigation: None, image_seen_before: false }
    }

    /// An assessment in which everything is met.
    #[must_use]
    pub fn assessment(&self, gallery: GalleryId) -> Assessment {
        let met = Finding { met: Some(true), reasons: "Seen and found so.".into() };
        Assessment {
            legal_basis: self.policy.gallery(gallery).legal_bases[0].id.clone(),
            findings: Criterion::iter().map(|c| (c, met.clone())).collect(),
            purposes: [Purpose::SeriousCrime].into(),
            crime: SeriousCrimeTest { sexual_offence: Some(false), two_years: Some(true), violence: true, ..Default::default() },
            section_8_read: true,
            handling: Some(Handling::Ordinary),
        }
    }

    /// The command that authorises the search of a probe.
    #[must_use]
    pub fn authorise(&mut self, case: &Case, probe: ProbeId) -> Command {
        let mut assessment = self.assessment(case.gallery.unwrap());
        if let Some(form) = &case.request.form {
            assessment.purposes.clone_from(&form.purposes);
        }
        if case.sensitive {
            assessment.handling = Some(Handling::Sensitive);
        }
        Command::Assess {
            probe,
            assessment: Box::new(assessment),
            decision: Decision::Authorise,
            authorisation: AuthorisationId::fixed(self.fresh()),
        }
    }

    /// The command that declines the search of a probe as below the threshold.
    #[must_use]
    pub fn decline(&mut self, case: &Case, probe: ProbeId) -> Command {
        let mut assessment = self.assessment(case.gallery.unwrap());
        assessment.findings.insert(Criterion::Threshold, Finding { met: Some(false), reasons: "A minor matter.".into() });
        if case.sensitive {
            assessment.handling = Some(Handling::Sensitive);
        }
        Command::Assess {
            probe,
            assessment: Box::new(assessment),
            decision: Decision::Decline { explanation: "The request is below the threshold.".into() },
            authorisation: AuthorisationId::fixed(self.fresh()),
        }
    }

    /// What the worker records of a search that found `n` candidates.
    #[must_use]
    pub fn search_result(&mut self, case: &Case, probe: ProbeId, n: usize) -> Command {
        let authorisation = match &case.probe(probe).unwrap().state {
            crate::request::ProbeState::Started(a) | crate::request::ProbeState::Authorised(a) => a.id,
            _ => AuthorisationId::fixed(0),
        };
        let found = (0..n)
            .map(|_| {
                let id = self.fresh();
                Found { candidate: CandidateId::fixed(id), reference: ReferenceId::fixed(id + 1_000_000), score: 0.75 }
            })
            .collect();
        Command::RecordSearch { probe, authorisation, facts: Self::facts(), found }
    }

    /// How a search was made.
    #[must_use]
    pub fn facts() -> SearchFacts {
        SearchFacts {
            engine: "test/1".into(),
            running: RUNNING.clone(),
            epoch: 1,
            searched: 1_000,
            threshold: THRESHOLD,
            certificate: GENUINE,
            list: Digest([1; 32]),
            more: false,
        }
    }

    /// A blind visual opinion.
    #[must_use]
    pub fn visual(conclusion: Conclusion) -> Visual {
        Visual {
            conclusion,
            components: BTreeMap::from([(Component::Eyes, Agreement::Alike)]),
            words: "I compared the eyes.".into(),
            image_log: Default::default(),
        }
    }

    /// An informed conclusion.
    #[must_use]
    pub fn informed(same_person: bool) -> Informed {
        Informed { same_person, reasons: "It fits what the force says.".into(), image_log: Default::default() }
    }

    /// What an answer shares of a match: the image and the name.
    #[must_use]
    pub fn share() -> Sharing {
        Sharing::Share {
            image: true,
            fields: vec![(BioField::Name, "So that he can be traced.".into())],
            reasons: "The harm is grave and there is no other way.".into(),
        }
    }

    /// A case at a gallery with a given form, prepared and with the approver.
    pub fn prepared(&mut self, form: Form, gallery: GalleryId) -> Case {
        let mut case = Case::new(RequestId::fixed(self.fresh()));
        self.done(REQUESTER, &mut case, Self::prepare(form, gallery));
        case
    }

    /// A case received by a gallery.
    pub fn received(&mut self, gallery: GalleryId) -> Case {
        let form = self.form(gallery);
        self.received_form(form, gallery)
    }

    /// A case received by a gallery with a given form.
    pub fn received_form(&mut self, form: Form, gallery: GalleryId) -> Case {
        let mut case = self.prepared(form, gallery);
        self.done(APPROVER, &mut case, Command::Approve);
        case
    }

    /// Gives it to the desk's first assessor: taken, or allocated by the leader where it is sensitive.
    pub fn take(&mut self, case: &mut Case) -> PersonId {
        let desk = desk(case.gallery.unwrap());
        let holder = desk.assessors[0];
        if case.sensitive {
            let allocate = Command::Allocate { to: holder, reason: "Trained for it.".into() };
            self.done(desk.leader, case, allocate);
        }
        self.done(holder, case, Command::Take { no_conflict: true });
        holder
    }

    /// A case held by the desk's first assessor.
    pub fn assessing(&mut self, gallery: GalleryId) -> Case {
        let mut case = self.received(gallery);
        self.take(&mut case);
        case
    }

    /// A case whose first probe is authorised.
    pub fn authorised(&mut self, gallery: GalleryId) -> Case {
        let mut case = self.assessing(gallery);
        self.authorise_first(&mut case);
        case
    }

    /// Authorises the first probe.
    pub fn authorise_first(&mut self, case: &mut Case) {
        let command = self.authorise(case, case.probe_id());
        self.done(case.assignee, case, command);
    }

    /// Searches the first probe, finding `n` candidates.
    pub fn search(&mut self, case: &mut Case, n: usize) {
        let probe = case.probe_id();
        self.done(case.assignee, case, Command::StartSearch { probe });
        let result = self.search_result(case, probe, n);
        self.done(None, case, result);
    }

    /// A case whose first probe was searched with `n` candidates found.
    pub fn searched(&mut self, gallery: GalleryId, n: usize) -> Case {
        let mut case = self.authorised(gallery);
        self.search(&mut case, n);
        case
    }

    /// Lets an examiner join the first probe, admitted first where it is sensitive.
    pub fn join(&mut self, case: &mut Case, examiner: PersonId) {
        if case.sensitive && !case.admitted.contains(&examiner) {
            let admit = Command::Admit { person: examiner, reason: "To compare.".into() };
            self.done(desk(case.gallery.unwrap()).leader, case, admit);
        }
        let probe = case.probe_id();
        let order = crate::review::in_question(&case.probes[0]);
        self.done(examiner, case, Command::Examine { probe, order });
    }

    /// An examiner's blind step on one candidate of the first probe.
    pub fn look(&mut self, case: &mut Case, examiner: PersonId, candidate: CandidateId, conclusion: Conclusion) {
        let command = Command::GiveVisual {
            probe: case.probe_id(),
            candidate,
            opinion: Self::visual(conclusion),
            version: self.version_of(case, examiner),
        };
        self.done(examiner, case, command);
    }

    /// An examiner's informed step on one candidate of the first probe.
    pub fn conclude(&mut self, case: &mut Case, examiner: PersonId, candidate: CandidateId, same: bool) -> Vec<Event> {
        let command = Command::GiveInformed {
            probe: case.probe_id(),
            candidate,
            opinion: Self::informed(same),
            version: self.version_of(case, examiner),
        };
        self.done(examiner, case, command)
    }

    /// The examiner's own version on the first probe.
    #[must_use]
    pub fn version_of(&self, case: &Case, examiner: PersonId) -> u64 {
        crate::review::sheet(case, case.probe_id(), examiner).map_or(0, |s| s.version)
    }

    /// An examiner joins and gives both steps on every candidate asked of them: `same[n]` for the n-th in order of id.
    pub fn examine(&mut self, case: &mut Case, examiner: PersonId, same: &[bool]) {
        self.join(case, examiner);
        let asked = case.probes[0].asked_of(examiner);
        for (candidate, same) in asked.iter().zip(same) {
            let conclusion = if *same { Conclusion::Same } else { Conclusion::Different };
            self.look(case, examiner, *candidate, conclusion);
        }
        for (candidate, same) in asked.into_iter().zip(same) {
            self.conclude(case, examiner, candidate, *same);
        }
    }

    /// A case with one match, confirmed by the desk's first two examiners, and one candidate who is not.
    pub fn matched(&mut self, gallery: GalleryId) -> Case {
        let mut case = self.searched(gallery, 2);
        for e in &desk(gallery).examiners[..2] {
            self.examine(&mut case, *e, &[true, false]);
        }
        case
    }

    /// Decides on the first match of the first probe.
    pub fn decide_sharing(&mut self, case: &mut Case, sharing: Sharing) {
        let candidate = case.probes[0].matches().next().unwrap().id;
        let command = Command::DecideSharing { probe: case.probe_id(), candidate, sharing };
        self.done(case.assignee, case, command);
    }

    /// Makes up the answer and releases it.
    pub fn answer(&mut self, case: &mut Case) {
        self.done(case.assignee, case, Self::answer_command());
        let release = Self::release(case);
        self.done(None, case, release);
    }

    /// What the worker releases: the answer as decided, every shared field filled and every shared picture
    /// there. Of a request that cannot be answered yet, something that does not fit.
    #[must_use]
    pub fn release(case: &Request) -> Command {
        let policy = Policy::in_force(Date::constant(2026, 11, 23));
        let shares = |c: &&Candidate| matches!(c.sharing, Some(Sharing::Share { .. }));
        let shared: Vec<_> = case.probes.iter().flat_map(|p| &p.candidates).filter(shares).collect();
        let all = Held { biography: Biography(BioField::iter().map(|f| (f, format!("Invented {f}"))).collect()), picture: true };
        let held = shared.iter().map(|c| (c.id, all.clone())).collect();
        let answer = Disclosure::assemble(case, &held, "Amina Example", policy);
        let picture = |c: CandidateId| Picture { candidate: c, blob: BlobId(c.0), digest: Digest([3; 32]) };
        let sealed = match &answer {
            Ok(answer) => {
                let people = answer.probes().iter().flat_map(|p| &p.shared);
                Sealed::new(answer, people.filter(|s| s.image).map(|s| picture(s.candidate)).collect())
            }
            Err(_) => serde_json::from_str(r#"{"text": "", "pictures": []}"#),
        };
        Command::Release { answer: Box::new(sealed.expect("a sealed answer")), digest: Digest([9; 32]), witnessed: Witnessed::default() }
    }

    /// The command that addresses the answer.
    #[must_use]
    pub fn answer_command() -> Command {
        Command::Answer { recipient_confirmed: true }
    }

    /// A case answered with a match.
    pub fn answered(&mut self, gallery: GalleryId) -> Case {
        let mut case = self.matched(gallery);
        self.decide_sharing(&mut case, Self::share());
        self.answer(&mut case);
        case
    }

    /// A case answered with a decline.
    pub fn declined(&mut self, gallery: GalleryId) -> Case {
        let mut case = self.assessing(gallery);
        let decline = self.decline(&case, case.probe_id());
        self.done(case.assignee, &mut case, decline);
        self.answer(&mut case);
        case
    }

    /// A passport case in any state.
    pub fn at(&mut self, state: State) -> Case {
        let gallery = GalleryId::Passport;
        let desk = desk(gallery);
        let case = match state {
            State::Draft => Case::new(RequestId::fixed(self.fresh())),
            State::AwaitingApproval => {
                let form = self.form(gallery);
                self.prepared(form, gallery)
            }
            State::Returned => {
                let mut case = self.at(State::AwaitingApproval);
                let reasons = "Say more of the harm.".into();
                self.done(APPROVER, &mut case, Command::Return { reasons });
                case
            }
            State::Rejected => {
                let mut case = self.assessing(gallery);
                let missing = vec![(crate::form::Field::Harm, "It does not say whose.".into())];
                self.done(desk.assessors[0], &mut case, Command::Reject { missing });
                case
            }
            State::Received => self.received(gallery),
            State::Assessing => self.assessing(gallery),
            State::Clarifying => {
                let mut case = self.assessing(gallery);
                let question = "Which camera?".into();
                self.done(desk.assessors[0], &mut case, Command::AskClarification { question });
                case
            }
            State::Searching => self.authorised(gallery),
            State::Comparing => self.searched(gallery, 2),
            State::Responding => self.matched(gallery),
            State::Answering => {
                let mut case = self.matched(gallery);
                self.decide_sharing(&mut case, Self::share());
                self.done(desk.assessors[0], &mut case, Self::answer_command());
                case
            }
            State::Answered => self.answered(gallery),
            State::Withdrawn => {
                let mut case = self.matched(gallery);
                let reason = "He came in by himself.".into();
                self.done(REQUESTER, &mut case, Command::Withdraw { reason });
                case
            }
            State::Closed => {
                let mut case = self.answered(gallery);
                self.done(desk.assessors[0], &mut case, Command::Close);
                case
            }
            State::Erased => {
                let mut case = self.at(State::Closed);
                let before = self.now;
                self.pass_days(366 * 6 + 2);
                let class = crate::record::RetentionClass::Record;
                self.done(None, &mut case, Command::Erase { class });
                self.now = before;
                case
            }
        };
        assert_eq!(case.state, state);
        case
    }

    /// Asks for a review and lets the leader decide it.
    pub fn review(&mut self, case: &mut Case, result: ReviewResult) {
        let reasons: String = "Two people were stabbed.".into();
        self.done(REQUESTER, case, Command::AskReview { reasons: reasons.clone() });
        let leader = desk(case.gallery.unwrap()).leader;
        self.done(leader, case, Command::DecideReview { result, reasons });
    }
}

fn register() -> Register {
    let mut register = Register::default();
    let day = |y| Date::new(y, 1, 1).unwrap();
    let (from, until) = (day(2020), day(2060));
    for (id, name) in [(FORCE, "Anyshire Police"), (NCA, "National Crime Agency")] {
        register.apply(RegisterEvent::LeoEntered(Leo { id, name: name.into(), competent_authority: true }));
        for gallery in GalleryId::iter() {
            register.apply(RegisterEvent::DsaEntered(Dsa {
                id: DsaId::fixed(register.dsas.len() as u128 + 1),
                leo: id,
                gallery,
                from,
                until,
                online: true,
            }));
        }
    }
    let mut enter = |id: PersonId, name: &str, at, roles: &[Role], rank, post| {
        let mut person = Person {
            id,
            name: name.into(),
            at,
            roles: roles.iter().copied().collect::<BTreeSet<_>>(),
            rank,
            may_approve_by_delegation: false,
            post,
            training: vec![],
            left: None,
        };
        if post.is_some() {
            person.training.push(Training { from, until });
        }
        register.apply(RegisterEvent::PersonEntered(person));
    };
    let force = Affiliation::Leo(FORCE);
    let nca = Affiliation::Leo(NCA);
    enter(REQUESTER, "Amina Example", force, &[Role::Requester], Some(Rank::Constable), None);
    enter(APPROVER, "Ben Example", force, &[Role::Approver], Some(Rank::Inspector), None);
    enter(OTHER_REQUESTER, "Cara Example", force, &[Role::Requester], Some(Rank::Constable), None);
    enter(SERGEANT, "Dan Example", force, &[Role::Approver], Some(Rank::Sergeant), None);
    enter(NCA_REQUESTER, "Eve Example", nca, &[Role::Requester], Some(Rank::Constable), None);
    enter(NCA_APPROVER, "Fay Example", nca, &[Role::Approver], Some(Rank::Inspector), None);
    enter(AUDITOR, "Gus Example", Affiliation::House, &[Role::Auditor], None, None);
    enter(REGISTRAR, "Hal Example", Affiliation::House, &[Role::Registrar], None, None);
    for gallery in GalleryId::iter() {
        let d = desk(gallery);
        let post = Some(match gallery {
            GalleryId::Passport => Post::PassportCounterFraudOfficer,
            GalleryId::Immigration => Post::ImmigrationFingerprintBureauCaseworker,
        });
        let team = Affiliation::Team(d.team);
        enter(d.leader, "Leader Example", team, &[Role::TeamLeader], None, post);
        for p in d.assessors {
            enter(p, "Assessor Example", team, &[Role::Assessor], None, post);
        }
        for p in d.examiners {
            enter(p, "Examiner Example", team, &[Role::Examiner], None, post);
        }
        let owner = Affiliation::Gallery(gallery);
        enter(d.siao, "Owner Example", owner, &[Role::Siao], None, None);
    }
    for gallery in GalleryId::iter() {
        let d = desk(gallery);
        register.apply(RegisterEvent::TeamEntered(Team { id: d.team, name: format!("{gallery} team"), gallery, leader: Some(d.leader) }));
    }
    for gallery in GalleryId::iter() {
        register.apply(RegisterEvent::CertificateIssued { gallery, note: note(&certificate(gallery, THRESHOLD)) });
    }
    for held in register.settings.values_mut().flat_map(|s| &mut s.certificates) {
        held.genuine = Some(GENUINE);
    }
    register
}

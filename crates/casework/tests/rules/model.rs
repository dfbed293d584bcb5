//! Every life of a small world, walked by stateright through the real `decide`: nothing is released
//! without two people who each said *same* blind before they said so informed, on an approved,
//! authorised, unexpired request; a holder never examines; a withdrawn request never answers.
//!
//! Two police officers, both with both roles, and one image with up to two candidates. In the first
//! world three members of staff each hold every role, so that whoever could cheat is free to; in the
//! second a fourth makes adjudication reachable. Everybody tries every command in every state. What
//! widens a life without end (flags, conflicts, reassignment, the clock, questions) happens at most
//! `disturbances` times in one life, and each in every place.

use casework::{
    command::Command,
    decide::{Context, decide},
    event::{Entry, Event, Found, ReviewResult, Sharing, Who},
    form::{Field, Form},
    ids::{AuthorisationId, CandidateId, PersonId, ProbeId, ReferenceId, RequestId},
    people::{Actor, Register, RegisterEvent, Role},
    policy::Policy,
    record::GalleryId,
    request::{Outcome, ProbeState, Request, State},
    review::{self, Conclusion, Informed, Visual},
    testing::*,
};
use jiff::{Timestamp, ToSpan};
use stateright::{Checker, Model, Property};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
};

const PROBE: ProbeId = ProbeId::fixed(7);
const LEAVE: AuthorisationId = AuthorisationId::fixed(8);
const CANDIDATES: [CandidateId; 2] = [CandidateId::fixed(9), CandidateId::fixed(10)];

/// What an observer who trusts nobody notes down of a life.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
struct Notes {
    /// Who said *same* blind, by candidate.
    blind: [BTreeSet<PersonId>; 2],
    /// Who said so informed after having said so blind.
    confirmed: [BTreeSet<PersonId>; 2],
    /// Whether leave was alive when the search began.
    in_time: bool,
    /// Whether somebody other than the requester approved, with the rank.
    approved: bool,
    /// Everyone who ever held it, and who ever examined it.
    held: BTreeSet<PersonId>,
    examined: BTreeSet<PersonId>,
    /// Everyone who was replaced as an examiner.
    replaced: BTreeSet<PersonId>,
    /// Everyone who said that they have no conflict of interest, on taking it up.
    declared: BTreeSet<PersonId>,
    withdrawn: bool,
    adjudicated: bool,
    /// Released after withdrawal, or shared without what it takes.
    wrong: Option<&'static str>,
    /// The first answer that left.
    answer: Option<(Answer, bool)>,
    disturbances: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Match,
    NoMatch,
    Declined,
    Withheld,
}

#[derive(Clone, Debug, PartialEq)]
struct Life {
    request: Request,
    /// Whether the clock has passed the end of the leave.
    late: bool,
    notes: Notes,
}

impl Hash for Life {
    /// What a future decision can depend on; the form is always the same, and times and versions are
    /// left out. Opinions on a withdrawn request cannot matter any more.
    fn hash<H: Hasher>(&self, h: &mut H) {
        let r = &self.request;
        (r.state, r.version == 0, r.sensitive, r.requester, r.approver).hash(h);
        (&r.replaced, &r.replaced_by, r.assignee, &r.held_by, &r.deciders, &r.admitted, &r.conflicted).hash(h);
        (r.handling.is_some(), r.recipient.is_some(), r.released_at.is_some()).hash(h);
        (r.collected_at.is_some(), r.outcome, r.rejected.len()).hash(h);
        (r.clarifications.len(), r.clarifications.last().map(|c| c.answer.is_some())).hash(h);
        (r.reviews.len(), r.reviews.last().map(|r| r.result.as_ref().map(|r| r.0 as u8))).hash(h);
        (r.onward.len(), r.onward.last().map(|o| o.decision.is_some())).hash(h);
        for p in &r.probes {
            std::mem::discriminant(&p.state).hash(h);
            if r.state == State::Withdrawn {
                continue;
            }
            if let ProbeState::Adjudicating(c) = &p.state {
                c.hash(h);
            }
            for e in &p.examiners {
                (e.person, &e.order).hash(h);
            }
            for c in &p.candidates {
                (c.id, c.matched, c.confirmed_by.len()).hash(h);
                c.sharing.as_ref().map(|s| matches!(s, Sharing::Share { .. })).hash(h);
                for (who, o) in &c.opinions {
                    let visual = o.visual.as_ref().map(|v| v.conclusion);
                    (who, visual, o.informed.as_ref().map(|i| i.same_person)).hash(h);
                }
            }
        }
        self.late.hash(h);
        self.notes.hash(h);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Prepare,
    Return,
    Approve,
    Withdraw,
    Reject,
    Take,
    Conflict,
    PutBack,
    Allocate(PersonId),
    Ask,
    Reply,
    Authorise,
    Decline,
    Flag,
    Admit(PersonId),
    Start,
    Found(usize),
    Expire,
    Examine,
    Replace(PersonId),
    Look(usize, Conclusion),
    Conclude(usize, bool),
    Empty,
    Share(usize, bool),
    Answer,
    Release,
    Collect,
    AskReview,
    Review(ReviewResult),
    AskOnward,
    Onward,
    Close,
    /// The leave runs out.
    Clock,
}

impl Move {
    /// Whether it counts towards the bound on what widens a life.
    fn disturbs(self) -> bool {
        use Move as M;
        matches!(self, M::Conflict | M::PutBack | M::Allocate(_) | M::Ask | M::Flag | M::Clock | M::Return | M::AskReview | M::AskOnward)
    }
}

type Action = (Option<PersonId>, Move);

struct World3 {
    register: Register,
    policy: Policy,
    start: Timestamp,
    actors: BTreeMap<PersonId, Actor>,
    form: Form,
    police: Vec<PersonId>,
    staff: Vec<PersonId>,
    /// What may be said of each candidate blind.
    looks: [Vec<Conclusion>; 2],
    disturbances: u8,
    adjudicates: bool,
    /// How often an examiner is replaced in one life, at most.
    replacements: usize,
    /// Staff with the same roles and post as the one listed before them.
    interchangeable: Option<PersonId>,
    facts: casework::event::SearchFacts,
    assessment: casework::assess::Assessment,
}

impl World3 {
    fn new(staff: &[(PersonId, &[Role])], looks: [Vec<Conclusion>; 2], disturbances: u8) -> Self {
        let mut w = World::new();
        for p in [REQUESTER, APPROVER] {
            let mut person = w.register.people[&p].clone();
            person.roles = [Role::Requester, Role::Approver].into();
            person.rank = Some(casework::people::Rank::Inspector);
            w.register.apply(RegisterEvent::PersonEntered(person));
        }
        for (p, roles) in staff {
            let mut person = w.register.people[p].clone();
            person.roles = roles.iter().copied().collect();
            w.register.apply(RegisterEvent::PersonEntered(person));
        }
        let mut form = w.complete_form();
        form.images[0].probe = PROBE;
        let police = vec![REQUESTER, APPROVER];
        let staff: Vec<_> = staff.iter().map(|(p, _)| *p).collect();
        let everyone = police.iter().chain(&staff);
        Self {
            actors: everyone.map(|p| (*p, w.actor(*p))).collect(),
            assessment: w.assessment(GalleryId::Passport),
            policy: w.policy.clone(),
            start: w.now,
            form,
            police,
            adjudicates: staff.len() > 3,
            replacements: 0,
            interchangeable: (staff.len() == 3).then(|| staff[2]),
            staff,
            looks,
            disturbances,
            facts: World::facts(),
            register: w.register,
        }
    }

    fn now(&self, life: &Life) -> Timestamp {
        let hours = if life.late { 24 * 20 } else { 0 };
        self.start.checked_add(hours.hours()).unwrap()
    }

    fn command(&self, life: &Life, who: Option<PersonId>, m: Move) -> Command {
        let words = || "So.".to_owned();
        let version = || {
            let sheet = who.and_then(|w| review::sheet(&life.request, PROBE, w));
            sheet.map_or(0, |s| s.version)
        };
        let assess = |decision| {
            let mut assessment = self.assessment.clone();
            if life.request.sensitive {
                assessment.handling = Some(casework::assess::Handling::Sensitive);
            }
            if matches!(decision, casework::assess::Decision::Decline { .. }) {
                let finding = assessment.findings.get_mut(&casework::assess::Criterion::Balance);
                finding.unwrap().met = Some(false);
            }
            Command::Assess { probe: PROBE, assessment: Box::new(assessment), decision, authorisation: LEAVE }
        };
        match m {
            Move::Prepare => World::prepare(self.form.clone(), GalleryId::Passport),
            Move::Return => Command::Return { reasons: words() },
            Move::Approve => Command::Approve,
            Move::Withdraw => Command::Withdraw { reason: words() },
            Move::Reject => Command::Reject { missing: vec![(Field::Harm, words())] },
            Move::Take => Command::Take { no_conflict: true },
            Move::Conflict => Command::DeclareConflict { words: words() },
            Move::PutBack => Command::PutBack,
            Move::Allocate(to) => Command::Allocate { to, reason: words() },
            Move::Ask => Command::AskClarification { question: words() },
            Move::Reply => Command::AnswerClarification { answer: words() },
            Move::Authorise => assess(casework::assess::Decision::Authorise),
            Move::Decline => assess(casework::assess::Decision::Decline { explanation: words() }),
            Move::Flag => Command::FlagVulnerable { words: words() },
            Move::Admit(person) => Command::Admit { person, reason: words() },
            Move::Start => Command::StartSearch { probe: PROBE },
            Move::Found(n) => Command::RecordSearch {
                probe: PROBE,
                authorisation: LEAVE,
                facts: self.facts.clone(),
                found: CANDIDATES[..n].iter().map(|c| Found { candidate: *c, reference: ReferenceId(c.0), score: 0.75 }).collect(),
            },
            Move::Expire => Command::ExpireAuthorisation { probe: PROBE },
            Move::Examine => {
                Command::Examine { probe: PROBE, order: life.request.probe(PROBE).map(review::in_question).unwrap_or_default() }
            }
            Move::Replace(examiner) => Command::ReplaceExaminer { examiner, reason: words() },
            Move::Look(n, conclusion) => Command::GiveVisual {
                probe: PROBE,
                candidate: CANDIDATES[n],
                opinion: Visual { words: words(), ..World::visual(conclusion) },
                version: version(),
            },
            Move::Conclude(n, same_person) => Command::GiveInformed {
                probe: PROBE,
                candidate: CANDIDATES[n],
                opinion: Informed { same_person, reasons: words(), image_log: Default::default() },
                version: version(),
            },
            Move::Empty => Command::ConcludeEmpty { probe: PROBE, words: words() },
            Move::Share(n, share) => Command::DecideSharing {
                probe: PROBE,
                candidate: CANDIDATES[n],
                sharing: if share { World::share() } else { Sharing::Withhold { reasons: words() } },
            },
            Move::Answer => World::answer_command(),
            Move::Release => World::release(&life.request),
            Move::Collect => Command::Collect,
            Move::AskReview => Command::AskReview { reasons: words() },
            Move::Review(result) => Command::DecideReview { result, reasons: words() },
            Move::AskOnward => Command::AskOnward { to: words(), reasons: words() },
            Move::Onward => Command::DecideOnward { allowed: true, reasons: words() },
            Move::Close | Move::Clock => Command::Close,
        }
    }

    /// The observer's pen: what the events say, without asking the request what it thinks.
    fn note(&self, notes: &mut Notes, who: Option<PersonId>, event: &Event, before: &Request, now: Timestamp) {
        let index = |c: &CandidateId| CANDIDATES.iter().position(|x| x == c).unwrap();
        if let Event::Taken { person, .. } = event {
            notes.declared.insert(*person);
        }
        let leaves = matches!(event, Event::PutBack { .. } | Event::ConflictDeclared { .. });
        if !leaves && who.is_some_and(|p| before.assignee == Some(p) && !notes.declared.contains(&p)) {
            notes.wrong = Some("a holder acted before saying whether they have a conflict of interest");
        }
        match event {
            Event::Approved { .. } => notes.approved = who.is_some() && who != before.requester,
            Event::Withdrawn { .. } => notes.withdrawn = true,
            Event::Taken { person, .. } | Event::Allocated { to: person, .. } => {
                notes.held.insert(*person);
            }
            Event::SearchStarted { .. } => {
                notes.in_time = matches!(
                    &before.probes[0].state,
                    ProbeState::Authorised(a) if now < a.expires && a.digest == self.form.images[0].digest
                );
            }
            Event::ExaminerJoined { examiner, .. } => {
                notes.examined.insert(*examiner);
                if notes.replaced.contains(examiner) {
                    notes.wrong = Some("an examiner who was replaced came back");
                }
            }
            Event::ExaminerReplaced { examiner: person, .. } | Event::ConflictDeclared { person, .. } => {
                if matches!(event, Event::ExaminerReplaced { .. }) {
                    notes.replaced.insert(*person);
                }
                for n in 0..2 {
                    notes.blind[n].remove(person);
                    notes.confirmed[n].remove(person);
                }
            }
            Event::VisualGiven { candidate, examiner, opinion, .. } if opinion.conclusion.supports_same() => {
                notes.blind[index(candidate)].insert(*examiner);
            }
            Event::InformedGiven { candidate, examiner, opinion, .. } => {
                let n = index(candidate);
                if opinion.same_person && notes.blind[n].contains(examiner) {
                    notes.confirmed[n].insert(*examiner);
                }
            }
            Event::AdjudicationOpened { .. } => notes.adjudicated = true,
            Event::Released { outcome, .. } => {
                let shared: Vec<usize> = before.probes[0]
                    .candidates
                    .iter()
                    .filter(|c| matches!(c.sharing, Some(Sharing::Share { .. })))
                    .map(|c| index(&c.id))
                    .collect();
                if notes.withdrawn {
                    notes.wrong = Some("released after withdrawal");
                }
                if !notes.approved {
                    notes.wrong = Some("released without approval");
                }
                if !shared.is_empty() && !notes.in_time {
                    notes.wrong = Some("shared without living leave to search");
                }
                if shared.iter().any(|n| notes.confirmed[*n].len() < 2) {
                    notes.wrong = Some("shared without two people, blind and then informed");
                }
                let answer = match outcome {
                    Outcome::Match => Answer::Match,
                    Outcome::NoMatch => Answer::NoMatch,
                    Outcome::Declined => Answer::Declined,
                    Outcome::Withheld => Answer::Withheld,
                };
                if (answer == Answer::Match) == shared.is_empty() {
                    notes.wrong = Some("the answer is not what was decided");
                }
                notes.answer.get_or_insert((answer, before.sensitive));
            }
            _ => {}
        }
        if !notes.held.is_disjoint(&notes.examined) {
            notes.wrong = Some("a holder examined");
        }
    }
}

impl Model for World3 {
    type State = Life;
    type Action = Action;

    fn init_states(&self) -> Vec<Life> {
        vec![Life { request: Request::new(RequestId::fixed(1)), late: false, notes: Notes::default() }]
    }

    fn actions(&self, life: &Life, out: &mut Vec<Action>) {
        use Move as M;
        let r = &life.request;
        let mut moves = vec![
            M::Prepare,
            M::Return,
            M::Approve,
            M::Withdraw,
            M::Reject,
            M::Take,
            M::Conflict,
            M::PutBack,
            M::Ask,
            M::Reply,
            M::Authorise,
            M::Decline,
            M::Flag,
            M::Start,
            M::Found(0),
            M::Found(2),
            M::Expire,
            M::Examine,
            M::Empty,
            M::Answer,
            M::Release,
            M::Collect,
            M::AskReview,
            M::Review(ReviewResult::Maintained),
            M::Review(ReviewResult::Changed),
            M::AskOnward,
            M::Onward,
            M::Close,
        ];
        moves.extend(self.staff.iter().map(|p| M::Allocate(*p)));
        if r.sensitive {
            moves.extend(self.staff.iter().filter(|p| !r.admitted.contains(p)).map(|p| M::Admit(*p)));
        }
        for n in 0..r.probes.first().map_or(0, |p| p.candidates.len()) {
            moves.extend(self.looks[n].iter().map(|c| M::Look(n, *c)));
            moves.extend([M::Conclude(n, true), M::Conclude(n, false)]);
            // A decision on sharing may be changed without end; once is enough here.
            if r.probes[0].candidates[n].sharing.is_none() {
                moves.extend([M::Share(n, true), M::Share(n, false)]);
            }
        }
        if life.notes.replaced.len() < self.replacements {
            moves.extend(r.probes.iter().flat_map(|p| &p.examiners).map(|e| M::Replace(e.person)));
        }
        if life.notes.disturbances >= self.disturbances {
            moves.retain(|m| !m.disturbs());
        }
        for who in self.police.iter().chain(&self.staff).copied().map(Some).chain([None]) {
            // The two officers, and the staff but for the leader, are interchangeable: without loss the
            // first begins.
            let begins = |m: &Move| match m {
                M::Prepare => who == Some(self.police[0]),
                M::Take | M::Allocate(_) if r.held_by.is_empty() => who != self.interchangeable,
                _ => true,
            };
            out.extend(moves.iter().filter(|m| begins(m)).map(|m| (who, *m)));
        }
        let leave = matches!(r.probes.first().map(|p| &p.state), Some(ProbeState::Authorised(_) | ProbeState::Started(_)));
        if leave && !life.late && life.notes.disturbances < self.disturbances {
            out.push((None, M::Clock));
        }
    }

    fn next_state(&self, life: &Life, (who, m): Action) -> Option<Life> {
        let mut next;
        if m == Move::Clock {
            next = life.clone();
            next.late = true;
        } else {
            let now = self.now(life);
            let ctx = Context {
                actor: who.map(|p| &self.actors[&p]),
                register: &self.register,
                policy: &self.policy,
                now,
                running: Some((&casework::testing::RUNNING, 1_000)),
            };
            let command = self.command(life, who, m);
            let events = decide(&life.request, &command, &ctx).ok()?;
            next = life.clone();
            let by = who.map_or(Who::System, Who::Person);
            for event in events {
                self.note(&mut next.notes, who, &event, &next.request, now);
                next.request.apply(&Entry { by, event }, now);
            }
            // Only living leave is older or younger; afterwards the clock has nothing to say.
            let states = next.request.probes.first().map(|p| &p.state);
            next.late &= matches!(states, Some(ProbeState::Authorised(_) | ProbeState::Started(_))) && m != Move::Authorise;
        }
        next.notes.disturbances += u8::from(m.disturbs());
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut out = vec![
            Property::always("nothing is released that must not be, and no holder examines", |_, life: &Life| life.notes.wrong.is_none()),
            Property::always("a withdrawn request stays withdrawn or closed", |_, life: &Life| {
                !life.notes.withdrawn || matches!(life.request.state, State::Withdrawn | State::Closed)
            }),
            Property::sometimes("a match is answered", |_, l: &Life| l.notes.answer == Some((Answer::Match, false))),
            Property::sometimes("no match is answered", |_, l: &Life| matches!(l.notes.answer, Some((Answer::NoMatch, _)))),
            Property::sometimes("a decline is answered", |_, l: &Life| matches!(l.notes.answer, Some((Answer::Declined, _)))),
            Property::sometimes("a match is withheld", |_, l: &Life| matches!(l.notes.answer, Some((Answer::Withheld, _)))),
            Property::sometimes("two examiners differ", |_, l: &Life| l.notes.adjudicated),
            Property::sometimes("a request is withdrawn", |_, l: &Life| l.notes.withdrawn),
        ];
        if self.disturbances > 0 {
            out.push(Property::sometimes("a sensitive match is answered", |_, l: &Life| l.notes.answer == Some((Answer::Match, true))));
            out.push(Property::sometimes("leave runs out", |_, l: &Life| {
                l.late && matches!(l.request.probes[0].state, ProbeState::Authorised(_))
            }));
        }
        if self.replacements > 0 {
            out.push(Property::sometimes("an examiner is replaced", |_, l: &Life| !l.notes.replaced.is_empty()));
        }
        if self.replacements > 0 && self.adjudicates {
            out.push(Property::sometimes("a match is answered after an examiner was replaced", |_, l: &Life| {
                !l.notes.replaced.is_empty() && matches!(l.notes.answer, Some((Answer::Match, _)))
            }));
        }
        if self.adjudicates {
            out.push(Property::sometimes("an adjudicated match is answered", |_, l: &Life| {
                l.notes.adjudicated && matches!(l.notes.answer, Some((Answer::Match, _)))
            }));
        }
        out
    }
}

fn check(world: World3, at_least: usize) {
    let checker = world.checker().threads(2).spawn_bfs().join();
    eprintln!("{} lives, {} distinct", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.is_done());
    assert!(checker.unique_state_count() > at_least);
}

const ALL: &[Role] = &[Role::Assessor, Role::Examiner, Role::TeamLeader];

#[test]
fn m2_three_staff_who_may_do_everything_cannot_release_without_two_blind_confirmations() {
    let d = desk(GalleryId::Passport);
    let staff = [(d.leader, ALL), (d.assessors[0], ALL), (d.examiners[0], ALL)];
    let looks = [vec![Conclusion::Same, Conclusion::CannotSay], vec![Conclusion::Different]];
    check(World3 { replacements: 1, ..World3::new(&staff, looks, 1) }, 1_000);
}

#[test]
fn m2_a_fourth_settles_what_two_examiners_differ_on() {
    let d = desk(GalleryId::Passport);
    let examiner: &[Role] = &[Role::Examiner];
    let staff = [
        (d.assessors[0], &[Role::Assessor, Role::Examiner][..]),
        (d.examiners[0], examiner),
        (d.examiners[1], examiner),
        (d.examiners[2], examiner),
    ];
    let looks = [vec![Conclusion::Same, Conclusion::Different], vec![Conclusion::CannotSay]];
    check(World3::new(&staff, looks, 0), 1_000);
}

#[test]
fn m2_whoever_is_replaced_two_blind_confirmations_by_others_are_needed() {
    let d = desk(GalleryId::Passport);
    let examiner: &[Role] = &[Role::Examiner];
    let staff = [
        (d.assessors[0], &[Role::Assessor, Role::TeamLeader][..]),
        (d.examiners[0], examiner),
        (d.examiners[1], examiner),
        (d.examiners[2], examiner),
    ];
    let looks = [vec![Conclusion::Same], vec![Conclusion::CannotSay]];
    check(World3 { replacements: 1, ..World3::new(&staff, looks, 0) }, 1_000);
}

//! Random commands by random people, held against invariants that know nothing of how `decide` works.

use casework::{
    access,
    command::Command,
    event::{Event, ReviewResult, Sharing},
    form::Field,
    ids::{CandidateId, PersonId},
    limits::{CANDIDATES_MAX, EXAMINERS_MAX},
    people::{RegisterEvent, Role},
    record::{GalleryId, RetentionClass},
    request::{ProbeState, Request, State},
    review::{self, Conclusion},
    task::Task,
    testing::*,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A text that must never come out again in a refusal.
const SECRET: &str = "ZQXJ-secret";

/// A command drawn by numbers: which, by whom, and with what.
#[derive(Clone, Copy, Debug)]
struct Draw {
    command: u8,
    who: u8,
    pick: u8,
    yes: bool,
}

fn draw() -> impl Strategy<Value = Draw> {
    (0..40u8, 0..16u8, any::<u8>(), any::<bool>()).prop_map(|(command, who, pick, yes)| Draw { command, who, pick, yes })
}

fn conclusion(n: u8) -> Conclusion {
    use strum::IntoEnumIterator;
    Conclusion::iter().nth(usize::from(n) % 5).unwrap()
}

/// Everyone of the passport desk and the force, some in several roles, and strangers.
fn world() -> (World, Vec<Option<PersonId>>) {
    let mut w = World::new();
    let d = desk(GalleryId::Passport);
    let both: BTreeSet<Role> = [Role::Assessor, Role::Examiner].into();
    for (p, roles) in [
        (d.assessors[0], both.clone()),
        (d.examiners[0], both),
        (d.leader, [Role::TeamLeader, Role::Assessor, Role::Examiner].into()),
        (APPROVER, [Role::Approver, Role::Requester].into()),
    ] {
        let mut person = w.register.people[&p].clone();
        person.roles = roles;
        w.register.apply(RegisterEvent::PersonEntered(person));
    }
    let people = [
        Some(REQUESTER),
        Some(REQUESTER),
        Some(APPROVER),
        Some(OTHER_REQUESTER),
        Some(NCA_APPROVER),
        Some(d.leader),
        Some(d.assessors[0]),
        Some(d.assessors[0]),
        Some(d.assessors[1]),
        Some(d.examiners[0]),
        Some(d.examiners[1]),
        Some(d.examiners[2]),
        Some(AUDITOR),
        Some(desk(GalleryId::Immigration).assessors[0]),
        None,
        None,
    ];
    (w, people.to_vec())
}

/// Who is likely to be let through, so that random walks get somewhere.
fn likely(case: &Case, d: Draw) -> Option<PersonId> {
    let desk = desk(GalleryId::Passport);
    match d.command {
        0 | 3 | 10 | 26..=28 => Some(REQUESTER),
        1 | 2 => Some(APPROVER),
        4..=9 | 12..=14 | 22..=24 | 31 => case.assignee.or(Some(desk.assessors[0])),
        17..=21 => Some(desk.examiners[usize::from(d.pick) % 3]),
        29 | 30 | 32 | 35..=37 => Some(desk.leader),
        _ => None,
    }
}

fn command(w: &mut World, case: &Case, d: Draw, who: Option<PersonId>) -> Command {
    let words = || format!("{SECRET} because it is so.");
    let desk = desk(GalleryId::Passport);
    let n = usize::from(d.pick);
    let probe = case.probes.get(n % case.probes.len().max(1)).map_or(casework::ids::ProbeId::fixed(1), |p| p.id);
    let p = case.probe(probe);
    let candidate = p.and_then(|p| p.candidates.get(n % p.candidates.len().max(1))).map_or(CandidateId::fixed(1), |c| c.id);
    let version = who.and_then(|w| review::sheet(case, probe, w)).map_or(0, |s| s.version);
    match d.command {
        0 => {
            let mut form = w.complete_form();
            form.offence = words();
            form.investigation = words();
            form.person = words();
            form.vulnerable = Some(d.pick.is_multiple_of(8));
            form.vulnerable_words = words();
            if d.yes {
                let image = w.image();
                form.images.push(image);
            }
            if d.pick % 16 == 1 {
                form.harm = String::new();
            }
            World::prepare(form, GalleryId::Passport)
        }
        1 => Command::Return { reasons: words() },
        2 => Command::Approve,
        3 => {
            if d.pick < 16 {
                Command::Withdraw { reason: words() }
            } else {
                Command::Collect
            }
        }
        4 => Command::Reject { missing: vec![(Field::Harm, words())] },
        5 | 6 => Command::Take { no_conflict: d.pick > 8 },
        7 => {
            if d.pick < 32 {
                Command::DeclareConflict { words: words() }
            } else {
                Command::PutBack
            }
        }
        8 => Command::Allocate { to: desk.assessors[n % 2], reason: words() },
        9 => Command::AskClarification { question: words() },
        10 => Command::AnswerClarification { answer: words() },
        11 => Command::FlagVulnerable { words: words() },
        12 | 13 if case.gallery.is_some() && d.pick > 60 => w.authorise(case, probe),
        12 | 13 if case.gallery.is_some() => w.decline(case, probe),
        14 => Command::StartSearch { probe },
        15 | 16 if p.is_some() => w.search_result(case, probe, n % 13),
        17 => {
            let mut order = p.map(review::in_question).unwrap_or_default();
            if d.yes {
                order.reverse();
            }
            if d.pick.is_multiple_of(16) {
                order.pop();
            }
            Command::Examine { probe, order }
        }
        18 | 19 => Command::GiveVisual {
            probe,
            candidate,
            opinion: World::visual(if d.yes { Conclusion::Same } else { conclusion(d.pick) }),
            version,
        },
        20 | 21 if d.pick.is_multiple_of(16) => Command::ConcludeEmpty { probe, words: words() },
        20 | 21 => Command::GiveInformed { probe, candidate, opinion: World::informed(d.yes || d.pick.is_multiple_of(2)), version },
        22 => Command::DecideSharing {
            probe,
            candidate,
            sharing: if d.yes { World::share() } else { Sharing::Withhold { reasons: words() } },
        },
        23 | 24 => World::answer_command(),
        25 => World::release(case),
        26 => Command::AskReview { reasons: words() },
        27 | 28 => Command::AskOnward { to: words(), reasons: words() },
        29 => Command::DecideReview {
            result: [ReviewResult::OutOfScope, ReviewResult::Maintained, ReviewResult::Changed][n % 3],
            reasons: words(),
        },
        30 => Command::Admit { person: desk.examiners[n % 3], reason: words() },
        31 => Command::DecideOnward { allowed: d.yes, reasons: words() },
        32 => Command::Close,
        33 => Command::Erase { class: RetentionClass::Candidates },
        34 => Command::Erase { class: RetentionClass::Record },
        36 | 37 => Command::ReplaceExaminer { examiner: desk.examiners[n % 3], reason: words() },
        35 => Command::TryAgain {
            task: match p.map(|p| &p.state) {
                Some(ProbeState::Authorised(a) | ProbeState::Started(a)) => Task::Search { probe, authorisation: a.id },
                _ => Task::Release,
            },
        },
        _ => Command::ExpireAuthorisation { probe },
    }
}

/// What happened, as an outsider would note it down from the events alone.
#[derive(Default)]
struct Notes {
    requester: Option<PersonId>,
    approvers: BTreeSet<PersonId>,
    authorised: BTreeSet<casework::ids::AuthorisationId>,
    searched: BTreeSet<casework::ids::AuthorisationId>,
    made: BTreeSet<casework::ids::AuthorisationId>,
    blind_same: BTreeMap<CandidateId, BTreeSet<PersonId>>,
    confirmed: BTreeMap<CandidateId, BTreeSet<PersonId>>,
    shared: BTreeSet<CandidateId>,
    held: BTreeSet<PersonId>,
    examined: BTreeSet<PersonId>,
    replaced: BTreeSet<PersonId>,
    concluded: BTreeSet<CandidateId>,
    withdrawn: bool,
}

impl Notes {
    fn note(&mut self, who: Option<PersonId>, event: &Event) {
        assert!(
            !self.withdrawn
                || matches!(
                    event,
                    Event::Closed
                        | Event::Erased { .. }
                        | Event::VulnerabilityFlagged { .. }
                        | Event::Admitted { .. }
                        | Event::TriedAgain { task: Task::Close | Task::Erase { .. } }
                ),
            "after withdrawal: {event:?}"
        );
        match event {
            Event::Prepared { .. } => self.requester = who,
            Event::Approved { .. } => {
                assert_ne!(who, self.requester, "S9: another person");
                self.approvers.extend(who);
            }
            Event::Withdrawn { .. } => self.withdrawn = true,
            Event::Taken { person, .. } | Event::Allocated { to: person, .. } => {
                self.held.insert(*person);
            }
            Event::Authorised { authorisation, .. } => {
                assert!(!self.approvers.is_empty(), "authorised without approval");
                self.authorised.insert(authorisation.id);
            }
            Event::SearchStarted { authorisation, .. } => {
                assert!(self.authorised.contains(authorisation), "M1: no leave");
                assert!(self.searched.insert(*authorisation), "M1: used twice");
            }
            Event::TriedAgain { task: Task::Search { authorisation, .. } } => {
                assert!(self.searched.contains(authorisation), "M1: only a search that was begun is made again");
                assert!(!self.made.contains(authorisation), "M1: a search that was made is not made again");
            }
            Event::Searched { authorisation, .. } => assert!(self.made.insert(*authorisation), "M1: one leave, one search"),
            Event::Listed { found, .. } => assert!(found.len() <= CANDIDATES_MAX),
            Event::ExaminerJoined { examiner, .. } => {
                assert!(!self.replaced.contains(examiner), "M2: who was replaced does not come back");
                self.examined.insert(*examiner);
            }
            Event::ExaminerReplaced { examiner, .. } => {
                self.replaced.insert(*examiner);
                let open = |c: &&CandidateId| !self.concluded.contains(c);
                for seen in [&mut self.blind_same, &mut self.confirmed] {
                    for (_, people) in seen.iter_mut().filter(|(c, _)| open(c)) {
                        people.remove(examiner);
                    }
                }
            }
            Event::ConflictDeclared { person, .. } => {
                for seen in self.blind_same.values_mut().chain(self.confirmed.values_mut()) {
                    seen.remove(person);
                }
            }
            Event::VisualGiven { candidate, examiner, opinion, .. } if opinion.conclusion.supports_same() => {
                self.blind_same.entry(*candidate).or_default().insert(*examiner);
            }
            Event::InformedGiven { candidate, examiner, opinion, .. } if opinion.same_person => {
                let blind = self.blind_same.entry(*candidate).or_default();
                if blind.contains(examiner) {
                    self.confirmed.entry(*candidate).or_default().insert(*examiner);
                }
            }
            Event::Concluded { candidate, reference, .. } => {
                self.concluded.insert(*candidate);
                assert!(reference.is_none() || self.confirmed[candidate].len() >= 2, "M2");
            }
            Event::SharingDecided { candidate, sharing: Sharing::Share { .. }, .. } => {
                assert!(self.confirmed[candidate].len() >= 2, "M2");
                self.shared.insert(*candidate);
            }
            _ => {}
        }
        assert!(self.held.is_disjoint(&self.examined), "M2: a holder is never an examiner");
    }
}

fn check(request: &Request) {
    for p in &request.probes {
        assert!(p.examiners.len() <= EXAMINERS_MAX);
        assert!(p.candidates.len() <= CANDIDATES_MAX);
        let ids: BTreeSet<_> = p.candidates.iter().map(|c| c.id).collect();
        assert_eq!(ids.len(), p.candidates.len());
    }
    if matches!(request.state, State::Answering | State::Answered) {
        assert!(request.probes.iter().all(casework::request::Probe::ended));
    }
    if request.state == State::Responding {
        let over = |s: &ProbeState| matches!(s, ProbeState::Declined { .. } | ProbeState::Concluded);
        assert!(request.probes.iter().all(|p| over(&p.state)));
    }
}

/// Begins at a state some way in, so that every part of the life is tried hard.
fn begin(w: &mut World, at: u8) -> Case {
    match at % 6 {
        0 => w.at(State::Draft),
        1 => w.at(State::Assessing),
        2 => w.at(State::Searching),
        3 => w.searched(GalleryId::Passport, 2),
        4 => w.at(State::Responding),
        _ => w.declined(GalleryId::Passport),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_lives_keep_the_law(at in 0..6u8, draws in prop::collection::vec((draw(), 0..4u8), 1..60)) {
        let (mut w, people) = world();
        let mut case = begin(&mut w, at);
        let mut notes = Notes::default();
        for r in &case.records {
            let entry: casework::event::Entry = serde_json::from_slice(r.payload.as_ref().unwrap()).unwrap();
            let who = match entry.by {
                casework::event::Who::Person(p) => Some(p),
                casework::event::Who::System => None,
            };
            notes.note(who, &entry.event);
        }
        for (d, luck) in draws {
            let who = if luck == 0 { people[usize::from(d.who)] } else { likely(&case, d) };
            if d.pick == 255 {
                w.pass_days(16);
            }
            let command = command(&mut w, &case, d, who);
            let before = (case.request.clone(), case.records.len());
            match w.decide(who, &mut case, command.clone()) {
                Ok(events) => {
                    prop_assert!(!events.is_empty(), "D5");
                    prop_assert_eq!(case.version, before.0.version + events.len() as u64);
                    for e in &events {
                        notes.note(who, e);
                        if matches!(e, Event::Released { .. }) {
                            prop_assert_eq!(before.0.state, State::Answering);
                        }
                    }
                    if let Some(p) = who {
                        prop_assert!(before.0.version == 0 || access::may_know(&before.0, &w.actor(p)));
                    }
                }
                Err(refusals) => {
                    prop_assert_eq!(&case.request, &before.0);
                    prop_assert_eq!(case.records.len(), before.1);
                    prop_assert!(!refusals.is_empty());
                    for r in refusals {
                        prop_assert!(!r.words.contains(SECRET), "a refusal repeats what was typed: {}", r.words);
                    }
                }
            }
            prop_assert_eq!(case.version, case.records.len() as u64);
            check(&case);
        }
        // A request without its candidates stands where it stood.
        let mut records = case.records.clone();
        for r in &mut records {
            if r.header.class == RetentionClass::Candidates {
                r.payload = None;
            }
        }
        let folded = Request::fold(case.id, records).unwrap();
        prop_assert_eq!((folded.state, folded.version), (case.state, case.version));
    }

    /// Whatever the first examiner does, the second sees the same bytes and gets the same answers.
    #[test]
    fn m2_an_examiner_learns_nothing_of_another(
        one in prop::collection::vec((draw(), any::<bool>()), 0..12),
        other in prop::collection::vec((draw(), any::<bool>()), 0..12),
        own in prop::collection::vec((draw(), any::<bool>()), 1..14),
    ) {
        let [first, second] = [desk(GalleryId::Passport).examiners[0], desk(GalleryId::Passport).examiners[1]];
        let mut base = World::new();
        let mut case = base.searched(GalleryId::Passport, 2);
        base.join(&mut case, first);
        base.join(&mut case, second);
        // Two worlds that differ only in what the first examiner does, in turns with the second.
        let run = |theirs: &[(Draw, bool)]| {
            let (mut w, mut case) = (base.clone(), case.clone());
            let mut seen = vec![];
            for n in 0..own.len().max(theirs.len()) {
                for (who, list) in [(first, theirs), (second, &own[..])] {
                    let Some((d, blind)) = list.get(n) else { continue };
                    let command = opinion(&case, who, *d, *blind);
                    let done = w.decide(who, &mut case, command).is_ok();
                    if who == second {
                        // Once both are finished the comparison is over; until then nothing may differ.
                        let sheet = review::sheet(&case, case.probe_id(), second).unwrap();
                        seen.push((done, serde_json::to_vec(&sheet).unwrap()));
                    }
                }
            }
            seen
        };
        prop_assert_eq!(run(&one), run(&other));
    }
}

/// One examiner's next step: mostly one that fits, sometimes a stale or foreign one.
fn opinion(case: &Case, who: PersonId, d: Draw, informed: bool) -> Command {
    let probe = case.probe_id();
    let sheet = review::sheet(case, probe, who).unwrap();
    let n = usize::from(d.pick);
    let candidate = if d.pick == 255 { CandidateId::fixed(1) } else { sheet.candidates[n % sheet.candidates.len()].id };
    let version = if d.who == 0 { 9 } else { sheet.version };
    if informed {
        Command::GiveInformed { probe, candidate, opinion: World::informed(d.yes), version }
    } else {
        Command::GiveVisual { probe, candidate, opinion: World::visual(conclusion(d.who)), version }
    }
}

#[test]
fn m2_the_second_sheet_is_the_same_bytes_at_every_step_of_the_first() {
    let [first, second] = [desk(GalleryId::Passport).examiners[0], desk(GalleryId::Passport).examiners[1]];
    let mut w = World::new();
    let mut case = w.searched(GalleryId::Passport, 2);
    w.join(&mut case, second);
    let probe = case.probe_id();
    let bytes = |case: &Case| serde_json::to_vec(&review::sheet(case, probe, second)).unwrap();
    let empty = bytes(&case);
    w.examine(&mut case, first, &[true, false]);
    assert_eq!(bytes(&case), empty);
    assert_eq!(case.state, State::Comparing);
    // Nor does the sheet hold the first examiner, a rank, a score or a reference.
    let text = String::from_utf8(empty).unwrap();
    assert!(!text.contains(&first.to_string()));
    for word in ["score", "rank", "reference", "matched"] {
        assert!(!text.contains(word));
    }
}

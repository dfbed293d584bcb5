//! An examiner who cannot finish is replaced, and nothing that M2 asks for is lost by it.

use crate::support::{cites, says};
use casework::{
    clause::Clause,
    command::Command,
    event::Event,
    ids::PersonId,
    record::GalleryId,
    request::{ProbeState, State},
    review::{self, Conclusion},
    testing::*,
};

const P: GalleryId = GalleryId::Passport;

fn replace(examiner: PersonId) -> Command {
    Command::ReplaceExaminer { examiner, reason: "She is away for long.".into() }
}

fn examine(case: &Case) -> Command {
    Command::Examine { probe: case.probe_id(), order: review::in_question(&case.probes[0]) }
}

#[test]
fn m2_an_absent_examiner_is_replaced_and_what_they_said_does_not_count() {
    let mut w = World::new();
    let d = desk(P);
    let [first, absent, next, _] = d.examiners;
    let mut case = w.searched(P, 1);
    let candidate = case.candidate_ids()[0];
    w.examine(&mut case, first, &[true]);
    w.join(&mut case, absent);
    w.look(&mut case, absent, candidate, Conclusion::StronglySame);
    let before = review::sheet(&case, case.probe_id(), first);

    assert!(says(&w.refused(d.leader, &mut case, Command::ReplaceExaminer { examiner: absent, reason: " ".into() }), Clause::M2, "why"));
    for who in [d.assessors[0], first, absent, d.siao] {
        assert!(cites(&w.refused(who, &mut case, replace(absent)), Clause::M2), "only the leader");
    }
    w.refused(desk(GalleryId::Immigration).leader, &mut case, replace(absent));
    assert!(says(&w.refused(d.leader, &mut case, replace(first)), Clause::M2, "no comparison left"), "whoever has finished stays");
    assert!(says(&w.refused(d.leader, &mut case, replace(next)), Clause::M2, "no comparison left"));
    w.done(d.leader, &mut case, replace(absent));

    assert_eq!(case.state, State::Comparing);
    assert!(!case.examines(absent) && case.examines(first));
    let said = &case.probes[0].candidates[0].opinions;
    assert_eq!(said.keys().collect::<Vec<_>>(), [&first]);
    assert_eq!(review::sheet(&case, case.probe_id(), first), before, "their colleague sees nothing of it");
    // The absent one neither goes on nor comes back, nor holds it.
    let look = Command::GiveVisual { probe: case.probe_id(), candidate, opinion: World::visual(Conclusion::Same), version: 1 };
    assert!(cites(&w.refused(absent, &mut case, look), Clause::M2));
    let again = examine(&case);
    assert!(says(&w.refused(absent, &mut case, again), Clause::M2, "replaced"));
    // The next one begins blind, with the whole list, and one more blind opinion is needed.
    w.join(&mut case, next);
    let sheet = review::sheet(&case, case.probe_id(), next).unwrap();
    assert!(sheet.version == 0 && sheet.candidates.iter().all(|c| c.visual.is_none() && c.informed.is_none()));
    w.look(&mut case, next, candidate, Conclusion::Same);
    assert_eq!(case.probes[0].candidates[0].matched, None);
    let events = w.conclude(&mut case, next, candidate, true);
    let Some(Event::Concluded { confirmed_by, .. }) = events.last() else { panic!("concluded: {events:?}") };
    assert_eq!(confirmed_by, &vec![first, next]);
    assert_eq!(case.state, State::Responding);
    assert!(cites(&w.refused(d.leader, &mut case, replace(next)), Clause::M2), "once concluded there is nobody to replace");
}

#[test]
fn m2_who_replaces_an_examiner_meets_every_rule_that_the_first_met() {
    let mut w = World::new();
    let d = desk(P);
    let [first, absent, next, other] = d.examiners;
    // Assessors who are examiners too: one holds it, the other once held it.
    for p in d.assessors {
        let mut person = w.register.people[&p].clone();
        person.roles.insert(casework::people::Role::Examiner);
        w.register.apply(casework::people::RegisterEvent::PersonEntered(person));
    }
    let mut case = w.received(P);
    w.done(d.assessors[1], &mut case, Command::Take { no_conflict: true });
    w.done(d.assessors[1], &mut case, Command::PutBack);
    w.take(&mut case);
    w.authorise_first(&mut case);
    w.search(&mut case, 1);
    w.join(&mut case, first);
    w.join(&mut case, absent);
    w.done(other, &mut case, Command::DeclareConflict { words: "I know him.".into() });
    w.done(d.leader, &mut case, replace(absent));
    let begin = examine(&case);
    let twice = w.refused(first, &mut case, begin.clone());
    assert!(twice.iter().any(|r| r.words == "You already examine this image."), "two people, not one twice: {twice:?}");
    for holder in d.assessors {
        assert!(says(&w.refused(holder, &mut case, begin.clone()), Clause::M2, "have seen the rest"), "whoever held it is not blind");
    }
    assert!(says(&w.refused(other, &mut case, begin.clone()), Clause::R1, "conflict"));
    assert!(!w.refused(REQUESTER, &mut case, begin.clone()).is_empty());
    let mut person = w.register.people[&next].clone();
    let training = std::mem::take(&mut person.training);
    w.register.apply(casework::people::RegisterEvent::PersonEntered(person.clone()));
    assert!(says(&w.refused(next, &mut case, begin.clone()), Clause::R1, "training"));
    person.training = training;
    w.register.apply(casework::people::RegisterEvent::PersonEntered(person));
    w.done(next, &mut case, begin.clone());
    assert!(says(&w.refused(d.examiners[1], &mut case, begin), Clause::M2, "replaced"), "and the places are two");
}

#[test]
fn m2_an_absent_adjudicator_is_replaced() {
    let mut w = World::new();
    let d = desk(P);
    let [one, two, absent, next] = d.examiners;
    let mut case = w.searched(P, 1);
    let candidate = case.candidate_ids()[0];
    w.examine(&mut case, one, &[true]);
    w.examine(&mut case, two, &[false]);
    assert!(matches!(case.probes[0].state, ProbeState::Adjudicating(_)));
    w.join(&mut case, absent);
    w.look(&mut case, absent, candidate, Conclusion::StronglyDifferent);
    w.done(d.leader, &mut case, replace(absent));
    for finished in [one, two] {
        assert!(cites(&w.refused(d.leader, &mut case, replace(finished)), Clause::M2));
    }
    w.examine(&mut case, next, &[true]);
    assert_eq!((case.state, case.probes[0].candidates[0].matched), (State::Responding, Some(true)));
    assert_eq!(case.probes[0].candidates[0].confirmed_by, [one, next]);
}

#[test]
fn m2_a_leader_who_examines_a_request_replaces_nobody_on_it() {
    let mut w = World::new();
    let d = desk(P);
    let mut person = w.register.people[&d.leader].clone();
    person.roles.insert(casework::people::Role::Examiner);
    w.register.apply(casework::people::RegisterEvent::PersonEntered(person));
    let mut case = w.searched(P, 1);
    w.join(&mut case, d.examiners[0]);
    w.join(&mut case, d.leader);
    // It would tell them who the other is and whether they have finished.
    assert!(says(&w.refused(d.leader, &mut case, replace(d.examiners[0])), Clause::M2, "stay blind"));
}

#[test]
fn m2_on_another_image_what_an_absent_examiner_finished_stays() {
    let mut w = World::new();
    let d = desk(P);
    let mut form = w.complete_form();
    let second = w.image();
    form.images.push(second);
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    for n in 0..2 {
        let probe = case.probes[n].id;
        let command = w.authorise(&case, probe);
        w.done(case.assignee, &mut case, command);
        w.done(case.assignee, &mut case, Command::StartSearch { probe });
        let found = w.search_result(&case, probe, 1);
        w.done(None, &mut case, found);
    }
    // One is on both images; informed on the second only once blind on both, they conclude there and leave.
    let [absent, other, next, _] = d.examiners;
    let candidates = [0, 1].map(|n| case.probes[n].candidates[0].id);
    let probes = [0, 1].map(|n| case.probes[n].id);
    let orders = [0, 1].map(|n| review::in_question(&case.probes[n]));
    let join = |n: usize| Command::Examine { probe: probes[n], order: orders[n].clone() };
    let look =
        |n: usize| Command::GiveVisual { probe: probes[n], candidate: candidates[n], opinion: World::visual(Conclusion::Same), version: 0 };
    let conclude =
        |n: usize| Command::GiveInformed { probe: probes[n], candidate: candidates[n], opinion: World::informed(true), version: 1 };
    for command in [join(0), join(1), look(0), look(1), conclude(1)] {
        w.done(absent, &mut case, command);
    }
    w.done(d.leader, &mut case, replace(absent));
    assert!(case.probes[0].examiners.is_empty() && case.probes[0].candidates[0].opinions.is_empty(), "unfinished: it does not count");
    assert!(case.probes[1].candidates[0].opinions.contains_key(&absent), "finished: it stays");
    assert!(cites(&w.refused(absent, &mut case, join(0)), Clause::M2));
    // Finished there, their opinion is one of the two; the first image needs two others.
    for command in [join(1), look(1), conclude(1)] {
        w.done(other, &mut case, command);
    }
    assert_eq!(case.probes[1].candidates[0].confirmed_by, [absent, other]);
    assert_eq!(case.probes[1].state, ProbeState::Concluded);
    w.join(&mut case, next);
    assert_eq!(case.probes[0].examiners.len(), 1);
}

#[test]
fn m2_who_replaced_an_examiner_does_not_take_the_freed_place() {
    let mut w = World::new();
    let d = desk(P);
    let mut person = w.register.people[&d.leader].clone();
    person.roles.insert(casework::people::Role::Examiner);
    w.register.apply(casework::people::RegisterEvent::PersonEntered(person));
    let mut case = w.searched(P, 1);
    w.examine(&mut case, d.examiners[0], &[true]);
    w.join(&mut case, d.examiners[1]);
    w.done(d.leader, &mut case, replace(d.examiners[1]));
    // They know who has finished and who has not.
    let begin = examine(&case);
    assert!(says(&w.refused(d.leader, &mut case, begin), Clause::M2, "blind opinion"));
    w.join(&mut case, d.examiners[2]);
}

//! The answer as it left: sealed at release, opened from what was sealed, gone with its own class.

use crate::support::{agree, cites, find, says, two_images};
use casework::{
    clause::Clause,
    command::Command,
    disclosure::{Disclosure, Sealed},
    event::{Event, Sharing},
    ids::{CandidateId, Digest, PersonId, ReferenceId},
    policy::BioField,
    record::{GalleryId, RetentionClass},
    request::{Request, State},
    testing::*,
    witnessed::Witnessed,
};

const P: GalleryId = GalleryId::Passport;

/// What the worker would release, changed in its JSON.
fn changed(case: &Case, change: impl FnOnce(&mut serde_json::Value, &mut serde_json::Value)) -> Command {
    let Command::Release { answer, digest, witnessed } = World::release(case) else { panic!("a release") };
    let mut sealed = serde_json::to_value(&answer).unwrap();
    let mut text = serde_json::from_str(sealed["text"].as_str().unwrap()).unwrap();
    change(&mut text, &mut sealed["pictures"]);
    sealed["text"] = serde_json::to_string(&text).unwrap().into();
    Command::Release { answer: Box::new(serde_json::from_value::<Sealed>(sealed).unwrap()), digest, witnessed }
}

#[test]
fn d5_an_answer_leaves_only_once_enough_witnesses_have_cosigned_the_record_of_it() {
    let mut w = World::new();
    let mut case = w.at(State::Answering);
    let Command::Release { answer, digest, .. } = World::release(&case) else { panic!("a release") };
    let release =
        |cosigned, required| Command::Release { answer: answer.clone(), digest, witnessed: Witnessed { cosigned, required, of: 3 } };
    for (cosigned, words) in [(0, "none has"), (1, "1 has")] {
        let refused = w.refused(None, &mut case, release(cosigned, 2));
        let waits = format!("It waits for 2 of 3 witnesses: {words} cosigned the record of it so far.");
        assert!(says(&refused, Clause::D5, &waits), "{refused:?}");
    }
    w.done(None, &mut case, release(2, 2));
    assert_eq!(case.released_in, Some(case.version), "the release itself is the event that must be witnessed next");
}

#[test]
fn o10_the_answer_is_sealed_as_it_leaves_with_its_digest_and_policy() {
    let mut w = World::new();
    let mut case = w.at(State::Answering);
    assert_eq!(Disclosure::released(&case), None, "not before it leaves");
    let release = World::release(&case);
    let events = w.done(None, &mut case, release);
    let [disclosed @ Event::Disclosed { answer }, Event::Released { digest, policy, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*digest, policy), (Digest([9; 32]), &w.policy.version));
    assert_eq!(disclosed.class(), RetentionClass::Disclosure);
    let left = Disclosure::released(&case).unwrap();
    assert_eq!((left.recipient(), left.outcome()), ("Amina Example", case.outcome.unwrap()));
    assert_eq!(left.probes()[0].shared[0].fields, [(BioField::Name, "Name".into(), "Invented name".into())]);
    assert_eq!(case.disclosed.as_ref(), Some(&**answer));
    assert!(answer.picture(left.probes()[0].shared[0].candidate).is_some());
    // What is read back is what was sealed, to the letter.
    assert_eq!(Disclosure::released(&case.refolded()).unwrap(), left);
}

#[test]
fn o10_an_answer_that_is_not_what_was_decided_does_not_leave() {
    let mut w = World::new();
    let case = w.at(State::Answering);
    let other = case.candidate_ids().into_iter().find(|c| case.probes[0].candidate(*c).unwrap().matched == Some(false)).unwrap();
    let refused = |command: Command, what: &str| {
        let told = w.clone().refused(None, &mut case.clone(), command);
        assert!(says(&told, Clause::O10, "not what was decided"), "{what}: {told:?}");
    };
    refused(changed(&case, |t, _| t["probes"][0]["words"] = "They matched, we think.".into()), "other words");
    refused(changed(&case, |t, _| t["probes"][0]["shared"][0]["candidate"] = other.to_string().into()), "somebody whom nobody confirmed");
    refused(changed(&case, |t, _| t["probes"][0]["shared"][0]["candidate"] = CandidateId::fixed(1).to_string().into()), "a stranger");
    refused(
        changed(&case, |t, _| {
            let fields = t["probes"][0]["shared"][0]["fields"].as_array_mut().unwrap();
            fields.push(serde_json::json!(["passport-number", "Passport number", "123"]));
        }),
        "a field that nobody decided to share",
    );
    refused(changed(&case, |t, _| t["conditions"] = serde_json::json!([])), "without its conditions");
    refused(changed(&case, |t, _| t["outcome"] = "no-match".into()), "another outcome");
    refused(changed(&case, |t, _| t["requester"] = PersonId::fixed(3).to_string().into()), "for somebody else");
    refused(changed(&case, |_, pictures| *pictures = serde_json::json!([])), "without the picture it speaks of");
    refused(
        changed(&case, |_, pictures| {
            let one = pictures[0].clone();
            pictures.as_array_mut().unwrap().push(one);
        }),
        "with a picture more",
    );
    refused(World::release(&w.clone().at(State::Answering)), "another request's");
    // And the one that fits does.
    let (mut w, mut case) = (w.clone(), case.clone());
    let release = World::release(&case);
    w.done(None, &mut case, release);
}

#[test]
fn o10_one_person_on_two_images_is_shared_on_each_as_was_decided_there() {
    let mut w = World::new();
    let (mut case, probes) = two_images(&mut w);
    let person = ReferenceId::fixed(77);
    for (probe, examiners) in probes.into_iter().zip(desk(P).examiners.chunks(2)) {
        find(&mut w, &mut case, probe, &[person]);
        agree(&mut w, &mut case, probe, examiners, true);
    }
    // On the first image the picture and the name, on the second the date of birth alone.
    let decided = [(true, BioField::Name), (false, BioField::DateOfBirth)];
    for (probe, (image, field)) in probes.into_iter().zip(decided) {
        let candidate = case.probe(probe).unwrap().candidates[0].id;
        let sharing = Sharing::Share { image, fields: vec![(field, "To trace him.".into())], reasons: "The harm is grave.".into() };
        w.done(case.assignee, &mut case, Command::DecideSharing { probe, candidate, sharing });
    }
    w.answer(&mut case);
    let left = Disclosure::released(&case).unwrap();
    for ((probe, (image, field)), said) in probes.into_iter().zip(decided).zip(left.probes()) {
        assert_eq!((said.probe, said.shared.len(), said.shared[0].image), (probe, 1, image));
        assert_eq!(said.shared[0].fields.iter().map(|f| f.0).collect::<Vec<_>>(), [field]);
    }
}

#[test]
fn v3_found_sensitive_after_it_left_is_said_beside_what_was_sealed() {
    let mut w = World::new();
    let mut case = w.answered(P);
    let left = Disclosure::released(&case).unwrap();
    assert!(left.besides(case.sensitive).is_empty());
    w.done(case.assignee, &mut case, Command::FlagVulnerable { words: "Her name was changed.".into() });
    assert_eq!(Disclosure::released(&case).unwrap(), left, "what left stays what it was");
    assert_eq!(left.besides(case.sensitive).iter().map(|c| c.0).collect::<Vec<_>>(), [Clause::V3]);
}

#[test]
fn d3_the_sealed_answer_goes_before_the_record_of_it() {
    let mut w = World::new();
    let mut case = w.at(State::Closed);
    let class = RetentionClass::Disclosure;
    let days = i64::from(w.policy.retention[0].disclosure_days_after_closing);
    w.pass_days(days - 1);
    assert!(cites(&w.refused(None, &mut case, Command::Erase { class }), Clause::D3));
    w.pass_days(1);
    w.done(None, &mut case, Command::Erase { class });
    assert_eq!((Disclosure::released(&case), case.state), (None, State::Closed));
    // As the store gives it back, once the key is destroyed: the release is known, what left is not.
    let mut records = case.records.clone();
    for r in records.iter_mut().filter(|r| r.header.class == class) {
        r.payload = None;
    }
    let left: String = records.iter().filter_map(|r| r.payload.clone()).map(|p| String::from_utf8(p).unwrap()).collect();
    assert!(!left.contains("Invented") && left.contains("released"));
    let folded = Request::fold(case.id, records).unwrap();
    assert_eq!((Disclosure::released(&folded), folded.state, folded.outcome), (None, State::Closed, case.outcome));
    assert_eq!(folded.disclosed_digest, Some(Digest([9; 32])), "its digest is the record");
    let reasons = "Look again.".to_owned();
    assert!(cites(&w.refused(REQUESTER, &mut case, Command::AskReview { reasons }), Clause::D3));
}

#[test]
fn w4_a_changed_decision_seals_an_answer_of_its_own() {
    let mut w = World::new();
    let mut case = w.declined(P);
    let first = Disclosure::released(&case).unwrap();
    w.review(&mut case, casework::event::ReviewResult::Changed);
    assert_eq!(Disclosure::released(&case), None);
    w.take(&mut case);
    w.authorise_first(&mut case);
    w.search(&mut case, 1);
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[true]);
    }
    w.decide_sharing(&mut case, World::share());
    w.answer(&mut case);
    let second = Disclosure::released(&case).unwrap();
    assert!(first != second && second.probes()[0].shared.len() == 1);
}

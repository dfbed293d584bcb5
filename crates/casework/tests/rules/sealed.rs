//! The answer as it left: sealed at release, opened from what was sealed, gone with its own class.

use crate::support::{cites, says};
use casework::{
    clause::Clause,
    command::Command,
    disclosure::{Disclosure, Sealed},
    event::Event,
    form::Form,
    ids::{CandidateId, Digest, PersonId},
    policy::BioField,
    record::{GalleryId, RetentionClass},
    request::{Request, State},
    testing::*,
};

const P: GalleryId = GalleryId::Passport;

/// What the worker would release, changed in its JSON.
fn changed(case: &Case, change: impl FnOnce(&mut serde_json::Value, &mut serde_json::Value)) -> Command {
    let Command::Release { answer, digest } = World::release(case) else { panic!("a release") };
    let mut sealed = serde_json::to_value(&answer).unwrap();
    let mut text = serde_json::from_str(sealed["text"].as_str().unwrap()).unwrap();
    change(&mut text, &mut sealed["pictures"]);
    sealed["text"] = serde_json::to_string(&text).unwrap().into();
    Command::Release { answer: Box::new(serde_json::from_value::<Sealed>(sealed).unwrap()), digest }
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
fn d3_the_sealed_answer_goes_before_the_record_of_it() {
    let mut w = World::new();
    let mut case = w.at(State::Closed);
    let class = RetentionClass::Disclosure;
    let days = i64::from(w.policy.disclosure_days_after_closing);
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

#[test]
fn v2_the_form_names_nobody_who_could_not_open_the_answer() {
    let json = serde_json::to_string(&Form::new()).unwrap();
    assert!(!json.contains("recipient"), "the answer is the requester's: {json}");
}

//! What is left when a class of data is gone.

use crate::support::{agree, cites, find, two_images};
use casework::{
    clause::Clause,
    command::Command,
    event::{Event, ReviewResult, Sharing},
    ids::ReferenceId,
    record::{GalleryId, OpenedRecord, RetentionClass},
    request::{ProbeState, Request, State},
    retain,
    review::Conclusion,
    task::Task,
    testing::*,
};
use strum::IntoEnumIterator;

/// The stream as the store gives it back once a class's key is destroyed.
fn without(case: &Case, class: RetentionClass) -> Vec<OpenedRecord> {
    let mut records = case.records.clone();
    for r in &mut records {
        if r.header.class == class {
            r.payload = None;
        }
    }
    records
}

#[test]
fn d3_a_request_without_its_candidates_folds_to_the_same_state() {
    for state in State::iter() {
        let mut w = World::new();
        let case = w.at(state);
        let folded = Request::fold(case.id, without(&case, RetentionClass::Candidates)).unwrap();
        assert_eq!((folded.state, folded.version), (case.state, case.version), "{state}");
        assert_eq!(folded.answer(), case.answer(), "{state}");
        assert_eq!(folded.outcome, case.outcome);
        assert_eq!(folded.closed_at, case.closed_at);
    }
}

#[test]
fn d3_a_matched_candidate_outlives_the_others() {
    let mut w = World::new();
    let mut case = w.searched(GalleryId::Passport, 2);
    let unmatched = case.probes[0].candidates[1].reference.unwrap().to_string();
    for e in &desk(GalleryId::Passport).examiners[..2] {
        w.examine(&mut case, *e, &[true, false]);
    }
    w.decide_sharing(&mut case, World::share());
    w.answer(&mut case);
    let [matched, other] = case.probes[0].candidates.clone().try_into().unwrap();
    let class = RetentionClass::Candidates;
    w.done(None, &mut case, Command::Erase { class });
    let folded = Request::fold(case.id, without(&case, class)).unwrap();
    assert_eq!(folded, case.request, "the live request forgot the same");
    let left = &folded.probes[0];
    assert_eq!(left.candidate(matched.id), Some(&matched));
    assert!(matches!(matched.sharing, Some(Sharing::Share { .. })));
    assert!(matched.reference.is_some());
    let gone = left.candidate(other.id).unwrap();
    assert_eq!((gone.reference, gone.matched), (None, Some(false)));
    // Nor is it anywhere in what can still be read.
    let readable = |records: Vec<OpenedRecord>| -> String {
        let texts = records.into_iter().filter_map(|r| r.payload);
        texts.map(|p| String::from_utf8(p).unwrap()).collect()
    };
    assert!(readable(case.records.clone()).contains(&unmatched));
    assert!(!readable(without(&case, class)).contains(&unmatched));
    assert!(casework::disclosure::refusals(&folded, &w.policy).is_empty());
}

#[test]
fn d3_a_list_found_after_a_review_goes_in_its_own_time() {
    let class = RetentionClass::Candidates;
    let erase = Task::Erase { class };
    let mut w = World::new();
    let (mut case, [first, second]) = two_images(&mut w);
    let examiners = desk(GalleryId::Passport).examiners;
    find(&mut w, &mut case, first, &[ReferenceId::fixed(77)]);
    agree(&mut w, &mut case, first, &examiners[..2], false);
    let decline = w.decline(&case, second);
    w.done(case.assignee, &mut case, decline);
    w.answer(&mut case);
    w.done(case.assignee, &mut case, Command::Close);
    w.done(None, &mut case, Command::Erase { class });
    assert!(erase.owed(&case, &w.policy, w.now), "its key may still have to go");

    w.review(&mut case, ReviewResult::Changed);
    assert!(!erase.owed(&case, &w.policy, w.now), "whatever failed then is not tried again over what comes now");
    w.take(&mut case);
    find(&mut w, &mut case, second, &[ReferenceId::fixed(78), ReferenceId::fixed(79)]);
    assert!(!erase.owed(&case, &w.policy, w.now), "people are at work on this list");
    let leader = desk(GalleryId::Passport).leader;
    assert!(cites(&w.refused(leader, &mut case, Command::TryAgain { task: erase }), Clause::D3));
    assert!(cites(&w.refused(None, &mut case, Command::Erase { class }), Clause::D3));
    agree(&mut w, &mut case, second, &examiners[2..], false);
    assert!(retain::due(&case, &w.policy, w.today()).iter().any(|d| d.class == class), "concluded, it goes as the first did");
    w.done(None, &mut case, Command::Erase { class });
    assert!(case.probes.iter().flat_map(|p| &p.candidates).all(|c| c.reference.is_none()));
    assert_eq!(Request::fold(case.id, without(&case, class)).unwrap(), case.request);
}

#[test]
fn m2_a_confirmed_match_whose_reference_is_gone_is_no_no_match() {
    let mut w = World::new();
    let mut case = w.searched(GalleryId::Passport, 1);
    let [first, second, ..] = desk(GalleryId::Passport).examiners;
    w.examine(&mut case, first, &[true]);
    w.join(&mut case, second);
    let candidate = case.candidate_ids()[0];
    w.look(&mut case, second, candidate, Conclusion::Same);
    let last =
        Command::GiveInformed { probe: case.probe_id(), candidate, opinion: World::informed(true), version: w.version_of(&case, second) };
    let kinds =
        |request: &Request| w.ask(second, request, &last).unwrap().iter().map(|e| matches!(e, Event::Concluded { .. })).collect::<Vec<_>>();
    assert_eq!(kinds(&case), [false, true], "with its reference, it is a match");
    let gone = Request::fold(case.id, without(&case, RetentionClass::Candidates)).unwrap();
    assert_eq!(kinds(&gone), [false], "the opinion is recorded, and nothing is concluded of it");
    assert_eq!(gone.probes[0].state, ProbeState::Comparing);
}

#[test]
fn d3_a_review_that_nobody_decides_keeps_the_images_but_not_the_record_for_ever() {
    let mut w = World::new();
    let mut case = w.declined(GalleryId::Passport);
    w.done(case.assignee, &mut case, Command::Close);
    w.done(REQUESTER, &mut case, Command::AskReview { reasons: "Two were stabbed.".into() });
    w.pass_days(365 * 6);
    assert!(retain::due(&case, &w.policy, w.today()).is_empty(), "the review could need the images");
    w.pass_days(3);
    let due: Vec<_> = retain::due(&case, &w.policy, w.today()).into_iter().map(|d| d.class).collect();
    assert_eq!(due, [RetentionClass::Record]);
    w.done(None, &mut case, Command::Erase { class: RetentionClass::Record });
    assert_eq!(case.state, State::Erased);
}

#[test]
fn d3_what_is_tried_again_stays_due_since_it_was() {
    let mut w = World::new();
    let mut case = w.declined(GalleryId::Passport);
    let due = retain::close_due(&case, &w.policy);
    w.pass_days(i64::from(w.policy.close_after_idle_days) + 1);
    w.done(desk(GalleryId::Passport).leader, &mut case, Command::TryAgain { task: Task::Close });
    assert_eq!(retain::close_due(&case, &w.policy), due);
    assert!(Task::Close.owed(&case, &w.policy, w.now));
    w.done(None, &mut case, Command::Close);
    assert_eq!(case.state, State::Closed);
}

#[test]
fn d3_of_an_erased_record_only_headers_are_left() {
    let mut w = World::new();
    let case = w.at(State::Erased);
    let mut records = without(&case, RetentionClass::Record);
    for r in &mut records {
        r.payload = None;
    }
    let folded = Request::fold(case.id, records).unwrap();
    assert_eq!((folded.state, folded.version), (State::Erased, case.version));
    assert_eq!((folded.gallery, folded.leo), (case.gallery, case.leo));
    assert!(folded.erased.contains(&RetentionClass::Record));
    assert!(folded.form.is_none() && folded.requester.is_none() && folded.probes.is_empty());
    // Statistics do not notice.
    let headers = || case.records.iter().map(|r| &r.header);
    assert_eq!(casework::report::counts(headers())[&GalleryId::Passport].answered["match"], 1);
}

#[test]
fn a_stream_that_was_tampered_with_does_not_fold() {
    let mut w = World::new();
    let case = w.answered(GalleryId::Passport);
    let last = case.records.len() - 1;
    let mut relabelled = case.records.clone();
    relabelled[last].header.state = Some("withdrawn".into());
    assert!(Request::fold(case.id, relabelled).is_err());
    let mut shortened = case.records.clone();
    shortened.remove(1);
    shortened.remove(3);
    assert!(Request::fold(case.id, shortened).is_err());
    let mut garbled = case.records.clone();
    garbled[last].payload = Some(b"{}".to_vec());
    assert!(Request::fold(case.id, garbled).is_err());
}

proptest::proptest! {
    /// A score is a number that a digest covers: what is read back is what was written, to the bit.
    #[test]
    fn m1_scores_come_back_from_the_record_to_the_bit(scores in proptest::collection::vec(-1.0e9f64..1.0e9, 1..40)) {
        for score in scores {
            let broken = casework::event::SearchFacts { threshold: score / 0.0, ..World::facts() };
            let refused = serde_json::to_vec(&broken).is_err();
            proptest::prop_assert!(refused);
            let text = serde_json::to_vec(&casework::event::SearchFacts { threshold: score, ..World::facts() }).unwrap();
            let back: casework::event::SearchFacts = serde_json::from_slice(&text).unwrap();
            proptest::prop_assert_eq!(back.threshold.to_bits(), score.to_bits());
        }
    }
}

#[test]
fn d3_a_draft_goes_on_a_london_date_whatever_the_clocks_do() {
    use casework::retain::{draft_goes, drafts_saved_before};
    let policy = &World::new().policy;
    assert_eq!(policy.draft_days_after_saving, 60);
    // Half past midnight in London on 1 July is still 30 June in UTC.
    let at = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
    assert_eq!(draft_goes(at("2026-06-30T23:30:00Z"), policy), jiff::civil::date(2026, 8, 30));
    assert_eq!(draft_goes(at("2026-06-30T22:30:00Z"), policy), jiff::civil::date(2026, 8, 29));
    // Both say the same of every hour of a year, over both changes of the clocks.
    let mut saved = at("2026-01-01T00:30:00Z");
    for _ in 0..366 * 24 {
        let goes = draft_goes(saved, policy);
        assert!(saved < drafts_saved_before(goes, policy), "{saved} is due on {goes}");
        assert!(saved >= drafts_saved_before(goes.yesterday().unwrap(), policy), "{saved} is not due the day before {goes}");
        saved = saved.checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    }
}

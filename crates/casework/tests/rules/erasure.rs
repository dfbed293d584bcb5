//! What is left when a class of data is gone.

use casework::{
    command::Command,
    event::Sharing,
    record::{GalleryId, OpenedRecord, RetentionClass},
    request::{Request, State},
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

//! P1: which searches rest on a certificate, for people to decide whether their cases are looked at again.

use crate::{
    certificate::{certified_again, measured_again, newest, revoke},
    house::{AUDITOR, House, SOUGHT, form, refusals, threshold, wanted},
};
use bureau::{
    affected::{Affected, AffectedCount},
    processing::ProcessingFilter,
};
use casework::{
    access,
    ids::{Digest, PersonId, RequestId},
    people::{RegisterEvent, Role},
    record::{GalleryId, RetentionClass, StreamId},
    request::{Outcome, State},
    testing::{REGISTRAR, REQUESTER, desk},
};

const P: GalleryId = GalleryId::Passport;

fn cases(affected: &Affected) -> Vec<(RequestId, State, Option<Outcome>)> {
    affected.searches.iter().map(|s| (s.request, s.state, s.outcome)).collect()
}

fn counted(searches: usize, cases: usize) -> AffectedCount {
    AffectedCount { searches, cases, ..AffectedCount::default() }
}

#[tokio::test]
async fn p1_what_was_searched_under_a_certificate_and_those_that_stop_with_it_is_listed_for_those_who_answer_for_it() {
    let house = House::new().await;
    let (b, d) = (&house.bureau, desk(P));
    let older = newest(&house).await;
    let (first, probe) = house.searched(form(P), SOUGHT).await;
    house.answer(first, probe).await;
    let elsewhere = house.searched(form(GalleryId::Immigration), SOUGHT).await.0;
    house.clock.days(1);
    b.issue_certificate(&measured_again(&house), wanted(P, threshold())).await.unwrap();
    let newer = newest(&house).await;
    assert_ne!(older, newer);
    assert_eq!(b.affected(d.leader, newer).await.unwrap().count, counted(1, 1), "nothing was searched under it yet");
    let (second, _) = house.searched(form(P), SOUGHT).await;

    // Before: what its revocation would touch. The older one's would touch the first alone.
    assert_eq!(b.affected_count(d.siao, newer).await.unwrap(), counted(2, 2));
    let before = b.affected(d.siao, newer).await.unwrap();
    let listed = [(second, State::Comparing, None), (first, State::Answered, Some(Outcome::Match))];
    assert_eq!(cases(&before), listed, "newest first");
    assert_eq!((before.gallery, &before.revoked, before.with.as_slice()), (P, &None, [older].as_slice()));
    assert_eq!(before.searches.iter().map(|s| s.certificate).collect::<Vec<_>>(), [newer, older]);
    let at = house.open(second).await.changed_at.unwrap();
    assert_eq!((before.searches[0].searched_at, &before.searches[0].reference), (at, &second.reference()));
    let alone = b.affected(d.leader, older).await.unwrap();
    assert_eq!((cases(&alone), alone.with), (vec![listed[1]], vec![]));

    // Whoever does not answer for it is told nothing, of what is there as of what is not.
    for who in [d.assessors[0], d.examiners[0], REGISTRAR, REQUESTER] {
        assert!(refusals(b.affected(who, newer).await).iter().any(|r| r.words == "Your role does not include this."), "{who}");
        refusals(b.affected_count(who, newer).await);
    }
    for (who, certificate) in [(desk(GalleryId::Immigration).siao, newer), (d.siao, Digest([7; 32])), (AUDITOR, Digest([7; 32]))] {
        assert_eq!(refusals(b.affected(who, certificate).await), [access::unknown()], "{who}");
        assert_eq!(refusals(b.affected_count(who, certificate).await), [access::unknown()], "{who}");
    }

    // After: the same, whichever of the two is asked for; what is searched under another since is not among them.
    revoke(&house).await;
    certified_again(&house).await;
    let (third, _) = house.searched(form(P), SOUGHT).await;
    for who in [d.leader, d.siao, AUDITOR] {
        let after = b.affected(who, newer).await.unwrap();
        assert_eq!((cases(&after), after.count), (listed.to_vec(), counted(2, 2)));
        assert_eq!((after.revoked.unwrap().reasons.as_str(), after.with), (crate::certificate::WHY, vec![older]));
    }
    assert_eq!(cases(&b.affected(d.leader, older).await.unwrap()), listed);
    let under_the_third = b.affected(AUDITOR, newest(&house).await).await.unwrap();
    assert_eq!((cases(&under_the_third), under_the_third.with), (vec![(third, State::Comparing, None)], vec![]));
    let ended = b.settings(d.leader).await.unwrap().remove(0).ended;
    assert_eq!(ended.iter().map(|e| (e.digest, e.revoked.reasons.as_str())).collect::<Vec<_>>(), [(newer, crate::certificate::WHY)]);
    let all = serde_json::to_string(&b.affected(AUDITOR, newer).await.unwrap()).unwrap();
    for word in ["anary", "score", "rank", &elsewhere.to_string(), &REQUESTER.to_string()] {
        assert!(!all.contains(word), "{word} is in {all}");
    }
    house.holds().await;
}

#[tokio::test]
async fn d5_reading_what_rests_on_a_certificate_is_recorded() {
    let house = House::new().await;
    let b = &house.bureau;
    house.searched(form(P), SOUGHT).await;
    let certificate = newest(&house).await;
    let reads = async || {
        let filter = ProcessingFilter { person: Some(desk(P).leader), ..ProcessingFilter::default() };
        let all = b.take_processing(AUDITOR, &filter).await.unwrap().lines;
        all.into_iter().filter(|l| l.kind == "searches-traced").collect::<Vec<_>>()
    };
    b.affected_count(desk(P).leader, certificate).await.unwrap();
    assert!(reads().await.is_empty(), "a number names no case");
    b.affected(desk(P).leader, certificate).await.unwrap();
    let [read] = &reads().await[..] else { panic!("one look") };
    assert_eq!(read.what, format!("Which searches rest on certificate {certificate}: 1 in 1 cases"));
    assert_eq!((read.gallery, read.operation.label(), read.clauses.as_slice()), (Some(P), "Consulted", ["D5".to_owned()].as_slice()));
    house.holds().await;
}

/// A second role for somebody who has one already.
async fn also(house: &House, who: PersonId, role: Role) {
    let mut person = house.bureau.register().await.unwrap().people[&who].clone();
    person.roles.insert(role);
    house.bureau.change_register(REGISTRAR, RegisterEvent::PersonEntered(person), None).await.unwrap();
}

#[tokio::test]
async fn m2_who_examines_a_case_is_not_told_how_far_it_is_and_what_was_erased_is_counted() {
    let house = House::new().await;
    let (b, leader) = (&house.bureau, desk(P).leader);
    also(&house, leader, Role::Examiner).await;
    let certificate = newest(&house).await;
    let (first, _) = house.searched(form(P), SOUGHT).await;
    let (second, probe) = house.searched(form(P), SOUGHT).await;
    b.take_up(leader, second, probe).await.unwrap();
    let blind = b.affected(leader, certificate).await.unwrap();
    assert_eq!(cases(&blind), [(first, State::Comparing, None)]);
    assert_eq!(blind.count, AffectedCount { searches: 2, cases: 2, withheld: 1, erased: 0 });
    assert_eq!(b.affected(desk(P).siao, certificate).await.unwrap().searches.len(), 2);
    // Of a record that is gone nobody can say under which certificate its search was made.
    b.store().erase(StreamId::Request(first), RetentionClass::Record, jiff::Timestamp::now()).await.unwrap();
    let left = b.affected(desk(P).siao, certificate).await.unwrap();
    assert_eq!((cases(&left).len(), left.count), (1, AffectedCount { searches: 1, cases: 1, withheld: 0, erased: 1 }));
}

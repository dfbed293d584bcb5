//! A gallery that a system elsewhere searches: the same request, record and rules; and a system that misbehaves.

#[path = "../../../abis/tests/fake/mod.rs"]
mod fake;

use crate::house::*;
use abis::{Abis, Settings};
use base64::Engine as _;
use bureau::{
    BureauError,
    enrol::{Enrolled, Enrolment},
};
use casework::{
    clause::Clause,
    command::Command,
    event::{Event, SearchFacts},
    ids::ReferenceId,
    record::GalleryId,
    request::{ProbeState, State},
};
use fake::{Fake, MISDEEDS};
use jiff::SignedDuration;
use std::time::Duration;

const P: GalleryId = GalleryId::Passport;
const THRESHOLD: f64 = 0.5;

fn abis(fake: &Fake) -> Abis {
    Abis::new(Settings {
        url: fake.url(),
        gallery: "PASSPORT".into(),
        vendor: "Acme".into(),
        algorithm: "FaceNet 5.2".into(),
        score_min: 0.0,
        score_max: 1.0,
        answer_within: Duration::from_secs(20),
        token: None,
        authorities: vec![],
    })
    .unwrap()
}

/// A house whose passport gallery is enrolled in a fake system, and the references that have a picture.
async fn house_and_fake() -> (House, Fake, Vec<ReferenceId>) {
    let house = House::new().await;
    let all = house.bureau.store().holdings_after(P, None, 10_000).await.unwrap();
    let fake = Fake::start(all.iter().map(|(id, _)| id.to_string()).collect());
    let house = house.searching_elsewhere(abis(&fake)).await;
    (house, fake, all.into_iter().filter(|(_, pictured)| *pictured).map(|(id, _)| id).collect())
}

/// A certificate for that system's engine, from an evaluation that says it was of it.
async fn certified(house: &House) {
    let (running, _) = house.bureau.running(P).unwrap();
    let measured = evaluation(2_000, |e| {
        (e.pack, e.pack_digest, e.model) = (running.pack.clone(), running.pack_digest.clone(), running.model.clone());
    });
    house.bureau.issue_certificate(&measured, wanted(P, THRESHOLD)).await.unwrap();
}

fn facts(events: &[Event]) -> Vec<&SearchFacts> {
    events.iter().filter_map(|e| if let Event::Searched { facts, .. } = e { Some(facts) } else { None }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_search_elsewhere_is_measured_recorded_and_concluded_like_any_other() {
    let (house, fake, pictured) = house_and_fake().await;
    let (id, probe) = house.authorised(form(P), SOUGHT).await;
    let holder = house.open(id).await.assignee.unwrap();
    // The certificate of the engine here is none for the one there.
    let why = refusals(house.bureau.act(holder, id, Command::StartSearch { probe }, None, None).await);
    assert!(cites(&why, Clause::P1) && why.iter().any(|r| r.words.contains("Acme FaceNet 5.2")), "{why:?}");
    assert!(fake.calls().is_empty(), "no face left");
    certified(&house).await;

    let [one, two] = [pictured[0].to_string(), pictured[1].to_string()];
    fake.answer_with(&[(&one, 0.93), (&two, THRESHOLD)]);
    house.act_and_work(holder, id, Command::StartSearch { probe }).await;
    let events = house.events(id).await;
    let [made] = facts(&events)[..] else { panic!("one search") };
    let held = house.bureau.held(P).await.unwrap();
    assert_eq!((made.searched, made.threshold, made.more), (held, THRESHOLD, false));
    assert_eq!((made.running.model.as_str(), made.running.pack.as_str()), ("Acme FaceNet 5.2", "ABIS of Acme"));
    assert!(made.engine.contains("gallery PASSPORT at 127.0.0.1"), "{}", made.engine);
    let listed: Vec<_> =
        events.iter().filter_map(|e| if let Event::Listed { found, .. } = e { Some(found) } else { None }).flatten().collect();
    assert_eq!(listed.iter().map(|f| (f.reference, f.score)).collect::<Vec<_>>(), [(pictured[0], 0.93), (pictured[1], THRESHOLD)]);

    // Exactly the face that was assessed went out, alone, and without metadata.
    let sent: Vec<_> = fake.calls().into_iter().filter(|c| c.method == "POST").collect();
    let [sent] = sent.as_slice() else { panic!("one search") };
    assert!(sent.target.contains("maxNbCand=11&threshold=0.5"), "{}", sent.target);
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    let jpeg = base64::engine::general_purpose::STANDARD.decode(body["biometricData"][0]["image"].as_str().unwrap()).unwrap();
    assert!(!jpeg.windows(4).any(|w| w == b"Exif"));
    let alone = house.bureau.decode(&jpeg).await.unwrap();
    assert_eq!(house.bureau.faces(&alone).await.unwrap().len(), 1);

    // And on it goes, to an answer.
    house.answer(id, probe).await;
    house.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_a_system_that_misbehaves_leaves_the_search_to_be_made_again() {
    let (house, fake, pictured) = house_and_fake().await;
    certified(&house).await;
    let (id, probe) = house.authorised(form(P), SOUGHT).await;
    let holder = house.open(id).await.assignee.unwrap();
    house.act(holder, id, Command::StartSearch { probe }).await;
    let before = house.events(id).await.len();
    let misdeed = |name: &str| MISDEEDS.iter().find(|(n, ..)| *n == name).map(|(_, m, _)| *m);
    let fails = async || {
        let worked = house.bureau.work("tests").await.unwrap();
        assert_eq!((worked.done, worked.failed), (0, 1));
        assert_eq!(house.events(id).await.len(), before, "nothing is recorded");
        let request = house.open(id).await;
        assert!(request.state == State::Searching && matches!(request.probes[0].state, ProbeState::Started(_)), "{:?}", request.state);
        house.clock.forward(SignedDuration::from_mins(10));
    };
    for name in ["cut off", "more than asked", "above the range"] {
        fake.misbehave(misdeed(name));
        assert!(fake.inside.lock().unwrap().misdeed.is_some(), "{name}");
        fails().await;
    }
    // A list like any other, but of somebody whom nobody here enrolled.
    fake.misbehave(None);
    fake.answer_with(&[(fake::A, 0.9)]);
    fails().await;
    // Somebody enrolled there beside us.
    fake.inside.lock().unwrap().people.push(fake::A.into());
    fails().await;
    fake.inside.lock().unwrap().people.pop();

    fake.answer_with(&[(&pictured[0].to_string(), 0.9)]);
    house.work().await;
    let events = house.events(id).await;
    assert_eq!(facts(&events).len(), 1);
    assert_eq!(house.open(id).await.state, State::Comparing);
    house.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_is_held_here_and_enrolled_there() {
    let (house, fake, _) = house_and_fake().await;
    let b = &house.bureau;
    let held = b.held(P).await.unwrap();
    assert!(matches!(b.check_elsewhere(P).await.unwrap(), Some(Ok(n)) if n == held));
    assert!(b.check_elsewhere(GalleryId::Immigration).await.unwrap().is_none());
    let image = faces_cut_out(b, "sample3.jpg").await.remove(0);
    let enrol = async || b.enrol_one(P, Enrolment { image: image.clone(), biography: biography(1) }).await;
    let Enrolled::Added(reference) = enrol().await.unwrap() else { panic!("it is new") };
    assert_eq!(fake.inside.lock().unwrap().people.last(), Some(&reference.to_string()));
    assert_eq!(enrol().await.unwrap(), Enrolled::Already);
    assert_eq!(b.held(P).await.unwrap(), held + 1);
    assert_eq!(b.gallery_size(P), Some(held + 1));
    // Held here, but lost there: said, and mended by enrolling again.
    fake.inside.lock().unwrap().people.pop();
    assert!(matches!(b.check_elsewhere(P).await.unwrap(), Some(Err(abis::Error::Incomplete(_)))));
    assert!(matches!(enrol().await.unwrap(), Enrolled::Added(again) if again == reference));
    assert!(matches!(b.check_elsewhere(P).await.unwrap(), Some(Ok(n)) if n == held + 1));
    // There is no index here to fill or to search.
    assert!(b.gallery(P).is_none());
    assert!(matches!(
        b.enrol_fillers(P, &face::filler::Filler::open(&pack()).unwrap(), 1, 1, |_, _| {}).await,
        Err(BureauError::Gallery(_))
    ));
}

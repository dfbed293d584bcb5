//! review: what an examiner did to the pictures is recorded, and the same pictures can be made again by it (M2, D5).

use crate::house::{AUDITOR, House, SOUGHT, cites, form, refusals};
use bureau::BureauError;
use casework::{
    clause::Clause,
    command::Command,
    event::{Event, Thing},
    ids::Digest,
    image_log::{ImageLog, Picture, Step, Steps},
    record::{GalleryId, RetentionClass, StreamId},
    review::{Conclusion, Visual},
    testing::{REQUESTER, World, desk},
};

const PASSPORT: GalleryId = GalleryId::Passport;

const STEPS: &str = "pv200.400.450_hv150.500.500_pt30.-15_hr345_g1_aoverlay.40";

fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    Digest(out)
}

#[tokio::test]
async fn m2_what_an_examiner_looked_at_can_be_made_again_from_the_original() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    let desk = desk(PASSPORT);
    let [one, two, ..] = desk.examiners;
    b.take_up(one, id, probe).await.unwrap();
    let sheet = b.comparison(one, id, probe).await.unwrap().sheet;
    let mut given = None;
    for (version, c) in sheet.candidates.iter().enumerate() {
        // Drawn while looking, as the pages do.
        let steps = Steps::read(STEPS);
        let seen = b.rendered(b.comparison_probe(one, id, probe).await.unwrap(), steps.settings(Picture::Probe)).await.unwrap();
        let held = b.comparison_candidate(one, id, probe, c.id).await.unwrap();
        let image_log = b.image_log(one, id, probe, c.id, steps).await.unwrap();
        assert_eq!(image_log.shown[0].shown, sha256(&seen), "what was on the page is what is recorded");
        assert_ne!(image_log.shown[0].shown, image_log.shown[0].original);
        assert_eq!(image_log.shown.len(), 1 + usize::from(held.is_some()), "a synthetic reference has no picture");
        if held.is_some() {
            given = given.or(Some((c.id, seen)));
        }
        let opinion = Visual { image_log, ..World::visual(Conclusion::Same) };
        house.act(one, id, Command::GiveVisual { probe, candidate: c.id, opinion, version: version as u64 }).await;
    }
    let (candidate, seen) = given.expect("somebody with a picture is on the list");

    // The leader sees the log and the very pictures; the auditor the log, and that they can be made again.
    let logs = b.image_logs(desk.leader, id).await.unwrap();
    assert_eq!(logs.len(), sheet.candidates.len());
    let (place, log) = logs.iter().find(|(_, l)| l.compared == (probe, candidate)).unwrap();
    assert_eq!((log.image_log.steps.code().as_str(), log.informed), (STEPS, false));
    for picture in [Picture::Probe, Picture::Held] {
        let made = b.made_again(desk.leader, id, *place, picture).await.unwrap();
        assert!(made.same, "{picture}: byte for byte");
        if picture == Picture::Probe {
            assert_eq!(made.jpeg, seen);
        }
        assert!(b.made_again(AUDITOR, id, *place, picture).await.unwrap().same);
    }
    assert!(b.sees_pictures_made_again(desk.leader, id).await.unwrap());
    assert!(!b.sees_pictures_made_again(AUDITOR, id).await.unwrap());
    // Looking is recorded (D5), and nobody at work on the request is let in (M2).
    let looks = house.looks(id).await;
    for thing in [Thing::Probe(probe), Thing::CandidateImage(candidate)] {
        assert!(looks.iter().any(|l| l.by == desk.leader && l.thing == thing && l.why.contains("as an examiner saw it")), "{looks:?}");
    }
    for other in [one, two, desk.assessors[0], REQUESTER] {
        refusals(b.image_logs(other, id).await);
        refusals(b.made_again(other, id, *place, Picture::Probe).await);
    }
    // What is erased cannot be made again, and that is said.
    assert!(matches!(b.made_again(desk.leader, id, 10_000, Picture::Probe).await, Err(BureauError::Gone)));
    house.holds().await;
    b.store().erase(StreamId::Request(id), RetentionClass::Images, jiff::Timestamp::now()).await.unwrap();
    assert!(matches!(b.made_again(desk.leader, id, *place, Picture::Probe).await, Err(BureauError::Gone)));
}

#[tokio::test]
async fn m2_a_log_that_could_not_be_drawn_again_is_refused() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    let one = desk(PASSPORT).examiners[0];
    b.take_up(one, id, probe).await.unwrap();
    let candidate = b.comparison(one, id, probe).await.unwrap().sheet.candidates[0].id;
    let beyond = Steps(vec![Step::Turn { picture: Picture::Probe, degrees: 999 }]);
    for image_log in [
        ImageLog { steps: beyond, shown: vec![] },
        ImageLog { steps: Steps::read("g1"), shown: vec![] },
        ImageLog { steps: Steps(vec![Step::Reset; 151]), shown: vec![] },
    ] {
        let opinion = Visual { image_log, ..World::visual(Conclusion::Same) };
        let refused = refusals(b.act(one, id, Command::GiveVisual { probe, candidate, opinion, version: 0 }, None, None).await);
        assert!(cites(&refused, Clause::M2), "{refused:?}");
    }
    assert!(!house.events(id).await.iter().any(|e| matches!(e, Event::VisualGiven { .. })));
}

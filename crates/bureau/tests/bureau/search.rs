//! M1: a search runs only inside leave, once, and exactly.

use crate::house::{
    FILLERS, House, SOUGHT, cites, engine, enrolled, faces_cut_out, form, one_more_on_the_left, pack, photograph, probe, refusals, seed,
    without_the_one_sought,
};
use bureau::{Bureau, enrol::Enrolment};
use casework::{
    clause::Clause,
    command::Command,
    event::{Event, Found, SearchFacts},
    form::Source,
    ids::{Digest, RequestId},
    limits::CANDIDATES_MAX,
    people::{Dsa, RegisterEvent},
    record::{GalleryId, StreamId},
    request::{ProbeState, State},
    testing::{FORCE, REGISTRAR, REQUESTER, World, desk},
};
use decoder::Rgb8;
use face::filler::Filler;
use gallery::Gallery as _;
use jiff::SignedDuration;
use std::{fs, path::Path};
use uuid::Uuid;

/// What the search of a request recorded.
async fn recorded(house: &House, id: RequestId) -> (SearchFacts, Vec<Found>) {
    let (mut how, mut list) = (None, vec![]);
    for event in house.events(id).await {
        match event {
            Event::Searched { facts, .. } => how = Some(facts),
            Event::Listed { found, .. } => list = found,
            _ => {}
        }
    }
    (how.expect("the search is recorded"), list)
}

async fn searches(house: &House, id: RequestId) -> usize {
    house.events(id).await.iter().filter(|e| matches!(e, Event::Searched { .. })).count()
}

/// The template of one face of an image, from the engine, not from the gallery.
async fn template(bureau: &Bureau, image: &[u8], face: usize) -> Vec<f32> {
    let pixels = bureau.decode(image).await.unwrap();
    let image = face::Image::new(pixels.width, pixels.height, &pixels.data).unwrap();
    let faces = engine().detect(&image).unwrap();
    engine().template(&image, &faces[face]).unwrap().values().to_vec()
}

/// The id under which something was enrolled, by the digest of what it was made of.
async fn id_of(bureau: &Bureau, gallery: GalleryId, source: &[u8]) -> Uuid {
    let digest = Digest(sha256(source).try_into().unwrap());
    bureau.store().holding_by_source(gallery, digest).await.unwrap().expect("it is enrolled").0
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

/// Everything that is enrolled in the prepared house, made again from its sources.
async fn everything(bureau: &Bureau, gallery: GalleryId) -> Vec<(Uuid, Vec<f32>)> {
    let mut out = vec![];
    for image in faces_cut_out(bureau, enrolled(gallery)).await {
        out.push((id_of(bureau, gallery, &image).await, template(bureau, &image, 0).await));
    }
    let filler = Filler::open(&pack()).unwrap();
    for n in 0..FILLERS {
        let source = format!("countersign synthetic {} {n}", seed(gallery));
        out.push((id_of(bureau, gallery, source.as_bytes()).await, filler.template(seed(gallery), n).unwrap().values().to_vec()));
    }
    out
}

/// A float64 brute force: every score, those at or above the threshold, best first, ties by id.
fn brute_force(probe: &[f32], all: &[(Uuid, Vec<f32>)], threshold: f64) -> Vec<(Uuid, f64)> {
    let score = |t: &[f32]| probe.iter().zip(t).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut out: Vec<_> = all.iter().map(|(id, t)| (*id, score(t))).filter(|(_, s)| *s >= threshold).collect();
    out.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    out
}

#[tokio::test]
async fn m1_a_search_equals_a_float64_brute_force_over_everything_enrolled() {
    let house = House::new().await;
    let mut lengths = vec![];
    for (gallery, face) in [(GalleryId::Passport, SOUGHT), (GalleryId::Passport, 0), (GalleryId::Immigration, SOUGHT)] {
        let (id, _) = house.searched(form(gallery), face).await;
        let (facts, found) = recorded(&house, id).await;
        let all = everything(&house.bureau, gallery).await;
        let threshold = engine().model().threshold.value;
        let best = brute_force(&template(&house.bureau, &probe(), face).await, &all, threshold);
        let expected: Vec<_> = best.iter().take(CANDIDATES_MAX).copied().collect();
        assert_eq!(found.iter().map(|f| (f.reference.0, f.score)).collect::<Vec<_>>(), expected, "{gallery} {face}");
        assert_eq!(facts.searched, all.len() as u64);
        assert_eq!((facts.threshold, facts.more), (threshold, best.len() > CANDIDATES_MAX));
        assert_eq!(facts.running.model, engine().model().id.as_str());
        assert_eq!(facts.epoch, house.bureau.gallery(gallery).unwrap().epoch());
        lengths.push(found.len());
    }
    assert!(lengths[0] > 0, "the person sought is on the passport gallery's list: {lengths:?}");
}

#[tokio::test]
async fn m1_a_candidate_list_is_short_whatever_lies_above_the_threshold() {
    let house = House::new().await;
    let b = &house.bureau;
    // The person sought, enrolled again and again under other light.
    let third = &faces_cut_out(b, "sample1.jpg").await[2];
    let pixels = b.decode(third).await.unwrap();
    let picture = Rgb8::new(pixels.width, pixels.height, pixels.data).unwrap();
    for n in 0..13 {
        let image = picture.brightness_contrast(2 * n - 12, 0).to_jpeg(92).unwrap();
        b.enrol_one(GalleryId::Passport, Enrolment { image, biography: crate::house::biography(50) }).await.unwrap();
    }
    let (id, probe) = house.searched(form(GalleryId::Passport), SOUGHT).await;
    let (facts, found) = recorded(&house, id).await;
    assert_eq!(found.len(), CANDIDATES_MAX);
    assert!(facts.more, "it says that there were more");
    assert!(found.iter().all(|f| f.score >= facts.threshold));
    assert_eq!(house.open(id).await.probe(probe).unwrap().candidates.len(), CANDIDATES_MAX);
}

#[tokio::test]
async fn m1_leave_is_for_one_image_one_face_and_one_search() {
    let house = House::new().await;
    let b = &house.bureau;
    // Two images on one form; leave is given for the first only.
    let (draft, version) = house.drafted(REQUESTER, form(GalleryId::Passport), &probe(), SOUGHT).await;
    let (version, second, _) = b.add_image(REQUESTER, draft, version, &photograph("sample5.jpg"), None).await.unwrap();
    let version = b.describe_image(REQUESTER, draft, version, second, Some(0), Some(Source::Supervised)).await.unwrap();
    let id = b.send(REQUESTER, draft, version, None).await.unwrap()[0];
    house.act_and_work(casework::testing::APPROVER, id, Command::Approve).await;
    let first = house.authorise(id).await;
    let holder = desk(GalleryId::Passport).assessors[0];
    let ProbeState::Authorised(leave) = house.open(id).await.probe(first).unwrap().state.clone() else { panic!("authorised") };
    assert_eq!(leave.digest.0.to_vec(), sha256(&probe()));
    assert_eq!((leave.face, leave.gallery, leave.probe), (SOUGHT, GalleryId::Passport, first));
    assert!(leave.expires > b.now());

    let other = b.act(holder, id, Command::StartSearch { probe: second }, None, None).await;
    assert!(cites(&refusals(other), Clause::M1), "the second image has no leave");
    house.act_and_work(holder, id, Command::StartSearch { probe: first }).await;
    let again = b.act(holder, id, Command::StartSearch { probe: first }, None, None).await;
    assert!(cites(&refusals(again), Clause::M1), "leave is used once");
    assert_eq!(searches(&house, id).await, 1);
    // Nobody but a worker records a search, whatever they claim to have found.
    let (facts, found) = recorded(&house, id).await;
    let forged = Command::RecordSearch { probe: second, authorisation: leave.id, facts, found };
    assert!(cites(&refusals(b.act(holder, id, forged, None, None).await), Clause::P2));
}

#[tokio::test]
async fn m1_leave_for_one_gallery_searches_no_other() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    // A worker that has only the other gallery open cannot make this search, and makes no other.
    let house = house.reopened(&[GalleryId::Immigration]).await;
    let holder = desk(GalleryId::Passport).assessors[0];
    house.act(holder, id, Command::StartSearch { probe }).await;
    let worked = house.bureau.work("elsewhere").await.unwrap();
    assert_eq!((worked.done, worked.failed), (0, 1));
    assert_eq!(searches(&house, id).await, 0);
    assert!(matches!(house.open(id).await.probe(probe).unwrap().state, ProbeState::Started(_)));
    // One that has it makes it when the job is tried again.
    let house = house.reopened(&[GalleryId::Passport, GalleryId::Immigration]).await;
    house.clock.forward(SignedDuration::from_mins(10));
    house.work().await;
    let (facts, _) = recorded(&house, id).await;
    assert_eq!(facts.searched, house.bureau.gallery(GalleryId::Passport).unwrap().len());
    house.holds().await;
}

/// Works until every job is done or given up.
async fn worked_out(house: &House) {
    for _ in 0..bureau::work::ATTEMPTS_MAX {
        house.bureau.work("tests").await.unwrap();
        house.clock.forward(SignedDuration::from_hours(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_a_search_that_failed_for_good_is_tried_again_and_stays_one_search() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    let house = house.reopened(&[GalleryId::Immigration]).await;
    let desk = desk(GalleryId::Passport);
    house.act(desk.assessors[0], id, Command::StartSearch { probe }).await;
    worked_out(&house).await;
    let failed = house.bureau.failed_jobs(desk.leader).await.unwrap();
    let [job] = &failed[..] else { panic!("one job failed: {failed:?}") };
    assert_eq!((job.kind.as_str(), job.reason.as_str(), job.request, job.owed), ("search", "gallery", id, true));
    // Leave is used, so nobody can begin another; only the one that was begun can be made again.
    assert!(cites(&refusals(house.bureau.act(desk.assessors[0], id, Command::StartSearch { probe }, None, None).await), Clause::M1));
    refusals(house.bureau.try_again(desk.examiners[0], job.job).await);
    // Tried too early, it fails and comes back.
    house.bureau.try_again(desk.leader, job.job).await.unwrap();
    assert!(house.bureau.failed_jobs(desk.leader).await.unwrap().is_empty());
    worked_out(&house).await;
    assert_eq!(house.bureau.failed_jobs(desk.leader).await.unwrap().len(), 1);

    let house = house.reopened(&[GalleryId::Passport, GalleryId::Immigration]).await;
    let b = &house.bureau;
    // Pressed twice at once, by one leader in two tabs: one of them is told that it is done.
    let (one, two) = tokio::join!(b.try_again(desk.leader, job.job), b.try_again(desk.leader, job.job));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    assert!([one, two].into_iter().filter_map(Result::err).all(|e| matches!(e, bureau::BureauError::Overtaken)));
    // Two workers, one of them with a copy of the job as a crash would leave it.
    house.sql("INSERT INTO job (kind, stream, payload, run_at) SELECT kind, stream, payload, run_at FROM job WHERE kind = 'search'").await;
    let (one, two) = tokio::join!(b.work("one"), b.work("two"));
    assert_eq!(one.unwrap().failed + two.unwrap().failed, 0);
    assert_eq!(searches(&house, id).await, 1, "one leave, one search");
    let events = house.events(id).await;
    assert_eq!(events.iter().filter(|e| matches!(e, Event::SearchStarted { .. })).count(), 1);
    assert_eq!(events.iter().filter(|e| matches!(e, Event::TriedAgain { .. })).count(), 2, "each time is recorded");
    assert!(matches!(b.try_again(desk.leader, job.job).await, Err(bureau::BureauError::Overtaken)));
    assert!(b.failed_jobs(desk.leader).await.unwrap().is_empty());
    house.holds().await;
}

#[tokio::test]
async fn m1_a_failed_search_is_not_tried_again_once_its_leave_is_over() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    let house = house.reopened(&[GalleryId::Immigration]).await;
    let desk = desk(GalleryId::Passport);
    house.act(desk.assessors[0], id, Command::StartSearch { probe }).await;
    worked_out(&house).await;
    let job = house.bureau.failed_jobs(desk.leader).await.unwrap().remove(0);
    house.clock.days(16);
    let house = house.reopened(&[GalleryId::Passport, GalleryId::Immigration]).await;
    assert!(!house.bureau.failed_jobs(desk.leader).await.unwrap()[0].owed);
    assert!(cites(&refusals(house.bureau.try_again(desk.leader, job.job).await), Clause::M1));
    house.work().await;
    assert_eq!(searches(&house, id).await, 0);
    house.bureau.tidy().await.unwrap();
    assert!(house.bureau.failed_jobs(desk.leader).await.unwrap().is_empty(), "nothing asks for it, so it is dropped");
    house.holds().await;
}

#[tokio::test]
async fn o10_an_answer_that_could_not_leave_leaves_when_tried_again() {
    let house = House::new().await;
    let (id, probe) = house.searched(form(GalleryId::Passport), SOUGHT).await;
    let desk = desk(GalleryId::Passport);
    for examiner in &desk.examiners[..2] {
        house.examine(*examiner, id, probe).await;
    }
    let holder = desk.assessors[0];
    for m in house.bureau.matches(holder, id).await.unwrap() {
        house.act(holder, id, Command::DecideSharing { probe, candidate: m.candidate, sharing: World::share() }).await;
    }
    // The answer is made up, but its agreement has lapsed when the worker comes to send it.
    let dsa =
        house.bureau.register().await.unwrap().dsas.values().find(|d| d.leo == FORCE && d.gallery == GalleryId::Passport).cloned().unwrap();
    let enter = async |until| {
        let change = RegisterEvent::DsaEntered(Dsa { until, ..dsa.clone() });
        house.bureau.change_register(REGISTRAR, change, None).await.unwrap();
    };
    enter(casework::calendar::london_date(house.bureau.now()).yesterday().unwrap()).await;
    house.act(holder, id, World::answer_command()).await;
    worked_out(&house).await;
    assert_eq!(house.open(id).await.state, State::Answering);
    let job = house.bureau.failed_jobs(desk.leader).await.unwrap().remove(0);
    assert_eq!((job.kind.as_str(), job.reason.as_str(), job.owed), ("release", "refused", true));
    enter(dsa.until).await;
    house.bureau.try_again(desk.leader, job.job).await.unwrap();
    house.work().await;
    assert_eq!(house.open(id).await.state, State::Answered);
    assert_eq!(house.events(id).await.iter().filter(|e| matches!(e, Event::Released { .. })).count(), 1);
    house.holds().await;
}

#[tokio::test]
async fn m1_templates_of_two_models_are_never_compared() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    let house = house.with_a_gallery_of_another_model(GalleryId::Passport).await;
    house.act(desk(GalleryId::Passport).assessors[0], id, Command::StartSearch { probe }).await;
    let worked = house.bureau.work("tests").await.unwrap();
    assert_eq!((worked.done, worked.failed), (0, 1));
    assert_eq!(searches(&house, id).await, 0);
}

#[tokio::test]
async fn m1_the_assessed_face_is_searched_with_after_a_change_of_engine_whatever_its_number_is_then() {
    let house = House::new().await;
    let (id, probe_id) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    let house = house.with_an_engine_that_finds(one_more_on_the_left).await;
    house.act_and_work(desk(GalleryId::Passport).assessors[0], id, Command::StartSearch { probe: probe_id }).await;
    let (_, found) = recorded(&house, id).await;
    // What was enrolled was cut out with the engine as it was.
    let house = house.reopened(&[GalleryId::Passport, GalleryId::Immigration]).await;
    let all = everything(&house.bureau, GalleryId::Passport).await;
    let list = async |face| brute_force(&template(&house.bureau, &probe(), face).await, &all, engine().model().threshold.value);
    let (assessed, beside) = (list(SOUGHT).await, list(SOUGHT - 1).await);
    assert_eq!(found.iter().map(|f| (f.reference.0, f.score)).collect::<Vec<_>>(), assessed);
    assert_ne!(assessed, beside, "whoever has that number now would be told from them");
    let theirs = faces_cut_out(&house.bureau, enrolled(GalleryId::Passport)).await.remove(2);
    assert_eq!(found[0].reference.0, id_of(&house.bureau, GalleryId::Passport, &theirs).await);
    house.holds().await;
}

#[tokio::test]
async fn m1_where_the_assessed_face_is_not_found_again_nobody_is_searched_and_a_person_is_told_why() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    let house = house.with_an_engine_that_finds(without_the_one_sought).await;
    let desk = desk(GalleryId::Passport);
    house.act(desk.assessors[0], id, Command::StartSearch { probe }).await;
    let worked = house.bureau.work("tests").await.unwrap();
    assert_eq!((worked.done, worked.failed), (0, 1));
    assert!(!house.events(id).await.iter().any(|e| matches!(e, Event::Searched { .. } | Event::Listed { .. })));
    assert!(matches!(house.open(id).await.probe(probe).unwrap().state, ProbeState::Started(_)));
    // At once: the same engine would find the same faces again.
    let failed = house.bureau.failed_jobs(desk.leader).await.unwrap();
    let [job] = &failed[..] else { panic!("one job failed: {failed:?}") };
    assert_eq!((job.kind.as_str(), job.reason.as_str(), job.request, job.owed), ("search", "face", id, true));
    // With the former engine it is tried again, under the same leave.
    let house = house.reopened(&[GalleryId::Passport, GalleryId::Immigration]).await;
    house.bureau.try_again(desk.leader, job.job).await.unwrap();
    house.work().await;
    assert_eq!(searches(&house, id).await, 1);
    house.holds().await;
}

#[tokio::test]
async fn m1_expired_leave_searches_nothing_and_the_image_is_assessed_again() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    let holder = desk(GalleryId::Passport).assessors[0];
    house.clock.days(14);
    house.work().await;
    assert!(matches!(house.open(id).await.probe(probe).unwrap().state, ProbeState::Authorised(_)), "not before its time");
    house.clock.days(2);
    let late = house.bureau.act(holder, id, Command::StartSearch { probe }, None, None).await;
    assert!(cites(&refusals(late), Clause::M1));
    house.work().await;
    let request = house.open(id).await;
    assert_eq!((request.probe(probe).unwrap().state.clone(), request.state), (ProbeState::Pending, State::Assessing));
    // With new leave it is searched; the old one is dead.
    house.authorise(id).await;
    house.act_and_work(holder, id, Command::StartSearch { probe }).await;
    assert_eq!(searches(&house, id).await, 1);
    house.holds().await;
}

#[tokio::test]
async fn m1_leave_that_expires_before_a_worker_comes_to_it_searches_nothing() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    house.act(desk(GalleryId::Passport).assessors[0], id, Command::StartSearch { probe }).await;
    house.clock.days(16);
    house.bureau.work("late").await.unwrap();
    assert_eq!(searches(&house, id).await, 0);
    assert_eq!(house.open(id).await.probe(probe).unwrap().state, ProbeState::Pending);
    house.holds().await;
}

#[tokio::test]
async fn m1_a_search_whose_worker_was_killed_is_finished_by_another_once() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    house.act(desk(GalleryId::Passport).assessors[0], id, Command::StartSearch { probe }).await;
    // The first worker takes the job and is never heard of again.
    let store = house.bureau.store().clone();
    let job = store.claim_job("killed", house.bureau.now(), bureau::work::LEASE).await.unwrap().unwrap();
    assert_eq!(job.kind, "search");
    house.work().await;
    assert_eq!(searches(&house, id).await, 0, "the lease is another's");
    house.clock.forward(SignedDuration::try_from(bureau::work::LEASE).unwrap());
    house.work().await;
    assert_eq!(searches(&house, id).await, 1);
    // The first worker was only slow after all: it cannot finish what is no longer its own.
    assert!(store.finish_job(&job).await.is_err());
    house.holds().await;
}

#[tokio::test]
async fn m1_the_same_job_twice_is_one_search() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(GalleryId::Passport), SOUGHT).await;
    house.act(desk(GalleryId::Passport).assessors[0], id, Command::StartSearch { probe }).await;
    let doubled = house
        .sql("INSERT INTO job (kind, stream, payload, run_at) SELECT kind, stream, payload, run_at FROM job WHERE kind = 'search'")
        .await;
    assert_eq!(doubled, 1);
    let worked = house.bureau.work("twice").await.unwrap();
    assert_eq!((worked.done, worked.failed), (2, 0));
    assert_eq!(searches(&house, id).await, 1);
    house.holds().await;
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut out = vec![];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            out.push((path, bytes));
        }
    }
    out
}

pub fn holds_bytes(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

#[tokio::test]
async fn p2_no_score_is_written_in_clear() {
    let house = House::new().await;
    let (id, _) = house.searched(form(GalleryId::Passport), SOUGHT).await;
    let (facts, found) = recorded(&house, id).await;
    assert!(!found.is_empty());
    let records = house.bureau.store().load(StreamId::Request(id)).await.unwrap();
    let header = &records.iter().find(|r| r.header.kind == "searched").unwrap().header;
    assert_eq!(header.outcome.as_deref(), Some("candidates"), "the header says one word");
    let needles: Vec<Vec<u8>> = found
        .iter()
        .flat_map(|f| {
            let text = format!("{}", f.score);
            vec![f.score.to_be_bytes().to_vec(), f.score.to_le_bytes().to_vec(), text.as_bytes()[..8].to_vec()]
        })
        .chain([facts.list.0.to_vec()])
        .collect();
    for (path, bytes) in files(&house.folder.path().join("store")) {
        for needle in &needles {
            assert!(!holds_bytes(&bytes, needle), "{} holds a score or the list's digest", path.display());
        }
    }
    // Nor does anything that staff are shown.
    for who in [desk(GalleryId::Passport).assessors[0], desk(GalleryId::Passport).leader] {
        let view = serde_json::to_string(&house.bureau.request(who, id).await.unwrap()).unwrap();
        assert!(found.iter().all(|f| !view.contains(&format!("{}", f.score)[..8])), "{view}");
    }
}

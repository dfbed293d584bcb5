//! P1 over a real house: nothing is searched outside a certificate that this installation signed, and
//! another threshold takes a measurement and two people.

use crate::house::{House, SOUGHT, cites, engine, evaluation, form, refusals, threshold, wanted};
use bureau::{BureauError, certificate::Wanted};
use casework::{
    certificate::Certificate,
    clause::Clause,
    command::Command,
    ids::Digest,
    people::RegisterEvent,
    record::{GalleryId, StreamId},
    request::ProbeState,
    testing::{REGISTRAR, desk},
};
use face::accuracy::{Group, Search};

const P: GalleryId = GalleryId::Passport;
const HIGHER: f64 = 0.97;

fn words<T: std::fmt::Debug>(answer: Result<T, BureauError>) -> String {
    let why = refusals(answer);
    assert!(cites(&why, Clause::P1) || cites(&why, Clause::R3), "{why:?}");
    why.into_iter().map(|r| r.words).collect::<Vec<_>>().join("\n")
}

/// The number of the proposal that waits.
async fn waiting(house: &House) -> u64 {
    house.bureau.register().await.unwrap().settings[&P].proposal.as_ref().unwrap().0
}

/// An evaluation that was made today.
pub fn measured_again(house: &House) -> Vec<u8> {
    evaluation(2_000, |e| e.measured_on = casework::calendar::london_date(house.bureau.now()))
}

async fn propose(house: &House, file: &[u8]) -> Result<(), BureauError> {
    house.bureau.propose_threshold(desk(P).siao, file, wanted(P, HIGHER), "Fewer people pointed at by mistake.").await
}

async fn in_use(house: &House) -> f64 {
    house.bureau.register().await.unwrap().settings[&P].threshold(engine().model().id.as_str()).unwrap()
}

#[tokio::test]
async fn p1_a_search_is_made_under_a_certificate_or_not_at_all() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(P), SOUGHT).await;
    let holder = desk(P).assessors[0];
    let start = Command::StartSearch { probe };
    let until = house.bureau.register().await.unwrap().settings[&P].certificates[0].certificate.until;
    let today = casework::calendar::london_date(house.bureau.now());
    house.clock.days(i64::from((until - today).get_days()));
    let why = refusals(house.bureau.act(holder, id, start.clone(), None, None).await.map(|d| d.events));
    assert!(cites(&why, Clause::M1) && !cites(&why, Clause::P1), "the leave has run out by then, the certificate has not: {why:?}");
    house.clock.days(1);
    let why = words(house.bureau.act(holder, id, start, None, None).await.map(|d| d.events));
    assert!(why.contains("measured again"), "{why}");
    // The same evaluation again is no measurement again.
    let why = words(house.bureau.issue_certificate(&evaluation(2_000, |_| ()), wanted(P, threshold())).await);
    assert!(why.contains("has to be measured again"), "{why}");
    // Measured again, for the threshold in use, it counts again, from that day.
    let today = casework::calendar::london_date(house.bureau.now());
    let again = house.bureau.issue_certificate(&measured_again(&house), wanted(P, threshold())).await.unwrap();
    assert_eq!((again.certificate.measured, (again.certificate.until - today).get_days()), (today, 365));
    assert!(house.bureau.accuracy().await.unwrap()[0].against.is_empty());
    assert_eq!(house.bureau.check_certificate(&again.note).await.unwrap().against, Vec::<String>::new());
}

#[tokio::test]
async fn p1_a_certificate_that_runs_out_before_the_worker_comes_stops_the_search() {
    let house = House::new().await;
    let until = house.bureau.register().await.unwrap().settings[&P].certificates[0].certificate.until;
    let today = casework::calendar::london_date(house.bureau.now());
    house.clock.days(i64::from((until - today).get_days()));
    // Training and agreements of the world reach that far.
    let (id, probe) = house.authorised(form(P), SOUGHT).await;
    house.act(desk(P).assessors[0], id, Command::StartSearch { probe }).await;
    house.clock.days(1);
    let worked = house.bureau.work("tests").await.unwrap();
    assert_eq!((worked.done, worked.failed), (0, 1));
    assert!(matches!(house.open(id).await.probes[0].state, ProbeState::Started(_)), "nothing was searched");
    assert_eq!(house.bureau.failed_jobs(desk(P).leader).await.unwrap()[0].reason, "refused");
    // Measured again, the team leader lets it be tried again, under the same leave.
    house.bureau.issue_certificate(&measured_again(&house), wanted(P, threshold())).await.unwrap();
    let job = house.bureau.failed_jobs(desk(P).leader).await.unwrap()[0].job;
    house.bureau.try_again(desk(P).leader, job).await.unwrap();
    house.work().await;
    assert!(house.open(id).await.probes[0].facts.is_some());
}

#[tokio::test]
async fn p1_a_certificate_that_was_changed_or_comes_from_elsewhere_counts_for_nothing() {
    let (house, other) = (House::new().await, House::new().await);
    // The prepared houses share a key, so another installation is a store of its own.
    let folder = tempfile::tempdir().unwrap();
    let stranger = store::Store::create(&folder.path().join("store"), "example.test/countersign").await.unwrap();
    let register = house.bureau.register().await.unwrap();
    let held = register.settings[&P].certificates[0].clone();
    let theirs = stranger.sign_certificate(&held.certificate.text().unwrap()).unwrap();
    let better = held.note.replacen("\"references_max\": 4000", "\"references_max\": 9000", 1);
    assert_ne!(better, held.note);
    let elsewhere = register.settings[&GalleryId::Immigration].certificates[0].note.clone();
    for (note, said) in [(theirs, "not signed by the expected key"), (better, "not signed by the expected key")] {
        let refused = house.bureau.check_certificate(&note).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
        // Even entered behind the back of every rule, it does not count.
        enter(&house, RegisterEvent::CertificateIssued { gallery: P, note }).await;
    }
    let register = house.bureau.register().await.unwrap();
    let genuine: Vec<bool> = register.settings[&P].certificates.iter().map(|h| h.genuine.is_some()).collect();
    assert_eq!(genuine, [true, false, false]);
    // Another gallery's, alone in this one's history.
    enter(&other, RegisterEvent::CertificateIssued { gallery: P, note: elsewhere }).await;
    let mut moved = (*other.bureau.register().await.unwrap()).clone();
    moved.settings.get_mut(&P).unwrap().certificates.remove(0);
    let (running, references) = other.bureau.running(P).unwrap();
    let today = casework::calendar::london_date(other.bureau.now());
    assert!(moved.certified(P, &running, threshold(), references, today).is_err());
}

/// Writes an entry past every rule, as somebody at the database with the keys might.
async fn enter(house: &House, event: RegisterEvent) {
    let version = house.bureau.register().await.unwrap().version;
    let header = casework::record::Header {
        kind: event.kind().into(),
        at: house.bureau.now(),
        gallery: None,
        leo: None,
        clauses: vec![],
        outcome: None,
        state: None,
        policy: "x".into(),
        class: casework::record::RetentionClass::Record,
        trial: false,
    };
    let payload = serde_json::to_vec(&bureau::register::Change { by: casework::event::Who::System, event }).unwrap();
    let record = casework::record::NewRecord { header, payload };
    house.bureau.store().commit(store::Commit::new(StreamId::Register, version, vec![record])).await.unwrap();
}

#[tokio::test]
async fn p1_an_evaluation_of_something_else_supports_no_certificate() {
    let house = House::new().await;
    let issue = async |file: Vec<u8>, w: Wanted| words(house.bureau.issue_certificate(&file, w).await);
    let good = || wanted(P, threshold());
    assert!(issue(evaluation(2_000, |e| e.model = "other".into()), good()).await.contains("It is for the model other"));
    assert!(issue(evaluation(2_000, |e| e.pack_digest = "00".into()), good()).await.contains("another edition"));
    let unlike = evaluation(2_000, |e| e.image_specification = Some("00".into()));
    assert!(issue(unlike, good()).await.contains("image specification"));
    // Made under the one in force, it counts.
    let in_force = house.bureau.running(P).unwrap().0.specification;
    let under = evaluation(2_000, |e| e.image_specification = Some(in_force.clone()));
    assert_eq!(house.bureau.issue_certificate(&under, good()).await.unwrap().certificate.running.specification, in_force);
    assert!(issue(evaluation(100, |_| ()), good()).await.contains("say that the rest is an estimate"));
    assert!(issue(evaluation(2_000, |_| ()), wanted(P, HIGHER)).await.contains("second person"));
    assert!(issue(evaluation(2_000, |_| ()), wanted(P, 7.0)).await.contains("scores of this model"));
    assert!(issue(evaluation(2_000, |e| e.demonstration = true), good()).await.contains("does not take its place"));
    let tomorrow = evaluation(2_000, |e| e.measured_on = e.measured_on.tomorrow().unwrap());
    assert!(issue(tomorrow, good()).await.contains("not yet"));
    assert!(issue(b"{}".to_vec(), good()).await.contains("not an evaluation"));
    // Its rates and its searches must agree.
    let padded = evaluation(2_000, |e| {
        e.searches.push(Search { mated: false, acquired: true, mate: None, other: Some(0.1), rank: None, quality: None, groups: vec![] })
    });
    assert!(issue(padded, good()).await.contains("not those of its searches"));
    let endless = evaluation(2_000, |e| e.columns = (0..5).map(|n| n.to_string()).collect());
    assert!(issue(endless, good()).await.contains("4 at most"));
    // What is beyond the measurement is marked as an estimate, and what was counted is in the certificate.
    let estimate = Wanted { references_max: 100_000, estimate: true, ..good() };
    let held = house.bureau.issue_certificate(&evaluation(2_000, |_| ()), estimate).await.unwrap();
    let Certificate { rates, fpir_estimate, references_measured, synthetic, people, .. } = held.certificate;
    assert_eq!((rates.fnir.of, rates.fpir.of, references_measured, synthetic, people), (150, 350, 2_150, 2_000, 500));
    let fpir = rates.fpir.high;
    assert!((fpir_estimate.unwrap() - (1.0 - (1.0 - fpir).powf(100_000.0 / 2_150.0))).abs() < 1e-12);
}

#[tokio::test]
async fn p1_a_threshold_is_changed_by_two_people_and_searches_follow() {
    let house = House::new().await;
    let d = desk(P);
    let file = evaluation(2_000, |_| ());
    for who in [d.leader, d.assessors[0], REGISTRAR, desk(GalleryId::Immigration).siao] {
        let refused = house.bureau.propose_threshold(who, &file, wanted(P, HIGHER), "Because.").await;
        assert!(matches!(refused, Err(BureauError::Refused(_))), "{who}");
    }
    propose(&house, &file).await.unwrap();
    let number = waiting(&house).await;
    assert!(words(propose(&house, &file).await).contains("proposed already"));
    assert!(words(house.bureau.confirm_threshold(d.siao, P, number).await).contains("second person"));
    let shown = house.bureau.settings(d.leader).await.unwrap();
    assert_eq!(shown.len(), 1, "one's own gallery");
    let proposed = shown[0].proposed.as_ref().unwrap();
    assert!(proposed.against.is_empty() && shown[0].may_decline && !shown[0].may_propose);
    let p = &proposed.proposal;
    let (c, old, new) = (p.changes, p.old, p.certificate.rates);
    assert_eq!(new.fnir.errors + c.found, old.fnir.errors + c.missed, "what changes is the difference of what is counted");
    assert_eq!(new.fpir.errors + c.spared, old.fpir.errors + c.alerts);
    assert!(c.spared > 0, "a higher threshold spares people: {c:?}");
    assert_eq!(in_use(&house).await.to_bits(), threshold().to_bits());
    // Two tabs, and two people at once: one is done, the other is told that somebody was quicker.
    let (one, two) = tokio::join!(house.bureau.confirm_threshold(d.leader, P, number), house.bureau.confirm_threshold(d.leader, P, number));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    assert!([one.err(), two.err()].iter().flatten().all(|e| matches!(e, BureauError::Overtaken)));
    assert!(matches!(house.bureau.confirm_threshold(d.leader, P, number).await, Err(BureauError::Overtaken)));
    assert_eq!(in_use(&house).await.to_bits(), HIGHER.to_bits());
    // The next search is made at it, and says so.
    let (id, _) = house.searched(form(P), SOUGHT).await;
    let facts = house.open(id).await.probes[0].facts.clone().unwrap();
    let held = house.bureau.accuracy().await.unwrap()[0].held.clone().unwrap();
    assert_eq!((facts.threshold.to_bits(), Some(facts.certificate)), (HIGHER.to_bits(), held.genuine));
    // Everything is in the record, with the clause.
    let kinds: Vec<_> = house.bureau.register_history(REGISTRAR).await.unwrap().into_iter().map(|l| l.what).take(2).collect();
    assert!(kinds[0].contains("confirmed by a second person") && kinds[1].contains("0.97 instead of"), "{kinds:?}");
    let verified = house.bureau.verify().await.unwrap();
    assert!(verified.verified, "{:?}", verified.fault);
}

#[tokio::test]
async fn p1_the_same_measurement_counts_once_however_often_it_is_issued_or_confirmed() {
    let house = House::new().await;
    let d = desk(P);
    let file = evaluation(2_000, |_| ());
    let until = house.bureau.register().await.unwrap().settings[&P].certificates[0].certificate.until;
    house.clock.days(200);
    let again = house.bureau.issue_certificate(&file, wanted(P, threshold())).await.unwrap();
    assert_eq!(again.certificate.until, until, "issued later, it ends no later");
    propose(&house, &file).await.unwrap();
    house.clock.days(100);
    let number = waiting(&house).await;
    let confirmed = house.bureau.confirm_threshold(d.leader, P, number).await.unwrap().certificate;
    assert_eq!((confirmed.until, confirmed.issued), (until, casework::calendar::london_date(house.bureau.now())));
    // Past its time it is neither proposed nor, proposed before, confirmed.
    let back = wanted(P, threshold());
    house.bureau.propose_threshold(d.siao, &file, back, "Back again.").await.unwrap();
    house.clock.days(66);
    let number = waiting(&house).await;
    assert!(words(house.bureau.confirm_threshold(d.leader, P, number).await).contains("has to be measured again"));
    house.bureau.decline_threshold(d.leader, P, number, "It is too old.").await.unwrap();
    assert!(words(house.bureau.propose_threshold(d.siao, &file, back, "Back again.").await).contains("has to be measured again"));
}

#[tokio::test]
async fn p1_a_group_is_published_only_with_enough_searches_of_each_kind_and_enough_people() {
    let house = House::new().await;
    // 150 people twice and 350 once; `people` says how many of the sample the group is said to be.
    let published = async |people: u64, mated: usize, nonmated: usize| {
        let file = evaluation(2_000, |e| {
            e.columns = vec!["sex".into()];
            let (mut m, mut n) = (mated, nonmated);
            for s in &mut e.searches {
                let left = if s.mated { &mut m } else { &mut n };
                s.groups = vec![(*left > 0).then(|| "a".to_owned())];
                *left = left.saturating_sub(1);
            }
            let rates = e.by_group(e.groups_threshold).remove(0).rates;
            e.groups = vec![Group { column: "sex".into(), group: "a".into(), people, rates, fpir_ratio: None, fnir_ratio: None }];
        });
        let held = house.bureau.issue_certificate(&file, wanted(P, threshold())).await.unwrap();
        held.certificate.groups.into_iter().map(|g| (g.name, g.rates.fnir.of, g.rates.fpir.of)).collect::<Vec<_>>()
    };
    assert_eq!(published(30, 30, 30).await, [("sex: a".to_owned(), 30, 30)]);
    for (people, mated, nonmated) in [(29, 30, 30), (30, 29, 30), (30, 30, 29)] {
        assert!(published(people, mated, nonmated).await.is_empty(), "{people}, {mated}, {nonmated}");
    }
}

#[tokio::test]
async fn p1_a_proposal_is_declined_or_falls_with_its_proposer() {
    let house = House::new().await;
    let d = desk(P);
    let file = evaluation(2_000, |_| ());
    propose(&house, &file).await.unwrap();
    let first = waiting(&house).await;
    assert!(words(house.bureau.decline_threshold(d.leader, P, first, " ").await).contains("Say why"));
    house.bureau.decline_threshold(d.leader, P, first, "The sample is too old.").await.unwrap();
    assert!(matches!(house.bureau.decline_threshold(d.leader, P, first, "Again.").await, Err(BureauError::Overtaken)));
    // The number of one proposal confirms no other.
    propose(&house, &file).await.unwrap();
    assert!(matches!(house.bureau.confirm_threshold(d.leader, P, first).await, Err(BureauError::Overtaken)));
    let today = casework::calendar::london_date(house.bureau.now());
    let left = RegisterEvent::PersonLeft { person: d.siao, on: today };
    house.bureau.change_register(REGISTRAR, left, None).await.unwrap();
    house.clock.days(1);
    let number = waiting(&house).await;
    assert!(words(house.bureau.confirm_threshold(d.leader, P, number).await).contains("no longer an owner"));
    assert_eq!(in_use(&house).await.to_bits(), threshold().to_bits());
    // A registrar cannot do with an entry what takes two people of the gallery.
    let note = house.bureau.register().await.unwrap().settings[&P].certificates[0].note.clone();
    for event in
        [RegisterEvent::CertificateIssued { gallery: P, note: note.clone() }, RegisterEvent::ThresholdConfirmed { gallery: P, note }]
    {
        assert!(words(house.bureau.change_register(REGISTRAR, event, None).await).contains("two people of its gallery"));
    }
}

pub const WHY: &str = "The evaluation's images were of the wrong people.";

/// The newest certificate of the passport gallery: what a revocation names.
pub async fn newest(house: &House) -> Digest {
    house.bureau.register().await.unwrap().settings[&P].certificates.last().unwrap().genuine.unwrap()
}

pub async fn revoke(house: &House) {
    house.bureau.revoke_certificate(desk(P).leader, P, newest(house).await, WHY).await.unwrap();
}

/// Another evaluation of the same setting, proposed by the owner and confirmed by a second person.
pub async fn certified_again(house: &House) {
    let file = evaluation(2_000, |e| e.several_faces += 1);
    house.bureau.propose_threshold(desk(P).siao, &file, wanted(P, threshold()), "Measured again on the right people.").await.unwrap();
    house.bureau.confirm_threshold(desk(P).leader, P, waiting(house).await).await.unwrap();
}

#[tokio::test]
async fn p1_a_revoked_certificate_stops_every_search_with_the_reason_whether_it_was_started_or_not() {
    let house = House::new().await;
    let (b, d) = (&house.bureau, desk(P));
    let (id, probe) = house.authorised(form(P), SOUGHT).await;
    let (other, second) = house.authorised(form(P), SOUGHT).await;
    house.act(d.assessors[0], other, Command::StartSearch { probe: second }).await;
    let note = b.register().await.unwrap().settings[&P].certificates[0].note.clone();
    // One person ends it: the owner or a team leader, of this gallery, who says why.
    for who in [d.assessors[0], d.examiners[0], REGISTRAR, desk(GalleryId::Immigration).siao] {
        refusals(b.revoke_certificate(who, P, newest(&house).await, WHY).await);
    }
    assert!(words(b.revoke_certificate(d.leader, P, newest(&house).await, " ").await).contains("Say why"));
    assert!(b.settings(d.siao).await.unwrap()[0].may_revoke && b.settings(d.leader).await.unwrap()[0].may_revoke);
    revoke(&house).await;
    assert!(words(b.revoke_certificate(d.siao, P, newest(&house).await, "Again.").await).contains("revoked already"));
    assert!(!b.settings(d.siao).await.unwrap()[0].may_revoke);
    // Authorised, but not started.
    let start = Command::StartSearch { probe };
    let why = words(b.act(d.assessors[0], id, start.clone(), None, None).await.map(|d| d.events));
    assert!(why.contains("It was revoked on") && why.contains(WHY), "{why}");
    // Started before, and the worker comes after.
    let worked = b.work("tests").await.unwrap();
    assert_eq!((worked.done, worked.failed), (0, 1));
    let request = house.open(other).await;
    assert!(matches!(request.probes[0].state, ProbeState::Started(_)) && request.probes[0].facts.is_none(), "nothing was searched");
    assert_eq!(b.failed_jobs(d.leader).await.unwrap()[0].reason, "refused");
    // Everybody reads it; the other gallery is searched as before.
    let all = b.accuracy().await.unwrap();
    assert!(all[0].against.iter().any(|r| r.words.contains(WHY)) && all[1].against.is_empty(), "{all:?}");
    let checked = b.check_certificate(&note).await.unwrap().against;
    assert!(checked.iter().any(|w| w.contains("It was revoked on") && w.contains(WHY)), "{checked:?}");
    // Whoever opens the house again folds the same; nothing that an operator enters starts it again.
    let house = house.reopened(&[P]).await;
    let b = &house.bureau;
    for file in [evaluation(2_000, |_| ()), evaluation(2_000, |e| e.several_faces += 1)] {
        assert!(words(b.issue_certificate(&file, wanted(P, threshold())).await).contains("a second person confirms"));
    }
    let propose = |file: Vec<u8>| async move { b.propose_threshold(d.siao, &file, wanted(P, threshold()), "Again.").await };
    assert!(words(propose(evaluation(2_000, |_| ())).await).contains("from this evaluation was revoked"));
    // The old note, entered past every rule, is as revoked as it was.
    enter(&house, RegisterEvent::CertificateIssued { gallery: P, note }).await;
    assert!(words(b.act(d.assessors[0], id, start.clone(), None, None).await.map(|d| d.events)).contains("It was revoked on"));
    certified_again(&house).await;
    // The same leave serves: what was started is tried again, what was not is started.
    let job = b.failed_jobs(d.leader).await.unwrap()[0].job;
    b.try_again(d.leader, job).await.unwrap();
    house.act_and_work(d.assessors[0], id, start).await;
    for id in [id, other] {
        assert!(house.open(id).await.probes[0].facts.is_some());
    }
    // It is in the record with its clause, for whoever reads who did what.
    let history = b.register_history(REGISTRAR).await.unwrap();
    assert!(history.iter().any(|l| l.what.contains("passport gallery revoked on") && l.what.contains(WHY)), "{history:?}");
    house.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_certificate_that_is_revoked_while_the_worker_compares_records_no_search() {
    let house = House::new().await;
    let (id, probe) = house.authorised(form(P), SOUGHT).await;
    let (house, reached, let_go) = house.with_an_engine_that_is_held_up().await;
    house.act(desk(P).assessors[0], id, Command::StartSearch { probe }).await;
    let bureau = house.bureau.clone();
    let worker = tokio::spawn(async move { bureau.work("tests").await.unwrap() });
    tokio::task::spawn_blocking(move || reached.recv().unwrap()).await.unwrap();
    // The worker has read the certificate and found it good.
    revoke(&house).await;
    let_go.send(()).unwrap();
    let worked = worker.await.unwrap();
    assert_eq!((worked.done, worked.failed), (0, 1));
    let request = house.open(id).await;
    assert!(matches!(request.probes[0].state, ProbeState::Started(_)) && request.probes[0].candidates.is_empty());
    assert_eq!(house.bureau.failed_jobs(desk(P).leader).await.unwrap()[0].reason, "refused");
    house.holds().await;
}

#[tokio::test]
async fn p1_the_same_note_issued_twice_is_revoked_as_often() {
    let house = House::new().await;
    let b = &house.bureau;
    let first = newest(&house).await;
    b.issue_certificate(&evaluation(2_000, |_| ()), wanted(P, threshold())).await.unwrap();
    assert_eq!((newest(&house).await, b.register().await.unwrap().settings[&P].certificates.len()), (first, 2));
    revoke(&house).await;
    assert!(b.register().await.unwrap().settings[&P].certificates.iter().all(|h| h.revoked.is_some()));
    assert!(!b.accuracy().await.unwrap()[0].against.is_empty());
}

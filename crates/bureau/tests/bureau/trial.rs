//! P1, R1: known-answer trials over the real store, engine and decoder: casework to whoever examines them, and
//! nothing of casework to anybody else.

use crate::house::{House, SOUGHT, cites, faces_cut_out, form, once, refusals};
use bureau::{BureauError, assess::List};
use casework::{
    clause::Clause,
    command::Command,
    disclosure::Biography,
    form::{Mode, Source},
    ids::{PersonId, RequestId},
    image_log::Steps,
    policy::BioField,
    record::GalleryId,
    request::State,
    review::{Agreement, Component, Conclusion, Informed, Visual},
    testing::{AUDITOR, REQUESTER, desk},
    trial::Words,
};

const P: GalleryId = GalleryId::Passport;

fn words() -> Words {
    Words {
        origin: "Portraits of colleagues who agreed.".into(),
        mode: Some(Mode::Unidentified),
        source: Some(Source::Unsupervised),
        offence: "An invented theft.".into(),
        person: "About forty.".into(),
        urgent: false,
        came_in_days_ago: 4,
    }
}

fn invented(n: usize) -> Biography {
    Biography([(BioField::Name, format!("Invented {n}"))].into())
}

/// A trial that is before the examiners: the first candidate is the same person, the others are not.
async fn seeded(h: &House, candidates: usize) -> RequestId {
    let (b, leader) = (&h.bureau, desk(P).leader);
    let mut pictures = faces_cut_out(b, "sample3.jpg").await;
    pictures.extend(faces_cut_out(b, "sample1.jpg").await);
    pictures.swap(0, SOUGHT);
    let id = b.new_trial(leader).await.unwrap();
    assert_eq!(b.new_trial(leader).await.unwrap(), id, "asked twice, begun once");
    let mut version = b.save_trial(leader, id, 1, words()).await.unwrap();
    let mut pictures = pictures.into_iter();
    version = b.add_trial_image(leader, id, version, false, &pictures.next().unwrap(), None).await.unwrap();
    for picture in pictures.take(candidates) {
        version = b.add_trial_image(leader, id, version, true, &picture, None).await.unwrap();
    }
    let draft = b.trial_draft(leader, id).await.unwrap();
    assert_eq!(draft.material.candidates.len(), candidates);
    assert!(cites(&draft.missing, Clause::P1), "the truth is not said yet: {:?}", draft.missing);
    assert!(cites(&refusals(b.seed_trial(leader, id, version, None).await), Clause::P1));
    for (n, known) in draft.material.candidates.iter().enumerate() {
        let c = known.candidate;
        version = b.describe_trial_candidate(leader, id, version, c, Some(n == 0), invented(n)).await.unwrap();
    }
    let missing = b.trial_draft(leader, id).await.unwrap().missing;
    assert!(missing.is_empty(), "{missing:?}");
    b.seed_trial(leader, id, version, once("seed")).await.unwrap();
    assert!(b.seed_trial(leader, id, version, once("seed")).await.unwrap().events.is_empty(), "sent twice, done once");
    id
}

/// An examiner goes the whole way through the calls that casework takes.
async fn examine(h: &House, examiner: PersonId, id: RequestId, same: impl Fn(usize) -> bool) {
    let b = &h.bureau;
    let probe = h.open(id).await.probes[0].id;
    b.take_up(examiner, id, probe).await.unwrap();
    let sheet = b.comparison(examiner, id, probe).await.unwrap().sheet;
    let request = h.open(id).await;
    let place = |c| request.trial.as_ref().unwrap().material.candidates.iter().position(|k| k.candidate == c).unwrap();
    assert!(!b.comparison_probe(examiner, id, probe).await.unwrap().is_empty());
    let mut version = 0;
    for c in &sheet.candidates {
        assert!(b.comparison_candidate(examiner, id, probe, c.id).await.unwrap().is_some());
        let conclusion = if same(place(c.id)) { Conclusion::Same } else { Conclusion::Different };
        let components = [(Component::Nose, Agreement::Alike)].into();
        let image_log = b.image_log(examiner, id, probe, c.id, Steps::read("pt30.-15_hr345")).await.unwrap();
        assert_eq!(image_log.shown.len(), 2, "the request's picture and the candidate's, as in casework");
        let opinion = Visual { conclusion, components, words: "What I saw.".into(), image_log };
        h.act_and_work(examiner, id, Command::GiveVisual { probe, candidate: c.id, opinion, version }).await;
        version += 1;
    }
    for c in &sheet.candidates {
        let read = b.informed(examiner, id, probe, c.id).await.unwrap();
        assert_eq!((read.person.as_str(), read.biography[0].2.as_str()), ("About forty.", format!("Invented {}", place(c.id)).as_str()));
        let opinion = Informed { same_person: same(place(c.id)), reasons: "As I saw.".into(), image_log: Default::default() };
        h.act_and_work(examiner, id, Command::GiveInformed { probe, candidate: c.id, opinion, version }).await;
        version += 1;
    }
}

#[tokio::test]
async fn p1_a_trial_tells_how_often_each_examiner_is_wrong_and_enters_no_figure_of_casework() {
    let h = House::new().await;
    let (b, d) = (&h.bureau, desk(P));
    let [first, second, ..] = d.examiners;
    let before = serde_json::to_value(b.figures(AUDITOR).await.unwrap()).unwrap();
    let id = seeded(&h, 3).await;

    // It waits in the examiners' list, with a date like any other, and in nobody else's.
    let waiting = b.comparisons(first).await.unwrap();
    assert!(waiting.iter().any(|c| c.request == id && c.step == "take-up" && c.due_words.is_some()));
    let whole: &[(PersonId, &[List])] = &[
        (d.assessors[0], &[List::All, List::Waiting, List::Ended]),
        (d.leader, &[List::All, List::Asked, List::Ended]),
        (d.siao, &[List::All]),
    ];
    for (who, lists) in whole {
        for list in *lists {
            assert!(b.list(*who, *list, None, 1).await.unwrap().lines.iter().all(|l| l.id != id), "{list}");
        }
        assert!(b.look_up(*who, &id.reference()).await.unwrap().is_empty());
        assert!(matches!(b.request(*who, id).await, Err(BureauError::Refused(_))));
        assert!(b.sample(d.siao, "seed", 100).await.unwrap().iter().all(|l| l.id != id));
    }
    assert!(b.store().counts(None).await.unwrap().is_empty(), "no count holds it");
    assert!(matches!(b.request(REQUESTER, id).await, Err(BureauError::Refused(_))));
    // No examiner learns the truth or the trial's own page, nor does another leader.
    for who in [first, d.assessors[0], d.siao, desk(GalleryId::Immigration).leader] {
        assert!(matches!(b.trial(who, id).await, Err(BureauError::Refused(_))), "{who}");
        let image = h.open(id).await.trial.unwrap().material.candidates[0].image.probe;
        assert!(matches!(b.trial_image(who, id, image).await, Err(BureauError::Refused(_))), "{who}");
    }

    examine(&h, first, id, |n| n < 2).await; // confirms one of two other people
    let half = b.trial_results(d.leader).await.unwrap();
    assert_eq!((half.trials, b.own_trial_result(first).await.unwrap().trials), (0, 0), "a colleague has yet to conclude");
    assert!(b.trial(d.leader, id).await.unwrap().candidates.iter().all(|c| c.matched.is_none()));
    examine(&h, second, id, |n| n < 2).await; // so does the second: the procedure fails
    assert_eq!(h.open(id).await.state, State::Responding);

    let told = b.trial_results(d.leader).await.unwrap();
    assert_eq!(told.trials, 1);
    let of = |p: PersonId| told.team.iter().find(|r| r.person == p).unwrap();
    let wrong = of(first).wrong;
    assert_eq!((wrong.false_confirms.errors, wrong.false_confirms.of, wrong.misses.errors, wrong.misses.of), (1, 2, 0, 1));
    // Clopper and Pearson for 1 of 2, and the rule of three where there was no error among so few.
    assert!((wrong.false_confirms.low - 0.0126).abs() < 1e-3 && (wrong.false_confirms.high - 0.9874).abs() < 1e-3);
    assert_eq!((wrong.false_confirms.rule_of_three, wrong.misses.rule_of_three), (None, Some(1.0)));
    let (all, procedure) = told.gallery.unwrap();
    assert_eq!((all.false_confirms.of, procedure.false_confirms.errors, procedure.false_confirms.of), (4, 1, 2));
    assert_eq!(b.own_trial_result(first).await.unwrap().trials, 0, "told at once, it would say which comparison it was");
    assert!(matches!(b.trial_results(AUDITOR).await, Err(BureauError::Refused(_))));
    assert!(matches!(b.own_trial_result(d.assessors[0]).await, Err(BureauError::Refused(_))));
    let siao = b.trial_results(d.siao).await.unwrap();
    assert!(siao.team.is_empty() && siao.own.is_none() && siao.gallery.is_some(), "an owner reads no name");
    let view = b.trial(d.leader, id).await.unwrap();
    assert_eq!(
        view.candidates.iter().map(|c| (c.same_person, c.matched)).collect::<Vec<_>>(),
        [(true, Some(true)), (false, Some(true)), (false, Some(false))]
    );

    // D4: not a figure moved; the log has it all the same, and replay finds it in order.
    assert_eq!(serde_json::to_value(b.figures(AUDITOR).await.unwrap()).unwrap(), before);
    assert!(b.agreement(d.leader).await.unwrap().iter().all(|a| a.agreement.compared == 0));
    h.holds().await;
    let marked = b.store().headers(0, 1_000).await.unwrap();
    let own = marked.iter().filter(|r| r.header.trial);
    assert!(own.clone().any(|r| r.header.kind == "trial-seeded") && own.clone().any(|r| r.header.kind == "consulted"));

    // D3: it closes by itself, and its pictures go like every image.
    h.clock.days(i64::from(b.policy().trial_close_after_days) + 1);
    h.work().await;
    assert_eq!(h.open(id).await.state, State::Closed);
    assert_eq!(b.trial_results(d.leader).await.unwrap().trials, 1);
    assert_eq!(b.own_trial_result(first).await.unwrap().wrong, wrong, "to the examiner, their own");
    let image = h.open(id).await.trial.unwrap().material.candidates[0].image.probe;
    h.clock.days(i64::from(b.policy().retention[0].images_days_after_closing) + 1);
    h.work().await;
    assert!(matches!(b.trial_image(d.leader, id, image).await, Err(BureauError::Gone)));
    h.holds().await;
}

#[tokio::test]
async fn m2_who_asked_for_the_request_behind_a_trial_gets_no_further_than_in_casework() {
    let h = House::new().await;
    let d = desk(P);
    let id = seeded(&h, 1).await;
    let probe = h.open(id).await.probes[0].id;
    // The leader who put it there is no examiner of it.
    assert!(matches!(h.bureau.take_up(d.leader, id, probe).await, Err(BureauError::Refused(_))));
    assert!(matches!(h.bureau.take_up(d.assessors[0], id, probe).await, Err(BureauError::Refused(_))));
    // Stopped, it leaves the list like a request that was withdrawn.
    h.act_and_work(d.leader, id, Command::StopTrial { reason: "A name is to be seen.".into() }).await;
    assert!(h.bureau.comparisons(d.examiners[0]).await.unwrap().iter().all(|c| c.request != id));
    assert_eq!(h.bureau.trial(d.leader, id).await.unwrap().step, "stopped");
}

#[tokio::test]
async fn p1_pictures_of_a_trial_are_taken_in_like_any_untrusted_image() {
    let h = House::new().await;
    let (b, d) = (&h.bureau, desk(P));
    for who in [d.assessors[0], d.examiners[0], d.siao, REQUESTER, AUDITOR] {
        assert!(matches!(b.new_trial(who).await, Err(BureauError::Refused(_))), "{who}");
    }
    let id = b.new_trial(d.leader).await.unwrap();
    assert!(cites(&refusals(b.add_trial_image(d.leader, id, 1, true, b"not an image", None).await), Clause::S10));
    let crowd = crate::house::photograph("sample1.jpg");
    assert!(refusals(b.add_trial_image(d.leader, id, 1, true, &crowd, None).await)[0].words.contains("faces; a trial's shows one"));
    let one = faces_cut_out(b, "sample3.jpg").await.remove(0);
    let version = b.add_trial_image(d.leader, id, 1, true, &one, None).await.unwrap();
    assert!(refusals(b.add_trial_image(d.leader, id, version, false, &one, None).await)[0].words.contains("give the trial away"));
    assert!(matches!(b.add_trial_image(d.leader, id, 1, false, &one, None).await, Err(BureauError::Overtaken)));
    assert!(matches!(b.trial_draft(desk(GalleryId::Immigration).leader, id).await, Err(BureauError::Refused(_))));
    let candidate = b.trial_draft(d.leader, id).await.unwrap().material.candidates[0].candidate;
    let version = b.remove_trial_candidate(d.leader, id, version, candidate).await.unwrap();
    assert!(b.trial_draft(d.leader, id).await.unwrap().material.candidates.is_empty());
    b.add_trial_image(d.leader, id, version, false, &one, None).await.unwrap();
    b.discard_trial(d.leader, id).await.unwrap();
    assert!(matches!(b.trial_draft(d.leader, id).await, Err(BureauError::Refused(_))));
}

#[tokio::test]
async fn m2_where_examiners_differ_in_casework_is_told_to_their_leader() {
    let h = House::new().await;
    let d = desk(P);
    h.matched(form(P)).await;
    let told = h.bureau.agreement(d.leader).await.unwrap();
    let of = |p: PersonId| told.iter().find(|a| a.person == p).unwrap().agreement;
    let first = of(d.examiners[0]);
    assert!(first.compared > 0 && first.agreed == first.compared, "{first:?}");
    assert_eq!(of(d.examiners[2]).compared, 0);
    for who in [d.examiners[0], d.assessors[0], d.siao] {
        assert!(matches!(h.bureau.agreement(who).await, Err(BureauError::Refused(_))));
    }
}

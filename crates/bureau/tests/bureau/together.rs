//! Several hands at once, and the same hand twice: exactly one thing happens, and everybody is told.

use crate::house::{
    House, NCA_REQUESTER, OTHER_REQUESTER, SOUGHT, cites, engine, evaluation, form, once, photograph, probe, refusals, threshold, wanted,
};
use bureau::{BureauError, assess::List};
use casework::{
    assess::Decision,
    clause::Clause,
    command::Command,
    event::{Event, ReviewResult},
    form::{Declaration, Field, Form, Nationality},
    ids::{AuthorisationId, PersonId, RequestId},
    people::{RegisterEvent, Role},
    record::{GalleryId, StreamId},
    request::State,
    testing::{APPROVER, NCA_APPROVER, REGISTRAR, REQUESTER, World, desk},
};
use jiff::SignedDuration;
use std::{collections::BTreeSet, time::Instant};

const PASSPORT: GalleryId = GalleryId::Passport;

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_double_submit_is_one_request() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, version) = house.drafted(REQUESTER, form(PASSPORT), &probe(), SOUGHT).await;
    let send = || b.send(REQUESTER, id, version, once("one form, sent twice"));
    let (first, second, third) = tokio::join!(send(), send(), send());
    for ids in [first, second, third, send().await] {
        assert_eq!(ids.unwrap(), [id], "everybody is told of the same request");
    }
    assert_eq!(house.events(id).await.len(), 1);
    assert_eq!(b.list(REQUESTER, List::Mine, None, 1).await.unwrap().total, 1);
    // The approver's button, pressed twice.
    let approve = || b.act(APPROVER, id, Command::Approve, Some(1), once("approved twice"));
    let (first, second) = tokio::join!(approve(), approve());
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(house.events(id).await.iter().filter(|e| matches!(e, Event::Approved { .. })).count(), 1);
}

#[tokio::test]
async fn v1_a_used_token_tells_nobody_anything() {
    let house = House::new().await;
    let b = &house.bureau;
    let sensitive = Form { vulnerable: Some(true), vulnerable_words: "Fled abuse.".into(), ..form(PASSPORT) };
    let (hidden, version) = house.drafted(REQUESTER, sensitive, &probe(), SOUGHT).await;
    b.send(REQUESTER, hidden, version, once("hers")).await.unwrap();
    // Another officer, with a token of their own that was used, or with hers.
    let (own, version) = house.drafted(OTHER_REQUESTER, form(PASSPORT), &probe(), SOUGHT).await;
    b.send(OTHER_REQUESTER, own, version, once("theirs")).await.unwrap();
    let unknown = refusals(b.send(OTHER_REQUESTER, RequestId(uuid::Uuid::now_v7()), 1, once("fresh")).await);
    for token in ["hers", "theirs", "fresh"] {
        assert_eq!(refusals(b.send(OTHER_REQUESTER, hidden, 1, once(token)).await), unknown, "{token}");
        let withdraw = Command::Withdraw { reason: "Curiosity.".into() };
        assert_eq!(refusals(b.act(OTHER_REQUESTER, hidden, withdraw, None, once(token)).await), unknown, "{token}");
    }
    // A token used on one request is fresh on another.
    house.act(APPROVER, hidden, Command::Approve).await;
    b.act(APPROVER, own, Command::Approve, None, once("hers")).await.unwrap();
    assert_eq!(house.open(own).await.state, State::Received);
}

#[tokio::test]
async fn s1_a_stale_tab_is_told_and_the_first_save_stays() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = b.new_draft(REQUESTER).await.unwrap();
    let saved = Form { investigation: "OP-FIRST-TAB".into(), ..Form::new() };
    let version = b.save_draft(REQUESTER, id, 1, saved).await.unwrap();
    let late = Form { investigation: "OP-SECOND-TAB".into(), ..Form::new() };
    assert!(matches!(b.save_draft(REQUESTER, id, 1, late).await, Err(BureauError::Overtaken)));
    assert!(matches!(b.add_image(REQUESTER, id, 1, &probe(), None).await, Err(BureauError::Overtaken)));
    assert!(matches!(b.send(REQUESTER, id, 1, None).await, Err(BureauError::Overtaken)));
    let draft = b.draft(REQUESTER, id).await.unwrap();
    assert_eq!((draft.form.investigation.as_str(), draft.version, draft.form.images.len()), ("OP-FIRST-TAB", version, 0));
    assert!(crate::search::files(&house.folder.path().join("store/blobs")).is_empty(), "the overtaken image is not kept");
    // A save cannot smuggle an image in or out.
    let (id, version) = house.drafted(REQUESTER, form(PASSPORT), &probe(), SOUGHT).await;
    b.save_draft(REQUESTER, id, version, form(PASSPORT)).await.unwrap();
    assert_eq!(b.draft(REQUESTER, id).await.unwrap().form.images.len(), 1);
}

#[tokio::test]
async fn s1_everything_missing_is_said_at_once_and_the_draft_stays() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = b.new_draft(REQUESTER).await.unwrap();
    let said = refusals(b.send(REQUESTER, id, 1, once("too early")).await);
    let fields: BTreeSet<Field> = said.iter().filter_map(|r| r.field).collect();
    for field in
        [Field::Investigation, Field::Nationality, Field::Purposes, Field::Offence, Field::Images, Field::Vulnerable, Field::Declarations]
    {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert_eq!(house.open(id).await.version, 0, "nothing is recorded");
    // The same page, completed, is sent with the same token.
    let version = b.save_draft(REQUESTER, id, 1, form(PASSPORT)).await.unwrap();
    let (version, image, _) = b.add_image(REQUESTER, id, version, &photograph("sample2.jpg"), None).await.unwrap();
    let version = b.describe_image(REQUESTER, id, version, image, Some(0), Some(casework::form::Source::Supervised)).await.unwrap();
    assert_eq!(b.send(REQUESTER, id, version, once("too early")).await.unwrap(), [id]);
    assert!(b.drafts(REQUESTER).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_two_people_taking_a_request_at_once_one_has_it_and_the_other_is_told() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let [one, two] = desk(PASSPORT).assessors;
    let version = house.open(id).await.version;
    let take = |who: PersonId| b.act(who, id, Command::Take { no_conflict: true }, Some(version), None);
    let (first, second) = tokio::join!(take(one), take(two));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
    let told = [first, second].into_iter().find_map(Result::err).unwrap();
    assert!(matches!(told, BureauError::Overtaken | BureauError::Refused(_)), "{told:?}");
    assert!(told.to_string().contains("changed since you opened it") || told.to_string().contains("already taken"), "{told}");
    let holder = house.open(id).await.assignee.unwrap();
    assert!([one, two].contains(&holder));
    // From a page without a version, the words say what happened.
    let loser = if holder == one { two } else { one };
    let said = refusals(b.act(loser, id, Command::Take { no_conflict: true }, None, None).await);
    assert!(said.iter().any(|r| r.words.contains("Someone else has already taken it")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_two_decisions_on_one_image_at_once_are_one_decision() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let holder = desk(PASSPORT).assessors[0];
    house.act(holder, id, Command::Take { no_conflict: true }).await;
    let request = house.open(id).await;
    let probe = request.probes[0].id;
    let assess = |seen: Option<u64>| {
        let assessment = Box::new(World::new().assessment(PASSPORT));
        let authorisation = AuthorisationId(uuid::Uuid::now_v7());
        b.act(holder, id, Command::Assess { probe, assessment, decision: Decision::Authorise, authorisation }, seen, None)
    };
    let (first, second) = tokio::join!(assess(Some(request.version)), assess(Some(request.version)));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1, "one decides");
    let (first, second) = tokio::join!(assess(None), assess(None));
    assert!(first.is_err() && second.is_err());
    let decisions = house.events(id).await.iter().filter(|e| matches!(e, Event::Authorised { .. })).count();
    assert_eq!(decisions, 1);
    // Leave used from two tabs at once is one search.
    let start = || b.act_and_work(holder, id, Command::StartSearch { probe }, None, None);
    let (first, second) = tokio::join!(start(), start());
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
    house.work().await;
    assert_eq!(house.events(id).await.iter().filter(|e| matches!(e, Event::Searched { .. })).count(), 1);
    house.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m2_two_examiners_at_once_do_not_get_in_each_others_way() {
    let house = House::new().await;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    let [one, two, three, _] = desk(PASSPORT).examiners;
    let b = &house.bureau;
    let (first, second, third) = tokio::join!(b.take_up(one, id, probe), b.take_up(two, id, probe), b.take_up(three, id, probe));
    let joined = [first, second, third];
    assert_eq!(joined.iter().filter(|j| j.is_ok()).count(), 2, "two are wanted, and the third is told");
    assert!(cites(&refusals(joined.into_iter().find(Result::is_err).unwrap()), Clause::M2));
    // Both give their opinions on the page as they opened it; neither is told that the other was quicker.
    let examiners: Vec<_> = house.open(id).await.probes[0].examiners.iter().map(|e| e.person).collect();
    let look = async |who: PersonId| {
        let sheet = b.comparison(who, id, probe).await.unwrap().sheet;
        for (n, c) in sheet.candidates.iter().enumerate() {
            let opinion = World::visual(casework::review::Conclusion::StronglySame);
            let version = sheet.version + n as u64;
            b.act(who, id, Command::GiveVisual { probe, candidate: c.id, opinion, version }, None, None).await.unwrap();
        }
    };
    tokio::join!(look(examiners[0]), look(examiners[1]));
    let request = house.open(id).await;
    assert!(request.probes[0].candidates.iter().all(|c| c.opinions.len() == 2));
    house.holds().await;
}

#[tokio::test]
async fn m2_an_absent_examiner_is_replaced_and_the_next_begins_blind() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    let [first, absent, next, _] = desk(PASSPORT).examiners;
    let leader = desk(PASSPORT).leader;
    b.take_up(absent, id, probe).await.unwrap();
    let sheet = b.comparison(absent, id, probe).await.unwrap().sheet;
    let opinion = World::visual(casework::review::Conclusion::StronglyDifferent);
    house.act(absent, id, Command::GiveVisual { probe, candidate: sheet.candidates[0].id, opinion, version: 0 }).await;
    house.examine(first, id, probe).await;
    // The leader is told who has yet to finish, and nothing of what anybody gave.
    let at_work = b.examiners_at_work(leader, id).await.unwrap();
    assert_eq!(at_work.iter().map(|e| e.person).collect::<Vec<_>>(), [absent]);
    for other in [absent, next, desk(PASSPORT).assessors[0], desk(GalleryId::Immigration).leader] {
        refusals(b.examiners_at_work(other, id).await);
    }
    let looked = house.looks(id).await;
    assert!(looked.iter().any(|l| l.by == leader && l.why.contains("who has yet to finish")), "the look is recorded (D5): {looked:?}");
    // Whoever looked is not blind any more, even if another leader replaces the absent one.
    let mut person = b.register().await.unwrap().people[&leader].clone();
    person.roles.insert(Role::Examiner);
    b.change_register(REGISTRAR, RegisterEvent::PersonEntered(person), None).await.unwrap();
    assert!(cites(&refusals(b.take_up(leader, id, probe).await), Clause::M2));
    house.act(leader, id, Command::ReplaceExaminer { examiner: absent, reason: "On long leave.".into() }).await;
    assert!(cites(&refusals(b.take_up(leader, id, probe).await), Clause::M2));
    assert!(b.examiners_at_work(leader, id).await.unwrap().is_empty());
    // It leaves the absent one's list, pictures and all; it is open to the next.
    assert!(b.comparisons(absent).await.unwrap().is_empty());
    assert_eq!(refusals(b.comparison_probe(absent, id, probe).await), vec![casework::access::unknown()]);
    assert!(cites(&refusals(b.take_up(absent, id, probe).await), Clause::M2));
    assert_eq!(b.comparisons(next).await.unwrap().iter().map(|c| c.step).collect::<Vec<_>>(), ["take-up"]);
    b.take_up(next, id, probe).await.unwrap();
    let seen = b.comparison(next, id, probe).await.unwrap().sheet;
    assert!(seen.version == 0 && seen.candidates.iter().all(|c| c.visual.is_none() && c.informed.is_none()));
    assert!(b.history(leader, id).await.unwrap().iter().any(|l| l.what.contains("replaced")));
    house.holds().await;
}

#[tokio::test]
async fn s2_the_same_investigation_twice_is_refused_and_the_same_image_is_noted() {
    let house = House::new().await;
    let b = &house.bureau;
    let first = Form { investigation: "OP/2026-7 Heron".into(), ..form(PASSPORT) };
    let one = house.received(first.clone(), SOUGHT).await;
    // Written otherwise, it is the same investigation.
    let same = Form { investigation: "op 20267 HERON".into(), ..form(PASSPORT) };
    let (id, version) = house.drafted(REQUESTER, same.clone(), &photograph("sample5.jpg"), 0).await;
    let said = refusals(b.send(REQUESTER, id, version, once("same")).await);
    assert!(cites(&said, Clause::S2) && said.iter().any(|r| r.field == Some(Field::Investigation)), "{said:?}");
    b.draft(REQUESTER, id).await.unwrap();
    // Another force's investigation of that name is another investigation, to the other gallery too.
    let (other, version) = house.drafted(NCA_REQUESTER, same.clone(), &photograph("sample5.jpg"), 0).await;
    b.send(NCA_REQUESTER, other, version, None).await.unwrap();
    let foreign = Form { investigation: same.investigation.clone(), ..form(GalleryId::Immigration) };
    house.received(foreign, SOUGHT).await;
    // Once the first is over, it may be asked again.
    house.act(REQUESTER, one, Command::Withdraw { reason: "Sent too early.".into() }).await;
    let version = b.draft(REQUESTER, id).await.unwrap().version;
    b.send(REQUESTER, id, version, once("same")).await.unwrap();

    // The same image in another request: a note to the officer, and to staff, not to the force.
    let id = b.new_draft(REQUESTER).await.unwrap();
    let version = b.save_draft(REQUESTER, id, 1, form(PASSPORT)).await.unwrap();
    let (version, image, notes) = b.add_image(REQUESTER, id, version, &probe(), Some("still.jpg")).await.unwrap();
    assert!(notes.iter().any(|n| n.words.contains("already in another of your requests")), "{notes:?}");
    // What somebody else asked about is nobody's to learn in this way (V1).
    let theirs = b.new_draft(OTHER_REQUESTER).await.unwrap();
    let (_, _, notes) = b.add_image(OTHER_REQUESTER, theirs, 1, &probe(), Some("still.jpg")).await.unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let version = b.describe_image(REQUESTER, id, version, image, Some(SOUGHT), Some(casework::form::Source::Unsupervised)).await.unwrap();
    b.send(REQUESTER, id, version, None).await.unwrap();
    house.act(APPROVER, id, Command::Approve).await;
    assert!(b.request(desk(PASSPORT).leader, id).await.unwrap().image_seen_before);
    assert!(!b.request(REQUESTER, id).await.unwrap().image_seen_before);
}

#[tokio::test]
async fn s2_a_changed_decision_opens_no_second_request_of_an_investigation() {
    let house = House::new().await;
    let b = &house.bureau;
    let same = || Form { investigation: "OP-CHANGED".into(), ..form(PASSPORT) };
    let first = house.received(same(), SOUGHT).await;
    let d = desk(PASSPORT);
    house.act(d.assessors[0], first, Command::Take { no_conflict: true }).await;
    house.act(d.assessors[0], first, Command::Reject { missing: vec![(Field::Harm, "It does not say whose.".into())] }).await;
    house.act(REQUESTER, first, Command::AskReview { reasons: "It says whose.".into() }).await;
    let (second, version) = house.drafted(REQUESTER, same(), &photograph("sample5.jpg"), 0).await;
    b.send(REQUESTER, second, version, None).await.unwrap();
    let changed = || Command::DecideReview { result: ReviewResult::Changed, reasons: "It does say whose.".into() };
    let seen = house.open(first).await.version;
    assert!(cites(&refusals(b.act(d.leader, first, changed(), Some(seen), None).await), Clause::S2));
    assert_eq!((house.open(first).await.state, house.open(first).await.version), (State::Rejected, seen));
    house.act(REQUESTER, second, Command::Withdraw { reason: "The first is looked at again.".into() }).await;
    house.act(d.leader, first, changed()).await;
    assert_eq!(house.open(first).await.state, State::Received);
    house.holds().await;
}

#[tokio::test]
async fn s2_a_returned_form_sent_again_under_another_investigation_leaves_the_first_free() {
    let house = House::new().await;
    let b = &house.bureau;
    let under = |investigation: &str| Form { investigation: investigation.into(), ..form(PASSPORT) };
    let id = house.prepared(under("OP-MISTYPED"), SOUGHT).await;
    house.act(APPROVER, id, Command::Return { reasons: "That is another operation.".into() }).await;
    b.edit_returned(REQUESTER, id).await.unwrap();
    let draft = b.draft(REQUESTER, id).await.unwrap();
    let form = Form { investigation: "OP-RIGHT".into(), ..draft.form };
    let version = b.save_draft(REQUESTER, id, draft.version, form).await.unwrap();
    b.send(REQUESTER, id, version, None).await.unwrap();
    house.act(APPROVER, id, Command::Approve).await;
    assert!(b.look_up(desk(PASSPORT).leader, "OP-MISTYPED").await.unwrap().is_empty(), "it is not found under it any more");
    assert_eq!(b.look_up(desk(PASSPORT).leader, "OP-RIGHT").await.unwrap().len(), 1);
    for (investigation, free) in [("OP-MISTYPED", true), ("OP-RIGHT", false)] {
        let (other, version) = house.drafted(REQUESTER, under(investigation), &photograph("sample5.jpg"), 0).await;
        assert_eq!(b.send(REQUESTER, other, version, None).await.is_ok(), free, "{investigation}");
    }
    house.holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s2_of_officers_who_send_one_investigation_in_the_same_instant_one_passes() {
    let house = House::new().await;
    let b = &house.bureau;
    for round in 0..4 {
        let same = || Form { investigation: format!("OP-INSTANT-{round}"), ..form(PASSPORT) };
        let mut drafts = vec![];
        for (n, who) in [REQUESTER, OTHER_REQUESTER, REQUESTER, OTHER_REQUESTER].into_iter().enumerate() {
            let image = photograph(["sample5.jpg", "sample2.jpg"][n % 2]);
            drafts.push((who, house.drafted(who, same(), &image, 0).await));
        }
        let sent: Vec<_> = drafts
            .iter()
            .map(|(who, (id, version))| {
                let (bureau, who, id, version) = (house.bureau.clone(), *who, *id, *version);
                tokio::spawn(async move { bureau.send(who, id, version, once("at once")).await })
            })
            .collect();
        let mut passed = 0;
        for (task, (who, (id, _))) in sent.into_iter().zip(&drafts) {
            match task.await.unwrap() {
                Ok(_) => passed += 1,
                told => {
                    assert!(cites(&refusals(told), Clause::S2), "told why");
                    b.draft(*who, *id).await.expect("and the draft stays");
                }
            }
        }
        assert_eq!(passed, 1);
    }
    house.holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s1_a_draft_edited_in_another_tab_while_it_is_sent_is_not_lost() {
    let house = House::new().await;
    let b = &house.bureau;
    let (mut sent, mut kept) = (0, 0);
    // From well before each other to well after, in milliseconds, so that each comes first at least once.
    for (sending, saving) in [(0, 300), (0, 8), (0, 4), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (4, 0), (8, 0), (300, 0)] {
        let (id, version) = house.drafted(REQUESTER, form(PASSPORT), &photograph("sample5.jpg"), 0).await;
        let edited = Form { harm: "Typed in the other tab.".into(), ..b.draft(REQUESTER, id).await.unwrap().form };
        let (first, second) = (house.bureau.clone(), house.bureau.clone());
        let send = tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(sending)).await;
            first.send(REQUESTER, id, version, None).await
        });
        let save = tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(saving)).await;
            second.save_draft(REQUESTER, id, version, edited).await
        });
        match (send.await.unwrap(), save.await.unwrap()) {
            (Ok(_), told) => {
                assert!(told.is_err(), "who edits what is sent is told");
                sent += 1;
            }
            (Err(BureauError::Overtaken), Ok(_)) => {
                assert_eq!(b.draft(REQUESTER, id).await.unwrap().form.harm, "Typed in the other tab.");
                assert_eq!(house.open(id).await.version, 0, "it is not sent without being seen");
                kept += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(sent > 0 && kept > 0, "{sent} sent, {kept} kept");
    house.holds().await;
}

#[tokio::test]
async fn s3_a_linked_pair_is_sent_whole_or_not_at_all_each_with_its_own_images() {
    let house = House::new().await;
    let b = &house.bureau;
    let unsure = Form { nationality: Some(Nationality::Unsure), ..form(PASSPORT) };
    let (id, version) = house.drafted(REQUESTER, unsure.clone(), &probe(), SOUGHT).await;
    let requests = async || b.store().streams().await.unwrap().iter().filter(|(s, _)| matches!(s, StreamId::Request(_))).count();
    // The second half cannot be written: then the first is not either, and the draft stays.
    house
        .sql("CREATE TRIGGER no_second BEFORE INSERT ON request_row WHEN NEW.gallery = 'immigration' BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    assert!(b.send(REQUESTER, id, version, once("pair")).await.is_err());
    assert_eq!(requests().await, 0);
    b.draft(REQUESTER, id).await.unwrap();
    house.sql("DROP TRIGGER no_second").await;

    let ids = b.send(REQUESTER, id, version, once("pair")).await.unwrap();
    assert_eq!((ids.len(), ids[0]), (2, id));
    assert_eq!(b.send(REQUESTER, id, version, once("pair")).await.unwrap(), ids, "sent again, the same pair");
    let (one, two) = (house.open(ids[0]).await, house.open(ids[1]).await);
    assert_eq!((one.gallery, two.gallery), (Some(PASSPORT), Some(GalleryId::Immigration)));
    assert_eq!((one.twin, two.twin), (Some(ids[1]), Some(ids[0])));
    assert!(!one.image_seen_before && !two.image_seen_before, "a pair's own image is not somebody else's");
    let (a, z) = (&one.form.as_ref().unwrap().images[0], &two.form.as_ref().unwrap().images[0]);
    assert!(a.original != z.original && a.rendering != z.rendering && a.probe != z.probe);
    assert_eq!(a.digest, z.digest);
    // Each is approved, searched and forgotten on its own: one withdrawn, closed and erased leaves the other.
    for id in &ids {
        house.act_and_work(APPROVER, *id, Command::Approve).await;
    }
    house.act(REQUESTER, ids[0], Command::Withdraw { reason: "A British match came another way.".into() }).await;
    house.act_and_work(desk(PASSPORT).leader, ids[0], Command::Close).await;
    house.clock.days(31);
    house.work().await;
    assert!(b.store().get_blob(a.original).await.unwrap().is_none());
    assert_eq!(b.store().get_blob(z.original).await.unwrap().unwrap(), probe());
    house.holds().await;
}

#[tokio::test]
async fn s9_returned_edited_and_sent_again_is_the_same_request() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.prepared(form(PASSPORT), SOUGHT).await;
    house.act(APPROVER, id, Command::Return { reasons: "Say more of the harm.".into() }).await;
    refusals(b.edit_returned(OTHER_REQUESTER, id).await);
    assert_eq!(b.edit_returned(REQUESTER, id).await.unwrap(), id);
    let draft = b.draft(REQUESTER, id).await.unwrap();
    assert_eq!(draft.returned.as_deref(), Some("Say more of the harm."));
    let kept = draft.form.images[0].clone();
    let form = Form { harm: "A broken wrist, and months out of work.".into(), ..draft.form };
    let version = b.save_draft(REQUESTER, id, draft.version, form).await.unwrap();
    // Its image may go and come again; the recorded one stays with the record.
    let version = b.remove_image(REQUESTER, id, version, kept.probe).await.unwrap();
    assert!(b.store().get_blob(kept.original).await.unwrap().is_some());
    let (version, image, _) = b.add_image(REQUESTER, id, version, &photograph("sample5.jpg"), None).await.unwrap();
    let version = b.describe_image(REQUESTER, id, version, image, Some(0), Some(casework::form::Source::Supervised)).await.unwrap();
    assert_eq!(b.send(REQUESTER, id, version, None).await.unwrap(), [id]);
    house.act_and_work(APPROVER, id, Command::Approve).await;
    let request = house.open(id).await;
    assert_eq!((request.state, request.probes.len()), (State::Received, 1));
    assert_eq!(request.form.unwrap().harm, "A broken wrist, and months out of work.");
    house.holds().await;
}

#[tokio::test]
async fn s1_a_rejected_form_is_copied_into_a_new_one_linked_to_it() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let holder = desk(PASSPORT).assessors[0];
    house.act(holder, id, Command::Take { no_conflict: true }).await;
    refusals(b.copy_rejected(REQUESTER, id).await);
    house.act(holder, id, Command::Reject { missing: vec![(Field::Harm, "It does not say whose.".into())] }).await;
    refusals(b.copy_rejected(OTHER_REQUESTER, id).await);
    let copy = b.copy_rejected(REQUESTER, id).await.unwrap();
    let draft = b.draft(REQUESTER, copy).await.unwrap();
    assert_eq!(draft.replaces, Some(id));
    assert!(draft.form.images.is_empty() && draft.form.declarations.is_empty(), "given afresh");
    assert_eq!(draft.form.offence, house.open(id).await.form.unwrap().offence);
    // The same investigation is free again, since the first form was rejected.
    let form = Form { declarations: <Declaration as strum::IntoEnumIterator>::iter().collect(), ..draft.form };
    let version = b.save_draft(REQUESTER, copy, draft.version, form).await.unwrap();
    let (version, image, _) = b.add_image(REQUESTER, copy, version, &probe(), None).await.unwrap();
    let version =
        b.describe_image(REQUESTER, copy, version, image, Some(SOUGHT), Some(casework::form::Source::Unsupervised)).await.unwrap();
    b.send(REQUESTER, copy, version, None).await.unwrap();
    assert_eq!(house.open(copy).await.replaces, Some(id));
    assert_eq!(b.request(APPROVER, copy).await.unwrap().replaces, Some(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_no_search_is_recorded_after_its_certificate_was_revoked_whoever_is_quicker() {
    const ROUNDS: u32 = 8;
    let house = House::new().await;
    let (b, d) = (&house.bureau, desk(PASSPORT));
    let positions = async |kind: &str| -> Vec<u64> {
        let all = b.store().headers(0, 10_000).await.unwrap();
        all.into_iter().filter(|h| h.header.kind == kind).map(|h| h.position).collect()
    };
    // How long the worker takes when nobody is in its way: revocations come at every part of that.
    let (id, probe) = house.authorised(form(PASSPORT), SOUGHT).await;
    house.act(d.assessors[0], id, Command::StartSearch { probe }).await;
    let began = Instant::now();
    house.work().await;
    let alone = began.elapsed();
    for round in 0..ROUNDS {
        let (id, probe) = house.authorised(form(PASSPORT), SOUGHT).await;
        house.act(d.assessors[0], id, Command::StartSearch { probe }).await;
        let before = positions("searched").await.len();
        let held = b.accuracy().await.unwrap()[0].held.clone().unwrap();
        let revoked = async {
            tokio::time::sleep(alone * 2 * round / ROUNDS).await;
            b.revoke_certificate(d.leader, PASSPORT, held.genuine.unwrap(), "The sample was mixed up.").await.unwrap();
        };
        tokio::join!(async { assert!(b.work("tests").await.is_ok()) }, revoked);
        // What was in the way of a search in its last moment is read again before it is tried again.
        house.clock.forward(SignedDuration::from_hours(1));
        b.work("tests").await.unwrap();
        let (searched, ended) = (positions("searched").await, positions("certificate-revoked").await);
        assert!(searched.last() < ended.last(), "round {round}: a search at {searched:?}, a revocation at {ended:?}");
        let recorded = house.open(id).await.probes[0].facts.is_some();
        assert_eq!(searched.len() - before, usize::from(recorded), "round {round}");
        // Another evaluation, its proposal and a second person; then what was refused is searched under the same leave.
        let file = evaluation(2_000, |e| e.several_faces = u64::from(round) + 1);
        b.propose_threshold(d.siao, &file, wanted(PASSPORT, threshold()), "Measured again.").await.unwrap();
        let number = b.register().await.unwrap().settings[&PASSPORT].proposal.as_ref().unwrap().0;
        b.confirm_threshold(d.leader, PASSPORT, number).await.unwrap();
        for job in b.failed_jobs(d.leader).await.unwrap() {
            b.try_again(d.leader, job.job).await.unwrap();
        }
        house.work().await;
        assert!(house.open(id).await.probes[0].facts.is_some(), "round {round}");
    }
    house.holds().await;
}

#[tokio::test]
async fn s9_two_forces_do_not_meet() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, version) = house.drafted(NCA_REQUESTER, form(PASSPORT), &probe(), SOUGHT).await;
    b.send(NCA_REQUESTER, id, version, None).await.unwrap();
    let unknown = refusals(b.request(APPROVER, RequestId(uuid::Uuid::now_v7())).await);
    assert_eq!(refusals(b.request(APPROVER, id).await), unknown);
    assert_eq!(refusals(b.act(APPROVER, id, Command::Approve, None, None).await), unknown);
    assert_eq!(b.list(APPROVER, List::Approval, None, 1).await.unwrap().total, 0);
    assert_eq!(b.list(NCA_APPROVER, List::Approval, None, 1).await.unwrap().total, 1);
    house.act_and_work(NCA_APPROVER, id, Command::Approve).await;
    assert_eq!(house.open(id).await.state, State::Received);
    assert_eq!(engine().model().id, b.engine().unwrap().model().id);
}

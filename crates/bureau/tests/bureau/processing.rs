//! Who collected, altered, consulted, disclosed, combined and erased; when; why; to whom (D5, DPA 2018 s.62).

use crate::house::{AUDITOR, House, SOUGHT, form, refusals};
use bureau::{
    exchange::{Type2, Wanted},
    processing::{PROCESSING_ON_PAGE, ProcessingFilter, ProcessingLine},
};
use casework::{
    command::Command,
    form::Form,
    ids::{PersonId, RequestId},
    people::{Affiliation, RegisterEvent, Role},
    processing::{HouseKind, Operation},
    record::{GalleryId, StreamId},
    testing::{APPROVER, REQUESTER, World, desk},
};
use jiff::SignedDuration;
use ledger::EntryProof;
use std::collections::BTreeSet;
use strum::IntoEnumIterator as _;

const PASSPORT: GalleryId = GalleryId::Passport;

fn all() -> ProcessingFilter {
    ProcessingFilter::default()
}

async fn taken(house: &House, who: PersonId, filter: &ProcessingFilter) -> Vec<ProcessingLine> {
    house.bureau.take_processing(who, filter).await.unwrap().lines
}

async fn noted(house: &House) -> Vec<String> {
    house.bureau.store().load(StreamId::House).await.unwrap().into_iter().map(|r| r.header.kind).collect()
}

#[tokio::test]
async fn d5_who_did_what_when_why_and_to_whom_is_found_by_every_filter() {
    let house = House::new().await;
    let id = house.matched(form(PASSPORT)).await;
    let other = house.received(form(GalleryId::Immigration), 0).await;
    let lines = taken(&house, AUDITOR, &all()).await;
    let operations: BTreeSet<Operation> = lines.iter().map(|l| l.operation).collect();
    assert_eq!(operations, Operation::iter().collect(), "a whole request has all six (s.62(1))");
    assert!(lines.is_sorted_by(|a, b| (a.at, a.index) > (b.at, b.index)), "newest first");
    // Everything that is in the log is there once.
    let indexes: BTreeSet<u64> = lines.iter().map(|l| l.index).collect();
    assert_eq!((indexes.len(), indexes.first(), indexes.len() as u64), (lines.len(), Some(&0), lines[0].index + 1));
    // Each operation of the request by itself, and what it must say.
    let mut counted = 0;
    for operation in Operation::iter() {
        let of = taken(&house, AUDITOR, &ProcessingFilter { operation: Some(operation), request: Some(id), ..all() }).await;
        assert!(of.iter().all(|l| l.operation == operation && l.request == Some(id) && l.who.is_some() && !l.erased || l.kind == "listed"));
        counted += of.len();
        match operation {
            Operation::Disclosure => {
                let kinds: BTreeSet<&str> = of.iter().map(|l| l.kind.as_str()).collect();
                assert_eq!(kinds, ["collected", "disclosed", "released"].into(), "{of:#?}");
                let name = World::new().register.people[&REQUESTER].name.clone();
                assert!(of.iter().all(|l| l.to.as_deref().is_some_and(|to| to.starts_with(&name) && to.len() > name.len() + 2)), "{of:#?}");
            }
            Operation::Consultation => assert!(of.iter().all(|l| l.why.is_some() && !l.organisation.is_empty()), "{of:#?}"),
            Operation::Erasure => assert!(of.iter().all(|l| l.why.as_deref().is_some_and(|w| w.contains("candidates")))),
            _ => {}
        }
    }
    let of_it = taken(&house, AUDITOR, &ProcessingFilter { request: Some(id), ..all() }).await;
    assert_eq!(of_it.len(), counted, "each entry is one of the six; the looks at it meanwhile are of one sitting");
    let shared = of_it.iter().find(|l| l.kind == "sharing-decided").unwrap();
    assert_eq!(shared.why.as_deref(), Some("Grave harm, and no other way."));
    // By person: what they did, and what went to them; nobody else's.
    let by = taken(&house, AUDITOR, &ProcessingFilter { person: Some(REQUESTER), request: Some(id), ..all() }).await;
    let kinds: BTreeSet<&str> = by.iter().map(|l| l.kind.as_str()).collect();
    assert_eq!(kinds, ["answer-prepared", "collected", "consulted", "prepared"].into());
    let by = taken(&house, AUDITOR, &ProcessingFilter { person: Some(APPROVER), ..all() }).await;
    assert!(by.iter().all(|l| l.who.as_deref() == Some(&World::new().register.people[&APPROVER].name)) && by.len() >= 2);
    // By gallery, force, clause and time.
    let immigration = taken(&house, AUDITOR, &ProcessingFilter { gallery: Some(GalleryId::Immigration), ..all() }).await;
    assert!(immigration.iter().any(|l| l.request == Some(other)) && immigration.iter().all(|l| l.gallery == Some(GalleryId::Immigration)));
    let leo = house.open(id).await.leo;
    let force = taken(&house, AUDITOR, &ProcessingFilter { leo, ..all() }).await;
    assert!(force.len() >= of_it.len() && force.iter().all(|l| l.force.is_some()));
    let p2 = taken(&house, AUDITOR, &ProcessingFilter { clause: Some("M2".into()), ..all() }).await;
    assert!(p2.len() > 4 && p2.iter().all(|l| l.clauses.contains(&"M2".to_owned())));
    let one = &lines[lines.len() / 2];
    let within = ProcessingFilter { from: Some(one.at), until: Some(one.at + SignedDuration::from_micros(1)), ..all() };
    let then = taken(&house, AUDITOR, &within).await;
    assert!(then.iter().any(|l| l.index == one.index) && then.iter().all(|l| l.at == one.at));
    let nobody = ProcessingFilter { person: Some(PersonId::fixed(987_654)), ..all() };
    assert!(taken(&house, AUDITOR, &nobody).await.is_empty());
    house.holds().await;
}

#[tokio::test]
async fn d5_pages_follow_one_another_and_what_comes_meanwhile_is_on_none_of_the_older() {
    let house = House::new().await;
    house.matched(form(PASSPORT)).await;
    let whole = taken(&house, AUDITOR, &all()).await;
    assert!(whole.len() > PROCESSING_ON_PAGE);
    let mut filter = ProcessingFilter { until: Some(house.bureau.now() + SignedDuration::from_secs(1)), ..all() };
    let (mut seen, mut pages) = (vec![], 0);
    loop {
        let page = house.bureau.processing(AUDITOR, &filter).await.unwrap();
        assert!(page.lines.len() <= PROCESSING_ON_PAGE);
        seen.extend(page.lines.iter().map(|l| l.index));
        pages += 1;
        // Every look is an entry itself.
        let Some(next) = page.next else { break };
        filter.below = Some(next);
    }
    assert!(pages > 1);
    let expected: Vec<u64> = whole.iter().map(|l| l.index).collect();
    assert_eq!(seen.iter().filter(|i| **i <= expected[0]).copied().collect::<Vec<_>>(), expected);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "none twice");
}

#[tokio::test]
async fn d5_reading_who_did_what_downloading_it_and_taking_a_proof_is_recorded() {
    let house = House::new().await;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let b = &house.bureau;
    let before = noted(&house).await.len();
    b.processing(AUDITOR, &all()).await.unwrap();
    b.take_processing(AUDITOR, &all()).await.unwrap();
    let proof = b.processing_proof(AUDITOR, 3).await.unwrap();
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\n"));
    let kinds = [HouseKind::ProcessingRead, HouseKind::ProcessingTaken, HouseKind::ProofTaken].map(|k| k.to_string());
    assert_eq!(noted(&house).await[before..], kinds);
    // And each is an entry, with who, and what was asked.
    let mine = taken(&house, AUDITOR, &ProcessingFilter { person: Some(AUDITOR), operation: Some(Operation::Consultation), ..all() }).await;
    assert!(mine.iter().any(|l| l.kind == "proof-taken" && l.what.contains("entry 3")), "{mine:#?}");
    // One request asked for by itself is a look at that request, in its own history.
    assert!(house.looks(id).await.iter().all(|l| l.by != AUDITOR));
    b.processing(AUDITOR, &ProcessingFilter { request: Some(id), ..all() }).await.unwrap();
    assert!(house.looks(id).await.iter().any(|l| l.by == AUDITOR && l.why == "reading who did what"));
    // What cannot be recorded is not served.
    house.sql("CREATE TRIGGER no_looks BEFORE INSERT ON event WHEN NEW.kind LIKE 'pro%-%' BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    assert!(b.processing(AUDITOR, &all()).await.is_err());
    assert!(b.take_processing(AUDITOR, &all()).await.is_err());
    assert!(b.processing_proof(AUDITOR, 3).await.is_err());
}

#[tokio::test]
async fn d5_r3_an_owner_reads_of_their_own_gallery_and_nobody_else_reads_at_all() {
    let house = House::new().await;
    let mine = house.received(form(PASSPORT), SOUGHT).await;
    let theirs = house.received(form(GalleryId::Immigration), 0).await;
    let b = &house.bureau;
    for who in [REQUESTER, APPROVER, desk(PASSPORT).leader, desk(PASSPORT).assessors[0], desk(PASSPORT).examiners[0]] {
        refusals(b.processing(who, &all()).await);
        refusals(b.take_processing(who, &all()).await);
        refusals(b.processing_proof(who, 0).await);
    }
    let owner = desk(PASSPORT).siao;
    let lines = taken(&house, owner, &all()).await;
    assert!(lines.iter().any(|l| l.request == Some(mine)) && lines.iter().all(|l| l.gallery == Some(PASSPORT)));
    assert!(taken(&house, owner, &ProcessingFilter { gallery: Some(GalleryId::Immigration), ..all() }).await.is_empty());
    assert!(taken(&house, owner, &ProcessingFilter { request: Some(theirs), ..all() }).await.is_empty());
    assert!(house.looks(theirs).await.iter().all(|l| l.by != owner));
    // Neither an entry of another gallery nor one that is not there is proved to them: one answer for both (V1).
    let entry = taken(&house, AUDITOR, &ProcessingFilter { request: Some(theirs), ..all() }).await[0].index;
    assert_eq!(refusals(b.processing_proof(owner, entry).await), refusals(b.processing_proof(owner, 1_000_000).await));
    b.processing_proof(owner, lines[0].index).await.unwrap();
}

#[tokio::test]
async fn d5_an_export_is_a_disclosure_with_its_recipient_and_reasons() {
    let house = House::new().await;
    let owner = desk(PASSPORT).siao;
    let wanted = Wanted {
        gallery: PASSPORT,
        references: vec![],
        recipient: "Elsewhere Police".into(),
        reasons: "A joint inquiry.".into(),
        origin: "HMPO".into(),
        destination: "ELSE".into(),
    };
    house.bureau.export(owner, &wanted, &Type2::standard().unwrap(), |_, _| Ok(()), |_, _| {}).await.unwrap();
    let lines = taken(&house, AUDITOR, &ProcessingFilter { person: Some(owner), operation: Some(Operation::Disclosure), ..all() }).await;
    let export = lines.iter().find(|l| l.kind == "exported").unwrap();
    assert_eq!((export.to.as_deref(), export.why.as_deref()), (Some("Elsewhere Police"), Some("A joint inquiry.")));
    assert!(lines.iter().any(|l| l.kind == "export-ended"), "{lines:#?}");
    house.holds().await;
}

#[tokio::test]
async fn m2_v1_an_owner_who_examines_a_request_reads_nothing_of_it_until_it_is_answered() {
    let house = House::new().await;
    let (id, probe) =
        house.searched(Form { vulnerable: Some(true), vulnerable_words: "A changed name.".into(), ..form(PASSPORT) }, SOUGHT).await;
    let b = &house.bureau;
    let examiner = desk(PASSPORT).examiners[0];
    let mut person = b.register().await.unwrap().people[&examiner].clone();
    person.roles.insert(Role::Siao);
    assert!(matches!(person.at, Affiliation::Team(_)));
    b.change_register(casework::testing::REGISTRAR, RegisterEvent::PersonEntered(person), None).await.unwrap();
    let of_it = ProcessingFilter { request: Some(id), ..all() };
    let of = |who| taken(&house, who, &of_it);
    assert!(!of(desk(PASSPORT).siao).await.is_empty(), "an owner knows of sensitive requests");
    house.examine(examiner, id, probe).await;
    assert!(of(examiner).await.is_empty(), "blind to the rest of what they examine");
    assert!(taken(&house, examiner, &all()).await.iter().all(|l| l.request != Some(id)));
    assert!(!of(AUDITOR).await.is_empty());
    // And the other way round: who has read of a request, be it on a page of many, does not examine it.
    let (read, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    assert!(taken(&house, examiner, &all()).await.iter().any(|l| l.request == Some(read)));
    assert!(house.looks(read).await.iter().any(|l| l.by == examiner));
    refusals(b.take_up(examiner, read, probe).await);
}

#[tokio::test]
async fn d5_a_proof_shows_an_outsider_when_what_was_recorded_and_that_it_is_in_the_log() {
    let house = House::new().await;
    let id = house.matched(form(PASSPORT)).await;
    let b = &house.bureau;
    let key = b.store().verifier_key();
    for line in taken(&house, AUDITOR, &ProcessingFilter { request: Some(id), ..all() }).await {
        let text = b.processing_proof(AUDITOR, line.index).await.unwrap();
        let proof = EntryProof::parse(&text).unwrap();
        let checkpoint = proof.check(&key).unwrap();
        assert!(checkpoint.size > line.index && proof.index == line.index);
        let header: serde_json::Value = serde_json::from_slice(&proof.header[25..]).unwrap();
        assert_eq!((header["kind"].as_str(), header["at"].as_str()), (Some(line.kind.as_str()), Some(line.at.to_string().as_str())));
        // Nothing of the payload is in it, and another kind of event is not proved by it.
        let mut forged = proof.clone();
        forged.header = String::from_utf8_lossy(&proof.header).replace(&line.kind, "released-elsewhere").into_bytes();
        assert!(forged.check(&key).is_err());
        assert!(EntryProof { index: proof.index ^ 1, ..proof.clone() }.check(&key).is_err());
    }
}

#[tokio::test]
async fn d3_d5_of_what_was_erased_the_entry_says_so_and_nobody_is_found_under_it() {
    let house = House::new().await;
    let id = house.matched(form(PASSPORT)).await;
    let filter = ProcessingFilter { request: Some(id), ..all() };
    let before = taken(&house, AUDITOR, &filter).await;
    let entry = before.iter().find(|l| l.kind == "authorised").unwrap().clone();
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    house.clock.days(6 * 366 + 1);
    house.work().await;
    let after = taken(&house, AUDITOR, &filter).await;
    let gone = after.iter().find(|l| l.index == entry.index).unwrap();
    assert!(gone.erased && gone.who.is_none() && gone.why.is_none() && gone.to.is_none(), "{gone:#?}");
    // What is left: when, which operation, what kind, which gallery and force, which clauses.
    assert_eq!((gone.at, gone.operation, &gone.kind, &gone.clauses), (entry.at, entry.operation, &entry.kind, &entry.clauses));
    assert_eq!(gone.what, "Authorised");
    for who in [REQUESTER, APPROVER, desk(PASSPORT).assessors[0], desk(PASSPORT).examiners[0]] {
        let theirs = taken(&house, AUDITOR, &ProcessingFilter { person: Some(who), request: Some(id), ..all() }).await;
        assert!(theirs.is_empty(), "{theirs:#?}");
    }
    // Its proof still holds.
    let proof = EntryProof::parse(&house.bureau.processing_proof(AUDITOR, entry.index).await.unwrap()).unwrap();
    proof.check(&house.bureau.store().verifier_key()).unwrap();
    house.holds().await;
}

#[tokio::test]
async fn d4_d5_a_view_folds_what_is_new_and_replay_finds_whatever_is_not_as_folded() {
    let house = House::new().await;
    let b = &house.bureau;
    house.received(form(PASSPORT), SOUGHT).await;
    let counted = |f: &bureau::report::Figures| f.galleries[&PASSPORT].received;
    let one = b.figures(AUDITOR).await.unwrap();
    let folded = b.store().folded().await.unwrap();
    assert_eq!((counted(&one), folded > 0), (1, true));
    // Nothing new: nothing is folded. A new request: only it.
    b.figures(AUDITOR).await.unwrap();
    assert_eq!(b.store().folded().await.unwrap(), folded);
    house.matched(form(PASSPORT)).await;
    let two = b.figures(AUDITOR).await.unwrap();
    assert_eq!((counted(&two), two.took[&PASSPORT].answers), (2, 1));
    assert_eq!(two.forces.iter().map(|(_, c)| c.received).sum::<u32>(), 2);
    assert_eq!(two.months.iter().map(|(_, c)| c.received).sum::<u32>(), 2);
    // As the whole fold of the headers has them.
    let headers = b.store().headers(0, 100_000).await.unwrap();
    assert_eq!(two.galleries, casework::report::counts(headers.iter().map(|h| &h.header)));
    house.holds().await;
    // What is kept is no more than a copy: whatever is wrong with it is found.
    for (wrong, entries, figures) in [
        ("UPDATE figure SET number = number + 1 WHERE measure = 'received' AND filed = 'month'", 0, true),
        ("UPDATE processing SET operation = 'erasure' WHERE log_index = 2", 1, false),
        ("DELETE FROM processing_party WHERE log_index = (SELECT max(log_index) FROM processing_party)", 1, false),
        ("UPDATE processing_clause SET clause = 'Z9' WHERE log_index = 1", 1, false),
    ] {
        house.sql("CREATE TABLE f AS SELECT * FROM figure").await;
        house.sql("CREATE TABLE p AS SELECT * FROM processing").await;
        house.sql("CREATE TABLE w AS SELECT * FROM processing_party").await;
        house.sql("CREATE TABLE c AS SELECT * FROM processing_clause").await;
        assert!(house.sql(wrong).await > 0, "{wrong}");
        let found = b.replay().await.unwrap();
        assert_eq!((found.entries_differing.len(), found.figures_differ), (entries, figures), "{wrong}: {found:?}");
        for mend in [
            "DELETE FROM processing_party",
            "DELETE FROM processing_clause",
            "DELETE FROM processing",
            "DELETE FROM figure",
            "INSERT INTO figure SELECT * FROM f",
            "INSERT INTO processing SELECT * FROM p",
            "INSERT INTO processing_party SELECT * FROM w",
            "INSERT INTO processing_clause SELECT * FROM c",
            "DROP TABLE f",
            "DROP TABLE p",
            "DROP TABLE w",
            "DROP TABLE c",
        ] {
            house.sql(mend).await;
        }
        house.holds().await;
    }
}

#[tokio::test]
async fn d4_a_sample_is_drawn_from_the_requests_and_not_from_the_log() {
    let house = House::new().await;
    let ids: BTreeSet<RequestId> =
        [house.received(form(PASSPORT), SOUGHT).await, house.received(form(PASSPORT), SOUGHT).await].into_iter().collect();
    let drawn = house.bureau.sample(desk(PASSPORT).siao, "seed", 10).await.unwrap();
    assert_eq!(drawn.iter().map(|l| l.id).collect::<BTreeSet<_>>(), ids);
    let again = house.bureau.sample(AUDITOR, "seed", 10).await.unwrap();
    assert_eq!(again.iter().map(|l| l.id).collect::<Vec<_>>(), drawn.iter().map(|l| l.id).collect::<Vec<_>>());
    assert!(house.bureau.sample(desk(GalleryId::Immigration).siao, "seed", 10).await.unwrap().is_empty());
}

//! The spine: everything is recorded, sealed, checkable and forgettable (D1, D3, D5).

use crate::{
    house::{AUDITOR, House, SOUGHT, form, probe, refusals, the_match},
    search::{files, holds_bytes},
};
use bureau::BureauError;
use casework::{
    assess::{Decision, Handling},
    clause::Clause,
    command::Command,
    event::{Consulted, Event, Sharing, Thing},
    form::{Form, Source},
    ids::{AuthorisationId, PersonId, RequestId},
    policy::BioField,
    record::{GalleryId, RetentionClass, StreamId},
    request::State,
    testing::{APPROVER, REQUESTER, World, desk},
};
use gallery::Gallery as _;
use jiff::SignedDuration;
use store::EntryFilter;

const PASSPORT: GalleryId = GalleryId::Passport;

async fn looks_by(house: &House, id: RequestId, who: PersonId) -> Vec<Thing> {
    house.looks(id).await.into_iter().filter(|l: &Consulted| l.by == who).map(|l| l.thing).collect()
}

#[tokio::test]
async fn d5_each_look_is_recorded_once_a_sitting() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let image = house.open(id).await.probes[0].id;
    let leader = desk(PASSPORT).leader;
    assert!(looks_by(&house, id, leader).await.is_empty());
    for _ in 0..3 {
        b.request(leader, id).await.unwrap();
        b.probe_image(leader, id, image).await.unwrap();
    }
    assert_eq!(looks_by(&house, id, leader).await, [Thing::Form, Thing::Probe(image)]);
    house.clock.forward(SignedDuration::from_mins(29));
    b.request(leader, id).await.unwrap();
    assert_eq!(looks_by(&house, id, leader).await.len(), 2, "the same sitting");
    house.clock.forward(SignedDuration::from_mins(2));
    b.request(leader, id).await.unwrap();
    b.history(leader, id).await.unwrap();
    assert_eq!(looks_by(&house, id, leader).await[2..], [Thing::Form, Thing::History]);
    // Another's looks are their own, and everything is in the log with its reason.
    b.request(AUDITOR, id).await.unwrap();
    assert_eq!(looks_by(&house, id, AUDITOR).await, [Thing::Form]);
    assert!(house.looks(id).await.iter().all(|l| !l.why.is_empty()));
    let told = b.history(AUDITOR, id).await.unwrap();
    assert_eq!(told.iter().filter(|l| l.look).count(), house.looks(id).await.len());
    house.holds().await;
}

#[tokio::test]
async fn d5_whoever_compares_or_answers_leaves_a_trace_of_every_picture_and_biography() {
    let house = House::new().await;
    let id = house.matched(form(PASSPORT)).await;
    let request = house.open(id).await;
    let (candidate, _) = the_match(&request);
    let image = request.probes[0].id;
    for examiner in &desk(PASSPORT).examiners[..2] {
        let looks = looks_by(&house, id, *examiner).await;
        for thing in [Thing::Probe(image), Thing::CandidateImage(candidate), Thing::Biography(candidate)] {
            assert!(looks.contains(&thing), "{thing:?} of {looks:?}");
        }
        let blind = looks.iter().position(|t| *t == Thing::CandidateImage(candidate)).unwrap();
        let informed = looks.iter().position(|t| matches!(t, Thing::Biography(_))).unwrap();
        assert!(blind < informed, "blind first: {looks:?}");
    }
    assert!(looks_by(&house, id, desk(PASSPORT).assessors[0]).await.contains(&Thing::Biography(candidate)));
    house.bureau.answer_image(REQUESTER, id, candidate).await.unwrap();
    let looks = looks_by(&house, id, REQUESTER).await;
    assert!(looks.contains(&Thing::Answer) && looks.contains(&Thing::CandidateImage(candidate)), "{looks:?}");
}

#[tokio::test]
async fn d5_what_cannot_be_recorded_is_not_served() {
    let house = House::new().await;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let image = house.open(id).await.probes[0].id;
    house.sql("CREATE TRIGGER no_looks BEFORE INSERT ON event WHEN NEW.kind = 'consulted' BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    let leader = desk(PASSPORT).leader;
    assert!(matches!(house.bureau.probe_image(leader, id, image).await, Err(BureauError::Store(_))));
    assert!(matches!(house.bureau.request(leader, id).await, Err(BureauError::Store(_))));
    assert!(matches!(house.bureau.history(leader, id).await, Err(BureauError::Store(_))));
    // Nor is it remembered as recorded.
    house.sql("DROP TRIGGER no_looks").await;
    house.bureau.probe_image(leader, id, image).await.unwrap();
    assert_eq!(looks_by(&house, id, leader).await, [Thing::Probe(image)]);
}

#[tokio::test]
async fn d5_reading_the_log_and_looking_somebody_up_is_recorded_too() {
    let house = House::new().await;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let b = &house.bureau;
    let before = b.store().version(StreamId::House).await.unwrap();
    let found = b.look_up(desk(PASSPORT).leader, &id.reference()).await.unwrap();
    assert_eq!(found.iter().map(|l| l.id).collect::<Vec<_>>(), [id]);
    b.ledger(AUDITOR, EntryFilter { limit: 10, ..EntryFilter::default() }).await.unwrap();
    b.verify_for(AUDITOR).await.unwrap();
    assert_eq!(b.store().version(StreamId::House).await.unwrap(), before + 3);
    refusals(b.look_up(desk(PASSPORT).examiners[0], &id.reference()).await);
    refusals(b.verify_for(desk(PASSPORT).leader).await);
}

#[tokio::test]
async fn d1_nothing_personal_lies_in_clear_in_the_data_folder() {
    let house = House::new().await;
    let id = house.matched(form(PASSPORT)).await;
    // And a draft, a look-up, and an image that nobody has sent yet.
    house.drafted(REQUESTER, Form { investigation: "OP-CANARY-DRAFT".into(), ..form(PASSPORT) }, &probe(), 0).await;
    house.bureau.look_up(desk(PASSPORT).leader, "OP-CANARY-1").await.unwrap();
    house.bureau.verify().await.unwrap();
    let name = house.bureau.answer(REQUESTER, id).await.unwrap();
    assert!(format!("{name:?}").contains("Zephyrine Canary"), "the canary is in what was shared, so it was stored");
    // As written, and as hexadecimal or UTF-16 would carry it.
    let words = [
        "Canaryoffence",
        "Canaryperson",
        "Canary-",
        "CANARYPASS",
        "Canarywharf",
        "OP-CANARY",
        "opcanary",
        "anarious",
        "canariously",
        "Example",
    ];
    let mut needles: Vec<(String, Vec<u8>)> = vec![];
    for word in words {
        needles.push((word.into(), word.as_bytes().to_vec()));
        needles.push((format!("{word} in hexadecimal"), word.bytes().flat_map(|b| format!("{b:02x}").into_bytes()).collect()));
        needles.push((format!("{word} in UTF-16"), word.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    }
    needles.push(("a JPEG's first bytes".into(), vec![0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10, b'J', b'F', b'I', b'F']));
    needles.push(("a part of the probe's file".into(), probe()[20_000..20_032].to_vec()));
    let looked = files(&house.folder.path().join("store"));
    assert!(looked.iter().any(|(p, _)| p.ends_with("records.db")) && looked.len() > 6);
    for (path, bytes) in &looked {
        for (what, needle) in &needles {
            assert!(!holds_bytes(bytes, needle), "{} holds {what}", path.display());
        }
        assert!(!bytes.starts_with(&[0xFF, 0xD8, 0xFF]) && !bytes.starts_with(b"\x89PNG"), "{}", path.display());
    }
    // The galleries' files hold templates and attributes, no words.
    for (path, bytes) in files(&house.folder.path().join("galleries")) {
        assert!(!holds_bytes(&bytes, b"Canary") && !holds_bytes(&bytes, b"CANARY"), "{}", path.display());
    }
}

#[tokio::test]
async fn d1_the_master_key_is_needed_to_open_anything() {
    let house = House::new().await;
    house.received(form(PASSPORT), SOUGHT).await;
    let key = house.folder.path().join("store/secrets/master.key");
    let bytes = std::fs::read(&key).unwrap();
    let mut other = bytes.clone();
    let at = other.len() / 2;
    other[at] ^= 1;
    std::fs::write(&key, other).unwrap();
    house.bureau.store().clone().close().await;
    assert!(store::Store::open(&house.folder.path().join("store")).await.is_err());
    std::fs::write(&key, bytes).unwrap();
    store::Store::open(&house.folder.path().join("store")).await.unwrap();
}

#[tokio::test]
async fn d5_whatever_is_changed_behind_the_product_is_named() {
    let house = House::new().await;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    house.holds().await;
    house.sql("CREATE TABLE kept AS SELECT * FROM event").await;
    let name = id.to_string();
    for (statement, mend, expected) in [
        (
            "UPDATE event SET header = replace(header, '\"kind\":\"approved\"', '\"kind\":\"returned\"') WHERE kind = 'approved'",
            "UPDATE event SET header = replace(header, '\"kind\":\"returned\"', '\"kind\":\"approved\"') WHERE kind = 'approved'",
            "its header, its place or its commitment was changed",
        ),
        (
            "UPDATE event SET outcome = 'urgent' WHERE kind = 'received'",
            "UPDATE event SET outcome = NULL WHERE kind = 'received'",
            "the columns searched by disagree with its header",
        ),
        (
            "UPDATE event SET sealed = zeroblob(length(sealed)) WHERE kind = 'prepared'",
            "UPDATE event SET sealed = (SELECT k.sealed FROM kept k WHERE k.position = event.position)",
            "its sealed payload does not open",
        ),
        (
            "UPDATE event SET sealed = NULL WHERE kind = 'prepared'",
            "UPDATE event SET sealed = (SELECT k.sealed FROM kept k WHERE k.position = event.position)",
            "it was never erased",
        ),
        (
            "DELETE FROM event WHERE kind = 'received'",
            "INSERT INTO event SELECT * FROM kept WHERE kind = 'received'",
            "it has 3 events, its version says 4",
        ),
    ] {
        assert!(house.sql(statement).await >= 1, "{statement}");
        let verified = house.bureau.verify().await.unwrap();
        let fault = verified.fault.unwrap_or_default();
        let named = fault.contains(&name) || fault.contains("leaf");
        assert!(
            !verified.verified && named && (fault.contains(expected) || fault.contains("no event has this place")),
            "{statement}: {fault}"
        );
        house.sql(mend).await;
        house.holds().await;
    }
    // An image that is part of the record.
    let blob = files(&house.folder.path().join("store/blobs")).pop().unwrap();
    std::fs::write(&blob.0, &blob.1[..blob.1.len() - 1]).unwrap();
    let fault = house.bureau.verify().await.unwrap().fault.unwrap_or_default();
    assert!(fault.contains("missing or changed") && fault.contains(&name), "{fault}");
    std::fs::write(&blob.0, &blob.1).unwrap();
    // A checkpoint signed by somebody else, and a tree that lost its newest leaf.
    house.sql("UPDATE checkpoint SET note = replace(note, 'example.test', 'example.fake')").await;
    assert!(house.bureau.verify().await.unwrap().fault.unwrap_or_default().contains("checkpoint"));
}

#[tokio::test]
async fn d5_a_row_that_its_events_do_not_lead_to_is_named_by_replay() {
    let house = House::new().await;
    let id = house.authorised(form(PASSPORT), SOUGHT).await.0;
    house.holds().await;
    house.sql("CREATE TABLE kept AS SELECT * FROM request_row").await;
    for statement in [
        "UPDATE request_row SET state = 'closed'",
        "UPDATE request_row SET urgent = 1",
        "UPDATE request_row SET sensitive = 1",
        "UPDATE request_row SET assignee = requester",
        "UPDATE request_row SET gallery = 'immigration'",
        "UPDATE request_row SET due_at = due_at + 86400000000",
        "UPDATE request_row SET received_at = received_at - 1",
        "UPDATE request_row SET flags = replace(flags, 'false', 'true')",
        "UPDATE request_row SET version = version + 1",
        "INSERT INTO request_people SELECT request, requester, 'examiner' FROM request_row",
        "DELETE FROM request_people WHERE role = 'assessor'",
        "DELETE FROM request_row",
    ] {
        assert!(house.sql(statement).await >= 1, "{statement}");
        assert_eq!(house.bureau.replay().await.unwrap().differing, [id.reference()], "{statement}");
        house.sql("DELETE FROM request_row").await;
        house.sql("INSERT INTO request_row SELECT * FROM kept").await;
        house.sql("DELETE FROM request_people WHERE role = 'examiner'").await;
        house.sql("INSERT OR IGNORE INTO request_people SELECT request, assignee, 'assessor' FROM request_row").await;
        assert!(house.bureau.replay().await.unwrap().differing.is_empty(), "mended after {statement}");
    }
}

#[tokio::test]
async fn d3_candidates_that_nobody_confirmed_go_at_the_conclusion() {
    let house = House::new().await;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    let store = house.bureau.store().clone();
    let listed = |records: Vec<casework::record::OpenedRecord>| records.into_iter().find(|r| r.header.kind == "listed").unwrap();
    assert!(listed(store.load(StreamId::Request(id)).await.unwrap()).payload.is_some());
    house.answer(id, probe).await;
    let request = house.open(id).await;
    assert!(request.erased.contains(&RetentionClass::Candidates));
    let record = listed(store.load(StreamId::Request(id)).await.unwrap());
    assert!(record.payload.is_none(), "the list and its scores are gone");
    let facts = request.probe(probe).unwrap().facts.clone().expect("how it was searched is the record");
    assert_eq!(facts.searched, house.bureau.gallery(PASSPORT).unwrap().len());
    // The match is kept: it can still be answered with.
    let (candidate, _) = the_match(&request);
    house.bureau.answer(REQUESTER, id).await.unwrap();
    assert!(!house.bureau.answer_image(REQUESTER, id, candidate).await.unwrap().is_empty());
    house.holds().await;
}

#[tokio::test]
async fn d3_a_draft_that_nobody_saves_goes_on_its_day_in_london() {
    let house = House::new().await;
    let b = &house.bureau;
    // The clock stands at 9:00 on 23 November 2026; sixty days later it is 22 January 2027.
    let (old, _) = house.drafted(REQUESTER, form(PASSPORT), &probe(), SOUGHT).await;
    let goes = b.draft(REQUESTER, old).await.unwrap().goes;
    assert_eq!(goes, "2027-01-22".parse().unwrap());
    let blobs = || files(&house.folder.path().join("store/blobs")).len();
    house.clock.forward(SignedDuration::from_hours(24 * 59 + 14) + SignedDuration::from_mins(59));
    b.tidy().await.unwrap();
    assert_eq!((b.drafts(REQUESTER).await.unwrap().len(), blobs()), (1, 2), "a minute before midnight it is there");
    let kept = b.new_draft(REQUESTER).await.unwrap();
    let version = b.save_draft(REQUESTER, kept, 1, form(PASSPORT)).await.unwrap();
    let returned = house.prepared(form(PASSPORT), SOUGHT).await;
    house.act(APPROVER, returned, Command::Return { reasons: "Say more.".into() }).await;
    b.edit_returned(REQUESTER, returned).await.unwrap();
    house.clock.forward(SignedDuration::from_mins(2));
    b.tidy().await.unwrap();
    let left: Vec<_> = b.drafts(REQUESTER).await.unwrap().iter().map(|d| d.id).collect();
    assert!(left.len() == 2 && left.contains(&kept) && left.contains(&returned) && !left.contains(&old), "{left:?}");
    assert_eq!(refusals(b.draft(REQUESTER, old).await), vec![casework::access::unknown()]);
    assert_eq!(blobs(), 2, "its images went with it; the returned request's stay");
    // Saving it begins its time anew; an edit of a returned request that goes leaves the request as it is.
    house.clock.days(59);
    b.save_draft(REQUESTER, kept, version, form(PASSPORT)).await.unwrap();
    house.clock.days(2);
    b.tidy().await.unwrap();
    assert_eq!(b.drafts(REQUESTER).await.unwrap().iter().map(|d| d.id).collect::<Vec<_>>(), [kept]);
    assert!(house.open(returned).await.form.is_some());
    house.holds().await;
}

#[tokio::test]
async fn o10_what_was_answered_stays_what_it_was_whatever_changes_in_the_gallery() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    house.answer(id, probe).await;
    let (candidate, _) = the_match(&house.open(id).await);
    let (answer, picture) = (b.answer(REQUESTER, id).await.unwrap(), b.answer_image(REQUESTER, id, candidate).await.unwrap());
    assert!(format!("{answer:?}").contains("Zephyrine Canary") && answer.recipient() == "Amina Example", "{answer:?}");
    // Everything that the gallery holds goes, and somebody else takes each reference.
    assert!(house.sql("DELETE FROM holding_image").await > 0);
    assert!(house.sql("DELETE FROM holding").await > 0);
    assert_eq!(b.answer(REQUESTER, id).await.unwrap(), answer);
    assert_eq!(b.answer_image(REQUESTER, id, candidate).await.unwrap(), picture);
    assert_eq!(b.preview(desk(PASSPORT).leader, id).await.unwrap(), answer, "staff see what left, too");
    for staff in [desk(PASSPORT).leader, desk(PASSPORT).assessors[0]] {
        assert_eq!(b.match_image(staff, id, candidate).await.unwrap().as_ref(), Some(&picture), "and its picture");
    }
    refusals(b.match_image(REQUESTER, id, candidate).await);
    refusals(b.match_image(desk(PASSPORT).assessors[1], id, candidate).await);
    let house = house.reopened(&[PASSPORT, GalleryId::Immigration]).await;
    let b = &house.bureau;
    assert_eq!(b.answer(REQUESTER, id).await.unwrap(), answer);
    house.holds().await;
    // A picture that is not the one that left is not served as if it were.
    let name = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    let sealed = house.open(id).await.disclosed.unwrap().picture(candidate).unwrap();
    let blobs = files(&house.folder.path().join("store/blobs"));
    let (path, bytes) = blobs.iter().find(|(p, _)| p.to_string_lossy().replace('-', "").contains(&name(sealed.blob.as_bytes()))).unwrap();
    std::fs::write(path, [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat()).unwrap();
    assert!(b.answer_image(REQUESTER, id, candidate).await.is_err());
    std::fs::write(path, bytes).unwrap();

    // It goes, pictures and all, thirty days after closing, and the record of it stays.
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    house.clock.days(29);
    house.work().await;
    b.answer(REQUESTER, id).await.unwrap();
    house.clock.days(2);
    house.work().await;
    assert!(matches!(b.answer(REQUESTER, id).await, Err(BureauError::Gone)));
    assert!(matches!(b.answer_image(REQUESTER, id, candidate).await, Err(BureauError::Gone)));
    assert!(b.store().get_blob(sealed.blob).await.unwrap().is_none());
    assert!(files(&house.folder.path().join("store/blobs")).is_empty());
    let record = b.store().load(StreamId::Request(id)).await.unwrap();
    let disclosed = record.iter().find(|r| r.header.kind == "disclosed").unwrap();
    assert!(disclosed.payload.is_none() && disclosed.header.class == RetentionClass::Disclosure);
    assert!(house.events(id).await.iter().any(|e| matches!(e, Event::Released { digest, .. } if digest.0 != [0; 32])));
    house.holds().await;
}

#[tokio::test]
async fn d3_images_go_thirty_days_and_the_record_six_years_after_closing() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.matched(form(PASSPORT)).await;
    let holder = desk(PASSPORT).assessors[0];
    house.act_and_work(holder, id, Command::Close).await;
    let image = house.open(id).await.probes[0].id;
    let blobs = || files(&house.folder.path().join("store/blobs")).len();
    assert_eq!(blobs(), 3, "the original, its rendering, and the picture that was shared");
    b.probe_image(REQUESTER, id, image).await.unwrap();
    house.clock.days(29);
    house.work().await;
    assert_eq!(blobs(), 3, "not before its time");

    house.clock.days(2);
    house.work().await;
    assert_eq!(blobs(), 0);
    assert!(house.open(id).await.erased.contains(&RetentionClass::Images));
    assert!(matches!(b.probe_image(REQUESTER, id, image).await, Err(BureauError::Gone)));
    assert!(b.request(REQUESTER, id).await.unwrap().form.is_some(), "the record stays");
    house.holds().await;
    // The same image in a later request is not remembered any more.
    let again = house.received(form(PASSPORT), SOUGHT).await;
    assert!(!house.open(again).await.image_seen_before);

    house.clock.days(6 * 365 - 40);
    house.work().await;
    assert!(house.open(id).await.form.is_some(), "not before its time");
    house.clock.days(45);
    house.work().await;
    let gone = house.open(id).await;
    assert_eq!((gone.state, gone.form.is_none(), gone.requester), (State::Erased, true, None));
    let records = b.store().load(StreamId::Request(id)).await.unwrap();
    let still: Vec<_> = records.iter().filter(|r| r.payload.is_some()).map(|r| r.header.kind.clone()).collect();
    assert!(still.is_empty() || still == ["erased"], "{still:?}");
    let row = b.store().queue_row(id).await.unwrap().expect("that it was there stays");
    assert!(row.people.is_empty() && row.requester.0.is_nil(), "nobody's part in it is left: {row:?}");
    assert_eq!((row.approver, row.assignee, row.state.as_str()), (None, None, "erased"));
    assert!(!b.store().queue_row(again).await.unwrap().unwrap().people.is_empty(), "another's row is untouched");
    assert!(house.looks(id).await.is_empty(), "who looked goes with what was looked at");
    assert!(b.look_up(desk(PASSPORT).leader, &id.reference()).await.unwrap().is_empty());
    refusals(b.request(REQUESTER, id).await);
    // The log still verifies, statistics still count it, and the other request is untouched.
    house.holds().await;
    let counts = b.statistics(AUDITOR).await.unwrap();
    assert!(format!("{counts:?}").contains("atch"), "{counts:?}");
    assert!(house.open(again).await.form.is_some());
}

#[tokio::test]
async fn d3_a_withdrawn_request_is_closed_and_forgotten_like_the_rest() {
    let house = House::new().await;
    let (id, _) = house.searched(form(PASSPORT), SOUGHT).await;
    house.act_and_work(REQUESTER, id, Command::Withdraw { reason: "He came in by himself.".into() }).await;
    assert!(house.open(id).await.erased.contains(&RetentionClass::Candidates));
    house.act_and_work(desk(PASSPORT).leader, id, Command::Close).await;
    house.clock.days(31);
    house.work().await;
    assert!(house.open(id).await.erased.contains(&RetentionClass::Images));
    assert!(files(&house.folder.path().join("store/blobs")).is_empty());
    house.holds().await;
}

#[tokio::test]
async fn d3_what_belongs_to_nothing_is_tidied_away_and_nothing_else() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(form(PASSPORT), SOUGHT).await;
    let (draft, version) = house.drafted(REQUESTER, form(PASSPORT), &probe(), 0).await;
    let orphan = b.store().put_blob(StreamId::Request(draft), RetentionClass::Images, b"half of a pair", b.now()).await.unwrap();
    b.tidy().await.unwrap();
    assert!(b.store().get_blob(orphan).await.unwrap().is_some(), "it may be on its way to its commit");
    house.clock.days(2);
    b.tidy().await.unwrap();
    assert!(b.store().get_blob(orphan).await.unwrap().is_none());
    let kept = b.draft(REQUESTER, draft).await.unwrap();
    b.draft_image(REQUESTER, draft, kept.form.images[0].probe).await.unwrap();
    assert_eq!(kept.version, version);
    b.probe_image(APPROVER, id, house.open(id).await.probes[0].id).await.unwrap();
    house.holds().await;
}

#[tokio::test]
async fn d3_nothing_outlives_the_record_whatever_failed_before() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.matched(form(PASSPORT)).await;
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    // The erasures of the images and of the answer are lost.
    assert_eq!(house.sql("DELETE FROM job WHERE kind = 'erase' AND payload NOT LIKE '%record%'").await, 2);
    house.clock.days(40);
    house.work().await;
    let blobs = || files(&house.folder.path().join("store/blobs")).len();
    assert_eq!(blobs(), 3, "the original, its rendering, and the picture that was shared");
    house.clock.days(6 * 366);
    house.work().await;
    assert_eq!((house.open(id).await.state, blobs()), (State::Erased, 0));
    let records = b.store().load(StreamId::Request(id)).await.unwrap();
    let still: Vec<_> = records.iter().filter(|r| r.payload.is_some()).map(|r| r.header.kind.clone()).collect();
    assert!(still.is_empty() || still == ["erased"], "{still:?}");
    house.holds().await;
}

#[tokio::test]
async fn d3_a_close_that_failed_for_good_is_tried_again_and_closes() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, _) = house.searched(form(PASSPORT), SOUGHT).await;
    house.act_and_work(REQUESTER, id, Command::Withdraw { reason: "He came in by himself.".into() }).await;
    house.sql("CREATE TRIGGER not_yet BEFORE INSERT ON event WHEN NEW.kind = 'closed' BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    house.clock.days(400);
    for _ in 0..bureau::work::ATTEMPTS_MAX {
        b.work("tests").await.unwrap();
        house.clock.forward(SignedDuration::from_hours(1));
    }
    house.sql("DROP TRIGGER not_yet").await;
    let leader = desk(PASSPORT).leader;
    let failed = b.failed_jobs(leader).await.unwrap();
    assert!(failed.iter().all(|j| j.kind == "close" && j.owed) && !failed.is_empty(), "{failed:?}");
    b.try_again(leader, failed[0].job).await.unwrap();
    house.work().await;
    assert_eq!(house.open(id).await.state, State::Closed);
    house.holds().await;
}

#[tokio::test]
async fn d5_an_answer_that_is_gone_was_not_opened() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    house.answer(id, probe).await;
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    house.clock.days(31);
    house.work().await;
    let looks = looks_by(&house, id, REQUESTER).await;
    assert!(matches!(b.answer(REQUESTER, id).await, Err(BureauError::Gone)));
    assert_eq!(looks_by(&house, id, REQUESTER).await, looks);
    assert_eq!(house.open(id).await.collected_at, None);
}

#[tokio::test]
async fn v3_found_vulnerable_after_it_left_is_said_beside_the_answer() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.matched(form(PASSPORT)).await;
    let holder = desk(PASSPORT).assessors[0];
    let left = b.answer(REQUESTER, id).await.unwrap();
    assert!(!left.sensitive && left.besides.is_empty());
    house.act(holder, id, Command::FlagVulnerable { words: "The name was changed.".into() }).await;
    let now = b.answer(REQUESTER, id).await.unwrap();
    assert_eq!((now.sensitive, now.besides.iter().map(|c| c.0).collect::<Vec<_>>()), (true, vec![Clause::V3]));
    assert_eq!(*now, *left, "what left stays what it was");
    assert_eq!(b.preview(holder, id).await.unwrap(), now);
}

#[tokio::test]
async fn o10_one_person_on_two_images_is_answered_on_each_as_decided_there() {
    let house = House::new().await;
    let b = &house.bureau;
    let (draft, version) = house.drafted(REQUESTER, form(PASSPORT), &probe(), SOUGHT).await;
    // The same photograph as another file: with a comment in it.
    let file = probe();
    let other = [&file[..2], &[0xFF, 0xFE, 0, 4, b'h', b'i'], &file[2..]].concat();
    let (version, image, _) = b.add_image(REQUESTER, draft, version, &other, None).await.unwrap();
    let version = b.describe_image(REQUESTER, draft, version, image, Some(SOUGHT), Some(Source::Unsupervised)).await.unwrap();
    let id = b.send(REQUESTER, draft, version, None).await.unwrap()[0];
    house.act_and_work(APPROVER, id, Command::Approve).await;
    house.authorise(id).await;
    let probes: Vec<_> = house.open(id).await.probes.iter().map(|p| p.id).collect();
    let holder = desk(PASSPORT).assessors[0];
    let mut assessment = World::new().assessment(PASSPORT);
    assessment.handling = Some(Handling::Ordinary);
    let authorisation = AuthorisationId::fixed(4711);
    let command = Command::Assess { probe: probes[1], assessment: Box::new(assessment), decision: Decision::Authorise, authorisation };
    house.act(holder, id, command).await;
    for (probe, pair) in probes.iter().zip(desk(PASSPORT).examiners.chunks(2)) {
        house.act_and_work(holder, id, Command::StartSearch { probe: *probe }).await;
        for examiner in pair {
            house.examine(*examiner, id, *probe).await;
        }
    }
    let request = house.open(id).await;
    let matched: Vec<_> = request.probes.iter().map(|p| p.matches().next().unwrap().clone()).collect();
    assert_eq!(matched[0].reference, matched[1].reference, "one person");
    let decided = [(true, BioField::Name), (false, BioField::DateOfBirth)];
    for p in &request.probes {
        for c in p.matches() {
            let (image, field) = decided[usize::from(p.id == probes[1])];
            let sharing = Sharing::Share { image, fields: vec![(field, "To trace him.".into())], reasons: "Grave harm.".into() };
            house.act(holder, id, Command::DecideSharing { probe: p.id, candidate: c.id, sharing }).await;
        }
    }
    house.act_and_work(holder, id, World::answer_command()).await;
    let answer = b.answer(REQUESTER, id).await.unwrap();
    for (said, (image, field)) in answer.probes().iter().zip(decided) {
        for s in &said.shared {
            assert_eq!((s.image, s.fields.iter().map(|f| f.0).collect::<Vec<_>>()), (image, vec![field]));
            assert_eq!(b.answer_image(REQUESTER, id, s.candidate).await.is_ok(), image);
        }
    }
    house.holds().await;
}

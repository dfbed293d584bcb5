//! What is kept and until when, through the real store: legal holds, the daily sweep, a clock set back, copies (D1, D3).

use crate::{
    house::{House, SOUGHT, form, refusals},
    search::files,
};
use bureau::BureauError;
use casework::{
    calendar,
    command::Command,
    ids::RequestId,
    record::{GalleryId, RetentionClass, StreamId},
    request::State,
    retain,
    testing::{REQUESTER, desk},
};
use jiff::{SignedDuration, ToSpan as _};
use std::fs;

const PASSPORT: GalleryId = GalleryId::Passport;

async fn closed(house: &House) -> RequestId {
    let id = house.matched(form(PASSPORT)).await;
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    id
}

fn blobs(house: &House) -> usize {
    files(&house.folder.path().join("store/blobs")).len()
}

#[tokio::test]
async fn d3_a_legal_hold_keeps_images_and_record_and_shows_when_its_review_is_overdue() {
    let house = House::new().await;
    let b = &house.bureau;
    let d = desk(PASSPORT);
    let id = closed(&house).await;
    let other = closed(&house).await;
    let review = calendar::london_date(b.now()).checked_add(60.days()).unwrap();
    let owners = b.hold_owners(d.leader, id).await.unwrap();
    assert!(owners.iter().any(|(p, _)| *p == d.siao) && owners.iter().all(|(p, _)| *p != REQUESTER), "{owners:?}");
    refusals(b.hold_owners(d.assessors[0], id).await);
    house.act(d.leader, id, Command::PlaceHold { owner: d.siao, reason: "A court asks for it.".into(), review }).await;
    house.clock.days(366 * 6 + 1);
    house.work().await;
    b.tidy().await.unwrap();
    assert_eq!((house.open(id).await.state, house.open(other).await.state), (State::Closed, State::Erased));
    assert!(b.store().erased(StreamId::Request(id), RetentionClass::Images).await.unwrap().is_none());
    let image = house.open(id).await.probes[0].id;
    b.probe_image(d.leader, id, image).await.unwrap();
    let page = b.retention(d.siao, 1).await.unwrap();
    let [held] = &page.held[..] else { panic!("{:?}", page.held) };
    assert_eq!((held.line.id, held.owner.as_str(), held.review, held.overdue), (id, "Owner Example", review, true));
    assert!(page.lines.iter().any(|l| l.line.id == id && l.held && l.goes.iter().all(|g| g.2)), "due, and held");
    let outstanding = b.outstanding().await.unwrap();
    assert_eq!((outstanding.due.len(), &outstanding.held[..]), (0, &[(id.reference(), review, true)][..]));
    assert!(b.request(d.siao, id).await.unwrap().hold.is_some_and(|h| h.overdue));
    assert!(b.request(REQUESTER, id).await.unwrap().hold.is_none(), "the force is not told");
    house.holds().await;

    house.act_and_work(d.siao, id, Command::LiftHold { reason: "The court is done.".into() }).await;
    assert_eq!((house.open(id).await.state, blobs(&house)), (State::Erased, 0), "lifted, it goes at once");
    assert!(b.retention(d.siao, 1).await.unwrap().held.is_empty());
    house.holds().await;
}

#[tokio::test]
async fn d3_what_has_lost_its_job_goes_with_the_daily_sweep_and_a_stop_half_way_is_gone_on_from() {
    let house = House::new().await;
    let b = &house.bureau;
    let (one, two) = (closed(&house).await, closed(&house).await);
    house.sql("DELETE FROM job").await;
    house.clock.days(31);
    house.work().await;
    let due = b.outstanding().await.unwrap().due;
    let told: Vec<_> = due.iter().map(|d| (d.request, d.class)).collect();
    for id in [one, two] {
        for class in [RetentionClass::Images, RetentionClass::Disclosure] {
            assert!(told.contains(&(id, class)), "{told:?}");
        }
    }
    assert!(due.iter().all(|d| d.rule == Some(b.policy().retention[0].from) && d.clause.to_string() == "D3"));
    // Stopped in the middle: the third of the four fails, and nothing that was done is undone.
    house.sql("CREATE TRIGGER third BEFORE INSERT ON erasure WHEN (SELECT count(DISTINCT stream || class) FROM erasure) >= 4 BEGIN SELECT RAISE(ABORT, 'stopped'); END").await;
    let (done, failed) = b.erase_due().await.unwrap();
    assert!(failed > 0 && done + failed == 4, "{done} done, {failed} failed");
    house.sql("DROP TRIGGER third").await;
    house.clock.forward(SignedDuration::from_hours(1));
    house.work().await; // what was recorded as gone is owed by a job
    b.tidy().await.unwrap();
    assert_eq!((b.outstanding().await.unwrap().due.len(), blobs(&house)), (0, 0));
    assert_eq!(b.erase_due().await.unwrap(), (0, 0), "once");
    house.holds().await;
}

/// Smaller than the simulated decade of the policy's own tests, and through the whole house: jobs, store, clock.
#[tokio::test]
async fn d3_each_class_goes_on_its_london_day() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = closed(&house).await;
    house.clock.forward(SignedDuration::from_hours(30));
    let (withdrawn, _) = house.searched(form(PASSPORT), SOUGHT).await;
    house.act_and_work(REQUESTER, withdrawn, Command::Withdraw { reason: "He came in by himself.".into() }).await;
    house.act_and_work(desk(PASSPORT).leader, withdrawn, Command::Close).await;
    let mut expected = vec![];
    for request in [id, withdrawn] {
        expected.extend(retain::schedule(&house.open(request).await, b.policy()).into_iter().map(|(class, on)| (request, class, on)));
    }
    let started = b.now();
    // By the hour around each of the days, in leaps between them.
    let mut days: Vec<_> = expected.iter().map(|e| e.2).collect();
    days.sort_unstable();
    days.dedup();
    for day in days {
        let before = calendar::start_of(day.checked_sub(1.day()).unwrap());
        house.clock.forward(before.duration_since(b.now()).max(SignedDuration::ZERO));
        for _ in 0..50 {
            house.work().await;
            house.clock.forward(SignedDuration::from_hours(1));
        }
    }
    for (request, class, on) in expected {
        let at = b.store().erased(StreamId::Request(request), class).await.unwrap().unwrap_or(started);
        let after = at.duration_since(calendar::start_of(on));
        assert!(after >= SignedDuration::ZERO && after < SignedDuration::from_hours(24), "{class}: due {on}, went {at}");
    }
    house.holds().await;
}

#[tokio::test]
async fn d3_with_the_clock_set_back_nothing_is_kept_for_less_than_its_time() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.matched(form(PASSPORT)).await;
    house.clock.days(10);
    house.received(form(PASSPORT), SOUGHT).await; // the last thing recorded before the clock goes wrong
    let last = b.store().last_recorded().await.unwrap().unwrap();
    house.clock.days(-300);
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    assert_eq!(house.open(id).await.closed_at, Some(last));
    let (draft, _) = house.drafted(REQUESTER, form(PASSPORT), &crate::house::probe(), 0).await;
    assert!(b.draft(REQUESTER, draft).await.unwrap().goes > calendar::london_date(last));
    house.clock.days(300 + 29);
    house.work().await;
    b.tidy().await.unwrap();
    assert!(!house.open(id).await.erased.contains(&RetentionClass::Images), "29 days after the day that was recorded last");
    b.draft(REQUESTER, draft).await.unwrap();
    house.clock.days(2);
    house.work().await;
    assert!(house.open(id).await.erased.contains(&RetentionClass::Images));
    house.holds().await;
}

#[tokio::test]
async fn d1_old_records_brought_back_beside_todays_keys_bring_back_nothing_that_was_erased() {
    let house = House::new().await;
    let id = closed(&house).await;
    let image = house.open(id).await.probes[0].id;
    let copy = house.folder.path().join("copy");
    house.bureau.copy(&copy, None).await.unwrap();
    house.clock.days(31);
    house.work().await;
    house.bureau.tidy().await.unwrap();
    assert!(matches!(house.bureau.probe_image(desk(PASSPORT).leader, id, image).await, Err(BureauError::Gone)));
    let House { bureau, clock, folder } = house;
    bureau.store().clone().close().await;
    drop(bureau);
    let store = folder.path().join("store");
    for name in ["records.db", "records.db-wal", "records.db-shm"] {
        let _ = fs::remove_file(store.join(name)); // a clean close leaves the first only
    }
    fs::remove_dir_all(store.join("blobs")).unwrap();
    assert!(matches!(store::Store::restore(&copy, None, &store, false).await, Err(store::StoreError::LogForked { .. })));
    let (restored, told) = store::Store::restore(&copy, None, &store, true).await.unwrap();
    assert!(told.stays_erased >= 2 && told.lost_up_to.is_some(), "{told:?}");
    restored.close().await;
    let house = House::opened(folder, clock).await;
    house.bureau.note_restored(&told).await.unwrap();
    let b = &house.bureau;
    assert!(matches!(b.probe_image(desk(PASSPORT).leader, id, image).await, Err(BureauError::Gone)), "the picture stays gone");
    assert!(matches!(b.answer(REQUESTER, id).await, Err(BureauError::Gone)), "and the answer");
    assert!(b.request(REQUESTER, id).await.unwrap().form.is_some(), "the record was not erased");
    assert_eq!(blobs(&house), 0);
    house.holds().await;
    // What is due by now is recorded as gone again.
    house.work().await;
    b.erase_due().await.unwrap();
    assert!(house.open(id).await.erased.contains(&RetentionClass::Images));
    house.holds().await;
}

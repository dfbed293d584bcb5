use crate::{at, behind, fresh, record, request, row};
use casework::ids::{LeoId, PersonId, RequestId};
use casework::record::GalleryId;
use store::queue::HELD;
use store::{Assigned, Commit, Counts, QUEUE_COUNT_LIMIT, QUEUE_PAGE_LIMIT, QueueFilter, QueueOrder, QueueRow, Store, StoreError, Viewer};

async fn put(store: &Store, row: QueueRow) {
    let n = row.request.0.as_u128();
    let version = store.version(request(n)).await.unwrap();
    let commit = Commit { row: Some(row), ..Commit::new(request(n), version, vec![record("noted", b"x")]) };
    store.commit(commit).await.unwrap();
}

async fn ids(store: &Store, filter: &QueueFilter) -> (Vec<u128>, u64) {
    let (rows, total) = store.queue(filter).await.unwrap();
    (rows.iter().map(|r| r.request.0.as_u128()).collect(), total)
}

fn states(states: &[&str]) -> Vec<String> {
    states.iter().map(|s| (*s).to_owned()).collect()
}

#[tokio::test]
async fn urgent_first_then_oldest_and_the_other_filters() {
    let (_dir, store) = fresh().await;
    let (me, other) = (PersonId::fixed(7), PersonId::fixed(8));
    put(&store, row(1, "received")).await;
    put(&store, QueueRow { urgent: true, ..row(2, "received") }).await;
    put(&store, QueueRow { assignee: Some(me), ..row(3, "assessing") }).await;
    put(&store, QueueRow { gallery: GalleryId::Immigration, ..row(4, "received") }).await;
    put(&store, QueueRow { requester: other, urgent: true, ..row(5, "answered") }).await;
    let all = QueueFilter::default;

    assert_eq!(ids(&store, &all()).await, (vec![2, 5, 1, 3, 4], 5));
    let newest = QueueFilter { order: QueueOrder::NewestFirst, ..all() };
    assert_eq!(ids(&store, &newest).await, (vec![5, 4, 3, 2, 1], 5));
    let two = QueueFilter { states: states(&["received", "assessing", "received"]), ..all() };
    assert_eq!(ids(&store, &two).await, (vec![2, 1, 3, 4], 4));
    let page = QueueFilter { limit: 2, offset: 1, ..two };
    assert_eq!(ids(&store, &page).await, (vec![1, 3], 4));
    let passport = QueueFilter { gallery: Some(GalleryId::Passport), ..all() };
    assert_eq!(ids(&store, &passport).await, (vec![2, 5, 1, 3], 4));
    let free = QueueFilter { assigned: Assigned::Nobody, states: states(&["received"]), ..passport };
    assert_eq!(ids(&store, &free).await, (vec![2, 1], 2));
    let mine = QueueFilter { assigned: Assigned::To(me), ..all() };
    assert_eq!(ids(&store, &mine).await, (vec![3], 1));
    let theirs = QueueFilter { requester: Some(other), ..all() };
    assert_eq!(ids(&store, &theirs).await, (vec![5], 1));

    let counts = store.counts(None).await.unwrap();
    let count = |gallery, state: &str, number| Counts { gallery, state: state.into(), number };
    assert_eq!(
        counts,
        [
            count(GalleryId::Passport, "answered", 1),
            count(GalleryId::Passport, "assessing", 1),
            count(GalleryId::Passport, "received", 2),
            count(GalleryId::Immigration, "received", 1),
        ]
    );
    // Moving on moves the count.
    put(&store, row(1, "assessing")).await;
    let counts = store.counts(None).await.unwrap();
    assert!(counts.contains(&count(GalleryId::Passport, "assessing", 2)));
    assert!(counts.contains(&count(GalleryId::Passport, "received", 1)));
    let moved = store.queue_row(RequestId::fixed(1)).await.unwrap().unwrap();
    assert_eq!((moved.version, moved.state.as_str()), (2, "assessing"));
}

/// V1: whoever has no part in a sensitive request can't tell that it exists, by list, total or count.
#[tokio::test]
async fn sensitive_requests_are_for_those_with_a_part() {
    let (_dir, store) = fresh().await;
    let (me, other) = (PersonId::fixed(7), PersonId::fixed(8));
    put(&store, row(1, "received")).await;
    let people = vec![(me, "assessor".to_owned()), (me, "releaser".to_owned())];
    put(&store, QueueRow { sensitive: true, people: people.clone(), ..row(2, "received") }).await;

    let seen_by = |who: Option<PersonId>| QueueFilter { viewer: who.map(Viewer::only), ..QueueFilter::default() };
    assert_eq!(ids(&store, &seen_by(None)).await, (vec![1], 1));
    assert_eq!(ids(&store, &seen_by(Some(other))).await, (vec![1], 1));
    assert_eq!(ids(&store, &seen_by(Some(me))).await, (vec![1, 2], 2));
    assert_eq!(store.counts(Some(Viewer::only(other))).await.unwrap()[0].number, 1);
    assert_eq!(store.counts(Some(Viewer::only(me))).await.unwrap()[0].number, 2);

    let part = |role: Option<&str>| QueueFilter { involving: Some((me, role.map(str::to_owned))), ..seen_by(Some(me)) };
    assert_eq!(ids(&store, &part(None)).await, (vec![2], 1));
    assert_eq!(ids(&store, &part(Some("assessor"))).await, (vec![2], 1));
    assert_eq!(ids(&store, &part(Some("examiner"))).await, (vec![], 0));
    let (rows, _) = store.queue(&part(None)).await.unwrap();
    assert_eq!(rows[0].people, people);

    // Found to be vulnerable later: gone from the others' lists and counts at once (V0).
    let only_other = vec![(other, "requester".to_owned())];
    put(&store, QueueRow { sensitive: true, people: only_other, ..row(1, "received") }).await;
    assert_eq!(ids(&store, &seen_by(Some(me))).await, (vec![2], 1));
    assert_eq!(ids(&store, &seen_by(None)).await, (vec![], 0));
    assert!(store.counts(None).await.unwrap().is_empty());

    // Offices are asked at each look; holding a request counts while one holds it.
    put(&store, QueueRow { sensitive: true, people: vec![(other, HELD.to_owned())], ..row(3, "awaiting-approval") }).await;
    let (stranger, leo) = (Viewer::only(PersonId::fixed(9)), LeoId::fixed(1));
    let viewers = [
        (stranger, vec![]),
        (Viewer { sees_all: true, ..stranger }, vec![1, 2, 3]),
        (Viewer { oversees: Some(GalleryId::Passport), ..stranger }, vec![1, 2, 3]),
        (Viewer { oversees: Some(GalleryId::Immigration), ..stranger }, vec![]),
        (Viewer { approves_for: Some(leo), ..stranger }, vec![3]),
        (Viewer { approves_for: Some(LeoId::fixed(2)), ..stranger }, vec![]),
        (Viewer::only(other), vec![1]),
    ];
    for (viewer, expected) in viewers {
        let filter = QueueFilter { viewer: Some(viewer), ..QueueFilter::default() };
        assert_eq!(ids(&store, &filter).await, (expected.clone(), expected.len() as u64), "{viewer:?}");
        let counted: u64 = store.counts(Some(viewer)).await.unwrap().iter().map(|c| c.number).sum();
        assert_eq!(counted, expected.len() as u64, "{viewer:?}");
        for n in 1..=3 {
            let row = store.queue_row(RequestId::fixed(n)).await.unwrap().unwrap();
            assert_eq!(viewer.sees(&row), expected.contains(&n), "one rule, asked in two ways: {viewer:?} {n}");
        }
    }
    put(&store, QueueRow { sensitive: true, assignee: Some(other), people: vec![(other, HELD.to_owned())], ..row(3, "assessing") }).await;
    assert_eq!(ids(&store, &seen_by(Some(other))).await, (vec![1, 3], 2));
}

/// Ten thousand requests: the page is right, and totals stop at the documented limit.
#[tokio::test]
async fn ten_thousand_requests() {
    let (_dir, store) = fresh().await;
    put(&store, QueueRow { urgent: true, ..row(1, "received") }).await;
    let db = behind(&store, "records.db").await;
    sqlx::query(crate::MANY_REQUESTS).execute(&db).await.unwrap();
    let filter = QueueFilter { gallery: Some(GalleryId::Passport), states: states(&["received"]), ..QueueFilter::default() };
    let (rows, total) = store.queue(&filter).await.unwrap();
    assert_eq!((rows.len(), total), (50, u64::from(QUEUE_COUNT_LIMIT)));
    assert!(rows[0].urgent && rows[1..].is_sorted_by_key(|r| r.received_at));
    assert!(rows.iter().all(|r| r.state == "received"));

    let too_long = QueueFilter { limit: QUEUE_PAGE_LIMIT + 1, ..filter.clone() };
    assert!(matches!(store.queue(&too_long).await, Err(StoreError::TooLarge { .. })));
    let edge = QueueFilter { limit: QUEUE_PAGE_LIMIT, offset: QUEUE_COUNT_LIMIT, ..filter.clone() };
    assert_eq!(store.queue(&edge).await.unwrap().0.len(), QUEUE_PAGE_LIMIT as usize);
    let too_far = QueueFilter { offset: QUEUE_COUNT_LIMIT + 1, ..filter };
    assert!(matches!(store.queue(&too_far).await, Err(StoreError::TooLarge { .. })));
    assert_eq!(rows[0].received_at, at(1));
}

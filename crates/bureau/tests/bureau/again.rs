//! Asked again after nothing was heard of the answer (the server was killed): done once, and no failure.

use crate::house::{House, form, photograph, probe};
use bureau::BureauError;
use casework::{
    form::{Field, Form, Source},
    record::GalleryId,
    testing::{REQUESTER, desk},
};

const PASSPORT: GalleryId = GalleryId::Passport;

#[tokio::test]
async fn every_step_on_a_draft_may_be_asked_again() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = b.new_draft(REQUESTER).await.unwrap();
    assert_eq!(b.new_draft(REQUESTER).await.unwrap(), id, "an empty form is begun once");

    let typed = form(PASSPORT);
    assert_eq!(b.save_draft(REQUESTER, id, 1, typed.clone()).await.unwrap(), 2);
    assert_eq!(b.save_draft(REQUESTER, id, 1, typed.clone()).await.unwrap(), 2);
    // Another tab that says something else is still told.
    let other = Form { harm: "Something else.".into(), ..typed };
    assert!(matches!(b.save_draft(REQUESTER, id, 1, other).await, Err(BureauError::Overtaken)));
    assert_ne!(b.new_draft(REQUESTER).await.unwrap(), id, "what was written in is not given again");

    let (version, image, _) = b.add_image(REQUESTER, id, 2, &probe(), None).await.unwrap();
    let (again, same, _) = b.add_image(REQUESTER, id, 2, &probe(), None).await.unwrap();
    assert_eq!((again, same), (version, image));
    // Chosen again on the page as it is now, it is said to be there.
    assert!(matches!(b.add_image(REQUESTER, id, version, &probe(), None).await, Err(BureauError::Refused(_))));
    // Of two files sent together, the first had been taken in before the kill.
    let (third, ..) = b.add_image(REQUESTER, id, again, &photograph("sample5.jpg"), None).await.unwrap();

    let described = async || b.describe_image(REQUESTER, id, third, image, Some(1), Some(Source::Unsupervised)).await.unwrap();
    assert_eq!(described().await, described().await);
    let version = third + 1;
    assert_eq!(b.remove_image(REQUESTER, id, version, image).await.unwrap(), version + 1);
    assert_eq!(b.remove_image(REQUESTER, id, version, image).await.unwrap(), version + 1);
    assert!(b.remove_image(REQUESTER, id, version + 1, image).await.is_err(), "the page as it is now has no such image");
    assert_eq!(b.draft(REQUESTER, id).await.unwrap().form.images.len(), 1);
}

#[tokio::test]
async fn a_rejected_form_is_copied_once_until_the_copy_is_written_in() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(form(PASSPORT), 1).await;
    let holder = desk(PASSPORT).assessors[0];
    house.act(holder, id, casework::command::Command::Take { no_conflict: true }).await;
    house.act(holder, id, casework::command::Command::Reject { missing: vec![(Field::Harm, "It does not say whose.".into())] }).await;
    let copy = b.copy_rejected(REQUESTER, id).await.unwrap();
    assert_eq!(b.copy_rejected(REQUESTER, id).await.unwrap(), copy);
    b.save_draft(REQUESTER, copy, 1, form(PASSPORT)).await.unwrap();
    assert_ne!(b.copy_rejected(REQUESTER, id).await.unwrap(), copy);
}

#[tokio::test]
async fn a_comparison_is_taken_up_once_however_often_it_is_asked_for() {
    let house = House::new().await;
    let (id, probe) = house.searched(form(PASSPORT), 1).await;
    let examiner = desk(PASSPORT).examiners[0];
    let first = house.bureau.take_up(examiner, id, probe).await.unwrap();
    let again = house.bureau.take_up(examiner, id, probe).await.unwrap();
    assert!(again.events.is_empty() && again.request.version == first.request.version);
}

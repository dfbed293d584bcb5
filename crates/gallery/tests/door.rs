//! What is refused, and with which reason.

#![allow(clippy::unwrap_used)] // in helpers too: a test that cannot go on says where

mod common;

use common::{Random, model, probe, threads};
use gallery::{Error, Gallery, LocalGallery, ModelId, NewReference, Probe, Refusal, RefusedReference, SearchLimits};

fn reference(n: u8, template: &[f32]) -> NewReference {
    NewReference { id: [n; 16], template: template.to_vec(), attributes: Default::default() }
}

#[test]
fn a_batch_is_refused_whole_with_every_reason() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), 2, threads(1)).unwrap();
    gallery.append(&model(), &[reference(1, &[1.0, 0.0])]).unwrap();
    let batch = [
        reference(2, &[0.0, 1.0]),
        reference(3, &[1.0, 0.0, 0.0]),
        reference(4, &[f32::NAN, 0.0]),
        reference(5, &[0.6, f32::INFINITY]),
        reference(6, &[0.0, 0.0]),
        reference(7, &[0.6, 0.7]),
        reference(1, &[0.6, 0.8]),
        reference(2, &[0.6, 0.8]),
        reference(8, &[]),
        reference(9, &[f32::MAX, f32::MAX]),
    ];
    let expected: Vec<(usize, Refusal)> = vec![
        (1, Refusal::WrongDimension { given: 3, expected: 2 }),
        (2, Refusal::NotFinite { component: 0 }),
        (3, Refusal::NotFinite { component: 1 }),
        (4, Refusal::NotUnit { length: 0.0 }),
        (5, Refusal::NotUnit { length: 0.921_954_437_287_295 }),
        (6, Refusal::AlreadyEnrolled),
        (7, Refusal::TwiceInBatch),
        (8, Refusal::WrongDimension { given: 0, expected: 2 }),
        (9, Refusal::NotUnit { length: f64::from(f32::MAX) * f64::sqrt(2.0) }),
    ];
    let close = |a: &RefusedReference, b: &(usize, Refusal)| {
        a.position == b.0
            && match (&a.refusal, &b.1) {
                (Refusal::NotUnit { length: a }, Refusal::NotUnit { length: b }) => (a - b).abs() <= 1e-6 * b,
                (a, b) => a == b,
            }
    };
    let Err(Error::Refused(refused)) = gallery.append(&model(), &batch) else { panic!("taken") };
    assert_eq!(refused.len(), expected.len(), "{refused:?}");
    assert!(refused.iter().zip(&expected).all(|(a, b)| close(a, b)), "{refused:?}");
    assert_eq!(gallery.check(&batch).unwrap(), refused);
    assert_eq!((gallery.len(), gallery.epoch()), (1, 1), "nothing of the batch was enrolled");
    let text = Error::Refused(refused).to_string();
    assert!(text.contains("9 of the batch refused") && text.contains("position 1"), "{text}");
}

#[test]
fn lengths_at_the_tolerance() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), 1, threads(1)).unwrap();
    gallery.append(&model(), &[reference(1, &[1.000_09]), reference(2, &[-0.999_91])]).unwrap();
    for off in [1.000_2, 0.999_8] {
        let refused = gallery.check(&[reference(3, &[off])]).unwrap();
        assert!(matches!(refused[0].refusal, Refusal::NotUnit { .. }));
        assert!(matches!(Probe::new(model(), vec![off]), Err(Error::Probe(Refusal::NotUnit { .. }))));
    }
}

#[test]
fn another_models_templates_and_probes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = ModelId::new("test-net/2").unwrap();
    let limits = common::best(1);
    {
        let gallery = LocalGallery::create(folder.path(), &model(), 2, threads(1)).unwrap();
        let batch = [reference(1, &[1.0, 0.0])];
        assert!(matches!(gallery.append(&other, &batch), Err(Error::OtherModel { .. })));
        assert!(matches!(gallery.replace(&other, &batch), Err(Error::OtherModel { .. })));
        gallery.append(&model(), &batch).unwrap();
        let theirs = Probe::new(other.clone(), vec![1.0, 0.0]).unwrap();
        let refused = gallery.search(&theirs, &limits);
        assert!(matches!(refused, Err(Error::Probe(Refusal::OtherModel { .. }))));
        let long = probe(&[1.0, 0.0, 0.0]);
        let refused = gallery.search(&long, &limits);
        let expected = Refusal::WrongDimension { given: 3, expected: 2 };
        assert!(matches!(refused, Err(Error::Probe(r)) if r == expected));
    }
    let opened = LocalGallery::open(folder.path(), &other, threads(1));
    assert!(matches!(opened, Err(Error::OtherModel { gallery, asked })
        if gallery == "test-net/1" && asked == "test-net/2"));
    let opened = LocalGallery::open_for_search(folder.path(), &other, threads(1));
    assert!(matches!(opened, Err(Error::OtherModel { .. })));
    let opened = LocalGallery::open_or_create(folder.path(), &model(), 3, threads(1));
    assert!(matches!(opened, Err(Error::OtherDimension { gallery: 2, asked: 3 })));
}

#[test]
fn a_folder_is_a_gallery_or_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("a/b");
    let opened = LocalGallery::open(&inside, &model(), threads(1));
    assert!(matches!(opened, Err(Error::NotAGallery(_))));
    assert!(!inside.exists(), "asking made nothing");
    let made = LocalGallery::open_or_create(&inside, &model(), 2, threads(1)).unwrap();
    let again = LocalGallery::open(&inside, &model(), threads(1));
    assert!(matches!(again, Err(Error::InUse(_))), "a second writer");
    let again = LocalGallery::create(&inside, &model(), 2, threads(1));
    assert!(matches!(again, Err(Error::InUse(_))));
    drop(made);
    let again = LocalGallery::create(&inside, &model(), 2, threads(1));
    assert!(matches!(again, Err(Error::AlreadyThere(_))));
    LocalGallery::open(&inside, &model(), threads(1)).unwrap();
    let reader = LocalGallery::open_for_search(&inside, &model(), threads(1)).unwrap();
    assert!(matches!(reader.append(&model(), &[]), Err(Error::SearchOnly)));
    assert!(matches!(reader.replace(&model(), &[]), Err(Error::SearchOnly)));
    assert!(matches!(reader.erase(&[]), Err(Error::SearchOnly)));
    assert!(matches!(reader.compact(), Err(Error::SearchOnly)));
    for dimension in [0, gallery::MAX_DIMENSION + 1] {
        let made = LocalGallery::create(folder.path().join("c"), &model(), dimension, threads(1));
        assert!(matches!(made, Err(Error::Dimension(_))));
    }
}

#[test]
fn model_ids_are_short_printable_ascii() {
    for bad in ["", "a\nb", "naïve", &"x".repeat(129)] {
        assert!(matches!(ModelId::new(bad), Err(Error::ModelId)), "{bad:?}");
    }
    assert_eq!(ModelId::new("x".repeat(128)).unwrap().as_str().len(), 128);
}

#[test]
fn nothing_biometric_is_printed() {
    let mut random = Random(9);
    let template = random.unit(4);
    let shown = format!("{:?} {:?}", probe(&template), reference(77, &template));
    assert!(template.iter().all(|x| !shown.contains(&x.to_string())), "{shown}");
    assert!(!shown.contains("77"), "{shown}");
    let _ = SearchLimits { k: 1, threshold: None, filters: Default::default() };
}

#[test]
fn an_erased_id_can_be_enrolled_again() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), 2, threads(1)).unwrap();
    gallery.append(&model(), &[reference(1, &[1.0, 0.0])]).unwrap();
    gallery.erase(&[[1; 16]]).unwrap();
    assert!(!gallery.contains(&[1; 16]).unwrap());
    gallery.append(&model(), &[reference(1, &[0.0, 1.0])]).unwrap();
    let list = gallery.search(&probe(&[0.0, 1.0]), &common::best(5)).unwrap();
    assert_eq!(list.entries.len(), 1);
    assert_eq!(list.entries[0].score, 1.0);
    assert_eq!(gallery.erase(&[[1; 16], [1; 16]]).unwrap().erased, 1);
    assert!(gallery.is_empty());
}

#[test]
fn a_replacement_is_refused_for_what_it_is_and_not_for_being_enrolled() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), 2, threads(1)).unwrap();
    gallery.append(&model(), &[reference(1, &[1.0, 0.0]), reference(2, &[0.0, 1.0])]).unwrap();
    let batch = [reference(1, &[0.6, 0.8]), reference(1, &[0.6, 0.8]), reference(3, &[0.0, 0.0])];
    let Err(Error::Refused(refused)) = gallery.replace(&model(), &batch) else { panic!("taken") };
    let reasons: Vec<_> = refused.iter().map(|r| (r.position, &r.refusal)).collect();
    assert_eq!(reasons, [(1, &Refusal::TwiceInBatch), (2, &Refusal::NotUnit { length: 0.0 })]);
    assert_eq!((gallery.len(), gallery.epoch()), (2, 1), "nothing was replaced");

    // One that is enrolled, and one that is not.
    let done = gallery.replace(&model(), &[reference(1, &[0.6, 0.8]), reference(3, &[-1.0, 0.0])]).unwrap();
    assert_eq!((done.count, done.erased, done.epoch, gallery.len()), (2, 1, 2, 3));
    for folded in [false, true] {
        let list = gallery.search(&probe(&[1.0, 0.0]), &common::best(5)).unwrap();
        let found: Vec<_> = list.entries.iter().map(|c| (c.id[0], c.score)).collect();
        assert_eq!(found, [(1, f64::from(0.6_f32)), (2, 0.0), (3, -1.0)]);
        if !folded {
            gallery.compact().unwrap();
        }
    }
}

#[test]
fn a_bulk_batch_is_refused_at_the_door_as_a_small_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(12);
    let gallery = LocalGallery::create(folder.path(), &model(), 2, threads(1)).unwrap();
    let templates = |n: usize, random: &mut Random| (0..n).map(|_| random.unit(2)).collect();
    let first = random.references(templates(5_000, &mut Random(1)));
    gallery.append(&model(), &first).unwrap();
    let logged = random.references(templates(10, &mut Random(2)));
    gallery.append(&model(), &logged).unwrap();
    // So many that the segment is passed over beside them, and so few that each is looked for.
    for n in [4_500, 20] {
        let mut batch = random.references(templates(n, &mut Random(3)));
        batch[7].id = first[4_321].id;
        batch[11].id = logged[3].id;
        batch[15].id = first[17].id;
        assert_eq!(gallery.check(&batch).unwrap().len(), 3);
        let Err(Error::Refused(refused)) = gallery.append(&model(), &batch) else { panic!("taken") };
        assert!(refused.iter().all(|r| r.refusal == Refusal::AlreadyEnrolled));
        assert_eq!(refused.iter().map(|r| r.position).collect::<Vec<_>>(), [7, 11, 15]);
        gallery.erase(&[first[17].id]).unwrap();
        assert_eq!(gallery.check(&batch).unwrap().len(), 2, "an erased id is free");
        gallery.append(&model(), &[first[17].clone()]).unwrap();
    }
    assert_eq!(gallery.len(), 5_010);
    let fresh = random.references(templates(4_500, &mut Random(4)));
    gallery.append(&model(), &fresh).unwrap();
    assert_eq!(gallery.len(), 9_510);
    let replaced = gallery.replace(&model(), &[&first[..], &fresh[..10]].concat()).unwrap();
    assert_eq!((replaced.count, replaced.erased, gallery.len()), (5_010, 5_010, 9_510));
}

//! The bundled pack on the six photographs that come with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Photograph, engine};
use face::{Engine, FaceError, Image, Level, ModelId, SIDE_PIXELS_MAX, Template, no_face};

#[test]
fn every_face_is_found_and_counted_from_the_left() {
    let engine = engine();
    for (number, expected) in [(1, 3), (2, 3), (3, 3), (4, 4), (5, 5), (6, 4)] {
        let photograph = Photograph::sample(number);
        let faces = photograph.faces(&engine);
        assert_eq!(faces.len(), expected, "sample{number}");
        for (i, face) in faces.iter().enumerate() {
            assert_eq!(face.index, i);
            assert!(face.score > 0.5 && face.score <= 1.0);
            assert_eq!(face.outline.len(), 68);
            assert!(face.points.eye_distance() > 40.0);
            let p = &face.points;
            assert!(p.left_eye.x < p.right_eye.x, "left is the image's left");
            assert!(p.left_eye.y < p.left_mouth.y);
        }
        let lefts: Vec<f64> = faces.iter().map(|f| f.area.x).collect();
        assert!(lefts.is_sorted());
    }
}

#[test]
fn the_probe_of_the_story_scores_as_its_pack_was_calibrated() {
    let engine = engine();
    let probe = Photograph::sample(3).template(&engine, 1);
    let threshold = &engine.model().threshold;
    let first = Photograph::sample(1);
    let scores: Vec<_> = (0..3).map(|i| probe.compare(&first.template(&engine, i)).unwrap()).collect();
    assert!((scores[2].value - 0.96).abs() < 0.01, "{scores:?}");
    assert!(threshold.reached_by(&scores[2]).unwrap());
    for stranger in &scores[..2] {
        assert!(!threshold.reached_by(stranger).unwrap(), "{stranger:?}");
    }
    // Nobody else in the photographs reaches it.
    for (number, faces) in [(2, 3), (4, 4), (5, 5), (6, 4)] {
        let photograph = Photograph::sample(number);
        for i in 0..faces {
            let score = probe.compare(&photograph.template(&engine, i)).unwrap();
            assert!(!threshold.reached_by(&score).unwrap(), "sample{number} face {i}");
        }
    }
    let cross = first.template(&engine, 1);
    let score = cross.compare(&Photograph::sample(4).template(&engine, 0)).unwrap();
    assert!((score.value - 0.92).abs() < 0.01, "{score:?}");
}

#[test]
fn a_template_is_unit_length_and_the_same_on_every_run_and_thread() {
    let (one, two) = (engine(), engine());
    let photograph = Photograph::sample(6);
    let first = photograph.template(&one, 2);
    let length: f64 = first.values().iter().map(|v| f64::from(*v).powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-6);
    assert_eq!(first.values().len(), one.model().dimension);
    assert_eq!(photograph.template(&two, 2), first);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| photograph.template(&one, 2))).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), first);
        }
    });
}

#[test]
fn a_face_that_fills_the_picture_is_found() {
    let engine = engine();
    let photograph = Photograph::sample(6);
    let face = &photograph.faces(&engine)[3];
    let (x, y) = (face.area.x as u32 - 20, face.area.y as u32 - 40);
    let (w, h) = (face.area.width as u32 + 40, face.area.height as u32 + 60);
    let close = crop(&photograph, x, y, w, h);
    let faces = close.faces(&engine);
    assert_eq!(faces.len(), 1);
    let again = engine.template(&close.image(), &faces[0]).unwrap();
    let before = engine.template(&photograph.image(), face).unwrap();
    assert!(again.compare(&before).unwrap().value > 0.97);
}

#[test]
fn no_face_is_an_answer_and_a_crowd_is_refused() {
    let engine = engine();
    let grey = vec![128; 3 * 300 * 200];
    let image = Image::new(300, 200, &grey).unwrap();
    assert!(engine.detect(&image).unwrap().is_empty());
    assert_eq!(no_face().level(), Level::Block);

    let crowd = |across: u32, down: u32| {
        let source = Photograph::sample(6);
        let face = source.faces(&engine)[3].clone();
        let (x, y) = (face.area.x as u32 - 40, face.area.y as u32 - 40);
        let tile = crop(&source, x, y, 300, 400);
        let (w, h) = (tile.width * across, tile.height * down);
        let mut rgb = Vec::with_capacity((w * h * 3) as usize);
        for row in 0..h {
            let at = ((row % tile.height) * tile.width * 3) as usize;
            for _ in 0..across {
                rgb.extend_from_slice(&tile.rgb[at..at + (tile.width * 3) as usize]);
            }
        }
        let picture = Photograph { width: w, height: h, rgb };
        engine.detect(&picture.image())
    };
    assert_eq!(crowd(6, 5).unwrap().len(), 30, "thirty are allowed");
    match crowd(8, 5) {
        Err(FaceError::TooManyFaces { found }) => assert!(found > 30),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pixels_that_do_not_fit_are_refused() {
    let rgb = vec![0; 12];
    assert!(Image::new(2, 2, &rgb).is_ok());
    for (w, h) in [(2, 3), (0, 4), (4, 0), (SIDE_PIXELS_MAX + 1, 1), (u32::MAX, u32::MAX)] {
        assert!(matches!(Image::new(w, h, &rgb), Err(FaceError::Geometry { .. })));
    }
}

#[test]
fn templates_of_two_models_never_meet() {
    let engine = engine();
    let ours = Photograph::sample(3).template(&engine, 1);
    let stored = Template::from_parts(ModelId::new("another@1"), ours.values().to_vec()).unwrap();
    assert!(matches!(ours.compare(&stored), Err(FaceError::OtherModel { .. })));
    let score = stored.compare(&stored).unwrap();
    assert!(engine.model().threshold.reached_by(&score).is_err());
    assert!(Template::from_parts(ModelId::new("m"), vec![0.5; 128]).is_err());
    assert!(Template::from_parts(ModelId::new("m"), vec![f32::NAN; 128]).is_err());
    assert!(!format!("{ours:?}").contains("0."), "no biometric values in logs");
}

fn crop(from: &Photograph, x: u32, y: u32, width: u32, height: u32) -> Photograph {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for row in y..y + height {
        let at = ((row * from.width + x) * 3) as usize;
        rgb.extend_from_slice(&from.rgb[at..at + (width * 3) as usize]);
    }
    Photograph { width, height, rgb }
}

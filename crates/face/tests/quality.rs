//! Each component moves as the photograph is made worse in the way that it measures, and no other way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{
    Photograph, engine, shared,
    trials::{AS_IT_IS, second_engine, trials},
};
use face::{Component, DetectedFace, Image, ImageSpecification, Level, Point, measure, quality};

/// The value of a component on a photograph's face.
fn value(photograph: &Photograph, face: &DetectedFace, component: Component) -> f64 {
    let all = measure(&photograph.image(), face, 1);
    all.iter().find(|m| m.component == component).unwrap().value.unwrap_or_else(|| panic!("{component:?} was not measured"))
}

/// `sample3`'s second face: sharp, frontal and evenly lit.
fn good() -> (Photograph, DetectedFace) {
    let photograph = Photograph::sample(3);
    let face = photograph.faces(&engine()).remove(1);
    (photograph, face)
}

/// The face where it is after the picture lost so many pixels at the left and the top, and then was scaled.
fn moved(face: &DetectedFace, left: f64, top: f64, scale: f64) -> DetectedFace {
    let mut face = face.clone();
    let shift = |p: &mut Point| *p = Point { x: (p.x - left) * scale, y: (p.y - top) * scale };
    let p = &mut face.points;
    [&mut p.left_eye, &mut p.right_eye, &mut p.nose, &mut p.left_mouth, &mut p.right_mouth].into_iter().for_each(shift);
    face.outline.iter_mut().for_each(shift);
    let a = &mut face.area;
    (a.x, a.y, a.width, a.height) = ((a.x - left) * scale, (a.y - top) * scale, a.width * scale, a.height * scale);
    face
}

#[test]
fn a_good_face_is_measured_as_good() {
    let (photograph, face) = good();
    let all = measure(&photograph.image(), &face, 4);
    assert_eq!(all.iter().map(|m| m.component).collect::<Vec<_>>(), Component::ALL);
    let at = |c| value(&photograph, &face, c);
    assert!(at(Component::InterEyeDistance) > 60.0);
    assert!(at(Component::HeadPoseYaw) < 30.0 && at(Component::HeadPosePitch) < 25.0 && at(Component::HeadPoseRoll) < 15.0);
    assert!(at(Component::UnderExposurePrevention) < 10.0 && at(Component::OverExposurePrevention) < 10.0);
    assert!(at(Component::UnifiedQuality) > 60.0);
    // The same again, to the bit.
    assert_eq!(measure(&photograph.image(), &face, 4), all);
}

#[test]
fn each_way_of_spoiling_a_photograph_shows_in_its_own_component_and_in_the_unified_score() {
    let (photograph, face) = good();
    let at = |p: &Photograph, c| value(p, &face, c);
    let overall = at(&photograph, Component::UnifiedQuality);
    let dark = photograph.toned(|v| v / 8);
    assert!(at(&dark, Component::UnderExposurePrevention) > 60.0);
    assert!(at(&dark, Component::OverExposurePrevention) < 1.0);
    let bright = photograph.toned(|v| v.saturating_mul(3));
    assert!(at(&bright, Component::OverExposurePrevention) > 50.0);
    let flat = photograph.toned(|v| 120 + v / 16);
    assert!(at(&flat, Component::DynamicRange) < 16.0);
    assert!(at(&flat, Component::UnderExposurePrevention) < 0.1, "grey is not dark");
    let blurred = photograph.blurred(6.0);
    assert!(at(&blurred, Component::Sharpness) < at(&photograph, Component::Sharpness) / 2.0);
    let enlarged = photograph.enlarged_from(0.1);
    assert!(at(&enlarged, Component::Sharpness) < at(&photograph, Component::Sharpness) / 2.0);
    assert!((at(&enlarged, Component::InterEyeDistance) - at(&photograph, Component::InterEyeDistance)).abs() < 0.01);
    for (worse, name) in [(dark, "dark"), (bright, "bright"), (flat, "flat"), (blurred, "blurred"), (enlarged, "enlarged")] {
        assert!(at(&worse, Component::UnifiedQuality) < 0.75 * overall, "{name}");
    }
}

#[test]
fn compression_is_measured_on_the_pictures_own_grid_wherever_that_begins() {
    let (photograph, face) = good();
    // From a copy at half size, which has no grid of its own left.
    let (plain, small) = (photograph.smaller(0.5), moved(&face, 0.0, 0.0, 0.5));
    let at_small = |p: &Photograph, f: &DetectedFace| value(p, f, Component::CompressionArtifacts);
    let levels: Vec<f64> = [90, 50, 25, 10, 5].iter().map(|q| at_small(&plain.through_jpeg(*q), &small)).collect();
    assert!(levels.is_sorted(), "{levels:?}");
    assert!(at_small(&plain, &small) < 0.5 && levels[4] > 5.0, "{} {levels:?}", at_small(&plain, &small));
    // Cropped by an odd number of pixels, the blocks begin elsewhere and are still found.
    let cut = plain.through_jpeg(10).part(3, 5, plain.width - 3, plain.height - 5);
    let found = at_small(&cut, &moved(&small, 3.0, 5.0, 1.0));
    assert!((found - levels[3]).abs() < levels[3] / 4.0, "{found} {levels:?}");
}

#[test]
fn uneven_light_and_a_busy_background_are_seen() {
    let (photograph, face) = good();
    let middle = ((face.points.left_eye.x + face.points.right_eye.x) / 2.0) as u32;
    let mut lit = Photograph { width: photograph.width, height: photograph.height, rgb: photograph.rgb.clone() };
    let width = lit.width;
    for (i, p) in lit.rgb.chunks_exact_mut(3).enumerate() {
        if i as u32 % width < middle {
            p.iter_mut().for_each(|v| *v /= 3);
        }
    }
    assert!(value(&lit, &face, Component::IlluminationUniformity) < 50.0);
    assert!(value(&photograph, &face, Component::IlluminationUniformity) > 60.0);

    // The background blurred away: the face itself stays.
    let plain = photograph.blurred(25.0);
    assert!(value(&plain, &face, Component::BackgroundUniformity) < value(&photograph, &face, Component::BackgroundUniformity));
    // A picture of nothing but the face shows none.
    let a = &face.area;
    let close = photograph.part(a.x as u32, a.y as u32, a.width as u32, a.height as u32);
    let all = measure(&close.image(), &moved(&face, a.x.floor(), a.y.floor(), 1.0), 1);
    assert_eq!(all.iter().find(|m| m.component == Component::BackgroundUniformity).unwrap().value, None);
}

#[test]
fn a_face_that_is_cut_off_or_turned_is_measured_so() {
    let (photograph, face) = good();
    let x = face.points.left_eye.x as u32;
    let cut = photograph.part(x, 0, photograph.width - x, photograph.height);
    let there = moved(&face, f64::from(x), 0.0, 1.0);
    assert!((0.45..0.6).contains(&value(&cut, &there, Component::LeftwardCrop)));
    assert!(value(&cut, &there, Component::RightwardCrop) > 1.0);
    let y = face.points.left_mouth.y as u32;
    let beheaded = photograph.part(0, 0, photograph.width, y);
    assert!(value(&beheaded, &face, Component::MarginBelow) < 1.4);

    let engine = engine();
    let of = |number: u32, index: usize, component| {
        let photograph = Photograph::sample(number);
        let face = &photograph.faces(&engine)[index];
        value(&photograph, face, component)
    };
    assert!(of(2, 0, Component::HeadPoseYaw) > of(3, 1, Component::HeadPoseYaw), "a profile");
    assert!(of(1, 2, Component::HeadPoseRoll) > of(3, 1, Component::HeadPoseRoll), "a tilt");
}

#[test]
fn what_the_model_cannot_measure_is_not_invented() {
    let (photograph, face) = good();
    let none = |face: &DetectedFace| -> Vec<Component> {
        measure(&photograph.image(), face, 1).iter().filter(|m| m.value.is_none()).map(|m| m.component).collect()
    };
    assert_eq!(none(&face), [Component::FaceOcclusionPrevention]);
    let five_points = DetectedFace { outline: vec![], ..face.clone() };
    assert_eq!(none(&five_points), [Component::EyesOpen, Component::MouthClosed, Component::FaceOcclusionPrevention]);
    // Points that coincide give no chip, no pose and no score, and nothing breaks.
    let p = Point { x: 10.0, y: 10.0 };
    let mut nowhere = five_points;
    nowhere.points = face::Points { left_eye: p, right_eye: p, nose: p, left_mouth: p, right_mouth: p };
    let missing = none(&nowhere);
    assert!(
        missing.contains(&Component::UnifiedQuality)
            && missing.contains(&Component::Sharpness)
            && missing.contains(&Component::LeftwardCrop)
    );
}

#[test]
fn any_picture_however_small_or_far_off_its_face_is_measured_without_harm() {
    let (photograph, face) = good();
    let specification = ImageSpecification::read("[g]\nsharpness = { block = { below = 2 } }").unwrap().remove("g").unwrap();
    for (width, height) in [(1, 1), (2, 9), (17, 3), (64, 64)] {
        let tiny = photograph.part(0, 0, width, height);
        for (left, scale) in [(0.0, 1.0), (1e6, 1.0), (0.0, 1e-3), (-1e5, 50.0)] {
            let image: Image<'_> = tiny.image();
            let judged = quality(&image, &moved(&face, left, left, scale), 1, &specification);
            assert_eq!(judged.findings.iter().map(|f| f.component).collect::<Vec<_>>(), Component::ALL);
            assert!(judged.findings.iter().all(|f| f.value.is_none_or(f64::is_finite)));
            // The one limit there is decides, and where there is nothing to compare with it that is said.
            let sharpness = judged.finding(Component::Sharpness).unwrap();
            let expected = sharpness.value.map_or(Level::Unmeasured, |v| if v < 2.0 { Level::Block } else { Level::Fine });
            assert_eq!((sharpness.level, judged.level() == Level::Block), (expected, expected == Level::Block));
        }
    }
}

#[test]
fn discarding_the_worst_probes_lowers_error() {
    let Some(shared) = shared() else { return };
    let trials = trials(&second_engine(&shared), &shared, false);
    assert!(trials.made.len() > 300, "{} comparisons", trials.made.len());
    let shares = [0.0, 0.1, 0.2, 0.3];
    let curve = trials.curve(Component::UnifiedQuality, true, &shares, |_| true);
    for k in &curve {
        println!("{:>4.0} % discarded: false non-match rate {:.3} of {:.0}", k.discarded * 100.0, k.rate.unwrap(), k.compared);
    }
    let rates: Vec<f64> = curve.iter().filter_map(|k| k.rate).collect();
    assert!(rates.windows(2).all(|w| w[1] < w[0]), "it falls all the way: {rates:?}");
    // Blind discarding would leave the rate as it is; this takes away a third of it and more.
    assert!(rates[2] < 0.7 * rates[0], "{rates:?}");
    // Press photographs are nearly all good; on them alone the few misses (age, expression) have other reasons, so all that
    // can be asked is that quality does no harm.
    let plain = trials.curve(Component::UnifiedQuality, true, &shares, |t| t.way == AS_IT_IS);
    println!("as they are: {:?}", plain.iter().filter_map(|k| k.rate).collect::<Vec<_>>());
    assert!(plain[3].rate <= plain[0].rate.map(|r| r + 0.02), "{plain:?}");
}

//! What pages do with pixels.
#![allow(clippy::unwrap_used, reason = "tests")]

use decoder::{Mask, PixelArea, PixelError, Rgb8};

/// 8 × 4 pixels whose red is the column and whose green is the row, times ten.
fn ramp() -> Rgb8 {
    let places = (0..4u8).flat_map(|y| (0..8u8).map(move |x| (x, y)));
    Rgb8::new(8, 4, places.flat_map(|(x, y)| [x * 10, y * 10, 200]).collect()).unwrap()
}

fn at(pixels: &Rgb8, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * pixels.width() + x) * 3) as usize;
    pixels.data()[at..at + 3].try_into().unwrap()
}

fn area(x: f64, y: f64, width: f64, height: f64) -> PixelArea {
    PixelArea { x, y, width, height }
}

#[test]
fn pixels_must_fit() {
    assert!(Rgb8::new(2, 2, vec![0; 12]).is_ok());
    for (w, h, n) in [(2, 2, 11), (0, 2, 0), (2, 0, 0), (u32::MAX, u32::MAX, 3)] {
        assert!(matches!(Rgb8::new(w, h, vec![0; n]), Err(PixelError::Geometry { .. })));
    }
    assert_eq!(format!("{:?}", ramp()), "Rgb8(8 × 4)");
}

#[test]
fn a_crop_keeps_what_lies_within() {
    let part = ramp().crop(area(2.0, 1.0, 3.0, 2.0)).unwrap();
    assert_eq!((part.width(), part.height()), (3, 2));
    assert_eq!((at(&part, 0, 0), at(&part, 2, 1)), ([20, 10, 200], [40, 20, 200]));
    let edge = ramp().crop(area(-5.0, -5.0, 7.0, 7.0)).unwrap();
    assert_eq!((edge.width(), edge.height()), (2, 2));
    for outside in [area(8.0, 0.0, 5.0, 5.0), area(-9.0, 0.0, 5.0, 4.0), area(f64::NAN, 0.0, f64::NAN, 1.0)] {
        assert!(matches!(ramp().crop(outside), Err(PixelError::Outside { .. })));
    }
    assert_eq!(area(4.0, 4.0, 4.0, 8.0).padded(0.25), area(3.0, 2.0, 6.0, 12.0));
}

#[test]
fn scaling_keeps_proportions_and_never_enlarges() {
    let small = ramp().scale_to_fit(4, 4);
    assert_eq!((small.width(), small.height()), (4, 2));
    assert_eq!(ramp().scale_to_fit(100, 100), ramp());
    let thin = ramp().scale_to_fit(1, 1);
    assert_eq!((thin.width(), thin.height()), (1, 1));
}

#[test]
fn masks_leave_nothing_of_the_area_and_all_of_the_rest() {
    let place = area(2.0, 1.0, 4.0, 2.0);
    let solid = ramp().mask_boxes(&[place], Mask::Solid);
    for y in 0..4 {
        for x in 0..8 {
            let inside = (2..6).contains(&x) && (1..3).contains(&y);
            let expected = if inside { [128; 3] } else { at(&ramp(), x, y) };
            assert_eq!(at(&solid, x, y), expected);
        }
    }
    // A large noisy area becomes at most 5 × 5 colours.
    let noise: Vec<u8> = (0..200u32 * 200 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let picture = Rgb8::new(200, 200, noise).unwrap();
    let mosaic = picture.mask_boxes(&[area(-10.0, 20.0, 190.0, 300.0)], Mask::Mosaic);
    let part = mosaic.crop(area(0.0, 20.0, 180.0, 180.0)).unwrap();
    let colours: std::collections::BTreeSet<_> = part.data().chunks(3).collect();
    assert!(colours.len() <= 25, "{}", colours.len());
    assert_eq!(at(&mosaic, 190, 100), at(&picture, 190, 100));
}

#[test]
fn turning_and_brightness() {
    let turned = ramp().rotate(1);
    assert_eq!((turned.width(), turned.height()), (4, 8));
    assert_eq!(at(&turned, 3, 0), at(&ramp(), 0, 0));
    assert_eq!(turned.rotate(3), ramp());
    assert_eq!(ramp().rotate(2).rotate(6), ramp());
    assert_eq!(at(&ramp().brightness_contrast(60, 0), 1, 0), [16, 0, 255]);
    assert_eq!(ramp().brightness_contrast(0, 0), ramp());
    let flat = ramp().brightness_contrast(0, -100);
    assert!(flat.data().iter().all(|v| *v == 128));
    assert!(ramp().brightness_contrast(i32::MIN, i32::MIN).data().iter().all(|v| *v == 128));
}

#[test]
fn a_view_is_turned_about_its_middle() {
    let whole = area(0.0, 0.0, 8.0, 4.0);
    assert_eq!(ramp().turned_view(whole, 0).unwrap(), ramp());
    assert_eq!(ramp().turned_view(whole, 270).unwrap(), ramp().rotate(3));
    // A picture that is one colour inside stays so, and what comes from outside is white.
    let blue = Rgb8::new(40, 40, [10, 20, 200].repeat(1_600)).unwrap();
    let turned = blue.turned_view(area(0.0, 0.0, 40.0, 40.0), 45).unwrap();
    assert_eq!((at(&turned, 20, 20), at(&turned, 0, 0)), ([10, 20, 200], [255; 3]));
    // Clockwise: what was above the middle comes to its right.
    let mut marked = vec![0; 41 * 41 * 3];
    for y in 8..13 {
        for x in 18..23 {
            marked[(y * 41 + x) * 3] = 255;
        }
    }
    let marked = Rgb8::new(41, 41, marked).unwrap();
    let near = marked.turned_view(area(0.0, 0.0, 41.0, 41.0), 89).unwrap();
    assert!(at(&near, 30, 20)[0] > 200 && at(&near, 20, 10)[0] < 50);
    assert!(marked.turned_view(area(50.0, 0.0, 5.0, 5.0), 10).is_err());
}

#[test]
fn png_is_lossless_and_jpeg_is_a_jpeg() {
    let png = ramp().to_png().unwrap();
    let back = image::load_from_memory(&png).unwrap().into_rgb8();
    assert_eq!(back.as_raw(), ramp().data());
    let jpeg = ramp().to_jpeg(90).unwrap();
    assert!(jpeg.starts_with(&[0xFF, 0xD8]) && jpeg.ends_with(&[0xFF, 0xD9]));
}

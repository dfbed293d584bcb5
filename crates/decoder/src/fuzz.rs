//! Hostile bytes for each of this crate's parsers (docs/FUZZING.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::{
    PIXELS_MAX, SIDE_PIXELS_MAX,
    child::{Answer, decode},
    container,
    parent::understand,
};

/// Inputs that say they are larger are not decoded here: that they are bounded is tested elsewhere, and they take long.
const PIXELS: u64 = 1 << 20;

/// A file is refused, or is a picture of the size that its outside says, within the limits.
pub fn picture(bytes: &[u8]) {
    let Ok(outline) = container::inspect(bytes) else {
        return;
    };
    let pixels = u64::from(outline.width) * u64::from(outline.height);
    assert!(pixels > 0 && pixels <= PIXELS_MAX && outline.width.max(outline.height) <= SIDE_PIXELS_MAX);
    if pixels > PIXELS {
        return;
    }
    match decode(bytes) {
        Ok((Answer::Pixels { width, height, format, orientation, .. }, picture)) => {
            assert_eq!(format, outline.format);
            let turned = orientation >= 5;
            let size = if turned { (outline.height, outline.width) } else { (outline.width, outline.height) };
            assert_eq!((width, height), size);
            assert_eq!(picture.dimensions(), size);
        }
        Ok((Answer::Refused { .. }, _)) => panic!("a refusal is an error"),
        Err(_) => {}
    }
}

/// Whatever a child that was taken over says: nonsense is told, and what is believed fits together.
pub fn answer(bytes: &[u8]) {
    if let Ok(decoded) = understand(bytes.to_vec(), b"the file", Some("name.png")) {
        let size = u64::from(decoded.pixels.width()) * u64::from(decoded.pixels.height());
        assert!(size > 0 && size <= PIXELS_MAX);
        assert_eq!(decoded.pixels.data().len() as u64, size * 3);
        assert!((1..=8).contains(&decoded.orientation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeError, Format, child::put_answer};
    use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};

    fn noise(bytes: usize) -> Vec<u8> {
        (0..bytes as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    /// Small pictures of every kind that is accepted, with and without what is stripped.
    fn pictures() -> Vec<Vec<u8>> {
        let mut all = vec![];
        for (colour, bytes) in [
            (ExtendedColorType::L8, 1),
            (ExtendedColorType::La8, 2),
            (ExtendedColorType::Rgb8, 3),
            (ExtendedColorType::Rgba8, 4),
            (ExtendedColorType::Rgb16, 6),
        ] {
            let mut out = vec![];
            PngEncoder::new(&mut out).write_image(&noise(9 * 7 * bytes), 9, 7, colour).unwrap();
            all.push(out);
        }
        for colour in [ExtendedColorType::L8, ExtendedColorType::Rgb8] {
            let mut out = vec![];
            let data = noise(17 * 9 * if colour == ExtendedColorType::L8 { 1 } else { 3 });
            JpegEncoder::new_with_quality(&mut out, 60).write_image(&data, 17, 9, colour).unwrap();
            all.push(out);
        }
        for (kind, progressive) in [(jpeg_encoder::ColorType::Rgb, true), (jpeg_encoder::ColorType::Cmyk, false)] {
            let mut out = vec![];
            let mut encoder = jpeg_encoder::Encoder::new(&mut out, 50);
            encoder.set_progressive(progressive);
            encoder.set_restart_interval(2);
            encoder.encode(&noise(17 * 9 * if progressive { 3 } else { 4 }), 17, 9, kind).unwrap();
            all.push(out);
        }
        // With an orientation and a remark.
        let mut dressed = all[6][..2].to_vec();
        dressed.extend(b"\xFF\xE1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0\xFF\xFE\x00\x06some");
        dressed.extend(&all[6][2..]);
        all.push(dressed);
        all
    }

    #[test]
    fn pictures_from_outside() {
        hostile::tried("picture", pictures(), picture, hostile::CHANGES);
    }

    fn answers() -> Vec<Vec<u8>> {
        let mut all = vec![];
        for orientation in [1, 6] {
            let mut out = vec![];
            let said = Answer::Pixels { width: 3, height: 2, format: Format::Png, orientation, signs: vec![] };
            put_answer(&mut out, &said, &noise(18)).unwrap();
            all.push(out);
        }
        for error in
            [DecodeError::Empty, DecodeError::TooManyPixels { width: 1, height: 2 }, DecodeError::NotAnImage { looks_like: "text".into() }]
        {
            let mut out = vec![];
            put_answer(&mut out, &Answer::Refused { error }, &[]).unwrap();
            all.push(out);
        }
        all
    }

    #[test]
    fn answers_of_a_child_that_was_taken_over() {
        hostile::tried("answer", answers(), answer, hostile::CHANGES);
    }
}

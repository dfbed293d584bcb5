use super::*;
use exif::{Field, In, Tag, Value, experimental::Writer};
use image::{ExtendedColorType, ImageEncoder, RgbImage, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};

/// Something with light, dark and detail in every part.
fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let wave = 60.0 * (9.0 * u).sin() + 50.0 * (7.0 * v + 2.0 * u).cos() + 10.0 * (160.0 * u * v).sin();
        let level = (128.0 + wave).clamp(0.0, 255.0) as u8;
        image::Rgb([level, level / 2 + 40, 255 - level])
    })
}

fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut out = vec![];
    JpegEncoder::new_with_quality(&mut out, quality)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .unwrap();
    out
}

fn png(picture: &RgbImage) -> Vec<u8> {
    let mut out = vec![];
    PngEncoder::new(&mut out).write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8).unwrap();
    out
}

/// A JPEG with a segment put in after its first two bytes.
fn with_segment(jpeg: &[u8], marker: u8, held: &[u8]) -> Vec<u8> {
    let length = (held.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, held, &jpeg[2..]].concat()
}

/// A PNG with a chunk put in after its header (whose checksum nothing here looks at: ancillary chunks are passed over).
fn with_chunk(png: &[u8], kind: &[u8; 4], held: &[u8]) -> Vec<u8> {
    let at = 8 + 12 + 13;
    [&png[..at], &(held.len() as u32).to_be_bytes(), kind, held, &[0; 4], &png[at..]].concat()
}

fn exif_of(software: &str, comment: Option<&[u8]>, thumbnail: Option<&[u8]>) -> Vec<u8> {
    let ascii = |tag, text: &str| Field { tag, ifd_num: In::PRIMARY, value: Value::Ascii(vec![text.as_bytes().to_vec()]) };
    let mut fields = vec![ascii(Tag::Make, "Acme"), ascii(Tag::Model, "Box 1"), ascii(Tag::Software, software)];
    if let Some(comment) = comment {
        let held = [b"ASCII\0\0\0", comment].concat();
        fields.push(Field { tag: Tag::UserComment, ifd_num: In::PRIMARY, value: Value::Undefined(held, 0) });
    }
    let mut writer = Writer::new();
    fields.iter().for_each(|f| writer.push_field(f));
    if let Some(thumbnail) = thumbnail {
        writer.set_jpeg(thumbnail, In::THUMBNAIL);
    }
    let mut out = Cursor::new(vec![]);
    writer.write(&mut out, false).unwrap();
    out.into_inner()
}

fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    with_segment(jpeg, 0xE1, &[b"Exif\0\0", exif].concat())
}

fn xmp(description: &str) -> Vec<u8> {
    format!(
        r#"<?xpacket begin="\u{{feff}}" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
        xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#">{description}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#
    )
    .into_bytes()
}

fn with_xmp(jpeg: &[u8], description: &str) -> Vec<u8> {
    with_segment(jpeg, 0xE1, &[b"http://ns.adobe.com/xap/1.0/\0".as_slice(), &xmp(description)].concat())
}

/// As the child reads it: the whole way, orientation and all.
fn signs_of(bytes: &[u8]) -> Vec<Sign> {
    match crate::child::decode(bytes) {
        Ok((crate::child::Answer::Pixels { signs, .. }, _)) => signs,
        other => panic!("not decoded: {other:?}"),
    }
}

#[test]
fn a_photograph_as_the_camera_took_it_has_no_sign() {
    let picture = scene(640, 480);
    let small = imageops::thumbnail(&picture, 160, 120);
    assert_eq!(signs_of(&jpeg(&picture, 90)), []);
    assert_eq!(signs_of(&png(&picture)), []);
    let camera = with_exif(&jpeg(&picture, 90), &exif_of("17.1", None, Some(&jpeg(&small, 60))));
    assert_eq!(signs_of(&camera), []);
    let created = r#"<rdf:Description xmp:CreatorTool="17.1" Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"/>"#;
    assert_eq!(signs_of(&with_xmp(&camera, created)), []);
    let commented = with_chunk(&png(&picture), b"tEXt", b"Comment\0my canvas, before the screenshot");
    assert_eq!(signs_of(&commented), [], "a remark is not a program");
}

#[test]
fn every_sign_has_a_file_that_shows_it_and_nothing_else() {
    let (j, p) = (jpeg(&scene(320, 240), 90), png(&scene(320, 240)));
    let type_of =
        |code: &str| format!(r#"<rdf:Description Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{code}"/>"#);
    let history = r#"<rdf:Description><xmpMM:History><rdf:Seq><rdf:li rdf:parseType="Resource"><stEvt:action>saved</stEvt:action></rdf:li></rdf:Seq></xmpMM:History></rdf:Description>"#;
    let other = scene(320, 240).clone();
    let other = imageops::flip_horizontal(&imageops::thumbnail(&other, 160, 120));
    let files = [
        (Sign::NamesAnEditor, with_exif(&j, &exif_of("Adobe Photoshop 26.1 (Windows)", None, None))),
        (Sign::NamesAnEditor, with_xmp(&j, r#"<rdf:Description xmp:CreatorTool="GIMP 2.10"/>"#)),
        (Sign::NamesAnEditor, with_chunk(&p, b"tEXt", b"Software\0Pixelmator Pro")),
        (Sign::TellsOfChanges, with_xmp(&j, history)),
        (Sign::TellsOfChanges, with_xmp(&j, &type_of("humanEdits"))),
        (Sign::SavedForTheWeb, with_segment(&j, 0xEC, b"Ducky\0\x01\0\x04\0\0\0\x3c\0\0")),
        (Sign::OtherThumbnail, with_exif(&j, &exif_of("17.1", None, Some(&jpeg(&other, 70))))),
        (Sign::NamesAGenerator, with_exif(&j, &exif_of("Midjourney", None, None))),
        (Sign::NamesAGenerator, with_chunk(&p, b"tEXt", b"Description\0an officer --v 6 Job ID: midjourney")),
        (Sign::HoldsGeneratorSettings, with_chunk(&p, b"tEXt", b"parameters\0a face, Steps: 20, Sampler: Euler a")),
        (Sign::HoldsGeneratorSettings, with_chunk(&p, b"iTXt", b"workflow\0\0\0\0\0{}")),
        (Sign::SaysGenerated, with_xmp(&j, &type_of("trainedAlgorithmicMedia"))),
        (
            Sign::SaysGenerated,
            with_chunk(&p, b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0".as_slice(), &xmp(&type_of("compositeSynthetic"))].concat()),
        ),
        (
            Sign::CredentialSaysGenerated,
            with_segment(&j, 0xEB, b"JP\0\x01\0\0\0\x01jumb c2pa c2pa.created digitalsourcetype/trainedAlgorithmicMedia"),
        ),
        (Sign::CredentialSaysGenerated, with_chunk(&p, b"caBX", b"jumb c2pa digitalsourcetype/compositeWithTrainedAlgorithmicMedia")),
        (Sign::SaysComposite, with_xmp(&j, &type_of("compositeCapture"))),
        (Sign::SaysScreenCapture, with_exif(&j, &exif_of("17.1", Some(b"Screenshot"), None))),
        (Sign::SaysScreenCapture, with_chunk(&p, b"tEXt", b"Software\0gnome-screenshot")),
        (Sign::SaysScreenCapture, with_xmp(&j, &type_of("screenCapture"))),
    ];
    for (n, (sign, bytes)) in files.iter().enumerate() {
        assert_eq!(signs_of(bytes), [*sign], "file {n}");
    }
    let shown: BTreeSet<Sign> = files.iter().map(|(sign, _)| *sign).collect();
    assert_eq!(shown.len(), 10, "every sign");
}

/// What a camera, a telephone or a mail program does to a picture is no other picture; pasting over a part of it is, and so is cropping.
#[test]
fn a_thumbnail_tells_a_change_from_a_copy() {
    let picture = scene(960, 640);
    let told = |whole: &RgbImage, small: &RgbImage| {
        signs_of(&with_exif(&jpeg(whole, 85), &exif_of("17.1", None, Some(&jpeg(small, 50))))).contains(&Sign::OtherThumbnail)
    };
    let small = imageops::thumbnail(&picture, 160, 107);
    // The usual 160 × 120 with black bars.
    let mut barred = RgbImage::new(160, 120);
    imageops::replace(&mut barred, &small, 0, 6);
    for (what, small) in [
        ("plain", small.clone()),
        ("with bars", barred),
        ("lighter", imageops::colorops::brighten(&small, 25)),
        ("sharpened", imageops::unsharpen(&small, 1.5, 0)),
        ("softened", imageops::blur(&small, 1.5)),
    ] {
        assert!(!told(&picture, &small), "{what}");
    }
    // A portrait by flash, dark at every edge, in the same bars; and one that the camera turned.
    let mut dark = picture.clone();
    for (x, y, p) in dark.enumerate_pixels_mut() {
        if !(300..660).contains(&x) || !(160..480).contains(&y) {
            *p = image::Rgb([2, 2, 2]);
        }
    }
    let mut barred = RgbImage::new(160, 120);
    imageops::replace(&mut barred, &imageops::thumbnail(&dark, 160, 107), 0, 6);
    assert!(!told(&dark, &barred), "dark at the edges");
    assert!(!told(&picture, &imageops::rotate90(&small)), "turned");
    let mut pasted = picture.clone();
    let patch = RgbImage::from_pixel(200, 200, image::Rgb([250, 250, 250]));
    imageops::replace(&mut pasted, &patch, 380, 220);
    assert!(told(&pasted, &small), "pasted over");
    let cropped = imageops::crop_imm(&picture, 240, 160, 480, 320).to_image();
    assert!(told(&cropped, &small), "cropped in its own shape");
    let cropped = imageops::crop_imm(&picture, 300, 0, 400, 640).to_image();
    assert!(told(&cropped, &small), "cropped to another shape");
}

#[test]
fn damaged_and_hostile_metadata_says_nothing_and_stops_nothing() {
    let j = jpeg(&scene(320, 240), 90);
    let mut broken = exif_of("17.1", None, Some(&jpeg(&scene(160, 120), 50)));
    for cut in (0..broken.len()).step_by(37) {
        let _ = signs_of(&with_exif(&j, &broken[..cut]));
    }
    for at in 0..broken.len().min(400) {
        broken[at] ^= 0xFF;
        let _ = signs_of(&with_exif(&j, &broken));
        broken[at] ^= 0xFF;
    }
    let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]><a CreatorTool="GIMP">&c;&c;&c;</a>"#;
    let held = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), bomb.as_bytes()].concat();
    assert_eq!(signs_of(&with_segment(&j, 0xE1, &held)), [], "a document type is not read");
    let deep = format!("{}{}", "<a>".repeat(8_000), "</a>".repeat(8_000));
    let held = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), deep.as_bytes()].concat();
    let _ = signs_of(&with_segment(&j, 0xE1, &held));
    for text in [&b"Software"[..], b"", b"\0\0\0", b"XML:com.adobe.xmp\0", b"XML:com.adobe.xmp\0\0\0", b"Software\0\xff\xfe"] {
        for kind in [b"tEXt", b"iTXt", b"zTXt"] {
            assert_eq!(signs_of(&with_chunk(&png(&scene(32, 32)), kind, text)), []);
        }
    }
}

/// Photographs of the development set, where it is at hand: each with a preview of its own, and with somebody else's.
#[test]
fn real_photographs_and_their_previews() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("COUNTERSIGN_SHARED").map_or_else(|| root.join("../shared"), std::path::PathBuf::from);
    let Ok(people) = std::fs::read_dir(shared.join("faces/people")) else {
        eprintln!("NOT RUN: no photographs in {} (COUNTERSIGN_SHARED names their folder)", shared.display());
        return;
    };
    let mut files: Vec<_> = people.flatten().filter_map(|e| std::fs::read_dir(e.path()).ok()?.flatten().map(|e| e.path()).min()).collect();
    files.sort();
    let pictures: Vec<(Vec<u8>, RgbImage)> = files
        .iter()
        .take(120)
        .filter_map(|f| std::fs::read(f).ok())
        .filter_map(|bytes| image::load_from_memory(&bytes).ok().map(|p| (bytes, p.into_rgb8())))
        .collect();
    assert!(pictures.len() >= 100, "{} photographs", pictures.len());
    let preview = |p: &RgbImage| imageops::thumbnail(p, 160, (160 * p.height() / p.width()).max(24));
    let told = |whole: &[u8], small: &RgbImage| {
        let exif = exif_of("17.1", None, Some(&jpeg(small, 60)));
        signs_of(&with_exif(whole, &exif)).contains(&Sign::OtherThumbnail)
    };
    let own = pictures.iter().filter(|(bytes, picture)| told(bytes, &preview(picture))).count();
    let next = pictures.iter().zip(pictures.iter().cycle().skip(1));
    let anothers = next.filter(|((bytes, _), (_, other))| !told(bytes, &preview(other))).count();
    assert_eq!((own, anothers), (0, 0), "wrongly told, not told, of {}", pictures.len());
}

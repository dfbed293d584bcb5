//! Bad and odd files at the door: each is refused in plain words with its limit, or taken in properly,
//! and nothing of the draft is lost (S10).

use crate::house::{House, NCA_REQUESTER, SOUGHT, cites, form, one_more_on_the_left, photograph, probe, refusals, without_the_one_sought};
use bureau::{Bureau, images::image_specifications};
use casework::{
    assess::Decision,
    clause::Clause,
    command::Command,
    event::Event,
    form::{FaceBox, Field, Form, FormImage, Nationality, Source, Suspicion, Verdict},
    ids::{AuthorisationId, Digest, RequestId},
    limits::IMAGES_PER_REQUEST_MAX,
    record::GalleryId,
    refusal::Refusal,
    testing::{APPROVER, REQUESTER, World, desk},
};
use decoder::{PixelArea, Rgb8};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use strum::IntoEnumIterator;

/// A draft with one good image and answers, to which bad ones are added.
async fn begun(house: &House) -> (RequestId, u64, Form) {
    let (id, version) = house.drafted(REQUESTER, form(GalleryId::Passport), &probe(), 1).await;
    let form = house.bureau.draft(REQUESTER, id).await.unwrap().form;
    (id, version, form)
}

async fn files_kept(house: &House) -> usize {
    crate::search::files(&house.folder.path().join("store/blobs")).len()
}

/// Adds a file that must be refused; returns the words. The draft and what is kept of it stay as they were.
async fn refused(house: &House, draft: &(RequestId, u64, Form), bytes: &[u8], name: &str) -> Vec<Refusal> {
    let before = files_kept(house).await;
    let said = refusals(house.bureau.add_image(REQUESTER, draft.0, draft.1, bytes, Some(name)).await);
    assert!(said.iter().all(|r| r.field == Some(Field::Images)), "{said:?}");
    let view = house.bureau.draft(REQUESTER, draft.0).await.unwrap();
    assert_eq!((view.version, &view.form), (draft.1, &draft.2), "the draft is as it was");
    assert_eq!(files_kept(house).await, before, "nothing of it is kept");
    house.bureau.draft_image(REQUESTER, draft.0, draft.2.images[0].probe).await.unwrap();
    said
}

fn words(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| r.words.as_str()).collect::<Vec<_>>().join(" ")
}

async fn pixels(bureau: &Bureau, bytes: &[u8]) -> Rgb8 {
    let p = bureau.decode(bytes).await.unwrap();
    Rgb8::new(p.width, p.height, p.data).unwrap()
}

/// One large face, 400 pixels wide or so.
async fn portrait(bureau: &Bureau) -> Rgb8 {
    let bytes = photograph("sample3.jpg");
    let found = bureau.faces(&bureau.decode(&bytes).await.unwrap()).await.unwrap();
    let f = &found[1].area;
    pixels(bureau, &bytes).await.crop(PixelArea { x: f.x, y: f.y, width: f.width, height: f.height }.padded(0.5)).unwrap()
}

fn png(data: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut out = vec![];
    PngEncoder::new(&mut out).write_image(data, width, height, colour).unwrap();
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())))
}

/// A segment put straight behind a JPEG's first marker.
fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xFF, marker], &length, data, &jpeg[2..]].concat()
}

fn exif_orientation(orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

/// What the file says of its own making is a flag with its reason, kept with the form; the image is taken in as any other.
#[tokio::test]
async fn s10_a_picture_that_may_be_edited_or_made_is_flagged_and_taken_in() {
    let house = House::new().await;
    let (id, mut version, form) = begun(&house).await;
    let kinds = |image: &FormImage| image.suspicions.iter().map(|s| s.suspicion).collect::<Vec<_>>();
    assert_eq!(kinds(&form.images[0]), [Suspicion::Edited], "this sample was cut in an editor, and says so");
    let xmp = r#"http://ns.adobe.com/xap/1.0/|<x xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:p="http://ns.adobe.com/xap/1.0/"
        p:CreatorTool="GIMP 2.10, as Mr Nobody had it" i:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>"#
        .replace('|', "\0");
    let flagged = with_segment(&probe(), 0xE1, xmp.as_bytes());
    version = house.bureau.add_image(REQUESTER, id, version, &flagged, Some("flagged.jpg")).await.unwrap().0;
    let form = house.bureau.draft(REQUESTER, id).await.unwrap();
    assert_eq!(form.version, version);
    let image = form.form.images.last().unwrap();
    assert_eq!(kinds(image), [Suspicion::Edited, Suspicion::Synthetic]);
    assert_eq!(form.form.images[0].faces, image.faces, "the same in every other way");
    let kept = serde_json::to_string(image).unwrap();
    assert!(!kept.contains("Nobody") && !kept.contains("GIMP"), "no word of the file's own: {kept}");
}

#[tokio::test]
async fn s10_what_is_no_usable_picture_is_refused_in_plain_words_and_nothing_is_lost() {
    let house = House::new().await;
    let draft = begun(&house).await;
    let good = probe();

    let said = words(&refused(&house, &draft, b"%PDF-1.7 a report", "report.jpg").await);
    assert!(said.contains("a PDF document") && said.contains("JPEG or PNG"), "{said}");
    let said = words(&refused(&house, &draft, b"", "empty.jpg").await);
    assert!(said.contains("empty"), "{said}");
    let said = words(&refused(&house, &draft, &good[..good.len() / 2], "half.jpg").await);
    assert!(said.contains("cut short"), "{said}");
    let said = words(&refused(&house, &draft, &vec![0xFF; 40_000_000], "huge.jpg").await);
    assert!(said.contains("40 MB") && said.contains("20 MB at most"), "{said}");

    // A PNG that says it is 65,535 by 65,535.
    let mut bomb = png(&[0; 8 * 8 * 3], 8, 8, ExtendedColorType::Rgb8);
    bomb[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    let sum = crc32(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    let said = words(&refused(&house, &draft, &bomb, "large.png").await);
    assert!(said.contains("65535 × 65535") && said.contains("40 million pixels"), "{said}");

    let still = png(&[9; 8 * 8 * 3], 8, 8, ExtendedColorType::Rgb8);
    let body = [b"acTL".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0]].concat();
    let animation = [&still[..33], &8u32.to_be_bytes(), &body, &crc32(&body).to_be_bytes(), &still[33..]].concat();
    let said = words(&refused(&house, &draft, &animation, "moving.png").await);
    assert!(said.contains("animated") && said.contains("one still picture"), "{said}");

    let polyglot = [&good, b"PK\x03\x04 and an archive".as_slice()].concat();
    let said = words(&refused(&house, &draft, &polyglot, "both.jpg").await);
    assert!(said.contains("something else after the picture's end"), "{said}");
}

#[tokio::test]
async fn s10_no_face_and_too_many_faces_are_refused() {
    let house = House::new().await;
    let draft = begun(&house).await;
    let wall = png(&vec![180; 640 * 480 * 3], 640, 480, ExtendedColorType::Rgb8);
    let said = refused(&house, &draft, &wall, "wall.png").await;
    assert!(cites(&said, Clause::S10) && words(&said).to_lowercase().contains("face"), "{said:?}");

    // Thirty-five faces: one face, seven by five.
    let one = portrait(&house.bureau).await.scale_to_fit(150, 150);
    let (w, h) = (one.width() as usize, one.height() as usize);
    let mut crowd = vec![0; w * 7 * h * 5 * 3];
    for row in 0..h * 5 {
        for column in 0..7 {
            let from = (row % h) * w * 3;
            let to = (row * w * 7 + column * w) * 3;
            crowd[to..to + w * 3].copy_from_slice(&one.data()[from..from + w * 3]);
        }
    }
    let crowd = Rgb8::new((w * 7) as u32, (h * 5) as u32, crowd).unwrap().to_jpeg(95).unwrap();
    let said = words(&refused(&house, &draft, &crowd, "crowd.jpg").await);
    assert!(said.contains("30"), "it says the limit: {said}");
}

fn centre(f: &FaceBox) -> (f32, f32) {
    (f.x + f.width / 2.0, f.y + f.height / 2.0)
}

async fn taken_in(house: &House, id: RequestId, version: u64, bytes: &[u8], name: &str) -> (u64, FormImage, String) {
    let (version, probe, notes) =
        house.bureau.add_image(REQUESTER, id, version, bytes, Some(name)).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    let form = house.bureau.draft(REQUESTER, id).await.unwrap().form;
    let image = form.images.into_iter().find(|i| i.probe == probe).unwrap();
    // What people look at is upright, plain and without metadata.
    let shown = house.bureau.draft_image(REQUESTER, id, probe).await.unwrap();
    let p = house.bureau.decode(&shown).await.unwrap();
    assert_eq!((p.width, p.height), (image.width, image.height));
    assert!(!crate::search::holds_bytes(&shown, b"Exif") && !crate::search::holds_bytes(&shown, b"a camera's serial"));
    (version, image, words(&notes))
}

#[tokio::test]
async fn s10_a_turned_photograph_is_taken_in_upright() {
    let house = House::new().await;
    let id = house.bureau.new_draft(REQUESTER).await.unwrap();
    let (version, upright, _) = taken_in(&house, id, 1, &probe(), "still.jpg").await;
    // Stored turned, with the note in its EXIF that says how to turn it back, as cameras do.
    let turned = pixels(&house.bureau, &probe()).await.rotate(3).to_jpeg(95).unwrap();
    let turned = with_segment(&turned, 0xFE, b"a camera's serial number");
    let turned = with_segment(&turned, 0xE1, &exif_orientation(6));
    let (_, image, _) = taken_in(&house, id, version, &turned, "turned.jpg").await;
    assert_eq!((image.width, image.height), (upright.width, upright.height));
    assert_eq!(image.faces.len(), upright.faces.len());
    assert!(upright.faces.len() > 1);
    for (a, b) in image.faces.iter().zip(&upright.faces) {
        let ((ax, ay), (bx, by)) = (centre(a), centre(b));
        let near = b.width / 4.0;
        assert!((ax - bx).abs() < near && (ay - by).abs() < near, "{a:?} is not where {b:?} is");
    }
}

#[tokio::test]
async fn s10_unusual_but_honest_pictures_are_taken_in() {
    let house = House::new().await;
    let id = house.bureau.new_draft(REQUESTER).await.unwrap();
    let face = portrait(&house.bureau).await;
    let (w, h) = (face.width(), face.height());

    // CMYK as Adobe writes it.
    let cmyk: Vec<u8> = face.data().chunks_exact(3).flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
    let mut file = vec![];
    let encoder = jpeg_encoder::Encoder::new(&mut file, 95);
    encoder.encode(&cmyk, u16::try_from(w).unwrap(), u16::try_from(h).unwrap(), jpeg_encoder::ColorType::Cmyk).unwrap();
    let (version, image, notes) = taken_in(&house, id, 1, &file, "cmyk.jpg").await;
    assert_eq!((image.faces.len(), image.chosen, notes.as_str()), (1, Some(0), ""));
    assert!(image.quality.iter().any(|q| q.component == "sharpness"), "its quality is said at once: {:?}", image.quality);

    // 16 bits a channel.
    let deep: Vec<u8> = face.data().iter().flat_map(|v| (u16::from(*v) * 257).to_ne_bytes()).collect();
    let (version, image, _) = taken_in(&house, id, version, &png(&deep, w, h, ExtendedColorType::Rgb16), "deep.png").await;
    assert_eq!(image.faces.len(), 1);

    // A PNG that is called a JPEG is what it is, and that is said.
    let (version, image, notes) = taken_in(&house, id, version, &face.to_png().unwrap(), "still.jpg").await;
    assert_eq!(image.faces.len(), 1);
    assert!(notes.contains("says jpg") && notes.contains("is a PNG"), "{notes}");

    // The same bytes again on this form are one image too many.
    let again = house.bureau.add_image(REQUESTER, id, version, &file, Some("cmyk again.jpg")).await;
    assert!(cites(&refusals(again), Clause::S2));
}

#[tokio::test]
async fn s1_a_form_carries_so_many_images_and_says_so() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = b.new_draft(REQUESTER).await.unwrap();
    let face = portrait(b).await.scale_to_fit(220, 220);
    let mut version = 1;
    for n in 0..IMAGES_PER_REQUEST_MAX {
        let image = face.brightness_contrast(i32::try_from(n).unwrap(), 0).to_jpeg(90).unwrap();
        version = b.add_image(REQUESTER, id, version, &image, None).await.unwrap().0;
    }
    let one_more = face.brightness_contrast(40, 0).to_jpeg(90).unwrap();
    let said = refusals(b.add_image(REQUESTER, id, version, &one_more, None).await);
    assert!(words(&said).contains("at most 10 images"), "{said:?}");
    // One taken away makes room for another, and its bytes are gone.
    let first = b.draft(REQUESTER, id).await.unwrap().form.images[0].clone();
    version = b.remove_image(REQUESTER, id, version, first.probe).await.unwrap();
    assert!(b.store().get_blob(first.original).await.unwrap().is_none());
    b.add_image(REQUESTER, id, version, &one_more, None).await.unwrap();
    // Throwing the draft away throws its images away.
    b.discard_draft(REQUESTER, id).await.unwrap();
    assert_eq!(files_kept(&house).await, 0);
}

#[tokio::test]
async fn a3_the_chosen_face_is_on_the_image_and_the_image_is_the_owners() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, version, form) = begun(&house).await;
    let image = &form.images[0];
    let none = b.describe_image(REQUESTER, id, version, image.probe, Some(image.faces.len()), None).await;
    let said = refusals(none);
    assert!(cites(&said, Clause::A3) && words(&said).contains(&format!("{} faces", image.faces.len())), "{said:?}");
    let version = b.describe_image(REQUESTER, id, version, image.probe, Some(0), Some(Source::Supervised)).await.unwrap();
    let image = b.draft(REQUESTER, id).await.unwrap().form.images[0].clone();
    assert_eq!((image.chosen, image.source, version), (Some(0), Some(Source::Supervised), version));
    assert!(!image.quality.is_empty());
    // Nobody else's draft is anybody's to see or change, in the force or out of it.
    for other in [crate::house::OTHER_REQUESTER, NCA_REQUESTER] {
        let unknown = refusals(b.draft(other, RequestId(uuid::Uuid::now_v7())).await);
        assert_eq!(refusals(b.draft(other, id).await), unknown);
        assert_eq!(refusals(b.draft_image(other, id, image.probe).await), unknown);
        assert_eq!(refusals(b.save_draft(other, id, version, Form::new()).await), unknown);
        assert_eq!(refusals(b.discard_draft(other, id).await), unknown);
        assert_eq!(refusals(b.send(other, id, version, None).await), unknown);
    }
}

#[tokio::test]
async fn a3_a_face_chosen_after_a_change_of_engine_is_the_one_in_that_place() {
    let house = House::new().await;
    let (id, version, before) = begun(&house).await;
    assert_eq!(before.images[0].chosen, Some(SOUGHT));
    let probe = before.images[0].probe;
    // Another one is chosen, and then, when there is one more face on the left, this one again.
    let version = house.bureau.describe_image(REQUESTER, id, version, probe, Some(SOUGHT - 1), None).await.unwrap();
    let house = house.with_an_engine_that_finds(one_more_on_the_left).await;
    let version = house.bureau.describe_image(REQUESTER, id, version, probe, Some(SOUGHT), None).await.unwrap();
    let after = house.bureau.draft(REQUESTER, id).await.unwrap().form;
    let of_the_face = |form: &Form| {
        let all = form.images[0].quality.iter().filter(|q| q.component != face::Component::SingleFacePresent.name());
        all.cloned().collect::<Vec<_>>()
    };
    assert!(of_the_face(&before).len() > 10);
    assert_eq!(of_the_face(&after), of_the_face(&before));

    // Where it is not found any more it cannot be chosen, and the form stays as it is.
    let version = house.bureau.describe_image(REQUESTER, id, version, probe, Some(SOUGHT - 1), None).await.unwrap();
    let house = house.with_an_engine_that_finds(without_the_one_sought).await;
    let said = refusals(house.bureau.describe_image(REQUESTER, id, version, probe, Some(SOUGHT), None).await);
    assert!(cites(&said, Clause::S10) && words(&said).contains("add it again"), "{said:?}");
    let kept = house.bureau.draft(REQUESTER, id).await.unwrap();
    assert_eq!((kept.version, kept.form.images[0].chosen), (version, Some(SOUGHT - 1)));
}

#[tokio::test]
async fn a3_an_image_below_the_specification_is_told_at_once_recorded_and_never_searched() {
    let house = House::new().await;
    let b = &house.bureau;
    let small = portrait(b).await.scale_to_fit(72, 72).to_jpeg(95).unwrap();
    let (id, version) = house.drafted(REQUESTER, form(GalleryId::Passport), &small, 0).await;
    // At once, with the number, its unit, what is needed and what to do.
    let told = b.draft(REQUESTER, id).await.unwrap().form.images[0].clone();
    let eyes = told.quality.iter().find(|q| q.component == "inter-eye-distance").unwrap();
    assert_eq!((eyes.verdict, eyes.unit.as_str()), (Verdict::Block, "pixels"));
    assert!(eyes.value.is_some_and(|v| v < 24.0), "{eyes:?}");
    assert!(eyes.advice.contains("pixels between the eyes; 60 or more are needed. Use the original picture"), "{eyes:?}");

    // It may be sent (S10 asks "as far as possible"), and the record says what was found by which specification.
    let sent = b.send(REQUESTER, id, version, None).await.unwrap()[0];
    let Some(Event::Prepared { form: recorded, .. }) = house.events(sent).await.into_iter().next() else { panic!("prepared first") };
    let image = &recorded.images[0];
    let specification = &image_specifications().unwrap()[&GalleryId::Passport];
    assert_eq!(image.specification, Some(Digest(specification.digest())));
    assert_eq!(image.quality.len(), face::Component::ALL.len(), "every component, also the fine ones");
    assert_eq!(image.quality, told.quality, "the form went where it was meant to go");

    // Nobody can authorise a search with it, by any page or API.
    house.act_and_work(APPROVER, sent, Command::Approve).await;
    let holder = desk(GalleryId::Passport).assessors[0];
    house.act(holder, sent, Command::Take { no_conflict: true }).await;
    let assess = Command::Assess {
        probe: image.probe,
        assessment: Box::new(World::new().assessment(GalleryId::Passport)),
        decision: Decision::Authorise,
        authorisation: AuthorisationId(uuid::Uuid::now_v7()),
    };
    let said = refusals(b.act(holder, sent, assess, None, None).await);
    assert!(cites(&said, Clause::A3) && words(&said).contains("pixels between the eyes; 60 or more are needed"), "{said:?}");
    let never = refusals(b.act(holder, sent, Command::StartSearch { probe: image.probe }, None, None).await);
    assert!(cites(&never, Clause::M1), "{never:?}");
}

#[tokio::test]
async fn a3_each_gallery_judges_an_image_by_its_own_specification() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, version) = house.drafted(REQUESTER, form(GalleryId::Passport), &probe(), 1).await;
    let draft = b.draft(REQUESTER, id).await.unwrap().form;
    let specifications = image_specifications().unwrap();
    assert_eq!(draft.images[0].specification, Some(Digest(specifications[&GalleryId::Passport].digest())));
    // Every gallery has one, and the bundled policy's limits name what the engine measures.
    for g in GalleryId::iter() {
        assert!(specifications[&g].limits(face::Component::InterEyeDistance).is_some());
    }
    // What was measured does not change with where the form goes; who judges it does.
    let version = b.save_draft(REQUESTER, id, version, Form { nationality: Some(Nationality::Foreign), ..draft.clone() }).await.unwrap();
    let moved = b.draft(REQUESTER, id).await.unwrap().form.images[0].clone();
    assert_eq!(moved.specification, Some(Digest(specifications[&GalleryId::Immigration].digest())));
    let values = |i: &FormImage| i.quality.iter().map(|q| (q.component.clone(), q.value)).collect::<Vec<_>>();
    assert_eq!(values(&moved), values(&draft.images[0]));
    assert!(version > 1 && moved.usable());
}

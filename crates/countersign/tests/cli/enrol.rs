//! `enrol DIR`: resumable, nothing doubled, a report of what was refused and why.

use crate::run::{Place, Ran, photograph};
use decoder::{Decoder, PixelArea, Rgb8};
use face::{Engine, OnnxEngine, Pack};
use gallery::{Gallery as _, LocalGallery, ModelId, Settings};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub fn build(tail: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build").join(tail)
}

/// One large face of a photograph, found by the product's own engine.
pub fn portrait() -> Rgb8 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let decoder = Decoder::new(crate::run::BINARY.into(), vec!["decode-child".into()]);
    let bytes = fs::read(photograph("sample3.jpg")).unwrap();
    let pixels = runtime.block_on(decoder.decode(&bytes, None)).unwrap().pixels;
    let pack = Pack::open(&build("packs/bundled")).unwrap();
    let engine = OnnxEngine::load(&pack, &build("onnxruntime/libonnxruntime.so")).unwrap();
    let faces = engine.detect(&face::Image::new(pixels.width(), pixels.height(), pixels.data()).unwrap()).unwrap();
    let f = &faces[1].area;
    pixels.crop(PixelArea { x: f.x, y: f.y, width: f.width, height: f.height }.padded(0.5)).unwrap().scale_to_fit(260, 260)
}

/// References in the gallery, as a search would count them.
fn enrolled(place: &Place) -> u64 {
    enrolled_with(place, &build("packs/bundled"))
}

fn enrolled_with(place: &Place, pack: &Path) -> u64 {
    let pack = Pack::open(pack).unwrap();
    let model = ModelId::new(pack.info().id.as_str()).unwrap();
    let folder = place.data.join("galleries/passport").join(format!("model {model}"));
    LocalGallery::open_for_search(folder, &model, Settings::default()).unwrap().len()
}

/// Whether there is a gallery to open.
fn begun(place: &Place) -> bool {
    let indexes = fs::read_dir(place.data.join("galleries/passport")).into_iter().flatten();
    indexes.flatten().any(|index| index.path().join("MANIFEST").exists())
}

/// Pictures and biographies held beside them.
fn held(place: &Place) -> u64 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = store::Store::open(&place.data.join("store")).await.unwrap();
        let count = store.holding_count(casework::record::GalleryId::Passport).await.unwrap();
        store.close().await;
        count
    })
}

fn enrol(place: &Place, folder: &Path, more: &[&str]) -> Ran {
    place.run(&[&["enrol", folder.to_str().unwrap(), "--gallery", "passport"], more].concat())
}

#[test]
fn a_folder_is_enrolled_once_with_a_report_of_what_was_refused() {
    let place = Place::new();
    let folder = place.folder.path().join("pictures");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let one = portrait();
    fs::write(folder.join("anna.jpg"), one.to_jpeg(92).unwrap()).unwrap();
    fs::write(folder.join("anna.json"), r#"{"name":"Anna Invented","date-of-birth":"1990-01-02"}"#).unwrap();
    fs::write(folder.join("deeper/bea.PNG"), one.brightness_contrast(10, 0).to_png().unwrap()).unwrap();
    let crowd = fs::read(photograph("sample1.jpg")).unwrap();
    fs::write(folder.join("crowd.jpg"), &crowd).unwrap();
    fs::write(folder.join("half.jpg"), &crowd[..crowd.len() / 2]).unwrap();
    fs::write(folder.join("letter.jpg"), "Dear Sir or Madam").unwrap();
    fs::write(folder.join("odd.jpg"), one.brightness_contrast(20, 0).to_jpeg(92).unwrap()).unwrap();
    fs::write(folder.join("odd.json"), r#"{"favourite-colour":"green"}"#).unwrap();
    fs::write(folder.join("notes.txt"), "not looked at").unwrap();

    let said = enrol(&place, &folder, &["--json"]).well().json();
    assert_eq!((said["added"].as_u64(), said["already"].as_u64()), (Some(2), Some(0)), "{said}");
    let refused: Vec<(&str, &str)> =
        said["refused"].as_array().unwrap().iter().map(|r| (r["file"].as_str().unwrap(), r["why"].as_str().unwrap())).collect();
    let expected = [
        ("crowd.jpg", "faces; a reference shows exactly one"),
        ("half.jpg", "cut short"),
        ("letter.jpg", "looks like text"),
        ("odd.jpg", "biography beside it cannot be read"),
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:#?}");
    for ((file, why), (named, words)) in refused.iter().zip(expected) {
        assert!(*file == named && why.contains(words), "{file}: {why}");
    }
    assert_eq!((enrolled(&place), held(&place)), (2, 2));

    let again = enrol(&place, &folder, &["--json"]).well().json();
    assert_eq!((again["added"].as_u64(), again["already"].as_u64()), (Some(0), Some(2)));
    assert_eq!((enrolled(&place), held(&place)), (2, 2));
    let words = enrol(&place, &folder, &[]).well().out;
    assert!(words.contains("0 added, 2 already there, 4 refused") && words.contains("crowd.jpg: "), "{words}");

    let missing = enrol(&place, &folder.join("nowhere"), &[]).badly().said();
    assert!(missing.contains("cannot be read"), "{missing}");
    assert_eq!(place.run(&["enrol", "x", "--gallery", "nonsense"]).code, Some(2));
}

#[test]
fn an_enrolment_killed_half_way_is_taken_up_again() {
    const PICTURES: u64 = 16;
    let place = Place::new();
    let folder = place.folder.path().join("pictures");
    fs::create_dir_all(&folder).unwrap();
    let one = portrait();
    for n in 0..PICTURES {
        let picture = one.brightness_contrast(i32::try_from(n).unwrap() * 3 - 24, 0);
        fs::write(folder.join(format!("{n:02}.jpg")), picture.to_jpeg(92).unwrap()).unwrap();
    }
    // Killed twice, each time after some more references have arrived.
    for until in [2, 6] {
        let mut child = place.command(&["enrol", folder.to_str().unwrap(), "--gallery", "passport"]).spawn().unwrap();
        let began = Instant::now();
        // Until the first has arrived there may be no gallery to open.
        while (!begun(&place) || enrolled(&place) < until) && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it was still at work");
    }
    let done = enrolled(&place);
    assert!((5..PICTURES).contains(&done), "killed half-way: {done}");
    assert!(held(&place) - done <= 1, "a picture comes before its template");
    let said = enrol(&place, &folder, &["--json"]).well().json();
    assert_eq!(said["added"].as_u64().unwrap() + said["already"].as_u64().unwrap(), PICTURES, "{said}");
    assert_eq!(said["already"].as_u64(), Some(done));
    assert_eq!((enrolled(&place), held(&place)), (PICTURES, PICTURES));
    place.holds();
}

/// Like the bundled pack, by another name: another model to whoever compares templates.
fn other_pack(folder: &Path) -> PathBuf {
    let (from, to) = (build("packs/bundled"), folder.join("other-pack"));
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(&from).unwrap().map(|f| f.unwrap()) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    let manifest = fs::read_to_string(to.join("manifest.toml")).unwrap();
    let (model, renamed) = ("model = \"dlib-resnet-128\"", "model = \"dlib-resnet-other\"");
    assert!(manifest.contains(model));
    fs::write(to.join("manifest.toml"), manifest.replace(model, renamed)).unwrap();
    to
}

#[test]
fn another_models_index_is_made_beside_the_one_that_is_searched() {
    const PICTURES: u64 = 12;
    let place = Place::new();
    let folder = place.folder.path().join("pictures");
    fs::create_dir_all(&folder).unwrap();
    let one = portrait();
    let picture = |n: u64| one.brightness_contrast(i32::try_from(n).unwrap() * 3 - 20, 0).to_jpeg(92).unwrap();
    for n in 0..PICTURES {
        fs::write(folder.join(format!("{n:02}.jpg")), picture(n)).unwrap();
    }
    let words = enrol(&place, &folder, &[]).well().out;
    assert!(words.contains(&format!("{PICTURES} added")) && words.contains("Most of the work was "), "{words}");
    let other = other_pack(place.folder.path());
    let again = ["gallery", "re-enrol", "--gallery", "passport", "--pack", other.to_str().unwrap()];

    // Enrolling with the other model now would make an index of the newcomers alone, to be searched as the gallery.
    let with_other = place.folder.path().join("other.toml");
    fs::write(&with_other, format!("data_dir = {:?}\n[face]\npack = {other:?}\n", place.data)).unwrap();
    let mut command = crate::run::command(&["enrol", folder.to_str().unwrap(), "--gallery", "passport", "--config"]);
    let said = Ran::from(command.arg(&with_other).output().unwrap()).badly().said();
    assert!(said.contains("holds 12 references") && said.contains("re-enrol"), "{said}");

    // Killed when some references have arrived: there is nothing yet that could be searched and found wanting.
    let growing = || {
        let indexes = fs::read_dir(place.data.join("galleries/passport")).unwrap().map(|i| i.unwrap().path());
        indexes.filter(|i| i.file_name().unwrap().to_str().unwrap().starts_with("growing ")).find(|i| i.join("MANIFEST").exists())
    };
    let arrived = || {
        let model = ModelId::new(Pack::open(&other).unwrap().info().id.as_str()).unwrap();
        growing().map_or(0, |at| LocalGallery::open_for_search(at, &model, Settings::default()).map_or(0, |g| g.len()))
    };
    let mut child = place.command(&again).spawn().unwrap();
    let began = Instant::now();
    while arrived() == 0 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was still at work");
    let half = arrived();
    assert!(half > 0, "{half}");
    assert_eq!(enrolled(&place), PICTURES, "the first index is as it was");

    let said = place.run(&[&again[..], &["--json"]].concat()).well().json();
    assert_eq!((said["already"].as_u64(), said["added"].as_u64()), (Some(half), Some(PICTURES - half)), "{said}");
    assert_eq!((said["refused"].as_u64(), said["without_picture"].as_u64()), (Some(0), Some(0)), "{said}");
    assert!(growing().is_none());
    assert_eq!((enrolled(&place), enrolled_with(&place, &other), held(&place)), (PICTURES, PICTURES, PICTURES));

    // What came in since is said to be missing, and taken in by running it again.
    fs::write(folder.join("new.jpg"), picture(PICTURES)).unwrap();
    enrol(&place, &folder, &[]).well();
    fs::copy(&with_other, &place.config).unwrap();
    let checked = place.run(&["gallery", "check"]).well().out;
    assert!(checked.contains(&format!("passport: {PICTURES} references")) && checked.contains("1 more are held"), "{checked}");
    let itself = place.run(&again).badly().said();
    assert!(itself.contains("with this model already"), "{itself}");
    fs::write(&place.config, format!("data_dir = {:?}\n", place.data)).unwrap();
    let said = place.run(&again).well().out;
    assert!(said.contains(&format!("1 added, {PICTURES} already there")) && said.contains("face.pack"), "{said}");
    assert_eq!(enrolled_with(&place, &other), PICTURES + 1);
}

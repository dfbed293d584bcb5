//! ANSI/NIST-ITL files: enrolled like pictures, written out by the gallery's owner, and enrolled again.

use crate::{
    enrol::{build, portrait},
    run::{Place, Ran},
};
use casework::{export::Export, record::StreamId};
use face::{Engine, OnnxEngine, Pack};
use gallery::{Filters, Gallery as _, LocalGallery, ModelId, Probe, SearchLimits, Settings};
use nist::{Face, Field, Header, Tagged, Transaction};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn file(records: Vec<Tagged>) -> Vec<u8> {
    let header = Header {
        transaction_type: "FACE".into(),
        date: "20261128".into(),
        destination: "HERE".into(),
        origin: "THERE".into(),
        control_number: "T-1".into(),
    };
    let mut out = Transaction::new(&header).unwrap();
    out.declare_utf8().unwrap();
    records.into_iter().for_each(|r| out.push(r).unwrap());
    out.to_bytes()
}

fn words(idc: u8, fields: &[(u32, &str)]) -> Tagged {
    let mut out = Tagged::new(2, idc).unwrap();
    fields.iter().for_each(|(n, text)| out.set(Field::text(*n, text).unwrap()).unwrap());
    out
}

fn picture(idc: u8, size: (u32, u32), picture: Vec<u8>) -> Tagged {
    let (source, taken, compression, colour) = ("THERE".into(), "00000000".into(), "JPEGB".into(), "YCC".into());
    Face { idc, source, taken, width: size.0, height: size.1, compression, colour, picture }.to_record().unwrap()
}

fn folder(place: &Place, name: &str) -> PathBuf {
    let folder = place.folder.path().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn enrol(place: &Place, folder: &Path) -> serde_json::Value {
    place.run(&["enrol", folder.to_str().unwrap(), "--gallery", "passport", "--json"]).well().json()
}

/// Enters the demo's invented people, and a file with the token of one of them.
fn token(place: &Place, name: &str) -> PathBuf {
    let people = place.folder.path().join("people.json");
    if !people.exists() {
        fs::write(&people, crate::run::run(&["register", "example"]).well().out).unwrap();
        place.run(&["register", "found", people.to_str().unwrap()]).well();
    }
    let at = place.folder.path().join(format!("token of {name}"));
    fs::write(&at, place.run(&["token", name]).well().out).unwrap();
    at
}

const OWNER: &str = "Margaret Ellis";

fn export(place: &Place, to: &Path, who: &str, more: &[&str]) -> Ran {
    let token = token(place, who);
    let base = ["gallery", "export", to.to_str().unwrap(), "--token-file", token.to_str().unwrap(), "--origin", "GBHMPO", "--json"];
    place.run(&[&base[..], more].concat())
}

const WHY: [&str; 8] =
    ["--gallery", "passport", "--destination", "SUCCESSOR", "--recipient", "The next system", "--reason", "It is moved."];

/// What the house's stream says of exports.
fn recorded(place: &Place) -> (Vec<Export>, usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = store::Store::open(&place.data.join("store")).await.unwrap();
        let house = store.load(StreamId::House).await.unwrap();
        store.close().await;
        let of = |kind: &str| house.iter().filter(|r| r.header.kind == kind).map(|r| r.payload.clone().unwrap()).collect::<Vec<_>>();
        (of("exported").iter().map(|p| serde_json::from_slice(p).unwrap()).collect(), of("export-ended").len())
    })
}

/// Each file of a folder by its control number, which is the reference's id.
fn exported(folder: &Path) -> BTreeMap<String, Transaction> {
    let files = fs::read_dir(folder).unwrap().map(|f| fs::read(f.unwrap().path()).unwrap());
    files.map(|bytes| nist::parse(&bytes).unwrap()).map(|t| (t.text(t.type1(), 9).unwrap().unwrap(), t)).collect()
}

#[test]
fn files_of_the_exchange_format_are_enrolled_and_written_out_by_the_owner_alone() {
    let place = Place::new();
    let from = folder(&place, "from");
    let one = portrait();
    let size = (one.width(), one.height());
    let jpeg = |n: i32| one.brightness_contrast(n, 0).to_jpeg(92).unwrap();
    let biography = [(18, "Invented, Łucja"), (22, "19900102"), (17, "PP-123456789"), (24, "F"), (999_999, "not named by the mapping")];
    fs::write(from.join("anna.an2"), file(vec![words(0, &biography), picture(1, size, jpeg(0))])).unwrap();
    // Two people in one file, told apart by their IDC; a PNG; a picture of something else.
    let mut tattoo = picture(7, size, jpeg(5));
    tattoo.set(Field::text(3, "TATTOO").unwrap()).unwrap();
    let two = [words(5, &[(18, "Bea")]), words(6, &[(18, "Cleo")])];
    let pictures = [picture(5, size, jpeg(10)), picture(6, size, one.brightness_contrast(-10, 0).to_png().unwrap()), tattoo];
    fs::write(from.join("two.EFT"), file(two.into_iter().chain(pictures).collect())).unwrap();
    let whole = fs::read(from.join("anna.an2")).unwrap();
    fs::write(from.join("cut.nist"), &whole[..whole.len() / 2]).unwrap();
    fs::write(from.join("not.nist"), "Dear Sir or Madam").unwrap();
    fs::write(from.join("nobody.an2"), file(vec![words(0, &[(18, "Secret Name")])])).unwrap();
    fs::write(from.join("size.an2"), file(vec![picture(1, (size.0 + 1, size.1), jpeg(15))])).unwrap();
    fs::write(from.join("whose.an2"), file(vec![words(1, &[]), words(2, &[]), picture(3, size, jpeg(20))])).unwrap();
    fs::write(from.join("birthday.an2"), file(vec![words(0, &[(22, "19901345")]), picture(1, size, jpeg(25))])).unwrap();
    fs::write(from.join("letter.an2"), file(vec![picture(1, size, b"Dear Sir or Madam".to_vec())])).unwrap();

    let said = enrol(&place, &from);
    assert_eq!((said["added"].as_u64(), said["already"].as_u64()), (Some(3), Some(0)), "{said}");
    let refused: BTreeMap<&str, &str> =
        said["refused"].as_array().unwrap().iter().map(|r| (r["file"].as_str().unwrap(), r["why"].as_str().unwrap())).collect();
    let expected = [
        ("birthday.an2, picture 1", "2.022 is no day"),
        ("cut.nist", "bytes are missing"),
        ("letter.an2, picture 1", "looks like text"),
        ("nobody.an2", "no Type-10 record"),
        ("not.nist", "does not begin with"),
        ("size.an2, picture 1", "The file says that the picture has"),
        ("two.EFT, picture 3", "a face by its own word"),
        ("whose.an2, picture 1", "whose it is cannot be told"),
    ];
    assert_eq!(refused.keys().copied().collect::<Vec<_>>(), expected.map(|(file, _)| file));
    for (file, words) in expected {
        assert!(refused[file].contains(words), "{file}: {}", refused[file]);
    }
    assert!(!said.to_string().contains("Secret"), "{said}");
    let again = enrol(&place, &from);
    assert_eq!((again["added"].as_u64(), again["already"].as_u64()), (Some(0), Some(3)));

    // Nobody but the owner, and not without saying to whom and why; then nothing is written.
    let to = place.folder.path().join("to");
    for (who, more, words) in [
        ("Asha Verma", &WHY[..], "Only the gallery's owner"),
        (
            "Ruth Adeyemi",
            &["--gallery", "immigration", "--destination", "X", "--recipient", "x", "--reason", "x"],
            "its own owner exports from it",
        ),
        ("Robert Shaw", &WHY[..], "This is another gallery"),
        (OWNER, &["--gallery", "passport", "--destination", "X", "--recipient", "", "--reason", " "], "Say to whom they go"),
        (OWNER, &["--gallery", "passport", "--destination", "a b", "--recipient", "x", "--reason", "x"], "An agency code has 1 to 35"),
        (OWNER, &[&WHY[..], &["--reference", "00000000-0000-0000-0000-000000000001"]].concat(), "No picture of"),
    ] {
        let said = export(&place, &to, who, more).badly().said();
        assert!(said.contains(words), "{who}: {said}");
    }
    let bad = place.folder.path().join("bad token");
    fs::write(&bad, "cst_0000").unwrap();
    let unsigned = ["gallery", "export", to.to_str().unwrap(), "--token-file", bad.to_str().unwrap(), "--origin", "GBHMPO"];
    assert!(place.run(&[&unsigned[..], &WHY].concat()).badly().said().contains("the token is not good"));
    assert_eq!(fs::read_dir(&to).map_or(0, Iterator::count), 0);
    assert_eq!(recorded(&place), (vec![], 0));

    let done = export(&place, &to, OWNER, &WHY).well().json();
    assert_eq!((done["written"].as_u64(), done["without_picture"].as_u64()), (Some(3), Some(0)), "{done}");
    let files = exported(&to);
    let (events, ended) = recorded(&place);
    assert_eq!((events.len(), ended), (1, 1));
    assert_eq!((events[0].recipient.as_str(), events[0].reasons.as_str()), ("The next system", "It is moved."));
    assert_eq!(events[0].references.iter().map(ToString::to_string).collect::<Vec<_>>(), files.keys().cloned().collect::<Vec<_>>());
    place.holds();
    let names: Vec<_> = files.values().map(|t| t.text(t.tagged(2).next().unwrap(), 18).unwrap().unwrap()).collect();
    for name in ["Invented, Łucja", "Bea", "Cleo"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    assert!(export(&place, &to, OWNER, &WHY).badly().said().contains("is not empty"));
    let chosen = place.folder.path().join("chosen");
    let first = files.keys().next().unwrap();
    export(&place, &chosen, OWNER, &[&WHY[..], &["--reference", first, "--reference", first]].concat()).well();
    assert_eq!(exported(&chosen).keys().collect::<Vec<_>>(), [first]);

    // Elsewhere the files are enrolled again, with the same words beside the same faces.
    let other = Place::new();
    assert_eq!(enrol(&other, &to)["added"].as_u64(), Some(3));
    let back = other.folder.path().join("back");
    export(&other, &back, OWNER, &WHY).well();
    let mut before: Vec<_> = files.values().map(|t| t.tagged(2).next().unwrap().fields().to_vec()).collect();
    let mut after: Vec<_> = exported(&back).values().map(|t| t.tagged(2).next().unwrap().fields().to_vec()).collect();
    before.sort_by_key(|f| format!("{:?}", f.iter().map(Field::bytes).collect::<Vec<_>>()));
    after.sort_by_key(|f| format!("{:?}", f.iter().map(Field::bytes).collect::<Vec<_>>()));
    assert_eq!(before, after);
}

/// The development faces; `None`, and said so, where they are absent.
fn people() -> Option<Vec<PathBuf>> {
    let shared = std::env::var_os("COUNTERSIGN_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let Ok(read) = fs::read_dir(shared.join("faces/people")) else {
        eprintln!("NOT RUN: no development faces at {}; set COUNTERSIGN_SHARED", shared.display());
        return None;
    };
    let mut people: Vec<PathBuf> = read.map(|p| p.unwrap().path()).collect();
    people.sort();
    Some(people)
}

/// Real photographs of real people: out as files, in again elsewhere, and each found there by the picture it began with.
#[test]
fn photographs_that_went_out_and_in_again_are_the_same_people_to_a_search() {
    const PEOPLE: usize = 24;
    let Some(people) = people() else { return };
    let (place, other) = (Place::new(), Place::new());
    let from = folder(&place, "from");
    for (n, person) in people.iter().step_by(people.len() / PEOPLE).take(PEOPLE).enumerate() {
        let mut photographs: Vec<_> = fs::read_dir(person).unwrap().map(|p| p.unwrap().path()).collect();
        photographs.sort();
        fs::copy(&photographs[0], from.join(format!("{n:02}.jpg"))).unwrap();
        fs::write(from.join(format!("{n:02}.json")), format!("{{\"name\":\"Person {n:02}\"}}")).unwrap();
    }
    let enrolled = enrol(&place, &from)["added"].as_u64().unwrap();
    assert!(enrolled as usize > PEOPLE / 2, "most show one face alone: {enrolled}");
    let to = place.folder.path().join("to");
    export(&place, &to, OWNER, &WHY).well();
    assert_eq!(enrol(&other, &to)["added"].as_u64(), Some(enrolled));

    let pack = Pack::open(&build("packs/bundled")).unwrap();
    let engine = OnnxEngine::load(&pack, &build("onnxruntime/libonnxruntime.so")).unwrap();
    let model = ModelId::new(engine.model().id.as_str()).unwrap();
    let at = other.data.join("galleries/passport").join(format!("model {model}"));
    let index = LocalGallery::open_for_search(at, &model, Settings::default()).unwrap();
    let decoder = decoder::Decoder::new(crate::run::BINARY.into(), vec!["decode-child".into()]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut found = std::collections::BTreeSet::new();
    for file in exported(&to).values() {
        let face = file.faces().next().unwrap().unwrap();
        let pixels = runtime.block_on(decoder.decode(&face.picture, None)).unwrap().pixels;
        assert_eq!((pixels.width(), pixels.height()), (face.width, face.height));
        let image = face::Image::new(pixels.width(), pixels.height(), pixels.data()).unwrap();
        let faces = engine.detect(&image).unwrap();
        let template = engine.template(&image, &faces[0]).unwrap();
        let probe = Probe::new(model.clone(), template.values().to_vec()).unwrap();
        let best = index.search(&probe, &SearchLimits { k: 1, threshold: None, filters: Filters::default() }).unwrap().entries[0];
        assert!(best.score > 0.99999, "the same picture gives the same template: {}", best.score);
        found.insert(best.id);
    }
    assert_eq!(found.len() as u64, enrolled, "each is somebody else");
}

//! `pack add`, `pack list` and `pack check`.

use crate::run::{Place, run};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A copy of the bundled pack, its nets linked, with a changed manifest.
fn bundled(manifest: impl Fn(String) -> String) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = root().join("build/packs/bundled");
    for net in ["detector.onnx", "landmarks.onnx", "recognition.onnx", "filler.json"] {
        symlink(from.join(net), folder.path().join(net)).unwrap();
    }
    fs::write(folder.path().join("manifest.toml"), manifest(fs::read_to_string(from.join("manifest.toml")).unwrap())).unwrap();
    folder
}

/// The pack of the development models; said aloud when they are absent.
fn second() -> Option<TempDir> {
    let shared = std::env::var_os("COUNTERSIGN_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if !shared.join("models").is_dir() {
        eprintln!("NOT RUN: no development models at {}; set COUNTERSIGN_SHARED", shared.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    for net in ["yunet_n_dynamic.onnx", "foamliu_MobileFaceNet.onnx"] {
        symlink(shared.join("models").canonicalize().unwrap().join(net), folder.path().join(net)).unwrap();
    }
    fs::copy(root().join("tools/packs/yunet_mobilefacenet.toml"), folder.path().join("manifest.toml")).unwrap();
    Some(folder)
}

fn at(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// What lies in the data directory's packs folder.
fn there(place: &Place) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place.data.join("packs")) else { return vec![] };
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_pack_is_checked_shown_added_once_and_listed_with_the_galleries_that_use_it() {
    let place = Place::new();
    let pack = bundled(|m| m);
    let checked = place.run(&["pack", "check", at(&pack), "--json"]).well().json();
    assert_eq!(checked["self_tested"], json!(["detector", "embedding", "landmarks"]));
    assert_eq!((checked["licence"].as_str(), checked["digest"].as_str().unwrap().len()), (Some("MIT"), 64));
    let words = place.run(&["pack", "check", at(&pack)]).well().out;
    assert!(words.contains("licence  MIT") && words.contains("sha256:") && words.contains("tested   detector"), "{words}");
    assert!(there(&place).is_empty(), "a check adds nothing");

    let added = place.run(&["pack", "add", at(&pack), "--json"]).well();
    assert!(added.err.contains("face"), "says how to use it: {}", added.err);
    let added = added.json();
    assert_eq!((&added["id"], &added["digest"]), (&json!("bundled"), &checked["digest"]));
    assert_eq!(there(&place), ["bundled"]);
    let copy = place.data.join("packs/bundled");
    assert!(!fs::symlink_metadata(copy.join("detector.onnx")).unwrap().is_symlink(), "a copy, not a link");

    // Again, under another name, and another one under the same name.
    assert!(place.run(&["pack", "add", at(&pack)]).badly().said().contains("there already"));
    let renamed = bundled(|m| m.replace("id = \"bundled\"", "id = \"other\""));
    assert!(place.run(&["pack", "add", at(&renamed)]).badly().said().contains("its model"));
    let changed = bundled(|m| m.replace("[46.6, 41.8]", "[46.0, 41.8]"));
    let said = place.run(&["pack", "add", at(&changed)]).badly().said();
    assert!(said.contains("another pack named bundled"), "{said}");
    assert_eq!(there(&place), ["bundled"], "nothing half-written is left");

    // In use: configured, and by the galleries that an enrolment made.
    let text = format!("data_dir = {:?}\n[face]\npack = {:?}\n", place.data, copy);
    fs::write(&place.config, text).unwrap();
    let empty = tempfile::tempdir().unwrap();
    place.run(&["enrol", at(&empty), "--gallery", "passport"]).well();
    let list = place.run(&["pack", "list", "--json"]).well().json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["configured"], Value::Bool(true));
    assert!(list[0]["galleries"].as_array().unwrap().contains(&json!("passport")), "{list:?}");
    let words = place.run(&["pack", "list"]).well().out;
    assert!(words.contains("the passport gallery") && words.contains("face.pack"), "{words}");
}

#[test]
fn a_second_pack_is_added_beside_the_first() {
    let Some(pack) = second() else { return };
    let place = Place::new();
    let added = place.run(&["pack", "add", at(&pack), "--json"]).well().json();
    assert_eq!((&added["id"], &added["self_tested"]), (&json!("yunet-mobilefacenet"), &json!(["detector", "embedding"])));
    assert_eq!((&added["galleries"], &added["configured"]), (&json!([]), &json!(false)));
    let list = place.run(&["pack", "list", "--json"]).well().json();
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["bundled", "yunet-mobilefacenet"], "the configured one, then the added");
    // One that was damaged since is told on the side; the others are listed.
    let net = place.data.join("packs/yunet-mobilefacenet/yunet_n_dynamic.onnx");
    fs::write(&net, "gone").unwrap();
    let listed = place.run(&["pack", "list"]).well();
    assert!(listed.out.starts_with("bundled") && listed.err.contains("is not the file its manifest names"), "{listed:?}");
}

#[test]
fn a_pack_that_does_not_pass_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let refused = |pack: &TempDir, why: &str| {
        for verb in ["check", "add"] {
            let said = place.run(&["pack", verb, at(pack)]).badly().said();
            assert!(said.contains(why), "{verb}: {said}");
        }
        assert!(there(&place).is_empty(), "{why}");
    };
    refused(&bundled(|m| m.replace("file = \"detector.onnx\"", "file = \"../detector.onnx\"")), "plain name");
    refused(&bundled(|m| m.replace("id = \"bundled\"", "id = \"../../elsewhere\"")), "its id must be");
    refused(&bundled(|m| m.replace("licence = \"MIT\"", "licence = \"\"")), "no licence");
    refused(&bundled(|m| m.replace("dimension = 128", "dimension = 64")), "embedding");
    refused(&bundled(|m| m.replace("channels = \"rgb\"", "channels = \"bgr\"")), "other values than recorded");
    refused(&tempfile::tempdir().unwrap(), "manifest.toml");
    let pack = bundled(|m| m);
    let net = pack.path().join("recognition.onnx");
    fs::remove_file(&net).unwrap();
    refused(&pack, "cannot read");
    fs::write(&net, "this is not a net").unwrap();
    refused(&pack, "its SHA-256 is");
    fs::File::create(&net).unwrap().set_len((1 << 30) + 1).unwrap();
    refused(&pack, "larger than");
}

#[test]
fn no_data_directory_is_made_by_looking() {
    let place = Place::new();
    assert!(run(&["pack", "--help"]).well().out.contains("Usage: countersign pack"));
    let listed = place.run(&["pack", "list", "--json"]).well().json();
    assert_eq!(listed[0]["id"], json!("bundled"), "{listed}");
    place.run(&["pack", "list"]).well();
    place.run(&["pack", "check", at(&bundled(|m| m))]).well();
    place.run(&["pack", "check", at(&tempfile::tempdir().unwrap())]).badly();
    assert!(!place.data.exists(), "{}", place.data.display());
}

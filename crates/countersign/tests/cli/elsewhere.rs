//! A gallery that the configuration gives to a system elsewhere.

#[path = "../../../abis/tests/fake/mod.rs"]
mod fake;

use crate::{enrol::portrait, run::Place};
use fake::Fake;
use std::fs;

fn configured(place: &Place, url: &str, algorithm: &str) {
    let own = format!("data_dir = {:?}\n", place.data.display().to_string());
    let abis = format!(
        "[abis.passport]\nurl = {url:?}\ngallery = \"PASSPORT\"\nvendor = \"Acme\"\nalgorithm = {algorithm:?}\nscore_min = 0.0\nscore_max = 1.0\n"
    );
    fs::write(&place.config, own + &abis).unwrap();
}

#[test]
fn a_gallery_elsewhere_is_configured_enrolled_and_checked() {
    let (place, fake) = (Place::new(), Fake::start(vec![]));
    configured(&place, &fake.url(), "FaceNet 5.2");
    place.run(&["config", "check"]).well();
    assert!(place.run(&["config", "show"]).well().out.contains("[abis.passport]"));
    let folder = place.folder.path().join("pictures");
    fs::create_dir_all(&folder).unwrap();
    for n in 0..2 {
        fs::write(folder.join(format!("{n}.jpg")), portrait().brightness_contrast(5 * n, 0).to_jpeg(92).unwrap()).unwrap();
    }
    let enrol = || place.run(&["enrol", folder.to_str().unwrap(), "--gallery", "passport", "--json"]).well().json();
    assert_eq!(enrol()["added"].as_u64(), Some(2));
    assert_eq!(enrol()["already"].as_u64(), Some(2));
    assert_eq!(fake.inside.lock().unwrap().people.len(), 2);
    assert!(!place.data.join("galleries/passport").exists(), "there is no index here");
    let said = place.run(&["gallery", "check"]).well().out;
    assert!(said.contains("exactly the 2 references") && said.contains("model \"Acme FaceNet 5.2\""), "{said}");

    fake.inside.lock().unwrap().people.pop();
    let said = place.run(&["gallery", "check"]).badly().said();
    assert!(said.contains("does not hold exactly the 2 references"), "{said}");
    enrol();
    configured(&place, &fake.url(), "FaceNet 6");
    let said = place.run(&["gallery", "check"]).badly().said();
    assert!(said.contains("another vendor or algorithm"), "{said}");
    configured(&place, "http://abis.example/", "FaceNet 5.2");
    let said = place.run(&["config", "check"]).badly().said();
    assert!(said.contains("abis.passport") && said.contains("http is for this machine alone"), "{said}");
}

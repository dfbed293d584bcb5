//! `gallery check` and `gallery bench`.

use crate::run::Place;
use gallery::{Attributes, LocalGallery, ModelId, NewReference, Settings};
use std::{fs, path::Path};

#[test]
fn a_damaged_gallery_is_named() {
    let place = Place::new();
    let said = place.run(&["enrol", place.folder.path().to_str().unwrap(), "--gallery", "passport"]).well(); // makes it, empty
    assert!(said.out.contains("0 added"), "{}", said.out);
    let pack = face::Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/packs/bundled")).unwrap();
    let (model, dimension) = (ModelId::new(pack.info().id.as_str()).unwrap(), pack.info().dimension);
    let folder = place.data.join("galleries/passport").join(format!("model {model}"));
    let gallery = LocalGallery::open(&folder, &model, Settings::default()).unwrap();
    let mut template = vec![0.0; dimension];
    template[3] = 1.0;
    gallery.append(&model, &[NewReference { id: [7; 16], template, attributes: Attributes::default() }]).unwrap();
    gallery.compact().unwrap();
    drop(gallery);
    let well = place.run(&["gallery", "check"]).well().out;
    assert!(well.contains("passport: 1 references at epoch") && well.contains("every byte as written"), "{well}");

    let mut files = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path());
    let file = files.find(|f| f.extension().is_some_and(|e| e == "coarse")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 4;
    fs::write(&file, bytes).unwrap();
    let said = place.run(&["gallery", "check"]).badly().said();
    assert!(said.contains(".coarse is damaged") && said.contains("restore"), "{said}");
}

#[test]
fn a_measurement_tells_ratios_and_holds_its_lists_to_a_brute_force() {
    let place = Place::new();
    let arguments = ["gallery", "bench", "--references", "3000", "--dimension", "32,96", "--k", "5", "--rounds", "1", "--json"];
    let lines = place.run(&arguments).well().json();
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(
            (line["references"].as_u64(), line["compared"].as_u64(), line["differ"].as_u64()),
            (Some(3_000), Some(4), Some(0)),
            "{line}"
        );
        for ratio in ["one", "sixteen", "above_threshold", "filtered", "of_bandwidth"] {
            assert!(line[ratio].as_f64().unwrap() > 0.0, "{line}");
        }
    }
}

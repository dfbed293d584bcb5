//! `certificate …` on a demo's folder, and on one that is not a demo's.

use crate::run::{Place, run};
use std::fs;

fn demo() -> Place {
    let place = Place::new();
    run(&["demo", "--headless", "--synthetic", "1000", "--data", place.data.to_str().unwrap()]).well();
    place
}

/// The notes that a place's `certificate list` prints.
fn notes(place: &Place) -> Vec<String> {
    let out = place.run(&["certificate", "list", "--notes"]).well().out;
    let begun = out.split("countersign accuracy certificate 1\n").skip(1);
    begun
        .map(|rest| {
            let (json, rest) = rest.split_once("\n\n").unwrap();
            format!("countersign accuracy certificate 1\n{json}\n\n{}\n", rest.lines().next().unwrap())
        })
        .collect()
}

fn issue(place: &Place, file: &str, threshold: &str, size: &str) -> crate::run::Ran {
    place.run(&["certificate", "issue", file, "--gallery", "passport", "--threshold", threshold, "--size-up-to", size])
}

#[test]
fn p1_certificates_are_issued_checked_and_listed_from_the_command_line() {
    let (place, other) = (demo(), demo());
    let said = place.run(&["certificate", "list"]).well().said();
    assert_eq!(said.matches("searched within").count(), 2, "{said}");
    assert_eq!(said.matches("DEMONSTRATION").count(), 2, "{said}");
    let file = place.folder.path().join("note.txt");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        place.run(&["certificate", "check", file.to_str().unwrap()])
    };
    let note = notes(&place).remove(0);
    assert!(check(&note).well().out.contains("Signed by this installation"));
    // Another installation's, a changed one, and no certificate at all.
    let theirs = notes(&other).remove(0);
    assert!(check(&theirs).badly().said().contains("not signed by the expected key"));
    assert!(check(&note.replacen("\"demonstration\": true", "\"demonstration\": false", 1)).badly().said().contains("not signed"));
    assert!(check("hello").badly().said().contains("no certificate of this installation"));
    // Measured again for the threshold in use; never another threshold, more references, or a made-up file.
    let evaluation = place.data.join("evaluation.json").display().to_string();
    assert!(issue(&place, &evaluation, "0.945", "1000").well().out.contains("\"references_max\": 1000"));
    let said = issue(&place, &evaluation, "0.97", "1000000").badly().said();
    for part in ["takes a proposal and a second person", "say that the rest is an estimate. (P1)"] {
        assert!(said.contains(part), "every reason at once: {said}");
    }
    assert_eq!(issue(&place, &evaluation, "high", "1000").code, Some(2));
    assert!(issue(&place, file.to_str().unwrap(), "0.945", "1000").badly().said().contains("not an evaluation"));
    // A demonstration stays in the demo.
    let serious = Place::new();
    let people = serious.folder.path().join("people.json");
    fs::write(&people, run(&["register", "example"]).well().out).unwrap();
    serious.run(&["register", "found", people.to_str().unwrap()]).well();
    assert!(issue(&serious, &evaluation, "0.945", "1000").badly().said().contains("only a demo's folder"));
    let said = serious.run(&["certificate", "list"]).well().said();
    assert_eq!(said.matches("not searched").count(), 2, "{said}");
    place.holds();
}

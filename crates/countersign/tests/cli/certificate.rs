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

#[test]
fn p1_a_certificate_is_revoked_from_the_command_line_by_one_person_who_says_why() {
    let place = demo();
    let note = place.folder.path().join("note.txt");
    fs::write(&note, notes(&place).remove(0)).unwrap();
    let revoke = |who: &str, reason: &str| {
        let token = place.folder.path().join("token");
        fs::write(&token, place.run(&["token", who]).well().out).unwrap();
        let token = token.to_str().unwrap();
        place.run(&["certificate", "revoke", "--gallery", "passport", "--reason", reason, "--token-file", token])
    };
    assert!(
        revoke("Asha Verma", "Because.").badly().said().contains("the certificate was not revoked: Your role does not include this. (P1)")
    );
    assert!(revoke("Colin Bright", "Because.").badly().said().contains("another gallery's setting"));
    assert!(revoke("Margaret Ellis", " ").badly().said().contains("Say why the certificate is revoked. (P1)"));
    assert!(revoke("Margaret Ellis", "The sample was mixed up.").well().out.starts_with("Revoked: DEMONSTRATION"));
    assert!(revoke("Ruth Adeyemi", "Once more.").badly().said().contains("It is revoked already."));
    let said = place.run(&["certificate", "list"]).well().said();
    assert!(said.contains("passport: not searched") && said.contains("immigration: searched within"), "{said}");
    assert!(said.contains("It was revoked on") && said.contains("The sample was mixed up."), "{said}");
    let checked = place.run(&["certificate", "check", note.to_str().unwrap()]);
    assert!(checked.badly().said().contains("It was revoked on"));
    // Nobody starts it again from here.
    let evaluation = place.data.join("evaluation.json").display().to_string();
    assert!(issue(&place, &evaluation, "0.945", "1000").badly().said().contains("a second person confirms"));
    // Who is nobody revokes nothing.
    let bad = place.folder.path().join("bad");
    fs::write(&bad, "cst_nothing\n").unwrap();
    let args = ["certificate", "revoke", "--gallery", "immigration", "--reason", "x", "--token-file", bad.to_str().unwrap()];
    assert!(place.run(&args).badly().said().contains("the token is not good"));
    place.holds();
}

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
    let ids = |out: &str| out.lines().filter_map(|l| l.strip_prefix("  id ")).map(str::to_owned).collect::<Vec<_>>();
    let [id, other] = &ids(&place.run(&["certificate", "list"]).well().out)[..] else { panic!("two certificates") };
    let affected = |who: &str, id: &str, more: &[&str]| {
        let token = place.folder.path().join("reader");
        fs::write(&token, place.run(&["token", who]).well().out).unwrap();
        place.run(&[&["certificate", "affected", id, "--token-file", token.to_str().unwrap()], more].concat())
    };
    let before = affected("Ruth Adeyemi", id, &["--json"]).well().json();
    let searches = before["searches"].as_array().unwrap();
    assert!(!searches.is_empty() && before["revoked"].is_null(), "the demo told a story: {before}");
    assert!(searches.iter().all(|s| s["certificate"] == id.as_str() && s["gallery"] == "passport"), "{before}");
    let revoked = revoke("Margaret Ellis", "The sample was mixed up.").well().out;
    assert!(revoked.starts_with("Revoked: DEMONSTRATION"));
    assert!(revoked.contains(&format!("countersign certificate affected {id}")), "{revoked}");
    let after = affected("Nadia Rahman", id, &[]).well().said();
    assert!(after.contains("The sample was mixed up.") && after.contains(searches[0]["reference"].as_str().unwrap()), "{after}");
    assert_eq!(affected("Ruth Adeyemi", id, &["--json"]).well().json()["searches"], before["searches"]);
    // Another gallery's, none at all, and somebody whose role it is not.
    for nothing in [other.as_str(), &"00".repeat(32)] {
        assert!(affected("Ruth Adeyemi", nothing, &[]).badly().said().contains("no such certificate, or it is not for you to see"));
    }
    assert!(affected("Asha Verma", id, &[]).badly().said().contains("the searches are not listed: Your role does not include this. (P1)"));
    let none = affected("Ruth Adeyemi", "FIS-1A2B", &[]);
    assert_eq!(none.code, Some(2));
    assert!(none.said().contains("it must be a SHA-256: 64 hexadecimal digits"));
    assert!(revoke("Ruth Adeyemi", "Once more.").badly().said().contains("It is revoked already."));
    let said = place.run(&["certificate", "list"]).well().said();
    assert!(said.contains(&format!("id {id}: The sample was mixed up.")), "{said}");
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

//! Help, configuration, policy.

use crate::run::{Place, run};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

#[test]
fn every_verb_explains_itself() {
    let first = run(&["--help"]).well().out;
    assert!(first.contains("intake → assess → search → review → respond → retain → report"));
    let verbs: &[&[&str]] = &[
        &["serve"],
        &["work"],
        &["demo"],
        &["enrol"],
        &["pack"],
        &["pack", "add"],
        &["pack", "list"],
        &["pack", "check"],
        &["policy"],
        &["policy", "coverage"],
        &["policy", "show"],
        &["policy", "access"],
        &["audit"],
        &["audit", "verify"],
        &["audit", "replay"],
        &["retain"],
        &["backup"],
        &["restore"],
        &["audit", "check"],
        &["token"],
        &["bench"],
        &["bench", "request"],
        &["bench", "record"],
        &["store"],
        &["store", "copy"],
        &["store", "restored"],
        &["migrate"],
        &["config"],
        &["config", "check"],
        &["config", "show"],
    ];
    for verb in verbs {
        let help = run(&[*verb, &["--help"]].concat()).well().out;
        assert!(help.contains("Usage: countersign"), "{verb:?}: {help}");
        // Every option and argument says what it is for.
        for line in help.lines().filter(|l| l.trim_start().starts_with('-') || l.trim_start().starts_with('<')) {
            let (_, words) = line.trim_start().split_once("  ").unwrap_or_default();
            assert!(!words.trim().is_empty(), "{verb:?}: {line}");
        }
        assert!(first.contains(verb[0]), "{} is in the list of verbs", verb[0]);
    }
    assert!(!first.contains("decode-child"), "an inner verb is nobody's business");
    assert_eq!(run(&["nonsense"]).code, Some(2));
    assert!(run(&["--version"]).well().out.starts_with("countersign "));
}

#[test]
fn a_word_that_names_nothing_is_answered_with_those_that_there_are() {
    let galleries: &[&[&str]] = &[
        &["enrol", "x", "--gallery"],
        &["evaluate", "x", "--image-specification"],
        &["gallery", "re-enrol", "--gallery"],
        &["gallery", "export", "x", "--gallery"],
        &["certificate", "issue", "x", "--gallery"],
        &["certificate", "revoke", "--gallery"],
    ];
    for verb in galleries {
        for wrong in ["nonsense", "Passport", ""] {
            let ran = run(&[verb, &[wrong][..]].concat());
            let said = ran.said();
            assert_eq!(ran.code, Some(2), "{said}");
            assert!(said.contains(verb[verb.len() - 1]) && said.contains("it must be one of: passport, immigration"), "{said}");
        }
    }
    let said = run(&["policy", "show", "Z9"]).said();
    assert!(said.contains("it must be one of: R1, R2") && said.contains("W5"), "{said}");
}

#[test]
fn config_check_says_everything_that_is_wrong_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let nowhere = folder.path().join("nowhere");
    let text = format!(
        "[serve]\nlisten = \"0.0.0.0:80\"\nhosts = []\nsecure = false\ntrusted_proxies = [\"10.0.0.0/8\", \"::/0\"]\n\
         [face]\npack = {nowhere:?}\nruntime = {nowhere:?}\n"
    );
    fs::write(&file, text).unwrap();
    let at = file.to_str().unwrap();
    let ran = run(&["-c", at, "config", "check", "--json"]).badly();
    let said = ran.json();
    assert_eq!(said["ok"], Value::Bool(false));
    let faults: Vec<&str> = said["faults"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert_eq!(faults.len(), 5, "{faults:#?}");
    for (fault, key) in faults.iter().zip(["serve.hosts", "serve.listen", "serve.trusted_proxies: ::/0", "face.pack", "face.runtime"]) {
        assert!(fault.starts_with(key), "{fault}");
    }
    let words = run(&["-c", at, "config", "check"]).badly().said();
    assert!(words.contains("serve.hosts is empty") && words.contains("make setup"), "{words}");
    // Nor does anything start on it.
    let served = run(&["-c", at, "serve"]).badly().said();
    assert!(served.contains("serve.hosts is empty"), "{served}");

    for (text, expected) in [
        ("data_dri = \"x\"", "data_dri"),
        ("[serve]\nlisten = \"everywhere\"", "listen"),
        ("data_dir = ", "not a valid configuration"),
        ("[serve]\ntrusted_proxies = [\"the proxy\"]", "trusted_proxies"),
    ] {
        fs::write(&file, text).unwrap();
        let said = run(&["-c", at, "config", "check"]).badly().said();
        assert!(said.contains(expected) && said.contains("c.toml"), "{said}");
    }
    fs::remove_file(&file).unwrap();
    assert!(run(&["-c", at, "config", "check"]).badly().said().contains("cannot be read"));
}

#[test]
fn the_configuration_shown_is_one_that_can_be_read_back() {
    let place = Place::new();
    let mut checked = place.run(&["config", "check", "--json"]).well().json();
    // How this kernel holds a child that decodes: the limits on any, the rest where it has them.
    let held = checked["decoder"].take();
    assert_eq!(checked, serde_json::json!({ "ok": true, "faults": [], "decoder": null }));
    assert_eq!(held["limits"], "full");
    assert!(held["landlock"].is_string() || held["landlock"].is_object(), "{held}");
    assert!(place.run(&["config", "check"]).well().out.contains("Images are decoded"));
    let shown = place.run(&["config", "show"]).well().out;
    let file = place.folder.path().join("again.toml");
    fs::write(&file, &shown).unwrap();
    let again = run(&["-c", file.to_str().unwrap(), "config", "show"]).well().out;
    assert_eq!(again, shown);
    assert!(shown.contains(place.data.to_str().unwrap()));
    // By the environment, too.
    let mut command = crate::run::command(&["config", "show"]);
    let ran: crate::run::Ran = command.env("COUNTERSIGN_CONFIG", &file).output().unwrap().into();
    assert_eq!(ran.well().out, shown);
}

#[test]
fn policy_coverage_holds_and_lists_every_clause_once() {
    let ran = run(&["policy", "coverage", "--json"]).well();
    let mut seen = BTreeSet::new();
    let mut covered = 0;
    for line in ran.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let clause = line["clause"].as_str().unwrap().to_owned();
        if line["status"] == "covered" {
            covered += 1;
            assert!(!line["rules"].as_array().unwrap().is_empty() && !line["tests"].as_array().unwrap().is_empty(), "{line}");
        }
        assert!(seen.insert(clause), "{line}");
    }
    assert!(covered > 35 && seen.contains("A7") && seen.contains("W5"), "{covered} of {}", seen.len());
    let words = run(&["policy", "coverage"]).well().out;
    assert!(!words.contains("MISSING") && words.contains("A7 ") && words.contains("deferred"));
    let a7 = run(&["policy", "show", "A7"]).well().out;
    assert!(a7.starts_with("A7 MUST") && a7.contains("2 years"), "{a7}");
    assert_eq!(run(&["policy", "show", "Z9"]).code, Some(2));
    assert!(run(&["policy", "access"]).well().out.contains("M1"));
}

#[test]
fn the_record_is_looked_after_without_model_runtime_or_galleries() {
    let place = Place::new();
    let nowhere = place.folder.path().join("nowhere");
    let text = format!("data_dir = {:?}\n[face]\npack = {nowhere:?}\nruntime = {nowhere:?}\n", place.data.display().to_string());
    fs::write(&place.config, text).unwrap();
    let people = place.folder.path().join("people.json");
    fs::write(&people, run(&["register", "example"]).well().out).unwrap();
    place.run(&["register", "found", people.to_str().unwrap()]).well();
    assert!(place.run(&["token", "Sam Okafor"]).well().out.starts_with("cst_"));
    assert!(place.holds()["events"].as_u64().unwrap() > 10);
    assert!(!place.data.join("galleries").exists());
    assert!(place.run(&["work", "--once"]).badly().said().contains("nowhere"), "what searches needs the model");
}

#[test]
fn what_is_not_a_data_folder_is_said_to_be_none_and_is_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.data.join("store")).unwrap();
    fs::write(place.data.join("store/thesis.txt"), "mine").unwrap();
    for verb in [&["audit", "verify"][..], &["audit", "replay"], &["token", "Sam Okafor"], &["work", "--once"]] {
        let said = place.run(verb).badly().said();
        assert!(said.contains("is not a data directory") && said.contains("records.db is missing"), "{verb:?}: {said}");
    }
    let left: Vec<_> = fs::read_dir(place.data.join("store")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["thesis.txt"]);
}

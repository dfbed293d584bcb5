//! Each MUST clause has a rule and a test, found the way the build of the binary finds them.

use casework::{
    clause::Clause,
    coverage::{self, Found, Place, Status, scan},
    policy::Policy,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_must_clause_has_a_rule_and_a_test_in_this_room_or_is_deferred() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = Policy::in_force(jiff::civil::Date::MAX);
    let ids: Vec<String> = policy.clauses.iter().map(|c| c.id.to_string()).collect();
    let mut paths = vec![];
    files(&here.join("src"), &mut paths);
    files(&here.join("tests"), &mut paths);
    let mut found = Found::new();
    for path in paths {
        let file = path.strip_prefix(here).unwrap().display().to_string();
        let file = format!("crates/casework/{file}");
        for hit in scan::scan(&ids, &file, &fs::read_to_string(&path).unwrap()) {
            let places = found.entry(hit.clause.parse::<Clause>().unwrap()).or_default();
            let place = Place { file: file.clone(), line: hit.line, name: hit.name };
            match hit.kind {
                scan::Kind::Rule => places.rules.push(place),
                scan::Kind::Test => places.tests.push(place),
            }
        }
    }
    let lines = coverage::check(policy, Policy::deferred(), &found);
    let wrong: Vec<_> = lines
        .iter()
        .filter(|l| matches!(l.status, Status::Missing { .. } | Status::WronglyDeferred(_)))
        .map(|l| (l.clause, l.status.clone()))
        .collect();
    assert_eq!(wrong, vec![]);
    assert!(coverage::ok(&lines));
}

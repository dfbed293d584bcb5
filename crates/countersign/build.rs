//! Finds, for each clause of the policy, the rules that apply it and the tests that name it, and writes
//! them to `$OUT_DIR/coverage.json` for `countersign policy coverage`.

#[path = "../casework/src/coverage/scan.rs"]
mod scan;

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = here.join("../..").canonicalize()?;
    let policy = root.join("crates/casework/policy/v1.toml");
    println!("cargo::rerun-if-changed={}", policy.display());
    let ids = ids(&fs::read_to_string(&policy)?);

    let mut files = vec![];
    for room in sorted(&root.join("crates"))? {
        for part in ["src", "tests"] {
            collect(&room.join(part), "rs", &mut files)?;
        }
    }
    collect(&root.join("tools/browser"), "mjs", &mut files)?;

    let mut found: BTreeMap<String, [Vec<String>; 2]> = BTreeMap::new();
    for path in files {
        let file = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        for hit in scan::scan(&ids, &file, &fs::read_to_string(&path)?) {
            let name = hit.name.map(|n| format!(",\"name\":{}", quoted(&n))).unwrap_or_default();
            let place = format!("{{\"file\":{},\"line\":{}{name}}}", quoted(&file), hit.line);
            let slot = usize::from(hit.kind == scan::Kind::Test);
            found.entry(hit.clause).or_default()[slot].push(place);
        }
    }
    let clauses: Vec<String> = found
        .iter()
        .map(|(id, [rules, tests])| format!("{}:{{\"rules\":[{}],\"tests\":[{}]}}", quoted(id), rules.join(","), tests.join(",")))
        .collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("coverage.json");
    fs::write(out, format!("{{{}}}\n", clauses.join(",\n")))
}

/// The ids of the policy's clauses: the `id` lines under `[[clause]]`.
fn ids(policy: &str) -> Vec<String> {
    let mut out = vec![];
    let mut table = "";
    for line in policy.lines().map(str::trim) {
        if line.starts_with("[[") {
            table = line;
        } else if table == "[[clause]]"
            && let Some(id) = line.strip_prefix("id = ")
        {
            out.push(id.trim_matches('"').to_owned());
        }
    }
    out
}

/// What a folder holds, in order of name; nothing when there is no such folder.
fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut out = fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
    out.sort();
    Ok(out)
}

/// Every file with this extension under a folder.
fn collect(folder: &Path, extension: &str, out: &mut Vec<PathBuf>) -> io::Result<()> {
    if folder.is_dir() {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    for path in sorted(folder)? {
        if path.is_dir() {
            if !path.ends_with("node_modules") {
                collect(&path, extension, out)?;
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

//! A copy of a real log, checked by the product and by the outsider's script, whole and after every kind of
//! single change (D5).

use crate::run::{Place, run};
use ledger::bundle::{Files, Stopped, Trust, check, sha256};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Changes tried of each kind by default; `BUNDLE_CAMPAIGN=full` tries every byte.
const SAMPLED: usize = 250;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn python(script: &str) -> Command {
    let python = root().join(".venv/bin/python");
    let found = Command::new(&python).args(["-c", "import cryptography"]).output();
    assert!(found.is_ok_and(|o| o.status.success()), "the outsider's script needs its library: run make setup-test");
    let mut command = Command::new(python);
    command.arg(root().join("verifier").join(script));
    command
}

/// The outsider's script on a folder: its exit status and what it printed.
pub fn outsider(dir: &Path, known: &[&str]) -> (Option<i32>, String) {
    let ran = python("verify.py").arg(dir).args(known).output().unwrap();
    (ran.status.code(), format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)))
}

/// Both verifiers on a folder; they agree, to the letter where something is wrong.
pub fn both(dir: &Path, known: &[&str]) -> Result<String, String> {
    let ours = run(&[&["audit", "verify", dir.to_str().unwrap()], known].concat());
    let (code, theirs) = outsider(dir, known);
    assert_eq!(ours.code, code, "{ours:#?} and {theirs}");
    match code {
        Some(0) => {
            assert!(theirs.ends_with("Everything holds.\n") && ours.out == theirs, "{ours:#?} and {theirs}");
            Ok(theirs)
        }
        Some(1) if theirs.starts_with("WRONG: ") => {
            assert_eq!(ours.out, theirs);
            Err(theirs.trim_start_matches("WRONG: ").trim().to_owned())
        }
        _ => panic!("{ours:#?} and {theirs}"),
    }
}

pub fn demo(place: &Place) {
    run(&["demo", "--headless", "--synthetic", "1000", "--data", place.data.to_str().unwrap()]).well();
}

pub fn export(place: &Place, name: &str) -> PathBuf {
    let dir = place.data.with_file_name(name);
    let args = ["audit", "export", dir.to_str().unwrap(), "--by", "Nadia Rahman", "--to", "ICO, case 7", "--why", "yearly check"];
    place.run(&args).well();
    dir
}

pub fn key_of(dir: &Path) -> String {
    let manifest = fs::read_to_string(dir.join("manifest")).unwrap();
    manifest.lines().find_map(|l| l.strip_prefix("log-key ")).unwrap().to_owned()
}

/// A bundle in memory.
struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    fn read_from(dir: &Path) -> Self {
        fn walk(root: &Path, dir: &Path, out: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(root, &path, out);
                } else {
                    out.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap());
                }
            }
        }
        let mut out = BTreeMap::new();
        walk(dir, dir, &mut out);
        Self(out)
    }

    /// The bundle after one change; none where the change changes nothing.
    fn changed(&self, change: &Value) -> Option<Self> {
        let mut files = self.0.clone();
        let path = change["path"].as_str().unwrap().to_owned();
        let at = usize::try_from(change["at"].as_u64().unwrap_or(0)).unwrap();
        let byte = |what: &str| u8::try_from(change[what].as_u64().unwrap()).unwrap();
        let data = files.entry(path.clone()).or_default();
        match change["op"].as_str().unwrap() {
            "flip" => data[at] ^= 1 << byte("bit"),
            "delete" => drop(data.remove(at)),
            "insert" => data.insert(at, byte("byte")),
            "swap" => data.swap(at, at + 1),
            "cut" => data.truncate(at),
            "remove" => drop(files.remove(&path)),
            "add" => *data = b"x".to_vec(),
            "exchange" => {
                let with = change["with"].as_str().unwrap();
                let other = files[with].clone();
                let ours = files.insert(path, other).unwrap();
                files.insert(with.to_owned(), ours);
            }
            other => panic!("{other}"),
        }
        if change["remake"].as_bool().unwrap() {
            let manifest = String::from_utf8_lossy(&files["manifest"]).into_owned();
            let line =
                |l: &str| match l.strip_prefix("file ").and_then(|l| l.splitn(3, ' ').nth(2)).and_then(|p| files.get(p).map(|d| (p, d))) {
                    Some((path, data)) => format!("file {} {} {path}", sha256(data), data.len()),
                    None => l.to_owned(),
                };
            let remade = manifest.split('\n').map(line).collect::<Vec<_>>().join("\n");
            files.insert("manifest".into(), remade.into_bytes());
        }
        (files != self.0).then_some(Self(files))
    }
}

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let data = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(data[..data.len().min(usize::try_from(limit).unwrap() + 1)].to_vec())
    }
}

/// Small and repeatable (xorshift).
struct Seed(u64);

impl Seed {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

/// Every change of the campaign on this bundle, or a sample of them.
fn changes(bundle: &Memory, full: bool, seed: &mut Seed) -> Vec<Value> {
    let mut out = vec![];
    for remake in [false, true] {
        let mut places: Vec<(&str, usize)> = vec![];
        for (path, data) in &bundle.0 {
            // A forger who makes the manifest anew may write what they like in it, and in what people read.
            if !(remake && (path == "manifest" || path == "README.txt")) {
                places.extend((0..data.len()).map(|at| (path.as_str(), at)));
            }
        }
        for op in ["flip", "delete", "insert", "swap"] {
            let chosen: Vec<(&str, usize)> =
                if full { places.clone() } else { (0..SAMPLED).map(|_| places[seed.below(places.len())]).collect() };
            for (path, at) in chosen {
                if op == "swap" && at + 1 == bundle.0[path].len() {
                    continue;
                }
                out.push(json!({ "op": op, "path": path, "at": at, "bit": seed.below(8), "byte": seed.below(256), "remake": remake }));
            }
        }
        let files: Vec<&str> = bundle.0.keys().map(String::as_str).filter(|p| *p != "manifest").collect();
        for path in &files {
            out.push(json!({ "op": "remove", "path": path, "remake": remake }));
            if !(remake && *path == "README.txt") {
                out.push(json!({ "op": "cut", "path": path, "at": 0, "remake": remake }));
                out.push(json!({ "op": "cut", "path": path, "at": bundle.0[*path].len() / 2, "remake": remake }));
            }
        }
        for pair in files.windows(2) {
            out.push(json!({ "op": "exchange", "path": pair[0], "with": pair[1], "remake": remake }));
        }
        for path in ["tile/0/001", "openings/extra", "checkpoints/.hidden", "z"] {
            out.push(json!({ "op": "add", "path": path, "remake": remake }));
        }
    }
    out
}

/// Whole leaves, checkpoints and openings taken out, doubled and exchanged: what a forger does first.
fn items_changed(bundle: &Memory) -> Vec<Memory> {
    let mut out = vec![];
    for folder in ["checkpoints/", "openings/", "tile/entries/"] {
        let path = bundle.0.keys().find(|p| p.starts_with(folder)).unwrap();
        let mut items: Vec<Vec<u8>> = vec![];
        let mut rest = bundle.0[path].as_slice();
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (item, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            items.push(item.to_vec());
            rest = after;
        }
        for n in 0..items.len() {
            let (mut without, mut doubled, mut exchanged) = (items.clone(), items.clone(), items.clone());
            without.remove(n);
            doubled.insert(n, items[n].clone());
            exchanged.swap(n, (n + 1) % items.len());
            for changed in [without, doubled, exchanged] {
                let mut files = bundle.0.clone();
                files.insert(path.clone(), ledger::bundle::join(changed).unwrap());
                out.push(Memory(files));
            }
        }
    }
    out
}

fn place(bundle: &Memory, trust: &Trust) -> String {
    match check(bundle, trust) {
        Ok(_) => "holds".into(),
        Err(Stopped::Wrong(fault)) => fault.place,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn d5_both_verifiers_accept_a_copy_and_name_the_same_first_wrong_thing_after_any_single_change() {
    let place_of = Place::new();
    demo(&place_of);
    let dir = export(&place_of, "copy");
    both(&dir, &["--key", &key_of(&dir)]).unwrap();
    let bundle = Memory::read_from(&dir);
    let trust = Trust { log_key: Some(ledger::VerifierKey::parse(&key_of(&dir)).unwrap()), ..Trust::default() };
    assert_eq!(place(&bundle, &trust), "holds");

    let full = std::env::var("BUNDLE_CAMPAIGN").is_ok_and(|v| v == "full");
    let all = changes(&bundle, full, &mut Seed(0x5eed_0018));
    let mut asked = String::new();
    let mut ours = vec![];
    for change in &all {
        let Some(changed) = bundle.changed(change) else { continue };
        ours.push((change, place(&changed, &trust)));
        asked.push_str(&format!("{change}\n"));
    }
    let mut campaign = python("campaign.py").arg(&dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = campaign.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(asked.as_bytes()).unwrap());
    let said = campaign.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(said.status.success());
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.lines().count(), ours.len());
    for ((change, ours), theirs) in ours.iter().zip(said.lines()) {
        assert_ne!(ours, "holds", "not noticed: {change}");
        assert_eq!(ours, theirs, "{change}");
    }
    println!("{} changes of {} bytes, each named alike by both", ours.len(), bundle.0.values().map(Vec::len).sum::<usize>());

    for changed in items_changed(&bundle) {
        assert_ne!(place(&changed, &trust), "holds");
    }
}

#[test]
fn d5_the_outsiders_script_passes_the_published_vectors() {
    let ran = python("test_verify.py").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn d5_what_is_wrong_is_named_in_words() {
    let place_of = Place::new();
    demo(&place_of);
    let dir = export(&place_of, "copy");
    let key = key_of(&dir);
    let change = |path: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let path = dir.join(path);
        let kept = fs::read(&path).unwrap();
        let mut data = kept.clone();
        edit(&mut data);
        fs::write(&path, data).unwrap();
        let said = both(&dir, &["--key", &key]).unwrap_err();
        fs::write(&path, kept).unwrap();
        said
    };
    let only = |folder: &str| {
        let partial = fs::read_dir(dir.join(folder).join("000.p")).unwrap().next().unwrap().unwrap().file_name();
        format!("{folder}/000.p/{}", partial.to_str().unwrap())
    };
    let (entries, openings, tile) = (only("tile/entries"), only("openings"), only("tile/0"));
    assert_eq!(change(&entries, &|d| d[34 * 3 + 5] ^= 1), format!("{entries} leaf 3: it is not what its opening and its hash say"));
    assert_eq!(change(&tile, &|d| d[32 * 7] ^= 1), format!("{tile} hash 7: it is not the leaf's"));
    assert_eq!(change(&openings, &|d| d[60] ^= 1), format!("{openings} leaf 0: it does not make the leaf"));
    assert_eq!(change("checkpoint", &|d| d[0] ^= 1), "checkpoint: it is not signed by the log's key");
    assert_eq!(change("README.txt", &|d| d[0] ^= 1), "README.txt: its bytes are not the ones that the manifest lists");
    assert_eq!(change("manifest", &|d| d[0] ^= 1), "manifest line 1: it should say: countersign bundle v1");
    fs::write(dir.join("more"), "").unwrap();
    assert_eq!(both(&dir, &[]).unwrap_err(), "more: it is not part of the bundle");
    fs::remove_file(dir.join("more")).unwrap();
    std::os::unix::fs::symlink("manifest", dir.join("link")).unwrap();
    assert_eq!(both(&dir, &[]).unwrap_err(), "link: it is not part of the bundle");
    fs::remove_file(dir.join("link")).unwrap();
    let other = ledger::SigningKey::from_seed("countersign/log", [1; 32]).unwrap().verifier_key().to_string();
    assert_eq!(both(&dir, &["--key", &other]).unwrap_err(), "manifest line 7: it names another log key than the one that is trusted");
    assert!(both(&dir, &[]).unwrap().contains("compare it with the one that you have"));
    // What is no bundle at all, and what is no key, is an error with words.
    assert!(run(&["audit", "verify", "/nowhere/at/all"]).badly().said().contains("manifest: it is missing"));
    assert!(run(&["audit", "verify", dir.to_str().unwrap(), "--key", "x"]).badly().said().contains("not a valid Ed25519"));
}

#[test]
fn d5_truncation_rollback_and_split_view_are_named_with_a_remembered_checkpoint() {
    let place_of = Place::new();
    demo(&place_of);
    let first = export(&place_of, "first");
    // The store as it was, kept aside: a backup.
    let backup = Place::new();
    let copied = Command::new("cp").args(["-r", place_of.data.to_str().unwrap(), backup.data.to_str().unwrap()]).status().unwrap();
    assert!(copied.success());
    place_of.run(&["token", "Sam Okafor"]).well();
    let second = export(&place_of, "second");
    let (early, late) = (first.join("checkpoint"), second.join("checkpoint"));
    let (early, late) = (early.to_str().unwrap(), late.to_str().unwrap());
    both(&second, &["--remember", early]).unwrap();
    both(&second, &["--remember", early, "--remember", late]).unwrap();
    let said = both(&first, &["--remember", late]).unwrap_err();
    assert!(said.starts_with("checkpoint: truncated or rolled back: "), "{said}");

    // The backup is put back, and goes another way until it is longer than the log was.
    for _ in 0..4 {
        backup.run(&["token", "Sam Okafor"]).well();
    }
    let forked = export(&backup, "forked");
    both(&forked, &["--remember", early]).unwrap();
    let said = both(&forked, &["--remember", late]).unwrap_err();
    assert!(said.starts_with("checkpoint: split view: "), "{said}");
    // Another log's checkpoint is no memory of this one.
    let strange = place_of.data.with_file_name("strange");
    fs::write(&strange, fs::read_to_string(late).unwrap().replace("countersign/log", "another/log")).unwrap();
    let args = ["audit", "verify", first.to_str().unwrap(), "--remember", strange.to_str().unwrap()];
    assert!(run(&args).badly().said().contains("is not a checkpoint of this log"));
    assert_eq!(outsider(&first, &args[3..]).0, Some(2));
}

#[test]
fn d5_a_copy_is_made_whole_or_not_at_all_recorded_and_refused_to_others() {
    let place_of = Place::new();
    demo(&place_of);
    let before = place_of.holds()["size"].as_u64().unwrap();
    let dir = place_of.data.with_file_name("copy");
    let named = |by: &'static str, to: &'static str| {
        let dir = dir.to_str().unwrap().to_owned();
        place_of.run(&["audit", "export", &dir, "--by", by, "--to", to, "--why", "yearly check"])
    };
    assert!(named("Sam Okafor", "ICO").badly().said().contains("Your role does not include this."));
    assert!(named("Nobody Atall", "ICO").badly().said().contains("nobody of that id or name"));
    assert!(named("Nadia Rahman", " ").badly().said().contains("Say whom the copy is for."));
    assert!(!dir.exists(), "nothing was made for them");
    assert_eq!(place_of.holds()["size"].as_u64().unwrap(), before, "and nothing recorded as if it had been");

    // Killed half-way, a run leaves a folder of another name, without its manifest.
    let left = dir.with_file_name(".copy.being-made");
    fs::create_dir_all(left.join("tile")).unwrap();
    assert!(both(&left, &[]).unwrap_err().starts_with("manifest: it is missing"));
    let dir = export(&place_of, "copy");
    assert!(!left.exists());
    let said = both(&dir, &[]).unwrap();
    assert!(said.contains(&format!("{} leaves", before + 1)), "that it left is the last leaf: {said}");
    let headers = outsider(&dir, &["--headers"]).1;
    assert!(headers.contains("\"kind\":\"log-exported\""), "{headers}");
    // Nothing personal: no name of a person, no word of a form or of a reason.
    for (path, data) in &Memory::read_from(&dir).0 {
        for word in ["Okafor", "Nadia Rahman", "ICO, case 7", "yearly check"] {
            assert!(!data.windows(word.len()).any(|w| w == word.as_bytes()), "{path} holds {word}");
        }
    }
    // It is never overwritten.
    let again = ["audit", "export", dir.to_str().unwrap(), "--by", "Nadia Rahman", "--to", "ICO", "--why", "again"];
    assert!(place_of.run(&again).badly().said().contains("is there already"));
    both(&dir, &[]).unwrap();
}

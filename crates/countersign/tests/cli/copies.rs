//! Keeping what is kept: `backup`, `restore`, `retain`, and refusing to start without the right keys.

use crate::run::{BINARY, Place, command, run};
use serde_json::json;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Stdio},
};

/// A place whose register is founded.
fn founded() -> Place {
    let place = Place::new();
    let people = place.folder.path().join("people.json");
    fs::write(&people, place.run(&["register", "example"]).well().out).unwrap();
    place.run(&["register", "found", people.to_str().unwrap()]).well();
    place
}

fn path(place: &Place, name: &str) -> String {
    place.folder.path().join(name).to_str().unwrap().to_owned()
}

#[test]
fn d1_copies_of_records_and_keys_bring_a_lost_installation_back() {
    let place = founded();
    let (records, keys) = (path(&place, "records"), path(&place, "keys"));
    let before = place.holds();
    let copied = place.run(&["backup", &records, "--keys", &keys, "--json"]).well().json();
    assert!(copied["records"]["files"].as_u64() >= Some(1) && copied["keys"]["files"].as_u64() >= Some(5), "{copied}");
    assert!(!Path::new(&records).join("keys.db").exists() && !Path::new(&records).join("secrets").exists());
    // Nothing is written over, and the two do not lie together.
    assert!(place.run(&["backup", &records]).badly().said().contains("already holds data"));
    let within = format!("{records}-2/keys");
    assert!(place.run(&["backup", &format!("{records}-2"), "--keys", &within]).badly().said().contains("elsewhere"));
    let inside = place.data.join("copy");
    assert!(place.run(&["backup", inside.to_str().unwrap()]).badly().said().contains("elsewhere"));

    // Something more happens, and is in the log; then the machine is lost.
    place.run(&["audit", "verify"]).well();
    let lost = place.folder.path().join("lost");
    fs::rename(&place.data, &lost).unwrap();
    assert!(place.run(&["restore", &records]).badly().said().contains("keys.db is missing"), "the records alone bring nothing back");
    let back = place.run(&["restore", &records, "--keys", &keys, "--json"]).well().json();
    assert_eq!((&back["verified"], &back["lost_up_to"], &back["stays_erased"]), (&json!(true), &json!(null), &json!(0)), "{back}");
    let after = place.holds();
    assert!(after["opened"].as_u64() > before["opened"].as_u64(), "that it was copied and restored is recorded: {after}");
    assert!(place.run(&["restore", &records, "--keys", &keys]).badly().said().contains("already holds data"));
}

#[test]
fn d1_a_restore_is_refused_where_images_are_kept_elsewhere() {
    let place = founded();
    let (records, keys) = (path(&place, "records"), path(&place, "keys"));
    place.run(&["backup", &records, "--keys", &keys]).well();
    let other = Place::new();
    let plain = fs::read_to_string(&other.config).unwrap();
    let elsewhere = other.folder.path().join("images");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(&other.config, format!("{plain}[blobs]\nfolder = {:?}\n", elsewhere.display().to_string())).unwrap();
    let said = other.run(&["restore", &records, "--keys", &keys]).badly().said();
    assert!(said.contains("the configuration has them elsewhere") && said.contains("take [blobs] out"), "{said}");
    assert!(!other.data.exists() && fs::read_dir(&elsewhere).unwrap().next().is_none(), "nothing was put anywhere");
    // As it says.
    fs::write(&other.config, plain).unwrap();
    other.run(&["restore", &records, "--keys", &keys]).well();
    other.holds();
}

#[test]
fn d5_old_records_beside_todays_keys_are_refused_unless_it_is_said_and_recorded() {
    let place = founded();
    let records = path(&place, "records");
    place.run(&["audit", "verify"]).well();
    place.run(&["backup", &records]).well();
    let entries: Vec<serde_json::Value> = serde_json::from_str(&fs::read_to_string(path(&place, "people.json")).unwrap()).unwrap();
    let person = entries.iter().find(|e| e["event"] == "person-entered").expect("the example names people");
    place.run(&["token", person["name"].as_str().unwrap()]).well();
    place.run(&["audit", "verify"]).well();
    let store = place.data.join("store");
    for name in ["records.db", "records.db-wal", "records.db-shm"] {
        let _ = fs::remove_file(store.join(name)); // the last two are gone after a clean end
    }
    fs::copy(Path::new(&records).join("records.db"), store.join("records.db")).unwrap();
    let said = place.run(&["audit", "verify"]).badly().said();
    assert!(said.contains("not the latest") && said.contains("two histories"), "{said}");
    fs::remove_file(store.join("records.db")).unwrap();
    fs::remove_dir_all(store.join("blobs")).unwrap();
    let said = place.run(&["restore", &records]).badly().said();
    assert!(said.contains("--accept-shorter-log"), "{said}");
    assert!(!store.join("records.db").exists(), "nothing was put there");
    let said = place.run(&["restore", &records, "--accept-shorter-log"]).well().said();
    assert!(said.contains("is lost, and this is recorded"), "{said}");
    place.holds();
}

#[test]
fn d3_retain_says_what_is_due_and_changes_nothing_until_it_is_told_to() {
    let place = founded();
    let said = place.run(&["retain"]).well().said();
    assert!(said.contains("0 due") && said.contains("0 kept by a legal hold"), "{said}");
    let ran = place.run(&["retain", "--run", "--compact", "--json"]).well().json();
    assert_eq!((&ran["due"], &ran["held"], &ran["erased"], &ran["failed"]), (&json!([]), &json!([]), &json!(0), &json!(0)));
    assert_eq!(place.run(&["retain", "--compact"]).code, Some(2), "only with --run");
    place.holds();
}

#[test]
fn d1_a_wrong_missing_or_exposed_key_is_a_clear_refusal_to_start() {
    let (place, other) = (founded(), founded());
    let master = place.data.join("store/secrets/master.key");
    let right = fs::read(&master).unwrap();
    let refused = |expected: &str| {
        for verb in [&["audit", "verify"][..], &["retain"], &["work", "--once"]] {
            let said = place.run(verb).badly().said();
            assert!(said.contains(expected), "{verb:?}: {said}");
            assert!(!said.contains(std::str::from_utf8(&right).unwrap().trim()), "no key is printed");
        }
    };
    fs::copy(other.data.join("store/secrets/master.key"), &master).unwrap();
    refused("the master key does not belong to this data directory");
    fs::write(&master, &right[..10]).unwrap();
    refused("is damaged; restore it from escrow");
    fs::remove_file(&master).unwrap();
    refused("master.key is missing");
    fs::write(&master, &right).unwrap();
    fs::set_permissions(&master, fs::Permissions::from_mode(0o640)).unwrap();
    refused("can be used by others");
    fs::set_permissions(&master, fs::Permissions::from_mode(0o600)).unwrap();
    place.holds();
}

#[test]
fn d1_a_new_master_key_takes_the_place_of_the_old_one() {
    let place = founded();
    let master = place.data.join("store/secrets/master.key");
    let before = fs::read(&master).unwrap();
    let said = place.run(&["keys", "rotate"]).well().said();
    assert!(said.contains("wrapped by a new master key") && said.contains("escrow"), "{said}");
    let after = fs::read(&master).unwrap();
    assert_ne!(before, after);
    for key in [&before, &after] {
        assert!(!said.contains(std::str::from_utf8(key).unwrap().trim()), "no key is printed");
    }
    place.holds();
    fs::write(&master, &before).unwrap();
    let said = place.run(&["audit", "verify"]).badly().said();
    assert!(said.contains("the master key does not belong to this data directory"), "{said}");
}

#[test]
fn d1_a_process_that_holds_keys_leaves_no_core() {
    let place = founded();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\"", BINARY, "audit", "verify", "--config"])
        .arg(&place.config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let mut last = String::new();
    while child.try_wait().unwrap().is_none() {
        if let Ok(text) = fs::read_to_string(&limits)
            && let Some(line) = text.lines().find(|l| l.starts_with("Max core file size"))
        {
            last = line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" ");
        }
    }
    assert_eq!(last, "0 0", "soft and hard limit of a process that had the store open");
}

/// Whose `/proc` says that a process's memory is: its user's and group's, or root's if nobody else may look into it.
fn memory_owner(pid: u32) -> (u32, u32) {
    let memory = fs::metadata(format!("/proc/{pid}/mem")).unwrap();
    (memory.uid(), memory.gid())
}

#[test]
fn d1_nobody_looks_into_a_process_that_holds_keys() {
    let place = Place::new();
    let me = fs::metadata(&place.config).unwrap().uid();
    // Root's own processes have another group here, so that what is the kernel's doing shows for them too.
    let group = if me == 0 { 65_534 } else { fs::metadata("/proc/self").unwrap().gid() };
    let as_others = |command: &mut Command| {
        command.stdin(Stdio::null()).stderr(Stdio::null());
        if me == 0 {
            command.gid(group);
        }
        command.spawn().unwrap()
    };
    let dir = path(&place, "witness");
    run(&["witness", "init", &dir, "--name", "witness.example/w1"]).well();
    let mut holder = as_others(command(&["witness", "serve", &dir, "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("http://127."), "it has its key open: {line}");
    let mut other = as_others(Command::new("sleep").arg("60"));
    let (held, owned, read) = (memory_owner(holder.id()), memory_owner(other.id()), fs::File::open(format!("/proc/{}/mem", holder.id())));
    let running = (holder.try_wait().unwrap(), other.try_wait().unwrap());
    for child in [&mut holder, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(running, (None, None), "of a process that has ended, everything is root's");
    assert_eq!(owned, (me, group), "or nothing here would prove anything");
    assert_eq!(held, (0, 0));
    if me != 0 {
        assert!(read.is_err(), "its own user does not read its memory");
    }
}

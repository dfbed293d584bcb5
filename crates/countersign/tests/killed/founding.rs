//! Killed while it makes its first data folder: begun again, it is made.

use crate::{
    address::{free_port, home},
    cut::{self, Answer, Watcher},
};
use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

fn countersign(folder: &Path, args: &[&str], watched: Option<&Path>) -> Output {
    let config = folder.join("countersign.toml");
    let data = folder.join("data").display().to_string();
    fs::write(&config, format!("data_dir = {data:?}\n[serve]\nlisten = \"{}\"\n", home(free_port()))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(args).arg("--config").arg(config).env_remove("COUNTERSIGN_CONFIG").env("NO_COLOR", "1").stdin(Stdio::null());
    if let Some(socket) = watched {
        command.env("LD_PRELOAD", cut::library()).env("CUT_FOLDER", folder.join("data")).env("CUT_SOCKET", socket);
    }
    command.output().unwrap()
}

#[test]
fn killed_while_the_data_folder_is_made_it_is_made_the_next_time() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let at = folder.path();
    let people = at.join("people.json");
    let entries = crate::people::register(casework::calendar::london_date(jiff::Timestamp::now()));
    fs::write(&people, serde_json::to_string(&entries).unwrap()).unwrap();
    let found = ["register", "found", people.to_str().unwrap()];

    let watcher = Watcher::listen(at.join("cut"));
    let copies = watcher.copies(at.join("data"), at.join("copies"));
    let first = countersign(at, &found, Some(&watcher.socket));
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    watcher.with(|_| Answer::Go);
    let (mut before, mut after) = (0, 0);
    for copied in copies.try_iter() {
        let again = at.join("again");
        fs::create_dir_all(&again).unwrap();
        fs::rename(&copied.at, again.join("data")).unwrap();
        let ran = countersign(&again, &found, None);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        if ran.status.success() {
            before += 1;
        } else {
            // All of them had been entered before the kill, and it says so.
            after += 1;
            assert!(said.contains("not empty"), "cut off before {:?}: {said}", copied.before);
        }
        let audit = countersign(&again, &["audit", "verify"], None);
        assert!(audit.status.success(), "cut off before {:?}: {}", copied.before, String::from_utf8_lossy(&audit.stderr));
        let names: Vec<_> = fs::read_dir(again.join("data")).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["store"], "what was half made is gone");
        fs::remove_dir_all(&again).unwrap();
    }
    println!("{before} moments before, {after} after the register was founded");
    assert!(before > 10 && after > 0, "{before} and {after}");
}

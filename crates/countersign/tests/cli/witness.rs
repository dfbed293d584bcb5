//! Real witness processes over loopback, beside the real house (D5).

use crate::{
    bundle::{both, demo, export, key_of},
    run::{BINARY, Place, run},
};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["witness", "serve", dir.to_str().unwrap(), "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Self { child, url }
    }

    /// Killed as by a power cut of the process: no word before.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn made(place: &Place, log_key: &str) -> (PathBuf, String) {
    let dir = place.folder.path().join("witness");
    let key = run(&["witness", "init", dir.to_str().unwrap(), "--name", "witness.example/w1"]).well().out.trim().to_owned();
    run(&["witness", "watch", dir.to_str().unwrap(), log_key]).well();
    assert!(run(&["witness", "watch", dir.to_str().unwrap(), log_key]).badly().said().contains("watched already"));
    (dir, key)
}

fn configure(place: &Place, require: u32, url: &str, key: &str) {
    let data = place.data.display().to_string();
    let text = format!("data_dir = {data:?}\n[witness]\nrequire = {require}\n[[witness.list]]\nurl = {url:?}\nkey = {key:?}\n");
    fs::write(&place.config, text).unwrap();
}

fn asked(place: &Place) -> String {
    place.run(&["audit", "witnesses", "--ask"]).said()
}

#[test]
fn d5_a_witness_process_cosigns_survives_a_kill_and_finds_out_an_older_copy_put_back() {
    let place = Place::new();
    demo(&place);
    let log_key = place.holds()["key"].as_str().unwrap().to_owned();
    let (dir, key) = made(&place, &log_key);
    let process = Process::start(&dir);
    assert!(run(&["witness", "show", dir.to_str().unwrap()]).badly().said().contains("in use by another witness process"));
    configure(&place, 1, &process.url, &key);
    assert!(asked(&place).contains("witness.example/w1"), "{}", asked(&place));
    let first = export(&place, "first");
    let said = both(&first, &["--key", &key_of(&first), "--witness", &key, "--since", "2020-01-01T00:00:00Z"]).unwrap();
    assert!(said.contains("cosigned by witness.example/w1 at 20"), "{said}");
    let said = both(&first, &["--witness", &key, "--since", "2100-01-01T00:00:00Z"]).unwrap_err();
    assert!(said.contains("before the time asked for"), "{said}");

    // A backup; then the house and its witness go on, the witness through a kill.
    let backup = Place::new();
    assert!(Command::new("cp").arg("-r").arg(&place.data).arg(&backup.data).status().unwrap().success());
    process.kill();
    place.run(&["token", "Sam Okafor"]).well();
    let down = place.run(&["audit", "witnesses", "--ask"]).badly().said();
    assert!(down.contains("it does not answer"), "{down}");
    let process = Process::start(&dir);
    configure(&place, 1, &process.url, &key);
    place.run(&["audit", "witnesses", "--ask"]).well();
    let second = export(&place, "second");
    let remembered = second.join("checkpoint");
    both(&second, &["--witness", &key, "--remember", first.join("checkpoint").to_str().unwrap()]).unwrap();

    // The older copy, put back.
    configure(&backup, 1, &process.url, &key);
    let said = backup.run(&["audit", "witnesses", "--ask"]).badly().said();
    assert!(said.contains("it cosigned a longer log than this one"), "{said}");
    for _ in 0..6 {
        backup.run(&["token", "Sam Okafor"]).well();
    }
    let forked = export(&backup, "forked");
    let said = backup.run(&["audit", "witnesses"]).badly().said();
    assert!(said.contains("it cosigned another history of this log"), "{said}");
    let said = both(&forked, &["--witness", &key]).unwrap_err();
    assert!(said.contains("witness.example/w1 did not cosign it"), "{said}");

    // What the witness itself remembers is a checkpoint to check with.
    process.kill();
    let shown = run(&["witness", "show", dir.to_str().unwrap()]).well().out;
    assert!(shown.starts_with(&key));
    let note = shown.split_once("\n\ncountersign/log\n").unwrap().1;
    let kept = place.folder.path().join("kept");
    fs::write(&kept, note).unwrap();
    both(&second, &["--remember", kept.to_str().unwrap()]).unwrap();
    assert!(both(&forked, &["--remember", kept.to_str().unwrap()]).unwrap_err().contains("split view"));
    assert!(both(&first, &["--remember", remembered.to_str().unwrap()]).unwrap_err().contains("truncated or rolled back"));

    configure(&place, 2, "https://w.example", &key);
    let said = place.run(&["config", "check"]).badly().said();
    assert!(said.contains("witness.require is 2 and 1 are listed") && said.contains("https://w.example"), "{said}");
}

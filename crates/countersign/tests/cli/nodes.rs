//! A store moved to PostgreSQL, and several real processes on it at once.

use crate::address::{free_port, home};
use crate::bundle;
use crate::cluster::Cluster;
use crate::run::{Place, Ran};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

fn founded(place: &Place) {
    let people = place.folder.path().join("people.json");
    fs::write(&people, place.run(&["register", "example"]).well().out).unwrap();
    place.run(&["register", "found", people.to_str().unwrap()]).well();
}

/// The configuration of one node.
fn configured(place: &Place, node: &str, port: u16, cluster: &Cluster) -> std::path::PathBuf {
    let file = place.folder.path().join(format!("{node}.toml"));
    let text = format!(
        "data_dir = {:?}\n[database]\nurl = {:?}\nkeys_url = {:?}\n[serve]\nlisten = \"{}\"\nhosts = [\"localhost\"]\n",
        place.data.display().to_string(),
        cluster.url("records"),
        cluster.url("keys"),
        home(port),
    );
    fs::write(&file, text).unwrap();
    file
}

/// What `GET /health/ready` answers, if anything.
fn ready(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(home(port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().next().map(str::to_owned)
}

/// Waits for a node's answer.
fn answers(port: u16, status: &str) {
    for _ in 0..600 {
        if ready(port).is_some_and(|line| line.contains(status)) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("port {port} never answered {status}: {:?}", ready(port));
}

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn with(place: &Place, config: &std::path::Path, args: &[&str]) -> Ran {
    let mut command = crate::run::command(args);
    command.arg("--config").arg(config).current_dir(place.folder.path());
    command.output().unwrap().into()
}

fn verified(ran: Ran) -> Value {
    let report = ran.well().json();
    assert_eq!((&report["verified"], &report["fault"]), (&Value::Bool(true), &Value::Null), "{report}");
    report
}

#[test]
fn a_store_moves_to_postgresql_and_several_processes_work_on_it() {
    let Some(cluster) = Cluster::start() else { return };
    let place = Place::new();
    founded(&place);
    let left = bundle::export(&place, "before");
    let key = bundle::key_of(&left);
    bundle::both(&left, &["--key", &key]).unwrap();
    let here = place.holds();
    assert!(here["events"].as_u64().unwrap() > 5, "{here}");

    // A rehearsal, verified on both sides; then the move.
    let (to, keys_to) = (cluster.url("records"), cluster.url("keys"));
    let copy = ["store", "copy", "--to", &to, "--keys-to", &keys_to, "--json"];
    let copied = place.run(&[&copy[..], &["--keep"]].concat()).well().json();
    assert!(copied["rows"].as_u64().unwrap() > 20 && copied["already"] == Value::Bool(false), "{copied}");
    let ports = [free_port(), free_port()];
    let nodes = [configured(&place, "one", ports[0], &cluster), configured(&place, "two", ports[1], &cluster)];
    assert_eq!(verified(with(&place, &nodes[0], &["audit", "verify", "--json"])), place.holds(), "the same log on both sides");
    assert_eq!(place.run(&copy).well().json()["already"], Value::Bool(true));
    assert!(place.run(&["audit", "verify"]).badly().said().contains("was moved to PostgreSQL"));

    // An outsider's copy of it there: checked with the same key, and what was signed before the move is its beginning.
    let there = place.folder.path().join("after");
    let taken = ["--by", "Nadia Rahman", "--to", "ICO, case 7", "--why", "the move"];
    with(&place, &nodes[0], &[&["audit", "export", there.to_str().unwrap()], &taken[..]].concat()).well();
    let remembered = left.join("checkpoint");
    bundle::both(&there, &["--key", &key, "--remember", remembered.to_str().unwrap()]).unwrap();

    // What copies a folder's files says what to use instead; what lies there of before the move is named.
    let said = with(&place, &nodes[0], &["backup", "copy"]).badly().said();
    assert!(said.contains("pg_dump") && !place.folder.path().join("copy").exists(), "{said}");
    assert!(with(&place, &nodes[0], &["restore", "copy"]).badly().said().contains("store restored"));
    let warned = || {
        let mut command = crate::run::command(&["work", "--once"]);
        let ran: Ran = command.arg("--config").arg(&nodes[0]).output().unwrap().into();
        ran.well().err.lines().any(|line| line.contains("WARN") && line.contains("holds the keys as they were before the move"))
    };
    assert!(warned(), "the keys of before the move still open what is erased from now on");
    fs::remove_file(place.data.join("store/keys.db")).unwrap();
    assert!(!warned());
    fs::remove_file(place.data.join("store/records.db")).unwrap();
    assert_eq!(with(&place, &nodes[0], &["store", "restored", "--json"]).well().json()["stays_erased"], 0);

    // Two that serve and one that only works, at once.
    let start = |config: &std::path::Path, verb: &str| {
        let mut command = crate::run::command(&[verb]);
        Node(command.arg("--config").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let (one, _two, _worker) = (start(&nodes[0], "serve"), start(&nodes[1], "serve"), start(&nodes[1], "work"));
    answers(ports[0], "200");
    answers(ports[1], "200");
    // And tools beside them, each of which writes.
    let people: Value = serde_json::from_str(&fs::read_to_string(place.folder.path().join("people.json")).unwrap()).unwrap();
    let entered = people.as_array().unwrap().iter().find(|e| e["event"] == "person-entered").unwrap();
    let name = entered["name"].as_str().unwrap().to_owned();
    let tokens: Vec<String> = thread::scope(|s| {
        let runs: Vec<_> = (0..6)
            .map(|n| {
                s.spawn({
                    let (place, config, name) = (&place, &nodes[n % 2], &name);
                    move || with(place, config, &["token", name])
                })
            })
            .collect();
        runs.into_iter().map(|r| r.join().unwrap().well().out).collect()
    });
    assert!(tokens.iter().all(|t| t.trim().len() > 20));
    // One is killed; the other goes on, and the log holds.
    drop(one);
    answers(ports[1], "200");
    let after = verified(with(&place, &nodes[1], &["audit", "verify", "--json"]));
    assert!(after["events"].as_u64().unwrap() >= here["events"].as_u64().unwrap() + 6, "{after}");
    assert_eq!(with(&place, &nodes[1], &["audit", "replay", "--json"]).well().json()["differing"], serde_json::json!([]));

    // The server goes away: not ready, and ready again when it is back, without a restart.
    let mut cluster = cluster;
    cluster.stop();
    answers(ports[1], "503");
    cluster.start_again();
    answers(ports[1], "200");

    // Tables of an older version are not worked on.
    cluster.sql("records", "DELETE FROM _sqlx_migrations");
    assert!(with(&place, &nodes[1], &["audit", "verify"]).badly().said().contains("countersign migrate"));
}

#[test]
fn a_configuration_says_everything_that_is_wrong_with_the_places() {
    let place = Place::new();
    let text = "[database]\nurl = \"postgres://me:secret@db.example.org/records\"\nkeys_url = \"postgres://db.example.org/keys\"\n\
                [blobs]\nbucket = \"sealed\"\nendpoint = \"http://s3.example.org\"\n";
    fs::write(&place.config, format!("data_dir = {:?}\n{text}", place.data.display().to_string())).unwrap();
    for verb in [&["config", "check"][..], &["audit", "verify"], &["migrate"]] {
        let said = place.run(verb).badly().said();
        for part in ["database.url: it holds a password", "database.keys_url: db.example.org is another machine", "blobs.endpoint"] {
            assert!(said.contains(part), "{verb:?}: {part} is not in {said}");
        }
        assert!(!said.contains("secret"), "the password is not repeated: {said}");
    }
    fs::write(&place.config, "[blobs]\nfolder = \"/srv/blobs\"\nbucket = \"sealed\"\n").unwrap();
    assert!(place.run(&["config", "check"]).badly().said().contains("not both"));
}

//! Real witness processes over loopback, beside the real house (D5).

use crate::{
    address::{free_port, home},
    bundle::{both, demo, export, key_of},
    run::{BINARY, Place, run},
};
use axum::{
    body::Body,
    http::{Request, header, request::Builder},
};
use bureau::{
    Bureau, SystemClock,
    witnesses::{WitnessAt, Witnesses},
};
use casework::ids::PersonId;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};
use tower::ServiceExt as _;

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(dir: &Path) -> Self {
        Self::at(dir, 0)
    }

    fn at(dir: &Path, port: u16) -> Self {
        let listen = home(port).to_string();
        let mut child = Command::new(BINARY)
            .args(["witness", "serve", dir.to_str().unwrap(), "--listen", &listen])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://127."), "{line}");
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

fn made(place: &Place, name: &str, log_key: &str) -> (PathBuf, String) {
    let dir = place.folder.path().join(name);
    let key = run(&["witness", "init", dir.to_str().unwrap(), "--name", &format!("witness.example/{name}")]).well().out.trim().to_owned();
    run(&["witness", "watch", dir.to_str().unwrap(), log_key]).well();
    assert!(run(&["witness", "watch", dir.to_str().unwrap(), log_key]).badly().said().contains("watched already"));
    (dir, key)
}

fn configure(place: &Place, require: usize, witnesses: &[(&str, &str)], more: &str) {
    let list: Vec<String> = witnesses.iter().map(|(url, key)| format!("[[witness.list]]\nurl = {url:?}\nkey = {key:?}\n")).collect();
    let data = place.data.display().to_string();
    fs::write(&place.config, format!("data_dir = {data:?}\n{more}[witness]\nrequire = {require}\n{}", list.concat())).unwrap();
}

fn asked(place: &Place) -> String {
    place.run(&["audit", "witnesses", "--ask"]).said()
}

#[test]
fn d5_a_witness_process_cosigns_survives_a_kill_and_finds_out_an_older_copy_put_back() {
    let place = Place::new();
    demo(&place);
    let log_key = place.holds()["key"].as_str().unwrap().to_owned();
    let (dir, key) = made(&place, "w1", &log_key);
    let process = Process::start(&dir);
    assert!(run(&["witness", "show", dir.to_str().unwrap()]).badly().said().contains("in use by another witness process"));
    configure(&place, 1, &[(&process.url, &key)], "");
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
    configure(&place, 1, &[(&process.url, &key)], "");
    place.run(&["audit", "witnesses", "--ask"]).well();
    let second = export(&place, "second");
    both(&second, &["--witness", &key, "--remember", first.join("checkpoint").to_str().unwrap()]).unwrap();

    // The older copy, put back.
    configure(&backup, 1, &[(&process.url, &key)], "");
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

    // With its key alone, an older state that was whole is told by the time.
    let said = both(&first, &["--witness", &key]).unwrap();
    assert!(said.contains("cosigned by witness.example/w1"), "{said}");
    // What the witness itself remembers is a checkpoint to check with.
    process.kill();
    let shown = run(&["witness", "show", dir.to_str().unwrap()]).well().out;
    assert!(shown.starts_with(&key) && shown.contains("countersign/log"), "{shown}");
    let kept = place.folder.path().join("kept");
    fs::write(&kept, run(&["witness", "show", dir.to_str().unwrap(), "--checkpoint", "countersign/log"]).well().out).unwrap();
    let kept = kept.to_str().unwrap();
    both(&second, &["--remember", kept]).unwrap();
    assert!(both(&forked, &["--remember", kept]).unwrap_err().contains("split view"));
    assert!(both(&first, &["--remember", kept]).unwrap_err().contains("truncated or rolled back"));

    configure(&place, 2, &[("https://w.example", &key)], "");
    let said = place.run(&["config", "check"]).badly().said();
    assert!(said.contains("witness.require is 2 and 1 are listed") && said.contains("https://w.example"), "{said}");
}

/// The product, serving with its worker.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(place: &Place, port: u16) -> Self {
        let mut child = place.command(&["serve"]).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(home(port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "it serves");
            sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }

    /// A call of the API.
    fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(home(self.port)).unwrap();
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            home(self.port),
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}")))
    }

    fn get(&self, token: &str, path: &str) -> Value {
        let (status, said) = self.call(token, "GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {said}");
        said
    }

    fn post(&self, token: &str, path: &str, body: &Value) -> Value {
        let (status, said) = self.call(token, "POST", path, body);
        assert_eq!(status, 200, "{path}: {said}");
        said
    }

    /// Asks until an answer is as it should be.
    fn until(&self, token: &str, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let said = self.get(token, path);
            if holds(&said) {
                return said;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{said}");
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All the demo's stories, and then its process is gone.
fn told(place: &Place) {
    let args = ["demo", "--synthetic", "100", "--listen", "127.0.0.1:0", "--data", place.data.to_str().unwrap()];
    let mut child = crate::run::command(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|l| l.starts_with("Countersign is at")), "the demo is ready");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn line_of(list: &Value, is: impl Fn(&Value) -> bool) -> String {
    let line = list["lines"].as_array().unwrap().iter().find(|l| is(l)).unwrap_or_else(|| panic!("{list}"));
    line["id"].as_str().unwrap().to_owned()
}

/// A page as somebody sees it who signed in, drawn over the same records.
fn page(place: &Place, witnesses: &[(&str, &str)], person: PersonId, path: &str) -> String {
    const HOST: &str = "127.0.0.1:8080";
    let list = witnesses.iter().map(|(url, key)| WitnessAt { url: (*url).into(), key: ledger::WitnessKey::parse(key).unwrap() }).collect();
    let send = async || {
        let store = store::Store::open(&place.data.join("store")).await.unwrap();
        let bureau = Bureau::of_record(store, Arc::new(SystemClock)).with_witnesses(Witnesses { require: 2, list });
        let config = web::Config { hosts: vec![HOST.into()], demo: true, secure: false, trusted_proxies: vec![] };
        let router = web::router(web::AppState::over(config, Arc::new(bureau)).unwrap());
        let ask = async |request: Builder, cookie: &str, body: String| {
            let request = request.header(header::HOST, HOST).header(header::COOKIE, cookie).body(Body::from(body)).unwrap();
            let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
            let set = head.headers.get(header::SET_COOKIE).map(|s| s.to_str().unwrap().split(';').next().unwrap().to_owned());
            (set.unwrap_or_else(|| cookie.to_owned()), String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
        };
        let (cookie, form) = ask(Request::get("/sign-in"), "", String::new()).await;
        let csrf = form.split("name=\"_csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let fields =
            form_urlencoded::Serializer::new(String::new()).extend_pairs([("_csrf", csrf), ("person", &person.to_string())]).finish();
        let post = Request::post("/sign-in")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", format!("http://{HOST}"));
        let (cookie, _) = ask(post, &cookie, fields).await;
        ask(Request::get(path), &cookie, String::new()).await.1
    };
    tokio::runtime::Runtime::new().unwrap().block_on(send())
}

/// Declines a request that waits in the queue, and sends the answer.
fn declined(server: &Server, holder: &str) -> String {
    let id = line_of(&server.get(holder, "/requests?list=waiting"), |l| l["urgent"] == true && l["state"] == "received");
    let at = format!("/requests/{id}");
    let version = server.get(holder, &at)["version"].clone();
    let taken = server.post(holder, &format!("{at}/take"), &json!({ "version": version, "no_conflict": true }));
    let whole = server.get(holder, &at);
    let words = ["importance", "connection", "image-usable", "biography", "exhausted", "balance", "threshold", "extent", "rights"];
    let findings: serde_json::Map<String, Value> =
        words.iter().map(|w| ((*w).to_owned(), json!({ "met": *w != "threshold", "reasons": "Seen and found so." }))).collect();
    let policy = server.get(holder, "/policy");
    let basis = policy["galleries"].as_array().unwrap().iter().find(|g| g["id"] == "passport").unwrap()["legal_bases"][0]["id"].clone();
    let assessment = json!({
        "legal_basis": basis, "findings": findings, "purposes": ["serious-crime"], "section_8_read": true, "handling": "ordinary",
        "crime": { "sexual_offence": false, "two_years": false, "violence": false },
    });
    let body = json!({
        "version": taken["version"], "assessment": assessment, "decision": "decline", "explanation": "It is below the threshold of the policy.",
    });
    let probe = whole["probes"][0]["id"].as_str().unwrap();
    let done = server.post(holder, &format!("{at}/probes/{probe}/assess"), &body);
    let done = server.post(holder, &format!("{at}/answer"), &json!({ "version": done["version"], "recipient_confirmed": true }));
    assert_eq!(done["state"], "answering");
    id
}

#[test]
fn d5_an_answer_waits_for_real_witnesses_through_kills_and_leaves_once_they_are_back() {
    let place = Place::new();
    told(&place);
    let log_key = place.holds()["key"].as_str().unwrap().to_owned();
    let (requester, holder) = ("Tom Reid", "Asha Verma");
    let token = |who: &str| place.run(&["token", who]).well().out.trim().to_owned();
    let (requester, holder) = (token(requester), token(holder));
    let all: Vec<(PathBuf, String, u16)> = ["w1", "w2", "w3"]
        .map(|name| {
            let (dir, key) = made(&place, name, &log_key);
            (dir, key, free_port())
        })
        .into();
    let urls: Vec<String> = all.iter().map(|(_, _, port)| format!("http://{}", home(*port))).collect();
    let list: Vec<(&str, &str)> = urls.iter().zip(&all).map(|(url, (_, key, _))| (url.as_str(), key.as_str())).collect();
    let port = free_port();
    configure(&place, 2, &list, &format!("[serve]\nlisten = \"{0}\"\nhosts = [\"{0}\"]\n", home(port)));
    let started = |n: usize| Process::at(&all[n].0, all[n].2);

    let first = started(0);
    let server = Server::start(&place, port);
    // One answer was released before anybody outside looked; it is not opened before they have.
    let before = line_of(&server.get(&requester, "/requests?list=ended"), |l| l["state"] == "answered");
    let held = |server: &Server, id: &str, cosigned: u64| {
        let said = server.until(&requester, &format!("/requests/{id}"), |r| r["waits_for"]["cosigned"] == cosigned);
        assert_eq!((&said["waits_for"]["required"], &said["waits_for"]["of"]), (&json!(2), &json!(3)), "{said}");
        let (status, refused) = server.call(&requester, "GET", &format!("/requests/{id}/answer"), &Value::Null);
        assert!(status >= 400 && refused.to_string().contains("It waits for 2 of 3 witnesses: 1 has"), "{status} {refused}");
    };
    held(&server, &before, 1);
    // Another is about to be.
    let id = declined(&server, &holder);
    let at = format!("/requests/{id}");
    let waits = |server: &Server| {
        let said = server.until(&holder, &at, |r| r["waits_for"]["cosigned"] == 1);
        assert_eq!((&said["line"]["state"], &said["released_at"]), (&json!("answering"), &Value::Null), "{said}");
        assert_eq!(said["waits_for"]["words"], "It waits for 2 of 3 witnesses: 1 has cosigned the record of it so far.");
        assert!(server.call(&requester, "GET", &format!("{at}/answer"), &Value::Null).0 >= 400);
    };
    waits(&server);
    // The caseworker and the force are told so on their pages.
    let seen = page(&place, &list, PersonId::fixed(0x202), &format!("/respond/{id}"));
    assert!(seen.contains("It waits for 2 of 3 witnesses: 1 has cosigned") && seen.contains("leaves by itself"), "{seen}");
    let seen = page(&place, &list, PersonId::fixed(0x103), &format!("/intake/requests/{before}"));
    assert!(seen.contains("waits for witnesses outside") && !seen.contains("Go to the answer"), "{seen}");
    let said = place.run(&["audit", "witnesses"]).badly().said();
    assert!(said.contains("answers that wait: 1") && said.contains("2 of 3 must have cosigned"), "{said}");

    // Everything is killed, the one witness too. Back again, it knows where it stood, and the answer still waits.
    first.kill();
    drop(server);
    let first = started(0);
    let server = Server::start(&place, port);
    waits(&server);
    held(&server, &before, 1);

    // The second comes: both leave, by themselves.
    let second = started(1);
    server.until(&holder, &at, |r| r["line"]["state"] == "answered" && r["waits_for"].is_null());
    for id in [&before, &id] {
        server.until(&requester, &format!("/requests/{id}"), |r| r["waits_for"].is_null());
        let answer = server.get(&requester, &format!("/requests/{id}/answer"));
        assert_eq!(answer["outcome"], "declined");
    }
    let history = server.get(&holder, &format!("{at}/history"));
    let released = history.as_array().unwrap().iter().filter(|l| l["what"].as_str().unwrap().contains("eleased")).count();
    assert_eq!(released, 1, "{history}");

    // The first is put back from an old copy of its folder; the third was never there: led on from where each stands.
    first.kill();
    second.kill();
    let kept = place.folder.path().join("kept");
    assert!(Command::new("cp").arg("-r").arg(&all[0].0).arg(&kept).status().unwrap().success());
    let first = started(0);
    place.run(&["token", "Sam Okafor"]).well();
    let newest = || {
        let said = place.run(&["audit", "witnesses", "--ask", "--json"]);
        let said: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
        (said["size"].clone(), said["witnesses"].as_array().unwrap().iter().map(|w| w["cosigned"][0].clone()).collect::<Vec<_>>())
    };
    let (size, cosigned) = newest();
    assert_eq!((&cosigned[0], &cosigned[2]), (&size, &Value::Null));
    first.kill();
    fs::remove_dir_all(&all[0].0).unwrap();
    fs::rename(&kept, &all[0].0).unwrap();
    let _back = [started(0), started(1), started(2)];
    place.run(&["token", "Sam Okafor"]).well();
    let (size, cosigned) = newest();
    assert_eq!(cosigned, [size.clone(), size.clone(), size]);
    place.run(&["audit", "witnesses"]).well();
    drop(server);
    place.holds();
}

//! What a person sees: a form is filled in, the server is killed as it is sent, and the browser says that
//! nobody answered. Sent again from the same page, as a reload does, it has been done once.

use crate::{
    address::home,
    cut::{Answer, Watcher},
    ground::{Ground, LEASE_S, photograph},
    people::{MARSH, OKAFOR},
    server::{Client, Got, Server, answered, sent},
    story::{Known, steps},
};
use casework::{ids::PersonId, record::StreamId};
use std::{
    io,
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The changes to files before which the server is killed, one after the other, while one form is sent.
const KILLED_AT: [usize; 4] = [0, 2, 4, 8];

/// Somebody's browser, signed in.
struct Browser {
    cookie: String,
}

/// A form as it was filled in; its bytes stay the same.
struct Filled {
    path: String,
    kind: &'static str,
    body: Vec<u8>,
}

impl Browser {
    /// Signs in at the demo's page, over the same records.
    fn sign_in(ground: &Ground, who: PersonId) -> Self {
        let house = ground.house(&ground.store(), 0);
        let mut browser = Self { cookie: String::new() };
        let page = browser.get(house.client.port, "/sign-in");
        let form = browser.fill(&page, "/sign-in", &[("person", &who.to_string())]);
        assert_eq!(browser.send(house.client.port, &form).unwrap().status, 303);
        house.leave();
        browser
    }

    fn exchange(&mut self, port: u16, line: &str, kind: &str, body: &[u8]) -> io::Result<Got> {
        let at = home(port);
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {at}\r\nOrigin: http://{at}\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.cookie,
            body.len()
        );
        let got = answered(sent(port, head.as_bytes(), body)?)?;
        if let Some(cookie) = header(&got, "set-cookie") {
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        Ok(got)
    }

    fn get(&mut self, port: u16, path: &str) -> String {
        self.exchange(port, &format!("GET {path}"), "text/plain", &[]).unwrap().well().text()
    }

    /// Fills in the last form of a page.
    fn fill(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Filled {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(ours(page)).extend_pairs(fields).finish();
        Filled { path: path.into(), kind: "application/x-www-form-urlencoded", body: body.into() }
    }

    fn send(&mut self, port: u16, form: &Filled) -> io::Result<Got> {
        self.exchange(port, &format!("POST {}", form.path), form.kind, &form.body)
    }
}

fn header(got: &Got, name: &str) -> Option<String> {
    let line = got.head.lines().find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The hidden fields of a page's last form; the one that signs out comes first.
fn ours(page: &str) -> Vec<(&'static str, String)> {
    let value = |name: &'static str| {
        let mark = format!("name=\"{name}\" value=\"");
        let at = page.rfind(&mark)? + mark.len();
        Some((name, page[at..].split('"').next()?.to_owned()))
    };
    ["_csrf", "_for", "_once", "_version"].into_iter().filter_map(value).collect()
}

/// The form that uploads a photograph.
fn upload(page: &str, path: &str) -> Filled {
    const MARK: &str = "a-mark-between-parts";
    let mut body = vec![];
    for (name, value) in ours(page) {
        body.extend(format!("--{MARK}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    let head = "Content-Disposition: form-data; name=\"images\"; filename=\"still.jpg\"\r\nContent-Type: image/jpeg";
    body.extend(format!("--{MARK}\r\n{head}\r\n\r\n").bytes());
    body.extend(photograph("sample3.jpg"));
    body.extend(format!("\r\n--{MARK}--\r\n").bytes());
    Filled { path: path.into(), kind: "multipart/form-data; boundary=a-mark-between-parts", body }
}

/// A server that is killed at some change to a file, and started again.
struct Mortal<'a> {
    ground: &'a Ground,
    watcher: &'a Watcher,
    server: Option<Server>,
    ahead: u64,
}

impl Mortal<'_> {
    fn port(&self) -> u16 {
        self.server.as_ref().unwrap().port
    }

    /// Sends a form again and again while the server is killed at one moment after another; then twice to
    /// one that lives. Returns where both lead.
    fn sent_whatever_happens(&mut self, browser: &mut Browser, form: &Filled) -> String {
        for at in KILLED_AT {
            let (pid, count) = (self.server.as_ref().unwrap().process.id().to_string(), Arc::new(AtomicUsize::new(0)));
            self.watcher.with(move |_| {
                if count.fetch_add(1, Ordering::Relaxed) == at {
                    assert!(Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap().success());
                }
                Answer::Go
            });
            // The browser says that the connection was closed, or the answer came just before.
            let _ = browser.send(self.port(), form);
            let port = self.port();
            self.server.take().unwrap().kill();
            assert!(TcpStream::connect(home(port)).is_err(), "nobody answers");
            self.watcher.with(|_| Answer::Go);
            self.ahead += LEASE_S;
            self.server = Some(Server::start(self.ground, self.ahead, Some(&self.watcher.socket)));
        }
        let leads = |got: Got| {
            assert_eq!(got.status, 303, "{}: {}", form.path, got.text());
            header(&got, "location").unwrap()
        };
        let port = self.port();
        let first = leads(browser.send(port, form).unwrap());
        assert_eq!(leads(browser.send(port, form).unwrap()), first, "{}", form.path);
        first
    }
}

#[test]
fn a_form_sent_again_after_the_server_was_killed_is_done_once() {
    let ground = Ground::new();
    let (mut officer, mut inspector) = (Browser::sign_in(&ground, OKAFOR), Browser::sign_in(&ground, MARSH));
    let watcher = Watcher::listen(ground.path("cut"));
    let server = Some(Server::start(&ground, 0, Some(&watcher.socket)));
    let mut m = Mortal { ground: &ground, watcher: &watcher, server, ahead: 0 };

    let page = officer.get(m.port(), "/intake");
    let form = officer.fill(&page, "/intake/new", &[]);
    let draft = m.sent_whatever_happens(&mut officer, &form);
    let id = draft.rsplit('/').next().unwrap().to_owned();

    let section = format!("{draft}/1");
    let page = officer.get(m.port(), &section);
    let form = officer.fill(&page, &section, &[("investigation", "OP-FORM-1"), ("then", "tasks")]);
    m.sent_whatever_happens(&mut officer, &form);
    assert!(officer.get(m.port(), &section).contains("OP-FORM-1"));

    let page = officer.get(m.port(), &format!("{draft}/5"));
    let form = upload(&page, &format!("{draft}/images"));
    m.sent_whatever_happens(&mut officer, &form);

    // The rest of the form is not what this is about.
    let client = Client { port: m.port(), ..ground.client.clone() };
    let read = client.get(OKAFOR, &format!("/drafts/{id}")).json();
    assert_eq!(read["images"].as_array().map(Vec::len), Some(1), "uploaded once: {read}");
    let probe = read["images"][0]["probe"].as_str().unwrap().to_owned();
    let mut known = Known { request: id.clone(), draft: read["version"].clone(), probe, ..Known::default() };
    for step in steps().iter().filter(|s| ["write", "describe"].contains(&s.name)) {
        let got = client.exchange(&step.call(&client, &known)).unwrap().well();
        step.learn(&mut known, &got.json());
    }

    let page = officer.get(m.port(), &format!("{draft}/check"));
    let form = officer.fill(&page, &format!("{draft}/send"), &[]);
    let sent = m.sent_whatever_happens(&mut officer, &form);
    assert!(sent.ends_with("/sent"), "{sent}");

    let approve = format!("/intake/approval/{id}/approve");
    let page = inspector.get(m.port(), &approve);
    let form = inspector.fill(&page, &approve, &[]);
    m.sent_whatever_happens(&mut inspector, &form);

    m.server.take().unwrap().stop();
    ground.runtime.block_on(async {
        let bureau = ground.bureau(&ground.store(), m.ahead + LEASE_S).await;
        assert!(bureau.drafts(OKAFOR).await.unwrap().is_empty(), "no draft is left over");
        let kinds: Vec<_> =
            bureau.store().load(StreamId::Request(id.parse().unwrap())).await.unwrap().into_iter().map(|r| r.header.kind).collect();
        assert_eq!(kinds, ["prepared", "approved", "submitted", "received"]);
        bureau.store().clone().close().await;
    });
    ground.run(&["audit", "verify"]);
    ground.run(&["audit", "replay"]);
}

//! A biometric system that answers as it is told to: over real HTTP on loopback, with raw bytes where it misbehaves.
#![allow(dead_code, reason = "shared by tests of several crates")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A call as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

/// What it writes instead of an answer to `identify`: everything, status line included.
pub type Misdeed = fn(&mut TcpStream);

/// What it holds and how it answers.
pub struct Inside {
    /// References enrolled, by person id.
    pub people: Vec<String>,
    pub vendor: String,
    pub algorithm: String,
    /// What becomes of `algorithm` when a search is made.
    pub algorithm_after: Option<String>,
    /// The body of an answer to `identify`.
    pub candidates: String,
    pub misdeed: Option<Misdeed>,
    pub calls: Vec<Call>,
}

#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    pub inside: Arc<Mutex<Inside>>,
}

impl Fake {
    /// Listens on a port of its own until the test ends.
    pub fn start(people: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inside = Inside {
            people,
            vendor: "Acme".into(),
            algorithm: "FaceNet 5.2".into(),
            algorithm_after: None,
            candidates: "[]".into(),
            misdeed: None,
            calls: vec![],
        };
        let fake = Self { address: listener.local_addr().unwrap(), inside: Arc::new(Mutex::new(inside)) };
        let server = fake.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                // A client that hangs up in the middle is nothing to it.
                thread::spawn(move || server.serve(stream));
            }
        });
        fake
    }

    pub fn url(&self) -> String {
        format!("http://{}/osia", self.address)
    }

    /// The list as the interface writes it: ids with scores, ranked as they stand.
    pub fn answer_with(&self, list: &[(&str, f64)]) {
        let one = |(n, (id, score)): (usize, &(&str, f64))| {
            format!(
                "{{\"personId\":\"{id}\",\"rank\":{},\"score\":{score},\"scores\":[{{\"score\":{score},\"encounterId\":\"{id}\",\"biometricType\":\"FACE\"}}],\"others\":{{\"any\":1}}}}",
                n + 1
            )
        };
        let list: Vec<_> = list.iter().enumerate().map(one).collect();
        self.inside.lock().unwrap().candidates = format!("[{}]", list.join(","));
    }

    pub fn misbehave(&self, how: Option<Misdeed>) {
        self.inside.lock().unwrap().misdeed = how;
    }

    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.inside.lock().unwrap().calls)
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(call) = read(&stream) else { return };
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let parameter = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
        let number = |name: &str| parameter(name).parse::<usize>().unwrap_or(0);
        let parts: Vec<&str> = path.trim_start_matches("/osia/").split('/').collect();
        let mut inside = self.inside.lock().unwrap();
        inside.calls.push(call.clone());
        let (status, body) = match (call.method.as_str(), parts.as_slice()) {
            _ if parameter("transactionId").is_empty() => (400, r#"{"code":1,"message":"transactionId"}"#.to_owned()),
            ("GET", ["v1", "galleries", "PASSPORT"]) => {
                let some = inside.people.iter().skip(number("offset")).take(number("limit"));
                let ids: Vec<_> = some.map(|p| format!("{{\"personId\":\"{p}\",\"encounterId\":\"{p}\"}}")).collect();
                (200, format!("[{}]", ids.join(",")))
            }
            ("GET", ["v1", "persons", p, "encounters", e, "templates"]) if p == e && inside.people.iter().any(|x| x == p) => {
                let (vendor, algorithm) = (&inside.vendor, &inside.algorithm);
                (
                    200,
                    format!("[{{\"biometricType\":\"FACE\",\"template\":\"AAAA\",\"vendor\":\"{vendor}\",\"algorithm\":\"{algorithm}\"}}]"),
                )
            }
            ("GET", ["v1", "persons", p, "encounters", _]) if inside.people.iter().any(|x| x == p) => (200, "{}".into()),
            ("POST", ["v1", "persons", p, "encounters", _]) => {
                if inside.people.iter().any(|x| x == p) {
                    (409, "{}".into())
                } else {
                    inside.people.push((*p).to_owned());
                    (201, String::new())
                }
            }
            ("POST", ["v1", "identify", "PASSPORT"]) => {
                if let Some(algorithm) = inside.algorithm_after.clone() {
                    inside.algorithm = algorithm;
                }
                if let Some(misdeed) = inside.misdeed {
                    drop(inside);
                    misdeed(&mut stream);
                    return;
                }
                (200, inside.candidates.clone())
            }
            _ => (404, "{}".into()),
        };
        drop(inside);
        json(&mut stream, status, &body);
    }
}

/// A whole, well-formed answer.
pub fn json(stream: &mut TcpStream, status: u16, body: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

fn read(stream: &TcpStream) -> Option<Call> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Call { method, target, authorization, body })
}

/// Every way to misbehave in an answer to a search, and words of the reason that is given.
pub const MISDEEDS: &[(&str, Misdeed, &str)] = &[
    ("late", |_| thread::sleep(Duration::from_secs(3)), "did not answer within"),
    ("slow", slow, "did not answer within"),
    ("hangs up", |_| (), "cut off, or is no HTTP"),
    ("no HTTP", |s| drop(s.write_all(b"220 smtp.example ESMTP\r\n")), "cut off, or is no HTTP"),
    ("cut off", |s| raw(s, "Content-Length: 500\r\n", "[{\"personId\":"), "cut off, or is no HTTP"),
    ("cut off in a chunk", |s| raw(s, "Transfer-Encoding: chunked\r\n", "5\r\n[\r\n"), "cut off, or is no HTTP"),
    ("cut off without a length", |s| raw(s, "", "[{\"personId\":\"x\""), "is not JSON"),
    ("endless", endless, "longer than 1000000 bytes"),
    ("promises too much", |s| raw(s, "Content-Length: 99999999999\r\n", "[]"), "cut off, or is no HTTP"),
    ("not JSON", |s| json(s, 200, "<html>"), "is not JSON"),
    ("empty", |s| json(s, 200, ""), "is not JSON"),
    ("two answers", |s| json(s, 200, "[][]"), "is not JSON"),
    ("not said to be JSON", html, "is not JSON"),
    ("an error as an answer", |s| json(s, 200, r#"{"code":1,"message":"no"}"#), "another form"),
    ("another's answer", |s| json(s, 200, r#"{"transactionId":"123e4567-e89b-12d3-a456-426655440000","candidates":[]}"#), "another form"),
    ("null", |s| json(s, 200, "null"), "another form"),
    ("later", |s| json(s, 202, r#"{"taskId":"123e4567-e89b-12d3-a456-426655440000"}"#), "answers later by callback"),
    ("moved", |s| drop(s.write_all(b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")), "points elsewhere"),
    ("fails", |s| json(s, 500, r#"{"code":1,"message":"disk"}"#), "answered 500"),
    ("busy", |s| json(s, 503, ""), "answered 503"),
    ("forbids", |s| json(s, 403, ""), "answered 403"),
    ("another gallery", |s| json(s, 404, ""), "answered 404"),
    ("nothing", |s| json(s, 204, ""), "answered 204"),
    ("a property too many", |s| one(s, r#","sure":true"#), "another form"),
    ("a property twice", |s| one(s, r#","rank":1"#), "another form"),
    ("no score", |s| json(s, 200, r#"[{"personId":"00000000-0000-0000-0000-000000000001","rank":1}]"#), "another form"),
    ("a score in words", |s| scored(s, "\"0.9\""), "another form"),
    ("NaN", |s| scored(s, "NaN"), "is not JSON"),
    ("infinite", |s| scored(s, "1e999"), "JSON"),
    ("above the range", |s| scored(s, "1.5"), "outside its engine's range"),
    ("below the range", |s| scored(s, "-0.5"), "outside its engine's range"),
    ("below the threshold", |s| scored(s, "0.49"), "below the threshold"),
    ("not our id", |s| list(s, &[("4711", 1, "0.9")]), "not a reference's"),
    ("our id written otherwise", |s| list(s, &[("{00000000-0000-0000-0000-000000000001}", 1, "0.9")]), "not a reference's"),
    ("one twice", |s| list(s, &[(A, 1, "0.9"), (A, 2, "0.8")]), "a candidate twice"),
    ("unsorted", |s| list(s, &[(A, 1, "0.8"), (B, 2, "0.9")]), "not in the order"),
    ("ranked from 0", |s| list(s, &[(A, 0, "0.9")]), "not ranked"),
    ("ranked twice", |s| list(s, &[(A, 1, "0.9"), (B, 1, "0.8")]), "not ranked"),
    ("more than asked", many, "candidates, though at most"),
    ("by fingers", |s| one(s, r#","scores":[{"score":0.9,"biometricType":"FINGER"}]"#), "other than faces"),
    ("by another encounter", |s| one(s, r#","scores":[{"score":0.9,"encounterId":"x"}]"#), "not a reference's"),
    ("detail out of range", |s| one(s, r#","scores":[{"score":900}]"#), "outside its engine's range"),
];

/// Two references.
pub const A: &str = "00000000-0000-0000-0000-000000000001";
pub const B: &str = "00000000-0000-0000-0000-000000000002";

fn raw(stream: &mut TcpStream, headers: &str, body: &str) {
    let all = format!("HTTP/1.1 200 X\r\nContent-Type: application/json\r\n{headers}\r\n{body}");
    let _ = stream.write_all(all.as_bytes());
}

fn html(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n[]");
}

fn one(stream: &mut TcpStream, more: &str) {
    json(stream, 200, &format!("[{{\"personId\":\"{A}\",\"rank\":1,\"score\":0.9{more}}}]"));
}

fn scored(stream: &mut TcpStream, score: &str) {
    list(stream, &[(A, 1, score)]);
}

fn list(stream: &mut TcpStream, of: &[(&str, i64, &str)]) {
    let all: Vec<_> = of.iter().map(|(id, rank, score)| format!("{{\"personId\":\"{id}\",\"rank\":{rank},\"score\":{score}}}")).collect();
    json(stream, 200, &format!("[{}]", all.join(",")));
}

fn many(stream: &mut TcpStream) {
    let ids: Vec<_> = (1..=12).map(|n| format!("00000000-0000-0000-0000-0000000000{n:02}")).collect();
    let all: Vec<_> = (1..).zip(&ids).map(|(n, id)| (id.as_str(), n, "0.9")).collect();
    list(stream, &all);
}

fn slow(stream: &mut TcpStream) {
    raw(stream, "Content-Length: 500\r\n", "[");
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(150));
        if stream.write_all(b" ").is_err() {
            return;
        }
    }
}

fn endless(stream: &mut TcpStream) {
    raw(stream, "", "[");
    while stream.write_all(&[b' '; 65_536]).is_ok() {}
}

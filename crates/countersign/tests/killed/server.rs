//! The real server as a process, and what a client sends to it.

use crate::{
    address::{free_port, home},
    cut,
    ground::Ground,
};
use casework::ids::PersonId;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// `countersign serve` on a ground.
pub struct Server {
    pub process: Child,
    pub port: u16,
}

impl Server {
    /// Starts it, its clock ahead by some seconds, its changes to files watched where there is a socket.
    pub fn start(ground: &Ground, ahead: u64, watched: Option<&Path>) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["serve", "--config"]).arg(ground.configured(port)).env_remove("COUNTERSIGN_CONFIG").env("RUST_LOG", "error");
        command.env("LD_PRELOAD", cut::library()).env("CUT_AHEAD", ahead.to_string());
        if let Some(socket) = watched {
            command.env("CUT_FOLDER", ground.store()).env("CUT_SOCKET", socket);
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Self { process, port };
        let began = Instant::now();
        while TcpStream::connect(home(port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60) && server.process.try_wait().unwrap().is_none(), "it serves");
            sleep(Duration::from_millis(5));
        }
        server
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM; it ends well.
    pub fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "it shuts down gracefully");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

/// A call of the API, the same however often it is sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub who: PersonId,
    pub method: &'static str,
    pub path: String,
    pub kind: &'static str,
    pub body: Vec<u8>,
    pub key: String,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    #[track_caller]
    pub fn well(self) -> Self {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        self
    }
}

/// A client with everybody's tokens.
#[derive(Clone)]
pub struct Client {
    pub port: u16,
    pub tokens: BTreeMap<PersonId, String>,
}

impl Client {
    /// Sends a call's bytes, all of them, and returns the connection without reading from it.
    pub fn sent(&self, call: &Call) -> io::Result<TcpStream> {
        let Call { who, method, path, kind, body, key } = call;
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\nIdempotency-Key: {key}\r\n\r\n",
            home(self.port),
            self.tokens[who],
            body.len()
        );
        sent(self.port, head.as_bytes(), body)
    }

    /// The whole exchange; fails where the server dies in it.
    pub fn exchange(&self, call: &Call) -> io::Result<Got> {
        answered(self.sent(call)?)
    }

    pub fn get(&self, who: PersonId, path: &str) -> Got {
        let call = Call { who, method: "GET", path: path.into(), kind: "application/json", body: vec![], key: "look".into() };
        self.exchange(&call).unwrap().well()
    }

    /// The version of a request as somebody sees it.
    pub fn version(&self, who: PersonId, request: &str) -> Value {
        self.get(who, &format!("/requests/{request}")).json()["version"].clone()
    }
}

pub fn sent(port: u16, head: &[u8], body: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(home(port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(head)?;
    stream.write_all(body)?;
    Ok(stream)
}

pub fn answered(mut stream: TcpStream) -> io::Result<Got> {
    let mut bytes = vec![];
    stream.read_to_end(&mut bytes)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(cut)?;
    let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(cut)?;
    Ok(Got { status, head, body: bytes.split_off(at + 4) })
}

//! The server over real sockets: health, slow clients, large refused bodies, and a stop that lets
//! requests in progress finish.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use axum::{Router, routing::get};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use web::{
    AppState, Config,
    desk::MemoryDesk,
    limits::{FORM_MAX_BYTES, HEADER_MAX_S},
    pages::{self, Routes},
    router_with, serve,
};

async fn start() -> (String, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let config = Config { hosts: vec![host.clone()], demo: true, secure: false, trusted_proxies: vec![] };
    let state = AppState::new(config, Arc::new(MemoryDesk::default())).unwrap();
    let slow = get(async || {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "finished"
    });
    let router = router_with(state, pages::routes().and(Routes::pages(Router::new().route("/slow", slow))), Router::new());
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(listener, router, async move {
        let _ = stopped.await;
    }));
    (host, stop, server)
}

async fn ask(host: &str, request: String) -> String {
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_lives_is_ready_and_stops_without_cutting_anybody_off() {
    let (host, stop, server) = start().await;
    for path in ["/health/live", "/health/ready"] {
        let answer = ask(&host, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let in_progress = tokio::spawn({
        let host = host.clone();
        async move { ask(&host, format!("GET /slow HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    assert!(in_progress.await.unwrap().ends_with("finished"));
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(&host).await.is_err(), "and nobody new is let in");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_headers_is_let_go() {
    let (host, _stop, _server) = start().await;
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Slow: ").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(HEADER_MAX_S + 5), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "still connected after {HEADER_MAX_S} seconds");
}

/// Sends headers that promise a body, and a little of it now and then; gives the answer's head.
async fn promise(host: &str, path: &str, kind: &str, size: usize) -> String {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut answer, mut sending) = stream.into_split();
    let slowly = tokio::spawn(async move {
        while sending.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut head = String::new();
    let mut byte = [0];
    while !head.ends_with("\r\n\r\n") && answer.read_exact(&mut byte).await.is_ok() {
        head.push(char::from(byte[0]));
    }
    slowly.abort();
    head
}

#[tokio::test]
async fn nobody_signed_in_is_answered_before_their_large_form_is_read() {
    let (host, _stop, _server) = start().await;
    let fields = "application/x-www-form-urlencoded";
    for (path, kind, size, status, words) in [
        (
            "/intake/drafts/00000000-0000-0000-0000-000000000001/images",
            "multipart/form-data; boundary=B",
            20 << 20,
            "303",
            "/sign-in?unsent=images",
        ),
        ("/intake/drafts/00000000-0000-0000-0000-000000000001/4", fields, FORM_MAX_BYTES + 1, "413", ""),
        ("/sign-in", fields, 20 << 20, "413", ""),
        ("/sign-in", "image/jpeg", 20 << 20, "415", ""),
    ] {
        let answer = tokio::time::timeout(Duration::from_secs(3), promise(&host, path, kind, size)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} waits for {size} bytes of {kind}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words), "{path} {answer}");
    }
}

#[tokio::test]
async fn forty_megabytes_may_be_sent_to_the_end_so_that_the_answer_can_be_read() {
    let (host, _stop, _server) = start().await;
    let size = 40 * 1024 * 1024;
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "POST /sign-in HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {size}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let block = vec![b'x'; 1024 * 1024];
    for _ in 0..40 {
        stream.write_all(&block).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("256 KB"), "{answer}");
}

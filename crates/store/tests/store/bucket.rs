//! Sealed images in a bucket: the same promises as in a folder, kept by a real server that speaks S3 (moto's, another
//! process), and what comes of a server that fails, breaks off, loses or shortens.

use crate::{ORIGIN, at, record, request};
use casework::ids::BlobId;
use casework::record::RetentionClass::Images;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, path::Path as ObjectPath};
use std::io::{Read, Write};
use std::net::TcpListener as StdListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Blobs, Bucket, Commit, LogFault, Place, Store, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NAME: &str = "sealed";

struct S3 {
    process: Child,
    port: u16,
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the server with an empty bucket. Where it is not installed the test ends here, and says so.
fn server() -> S3 {
    let program = std::env::var_os("COUNTERSIGN_TEST_S3")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/moto_server"), PathBuf::from);
    if !program.exists() {
        eprintln!("NOT RUN: {} is not there (tools/setup/python.sh s3)", program.display());
        std::process::exit(0);
    }
    let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = S3 { process, port };
    let asked = format!("PUT /{NAME} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    for _ in 0..600 {
        if let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) {
            let mut answer = String::new();
            stream.write_all(asked.as_bytes()).unwrap();
            if stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ") {
                return server;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the S3 server did not start");
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The bucket itself, behind the store's back.
fn behind(server: &S3) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_bucket_name(NAME)
        .with_region("eu-west-2")
        .with_endpoint(endpoint(server.port))
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap()
}

fn place(folder: &Path, port: u16, prefix: Option<&str>) -> Place {
    let credentials = folder.join("s3.credentials");
    std::fs::write(&credentials, "[default]\naws_access_key_id = test\naws_secret_access_key = test\n").unwrap();
    std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
    let bucket = Bucket {
        name: NAME.into(),
        endpoint: Some(endpoint(port)),
        region: "eu-west-2".into(),
        prefix: prefix.map(str::to_owned),
        credentials: Some(credentials),
    };
    assert_eq!(bucket.faults(), Vec::<String>::new());
    Place { blobs: Blobs::Bucket(bucket), ..Place::folder(&folder.join("data")) }
}

/// Where `crate::blobs` puts it.
fn object(id: BlobId) -> ObjectPath {
    let name = id.0.simple().to_string();
    ObjectPath::from(format!("{}/{name}", &name[30..]))
}

async fn bound(store: &Store, n: u128, bytes: &[u8]) -> BlobId {
    let id = store.put_blob(request(n), Images, bytes, at(0)).await.unwrap();
    store.commit(Commit { blobs: vec![id], ..Commit::new(request(n), 0, vec![record("submitted", b"x")]) }).await.unwrap();
    id
}

#[tokio::test]
async fn a_bucket_keeps_what_a_folder_keeps() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), server.port, Some("passport"));
    let store = Store::create_at(&place, ORIGIN).await.unwrap();
    let canary = [b"canary-in-a-bucket-5d1f".as_slice(), &vec![7; 300_000]].concat();
    let id = bound(&store, 1, &canary).await;
    assert_eq!(store.get_blob(id).await.unwrap().as_deref(), Some(canary.as_slice()));
    assert_eq!(crate::files(&place.dir.join("blobs")).len(), 0, "nothing in the folder");
    let inside = ObjectPath::from(format!("passport/{}", object(id)));
    let sealed = behind(&server).get(&inside).await.unwrap().bytes().await.unwrap();
    assert!(sealed.len() > canary.len() && !sealed.windows(23).any(|w| w == &canary[..23]), "sealed");

    // Another process, after a restart, reads the same; the log verifies with it.
    store.close().await;
    let store = Store::open_at(&place).await.unwrap();
    assert_eq!(store.get_blob(id).await.unwrap().as_deref(), Some(canary.as_slice()));
    store.sequence(at(1)).await.unwrap();
    assert!(store.verify_log().await.unwrap().verified());

    // Orphans go, also objects without a row; what is bound stays.
    let orphan = store.put_blob(request(1), Images, b"orphan", at(0)).await.unwrap();
    let stray = ObjectPath::from("passport/aa/0000000000000000000000000000aaaa");
    behind(&server).put(&stray, "stray".into()).await.unwrap();
    let later = jiff::Timestamp::from_second(4_000_000_000).unwrap();
    assert_eq!(store.sweep_orphans(at(0)).await.unwrap().blobs, 0, "younger than the sweep's line");
    assert_eq!(store.sweep_orphans(later).await.unwrap().blobs, 2);
    assert!(store.get_blob(orphan).await.unwrap().is_none());
    assert!(matches!(behind(&server).head(&stray).await, Err(object_store::Error::NotFound { .. })));
    assert!(store.get_blob(id).await.unwrap().is_some());

    // Erased: the object is gone.
    assert_eq!(store.erase(request(1), Images, at(9)).await.unwrap().blobs, 1);
    assert!(store.get_blob(id).await.unwrap().is_none());
    assert!(matches!(behind(&server).head(&inside).await, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn lost_and_shortened_images_are_named() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create_at(&place(folder.path(), server.port, None), ORIGIN).await.unwrap();
    let (short, lost) = (bound(&store, 1, b"an image").await, bound(&store, 2, b"another").await);
    store.sequence(at(1)).await.unwrap();
    assert!(store.verify_log().await.unwrap().verified());
    let bucket = behind(&server);
    let sealed = bucket.get(&object(short)).await.unwrap().bytes().await.unwrap();
    bucket.put(&object(short), sealed.slice(..sealed.len() - 1).into()).await.unwrap();
    assert!(matches!(store.get_blob(short).await, Err(StoreError::Damaged { .. })));
    assert_eq!(store.verify_log().await.unwrap().fault, Some(LogFault::Blob { stream: request(1), id: short }));
    bucket.put(&object(short), sealed.into()).await.unwrap();
    bucket.delete(&object(lost)).await.unwrap();
    assert!(matches!(store.get_blob(lost).await, Err(StoreError::Damaged { .. })));
    assert_eq!(store.verify_log().await.unwrap().fault, Some(LogFault::Blob { stream: request(2), id: lost }));
}

/// A sweep takes away what it has no row of: it must never meet another store's images.
#[tokio::test]
async fn two_stores_never_share_a_bucket() {
    let server = server();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Store::create_at(&place(one.path(), server.port, None), ORIGIN).await.unwrap();
    let refused = Store::create_at(&place(two.path(), server.port, None), ORIGIN).await.unwrap_err();
    assert!(matches!(refused, StoreError::OthersBucket), "{refused:?}");
    Store::open_at(&place(two.path(), server.port, Some("second"))).await.unwrap();
    Store::open_at(first.place()).await.unwrap();
}

/// A way to the server that misbehaves as long as it is told to.
struct Bad {
    port: u16,
    /// Requests still to be answered with 500.
    failing: Arc<AtomicUsize>,
    /// Answers still to be broken off after 200 bytes.
    cutting: Arc<AtomicUsize>,
    /// Answers still to be held up for a while.
    slowing: Arc<AtomicUsize>,
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

async fn bad_way(to: u16) -> Bad {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let count = || Arc::new(AtomicUsize::new(0));
    let bad = Bad { port: listener.local_addr().unwrap().port(), failing: count(), cutting: count(), slowing: count() };
    let (failing, cutting, slowing) = (bad.failing.clone(), bad.cutting.clone(), bad.slowing.clone());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (failing, cutting, slowing) = (failing.clone(), cutting.clone(), slowing.clone());
            tokio::spawn(async move {
                // What comes of a connection that the client gives up is of no interest.
                let _ = carry(client, to, &failing, &cutting, &slowing).await;
            });
        }
    });
    bad
}

/// One request and its answer; then the connection is closed, so that each request is looked at by itself.
async fn carry(mut client: TcpStream, to: u16, failing: &AtomicUsize, cutting: &AtomicUsize, slowing: &AtomicUsize) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = vec![0; 65_536];
    let body_at = loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..n]);
        if let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&request[..body_at]).to_ascii_lowercase();
    let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length:")).map_or(0, |n| n.trim().parse().unwrap());
    while request.len() < body_at + length {
        let n = client.read(&mut buffer).await?;
        request.extend_from_slice(&buffer[..n]);
    }
    if take(failing) {
        return client.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    let line_end = request.windows(2).position(|w| w == b"\r\n").unwrap_or(0) + 2;
    server.write_all(&request[..line_end]).await?;
    server.write_all(b"connection: close\r\n").await?;
    server.write_all(&request[line_end..]).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    if take(slowing) {
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    if take(cutting) {
        answer.truncate(answer.len().saturating_sub(200));
    }
    client.write_all(&answer).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_breaks_off_and_dawdles() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let bad = bad_way(server.port).await;
    let store = Store::create_at(&place(folder.path(), bad.port, None), ORIGIN).await.unwrap();
    let image = vec![9; 5_000];

    // Now and then: tried again, and nobody notices.
    bad.failing.store(2, Ordering::SeqCst);
    bad.slowing.store(1, Ordering::SeqCst);
    let id = bound(&store, 1, &image).await;
    bad.failing.store(2, Ordering::SeqCst);
    assert_eq!(store.get_blob(id).await.unwrap().as_deref(), Some(image.as_slice()));
    bad.cutting.store(1, Ordering::SeqCst);
    match store.get_blob(id).await {
        Ok(read) => assert_eq!(read.as_deref(), Some(image.as_slice()), "whole"),
        Err(error) => assert!(matches!(error, StoreError::Blob(_)), "or an error, never a part: {error:?}"),
    }
    bad.cutting.store(0, Ordering::SeqCst);

    // For good: an error that blames nobody's record, and no image that a commit could name half-written.
    bad.failing.store(1_000, Ordering::SeqCst);
    assert!(matches!(store.get_blob(id).await, Err(StoreError::Blob(_))), "not called damaged: it is there");
    assert!(matches!(store.put_blob(request(2), Images, &image, at(0)).await, Err(StoreError::Blob(_))));
    assert!(store.erase(request(1), Images, at(2)).await.is_err(), "the object could not be deleted");
    let still = behind(&server).head(&object(id)).await;
    assert!(still.is_ok());
    bad.failing.store(0, Ordering::SeqCst);
    assert!(store.get_blob(id).await.unwrap().is_none(), "its key is gone all the same");

    // The erasure is finished when the store is opened again, and the failed put is an orphan.
    let place = store.place().clone();
    store.close().await;
    let store = Store::open_at(&place).await.unwrap();
    assert!(matches!(behind(&server).head(&object(id)).await, Err(object_store::Error::NotFound { .. })));
    assert_eq!(store.sweep_orphans(at(50)).await.unwrap().blobs, 1);
    store.sequence(at(3)).await.unwrap();
    assert!(store.verify_log().await.unwrap().verified());

    // Not there when it is opened: said, and nothing is begun.
    bad.failing.store(1_000, Ordering::SeqCst);
    assert!(matches!(Store::open_at(&place).await, Err(StoreError::Blob(_))));
}

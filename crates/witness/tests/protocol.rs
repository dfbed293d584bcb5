//! A real witness over loopback, asked by the real client and by strangers.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ledger::witness::{AddCheckpoint, MAX_REQUEST_BYTES};
use ledger::{Checkpoint, Commitment, Hash, Leaf, Signed, SigningKey, WitnessKey, tree};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use witness::{ClientError, Said, Witness, WitnessError, add_checkpoint, endpoint, serve};

const ORIGIN: &str = "example.org/log";
const WAIT: Duration = Duration::from_secs(20);

fn key() -> SigningKey {
    SigningKey::from_seed(ORIGIN, [1; 32]).unwrap()
}

/// A request for a log of `size` leaves; leaves from the sixth on are of a branch.
fn ask(old: u64, size: u64, branch: u8) -> AddCheckpoint {
    let mut hashes: HashMap<u64, Hash> = HashMap::new();
    for n in 0..size {
        let part = Commitment::new(&[if n < 5 { 0 } else { branch }; 32], &n.to_be_bytes());
        let new = tree::append(n, Leaf::new(&part, &part), &hashes).unwrap();
        hashes.extend(new);
    }
    let note = Checkpoint { origin: ORIGIN.into(), size, root: tree::root(size, &hashes).unwrap() }.sign(&key()).unwrap();
    let proof = if old == 0 || old > size { vec![] } else { tree::consistency_proof(old, size, &hashes).unwrap() };
    AddCheckpoint { old, proof, note }
}

fn made(dir: &Path) -> WitnessKey {
    let key_of = Witness::create(dir, "witness.example/w").unwrap();
    Witness::open(dir).unwrap().watch(key().verifier_key()).unwrap();
    key_of
}

async fn started(dir: &Path) -> (String, tokio::task::JoinHandle<()>, tokio::sync::oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let witness = Arc::new(Witness::open(dir).unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        serve(listener, witness, async {
            let _ = stopped.await;
        })
        .await
        .unwrap();
    });
    (url, task, stop)
}

fn line(said: Said) -> String {
    match said {
        Said::Cosigned(lines) => lines.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn d5_a_witness_cosigns_what_continues_the_last_and_remembers_it_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    let key_of = made(&dir);
    let (url, task, stop) = started(&dir).await;
    let asked = async |request: &AddCheckpoint| add_checkpoint(&url, request, WAIT).await.unwrap();
    let first = ask(0, 3, 0);
    let cosigned = line(asked(&first).await);
    let at = key_of.check(&Signed::parse(&first.note).unwrap().text, &cosigned).unwrap();
    assert!(at > 1_700_000_000);
    assert_eq!(asked(&ask(0, 7, 0)).await, Said::Conflict(3));
    line(asked(&ask(3, 7, 0)).await);
    assert!(matches!(Witness::open(&dir), Err(WitnessError::InUse { .. })), "one process at a time");
    stop.send(()).unwrap();
    task.await.unwrap();

    let (url, _task, _stop) = started(&dir).await;
    let asked = async |request: &AddCheckpoint| add_checkpoint(&url, request, WAIT).await.unwrap();
    assert_eq!(asked(&ask(3, 7, 0)).await, Said::Conflict(7), "a rollback of what it knows");
    assert_eq!(asked(&ask(7, 7, 9)).await, Said::Conflict(7), "a split view of the same size");
    assert_eq!(asked(&ask(7, 9, 9)).await, Said::Refused(422), "a split view that goes on");
    assert_eq!(asked(&ask(9, 8, 0)).await, Said::Refused(400));
    let mut forged = ask(7, 9, 0);
    forged.note = forged.note.replace(ORIGIN, "example.org/other");
    assert_eq!(asked(&forged).await, Said::Refused(404));
    let strange = SigningKey::from_seed(ORIGIN, [2; 32]).unwrap();
    forged.note = Checkpoint { origin: ORIGIN.into(), size: 9, root: [0; 32] }.sign(&strange).unwrap();
    assert_eq!(asked(&forged).await, Said::Refused(403));
    line(asked(&ask(7, 9, 0)).await);
}

/// The race of the specification's page: of many who ask at once from the same size, one is first.
#[tokio::test(flavor = "multi_thread")]
async fn d5_of_many_at_once_one_is_first_and_none_rolls_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    made(&dir);
    let (url, task, stop) = started(&dir).await;
    line(add_checkpoint(&url, &ask(0, 5, 0), WAIT).await.unwrap());
    let many = (6..26).map(|size| {
        let url = url.clone();
        // Half of them on a branch of their own.
        tokio::spawn(async move { (size, add_checkpoint(&url, &ask(5, size, (size % 2) as u8), WAIT).await.unwrap()) })
    });
    let (mut cosigned, mut known) = (vec![], vec![]);
    for one in many.collect::<Vec<_>>() {
        match one.await.unwrap() {
            (size, Said::Cosigned(_)) => cosigned.push(size),
            (_, Said::Conflict(size)) => known.push(size),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((cosigned.len(), known.len()), (1, 19));
    assert!(known.iter().all(|k| *k == cosigned[0]));
    stop.send(()).unwrap();
    task.await.unwrap();
    let last = Witness::open(&dir).unwrap().last().unwrap();
    assert_eq!(last[0].1.as_ref().unwrap().lines().nth(1).unwrap(), cosigned[0].to_string());
}

#[tokio::test]
async fn what_is_no_request_gets_a_clear_answer_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    made(&dir);
    let (url, _task, _stop) = started(&dir).await;
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let raw = |head: String, body: Vec<u8>| {
        let address = address.clone();
        async move {
            tokio::task::spawn_blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                let head = format!("{head}\r\nHost: w\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).unwrap();
                let _ = stream.write_all(&body); // it may have answered already
                let mut answer = vec![];
                let _ = stream.read_to_end(&mut answer); // or been cut off while we wrote
                String::from_utf8_lossy(&answer).into_owned()
            })
            .await
            .unwrap()
        }
    };
    let post = "POST /add-checkpoint HTTP/1.1".to_owned();
    assert!(raw(post.clone(), b"hello".to_vec()).await.starts_with("HTTP/1.1 400"));
    assert!(raw(post.clone(), vec![0xff; 9]).await.starts_with("HTTP/1.1 400"));
    assert!(raw(post.clone(), vec![b'x'; MAX_REQUEST_BYTES + 1]).await.starts_with("HTTP/1.1 413"));
    assert!(raw("GET /add-checkpoint HTTP/1.1".into(), vec![]).await.starts_with("HTTP/1.1 405"));
    assert!(raw("POST / HTTP/1.1".into(), vec![]).await.starts_with("HTTP/1.1 404"));
    let mut stale = ask(4, 5, 0);
    stale.proof.clear();
    let answer = raw(post, stale.to_body().into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("text/x.tlog.size") && answer.ends_with("\r\n\r\n0\n"), "{answer}");
}

#[tokio::test]
async fn a_witness_that_has_forgotten_or_is_exposed_does_not_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("w");
    made(&dir);
    assert!(matches!(Witness::create(&dir, "witness.example/w"), Err(WitnessError::AlreadyExists { .. })));
    assert!(Witness::create(&folder.path().join("v"), "a b").is_err());
    assert!(matches!(Witness::open(&dir).unwrap().watch(key().verifier_key()), Err(WitnessError::Watched)));
    let log = std::fs::read_dir(dir.join("logs")).unwrap().next().unwrap().unwrap().path();
    let kept = std::fs::read(&log).unwrap();
    for damaged in ["", "x\n", &format!("{}\nnot a note\n", key().verifier_key())] {
        std::fs::write(&log, damaged).unwrap();
        assert!(matches!(Witness::open(&dir), Err(WitnessError::Damaged { .. })), "{damaged:?}");
    }
    std::fs::write(&log, &kept).unwrap();
    // Killed while it remembered: the one before still counts.
    std::fs::write(log.with_extension("new"), "half").unwrap();
    drop(Witness::open(&dir).unwrap());
    assert!(!log.with_extension("new").exists());
    let secret = dir.join("witness.key");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Witness::open(&dir), Err(WitnessError::Permissions { mode: 0o640, .. })));
}

#[tokio::test]
async fn the_client_waits_no_longer_than_it_was_told_and_reads_no_more() {
    for wrong in ["https://w.example", "w.example", "http://", "http://u@w.example", "ftp://w.example", "http://w.example/?q"] {
        assert!(matches!(endpoint(wrong), Err(ClientError::Url)), "{wrong}");
    }
    assert_eq!(endpoint("http://[::1]:8/a/").unwrap(), ("::1".into(), 8, "/a/add-checkpoint".into()));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let said = add_checkpoint(&url, &ask(0, 3, 0), Duration::from_millis(100)).await;
    assert!(matches!(said, Err(ClientError::TimedOut)));
    drop(silent);
    assert!(matches!(add_checkpoint(&url, &ask(0, 3, 0), WAIT).await, Err(ClientError::Unreachable)));
    // A flood, and a 409 that is some proxy's.
    for (head, body) in
        [("200 OK\r\nContent-Type: text/plain", "x".repeat(100_000)), ("409 Conflict\r\nContent-Type: text/x.tlog.size", "1e3\n".into())]
    {
        let strange = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", strange.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            let (mut stream, _) = strange.accept().await.unwrap();
            let mut seen = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut seen).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
            tokio::time::sleep(WAIT).await;
        });
        assert!(matches!(add_checkpoint(&url, &ask(0, 3, 0), WAIT).await, Err(ClientError::Answer)), "{head}");
    }
}

//! With k of n witnesses required, nothing leaves before they have cosigned the record of it (D5). The witnesses
//! are real: the witness's own server and folder, asked over loopback.

use crate::house::{House, SOUGHT, form, refusals, the_match};
use bureau::witnesses::{WitnessAt, Witnesses};
use casework::{
    command::Command,
    event::{Event, Sharing},
    ids::RequestId,
    policy::BioField,
    record::GalleryId,
    request::State,
    testing::{REQUESTER, desk},
};
use ledger::{Checkpoint, WitnessKey, WitnessSigner};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};
use witness::Witness;

const PASSPORT: GalleryId = GalleryId::Passport;

/// A witness that watches this house's log.
struct Outside {
    dir: TempDir,
    key: WitnessKey,
    url: String,
    served: Option<JoinHandle<()>>,
}

impl Outside {
    async fn new(name: &str, house: &House) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = Witness::create(&dir.path().join("w"), name).unwrap();
        Witness::open(&dir.path().join("w")).unwrap().watch(house.bureau.store().verifier_key()).unwrap();
        let mut out = Self { dir, key, url: String::new(), served: None };
        out.start().await;
        out
    }

    async fn start(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.url = format!("http://{}", listener.local_addr().unwrap());
        let witness = Arc::new(Witness::open(&self.dir.path().join("w")).unwrap());
        self.served = Some(tokio::spawn(async move { witness::serve(listener, witness, std::future::pending()).await.unwrap() }));
    }

    async fn stop(&mut self) {
        let served = self.served.take().unwrap();
        served.abort();
        assert!(served.await.unwrap_err().is_cancelled());
    }

    fn at(&self) -> WitnessAt {
        WitnessAt { url: self.url.clone(), key: self.key.clone() }
    }
}

/// Something on loopback that answers every request alike, after a while.
async fn strange(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut seen = vec![0; 100_000];
            let mut length = 0;
            while !String::from_utf8_lossy(&seen[..length]).contains("\n\u{2014} ") || !seen[..length].ends_with(b"\n") {
                length += stream.read(&mut seen[length..]).await.unwrap_or_default();
            }
            let body = answer(&String::from_utf8_lossy(&seen[..length]));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    url
}

/// A matched request whose answer is made up and about to leave.
async fn answering(house: &House) -> RequestId {
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    for examiner in &desk(PASSPORT).examiners[..2] {
        house.examine(*examiner, id, probe).await;
    }
    let (candidate, _) = the_match(&house.open(id).await);
    let sharing = Sharing::Share { image: true, fields: vec![(BioField::Name, "To find them.".into())], reasons: "Necessary and proportionate.".into() };
    let holder = desk(PASSPORT).assessors[0];
    house.act(holder, id, Command::DecideSharing { probe, candidate, sharing }).await;
    house.act(holder, id, Command::Answer { recipient_confirmed: true }).await;
    id
}

async fn waits(house: &House, id: RequestId) -> bool {
    house.work().await;
    let waits = house.bureau.waits_for_witnesses(id).await.unwrap();
    let request = house.open(id).await;
    assert_eq!(waits, request.state == State::Answering);
    if waits {
        assert!(request.released_at.is_none());
        assert!(!house.events(id).await.iter().any(|e| matches!(e, Event::Released { .. } | Event::Disclosed { .. })));
        assert!(!refusals(house.bureau.answer(REQUESTER, id).await).is_empty(), "nothing is there for the force");
    }
    waits
}

fn problems(standings: &[bureau::witnesses::WitnessStanding]) -> Vec<&'static str> {
    standings.iter().map(|s| s.problem.unwrap_or("none").split(':').next().unwrap()).collect()
}

#[tokio::test]
async fn d5_no_answer_leaves_before_k_of_n_witnesses_have_cosigned_the_record_of_it() {
    let house = House::new().await;
    let (one, mut two) = (Outside::new("witness.example/1", &house).await, Outside::new("witness.example/2", &house).await);
    two.stop().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap(); // takes connections and says nothing
    let third = WitnessSigner::from_seed("witness.example/3", [3; 32]).unwrap();
    let slow = WitnessAt { url: format!("http://{}", silent.local_addr().unwrap()), key: third.key().clone() };
    let house = house.with_witnesses(Witnesses { require: 2, list: vec![one.at(), two.at(), slow] }).await;
    let id = answering(&house).await;
    assert!(waits(&house, id).await, "nobody has cosigned");
    assert!(house.bureau.ask_witness(0).await.unwrap());
    assert!(!house.bureau.ask_witness(1).await.unwrap());
    assert!(waits(&house, id).await, "one of two has");
    assert!(house.bureau.failed_jobs(desk(PASSPORT).leader).await.unwrap().is_empty(), "waiting is no failure");
    for _ in 0..10 {
        house.clock.forward(jiff::SignedDuration::from_hours(1));
        assert!(waits(&house, id).await, "and it is not given up");
    }
    // The slow one is waited for no longer than its time, and holds up no other.
    let asked = tokio::join!(house.bureau.ask_witness(2), house.bureau.ask_witness(0));
    assert_eq!((asked.0.unwrap(), asked.1.unwrap()), (false, true));
    let standings = house.bureau.witness_standings().await.unwrap();
    assert_eq!(problems(&standings), ["none", "it does not answer.", "it does not answer."]);
    assert_eq!(house.open(id).await.state, State::Answering);

    // The second comes back, at another address.
    two.start().await;
    let house = house.with_witnesses(Witnesses { require: 2, list: vec![one.at(), two.at()] }).await;
    assert_eq!(house.bureau.ask_all_witnesses().await.unwrap(), 2);
    assert!(!waits(&house, id).await, "made due at once when enough had cosigned");
    assert!(house.open(id).await.released_at.is_some());
    house.bureau.answer(REQUESTER, id).await.unwrap();
    house.holds().await;
}

#[tokio::test]
async fn d5_a_witness_that_lies_or_signs_with_another_key_does_not_count() {
    let house = House::new().await;
    let watched = WitnessSigner::from_seed("witness.example/1", [1; 32]).unwrap();
    let other = WitnessSigner::from_seed("witness.example/1", [2; 32]).unwrap();
    let text_of = |seen: &str| seen.split("\r\n\r\n").nth(1).unwrap().split_once("\n\n").unwrap().1.split_once("\n\n").unwrap().0.to_owned() + "\n";
    // Another key under the same name; the right key over another checkpoint; no cosignature at all.
    let wrong_key = strange(move |seen| other.cosign(&text_of(seen), 1_790_000_000).unwrap()).await;
    let key = watched.key().clone();
    let lying = strange(move |_| watched.cosign("countersign/log\n9999\nAAAA\n", 1_790_000_000).unwrap()).await;
    let empty = strange(|_| "\n".into()).await;
    for url in [wrong_key, lying, empty] {
        let house = House::new().await.with_witnesses(Witnesses { require: 1, list: vec![WitnessAt { url, key: key.clone() }] }).await;
        let id = answering(&house).await;
        assert!(waits(&house, id).await);
        assert!(!house.bureau.ask_witness(0).await.unwrap());
        assert!(waits(&house, id).await);
        let standings = house.bureau.witness_standings().await.unwrap();
        assert_eq!((standings[0].problem, standings[0].cosigned), (Some("it answered under another key than the one configured."), None));
        assert!(house.bureau.store().cosigners().await.unwrap().is_empty());
    }
    drop(house);
}

fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

#[tokio::test]
async fn d5_an_older_copy_put_back_is_found_out_by_the_witness_and_nothing_leaves_of_it() {
    let house = House::new().await;
    let one = Outside::new("witness.example/1", &house).await;
    let required = Witnesses { require: 1, list: vec![one.at()] };
    let house = house.with_witnesses(required.clone()).await;
    house.work().await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    // A backup, and then the house goes on.
    let backup = tempfile::tempdir().unwrap();
    copy(&house.folder.path().join("store"), &backup.path().join("store"));
    house.received(form(PASSPORT), SOUGHT).await;
    house.work().await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    house.bureau.store().clone().close().await;
    std::fs::remove_dir_all(house.folder.path().join("store")).unwrap();
    copy(&backup.path().join("store"), &house.folder.path().join("store"));
    let house = house.with_witnesses(required).await;
    assert!(!house.bureau.ask_witness(0).await.unwrap());
    let standings = house.bureau.witness_standings().await.unwrap();
    assert_eq!(problems(&standings), ["it cosigned a longer log than this one"]);
    // It goes on until it is longer than the log was: another history, which the witness refuses.
    let id = answering(&house).await;
    assert!(waits(&house, id).await);
    assert!(!house.bureau.ask_witness(0).await.unwrap());
    let standings = house.bureau.witness_standings().await.unwrap();
    assert!(problems(&standings)[0].starts_with("it cosigned another history of this log"), "{standings:?}");
    assert!(waits(&house, id).await);
}

#[tokio::test]
async fn d5_what_counts_is_proved_not_looked_up() {
    let house = House::new().await;
    let one = Outside::new("witness.example/1", &house).await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    house.work().await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    let id = answering(&house).await;
    assert!(waits(&house, id).await);
    // Somebody at the database moves the cosignature to the newest checkpoint: it does not verify over that.
    house.sql("UPDATE cosignature SET size = (SELECT max(size) FROM checkpoint)").await;
    assert!(house.bureau.waits_for_witnesses(id).await.is_err());
    assert_eq!(house.bureau.work("tampered").await.unwrap().failed, 1);
    assert!(house.open(id).await.released_at.is_none());
}

#[tokio::test]
async fn d5_what_cannot_be_required_is_refused_in_words() {
    let key = WitnessSigner::from_seed("witness.example/1", [1; 32]).unwrap().key().clone();
    let same = WitnessSigner::from_seed("witness.example/2", [1; 32]).unwrap().key().clone();
    let at = |url: &str, key: &WitnessKey| WitnessAt { url: url.into(), key: key.clone() };
    let all = Witnesses { require: 4, list: vec![at("http://w", &key), at("https://w", &key), at("http://v", &same)] }.faults();
    assert_eq!(all.len(), 4, "{all:#?}");
    assert!(Witnesses { require: 1, list: vec![at("http://w:8474/p", &key)] }.faults().is_empty());
    // A checkpoint is nobody's cosignature by being well-formed.
    assert!(Checkpoint::open("x", &ledger::SigningKey::from_seed("a", [1; 32]).unwrap().verifier_key()).is_err());
}

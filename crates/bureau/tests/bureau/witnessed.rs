//! With k of n witnesses required, nothing leaves before they have cosigned the record of it (D5). The witnesses
//! are real: the witness's own server and folder, asked over loopback.

use crate::house::{House, SOUGHT, cites, form, refusals, the_match};
use bureau::{
    BureauError,
    exchange::{Type2, Wanted},
    witnesses::{WitnessAt, Witnesses},
};
use casework::{
    clause::Clause,
    command::Command,
    event::{Event, Sharing},
    ids::{PersonId, RequestId},
    policy::BioField,
    record::GalleryId,
    request::State,
    testing::{REQUESTER, desk},
    witnessed::Witnessed,
};
use ledger::{WitnessKey, WitnessSigner};
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

/// Something on loopback that answers every request alike, to the byte.
async fn strange(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = vec![0; 100_000];
            let mut length = 0;
            // The request ends with the log's signature line.
            while !String::from_utf8_lossy(&seen[..length]).contains("\n\u{2014} ") || !seen[..length].ends_with(b"\n") {
                match stream.read(&mut seen[length..]).await {
                    Ok(n) if n > 0 => length += n,
                    _ => break,
                }
            }
            let _ = stream.write_all(answer(&String::from_utf8_lossy(&seen[..length])).as_bytes()).await;
        }
    });
    url
}

fn http(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A matched request whose answer is made up and about to leave.
async fn answering(house: &House) -> RequestId {
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    for examiner in &desk(PASSPORT).examiners[..2] {
        house.examine(*examiner, id, probe).await;
    }
    let (candidate, _) = the_match(&house.open(id).await);
    let sharing = Sharing::Share {
        image: true,
        fields: vec![(BioField::Name, "To find them.".into())],
        reasons: "Necessary and proportionate.".into(),
    };
    house.act(holder(), id, Command::DecideSharing { probe, candidate, sharing }).await;
    house.act(holder(), id, Command::Answer { recipient_confirmed: true }).await;
    id
}

fn holder() -> PersonId {
    desk(PASSPORT).assessors[0]
}

/// What the caseworker is told that the answer waits for, after the workers did what they can.
async fn waits(house: &House, id: RequestId) -> Option<Witnessed> {
    house.work().await;
    house.bureau.request(holder(), id).await.unwrap().waits_for
}

/// The answer has not left, and cannot be had.
async fn is_held(house: &House, id: RequestId, cosigned: usize, required: usize, of: usize) {
    assert_eq!(waits(house, id).await, Some(Witnessed { cosigned, required, of }));
    let request = house.open(id).await;
    assert_eq!((request.state, request.released_at), (State::Answering, None));
    assert!(!house.events(id).await.iter().any(|e| matches!(e, Event::Released { .. } | Event::Disclosed { .. })));
    refusals(house.bureau.answer(REQUESTER, id).await);
    assert!(house.bureau.failed_jobs(desk(PASSPORT).leader).await.unwrap().is_empty(), "waiting is no failure");
}

/// It is released, and opened once the release is witnessed too.
async fn leaves(house: &House, id: RequestId) {
    house.work().await;
    let request = house.open(id).await;
    assert_eq!(request.state, State::Answered, "made due at once when enough had cosigned");
    let (candidate, _) = the_match(&request);
    for refused in [
        refusals(house.bureau.answer(REQUESTER, id).await.map(drop)),
        refusals(house.bureau.answer_image(REQUESTER, id, candidate).await.map(drop)),
    ] {
        assert!(cites(&refused, Clause::D5) && refused[0].words.starts_with("It waits for "), "{refused:?}");
    }
    assert!(waits(house, id).await.is_some());
    let view = house.bureau.request(REQUESTER, id).await.unwrap();
    assert_eq!(view.outcome, None, "nor does what it says leave beside it");
    let history = house.bureau.history(REQUESTER, id).await.unwrap();
    assert!(history.iter().any(|l| l.what == "Answer released") && history.iter().all(|l| !l.what.contains("match")), "{history:?}");
    assert!(house.bureau.ask_all_witnesses().await.unwrap() > 0);
    assert_eq!(waits(house, id).await, None);
    assert_eq!(house.bureau.request(REQUESTER, id).await.unwrap().outcome, request.outcome);
    house.bureau.answer(REQUESTER, id).await.unwrap();
    // Opening it is recorded after the witnesses; nobody waits for that.
    house.bureau.answer(REQUESTER, id).await.unwrap();
    house.bureau.answer_image(REQUESTER, id, candidate).await.unwrap();
    let released = house.events(id).await.iter().filter(|e| matches!(e, Event::Released { .. })).count();
    assert_eq!(released, 1, "once");
    house.holds().await;
}

async fn problems(house: &House) -> Vec<&'static str> {
    let standings = house.bureau.witness_standings().await.unwrap();
    standings.witnesses.iter().map(|s| s.problem.unwrap_or("none").split(':').next().unwrap()).collect()
}

#[tokio::test]
async fn d5_no_answer_leaves_before_k_of_n_witnesses_have_cosigned_the_record_of_it() {
    let house = House::new().await;
    let (one, mut two) = (Outside::new("witness.example/1", &house).await, Outside::new("witness.example/2", &house).await);
    two.stop().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap(); // takes connections and says nothing
    let third = WitnessSigner::from_seed("witness.example/3", [3; 32]).unwrap();
    let slow = WitnessAt { url: format!("http://{}", silent.local_addr().unwrap()), key: third.key().clone() };
    let house = house.with_witnesses(Witnesses { require: 2, list: vec![one.at(), two.at(), slow.clone()] }).await;
    let id = answering(&house).await;
    is_held(&house, id, 0, 2, 3).await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    assert!(!house.bureau.ask_witness(1).await.unwrap());
    is_held(&house, id, 1, 2, 3).await;
    assert_eq!(house.bureau.witness_standings().await.unwrap().waiting, 1);
    for _ in 0..10 {
        house.clock.forward(jiff::SignedDuration::from_hours(1));
        is_held(&house, id, 1, 2, 3).await; // and it is not given up
    }
    // The slow one is waited for no longer than its time, and holds up no other.
    let asked = tokio::join!(house.bureau.ask_witness(2), house.bureau.ask_witness(0));
    assert_eq!((asked.0.unwrap(), asked.1.unwrap()), (false, true));
    assert_eq!(problems(&house).await, ["none", "it does not answer.", "it does not answer."]);
    is_held(&house, id, 1, 2, 3).await;

    // The second comes back, at another address.
    two.start().await;
    let house = house.with_witnesses(Witnesses { require: 2, list: vec![one.at(), two.at(), slow] }).await;
    is_held(&house, id, 1, 2, 3).await;
    assert!(house.bureau.ask_witness(1).await.unwrap());
    leaves(&house, id).await;
}

#[tokio::test]
async fn d5_a_witness_that_lies_lets_nothing_out_and_loses_nothing() {
    let mut house = House::new().await;
    let known = WitnessSigner::from_seed("witness.example/1", [1; 32]).unwrap();
    let other = WitnessSigner::from_seed("witness.example/1", [2; 32]).unwrap();
    let key = known.key().clone();
    let text = "text/plain";
    let text_of =
        |seen: &str| seen.split("\r\n\r\n").nth(1).unwrap().split_once("\n\n").unwrap().1.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let always = |answer: String| strange(move |_| answer.clone());
    let conflict = |body: &str| http("409 Conflict", "text/x.tlog.size", body);
    let (none, ahead) =
        ("what it answered is no cosignature of this checkpoint by the key configured.", "it cosigned a longer log than this one");
    let (split, strange_one) = (
        "it cosigned another history of this log. Stop, keep everything, and find out which copy is right.",
        "what answers at its address is no witness.",
    );
    let all = [
        (
            "another key under its name",
            strange(move |seen| http("200 OK", text, &other.cosign(&text_of(seen), 1_790_000_000).unwrap())).await,
            none,
        ),
        ("another root", always(http("200 OK", text, &known.cosign("countersign/log\n9999\nAAAA\n", 1_790_000_000).unwrap())).await, none),
        ("no line", always(http("200 OK", text, "\n")).await, none),
        ("words", always(http("200 OK", text, "fine by me\n")).await, none),
        ("a larger size", always(conflict("99999\n")).await, ahead),
        ("what we said", always(conflict("0\n")).await, split),
        ("a smaller size, for ever", always(conflict("1\n")).await, split),
        ("a size that is none", always(conflict("1e3\n")).await, strange_one),
        ("a bad proof", always(http("422 Unprocessable Entity", text, "no\n")).await, split),
        (
            "not known",
            always(http("404 Not Found", text, "")).await,
            "it does not watch this log, or knows it under another key. Ask whoever keeps it to add the log's key.",
        ),
        ("broken", always(http("500 Internal Server Error", text, "")).await, "it refuses."),
        ("moved", always(http("302 Found\r\nLocation: http://127.0.0.1:1/", text, "")).await, "it refuses."),
        ("huge", always(http("200 OK", text, &"x".repeat(1 << 20))).await, strange_one),
        ("cut short", always("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf".into()).await, strange_one),
        ("no HTTP", always("garbage\r\n\r\n".into()).await, "it does not answer."),
    ];
    let id = answering(&house).await;
    for (what, url, problem) in all {
        house = house.with_witnesses(Witnesses { require: 1, list: vec![WitnessAt { url, key: key.clone() }] }).await;
        assert!(!house.bureau.ask_witness(0).await.unwrap(), "{what}");
        assert_eq!(problems(&house).await, [problem], "{what}");
        is_held(&house, id, 0, 1, 1).await;
        assert!(house.bureau.store().cosigners().await.unwrap().is_empty(), "{what}");
        house.clock.forward(jiff::SignedDuration::from_mins(2));
    }
    // An honest one is put in its place.
    let honest = Outside::new("witness.example/2", &house).await;
    house = house.with_witnesses(Witnesses { require: 1, list: vec![honest.at()] }).await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    leaves(&house, id).await;
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
    assert_eq!(problems(&house).await, ["it cosigned a longer log than this one"]);
    // It goes on until it is longer than the log was: another history, which the witness refuses.
    let id = answering(&house).await;
    is_held(&house, id, 0, 1, 1).await;
    assert!(!house.bureau.ask_witness(0).await.unwrap());
    assert!(problems(&house).await[0].starts_with("it cosigned another history of this log"));
    is_held(&house, id, 0, 1, 1).await;
}

#[tokio::test]
async fn d5_a_witness_that_was_rolled_back_itself_is_led_from_where_it_stands() {
    let house = House::new().await;
    let mut one = Outside::new("witness.example/1", &house).await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    house.work().await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    one.stop().await;
    copy(&one.dir.path().join("w"), &one.dir.path().join("kept"));
    one.start().await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    house.received(form(PASSPORT), SOUGHT).await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    one.stop().await;
    std::fs::remove_dir_all(one.dir.path().join("w")).unwrap();
    copy(&one.dir.path().join("kept"), &one.dir.path().join("w"));
    one.start().await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    let id = answering(&house).await;
    is_held(&house, id, 0, 1, 1).await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    leaves(&house, id).await;
}

#[tokio::test]
async fn d5_what_counts_is_proved_not_looked_up() {
    let house = House::new().await;
    let one = Outside::new("witness.example/1", &house).await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    house.work().await;
    assert!(house.bureau.ask_witness(0).await.unwrap());
    let id = answering(&house).await;
    is_held(&house, id, 0, 1, 1).await;
    // Somebody at the database moves the cosignature to the newest checkpoint: it does not verify over that.
    assert_eq!(house.sql("UPDATE cosignature SET size = (SELECT max(size) FROM checkpoint)").await, 1);
    assert!(house.sql("UPDATE witness SET size = (SELECT max(size) FROM checkpoint)").await == 1);
    is_held(&house, id, 0, 1, 1).await;
    // Asked again, the witness is led from where it stands, and what was moved is written over.
    house.clock.forward(jiff::SignedDuration::from_mins(2));
    assert!(house.bureau.ask_witness(0).await.unwrap());
    leaves(&house, id).await;
}

#[tokio::test]
async fn d5_references_leave_as_files_only_once_the_record_of_it_is_witnessed() {
    let house = House::new().await;
    let mut one = Outside::new("witness.example/1", &house).await;
    one.stop().await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    let wanted = Wanted {
        gallery: PASSPORT,
        references: vec![],
        recipient: "Another register".into(),
        reasons: "It is moved there.".into(),
        origin: "GBHMPO".into(),
        destination: "GBUKVI".into(),
    };
    let mut files = 0;
    let mut write = |_, _: &[u8]| {
        files += 1;
        Ok(())
    };
    let owner = desk(PASSPORT).siao;
    let refused = house.bureau.export(owner, &wanted, &Type2::standard().unwrap(), &mut write, |_, _| {}).await;
    assert!(matches!(refused, Err(BureauError::AwaitingWitnesses(w)) if !w.enough()), "{refused:?}");
    one.start().await;
    let house = house.with_witnesses(Witnesses { require: 1, list: vec![one.at()] }).await;
    let done = house.bureau.export(owner, &wanted, &Type2::standard().unwrap(), &mut write, |_, _| {}).await.unwrap();
    assert!(done.written > 0);
    assert_eq!(files, done.written, "and none before");
}

#[tokio::test]
async fn d5_what_cannot_be_required_is_refused_in_words() {
    let key = WitnessSigner::from_seed("witness.example/1", [1; 32]).unwrap().key().clone();
    let same = WitnessSigner::from_seed("witness.example/2", [1; 32]).unwrap().key().clone();
    let at = |url: &str, key: &WitnessKey| WitnessAt { url: url.into(), key: key.clone() };
    let all = Witnesses { require: 4, list: vec![at("http://w", &key), at("https://w", &key), at("http://v", &same)] }.faults();
    assert_eq!(all.len(), 4, "{all:#?}");
    assert!(Witnesses { require: 1, list: vec![at("http://w:8474/p", &key)] }.faults().is_empty());
}

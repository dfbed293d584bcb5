//! What was erased is nowhere: known words, pictures, templates, and what they were sealed into, planted through the
//! product's own use cases, looked for in every byte of the data directory and in a dump of both databases (D1, D3).

use crate::{
    house::{AUDITOR, House, SOUGHT, engine, form, probe, refusals},
    search::files,
};
use bureau::BureauError;
use casework::{
    clause::Clause,
    command::Command,
    form::Form,
    ids::RequestId,
    record::{GalleryId, RetentionClass, StreamId},
    request::State,
    testing::{APPROVER, OTHER_REQUESTER, REQUESTER, desk},
};
use jiff::SignedDuration;
use sqlx::{Column as _, ConnectOptions as _, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _, sqlite::SqliteConnectOptions};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

const PASSPORT: GalleryId = GalleryId::Passport;
/// Bytes of each window that is looked for: far too many to be met by chance.
const WINDOW_BYTES: usize = 16;

/// Secrets to look for, by a window of each.
#[derive(Default)]
struct Needles(HashMap<[u8; WINDOW_BYTES], String>);

impl Needles {
    /// The beginning, the middle and the end of some bytes.
    fn add(&mut self, what: &str, bytes: &[u8]) {
        assert!(bytes.len() >= WINDOW_BYTES, "{what} is too short to look for");
        for at in [0, (bytes.len() - WINDOW_BYTES) / 2, bytes.len() - WINDOW_BYTES] {
            let window = <[u8; WINDOW_BYTES]>::try_from(&bytes[at..at + WINDOW_BYTES]).unwrap();
            // A run of one byte is met everywhere.
            if window.iter().any(|b| *b != window[0]) {
                self.0.insert(window, what.to_owned());
            }
        }
    }
    /// Words, as they are and as a dump or a log would write them.
    fn words(&mut self, words: &str) {
        self.add(words, words.as_bytes());
        self.add(&format!("{words} in UTF-16"), &words.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        self.add(&format!("{words} in hexadecimal"), hex(words.as_bytes()).as_bytes());
    }
    /// Which of them are in some bytes.
    fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        // Most places are ruled out by two bytes.
        let mut begins = vec![false; 1 << 16];
        self.0.keys().for_each(|w| begins[usize::from(w[0]) << 8 | usize::from(w[1])] = true);
        let possible = bytes.windows(WINDOW_BYTES).filter(|w| begins[usize::from(w[0]) << 8 | usize::from(w[1])]);
        let mut found: Vec<_> = possible.filter_map(|w| self.0.get(w).cloned()).collect();
        found.sort();
        found.dedup();
        found
    }
    /// Which of them are in the files of a folder: place by place.
    fn found_under(&self, folder: &Path) -> BTreeMap<String, Vec<String>> {
        let places = files(folder).into_iter().map(|(path, bytes)| (path.display().to_string(), self.found_in(&bytes)));
        places.filter(|(_, found)| !found.is_empty()).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

async fn database(folder: &Path, name: &str) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.join("store").join(name)).read_only(true).connect().await.unwrap()
}

/// Every value of every row of every table, as bytes: what a dump would hold.
async fn dump(folder: &Path, name: &str) -> Vec<u8> {
    let mut db = database(folder, name).await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetch_all(&mut db).await.unwrap();
    assert!(tables.len() > 2, "{name}: {tables:?}");
    let mut out = vec![];
    for table in tables {
        for row in sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM \"{table}\""))).fetch_all(&mut db).await.unwrap() {
            for column in row.columns() {
                let value = row.try_get_raw(column.ordinal()).unwrap();
                match value.type_info().name() {
                    "BLOB" => out.extend(row.get::<&[u8], _>(column.ordinal())),
                    "TEXT" => out.extend(row.get::<&str, _>(column.ordinal()).bytes()),
                    "INTEGER" => out.extend(row.get::<i64, _>(column.ordinal()).to_be_bytes()),
                    _ => {}
                }
                out.push(b'\n');
            }
        }
    }
    out
}

/// What the data directory holds sealed, under which keys, and under which look-ups: everything but the galleries'
/// own holdings and the register, which nobody asks to be forgotten.
async fn sealed(folder: &Path) -> Needles {
    let mut out = Needles::default();
    let mut records = database(folder, "records.db").await;
    let queries = [
        ("a sealed event", "SELECT sealed FROM event WHERE sealed IS NOT NULL AND substr(stream, 1, 1) <> x'47' AND kind <> 'enrolled'"),
        ("a sealed draft", "SELECT sealed FROM draft"),
        ("a sealed session", "SELECT sealed FROM session"),
        ("a look-up", "SELECT mac FROM lookup"),
        ("a form's token", "SELECT mac FROM idempotency"),
    ];
    for (what, query) in queries {
        let found: Vec<Vec<u8>> = sqlx::query_scalar(query).fetch_all(&mut records).await.unwrap();
        assert!(!found.is_empty(), "nothing was planted as {what}");
        found.iter().for_each(|bytes| out.add(what, bytes));
    }
    let mut keys = database(folder, "keys.db").await;
    // Streams of requests and of looks at them, drafts, sessions.
    let wrapped: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT wrapped FROM wrapped_key WHERE substr(scope, 1, 2) IN (x'5352', x'5343') OR substr(scope, 1, 1) IN (x'44', x'4E')",
    )
    .fetch_all(&mut keys)
    .await
    .unwrap();
    assert!(wrapped.len() >= 8, "{} keys", wrapped.len());
    wrapped.iter().for_each(|bytes| out.add("a wrapped key", bytes));
    for (path, bytes) in files(&folder.join("store/blobs")) {
        out.add(&format!("the sealed image {}", path.display()), &bytes);
    }
    out
}

/// Everything that a form, its pictures and its answer say, in clear: what must not be in the folder at any time.
async fn in_clear(house: &House, id: RequestId) -> Needles {
    let b = &house.bureau;
    let request = house.open(id).await;
    let mut out = Needles::default();
    let said = serde_json::to_value(request.form.as_ref().unwrap()).unwrap();
    let mut words: Vec<String> = vec![];
    fn walk(value: &serde_json::Value, words: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => words.push(text.clone()),
            serde_json::Value::Array(all) => all.iter().for_each(|v| walk(v, words)),
            serde_json::Value::Object(all) => all.values().for_each(|v| walk(v, words)),
            _ => {}
        }
    }
    walk(&said, &mut words);
    for record in b.store().load(StreamId::Request(id)).await.unwrap() {
        let Some(payload) = record.payload else { continue }; // candidates that nobody confirmed are gone already
        walk(&serde_json::from_slice(&payload).unwrap(), &mut words);
    }
    // Ids name nobody by themselves and stand in clear rows; policy versions, clauses and dates stand in headers.
    words.retain(|w| w.len() >= WINDOW_BYTES && w.contains(' '));
    assert!(words.len() > 15, "{words:?}");
    words.iter().for_each(|w| out.words(w));
    out.add("the probe's file", &probe());
    for image in &request.form.as_ref().unwrap().images {
        let rendering = b.probe_image(desk(PASSPORT).leader, id, image.probe).await.unwrap();
        out.add("the probe's rendering", &rendering);
        let pixels = b.decode(&rendering).await.unwrap();
        let faces = b.faces(&pixels).await.unwrap();
        let picture = face::Image::new(pixels.width, pixels.height, &pixels.data).unwrap();
        for face in &faces {
            let template = engine().template(&picture, face).unwrap();
            let numbers = template.values();
            out.add("the probe's template", &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>());
        }
    }
    out
}

#[tokio::test]
async fn d3_what_was_erased_is_in_no_file_and_in_no_dump() {
    let house = House::new().await;
    let (b, folder) = (&house.bureau, house.folder.path());
    let store = b.store();
    // One request to its answer, with its draft, search, candidates, opinions, looks; one withdrawn in the middle.
    let id = house.matched(form(PASSPORT)).await;
    let (gone, _) = house.searched(Form { person: "Canaryperson who was found at home.".into(), ..form(PASSPORT) }, SOUGHT).await;
    // A form that nobody sends, with its picture; what a browser's session keeps of a form; a look at the log.
    let words = "OP-CANARY-NEVER-SENT, about nobody in particular";
    house.drafted(OTHER_REQUESTER, Form { investigation: words.into(), ..form(PASSPORT) }, &probe(), 0).await;
    let kept = b"Canaryoffence, typed before the session ran out".to_vec();
    store.create_session(b"a session", &kept, b.now() + SignedDuration::from_hours(12)).await.unwrap();
    b.ledger(AUDITOR, bureau::report::EntryFilter::default()).await.unwrap();
    b.look_up(desk(PASSPORT).leader, &id.reference()).await.unwrap();
    b.act(APPROVER, gone, Command::FlagVulnerable { words: "Canarious words of the approver.".into() }, None, crate::house::once("token"))
        .await
        .unwrap();

    let mut clear = in_clear(&house, id).await;
    clear.words(words);
    clear.add("what a session kept", &kept);
    assert_eq!(clear.found_under(folder), BTreeMap::new(), "nothing is ever in clear");
    for name in ["records.db", "keys.db"] {
        assert_eq!(clear.found_in(&dump(folder, name).await), Vec::<String>::new(), "{name}");
    }
    let mut all = sealed(folder).await;
    let there = all.found_under(folder);
    let told: Vec<_> = there.values().flatten().collect();
    for what in ["a sealed event", "a sealed draft", "a sealed session", "a look-up", "a form's token", "a wrapped key", "the sealed image"]
    {
        assert!(told.iter().any(|t| t.starts_with(what)), "the scan finds {what} while it is there: {told:?}");
    }
    assert!(!all.found_in(&dump(folder, "records.db").await).is_empty() && !all.found_in(&dump(folder, "keys.db").await).is_empty());
    // What is sealed from here on is found in the same way.
    let mut later = |more: Needles| all.0.extend(more.0);

    house.act_and_work(REQUESTER, gone, Command::Withdraw { reason: "Canariously, he came in by himself.".into() }).await;
    for request in [id, gone] {
        house.act_and_work(desk(PASSPORT).leader, request, Command::Close).await;
    }
    b.history(AUDITOR, id).await.unwrap();
    later(sealed(folder).await);
    house.holds().await;
    for days in [31, 62, 365 * 6] {
        house.clock.days(days);
        house.work().await;
        b.tidy().await.unwrap();
    }
    assert_eq!((house.open(id).await.state, house.open(gone).await.state), (State::Erased, State::Erased));
    // Who looks at what is left leaves no trace that outlives it.
    b.history(AUDITOR, id).await.unwrap();
    assert!(store.load(StreamId::Consulted(id)).await.unwrap().iter().all(|r| r.payload.is_none()));
    house.clock.days(365 * 6 + 2);
    house.work().await;
    b.tidy().await.unwrap();

    all.0.extend(clear.0);
    let left = all.found_under(folder);
    assert_eq!(left, BTreeMap::new(), "deleted bytes are zeroed where they lay");
    for name in ["records.db", "keys.db"] {
        assert_eq!(all.found_in(&dump(folder, name).await), Vec::<String>::new(), "a dump of {name}");
    }
    let count = async |table: &str| -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(sql).fetch_one(&mut database(folder, "records.db").await).await.unwrap()
    };
    for empty in ["job", "idempotency", "lookup", "request_people", "draft", "draft_blob", "blob", "session"] {
        assert_eq!(count(empty).await, 0, "{empty}");
    }
    assert!(files(&folder.join("store/blobs")).is_empty());

    // What went, when, and under which rule, stays; and the whole log still verifies.
    let records = store.load(StreamId::Request(id)).await.unwrap();
    let told: Vec<_> = records.iter().filter(|r| r.header.kind == "erased").map(|r| &r.header).collect();
    let classes: Vec<_> = told.iter().filter_map(|h| h.outcome.clone()).collect();
    for class in [RetentionClass::Candidates, RetentionClass::Images, RetentionClass::Disclosure, RetentionClass::Record] {
        assert!(classes.contains(&class.to_string()), "{classes:?}");
    }
    assert!(told.iter().all(|h| h.clauses == [Clause::D3.to_string()] && h.policy == b.policy().version), "{told:?}");
    assert!(records.iter().all(|r| r.payload.is_none()));
    let verified = b.verify().await.unwrap();
    assert!(verified.verified && verified.erased > 50, "{verified:?}");
    house.holds().await;
    store.compact().await.unwrap();
    house.holds().await;
}

#[tokio::test]
async fn d3_a_session_goes_with_its_days_key() {
    let house = House::new().await;
    let (b, store) = (&house.bureau, house.bureau.store());
    let hours = |n| b.now() + SignedDuration::from_hours(n);
    store.create_session(b"today", b"typed today by Canary", hours(2)).await.unwrap();
    store.create_session(b"later", b"typed later by Canary", hours(60)).await.unwrap();
    let keys = async || {
        let mut db = database(house.folder.path(), "keys.db").await;
        let sql = "SELECT count(*) FROM wrapped_key WHERE substr(scope, 1, 1) = x'4E'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut db).await.unwrap()
    };
    assert_eq!(keys().await, 2);
    house.clock.days(1);
    b.tidy().await.unwrap();
    assert_eq!(keys().await, 1, "an old copy of the first day's sessions opens nowhere any more");
    assert_eq!(store.get_session(b"today", b.now()).await.unwrap(), None);
    assert_eq!(store.get_session(b"later", b.now()).await.unwrap().unwrap(), b"typed later by Canary");
    house.clock.days(3);
    b.tidy().await.unwrap();
    assert_eq!(keys().await, 0);
}

/// Killed between recording that a class goes and destroying its key: what is owed is in the same transaction.
#[tokio::test]
async fn d3_recorded_as_erased_the_key_goes_even_if_the_worker_died_in_between() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.matched(form(PASSPORT)).await;
    house.act_and_work(desk(PASSPORT).assessors[0], id, Command::Close).await;
    house.clock.days(31);
    // The last look before the store dies under the worker: nothing after the commit is done.
    house.sql("CREATE TRIGGER no_erasure BEFORE INSERT ON erasure BEGIN SELECT RAISE(ABORT, 'killed'); END").await;
    assert!(b.work("dies").await.unwrap().failed > 0);
    let class = RetentionClass::Images;
    assert!(house.open(id).await.erased.contains(&class), "recorded");
    assert_eq!(b.store().erased(StreamId::Request(id), class).await.unwrap(), None, "and not done");
    // The job that recorded it is lost with its worker; the one that was committed with the event is there.
    let lost = "DELETE FROM job WHERE id IN (SELECT min(id) FROM job WHERE kind = 'erase' GROUP BY payload HAVING count(*) > 1)";
    assert!(house.sql(lost).await > 0);
    house.sql("DROP TRIGGER no_erasure").await;
    house.clock.forward(SignedDuration::from_hours(1));
    house.work().await;
    assert!(b.store().erased(StreamId::Request(id), class).await.unwrap().is_some());
    let image = house.open(id).await.probes[0].id;
    assert!(matches!(b.probe_image(REQUESTER, id, image).await, Err(BureauError::Gone)));
    house.holds().await;
}

/// Once an answer has left, whoever opens the request reads of a match what left, not what the gallery holds.
#[tokio::test]
async fn d5_a_match_after_release_is_what_left_of_it() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.matched(form(PASSPORT)).await;
    let holder = desk(PASSPORT).assessors[0];
    let looks = |thing: &'static str| {
        let house = &house;
        async move {
            let looks = house.looks(id).await;
            looks.iter().filter(|l| l.by == holder && format!("{:?}", l.thing).starts_with(thing)).count()
        }
    };
    let before = looks("Biography").await;
    house.clock.forward(SignedDuration::from_hours(2));
    let cards = b.matches(holder, id).await.unwrap();
    let fields: Vec<_> = cards[0].fields.iter().map(|(field, ..)| *field).collect();
    assert_eq!(fields, [casework::policy::BioField::Name], "the one field that left, of four that are held");
    assert!(cards[0].has_image);
    assert_eq!(looks("Biography").await, before, "the held biography is not opened");
    // And with the gallery gone, the card is the same.
    house.sql("DELETE FROM holding_image").await;
    house.sql("DELETE FROM holding").await;
    assert_eq!(format!("{:?}", b.matches(holder, id).await.unwrap()), format!("{cards:?}"));
    house.act_and_work(holder, id, Command::Close).await;
    refusals(b.matches(holder, id).await);
}

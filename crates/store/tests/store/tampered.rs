//! Records rewritten behind the store's back, one way after the other on a copy of its file.

use crate::logged::logged;
use crate::{behind, fresh, request};
use casework::record::StreamId;
use store::{LogFault, Store};

/// Each way of rewriting the record behind the store's back is found, and the right thing is named.
#[tokio::test]
async fn tampering_is_named() {
    let second = |wrong: &'static str| Some(LogFault::Event { stream: request(2), seq: 2, wrong });
    let changed = "its header, its place or its commitment was changed";
    let event = "stream = (SELECT stream FROM event WHERE position = 3) AND seq = 2";
    let flip = |column: &str| {
        format!(
            "UPDATE event SET {column} = CAST(substr({column}, 1, 16) ||
               CASE substr({column}, 17, 1) WHEN x'00' THEN x'01' ELSE x'00' END ||
               substr({column}, 18) AS BLOB) WHERE {event}"
        )
    };
    let set = |what: &str| format!("UPDATE event SET {what} WHERE {event}");
    let cases: Vec<(String, Option<LogFault>)> = vec![
        (flip("leaf"), second(changed)),
        (flip("header_salt"), second(changed)),
        (flip("payload_commitment"), second(changed)),
        (flip("sealed"), second("its sealed payload does not open")),
        (set("header = replace(header, 'authorised', 'declined')"), second(changed)),
        (set("outcome = 'declined'"), second("the columns searched by disagree with its header")),
        (set("at = at + 1"), second("the columns searched by disagree with its header")),
        ("DELETE FROM event_clause WHERE position = 4".into(), second("the columns searched by disagree with its header")),
        (set("sealed = NULL"), second("its payload or its key is gone, and it was never erased")),
        (
            // Two events' payloads exchanged: each still sealed under the right key.
            "UPDATE event SET sealed = (SELECT sealed FROM event WHERE position = 3) WHERE position = 4".into(),
            second("its sealed payload does not open"),
        ),
        (
            // The last event of a stream taken out, and the places in the log closed up.
            "DELETE FROM event WHERE position = 4".into(),
            Some(LogFault::Gap { index: 3 }),
        ),
        ("DELETE FROM event WHERE position = 7".into(), Some(LogFault::Stream { stream: StreamId::House, version: 1, events: 0 })),
        (
            "UPDATE stream SET version = 3 WHERE version = 1".into(),
            Some(LogFault::Stream { stream: StreamId::House, version: 3, events: 1 }),
        ),
        ("UPDATE log_hash SET hash = CAST(CASE substr(hash, 1, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(hash, 2) AS BLOB) WHERE idx = 5".into(), Some(LogFault::Hash { index: 5 })),
        ("DELETE FROM log_hash WHERE idx = 2".into(), Some(LogFault::Hash { index: 2 })),
        ("INSERT INTO log_hash SELECT idx + 100, hash FROM log_hash WHERE idx = 0".into(), Some(LogFault::Hash { index: 11 })),
        (
            "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 7) WHERE size = 4".into(),
            Some(LogFault::Checkpoint { size: 4, wrong: "it signs another size" }),
        ),
        (
            "UPDATE checkpoint SET note = replace(note, 'example.org', 'example.net') WHERE size = 4".into(),
            Some(LogFault::Checkpoint { size: 4, wrong: "it is not signed by the log's key" }),
        ),
        (
            "DELETE FROM checkpoint WHERE size = 7".into(),
            Some(LogFault::Checkpoint { size: 4, wrong: "it is the newest and signs fewer leaves than there are" }),
        ),
    ];
    let (dir, store) = fresh().await;
    logged(&store).await;
    let report = store.verify_log().await.unwrap();
    assert!(report.verified());
    assert_eq!((report.events, report.leaves, report.opened, report.checkpoints, report.size), (7, 7, 7, 2, 7));
    let path = store.dir().to_owned();
    store.close().await;
    let whole = dir.path().join("whole.db");
    std::fs::copy(path.join("records.db"), &whole).unwrap();
    for (sql, fault) in cases {
        std::fs::copy(&whole, path.join("records.db")).unwrap();
        let store = Store::open(&path).await.unwrap();
        let db = behind(&store, "records.db").await;
        let done = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&db).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
        db.close().await;
        assert_eq!(store.verify_log().await.unwrap().fault, fault, "{sql}");
        store.close().await;
    }
}

//! The store from outside, on real files: one binary, a file per noun.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod beside;
mod bucket;
mod common;
mod copied;
mod erasing;
mod events;
mod killed;
mod logged;
mod opening;
mod queued;
mod rotated;
mod tampered;
mod token;
mod working;

pub use common::*;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use store::Store;

/// A new store in a folder that goes away with the first value.
pub async fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(&dir.path().join("data"), ORIGIN).await.unwrap();
    (dir, store)
}

/// A way into the database behind the store's back.
pub async fn behind(store: &Store, file: &str) -> SqlitePool {
    let options =
        SqliteConnectOptions::new().filename(store.dir().join(file)).foreign_keys(false).busy_timeout(std::time::Duration::from_secs(10));
    SqlitePool::connect_with(options).await.unwrap()
}

/// Nine thousand, nine hundred and ninety-nine more requests, like the first.
pub const MANY_REQUESTS: &str = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
     INSERT INTO request_row SELECT CAST(printf('%016d', i) AS BLOB), version, gallery, leo, team,
       CASE i % 3 WHEN 0 THEN 'answered' ELSE state END, 0, 0, received_at + i, due_at, changed_at,
       requester, approver, assignee, flags, trial FROM n CROSS JOIN request_row";

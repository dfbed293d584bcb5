//! The store from outside on PostgreSQL: the contract tests of `tests/store`, run again, and what only a server
//! can do to it. Each test has a server of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../store/beside.rs"]
mod beside;
mod brought_back;
mod cluster;
#[path = "../store/common.rs"]
mod common;
mod copied;
#[path = "../store/events.rs"]
mod events;
#[path = "../store/killed.rs"]
mod killed;
#[path = "../store/logged.rs"]
mod logged;
mod nodes;
#[path = "../store/queued.rs"]
mod queued;
mod racing;
#[path = "../store/working.rs"]
mod working;

pub use common::*;

use cluster::Cluster;
use sqlx::postgres::{PgConnectOptions, PgPool};
use store::{Blobs, Database, Place, Servers, Store};

/// What a test holds on to: its folder and its server.
pub struct Ground {
    pub folder: tempfile::TempDir,
    pub cluster: Cluster,
}

impl Ground {
    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A place whose folder has this name: nodes have folders of their own.
    pub fn place(&self, name: &str) -> Place {
        let servers = Servers::new(&self.cluster.url("records"), &self.cluster.url("keys")).unwrap();
        Place { dir: self.path().join(name), database: Database::Postgres(servers), blobs: Blobs::Folder }
    }
}

/// A new store on a server that goes away with the first value. Where there is no PostgreSQL the test ends here,
/// and says so; `make test` says it once more at its end.
pub async fn fresh() -> (Ground, Store) {
    let Some(cluster) = Cluster::start() else { std::process::exit(0) };
    let ground = Ground { folder: tempfile::tempdir().unwrap(), cluster };
    let store = Store::create_at(&ground.place("data"), ORIGIN).await.unwrap();
    (ground, store)
}

/// A way into the database behind the store's back, past its foreign keys.
pub async fn behind(store: &Store, file: &str) -> PgPool {
    let Database::Postgres(servers) = &store.place().database else { panic!("not on a server") };
    let url = if file == "keys.db" { servers.keys() } else { servers.records() };
    let options: PgConnectOptions = url.parse().unwrap();
    PgPool::connect_with(options.options([("session_replication_role", "replica")])).await.unwrap()
}

/// Nine thousand, nine hundred and ninety-nine more requests, like the first.
pub const MANY_REQUESTS: &str = "INSERT INTO request_row SELECT convert_to(lpad(i::text, 16, '0'), 'UTF8'), version, gallery, leo, team,
       CASE i % 3 WHEN 0 THEN 'answered' ELSE state END, 0, 0, received_at + i, due_at, changed_at,
       requester, approver, assignee, flags, trial FROM generate_series(2, 10000) n(i) CROSS JOIN request_row";

//! Where a store is: a folder of this machine, and the databases in it or on PostgreSQL servers.

use crate::bucket::Blobs;
use crate::db::{self, Pool};
use crate::{BUSY_TIMEOUT_SECONDS, MAX_READ_CONNECTIONS, Result, StoreError};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Write connections per process to a PostgreSQL server.
pub const MAX_WRITE_CONNECTIONS: u32 = 8;
/// How long a connection to a PostgreSQL server is waited for, in seconds; then it is said to be gone.
pub const CONNECT_SECONDS: u64 = 10;
/// How long a PostgreSQL server waits for a process that began a write and then says nothing, in seconds: as
/// long as it waits, nobody else writes.
pub const IDLE_WRITE_SECONDS: u64 = 30;

static SQLITE_RECORDS: Migrator = sqlx::migrate!("migrations/sqlite/records");
static SQLITE_KEYS: Migrator = sqlx::migrate!("migrations/sqlite/keys");
static POSTGRES_RECORDS: Migrator = sqlx::migrate!("migrations/postgres/records");
static POSTGRES_KEYS: Migrator = sqlx::migrate!("migrations/postgres/keys");

/// Where a store is. The folder holds `secrets/`, and whatever is not kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// Records and keys.
    pub database: Database,
    /// Sealed images.
    pub blobs: Blobs,
}

/// Where records and keys are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Database {
    /// In two SQLite files of the folder.
    #[default]
    Folder,
    /// In two databases on PostgreSQL servers, so that a backup of the one does not hold the other.
    Postgres(Servers),
}

/// Two PostgreSQL databases, as `postgres://user@host/database?sslmode=verify-full`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    records: String,
    keys: String,
}

impl Servers {
    /// Names the two databases.
    ///
    /// # Errors
    /// Every reason why they cannot be these two: not an address, a password in it (it would stand in the
    /// configuration: use a password file or the server's own sign-in), another machine without a checked
    /// certificate (D1), or one database for both.
    pub fn new(records: &str, keys: &str) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut places = Vec::new();
        for (what, url) in [("url", records), ("keys_url", keys)] {
            match connection(url) {
                Ok(options) => places.push((options.get_host().to_owned(), options.get_port(), options.get_database().map(str::to_owned))),
                Err(fault) => faults.push(format!("database.{what}: {fault}")),
            }
        }
        if let [records, keys] = places.as_slice()
            && records == keys
        {
            faults.push("database.keys_url: it is the records' database; keys need one of their own, kept apart in backups".into());
        }
        if faults.is_empty() { Ok(Self { records: records.to_owned(), keys: keys.to_owned() }) } else { Err(faults) }
    }
}

impl Servers {
    /// The records' address.
    #[must_use]
    pub fn records(&self) -> &str {
        &self.records
    }

    /// The keys' address.
    #[must_use]
    pub fn keys(&self) -> &str {
        &self.keys
    }
}

fn connection(url: &str) -> Result<PgConnectOptions, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("an address begins with postgres://".into());
    }
    // The part before the first '@' may name a user; a password would stand behind a colon.
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || url.contains("password=") {
        return Err(
            "it holds a password; put that into a password file (PGPASSFILE, mode 0600), or sign in by certificate or socket".into()
        );
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| "it cannot be read as an address of PostgreSQL".to_owned())?;
    if options.get_database().is_none() {
        return Err("it names no database".into());
    }
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !here && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa) {
        return Err(format!(
            "{host} is another machine: say sslmode=verify-full (and sslrootcert), so that nobody between reads along (D1)"
        ));
    }
    Ok(options)
}

impl Place {
    /// A folder with everything in it.
    #[must_use]
    pub fn folder(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), database: Database::Folder, blobs: Blobs::Folder }
    }

    pub(crate) async fn records(&self, create: bool) -> Result<Base> {
        match &self.database {
            Database::Folder => Base::file(&self.dir.join("records.db"), create, &SQLITE_RECORDS).await,
            Database::Postgres(servers) => Base::server("records", &servers.records, &POSTGRES_RECORDS).await,
        }
    }

    pub(crate) async fn keys(&self, create: bool) -> Result<Base> {
        match &self.database {
            Database::Folder => Base::file(&self.dir.join("keys.db"), create, &SQLITE_KEYS).await,
            Database::Postgres(servers) => Base::server("keys", &servers.keys, &POSTGRES_KEYS).await,
        }
    }
}

/// How a SQLite file is opened.
pub(crate) fn sqlite_options(path: &Path, create: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(BUSY_TIMEOUT_SECONDS))
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
}

/// Connections to one database.
pub(crate) struct Base {
    name: &'static str,
    pub(crate) writer: Pool,
    pub(crate) reader: Pool,
    layout: &'static Migrator,
}

impl Base {
    async fn file(path: &Path, create: bool, layout: &'static Migrator) -> Result<Self> {
        let options = sqlite_options(path, create);
        let pool = |n| SqlitePoolOptions::new().max_connections(n).acquire_timeout(Duration::from_secs(BUSY_TIMEOUT_SECONDS));
        // One connection: writers in this process queue here, fairly, not in SQLite's busy loop.
        let writer = pool(1).connect_with(options.clone()).await?;
        layout.run(&writer).await?;
        let reader = pool(MAX_READ_CONNECTIONS).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { name: "file", writer: Pool::Sqlite(writer), reader: Pool::Sqlite(reader), layout })
    }

    async fn server(name: &'static str, url: &str, layout: &'static Migrator) -> Result<Self> {
        let options = connection(url).map_err(|_| StoreError::Invalid("the database's address is not sound; run config check"))?;
        let milliseconds = |seconds: u64| (seconds * 1000).to_string();
        let options = options.application_name("countersign").options([
            // Returned means durable, whatever the server's own default is.
            ("synchronous_commit", "on".to_owned()),
            ("lock_timeout", milliseconds(BUSY_TIMEOUT_SECONDS)),
            ("idle_in_transaction_session_timeout", milliseconds(IDLE_WRITE_SECONDS)),
        ]);
        let pool = |n| PgPoolOptions::new().max_connections(n).acquire_timeout(Duration::from_secs(CONNECT_SECONDS));
        let writer = Pool::Postgres(pool(MAX_WRITE_CONNECTIONS).connect_with(options.clone()).await?);
        let reader = pool(MAX_READ_CONNECTIONS).connect_with(options.options([("default_transaction_read_only", "on")])).await?;
        for setting in ["fsync", "full_page_writes"] {
            let on: String = db::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&writer).await?;
            if on != "on" {
                return Err(StoreError::NotDurable { setting });
            }
        }
        Ok(Self { name, writer, reader: Pool::Postgres(reader), layout })
    }

    /// Brings the tables up to date.
    pub(crate) async fn migrate(&self) -> Result<()> {
        match &self.writer {
            Pool::Sqlite(pool) => self.layout.run(pool).await?,
            Pool::Postgres(pool) => self.layout.run(pool).await?,
        }
        Ok(())
    }

    /// The newest change that the tables have had; 0: there are none.
    async fn layout(&self) -> Result<i64> {
        let there: bool = db::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&self.writer).await?;
        if !there {
            return Ok(0);
        }
        let newest: Option<i64> =
            db::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(&self.writer).await?;
        Ok(newest.unwrap_or(0))
    }

    /// Whether there is nothing in the database yet. A SQLite file is made with its tables.
    pub(crate) async fn is_empty(&self) -> Result<bool> {
        Ok(matches!(self.writer, Pool::Postgres(_)) && self.layout().await? == 0)
    }

    /// Refuses tables of another version of this program. A SQLite file was brought up to date when it was
    /// opened; a server's tables are changed by `countersign migrate` alone, since other nodes use them.
    pub(crate) async fn check_layout(&self) -> Result<()> {
        if matches!(self.writer, Pool::Sqlite(_)) {
            return Ok(());
        }
        let needed = self.layout.iter().map(|m| m.version).max().unwrap_or(0);
        match self.layout().await? {
            found if found == needed => Ok(()),
            found => Err(StoreError::OtherLayout { database: self.name, found, needed }),
        }
    }

    pub(crate) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of one database's tables is a change of the other's, under the same number.
    #[test]
    fn both_databases_have_the_same_changes() {
        let changes = |layout: &Migrator| layout.iter().map(|m| (m.version, m.description.to_string())).collect::<Vec<_>>();
        assert_eq!(changes(&SQLITE_RECORDS), changes(&POSTGRES_RECORDS));
        assert_eq!(changes(&SQLITE_KEYS), changes(&POSTGRES_KEYS));
    }

    #[test]
    fn a_database_is_refused_with_every_reason() {
        let fault = |url: &str| Servers::new(url, "postgres:///keys?host=/run/postgresql").unwrap_err().join("\n");
        assert!(fault("mysql://here/records").contains("postgres://"));
        assert!(fault("postgres://me:secret@localhost/records").contains("password"));
        assert!(fault("postgres://localhost/records?password=secret").contains("password"));
        assert!(fault("postgres://db.example.org/records").contains("sslmode=verify-full"));
        assert!(fault("postgres://db.example.org/records?sslmode=require").contains("sslmode=verify-full"));
        assert!(fault("postgres://localhost").contains("no database"));
        let both = Servers::new("x", "postgres://a.example.org/k").unwrap_err();
        assert_eq!(both.len(), 2, "all at once: {both:?}");
        let same = Servers::new("postgres://localhost/one", "postgres://localhost/one").unwrap_err();
        assert!(same[0].contains("own"), "{same:?}");
        for sound in
            ["postgres://me@db.example.org/records?sslmode=verify-full", "postgres://[::1]/records", "postgres:///records?host=/tmp"]
        {
            Servers::new(sound, "postgres://localhost/keys").unwrap();
        }
    }
}

//! The only SQL: sealed event streams and everything kept beside them, in one data directory, or with its
//! databases on PostgreSQL ([`Place`]).
//!
//! # The data directory
//! | place | what |
//! | --- | --- |
//! | `records.db` | events, log, queue, jobs, drafts, holdings, sessions (SQLite, WAL) |
//! | `keys.db` | data keys, wrapped: a store of its own, so old backups cannot bring the erased back |
//! | `blobs/` | sealed image bytes, one file each |
//! | `secrets/` | `master.key` (0600) or `master.pkcs11`, and the log's, certificates' and look-ups' keys sealed under it |
//!
//! # The public surface
//! * [`Store::create_at`], [`Store::open_at`], [`Store::migrate`], [`Store::ping`], [`Store::origin`], [`Store::verifier_key`].
//! * **Events** ([`events`]): [`Store::commit`] / [`Store::commit_all`] write sealed events, their
//!   ledger leaves, the queue row, jobs, look-ups, blob references and the idempotency key in ONE
//!   durable transaction; [`Store::append`] for *consulted* and house streams; [`Store::load`],
//!   [`Store::streams`], [`Store::headers`].
//! * **Queue** ([`queue`]): [`Store::queue`], [`Store::queue_row`], [`Store::counts`].
//! * **Jobs** ([`jobs`]): [`Store::claim_job`], [`Store::finish_job`], [`Store::fail_job`], [`Store::failed_jobs`]
//!   (put back by [`Commit::retry`]).
//! * **Drafts** ([`drafts`]): [`Store::put_draft`], [`Store::get_draft`], [`Store::drafts_of`], [`Store::delete_draft`].
//! * **Blobs** ([`blobs`]): [`Store::put_blob`], [`Store::get_blob`], [`Store::delete_blob`], [`Store::sweep_orphans`].
//! * **Holdings** ([`holdings`]): [`Store::put_holdings`], [`Store::get_holding_image`],
//!   [`Store::get_holding_biography`], [`Store::holding_by_source`], [`Store::holding_count`].
//! * **Sessions** ([`sessions`]): [`Store::create_session`], [`Store::put_session`], [`Store::get_session`], ….
//! * **Look-ups** ([`lookups`]): [`Store::lookup`].
//! * **Log** ([`log`], [`audit`]): [`Store::sequence`], [`Store::checkpoint`], [`Store::inclusion`],
//!   [`Store::consistency`], [`Store::entries`], [`Store::verify_log`].
//! * **Who did what, and the figures** ([`processing`]): [`Store::fold`] keeps them in step with the log,
//!   [`Store::processing`], [`Store::logged`], [`Store::figures`].
//! * **Erasure** ([`erasure`]): [`Store::erase`], [`Store::erase_notes_before`], [`Store::erased`], [`Store::scrub`],
//!   [`Store::compact`].
//! * **Copies** ([`backup`]): [`Store::backup`], [`Store::backup_keys`], [`Store::restore`], [`Store::accept_restored`];
//!   **moving** to servers ([`Store::copy_to_servers`]).
//! * **An outsider's copy** ([`witness`]): [`Store::log_rows`], [`Store::checkpoint_notes`], [`Store::cosigners`], ….
//!
//! # Invariants
//! * Every write transaction is alone among the writers of all processes ([`db`]): `BEGIN IMMEDIATE` on the one
//!   write connection of this process on SQLite, an advisory lock on PostgreSQL. Leases and sessions alone go beside
//!   it. `synchronous=FULL`, `synchronous_commit=on`: returned means durable.
//! * Locks are taken records first, then keys; a data key is durable before anything sealed under it.
//! * No data key is cached: once destroyed, nothing opens what it sealed, in any process.
//! * `now` is always an argument; randomness is the operating system's, through aws-lc-rs.

pub mod audit;
pub mod backup;
pub mod bare;
pub mod blobs;
mod bucket;
mod copy;
mod db;
pub mod drafts;
pub mod erasure;
pub mod events;
pub mod holdings;
mod hsm;
pub mod jobs;
mod keys;
pub mod log;
pub mod lookups;
mod place;
pub mod processing;
mod provider;
pub mod queue;
mod rows;
mod sealing;
mod secrets;
pub mod sessions;
pub mod witness;

pub use audit::{LogFault, LogReport};
pub use backup::{Copied, Restored};
pub use bare::Bare;
pub use blobs::{MAX_BLOB_BYTES, Swept};
pub use bucket::{BUCKET_RETRIES, BUCKET_TIMEOUT_SECONDS, Blobs, Bucket};
pub use copy::{CopiedTable, CopiedTables};
pub use drafts::{Draft, DraftSummary, MAX_DRAFT_BYTES, PutDraft};
pub use erasure::Erased;
pub use events::{Alone, Commit, CommitError, HeaderRow, IdempotencyKey, MAX_PAYLOAD_BYTES, MAX_RECORDS_PER_COMMIT};
pub use holdings::{MAX_HOLDING_BYTES, NewHolding};
pub use jobs::{Job, JobId, NewJob};
pub use ledger::{Checkpoint, VerifierKey, WitnessKey};
pub use log::{EntryFilter, Inclusion, LedgerEntry, Sequenced, SignedCheckpoint};
pub use lookups::LookupEntry;
pub use place::{CONNECT_SECONDS, Database, IDLE_WRITE_SECONDS, MAX_WRITE_CONNECTIONS, Place, Servers};
pub use processing::{Below, FOLD_BATCH, FigureKey, LoggedRecord, Opening, PROCESSING_PAGE_LIMIT, ProcessingFilter, ProcessingRow};
pub use queue::{Assigned, Counts, QUEUE_COUNT_LIMIT, QUEUE_PAGE_LIMIT, QueueFilter, QueueOrder, QueueRow, Trials, Viewer};
pub use sessions::MAX_SESSION_BYTES;
pub use witness::{LogRow, WitnessState};

use db::{Pool, Transaction};
use jiff::Timestamp;
use object_store::ObjectStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a writer waits for another process's transaction, in seconds.
pub const BUSY_TIMEOUT_SECONDS: u64 = 30;
/// Read connections per process.
pub const MAX_READ_CONNECTIONS: u32 = 8;

/// The layout of a data directory and of what is sealed in it. One of another format is not opened: its
/// events would not fold.
pub const FORMAT: &str = "3";

/// Marks a store that went on elsewhere, in `house`.
pub(crate) const MOVED: &str = "moved-to";

/// Why the store refused or failed. Never holds anything personal.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is nothing, or something else, where a data directory should be.
    #[error("{} is not a data directory: {missing} is missing; create one first", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// `create` found something already there.
    #[error("{} already holds data; choose an empty directory", path.display())]
    AlreadyExists {
        /// The directory.
        path: PathBuf,
    },
    /// Made by a version that wrote its records differently.
    #[error("{} was made by another version of this program (format {found}; this one needs {FORMAT}); open it with the version that made it, or move it away and start with an empty directory", path.display())]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The server's tables are not as this version needs them.
    #[error(
        "the {database} database has layout {found}, and this program needs {needed}: {}",
        if found < needed {
            "stop every node, take a backup, and run `countersign migrate`"
        } else {
            "another node runs a newer version; use that one here too"
        }
    )]
    OtherLayout {
        /// Which database.
        database: &'static str,
        /// The newest change it has had; 0: it has no tables.
        found: i64,
        /// The newest change of this version.
        needed: i64,
    },
    /// A server that does not write to disk what it says it has written.
    #[error("the PostgreSQL server runs with {setting} off, so that what it acknowledges may be lost; switch it on")]
    NotDurable {
        /// The setting.
        setting: &'static str,
    },
    /// The databases hold a store, and the folder has no secrets that belong to it.
    #[error("the databases hold a store already, and {} holds no secrets; copy secrets/ there from another node or from escrow", path.display())]
    SecretsElsewhere {
        /// The folder.
        path: PathBuf,
    },
    /// The store went on elsewhere; going on here too would make two logs of one.
    #[error("the store in {} was moved to PostgreSQL; name the databases in the configuration", path.display())]
    Moved {
        /// The folder.
        path: PathBuf,
    },
    /// Another store's images are in the bucket; this one's sweep would take them away.
    #[error("the bucket, under its prefix, belongs to another store; choose another bucket or prefix")]
    OthersBucket,
    /// A copy was to go where something else is.
    #[error("the databases hold something else already; give two empty ones (drop and create what an interrupted copy left)")]
    NotEmpty,
    /// Open elsewhere, or its master key is being changed.
    #[error("{} is in use: for this, stop every other process that has it open, and start them again afterwards", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The token that keeps the master key does not do what is asked.
    #[error(
        "the token {token:?} that keeps the master key failed at {what}: {why}. Nothing was changed; see secrets/master.pkcs11 and the token's own log"
    )]
    Token {
        /// Its label.
        token: String,
        /// What it was asked for.
        what: &'static str,
        /// What it, or its module, said.
        why: String,
    },
    /// The token that keeps the master key does not take the PIN. It was asked once, and is not asked again.
    #[error(
        "the token {token:?} that keeps the master key refused the PIN in {}: {why}. Tokens lock themselves after a few wrong PINs, so it is not tried again until that file is written anew",
        pin_file.display()
    )]
    PinRefused {
        /// The token's label.
        token: String,
        /// Where the PIN is.
        pin_file: PathBuf,
        /// What the token said of it, in words.
        why: &'static str,
    },
    /// What works on a folder's own files alone.
    #[error(
        "the records are on PostgreSQL, and this works on the files of a folder: use {instead} (docs/RUNBOOK.md, \"PostgreSQL, several nodes, buckets\")"
    )]
    OnServers {
        /// What to use there.
        instead: &'static str,
    },
    /// A copy did not arrive as it was sent, or the tables of both sides are not the same.
    #[error("the table {table} is not the same on both sides; nothing was moved")]
    CopyDiffers {
        /// Its name.
        table: String,
    },
    /// A secret that others on the machine could read.
    #[error("{} can be used by others (mode {mode:04o}, at most {limit:04o} is allowed); run chmod {limit:o} on it and find out who read it", path.display())]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The widest allowed.
        limit: u32,
    },
    /// The master key is not the one that wrapped this store's keys.
    #[error("the master key does not belong to this data directory; restore secrets/master.key from escrow")]
    WrongMasterKey,
    /// A file under `secrets/` is not what it should be.
    #[error("{} is damaged; restore it from escrow", path.display())]
    BadSecret {
        /// The file.
        path: PathBuf,
    },
    /// Not a copy of records or keys.
    #[error("{} is not a copy of {what}: {why}", path.display())]
    NotACopy {
        /// The folder.
        path: PathBuf,
        /// What was wanted.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A file of a copy is missing or not what its manifest says.
    #[error("{} is missing or damaged: its bytes are not those that were copied; use another copy", path.display())]
    DamagedCopy {
        /// The file.
        path: PathBuf,
    },
    /// Keys that could not open what was recorded after them.
    #[error("this copy of the keys was made at {keys}, before the records' copy of {records}: use keys copied after the records")]
    OlderKeys {
        /// When the keys were copied.
        keys: Timestamp,
        /// When the records were copied.
        records: Timestamp,
    },
    /// The log is shorter than, or another than, the one that was last signed.
    #[error(
        "these records are not the latest: their log has {size} leaves, and its key has signed a checkpoint of {remembered}. What was recorded in between would be lost, and whoever holds that checkpoint would see two histories. Use the latest records; if they are lost, restore with --accept-shorter-log, which is recorded"
    )]
    LogForked {
        /// Leaves in these records.
        size: u64,
        /// Leaves under the last checkpoint that was signed.
        remembered: u64,
    },
    /// Something stored does not decode or does not open under its own key.
    #[error("the stored {what} is damaged; verify the log and restore from a backup")]
    Damaged {
        /// What kind of thing.
        what: &'static str,
    },
    /// Larger than its limit.
    #[error("the {what} has {value} of at most {limit} {unit}")]
    TooLarge {
        /// What kind of thing.
        what: &'static str,
        /// How large it is.
        value: usize,
        /// The limit.
        limit: usize,
        /// Unit of both.
        unit: &'static str,
    },
    /// Named something that is not there (any more).
    #[error("there is no such {what}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
    },
    /// Somebody else saved first.
    #[error("it was changed meanwhile: the current version is {actual}; load it again")]
    Stale {
        /// The version now stored; 0 if there is none.
        actual: u64,
    },
    /// The job's lease ran out and somebody else has it, or it is finished.
    #[error("the lease on this job has passed to another worker")]
    LeaseLost,
    /// The call itself makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// The operating system gave no randomness.
    #[error("the system's random source failed")]
    Random,
    /// The log's own rules.
    #[error(transparent)]
    Ledger(#[from] ledger::LedgerError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The database could not be brought to this version's layout.
    #[error("the database's layout could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The blob folder, or the bucket, failed.
    #[error("the place of the sealed images failed")]
    Blob(#[from] object_store::Error),
    /// A file under the data directory failed.
    #[error("{} could not be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Result of most calls.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An open data directory. Cheap to clone; safe to use from many tasks and many processes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    place: Place,
    base: place::Base,
    keys: keys::KeyStore,
    blobs: Arc<dyn ObjectStore>,
    secrets: secrets::Secrets,
    /// Holds `secrets/` shared, for as long as this is open: whoever turns the master key wants it alone.
    _open: std::fs::File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.inner.place.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a new store in a folder. See [`Self::create_at`].
    ///
    /// # Errors
    /// As [`Self::create_at`].
    pub async fn create(dir: &Path, origin: &str) -> Result<Self> {
        Self::create_at(&Place::folder(dir), origin).await
    }

    /// Makes a new store: its folder (created if missing, else it must be empty) with fresh keys, and its
    /// databases; and opens it. In a folder it is made beside its place and moved there whole, on servers it
    /// counts as made when its format is written, last of all: a process killed in the middle can begin again.
    /// `origin` names the log for ever (C2SP checkpoint origin, e.g. `example.org/countersign`).
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`]; [`StoreError::SecretsElsewhere`]; [`StoreError::Ledger`] for a bad origin;
    /// IO and database errors.
    pub async fn create_at(place: &Place, origin: &str) -> Result<Self> {
        let dir = &place.dir;
        match &place.database {
            Database::Folder => {
                let making = beside(dir)?;
                make_folder(&making, dir, origin)?;
                Self::make(&Place { dir: making.clone(), ..place.clone() }, origin).await?.close().await;
                put_in_place(&making, dir)?;
            }
            Database::Postgres(_) => {
                if !Self::unfinished(place).await? {
                    return Err(match secrets::there(&dir.join("secrets")) {
                        true => StoreError::AlreadyExists { path: dir.clone() },
                        false => StoreError::SecretsElsewhere { path: dir.clone() },
                    });
                }
                if !secrets::there(&dir.join("secrets")) {
                    let making = beside(dir)?;
                    make_folder(&making, dir, origin)?;
                    put_in_place(&making, dir)?;
                }
                Self::make(place, origin).await?.close().await;
            }
        }
        Self::open_at(place).await
    }

    /// Whether a store was made at this place: in a folder, if there is one; on servers, if they hold one.
    ///
    /// # Errors
    /// Database errors.
    pub async fn is_made(place: &Place) -> Result<bool> {
        match place.database {
            Database::Folder => Ok(place.dir.exists()),
            Database::Postgres(_) => Ok(!Self::unfinished(place).await?),
        }
    }

    /// Whether servers hold no store yet, or one that was being made.
    async fn unfinished(place: &Place) -> Result<bool> {
        let base = place.records(false).await?;
        let format: Option<String> = match base.is_empty().await? {
            true => None,
            false => db::query_scalar("SELECT value FROM house WHERE name = 'format'").fetch_optional(&base.reader).await?,
        };
        base.close().await;
        Ok(format.is_none())
    }

    /// Fills the databases of a place that has its secrets.
    async fn make(place: &Place, origin: &str) -> Result<Self> {
        let secrets = secrets::Secrets::open(&place.dir.join("secrets"))?;
        let store = Self::assemble(place, secrets, true).await?;
        store.inner.base.migrate().await?;
        store.keys().base().migrate().await?;
        let mut tx = store.write().await?;
        match store.keys().current(&keys::Scope::check()).await {
            Ok(_) => {}
            // The keys' database is another store's.
            Err(StoreError::Damaged { .. }) => return Err(StoreError::WrongMasterKey),
            Err(error) => return Err(error),
        }
        db::query("INSERT INTO house (name, value) VALUES ('origin', $1), ('format', $2)")
            .bind(origin)
            .bind(FORMAT)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(store)
    }

    /// Opens the store of a folder. See [`Self::open_at`].
    ///
    /// # Errors
    /// As [`Self::open_at`].
    pub async fn open(dir: &Path) -> Result<Self> {
        Self::open_at(&Place::folder(dir)).await
    }

    /// Opens an existing store and finishes any erasure that a crash interrupted. The layout of a folder's
    /// databases is brought up to date; that of servers must be ([`Self::migrate`]).
    ///
    /// # Errors
    /// [`StoreError::NotAStore`], [`StoreError::OtherFormat`], [`StoreError::OtherLayout`],
    /// [`StoreError::Permissions`], [`StoreError::WrongMasterKey`], [`StoreError::BadSecret`]; IO and database errors.
    pub async fn open_at(place: &Place) -> Result<Self> {
        let store = Self::assemble_checked(place).await?;
        let dir = &place.dir;
        let moved: Option<String> =
            db::query_scalar("SELECT value FROM house WHERE name = $1").bind(MOVED).fetch_optional(store.reader()).await?;
        if moved.is_some() {
            return Err(StoreError::Moved { path: dir.to_owned() });
        }
        if matches!(place.database, Database::Postgres(_)) && dir.join("keys.db").exists() {
            tracing::warn!(
                "{} holds the keys as they were before the move to PostgreSQL: what is erased from now on can be read with them. Delete keys.db and records.db there, and their copies",
                dir.display()
            );
        }
        place.blobs.check(&*store.inner.blobs, &store.verifier_key().to_string()).await?;
        store.reconcile().await?;
        store.resume_erasures().await?;
        Ok(store)
    }

    /// Opens a store that is this version's, with its own secrets and keys; nothing else is looked at yet.
    async fn assemble_checked(place: &Place) -> Result<Self> {
        let dir = &place.dir;
        let files: &[&'static str] = match place.database {
            Database::Folder => &["records.db", "keys.db"],
            Database::Postgres(_) => &[],
        };
        let blobs: &[&'static str] = if place.blobs == Blobs::Folder { &["blobs"] } else { &[] };
        let master: &[&'static str] = if secrets::there(&dir.join("secrets")) { &[] } else { &["secrets/master.key"] };
        for missing in files.iter().chain(blobs).chain(master) {
            if !dir.join(missing).exists() {
                if matches!(place.database, Database::Postgres(_)) && !Self::unfinished(place).await? {
                    return Err(StoreError::SecretsElsewhere { path: dir.to_owned() });
                }
                return Err(StoreError::NotAStore { path: dir.to_owned(), missing });
            }
        }
        if !dir.join("secrets/certificate.key").exists() {
            // Formats 1 and 2 had no key for certificates.
            return Err(StoreError::OtherFormat { path: dir.to_owned(), found: "2 or older".into() });
        }
        let secrets = secrets::Secrets::open(&dir.join("secrets"))?;
        let store = Self::assemble(place, secrets, false).await?;
        store.inner.base.check_layout().await?;
        store.keys().base().check_layout().await?;
        // The first version did not say its format.
        let format: Option<String> =
            db::query_scalar("SELECT value FROM house WHERE name = 'format'").fetch_optional(store.reader()).await?;
        if format.as_deref() != Some(FORMAT) {
            return Err(StoreError::OtherFormat { path: dir.to_owned(), found: format.unwrap_or_else(|| "1".into()) });
        }
        store.keys().check_master().await?;
        let (origin,): (String,) = db::query_as("SELECT value FROM house WHERE name = 'origin'")
            .fetch_optional(store.reader())
            .await?
            .ok_or(StoreError::NotAStore { path: dir.to_owned(), missing: "the log's origin" })?;
        if origin != store.origin() {
            return Err(StoreError::WrongMasterKey);
        }
        Ok(store)
    }

    /// Brings the tables of a store up to date. On servers, stop every node first: an older version cannot use
    /// them afterwards.
    ///
    /// # Errors
    /// [`StoreError::Migrate`]; database errors.
    pub async fn migrate(place: &Place) -> Result<()> {
        if Self::unfinished(place).await? {
            return Err(StoreError::NotAStore { path: place.dir.clone(), missing: "a store in the databases" });
        }
        for base in [place.records(false).await?, place.keys(false).await?] {
            base.migrate().await?;
            base.close().await;
        }
        Ok(())
    }

    async fn assemble(place: &Place, secrets: secrets::Secrets, create: bool) -> Result<Self> {
        let held = place.dir.join("secrets");
        let open = std::fs::File::open(&held).map_err(StoreError::io(&held))?;
        if let Err(error) = open.try_lock_shared() {
            return Err(in_use(&place.dir, error));
        }
        let keys = keys::KeyStore::new(place.keys(create).await?, secrets.masters().clone());
        let base = place.records(create).await?;
        let blobs = place.blobs.open(&place.dir)?;
        Ok(Self { inner: Arc::new(Inner { place: place.clone(), base, keys, blobs, secrets, _open: open }) })
    }

    /// Puts a new master key in the place of the one in use: every data key is wrapped anew, none is changed, so
    /// nothing that is sealed has to be sealed again. Stopped half-way, the data directory opens as before, and the
    /// next call goes on. Returns how many keys were wrapped by this call.
    /// The new key lies in `secrets/`, or, if `token` names a private file that says where, in a PKCS#11 token (see
    /// the runbook); it is made there if need be.
    ///
    /// # Errors
    /// [`StoreError::InUse`] while any process has the directory open; [`StoreError::OnServers`] where other nodes may hold
    /// copies of the secrets, which nobody here can see; [`StoreError::Token`]; else as [`Self::open`].
    pub async fn rotate_master(place: &Place, token: Option<&Path>) -> Result<u64> {
        if matches!(place.database, Database::Postgres(_)) {
            return Err(StoreError::OnServers { instead: "a new installation and its keys for now; rotation on servers is not built" });
        }
        // As it is, it opens: a wrong key is found before anything is changed.
        Self::open_at(place).await?.close().await;
        let held = place.dir.join("secrets");
        let alone = std::fs::File::open(&held).map_err(StoreError::io(&held))?;
        if let Err(error) = alone.try_lock() {
            return Err(in_use(&place.dir, error));
        }
        let masters = secrets::begin_rotation(&held, token)?;
        let keys = keys::KeyStore::new(place.keys(false).await?, masters.clone());
        let done = keys.rewrap().await?;
        // The former key's wrappings are gone from the file before the former key is.
        keys.scrub().await?;
        keys.close().await;
        secrets::end_rotation(&held, &masters)?;
        drop(alone);
        Self::open_at(place).await?.close().await;
        Ok(done)
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.inner.secrets.signing_key().origin()
    }

    /// The log's public key, to hand to outsiders.
    #[must_use]
    pub fn verifier_key(&self) -> VerifierKey {
        self.inner.secrets.signing_key().verifier_key()
    }

    /// The public key of accuracy certificates, to hand to outsiders.
    #[must_use]
    pub fn certificate_key(&self) -> VerifierKey {
        self.inner.secrets.certificate_key().verifier_key()
    }

    /// Signs the text of an accuracy certificate as a C2SP note.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if it cannot be a note's text.
    pub fn sign_certificate(&self, text: &str) -> Result<String> {
        Ok(ledger::note::sign(text, self.inner.secrets.certificate_key())?)
    }

    /// The text of a certificate's note, if this installation signed it.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if it did not, or the note is malformed.
    pub fn open_certificate(&self, note: &str) -> Result<String> {
        Ok(ledger::note::open(note, &self.certificate_key())?)
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.place.dir
    }

    /// Where this store is, to open it once more.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.inner.place
    }

    /// Whether both databases answer and can be written (readiness). Costs no disk write.
    ///
    /// # Errors
    /// Database errors.
    pub async fn ping(&self) -> Result<()> {
        db::query("SELECT value FROM house WHERE name = 'origin'").fetch_one(self.reader()).await?;
        self.write().await?.rollback().await?;
        self.inner.keys.ping().await
    }

    /// Closes every connection after letting running transactions end, and folds the write-ahead logs
    /// into the databases.
    pub async fn close(self) {
        self.inner.base.close().await;
        self.inner.keys.close().await;
    }

    /// The one way to begin a write: alone among all writers. See [`Pool::write`].
    pub(crate) async fn write(&self) -> Result<Transaction> {
        Ok(self.inner.base.writer.write().await?)
    }

    /// A write of rows that nothing else touches: leases and sessions. See [`Pool::write_beside`].
    pub(crate) async fn write_beside(&self) -> Result<Transaction> {
        Ok(self.inner.base.writer.write_beside().await?)
    }

    pub(crate) fn reader(&self) -> &Pool {
        &self.inner.base.reader
    }

    pub(crate) fn keys(&self) -> &keys::KeyStore {
        &self.inner.keys
    }

    pub(crate) fn secrets(&self) -> &secrets::Secrets {
        &self.inner.secrets
    }

    /// See [`Pool::truncate_wal`].
    pub(crate) async fn truncate_wal(&self) -> Result<()> {
        Ok(self.inner.base.writer.truncate_wal().await?)
    }
}

/// The folder in which another is made.
fn beside(dir: &Path) -> Result<PathBuf> {
    let name = dir.file_name().ok_or(StoreError::Invalid("a data directory has a name of its own"))?;
    Ok(dir.with_file_name(format!(".{}.being-made", name.to_string_lossy())))
}

/// Makes the folder's own part, secrets and blobs, in `making`.
fn make_folder(making: &Path, dir: &Path, origin: &str) -> Result<()> {
    if dir.exists() && std::fs::read_dir(dir).map_err(StoreError::io(dir))?.next().is_some() {
        return Err(StoreError::AlreadyExists { path: dir.to_owned() });
    }
    if making.exists() {
        // Left by a process that was killed in the middle of this; nothing was recorded in it yet.
        std::fs::remove_dir_all(making).map_err(StoreError::io(making))?;
    }
    secrets::make_private_dir(making)?;
    secrets::Secrets::create(&making.join("secrets"), origin)?;
    secrets::make_private_dir(&making.join("blobs"))
}

fn put_in_place(making: &Path, dir: &Path) -> Result<()> {
    std::fs::rename(making, dir).map_err(StoreError::io(dir))?;
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::File::open(parent).and_then(|p| p.sync_all()).map_err(StoreError::io(parent))?;
    }
    Ok(())
}

fn in_use(dir: &Path, error: std::fs::TryLockError) -> StoreError {
    match error {
        std::fs::TryLockError::WouldBlock => StoreError::InUse { path: dir.to_owned() },
        std::fs::TryLockError::Error(source) => StoreError::Io { path: dir.to_owned(), source },
    }
}

/// Refuses `value` over `limit`.
pub(crate) fn within(what: &'static str, value: usize, limit: usize, unit: &'static str) -> Result<()> {
    if value > limit { Err(StoreError::TooLarge { what, value, limit, unit }) } else { Ok(()) }
}

/// Microseconds as stored.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

//! Copies of the records, and of the keys: never in one place.
//!
//! A copy of the **records** is a folder of `records.db` (a consistent snapshot, taken while writers go on), the sealed
//! blobs that it names, and `manifest.json` with the SHA-256 of each. Nothing in it opens without the keys, which are
//! not in it. Sessions are left out. A copy of the **keys** is `keys.db` and `secrets/`; it opens everything, so
//! it is kept elsewhere, and only the newest is kept: an older one holds keys that were destroyed since.
//!
//! Each copy is made beside its place and moved there whole. Restoring checks every byte before it touches anything;
//! killed half-way, it begins again.
//!
//! # What was erased stays erased
//! * Old records with today's keys: what was sealed under a key that was destroyed since does not open.
//!   [`Store::open`] then writes those erasures down again and carries them out.
//! * Today's records with older keys: [`Store::open`] destroys every key that the records say was destroyed.
//! * Keys older than the records are refused: they could not open what was recorded since.
//!
//! # The log
//! The key store remembers the last checkpoint that was signed. Records whose log is shorter, or another, are
//! not opened ([`StoreError::LogForked`]): whoever holds the later checkpoint would see two histories. Only a
//! restore that says so accepts it.
//!
//! # On PostgreSQL
//! Copying and bringing back are the server's own: `pg_dump`, `pg_restore`, base backups. The folder's own way is
//! refused there ([`StoreError::OnServers`]); what holds after records were brought back there is the same
//! ([`Store::accept_restored`]).

use crate::blobs::place;
use crate::db;
use crate::keys::KeyId;
use crate::rows::{self, unsigned};
use crate::secrets::{make_private_dir, read_private, write_private};
use crate::{Database, FORMAT, Place, Result, Store, StoreError};
use aws_lc_rs::digest;
use casework::record::StreamId;
use jiff::Timestamp;
use object_store::ObjectStoreExt;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Largest manifest, in bytes: a line of some 130 bytes for each file.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 30;

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Files, the manifest left out.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Leaves under the newest checkpoint in it; 0 for keys.
    pub log_size: u64,
    /// When it was made.
    pub at: Timestamp,
}

/// What a restore brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The copy.
    pub copy: Copied,
    /// Leaves that the log had when its last checkpoint was signed, where that is more than the copy has.
    pub lost_up_to: Option<u64>,
    /// Keys that the records name and that were destroyed since the copy was made: what they sealed stays erased.
    pub stays_erased: u64,
}

/// `manifest.json`.
struct Manifest {
    kind: &'static str,
    origin: String,
    log_size: u64,
    at: Timestamp,
    files: BTreeMap<String, (u64, String)>,
}

const RECORDS: &str = "countersign records";
const KEYS: &str = "countersign keys";
const MANIFEST: &str = "manifest.json";

impl Manifest {
    fn copied(&self) -> Copied {
        let bytes = self.files.values().map(|(bytes, _)| bytes).sum();
        Copied { files: self.files.len() as u64, bytes, log_size: self.log_size, at: self.at }
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let files: Value =
            self.files.iter().map(|(name, (bytes, sha256))| (name.clone(), json!({ "bytes": bytes, "sha256": sha256 }))).collect();
        let text = json!({ "kind": self.kind, "format": FORMAT, "origin": self.origin, "log_size": self.log_size,
            "at": self.at.to_string(), "files": files });
        write_private(&folder.join(MANIFEST), format!("{text:#}\n").as_bytes())
    }

    /// Reads a manifest and checks that every file is what it says.
    fn check(folder: &Path, kind: &'static str) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let not_one = |why| StoreError::NotACopy { path: folder.to_owned(), what: kind, why };
        if !path.is_file() {
            return Err(not_one("its manifest.json is missing"));
        }
        if fs::metadata(&path).map_err(StoreError::io(&path))?.len() > MAX_MANIFEST_BYTES {
            return Err(not_one("its manifest.json is too large"));
        }
        let text = fs::read(&path).map_err(StoreError::io(&path))?;
        let value: Value = serde_json::from_slice(&text).map_err(|_| not_one("its manifest.json is damaged"))?;
        let word = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(|| not_one("its manifest.json is damaged"));
        if word("kind")? != kind {
            return Err(not_one("it is a copy of something else"));
        }
        let format = word("format")?;
        if format != FORMAT {
            return Err(StoreError::OtherFormat { path: folder.to_owned(), found: format });
        }
        let (origin, at) = (word("origin")?, word("at")?.parse().map_err(|_| not_one("its manifest.json is damaged"))?);
        let log_size = value["log_size"].as_u64().ok_or_else(|| not_one("its manifest.json is damaged"))?;
        let listed = value["files"].as_object().ok_or_else(|| not_one("its manifest.json is damaged"))?;
        let mut files = BTreeMap::new();
        for (name, file) in listed {
            // A name that leads elsewhere is not one of ours.
            let plain = Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
            let (Some(bytes), Some(sha256), true) = (file["bytes"].as_u64(), file["sha256"].as_str(), plain) else {
                return Err(not_one("its manifest.json is damaged"));
            };
            let at = folder.join(name);
            if fs::symlink_metadata(&at).ok().filter(fs::Metadata::is_file).map(|m| m.len()) != Some(bytes) || sha256_of(&at)? != sha256 {
                return Err(StoreError::DamagedCopy { path: at });
            }
            files.insert(name.clone(), (bytes, sha256.to_owned()));
        }
        Ok(Self { kind, origin, log_size, at, files })
    }
}

impl Store {
    /// Copies the records to a new folder while others go on reading and writing. The keys are not in it.
    ///
    /// # Errors
    /// [`StoreError::OnServers`]; [`StoreError::AlreadyExists`]; [`StoreError::Damaged`] where a blob of the record is
    /// missing; IO and database errors. Nothing is at `to` then.
    pub async fn backup(&self, to: &Path, now: Timestamp) -> Result<Copied> {
        self.in_folder()?;
        let making = begin(to)?;
        self.sequence(now).await?;
        self.snapshot("records.db", &making).await?;
        let mut manifest = Manifest { kind: RECORDS, origin: self.origin().to_owned(), log_size: 0, at: now, files: BTreeMap::new() };
        let copy = making.join("records.db");
        let mut db = plain(&copy).await?;
        sqlx::query("DELETE FROM session").execute(&mut db).await?;
        manifest.log_size =
            unsigned(sqlx::query_scalar::<_, Option<i64>>("SELECT max(size) FROM checkpoint").fetch_one(&mut db).await?.unwrap_or(0))?;
        let blobs: Vec<(Vec<u8>, bool)> = sqlx::query_as("SELECT id, bound FROM blob ORDER BY id").fetch_all(&mut db).await?;
        for (id, bound) in &blobs {
            if !self.copy_blob(id, *bound, &making, &mut manifest).await? {
                sqlx::query("DELETE FROM blob WHERE id = $1").bind(id.as_slice()).execute(&mut db).await?;
            }
        }
        sqlx::query("VACUUM").execute(&mut db).await?;
        sound(&mut db).await?;
        db.close().await?;
        list(&making, "records.db", &mut manifest)?;
        manifest.write(&making)?;
        place_whole(&making, to)?;
        Ok(manifest.copied())
    }

    /// Copies a blob's file; `false` if it was erased, or never finished, since the snapshot was taken.
    async fn copy_blob(&self, id: &[u8], bound: bool, making: &Path, manifest: &mut Manifest) -> Result<bool> {
        let sealed = match self.inner.blobs.get(&place(id)).await {
            Ok(file) => file.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => {
                // Asked at once: an erasure may be taking the row away at this moment.
                let missed: Option<i64> = db::query_scalar(
                    "SELECT 1 FROM blob b WHERE b.id = $1 AND NOT EXISTS (SELECT 1 FROM erasure x WHERE x.key_id = b.key_id)",
                )
                .bind(id)
                .fetch_optional(self.reader())
                .await?;
                return if bound && missed.is_some() {
                    Err(StoreError::Damaged { what: "image (its file is missing)" })
                } else {
                    Ok(false)
                };
            }
            Err(error) => return Err(error.into()),
        };
        let name = format!("blobs/{}", place(id));
        let path = making.join(&name);
        if let Some(parent) = path.parent() {
            make_private_dir(parent)?;
        }
        write_private(&path, &sealed)?;
        manifest.files.insert(name, (sealed.len() as u64, hex::encode(digest::digest(&digest::SHA256, &sealed))));
        Ok(true)
    }

    /// Copies the keys to a new folder, apart from the records: whoever has both can open everything.
    ///
    /// # Errors
    /// [`StoreError::OnServers`]; [`StoreError::AlreadyExists`]; IO and database errors. Nothing is at `to` then.
    pub async fn backup_keys(&self, to: &Path, now: Timestamp) -> Result<Copied> {
        self.in_folder()?;
        let making = begin(to)?;
        let mut manifest = Manifest { kind: KEYS, origin: self.origin().to_owned(), log_size: 0, at: now, files: BTreeMap::new() };
        self.snapshot("keys.db", &making).await?;
        list(&making, "keys.db", &mut manifest)?;
        make_private_dir(&making.join("secrets"))?;
        let secrets = self.dir().join("secrets");
        for entry in fs::read_dir(&secrets).map_err(StoreError::io(&secrets))?.flatten() {
            let name = format!("secrets/{}", entry.file_name().to_string_lossy());
            write_private(&making.join(&name), &read_private(&entry.path())?)?;
            list(&making, &name, &mut manifest)?;
        }
        manifest.write(&making)?;
        place_whole(&making, to)?;
        Ok(manifest.copied())
    }

    /// Refuses a store whose databases are not files of its folder.
    fn in_folder(&self) -> Result<()> {
        match self.place().database {
            Database::Folder => Ok(()),
            Database::Postgres(_) => Err(StoreError::OnServers { instead: INSTEAD_OF_BACKUP }),
        }
    }

    /// A consistent copy of one of the databases.
    async fn snapshot(&self, name: &str, to: &Path) -> Result<()> {
        let mut db = plain(&self.dir().join(name)).await?;
        let target = to.join(name);
        sqlx::query("VACUUM INTO $1").bind(target.to_string_lossy().into_owned()).execute(&mut db).await?;
        db.close().await?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).map_err(StoreError::io(&target))?;
        fs::File::open(&target).and_then(|f| f.sync_all()).map_err(StoreError::io(&target))
    }

    /// Brings a copy of the records back to `dir`, with the keys that are there, or with a copy of them.
    /// `accept_shorter_log` says that what the log had besides is lost and that this is known.
    ///
    /// # Errors
    /// [`StoreError::NotACopy`], [`StoreError::DamagedCopy`], [`StoreError::OlderKeys`], [`StoreError::LogForked`]:
    /// then nothing was touched. [`StoreError::AlreadyExists`] where records, or with a copy of keys anything, is there.
    pub async fn restore(from: &Path, keys: Option<&Path>, dir: &Path, accept_shorter_log: bool) -> Result<(Self, Restored)> {
        let manifest = Manifest::check(from, RECORDS)?;
        let occupied = |path: PathBuf| Err(StoreError::AlreadyExists { path });
        let staging = dir.join(STAGING);
        let began = staging.exists();
        if dir.join("records.db").exists() {
            return occupied(dir.join("records.db"));
        }
        let remembered = if let Some(keys) = keys {
            let brought = Manifest::check(keys, KEYS)?;
            if brought.at < manifest.at {
                return Err(StoreError::OlderKeys { keys: brought.at, records: manifest.at });
            }
            if brought.origin != manifest.origin {
                return Err(StoreError::WrongMasterKey);
            }
            if dir.exists() && !began && fs::read_dir(dir).map_err(StoreError::io(dir))?.next().is_some() {
                return occupied(dir.to_owned());
            }
            // A copy is read as it lies: nothing is written beside it.
            remembered_in(SqliteConnectOptions::new().filename(keys.join("keys.db")).read_only(true).immutable(true).connect().await?)
                .await?
        } else {
            for missing in ["keys.db", "secrets"] {
                if !dir.join(missing).exists() {
                    return Err(StoreError::NotAStore { path: dir.to_owned(), missing });
                }
            }
            let blobs = dir.join("blobs");
            if !began && holds_files(&blobs) {
                return occupied(blobs);
            }
            remembered_in(plain(&dir.join("keys.db")).await?).await?
        };
        let lost_up_to = remembered.filter(|size| *size > manifest.log_size);
        if let Some(remembered) = lost_up_to
            && !accept_shorter_log
        {
            return Err(StoreError::LogForked { size: manifest.log_size, remembered });
        }
        // Everything is checked: from here on something is changed, and begun again if it is interrupted.
        make_private_dir(dir)?;
        if began {
            fs::remove_dir_all(&staging).map_err(StoreError::io(&staging))?;
        }
        make_private_dir(&staging)?;
        make_private_dir(&staging.join("blobs"))?;
        for name in manifest.files.keys() {
            copy_file(&from.join(name), &staging.join(name))?;
        }
        let mut db = plain(&staging.join("records.db")).await?;
        sqlx::query("INSERT INTO house (name, value) VALUES ('restored', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(if lost_up_to.is_some() { SHORTER } else { "whole" })
            .execute(&mut db)
            .await?;
        db.close().await?;
        if let Some(keys) = keys {
            let brought = Manifest::check(keys, KEYS)?;
            make_private_dir(&staging.join("secrets"))?;
            for name in brought.files.keys() {
                copy_file(&keys.join(name), &staging.join(name))?;
                move_into(&staging.join(name), &dir.join(name))?;
            }
        }
        let blobs = dir.join("blobs");
        if blobs.exists() {
            fs::remove_dir_all(&blobs).map_err(StoreError::io(&blobs))?;
        }
        move_into(&staging.join("blobs"), &blobs)?;
        // The records last: with them, it is a data directory.
        move_into(&staging.join("records.db"), &dir.join("records.db"))?;
        fs::remove_dir_all(&staging).map_err(StoreError::io(&staging))?;
        let store = Self::open(dir).await?;
        let stays_erased = store.erased_again().await?;
        Ok((store, Restored { copy: manifest.copied(), lost_up_to, stays_erased }))
    }

    /// On PostgreSQL, after the records' database was brought back from a dump while every node stood still: agrees
    /// it with the keys that are there and opens it. `accept_shorter_log` says that what the log had besides is lost
    /// and that this is known. Files and bytes of what is returned are 0: the server's own tools copied them.
    ///
    /// # Errors
    /// [`StoreError::LogForked`]: then nothing was touched; [`StoreError::Invalid`] for a folder; what opening can fail with.
    pub async fn accept_restored(place: &Place, now: Timestamp, accept_shorter_log: bool) -> Result<(Self, Restored)> {
        if matches!(place.database, Database::Folder) {
            return Err(StoreError::Invalid("the records are in a folder: restore them from a copy of `countersign backup`"));
        }
        let store = Self::assemble_checked(place).await?;
        let last = store.checkpoint().await?;
        let size = last.as_ref().map_or(0, |c| c.checkpoint.size);
        let remembered = match store.keys().remembered().await? {
            Some(note) => crate::Checkpoint::open(&note, &store.verifier_key())?.size,
            None => 0,
        };
        let lost_up_to = Some(remembered).filter(|remembered| *remembered > size);
        if lost_up_to.is_some() && !accept_shorter_log {
            return Err(StoreError::LogForked { size, remembered });
        }
        let mut tx = store.write().await?;
        db::query("INSERT INTO house (name, value) VALUES ('restored', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(if lost_up_to.is_some() { SHORTER } else { "whole" })
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        store.close().await;
        let store = Self::open_at(place).await?;
        let stays_erased = store.erased_again().await?;
        let copy = Copied { files: 0, bytes: 0, log_size: size, at: last.map_or(now, |c| c.at) };
        Ok((store, Restored { copy, lost_up_to, stays_erased }))
    }

    /// How many keys opening found destroyed since what was brought back was copied; told once.
    async fn erased_again(&self) -> Result<u64> {
        let mut tx = self.write().await?;
        let again: Option<String> =
            db::query_scalar("DELETE FROM house WHERE name = 'erased-again' RETURNING value").fetch_optional(&mut *tx).await?;
        tx.commit().await?;
        Ok(again.and_then(|n| n.parse().ok()).unwrap_or_default())
    }

    /// On opening: agrees records and keys with each other, whichever of them is the older; and refuses records
    /// whose log is not the one whose last checkpoint the key store remembers.
    pub(crate) async fn reconcile(&self) -> Result<()> {
        let staging = self.dir().join(STAGING);
        if staging.exists() {
            // Killed after everything was in its place.
            fs::remove_dir_all(&staging).map_err(StoreError::io(&staging))?;
        }
        let known = self.keys().all().await?;
        let destroyed: Vec<Vec<u8>> = db::query_scalar("SELECT key_id FROM erasure WHERE done = 1").fetch_all(self.reader()).await?;
        let back: Vec<KeyId> = destroyed.iter().filter_map(|id| rows::array(id, "key id").ok()).filter(|id| known.contains(id)).collect();
        self.keys().destroy(&back).await?;
        let restored: Option<String> =
            db::query_scalar("SELECT value FROM house WHERE name = 'restored'").fetch_optional(self.reader()).await?;
        if let Some(how) = restored {
            if how == SHORTER {
                self.keys().remember_instead(self.checkpoint().await?.as_ref()).await?;
            }
            self.erase_again(&known).await?;
        }
        let Some(note) = self.keys().remembered().await? else { return Ok(()) };
        let last = crate::Checkpoint::open(&note, &self.verifier_key())?;
        let size = self.checkpoint().await?.map_or(0, |c| c.checkpoint.size);
        if size < last.size || self.root_at(last.size).await? != Some(last.root) {
            return Err(StoreError::LogForked { size, remembered: last.size });
        }
        Ok(())
    }

    /// After a restore: whatever was sealed under a key that is not there any more was erased since the copy was made.
    async fn erase_again(&self, known: &HashSet<KeyId>) -> Result<()> {
        let is_known = |id: &[u8]| rows::array(id, "key id").is_ok_and(|id| known.contains(&id));
        let named =
            db::query("SELECT key_id, stream, class FROM event WHERE sealed IS NOT NULL UNION SELECT key_id, stream, class FROM blob")
                .fetch_all(self.reader())
                .await?;
        let holdings: Vec<Vec<u8>> =
            db::query_scalar("SELECT key_id FROM holding UNION SELECT key_id FROM holding_image").fetch_all(self.reader()).await?;
        // The register's and the holdings' keys are never destroyed: a key store without them does not belong here.
        let mut lacking = holdings.iter().any(|id| !is_known(id));
        let mut gone = 0_u64;
        let mut tx = self.write().await?;
        for row in &named {
            let (id, stream, class): (&[u8], &[u8], &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if is_known(id) {
                continue;
            }
            lacking |= matches!(rows::stream_from(stream)?, StreamId::Register);
            gone += 1;
            db::query(
                "INSERT INTO erasure (key_id, stream, class, at, done)
                 VALUES ($1, $2, $3, (SELECT coalesce(max(at), 0) FROM event), 0) ON CONFLICT DO NOTHING",
            )
            .bind(id)
            .bind(stream)
            .bind(class)
            .execute(&mut *tx)
            .await?;
        }
        if lacking {
            return Err(StoreError::Damaged {
                what: "key store (it lacks keys that are never destroyed: it does not belong to these records)",
            });
        }
        let drafts: Vec<(Vec<u8>, Vec<u8>)> = db::query_as("SELECT id, key_id FROM draft").fetch_all(&mut *tx).await?;
        for (draft, _) in drafts.iter().filter(|(_, key)| !is_known(key)) {
            db::query("DELETE FROM draft WHERE id = $1").bind(draft).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.resume_erasures().await?;
        let mut tx = self.write().await?;
        db::query("DELETE FROM house WHERE name = 'restored'").execute(&mut *tx).await?;
        db::query("INSERT INTO house (name, value) VALUES ('erased-again', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(gone.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.scrub().await
    }
}

/// What a restored database says of a log that lost its end, and this was accepted.
const SHORTER: &str = "shorter";
/// What copies records and keys that are on PostgreSQL.
pub const INSTEAD_OF_BACKUP: &str = "pg_dump or base backups, of the records and of the keys apart, with the newest state of the keys only";
/// What brings them back.
pub const INSTEAD_OF_RESTORE: &str = "pg_restore into an empty records' database, then `countersign store restored`";
const STAGING: &str = ".being-restored";

/// The size of the last checkpoint that a key store remembers, its signature not looked at.
async fn remembered_in(mut db: SqliteConnection) -> Result<Option<u64>> {
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE name = 'fact'").fetch_optional(&mut db).await?;
    let size: Option<String> = match known {
        Some(_) => sqlx::query_scalar("SELECT value FROM fact WHERE name = 'log-size'").fetch_optional(&mut db).await?,
        None => None,
    };
    db.close().await?;
    Ok(size.and_then(|s| s.parse().ok()))
}

/// One connection to a database, outside the store's own.
async fn plain(path: &Path) -> Result<SqliteConnection> {
    Ok(crate::place::sqlite_options(path, false).connect().await?)
}

async fn sound(db: &mut SqliteConnection) -> Result<()> {
    let said: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut *db).await?;
    // A copy is one file: no write-ahead log stands beside it.
    sqlx::query("PRAGMA journal_mode = DELETE").execute(db).await?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { what: "database of records (its pages do not add up)" }) }
}

/// The folder beside `to` that a copy is made in.
fn begin(to: &Path) -> Result<PathBuf> {
    if to.exists() && fs::read_dir(to).map_err(StoreError::io(to))?.next().is_some() {
        return Err(StoreError::AlreadyExists { path: to.to_owned() });
    }
    let name = to.file_name().ok_or(StoreError::Invalid("a copy has a folder of its own"))?;
    let making = to.with_file_name(format!(".{}.being-made", name.to_string_lossy()));
    if making.exists() {
        fs::remove_dir_all(&making).map_err(StoreError::io(&making))?;
    }
    make_private_dir(&making)?;
    Ok(making)
}

fn place_whole(making: &Path, to: &Path) -> Result<()> {
    fs::File::open(making).and_then(|d| d.sync_all()).map_err(StoreError::io(making))?;
    move_into(making, to)
}

/// Renames, durably.
fn move_into(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(StoreError::io(parent))?;
        if parent.file_name().is_some_and(|n| n == "secrets") {
            make_private_dir(parent)?;
        }
        fs::rename(from, to).map_err(StoreError::io(to))?;
        return fs::File::open(parent).and_then(|p| p.sync_all()).map_err(StoreError::io(parent));
    }
    fs::rename(from, to).map_err(StoreError::io(to))
}

fn list(folder: &Path, name: &str, manifest: &mut Manifest) -> Result<()> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path).map_err(StoreError::io(&path))?.len();
    manifest.files.insert(name.to_owned(), (bytes, sha256_of(&path)?));
    Ok(())
}

fn sha256_of(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).map_err(StoreError::io(path))?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(StoreError::io(path))? {
            0 => return Ok(hex::encode(context.finish())),
            n => context.update(&chunk[..n]),
        }
    }
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        make_private_dir(parent)?;
    }
    let mut source = fs::File::open(from).map_err(StoreError::io(from))?;
    let mut target = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to).map_err(StoreError::io(to))?;
    std::io::copy(&mut source, &mut target).and_then(|_| target.flush()).and_then(|()| target.sync_all()).map_err(StoreError::io(to))
}

fn holds_files(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|e| !e.path().is_dir() || holds_files(&e.path()))
}

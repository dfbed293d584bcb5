//! The master key's place, and three more secrets wrapped by it.
//!
//! `secrets/` must be 0700 and each file 0600. `master.key` holds 32 random bytes as hexadecimal and
//! is what escrow keeps, or `master.pkcs11` says which token keeps it ([`crate::hsm`]); `log.key` and `certificate.key` (seeds of the Ed25519 keys that sign checkpoints and
//! certificates) and `lookup.key` (HMAC key) are wrapped, and tell a wrong master key from the right one. While a
//! rotation is not finished, `master.next.key` or `master.next.pkcs11` is there too, and what either of the two wrapped is unwrapped.

use crate::hsm::{TokenProvider, Whereabouts};
use crate::provider::{FileProvider, KeyProvider, Masters};
use crate::sealing::{Aad, SealingKey, Secret, random};
use crate::{Result, StoreError};
use aws_lc_rs::hmac;
use ledger::SigningKey;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest secret file, in bytes.
const MAX_SECRET_BYTES: usize = 4096;

pub(crate) struct Secrets {
    masters: Masters,
    log: SigningKey,
    certificate: SigningKey,
    lookup: hmac::Key,
}

impl Secrets {
    pub(crate) fn create(dir: &Path, origin: &str) -> Result<Self> {
        make_private_dir(dir)?;
        let secret: Secret = Zeroizing::new(random()?);
        let masters = Masters::new(Arc::new(FileProvider::new(SealingKey::new(&secret)?)), None);
        let log = make_signing(dir, &masters, "log.key", origin)?;
        let certificate = make_signing(dir, &masters, "certificate.key", &format!("{origin}/certificates"))?;
        let mac: Secret = Zeroizing::new(random()?);
        let sealed = masters.wrap(&Aad::secret("lookup.key"), mac.as_slice())?;
        write_private(&dir.join("lookup.key"), &sealed)?;
        write_master(&dir.join("master.key"), &secret)?;
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
        Ok(Self { masters, log, certificate, lookup: hmac::Key::new(hmac::HMAC_SHA256, mac.as_slice()) })
    }

    pub(crate) fn open(dir: &Path) -> Result<Self> {
        check_private(dir, 0o700)?;
        let masters = open_masters(dir)?;
        let log = open_signing(dir, &masters, "log.key")?;
        let certificate = open_signing(dir, &masters, "certificate.key")?;
        let sealed = read_private(&dir.join("lookup.key"))?;
        let mac = masters.unwrap(&Aad::secret("lookup.key"), &sealed)?.ok_or(StoreError::WrongMasterKey)?;
        Ok(Self { masters, log, certificate, lookup: hmac::Key::new(hmac::HMAC_SHA256, &mac) })
    }

    pub(crate) fn masters(&self) -> &Masters {
        &self.masters
    }

    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.log
    }

    pub(crate) fn certificate_key(&self) -> &SigningKey {
        &self.certificate
    }

    /// `HMAC-SHA-256(look-up key, kind ‖ 0x00 ‖ value)`. Kinds hold no zero byte.
    pub(crate) fn mac(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.lookup);
        context.update(kind.as_bytes());
        context.update(&[0]);
        context.update(value);
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

/// Begins a rotation, or goes on with one: the key in use and the next, which is made if it is not there. `token` names a
/// private file that says in which token the next one is.
pub(crate) fn begin_rotation(dir: &Path, token: Option<&Path>) -> Result<Masters> {
    check_private(dir, 0o700)?;
    if let (None, Some((next, kind))) = (place_of(dir, MASTER), place_of(dir, NEXT)) {
        // The last rotation was stopped when only this was left to do.
        fs::rename(&next, dir.join(format!("{MASTER}.{kind}"))).map_err(StoreError::io(&next))?;
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
    }
    if let Some((next, kind)) = place_of(dir, NEXT) {
        let asked = token.map(Whereabouts::read).transpose()?;
        let pending = if kind == TOKEN { Some(Whereabouts::read(&next)?) } else { None };
        if !same_key(asked.as_ref(), pending.as_ref()) {
            return Err(StoreError::Invalid(
                "a rotation to another master key is under way: run it again as it was asked for first, then this one",
            ));
        }
    } else {
        // Whole or not at all: half a key would be no key.
        let making = dir.join("master.being-made");
        let _ = fs::remove_file(&making); // left by a process that was killed here, or not there
        let kind = match token {
            Some(file) => {
                let place = Whereabouts::read(file)?;
                if place_of(dir, MASTER)
                    .is_some_and(|(path, kind)| kind == TOKEN && Whereabouts::read(&path).is_ok_and(|now| now.same_key(&place)))
                {
                    return Err(StoreError::Invalid("that is the master key in use; name another"));
                }
                TokenProvider::open_or_make(place)?;
                write_private(&making, &read_private(file)?)?;
                TOKEN
            }
            None => {
                let secret: Secret = Zeroizing::new(random()?);
                write_master(&making, &secret)?;
                FILE
            }
        };
        let next = dir.join(format!("{NEXT}.{kind}"));
        fs::rename(&making, &next).map_err(StoreError::io(&next))?;
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
    }
    open_masters(dir)
}

/// Ends a rotation, once every data key is wrapped by the next master key: the three secrets beside it are too, and the
/// next becomes the one in use. The file of the former is overwritten before it is let go.
pub(crate) fn end_rotation(dir: &Path, masters: &Masters) -> Result<()> {
    for file in ["log.key", "certificate.key", "lookup.key"] {
        let path = dir.join(file);
        if let Some(wrapped) = masters.rewrap(&Aad::secret(file), &read_private(&path)?)? {
            let making = dir.join(format!("{file}.being-made"));
            let _ = fs::remove_file(&making); // left by a process that was killed here, or not there
            write_private(&making, &wrapped)?;
            fs::rename(&making, &path).map_err(StoreError::io(&path))?;
        }
    }
    // Their new wrappings are there before the former master key goes, whatever order a file system keeps.
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
    let missing = || StoreError::NotAStore { path: dir.to_owned(), missing: "the next master key" };
    let ((former, _), (next, kind)) = (place_of(dir, MASTER).ok_or_else(missing)?, place_of(dir, NEXT).ok_or_else(missing)?);
    let mut last = fs::OpenOptions::new().write(true).open(&former).map_err(StoreError::io(&former))?;
    // Of two kinds, the former goes first: with the next alone, it is the one in use (`open_masters`).
    let path = dir.join(format!("{MASTER}.{kind}"));
    if former != path {
        fs::remove_file(&former).map_err(StoreError::io(&former))?;
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
        last.write_all(&[b'0'; 64]).and_then(|()| last.sync_all()).map_err(StoreError::io(&former))?;
        return fs::rename(&next, &path).and_then(|()| fs::File::open(dir)).and_then(|d| d.sync_all()).map_err(StoreError::io(&next));
    }
    fs::rename(&next, &path).map_err(StoreError::io(&path))?;
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
    last.write_all(&[b'0'; 64]).and_then(|()| last.sync_all()).map_err(StoreError::io(&former))
}

/// The master key in use, and the one that takes its place: by the beginnings of their files' names.
const MASTER: &str = "master";
const NEXT: &str = "master.next";
/// The ends of those names: the key itself, or where it is.
const FILE: &str = "key";
const TOKEN: &str = "pkcs11";

/// Whether both are the same key of a token, or both a key in a file.
fn same_key(a: Option<&Whereabouts>, b: Option<&Whereabouts>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.same_key(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The file of a master key, and its kind.
fn place_of(dir: &Path, name: &str) -> Option<(PathBuf, &'static str)> {
    [FILE, TOKEN].into_iter().map(|kind| (dir.join(format!("{name}.{kind}")), kind)).find(|(path, _)| path.exists())
}

/// Whether a directory holds a master key, or says where it is.
pub(crate) fn there(dir: &Path) -> bool {
    place_of(dir, MASTER).or_else(|| place_of(dir, NEXT)).is_some()
}

fn write_master(path: &Path, secret: &Secret) -> Result<()> {
    let mut text = Zeroizing::new(hex::encode(secret.as_slice()));
    text.push('\n');
    write_private(path, text.as_bytes())
}

fn open_master((path, kind): &(PathBuf, &'static str)) -> Result<Arc<dyn KeyProvider>> {
    if *kind == TOKEN {
        return Ok(Arc::new(TokenProvider::open(Whereabouts::read(path)?)?));
    }
    let text = read_private(path)?;
    let mut secret: Secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii_end(), secret.as_mut_slice()).map_err(|_| StoreError::BadSecret { path: path.to_owned() })?;
    Ok(Arc::new(FileProvider::new(SealingKey::new(&secret)?)))
}

fn open_masters(dir: &Path) -> Result<Masters> {
    let next = place_of(dir, NEXT).map(|next| open_master(&next)).transpose()?;
    match (place_of(dir, MASTER), next) {
        (Some(master), next) => Ok(Masters::new(open_master(&master)?, next)),
        // Killed between the going of one and the other's taking its place: all is wrapped by the next.
        (None, Some(next)) => Ok(Masters::new(next, None)),
        (None, None) => Err(StoreError::NotAStore { path: dir.to_owned(), missing: "secrets/master.key" }),
    }
}

/// A new key that signs under one name, which is sealed beside its seed: it is for that alone.
fn make_signing(dir: &Path, masters: &Masters, file: &'static str, name: &str) -> Result<SigningKey> {
    let seed: Secret = Zeroizing::new(random()?);
    let key = SigningKey::from_seed(name, *seed)?;
    let mut plain = Zeroizing::new(seed.to_vec());
    plain.extend_from_slice(name.as_bytes());
    write_private(&dir.join(file), &masters.wrap(&Aad::secret(file), &plain)?)?;
    Ok(key)
}

fn open_signing(dir: &Path, masters: &Masters, file: &'static str) -> Result<SigningKey> {
    let path = dir.join(file);
    let plain = masters.unwrap(&Aad::secret(file), &read_private(&path)?)?.ok_or(StoreError::WrongMasterKey)?;
    let bad = || StoreError::BadSecret { path: path.clone() };
    let (seed, name) = plain.split_first_chunk::<32>().ok_or_else(bad)?;
    Ok(SigningKey::from_seed(std::str::from_utf8(name).map_err(|_| bad())?, *seed)?)
}

/// Makes a directory that only its owner can use; an existing one must already be so.
pub(crate) fn make_private_dir(dir: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::io(dir))?;
    // An empty directory made beforehand (mktemp, an administrator) is narrowed, not refused.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(StoreError::io(dir))
}

fn check_private(path: &Path, limit: u32) -> Result<()> {
    let mode = fs::metadata(path).map_err(StoreError::io(path))?.permissions().mode() & 0o7777;
    if mode & !limit == 0 { Ok(()) } else { Err(StoreError::Permissions { path: path.to_owned(), mode, limit }) }
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(StoreError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io(path))
}

pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    check_private(path, 0o600)?;
    let bytes = Zeroizing::new(fs::read(path).map_err(StoreError::io(path))?);
    crate::within("secret file", bytes.len(), MAX_SECRET_BYTES, "bytes")?;
    Ok(bytes)
}

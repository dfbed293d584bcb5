//! The file key provider: the master key in a private file, and three more secrets sealed under it.
//!
//! `secrets/` must be 0700 and each file 0600. `master.key` holds 32 random bytes as hexadecimal and
//! is what escrow keeps; `log.key` and `certificate.key` (seeds of the Ed25519 keys that sign checkpoints and
//! certificates) and `lookup.key` (HMAC key) are sealed, and tell a wrong master key from the right one.

use crate::sealing::{Aad, SealingKey, Secret, random};
use crate::{Result, StoreError};
use aws_lc_rs::hmac;
use ledger::SigningKey;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest secret file, in bytes.
const MAX_SECRET_BYTES: usize = 4096;

pub(crate) struct Secrets {
    master: Arc<SealingKey>,
    log: SigningKey,
    certificate: SigningKey,
    lookup: hmac::Key,
}

impl Secrets {
    pub(crate) fn create(dir: &Path, origin: &str) -> Result<Self> {
        make_private_dir(dir)?;
        let secret: Secret = Zeroizing::new(random()?);
        let master = Arc::new(SealingKey::new(&secret)?);
        let log = make_signing(dir, &master, "log.key", origin)?;
        let certificate = make_signing(dir, &master, "certificate.key", &format!("{origin}/certificates"))?;
        let mac: Secret = Zeroizing::new(random()?);
        let sealed = master.seal(&Aad::secret("lookup.key"), mac.as_slice())?;
        write_private(&dir.join("lookup.key"), &sealed)?;
        let mut text = Zeroizing::new(hex::encode(secret.as_slice()));
        text.push('\n');
        write_private(&dir.join("master.key"), text.as_bytes())?;
        fs::File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))?;
        Ok(Self { master, log, certificate, lookup: hmac::Key::new(hmac::HMAC_SHA256, mac.as_slice()) })
    }

    pub(crate) fn open(dir: &Path) -> Result<Self> {
        check_private(dir, 0o700)?;
        let path = dir.join("master.key");
        let text = read_private(&path)?;
        let mut secret: Secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim_ascii_end(), secret.as_mut_slice()).map_err(|_| StoreError::BadSecret { path })?;
        let master = Arc::new(SealingKey::new(&secret)?);

        let log = open_signing(dir, &master, "log.key")?;
        let certificate = open_signing(dir, &master, "certificate.key")?;
        let sealed = read_private(&dir.join("lookup.key"))?;
        let mac = master.open(&Aad::secret("lookup.key"), &sealed).ok_or(StoreError::WrongMasterKey)?;
        Ok(Self { master, log, certificate, lookup: hmac::Key::new(hmac::HMAC_SHA256, &mac) })
    }

    pub(crate) fn master(&self) -> Arc<SealingKey> {
        self.master.clone()
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

/// A new key that signs under one name, which is sealed beside its seed: it is for that alone.
fn make_signing(dir: &Path, master: &SealingKey, file: &'static str, name: &str) -> Result<SigningKey> {
    let seed: Secret = Zeroizing::new(random()?);
    let key = SigningKey::from_seed(name, *seed)?;
    let mut plain = Zeroizing::new(seed.to_vec());
    plain.extend_from_slice(name.as_bytes());
    write_private(&dir.join(file), &master.seal(&Aad::secret(file), &plain)?)?;
    Ok(key)
}

fn open_signing(dir: &Path, master: &SealingKey, file: &'static str) -> Result<SigningKey> {
    let path = dir.join(file);
    let plain = master.open(&Aad::secret(file), &read_private(&path)?).ok_or(StoreError::WrongMasterKey)?;
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

fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(StoreError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StoreError::io(path))
}

pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    check_private(path, 0o600)?;
    let bytes = Zeroizing::new(fs::read(path).map_err(StoreError::io(path))?);
    crate::within("secret file", bytes.len(), MAX_SECRET_BYTES, "bytes")?;
    Ok(bytes)
}

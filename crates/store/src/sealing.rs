//! AES-256-GCM, with what a sealed thing is for bound in as associated data, so that sealed bytes
//! moved to another place do not open there.
//!
//! Sealed bytes are `nonce (12 random bytes) ‖ ciphertext ‖ tag (16 bytes)`. Associated data is
//! `"countersign.seal.v1" ‖ 0x00 ‖ purpose byte ‖ fixed-length fields`, built by [`Aad`].

use crate::{Result, StoreError};
use aws_lc_rs::aead::{AES_256_GCM, Aad as Associated, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use casework::record::RetentionClass;
use zeroize::Zeroizing;

/// Bytes that sealing adds.
#[cfg(test)]
pub(crate) const OVERHEAD: usize = NONCE_LEN + 16;

/// 32 secret bytes, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Fills an array from the operating system's random source.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StoreError::Random)?;
    Ok(bytes)
}

/// What a sealed thing is for.
pub(crate) struct Aad(Vec<u8>);

impl Aad {
    fn new(purpose: u8) -> Self {
        let mut bytes = b"countersign.seal.v1\0".to_vec();
        bytes.push(purpose);
        Self(bytes)
    }
    /// What is authenticated with what is sealed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn with(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(field);
        self
    }
    /// An event's payload: stream (17 bytes), seq (8, big-endian), class code (1).
    pub(crate) fn event(stream: &[u8; 17], seq: u64, class: RetentionClass) -> Self {
        Self::new(b'E').with(stream).with(&seq.to_be_bytes()).with(&[class_code(class)])
    }
    /// A blob: stream (17), class code (1), blob id (16).
    pub(crate) fn blob(stream: &[u8; 17], class: RetentionClass, id: &[u8; 16]) -> Self {
        Self::new(b'B').with(stream).with(&[class_code(class)]).with(id)
    }
    /// A draft: id (16), version (8).
    pub(crate) fn draft(id: &[u8; 16], version: u64) -> Self {
        Self::new(b'D').with(id).with(&version.to_be_bytes())
    }
    /// A holding's image or biography: reference (16), then the gallery's name.
    pub(crate) fn holding(gallery: &str, reference: &[u8; 16], image: bool) -> Self {
        Self::new(if image { b'I' } else { b'J' }).with(reference).with(gallery.as_bytes())
    }
    /// A session: SHA-256 of its id (32).
    pub(crate) fn session(key: &[u8; 32]) -> Self {
        Self::new(b'S').with(key)
    }
    /// A wrapped data key: key id (16), then its scope.
    pub(crate) fn wrap(key_id: &[u8; 16], scope: &[u8]) -> Self {
        Self::new(b'W').with(key_id).with(scope)
    }
    /// A file under `secrets/`: its name.
    pub(crate) fn secret(name: &str) -> Self {
        Self::new(b'F').with(name.as_bytes())
    }
}

/// Stable one-byte codes; the database's own column says the class in words.
fn class_code(class: RetentionClass) -> u8 {
    match class {
        RetentionClass::Record => 1,
        RetentionClass::Images => 2,
        RetentionClass::Candidates => 3,
        RetentionClass::Mail => 4,
        RetentionClass::Disclosure => 5,
    }
}

/// An AES-256-GCM key. The provider wipes its copy when freed.
pub(crate) struct SealingKey(LessSafeKey);

impl SealingKey {
    pub(crate) fn new(secret: &Secret) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM, secret.as_slice()).map_err(|_| StoreError::Damaged { what: "key" })?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals `plain` under a fresh random nonce. One key seals far fewer than 2³² things.
    pub(crate) fn seal(&self, aad: &Aad, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + 16);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Associated::from(&aad.0), &mut sealed[NONCE_LEN..])
            .map_err(|_| StoreError::Invalid("too large to seal"))?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] made for the same purpose; `None` if it was made for another, under
    /// another key, or was changed.
    pub(crate) fn open(&self, aad: &Aad, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.0.open_in_place(nonce, Associated::from(&aad.0), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&Zeroizing::new([byte; 32])).unwrap()
    }

    #[test]
    fn opens_only_where_it_was_sealed() {
        let stream = [b'R'; 17];
        let here = Aad::event(&stream, 7, RetentionClass::Record);
        let sealed = key(1).seal(&here, b"canary").unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD);
        assert!(!sealed.windows(6).any(|w| w == b"canary"));
        assert_eq!(key(1).open(&here, &sealed).unwrap().as_slice(), b"canary");

        assert!(key(2).open(&here, &sealed).is_none());
        for elsewhere in [
            Aad::event(&stream, 8, RetentionClass::Record),
            Aad::event(&stream, 7, RetentionClass::Images),
            Aad::event(&[b'C'; 17], 7, RetentionClass::Record),
            Aad::draft(&[0; 16], 7),
        ] {
            assert!(key(1).open(&elsewhere, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(key(1).open(&here, &bad).is_none(), "byte {at}");
            assert!(key(1).open(&here, &sealed[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn the_same_thing_never_seals_alike() {
        let aad = Aad::draft(&[0; 16], 1);
        assert_ne!(key(1).seal(&aad, b"x").unwrap(), key(1).seal(&aad, b"x").unwrap());
    }
}

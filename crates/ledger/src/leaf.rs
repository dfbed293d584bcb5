//! What goes into the log for one recorded event: 32 bytes, nothing guessable.

use aws_lc_rs::{digest, hmac};

/// Prefix of every committed message.
const COMMITMENT_DOMAIN: &[u8] = b"countersign.commitment.v1\0";
/// Prefix of every leaf's preimage.
const LEAF_DOMAIN: &[u8] = b"countersign.leaf.v1\0";

/// A hiding, binding commitment to some bytes:
/// `HMAC-SHA-256(key = salt, "countersign.commitment.v1" ‖ 0x00 ‖ bytes)`.
///
/// With a fresh random 256-bit salt it tells nothing about the bytes, however few values they could
/// take; once the salt is destroyed nobody can test a guess any more. The salt's fixed length rules
/// out HMAC's equivalent keys, so it binds as SHA-256 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// Commits to `bytes` under `salt`, 32 fresh random bytes that are used for nothing else.
    #[must_use]
    pub fn new(salt: &[u8; 32], bytes: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
        let mut context = hmac::Context::with_key(&key);
        context.update(COMMITMENT_DOMAIN);
        context.update(bytes);
        Self(to_array(context.sign().as_ref()))
    }
}

/// One entry of the log: `SHA-256("countersign.leaf.v1" ‖ 0x00 ‖ header ‖ payload)`, where `header`
/// and `payload` are the 32-byte [`Commitment`]s to an event's clear header and its sealed payload.
///
/// No id, kind, time or unsalted digest goes in. Because the two parts are committed to apart, a
/// payload (and the salt sealed beside it) can be destroyed and the leaf still be recomputed from
/// the header, its salt and the payload's bare commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf(pub [u8; 32]);

impl Leaf {
    /// The leaf for an event whose header and payload were committed to.
    #[must_use]
    pub fn new(header: &Commitment, payload: &Commitment) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(LEAF_DOMAIN);
        context.update(&header.0);
        context.update(&payload.0);
        Self(to_array(context.finish().as_ref()))
    }
}

/// SHA-256 output as an array; both callers hand over exactly 32 bytes.
fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code, with Python's `hmac` and `hashlib`, so that the documented
    /// bytes are the bytes.
    #[test]
    fn the_documented_bytes() {
        let header = Commitment::new(&[0x11; 32], b"header");
        let payload = Commitment::new(&[0x22; 32], b"payload");
        assert_eq!(hex::encode(header.0), "f4bd1588d9d7cfee76f6ef63c540b091b44c7d3b2e807f78575fea2db5a34dcb");
        assert_eq!(hex::encode(payload.0), "95c1ccb78665a7a9f038672e3763ecd0da8b3518e6d7b79525bba6baa6a57b14");
        assert_eq!(hex::encode(Leaf::new(&header, &payload).0), "8880a24b977a518b39a5011212bcc0a65dea2b2c6468e8e643e33effc8af2fcd");
    }

    #[test]
    fn salt_bytes_and_order_all_count() {
        let a = Commitment::new(&[1; 32], b"x");
        assert_ne!(a, Commitment::new(&[2; 32], b"x"));
        assert_ne!(a, Commitment::new(&[1; 32], b"y"));
        let b = Commitment::new(&[2; 32], b"x");
        assert_ne!(Leaf::new(&a, &b), Leaf::new(&b, &a));
    }
}

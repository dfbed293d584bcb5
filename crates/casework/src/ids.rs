//! Typed, unguessable identifiers. Every id is a UUID made by the caller (version 4: 122 random
//! bits and nothing else, so no id tells when it was made or what came before it); `casework` itself reads no clock and no random source.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl $name {
            /// The id as 16 bytes, big-endian, as stored.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] { self.0.as_bytes() }
            /// A fixed id for tests and demo data: 15 zero bytes, then `n`.
            #[must_use]
            pub const fn fixed(n: u128) -> Self { Self(Uuid::from_u128(n)) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> { Uuid::from_str(s).map(Self) }
        }
        impl From<Uuid> for $name { fn from(u: Uuid) -> Self { Self(u) } }
        impl From<$name> for Uuid { fn from(id: $name) -> Self { id.0 } }
    };
}

id!(/// One facial image search request: one form, one investigation, one gallery (S2).
    RequestId);
id!(/// One image on a request, searched with (a *probe*).
    ProbeId);
id!(/// One entry of a candidate list. Opaque: it carries neither rank nor score.
    CandidateId);
id!(/// One held image and its biography in a gallery.
    ReferenceId);
id!(/// A person who can act: police or Home Office.
    PersonId);
id!(/// A UK law enforcement organisation on the register (R2).
    LeoId);
id!(/// A Data Sharing Agreement (R2).
    DsaId);
id!(/// A Home Office team (R3).
    TeamId);
id!(/// Leave to search one probe in one gallery, once (M1).
    AuthorisationId);
id!(/// A sealed blob: image bytes in their own file or object.
    BlobId);
id!(/// An unsent form.
    DraftId);

/// A word that was to name one of a few things, and names none of them. It says which there are: whoever typed it reads that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be one of: {}", known.join(", "))]
pub struct UnknownWord {
    /// What there is.
    pub known: &'static [&'static str],
}

impl UnknownWord {
    /// For `#[strum(parse_err_ty = …, parse_err_fn = …)]`: the error of a word that names no variant of `T`.
    pub(crate) fn of<T: strum::VariantNames>(_word: &str) -> Self {
        Self { known: T::VARIANTS }
    }
}

/// What was to be a [`Digest`] and is none. It says how one looks: whoever typed it reads that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a SHA-256: 64 hexadecimal digits")]
pub struct NoDigest;

/// SHA-256 of some bytes, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}
impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
impl FromStr for Digest {
    type Err = NoDigest;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NoDigest)?;
        Ok(Self(bytes))
    }
}

impl RequestId {
    /// The short reference that people read out and look up: `FIS-` and 8 hexadecimal digits of the
    /// id's random end. Not a secret and not proof of anything: a look-up by it is checked and recorded.
    #[must_use]
    pub fn reference(&self) -> String {
        let digits = hex::encode_upper(&self.as_bytes()[12..]);
        format!("FIS-{}-{}", &digits[..4], &digits[4..])
    }
}

//! How ids, times and streams are written in a column, and read back with nothing taken on trust.

use crate::{Result, StoreError};
use casework::ids::RequestId;
use casework::record::{GalleryId, RetentionClass, StreamId};
use jiff::Timestamp;
use std::str::FromStr;
use uuid::Uuid;

/// A stream as 17 bytes: a kind letter and the request id, or zeros.
pub(crate) fn stream_key(stream: StreamId) -> [u8; 17] {
    let (kind, id) = match stream {
        StreamId::Request(id) => (b'R', id.0),
        StreamId::Consulted(id) => (b'C', id.0),
        StreamId::Register => (b'G', Uuid::nil()),
        StreamId::House => (b'H', Uuid::nil()),
    };
    let mut key = [0; 17];
    key[0] = kind;
    key[1..].copy_from_slice(id.as_bytes());
    key
}

pub(crate) fn stream_from(key: &[u8]) -> Result<StreamId> {
    let (kind, id) = key.split_first().ok_or(StoreError::Damaged { what: "stream name" })?;
    let id = RequestId(uuid(id)?);
    match kind {
        b'R' => Ok(StreamId::Request(id)),
        b'C' => Ok(StreamId::Consulted(id)),
        b'G' => Ok(StreamId::Register),
        b'H' => Ok(StreamId::House),
        _ => Err(StoreError::Damaged { what: "stream name" }),
    }
}

pub(crate) fn uuid(bytes: &[u8]) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(|_| StoreError::Damaged { what: "id" })
}

pub(crate) fn optional<T: From<Uuid>>(bytes: Option<&[u8]>) -> Result<Option<T>> {
    bytes.map(|b| uuid(b).map(T::from)).transpose()
}

pub(crate) fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Damaged { what: "time" })
}

pub(crate) fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| StoreError::Damaged { what })
}

/// Versions, sizes and indexes are never negative in the database.
pub(crate) fn unsigned(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|_| StoreError::Damaged { what: "number" })
}

/// SQL integers are signed 64-bit; nothing here comes near the edge.
pub(crate) fn signed(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(|_| StoreError::Invalid("the number is larger than can be stored"))
}

pub(crate) fn class_from(text: &str) -> Result<RetentionClass> {
    RetentionClass::from_str(text).map_err(|_| StoreError::Damaged { what: "retention class" })
}

pub(crate) fn gallery_from(text: &str) -> Result<GalleryId> {
    GalleryId::from_str(text).map_err(|_| StoreError::Damaged { what: "gallery name" })
}

pub(crate) fn class_text(class: RetentionClass) -> &'static str {
    class.into()
}

pub(crate) fn gallery_text(gallery: GalleryId) -> &'static str {
    gallery.into()
}

#![doc = include_str!("../README.md")]

mod error;
mod face;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod parse;
mod record;
mod transaction;

pub use error::{Error, Fault, Place};
pub use face::Face;
pub use parse::parse;
pub use record::{Binary, Field, Record, Tagged};
pub use transaction::{Encoding, Header, Transaction};

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 64 * 1000 * 1000;
/// Most records of one file, Type-1 included: IDCs are 0 to 99, and a record of each type may share one.
pub const RECORDS_MAX: usize = 1_000;
/// Most fields of one record.
pub const FIELDS_MAX: usize = 1_000;
/// The longest field of text, in bytes. Pictures are as long as their record says.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The largest information designation character (x.002), by which records are told apart and related.
pub const IDC_MAX: u8 = 99;
/// The largest field number: at most nine digits stand before the colon.
pub const FIELD_NUMBER_MAX: u32 = 999_999_999;
/// The edition that is written (1.002, VER): ANSI/NIST-ITL 1-2011, Update:2015.
pub const VERSION: &str = "0502";

/// File separator: ends a record of fields.
pub(crate) const FS: u8 = 0x1C;
/// Group separator: between fields.
pub(crate) const GS: u8 = 0x1D;
/// Record separator: between subfields.
pub(crate) const RS: u8 = 0x1E;
/// Unit separator: between information items.
pub(crate) const US: u8 = 0x1F;

/// 1.001, 2.001 …: a record's length in bytes, to its end.
pub(crate) const LEN: u32 = 1;
/// 2.002 …: which record this is.
pub(crate) const IDC: u32 = 2;
/// 1.003: what records the file has.
pub(crate) const CNT: u32 = 3;
/// 1.015: how text is encoded.
pub(crate) const DCS: u32 = 15;
/// x.999 of the picture types: bytes.
pub(crate) const DATA: u32 = 999;

/// Types 3 to 8 have no field numbers: four bytes of length, one of IDC, then bytes.
pub(crate) fn is_binary(kind: u8) -> bool {
    (3..=8).contains(&kind)
}

/// From Type-10 on, field 999 is bytes and ends the record.
pub(crate) fn has_data(kind: u8) -> bool {
    kind >= 10
}

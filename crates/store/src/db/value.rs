//! What is bound to a statement and what is read out of a row: numbers, text, bytes, or their absence.

use super::Result;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
use std::sync::Arc;

/// A value that both databases store alike. Absent ones keep their type, which PostgreSQL asks for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// `INTEGER` and `BIGINT`; a flag is 0 or 1.
    Int(Option<i64>),
    /// `TEXT`.
    Text(Option<String>),
    /// `BLOB` and `BYTEA`.
    Bytes(Option<Vec<u8>>),
}

macro_rules! bound {
    ($($from:ty => $value:ident($convert:expr)),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$value(Some($convert(value)))
            }
        }
        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Self::$value(value.map($convert))
            }
        }
    )+};
}
bound! {
    i64 => Int(std::convert::identity),
    &i64 => Int(|n: &i64| *n),
    u32 => Int(i64::from),
    bool => Int(i64::from),
    &str => Text(str::to_owned),
    &String => Text(String::clone),
    String => Text(std::convert::identity),
    &[u8] => Bytes(<[u8]>::to_vec),
    &Vec<u8> => Bytes(Vec::clone),
    Vec<u8> => Bytes(std::convert::identity),
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

/// A row that was read.
#[derive(Debug)]
pub(crate) struct Row {
    names: Arc<[Box<str>]>,
    values: Vec<Cell>,
}

#[derive(Debug)]
enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Which column: its place, from 0, or its name.
pub(crate) trait Index {
    /// Its place in a row with columns of these names.
    fn place(&self, names: &[Box<str>]) -> Result<usize>;
}

impl Index for usize {
    fn place(&self, names: &[Box<str>]) -> Result<usize> {
        if *self < names.len() { Ok(*self) } else { Err(sqlx::Error::ColumnIndexOutOfBounds { index: *self, len: names.len() }) }
    }
}

impl Index for &str {
    fn place(&self, names: &[Box<str>]) -> Result<usize> {
        names.iter().position(|name| **name == **self).ok_or_else(|| sqlx::Error::ColumnNotFound((*self).to_owned()))
    }
}

impl Row {
    /// A column's value as `T`.
    pub(crate) fn try_get<'r, T: Column<'r>, I: Index>(&'r self, index: I) -> Result<T> {
        let place = index.place(&self.names)?;
        let mismatch = || sqlx::Error::ColumnDecode {
            index: self.names.get(place).map(ToString::to_string).unwrap_or_default(),
            source: "the column holds another type than is read from it".into(),
        };
        self.values.get(place).and_then(T::read).ok_or_else(mismatch)
    }
}

/// What a column can be read as.
pub(crate) trait Column<'r>: Sized {
    /// `None`: it holds something else.
    #[expect(private_interfaces, reason = "cells are made and read here alone")]
    fn read(cell: &'r Cell) -> Option<Self>;
}

macro_rules! column {
    ($($type:ty: $pattern:pat => $value:expr),+ $(,)?) => {$(
        impl<'r> Column<'r> for $type {
            #[expect(private_interfaces, reason = "cells are made and read here alone")]
            fn read(cell: &'r Cell) -> Option<Self> {
                match cell {
                    $pattern => $value,
                    _ => None,
                }
            }
        }
    )+};
}
column! {
    i64: Cell::Int(n) => Some(*n),
    u32: Cell::Int(n) => u32::try_from(*n).ok(),
    bool: Cell::Int(n @ (0 | 1)) => Some(*n == 1),
    &'r str: Cell::Text(text) => Some(text.as_str()),
    String: Cell::Text(text) => Some(text.clone()),
    &'r [u8]: Cell::Bytes(bytes) => Some(bytes.as_slice()),
    Vec<u8>: Cell::Bytes(bytes) => Some(bytes.clone()),
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    #[expect(private_interfaces, reason = "cells are made and read here alone")]
    fn read(cell: &'r Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::read(cell).map(Some),
        }
    }
}

/// What a row can be read as.
pub(crate) trait FromRow: Sized {
    /// Reads every column, in order.
    fn from_row(row: &Row) -> Result<Self>;
}

macro_rules! tuple {
    ($($type:ident $place:literal),+) => {
        impl<$($type: for<'r> Column<'r>),+> FromRow for ($($type,)+) {
            fn from_row(row: &Row) -> Result<Self> {
                Ok(($(row.try_get::<$type, usize>($place)?,)+))
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

fn names<C: sqlx::Column>(columns: Option<&[C]>) -> Arc<[Box<str>]> {
    columns.unwrap_or_default().iter().map(|column| Box::from(column.name())).collect()
}

pub(super) fn sqlite_rows(rows: &[SqliteRow]) -> Result<Vec<Row>> {
    let names = names(rows.first().map(SqliteRow::columns));
    rows.iter()
        .map(|row| Ok(Row { names: names.clone(), values: (0..row.len()).map(|n| sqlite_cell(row, n)).collect::<Result<_>>()? }))
        .collect()
}

fn sqlite_cell(row: &SqliteRow, place: usize) -> Result<Cell> {
    let raw = row.try_get_raw(place)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    // SQLite's values know their own type, whatever the column was declared as.
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "INTEGER" => Ok(Cell::Int(row.try_get_unchecked(place)?)),
        "TEXT" => Ok(Cell::Text(row.try_get_unchecked(place)?)),
        "BLOB" => Ok(Cell::Bytes(row.try_get_unchecked(place)?)),
        _ => Err(unknown(place, &kind)),
    }
}

pub(super) fn postgres_rows(rows: &[PgRow]) -> Result<Vec<Row>> {
    let names = names(rows.first().map(PgRow::columns));
    rows.iter()
        .map(|row| Ok(Row { names: names.clone(), values: (0..row.len()).map(|n| postgres_cell(row, n)).collect::<Result<_>>()? }))
        .collect()
}

fn postgres_cell(row: &PgRow, place: usize) -> Result<Cell> {
    let raw = row.try_get_raw(place)?;
    if raw.is_null() {
        return Ok(Cell::Null);
    }
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "INT8" => Ok(Cell::Int(row.try_get(place)?)),
        "INT4" => Ok(Cell::Int(row.try_get::<i32, _>(place)?.into())),
        "BOOL" => Ok(Cell::Int(row.try_get::<bool, _>(place)?.into())),
        "TEXT" | "VARCHAR" | "NAME" => Ok(Cell::Text(row.try_get(place)?)),
        "BYTEA" => Ok(Cell::Bytes(row.try_get(place)?)),
        _ => Err(unknown(place, &kind)),
    }
}

fn unknown(place: usize, kind: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: place.to_string(), source: format!("no statement here reads the type {kind}").into() }
}

//! What is wrong with a file, and where. No message repeats the text of a field: it may be somebody's name.

use std::fmt;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct Error {
    /// Where.
    pub at: Place,
    /// What.
    #[source]
    pub fault: Fault,
}

/// Where in a file, or in what is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes from the beginning; none where nothing was read.
    pub offset: Option<usize>,
    /// Which record, from 1, and its type.
    pub record: Option<(usize, u8)>,
    /// Which field of it.
    pub field: Option<u32>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "byte {offset}")?,
            None => f.write_str("a record to be written")?,
        }
        if let Some((number, kind)) = self.record {
            write!(f, ", record {number} (Type-{kind})")?;
            if let Some(field) = self.field {
                write!(f, ", field {kind}.{field:03}")?;
            }
        } else if let Some(field) = self.field {
            write!(f, ", field {field:03}")?;
        }
        Ok(())
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not such a file at all.
    #[error("this is no ANSI/NIST-ITL file in traditional encoding: it does not begin with \"1.001:\"")]
    NotNist,
    /// A limit.
    #[error("{what}: {given}; at most {most} are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        given: usize,
        /// How many are allowed.
        most: usize,
    },
    /// It ends too early.
    #[error("the file ends before the record does: {missing} bytes are missing")]
    Short {
        /// By so many bytes.
        missing: usize,
    },
    /// It does not end.
    #[error("{0} bytes follow the last record that 1.003 (CNT) names")]
    Trailing(usize),
    /// A record's length is not where it ends.
    #[error("the record's length does not lead to its end: the byte there is no file separator (1C)")]
    Length,
    /// A field does not begin with its type and number.
    #[error("a field begins with its record's type, a point, three to nine digits and a colon")]
    Tag,
    /// A field of another record type.
    #[error("a field of another record type stands here")]
    OtherType,
    /// A field that has to be there, or to come first.
    #[error("field {0:03} is missing, or not in its place")]
    Missing(u32),
    /// A field twice.
    #[error("the field is in the record already")]
    Twice,
    /// Something after the picture.
    #[error("nothing may follow field 999")]
    AfterData,
    /// A separator inside text.
    #[error("the text has a separator (1C to 1F) in a place where none belongs")]
    Separator,
    /// A number that is none.
    #[error("this is not {0}")]
    Number(&'static str),
    /// 1.003 does not agree with the records.
    #[error("1.003 (CNT) and the records do not agree: {0}")]
    Count(&'static str),
    /// An edition that is not read.
    #[error("1.002 (VER) is not that of an edition from 1993 to 2015 (0200 to 0502)")]
    Version,
    /// A character set that is not read.
    #[error("1.015 (DCS) names another character set than ASCII, Latin-1 or UTF-8; convert the file")]
    Encoding,
    /// Text that is not in the character set named.
    #[error("the text is not in the character set that 1.015 (DCS) names")]
    Text,
    /// A type that has no place here.
    #[error("Type-{0} cannot be written here")]
    Type(u8),
}

impl Fault {
    /// In something to be written.
    pub(crate) fn unwritten(self, kind: Option<u8>, field: Option<u32>) -> Error {
        Error { at: Place { offset: None, record: kind.map(|k| (0, k)), field }, fault: self }
    }
}

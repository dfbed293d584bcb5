//! A whole file: Type-1, which says what it is, and the records that follow.

use crate::{CNT, DCS, Face, Fault, Field, Place, RECORDS_MAX, Record, Tagged, VERSION, error::Error, record::Style};

/// What Type-1 says of a file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1.004, TOT: the kind of transaction, in the exchanging parties' own terms.
    pub transaction_type: String,
    /// 1.005, DAT: the day, `YYYYMMDD`.
    pub date: String,
    /// 1.007, DAI: the agency it goes to.
    pub destination: String,
    /// 1.008, ORI: the agency it comes from.
    pub origin: String,
    /// 1.009, TCN: what the origin calls it.
    pub control_number: String,
}

/// How a file's text is encoded (1.015, DCS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not declared, or declared as ASCII or 8-bit Latin-1: every byte is a character.
    Latin1,
    /// Declared as UTF-8.
    Utf8,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) type1: Tagged,
    pub(crate) records: Vec<Record>,
}

impl Transaction {
    /// A file with no record yet but Type-1.
    ///
    /// # Errors
    /// As [`Field::text`].
    pub fn new(header: &Header) -> Result<Self, Error> {
        let mut type1 = Tagged { kind: 1, idc: 0, length_style: Style::PLAIN, idc_style: Style::PLAIN, fields: vec![] };
        let fields: [(u32, &str); 8] = [
            (2, VERSION),
            (CNT, ""),
            (4, &header.transaction_type),
            (5, &header.date),
            (7, &header.destination),
            (8, &header.origin),
            (9, &header.control_number),
            (11, "00.00"), // 1.011 and 1.012: no resolution of scanned fingerprints, there are none
        ];
        for (number, text) in fields {
            type1.set(Field::text(number, text)?)?;
        }
        type1.set(Field::text(12, "00.00")?)?;
        let mut out = Self { type1, records: vec![] };
        out.count()?;
        Ok(out)
    }

    /// Says that text is UTF-8 (1.015).
    ///
    /// # Errors
    /// Never in a file from [`Transaction::new`].
    pub fn declare_utf8(&mut self) -> Result<(), Error> {
        self.type1.set(Field::items(DCS, &[&["003", "UTF-8"]])?)
    }

    /// Type-1.
    #[must_use]
    pub fn type1(&self) -> &Tagged {
        &self.type1
    }

    /// The records after Type-1, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records of one type that have fields.
    pub fn tagged(&self, kind: u8) -> impl Iterator<Item = &Tagged> {
        self.records.iter().filter_map(move |r| match r {
            Record::Tagged(t) if t.kind == kind => Some(t),
            _ => None,
        })
    }

    /// Its Type-10 records as faces; one that is none, or lacks what a face has, is an error of its own.
    pub fn faces(&self) -> impl Iterator<Item = Result<Face, Error>> {
        self.records.iter().enumerate().filter_map(|(n, r)| match r {
            Record::Tagged(t) if t.kind == 10 => Some(Face::of(t, Place { offset: None, record: Some((n + 2, 10)), field: None })),
            _ => None,
        })
    }

    /// Adds a record, and its line to 1.003 (CNT).
    ///
    /// # Errors
    /// [`Fault::TooMany`] past [`RECORDS_MAX`].
    pub fn push(&mut self, record: impl Into<Record>) -> Result<(), Error> {
        if self.records.len() + 2 > RECORDS_MAX {
            return Err(Fault::TooMany { what: "records", given: self.records.len() + 2, most: RECORDS_MAX }.unwritten(None, None));
        }
        self.records.push(record.into());
        self.count()
    }

    fn count(&mut self) -> Result<(), Error> {
        let mut lines = vec![["1".to_owned(), self.records.len().to_string()]];
        lines.extend(self.records.iter().map(|r| [r.kind().to_string(), format!("{:02}", r.idc())]));
        let value = lines.iter().map(|l| l.join("\u{1F}")).collect::<Vec<_>>().join("\u{1E}");
        self.type1.set(Field { number: CNT, digits: 3, value: value.into_bytes() })
    }

    /// How its text is encoded.
    ///
    /// # Errors
    /// [`Fault::Encoding`] for a character set that is not read.
    pub fn encoding(&self) -> Result<Encoding, Error> {
        let Some(field) = self.type1.field(DCS) else { return Ok(Encoding::Latin1) };
        let code = field.subfields().next().and_then(|mut items| items.next()).unwrap_or_default();
        match code {
            b"000" | b"001" => Ok(Encoding::Latin1),
            b"003" => Ok(Encoding::Utf8),
            _ => Err(Error { at: Place { offset: None, record: Some((1, 1)), field: Some(DCS) }, fault: Fault::Encoding }),
        }
    }

    /// A field's text; `None` if the record has no such field. Subfields are joined by `; `, items by `, `.
    ///
    /// # Errors
    /// [`Fault::Encoding`], [`Fault::Text`].
    pub fn text(&self, record: &Tagged, number: u32) -> Result<Option<String>, Error> {
        let Some(field) = record.field(number) else { return Ok(None) };
        let bad = || Fault::Text.unwritten(Some(record.kind), Some(number));
        let encoding = self.encoding()?;
        let decode = |bytes: &[u8]| match encoding {
            Encoding::Latin1 => Ok(bytes.iter().map(|b| char::from(*b)).collect::<String>()),
            Encoding::Utf8 => std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| bad()),
        };
        let subfields: Vec<String> = field
            .subfields()
            .map(|items| items.map(decode).collect::<Result<Vec<_>, _>>().map(|i| i.join(", ")))
            .collect::<Result<_, _>>()?;
        Ok(Some(subfields.join("; ")))
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![];
        self.type1.write(&mut out);
        self.records.iter().for_each(|r| r.write(&mut out));
        out
    }
}

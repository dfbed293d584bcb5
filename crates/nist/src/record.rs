//! Records and fields, as bytes with their separators.

use crate::{
    DATA, FIELD_NUMBER_MAX, FIELDS_MAX, FS, Fault, GS, IDC, IDC_MAX, LEN, RS, TEXT_BYTES_MAX, US, error::Error, has_data, is_binary,
};

/// A record after Type-1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// One with numbered fields.
    Tagged(Tagged),
    /// One of types 3 to 8, kept as it is.
    Binary(Binary),
}

impl Record {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Tagged(r) => r.kind,
            Self::Binary(r) => r.kind,
        }
    }

    /// Its information designation character.
    #[must_use]
    pub fn idc(&self) -> u8 {
        match self {
            Self::Tagged(r) => r.idc,
            Self::Binary(r) => r.idc,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Tagged(r) => r.write(out),
            Self::Binary(r) => r.write(out),
        }
    }
}

impl From<Tagged> for Record {
    fn from(record: Tagged) -> Self {
        Self::Tagged(record)
    }
}

/// A record of types 3 to 8: length, IDC, bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Binary {
    pub(crate) kind: u8,
    pub(crate) idc: u8,
    /// What follows length and IDC.
    pub(crate) rest: Vec<u8>,
}

impl std::fmt::Debug for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Binary(Type-{}, IDC {}, {} bytes)", self.kind, self.idc, self.rest.len())
    }
}

impl Binary {
    fn write(&self, out: &mut Vec<u8>) {
        // Read from four bytes of length, so it fits them; FILE_BYTES_MAX is far below.
        let length = u32::try_from(self.rest.len() + 5).unwrap_or(u32::MAX);
        out.extend(length.to_be_bytes());
        out.push(self.idc);
        out.extend(&self.rest);
    }
}

/// A field: its number and its bytes, separators between subfields and items included.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    pub(crate) number: u32,
    /// Digits that the number is written with; three at least.
    pub(crate) digits: usize,
    pub(crate) value: Vec<u8>,
}

impl std::fmt::Debug for Field {
    // A value may be somebody's name or face.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Field({:03}, {} bytes)", self.number, self.value.len())
    }
}

impl Field {
    /// A field with one piece of text. Characters beyond ASCII need [`crate::Transaction::declare_utf8`].
    ///
    /// # Errors
    /// [`Fault::Separator`], [`Fault::TooMany`], [`Fault::Number`].
    pub fn text(number: u32, text: &str) -> Result<Self, Error> {
        Self::items(number, &[&[text]])
    }

    /// A field of subfields, each of them of information items.
    ///
    /// # Errors
    /// [`Fault::Separator`], [`Fault::TooMany`], [`Fault::Number`].
    pub fn items(number: u32, subfields: &[&[&str]]) -> Result<Self, Error> {
        let no = |fault: Fault| fault.unwritten(None, Some(number));
        if number == 0 || number > FIELD_NUMBER_MAX {
            return Err(no(Fault::Number("a field number")));
        }
        if subfields.iter().copied().flatten().any(|item| item.bytes().any(|b| (FS..=US).contains(&b))) {
            return Err(no(Fault::Separator));
        }
        let value = subfields.iter().map(|items| items.join("\u{1F}")).collect::<Vec<_>>().join("\u{1E}").into_bytes();
        if value.len() > TEXT_BYTES_MAX {
            return Err(no(Fault::TooMany { what: "bytes of text", given: value.len(), most: TEXT_BYTES_MAX }));
        }
        Ok(Self { number, digits: 3, value })
    }

    /// The picture's bytes, field 999.
    #[must_use]
    pub fn data(bytes: Vec<u8>) -> Self {
        Self { number: DATA, digits: 3, value: bytes }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its bytes as they are.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.value
    }

    /// Its subfields, each of them a list of items; a plain value is one of one.
    pub fn subfields(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        self.value.split(|b| *b == RS).map(|s| s.split(|b| *b == US))
    }

    /// The value as an unsigned number: digits and nothing else.
    pub(crate) fn number_value(&self) -> Option<usize> {
        digits(&self.value)
    }

    fn tag(&self, kind: u8) -> String {
        format!("{kind}.{:0width$}:", self.number, width = self.digits)
    }
}

/// Up to nine digits.
pub(crate) fn digits(bytes: &[u8]) -> Option<usize> {
    let fits = (1..=9).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit);
    fits.then(|| bytes.iter().fold(0, |n, b| n * 10 + usize::from(b - b'0')))
}

/// A record of numbered fields. Its length and IDC are kept apart from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    pub(crate) kind: u8,
    pub(crate) idc: u8,
    /// LEN and IDC as they were written: digits of their numbers and values.
    pub(crate) length_style: Style,
    pub(crate) idc_style: Style,
    /// All others, in the order in which they stand.
    pub(crate) fields: Vec<Field>,
}

/// How many digits a number is written with at least, so that a file is written again as it was: 3 and 1, where nothing
/// else was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub tag: usize,
    pub value: usize,
}

impl Style {
    pub(crate) const PLAIN: Self = Self { tag: 3, value: 1 };
}

/// A record's length in digits, `width` at least, which it counts too, beside `others` bytes.
pub(crate) fn length(others: usize, mut width: usize) -> String {
    loop {
        let written = format!("{:0width$}", others + width);
        if written.len() == width {
            return written;
        }
        width = written.len();
    }
}

impl Tagged {
    /// An empty record.
    ///
    /// # Errors
    /// [`Fault::Type`] for Type-1, of which a file has one ([`crate::Transaction::new`]), and for types without
    /// fields; [`Fault::Number`] for an IDC above [`IDC_MAX`].
    pub fn new(kind: u8, idc: u8) -> Result<Self, Error> {
        if !(2..=99).contains(&kind) || is_binary(kind) {
            return Err(Fault::Type(kind).unwritten(None, None));
        }
        if idc > IDC_MAX {
            return Err(Fault::Number("an IDC: 0 to 99").unwritten(Some(kind), Some(IDC)));
        }
        Ok(Self { kind, idc, length_style: Style::PLAIN, idc_style: Style::PLAIN, fields: vec![] })
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// Its information designation character: records that belong together share it.
    #[must_use]
    pub fn idc(&self) -> u8 {
        self.idc
    }

    /// Its fields but length and IDC, as they stand.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this number.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&Field> {
        self.fields.iter().find(|f| f.number == number)
    }

    /// Adds a field, or puts it in the place of the one of its number. Field 999 stays last.
    ///
    /// # Errors
    /// [`Fault::Type`] for a picture in a type that has none, [`Fault::Number`] for length or IDC, which are not set by
    /// hand, [`Fault::TooMany`] past [`FIELDS_MAX`].
    pub fn set(&mut self, field: Field) -> Result<(), Error> {
        let no = |fault: Fault| fault.unwritten(Some(self.kind), Some(field.number));
        let own = field.number == LEN || (field.number == IDC && self.kind != 1);
        if own {
            return Err(no(Fault::Number("a field to be set by hand")));
        }
        if !(field.number == DATA && has_data(self.kind)) {
            // Bytes of any kind belong in a picture's field alone.
            if field.value.len() > TEXT_BYTES_MAX {
                return Err(no(Fault::TooMany { what: "bytes of text", given: field.value.len(), most: TEXT_BYTES_MAX }));
            }
            if field.value.iter().any(|b| [FS, GS].contains(b)) {
                return Err(no(Fault::Separator));
            }
        }
        if let Some(old) = self.fields.iter_mut().find(|f| f.number == field.number) {
            *old = field;
            return Ok(());
        }
        if self.fields.len() >= FIELDS_MAX {
            return Err(no(Fault::TooMany { what: "fields of one record", given: self.fields.len() + 1, most: FIELDS_MAX }));
        }
        let before_data = self.fields.iter().position(|f| f.number == DATA && has_data(self.kind));
        self.fields.insert(before_data.unwrap_or(self.fields.len()), field);
        Ok(())
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut rest = vec![];
        if self.kind != 1 {
            rest.push(GS);
            rest.extend(format!("{}.{:0tag$}:", self.kind, IDC, tag = self.idc_style.tag).bytes());
            rest.extend(format!("{:0value$}", self.idc, value = self.idc_style.value).bytes());
        }
        for field in &self.fields {
            rest.push(GS);
            rest.extend(field.tag(self.kind).bytes());
            rest.extend(&field.value);
        }
        rest.push(FS);
        let tag = format!("{}.{:0width$}:", self.kind, LEN, width = self.length_style.tag);
        let length = length(tag.len() + rest.len(), self.length_style.value);
        out.extend(tag.bytes());
        out.extend(length.bytes());
        out.extend(rest);
    }
}

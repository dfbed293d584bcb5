//! Type-10: a picture of a face and what is said of it.

use crate::{DATA, Error, Fault, Field, Place, Tagged};

/// A Type-10 record that shows a face (10.003, IMT, is `FACE`).
#[derive(Clone, PartialEq, Eq)]
pub struct Face {
    /// 10.002, IDC.
    pub idc: u8,
    /// 10.004, SRC: the agency it comes from.
    pub source: String,
    /// 10.005, PHD: the day it was taken, `YYYYMMDD`; zeros where not known.
    pub taken: String,
    /// 10.006, HLL: pixels a line.
    pub width: u32,
    /// 10.007, VLL: lines.
    pub height: u32,
    /// 10.011, CGA: `JPEGB`, `PNG` …
    pub compression: String,
    /// 10.012, CSP: `YCC`, `SRGB`, `GRAY`, `UNK` …
    pub colour: String,
    /// 10.999: the file of the picture.
    pub picture: Vec<u8>,
}

impl std::fmt::Debug for Face {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Face(IDC {}, {} × {}, {}, {} bytes)", self.idc, self.width, self.height, self.compression, self.picture.len())
    }
}

impl Face {
    /// Reads a Type-10 record.
    pub(crate) fn of(record: &Tagged, at: Place) -> Result<Self, Error> {
        let no = |number: u32, fault: Fault| Error { at: Place { field: Some(number), ..at }, fault };
        let need = |number: u32| record.field(number).ok_or_else(|| no(number, Fault::Missing(number)));
        let text = |number: u32| {
            let bytes = need(number)?.bytes();
            let plain = bytes.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
            if plain { Ok(bytes.iter().map(|b| char::from(*b)).collect::<String>()) } else { Err(no(number, Fault::Text)) }
        };
        let side = |number: u32| {
            let n = need(number)?.number_value().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=99_999).contains(n));
            n.ok_or_else(|| no(number, Fault::Number("a number of pixels: 1 to 99999")))
        };
        if text(3)? != "FACE" {
            return Err(no(3, Fault::Number("a face by its own word (IMT)")));
        }
        Ok(Self {
            idc: record.idc,
            source: text(4)?,
            taken: text(5)?,
            width: side(6)?,
            height: side(7)?,
            compression: text(11)?,
            colour: text(12)?,
            picture: need(DATA)?.bytes().to_vec(),
        })
    }

    /// The record: square pixels of unknown scale (10.008 to 10.010), unknown capture profile (10.013, SAP, is 0).
    ///
    /// # Errors
    /// As [`Tagged::new`], [`Field::text`].
    pub fn to_record(&self) -> Result<Tagged, Error> {
        let mut out = Tagged::new(10, self.idc)?;
        let (width, height) = (self.width.to_string(), self.height.to_string());
        let fields: [(u32, &str); 11] = [
            (3, "FACE"),
            (4, &self.source),
            (5, &self.taken),
            (6, &width),
            (7, &height),
            (8, "0"),
            (9, "1"),
            (10, "1"),
            (11, &self.compression),
            (12, &self.colour),
            (13, "0"),
        ];
        for (number, text) in fields {
            out.set(Field::text(number, text)?)?;
        }
        out.set(Field::data(self.picture.clone()))?;
        Ok(out)
    }
}

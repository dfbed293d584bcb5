//! From bytes to a transaction, every length and every promise of 1.003 checked.

use crate::{
    CNT, DATA, FIELD_NUMBER_MAX, FIELDS_MAX, FILE_BYTES_MAX, FS, Fault, GS, IDC, IDC_MAX, LEN, Place, RECORDS_MAX, Record, TEXT_BYTES_MAX,
    Transaction,
    error::Error,
    has_data, is_binary,
    record::{Binary, Field, Style, Tagged, digits},
};

/// Editions that are read: 1993 (0200) to Update:2015 (0502).
const VERSIONS: std::ops::RangeInclusive<usize> = 200..=502;

/// Reads a file. Any bytes may be given.
///
/// # Errors
/// [`Error`] with the first fault and its place.
pub fn parse(bytes: &[u8]) -> Result<Transaction, Error> {
    let start = Place { offset: Some(0), record: None, field: None };
    let over = |what, given, most| Err(Error { at: start, fault: Fault::TooMany { what, given, most } });
    if bytes.len() > FILE_BYTES_MAX {
        return over("bytes", bytes.len(), FILE_BYTES_MAX);
    }
    if !bytes.starts_with(b"1.") {
        return Err(Error { at: start, fault: Fault::NotNist });
    }
    let (type1, mut at) = tagged(bytes, 0, 1, 1)?;
    let in_type1 = |number, fault| Error { at: Place { offset: Some(0), record: Some((1, 1)), field: Some(number) }, fault };
    let version = type1.field(2).ok_or_else(|| in_type1(2, Fault::Missing(2)))?;
    if version.value.len() != 4 || !version.number_value().is_some_and(|v| VERSIONS.contains(&v)) {
        return Err(in_type1(2, Fault::Version));
    }
    let promised = content(&type1).map_err(|fault| in_type1(CNT, fault))?;
    let mut records = Vec::with_capacity(promised.len());
    for (n, (kind, idc)) in promised.into_iter().enumerate() {
        let number = n + 2;
        let (record, next) = if is_binary(kind) {
            let (record, next) = binary(bytes, at, number, kind)?;
            (Record::Binary(record), next)
        } else {
            let (record, next) = tagged(bytes, at, number, kind)?;
            (Record::Tagged(record), next)
        };
        if record.idc() != idc {
            let place = Place { offset: Some(at), record: Some((number, kind)), field: Some(IDC) };
            return Err(Error { at: place, fault: Fault::Count("this record has another IDC") });
        }
        records.push(record);
        at = next;
    }
    if at < bytes.len() {
        return Err(Error { at: Place { offset: Some(at), record: None, field: None }, fault: Fault::Trailing(bytes.len() - at) });
    }
    Ok(Transaction { type1, records })
}

/// What 1.003 promises: type and IDC of each record after Type-1.
fn content(type1: &Tagged) -> Result<Vec<(u8, u8)>, Fault> {
    let field = type1.field(CNT).ok_or(Fault::Missing(CNT))?;
    let mut lines = field.subfields();
    let pair = |line: &mut dyn Iterator<Item = &[u8]>| {
        let two = (line.next().and_then(digits), line.next().and_then(digits), line.next());
        match two {
            (Some(first), Some(second), None) => Ok((first, second)),
            _ => Err(Fault::Count("each of its subfields is two numbers")),
        }
    };
    let mut first = lines.next().ok_or(Fault::Missing(CNT))?;
    let (own, many) = pair(&mut first)?;
    if own != 1 {
        return Err(Fault::Count("its first subfield is Type-1's"));
    }
    if many + 1 > RECORDS_MAX {
        return Err(Fault::TooMany { what: "records", given: many.saturating_add(1), most: RECORDS_MAX });
    }
    let mut out = Vec::with_capacity(many);
    for mut line in lines {
        let (kind, idc) = pair(&mut line)?;
        let kind = u8::try_from(kind).ok().filter(|k| (2..=99).contains(k)).ok_or(Fault::Count("a record type is 2 to 99"))?;
        let idc = u8::try_from(idc).ok().filter(|i| *i <= IDC_MAX).ok_or(Fault::Count("an IDC is 0 to 99"))?;
        if out.len() >= many {
            return Err(Fault::Count("it names more records than it says"));
        }
        out.push((kind, idc));
    }
    if out.len() < many {
        return Err(Fault::Count("it names fewer records than it says"));
    }
    Ok(out)
}

fn binary(bytes: &[u8], at: usize, number: usize, kind: u8) -> Result<(Binary, usize), Error> {
    let place = Place { offset: Some(at), record: Some((number, kind)), field: None };
    let here = &bytes[at..];
    let [a, b, c, d, idc, ..] = here else {
        return Err(Error { at: place, fault: Fault::Short { missing: 5 - here.len() } });
    };
    let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
    if length < 5 {
        return Err(Error { at: place, fault: Fault::Length });
    }
    let rest = here.get(5..length).ok_or(Error { at: place, fault: Fault::Short { missing: length.saturating_sub(here.len()) } })?;
    Ok((Binary { kind, idc: *idc, rest: rest.to_vec() }, at + length))
}

/// A field's beginning: number, digits that it is written with at least, and where its value begins.
fn tag(bytes: &[u8], kind: u8) -> Result<(u32, usize, usize), Fault> {
    let point = bytes.iter().take(4).position(|b| *b == b'.').ok_or(Fault::Tag)?;
    let own = digits(&bytes[..point]).ok_or(Fault::Tag)?;
    if own != usize::from(kind) {
        return Err(Fault::OtherType);
    }
    if bytes[0] == b'0' {
        return Err(Fault::Tag); // it would not be written so again
    }
    let written = bytes[point + 1..].iter().take(10).position(|b| *b == b':').ok_or(Fault::Tag)?;
    let number = digits(&bytes[point + 1..point + 1 + written]).and_then(|n| u32::try_from(n).ok());
    match number {
        Some(number @ 1..=FIELD_NUMBER_MAX) if written >= 3 => {
            let plainly = bytes[point + 1] != b'0' || written == 3;
            Ok((number, if plainly { 3 } else { written }, point + 1 + written + 1))
        }
        _ => Err(Fault::Tag),
    }
}

/// A record of fields at `at`, the `number`th of the file, of type `kind`; and where the next one begins.
fn tagged(bytes: &[u8], at: usize, number: usize, kind: u8) -> Result<(Tagged, usize), Error> {
    let place = |offset: usize, field: Option<u32>| Place { offset: Some(offset), record: Some((number, kind)), field };
    let no = |offset: usize, field: Option<u32>, fault: Fault| Error { at: place(offset, field), fault };
    let here = &bytes[at..];
    if here.is_empty() {
        return Err(no(at, None, Fault::Short { missing: 1 }));
    }
    let (first, first_digits, value) = tag(here, kind).map_err(|fault| no(at, None, fault))?;
    if first != LEN {
        return Err(no(at, Some(first), Fault::Missing(LEN)));
    }
    let width = here[value..].iter().take(10).position(|b| [GS, FS].contains(b)).unwrap_or(10);
    let written = here.get(value..value + width).unwrap_or_default();
    let length = digits(written).ok_or_else(|| no(at, Some(LEN), Fault::Number("a length: one to nine digits")))?;
    let body = here.get(..length).ok_or_else(|| no(at, Some(LEN), Fault::Short { missing: length - here.len() }))?;
    if length <= value + width || body[length - 1] != FS {
        return Err(no(at, Some(LEN), Fault::Length));
    }
    let plainly = crate::record::length(length - width, 1).as_bytes() == written;
    let mut out = Tagged {
        kind,
        idc: 0,
        length_style: Style { tag: first_digits, value: if plainly { 1 } else { width } },
        idc_style: Style::PLAIN,
        fields: vec![],
    };
    // Ascending field numbers are the rule, so that a look among all of them is rare.
    let mut highest = LEN;
    let mut has_idc = kind == 1;
    let mut from = value + width;
    while from + 1 < length {
        if body[from] != GS {
            return Err(no(at + from, None, Fault::Separator));
        }
        from += 1;
        let (number, digits_written, value) = tag(&body[from..length - 1], kind).map_err(|fault| no(at + from, None, fault))?;
        let begin = from + value;
        let is_data = number == DATA && has_data(kind);
        let end = if is_data {
            length - 1
        } else {
            let end = body[begin..length - 1].iter().position(|b| [GS, FS].contains(b)).map_or(length - 1, |n| begin + n);
            if body[end] == FS && end != length - 1 {
                return Err(no(at + end, Some(number), Fault::Separator));
            }
            end
        };
        let text = &body[begin..end];
        if !is_data && text.len() > TEXT_BYTES_MAX {
            return Err(no(at + from, Some(number), Fault::TooMany { what: "bytes of text", given: text.len(), most: TEXT_BYTES_MAX }));
        }
        if number == LEN || (number <= highest && (number == IDC && has_idc && kind != 1 || out.field(number).is_some())) {
            return Err(no(at + from, Some(number), Fault::Twice));
        }
        if !has_idc {
            let idc = digits(text).and_then(|n| u8::try_from(n).ok()).filter(|n| *n <= IDC_MAX);
            if number != IDC {
                return Err(no(at + from, Some(number), Fault::Missing(IDC)));
            }
            out.idc = idc.ok_or_else(|| no(at + from, Some(number), Fault::Number("an IDC: 0 to 99")))?;
            let plainly = text.len() == 1 || text.first() != Some(&b'0');
            out.idc_style = Style { tag: digits_written, value: if plainly { 1 } else { text.len() } };
            has_idc = true;
        } else {
            if out.fields.len() >= FIELDS_MAX {
                return Err(no(
                    at + from,
                    Some(number),
                    Fault::TooMany { what: "fields of one record", given: FIELDS_MAX + 1, most: FIELDS_MAX },
                ));
            }
            out.fields.push(Field { number, digits: digits_written, value: text.to_vec() });
        }
        highest = highest.max(number);
        from = end;
    }
    if !has_idc {
        return Err(no(at, Some(IDC), Fault::Missing(IDC)));
    }
    Ok((out, at + length))
}

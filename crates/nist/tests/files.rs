//! Files as others write them, and as nobody should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use nist::{
    Encoding, FIELDS_MAX, FILE_BYTES_MAX, Face, Fault, Field, Header, IDC_MAX, RECORDS_MAX, Record, TEXT_BYTES_MAX, Tagged, Transaction,
    parse,
};
use proptest::prelude::*;

fn header() -> Header {
    Header {
        transaction_type: "FACE".into(),
        date: "20261128".into(),
        destination: "TO0000000".into(),
        origin: "FROM00000".into(),
        control_number: "TCN-1".into(),
    }
}

fn face(idc: u8) -> Face {
    Face {
        idc,
        source: "FROM00000".into(),
        taken: "20200229".into(),
        width: 300,
        height: 400,
        compression: "JPEGB".into(),
        colour: "YCC".into(),
        picture: vec![0xFF, 0xD8, 0x1C, 0x1D, 0x1E, 0x1F, b'9', 0xFF, 0xD9],
    }
}

/// Type-1, two Type-2, a Type-10.
fn whole() -> Transaction {
    let mut out = Transaction::new(&header()).unwrap();
    let mut two = Tagged::new(2, 0).unwrap();
    two.set(Field::text(18, "Invented, Anna").unwrap()).unwrap();
    two.set(Field::items(900, &[&["a", "b"], &["c"]]).unwrap()).unwrap();
    out.push(two).unwrap();
    out.push(Tagged::new(2, 1).unwrap()).unwrap();
    out.push(face(1).to_record().unwrap()).unwrap();
    out
}

#[test]
fn what_is_written_is_read_and_written_again_to_the_byte() {
    let file = whole();
    let bytes = file.to_bytes();
    let read = parse(&bytes).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.faces().map(Result::unwrap).collect::<Vec<_>>(), [face(1)]);
    let two = read.tagged(2).next().unwrap();
    assert_eq!(read.text(two, 900).unwrap().as_deref(), Some("a, b; c"));
    assert_eq!(read.text(two, 901).unwrap(), None);
    assert_eq!(read.encoding().unwrap(), Encoding::Latin1);
    assert_eq!(read.text(read.type1(), 9).unwrap().as_deref(), Some("TCN-1"));
}

/// By hand after the standard's own layout: zero-filled lengths, long numbers, a Type-4 record between.
#[test]
fn others_ways_of_writing_are_kept() {
    // Five digits of length, whatever it is.
    let record = |kind: u8, rest: &[u8]| {
        let length = format!("{kind}.001:{:05}\x1d", rest.len() + 13);
        [length.as_bytes(), rest, b"\x1c"].concat()
    };
    let mut bytes = record(1, b"1.002:0400\x1d1.003:1\x1f3\x1e2\x1f00\x1e4\x1f07\x1e2\x1f1\x1d1.004:X");
    bytes.extend(record(2, b"2.002:00\x1d2.0018:J\xFCrgen\x1d2.003:"));
    bytes.extend([0, 0, 0, 8, 7, 1, 2, 3]);
    // 99 or 100 would both be right here; this writer took the longer.
    bytes.extend([&b"2.001:100\x1d2.002:1\x1d2.005:"[..], &[b'x'; 75], b"\x1c"].concat());
    let read = parse(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.text(read.tagged(2).next().unwrap(), 18).unwrap().as_deref(), Some("Jürgen"));
    assert_eq!(read.records().iter().map(|r| (r.kind(), r.idc())).collect::<Vec<_>>(), [(2, 0), (4, 7), (2, 1)]);
    assert!(matches!(&read.records()[1], Record::Binary(_)));
}

#[test]
fn utf8_is_declared_and_read_as_declared() {
    let mut file = Transaction::new(&header()).unwrap();
    file.declare_utf8().unwrap();
    let mut two = Tagged::new(2, 0).unwrap();
    two.set(Field::text(18, "Łukasz Żółć").unwrap()).unwrap();
    file.push(two).unwrap();
    let mut bytes = file.to_bytes();
    let read = parse(&bytes).unwrap();
    assert_eq!(read.text(read.tagged(2).next().unwrap(), 18).unwrap().as_deref(), Some("Łukasz Żółć"));
    // Cut in the middle of a character: refused when it is read as text, kept as bytes.
    let at = bytes.len() - 2;
    bytes[at] = b'x';
    let read = parse(&bytes).unwrap();
    assert_eq!(read.text(read.tagged(2).next().unwrap(), 18).unwrap_err().fault, Fault::Text);
    let utf16 = String::from_utf8(file.to_bytes()).unwrap().replace("003\u{1f}UTF-8", "002\u{1f}UTF16");
    assert_eq!(parse(utf16.as_bytes()).unwrap().encoding().unwrap_err().fault, Fault::Encoding);
}

/// Each with the words by which somebody finds the place.
#[test]
fn what_is_wrong_is_said_with_its_place() {
    let good = whole().to_bytes();
    let text = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut out = good.clone();
        out.splice(at..at + from.len(), to.bytes());
        out
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "does not begin with \"1.001:\""),
        (b"\xFF\xD8\xFF\xE0".to_vec(), "byte 0: this is no ANSI/NIST-ITL file"),
        (b"1.001".to_vec(), "three to nine digits and a colon"),
        (b"1.001:1000000000\x1c".to_vec(), "byte 0, record 1 (Type-1), field 1.001: this is not a length"),
        (b"1.001:999999999\x1c".to_vec(), "bytes are missing"),
        (b"1.001:0\x1c".to_vec(), "field 1.001"),
        (b"1.001:11\x1d\x1c\x1d".to_vec(), "does not lead to its end"),
        (good[..good.len() - 1].to_vec(), "record 4 (Type-10), field 10.001: the file ends before the record does: 1 bytes are missing"),
        ([&good[..], b"\x1c"].concat(), "1 bytes follow the last record"),
        (text("1.002:0502", "1.002:0600"), "field 1.002: 1.002 (VER)"),
        (text("1\x1f3\x1e", "1\x1f4\x1e"), "it names fewer records than it says"),
        (text("1\x1f3\x1e", "1\x1f2\x1e"), "it names more records than it says"),
        (text("1\x1f3\x1e", "2\x1f3\x1e"), "its first subfield is Type-1's"),
        (text("1\x1f3\x1e", "1\x1fx\x1e"), "each of its subfields is two numbers"),
        (text("10\x1f01", "10\x1f02"), "field 10.002: 1.003 (CNT) and the records do not agree: this record has another IDC"),
        (text("10\x1f01", "11\x1f01"), "record 4 (Type-11): a field of another record type"),
        (text("2.018:", "2.900:"), "field 2.900: the field is in the record already"),
        (text("2.002:0", "2.003:0"), "field 2.003: field 002 is missing"),
        (text("2.018:I", "2.018\x1d:"), "record 2 (Type-2): a field begins with"),
        (text("2.018:I", "3.018:I"), "a field of another record type"),
        (text("Invented", "Inv\x1cnted"), "separator"),
        (text("2.001:", "2.1:00"), "record 2 (Type-2): a field begins with"),
        (text("2.001:", "2.004:"), "field 2.004: field 001 is missing"),
        (text("1.003:", "1.033:"), "field 1.003: field 003 is missing"),
    ];
    for (bytes, words) in cases {
        let fault = parse(&bytes).expect_err(words).to_string();
        assert!(fault.contains(words), "{fault} / {words}");
        assert!(!fault.contains("Anna"), "{fault}");
    }
    for length in 0..good.len() {
        parse(&good[..length]).expect_err("a file cut short is none");
    }
}

#[test]
fn a_face_lacks_nothing_and_says_so_where_it_does() {
    let record = face(1).to_record().unwrap();
    for number in [3, 4, 5, 6, 7, 11, 12, 999] {
        let mut lacking = Tagged::new(10, 1).unwrap();
        for field in record.fields().iter().filter(|f| f.number() != number) {
            lacking.set(field.clone()).unwrap();
        }
        let mut file = Transaction::new(&header()).unwrap();
        file.push(lacking).unwrap();
        let read = parse(&file.to_bytes()).unwrap();
        let fault = read.faces().next().unwrap().unwrap_err();
        assert_eq!((fault.at.record, fault.at.field, fault.fault), (Some((2, 10)), Some(number), Fault::Missing(number)));
    }
    for (number, value, fault) in [
        (3, "TATTOO", "a face by its own word"),
        (6, "0", "number of pixels"),
        (7, "100000", "number of pixels"),
        (11, "\u{e9}", "character set"),
    ] {
        let mut other = record.clone();
        other.set(Field::text(number, value).unwrap()).unwrap();
        let mut file = Transaction::new(&header()).unwrap();
        file.push(other).unwrap();
        let said = parse(&file.to_bytes()).unwrap().faces().next().unwrap().unwrap_err().to_string();
        assert!(said.contains(fault), "{said}");
    }
}

#[test]
fn limits_hold_at_their_edge() {
    let kept = |bytes: Vec<u8>| assert_eq!(parse(&bytes).unwrap().to_bytes(), bytes);
    let mut file = Transaction::new(&header()).unwrap();
    for n in 0..RECORDS_MAX - 1 {
        file.push(Tagged::new(2, u8::try_from(n % 100).unwrap()).unwrap()).unwrap();
    }
    kept(file.to_bytes());
    assert!(matches!(file.push(Tagged::new(2, 0).unwrap()).unwrap_err().fault, Fault::TooMany { .. }));
    let many = b"1.001:33\x1d1.002:0502\x1d1.003:1\x1f1000\x1c";
    assert!(matches!(parse(many).unwrap_err().fault, Fault::TooMany { what: "records", given: 1001, .. }));

    let mut record = Tagged::new(2, IDC_MAX).unwrap();
    assert!(Tagged::new(2, IDC_MAX + 1).is_err());
    for n in 0..FIELDS_MAX {
        record.set(Field::text(3 + u32::try_from(n).unwrap(), "x").unwrap()).unwrap();
    }
    let mut file = Transaction::new(&header()).unwrap();
    file.push(record.clone()).unwrap();
    kept(file.to_bytes());
    assert!(matches!(record.set(Field::text(9999, "x").unwrap()).unwrap_err().fault, Fault::TooMany { .. }));
    let grown = |bytes: Vec<u8>, extra: &[u8]| {
        let at = bytes.windows(6).rposition(|w| w == b"2.001:").unwrap();
        let text = bytes[at + 6..].iter().take_while(|b| b.is_ascii_digit()).count();
        let length = bytes.len() - at + extra.len();
        let mut out = bytes[..at + 6].to_vec();
        out.extend(format!("{length:0text$}").bytes());
        out.extend(&bytes[at + 6 + text..bytes.len() - 1]);
        out.extend(extra);
        out.push(0x1C);
        out
    };
    let one_more = parse(&grown(file.to_bytes(), b"\x1d2.9999:x")).unwrap_err();
    assert!(matches!(one_more.fault, Fault::TooMany { what: "fields of one record", .. }), "{one_more}");

    let mut record = Tagged::new(2, 0).unwrap();
    record.set(Field::text(3, &"x".repeat(TEXT_BYTES_MAX)).unwrap()).unwrap();
    assert!(Field::text(3, &"x".repeat(TEXT_BYTES_MAX + 1)).is_err());
    let mut file = Transaction::new(&header()).unwrap();
    file.push(record).unwrap();
    kept(file.to_bytes());
    let longer = parse(&grown(file.to_bytes(), b"x")).unwrap_err();
    assert!(matches!(longer.fault, Fault::TooMany { what: "bytes of text", .. }), "{longer}");

    assert!(matches!(parse(&vec![b'1'; FILE_BYTES_MAX + 1]).unwrap_err().fault, Fault::TooMany { what: "bytes", .. }));
    for (number, text) in [(0, "x"), (1_000_000_000, "x"), (3, "a\u{1d}b"), (3, "a\u{1e}b")] {
        assert!(Field::text(number, text).is_err());
    }
    for kind in [1, 3, 8, 100] {
        assert!(Tagged::new(kind, 0).is_err());
    }
}

fn field() -> impl Strategy<Value = Field> {
    (3_u32..=99_999, "[^\u{1c}-\u{1f}]{0,40}").prop_map(|(n, t)| Field::text(n, &t).unwrap())
}

fn record() -> impl Strategy<Value = Tagged> {
    let kind = prop_oneof![Just(2_u8), Just(9), Just(10), Just(13), Just(99)];
    (kind, 0_u8..=99, prop::collection::vec(field(), 0..6), prop::option::of(prop::collection::vec(any::<u8>(), 0..200))).prop_map(
        |(kind, idc, fields, data)| {
            let mut out = Tagged::new(kind, idc).unwrap();
            for f in fields.into_iter().filter(|f| f.number() != 999) {
                out.set(f).unwrap();
            }
            if let Some(data) = data.filter(|_| kind >= 10) {
                out.set(Field::data(data)).unwrap();
            }
            out
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_transaction_comes_back(records in prop::collection::vec(record(), 0..5)) {
        let mut file = Transaction::new(&header()).unwrap();
        for r in records {
            file.push(r).unwrap();
        }
        let bytes = file.to_bytes();
        let read = parse(&bytes).unwrap();
        prop_assert_eq!(&read, &file);
        prop_assert_eq!(read.to_bytes(), bytes);
    }

    /// Whatever the bytes, an answer comes; and what was read is written again as it was.
    #[test]
    fn any_bytes_are_answered(tail in prop::collection::vec(any::<u8>(), 0..300), begin in 0_usize..40) {
        let mut bytes = whole().to_bytes();
        bytes.truncate(begin);
        bytes.extend(tail);
        if let Ok(read) = parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    /// A real file with a few bytes changed, put in or taken out: the faults that happen.
    #[test]
    fn any_mutation_is_answered(edits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
        any::<u8>(), Just(0x1C), Just(0x1D), Just(0x1E), Just(0x1F), Just(b':'), Just(b'.'), b'0'..=b'9'], 0_u8..3), 1..6)) {
        let mut bytes = whole().to_bytes();
        for (at, byte, how) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        if let Ok(read) = parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
            let _ = read.faces().count();
            for record in read.tagged(2) {
                for f in record.fields() {
                    let _ = read.text(record, f.number());
                }
            }
        }
    }
}

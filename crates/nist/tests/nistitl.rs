//! Both ways with another implementation, the Python package `nistitl` 0.6 (CeCILL-C; brought by `make setup-test`,
//! used here alone): what we write it reads, what it writes we read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use nist::{Face, Field, Header, Record, Tagged, Transaction, parse};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// Runs tools/nist/other.py; `None`, and said so, where its package is not there.
fn other(verb: &str, input: &[u8]) -> Option<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join(".venv/bin/python");
    if !root.join(".venv/.countersign-nist").exists() {
        eprintln!("NOT RUN: nistitl is not in .venv; `tools/setup/python.sh nist` brings it");
        return None;
    }
    let mut child =
        Command::new(python).arg(root.join("tools/nist/other.py")).arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "nistitl refused it");
    Some(done.stdout)
}

#[test]
fn nistitl_reads_what_we_write() {
    let header = Header {
        transaction_type: "FACE".into(),
        date: "20261128".into(),
        destination: "TO0000000".into(),
        origin: "FROM00000".into(),
        control_number: "TCN-1".into(),
    };
    let mut file = Transaction::new(&header).unwrap();
    file.declare_utf8().unwrap();
    let mut two = Tagged::new(2, 0).unwrap();
    two.set(Field::text(18, "Żółć, Anna").unwrap()).unwrap();
    two.set(Field::items(900, &[&["a", "b"], &["c", "d"]]).unwrap()).unwrap();
    file.push(two).unwrap();
    let picture: Vec<u8> = (0..=255).chain([0x1C, 0x1D]).collect();
    let face = Face {
        idc: 1,
        source: "FROM00000".into(),
        taken: "20200229".into(),
        width: 300,
        height: 400,
        compression: "JPEGB".into(),
        colour: "YCC".into(),
        picture: picture.clone(),
    };
    file.push(face.to_record().unwrap()).unwrap();
    let Some(said) = other("read", &file.to_bytes()) else { return };
    let said: Value = serde_json::from_slice(&said).unwrap();
    let records = said.as_array().unwrap();
    assert_eq!(records.len(), 3, "{said}");
    assert_eq!((&records[0][2]["2"], &records[0][2]["9"]), (&json!("0502"), &json!("TCN-1")));
    assert_eq!(records[0][2]["3"], json!([["1", "2"], ["2", "00"], ["10", "01"]]));
    assert_eq!((&records[1][0], &records[1][1], &records[1][2]["900"]), (&json!(2), &json!(0), &json!([["a", "b"], ["c", "d"]])));
    // It takes every text for Latin-1, whatever 1.015 says; its bytes are ours.
    let bytes: Vec<u8> = records[1][2]["18"].as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(bytes, "Żółć, Anna".as_bytes());
    let ten = &records[2][2];
    let values: Vec<&str> = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13].iter().map(|n| ten[n.to_string()].as_str().unwrap()).collect();
    assert_eq!(values, ["FACE", "FROM00000", "20200229", "300", "400", "0", "1", "1", "JPEGB", "YCC", "0"]);
    assert_eq!(ten["999"], json!(picture.iter().map(|b| format!("{b:02x}")).collect::<String>()));
}

#[test]
fn we_read_what_nistitl_writes() {
    let Some(bytes) = other("write", &[]) else { return };
    let read = parse(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes, "written again to the byte");
    assert_eq!(read.records().iter().map(|r| (r.kind(), r.idc())).collect::<Vec<_>>(), [(2, 0), (4, 2), (10, 3)]);
    assert!(matches!(read.records()[1], Record::Binary(_)));
    let two = read.tagged(2).next().unwrap();
    let text = |n| read.text(two, n).unwrap();
    assert_eq!(text(18).as_deref(), Some("Invented, Jürgen"));
    assert_eq!((text(900).as_deref(), text(901).as_deref()), (Some("a, b; c, d"), Some("one; two")));
    let face = read.faces().next().unwrap().unwrap();
    assert_eq!((face.idc, face.width, face.height, face.compression.as_str()), (3, 640, 480, "PNG"));
    let picture: Vec<u8> = (0..=255).chain(*b"\x1c10.999:\x1d").collect();
    assert_eq!(face.picture, picture);
}

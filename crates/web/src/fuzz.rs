//! Hostile bytes for what reads the messages of pages and of the API (docs/FUZZING.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::{
    api::{call, form::Form},
    guard,
    limits::FORM_MAX_FIELDS,
};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
};

/// A form with files: refused, or no more than was sent and no more fields than are read.
pub fn multipart(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=x"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    if let Ok(posted) = runtime.block_on(guard::parts(&headers, Bytes::copy_from_slice(bytes))) {
        assert!(posted.fields.len() + posted.files.len() <= FORM_MAX_FIELDS + 1);
        let read: usize = posted.files.iter().map(|f| f.bytes.len()).sum();
        assert!(read <= bytes.len());
        let _ = (posted.values(), posted.version(), posted.once());
    }
}

/// The body of a call: refused without a word of what was sent, or a form that reads back the same.
pub fn body(bytes: &[u8]) {
    match serde_json::from_slice::<Form>(bytes) {
        Ok(form) => {
            let form = casework::form::Form::from(form);
            let written = serde_json::to_vec(&Form::from(&form)).unwrap();
            assert_eq!(casework::form::Form::from(serde_json::from_slice::<Form>(&written).unwrap()), form);
        }
        // A seed below puts this where a word is expected.
        Err(e) => assert!(!call::without_values(&e).contains("SECRET")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_with_files() {
        let form = "--x\r\nContent-Disposition: form-data; name=\"_version\"\r\n\r\n7\r\n\
            --x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x01\x02\r\n--x--\r\n";
        let many = format!("{}--x--\r\n", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n".repeat(5));
        hostile::tried("multipart", vec![form.into(), many.into()], multipart, hostile::CHANGES);
    }

    #[test]
    fn bodies_of_calls() {
        let full = r#"{"template":"1","investigation":"OP/1","nationality":"british","fingerprints_held":false,"purposes":["serious-crime"],
            "mode":"unidentified","offence":"a","crime":{"sexual_offence":false,"two_years":true,"violence":true},"people_affected":"b",
            "vulnerable":false,"vulnerable_words":"","urgent":true,"urgent_reason":"c","declarations":[]}"#;
        hostile::tried(
            "body",
            vec![b"{}".to_vec(), full.into(), br#"{"nationality":"SECRET","SECRET":["SECRET"]}"#.to_vec()],
            body,
            hostile::CHANGES,
        );
    }
}

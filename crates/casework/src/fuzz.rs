//! Hostile bytes for each of this crate's parsers (docs/FUZZING.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::{certificate::Certificate, form::Form, policy::Policy};

/// What a signed text says is what is understood: written again, it reads the same.
pub fn certificate(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Some(certificate) = Certificate::read(text) else {
        return;
    };
    let again = certificate.text().unwrap();
    assert_eq!(Certificate::read(&again).unwrap().text().unwrap(), again);
}

/// A form as it is sealed and read back: whatever it holds, what is missing of it can be said.
pub fn form(bytes: &[u8]) {
    let Ok(form) = serde_json::from_slice::<Form>(bytes) else {
        return;
    };
    let _ = form.missing(Policy::in_force(jiff::civil::date(2026, 11, 1)));
    let copied = form.copied();
    let again: Form = serde_json::from_slice(&serde_json::to_vec(&copied).unwrap()).unwrap();
    assert_eq!(again, copied);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::GalleryId, testing};

    #[test]
    fn certificates() {
        let seeds = [0.5, 0.123_456_789].map(|t| testing::certificate(GalleryId::Passport, t).text().unwrap().into_bytes());
        hostile::tried("certificate", seeds.into(), certificate, hostile::CHANGES);
    }

    #[test]
    fn forms() {
        let seeds = [Form::new(), testing::World::new().complete_form()].map(|f| serde_json::to_vec(&f).unwrap());
        hostile::tried("form", seeds.into(), form, hostile::CHANGES);
    }
}

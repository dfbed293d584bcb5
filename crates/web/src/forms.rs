//! What a form sent: fields in order (a name may repeat) and files. Read, bounded and checked for its
//! token once, in [`crate::guard`]; a handler takes [`Posted`] as an argument.

use crate::{errors::PageError, render::show};
use axum::{body::Bytes, extract::FromRequestParts, http::request::Parts};
use minijinja::Value;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A file that came with a form.
#[derive(Clone, Debug)]
pub struct PostedFile {
    /// The field it came in.
    pub field: String,
    /// The name it has on the sender's machine. Personal data may hide in it: not for logs or addresses.
    pub file_name: String,
    /// Its bytes, not looked at yet.
    pub bytes: Bytes,
}

/// A form that was sent with a valid token.
#[derive(Clone, Debug, Default)]
pub struct Posted {
    /// Every field in the order it came, those beginning with `_` (ours) included.
    pub fields: Vec<(String, String)>,
    /// Every file; an empty file input is left out.
    pub files: Vec<PostedFile>,
}

impl Posted {
    /// The first value of a field, trimmed; none if it is missing or blank.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
    }

    /// Every value of a repeated field (checkboxes), trimmed, blanks left out.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
    }

    /// Whether a field has this value: a ticked box, a chosen radio, the button that was pressed.
    #[must_use]
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|v| v == value)
    }

    /// The file of a field.
    #[must_use]
    pub fn file(&self, field: &str) -> Option<&PostedFile> {
        self.files.iter().find(|f| f.field == field)
    }

    /// The version of the thing that the form was drawn from (`_version`), for the optimistic check.
    ///
    /// # Errors
    /// When the form carries none: it is not one of ours.
    pub fn version(&self) -> Result<u64, PageError> {
        self.text("_version").and_then(|v| v.parse().ok()).ok_or_else(|| PageError::bad_form("_version"))
    }

    /// The key that makes sending the same form twice the same as once (`_once`).
    ///
    /// # Errors
    /// When the form carries none: it is not one of ours.
    pub fn once(&self) -> Result<Uuid, PageError> {
        self.text("_once").and_then(|v| v.parse().ok()).ok_or_else(|| PageError::bad_form("_once"))
    }

    /// The fields as a struct: a `Vec` takes a repeated field, an `Option` one that may be missing.
    /// Blank fields count as missing.
    ///
    /// # Errors
    /// When a field that the struct needs is missing or does not parse.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, PageError> {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.fields {
            if !name.starts_with('_') && !value.trim().is_empty() {
                encoded.append_pair(name, value.trim());
            }
        }
        serde_html_form::from_str(&encoded.finish()).map_err(|_| PageError::bad_form("a field"))
    }

    /// The fields as a template sees them, to fill a form in again: `values.reason`, and for a repeated
    /// field a list.
    #[must_use]
    pub fn values(&self) -> Value {
        let mut map: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in self.fields.iter().filter(|(n, _)| !n.starts_with('_')) {
            map.entry(name).or_default().push(value);
        }
        Value::from_pairs(map.into_iter().map(|(n, v)| (n.to_owned(), if let [one] = v.as_slice() { show(one) } else { show(&v) })))
    }
}

impl<S: Sync> FromRequestParts<S> for Posted {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        // Only the guard puts one here. A route that it does not stand before is a broken build.
        parts.extensions.remove::<Self>().ok_or_else(|| PageError::internal("a form reached a route without the guard"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn posted(pairs: &[(&str, &str)]) -> Posted {
        Posted { fields: pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(), files: vec![] }
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Form {
        #[serde(default)]
        purpose: Vec<String>,
        urgent: Option<bool>,
        reason: Option<String>,
    }

    #[test]
    fn one_tick_and_many_ticks_both_make_a_list() {
        let one: Form = posted(&[("purpose", "a"), ("reason", "  "), ("_csrf", "x")]).read().unwrap();
        assert_eq!(one, Form { purpose: vec!["a".into()], urgent: None, reason: None });
        let two: Form = posted(&[("purpose", "a"), ("purpose", "b"), ("urgent", "true")]).read().unwrap();
        assert_eq!(two, Form { purpose: vec!["a".into(), "b".into()], urgent: Some(true), reason: None });
    }

    #[test]
    fn a_form_without_version_or_key_is_not_ours() {
        assert!(posted(&[]).version().is_err());
        assert!(posted(&[("_once", "yes")]).once().is_err());
        assert_eq!(posted(&[("_version", "7")]).version().unwrap(), 7);
    }
}

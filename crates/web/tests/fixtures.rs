//! Every official example of govuk-frontend, drawn by our templates, against the HTML it should give.
//! The examples come with the npm package; the templates with the Python one; the two are by different
//! people, and minijinja is not Jinja2, so this is where a difference would show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::{fmt::Write as _, fs, path::Path};

/// The HTML with everything that a browser does not see made alike: white space, the order and quoting
/// of attributes, character references.
fn normal(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text(&rest[..start], &mut out);
        let end = tag_end(&rest[start..]).map_or(rest.len(), |e| start + e);
        tag(&rest[start + 1..end.saturating_sub(1).max(start + 1)], &mut out);
        rest = &rest[end..];
    }
    text(rest, &mut out);
    out
}

/// Where the tag that `html` begins with ends, quotes respected.
fn tag_end(html: &str) -> Option<usize> {
    if html.starts_with("<!--") {
        return html.find("-->").map(|i| i + 3);
    }
    let mut quote = None;
    for (i, c) in html.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            (None, '>') => return Some(i + 1),
            _ => {}
        }
    }
    None
}

fn text(raw: &str, out: &mut String) {
    let words = decode(raw).split_whitespace().collect::<Vec<_>>().join(" ");
    if !words.is_empty() {
        let _ = writeln!(out, "{words}");
    }
}

fn tag(raw: &str, out: &mut String) {
    if raw.starts_with('!') {
        return;
    }
    let raw = raw.trim().trim_end_matches('/');
    let name_end = raw.find(char::is_whitespace).unwrap_or(raw.len());
    let mut attributes = Vec::new();
    let mut rest = raw[name_end..].trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let (raw_value, left) = match after.chars().next() {
                Some(q @ ('"' | '\'')) => after[1..].split_once(q).unwrap_or((&after[1..], "")),
                _ => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            };
            value = decode(raw_value).split_whitespace().collect::<Vec<_>>().join(" ");
            rest = left.trim_start();
        }
        attributes.push(format!("{name}={value:?}"));
    }
    attributes.sort();
    let _ = writeln!(out, "<{} {}>", &raw[..name_end], attributes.join(" "));
}

fn decode(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#x27;", "'")
        .replace("&#x2f;", "/")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&")
}

#[test]
fn every_official_example_renders_as_it_should() {
    let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node_modules/govuk-frontend/dist/govuk/components");
    let mut seen = 0;
    let mut wrong = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(&components)
        .expect("node_modules is missing: run `make setup` first")
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("fixtures.json").is_file())
        .collect();
    folders.sort();
    for folder in folders {
        let file: Value = serde_json::from_slice(&fs::read(folder.join("fixtures.json")).unwrap()).unwrap();
        let component = file["component"].as_str().unwrap();
        for fixture in file["fixtures"].as_array().unwrap() {
            seen += 1;
            let ours = web::render::component(component, &web::render::show(&fixture["options"]))
                .unwrap_or_else(|e| format!("did not render: {e:#}"));
            let (ours, theirs) = (normal(&ours), normal(fixture["html"].as_str().unwrap()));
            if ours != theirs {
                wrong.push((format!("{component}: {}", fixture["name"]), ours, theirs));
            }
        }
    }
    println!("{} of {seen} official examples render as they should", seen - wrong.len());
    for (name, ours, theirs) in wrong.iter().take(5) {
        println!("--- {name}\nours:\n{ours}\ntheirs:\n{theirs}");
    }
    assert!(seen >= 657, "only {seen} examples were found");
    assert!(wrong.is_empty(), "{:?}", wrong.iter().map(|(n, ..)| n).collect::<Vec<_>>());
}

#[test]
fn the_comparison_sees_what_a_browser_would_see() {
    assert_eq!(normal("<a  href='x' class=\"b  a\">\n one </a>"), normal("<a class=\"b a\" href=\"x\">one</a>"));
    assert_ne!(normal("<a href=\"x\">one</a>"), normal("<a href=\"y\">one</a>"));
    assert_ne!(normal("<p>one</p>"), normal("<p>two</p>"));
    assert_ne!(normal("<p hidden>one</p>"), normal("<p>one</p>"));
}

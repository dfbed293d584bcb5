//! What the force says: the form by section with the clauses behind each question, its words beside each
//! criterion, and its images with the chosen face.

use crate::pages::quality::Findings;
use bureau::views::RequestView;
use casework::{
    assess::Criterion,
    form::{Declaration, FaceBox, FingerprintCheck, Form, FormImage, Mode, Nationality, Purpose, SECTIONS, Source},
};
use minijinja::{Value, context};
use serde::Serialize;
use strum::IntoEnumIterator;

/// One answer.
#[derive(Serialize)]
pub(in crate::pages) struct Row {
    key: String,
    value: String,
    clauses: Vec<&'static str>,
    /// Whether somebody wrote it in their own words.
    quoted: bool,
}

/// A section of the form.
#[derive(Serialize)]
pub(in crate::pages) struct Section {
    number: usize,
    title: &'static str,
    rows: Vec<Row>,
}

fn row(key: &str, value: impl Into<String>, clauses: &[&'static str]) -> Row {
    Row { key: key.into(), value: value.into(), clauses: clauses.to_vec(), quoted: false }
}

fn wrote(key: &str, value: &str, clauses: &[&'static str]) -> Row {
    Row { quoted: true, ..row(key, value.trim(), clauses) }
}

fn yes_no(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "Yes",
        Some(false) => "No",
        None => "",
    }
}

/// A purpose as a list shows it: its words with a capital.
pub(in crate::pages) fn purpose(p: Purpose) -> String {
    let words = p.label();
    let mut letters = words.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The purposes in words, one after another.
pub(super) fn purposes(form: &Form) -> String {
    form.purposes.iter().map(|p| purpose(*p)).collect::<Vec<_>>().join("; ")
}

pub(super) fn mode(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Unidentified) => "Unidentified person",
        Some(Mode::Known) => "Known person, other identities sought",
        None => "",
    }
}

fn aspects(form: &Form) -> String {
    let c = &form.crime;
    let named =
        [(c.violence, "violence"), (c.grooming, "grooming"), (c.online, "online criminality"), (c.gain, "substantial financial gain")];
    let all: Vec<_> = named.iter().filter(|(on, _)| *on).map(|(_, words)| *words).collect();
    if all.is_empty() { "None of violence, grooming, online criminality and substantial financial gain".into() } else { all.join(", ") }
}

/// What the force answers in the serious-crime test.
pub(super) fn crime(form: &Form) -> Vec<Row> {
    let mut out = vec![
        row("A sexual offence", yes_no(form.crime.sexual_offence), &["A7"]),
        row("Normally capable of at least 2 years", yes_no(form.crime.two_years), &["A7"]),
        row("Involves", aspects(form), &["A7"]),
    ];
    out.push(match form.crime.run() {
        Ok(limb) => row("On these answers", format!("Serious crime, {}", limb.words()), &["A7"]),
        Err(failed) => row(
            "On these answers",
            format!("Not serious crime; {}", failed.iter().map(|f| f.words()).collect::<Vec<_>>().join("; ")),
            &["A7"],
        ),
    });
    out
}

/// The form by section.
pub(in crate::pages) fn sections(form: &Form) -> Vec<Section> {
    let nationality = match form.nationality {
        Some(Nationality::British) => "British",
        Some(Nationality::Foreign) => "Foreign national",
        Some(Nationality::Unsure) => "Unsure: a linked request went to each gallery",
        None => "",
    };
    let mut second = vec![row("What the force considers the person to be", nationality, &["S3"])];
    if form.fingerprints_held.is_some() {
        second.push(row("Fingerprints held", yes_no(form.fingerprints_held), &["S4"]));
    }
    if form.fingerprint_check.is_some() {
        let found = match form.fingerprint_check {
            Some(FingerprintCheck::NotRun) => "Not run",
            Some(FingerprintCheck::Identified) => "Identified the person",
            Some(FingerprintCheck::NotIdentified) => "Did not identify the person",
            None => "",
        };
        second.push(row("Fingerprint check against IABS", found, &["S4"]));
        second.push(row("Reference of the check", form.fingerprint_reference.as_str(), &["S4"]));
    }
    let mut fourth = vec![wrote("Offence or incident", &form.offence, &["A6"])];
    if form.purposes.contains(&Purpose::SeriousCrime) {
        fourth.extend(crime(form));
    }
    fourth.push(wrote("People affected", &form.people_affected, &["A8"]));
    fourth.push(wrote("Harm caused or that could be caused", &form.harm, &["A8"]));
    let mut eighth = vec![row("Does the force suspect that the person may be vulnerable?", yes_no(form.vulnerable), &["S11"])];
    if form.vulnerable == Some(true) {
        eighth.push(wrote("Why", &form.vulnerable_words, &["S11", "V0"]));
    }
    let mut ninth = vec![row("Urgent", yes_no(form.urgent), &["S6"])];
    if form.urgent == Some(true) {
        ninth.push(wrote("Why it is urgent", &form.urgent_reason, &["S6"]));
    }
    ninth.extend(declarations(form));
    let rows = [
        vec![row("Investigation reference", form.investigation.as_str(), &["S2"])],
        second,
        vec![
            row("Purposes", purposes(form), &["S12", "A6"]),
            wrote("How a search serves them", &form.purpose_words, &["S12", "A3"]),
            row("Mode", mode(form.mode), &["S12"]),
        ],
        fourth,
        vec![row("Images on the form", format!("{} (see Images)", form.images.len()), &["S10"])],
        vec![wrote("What is known about the person", &form.person, &["A3"])],
        avenues(form),
        eighth,
        ninth,
    ];
    rows.into_iter().enumerate().map(|(n, rows)| Section { number: n + 1, title: SECTIONS[n], rows }).collect()
}

fn avenues(form: &Form) -> Vec<Row> {
    vec![
        wrote("Its own databases", &form.own_databases, &["S8"]),
        wrote("Other databases", &form.other_databases, &["S8"]),
        wrote("Other enquiries", &form.other_enquiries, &["S8"]),
    ]
}

fn declarations(form: &Form) -> Vec<Row> {
    Declaration::iter()
        .map(|d| {
            let said = if form.declarations.contains(&d) { "Declared" } else { "Not declared" };
            row(said, d.words(form.mode), &[d.clause().into()])
        })
        .collect()
}

/// The force's words that bear on one criterion.
pub(super) fn beside(criterion: Criterion, form: &Form) -> Vec<Row> {
    match criterion {
        Criterion::Importance => vec![row("Purposes", purposes(form), &["S12"]), wrote("Offence or incident", &form.offence, &["A6"])],
        Criterion::Connection => {
            vec![row("Mode", mode(form.mode), &["S12"]), wrote("How a search serves the purpose", &form.purpose_words, &["S12"])]
        }
        Criterion::ImageUsable => vec![],
        Criterion::Biography => vec![wrote("What is known about the person", &form.person, &["A3"])],
        Criterion::Exhausted => {
            let mut out = avenues(form);
            out.extend(declarations(form).into_iter().filter(|r| r.clauses == ["S8"]));
            out
        }
        Criterion::Balance => vec![
            wrote("Harm caused or that could be caused", &form.harm, &["A8"]),
            wrote("How a search serves the purpose", &form.purpose_words, &["S12"]),
        ],
        Criterion::Threshold => {
            let mut out = vec![row("Purposes", purposes(form), &["S12"])];
            if form.purposes.contains(&Purpose::SeriousCrime) {
                out.extend(crime(form));
            }
            out
        }
        Criterion::Extent => vec![
            wrote("People affected", &form.people_affected, &["A8"]),
            wrote("Harm caused or that could be caused", &form.harm, &["A8"]),
        ],
        Criterion::Rights => {
            let mut out: Vec<Row> = declarations(form).into_iter().filter(|r| r.clauses != ["S8"]).collect();
            out.push(row("May the person be vulnerable?", yes_no(form.vulnerable), &["S11"]));
            out
        }
    }
}

/// An image as a page shows it: the whole rendering, with the chosen face marked.
#[derive(Serialize)]
pub(in crate::pages) struct Picture {
    probe: String,
    number: usize,
    src: String,
    width: u32,
    height: u32,
    faces: usize,
    /// From the left, 1 for the first.
    chosen: Option<usize>,
    mark: Option<FaceBox>,
    /// Width of the mark's line in the image's own pixels.
    line: u32,
    source: &'static str,
    /// The first 16 of the 64 digits of the image's SHA-256.
    digest: String,
    quality: Findings,
    usable: bool,
}

/// The images of a request.
pub(in crate::pages) fn pictures(view: &RequestView) -> Vec<Picture> {
    let images = view.form.as_ref().map(|f| f.images.as_slice()).unwrap_or_default();
    images.iter().enumerate().map(|(n, i)| picture(view, n + 1, i)).collect()
}

fn picture(view: &RequestView, number: usize, i: &FormImage) -> Picture {
    Picture {
        probe: i.probe.to_string(),
        number,
        src: format!("/assess/{}/images/{}", view.line.id, i.probe),
        width: i.width,
        height: i.height,
        faces: i.faces.len(),
        chosen: i.chosen.map(|c| c + 1),
        mark: i.chosen.and_then(|c| i.faces.get(c)).copied(),
        line: (i.width.max(i.height) / 160).max(2),
        source: match i.source {
            Some(Source::Supervised) => "Taken under supervision, for example at a police station",
            Some(Source::Unsupervised) => "CCTV or another device, not under supervision",
            None => "Not given",
        },
        digest: i.digest.to_string().chars().take(16).collect(),
        quality: Findings::of(i),
        usable: i.usable(),
    }
}

/// A case as every tab shows it: its head and its tabs.
pub(in crate::pages) fn case(view: &RequestView, current: &str) -> Value {
    let id = view.line.id;
    let tab = |key: &str, text: &str, href: String| context! { text, href, current => key == current };
    let tabs = vec![
        tab("request", "Request", format!("/assess/{id}")),
        tab("images", "Images", format!("/assess/{id}/images")),
        tab("assessment", "Assessment", format!("/assess/{id}/assessment")),
        tab("candidates", "Candidates", format!("/search/{id}")),
        tab("response", "Response", format!("/respond/{id}")),
        tab("history", "History", format!("/assess/{id}/history")),
    ];
    context! { c => crate::render::show(view), id => id.to_string(), version => view.version, reference_text => view.line.reference.clone(), case_tabs => tabs }
}

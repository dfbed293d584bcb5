//! The nine sections of the form as pages read and show them: what a sent section changes in the form,
//! what a section says so far, and which of its questions still want an answer. Nothing here decides.

use crate::{forms::Posted, pages::quality::Findings, render::show};
use casework::{
    form::{Declaration, Field, FingerprintCheck, Form, FormImage, Mode, Nationality, Purpose, SECTIONS, Source},
    ids::ProbeId,
    policy::Policy,
    refusal::Refusal,
};
use minijinja::{Value, context};
use serde::Serialize;
use std::{collections::BTreeMap, str::FromStr};
use strum::IntoEnumIterator;

/// The number of sections.
pub(super) const COUNT: u8 = 9;
/// The section that takes images; its forms are its own.
pub(super) const IMAGES: u8 = 5;

/// One answer of the form, for a summary list.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    key: &'static str,
    value: String,
    clauses: Vec<String>,
    field: String,
}

/// What was chosen or written for one question, in words.
fn row(field: Field, clause: &str, value: impl Into<String>) -> Row {
    Row { key: field.label(), value: value.into(), clauses: vec![clause.to_owned()], field: field.to_string() }
}

fn one<T: FromStr>(posted: &Posted, field: Field) -> Option<T> {
    posted.text(&field.to_string()).and_then(|v| v.parse().ok())
}

fn yes(posted: &Posted, field: Field) -> Option<bool> {
    match posted.text(&field.to_string()) {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    }
}

fn text(posted: &Posted, field: Field) -> String {
    // Browsers send line ends as CR LF.
    posted.text(&field.to_string()).unwrap_or_default().replace("\r\n", "\n")
}

/// Puts one section's answers, as they were sent, into the form. Incomplete answers are kept: a draft
/// is a draft.
pub(super) fn read(section: u8, posted: &Posted, form: &mut Form) {
    use Field as F;
    match section {
        1 => {
            form.investigation = text(posted, F::Investigation);
        }
        2 => {
            form.nationality = one(posted, F::Nationality);
            form.fingerprints_held = yes(posted, F::FingerprintsHeld);
            form.fingerprint_check = one(posted, F::FingerprintCheck);
            form.fingerprint_reference = text(posted, F::FingerprintReference);
        }
        3 => {
            form.purposes = posted.all(&F::Purposes.to_string()).filter_map(|p| p.parse().ok()).collect();
            form.purpose_words = text(posted, F::PurposeWords);
            form.mode = one(posted, F::Mode);
        }
        4 => {
            form.offence = text(posted, F::Offence);
            form.crime.sexual_offence = yes(posted, F::SexualOffence);
            form.crime.two_years = yes(posted, F::TwoYears);
            form.crime.violence = posted.has("involves", "violence");
            form.crime.grooming = posted.has("involves", "grooming");
            form.crime.online = posted.has("involves", "online");
            form.crime.gain = posted.has("involves", "gain");
            form.people_affected = text(posted, F::PeopleAffected);
            form.harm = text(posted, F::Harm);
        }
        6 => form.person = text(posted, F::Person),
        7 => {
            form.own_databases = text(posted, F::OwnDatabases);
            form.other_databases = text(posted, F::OtherDatabases);
            form.other_enquiries = text(posted, F::OtherEnquiries);
        }
        8 => {
            form.vulnerable = yes(posted, F::Vulnerable);
            form.vulnerable_words = text(posted, F::VulnerableWords);
        }
        9 => {
            form.urgent = yes(posted, F::Urgent);
            form.urgent_reason = text(posted, F::UrgentReason);
            form.declarations = posted.all(&F::Declarations.to_string()).filter_map(|d| d.parse().ok()).collect();
        }
        _ => {}
    }
}

fn yes_no(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

fn name(v: Option<impl ToString>) -> String {
    v.map(|v| v.to_string()).unwrap_or_default()
}

fn names<T: ToString>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|v| v.to_string()).collect()
}

fn involves(form: &Form) -> Vec<&'static str> {
    let c = &form.crime;
    [(c.violence, "violence"), (c.grooming, "grooming"), (c.online, "online"), (c.gain, "gain")]
        .into_iter()
        .filter_map(|(on, n)| on.then_some(n))
        .collect()
}

/// The form's answers by the names that the fields have on the page.
pub(super) fn values(form: &Form) -> Value {
    use Field as F;
    let mut map: BTreeMap<String, Value> = BTreeMap::new();
    let texts = [
        (F::Investigation, form.investigation.clone()),
        (F::Nationality, name(form.nationality)),
        (F::FingerprintsHeld, yes_no(form.fingerprints_held).into()),
        (F::FingerprintCheck, name(form.fingerprint_check)),
        (F::FingerprintReference, form.fingerprint_reference.clone()),
        (F::PurposeWords, form.purpose_words.clone()),
        (F::Mode, name(form.mode)),
        (F::Offence, form.offence.clone()),
        (F::SexualOffence, yes_no(form.crime.sexual_offence).into()),
        (F::TwoYears, yes_no(form.crime.two_years).into()),
        (F::PeopleAffected, form.people_affected.clone()),
        (F::Harm, form.harm.clone()),
        (F::Person, form.person.clone()),
        (F::OwnDatabases, form.own_databases.clone()),
        (F::OtherDatabases, form.other_databases.clone()),
        (F::OtherEnquiries, form.other_enquiries.clone()),
        (F::Vulnerable, yes_no(form.vulnerable).into()),
        (F::VulnerableWords, form.vulnerable_words.clone()),
        (F::Urgent, yes_no(form.urgent).into()),
        (F::UrgentReason, form.urgent_reason.clone()),
    ];
    map.extend(texts.into_iter().map(|(f, v)| (f.to_string(), Value::from(v))));
    map.insert(F::Purposes.to_string(), show(&names(form.purposes.iter())));
    map.insert(F::Declarations.to_string(), show(&names(form.declarations.iter())));
    map.insert("involves".into(), show(&involves(form)));
    Value::from_pairs(map)
}

/// Whether anything in a section was answered.
pub(super) fn touched(section: u8, form: &Form) -> bool {
    let said = |t: &str| !t.trim().is_empty();
    match section {
        1 => said(&form.investigation),
        2 => form.nationality.is_some(),
        3 => !form.purposes.is_empty() || said(&form.purpose_words) || form.mode.is_some(),
        4 => {
            said(&form.offence)
                || said(&form.people_affected)
                || said(&form.harm)
                || form.crime.sexual_offence.is_some()
                || form.crime.two_years.is_some()
                || !involves(form).is_empty()
        }
        5 => !form.images.is_empty(),
        6 => said(&form.person),
        7 => said(&form.own_databases) || said(&form.other_databases) || said(&form.other_enquiries),
        8 => form.vulnerable.is_some(),
        9 => form.urgent.is_some() || !form.declarations.is_empty(),
        _ => false,
    }
}

/// What a section still lacks.
pub(super) fn missing_in(section: u8, missing: &[Refusal]) -> Vec<&Refusal> {
    missing.iter().filter(|r| r.field.is_some_and(|f| f.section() == section)).collect()
}

/// The refusal that keeps the later sections shut: fingerprints come first (S4).
pub(super) fn gate(missing: &[Refusal]) -> Option<&Refusal> {
    missing.iter().find(|r| r.field == Some(Field::FingerprintCheck))
}

/// A section's state in words, as on a task list.
pub(super) fn state(section: u8, form: &Form, complete: &[bool; 9], gated: bool) -> &'static str {
    let done = complete.get(usize::from(section) - 1).copied().unwrap_or_default();
    match (gated && section > 2, done, touched(section, form)) {
        (true, ..) => "Cannot start yet",
        (_, true, true) => "Completed",
        (_, true, false) => "Optional",
        (_, false, true) => "In progress",
        (_, false, false) => "Not started",
    }
}

/// The serious-crime test as the form answers it: which limb is met, or why not (A7).
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub(super) struct CrimeSays {
    /// Whether serious crime is among the purposes, so that the test matters.
    pub(super) asked: bool,
    /// Whether its first question is answered.
    pub(super) answered: bool,
    /// The limb that is met.
    pub(super) met: Option<&'static str>,
    /// Why no limb is met.
    pub(super) failed: Vec<&'static str>,
    /// Whether another purpose could carry the request over the threshold (A6).
    pub(super) other_purpose: bool,
}

/// See [`CrimeSays`].
pub(super) fn crime(form: &Form) -> CrimeSays {
    let result = form.crime.run();
    CrimeSays {
        asked: form.purposes.contains(&Purpose::SeriousCrime),
        answered: form.crime.sexual_offence.is_some(),
        met: result.as_ref().ok().map(|l| l.words()),
        failed: result.err().unwrap_or_default().into_iter().map(casework::crime::FailedLimb::words).collect(),
        other_purpose: form.purposes.iter().any(|p| *p != Purpose::SeriousCrime),
    }
}

impl CrimeSays {
    /// One sentence for a notice; nothing when there is nothing to say yet.
    pub(super) fn sentence(&self) -> Option<String> {
        match (self.asked && self.answered, self.met) {
            (false, _) => None,
            (true, Some(limb)) => Some(format!("The serious-crime test is met by {limb}.")),
            (true, None) => Some(format!("The serious-crime test is not met as answered: {}.", self.failed.join("; "))),
        }
    }
}

/// The gallery owners that a nationality leads to.
fn route(nationality: Nationality, policy: &Policy) -> String {
    let owners: Vec<&str> = nationality.galleries().iter().map(|g| policy.gallery(*g).owner.as_str()).collect();
    let answer = match nationality {
        Nationality::British => "British",
        Nationality::Foreign => "A foreign national",
        Nationality::Unsure => "Unsure",
    };
    match owners.as_slice() {
        [one] => format!("{answer}: goes to {one}"),
        many => format!("{answer}: a separate, linked request to each of {}", many.join(" and ")),
    }
}

/// A mode in words.
pub(super) fn mode_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Unidentified => "Unidentified: nobody knows who the person is",
        Mode::Known => "Known: the person is known and other identities are sought",
    }
}

fn fingerprints_words(check: FingerprintCheck) -> &'static str {
    match check {
        FingerprintCheck::NotRun => "Not checked yet",
        FingerprintCheck::Identified => "Checked: the person was identified",
        FingerprintCheck::NotIdentified => "Checked: the person was not identified",
    }
}

/// Where an image comes from, in words.
pub(super) fn source_words(source: Source) -> &'static str {
    match source {
        Source::Supervised => "Taken under supervision, for example at a police station",
        Source::Unsupervised => "Not supervised: CCTV or another device",
    }
}

fn title(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn yes_no_words(answer: Option<bool>) -> String {
    title(yes_no(answer))
}

/// What a section says so far. Questions that another answer makes pointless are left out.
pub(super) fn rows(section: u8, form: &Form, policy: &Policy) -> Vec<Row> {
    use Field as F;
    match section {
        1 => vec![row(F::Investigation, "S2", form.investigation.as_str())],
        2 => {
            let mut out = vec![row(F::Nationality, "S3", form.nationality.map(|n| route(n, policy)).unwrap_or_default())];
            if form.nationality == Some(Nationality::Foreign) {
                out.push(row(F::FingerprintsHeld, "S4", yes_no_words(form.fingerprints_held)));
                if form.fingerprints_held == Some(true) {
                    out.push(row(F::FingerprintCheck, "S4", form.fingerprint_check.map(fingerprints_words).unwrap_or_default()));
                    out.push(row(F::FingerprintReference, "S4", form.fingerprint_reference.as_str()));
                }
            }
            out
        }
        3 => vec![
            row(F::Purposes, "A6", form.purposes.iter().map(|p| title(p.label())).collect::<Vec<_>>().join("\n")),
            row(F::PurposeWords, "S12", form.purpose_words.as_str()),
            row(F::Mode, "S12", form.mode.map(mode_words).unwrap_or_default()),
        ],
        4 => {
            let mut out = vec![row(F::Offence, "A6", form.offence.as_str())];
            if form.purposes.contains(&Purpose::SeriousCrime) {
                out.push(row(F::SexualOffence, "A7", yes_no_words(form.crime.sexual_offence)));
                if form.crime.sexual_offence != Some(true) {
                    out.push(row(F::TwoYears, "A7", yes_no_words(form.crime.two_years)));
                    let kinds: Vec<&str> = involves(form).into_iter().map(involves_words).collect();
                    let said = if kinds.is_empty() { "None of these".to_owned() } else { kinds.join("\n") };
                    out.push(Row { key: "It involves", value: said, clauses: vec!["A7".into()], field: "involves".into() });
                }
            }
            out.push(row(F::PeopleAffected, "A8", form.people_affected.as_str()));
            out.push(row(F::Harm, "A8", form.harm.as_str()));
            out
        }
        6 => vec![row(F::Person, "A3", form.person.as_str())],
        7 => vec![
            row(F::OwnDatabases, "S8", form.own_databases.as_str()),
            row(F::OtherDatabases, "S8", form.other_databases.as_str()),
            row(F::OtherEnquiries, "S8", form.other_enquiries.as_str()),
        ],
        8 => {
            let mut out = vec![row(F::Vulnerable, "S11", yes_no_words(form.vulnerable))];
            if form.vulnerable == Some(true) {
                out.push(row(F::VulnerableWords, "S11", form.vulnerable_words.as_str()));
            }
            out
        }
        9 => {
            let mut out = vec![row(F::Urgent, "S6", yes_no_words(form.urgent))];
            if form.urgent == Some(true) {
                out.push(row(F::UrgentReason, "S6", form.urgent_reason.as_str()));
            }
            for d in Declaration::iter() {
                let said = if form.declarations.contains(&d) { format!("Confirmed: {}", d.words(form.mode)) } else { String::new() };
                let mut declared = row(F::Declarations, &d.clause().to_string(), said);
                declared.key = declaration_title(d);
                out.push(declared);
            }
            out
        }
        _ => vec![],
    }
}

fn involves_words(kind: &str) -> &'static str {
    match kind {
        "violence" => "Violence",
        "grooming" => "Grooming",
        "online" => "Online criminality",
        _ => "Substantial financial gain",
    }
}

fn declaration_title(d: Declaration) -> &'static str {
    match d {
        Declaration::LawfulUse => "Lawful use",
        Declaration::AvenuesExhausted => "Other avenues exhausted",
        Declaration::NotIdentifiedOtherwise => "No other way",
        Declaration::OwnPolicyFollowed => "Own policy and approval",
    }
}

/// The declarations as questions, each on its own.
pub(super) fn declarations(form: &Form) -> Vec<Value> {
    Declaration::iter()
        .map(|d| {
            context! {
                value => d.to_string(), title => declaration_title(d), words => d.words(form.mode),
                clause => d.clause().to_string(), made => form.declarations.contains(&d),
            }
        })
        .collect()
}

/// All sections with what they say, for a page that shows the whole form.
pub(super) fn whole(form: &Form, policy: &Policy) -> Vec<Value> {
    (1..=COUNT).map(|n| context! { number => n, title => SECTIONS[usize::from(n) - 1], rows => show(&rows(n, form, policy)) }).collect()
}

/// One face on a picture, in the picture's own pixels.
#[derive(Clone, Debug, Serialize)]
struct FaceView {
    number: usize,
    words: String,
    place: String,
    chosen: bool,
    x: f32,
    y: f32,
    width: f32,
    height: f32,
    tag_x: f32,
    tag_y: f32,
}

/// One image with everything that is said about it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::pages) struct ImageView {
    pub(in crate::pages) number: usize,
    pub(in crate::pages) probe: ProbeId,
    src: String,
    alt: String,
    width: u32,
    height: u32,
    /// Height of the numbers on the picture and width of its lines, in the picture's pixels.
    tag: f32,
    line: f32,
    faces: Vec<FaceView>,
    chosen: Option<usize>,
    source: String,
    source_words: &'static str,
    quality: Findings,
}

/// `Face 2 of 4 (second from the left)`.
fn face_words(n: usize, of: usize) -> String {
    const ORDINALS: [&str; 9] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
    match (n, of) {
        (_, 1) => "The only face".into(),
        (1, _) => format!("Face 1 of {of} (leftmost)"),
        (n, of) if n == of => format!("Face {n} of {of} (rightmost)"),
        (n, of) => match ORDINALS.get(n - 1) {
            Some(o) => format!("Face {n} of {of} ({o} from the left)"),
            None => format!("Face {n} of {of} (number {n} from the left)"),
        },
    }
}

/// Where a face is on the picture, for somebody who cannot see the picture.
fn place(x: f32, y: f32, w: f32, h: f32, width: f32, height: f32) -> String {
    let third = |at: f32, all: f32, names: [&'static str; 3]| {
        names[if at < all / 3.0 {
            0
        } else if at < all * 2.0 / 3.0 {
            1
        } else {
            2
        }]
    };
    let down = third(y + h / 2.0, height, ["top", "middle", "bottom"]);
    let across = third(x + w / 2.0, width, ["left", "centre", "right"]);
    format!("About {w:.0} by {h:.0} pixels, {down} {across} of the picture")
}

/// The images of a form; `base` is the path below which their pictures are served.
#[allow(clippy::cast_precision_loss)] // pixels of an image of at most 12,000 a side
pub(in crate::pages) fn images(form: &Form, base: &str) -> Vec<ImageView> {
    form.images.iter().enumerate().map(|(n, i)| image(n + 1, i, base)).collect()
}

#[allow(clippy::cast_precision_loss)]
fn image(number: usize, i: &FormImage, base: &str) -> ImageView {
    let (width, height) = (i.width as f32, i.height as f32);
    let tag = width.max(height) / 22.0;
    let of = i.faces.len();
    let faces: Vec<FaceView> = i
        .faces
        .iter()
        .enumerate()
        .map(|(n, f)| FaceView {
            number: n + 1,
            words: face_words(n + 1, of),
            place: place(f.x, f.y, f.width, f.height, width, height),
            chosen: i.chosen == Some(n),
            x: f.x,
            y: f.y,
            width: f.width,
            height: f.height,
            tag_x: f.x.clamp(0.0, width - tag),
            // Above the face where there is room, so that the number hides nothing.
            tag_y: (f.y - tag * 1.1).clamp(0.0, height - tag),
        })
        .collect();
    let alt = match i.chosen.and_then(|c| faces.get(c)) {
        Some(face) if of > 1 => format!("Image {number}, with {of} faces. To be searched with: {}.", face.words.to_lowercase()),
        Some(_) => format!("Image {number}, with one face."),
        None => format!("Image {number}, with {of} faces, numbered from left to right."),
    };
    ImageView {
        number,
        probe: i.probe,
        src: format!("{base}/{}", i.probe),
        alt,
        width: i.width,
        height: i.height,
        tag,
        line: width.max(height) / 250.0,
        faces,
        chosen: i.chosen.map(|c| c + 1),
        source: name(i.source),
        source_words: i.source.map(source_words).unwrap_or_default(),
        quality: Findings::of(i),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn posted(pairs: &[(&str, &str)]) -> Posted {
        Posted { fields: pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(), files: vec![] }
    }

    /// Every question that has a field on a page can be put in through `read` and comes back out of `values`.
    #[test]
    fn what_is_sent_is_what_is_shown_again() {
        let sent = [
            ("investigation", "NS/1"),
            ("nationality", "foreign"),
            ("fingerprints-held", "yes"),
            ("fingerprint-check", "not-identified"),
            ("fingerprint-reference", "IABS 7"),
            ("purposes", "serious-crime"),
            ("purpose-words", "To find him"),
            ("mode", "known"),
            ("offence", "Robbery"),
            ("sexual-offence", "no"),
            ("two-years", "yes"),
            ("involves", "violence"),
            ("people-affected", "Three"),
            ("harm", "Injury\r\nand fear"),
            ("person", "A scar"),
            ("own-databases", "PNC"),
            ("other-databases", "PND"),
            ("other-enquiries", "Door to door"),
            ("vulnerable", "yes"),
            ("vulnerable-words", "Fled violence"),
            ("urgent", "yes"),
            ("urgent-reason", "A child is missing"),
            ("declarations", "lawful-use"),
        ];
        let mut form = Form::new();
        for section in 1..=COUNT {
            assert!(!touched(section, &form), "section {section} begins untouched");
            read(section, &posted(&sent), &mut form);
            assert!(touched(section, &form) || section == IMAGES, "section {section} was answered");
        }
        let shown = values(&form);
        for (field, value) in sent {
            let back = shown.get_attr(field).unwrap();
            let back = back.get_item_by_index(0).ok().filter(|v| !v.is_undefined() && back.as_str().is_none()).unwrap_or(back);
            assert_eq!(back.to_string(), value.replace("\r\n", "\n"), "{field}");
        }
        let asked: Vec<String> = Field::iter().filter(|f| !matches!(f, Field::Template | Field::Images)).map(|f| f.to_string()).collect();
        for field in asked {
            assert!(sent.iter().any(|(f, _)| *f == field), "{field} is on no page");
        }
    }

    #[test]
    fn fingerprints_come_before_the_rest() {
        let policy = Policy::in_force(date(2026, 11, 22));
        let mut form = Form { nationality: Some(Nationality::Foreign), fingerprints_held: Some(true), ..Form::new() };
        for (check, shut) in [
            (None, true),
            (Some(FingerprintCheck::NotRun), true),
            (Some(FingerprintCheck::Identified), true),
            (Some(FingerprintCheck::NotIdentified), false),
        ] {
            form.fingerprint_check = check;
            let missing = form.missing(policy);
            assert_eq!(gate(&missing).is_some(), shut, "{check:?}");
            let says = state(3, &form, &form.complete_sections(policy), gate(&missing).is_some());
            assert_eq!(says, if shut { "Cannot start yet" } else { "Not started" });
        }
        form.fingerprints_held = Some(false);
        assert!(gate(&form.missing(policy)).is_none(), "no fingerprints, no gate");
    }

    #[test]
    fn the_serious_crime_test_says_which_limb() {
        let mut form = Form { purposes: [Purpose::SeriousCrime].into(), ..Form::new() };
        assert_eq!(crime(&form).sentence(), None, "nothing is said before it is answered");
        form.crime.sexual_offence = Some(false);
        form.crime.two_years = Some(true);
        assert!(crime(&form).sentence().unwrap().contains("involves no violence"));
        form.crime.online = true;
        assert!(crime(&form).sentence().unwrap().contains("limb (b)"));
    }

    #[test]
    fn a_face_can_be_chosen_without_sight_of_the_picture() {
        assert_eq!(face_words(1, 4), "Face 1 of 4 (leftmost)");
        assert_eq!(face_words(2, 4), "Face 2 of 4 (second from the left)");
        assert_eq!(face_words(4, 4), "Face 4 of 4 (rightmost)");
        assert_eq!(face_words(12, 30), "Face 12 of 30 (number 12 from the left)");
        assert_eq!(place(0.0, 0.0, 80.0, 100.0, 900.0, 600.0), "About 80 by 100 pixels, top left of the picture");
    }
}

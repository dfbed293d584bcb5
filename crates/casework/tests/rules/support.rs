//! What several of the files beside this one need.

use casework::{
    clause::Clause,
    command::Command,
    ids::{PersonId, ProbeId, ReferenceId},
    record::GalleryId,
    refusal::Refusal,
    review::{self, Conclusion},
    testing::{Case, World},
};

/// Whether any refusal rests on a clause.
pub fn cites(refusals: &[Refusal], clause: Clause) -> bool {
    refusals.iter().any(|r| r.clauses.contains(&clause))
}

/// Whether a refusal that rests on a clause says these words.
pub fn says(refusals: &[Refusal], clause: Clause, words: &str) -> bool {
    refusals.iter().any(|r| r.clauses.contains(&clause) && r.words.contains(words))
}

/// Compares a generated page with the one kept in `docs/`, or writes it when `UPDATE_GOLDEN` is set.
pub fn golden(name: &str, generated: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == generated, "docs/{name} is stale: look at what changed, then run the tests with UPDATE_GOLDEN=1");
}

/// Compares the part of a page in `docs/` between `<!-- NAME -->` and `<!-- /NAME -->`, or writes it.
pub fn golden_part(page: &str, name: &str, generated: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = text.find(&open).unwrap_or_else(|| panic!("docs/{page} has no {open}")) + open.len();
    let end = start + text[start..].find(&close).unwrap_or_else(|| panic!("docs/{page} has no {close}"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{}{generated}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert!(&text[start..end] == generated, "docs/{page} is stale: look at what changed, then run the tests with UPDATE_GOLDEN=1");
}

/// A passport case that is held and has two images.
pub fn two_images(w: &mut World) -> (Case, [ProbeId; 2]) {
    let mut form = w.complete_form();
    let second = w.image();
    form.images.push(second);
    let mut case = w.received_form(form, GalleryId::Passport);
    w.take(&mut case);
    let probes = [case.probes[0].id, case.probes[1].id];
    (case, probes)
}

/// Authorises and searches an image, finding these references.
pub fn find(w: &mut World, case: &mut Case, probe: ProbeId, references: &[ReferenceId]) {
    let authorise = w.authorise(case, probe);
    w.done(case.assignee, case, authorise);
    w.done(case.assignee, case, Command::StartSearch { probe });
    let mut result = w.search_result(case, probe, references.len());
    if let Command::RecordSearch { found, .. } = &mut result {
        found.iter_mut().zip(references).for_each(|(f, r)| f.reference = *r);
    }
    w.done(None, case, result);
}

/// Two examiners say the same of every candidate of an image.
pub fn agree(w: &mut World, case: &mut Case, probe: ProbeId, examiners: &[PersonId], same: bool) {
    for examiner in examiners {
        let order = review::in_question(case.probe(probe).unwrap());
        w.done(*examiner, case, Command::Examine { probe, order: order.clone() });
        let version = |case: &Case| review::sheet(case, probe, *examiner).unwrap().version;
        for candidate in &order {
            let opinion = World::visual(if same { Conclusion::Same } else { Conclusion::Different });
            let command = Command::GiveVisual { probe, candidate: *candidate, opinion, version: version(case) };
            w.done(*examiner, case, command);
        }
        for candidate in &order {
            let command = Command::GiveInformed { probe, candidate: *candidate, opinion: World::informed(same), version: version(case) };
            w.done(*examiner, case, command);
        }
    }
}

//! What several of the files beside this one need.

use casework::{clause::Clause, refusal::Refusal};

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

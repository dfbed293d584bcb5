//! Finds rules and tests in source text. It uses the standard library alone, because the build script
//! of the `countersign` binary includes this very file.
//!
//! A **rule** is a use of `Clause::A7` in code, or a remark `[rule: D1]` where the clause is kept by a
//! mechanism that cites nothing. A **test** is a function under an attribute with `test` in it whose
//! name begins with the clause's id (`a7_names_the_limb`), or a browser test whose title does (`A7: …`).
//! One that is switched off (`#[ignore]`, `.skip`, `.todo`) shows nothing and is not counted.

/// What a line is to a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A rule.
    Rule,
    /// A test.
    Test,
}

/// One rule or test found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The clause's id, e.g. `A7`.
    pub clause: String,
    /// Rule or test.
    pub kind: Kind,
    /// Line number, from 1.
    pub line: u32,
    /// The test's name.
    pub name: Option<String>,
}

/// Finds the rules and tests of one file. `file` is its path from the repository's root, with `/`.
/// `ids` are the clause ids that exist.
#[must_use]
pub fn scan(ids: &[String], file: &str, text: &str) -> Vec<Hit> {
    if file.ends_with(".mjs") {
        return browser_tests(ids, text);
    }
    let mut out = vec![];
    // Where clauses are listed, not applied, and where they are tested.
    let rules_here = !file.contains("/tests/")
        && !["casework/src/clause.rs", "casework/src/testing.rs", "casework/src/coverage.rs", "casework/src/coverage/scan.rs"]
            .iter()
            .any(|f| file.ends_with(f));
    let mut in_tests = false;
    let mut attributes = String::new();
    for (n, line) in text.lines().enumerate() {
        let number = u32::try_from(n + 1).unwrap_or(u32::MAX);
        let code = line.trim_start();
        in_tests |= code.starts_with("#[cfg(test)]");
        if rules_here && !in_tests {
            for clause in cited(code, "Clause::").chain(cited(code, "[rule: ")) {
                if ids.contains(&clause) {
                    out.push(Hit { clause, kind: Kind::Rule, line: number, name: None });
                }
            }
        }
        if code.starts_with("#[") {
            attributes.push_str(code);
        } else if let Some(name) = function(code) {
            let prefix = name.split('_').next().unwrap_or_default();
            let runs = attributes.contains("test") && !attributes.contains("#[ignore");
            if runs && name.len() > prefix.len() {
                let id = prefix.to_uppercase();
                if prefix != id && ids.contains(&id) {
                    out.push(Hit { clause: id, kind: Kind::Test, line: number, name: Some(name.to_owned()) });
                }
            }
            attributes.clear();
        } else if !code.starts_with("//") {
            attributes.clear();
        }
    }
    out
}

/// The words of letters and digits that follow a marker on a line.
fn cited<'a>(code: &'a str, marker: &'a str) -> impl Iterator<Item = String> + 'a {
    code.split(marker).skip(1).map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect())
}

/// The name of the function that a line begins.
fn function(code: &str) -> Option<&str> {
    let mut rest = code;
    for word in ["pub ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

/// Titles such as `"A7: the page names the limb"`.
fn browser_tests(ids: &[String], text: &str) -> Vec<Hit> {
    let mut out = vec![];
    let off = |line: &str| [".skip(", ".todo(", "skip: true", "todo: true"].iter().any(|o| line.contains(o));
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !off(line)) {
        for quote in ['"', '\'', '`'] {
            for title in line.split(quote).skip(1) {
                if let Some((id, words)) = title.split_once(':')
                    && words.starts_with(' ')
                    && ids.iter().any(|i| i == id)
                {
                    out.push(Hit {
                        clause: id.to_owned(),
                        kind: Kind::Test,
                        line: u32::try_from(n + 1).unwrap_or(u32::MAX),
                        name: Some(title.to_owned()),
                    });
                }
            }
        }
    }
    out
}

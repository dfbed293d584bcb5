//! report: management information, a repeatable sample, one request's record, the log and its
//! verification (D3–D5). Everything here is read-only, and each look is itself recorded.

use super::{
    Routes,
    assess::{assessment, said},
    register::closed,
};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::{Path, Query},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bureau::{
    Bureau,
    report::{EntryFilter, SAMPLE_MAX, SEED_CHARS_MAX},
};
use casework::{
    access::Action,
    clause::Clause,
    ids::{PersonId, RequestId},
    record::GalleryId,
    report::Counts,
};
use jiff::{ToSpan, civil::Date};
use minijinja::{Value, context};
use serde::Deserialize;
use std::{fmt::Write as _, sync::Arc};
use strum::IntoEnumIterator;

/// Entries of the log on one page.
const ENTRIES_ON_PAGE: u32 = 50;
/// Entries fetched at a time for a download.
const ENTRIES_AT_ONCE: u32 = 500;
/// Entries in one download at most.
const ENTRIES_IN_CSV_MAX: usize = 20_000;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/report", get(overview))
            .route("/report/figures.csv", get(figures_csv))
            .route("/report/sample", get(sample))
            .route("/report/look-up", post(look_up))
            .route("/report/requests/{id}", get(record))
            .route("/report/ledger", get(ledger))
            .route("/report/ledger.csv", get(ledger_csv))
            .route("/report/verify", get(verify).post(verify_now))
            .route("/report/checkpoint", get(checkpoint)),
    )
}

pub(super) fn me(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

pub(super) fn house(page: &Page) -> Result<Arc<Bureau>, PageError> {
    page.state.bureau().cloned()
}

pub(super) fn tabs(current: &str) -> Vec<Value> {
    [
        ("Figures", "/report"),
        ("Accuracy", "/report/accuracy"),
        ("Sample", "/report/sample"),
        ("Who did what", "/report/processing"),
        ("Log", "/report/ledger"),
        ("Verify", "/report/verify"),
    ]
    .into_iter()
    .map(|(text, href)| context! { text, href, current => href == current })
    .collect()
}

// ---- Management information (D4) ------------------------------------------------------------------

/// What is counted, in the order of the page.
fn measures(c: &Counts) -> Vec<(String, u32)> {
    let mut out = vec![
        ("Requests received".to_owned(), c.received),
        ("Of those, urgent".to_owned(), c.urgent),
        ("Rejected as incomplete".to_owned(), c.rejected),
        ("Images authorised".to_owned(), c.authorised),
        ("Images declined".to_owned(), c.declined),
    ];
    out.extend(c.answered.iter().map(|(outcome, n)| (format!("Answered: {}", outcome.replace('-', " ")), *n)));
    out
}

/// One gallery's bars: rows of label, count and width in percent of the longest.
fn bars(c: &Counts) -> Vec<Value> {
    let rows = measures(c);
    let longest = rows.iter().map(|(_, n)| *n).max().unwrap_or_default().max(1);
    rows.into_iter()
        .enumerate()
        .map(|(n, (label, count))| {
            context! { label, count, y => n * 34, width => f64::from(count) / f64::from(longest) * 400.0 }
        })
        .collect()
}

async fn overview(page: Page) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let figures = bureau.figures(me(&page)).await.map_err(closed)?;
    let galleries: Vec<Value> = figures
        .galleries
        .iter()
        .map(|(id, c)| {
            let clauses: Vec<Value> = c.declines_by_clause.iter().map(|(clause, n)| context! { clause, count => n }).collect();
            context! {
                id => id.to_string(), name => bureau.policy().gallery(*id).name.as_str(), bars => bars(c), clauses,
                height => measures(c).len() * 34, took => figures.took.get(id).map(show),
            }
        })
        .collect();
    let line = |(key, c): &((GalleryId, String), Counts)| {
        let answered: u32 = c.answered.values().sum();
        context! { gallery => key.0.to_string(), key => key.1.as_str(), received => c.received, urgent => c.urgent, declined => c.declined, rejected => c.rejected, answered }
    };
    page.view("report/overview.html", "Figures")
        .with(context! {
            galleries, forces => figures.forces.iter().map(line).collect::<Vec<_>>(), months => figures.months.iter().map(line).collect::<Vec<_>>(),
            tabs_items => tabs("/report"), looks_up => true,
        })
        .draw()
        .await
}

pub(super) fn csv(name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, disposition)], text).into_response()
}

/// One line of CSV. A value that a spreadsheet would run as a formula is quoted as text.
pub(super) fn csv_line(out: &mut String, values: &[String]) {
    for (n, value) in values.iter().enumerate() {
        let safe = if value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
            format!("'{value}")
        } else {
            value.clone()
        };
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{}\"", safe.replace('"', "\"\""));
    }
    out.push_str("\r\n");
}

async fn figures_csv(page: Page) -> Result<Response, PageError> {
    let figures = house(&page)?.figures(me(&page)).await.map_err(closed)?;
    let mut out = String::new();
    csv_line(&mut out, &["gallery", "by", "of", "measure", "count"].map(str::to_owned));
    let mut add = |gallery: GalleryId, by: &str, of: &str, c: &Counts| {
        let declines = c.declines_by_clause.iter().map(|(clause, n)| (format!("Declines citing {clause}"), *n));
        for (measure, count) in measures(c).into_iter().chain(declines) {
            csv_line(&mut out, &[gallery.to_string(), by.to_owned(), of.to_owned(), measure, count.to_string()]);
        }
    };
    figures.galleries.iter().for_each(|(g, c)| add(*g, "gallery", "", c));
    figures.forces.iter().for_each(|((g, force), c)| add(*g, "force", force, c));
    figures.months.iter().for_each(|((g, month), c)| add(*g, "month", month, c));
    for (g, t) in &figures.took {
        for (measure, n) in [
            ("Answers", t.answers as u64),
            ("Median working days", t.median_working_days.into()),
            ("Longest working days", t.longest_working_days.into()),
        ] {
            csv_line(&mut out, &[g.to_string(), "turnaround".into(), String::new(), measure.into(), n.to_string()]);
        }
    }
    Ok(csv("countersign-figures.csv", out))
}

// ---- A sample that anybody can draw again (D4) ----------------------------------------------------

#[derive(Default, Deserialize)]
#[serde(default)]
struct Draw {
    seed: String,
    size: String,
}

async fn sample(page: Page, Query(draw): Query<Draw>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let seed = draw.seed.trim();
    let mut errors = vec![];
    let size = match draw.size.trim() {
        "" => 10,
        text => text.parse::<usize>().ok().filter(|n| (1..=SAMPLE_MAX).contains(n)).unwrap_or_else(|| {
            errors.push(RefusalLine::on("size", "The number of cases must be from 1 to 100"));
            10
        }),
    };
    if seed.chars().count() > SEED_CHARS_MAX {
        errors.push(RefusalLine::on("seed", "The seed must be 100 characters or fewer"));
    }
    let drawn = if seed.is_empty() || !errors.is_empty() {
        bureau.figures(me(&page)).await.map_err(closed)?; // the page itself is for the same people
        None
    } else {
        Some(bureau.sample(me(&page), seed, size).await.map_err(closed)?)
    };
    page.view("report/sample.html", "A sample of cases")
        .with(context! { values => context! { seed => draw.seed.as_str(), size => draw.size.as_str() }, lines => drawn.as_ref().map(show), tabs_items => tabs("/report/sample") })
        .errors(errors)
        .draw()
        .await
}

// ---- One request --------------------------------------------------------------------------------

async fn look_up(page: Page, posted: Posted) -> Result<Response, PageError> {
    let text = posted.text("reference").unwrap_or_default();
    let errors = if text.is_empty() { vec![RefusalLine::on("reference", "Enter a reference")] } else { vec![] };
    let lines = if text.is_empty() { vec![] } else { house(&page)?.look_up(me(&page), text).await.map_err(closed)? };
    page.view("report/look-up.html", "Look up a request")
        .back("/report")
        .with(context! { values => posted.values(), lines => show(&lines), asked => !text.is_empty() })
        .errors(errors)
        .draw()
        .await
}

async fn record(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let (bureau, who) = (house(&page)?, me(&page));
    let view = bureau.request(who, id).await.map_err(closed)?;
    let mut history = bureau.history(who, id).await.map_err(closed)?;
    history.reverse();
    let policy = bureau.policy();
    let probes: Vec<Value> =
        view.probes.iter().map(|p| context! { findings => assessment::findings(p, &view, policy), ..show(p) }).collect();
    let sections = view.form.as_ref().map(said::sections).unwrap_or_default();
    let image_log = view.may.contains(&Action::SeeImageLog).then(|| format!("/report/requests/{id}/image-log"));
    page.view("report/record.html", "The record of a request")
        .back("/report")
        .with(context! { image_log, v => show(&view), probes, sections => show(&sections), history => show(&history) })
        .draw()
        .await
}

// ---- The log (D5) ---------------------------------------------------------------------------------

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Filter {
    kind: String,
    gallery: String,
    outcome: String,
    clause: String,
    from: String,
    until: String,
    before: String,
}

impl Filter {
    /// The store's filter, or what is wrong with this one.
    fn read(&self) -> Result<EntryFilter, Vec<RefusalLine>> {
        let mut wrong = vec![];
        let some = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        let mut day = |field: &str, text: &str, words: &str| -> Option<Date> {
            let text = text.trim();
            let date = text.parse::<Date>().ok();
            if !text.is_empty() && date.is_none() {
                wrong.push(RefusalLine::on(field, words));
            }
            date
        };
        let from = day("from", &self.from, "The first day must be a real date, such as 2026-11-22");
        let until = day("until", &self.until, "The last day must be a real date, such as 2026-11-22");
        let clause = some(&self.clause).map(|c| c.to_uppercase());
        if clause.as_deref().is_some_and(|c| c.parse::<Clause>().is_err()) {
            wrong.push(RefusalLine::on("clause", "Enter a clause such as A7"));
        }
        let gallery = some(&self.gallery).and_then(|g| g.parse().ok());
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(EntryFilter {
            kind: some(&self.kind).map(|k| k.to_lowercase().replace(' ', "-")),
            gallery,
            outcome: some(&self.outcome).map(|o| o.to_lowercase().replace(' ', "-")),
            clause,
            from: from.map(casework::calendar::start_of),
            // Until the end of that day.
            until: until.and_then(|d| d.checked_add(1.day()).ok()).map(casework::calendar::start_of),
            before: self.before.trim().parse().ok(),
            limit: ENTRIES_ON_PAGE,
            ..EntryFilter::default()
        })
    }

    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("kind", &self.kind),
            ("gallery", &self.gallery),
            ("outcome", &self.outcome),
            ("clause", &self.clause),
            ("from", &self.from),
            ("until", &self.until),
        ]
    }

    /// The query without one of its parts.
    fn query(&self, without: &str, before: Option<u64>) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.pairs().into_iter().filter(|(n, v)| *n != without && !v.trim().is_empty()) {
            out.append_pair(name, value.trim());
        }
        if let Some(before) = before {
            out.append_pair("before", &before.to_string());
        }
        let query = out.finish();
        if query.is_empty() { String::new() } else { format!("?{query}") }
    }

    fn chosen(&self) -> Vec<Value> {
        self.pairs().into_iter().filter(|(_, v)| !v.trim().is_empty())
            .map(|(name, value)| context! { text => format!("{}: {}", label(name), value.trim()), without => format!("/report/ledger{}", self.query(name, None)) })
            .collect()
    }
}

fn label(name: &str) -> &'static str {
    match name {
        "kind" => "What happened",
        "gallery" => "Gallery",
        "outcome" => "Outcome",
        "clause" => "Clause",
        "from" => "From",
        _ => "Until",
    }
}

async fn ledger(page: Page, Query(filter): Query<Filter>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let (entries, errors) = match filter.read() {
        Ok(read) => (bureau.ledger(me(&page), read).await.map_err(closed)?, vec![]),
        Err(wrong) => {
            bureau.checkpoint_for(me(&page)).await.map_err(closed)?; // the page itself is for the same people
            (vec![], wrong)
        }
    };
    let next = entries
        .last()
        .filter(|_| entries.len() == ENTRIES_ON_PAGE as usize)
        .map(|e| format!("/report/ledger{}", filter.query("", Some(e.index))));
    let lines: Vec<Value> = entries
        .iter()
        .map(|e| {
            context! {
                index => e.index, leaf => hex::encode(e.leaf.0), at => e.header.at.to_string(), kind => e.header.kind.replace('-', " "),
                gallery => e.header.gallery.map(|g| g.to_string()), outcome => e.header.outcome.as_deref().map(|o| o.replace('-', " ")),
                clauses => e.header.clauses.clone(), state => e.header.state.as_deref().map(|s| s.replace('-', " ")),
            }
        })
        .collect();
    page.view("report/ledger.html", "The log")
        .with(context! {
            lines, next, newest => !filter.before.is_empty(), chosen => filter.chosen(), csv => format!("/report/ledger.csv{}", filter.query("", None)),
            values => context! {
                kind => filter.kind, gallery => filter.gallery, outcome => filter.outcome, clause => filter.clause, from => filter.from, until => filter.until,
            },
            galleries => GalleryId::iter().map(|g| g.to_string()).collect::<Vec<_>>(), tabs_items => tabs("/report/ledger"),
        })
        .errors(errors)
        .draw()
        .await
}

async fn ledger_csv(page: Page, Query(filter): Query<Filter>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let mut read = filter.read().map_err(PageError::Refused)?;
    read.limit = ENTRIES_AT_ONCE;
    let mut out = String::new();
    csv_line(&mut out, &["index", "at", "kind", "gallery", "outcome", "clauses", "state", "policy", "class", "leaf"].map(str::to_owned));
    let mut written = 0;
    loop {
        let entries = bureau.ledger(me(&page), read.clone()).await.map_err(closed)?;
        for e in &entries {
            let h = &e.header;
            csv_line(
                &mut out,
                &[
                    e.index.to_string(),
                    h.at.to_string(),
                    h.kind.clone(),
                    h.gallery.map(|g| g.to_string()).unwrap_or_default(),
                    h.outcome.clone().unwrap_or_default(),
                    h.clauses.join(" "),
                    h.state.clone().unwrap_or_default(),
                    h.policy.clone(),
                    h.class.to_string(),
                    hex::encode(e.leaf.0),
                ],
            );
        }
        written += entries.len();
        match entries.last() {
            Some(last) if entries.len() == ENTRIES_AT_ONCE as usize && written < ENTRIES_IN_CSV_MAX => read.before = Some(last.index),
            _ => break,
        }
    }
    Ok(csv("countersign-log.csv", out))
}

// ---- Verification (D5) ----------------------------------------------------------------------------

async fn verify(page: Page) -> Result<Response, PageError> {
    let (note, key) = house(&page)?.checkpoint_for(me(&page)).await.map_err(closed)?;
    page.view("report/verify.html", "Verify the log").with(context! { note, key, tabs_items => tabs("/report/verify") }).draw().await
}

async fn verify_now(page: Page, _: Posted) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let found = bureau.verify_for(me(&page)).await.map_err(closed)?;
    page.view("report/verify.html", "Verify the log")
        .with(context! { found => show(&found), note => found.checkpoint.clone(), key => found.key.clone(), at_now => bureau.now().to_string(), tabs_items => tabs("/report/verify") })
        .draw()
        .await
}

async fn checkpoint(page: Page) -> Result<Response, PageError> {
    let (note, _) = house(&page)?.checkpoint_for(me(&page)).await.map_err(closed)?;
    let note = note.ok_or(PageError::NotFound)?;
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_DISPOSITION, "attachment; filename=\"checkpoint\"")];
    Ok((headers, note).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        let mut out = String::new();
        csv_line(&mut out, &["=1+1".into(), "Force \"A\", north".into(), "7".into()]);
        assert_eq!(out, "\"'=1+1\",\"Force \"\"A\"\", north\",\"7\"\r\n");
    }

    #[test]
    fn a_filter_says_everything_that_is_wrong_with_it() {
        let wrong =
            Filter { from: "yesterday".into(), until: "2026-02-30".into(), clause: "Z9".into(), ..Filter::default() }.read().unwrap_err();
        assert_eq!(wrong.iter().filter_map(|w| w.field.as_deref()).collect::<Vec<_>>(), ["from", "until", "clause"]);
    }

    #[test]
    fn a_filter_reaches_to_the_end_of_its_last_day_in_london() {
        let read =
            Filter { from: "2026-06-30".into(), until: "2026-06-30".into(), clause: "a7".into(), ..Filter::default() }.read().unwrap();
        assert_eq!(read.from.unwrap().to_string(), "2026-06-29T23:00:00Z");
        assert_eq!(read.until.unwrap().to_string(), "2026-06-30T23:00:00Z");
        assert_eq!(read.clause.as_deref(), Some("A7"));
    }

    #[test]
    fn taking_a_filter_away_keeps_the_others() {
        let f = Filter { kind: "released".into(), outcome: "no match".into(), ..Filter::default() };
        assert_eq!(f.query("kind", None), "?outcome=no+match");
        assert_eq!(f.query("", Some(9)), "?kind=released&outcome=no+match&before=9");
    }
}

//! report: who collected, altered, consulted, disclosed, combined and erased (D5, DPA 2018 s.62). Every look at
//! it, download and proof is itself recorded.

use super::{
    Routes,
    register::closed,
    report::{csv, csv_line, house, me, tabs},
};
use crate::{
    errors::{PageError, RefusalLine},
    page::Page,
};
use axum::{
    Router,
    extract::{Path, Query},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use bureau::processing::{Below, PROCESSING_IN_CSV_MAX, ProcessingFilter, ProcessingLine};
use casework::{clause::Clause, ids::RequestId, people::Register, processing::Operation, record::GalleryId};
use jiff::{Timestamp, ToSpan, civil::Date};
use minijinja::{Value, context};
use serde::Deserialize;
use strum::IntoEnumIterator;

const PATH: &str = "/report/processing";

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route(PATH, get(entries))
            .route("/report/processing.csv", get(download))
            .route("/report/processing/{index}/proof", get(proof)),
    )
}

/// The filter as the address carries it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    operation: String,
    person: String,
    request: String,
    gallery: String,
    force: String,
    clause: String,
    from: String,
    until: String,
    below: String,
}

/// A place in the list, as an address carries it: `µs since 1970`.`index`.
pub(crate) fn place(below: Below) -> String {
    format!("{}.{}", below.at.as_microsecond(), below.index)
}

/// Reads [`place`] back.
pub(crate) fn at_place(text: &str) -> Option<Below> {
    let (at, index) = text.trim().split_once('.')?;
    Some(Below {
        at: Timestamp::from_microsecond(at.parse().ok()?).ok()?,
        index: index.parse().ok().filter(|i| i64::try_from(*i).is_ok())?,
    })
}

impl Asked {
    /// The filter, or everything that is wrong with it. `found` is the request that a reference leads to.
    fn read(&self, found: Option<RequestId>) -> Result<ProcessingFilter, Vec<RefusalLine>> {
        let mut wrong = vec![];
        let some = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        let mut day = |field: &str, text: &str, words: &str| -> Option<Date> {
            let date = text.trim().parse::<Date>().ok();
            if !text.trim().is_empty() && date.is_none() {
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
        let request = some(&self.request).map(|t| t.parse::<RequestId>().ok().or(found));
        if request == Some(None) {
            wrong.push(RefusalLine::on(
                "request",
                "There is no request of this reference that you may see; enter one such as FIS-1A2B-3C4D",
            ));
        }
        let mut chosen = |field: &str, text: &str, good: bool| {
            if some(text).is_some() && !good {
                wrong.push(RefusalLine::on(field, "Choose one from the list"));
            }
        };
        let operation = some(&self.operation).and_then(|t| t.parse::<Operation>().ok());
        chosen("operation", &self.operation, operation.is_some());
        let person = some(&self.person).and_then(|t| t.parse().ok());
        chosen("person", &self.person, person.is_some());
        let gallery = some(&self.gallery).and_then(|t| t.parse::<GalleryId>().ok());
        chosen("gallery", &self.gallery, gallery.is_some());
        let leo = some(&self.force).and_then(|t| t.parse().ok());
        chosen("force", &self.force, leo.is_some());
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(ProcessingFilter {
            operation,
            person,
            request: request.flatten(),
            gallery,
            leo,
            clause,
            from: from.map(casework::calendar::start_of),
            // Until the end of that day.
            until: until.and_then(|d| d.checked_add(1.day()).ok()).map(casework::calendar::start_of),
            below: at_place(&self.below),
        })
    }

    fn pairs(&self) -> [(&'static str, &'static str, &str); 8] {
        [
            ("operation", "Operation", &self.operation),
            ("person", "Person", &self.person),
            ("request", "Request", &self.request),
            ("gallery", "Gallery", &self.gallery),
            ("force", "Force", &self.force),
            ("clause", "Clause", &self.clause),
            ("from", "From", &self.from),
            ("until", "Until", &self.until),
        ]
    }

    /// The query without one of its parts.
    fn query(&self, without: &str, below: Option<Below>) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for (name, _, value) in self.pairs().into_iter().filter(|(n, _, v)| *n != without && !v.trim().is_empty()) {
            out.append_pair(name, value.trim());
        }
        if let Some(below) = below {
            out.append_pair("below", &place(below));
        }
        let query = out.finish();
        if query.is_empty() { String::new() } else { format!("?{query}") }
    }

    /// What was chosen, in words, each with a link that takes it away.
    fn chosen(&self, register: &Register) -> Vec<Value> {
        let words = |name: &str, value: &str| match name {
            "operation" => value.parse::<Operation>().map(|o| o.label().to_owned()).ok(),
            "person" => value.parse().ok().and_then(|id| register.people.get(&id)).map(|p| p.name.clone()),
            "force" => value.parse().ok().and_then(|id| register.leos.get(&id)).map(|l| l.name.clone()),
            "request" => value.parse::<RequestId>().map(|r| r.reference()).ok(),
            _ => None,
        };
        let pairs = self.pairs().into_iter().filter(|(_, _, v)| !v.trim().is_empty());
        pairs
            .map(|(name, label, value)| {
                let text = words(name, value.trim()).unwrap_or_else(|| value.trim().to_owned());
                context! { text => format!("{label}: {text}"), without => format!("{PATH}{}", self.query(name, None)) }
            })
            .collect()
    }
}

/// The filter of an address, with the request that its reference leads to.
async fn read(page: &Page, asked: &Asked) -> Result<Result<ProcessingFilter, Vec<RefusalLine>>, PageError> {
    let text = asked.request.trim();
    let found = if text.is_empty() || text.parse::<RequestId>().is_ok() {
        None
    } else {
        house(page)?.look_up(me(page), text).await.map_err(closed)?.first().map(|l| l.id)
    };
    Ok(asked.read(found))
}

fn shown(line: ProcessingLine) -> Value {
    context! {
        index => line.index, at => line.at.to_string(), operation => line.operation.label(), what => line.what, who => line.who,
        organisation => line.organisation, to => line.to, why => line.why, request => line.request.map(|r| r.to_string()),
        reference => line.reference, gallery => line.gallery.map(|g| g.to_string()), force => line.force, clauses => line.clauses,
        erased => line.erased,
    }
}

async fn entries(page: Page, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let (filter, errors) = match read(&page, &asked).await? {
        Ok(filter) => (filter, vec![]),
        // The page itself is for the same people; what it lists with a wrong filter is nothing.
        Err(wrong) => (ProcessingFilter { until: Some(Timestamp::MIN), ..ProcessingFilter::default() }, wrong),
    };
    let found = bureau.processing(me(&page), &filter).await.map_err(closed)?;
    let register = bureau.register().await?;
    let mut people: Vec<_> = register.people.values().map(|p| (p.name.clone(), p.id.to_string())).collect();
    people.sort();
    let mut forces: Vec<_> = register.leos.values().map(|l| (l.name.clone(), l.id.to_string())).collect();
    forces.sort();
    let option = |(text, value): (String, String)| context! { text, value };
    page.view("report/processing.html", "Who did what")
        .with(context! {
            lines => found.lines.into_iter().map(shown).collect::<Vec<_>>(),
            next => found.next.map(|below| format!("{PATH}{}", asked.query("", Some(below)))), newest => !asked.below.is_empty(),
            newest_href => format!("{PATH}{}", asked.query("", None)), chosen => asked.chosen(&register),
            csv => format!("/report/processing.csv{}", asked.query("", None)), csv_max => PROCESSING_IN_CSV_MAX,
            values => context! {
                operation => asked.operation, person => asked.person, request => asked.request, gallery => asked.gallery,
                force => asked.force, clause => asked.clause, from => asked.from, until => asked.until,
            },
            operations => Operation::iter().map(|o| option((o.label().to_owned(), o.to_string()))).collect::<Vec<_>>(),
            people => people.into_iter().map(option).collect::<Vec<_>>(), forces => forces.into_iter().map(option).collect::<Vec<_>>(),
            galleries => GalleryId::iter().map(|g| g.to_string()).collect::<Vec<_>>(), tabs_items => tabs(PATH),
        })
        .errors(errors)
        .draw()
        .await
}

async fn download(page: Page, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let filter = read(&page, &asked).await?.map_err(PageError::Refused)?;
    let found = bureau.take_processing(me(&page), &ProcessingFilter { below: None, ..filter }).await.map_err(closed)?;
    let mut out = String::new();
    let head = [
        "entry",
        "when",
        "operation",
        "what",
        "who",
        "organisation",
        "why",
        "recipient",
        "request",
        "gallery",
        "force",
        "clauses",
        "erased",
    ];
    csv_line(&mut out, &head.map(str::to_owned));
    for l in &found.lines {
        csv_line(
            &mut out,
            &[
                l.index.to_string(),
                l.at.to_string(),
                l.operation.to_string(),
                l.what.clone(),
                l.who.clone().unwrap_or_default(),
                l.organisation.clone(),
                l.why.clone().unwrap_or_default(),
                l.to.clone().unwrap_or_default(),
                l.reference.clone().unwrap_or_default(),
                l.gallery.map(|g| g.to_string()).unwrap_or_default(),
                l.force.clone().unwrap_or_default(),
                l.clauses.join(" "),
                if l.erased { "yes" } else { "no" }.into(),
            ],
        );
    }
    if found.next.is_some() {
        csv_line(&mut out, &[format!("There are more than {PROCESSING_IN_CSV_MAX} entries: narrow the filter for the older ones.")]);
    }
    Ok(csv("countersign-who-did-what.csv", out))
}

async fn proof(page: Page, Path(index): Path<u64>) -> Result<Response, PageError> {
    let text = house(&page)?.processing_proof(me(&page), index).await.map_err(closed)?;
    let disposition = format!("attachment; filename=\"countersign-{index}.tlog-proof\"");
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, disposition)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_everything_that_is_wrong_with_it() {
        let wrong = Asked {
            operation: "peeped".into(),
            person: "somebody".into(),
            request: "FIS-0".into(),
            gallery: "louvre".into(),
            force: "x".into(),
            clause: "Z9".into(),
            from: "yesterday".into(),
            until: "2026-02-30".into(),
            below: String::new(),
        };
        let fields: Vec<_> = wrong.read(None).unwrap_err().into_iter().filter_map(|w| w.field).collect();
        assert_eq!(fields, ["from", "until", "clause", "request", "operation", "person", "gallery", "force"]);
    }

    #[test]
    fn a_filter_reaches_to_the_end_of_its_last_day_in_london() {
        let asked = Asked { from: "2026-06-30".into(), until: "2026-06-30".into(), clause: "a7".into(), ..Asked::default() };
        let read = asked.read(None).unwrap();
        assert_eq!(read.from.unwrap().to_string(), "2026-06-29T23:00:00Z");
        assert_eq!(read.until.unwrap().to_string(), "2026-06-30T23:00:00Z");
        assert_eq!(read.clause.as_deref(), Some("A7"));
    }

    #[test]
    fn a_place_is_read_back_and_nothing_else_is_one() {
        let below = Below { at: "2026-11-22T10:00:00.123456Z".parse().unwrap(), index: 41 };
        assert_eq!(at_place(&place(below)), Some(below));
        for wrong in ["", "1", "a.b", "1.-1", "9999999999999999999999.1", "1.99999999999999999999"] {
            assert_eq!(at_place(wrong), None, "{wrong}");
        }
    }
}

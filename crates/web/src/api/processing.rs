//! report: who collected, altered, consulted, disclosed, combined and erased (D5, DPA 2018 s.62).

use super::{
    call::{Answer, Asked, At, Caller},
    problem::ApiError,
    words::Gallery,
};
use crate::{
    AppState,
    pages::processing::{at_place, place},
};
use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use bureau::processing::{ProcessingFilter, ProcessingLine};
use casework::processing::Operation as Word;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Characters of a clause id that a filter takes.
const CLAUSE_CHARS_MAX: usize = 10;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(processing)).routes(routes!(processing_proof))
}

/// A processing operation of section 62(1) of the Data Protection Act 2018.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    Collection,
    Alteration,
    Consultation,
    Disclosure,
    Combination,
    Erasure,
}

impl From<Word> for Operation {
    fn from(w: Word) -> Self {
        match w {
            Word::Collection => Self::Collection,
            Word::Alteration => Self::Alteration,
            Word::Consultation => Self::Consultation,
            Word::Disclosure => Self::Disclosure,
            Word::Combination => Self::Combination,
            Word::Erasure => Self::Erasure,
        }
    }
}

impl From<Operation> for Word {
    fn from(o: Operation) -> Self {
        match o {
            Operation::Collection => Self::Collection,
            Operation::Alteration => Self::Alteration,
            Operation::Consultation => Self::Consultation,
            Operation::Disclosure => Self::Disclosure,
            Operation::Combination => Self::Combination,
            Operation::Erasure => Self::Erasure,
        }
    }
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProcessingQuery {
    /// Only this operation.
    #[serde(default)]
    #[param(inline)]
    operation: Option<Operation>,
    /// Only what this person did or received.
    #[serde(default)]
    person: Option<Uuid>,
    /// Only this request.
    #[serde(default)]
    request: Option<Uuid>,
    /// Only this gallery.
    #[serde(default)]
    #[param(inline)]
    gallery: Option<Gallery>,
    /// Only this force.
    #[serde(default)]
    force: Option<Uuid>,
    /// Only entries that cite this clause, e.g. `A7`.
    #[serde(default)]
    #[param(max_length = 10)] // CLAUSE_CHARS_MAX
    clause: Option<String>,
    /// Only entries recorded at or after.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only entries recorded before.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    #[param(pattern = r"^-?[0-9]{1,18}\.[0-9]{1,18}$")]
    below: Option<String>,
}

/// Who did what: one entry.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProcessingEntry {
    /// Its index in the log, from 0.
    index: u64,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Which operation it is.
    operation: Operation,
    /// The event's kind.
    kind: String,
    /// What, in words.
    what: String,
    /// Who, by name; nothing once erased.
    who: Option<String>,
    /// Their team, force or office; empty where the house itself did it.
    organisation: String,
    /// Whom it went to, for a disclosure.
    to: Option<String>,
    /// Why, in the words of whoever did it; elsewhere the clauses say why.
    why: Option<String>,
    /// The request.
    request: Option<Uuid>,
    /// Its short reference.
    reference: Option<String>,
    /// The gallery.
    gallery: Option<Gallery>,
    /// The force, by name.
    force: Option<String>,
    /// The clauses that it rests on.
    clauses: Vec<String>,
    /// Whether who and why were erased at the end of their retention.
    erased: bool,
}

impl From<ProcessingLine> for ProcessingEntry {
    fn from(l: ProcessingLine) -> Self {
        Self {
            index: l.index,
            at: l.at,
            operation: l.operation.into(),
            kind: l.kind,
            what: l.what,
            who: l.who,
            organisation: l.organisation,
            to: l.to,
            why: l.why,
            request: l.request.map(|r| r.0),
            reference: l.reference,
            gallery: l.gallery.map(Into::into),
            force: l.force,
            clauses: l.clauses,
            erased: l.erased,
        }
    }
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProcessingEntries {
    /// Newest first, at most 50.
    entries: Vec<ProcessingEntry>,
    /// Where the next page begins, if there may be more.
    next: Option<String>,
}

/// Who collected, altered, consulted, disclosed, combined and erased personal data, newest first, for those who
/// answer for it and the outside assessor (D5). The look is recorded.
#[utoipa::path(get, path = "/processing", tag = "report", params(ProcessingQuery),
    responses((status = 200, description = "The entries", body = ProcessingEntries)))]
async fn processing(who: Caller, Asked(q): Asked<ProcessingQuery>) -> Answer<ProcessingEntries> {
    let below = match &q.below {
        Some(text) => Some(at_place(text).ok_or_else(|| ApiError::bad("`below` is not the `next` of a page."))?),
        None => None,
    };
    if q.clause.as_ref().is_some_and(|clause| clause.chars().count() > CLAUSE_CHARS_MAX) {
        return Err(ApiError::bad(format!("`clause` takes at most {CLAUSE_CHARS_MAX} characters.")));
    }
    let filter = ProcessingFilter {
        operation: q.operation.map(Into::into),
        person: q.person.map(Into::into),
        request: q.request.map(Into::into),
        gallery: q.gallery.map(Into::into),
        leo: q.force.map(Into::into),
        clause: q.clause,
        from: q.from,
        until: q.until,
        below,
    };
    let page = who.bureau.processing(who.id, &filter).await?;
    Ok(Json(ProcessingEntries { entries: page.lines.into_iter().map(Into::into).collect(), next: page.next.map(place) }))
}

/// Proof that one entry is in the log: a C2SP tlog-proof whose extra data opens the leaf to the entry's clear
/// header. That it was taken is recorded.
#[utoipa::path(get, path = "/processing/{index}/proof", tag = "report",
    params(("index" = u64, Path, description = "The entry's index", minimum = 0, maximum = 9_007_199_254_740_991i64)),
    responses((status = 200, description = "The proof", body = String, content_type = "text/plain; charset=utf-8")))]
async fn processing_proof(who: Caller, At(index): At<u64>) -> Result<Response, ApiError> {
    let text = who.bureau.processing_proof(who.id, index).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

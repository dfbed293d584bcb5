//! review: an examiner compares faces, blind first and then informed (M2, M3, P2).
//!
//! What these pages show depends on the examiner's own sheet and on nothing that another examiner did:
//! `tests/blind.rs` holds them to it byte for byte. No page here shows a score, a rank or a clock, and
//! none shows a biography or what the force says before every visual opinion is locked.

mod look;
mod opinion;

use super::Routes;
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::{Path, Query},
    http::header,
    response::{IntoResponse, Redirect, Response},
    routing::{MethodRouter, get, post},
};
use bureau::{Bureau, BureauError, Once, review::ComparisonView};
use casework::{
    command::Command,
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    image_log::Picture,
    review::BlindCandidate,
};
use look::Looking;
use minijinja::{Value, context};
use serde::Serialize;
use std::sync::Arc;

/// What is told once a conflict of interest is recorded.
const CONFLICT_RECORDED: &str = "Your conflict of interest is recorded. You will not see this comparison again.";

/// One image of one request.
type Comparison = (RequestId, ProbeId);

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/review", get(list))
            .route("/review/{request}/{probe}", get(sheet))
            .route("/review/{request}/{probe}/take-up", get(ask_conflict).post(take_up))
            .route("/review/{request}/{probe}/empty", Say::Empty.route())
            .route("/review/{request}/{probe}/vulnerable", Say::Vulnerable.route())
            .route("/review/{request}/{probe}/conflict", Say::Conflict.route())
            .route("/review/{request}/{probe}/probe.jpg", get(probe_image))
            .route("/review/{request}/{probe}/{candidate}", get(opinion::compare).post(opinion::give_visual))
            .route("/review/{request}/{probe}/{candidate}/held.jpg", get(held_image))
            .route("/review/{request}/{probe}/{candidate}/keep", post(opinion::keep_notes))
            .route("/review/{request}/{probe}/{candidate}/informed", get(opinion::informed).post(opinion::give_informed)),
    )
}

fn me(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

fn house(page: &Page) -> Result<Arc<Bureau>, PageError> {
    page.state.bureau().cloned()
}

/// Where an examiner's own sheet is.
fn sheet_path((request, probe): Comparison) -> String {
    format!("/review/{request}/{probe}")
}

fn once(posted: &Posted) -> Result<Option<Once>, PageError> {
    Ok(Some(Once(posted.once()?.to_string())))
}

/// `A` for the first candidate in the examiner's own order. A list holds at most ten.
fn letter(position: usize) -> String {
    char::from(b'A' + u8::try_from(position.min(25)).unwrap_or_default()).to_string()
}

/// What stands in the way, beside the fields it is about.
fn beside(all: Vec<casework::refusal::Refusal>, field: &str) -> Vec<RefusalLine> {
    all.into_iter().map(|r| RefusalLine { field: Some(field.into()), ..r.into() }).collect()
}

// ---- The list -------------------------------------------------------------------------------------

async fn list(page: Page) -> Result<Response, PageError> {
    let lines = house(&page)?.comparisons(me(&page)).await?;
    let of = |step: &str| show(&lines.iter().filter(|l| l.step == step).collect::<Vec<_>>());
    page.view("review/list.html", "Comparisons")
        .with(context! { yours => of("yours"), open => of("take-up"), empty => of("conclude-empty"), done => of("done") })
        .draw()
        .await
}

async fn ask_conflict(page: Page, Path(at): Path<Comparison>) -> Result<Response, PageError> {
    conflict_form(&page, at, Value::UNDEFINED, vec![]).await
}

async fn conflict_form(page: &Page, (request, probe): Comparison, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let line = house(page)?.comparison_line(me(page), request, probe, "take-up").await?;
    page.view("review/take-up.html", "Before you take up this comparison")
        .back("/review")
        .with(context! { line => show(&line), values })
        .errors(errors)
        .draw()
        .await
}

async fn take_up(page: Page, Path(at): Path<Comparison>, posted: Posted) -> Result<Response, PageError> {
    let (bureau, who) = (house(&page)?, me(&page));
    let ((request, probe), sheet) = (at, sheet_path(at));
    if bureau.comparison(who, request, probe).await.is_ok() {
        return Ok(Redirect::to(&sheet).into_response()); // sent twice
    }
    let refused = match posted.text("conflict") {
        Some("no") => match bureau.take_up(who, request, probe).await {
            Ok(_) => return page.done("The comparison is yours. Give a visual opinion on each candidate first.", &sheet).await,
            Err(BureauError::Refused(all)) => beside(all, "conflict"),
            Err(e) => return Err(e.into()),
        },
        Some("yes") => {
            let words = posted.text("conflict-words").unwrap_or_default().to_owned();
            match bureau.act_and_work(who, request, Command::DeclareConflict { words }, None, once(&posted)?).await {
                Ok(_) => return page.done(CONFLICT_RECORDED, "/review").await,
                Err(BureauError::Refused(all)) => beside(all, "conflict-words"),
                Err(e) => return Err(e.into()),
            }
        }
        _ => vec![RefusalLine::on("conflict", "Say whether you have a conflict of interest")],
    };
    conflict_form(&page, at, posted.values(), refused).await
}

// ---- What an examiner says in a few words ---------------------------------------------------------

/// What an examiner says of a comparison in a few words, each on a page of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    /// That an empty list is no match (P2).
    Empty,
    /// That they have a conflict of interest, found once begun (R1).
    Conflict,
    /// That the person may be vulnerable (V0).
    Vulnerable,
}

impl Say {
    fn route(self) -> MethodRouter<AppState> {
        get(async move |page: Page, Path(at): Path<Comparison>| self.form(&page, at, Value::UNDEFINED, vec![]).await)
            .post(async move |page: Page, Path(at): Path<Comparison>, posted: Posted| self.act(&page, at, &posted).await)
    }

    async fn form(self, page: &Page, at: Comparison, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
        let (template, title, about) = match self {
            Self::Empty => {
                let line = house(page)?.comparison_line(me(page), at.0, at.1, "conclude-empty").await?;
                ("review/empty.html", "Conclude on an empty candidate list", context! { line => show(&line) })
            }
            Self::Conflict => ("review/conflict.html", "Declare a conflict of interest", unfinished(page, at).await?),
            Self::Vulnerable => ("review/vulnerable.html", "Say that the person may be vulnerable", unfinished(page, at).await?),
        };
        page.view(template, title)
            .back(if self == Self::Empty { "/review".into() } else { sheet_path(at) })
            .with(context! { values, ..about })
            .errors(errors)
            .draw()
            .await
    }

    async fn act(self, page: &Page, at: Comparison, posted: &Posted) -> Result<Response, PageError> {
        if self != Self::Empty {
            unfinished(page, at).await?;
        }
        let words = posted.text("words").unwrap_or_default().to_owned();
        let (command, done, then) = match self {
            Self::Empty => (
                Command::ConcludeEmpty { probe: at.1, words },
                "Your conclusion is recorded: no candidates, so no match.",
                "/review".to_owned(),
            ),
            Self::Conflict => (Command::DeclareConflict { words }, CONFLICT_RECORDED, "/review".to_owned()),
            Self::Vulnerable => (
                Command::FlagVulnerable { words },
                "It is recorded. From now on only those who need to know can see this request.",
                sheet_path(at),
            ),
        };
        match house(page)?.act_and_work(me(page), at.0, command, None, once(posted)?).await {
            Ok(_) => page.done(done, &then).await,
            Err(BureauError::Refused(all)) if all.iter().any(|r| !r.clauses.is_empty()) => {
                self.form(page, at, posted.values(), beside(all, "words")).await
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// The reference of a comparison that the examiner is still at work on.
async fn unfinished(page: &Page, (request, probe): Comparison) -> Result<Value, PageError> {
    let view = house(page)?.comparison(me(page), request, probe).await?;
    if view.finished { Err(PageError::NotFound) } else { Ok(context! { reference => view.reference }) }
}

// ---- The examiner's own sheet ---------------------------------------------------------------------

#[derive(Serialize)]
struct Row {
    letter: String,
    state: &'static str,
    href: Option<String>,
    action: Option<&'static str>,
    conclusion: Option<&'static str>,
    informed: Option<&'static str>,
}

fn rows(view: &ComparisonView, base: &str) -> Vec<Row> {
    view.sheet
        .candidates
        .iter()
        .enumerate()
        .map(|(n, c)| {
            let (state, href, action) = match c {
                BlindCandidate { informed: Some(_), .. } => ("Concluded", None, None),
                BlindCandidate { visual: Some(_), id, .. } if view.informed_open => {
                    ("Ready for the informed step", Some(format!("{base}/{id}/informed")), Some("Give your conclusion"))
                }
                BlindCandidate { visual: Some(_), id, .. } => ("Visual opinion locked", Some(format!("{base}/{id}")), Some("Look again")),
                BlindCandidate { id, .. } => ("To compare", Some(format!("{base}/{id}")), Some("Compare")),
            };
            let informed = c.informed.as_ref().map(|i| if i.same_person { "Same person" } else { "Not the same person" });
            Row { letter: letter(n), state, href, action, conclusion: c.visual.as_ref().map(|v| v.conclusion.label()), informed }
        })
        .collect()
}

async fn sheet(page: Page, Path(at): Path<Comparison>) -> Result<Response, PageError> {
    let view = house(&page)?.comparison(me(&page), at.0, at.1).await?;
    let base = sheet_path(at);
    let given = view.sheet.candidates.iter().filter(|c| c.visual.is_some()).count();
    page.view("review/sheet.html", "Your comparison")
        .back("/review")
        .with(context! {
            reference => view.reference.as_str(), rows => show(&rows(&view, &base)), base, total => view.sheet.candidates.len(), given,
            informed_open => view.informed_open, finished => view.finished,
        })
        .draw()
        .await
}

// ---- Pictures -------------------------------------------------------------------------------------

fn jpeg(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}

async fn probe_image(page: Page, Path((request, probe)): Path<Comparison>, Query(looking): Query<Looking>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let bytes = bureau.comparison_probe(me(&page), request, probe).await?;
    Ok(jpeg(bureau.rendered(bytes, looking.look().of(Picture::Probe)).await?))
}

async fn held_image(
    page: Page,
    Path((request, probe, candidate)): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let bytes = bureau.comparison_candidate(me(&page), request, probe, candidate).await?.ok_or(PageError::NotFound)?;
    Ok(jpeg(bureau.rendered(bytes, looking.look().of(Picture::Held)).await?))
}

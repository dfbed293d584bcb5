//! review: an examiner compares faces, blind first and then informed (M2, M3, P2).
//!
//! What these pages show depends on the examiner's own sheet and on nothing that another examiner did:
//! `tests/blind.rs` holds them to it byte for byte. No page here shows a score, a rank or a clock, and
//! none shows a biography or what the force says before every visual opinion is locked.

mod look;

use super::Routes;
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
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bureau::{Bureau, BureauError, Once, review::ComparisonView};
use casework::{
    clause::Clause,
    command::Command,
    form::{Mode, Source},
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    review::{Agreement, BlindCandidate, Component, Conclusion, Informed, Visual},
};
use look::{Look, Looking, Side};
use minijinja::{Value, context};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use strum::IntoEnumIterator;

/// Where half-filled opinions wait in the session, so that looking again loses nothing.
const NOTES: &str = "review-notes";
/// Half-filled opinions kept at most; the oldest goes first.
const NOTES_MAX: usize = 10;
/// Characters of the log of image processing that go with an opinion.
const LOG_CHARS_MAX: usize = 2_000;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/review", get(list))
            .route("/review/{request}/{probe}", get(sheet))
            .route("/review/{request}/{probe}/take-up", get(ask_conflict).post(take_up))
            .route("/review/{request}/{probe}/empty", get(empty).post(conclude_empty))
            .route("/review/{request}/{probe}/vulnerable", get(vulnerable).post(flag))
            .route("/review/{request}/{probe}/conflict", get(stop).post(declare))
            .route("/review/{request}/{probe}/probe.jpg", get(probe_image))
            .route("/review/{request}/{probe}/{candidate}", get(compare).post(give_visual))
            .route("/review/{request}/{probe}/{candidate}/held.jpg", get(held_image))
            .route("/review/{request}/{probe}/{candidate}/keep", post(keep_notes))
            .route("/review/{request}/{probe}/{candidate}/informed", get(informed).post(give_informed)),
    )
}

fn me(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

fn house(page: &Page) -> Result<Arc<Bureau>, PageError> {
    page.state.bureau().cloned()
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

async fn ask_conflict(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    conflict_form(&page, request, probe, Value::UNDEFINED, vec![]).await
}

async fn conflict_form(
    page: &Page,
    request: RequestId,
    probe: ProbeId,
    values: Value,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let line = house(page)?.comparison_line(me(page), request, probe, "take-up").await?;
    page.view("review/take-up.html", "Before you take up this comparison")
        .back("/review")
        .with(context! { line => show(&line), values })
        .errors(errors)
        .draw()
        .await
}

async fn take_up(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    let (bureau, who) = (house(&page)?, me(&page));
    let sheet = format!("/review/{request}/{probe}");
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
                Ok(_) => {
                    return page.done("Your conflict of interest is recorded. You will not see this comparison again.", "/review").await;
                }
                Err(BureauError::Refused(all)) => beside(all, "conflict-words"),
                Err(e) => return Err(e.into()),
            }
        }
        _ => vec![RefusalLine::on("conflict", "Say whether you have a conflict of interest")],
    };
    conflict_form(&page, request, probe, posted.values(), refused).await
}

// ---- An empty list (P2) ---------------------------------------------------------------------------

async fn empty(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    empty_form(&page, request, probe, Value::UNDEFINED, vec![]).await
}

async fn empty_form(
    page: &Page,
    request: RequestId,
    probe: ProbeId,
    values: Value,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let line = house(page)?.comparison_line(me(page), request, probe, "conclude-empty").await?;
    page.view("review/empty.html", "Conclude on an empty candidate list")
        .back("/review")
        .with(context! { line => show(&line), values })
        .errors(errors)
        .draw()
        .await
}

async fn conclude_empty(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    let words = posted.text("words").unwrap_or_default().to_owned();
    match house(&page)?.act_and_work(me(&page), request, Command::ConcludeEmpty { probe, words }, None, once(&posted)?).await {
        Ok(_) => page.done("Your conclusion is recorded: no candidates, so no match.", "/review").await,
        Err(BureauError::Refused(all)) if all.iter().any(|r| !r.clauses.is_empty()) => {
            empty_form(&page, request, probe, posted.values(), beside(all, "words")).await
        }
        Err(e) => Err(e.into()),
    }
}

// ---- A conflict of interest found once begun (R1) ------------------------------------------------

async fn stop(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    stop_form(&page, request, probe, Value::UNDEFINED, vec![]).await
}

async fn stop_form(
    page: &Page,
    request: RequestId,
    probe: ProbeId,
    values: Value,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let view = unfinished(page, request, probe).await?;
    page.view("review/conflict.html", "Declare a conflict of interest")
        .back(format!("/review/{request}/{probe}"))
        .with(context! { reference => view.reference, values })
        .errors(errors)
        .draw()
        .await
}

/// The sheet of an examiner who is still at work.
async fn unfinished(page: &Page, request: RequestId, probe: ProbeId) -> Result<ComparisonView, PageError> {
    let view = house(page)?.comparison(me(page), request, probe).await?;
    if view.finished { Err(PageError::NotFound) } else { Ok(view) }
}

async fn declare(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    unfinished(&page, request, probe).await?;
    let words = posted.text("words").unwrap_or_default().to_owned();
    match house(&page)?.act_and_work(me(&page), request, Command::DeclareConflict { words }, None, once(&posted)?).await {
        Ok(_) => page.done("Your conflict of interest is recorded. You will not see this comparison again.", "/review").await,
        Err(BureauError::Refused(all)) if all.iter().any(|r| !r.clauses.is_empty()) => {
            stop_form(&page, request, probe, posted.values(), beside(all, "words")).await
        }
        Err(e) => Err(e.into()),
    }
}

// ---- Somebody may be vulnerable (V0) --------------------------------------------------------------

async fn vulnerable(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    vulnerable_form(&page, request, probe, Value::UNDEFINED, vec![]).await
}

async fn vulnerable_form(
    page: &Page,
    request: RequestId,
    probe: ProbeId,
    values: Value,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let view = unfinished(page, request, probe).await?;
    page.view("review/vulnerable.html", "Say that the person may be vulnerable")
        .back(format!("/review/{request}/{probe}"))
        .with(context! { reference => view.reference, values })
        .errors(errors)
        .draw()
        .await
}

async fn flag(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    unfinished(&page, request, probe).await?;
    let words = posted.text("words").unwrap_or_default().to_owned();
    match house(&page)?.act_and_work(me(&page), request, Command::FlagVulnerable { words }, None, once(&posted)?).await {
        Ok(_) => {
            page.done(
                "It is recorded. From now on only those who need to know can see this request.",
                &format!("/review/{request}/{probe}"),
            )
            .await
        }
        Err(BureauError::Refused(all)) if all.iter().any(|r| !r.clauses.is_empty()) => {
            vulnerable_form(&page, request, probe, posted.values(), beside(all, "words")).await
        }
        Err(e) => Err(e.into()),
    }
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

async fn sheet(page: Page, Path((request, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    let view = house(&page)?.comparison(me(&page), request, probe).await?;
    let base = format!("/review/{request}/{probe}");
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

/// One candidate of the examiner's sheet, with its letter.
fn on_sheet(view: &ComparisonView, candidate: CandidateId) -> Result<(String, &BlindCandidate), PageError> {
    let n = view.sheet.candidates.iter().position(|c| c.id == candidate).ok_or(PageError::NotFound)?;
    Ok((letter(n), &view.sheet.candidates[n]))
}

// ---- Pictures -------------------------------------------------------------------------------------

fn jpeg(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}

async fn probe_image(
    page: Page,
    Path((request, probe)): Path<(RequestId, ProbeId)>,
    Query(looking): Query<Looking>,
) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let bytes = bureau.comparison_probe(me(&page), request, probe).await?;
    Ok(jpeg(bureau.rendered(bytes, looking.look().of(Side::Probe)).await?))
}

async fn held_image(
    page: Page,
    Path((request, probe, candidate)): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let bytes = bureau.comparison_candidate(me(&page), request, probe, candidate).await?.ok_or(PageError::NotFound)?;
    Ok(jpeg(bureau.rendered(bytes, looking.look().of(Side::Held)).await?))
}

/// The two pictures and the tools, as templates show them.
async fn pictures(page: &Page, request: RequestId, probe: ProbeId, candidate: CandidateId, look: &Look) -> Result<Value, PageError> {
    let has_image = house(page)?.comparison_candidate(me(page), request, probe, candidate).await?.is_some();
    let base = format!("/review/{request}/{probe}");
    Ok(context! {
        plain_probe => format!("{base}/probe.jpg"),
        plain_held => has_image.then(|| format!("{base}/{candidate}/held.jpg")),
        probe => format!("{base}/probe.jpg{}", look.query()),
        held => has_image.then(|| format!("{base}/{candidate}/held.jpg{}", look.query())),
        tools => look.tools(has_image),
        log => look.log(),
        query => look.query(),
    })
}

// ---- The blind visual opinion ---------------------------------------------------------------------

async fn compare(
    page: Page,
    Path(ids): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
) -> Result<Response, PageError> {
    let kept = notes(&page).await?.into_iter().find(|(c, _)| *c == ids.2);
    let values = kept.map_or(Value::UNDEFINED, |(_, fields)| Posted { fields, files: vec![] }.values());
    compare_form(&page, ids, &looking.look(), values, vec![]).await
}

async fn compare_form(
    page: &Page,
    (request, probe, candidate): (RequestId, ProbeId, CandidateId),
    look: &Look,
    values: Value,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let view = house(page)?.comparison(me(page), request, probe).await?;
    let (letter, own) = on_sheet(&view, candidate)?;
    let base = format!("/review/{request}/{probe}");
    if own.informed.is_some() {
        return Ok(Redirect::to(&base).into_response());
    }
    let parts: Vec<Value> = Component::iter()
        .map(|c| context! { id => c.to_string(), label => c.label(), value => values.get_attr(&format!("part-{c}")).unwrap_or_default() })
        .collect();
    let scale: Vec<Value> =
        Conclusion::iter().map(|c| context! { id => c.to_string(), label => c.label(), meaning => c.meaning() }).collect();
    page.view("review/compare.html", format!("Candidate {letter}"))
        .back(base.as_str())
        .with(context! {
            reference => view.reference.as_str(), letter, base, request => request.to_string(), version => view.sheet.version,
            visual => own.visual.as_ref().map(visual_shown), informed_open => view.informed_open, candidate => candidate.to_string(),
            pictures => pictures(page, request, probe, candidate, look).await?, parts, scale, values,
        })
        .errors(errors)
        .draw()
        .await
}

/// An opinion in words.
fn visual_shown(v: &Visual) -> Value {
    let parts: Vec<Value> = Component::iter()
        .map(|c| context! { label => c.label(), seen => v.components.get(&c).map_or("Not compared", |a| agreement(*a)) })
        .collect();
    context! { conclusion => v.conclusion.label(), meaning => v.conclusion.meaning(), words => v.words.as_str(), parts }
}

fn agreement(a: Agreement) -> &'static str {
    match a {
        Agreement::Alike => "Alike",
        Agreement::Different => "Different",
        Agreement::NotVisible => "Not visible in one of them",
    }
}

/// Reads an opinion off the form, or says everything that is missing.
fn opinion(posted: &Posted, look: &Look) -> Result<Visual, Vec<RefusalLine>> {
    let mut components = BTreeMap::new();
    for c in Component::iter() {
        if let Some(a) = posted.text(&format!("part-{c}")).and_then(|v| v.parse::<Agreement>().ok()) {
            components.insert(c, a);
        }
    }
    let conclusion = posted.text("conclusion").and_then(|v| v.parse::<Conclusion>().ok());
    let words = posted.text("words").unwrap_or_default().to_owned();
    let opinion = Visual { conclusion: conclusion.unwrap_or(Conclusion::CannotSay), components, words };
    let mut errors: Vec<RefusalLine> = opinion
        .incomplete()
        .into_iter()
        .map(|r| {
            let field = if r.words.starts_with("Say") { "words" } else { "part-outline" };
            RefusalLine { field: Some(field.into()), ..r.into() }
        })
        .collect();
    if conclusion.is_none() {
        errors.insert(
            0,
            RefusalLine { clauses: vec![Clause::M2.to_string()], ..RefusalLine::on("conclusion", "Choose a step on the scale") },
        );
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let log = processing(posted, look);
    Ok(Visual { words: format!("{}\n\nImage processing: {log}", opinion.words), ..opinion })
}

/// What was done to the pictures, for the record: told by the scripts where they work, by the address
/// of the page where they do not.
fn processing(posted: &Posted, look: &Look) -> String {
    let told: String = posted.text("log").unwrap_or_default().chars().filter(|c| !c.is_control()).take(LOG_CHARS_MAX).collect();
    let log = if told.is_empty() { look.log().join("; ") } else { told };
    if log.is_empty() { "none.".into() } else { format!("{log}.") }
}

async fn give_visual(
    page: Page,
    Path(ids): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
    posted: Posted,
) -> Result<Response, PageError> {
    let (request, probe, candidate) = ids;
    let look = looking.look();
    if posted.has("action", "edit") {
        return compare_form(&page, ids, &look, posted.values(), vec![]).await;
    }
    let opinion = match opinion(&posted, &look) {
        Ok(opinion) => opinion,
        Err(errors) => return compare_form(&page, ids, &look, posted.values(), errors).await,
    };
    let (bureau, who) = (house(&page)?, me(&page));
    if !posted.has("action", "lock") {
        let view = bureau.comparison(who, request, probe).await?;
        let (letter, _) = on_sheet(&view, candidate)?;
        let hidden: Vec<Value> = posted
            .fields
            .iter()
            .filter(|(n, _)| !n.starts_with('_') && n != "action")
            .map(|(n, v)| context! { name => n, value => v })
            .collect();
        return page
            .view("review/check.html", format!("Check your opinion on candidate {letter}"))
            .with(context! { letter, reference => view.reference, visual => visual_shown(&opinion), hidden, version => posted.version()?, query => look.query() })
            .draw()
            .await;
    }
    let command = Command::GiveVisual { probe, candidate, opinion, version: posted.version()? };
    match bureau.act_and_work(who, request, command, None, once(&posted)?).await {
        Ok(_) => {
            forget_notes(&page, candidate).await?;
            let view = bureau.comparison(who, request, probe).await?;
            let (letter, _) = on_sheet(&view, candidate)?;
            page.done(format!("Your visual opinion on candidate {letter} is locked."), &format!("/review/{request}/{probe}")).await
        }
        Err(BureauError::Refused(all)) => compare_form(&page, ids, &look, posted.values(), beside(all, "words")).await,
        Err(e) => Err(e.into()),
    }
}

// ---- Notes kept while looking again ---------------------------------------------------------------

type Notes = Vec<(CandidateId, Vec<(String, String)>)>;

async fn notes(page: &Page) -> Result<Notes, PageError> {
    Ok(page.session.get::<Notes>(NOTES).await.map_err(|_| PageError::Unavailable)?.unwrap_or_default())
}

async fn forget_notes(page: &Page, candidate: CandidateId) -> Result<(), PageError> {
    let mut kept = notes(page).await?;
    kept.retain(|(c, _)| *c != candidate);
    page.session.insert(NOTES, kept).await.map_err(|_| PageError::Unavailable)
}

async fn keep_notes(
    page: Page,
    Path((request, probe, candidate)): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
    posted: Posted,
) -> Result<Response, PageError> {
    house(&page)?.comparison(me(&page), request, probe).await?;
    let fields = posted.fields.iter().filter(|(n, _)| !n.starts_with('_') && n != "action").cloned().collect();
    let mut kept = notes(&page).await?;
    kept.retain(|(c, _)| *c != candidate);
    kept.push((candidate, fields));
    let extra = kept.len().saturating_sub(NOTES_MAX);
    kept.drain(..extra);
    page.session.insert(NOTES, kept).await.map_err(|_| PageError::Unavailable)?;
    let here = format!("/review/{request}/{probe}/{candidate}{}", looking.look().query());
    page.done("Your answers so far are kept until you sign out. Look as long as you need.", &here).await
}

// ---- The informed conclusion ----------------------------------------------------------------------

async fn informed(
    page: Page,
    Path(ids): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
) -> Result<Response, PageError> {
    informed_form(&page, ids, &looking.look(), Value::UNDEFINED, vec![]).await
}

async fn informed_form(
    page: &Page,
    (request, probe, candidate): (RequestId, ProbeId, CandidateId),
    look: &Look,
    values: Value,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let (bureau, who) = (house(page)?, me(page));
    let view = bureau.comparison(who, request, probe).await?;
    let (letter, own) = on_sheet(&view, candidate)?;
    let base = format!("/review/{request}/{probe}");
    if own.informed.is_some() || !view.informed_open {
        return Ok(Redirect::to(&base).into_response());
    }
    let told = bureau.informed(who, request, probe, candidate).await?;
    let mode = told.mode.map(|m| match m {
        Mode::Unidentified => "Nobody knows who the person is",
        Mode::Known => "The person is known; the force looks for other identities",
    });
    let source = told.source.map(|s| match s {
        Source::Supervised => "Taken under supervision, for example at a police station",
        Source::Unsupervised => "CCTV or another device, not supervised",
    });
    let held: Vec<Value> = told.biography.iter().map(|(_, label, value)| context! { key => *label, value => value.as_str() }).collect();
    page.view("review/informed.html", format!("Candidate {letter}: your conclusion"))
        .back(base.as_str())
        .with(context! {
            reference => view.reference.as_str(), letter, base, version => view.sheet.version,
            visual => own.visual.as_ref().map(visual_shown), supports => own.visual.as_ref().is_some_and(|v| v.conclusion.supports_same()),
            mode, source, about => told.person, offence => told.offence, held,
            pictures => pictures(page, request, probe, candidate, look).await?, values,
        })
        .errors(errors)
        .draw()
        .await
}

async fn give_informed(
    page: Page,
    Path(ids): Path<(RequestId, ProbeId, CandidateId)>,
    Query(looking): Query<Looking>,
    posted: Posted,
) -> Result<Response, PageError> {
    let (request, probe, candidate) = ids;
    let look = looking.look();
    let Some(same) = posted.text("same").filter(|v| ["yes", "no"].contains(v)) else {
        let mut missing =
            vec![RefusalLine { clauses: vec!["M2".into()], ..RefusalLine::on("same", "Say whether both images show one person") }];
        if posted.text("reasons").is_none() {
            missing.push(RefusalLine::on("reasons", "Say why, and what you confirm or change"));
        }
        return informed_form(&page, ids, &look, posted.values(), missing).await;
    };
    let opinion = Informed { same_person: same == "yes", reasons: posted.text("reasons").unwrap_or_default().to_owned() };
    let command = Command::GiveInformed { probe, candidate, opinion, version: posted.version()? };
    match house(&page)?.act_and_work(me(&page), request, command, None, once(&posted)?).await {
        Ok(_) => page.done("Your conclusion is recorded.", &format!("/review/{request}/{probe}")).await,
        Err(BureauError::Refused(all)) => informed_form(&page, ids, &look, posted.values(), beside(all, "reasons")).await,
        Err(e) => Err(e.into()),
    }
}

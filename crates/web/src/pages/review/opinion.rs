//! One candidate before an examiner: the blind visual opinion, the notes kept on the way to it, and the
//! informed conclusion.

use super::{beside, house, letter, look, me, once, sheet_path};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::{Page, View},
};
use axum::{
    extract::{Path, Query},
    response::{IntoResponse, Redirect, Response},
};
use bureau::{BureauError, review::ComparisonView};
use casework::{
    clause::Clause,
    command::Command,
    form::{Mode, Source},
    ids::{CandidateId, ProbeId, RequestId},
    image_log::{ImageLog, Steps},
    review::{Agreement, BlindCandidate, Component, Conclusion, Informed, Visual},
};
use look::{Look, Looking};
use minijinja::{Value, context};
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

/// Where half-filled opinions wait in the session, so that looking again loses nothing.
const NOTES: &str = "review-notes";
/// Half-filled opinions kept at most; the oldest goes first.
const NOTES_MAX: usize = 10;

/// One candidate of one comparison.
type Ids = (RequestId, ProbeId, CandidateId);

/// One candidate on the examiner's own sheet.
struct Candidate {
    ids: Ids,
    /// Where the sheet is.
    base: String,
    sheet: ComparisonView,
    position: usize,
}

impl Candidate {
    async fn open(page: &Page, ids: Ids) -> Result<Self, PageError> {
        let (request, probe, candidate) = ids;
        let sheet = house(page)?.comparison(me(page), request, probe).await?;
        let position = sheet.sheet.candidates.iter().position(|c| c.id == candidate).ok_or(PageError::NotFound)?;
        Ok(Self { ids, base: sheet_path((request, probe)), sheet, position })
    }

    fn letter(&self) -> String {
        letter(self.position)
    }

    /// What the examiner said of it so far.
    fn own(&self) -> &BlindCandidate {
        &self.sheet.sheet.candidates[self.position]
    }

    /// A page about it: both pictures with their tools, the visual opinion once it is locked, and the form
    /// with what was typed.
    async fn page(
        &self,
        page: &Page,
        template: &'static str,
        title: String,
        look: &Look,
        values: Value,
        more: Value,
    ) -> Result<View, PageError> {
        let pictures = pictures(page, self.ids, look).await?;
        Ok(page.view(template, title).back(self.base.as_str()).with(context! {
            reference => self.sheet.reference.as_str(), letter => self.letter(), base => self.base.as_str(), version => self.sheet.sheet.version,
            visual => self.own().visual.as_ref().map(visual_shown), pictures, values, ..more
        }))
    }

    /// Back to the sheet.
    fn to_sheet(&self) -> Response {
        Redirect::to(&self.base).into_response()
    }
}

/// The two pictures and the tools, as templates show them.
async fn pictures(page: &Page, (request, probe, candidate): Ids, look: &Look) -> Result<Value, PageError> {
    let has_image = house(page)?.comparison_candidate(me(page), request, probe, candidate).await?.is_some();
    let base = sheet_path((request, probe));
    Ok(context! {
        plain_probe => format!("{base}/probe.jpg"),
        plain_held => has_image.then(|| format!("{base}/{candidate}/held.jpg")),
        probe => format!("{base}/probe.jpg{}", look.query()),
        held => has_image.then(|| format!("{base}/{candidate}/held.jpg{}", look.query())),
        tools => look.tools(has_image),
        log => look.log(),
        steps => look.0.code(),
        query => look.query(),
    })
}

// ---- The blind visual opinion ---------------------------------------------------------------------

pub(super) async fn compare(page: Page, Path(ids): Path<Ids>, Query(looking): Query<Looking>) -> Result<Response, PageError> {
    let kept = notes(&page).await?.into_iter().find(|(c, _)| *c == ids.2);
    let values = kept.map_or(Value::UNDEFINED, |(_, fields)| Posted { fields, files: vec![] }.values());
    compare_form(&page, ids, &looking.look(), values, vec![]).await
}

async fn compare_form(page: &Page, ids: Ids, look: &Look, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let candidate = Candidate::open(page, ids).await?;
    if candidate.own().informed.is_some() {
        return Ok(candidate.to_sheet());
    }
    let parts: Vec<Value> = Component::iter()
        .map(|c| context! { id => c.to_string(), label => c.label(), value => values.get_attr(&format!("part-{c}")).unwrap_or_default() })
        .collect();
    let scale: Vec<Value> =
        Conclusion::iter().map(|c| context! { id => c.to_string(), label => c.label(), meaning => c.meaning() }).collect();
    let more = context! {
        request => ids.0.to_string(), candidate => ids.2.to_string(), informed_open => candidate.sheet.informed_open, parts, scale,
    };
    let title = format!("Candidate {}", candidate.letter());
    candidate.page(page, "review/compare.html", title, look, values, more).await?.errors(errors).draw().await
}

/// An opinion in words.
fn visual_shown(v: &Visual) -> Value {
    let parts: Vec<Value> = Component::iter()
        .map(|c| context! { label => c.label(), seen => v.components.get(&c).map_or("Not compared", |a| agreement(*a)) })
        .collect();
    context! { conclusion => v.conclusion.label(), meaning => v.conclusion.meaning(), words => v.words.as_str(), parts, log => log(&v.image_log) }
}

/// What was done to the pictures, in words.
fn log(image_log: &ImageLog) -> Vec<String> {
    image_log.steps.0.iter().map(|s| s.words()).collect()
}

fn agreement(a: Agreement) -> &'static str {
    match a {
        Agreement::Alike => "Alike",
        Agreement::Different => "Different",
        Agreement::NotVisible => "Not visible in one of them",
    }
}

/// Reads an opinion off the form, or says everything that is missing.
fn opinion(posted: &Posted) -> Result<Visual, Vec<RefusalLine>> {
    let mut components = BTreeMap::new();
    for c in Component::iter() {
        if let Some(a) = posted.text(&format!("part-{c}")).and_then(|v| v.parse::<Agreement>().ok()) {
            components.insert(c, a);
        }
    }
    let conclusion = posted.text("conclusion").and_then(|v| v.parse::<Conclusion>().ok());
    let words = posted.text("words").unwrap_or_default().to_owned();
    let opinion = Visual { conclusion: conclusion.unwrap_or(Conclusion::CannotSay), components, words, image_log: ImageLog::default() };
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
    Ok(opinion)
}

/// What was done to the pictures before the form was sent: as the scripts wrote it where they work, as the page's address says
/// where they do not. Drawn by the server, so that the record holds what it comes to.
async fn image_log(page: &Page, ids: Ids, posted: &Posted, look: &Look) -> Result<ImageLog, PageError> {
    let steps = posted.text("steps").map_or_else(|| look.0.clone(), Steps::read);
    Ok(house(page)?.image_log(me(page), ids.0, ids.1, ids.2, steps).await?)
}

/// What was typed, without what belongs to the form itself.
fn typed(posted: &Posted) -> impl Iterator<Item = &(String, String)> {
    posted.fields.iter().filter(|(n, _)| !n.starts_with('_') && n != "action")
}

pub(super) async fn give_visual(
    page: Page,
    Path(ids): Path<Ids>,
    Query(looking): Query<Looking>,
    posted: Posted,
) -> Result<Response, PageError> {
    let look = looking.look();
    if posted.has("action", "edit") {
        return compare_form(&page, ids, &look, posted.values(), vec![]).await;
    }
    let opinion = match opinion(&posted) {
        Ok(opinion) => Visual { image_log: image_log(&page, ids, &posted, &look).await?, ..opinion },
        Err(errors) => return compare_form(&page, ids, &look, posted.values(), errors).await,
    };
    let candidate = Candidate::open(&page, ids).await?;
    let letter = candidate.letter();
    if !posted.has("action", "lock") {
        let hidden: Vec<Value> = typed(&posted).map(|(n, v)| context! { name => n, value => v }).collect();
        return page
            .view("review/check.html", format!("Check your opinion on candidate {letter}"))
            .with(context! {
                letter, reference => candidate.sheet.reference, visual => visual_shown(&opinion), hidden, version => posted.version()?,
                query => look.query(),
            })
            .draw()
            .await;
    }
    let command = Command::GiveVisual { probe: ids.1, candidate: ids.2, opinion, version: posted.version()? };
    match house(&page)?.act_and_work(me(&page), ids.0, command, None, once(&posted)?).await {
        Ok(_) => {
            forget_notes(&page, ids.2).await?;
            page.done(format!("Your visual opinion on candidate {letter} is locked."), &candidate.base).await
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

pub(super) async fn keep_notes(
    page: Page,
    Path(ids): Path<Ids>,
    Query(looking): Query<Looking>,
    posted: Posted,
) -> Result<Response, PageError> {
    let candidate = Candidate::open(&page, ids).await?;
    let mut kept = notes(&page).await?;
    kept.retain(|(c, _)| *c != ids.2);
    kept.push((ids.2, typed(&posted).cloned().collect()));
    let extra = kept.len().saturating_sub(NOTES_MAX);
    kept.drain(..extra);
    page.session.insert(NOTES, kept).await.map_err(|_| PageError::Unavailable)?;
    let here = format!("{}/{}{}", candidate.base, ids.2, looking.look().query());
    page.done("Your answers so far are kept until you sign out. Look as long as you need.", &here).await
}

// ---- The informed conclusion ----------------------------------------------------------------------

pub(super) async fn informed(page: Page, Path(ids): Path<Ids>, Query(looking): Query<Looking>) -> Result<Response, PageError> {
    informed_form(&page, ids, &looking.look(), Value::UNDEFINED, vec![]).await
}

async fn informed_form(page: &Page, ids: Ids, look: &Look, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let candidate = Candidate::open(page, ids).await?;
    let own = candidate.own();
    if own.informed.is_some() || !candidate.sheet.informed_open {
        return Ok(candidate.to_sheet());
    }
    let told = house(page)?.informed(me(page), ids.0, ids.1, ids.2).await?;
    let mode = told.mode.map(|m| match m {
        Mode::Unidentified => "Nobody knows who the person is",
        Mode::Known => "The person is known; the force looks for other identities",
    });
    let source = told.source.map(|s| match s {
        Source::Supervised => "Taken under supervision, for example at a police station",
        Source::Unsupervised => "CCTV or another device, not supervised",
    });
    let held: Vec<Value> = told.biography.iter().map(|(_, label, value)| context! { key => *label, value => value.as_str() }).collect();
    let more = context! {
        supports => own.visual.as_ref().is_some_and(|v| v.conclusion.supports_same()), mode, source, about => told.person,
        offence => told.offence, held,
    };
    let title = format!("Candidate {}: your conclusion", candidate.letter());
    candidate.page(page, "review/informed.html", title, look, values, more).await?.errors(errors).draw().await
}

pub(super) async fn give_informed(
    page: Page,
    Path(ids): Path<Ids>,
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
    let image_log = image_log(&page, (request, probe, candidate), &posted, &look).await?;
    let opinion = Informed { same_person: same == "yes", reasons: posted.text("reasons").unwrap_or_default().to_owned(), image_log };
    let command = Command::GiveInformed { probe, candidate, opinion, version: posted.version()? };
    match house(&page)?.act_and_work(me(&page), request, command, None, once(&posted)?).await {
        Ok(_) => page.done("Your conclusion is recorded.", &sheet_path((request, probe))).await,
        Err(BureauError::Refused(all)) => informed_form(&page, ids, &look, posted.values(), beside(all, "reasons")).await,
        Err(e) => Err(e.into()),
    }
}

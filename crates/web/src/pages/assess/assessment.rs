//! The assessment of one image: the force's words beside each criterion, the decision checked with its
//! letter before it is made, and everything refused back at once with what was typed (A1–A10, O1).

use super::{
    Routes,
    findings::{Findings, anchor},
    lines, once,
    open::Case,
    refused, said, who,
};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bureau::{
    Done,
    views::{ProbeView, RequestView},
};
use casework::{
    access::Action,
    assess::Criterion,
    clause::Clause,
    event::Event,
    form::Purpose,
    ids::{ProbeId, RequestId},
    policy::Policy,
};
use minijinja::{Value, context};
use strum::IntoEnumIterator;

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/assess/{id}/assessment", get(overview))
            .route("/assess/{id}/assessment/{probe}", get(ask).post(act)),
    )
}

/// The tab: every image with its decision; straight to the form when it is the only one and open.
async fn overview(page: Page, Case(view): Case, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let may = view.line.mine && view.may.contains(&Action::Assess);
    if let ([only], true) = (view.probes.as_slice(), may)
        && only.state == "pending"
    {
        return Ok(Redirect::to(&format!("/assess/{id}/assessment/{}", only.id)).into_response());
    }
    let policy = page.state.bureau()?.policy();
    let probes: Vec<Value> = view.probes.iter().map(|p| context! { findings => findings(p, &view, policy), ..show(p) }).collect();
    page.view("assess/assessments.html", "Assessment")
        .back("/assess")
        .with(context! { probes, may, ..said::case(&view, "assessment") })
        .draw()
        .await
}

/// What was found on an image, in words, or nothing yet.
pub(in crate::pages) fn findings(p: &ProbeView, view: &RequestView, policy: &Policy) -> Value {
    p.assessment.as_ref().map_or(Value::UNDEFINED, |a| summary(&Findings { assessment: a.clone(), ..Findings::default() }, view, policy))
}

/// Findings in words.
fn summary(f: &Findings, view: &RequestView, policy: &Policy) -> Value {
    let a = &f.assessment;
    let basis = policy.gallery(view.line.gallery).legal_bases.iter().find(|b| b.id == a.legal_basis).map(|b| b.text.clone());
    let serious = a.purposes.contains(&Purpose::SeriousCrime);
    let crime = match a.crime.run() {
        _ if !serious => None,
        Ok(limb) => Some((true, format!("Serious crime: {}.", limb.words()))),
        Err(failed) => Some((false, format!("Not serious crime: {}.", failed.iter().map(|l| l.words()).collect::<Vec<_>>().join("; ")))),
    };
    let rows: Vec<Value> = Criterion::iter()
        .filter_map(|c| {
            let finding = a.findings.get(&c)?;
            Some(context! { question => c.question(), clause => c.clause().to_string(), met => finding.met, reasons => finding.reasons.clone() })
        })
        .collect();
    context! {
        basis, rows, purposes => a.purposes.iter().map(|p| said::purpose(*p)).collect::<Vec<_>>(), crime => show(&crime),
        handling => a.handling.map(|h| h.to_string()), section_8_read => a.section_8_read,
    }
}

fn the_probe(view: &RequestView, probe: ProbeId) -> Result<&ProbeView, PageError> {
    view.probes.iter().find(|p| p.id == probe).ok_or(PageError::NotFound)
}

async fn ask(page: Page, Case(view): Case, Path((id, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    let p = the_probe(&view, probe)?;
    if p.state != "pending" || !view.line.mine {
        return Ok(Redirect::to(&format!("/assess/{id}/assessment")).into_response());
    }
    let begin = view.form.as_ref().map(|f| Findings::begin(f, p)).unwrap_or_default();
    draw(&page, &view, p, &begin, vec![]).await
}

async fn draw(
    page: &Page,
    view: &RequestView,
    p: &ProbeView,
    findings: &Findings,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let policy = page.state.bureau()?.policy();
    let Some(form) = &view.form else { return Err(PageError::NotFound) };
    let gallery = policy.gallery(view.line.gallery);
    let bases: Vec<Value> = gallery
        .legal_bases
        .iter()
        .map(|b| context! { value => b.id.clone(), text => b.text.clone(), checked => b.id == findings.assessment.legal_basis })
        .collect();
    let criteria: Vec<Value> = Criterion::iter()
        .map(|c| {
            let finding = findings.assessment.findings.get(&c).cloned().unwrap_or_default();
            let id = c.clause();
            context! {
                key => c.to_string(), question => c.question(), clause => id.to_string(), rows => show(&said::beside(c, form)),
                clause_words => policy.clause(id).map(|t| t.text.clone()), met => finding.met, reasons => finding.reasons,
            }
        })
        .collect();
    let purposes: Vec<Value> = form
        .purposes
        .iter()
        .map(|p| context! { value => p.to_string(), text => said::purpose(*p), checked => findings.assessment.purposes.contains(p) })
        .collect();
    // What speaks against it so far, to be said in the explanation: only once a form was sent.
    let image = form.images.iter().find(|i| i.probe == p.id);
    let against = if errors.is_empty() { vec![] } else { findings.assessment.against(image) };
    page.view("assess/assessment.html", "Assess an image")
        .back(format!("/assess/{}", view.line.id))
        .with(context! {
            probe => show(p), several => view.probes.len() > 1, bases, criteria, purposes, f => show(findings), against => show(&against),
            picture => show(&said::pictures(view).into_iter().nth(p.number - 1)),
            serious => form.purposes.contains(&Purpose::SeriousCrime),
            crime_rows => show(&said::crime(form)), section_8 => show(&(form.vulnerable, form.vulnerable_words.clone())),
            gallery_size => page.state.bureau()?.gallery_size(view.line.gallery), expires_days => policy.authorisation_days,
            ..said::case(view, "assessment")
        })
        .errors(errors)
        .draw()
        .await
}

async fn act(page: Page, Case(view): Case, Path((id, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    let p = the_probe(&view, probe)?;
    let sent = Findings::read(&posted);
    if posted.has("step", "change") {
        return draw(&page, &view, p, &sent, vec![]).await;
    }
    let bureau = page.state.bureau()?;
    let seen = Some(posted.version()?);
    let Some(command) = sent.command(probe) else {
        // Everything at once: what a decision would be refused for, and that there is none.
        let authorise = Findings { decision: "decline".into(), explanation: "-".into(), ..sent.clone() };
        let mut all = match authorise.command(probe) {
            Some(command) => bureau.check(who(&page), id, command, seen).await.err().map(refused).transpose()?.unwrap_or_default(),
            None => vec![],
        };
        all.retain(|r| !r.clauses.contains(&Clause::O9));
        let mut errors = lines(all, anchor);
        errors.push(RefusalLine { clauses: vec!["O1".into()], ..RefusalLine::on("decision", "Decide whether the image is searched") });
        return draw(&page, &view, p, &sent, errors).await;
    };
    let confirmed = posted.has("step", "confirm");
    let answer = if confirmed {
        bureau.act_and_work(who(&page), id, command, seen, once(&posted)?).await
    } else {
        bureau.check(who(&page), id, command, seen).await
    };
    match answer {
        Ok(_) if confirmed => {
            let (told, then) = if sent.decision == "authorise" {
                ("The search is authorised.", format!("/search/{id}"))
            } else {
                ("The image is declined. The force is told when the answer is sent.", format!("/assess/{id}/assessment"))
            };
            page.done(told, &then).await
        }
        Ok(done) => check(&page, &view, p, &sent, &done).await,
        Err(e) => draw(&page, &view, p, &sent, lines(refused(e)?, anchor)).await,
    }
}

/// The page that asks to confirm: every finding, and the letter as the force will read it.
async fn check(page: &Page, view: &RequestView, p: &ProbeView, sent: &Findings, done: &Done) -> Result<Response, PageError> {
    let policy = page.state.bureau()?.policy();
    let declined = done.events.iter().find_map(|e| match e {
        Event::Declined { clauses, .. } => Some(clauses.clone()),
        _ => None,
    });
    let expires = done.events.iter().find_map(|e| match e {
        Event::Authorised { authorisation, .. } => Some(authorisation.expires.to_string()),
        _ => None,
    });
    let cited: Vec<Value> = declined
        .unwrap_or_default()
        .into_iter()
        .map(|c| context! { id => c.to_string(), text => policy.clause(c).map(|t| t.text.clone()) })
        .collect();
    page.view("assess/assessment-check.html", if expires.is_some() { "Check before you authorise" } else { "Check before you decline" })
        .back(format!("/assess/{}/assessment/{}", view.line.id, p.id))
        .with(context! {
            reference_text => view.line.reference.clone(), version => view.version, id => view.line.id.to_string(), probe => show(p), several => view.probes.len() > 1,
            s => summary(sent, view, policy), explanation => sent.explanation.clone(), cited, expires, hidden => show(&sent.hidden()),
            gallery => view.gallery_name.clone(), owner => view.owner.clone(), requester => view.line.requester.clone(), force => view.line.leo.clone(),
        })
        .draw()
        .await
}

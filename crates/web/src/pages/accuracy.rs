//! Accuracy (P1): each gallery's certificate for everybody to read and check, and for its own people the
//! change of its threshold, which takes a new evaluation and two of them.

use super::{Routes, report::tabs};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::{OpenPage, Page},
};
use axum::{
    Router,
    extract::{Path, Query},
    http::header,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bureau::{
    Bureau, BureauError,
    affected::{AffectedSearch, SEARCHES_ON_PAGE},
    certificate::{Accuracy, Ended, Proposed, SettingView, Wanted},
};
use casework::{
    certificate::{Certificate, Rate, Rates},
    ids::{Digest, PersonId},
    record::GalleryId,
    refusal::Refusal,
};
use minijinja::{Value, context};
use serde::Deserialize;
use std::sync::Arc;

/// The staff's page.
const PATH: &str = "/report/accuracy";

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/accuracy", get(public))
            .route("/accuracy/{gallery}/certificate", get(download))
            .route(PATH, get(overview))
            .route("/report/accuracy/{gallery}", get(look).post(decide))
            .route("/report/accuracy/{gallery}/revoke", get(ask_revoke).post(revoke))
            .route("/report/accuracy/certificates/{certificate}/searches", get(searches)),
    )
    .with_uploads(Router::new().route("/report/accuracy/{gallery}/propose", get(ask).post(propose)))
}

fn me(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

fn house(page: &OpenPage) -> Result<Arc<Bureau>, PageError> {
    page.state.bureau().cloned()
}

/// What a role does not include is closed, not a problem with a form.
fn closed(e: BureauError) -> PageError {
    match PageError::from(e) {
        PageError::Refused(lines) => PageError::Forbidden(lines),
        other => other,
    }
}

// ---- In words ---------------------------------------------------------------------------------------

/// With a space that does not break.
fn percent(share: f64) -> String {
    casework::certificate::percent(share).replace(" %", "\u{a0}%")
}

fn rate(r: &Rate) -> Value {
    context! { share => percent(r.share()), low => percent(r.low), high => percent(r.high), errors => r.errors, of => r.of }
}

fn rates(r: &Rates) -> Value {
    context! { fpir => rate(&r.fpir), fnir => rate(&r.fnir) }
}

fn certificate(c: &Certificate) -> Value {
    let groups: Vec<Value> = c.groups.iter().map(|g| context! { name => g.name.as_str(), rates => rates(&g.rates) }).collect();
    context! {
        threshold => c.threshold.to_string(), rates => rates(&c.rates), groups, pack => c.running.pack.as_str(),
        pack_digest => c.running.pack_digest.as_str(), model => c.running.model.as_str(), specification => c.running.specification.as_str(),
        references_max => c.references_max, references_measured => c.references_measured, synthetic => c.synthetic,
        estimate => c.fpir_estimate.map(percent), people => c.people, images => c.images, evaluation => c.evaluation.to_string(),
        demonstration => c.demonstration, measured => c.measured.to_string(), issued => c.issued.to_string(), until => c.until.to_string(),
    }
}

/// A gallery's accuracy in one line, before a search.
pub(super) fn in_words(a: &Accuracy) -> String {
    let Some(held) = a.held.as_ref().filter(|_| a.against.is_empty()) else { return "No certificate covers a search now".into() };
    let c = &held.certificate;
    let estimate = c.fpir_estimate.map(|e| {
        format!(
            "; with {} references in it, up to {} may be pointed at by mistake: an estimate, not a measurement",
            c.references_max,
            percent(e)
        )
    });
    format!(
        "{}Of people not in the gallery, {} are pointed at somebody by mistake (95 % interval {} to {}); of people in it, {} are missed ({} to {}){}",
        if c.demonstration { "Demonstration. " } else { "" },
        percent(c.rates.fpir.share()),
        percent(c.rates.fpir.low),
        percent(c.rates.fpir.high),
        percent(c.rates.fnir.share()),
        percent(c.rates.fnir.low),
        percent(c.rates.fnir.high),
        estimate.unwrap_or_default(),
    )
}

/// Refusals, for a list of them.
pub(super) fn reasons(all: &[Refusal]) -> Vec<Value> {
    all.iter()
        .map(|r| context! { words => r.words.as_str(), clauses => r.clauses.iter().map(ToString::to_string).collect::<Vec<_>>() })
        .collect()
}

fn accuracy(a: &Accuracy) -> Value {
    context! {
        gallery => a.gallery.to_string(), name => a.name.as_str(), references => a.references,
        threshold => a.threshold.map(|t| t.to_string()), certificate => a.held.as_ref().map(|h| certificate(&h.certificate)),
        against => reasons(&a.against), revoked => a.held.as_ref().is_some_and(|h| h.revoked.is_some()),
    }
}

fn ended(e: &Ended) -> Value {
    let revoked = &e.revoked;
    context! {
        digest => e.digest.to_string(), threshold => e.threshold.to_string(), issued => e.issued.to_string(), on => revoked.on.to_string(),
        reasons => revoked.reasons.as_str(),
    }
}

fn proposed(p: &Proposed) -> Value {
    let it = &p.proposal;
    let c = it.changes;
    context! {
        number => p.number, by => p.by.as_str(), at => it.at.to_string(), reasons => it.reasons.as_str(), old_threshold => it.old_threshold.to_string(),
        old => rates(&it.old), certificate => certificate(&it.certificate), found => c.found, missed => c.missed, alerts => c.alerts,
        spared => c.spared, searches => it.old.fpir.of + it.old.fnir.of, against => reasons(&p.against),
    }
}

// ---- For everybody ----------------------------------------------------------------------------------

async fn public(page: OpenPage) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let galleries: Vec<Value> = bureau.accuracy().await?.iter().map(accuracy).collect();
    page.view("accuracy.html", "How accurate searches are").with(context! { galleries, key => bureau.certificate_key() }).draw().await
}

/// The signed certificate, as it was issued.
async fn download(page: OpenPage, Path(gallery): Path<GalleryId>) -> Result<Response, PageError> {
    let all = house(&page)?.accuracy().await?;
    let held = all.into_iter().find(|a| a.gallery == gallery).and_then(|a| a.held).ok_or(PageError::NotFound)?;
    let name = format!("attachment; filename=\"accuracy-{gallery}.txt\"");
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], held.note).into_response())
}

// ---- For a gallery's own people ---------------------------------------------------------------------

async fn overview(page: Page) -> Result<Response, PageError> {
    let settings = house(&page)?.settings(me(&page)).await.map_err(closed)?;
    let galleries: Vec<Value> = settings
        .iter()
        .map(|s| {
            let waits =
                s.proposed.as_ref().map(|p| context! { by => p.by.as_str(), threshold => p.proposal.certificate.threshold.to_string() });
            let digest = s.accuracy.held.as_ref().and_then(|h| h.genuine).map(|d| d.to_string());
            let ended: Vec<Value> = s.ended.iter().map(ended).collect();
            context! { waits, may_propose => s.may_propose, may_revoke => s.may_revoke, digest, ended, ..accuracy(&s.accuracy) }
        })
        .collect();
    let trials = page.person.roles.iter().any(|r| r == "siao" || r == "team-leader");
    page.view("report/accuracy.html", "Accuracy").with(context! { galleries, trials, tabs_items => tabs(PATH) }).draw().await
}

async fn setting(page: &Page, gallery: GalleryId) -> Result<SettingView, PageError> {
    let all = house(page)?.settings(me(page)).await.map_err(closed)?;
    all.into_iter().find(|s| s.accuracy.gallery == gallery).ok_or(PageError::NotFound)
}

async fn ask(page: Page, Path(gallery): Path<GalleryId>) -> Result<Response, PageError> {
    let setting = setting(&page, gallery).await?;
    if !setting.may_propose {
        return Ok(Redirect::to(PATH).into_response());
    }
    proposing(&page, &setting, Value::UNDEFINED, vec![]).await
}

async fn proposing(page: &Page, setting: &SettingView, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    page.view("report/accuracy-propose.html", "Propose another threshold")
        .back(PATH)
        .with(context! { values, ..accuracy(&setting.accuracy) })
        .errors(errors)
        .draw()
        .await
}

async fn propose(page: Page, Path(gallery): Path<GalleryId>, posted: Posted) -> Result<Response, PageError> {
    let setting = setting(&page, gallery).await?;
    let mut errors = vec![];
    let number = |name: &str| posted.text(name).map(|t| t.replace([',', ' '], ""));
    let threshold = number("threshold").and_then(|t| t.parse::<f64>().ok()).filter(|t| t.is_finite());
    let references_max = number("references").and_then(|t| t.parse::<u64>().ok());
    if threshold.is_none() {
        errors.push(RefusalLine::on("threshold", "Enter the new threshold as a number, such as 0.95"));
    }
    if references_max.is_none() {
        errors.push(RefusalLine::on("references", "Enter how many references the gallery may hold, as a whole number"));
    }
    let Some(file) = posted.file("evaluation") else {
        errors.push(RefusalLine::on("evaluation", "Choose the evaluation’s file"));
        return proposing(&page, &setting, posted.values(), errors).await;
    };
    let (Some(threshold), Some(references_max)) = (threshold, references_max) else {
        return proposing(&page, &setting, posted.values(), errors).await;
    };
    let wanted = Wanted { gallery, threshold, references_max, estimate: posted.has("estimate", "yes") };
    let done = house(&page)?.propose_threshold(me(&page), &file.bytes, wanted, posted.text("reasons").unwrap_or_default()).await;
    match done {
        Ok(()) => page.done("The threshold was proposed. A second person confirms it.", &format!("{PATH}/{gallery}")).await,
        Err(BureauError::Refused(why)) => proposing(&page, &setting, posted.values(), why.into_iter().map(Into::into).collect()).await,
        Err(other) => Err(other.into()),
    }
}

async fn look(page: Page, Path(gallery): Path<GalleryId>) -> Result<Response, PageError> {
    deciding(&page, gallery, Value::UNDEFINED, vec![]).await
}

/// Both thresholds side by side, before the second person decides.
async fn deciding(page: &Page, gallery: GalleryId, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let setting = setting(page, gallery).await?;
    let Some(waiting) = &setting.proposed else { return Ok(Redirect::to(PATH).into_response()) };
    page.view("report/accuracy-decide.html", "A proposed threshold")
        .back(PATH)
        .with(context! { values, proposed => proposed(waiting), may_decline => setting.may_decline, ..accuracy(&setting.accuracy) })
        .errors(errors)
        .draw()
        .await
}

async fn decide(page: Page, Path(gallery): Path<GalleryId>, posted: Posted) -> Result<Response, PageError> {
    let (bureau, number) = (house(&page)?, posted.version()?);
    let done = if posted.has("decision", "confirm") {
        bureau.confirm_threshold(me(&page), gallery, number).await.map(|_| "The threshold was changed and its certificate issued.")
    } else {
        let why = posted.text("reasons").unwrap_or_default();
        bureau.decline_threshold(me(&page), gallery, number, why).await.map(|()| "The proposal was declined.")
    };
    match done {
        Ok(words) => page.done(words, PATH).await,
        Err(BureauError::Refused(why)) => deciding(&page, gallery, posted.values(), why.into_iter().map(Into::into).collect()).await,
        Err(other) => Err(other.into()),
    }
}

async fn ask_revoke(page: Page, Path(gallery): Path<GalleryId>) -> Result<Response, PageError> {
    revoking(&page, gallery, Value::UNDEFINED, vec![]).await
}

/// The certificate, before it ends before its time.
async fn revoking(page: &Page, gallery: GalleryId, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let setting = setting(page, gallery).await?;
    let Some(digest) = setting.accuracy.held.as_ref().filter(|_| setting.may_revoke).and_then(|h| h.genuine) else {
        return Ok(Redirect::to(PATH).into_response());
    };
    let touched = house(page)?.affected_count(me(page), digest).await.map_err(closed)?;
    let touched = context! { searches => touched.searches, cases => touched.cases };
    page.view("report/accuracy-revoke.html", "Revoke this certificate?")
        .back(PATH)
        .with(context! { values, digest => digest.to_string(), touched, ..accuracy(&setting.accuracy) })
        .errors(errors)
        .draw()
        .await
}

async fn revoke(page: Page, Path(gallery): Path<GalleryId>, posted: Posted) -> Result<Response, PageError> {
    let why = posted.text("reasons").unwrap_or_default();
    let Some(certificate) = posted.text("certificate").and_then(|d| d.parse().ok()) else { return Err(PageError::Stale) };
    match house(&page)?.revoke_certificate(me(&page), gallery, certificate, why).await {
        Ok(()) => page.done("The certificate was revoked. Nothing is searched within it any more.", PATH).await,
        Err(BureauError::Refused(all)) => {
            let lines = all.into_iter().map(|r| RefusalLine { field: Some("reasons".into()), ..r.into() }).collect();
            revoking(&page, gallery, posted.values(), lines).await
        }
        Err(other) => Err(other.into()),
    }
}

// ---- What rests on a certificate --------------------------------------------------------------------

/// Which page of the searches.
#[derive(Deserialize)]
struct Asked {
    page: Option<usize>,
}

fn searched(s: &AffectedSearch, certificate: Digest) -> Value {
    context! {
        request => s.request.to_string(), reference => s.reference.as_str(), at => s.searched_at.to_string(), gallery => s.gallery.to_string(),
        other => s.certificate != certificate, state => s.state.label(), outcome => s.outcome.map(|o| o.to_string().replace('-', " ")),
    }
}

async fn searches(page: Page, Path(certificate): Path<Digest>, Query(asked): Query<Asked>) -> Result<Response, PageError> {
    let bureau = house(&page)?;
    let all = bureau.affected(me(&page), certificate).await.map_err(closed)?;
    let number = asked.page.unwrap_or(1).clamp(1, all.pages());
    let lines: Vec<Value> = all.page(number).iter().map(|s| searched(s, certificate)).collect();
    let first = (number - 1) * SEARCHES_ON_PAGE + 1;
    let revoked = all.revoked.as_ref().map(|r| context! { on => r.on.to_string(), reasons => r.reasons.as_str() });
    page.view("report/accuracy-searches.html", "Searches that rest on this certificate")
        .back(PATH)
        .with(context! {
            name => bureau.policy().gallery(all.gallery).name.as_str(), digest => certificate.to_string(), revoked, others => all.with.len(),
            searches => all.count.searches, cases => all.count.cases, withheld => all.count.withheld, erased => all.count.erased,
            shown => all.searches.len(), first, last => first - 1 + lines.len(), page_number => number, page_count => all.pages(),
            href => format!("{PATH}/certificates/{certificate}/searches?page="), lines,
        })
        .draw()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use casework::{
        certificate::Held,
        testing::{THRESHOLD, certificate, note},
    };

    #[test]
    fn p1_an_estimate_is_said_before_a_search_and_a_small_rate_is_not_said_to_be_none() {
        let gallery = GalleryId::Passport;
        let mut c = certificate(gallery, THRESHOLD);
        (c.fpir_estimate, c.references_max, c.rates.fpir.low) = (Some(0.25), 58_000_000, 0.000_01);
        let said = |c: &Certificate| {
            let held = Held { certificate: c.clone(), note: note(c), genuine: None, revoked: None };
            let a = Accuracy {
                gallery,
                name: "Passport gallery".into(),
                references: None,
                threshold: Some(THRESHOLD),
                held: Some(held),
                against: vec![],
            };
            in_words(&a).replace('\u{a0}', " ")
        };
        let with = said(&c);
        for part in
            ["with 58000000 references in it, up to 25 % may be pointed at by mistake: an estimate", "interval below 0.01 % to 2.00 %"]
        {
            assert!(with.contains(part), "{part} is not in {with}");
        }
        c.fpir_estimate = None;
        assert!(!said(&c).contains("estimate"));
    }
}

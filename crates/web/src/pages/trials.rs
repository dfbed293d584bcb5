//! Known-answer trials (P1, R1): a team leader prepares one, puts it before the examiners and reads what came of
//! it; an examiner reads their own results. What an examiner works on is on the pages of [`super::review`], where
//! nothing tells a trial from casework.

use super::{
    Routes,
    assess::{once, refused, who},
    intake::jpeg,
};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bureau::{
    BureauError,
    trial::{AGREEMENT_REQUESTS_MAX, RATE_PAIRS_MIN, Share, TrialDraft, TrialView, Wrong},
};
use casework::{
    certificate::percent,
    command::Command,
    disclosure::Biography,
    form::Verdict,
    ids::{CandidateId, ProbeId, RequestId},
    limits::CANDIDATES_MAX,
    trial::{CAME_IN_DAYS_MAX, Words},
};
use minijinja::{Value, context};
use strum::IntoEnumIterator as _;

const LIST: &str = "/assess/team/trials";

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/assess/team/examiners", get(team_results))
            .route("/review/trials", get(own_results))
            .route("/report/trials", get(gallery_results))
            .route(LIST, get(list).post(begin))
            .route("/assess/team/trials/drafts/{id}", get(draft).post(save))
            .route("/assess/team/trials/drafts/{id}/seed", post(seed))
            .route("/assess/team/trials/drafts/{id}/discard", get(ask_discard).post(discard))
            .route("/assess/team/trials/drafts/{id}/candidates/{candidate}", get(candidate).post(describe))
            .route("/assess/team/trials/drafts/{id}/candidates/{candidate}/remove", post(remove))
            .route("/assess/team/trials/{id}", get(trial))
            .route("/assess/team/trials/{id}/stop", get(ask_stop).post(stop))
            .route("/assess/team/trials/{id}/pictures/{image}", get(picture)),
    )
    .with_uploads(
        Router::new()
            .route("/assess/team/trials/drafts/{id}/probe", get(instead).post(add_probe))
            .route("/assess/team/trials/drafts/{id}/candidates", get(instead).post(add_candidate)),
    )
}

fn draft_path(id: RequestId) -> String {
    format!("{LIST}/drafts/{id}")
}

/// A reload of a page that answered an upload asks for this address.
async fn instead(Path(id): Path<RequestId>) -> Redirect {
    Redirect::to(&draft_path(id))
}

// ---- Preparing one --------------------------------------------------------------------------------

async fn list(page: Page) -> Result<Response, PageError> {
    let (drafts, trials) = page.state.bureau()?.trials(who(&page)).await?;
    let trials: Vec<Value> = trials.iter().map(|t| context! { t => show(t), words => in_words(t) }).collect();
    page.view("team/trials.html", "Known-answer trials")
        .back("/assess/team")
        .with(context! { drafts => show(&drafts), trials, days => page.state.bureau()?.policy().trial_close_after_days })
        .draw()
        .await
}

async fn begin(page: Page, _: Posted) -> Result<Response, PageError> {
    match page.state.bureau()?.new_trial(who(&page)).await {
        Ok(id) => Ok(Redirect::to(&draft_path(id)).into_response()),
        Err(e) => Err(PageError::Refused(refused(e)?.into_iter().map(Into::into).collect())),
    }
}

async fn draft(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    draw_draft(&page, id, None, vec![]).await
}

/// The draft's page; with what was typed where it is not saved yet.
async fn draw_draft(page: &Page, id: RequestId, typed: Option<Value>, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let draft = match bureau.trial_draft(who(page), id).await {
        Ok(draft) => draft,
        // Put before the examiners meanwhile: that is where it is now.
        Err(e) => match bureau.trial(who(page), id).await {
            Ok(_) => return Ok(Redirect::to(&format!("{LIST}/{id}")).into_response()),
            Err(_) => return Err(e.into()),
        },
    };
    let m = &draft.material;
    let values = typed.unwrap_or_else(|| {
        let w = &m.words;
        context! {
            origin => w.origin.as_str(), mode => w.mode.map(|m| m.to_string()), source => w.source.map(|s| s.to_string()),
            offence => w.offence.as_str(), person => w.person.as_str(), urgent => if w.urgent { "yes" } else { "" },
            days => w.came_in_days_ago.to_string(),
        }
    });
    let candidates: Vec<Value> = m
        .candidates
        .iter()
        .enumerate()
        .map(|(n, k)| {
            context! {
                number => n + 1, id => k.candidate.to_string(), image => k.image.probe.to_string(), same => k.same_person,
                fields => k.biography.0.iter().map(|(f, v)| format!("{}: {v}", f.label())).collect::<Vec<_>>(),
            }
        })
        .collect();
    let missing: Vec<RefusalLine> = draft.missing.iter().cloned().map(Into::into).collect();
    let found = m.probe.iter().flat_map(|p| &p.quality).filter(|q| q.verdict >= Verdict::Warn);
    let quality: Vec<String> = found.map(|q| q.advice.clone()).collect();
    page.view("team/trial-draft.html", "Prepare a known-answer trial")
        .back(LIST)
        .with(context! {
            id => id.to_string(), version => draft.version, values, candidates, missing => show(&missing), quality,
            probe => m.probe.as_ref().map(|p| p.probe.to_string()), full => m.candidates.len() >= CANDIDATES_MAX, candidates_max => CANDIDATES_MAX,
            days_max => CAME_IN_DAYS_MAX, goes => casework::calendar::date_in_words(draft.goes),
        })
        .errors(errors)
        .draw()
        .await
}

/// Somebody's other tab was first.
fn stale() -> RefusalLine {
    RefusalLine {
        words: "This was changed in another tab since you opened the page, so nothing was saved. Look again and repeat it.".into(),
        ..RefusalLine::default()
    }
}

/// What went wrong, on the same page.
async fn again(page: &Page, id: RequestId, e: BureauError, typed: Option<Value>, field: &str) -> Result<Response, PageError> {
    let lines = match e {
        BureauError::Overtaken => vec![stale()],
        e => refused(e)?.into_iter().map(|r| RefusalLine { field: Some(field.into()), ..r.into() }).collect(),
    };
    draw_draft(page, id, typed, lines).await
}

async fn save(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let text = |name: &str| posted.text(name).unwrap_or_default().to_owned();
    let days = posted.text("days").unwrap_or("0").trim().parse();
    let Ok(came_in_days_ago) = days else {
        let line = RefusalLine::on("days", &format!("Enter a whole number of days, 0 to {CAME_IN_DAYS_MAX}"));
        return draw_draft(&page, id, Some(posted.values()), vec![line]).await;
    };
    let words = Words {
        origin: text("origin"),
        mode: posted.text("mode").and_then(|m| m.parse().ok()),
        source: posted.text("source").and_then(|s| s.parse().ok()),
        offence: text("offence"),
        person: text("person"),
        urgent: posted.has("urgent", "yes"),
        came_in_days_ago,
    };
    match page.state.bureau()?.save_trial(who(&page), id, posted.version()?, words).await {
        Ok(_) => page.done("What you wrote is saved.", &draft_path(id)).await,
        Err(e) => again(&page, id, e, Some(posted.values()), "origin").await,
    }
}

async fn add_probe(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    add(&page, id, &posted, false).await
}

async fn add_candidate(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    add(&page, id, &posted, true).await
}

async fn add(page: &Page, id: RequestId, posted: &Posted, as_candidate: bool) -> Result<Response, PageError> {
    let field = if as_candidate { "candidate" } else { "probe" };
    let Some(file) = posted.files.first() else {
        return draw_draft(page, id, None, vec![RefusalLine::on(field, "Choose a picture to upload")]).await;
    };
    let bureau = page.state.bureau()?;
    match bureau.add_trial_image(who(page), id, posted.version()?, as_candidate, &file.bytes, Some(&file.file_name)).await {
        Ok(_) => page.done("The picture was added.", &draft_path(id)).await,
        Err(e) => again(page, id, e, None, field).await,
    }
}

async fn candidate(page: Page, Path((id, candidate)): Path<(RequestId, CandidateId)>) -> Result<Response, PageError> {
    draw_candidate(&page, id, candidate, None, vec![]).await
}

async fn draw_candidate(
    page: &Page,
    id: RequestId,
    candidate: CandidateId,
    typed: Option<Value>,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let draft: TrialDraft = bureau.trial_draft(who(page), id).await?;
    let found = draft.material.candidates.iter().enumerate().find(|(_, k)| k.candidate == candidate);
    let Some((n, known)) = found else { return Err(PageError::NotFound) };
    let fields: Vec<Value> = bureau
        .policy()
        .gallery(draft.gallery)
        .fields
        .iter()
        .map(|r| {
            let name = r.field.to_string();
            let value = match &typed {
                Some(values) => values.get_attr(&name).ok().and_then(|v| v.as_str().map(str::to_owned)),
                None => known.biography.0.get(&r.field).cloned(),
            };
            context! { name, label => r.field.label(), value }
        })
        .collect();
    let same = match &typed {
        Some(values) => values.get_attr("same").ok().and_then(|v| v.as_str().map(str::to_owned)),
        None => known.same_person.map(|s| if s { "yes" } else { "no" }.to_owned()),
    };
    page.view("team/trial-candidate.html", format!("Candidate {}", n + 1))
        .back(draft_path(id))
        .with(context! { id => id.to_string(), version => draft.version, candidate => candidate.to_string(), image => known.image.probe.to_string(), fields, same })
        .errors(errors)
        .draw()
        .await
}

async fn describe(page: Page, Path((id, candidate)): Path<(RequestId, CandidateId)>, posted: Posted) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let same_person = match posted.text("same") {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => {
            let line = RefusalLine::on("same", "Say whether it is the same person");
            return draw_candidate(&page, id, candidate, Some(posted.values()), vec![line]).await;
        }
    };
    let said = casework::policy::BioField::iter()
        .filter_map(|f| posted.text(&f.to_string()).map(str::trim).filter(|v| !v.is_empty()).map(|v| (f, v.to_owned())));
    let biography = Biography(said.collect());
    match bureau.describe_trial_candidate(who(&page), id, posted.version()?, candidate, same_person, biography).await {
        Ok(_) => page.done("What you said about the candidate is saved.", &draft_path(id)).await,
        Err(BureauError::Overtaken) => draw_candidate(&page, id, candidate, Some(posted.values()), vec![stale()]).await,
        Err(e) => Err(e.into()),
    }
}

async fn remove(page: Page, Path((id, candidate)): Path<(RequestId, CandidateId)>, posted: Posted) -> Result<Response, PageError> {
    match page.state.bureau()?.remove_trial_candidate(who(&page), id, posted.version()?, candidate).await {
        Ok(_) => page.done("The candidate was taken off, and the picture destroyed.", &draft_path(id)).await,
        Err(e) => again(&page, id, e, None, "candidate").await,
    }
}

async fn seed(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    match page.state.bureau()?.seed_trial(who(&page), id, posted.version()?, once(&posted)?).await {
        Ok(_) => {
            page.done("The trial is before the examiners. They cannot tell it from casework; tell nobody of it.", &format!("{LIST}/{id}"))
                .await
        }
        Err(e) => again(&page, id, e, None, "seed").await,
    }
}

async fn ask_discard(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let draft = page.state.bureau()?.trial_draft(who(&page), id).await?;
    page.view("intake/confirm.html", "Discard this trial?")
        .back(draft_path(id))
        .with(context! {
            version => draft.version, cancel => draft_path(id), button => "Discard it",
            consequences => ["What you wrote and every picture of it is destroyed.", "This cannot be undone."],
        })
        .draw()
        .await
}

async fn discard(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    if bureau.trial_draft(who(&page), id).await?.version != posted.version()? {
        return Err(PageError::Stale);
    }
    bureau.discard_trial(who(&page), id).await?;
    page.done("The trial was discarded.", LIST).await
}

async fn picture(page: Page, Path((id, image)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    Ok(jpeg(page.state.bureau()?.trial_image(who(&page), id, image).await?))
}

// ---- One that is before the examiners -------------------------------------------------------------

fn in_words(t: &TrialView) -> &'static str {
    match t.step {
        "stopped" => "Stopped",
        "concluded" => "Concluded",
        _ => "Being compared",
    }
}

async fn trial(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let trial = bureau.trial(who(&page), id).await?;
    let goes: Vec<Value> = trial.goes.iter().map(|(class, on)| context! { class, on => on.to_string() }).collect();
    page.view("team/trial.html", "Known-answer trial")
        .back(LIST)
        .with(context! { t => show(&trial), words => in_words(&trial), goes, days => bureau.policy().trial_close_after_days })
        .draw()
        .await
}

async fn ask_stop(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let version = page.state.bureau()?.trial(who(&page), id).await?.version;
    draw_stop(&page, id, version, Value::UNDEFINED, vec![]).await
}

async fn draw_stop(page: &Page, id: RequestId, version: u64, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let back = format!("{LIST}/{id}");
    page.view("intake/words.html", "Stop this trial?")
        .back(back.clone())
        .with(context! {
            label => "Why is it stopped?", button => "Stop the trial", warning => true, cancel => back, version, values,
            consequences => ["The examiners are not asked about it any more.", "It counts for nothing, whatever they have said so far."],
            clause_ids => ["P1"],
        })
        .errors(errors)
        .draw()
        .await
}

async fn stop(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let command = Command::StopTrial { reason: posted.text("words").unwrap_or_default().into() };
    match page.state.bureau()?.act_and_work(who(&page), id, command, None, once(&posted)?).await {
        Ok(_) => page.done("The trial is stopped and counts for nothing.", LIST).await,
        Err(e) => {
            let lines = refused(e)?.into_iter().map(|r| RefusalLine { field: Some("words".into()), ..r.into() }).collect();
            draw_stop(&page, id, posted.version()?, posted.values(), lines).await
        }
    }
}

// ---- What came of them ----------------------------------------------------------------------------

/// A number of errors in words that promise no more than it shows.
fn share(s: &Share) -> Value {
    let of = |x| percent(x).replace(" %", "\u{a0}%");
    #[allow(clippy::cast_precision_loss)] // pairs are counted in hundreds
    let rate = (s.of >= RATE_PAIRS_MIN && s.errors > 0).then(|| of(s.errors as f64 / s.of as f64));
    context! {
        errors => s.errors, of => s.of, low => of(s.low), high => of(s.high),
        three => s.rule_of_three.filter(|_| s.of > 0).map(of),
        rate,
    }
}

fn wrong(w: &Wrong) -> Value {
    context! { false_confirms => share(&w.false_confirms), misses => share(&w.misses), cannot_say => w.cannot_say }
}

async fn results(page: &Page, title: &str, back: &'static str, with_agreement: bool) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let told = bureau.trial_results(who(page)).await?;
    let row = |r: &bureau::trial::ExaminerResult| {
        context! { name => r.name.as_str(), trials => r.trials, wrong => wrong(&r.wrong), reads_requests => r.reads_requests }
    };
    let agreement = if with_agreement { Some(bureau.agreement(who(page)).await?) } else { None };
    page.view("team/examiners.html", title)
        .back(back)
        .with(context! {
            trials => told.trials, own => told.own.as_ref().filter(|_| !with_agreement && told.gallery.is_none()).map(row),
            team => told.team.iter().map(row).collect::<Vec<_>>(), leads => with_agreement,
            gallery => told.gallery.as_ref().map(|(all, procedure)| context! { all => wrong(all), procedure => wrong(procedure) }),
            agreement => agreement.map(|a| show(&a)), requests_max => AGREEMENT_REQUESTS_MAX, pairs_min => RATE_PAIRS_MIN,
        })
        .draw()
        .await
}

async fn team_results(page: Page) -> Result<Response, PageError> {
    results(&page, "Differences between examiners", "/assess/team", true).await
}

async fn own_results(page: Page) -> Result<Response, PageError> {
    // Only one's own here, whatever other office one holds.
    let bureau = page.state.bureau()?;
    let told = bureau.own_trial_result(who(&page)).await?;
    let own = context! { name => told.name.as_str(), trials => told.trials, wrong => wrong(&told.wrong), reads_requests => false };
    page.view("team/examiners.html", "Your results in known-answer trials")
        .back("/review")
        .with(context! { trials => told.trials, own, pairs_min => RATE_PAIRS_MIN, days => bureau.policy().trial_close_after_days })
        .draw()
        .await
}

async fn gallery_results(page: Page) -> Result<Response, PageError> {
    results(&page, "Known-answer trials", "/report", false).await
}

//! A draft: the task list, its sections, checking, sending, discarding.

use super::{answered, at, house, once, sections, who};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    pages::Routes,
    render::show,
    session::NoticeKind,
};
use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bureau::{BureauError, intake::DraftView};
use casework::{
    form::{Form, Nationality, SECTIONS},
    ids::RequestId,
};
use minijinja::{Value, context};

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/intake/drafts/{id}", get(tasks))
            .route("/intake/drafts/{id}/check", get(check))
            .route("/intake/drafts/{id}/send", post(send))
            .route("/intake/drafts/{id}/discard", get(ask_discard).post(discard))
            .route("/intake/drafts/{id}/{section}", get(section).post(save)),
    )
}

/// One's own draft. One that was sent meanwhile leads to its request instead.
pub(super) async fn open(page: &Page, id: RequestId) -> Result<Result<DraftView, Response>, PageError> {
    let (bureau, me) = (house(page)?, who(page));
    match bureau.draft(me, id).await {
        Ok(draft) => Ok(Ok(draft)),
        Err(e) => match bureau.request(me, id).await {
            Ok(_) => {
                page.tell(NoticeKind::Information, "This form was already sent. Here is how the request stands.").await?;
                Ok(Err(Redirect::to(&at(id)).into_response()))
            }
            Err(_) => Err(e.into()),
        },
    }
}

pub(super) fn path(id: RequestId) -> String {
    format!("/intake/drafts/{id}")
}

fn lines(draft: &DraftView, section: u8) -> Vec<RefusalLine> {
    sections::missing_in(section, &draft.missing).into_iter().cloned().map(Into::into).collect()
}

async fn tasks(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let draft = match open(&page, id).await? {
        Ok(draft) => draft,
        Err(instead) => return Ok(instead),
    };
    let gate = sections::gate(&draft.missing);
    let tasks: Vec<Value> = (1..=sections::COUNT)
        .map(|n| {
            let state = sections::state(n, &draft.form, &draft.complete, gate.is_some());
            let left = sections::missing_in(n, &draft.missing).len();
            context! { number => n, title => SECTIONS[usize::from(n) - 1], state, left }
        })
        .collect();
    let done = (1..=sections::COUNT).filter(|n| sections::state(*n, &draft.form, &draft.complete, gate.is_some()) == "Completed").count();
    page.view("intake/tasks.html", "Facial image search request")
        .back("/intake")
        .with(context! {
            id => id.to_string(), version => draft.version, tasks, done, ready => draft.missing.is_empty(),
            investigation => draft.form.investigation.as_str(), changed_at => draft.changed_at.to_string(), goes => casework::calendar::date_in_words(draft.goes),
            returned => draft.returned.as_deref(), replaces => draft.replaces.map(|r| context! { id => r.to_string(), reference => r.reference() }),
            gate => gate.map(|g| g.words.as_str()),
            unsure => draft.form.nationality == Some(Nationality::Unsure),
        })
        .draw()
        .await
}

/// The pages of the sections, in the order of the template.
const TEMPLATES: [&str; 9] = [
    "intake/section-1.html",
    "intake/section-2.html",
    "intake/section-3.html",
    "intake/section-4.html",
    "intake/section-5.html",
    "intake/section-6.html",
    "intake/section-7.html",
    "intake/section-8.html",
    "intake/section-9.html",
];

/// What a section's page shows besides the draft itself.
#[derive(Default)]
pub(super) struct Shown {
    /// Instead of the draft's form: what was typed and is not saved.
    pub(super) typed: Option<Form>,
    /// What is wrong.
    pub(super) errors: Vec<RefusalLine>,
    /// The page was drawn from an older version.
    pub(super) stale: bool,
}

/// Draws a section's page.
pub(super) async fn draw(page: &Page, n: u8, draft: &DraftView, shown: Shown) -> Result<Response, PageError> {
    let Some((template, title)) = usize::from(n).checked_sub(1).and_then(|i| Some((TEMPLATES.get(i)?, SECTIONS.get(i)?))) else {
        return Err(PageError::NotFound);
    };
    let (id, policy) = (draft.id, house(page)?.policy());
    if let Some(gate) = sections::gate(&draft.missing).filter(|_| n > 2 && shown.typed.is_none()) {
        return page
            .view("intake/shut.html", "You cannot start this section yet")
            .back(path(id))
            .with(context! { id => id.to_string(), number => n, title => *title, gate => gate.words.as_str() })
            .draw()
            .await;
    }
    let form = shown.typed.as_ref().unwrap_or(&draft.form);
    let touched = sections::touched(n, form);
    let wanting = if touched && shown.errors.is_empty() { lines(draft, n) } else { vec![] };
    let owner = |nationality: Nationality| nationality.galleries().iter().map(|g| policy.gallery(*g).owner.clone()).collect::<Vec<_>>();
    let view = page
        .view(template, *title)
        .back(path(id))
        .with(context! {
            id => id.to_string(), number => n, version => draft.version, values => sections::values(form),
            wanting => show(&wanting), crime => show(&sections::crime(form)), declarations => sections::declarations(form),
            purposes_asked => !form.purposes.is_empty(), mode => form.mode.map(|m| m.to_string()),
            owners => context! { british => owner(Nationality::British), foreign => owner(Nationality::Foreign) },
            days => policy.answer_within_working_days, urgent_days => policy.urgent_within_working_days,
            rank => policy.approving_rank.label(), me => page.person.name.as_str(),
            images => show(&sections::images(form, &format!("{}/images", path(id)))),
            images_max => casework::limits::IMAGES_PER_REQUEST_MAX,
            saved => shown.stale.then(|| show(&sections::rows(n, &draft.form, policy))),
        })
        .errors(shown.errors);
    let view = if shown.stale { view.status(StatusCode::CONFLICT) } else { view };
    view.draw().await
}

async fn section(page: Page, Path((id, n)): Path<(RequestId, u8)>) -> Result<Response, PageError> {
    match open(&page, id).await? {
        Ok(draft) => draw(&page, n, &draft, Shown::default()).await,
        Err(instead) => Ok(instead),
    }
}

async fn save(page: Page, Path((id, n)): Path<(RequestId, u8)>, posted: Posted) -> Result<Response, PageError> {
    if !(1..=sections::COUNT).contains(&n) || n == sections::IMAGES {
        return Err(PageError::NotFound);
    }
    let (bureau, me) = (house(&page)?, who(&page));
    let draft = match open(&page, id).await? {
        Ok(draft) => draft,
        Err(instead) => return Ok(instead),
    };
    let mut form = draft.form.clone();
    sections::read(n, &posted, &mut form);
    match bureau.save_draft(me, id, posted.version()?, form.clone()).await {
        Ok(_) => {}
        Err(BureauError::Overtaken) => return overtaken(&page, n, &draft, form).await,
        Err(e) => return Err(e.into()),
    }
    let saved = bureau.draft(me, id).await?;
    let left = sections::missing_in(n, &saved.missing).len();
    let mut words = match left {
        0 => format!("Section {n} is saved and complete."),
        1 => format!("Section {n} is saved. One thing is still needed."),
        left => format!("Section {n} is saved. {left} things are still needed."),
    };
    if let Some(says) = (n == 4).then(|| sections::crime(&saved.form).sentence()).flatten() {
        words = format!("{words} {says}");
    }
    let shut = sections::gate(&saved.missing).is_some();
    let then = match posted.text("then") {
        Some("stay") => format!("{}/{n}", path(id)),
        Some("next") if n < sections::COUNT && !(shut && n >= 2) => format!("{}/{}", path(id), n + 1),
        Some("next") if n == sections::COUNT && !shut => format!("{}/check", path(id)),
        _ => path(id),
    };
    page.done(words, &then).await
}

/// Another tab saved first: what was typed here is shown, and not yet saved.
async fn overtaken(page: &Page, n: u8, draft: &DraftView, typed: Form) -> Result<Response, PageError> {
    let line = RefusalLine {
        words: "This form was changed in another tab since you opened this page. What you typed is below and is not saved yet. \
                Compare it with what is saved, then save again."
            .into(),
        ..RefusalLine::default()
    };
    draw(page, n, draft, Shown { typed: Some(typed), errors: vec![line], stale: true }).await
}

async fn check(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    match open(&page, id).await? {
        Ok(draft) => draw_check(&page, &draft, vec![]).await,
        Err(instead) => Ok(instead),
    }
}

async fn draw_check(page: &Page, draft: &DraftView, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let (id, policy) = (draft.id, house(page)?.policy());
    let wanting: Vec<Value> = draft
        .missing
        .iter()
        .map(|r| {
            let field = r.field.map(|f| f.to_string()).unwrap_or_default();
            let section = r.field.map_or(1, casework::form::Field::section);
            context! {
                words => r.words.as_str(), section, title => SECTIONS[usize::from(section) - 1],
                href => format!("{}/{section}#{field}", path(id)), clauses => show(&RefusalLine::from(r.clone()).clauses),
            }
        })
        .collect();
    // On this page a refusal leads to the section that answers it.
    page.view("intake/check.html", "Check your answers")
        .back(path(id))
        .with(context! {
            id => id.to_string(), version => draft.version, sections => sections::whole(&draft.form, policy), wanting,
            images => show(&sections::images(&draft.form, &format!("{}/images", path(id)))),
            crime => show(&sections::crime(&draft.form)), unsure => draft.form.nationality == Some(Nationality::Unsure),
            returned => draft.returned.as_deref(),
            rank => policy.approving_rank.label(),
        })
        .errors(errors.into_iter().map(|l| RefusalLine { field: Some("sections".into()), ..l }))
        .draw()
        .await
}

async fn send(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let (bureau, me) = (house(&page)?, who(&page));
    match bureau.send(me, id, posted.version()?, once(&posted)?).await {
        Ok(_) => Ok(Redirect::to(&format!("{}/sent", at(id))).into_response()),
        result => {
            let draft = match open(&page, id).await? {
                Ok(draft) => draft,
                Err(instead) => return Ok(instead),
            };
            match answered(result)? {
                Ok(_) => Err(PageError::internal("sent twice over")),
                Err(lines) => draw_check(&page, &draft, lines).await,
            }
        }
    }
}

async fn ask_discard(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let draft = match open(&page, id).await? {
        Ok(draft) => draft,
        Err(instead) => return Ok(instead),
    };
    page.view("intake/confirm.html", "Discard this draft?")
        .back(path(id))
        .with(context! {
            version => draft.version, cancel => path(id), button => "Discard the draft",
            consequences => if draft.returned.is_some() {
                ["The changes that you made since it was returned are thrown away.", "The returned request stays, and you can open it for changes again."]
            } else {
                ["Every answer and every image on it is destroyed.", "This cannot be undone."]
            },
        })
        .draw()
        .await
}

async fn discard(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let draft = match open(&page, id).await? {
        Ok(draft) => draft,
        Err(instead) => return Ok(instead),
    };
    if draft.version != posted.version()? {
        return Err(PageError::Stale);
    }
    house(&page)?.discard_draft(who(&page), id).await?;
    page.done("The draft was discarded.", "/intake").await
}

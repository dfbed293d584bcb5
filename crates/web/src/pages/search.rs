//! search: the tab Candidates. Leave is used here, once, for exactly what was assessed (M1); what the
//! search found is told without scores, and who matched only when people have concluded (M3, P2).

use super::{
    Routes,
    assess::{lines, once, open::Case, refused, said, who},
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
use bureau::{assess::List, views::RequestView};
use casework::{
    access::Action,
    command::Command,
    ids::{ProbeId, RequestId},
    record::GalleryId,
    refusal::Refusal,
    request::State,
};
use minijinja::context;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/search", get(list))
            .route("/search/{id}", get(candidates))
            .route("/search/{id}/start/{probe}", get(ask).post(start)),
    )
}

/// What the viewer holds that waits for a search, or for the people who compare.
async fn list(page: Page) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let searching = bureau.list(who(&page), List::Mine, Some(State::Searching), 1).await?;
    let comparing = bureau.list(who(&page), List::Mine, Some(State::Comparing), 1).await?;
    let part = |title: &str, empty: &str, l: &bureau::assess::Lines| context! { title, empty, lines => show(&l.lines), total => l.total };
    let parts = vec![
        part("To be searched", "You hold nothing that may be searched now.", &searching),
        part("Being compared by examiners", "You hold nothing that is being compared.", &comparing),
    ];
    page.view("search/list.html", "Search").with(context! { parts, href => "/search/" }).draw().await
}

async fn candidates(page: Page, Case(view): Case) -> Result<Response, PageError> {
    let under_way = view.probes.iter().any(|p| p.state == "started");
    let against = if under_way { refused_by_now(&page, view.line.gallery).await? } else { vec![] };
    page.view("search/candidates.html", "Candidates")
        .back("/assess")
        .with(context! {
            under_way, against => super::accuracy::reasons(&against), may => view.line.mine && view.may.contains(&Action::StartSearch), sees => view.may.contains(&Action::SeeCandidates) && view.line.mine,
            ..said::case(&view, "candidates")
        })
        .draw()
        .await
}

/// Why a search that was started is refused by now: what everybody may read of the gallery (P1). Where the gallery is not
/// open, whoever has it judges.
async fn refused_by_now(page: &Page, gallery: GalleryId) -> Result<Vec<Refusal>, PageError> {
    let all = page.state.bureau()?.accuracy().await?;
    Ok(all.into_iter().find(|a| a.gallery == gallery && a.references.is_some()).map(|a| a.against).unwrap_or_default())
}

async fn ask(page: Page, Case(view): Case, Path((_, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    draw(&page, &view, probe, vec![]).await
}

/// Exactly what will be searched.
async fn draw(page: &Page, view: &RequestView, probe: ProbeId, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let id = view.line.id;
    let p = view.probes.iter().find(|p| p.id == probe).ok_or(PageError::NotFound)?;
    if p.state != "authorised" && errors.is_empty() {
        return Ok(Redirect::to(&format!("/search/{id}")).into_response());
    }
    let bureau = page.state.bureau()?;
    let model = bureau.engine()?.model();
    let accuracy = bureau.accuracy().await?.iter().find(|a| a.gallery == view.line.gallery).map(super::accuracy::in_words);
    page.view("search/start.html", "Search now?")
        .back(format!("/search/{id}"))
        .with(context! {
            id => id.to_string(), version => view.version, reference_text => view.line.reference.clone(), probe => show(p),
            picture => show(&said::pictures(view).into_iter().nth(p.number - 1)), gallery => view.gallery_name.clone(), owner => view.owner.clone(),
            size => bureau.gallery_size(view.line.gallery), engine => format!("{}, model {}", model.name, model.id), accuracy,
            list_max => casework::limits::CANDIDATES_MAX, may => view.may.contains(&Action::StartSearch),
        })
        .errors(errors)
        .draw()
        .await
}

async fn start(page: Page, Case(view): Case, Path((id, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    let command = Command::StartSearch { probe };
    match page.state.bureau()?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) => page.done("The search was started.", &format!("/search/{id}")).await,
        Err(e) => draw(&page, &view, probe, lines(refused(e)?, |_| None)).await,
    }
}

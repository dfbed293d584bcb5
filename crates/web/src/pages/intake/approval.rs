//! The approver: the whole request on one page, then approve it or return it (S9).

use super::{Words, answered, at, house, once, sections, who};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    pages::Routes,
    render::show,
};
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bureau::views::RequestView;
use casework::{access::Action, command::Command, ids::RequestId, request::State};
use minijinja::{Value, context};

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/intake/approval/{id}", get(whole))
            .route("/intake/approval/{id}/approve", get(ask_approve).post(approve))
            .route("/intake/approval/{id}/return", get(ask_return).post(give_back)),
    )
}

fn path(id: RequestId) -> String {
    format!("/intake/approval/{id}")
}

/// The request, what stands in the way of this person's approval, and on what it would rest.
async fn open(page: &Page, id: RequestId) -> Result<(RequestView, Vec<RefusalLine>, String), PageError> {
    let (bureau, me) = (house(page)?, who(page));
    let request = bureau.request(me, id).await?;
    let against = bureau.obstacles(me, id, &Command::Approve).await?.into_iter().map(Into::into).collect();
    let (_, actor) = bureau.actor(me).await?;
    let rank = actor.rank.map_or("no recorded rank", |r| r.label());
    let standing = if actor.may_approve_by_delegation { format!("{rank}, with a recorded delegation to approve") } else { rank.to_owned() };
    Ok((request, against, standing))
}

async fn whole(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    draw(&page, id, vec![]).await
}

async fn draw(page: &Page, id: RequestId, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let (request, against, standing) = open(page, id).await?;
    let policy = house(page)?.policy();
    let images = request.form.as_ref().map(|f| sections::images(f, &format!("{}/images", at(id)))).unwrap_or_default();
    page.view("intake/approval.html", "A request to approve")
        .back("/intake")
        .with(context! {
            id => id.to_string(), version => request.version, r => show(&request), standing, against => show(&against),
            waiting => request.line.state == State::AwaitingApproval,
            can_return => request.may.contains(&Action::Return), can_approve => against.is_empty(),
            sections => request.form.as_ref().map(|f| sections::whole(f, policy)),
            crime => request.form.as_ref().map(|f| show(&sections::crime(f))), images => show(&images),
            rank => policy.approving_rank.label(),
        })
        .errors(errors)
        .draw()
        .await
}

async fn ask_approve(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let (request, against, standing) = open(&page, id).await?;
    if !against.is_empty() {
        return Ok(Redirect::to(&path(id)).into_response());
    }
    page.view("intake/confirm.html", "Approve this request?")
        .back(path(id))
        .with(context! {
            version => request.version, cancel => path(id), button => "Approve and submit", plain => true,
            caption => request.line.reference.as_str(), clause_ids => ["S9"],
            consequences => [
                format!("You approve it as {}, {standing}.", page.person.name),
                "You confirm that it follows your force’s own searching policy and that this is the right level for it.".into(),
                format!("It goes to {} at once. You can no longer return it.", request.owner),
            ],
        })
        .draw()
        .await
}

async fn approve(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let done = house(&page)?.act_and_work(who(&page), id, Command::Approve, Some(posted.version()?), once(&posted)?).await;
    match answered(done)? {
        Ok(done) => {
            let words = match done.request.state {
                State::Rejected => "You approved it, but it is not complete any more and was rejected. The requester sees why.".to_owned(),
                _ => format!("You approved {}. It has been received.", id.reference()),
            };
            page.done(words, "/intake").await
        }
        Err(lines) => draw(&page, id, lines).await,
    }
}

async fn ask_return(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    draw_return(&page, id, Value::UNDEFINED, vec![]).await
}

async fn draw_return(page: &Page, id: RequestId, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let request = house(page)?.request(who(page), id).await?;
    let words = Words {
        title: "Return this request",
        label: "Why are you returning it?",
        consequences: vec!["The requester reads your reasons, changes the form and can send it again.".into()],
        clauses: &["S9"],
        button: "Return it",
        warning: false,
        back: path(id),
        version: request.version,
        quote: None,
        first: None,
    };
    words.draw(page, values, errors).await
}

async fn give_back(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let command = Command::Return { reasons: posted.text("words").unwrap_or_default().into() };
    let done = house(&page)?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await;
    match answered(done)? {
        Ok(_) => page.done(format!("You returned {} to the requester.", id.reference()), "/intake").await,
        Err(lines) => draw_return(&page, id, posted.values(), lines).await,
    }
}

//! Signing in and out. The demo signs in whoever is chosen from a list, without a password: it starts
//! only on loopback names ([`crate::AppState::new`]) and answers only connections from this machine.

use super::Routes;
use crate::{
    AppState,
    desk::Person,
    envelope::Peer,
    errors::{PageError, RefusalLine},
    forms::Posted,
    kept, nav,
    page::{OpenPage, Page},
    render::show,
    session::{self, NoticeKind},
};
use axum::{
    Router,
    extract::{Extension, Query},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use minijinja::context;
use serde::Deserialize;
use uuid::Uuid;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new().route("/", get(home)).route("/sign-in", get(choose).post(enter)).route("/sign-out", post(leave)),
    )
}

/// The first page of somebody's work.
async fn home(page: Page) -> Redirect {
    Redirect::to(nav::first(&page.person.roles))
}

#[derive(Default, Deserialize)]
struct Arrival {
    /// Where to go afterwards: a path of ours.
    back: Option<String>,
    /// What arrived after the session had ended and was not read.
    unsent: Option<String>,
}

/// A path of this site, or nothing: `//elsewhere` and `/\elsewhere` would lead a browser away.
fn own_path(back: Option<&str>) -> Option<&str> {
    back.filter(|b| b.starts_with('/') && !b.starts_with("//") && !b.contains(['\\', '\r', '\n']))
}

fn demo_from_here(page: &OpenPage, peer: Option<&Peer>) -> Result<(), PageError> {
    // Another way to sign in (OIDC) gets a page of its own; without one there is nothing here.
    if !page.state.config().demo {
        return Err(PageError::NotFound);
    }
    if peer.is_none_or(|p| p.0.ip().is_loopback()) { Ok(()) } else { Err(PageError::Forbidden(vec![])) }
}

async fn choose(page: OpenPage, peer: Option<Extension<Peer>>, Query(arrival): Query<Arrival>) -> Result<Response, PageError> {
    demo_from_here(&page, peer.as_deref())?;
    list(page, own_path(arrival.back.as_deref()), arrival.unsent.is_some(), vec![]).await
}

async fn list(page: OpenPage, back: Option<&str>, unsent: bool, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let page = page.with_token().await?;
    let mut groups: Vec<(String, Vec<Person>)> = Vec::new();
    for person in page.state.desk().people().await? {
        match groups.iter_mut().find(|(name, _)| *name == person.organisation) {
            Some((_, people)) => people.push(person),
            None => groups.push((person.organisation.clone(), vec![person])),
        }
    }
    let groups: Vec<_> = groups.into_iter().map(|(name, people)| context! { name, people => show(&people) }).collect();
    let kept = kept::any(&page.session).await?;
    page.view("sign-in.html", "Sign in").with(context! { groups, kept, unsent, go_to => back }).errors(errors).draw().await
}

async fn enter(page: OpenPage, peer: Option<Extension<Peer>>, posted: Posted) -> Result<Response, PageError> {
    demo_from_here(&page, peer.as_deref())?;
    let person = match posted.text("person").and_then(|id| id.parse::<Uuid>().ok()) {
        Some(id) => page.state.desk().person(id).await?,
        None => None,
    };
    let Some(person) = person else {
        let line = RefusalLine::on("people", "Choose somebody from the list");
        return list(page, own_path(posted.text("back")), false, vec![line]).await;
    };
    session::sign_in(&page.session, person.id).await?;
    if kept::waits_for(&page.session, person.id).await?.is_some() {
        return Ok(Redirect::to("/kept").into_response());
    }
    Ok(Redirect::to(own_path(posted.text("back")).unwrap_or("/")).into_response())
}

async fn leave(page: OpenPage, _: Posted) -> Result<Response, PageError> {
    page.session.flush().await.map_err(|_| PageError::Unavailable)?;
    page.tell(NoticeKind::Success, "You have signed out.").await?;
    Ok(Redirect::to("/sign-in").into_response())
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn signing_in_never_leads_to_another_site() {
        assert_eq!(own_path(Some("/assess/1?tab=images")), Some("/assess/1?tab=images"));
        for away in ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "elsewhere", ""] {
            assert_eq!(own_path(Some(away)), None, "{away}");
        }
    }
}

//! A case: the tabs Request, Images and History, and the images themselves.

use super::{
    Routes,
    open::{Case, answered},
    said, who,
};
use crate::{AppState, errors::PageError, page::Page, render::show};
use axum::{
    Router,
    extract::{Path, Query},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use bureau::views::RequestView;
use casework::{
    access::Action,
    ids::{ProbeId, RequestId},
};
use minijinja::{Value, context};
use serde::Deserialize;

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/assess/{id}", get(request))
            .route("/assess/{id}/images", get(images))
            .route("/assess/{id}/images/{probe}", get(image))
            .route("/assess/{id}/history", get(history)),
    )
}

async fn request(page: Page, Case(view): Case) -> Result<Response, PageError> {
    let sections = view.form.as_ref().map(said::sections).unwrap_or_default();
    page.view("assess/request.html", "Request")
        .back("/assess")
        .with(context! {
            sections => show(&sections), actions => actions(&view),
            urgent_reason => view.form.as_ref().map(|f| f.urgent_reason.clone()),
            ..said::case(&view, "request")
        })
        .draw()
        .await
}

/// What the viewer may do with the case from its first page, as links.
fn actions(view: &RequestView) -> Vec<Value> {
    let id = view.line.id;
    let mine = view.line.mine;
    let ways: [(Action, bool, &str, String); 11] = [
        (Action::Assess, mine, "Assess it", format!("/assess/{id}/assessment")),
        (Action::AskClarification, mine, "Ask the force something", format!("/assess/{id}/clarify")),
        (Action::Reject, mine, "Reject it as incomplete", format!("/assess/{id}/reject")),
        (Action::PutBack, mine, "Put it back", format!("/assess/{id}/put-back")),
        (Action::FlagVulnerable, !view.line.sensitive, "Flag that the person may be vulnerable", format!("/assess/{id}/flag")),
        (Action::Admit, mine || view.may.contains(&Action::Allocate), "Let a named colleague in", format!("/assess/{id}/admit")),
        (
            Action::ReplaceExaminer,
            view.probes.iter().any(|p| p.state == "comparing"),
            "Replace an examiner",
            format!("/assess/{id}/replace"),
        ),
        (Action::Allocate, true, "Allocate it to somebody", format!("/assess/team/allocate?request={id}")),
        (Action::DecideReview, view.reviews.iter().any(|r| r.result.is_none()), "Decide the review", format!("/assess/{id}/review")),
        (Action::DecideOnward, view.onward.iter().any(|o| o.decision.is_none()), "Decide on passing it on", format!("/assess/{id}/onward")),
        (Action::DeclareConflict, true, "Declare a conflict of interest", format!("/assess/{id}/conflict")),
    ];
    let mut out: Vec<Value> = ways
        .into_iter()
        .filter(|(action, fits, ..)| *fits && view.may.contains(action))
        .map(|(_, _, text, href)| context! { text, href })
        .collect();
    if view.may.contains(&Action::PlaceHold) {
        let text = if view.hold.is_some() { "Review or lift the legal hold" } else { "Place a legal hold" };
        out.push(context! { text, href => format!("/retain/{id}/hold") });
    }
    if view.may.contains(&Action::Close) {
        out.push(context! { text => "Close it", href => format!("/assess/{id}/close") });
    }
    out
}

async fn images(page: Page, Case(view): Case) -> Result<Response, PageError> {
    page.view("assess/images.html", "Images")
        .back("/assess")
        .with(context! { pictures => show(&said::pictures(&view)), ..said::case(&view, "images") })
        .draw()
        .await
}

/// The whole rendering of an image; the look is recorded.
async fn image(page: Page, Path((id, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    answered(&page, id).await?;
    let bytes = page.state.bureau()?.probe_image(who(&page), id, probe).await?;
    Ok(jpeg(bytes))
}

/// An image as it is served: never kept by the browser (the pages' own headers say so).
pub(in crate::pages) fn jpeg(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}

/// Whether looks are shown among what happened.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    show: String,
}

async fn history(page: Page, Case(view): Case, Path(id): Path<RequestId>, Query(shown): Query<Shown>) -> Result<Response, PageError> {
    let mut lines = page.state.bureau()?.history(who(&page), id).await?;
    let looks = lines.iter().filter(|l| l.look).count();
    let changes = lines.len() - looks;
    lines.retain(|l| match shown.show.as_str() {
        "changes" => !l.look,
        "looks" => l.look,
        _ => true,
    });
    lines.reverse();
    let image_log = view.may.contains(&Action::SeeImageLog).then(|| format!("/report/requests/{id}/image-log"));
    page.view("assess/history.html", "History")
        .back("/assess")
        .with(context! { image_log, lines => show(&lines), looks, changes, shown => shown.show, ..said::case(&view, "history") })
        .draw()
        .await
}

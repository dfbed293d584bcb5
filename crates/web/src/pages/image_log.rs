//! report: how examiners looked at the pictures, for whoever oversees (D5, M2): the image-processing log of each opinion, and
//! each picture made again by it from the original.

use super::{Routes, register::closed};
use crate::{errors::PageError, page::Page};
use axum::{
    Router,
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use bureau::{BureauError, enhance::LoggedOpinion};
use casework::{
    ids::{PersonId, RequestId},
    image_log::Picture,
};
use minijinja::{Value, context};

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/report/requests/{id}/image-log", get(logs))
            .route("/report/requests/{id}/image-log/{place}/{picture}", get(again))
            .route("/report/requests/{id}/image-log/{place}/{picture}/picture.jpg", get(picture)),
    )
}

fn me(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

async fn logs(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let all = page.state.bureau()?.image_logs(me(&page), id).await.map_err(closed)?;
    let given: Vec<Value> = all.iter().map(|(place, log)| shown(id, *place, log)).collect();
    page.view("report/image-log.html", "How examiners looked at the pictures")
        .with(context! { reference => id.reference(), given })
        .draw()
        .await
}

fn shown(id: RequestId, place: u64, log: &LoggedOpinion) -> Value {
    let steps: Vec<String> = log.image_log.steps.0.iter().map(|s| s.words()).collect();
    let pictures: Vec<Value> = log
        .image_log
        .shown
        .iter()
        .map(|s| {
            let href = format!("/report/requests/{id}/image-log/{place}/{}", s.picture);
            context! { label => s.picture.label(), original => s.original.to_string(), shown => s.shown.to_string(), href }
        })
        .collect();
    context! { examiner => log.examiner.as_str(), at => log.at.to_string(), informed => log.informed, steps, pictures }
}

async fn again(page: Page, Path((id, place, picture)): Path<(RequestId, u64, Picture)>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let logs = format!("/report/requests/{id}/image-log");
    // The original may be gone by then, which is no fault.
    let same = match bureau.made_again(me(&page), id, place, picture).await {
        Ok(made) => Some(made.same),
        Err(BureauError::Gone) => None,
        Err(e) => return Err(closed(e)),
    };
    let sees = same.is_some() && bureau.sees_pictures_made_again(me(&page), id).await.map_err(closed)?;
    page.view("report/made-again.html", format!("{} as the examiner saw it", picture.label()))
        .back(logs.as_str())
        .with(context! { reference => id.reference(), same, picture => sees.then(|| format!("{logs}/{place}/{picture}/picture.jpg")) })
        .draw()
        .await
}

async fn picture(page: Page, Path((id, place, picture)): Path<(RequestId, u64, Picture)>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    if !bureau.sees_pictures_made_again(me(&page), id).await.map_err(closed)? {
        return Err(PageError::NotFound);
    }
    let made = bureau.made_again(me(&page), id, place, picture).await.map_err(closed)?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], made.jpeg).into_response())
}

//! Section 5: taking images in, saying at once how good they are, choosing the face.

use super::{about, answered, draft, house, jpeg, sections, who};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    pages::Routes,
    session::NoticeKind,
};
use axum::{
    Router,
    extract::Path,
    response::{Redirect, Response},
    routing::get,
};
use bureau::{BureauError, intake::DraftView};
use casework::ids::{ProbeId, RequestId};
use minijinja::context;

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/intake/drafts/{id}/images/{probe}", get(picture).post(describe))
            .route("/intake/drafts/{id}/images/{probe}/remove", get(ask_remove).post(remove)),
    )
    .with_uploads(Router::new().route("/intake/drafts/{id}/images", get(instead).post(add)))
}

fn section(id: RequestId) -> String {
    format!("{}/{}", draft::path(id), sections::IMAGES)
}

/// A reload of a page that answered an upload asks for this address.
async fn instead(Path(id): Path<RequestId>) -> Redirect {
    Redirect::to(&section(id))
}

async fn picture(page: Page, Path((id, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    Ok(jpeg(house(&page)?.draft_image(who(&page), id, probe).await?))
}

/// The draft's section 5 again, with what is wrong.
async fn again(page: &Page, id: RequestId, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    match draft::open(page, id).await? {
        Ok(draft) => {
            let shown = draft::Shown { errors: about("images", errors), ..draft::Shown::default() };
            draft::draw(page, sections::IMAGES, &draft, shown).await
        }
        Err(instead) => Ok(instead),
    }
}

async fn add(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let (bureau, me) = (house(&page)?, who(&page));
    if posted.files.is_empty() {
        return again(&page, id, vec![RefusalLine::on("images", "Choose an image to upload")]).await;
    }
    let (mut version, mut added, mut last, mut errors) = (posted.version()?, 0, None, vec![]);
    for file in &posted.files {
        let result = bureau.add_image(me, id, version, &file.bytes, Some(&file.file_name)).await;
        if matches!(result, Err(BureauError::Overtaken)) {
            let words = "The form was changed in another tab, so this image was not added. Choose it again.";
            errors.push(RefusalLine::on("images", words));
            break;
        }
        match answered(result)? {
            Ok((next, probe, notes)) => {
                (version, last) = (next, Some(probe));
                added += 1;
                for note in notes {
                    page.tell(NoticeKind::Information, note.words).await?;
                }
            }
            Err(lines) if posted.files.len() == 1 => errors.extend(lines),
            Err(lines) => errors.extend(lines.into_iter().map(|l| RefusalLine { words: format!("{}: {}", file.file_name, l.words), ..l })),
        }
    }
    if !errors.is_empty() {
        return again(&page, id, errors).await;
    }
    let fragment = last.map(|p| format!("#image-{p}")).unwrap_or_default();
    let words = if added == 1 { "The image was added.".to_owned() } else { format!("{added} images were added.") };
    page.done(words, &format!("{}{fragment}", section(id))).await
}

async fn describe(page: Page, Path((id, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    let face = posted.text("face").and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
    let source = posted.text("source").and_then(|s| s.parse().ok());
    let result = house(&page)?.describe_image(who(&page), id, posted.version()?, probe, face, source).await;
    if matches!(result, Err(BureauError::Overtaken)) {
        let words = "The form was changed in another tab since you opened this page, so nothing was saved. Look again and repeat it.";
        return again(&page, id, vec![RefusalLine::on("images", words)]).await;
    }
    match answered(result)? {
        Ok(_) => page.done("What you said about the image is saved.", &format!("{}#image-{probe}", section(id))).await,
        Err(lines) => again(&page, id, lines).await,
    }
}

fn number(draft: &DraftView, probe: ProbeId) -> Result<usize, PageError> {
    draft.form.images.iter().position(|i| i.probe == probe).map(|n| n + 1).ok_or(PageError::NotFound)
}

async fn ask_remove(page: Page, Path((id, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    let draft = match draft::open(&page, id).await? {
        Ok(draft) => draft,
        Err(instead) => return Ok(instead),
    };
    let number = number(&draft, probe)?;
    page.view("intake/confirm.html", format!("Remove image {number}?"))
        .back(section(id))
        .with(context! {
            version => draft.version, cancel => section(id), button => "Remove the image",
            consequences => ["The image is taken off the form and destroyed.", "You can upload it again."],
        })
        .draw()
        .await
}

async fn remove(page: Page, Path((id, probe)): Path<(RequestId, ProbeId)>, posted: Posted) -> Result<Response, PageError> {
    house(&page)?.remove_image(who(&page), id, posted.version()?, probe).await?;
    page.done("The image was removed.", &section(id)).await
}

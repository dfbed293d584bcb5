//! intake: drafts and their images, sending, the caller's requests, and the force's steps on them.

use super::{
    call::{Answer, Asked, At, Caller, FaceIndex, INTEGER_MAX, Picture, PictureBytes, Sent, Version, jpeg, step, step_bodies},
    form::{Draft, Form, Image},
    problem::{ApiError, RefusalJson},
    request::{HistoryLine, Line, RequestWhole},
    words::{List, Source, State},
};
use crate::AppState;
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bureau::assess::PAGES_MAX;
use casework::{
    command::Command,
    ids::{ProbeId, RequestId},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_drafts, new_draft))
        .routes(routes!(get_draft, save_draft, discard_draft))
        .routes(routes!(add_image))
        .routes(routes!(get_draft_image, describe_image, remove_image))
        .routes(routes!(send))
        .routes(routes!(list_requests))
        .routes(routes!(get_request))
        .routes(routes!(get_history))
        .routes(routes!(get_image))
        .routes(routes!(approve))
        .routes(routes!(return_to_requester))
        .routes(routes!(edit_returned))
        .routes(routes!(copy_rejected))
        .routes(routes!(withdraw))
        .routes(routes!(answer_clarification))
        .routes(routes!(flag_vulnerable))
}

/// A version and nothing else.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Versioned {
    pub(crate) version: Version,
}

/// A version, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WithReasons {
    pub(crate) version: Version,
    /// Why, for whoever reads it.
    pub(crate) reasons: String,
}

/// The answer to a clarification.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClarificationAnswer {
    version: Version,
    /// The answer.
    answer: String,
}

/// A few words.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InWords {
    /// The words.
    pub(crate) words: String,
}

step_bodies!(Versioned, WithReasons, ClarificationAnswer);

/// A draft to save: every answer is replaced by these; the images stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveDraft {
    version: Version,
    form: Form,
}

/// What was saved.
#[derive(Serialize, ToSchema)]
pub(crate) struct Saved {
    /// The draft's id.
    pub(crate) id: Uuid,
    /// Its new version.
    pub(crate) version: Version,
}

/// An image that was added, and what is worth knowing about it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Added {
    /// The draft's new version.
    version: Version,
    /// The image, with the faces found on it.
    image: Image,
    /// Notes; none of them is a refusal.
    notes: Vec<RefusalJson>,
}

/// What is said about an image. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DescribeImage {
    version: Version,
    /// The face to search with: an index into `faces`, from the left.
    #[serde(default)]
    #[schema(inline)]
    face: Option<FaceIndex>,
    /// Where it comes from (S10).
    #[serde(default)]
    source: Option<Source>,
}

/// The requests that a draft became.
#[derive(Serialize, ToSchema)]
pub(crate) struct SentAs {
    /// One id, or two where the force is unsure (S3), passport gallery first.
    requests: Vec<Uuid>,
}

/// A draft that was begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    /// Its id.
    id: Uuid,
}

/// The version, where there is no body to carry it.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AtVersion {
    /// The draft's version that this was decided on.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991i64)]
    version: u64,
}

impl AtVersion {
    pub(crate) fn checked(&self) -> Result<u64, ApiError> {
        if self.version > INTEGER_MAX { Err(ApiError::bad("`version` is too large.")) } else { Ok(self.version) }
    }
}

/// One's own drafts, newest first.
#[utoipa::path(get, path = "/drafts", tag = "intake", responses((status = 200, description = "The drafts", body = Vec<Draft>)))]
async fn list_drafts(who: Caller) -> Answer<Vec<Draft>> {
    Ok(Json(who.bureau.drafts(who.id).await?.into_iter().map(Into::into).collect()))
}

/// Begins an empty form. One that was begun and not written in is given again.
#[utoipa::path(post, path = "/drafts", tag = "intake",
    responses((status = 201, description = "Begun", body = Draft, headers(("Location" = String, description = "Where it is")))))]
async fn new_draft(who: Caller) -> Result<Response, ApiError> {
    let id = who.bureau.new_draft(who.id).await?;
    let draft: Draft = who.bureau.draft(who.id, id).await?.into();
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/v1/drafts/{id}"))], Json(draft)).into_response())
}

/// One's own draft.
#[utoipa::path(get, path = "/drafts/{id}", tag = "intake", responses((status = 200, description = "The draft", body = Draft)))]
async fn get_draft(who: Caller, At(id): At<RequestId>) -> Answer<Draft> {
    Ok(Json(who.bureau.draft(who.id, id).await?.into()))
}

/// Saves the answers of a draft. Nothing has to be complete until it is sent.
#[utoipa::path(put, path = "/drafts/{id}", tag = "intake", request_body = SaveDraft,
    responses((status = 200, description = "Saved", body = Saved)))]
async fn save_draft(who: Caller, At(id): At<RequestId>, Sent(body): Sent<SaveDraft>) -> Answer<Saved> {
    let version = who.bureau.save_draft(who.id, id, body.version.number(), body.form.into()).await?;
    Ok(Json(Saved { id: id.0, version: Version::of(version) }))
}

/// Throws a draft away, with its images.
#[utoipa::path(delete, path = "/drafts/{id}", tag = "intake", responses((status = 204, description = "Gone")))]
async fn discard_draft(who: Caller, At(id): At<RequestId>) -> Result<StatusCode, ApiError> {
    who.bureau.discard_draft(who.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds an image, at most 32 MB. The answer says at once which faces were found and what is wrong, if anything.
#[utoipa::path(post, path = "/drafts/{id}/images", tag = "intake", params(AtVersion),
    request_body(description = "The image's bytes", content((PictureBytes = "image/jpeg"), (PictureBytes = "image/png"))),
    responses((status = 201, description = "Added", body = Added)))]
async fn add_image(
    who: Caller,
    At(id): At<RequestId>,
    Asked(at): Asked<AtVersion>,
    Picture(bytes): Picture,
) -> Result<(StatusCode, Json<Added>), ApiError> {
    let (version, probe, notes) = who.bureau.add_image(who.id, id, at.checked()?, &bytes, None).await?;
    let draft: Draft = who.bureau.draft(who.id, id).await?.into();
    // Taken away again in the same moment: then there is nothing to tell about it.
    let image = draft.images.into_iter().find(|i| i.probe == probe.0).ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(Added { version: Version::of(version), image, notes: notes.into_iter().map(Into::into).collect() })))
}

/// A draft's image, upright and without metadata.
#[utoipa::path(get, path = "/drafts/{id}/images/{probe}", tag = "intake",
    responses((status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes)))]
async fn get_draft_image(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>) -> Result<Response, ApiError> {
    Ok(jpeg(who.bureau.draft_image(who.id, id, probe).await?))
}

/// Chooses the face to search with, and says where the image comes from.
#[utoipa::path(patch, path = "/drafts/{id}/images/{probe}", tag = "intake", request_body = DescribeImage,
    responses((status = 200, description = "Saved", body = Saved)))]
async fn describe_image(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>, Sent(b): Sent<DescribeImage>) -> Answer<Saved> {
    let version = who
        .bureau
        .describe_image(who.id, id, b.version.number(), probe, b.face.and_then(|f| usize::try_from(f.0).ok()), b.source.map(Into::into))
        .await?;
    Ok(Json(Saved { id: id.0, version: Version::of(version) }))
}

/// Takes an image off a draft and destroys it.
#[utoipa::path(delete, path = "/drafts/{id}/images/{probe}", tag = "intake", params(AtVersion),
    responses((status = 200, description = "Gone", body = Saved)))]
async fn remove_image(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>, Asked(at): Asked<AtVersion>) -> Answer<Saved> {
    let version = who.bureau.remove_image(who.id, id, at.checked()?, probe).await?;
    Ok(Json(Saved { id: id.0, version: Version::of(version) }))
}

/// Sends a draft to an approver: one request, or the linked pair when the force is unsure (S3). An
/// incomplete form is refused with everything that is missing, and the draft stays.
#[utoipa::path(post, path = "/drafts/{id}/send", tag = "intake", request_body = Versioned,
    responses((status = 200, description = "Sent, or sent before with the same key", body = SentAs)))]
async fn send(who: Caller, At(id): At<RequestId>, Sent(body): Sent<Versioned>) -> Answer<SentAs> {
    let ids = who.bureau.send(who.id, id, body.version.number(), who.once()?).await?;
    Ok(Json(SentAs { requests: ids.into_iter().map(|i| i.0).collect() }))
}

/// Which requests.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Which list; `mine` where left out.
    #[serde(default)]
    #[param(inline)]
    list: Option<List>,
    /// Only requests in this state.
    #[serde(default)]
    #[param(inline)]
    state: Option<State>,
    /// The page, from 1.
    #[serde(default)]
    #[param(minimum = 1, maximum = 40)]
    page: Option<u32>,
}

/// A page of a list of requests, urgent first (S6).
#[derive(Serialize, ToSchema)]
pub(crate) struct Page {
    /// The lines.
    lines: Vec<Line>,
    /// How many there are in all.
    total: u64,
    /// This page, from 1.
    page: u32,
    /// Pages in all.
    pages: u32,
}

/// A list of requests that the caller may know of.
#[utoipa::path(get, path = "/requests", tag = "intake", params(ListQuery), responses((status = 200, description = "The page", body = Page)))]
async fn list_requests(who: Caller, Asked(q): Asked<ListQuery>) -> Answer<Page> {
    let page = q.page.unwrap_or(1);
    if !(1..=PAGES_MAX).contains(&page) {
        return Err(ApiError::bad(format!("`page` is 1 to {PAGES_MAX}.")));
    }
    let found = who.bureau.list(who.id, q.list.map(Into::into).unwrap_or_default(), q.state.map(Into::into), page).await?;
    Ok(Json(Page { lines: found.lines.into_iter().map(Into::into).collect(), total: found.total, page: found.page, pages: found.pages }))
}

/// A request, cut down to what the caller may know. The look is recorded.
#[utoipa::path(get, path = "/requests/{id}", tag = "intake", responses((status = 200, description = "The request", body = RequestWhole)))]
async fn get_request(who: Caller, At(id): At<RequestId>) -> Answer<RequestWhole> {
    Ok(Json(who.bureau.request(who.id, id).await?.into()))
}

/// What happened to a request and, for staff, who looked; oldest first. The look is recorded.
#[utoipa::path(get, path = "/requests/{id}/history", tag = "intake",
    responses((status = 200, description = "The history", body = Vec<HistoryLine>)))]
async fn get_history(who: Caller, At(id): At<RequestId>) -> Answer<Vec<HistoryLine>> {
    Ok(Json(who.bureau.history(who.id, id).await?.into_iter().map(Into::into).collect()))
}

/// An image of a request, whole, for people who may see it. The look is recorded.
#[utoipa::path(get, path = "/requests/{id}/images/{probe}", tag = "intake",
    responses((status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes)))]
async fn get_image(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>) -> Result<Response, ApiError> {
    Ok(jpeg(who.bureau.probe_image(who.id, id, probe).await?))
}

/// Opens a returned request as a draft again, under its own id.
#[utoipa::path(post, path = "/requests/{id}/edit", tag = "intake", responses((status = 200, description = "Its draft", body = Begun)))]
async fn edit_returned(who: Caller, At(id): At<RequestId>) -> Answer<Begun> {
    Ok(Json(Begun { id: who.bureau.edit_returned(who.id, id).await?.0 }))
}

/// Copies a rejected request's answers into a new draft (S1). Images and declarations are given afresh.
#[utoipa::path(post, path = "/requests/{id}/copy", tag = "intake", responses((status = 201, description = "The new draft", body = Begun)))]
async fn copy_rejected(who: Caller, At(id): At<RequestId>) -> Result<(StatusCode, Json<Begun>), ApiError> {
    Ok((StatusCode::CREATED, Json(Begun { id: who.bureau.copy_rejected(who.id, id).await?.0 })))
}

step!(
    /// Approves a colleague's request, which submits it (S9).
    approve "/requests/{id}/approve" in "intake" takes Versioned at RequestId => |_, _| Command::Approve
);
step!(
    /// Sends a request back to its requester, with reasons.
    return_to_requester "/requests/{id}/return" in "intake" takes WithReasons at RequestId => |_, b| Command::Return { reasons: b.reasons }
);
step!(
    /// Takes one's own request back.
    withdraw "/requests/{id}/withdraw" in "intake" takes WithReasons at RequestId => |_, b| Command::Withdraw { reason: b.reasons }
);
step!(
    /// Answers the assessor's question.
    answer_clarification "/requests/{id}/clarification/answer" in "intake" takes ClarificationAnswer at RequestId
        => |_, b| Command::AnswerClarification { answer: b.answer }
);

/// Says that the person may be vulnerable (V0): from then on only those who need to know can see the request.
#[utoipa::path(post, path = "/requests/{id}/vulnerable", tag = "intake", request_body = InWords,
    responses((status = 204, description = "Flagged")))]
async fn flag_vulnerable(who: Caller, At(id): At<RequestId>, Sent(body): Sent<InWords>) -> Result<StatusCode, ApiError> {
    who.quietly(id, Command::FlagVulnerable { words: body.words }).await?;
    Ok(StatusCode::NO_CONTENT)
}

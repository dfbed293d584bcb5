//! review: an examiner's own comparison, blind first, then informed (M2). Nothing answered here depends
//! on another examiner, and nothing tells how the rest of the request stands.

use super::{
    call::{Answer, At, Caller, PictureBytes, Sent, Version, jpeg},
    intake::InWords,
    problem::ApiError,
    words::{BioField, Components, Conclusion, Mode, Source},
};
use crate::AppState;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bureau::BureauError;
use casework::{
    clause::Clause,
    command::Command,
    ids::{CandidateId, ProbeId, RequestId},
    image_log::{ImageLog, Steps},
    review,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_comparisons))
        .routes(routes!(get_comparison, take_up_comparison))
        .routes(routes!(get_comparison_probe))
        .routes(routes!(conclude_empty))
        .routes(routes!(get_candidate_image))
        .routes(routes!(give_visual))
        .routes(routes!(get_informed, give_informed))
}

/// An image that the caller may compare, compares or has compared.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComparisonLine {
    /// The request.
    request: Uuid,
    /// Its short reference.
    reference: String,
    /// The image.
    probe: Uuid,
    /// 1 for the first image of the form.
    number: usize,
    /// `take-up`, `yours`, `done` or `conclude-empty`.
    step: String,
    /// Urgent (S6).
    urgent: bool,
    /// How long is left, in words.
    due_words: Option<String>,
}

/// A blind visual opinion, as its examiner gave it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnVisual {
    /// On the scale.
    conclusion: Conclusion,
    /// The checklist.
    components: Components,
    /// In the examiner's own words.
    words: String,
}

/// An informed conclusion, as its examiner gave it.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnInformed {
    /// Whether both images show one person.
    same_person: bool,
    /// Why.
    reasons: String,
}

/// One candidate on the caller's sheet.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnCandidate {
    /// Its opaque id.
    id: Uuid,
    /// The caller's own visual opinion, once given.
    visual: Option<OwnVisual>,
    /// The caller's own informed conclusion, once given.
    informed: Option<OwnInformed>,
}

/// The caller's own sheet: the same whatever another examiner did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sheet {
    /// The request.
    request: Uuid,
    /// Its short reference.
    reference: String,
    /// The image.
    probe: Uuid,
    /// The candidates asked of the caller, in an order of the caller's own.
    candidates: Vec<OwnCandidate>,
    /// The caller's own version: how many opinions the caller gave.
    version: Version,
    /// Whether every visual opinion is locked, so that the informed step is open.
    informed_open: bool,
    /// Whether the caller has nothing more to do here.
    finished: bool,
}

impl From<bureau::review::ComparisonView> for Sheet {
    fn from(v: bureau::review::ComparisonView) -> Self {
        let candidate = |c: review::BlindCandidate| OwnCandidate {
            id: c.id.0,
            visual: c.visual.map(|v| OwnVisual { conclusion: v.conclusion.into(), components: v.components.into(), words: v.words }),
            informed: c.informed.map(|i| OwnInformed { same_person: i.same_person, reasons: i.reasons }),
        };
        Self {
            request: v.request.0,
            reference: v.reference,
            probe: v.sheet.probe.0,
            candidates: v.sheet.candidates.into_iter().map(candidate).collect(),
            version: Version::of(v.sheet.version),
            informed_open: v.informed_open,
            finished: v.finished,
        }
    }
}

/// A blind visual opinion (M2).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Visual {
    /// The version of the caller's own sheet.
    version: Version,
    /// On the scale.
    conclusion: Conclusion,
    /// The checklist; a part that is left out was not compared.
    #[serde(default)]
    #[schema(required = false)]
    components: Components,
    /// In the examiner's own words.
    words: String,
    /// What was done to the pictures before it was given: steps joined by underscores, such as `pv200.500.400_pt20.-10_g1`. The
    /// service draws them and records what they came to; a step that it does not know is refused.
    #[serde(default)]
    #[schema(required = false)]
    image_log: String,
}

/// An informed conclusion (M2).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Informed {
    /// The version of the caller's own sheet.
    version: Version,
    /// Whether both images show one person.
    same_person: bool,
    /// Why, and what is confirmed or changed.
    reasons: String,
    /// What was done to the pictures before it was given, as in the visual opinion.
    #[serde(default)]
    #[schema(required = false)]
    image_log: String,
}

/// A value of a held biography.
#[derive(Serialize, ToSchema)]
pub(crate) struct BioValue {
    /// The field.
    pub(crate) field: BioField,
    /// Its name in words.
    pub(crate) label: String,
    /// What is held.
    pub(crate) value: String,
}

/// What an examiner reads in the informed step.
#[derive(Serialize, ToSchema)]
pub(crate) struct InformedReading {
    /// The caller's locked visual conclusion.
    visual: Conclusion,
    /// Unidentified or known person.
    mode: Option<Mode>,
    /// Where the image comes from.
    source: Option<Source>,
    /// What the force knows about the person.
    person: String,
    /// What happened.
    offence: String,
    /// The held biography.
    biography: Vec<BioValue>,
}

/// The images that the caller may compare, compares or has compared.
#[utoipa::path(get, path = "/comparisons", tag = "review",
    responses((status = 200, description = "The comparisons", body = Vec<ComparisonLine>)))]
async fn list_comparisons(who: Caller) -> Answer<Vec<ComparisonLine>> {
    let line = |c: bureau::review::ComparisonLine| ComparisonLine {
        request: c.request.0,
        reference: c.reference,
        probe: c.probe.0,
        number: c.number,
        step: c.step.into(),
        urgent: c.urgent,
        due_words: c.due_words,
    };
    Ok(Json(who.bureau.comparisons(who.id).await?.into_iter().map(line).collect()))
}

/// Takes up a comparison; answers with the caller's own sheet.
#[utoipa::path(post, path = "/comparisons/{id}/{probe}", tag = "review", responses((status = 200, description = "The sheet", body = Sheet)))]
async fn take_up_comparison(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>) -> Answer<Sheet> {
    who.bureau.take_up(who.id, id, probe).await?;
    sheet(&who, id, probe).await
}

/// The caller's own sheet.
#[utoipa::path(get, path = "/comparisons/{id}/{probe}", tag = "review", responses((status = 200, description = "The sheet", body = Sheet)))]
async fn get_comparison(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>) -> Answer<Sheet> {
    sheet(&who, id, probe).await
}

async fn sheet(who: &Caller, id: RequestId, probe: ProbeId) -> Answer<Sheet> {
    Ok(Json(who.bureau.comparison(who.id, id, probe).await?.into()))
}

/// The image as an examiner sees it: the chosen face, every bystander masked. The look is recorded.
#[utoipa::path(get, path = "/comparisons/{id}/{probe}/image", tag = "review",
    responses((status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes)))]
async fn get_comparison_probe(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>) -> Result<Response, ApiError> {
    Ok(jpeg(who.bureau.comparison_probe(who.id, id, probe).await?))
}

/// A candidate's held picture. The look is recorded.
#[utoipa::path(get, path = "/comparisons/{id}/{probe}/candidates/{candidate}/image", tag = "review",
    responses(
        (status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes),
        (status = 204, description = "A synthetic reference: there is no picture")))]
async fn get_candidate_image(who: Caller, At((id, probe, candidate)): At<(RequestId, ProbeId, CandidateId)>) -> Result<Response, ApiError> {
    let picture = who.bureau.comparison_candidate(who.id, id, probe, candidate).await?;
    Ok(picture.map_or_else(|| StatusCode::NO_CONTENT.into_response(), jpeg))
}

/// Gives a blind visual opinion on one candidate, which locks it.
#[utoipa::path(post, path = "/comparisons/{id}/{probe}/candidates/{candidate}/visual", tag = "review", request_body = Visual,
    responses((status = 200, description = "Given: the sheet", body = Sheet)))]
async fn give_visual(
    who: Caller,
    At((id, probe, candidate)): At<(RequestId, ProbeId, CandidateId)>,
    Sent(b): Sent<Visual>,
) -> Answer<Sheet> {
    let image_log = image_log(&who, (id, probe, candidate), b.image_log).await?;
    let opinion = review::Visual { conclusion: b.conclusion.into(), components: b.components.into(), words: b.words, image_log };
    who.quietly(id, Command::GiveVisual { probe, candidate, opinion, version: b.version.number() }).await?;
    sheet(&who, id, probe).await
}

/// The log that goes with an opinion.
async fn image_log(who: &Caller, (id, probe, candidate): (RequestId, ProbeId, CandidateId), text: String) -> Result<ImageLog, ApiError> {
    let steps = Steps::read(&text);
    if steps.code() != text {
        let words = "At image_log stands something that is no step of image processing, or too many of them.";
        return Err(BureauError::Refused(vec![casework::refusal::refuse(&[Clause::M2], words)]).into());
    }
    Ok(who.bureau.image_log(who.id, id, probe, candidate, steps).await?)
}

/// What is read in the informed step, once every visual opinion is locked. The look is recorded.
#[utoipa::path(get, path = "/comparisons/{id}/{probe}/candidates/{candidate}/informed", tag = "review",
    responses((status = 200, description = "The force's information and the held biography", body = InformedReading)))]
async fn get_informed(who: Caller, At((id, probe, candidate)): At<(RequestId, ProbeId, CandidateId)>) -> Answer<InformedReading> {
    let v = who.bureau.informed(who.id, id, probe, candidate).await?;
    let biography =
        v.biography.into_iter().map(|(field, label, value)| BioValue { field: field.into(), label: label.into(), value }).collect();
    Ok(Json(InformedReading {
        visual: v.visual.into(),
        mode: v.mode.map(Into::into),
        source: v.source.map(Into::into),
        person: v.person,
        offence: v.offence,
        biography,
    }))
}

/// Gives an informed conclusion on one candidate.
#[utoipa::path(post, path = "/comparisons/{id}/{probe}/candidates/{candidate}/informed", tag = "review", request_body = Informed,
    responses((status = 200, description = "Given: the sheet", body = Sheet)))]
async fn give_informed(
    who: Caller,
    At((id, probe, candidate)): At<(RequestId, ProbeId, CandidateId)>,
    Sent(b): Sent<Informed>,
) -> Answer<Sheet> {
    let image_log = image_log(&who, (id, probe, candidate), b.image_log).await?;
    let opinion = review::Informed { same_person: b.same_person, reasons: b.reasons, image_log };
    who.quietly(id, Command::GiveInformed { probe, candidate, opinion, version: b.version.number() }).await?;
    sheet(&who, id, probe).await
}

/// Concludes that an empty candidate list is no match (P2).
#[utoipa::path(post, path = "/comparisons/{id}/{probe}/conclude-empty", tag = "review", request_body = InWords,
    responses((status = 204, description = "Concluded")))]
async fn conclude_empty(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>, Sent(b): Sent<InWords>) -> Result<StatusCode, ApiError> {
    who.quietly(id, Command::ConcludeEmpty { probe, words: b.words }).await?;
    Ok(StatusCode::NO_CONTENT)
}

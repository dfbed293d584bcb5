//! respond: what is shared, the answer, its review, passing it on, and closing.

use super::{
    call::{Answer, At, Caller, PictureBytes, Version, jpeg, step, step_bodies},
    intake::{Versioned, WithReasons},
    problem::ApiError,
    request::Sharing,
    review::BioValue,
    words::{BioField, Outcome, ReviewResult},
};
use crate::AppState;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bureau::respond::Answer as Arrived;
use casework::{
    command::Command,
    ids::{CandidateId, PersonId, ProbeId, RequestId},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(matches))
        .routes(routes!(match_image))
        .routes(routes!(decide_sharing))
        .routes(routes!(preview))
        .routes(routes!(get_answer, answer))
        .routes(routes!(answer_image))
        .routes(routes!(ask_review))
        .routes(routes!(decide_review))
        .routes(routes!(ask_onward))
        .routes(routes!(decide_onward))
        .routes(routes!(close))
        .routes(routes!(place_hold))
        .routes(routes!(review_hold))
        .routes(routes!(lift_hold))
}

/// A field that could be shared of a match.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShareableField {
    /// The field.
    field: BioField,
    /// Its name in words.
    label: String,
    /// What is held.
    value: String,
    /// The clause that lets the gallery share it (O5, O6, O7).
    clause: String,
}

/// A match, and what could be shared of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Match {
    /// The candidate.
    candidate: Uuid,
    /// The fields that the gallery may share and that are held.
    fields: Vec<ShareableField>,
    /// Whether there is a picture.
    has_image: bool,
    /// What was decided.
    sharing: Option<Sharing>,
}

/// One person as disclosed.
#[derive(Serialize, ToSchema)]
pub(crate) struct SharedPerson {
    /// The candidate, to fetch the picture by.
    candidate: Uuid,
    /// Whether the picture is shared.
    image: bool,
    /// What is shared, in the gallery's order.
    fields: Vec<BioValue>,
}

/// The answer on one image.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProbeAnswer {
    /// The image.
    probe: Uuid,
    /// In one word.
    outcome: Outcome,
    /// What the force reads.
    words: String,
    /// The clauses it cites.
    clauses: Vec<String>,
    /// The people shared.
    shared: Vec<SharedPerson>,
}

/// What the force must do with the answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Condition {
    /// The clause.
    clause: String,
    /// In words.
    words: String,
}

/// Everything that leaves for one request.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnswerWhole {
    /// The request it answers.
    request: Uuid,
    /// The name of the person it goes to (V2).
    recipient: String,
    /// In one word.
    outcome: Outcome,
    /// On each image.
    probes: Vec<ProbeAnswer>,
    /// What the force must do with it.
    conditions: Vec<Condition>,
    /// Whether the request is handled sensitively now, whatever it was when the answer left (V0).
    sensitive: bool,
    /// What the force must do besides, as the request stands now (V3).
    besides: Vec<Condition>,
}

impl From<Arrived> for AnswerWhole {
    fn from(d: Arrived) -> Self {
        let condition = |(c, w): &(casework::clause::Clause, String)| Condition { clause: c.to_string(), words: w.clone() };
        let person = |s: &casework::disclosure::Shared| SharedPerson {
            candidate: s.candidate.0,
            image: s.image,
            fields: s.fields.iter().map(|(f, label, v)| BioValue { field: (*f).into(), label: label.clone(), value: v.clone() }).collect(),
        };
        Self {
            request: d.request().0,
            recipient: d.recipient().into(),
            outcome: d.outcome().into(),
            probes: d
                .probes()
                .iter()
                .map(|p| ProbeAnswer {
                    probe: p.probe.0,
                    outcome: p.outcome.into(),
                    words: p.words.clone(),
                    clauses: p.clauses.iter().map(ToString::to_string).collect(),
                    shared: p.shared.iter().map(person).collect(),
                })
                .collect(),
            conditions: d.conditions().iter().map(condition).collect(),
            sensitive: d.sensitive,
            besides: d.besides.iter().map(condition).collect(),
        }
    }
}

/// What is decided about one match (O10).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideSharing {
    version: Version,
    /// What is shared, or that it is withheld.
    sharing: Sharing,
}

/// The answer's addressing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendAnswer {
    version: Version,
    /// Whether it was confirmed that it goes to its requester and nobody else; asked when the request is sensitive (V2).
    recipient_confirmed: bool,
}

/// A leader's decision on a review.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideReview {
    version: Version,
    /// The result (W4).
    result: ReviewResult,
    /// The reasons that the requester will read (W5).
    reasons: String,
}

/// Asking to pass a sensitive answer on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskOnward {
    version: Version,
    /// To whom.
    to: String,
    /// Why.
    reasons: String,
}

/// Whether it may be passed on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideOnward {
    version: Version,
    /// Whether it may.
    allowed: bool,
    /// Why, or why not.
    reasons: String,
}

/// A legal hold: who answers for it, why, and when it is looked at again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldTerms {
    version: Version,
    /// A member of the gallery's staff.
    owner: Uuid,
    /// Why everything is kept.
    reason: String,
    /// The London date of its review, e.g. `2027-03-27`: after today, and not more than a year away.
    #[schema(value_type = String, format = Date)]
    review: Date,
}

step_bodies!(DecideSharing, SendAnswer, DecideReview, AskOnward, DecideOnward, HoldTerms);

/// The matches of a request that one holds, with what could be shared of each. The looks are recorded.
#[utoipa::path(get, path = "/requests/{id}/matches", tag = "respond", responses((status = 200, description = "The matches", body = Vec<Match>)))]
async fn matches(who: Caller, At(id): At<RequestId>) -> Answer<Vec<Match>> {
    let one = |m: bureau::respond::MatchView| Match {
        candidate: m.candidate.0,
        fields: m
            .fields
            .into_iter()
            .map(|(f, label, value, clause)| ShareableField { field: f.into(), label: label.into(), value, clause: clause.to_string() })
            .collect(),
        has_image: m.has_image,
        sharing: m.sharing.map(Into::into),
    };
    Ok(Json(who.bureau.matches(who.id, id).await?.into_iter().map(one).collect()))
}

/// A match's held picture, for the person who decides what is shared; once the answer has left, the picture
/// that left with it. The look is recorded.
#[utoipa::path(get, path = "/requests/{id}/matches/{candidate}/image", tag = "respond",
    responses(
        (status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes),
        (status = 204, description = "A synthetic reference: there is no picture")))]
async fn match_image(who: Caller, At((id, candidate)): At<(RequestId, CandidateId)>) -> Result<Response, ApiError> {
    let picture = who.bureau.match_image(who.id, id, candidate).await?;
    Ok(picture.map_or_else(|| StatusCode::NO_CONTENT.into_response(), jpeg))
}

step!(
    /// Decides what is shared of one match, or that it is withheld (O10).
    decide_sharing "/requests/{id}/probes/{probe}/sharing/{candidate}" in "respond" takes DecideSharing at (RequestId, ProbeId, CandidateId)
        => |(_, probe, candidate), b| Command::DecideSharing { probe, candidate, sharing: b.sharing.into() }
);

/// The answer exactly as it will arrive, for staff. The look is recorded.
#[utoipa::path(get, path = "/requests/{id}/preview", tag = "respond", responses((status = 200, description = "The answer", body = AnswerWhole)))]
async fn preview(who: Caller, At(id): At<RequestId>) -> Answer<AnswerWhole> {
    Ok(Json(who.bureau.preview(who.id, id).await?.into()))
}

step!(
    /// Makes up the answer and sends it to the person who asked (O1–O10, V2).
    answer "/requests/{id}/answer" in "respond" takes SendAnswer at RequestId
        => |_, b| Command::Answer { recipient_confirmed: b.recipient_confirmed }
);

/// Opens the answer, for its requester: the first time is recorded as collected, every time as a look.
#[utoipa::path(get, path = "/requests/{id}/answer", tag = "respond", responses((status = 200, description = "The answer", body = AnswerWhole)))]
async fn get_answer(who: Caller, At(id): At<RequestId>) -> Answer<AnswerWhole> {
    Ok(Json(who.bureau.answer(who.id, id).await?.into()))
}

/// A shared person's picture.
#[utoipa::path(get, path = "/requests/{id}/answer/images/{candidate}", tag = "respond",
    responses((status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes)))]
async fn answer_image(who: Caller, At((id, candidate)): At<(RequestId, CandidateId)>) -> Result<Response, ApiError> {
    Ok(jpeg(who.bureau.answer_image(who.id, id, candidate).await?))
}

step!(
    /// Asks for a review of a rejection or a decline (W2).
    ask_review "/requests/{id}/review" in "respond" takes WithReasons at RequestId => |_, b| Command::AskReview { reasons: b.reasons }
);
step!(
    /// Answers a review (W3–W5).
    decide_review "/requests/{id}/review/decide" in "respond" takes DecideReview at RequestId
        => |_, b| Command::DecideReview { result: b.result.into(), reasons: b.reasons }
);
step!(
    /// Asks to pass a sensitive answer on (V3).
    ask_onward "/requests/{id}/onward" in "respond" takes AskOnward at RequestId
        => |_, b| Command::AskOnward { to: b.to, reasons: b.reasons }
);
step!(
    /// Says whether a sensitive answer may be passed on (V3).
    decide_onward "/requests/{id}/onward/decide" in "respond" takes DecideOnward at RequestId
        => |_, b| Command::DecideOnward { allowed: b.allowed, reasons: b.reasons }
);
step!(
    /// Places a legal hold: nothing of the request is erased until it is lifted (D3).
    place_hold "/requests/{id}/hold" in "retain" takes HoldTerms at RequestId
        => |_, b| Command::PlaceHold { owner: PersonId(b.owner), reason: b.reason, review: b.review }
);
step!(
    /// Says anew why a legal hold goes on, in whose name, and until when (D3).
    review_hold "/requests/{id}/hold/review" in "retain" takes HoldTerms at RequestId
        => |_, b| Command::ReviewHold { owner: PersonId(b.owner), reason: b.reason, review: b.review }
);
step!(
    /// Lifts a legal hold: what is due goes at once (D3).
    lift_hold "/requests/{id}/hold/lift" in "retain" takes WithReasons at RequestId => |_, b| Command::LiftHold { reason: b.reasons }
);
step!(
    /// Closes a request (D3).
    close "/requests/{id}/close" in "respond" takes Versioned at RequestId => |_, _| Command::Close
);

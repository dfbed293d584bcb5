//! assess and search: who holds a request, the decision on each image, and the one search it allows.

use super::{
    call::{Answer, At, Caller, Sent, Version, step, step_bodies},
    intake::{InWords, Versioned},
    problem::ApiError,
    request::Assessment,
    words::Question,
};
use crate::AppState;
use axum::{Json, http::StatusCode};
use casework::{
    assess::Decision,
    command::Command,
    ids::{AuthorisationId, PersonId, ProbeId, RequestId},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(take))
        .routes(routes!(put_back))
        .routes(routes!(declare_conflict))
        .routes(routes!(allocate))
        .routes(routes!(admit))
        .routes(routes!(reject))
        .routes(routes!(ask_clarification))
        .routes(routes!(assess))
        .routes(routes!(search))
        .routes(routes!(colleagues))
}

/// Taking a request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Take {
    version: Version,
    /// The answer to the question whether one has no conflict of interest.
    no_conflict: bool,
}

/// Giving a request to somebody, or letting somebody in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToPerson {
    version: Version,
    /// Who.
    person: Uuid,
    /// Why.
    reason: String,
}

/// One question of the form that lacks an answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Missing {
    /// The question.
    question: Question,
    /// What is missing, as the force will read it.
    words: String,
}

/// A rejection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rejection {
    version: Version,
    /// Everything that is missing, at once (S1).
    missing: Vec<Missing>,
}

/// A question to the force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuestionToForce {
    version: Version,
    /// The question.
    question: String,
}

/// What the assessor decides on one image.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AssessmentDecision {
    Authorise,
    Decline,
}

/// The decision on one image, with the findings it rests on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assess {
    version: Version,
    /// The findings.
    assessment: Assessment,
    /// The decision.
    decision: AssessmentDecision,
    /// For a decline: what the force is told (O1).
    #[serde(default)]
    explanation: String,
}

step_bodies!(Take, ToPerson, Rejection, QuestionToForce, Assess);

step!(
    /// Takes a request from the queue (R1).
    take "/requests/{id}/take" in "assess" takes Take at RequestId => |_, b| Command::Take { no_conflict: b.no_conflict }
);
step!(
    /// Puts a request back in the queue.
    put_back "/requests/{id}/put-back" in "assess" takes Versioned at RequestId => |_, _| Command::PutBack
);
step!(
    /// Gives a request to a colleague of the team that one leads (R3).
    allocate "/requests/{id}/allocate" in "assess" takes ToPerson at RequestId
        => |_, b| Command::Allocate { to: PersonId(b.person), reason: b.reason }
);
step!(
    /// Lets a named person into a sensitive request (V1).
    admit "/requests/{id}/admit" in "assess" takes ToPerson at RequestId
        => |_, b| Command::Admit { person: PersonId(b.person), reason: b.reason }
);
step!(
    /// Rejects a request as off-template or incomplete, naming everything that is missing (S1).
    reject "/requests/{id}/reject" in "assess" takes Rejection at RequestId
        => |_, b| Command::Reject { missing: b.missing.into_iter().map(|m| (m.question.into(), m.words)).collect() }
);
step!(
    /// Asks the force something (A3).
    ask_clarification "/requests/{id}/clarification" in "assess" takes QuestionToForce at RequestId
        => |_, b| Command::AskClarification { question: b.question }
);
step!(
    /// Makes the one search that leave was given for (M1).
    search "/requests/{id}/probes/{probe}/search" in "search" takes Versioned at (RequestId, ProbeId)
        => |(_, probe), _| Command::StartSearch { probe }
);

/// Decides on one image: authorises its search or declines it, with a finding on each criterion (A1–A10).
#[utoipa::path(post, path = "/requests/{id}/probes/{probe}/assess", tag = "assess", request_body = Assess,
    responses((status = 200, description = "Done, or done before with the same key: how the request stands", body = super::call::Stepped)))]
async fn assess(who: Caller, At((id, probe)): At<(RequestId, ProbeId)>, Sent(b): Sent<Assess>) -> Answer<super::call::Stepped> {
    let decision = match b.decision {
        AssessmentDecision::Authorise => Decision::Authorise,
        AssessmentDecision::Decline => Decision::Decline { explanation: b.explanation },
    };
    let authorisation = who.bureau.id::<AuthorisationId>()?;
    who.step(id, b.version, Command::Assess { probe, assessment: Box::new(b.assessment.into()), decision, authorisation }).await
}

/// Says that one has a conflict of interest; one cannot see or touch the request from then on (R1).
#[utoipa::path(post, path = "/requests/{id}/conflict", tag = "assess", request_body = InWords,
    responses((status = 204, description = "Recorded")))]
async fn declare_conflict(who: Caller, At(id): At<RequestId>, Sent(body): Sent<InWords>) -> Result<StatusCode, ApiError> {
    who.quietly(id, Command::DeclareConflict { words: body.words }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A colleague, and how much they hold.
#[derive(Serialize, ToSchema)]
pub(crate) struct Colleague {
    /// Their id.
    person: Uuid,
    /// Their name.
    name: String,
    /// Their roles in words.
    roles: Vec<String>,
    /// Whether they are in the caller's team.
    same_team: bool,
    /// Whether they may hold requests.
    assessor: bool,
    /// Whether their training is in date (R1).
    trained: bool,
    /// Open requests they hold.
    holds: u64,
}

/// The colleagues of one's gallery who assess or examine: whom a request can be given to.
#[utoipa::path(get, path = "/colleagues", tag = "assess", responses((status = 200, description = "The colleagues", body = Vec<Colleague>)))]
async fn colleagues(who: Caller) -> Answer<Vec<Colleague>> {
    let load = who.bureau.team_load(who.id).await?;
    Ok(Json(
        load.into_iter()
            .map(|l| Colleague {
                person: l.person.0,
                name: l.name,
                roles: l.roles.into_iter().map(Into::into).collect(),
                same_team: l.same_team,
                assessor: l.assessor,
                trained: l.trained,
                holds: l.holds,
            })
            .collect(),
    ))
}

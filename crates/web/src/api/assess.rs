//! assess and search: who holds a request, the decision on each image, and the one search it allows.

use super::{
    call::{Answer, At, Caller, Sent, TaskNumber, Version, Whole, step, step_bodies},
    intake::{InWords, Versioned},
    problem::ApiError,
    request::{Assessment, Line},
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
        .routes(routes!(look_up))
        .routes(routes!(get_brief))
        .routes(routes!(take))
        .routes(routes!(put_back))
        .routes(routes!(declare_conflict))
        .routes(routes!(allocate))
        .routes(routes!(admit))
        .routes(routes!(reject))
        .routes(routes!(ask_clarification))
        .routes(routes!(assess))
        .routes(routes!(search))
        .routes(routes!(examiners_at_work))
        .routes(routes!(replace_examiner))
        .routes(routes!(failed_tasks))
        .routes(routes!(try_again))
        .routes(routes!(colleagues))
}

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookUp {
    /// Our reference, such as `FIS-0A1B-2C3D`, or the force's investigation reference.
    #[schema(min_length = 1)]
    reference: String,
}

/// Finds requests by a reference: only those that the caller may know of. The look-up is recorded. It is
/// sent as a body, so that a reference stands in no address and no log.
#[utoipa::path(post, path = "/look-up", tag = "assess", request_body = LookUp,
    responses((status = 200, description = "What was found", body = Vec<Line>)))]
async fn look_up(who: Caller, Sent(body): Sent<LookUp>) -> Answer<Vec<Line>> {
    if body.reference.trim().is_empty() {
        return Err(ApiError::bad("`reference` is empty."));
    }
    let found = who.bureau.look_up(who.id, &body.reference).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// What is shown of a request before its reader has said that they have no conflict of interest.
#[derive(Serialize, ToSchema)]
pub(crate) struct Brief {
    /// Its line.
    line: Line,
    /// Its version, to take it up with.
    version: Version,
    /// Whether it was allocated to the caller, to whom it is shut until they take it up or declare a
    /// conflict of interest (R1).
    undeclared: bool,
}

/// A request's line and version, without anything that the force says.
#[utoipa::path(get, path = "/requests/{id}/brief", tag = "assess",
    responses((status = 200, description = "The line", body = Brief)))]
async fn get_brief(who: Caller, At(id): At<RequestId>) -> Answer<Brief> {
    let brief = who.bureau.brief(who.id, id).await?;
    Ok(Json(Brief { line: brief.line.into(), version: Version::of(brief.version), undeclared: brief.undeclared }))
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
    /// Takes a request from the queue, or takes up one that was allocated to the caller (R1).
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

/// A task that failed for good.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedTask {
    /// Its number.
    task: TaskNumber,
    /// What was to be done: `search`, `expire`, `release`, `close` or `erase`.
    kind: String,
    /// Why it failed: `refused`, `overtaken`, `erased`, `engine`, `gallery` or `failed`.
    reason: String,
    /// The request.
    request: Uuid,
    /// Its short reference.
    reference: String,
    /// Whether the request still asks for it, so that it can be tried again.
    owed: bool,
}

/// The tasks that failed for good in the gallery of the team that one leads, oldest first.
#[utoipa::path(get, path = "/failed-tasks", tag = "assess", responses((status = 200, description = "The tasks", body = Vec<FailedTask>)))]
async fn failed_tasks(who: Caller) -> Answer<Vec<FailedTask>> {
    let one = |f: bureau::work::FailedJob| FailedTask {
        task: Whole(f.job),
        kind: f.kind,
        reason: f.reason,
        request: f.request.0,
        reference: f.reference,
        owed: f.owed,
    };
    Ok(Json(who.bureau.failed_jobs(who.id).await?.into_iter().map(one).collect()))
}

/// Which of the failed tasks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichTask {
    /// Its number.
    task: TaskNumber,
}

/// Lets a worker try again what failed for good (R3). A started search stays one use of its leave (M1).
#[utoipa::path(post, path = "/failed-tasks/try-again", tag = "assess", request_body = WhichTask,
    responses((status = 204, description = "It is being tried again")))]
async fn try_again(who: Caller, Sent(body): Sent<WhichTask>) -> Result<StatusCode, ApiError> {
    who.bureau.try_again(who.id, body.task.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An examiner who has yet to finish.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExaminerAtWork {
    /// Their id.
    person: Uuid,
    /// Their name.
    name: String,
    /// When they first took up a comparison of this request.
    #[schema(format = DateTime)]
    since: String,
}

/// The examiners of a request who have yet to finish, for the team leader (M2).
#[utoipa::path(get, path = "/requests/{id}/examiners", tag = "assess",
    responses((status = 200, description = "The examiners", body = Vec<ExaminerAtWork>)))]
async fn examiners_at_work(who: Caller, At(id): At<RequestId>) -> Answer<Vec<ExaminerAtWork>> {
    let one = |e: bureau::review::AtWork| ExaminerAtWork { person: e.person.0, name: e.name, since: e.since.to_string() };
    Ok(Json(who.bureau.examiners_at_work(who.id, id).await?.into_iter().map(one).collect()))
}

step!(
    /// Replaces an examiner who cannot finish: what they gave does not count (M2).
    replace_examiner "/requests/{id}/examiners/replace" in "assess" takes ToPerson at RequestId
        => |_, b| Command::ReplaceExaminer { examiner: PersonId(b.person), reason: b.reason }
);

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

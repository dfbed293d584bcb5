//! review: known-answer trials (P1, R1): a team leader prepares one and puts it before the examiners; what came
//! of them, for those who may know. What examiners work on is under `/comparisons`, where nothing tells a trial
//! from casework.

use super::{
    call::{Answer, Asked, At, Caller, Picture, PictureBytes, Sent, Version, Whole, jpeg},
    intake::{AtVersion, Saved, Versioned},
    problem::{ApiError, RefusalJson},
    words::{BioField, Mode, Source, shown},
};
use crate::AppState;
use axum::{Json, http::StatusCode, response::Response};
use bureau::trial;
use casework::{
    command::Command,
    disclosure::Biography,
    ids::{CandidateId, ProbeId, RequestId},
    trial::{Material, Words},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_trials, new_trial))
        .routes(routes!(get_trial_draft, save_trial, discard_trial))
        .routes(routes!(set_trial_probe))
        .routes(routes!(add_trial_candidate))
        .routes(routes!(describe_trial_candidate, remove_trial_candidate))
        .routes(routes!(seed_trial))
        .routes(routes!(get_trial))
        .routes(routes!(get_trial_picture))
        .routes(routes!(stop_trial))
        .routes(routes!(trial_results))
        .routes(routes!(own_trial_result))
        .routes(routes!(examiner_agreement))
}

/// One field of the record that examiners read of a candidate.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordField {
    /// The field.
    field: BioField,
    /// What it says.
    value: String,
}

/// A candidate of a trial in preparation.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialDraftCandidate {
    /// Its opaque id.
    id: Uuid,
    /// The picture, to fetch it by.
    picture: Uuid,
    /// The truth, once said.
    same_person: Option<bool>,
    /// The record that examiners read.
    record: Vec<RecordField>,
}

/// A trial in preparation.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialDraft {
    /// Its id, which the trial keeps.
    id: Uuid,
    /// Its version.
    version: Version,
    /// Where the pictures come from, and why they may be used for this.
    origin: String,
    /// Unidentified or known person.
    mode: Option<Mode>,
    /// Where the picture in the place of the request's image is said to come from.
    source: Option<Source>,
    /// What happened, invented.
    offence: String,
    /// What is known about the person, invented.
    person: String,
    /// Whether it looks urgent.
    urgent: bool,
    /// How many days ago it looks as if it had come in.
    came_in_days_ago: u8,
    /// The picture in the place of the request's image.
    picture: Option<Uuid>,
    /// The candidates.
    candidates: Vec<TrialDraftCandidate>,
    /// Everything that it still lacks.
    missing: Vec<RefusalJson>,
}

impl From<trial::TrialDraft> for TrialDraft {
    fn from(d: trial::TrialDraft) -> Self {
        let Material { words: w, probe, candidates } = d.material;
        let record = |b: Biography| b.0.into_iter().map(|(field, value)| RecordField { field: field.into(), value }).collect();
        let candidates = candidates.into_iter().map(|k| TrialDraftCandidate {
            id: k.candidate.0,
            picture: k.image.probe.0,
            same_person: k.same_person,
            record: record(k.biography),
        });
        Self {
            id: d.id.0,
            version: Version::of(d.version),
            origin: w.origin,
            mode: w.mode.map(Into::into),
            source: w.source.map(Into::into),
            offence: w.offence,
            person: w.person,
            urgent: w.urgent,
            came_in_days_ago: w.came_in_days_ago,
            picture: probe.map(|p| p.probe.0),
            candidates: candidates.collect(),
            missing: d.missing.into_iter().map(Into::into).collect(),
        }
    }
}

shown!(
    /// A candidate of a trial: the truth, and what people concluded once all have.
    TrialCandidate = trial::TrialCandidate {
        /// Its opaque id.
        id: Uuid,
        /// The picture, to fetch it by.
        picture: Uuid,
        /// The truth.
        same_person: bool,
        /// What people concluded; nothing before all have.
        matched: Option<bool>,
    }
);

/// A trial that is or was before the examiners.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trial {
    /// Its id.
    id: Uuid,
    /// The short reference that examiners see.
    reference: String,
    /// `comparing`, `concluded` or `stopped`.
    step: String,
    /// Why it was stopped.
    stopped: Option<String>,
    /// Where the pictures come from.
    origin: String,
    /// The candidates; none once its record was erased.
    candidates: Vec<TrialCandidate>,
}

impl From<trial::TrialView> for Trial {
    fn from(t: trial::TrialView) -> Self {
        Self {
            id: t.id.0,
            reference: t.reference,
            step: t.step.into(),
            stopped: t.stopped,
            origin: t.origin,
            candidates: t.candidates.into_iter().map(Into::into).collect(),
        }
    }
}

/// One's own trials.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trials {
    /// In preparation.
    drafts: Vec<TrialDraft>,
    /// Before the examiners, and after; newest first.
    trials: Vec<Trial>,
}

/// What is written of a trial; all of it is replaced, and the pictures stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveTrial {
    version: Version,
    /// Where the pictures come from, and why they may be used for this.
    origin: String,
    /// Unidentified or known person.
    mode: Option<Mode>,
    /// Where the picture in the place of the request's image is said to come from.
    source: Option<Source>,
    /// What happened, invented.
    offence: String,
    /// What is known about the person, invented.
    person: String,
    /// Whether it looks urgent.
    #[serde(default)]
    #[schema(required = false)]
    urgent: bool,
    // How many days ago it looks as if it had come in. (With words of its own an inline schema would be an object as well.)
    #[schema(inline)]
    came_in_days_ago: Whole<30>,
}

/// The truth of a candidate, and the record that examiners read of it, whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DescribeCandidate {
    version: Version,
    /// Whether it is the same person.
    same_person: bool,
    /// The record, invented.
    record: Vec<RecordField>,
}

/// Why a trial is stopped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopTrial {
    /// Why, for the record.
    reason: String,
}

shown!(
    /// A number of errors, and what it shows.
    Errors = trial::Share {
        /// Errors.
        errors: u64,
        /// Pairs decided.
        of: u64,
        /// The lower end of the exact 95 % interval of the rate (Clopper and Pearson).
        low: f64,
        /// The upper end.
        high: f64,
        /// Where there was no error, what the rate may still be (rule of three).
        rule_of_three: Option<f64>,
    }
);

shown!(
    /// How often somebody was wrong where the truth is known.
    Wrong = trial::Wrong {
        /// Pairs of two people that were confirmed as one.
        false_confirms: Errors,
        /// Pairs of one person that were not confirmed.
        misses: Errors,
        /// Pairs of which they could not say, counted in neither.
        cannot_say: u64,
    }
);

shown!(
    /// One examiner's.
    ExaminerResult = trial::ExaminerResult {
        /// Who.
        person: Uuid,
        /// Their name.
        name: String,
        /// Trials that they concluded on.
        trials: u64,
        /// How often they were wrong.
        wrong: Wrong,
        /// Whether they also hold a role that reads requests, and so could have told a trial from casework.
        reads_requests: bool,
    }
);

/// What trials came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialResults {
    /// Trials that everybody has concluded on.
    trials: u64,
    /// The examiners of the team that the caller leads.
    team: Vec<ExaminerResult>,
    /// All examiners of the gallery, each alone; for its leaders and owner.
    examiners: Option<Wrong>,
    /// Two of them, and a third where they differ.
    procedure: Option<Wrong>,
}

/// How one examiner's conclusions in casework stand beside the other's.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExaminerAgreement {
    /// Who.
    person: Uuid,
    /// Their name.
    name: String,
    /// Candidates that two concluded on.
    compared: u64,
    /// Of those, where both came to the same conclusion.
    agreed: u64,
    /// Of those, where this examiner confirmed.
    confirmed: u64,
    /// Of those, where this examiner could not say at the visual step.
    cannot_say: u64,
    /// Differences that a third settled.
    settled: u64,
    /// Of those, this examiner's way.
    upheld: u64,
}

/// One's own trials, in preparation and before the examiners.
#[utoipa::path(get, path = "/trials", tag = "review", responses((status = 200, description = "The trials", body = Trials)))]
async fn list_trials(who: Caller) -> Answer<Trials> {
    let (drafts, trials) = who.bureau.trials(who.id).await?;
    Ok(Json(Trials { drafts: drafts.into_iter().map(Into::into).collect(), trials: trials.into_iter().map(Into::into).collect() }))
}

/// Begins a trial. One that was begun and not written in is given again.
#[utoipa::path(post, path = "/trials", tag = "review", responses((status = 201, description = "Begun", body = TrialDraft)))]
async fn new_trial(who: Caller) -> Result<(StatusCode, Json<TrialDraft>), ApiError> {
    let id = who.bureau.new_trial(who.id).await?;
    Ok((StatusCode::CREATED, Json(who.bureau.trial_draft(who.id, id).await?.into())))
}

/// One's own trial in preparation, with everything that it still lacks.
#[utoipa::path(get, path = "/trials/drafts/{id}", tag = "review", responses((status = 200, description = "The trial", body = TrialDraft)))]
async fn get_trial_draft(who: Caller, At(id): At<RequestId>) -> Answer<TrialDraft> {
    Ok(Json(who.bureau.trial_draft(who.id, id).await?.into()))
}

/// Saves what is written of a trial.
#[utoipa::path(put, path = "/trials/drafts/{id}", tag = "review", request_body = SaveTrial,
    responses((status = 200, description = "Saved", body = Saved)))]
async fn save_trial(who: Caller, At(id): At<RequestId>, Sent(b): Sent<SaveTrial>) -> Answer<Saved> {
    let words = Words {
        origin: b.origin,
        mode: b.mode.map(Into::into),
        source: b.source.map(Into::into),
        offence: b.offence,
        person: b.person,
        urgent: b.urgent,
        came_in_days_ago: u8::try_from(b.came_in_days_ago.0).unwrap_or(u8::MAX),
    };
    saved(id, who.bureau.save_trial(who.id, id, b.version.number(), words).await?)
}

fn saved(id: RequestId, version: u64) -> Answer<Saved> {
    Ok(Json(Saved { id: id.0, version: Version::of(version) }))
}

/// Throws a trial in preparation away, with its pictures.
#[utoipa::path(delete, path = "/trials/drafts/{id}", tag = "review", responses((status = 204, description = "Gone")))]
async fn discard_trial(who: Caller, At(id): At<RequestId>) -> Result<StatusCode, ApiError> {
    who.bureau.discard_trial(who.id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a picture of one face in the place of the request's image; at most 32 MB.
#[utoipa::path(put, path = "/trials/drafts/{id}/picture", tag = "review", params(AtVersion),
    request_body(description = "The picture's bytes", content((PictureBytes = "image/jpeg"), (PictureBytes = "image/png"))),
    responses((status = 200, description = "Added", body = Saved)))]
async fn set_trial_probe(who: Caller, At(id): At<RequestId>, Asked(at): Asked<AtVersion>, Picture(bytes): Picture) -> Answer<Saved> {
    saved(id, who.bureau.add_trial_image(who.id, id, at.checked()?, false, &bytes, None).await?)
}

/// Adds a candidate by a picture of one face; at most 32 MB, and at most ten candidates.
#[utoipa::path(post, path = "/trials/drafts/{id}/candidates", tag = "review", params(AtVersion),
    request_body(description = "The picture's bytes", content((PictureBytes = "image/jpeg"), (PictureBytes = "image/png"))),
    responses((status = 200, description = "Added", body = Saved)))]
async fn add_trial_candidate(who: Caller, At(id): At<RequestId>, Asked(at): Asked<AtVersion>, Picture(bytes): Picture) -> Answer<Saved> {
    saved(id, who.bureau.add_trial_image(who.id, id, at.checked()?, true, &bytes, None).await?)
}

/// Says whether a candidate is the same person, and what examiners read of it.
#[utoipa::path(put, path = "/trials/drafts/{id}/candidates/{candidate}", tag = "review", request_body = DescribeCandidate,
    responses((status = 200, description = "Saved", body = Saved)))]
async fn describe_trial_candidate(
    who: Caller,
    At((id, candidate)): At<(RequestId, CandidateId)>,
    Sent(b): Sent<DescribeCandidate>,
) -> Answer<Saved> {
    let record = Biography(b.record.into_iter().map(|r| (r.field.into(), r.value)).collect());
    let version = b.version.number();
    saved(id, who.bureau.describe_trial_candidate(who.id, id, version, candidate, Some(b.same_person), record).await?)
}

/// Takes a candidate off, and destroys its picture.
#[utoipa::path(delete, path = "/trials/drafts/{id}/candidates/{candidate}", tag = "review", params(AtVersion),
    responses((status = 200, description = "Gone", body = Saved)))]
async fn remove_trial_candidate(
    who: Caller,
    At((id, candidate)): At<(RequestId, CandidateId)>,
    Asked(at): Asked<AtVersion>,
) -> Answer<Saved> {
    saved(id, who.bureau.remove_trial_candidate(who.id, id, at.checked()?, candidate).await?)
}

/// Puts a trial before the examiners, who cannot tell it from casework. One that lacks something is refused with
/// everything that it lacks, and stays.
#[utoipa::path(post, path = "/trials/drafts/{id}/seed", tag = "review", request_body = Versioned,
    responses((status = 200, description = "Done, or done before", body = Trial)))]
async fn seed_trial(who: Caller, At(id): At<RequestId>, Sent(b): Sent<Versioned>) -> Answer<Trial> {
    who.bureau.seed_trial(who.id, id, b.version.number(), who.once()?).await?;
    Ok(Json(who.bureau.trial(who.id, id).await?.into()))
}

/// A trial that the caller put before the examiners.
#[utoipa::path(get, path = "/trials/{id}", tag = "review", responses((status = 200, description = "The trial", body = Trial)))]
async fn get_trial(who: Caller, At(id): At<RequestId>) -> Answer<Trial> {
    Ok(Json(who.bureau.trial(who.id, id).await?.into()))
}

/// A picture of one's own trial.
#[utoipa::path(get, path = "/trials/{id}/pictures/{probe}", tag = "review",
    responses((status = 200, description = "The picture", content_type = "image/jpeg", body = PictureBytes)))]
async fn get_trial_picture(who: Caller, At((id, picture)): At<(RequestId, ProbeId)>) -> Result<Response, ApiError> {
    Ok(jpeg(who.bureau.trial_image(who.id, id, picture).await?))
}

/// Stops a trial: it counts for nothing.
#[utoipa::path(post, path = "/trials/{id}/stop", tag = "review", request_body = StopTrial,
    responses((status = 204, description = "Stopped")))]
async fn stop_trial(who: Caller, At(id): At<RequestId>, Sent(b): Sent<StopTrial>) -> Result<StatusCode, ApiError> {
    who.quietly(id, Command::StopTrial { reason: b.reason }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What trials came to: the team's for its leader, the gallery's for its leaders and owner. Nothing of a trial that
/// anybody has yet to conclude on.
#[utoipa::path(get, path = "/trials/results", tag = "review", responses((status = 200, description = "The results", body = TrialResults)))]
async fn trial_results(who: Caller) -> Answer<TrialResults> {
    let told = who.bureau.trial_results(who.id).await?;
    Ok(Json(TrialResults {
        trials: told.trials,
        team: told.team.into_iter().map(Into::into).collect(),
        examiners: told.gallery.map(|g| g.0.into()),
        procedure: told.gallery.map(|g| g.1.into()),
    }))
}

/// The caller's own results as an examiner.
#[utoipa::path(get, path = "/trials/results/own", tag = "review", responses((status = 200, description = "The results", body = ExaminerResult)))]
async fn own_trial_result(who: Caller) -> Answer<ExaminerResult> {
    Ok(Json(who.bureau.own_trial_result(who.id).await?.into()))
}

/// Where the examiners of the caller's team agree with one another in casework that is concluded.
#[utoipa::path(get, path = "/trials/agreement", tag = "review",
    responses((status = 200, description = "By examiner", body = Vec<ExaminerAgreement>)))]
async fn examiner_agreement(who: Caller) -> Answer<Vec<ExaminerAgreement>> {
    let row = |a: trial::ExaminerAgreement| ExaminerAgreement {
        person: a.person.0,
        name: a.name,
        compared: a.agreement.compared,
        agreed: a.agreement.agreed,
        confirmed: a.agreement.confirmed,
        cannot_say: a.agreement.cannot_say,
        settled: a.agreement.settled,
        upheld: a.agreement.upheld,
    };
    Ok(Json(who.bureau.agreement(who.id).await?.into_iter().map(row).collect()))
}

//! report: how accurate each gallery's searches are, and the change of a threshold, which takes a new
//! evaluation and two people (P1).

use super::{
    call::{Answer, Asked, At, Caller, Count, Large, Sent, TaskNumber},
    problem::ApiError,
    words::{Gallery, Outcome, State as RequestState},
};
use crate::AppState;
use axum::{Json, extract::State, http::StatusCode};
use bureau::{
    affected::{Affected, AffectedSearch},
    certificate::{Accuracy, Ended, Proposed, SettingView, Wanted},
};
use casework::{
    certificate::{Certificate, Rate, Rates},
    ids::Digest,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// Pages of one list of searches that can be asked for.
const PAGES_MAX: u32 = 1_000;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(accuracy))
        .routes(routes!(settings))
        .routes(routes!(propose_threshold))
        .routes(routes!(confirm_threshold))
        .routes(routes!(decline_threshold))
        .routes(routes!(revoke_certificate))
        .routes(routes!(affected_searches))
}

/// Searches that went wrong, with the exact 95 % interval of their share.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorRate {
    /// Searches that went wrong.
    errors: u64,
    /// Searches made.
    of: u64,
    /// Their share, 0 to 1.
    share: f64,
    /// Lower end of the interval.
    low: f64,
    /// Upper end of the interval.
    high: f64,
}

impl From<&Rate> for ErrorRate {
    fn from(r: &Rate) -> Self {
        Self { errors: r.errors, of: r.of, share: r.share(), low: r.low, high: r.high }
    }
}

/// The error rates at one threshold.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorRates {
    /// People not in the gallery, pointed at somebody by mistake.
    fpir: ErrorRate,
    /// People in the gallery, missed.
    fnir: ErrorRate,
}

impl From<&Rates> for ErrorRates {
    fn from(r: &Rates) -> Self {
        Self { fpir: (&r.fpir).into(), fnir: (&r.fnir).into() }
    }
}

/// The rates of one group of people.
#[derive(Serialize, ToSchema)]
pub(crate) struct GroupRates {
    /// Which.
    name: String,
    /// At the certificate's threshold.
    rates: ErrorRates,
}

/// What was measured, for which setting, and until when it counts.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccuracyCertificate {
    /// The threshold, in the model's range.
    threshold: f64,
    /// The rates at it.
    rates: ErrorRates,
    /// The same by group, where groups were named and are large enough.
    groups: Vec<GroupRates>,
    /// References that the gallery may hold.
    references_max: u64,
    /// References it was measured with.
    references_measured: u64,
    /// Of those, synthetic ones.
    synthetic: u64,
    /// The false positive rate up to which `references_max` may go: an estimate from the upper end of the interval, where
    /// more may be held than was measured.
    fpir_estimate: Option<f64>,
    /// The model pack's id.
    pack: String,
    /// SHA-256 over the pack.
    pack_digest: String,
    /// The model's id.
    model: String,
    /// SHA-256 over the image specification.
    specification: String,
    /// SHA-256 of the evaluation's file.
    evaluation: String,
    /// Whether it only shows how certificates work.
    demonstration: bool,
    /// The day it was measured.
    #[schema(format = Date)]
    measured: String,
    /// First day it counts.
    #[schema(format = Date)]
    issued: String,
    /// Last day it counts, reckoned from the measurement.
    #[schema(format = Date)]
    until: String,
}

impl From<&Certificate> for AccuracyCertificate {
    fn from(c: &Certificate) -> Self {
        Self {
            threshold: c.threshold,
            rates: (&c.rates).into(),
            groups: c.groups.iter().map(|g| GroupRates { name: g.name.clone(), rates: (&g.rates).into() }).collect(),
            references_max: c.references_max,
            references_measured: c.references_measured,
            synthetic: c.synthetic,
            fpir_estimate: c.fpir_estimate,
            pack: c.running.pack.clone(),
            pack_digest: c.running.pack_digest.clone(),
            model: c.running.model.clone(),
            specification: c.running.specification.clone(),
            evaluation: c.evaluation.to_string(),
            demonstration: c.demonstration,
            measured: c.measured.to_string(),
            issued: c.issued.to_string(),
            until: c.until.to_string(),
        }
    }
}

/// How a gallery's accuracy stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct GalleryAccuracy {
    /// The gallery.
    gallery: Gallery,
    /// References it holds, if it is open here.
    references: Option<u64>,
    /// The threshold in use with the model in use.
    threshold: Option<f64>,
    /// The certificate in force, or else the newest for that model and threshold.
    certificate: Option<AccuracyCertificate>,
    /// The signed note (C2SP) of that certificate.
    note: Option<String>,
    /// SHA-256 of that note, hexadecimal: a revocation names it.
    digest: Option<String>,
    /// The public key to check it with.
    key: String,
    /// Why the gallery is not searched now; empty where it is.
    against: Vec<String>,
}

impl GalleryAccuracy {
    fn of(a: Accuracy, key: String) -> Self {
        Self {
            gallery: a.gallery.into(),
            references: a.references,
            threshold: a.threshold,
            certificate: a.held.as_ref().map(|h| (&h.certificate).into()),
            digest: a.held.as_ref().and_then(|h| h.genuine).map(|d| d.to_string()),
            note: a.held.map(|h| h.note),
            key,
            against: a.against.into_iter().map(|r| r.words).collect(),
        }
    }
}

/// A change of threshold that waits for a second person: both thresholds on the same evaluation.
#[derive(Serialize, ToSchema)]
pub(crate) struct ThresholdProposal {
    /// Its number, which a decision names.
    number: u64,
    /// Who proposed it.
    by: String,
    /// Why.
    reasons: String,
    /// The threshold in use.
    old_threshold: f64,
    /// Its rates on the new evaluation.
    old: ErrorRates,
    /// The certificate that confirming it issues.
    certificate: AccuracyCertificate,
    /// People found who were missed before.
    found: u64,
    /// People missed who were found before.
    missed: u64,
    /// Searches that now point at somebody by mistake.
    alerts: u64,
    /// Searches that no longer do.
    spared: u64,
    /// Why the caller cannot confirm it; empty where they can.
    against: Vec<String>,
}

impl From<Proposed> for ThresholdProposal {
    fn from(p: Proposed) -> Self {
        let it = p.proposal;
        Self {
            number: p.number,
            by: p.by,
            reasons: it.reasons,
            old_threshold: it.old_threshold,
            old: (&it.old).into(),
            certificate: (&it.certificate).into(),
            found: it.changes.found,
            missed: it.changes.missed,
            alerts: it.changes.alerts,
            spared: it.changes.spared,
            against: p.against.into_iter().map(|r| r.words).collect(),
        }
    }
}

/// A certificate that was revoked; older ones may have stopped counting with it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RevokedCertificate {
    /// SHA-256 of its note, hexadecimal.
    digest: String,
    /// Its threshold.
    threshold: f64,
    /// First day it counted.
    #[schema(format = Date)]
    issued: String,
    /// The day on which it was revoked.
    #[schema(format = Date)]
    on: String,
    /// Why.
    reasons: String,
}

impl From<Ended> for RevokedCertificate {
    fn from(e: Ended) -> Self {
        Self {
            digest: e.digest.to_string(),
            threshold: e.threshold,
            issued: e.issued.to_string(),
            on: e.revoked.on.to_string(),
            reasons: e.revoked.reasons,
        }
    }
}

/// A gallery's setting, for those who may see its figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct GallerySetting {
    /// What everybody may read.
    accuracy: GalleryAccuracy,
    /// What waits for a second person.
    proposed: Option<ThresholdProposal>,
    /// Whether the caller may propose another threshold.
    may_propose: bool,
    /// Whether the caller may revoke the certificate.
    may_revoke: bool,
    /// Revoked certificates, the newest revocation first.
    revoked: Vec<RevokedCertificate>,
}

impl GallerySetting {
    fn of(s: SettingView, key: String) -> Self {
        Self {
            accuracy: GalleryAccuracy::of(s.accuracy, key),
            proposed: s.proposed.map(Into::into),
            may_propose: s.may_propose,
            may_revoke: s.may_revoke,
            revoked: s.ended.into_iter().map(Into::into).collect(),
        }
    }
}

/// How accurate each gallery's searches are, with the signed certificates (P1). Needs no token.
#[utoipa::path(get, path = "/accuracy", tag = "report", security(()),
    responses((status = 200, description = "Each gallery's certificate", body = Vec<GalleryAccuracy>)))]
async fn accuracy(State(state): State<AppState>) -> Answer<Vec<GalleryAccuracy>> {
    let bureau = state.bureau().map_err(|_| ApiError::internal("this API has no use cases behind it"))?;
    let all = bureau.accuracy().await?;
    Ok(Json(all.into_iter().map(|a| GalleryAccuracy::of(a, bureau.certificate_key())).collect()))
}

/// The settings of the caller's galleries, with what is proposed.
#[utoipa::path(get, path = "/accuracy/settings", tag = "report",
    responses((status = 200, description = "The settings", body = Vec<GallerySetting>)))]
async fn settings(who: Caller) -> Answer<Vec<GallerySetting>> {
    let all = who.bureau.settings(who.id).await?;
    Ok(Json(all.into_iter().map(|s| GallerySetting::of(s, who.bureau.certificate_key())).collect()))
}

/// Which threshold, why, and what was measured. Nothing of it stands in an address, which logs keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposeThreshold {
    /// The gallery.
    gallery: Gallery,
    /// The new threshold, in the model's range.
    threshold: f64,
    /// References that the gallery may hold.
    references_max: Count,
    /// Whether the false positive rate of more references than were measured may be an estimate, marked as one.
    #[serde(default)]
    #[schema(required = false)]
    estimate: bool,
    /// Why it should change. It stays on the record; name nobody.
    reasons: String,
    /// The evaluation's file as `countersign evaluate --json` wrote it, every byte of it: the certificate names its digest.
    evaluation: String,
}

/// Proposes another threshold, on a new evaluation; at most 32 MB. Nothing changes until a second person confirms it.
#[utoipa::path(post, path = "/accuracy/proposals", tag = "report", request_body = ProposeThreshold,
    responses((status = 204, description = "Proposed")))]
async fn propose_threshold(who: Caller, Large(body): Large<ProposeThreshold>) -> Result<StatusCode, ApiError> {
    let wanted =
        Wanted { gallery: body.gallery.into(), threshold: body.threshold, references_max: body.references_max.0, estimate: body.estimate };
    who.bureau.propose_threshold(who.id, body.evaluation.as_bytes(), wanted, &body.reasons).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which proposal is confirmed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmThreshold {
    /// The gallery.
    gallery: Gallery,
    /// The proposal's number.
    number: TaskNumber,
}

/// Confirms a proposal as the second person: the threshold changes, and its certificate is issued.
#[utoipa::path(post, path = "/accuracy/proposals/confirm", tag = "report", request_body = ConfirmThreshold,
    responses((status = 200, description = "The certificate", body = AccuracyCertificate)))]
async fn confirm_threshold(who: Caller, Sent(body): Sent<ConfirmThreshold>) -> Answer<AccuracyCertificate> {
    let held = who.bureau.confirm_threshold(who.id, body.gallery.into(), body.number.0).await?;
    Ok(Json((&held.certificate).into()))
}

/// Which proposal is declined, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclineThreshold {
    /// The gallery.
    gallery: Gallery,
    /// The proposal's number.
    number: TaskNumber,
    /// Why.
    reasons: String,
}

/// Takes a proposal off the table.
#[utoipa::path(post, path = "/accuracy/proposals/decline", tag = "report", request_body = DeclineThreshold,
    responses((status = 204, description = "Declined")))]
async fn decline_threshold(who: Caller, Sent(body): Sent<DeclineThreshold>) -> Result<StatusCode, ApiError> {
    who.bureau.decline_threshold(who.id, body.gallery.into(), body.number.0, &body.reasons).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which certificate ends before its time, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeCertificate {
    /// The gallery.
    gallery: Gallery,
    /// SHA-256 of the certificate's note: 64 hexadecimal digits.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$")]
    certificate: String,
    /// Why. It stays on the record and is told to everybody; name nobody.
    reasons: String,
}

/// Ends a certificate before its time: no search is made within it, or an older one of its model, any more. To search again
/// takes a new evaluation and two people.
#[utoipa::path(post, path = "/accuracy/revocations", tag = "report", request_body = RevokeCertificate,
    responses((status = 204, description = "Revoked")))]
async fn revoke_certificate(who: Caller, Sent(body): Sent<RevokeCertificate>) -> Result<StatusCode, ApiError> {
    let certificate = body.certificate.parse().map_err(|_| ApiError::bad("`certificate` is a SHA-256: 64 hexadecimal digits."))?;
    who.bureau.revoke_certificate(who.id, body.gallery.into(), certificate, &body.reasons).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A search that rests on a certificate, and where its case is now.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchUnder {
    /// The request.
    request: Uuid,
    /// Its short reference.
    reference: String,
    /// When the search was recorded.
    #[schema(value_type = String, format = DateTime)]
    searched_at: Timestamp,
    /// The gallery that was searched.
    gallery: Gallery,
    /// The certificate that it names: SHA-256 of its note, hexadecimal.
    certificate: String,
    /// Where the request is now.
    state: RequestState,
    /// The answer in one word, where there is one.
    outcome: Option<Outcome>,
}

impl From<&AffectedSearch> for SearchUnder {
    fn from(s: &AffectedSearch) -> Self {
        Self {
            request: s.request.0,
            reference: s.reference.clone(),
            searched_at: s.searched_at,
            gallery: s.gallery.into(),
            certificate: s.certificate.to_string(),
            state: s.state.into(),
            outcome: s.outcome.map(Into::into),
        }
    }
}

/// What rests on a certificate and on those that stopped counting with it; of one that counts, what its revocation would
/// touch.
#[derive(Serialize, ToSchema)]
pub(crate) struct SearchesUnder {
    /// The gallery.
    gallery: Gallery,
    /// The day on which the certificate was revoked, if it was.
    #[schema(format = Date)]
    revoked: Option<String>,
    /// Why.
    reasons: Option<String>,
    /// The others that stopped, or would stop, counting with it, newest first: SHA-256 of each note.
    with: Vec<String>,
    /// Searches that name one of them.
    searches: usize,
    /// The cases that they belong to.
    cases: usize,
    /// Of the searches, those of cases that the caller examines (M2): they are not listed.
    withheld: usize,
    /// Searches of the time in which they counted whose record was erased (D3): what they rest on is not known any more.
    erased: usize,
    /// A page of the searches, newest first, at most 50.
    lines: Vec<SearchUnder>,
    /// This page, from 1.
    page: u32,
    /// Pages in all.
    pages: usize,
}

impl SearchesUnder {
    fn of(a: &Affected, page: u32) -> Self {
        let revoked = a.revoked.as_ref();
        Self {
            gallery: a.gallery.into(),
            revoked: revoked.map(|r| r.on.to_string()),
            reasons: revoked.map(|r| r.reasons.clone()),
            with: a.with.iter().map(ToString::to_string).collect(),
            searches: a.count.searches,
            cases: a.count.cases,
            withheld: a.count.withheld,
            erased: a.count.erased,
            lines: a.page(usize::try_from(page).unwrap_or(usize::MAX)).iter().map(Into::into).collect(),
            page,
            pages: a.pages(),
        }
    }
}

/// Which page of the searches.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchesQuery {
    /// The page, from 1.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)] // PAGES_MAX
    page: Option<u32>,
}

/// The searches that rest on a certificate and on those that stopped counting with it, so that people can decide whether
/// their cases are looked at again: for the gallery's owner and team leaders, and the auditor. Nobody who was searched for,
/// and no score. The look is recorded.
#[utoipa::path(get, path = "/accuracy/certificates/{certificate}/searches", tag = "report",
    params(("certificate" = String, Path, description = "SHA-256 of the certificate's note: 64 hexadecimal digits",
        min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$"), SearchesQuery),
    responses((status = 200, description = "The searches", body = SearchesUnder)))]
async fn affected_searches(who: Caller, At(certificate): At<Digest>, Asked(q): Asked<SearchesQuery>) -> Answer<SearchesUnder> {
    let page = q.page.unwrap_or(1);
    if !(1..=PAGES_MAX).contains(&page) {
        return Err(ApiError::bad(format!("`page` is 1 to {PAGES_MAX}.")));
    }
    Ok(Json(SearchesUnder::of(&who.bureau.affected(who.id, certificate).await?, page)))
}

//! report: the log and its verification, management information, the policy, and who one is.

use super::{
    call::{Answer, Asked, Caller, INTEGER_MAX},
    problem::ApiError,
    request::Line,
    words::{BioField, Gallery},
};
use crate::AppState;
use axum::{Json, extract::State};
use bureau::report::{EntryFilter, SAMPLE_MAX, SEED_CHARS_MAX};
use casework::{clause::Strength, record::GalleryId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The longest page of the log that can be asked for.
const ENTRIES_MAX: u32 = 500;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(policy))
        .routes(routes!(ledger))
        .routes(routes!(verify_ledger))
        .routes(routes!(statistics))
        .routes(routes!(sample))
}

/// The caller.
#[derive(Serialize, ToSchema)]
pub(crate) struct Me {
    /// Their id.
    id: Uuid,
    /// Their name.
    name: String,
    /// Their roles: `requester`, `approver`, `assessor`, `examiner`, `team-leader`, `siao`, `auditor`, `registrar`.
    roles: Vec<String>,
    /// Their force, team or office.
    organisation: String,
}

/// Who one is, as the register has it today.
#[utoipa::path(get, path = "/me", tag = "report", responses((status = 200, description = "The caller", body = Me)))]
async fn me(who: Caller) -> Json<Me> {
    let p = who.person;
    Json(Me { id: p.id, name: p.name, roles: p.roles, organisation: p.organisation })
}

/// How strongly the source puts a clause.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Weight {
    Must,
    Should,
    May,
}

/// A clause of the policy.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClauseWords {
    /// Its id, as refusals cite it.
    id: String,
    /// How strongly the source puts it; nothing for a statement.
    strength: Option<Weight>,
    /// What it says, in plain words.
    text: String,
    /// Where it comes from.
    source: String,
}

/// A legal basis that a gallery may rely on (A1).
#[derive(Serialize, ToSchema)]
pub(crate) struct LegalBasis {
    /// Its id, as an assessment names it.
    id: String,
    /// Its words.
    text: String,
}

/// A field that a gallery may share.
#[derive(Serialize, ToSchema)]
pub(crate) struct FieldRule {
    /// The field.
    field: BioField,
    /// O5, O6 or O7.
    clause: String,
}

/// What differs from gallery to gallery (G1).
#[derive(Serialize, ToSchema)]
pub(crate) struct GalleryRules {
    /// Which gallery.
    id: Gallery,
    /// Its name.
    name: String,
    /// Who holds it.
    owner: String,
    /// The legal bases it may rely on.
    legal_bases: Vec<LegalBasis>,
    /// The fields its answers may carry.
    fields: Vec<FieldRule>,
}

/// The policy in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyWords {
    /// Its version, recorded with each decision.
    version: String,
    /// The day from which it applies.
    #[schema(format = Date)]
    effective: String,
    /// Every clause.
    clauses: Vec<ClauseWords>,
    /// What differs from gallery to gallery.
    galleries: Vec<GalleryRules>,
}

/// The policy in force: every clause that a refusal can cite, and each gallery's rules. Needs no token.
#[utoipa::path(get, path = "/policy", tag = "report", security(()), responses((status = 200, description = "The policy", body = PolicyWords)))]
async fn policy(State(state): State<AppState>) -> Answer<PolicyWords> {
    let bureau = state.bureau().map_err(|_| ApiError::internal("this API has no use cases behind it"))?;
    let p = bureau.policy();
    let clauses = p.clauses.iter().map(|c| ClauseWords {
        id: c.id.to_string(),
        strength: c.strength.map(|s| match s {
            Strength::Must => Weight::Must,
            Strength::Should => Weight::Should,
            Strength::May => Weight::May,
        }),
        text: c.text.clone(),
        source: c.source.clone(),
    });
    let galleries = [GalleryId::Passport, GalleryId::Immigration].map(|g| p.gallery(g)).into_iter().map(|g| GalleryRules {
        id: g.id.into(),
        name: g.name.clone(),
        owner: g.owner.clone(),
        legal_bases: g.legal_bases.iter().map(|b| LegalBasis { id: b.id.clone(), text: b.text.clone() }).collect(),
        fields: g.fields.iter().map(|f| FieldRule { field: f.field.into(), clause: f.clause.to_string() }).collect(),
    });
    Ok(Json(PolicyWords {
        version: p.version.clone(),
        effective: p.effective.to_string(),
        clauses: clauses.collect(),
        galleries: galleries.collect(),
    }))
}

/// Which entries of the log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerQuery {
    /// Only this kind of event, e.g. `authorised`.
    #[serde(default)]
    kind: Option<String>,
    /// Only this gallery.
    #[serde(default)]
    #[param(inline)]
    gallery: Option<Gallery>,
    /// Only this outcome, e.g. `match`.
    #[serde(default)]
    outcome: Option<String>,
    /// Only events that cite this clause.
    #[serde(default)]
    clause: Option<String>,
    /// Only events recorded at or after.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only events recorded before.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only indexes below this one: the last index of the page before.
    #[serde(default)]
    #[param(minimum = 0, maximum = 9_007_199_254_740_991i64)]
    before: Option<u64>,
    /// Entries to list; 50 where left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// One entry of the log: no person and no request is named.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogEntry {
    /// Its index, from 0.
    index: u64,
    /// The leaf, hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    leaf: String,
    /// The event's kind.
    kind: String,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The gallery, where there is one.
    gallery: Option<Gallery>,
    /// The clauses it cites.
    clauses: Vec<String>,
    /// A one-word outcome.
    outcome: Option<String>,
    /// The policy version in force.
    policy: String,
}

/// The log, newest first, for those who may read it. The look is recorded.
#[utoipa::path(get, path = "/ledger", tag = "report", params(LedgerQuery),
    responses((status = 200, description = "The entries", body = Vec<LogEntry>)))]
async fn ledger(who: Caller, Asked(q): Asked<LedgerQuery>) -> Answer<Vec<LogEntry>> {
    let limit = q.limit.unwrap_or(50);
    if !(1..=ENTRIES_MAX).contains(&limit) {
        return Err(ApiError::bad(format!("`limit` is 1 to {ENTRIES_MAX}.")));
    }
    if q.before.is_some_and(|b| b > INTEGER_MAX) {
        return Err(ApiError::bad("`before` is too large."));
    }
    let filter = EntryFilter {
        kind: q.kind,
        gallery: q.gallery.map(Into::into),
        leo: None,
        outcome: q.outcome,
        clause: q.clause,
        from: q.from,
        until: q.until,
        before: q.before,
        limit,
    };
    let entries = who.bureau.ledger(who.id, filter).await?;
    Ok(Json(
        entries
            .into_iter()
            .map(|e| LogEntry {
                index: e.index,
                leaf: hex::encode(e.leaf.0),
                kind: e.header.kind,
                at: e.header.at,
                gallery: e.header.gallery.map(Into::into),
                clauses: e.header.clauses,
                outcome: e.header.outcome,
                policy: e.header.policy,
            })
            .collect(),
    ))
}

/// What verifying the log found. A fault is an answer, not an error.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verification {
    /// Whether everything holds.
    verified: bool,
    /// Leaves under the checkpoint.
    size: u64,
    /// Events in the database.
    events: u64,
    /// Payloads opened and compared with their commitment.
    opened: u64,
    /// Payloads that were erased; their commitments still count.
    erased: u64,
    /// The first wrong thing.
    fault: Option<String>,
    /// The signed checkpoint (C2SP signed note).
    checkpoint: Option<String>,
    /// The key to check it with.
    key: String,
}

/// Verifies the whole log: every leaf, the tree, every checkpoint, every payload that is not erased.
#[utoipa::path(post, path = "/ledger/verify", tag = "report",
    responses((status = 200, description = "What was found", body = Verification)))]
async fn verify_ledger(who: Caller) -> Answer<Verification> {
    let v = who.bureau.verify_for(who.id).await?;
    Ok(Json(Verification {
        verified: v.verified,
        size: v.size,
        events: v.events,
        opened: v.opened,
        erased: v.erased,
        fault: v.fault,
        checkpoint: v.checkpoint,
        key: v.key,
    }))
}

/// The counts of one gallery (D4).
#[derive(Serialize, ToSchema)]
pub(crate) struct GalleryCounts {
    /// The gallery.
    gallery: Gallery,
    /// Requests submitted.
    received: u32,
    /// Of those, urgent.
    urgent: u32,
    /// Rejected as off-template or incomplete.
    rejected: u32,
    /// Images authorised to be searched.
    authorised: u32,
    /// Images declined.
    declined: u32,
    /// Answers, by outcome.
    answered: BTreeMap<String, u32>,
    /// Declines, by clause.
    declines_by_clause: BTreeMap<String, u32>,
}

/// Management information by gallery (D4), for those who may see it.
#[utoipa::path(get, path = "/statistics", tag = "report",
    responses((status = 200, description = "The counts", body = Vec<GalleryCounts>)))]
async fn statistics(who: Caller) -> Answer<Vec<GalleryCounts>> {
    let all = who.bureau.statistics(who.id).await?;
    Ok(Json(
        all.into_iter()
            .map(|(gallery, c)| GalleryCounts {
                gallery: gallery.into(),
                received: c.received,
                urgent: c.urgent,
                rejected: c.rejected,
                authorised: c.authorised,
                declined: c.declined,
                answered: c.answered,
                declines_by_clause: c.declines_by_clause,
            })
            .collect(),
    ))
}

/// Which sample.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SampleQuery {
    /// What it is drawn by: the same seed draws the same cases again.
    #[param(min_length = 1, max_length = 100)]
    seed: String,
    /// How many cases; 10 where left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100)]
    size: Option<usize>,
}

/// A sample of cases for audit that anybody with the same seed draws again (D4). The drawing is recorded.
#[utoipa::path(get, path = "/sample", tag = "report", params(SampleQuery),
    responses((status = 200, description = "The cases", body = Vec<Line>)))]
async fn sample(who: Caller, Asked(q): Asked<SampleQuery>) -> Answer<Vec<Line>> {
    let size = q.size.unwrap_or(10);
    if !(1..=SAMPLE_MAX).contains(&size) {
        return Err(ApiError::bad(format!("`size` is 1 to {SAMPLE_MAX}.")));
    }
    let seed = q.seed.trim();
    if !(1..=SEED_CHARS_MAX).contains(&seed.chars().count()) {
        return Err(ApiError::bad(format!("`seed` takes 1 to {SEED_CHARS_MAX} characters.")));
    }
    let drawn = who.bureau.sample(who.id, seed, size).await?;
    Ok(Json(drawn.into_iter().map(Into::into).collect()))
}

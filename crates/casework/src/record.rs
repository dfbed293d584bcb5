//! What every recorded event looks like from outside: which stream, which retention class, and the
//! small clear header that statistics and replay-after-erasure read. No person is named in a header;
//! everything else is a payload, and payloads are sealed. [rule: D1]

use crate::ids::{LeoId, PersonId, RequestId, UnknownWord};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The galleries this house can hold; each has its own policy (G1).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<GalleryId>)]
pub enum GalleryId {
    /// HM Passport Office: photographs from passport applications.
    Passport,
    /// UK Visas and Immigration: the Immigration and Asylum Biometric System.
    Immigration,
}

/// A sequence of events with one optimistic version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "id")]
pub enum StreamId {
    /// The life of one request.
    Request(RequestId),
    /// Who looked at what in one request (*consulted* events): never read by `decide`.
    Consulted(RequestId),
    /// Forces, agreements, people, training, teams: one stream for the house (R1–R3).
    Register,
    /// Looks at the log itself, sign-ins to audit pages, gallery enrolments: one stream for the house.
    House,
}

/// How long a sealed payload lives; each request has one key per class.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RetentionClass {
    /// The record of requests and decisions: up to 6 years (D3).
    Record,
    /// Probe images and templates: earlier (ours).
    Images,
    /// The answer exactly as it left, with its pictures: earlier than the record (ours).
    Disclosure,
    /// Candidates that nobody confirmed: at once when concluded (ours).
    Candidates,
    /// Mail: at once after transfer (D2).
    Mail,
}

/// The clear part of an event: what statistics, queues and replay after erasure may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The event's kind, kebab-case, e.g. `authorised`.
    pub kind: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// The gallery the request is for, where there is one.
    pub gallery: Option<GalleryId>,
    /// The requesting force, where there is one.
    pub leo: Option<LeoId>,
    /// The clause ids it cites, e.g. `["A7"]`.
    pub clauses: Vec<String>,
    /// A one-word outcome, e.g. `match`.
    pub outcome: Option<String>,
    /// The request's state after this event, kebab-case, so that a replay after erasure needs headers only.
    pub state: Option<String>,
    /// The policy version in force when it was made.
    pub policy: String,
    /// The class its payload is sealed under.
    pub class: RetentionClass,
    /// Whether it belongs to a known-answer trial, which is no casework: statistics leave it out (P1). Written
    /// only where it is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trial: bool,
}

/// An event ready to be sealed and committed: header in clear, payload as canonical JSON bytes.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The clear header.
    pub header: Header,
    /// The payload to seal.
    pub payload: Vec<u8>,
}

/// An event read back. The payload is gone once its class has been erased.
#[derive(Clone, Debug)]
pub struct OpenedRecord {
    /// Position in its stream, from 1.
    pub seq: u64,
    /// The clear header.
    pub header: Header,
    /// The payload, or `None` after erasure.
    pub payload: Option<Vec<u8>>,
}

/// Who is acting, as recorded inside a payload.
pub type ActorId = PersonId;

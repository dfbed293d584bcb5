//! The policy as versioned data: clauses, galleries, periods. The rules that use it are in the room
//! files beside this one. A decision keeps the version that it was made under.

use crate::{
    calendar::Period,
    clause::{Clause, Strength},
    form::Nationality,
    people::{Post, Rank},
    record::{GalleryId, RetentionClass},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// A field of a held biography that an answer may carry (O5, O6, O7).
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
pub enum BioField {
    /// Full name.
    Name,
    /// Date of birth, ISO 8601.
    DateOfBirth,
    /// Nationality in words.
    Nationality,
    /// Sex marker as printed in the document.
    SexMarker,
    /// Passport number.
    PassportNumber,
    /// Port or local reference.
    PortLocalReference,
    /// Person nationality code (ISO 3166 alpha-3).
    PersonNationalityCode,
    /// Passport nationality code (ISO 3166 alpha-3).
    PassportNationalityCode,
    /// Home Office reference.
    HomeOfficeReference,
    /// Who recorded the biometric.
    BiometricRecordingOfficer,
    /// When the biometric was recorded, ISO 8601.
    BiometricRecordingDate,
    /// Where the biometric was recorded.
    BiometricRecordingLocation,
    /// Last known address.
    LastKnownAddress,
    /// Other contact details.
    OtherContact,
    /// Other biographical details.
    OtherBiographical,
}

impl BioField {
    /// The field's name on pages and in answers.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::DateOfBirth => "Date of birth",
            Self::Nationality => "Nationality",
            Self::SexMarker => "Sex marker",
            Self::PassportNumber => "Passport number",
            Self::PortLocalReference => "Port or local reference",
            Self::PersonNationalityCode => "Person nationality code",
            Self::PassportNationalityCode => "Passport nationality code",
            Self::HomeOfficeReference => "Home Office reference",
            Self::BiometricRecordingOfficer => "Biometric recording officer",
            Self::BiometricRecordingDate => "Biometric recording date",
            Self::BiometricRecordingLocation => "Biometric recording location",
            Self::LastKnownAddress => "Last known address",
            Self::OtherContact => "Other contact details",
            Self::OtherBiographical => "Other biographical details",
        }
    }
}

/// A clause's words.
#[derive(Clone, Debug, Deserialize)]
pub struct ClauseText {
    /// Its id.
    pub id: Clause,
    /// MUST, SHOULD, MAY, or none for a statement.
    #[serde(default)]
    pub strength: Option<Strength>,
    /// What it says, in our plain words.
    pub text: String,
    /// Where it comes from.
    pub source: String,
}

/// A clause that belongs to later work, and why.
#[derive(Clone, Debug, Deserialize)]
pub struct Deferred {
    /// The clause.
    pub id: Clause,
    /// Why it has no rule yet.
    pub reason: String,
}

/// A legal basis that a gallery may rely on (A1).
#[derive(Clone, Debug, Deserialize)]
pub struct LegalBasis {
    /// Short id recorded with the assessment.
    pub id: String,
    /// Its words.
    pub text: String,
}

/// One field an answer from a gallery may carry, and under which clause.
#[derive(Clone, Debug, Deserialize)]
pub struct FieldRule {
    /// The field.
    pub field: BioField,
    /// O5, O6 or O7.
    pub clause: Clause,
}

/// What differs from gallery to gallery (G1).
#[derive(Clone, Debug, Deserialize)]
pub struct GalleryPolicy {
    /// Which gallery.
    pub id: GalleryId,
    /// Its name on pages.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// The post that its staff hold (R1).
    pub post: Post,
    /// Nationalities routed to it (S3).
    pub takes: Vec<Nationality>,
    /// Whether fingerprints come first (S4).
    pub fingerprints_first: bool,
    /// The legal bases it may rely on (A1).
    pub legal_bases: Vec<LegalBasis>,
    /// The fields its answers may carry (O5, O6, O7).
    pub fields: Vec<FieldRule>,
}

/// What an accuracy certificate must rest on (P1).
#[derive(Clone, Debug, Deserialize)]
pub struct AccuracyPolicy {
    /// Days that a certificate counts at most.
    pub certificate_days_max: u16,
    /// Searches for people who are not enrolled that an evaluation needs (rule of three: 3/n).
    pub nonmated_searches_min: u64,
    /// Searches for people who are enrolled that an evaluation needs.
    pub mated_searches_min: u64,
    /// How many times the references measured a gallery may hold, without the rest being called an estimate.
    pub references_factor_max: u64,
}

/// How long things live after a request closes (D3), from a London date until the next rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct RetentionRule {
    /// The London date from which it applies.
    pub from: Date,
    /// Days that images and templates live after closing.
    pub images_days_after_closing: u16,
    /// Days that the answer as released lives after closing.
    pub disclosure_days_after_closing: u16,
    /// Years that the record lives after closing (a ceiling).
    pub record_years_after_closing: u8,
    /// The same of a known-answer trial: D3 keeps a record of requests, and a trial, which tells of staff only, is none.
    pub trial_years_after_closing: u8,
}

impl RetentionRule {
    /// How long a class lives after closing, of a request or of a known-answer trial; none for what does not wait for it.
    #[must_use]
    pub fn period(&self, class: RetentionClass, trial: bool) -> Option<Period> {
        match class {
            RetentionClass::Record if trial => Some(Period::Years(self.trial_years_after_closing)),
            RetentionClass::Record => Some(Period::Years(self.record_years_after_closing)),
            RetentionClass::Images => Some(Period::Days(self.images_days_after_closing)),
            RetentionClass::Disclosure => Some(Period::Days(self.disclosure_days_after_closing)),
            RetentionClass::Candidates | RetentionClass::Mail => None,
        }
    }
}

/// One version of the policy.
#[derive(Clone, Debug, Deserialize)]
pub struct Policy {
    /// The version recorded with each event.
    pub version: String,
    /// The London date from which it applies.
    pub effective: Date,
    /// Working days within which we aim to answer.
    pub answer_within_working_days: u16,
    /// The same for urgent requests.
    pub urgent_within_working_days: u16,
    /// Days that leave to search lasts.
    pub authorisation_days: u16,
    /// Days without an event after which a worker closes what has ended or was abandoned.
    pub close_after_idle_days: u16,
    /// Days that an unsent draft lives after it was last saved.
    pub draft_days_after_saving: u16,
    /// Days within which a legal hold is looked at again.
    pub hold_review_days_max: u16,
    /// How long things live after closing, by the London date from which each rule applies, oldest first. Never empty.
    pub retention: Vec<RetentionRule>,
    /// Days after its conclusion that a known-answer trial closes; its pictures then go like every image.
    pub trial_close_after_days: u16,
    /// The lowest rank that may approve (S9).
    pub approving_rank: Rank,
    /// What an accuracy certificate must rest on (P1).
    pub accuracy: AccuracyPolicy,
    /// Every clause.
    #[serde(rename = "clause")]
    pub clauses: Vec<ClauseText>,
    #[serde(rename = "gallery")]
    galleries: Vec<GalleryPolicy>,
}

/// What an image must be like, gallery by gallery (A3b, S10): the text of `policy/images.toml`. The limits belong to the
/// policy; what they are limits of is measured by the face engine, so it is read where the two meet.
pub const IMAGE_SPECIFICATIONS: &str = include_str!("../policy/images.toml");

#[derive(Deserialize)]
struct DeferredFile {
    deferred: Vec<Deferred>,
}

// A policy file that does not parse is a broken build, not a condition to handle: the test
// `the_embedded_policy_parses` holds it, so the panic below is unreachable from outside.
#[allow(clippy::expect_used)]
static V1: LazyLock<Policy> = LazyLock::new(|| toml::from_str(include_str!("../policy/v1.toml")).expect("embedded policy parses"));
#[allow(clippy::expect_used)]
static DEFERRED: LazyLock<Vec<Deferred>> =
    LazyLock::new(|| toml::from_str::<DeferredFile>(include_str!("../policy/deferred.toml")).expect("embedded list parses").deferred);

impl Policy {
    /// The policy in force on a London date. There is one version so far; a later one is added here
    /// with its own file and effective date.
    #[must_use]
    pub fn in_force(_on: Date) -> &'static Self {
        &V1
    }

    /// The clauses that later work will enforce, with reasons.
    #[must_use]
    pub fn deferred() -> &'static [Deferred] {
        &DEFERRED
    }

    /// The rule of retention in force on a London date.
    ///
    /// # Panics
    /// Never: the test `the_embedded_policy_parses` holds that there is one.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn retention_on(&self, date: Date) -> &RetentionRule {
        let first = self.retention.first().expect("there is a rule");
        self.retention.iter().rev().find(|r| r.from <= date).unwrap_or(first)
    }

    /// What differs for this gallery.
    ///
    /// # Panics
    /// Never: the test `every_gallery_has_a_policy` holds that each [`GalleryId`] has its entry.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn gallery(&self, id: GalleryId) -> &GalleryPolicy {
        self.galleries.iter().find(|g| g.id == id).expect("every gallery has a policy")
    }

    /// A clause's words.
    #[must_use]
    pub fn clause(&self, id: Clause) -> Option<&ClauseText> {
        self.clauses.iter().find(|c| c.id == id)
    }

    /// The working days within which we aim to answer.
    #[must_use]
    pub fn answer_period(&self, urgent: bool) -> Period {
        Period::WorkingDays(if urgent { self.urgent_within_working_days } else { self.answer_within_working_days })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn the_embedded_policy_parses() {
        let ids: Vec<_> = V1.clauses.iter().map(|c| c.id).collect();
        assert_eq!(ids, Clause::iter().collect::<Vec<_>>(), "each clause once, in order");
        assert!(DEFERRED.len() < ids.len());
        assert!(!V1.retention.is_empty() && V1.retention.is_sorted_by(|a, b| a.from < b.from), "oldest first");
        assert!(V1.retention.iter().all(|r| (1..=6).contains(&r.record_years_after_closing)), "D3: a ceiling of six years");
        assert!(V1.retention.iter().all(|r| (1..=r.record_years_after_closing).contains(&r.trial_years_after_closing)), "a trial's sooner");
    }

    #[test]
    fn every_gallery_has_a_policy() {
        for g in GalleryId::iter() {
            assert_eq!(V1.gallery(g).id, g);
        }
    }

    #[test]
    fn a1_each_gallery_has_its_own_legal_bases() {
        assert_eq!(V1.gallery(GalleryId::Passport).legal_bases.len(), 1);
        assert_eq!(V1.gallery(GalleryId::Immigration).legal_bases.len(), 3);
    }
}

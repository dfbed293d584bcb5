//! The field's words as JSON writes them. Each list is matched against `casework`'s own, so a word
//! added there does not compile here until the API knows it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

macro_rules! mirror {
    ($(#[$doc:meta])* $name:ident = $theirs:ty { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $name { $($variant),+ }

        impl From<$theirs> for $name {
            fn from(t: $theirs) -> Self {
                match t { $(<$theirs>::$variant => Self::$variant),+ }
            }
        }
        impl From<$name> for $theirs {
            fn from(o: $name) -> Self {
                match o { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

/// What the API shows of a type of the house: the same members under the same names, each in the API's words for it. A
/// member that is added there does not compile here until the API knows it.
macro_rules! shown {
    ($(#[$doc:meta])* $name:ident = $theirs:path { $($(#[$words:meta])* $member:ident: $ours:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(serde::Serialize, utoipa::ToSchema)]
        pub(crate) struct $name { $($(#[$words])* $member: $ours),+ }

        impl From<$theirs> for $name {
            fn from(t: $theirs) -> Self {
                let $theirs { $($member),+ } = t;
                Self { $($member: $member.into()),+ }
            }
        }
    };
}
pub(crate) use shown;

mirror!(
    /// The gallery asked.
    Gallery = casework::record::GalleryId { Passport, Immigration }
);
mirror!(
    /// What the force considers the person to be (S3).
    Nationality = casework::form::Nationality { British, Foreign, Unsure }
);
mirror!(
    /// A purpose for which a search may be made (A6, S12).
    Purpose = casework::form::Purpose { SeriousCrime, NationalSecurity, RiskToLife }
);
mirror!(
    /// Whether the force knows who it is (S12).
    Mode = casework::form::Mode { Unidentified, Known }
);
mirror!(
    /// What the fingerprint check against IABS found (S4).
    FingerprintCheck = casework::form::FingerprintCheck { NotRun, Identified, NotIdentified }
);
mirror!(
    /// Where an image comes from (S10).
    Source = casework::form::Source { Supervised, Unsupervised }
);
mirror!(
    /// A declaration that a force makes (S7, S8, S9).
    Declaration = casework::form::Declaration { LawfulUse, AvenuesExhausted, NotIdentifiedOtherwise, OwnPolicyFollowed }
);
mirror!(
    /// What an image may be instead of a photograph as a camera took it.
    Suspicion = casework::form::Suspicion { Edited, Synthetic, ScreenCapture }
);
mirror!(
    /// What a quality component means for the request.
    Verdict = casework::form::Verdict { Unmeasured, Fine, Inform, Warn, Block }
);
mirror!(
    /// A question on the form.
    Question = casework::form::Field {
        Template, Investigation, Nationality, FingerprintsHeld, FingerprintCheck, FingerprintReference, Purposes,
        PurposeWords, Mode, Offence, SexualOffence, TwoYears, PeopleAffected, Harm, Images, Person, OwnDatabases, OtherDatabases,
        OtherEnquiries, Vulnerable, VulnerableWords, Urgent, UrgentReason, Declarations,
    }
);
mirror!(
    /// Where a request is in its life.
    State = casework::request::State {
        Draft, AwaitingApproval, Returned, Rejected, Received, Assessing, Clarifying, Searching, Comparing, Responding, Answering,
        Answered, Withdrawn, Closed, Erased,
    }
);
mirror!(
    /// The answer in one word.
    Outcome = casework::request::Outcome { Match, NoMatch, Declined, Withheld }
);
mirror!(
    /// How a request is handled after section 8 was read (A9).
    Handling = casework::assess::Handling { Ordinary, Sensitive }
);
mirror!(
    /// What a team leader decides on a review (W4).
    ReviewResult = casework::event::ReviewResult { OutOfScope, Maintained, Changed }
);
mirror!(
    /// A step of the scale of a visual conclusion.
    Conclusion = casework::review::Conclusion { StronglyDifferent, Different, CannotSay, Same, StronglySame }
);
mirror!(
    /// What the examiner sees in one part of the face.
    Agreement = casework::review::Agreement { Alike, Different, NotVisible }
);
mirror!(
    /// A field of a held biography that an answer may carry (O5, O6, O7).
    BioField = casework::policy::BioField {
        Name, DateOfBirth, Nationality, SexMarker, PassportNumber, PortLocalReference, PersonNationalityCode, PassportNationalityCode,
        HomeOfficeReference, BiometricRecordingOfficer, BiometricRecordingDate, BiometricRecordingLocation, LastKnownAddress,
        OtherContact, OtherBiographical,
    }
);
mirror!(
    /// Which list of requests.
    List = bureau::assess::List { Mine, Waiting, All, Approval, Comparison, Ended, Asked }
);

/// A map from a word to something, as an object with a member for each word.
macro_rules! by_word {
    ($(#[$doc:meta])* $name:ident: $key:ty => $ours:ty = $theirs:ty { $($member:ident = $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct $name { $(#[serde(default)] pub(crate) $member: Option<$ours>),+ }

        impl From<$name> for BTreeMap<$key, $theirs> {
            fn from(o: $name) -> Self {
                [$((<$key>::$variant, o.$member)),+].into_iter().filter_map(|(k, v)| Some((k, v?.into()))).collect()
            }
        }
        impl From<BTreeMap<$key, $theirs>> for $name {
            fn from(mut t: BTreeMap<$key, $theirs>) -> Self {
                // A word that is added there does not compile here.
                let _: fn($key) = |k| match k { $(<$key>::$variant => {}),+ };
                Self { $($member: t.remove(&<$key>::$variant).map(Into::into)),+ }
            }
        }
    };
}

/// What the assessor finds on one criterion.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    /// Whether it is met.
    #[serde(default)]
    met: Option<bool>,
    /// Why, in the assessor's own words.
    #[serde(default)]
    reasons: String,
}
impl From<Finding> for casework::assess::Finding {
    fn from(f: Finding) -> Self {
        Self { met: f.met, reasons: f.reasons }
    }
}
impl From<casework::assess::Finding> for Finding {
    fn from(f: casework::assess::Finding) -> Self {
        Self { met: f.met, reasons: f.reasons }
    }
}

by_word!(
    /// A finding for each criterion (A2–A10).
    Findings: casework::assess::Criterion => Finding = casework::assess::Finding {
        importance = Importance, connection = Connection, image_usable = ImageUsable, biography = Biography, exhausted = Exhausted,
        balance = Balance, threshold = Threshold, extent = Extent, rights = Rights,
    }
);
by_word!(
    /// The checklist: what the examiner sees in each part of the face.
    Components: casework::review::Component => Agreement = casework::review::Agreement {
        outline = Outline, forehead = Forehead, eyebrows = Eyebrows, eyes = Eyes, nose = Nose, mouth = Mouth, jaw = Jaw,
        cheeks = Cheeks, ears = Ears, lines = Lines, marks = Marks,
    }
);

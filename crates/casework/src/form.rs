//! The request template. The published guidance withholds it, so this is **our reconstruction**: only
//! that section 8 asks about vulnerability is known. A form is a draft until a colleague approves it;
//! [`Form::missing`] says everything it lacks at once (S1).

use crate::{
    clause::Clause,
    crime::SeriousCrimeTest,
    ids::{BlobId, Digest, ProbeId},
    limits::{IMAGES_PER_REQUEST_MAX, TEXT_CHARS_MAX},
    policy::Policy,
    record::GalleryId,
    refusal::{Refusal, refuse_field},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The template's version; a form on any other is off-template (S1).
pub const TEMPLATE: &str = "facial-image-search/1";

/// What the force considers the person to be (S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Nationality {
    /// British: HM Passport Office.
    British,
    /// A foreign national: UK Visas and Immigration.
    Foreign,
    /// Unsure: a separate request to each.
    Unsure,
}

impl Nationality {
    /// The galleries that a form with this answer goes to (S3).
    #[must_use]
    pub fn galleries(self) -> &'static [GalleryId] {
        match self {
            Self::British => &[GalleryId::Passport],
            Self::Foreign => &[GalleryId::Immigration],
            Self::Unsure => &[GalleryId::Passport, GalleryId::Immigration],
        }
    }
}

/// A purpose for which a search may be made (A6, S12).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Purpose {
    /// Prevention, investigation or prosecution of serious crime.
    SeriousCrime,
    /// National security.
    NationalSecurity,
    /// Prevention of serious risk to life.
    RiskToLife,
}

impl Purpose {
    /// The purpose in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SeriousCrime => "the prevention, investigation or prosecution of serious crime",
            Self::NationalSecurity => "national security",
            Self::RiskToLife => "the prevention of serious risk to life",
        }
    }
}

/// Whether the force knows who it is (S12, O3, O4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Mode {
    /// Nobody knows who the person is.
    Unidentified,
    /// The person is known; other identities are sought.
    Known,
}

/// What the fingerprint check against IABS found (S4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FingerprintCheck {
    /// Not yet run.
    NotRun,
    /// It identified the person: no facial request is needed.
    Identified,
    /// It did not identify the person.
    NotIdentified,
}

/// Where an image comes from (S10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Source {
    /// Taken under supervision, for example at a police station.
    Supervised,
    /// CCTV or another device.
    Unsupervised,
}

/// The declarations a force makes, each on its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Declaration {
    /// S7.
    LawfulUse,
    /// S8, first half: every other reasonable avenue is exhausted.
    AvenuesExhausted,
    /// S8, second half: could not identify (or, for a known person, establish other identities).
    NotIdentifiedOtherwise,
    /// S9: our own searching policy was followed.
    OwnPolicyFollowed,
}

impl Declaration {
    /// The clause it answers.
    #[must_use]
    pub fn clause(self) -> Clause {
        match self {
            Self::LawfulUse => Clause::S7,
            Self::AvenuesExhausted | Self::NotIdentifiedOtherwise => Clause::S8,
            Self::OwnPolicyFollowed => Clause::S9,
        }
    }

    /// Its words; the mode changes what a force can truthfully say (S8).
    #[must_use]
    pub fn words(self, mode: Option<Mode>) -> &'static str {
        match (self, mode) {
            (Self::LawfulUse, _) => {
                "We will use anything we are given in line with the guidance, data protection law and the Human Rights Act 1998."
            }
            (Self::AvenuesExhausted, _) => {
                "We have exhausted every other reasonable avenue, including our own national and local databases, other databases available to us, and other enquiries."
            }
            (Self::NotIdentifiedOtherwise, Some(Mode::Known)) => {
                "We could not establish other identities of the person through those or any other operational means."
            }
            (Self::NotIdentifiedOtherwise, _) => "We could not identify the person through those or any other operational means.",
            (Self::OwnPolicyFollowed, _) => {
                "This request follows our own searching policy and will be approved at the right level, normally Inspector or equivalent."
            }
        }
    }
}

/// A question of the form: the anchor of a refusal and of an error-summary link.
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
#[allow(missing_docs)] // each is the question of the same name in `Form`
pub enum Field {
    Template,
    Investigation,
    Nationality,
    FingerprintsHeld,
    FingerprintCheck,
    FingerprintReference,
    Purposes,
    PurposeWords,
    Mode,
    Offence,
    SexualOffence,
    TwoYears,
    PeopleAffected,
    Harm,
    Images,
    Person,
    OwnDatabases,
    OtherDatabases,
    OtherEnquiries,
    Vulnerable,
    VulnerableWords,
    Urgent,
    UrgentReason,
    Declarations,
}

impl Field {
    /// The section of the template that asks it, 1 to 9.
    #[must_use]
    pub fn section(self) -> u8 {
        use Field as F;
        match self {
            F::Template | F::Investigation => 1,
            F::Nationality | F::FingerprintsHeld | F::FingerprintCheck | F::FingerprintReference => 2,
            F::Purposes | F::PurposeWords | F::Mode => 3,
            F::Offence | F::SexualOffence | F::TwoYears | F::PeopleAffected | F::Harm => 4,
            F::Images => 5,
            F::Person => 6,
            F::OwnDatabases | F::OtherDatabases | F::OtherEnquiries => 7,
            F::Vulnerable | F::VulnerableWords => 8,
            F::Urgent | F::UrgentReason | F::Declarations => 9,
        }
    }

    /// The question's short label.
    #[must_use]
    pub fn label(self) -> &'static str {
        use Field as F;
        match self {
            F::Template => "Template",
            F::Investigation => "Investigation reference",
            F::Nationality => "Nationality",
            F::FingerprintsHeld => "Fingerprints held",
            F::FingerprintCheck => "Fingerprint check against IABS",
            F::FingerprintReference => "Reference of the fingerprint check",
            F::Purposes => "Purposes",
            F::PurposeWords => "How the search serves the purpose",
            F::Mode => "Unidentified or known person",
            F::Offence => "Offence or incident",
            F::SexualOffence => "Sexual offence",
            F::TwoYears => "Sentence of at least 2 years",
            F::PeopleAffected => "People affected",
            F::Harm => "Harm caused or that could be caused",
            F::Images => "Images",
            F::Person => "What is known about the person",
            F::OwnDatabases => "Our own databases",
            F::OtherDatabases => "Other databases",
            F::OtherEnquiries => "Other enquiries",
            F::Vulnerable => "Whether the person may be vulnerable",
            F::VulnerableWords => "Why the person may be vulnerable",
            F::Urgent => "Urgency",
            F::UrgentReason => "Reason for urgency",
            F::Declarations => "Declarations",
        }
    }
}

/// The titles of the nine sections.
pub const SECTIONS: [&str; 9] = [
    "Investigation",
    "Nationality and fingerprints",
    "Purpose",
    "The crime or incident",
    "Images",
    "The person",
    "Other avenues",
    "Vulnerability",
    "Urgency and declarations",
];

/// A face on an image: pixel coordinates of the upright image, origin top left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// Left edge, pixels.
    pub x: f32,
    /// Top edge, pixels.
    pub y: f32,
    /// Width, pixels.
    pub width: f32,
    /// Height, pixels.
    pub height: f32,
}

/// What the quality check says of one component (S10, A3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityNote {
    /// The component of ISO/IEC 29794-5, e.g. `inter-eye-distance`.
    pub component: String,
    /// The number found, in hundredths of its unit at finest; none where this model or image gives none.
    #[serde(default)]
    pub value: Option<f64>,
    /// Its unit, e.g. `pixels`.
    #[serde(default)]
    pub unit: String,
    /// What the gallery's image specification makes of it.
    pub verdict: Verdict,
    /// Plain advice with units.
    pub advice: String,
}

/// What a quality component means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There is no number to judge.
    Unmeasured,
    /// Meets the specification.
    Fine,
    /// Worth knowing; nothing is asked.
    Inform,
    /// Usable, but less likely to help.
    Warn,
    /// Cannot be searched (A3b).
    Block,
}

/// What an image may be instead of a photograph as a camera took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suspicion {
    /// Changed after it was taken.
    Edited,
    /// Made by a program.
    Synthetic,
    /// A picture of a screen.
    ScreenCapture,
}

/// A flag for the people who look at an image. No rule reads it: it refuses nothing and decides nothing (S10, A3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspicionNote {
    /// What is suspected.
    pub suspicion: Suspicion,
    /// Why, in a sentence.
    pub reason: String,
}

/// One image on the form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormImage {
    /// Its id from upload to erasure.
    pub probe: ProbeId,
    /// SHA-256 of the bytes as they arrived; leave to search is bound to it (M1).
    pub digest: Digest,
    /// The sealed original.
    pub original: BlobId,
    /// The sealed upright, metadata-free rendering that people look at.
    pub rendering: BlobId,
    /// Width of the rendering, pixels.
    pub width: u32,
    /// Height of the rendering, pixels.
    pub height: u32,
    /// Every face found, left to right.
    pub faces: Vec<FaceBox>,
    /// The face to search with: an index into `faces`.
    pub chosen: Option<usize>,
    /// Quality of the chosen face, every component.
    pub quality: Vec<QualityNote>,
    /// SHA-256 of the image specification that gave the verdicts: the gallery's that the form was sent to. None on
    /// a draft that may go to more than one.
    #[serde(default)]
    pub specification: Option<Digest>,
    /// What the file's own words and preview give reason to suspect. Nothing here means nothing was found, not that
    /// nothing was done.
    #[serde(default)]
    pub suspicions: Vec<SuspicionNote>,
    /// Where the image comes from (S10).
    pub source: Option<Source>,
}

impl FormImage {
    /// Whether the chosen face meets the requirements (A3b). A face about which nothing was found out does not.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.chosen.is_some_and(|i| i < self.faces.len()) && !self.quality.is_empty() && self.blocked().next().is_none()
    }

    /// The components for which it cannot be searched (A3b).
    pub fn blocked(&self) -> impl Iterator<Item = &QualityNote> {
        self.quality.iter().filter(|q| q.verdict == Verdict::Block)
    }
}

/// The form. Every answer is optional while it is a draft.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// The template it is on (S1).
    pub template: String,
    /// The force's own investigation reference (S2).
    pub investigation: String,
    /// S3.
    pub nationality: Option<Nationality>,
    /// S4.
    pub fingerprints_held: Option<bool>,
    /// S4.
    pub fingerprint_check: Option<FingerprintCheck>,
    /// S4.
    pub fingerprint_reference: String,
    /// S12.
    pub purposes: BTreeSet<Purpose>,
    /// S12: how a search serves them.
    pub purpose_words: String,
    /// S12.
    pub mode: Option<Mode>,
    /// What happened.
    pub offence: String,
    /// A7, as the force answers it.
    pub crime: SeriousCrimeTest,
    /// A8.
    pub people_affected: String,
    /// A8.
    pub harm: String,
    /// The probes.
    pub images: Vec<FormImage>,
    /// A3: biographical information; may be empty.
    pub person: String,
    /// S8: the force's own national and local databases.
    pub own_databases: String,
    /// S8: other databases available to it.
    pub other_databases: String,
    /// S8: other enquiries.
    pub other_enquiries: String,
    /// S11: section 8.
    pub vulnerable: Option<bool>,
    /// S11: why.
    pub vulnerable_words: String,
    /// S6.
    pub urgent: Option<bool>,
    /// S6.
    pub urgent_reason: String,
    /// S7, S8, S9.
    pub declarations: BTreeSet<Declaration>,
}

impl Form {
    /// An empty form on the current template.
    #[must_use]
    pub fn new() -> Self {
        Self { template: TEMPLATE.into(), ..Self::default() }
    }

    /// Everything that is missing or contradictory, at once (S1 and the clause of each question).
    #[must_use]
    pub fn missing(&self, policy: &Policy) -> Vec<Refusal> {
        use Field as F;
        let mut out = vec![];
        let mut need = |ok: bool, clause: Clause, field: Field, words: &str| {
            if !ok {
                let mut r = refuse_field(clause, field, words);
                if clause != Clause::S1 {
                    r.clauses.insert(0, Clause::S1);
                }
                out.push(r);
            }
        };
        let said = |text: &str| !text.trim().is_empty();
        need(self.template == TEMPLATE, Clause::S1, F::Template, "The form is not on the current template. Copy it into a new form.");
        need(said(&self.investigation), Clause::S2, F::Investigation, "Give the investigation's reference.");
        need(
            self.nationality.is_some(),
            Clause::S3,
            F::Nationality,
            "Say whether you consider the person British, a foreign national, or are unsure.",
        );
        let foreign = self.nationality.is_some_and(|n| n.galleries().iter().any(|g| policy.gallery(*g).fingerprints_first))
            && self.nationality == Some(Nationality::Foreign);
        if foreign {
            need(self.fingerprints_held.is_some(), Clause::S4, F::FingerprintsHeld, "Say whether you hold the person's fingerprints.");
            if self.fingerprints_held == Some(true) {
                need(
                    !matches!(self.fingerprint_check, None | Some(FingerprintCheck::NotRun)),
                    Clause::S4,
                    F::FingerprintCheck,
                    "Check the fingerprints against IABS first, then say what was found.",
                );
                need(
                    self.fingerprint_check != Some(FingerprintCheck::Identified),
                    Clause::S4,
                    F::FingerprintCheck,
                    "The fingerprint check identified the person, so a facial image search is not needed.",
                );
                if self.fingerprint_check == Some(FingerprintCheck::NotIdentified) {
                    need(
                        said(&self.fingerprint_reference),
                        Clause::S4,
                        F::FingerprintReference,
                        "Give the reference of the fingerprint check.",
                    );
                }
            }
        }
        need(!self.purposes.is_empty(), Clause::S12, F::Purposes, "Choose at least one purpose.");
        need(said(&self.purpose_words), Clause::S12, F::PurposeWords, "Say how a search would serve the purpose.");
        need(self.mode.is_some(), Clause::S12, F::Mode, "Say whether the person is unidentified, or known with other identities sought.");
        need(said(&self.offence), Clause::A6, F::Offence, "Describe the crime or incident.");
        if self.purposes.contains(&Purpose::SeriousCrime) {
            need(self.crime.sexual_offence.is_some(), Clause::A7, F::SexualOffence, "Say whether it is a sexual offence.");
            if self.crime.sexual_offence != Some(true) {
                need(
                    self.crime.two_years.is_some(),
                    Clause::A7,
                    F::TwoYears,
                    "Say whether it could normally result in a sentence of at least 2 years.",
                );
            }
        }
        need(said(&self.people_affected), Clause::A8, F::PeopleAffected, "Say how many people are affected.");
        need(said(&self.harm), Clause::A8, F::Harm, "Describe the harm that was or could be caused.");
        need(!self.images.is_empty(), Clause::S1, F::Images, "Add at least one image.");
        if self.images.len() > IMAGES_PER_REQUEST_MAX {
            need(
                false,
                Clause::S1,
                F::Images,
                &format!("A form carries at most {IMAGES_PER_REQUEST_MAX} images; this one has {}.", self.images.len()),
            );
        }
        for (n, image) in self.images.iter().enumerate() {
            need(
                !self.images[..n].iter().any(|i| i.probe == image.probe),
                Clause::S1,
                F::Images,
                &format!("Image {} is on the form twice. Take one away.", n + 1),
            );
            // A number that is not finite cannot be written to the record and read back.
            need(
                image.faces.iter().all(|f| [f.x, f.y, f.width, f.height].iter().all(|v| v.is_finite())),
                Clause::A3,
                F::Images,
                &format!("The faces on image {} have no place on it. Upload it again.", n + 1),
            );
            need(
                image.chosen.is_some_and(|i| i < image.faces.len()),
                Clause::A3,
                F::Images,
                &format!("Choose the face to search with on image {}.", n + 1),
            );
            need(image.source.is_some(), Clause::S10, F::Images, &format!("Say whether image {} was taken under supervision.", n + 1));
        }
        need(said(&self.own_databases), Clause::S8, F::OwnDatabases, "Say which of your own national and local databases you checked.");
        need(
            said(&self.other_databases),
            Clause::S8,
            F::OtherDatabases,
            "Say which other databases available to you you checked, or why none applied.",
        );
        need(said(&self.other_enquiries), Clause::S8, F::OtherEnquiries, "Say which other enquiries you made.");
        need(self.vulnerable.is_some(), Clause::S11, F::Vulnerable, "Answer section 8: do you suspect that the person may be vulnerable?");
        if self.vulnerable == Some(true) {
            need(said(&self.vulnerable_words), Clause::S11, F::VulnerableWords, "Say why the person may be vulnerable.");
        }
        need(self.urgent.is_some(), Clause::S6, F::Urgent, "Say whether the request is urgent.");
        if self.urgent == Some(true) {
            need(
                said(&self.urgent_reason),
                Clause::S6,
                F::UrgentReason,
                "Give the reason why it is absolutely necessary to treat it as urgent.",
            );
        }
        use strum::IntoEnumIterator;
        for d in Declaration::iter().filter(|d| !self.declarations.contains(d)) {
            need(false, d.clause(), F::Declarations, &format!("Confirm: {}", d.words(self.mode)));
        }
        for (field, text) in self.texts() {
            let length = text.chars().count();
            if length > TEXT_CHARS_MAX {
                need(false, Clause::S1, field, &format!("{} is {length} characters long; at most {TEXT_CHARS_MAX} fit.", field.label()));
            }
        }
        out
    }

    fn texts(&self) -> [(Field, &str); 12] {
        use Field as F;
        [
            (F::Investigation, &self.investigation),
            (F::FingerprintReference, &self.fingerprint_reference),
            (F::PurposeWords, &self.purpose_words),
            (F::Offence, &self.offence),
            (F::PeopleAffected, &self.people_affected),
            (F::Harm, &self.harm),
            (F::Person, &self.person),
            (F::OwnDatabases, &self.own_databases),
            (F::OtherDatabases, &self.other_databases),
            (F::OtherEnquiries, &self.other_enquiries),
            (F::VulnerableWords, &self.vulnerable_words),
            (F::UrgentReason, &self.urgent_reason),
        ]
    }

    /// The sections with nothing missing, for a task list: index 0 is section 1.
    #[must_use]
    pub fn complete_sections(&self, policy: &Policy) -> [bool; 9] {
        let mut done = [true; 9];
        for r in self.missing(policy) {
            if let Some(f) = r.field {
                done[usize::from(f.section()) - 1] = false;
            }
        }
        done
    }

    /// A copy for a new draft: answers kept, images and declarations left out, since both are given afresh.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self { template: TEMPLATE.into(), images: vec![], declarations: BTreeSet::new(), ..self.clone() }
    }
}

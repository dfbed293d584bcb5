//! The form as JSON: the answers, and the images that have their own calls.

use super::{
    call::Version,
    problem::RefusalJson,
    words::{Declaration, FingerprintCheck, Mode, Nationality, Purpose, Source, Suspicion, Verdict},
};
use casework::form::{self, TEMPLATE};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// The serious-crime test's questions (A7), as answered.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crime {
    /// Limb (a): a sexual offence.
    #[serde(default)]
    sexual_offence: Option<bool>,
    /// Limb (b): normally capable of at least 2 years' imprisonment.
    #[serde(default)]
    two_years: Option<bool>,
    /// Limb (b): involves violence.
    #[serde(default)]
    violence: bool,
    /// Limb (b): involves grooming.
    #[serde(default)]
    grooming: bool,
    /// Limb (b): involves online criminality.
    #[serde(default)]
    online: bool,
    /// Limb (b): could result in substantial financial gain.
    #[serde(default)]
    gain: bool,
}

impl From<Crime> for casework::crime::SeriousCrimeTest {
    fn from(c: Crime) -> Self {
        let Crime { sexual_offence, two_years, violence, grooming, online, gain } = c;
        Self { sexual_offence, two_years, violence, grooming, online, gain }
    }
}
impl From<casework::crime::SeriousCrimeTest> for Crime {
    fn from(c: casework::crime::SeriousCrimeTest) -> Self {
        let casework::crime::SeriousCrimeTest { sexual_offence, two_years, violence, grooming, online, gain } = c;
        Self { sexual_offence, two_years, violence, grooming, online, gain }
    }
}

fn template() -> String {
    TEMPLATE.into()
}

/// The answers on a form. What is left out is unanswered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    /// The template it is on (S1); the current one where left out.
    #[serde(default = "template")]
    #[schema(required = false)]
    template: String,
    /// The force's own investigation reference (S2).
    #[serde(default)]
    investigation: String,
    /// S3.
    #[serde(default)]
    nationality: Option<Nationality>,
    /// S4.
    #[serde(default)]
    fingerprints_held: Option<bool>,
    /// S4.
    #[serde(default)]
    fingerprint_check: Option<FingerprintCheck>,
    /// S4.
    #[serde(default)]
    fingerprint_reference: String,
    /// S12.
    #[serde(default)]
    #[schema(value_type = Vec<Purpose>)]
    purposes: BTreeSet<Purpose>,
    /// How a search serves them (S12).
    #[serde(default)]
    purpose_words: String,
    /// S12.
    #[serde(default)]
    mode: Option<Mode>,
    /// What happened.
    #[serde(default)]
    offence: String,
    /// A7, as the force answers it.
    #[serde(default)]
    #[schema(required = false)]
    #[serde(deserialize_with = "object")]
    crime: Crime,
    /// A8.
    #[serde(default)]
    people_affected: String,
    /// A8.
    #[serde(default)]
    harm: String,
    /// A3: biographical information; may be empty.
    #[serde(default)]
    person: String,
    /// S8: the force's own national and local databases.
    #[serde(default)]
    own_databases: String,
    /// S8: other databases available to it.
    #[serde(default)]
    other_databases: String,
    /// S8: other enquiries.
    #[serde(default)]
    other_enquiries: String,
    /// S11: section 8.
    #[serde(default)]
    vulnerable: Option<bool>,
    /// S11: why.
    #[serde(default)]
    vulnerable_words: String,
    /// S6.
    #[serde(default)]
    urgent: Option<bool>,
    /// S6.
    #[serde(default)]
    urgent_reason: String,
    /// S7, S8, S9.
    #[serde(default)]
    #[schema(value_type = Vec<Declaration>)]
    declarations: BTreeSet<Declaration>,
}

/// An object and nothing else: serde would also take a list of its values.
fn object<'de, D: serde::Deserializer<'de>, T: serde::de::DeserializeOwned>(from: D) -> Result<T, D::Error> {
    let map = serde_json::Map::deserialize(from)?;
    T::deserialize(serde_json::Value::Object(map)).map_err(serde::de::Error::custom)
}

impl From<Form> for form::Form {
    fn from(f: Form) -> Self {
        Self {
            template: f.template,
            investigation: f.investigation,
            nationality: f.nationality.map(Into::into),
            fingerprints_held: f.fingerprints_held,
            fingerprint_check: f.fingerprint_check.map(Into::into),
            fingerprint_reference: f.fingerprint_reference,
            purposes: f.purposes.into_iter().map(Into::into).collect(),
            purpose_words: f.purpose_words,
            mode: f.mode.map(Into::into),
            offence: f.offence,
            crime: f.crime.into(),
            people_affected: f.people_affected,
            harm: f.harm,
            images: vec![],
            person: f.person,
            own_databases: f.own_databases,
            other_databases: f.other_databases,
            other_enquiries: f.other_enquiries,
            vulnerable: f.vulnerable,
            vulnerable_words: f.vulnerable_words,
            urgent: f.urgent,
            urgent_reason: f.urgent_reason,
            declarations: f.declarations.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<&form::Form> for Form {
    fn from(f: &form::Form) -> Self {
        let f = f.clone();
        Self {
            template: f.template,
            investigation: f.investigation,
            nationality: f.nationality.map(Into::into),
            fingerprints_held: f.fingerprints_held,
            fingerprint_check: f.fingerprint_check.map(Into::into),
            fingerprint_reference: f.fingerprint_reference,
            purposes: f.purposes.into_iter().map(Into::into).collect(),
            purpose_words: f.purpose_words,
            mode: f.mode.map(Into::into),
            offence: f.offence,
            crime: f.crime.into(),
            people_affected: f.people_affected,
            harm: f.harm,
            person: f.person,
            own_databases: f.own_databases,
            other_databases: f.other_databases,
            other_enquiries: f.other_enquiries,
            vulnerable: f.vulnerable,
            vulnerable_words: f.vulnerable_words,
            urgent: f.urgent,
            urgent_reason: f.urgent_reason,
            declarations: f.declarations.into_iter().map(Into::into).collect(),
        }
    }
}

/// A face on an image: pixel coordinates of the upright picture, origin top left.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Face {
    /// Left edge, pixels.
    x: f32,
    /// Top edge, pixels.
    y: f32,
    /// Width, pixels.
    width: f32,
    /// Height, pixels.
    height: f32,
}

/// What the quality check says of one component (S10, A3).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Quality {
    /// The component of ISO/IEC 29794-5, e.g. `inter-eye-distance`.
    component: String,
    /// The number found; none where it was not measured.
    value: Option<f64>,
    /// Its unit, e.g. `pixels`.
    unit: String,
    /// What the gallery's image specification makes of it.
    verdict: Verdict,
    /// Plain advice with units.
    advice: String,
}

/// A flag for the people who look at an image; it refuses nothing and decides nothing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Suspected {
    /// What is suspected.
    suspicion: Suspicion,
    /// Why, in a sentence.
    reason: String,
}

/// One image on a form.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Image {
    /// Its id.
    pub(crate) probe: Uuid,
    /// SHA-256 of the bytes as they arrived, hexadecimal; leave to search is bound to it (M1).
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
    /// Width of the upright picture, pixels.
    width: u32,
    /// Height of the upright picture, pixels.
    height: u32,
    /// Every face found, left to right.
    faces: Vec<Face>,
    /// The face to search with: an index into `faces`.
    chosen: Option<usize>,
    /// Quality of the chosen face, every component.
    quality: Vec<Quality>,
    /// SHA-256 of the image specification that gave the verdicts, hexadecimal; none where a draft may go to galleries
    /// that differ in it.
    specification: Option<String>,
    /// What the file's own words and preview give reason to suspect.
    suspicions: Vec<Suspected>,
    /// Where the image comes from (S10).
    source: Option<Source>,
}

impl From<&form::FormImage> for Image {
    fn from(i: &form::FormImage) -> Self {
        Self {
            probe: i.probe.0,
            digest: i.digest.to_string(),
            width: i.width,
            height: i.height,
            faces: i.faces.iter().map(|f| Face { x: f.x, y: f.y, width: f.width, height: f.height }).collect(),
            chosen: i.chosen,
            quality: i
                .quality
                .iter()
                .map(|q| Quality {
                    component: q.component.clone(),
                    value: q.value,
                    unit: q.unit.clone(),
                    verdict: q.verdict.into(),
                    advice: q.advice.clone(),
                })
                .collect(),
            specification: i.specification.map(|d| d.to_string()),
            suspicions: i.suspicions.iter().map(|s| Suspected { suspicion: s.suspicion.into(), reason: s.reason.clone() }).collect(),
            source: i.source.map(Into::into),
        }
    }
}

/// A draft as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Draft {
    /// Its id, which the request keeps.
    id: Uuid,
    /// Its version, for the next change.
    version: Version,
    /// When it was last saved.
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    /// The answers.
    form: Form,
    /// The images.
    pub(crate) images: Vec<Image>,
    /// The rejected request that it replaces.
    replaces: Option<Uuid>,
    /// Why an approver returned it.
    returned: Option<String>,
    /// Everything that is missing, at once (S1).
    missing: Vec<RefusalJson>,
    /// Which of the nine sections have nothing missing.
    complete: Vec<bool>,
}

impl From<bureau::intake::DraftView> for Draft {
    fn from(d: bureau::intake::DraftView) -> Self {
        Self {
            id: d.id.0,
            version: Version::of(d.version),
            changed_at: d.changed_at,
            images: d.form.images.iter().map(Into::into).collect(),
            form: (&d.form).into(),
            replaces: d.replaces.map(|r| r.0),
            returned: d.returned,
            missing: d.missing.into_iter().map(Into::into).collect(),
            complete: d.complete.to_vec(),
        }
    }
}

//! The interface's own words, as far as they are used (OSIA `abis.yaml` 1.6.0, `components/schemas`). What is not named
//! there is refused (`additionalProperties: false`).

use base64::Engine as _;
use serde::{Deserialize, Serialize, de::IgnoredAny};

/// `Candidate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Candidate {
    pub person_id: String,
    pub rank: i64,
    pub score: f64,
    #[serde(default)]
    pub scores: Vec<ScoreDetail>,
    #[serde(default, rename = "others")]
    pub _others: Option<IgnoredAny>,
}

/// `ScoreDetail`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ScoreDetail {
    pub score: f64,
    #[serde(default)]
    pub encounter_id: Option<String>,
    #[serde(default)]
    pub biometric_type: Option<String>,
    #[serde(default, rename = "biometricSubType")]
    pub _biometric_sub_type: Option<String>,
    #[serde(default, rename = "instance")]
    pub _instance: Option<String>,
    #[serde(default, rename = "others")]
    pub _others: Option<IgnoredAny>,
}

/// `PersonIds`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PersonIds {
    pub person_id: String,
    pub encounter_id: String,
}

/// `BiometricComputedData`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Computed {
    pub biometric_type: String,
    #[serde(default, rename = "biometricSubType")]
    pub _biometric_sub_type: Option<String>,
    #[serde(default, rename = "instance")]
    pub _instance: Option<String>,
    #[serde(rename = "template")]
    pub _template: IgnoredAny,
    #[serde(default, rename = "templateFormat")]
    pub _template_format: Option<String>,
    #[serde(default, rename = "quality")]
    pub _quality: Option<i64>,
    #[serde(default, rename = "qualityFormat")]
    pub _quality_format: Option<String>,
    #[serde(default)]
    pub algorithm: Option<String>,
    #[serde(default)]
    pub vendor: Option<String>,
}

/// `BiometricData`: one face.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Face {
    biometric_type: &'static str,
    biometric_sub_type: &'static str,
    image: String,
    mime_type: &'static str,
    compression: &'static str,
}

impl Face {
    pub(crate) fn of(jpeg: &[u8]) -> Self {
        let image = base64::engine::general_purpose::STANDARD.encode(jpeg);
        Self { biometric_type: "FACE", biometric_sub_type: "PORTRAIT", image, mime_type: "image/jpeg", compression: "JPEG" }
    }
}

/// The body of `identify`; no filter: the whole gallery is searched.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identify {
    pub filter: Everybody,
    pub biometric_data: [Face; 1],
}

/// `Filter` that leaves nobody out.
#[derive(Serialize)]
pub(crate) struct Everybody {}

/// `Encounter` as it is created; its id stands in the address.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Encounter<'a> {
    pub status: &'static str,
    pub encounter_type: &'static str,
    pub galleries: [&'a str; 1],
    pub biometric_data: [Face; 1],
}

//! Templates, comparison scores and thresholds: each knows which model it belongs to.

use crate::FaceError;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Names the model that made a template. It changes whenever anything that shapes an embedding changes
/// (a net's digest, its input geometry, the alignment), so templates of two models never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ModelId(Arc<str>);

impl From<String> for ModelId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.as_str().to_owned()
    }
}

impl ModelId {
    /// Wraps an id that was read back from storage.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far from length 1 a template may be and still count as unit length.
const UNIT_TOLERANCE: f64 = 1e-3;

/// A face as a model sees it: a vector of unit length. Biometric data: no `Debug` output shows values.
#[derive(Clone, PartialEq)]
pub struct Template {
    model: ModelId,
    values: Vec<f32>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({}, {} values)", self.model, self.values.len())
    }
}

impl Template {
    /// Rebuilds a template from stored values.
    ///
    /// # Errors
    /// [`FaceError::NotUnit`] if the values are not finite or not of unit length.
    pub fn from_parts(model: ModelId, values: Vec<f32>) -> Result<Self, FaceError> {
        let length = length(&values);
        // A NaN fails this comparison too.
        if (length - 1.0).abs() <= UNIT_TOLERANCE { Ok(Self { model, values }) } else { Err(FaceError::NotUnit { length }) }
    }

    /// Scales raw values to unit length.
    ///
    /// # Errors
    /// [`FaceError::NotUnit`] if they have no length or are not finite.
    pub fn normalised(model: ModelId, mut values: Vec<f32>) -> Result<Self, FaceError> {
        let length = length(&values);
        if !length.is_finite() || length < f64::from(f32::EPSILON) {
            return Err(FaceError::NotUnit { length });
        }
        for value in &mut values {
            *value = (f64::from(*value) / length) as f32;
        }
        Ok(Self { model, values })
    }

    /// The model that made it.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// The values; their squares sum to 1.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Compares two templates: the cosine of their angle, summed in double precision.
    ///
    /// # Errors
    /// [`FaceError::OtherModel`] if they come from different models.
    pub fn compare(&self, other: &Self) -> Result<Score, FaceError> {
        if self.model != other.model || self.values.len() != other.values.len() {
            return Err(FaceError::OtherModel { ours: self.model.clone(), theirs: other.model.clone() });
        }
        let pairs = self.values.iter().zip(&other.values);
        let value = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        Ok(Score { model: self.model.clone(), value })
    }
}

fn length(values: &[f32]) -> f64 {
    let squares = values.iter().map(|v| f64::from(*v) * f64::from(*v));
    squares.sum::<f64>().sqrt()
}

/// Which end of the score range means *more alike*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// A higher score is more alike (cosine).
    Higher,
    /// A lower score is more alike (a distance).
    Lower,
}

/// What a model's scores can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreScale {
    /// The comparison, such as `cosine`.
    pub kind: String,
    /// The least possible score.
    pub min: f64,
    /// The greatest possible score.
    pub max: f64,
    /// The direction.
    pub better: Better,
}

/// A comparison score of one model. Not a probability and not comparable with another model's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The model that both templates came from.
    pub model: ModelId,
    /// The value, within the model's [`ScoreScale`].
    pub value: f64,
}

/// The score at which a reference enters a candidate list, and how it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The model it was measured for.
    pub model: ModelId,
    /// The score.
    pub value: f64,
    /// The direction, from the model's scale.
    pub better: Better,
    /// The share of impostor pairs that reach it, as measured (0 to 1).
    pub false_match_rate: f64,
    /// How it was measured, on what, and on how many pairs; one sentence for a report.
    pub provenance: String,
}

impl Threshold {
    /// Whether a score reaches the threshold.
    ///
    /// # Errors
    /// [`FaceError::OtherModel`] if the score is another model's.
    pub fn reached_by(&self, score: &Score) -> Result<bool, FaceError> {
        if score.model != self.model {
            return Err(FaceError::OtherModel { ours: self.model.clone(), theirs: score.model.clone() });
        }
        Ok(match self.better {
            Better::Higher => score.value >= self.value,
            Better::Lower => score.value <= self.value,
        })
    }
}

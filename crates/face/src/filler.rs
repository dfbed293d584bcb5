//! Synthetic templates that stand among real ones as strangers' would.
//!
//! A demonstration gallery needs size without people. Fillers are drawn from a normal distribution with the
//! mean and covariance (low rank, plus what is left over per value) of real templates of many people, then
//! scaled to unit length. They describe nobody: there is no picture behind them and none can be made.

use crate::{FaceError, ModelId, Pack, Template};
use serde::Deserialize;

/// What was measured on real templates; the pack carries it as a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statistics {
    /// The embedding it was measured for: the manifest's model id.
    model: String,
    /// What it was measured on.
    fitted_on: String,
    mean: Vec<f64>,
    /// Directions of variation, each scaled by its standard deviation.
    components: Vec<Vec<f64>>,
    /// Standard deviation of each value that the components leave over.
    residual: Vec<f64>,
}

/// Makes filler templates for one model.
#[derive(Clone, Debug)]
pub struct Filler {
    model: ModelId,
    statistics: Statistics,
}

impl Filler {
    /// Reads the pack's statistics.
    ///
    /// # Errors
    /// [`FaceError::Filler`] if the pack has none, or they belong to another model or are malformed.
    pub fn open(pack: &Pack) -> Result<Self, FaceError> {
        let wrong = |reason: String| FaceError::Filler(reason);
        let data = pack.filler.as_ref();
        let data = data.ok_or_else(|| wrong("the model pack has no [filler] statistics".into()))?;
        let statistics: Statistics = serde_json::from_slice(data).map_err(|e| wrong(format!("malformed: {e}")))?;
        let info = pack.info();
        if statistics.model != info.id.as_str() {
            let reason = "the statistics are for another model; measure them again";
            return Err(wrong(reason.into()));
        }
        let vectors = statistics.components.iter();
        let lengths = vectors.map(Vec::len).chain([statistics.mean.len(), statistics.residual.len()]);
        if lengths.into_iter().any(|n| n != info.dimension) {
            return Err(wrong(format!("vectors must have {} values", info.dimension)));
        }
        Ok(Self { model: info.id.clone(), statistics })
    }

    /// What the statistics were measured on.
    pub fn fitted_on(&self) -> &str {
        &self.statistics.fitted_on
    }

    /// Filler number `index` of the series that `seed` begins: always the same one.
    ///
    /// # Errors
    /// [`FaceError::NotUnit`] if the statistics are degenerate.
    pub fn template(&self, seed: u64, index: u64) -> Result<Template, FaceError> {
        let mut noise = Noise::new(seed, index);
        let s = &self.statistics;
        let mut values = s.mean.clone();
        for component in &s.components {
            let amount = noise.normal();
            for (value, direction) in values.iter_mut().zip(component) {
                *value += amount * direction;
            }
        }
        for (value, deviation) in values.iter_mut().zip(&s.residual) {
            *value += noise.normal() * deviation;
        }
        let values = values.into_iter().map(|v| v as f32).collect();
        Template::normalised(self.model.clone(), values)
    }

    /// Fillers `0..count` of a series.
    pub fn templates(&self, seed: u64, count: u64) -> impl Iterator<Item = Result<Template, FaceError>> {
        (0..count).map(move |index| self.template(seed, index))
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014) and Box–Muller: enough for noise, and the same everywhere.
struct Noise {
    state: u64,
    spare: Option<f64>,
}

impl Noise {
    fn new(seed: u64, index: u64) -> Self {
        let mut start = Self { state: seed ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03), spare: None };
        // The first output becomes the state, so that neighbours do not walk the same path.
        start.state = start.next();
        start
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Above 0, at most 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }
}

//! What an image must be like, as data.

use super::{Component, Finding, Level, Measured, Quality, advice};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Values beyond which something follows; a bound itself is still within.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// It follows from a smaller value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// It follows from a larger value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
}

impl Bounds {
    fn passed_by(&self, value: f64) -> bool {
        self.below.is_some_and(|b| value < b) || self.above.is_some_and(|a| value > a)
    }
}

/// The limits of one component, in its unit. A level that is left out never follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// No search with such a face.
    pub block: Bounds,
    /// A warning: a better image would be more likely to help.
    pub warn: Bounds,
    /// A remark.
    pub inform: Bounds,
}

impl Limits {
    pub(super) fn level(&self, value: f64) -> Level {
        [(self.block, Level::Block), (self.warn, Level::Warn), (self.inform, Level::Inform)]
            .into_iter()
            .find_map(|(bounds, level)| bounds.passed_by(value).then_some(level))
            .unwrap_or(Level::Fine)
    }

    /// What is wrong with the limits, if anything: each step from remark to block must be further out.
    fn fault(&self) -> Option<&'static str> {
        let steps = [self.inform, self.warn, self.block];
        let below: Vec<f64> = steps.iter().filter_map(|b| b.below).collect();
        let above: Vec<f64> = steps.iter().filter_map(|b| b.above).collect();
        if below.iter().chain(&above).any(|v| !v.is_finite()) {
            return Some("a limit is not a number");
        }
        if !below.iter().rev().is_sorted() || !above.is_sorted() {
            return Some("`block` must lie further out than `warn`, and `warn` than `inform`");
        }
        let meets = below.first().zip(above.first()).is_none_or(|(b, a)| b <= a);
        (!meets).then_some("no value can be within its limits")
    }
}

/// Why a specification cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecificationError {
    /// It is not TOML of the expected shape.
    #[error("the image specifications cannot be read: {0}")]
    Shape(String),
    /// Its limits contradict one another.
    #[error("the image specification `{name}` is wrong at `{component}`: {fault}. Correct its limits")]
    Limits {
        /// Whose specification.
        name: String,
        /// The component.
        component: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
}

/// A gallery's requirements for a probe, component by component. A component that it leaves out is measured
/// and recorded, and nothing follows from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageSpecification(BTreeMap<Component, Limits>);

impl ImageSpecification {
    /// Reads a TOML file of specifications: a table for each name, and in it for each component its limits, as
    /// `inter-eye-distance = { block = { below = 24 }, warn = { below = 60 } }`.
    ///
    /// # Errors
    /// [`SpecificationError`] when it is not such a file, names a component that does not exist, or has limits
    /// that contradict one another.
    pub fn read(text: &str) -> Result<BTreeMap<String, Self>, SpecificationError> {
        let all: BTreeMap<String, Self> = toml::from_str(text).map_err(|e| SpecificationError::Shape(e.to_string()))?;
        for (name, specification) in &all {
            for (component, limits) in &specification.0 {
                if let Some(fault) = limits.fault() {
                    return Err(SpecificationError::Limits { name: name.clone(), component: component.name(), fault });
                }
            }
        }
        Ok(all)
    }

    /// The limits of a component, where it has any.
    #[must_use]
    pub fn limits(&self, component: Component) -> Option<&Limits> {
        self.0.get(&component)
    }

    /// SHA-256 over the limits, written as JSON by component name: which specification was applied. It changes
    /// with any limit, and with nothing else.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        // By name, so that the order of the components in this program does not matter.
        let named: BTreeMap<&str, [Option<f64>; 6]> = self
            .0
            .iter()
            .map(|(c, l)| (c.name(), [l.block.below, l.block.above, l.warn.below, l.warn.above, l.inform.below, l.inform.above]))
            .collect();
        let written = serde_json::json!(named).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, written.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        out
    }

    /// Judges what was measured.
    #[must_use]
    pub fn judge(&self, measured: &[Measured]) -> Quality {
        let none = Limits::default();
        let judged = measured.iter().map(|m| {
            let limits = self.limits(m.component).unwrap_or(&none);
            let level = m.value.map_or(Level::Unmeasured, |v| limits.level(v));
            Finding {
                component: m.component,
                value: m.value,
                unit: advice::unit(m.component).into(),
                level,
                advice: advice::sentence(m, level, limits),
            }
        });
        Quality { findings: judged.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ImageSpecification {
        ImageSpecification::read(text).unwrap().remove("g").unwrap()
    }

    fn eyes(value: f64) -> [Measured; 1] {
        [Measured { component: Component::InterEyeDistance, value: Some(value) }]
    }

    #[test]
    fn the_worst_bound_that_is_passed_decides_and_a_bound_is_within() {
        let s = read("[g]\ninter-eye-distance = { block = { below = 24 }, warn = { below = 60 }, inform = { below = 90 } }");
        for (value, level) in [(23.9, Level::Block), (24.0, Level::Warn), (59.0, Level::Warn), (60.0, Level::Inform), (90.0, Level::Fine)] {
            assert_eq!(s.judge(&eyes(value)).level(), level, "{value}");
        }
        let said = s.judge(&eyes(38.0)).findings.remove(0);
        assert!(said.advice.starts_with("The face is 38 pixels between the eyes; 60 or more are needed."), "{}", said.advice);
        assert_eq!(said.unit, "pixels");
        // A number that misses its limit by little does not read as the limit.
        assert!(s.judge(&eyes(59.7)).findings[0].advice.starts_with("The face is 59.7 pixels between the eyes; 60 or more"));
        assert!(s.judge(&eyes(59.97)).findings[0].advice.starts_with("The face is 59.97 pixels between the eyes; 60 or more"));
        let better = s.judge(&eyes(70.0)).findings.remove(0);
        assert!(better.advice.contains("90 or more would be better"), "{}", better.advice);
    }

    #[test]
    fn what_was_not_measured_is_said_and_never_judged() {
        let s = read("[g]\neyes-open = { block = { below = 90 } }");
        let quality = s.judge(&[Measured { component: Component::EyesOpen, value: None }]);
        assert_eq!(quality.level(), Level::Unmeasured);
        assert!(quality.findings[0].advice.contains("not measured with this model"));
        // A face of which nothing at all is known is not usable.
        assert_eq!(s.judge(&[]).level(), Level::Block);
    }

    #[test]
    fn the_digest_follows_the_limits_and_nothing_else() {
        let one = read("[g]\nsharpness = { warn = { below = 4 } }\nhead-pose-yaw = { warn = { above = 30 } }");
        let same = read("# words\n[g]\nhead-pose-yaw.warn.above = 30.0\nsharpness.warn.below = 4.0\n");
        let other = read("[g]\nsharpness = { block = { below = 4 } }\nhead-pose-yaw = { warn = { above = 30 } }");
        assert_eq!(one.digest(), same.digest());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn a_specification_that_contradicts_itself_is_refused() {
        let refused = |text: &str| ImageSpecification::read(text).unwrap_err().to_string();
        assert!(refused("[g]\nbeauty = { warn = { below = 4 } }").contains("beauty"));
        assert!(refused("[g]\nsharpness = { warns = { below = 4 } }").contains("warns"));
        assert!(refused("[g]\nsharpness = { block = { below = 5 }, warn = { below = 4 } }").contains("further out"));
        assert!(refused("[g]\nsharpness = { block = { above = 5 }, inform = { above = 6 } }").contains("further out"));
        assert!(refused("[g]\nsharpness = { warn = { below = 9, above = 5 } }").contains("no value"));
        assert!(refused("[g]\nsharpness = { warn = { below = nan } }").contains("not a number"));
    }
}

//! Is this face good enough to search with? Numbers with units, and what to do about each.
//!
//! The components are those of ISO/IEC 29794-5:2025 and carry its names; each says here where ours is a
//! simpler measure than that of the standard's reference implementation (OFIQ). Measuring knows no limits:
//! a face has the same numbers whoever asks. What follows from a number is data, a gallery's
//! [`ImageSpecification`] (POLICY A3b, S10).

mod advice;
pub mod discard;
mod measure;
mod pose;
mod specification;

use crate::{DetectedFace, Image};
pub use measure::measure;
use serde::{Deserialize, Serialize};
pub use specification::{Bounds, ImageSpecification, Limits, SpecificationError};

/// What is measured, in the order in which it is told. All values are rounded to hundredths, so that a
/// number is the same wherever it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// *Unified quality score*, 0 (hopeless) to 100; our name leaves out a word that here means a comparison's.
    /// Ours is a product of this list's pixel components, each brought to 0–1 by a fixed ramp; the reference
    /// takes the norm of a MagFace embedding.
    UnifiedQuality,
    /// *Single face present*: faces in the image. The reference compares the areas of the two largest.
    SingleFacePresent,
    /// *Inter-eye distance*: pixels between the centres of the eyes. The reference divides by the cosine
    /// of the yaw; ours is what can be counted on the picture.
    InterEyeDistance,
    /// *Head pose yaw*: degrees turned to a side, without sign. Yaw and pitch are fitted to five points and
    /// a mean head (the reference fits a dense 3D face), good to about 10 degrees.
    HeadPoseYaw,
    /// *Head pose pitch*: degrees raised or lowered, without sign; as yaw.
    HeadPosePitch,
    /// *Head pose roll*: degrees tilted to a shoulder, without sign: the slope of the line of the eyes.
    HeadPoseRoll,
    /// *Leftward crop of the face image*: from between the eyes to the picture's left edge, in distances
    /// between the eyes.
    LeftwardCrop,
    /// *Rightward crop of the face image*, the same to the right.
    RightwardCrop,
    /// *Margin above the face image*, the same upwards.
    MarginAbove,
    /// *Margin below the face image*, the same downwards.
    MarginBelow,
    /// *Sharpness*: standard deviation of the Laplacian on the face brought to 60 pixels between the eyes, in percent
    /// of its dynamic range. The reference feeds such filters to a random forest. Noise counts as detail.
    Sharpness,
    /// *Under-exposure prevention*: percent of the face's pixels with a luminance of 25 or less, as the
    /// reference counts them; ours looks at an ellipse, the reference at a segmented face. A share of lost
    /// pixels, not a mean: a dark skin that is well lit is not dark here.
    UnderExposurePrevention,
    /// *Over-exposure prevention*: percent of the face's pixels with a luminance of 247 or more.
    OverExposurePrevention,
    /// *Dynamic range*: grey levels between the 5th and the 95th percentile of the face's luminance. The
    /// reference takes the entropy of its histogram.
    DynamicRange,
    /// *Illumination uniformity*: the luminance of the darker cheek in percent of the lighter one. The
    /// reference intersects the two cheeks' histograms.
    IlluminationUniformity,
    /// *Compression artefacts*: by how many grey levels luminance steps more at the borders of 8 × 8 blocks
    /// than within them, on the picture's own pixel grid around the face. Tells of JPEG and its kin while the
    /// grid is there; a copy that was scaled afterwards shows as lost sharpness. The reference has a
    /// trained net.
    CompressionArtifacts,
    /// *Background uniformity*: mean difference of neighbouring pixels beside and above the head, in grey
    /// levels, at 12 pixels between the eyes. The reference segments the background.
    BackgroundUniformity,
    /// *Eyes open*: the opening of the narrower eye, in percent of the length from the eyes to the chin.
    /// As the reference, from landmarks; with a model that has 68 of them.
    EyesOpen,
    /// *Mouth closed*: the widest gap between the lips, in percent of the length from the eyes to the
    /// chin; as eyes open.
    MouthClosed,
    /// *Face occlusion prevention*. The reference segments what covers a face; landmarks are also put
    /// on what is covered, so no model here can tell, and that is said instead of a number.
    FaceOcclusionPrevention,
}

impl Component {
    /// Every component, in order.
    pub const ALL: [Self; 20] = [
        Self::UnifiedQuality,
        Self::SingleFacePresent,
        Self::InterEyeDistance,
        Self::HeadPoseYaw,
        Self::HeadPosePitch,
        Self::HeadPoseRoll,
        Self::LeftwardCrop,
        Self::RightwardCrop,
        Self::MarginAbove,
        Self::MarginBelow,
        Self::Sharpness,
        Self::UnderExposurePrevention,
        Self::OverExposurePrevention,
        Self::DynamicRange,
        Self::IlluminationUniformity,
        Self::CompressionArtifacts,
        Self::BackgroundUniformity,
        Self::EyesOpen,
        Self::MouthClosed,
        Self::FaceOcclusionPrevention,
    ];

    /// Its name in data and records, e.g. `inter-eye-distance`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnifiedQuality => "unified-quality",
            Self::SingleFacePresent => "single-face-present",
            Self::InterEyeDistance => "inter-eye-distance",
            Self::HeadPoseYaw => "head-pose-yaw",
            Self::HeadPosePitch => "head-pose-pitch",
            Self::HeadPoseRoll => "head-pose-roll",
            Self::LeftwardCrop => "leftward-crop",
            Self::RightwardCrop => "rightward-crop",
            Self::MarginAbove => "margin-above",
            Self::MarginBelow => "margin-below",
            Self::Sharpness => "sharpness",
            Self::UnderExposurePrevention => "under-exposure-prevention",
            Self::OverExposurePrevention => "over-exposure-prevention",
            Self::DynamicRange => "dynamic-range",
            Self::IlluminationUniformity => "illumination-uniformity",
            Self::CompressionArtifacts => "compression-artifacts",
            Self::BackgroundUniformity => "background-uniformity",
            Self::EyesOpen => "eyes-open",
            Self::MouthClosed => "mouth-closed",
            Self::FaceOcclusionPrevention => "face-occlusion-prevention",
        }
    }

    /// The component of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// One number, without any judgement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was measured.
    pub component: Component,
    /// The value in the component's unit; none where this model or picture gives none.
    pub value: Option<f64>,
}

/// What follows from a finding, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// There is no number to judge.
    Unmeasured,
    /// Meets the specification.
    Fine,
    /// Worth knowing; nothing is asked.
    Inform,
    /// Below what is asked for, but usable.
    Warn,
    /// Not usable: no search with it.
    Block,
}

/// One measured component, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was measured.
    pub component: Component,
    /// The value.
    pub value: Option<f64>,
    /// Its unit, such as `pixels`.
    pub unit: String,
    /// What follows.
    pub level: Level,
    /// The finding in a sentence, with what is needed and what to do.
    pub advice: String,
}

/// All findings on one face.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// In the order of [`Component`].
    pub findings: Vec<Finding>,
}

impl Quality {
    /// The worst level; a face about which nothing is known is not usable.
    #[must_use]
    pub fn level(&self) -> Level {
        self.findings.iter().map(|f| f.level).max().unwrap_or(Level::Block)
    }

    /// The finding on one component.
    #[must_use]
    pub fn finding(&self, component: Component) -> Option<&Finding> {
        self.findings.iter().find(|f| f.component == component)
    }
}

/// What is said of an image in which no face was found.
#[must_use]
pub fn no_face() -> Quality {
    let component = Component::SingleFacePresent;
    Quality {
        findings: vec![Finding {
            component,
            value: Some(0.0),
            unit: advice::unit(component).into(),
            level: Level::Block,
            advice: "No face was found; 1 is needed. Use a picture in which the face is larger, upright and not covered.".into(),
        }],
    }
}

/// Measures one face and judges it. `faces` is how many the image holds.
#[must_use]
pub fn quality(image: &Image<'_>, face: &DetectedFace, faces: usize, specification: &ImageSpecification) -> Quality {
    specification.judge(&measure(image, face, faces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_is_listed_once_and_goes_by_one_name() {
        assert!(Component::ALL.is_sorted());
        for component in Component::ALL {
            assert_eq!(serde_json::to_value(component).unwrap(), component.name());
            assert_eq!(Component::named(component.name()), Some(component));
        }
        assert_eq!(Component::named("beauty"), None);
    }
}

//! Is this face good enough to search with? Numbers with units, and what to do about each.
//!
//! The limits are data ([`ImageSpecification`]): a gallery's policy sets them (POLICY A3b, S10).

use crate::{
    DetectedFace, FACES_PER_IMAGE_MAX, Image,
    engine::alignment,
    pack::Alignment,
    warp::{Clip, warp},
};
use serde::{Deserialize, Serialize};

/// What follows from a finding, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Meets the specification.
    Fine,
    /// Below what is asked for, but usable.
    Warn,
    /// Not usable: no search with it.
    Block,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Faces in the image.
    FaceCount,
    /// Pixels between the centres of the eyes.
    EyeDistance,
    /// Detail within the face.
    Sharpness,
    /// Mean brightness of the face.
    Exposure,
    /// Spread of brightness within the face.
    Contrast,
    /// Head tilted to a shoulder.
    Roll,
    /// Head turned to a side, estimated.
    Yaw,
    /// Face cut by the image's edge.
    Margin,
}

/// The values that are usable, and those that are asked for; both ends belong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Outside it a face is blocked.
    pub usable: (f64, f64),
    /// Outside it a face draws a warning.
    pub asked: (f64, f64),
}

impl Range {
    const fn new(usable: (f64, f64), asked: (f64, f64)) -> Self {
        Self { usable, asked }
    }

    fn level(&self, value: f64) -> Level {
        let within = |(low, high): (f64, f64)| value >= low && value <= high;
        if !within(self.usable) {
            Level::Block
        } else if !within(self.asked) {
            Level::Warn
        } else {
            Level::Fine
        }
    }
}

/// A gallery's requirements for a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageSpecification {
    /// Faces in the image.
    pub face_count: Range,
    /// Pixels.
    pub eye_distance: Range,
    /// Standard deviation of the Laplacian on a chip 60 pixels between the eyes, in grey levels.
    pub sharpness: Range,
    /// Mean grey level, 0 (black) to 255 (white).
    pub exposure: Range,
    /// Standard deviation in grey levels.
    pub contrast: Range,
    /// Degrees from upright, without sign.
    pub roll: Range,
    /// Degrees from frontal, without sign; an estimate from five points.
    pub yaw: Range,
    /// Percent of the face outside the image.
    pub margin: Range,
}

/// "No upper limit", as a number that JSON and TOML can carry.
const ANY: f64 = 1e9;

impl Default for ImageSpecification {
    fn default() -> Self {
        Self {
            face_count: Range::new((1.0, FACES_PER_IMAGE_MAX as f64), (1.0, 1.0)),
            eye_distance: Range::new((24.0, ANY), (60.0, ANY)),
            sharpness: Range::new((2.0, ANY), (4.0, ANY)),
            exposure: Range::new((30.0, 235.0), (60.0, 205.0)),
            contrast: Range::new((10.0, ANY), (25.0, ANY)),
            roll: Range::new((0.0, 60.0), (0.0, 25.0)),
            yaw: Range::new((0.0, 60.0), (0.0, 30.0)),
            margin: Range::new((0.0, 30.0), (0.0, 5.0)),
        }
    }
}

/// One measured component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was measured.
    pub component: Component,
    /// The value.
    pub value: f64,
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
    /// The worst level.
    pub fn level(&self) -> Level {
        let levels = self.findings.iter().map(|f| f.level);
        levels.max().unwrap_or(Level::Block)
    }

    /// The finding on one component.
    pub fn finding(&self, component: Component) -> Option<&Finding> {
        self.findings.iter().find(|f| f.component == component)
    }
}

/// Side of the chip that is measured, in pixels.
const CHIP: u32 = 120;
/// Where the points lie in it: 60 pixels between the eyes. The mouth is placed in the proportions of a mean face.
const CHIP_POINTS: Alignment =
    Alignment { left_eye: [30.0, 44.0], right_eye: [90.0, 44.0], nose: None, left_mouth: [35.0, 113.0], right_mouth: [85.0, 113.0] };
/// How far the nose's tip stands out, as a share of half the distance between the eyes.
const NOSE_DEPTH: f64 = 1.0;

/// What is said of an image in which no face was found.
pub fn no_face() -> Quality {
    Quality {
        findings: vec![Finding {
            component: Component::FaceCount,
            value: 0.0,
            unit: "faces".into(),
            level: Level::Block,
            advice: "No face was found; 1 is needed. Use a picture in which the face is larger, upright and \
                     not covered."
                .into(),
        }],
    }
}

/// Measures one face. `faces` is how many the image holds.
pub fn quality(image: &Image<'_>, face: &DetectedFace, faces: usize, specification: &ImageSpecification) -> Quality {
    let s = specification;
    let chip = Chip::of(image, face);
    let p = &face.points;
    let (dx, dy) = (p.right_eye.x - p.left_eye.x, p.right_eye.y - p.left_eye.y);
    let roll = dy.atan2(dx).to_degrees().abs();
    let mut findings = Vec::new();
    let mut add = |component, value: f64, unit: &str, range: &Range, say: &str, todo: &str| {
        let shown = if value >= 10.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
        let level = range.level(value);
        let needed = needed(range, value);
        let advice = match level {
            Level::Fine => format!("{} {shown} {unit}.", say),
            _ => format!("{} {shown} {unit}; {needed}. {todo}", say),
        };
        findings.push(Finding { component, value, unit: unit.into(), level, advice });
    };
    add(
        Component::FaceCount,
        faces as f64,
        if faces == 1 { "face" } else { "faces" },
        &s.face_count,
        "The picture shows",
        "Mark the person concerned; the others are masked before anyone compares.",
    );
    add(
        Component::EyeDistance,
        p.eye_distance(),
        "pixels between the eyes",
        &s.eye_distance,
        "The face is",
        "Use the original picture, not a reduced or forwarded copy, or one taken nearer.",
    );
    add(
        Component::Sharpness,
        chip.sharpness,
        "grey levels of fine detail",
        &s.sharpness,
        "The face has",
        "Use a picture that is in focus and not strongly compressed.",
    );
    add(
        Component::Exposure,
        chip.mean,
        "of 255 in brightness",
        &s.exposure,
        "The face is",
        "Use a picture in which the face is neither dark nor washed out.",
    );
    add(
        Component::Contrast,
        chip.deviation,
        "grey levels of contrast",
        &s.contrast,
        "The face has",
        "Use a picture with more even light on the face and less haze.",
    );
    add(Component::Roll, roll, "degrees to one side", &s.roll, "The head is tilted", "Turn the picture upright.");
    add(
        Component::Yaw,
        yaw(face),
        "degrees away from the camera (an estimate)",
        &s.yaw,
        "The head is turned about",
        "Use a picture in which the person looks towards the camera.",
    );
    add(
        Component::Margin,
        chip.outside * 100.0,
        "percent cut off by the edge of the picture",
        &s.margin,
        "The face is",
        "Use a picture that shows the whole face, or crop less tightly.",
    );
    Quality { findings }
}

/// What a range asks, in words, on the side that the value missed.
fn needed(range: &Range, value: f64) -> String {
    let (low, high) = range.asked;
    if value < low {
        format!("{low:.0} or more are needed")
    } else if low == high {
        format!("{high:.0} is expected")
    } else {
        format!("{high:.0} at most are wanted")
    }
}

/// Degrees from frontal, from where the nose's tip stands between the eyes: with the eyes at ±1 and the nose
/// `NOSE_DEPTH` before them, a head turned by θ shows it at `NOSE_DEPTH · tan θ` of their half distance.
fn yaw(face: &DetectedFace) -> f64 {
    let p = &face.points;
    let (dx, dy) = (p.right_eye.x - p.left_eye.x, p.right_eye.y - p.left_eye.y);
    let square = dx * dx + dy * dy;
    if square <= f64::EPSILON {
        return 90.0;
    }
    let mid_x = (p.left_eye.x + p.right_eye.x) / 2.0;
    let mid_y = (p.left_eye.y + p.right_eye.y) / 2.0;
    let along = ((p.nose.x - mid_x) * dx + (p.nose.y - mid_y) * dy) / square;
    (2.0 * along / NOSE_DEPTH).atan().to_degrees().abs()
}

/// Brightness measures on the face, turned upright and brought to one size.
struct Chip {
    mean: f64,
    deviation: f64,
    sharpness: f64,
    outside: f64,
}

impl Chip {
    fn of(image: &Image<'_>, face: &DetectedFace) -> Self {
        let Some(map) = alignment(&CHIP_POINTS, face) else {
            return Self { mean: 0.0, deviation: 0.0, sharpness: 0.0, outside: 1.0 };
        };
        let (pixels, outside) = warp(image, Clip::whole(image), map, CHIP, CHIP);
        // Rec. 601 luma, as JPEG uses.
        let grey: Vec<f64> = pixels.iter().map(|p| 0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2])).collect();
        let (mean, deviation) = spread(&grey);
        let side = CHIP as usize;
        let inner = (1..side - 1).flat_map(|y| (1..side - 1).map(move |x| y * side + x));
        let laplacian: Vec<f64> = inner.map(|i| grey[i - 1] + grey[i + 1] + grey[i - side] + grey[i + side] - 4.0 * grey[i]).collect();
        Self { mean, deviation, sharpness: spread(&laplacian).1, outside }
    }
}

/// Mean and standard deviation.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|v| (v - mean) * (v - mean));
    (mean, (squares.sum::<f64>() / n).sqrt())
}

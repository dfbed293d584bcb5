//! From pixels to numbers. Everything that depends on scale or tilt is measured on the face turned upright and
//! brought to one size; what depends on the picture's own grid is measured there.

use super::{Component, Measured, pose::pose};
use crate::{
    DetectedFace, Image,
    detect::{Area, Point},
    engine::alignment,
    pack::Alignment,
    warp::{Clip, Similarity, warp},
};

/// The face's chip, in pixels: 60 between the eyes, from forehead to below the mouth.
const FACE: (u32, u32) = (120, 150);
const FACE_POINTS: Alignment =
    Alignment { left_eye: [30.0, 50.0], right_eye: [90.0, 50.0], nose: None, left_mouth: [35.0, 119.0], right_mouth: [85.0, 119.0] };
/// The face within it: an ellipse that leaves hair, ears and background out.
const FACE_ELLIPSE: Ellipse = Ellipse { x: 60.0, y: 80.0, half_width: 54.0, half_height: 68.0 };
/// A cheek, in its chip: from where, and how many pixels a side (0.4 of the distance between the eyes).
const CHEEKS: [(u32, u32); 2] = [(18, 72), (78, 72)];
const CHEEK_SIDE: u32 = 24;

/// What is around the face: 12 pixels between the eyes, 3.5 eye distances to each side, 2.5 upwards.
const ROUND: (u32, u32) = (84, 46);
const ROUND_POINTS: Alignment =
    Alignment { left_eye: [36.0, 30.0], right_eye: [48.0, 30.0], nose: None, left_mouth: [37.0, 43.8], right_mouth: [47.0, 43.8] };
/// The head and its hair within it.
const HEAD_ELLIPSE: Ellipse = Ellipse { x: 42.0, y: 34.0, half_width: 20.0, half_height: 30.0 };
/// The fewest pixels of background that are worth measuring.
const BACKGROUND_PIXELS_MIN: usize = 200;

/// Luminances that count as lost in shadow (up to) and washed out (from), as in ISO/IEC 29794-5.
const SHADOW: f64 = 25.0;
const WASHED: f64 = 247.0;

/// The side of a compression block, in pixels (JPEG; H.264 and VP8 in their larger transforms).
const BLOCK: usize = 8;
/// The part of the picture that is looked at for them, in pixels a side.
const BLOCKS_SIDE: std::ops::RangeInclusive<i64> = 48..=640;
/// Steps of luminance larger than this are edges of what is shown, not of blocks.
const BLOCK_STEP_MAX: f64 = 24.0;

/// The unified score's ramps: the value of a component at which it contributes nothing, and that from which it
/// contributes fully. Set by hand where the YuNet + MobileFaceNet engine begins to miss on worse copies of Labeled Faces in the
/// Wild; the bundled engine's curve is the check (`examples/discard.rs`, docs/QUALITY.md).
const RAMPS: [(Component, f64, f64); 9] = [
    (Component::InterEyeDistance, 2.0, 20.0),
    (Component::HeadPoseYaw, 60.0, 17.0),
    (Component::HeadPosePitch, 60.0, 12.0),
    (Component::HeadPoseRoll, 120.0, 40.0),
    (Component::Sharpness, 0.3, 5.0),
    (Component::UnderExposurePrevention, 130.0, 50.0),
    (Component::OverExposurePrevention, 95.0, 15.0),
    (Component::DynamicRange, 1.0, 40.0),
    (Component::CompressionArtifacts, 10.0, 2.5),
];

/// Measures one face, every component in order. `faces` is how many the image holds.
///
/// The same image and face give the same numbers, on every machine and run.
#[must_use]
pub fn measure(image: &Image<'_>, face: &DetectedFace, faces: usize) -> Vec<Measured> {
    let pose = pose(&face.points);
    let chip = Chip::of(image, face);
    let landmarks = Landmarks::of(face);
    let room = room(image, face);
    let pixels = |of: fn(&Chip) -> f64| chip.as_ref().map(of);
    let mut all: Vec<Measured> = Component::ALL
        .into_iter()
        .map(|component| {
            let value = match component {
                // From the others, below.
                Component::UnifiedQuality => None,
                Component::SingleFacePresent => Some(faces as f64),
                Component::InterEyeDistance => Some(face.points.eye_distance()),
                Component::HeadPoseYaw => pose.map(|p| p.yaw),
                Component::HeadPosePitch => pose.map(|p| p.pitch),
                Component::HeadPoseRoll => pose.map(|p| p.roll),
                Component::LeftwardCrop => room.map(|r| r[0]),
                Component::RightwardCrop => room.map(|r| r[1]),
                Component::MarginAbove => room.map(|r| r[2]),
                Component::MarginBelow => room.map(|r| r[3]),
                Component::Sharpness => pixels(|c| c.sharpness),
                Component::UnderExposurePrevention => pixels(|c| c.shadow),
                Component::OverExposurePrevention => pixels(|c| c.washed),
                Component::DynamicRange => pixels(|c| c.range),
                Component::IlluminationUniformity => pixels(|c| c.evenness),
                Component::CompressionArtifacts => blocks(image, &face.area),
                Component::BackgroundUniformity => background(image, face),
                Component::EyesOpen => landmarks.as_ref().map(|l| l.eyes),
                Component::MouthClosed => landmarks.as_ref().map(|l| l.mouth),
                Component::FaceOcclusionPrevention => None,
            };
            Measured { component, value: value.filter(|v| v.is_finite()).map(rounded) }
        })
        .collect();
    let unified = unified(&all);
    if let Some(first) = all.first_mut() {
        first.value = unified;
    }
    all
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// 0 to 100: the product of the ramps. What a picture lacks in one respect, it does not gain in another. None
/// where the face could not be measured.
fn unified(all: &[Measured]) -> Option<f64> {
    let ramp = |(component, nothing, full): (Component, f64, f64)| {
        let value = all.iter().find(|m| m.component == component)?.value;
        // A picture that is too small for a compression measure says nothing against itself by that.
        match value {
            None if component == Component::CompressionArtifacts => Some(1.0),
            None => None,
            Some(v) => Some(((v - nothing) / (full - nothing)).clamp(0.0, 1.0)),
        }
    };
    let product: Option<f64> = RAMPS.into_iter().map(ramp).product();
    product.map(|p| rounded(100.0 * p))
}

/// From the middle between the eyes to the picture's left, right, top and bottom edge, in eye distances.
fn room(image: &Image<'_>, face: &DetectedFace) -> Option<[f64; 4]> {
    let (l, r, unit) = (face.points.left_eye, face.points.right_eye, face.points.eye_distance());
    let (x, y) = ((l.x + r.x) / 2.0, (l.y + r.y) / 2.0);
    let (w, h) = (f64::from(image.width()), f64::from(image.height()));
    (unit > f64::EPSILON).then(|| [x, w - x, y, h - y].map(|v| v.max(0.0) / unit))
}

struct Ellipse {
    x: f64,
    y: f64,
    half_width: f64,
    half_height: f64,
}

impl Ellipse {
    fn holds(&self, x: u32, y: u32) -> bool {
        let (dx, dy) = ((f64::from(x) - self.x) / self.half_width, (f64::from(y) - self.y) / self.half_height);
        dx * dx + dy * dy <= 1.0
    }
}

/// Rec. 601 luma, as JPEG uses: 0 to 255.
fn luma(p: [f32; 3]) -> f64 {
    0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2])
}

/// A part of the picture, upright and at one size, in luma; where it reaches over the picture's edge there is none.
struct Upright {
    width: u32,
    height: u32,
    luma: Vec<Option<f64>>,
}

impl Upright {
    fn of(image: &Image<'_>, face: &DetectedFace, points: &Alignment, (width, height): (u32, u32)) -> Option<Self> {
        let map: Similarity = alignment(points, face)?;
        let (pixels, _) = warp(image, Clip::whole(image), map, width, height);
        let (right, bottom) = (f64::from(image.width()) - 1.0, f64::from(image.height()) - 1.0);
        let inside = |x: u32, y: u32| {
            let [x, y] = map.apply(f64::from(x), f64::from(y));
            (0.0..=right).contains(&x) && (0.0..=bottom).contains(&y)
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let luma = places.zip(pixels).map(|((x, y), p)| inside(x, y).then(|| luma(p))).collect();
        Some(Self { width, height, luma })
    }

    /// The luma at a place, where there is one.
    fn at(&self, x: u32, y: u32) -> Option<f64> {
        (x < self.width && y < self.height).then(|| self.luma.get((y * self.width + x) as usize).copied().flatten()).flatten()
    }

    /// The places that a test holds.
    fn places(&self, holds: impl Fn(u32, u32) -> bool) -> impl Iterator<Item = (u32, u32)> {
        let width = self.width;
        (0..self.height).flat_map(move |y| (0..width).map(move |x| (x, y))).filter(move |(x, y)| holds(*x, *y))
    }
}

/// What light and detail the face has.
struct Chip {
    sharpness: f64,
    shadow: f64,
    washed: f64,
    range: f64,
    evenness: f64,
}

impl Chip {
    fn of(image: &Image<'_>, face: &DetectedFace) -> Option<Self> {
        let chip = Upright::of(image, face, &FACE_POINTS, FACE)?;
        let on_face = |x, y| FACE_ELLIPSE.holds(x, y);
        let mut values: Vec<f64> = chip.places(on_face).filter_map(|(x, y)| chip.at(x, y)).collect();
        if values.is_empty() {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let percent = |count: usize| 100.0 * count as f64 / values.len() as f64;
        let shadow = percent(values.partition_point(|v| *v <= SHADOW));
        let washed = percent(values.len() - values.partition_point(|v| *v < WASHED));
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        let laplacian: Vec<f64> = chip
            .places(on_face)
            .filter(|(x, y)| *x > 0 && *y > 0)
            .filter_map(|(x, y)| {
                let round = chip.at(x - 1, y)? + chip.at(x + 1, y)? + chip.at(x, y - 1)? + chip.at(x, y + 1)?;
                Some(round - 4.0 * chip.at(x, y)?)
            })
            .collect();
        let [left, right] = CHEEKS.map(|(x0, y0)| {
            let cheek = |x, y| (x0..x0 + CHEEK_SIDE).contains(&x) && (y0..y0 + CHEEK_SIDE).contains(&y);
            mean(&chip.places(cheek).filter_map(|(x, y)| chip.at(x, y)).collect::<Vec<_>>())
        });
        // Black on both sides is even.
        let evenness = if left.max(right) > 0.0 { 100.0 * left.min(right) / left.max(right) } else { 100.0 };
        let range = at(0.95) - at(0.05);
        // A dim or hazy face is not a blurred one: detail counts against the contrast that there is. Below a grey level there
        // is none.
        let sharpness = 100.0 * deviation(&laplacian) / range.max(1.0);
        Some(Self { sharpness, shadow, washed, range, evenness })
    }
}

/// Mean difference between neighbours beside and above the head; none if the picture shows too little of it.
fn background(image: &Image<'_>, face: &DetectedFace) -> Option<f64> {
    let round = Upright::of(image, face, &ROUND_POINTS, ROUND)?;
    let behind = |x, y| !HEAD_ELLIPSE.holds(x, y);
    let steps: Vec<f64> = round
        .places(|x, y| behind(x, y) && behind(x + 1, y) && behind(x, y + 1))
        .filter_map(|(x, y)| {
            let here = round.at(x, y)?;
            Some(((round.at(x + 1, y)? - here).abs() + (round.at(x, y + 1)? - here).abs()) / 2.0)
        })
        .collect();
    (steps.len() >= BACKGROUND_PIXELS_MIN).then(|| mean(&steps))
}

/// By how many grey levels luminance steps more at the borders of blocks than within them, around the face. A picture that
/// was cropped or turned after compression has its blocks begin anywhere, so the strongest of the eight places counts,
/// across and down. Chance alone gives a few tenths.
fn blocks(image: &Image<'_>, area: &Area) -> Option<f64> {
    let span = |start: f64, length: f64, all: u32| {
        // Half a face more on each side.
        let middle = (start + length / 2.0).clamp(-1e9, 1e9) as i64;
        let half = (length as i64).clamp(0, *BLOCKS_SIDE.end() / 2);
        let (from, to) = ((middle - half).max(0), (middle + half).min(i64::from(all)));
        (to - from >= *BLOCKS_SIDE.start()).then_some((from as usize, to as usize))
    };
    let (left, right) = span(area.x, area.width, image.width())?;
    let (top, bottom) = span(area.y, area.height, image.height())?;
    let stride = image.width() as usize;
    let at = |x: usize, y: usize| {
        let p = &image.rgb()[(y * stride + x) * 3..][..3];
        luma([f32::from(p[0]), f32::from(p[1]), f32::from(p[2])])
    };
    let (mut across, mut down) = ([0.0; BLOCK], [0.0; BLOCK]);
    // Whole blocks, so that each place is counted as often as every other.
    let whole = |from: usize, to: usize| from..from + (to - from - 1) / BLOCK * BLOCK;
    for y in whole(top, bottom) {
        for x in whole(left, right) {
            let here = at(x, y);
            across[x % BLOCK] += (at(x + 1, y) - here).abs().min(BLOCK_STEP_MAX);
            down[y % BLOCK] += (at(x, y + 1) - here).abs().min(BLOCK_STEP_MAX);
        }
    }
    let excess = |places: [f64; BLOCK]| {
        let most = places.iter().copied().fold(0.0, f64::max);
        most - (places.iter().sum::<f64>() - most) / (BLOCK - 1) as f64
    };
    let (rows, columns) = (whole(top, bottom).len(), whole(left, right).len());
    let steps = (rows * columns / BLOCK).max(1) as f64;
    Some((excess(across) + excess(down)) / 2.0 / steps)
}

/// What the 68 points of a landmark net say (iBUG 300-W order), in percent of the length from eyes to chin.
struct Landmarks {
    eyes: f64,
    mouth: f64,
}

impl Landmarks {
    fn of(face: &DetectedFace) -> Option<Self> {
        let p: &[Point; 68] = face.outline.as_slice().try_into().ok()?;
        let (l, r) = (face.points.left_eye, face.points.right_eye);
        let length = Point { x: (l.x + r.x) / 2.0, y: (l.y + r.y) / 2.0 }.distance(p[8]);
        if length <= f64::EPSILON {
            return None;
        }
        let gap = |upper: usize, lower: usize| p[upper].distance(p[lower]);
        let eyes = [(gap(37, 41) + gap(38, 40)) / 2.0, (gap(43, 47) + gap(44, 46)) / 2.0];
        let mouth = [gap(61, 67), gap(62, 66), gap(63, 65)];
        Some(Self {
            eyes: 100.0 * eyes.into_iter().fold(f64::MAX, f64::min) / length,
            mouth: 100.0 * mouth.into_iter().fold(0.0, f64::max) / length,
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    mean(&values.iter().map(|v| (v - middle) * (v - middle)).collect::<Vec<_>>()).sqrt()
}

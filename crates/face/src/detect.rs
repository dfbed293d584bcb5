//! From a detector's numbers to faces in image pixels, in an order that does not depend on chance.

use crate::{
    FACES_PER_IMAGE_MAX, FaceError, Image,
    pack::Detector,
    warp::{Clip, Similarity},
};
use serde::{Deserialize, Serialize};

/// A place in an image, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
}

impl Point {
    pub(crate) fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    pub(crate) fn array(self) -> [f64; 2] {
        [self.x, self.y]
    }
}

/// A face's box in pixels. It may reach over the image's edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Area {
    fn from_edges(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self { x: left, y: top, width: right - left, height: bottom - top }
    }

    /// Intersection over union, 0 to 1.
    pub fn overlap(&self, other: &Self) -> f64 {
        let side = |a: f64, aw: f64, b: f64, bw: f64| ((a + aw).min(b + bw) - a.max(b)).max(0.0);
        let both = side(self.x, self.width, other.x, other.width) * side(self.y, self.height, other.y, other.height);
        let union = self.width * self.height + other.width * other.height - both;
        if union > 0.0 { both / union } else { 0.0 }
    }
}

/// The five points that alignment uses. *Left* and *right* are the image's, not the person's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Points {
    /// Centre of the eye on the image's left.
    pub left_eye: Point,
    /// Centre of the eye on the image's right.
    pub right_eye: Point,
    /// Tip of the nose.
    pub nose: Point,
    /// Corner of the mouth on the image's left.
    pub left_mouth: Point,
    /// Corner of the mouth on the image's right.
    pub right_mouth: Point,
}

impl Points {
    /// Pixels between the centres of the eyes.
    pub fn eye_distance(&self) -> f64 {
        self.left_eye.distance(self.right_eye)
    }
}

/// One face that the detector found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectedFace {
    /// 0 for the leftmost face, then rightwards (ties from the top): what a person counts.
    pub index: usize,
    /// The box.
    pub area: Area,
    /// The detector's score, 0 to 1. It says *a face is here*, nothing about whose.
    pub score: f64,
    /// The points that alignment uses.
    pub points: Points,
    /// All 68 points in the iBUG 300-W order, where the landmark net gives them; else empty.
    pub outline: Vec<Point>,
}

/// A box with a score, and points where the detector gives them.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) area: Area,
    pub(crate) score: f64,
    pub(crate) points: Option<Points>,
}

/// How an image is laid into a detector's input: its longest side takes the share `fill` of it, the rest is black.
pub(crate) fn layout(image: &Image<'_>, detector: &Detector, fill: f64) -> Similarity {
    let input = &detector.input;
    let (w, h) = (f64::from(image.width()), f64::from(image.height()));
    let mut scale = (w / f64::from(input.width)).max(h / f64::from(input.height));
    if !input.enlarge {
        scale = scale.max(1.0);
    }
    Similarity::scaling(scale / fill, 0.0, 0.0)
}

/// Boxes of the SSD: rows of top, left, bottom, right, relative to the input's sides.
pub(crate) fn ssd(boxes: &[f32], scores: &[f32], detector: &Detector, scale: f64) -> Vec<Found> {
    let width = f64::from(detector.input.width) * scale;
    let height = f64::from(detector.input.height) * scale;
    boxes
        .chunks_exact(4)
        .zip(scores)
        .filter(|(_, score)| **score > detector.score_min)
        .map(|(b, score)| {
            let edge = |v: f32| f64::from(v.clamp(0.0, 1.0));
            Found {
                area: Area::from_edges(edge(b[1]) * width, edge(b[0]) * height, edge(b[3]) * width, edge(b[2]) * height),
                score: f64::from(*score),
                points: None,
            }
        })
        .collect()
}

/// One stride of YuNet's outputs.
pub(crate) struct YuNetStride<'a> {
    pub(crate) stride: u32,
    pub(crate) class: &'a [f32],
    pub(crate) object: &'a [f32],
    pub(crate) boxes: &'a [f32],
    pub(crate) points: &'a [f32],
}

/// Boxes and points of YuNet (Wu, Peng and Yu 2023), decoded cell by cell.
pub(crate) fn yunet(part: &YuNetStride<'_>, detector: &Detector, scale: f64) -> Vec<Found> {
    let columns = (detector.input.width / part.stride) as usize;
    let stride = f64::from(part.stride);
    let values = part.class.iter().zip(part.object);
    let geometry = part.boxes.chunks_exact(4).zip(part.points.chunks_exact(10));
    values
        .zip(geometry)
        .enumerate()
        .filter_map(|(cell, ((class, object), (b, k)))| {
            let score = (class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0)).sqrt();
            if score <= detector.score_min {
                return None;
            }
            let (column, row) = ((cell % columns) as f64, (cell / columns) as f64);
            let centre_x = (column + f64::from(b[0])) * stride * scale;
            let centre_y = (row + f64::from(b[1])) * stride * scale;
            let width = f64::from(b[2]).exp() * stride * scale;
            let height = f64::from(b[3]).exp() * stride * scale;
            let point = |i: usize| Point {
                x: (f64::from(k[2 * i]) + column) * stride * scale,
                y: (f64::from(k[2 * i + 1]) + row) * stride * scale,
            };
            Some(Found {
                area: Area { x: centre_x - width / 2.0, y: centre_y - height / 2.0, width, height },
                score: f64::from(score),
                points: Some(Points {
                    left_eye: point(0),
                    right_eye: point(1),
                    nose: point(2),
                    left_mouth: point(3),
                    right_mouth: point(4),
                }),
            })
        })
        .collect()
}

/// Keeps the best of overlapping boxes, drops what lies outside the image, and orders the rest.
///
/// # Errors
/// [`FaceError::TooManyFaces`] past [`FACES_PER_IMAGE_MAX`].
pub(crate) fn settle(mut found: Vec<Found>, overlap_max: f32, image: &Image<'_>) -> Result<Vec<Found>, FaceError> {
    let (w, h) = (f64::from(image.width()), f64::from(image.height()));
    found.retain(|f| {
        let a = &f.area;
        let whole = [a.x, a.y, a.width, a.height].iter().all(|v| v.is_finite());
        whole && a.width >= 1.0 && a.height >= 1.0 && a.x < w && a.y < h && a.x + a.width > 0.0
    });
    // Equal scores fall back on place, so that the result does not depend on the sort.
    found.sort_by(|a, b| {
        let place = |f: &Found| (f.area.x, f.area.y);
        let order = b.score.total_cmp(&a.score);
        order.then(place(a).0.total_cmp(&place(b).0)).then(place(a).1.total_cmp(&place(b).1))
    });
    let mut kept: Vec<Found> = Vec::new();
    for candidate in found {
        let overlaps = |k: &Found| k.area.overlap(&candidate.area) > f64::from(overlap_max);
        if !kept.iter().any(overlaps) {
            kept.push(candidate);
        }
    }
    if kept.len() > FACES_PER_IMAGE_MAX {
        return Err(FaceError::TooManyFaces { found: kept.len() });
    }
    kept.sort_by(|a, b| {
        let order = a.area.x.total_cmp(&b.area.x);
        order.then(a.area.y.total_cmp(&b.area.y))
    });
    Ok(kept)
}

/// How a box is laid into the landmark net's input: centred, its longest side fits, black around it.
pub(crate) fn landmark_layout(image: &Image<'_>, area: &Area, width: u32, height: u32) -> (Clip, Similarity) {
    let left = area.x.floor().max(0.0);
    let top = area.y.floor().max(0.0);
    let right = (area.x + area.width).min(f64::from(image.width()));
    let bottom = (area.y + area.height).min(f64::from(image.height()));
    let (w, h) = ((right - left).max(1.0), (bottom - top).max(1.0));
    let scale = (w / f64::from(width)).max(h / f64::from(height));
    let spare_x = (f64::from(width) * scale - w) / 2.0;
    let spare_y = (f64::from(height) * scale - h) / 2.0;
    (Clip::new(image, left, top, right, bottom), Similarity::scaling(scale, left - spare_x, top - spare_y))
}

/// Places 68 relative points in the image and picks the five.
pub(crate) fn sixty_eight(values: &[f32], width: u32, height: u32, map: Similarity) -> Option<(Vec<Point>, Points)> {
    let outline: Vec<Point> = values
        .chunks_exact(2)
        .map(|v| {
            // Relative coordinates run from edge to edge; pixel centres lie half a pixel in.
            let [x, y] = map.apply(f64::from(v[0]) * f64::from(width) - 0.5, f64::from(v[1]) * f64::from(height) - 0.5);
            Point { x, y }
        })
        .collect();
    if outline.len() != 68 || outline.iter().any(|p| !p.x.is_finite() || !p.y.is_finite()) {
        return None;
    }
    let centre = |range: std::ops::Range<usize>| {
        let part = &outline[range];
        let n = part.len() as f64;
        Point { x: part.iter().map(|p| p.x).sum::<f64>() / n, y: part.iter().map(|p| p.y).sum::<f64>() / n }
    };
    let points = Points {
        left_eye: centre(36..42),
        right_eye: centre(42..48),
        nose: outline[30],
        left_mouth: outline[48],
        right_mouth: outline[54],
    };
    Some((outline, points))
}

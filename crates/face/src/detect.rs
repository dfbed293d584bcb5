//! From a detector's numbers to faces in image pixels, in an order that does not depend on chance.

use crate::{
    Image,
    pack::{Detector, Input},
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

/// The five points that alignment uses. *Left* and *right* are the image's when the face stands upright in it,
/// not the person's.
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

    /// Degrees clockwise from upright in the image's plane: above -180, at most 180.
    pub(crate) fn roll(&self) -> f64 {
        (self.right_eye.y - self.left_eye.y).atan2(self.right_eye.x - self.left_eye.x).to_degrees()
    }
}

/// One face that the detector found. On the same pixels a model finds the same faces in the same order, so `index`
/// names a face of *these* pixels; in a copy that was encoded again, use [`DetectedFace::nearest`].
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

/// The least overlap (intersection over union) at which two boxes are one face found twice.
const SAME_FACE_OVERLAP_MIN: f64 = 0.5;

impl DetectedFace {
    /// How far the face is turned in the image's plane, in degrees clockwise from upright: above -180, at most 180.
    pub fn roll(&self) -> f64 {
        self.points.roll()
    }

    /// Among faces found in another copy of the same size (encoded again, or by another model), the one that stands
    /// where this box does. `None` if none overlaps it by half.
    pub fn nearest<'a>(area: &Area, faces: &'a [Self]) -> Option<&'a Self> {
        let best = faces.iter().max_by(|a, b| area.overlap(&a.area).total_cmp(&area.overlap(&b.area)))?;
        (area.overlap(&best.area) >= SAME_FACE_OVERLAP_MIN).then_some(best)
    }
}

/// A box with a score, and points where the detector gives them.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) area: Area,
    pub(crate) score: f64,
    pub(crate) points: Option<Points>,
}

/// A window's side, in sides of the face that it is on.
const WINDOW_SIDES: f64 = 2.0;
/// A window's side in a detector's input, in pixels.
const WINDOW_PIXELS: u32 = 192;

/// The picture as it looks when it is turned about its centre.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Frame pixel → image pixel.
    pub(crate) map: Similarity,
    /// Degrees by which the picture is turned, clockwise.
    pub(crate) degrees: f64,
    /// Pixels.
    pub(crate) width: f64,
    /// Pixels.
    pub(crate) height: f64,
}

impl Frame {
    /// The whole picture, turned clockwise by so many degrees.
    pub(crate) fn turned(image: &Image<'_>, degrees: f64) -> Self {
        let (sin, cos) = sin_cos(degrees);
        let (w, h) = (f64::from(image.width()), f64::from(image.height()));
        let (width, height) = (w * f64::abs(cos) + h * f64::abs(sin), w * f64::abs(sin) + h * f64::abs(cos));
        Self::centred([(w - 1.0) / 2.0, (h - 1.0) / 2.0], degrees, width, height)
    }

    /// A square window on an area of the image and what is around it, turned in the same way.
    pub(crate) fn window(area: &Area, degrees: f64) -> Self {
        let side = WINDOW_SIDES * area.width.max(area.height);
        Self::centred([area.x + (area.width - 1.0) / 2.0, area.y + (area.height - 1.0) / 2.0], degrees, side, side)
    }

    fn centred(centre: [f64; 2], degrees: f64, width: f64, height: f64) -> Self {
        let (sin, cos) = sin_cos(degrees);
        // Back from the frame: turned the other way, centre on centre.
        let back = Similarity { a: cos, b: -sin, c: 0.0, d: 0.0 };
        let [x, y] = back.apply((width - 1.0) / 2.0, (height - 1.0) / 2.0);
        Self { map: Similarity { c: centre[0] - x, d: centre[1] - y, ..back }, degrees, width, height }
    }

    /// The same frame, of an image of which the one that it was made for is a copy `scale` times smaller.
    pub(crate) fn of_larger(self, scale: f64) -> Self {
        Self { map: Similarity::scaling(scale, 0.0, 0.0).after(&self.map), ..self }
    }

    /// The smallest upright box in the image around a box of the frame.
    pub(crate) fn area(&self, area: &Area) -> Area {
        let (right, bottom) = (area.x + area.width, area.y + area.height);
        // Edges lie half a pixel off the centres that the map is for.
        let corners = [(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)].map(|(x, y)| self.map.apply(x - 0.5, y - 0.5));
        let least = |k: usize| corners.iter().map(|c| c[k]).fold(f64::INFINITY, f64::min) + 0.5;
        let most = |k: usize| corners.iter().map(|c| c[k]).fold(f64::NEG_INFINITY, f64::max) + 0.5;
        Area::from_edges(least(0), least(1), most(0), most(1))
    }

    /// Where a point of the frame lies in the image.
    pub(crate) fn point(&self, point: Point) -> Point {
        let [x, y] = self.map.apply(point.x, point.y);
        Point { x, y }
    }
}

/// Sine and cosine. Quarter turns are exact: pixels fall on pixels.
fn sin_cos(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        other => other.to_radians().sin_cos(),
    }
}

/// The face nearest the middle of a window, if it is about as large as the one that the window was made for.
pub(crate) fn middle(found: Vec<Found>, frame: &Frame) -> Option<Found> {
    let side = frame.width / WINDOW_SIDES;
    let off = |f: &Found| {
        let (x, y) = (f.area.x + f.area.width / 2.0, f.area.y + f.area.height / 2.0);
        (x - frame.width / 2.0).hypot(y - frame.height / 2.0)
    };
    let alike = |f: &Found| off(f) < side / 2.0 && (0.5..2.0).contains(&(f.area.width.max(f.area.height) / side));
    found.into_iter().filter(alike).min_by(|a, b| off(a).total_cmp(&off(b)))
}

/// How a frame is laid into a detector's input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Frame pixels per input pixel.
    pub(crate) scale: f64,
    /// Pixels of input.
    pub(crate) width: u32,
    /// Pixels of input.
    pub(crate) height: u32,
}

impl Layout {
    /// A window fills an input of [`WINDOW_PIXELS`].
    pub(crate) fn window(frame: &Frame) -> Self {
        Self { scale: frame.width / f64::from(WINDOW_PIXELS), width: WINDOW_PIXELS, height: WINDOW_PIXELS }
    }

    /// Top left, the longest side taking the share `fill` of what it would; the rest is black.
    pub(crate) fn of(frame: &Frame, input: &Input, fill: f64) -> Self {
        let fitted = (frame.width / f64::from(input.width)).max(frame.height / f64::from(input.height));
        match input.multiple_of {
            None => Self { scale: fitted / fill, width: input.width, height: input.height },
            Some(multiple) => {
                let scale = fitted.max(1.0) / fill;
                // A hair less, so that rounding does not cost a whole further block.
                let side = |v: f64| (((v / scale - 1e-6).ceil().max(1.0)) as u32).next_multiple_of(multiple);
                Self { scale, width: side(frame.width), height: side(frame.height) }
            }
        }
    }
}

/// Boxes of the SSD: rows of top, left, bottom, right, relative to the input's sides.
pub(crate) fn ssd(boxes: &[f32], scores: &[f32], detector: &Detector, layout: &Layout) -> Vec<Found> {
    let width = f64::from(layout.width) * layout.scale;
    let height = f64::from(layout.height) * layout.scale;
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
pub(crate) fn yunet(part: &YuNetStride<'_>, detector: &Detector, layout: &Layout) -> Vec<Found> {
    let scale = layout.scale;
    let columns = (layout.width / part.stride) as usize;
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
            // Points are places of pixel centres, unlike the box's edges.
            let place = |cells: f64| (cells * stride + 0.5) * scale - 0.5;
            let point = |i: usize| Point { x: place(f64::from(k[2 * i]) + column), y: place(f64::from(k[2 * i + 1]) + row) };
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

/// Keeps the best of overlapping boxes and drops what lies outside the frame. The best comes first.
pub(crate) fn settle(mut found: Vec<Found>, overlap_max: f32, frame: &Frame) -> Vec<Found> {
    found.retain(|f| {
        let a = &f.area;
        let whole = [a.x, a.y, a.width, a.height].iter().all(|v| v.is_finite());
        whole && a.width >= 1.0 && a.height >= 1.0 && a.x < frame.width && a.y < frame.height && a.x + a.width > 0.0 && a.y + a.height > 0.0
    });
    // Equal scores fall back on place, so that the result does not depend on the sort.
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.area.x.total_cmp(&b.area.x)).then(a.area.y.total_cmp(&b.area.y)));
    let mut kept: Vec<Found> = Vec::new();
    for candidate in found {
        let overlaps = |k: &Found| k.area.overlap(&candidate.area) > f64::from(overlap_max);
        if !kept.iter().any(overlaps) {
            kept.push(candidate);
        }
    }
    kept
}

/// Numbers faces from the left, ties from the top.
pub(crate) fn counted(mut faces: Vec<DetectedFace>) -> Vec<DetectedFace> {
    faces.sort_by(|a, b| a.area.x.total_cmp(&b.area.x).then(a.area.y.total_cmp(&b.area.y)));
    (0..).zip(&mut faces).for_each(|(index, face)| face.index = index);
    faces
}

/// How a box of the frame is laid into the landmark net's input: centred, its longest side fits, black around it.
pub(crate) fn landmark_layout(image: &Image<'_>, frame: &Frame, area: &Area, width: u32, height: u32) -> (Clip, Similarity) {
    let left = area.x.floor().max(0.0);
    let top = area.y.floor().max(0.0);
    let right = (area.x + area.width).min(frame.width);
    let bottom = (area.y + area.height).min(frame.height);
    let (w, h) = ((right - left).max(1.0), (bottom - top).max(1.0));
    let scale = (w / f64::from(width)).max(h / f64::from(height));
    let spare_x = (f64::from(width) * scale - w) / 2.0;
    let spare_y = (f64::from(height) * scale - h) / 2.0;
    let clip = frame.area(&Area::from_edges(left, top, right, bottom));
    let clip = Clip::new(image, clip.x, clip.y, clip.x + clip.width, clip.y + clip.height);
    (clip, frame.map.after(&Similarity::scaling(scale, left - spare_x, top - spare_y)))
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

//! Resampling: every net's input is one affine warp of the image.

use crate::{
    Image,
    pack::{Channels, Input},
};

/// The most samples per output pixel and axis when an image is made smaller.
const SAMPLES_MAX: u32 = 16;

/// Output pixel → image pixel: `x' = a·x - b·y + c`, `y' = b·x + a·y + d` (4 degrees of freedom).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Similarity {
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
    pub(crate) d: f64,
}

impl Similarity {
    /// The least-squares similarity that carries `from` onto `to` (Umeyama 1991, in two dimensions).
    /// `None` if the points coincide.
    pub(crate) fn fit(from: &[[f64; 2]], to: &[[f64; 2]]) -> Option<Self> {
        let n = from.len() as f64;
        let mean = |points: &[[f64; 2]]| {
            let sum = points.iter().fold([0.0, 0.0], |s, p| [s[0] + p[0], s[1] + p[1]]);
            [sum[0] / n, sum[1] / n]
        };
        let (mf, mt) = (mean(from), mean(to));
        let (mut along, mut across, mut spread) = (0.0, 0.0, 0.0);
        for (f, t) in from.iter().zip(to) {
            let (fx, fy) = (f[0] - mf[0], f[1] - mf[1]);
            let (tx, ty) = (t[0] - mt[0], t[1] - mt[1]);
            along += fx * tx + fy * ty;
            across += fx * ty - fy * tx;
            spread += fx * fx + fy * fy;
        }
        if spread <= f64::EPSILON {
            return None;
        }
        let (a, b) = (along / spread, across / spread);
        let (c, d) = (mt[0] - a * mf[0] + b * mf[1], mt[1] - b * mf[0] - a * mf[1]);
        let all = [a, b, c, d];
        (all.iter().all(|v| v.is_finite()) && a.hypot(b) > f64::EPSILON).then_some(Self { a, b, c, d })
    }

    /// Scaling alone: output pixel centres onto an area of the image.
    pub(crate) fn scaling(scale: f64, left: f64, top: f64) -> Self {
        // The half pixels keep centres on centres.
        Self { a: scale, b: 0.0, c: left + 0.5 * scale - 0.5, d: top + 0.5 * scale - 0.5 }
    }

    pub(crate) fn apply(&self, x: f64, y: f64) -> [f64; 2] {
        [self.a * x - self.b * y + self.c, self.b * x + self.a * y + self.d]
    }

    /// Image pixels per output pixel.
    pub(crate) fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }
}

/// A part of an image, in pixels; right and bottom are exclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clip {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Clip {
    pub(crate) fn whole(image: &Image<'_>) -> Self {
        Self { left: 0, top: 0, right: i64::from(image.width()), bottom: i64::from(image.height()) }
    }

    pub(crate) fn new(image: &Image<'_>, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        let whole = Self::whole(image);
        Self {
            left: (left.floor() as i64).max(0),
            top: (top.floor() as i64).max(0),
            right: (right.ceil() as i64).min(whole.right),
            bottom: (bottom.ceil() as i64).min(whole.bottom),
        }
    }
}

/// RGB values, 0 to 255, of `width` × `height` output pixels, and the share of them (0 to 1) that fell outside
/// `clip`, which are black. Made smaller, an image is averaged over the area of each output pixel.
pub(crate) fn warp(image: &Image<'_>, clip: Clip, map: Similarity, width: u32, height: u32) -> (Vec<[f32; 3]>, f64) {
    let per_axis = (map.scale().ceil() as u32).clamp(1, SAMPLES_MAX);
    let step = 1.0 / f64::from(per_axis);
    let first = 0.5 * step - 0.5;
    let share = 1.0 / (per_axis * per_axis) as f32;
    let mut out = Vec::with_capacity((width * height) as usize);
    let mut outside = 0u64;
    for y in 0..height {
        for x in 0..width {
            let mut sum = [0.0f32; 3];
            for j in 0..per_axis {
                for i in 0..per_axis {
                    let [sx, sy] = map.apply(f64::from(x) + first + f64::from(i) * step, f64::from(y) + first + f64::from(j) * step);
                    match bilinear(image, clip, sx, sy) {
                        Some(p) => (0..3).for_each(|k| sum[k] += p[k]),
                        None => outside += 1,
                    }
                }
            }
            out.push(sum.map(|v| v * share));
        }
    }
    let samples = u64::from(width) * u64::from(height) * u64::from(per_axis * per_axis);
    (out, outside as f64 / samples as f64)
}

/// The four pixels around a place, weighted; `None` when it is outside.
fn bilinear(image: &Image<'_>, clip: Clip, x: f64, y: f64) -> Option<[f32; 3]> {
    let inside = x > clip.left as f64 - 0.5 && y > clip.top as f64 - 0.5 && x < clip.right as f64 - 0.5 && y < clip.bottom as f64 - 0.5;
    if !inside {
        return None;
    }
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = ((x - x0) as f32, (y - y0) as f32);
    let column = |v: i64| v.clamp(clip.left, clip.right - 1) as usize;
    let row = |v: i64| v.clamp(clip.top, clip.bottom - 1) as usize;
    let columns = [column(x0 as i64), column(x0 as i64 + 1)];
    let rows = [row(y0 as i64), row(y0 as i64 + 1)];
    let stride = image.width() as usize;
    let weights = [[(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy)], [(1.0 - fx) * fy, fx * fy]];
    let mut out = [0.0; 3];
    for (r, row_weights) in rows.iter().zip(weights) {
        for (c, weight) in columns.iter().zip(row_weights) {
            let at = (r * stride + c) * 3;
            let pixel = &image.rgb()[at..at + 3];
            (0..3).for_each(|k| out[k] += weight * f32::from(pixel[k]));
        }
    }
    Some(out)
}

/// Lays pixels out as a net wants them: planes in its channel order, each value `(pixel - mean) / divide_by`.
pub(crate) fn tensor(pixels: &[[f32; 3]], input: &Input) -> Vec<f32> {
    let order = match input.channels {
        Channels::Rgb => [0, 1, 2],
        Channels::Bgr => [2, 1, 0],
    };
    let mut out = Vec::with_capacity(pixels.len() * 3);
    for (plane, channel) in order.into_iter().enumerate() {
        let (mean, divide) = (input.mean[plane], input.divide_by[plane]);
        out.extend(pixels.iter().map(|p| (p[channel] - mean) / divide));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similarity_is_recovered_from_its_points() {
        let truth = Similarity { a: 1.5, b: -0.4, c: 12.0, d: -7.0 };
        let from = [[0.0, 0.0], [10.0, 1.0], [4.0, 9.0], [7.0, 7.0]];
        let to = from.map(|p| truth.apply(p[0], p[1]));
        let found = Similarity::fit(&from, &to).unwrap();
        for (a, b) in [(found.a, truth.a), (found.b, truth.b), (found.c, truth.c), (found.d, truth.d)] {
            assert!((a - b).abs() < 1e-9);
        }
        assert!(Similarity::fit(&[[1.0, 1.0]; 4], &to).is_none());
    }

    #[test]
    fn halving_averages_and_outside_is_black_and_counted() {
        let rgb: Vec<u8> = [0u8, 100, 200, 40].iter().flat_map(|v| [*v; 3]).collect();
        let image = Image::new(4, 1, &rgb).unwrap();
        let (pixels, outside) = warp(&image, Clip::whole(&image), Similarity::scaling(2.0, 0.0, 0.0), 2, 1);
        // Two rows of samples, of which the second is below the image.
        assert!((outside - 0.5).abs() < 1e-9);
        assert!((pixels[0][0] - 25.0).abs() < 8.0 && (pixels[1][0] - 60.0).abs() < 10.0);
        let (same, _) = warp(&image, Clip::whole(&image), Similarity::scaling(1.0, 0.0, 0.0), 4, 1);
        assert_eq!(same.iter().map(|p| p[0]).collect::<Vec<_>>(), [0.0, 100.0, 200.0, 40.0]);
    }
}

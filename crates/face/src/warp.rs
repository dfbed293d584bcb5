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

    /// `inner` first, then this.
    pub(crate) fn after(&self, inner: &Self) -> Self {
        let [c, d] = self.apply(inner.c, inner.d);
        Self { a: self.a * inner.a - self.b * inner.b, b: self.b * inner.a + self.a * inner.b, c, d }
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

    /// Whether a place lies between four pixels of it.
    fn surrounds(&self, [x, y]: [f64; 2]) -> bool {
        let between = |v: f64, low: i64, high: i64| v >= low as f64 && v < (high - 1) as f64;
        between(x, self.left, self.right) && between(y, self.top, self.bottom)
    }
}

/// RGB values, 0 to 255, of `width` × `height` output pixels, and the share of them (0 to 1) that fell outside
/// `clip`, which are black. Each output pixel is the mean of n × n bilinear samples spread evenly over it, n being
/// the scale rounded up (at most [`SAMPLES_MAX`]). Sums have one order, so the same pixels give the same values.
pub(crate) fn warp(image: &Image<'_>, clip: Clip, map: Similarity, width: u32, height: u32) -> (Vec<[f32; 3]>, f64) {
    let grid = Grid::of(&map);
    // Without a turn the two axes part: one pass down, one along, over whole rows.
    let way = if map.b == 0.0 && map.a > 0.0 { straight } else { turned };
    way(image, clip, map, width, height, &grid)
}

/// Where an output pixel's samples lie, on each axis: at `first + i · step` from its centre.
struct Grid {
    per_axis: u32,
    step: f64,
    first: f64,
}

impl Grid {
    fn of(map: &Similarity) -> Self {
        let per_axis = (map.scale().ceil() as u32).clamp(1, SAMPLES_MAX);
        let step = 1.0 / f64::from(per_axis);
        Self { per_axis, step, first: 0.5 * step - 0.5 }
    }

    /// A sample's place, in output pixels.
    fn place(&self, pixel: u32, sample: u32) -> f64 {
        f64::from(pixel) + self.first + f64::from(sample) * self.step
    }
}

/// The image's pixels on one axis that an output pixel is made of.
struct Taps {
    from: usize,
    weights: Vec<f32>,
}

/// The taps of `count` output pixels, within `low..high`, and the samples that fell inside.
fn taps(count: u32, grid: &Grid, scale: f64, offset: f64, low: i64, high: i64) -> (Vec<Taps>, u64) {
    let mut inside = 0;
    let share = 1.0 / f64::from(grid.per_axis);
    let one = |pixel: u32| {
        let mut taps = Taps { from: 0, weights: Vec::new() };
        for sample in 0..grid.per_axis {
            let at = scale * grid.place(pixel, sample) + offset;
            if at <= low as f64 - 0.5 || at >= high as f64 - 0.5 {
                continue;
            }
            inside += 1;
            let part = at - at.floor();
            for (place, weight) in [(at.floor() as i64, 1.0 - part), (at.floor() as i64 + 1, part)] {
                if weight == 0.0 {
                    continue;
                }
                let place = place.clamp(low, high - 1) as usize;
                if taps.weights.is_empty() {
                    taps.from = place;
                }
                // Places only grow with the samples.
                if taps.from + taps.weights.len() <= place {
                    taps.weights.resize(place - taps.from + 1, 0.0);
                }
                taps.weights[place - taps.from] += (weight * share) as f32;
            }
        }
        taps
    };
    ((0..count).map(one).collect(), inside)
}

fn straight(image: &Image<'_>, clip: Clip, map: Similarity, width: u32, height: u32, grid: &Grid) -> (Vec<[f32; 3]>, f64) {
    let (columns, inside_x) = taps(width, grid, map.a, map.c, clip.left, clip.right);
    let (rows, inside_y) = taps(height, grid, map.a, map.d, clip.top, clip.bottom);
    let mut out = vec![[0.0f32; 3]; width as usize * height as usize];
    let used = |t: &&Taps| !t.weights.is_empty();
    let left = columns.iter().find(used).map_or(0, |t| t.from);
    let right = columns.iter().rev().find(used).map_or(0, |t| t.from + t.weights.len());
    let stride = image.width() as usize * 3;
    let mut line = vec![0.0f32; (right - left) * 3];
    for (row, to) in rows.iter().zip(out.chunks_exact_mut(width as usize)) {
        if row.weights.is_empty() {
            continue;
        }
        line.fill(0.0);
        for (y, weight) in (row.from..).zip(&row.weights) {
            let pixels = &image.rgb()[y * stride + left * 3..y * stride + right * 3];
            for (sum, value) in line.iter_mut().zip(pixels) {
                *sum += weight * f32::from(*value);
            }
        }
        for (column, pixel) in columns.iter().zip(to) {
            if column.weights.is_empty() {
                continue;
            }
            let at = (column.from - left) * 3;
            for (values, weight) in line[at..].chunks_exact(3).zip(&column.weights) {
                (0..3).for_each(|k| pixel[k] += weight * values[k]);
            }
        }
    }
    let per_axis = u64::from(grid.per_axis);
    let all = (u64::from(width) * per_axis) as f64 * (u64::from(height) * per_axis) as f64;
    (out, 1.0 - inside_x as f64 * inside_y as f64 / all)
}

fn turned(image: &Image<'_>, clip: Clip, map: Similarity, width: u32, height: u32, grid: &Grid) -> (Vec<[f32; 3]>, f64) {
    let per_axis = grid.per_axis;
    let share = 1.0 / (per_axis * per_axis) as f32;
    let mut out = vec![[0.0f32; 3]; width as usize * height as usize];
    let mut outside = 0u64;
    let along: Vec<f64> = (0..width).flat_map(|x| (0..per_axis).map(move |i| (x, i))).map(|(x, i)| grid.place(x, i)).collect();
    let ends = [along.first().copied().unwrap_or(0.0), along.last().copied().unwrap_or(0.0)];
    for (y, to) in (0..height).zip(out.chunks_exact_mut(width as usize)) {
        for j in 0..per_axis {
            let down = grid.place(y, j);
            let (row_x, row_y) = (map.c - map.b * down, map.d + map.a * down);
            let place = |x: f64| [map.a * x + row_x, map.b * x + row_y];
            // A row whose ends have four neighbours each has them all along: no sample needs a closer look.
            if ends.into_iter().all(|x| clip.surrounds(place(x))) {
                for (samples, sum) in along.chunks_exact(per_axis as usize).zip(to.iter_mut()) {
                    for x in samples {
                        let p = between(image, place(*x));
                        (0..3).for_each(|k| sum[k] += p[k]);
                    }
                }
            } else {
                for (samples, sum) in along.chunks_exact(per_axis as usize).zip(to.iter_mut()) {
                    for x in samples {
                        let [sx, sy] = place(*x);
                        match bilinear(image, clip, sx, sy) {
                            Some(p) => (0..3).for_each(|k| sum[k] += p[k]),
                            None => outside += 1,
                        }
                    }
                }
            }
        }
        to.iter_mut().for_each(|sum| *sum = sum.map(|v| v * share));
    }
    let samples = u64::from(width) * u64::from(height) * u64::from(per_axis * per_axis);
    (out, outside as f64 / samples as f64)
}

/// The four pixels around a place, weighted, where all four are known to be there.
fn between(image: &Image<'_>, [x, y]: [f64; 2]) -> [f32; 3] {
    let (column, row) = (x as usize, y as usize);
    let (fx, fy) = ((x - column as f64) as f32, (y - row as f64) as f32);
    let stride = image.width() as usize * 3;
    let at = row * stride + column * 3;
    let (upper, lower) = (&image.rgb()[at..at + 6], &image.rgb()[at + stride..at + stride + 6]);
    let weights = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
    std::array::from_fn(|k| {
        let value = |v: u8| f32::from(v);
        weights[0] * value(upper[k]) + weights[1] * value(upper[k + 3]) + weights[2] * value(lower[k]) + weights[3] * value(lower[k + 3])
    })
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

    /// The definition, sample by sample.
    fn by_definition(image: &Image<'_>, clip: Clip, map: Similarity, width: u32, height: u32) -> (Vec<[f32; 3]>, f64) {
        let grid = Grid::of(&map);
        let n = grid.per_axis;
        let (mut out, mut outside) = (Vec::new(), 0);
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sum = [0.0; 3];
            for (j, i) in (0..n).flat_map(|j| (0..n).map(move |i| (j, i))) {
                let [sx, sy] = map.apply(grid.place(x, i), grid.place(y, j));
                match bilinear(image, clip, sx, sy) {
                    Some(p) => (0..3).for_each(|k| sum[k] += p[k]),
                    None => outside += 1,
                }
            }
            out.push(sum.map(|v| v / (n * n) as f32));
        }
        (out, f64::from(outside) / f64::from(width * height * n * n))
    }

    #[test]
    fn the_quick_ways_give_what_the_definition_says() {
        let (w, h) = (83, 61);
        let mut state = 7u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let rgb: Vec<u8> = (0..w * h * 3).map(|_| noise()).collect();
        let image = Image::new(w, h, &rgb).unwrap();
        let clips = [Clip::whole(&image), Clip::new(&image, 10.0, 5.0, 50.0, 40.0)];
        let maps = [
            Similarity::scaling(1.0, 0.0, 0.0),
            Similarity::scaling(0.37, 12.3, 4.0),
            Similarity::scaling(2.6, -9.0, 3.5),
            Similarity::scaling(40.0, 0.0, 0.0),
            Similarity { a: 0.0, b: 1.0, c: 60.0, d: 0.0 },
            Similarity { a: 0.9, b: 0.2, c: 20.0, d: 8.0 },
            Similarity { a: -1.9, b: 1.2, c: 50.31, d: 20.17 },
            Similarity { a: 1.0, b: 0.0, c: 500.0, d: 0.0 },
        ];
        for clip in clips {
            for map in maps {
                let (found, outside) = warp(&image, clip, map, 32, 24);
                let (expected, black) = by_definition(&image, clip, map, 32, 24);
                // A sample on the very edge may fall to either side by rounding.
                assert!((outside - black).abs() < 1e-3, "{map:?}");
                for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
                    assert!((a - b).abs() < 2e-3, "{map:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn one_map_after_another() {
        let (one, two) = (Similarity { a: 1.5, b: -0.4, c: 12.0, d: -7.0 }, Similarity { a: 0.2, b: 0.9, c: 1.0, d: 3.0 });
        let [x, y] = two.apply(5.0, -2.0);
        let ([ax, ay], [bx, by]) = (one.apply(x, y), one.after(&two).apply(5.0, -2.0));
        assert!((ax - bx).abs() < 1e-9 && (ay - by).abs() < 1e-9);
    }
}

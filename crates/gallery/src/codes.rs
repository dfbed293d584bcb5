//! Codes: a coarse and a fine integer picture of each template, and what they prove about a score.
//!
//! A segment has a centre `μ` (the mean of its templates; real embeddings are far from centred).
//! With `y = x − μ` for a reference `x` and `z = p − μ` for a probe `p`, in real arithmetic
//!
//! ```text
//! p·x = p·μ + μ·y + z·y          p·μ once a segment, t = μ·y stored with the reference
//! z·y = Rz·Ry                    R the gallery's rotation (orthogonal)
//! ```
//!
//! `Ry` is coded on an even grid of 512 cells over its own range, `c = ⌊Ry/s + 256⌋` with step `s`:
//!
//! * **fine**: `ŷ₉ = s·(c − 255.5)`, the middle of the cell, so each component is within `s/2`;
//! * **coarse**: the upper five bits `h = ⌊c/16⌋` alone, `ŷ₅ = 16·s·(h − 15.5)`, with the residual's
//!   length `e ≥ ‖Ry − ŷ₅‖` measured and stored.
//!
//! `Rz` is coded as `ẑ = w·z̃` with integers `|z̃| ≤ 127`, `Rz = ẑ + δ`. Then, by Cauchy–Schwarz,
//!
//! ```text
//! z·y = ẑ·ŷ + δ·ŷ + Rz·(Ry − ŷ),   |δ·ŷ| ≤ ‖δ‖·‖ŷ‖,   |Rz·(Ry − ŷ)| ≤ ‖z‖·‖Ry − ŷ‖
//! ```
//!
//! and `ẑ·ŷ` is an integer dot product times known steps. So both codes give an interval that holds
//! the canonical score **always**; the coarse one, from 5 bits of every 32, is about ±0.07 wide for
//! unit vectors around 0, the fine one, from 9 bits, about ±0.015. A reference whose upper end is
//! below a floor is out for certain; the few others are scored from their templates. (Why 5: with 4
//! bits a tenth of a gallery of a million survived a list of 50, with 5 a hundredth, and the fifth
//! costs a quarter more to read; see docs/adr in the repository.)
//!
//! Every length that takes part in a bound is rounded outward; `t` is rounded to nearest, which is one
//! of the six operations below. What the arithmetic of a bound
//! itself rounds is at most six f32 operations, each off by 2⁻²⁴ of a value that is no larger than
//! `‖ẑ‖·‖ŷ‖ + |t| + ‖z‖·e ≤ 2.51·reach + 2.01 + 2.001·reach` (`‖z‖, ‖y‖ ≤ 2.001`, because templates
//! and their mean are no longer than 1.0001; `‖ẑ‖ ≤ ‖z‖ + ‖δ‖ ≤ 2.51` for up to 4,096 dimensions;
//! `reach` bounds `‖ŷ‖` and `e`); [`float_slack`] takes eight of the sum, and 10⁻⁷ for the f64 sums.
//! The rotations round too: [`Rotation::slack`].
//!
//! ## Layout
//! One row of the coarse table holds **16 references**, in blocks of 320 bytes for every 32
//! dimensions. A block has four 64-byte *lines* of 8 dimensions each; in line `g` reference `v` has
//! bytes `4v … 4v+3`: in byte `4v + j` the low nibble is the lower four bits of `h` for dimension
//! `8g + j`, the high nibble for `8g + 4 + j`. Then come the lines' *fifth bits*, two u64 a line: bit
//! `4v + j` of the first belongs to dimension `8g + j`, of the second to `8g + 4 + j`. (So a pass
//! reads one stream of memory; with the fifth bits apart it took more than twice as long.) After the
//! blocks: 16 × u32 (step `s` as bf16 in the upper half, `e` as bf16 in the lower) and 16 × f32 (`t`).
//! Places after the last reference have `t` = NaN, which no comparison admits. A row of the fine
//! table holds the lower nibbles of one reference's `c` in the lines' order, 4 bytes for every 8
//! dimensions. All together `1.125·D + 8` bytes a reference, with the dimension rounded up to 32.

use crate::rotation::Rotation;
use crate::score;

/// References in a row of the coarse table.
pub(crate) const GROUP: usize = 16;
/// Bytes of a line: four of each reference.
pub(crate) const LINE: usize = 64;
/// Bytes after the codes of a row.
pub(crate) const TAIL: usize = GROUP * 8;
/// What rounding can add to an interval's end; the module's documentation counts it.
fn float_slack(reach: f32) -> f64 {
    8.0 * f64::powi(2.0, -24) * (5.0 * f64::from(reach) + 3.0) + 1e-7
}

/// Bytes of a line's fifth bits.
pub(crate) const BITS: usize = 16;
/// Lines of a block.
pub(crate) const BLOCK_LINES: usize = 4;
/// Bytes of a block.
pub(crate) const BLOCK: usize = BLOCK_LINES * (LINE + BITS);

/// Lines for a dimension: whole blocks.
pub(crate) fn lines(dimension: usize) -> usize {
    dimension.div_ceil(8 * BLOCK_LINES) * BLOCK_LINES
}

/// Where the step and `t` of a group's references are in its row.
pub(crate) fn tail(lines: usize) -> usize {
    lines * (LINE + BITS)
}

/// Bytes of a row of the coarse table.
pub(crate) fn coarse_bytes(dimension: usize) -> usize {
    tail(lines(dimension)) + TAIL
}

/// Bytes of a row of the fine table.
pub(crate) fn fine_bytes(dimension: usize) -> usize {
    lines(dimension) * 4
}

/// What all references of a segment share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// `μ`, unrotated.
    pub(crate) centre: Vec<f32>,
    /// At least `‖y‖ + max(e, e₉)` of every reference: a length that no `ŷ` exceeds.
    pub(crate) reach: f32,
}

impl Frame {
    /// The frame of some templates; `reach` is still 0 and rises as they are coded.
    pub(crate) fn of<'a>(templates: impl Iterator<Item = &'a [f32]>, dimension: usize) -> Self {
        let mut sum = vec![0.0_f64; dimension];
        let mut count = 0_u32;
        for template in templates {
            sum.iter_mut().zip(template).for_each(|(sum, x)| *sum += f64::from(*x));
            count += 1;
        }
        Frame { centre: sum.iter().map(|sum| (sum / f64::from(count.max(1))) as f32).collect(), reach: 0.0 }
    }
}

/// Codes references one by one.
pub(crate) struct Coder<'a> {
    rotation: &'a Rotation,
    frame: &'a mut Frame,
    rotated: Vec<f32>,
}

/// The codes of one reference, and the numbers of its bound.
pub(crate) struct Coded {
    /// `h`, and the lower nibbles of `c`, padded with zeros to whole lines.
    high: Vec<u8>,
    low: Vec<u8>,
    packed: u32,
    along: f32,
}

impl<'a> Coder<'a> {
    pub(crate) fn new(rotation: &'a Rotation, frame: &'a mut Frame) -> Self {
        let dimension = frame.centre.len();
        Coder { rotation, frame, rotated: vec![0.0; dimension] }
    }

    /// Codes a template into `coded`.
    #[inline(always)]
    pub(crate) fn code(&mut self, template: &[f32], coded: &mut Coded) {
        let mut along = [0.0_f64; 8];
        let mut squares = [0.0_f64; 8];
        let y = &mut self.rotated;
        for ((y, x), mu) in y.chunks_mut(8).zip(template.chunks(8)).zip(self.frame.centre.chunks(8)) {
            for ((((y, x), mu), along), squares) in y.iter_mut().zip(x).zip(mu).zip(&mut along).zip(&mut squares) {
                // In f64 the difference of two f32 of like size is exact or off by 2⁻⁵³.
                let exact = f64::from(*x) - f64::from(*mu);
                *along += exact * f64::from(*mu);
                *squares += exact * exact;
                *y = exact as f32;
            }
        }
        let length = squares.iter().sum::<f64>().sqrt();
        self.rotation.apply(y);
        let mut lanes = [0.0_f32; 16];
        for part in y.chunks(16) {
            for (lane, y) in lanes.iter_mut().zip(part) {
                *lane = lane.max(y.abs());
            }
        }
        let largest = lanes.iter().fold(0.0_f32, |a, b| a.max(*b));
        let step = bf16_up((largest / 254.8).max(f32::powi(2.0, -60)));
        let inverse = 1.0 / step;
        let mut residual = [0.0_f32; 16];
        for ((part, high), low) in y.chunks(16).zip(coded.high.chunks_mut(16)).zip(coded.low.chunks_mut(16)) {
            for (((y, high), low), residual) in part.iter().zip(high).zip(low).zip(&mut residual) {
                let c = (y * inverse + 256.0).clamp(0.0, 511.0) as i32;
                (*high, *low) = ((c >> 4) as u8, (c & 15) as u8);
                let off = y - step * ((c | 15) as f32 - 263.0);
                *residual += off * off;
            }
        }
        let residual = f64::from(residual.iter().sum::<f32>()).sqrt();
        // 2⁻¹² is far more than f32 can lose in a sum of ⌈D/16⌉ + 16 squares (D ≤ 4,096), and in
        // the rounding of `e` to f32; the rotation's slack is for a vector of length 1, ours is at
        // most 2.001; 10⁻⁶ pays for the rounding of y to f32 before it, at most 2⁻²⁴ · 2.001.
        let e = bf16_up((residual * (1.0 + f64::powi(2.0, -12)) + 2.01 * self.rotation.slack() + 1e-6) as f32);
        let e_fine = fine_error(step, y.len(), self.rotation);
        self.frame.reach = self.frame.reach.max(up((length + 1e-6 + e_fine.max(f64::from(e))) as f32));
        coded.packed = step.to_bits() | e.to_bits() >> 16;
        coded.along = along.iter().sum::<f64>() as f32;
    }
}

impl Coded {
    pub(crate) fn new(dimension: usize) -> Self {
        let cells = lines(dimension) * 8;
        Coded { high: vec![0; cells], low: vec![0; cells], packed: 0, along: 0.0 }
    }

    /// Appends the reference's row of the fine table.
    #[inline(always)]
    pub(crate) fn fine_row(&self, out: &mut Vec<u8>) {
        for cells in self.low.as_chunks::<8>().0 {
            let word = u64::from_le_bytes(*cells);
            out.extend_from_slice(&((word | word >> 28) as u32).to_le_bytes());
        }
    }

    /// Puts the reference at place `v` of a row of the coarse table, `row` being all of its bytes.
    #[inline(always)]
    pub(crate) fn put_in_coarse_row(&self, v: usize, row: &mut [u8]) {
        let (blocks, tail) = row.split_at_mut(tail(self.high.len() / 8));
        for (at, cells) in self.high.as_chunks::<8>().0.iter().enumerate() {
            let (codes, bits) = blocks[at / BLOCK_LINES * BLOCK..][..BLOCK].split_at_mut(BLOCK_LINES * LINE);
            let line = &mut codes[at % BLOCK_LINES * LINE..][..LINE];
            let bits = &mut bits[at % BLOCK_LINES * BITS..][..BITS];
            let word = u64::from_le_bytes(*cells);
            let nibbles = word & 0x0f0f_0f0f_0f0f_0f0f;
            line[4 * v..4 * v + 4].copy_from_slice(&((nibbles | nibbles >> 28) as u32).to_le_bytes());
            // The fifth bits of four bytes, gathered into a nibble by one multiplication.
            let fifth = (word >> 4) & 0x0101_0101_0101_0101;
            let gather = |four: u64| ((four * 0x1020_4080) >> 28) as u8 & 15;
            bits[v / 2] |= gather(fifth & 0xffff_ffff) << (v % 2 * 4);
            bits[8 + v / 2] |= gather(fifth >> 32) << (v % 2 * 4);
        }
        tail[4 * v..4 * v + 4].copy_from_slice(&self.packed.to_le_bytes());
        tail[4 * (GROUP + v)..4 * (GROUP + v) + 4].copy_from_slice(&self.along.to_le_bytes());
    }
}

/// Marks place `v` of a row of the coarse table as nobody's.
pub(crate) fn vacate(v: usize, lines: usize, row: &mut [u8]) {
    row[tail(lines) + 4 * (GROUP + v)..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
}

/// `e₉`: no fine residual is longer.
fn fine_error(step: f32, dimension: usize, rotation: &Rotation) -> f64 {
    // Half a step a component; 10⁻³ of a step for the rounding of `y·(1/s) + 256` (three roundings
    // at magnitudes up to 512: below 2⁻¹³ of a step). The clamp never acts: |y|/s is below 254.9.
    f64::from(step) * 0.501 * (dimension as f64).sqrt() + 2.01 * rotation.slack() + 1e-6
}

/// The smallest bf16 (as f32) that is at least `x`, for finite x ≥ 0.
fn bf16_up(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0xffff == 0 { bits } else { (bits | 0xffff) + 1 })
}

/// The next f32 above: for what was rounded to nearest and has to be at least the exact value.
fn up(x: f32) -> f32 {
    x.next_up()
}

/// A probe as one segment sees it.
#[derive(Debug, Clone)]
pub(crate) struct CodedProbe {
    /// `z̃`, for dimensions `8g + j` (`low`) and `8g + 4 + j` (`high`), four i8 for every line.
    pub(crate) low: Vec<[i8; 4]>,
    /// See `low`.
    pub(crate) high: Vec<[i8; 4]>,
    /// `Σ z̃`.
    sum: i32,
    /// `8·w`, of the coarse score: `ẑ·ŷ₅ = 8·w·s·(2·I − 31·Σz̃)`.
    pub(crate) scale: f32,
    /// At least `‖z‖`.
    pub(crate) length: f32,
    /// `p·μ`.
    base: f64,
    /// `‖δ‖·reach` and the roundings: what both intervals have in common.
    common: f64,
    fine_slack: f64,
    dimension: usize,
}

/// Bounds on a canonical score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl CodedProbe {
    /// Codes a probe for a segment.
    pub(crate) fn new(probe: &[f32], frame: &Frame, rotation: &Rotation) -> Self {
        let dimension = probe.len();
        let mut z: Vec<f32> = probe.iter().zip(&frame.centre).map(|(p, mu)| p - mu).collect();
        let base = score::canonical(probe, &frame.centre);
        let exact: f64 = probe.iter().zip(&frame.centre).map(|(p, mu)| (f64::from(*p) - f64::from(*mu)).powi(2)).sum();
        let length = exact.sqrt() + 1e-6;
        rotation.apply(&mut z);
        let largest = z.iter().fold(0.0_f32, |a, z| a.max(z.abs()));
        let width = (largest / 127.0).max(f32::powi(2.0, -60));
        let mut off = 0.0_f64;
        let mut cells = vec![0_i8; lines(dimension) * 8];
        for (z, cell) in z.iter().zip(&mut cells) {
            *cell = (z / width).round_ties_even().clamp(-127.0, 127.0) as i8;
            off += (f64::from(*z) - f64::from(width) * f64::from(*cell)).powi(2);
        }
        // z was rounded once before the rotation, and in it.
        let delta = off.sqrt() + 2.01 * (rotation.slack() + f64::powi(2.0, -24)) + 1e-9;
        let halves = |from: usize| cells.as_chunks::<8>().0.iter().map(|c| [c[from], c[from + 1], c[from + 2], c[from + 3]]).collect();
        CodedProbe {
            low: halves(0),
            high: halves(4),
            sum: cells.iter().map(|c| i32::from(*c)).sum(),
            scale: 8.0 * width,
            length: up(length as f32),
            base,
            common: delta * f64::from(frame.reach) + float_slack(frame.reach),
            fine_slack: fine_error(0.0, dimension, rotation),
            dimension,
        }
    }

    /// What a kernel subtracts from twice the coarse sum: `31·Σz̃`.
    pub(crate) fn bias(&self) -> i32 {
        31 * self.sum
    }

    /// The floor as the kernel compares with it: a reference whose coarse upper end, without what
    /// all share, is below it is below `floor`. Rounded down.
    pub(crate) fn kernel_floor(&self, floor: f64) -> f32 {
        let exact = floor - self.base - self.common;
        if exact <= f64::from(f32::MIN) { f32::NEG_INFINITY } else { (exact as f32).next_down() }
    }

    /// The upper end of the coarse interval, from what the kernel compared.
    #[cfg(test)]
    pub(crate) fn coarse_high(&self, kernel_upper: f32) -> f64 {
        f64::from(kernel_upper) + self.base + self.common
    }

    /// Half the width of a typical coarse interval, from the packed numbers of one reference.
    pub(crate) fn coarse_half(&self, packed: u32) -> f32 {
        f32::from_bits(packed << 16) * self.length
    }

    /// The fine interval of a reference: from its coarse sum, the sum over its lower nibbles, its
    /// packed numbers and `t`.
    pub(crate) fn fine(&self, coarse_sum: i32, fine_sum: i32, packed: u32, along: f32) -> Interval {
        let step = f64::from(f32::from_bits(packed & 0xffff_0000));
        let sum = 16 * i64::from(coarse_sum) + i64::from(fine_sum);
        let twice = (2 * sum - 511 * i64::from(self.sum)) as f64;
        let middle = self.base + f64::from(along) + twice * 0.5 * step * f64::from(self.scale) * 0.125;
        let e = step * 0.501 * (self.dimension as f64).sqrt() + self.fine_slack;
        let half = f64::from(self.length) * e + self.common;
        Interval { low: middle - half, high: middle + half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{self, Kernel, Packed, Survivors};

    /// `Rᵀ v`, column by column.
    fn rotated_back(rotation: &Rotation, v: &[f64]) -> Vec<f64> {
        let column = |i: usize| {
            let mut e = vec![0.0_f32; v.len()];
            e[i] = 1.0;
            rotation.apply(&mut e);
            e.iter().zip(v).map(|(e, v)| f64::from(*e) * v).sum()
        };
        (0..v.len()).map(column).collect()
    }

    fn unit(v: &[f64]) -> Vec<f32> {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter().map(|x| (x / length) as f32).collect()
    }

    /// A probe that points along what the codes do not show makes as much of it as Cauchy–Schwarz
    /// allows: the intervals must hold it, and hold it only just, or the stored lengths are not what they say.
    #[test]
    fn a_probe_along_the_residual_stays_inside_and_comes_to_the_edge() {
        let mut state = 5_u64;
        let mut next = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        for d in if cfg!(miri) { &[16][..] } else { &[16, 64, 96, 128, 192] } {
            let d = *d;
            let rotation = Rotation::new(9, d);
            let x = unit(&(0..d).map(|_| next()).collect::<Vec<_>>());
            let opposite: Vec<f32> = x.iter().map(|x| -x).collect();
            let templates = [x, opposite]; // so the centre is 0
            let mut frame = Frame::of(templates.iter().map(Vec::as_slice), d);
            let (mut rows, mut fine) = (vec![0; coarse_bytes(d)], Vec::new());
            let mut coded = Coded::new(d);
            let mut residuals = Vec::new();
            let mut coder = Coder::new(&rotation, &mut frame);
            for (v, template) in templates.iter().enumerate() {
                coder.code(template, &mut coded);
                coded.put_in_coarse_row(v, &mut rows);
                coded.fine_row(&mut fine);
                let mut y = template.clone();
                rotation.apply(&mut y);
                let step = f64::from(f32::from_bits(coded.packed & 0xffff_0000));
                let off = |middle: fn(f64, f64) -> f64| -> Vec<f64> {
                    let cells = coded.high.iter().zip(&coded.low);
                    y.iter().zip(cells).map(|(y, (h, l))| f64::from(*y) - step * middle(f64::from(*h), f64::from(*l))).collect()
                };
                residuals.push((off(|h, _| 16.0 * (h - 15.5)), off(|h, l| 16.0 * h + l - 255.5)));
            }
            (templates.len()..GROUP).for_each(|v| vacate(v, lines(d), &mut rows));
            for (n, (coarse, finer)) in residuals.iter().enumerate() {
                for (residual, sign) in [(coarse, 1.0), (coarse, -1.0), (finer, 1.0), (finer, -1.0)] {
                    let toward: Vec<f64> = rotated_back(&rotation, residual).iter().map(|r| sign * r).collect();
                    let probe = unit(&toward);
                    let exact = score::canonical(&probe, &templates[n]);
                    let seen = CodedProbe::new(&probe, &frame, &rotation);
                    let mut out = [Survivors::for_groups(1)];
                    kernel::scan(Kernel::Scalar, &rows, 0, &Packed::new(std::slice::from_ref(&seen)), &[f32::NEG_INFINITY], &mut out);
                    let one = out[0].iter().nth(n).unwrap();
                    let high = seen.coarse_high(one.upper);
                    let mut sums = Vec::new();
                    kernel::fine_sums(Kernel::Scalar, &fine, &[one.row], &seen, &mut sums);
                    let interval = seen.fine(one.sum, sums[0], one.packed, one.along);
                    assert!(
                        exact <= high && (interval.low..=interval.high).contains(&exact),
                        "dimension {d}: {exact}, {high}, {interval:?}"
                    );
                    if std::ptr::eq(residual, coarse) && sign > 0.0 {
                        // What is left is what the probe's own coding takes, and rounding up.
                        let e = f64::from(seen.coarse_half(one.packed));
                        assert!(
                            high - exact < seen.common + 0.02 * e + 1e-4 + f64::from(frame.reach) * 0.02,
                            "dimension {d}: {}",
                            high - exact
                        );
                        assert!(exact - (high - seen.common - e) > 0.9 * e, "dimension {d}: the probe does not strain the bound");
                    }
                }
            }
        }
    }
}

//! Codes: integer pictures of each template, coarse to fine, and what they prove about a score.
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
//!   length `e ≥ ‖Ry − ŷ₅‖` measured and stored;
//! * **six bits**, `⌊c/8⌋`, for a batch of probes: `ŷ₆ = 8·s·(⌊c/8⌋ − 31.5)`, with its own `e₆ ≥ ‖Ry − ŷ₆‖`.
//!   A batch is bound by its multiplications, so that one bit more to read costs it next to nothing and
//!   lets a sixth of the references through that five bits do ([`Depth`]).
//!
//! `Rz` is coded as `ẑ = w·z̃` with integers `|z̃| ≤ 127`, `Rz = ẑ + δ` (for six bits, `|z̃| ≤ 96` in half of the dimensions, so
//! that a kernel may multiply those in pairs; `Σz̃` is even, which saves an operation). Then, by Cauchy–Schwarz,
//!
//! ```text
//! z·y = ẑ·ŷ + δ·ŷ + Rz·(Ry − ŷ),   |δ·ŷ| ≤ ‖δ‖·‖ŷ‖,   |Rz·(Ry − ŷ)| ≤ ‖z‖·‖Ry − ŷ‖
//! ```
//!
//! and `ẑ·ŷ` is an integer dot product times known steps. So each code gives an interval that holds
//! the canonical score **always**; that of 5 bits of every 32 is about ±0.07 wide for unit vectors
//! around 0, that of 6 about ±0.04, that of 9 about ±0.012. A reference whose upper end is
//! below a floor is out for certain; the few others are scored from their templates. (Why 5: with 4
//! bits a tenth of a gallery of a million survived a list of 50, with 5 a hundredth, and the fifth
//! costs a quarter more to read; see docs/adr in the repository.)
//!
//! Every length that takes part in a bound is rounded outward; `t` is rounded to nearest, which is one
//! operation more. What the arithmetic of a bound
//! itself rounds is at most five f32 operations (a sum may be rounded as it becomes f32, `w·s`, two fused multiply-adds, and what is
//! subtracted from a floor), each off by 2⁻²⁴ of a value that is no larger than
//! `‖ẑ‖·‖ŷ‖ + |t| + ‖z‖·e ≤ 2.7·reach + 2.01 + 2.001·reach` (`‖z‖, ‖y‖ ≤ 2.001`, because templates
//! and their mean are no longer than 1.0001; `‖ẑ‖ ≤ ‖z‖ + ‖δ‖ ≤ 2.7` for up to 4,096 dimensions;
//! `reach` bounds `‖ŷ‖` and `e`); [`float_slack`] takes eight of the sum, and 10⁻⁷ for the f64 sums.
//! The rotations round too: [`Rotation::slack`].
//!
//! ## Layout
//! One row of the coarse table holds **16 references**, in blocks of 320 bytes for every 32
//! dimensions. A block has five 64-byte *lines*, in each of which reference `v` has bytes `4v … 4v+3`.
//! Line `g` of the first four holds 8 dimensions: in byte `4v + j` the low nibble is the lower four bits
//! of `h` for dimension `8g + j`, the high nibble for `8g + 4 + j`. The fifth line holds the *fifth bits*:
//! bit `2g` of byte `4v + j` belongs to dimension `8g + j`, bit `2g + 1` to `8g + 4 + j`. (So a pass
//! reads one stream of memory; with the fifth bits apart it took more than twice as long.) After the
//! blocks: 16 × u32 (step `s` as bf16 in the upper half, `e` as bf16 in the lower) and 16 × f32 (`t`).
//! Places after the last reference have `t` = NaN, which no comparison admits. A row of the *sixth*
//! table, which only batches read, belongs to the same 16 references: for every block a line of sixth
//! bits, laid out as the fifth ones, then 16 × bf16 (`e₆`). A row of the fine table holds the lower
//! nibbles of one reference's `c` in the lines' order, 4 bytes for every 8 dimensions (its upper bits are
//! the sixth ones once more, so that five bits and these make nine). All together `1.25·D + 10` bytes a
//! reference, with the dimension rounded up to 32.

use crate::kernel::Survivor;
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

/// Lines of a block that hold nibbles.
pub(crate) const BLOCK_LINES: usize = 4;
/// Bytes of a block: those and the line of fifth bits.
pub(crate) const BLOCK: usize = (BLOCK_LINES + 1) * LINE;

/// The largest `|z̃|` where dimensions `i` and `i + 4` may be multiplied as a pair (`i / 8` even) with
/// six-bit codes: `63 + 2 · 96 = 255`.
pub(crate) const PAIRED_LIMIT: u8 = 96;

/// How many bits of each component a pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The coarse table: what is read least, for a pass that is bound by memory.
    Five,
    /// The sixth table too: for a pass that is bound by multiplications.
    Six,
}

impl Depth {
    /// Cells of the fine grid in one of its own.
    fn cells(self) -> i32 {
        match self {
            Depth::Five => 16,
            Depth::Six => 8,
        }
    }

    /// The largest `|z̃|` in dimension `i`.
    pub(crate) fn limit(self, i: usize) -> f32 {
        let in_pair = self == Depth::Six && (i / 8).is_multiple_of(2);
        f32::from(if in_pair { PAIRED_LIMIT } else { 127 })
    }

    /// Which bits of a fine nibble it has not seen.
    pub(crate) fn unseen(self) -> u8 {
        self.cells() as u8 - 1
    }
}

/// Lines for a dimension: whole blocks.
pub(crate) fn lines(dimension: usize) -> usize {
    dimension.div_ceil(8 * BLOCK_LINES) * BLOCK_LINES
}

/// Where the step and `t` of a group's references are in its row.
pub(crate) fn tail(lines: usize) -> usize {
    lines / BLOCK_LINES * BLOCK
}

/// Bytes of a row of the coarse table.
pub(crate) fn coarse_bytes(dimension: usize) -> usize {
    tail(lines(dimension)) + TAIL
}

/// Where the `e₆` of a group's references are in its row of the sixth table.
pub(crate) fn sixth_tail(lines: usize) -> usize {
    lines / BLOCK_LINES * LINE
}

/// Bytes of a row of the sixth table.
pub(crate) fn sixth_bytes(dimension: usize) -> usize {
    sixth_tail(lines(dimension)) + GROUP * 2
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
    /// At least `‖y‖ + max(e, e₆, e₉)` of every reference: a length that no `ŷ` exceeds.
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
    /// `e₆`, a bf16.
    e_six: u16,
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
        let mut residual_six = [0.0_f32; 16];
        for ((part, high), low) in y.chunks(16).zip(coded.high.chunks_mut(16)).zip(coded.low.chunks_mut(16)) {
            for ((((y, high), low), residual), six) in part.iter().zip(high).zip(low).zip(&mut residual).zip(&mut residual_six) {
                let c = (y * inverse + 256.0).clamp(0.0, 511.0) as i32;
                (*high, *low) = ((c >> 4) as u8, (c & 15) as u8);
                let off = y - step * ((c | 15) as f32 - 263.0);
                *residual += off * off;
                let off = y - step * ((c | 7) as f32 - 259.0);
                *six += off * off;
            }
        }
        // 2⁻¹² is far more than f32 can lose in a sum of ⌈D/16⌉ + 16 squares (D ≤ 4,096), and in
        // the rounding of `e` to f32; the rotation's slack is for a vector of length 1, ours is at
        // most 2.001; 10⁻⁶ pays for the rounding of y to f32 before it, at most 2⁻²⁴ · 2.001.
        let measured = |squares: [f32; 16]| {
            let length = f64::from(squares.iter().sum::<f32>()).sqrt();
            bf16_up((length * (1.0 + f64::powi(2.0, -12)) + 2.01 * self.rotation.slack() + 1e-6) as f32)
        };
        let (e, e_six) = (measured(residual), measured(residual_six));
        let e_fine = fine_error(step, y.len(), self.rotation);
        self.frame.reach = self.frame.reach.max(up((length + 1e-6 + e_fine.max(f64::from(e.max(e_six)))) as f32));
        coded.packed = step.to_bits() | e.to_bits() >> 16;
        coded.e_six = (e_six.to_bits() >> 16) as u16;
        coded.along = along.iter().sum::<f64>() as f32;
    }
}

impl Coded {
    pub(crate) fn new(dimension: usize) -> Self {
        let cells = lines(dimension) * 8;
        Coded { high: vec![0; cells], low: vec![0; cells], packed: 0, e_six: 0, along: 0.0 }
    }

    /// Appends the reference's row of the fine table.
    #[inline(always)]
    pub(crate) fn fine_row(&self, out: &mut Vec<u8>) {
        for cells in self.low.as_chunks::<8>().0 {
            let word = u64::from_le_bytes(*cells);
            out.extend_from_slice(&((word | word >> 28) as u32).to_le_bytes());
        }
    }

    /// Puts the reference at place `v` of a row of the coarse table and of the sixth, given all of their bytes.
    #[inline(always)]
    pub(crate) fn put_in_rows(&self, v: usize, coarse: &mut [u8], sixth: &mut [u8]) {
        let (blocks, tail) = coarse.split_at_mut(tail(self.high.len() / 8));
        let (lines, sixth_tail) = sixth.split_at_mut(sixth_tail(self.high.len() / 8));
        let cells = self.high.as_chunks::<32>().0.iter().zip(self.low.as_chunks::<32>().0);
        let lines = lines.as_chunks_mut::<LINE>().0;
        for ((block, line), (high, low)) in blocks.as_chunks_mut::<BLOCK>().0.iter_mut().zip(lines).zip(cells) {
            // Four dimensions a word.
            let word = |cells: &[u8; 32], half: usize| u32::from_le_bytes(std::array::from_fn(|j| cells[4 * half + j]));
            let (mut fifth, mut sixth) = (0, 0);
            for half in 0..2 * BLOCK_LINES {
                fifth |= (word(high, half) >> 4 & 0x0101_0101) << half;
                sixth |= (word(low, half) >> 3 & 0x0101_0101) << half;
            }
            for g in 0..BLOCK_LINES {
                let nibbles = word(high, 2 * g) & 0x0f0f_0f0f | (word(high, 2 * g + 1) & 0x0f0f_0f0f) << 4;
                block[g * LINE + 4 * v..][..4].copy_from_slice(&nibbles.to_le_bytes());
            }
            block[BLOCK_LINES * LINE + 4 * v..][..4].copy_from_slice(&fifth.to_le_bytes());
            line[4 * v..][..4].copy_from_slice(&sixth.to_le_bytes());
        }
        tail[4 * v..4 * v + 4].copy_from_slice(&self.packed.to_le_bytes());
        tail[4 * (GROUP + v)..4 * (GROUP + v) + 4].copy_from_slice(&self.along.to_le_bytes());
        sixth_tail[2 * v..2 * v + 2].copy_from_slice(&self.e_six.to_le_bytes());
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
    /// `Σ z̃`, even.
    sum: i32,
    /// `w`, a power of two apart from what a pass multiplies with.
    width: f32,
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
    /// Codes a probe for a segment, for passes of some depth.
    pub(crate) fn new(probe: &[f32], frame: &Frame, rotation: &Rotation, depth: Depth) -> Self {
        let dimension = probe.len();
        let mut z: Vec<f32> = probe.iter().zip(&frame.centre).map(|(p, mu)| p - mu).collect();
        let base = score::canonical(probe, &frame.centre);
        let exact: f64 = probe.iter().zip(&frame.centre).map(|(p, mu)| (f64::from(*p) - f64::from(*mu)).powi(2)).sum();
        let length = exact.sqrt() + 1e-6;
        rotation.apply(&mut z);
        let width = z.iter().enumerate().fold(f32::powi(2.0, -60), |a, (i, z)| a.max(z.abs() / depth.limit(i)));
        let mut cells = vec![0_i8; lines(dimension) * 8];
        for (i, (z, cell)) in z.iter().zip(&mut cells).enumerate() {
            *cell = (z / width).round_ties_even().clamp(-depth.limit(i), depth.limit(i)) as i8;
        }
        let apart = |(z, cell): (&f32, &i8)| f64::from(*z) - f64::from(width) * f64::from(*cell);
        if cells.iter().map(|c| i32::from(*c)).sum::<i32>() % 2 != 0 {
            // The sum shall be even (see `offset`): the one nearest to half-way goes to its other neighbour, or, at the
            // limit, to the one within it.
            let worst = z.iter().zip(&cells).map(apart).enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
            if let Some((i, apart)) = worst {
                let (cell, toward) = (i16::from(cells[i]), if apart < 0.0 { -1 } else { 1 });
                let within = f32::from((cell + toward).abs()) <= depth.limit(i);
                cells[i] = if within { cell + toward } else { cell - toward } as i8;
            }
        }
        let off: f64 = z.iter().zip(&cells).map(apart).map(|apart| apart * apart).sum();
        // z was rounded once before the rotation, and in it.
        let delta = off.sqrt() + 2.01 * (rotation.slack() + f64::powi(2.0, -24)) + 1e-9;
        let halves = |from: usize| cells.as_chunks::<8>().0.iter().map(|c| [c[from], c[from + 1], c[from + 2], c[from + 3]]).collect();
        CodedProbe {
            low: halves(0),
            high: halves(4),
            sum: cells.iter().map(|c| i32::from(*c)).sum(),
            width,
            length: up(length as f32),
            base,
            common: delta * f64::from(frame.reach) + float_slack(frame.reach),
            fine_slack: fine_error(0.0, dimension, rotation),
            dimension,
        }
    }

    /// What a kernel takes from the sum `I` of a depth: `ẑ·ŷ₅ = 16·w·s·(I − 31·Σz̃/2)`, and
    /// `ẑ·ŷ₆ = 8·w·s·(I − 63·Σz̃/2)`; `Σz̃` is even.
    pub(crate) fn offset(&self, depth: Depth) -> i32 {
        (512 / depth.cells() - 1) * (self.sum / 2)
    }

    /// What a kernel multiplies that with, beside the step.
    pub(crate) fn scale(&self, depth: Depth) -> f32 {
        self.width * depth.cells() as f32
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

    /// Half the width of the interval of a pass but for what all share, from the packed numbers of one reference.
    fn coarse_half(&self, packed: u32) -> f32 {
        f32::from_bits(packed << 16) * self.length
    }

    /// Whether the fine interval of a reference may well begin above a floor (a [`CodedProbe::kernel_floor`]): its middle, as
    /// far as the pass saw it, is above it by about half of what that interval will be wide. A guess, which decides only when
    /// the reference is looked at.
    pub(crate) fn promises(&self, one: &Survivor, floor: f32) -> bool {
        one.upper - self.coarse_half(one.packed) >= floor + self.common as f32
    }

    /// The fine interval of a reference: from the sum of a pass of some depth, the sum over the bits
    /// that it has not seen, its packed numbers and `t`.
    pub(crate) fn fine(&self, depth: Depth, coarse_sum: i32, fine_sum: i32, packed: u32, along: f32) -> Interval {
        let step = f64::from(f32::from_bits(packed & 0xffff_0000));
        let sum = i64::from(depth.cells()) * i64::from(coarse_sum) + i64::from(fine_sum);
        let twice = (2 * sum - 511 * i64::from(self.sum)) as f64;
        let middle = self.base + f64::from(along) + twice * 0.5 * step * f64::from(self.width);
        let e = step * 0.501 * (self.dimension as f64).sqrt() + self.fine_slack;
        let half = f64::from(self.length) * e + self.common;
        Interval { low: middle - half, high: middle + half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{self, Kernel, Packed, Stretch, Survivors};

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
            let (mut rows, mut sixth, mut fine) = (vec![0; coarse_bytes(d)], vec![0; sixth_bytes(d)], Vec::new());
            let mut coded = Coded::new(d);
            let mut residuals = Vec::new();
            let mut coder = Coder::new(&rotation, &mut frame);
            for (v, template) in templates.iter().enumerate() {
                coder.code(template, &mut coded);
                coded.put_in_rows(v, &mut rows, &mut sixth);
                coded.fine_row(&mut fine);
                let mut y = template.clone();
                rotation.apply(&mut y);
                let step = f64::from(f32::from_bits(coded.packed & 0xffff_0000));
                let off = |middle: fn(f64, f64) -> f64| -> Vec<f64> {
                    let cells = coded.high.iter().zip(&coded.low);
                    y.iter().zip(cells).map(|(y, (h, l))| f64::from(*y) - step * middle(f64::from(*h), f64::from(*l))).collect()
                };
                residuals.push([
                    off(|h, _| 16.0 * (h - 15.5)),
                    off(|h, l| 16.0 * h + 8.0 * (l / 8.0).floor() - 252.0),
                    off(|h, l| 16.0 * h + l - 255.5),
                ]);
            }
            (templates.len()..GROUP).for_each(|v| vacate(v, lines(d), &mut rows));
            for (n, [five, six, nine]) in residuals.iter().enumerate() {
                for (residual, sign) in [(five, 1.0), (five, -1.0), (six, 1.0), (six, -1.0), (nine, 1.0), (nine, -1.0)] {
                    let toward: Vec<f64> = rotated_back(&rotation, residual).iter().map(|r| sign * r).collect();
                    let probe = unit(&toward);
                    let exact = score::canonical(&probe, &templates[n]);
                    for (depth, own) in [(Depth::Five, five), (Depth::Six, six)] {
                        let seen = CodedProbe::new(&probe, &frame, &rotation, depth);
                        let mut out = [Survivors::for_groups(1)];
                        let stretch = Stretch { coarse: &rows, sixth: &sixth, first_row: 0 };
                        let packed = Packed::new(std::slice::from_ref(&seen), depth);
                        kernel::scan(Kernel::Scalar, stretch, &packed, &[f32::NEG_INFINITY], &mut out);
                        let one = out[0].iter().nth(n).unwrap();
                        let high = seen.coarse_high(one.upper);
                        let mut sums = Vec::new();
                        kernel::fine_sums(Kernel::Scalar, &fine, &[one.row], &seen, depth, &mut sums);
                        let interval = seen.fine(depth, one.sum, sums[0], one.packed, one.along);
                        assert!(
                            exact <= high && (interval.low..=interval.high).contains(&exact),
                            "dimension {d}, {depth:?}: {exact}, {high}, {interval:?}"
                        );
                        if std::ptr::eq(residual, own) && sign > 0.0 {
                            // What is left is what the probe's own coding takes, and rounding up.
                            let e = f64::from(seen.coarse_half(one.packed));
                            assert!(
                                high - exact < seen.common + 0.02 * e + 1e-4 + f64::from(frame.reach) * 0.02,
                                "dimension {d}, {depth:?}: {}",
                                high - exact
                            );
                            assert!(
                                exact - (high - seen.common - e) > 0.9 * e,
                                "dimension {d}, {depth:?}: the probe does not strain the bound"
                            );
                        }
                    }
                }
            }
        }
    }
}

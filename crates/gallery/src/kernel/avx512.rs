//! AVX-512 with byte dot products: a line of codes is one register, sixteen references wide; each
//! probe has an accumulator, and `vpdpbusd` multiplies and adds four dimensions a lane. It is what a pass
//! for many probes waits for, so all else is made of what other parts of the processor do meanwhile.
//!
//! A sum cannot overflow: with its offset it is within `2 · 63 · 127 · 4,096 < 2²⁶`, and what a pair adds too much within
//! `255 · 128 · 2,048 < 2²⁷`.

use std::arch::x86_64::*;

use super::{GROUP, LINE, MOST_PROBES, Packed, Stretch, Survivors, Work};
use crate::codes::{self, BLOCK, BLOCK_LINES, Depth};

/// Halves of a block's lines: four dimensions of each reference.
const HALVES: usize = 2 * BLOCK_LINES;

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI. `stretch` is whole rows of the probes' dimension,
/// `out` holds all of them (asserted by the caller), and `floors` has an entry for each probe.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn scan(stretch: Stretch<'_>, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    // SAFETY: what this function demands is what they demand.
    unsafe {
        match (probes.count, probes.depth) {
            (1, Depth::Five) => scan_some::<1, false>(stretch, probes, floors, out),
            (2, Depth::Five) => scan_some::<2, false>(stretch, probes, floors, out),
            (4, Depth::Five) => scan_some::<4, false>(stretch, probes, floors, out),
            (8, Depth::Five) => scan_some::<8, false>(stretch, probes, floors, out),
            (_, Depth::Five) => scan_some::<16, false>(stretch, probes, floors, out),
            (1, Depth::Six) => scan_some::<1, true>(stretch, probes, floors, out),
            (2, Depth::Six) => scan_some::<2, true>(stretch, probes, floors, out),
            (4, Depth::Six) => scan_some::<4, true>(stretch, probes, floors, out),
            (8, Depth::Six) => scan_some::<8, true>(stretch, probes, floors, out),
            (_, Depth::Six) => scan_some::<16, true>(stretch, probes, floors, out),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &[u8; LINE]) -> __m512i {
    // SAFETY: a line is 64 bytes.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

/// The bits of `a` where `mask` has ones, of `b` elsewhere.
#[inline]
#[target_feature(enable = "avx512f")]
fn select(mask: i8, a: __m512i, b: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(_mm512_set1_epi8(mask), a, b)
}

/// The five-bit codes of a block, four dimensions of each reference a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn unpack_five(block: &[u8; BLOCK]) -> [__m512i; HALVES] {
    let lines = block.as_chunks::<LINE>().0;
    let fifth = load(&lines[BLOCK_LINES]);
    let mut codes = [_mm512_setzero_si512(); HALVES];
    for (half, codes) in codes.iter_mut().enumerate() {
        let line = load(&lines[half / 2]);
        let nibble = if half % 2 == 0 { line } else { _mm512_srli_epi16::<4>(line) };
        // Bit `half` of each byte comes to bit 4.
        let moved = if half < 4 {
            _mm512_sll_epi16(fifth, _mm_cvtsi32_si128((4 - half) as i32))
        } else {
            _mm512_srl_epi16(fifth, _mm_cvtsi32_si128((half - 4) as i32))
        };
        // a | (b & c)
        *codes = _mm512_ternarylogic_epi32::<0xf8>(_mm512_and_si512(nibble, _mm512_set1_epi8(0x0f)), moved, _mm512_set1_epi8(0x10));
    }
    codes
}

/// The six-bit codes of a block. They compete with the multiplications for the processor's units, so
/// fifth and sixth bits of up to three halves are brought together once, and then moved as one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn unpack_six(block: &[u8; BLOCK], sixth: &[u8; LINE]) -> [__m512i; HALVES] {
    let lines = block.as_chunks::<LINE>().0;
    let (fifth, sixth) = (load(&lines[BLOCK_LINES]), load(sixth));
    // Of half `from + n` the sixth bit is bit n, the fifth bit n + 5.
    const FIFTHS: i8 = 0xe0_u8 as i8;
    let from_0 = select(FIFTHS, _mm512_slli_epi16::<5>(fifth), sixth);
    let from_3 = select(FIFTHS, _mm512_slli_epi16::<2>(fifth), _mm512_srli_epi16::<3>(sixth));
    let from_6 = select(FIFTHS, _mm512_srli_epi16::<1>(fifth), _mm512_srli_epi16::<6>(sixth));
    let mut codes = [_mm512_setzero_si512(); HALVES];
    for (half, codes) in codes.iter_mut().enumerate() {
        let bits = [from_0, from_3, from_6][half / 3];
        let bits = match half % 3 {
            0 => bits,
            1 => _mm512_srli_epi16::<1>(bits),
            _ => _mm512_srli_epi16::<2>(bits),
        };
        let line = load(&lines[half / 2]);
        let nibble = if half % 2 == 0 { _mm512_slli_epi16::<1>(line) } else { _mm512_srli_epi16::<3>(line) };
        *codes = _mm512_and_si512(select(0x1e, nibble, bits), _mm512_set1_epi8(0x3f));
    }
    codes
}

/// The sums of a row, less its offset, for up to `P` probes, packed as `P`; each loaded line serves all of them.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI, and `probes` are packed as `P`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums<const P: usize, const SIX: bool>(blocks: &[[u8; BLOCK]], sixth: &[u8], probes: &Packed) -> [__m512i; P] {
    let mut sums: [__m512i; P] = std::array::from_fn(|p| _mm512_set1_epi32(-probes.offset[p]));
    // One probe is bound by memory; what counts is that enough sums are in flight.
    let mut sums_of_one = [_mm512_setzero_si512(); HALVES];
    for (b, (block, cells)) in blocks.iter().zip(probes.cells.chunks_exact(HALVES * P)).enumerate() {
        super::prefetch_ahead(block, super::PASS_AHEAD);
        let codes = if SIX {
            let line = super::line_of(sixth, b);
            super::prefetch_ahead(line, super::SIXTH_AHEAD);
            unpack_six(block, line)
        } else {
            unpack_five(block)
        };
        for (half, (codes, cells)) in codes.into_iter().zip(cells.as_chunks::<P>().0).enumerate() {
            if P == 1 {
                sums_of_one[half] = _mm512_dpbusd_epi32(sums_of_one[half], codes, _mm512_set1_epi32(cells[0]));
            } else {
                for (sum, cell) in sums.iter_mut().zip(cells) {
                    *sum = _mm512_dpbusd_epi32(*sum, codes, _mm512_set1_epi32(*cell));
                }
            }
        }
    }
    if P == 1 {
        sums_of_one.iter().for_each(|one| sums[0] = _mm512_add_epi32(sums[0], *one));
    }
    sums
}

/// Sixteen probes as [`sums_in_pairs`] multiplies with them.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    /// As [`Packed::cells`], but for the halves of pairs: of `a` the bytes `y_b + 96`, of `b` the bytes `y_a − 32`.
    cells: Vec<i32>,
    /// What a sum begins at: less the offset, and less what it will have too much, for the probe's part of it.
    start: [i32; MOST_PROBES],
}

impl Pairs {
    pub(super) fn new(probes: &Packed) -> Self {
        let (mut cells, mut start) = (probes.cells.clone(), probes.offset.map(|offset| -offset));
        for block in cells.chunks_exact_mut(HALVES * MOST_PROBES) {
            let (halves, _) = block.as_chunks_mut::<MOST_PROBES>();
            for a in PAIRED {
                for (p, start) in start.iter_mut().enumerate() {
                    let (y_a, y_b) = (halves[a][p].to_le_bytes(), halves[a + 1][p].to_le_bytes());
                    for (y_a, y_b) in y_a.into_iter().zip(y_b) {
                        let (y_a, y_b) = (i32::from(y_a as i8), i32::from(y_b as i8));
                        *start -= y_a * y_b - LESS * y_b + MORE * y_a;
                    }
                    halves[a][p] = i32::from_le_bytes(y_b.map(|y| (i32::from(y as i8) + MORE) as u8));
                    halves[a + 1][p] = i32::from_le_bytes(y_a.map(|y| (i32::from(y as i8) - LESS) as u8));
                }
            }
        }
        Pairs { cells, start }
    }
}

/// The halves of a block that are multiplied together with the one after them.
const PAIRED: [usize; 2] = [0, 4];
/// What is added to the first factor of a pair, so that it is a u8, and taken from the second, so that it is an i8.
const MORE: i32 = codes::PAIRED_LIMIT as i32;
const LESS: i32 = 128 - codes::PAIRED_LIMIT as i32;

/// Does something for each of sixteen probes, by a constant: what is in a loop, the compiler may keep in memory.
macro_rules! for_each_probe {
    ($p:ident => $does:expr) => { for_each_probe!(@ $p $does; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) };
    (@ $p:ident $does:expr; $($n:literal)*) => { $({ const $p: usize = $n; $does; })* };
}

/// [`sums`] of six-bit codes for sixteen probes, with a quarter fewer multiplications.
///
/// `vpdpbusd` is what a batch waits for, at one a cycle, while half of the units that add are idle. Winograd's inner
/// product (*A New Algorithm for Inner Product*, IEEE Trans. Comput. C-17, 1968) trades the one for the other: for
/// dimensions `a`, `b` of a reference `x` and a probe `y`
///
/// ```text
/// x_a·y_a + x_b·y_b = (x_a + y_b + m)·(x_b + y_a − l) − (x_a + m)·(x_b − l) − (y_a·y_b − l·y_b + m·y_a)
/// ```
///
/// where the second product is the reference's alone, one for all probes, and the bracket the probe's alone, one
/// for all references. These are integers, so nothing is rounded. With `0 ≤ x ≤ 63`, `|y| ≤ 96`
/// ([`codes::PAIRED_LIMIT`]), `m = 96` and `l = 32`, the first factor is within 0 … 255 and the second within
/// −128 … 127: just what `vpdpbusd` takes, so that adding bytes never carries. Half of the dimensions
/// are paired; with more of them the additions, and not the multiplications, would be waited for.
///
/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn sums_in_pairs(blocks: &[[u8; BLOCK]], sixth: &[u8], pairs: &Pairs) -> [__m512i; MOST_PROBES] {
    let mut sums = [_mm512_setzero_si512(); MOST_PROBES];
    for_each_probe!(P => sums[P] = _mm512_set1_epi32(pairs.start[P]));
    let mut own = _mm512_setzero_si512();
    for (b, (block, cells)) in blocks.iter().zip(pairs.cells.as_chunks::<{ HALVES * MOST_PROBES }>().0).enumerate() {
        super::prefetch_ahead(block, super::PASS_AHEAD);
        let line = super::line_of(sixth, b);
        super::prefetch_ahead(line, super::SIXTH_AHEAD);
        let x = unpack_six(block, line);
        let y = |half: usize, p: usize| _mm512_set1_epi32(cells[half * MOST_PROBES + p]);
        let one = |sum, half: usize, p| _mm512_dpbusd_epi32(sum, x[half], y(half, p));
        let two = |sum, a: usize, y_b, y_a| _mm512_dpbusd_epi32(sum, _mm512_add_epi8(x[a], y_b), _mm512_add_epi8(x[a + 1], y_a));
        // In an order in which multiplications and additions are always beside each other.
        for_each_probe!(P => sums[P] = one(sums[P], 3, P));
        own = two(own, 0, _mm512_set1_epi8(MORE as i8), _mm512_set1_epi8(-LESS as i8));
        for_each_probe!(P => sums[P] = one(two(sums[P], 0, y(0, P), y(1, P)), 2, P));
        for_each_probe!(P => sums[P] = one(sums[P], 7, P));
        own = two(own, 4, _mm512_set1_epi8(MORE as i8), _mm512_set1_epi8(-LESS as i8));
        for_each_probe!(P => sums[P] = one(two(sums[P], 4, y(4, P), y(5, P)), 6, P));
    }
    for_each_probe!(P => sums[P] = _mm512_sub_epi32(sums[P], own));
    sums
}

/// Up to `P` probes, packed as `P`.
///
/// # Safety
/// As [`scan`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn scan_some<const P: usize, const SIX: bool>(
    stretch: Stretch<'_>,
    probes: &Packed,
    floors: &[f32; MOST_PROBES],
    out: &mut [Survivors],
) {
    let lines = probes.lines();
    let (tail, row_bytes) = (codes::tail(lines), codes::tail(lines) + codes::TAIL);
    let (sixth_tail, sixth_bytes) = (codes::sixth_tail(lines), codes::sixth_tail(lines) + 2 * GROUP);
    let mut strip = Strip::<P>::new();
    for (number, rows) in stretch.coarse.chunks(STRIP * row_bytes).enumerate() {
        for (at, row) in rows.chunks_exact(row_bytes).enumerate() {
            let group = number * STRIP + at;
            let sixth = if SIX { &stretch.sixth[group * sixth_bytes..(group + 1) * sixth_bytes] } else { &[] };
            let (blocks, tail) = row.split_at(tail);
            let blocks = blocks.as_chunks().0;
            // SAFETY: the processor has what they want, and the probes are packed as `P`.
            let sums: [__m512i; P] = unsafe {
                match &probes.pairs {
                    Some(pairs) if SIX && P == MOST_PROBES => {
                        let sums = sums_in_pairs(blocks, sixth, pairs);
                        std::array::from_fn(|p| sums[p])
                    }
                    _ => sums::<P, SIX>(blocks, sixth, probes),
                }
            };
            // SAFETY: the row has its tail of 128 bytes, and that of the sixth table one of 32.
            unsafe { strip.weigh::<SIX>(at, &sums, tail, sixth.get(sixth_tail..).unwrap_or_default(), probes, floors) };
        }
        // SAFETY: whole rows, of which the strip has weighed the last; `out` has room for all groups.
        unsafe { strip.gather(rows.len() / row_bytes, stretch.first_row as usize + number * STRIP * GROUP, probes, out) };
    }
}

/// Groups that are weighed before what they leave is gathered. A branch on what was just computed is
/// guessed wrong often, and would stall the sums that follow; in a strip it is asked later.
const STRIP: usize = 8;

/// What is known of a strip's groups, for each probe.
#[repr(C, align(64))]
struct Strip<const P: usize> {
    /// Less the probe's offset.
    sums: [[[i32; GROUP]; P]; STRIP],
    /// Steps and residuals, and `t`.
    packed: [[u32; GROUP]; STRIP],
    along: [[f32; GROUP]; STRIP],
    /// Which references stay, one bit each.
    masks: [[u16; STRIP]; P],
}

impl<const P: usize> Strip<P> {
    fn new() -> Self {
        Strip { sums: [[[0; GROUP]; P]; STRIP], packed: [[0; GROUP]; STRIP], along: [[0.0; GROUP]; STRIP], masks: [[0; STRIP]; P] }
    }

    /// From a group's sums to who stays.
    ///
    /// # Safety
    /// The processor has AVX-512 F and VL. `tail` is 128 bytes at least, and `residuals` 32 if `SIX`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn weigh<const SIX: bool>(
        &mut self,
        at: usize,
        sums: &[__m512i; P],
        tail: &[u8],
        residuals: &[u8],
        probes: &Packed,
        floors: &[f32; MOST_PROBES],
    ) {
        // SAFETY: the caller says that the tail is long enough.
        let (mut packed, along) =
            unsafe { (_mm512_loadu_si512(tail.as_ptr().cast()), _mm512_loadu_ps(tail.as_ptr().add(GROUP * 4).cast())) };
        if SIX {
            // SAFETY: the caller says that there are 32 bytes.
            let residuals = unsafe { _mm256_loadu_si256(residuals.as_ptr().cast()) };
            let steps = _mm512_and_si512(packed, _mm512_set1_epi32(0xffff_0000_u32 as i32));
            packed = _mm512_or_si512(steps, _mm512_cvtepu16_epi32(residuals));
        }
        // SAFETY: all are sixteen places of four bytes.
        unsafe {
            _mm512_storeu_si512(self.packed[at].as_mut_ptr().cast(), packed);
            _mm512_storeu_ps(self.along[at].as_mut_ptr(), along);
        }
        for (p, sum) in sums.iter().enumerate() {
            let upper = upper(*sum, packed, along, probes, p);
            self.masks[p][at] = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(upper, _mm512_set1_ps(floors[p]));
            // SAFETY: as above.
            unsafe { _mm512_storeu_si512(self.sums[at][p].as_mut_ptr().cast(), *sum) };
        }
    }

    /// Gathers what stays of the first `groups` groups; `first_row` is the number of their first reference.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and VL. Each of `out` has room for all of the groups'
    /// references and 16 more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn gather(&self, groups: usize, first_row: usize, probes: &Packed, out: &mut [Survivors]) {
        let count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for (p, o) in out.iter_mut().enumerate().take(P) {
            // SAFETY: these are eight u16.
            let masks = unsafe { _mm_loadu_si128(self.masks[p].as_ptr().cast()) };
            let mut left = _mm_test_epi16_mask(masks, masks) & (((1_u16 << groups) - 1) as u8);
            while left != 0 {
                let at = left.trailing_zeros() as usize;
                left &= left - 1;
                let mask = self.masks[p][at];
                let row = _mm512_add_epi32(_mm512_set1_epi32((first_row + at * GROUP) as i32), count);
                // SAFETY: there is room for 16 after `len`: the caller says so; the rest is as above.
                // Compressing in the register and storing it whole is many times faster than a
                // compressing store here.
                unsafe {
                    let sum = _mm512_loadu_si512(self.sums[at][p].as_ptr().cast());
                    let packed = _mm512_loadu_si512(self.packed[at].as_ptr().cast());
                    let along = _mm512_loadu_ps(self.along[at].as_ptr());
                    let upper = upper(sum, packed, along, probes, p);
                    _mm512_storeu_si512(o.rows.as_mut_ptr().add(o.len).cast(), _mm512_maskz_compress_epi32(mask, row));
                    let sum = _mm512_add_epi32(sum, _mm512_set1_epi32(probes.offset[p]));
                    _mm512_storeu_si512(o.sums.as_mut_ptr().add(o.len).cast(), _mm512_maskz_compress_epi32(mask, sum));
                    _mm512_storeu_ps(o.uppers.as_mut_ptr().add(o.len), _mm512_maskz_compress_ps(mask, upper));
                    _mm512_storeu_si512(o.packed.as_mut_ptr().add(o.len).cast(), _mm512_maskz_compress_epi32(mask, packed));
                    _mm512_storeu_ps(o.along.as_mut_ptr().add(o.len), _mm512_maskz_compress_ps(mask, along));
                }
                o.len += mask.count_ones() as usize;
            }
        }
    }
}

/// From a group's sums, less the probe's offset, to upper ends, by the scalar kernel's operations.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn upper(sum: __m512i, packed: __m512i, along: __m512, probes: &Packed, p: usize) -> __m512 {
    let step = _mm512_castsi512_ps(_mm512_and_si512(packed, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
    let residual = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(packed));
    let middle = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(step, _mm512_set1_ps(probes.scale[p])), along);
    _mm512_fmadd_ps(residual, _mm512_set1_ps(probes.length[p]), middle)
}

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn fine_sums(fine: &[u8], rows: &[u32], low: &[i8], high: &[i8], unseen: u8, out: &mut Vec<i32>) {
    assert_eq!(low.len(), high.len());
    let nibble = _mm512_set1_epi8(unseen as i8);
    for at in 0..rows.len() {
        let row = super::fine_row(fine, rows, at, low.len());
        let (mut a, mut b) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for from in (0..row.len()).step_by(64) {
            let left = row.len() - from;
            let mask = if left >= 64 { !0 } else { (1_u64 << left) - 1 };
            // SAFETY: only the first `left` bytes from `from` are read, which all three slices have:
            // `fine_row` gives as many bytes as `low` has, and `high` has as many (asserted above).
            let (codes, low, high) = unsafe {
                (
                    _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(from).cast()),
                    _mm512_maskz_loadu_epi8(mask, low.as_ptr().add(from)),
                    _mm512_maskz_loadu_epi8(mask, high.as_ptr().add(from)),
                )
            };
            a = _mm512_dpbusd_epi32(a, _mm512_and_si512(codes, nibble), low);
            b = _mm512_dpbusd_epi32(b, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), nibble), high);
        }
        out.push(_mm512_reduce_add_epi32(_mm512_add_epi32(a, b)));
    }
}

/// # Safety
/// The processor has AVX-512 F, BW and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn run<T: Work>(work: T) {
    work.run();
}

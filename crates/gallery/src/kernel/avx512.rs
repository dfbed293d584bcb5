//! AVX-512 with byte dot products: a line of codes is one register, sixteen references wide; each
//! probe has an accumulator, and `vpdpbusd` multiplies and adds four dimensions a lane.
//!
//! The fifth bits of a line are two mask registers as they lie in memory. A sum cannot overflow:
//! `31 · 127 · 4,096 < 2²⁴`.

use std::arch::x86_64::*;

use super::{BITS, BLOCK, BLOCK_LINES, GROUP, LINE, MOST_PROBES, Packed, Survivors, Work};
use crate::codes;

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI. `coarse` is whole rows of the probes' dimension,
/// `out` holds all of them (asserted by the caller), and `floors` has an entry for each probe.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn scan(coarse: &[u8], first_row: u32, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    // SAFETY: what this function demands is what they demand.
    unsafe {
        match probes.count {
            1 => scan_one(coarse, first_row, probes, floors, out),
            2 => scan_some::<2>(coarse, first_row, probes, floors, out),
            4 => scan_some::<4>(coarse, first_row, probes, floors, out),
            8 => scan_some::<8>(coarse, first_row, probes, floors, out),
            _ => scan_some::<16>(coarse, first_row, probes, floors, out),
        }
    }
}

/// The codes of a block's `j`-th line, 64 for the first four dimensions of each reference and 64 for
/// the others.
///
/// # Safety
/// `j` is below the lines of a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn unpack(block: &[u8; BLOCK], j: usize) -> (__m512i, __m512i) {
    let nibble = _mm512_set1_epi8(0x0f);
    let sixteen = _mm512_set1_epi8(0x10);
    // SAFETY: a block is four lines, then 16 bytes for each; the reads need no alignment.
    let (line, first, second) = unsafe {
        let line = _mm512_loadu_si512(block.as_ptr().add(j * LINE).cast());
        let bits = block.as_ptr().add(BLOCK_LINES * LINE + j * BITS).cast::<u64>();
        (line, bits.read_unaligned(), bits.add(1).read_unaligned())
    };
    let low = _mm512_and_si512(line, nibble);
    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(line), nibble);
    (_mm512_mask_add_epi8(low, first, low, sixteen), _mm512_mask_add_epi8(high, second, high, sixteen))
}

/// One probe: bound by memory, so what counts is that enough sums are in flight.
///
/// # Safety
/// As [`scan`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn scan_one(coarse: &[u8], first_row: u32, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    let lines = probes.lines();
    assert_eq!(probes.cells.len(), 2 * lines);
    let cells = probes.cells.as_ptr();
    let (tail, row_bytes) = (codes::tail(lines), codes::tail(lines) + codes::TAIL);
    let mut strip = Strip::<1>::new();
    for (number, rows) in coarse.chunks(STRIP * row_bytes).enumerate() {
        for (at, row) in rows.chunks_exact(row_bytes).enumerate() {
            let mut sums = [_mm512_setzero_si512(); 8];
            for (b, block) in row.as_chunks::<BLOCK>().0.iter().take(lines / BLOCK_LINES).enumerate() {
                super::prefetch_ahead(block);
                for j in 0..BLOCK_LINES {
                    // SAFETY: j is below the lines of a block; the block's number is below the row's
                    // blocks, and `cells` has two entries for each of their lines (asserted above).
                    unsafe {
                        let (low, high) = unpack(block, j);
                        let cells = cells.add(2 * (BLOCK_LINES * b + j));
                        sums[j] = _mm512_dpbusd_epi32(sums[j], low, _mm512_set1_epi32(*cells));
                        sums[4 + j] = _mm512_dpbusd_epi32(sums[4 + j], high, _mm512_set1_epi32(*cells.add(1)));
                    }
                }
            }
            let sum = |a: &[__m512i]| _mm512_add_epi32(_mm512_add_epi32(a[0], a[1]), _mm512_add_epi32(a[2], a[3]));
            let sum = _mm512_add_epi32(sum(&sums[..4]), sum(&sums[4..]));
            // SAFETY: the row has its tail of 128 bytes.
            unsafe { strip.weigh(at, &[sum], &row[tail..], probes, floors) };
        }
        // SAFETY: whole rows, each with its tail; `out` has room for all groups.
        unsafe { strip.gather(rows, row_bytes, tail, first_row as usize + number * STRIP * GROUP, out) };
    }
}

/// Several probes: bound by the multipliers, so each loaded line serves all of them.
///
/// # Safety
/// As [`scan`], for at most `P` probes packed as `P`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn scan_some<const P: usize>(coarse: &[u8], first_row: u32, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    let lines = probes.lines();
    assert_eq!(probes.cells.len(), 2 * P * lines);
    let cells = probes.cells.as_ptr();
    let (tail, row_bytes) = (codes::tail(lines), codes::tail(lines) + codes::TAIL);
    let mut strip = Strip::<P>::new();
    for (number, rows) in coarse.chunks(STRIP * row_bytes).enumerate() {
        for (at, row) in rows.chunks_exact(row_bytes).enumerate() {
            let mut sums = [_mm512_setzero_si512(); P];
            for (b, block) in row.as_chunks::<BLOCK>().0.iter().take(lines / BLOCK_LINES).enumerate() {
                super::prefetch_ahead(block);
                for j in 0..BLOCK_LINES {
                    // SAFETY: j is below the lines of a block; the block's number is below the row's
                    // blocks, and `cells` has 2·P entries for each of their lines (asserted above).
                    unsafe {
                        let (low, high) = unpack(block, j);
                        let cells = cells.add((BLOCK_LINES * b + j) * 2 * P);
                        for (p, sum) in sums.iter_mut().enumerate() {
                            *sum = _mm512_dpbusd_epi32(*sum, low, _mm512_set1_epi32(*cells.add(p)));
                        }
                        for (p, sum) in sums.iter_mut().enumerate() {
                            *sum = _mm512_dpbusd_epi32(*sum, high, _mm512_set1_epi32(*cells.add(P + p)));
                        }
                    }
                }
            }
            // SAFETY: the row has its tail of 128 bytes.
            unsafe { strip.weigh(at, &sums, &row[tail..], probes, floors) };
        }
        // SAFETY: as in `scan_one`.
        unsafe { strip.gather(rows, row_bytes, tail, first_row as usize + number * STRIP * GROUP, out) };
    }
}

/// Groups that are weighed before what they leave is gathered. A branch on what was just computed is
/// guessed wrong often, and would stall the sums that follow; in a strip it is asked later.
const STRIP: usize = 8;

/// What is known of a strip's groups, for each probe.
#[repr(C, align(64))]
struct Strip<const P: usize> {
    sums: [[[i32; GROUP]; P]; STRIP],
    uppers: [[[f32; GROUP]; P]; STRIP],
    /// Which references stay, one bit each.
    masks: [[u16; STRIP]; P],
}

impl<const P: usize> Strip<P> {
    fn new() -> Self {
        Strip { sums: [[[0; GROUP]; P]; STRIP], uppers: [[[0.0; GROUP]; P]; STRIP], masks: [[0; STRIP]; P] }
    }

    /// From a group's sums to upper ends, by the scalar kernel's operations.
    ///
    /// # Safety
    /// The processor has AVX-512 F and VL. `tail` is 128 bytes at least.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vl")]
    unsafe fn weigh(&mut self, at: usize, sums: &[__m512i; P], tail: &[u8], probes: &Packed, floors: &[f32; MOST_PROBES]) {
        // SAFETY: the caller says that the tail is long enough.
        let (packed, along) = unsafe { (_mm512_loadu_si512(tail.as_ptr().cast()), _mm512_loadu_ps(tail.as_ptr().add(GROUP * 4).cast())) };
        let step = _mm512_castsi512_ps(_mm512_and_si512(packed, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
        let residual = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(packed));
        for (p, sum) in sums.iter().enumerate() {
            let twice = _mm512_sub_epi32(_mm512_add_epi32(*sum, *sum), _mm512_set1_epi32(probes.bias[p]));
            let middle = _mm512_mul_ps(_mm512_cvtepi32_ps(twice), _mm512_mul_ps(step, _mm512_set1_ps(probes.scale[p])));
            let middle = _mm512_add_ps(middle, along);
            let upper = _mm512_add_ps(middle, _mm512_mul_ps(residual, _mm512_set1_ps(probes.length[p])));
            self.masks[p][at] = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(upper, _mm512_set1_ps(floors[p]));
            // SAFETY: both are sixteen places of four bytes.
            unsafe {
                _mm512_storeu_si512(self.sums[at][p].as_mut_ptr().cast(), *sum);
                _mm512_storeu_ps(self.uppers[at][p].as_mut_ptr(), upper);
            }
        }
    }

    /// Gathers what stays of the first `groups` groups, of which `rows` are the coarse rows and
    /// `first_row` is the number of the first reference.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and VL. Each of `out` has room for all of the groups'
    /// references and 16 more, and each of `rows` has its tail of 128 bytes after `tail`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn gather(&self, rows: &[u8], row_bytes: usize, tail: usize, first_row: usize, out: &mut [Survivors]) {
        let groups = rows.len() / row_bytes;
        let count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for (p, o) in out.iter_mut().enumerate().take(P) {
            // SAFETY: these are eight u16.
            let masks = unsafe { _mm_loadu_si128(self.masks[p].as_ptr().cast()) };
            let mut left = _mm_test_epi16_mask(masks, masks) & (((1_u16 << groups) - 1) as u8);
            while left != 0 {
                let at = left.trailing_zeros() as usize;
                left &= left - 1;
                let mask = self.masks[p][at];
                let tail = &rows[at * row_bytes + tail..][..2 * GROUP * 4];
                let row = _mm512_add_epi32(_mm512_set1_epi32((first_row + at * GROUP) as i32), count);
                // SAFETY: there is room for 16 after `len`: the caller says so; the rest is as above.
                // Compressing in the register and storing it whole is many times faster than a
                // compressing store here.
                unsafe {
                    let sum = _mm512_loadu_si512(self.sums[at][p].as_ptr().cast());
                    let upper = _mm512_loadu_ps(self.uppers[at][p].as_ptr());
                    let packed = _mm512_loadu_si512(tail.as_ptr().cast());
                    let along = _mm512_loadu_ps(tail.as_ptr().add(GROUP * 4).cast());
                    _mm512_storeu_si512(o.rows.as_mut_ptr().add(o.len).cast(), _mm512_maskz_compress_epi32(mask, row));
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

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn fine_sums(fine: &[u8], rows: &[u32], low: &[i8], high: &[i8], out: &mut Vec<i32>) {
    assert_eq!(low.len(), high.len());
    let nibble = _mm512_set1_epi8(0x0f);
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

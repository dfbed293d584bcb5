//! AVX-512 with byte dot products: a line of codes is one register, sixteen references wide; each
//! probe has an accumulator, and `vpdpbusd` multiplies and adds four dimensions a lane. It is what a pass
//! for many probes waits for, so all else is made of what other parts of the processor do meanwhile.
//!
//! A sum cannot overflow: `63 · 127 · 4,096 < 2²⁵`, and twice that is below 2³¹.

use std::arch::x86_64::*;

use super::{GROUP, LINE, MOST_PROBES, Packed, Stretch, Survivors, Work};
use crate::codes::{self, BLOCK, BLOCK_LINES, Depth};

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

/// The codes of a block, four dimensions of each reference a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn unpack<const SIX: bool>(block: &[u8; BLOCK], sixth: &[u8; LINE]) -> [__m512i; 2 * BLOCK_LINES] {
    // SAFETY: a line is 64 bytes.
    let load = |line: &[u8; LINE]| unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
    let lines = block.as_chunks::<LINE>().0;
    let (fifth, sixth) = (load(&lines[BLOCK_LINES]), load(sixth));
    // `codes`, and bit `half` of each byte of `bits` as bit `to` in it (which is 0 in `codes`).
    let with_bit = |codes: __m512i, bits: __m512i, half: usize, to: usize| {
        let moved = if half < to {
            _mm512_sll_epi16(bits, _mm_cvtsi32_si128((to - half) as i32))
        } else {
            _mm512_srl_epi16(bits, _mm_cvtsi32_si128((half - to) as i32))
        };
        // a | (b & c)
        _mm512_ternarylogic_epi32::<0xf8>(codes, moved, _mm512_set1_epi8(1 << to))
    };
    let mut codes = [_mm512_setzero_si512(); 2 * BLOCK_LINES];
    for (half, codes) in codes.iter_mut().enumerate() {
        let line = load(&lines[half / 2]);
        *codes = if SIX {
            let nibble = if half % 2 == 0 { _mm512_slli_epi16::<1>(line) } else { _mm512_srli_epi16::<3>(line) };
            let nibble = _mm512_and_si512(nibble, _mm512_set1_epi8(0x1e));
            with_bit(with_bit(nibble, fifth, half, 5), sixth, half, 0)
        } else {
            let nibble = if half % 2 == 0 { line } else { _mm512_srli_epi16::<4>(line) };
            with_bit(_mm512_and_si512(nibble, _mm512_set1_epi8(0x0f)), fifth, half, 4)
        };
    }
    codes
}

/// Up to `P` probes, packed as `P`; each loaded line serves all of them.
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
    assert_eq!(probes.cells.len(), 2 * P * lines);
    let cells = probes.cells.as_ptr();
    let (tail, row_bytes) = (codes::tail(lines), codes::tail(lines) + codes::TAIL);
    let (sixth_tail, sixth_bytes) = (codes::sixth_tail(lines), codes::sixth_tail(lines) + 2 * GROUP);
    let mut strip = Strip::<P>::new();
    for (number, rows) in stretch.coarse.chunks(STRIP * row_bytes).enumerate() {
        for (at, row) in rows.chunks_exact(row_bytes).enumerate() {
            let group = number * STRIP + at;
            let sixth = if SIX { &stretch.sixth[group * sixth_bytes..(group + 1) * sixth_bytes] } else { &[] };
            let mut sums = [_mm512_setzero_si512(); P];
            // One probe is bound by memory; what counts is that enough sums are in flight.
            let mut sums_of_one = [_mm512_setzero_si512(); 2 * BLOCK_LINES];
            for (b, block) in row.as_chunks::<BLOCK>().0.iter().take(lines / BLOCK_LINES).enumerate() {
                super::prefetch_ahead(block, super::PASS_AHEAD);
                let line = super::line_of(sixth, b);
                if SIX {
                    super::prefetch_ahead(line, super::SIXTH_AHEAD);
                }
                for (half, codes) in unpack::<SIX>(block, line).into_iter().enumerate() {
                    // SAFETY: the block's number is below the row's blocks, `half` below the halves of a block's
                    // lines, and `cells` has P entries for each of them (asserted above).
                    let cells = unsafe { cells.add((2 * BLOCK_LINES * b + half) * P) };
                    if P == 1 {
                        // SAFETY: as above.
                        let cells = unsafe { _mm512_set1_epi32(*cells) };
                        sums_of_one[half] = _mm512_dpbusd_epi32(sums_of_one[half], codes, cells);
                    } else {
                        for (p, sum) in sums.iter_mut().enumerate() {
                            // SAFETY: as above.
                            *sum = _mm512_dpbusd_epi32(*sum, codes, unsafe { _mm512_set1_epi32(*cells.add(p)) });
                        }
                    }
                }
            }
            if P == 1 {
                sums_of_one.iter().for_each(|one| sums[0] = _mm512_add_epi32(sums[0], *one));
            }
            // SAFETY: the row has its tail of 128 bytes, and that of the sixth table one of 32.
            unsafe { strip.weigh::<SIX>(at, &sums, &row[tail..], sixth.get(sixth_tail..).unwrap_or_default(), probes, floors) };
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

/// From a group's sums to upper ends, by the scalar kernel's operations.
#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn upper(sum: __m512i, packed: __m512i, along: __m512, probes: &Packed, p: usize) -> __m512 {
    let step = _mm512_castsi512_ps(_mm512_and_si512(packed, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
    let residual = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(packed));
    let twice = _mm512_sub_epi32(_mm512_add_epi32(sum, sum), _mm512_set1_epi32(probes.bias[p]));
    let middle = _mm512_mul_ps(_mm512_cvtepi32_ps(twice), _mm512_mul_ps(step, _mm512_set1_ps(probes.scale[p])));
    let middle = _mm512_add_ps(middle, along);
    _mm512_add_ps(middle, _mm512_mul_ps(residual, _mm512_set1_ps(probes.length[p])))
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

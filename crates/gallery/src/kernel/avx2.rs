//! AVX2: half a line, eight references, is one register. `vpmaddubsw` adds two products into 16
//! bits, where a code of six bits times i8 cannot saturate (`2 · 63 · 127`, and twice that for both
//! halves of a byte, are below 2¹⁵); `vpmaddwd` by ones then adds pairs into 32 bits.

use std::arch::x86_64::*;

use super::{GROUP, LINE, MOST_PROBES, Packed, Stretch, Survivor, Survivors, Work};
use crate::codes::{self, BLOCK, BLOCK_LINES, Depth};

/// # Safety
/// The processor has AVX2 and FMA. `stretch` is whole rows of the probes' dimension, `out` holds all of them
/// (asserted by the caller).
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn scan(stretch: Stretch<'_>, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    // Four probes at a time: eight accumulators, and room for the rest in sixteen registers.
    for from in (0..out.len()).step_by(4) {
        // SAFETY: what this function demands is what they demand.
        unsafe {
            match ((out.len() - from).min(4), probes.depth) {
                (1, Depth::Five) => scan_some::<1, false>(stretch, probes, from, floors, out),
                (2, Depth::Five) => scan_some::<2, false>(stretch, probes, from, floors, out),
                (3, Depth::Five) => scan_some::<3, false>(stretch, probes, from, floors, out),
                (_, Depth::Five) => scan_some::<4, false>(stretch, probes, from, floors, out),
                (1, Depth::Six) => scan_some::<1, true>(stretch, probes, from, floors, out),
                (2, Depth::Six) => scan_some::<2, true>(stretch, probes, from, floors, out),
                (3, Depth::Six) => scan_some::<3, true>(stretch, probes, from, floors, out),
                (_, Depth::Six) => scan_some::<4, true>(stretch, probes, from, floors, out),
            }
        }
    }
}

/// The codes of eight references (`side` of a line's sixteen), four dimensions of each a register.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn unpack<const SIX: bool>(block: &[u8; BLOCK], sixth: &[u8; LINE], side: usize) -> [__m256i; 2 * BLOCK_LINES] {
    let load = |line: &[u8; LINE]| {
        let part = &line.as_chunks::<32>().0[side];
        // SAFETY: it is 32 bytes.
        unsafe { _mm256_loadu_si256(part.as_ptr().cast()) }
    };
    let lines = block.as_chunks::<LINE>().0;
    let (fifth, sixth) = (load(&lines[BLOCK_LINES]), load(sixth));
    // Bit `half` of each byte comes to bit `to`; what else comes along is masked out.
    let bit = |bits: __m256i, half: usize, to: usize| {
        let moved = if half < to {
            _mm256_sll_epi16(bits, _mm_cvtsi32_si128((to - half) as i32))
        } else {
            _mm256_srl_epi16(bits, _mm_cvtsi32_si128((half - to) as i32))
        };
        _mm256_and_si256(moved, _mm256_set1_epi8(1 << to))
    };
    let mut codes = [_mm256_setzero_si256(); 2 * BLOCK_LINES];
    for (half, codes) in codes.iter_mut().enumerate() {
        let line = load(&lines[half / 2]);
        *codes = if SIX {
            let nibble = if half % 2 == 0 { _mm256_slli_epi16::<1>(line) } else { _mm256_srli_epi16::<3>(line) };
            let nibble = _mm256_and_si256(nibble, _mm256_set1_epi8(0x1e));
            _mm256_or_si256(_mm256_or_si256(nibble, bit(fifth, half, 5)), bit(sixth, half, 0))
        } else {
            let nibble = if half % 2 == 0 { line } else { _mm256_srli_epi16::<4>(line) };
            _mm256_or_si256(_mm256_and_si256(nibble, _mm256_set1_epi8(0x0f)), bit(fifth, half, 4))
        };
    }
    codes
}

/// The probes `from … from + P`.
///
/// # Safety
/// As [`scan`].
#[target_feature(enable = "avx2,fma")]
unsafe fn scan_some<const P: usize, const SIX: bool>(
    stretch: Stretch<'_>,
    probes: &Packed,
    from: usize,
    floors: &[f32; MOST_PROBES],
    out: &mut [Survivors],
) {
    let lines = probes.lines();
    let ones = _mm256_set1_epi16(1);
    let sixth_bytes = codes::sixth_tail(lines) + GROUP * 2;
    for (group, row) in stretch.coarse.chunks_exact(codes::tail(lines) + codes::TAIL).enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; P];
        let (blocks, tail) = row.split_at(codes::tail(lines));
        assert_eq!(tail.len(), codes::TAIL);
        let sixth = if SIX { &stretch.sixth[group * sixth_bytes..(group + 1) * sixth_bytes] } else { &[] };
        for (b, (block, cells)) in
            blocks.as_chunks::<BLOCK>().0.iter().zip(probes.cells.chunks_exact(2 * BLOCK_LINES * probes.count)).enumerate()
        {
            for side in 0..2 {
                let codes = unpack::<SIX>(block, super::line_of(sixth, b), side);
                for (codes, cells) in codes.as_chunks::<2>().0.iter().zip(cells.chunks_exact(2 * probes.count)) {
                    let (low_cells, high_cells) = cells.split_at(probes.count);
                    for (p, sums) in sums.iter_mut().enumerate() {
                        let a = _mm256_maddubs_epi16(codes[0], _mm256_set1_epi32(low_cells[from + p]));
                        let b = _mm256_maddubs_epi16(codes[1], _mm256_set1_epi32(high_cells[from + p]));
                        sums[side] = _mm256_add_epi32(sums[side], _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
                    }
                }
            }
        }
        for half in 0..2 {
            // SAFETY: the tail is 128 bytes: 64 of each, and half < 2.
            let (packed, along) = unsafe {
                (_mm256_loadu_si256(tail.as_ptr().add(32 * half).cast()), _mm256_loadu_ps(tail.as_ptr().add(GROUP * 4 + 32 * half).cast()))
            };
            let packed = if SIX {
                // SAFETY: the row ends with 32 bytes of residuals, 16 of each half, and half < 2.
                let residuals = unsafe { _mm_loadu_si128(sixth[sixth.len() - 2 * GROUP..].as_ptr().add(16 * half).cast()) };
                let steps = _mm256_and_si256(packed, _mm256_set1_epi32(0xffff_0000_u32 as i32));
                _mm256_or_si256(steps, _mm256_cvtepu16_epi32(residuals))
            } else {
                packed
            };
            let step = _mm256_castsi256_ps(_mm256_and_si256(packed, _mm256_set1_epi32(0xffff_0000_u32 as i32)));
            let residual = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(packed));
            for (p, sums) in sums.iter().enumerate() {
                let at = from + p;
                let from_middle = _mm256_sub_epi32(sums[half], _mm256_set1_epi32(probes.offset[at]));
                let scale = _mm256_mul_ps(step, _mm256_set1_ps(probes.scale[at]));
                let middle = _mm256_fmadd_ps(_mm256_cvtepi32_ps(from_middle), scale, along);
                let upper = _mm256_fmadd_ps(residual, _mm256_set1_ps(probes.length[at]), middle);
                let reached = _mm256_cmp_ps::<_CMP_GE_OQ>(upper, _mm256_set1_ps(floors[at]));
                let mut mask = _mm256_movemask_ps(reached);
                if mask != 0 {
                    let (mut sum, mut value, mut numbers, mut alongs) = ([0_i32; 8], [0.0_f32; 8], [0_u32; 8], [0.0_f32; 8]);
                    // SAFETY: the arrays are as long as the register.
                    unsafe {
                        _mm256_storeu_si256(sum.as_mut_ptr().cast(), sums[half]);
                        _mm256_storeu_ps(value.as_mut_ptr(), upper);
                        _mm256_storeu_si256(numbers.as_mut_ptr().cast(), packed);
                        _mm256_storeu_ps(alongs.as_mut_ptr(), along);
                    }
                    let o = &mut out[at];
                    while mask != 0 {
                        let v = mask.trailing_zeros() as usize;
                        let row = stretch.first_row + (group * GROUP + 8 * half + v) as u32;
                        o.push(Survivor { row, sum: sum[v], upper: value[v], packed: numbers[v], along: alongs[v] });
                        mask &= mask - 1;
                    }
                }
            }
        }
    }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn fine_sums(fine: &[u8], rows: &[u32], low: &[i8], high: &[i8], unseen: u8, out: &mut Vec<i32>) {
    assert_eq!(low.len(), high.len());
    let nibble = _mm256_set1_epi8(unseen as i8);
    let ones = _mm256_set1_epi16(1);
    let whole = low.len() / 32 * 32;
    for at in 0..rows.len() {
        let row = super::fine_row(fine, rows, at, low.len());
        let mut sums = _mm256_setzero_si256();
        for from in (0..whole).step_by(32) {
            // SAFETY: all three slices have 32 bytes from `from`: `fine_row` gives as many bytes as
            // `low` has, and `high` has as many (asserted above).
            let (codes, low, high) = unsafe {
                (
                    _mm256_loadu_si256(row.as_ptr().add(from).cast()),
                    _mm256_loadu_si256(low.as_ptr().add(from).cast()),
                    _mm256_loadu_si256(high.as_ptr().add(from).cast()),
                )
            };
            let a = _mm256_maddubs_epi16(_mm256_and_si256(codes, nibble), low);
            let b = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble), high);
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
        }
        let mut lanes = [0_i32; 8];
        // SAFETY: the array is as long as the register.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums) };
        out.push(lanes.iter().sum::<i32>() + super::scalar::fine_sum(&row[whole..], &low[whole..], &high[whole..], unseen));
    }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<T: Work>(work: T) {
    work.run();
}

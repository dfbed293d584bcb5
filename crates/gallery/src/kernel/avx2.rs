//! AVX2: half a line, eight references, is one register. `vpmaddubsw` adds two products into 16
//! bits, where a code of five bits times i8 cannot saturate (`2 · 31 · 127`, and twice that for both
//! halves of a byte, are below 2¹⁵); `vpmaddwd` by ones then adds pairs into 32 bits.

use std::arch::x86_64::*;

use super::{GROUP, MOST_PROBES, Packed, Survivor, Survivors, Work};
use crate::codes;

/// # Safety
/// The processor has AVX2. `coarse` is whole rows of the probes' dimension, `out` holds all of them
/// (asserted by the caller).
#[target_feature(enable = "avx2")]
pub(super) unsafe fn scan(coarse: &[u8], first_row: u32, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    // Four probes at a time: eight accumulators, and room for the rest in sixteen registers.
    for from in (0..out.len()).step_by(4) {
        // SAFETY: what this function demands is what they demand.
        unsafe {
            match (out.len() - from).min(4) {
                1 => scan_some::<1>(coarse, first_row, probes, from, floors, out),
                2 => scan_some::<2>(coarse, first_row, probes, from, floors, out),
                3 => scan_some::<3>(coarse, first_row, probes, from, floors, out),
                _ => scan_some::<4>(coarse, first_row, probes, from, floors, out),
            }
        }
    }
}

/// The probes `from … from + P`.
///
/// # Safety
/// As [`scan`].
#[target_feature(enable = "avx2")]
unsafe fn scan_some<const P: usize>(
    coarse: &[u8],
    first_row: u32,
    probes: &Packed,
    from: usize,
    floors: &[f32; MOST_PROBES],
    out: &mut [Survivors],
) {
    let lines = probes.lines();
    let nibble = _mm256_set1_epi8(0x0f);
    let ones = _mm256_set1_epi16(1);
    for (group, row) in coarse.chunks_exact(codes::tail(lines) + codes::TAIL).enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; P];
        let (blocks, tail) = row.split_at(codes::tail(lines));
        assert_eq!(tail.len(), codes::TAIL);
        for ((line, bits), cells) in super::lines_and_bits(blocks).zip(probes.cells.chunks_exact(2 * probes.count)) {
            let (low_cells, high_cells) = cells.split_at(probes.count);
            for half in 0..2 {
                // SAFETY: a line is 64 bytes, and half < 2.
                let codes = unsafe { _mm256_loadu_si256(line.as_ptr().add(32 * half).cast()) };
                let word = |from: usize| i32::from_le_bytes([bits[from], bits[from + 1], bits[from + 2], bits[from + 3]]);
                let low = _mm256_or_si256(_mm256_and_si256(codes, nibble), fifth(word(4 * half)));
                let high = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16::<4>(codes), nibble), fifth(word(8 + 4 * half)));
                for (p, sums) in sums.iter_mut().enumerate() {
                    let a = _mm256_maddubs_epi16(low, _mm256_set1_epi32(low_cells[from + p]));
                    let b = _mm256_maddubs_epi16(high, _mm256_set1_epi32(high_cells[from + p]));
                    sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
                }
            }
        }
        for half in 0..2 {
            // SAFETY: the tail is 128 bytes: 64 of each, and half < 2.
            let (packed, along) = unsafe {
                (_mm256_loadu_si256(tail.as_ptr().add(32 * half).cast()), _mm256_loadu_ps(tail.as_ptr().add(GROUP * 4 + 32 * half).cast()))
            };
            let step = _mm256_castsi256_ps(_mm256_and_si256(packed, _mm256_set1_epi32(0xffff_0000_u32 as i32)));
            let residual = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(packed));
            for (p, sums) in sums.iter().enumerate() {
                let at = from + p;
                let twice = _mm256_sub_epi32(_mm256_add_epi32(sums[half], sums[half]), _mm256_set1_epi32(probes.bias[at]));
                let middle = _mm256_mul_ps(_mm256_cvtepi32_ps(twice), _mm256_mul_ps(step, _mm256_set1_ps(probes.scale[at])));
                let middle = _mm256_add_ps(middle, along);
                let upper = _mm256_add_ps(middle, _mm256_mul_ps(residual, _mm256_set1_ps(probes.length[at])));
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
                        let row = first_row + (group * GROUP + 8 * half + v) as u32;
                        o.push(Survivor { row, sum: sum[v], upper: value[v], packed: numbers[v], along: alongs[v] });
                        mask &= mask - 1;
                    }
                }
            }
        }
    }
}

/// 16 in the bytes whose bit is set, bit `i` for byte `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn fifth(bits: i32) -> __m256i {
    // Byte i of the word goes to the eight lanes that its bits belong to; each lane keeps its own.
    let spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(bits),
        _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303),
    );
    let own = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, own), own), _mm256_set1_epi8(0x10))
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn fine_sums(fine: &[u8], rows: &[u32], low: &[i8], high: &[i8], out: &mut Vec<i32>) {
    assert_eq!(low.len(), high.len());
    let nibble = _mm256_set1_epi8(0x0f);
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
        out.push(lanes.iter().sum::<i32>() + super::scalar::fine_sum(&row[whole..], &low[whole..], &high[whole..]));
    }
}

/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run<T: Work>(work: T) {
    work.run();
}

//! The reference kernel: what the others must equal bit by bit.

use super::{GROUP, MOST_PROBES, Packed, Survivor, Survivors};
use crate::codes;

pub(super) fn scan(coarse: &[u8], first_row: u32, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    let lines = probes.lines();
    for (group, row) in coarse.chunks_exact(codes::tail(lines) + codes::TAIL).enumerate() {
        let (blocks, tail) = row.split_at(codes::tail(lines));
        let (packed, along) = tail.split_at(GROUP * 4);
        let lines = super::lines_and_bits(blocks);
        for (p, survivors) in out.iter_mut().enumerate() {
            let mut sums = [0_i32; GROUP];
            for ((line, bits), cells) in lines.clone().zip(probes.cells.chunks_exact(2 * probes.count)) {
                let fifth = u128::from_le_bytes(*bits);
                let low = cells[p].to_le_bytes();
                let high = cells[probes.count + p].to_le_bytes();
                for (v, (sum, code)) in sums.iter_mut().zip(line.as_chunks::<4>().0).enumerate() {
                    for j in 0..4 {
                        let bit = |from: usize| (fifth >> (from + 4 * v + j) & 1) as i32 * 16;
                        *sum += (i32::from(code[j] & 15) + bit(0)) * i32::from(low[j] as i8);
                        *sum += (i32::from(code[j] >> 4) + bit(64)) * i32::from(high[j] as i8);
                    }
                }
            }
            for (v, sum) in sums.into_iter().enumerate() {
                let packed = u32::from_le_bytes(packed.as_chunks().0[v]);
                let along = f32::from_le_bytes(along.as_chunks().0[v]);
                let step = f32::from_bits(packed & 0xffff_0000);
                let residual = f32::from_bits(packed << 16);
                let twice = 2 * sum - probes.bias[p];
                let middle = twice as f32 * (step * probes.scale[p]) + along;
                let upper = middle + residual * probes.length[p];
                if upper >= floors[p] {
                    survivors.push(Survivor { row: first_row + (group * GROUP + v) as u32, sum, upper, packed, along });
                }
            }
        }
    }
}

pub(super) fn fine_sums(fine: &[u8], rows: &[u32], low: &[i8], high: &[i8], out: &mut Vec<i32>) {
    out.extend((0..rows.len()).map(|at| fine_sum(super::fine_row(fine, rows, at, low.len()), low, high)));
}

pub(super) fn fine_sum(fine: &[u8], low: &[i8], high: &[i8]) -> i32 {
    let parts = fine.iter().zip(low).zip(high);
    parts.map(|((code, low), high)| i32::from(code & 15) * i32::from(*low) + i32::from(code >> 4) * i32::from(*high)).sum()
}

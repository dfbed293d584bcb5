//! The reference kernel: what the others must equal bit by bit.

use super::{GROUP, LINE, MOST_PROBES, Packed, Stretch, Survivor, Survivors};
use crate::codes::{self, BLOCK, BLOCK_LINES, Depth};

pub(super) fn scan(stretch: Stretch<'_>, probes: &Packed, floors: &[f32; MOST_PROBES], out: &mut [Survivors]) {
    let lines = probes.lines();
    let row_bytes = codes::tail(lines) + codes::TAIL;
    let mut sixth = stretch.sixth.chunks_exact(codes::sixth_tail(lines) + GROUP * 2);
    for (group, row) in stretch.coarse.chunks_exact(row_bytes).enumerate() {
        let (blocks, tail) = row.split_at(codes::tail(lines));
        let sixth = match probes.depth {
            Depth::Five => None,
            Depth::Six => sixth.next().map(|row| row.split_at(codes::sixth_tail(lines))),
        };
        let (packed, along) = tail.split_at(GROUP * 4);
        for (p, survivors) in out.iter_mut().enumerate() {
            let mut sums = [0_i32; GROUP];
            for (b, block) in blocks.as_chunks::<BLOCK>().0.iter().enumerate() {
                for (half, cells) in
                    probes.cells[b * 2 * BLOCK_LINES * probes.count..].chunks_exact(probes.count).take(2 * BLOCK_LINES).enumerate()
                {
                    for at in 0..LINE {
                        let nibble = block[half / 2 * LINE + at] >> (half % 2 * 4) & 15;
                        let five = nibble | (block[BLOCK_LINES * LINE + at] >> half & 1) << 4;
                        let code = match sixth {
                            None => five,
                            Some((lines, _)) => five << 1 | (lines[b * LINE + at] >> half & 1),
                        };
                        sums[at / 4] += i32::from(code) * i32::from(cells[p].to_le_bytes()[at % 4] as i8);
                    }
                }
            }
            for (v, sum) in sums.into_iter().enumerate() {
                let mut packed = u32::from_le_bytes(packed.as_chunks().0[v]);
                if let Some((_, residuals)) = sixth {
                    packed = packed & 0xffff_0000 | u32::from(u16::from_le_bytes(residuals.as_chunks().0[v]));
                }
                let along = f32::from_le_bytes(along.as_chunks().0[v]);
                let step = f32::from_bits(packed & 0xffff_0000);
                let residual = f32::from_bits(packed << 16);
                let middle = ((sum - probes.offset[p]) as f32).mul_add(step * probes.scale[p], along);
                let upper = residual.mul_add(probes.length[p], middle);
                if upper >= floors[p] {
                    survivors.push(Survivor { row: stretch.first_row + (group * GROUP + v) as u32, sum, upper, packed, along });
                }
            }
        }
    }
}

pub(super) fn fine_sums(fine: &[u8], rows: &[u32], low: &[i8], high: &[i8], unseen: u8, out: &mut Vec<i32>) {
    out.extend((0..rows.len()).map(|at| fine_sum(super::fine_row(fine, rows, at, low.len()), low, high, unseen)));
}

pub(super) fn fine_sum(fine: &[u8], low: &[i8], high: &[i8], unseen: u8) -> i32 {
    let parts = fine.iter().zip(low).zip(high);
    parts.map(|((code, low), high)| i32::from(code & unseen) * i32::from(*low) + i32::from(code >> 4 & unseen) * i32::from(*high)).sum()
}

//! Every kernel lets through the same, bit by bit, and what it lets go is below the floor.

use super::*;
use crate::codes::{self, Coded, Coder, Frame};
use crate::rotation::Rotation;
use crate::score;

struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 40) as f32) / (1 << 24) as f32 - 0.5
    }

    fn unit(&mut self, d: usize, power: i32) -> Vec<f32> {
        let raw: Vec<f32> = (0..d).map(|_| self.next().powi(power)).collect();
        let length = score::canonical(&raw, &raw).sqrt();
        raw.iter().map(|x| (f64::from(*x) / length) as f32).collect()
    }
}

/// Templates of many shapes, their codes, and probes among and beside them.
fn material(d: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut random = Random(d as u64);
    let centre = random.unit(d, 1);
    let mut templates: Vec<Vec<f32>> = (0..60).map(|n| random.unit(d, [1, 3, 9][n % 3])).collect();
    for n in 0..40 {
        let mut v = vec![0.0; d];
        v[n % d] = if n % 2 == 0 { 1.0 } else { -1.0 };
        templates.push(v);
        let near: Vec<f32> = centre.iter().map(|x| x + 0.02 * random.next()).collect();
        let length = score::canonical(&near, &near).sqrt();
        templates.push(near.iter().map(|x| (f64::from(*x) / length) as f32).collect());
    }
    templates.push((0..d).map(|i| if i == 0 { 1.0 } else { f32::from_bits(i as u32) }).collect());
    let mut probes: Vec<Vec<f32>> = vec![centre, templates[0].clone(), templates[60].clone()];
    probes.extend((0..13).map(|_| random.unit(d, 1)));
    (templates, probes)
}

/// The three tables of some templates.
struct Tables {
    coarse: Vec<u8>,
    sixth: Vec<u8>,
    fine: Vec<u8>,
}

impl Tables {
    fn of(templates: &[Vec<f32>], d: usize, rotation: &Rotation) -> (Self, Frame) {
        let mut frame = Frame::of(templates.iter().map(Vec::as_slice), d);
        let (coarse_row, sixth_row) = (codes::coarse_bytes(d), codes::sixth_bytes(d));
        let groups = templates.len().div_ceil(GROUP);
        let mut tables = Tables { coarse: vec![0; groups * coarse_row], sixth: vec![0; groups * sixth_row], fine: Vec::new() };
        let mut coder = Coder::new(rotation, &mut frame);
        let mut coded = Coded::new(d);
        let rows = tables.coarse.chunks_exact_mut(coarse_row).zip(tables.sixth.chunks_exact_mut(sixth_row));
        for ((coarse, sixth), templates) in rows.zip(templates.chunks(GROUP)) {
            for (v, template) in templates.iter().enumerate() {
                coder.code(template, &mut coded);
                coded.put_in_rows(v, coarse, sixth);
                coded.fine_row(&mut tables.fine);
            }
            (templates.len()..GROUP).for_each(|v| codes::vacate(v, codes::lines(d), coarse));
        }
        (tables, frame)
    }

    fn stretch(&self, first_row: u32) -> Stretch<'_> {
        Stretch { coarse: &self.coarse, sixth: &self.sixth, first_row }
    }

    fn room(&self, d: usize) -> Survivors {
        Survivors::for_groups(self.coarse.len() / codes::coarse_bytes(d))
    }
}

const DEPTHS: [Depth; 2] = [Depth::Five, Depth::Six];

/// Up to the largest there is, where sums come nearest to what f32 holds exactly.
const DIMENSIONS: [usize; 17] = [1, 2, 7, 8, 9, 31, 33, 100, 128, 192, 256, 500, 512, 1024, 2049, 4095, 4096];

#[test]
fn all_kernels_let_the_same_through() {
    assert!(Kernel::available().len() > 1, "this machine has no vector kernel to compare with");
    for d in DIMENSIONS {
        let rotation = Rotation::new(3, d);
        let (templates, probes) = material(d);
        let (tables, frame) = Tables::of(&templates, d, &rotation);
        let coded = DEPTHS.map(|depth| probes.iter().map(|p| CodedProbe::new(p, &frame, &rotation, depth)).collect::<Vec<_>>());
        for (count, (depth, coded)) in
            [1, 2, 3, 4, 5, 8, 9, 15, 16].into_iter().flat_map(|count| DEPTHS.iter().zip(&coded).map(move |d| (count, d)))
        {
            let depth = *depth;
            let packed = Packed::new(&coded[..count], depth);
            for floor in [-2.0, 0.0, 0.2, 0.9, 2.5] {
                let floors: Vec<f32> = coded[..count].iter().map(|p| p.kernel_floor(floor)).collect();
                let run = |kernel| {
                    let mut out = vec![tables.room(d); count];
                    scan(kernel, tables.stretch(32), &packed, &floors, &mut out);
                    out.iter()
                        .map(|o| o.iter().map(|s| (s.row, s.sum, s.upper.to_bits(), s.packed, s.along.to_bits())).collect::<Vec<_>>())
                        .collect::<Vec<_>>()
                };
                let truth = run(Kernel::Scalar);
                for kernel in Kernel::available() {
                    assert_eq!(run(kernel), truth, "{kernel:?}, dimension {d}, {count} probes, {depth:?}, floor {floor}");
                }
                if floor == -2.0 {
                    assert!(truth.iter().all(|t| t.len() == templates.len()), "vacant places are nobody's");
                }
            }
        }
        for (probe, depth) in coded.iter().zip(DEPTHS).flat_map(|(probes, depth)| probes.iter().map(move |probe| (probe, depth))) {
            let some: Vec<u32> = (0..templates.len() as u32).rev().step_by(2).collect();
            let sums = |kernel| {
                let mut out = vec![7];
                fine_sums(kernel, &tables.fine, &some, probe, depth, &mut out);
                out
            };
            let truth = sums(Kernel::Scalar);
            assert_eq!(truth.len(), some.len());
            assert!(Kernel::available().into_iter().all(|k| sums(k) == truth), "dimension {d}, {depth:?}");
        }
    }
}

/// Whatever the bytes of a table, and with every component of a probe at its limit, all kernels sum alike: no
/// byte, pair or sum overflows.
#[test]
fn codes_and_probes_at_their_limits_are_summed_alike() {
    let mut random = Random(77);
    for d in [32, 128, 4096] {
        let rotation = Rotation::new(5, d);
        let unit = random.unit(d, 1);
        let frame = Frame { centre: vec![0.0; d], reach: 1.5 };
        for depth in DEPTHS {
            let signs: [fn(usize, bool) -> bool; 4] = [|_, _| true, |_, _| false, |i, _| i / 4 % 2 == 0, |_, random| random];
            let mut probes = Vec::new();
            for n in 0..MOST_PROBES {
                let mut probe = CodedProbe::new(&unit, &frame, &rotation, depth);
                for (line, (low, high)) in probe.low.iter_mut().zip(&mut probe.high).enumerate() {
                    for (j, cell) in low.iter_mut().chain(high).enumerate() {
                        let i = 8 * line + j;
                        let limit = depth.limit(i) as i8;
                        *cell = if signs[n % 4](i, random.next() > 0.0) { limit } else { -limit };
                    }
                }
                probes.push(probe);
            }
            let packed = Packed::new(&probes, depth);
            let (row, sixth_row) = (codes::coarse_bytes(d), codes::sixth_bytes(d));
            let mut tables = Tables { coarse: vec![0; 4 * row], sixth: vec![0; 4 * sixth_row], fine: Vec::new() };
            for (n, (coarse, sixth)) in tables.coarse.chunks_mut(row).zip(tables.sixth.chunks_mut(sixth_row)).enumerate() {
                let mut byte = || [0x00, 0xff, 0x0f, (random.next() * 256.0) as i8 as u8][n];
                coarse.fill_with(&mut byte);
                sixth.fill_with(&mut byte);
                // Steps and residuals of a quarter, `t` of 0.
                coarse[row - codes::TAIL..].fill(0);
                coarse[row - codes::TAIL..row - codes::TAIL / 2].as_chunks_mut::<2>().0.fill(0x3e80_u16.to_le_bytes());
                sixth[sixth_row - 2 * GROUP..].as_chunks_mut::<2>().0.fill(0x3e80_u16.to_le_bytes());
            }
            let run = |kernel| {
                let mut out = vec![tables.room(d); MOST_PROBES];
                scan(kernel, tables.stretch(0), &packed, &[f32::NEG_INFINITY; MOST_PROBES], &mut out);
                out.iter().map(|o| o.iter().map(|s| (s.row, s.sum, s.upper.to_bits())).collect::<Vec<_>>()).collect::<Vec<_>>()
            };
            let truth = run(Kernel::Scalar);
            assert!(truth.iter().all(|t| t.len() == 4 * GROUP));
            assert!(Kernel::available().into_iter().all(|k| run(k) == truth), "dimension {d}, {depth:?}");
        }
    }
}

/// All intervals hold the canonical score, and they are not much wider than they must be.
#[test]
fn the_intervals_hold_the_score() {
    for d in DIMENSIONS {
        let rotation = Rotation::new(11, d);
        let (templates, probes) = material(d);
        let (tables, frame) = Tables::of(&templates, d, &rotation);
        for probe in &probes {
            for depth in DEPTHS {
                let coded = CodedProbe::new(probe, &frame, &rotation, depth);
                let mut out = [tables.room(d)];
                let packed = Packed::new(std::slice::from_ref(&coded), depth);
                scan(Kernel::Scalar, tables.stretch(0), &packed, &[f32::NEG_INFINITY], &mut out);
                for s in out[0].iter() {
                    let exact = score::canonical(probe, &templates[s.row as usize]);
                    let high = coded.coarse_high(s.upper);
                    assert!(exact <= high, "dimension {d}, row {}, {depth:?}: {exact} above {high}", s.row);
                    let mut sums = Vec::new();
                    fine_sums(Kernel::Scalar, &tables.fine, &[s.row], &coded, depth, &mut sums);
                    let interval = coded.fine(depth, s.sum, sums[0], s.packed, s.along);
                    assert!(interval.low <= exact && exact <= interval.high, "dimension {d}, row {}: {exact} not in {interval:?}", s.row);
                    assert!(interval.high - interval.low < if d > 1024 { 0.6 } else { 0.2 }, "dimension {d}: {interval:?}");
                }
            }
        }
    }
}

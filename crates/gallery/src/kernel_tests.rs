//! Every kernel lets through the same, bit by bit, and what it lets go is below the floor.

use super::*;
use crate::codes::{self, Coded, Coder, Frame, Interval};
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
        let coded: Vec<CodedProbe> = probes.iter().map(|p| CodedProbe::new(p, &frame, &rotation)).collect();
        for (count, depth) in [1, 2, 3, 4, 5, 8, 9, 16].into_iter().flat_map(|count| DEPTHS.map(|depth| (count, depth))) {
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
        for (probe, depth) in coded.iter().flat_map(|probe| DEPTHS.map(|depth| (probe, depth))) {
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

/// All intervals hold the canonical score, they are not much wider than they must be, and the fine one
/// is the same whatever the pass has seen.
#[test]
fn the_intervals_hold_the_score() {
    for d in DIMENSIONS {
        let rotation = Rotation::new(11, d);
        let (templates, probes) = material(d);
        let (tables, frame) = Tables::of(&templates, d, &rotation);
        for probe in &probes {
            let coded = CodedProbe::new(probe, &frame, &rotation);
            let mut fine: Vec<Interval> = Vec::new();
            for depth in DEPTHS {
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
                    match depth {
                        Depth::Five => fine.push(interval),
                        Depth::Six => assert_eq!(interval, fine[s.row as usize], "dimension {d}, row {}", s.row),
                    }
                }
            }
        }
    }
}

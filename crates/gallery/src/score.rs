//! The comparison score, and a quick bound on it.
//!
//! **Canonical score**: `s = Σ p[i]·x[i]`, added up in f64 in dimension order, from stored f32.
//! The product of two f32 (24-bit significands) is exact in f64 (53 bits) unless it underflows
//! (below 2⁻¹⁰²², which two f32 never reach: the smallest product is 2⁻²⁹⁸), so the sum's `d − 1`
//! roundings are the only ones, fused multiply-add gives the same, and every machine agrees.
//!
//! **Quick score**: `q`, the same sum in f32 over [`LANES`] partial sums, several times faster.
//!
//! **The bound.** Let `u = 2⁻²⁴` and `m` the largest number of roundings that any one product
//! passes through in `q`: one for the product, `⌈d / LANES⌉` additions into its lane, and
//! `log₂ LANES` in the tree that joins the lanes. By the standard analysis (Higham, *Accuracy and
//! Stability of Numerical Algorithms*, 2nd ed., §3.1 and §4.2), whatever the grouping,
//! `|q − Σ p·x| ≤ γ(m) Σ|p·x| + u-underflow ≤ γ(m)·‖p‖·‖x‖ + 2d·2⁻¹⁴⁹`, with `γ(m) = m·u / (1 − m·u)`; the
//! last term because a product may underflow by at most half the least subnormal 2⁻¹⁴⁹ (scaled by
//! the later roundings, hence the factor 2) and an addition never does. Equally
//! `|s − Σ p·x| ≤ γ₆₄(d)·‖p‖·‖x‖` with `u₆₄ = 2⁻⁵³`. Both lengths are at most
//! `1 + UNIT_TOLERANCE`, checked at the door. [`slack`] is the sum of the three, times 1.01 for the
//! roundings of its own evaluation, so `|s − q| ≤ slack(d)` **always**, and a reference whose
//! `q + slack` is below a floor is below it canonically. (`q + slack` is itself added in f64: its
//! relative rounding 2⁻⁵³ is far inside that 1 %.)

use crate::UNIT_TOLERANCE;

/// Partial sums of the quick score: four 128-bit registers, a power of two.
const LANES: usize = 16;

/// The canonical score of two vectors of one dimension.
pub fn canonical(probe: &[f32], reference: &[f32]) -> f64 {
    let mut sum = 0.0_f64;
    for (p, x) in probe.iter().zip(reference) {
        sum += f64::from(*p) * f64::from(*x);
    }
    sum
}

/// How many references [`canonical_each`] scores at most.
pub(crate) const SIDE_BY_SIDE: usize = 4;

/// The canonical scores of a probe and each of up to [`SIDE_BY_SIDE`] references of its dimension; 0 for those that are
/// not there. Each is the sum that [`canonical`] takes: a sum in order waits for itself, so that several beside each other
/// take hardly longer than one.
pub(crate) fn canonical_each(probe: &[f32], references: &[&[f32]]) -> [f64; SIDE_BY_SIDE] {
    let mut sums = [0.0_f64; SIDE_BY_SIDE];
    // Those that are not there are the first once more.
    let of = |n: usize| references.get(n).or(references.first()).copied().unwrap_or_default();
    for ((((p, a), b), c), d) in probe.iter().zip(of(0)).zip(of(1)).zip(of(2)).zip(of(3)) {
        for (sum, x) in sums.iter_mut().zip([a, b, c, d]) {
            *sum += f64::from(*p) * f64::from(*x);
        }
    }
    sums.iter_mut().skip(references.len()).for_each(|sum| *sum = 0.0);
    sums
}

/// The quick score of two vectors of one dimension, within [`slack`] of the canonical one.
#[inline]
pub(crate) fn quick(probe: &[f32], reference: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (p, x) = (probe.chunks_exact(LANES), reference.chunks_exact(LANES));
    let (p_rest, x_rest) = (p.remainder(), x.remainder());
    for (p, x) in p.zip(x) {
        for lane in 0..LANES {
            lanes[lane] += p[lane] * x[lane];
        }
    }
    for (lane, (p, x)) in lanes.iter_mut().zip(p_rest.iter().zip(x_rest)) {
        *lane += p * x;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// How far apart the quick and the canonical score can be, for unit vectors of this dimension.
pub(crate) fn slack(dimension: usize) -> f64 {
    let gamma = |roundings: f64, u: f64| roundings * u / (1.0 - roundings * u);
    let lengths = (1.0 + UNIT_TOLERANCE) * (1.0 + UNIT_TOLERANCE);
    let roundings = 1.0 + dimension.div_ceil(LANES) as f64 + f64::from(LANES.ilog2());
    let underflow = 2.0 * dimension as f64 * f64::powi(2.0, -149);
    let quick = gamma(roundings, f64::powi(2.0, -24)) * lengths;
    let canonical = gamma(dimension as f64, f64::powi(2.0, -53)) * lengths;
    1.01 * (quick + canonical + underflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_canonical_score_adds_in_dimension_order() {
        // 1 + 2⁻⁵³ − 1 is 0 when added in order in f64; any regrouping that adds the small term last keeps it.
        let tiny = f32::powi(2.0, -53);
        assert_eq!(canonical(&[1.0, tiny, -1.0], &[1.0, 1.0, 1.0]), 0.0);
        assert_eq!(canonical(&[1.0, -1.0, tiny], &[1.0, 1.0, 1.0]), f64::from(tiny));
    }

    #[test]
    fn scores_side_by_side_are_those_of_each() {
        let row = |seed: usize| (0..37).map(|i| ((i * 7919 + seed * 104_729) % 1_000) as f32 / 997.0 - 0.5).collect::<Vec<_>>();
        let (probe, rows) = (row(9), [row(1), row(2), row(3), row(4)]);
        for count in 0..=SIDE_BY_SIDE {
            let some: Vec<&[f32]> = rows[..count].iter().map(Vec::as_slice).collect();
            let mut each = [0.0; SIDE_BY_SIDE];
            each.iter_mut().zip(&some).for_each(|(score, row)| *score = canonical(&probe, row));
            assert_eq!(canonical_each(&probe, &some).map(f64::to_bits), each.map(f64::to_bits));
        }
    }

    fn unit(raw: &[f32]) -> Option<Vec<f32>> {
        let length = canonical(raw, raw).sqrt();
        (length > 1e-30).then(|| raw.iter().map(|x| (f64::from(*x) / length) as f32).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_quick_score_stays_inside_its_slack(
            (p, x) in (1_usize..600).prop_flat_map(|d| (
                prop::collection::vec(prop_oneof![-1.0_f32..1.0, -1e-20_f32..1e-20, Just(1e-40), Just(0.0)], d),
                prop::collection::vec(prop_oneof![-1.0_f32..1.0, -1e-20_f32..1e-20, Just(-1e-40), Just(0.0)], d),
            )),
        ) {
            if let (Some(p), Some(x)) = (unit(&p), unit(&x)) {
                let off = (canonical(&p, &x) - f64::from(quick(&p, &x))).abs();
                prop_assert!(off <= slack(p.len()), "off by {off:e}, slack {:e}", slack(p.len()));
            }
        }
    }

    #[test]
    fn the_slack_is_small_and_not_far_from_what_happens() {
        assert!(slack(128) < 1e-6 && slack(1024) < 5e-6);
        // Cancelling and equal-sign sums on the edge of rounding come within two orders of it.
        let p = unit(&(0..512).map(|i| 1.0 + (i % 7) as f32 / 3.0).collect::<Vec<_>>()).unwrap();
        let off = (canonical(&p, &p) - f64::from(quick(&p, &p))).abs();
        assert!(off > slack(512) / 500.0, "{off:e}");
    }
}

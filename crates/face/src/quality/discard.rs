//! Does quality tell error? The error-versus-discard characteristic (ISO/IEC 29794-1:2024): as the probes of the
//! worst quality are left out, the errors among those that stay must fall.

use serde::{Deserialize, Serialize};

/// One mated comparison at a fixed threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The probe's quality: more is better, on any scale.
    pub quality: f64,
    /// Whether the comparison missed: it did not reach the threshold though it is one person.
    pub missed: bool,
}

/// What is left when a share of the probes is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The share discarded, 0 to 1: of the worst quality, and of equal quality as many as are needed.
    pub discarded: f64,
    /// Comparisons that are left. Between two of equal quality it would be chance which one goes, so each
    /// goes in part, and this need not be whole.
    pub compared: f64,
    /// Misses among them.
    pub missed: f64,
    /// `missed / compared`: the false non-match rate, 0 to 1; none if nothing is left.
    pub rate: Option<f64>,
}

/// The false non-match rate after discarding each of the `shares` (0 to 1, in any order) of the comparisons, worst
/// quality first. Comparisons whose quality is not a number count as the worst.
///
/// A quality that knows nothing gives a level line; one that knows everything reaches 0 as soon as the share is the
/// false non-match rate.
#[must_use]
pub fn error_versus_discard(outcomes: &[Outcome], shares: &[f64]) -> Vec<Kept> {
    let quality = |o: &Outcome| if o.quality.is_nan() { f64::NEG_INFINITY } else { o.quality };
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| quality(a).total_cmp(&quality(b)));
    let ties: Vec<&[Outcome]> = sorted.chunk_by(|a, b| quality(a) == quality(b)).collect();
    let left = |share: f64| {
        let discarded = share.clamp(0.0, 1.0);
        let mut go = discarded * sorted.len() as f64;
        let (mut compared, mut missed) = (0.0, 0.0);
        for tie in &ties {
            let size = tie.len() as f64;
            let stay = (size - go).max(0.0);
            go = (go - size).max(0.0);
            compared += stay;
            missed += tie.iter().filter(|o| o.missed).count() as f64 * stay / size;
        }
        // A thousandth of a comparison is rounding, not a rest.
        Kept { discarded, compared, missed, rate: (compared > 1e-3).then(|| missed / compared) }
    };
    shares.iter().map(|s| left(*s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(outcomes: &[(f64, bool)], shares: &[f64]) -> Vec<Option<f64>> {
        let outcomes: Vec<_> = outcomes.iter().map(|(quality, missed)| Outcome { quality: *quality, missed: *missed }).collect();
        error_versus_discard(&outcomes, shares).into_iter().map(|k| k.rate).collect()
    }

    #[test]
    fn a_quality_that_knows_everything_falls_to_nothing_and_one_that_knows_nothing_stays() {
        let knows = [(9.0, false), (1.0, true), (8.0, false), (7.0, false), (2.0, true)];
        assert_eq!(rates(&knows, &[0.0, 0.2, 0.4, 1.0]), [Some(0.4), Some(0.25), Some(0.0), None]);
        let blind = knows.map(|(_, missed)| (5.0, missed));
        for rate in rates(&blind, &[0.0, 0.2, 0.5, 0.9]) {
            assert!((rate.unwrap() - 0.4).abs() < 1e-12);
        }
        // What is no number goes first.
        assert_eq!(rates(&[(f64::NAN, true), (0.0, false)], &[0.5]), [Some(0.0)]);
        assert_eq!(rates(&[], &[0.0]), [None]);
    }
}

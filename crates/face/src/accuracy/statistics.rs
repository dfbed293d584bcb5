//! Exact small-sample statistics on counts. Each function states its formula and is tested against published values.

use super::CONFIDENCE;

/// Steps of a bisection of 0 to 1: more than a double's digits.
const BISECTIONS: usize = 80;
/// Where a sum's next term no longer counts.
const NEGLIGIBLE: f64 = 1e-18;
/// How much likelier than the observed table another may be by rounding and still count as equally likely.
const ROUNDING: f64 = 1e-7;

/// The exact interval at [`CONFIDENCE`] for a share of `count` in `of` (Clopper and Pearson 1934): the shares p
/// for which P(X ≥ count) and P(X ≤ count), with X binomial, are both at least half of what confidence leaves.
/// 0 to 1 if `of` is 0; a `count` above `of` is taken as `of`.
pub fn clopper_pearson(count: u64, of: u64) -> [f64; 2] {
    let (count, rest) = (count.min(of), (1.0 - CONFIDENCE) / 2.0);
    let low = if count == 0 { 0.0 } else { bisect(|p| upper_tail(count, of, p) < rest) };
    let high = if count == of { 1.0 } else { bisect(|p| 1.0 - upper_tail(count + 1, of, p) > rest) };
    [low, high]
}

/// The rule of three (Hanley and Lippman-Hand 1983): when none of `of` independent trials went wrong, the rate
/// may still be up to about 3 / `of` at 95 %. 1 at most.
pub fn rule_of_three(of: u64) -> f64 {
    if of <= 3 { 1.0 } else { 3.0 / of as f64 }
}

/// Fisher's exact test, two-sided, of whether `count_a` in `of_a` and `count_b` in `of_b` could be one rate:
/// the probability, given the margins, of all tables no likelier than this one. 1 if either is empty.
pub fn fisher_exact(count_a: u64, of_a: u64, count_b: u64, of_b: u64) -> f64 {
    let (count_a, count_b) = (count_a.min(of_a), count_b.min(of_b));
    let all = count_a + count_b;
    let ln_probability = |a: u64| ln_choose(of_a, a) + ln_choose(of_b, all - a) - ln_choose(of_a + of_b, all);
    let observed = ln_probability(count_a) + ROUNDING;
    let tables = all.saturating_sub(of_b)..=all.min(of_a);
    let sum: f64 = tables.map(ln_probability).filter(|ln| *ln <= observed).map(f64::exp).sum();
    sum.min(1.0)
}

/// Holm's step-down correction (1979) of a family of p-values, in their order: a corrected value below α keeps
/// the chance of any false alarm among all of them below α.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut corrected = vec![0.0; p.len()];
    let mut most: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        most = most.max((p[index] * (p.len() - place) as f64).min(1.0));
        corrected[index] = most;
    }
    corrected
}

/// Mean, and the standard error of the mean (the sample's standard deviation over √n); 0 for fewer than two values.
pub fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// Where `below` turns from true to false between 0 and 1.
fn bisect(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P(X ≥ `count`) for a binomial X of `of` trials at `p`, with 0 < p < 1: summed from `count` away from the mean, so
/// that terms fall.
fn upper_tail(count: u64, of: u64, p: f64) -> f64 {
    let odds = p / (1.0 - p);
    let term = |k: u64| (ln_choose(of, k) + k as f64 * p.ln() + (of - k) as f64 * (-p).ln_1p()).exp();
    let (mut sum, mut last) = (0.0, 0.0);
    let mut add = |value: f64| {
        last = value;
        sum += value;
        last > sum * NEGLIGIBLE
    };
    if count as f64 > of as f64 * p {
        let (mut k, mut value) = (count, term(count));
        while add(value) && k < of {
            value *= (of - k) as f64 / (k + 1) as f64 * odds;
            k += 1;
        }
        sum
    } else {
        let Some(mut k) = count.checked_sub(1) else { return 1.0 };
        let mut value = term(k);
        while add(value) && k > 0 {
            value *= k as f64 / (of - k + 1) as f64 / odds;
            k -= 1;
        }
        1.0 - sum
    }
}

/// ln of n over k.
fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// ln n!: the product below 32, Stirling's series above, whose next term there is under 1e-13.
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|i| i as f64).product::<f64>().ln();
    }
    let x = n as f64;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b}");
    }

    #[test]
    fn clopper_and_pearson_as_published() {
        // 81 of 263: Agresti, An Introduction to Categorical Data Analysis; 0.2527 to 0.3676 in NIST and R (binom.test).
        let [low, high] = clopper_pearson(81, 263);
        close(low, 0.252_7, 5e-5);
        close(high, 0.367_6, 5e-5);
        // None and all of ten: 0.3085 (any table, e.g. Documenta Geigy); their mirror image.
        let [low, high] = clopper_pearson(0, 10);
        assert_eq!(low, 0.0);
        close(high, 0.308_497, 1e-6);
        let [low, high] = clopper_pearson(10, 10);
        close(low, 1.0 - 0.308_497, 1e-6);
        assert_eq!(high, 1.0);
        // Closed forms: none of n is 1 − 0.025^(1/n), one of one is 0.025.
        for n in [1_u64, 7, 300, 3_000, 100_000] {
            close(clopper_pearson(0, n)[1], 1.0 - 0.025_f64.powf(1.0 / n as f64), 1e-12);
        }
        close(clopper_pearson(1, 1)[0], 0.025, 1e-12);
        // Five of ten, R: 0.1870860 to 0.8129140.
        let [low, high] = clopper_pearson(5, 10);
        close(low, 0.187_086_0, 5e-8);
        close(high, 0.812_914_0, 5e-8);
        assert_eq!(clopper_pearson(0, 0), [0.0, 1.0]);
    }

    #[test]
    fn the_interval_turns_the_binomial_round_for_any_count() {
        // The definition, by adding all terms up: slow, and independent of the recurrences.
        let tail = |from: u64, n: u64, p: f64| -> f64 {
            (from..=n).map(|k| (ln_choose(n, k) + k as f64 * p.ln() + (n - k) as f64 * (1.0 - p).ln()).exp()).sum()
        };
        for n in [3_u64, 40, 901] {
            for k in (1..n).step_by(usize::try_from(n / 3).unwrap_or(1)) {
                let [low, high] = clopper_pearson(k, n);
                close(tail(k, n, low), 0.025, 1e-9);
                close(1.0 - tail(k + 1, n, high), 0.025, 1e-9);
                assert!(low < k as f64 / n as f64 && (k as f64 / n as f64) < high);
            }
        }
    }

    #[test]
    fn factorials_meet_where_the_series_begins() {
        let by_sum = |n: u64| (2..=n).map(|i| (i as f64).ln()).sum::<f64>();
        for n in [0, 1, 2, 10, 31, 32, 33, 170, 5_000] {
            close(ln_factorial(n), by_sum(n), 1e-9 * by_sum(n).max(1.0));
        }
    }

    #[test]
    fn fisher_as_published() {
        // The lady tasting tea (Fisher 1935): 3 of 4 against 1 of 4 is 34/70, two-sided; all right is 2/70.
        close(fisher_exact(3, 4, 1, 4), 34.0 / 70.0, 1e-7);
        close(fisher_exact(4, 4, 0, 4), 2.0 / 70.0, 1e-7);
        // Convictions of like-sex twins (Fisher 1935): 10 of 12 against 3 of 18; R gives 0.0005367 two-sided.
        close(fisher_exact(10, 12, 3, 18), 0.000_536_7, 5e-8);
        // Dieters of a well-known example: 1 of 12 against 9 of 12, p = 0.002759.
        close(fisher_exact(1, 12, 9, 12), 0.002_759, 5e-7);
        assert_eq!(fisher_exact(0, 0, 3, 9), 1.0);
        close(fisher_exact(0, 50, 0, 50), 1.0, 1e-12);
    }

    #[test]
    fn holm_by_hand() {
        // 0.01·4, 0.03·3 = 0.09, 0.04·2 = 0.08 held up to 0.09, 0.20.
        let corrected = holm(&[0.20, 0.01, 0.04, 0.03]);
        for (found, expected) in corrected.iter().zip([0.20, 0.04, 0.09, 0.09]) {
            close(*found, expected, 1e-12);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn three_over_n() {
        assert_eq!(rule_of_three(3_000), 0.001);
        assert_eq!(rule_of_three(2), 1.0);
        // What it stands for: with a rate of 3/n, none in n happens with a chance of about 5 %.
        close((1.0 - rule_of_three(3_000)).powi(3_000), 0.05, 0.001);
    }

    #[test]
    fn mean_and_standard_error_by_hand() {
        let (mean, error) = mean_and_error(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(mean, 2.5);
        close(error, (5.0_f64 / 3.0 / 4.0).sqrt(), 1e-15);
        assert_eq!(mean_and_error(&[]), (0.0, 0.0));
    }
}

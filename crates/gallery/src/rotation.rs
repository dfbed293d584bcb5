//! A keyed rotation of templates before they are coded.
//!
//! Each component gets a sign drawn from the key, then a Walsh–Hadamard transform mixes them
//! (Ailon & Chazelle, *The fast Johnson–Lindenstrauss transform*, 2009, §2). The map is orthogonal,
//! so it changes no dot product; it makes every component carry about as much as every other,
//! whatever the template looked like (one-hot, heavy tails), which is what an even grid of code
//! values needs. A dimension that is no power of two is covered by two transforms that overlap:
//! over the first `p` components and, after new signs, over the last `p`, with `p` the largest power
//! of two that fits; a product of orthogonal maps is orthogonal.
//!
//! **What the key protects, and what not.** Codes of one template under two keys have nothing to
//! tell of each other without the keys (ISO/IEC 24745, renewability and unlinkability). But the key
//! lies in the manifest and the templates lie beside the codes, so whoever has the folder has all of
//! it. Only codes that leave without templates and manifest are protected.
//!
//! **Rounding.** In f32 a stage rounds every sum once, relatively by at most `u = 2⁻²⁴`, and the
//! stages are orthogonal but for a known factor, so after `L` stages the result is off by at most
//! `((1 + u)^L − 1)·‖x‖` in length; the scaling by `√p` adds two more roundings. [`Rotation::slack`]
//! says it for both transforms together.

/// The rotation of one gallery.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rotation {
    /// `p`: the length of a transform, a power of two.
    length: usize,
    /// Signs of all components, then, if `p` is not the dimension, of the last `p`; already
    /// multiplied by `1 / √p`.
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Rotation {
    /// The rotation that `key` draws for templates of `dimension` components (at least 1).
    pub(crate) fn new(key: u64, dimension: usize) -> Self {
        let length = 1 << dimension.ilog2();
        let scale = (1.0 / (length as f64).sqrt()) as f32;
        let mut state = key;
        let mut signs = |n: usize, scaled: usize| -> Vec<f32> {
            (0..n).map(|i| if draw(&mut state) >> 63 == 0 { 1.0 } else { -1.0 } * if i < scaled { scale } else { 1.0 }).collect()
        };
        let first = signs(dimension, length);
        let second = if length == dimension { Vec::new() } else { signs(length, length) };
        Rotation { length, first, second }
    }

    /// Components of the vectors it rotates.
    pub(crate) fn dimension(&self) -> usize {
        self.first.len()
    }

    /// Rotates a vector of the dimension in place.
    #[inline(always)]
    pub(crate) fn apply(&self, x: &mut [f32]) {
        for (x, sign) in x.iter_mut().zip(&self.first) {
            *x *= sign;
        }
        walsh_hadamard(&mut x[..self.length]);
        if !self.second.is_empty() {
            let from = x.len() - self.length;
            let last = &mut x[from..];
            for (x, sign) in last.iter_mut().zip(&self.second) {
                *x *= sign;
            }
            walsh_hadamard(last);
        }
    }

    /// How far, in length, a rotated vector of length at most 1 can be from its exact rotation.
    pub(crate) fn slack(&self) -> f64 {
        // Two transforms of at most log₂ p stages, each with its scaling (by a rounded factor): one
        // rounding of the factor and one of the product.
        let roundings = 2.0 * (f64::from(self.length.ilog2()) + 2.0);
        roundings * 1.01 * f64::powi(2.0, -24)
    }
}

/// The unnormalised transform, in place; the length is a power of two.
#[inline(always)]
fn walsh_hadamard(x: &mut [f32]) {
    let mut half = 1;
    while half < x.len() {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014): the signs of a key stay what they are whatever crate changes.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::canonical;

    #[test]
    fn it_keeps_lengths_and_angles_within_its_slack() {
        let mut state = 1;
        let mut unit = |d: usize| {
            let raw: Vec<f32> = (0..d).map(|_| draw(&mut state) as f32 / u64::MAX as f32 - 0.5).collect();
            let length = canonical(&raw, &raw).sqrt();
            raw.iter().map(|x| (f64::from(*x) / length) as f32).collect::<Vec<f32>>()
        };
        for d in [1, 2, 3, 5, 128, 192, 256, 500, 512, 1024] {
            let rotation = Rotation::new(7, d);
            let (a, b) = (unit(d), unit(d));
            let (mut ra, mut rb) = (a.clone(), b.clone());
            rotation.apply(&mut ra);
            rotation.apply(&mut rb);
            let off = (canonical(&a, &b) - canonical(&ra, &rb)).abs();
            assert!(off <= 2.1 * rotation.slack(), "{d}: {off:e}, slack {:e}", rotation.slack());
        }
    }

    #[test]
    fn it_spreads_a_single_component_and_depends_on_the_key() {
        let mut one_hot = vec![0.0; 512];
        one_hot[3] = 1.0;
        let mut other = one_hot.clone();
        Rotation::new(1, 512).apply(&mut one_hot);
        Rotation::new(2, 512).apply(&mut other);
        assert!(one_hot.iter().all(|x| (x.abs() - 0.044_194_17).abs() < 1e-7));
        assert_eq!(canonical(&one_hot, &other).abs(), canonical(&one_hot, &one_hot), "one component: same pattern but for its sign");
        let mut mixed: Vec<f32> = (0..512).map(|i| if i % 2 == 0 { 0.0625 } else { 0.0 }).collect();
        let mut again = mixed.clone();
        Rotation::new(1, 512).apply(&mut mixed);
        Rotation::new(2, 512).apply(&mut again);
        assert!(canonical(&mixed, &again).abs() < 0.3, "two keys, nothing in common");
    }
}

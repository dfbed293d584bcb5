//! Material for the tests: random and adversarial templates, and the brute force that every answer is held to.
#![allow(dead_code)] // each test file uses its part

use gallery::{Attributes, CandidateList, Filters, ModelId, NewReference, Probe, ReferenceId, SearchLimits, Settings};
use std::num::NonZeroUsize;

pub fn model() -> ModelId {
    ModelId::new("test-net/1").unwrap()
}

pub fn threads(n: usize) -> Settings {
    Settings { threads: NonZeroUsize::new(n).unwrap(), ..Settings::default() }
}

/// SplitMix64: repeatable, and independent of any crate's version.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Even in −0.5 to 0.5.
    pub fn even(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64 - 0.5
    }

    pub fn unit(&mut self, d: usize) -> Vec<f32> {
        let raw: Vec<f64> = (0..d).map(|_| self.even()).collect();
        unit(&raw)
    }

    pub fn id(&mut self) -> ReferenceId {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }

    pub fn attributes(&mut self) -> Attributes {
        Attributes {
            synthetic: self.below(4) == 0,
            sex_marker: self.below(4) as u8,
            year_of_birth: [0, 1950, 1970, 1971, 1990][self.below(5) as usize],
            enrolled_at: self.below(1_000) as i64 - 500,
        }
    }

    pub fn references(&mut self, templates: Vec<Vec<f32>>) -> Vec<NewReference> {
        templates.into_iter().map(|template| NewReference { id: self.id(), template, attributes: self.attributes() }).collect()
    }
}

pub fn unit(raw: &[f64]) -> Vec<f32> {
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.iter().map(|x| (x / length) as f32).collect()
}

pub fn probe(template: &[f32]) -> Probe {
    Probe::new(model(), template.to_vec()).unwrap()
}

pub fn best(k: usize) -> SearchLimits {
    SearchLimits { k, threshold: None, filters: Filters::default() }
}

/// Candidates with the bits of their scores, whether there are more, and how many were searched.
pub type Answer = (Vec<(ReferenceId, u64)>, bool, u64);

/// The answer by the definition: score everything in f64 in dimension order, sort, cut. Written
/// without any of the crate's code but the filters' predicate, which has its own tests.
pub fn brute_force<'a>(references: impl IntoIterator<Item = &'a NewReference>, probe: &[f32], limits: &SearchLimits) -> Answer {
    let mut scored = Vec::new();
    let mut searched = 0;
    for r in references {
        if !limits.filters.admit(&r.attributes) {
            continue;
        }
        searched += 1;
        let mut score = 0.0_f64;
        for (i, p) in probe.iter().enumerate() {
            score += f64::from(*p) * f64::from(r.template[i]);
        }
        if limits.threshold.is_none_or(|t| score >= t) {
            scored.push((r.id, score));
        }
    }
    scored.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
    let more = scored.len() > limits.k;
    scored.truncate(limits.k);
    (scored.into_iter().map(|(id, s)| (id, s.to_bits())).collect(), more, searched)
}

/// A candidate list in the shape of [`brute_force`]'s answer: bit for bit.
pub fn plain(list: &CandidateList) -> Answer {
    let entries = list.entries.iter().map(|c| (c.id, c.score.to_bits())).collect();
    (entries, list.more_above_threshold, list.searched)
}

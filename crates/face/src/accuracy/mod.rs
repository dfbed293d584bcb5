//! How far an engine's answers can be trusted, measured on searches whose truth is known.
//!
//! The protocol is open-set identification after ISO/IEC 19795-1: some people are enrolled with one image
//! each, and every other image is searched for. A *mated* search is one for somebody enrolled; a *non-mated*
//! one is for somebody who is not. Two rates describe a setting:
//!
//! - **FPIR**, the false positive identification rate: the share of non-mated searches that bring up anybody
//!   at or above the threshold, so that an innocent person is pointed at;
//! - **FNIR**, the false negative identification rate: the share of mated searches that do not bring up the
//!   person's own reference at or above the threshold within the first [`LIST_PLACES`]. A probe in which no
//!   face could be found (a failure to acquire), and a person who could not be enrolled, are misses.
//!
//! Everything here is pure: numbers in, numbers out. Reading photographs belongs to `countersign evaluate`.
//!
//! Scores, thresholds included, stand on a grid of 10⁻⁹, on which decimal text and binary numbers agree
//! exactly: what is read back from JSON counts the same searches as what was written.

mod open_set;
pub mod statistics;
mod verification;

pub use open_set::{About, Acquired, Person, Protocol, Source, evaluate, evaluate_traced};
pub use verification::{Pair, Pairs};

use crate::quality::discard::Kept;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use statistics::{clopper_pearson, rule_of_three};
use std::collections::{BTreeMap, BTreeSet};

/// The version of [`Evaluation`] that this code writes.
pub const FORMAT: u32 = 3;
/// The oldest that it reads: its searches say nothing of quality.
pub const OLDEST_FORMAT: u32 = 2;
/// Columns by which an evaluation that is read back may group people.
pub const COLUMNS_MAX: usize = 4;
/// Groups in one column.
pub const LABELS_MAX: usize = 32;
/// Characters of a column's or a group's name.
pub const LABEL_CHARS_MAX: usize = 60;
/// Searches in an evaluation.
pub const SEARCHES_MAX: usize = 200_000;
/// Places on a candidate list. A mate further down is not seen by anybody, so it is a miss.
pub const LIST_PLACES: u32 = 10;
/// The false positive identification rates that are asked for, from the most lenient.
pub const TARGETS: [f64; 3] = [0.01, 0.003, 0.001];
/// The confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;
/// What runs the packs, for the record: results of two engines are not one another's.
pub const ENGINE: &str = concat!("countersign-face ", env!("CARGO_PKG_VERSION"));

/// Why accuracy could not be measured, or a measurement not be read. No message names a person or a file.
#[derive(Debug, thiserror::Error)]
pub enum AccuracyError {
    /// Nobody could be searched for.
    #[error(
        "nobody has two images, so nobody can be enrolled with one and searched for with another. Give two or more images of some people"
    )]
    NobodyTwice,
    /// Everybody is in the gallery.
    #[error(
        "everybody is in the gallery, so false alarms cannot be counted. Add people with one image, or give a --gallery-fraction below 1"
    )]
    NobodyOutside,
    /// An image specification leaves nothing to count false alarms by.
    #[error(
        "the image specification blocks every image of people outside the gallery, so false alarms cannot be counted. Add better images"
    )]
    AllBlocked,
    /// The fraction is not one.
    #[error("the gallery fraction is {0}; it must be above 0 and at most 1")]
    Fraction(f64),
    /// A person's group columns do not fit.
    #[error("each person needs one entry for each of the {columns} group columns; one has {found}")]
    Columns {
        /// Columns named.
        columns: usize,
        /// Entries found.
        found: usize,
    },
    /// Pairs are not in the form of LFW's `pairs.txt`.
    #[error("line {line} of the pairs is not in LFW's form: {reason}")]
    Pairs {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// An evaluation that was read back is not one.
    #[error("this is not an evaluation that this version reads: {0}. Make it again with `countersign evaluate`")]
    Malformed(String),
    /// Templates of two models or lengths.
    #[error(transparent)]
    Face(#[from] crate::FaceError),
}

/// A complete measurement: what was measured, how, and every search's outcome without a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// From [`OLDEST_FORMAT`] to [`FORMAT`].
    pub format: u32,
    /// The day it was measured, London. A certificate counts from it.
    pub measured_on: Date,
    /// Measured to show how it is done; no statement about real searches may rest on it.
    pub demonstration: bool,
    /// The pack's id.
    pub pack: String,
    /// SHA-256 of the pack's manifest, which holds the digests of all its files; lower-case hexadecimal.
    pub pack_digest: String,
    /// The model id ([`crate::ModelId`]).
    pub model: String,
    /// What ran it: [`ENGINE`].
    pub engine: String,
    /// Digest of the image specification that probes had to meet; none if every image was searched.
    pub image_specification: Option<String>,
    /// What decided who is enrolled, and which fillers were drawn.
    pub seed: u64,
    /// The share of the people with two or more images who were enrolled; above 0, at most 1.
    pub gallery_fraction: f64,
    /// People in the sample.
    pub people: u64,
    /// Images in the sample.
    pub images: u64,
    /// Images from which no template could be made.
    pub refused: u64,
    /// The same, by reason.
    pub refusals: Vec<Refusals>,
    /// Images that showed several faces, of which one was taken: the largest at the centre.
    pub several_faces: u64,
    /// References searched: people enrolled, and fillers.
    pub enrolled: u64,
    /// Synthetic references among them.
    pub fillers: u64,
    /// People who were to be enrolled and could not be: their searches are misses.
    pub failed_to_enrol: u64,
    /// Mated searches, failures to acquire included.
    pub mated: u64,
    /// Different people behind them.
    pub mated_people: u64,
    /// Mated searches whose probe gave no template, or was blocked; each is a miss.
    pub mated_not_acquired: u64,
    /// Of those, probes that gave one and are blocked by the image specification.
    #[serde(default)]
    pub mated_blocked: u64,
    /// Non-mated searches that ran. Failures to acquire are left out: they cannot raise a false alarm.
    pub nonmated: u64,
    /// Different people behind them.
    pub nonmated_people: u64,
    /// Non-mated probes that gave no template, or were blocked.
    pub nonmated_not_acquired: u64,
    /// Of those, probes that gave one and are blocked by the image specification.
    #[serde(default)]
    pub nonmated_blocked: u64,
    /// One-to-one accuracy, if the sample has pairs for it.
    pub verification: Option<Verification>,
    /// One point for each of [`TARGETS`].
    pub identification: Vec<OperatingPoint>,
    /// What the sample shows at the threshold that the pack's manifest names.
    pub at_pack_threshold: Rates,
    /// The strictest threshold that this sample can speak of: no non-mated search reaches it.
    pub at_no_false_alarm: Rates,
    /// Share of mated searches whose mate is first on the list, whatever its score.
    pub rank1: f64,
    /// Share of mated searches whose mate is among the first ten, whatever its score.
    pub rank10: f64,
    /// The columns by which people were grouped.
    pub columns: Vec<String>,
    /// The threshold at which groups are compared.
    pub groups_threshold: f64,
    /// Each group beside the rest of its column.
    pub groups: Vec<Group>,
    /// Every search, mated ones first, ordered by score: the order tells nothing of who was searched for.
    pub searches: Vec<Search>,
}

/// Images that gave no template, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusals {
    /// In plain words.
    pub why: String,
    /// How many.
    pub images: u64,
}

/// One search, without a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Whether the person searched for was meant to be in the gallery.
    pub mated: bool,
    /// Whether the probe gave a template.
    pub acquired: bool,
    /// The mate's score; none if not mated, not acquired or not enrolled.
    pub mate: Option<f64>,
    /// The best score of anybody else; none if not acquired or nobody else is enrolled.
    pub other: Option<f64>,
    /// The mate's place on the list, from 1; those who score the same stand before it.
    pub rank: Option<u32>,
    /// The probe's unified quality, 0 to 100 ([`crate::Component::UnifiedQuality`]); none where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// The person's group in each of [`Evaluation::columns`], where known.
    pub groups: Vec<Option<String>>,
}

impl Search {
    /// A non-mated search that brings somebody up.
    pub fn is_false_positive(&self, threshold: f64) -> bool {
        !self.mated && self.other.is_some_and(|s| s >= threshold)
    }

    /// A mated search that does not bring the mate up within the list.
    pub fn is_miss(&self, threshold: f64) -> bool {
        let hit = self.mate.is_some_and(|s| s >= threshold) && self.rank.is_some_and(|r| r <= LIST_PLACES);
        self.mated && !hit
    }
}

/// Error rates at one threshold, with exact 95 % intervals (Clopper and Pearson 1934).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// The score that a candidate must reach.
    pub threshold: f64,
    /// False positive identification rate; 1 if there was no non-mated search, as nothing is known then.
    pub fpir: f64,
    /// Its interval.
    pub fpir_interval: [f64; 2],
    /// False negative identification rate, failures to acquire and to enrol included; 1 if there was no mated search.
    pub fnir: f64,
    /// Its interval.
    pub fnir_interval: [f64; 2],
    /// Non-mated searches that brought somebody up.
    pub false_positives: u64,
    /// Mated searches that did not bring the mate up.
    pub misses: u64,
    /// Mated searches.
    pub mated: u64,
    /// Non-mated searches.
    pub nonmated: u64,
}

impl Rates {
    fn of<'a>(searches: impl Iterator<Item = &'a Search>, threshold: f64) -> Self {
        let (mut mated, mut nonmated, mut misses, mut false_positives) = (0, 0, 0, 0);
        for search in searches {
            if search.mated {
                mated += 1;
                misses += u64::from(search.is_miss(threshold));
            } else if search.acquired {
                nonmated += 1;
                false_positives += u64::from(search.is_false_positive(threshold));
            }
        }
        Self {
            threshold,
            fpir: share(false_positives, nonmated),
            fpir_interval: clopper_pearson(false_positives, nonmated),
            fnir: share(misses, mated),
            fnir_interval: clopper_pearson(misses, mated),
            false_positives,
            misses,
            mated,
            nonmated,
        }
    }
}

/// A share of nothing is given as 1: the worst that an error rate can be.
fn share(count: u64, of: u64) -> f64 {
    if of == 0 { 1.0 } else { count as f64 / of as f64 }
}

/// What is reached at one false positive identification rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    /// The rate that was asked for.
    pub fpir: f64,
    /// Whether the sample can support a statement about it: 3 / `fpir` non-mated searches or more.
    pub measurable: bool,
    /// The least threshold at which no more than that share of the non-mated searches brings anybody up.
    pub threshold: Option<f64>,
    /// The share that does.
    pub measured_fpir: Option<f64>,
    /// Its 95 % interval.
    pub fpir_interval: Option<[f64; 2]>,
    /// False negative identification rate there, failures to acquire and to enrol included.
    pub fnir: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// The same rate among probes that gave a template.
    pub fnir_acquired: Option<f64>,
    /// Mated searches.
    pub mated: u64,
    /// Non-mated searches.
    pub nonmated: u64,
    /// The point in plain words, or why there is none.
    pub says: String,
}

/// One-to-one accuracy by cross-validation: the threshold is chosen on all folds but one, and the share of
/// right answers counted on that one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Mean over the folds of the share of right answers.
    pub accuracy: f64,
    /// Standard error of that mean.
    pub standard_error: f64,
    /// Each fold's share of right answers.
    pub folds: Vec<f64>,
    /// Pairs in all.
    pub pairs: u64,
    /// Pairs with an image that gave no template; they count as *not the same person*.
    pub not_acquired: u64,
    /// Whether the pairs were given, or drawn from the sample.
    pub given: bool,
}

/// One group at [`Evaluation::groups_threshold`], beside everybody else whose group is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The column.
    pub column: String,
    /// The group.
    pub group: String,
    /// People of the sample in it.
    pub people: u64,
    /// Its rates.
    pub rates: Rates,
    /// Its false positive identification rate against the rest's; none if there is nothing to compare.
    pub fpir_ratio: Option<Ratio>,
    /// Its false negative identification rate against the rest's.
    pub fnir_ratio: Option<Ratio>,
}

/// A group's rate over the rest's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratio {
    /// The ratio; none if the rest had no error.
    pub ratio: Option<f64>,
    /// The probability of a difference at least as unlikely as this if there were none (Fisher's exact test, two-sided).
    pub p: f64,
    /// The same after Holm's correction for all the comparisons of this evaluation.
    pub p_corrected: f64,
}

impl Ratio {
    /// Whether the difference is more than chance would bring at 5 %, all comparisons considered.
    pub fn is_significant(&self) -> bool {
        self.p_corrected < 1.0 - CONFIDENCE
    }
}

/// How many searches scored within one part of the range.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// The least score in it.
    pub from: f64,
    /// The score at which the next one begins.
    pub to: f64,
    /// Mated searches by the mate's score.
    pub mates: u64,
    /// Non-mated searches by the best score.
    pub others: u64,
}

impl Evaluation {
    /// Reads an evaluation and checks that its parts agree.
    ///
    /// # Errors
    /// [`AccuracyError::Malformed`] if it is of another version, holds more than is read, or says of its searches what
    /// they do not show.
    pub fn read(json: &[u8]) -> Result<Self, AccuracyError> {
        let malformed = |reason: String| AccuracyError::Malformed(reason);
        let it: Self = serde_json::from_slice(json).map_err(|e| malformed(e.to_string()))?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&it.format) {
            return Err(malformed(format!("its format is {}, this version reads {OLDEST_FORMAT} to {FORMAT}", it.format)));
        }
        let mut scores = it.searches.iter().flat_map(|s| [s.mate, s.other]).flatten();
        if scores.any(|s| grid(s).to_bits() != s.to_bits()) {
            return Err(malformed("a score has more than nine decimals".into()));
        }
        let counted = Rates::of(it.searches.iter(), it.at_pack_threshold.threshold);
        let of = |r: &Rates| (r.mated, r.nonmated, r.misses, r.false_positives);
        if of(&counted) != of(&it.at_pack_threshold) || (counted.mated, counted.nonmated) != (it.mated, it.nonmated) {
            return Err(malformed("its rates are not those of its searches".into()));
        }
        let not_acquired = |mated: bool| it.searches.iter().filter(|s| s.mated == mated && !s.acquired).count() as u64;
        let blocked = [it.mated_blocked, it.nonmated_blocked];
        if it.mated_blocked > not_acquired(true) || it.nonmated_blocked > not_acquired(false) {
            return Err(malformed("it says that more probes were blocked than were not searched".into()));
        }
        if it.image_specification.is_none() && blocked != [0, 0] {
            return Err(malformed("it names no image specification that blocked its probes".into()));
        }
        it.bounded().map_err(malformed)?;
        for group in &it.groups {
            if group.people > it.people {
                return Err(malformed("a group has more people than the sample".into()));
            }
        }
        let counted = it.by_group(it.groups_threshold);
        let said = it.groups.iter().filter(|g| g.rates.mated + g.rates.nonmated > 0);
        if counted.iter().map(|g| (g.column, g.group, of(&g.rates))).ne(said.map(|g| (&*g.column, &*g.group, of(&g.rates)))) {
            return Err(malformed("its groups are not those of its searches".into()));
        }
        Ok(it)
    }

    /// What is too much to read, or does not fit together.
    fn bounded(&self) -> Result<(), String> {
        if self.searches.len() > SEARCHES_MAX {
            return Err(format!("it has {} searches; {SEARCHES_MAX} at most are read", self.searches.len()));
        }
        if self.columns.len() > COLUMNS_MAX {
            return Err(format!("it groups people by {} columns; {COLUMNS_MAX} at most are read", self.columns.len()));
        }
        if self.columns.iter().collect::<BTreeSet<_>>().len() < self.columns.len() {
            return Err("two of its columns have one name".into());
        }
        if self.searches.iter().any(|s| s.quality.is_some_and(|q| q > 100)) {
            return Err("a quality is above 100".into());
        }
        if self.searches.iter().any(|s| s.groups.len() != self.columns.len()) {
            return Err("a search has not one entry for each column".into());
        }
        for (n, column) in self.columns.iter().enumerate() {
            let mut labels: BTreeSet<&str> = self.groups.iter().filter(|g| g.column == *column).map(|g| &*g.group).collect();
            labels.extend(self.searches.iter().filter_map(|s| s.groups[n].as_deref()));
            if labels.len() > LABELS_MAX {
                return Err(format!("a column has {} groups; {LABELS_MAX} at most are read", labels.len()));
            }
            if labels.iter().chain([&&**column]).any(|l| l.chars().count() > LABEL_CHARS_MAX) {
                return Err(format!("the name of a group is longer than {LABEL_CHARS_MAX} characters"));
            }
        }
        Ok(())
    }

    /// The rates of each group at a threshold, in the order of the columns and then of the groups' names: one pass over
    /// the searches.
    pub fn by_group(&self, threshold: f64) -> Vec<GroupRates<'_>> {
        let mut found: BTreeMap<(usize, &str), Vec<&Search>> = BTreeMap::new();
        for search in &self.searches {
            for (n, group) in search.groups.iter().enumerate() {
                if let Some(group) = group {
                    found.entry((n, group)).or_default().push(search);
                }
            }
        }
        let people: BTreeMap<(&str, &str), u64> = self.groups.iter().map(|g| ((&*g.column, &*g.group), g.people)).collect();
        let all = found.into_iter().filter_map(|((n, group), searches)| {
            let column = self.columns.get(n)?.as_str();
            let rates = Rates::of(searches.into_iter(), threshold);
            let people = people.get(&(column, group)).copied().unwrap_or_default();
            Some(GroupRates { column, group, people, rates })
        });
        // A search that did not run counts for neither rate; a group of nothing else has none.
        all.filter(|g| g.rates.mated + g.rates.nonmated > 0).collect()
    }

    /// The error rates at a threshold, counted from the searches.
    pub fn rates_at(&self, threshold: f64) -> Rates {
        Rates::of(self.searches.iter(), threshold)
    }

    /// Whether the sample can support a statement about this false positive identification rate (0 to 1): with
    /// fewer than 3 / `fpir` non-mated searches, even none at all above a threshold would not show it at 95 %.
    pub fn supports(&self, fpir: f64) -> bool {
        rule_of_three(self.nonmated) <= fpir
    }

    /// The least threshold at which at most this share of the non-mated searches brings anybody up.
    pub fn threshold_at(&self, fpir: f64) -> f64 {
        open_set::threshold_at(&self.searches, fpir)
    }

    /// The detection error trade-off: rates at every threshold where one changes, from the most lenient.
    /// Intervals are left out of account here; [`Evaluation::rates_at`] has them.
    pub fn trade_off(&self) -> Vec<Point> {
        open_set::trade_off(&self.searches)
    }

    /// Whether quality tells error: the share of mated searches that miss at a threshold, as the probes of the worst unified
    /// quality are left out (`shares` of them, 0 to 1), after ISO/IEC 29794-1:2024. Only searches whose mate is enrolled and
    /// whose probe gave a template and was measured take part; nothing if there is none.
    pub fn error_versus_discard(&self, threshold: f64, shares: &[f64]) -> Vec<Kept> {
        open_set::error_versus_discard(&self.searches, threshold, shares)
    }

    /// Scores in `bins` parts of equal width over the range that occurs.
    pub fn histogram(&self, bins: usize) -> Vec<Bin> {
        open_set::histogram(&self.searches, bins)
    }
}

/// One group's rates, and how many people of the sample are in it.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRates<'a> {
    /// The column.
    pub column: &'a str,
    /// The group.
    pub group: &'a str,
    /// People of the sample in it, enrolled or searched for; 0 where [`Evaluation::groups`] does not name it.
    pub people: u64,
    /// Its rates.
    pub rates: Rates,
}

/// A point of the trade-off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The threshold.
    pub threshold: f64,
    /// False positive identification rate.
    pub fpir: f64,
    /// False negative identification rate.
    pub fnir: f64,
}

/// Steps of the score grid in 1.
const GRID: f64 = 1e9;

/// The nearest score on the grid.
fn grid(score: f64) -> f64 {
    // Adding zero turns −0 into 0.
    (score * GRID).round() / GRID + 0.0
}

//! Who is enrolled, what every search brings up, and what follows from that.

use super::{
    AccuracyError, Bin, ENGINE, Evaluation, FORMAT, GRID, Group, LIST_PLACES, OperatingPoint, Pairs, Point, Rates, Ratio, Refusals, Search,
    TARGETS, grid, share,
    statistics::{fisher_exact, holm, rule_of_three},
};
use crate::{
    Component, DetectedFace, Engine, FaceError, Image, ImageSpecification, Level, Measured, Template, measure,
    quality::discard::{self, Kept, Outcome},
};
use std::num::NonZeroUsize;

/// Sums side by side in a comparison: one order, whatever the processor.
const LANES: usize = 8;

/// One person of the sample.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person's group in each of [`Protocol::columns`], where known.
    pub groups: Vec<Option<String>>,
    /// What was made of each image, in the order of their names; none where no template could be made.
    pub images: Vec<Option<Acquired>>,
}

/// What was made of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Acquired {
    /// The template of the face that the image is of.
    pub template: Template,
    /// That face's unified quality, 0 to 100 ([`crate::Component::UnifiedQuality`]); none where it was not measured.
    pub quality: Option<u8>,
    /// Whether it may be searched for: not where an image specification blocks it (A3b). It may be enrolled all the same.
    pub searchable: bool,
}

impl Acquired {
    /// A template, and what was measured of its face; with a specification, whether that lets it be searched for.
    #[must_use]
    pub fn new(template: Template, measured: &[Measured], specification: Option<&ImageSpecification>) -> Self {
        let unified = measured.iter().find(|m| m.component == Component::UnifiedQuality).and_then(|m| m.value);
        // On a scale of 0 to 100; the cast holds every such number.
        let quality = unified.filter(|q| (0.0..=100.0).contains(q)).map(|q| q.round() as u8);
        let searchable = specification.is_none_or(|s| s.judge(measured).level() < Level::Block);
        Self { template, quality, searchable }
    }

    /// From one of the `faces` faces of an image, judged by no specification.
    ///
    /// # Errors
    /// As [`Engine::template`].
    pub fn from_face(engine: &dyn Engine, image: &Image<'_>, face: &DetectedFace, faces: usize) -> Result<Self, FaceError> {
        Ok(Self::new(engine.template(image, face)?, &measure(image, face, faces), None))
    }
}

impl From<Template> for Acquired {
    fn from(template: Template) -> Self {
        Self { template, quality: None, searchable: true }
    }
}

/// How the sample is used.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Decides who is enrolled, and which pairs are drawn.
    pub seed: u64,
    /// The share of the people with two or more images who are enrolled, with their first; above 0, at most 1.
    pub gallery_fraction: f64,
    /// The columns by which people are grouped.
    pub columns: Vec<String>,
    /// Threads to use; the result is the same for any number.
    pub threads: NonZeroUsize,
}

/// What the sample was made with.
#[derive(Clone, Debug)]
pub struct About {
    /// See [`Evaluation::measured_on`]: whoever measures holds the clock.
    pub measured_on: jiff::civil::Date,
    /// See [`Evaluation::demonstration`].
    pub demonstration: bool,
    /// See [`Evaluation::pack`].
    pub pack: String,
    /// See [`Evaluation::pack_digest`].
    pub pack_digest: String,
    /// See [`Evaluation::model`].
    pub model: String,
    /// The threshold that the pack's manifest names.
    pub pack_threshold: f64,
    /// See [`Evaluation::image_specification`].
    pub image_specification: Option<String>,
    /// Images without a template, by reason.
    pub refusals: Vec<Refusals>,
    /// See [`Evaluation::several_faces`].
    pub several_faces: u64,
}

/// Which image one search was for. It names no one by itself, but leads to a name: never kept in an [`Evaluation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The person, by index.
    pub person: usize,
    /// The person's image, by index.
    pub image: usize,
    /// Whose reference scored best among those of others; none if it is a filler's, or there is no other.
    pub other: Option<usize>,
}

/// Runs the protocol over a sample. `fillers` are enrolled beside the people; `pairs` are for one-to-one
/// accuracy, and drawn from the sample if none are given.
///
/// # Errors
/// [`AccuracyError`] if nobody can be searched for, nobody is outside the gallery, or something does not fit.
pub fn evaluate(
    about: About,
    people: &[Person],
    fillers: &[Template],
    pairs: Option<Pairs>,
    protocol: &Protocol,
) -> Result<Evaluation, AccuracyError> {
    Ok(evaluate_traced(about, people, fillers, pairs, protocol)?.0)
}

/// The same, and which image each of [`Evaluation::searches`] was for, in their order: for who owns the images.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_traced(
    about: About,
    people: &[Person],
    fillers: &[Template],
    pairs: Option<Pairs>,
    protocol: &Protocol,
) -> Result<(Evaluation, Vec<Source>), AccuracyError> {
    let fraction = protocol.gallery_fraction;
    if !(fraction > 0.0 && fraction <= 1.0) {
        return Err(AccuracyError::Fraction(fraction));
    }
    if let Some(wrong) = people.iter().find(|p| p.groups.len() != protocol.columns.len()) {
        return Err(AccuracyError::Columns { columns: protocol.columns.len(), found: wrong.groups.len() });
    }
    same_model(people, fillers)?;
    let enrolled = enrolled(people, protocol)?;
    let gallery = References::new(people, &enrolled, fillers);
    let probes = probes(people, &enrolled);
    if !probes.iter().any(|p| p.mate.is_none() && p.acquired.is_some()) {
        let blocked = probes.iter().any(|p| p.mate.is_none() && p.blocked);
        return Err(if blocked { AccuracyError::AllBlocked } else { AccuracyError::NobodyOutside });
    }
    let mut traced = search_all(&gallery, &probes, people, protocol.threads);
    // The order of the people must not show through.
    traced.sort_by(|(a, _), (b, _)| {
        let key = |s: &Search| (!s.mated, !s.acquired, s.rank);
        let score = |s: Option<f64>| s.unwrap_or(f64::NEG_INFINITY);
        key(a)
            .cmp(&key(b))
            .then(score(a.mate).total_cmp(&score(b.mate)))
            .then(score(a.other).total_cmp(&score(b.other)))
            .then(a.groups.cmp(&b.groups))
            .then(a.quality.cmp(&b.quality))
    });
    let (searches, sources): (Vec<Search>, Vec<Source>) = traced.into_iter().unzip();
    let of = |mated: bool| searches.iter().filter(move |s| s.mated == mated);
    let nonmated = count(of(false).filter(|s| s.acquired));
    let mated = count(of(true));
    let identification: Vec<OperatingPoint> = TARGETS.iter().map(|f| operating_point(&searches, *f, nonmated)).collect();
    let groups_threshold = identification.iter().find_map(|p| p.threshold).unwrap_or(about.pack_threshold);
    let within = |places: u32| share(count(of(true).filter(|s| s.rank.is_some_and(|r| r <= places))), mated);
    let different = |mated: bool| {
        let mut owners: Vec<usize> =
            probes.iter().filter(|p| p.mate.is_some() == mated && (mated || p.acquired.is_some())).map(|p| p.person).collect();
        owners.dedup();
        owners.len() as u64
    };
    let verification = pairs.or_else(|| Pairs::drawn(people, protocol.seed)).map(|p| p.accuracy(people)).transpose()?;
    let evaluation = Evaluation {
        format: FORMAT,
        measured_on: about.measured_on,
        demonstration: about.demonstration,
        pack: about.pack,
        pack_digest: about.pack_digest,
        model: about.model,
        engine: ENGINE.into(),
        image_specification: about.image_specification,
        seed: protocol.seed,
        gallery_fraction: fraction,
        people: people.len() as u64,
        images: people.iter().map(|p| p.images.len() as u64).sum(),
        refused: about.refusals.iter().map(|r| r.images).sum(),
        refusals: about.refusals,
        several_faces: about.several_faces,
        enrolled: gallery.len() as u64,
        fillers: fillers.len() as u64,
        failed_to_enrol: count(enrolled.iter().filter(|p| people[**p].images[0].is_none())),
        mated,
        mated_people: different(true),
        mated_not_acquired: count(of(true).filter(|s| !s.acquired)),
        mated_blocked: count(probes.iter().filter(|p| p.blocked && p.mate.is_some())),
        nonmated,
        nonmated_people: different(false),
        nonmated_not_acquired: count(of(false).filter(|s| !s.acquired)),
        nonmated_blocked: count(probes.iter().filter(|p| p.blocked && p.mate.is_none())),
        verification,
        at_pack_threshold: Rates::of(searches.iter(), grid(about.pack_threshold)),
        at_no_false_alarm: Rates::of(searches.iter(), threshold_at(&searches, 0.0)),
        rank1: within(1),
        rank10: within(LIST_PLACES),
        columns: protocol.columns.clone(),
        groups_threshold,
        groups: groups(&searches, people, &protocol.columns, groups_threshold),
        identification,
        searches,
    };
    Ok((evaluation, sources))
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.count() as u64
}

/// Every template comes from one model.
fn same_model(people: &[Person], fillers: &[Template]) -> Result<(), AccuracyError> {
    let mut all = people.iter().flat_map(|p| p.images.iter().flatten()).map(|a| &a.template).chain(fillers);
    let Some(first) = all.next() else { return Err(AccuracyError::NobodyTwice) };
    match all.find(|t| t.model() != first.model() || t.values().len() != first.values().len()) {
        Some(other) => Err(FaceError::OtherModel { ours: first.model().clone(), theirs: other.model().clone() }.into()),
        None => Ok(()),
    }
}

/// The people to enrol, by index.
fn enrolled(people: &[Person], protocol: &Protocol) -> Result<Vec<usize>, AccuracyError> {
    let mut twice: Vec<usize> = (0..people.len()).filter(|p| people[*p].images.len() >= 2).collect();
    if twice.is_empty() {
        return Err(AccuracyError::NobodyTwice);
    }
    Draw::new(protocol.seed).shuffle(&mut twice);
    let wanted = (twice.len() as f64 * protocol.gallery_fraction).round() as usize;
    twice.truncate(wanted.max(1));
    twice.sort_unstable();
    Ok(twice)
}

/// One image to search for.
struct Probe<'a> {
    person: usize,
    image: usize,
    /// What is searched with: nothing where there is no template, or the specification blocks it.
    acquired: Option<&'a Acquired>,
    blocked: bool,
    /// Where the person was to be enrolled, from 0; none if they are outside the gallery.
    mate: Option<usize>,
}

fn probes<'a>(people: &'a [Person], enrolled: &[usize]) -> Vec<Probe<'a>> {
    let mut all = vec![];
    for (person, who) in people.iter().enumerate() {
        let mate = enrolled.binary_search(&person).ok();
        let images = who.images.iter().enumerate().skip(usize::from(mate.is_some()));
        all.extend(images.map(|(image, made)| {
            let acquired = made.as_ref().filter(|a| a.searchable);
            Probe { person, image, acquired, blocked: made.is_some() && acquired.is_none(), mate }
        }));
    }
    all
}

/// The enrolled templates, one after the other.
struct References {
    dimension: usize,
    values: Vec<f32>,
    /// Where each person to be enrolled stands, if they could be.
    rows: Vec<Option<usize>>,
    /// Who stands on each row before the fillers.
    owners: Vec<usize>,
}

/// What one search brought up.
#[derive(Default)]
struct Found {
    mate: Option<f64>,
    other: Option<f64>,
    rank: Option<u32>,
    /// The row of the best other.
    row: Option<usize>,
}

impl References {
    fn new(people: &[Person], enrolled: &[usize], fillers: &[Template]) -> Self {
        let (mut values, mut rows, mut dimension) = (vec![], vec![], 0);
        let mut next = 0;
        let mut add = |t: &Template| {
            dimension = t.values().len();
            values.extend_from_slice(t.values());
            next += 1;
            next - 1
        };
        for person in enrolled {
            rows.push(people[*person].images[0].as_ref().map(|a| add(&a.template)));
        }
        fillers.iter().for_each(|t| {
            add(t);
        });
        let owners = enrolled.iter().zip(&rows).filter_map(|(person, row)| row.map(|_| *person)).collect();
        Self { dimension, values, rows, owners }
    }

    fn len(&self) -> usize {
        self.values.len().checked_div(self.dimension).unwrap_or(0)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..][..self.dimension]
    }

    /// One search, exactly: every reference is scored.
    fn search(&self, template: &Template, mate: Option<usize>) -> Found {
        let probe: Vec<f64> = template.values().iter().map(|v| f64::from(*v)).collect();
        let own = mate.and_then(|m| self.rows[m]);
        let own_score = own.map(|row| cosine(&probe, self.row(row)));
        let (mut best, mut before): (Option<(f64, usize)>, _) = (None, 0);
        for row in (0..self.len()).filter(|r| Some(*r) != own) {
            let score = cosine(&probe, self.row(row));
            if best.is_none_or(|(b, _)| score > b) {
                best = Some((score, row));
            }
            before += u32::from(own_score.is_some_and(|o| score >= o));
        }
        Found { mate: own_score, other: best.map(|b| b.0), rank: own_score.map(|_| before + 1), row: best.map(|b| b.1) }
    }
}

/// Summed in double precision, on the grid.
fn cosine(probe: &[f64], reference: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (probes, probe_rest) = probe.as_chunks::<LANES>();
    let (references, reference_rest) = reference.as_chunks::<LANES>();
    for (p, r) in probes.iter().zip(references) {
        for lane in 0..LANES {
            lanes[lane] += p[lane] * f64::from(r[lane]);
        }
    }
    let rest: f64 = probe_rest.iter().zip(reference_rest).map(|(p, r)| p * f64::from(*r)).sum();
    grid(lanes.iter().sum::<f64>() + rest)
}

fn search_all(gallery: &References, probes: &[Probe<'_>], people: &[Person], threads: NonZeroUsize) -> Vec<(Search, Source)> {
    let one = |probe: &Probe<'_>| {
        let found = probe.acquired.map(|a| gallery.search(&a.template, probe.mate)).unwrap_or_default();
        let groups = people[probe.person].groups.clone();
        let source = Source { person: probe.person, image: probe.image, other: found.row.and_then(|row| gallery.owners.get(row)).copied() };
        let (mated, acquired) = (probe.mate.is_some(), probe.acquired.is_some());
        let quality = probe.acquired.and_then(|a| a.quality);
        (Search { mated, acquired, mate: found.mate, other: found.other, rank: found.rank, quality, groups }, source)
    };
    let each = probes.len().div_ceil(threads.get()).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = probes.chunks(each).map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>())).collect();
        let done = workers.into_iter().map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.flatten().collect()
    })
}

pub(super) fn threshold_at(searches: &[Search], fpir: f64) -> f64 {
    let nonmated = searches.iter().filter(|s| !s.mated && s.acquired);
    let of = nonmated.clone().count();
    let mut scores: Vec<f64> = nonmated.filter_map(|s| s.other).collect();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    // The share of a whole number may come out a hair below it.
    let allowed = (fpir * of as f64 + 1e-9).floor() as usize;
    scores.get(allowed).map_or(-1.0, |first_refused| grid(first_refused + 1.0 / GRID))
}

fn operating_point(searches: &[Search], fpir: f64, nonmated: u64) -> OperatingPoint {
    let threshold = threshold_at(searches, fpir);
    let r = Rates::of(searches.iter(), threshold);
    let least = rule_of_three(nonmated);
    if least > fpir {
        let needed = thousands((3.0 / fpir).round() as u64);
        let says = format!(
            "Not measurable: {} searches for people who are not in the gallery cannot show a rate of {}. Had none of them raised \
             a false alarm, the rate could still be up to {} at 95 % confidence; {needed} searches or more are needed.",
            thousands(nonmated),
            percent(fpir),
            percent(least)
        );
        return OperatingPoint {
            fpir,
            measurable: false,
            threshold: None,
            measured_fpir: None,
            fpir_interval: None,
            fnir: None,
            interval: None,
            fnir_acquired: None,
            mated: r.mated,
            nonmated,
            says,
        };
    }
    let acquired: Vec<&Search> = searches.iter().filter(|s| s.mated && s.acquired).collect();
    let missed = count(acquired.iter().filter(|s| s.is_miss(threshold)));
    let per = |share: f64, interval: [f64; 2], of: f64| {
        format!("{} ({} to {} at 95 % confidence)", number(share * of), number(interval[0] * of), number(interval[1] * of))
    };
    let says = format!(
        "Of 1,000 people who are not in the gallery, {} would be pointed at by mistake. Of 100 searches for people who are, {} would \
         not find them.",
        per(r.fpir, r.fpir_interval, 1_000.0),
        per(r.fnir, r.fnir_interval, 100.0)
    );
    OperatingPoint {
        fpir,
        measurable: true,
        threshold: Some(threshold),
        measured_fpir: Some(r.fpir),
        fpir_interval: Some(r.fpir_interval),
        fnir: Some(r.fnir),
        interval: Some(r.fnir_interval),
        fnir_acquired: Some(share(missed, acquired.len() as u64)),
        mated: r.mated,
        nonmated,
        says,
    }
}

/// With a comma between thousands, below a million.
fn thousands(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// One decimal where there is one.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

pub(super) fn trade_off(searches: &[Search]) -> Vec<Point> {
    // Scores at which a mate is found, and those at which somebody is pointed at by mistake.
    let mut hits: Vec<f64> = searches.iter().filter(|s| !s.is_miss(f64::NEG_INFINITY)).filter_map(|s| s.mate).collect();
    let mut alarms: Vec<f64> = searches.iter().filter(|s| !s.mated).filter_map(|s| s.other).collect();
    let mated = count(searches.iter().filter(|s| s.mated));
    let nonmated = count(searches.iter().filter(|s| !s.mated && s.acquired));
    hits.sort_unstable_by(f64::total_cmp);
    alarms.sort_unstable_by(f64::total_cmp);
    let mut thresholds: Vec<f64> = hits.iter().chain(&alarms).copied().collect();
    thresholds.sort_unstable_by(f64::total_cmp);
    thresholds.dedup();
    thresholds.extend(thresholds.last().map(|last| grid(last + 1.0 / GRID)));
    let at = |threshold: f64| {
        let from = |scores: &[f64]| (scores.len() - scores.partition_point(|s| *s < threshold)) as u64;
        Point { threshold, fpir: share(from(&alarms), nonmated), fnir: share(mated - from(&hits), mated) }
    };
    thresholds.into_iter().map(at).collect()
}

pub(super) fn error_versus_discard(searches: &[Search], threshold: f64, shares: &[f64]) -> Vec<Kept> {
    let outcome = |s: &Search| s.mate.and(s.quality).map(|q| Outcome { quality: f64::from(q), missed: s.is_miss(threshold) });
    let outcomes: Vec<Outcome> = searches.iter().filter_map(outcome).collect();
    if outcomes.is_empty() { vec![] } else { discard::error_versus_discard(&outcomes, shares) }
}

pub(super) fn histogram(searches: &[Search], bins: usize) -> Vec<Bin> {
    let mates = || searches.iter().filter(|s| s.mated).filter_map(|s| s.mate);
    let others = || searches.iter().filter(|s| !s.mated).filter_map(|s| s.other);
    let (low, high) = mates().chain(others()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(s), h.max(s)));
    if bins == 0 || !low.is_finite() {
        return vec![];
    }
    let width = (high - low).max(1.0 / GRID) / bins as f64;
    let edge = |bin: usize| low + width * bin as f64;
    let mut all: Vec<Bin> = (0..bins).map(|b| Bin { from: edge(b), to: edge(b + 1), mates: 0, others: 0 }).collect();
    let place = |score: f64| (((score - low) / width) as usize).min(bins - 1);
    mates().for_each(|s| all[place(s)].mates += 1);
    others().for_each(|s| all[place(s)].others += 1);
    all
}

fn groups(searches: &[Search], people: &[Person], columns: &[String], threshold: f64) -> Vec<Group> {
    let mut all: Vec<Group> = vec![];
    let mut tests: Vec<f64> = vec![];
    // For each group, where its two comparisons stand in `tests`.
    let mut places: Vec<(usize, usize)> = vec![];
    for (column, name) in columns.iter().enumerate() {
        let mut labels: Vec<&String> = people.iter().filter_map(|p| p.groups[column].as_ref()).collect();
        labels.sort_unstable();
        let first = all.len();
        for group in labels.chunk_by(|a, b| a == b) {
            let label = group[0];
            let known = searches.iter().filter(|s| s.groups[column].is_some());
            let rates = Rates::of(known.clone().filter(|s| s.groups[column].as_ref() == Some(label)), threshold);
            let rest = Rates::of(known.filter(|s| s.groups[column].as_ref() != Some(label)), threshold);
            let ratio = |ours: (u64, u64), theirs: (u64, u64)| {
                let p = fisher_exact(ours.0, ours.1, theirs.0, theirs.1);
                let ratio = (theirs.0 > 0).then(|| share(ours.0, ours.1) / share(theirs.0, theirs.1));
                (ours.1 > 0 && theirs.1 > 0).then_some(Ratio { ratio, p, p_corrected: p })
            };
            all.push(Group {
                column: name.clone(),
                group: label.clone(),
                people: group.len() as u64,
                fpir_ratio: ratio((rates.false_positives, rates.nonmated), (rest.false_positives, rest.nonmated)),
                fnir_ratio: ratio((rates.misses, rates.mated), (rest.misses, rest.mated)),
                rates,
            });
        }
        let found = all.len() - first;
        for at in first..all.len() {
            // Two groups make one comparison, seen from either side.
            if found == 2 && at > first {
                places.push(places[at - 1]);
                continue;
            }
            places.push((tests.len(), tests.len() + 1));
            tests.extend([&all[at].fpir_ratio, &all[at].fnir_ratio].map(|r| r.as_ref().map_or(1.0, |r| r.p)));
        }
    }
    let corrected = holm(&tests);
    for (group, (fpir, fnir)) in all.iter_mut().zip(places) {
        for (ratio, place) in [(&mut group.fpir_ratio, fpir), (&mut group.fnir_ratio, fnir)] {
            if let Some(ratio) = ratio {
                ratio.p_corrected = corrected[place];
            }
        }
    }
    all
}

/// SplitMix64 (Steele, Lea and Flood 2014): enough to deal people out, and the same everywhere.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`; 0 if `end` is.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((u128::from(z) * end as u128) >> 64) as usize
    }

    /// Fisher and Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests;

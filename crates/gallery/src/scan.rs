//! The search itself: every live reference is looked at, none is skipped by an index.
//!
//! A worker passes over coarse codes and lets a reference go when the upper end of its interval (see
//! [`crate::codes`]) is below a floor. What is left is looked at more closely, in steps of rising
//! cost: fine codes, then the template in f32 (see [`crate::score`]), then in f64. A list of `k` is
//! found by searching the best `k + 1`, so that the last tells whether more reach the threshold.
//!
//! **The floor** is the largest of three scores that the answer is known to reach: the threshold, and
//! the `k + 1`-th best *lower* end so far of fine intervals, and of f32 intervals, each of another
//! reference. Workers share it and it only rises. To raise it early, a reference whose likely score
//! is above it is looked at by its fine codes at once; the others wait for the end of the pass, when the
//! floor is high and few are left. Templates, the dearest to read, are read at the end only.
//! A reference of the true list has a canonical score of at least every floor there ever is, and its
//! upper ends are at least that, so it is never let go; lists are built from canonical scores alone.
//! So the list equals that of a brute-force scan, whatever the number of threads and whatever their
//! luck.
//!
//! **The hope.** Early in a pass the floor is low and lets too many through. So a pass works against
//! a *hope*, a higher score that the floor is expected to reach in the end, and at the end asks
//! whether it did: if so, nothing was let go that the floor would have kept. If not, the probe is
//! searched again, from the floor that was reached and without hope. Spans are visited in scattered
//! order, so that what was seen is like what is to come: the hope is the score of such a rank, among
//! what was seen, that the floor stays below it about once in [`SEARCHES_A_DISAPPOINTMENT`] searches.
//!
//! What a worker has put aside is bounded: a full pile is taken to the next step at once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::codes::{CodedProbe, Depth, GROUP};
use crate::kernel::{self, MOST_PROBES, Packed, Survivor, Survivors};
use crate::rotation::Rotation;
use crate::snapshot::Snapshot;
use crate::zone::{Admits, ZONE_ROWS};
use crate::{Candidate, CandidateList, Error, Filters, ReferenceId, SearchLimits, Settings, score};

/// Groups that a kernel passes over in one call: a zone.
const CALL_GROUPS: usize = ZONE_ROWS / GROUP;
/// Zones that a worker takes at a time.
const SPAN_ZONES: usize = 4;
/// References put aside by a worker for one probe before it looks at them more closely.
const PILE: usize = 1 << 16;
/// References that are looked at together, so that their codes come from memory side by side.
const TOGETHER: usize = 32;
/// From so many probes on a pass is bound by its multiplications rather than by memory, and looks at six bits.
const SIX_BITS_PROBES: usize = 4;
/// Templates that are asked for ahead of the one that is scored.
const TEMPLATES_AHEAD: usize = 2;
/// A hope is too high in one search of so many, where rows come in no particular order.
const SEARCHES_A_DISAPPOINTMENT: f64 = 20_000.0;

/// A candidate in rank order: greater is better, and among equal scores the lower id is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked {
    score: f64,
    id: ReferenceId,
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        // Scores are finite, and a sum that starts at +0 is never −0, so total_cmp is numeric order.
        self.score.total_cmp(&other.score).then_with(|| other.id.cmp(&self.id))
    }
}

/// A floor that all workers raise together.
struct RisingFloor(AtomicU64);

impl RisingFloor {
    fn at(floor: f64) -> Self {
        RisingFloor(AtomicU64::new(key(floor)))
    }

    fn get(&self) -> f64 {
        let key = self.0.load(Relaxed);
        f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
    }

    /// Raises it to the score of this [`key`], if that is higher.
    fn raise(&self, to: u64) {
        self.0.fetch_max(to, Relaxed);
    }
}

/// Orders as an unsigned integer the way scores order as numbers.
fn key(score: f64) -> u64 {
    let bits = score.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The best lower ends of one kind of interval (as [`key`]s), each of another reference.
type Lows = Mutex<BinaryHeap<Reverse<u64>>>;

/// What is known of one probe's answer, by all workers together.
struct Answer {
    floor: RisingFloor,
    /// What the floor is expected to reach. What lies below is let go, on condition that it does.
    hope: RisingFloor,
    /// The best lower ends by fine codes.
    fine_lows: Lows,
    /// The best lower ends by quick scores.
    quick_lows: Lows,
    /// The best by canonical score: in the end, the list.
    best: Mutex<BinaryHeap<Reverse<Ranked>>>,
}

impl Answer {
    /// What is below is let go.
    fn cut(&self) -> f64 {
        self.floor.get().max(self.hope.get())
    }

    /// Nothing was let go that the floor would have kept.
    fn kept_its_hope(&self) -> bool {
        self.floor.get() >= self.hope.get()
    }
}

/// A stretch of one segment's zones that filters treat alike.
struct Span {
    segment: usize,
    groups: std::ops::Range<usize>,
    /// Each row has to be asked whether the filters admit it.
    ask: bool,
}

/// The probes as one segment sees them.
struct Coded {
    probes: Vec<CodedProbe>,
    packed: Packed,
}

/// What all workers share.
struct Search<'a> {
    snapshot: &'a Snapshot,
    rotation: &'a Rotation,
    settings: Settings,
    probes: &'a [&'a [f32]],
    depth: Depth,
    filters: &'a Filters,
    threshold: f64,
    /// `k + 1`.
    wanted: usize,
    /// How far a quick score may be off.
    slack: f64,
    /// Those whose rows are all admitted come first, in scattered order.
    spans: Vec<Span>,
    next: AtomicUsize,
    /// Groups of those, in all and seen so far; and how many are to be seen before the next hope.
    plain: usize,
    seen: AtomicUsize,
    due: AtomicUsize,
    coded: Vec<OnceLock<Coded>>,
    answers: Vec<Answer>,
    failed: AtomicBool,
}

/// What one worker has put aside for one probe.
#[derive(Default)]
struct Piles {
    /// What is to be looked at now.
    now: Vec<Survivor>,
    /// What else the coarse codes could not let go, by segment.
    kept: Vec<Vec<Survivor>>,
    /// How many that is.
    count: usize,
    /// What the fine codes could not let go.
    close: Vec<Close>,
    /// What the quick score could not let go.
    last: Vec<Close>,
    /// Room to work in.
    rows: Vec<u32>,
    sums: Vec<i32>,
}

/// A reference that is close to the list, and the upper end of its interval.
struct Close {
    segment: usize,
    row: usize,
    high: f64,
}

/// Searches one snapshot. The probes have been checked against the gallery, the limits as well.
pub(crate) fn search(
    snapshot: &Snapshot,
    rotation: &Rotation,
    probes: &[&[f32]],
    limits: &SearchLimits,
    settings: Settings,
) -> Result<Vec<CandidateList>, Error> {
    let searched = snapshot.count(&limits.filters)?;
    let mut lists = Vec::with_capacity(probes.len());
    for probes in probes.chunks(MOST_PROBES) {
        let floors = vec![limits.threshold.unwrap_or(f64::NEG_INFINITY); probes.len()];
        let search = Search::new(snapshot, rotation, probes, limits, settings, &floors)?;
        search.run(true)?;
        let (again, floors): (Vec<&[f32]>, Vec<f64>) =
            probes.iter().zip(&search.answers).filter(|(_, a)| !a.kept_its_hope()).map(|(p, a)| (*p, a.floor.get())).unzip();
        let mut answers = search.answers;
        if !again.is_empty() {
            let search = Search::new(snapshot, rotation, &again, limits, settings, &floors)?;
            search.run(false)?;
            answers.iter_mut().filter(|a| !a.kept_its_hope()).zip(search.answers).for_each(|(first, second)| *first = second);
        }
        for answer in answers {
            let best = answer.best.into_inner().unwrap_or_else(PoisonError::into_inner);
            // Ascending order of `Reverse` is descending order of what is in it.
            let mut entries: Vec<Candidate> =
                best.into_sorted_vec().into_iter().map(|Reverse(r)| Candidate { id: r.id, score: r.score }).collect();
            let more_above_threshold = entries.len() > limits.k;
            entries.truncate(limits.k);
            lists.push(CandidateList { entries, epoch: snapshot.epoch, more_above_threshold, searched });
        }
    }
    Ok(lists)
}

impl<'a> Search<'a> {
    /// A search in which each probe's floor begins at that of `floors`.
    fn new(
        snapshot: &'a Snapshot,
        rotation: &'a Rotation,
        probes: &'a [&'a [f32]],
        limits: &'a SearchLimits,
        settings: Settings,
        floors: &[f64],
    ) -> Result<Self, Error> {
        let answer = |floor: &f64| Answer {
            floor: RisingFloor::at(*floor),
            hope: RisingFloor::at(f64::NEG_INFINITY),
            fine_lows: Mutex::default(),
            quick_lows: Mutex::default(),
            best: Mutex::default(),
        };
        let spans = spans(snapshot, &limits.filters)?;
        Ok(Search {
            snapshot,
            rotation,
            settings,
            probes,
            depth: if probes.len() < SIX_BITS_PROBES { Depth::Five } else { Depth::Six },
            filters: &limits.filters,
            threshold: limits.threshold.unwrap_or(f64::NEG_INFINITY),
            wanted: limits.k + 1,
            slack: score::slack(rotation.dimension()),
            plain: spans.iter().filter(|s| !s.ask).map(|s| s.groups.len()).sum(),
            seen: AtomicUsize::new(0),
            due: AtomicUsize::new(0),
            spans,
            next: AtomicUsize::new(0),
            coded: snapshot.segments.iter().map(|_| OnceLock::new()).collect(),
            answers: floors.iter().map(answer).collect(),
            failed: AtomicBool::new(false),
        })
    }

    fn run(&self, hopes: bool) -> Result<(), Error> {
        if !hopes {
            self.due.store(usize::MAX, Relaxed);
        }
        self.log();
        let workers = self.settings.threads.get().min(self.spans.len());
        if workers <= 1 {
            return self.work();
        }
        std::thread::scope(|scope| {
            // A thread that the system refuses is done without: this one takes what is left.
            let helpers: Vec<_> =
                (1..workers).filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, || self.work()).ok()).collect();
            let mut outcome = self.work();
            for helper in helpers {
                // A worker can only panic by a bug; a partial answer must not come out of one.
                outcome = outcome.and(helper.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
            }
            outcome
        })
    }

    /// The newest references are in no segment yet: few, and scored as they are.
    fn log(&self) {
        for (id, template, _) in self.snapshot.log_rows().filter(|(.., attributes)| self.filters.admit(attributes)) {
            for (probe, answer) in self.probes.iter().zip(&self.answers) {
                let quick = f64::from(score::quick(probe, template));
                if quick + self.slack >= answer.floor.get() {
                    self.raise(&answer.floor, &answer.quick_lows, quick - self.slack);
                    self.offer(answer, score::canonical(probe, template), *id);
                }
            }
        }
    }

    fn work(&self) -> Result<(), Error> {
        let pile = || Piles { kept: vec![Vec::new(); self.snapshot.segments.len()], ..Piles::default() };
        let mut piles: Vec<Piles> = self.probes.iter().map(|_| pile()).collect();
        let mut survivors = vec![Survivors::for_groups(CALL_GROUPS); self.probes.len()];
        let outcome = self.pass(&mut piles, &mut survivors).and_then(|()| {
            let mut each = piles.iter_mut().enumerate();
            each.try_for_each(|(p, piles)| self.finish(p, piles))
        });
        if outcome.is_err() {
            self.failed.store(true, Relaxed);
        }
        outcome
    }

    /// Passes over coarse codes until there are none left.
    fn pass(&self, piles: &mut [Piles], survivors: &mut [Survivors]) -> Result<(), Error> {
        loop {
            let Some(span) = self.spans.get(self.next.fetch_add(1, Relaxed)) else { return Ok(()) };
            if self.failed.load(Relaxed) {
                return Ok(()); // somebody else has the error
            }
            let live = &self.snapshot.segments[span.segment];
            let coded = self.coded(span.segment);
            for from in span.groups.clone().step_by(CALL_GROUPS) {
                let to = span.groups.end.min(from + CALL_GROUPS);
                let stretch = live.segment.stretch(from..to, self.depth)?;
                let mut floors = [0.0; MOST_PROBES];
                for ((floor, probe), answer) in floors.iter_mut().zip(&coded.probes).zip(&self.answers) {
                    *floor = probe.kernel_floor(answer.cut());
                }
                kernel::scan(self.settings.kernel, stretch, &coded.packed, &floors[..self.probes.len()], survivors);
                for (p, (survivors, piles)) in survivors.iter().zip(piles.iter_mut()).enumerate() {
                    self.keep(p, span, survivors, piles)?;
                }
                // Their codes were asked for meanwhile.
                for (p, piles) in piles.iter_mut().enumerate() {
                    self.look_now(p, span.segment, piles)?;
                    if piles.count.max(piles.close.len()).max(piles.last.len()) >= PILE {
                        self.finish(p, piles)?;
                    }
                }
            }
            if !span.ask {
                self.hope(self.seen.fetch_add(span.groups.len(), Relaxed) + span.groups.len());
            }
        }
    }

    /// Hopes, now and then, that the floor will reach the score of a certain rank among the `seen`
    /// groups: of the `wanted` best of all, as many or more are among these in one search of
    /// [`SEARCHES_A_DISAPPOINTMENT`] (Poisson).
    fn hope(&self, seen: usize) {
        let due = self.due.load(Relaxed);
        if seen < due || self.due.compare_exchange(due, (seen + seen / 2).max(due), Relaxed, Relaxed).is_err() {
            return;
        }
        let expected = self.wanted as f64 * seen as f64 / self.plain as f64;
        let (mut rank, mut term) = (1, (-expected).exp());
        let mut fewer = term;
        while rank < self.wanted && (1.0 - fewer) * SEARCHES_A_DISAPPOINTMENT > 1.0 {
            term *= expected / rank as f64;
            fewer += term;
            rank += 1;
        }
        for answer in self.answers.iter().filter(|_| rank < self.wanted) {
            let lows = answer.fine_lows.lock().unwrap_or_else(PoisonError::into_inner);
            let mut lows: Vec<u64> = lows.iter().map(|Reverse(low)| *low).collect();
            if lows.len() >= rank {
                answer.hope.raise(*lows.select_nth_unstable_by(rank - 1, |a, b| b.cmp(a)).1);
            }
        }
    }

    /// Puts aside what a kernel left; at the top of it, to be looked at at once, those that may well
    /// raise the floor.
    fn keep(&self, p: usize, span: &Span, survivors: &Survivors, piles: &mut Piles) -> Result<(), Error> {
        let live = &self.snapshot.segments[span.segment];
        let probe = &self.coded(span.segment).probes[p];
        let answer = &self.answers[p];
        let mut low = probe.kernel_floor(answer.cut());
        let anything_goes = low == f32::NEG_INFINITY;
        for one in survivors.iter() {
            // The last group is filled up with places that no score keeps, if it is as it was written.
            if one.row as usize >= live.segment.rows() {
                return Err(live.segment.no_such_row());
            }
            if one.upper < low || live.is_erased(one.row as usize) {
                continue;
            }
            if span.ask && !self.filters.admit(&live.segment.attributes(one.row as usize)?) {
                continue;
            }
            if !anything_goes && probe.promises(&one, low) {
                live.segment.prefetch_fine(one.row);
                piles.now.push(one);
                if piles.now.len() >= TOGETHER {
                    self.look_now(p, span.segment, piles)?;
                    low = probe.kernel_floor(answer.cut());
                }
            } else {
                piles.kept[span.segment].push(one);
                piles.count += 1;
            }
        }
        if anything_goes { self.look_at_the_best(p, span.segment, piles) } else { Ok(()) }
    }

    /// Looks at the best prospects of what was kept while there was no floor, so that there is one.
    fn look_at_the_best(&self, p: usize, segment: usize, piles: &mut Piles) -> Result<(), Error> {
        let kept = &mut piles.kept[segment];
        let others = kept.len().saturating_sub(2 * self.wanted);
        if others > 0 {
            kept.select_nth_unstable_by(others, |a, b| a.upper.total_cmp(&b.upper));
        }
        piles.count -= kept.len() - others;
        piles.now.extend(kept.drain(others..));
        self.look_now(p, segment, piles)
    }

    /// Takes what was put aside for a probe through the remaining steps.
    fn finish(&self, p: usize, piles: &mut Piles) -> Result<(), Error> {
        let answer = &self.answers[p];
        // First those that raised the floor: their templates raise it to where it stays.
        self.quick(p, piles)?;
        for segment in 0..piles.kept.len() {
            let mut pile = std::mem::take(&mut piles.kept[segment]);
            if pile.is_empty() {
                continue; // nor has the probe been coded for a segment that filters leave out
            }
            let low = self.coded(segment).probes[p].kernel_floor(answer.cut());
            pile.retain(|one| one.upper >= low);
            self.look(p, segment, &pile, piles)?;
        }
        piles.count = 0;
        self.quick(p, piles)?;
        piles.last.retain(|last| last.high >= answer.cut());
        let last = std::mem::take(&mut piles.last);
        last.chunks(score::SIDE_BY_SIDE).try_for_each(|some| self.score(p, some))
    }

    fn look_now(&self, p: usize, segment: usize, piles: &mut Piles) -> Result<(), Error> {
        if piles.now.is_empty() {
            return Ok(());
        }
        let mut now = std::mem::take(&mut piles.now);
        self.look(p, segment, &now, piles)?;
        now.clear();
        piles.now = now;
        Ok(())
    }

    /// Looks at the fine codes of some references of one segment, and puts aside those that may be in
    /// the list. Each reference comes here at most once.
    fn look(&self, p: usize, segment: usize, some: &[Survivor], piles: &mut Piles) -> Result<(), Error> {
        let answer = &self.answers[p];
        let live = &self.snapshot.segments[segment];
        let probe = &self.coded(segment).probes[p];
        piles.rows.clear();
        piles.rows.extend(some.iter().map(|one| one.row));
        let fine = live.segment.fine(&piles.rows)?;
        kernel::fine_sums(self.settings.kernel, fine, &piles.rows, probe, self.depth, &mut piles.sums);
        for (one, sum) in some.iter().zip(&piles.sums) {
            let interval = probe.fine(self.depth, one.sum, *sum, one.packed, one.along);
            if interval.high < answer.cut() {
                continue;
            }
            self.raise(&answer.floor, &answer.fine_lows, interval.low);
            piles.close.push(Close { segment, row: one.row as usize, high: interval.high });
        }
        Ok(())
    }

    /// Scores quickly what the fine codes could not let go, best prospects first, so that the floor
    /// rises early.
    fn quick(&self, p: usize, piles: &mut Piles) -> Result<(), Error> {
        let answer = &self.answers[p];
        let template = |close: &Close| self.snapshot.segments[close.segment].segment.template(close.row);
        let mut close = std::mem::take(&mut piles.close);
        close.retain(|close| close.high >= answer.cut());
        close.sort_unstable_by(|a, b| b.high.total_cmp(&a.high));
        for (at, one) in close.iter().enumerate() {
            if one.high < answer.cut() {
                break; // as are all that follow
            }
            if let Some(soon) = close.get(at + TEMPLATES_AHEAD) {
                kernel::prefetch(template(soon)?);
            }
            let quick = f64::from(score::quick(self.probes[p], template(one)?));
            let high = quick + self.slack;
            if high >= answer.cut() {
                self.raise(&answer.floor, &answer.quick_lows, quick - self.slack);
                piles.last.push(Close { high, ..*one });
            }
        }
        close.clear();
        piles.close = close;
        Ok(())
    }

    /// Scores some references canonically, [`score::SIDE_BY_SIDE`] at most.
    fn score(&self, p: usize, some: &[Close]) -> Result<(), Error> {
        let segment = |one: &Close| &self.snapshot.segments[one.segment].segment;
        let mut templates = [&[][..]; score::SIDE_BY_SIDE];
        for (template, one) in templates.iter_mut().zip(some) {
            *template = segment(one).template(one.row)?;
        }
        let scores = score::canonical_each(self.probes[p], &templates[..some.len()]);
        some.iter().zip(scores).try_for_each(|(one, score)| {
            self.offer(&self.answers[p], score, segment(one).id(one.row)?);
            Ok(())
        })
    }

    /// Takes a lower end into account.
    fn raise(&self, floor: &RisingFloor, lows: &Lows, low: f64) {
        if low <= floor.get() {
            return;
        }
        let mut lows = lows.lock().unwrap_or_else(PoisonError::into_inner);
        lows.push(Reverse(key(low)));
        if lows.len() > self.wanted {
            lows.pop();
        }
        if lows.len() == self.wanted
            && let Some(Reverse(worst)) = lows.peek()
        {
            floor.raise(*worst);
        }
    }

    /// Takes a canonical score into the list if it reaches the threshold.
    fn offer(&self, answer: &Answer, score: f64, id: ReferenceId) {
        if score < self.threshold {
            return;
        }
        let mut best = answer.best.lock().unwrap_or_else(PoisonError::into_inner);
        best.push(Reverse(Ranked { score, id }));
        if best.len() > self.wanted {
            best.pop();
        }
    }

    fn coded(&self, segment: usize) -> &Coded {
        self.coded[segment].get_or_init(|| {
            let frame = self.snapshot.segments[segment].segment.frame();
            let probes: Vec<CodedProbe> = self.probes.iter().map(|p| CodedProbe::new(p, frame, self.rotation, self.depth)).collect();
            let packed = Packed::new(&probes, self.depth);
            Coded { probes, packed }
        })
    }
}

/// The stretches that the filters leave.
fn spans(snapshot: &Snapshot, filters: &Filters) -> Result<Vec<Span>, Error> {
    let mut spans: Vec<Span> = Vec::new();
    for (at, live) in snapshot.segments.iter().enumerate() {
        let groups = live.segment.groups();
        let zones = if filters.is_all() { None } else { Some(live.segment.zones()?) };
        for (zone, from) in (0..groups).step_by(CALL_GROUPS).enumerate() {
            // A zone that were missing would have to be asked row by row.
            let admits = zones.map_or(Admits::All, |z| z.get(zone).map_or(Admits::Some, |z| z.admits(filters)));
            if admits == Admits::None {
                continue;
            }
            let ask = admits == Admits::Some;
            let to = groups.min(from + CALL_GROUPS);
            match spans.last_mut() {
                Some(last)
                    if last.segment == at && last.ask == ask && last.groups.end == from && last.groups.len() < SPAN_ZONES * CALL_GROUPS =>
                {
                    last.groups.end = to;
                }
                _ => spans.push(Span { segment: at, groups: from..to, ask }),
            }
        }
    }
    let (ask, plain): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(|span| span.ask);
    Ok(scattered(plain).chain(ask).collect())
}

/// Each once, in an order of which every beginning is spread over all of them (van der Corput).
fn scattered<T>(items: Vec<T>) -> impl Iterator<Item = T> {
    let mut items: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    items.sort_unstable_by_key(|(n, _)| n.reverse_bits());
    items.into_iter().map(|(_, item)| item)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

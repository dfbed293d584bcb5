//! The report for people: plain words, tables, and graphs as SVG, in one HTML file that loads and runs nothing.

use face::{
    accuracy::{Bin, CONFIDENCE, Evaluation, Group, LIST_PLACES, Point, Rates, Ratio, statistics::rule_of_three},
    quality::discard::Kept,
};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;
use std::fmt::Write as _;

/// Worst errors of each kind that are named if that was asked for.
pub const WORST: usize = 20;
/// Bars of the histogram.
const BINS: usize = 20;
/// Rates at which the trade-off's table has a line, where the sample supports them.
const TABLE: [f64; 10] = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.003, 0.002, 0.001];
/// The edges of a plot within its view box of 640 × 400, where `report.html` draws the axes.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 624.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 344.0;

/// One search that went wrong, with file names.
#[derive(Serialize)]
pub struct Worst {
    /// Whether the person searched for is enrolled.
    pub mated: bool,
    image: String,
    reference: String,
    score: String,
}

impl Worst {
    /// A mate that scored low.
    pub fn mated(image: String, reference: String, score: f64) -> Self {
        Self { mated: true, image, reference, score: decimals(score) }
    }

    /// A stranger who scored high.
    pub fn nonmated(image: String, reference: String, score: f64) -> Self {
        Self { mated: false, image, reference, score: decimals(score) }
    }
}

/// What the page shows; every number is text by now.
#[derive(Serialize)]
struct View<'a> {
    e: &'a Evaluation,
    confidence: String,
    list_places: u32,
    fillers: String,
    real: u64,
    least: String,
    rows: Vec<Row>,
    trade_off: TradeOff,
    histogram: Histogram,
    discard: Option<Discard>,
    blocked: Option<String>,
    verification: Option<[String; 2]>,
    rank1: String,
    rank10: String,
    groups: Vec<GroupRow>,
    groups_threshold: String,
    significant: Vec<String>,
    worst: &'a [Worst],
}

#[derive(Serialize)]
struct Row {
    name: String,
    threshold: String,
    fpir: String,
    fnir: String,
    acquired: Option<String>,
    not_measurable: Option<String>,
}

#[derive(Serialize)]
struct Tick {
    at: String,
    label: String,
}

#[derive(Serialize)]
struct TradeOff {
    line: String,
    x: Vec<Tick>,
    y: Vec<Tick>,
    /// Left of here the sample says nothing.
    unsupported: String,
    rows: Vec<[String; 3]>,
    summary: String,
}

/// What leaving out the worst probes does.
#[derive(Serialize)]
struct Discard {
    line: String,
    x: Vec<Tick>,
    y: Vec<Tick>,
    rows: Vec<[String; 3]>,
    summary: String,
}

#[derive(Serialize)]
struct Histogram {
    mates: Vec<Bar>,
    others: Vec<Bar>,
    x: Vec<Tick>,
    y: Vec<Tick>,
    rows: Vec<[String; 4]>,
}

#[derive(Serialize)]
struct Bar {
    x: String,
    y: String,
    width: String,
    height: String,
}

#[derive(Serialize)]
struct GroupRow {
    column: String,
    group: String,
    people: u64,
    fpir: String,
    fpir_ratio: String,
    fnir: String,
    fnir_ratio: String,
}

/// The report.
///
/// # Errors
/// When the page does not render, which is a fault of this program.
pub fn html(evaluation: &Evaluation, worst: &[Worst]) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.render_str(include_str!("report.html"), Serde(view(evaluation, worst)))
}

/// The same in a few lines, for a terminal.
pub fn words(e: &Evaluation) -> String {
    let mut out = String::new();
    let mut say = |line: String| {
        let _ = writeln!(out, "{line}"); // writing to a string does not fail
    };
    if e.demonstration {
        say("A demonstration: no statement about real searches may rest on it.".into());
    }
    say(format!("{} with {}: {} images of {} people, {} without a template", e.model, e.engine, e.images, e.people, e.refused));
    for r in &e.refusals {
        say(format!("  {}: {}", r.images, r.why));
    }
    say(format!("{} enrolled ({}), {} mated and {} non-mated searches", e.enrolled, synthetic(e), e.mated, e.nonmated));
    if e.image_specification.is_some() {
        say(blocked(e));
    }
    if let Some(v) = &e.verification {
        say(format!("one to one: {} ± {} of {} pairs right", percent(v.accuracy), percent(v.standard_error), v.pairs));
    }
    say(format!("mate first: {}, among the first ten: {}", percent(e.rank1), percent(e.rank10)));
    for p in &e.identification {
        let setting = p.threshold.map(|t| format!(" (threshold {})", decimals(t))).unwrap_or_default();
        say(format!("FPIR {}{setting}: {}", percent(p.fpir), p.says));
    }
    if let Some(discard) = discard(e) {
        say(discard.summary);
    }
    let r = &e.at_pack_threshold;
    say(format!("at the pack's threshold {}: FPIR {}, FNIR {}", decimals(r.threshold), rate(r).0, rate(r).1));
    for group in e.groups.iter().filter(|g| significant(g)) {
        say(sentence(group));
    }
    out
}

fn view<'a>(e: &'a Evaluation, worst: &'a [Worst]) -> View<'a> {
    let mut rows: Vec<Row> = e
        .identification
        .iter()
        .map(|p| Row {
            name: format!("FPIR {}", percent(p.fpir)),
            threshold: p.threshold.map(decimals).unwrap_or_default(),
            fpir: both(p.measured_fpir, p.fpir_interval),
            fnir: both(p.fnir, p.interval),
            acquired: p.fnir_acquired.map(percent),
            not_measurable: (!p.measurable).then(|| p.says.clone()),
        })
        .collect();
    for (name, r) in [("The pack's own threshold", &e.at_pack_threshold), ("No false alarm in this sample", &e.at_no_false_alarm)] {
        let (fpir, fnir) = rate(r);
        rows.push(Row { name: name.into(), threshold: decimals(r.threshold), fpir, fnir, acquired: None, not_measurable: None });
    }
    View {
        e,
        confidence: percent(CONFIDENCE),
        list_places: LIST_PLACES,
        fillers: synthetic(e),
        real: e.enrolled - e.fillers,
        least: percent(rule_of_three(e.nonmated)),
        rows,
        trade_off: trade_off(e),
        histogram: histogram(&e.histogram(BINS)),
        discard: discard(e),
        blocked: e.image_specification.as_ref().map(|_| blocked(e)),
        verification: e.verification.as_ref().map(|v| [percent(v.accuracy), percent(v.standard_error)]),
        rank1: percent(e.rank1),
        rank10: percent(e.rank10),
        groups: e.groups.iter().map(group_row).collect(),
        groups_threshold: decimals(e.groups_threshold),
        significant: e.groups.iter().filter(|g| significant(g)).map(sentence).collect(),
        worst,
    }
}

/// What an image specification kept from being searched for, and what that makes of the misses.
fn blocked(e: &Evaluation) -> String {
    let r = &e.at_pack_threshold;
    // Every probe that was not searched for is among the misses.
    let searched = e.mated.saturating_sub(e.mated_not_acquired);
    let among = match searched {
        0 => "none was left".into(),
        n => format!("{} of the {n} that were searched for", percent(r.misses.saturating_sub(e.mated_not_acquired) as f64 / n as f64)),
    };
    format!(
        "The image specification blocks {} of {} mated and {} of {} non-mated probes. At the pack's threshold {} of the mated are missed, those counted in; {among}.",
        e.mated_blocked,
        e.mated,
        e.nonmated_blocked,
        e.nonmated + e.nonmated_not_acquired,
        percent(r.fnir),
    )
}

fn synthetic(e: &Evaluation) -> String {
    match e.fillers {
        0 => "none of them synthetic".into(),
        n => format!("{n} of them synthetic: drawn from statistics, no picture behind them"),
    }
}

/// Points of the trade-off as a line, on logarithmic axes.
fn trade_off(e: &Evaluation) -> TradeOff {
    let least = rule_of_three(e.nonmated);
    // The axes begin at the decade below the smallest rates that can occur.
    let decade = |n: u64| 10_f64.powf((1.0 / n.max(10) as f64).log10().floor());
    let (x_low, y_low) = (decade(e.nonmated), decade(e.mated));
    let x = |fpir: f64| LEFT + (RIGHT - LEFT) * (1.0 - fpir.max(x_low).log10() / x_low.log10());
    let y = |fnir: f64| TOP + (BOTTOM - TOP) * (fnir.max(y_low).log10() / y_low.log10());
    let mut line = String::new();
    let mut last: Option<(i64, i64)> = None;
    for Point { fpir, fnir, .. } in e.trade_off().into_iter().filter(|p| p.fpir > 0.0) {
        // Half a unit apart is all that can be seen.
        let place = (x(fpir), y(fnir));
        let coarse = ((place.0 * 2.0) as i64, (place.1 * 2.0) as i64);
        if last != Some(coarse) {
            let _ = write!(line, "{:.1},{:.1} ", place.0, place.1); // writing to a string does not fail
            last = Some(coarse);
        }
    }
    let decades = |low: f64| (0..=(-low.log10()).round() as i32).map(|n| 10_f64.powi(-n));
    let tick = |at: f64, share: f64| Tick { at: format!("{at:.1}"), label: short_percent(share) };
    let supported = TABLE.iter().filter(|f| e.supports(**f));
    let rows: Vec<[String; 3]> = supported
        .map(|f| {
            let r = e.rates_at(e.threshold_at(*f));
            [percent(*f), decimals(r.threshold), rate(&r).1]
        })
        .collect();
    let summary = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => {
            format!(
                "As fewer people are pointed at by mistake, more are missed: {} missed at FPIR {}, {} at {}.",
                first[2], first[0], last[2], last[0]
            )
        }
        _ => "The sample is too small to support any point of this line.".into(),
    };
    TradeOff {
        line,
        x: decades(x_low).map(|f| tick(x(f), f)).collect(),
        y: decades(y_low).map(|f| tick(y(f), f)).collect(),
        unsupported: format!("{:.1}", (x(least) - LEFT).max(0.0)),
        rows,
        summary,
    }
}

/// The shares of the probes that are left out.
const DISCARDED: [f64; 11] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5];

/// Where the vertical axis may end, so that its quarters are round.
const TOPS: [f64; 7] = [0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8];

/// None where no probe's quality was measured.
fn discard(e: &Evaluation) -> Option<Discard> {
    let curve = e.error_versus_discard(e.groups_threshold, &DISCARDED);
    let points: Vec<(&Kept, f64)> = curve.iter().filter_map(|k| k.rate.map(|rate| (k, rate))).collect();
    let highest = points.iter().fold(0.0_f64, |most, (_, rate)| most.max(*rate));
    let most = TOPS.into_iter().find(|top| *top >= highest).unwrap_or(1.0);
    let x = |share: f64| LEFT + (RIGHT - LEFT) * share / DISCARDED[DISCARDED.len() - 1];
    let y = |rate: f64| BOTTOM - (BOTTOM - TOP) * rate / most;
    let mut line = String::new();
    for (k, rate) in &points {
        let _ = write!(line, "{:.1},{:.1} ", x(k.discarded), y(*rate)); // writing to a string does not fail
    }
    let rows: Vec<[String; 3]> =
        points.iter().map(|(k, rate)| [percent(k.discarded), format!("{:.0}", k.compared), percent(*rate)]).collect();
    let [first, .., last] = &rows[..] else { return None };
    let summary =
        format!("Of all probes with a face {} are missed; with the worst {} by unified quality left out, {}.", first[2], last[0], last[2]);
    let step = |n: u32| Tick { at: format!("{:.1}", y(most * f64::from(n) / 4.0)), label: percent(most * f64::from(n) / 4.0) };
    let share = |s: &f64| Tick { at: format!("{:.1}", x(*s)), label: percent(*s) };
    Some(Discard { line, x: DISCARDED.iter().step_by(2).map(share).collect(), y: (0..=4).map(step).collect(), rows, summary })
}

fn histogram(bins: &[Bin]) -> Histogram {
    let total = |of: fn(&Bin) -> u64| bins.iter().map(of).sum::<u64>().max(1) as f64;
    let (mates, others) = (total(|b| b.mates), total(|b| b.others));
    let shares: Vec<(f64, f64)> = bins.iter().map(|b| (b.mates as f64 / mates, b.others as f64 / others)).collect();
    let most = shares.iter().fold(0.01, |most: f64, (m, o)| most.max(*m).max(*o));
    let each = (RIGHT - LEFT) / bins.len().max(1) as f64;
    let height = |share: f64| (BOTTOM - TOP) * share / most;
    let bar = |n: usize, part: f64, share: f64| Bar {
        x: format!("{:.1}", LEFT + each * (n as f64 + part)),
        y: format!("{:.1}", BOTTOM - height(share)),
        width: format!("{:.1}", each * 0.45),
        height: format!("{:.1}", height(share)),
    };
    let tick = |n: usize| bins.get(n).map(|b| Tick { at: format!("{:.1}", LEFT + each * n as f64), label: format!("{:.2}", b.from) });
    let step = |n: u32| {
        let share = most * f64::from(n) / 4.0;
        Tick { at: format!("{:.1}", BOTTOM - height(share)), label: format!("{:.0} %", share * 100.0) }
    };
    Histogram {
        mates: shares.iter().enumerate().map(|(n, s)| bar(n, 0.03, s.0)).collect(),
        others: shares.iter().enumerate().map(|(n, s)| bar(n, 0.5, s.1)).collect(),
        x: (0..bins.len()).step_by(5).filter_map(tick).collect(),
        y: (0..=4).map(step).collect(),
        rows: bins.iter().map(|b| [decimals(b.from), decimals(b.to), b.others.to_string(), b.mates.to_string()]).collect(),
    }
}

fn group_row(g: &Group) -> GroupRow {
    let (fpir, fnir) = rate(&g.rates);
    let of = |known: bool, text: String| if known { text } else { "no searches".into() };
    GroupRow {
        column: g.column.clone(),
        group: g.group.clone(),
        people: g.people,
        fpir: of(g.rates.nonmated > 0, format!("{fpir}, {} of {}", g.rates.false_positives, g.rates.nonmated)),
        fpir_ratio: ratio(g.fpir_ratio.as_ref()),
        fnir: of(g.rates.mated > 0, format!("{fnir}, {} of {}", g.rates.misses, g.rates.mated)),
        fnir_ratio: ratio(g.fnir_ratio.as_ref()),
    }
}

fn ratio(ratio: Option<&Ratio>) -> String {
    let Some(r) = ratio else { return "nothing to compare".into() };
    let times = r.ratio.map_or("the rest had no error".into(), |x| format!("{x:.2} times the rest's"));
    let chance = if r.is_significant() { "more than chance" } else { "may be chance" };
    let p = if r.p_corrected < 0.001 { "p below 0.001".into() } else { format!("p = {:.3}", r.p_corrected) };
    format!("{times}; {chance} ({p})")
}

fn significant(g: &Group) -> bool {
    [&g.fpir_ratio, &g.fnir_ratio].into_iter().flatten().any(Ratio::is_significant)
}

fn sentence(g: &Group) -> String {
    let mut parts = vec![];
    for (ratio, what) in [(&g.fpir_ratio, "pointed at by mistake"), (&g.fnir_ratio, "missed")] {
        if let Some(r) = ratio.as_ref().filter(|r| r.is_significant()) {
            let times =
                r.ratio.map_or("more often than the rest, of whom none were".into(), |x| format!("{x:.2} times as often as the rest"));
            parts.push(format!("{what} {times}"));
        }
    }
    format!("{} {}: {}; the difference is more than chance.", g.column, g.group, parts.join(", and "))
}

/// FPIR and FNIR with their intervals.
fn rate(r: &Rates) -> (String, String) {
    let of = |count: u64, share, interval| if count == 0 { String::new() } else { both(Some(share), Some(interval)) };
    (of(r.nonmated, r.fpir, r.fpir_interval), of(r.mated, r.fnir, r.fnir_interval))
}

fn both(share: Option<f64>, interval: Option<[f64; 2]>) -> String {
    match (share, interval) {
        (Some(share), Some([low, high])) => format!("{} ({} to {})", percent(share), bare(low), percent(high)),
        _ => String::new(),
    }
}

/// Percent with two decimals, or as many as show the first digit.
fn percent(share: f64) -> String {
    format!("{} %", bare(share))
}

fn bare(share: f64) -> String {
    let value = share * 100.0;
    let text = if value > 0.0 && value < 0.01 { format!("{value:.4}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn short_percent(share: f64) -> String {
    format!("{} %", share * 100.0)
}

fn decimals(score: f64) -> String {
    format!("{score:.4}")
}

//! A decade of retention, simulated: requests that close at random moments, rules that change, legal holds that come
//! and go, a worker that is now and then away for hours or whose clock is set back. What went, and when, is compared
//! with a second reckoning that walks day by day. Nothing goes early, nothing goes more than 24 hours late.

use casework::{
    calendar::{self, Period},
    command::Command,
    policy::RetentionRule,
    record::{GalleryId, RetentionClass},
    request::State,
    retain,
    testing::*,
};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date};

/// Numbers that look random and are the same each time (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

const CLASSES: [RetentionClass; 3] = [RetentionClass::Images, RetentionClass::Disclosure, RetentionClass::Record];

fn rule(from: &str, images: u16, disclosure: u16, record: u8) -> RetentionRule {
    RetentionRule {
        from: from.parse().unwrap(),
        images_days_after_closing: images,
        disclosure_days_after_closing: disclosure,
        record_years_after_closing: record,
        trial_years_after_closing: 1,
    }
}

/// The second reckoning: on each day from closing the strictest rule that has applied so far is asked whether it is over.
fn goes_by_walking(closed: Date, class: RetentionClass, rules: &[RetentionRule]) -> Date {
    let in_force = |on: Date| rules.iter().filter(|r| r.from <= on).max_by_key(|r| r.from).copied().unwrap_or(rules[0]);
    let mut met = vec![in_force(closed)];
    let mut day = closed;
    loop {
        let now = in_force(day);
        if !met.contains(&now) {
            met.push(now);
        }
        let over = met.iter().any(|r| match r.period(class, false).unwrap() {
            Period::Days(n) => day.since(closed).unwrap().get_days() >= i32::from(n),
            Period::Years(n) => {
                let years = day.year() - closed.year();
                // 29 February comes round as the 28th in a year without one.
                let birthday = (closed.month(), if day.in_leap_year() { closed.day() } else { closed.day().min(day_limit(closed)) });
                years > i16::from(n) || (years == i16::from(n) && (day.month(), day.day()) >= birthday)
            }
            Period::WorkingDays(_) => unreachable!("no retention is counted in working days"),
        });
        if over {
            return day;
        }
        day = day.tomorrow().unwrap();
    }
}

fn day_limit(closed: Date) -> i8 {
    if closed.month() == 2 { 28 } else { 31 }
}

struct Life {
    case: Case,
    closes: Timestamp,
    /// When holds begin and end.
    holds: Vec<(Timestamp, Timestamp)>,
    went: Vec<(RetentionClass, Timestamp)>,
}

#[test]
fn d3_in_a_decade_nothing_goes_early_and_nothing_late() {
    let mut chance = Chance(0x5EED_0000_0019);
    let mut w = World::new();
    w.policy.retention = vec![
        rule("2025-09-15", 30, 30, 6),
        rule("2028-03-01", 45, 90, 6),
        rule("2030-06-30", 14, 20, 5),
        rule("2033-01-01", 60, 30, 2),
        rule("2034-02-28", 30, 30, 6),
    ];
    let d = desk(GalleryId::Passport);
    let start = w.now;
    let end = start.checked_add(SignedDuration::from_hours(24 * 3_653)).unwrap();
    let hours = |n: u64| SignedDuration::from_hours(i64::try_from(n).unwrap());
    let minutes = |n: u64| SignedDuration::from_mins(i64::try_from(n).unwrap());
    let mut lives: Vec<Life> = (0..90)
        .map(|n| {
            w.now = start;
            let case = match n % 3 {
                0 => w.answered(GalleryId::Passport),
                1 => w.at(State::Withdrawn),
                _ => w.at(State::Rejected),
            };
            // Some on leap days, and some in the hour around midnight in London.
            let closes = match n % 10 {
                0 => "2028-02-29T12:00:00Z".parse().unwrap(),
                1 => "2032-02-29T23:59:00Z".parse().unwrap(),
                2 => "2029-07-01T22:30:00Z".parse::<Timestamp>().unwrap() + minutes(chance.below(60)),
                _ => start + hours(24) + minutes(chance.below(9 * 365 * 24 * 60)),
            };
            let mut holds = vec![];
            if n % 4 == 1 {
                let mut from = closes + hours(chance.below(24 * 400));
                for _ in 0..=chance.below(2) {
                    let until = from + hours(1 + chance.below(24 * 700));
                    holds.push((from, until));
                    from = until + hours(1 + chance.below(24 * 200));
                }
            }
            Life { case, closes, holds, went: vec![] }
        })
        .collect();

    // A worker looks every few hours; twice a year it is away for up to 20 hours; each spring its clock is set back.
    let mut at = start + hours(24);
    let (mut looks, mut set_back_looks) = (0_u64, 0_u64);
    while at < end {
        let set_back = chance.below(150) == 0;
        let told = if set_back { at - hours(24 * (1 + chance.below(400))) } else { at };
        set_back_looks += u64::from(set_back);
        looks += 1;
        for life in &mut lives {
            // People's steps come at their own moments, whenever the worker looks.
            if life.case.state != State::Closed && life.closes <= at && life.case.closed_at.is_none() {
                w.now = life.closes;
                w.done(d.leader, &mut life.case, Command::Close);
            }
            if life.case.closed_at.is_none() {
                continue;
            }
            if let Some((from, until)) = life.holds.first().copied() {
                let owner = d.siao;
                if from <= at && life.case.hold.is_none() && life.case.state == State::Closed {
                    w.now = from.max(life.closes);
                    let review = w.today().checked_add(30.days()).unwrap();
                    w.done(owner, &mut life.case, Command::PlaceHold { owner, reason: "A court asks for it.".into(), review });
                }
                if until <= at && life.case.hold.is_some() {
                    w.now = until;
                    w.done(d.leader, &mut life.case, Command::LiftHold { reason: "The court is done.".into() });
                    life.holds.remove(0);
                }
            }
            w.now = told;
            for due in retain::due(&life.case, &w.policy, w.today()) {
                if due.class == RetentionClass::Candidates {
                    continue;
                }
                w.done(None, &mut life.case, Command::Erase { class: due.class });
                life.went.push((due.class, at));
                w.now = told;
            }
        }
        at += if chance.below(180) == 0 { hours(20) } else { minutes(30 + chance.below(180)) };
    }

    let (mut early, mut late, mut gone, mut kept) = (0, 0, 0, 0);
    for life in &lives {
        let Some(closed) = life.case.closed_at.map(calendar::london_date) else { continue };
        for class in CLASSES {
            if class == RetentionClass::Disclosure && !life.case.answered {
                continue;
            }
            let due = goes_by_walking(closed, class, &w.policy.retention);
            let mut from = calendar::start_of(due);
            // A hold in force on that day keeps it until it ends, or until the next one does.
            let records = life.case.records.iter();
            let mut placed = None;
            for r in records {
                match r.header.kind.as_str() {
                    "hold-placed" => placed = Some(r.header.at),
                    "hold-lifted" if placed.is_some_and(|p| p <= from + hours(24)) && r.header.at > from => from = r.header.at,
                    _ => {}
                }
            }
            match life.went.iter().find(|(c, _)| *c == class) {
                Some((_, at)) => {
                    gone += 1;
                    early += u32::from(*at < calendar::start_of(due));
                    late += u32::from(at.duration_since(from) > hours(24));
                }
                None => {
                    kept += 1;
                    let still = life.case.hold.is_some() || from + hours(24) > end;
                    // With its record, everything else is gone too.
                    late += u32::from(!still && !life.case.erased.contains(&RetentionClass::Record));
                }
            }
        }
    }
    println!("{looks} looks, {set_back_looks} with the clock set back; {gone} classes went, {kept} are kept; {early} early, {late} late");
    assert!(gone > 150 && set_back_looks > 50, "{gone} went, {set_back_looks} looks with a clock set back");
    assert_eq!((early, late), (0, 0));
}

#[test]
fn d3_a_rule_that_changes_lengthens_nothing_and_shortens_for_everybody() {
    let mut w = World::new(); // it is 23 November 2026
    let mut case = w.answered(GalleryId::Passport);
    let closer = case.assignee;
    w.done(closer, &mut case, Command::Close);
    let on = |w: &World, case: &Case, class| retain::schedule(case, &w.policy).into_iter().find(|(c, _)| *c == class).unwrap().1;
    let (images, record) = (RetentionClass::Images, RetentionClass::Record);
    let day = |text: &str| -> Date { text.parse().unwrap() };
    assert_eq!((on(&w, &case, images), on(&w, &case, record)), (day("2026-12-23"), day("2032-11-23")));
    // Longer from tomorrow: what closed today keeps what it was promised; what closes then has the new time.
    w.policy.retention.push(rule("2026-11-24", 90, 90, 6));
    assert_eq!(on(&w, &case, images), day("2026-12-23"));
    w.pass_days(1);
    let mut later = w.answered(GalleryId::Passport);
    let closer = later.assignee;
    w.done(closer, &mut later, Command::Close);
    assert_eq!(on(&w, &later, images), day("2027-02-22"));
    // Shorter from a day on: for both, and not before that day.
    w.policy.retention.push(rule("2026-12-20", 10, 10, 2));
    assert_eq!((on(&w, &case, images), on(&w, &later, images)), (day("2026-12-20"), day("2026-12-20")));
    assert_eq!((on(&w, &case, record), on(&w, &later, record)), (day("2028-11-23"), day("2028-11-24")));
    // Which rule it was is told.
    w.pass_days(40);
    let due = retain::due(&case, &w.policy, w.today());
    assert!(due.iter().any(|d| d.class == images && d.rule == Some(day("2026-12-20")) && d.since == day("2026-12-20")), "{due:?}");
}

#[test]
fn d3_closed_on_a_clock_set_back_it_goes_no_earlier() {
    let mut w = World::new();
    let mut case = w.answered(GalleryId::Passport);
    let answered = w.now;
    w.pass_days(-400);
    w.done(desk(GalleryId::Passport).leader, &mut case, Command::Close);
    assert_eq!(case.closed_at, Some(answered), "closed after what happened before, whatever the clock says");
    assert_eq!(case.refolded().closed_at, case.closed_at);
    w.pass_days(400 + 29);
    assert!(retain::due(&case, &w.policy, w.today()).iter().all(|d| d.class == RetentionClass::Candidates));
}

#[test]
fn d3_leap_days_and_london_midnights() {
    let mut w = World::new();
    let closed_at = |w: &mut World, at: &str| {
        w.now = "2026-11-23T09:00:00Z".parse().unwrap();
        let mut case = w.answered(GalleryId::Passport);
        w.now = at.parse::<Timestamp>().unwrap() - SignedDuration::from_secs(1);
        w.done(desk(GalleryId::Passport).leader, &mut case, Command::Close);
        retain::schedule(&case, &w.policy).iter().map(|(_, on)| on.to_string()).collect::<Vec<_>>()
    };
    // Images, answer, record.
    assert_eq!(closed_at(&mut w, "2028-02-29T12:00:00Z"), ["2028-03-30", "2028-03-30", "2034-02-28"]);
    assert_eq!(closed_at(&mut w, "2028-01-30T12:00:00Z"), ["2028-02-29", "2028-02-29", "2034-01-30"]);
    // Half past eleven at night in UTC is the next day in a London summer, and not in winter.
    assert_eq!(closed_at(&mut w, "2027-06-30T23:30:00Z")[0], "2027-07-31");
    assert_eq!(closed_at(&mut w, "2027-12-01T23:30:00Z")[0], "2027-12-31");
}

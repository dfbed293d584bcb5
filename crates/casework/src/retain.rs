//! retain: what is due to be erased, and why (D3).

use crate::{
    calendar::{self, Period},
    clause::Clause,
    policy::{Policy, RetentionRule},
    record::RetentionClass,
    request::{ProbeState, Request, State},
};
use jiff::{Timestamp, ToSpan as _, civil::Date};

/// Something that is due to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub class: RetentionClass,
    /// Since which London date.
    pub since: Date,
    /// The rule that says so, by the London date from which it applies; none for what goes at once.
    pub rule: Option<Date>,
    /// Why, in plain words.
    pub why: &'static str,
    /// The clause.
    pub clause: Clause,
}

/// What of a request is due on a London date and not yet gone. Nothing while a legal hold keeps it.
#[must_use]
pub fn due(request: &Request, policy: &Policy, today: Date) -> Vec<Due> {
    let mut out = vec![];
    if request.hold.is_some() {
        return out;
    }
    if candidates_go(request) && !request.erased.contains(&RetentionClass::Candidates) {
        let why = "Nobody confirmed these candidates, so they go at once.";
        out.push(Due { class: RetentionClass::Candidates, since: today, rule: None, why, clause: Clause::D3 });
    }
    // A review that waits could need the images again; nothing keeps the record past its time.
    let waiting = request.reviews.iter().any(|r| r.result.is_none());
    for (class, since, rule) in timetable(request, policy) {
        if since > today || request.erased.contains(&class) || (waiting && class != RetentionClass::Record) {
            continue;
        }
        let why = match class {
            RetentionClass::Disclosure => "The answer as released goes a set time after closing.",
            RetentionClass::Record if request.trial.is_some() => {
                "The record of a known-answer trial goes a set number of years after closing."
            }
            RetentionClass::Record => "The record goes a set number of years after closing.",
            _ => "Images go a set time after closing.",
        };
        out.push(Due { class, since, rule: Some(rule), why, clause: Clause::D3 });
    }
    out
}

/// Each class of a closed request with the London date on which it goes and the rule that says so.
///
/// Where the rules changed since it closed, the shortest of those that applied at its closing or later counts, but a
/// later rule never before it applies: nothing lives longer than was promised when it closed, and a shorter time is
/// for everybody (ADR 0019).
fn timetable(request: &Request, policy: &Policy) -> Vec<(RetentionClass, Date, Date)> {
    let Some(closed) = request.closed_at.map(calendar::london_date) else { return vec![] };
    let at_closing = *policy.retention_on(closed);
    let later = policy.retention.iter().filter(|r| r.from > closed).copied();
    let rules: Vec<RetentionRule> = std::iter::once(at_closing).chain(later).collect();
    // Nothing is there to erase of an answer that never was.
    let classes = [RetentionClass::Images, RetentionClass::Disclosure, RetentionClass::Record];
    let wanted = classes.into_iter().filter(|c| *c != RetentionClass::Disclosure || request.answered);
    let goes = |class| {
        let dates = rules.iter().filter_map(|r| {
            let over = calendar::after(closed, r.period(class, request.trial.is_some())?);
            Some((if r.from > closed { over.max(r.from) } else { over }, r.from))
        });
        dates.min().map(|(on, rule)| (class, on, rule))
    };
    wanted.filter_map(goes).collect()
}

/// Whether the candidates that nobody confirmed go: people concluded on every image, or it is over. A
/// declined image may come back after a review and be searched; so with one of those they wait until then.
pub(crate) fn candidates_go(request: &Request) -> bool {
    let searched = request.probes.iter().any(|p| p.facts.is_some());
    let concluded = request.probes.iter().all(|p| p.state == ProbeState::Concluded);
    let over = matches!(request.state, State::Withdrawn | State::Closed);
    searched && (concluded || over)
}

/// The London date from which a worker closes a request that has ended, or was abandoned before its
/// approval; none while somebody is at work on it. Without it nothing would ever begin to be forgotten.
#[must_use]
pub fn close_due(request: &Request, policy: &Policy) -> Option<Date> {
    let idle = matches!(request.state, State::AwaitingApproval | State::Returned | State::Rejected | State::Answered | State::Withdrawn);
    // Nothing more comes of a trial once people have concluded on it.
    if request.trial.is_some() && request.state == State::Responding {
        let since = calendar::london_date(request.changed_at?);
        return Some(calendar::after(since, Period::Days(policy.trial_close_after_days)));
    }
    let since = calendar::london_date(request.changed_at.filter(|_| idle)?);
    Some(calendar::after(since, Period::Days(policy.close_after_idle_days)))
}

/// What will be due after closing, and when; whatever a legal hold keeps.
#[must_use]
pub fn schedule(request: &Request, policy: &Policy) -> Vec<(RetentionClass, Date)> {
    timetable(request, policy).into_iter().map(|(class, on, _)| (class, on)).collect()
}

/// The London date on which an unsent draft goes unless it is saved again. Nothing of it is in the record.
#[must_use]
pub fn draft_goes(saved: Timestamp, policy: &Policy) -> Date {
    calendar::after(calendar::london_date(saved), Period::Days(policy.draft_days_after_saving))
}

/// The instant before which a draft was last saved if it goes today or went before.
#[must_use]
pub fn drafts_saved_before(today: Date, policy: &Policy) -> Timestamp {
    over_before(today, Period::Days(policy.draft_days_after_saving))
}

/// The instant before which something was noted outside any request (a look at the log, a reference looked up) if
/// it goes today or went before: as long as a record lives after its closing.
#[must_use]
pub fn notes_before(today: Date, policy: &Policy) -> Timestamp {
    over_before(today, Period::Years(policy.retention_on(today).record_years_after_closing))
}

/// The instant after the last London date from which the period is over today.
fn over_before(today: Date, period: Period) -> Timestamp {
    let back = match period {
        Period::Days(n) | Period::WorkingDays(n) => i64::from(n).days(),
        Period::Years(n) => i64::from(n).years(),
    };
    let mut next = today.checked_sub(back).unwrap_or(Date::MIN);
    // A period that began on 29 February ends on the 28th: then two days end on one.
    while calendar::after(next, period) <= today {
        let Ok(tomorrow) = next.tomorrow() else { return Timestamp::MAX };
        next = tomorrow;
    }
    calendar::start_of(next)
}

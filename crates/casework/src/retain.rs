//! retain: what is due to be erased, and why (D3).

use crate::{
    calendar::{self, Period},
    clause::Clause,
    policy::Policy,
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
    /// Why, in plain words.
    pub why: &'static str,
    /// The clause.
    pub clause: Clause,
}

/// What of a request is due on a London date and not yet gone.
#[must_use]
pub fn due(request: &Request, policy: &Policy, today: Date) -> Vec<Due> {
    let mut out = vec![];
    let mut add = |class, since: Date, why| {
        if since <= today && !request.erased.contains(&class) {
            out.push(Due { class, since, why, clause: Clause::D3 });
        }
    };
    if candidates_go(request) {
        add(RetentionClass::Candidates, today, "Nobody confirmed these candidates, so they go at once.");
    }
    // A review that waits could need the images again; nothing keeps the record past its six years.
    let waiting = request.reviews.iter().any(|r| r.result.is_none());
    if let Some(closed) = request.closed_at.map(calendar::london_date) {
        if !waiting {
            add(
                RetentionClass::Images,
                calendar::after(closed, Period::Days(policy.images_days_after_closing)),
                "Images go a set time after closing.",
            );
        }
        // Nothing is there to erase of a request that was never answered.
        if request.answered && !waiting {
            add(
                RetentionClass::Disclosure,
                calendar::after(closed, Period::Days(policy.disclosure_days_after_closing)),
                "The answer as released goes a set time after closing.",
            );
        }
        add(
            RetentionClass::Record,
            record_goes(request, closed, policy),
            "The record goes a set time after closing: six years, and a known-answer trial's sooner.",
        );
    }
    out
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

/// What will be due after closing, and when.
#[must_use]
pub fn schedule(request: &Request, policy: &Policy) -> Vec<(RetentionClass, Date)> {
    let Some(closed) = request.closed_at.map(calendar::london_date) else { return vec![] };
    let days = |n| calendar::after(closed, Period::Days(n));
    let mut out = vec![(RetentionClass::Images, days(policy.images_days_after_closing))];
    if request.answered {
        out.push((RetentionClass::Disclosure, days(policy.disclosure_days_after_closing)));
    }
    out.push((RetentionClass::Record, record_goes(request, closed, policy)));
    out
}

/// D3 keeps a record of requests; a trial is none, and tells of staff only, so it goes sooner.
fn record_goes(request: &Request, closed: Date, policy: &Policy) -> Date {
    let years = if request.trial.is_some() { policy.trial_years_after_closing } else { policy.record_years_after_closing };
    calendar::after(closed, Period::Years(years))
}

/// The London date on which an unsent draft goes unless it is saved again. Nothing of it is in the record.
#[must_use]
pub fn draft_goes(saved: Timestamp, policy: &Policy) -> Date {
    calendar::after(calendar::london_date(saved), Period::Days(policy.draft_days_after_saving))
}

/// The instant before which a draft was last saved if it goes today or went before.
#[must_use]
pub fn drafts_saved_before(today: Date, policy: &Policy) -> Timestamp {
    let last = today.checked_sub(i64::from(policy.draft_days_after_saving).days()).and_then(Date::tomorrow);
    last.map_or(Timestamp::MIN, calendar::start_of)
}

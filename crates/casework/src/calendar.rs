//! Dates in law and on pages are London dates; storage is UTC microseconds.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

/// Europe/London, compiled in: no file is read.
static LONDON: TimeZone = jiff::tz::get!("Europe/London");

/// A span of time in the policy's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Period {
    /// Monday to Friday. Bank holidays count as working days here: that errs towards answering early.
    WorkingDays(u16),
    /// Calendar days.
    Days(u16),
    /// Calendar years; 29 February ends on 28 February.
    Years(u8),
}

/// The London date of an instant.
#[must_use]
pub fn london_date(at: Timestamp) -> Date {
    at.to_zoned(LONDON.clone()).date()
}

/// An instant as people here write it: `22 November 2026, 3:17pm`.
#[must_use]
pub fn in_words(at: Timestamp) -> String {
    at.to_zoned(LONDON.clone()).strftime("%-d %B %Y, %-I:%M%P").to_string()
}

/// A date as people here write it: `22 November 2026`.
#[must_use]
pub fn date_in_words(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

fn is_working(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The date a period ends on, counted from the day after `from`. Saturates at the calendar's end (9999).
#[must_use]
pub fn after(from: Date, period: Period) -> Date {
    match period {
        Period::Days(n) => from.checked_add(i64::from(n).days()).unwrap_or(Date::MAX),
        Period::Years(n) => from.checked_add(i64::from(n).years()).unwrap_or(Date::MAX),
        Period::WorkingDays(n) => {
            let (mut date, mut left) = (from, n);
            while left > 0 {
                let Ok(next) = date.tomorrow() else {
                    return Date::MAX;
                };
                date = next;
                if is_working(date) {
                    left -= 1;
                }
            }
            date
        }
    }
}

/// Working days from `from` (not counted) to `to` (counted); 0 when `to` is not later.
#[must_use]
pub fn working_days(from: Date, to: Date) -> u32 {
    let (mut date, mut count) = (from, 0);
    while date < to {
        let Ok(next) = date.tomorrow() else { break };
        date = next;
        if is_working(date) {
            count += 1;
        }
    }
    count
}

/// How long is left, in words: `due today`, `3 working days left`, `2 working days overdue`.
#[must_use]
pub fn due_in_words(today: Date, due: Date) -> String {
    let days = |n: u32| format!("{n} working {}", if n == 1 { "day" } else { "days" });
    if today == due {
        "due today".into()
    } else if today < due {
        format!("{} left", days(working_days(today, due).max(1)))
    } else {
        format!("{} overdue", days(working_days(due, today).max(1)))
    }
}

/// The first instant of a London date.
#[must_use]
pub fn start_of(date: Date) -> Timestamp {
    date.to_zoned(LONDON.clone()).map_or(Timestamp::MAX, |z| z.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_weekend_is_skipped() {
        assert_eq!(after(date(2026, 11, 20), Period::WorkingDays(1)), date(2026, 11, 23));
        assert_eq!(working_days(date(2026, 11, 20), date(2026, 11, 23)), 1);
    }

    #[test]
    fn a_leap_day_ends_on_the_28th() {
        assert_eq!(after(date(2028, 2, 29), Period::Years(6)), date(2034, 2, 28));
    }

    #[test]
    fn summer_time_moves_the_date() {
        let at: Timestamp = "2026-06-30T23:30:00Z".parse().unwrap();
        assert_eq!(london_date(at), date(2026, 7, 1));
    }

    #[test]
    fn due_is_said_in_words() {
        assert_eq!(due_in_words(date(2026, 11, 23), date(2026, 11, 23)), "due today");
        assert_eq!(due_in_words(date(2026, 11, 24), date(2026, 11, 23)), "1 working day overdue");
        assert_eq!(due_in_words(date(2026, 11, 20), date(2026, 11, 24)), "2 working days left");
    }
}

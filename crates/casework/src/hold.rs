//! Legal holds: nothing of a request is erased while somebody answers for keeping it (D3).

use crate::{calendar, ids::PersonId, policy::Policy};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

/// A legal hold (D3): nothing is erased while it lasts. It never ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who answers for it.
    pub owner: PersonId,
    /// Why everything is kept.
    pub reason: String,
    /// The London date on which it is to be looked at again.
    pub review: Date,
    /// When it was placed.
    pub since: Timestamp,
}

impl Hold {
    /// Whether it should have been looked at again.
    #[must_use]
    pub fn overdue(&self, today: Date) -> bool {
        self.review < today
    }
}

/// The last day that a hold's review may be set for, seen from `today`; a form that asks for the day suggests it.
#[must_use]
pub fn latest_review(policy: &Policy, today: Date) -> Date {
    calendar::after(today, calendar::Period::Days(policy.hold_review_days_max))
}

//! D5: nothing leaves before its record is in a log that witnesses outside have cosigned.

use serde::{Deserialize, Serialize};

/// How far witnesses have come with the record that something waits on: it may leave once `required` of them have
/// cosigned a checkpoint that it is under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// Witnesses that have.
    pub cosigned: usize,
    /// Witnesses that must have; 0: none need to.
    pub required: usize,
    /// Witnesses that there are.
    pub of: usize,
}

impl Witnessed {
    /// Whether it may leave.
    #[must_use]
    pub fn enough(self) -> bool {
        self.cosigned >= self.required
    }

    /// What is waited for, and how far it has come.
    ///
    /// ```
    /// let waits = casework::witnessed::Witnessed { cosigned: 1, required: 2, of: 3 };
    /// assert_eq!(waits.words(), "It waits for 2 of 3 witnesses: 1 has cosigned the record of it so far.");
    /// ```
    #[must_use]
    pub fn words(self) -> String {
        let so_far = match self.cosigned {
            0 => "none has".into(),
            1 => "1 has".into(),
            n => format!("{n} have"),
        };
        let witnesses = if self.of == 1 { "witness" } else { "witnesses" };
        format!("It waits for {} of {} {witnesses}: {so_far} cosigned the record of it so far.", self.required, self.of)
    }
}

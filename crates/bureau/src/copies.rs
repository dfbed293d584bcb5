//! Copies of records and keys, and that they were made and brought back: noted in the house's own stream (D1, D5).

use crate::{Bureau, Result};
use casework::{clause::Clause, processing::HouseKind};
use std::path::Path;
use store::{Copied, Restored};

impl Bureau {
    /// Copies the records to a new folder and, if asked, the keys to another, in that order, so that the keys
    /// open all of the records. The copying is noted first, and so is in the copy.
    ///
    /// # Errors
    /// When the store fails, or something is there already.
    pub async fn copy(&self, to: &Path, keys: Option<&Path>) -> Result<(Copied, Option<Copied>)> {
        let what = if keys.is_some() { "an operator copied the records and the keys" } else { "an operator copied the records" };
        self.note_about(HouseKind::Copied, None, what, None, &[Clause::D1], None).await?;
        let records = self.store.backup(to, self.now()).await?;
        let keys = match keys {
            Some(keys) => Some(self.store.backup_keys(keys, self.now()).await?),
            None => None,
        };
        Ok((records, keys))
    }

    /// Notes that a copy was brought back, and what of the log was lost by it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_restored(&self, restored: &Restored) -> Result<()> {
        let from = format!("an operator restored the copy of {}, whose log has {} leaves", restored.copy.at, restored.copy.log_size);
        let lost = restored.lost_up_to.map(|n| format!("; the log had been signed up to {n}, and its end is lost")).unwrap_or_default();
        let erased = format!("; {} keys were destroyed since, and what they sealed stays erased", restored.stays_erased);
        let outcome = if restored.lost_up_to.is_some() { "shorter" } else { "whole" };
        self.note_about(HouseKind::Restored, None, &format!("{from}{lost}{erased}"), None, &[Clause::D1], Some(outcome)).await?;
        self.store.sequence(self.now()).await?;
        Ok(())
    }
}

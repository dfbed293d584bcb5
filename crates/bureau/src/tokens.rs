//! Bearer tokens of the JSON API: 256 random bits, shown once, kept as a hash with an expiry.

use crate::{Bureau, Result, fill_random};
use casework::ids::PersonId;
use jiff::SignedDuration;

/// The prefix by which a leaked token is recognised.
pub const TOKEN_PREFIX: &str = "cst_";

impl Bureau {
    /// Issues a token to a person for some days.
    ///
    /// # Errors
    /// When the store or the random source fails.
    pub async fn issue_token(&self, person: PersonId, days: i64) -> Result<String> {
        let mut bytes = [0; 32];
        fill_random(&mut bytes)?;
        let token = format!("{TOKEN_PREFIX}{}", hex::encode(bytes));
        let until = self.now() + SignedDuration::from_hours(24 * days);
        self.store.create_session(token.as_bytes(), person.as_bytes(), until).await?;
        self.note(casework::processing::HouseKind::TokenIssued, None, &format!("an operator issued a token of the API to {person}"), None)
            .await?;
        Ok(token)
    }

    /// The person a token belongs to, if it is good today.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bearer(&self, token: &str) -> Result<Option<PersonId>> {
        if !token.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        let found = self.store.get_session(token.as_bytes(), self.now()).await?;
        Ok(found.and_then(|b| <[u8; 16]>::try_from(b).ok()).map(|b| PersonId(uuid::Uuid::from_bytes(b))))
    }

    /// Ends a token.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn revoke_token(&self, token: &str) -> Result<()> {
        Ok(self.store.delete_session(token.as_bytes()).await?)
    }
}

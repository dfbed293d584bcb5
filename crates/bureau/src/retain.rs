//! retain: destroying what is due (D3).

use crate::{Bureau, Result};
use casework::{command::Command, ids::RequestId, record::{RetentionClass, StreamId}, retain};

impl Bureau {
    /// Erases a class of a request if it is due: first the record that it goes, then the key and bytes.
    /// Killed in between, the job runs again and finishes.
    ///
    /// # Errors
    /// When the store fails, or the policy says that it is not due after all.
    pub(crate) async fn erase_if_due(&self, id: RequestId, class: RetentionClass) -> Result<()> {
        let request = self.open(id).await?;
        let today = casework::calendar::london_date(self.now());
        if !request.erased.contains(&class) {
            if !retain::due(&request, self.policy(), today).iter().any(|d| d.class == class) {
                return Ok(());
            }
            self.act_as_worker(id, Command::Erase { class }).await?;
        }
        self.store.erase(StreamId::Request(id), class, self.now()).await?;
        if class == RetentionClass::Record {
            // Who looked goes with what was looked at.
            self.store.erase(StreamId::Consulted(id), class, self.now()).await?;
        }
        Ok(())
    }
}

//! search: making the one search that leave was given for (M1).

use crate::{Bureau, BureauError, Result, sha256};
use casework::{
    command::Command,
    event::{Authorisation, Found, SearchFacts},
    ids::{AuthorisationId, CandidateId, Digest, ProbeId, ReferenceId, RequestId},
    limits::CANDIDATES_MAX,
    request::LeaveToSearch,
};
use gallery::{CandidateList, Filters, Gallery, SearchLimits};
use uuid::Uuid;

impl Bureau {
    /// Makes the search for which leave was used, and records what it found. Harmless when repeated:
    /// once recorded, there is no leave any more.
    pub(crate) async fn search_now(&self, id: RequestId, probe: ProbeId, authorisation: AuthorisationId) -> Result<()> {
        let request = self.open(id).await?;
        let Some(leave) = request.leave_to_search(probe, authorisation) else { return Ok(()) };
        let image = request.image(probe).cloned().ok_or(BureauError::Gone)?;
        let original = self.store.get_blob(image.original).await?.ok_or(BureauError::Gone)?;
        let template = self.template_of(&leave, &original).await?;
        let list = self.identify(&leave, template).await?;
        let found = list
            .entries
            .iter()
            .map(|c| Ok(Found { candidate: self.id::<CandidateId>()?, reference: ReferenceId(Uuid::from_bytes(c.id)), score: c.score }))
            .collect::<Result<Vec<_>>>()?;
        let model = self.engine()?.model();
        let facts = SearchFacts {
            engine: format!("{} ({})", model.name, model.pack),
            model: model.id.to_string(),
            epoch: list.epoch,
            searched: list.searched,
            threshold: model.threshold.value,
            list: list_digest(&found),
            more: list.more_above_threshold,
        };
        self.act_as_worker(id, Command::RecordSearch { probe, authorisation, facts, found }).await.map(drop)
    }

    /// The template of exactly the image and face that were assessed.
    async fn template_of(&self, leave: &LeaveToSearch, original: &[u8]) -> Result<Vec<f32>> {
        let Authorisation { digest, face, .. } = leave.authorisation();
        if sha256(original) != *digest {
            return Err(BureauError::Failed("the stored image is not the one that was assessed (M1)".into()));
        }
        let pixels = self.decode(original).await?;
        let engine = self.engine()?.clone();
        let face = *face;
        let made = tokio::task::spawn_blocking(move || {
            let image = face::Image::new(pixels.width, pixels.height, &pixels.data)?;
            let faces = engine.detect(&image)?;
            faces.get(face).map(|f| engine.template(&image, f)).transpose()
        });
        let template = made
            .await
            .map_err(|e| BureauError::Engine(e.to_string()))?
            .map_err(|e| BureauError::Engine(e.to_string()))?
            .ok_or_else(|| BureauError::Failed("the face that was assessed is not found again".into()))?;
        Ok(template.values().to_vec())
    }

    /// Searches the gallery that leave was given for, and no other.
    async fn identify(&self, leave: &LeaveToSearch, template: Vec<f32>) -> Result<CandidateList> {
        let gallery = self
            .galleries
            .get(&leave.authorisation().gallery)
            .ok_or_else(|| BureauError::Gallery("this gallery is not open here".into()))?
            .clone();
        let threshold = self.engine()?.model().threshold.value;
        // The engine's model, not the gallery's: a gallery of another one refuses it.
        let model = gallery::ModelId::new(self.engine()?.model().id.as_str()).map_err(|e| BureauError::Gallery(e.to_string()))?;
        let searched = tokio::task::spawn_blocking(move || {
            let probe = gallery::Probe::new(model, template)?;
            gallery.search(&probe, &SearchLimits { k: CANDIDATES_MAX, threshold: Some(threshold), filters: Filters::default() })
        });
        searched.await.map_err(|e| BureauError::Gallery(e.to_string()))?.map_err(|e| BureauError::Gallery(e.to_string()))
    }
}

/// SHA-256 over the ordered list: for each entry, 16 bytes of reference id and 8 bytes of score
/// (IEEE 754, big-endian).
fn list_digest(found: &[Found]) -> Digest {
    let bytes: Vec<u8> = found.iter().flat_map(|f| f.reference.as_bytes().iter().copied().chain(f.score.to_be_bytes())).collect();
    sha256(&bytes)
}

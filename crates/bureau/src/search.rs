//! search: making the one search that leave was given for (M1), under the certificate that covers it (P1).

use crate::{Bureau, BureauError, Result, images::found_again, sha256};
use casework::{
    command::Command,
    decide::judged_by_another,
    event::{Authorisation, Found, SearchFacts},
    form::FormImage,
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
        let gallery = leave.authorisation().gallery;
        if let Some(elsewhere) = self.elsewhere.get(&gallery) {
            elsewhere.set_held(self.store.holding_count(gallery).await?);
        }
        let held = self.certified(&*self.register().await?, gallery)?;
        // As `decide` will ask of what is recorded; but then the search would have been made.
        if let Some(why) = judged_by_another(Some(&image), &held.certificate.running) {
            return Err(vec![why].into());
        }
        let threshold = held.certificate.threshold;
        let list = match self.elsewhere.get(&gallery) {
            Some(elsewhere) => self.identify_elsewhere(elsewhere, &leave, &image, &original, threshold).await?,
            None => {
                let template = self.template_of(&leave, image, &original).await?;
                self.identify(&leave, template, threshold).await?
            }
        };
        let found = list
            .entries
            .iter()
            .map(|c| Ok(Found { candidate: self.id::<CandidateId>()?, reference: ReferenceId(Uuid::from_bytes(c.id)), score: c.score }))
            .collect::<Result<Vec<_>>>()?;
        let engine = match self.elsewhere.get(&gallery) {
            Some(elsewhere) => elsewhere.name(),
            None => self.engine().map(|e| format!("{} ({})", e.model().name, e.model().pack))?,
        };
        let facts = SearchFacts {
            engine,
            running: held.certificate.running,
            epoch: list.epoch,
            searched: list.searched,
            threshold,
            certificate: held.genuine.ok_or_else(|| BureauError::Failed("the certificate was not checked (P1)".into()))?,
            list: list_digest(&found),
            more: list.more_above_threshold,
        };
        self.act_as_worker(id, Command::RecordSearch { probe, authorisation, facts, found }).await.map(drop)
    }

    /// The template of exactly the image and face that were assessed.
    ///
    /// # Errors
    /// [`BureauError::FaceNotFoundAgain`] where the engine in use finds no face in the place of the assessed one.
    async fn template_of(&self, leave: &LeaveToSearch, image: FormImage, original: &[u8]) -> Result<Vec<f32>> {
        let Authorisation { digest, face, .. } = leave.authorisation();
        if sha256(original) != *digest {
            return Err(BureauError::Failed("the stored image is not the one that was assessed (M1)".into()));
        }
        let pixels = self.decode_again(original).await?;
        let engine = self.engine()?.clone();
        let face = *face;
        let made = tokio::task::spawn_blocking(move || {
            let seen = face::Image::new(pixels.width, pixels.height, &pixels.data)?;
            let faces = engine.detect(&seen)?;
            found_again(&image, face, &faces).map(|f| engine.template(&seen, f)).transpose()
        });
        let template = made
            .await
            .map_err(|e| BureauError::Engine(e.to_string()))?
            .map_err(|e| BureauError::Engine(e.to_string()))?
            .ok_or(BureauError::FaceNotFoundAgain)?;
        Ok(template.values().to_vec())
    }

    /// Searches the gallery that leave was given for, and no other, at the certified threshold.
    async fn identify(&self, leave: &LeaveToSearch, template: Vec<f32>, threshold: f64) -> Result<CandidateList> {
        let gallery = self
            .galleries
            .get(&leave.authorisation().gallery)
            .ok_or_else(|| BureauError::Gallery("this gallery is not open here".into()))?
            .clone();
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

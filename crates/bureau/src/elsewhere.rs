//! elsewhere: a gallery that is searched by a biometric system on another machine, over HTTP ([`abis`]), instead of an
//! index here. What it answers is a candidate list like any other: measured by its own certificate (P1), bound to the
//! face that was assessed (M1), and concluded by people.

use crate::{
    Bureau, BureauError, Result,
    images::{alone, found_again},
    sha256,
};
use abis::{Abis, Asked, Enrolled};
use casework::{
    certificate::Running, form::FormImage, ids::ReferenceId, limits::CANDIDATES_MAX, record::GalleryId, request::LeaveToSearch,
};
use gallery::{Candidate, CandidateList};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use store::NewHolding;
use uuid::Uuid;

/// A gallery of a system elsewhere, and how many references are held here and so have to be enrolled there.
pub struct Elsewhere {
    abis: Arc<Abis>,
    held: AtomicU64,
}

impl Elsewhere {
    /// The system, and how many references the store holds of the gallery.
    #[must_use]
    pub fn new(abis: Arc<Abis>, held: u64) -> Self {
        Self { abis, held: AtomicU64::new(held) }
    }

    /// References held, as last counted.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn set_held(&self, held: u64) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// The range of its scores.
    pub(crate) fn scale(&self) -> (f64, f64) {
        (self.abis.settings().score_min, self.abis.settings().score_max)
    }

    /// What a certificate has to be for: vendor, algorithm and score range, as they are configured and as the system is
    /// asked before and after each search. A pack's digest it has none; the digest is over these words.
    pub(crate) fn running(&self, specification: String) -> Running {
        let s = self.abis.settings();
        let words = format!("OSIA biometrics\n{}\n{}\n{}\n{}\n", s.vendor, s.algorithm, s.score_min, s.score_max);
        Running {
            pack: format!("ABIS of {}", s.vendor),
            pack_digest: hex::encode(sha256(words.as_bytes()).0),
            model: self.abis.model(),
            specification,
        }
    }

    /// For the record of a search: which engine answered, in which gallery of which system.
    pub(crate) fn name(&self) -> String {
        format!("{} (OSIA biometrics, gallery {} at {})", self.abis.model(), self.abis.settings().gallery, self.abis.host())
    }
}

fn failed(e: abis::Error) -> BureauError {
    BureauError::Gallery(e.to_string())
}

impl Bureau {
    /// Asks for the one face that was assessed, cut out of the image with every other face masked. Whatever is wrong with
    /// the answer, none of it is taken and the search can be made again.
    pub(crate) async fn identify_elsewhere(
        &self,
        elsewhere: &Elsewhere,
        leave: &LeaveToSearch,
        image: &FormImage,
        original: &[u8],
        threshold: f64,
    ) -> Result<CandidateList> {
        let authorisation = leave.authorisation();
        if sha256(original) != authorisation.digest {
            return Err(BureauError::Failed("the stored image is not the one that was assessed (M1)".into()));
        }
        let pixels = self.decode_again(original).await?;
        let faces = self.faces(&pixels).await.map_err(|e| match e {
            BureauError::Refused(_) => BureauError::FaceNotFoundAgain,
            e => e,
        })?;
        let chosen = found_again(image, authorisation.face, &faces).ok_or(BureauError::FaceNotFoundAgain)?;
        let jpeg = alone(pixels, &faces, chosen)?;
        let held = elsewhere.held();
        // One more than the list takes, to know whether there are more.
        let asked = Asked { transaction: self.id::<Uuid>()?, most: CANDIDATES_MAX + 1, threshold, held };
        let mut found = elsewhere.abis.identify(&jpeg, &asked).await.map_err(failed)?;
        for c in &found {
            if self.store.get_holding_image(authorisation.gallery, ReferenceId(c.reference)).await?.is_none() {
                return Err(BureauError::Gallery(
                    "the ABIS named a reference that is not held here; nothing of its answer was taken".into(),
                ));
            }
        }
        let more_above_threshold = found.len() > CANDIDATES_MAX;
        found.truncate(CANDIDATES_MAX);
        let entries = found.iter().map(|c| Candidate { id: c.reference.into_bytes(), score: c.score }).collect();
        Ok(CandidateList { entries, epoch: 0, more_above_threshold, searched: held })
    }

    /// Whether a reference is enrolled there.
    pub(crate) async fn enrolled_elsewhere(&self, elsewhere: &Elsewhere, id: ReferenceId) -> Result<bool> {
        elsewhere.abis.holds(id.0, self.id::<Uuid>()?).await.map_err(failed)
    }

    /// Holds references here and enrols their pictures there; returns how many were new there. The holdings first: whoever
    /// is found there has to be held here, and until all are enrolled no search is made.
    pub(crate) async fn hold_elsewhere(&self, gallery: GalleryId, elsewhere: &Elsewhere, holdings: Vec<NewHolding>) -> Result<u64> {
        let pictures: Vec<_> = holdings.iter().filter_map(|h| Some((h.reference, h.image.clone()?))).collect();
        if !holdings.is_empty() {
            self.store.put_holdings(gallery, holdings, self.now()).await?;
        }
        let mut new = 0;
        for (reference, picture) in pictures {
            let done = elsewhere.abis.enrol(reference.0, &picture, self.id::<Uuid>()?).await.map_err(failed)?;
            new += u64::from(done == Enrolled::New);
        }
        elsewhere.set_held(self.store.holding_count(gallery).await?);
        Ok(new)
    }

    /// Whether a gallery's system holds exactly what is held here, and is the one that was measured; `None` for a gallery
    /// that is searched here.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn check_elsewhere(&self, gallery: GalleryId) -> Result<Option<std::result::Result<u64, abis::Error>>> {
        let Some(elsewhere) = self.elsewhere.get(&gallery) else { return Ok(None) };
        let held = self.store.holding_count(gallery).await?;
        elsewhere.set_held(held);
        Ok(Some(elsewhere.abis.check(held, self.id::<Uuid>()?).await.map(|()| held)))
    }
}

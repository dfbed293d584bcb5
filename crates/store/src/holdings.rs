//! What the galleries hold about a person: reference image and biography, sealed under one key per
//! gallery. Templates live in the `gallery` room; the reference id joins the two.

use crate::db::{self, Row};
use crate::keys::{Keyring, Scope};
use crate::rows::{self, gallery_text, signed, unsigned};
use crate::sealing::Aad;
use crate::{Result, Store, StoreError, micros, within};
use casework::ids::{Digest, ReferenceId};
use casework::record::GalleryId;
use jiff::Timestamp;

/// Largest reference image, and largest biography, in bytes.
pub const MAX_HOLDING_BYTES: usize = 16 * 1024 * 1024;

/// One reference to hold.
#[derive(Clone, Debug)]
pub struct NewHolding {
    /// Its id, shared with the template.
    pub reference: ReferenceId,
    /// SHA-256 of the file it was enrolled from, so that an enrolment can be resumed; kept as an HMAC.
    pub source: Digest,
    /// The image; synthetic references have none.
    pub image: Option<Vec<u8>>,
    /// The biography as JSON.
    pub biography: Vec<u8>,
}

impl Store {
    /// Holds references, all in one transaction. One already held (same reference or same source) is
    /// left as it is. Returns how many are new.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`]; database errors; then none is held.
    pub async fn put_holdings(&self, gallery: GalleryId, holdings: Vec<NewHolding>, now: Timestamp) -> Result<u64> {
        for holding in &holdings {
            let image = holding.image.as_ref().map_or(0, Vec::len);
            within("holding", image.max(holding.biography.len()), MAX_HOLDING_BYTES, "bytes")?;
        }
        let name = gallery_text(gallery);
        let mut tx = self.write().await?;
        let key = self.keys().current(&Scope::gallery(gallery)).await?;
        let mut new = 0;
        for holding in &holdings {
            let id = holding.reference.as_bytes();
            let added = db::query(
                "INSERT INTO holding (gallery, reference, source, at, key_id, sealed)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            )
            .bind(name)
            .bind(id.as_slice())
            .bind(self.source_mac(holding.source).as_slice())
            .bind(micros(now))
            .bind(key.id.as_slice())
            .bind(key.key.seal(&Aad::holding(name, id, false), &holding.biography)?)
            .execute(&mut *tx)
            .await?;
            if added.rows_affected() == 0 {
                continue;
            }
            new += 1;
            if let Some(image) = &holding.image {
                db::query(
                    "INSERT INTO holding_image (gallery, reference, key_id, sealed)
                     VALUES ($1, $2, $3, $4)",
                )
                .bind(name)
                .bind(id.as_slice())
                .bind(key.id.as_slice())
                .bind(key.key.seal(&Aad::holding(name, id, true), image)?)
                .execute(&mut *tx)
                .await?;
            }
        }
        db::query(
            "INSERT INTO holding_count (gallery, number) VALUES ($1, $2)
             ON CONFLICT (gallery) DO UPDATE SET number = holding_count.number + excluded.number",
        )
        .bind(name)
        .bind(signed(new)?)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(new)
    }

    /// A reference's image; `None` if there is no such reference or it has no image.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub async fn get_holding_image(&self, gallery: GalleryId, reference: ReferenceId) -> Result<Option<Vec<u8>>> {
        let row = db::query("SELECT key_id, sealed FROM holding_image WHERE gallery = $1 AND reference = $2")
            .bind(gallery_text(gallery))
            .bind(reference.as_bytes().as_slice())
            .fetch_optional(self.reader())
            .await?;
        self.open_holding(gallery, reference, row, true).await
    }

    /// A reference's biography (JSON bytes); `None` if there is no such reference.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it does not open.
    pub async fn get_holding_biography(&self, gallery: GalleryId, reference: ReferenceId) -> Result<Option<Vec<u8>>> {
        let row = db::query("SELECT key_id, sealed FROM holding WHERE gallery = $1 AND reference = $2")
            .bind(gallery_text(gallery))
            .bind(reference.as_bytes().as_slice())
            .fetch_optional(self.reader())
            .await?;
        self.open_holding(gallery, reference, row, false).await
    }

    async fn open_holding(&self, gallery: GalleryId, reference: ReferenceId, row: Option<Row>, image: bool) -> Result<Option<Vec<u8>>> {
        let Some(row) = row else { return Ok(None) };
        let damaged = || StoreError::Damaged { what: "holding" };
        let key = self.keys().find(&mut Keyring::new(), row.try_get(0)?).await?.ok_or_else(damaged)?;
        let aad = Aad::holding(gallery_text(gallery), reference.as_bytes(), image);
        key.open(&aad, row.try_get(1)?).map(|plain| Some(plain.to_vec())).ok_or_else(damaged)
    }

    /// The reference already enrolled from a file with this SHA-256, if any.
    ///
    /// # Errors
    /// Database errors.
    pub async fn holding_by_source(&self, gallery: GalleryId, source: Digest) -> Result<Option<ReferenceId>> {
        let found: Option<Vec<u8>> = db::query_scalar("SELECT reference FROM holding WHERE gallery = $1 AND source = $2")
            .bind(gallery_text(gallery))
            .bind(self.source_mac(source).as_slice())
            .fetch_optional(self.reader())
            .await?;
        found.map(|id| rows::uuid(&id).map(ReferenceId)).transpose()
    }

    /// The references of a gallery after `after`, in order of their ids, at most `most` of them, and
    /// whether an image is held of each.
    ///
    /// # Errors
    /// Database errors.
    pub async fn holdings_after(&self, gallery: GalleryId, after: Option<ReferenceId>, most: u32) -> Result<Vec<(ReferenceId, bool)>> {
        let rows: Vec<(Vec<u8>, bool)> = db::query_as(
            "SELECT h.reference, i.reference IS NOT NULL FROM holding h
             LEFT JOIN holding_image i ON i.gallery = h.gallery AND i.reference = h.reference
             WHERE h.gallery = $1 AND h.reference > $2 ORDER BY h.reference LIMIT $3",
        )
        .bind(gallery_text(gallery))
        .bind(after.map(|a| a.as_bytes().to_vec()).unwrap_or_default())
        .bind(i64::from(most))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(|(id, pictured)| Ok((rows::uuid(&id).map(ReferenceId)?, pictured))).collect()
    }

    /// How many references a gallery holds.
    ///
    /// # Errors
    /// Database errors.
    pub async fn holding_count(&self, gallery: GalleryId) -> Result<u64> {
        let n: Option<i64> = db::query_scalar("SELECT number FROM holding_count WHERE gallery = $1")
            .bind(gallery_text(gallery))
            .fetch_optional(self.reader())
            .await?;
        unsigned(n.unwrap_or(0))
    }

    /// Takes one reference out, image and biography. One that is not there is no error.
    ///
    /// # Errors
    /// Database errors.
    pub async fn delete_holding(&self, gallery: GalleryId, reference: ReferenceId) -> Result<()> {
        let name = gallery_text(gallery);
        let mut tx = self.write().await?;
        let gone = db::query("DELETE FROM holding WHERE gallery = $1 AND reference = $2")
            .bind(name)
            .bind(reference.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        if gone.rows_affected() == 1 {
            db::query("UPDATE holding_count SET number = number - 1 WHERE gallery = $1").bind(name).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.truncate_wal().await
    }

    fn source_mac(&self, source: Digest) -> [u8; 32] {
        self.secrets().mac("holding-source", &source.0)
    }
}

//! Opening the house: store, engine, galleries, decoder, and the bureau over them.

use crate::config::Config;
use bureau::{Bureau, Clock, Parts, SystemClock, elsewhere::Elsewhere};
use casework::{ids::PersonId, record::GalleryId};
use decoder::Decoder;
use face::{Engine, OnnxEngine, Pack};
use gallery::{Gallery as _, LocalGallery, ModelId, Settings};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use store::{Place, Store};
use strum::IntoEnumIterator;

/// The name of a log: who keeps it.
pub const ORIGIN: &str = "countersign/log";

/// Whether the galleries are opened for enrolment too. One process at a time may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Galleries {
    /// Made where missing, and opened for enrolment and search.
    Enrol,
    /// Opened for search; one that is missing is left out, and a search of it says so.
    Search,
}

/// Where the configuration says that the store is.
///
/// # Errors
/// With everything that is wrong with it.
pub fn place(config: &Config) -> Result<Place> {
    config.place().map_err(|faults| miette!(help = "mend these in the configuration", "{}", faults.join("\n")))
}

/// Opens the records of a data directory, making them where there are none if `create`.
async fn store(config: &Config, create: bool) -> Result<Store> {
    let place = place(config)?;
    let made = !create || Store::is_made(&place).await.into_diagnostic().wrap_err("the records could not be reached")?;
    let store = if !made {
        std::fs::create_dir_all(&config.data_dir)
            .into_diagnostic()
            .wrap_err_with(|| format!("{} cannot be made", config.data_dir.display()))?;
        Store::create_at(&place, ORIGIN).await
    } else {
        Store::open_at(&place).await
    };
    store.into_diagnostic().wrap_err_with(|| format!("the records in {} could not be opened", config.data_dir.display()))
}

fn witnesses(config: &Config) -> Result<bureau::witnesses::Witnesses> {
    config.witness.read().map_err(|faults| miette!("{}", faults.join("\n")))
}

/// Opens the records alone, without engine, decoder or galleries; making them where there are none if
/// `create`.
///
/// # Errors
/// With what is missing and what to do.
pub async fn record(config: &Config, create: bool) -> Result<Bureau> {
    Ok(Bureau::of_record(store(config, create).await?, Arc::new(SystemClock)).with_witnesses(witnesses(config)?))
}

/// Whose API token a file holds.
///
/// # Errors
/// When it cannot be read, or the token is nobody's or has run out.
pub async fn bearer(bureau: &Bureau, token_file: &Path) -> Result<PersonId> {
    let unreadable = || format!("{} cannot be read", token_file.display());
    let token = std::fs::read_to_string(token_file).into_diagnostic().wrap_err_with(unreadable)?;
    let who = bureau.bearer(token.trim()).await.into_diagnostic()?;
    who.ok_or_else(|| miette!(help = "`countersign token` issues one", "the token is not good, or has run out"))
}

/// What decodes untrusted images: this very binary, as a child.
///
/// # Errors
/// When this binary cannot be found again.
pub fn decoder() -> Result<Decoder> {
    Ok(Decoder::new(std::env::current_exe().into_diagnostic()?, vec!["decode-child".into()]))
}

/// Opens a data directory, making the records where there are none if `create`.
///
/// # Errors
/// With what is missing and what to do.
pub async fn open(config: &Config, clock: Arc<dyn Clock>, galleries: Galleries, create: bool) -> Result<Arc<Bureau>> {
    let store = store(config, create).await?;
    let pack = Pack::open(&config.face.pack).into_diagnostic()?;
    let engine: Arc<dyn Engine> = Arc::new(OnnxEngine::load(&pack, &config.face.runtime).into_diagnostic()?);
    let model = ModelId::new(engine.model().id.as_str()).into_diagnostic()?;
    let mut open = BTreeMap::new();
    let mut elsewhere = BTreeMap::new();
    for id in GalleryId::iter() {
        let folder = config.gallery_dir(id, &model);
        let held = store.holding_count(id).await.into_diagnostic()?;
        if let Some(abis) = config.abis.get(&id) {
            let abis =
                abis.open().wrap_err_with(|| format!("the {id} gallery is searched elsewhere, by abis.{id} of the configuration"))?;
            elsewhere.insert(id, Elsewhere::new(Arc::new(abis), held));
            continue;
        }
        if matches!(galleries, Galleries::Enrol) && held > 0 && !folder.exists() {
            // An index of the few that are enrolled now would be searched as if it were the gallery.
            return Err(miette!(
                help = format!(
                    "run `countersign gallery re-enrol --gallery {id} --pack FOLDER` with the configuration of the model in use, then enrol"
                ),
                "the {id} gallery holds {held} references, and none has a template of the model {model}"
            ));
        }
        let gallery = match galleries {
            Galleries::Search if !folder.exists() => continue,
            Galleries::Search => LocalGallery::open_for_search(&folder, &model, Settings::default()),
            Galleries::Enrol => LocalGallery::open_or_create(&folder, &model, engine.model().dimension, Settings::default()),
        };
        let gallery = gallery.into_diagnostic().wrap_err_with(|| format!("the {id} gallery could not be opened"))?;
        if gallery.len() < held {
            let missing = held - gallery.len();
            tracing::warn!(gallery = %id, missing, "references are held that this model has no template of: a search does not find them");
        }
        open.insert(id, Arc::new(gallery));
    }
    let decoder = decoder()?;
    match decoder.confinement().await {
        Ok(held) => held.gaps().iter().for_each(|gap| tracing::warn!(%gap, "images are decoded without a layer of protection")),
        Err(fault) => tracing::error!(%fault, "images cannot be decoded"),
    }
    let bureau = Bureau::new(Parts {
        store,
        engine,
        galleries: open,
        decoder,
        clock,
        specifications: bureau::images::image_specifications().into_diagnostic()?,
        pack_digest: pack.digest().to_owned(),
    });
    Ok(Arc::new(bureau.searching(elsewhere).with_witnesses(witnesses(config)?)))
}

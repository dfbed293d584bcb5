//! The use cases, one file per word of the flow: intake, assess, search, review, respond, retain,
//! report; beside them the register, enrolment, and the workers' jobs.
//!
//! Every change goes one way ([`Bureau::act`]): open the request (unseal and fold its events), ask
//! `casework::decide`, commit events, queue row and jobs in one transaction. Every look at something
//! personal is recorded before it is served ([`Bureau::consult`]).

mod act;
pub mod affected;
pub mod assess;
pub mod certificate;
mod copies;
pub mod elsewhere;
pub mod enhance;
pub mod enrol;
pub mod exchange;
pub mod export;
pub mod images;
pub mod intake;
pub mod processing;
pub mod register;
pub mod report;
pub mod respond;
pub mod retain;
pub mod review;
pub mod search;
mod tokens;
pub mod trial;
pub mod views;
pub mod witnesses;
pub mod work;

pub use act::{Done, Once};

use casework::{
    event::{Consulted, Thing},
    ids::{PersonId, RequestId},
    people::{Actor, Register},
    policy::Policy,
    record::{GalleryId, Header, NewRecord, RetentionClass, StreamId},
    refusal::Refusal,
    request::{FoldError, Request, State},
    witnessed::Witnessed,
};
use decoder::Decoder;
use elsewhere::Elsewhere;
use face::{Engine, ImageSpecification};
use gallery::LocalGallery;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use store::{Store, StoreError};
use uuid::Uuid;

/// How long looks at one thing by one person count as one sitting.
pub const SITTING: Duration = Duration::from_secs(30 * 60);
/// Sittings remembered at most; the oldest go first, which only records a look twice.
const SITTINGS_MAX: usize = 10_000;

/// Tells the time. Injected, so that tests and the simulated decade move it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Why a use case did not happen. Never holds personal data.
#[derive(Debug, thiserror::Error)]
pub enum BureauError {
    /// The policy forbids it: every reason at once.
    #[error("{}", .0.iter().map(|r| r.words.as_str()).collect::<Vec<_>>().join(" "))]
    Refused(Vec<Refusal>),
    /// Somebody else was first, or the page is old.
    #[error("This has changed since you opened it; somebody may already have done what you asked. Open it again to see how it stands.")]
    Overtaken,
    /// A class of data was erased, so it cannot be shown.
    #[error("This was erased at the end of its retention.")]
    Gone,
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The events of a request do not add up.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// Something could not be written or read as JSON.
    #[error("stored data could not be read")]
    Json(#[from] serde_json::Error),
    /// The face engine failed.
    #[error("the face engine failed: {0}")]
    Engine(String),
    /// The engine in use finds no face where the assessed one stands.
    #[error("the face that was assessed is not found again in its place on the image; nothing was searched (M1)")]
    FaceNotFoundAgain,
    /// The gallery failed.
    #[error("the gallery failed: {0}")]
    Gallery(String),
    /// Nothing leaves before enough witnesses have cosigned the record of it.
    #[error("{}", .0.words())]
    AwaitingWitnesses(Witnessed),
    /// Something else failed.
    #[error("{0}")]
    Failed(String),
}

impl From<Vec<Refusal>> for BureauError {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Refused(refusals)
    }
}

/// Result of a use case.
pub type Result<T, E = BureauError> = std::result::Result<T, E>;

/// What the bureau is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Store,
    /// The face engine, one model for all galleries.
    pub engine: Arc<dyn Engine>,
    /// The galleries.
    pub galleries: BTreeMap<GalleryId, Arc<LocalGallery>>,
    /// Decodes untrusted images in a process of its own.
    pub decoder: Decoder,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What an image must be like, for each gallery: [`images::image_specifications`] (S10, A3b).
    pub specifications: BTreeMap<GalleryId, ImageSpecification>,
    /// SHA-256 over the engine's pack, hexadecimal: certificates are for it (P1).
    pub pack_digest: String,
}

/// The use cases. Share it behind an [`Arc`].
pub struct Bureau {
    pub(crate) store: Store,
    engine: Option<Arc<dyn Engine>>,
    pub(crate) galleries: BTreeMap<GalleryId, Arc<LocalGallery>>,
    decoder: Option<Decoder>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) specifications: BTreeMap<GalleryId, ImageSpecification>,
    pub(crate) elsewhere: BTreeMap<GalleryId, Elsewhere>,
    pack_digest: String,
    witnesses: witnesses::Witnesses,
    /// The witnesses, by number, that have cosigned since this process opened the records: what they are believed to
    /// know may be older than the records are, if a copy was put back.
    heard: Mutex<BTreeSet<usize>>,
    sittings: Mutex<HashMap<(PersonId, RequestId, Thing), Timestamp>>,
    register: RwLock<Option<Arc<Register>>>,
    /// The London day of the last sweep for what is due.
    swept: Mutex<Option<jiff::civil::Date>>,
}

impl Bureau {
    /// Opens the bureau on its parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, engine, galleries, decoder, clock, specifications, pack_digest } = parts;
        Self { engine: Some(engine), galleries, decoder: Some(decoder), specifications, pack_digest, ..Self::of_record(store, clock) }
    }

    /// The same with galleries that are searched elsewhere, each of them instead of an index here ([`elsewhere`]).
    #[must_use]
    pub fn searching(mut self, elsewhere: BTreeMap<GalleryId, Elsewhere>) -> Self {
        self.galleries.retain(|g, _| !elsewhere.contains_key(g));
        self.elsewhere = elsewhere;
        self
    }

    /// The record alone, for an operator who verifies it or issues a token: what needs an engine, a
    /// gallery or a decoder fails and says so.
    #[must_use]
    pub fn of_record(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            engine: None,
            galleries: BTreeMap::new(),
            decoder: None,
            clock,
            specifications: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            pack_digest: String::new(),
            witnesses: witnesses::Witnesses::default(),
            heard: Mutex::default(),
            sittings: Mutex::default(),
            register: RwLock::default(),
            swept: Mutex::default(),
        }
    }

    /// Now, by the injected clock, in whole microseconds: what storage keeps, so that an event's time
    /// and a row's are the same.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// The policy in force today in London.
    #[must_use]
    pub fn policy(&self) -> &'static Policy {
        Policy::in_force(casework::calendar::london_date(self.now()))
    }

    /// The store, for the audit and retention verbs of the command line and for sessions.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The gallery, if it is open here.
    #[must_use]
    pub fn gallery(&self, id: GalleryId) -> Option<&Arc<LocalGallery>> {
        self.galleries.get(&id)
    }

    /// The face engine.
    ///
    /// # Errors
    /// When only the record was opened.
    pub fn engine(&self) -> Result<&Arc<dyn Engine>> {
        self.engine.as_ref().ok_or_else(|| BureauError::Engine("none is loaded: only the record was opened".into()))
    }

    pub(crate) fn decoder(&self) -> Result<&Decoder> {
        self.decoder.as_ref().ok_or_else(|| BureauError::Failed("no image is decoded here: only the record was opened".into()))
    }

    /// The register as it stands. Folded once and again whenever its stream has grown.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn register(&self) -> Result<Arc<Register>> {
        let version = self.store.version(StreamId::Register).await?;
        let held = self.register.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(register) = held.filter(|r| r.version == version) {
            return Ok(register);
        }
        let mut register = Register::default();
        for record in self.store.load(StreamId::Register).await? {
            if let Some(payload) = record.payload {
                register.apply(serde_json::from_slice::<register::Change>(&payload)?.event);
            }
        }
        self.check_signatures(&mut register);
        let register = Arc::new(register);
        *self.register.write().unwrap_or_else(PoisonError::into_inner) = Some(register.clone());
        Ok(register)
    }

    /// A person as the register has them today.
    ///
    /// # Errors
    /// Refused when they are not on it or have left.
    pub async fn actor(&self, person: PersonId) -> Result<(Arc<Register>, Actor)> {
        let register = self.register().await?;
        let today = casework::calendar::london_date(self.now());
        let actor = register.actor(person, today).ok_or_else(|| {
            vec![casework::refusal::refuse(&[casework::clause::Clause::R3], "You are not on the register of people who use this service.")]
        })?;
        Ok((register, actor))
    }

    /// Opens a request: unseals and folds its events.
    ///
    /// # Errors
    /// When the store fails or the events do not add up. A request that does not exist is an empty one.
    pub async fn open(&self, id: RequestId) -> Result<Request> {
        Ok(Request::fold(id, self.store.load(StreamId::Request(id)).await?)?)
    }

    /// Records a look at something personal, durably, before it is served; one for each person, thing
    /// and sitting (D5) [rule: D5].
    ///
    /// # Errors
    /// When the record cannot be written; then nothing may be served.
    pub async fn consult(&self, by: PersonId, request: &Request, thing: Thing, why: &str) -> Result<()> {
        let now = self.now();
        let key = (by, request.id, thing);
        {
            let mut sittings = self.sittings.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = |at: &Timestamp| now.duration_since(*at).unsigned_abs() < SITTING;
            if sittings.get(&key).is_some_and(fresh) {
                return Ok(());
            }
            if sittings.len() >= SITTINGS_MAX {
                sittings.retain(|_, at| fresh(at));
                if sittings.len() >= SITTINGS_MAX {
                    sittings.clear();
                }
            }
        }
        let header = Header {
            kind: "consulted".into(),
            at: now,
            gallery: request.gallery,
            leo: request.leo,
            clauses: vec!["D5".into()],
            outcome: None,
            state: None,
            policy: self.policy().version.clone(),
            class: RetentionClass::Record,
            trial: request.trial.is_some(),
        };
        // Who looks at what is left of an erased record is noted in the house's own stream, whose notes go in their
        // time; the request's would not be erased again.
        let (stream, payload) = if request.state == State::Erased {
            let note = report::Note { by: Some(by), what: format!("looked at what is left of an erased record: {why}") };
            (StreamId::House, serde_json::to_vec(&note)?)
        } else {
            (StreamId::Consulted(request.id), serde_json::to_vec(&Consulted { by, thing, why: why.into() })?)
        };
        self.store.append(stream, vec![NewRecord { header, payload }]).await?;
        self.sittings.lock().unwrap_or_else(PoisonError::into_inner).insert(key, now);
        Ok(())
    }

    /// A new unguessable id, UUID version 4. It tells nothing, not even when it was made: the order of a search's
    /// candidates would give their ranks away (M2), and when its parts were made, a known-answer trial (P1).
    ///
    /// # Errors
    /// When the system's random source fails.
    pub fn id<T: From<Uuid>>(&self) -> Result<T> {
        let mut random = [0; 16];
        fill_random(&mut random)?;
        Ok(uuid::Builder::from_random_bytes(random).into_uuid().into())
    }
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| BureauError::Failed("the system's random source failed".into()))
}

/// Shuffles in place with the system's random source (Fisher and Yates). Taking 64 random bits modulo
/// a length of at most 10 is uneven by less than 2^-60.
pub(crate) fn shuffle<T>(items: &mut [T]) -> Result<()> {
    for i in (1..items.len()).rev() {
        let mut bytes = [0; 8];
        fill_random(&mut bytes)?;
        let bound = u64::try_from(i + 1).unwrap_or(1);
        let j = usize::try_from(u64::from_le_bytes(bytes) % bound).unwrap_or_default();
        items.swap(i, j);
    }
    Ok(())
}

pub(crate) fn sha256(bytes: &[u8]) -> casework::ids::Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    casework::ids::Digest(out)
}

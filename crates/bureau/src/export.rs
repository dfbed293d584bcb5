//! A copy of the log for somebody outside to check ([`ledger::bundle`]): what may leave, who asked for
//! it, and for whom (D5).

use crate::{Bureau, BureauError, Result};
use casework::{
    access::Action,
    clause::Clause,
    ids::{PersonId, RequestId},
    people::Role,
    processing::HouseKind,
    record::{GalleryId, Header, StreamId},
    refusal::{Refusal, refuse},
};
use ledger::{
    Checkpoint, Hash, Leaf,
    bundle::{self, Manifest, Opening, Part},
    tree,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, io};
use store::LogRow;

/// Characters at most in each of the recipient's name and the reason.
pub const EXPORT_WORDS_MAX: usize = 500;

/// A copy that left the house: the sealed payload of a `log-exported` event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogExported {
    /// Who took it.
    pub by: PersonId,
    /// What, in words.
    pub what: String,
    /// For whom.
    pub to: String,
    /// Why.
    pub why: String,
}

/// Where the files of a copy are put: path and bytes, the manifest last.
pub type Put<'a> = &'a mut (dyn FnMut(&str, &[u8]) -> io::Result<()> + Send);

/// What a copy may show of an event's header.
struct Shown {
    /// Requests whose existence is no secret.
    plain: HashMap<RequestId, GalleryId>,
    /// The one gallery that a SIAO answers for; none for an auditor, who sees all (R3).
    only: Option<GalleryId>,
}

impl Shown {
    /// Least data: looks stay closed, which also hides how many leaves belong to requests that nobody
    /// outside may know of (V1).
    fn shows(&self, event: &LogRow, header: &Header) -> bool {
        let gallery = match event.stream {
            StreamId::Request(id) => match self.plain.get(&id) {
                Some(gallery) => Some(*gallery),
                None => return false,
            },
            StreamId::Consulted(_) => return false,
            StreamId::Register | StreamId::House => header.gallery,
        };
        self.only.is_none_or(|only| gallery == Some(only))
    }
}

impl Bureau {
    /// Makes a copy of the log for somebody outside. That it left, for whom and why is in the log before
    /// anything is written, and so in the copy itself.
    ///
    /// # Errors
    /// Refused to people who may not export the log, and without recipient or reason; when the store or
    /// the place it is put fails; when the log does not agree with its checkpoint.
    pub async fn export_log(&self, who: PersonId, to: &str, why: &str, put: Put<'_>) -> Result<Manifest> {
        let (_, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::ExportLog)?;
        let mut out: Vec<Refusal> = vec![];
        for (words, ask) in [(to, "Say whom the copy is for."), (why, "Say why the copy is made.")] {
            if words.trim().is_empty() {
                out.push(refuse(&[Clause::D5], ask));
            } else if words.chars().count() > EXPORT_WORDS_MAX {
                out.push(refuse(&[Clause::D5], format!("{ask} At most {EXPORT_WORDS_MAX} characters.")));
            }
        }
        let auditor = actor.has(Role::Auditor);
        if !auditor && actor.gallery.is_none() {
            out.push(casework::access::unknown());
        }
        if !out.is_empty() {
            return Err(out.into());
        }
        let exported = LogExported { by: who, what: "exported a copy of the log".into(), to: to.trim().into(), why: why.trim().into() };
        self.house_event(HouseKind::LogExported, actor.gallery, &[Clause::D5], None, serde_json::to_vec(&exported)?).await?;
        // The copy's own leaf is in its newest checkpoint, so the witnesses have not seen that yet. It ends where most of
        // them have: what was recorded since would look like another history to whoever checks with their keys.
        let own = self.store.sequence(self.now()).await?.size;
        self.ask_all_witnesses().await?;
        let size = self.store.most_cosigned_from(own).await?.unwrap_or(own);
        let shown = Shown { plain: self.store.plain_requests().await?, only: actor.gallery.filter(|_| !auditor) };
        self.copy_log(size, &shown, put).await
    }

    async fn copy_log(&self, size: u64, shown: &Shown, put: Put<'_>) -> Result<Manifest> {
        let notes = self.store.checkpoint_notes(size).await?;
        let last = notes.last().ok_or_else(|| BureauError::Failed("the log has no checkpoint yet".into()))?;
        let newest = Checkpoint::open(last, &self.store.verifier_key()).map_err(disagrees)?;
        let mut files = Writing { put, files: vec![] };
        files.put(bundle::README_PATH, bundle::README.as_bytes())?;
        files.put("checkpoint", last.as_bytes())?;
        for (part, notes) in bundle::parts(notes.len() as u64).zip(notes.chunks(bundle::FILE_ITEMS as usize)) {
            files.put(&part.items(bundle::CHECKPOINTS), &bundle::join(notes).map_err(disagrees)?)?;
        }
        let mut hashes: HashMap<u64, Hash> = HashMap::new();
        let mut opened = 0;
        for part in bundle::parts(newest.size) {
            let events = self.store.log_rows(part.start(), part.start() + part.width).await?;
            let mut openings = vec![];
            for (n, event) in (part.start()..).zip(&events) {
                if event.index != n {
                    break;
                }
                let opening = opening(event, shown)?;
                opened += u64::from(matches!(opening, Opening::Open { .. }));
                openings.push(opening.to_bytes());
                hashes.extend(tree::append(n, event.leaf, &hashes).map_err(disagrees)?);
            }
            if openings.len() as u64 != part.width {
                return Err(BureauError::Failed("a leaf of the log has no event: verify the log".into()));
            }
            let leaves: Vec<Leaf> = events.iter().map(|e| e.leaf).collect();
            files.put(&part.items(bundle::ENTRIES), &bundle::join(leaves.iter().map(|l| l.0)).map_err(disagrees)?)?;
            files.put(&part.items(bundle::OPENINGS), &bundle::join(openings).map_err(disagrees)?)?;
        }
        if tree::root(newest.size, &hashes).map_err(disagrees)? != newest.root {
            return Err(BureauError::Failed("the log does not agree with its newest checkpoint: verify it".into()));
        }
        for part in bundle::tiles(newest.size) {
            files.put(&part.tile(), &tile(part, &hashes)?)?;
        }
        files.files.sort_unstable_by(|a, b| a.2.cmp(&b.2));
        let manifest = Manifest {
            size: newest.size,
            checkpoints: notes.len() as u64,
            opened,
            closed: newest.size - opened,
            log_key: self.store.verifier_key(),
            witness_keys: self.store.cosigners().await?,
            files: files.files,
        };
        (files.put)("manifest", manifest.to_text().as_bytes()).map_err(unwritten)?;
        Ok(manifest)
    }
}

fn opening(event: &LogRow, shown: &Shown) -> Result<Opening> {
    let header: Header = serde_json::from_str(&event.header)?;
    Ok(if shown.shows(event, &header) {
        Opening::Open { stream: event.stream_key, seq: event.seq, salt: event.salt, header: event.header.clone(), payload: event.payload }
    } else {
        let header = bundle::header_commitment(&event.salt, &event.stream_key, event.seq, event.header.as_bytes());
        Opening::Closed { header, payload: event.payload }
    })
}

fn tile(part: Part, hashes: &HashMap<u64, Hash>) -> Result<Vec<u8>> {
    let mut out = vec![];
    for n in part.start()..part.start() + part.width {
        let hash = hashes.get(&tree::stored_index(part.level * 8, n));
        out.extend_from_slice(hash.ok_or_else(|| BureauError::Failed("a hash of the log is missing: verify it".into()))?);
    }
    Ok(out)
}

/// Puts files and remembers them for the manifest.
struct Writing<'a> {
    put: Put<'a>,
    files: Vec<(String, u64, String)>,
}

impl Writing<'_> {
    fn put(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        (self.put)(path, bytes).map_err(unwritten)?;
        self.files.push((bundle::sha256(bytes), bytes.len() as u64, path.to_owned()));
        Ok(())
    }
}

fn unwritten(error: io::Error) -> BureauError {
    BureauError::Failed(format!("the copy could not be written: {error}"))
}

fn disagrees(error: ledger::LedgerError) -> BureauError {
    BureauError::Store(store::StoreError::Ledger(error))
}

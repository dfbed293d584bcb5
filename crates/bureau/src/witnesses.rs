//! respond, guarded: with `k` of `n` witnesses required, no answer is released before the record that it
//! rests on is under a checkpoint that `k` of them cosigned (D5).
//!
//! A witness is a process of somebody else's ([`witness`]). Each new checkpoint is submitted to each; what they
//! cosign is kept durably, and verified anew when a release asks for it.

use crate::{Bureau, Result};
use casework::{ids::RequestId, record::StreamId, request::{Request, State}};
use jiff::Timestamp;
use ledger::{WitnessKey, verify, witness::AddCheckpoint};
use serde::Serialize;
use std::time::Duration;
use store::SignedCheckpoint;
use witness::Said;

/// How long a witness may take to answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often a checkpoint that nothing was added to is cosigned again, so that its time says that it is still the newest.
pub const COSIGNED_AGAIN: Duration = Duration::from_secs(3600);
/// Reason of a job that waits for witnesses.
pub(crate) const WAITING: &str = "witness";

/// Where a witness is asked, and the key that it answers under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessAt {
    /// Its submission prefix: `http://HOST[:PORT][/PREFIX]`.
    pub url: String,
    /// Its key.
    pub key: WitnessKey,
}

/// The witnesses of this house.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// How many must have cosigned before an answer is released; 0: none need to.
    pub require: usize,
    /// Which there are.
    pub list: Vec<WitnessAt>,
}

impl Witnesses {
    /// Everything wrong with them, at once.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut out = vec![];
        if self.require > self.list.len() {
            out.push(format!("witness.require is {} and {} are listed: nothing could ever be released.", self.require, self.list.len()));
        }
        for (n, w) in self.list.iter().enumerate() {
            if let Err(e) = witness::endpoint(&w.url) {
                out.push(format!("witness.list: {}: {e}.", w.url));
            }
            if self.list[..n].iter().any(|before| before.key.same_signer(&w.key)) {
                out.push(format!("witness.list: {} is listed twice, or under two names: it would count twice.", w.key.name()));
            }
        }
        out
    }
}

/// How a witness stands to this house, for an operator.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessStanding {
    /// Its name.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// The newest checkpoint that it cosigned: size and time.
    pub cosigned: Option<(u64, Timestamp)>,
    /// What is wrong, in words.
    pub problem: Option<&'static str>,
}

/// A problem's code in words, with what to do.
fn words(code: &str) -> &'static str {
    match code {
        "ahead" => {
            "it cosigned a longer log than this one: an older copy of the records was put back. Stop, keep everything, and restore the newest copy."
        }
        "split" => "it cosigned another history of this log. Stop, keep everything, and find out which copy is right.",
        "unknown-log" => "it does not watch this log, or knows it under another key. Ask whoever keeps it to add the log's key.",
        "wrong-key" => "it answered under another key than the one configured.",
        "unreachable" => "it does not answer.",
        _ => "it refuses.",
    }
}

impl Bureau {
    /// The same bureau with witnesses.
    #[must_use]
    pub fn with_witnesses(mut self, witnesses: Witnesses) -> Self {
        self.witnesses = witnesses;
        self
    }

    /// How many witnesses there are.
    #[must_use]
    pub fn witness_count(&self) -> usize {
        self.witnesses.list.len()
    }

    /// Submits the newest checkpoint to one witness, if it has not cosigned that; says whether it has now. When
    /// enough have, the answers that waited for them are made due.
    ///
    /// # Errors
    /// When the store fails. What a witness does wrong is noted, not an error.
    pub async fn ask_witness(&self, n: usize) -> Result<bool> {
        let Some(at) = self.witnesses.list.get(n) else { return Ok(true) };
        let Some(newest) = self.store.checkpoint().await? else { return Ok(true) };
        let now = self.now();
        if let Some((size, when)) = self.store.cosigned_by(&at.key).await?
            && size == newest.checkpoint.size
            && now.duration_since(when).unsigned_abs() < COSIGNED_AGAIN
        {
            return Ok(true);
        }
        let done = self.submit(at, &newest).await?;
        if done && self.enough(newest.checkpoint.size).await? {
            self.store.wake_jobs(WAITING, self.now()).await?;
        }
        Ok(done)
    }

    /// Submits the newest checkpoint to all witnesses at once and waits for their answers; says how many
    /// have cosigned it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ask_all_witnesses(&self) -> Result<usize> {
        let asked = (0..self.witnesses.list.len()).map(|n| self.ask_witness(n));
        let mut cosigned = 0;
        for answer in futures_util::future::join_all(asked).await {
            cosigned += usize::from(answer?);
        }
        Ok(cosigned)
    }

    async fn submit(&self, at: &WitnessAt, newest: &SignedCheckpoint) -> Result<bool> {
        let size = newest.checkpoint.size;
        let state = self.store.witness_state(&at.key).await?;
        let mut old = state.as_ref().map_or(0, |s| s.size);
        let mut problem = "refused";
        for _ in 0..2 {
            if old > size {
                // Another node of this house may have submitted a newer one meanwhile.
                if self.store.checkpoint().await?.is_some_and(|c| c.checkpoint.size >= old) {
                    return Ok(false);
                }
                problem = "ahead";
                // What the witness said stays as it was noted, so that it is asked from the start next time.
                old = 0;
            }
            let proof = if old == 0 || old == size { vec![] } else { self.store.consistency(old, size).await? };
            let request = AddCheckpoint { old, proof, note: newest.note.clone() };
            match witness::add_checkpoint(&at.url, &request, ANSWER_MAX).await {
                Ok(Said::Cosigned(lines)) => {
                    let text = ledger::Signed::parse(&newest.note).map_err(store::StoreError::from)?.text;
                    if let Some(line) = lines.iter().find(|l| at.key.check(&text, l).is_ok()) {
                        self.store.keep_cosignature(size, &at.key, line, self.now()).await?;
                        return Ok(true);
                    }
                    problem = "wrong-key";
                    break;
                }
                Ok(Said::Conflict(known)) if known > size => {
                    problem = "ahead";
                    if self.store.checkpoint().await?.is_some_and(|c| c.checkpoint.size >= known) {
                        return Ok(false);
                    }
                    break;
                }
                Ok(Said::Conflict(known)) if known == old => {
                    problem = "split";
                    break;
                }
                Ok(Said::Conflict(known)) => old = known,
                Ok(Said::Refused(422)) => {
                    problem = "split";
                    break;
                }
                Ok(Said::Refused(403 | 404)) => {
                    problem = "unknown-log";
                    break;
                }
                Ok(Said::Refused(_)) => break,
                Err(_) => {
                    problem = "unreachable";
                    break;
                }
            }
        }
        if state.as_ref().and_then(|s| s.problem.as_deref()) != Some(problem) {
            tracing::error!(witness = at.key.name(), problem, "a witness does not cosign: {}", words(problem));
            self.store.note_witness(&at.key, state.map_or(0, |s| s.size), Some(problem), self.now()).await?;
        }
        Ok(false)
    }

    /// Whether enough witnesses have cosigned a checkpoint of at least `size` leaves.
    async fn enough(&self, size: u64) -> Result<bool> {
        let mut cosigned = 0;
        for w in &self.witnesses.list {
            cosigned += usize::from(self.store.cosigned_by(&w.key).await?.is_some_and(|(s, _)| s >= size));
        }
        Ok(cosigned >= self.witnesses.require)
    }

    /// Whether any witness must have cosigned.
    pub(crate) fn needs_witnesses(&self) -> bool {
        self.witnesses.require > 0
    }

    /// Whether the last event of a request, and so all before it, is under a checkpoint of each of enough
    /// witnesses: proved, not looked up.
    pub(crate) async fn witnessed(&self, request: &Request) -> Result<bool> {
        if self.witnesses.require == 0 {
            return Ok(true);
        }
        let stream = StreamId::Request(request.id);
        let Some(index) = self.store.log_index(stream, request.version).await? else { return Ok(false) };
        let mut cosigned = 0;
        for w in &self.witnesses.list {
            let Some((size, _)) = self.store.cosigned_by(&w.key).await?.filter(|(size, _)| *size > index) else { continue };
            let (checkpoint, leaf, proof) = self.store.inclusion_under(size, stream, request.version).await?;
            verify::inclusion(&proof, size, checkpoint.root, index, leaf).map_err(store::StoreError::from)?;
            cosigned += 1;
        }
        Ok(cosigned >= self.witnesses.require)
    }

    /// Whether a request's answer is made up and waits for the witnesses.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn waits_for_witnesses(&self, id: RequestId) -> Result<bool> {
        let request = self.open(id).await?;
        Ok(request.state == State::Answering && !self.witnessed(&request).await?)
    }

    /// How each witness stands to this house, for an operator at the command line.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn witness_standings(&self) -> Result<Vec<WitnessStanding>> {
        let mut out = vec![];
        for w in &self.witnesses.list {
            let state = self.store.witness_state(&w.key).await?;
            out.push(WitnessStanding {
                name: w.key.name().to_owned(),
                url: w.url.clone(),
                cosigned: self.store.cosigned_by(&w.key).await?,
                problem: match state {
                    None => Some("it was never asked."),
                    Some(s) => s.problem.as_deref().map(words),
                },
            });
        }
        Ok(out)
    }
}

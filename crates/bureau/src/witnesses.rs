//! respond, guarded: with `k` of `n` witnesses required, nothing leaves before the record of it is under a
//! checkpoint that `k` of them cosigned (D5).
//!
//! An answer waits twice: before it is released, for what was recorded of the request up to then, since a release
//! cannot be taken back; and, released, before the force opens it, for the release itself.
//!
//! A witness is a process of somebody else's ([`witness`]). Each new checkpoint is submitted to each; what they
//! cosign is kept durably, and verified anew whenever something wants to leave.

use crate::{Bureau, BureauError, Result};
use casework::{
    record::StreamId,
    request::{Request, State},
    witnessed::Witnessed,
};
use jiff::Timestamp;
use ledger::{WitnessKey, witness::AddCheckpoint};
use serde::Serialize;
use std::{sync::PoisonError, time::Duration};
use store::{SignedCheckpoint, WitnessState};
use witness::{ClientError, Said};

/// How long a witness may take to answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How often a checkpoint that nothing was added to is cosigned again, so that its time says that it is still the newest.
pub const COSIGNED_AGAIN: Duration = Duration::from_secs(3600);
/// How long a release that waits for witnesses rests, in seconds, unless they cosign before.
pub const LOOKED_AGAIN_S: i64 = 60;
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
    /// How many must have cosigned before anything leaves; 0: none need to.
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
            out.push(format!("witness.require is {} and {} are listed: nothing could ever leave.", self.require, self.list.len()));
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

/// How the witnesses stand to this house, for an operator.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessStandings {
    /// How many must have cosigned before anything leaves.
    pub required: usize,
    /// Leaves under the newest checkpoint.
    pub size: u64,
    /// Answers that wait for them.
    pub waiting: u64,
    /// Each of them.
    pub witnesses: Vec<WitnessStanding>,
}

/// How a witness stands to this house.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessStanding {
    /// Its name.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// The newest checkpoint that it cosigned: leaves, and the time that it signed.
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
        "no-cosignature" => "what it answered is no cosignature of this checkpoint by the key configured.",
        "unreachable" => "it does not answer.",
        "not-a-witness" => "what answers at its address is no witness.",
        _ => "it refuses.",
    }
}

/// What asking a witness came to.
enum Asked {
    /// It has cosigned the checkpoint.
    Cosigned,
    /// Another process of this house was quicker with a newer one.
    Overtaken,
    /// It has not: a code.
    Problem(&'static str),
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

    /// Submits the newest checkpoint to one witness, if it has not cosigned that lately and since the records were opened; says whether it has now. When
    /// with it more is under enough cosignatures, the answers that waited are made due.
    ///
    /// # Errors
    /// When the store fails. What a witness does wrong is noted, not an error.
    pub async fn ask_witness(&self, n: usize) -> Result<bool> {
        let Some(at) = self.witnesses.list.get(n) else { return Ok(true) };
        let Some(newest) = self.store.checkpoint().await? else { return Ok(true) };
        let state = self.store.witness_state(&at.key).await?;
        let lately = |s: &WitnessState| self.now().duration_since(s.at).unsigned_abs() < COSIGNED_AGAIN;
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(&n);
        if heard
            && state.as_ref().is_some_and(|s| s.problem.is_none() && s.size == newest.checkpoint.size && lately(s))
            && self.store.cosigned_by(&at.key).await?.is_some_and(|(c, _)| c.size == newest.checkpoint.size)
        {
            return Ok(true);
        }
        let before = self.under_enough().await?;
        match self.submit(at, state.as_ref(), &newest).await? {
            Asked::Cosigned => {
                self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(n);
                if self.under_enough().await? > before {
                    self.store.wake_jobs(WAITING, self.now()).await?;
                }
                Ok(true)
            }
            Asked::Overtaken => Ok(false),
            Asked::Problem(problem) => {
                if state.as_ref().and_then(|s| s.problem.as_deref()) != Some(problem) {
                    tracing::error!(witness = at.key.name(), problem, "a witness does not cosign: {}", words(problem));
                    self.store.note_witness(&at.key, state.map_or(0, |s| s.size), Some(problem), self.now()).await?;
                }
                Ok(false)
            }
        }
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

    async fn submit(&self, at: &WitnessAt, state: Option<&WitnessState>, newest: &SignedCheckpoint) -> Result<Asked> {
        let size = newest.checkpoint.size;
        let mut old = state.map_or(0, |s| s.size);
        // Once from what we believe that it knows, and once more from what it says.
        for _ in 0..2 {
            if old > size {
                old = 0; // our own records were longer once: it will say what it knows
            }
            let proof = if old == 0 || old == size { vec![] } else { self.store.consistency(old, size).await? };
            let request = AddCheckpoint { old, proof, note: newest.note.clone() };
            return Ok(match witness::add_checkpoint(&at.url, &request, ANSWER_MAX).await {
                Ok(Said::Cosigned(lines)) => {
                    let text = ledger::Signed::parse(&newest.note).map_err(store::StoreError::from)?.text;
                    match lines.iter().find(|l| at.key.check(&text, l).is_ok()) {
                        Some(line) => {
                            self.store.keep_cosignature(size, &at.key, line, self.now()).await?;
                            Asked::Cosigned
                        }
                        None => Asked::Problem("no-cosignature"),
                    }
                }
                Ok(Said::Conflict(known)) if known > size => {
                    let longer_here = self.store.checkpoint().await?.is_some_and(|c| c.checkpoint.size >= known);
                    if longer_here { Asked::Overtaken } else { Asked::Problem("ahead") }
                }
                Ok(Said::Conflict(known)) if known == old => Asked::Problem("split"),
                Ok(Said::Conflict(known)) => {
                    old = known;
                    continue;
                }
                Ok(Said::Refused(422)) => Asked::Problem("split"),
                Ok(Said::Refused(403 | 404)) => Asked::Problem("unknown-log"),
                Ok(Said::Refused(_)) => Asked::Problem("refused"),
                Err(ClientError::Answer) => Asked::Problem("not-a-witness"),
                Err(_) => Asked::Problem("unreachable"),
            });
        }
        Ok(Asked::Problem("refused"))
    }

    /// The leaves that enough witnesses have cosigned; 0 if none need to.
    async fn under_enough(&self) -> Result<u64> {
        let mut sizes = vec![];
        for w in &self.witnesses.list {
            sizes.extend(self.store.cosigned_by(&w.key).await?.map(|(c, _)| c.size));
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        Ok(self.witnesses.require.checked_sub(1).and_then(|n| sizes.get(n)).copied().unwrap_or(0))
    }

    /// How many witnesses have cosigned a checkpoint that event `seq` of a stream is under, proved for each of them. In
    /// the log's order all before it in the stream is under it too.
    pub(crate) async fn witnessed(&self, stream: StreamId, seq: u64) -> Result<Witnessed> {
        let mut out = Witnessed { cosigned: 0, required: self.witnesses.require, of: self.witnesses.list.len() };
        if out.required > 0 {
            for w in &self.witnesses.list {
                out.cosigned += usize::from(self.store.is_witnessed(&w.key, stream, seq).await?);
            }
        }
        Ok(out)
    }

    /// What an answer waits for: to be released, or, released and not opened yet, to be opened. `None`: for no witness.
    pub(crate) async fn waits_for(&self, request: &Request) -> Result<Option<Witnessed>> {
        let seq = match request.state {
            State::Answering => request.version,
            State::Answered | State::Closed if request.collected_at.is_none() => match request.released_in {
                Some(seq) => seq,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(self.witnessed(StreamId::Request(request.id), seq).await?).filter(|w| !w.enough()))
    }

    /// Holds something that leaves at once until the witnesses have cosigned the record of it: they are asked now.
    ///
    /// # Errors
    /// [`BureauError::AwaitingWitnesses`] if too few have: then nothing may leave.
    pub(crate) async fn witnessed_now(&self, stream: StreamId, seq: u64) -> Result<()> {
        if self.witnesses.require > 0 {
            self.store.sequence(self.now()).await?;
            self.ask_all_witnesses().await?;
        }
        let witnessed = self.witnessed(stream, seq).await?;
        if witnessed.enough() { Ok(()) } else { Err(BureauError::AwaitingWitnesses(witnessed)) }
    }

    /// How the witnesses stand to this house, for an operator at the command line.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn witness_standings(&self) -> Result<WitnessStandings> {
        let mut witnesses = vec![];
        for w in &self.witnesses.list {
            witnesses.push(WitnessStanding {
                name: w.key.name().to_owned(),
                url: w.url.clone(),
                cosigned: self.store.cosigned_by(&w.key).await?.map(|(c, at)| (c.size, at)),
                problem: match self.store.witness_state(&w.key).await? {
                    None => Some("it was never asked."),
                    Some(s) => s.problem.as_deref().map(words),
                },
            });
        }
        Ok(WitnessStandings {
            required: self.witnesses.require,
            size: self.store.checkpoint().await?.map_or(0, |c| c.checkpoint.size),
            waiting: self.store.resting_jobs(WAITING).await?,
            witnesses,
        })
    }
}

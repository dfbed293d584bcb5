//! What must hold after each cycle.

use crate::{
    child::{Jumping, Step},
    outside::{Outside, REQUIRED},
};
use bureau::{Bureau, Clock};
use casework::{
    ids::RequestId,
    people::{Register, RegisterEvent},
    record::{GalleryId, RetentionClass, StreamId},
    request::State,
    testing::{World, desk},
};
use ledger::{Checkpoint, Signed};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    sync::Arc,
};
use store::{Place, Store, StoreError};

/// What was acknowledged in the life of one data directory.
#[derive(Default)]
pub(crate) struct Life {
    versions: BTreeMap<RequestId, u64>,
    served: Vec<RequestId>,
    erased: Vec<(RequestId, RetentionClass)>,
}

impl Life {
    pub(crate) fn learn(&mut self, step: Step) {
        match step {
            Step::Acknowledged { request, version } => {
                let known = self.versions.entry(request).or_default();
                *known = version.max(*known);
            }
            Step::Served { request } => self.served.push(request),
            Step::Erased { request, class } => self.erased.push((request, class)),
            Step::Rotated | Step::Refused => {}
        }
    }
}

pub(crate) async fn opened(place: &Place, clock: Arc<dyn Clock>) -> Result<Bureau, StoreError> {
    Ok(Bureau::of_record(Store::open_at(place).await?, clock))
}

/// A data directory with everybody on its register; the log's key.
pub(crate) async fn found(place: &Place) -> ledger::VerifierKey {
    let store = Store::create_at(place, "torture.example/log").await.unwrap();
    let bureau = Bureau::of_record(store.clone(), Arc::new(Jumping::days_on(0)));
    let register: Register = World::new().register;
    let mut events: Vec<RegisterEvent> = register.leos.values().cloned().map(RegisterEvent::LeoEntered).collect();
    events.extend(register.dsas.values().cloned().map(RegisterEvent::DsaEntered));
    events.extend(register.people.values().cloned().map(RegisterEvent::PersonEntered));
    events.extend(register.teams.values().cloned().map(RegisterEvent::TeamEntered));
    bureau.found_register(events).await.unwrap();
    let key = store.verifier_key();
    store.close().await;
    key
}

/// Ends a change of the master key that was stopped half-way, as an operator does who runs it again.
///
/// # Errors
/// What does not hold.
pub(crate) async fn rotation_ends(place: &Place) -> Result<(), String> {
    Store::rotate_master(place, None).await.map_err(|e| format!("the master key's change does not go on: {e}"))?;
    let mut left: Vec<_> = fs::read_dir(place.dir.join("secrets")).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    if left == ["certificate.key", "log.key", "lookup.key", "master.key"] {
        return Ok(());
    }
    Err(format!("the master key's change has ended, and its folder holds {left:?}"))
}

/// Opens what a cycle left behind and looks at all of it; then lets a worker do what is owed, and looks again. Says
/// how many answers have left.
///
/// # Errors
/// What does not hold.
pub(crate) async fn holds(place: &Place, life: &Life, days: i64, outside: Option<&Outside>) -> Result<u64, String> {
    // A few days on: what the processes had claimed, and what they put off, is anybody's again.
    let bureau = opened(place, Arc::new(Jumping::days_on(days + 4))).await.map_err(|e| format!("it does not open: {e}"))?;
    let bureau = bureau.with_witnesses(outside.map(Outside::witnesses).unwrap_or_default());
    // Before anybody asks them again: what the cycle let go had to be under their hands then.
    let mut found = everything(&bureau, life).await;
    if let Some(outside) = outside {
        found = match found {
            Ok(_) => under_witnesses(&bureau, life, outside).await,
            wrong => wrong,
        };
    }
    let store = bureau.store().clone();
    if found.is_ok() {
        work(&bureau).await?;
        // What failed too often in the cycles before waits for a leader, who lets it be tried again.
        let leader = desk(GalleryId::Passport).leader;
        for job in bureau.failed_jobs(leader).await.map_err(|e| format!("failed jobs: {e}"))? {
            if job.owed {
                bureau.try_again(leader, job.job).await.map_err(|e| format!("trying {} again: {e}", job.kind))?;
            }
        }
        bureau.work("check").await.map_err(|e| format!("a worker fails: {e}"))?;
        if let Some(outside) = outside {
            all_cosign(&bureau).await?;
            work(&bureau).await?;
            all_cosign(&bureau).await?;
            under_witnesses(&bureau, life, outside).await.map_err(|e| format!("after a worker: {e}"))?;
            for (status, times) in outside.said() {
                // 400: what somebody sent who was killed at it.
                if !matches!(status, 200 | 400 | 409) {
                    return Err(format!("a witness answered {status}, {times} times"));
                }
            }
        }
        found = everything(&bureau, life).await.map_err(|e| format!("after a worker: {e}"));
        for id in store.request_ids(None).await.map_err(|e| e.to_string())? {
            let request = bureau.open(id).await.map_err(|e| format!("{id}: {e}"))?;
            if request.state == State::Answering {
                return Err(format!("{id}: its answer is prepared and no worker releases it"));
            }
        }
    }
    drop(bureau);
    store.close().await;
    found
}

async fn work(bureau: &Bureau) -> Result<(), String> {
    let worked = bureau.work("check").await.map_err(|e| format!("a worker fails: {e}"))?;
    if worked.failed > 0 { Err(format!("{} jobs fail", worked.failed)) } else { Ok(()) }
}

/// All of the witnesses cosign, and none of them finds anything wrong.
async fn all_cosign(bureau: &Bureau) -> Result<(), String> {
    let cosigned = bureau.ask_all_witnesses().await.map_err(|e| format!("the witnesses cannot be asked: {e}"))?;
    let standings = bureau.witness_standings().await.map_err(|e| e.to_string())?;
    if cosigned == bureau.witness_count() && standings.witnesses.iter().all(|w| w.problem.is_none()) {
        return Ok(());
    }
    Err(format!("{cosigned} witnesses cosign: {standings:?}"))
}

/// What left, and what was opened, is under checkpoints that enough witnesses cosigned: by what they keep themselves.
async fn under_witnesses(b: &Bureau, life: &Life, outside: &Outside) -> Result<u64, String> {
    let text = |e: store::StoreError| e.to_string();
    let store = b.store();
    let signed = store.checkpoint_notes(u64::from(u32::MAX)).await.map_err(text)?;
    let mut sizes = vec![];
    for note in outside.kept().into_iter().flatten() {
        let checkpoint = Checkpoint::open(&note, &store.verifier_key()).map_err(|e| e.to_string())?;
        let cosigned = Signed::parse(&note).map_err(|e| e.to_string())?.text;
        if !signed.iter().any(|s| s.starts_with(&cosigned)) {
            return Err(format!("a witness cosigned {} leaves that this log never had", checkpoint.size));
        }
        sizes.push(checkpoint.size);
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let covered = sizes.get(REQUIRED - 1).copied().unwrap_or(0);
    let log = store.log_rows(0, u64::from(u32::MAX)).await.map_err(text)?;
    let at: HashMap<(StreamId, u64), u64> = log.into_iter().map(|row| ((row.stream, row.seq), row.index)).collect();
    let under = |stream, seq| at.get(&(stream, seq)).is_some_and(|index| *index < covered);
    let mut left = 0;
    for id in store.request_ids(None).await.map_err(text)? {
        let stream = StreamId::Request(id);
        let records = store.load(stream).await.map_err(text)?;
        let mut released = None;
        for (seq, record) in (1_u64..).zip(&records) {
            match record.header.kind.as_str() {
                // What was recorded up to then was witnessed before it was let go. That it is disclosed is recorded with it.
                "released" => {
                    left += 1;
                    released = Some(seq);
                    let with_it = records.iter().take(usize::try_from(seq - 1).unwrap_or(0)).rev();
                    let with_it = with_it.take_while(|r| r.header.kind == "disclosed").count();
                    if !under(stream, seq - 1 - with_it as u64) {
                        return Err(format!(
                            "{id}: it was released with {covered} leaves under {REQUIRED} witnesses, and they do not cover it"
                        ));
                    }
                }
                "collected" if !released.is_some_and(|seq| under(stream, seq)) => {
                    return Err(format!(
                        "{id}: it was opened with {covered} leaves under {REQUIRED} witnesses, and they do not cover its release"
                    ));
                }
                _ => {}
            }
        }
        if life.served.contains(&id) && !released.is_some_and(|seq| under(stream, seq)) {
            return Err(format!("{id}: it was served with {covered} leaves under {REQUIRED} witnesses, and they do not cover its release"));
        }
    }
    Ok(left)
}

async fn everything(b: &Bureau, life: &Life) -> Result<u64, String> {
    let mut left = 0;
    let text = |e: bureau::BureauError| e.to_string();
    let verified = b.verify().await.map_err(text)?;
    if let Some(fault) = verified.fault {
        return Err(format!("the log: {fault}"));
    }
    let replayed = b.replay().await.map_err(text)?;
    if !replayed.differing.is_empty() || !replayed.entries_differing.is_empty() || replayed.figures_differ {
        return Err(format!("replay: {replayed:?}"));
    }
    for (id, version) in &life.versions {
        let stored = b.store().version(StreamId::Request(*id)).await.map_err(|e| e.to_string())?;
        if stored < *version {
            return Err(format!("{id}: version {version} was acknowledged, {stored} is stored"));
        }
    }
    for id in b.store().request_ids(None).await.map_err(|e| e.to_string())? {
        let records = b.store().load(StreamId::Request(id)).await.map_err(|e| e.to_string())?;
        let count = |kind: &str| records.iter().filter(|r| r.header.kind == kind).count();
        left += u64::try_from(count("released")).unwrap_or(0);
        if count("released") > count("answer-prepared") {
            return Err(format!("{id}: released {} times, made up {} times", count("released"), count("answer-prepared")));
        }
        if count("collected") > 1 || (count("collected") == 1 && count("released") == 0) {
            return Err(format!("{id}: opened {} times for the first time, released {} times", count("collected"), count("released")));
        }
    }
    for id in &life.served {
        let records = b.store().load(StreamId::Request(*id)).await.map_err(|e| e.to_string())?;
        if !records.iter().any(|r| r.header.kind == "released") {
            return Err(format!("{id}: its answer was served and no release is recorded"));
        }
        let looks = b.store().version(StreamId::Consulted(*id)).await.map_err(|e| e.to_string())?;
        if looks == 0 {
            return Err(format!("{id}: its answer was served and no look is recorded"));
        }
    }
    for (id, class) in &life.erased {
        let records = b.store().load(StreamId::Request(*id)).await.map_err(|e| e.to_string())?;
        // What says that it was erased is recorded after, under a key of its own.
        if let Some(r) = records.iter().find(|r| r.header.class == *class && r.payload.is_some() && r.header.kind != "erased") {
            return Err(format!("{id}: {class} was erased, and its {} is there", r.header.kind));
        }
    }
    Ok(left)
}

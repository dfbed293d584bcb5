//! What must hold after each cycle.

use crate::child::{Jumping, Step};
use bureau::{Bureau, Clock};
use casework::{
    ids::RequestId,
    people::{Register, RegisterEvent},
    record::{GalleryId, RetentionClass, StreamId},
    request::State,
    testing::{World, desk},
};
use std::{collections::BTreeMap, sync::Arc};
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
            Step::Refused => {}
        }
    }
}

pub(crate) async fn opened(place: &Place, clock: Arc<dyn Clock>) -> Result<Bureau, StoreError> {
    Ok(Bureau::of_record(Store::open_at(place).await?, clock))
}

/// A data directory with everybody on its register.
pub(crate) async fn found(place: &Place) {
    let store = Store::create_at(place, "torture.example/log").await.unwrap();
    let bureau = Bureau::of_record(store.clone(), Arc::new(Jumping::days_on(0)));
    let register: Register = World::new().register;
    let mut events: Vec<RegisterEvent> = register.leos.values().cloned().map(RegisterEvent::LeoEntered).collect();
    events.extend(register.dsas.values().cloned().map(RegisterEvent::DsaEntered));
    events.extend(register.people.values().cloned().map(RegisterEvent::PersonEntered));
    events.extend(register.teams.values().cloned().map(RegisterEvent::TeamEntered));
    bureau.found_register(events).await.unwrap();
    store.close().await;
}

/// Opens what a cycle left behind and looks at all of it; then lets a worker do what is owed, and looks again.
///
/// # Errors
/// What does not hold.
pub(crate) async fn holds(place: &Place, life: &Life, days: i64) -> Result<(), String> {
    // A few days on: what the processes had claimed, and what they put off, is anybody's again.
    let bureau = opened(place, Arc::new(Jumping::days_on(days + 4))).await.map_err(|e| format!("it does not open: {e}"))?;
    let found = everything(&bureau, life).await;
    let store = bureau.store().clone();
    if found.is_ok() {
        let worked = bureau.work("check").await.map_err(|e| format!("a worker fails: {e}"))?;
        if worked.failed > 0 {
            return Err(format!("{} jobs fail", worked.failed));
        }
        // What failed too often in the cycles before waits for a leader, who lets it be tried again.
        let leader = desk(GalleryId::Passport).leader;
        for job in bureau.failed_jobs(leader).await.map_err(|e| format!("failed jobs: {e}"))? {
            if job.owed {
                bureau.try_again(leader, job.job).await.map_err(|e| format!("trying {} again: {e}", job.kind))?;
            }
        }
        bureau.work("check").await.map_err(|e| format!("a worker fails: {e}"))?;
        everything(&bureau, life).await.map_err(|e| format!("after a worker: {e}"))?;
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

async fn everything(b: &Bureau, life: &Life) -> Result<(), String> {
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
    Ok(())
}

//! The process that is tormented: several people at once, and a worker, carry requests along, and say on
//! standard output what was acknowledged to them, as soon as it was.

use crate::{Chance, check::opened, outside};
use bureau::{Bureau, BureauError, Clock, Once};
use casework::{
    assess::{Criterion, Decision, Finding},
    command::Command,
    ids::{AuthorisationId, DraftId, PersonId, ProbeId, RequestId},
    record::{GalleryId, RetentionClass, StreamId},
    request::State,
    testing::{APPROVER, REQUESTER, World, desk},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use store::{Database, Place, PutDraft, Servers, Store};
use uuid::Uuid;

/// The environment's names for the addresses of the records and the keys.
pub(crate) const ADDRESSES: [&str; 2] = ["TORTURE_RECORDS", "TORTURE_KEYS"];
/// The environment's name for: the master key is changed before anything else is done.
pub(crate) const ROTATE: &str = "TORTURE_ROTATE";
/// How long whoever asks a witness rests before the next checkpoint.
const ASKING_REST: Duration = Duration::from_millis(25);
/// Steps that each of the people takes.
const STEPS: u64 = 14;
/// How long somebody whose step failed waits before the next, where the server may be gone.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);
/// Days by which a clock jumps at most, either way.
const JUMP_DAYS: i64 = 3;
const PASSPORT: GalleryId = GalleryId::Passport;

/// What was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A request came to a version.
    Acknowledged { request: RequestId, version: u64 },
    /// An answer was handed to whom it was for.
    Served { request: RequestId },
    /// A worker said that a class of a request was erased.
    Erased { request: RequestId, class: RetentionClass },
    /// The master key gave way to another.
    Rotated,
    /// A step failed, and said so.
    Refused,
}

impl Step {
    fn tell(self) {
        let line = match self {
            Self::Acknowledged { request, version } => format!("ack {request} {version}\n"),
            Self::Served { request } => format!("served {request}\n"),
            Self::Erased { request, class } => format!("erased {request} {class}\n"),
            Self::Rotated => "rotated\n".into(),
            Self::Refused => "refused\n".into(),
        };
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
    }

    /// Reads a whole line; half of one, from a process that was killed, is none.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        match (words.next()?, words.next(), words.next()) {
            ("ack", Some(id), Some(v)) => Some(Self::Acknowledged { request: id.parse().ok()?, version: v.parse().ok()? }),
            ("served", Some(id), None) => Some(Self::Served { request: id.parse().ok()? }),
            ("erased", Some(id), Some(c)) => Some(Self::Erased { request: id.parse().ok()?, class: c.parse().ok()? }),
            ("rotated", None, None) => Some(Self::Rotated),
            ("refused", None, None) => Some(Self::Refused),
            _ => None,
        }
    }
}

/// The world's time, so many days on, which may jump.
pub(crate) struct Jumping {
    began: Instant,
    start: Timestamp,
    jumped: AtomicI64,
}

impl Jumping {
    pub(crate) fn days_on(days: i64) -> Self {
        Self { began: Instant::now(), start: World::new().now + SignedDuration::from_hours(24 * days), jumped: AtomicI64::new(0) }
    }
    fn jump(&self, chance: &mut Chance) {
        let seconds = i64::try_from(chance.below(u64::try_from(2 * JUMP_DAYS * 86_400).unwrap())).unwrap() - JUMP_DAYS * 86_400;
        self.jumped.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.began.elapsed()).unwrap();
        self.start + passed + SignedDuration::from_secs(self.jumped.load(Ordering::Relaxed))
    }
}

pub(crate) async fn run() -> ExitCode {
    let mut args = std::env::args().skip(2);
    let mut next = || args.next().expect("child STORE SEED DAYS jumps|steady");
    let (folder, seed, days, clock) = (PathBuf::from(next()), next().parse::<u64>().unwrap(), next().parse::<i64>().unwrap(), next());
    let time = Arc::new(Jumping::days_on(days));
    if std::env::var_os(ROTATE).is_some() {
        // As an operator does it, with everything stopped; another process that has it open is a refusal.
        match Store::rotate_master(&place_of(&folder), None).await {
            Ok(_) => Step::Rotated.tell(),
            Err(_) => Step::Refused.tell(),
        }
    }
    // A fault may strike while it opens: then it says so and ends, and nothing was acknowledged.
    let Ok(bureau) = opened(&place_of(&folder), time.clone()).await else { return ExitCode::FAILURE };
    let witnesses = outside::list();
    let bureau = Arc::new(bureau.with_witnesses(witnesses.unwrap_or_default()));
    for n in 0..bureau.witness_count() {
        let bureau = bureau.clone();
        tokio::spawn(async move {
            loop {
                let _ = bureau.ask_witness(n).await; // a fault may strike here too: it is asked again
                tokio::time::sleep(ASKING_REST).await;
            }
        });
    }
    let on_server = place_of(&folder).database != Database::Folder;
    let mut people = vec![];
    for n in 0..3_u64 {
        let (bureau, time, jumps) = (bureau.clone(), time.clone(), clock == "jumps");
        people.push(tokio::spawn(async move {
            let mut chance = Chance(seed ^ (n << 32));
            for _ in 0..STEPS {
                if jumps && chance.below(4) == 0 {
                    time.jump(&mut chance);
                }
                if step(&bureau, &mut chance).await.is_err() {
                    Step::Refused.tell();
                    if on_server {
                        // As people do when the page says that it cannot be reached.
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                }
            }
        }));
    }
    for p in people {
        p.await.unwrap();
    }
    ExitCode::SUCCESS
}

/// Where the store of this folder is: its databases' addresses are told by the environment, if they are on a server.
fn place_of(folder: &Path) -> Place {
    let [records, keys] = ADDRESSES.map(|name| std::env::var(name).ok());
    let database = match (records, keys) {
        (Some(records), Some(keys)) => Database::Postgres(Servers::new(&records, &keys).unwrap()),
        _ => Database::Folder,
    };
    Place { database, ..Place::folder(folder) }
}

fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// One step of one person, or of a worker.
async fn step(b: &Bureau, chance: &mut Chance) -> Result<(), BureauError> {
    let mut ids: Vec<RequestId> = b.store().request_ids(None).await?;
    ids.sort_unstable();
    if ids.is_empty() || chance.below(6) == 0 {
        return send(b).await;
    }
    if chance.below(5) == 0 {
        return work(b, &ids).await;
    }
    let id = ids[usize::try_from(chance.below(ids.len() as u64)).unwrap()];
    let request = b.open(id).await?;
    let staff = desk(PASSPORT);
    let holder = request.assignee.unwrap_or(staff.assessors[0]);
    let reason = || "Because it is so.".to_owned();
    let (who, command) = match request.state {
        State::AwaitingApproval if chance.below(8) == 0 => (REQUESTER, Command::Withdraw { reason: reason() }),
        State::AwaitingApproval => (APPROVER, Command::Approve),
        State::Received => (holder, Command::Take { no_conflict: true }),
        State::Assessing if chance.below(6) == 0 => (holder, Command::AskClarification { question: reason() }),
        State::Assessing => {
            let mut assessment = World::new().assessment(PASSPORT);
            assessment.findings.insert(Criterion::Threshold, Finding { met: Some(false), reasons: reason() });
            let decision = Decision::Decline { explanation: "It is below the threshold.".into() };
            let authorisation = AuthorisationId(new_id());
            (holder, Command::Assess { probe: request.probes[0].id, assessment: Box::new(assessment), decision, authorisation })
        }
        State::Clarifying => (REQUESTER, Command::AnswerClarification { answer: reason() }),
        State::Responding => (holder, Command::Answer { recipient_confirmed: true }),
        State::Answering => return work(b, &ids).await,
        State::Answered if chance.below(2) == 0 => (holder, Command::Close),
        State::Answered | State::Closed => {
            b.answer(REQUESTER, id).await?;
            Step::Served { request: id }.tell();
            return Ok(());
        }
        State::Withdrawn | State::Rejected => (holder, Command::Close),
        _ => {
            b.request(staff.leader, id).await?;
            return Ok(());
        }
    };
    // The same form sent twice is done once.
    let once = Some(Once(new_id().to_string()));
    let mut done = b.act(who, id, command.clone(), None, once.clone()).await;
    if chance.below(3) == 0 {
        done = b.act(who, id, command, None, once).await;
    }
    Step::Acknowledged { request: id, version: done?.request.version }.tell();
    Ok(())
}

/// A worker's round: jobs, the log, what is folded out of it, and what belongs to nothing.
async fn work(b: &Bureau, ids: &[RequestId]) -> Result<(), BureauError> {
    b.work("torture").await?;
    b.tidy().await?;
    for id in ids {
        for class in b.open(*id).await?.erased {
            // The event says that it goes; the keys are gone once the job has ended.
            if b.store().erased(StreamId::Request(*id), class).await?.is_some() {
                Step::Erased { request: *id, class }.tell();
            }
        }
    }
    Ok(())
}

/// Sends a form whose image was looked at before: its bytes are sealed blobs.
async fn send(b: &Bureau) -> Result<(), BureauError> {
    let (id, who): (RequestId, PersonId) = (RequestId(new_id()), REQUESTER);
    let mut form = World::new().form(PASSPORT);
    form.investigation = format!("OP-{id}");
    let image = &mut form.images[0];
    image.probe = ProbeId(new_id());
    let mut blobs = vec![];
    for blob in [&mut image.original, &mut image.rendering] {
        let bytes = id.as_bytes().repeat(600);
        *blob = b.store().put_blob(StreamId::Request(id), RetentionClass::Images, &bytes, b.now()).await?;
        blobs.push(*blob);
    }
    let leo = World::new().register.people[&who].at;
    let casework::people::Affiliation::Leo(leo) = leo else { unreachable!("a requester is of a force") };
    let bytes = serde_json::to_vec(&serde_json::json!({ "form": form, "replaces": null }))?;
    let version = b.store().put_draft(PutDraft { id: DraftId(id.0), owner: who, leo, expected: 0, bytes, blobs }, b.now()).await?;
    b.send(who, id, version, None).await?;
    Step::Acknowledged { request: id, version: 1 }.tell();
    Ok(())
}

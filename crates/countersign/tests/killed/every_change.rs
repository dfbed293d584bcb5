//! Cut off before every change to a file.

use crate::{
    cut::{Copied, Watcher, copy},
    ground::{Ground, LEASE_S, Shape},
    server::{Call, Server},
    story::{Known, Step, steps},
};
use std::{
    fs,
    path::Path,
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

/// Copies looked into at one time.
const HANDS: usize = 3;
const DAY_S: u64 = 24 * 3600;
/// When the images of a closed request, and the rest of it, are due to go: seconds after closing.
fn dues() -> [(&'static str, u64); 2] {
    let policy = casework::policy::Policy::in_force(casework::calendar::london_date(jiff::Timestamp::now()));
    let days = u64::from(policy.retention[0].images_days_after_closing) + 2;
    let years = u64::from(policy.retention[0].record_years_after_closing);
    [("erase-images", days * DAY_S), ("erase-record", (years * 366 + 2) * DAY_S)]
}

/// A step as it was taken without being cut off.
struct Taken<'a> {
    step: &'a Step,
    call: Call,
    /// What was known, and recorded, before.
    known: Known,
    before: Shape,
    after: Shape,
}

/// Reopens what a kill left behind, sends the call again, and comes to where the step leads. Then, if
/// asked, to the end of the story, which is returned.
fn again(ground: &Ground, copied: &Copied, taken: &Taken, rest: &[Step]) -> Option<Shape> {
    let at = &copied.at;
    let house = ground.house(at, LEASE_S);
    house.holds();
    let request = if taken.known.request.is_empty() { String::new() } else { taken.known.request.clone() };
    let found = house.events(&request);
    assert!(found.len() >= taken.before.events.len() && taken.after.events.starts_with(&found), "a whole step or nothing: {found:#?}");
    let got = house.client.exchange(&taken.call).unwrap().well();
    let mut known = taken.known.clone();
    taken.step.learn(&mut known, &got.json());
    if rest.is_empty() {
        let shape = house.at_rest(&known.request, at);
        assert_eq!(shape, taken.after);
        return None;
    }
    for step in rest {
        house.work();
        let got = house.client.exchange(&step.call(&house.client, &known)).unwrap().well();
        step.learn(&mut known, &got.json());
    }
    house.leave();
    Some(gone(ground, at, &known.request))
}

/// Lets the years pass.
fn gone(ground: &Ground, at: &Path, request: &str) -> Shape {
    let mut shape = Shape::default();
    for (_, ahead) in dues() {
        shape = ground.house(at, ahead).at_rest(request, at);
    }
    shape
}

/// Tries every copy, several at a time; a failure says where the server was cut off.
fn each(copies: Vec<Copied>, name: &str, of: impl Fn(usize, &Copied) + Sync) -> usize {
    let (count, next) = (copies.len(), AtomicUsize::new(0));
    let copies: Vec<_> = copies.into_iter().map(|c| Mutex::new(Some(c))).collect();
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let Some(copied) = copies.get(n).and_then(|c| c.lock().unwrap().take()) else { return };
                        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| of(n, &copied)));
                        assert!(tried.is_ok(), "{name}, cut off at {n} of {count}, before {} {}", copied.before.what, copied.before.path);
                        fs::remove_dir_all(&copied.at).unwrap();
                    }
                })
            })
            .collect();
        let ended: Vec<_> = hands.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        assert!(ended.iter().all(Result::is_ok), "{name}");
    });
    count
}

/// The records as they are now, the server standing still meanwhile.
fn at_rest(ground: &Ground, server: &Server, request: &str, ahead: u64) -> Shape {
    let at = ground.path("rest");
    server.signal("STOP");
    copy(&ground.store(), &at);
    server.signal("CONT");
    let shape = ground.house(&at, ahead).at_rest(request, &at);
    fs::remove_dir_all(at).unwrap();
    shape
}

#[test]
fn d1_cut_off_before_any_change_to_a_file_the_step_is_whole_or_not_there_and_can_be_taken_again() {
    let began = Instant::now();
    let ground = Ground::new();
    let watcher = Watcher::listen(ground.path("cut"));
    let steps = steps();
    let mut server = Server::start(&ground, 0, Some(&watcher.socket));
    let client = crate::server::Client { port: server.port, ..ground.client.clone() };
    let (mut known, mut before, mut cuts, mut ends) = (Known::default(), Shape::default(), vec![], vec![]);
    for (n, step) in steps.iter().enumerate() {
        // What a worker owes from the step before is awaited before anything is watched: it is not of this step.
        if ["share", "open"].contains(&step.name) {
            step.call(&client, &known);
        }
        let copies = watcher.copies(ground.store(), ground.path("copies"));
        let known_before = known.clone();
        let call = step.call(&client, &known);
        step.learn(&mut known, &client.exchange(&call).unwrap().well().json());
        let after = at_rest(&ground, &server, &known.request, LEASE_S);
        watcher.with(|_| crate::cut::Answer::Go);
        let taken = Taken { step, call, known: known_before, before, after };
        let copies: Vec<_> = copies.try_iter().collect();
        assert!(copies.len() >= 2, "{} changes something", step.name);
        // The story goes on to its end from one moment of each step.
        let whole = copies.len() / 2;
        let end = Mutex::new(None);
        let count = each(copies, step.name, |i, copied| {
            let rest = if i == whole { &steps[n + 1..] } else { &[] };
            if let Some(shape) = again(&ground, copied, &taken, rest) {
                *end.lock().unwrap() = Some(shape);
            }
        });
        cuts.push((step.name, count));
        ends.extend(end.into_inner().unwrap());
        before = taken.after;
    }
    // Stopped and started again as the years pass: what is due goes, cut off wherever it is.
    for (name, ahead) in dues() {
        let copies = watcher.copies(ground.store(), ground.path("copies"));
        server.stop();
        server = Server::start(&ground, ahead, Some(&watcher.socket));
        let began = Instant::now();
        let after = loop {
            let shape = at_rest(&ground, &server, &known.request, ahead);
            if shape != before || began.elapsed() > Duration::from_secs(20) {
                break shape;
            }
            sleep(Duration::from_millis(100));
        };
        // Its own worker has done it, and rests.
        sleep(Duration::from_millis(1_500));
        watcher.with(|_| crate::cut::Answer::Go);
        assert_ne!(after, before, "{name}: it goes");
        let count = each(copies.try_iter().collect(), name, |_, copied| {
            let house = ground.house(&copied.at, ahead + LEASE_S);
            house.holds();
            assert_eq!(house.at_rest(&known.request, &copied.at), after);
        });
        cuts.push((name, count));
        before = after;
    }
    server.stop();
    assert_eq!(ends.len(), steps.len() - 1, "the last step ends the story");
    assert_eq!((before.state.as_str(), before.files, before.jobs), ("erased", 0, 0));
    for (end, step) in ends.iter().zip(&steps) {
        assert_eq!(*end, before, "cut off at {}, the story ends the same", step.name);
    }
    ground.run(&["audit", "verify"]);
    ground.run(&["audit", "replay"]);
    let all: usize = cuts.iter().map(|(_, n)| n).sum();
    println!("{all} moments in {:.1} s: {cuts:?}", began.elapsed().as_secs_f64());
    assert!(all > 100, "{cuts:?}");
}

//! `kill -9` at many moments: reopened, the log verifies, every request folds to its row, and the work
//! that people decided is carried on with.

use crate::address::{free_port, home};
use crate::run::Place;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Child, Stdio},
    sync::mpsc,
    thread::sleep,
    time::{Duration, Instant},
};

fn demo(place: &Place, more: &[&str]) -> Child {
    let args = [&["demo", "--synthetic", "100", "--data", place.data.to_str().unwrap()], more].concat();
    crate::run::command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a line begins so. What is said later is still read, so that the child never waits for us.
fn until(from: impl std::io::Read + Send + 'static, beginning: &'static str) {
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if line.starts_with(beginning) {
                let _ = said.send(()); // nobody waits any more once it was heard
            }
        }
    });
    heard.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{beginning} was never said"));
}

fn killed_and_reopened(place: &Place, mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
    let before = place.holds();
    assert!(before["events"].as_u64().unwrap() > 20, "{before}");
    let worked = place.run(&["work", "--once"]).well().out;
    assert!(worked.contains("0 failed"), "{worked}");
    place.holds();
}

#[test]
fn d1_killed_between_any_two_steps_nothing_is_lost_or_half_done() {
    for (word, after) in [("intake", 0), ("search", 40), ("respond", 5)] {
        let place = Place::new();
        let mut child = demo(&place, &["--headless"]);
        until(child.stdout.take().unwrap(), word);
        sleep(Duration::from_millis(after));
        killed_and_reopened(&place, child);
    }
}

#[test]
fn d1_killed_in_the_middle_of_many_stories_nothing_is_lost_or_half_done() {
    for after in [150, 1_900] {
        let place = Place::new();
        let mut child = demo(&place, &["--listen", "127.0.0.1:0"]);
        until(child.stderr.take().unwrap(), "Telling the stories");
        sleep(Duration::from_millis(after));
        killed_and_reopened(&place, child);
    }
}

#[test]
fn d1_a_killed_server_is_started_again_on_what_it_left() {
    let place = Place::new();
    let mut child = demo(&place, &["--listen", "127.0.0.1:0"]);
    until(child.stdout.take().unwrap(), "Countersign is at");
    killed_and_reopened(&place, child);
    // Served again by the product, and asked to stop, it stops well.
    let port = free_port();
    let text = fs::read_to_string(&place.config).unwrap();
    fs::write(&place.config, format!("{text}[serve]\nlisten = \"{}\"\nhosts = [\"localhost\"]\n", home(port))).unwrap();
    let mut child = place.command(&["serve"]).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while TcpStream::connect(home(port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "it serves");
        sleep(Duration::from_millis(20));
    }
    let asked = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(asked.success());
    assert_eq!(child.wait().unwrap().code(), Some(0), "it shuts down gracefully");
    place.holds();
}

//! Killed in every exchange with a client: right after the call's bytes have been sent, and after its answer
//! has been read.

use crate::{
    cut::{Answer, Watcher},
    ground::{Ground, LEASE_S},
    server::{Client, Got, Server},
    story::{Known, steps},
};
use casework::{ids::RequestId, record::StreamId};
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The server, and how often it was killed: each time its clock has gone on by a lease when it is back.
struct Mortal<'a> {
    ground: &'a Ground,
    watcher: &'a Watcher,
    server: Option<Server>,
    killed: u64,
}

impl Mortal<'_> {
    fn client(&self) -> Client {
        Client { port: self.server.as_ref().unwrap().port, ..self.ground.client.clone() }
    }

    fn killed(&mut self) {
        self.server.take().unwrap().kill();
        self.killed += 1;
        self.watcher.with(|_| Answer::Go);
        self.server = Some(Server::start(self.ground, self.killed * LEASE_S, Some(&self.watcher.socket)));
    }
}

/// Without what is each server's own.
fn same(one: &Got, other: &Got) -> bool {
    one.status == other.status && one.body == other.body
}

#[test]
fn d1_killed_in_every_exchange_and_asked_again_the_story_ends_the_same() {
    let ground = Ground::new();
    let watcher = Watcher::listen(ground.path("cut"));
    let server = Some(Server::start(&ground, 0, Some(&watcher.socket)));
    let mut m = Mortal { ground: &ground, watcher: &watcher, server, killed: 0 };
    let mut known = Known::default();
    for (n, step) in steps().iter().enumerate() {
        let call = step.call(&m.client(), &known);

        // Its bytes have been sent, all of them; nothing was heard.
        let unheard = m.client().sent(&call).unwrap();
        m.killed();
        drop(unheard);

        // In some steps also at a change to a file, if it is carried out only now.
        let mut heard = None;
        if n % 3 == 1 {
            let (pid, count) = (m.server.as_ref().unwrap().process.id().to_string(), Arc::new(AtomicUsize::new(0)));
            watcher.with(move |_| {
                if count.fetch_add(1, Ordering::Relaxed) == n % 5 {
                    let killed = Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap();
                    assert!(killed.success());
                }
                Answer::Go
            });
            heard = m.client().exchange(&call).ok();
            m.killed();
        }

        // Answered; then asked again by a client that does not trust its memory.
        let got = m.client().exchange(&call).unwrap().well();
        m.killed();
        let again = m.client().exchange(&call).unwrap().well();
        // What an upload notes about the image is said once.
        assert!(same(&got, &again) || step.name == "upload", "{}: {} then {}", step.name, got.text(), again.text());
        assert!(heard.is_none_or(|h| h.status == got.status), "{}", step.name);
        step.learn(&mut known, &again.json());
    }
    m.server.take().unwrap().stop();
    // Nothing is there twice.
    let id: RequestId = known.request.parse().unwrap();
    let kinds: Vec<String> = ground.runtime.block_on(async {
        let bureau = ground.bureau(&ground.store(), (m.killed + 1) * LEASE_S).await;
        assert_eq!(bureau.work("after").await.unwrap().failed, 0);
        assert!(bureau.drafts(crate::people::OKAFOR).await.unwrap().is_empty());
        let records = bureau.store().load(StreamId::Request(id)).await.unwrap();
        let requests = bureau.store().streams().await.unwrap().into_iter().filter(|(s, _)| matches!(s, StreamId::Request(_))).count();
        assert_eq!(requests, 1);
        bureau.store().clone().close().await;
        records.into_iter().map(|r| r.header.kind).collect()
    });
    for once in
        ["prepared", "approved", "taken", "authorised", "search-started", "searched", "answer-prepared", "released", "collected", "closed"]
    {
        assert_eq!(kinds.iter().filter(|k| *k == once).count(), 1, "{once} in {kinds:?}");
    }
    for twice in ["examiner-joined", "visual-given", "informed-given"] {
        assert_eq!(kinds.iter().filter(|k| *k == twice).count(), 2, "{twice} in {kinds:?}");
    }
    ground.run(&["audit", "verify"]);
    ground.run(&["audit", "replay"]);
    println!("killed {} times", m.killed);
}

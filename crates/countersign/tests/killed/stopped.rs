//! Asked to stop (SIGTERM) while it is busy: whoever was let in gets their answer, and what they were told
//! is there.

use crate::{
    address::home,
    ground::{Ground, photograph},
    people::OKAFOR,
    server::{Call, Client, Got, Server, answered},
};
use serde_json::{Value, json};
use std::{
    net::TcpStream,
    sync::Barrier,
    thread::{scope, sleep},
    time::Duration,
};

const UPLOADS: usize = 6;

fn call(method: &'static str, path: String, kind: &'static str, body: Vec<u8>) -> Call {
    Call { who: OKAFOR, method, path, kind, body, key: "stopped".into() }
}

fn json_call(method: &'static str, path: String, body: &Value) -> Call {
    call(method, path, "application/json", body.to_string().into())
}

#[test]
fn asked_to_stop_under_load_it_answers_everybody_it_let_in() {
    let ground = Ground::new();
    let server = Server::start(&ground, 0, None);
    let client = Client { port: server.port, ..ground.client.clone() };
    let well = |call: &Call| -> Got { client.exchange(call).unwrap().well() };
    // Several drafts, each to be given an image: decoding and finding faces takes a while.
    let drafts: Vec<String> = (0..UPLOADS)
        .map(|n| {
            let id = well(&call("POST", "/drafts".into(), "application/json", vec![])).json()["id"].as_str().unwrap().to_owned();
            well(&json_call("PUT", format!("/drafts/{id}"), &json!({ "version": 1, "form": { "investigation": format!("OP-{n}") } })));
            id
        })
        .collect();
    let image = photograph("sample3.jpg");
    let all_sent = Barrier::new(UPLOADS + 1);
    let answers: Vec<Got> = scope(|scope| {
        let uploads: Vec<_> = drafts
            .iter()
            .map(|id| {
                let upload = call("POST", format!("/drafts/{id}/images?version=2"), "image/jpeg", image.clone());
                let (client, all_sent) = (&client, &all_sent);
                scope.spawn(move || {
                    let sent = client.sent(&upload).unwrap();
                    all_sent.wait();
                    answered(sent)
                })
            })
            .collect();
        all_sent.wait();
        // Long enough to be let in, not to be done.
        sleep(Duration::from_millis(100));
        server.signal("TERM");
        uploads.into_iter().map(|u| u.join().unwrap().expect("an answer")).collect()
    });
    let port = server.port;
    server.stop();
    assert!(TcpStream::connect(home(port)).is_err(), "nobody new is let in");
    for got in &answers {
        assert_eq!(got.status, 201, "{}", got.text());
    }
    // What they were told is there, and nothing else.
    let house = ground.house(&ground.store(), 0);
    house.holds();
    for id in &drafts {
        let draft = house.client.get(OKAFOR, &format!("/drafts/{id}")).json();
        assert_eq!(draft["form"]["images"].as_array().or(draft["images"].as_array()).map(Vec::len), Some(1), "{draft}");
    }
    house.leave();
}

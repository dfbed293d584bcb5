//! The whole story, one call of the API for each step, as any client would make it.

use crate::{
    ground::photograph,
    people::{CLARKE, LIN, MARSH, OKAFOR, VERMA},
    server::{Call, Client},
};
use casework::ids::PersonId;
use serde_json::{Value, json};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// What a client knows by now.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub request: String,
    pub draft: Value,
    pub probe: String,
    pub candidate: String,
}

/// A step: its name, the call that it makes, and what its answer tells.
pub struct Step {
    pub name: &'static str,
    call: fn(&Client, &Known) -> Call,
    learn: fn(&mut Known, &Value),
}

impl Step {
    /// Looks at what the step needs and makes up its call.
    pub fn call(&self, client: &Client, known: &Known) -> Call {
        Call { key: format!("once-{}", self.name), ..(self.call)(client, known) }
    }
    pub fn learn(&self, known: &mut Known, answer: &Value) {
        (self.learn)(known, answer);
    }
}

fn call(who: PersonId, method: &'static str, path: String, body: Value) -> Call {
    Call { who, method, path, kind: "application/json", body: body.to_string().into(), key: String::new() }
}

/// A step on the request, at the version that its caller sees.
fn at(client: &Client, known: &Known, who: PersonId, tail: &str, mut body: Value) -> Call {
    body["version"] = client.version(who, &known.request);
    call(who, "POST", format!("/requests/{}/{tail}", known.request), body)
}

fn sheet(known: &Known) -> String {
    format!("/comparisons/{}/{}", known.request, known.probe)
}

fn take_up(known: &Known, who: PersonId) -> Call {
    Call { body: vec![], ..call(who, "POST", sheet(known), Value::Null) }
}

/// The examiner looks at both pictures and says what they see.
fn visual(client: &Client, known: &Known, who: PersonId) -> Call {
    let sheet = sheet(known);
    let candidate = format!("{sheet}/candidates/{}", known.candidate);
    client.get(who, &format!("{sheet}/image"));
    client.get(who, &format!("{candidate}/image"));
    let version = client.get(who, &sheet).json()["version"].clone();
    let components = json!({ "eyes": "alike", "nose": "alike" });
    let body = json!({ "version": version, "conclusion": "strongly-same", "words": "What I saw.", "components": components });
    call(who, "POST", format!("{candidate}/visual"), body)
}

/// The examiner reads what is held and concludes.
fn informed(client: &Client, known: &Known, who: PersonId) -> Call {
    let candidate = format!("{}/candidates/{}", sheet(known), known.candidate);
    client.get(who, &format!("{candidate}/informed"));
    let version = client.get(who, &sheet(known)).json()["version"].clone();
    call(who, "POST", format!("{candidate}/informed"), json!({ "version": version, "same_person": true, "reasons": "It agrees." }))
}

/// Waits until a worker has taken away the candidates that nobody confirmed, which an examiner's last word
/// leaves to it: a step decided before that would be told that the request has changed.
fn settled(client: &Client, known: &Known) {
    let began = Instant::now();
    while !client.get(VERMA, &format!("/requests/{}/history", known.request)).text().contains("Erased") {
        assert!(began.elapsed() < Duration::from_secs(20), "a worker works");
        sleep(Duration::from_millis(50));
    }
}

/// Waits until a worker has released the answer: who prepared it may have been killed before.
fn released(client: &Client, known: &Known) {
    let began = Instant::now();
    while client.get(OKAFOR, &format!("/requests/{}", known.request)).json()["line"]["state"] != "answered" {
        assert!(began.elapsed() < Duration::from_secs(20), "a worker works");
        sleep(Duration::from_millis(200));
    }
}

fn form() -> Value {
    json!({
        "investigation": "OP-KILLED-1", "nationality": "british", "purposes": ["serious-crime"],
        "purpose_words": "To identify the man seen leaving the scene.", "mode": "unidentified", "offence": "Robbery with a knife.",
        "crime": { "sexual_offence": false, "two_years": true, "violence": true },
        "people_affected": "Two.", "harm": "Both were stabbed.", "person": "About thirty.", "own_databases": "PNC, custody images.",
        "other_databases": "PND.", "other_enquiries": "House to house.", "vulnerable": false, "urgent": false,
        "declarations": ["lawful-use", "avenues-exhausted", "not-identified-otherwise", "own-policy-followed"],
    })
}

fn assessment() -> Value {
    let met = json!({ "met": true, "reasons": "Seen and found so." });
    let words = ["importance", "connection", "image-usable", "biography", "exhausted", "balance", "threshold", "extent", "rights"];
    let findings: serde_json::Map<String, Value> = words.iter().map(|w| ((*w).to_owned(), met.clone())).collect();
    let policy = casework::policy::Policy::in_force(casework::calendar::london_date(jiff::Timestamp::now()));
    let basis = policy.gallery(casework::record::GalleryId::Passport).legal_bases[0].id.clone();
    json!({
        "legal_basis": basis, "findings": findings, "purposes": ["serious-crime"], "section_8_read": true, "handling": "ordinary",
        "crime": { "sexual_offence": false, "two_years": true, "violence": true },
    })
}

/// From the first word typed to the closed file.
pub fn steps() -> Vec<Step> {
    fn nothing(_: &mut Known, _: &Value) {}
    fn saved(known: &mut Known, answer: &Value) {
        known.draft = answer["version"].clone();
    }
    let step = |name, call, learn| Step { name, call, learn };
    vec![
        step(
            "begin",
            |_, _| Call { body: vec![], ..call(OKAFOR, "POST", "/drafts".into(), Value::Null) },
            |known, answer| {
                known.request = answer["id"].as_str().unwrap().into();
                known.draft = answer["version"].clone();
            },
        ),
        step("write", |_, k| call(OKAFOR, "PUT", format!("/drafts/{}", k.request), json!({ "version": k.draft, "form": form() })), saved),
        step(
            "upload",
            |_, k| Call {
                kind: "image/jpeg",
                body: photograph("sample3.jpg"),
                ..call(OKAFOR, "POST", format!("/drafts/{}/images?version={}", k.request, k.draft), Value::Null)
            },
            |known, answer| {
                known.draft = answer["version"].clone();
                known.probe = answer["image"]["probe"].as_str().unwrap().into();
            },
        ),
        step(
            "describe",
            |_, k| {
                let said = json!({ "version": k.draft, "face": 1, "source": "unsupervised" });
                call(OKAFOR, "PATCH", format!("/drafts/{}/images/{}", k.request, k.probe), said)
            },
            saved,
        ),
        step("send", |_, k| call(OKAFOR, "POST", format!("/drafts/{}/send", k.request), json!({ "version": k.draft })), nothing),
        step("approve", |c, k| at(c, k, MARSH, "approve", json!({})), nothing),
        step("take", |c, k| at(c, k, VERMA, "take", json!({ "no_conflict": true })), nothing),
        step(
            "assess",
            |c, k| {
                c.get(VERMA, &format!("/requests/{}/images/{}", k.request, k.probe));
                at(c, k, VERMA, &format!("probes/{}/assess", k.probe), json!({ "assessment": assessment(), "decision": "authorise" }))
            },
            nothing,
        ),
        step("search", |c, k| at(c, k, VERMA, &format!("probes/{}/search", k.probe), json!({})), nothing),
        step(
            "take-up-1",
            |_, k| take_up(k, LIN),
            |known, answer| {
                let all = answer["candidates"].as_array().unwrap();
                assert_eq!(all.len(), 1, "the person sought, and nobody else: {answer}");
                known.candidate = all[0]["id"].as_str().unwrap().into();
            },
        ),
        step("visual-1", |c, k| visual(c, k, LIN), nothing),
        step("informed-1", |c, k| informed(c, k, LIN), nothing),
        step("take-up-2", |_, k| take_up(k, CLARKE), nothing),
        step("visual-2", |c, k| visual(c, k, CLARKE), nothing),
        step("informed-2", |c, k| informed(c, k, CLARKE), nothing),
        step(
            "share",
            |c, k| {
                settled(c, k);
                c.get(VERMA, &format!("/requests/{}/matches", k.request));
                let fields = json!([{ "field": "name", "why": "To find the person." }]);
                let sharing = json!({ "decision": "share", "image": true, "fields": fields, "reasons": "Needed." });
                at(c, k, VERMA, &format!("probes/{}/sharing/{}", k.probe, k.candidate), json!({ "sharing": sharing }))
            },
            nothing,
        ),
        step(
            "answer",
            |c, k| {
                c.get(VERMA, &format!("/requests/{}/preview", k.request));
                at(c, k, VERMA, "answer", json!({ "recipient_confirmed": true }))
            },
            nothing,
        ),
        step(
            "open",
            |c, k| {
                released(c, k);
                Call { body: vec![], ..call(OKAFOR, "GET", format!("/requests/{}/answer", k.request), Value::Null) }
            },
            |_, answer| assert_eq!(answer["outcome"], "match", "{answer}"),
        ),
        step("close", |c, k| at(c, k, VERMA, "close", json!({})), nothing),
    ]
}

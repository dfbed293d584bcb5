//! Who gets in, what is refused and how, and what a repeat does.

use crate::{
    house::{Got, HOST, House, photograph},
    story::{assessment, drafted, form, received},
};
use axum::{
    body::{Body, Bytes, HttpBody},
    http::{Request, header},
};
use bureau::BureauError;
use casework::{
    event::Consulted,
    ids::RequestId,
    people::RegisterEvent,
    record::{GalleryId, StreamId},
    refusal::Refusal,
    testing::{APPROVER, AUDITOR, NCA_REQUESTER, OTHER_REQUESTER, REGISTRAR, REQUESTER, desk},
};
use hyper::body::Frame;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use web::limits::{FORM_MAX_BYTES, SESSION_BURST};

fn bare(path: &str) -> axum::http::request::Builder {
    Request::builder().uri(format!("/api/v1{path}")).header(header::HOST, HOST)
}

#[track_caller]
fn asks_for_a_token(got: &Got) {
    assert_eq!(got.status, 401, "{}", got.text());
    assert_eq!(got.headers["www-authenticate"], "Bearer realm=\"countersign\"");
    assert_eq!(got.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let house = House::new().await;
    let token = house.token(REQUESTER).await;
    let me = house.get(REQUESTER, "/me").await.is(200).json();
    assert_eq!(me["roles"], json!(["requester"]));
    for shown in ["", "Bearer", "Bearer ", "Bearer cst_00", &token, &format!("Basic {token}"), &format!("Bearer x{token}")] {
        let request = bare("/me").header(header::AUTHORIZATION, shown).body(Body::empty()).unwrap();
        asks_for_a_token(&house.send(None, request).await);
    }
    asks_for_a_token(&house.send(None, bare("/me").body(Body::empty()).unwrap()).await);
    let twice = bare("/me").header(header::AUTHORIZATION, format!("Bearer {token}")).header(header::AUTHORIZATION, "Bearer cst_00");
    asks_for_a_token(&house.send(None, twice.body(Body::empty()).unwrap()).await);
    // A cookie of a signed-in browser is no token.
    asks_for_a_token(&house.send(None, bare("/drafts").header(header::COOKIE, "countersign=x").body(Body::empty()).unwrap()).await);
    // Every endpoint but the policy and the certificates asks, whatever else is wrong with the call.
    for (path, item) in crate::conform::document()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let names = ["{id}", "{probe}", "{candidate}", "{certificate}"];
            let path = names.iter().fold(path.replace("{index}", "0"), |path, name| path.replace(name, "x"));
            let request = bare(&path).method(method.to_uppercase().as_str()).body(Body::empty()).unwrap();
            let got = house.send(None, request).await;
            if path == "/policy" || path == "/accuracy" { assert_eq!(got.status, 200) } else { asks_for_a_token(&got) }
        }
    }
    house.bureau.revoke_token(&token).await.unwrap();
    asks_for_a_token(&house.get(REQUESTER, "/me").await);
    house.get(OTHER_REQUESTER, "/me").await.is(200);
    let today = casework::calendar::london_date(house.bureau.now());
    house.bureau.change_register(REGISTRAR, RegisterEvent::PersonLeft { person: OTHER_REQUESTER, on: today }, None).await.unwrap();
    house.get(APPROVER, "/me").await.is(200);
    house.clock.days(1);
    asks_for_a_token(&house.get(OTHER_REQUESTER, "/me").await);
    house.clock.days(30);
    asks_for_a_token(&house.get(APPROVER, "/me").await);
}

/// Refusals as the API writes them.
fn written(refusals: Vec<Refusal>) -> Value {
    let one = |r: Refusal| {
        json!({
            "clauses": r.clauses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "words": r.words,
            "field": r.field.map(|f| f.to_string()),
        })
    };
    refusals.into_iter().map(one).collect()
}

#[tokio::test]
async fn s1_the_refusals_are_those_that_the_pages_show_all_at_once_with_their_clauses() {
    let house = House::new().await;
    let draft = house.empty(REQUESTER, "POST", "/drafts").await.is(201).json();
    let id = draft["id"].as_str().unwrap();
    let got = house.post(REQUESTER, &format!("/drafts/{id}/send"), json!({ "version": 1 })).await.is(422);
    let Err(BureauError::Refused(all)) = house.bureau.send(REQUESTER, id.parse().unwrap(), 1, None).await else { panic!("it was sent") };
    assert_eq!(got.json()["refusals"], written(all));
    assert_eq!(got.headers["content-type"], "application/problem+json");
    for clause in ["S1", "S2", "S3", "S7", "S8", "S9", "S11", "S12"] {
        assert!(got.clauses().contains(&clause.to_owned()), "{clause} is cited: {}", got.text());
    }
    assert_eq!(draft["missing"], got.json()["refusals"], "the draft said so before it was sent");
    // R2: who may not ask is told by which clause.
    let auditor = house.empty(AUDITOR, "POST", "/drafts").await.is(422);
    assert_eq!(auditor.clauses(), ["R2"]);
    // S10: what is not an image is refused with what to do.
    let not_one = house.upload(REQUESTER, &format!("/drafts/{id}/images?version=1"), b"not an image".to_vec()).await.is(422);
    assert_eq!(not_one.clauses(), ["S10"]);
}

#[tokio::test]
async fn r1_who_was_allocated_a_request_says_first_whether_they_have_a_conflict() {
    let house = House::new().await;
    let id = received(&house, form()).await;
    let (at, staff) = (format!("/requests/{id}"), desk(GalleryId::Passport));
    let [holder, other] = staff.assessors;
    let version = house.version(staff.leader, &id).await;
    let allocation = json!({ "version": version, "person": holder.0, "reason": "Absence." });
    house.post(staff.leader, &format!("{at}/allocate"), allocation).await.is(200);
    let request: RequestId = id.parse().unwrap();
    let probe = house.get(other, &at).await.is(200).json()["probes"][0]["id"].as_str().unwrap().to_owned();
    for path in [at.clone(), format!("{at}/history"), format!("{at}/images/{probe}")] {
        assert_eq!(house.get(holder, &path).await.is(422).clauses(), ["R1"], "{path}");
    }
    let brief = house.get(holder, &format!("{at}/brief")).await.is(200).json();
    assert_eq!((&brief["undeclared"], &brief["line"]["mine"]), (&json!(true), &json!(true)));
    let step = json!({ "version": brief["version"], "question": "Which camera?" });
    assert_eq!(house.post(holder, &format!("{at}/clarification"), step).await.is(422).clauses(), ["R1"]);
    let looks = house.bureau.store().load(StreamId::Consulted(request)).await.unwrap();
    let looks = looks.iter().map(|r| serde_json::from_slice::<Consulted>(r.payload.as_ref().unwrap()).unwrap());
    assert!(looks.map(|l| l.by).all(|by| by != holder), "nothing was shown to them");
    // Found by its reference as before, by whoever may know of it.
    let reference = brief["line"]["reference"].as_str().unwrap();
    for (who, found) in [(holder, 1), (other, 1), (desk(GalleryId::Immigration).leader, 0)] {
        let lines = house.post(who, "/look-up", json!({ "reference": reference })).await.is(200).json();
        assert_eq!(lines.as_array().unwrap().len(), found, "{who}");
    }
    assert!(house.post(REQUESTER, "/look-up", json!({ "reference": reference })).await.is(422).clauses().contains(&"D5".to_owned()));
    house.post(holder, "/look-up", json!({ "reference": " " })).await.is(400);
    let take = |no_conflict: bool| json!({ "version": brief["version"], "no_conflict": no_conflict });
    assert_eq!(house.post(holder, &format!("{at}/take"), take(false)).await.is(422).clauses(), ["R1"]);
    house.post(holder, &format!("{at}/take"), take(true)).await.is(200);
    house.get(holder, &at).await.is(200);
    assert_eq!(house.get(holder, &format!("{at}/brief")).await.is(200).json()["undeclared"], false);
}

#[tokio::test]
async fn d4_a_sample_is_drawn_again_by_its_seed() {
    let house = House::new().await;
    received(&house, form()).await;
    let first = house.get(AUDITOR, "/sample?seed=2026-spring").await.is(200).json();
    assert_eq!(first.as_array().unwrap().len(), 1);
    assert_eq!(house.get(AUDITOR, "/sample?seed=2026-spring&size=5").await.is(200).json(), first);
    assert_eq!(house.get(desk(GalleryId::Immigration).leader, "/sample?seed=a").await.is(200).json(), json!([]));
    assert_eq!(house.get(REQUESTER, "/sample?seed=a").await.is(422).clauses(), ["D4"]);
    for wrong in ["", "?seed=", "?seed=a&size=0", "?seed=a&size=101", &format!("?seed={}", "a".repeat(101))] {
        house.get(AUDITOR, &format!("/sample{wrong}")).await.is(400);
    }
}

/// A body that must not be asked for.
struct Unread;

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("it was read");
    }
}

#[tokio::test]
async fn without_a_token_not_a_byte_of_what_is_sent_is_read() {
    let house = House::new().await;
    for (path, kind) in [("/drafts/00000000-0000-0000-0000-000000000001/images?version=1", "image/jpeg"), ("/look-up", "application/json")]
    {
        let request = bare(path).method("POST").header(header::CONTENT_TYPE, kind).body(Body::new(Unread)).unwrap();
        asks_for_a_token(&house.send(None, request).await);
    }
}

#[tokio::test]
async fn a7_a_request_below_the_threshold_cannot_be_authorised_and_the_limb_is_named() {
    let house = House::new().await;
    let id = received(&house, form()).await;
    let holder = desk(GalleryId::Passport).assessors[0];
    let at = format!("/requests/{id}");
    let version = house.version(holder, &id).await;
    let taken = house.post(holder, &format!("{at}/take"), json!({ "version": version, "no_conflict": true })).await.is(200).json();
    let probe = house.get(holder, &at).await.is(200).json()["probes"][0]["id"].as_str().unwrap().to_owned();
    let mut below = assessment();
    below["crime"] = json!({ "sexual_offence": false, "two_years": false });
    let mut body = json!({ "version": taken["version"], "assessment": below, "decision": "authorise" });
    let assess = format!("{at}/probes/{probe}/assess");
    let refused = house.post(holder, &assess, body.clone()).await.is(422);
    assert!(refused.clauses().contains(&"A7".to_owned()) && refused.text().contains("limb (b)"), "{}", refused.text());
    body["decision"] = json!("decline");
    let silent = house.post(holder, &assess, body.clone()).await.is(422);
    assert_eq!(silent.clauses(), ["O1"], "a decline is explained");
    body["explanation"] = json!("It is not a serious crime.");
    assert_eq!(house.post(holder, &assess, body).await.is(200).json()["state"], "responding");
    let declined = house.get(holder, &at).await.is(200).json()["probes"][0]["declined"].clone();
    assert_eq!(declined["clauses"], json!(["A6", "A7"]));
    let police = house.get(REQUESTER, &at).await.is(200).json();
    assert_eq!(police["probes"][0]["declined"], Value::Null, "the force learns it from the answer");
    assert_eq!(police["probes"][0]["assessment"], Value::Null);
}

/// A problem without what differs from answer to answer.
fn without_its_name(got: &Got) -> (Value, Vec<(String, String)>) {
    let mut json = got.json();
    json["request_id"] = Value::Null;
    let mut headers: Vec<_> = got.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect();
    headers.retain(|(n, _)| n != "x-request-id");
    headers.sort();
    (json, headers)
}

#[tokio::test]
async fn v1_what_one_may_not_know_of_looks_like_what_is_not_there() {
    let house = House::new().await;
    let mut sensitive = form();
    sensitive["vulnerable"] = json!(true);
    sensitive["vulnerable_words"] = json!("Fled domestic abuse.");
    let id = received(&house, sensitive).await;
    let stranger = desk(GalleryId::Passport).assessors[1];
    let probe = house.get(REQUESTER, &format!("/requests/{id}")).await.is(200).json()["probes"][0]["id"].as_str().unwrap().to_owned();
    let nothing = "00000000-0000-4000-8000-000000000000";
    for (who, tail) in [
        (stranger, String::new()),
        (stranger, "/history".into()),
        (stranger, format!("/images/{probe}")),
        (stranger, "/preview".into()),
        (stranger, "/matches".into()),
        (NCA_REQUESTER, String::new()),
        (NCA_REQUESTER, "/answer".into()),
        (OTHER_REQUESTER, String::new()),
        (desk(GalleryId::Immigration).leader, String::new()),
    ] {
        let hidden = house.get(who, &format!("/requests/{id}{tail}")).await.is(404);
        for other in [nothing, "not-an-id"] {
            let absent = house.get(who, &format!("/requests/{other}{tail}")).await.is(404);
            assert_eq!(without_its_name(&hidden), without_its_name(&absent), "{}", hidden.what);
        }
    }
    // The same for steps, whatever version is named.
    for (step, body) in [
        ("take", json!({ "version": 3, "no_conflict": true })),
        ("take", json!({ "version": 900, "no_conflict": true })),
        ("clarification", json!({ "version": 1, "question": "Who?" })),
        ("close", json!({ "version": 4 })),
    ] {
        let hidden = house.post(stranger, &format!("/requests/{id}/{step}"), body.clone()).await.is(404);
        let absent = house.post(stranger, &format!("/requests/{nothing}/{step}"), body).await.is(404);
        assert_eq!(without_its_name(&hidden), without_its_name(&absent), "{step}");
    }
    // Another's draft is not there either.
    let draft = house.empty(REQUESTER, "POST", "/drafts").await.is(201).json();
    let hidden = house.get(OTHER_REQUESTER, &format!("/drafts/{}", draft["id"].as_str().unwrap())).await.is(404);
    let absent = house.get(OTHER_REQUESTER, &format!("/drafts/{nothing}")).await.is(404);
    assert_eq!(without_its_name(&hidden), without_its_name(&absent));
    for who in [stranger, desk(GalleryId::Immigration).leader] {
        let listed = house.get(who, "/requests?list=all").await.is(200);
        assert!(!listed.text().contains(&id));
    }
}

fn form_of(investigation: &str) -> Value {
    let mut form = form();
    form["investigation"] = json!(investigation);
    form
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_done_once_and_an_old_version_is_not_done() {
    let house = House::new().await;
    let (id, version) = drafted(&house, form()).await;
    let send = format!("/drafts/{id}/send");
    let sent = house.post_once(REQUESTER, &send, "key-1", json!({ "version": version })).await.is(200).json();
    let again = house.post_once(REQUESTER, &send, "key-1", json!({ "version": version })).await.is(200).json();
    assert_eq!(sent, again);
    house.post_once(REQUESTER, &send, "key-2", json!({ "version": version })).await.is(404);

    let approve = format!("/requests/{id}/approve");
    let version = house.version(APPROVER, &id).await;
    let stale = house.post(APPROVER, &approve, json!({ "version": version + 1 })).await.is(409);
    assert_eq!(stale.headers["content-type"], "application/problem+json");
    assert_eq!(house.version(APPROVER, &id).await, version, "nothing was done");
    // The same words as another's key: keys are each person's own, and of each step's own.
    let first = house.post_once(APPROVER, &approve, "key-1", json!({ "version": version })).await.is(200).json();
    let second = house.post_once(APPROVER, &approve, "key-1", json!({ "version": version })).await.is(200).json();
    assert_eq!(first, second);
    assert_eq!(first["state"], "received");
    house.post(APPROVER, &approve, json!({ "version": version })).await.is(409);

    let [one, two] = desk(GalleryId::Passport).assessors;
    let take = format!("/requests/{id}/take");
    let version = house.version(one, &id).await;
    let body = json!({ "version": version, "no_conflict": true });
    house.post_once(one, &take, "key-3", body.clone()).await.is(200);
    house.post_once(two, &take, "key-3", body).await.is(409);
    // V1: a repeat tells nothing of what its caller may not know of any more.
    let back = house.post(one, &format!("/requests/{id}/put-back"), json!({ "version": house.version(one, &id).await })).await.is(200);
    assert_eq!(back.json()["state"], "received");
    house.post(REQUESTER, &format!("/requests/{id}/vulnerable"), json!({ "words": "Has changed their name." })).await.is(204);
    house.get(one, &format!("/requests/{id}")).await.is(404);
    let repeat = house.post_once(one, &take, "key-3", json!({ "version": version, "no_conflict": true })).await.is(200).json();
    assert_eq!((&repeat["state"], &repeat["version"]), (&Value::Null, &Value::Null));
    let returned = {
        let (id, version) = drafted(&house, form_of("OP-API-2")).await;
        house.post(REQUESTER, &format!("/drafts/{id}/send"), json!({ "version": version })).await.is(200);
        let version = house.version(APPROVER, &id).await;
        let body = json!({ "version": version, "reasons": "Say more of the harm." });
        let done = house.post_once(APPROVER, &format!("/requests/{id}/return"), "key-5", body.clone()).await.is(200).json();
        assert_eq!(done, house.post_once(APPROVER, &format!("/requests/{id}/return"), "key-5", body).await.is(200).json());
        done
    };
    assert_eq!((&returned["state"], &returned["version"]), (&Value::Null, &Value::Null), "what is returned is its requester's again");
    for bad in ["", "two words", "é", &"x".repeat(201)] {
        let builder = house.request(one, "POST", &take).await.header(header::CONTENT_TYPE, "application/json");
        let builder = builder.header("idempotency-key", bad);
        let request = builder.body(Body::from(json!({ "version": version, "no_conflict": true }).to_string())).unwrap();
        house.send(Some(one), request).await.is(400);
    }
}

#[tokio::test]
async fn what_is_not_understood_is_said_without_repeating_it() {
    let house = House::new().await;
    let draft = house.empty(REQUESTER, "POST", "/drafts").await.is(201).json();
    let at = format!("/drafts/{}", draft["id"].as_str().unwrap());
    for (body, says) in [
        (json!({ "version": 1, "form": {}, "secretmember": 1 }), "an unknown field: expected `version` or `form`"),
        (json!({ "version": 1 }), "missing field `form`"),
        (json!({ "version": "secretvalue", "form": {} }), "expected a whole number from 0 to 9007199254740991"),
        (json!({ "version": -1, "form": {} }), "expected a whole number"),
        (json!({ "version": 1.5, "form": {} }), "expected a whole number"),
        (json!({ "version": 1, "form": { "nationality": "secretland" } }), "expected one of `british`, `foreign`, `unsure`"),
        (json!({ "version": 1, "form": { "investigation": { "secret": "x" } } }), "expected a string"),
        (json!([1]), "stands a value of another kind"),
    ] {
        let got = house.json(REQUESTER, "PUT", &at, body).await.is(400);
        assert!(got.text().contains(says) && !got.text().contains("secret"), "{}", got.text());
    }
    house.json(REQUESTER, "PUT", &at, json!({ "version": 1.0, "form": form() })).await.is(200);
    let send = async |kind: &str, body: Vec<u8>| {
        let builder = house.request(REQUESTER, "PUT", &at).await.header(header::CONTENT_TYPE, kind);
        house.send(Some(REQUESTER), builder.body(Body::from(body)).unwrap()).await
    };
    send("text/plain", b"{}".to_vec()).await.is(415);
    send("application/json", b"{".to_vec()).await.is(400);
    send("application/json", b"\xff".to_vec()).await.is(400);
    send("application/json", vec![b' '; FORM_MAX_BYTES + 1]).await.is(413);
    send("application/json; charset=utf-8", json!({ "version": 2, "form": form() }).to_string().into_bytes()).await.is(200);
    let images = format!("{at}/images?version=3");
    house.json(REQUESTER, "POST", &images, json!({})).await.is(415);
    for query in ["", "?version=", "?version=x", "?version=3&version=3", "?version=3&more=1", "?version=9007199254740992"] {
        house.upload(REQUESTER, &format!("{at}/images{query}"), photograph("sample3.jpg")).await.is(400);
    }
    house.upload(REQUESTER, &format!("{at}/images?version=1"), photograph("sample3.jpg")).await.is(409);
    for query in ["?page=0", "?page=41", "?state=", "?list=theirs", "?limit=3"] {
        house.get(REQUESTER, &format!("/requests{query}")).await.is(400);
    }
    house.get(REQUESTER, "/requests?page=40").await.is(200);
    house.empty(REQUESTER, "DELETE", "/me").await.is(405);
    let nowhere = house.get(REQUESTER, "/nowhere").await.is(404);
    assert_eq!(nowhere.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn one_token_cannot_flood_the_house() {
    let house = House::new().await;
    let mut last = None;
    for _ in 0..=SESSION_BURST + 40 {
        let got = house.get(AUDITOR, "/me").await;
        if got.status == 429 {
            last = Some(got);
            break;
        }
        got.is(200);
    }
    let got = last.expect("somewhere it is enough");
    assert_eq!(got.headers["content-type"], "application/problem+json");
    assert!(got.headers.contains_key("retry-after"));
    house.get(REQUESTER, "/me").await.is(200);
}

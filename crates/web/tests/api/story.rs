//! One whole request through the API alone, ending in a match, and what no answer on the way may hold.

use crate::house::{Got, House, photograph};
use casework::{
    event::{Entry, Event},
    ids::{PersonId, RequestId},
    record::{GalleryId, StreamId},
    testing::{APPROVER, AUDITOR, REQUESTER, desk},
};
use serde_json::{Value, json};

/// A complete form, as a client would send it.
pub fn form() -> Value {
    json!({
        "investigation": "OP-API-1", "nationality": "british", "purposes": ["serious-crime"],
        "purpose_words": "To identify the man seen leaving the scene.", "mode": "unidentified", "offence": "Robbery with a knife.",
        "crime": { "sexual_offence": false, "two_years": true, "violence": true },
        "people_affected": "Two.", "harm": "Both were stabbed.", "person": "About thirty.", "own_databases": "PNC, custody images.",
        "other_databases": "PND.", "other_enquiries": "House to house.", "vulnerable": false, "urgent": false,
        "declarations": ["lawful-use", "avenues-exhausted", "not-identified-otherwise", "own-policy-followed"],
    })
}

/// An assessment in which everything is met.
pub fn assessment() -> Value {
    let met = json!({ "met": true, "reasons": "Seen and found so." });
    let words = ["importance", "connection", "image-usable", "biography", "exhausted", "balance", "threshold", "extent", "rights"];
    let findings: serde_json::Map<String, Value> = words.iter().map(|w| ((*w).to_owned(), met.clone())).collect();
    let basis = casework::testing::World::new().policy.gallery(GalleryId::Passport).legal_bases[0].id.clone();
    json!({
        "legal_basis": basis, "findings": findings, "purposes": ["serious-crime"], "section_8_read": true, "handling": "ordinary",
        "crime": { "sexual_offence": false, "two_years": true, "violence": true },
    })
}

/// A draft with its answers and one described image: its id and version.
pub async fn drafted(house: &House, form: Value) -> (String, u64) {
    let draft = house.empty(REQUESTER, "POST", "/drafts").await.is(201);
    let id = draft.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(draft.headers["location"], format!("/api/v1/drafts/{id}"));
    let at = format!("/drafts/{id}");
    let version = house.json(REQUESTER, "PUT", &at, json!({ "version": 1, "form": form })).await.is(200).json()["version"].clone();
    let added = house.upload(REQUESTER, &format!("{at}/images?version={version}"), photograph("sample3.jpg")).await.is(201).json();
    assert_eq!(added["image"]["faces"].as_array().unwrap().len(), 3);
    let image = format!("{at}/images/{}", added["image"]["probe"].as_str().unwrap());
    let described = json!({ "version": added["version"], "face": 1, "source": "unsupervised" });
    let saved = house.json(REQUESTER, "PATCH", &image, described).await.is(200).json();
    (id, saved["version"].as_u64().unwrap())
}

/// A request that the gallery received.
pub async fn received(house: &House, form: Value) -> String {
    let (id, version) = drafted(house, form).await;
    let sent = house.post(REQUESTER, &format!("/drafts/{id}/send"), json!({ "version": version })).await.is(200).json();
    assert_eq!(sent["requests"], json!([id]));
    let version = house.version(APPROVER, &id).await;
    let approved = house.post(APPROVER, &format!("/requests/{id}/approve"), json!({ "version": version })).await.is(200).json();
    assert_eq!(approved["state"], "received");
    id
}

/// Taken and authorised: its probe, and its version, as the holder sees them.
pub async fn authorised(house: &House, id: &str) -> (String, Value) {
    let holder = desk(GalleryId::Passport).assessors[0];
    let at = format!("/requests/{id}");
    let version = house.version(holder, id).await;
    let taken = house.post(holder, &format!("{at}/take"), json!({ "version": version, "no_conflict": true })).await.is(200).json();
    let whole = house.get(holder, &at).await.is(200).json();
    let probe = whole["probes"][0]["id"].as_str().unwrap().to_owned();
    house.get(holder, &format!("{at}/images/{probe}")).await.is(200);
    let body = json!({ "version": taken["version"], "assessment": assessment(), "decision": "authorise" });
    let authorised = house.post(holder, &format!("{at}/probes/{probe}/assess"), body).await.is(200).json();
    assert_eq!(authorised["state"], "searching");
    (probe, authorised["version"].clone())
}

/// Searched: its probe, as the holder sees it.
pub async fn searched(house: &House, id: &str) -> String {
    let (probe, version) = authorised(house, id).await;
    let (holder, at) = (desk(GalleryId::Passport).assessors[0], format!("/requests/{id}"));
    let body = json!({ "version": version });
    let found = house.post(holder, &format!("{at}/probes/{probe}/search"), body.clone()).await.is(200).json();
    assert_eq!(found["state"], "comparing");
    let again = house.post(holder, &format!("{at}/probes/{probe}/search"), json!({ "version": found["version"] })).await.is(422);
    assert!(again.clauses().contains(&"M1".to_owned()), "leave is used once: {}", again.text());
    probe
}

/// Every candidate blind; `words` are the examiner's own, looked for in what others get.
async fn look(house: &House, who: PersonId, at: &str, words: &str) {
    let sheet = house.get(who, at).await.is(200).json();
    for c in sheet["candidates"].as_array().unwrap() {
        let candidate = format!("{at}/candidates/{}", c["id"].as_str().unwrap());
        house.get(who, &format!("{at}/image")).await.is(200);
        house.get(who, &format!("{candidate}/image")).await.is(200);
        let early = house.get(who, &format!("{candidate}/informed")).await.is(422);
        assert_eq!(early.clauses(), ["M2"], "the biography is not shown before every visual opinion is locked");
        let version = house.get(who, at).await.is(200).json()["version"].clone();
        let body = json!({ "version": version, "conclusion": "strongly-same", "words": words, "components": { "eyes": "alike", "nose": "alike" } });
        house.post(who, &format!("{candidate}/visual"), body).await.is(200);
    }
}

/// Every candidate informed.
async fn conclude(house: &House, who: PersonId, at: &str, words: &str) {
    let sheet = house.get(who, at).await.is(200).json();
    assert_eq!(sheet["informed_open"], true);
    for c in sheet["candidates"].as_array().unwrap() {
        let candidate = format!("{at}/candidates/{}", c["id"].as_str().unwrap());
        let reading = house.get(who, &format!("{candidate}/informed")).await.is(200).json();
        assert!(!reading["biography"].as_array().unwrap().is_empty());
        let version = house.get(who, at).await.is(200).json()["version"].clone();
        let body = json!({ "version": version, "same_person": true, "reasons": words });
        house.post(who, &format!("{candidate}/informed"), body).await.is(200);
    }
}

/// The scores of a search, as they are sealed in the record.
async fn sealed_scores(house: &House, id: RequestId) -> Vec<f64> {
    let mut out = vec![];
    for record in house.bureau.store().load(StreamId::Request(id)).await.unwrap() {
        let entry: Entry = serde_json::from_slice(&record.payload.unwrap()).unwrap();
        if let Event::Listed { found, .. } = entry.event {
            out.extend(found.iter().map(|f| f.score));
        }
    }
    out
}

#[tokio::test]
async fn m2_a_whole_story_through_the_api_tells_nobody_a_score_or_anothers_opinion() {
    let house = House::enrolled().await;
    let desk = desk(GalleryId::Passport);
    let [holder, ..] = desk.assessors;
    let [first, second, ..] = desk.examiners;
    let id = received(&house, form()).await;
    let at = format!("/requests/{id}");
    let probe = searched(&house, &id).await;
    let scores = sealed_scores(&house, id.parse().unwrap()).await;
    assert!(!scores.is_empty(), "the person sought is on the list");

    // review: what the second examiner gets is the same bytes whatever the first one does.
    let sheet = format!("/comparisons/{id}/{probe}");
    let listed = house.get(second, "/comparisons").await.is(200).json();
    assert_eq!(listed[0]["step"], "take-up");
    house.empty(first, "POST", &sheet).await.is(200);
    house.empty(second, "POST", &sheet).await.is(200);
    let seen = async || {
        let mut all = vec![];
        for path in [sheet.clone(), format!("{sheet}/image"), "/comparisons".into()] {
            all.push(house.get(second, &path).await.is(200).bytes);
        }
        all
    };
    let before = seen().await;
    look(&house, first, &sheet, "canary first visual").await;
    assert!(before == seen().await, "after the first examiner's visual opinions");
    conclude(&house, first, &sheet, "canary first informed").await;
    assert!(before == seen().await, "after the first examiner's conclusions");
    look(&house, second, &sheet, "canary second visual").await;
    conclude(&house, second, &sheet, "canary second informed").await;

    // respond
    let matches = house.get(holder, &format!("{at}/matches")).await.is(200).json();
    let refused = house.get(holder, &format!("{at}/preview")).await.is(422);
    assert!(refused.clauses().contains(&"O10".to_owned()), "{}", refused.text());
    for m in matches.as_array().unwrap() {
        let candidate = m["candidate"].as_str().unwrap();
        house.get(holder, &format!("{at}/matches/{candidate}/image")).await.is(200);
        let sharing = json!({ "decision": "share", "image": true, "fields": [{ "field": "name", "why": "To find the person." }], "reasons": "Needed." });
        let body = json!({ "version": house.version(holder, &id).await, "sharing": sharing });
        house.post(holder, &format!("{at}/probes/{probe}/sharing/{candidate}"), body).await.is(200);
    }
    let preview = house.get(holder, &format!("{at}/preview")).await.is(200).json();
    let early = house.get(REQUESTER, &format!("{at}/answer")).await;
    assert!(early.status.is_client_error(), "not before it is released: {}", early.text());
    let version = house.version(holder, &id).await;
    let body = json!({ "version": version, "recipient_confirmed": true });
    assert_eq!(house.post(holder, &format!("{at}/answer"), body).await.is(200).json()["state"], "answered");
    let answer = house.get(REQUESTER, &format!("{at}/answer")).await.is(200).json();
    assert_eq!(answer, preview, "what was previewed is what arrives");
    assert_eq!(answer["outcome"], "match");
    let candidate = answer["probes"][0]["shared"][0]["candidate"].as_str().unwrap();
    house.get(REQUESTER, &format!("{at}/answer/images/{candidate}")).await.is(200);
    let person = &answer["probes"][0]["shared"][0]["fields"];
    assert_eq!(person.as_array().unwrap().len(), 1, "only what was decided: {person}");

    // report
    for (who, path) in [
        (REQUESTER, format!("{at}/history")),
        (holder, format!("{at}/history")),
        (holder, at.clone()),
        (AUDITOR, format!("{at}/history")),
        (AUDITOR, at.clone()),
        (AUDITOR, "/ledger?limit=100".into()),
        (AUDITOR, "/statistics".into()),
        (AUDITOR, "/sample?seed=spring&size=3".into()),
        (AUDITOR, "/me".into()),
        (AUDITOR, "/processing".into()),
        (desk.siao, "/processing?gallery=passport&from=2020-01-01T00:00:00Z".into()),
        (AUDITOR, "/processing/0/proof".into()),
        (AUDITOR, "/ledger?kind=released&gallery=passport&until=2030-01-01T00:00:00Z".into()),
        (REQUESTER, "/requests".into()),
        (desk.leader, "/colleagues".into()),
        (holder, "/requests?list=ended&state=answered".into()),
    ] {
        house.get(who, &path).await.is(200);
    }
    // D5: who got what, and the next page begins where this one ended.
    let got = house.get(AUDITOR, &format!("/processing?operation=disclosure&request={id}")).await.is(200).json();
    let disclosed = got["entries"].as_array().unwrap();
    assert!(disclosed.len() >= 3 && disclosed.iter().all(|e| e["to"].is_string() && e["operation"] == "disclosure"), "{got}");
    let first_page = house.get(AUDITOR, "/processing").await.is(200).json();
    let next = first_page["next"].as_str().expect("there are more than fifty").to_owned();
    let second_page = house.get(AUDITOR, &format!("/processing?below={next}")).await.is(200).json();
    let last = &first_page["entries"].as_array().unwrap().last().unwrap()["index"];
    assert!(second_page["entries"][0]["index"].as_u64().unwrap() < last.as_u64().unwrap());
    house.get(AUDITOR, "/processing?below=nonsense").await.is(400);
    house.get(AUDITOR, "/processing?operation=peeping").await.is(400);
    house.get(AUDITOR, "/processing/999999/proof").await.is(404);
    for who in [REQUESTER, APPROVER, holder, first, desk.leader] {
        assert!(house.get(who, "/processing").await.status.is_client_error());
        assert!(house.get(who, "/processing/0/proof").await.status.is_client_error());
    }
    let verified = house.empty(AUDITOR, "POST", "/ledger/verify").await.is(200).json();
    assert_eq!(verified["verified"], true);

    // Flagged after it left, that is said beside what was sealed, to the force and to staff.
    assert_eq!((&answer["sensitive"], &answer["besides"]), (&json!(false), &json!([])));
    house.post(holder, &format!("{at}/vulnerable"), json!({ "words": "Her name was changed." })).await.is(204);
    for (who, path) in [(REQUESTER, "answer"), (holder, "preview")] {
        let now = house.get(who, &format!("{at}/{path}")).await.is(200).json();
        assert_eq!((&now["sensitive"], &now["besides"][0]["clause"]), (&json!(true), &json!("V3")));
        assert_eq!((&now["probes"], &now["conditions"]), (&answer["probes"], &answer["conditions"]));
    }
    let version = house.version(holder, &id).await;
    house.post(holder, &format!("{at}/close"), json!({ "version": version })).await.is(200);

    let answers = house.answers.lock().unwrap();
    for (who, words) in [(first, "canary first informed"), (second, "canary second visual")] {
        assert!(answers.iter().any(|g| g.caller == Some(who) && g.text().contains(words)), "one's own opinion is shown to oneself");
    }
    for got in answers.iter() {
        nothing_leaks(got, &scores, first, second);
    }
}

fn nothing_leaks(got: &Got, scores: &[f64], first: PersonId, second: PersonId) {
    let text = got.text().to_lowercase();
    let who = got.caller;
    assert!(!text.contains("score") && !text.contains("\"rank\""), "{} holds a score: {text}", got.what);
    for score in scores {
        let digits = format!("{score:.5}");
        assert!(!text.contains(&digits), "{} holds the score {digits}", got.what);
    }
    assert!(who == Some(first) || !text.contains("canary first"), "{} by {who:?} holds the first examiner's opinion", got.what);
    assert!(who == Some(second) || !text.contains("canary second"), "{} by {who:?} holds the second examiner's opinion", got.what);
    let reviewing = who == Some(first) || who == Some(second);
    assert!(reviewing || !text.contains("strongly-same"), "{} by {who:?} holds an opinion", got.what);
    assert!(!text.contains("\"original\"") && !text.contains("\"rendering\""), "{} names a blob", got.what);
}

#[tokio::test]
async fn m2_a_leader_replaces_an_absent_examiner_and_is_told_of_failed_tasks() {
    let house = House::enrolled().await;
    let desk = desk(GalleryId::Passport);
    let [absent, next, ..] = desk.examiners;
    let id = received(&house, form()).await;
    let at = format!("/requests/{id}");
    let probe = searched(&house, &id).await;
    let sheet = format!("/comparisons/{id}/{probe}");
    house.empty(absent, "POST", &sheet).await.is(200);
    look(&house, absent, &sheet, "canary of the absent").await;

    let at_work = house.get(desk.leader, &format!("{at}/examiners")).await.is(200).json();
    assert_eq!((at_work.as_array().unwrap().len(), &at_work[0]["person"]), (1, &json!(absent.0)));
    assert!(!at_work.to_string().contains("canary"));
    for who in [absent, next, desk.assessors[0]] {
        assert!(house.get(who, &format!("{at}/examiners")).await.status.is_client_error());
    }
    let version = house.version(desk.leader, &id).await;
    let body = |reason| json!({ "version": version, "person": absent.0, "reason": reason });
    let path = format!("{at}/examiners/replace");
    let told = house.post(desk.leader, &path, body("")).await.is(422);
    assert!(told.clauses().contains(&"M2".to_owned()), "{}", told.text());
    house.post(desk.leader, &path, body("On long leave.")).await.is(200);
    house.post(desk.leader, &path, body("On long leave.")).await.is(409);
    assert_eq!(house.get(desk.leader, &format!("{at}/examiners")).await.is(200).json(), json!([]));
    house.get(absent, &sheet).await.is(404);
    house.empty(next, "POST", &sheet).await.is(200);
    assert!(!house.get(next, &sheet).await.is(200).text().contains("canary"), "begins blind");

    assert_eq!(house.get(desk.leader, "/failed-tasks").await.is(200).json(), json!([]));
    house.get(next, "/failed-tasks").await.is(404);
    house.post(desk.leader, "/failed-tasks/try-again", json!({ "task": 1 })).await.is(409);
    house.post(next, "/failed-tasks/try-again", json!({ "task": 1 })).await.is(404);
}

//! P1 through the API: a leader puts a known-answer trial before the examiners, and what came of it is told to those
//! who may know.

use crate::house::House;
use casework::{
    record::GalleryId,
    testing::{AUDITOR, REQUESTER, desk},
};
use serde_json::{Value, json};

#[tokio::test]
async fn p1_a_trial_is_prepared_seeded_examined_and_told_through_the_api() {
    let house = House::enrolled().await;
    let d = desk(GalleryId::Passport);
    for who in [d.siao, d.assessors[0], d.examiners[0], REQUESTER, AUDITOR] {
        house.empty(who, "POST", "/trials").await.is(422);
    }
    let begun = house.empty(d.leader, "POST", "/trials").await.is(201).json();
    let id = begun["id"].as_str().unwrap().to_owned();
    let at = format!("/trials/drafts/{id}");
    let words = json!({ "version": begun["version"], "origin": "Colleagues who agreed.", "mode": "unidentified", "source": "unsupervised",
        "offence": "An invented theft.", "person": "About forty.", "came_in_days_ago": 2 });
    let mut version = house.json(d.leader, "PUT", &at, words.clone()).await.is(200).json()["version"].clone();
    house.json(d.leader, "PUT", &at, words).await.is(409);
    let mut too_old = json!({ "version": version, "origin": "", "mode": null, "source": null, "offence": "", "person": "" });
    too_old["came_in_days_ago"] = 31.into();
    house.json(d.leader, "PUT", &at, too_old).await.is(400);
    let faces = house.cut_out("sample3.jpg").await;
    let take = |v: &Value| v["version"].clone();
    version = take(&house.upload_by(d.leader, "PUT", &format!("{at}/picture?version={version}"), faces[1].clone()).await.is(200).json());
    house.upload(d.leader, &format!("{at}/candidates?version={version}"), b"nothing".to_vec()).await.is(422);
    for picture in &house.cut_out("sample1.jpg").await[..2] {
        version = take(&house.upload(d.leader, &format!("{at}/candidates?version={version}"), picture.clone()).await.is(200).json());
    }
    let missing = house.post(d.leader, &format!("{at}/seed"), json!({ "version": version })).await.is(422);
    assert!(missing.clauses().contains(&"P1".to_owned()), "{:?}", missing.clauses());
    let draft = house.get(d.leader, &at).await.is(200).json();
    for (n, c) in draft["candidates"].as_array().unwrap().iter().enumerate() {
        let said = json!({ "version": version, "same_person": n == 0, "record": [{ "field": "name", "value": format!("Invented {n}") }] });
        version = take(&house.json(d.leader, "PUT", &format!("{at}/candidates/{}", c["id"].as_str().unwrap()), said).await.is(200).json());
    }
    house.get(d.leader, &format!("/trials/{id}/pictures/{}", draft["picture"].as_str().unwrap())).await.is(200);
    let seed = json!({ "version": version });
    assert_eq!(house.post_once(d.leader, &format!("{at}/seed"), "one", seed.clone()).await.is(200).json()["step"], "comparing");
    house.post_once(d.leader, &format!("{at}/seed"), "one", seed).await.is(200);

    // To examiners it is a comparison; to nobody is it a request.
    for who in [d.leader, d.assessors[0], d.siao, AUDITOR, REQUESTER] {
        house.get(who, &format!("/requests/{id}")).await.is(404);
    }
    for who in [d.examiners[0], d.siao, d.assessors[0]] {
        house.get(who, &format!("/trials/{id}")).await.is(422);
    }
    for who in &d.examiners[..2] {
        let lines = house.get(*who, "/comparisons").await.is(200).json();
        let probe = lines.as_array().unwrap().iter().find(|l| l["request"] == *id).unwrap()["probe"].as_str().unwrap().to_owned();
        let base = format!("/comparisons/{id}/{probe}");
        let sheet = house.empty(*who, "POST", &base).await.is(200).json();
        let mut own = 0;
        for c in sheet["candidates"].as_array().unwrap() {
            let at = format!("{base}/candidates/{}", c["id"].as_str().unwrap());
            house.get(*who, &format!("{at}/image")).await.is(200);
            let visual =
                json!({ "version": own, "conclusion": "different", "components": { "nose": "different" }, "words": "The noses differ." });
            house.post(*who, &format!("{at}/visual"), visual).await.is(200);
            own += 1;
        }
        assert_eq!(house.get(*who, "/trials/results/own").await.is(200).json()["trials"], 0);
        for c in sheet["candidates"].as_array().unwrap() {
            let at = format!("{base}/candidates/{}/informed", c["id"].as_str().unwrap());
            house.get(*who, &at).await.is(200);
            house.post(*who, &at, json!({ "version": own, "same_person": false, "reasons": "The noses differ." })).await.is(200);
            own += 1;
        }
    }
    let own = house.get(d.examiners[0], "/trials/results/own").await.is(200).json();
    assert_eq!(own["trials"], 0, "told before it is closed, it would say which comparison it was");
    assert_eq!(own["wrong"]["false_confirms"]["rule_of_three"], 1.0, "nothing seen shows nothing");
    let told = house.get(d.leader, "/trials/results").await.is(200).json();
    assert_eq!(told["team"].as_array().unwrap().iter().filter(|r| r["trials"] == 1).count(), 2);
    let examiner = d.examiners[0].to_string();
    let of = &told["team"].as_array().unwrap().iter().find(|r| r["person"] == examiner).unwrap()["wrong"]["misses"];
    assert_eq!((&of["errors"], &of["of"]), (&json!(1), &json!(1)));
    assert_eq!(told["procedure"]["misses"]["errors"], 1);
    assert_eq!(house.get(d.siao, "/trials/results").await.is(200).json()["team"], json!([]));
    house.get(AUDITOR, "/trials/results").await.is(422);
    house.get(d.leader, "/trials/agreement").await.is(200);
    house.get(d.siao, "/trials/agreement").await.is(422);
    assert_eq!(house.get(d.leader, &format!("/trials/{id}")).await.is(200).json()["step"], "concluded");
    house.post(d.examiners[0], &format!("/trials/{id}/stop"), json!({ "reason": "Because." })).await.is(422);
    house.post(d.leader, &format!("/trials/{id}/stop"), json!({ "reason": "" })).await.is(422);
    house.post(d.leader, &format!("/trials/{id}/stop"), json!({ "reason": "The pictures are mixed up." })).await.is(204);
    assert_eq!(house.get(d.leader, "/trials").await.is(200).json()["trials"][0]["step"], "stopped");
    assert_eq!(house.get(d.leader, "/trials/results").await.is(200).json()["trials"], 0, "stopped, it counts for nothing");

    // A second one, thrown away.
    let other = house.empty(d.leader, "POST", "/trials").await.is(201).json()["id"].as_str().unwrap().to_owned();
    let added = house.upload(d.leader, &format!("/trials/drafts/{other}/candidates?version=1"), faces[1].clone()).await.is(200).json();
    let candidate =
        house.get(d.leader, &format!("/trials/drafts/{other}")).await.is(200).json()["candidates"][0]["id"].as_str().unwrap().to_owned();
    house.empty(d.leader, "DELETE", &format!("/trials/drafts/{other}/candidates/{candidate}?version={}", added["version"])).await.is(200);
    house.empty(d.leader, "DELETE", &format!("/trials/drafts/{other}")).await.is(204);
    house.get(d.leader, &format!("/trials/drafts/{other}")).await.is(404);
}

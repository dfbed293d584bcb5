//! P1 through the API: certificates for everybody, another threshold by two people.

use crate::{
    house::{House, engine, pack},
    measured::evaluation,
    story::{authorised, form, received, searched},
};
use axum::{
    body::Body,
    http::{Request, header},
};
use casework::{
    command::Command,
    ids::PersonId,
    record::GalleryId,
    testing::{AUDITOR, REQUESTER, World, desk},
};
use serde_json::json;

/// A proposal of 0.97 for the passport gallery; `edit` changes what is sent.
async fn propose(house: &House, who: PersonId, file: &[u8], edit: impl FnOnce(&mut serde_json::Value)) -> crate::house::Got {
    let evaluation = std::str::from_utf8(file).unwrap();
    let mut body = json!({
        "gallery": "passport", "threshold": 0.97, "references_max": 400, "reasons": "Fewer mistakes", "evaluation": evaluation
    });
    edit(&mut body);
    house.post(who, "/accuracy/proposals", body).await
}

#[tokio::test]
async fn p1_a_threshold_is_changed_through_the_api_by_two_people() {
    let house = House::enrolled().await;
    let d = desk(GalleryId::Passport);
    let open = Request::get("/api/v1/accuracy").header(header::HOST, crate::house::HOST).body(Body::empty()).unwrap();
    let all = house.send(None, open).await.is(200).json();
    assert_eq!((&all[0]["gallery"], &all[0]["against"]), (&json!("passport"), &json!([])));
    let old = all[0]["threshold"].as_f64().unwrap();
    assert_eq!(old.to_bits(), engine().model().threshold.value.to_bits());
    assert!(all[0]["note"].as_str().unwrap().contains("countersign accuracy certificate 1"));
    // The settings are for those who see the figures.
    house.get(REQUESTER, "/accuracy/settings").await.is(422);
    assert_eq!(house.get(AUDITOR, "/accuracy/settings").await.is(200).json().as_array().unwrap().len(), 2);
    let file = evaluation(&pack(), engine().model(), 100, World::new().today(), |_| ());
    propose(&house, d.leader, &file, |_| ()).await.is(422);
    propose(&house, d.siao, &file, |b| b["threshold"] = "high".into()).await.is(400);
    propose(&house, d.siao, &file, |b| b["unknown"] = 1.into()).await.is(400);
    assert_eq!(propose(&house, d.siao, b"{}", |_| ()).await.is(422).clauses(), ["P1"]);
    assert_eq!(propose(&house, d.siao, b"not json", |_| ()).await.is(422).clauses(), ["P1"]);
    // Nothing that was typed stands in the address, where logs would keep it.
    let old_way = "/api/v1/accuracy/proposals?gallery=passport&threshold=0.97&references_max=400&reasons=x";
    let request = Request::post(old_way)
        .header(header::HOST, crate::house::HOST)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", house.token(d.siao).await))
        .body(Body::from(file.clone()))
        .unwrap();
    house.send(Some(d.siao), request).await.is(400);
    propose(&house, d.siao, &file, |_| ()).await.is(204);
    let waits = house.get(d.leader, "/accuracy/settings").await.is(200).json()[0]["proposed"].clone();
    // The house's certificates are from the same file, which arrived byte for byte.
    assert_eq!(waits["certificate"]["evaluation"], all[0]["certificate"]["evaluation"]);
    assert_eq!((&waits["against"], waits["old_threshold"].as_f64()), (&json!([]), Some(old)));
    let number = waits["number"].clone();
    let body = json!({ "gallery": "passport", "number": number });
    assert_eq!(house.post(d.siao, "/accuracy/proposals/confirm", body.clone()).await.is(422).clauses(), ["P1"]);
    let issued = house.post(d.leader, "/accuracy/proposals/confirm", body.clone()).await.is(200).json();
    assert_eq!(issued["threshold"].as_f64(), Some(0.97));
    house.post(d.leader, "/accuracy/proposals/confirm", body).await.is(409);
    house.post(d.leader, "/accuracy/proposals/decline", json!({ "gallery": "passport", "number": number, "reasons": "No." })).await.is(409);
    assert_eq!(house.get(d.siao, "/accuracy").await.is(200).json()[0]["threshold"].as_f64(), Some(0.97));
}

#[tokio::test]
async fn p1_a_certificate_is_revoked_through_the_api_and_everybody_reads_why() {
    let house = House::enrolled().await;
    let d = desk(GalleryId::Passport);
    let setting = async |who| house.get(who, "/accuracy/settings").await.is(200).json()[0].clone();
    let digest = setting(d.siao).await["accuracy"]["digest"].clone();
    for (who, may) in [(d.siao, true), (d.leader, true), (AUDITOR, false)] {
        assert_eq!(setting(who).await["may_revoke"], may);
    }
    // One search is authorised, another was started and its worker has not come.
    let mut requests = vec![];
    for investigation in ["OP-API-1", "OP-API-2"] {
        let mut form = form();
        form["investigation"] = investigation.into();
        let id = received(&house, form).await;
        let (probe, version) = authorised(&house, &id).await;
        requests.push((id, probe, version));
    }
    let [(first, probe, version), (second, started, _)] = &requests[..] else { panic!("two") };
    let start = Command::StartSearch { probe: started.parse().unwrap() };
    house.bureau.act(d.assessors[0], second.parse().unwrap(), start, None, None).await.unwrap();
    let revoke = json!({ "gallery": "passport", "certificate": digest, "reasons": "The sample was mixed up." });
    for who in [d.assessors[0], d.examiners[0], REQUESTER, AUDITOR] {
        house.post(who, "/accuracy/revocations", revoke.clone()).await.is(422);
    }
    house.post(d.siao, "/accuracy/revocations", json!({ "gallery": "passport", "certificate": "no digest", "reasons": "x" })).await.is(400);
    let unknown = json!({ "gallery": "passport", "certificate": "00".repeat(32), "reasons": "" });
    assert_eq!(house.post(d.siao, "/accuracy/revocations", unknown).await.is(422).clauses(), ["P1", "P1"]);
    house.post(d.siao, "/accuracy/revocations", revoke.clone()).await.is(204);
    house.post(d.siao, "/accuracy/revocations", revoke).await.is(422);
    assert_eq!(setting(d.siao).await["may_revoke"], false);
    let search = format!("/requests/{first}/probes/{probe}/search");
    let refused = house.post(d.assessors[0], &search, json!({ "version": version })).await.is(422);
    assert!(refused.clauses().contains(&"P1".to_owned()) && refused.text().contains("The sample was mixed up."), "{}", refused.text());
    // The page says what became of the one that was started, to whoever waits for it.
    let page = house.page(d.assessors[0], &format!("/search/{second}")).await;
    assert!(page.contains("it is refused now") && page.contains("The sample was mixed up.") && !page.contains("under way"), "{page}");
    house.bureau.work("tests").await.unwrap();
    assert_eq!(house.get(d.leader, "/failed-tasks").await.is(200).json()[0]["reason"], "refused");
    let accuracy = house.get(REQUESTER, "/accuracy").await.is(200).json()[0].clone();
    let against = accuracy["against"].as_array().unwrap();
    assert!(against.iter().any(|w| w.as_str().unwrap().ends_with(": The sample was mixed up.")), "{against:?}");
    assert_eq!(accuracy["digest"], digest, "it is still shown, as revoked");
}

#[tokio::test]
async fn p1_what_rests_on_a_certificate_is_told_to_those_who_answer_for_it() {
    let house = House::enrolled().await;
    let d = desk(GalleryId::Passport);
    let mut ids = vec![];
    for investigation in ["OP-API-1", "OP-API-2"] {
        let mut form = form();
        form["investigation"] = investigation.into();
        let id = received(&house, form).await;
        searched(&house, &id).await;
        ids.push(id);
    }
    ids.reverse();
    let digest = house.get(d.siao, "/accuracy").await.is(200).json()[0]["digest"].as_str().unwrap().to_owned();
    let path = format!("/accuracy/certificates/{digest}/searches");
    let before = house.get(d.siao, &path).await.is(200).json();
    assert_eq!(
        (&before["searches"], &before["cases"], &before["revoked"], &before["pages"]),
        (&json!(2), &json!(2), &json!(null), &json!(1))
    );
    assert_eq!(before["lines"].as_array().unwrap().iter().map(|l| l["request"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    assert_eq!((&before["lines"][0]["state"], &before["lines"][0]["certificate"]), (&json!("comparing"), &json!(digest)));
    for who in [d.assessors[0], d.examiners[0], REQUESTER] {
        assert_eq!(house.get(who, &path).await.is(422).clauses(), ["P1"]);
    }
    house.get(desk(GalleryId::Immigration).siao, &path).await.is(404);
    for nothing in ["00".repeat(32), "no-digest".into(), digest[1..].to_owned()] {
        house.get(AUDITOR, &format!("/accuracy/certificates/{nothing}/searches")).await.is(404);
    }
    for page in ["0", "1001", "-1", "x", "1&page=1", "1&more=1"] {
        house.get(AUDITOR, &format!("{path}?page={page}")).await.is(400);
    }
    assert_eq!(house.get(AUDITOR, &format!("{path}?page=2")).await.is(200).json()["lines"], json!([]));
    let asked = house.page(d.leader, "/report/accuracy/passport/revoke").await;
    assert!(asked.contains("2 searches were run under it") && asked.contains("in 2 cases"), "{asked}");
    let revoke = json!({ "gallery": "passport", "certificate": digest, "reasons": "The sample was mixed up." });
    house.post(d.siao, "/accuracy/revocations", revoke).await.is(204);
    let after = house.get(AUDITOR, &path).await.is(200).json();
    assert_eq!((&after["lines"], &after["reasons"]), (&before["lines"], &json!("The sample was mixed up.")));
    let revoked = house.get(d.siao, "/accuracy/settings").await.is(200).json()[0]["revoked"].clone();
    assert_eq!((&revoked[0]["digest"], &revoked[0]["reasons"]), (&json!(digest), &json!("The sample was mixed up.")));
    let page = house.page(AUDITOR, &format!("/report{path}")).await;
    for part in ["The sample was mixed up.", before["lines"][0]["reference"].as_str().unwrap(), "2 searches in 2 cases"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

//! The client against a system that answers as the interface says, and against one that does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod fake;

use abis::{ANSWER_SECONDS_MAX, Abis, Asked, Candidate, Enrolled, Error, Settings};
use fake::{A, B, Fake, MISDEEDS};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivateKeyDer},
};
use uuid::Uuid;

fn settings(url: String) -> Settings {
    Settings {
        url,
        gallery: "PASSPORT".into(),
        vendor: "Acme".into(),
        algorithm: "FaceNet 5.2".into(),
        score_min: 0.0,
        score_max: 1.0,
        answer_within: Duration::from_secs(20),
        token: Some("t0ken".into()),
        authorities: vec![],
    }
}

fn asked(held: u64) -> Asked {
    Asked { transaction: Uuid::from_u128(77), most: 11, threshold: 0.5, held }
}

fn three() -> Fake {
    Fake::start((1..=3).map(|n| Uuid::from_u128(n).to_string()).collect())
}

#[tokio::test]
async fn a_search_follows_the_interface() {
    let fake = three();
    fake.answer_with(&[(A, 0.91), (B, 0.5)]);
    let abis = Abis::new(settings(fake.url())).unwrap();
    let found = abis.identify(b"jpeg", &asked(3)).await.unwrap();
    assert_eq!(found, [Candidate { reference: Uuid::from_u128(1), score: 0.91 }, Candidate { reference: Uuid::from_u128(2), score: 0.5 }]);
    let calls = fake.calls();
    let transaction = "transactionId=00000000-0000-0000-0000-00000000004d";
    let templates = format!(
        "/osia/v1/persons/00000000-0000-0000-0000-000000000003/encounters/00000000-0000-0000-0000-000000000003/templates?biometricType=FACE&{transaction}"
    );
    let expected = [
        ("GET", format!("/osia/v1/galleries/PASSPORT?{transaction}&offset=2&limit=2")),
        ("GET", templates.clone()),
        ("POST", format!("/osia/v1/identify/PASSPORT?{transaction}&maxNbCand=11&threshold=0.5")),
        ("GET", templates),
    ];
    assert_eq!(calls.iter().map(|c| (c.method.as_str(), c.target.clone())).collect::<Vec<_>>(), expected);
    assert!(calls.iter().all(|c| c.authorization.as_deref() == Some("Bearer t0ken")));
    let body: serde_json::Value = serde_json::from_slice(&calls[2].body).unwrap();
    let face = serde_json::json!({ "biometricType": "FACE", "biometricSubType": "PORTRAIT", "image": "anBlZw==", "mimeType": "image/jpeg", "compression": "JPEG" });
    assert_eq!(body, serde_json::json!({ "filter": {}, "biometricData": [face] }));
    // Nobody reaches the threshold: a whole answer too.
    fake.answer_with(&[]);
    assert_eq!(abis.identify(b"jpeg", &asked(3)).await.unwrap(), []);
}

#[tokio::test]
async fn whatever_it_does_wrong_nothing_of_its_answer_is_taken() {
    let fake = three();
    let patient = Abis::new(settings(fake.url())).unwrap();
    let hasty = Abis::new(Settings { answer_within: Duration::from_secs(1), ..settings(fake.url()) }).unwrap();
    for (name, misdeed, words) in MISDEEDS {
        fake.misbehave(Some(*misdeed));
        let abis = if words.contains("within") { &hasty } else { &patient };
        let said = abis.identify(b"jpeg", &asked(3)).await.expect_err(name).to_string();
        assert!(said.contains(words), "{name}: {said}");
        assert!(!said.contains("0000-0000") && !said.contains("disk"), "{name}: {said}");
    }
    // And then it behaves: the same search is made again.
    fake.misbehave(None);
    fake.answer_with(&[(A, 0.9)]);
    assert_eq!(patient.identify(b"jpeg", &asked(3)).await.unwrap().len(), 1);
    assert!(MISDEEDS.len() > 40);
}

#[tokio::test]
async fn another_model_or_another_number_of_references_is_not_searched() {
    let fake = three();
    fake.answer_with(&[(A, 0.9)]);
    let abis = Abis::new(settings(fake.url())).unwrap();
    for held in [2, 4] {
        assert!(matches!(abis.identify(b"jpeg", &asked(held)).await, Err(Error::Incomplete(n)) if n == held));
    }
    assert!(matches!(abis.identify(b"jpeg", &asked(0)).await, Err(Error::Empty)));
    for (vendor, algorithm) in [("Acme", "FaceNet 5.3"), ("Other", "FaceNet 5.2")] {
        let other = Abis::new(Settings { vendor: vendor.into(), algorithm: algorithm.into(), ..settings(fake.url()) }).unwrap();
        fake.calls();
        assert!(matches!(other.identify(b"jpeg", &asked(3)).await, Err(Error::Model)));
        assert!(fake.calls().iter().all(|c| c.method == "GET"), "no face was sent");
        assert!(matches!(other.check(3, Uuid::from_u128(1)).await, Err(Error::Model)));
    }
    // Changed between the look and the search, or while it searched: the list is not taken.
    fake.inside.lock().unwrap().algorithm_after = Some("FaceNet 6.0".into());
    assert!(matches!(abis.identify(b"jpeg", &asked(3)).await, Err(Error::Model)));
}

#[tokio::test]
async fn a_reference_is_enrolled_once() {
    let fake = Fake::start(vec![]);
    let abis = Abis::new(settings(fake.url())).unwrap();
    let (id, transaction) = (Uuid::from_u128(9), Uuid::from_u128(1));
    assert!(!abis.holds(id, transaction).await.unwrap());
    assert_eq!(abis.enrol(id, b"jpeg", transaction).await.unwrap(), Enrolled::New);
    assert_eq!(abis.enrol(id, b"jpeg", transaction).await.unwrap(), Enrolled::Already);
    assert!(abis.holds(id, transaction).await.unwrap());
    abis.check(1, transaction).await.unwrap();
    let post = fake.calls().into_iter().find(|c| c.method == "POST").unwrap();
    let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
    assert_eq!(body["galleries"], serde_json::json!(["PASSPORT"]));
    assert_eq!((body["status"].as_str(), body["biometricData"][0]["biometricType"].as_str()), (Some("ACTIVE"), Some("FACE")));
}

#[tokio::test]
async fn where_nobody_listens_that_is_said_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let said = Abis::new(settings(format!("http://{free}"))).unwrap().identify(b"jpeg", &asked(3)).await.unwrap_err();
    assert!(matches!(said, Error::Unreachable(_)) && began.elapsed() < Duration::from_secs(5), "{said}");
}

/// The fake behind TLS, with a certificate of its own authority.
async fn behind_tls(fake: &Fake, name: &str) -> (u16, Vec<u8>) {
    let own = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let (acceptor, to) = (TlsAcceptor::from(Arc::new(config)), fake.address);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut inner) = acceptor.accept(stream).await else { return };
                let mut outer = tokio::net::TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
            });
        }
    });
    (port, own.cert.pem().into_bytes())
}

#[tokio::test]
async fn over_tls_only_the_one_that_the_named_authority_proves() {
    let fake = three();
    let (port, own) = behind_tls(&fake, "localhost").await;
    let url = format!("https://localhost:{port}/osia");
    let abis = Abis::new(Settings { authorities: own.clone(), ..settings(url.clone()) }).unwrap();
    abis.check(3, Uuid::from_u128(1)).await.unwrap();
    let (_, another) = behind_tls(&fake, "localhost").await;
    let (elsewhere, its) = behind_tls(&fake, "other.example").await;
    fake.calls();
    for (url, authorities) in [(url, another), (format!("https://localhost:{elsewhere}"), its)] {
        let said = Abis::new(Settings { authorities, ..settings(url) }).unwrap().check(3, Uuid::from_u128(1)).await.unwrap_err();
        assert!(matches!(said, Error::Tls(_)), "{said}");
    }
    assert!(fake.calls().is_empty());
}

#[test]
fn settings_that_could_go_wrong_are_refused() {
    let good = || settings("http://127.0.0.1:1/x".into());
    assert!(Abis::new(good()).is_ok());
    assert!(!format!("{:?}", good()).contains("t0ken"));
    type Edit = fn(&mut Settings);
    let edits: &[(Edit, &str)] = &[
        (|s| s.url = "http://abis.example/".into(), "http is for this machine alone"),
        (|s| s.url = "ftp://localhost/".into(), "url is https"),
        (|s| s.url = "/v1".into(), "url is"),
        (|s| s.url = "not an address".into(), "url is not an address"),
        (|s| s.url = "http://localhost/?x=1".into(), "question mark"),
        (|s| s.url = "http://me:secret@localhost/".into(), "or a name"),
        (|s| s.url = "https://abis.example/".into(), "needs the certificate of the authority"),
        (|s| s.gallery = "ALL".into(), "every gallery"),
        (|s| s.gallery = "../persons".into(), "gallery's id"),
        (|s| s.gallery = "..".into(), "gallery's id"),
        (|s| s.gallery = "x".repeat(65), "gallery's id"),
        (|s| s.vendor = String::new(), "vendor and algorithm"),
        (|s| s.algorithm = "é".into(), "vendor and algorithm"),
        (|s| s.score_max = f64::NAN, "least score"),
        (|s| s.score_min = 1.0, "least score"),
        (|s| s.answer_within = Duration::from_millis(999), "1 to 90 seconds"),
        (|s| s.answer_within = Duration::from_secs(ANSWER_SECONDS_MAX + 1), "1 to 90 seconds"),
        (|s| s.token = Some("two words".into()), "token"),
    ];
    for (edit, words) in edits {
        let mut s = good();
        edit(&mut s);
        let said = Abis::new(s).expect_err(words).to_string();
        assert!(said.contains(words), "{said}");
    }
}

//! P1: a search stays inside what was measured; a threshold takes a measurement and two people.

use crate::support::*;
use casework::{
    assess::Decision,
    certificate::{CERTIFICATES_MAX, Certificate, Changes, Proposal, Rate, Rates, Running, fpir_estimate, percent},
    clause::Clause,
    command::Command,
    event::SearchFacts,
    ids::{Digest, PersonId},
    people::{Actor, Affiliation, Person, RegisterEvent, Role},
    record::GalleryId,
    refusal::Refusal,
    request::ProbeState,
    testing::{self, AUDITOR, GENUINE, REGISTRAR, RUNNING, THRESHOLD, World, desk},
};
use jiff::civil::date;

const P: GalleryId = GalleryId::Passport;
const OTHER: f64 = 0.75;
/// What the world runs on.
const MODEL: &str = "test-model";

fn words(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| r.words.as_str()).collect::<Vec<_>>().join("\n")
}

/// The world's register with other certificates than its own: each genuine.
fn with_certificates(w: &mut World, certificates: &[Certificate]) {
    let setting = w.register.settings.get_mut(&P).unwrap();
    setting.certificates.clear();
    setting.thresholds.clear();
    for c in certificates {
        w.register.apply(RegisterEvent::CertificateIssued { gallery: P, note: testing::note(c) });
    }
    for held in &mut w.register.settings.get_mut(&P).unwrap().certificates {
        held.genuine = Some(GENUINE);
    }
}

fn proposal(by: PersonId) -> Proposal {
    let old = testing::certificate(P, THRESHOLD).rates;
    Proposal {
        proposer: by,
        at: World::new().now,
        reasons: "Too many people are pointed at by mistake.".into(),
        certificate: Certificate {
            measured: date(2026, 11, 23),
            issued: date(2026, 11, 23),
            until: date(2027, 11, 23),
            ..testing::certificate(P, OTHER)
        },
        old_threshold: THRESHOLD,
        old,
        changes: Changes { found: 0, missed: 5, alerts: 0, spared: 2 },
    }
}

fn may_propose(w: &World, actor: &Actor, p: &Proposal) -> Result<(), Vec<Refusal>> {
    w.register.may_propose(actor, p, &RUNNING, 1_000, &w.policy)
}

fn may_confirm(w: &World, who: PersonId) -> Result<Certificate, Vec<Refusal>> {
    w.register.may_confirm(&w.actor(who), P, &RUNNING, 1_000, &w.policy, w.today())
}

#[test]
fn p1_a_search_outside_every_certificate_is_refused_with_every_reason() {
    let mut w = World::new();
    let case = w.authorised(P);
    let start = Command::StartSearch { probe: case.probe_id() };
    assert!(w.ask(case.assignee, &case.request, &start).is_ok());
    let good = testing::certificate(P, THRESHOLD);
    let other = Running { pack_digest: "cc".repeat(32), model: "other-model".into(), specification: "dd".repeat(32), ..RUNNING.clone() };
    // Everything is wrong at once: model, pack, specification, size, and it has run out.
    let all = Certificate { running: other, references_max: 999, until: date(2026, 11, 1), ..good.clone() };
    with_certificates(&mut w, &[all]);
    let why = w.ask(case.assignee, &case.request, &start).unwrap_err();
    let said = words(&why);
    for part in ["other-model", "edition of the model pack", "image specification", "999 references", "1 November 2026"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(why.iter().all(|r| r.clauses.contains(&Clause::P1)));
    assert!(cites(&why, Clause::A3), "the image specification is A3b's");
    // Each alone is enough.
    type Edit = fn(&mut Certificate);
    let edits: [(Edit, &str); 6] = [
        (|c| c.running.model = "m".into(), "model"),
        (|c| c.running.pack_digest = "ee".into(), "pack"),
        (|c| c.running.specification = "ee".into(), "specification"),
        (|c| c.references_max = 999, "references"),
        (|c| c.until = date(2026, 11, 22), "measured again"),
        (|c| c.issued = date(2026, 11, 24), "counts from"),
    ];
    for (edit, said) in edits {
        let mut c = good.clone();
        edit(&mut c);
        with_certificates(&mut w, &[c]);
        let why = w.ask(case.assignee, &case.request, &start).unwrap_err();
        assert_eq!(why.len(), 2, "{why:?}");
        assert!(words(&why).contains(said), "{why:?}");
    }
    // The last day counts; the closest certificate is the one that is told of; one good one is enough.
    with_certificates(&mut w, &[Certificate { until: date(2026, 11, 23), ..good.clone() }]);
    assert!(w.ask(case.assignee, &case.request, &start).is_ok());
    let far = Certificate { references_max: 1, running: Running { model: "m".into(), ..RUNNING.clone() }, ..good.clone() };
    let near = Certificate { references_max: 2, ..good.clone() };
    with_certificates(&mut w, &[near, far.clone()]);
    assert!(words(&w.ask(case.assignee, &case.request, &start).unwrap_err()).contains("up to 2 references"));
    with_certificates(&mut w, &[good, far]);
    assert!(w.ask(case.assignee, &case.request, &start).is_ok());
}

#[test]
fn p1_nothing_is_searched_without_a_certificate_that_our_key_signed_for_this_gallery() {
    let mut w = World::new();
    let case = w.authorised(P);
    let start = Command::StartSearch { probe: case.probe_id() };
    let refused = |w: &World| words(&w.ask(case.assignee, &case.request, &start).unwrap_err());
    // Signed by another installation, or changed after it was signed.
    w.register.settings.get_mut(&P).unwrap().certificates[0].genuine = None;
    assert!(refused(&w).contains("No accuracy certificate"));
    // Another gallery's, played into this one's history.
    let elsewhere = testing::certificate(GalleryId::Immigration, THRESHOLD);
    with_certificates(&mut w, &[elsewhere]);
    assert!(refused(&w).contains("No accuracy certificate"));
    w.register.settings.clear();
    assert!(refused(&w).contains("No accuracy certificate"));
    // A text that is no certificate changes nothing.
    w.register.apply(RegisterEvent::CertificateIssued { gallery: P, note: "hello\n\n\u{2014} x AAAA\n".into() });
    assert_eq!(w.register.settings[&P].threshold(MODEL), None);
    assert!(refused(&w).contains("No accuracy certificate"));
}

#[test]
fn p1_what_was_searched_is_recorded_only_under_the_certificate_that_covers_it() {
    let mut w = World::new();
    let mut case = w.authorised(P);
    let probe = case.probe_id();
    w.done(case.assignee, &mut case, Command::StartSearch { probe });
    let good = w.search_result(&case, probe, 1);
    let edits: [fn(&mut SearchFacts); 6] = [
        |f| f.threshold = 0.4,
        |f| f.running.model = "other".into(),
        |f| f.running.pack_digest = "other".into(),
        |f| f.running.specification = "other".into(),
        |f| f.searched = 2_001,
        |f| f.certificate = Digest([9; 32]),
    ];
    for edit in edits {
        let mut bad = good.clone();
        if let Command::RecordSearch { facts, .. } = &mut bad {
            edit(facts);
        }
        assert!(cites(&w.refused(None, &mut case, bad), Clause::P1));
    }
    w.done(None, &mut case, good);
}

#[test]
fn p1_a_certificate_rests_on_a_sample_that_can_support_it() {
    let w = World::new();
    let issue = |edit: &dyn Fn(&mut Certificate)| {
        let mut c = Certificate {
            measured: date(2026, 11, 23),
            issued: date(2026, 11, 23),
            until: date(2027, 11, 23),
            ..testing::certificate(P, THRESHOLD)
        };
        edit(&mut c);
        w.register.may_issue(&c, &RUNNING, &w.policy).map_err(|r| words(&r))
    };
    assert_eq!(issue(&|_| ()), Ok(()));
    let refused = |edit: &dyn Fn(&mut Certificate), said: &str| {
        let why = issue(edit).unwrap_err();
        assert!(why.contains(said), "{why}");
    };
    refused(&|c| c.rates.fpir.of = 299, "300 are needed");
    refused(&|c| c.rates.fpir.of = 299, "rule of three");
    refused(&|c| c.rates.fnir.of = 99, "100 are needed");
    refused(&|c| c.rates.fpir.of = 0, "no searches");
    refused(&|c| c.references_max = 2_001, "say that the rest is an estimate");
    assert_eq!(issue(&|c| (c.references_max, c.fpir_estimate) = (2_001, Some(0.01))), Ok(()));
    refused(&|c| c.references_max = 0, "Say how many");
    refused(&|c| c.until = date(2028, 1, 1), "366 days");
    // It counts from its measurement, whenever it is issued: the last day is the last on which it can be.
    refused(&|c| c.until = date(2027, 11, 24), "366 days");
    refused(&|c| c.measured = date(2026, 11, 22), "366 days from its measurement");
    assert_eq!(issue(&|c| (c.measured, c.until) = (date(2025, 11, 23), date(2026, 11, 23))), Ok(()));
    refused(&|c| (c.measured, c.until) = (date(2025, 11, 22), date(2026, 11, 22)), "has to be measured again");
    refused(&|c| c.measured = date(2026, 11, 24), "not yet");
    refused(&|c| c.rates.fpir.high = 1.5, "do not add up");
    refused(&|c| c.rates.fnir.errors = 1_001, "do not add up");
    refused(&|c| c.running.model = "not installed".into(), "the one in use is test-model");
    refused(&|c| c.threshold = OTHER, "takes a proposal and a second person");
    // A demonstration says nothing of accuracy, and never takes a measurement's place.
    refused(&|c| (c.demonstration, c.rates.fpir.of) = (true, 7), "does not take its place");
    let mut empty = World::new();
    empty.register.settings.clear();
    let rate = |of| Rate { errors: 0, of, low: 0.0, high: 0.4 };
    let shown = Certificate {
        demonstration: true,
        rates: Rates { fpir: rate(20), fnir: rate(3) },
        ..Certificate {
            measured: date(2026, 11, 23),
            issued: date(2026, 11, 23),
            until: date(2027, 11, 23),
            ..testing::certificate(P, OTHER)
        }
    };
    assert!(empty.register.may_issue(&shown, &RUNNING, &empty.policy).is_ok());
}

#[test]
fn p1_the_false_positive_rate_of_a_larger_gallery_is_an_estimate() {
    let rate = |errors, of, high| Rate { errors, of, low: 0.0, high };
    // From the interval's upper end, not from the share.
    let one = rate(3, 1_000, 0.01);
    assert!((fpir_estimate(&one, 1_000, 1_000) - 0.01).abs() < 1e-12);
    assert!((fpir_estimate(&one, 1_000, 2_000) - 0.0199).abs() < 1e-12);
    // No error in 300 searches does not say that there is none at 58 million.
    let none = rate(0, 300, 0.012_22);
    assert!(fpir_estimate(&none, 1_680, 1_680) > 0.01);
    assert!(fpir_estimate(&none, 1_680, 58_000_000) > 0.999_999);
    assert!(fpir_estimate(&rate(0, 300, 0.0), 1_680, 58_000_000).abs() < 1e-12);
}

#[test]
fn p1_a_rate_that_is_not_nothing_never_reads_as_nothing() {
    let said = [0.0, 1e-12, 0.000_049, 0.000_099, 0.000_1, 0.012_2, 0.099_9, 0.1, 0.995, 1.0].map(percent);
    let words = ["0 %", "below 0.01 %", "below 0.01 %", "below 0.01 %", "0.01 %", "1.22 %", "9.99 %", "10 %", "100 %", "100 %"];
    assert_eq!(said, words);
}

#[test]
fn p1_another_threshold_takes_the_owner_and_a_second_person() {
    let mut w = World::new();
    let d = desk(P);
    let p = proposal(d.siao);
    // Only the gallery's owner proposes.
    for who in [d.leader, d.assessors[0], d.examiners[0], AUDITOR, REGISTRAR, desk(GalleryId::Immigration).siao] {
        assert!(may_propose(&w, &w.actor(who), &p).is_err(), "{who}");
    }
    may_propose(&w, &w.actor(d.siao), &p).unwrap();
    type Edit = fn(&mut Proposal);
    let wrong: [(Edit, &str); 6] = [
        (|p| p.reasons = " ".into(), "Say why"),
        (|p| p.certificate.threshold = THRESHOLD, "That is the threshold in use"),
        (|p| p.old_threshold = 0.4, "changed meanwhile"),
        (|p| p.certificate.references_max = 900, "holds 1000 references already"),
        (|p| p.certificate.rates.fpir.of = 5, "rule of three"),
        (|p| p.certificate.running.model = "m".into(), "the one in use"),
    ];
    for (edit, said) in wrong {
        let mut bad = p.clone();
        edit(&mut bad);
        let why = words(&may_propose(&w, &w.actor(d.siao), &bad).unwrap_err());
        assert!(why.contains(said), "{why}");
    }
    assert!(words(&may_confirm(&w, d.leader).unwrap_err()).contains("No change is proposed"));
    w.register.apply(RegisterEvent::ThresholdProposed(Box::new(p.clone())));
    assert_eq!(w.register.settings[&P].threshold(MODEL), Some(THRESHOLD), "nothing changes before the second person");
    assert!(words(&may_propose(&w, &w.actor(d.siao), &p).unwrap_err()).contains("proposed already"));
    // Never the same person twice; nobody of another gallery; nobody without the role.
    assert!(words(&may_confirm(&w, d.siao).unwrap_err()).contains("second person"));
    for who in [d.assessors[0], d.examiners[0], AUDITOR, REGISTRAR, desk(GalleryId::Immigration).leader] {
        assert!(may_confirm(&w, who).is_err(), "{who}");
    }
    // Another engine by now.
    let other = Running { model: "newer".into(), ..RUNNING.clone() };
    assert!(w.register.may_confirm(&w.actor(d.leader), P, &other, 1_000, &w.policy, w.today()).is_err());
    assert!(w.register.may_confirm(&w.actor(d.leader), P, &RUNNING, 2_001, &w.policy, w.today()).is_err());
    // A week later it counts from then, and no longer than its measurement.
    w.pass_days(7);
    let issued = may_confirm(&w, d.leader).unwrap();
    assert_eq!((issued.measured, issued.issued, issued.until), (date(2026, 11, 23), date(2026, 11, 30), date(2027, 11, 23)));
    let mut late = World::new();
    late.register = w.register.clone();
    late.pass_days(366);
    assert!(words(&may_confirm(&late, d.leader).unwrap_err()).contains("has to be measured again"));
    w.register.apply(RegisterEvent::ThresholdConfirmed { gallery: P, note: testing::note(&issued) });
    let setting = w.register.settings.get_mut(&P).unwrap();
    assert_eq!((setting.threshold(MODEL), setting.proposal.as_ref()), (Some(OTHER), None));
    setting.certificates.last_mut().unwrap().genuine = Some(Digest([9; 32]));
    let today = w.today();
    assert!(w.register.certified(P, &RUNNING, OTHER, 1_000, today).is_ok());
    // The old certificate has not run out, but its threshold is no longer in use.
    assert!(words(&w.register.certified(P, &RUNNING, THRESHOLD, 1_000, today).unwrap_err()).contains("not the threshold in use"));
    assert!(words(&may_confirm(&w, d.siao).unwrap_err()).contains("No change is proposed"), "once");
}

#[test]
fn p1_a_threshold_belongs_to_the_model_whose_scores_it_cuts() {
    let mut w = World::new();
    let newer = Running { model: "newer".into(), pack_digest: "cc".repeat(32), ..RUNNING.clone() };
    let on = date(2026, 11, 23);
    let first =
        Certificate { running: newer.clone(), measured: on, issued: on, until: date(2027, 11, 23), ..testing::certificate(P, OTHER) };
    // Nothing is searched with a new model before it was measured; no threshold is taken over from the old one.
    let why = words(&w.register.certified(P, &newer, 0.0, 1_000, on).unwrap_err());
    assert!(why.contains("the one in use is newer") && !why.contains("threshold"), "{why}");
    let mut early = proposal(desk(P).siao);
    early.certificate = Certificate { threshold: 0.6, ..first.clone() };
    let actor = w.actor(desk(P).siao);
    let why = words(&w.register.may_propose(&actor, &early, &newer, 1_000, &w.policy).unwrap_err());
    assert!(why.contains("no threshold for this model yet"), "{why}");
    // Its first certificate is issued as the gallery's first was, and sets its threshold, not the other's.
    w.register.may_issue(&first, &newer, &w.policy).unwrap();
    w.register.apply(RegisterEvent::CertificateIssued { gallery: P, note: testing::note(&first) });
    let setting = w.register.settings.get_mut(&P).unwrap();
    setting.certificates.last_mut().unwrap().genuine = Some(GENUINE);
    assert_eq!((setting.threshold(MODEL), setting.threshold("newer")), (Some(THRESHOLD), Some(OTHER)));
    assert_eq!(setting.current(Some("newer")).map(|h| h.certificate.threshold), Some(OTHER));
    assert_eq!(setting.current(Some(MODEL)).map(|h| h.certificate.threshold), Some(THRESHOLD));
    assert!(w.register.certified(P, &newer, OTHER, 1_000, on).is_ok());
    assert!(w.register.certified(P, &RUNNING, THRESHOLD, 1_000, on).is_ok());
    // From then on it too takes two people, and a change of one leaves the other.
    let why = words(&w.register.may_issue(&Certificate { threshold: 0.6, ..first.clone() }, &newer, &w.policy).unwrap_err());
    assert!(why.contains("takes a proposal and a second person"), "{why}");
    w.register.apply(RegisterEvent::ThresholdConfirmed { gallery: P, note: testing::note(&Certificate { threshold: 0.6, ..first }) });
    let setting = &w.register.settings[&P];
    assert_eq!((setting.threshold(MODEL), setting.threshold("newer")), (Some(THRESHOLD), Some(0.6)));
}

#[test]
fn p1_a3_an_image_that_another_specification_judged_is_not_searched_and_can_be_declined() {
    let mut w = World::new();
    // Judged by another one, or by nobody knows which.
    for judged in [Some(Digest([1; 32])), None] {
        let mut case = w.authorised(P);
        let probe = case.probe_id();
        let assessed = case.request.clone();
        let stale = |request: &mut casework::request::Request| {
            request.form.as_mut().unwrap().images.iter_mut().for_each(|i| i.specification = judged);
        };
        stale(&mut case.request);
        let why = w.ask(case.assignee, &case.request, &Command::StartSearch { probe }).unwrap_err();
        assert!(cites(&why, Clause::P1) && cites(&why, Clause::A3), "{why:?}");
        assert!(words(&why).contains("sends the request again"), "{why:?}");
        // Begun before the specification changed: then it is not recorded as made under the new one.
        case.request = assessed;
        w.done(case.assignee, &mut case, Command::StartSearch { probe });
        let found = w.search_result(&case, probe, 1);
        stale(&mut case.request);
        assert!(cites(&w.ask(None, &case.request, &found).unwrap_err(), Clause::A3));
        // Before it is assessed, no leave is given; that it cannot be searched is ground enough to decline.
        let mut form = w.complete_form();
        form.images[0].specification = judged;
        let mut case = w.received_form(form, P);
        w.take(&mut case);
        let mut command = w.authorise(&case, case.probe_id());
        let why = w.refused(case.assignee, &mut case, command.clone());
        assert!(cites(&why, Clause::P1) && cites(&why, Clause::A3), "{why:?}");
        if let Command::Assess { decision, .. } = &mut command {
            *decision = Decision::Decline { explanation: "The image has to be judged anew. Please send it again.".into() };
        }
        w.done(case.assignee, &mut case, command);
        assert!(matches!(&case.request.probes[0].state, ProbeState::Declined { .. }));
    }
}

#[test]
fn p1_a_proposal_falls_with_whoever_made_it() {
    let mut w = World::new();
    let d = desk(P);
    w.register.apply(RegisterEvent::ThresholdProposed(Box::new(proposal(d.siao))));
    assert!(may_confirm(&w, d.leader).is_ok());
    let mut left = World::new();
    left.register = w.register.clone();
    left.register.apply(RegisterEvent::PersonLeft { person: d.siao, on: date(2026, 11, 22) });
    assert!(words(&may_confirm(&left, d.leader).unwrap_err()).contains("no longer an owner"));
    // The same when they are an auditor by now, or own another gallery.
    let owner = w.register.people[&d.siao].clone();
    let moved = Person { at: Affiliation::Gallery(GalleryId::Immigration), ..owner.clone() };
    let changed = Person { roles: [Role::Auditor].into(), ..owner };
    for entry in [moved, changed] {
        let mut other = World::new();
        other.register = w.register.clone();
        other.register.apply(RegisterEvent::PersonEntered(entry));
        assert!(words(&may_confirm(&other, d.leader).unwrap_err()).contains("no longer an owner"));
    }
    // It can be declined then, with a reason, by the second person; and proposed anew.
    let leader = left.actor(d.leader);
    assert!(left.register.may_decline(&leader, P, " ").is_err());
    assert!(left.register.may_decline(&left.actor(d.assessors[0]), P, "No.").is_err());
    left.register.may_decline(&leader, P, "The proposer has left.").unwrap();
    left.register.apply(RegisterEvent::ThresholdDeclined { gallery: P, reasons: "The proposer has left.".into() });
    assert!(left.register.settings[&P].proposal.is_none());
    assert_eq!(left.register.settings[&P].threshold(MODEL), Some(THRESHOLD));
}

#[test]
fn p1_a_registrar_does_not_set_a_threshold() {
    let w = World::new();
    let registrar = w.actor(REGISTRAR);
    let note = testing::note(&testing::certificate(P, OTHER));
    for event in [
        RegisterEvent::CertificateIssued { gallery: P, note: note.clone() },
        RegisterEvent::ThresholdProposed(Box::new(proposal(REGISTRAR))),
        RegisterEvent::ThresholdConfirmed { gallery: P, note },
        RegisterEvent::ThresholdDeclined { gallery: P, reasons: "x".into() },
        RegisterEvent::CertificateRevoked {
            gallery: P,
            note: testing::note(&testing::certificate(P, THRESHOLD)),
            on: w.today(),
            reasons: "x".into(),
        },
    ] {
        assert!(cites(&w.register.decide(&registrar, &event).unwrap_err(), Clause::P1));
        assert_eq!((event.clause(), event.gallery()), (Clause::P1, Some(P)));
    }
}

#[test]
fn a_certificate_reads_back_as_written() {
    let c = Certificate { fpir_estimate: Some(0.1 + 0.2), threshold: 0.1 + 0.2, ..testing::certificate(P, OTHER) };
    let text = c.text().unwrap();
    let back = Certificate::read(&text).unwrap();
    assert_eq!((back.threshold, back.running, back.rates), (c.threshold, c.running.clone(), c.rates));
    assert!(Certificate::read(&text.replacen("certificate 1", "certificate 2", 1)).is_none());
    assert!(Certificate::read(&text.replacen("\"people\"", "\"persons\"", 1)).is_none());
    assert!(Certificate { threshold: f64::NAN, ..c }.text().is_err());
    for beyond in ["inf", "-inf", "NaN", "1e999"] {
        let text = text.replacen("\"0.30000000000000004\"", &format!("\"{beyond}\""), 1);
        assert!(text.contains(beyond) && Certificate::read(&text).is_none(), "{beyond} is no threshold");
    }
}

#[test]
fn p1_one_person_revokes_a_certificate_and_every_search_after_it_is_refused_with_the_reason() {
    const WHY: &str = "The evaluation's images were of the wrong people.";
    let mut w = World::new();
    let d = desk(P);
    let older = Certificate { evaluation: Digest([8; 32]), ..testing::certificate(P, THRESHOLD) };
    with_certificates(&mut w, &[older, testing::certificate(P, THRESHOLD)]);
    w.register.settings.get_mut(&P).unwrap().certificates[0].genuine = Some(Digest([1; 32]));
    let mut case = w.authorised(P);
    let probe = case.probe_id();
    let mut started = case.clone();
    w.done(case.assignee, &mut started, Command::StartSearch { probe });
    // Who may, and that everything wrong is said at once.
    for who in [d.assessors[0], d.examiners[0], AUDITOR, REGISTRAR, testing::REQUESTER, desk(GalleryId::Immigration).siao] {
        assert!(w.register.may_revoke(&w.actor(who), P, GENUINE, WHY).is_err(), "{who}");
    }
    assert_eq!(w.register.may_revoke(&w.actor(d.siao), P, Digest([9; 32]), " ").unwrap_err().len(), 2);
    let long = "x".repeat(casework::limits::TEXT_CHARS_MAX + 1);
    assert!(words(&w.register.may_revoke(&w.actor(d.siao), P, GENUINE, &long).unwrap_err()).contains("longer than"));
    for who in [d.siao, d.leader] {
        w.register.may_revoke(&w.actor(who), P, GENUINE, WHY).unwrap();
    }
    let note = w.register.may_revoke(&w.actor(d.leader), P, GENUINE, WHY).unwrap().note.clone();
    let event = RegisterEvent::CertificateRevoked { gallery: P, note, on: w.today(), reasons: WHY.into() };
    w.register.apply(event);
    assert!(words(&w.register.may_revoke(&w.actor(d.siao), P, GENUINE, WHY).unwrap_err()).contains("revoked already"));
    // A search is refused with the reason: when it is started, and when a worker brings what was started before. The
    // older certificate, which would have covered it, does not step in.
    let refused = w.refused(case.assignee, &mut case, Command::StartSearch { probe });
    assert!(says(&refused, Clause::P1, "revoked on 23 November 2026") && words(&refused).contains(WHY), "{refused:#?}");
    let result = w.search_result(&started, probe, 1);
    assert!(says(&w.ask(None, &started, &result).unwrap_err(), Clause::P1, "revoked on"));
}

#[test]
fn p1_to_search_again_after_a_revocation_takes_a_new_evaluation_and_two_people() {
    let mut w = World::new();
    let d = desk(P);
    let first = testing::certificate(P, THRESHOLD);
    with_certificates(&mut w, std::slice::from_ref(&first));
    let same = |evaluation| Proposal {
        certificate: Certificate { threshold: THRESHOLD, evaluation, ..proposal(d.siao).certificate },
        ..proposal(d.siao)
    };
    let (again, anew) = (same(first.evaluation), same(Digest([3; 32])));
    assert!(words(&may_propose(&w, &w.actor(d.siao), &anew).unwrap_err()).contains("the threshold in use"));
    w.register.apply(RegisterEvent::CertificateRevoked { gallery: P, note: testing::note(&first), on: w.today(), reasons: "x".into() });
    // An operator alone does not start it again, on whatever evaluation.
    for p in [&again, &anew] {
        assert!(words(&w.register.may_issue(&p.certificate, &RUNNING, &w.policy).unwrap_err()).contains("a second person confirms"));
    }
    // Another model's certificates are not touched by it.
    let other = Running { model: "other-model".into(), ..RUNNING.clone() };
    let of_other = Certificate { running: other.clone(), ..anew.certificate.clone() };
    w.register.may_issue(&of_other, &other, &w.policy).unwrap();
    assert!(words(&may_propose(&w, &w.actor(d.siao), &again).unwrap_err()).contains("from this evaluation was revoked"));
    may_propose(&w, &w.actor(d.siao), &anew).unwrap();
    // What was proposed before, on the evaluation that was found wanting, is not confirmed either.
    let mut before = w.clone();
    before.register.apply(RegisterEvent::ThresholdProposed(Box::new(again)));
    assert!(words(&may_confirm(&before, d.leader).unwrap_err()).contains("from this evaluation was revoked"));
    w.register.apply(RegisterEvent::ThresholdProposed(Box::new(anew)));
    let issued = may_confirm(&w, d.leader).unwrap();
    w.register.apply(RegisterEvent::ThresholdConfirmed { gallery: P, note: testing::note(&issued) });
    w.register.settings.get_mut(&P).unwrap().certificates[1].genuine = Some(Digest([2; 32]));
    w.register.certified(P, &RUNNING, THRESHOLD, 1_000, w.today()).unwrap();
    // An operator measures it again from then on; the revoked evaluation stays out, however many come after it.
    let third = Certificate { evaluation: Digest([4; 32]), ..issued.clone() };
    w.register.may_issue(&third, &RUNNING, &w.policy).unwrap();
    for _ in 0..=CERTIFICATES_MAX {
        w.register.apply(RegisterEvent::CertificateIssued { gallery: P, note: testing::note(&third) });
    }
    let setting = &w.register.settings[&P];
    assert!(setting.certificates.iter().all(|h| h.certificate.evaluation == third.evaluation));
    let back = Certificate { evaluation: first.evaluation, ..issued };
    assert!(words(&w.register.may_issue(&back, &RUNNING, &w.policy).unwrap_err()).contains("from this evaluation was revoked"));
    // Entered all the same, by whoever has the keys, it is as revoked as it was.
    w.register.apply(RegisterEvent::CertificateIssued { gallery: P, note: testing::note(&back) });
    assert!(w.register.settings[&P].certificates.last().unwrap().revoked.is_some());
}

#[test]
fn p1_what_one_revocation_ended_is_told_apart_from_what_another_did() {
    let mut w = World::new();
    let of = |n: u8, model: &str| Certificate {
        evaluation: Digest([n; 32]),
        running: Running { model: model.into(), ..RUNNING.clone() },
        ..testing::certificate(P, THRESHOLD)
    };
    let all = [of(1, MODEL), of(2, "other-model"), of(3, MODEL), of(4, MODEL), of(5, MODEL)];
    with_certificates(&mut w, &all);
    for (held, n) in w.register.settings.get_mut(&P).unwrap().certificates.iter_mut().zip(1..) {
        held.genuine = Some(Digest([n; 32]));
    }
    let ending = |w: &World, n: u8| {
        let all = w.register.settings[&P].ending_with(Digest([n; 32]));
        all.into_iter().map(|h| h.genuine.unwrap().0[0]).collect::<Vec<_>>()
    };
    // What a revocation would end: the certificate and the older ones of its model.
    assert_eq!((ending(&w, 1), ending(&w, 3), ending(&w, 2)), (vec![1], vec![3, 1], vec![2]));
    assert!(ending(&w, 9).is_empty() && w.register.settings[&P].revocations().is_empty());
    let revoke = |w: &mut World, c: &Certificate, why: &str| {
        w.register.apply(RegisterEvent::CertificateRevoked { gallery: P, note: testing::note(c), on: w.today(), reasons: why.into() });
    };
    revoke(&mut w, &all[2], "x");
    // On the same day and in the same words: another revocation all the same.
    revoke(&mut w, &all[4], "x");
    for (n, together) in [(1, vec![3, 1]), (3, vec![3, 1]), (4, vec![5, 4]), (5, vec![5, 4]), (2, vec![2])] {
        assert_eq!(ending(&w, n), together, "{n}");
    }
    let setting = &w.register.settings[&P];
    let newest: Vec<_> = setting.revocations().into_iter().map(|(r, h)| (r.reasons.as_str(), h.genuine.unwrap().0[0])).collect();
    assert_eq!(newest, [("x", 5), ("x", 3)]);
    // What our key did not sign is no certificate.
    w.register.settings.get_mut(&P).unwrap().certificates[2].genuine = None;
    assert!(ending(&w, 3).is_empty());
    assert_eq!(ending(&w, 1), [1]);
}

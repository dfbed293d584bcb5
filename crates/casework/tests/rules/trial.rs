//! Known-answer trials: casework to whoever examines them, and nothing of casework to anybody else.

use crate::support::{cites, says};
use casework::{
    access::{self, Action},
    calendar,
    clause::Clause,
    command::Command,
    event::Event,
    ids::PersonId,
    people::{RegisterEvent, Role},
    policy::BioField,
    record::{GalleryId, Header, RetentionClass},
    report,
    request::{ProbeState, State},
    retain,
    review::{self, Conclusion},
    task::Task,
    testing::*,
    trial::{self, Agreement, Tally},
};
use strum::IntoEnumIterator;

const P: GalleryId = GalleryId::Passport;

fn tally(nonmated: u64, false_confirms: u64, mated: u64, misses: u64) -> Tally {
    Tally { nonmated, false_confirms, mated, misses, ..Tally::default() }
}

fn headers(case: &Case) -> Vec<Header> {
    case.records.iter().map(|r| r.header.clone()).collect()
}

#[test]
fn p1_a_trial_says_how_often_each_examiner_was_wrong_and_only_once_all_have_concluded() {
    let mut w = World::new();
    let [first, second, third, _] = desk(P).examiners;
    let mut case = w.trial(&[true, false, false]);
    assert_eq!(case.state, State::Comparing);
    assert!(trial::tallies(&case).is_empty());

    w.examine(&mut case, first, &[true, true, false]);
    assert!(trial::tallies(&case).is_empty() && trial::procedure(&case) == Tally::default(), "a colleague is at work");
    w.examine(&mut case, second, &[true, false, false]);
    // They differ on the second candidate, so a third begins blind, as in casework.
    assert_eq!(case.probes[0].state, ProbeState::Adjudicating(vec![case.candidate_ids()[1]]));
    assert!(trial::tallies(&case).is_empty(), "a third is still asked");
    w.examine(&mut case, third, &[false]);

    assert_eq!(case.state, State::Responding);
    let told = trial::tallies(&case);
    assert_eq!(told.get(&first), Some(&tally(2, 1, 1, 0)));
    assert_eq!(told.get(&second), Some(&tally(2, 0, 1, 0)));
    assert_eq!(told.get(&third), None, "who settles differences sees the hard pairs only");
    assert_eq!(trial::procedure(&case), tally(2, 0, 1, 0), "two people and a third made no error");
}

#[test]
fn p1_who_cannot_say_is_counted_apart() {
    let mut w = World::new();
    let [first, second, ..] = desk(P).examiners;
    let mut case = w.trial(&[true, false]);
    for (examiner, conclusion) in [(first, Conclusion::CannotSay), (second, Conclusion::Different)] {
        w.join(&mut case, examiner);
        for c in case.candidate_ids() {
            w.look(&mut case, examiner, c, conclusion);
        }
        for c in case.candidate_ids() {
            w.conclude(&mut case, examiner, c, false);
        }
    }
    let told = trial::tallies(&case);
    assert_eq!(told[&first], Tally { nonmated_cannot_say: 1, mated_cannot_say: 1, ..Tally::default() });
    assert_eq!(told[&second], tally(1, 0, 1, 1), "a pair of one person that was not confirmed is a miss");
}

#[test]
fn p1_a_stopped_trial_counts_for_nothing_and_looks_like_a_withdrawn_request() {
    let mut w = World::new();
    let d = desk(P);
    let [first, second, ..] = d.examiners;
    let stop = || Command::StopTrial { reason: "One picture shows a name.".into() };
    let mut case = w.trial(&[false]);
    w.join(&mut case, first);
    for who in [d.siao, d.assessors[0], first] {
        w.refused(who, &mut case, stop());
    }
    assert!(says(&w.refused(d.leader, &mut case, Command::StopTrial { reason: " ".into() }), Clause::P1, "Say why"));
    w.done(d.leader, &mut case, stop());
    assert_eq!(case.state, State::Withdrawn);
    let mut late = w.trial(&[false]);
    for e in [first, second] {
        w.examine(&mut late, e, &[true]);
    }
    assert_eq!(trial::tallies(&late)[&first], tally(1, 1, 0, 0));
    w.done(d.leader, &mut late, stop());
    assert!(trial::tallies(&late).is_empty() && trial::procedure(&late) == Tally::default());
    w.refused(d.leader, &mut late, stop());
    // What is stopped is nobody's case either: an ordinary request has nothing to stop.
    let mut ordinary = w.searched(P, 1);
    assert_eq!(w.refused(d.leader, &mut ordinary, stop()), [access::unknown()]);
}

/// What an examiner meets is decided by the same rules: the same events, and refusals in the same words.
#[test]
fn m2_an_examiner_cannot_tell_a_trial_from_casework() {
    let mut w = World::new();
    let [first, second, third, _] = desk(P).examiners;
    let mut real = w.searched(P, 2);
    let mut made = w.trial(&[true, false]);
    let words = || "Because it is so.".to_owned();
    // Everything that they could try at this moment, allowed or not.
    let tries = |w: &mut World, case: &Case, who: PersonId| {
        let probe = case.probe_id();
        let version = w.version_of(case, who);
        let mut out = vec![
            Command::Take { no_conflict: true },
            Command::PutBack,
            Command::Reject { missing: vec![] },
            Command::Withdraw { reason: words() },
            Command::AskClarification { question: words() },
            Command::FlagVulnerable { words: words() },
            Command::DeclareConflict { words: words() },
            Command::ReplaceExaminer { examiner: first, reason: words() },
            Command::StartSearch { probe },
            Command::Examine { probe, order: review::in_question(&case.probes[0]) },
            Command::ConcludeEmpty { probe, words: words() },
            World::answer_command(),
            Command::Collect,
            Command::AskReview { reasons: words() },
            Command::TryAgain { task: Task::Close },
            Command::Close,
            Command::SeedTrial { material: Box::new(w.material(&[true])) },
        ];
        for candidate in case.candidate_ids() {
            out.push(Command::GiveVisual { probe, candidate, opinion: World::visual(Conclusion::Same), version });
            out.push(Command::GiveInformed { probe, candidate, opinion: World::informed(true), version });
            out.push(Command::DecideSharing { probe, candidate, sharing: World::share() });
        }
        out
    };
    let mut compared = 0;
    let mut alike = |w: &mut World, real: &Case, made: &Case| {
        for who in [first, second, third] {
            let (a, b) = (tries(w, real, who), tries(w, made, who));
            for (a, b) in a.into_iter().zip(b) {
                let kinds = |r: Result<Vec<Event>, _>| r.map(|e| e.iter().map(Event::kind).collect::<Vec<_>>());
                assert_eq!(kinds(w.ask(who, real, &a)), kinds(w.ask(who, made, &b)), "{}", a.action());
                compared += 1;
            }
            let actor = w.actor(who);
            for action in Action::iter().filter(|a| !matches!(a, Action::SeeTrial | Action::StopTrial | Action::SeeTrialResults)) {
                let ctx = w.context(Some(&actor));
                assert_eq!(access::refusals(real, action, &ctx), access::refusals(made, action, &ctx), "{action}");
            }
            let sheet = |case: &Case| review::sheet(case, case.probe_id(), who).map(|s| (s.version, s.candidates.len()));
            assert_eq!(sheet(real), sheet(made));
        }
    };
    alike(&mut w, &real, &made);
    for who in [first, second] {
        for case in [&mut real, &mut made] {
            w.join(case, who);
        }
        alike(&mut w, &real, &made);
        for n in 0..2 {
            for case in [&mut real, &mut made] {
                let c = case.candidate_ids()[n];
                w.look(case, who, c, if who == first { Conclusion::Same } else { Conclusion::StronglySame });
            }
            alike(&mut w, &real, &made);
        }
        for n in 0..2 {
            for case in [&mut real, &mut made] {
                let c = case.candidate_ids()[n];
                w.conclude(case, who, c, n == 0);
            }
            alike(&mut w, &real, &made);
        }
    }
    assert_eq!((real.state, made.state), (State::Responding, State::Responding));
    assert!(compared > 500, "{compared}");
}

/// M1, O10, P1: no gallery is searched for it, nobody holds it or answers it, and no force knows of it.
#[test]
fn m1_nothing_but_a_comparison_ever_comes_of_a_trial() {
    let mut w = World::new();
    let d = desk(P);
    let mut made = w.trial(&[true]);
    for e in &d.examiners[..2] {
        w.examine(&mut made, *e, &[true]);
    }
    assert_eq!(made.probes[0].matches().count(), 1, "it was confirmed, and still nothing can be shared");
    // Somebody with every role of the house, and somebody with every role of a force.
    let mut all = w.register.people[&d.assessors[0]].clone();
    all.roles = Role::iter().filter(|r| !r.is_police() && *r != Role::Auditor).collect();
    w.register.apply(RegisterEvent::PersonEntered(all));
    let fresh = w.trial(&[true]);
    for (case, done) in [(&fresh, false), (&made, true)] {
        let (probe, candidate) = (case.probe_id(), case.candidate_ids()[0]);
        let words = || "Because it is so.".to_owned();
        let authorise = w.authorise(case, probe);
        let result = w.search_result(case, probe, 1);
        for command in [
            Command::Take { no_conflict: true },
            Command::Allocate { to: d.assessors[1], reason: words() },
            Command::AskClarification { question: words() },
            Command::Admit { person: d.examiners[3], reason: words() },
            authorise,
            Command::StartSearch { probe },
            result,
            Command::DecideSharing { probe, candidate, sharing: World::share() },
            World::answer_command(),
            World::release(case),
            Command::Collect,
            Command::Withdraw { reason: words() },
            Command::AskReview { reasons: words() },
            Command::TryAgain { task: Task::Release },
        ] {
            for who in [Some(d.assessors[0]), Some(d.leader), Some(d.siao), Some(REQUESTER), Some(APPROVER), None] {
                assert!(w.ask(who, case, &command).is_err(), "{who:?} did {} (concluded: {done})", command.action());
            }
        }
        for who in [REQUESTER, APPROVER, NCA_REQUESTER] {
            assert!(!access::may_know(case, &w.actor(who)));
            assert_eq!(w.ask(who, case, &Command::Collect).unwrap_err(), [access::unknown()]);
        }
        // Nobody reads it as a request, not even who could read every request.
        for who in [d.assessors[0], d.leader, d.siao, AUDITOR] {
            let actor = w.actor(who);
            for action in [Action::SeeRequest, Action::SeeImage, Action::SeeCandidates, Action::SeeAnswer] {
                assert!(!access::refusals(case, action, &w.context(Some(&actor))).is_empty(), "{who} {action}");
            }
        }
        assert!(casework::disclosure::Disclosure::assemble(case, &Default::default(), "", &w.policy).is_err());
    }
    assert!(made.probes.iter().all(|p| p.facts.is_none() && p.assessment.is_none()));
}

#[test]
fn p1_what_keeps_it_from_being_a_trial_is_said_at_once() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = Case::new(casework::ids::RequestId::fixed(9));
    let material = Box::default();
    let all = w.refused(d.leader, &mut case, Command::SeedTrial { material });
    for words in [
        "where the pictures come from",
        "what happened",
        "about the person",
        "unidentified or a known",
        "image of a request",
        "1 to 10 candidates",
    ] {
        assert!(all.iter().any(|r| r.words.contains(words)), "{words}: {all:#?}");
    }
    let mut seed = |change: &dyn Fn(&mut trial::Material), words: &str| {
        let mut material = w.material(&[true, false]);
        change(&mut material);
        let all = w.refused(d.leader, &mut case, Command::SeedTrial { material: Box::new(material) });
        assert!(all.len() == 1 && all[0].words.contains(words), "{words}: {all:#?}");
    };
    seed(&|m| m.candidates[1].same_person = None, "Candidate 2: say whether");
    seed(&|m| m.candidates[0].biography.0.clear(), "at least one field");
    seed(&|m| drop(m.candidates[0].biography.0.insert(BioField::PersonNationalityCode, "GBR".into())), "has no field");
    seed(&|m| m.candidates[0].image.chosen = None, "no face, or several");
    seed(&|m| m.candidates[0].image.digest = m.candidates[1].image.digest, "twice");
    seed(&|m| m.candidates[0].image.digest = m.probe.as_ref().unwrap().digest, "twice");
    seed(&|m| m.candidates[1].candidate = m.candidates[0].candidate, "twice");
    seed(&|m| m.probe.as_mut().unwrap().quality.clear(), "image specification");
    seed(&|m| m.words.source = None, "where the picture");
    seed(&|m| m.words.came_in_days_ago = 31, "at most 30 days");
    seed(&|m| (m.words.urgent, m.words.came_in_days_ago) = (true, 20), "overdue from the start");
    seed(
        &|m| {
            m.candidates = m
                .candidates
                .iter()
                .cycle()
                .take(11)
                .cloned()
                .enumerate()
                .map(|(n, mut k)| {
                    k.candidate = casework::ids::CandidateId::fixed(n as u128);
                    k.image.digest = casework::ids::Digest([n as u8; 32]);
                    k
                })
                .collect()
        },
        "1 to 10 candidates",
    );
    // Only a leader of a team, for the gallery they work for.
    let command = Command::SeedTrial { material: Box::new(w.material(&[true])) };
    for who in [d.assessors[0], d.examiners[0], d.siao, AUDITOR, REGISTRAR, REQUESTER] {
        assert!(w.ask(who, &case, &command).is_err(), "{who}");
    }
    let mut deputy = w.register.people[&d.assessors[1]].clone();
    deputy.roles.insert(Role::TeamLeader);
    w.register.apply(RegisterEvent::PersonEntered(deputy));
    assert!(says(&w.refused(d.assessors[1], &mut case, command.clone()), Clause::R3, "leader of a team"));
    w.done(d.leader, &mut case, command.clone());
    assert_eq!(case.gallery, Some(P));
    assert!(w.ask(d.leader, &case, &command).is_err(), "once");
}

#[test]
fn r1_a_trial_is_examined_by_trained_people_of_the_post_and_never_by_who_knows_the_truth() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.trial(&[true]);
    let order = case.candidate_ids();
    let examine = Command::Examine { probe: case.probe_id(), order };
    let mut leader = w.register.people[&d.leader].clone();
    leader.roles.insert(Role::Examiner);
    leader.post = w.register.people[&d.examiners[0]].post;
    leader.training = w.register.people[&d.examiners[0]].training.clone();
    w.register.apply(RegisterEvent::PersonEntered(leader));
    assert!(cites(&w.refused(d.leader, &mut case, examine.clone()), Clause::M2), "who put it there knows");
    let mut untrained = w.register.people[&d.examiners[0]].clone();
    untrained.training.clear();
    w.register.apply(RegisterEvent::PersonEntered(untrained));
    assert!(says(&w.refused(d.examiners[0], &mut case, examine.clone()), Clause::R1, "training"));
    assert_eq!(w.refused(desk(GalleryId::Immigration).examiners[0], &mut case, examine.clone()), [access::unknown()]);
    w.done(d.examiners[1], &mut case, examine);
}

#[test]
fn d4_statistics_of_casework_leave_trials_out() {
    let mut w = World::new();
    let d = desk(P);
    let mut made = w.trial(&[false, true]);
    for e in &d.examiners[..2] {
        w.examine(&mut made, *e, &[true, true]);
    }
    let ordinary = w.answered(P);
    assert!(headers(&made).iter().all(|h| h.trial), "every header of a trial is marked");
    assert!(headers(&ordinary).iter().all(|h| !h.trial));
    // In clear, and only where it is so: the bytes of an ordinary header are what they were.
    let json = |h: &Header| serde_json::to_string(h).unwrap();
    assert!(headers(&made).iter().all(|h| json(h).contains("\"trial\":true")));
    assert!(headers(&ordinary).iter().all(|h| !json(h).contains("trial")));
    let both: Vec<Header> = headers(&ordinary).into_iter().chain(headers(&made)).collect();
    assert_eq!(report::counts(&both), report::counts(&headers(&ordinary)));
    // Were it not marked, what is done with it would count: the fold looks at nothing else.
    let mut unmarked = both.clone();
    for h in &mut unmarked {
        h.trial = false;
        h.kind = h.kind.replace("trial-seeded", "submitted");
    }
    assert_ne!(report::counts(&unmarked), report::counts(&both));
    assert!(trial::agreement(&made).is_empty(), "nor does it count in how examiners agree on casework");
}

#[test]
fn d3_a_trials_pictures_go_like_every_image_and_its_record_sooner() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.trial(&[true]);
    for e in &d.examiners[..2] {
        w.examine(&mut case, *e, &[true]);
    }
    w.refused(None, &mut case, Command::Close);
    w.pass_days(i64::from(w.policy.trial_close_after_days) + 1);
    w.done(None, &mut case, Command::Close);
    assert_eq!(case.state, State::Closed);
    assert_eq!(trial::tallies(&case).len(), 2, "closing it takes nothing away");
    let closed = w.today();
    let goes: std::collections::BTreeMap<_, _> = retain::schedule(&case, &w.policy).into_iter().collect();
    assert_eq!(
        goes[&RetentionClass::Record],
        calendar::after(closed, calendar::Period::Years(w.policy.retention[0].trial_years_after_closing))
    );
    let rule = w.policy.retention[0];
    assert!(rule.trial_years_after_closing < rule.record_years_after_closing);
    w.pass_days(i64::from(rule.images_days_after_closing) + 1);
    w.done(None, &mut case, Command::Erase { class: RetentionClass::Images });
    w.refused(None, &mut case, Command::Erase { class: RetentionClass::Record });
    w.pass_days(366 * 2);
    w.done(None, &mut case, Command::Erase { class: RetentionClass::Record });
    assert_eq!(case.state, State::Erased);
    for r in &mut case.records {
        r.payload = None;
    }
    let left = case.refolded();
    assert!(left.trial.is_some() && left.state == State::Erased, "what is left still says that it was no casework");
    assert!(trial::tallies(&left).is_empty());
}

#[test]
fn m2_how_examiners_agree_is_told_of_casework_that_is_concluded() {
    let mut w = World::new();
    let [first, second, third, _] = desk(P).examiners;
    let mut case = w.searched(P, 3);
    w.examine(&mut case, first, &[true, true, false]);
    w.examine(&mut case, second, &[true, false, false]);
    assert!(trial::agreement(&case).is_empty(), "nothing while somebody is at work");
    w.examine(&mut case, third, &[false]);
    let told = trial::agreement(&case);
    let expected = Agreement { compared: 3, agreed: 2, confirmed: 2, cannot_say: 0, settled: 1, upheld: 0 };
    assert_eq!(told[&first], expected);
    assert_eq!(told[&second], Agreement { confirmed: 1, upheld: 1, ..expected });
    assert_eq!(told.len(), 2);
}

#[test]
fn v0_a_trial_in_which_somebody_seems_vulnerable_goes_on_like_casework() {
    let mut w = World::new();
    let [first, second, ..] = desk(P).examiners;
    for mut case in [w.searched(P, 1), w.trial(&[true])] {
        w.join(&mut case, first);
        w.done(first, &mut case, Command::FlagVulnerable { words: "The record shows a changed name.".into() });
        assert!(case.sensitive);
        assert!(access::may_know(&case, &w.actor(first)) && !access::may_know(&case, &w.actor(second)));
    }
}

#[test]
fn p1_what_was_written_of_a_trial_before_is_read_and_written_as_it_was() {
    let material = World::new().material(&[]);
    let kept = serde_json::json!({
        "origin": "Two portraits of each of ten colleagues, who agreed to it.", "mode": "unidentified", "source": "unsupervised",
        "offence": "A theft by deception, invented.", "person": "About forty.", "urgent": false, "came_in_days_ago": 3,
        "probe": serde_json::to_value(&material.probe).unwrap(), "candidates": [],
    });
    assert_eq!(serde_json::to_value(&material).unwrap(), kept, "the words stand beside the pictures in the record");
    assert_eq!(serde_json::from_value::<casework::trial::Material>(kept).unwrap(), material);
    let begun: casework::trial::Material = serde_json::from_str("{}").unwrap();
    assert_eq!(begun, casework::trial::Material::default());
}

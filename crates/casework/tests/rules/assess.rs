//! A and M: assessment, search and comparison.

use crate::support::{cites, says};
use casework::{
    assess::{Assessment, Criterion, Decision, Finding, Handling},
    clause::Clause,
    command::Command,
    event::Event,
    form::{Purpose, QualityNote, Suspicion, SuspicionNote, Verdict},
    ids::{AuthorisationId, CandidateId, Digest, ProbeId},
    record::GalleryId,
    refusal::Refusal,
    request::{Outcome, ProbeState, State},
    review::{self, Conclusion},
    testing::*,
};
use jiff::ToSpan;

const P: GalleryId = GalleryId::Passport;
const I: GalleryId = GalleryId::Immigration;

/// Assesses the only image of a fresh case after an edit.
fn assessed(w: &mut World, gallery: GalleryId, decision: Decision, edit: impl Fn(&mut Assessment)) -> Result<Case, Vec<Refusal>> {
    let mut case = w.assessing(gallery);
    let mut assessment = w.assessment(gallery);
    edit(&mut assessment);
    let command =
        Command::Assess { probe: case.probe_id(), assessment: Box::new(assessment), decision, authorisation: AuthorisationId::fixed(1) };
    w.decide(desk(gallery).assessors[0], &mut case, command)?;
    Ok(case)
}

fn declining() -> Decision {
    Decision::Decline { explanation: "It does not meet the policy.".into() }
}

/// An unmet criterion stops a search and is a ground to decline; a missing finding or reason stops both.
fn criterion(criterion: Criterion) {
    let mut w = World::new();
    let clause = criterion.clause();
    let finding = |met, reasons: &str| Finding { met, reasons: reasons.into() };
    let refused = assessed(&mut w, P, Decision::Authorise, |a| {
        a.findings.insert(criterion, finding(Some(false), "No."));
    })
    .unwrap_err();
    assert!(cites(&refused, clause), "{criterion}: {refused:?}");
    for empty in [finding(None, "Said."), finding(Some(true), " ")] {
        for decision in [Decision::Authorise, declining()] {
            let refused = assessed(&mut w, P, decision, |a| {
                a.findings.insert(criterion, empty.clone());
            })
            .unwrap_err();
            assert!(cites(&refused, clause), "{criterion}: {refused:?}");
        }
    }
    if criterion == Criterion::Biography {
        return;
    }
    let case = assessed(&mut w, P, declining(), |a| {
        a.findings.insert(criterion, finding(Some(false), "No."));
    })
    .unwrap();
    let ProbeState::Declined { clauses, .. } = &case.probes[0].state else { panic!() };
    assert_eq!(clauses, &[clause]);
}

#[test]
fn a1_the_legal_basis_belongs_to_the_gallery() {
    let mut w = World::new();
    for (gallery, basis, ok) in [
        (P, "royal-prerogative", true),
        (P, "iaa-1999-s21", false),
        (I, "iaa-1999-s21", true),
        (I, "physical-data-2006-r8", true),
        (I, "biometric-registration-2008-r9", true),
        (I, "royal-prerogative", false),
        (P, "", false),
    ] {
        match assessed(&mut w, gallery, Decision::Authorise, |a| a.legal_basis = basis.into()) {
            Ok(_) => assert!(ok, "{gallery} {basis}"),
            Err(r) => assert!(!ok && cites(&r, Clause::A1), "{gallery} {basis}: {r:?}"),
        }
    }
}

#[test]
fn a2_importance_is_found_with_reasons() {
    criterion(Criterion::Importance);
}

#[test]
fn a3_connection_usable_image_and_biography_are_looked_at() {
    criterion(Criterion::Connection);
    criterion(Criterion::ImageUsable);
    criterion(Criterion::Biography);
}

#[test]
fn a3_an_unusable_image_is_a_ground_to_decline_and_never_searched() {
    let note = |verdict| QualityNote {
        component: "inter-eye-distance".into(),
        value: Some(12.0),
        unit: "pixels".into(),
        verdict,
        advice: "The face is 12 pixels between the eyes; 60 or more are needed.".into(),
    };
    // One component that blocks is enough, whatever the others say, and so is knowing nothing of the face.
    let blocked = vec![note(Verdict::Fine), note(Verdict::Block), note(Verdict::Unmeasured)];
    for (quality, why) in [(blocked, "requirements for a search. The face is 12 pixels between the eyes;"), (vec![], "")] {
        never_searched(quality, why);
    }
    // What only warns or informs, or was not measured with this model, stops nothing.
    let mut w = World::new();
    let mut form = w.complete_form();
    form.images[0].quality = [Verdict::Warn, Verdict::Inform, Verdict::Unmeasured].map(note).into();
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    w.authorise_first(&mut case);
    assert_eq!(case.state, State::Searching);
}

/// A suspicion is for people: whatever is suspected of an image, the law says the same of its request, step by step.
#[test]
fn a3_a_suspicion_is_a_flag_and_decides_nothing() {
    let note = |suspicion| SuspicionNote { suspicion, reason: "The file names a program for editing pictures.".into() };
    let all: Vec<_> = [Suspicion::Edited, Suspicion::Synthetic, Suspicion::ScreenCapture].map(note).into();
    for quality in [None, Some(vec![])] {
        let outcome = |suspicions: &[SuspicionNote]| {
            let mut w = World::new();
            let mut form = w.complete_form();
            form.images[0].suspicions = suspicions.to_vec();
            form.images[0].quality = quality.clone().unwrap_or_else(|| form.images[0].quality.clone());
            let missing = form.missing(casework::policy::Policy::in_force(jiff::civil::date(2026, 11, 23)));
            let mut case = w.received_form(form, P);
            w.take(&mut case);
            let authorise = w.authorise(&case, case.probe_id());
            let decided = w.decide(case.assignee, &mut case, authorise).map(|events| events.len());
            (missing, decided, case.state)
        };
        assert_eq!(outcome(&all), outcome(&[]));
    }
}

fn never_searched(quality: Vec<QualityNote>, why: &str) {
    let mut w = World::new();
    let mut form = w.complete_form();
    form.images[0].quality = quality;
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    let authorise = w.authorise(&case, case.probe_id());
    let refused = w.refused(case.assignee, &mut case, authorise);
    assert!(says(&refused, Clause::A3, "does not meet the requirements") && says(&refused, Clause::A3, why));
    let decline = Command::Assess {
        probe: case.probe_id(),
        assessment: Box::new(w.assessment(P)),
        decision: declining(),
        authorisation: AuthorisationId::fixed(1),
    };
    let events = w.done(case.assignee, &mut case, decline);
    assert!(matches!(events.last(), Some(Event::Declined { clauses, .. }) if clauses == &[Clause::A3]));
}

#[test]
fn a3_having_no_biography_is_not_a_failure() {
    let mut w = World::new();
    let mut form = w.complete_form();
    form.person.clear();
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    w.authorise_first(&mut case);
    assert_eq!(case.state, State::Searching);
}

#[test]
fn a4_less_intrusive_ways_are_looked_at() {
    criterion(Criterion::Exhausted);
}

#[test]
fn a5_the_balance_is_struck() {
    criterion(Criterion::Balance);
}

#[test]
fn a6_below_the_threshold_there_is_no_search() {
    criterion(Criterion::Threshold);
    let mut w = World::new();
    let refused = assessed(&mut w, P, Decision::Authorise, |a| a.purposes.clear()).unwrap_err();
    assert!(says(&refused, Clause::A6, "below the threshold"));
}

#[test]
fn a6_only_a_purpose_that_the_force_gave_is_accepted() {
    let mut w = World::new();
    let other = |a: &mut Assessment| a.purposes = [Purpose::RiskToLife].into();
    for decision in [Decision::Authorise, declining()] {
        assert!(cites(&assessed(&mut w, P, decision, other).unwrap_err(), Clause::A6));
    }
    for purpose in [Purpose::RiskToLife, Purpose::NationalSecurity] {
        // Either is enough by itself; the serious-crime test is then not asked.
        let mut form = w.complete_form();
        form.purposes = [purpose].into();
        form.crime = Default::default();
        let mut case = w.received_form(form, P);
        w.take(&mut case);
        let mut command = w.authorise(&case, case.probe_id());
        if let Command::Assess { assessment, .. } = &mut command {
            assessment.crime = Default::default();
        }
        w.done(case.assignee, &mut case, command);
    }
}

#[test]
fn a7_a_crime_that_is_not_serious_is_refused_by_the_limb_that_failed() {
    let mut w = World::new();
    let refused = assessed(&mut w, P, Decision::Authorise, |a| {
        a.crime.violence = false;
    })
    .unwrap_err();
    assert!(says(&refused, Clause::A7, "limb (a) is not met"));
    assert!(says(&refused, Clause::A7, "no violence"));
    assert!(!says(&refused, Clause::A7, "2 years"));
    let refused = assessed(&mut w, P, Decision::Authorise, |a| a.crime.two_years = Some(false)).unwrap_err();
    assert!(says(&refused, Clause::A7, "2 years"));
    // Any sexual offence is serious, whatever its sentence.
    assessed(&mut w, P, Decision::Authorise, |a| {
        a.crime = Default::default();
        a.crime.sexual_offence = Some(true);
    })
    .unwrap();
    // The assessor's answers count, not the force's.
    let case = assessed(&mut w, P, declining(), |a| a.crime.violence = false).unwrap();
    assert!(matches!(&case.probes[0].state, ProbeState::Declined { clauses, .. } if clauses == &[Clause::A6, Clause::A7]));
}

#[test]
fn a8_the_extent_is_weighed() {
    criterion(Criterion::Extent);
}

#[test]
fn a9_section_8_is_read_and_the_handling_chosen() {
    let mut w = World::new();
    for edit in [(|a| a.section_8_read = false) as fn(&mut Assessment), |a| a.handling = None] {
        for decision in [Decision::Authorise, declining()] {
            assert!(cites(&assessed(&mut w, P, decision, edit).unwrap_err(), Clause::A9));
        }
    }
    // A suspicion is not waved away, and nothing makes a sensitive request ordinary again.
    let mut form = w.complete_form();
    form.vulnerable = Some(true);
    form.vulnerable_words = "Changed her name to escape violence.".into();
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    let mut command = w.authorise(&case, case.probe_id());
    if let Command::Assess { assessment, .. } = &mut command {
        assessment.handling = Some(Handling::Ordinary);
    }
    let refused = w.refused(case.assignee, &mut case, command);
    assert!(cites(&refused, Clause::A9) && cites(&refused, Clause::V0));
    w.authorise_first(&mut case);
    assert_eq!(case.handling, Some(Handling::Sensitive));
}

#[test]
fn a10_rights_are_considered() {
    criterion(Criterion::Rights);
}

#[test]
fn a10_each_image_of_a_form_is_decided_by_itself() {
    let mut w = World::new();
    let mut form = w.complete_form();
    let second = w.image();
    let other = second.probe;
    form.images.push(second);
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    w.authorise_first(&mut case);
    assert_eq!(case.state, State::Assessing, "one image is still undecided");
    // A question about the second image stays open while the first is searched.
    let holder = case.assignee;
    let question = "Which camera?".into();
    w.done(holder, &mut case, Command::AskClarification { question });
    let probe = case.probe_id();
    w.pass_days(20);
    w.done(None, &mut case, Command::ExpireAuthorisation { probe });
    assert_eq!(case.state, State::Clarifying);
    let answer = "The one at the till.".into();
    w.done(REQUESTER, &mut case, Command::AnswerClarification { answer });
    assert_eq!(case.state, State::Assessing);
    let decline = w.decline(&case, other);
    w.done(holder, &mut case, decline);
    w.authorise_first(&mut case);
    w.search(&mut case, 0);
    let words = "I looked; nobody.".into();
    w.done(desk(P).examiners[0], &mut case, Command::ConcludeEmpty { probe, words });
    w.answer(&mut case);
    assert_eq!(case.outcome, Some(Outcome::NoMatch), "not declined: one image was searched");
}

#[test]
fn m1_no_search_without_leave_and_leave_is_used_once() {
    let mut w = World::new();
    let holder = desk(P).assessors[0];
    let mut case = w.assessing(P);
    let probe = case.probe_id();
    let start = || Command::StartSearch { probe };
    assert!(says(&w.refused(holder, &mut case, start()), Clause::M1, "No search of this image is authorised"));
    // A worker cannot record a search that nobody started.
    let command = w.search_result(&case, probe, 1);
    assert!(cites(&w.refused(None, &mut case, command), Clause::M1));
    w.authorise_first(&mut case);
    let leave = match &case.probes[0].state {
        ProbeState::Authorised(a) => a.clone(),
        s => panic!("{s:?}"),
    };
    assert!(case.leave_to_search(probe, leave.id).is_none(), "not before it is started");
    let colleague = desk(P).assessors[1];
    assert!(cites(&w.refused(colleague, &mut case, start()), Clause::R1));
    w.done(holder, &mut case, start());
    assert!(says(&w.refused(holder, &mut case, start()), Clause::M1, "was used"));
    let value = case.leave_to_search(probe, leave.id).unwrap();
    let image = case.image(probe).unwrap();
    let bound = value.authorisation();
    assert_eq!((bound.probe, bound.digest, bound.face, bound.gallery), (probe, image.digest, 0, P));
    assert_eq!(bound.policy, w.policy.version);
    assert!(case.leave_to_search(probe, AuthorisationId::fixed(999)).is_none());
    let command = w.search_result(&case, probe, 1);
    w.done(None, &mut case, command.clone());
    assert!(cites(&w.refused(None, &mut case, command), Clause::M1));
    assert!(case.leave_to_search(probe, leave.id).is_none());
}

#[test]
fn m1_leave_expires_and_the_image_is_assessed_again() {
    let mut w = World::new();
    let mut case = w.authorised(P);
    let probe = case.probe_id();
    let ProbeState::Authorised(leave) = case.probes[0].state.clone() else { panic!() };
    // A second before it is alive, and has not expired.
    w.now = leave.expires.checked_sub(3.seconds()).unwrap();
    let early = Command::ExpireAuthorisation { probe };
    assert!(cites(&w.refused(None, &mut case, early), Clause::M1));
    let start = Command::StartSearch { probe };
    w.done(case.assignee, &mut case.clone(), start);
    w.now = leave.expires;
    let refused = w.refused(case.assignee, &mut case, Command::StartSearch { probe });
    assert!(says(&refused, Clause::M1, "expired"));
    w.done(None, &mut case, Command::ExpireAuthorisation { probe });
    assert_eq!(case.state, State::Assessing);
    w.authorise_first(&mut case);
    w.done(case.assignee, &mut case, Command::StartSearch { probe });
}

#[test]
fn m1_leave_is_bound_to_the_image_and_the_face_that_were_assessed() {
    let mut w = World::new();
    let case = w.authorised(P);
    let probe = case.probe_id();
    for edit in [(|i| i.digest = Digest([9; 32])) as fn(&mut casework::form::FormImage), |i| i.chosen = None] {
        let mut other = case.request.clone();
        edit(&mut other.form.as_mut().unwrap().images[0]);
        let refused = w.ask(case.assignee, &other, &Command::StartSearch { probe }).unwrap_err();
        assert!(says(&refused, Clause::M1, "not the image and face that were assessed"));
    }
    let mut other = case.request.clone();
    other.gallery = Some(I);
    // Another gallery's request is not even known to this desk; the rule stands behind that.
    assert!(w.ask(case.assignee, &other, &Command::StartSearch { probe }).is_err());
}

#[test]
fn m1_a_candidate_list_is_short_above_the_threshold_and_without_repeats() {
    let mut w = World::new();
    let mut case = w.authorised(P);
    let probe = case.probe_id();
    w.done(case.assignee, &mut case, Command::StartSearch { probe });
    let good = w.search_result(&case, probe, 2);
    let with = |edit: &dyn Fn(&mut casework::event::SearchFacts, &mut Vec<casework::event::Found>)| {
        let mut command = good.clone();
        if let Command::RecordSearch { facts, found, .. } = &mut command {
            edit(facts, found);
        }
        command
    };
    let long = w.search_result(&case, probe, 11);
    for bad in [
        long,
        with(&|_, f| f[0].score = 0.49),
        with(&|_, f| f[0].score = f64::NAN),
        with(&|facts, _| facts.threshold = f64::NAN),
        with(&|_, f| f[1].candidate = f[0].candidate),
        with(&|_, f| f[1].reference = f[0].reference),
    ] {
        assert!(cites(&w.refused(None, &mut case, bad), Clause::M1));
    }
    w.done(None, &mut case, good);
    assert_eq!(case.probes[0].candidates.len(), 2);
}

#[test]
fn m1_a_search_that_ends_after_withdrawal_is_not_recorded() {
    let mut w = World::new();
    let mut case = w.authorised(P);
    let probe = case.probe_id();
    let mut unsearched = case.clone();
    w.done(case.assignee, &mut case, Command::StartSearch { probe });
    let result = w.search_result(&case, probe, 1);
    for c in [&mut case, &mut unsearched] {
        let reason = "Solved.".into();
        w.done(REQUESTER, c, Command::Withdraw { reason });
    }
    assert!(cites(&w.refused(None, &mut case, result), Clause::M1));
    w.pass_days(30);
    let expire = Command::ExpireAuthorisation { probe };
    w.refused(None, &mut unsearched, expire);
    assert_eq!((case.state, unsearched.state), (State::Withdrawn, State::Withdrawn));
}

#[test]
fn m2_two_different_people_confirm_blind_and_then_informed() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.searched(P, 1);
    let candidate = case.candidate_ids()[0];
    w.join(&mut case, d.examiners[0]);
    // The informed step cannot come first.
    let informed = Command::GiveInformed { probe: case.probe_id(), candidate, opinion: World::informed(true), version: 0 };
    let refused = w.refused(d.examiners[0], &mut case, informed);
    assert!(says(&refused, Clause::M2, "visual opinion first"));
    w.look(&mut case, d.examiners[0], candidate, Conclusion::StronglySame);
    // The visual opinion is locked.
    let change = Command::GiveVisual { probe: case.probe_id(), candidate, opinion: World::visual(Conclusion::Different), version: 1 };
    assert!(says(&w.refused(d.examiners[0], &mut case, change), Clause::M2, "locked"));
    assert_eq!(w.conclude(&mut case, d.examiners[0], candidate, true).len(), 1);
    assert_eq!(case.state, State::Comparing, "one person is not two");
    // The same person is not a second one.
    let probe = case.probe_id();
    let order = vec![candidate];
    let again = Command::Examine { probe, order };
    assert!(!w.refused(d.examiners[0], &mut case, again).is_empty());
    w.examine(&mut case, d.examiners[1], &[true]);
    let c = &case.probes[0].candidates[0];
    assert_eq!(c.matched, Some(true));
    assert_eq!(c.confirmed_by, d.examiners[..2].to_vec());
    // A third is not wanted.
    let order = vec![candidate];
    let third = Command::Examine { probe, order };
    assert!(!w.refused(d.examiners[2], &mut case, third).is_empty());
}

#[test]
fn m2_every_candidate_is_looked_at_blind_before_anything_is_shown() {
    let mut w = World::new();
    let e = desk(P).examiners[0];
    let mut case = w.searched(P, 2);
    w.join(&mut case, e);
    let first = case.candidate_ids()[0];
    w.look(&mut case, e, first, Conclusion::Same);
    let informed = Command::GiveInformed { probe: case.probe_id(), candidate: first, opinion: World::informed(true), version: 1 };
    let refused = w.refused(e, &mut case, informed);
    assert!(says(&refused, Clause::M2, "every candidate first"));
    let second = case.candidate_ids()[1];
    w.look(&mut case, e, second, Conclusion::Different);
    w.conclude(&mut case, e, first, true);
}

#[test]
fn m2_whoever_has_held_the_request_is_never_its_examiner_nor_the_reverse() {
    let mut w = World::new();
    let d = desk(P);
    for p in [d.assessors[0], d.assessors[1], d.examiners[0]] {
        let mut person = w.register.people[&p].clone();
        person.roles = [casework::people::Role::Assessor, casework::people::Role::Examiner].into();
        w.register.apply(casework::people::RegisterEvent::PersonEntered(person));
    }
    let mut case = w.searched(P, 1);
    let examine = Command::Examine { probe: case.probe_id(), order: case.candidate_ids() };
    let refused = w.refused(d.assessors[0], &mut case, examine.clone());
    assert!(says(&refused, Clause::M2, "blind"));
    // Putting it back does not unsee it.
    w.done(d.assessors[0], &mut case, Command::PutBack);
    assert!(cites(&w.refused(d.assessors[0], &mut case, examine), Clause::M2));
    w.join(&mut case, d.examiners[0]);
    let refused = w.refused(d.examiners[0], &mut case, Command::Take { no_conflict: true });
    assert!(says(&refused, Clause::M2, "blind"));
    // Nor does an examiner read the rest under another role.
    let actor = w.actor(d.examiners[0]);
    let ctx = w.context(Some(&actor));
    for action in [casework::access::Action::SeeRequest, casework::access::Action::SeeImage, casework::access::Action::SeeHistory] {
        assert!(cites(&casework::access::refusals(&case, action, &ctx), Clause::M2));
    }
}

#[test]
fn m2_an_opinion_names_what_was_compared_unless_nobody_can_say() {
    let mut w = World::new();
    let e = desk(P).examiners[0];
    let mut case = w.searched(P, 1);
    w.join(&mut case, e);
    let give = |conclusion, words: &str| {
        let mut opinion = World::visual(conclusion);
        opinion.components.clear();
        opinion.words = words.into();
        Command::GiveVisual { probe: case.probe_id(), candidate: case.candidate_ids()[0], opinion, version: 0 }
    };
    let (bare, mute, fair) = (give(Conclusion::Same, "Alike."), give(Conclusion::CannotSay, " "), give(Conclusion::CannotSay, "Too dark."));
    assert!(cites(&w.refused(e, &mut case, bare), Clause::M2));
    assert!(cites(&w.refused(e, &mut case, mute), Clause::M2));
    w.done(e, &mut case, fair);
}

#[test]
fn m2_a_difference_goes_to_a_third_who_begins_blind() {
    let mut w = World::new();
    let d = desk(P);
    for (third, outcome) in [(true, true), (false, false)] {
        let mut case = w.searched(P, 2);
        w.examine(&mut case, d.examiners[0], &[true, false]);
        w.examine(&mut case, d.examiners[1], &[false, false]);
        let disputed = case.candidate_ids()[0];
        assert_eq!(case.probes[0].state, ProbeState::Adjudicating(vec![disputed]));
        assert_eq!(case.probes[0].candidates[1].matched, Some(false), "agreed already");
        let probe = case.probe_id();
        let order = case.candidate_ids();
        let wrong = Command::Examine { probe, order };
        assert!(cites(&w.refused(d.examiners[2], &mut case, wrong), Clause::M2));
        w.examine(&mut case, d.examiners[2], &[third]);
        assert_eq!(case.probes[0].candidates[0].matched, Some(outcome));
        assert_eq!(case.state, State::Responding);
    }
}

#[test]
fn m2_a_change_of_mind_without_a_blind_same_confirms_nothing() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.searched(P, 1);
    let c = case.candidate_ids()[0];
    for e in &d.examiners[..2] {
        w.join(&mut case, *e);
        w.look(&mut case, *e, c, Conclusion::CannotSay);
        w.conclude(&mut case, *e, c, true);
    }
    assert!(matches!(case.probes[0].state, ProbeState::Adjudicating(_)), "two informed opinions without a blind one are no match");
    w.examine(&mut case, d.examiners[2], &[true]);
    assert_eq!(case.probes[0].candidates[0].matched, Some(false), "one blind opinion of three");
}

#[test]
fn m2_the_order_is_each_examiners_own_and_a_stale_page_is_refused() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.searched(P, 3);
    let probe = case.probe_id();
    let mut order = case.candidate_ids();
    order.reverse();
    w.done(d.examiners[0], &mut case, Command::Examine { probe, order: order.clone() });
    let sheet = review::sheet(&case, probe, d.examiners[0]).unwrap();
    assert_eq!(sheet.candidates.iter().map(|c| c.id).collect::<Vec<_>>(), order);
    w.look(&mut case, d.examiners[0], order[0], Conclusion::Same);
    let stale = Command::GiveVisual { probe, candidate: order[1], opinion: World::visual(Conclusion::Same), version: 0 };
    assert!(w.refused(d.examiners[0], &mut case, stale).iter().any(|r| r.words.contains("Open it again")));
    for bad in [vec![], order[..2].to_vec(), vec![order[0], order[0], order[1]], vec![order[0], order[1], order[2], CandidateId::fixed(1)]]
    {
        let command = Command::Examine { probe, order: bad };
        assert!(cites(&w.refused(d.examiners[1], &mut case, command), Clause::M2));
    }
}

#[test]
fn m3_only_what_two_people_confirmed_is_shared_candidate_by_candidate() {
    let mut w = World::new();
    let mut case = w.matched(P);
    let (yes, no) = (case.candidate_ids()[0], case.candidate_ids()[1]);
    let share = |candidate| Command::DecideSharing { probe: case.probe_id(), candidate, sharing: World::share() };
    let (share_no, share_yes) = (share(no), share(yes));
    let refused = w.refused(case.assignee, &mut case, share_no);
    assert!(cites(&refused, Clause::M3));
    w.done(case.assignee, &mut case, share_yes);
    // Even a request whose fields were tampered with does not get through the door.
    let mut forged = case.request.clone();
    forged.probes[0].candidates[1].sharing = Some(World::share());
    assert!(cites(&casework::disclosure::refusals(&forged, &w.policy), Clause::M3));
    let mut forged = case.request.clone();
    let c = &mut forged.probes[0].candidates[0];
    c.confirmed_by = vec![c.confirmed_by[0]; 2];
    assert!(cites(&casework::disclosure::refusals(&forged, &w.policy), Clause::M2));
}

#[test]
fn p2_an_empty_list_is_concluded_by_a_person_and_no_worker_decides() {
    let mut w = World::new();
    let mut case = w.searched(P, 0);
    let probe = case.probe_id();
    assert_eq!(case.state, State::Comparing);
    let conclude = |words: &str| Command::ConcludeEmpty { probe, words: words.into() };
    assert!(cites(&w.refused(None, &mut case, conclude("Nobody.")), Clause::P2));
    let e = desk(P).examiners[0];
    assert!(cites(&w.refused(e, &mut case, conclude(" ")), Clause::P2));
    w.done(e, &mut case, conclude("I looked; nobody."));
    assert_eq!(case.state, State::Responding);
    // And no person does what only the carrying out of decisions is.
    for who in [desk(P).assessors[0], desk(P).leader, AUDITOR] {
        assert!({
            let release = World::release(&case);
            cites(&w.refused(who, &mut case, release), Clause::P2)
        });
    }
    let mut full = w.searched(P, 1);
    let probe = full.probe_id();
    let words = "Nobody.".into();
    let command = Command::ConcludeEmpty { probe, words };
    assert!(cites(&w.refused(e, &mut full, command), Clause::P2));
    let unknown = Command::ConcludeEmpty { probe: ProbeId::fixed(1), words: "x".into() };
    assert!(!w.refused(e, &mut full, unknown).is_empty());
}

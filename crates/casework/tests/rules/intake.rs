//! R and S: who may ask, and how.

use crate::support::{cites, says};
use casework::{
    access::{self, Action},
    calendar::{self, Period},
    clause::Clause,
    command::Command,
    event::Event,
    form::{Declaration, Field, FingerprintCheck, Form, Mode, Nationality, Source},
    ids::{PersonId, RequestId},
    people::{Affiliation, Delegation, RegisterEvent, Role, Training},
    policy::Policy,
    record::GalleryId,
    request::State,
    testing::*,
};
use jiff::civil::date;
use strum::IntoEnumIterator;

const P: GalleryId = GalleryId::Passport;
const I: GalleryId = GalleryId::Immigration;

fn missing(form: &Form) -> Vec<casework::refusal::Refusal> {
    form.missing(Policy::in_force(date(2026, 11, 23)))
}

fn edit_person(w: &mut World, id: PersonId, edit: impl Fn(&mut casework::people::Person)) {
    let mut person = w.register.people[&id].clone();
    edit(&mut person);
    w.register.apply(RegisterEvent::PersonEntered(person));
}

#[test]
fn r1_without_training_in_date_nobody_assesses_searches_or_compares() {
    let mut w = World::new();
    let d = desk(P);
    let expired = vec![Training { from: date(2020, 1, 1), until: date(2026, 11, 22) }];
    let mut received = w.received(P);
    let mut held = w.assessing(P);
    let mut authorised = w.authorised(P);
    let mut comparing = w.searched(P, 1);
    let assess = w.authorise(&held, held.probe_id());
    let search = Command::StartSearch { probe: authorised.probe_id() };
    let examine = Command::Examine { probe: comparing.probe_id(), order: comparing.candidate_ids() };
    for p in [d.assessors[0], d.examiners[0]] {
        edit_person(&mut w, p, |p| p.training.clone_from(&expired));
    }
    let take = Command::Take { no_conflict: true };
    for (who, case, command) in [
        (d.assessors[0], &mut received, take),
        (d.assessors[0], &mut held, assess.clone()),
        (d.assessors[0], &mut authorised, search),
        (d.examiners[0], &mut comparing, examine.clone()),
    ] {
        let refused = w.refused(who, case, command);
        assert!(says(&refused, Clause::R1, "training"), "{refused:?}");
    }
    // The last valid day counts.
    for p in [d.assessors[0], d.examiners[0]] {
        edit_person(&mut w, p, |p| p.training[0].until = date(2026, 11, 23));
    }
    w.done(d.assessors[0], &mut held, assess);
    w.done(d.examiners[0], &mut comparing, examine);
}

#[test]
fn r1_the_post_must_belong_to_the_gallery() {
    let mut w = World::new();
    let (passport, immigration) = (desk(P), desk(I));
    let mut case = w.received(P);
    let take = Command::Take { no_conflict: true };
    // Staff of the other gallery cannot even tell that it exists; a wrong post here is named.
    let refused = w.refused(immigration.assessors[0], &mut case, take.clone());
    assert_eq!(refused, vec![casework::access::unknown()]);
    edit_person(&mut w, passport.assessors[0], |p| p.post = None);
    let refused = w.refused(passport.assessors[0], &mut case, take);
    assert!(says(&refused, Clause::R1, "post"));
}

#[test]
fn r1_a_conflict_of_interest_is_asked_for_and_bars() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.received(P);
    let refused = w.refused(d.assessors[0], &mut case, Command::Take { no_conflict: false });
    assert!(says(&refused, Clause::R1, "conflict"));
    w.take(&mut case);
    let words = "He is my neighbour.".into();
    w.done(d.assessors[0], &mut case, Command::DeclareConflict { words });
    assert_eq!((case.assignee, case.state), (None, State::Received));
    let refused = w.refused(d.assessors[0], &mut case, Command::Take { no_conflict: true });
    assert!(says(&refused, Clause::R1, "conflict"));
    let to = d.assessors[0];
    let reason = "Busy day.".into();
    let refused = w.refused(d.leader, &mut case, Command::Allocate { to, reason });
    assert!(says(&refused, Clause::R1, "conflict"));
}

#[test]
fn r1_who_was_allocated_a_request_is_asked_before_it_opens() {
    let mut w = World::new();
    let [first, second] = desk(P).assessors;
    let leader = desk(P).leader;
    let mut case = w.received(P);
    let allocate = |to| Command::Allocate { to, reason: "Absence.".into() };
    w.done(leader, &mut case, allocate(second));
    assert_eq!((case.assignee, case.undeclared()), (Some(second), Some(second)));
    let asked = |w: &World, case: &Case, who| {
        let actor = w.actor(who);
        let shut = |a: &Action| says(&access::refusals(case, *a, &w.context(Some(&actor))), Clause::R1, "allocated to you");
        Action::iter().filter(|a| !shut(a)).collect::<Vec<_>>()
    };
    assert_eq!(asked(&w, &case, second), [Action::Take, Action::DeclareConflict, Action::PutBack], "all else is shut");
    let command = w.decline(&case, case.probe_id());
    assert!(says(&w.refused(second, &mut case, command), Clause::R1, "allocated to you"));
    // Nobody else's view changes, and the question is put as it is to whoever takes one.
    assert_eq!(asked(&w, &case, first).len(), Action::iter().count());
    assert!(says(&w.refused(second, &mut case, Command::Take { no_conflict: false }), Clause::R1, "conflict"));
    w.done(second, &mut case, Command::Take { no_conflict: true });
    assert_eq!((case.assignee, case.undeclared()), (Some(second), None));
    assert_eq!(w.refused(second, &mut case, Command::Take { no_conflict: true })[0].words, "You already hold it.");
    // What they said stands for this request; who has not said it is asked, whoever asked before them.
    w.done(second, &mut case, Command::PutBack);
    w.done(leader, &mut case, allocate(second));
    assert_eq!(case.undeclared(), None);
    w.done(leader, &mut case, allocate(first));
    assert_eq!(case.undeclared(), Some(first));
    assert_eq!(asked(&w, &case, second).len(), Action::iter().count());
    w.done(first, &mut case, Command::DeclareConflict { words: "I know him.".into() });
    assert_eq!((case.assignee, case.state), (None, State::Received));
}

#[test]
fn r1_an_examiner_with_a_conflict_frees_their_place() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.searched(P, 1);
    w.examine(&mut case, d.examiners[0], &[true]);
    let words = "I know her.".into();
    w.done(d.examiners[0], &mut case, Command::DeclareConflict { words });
    w.examine(&mut case, d.examiners[1], &[true]);
    assert_eq!(case.state, State::Comparing, "one opinion is not two");
    w.examine(&mut case, d.examiners[2], &[true]);
    assert_eq!(case.state, State::Responding);
    assert_eq!(case.probes[0].candidates[0].confirmed_by, d.examiners[1..3].to_vec());
}

#[test]
fn r1_a_match_that_rests_on_a_conflicted_examiner_is_compared_again() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.matched(P);
    w.decide_sharing(&mut case, World::share());
    let words = "I know her.".to_owned();
    w.done(d.examiners[0], &mut case, Command::DeclareConflict { words: words.clone() });
    assert_eq!(case.state, State::Comparing);
    w.refused(case.assignee, &mut case, World::answer_command());
    w.join(&mut case, d.examiners[2]);
    let asked = case.probes[0].asked_of(d.examiners[2]);
    assert_eq!(asked, [case.candidate_ids()[0]], "the match alone; the other stays concluded");
    w.look(&mut case, d.examiners[2], asked[0], casework::review::Conclusion::Same);
    w.conclude(&mut case, d.examiners[2], asked[0], true);
    assert_eq!(case.state, State::Responding);
    let c = &case.probes[0].candidates[0];
    assert_eq!(c.confirmed_by, d.examiners[1..3].to_vec());
    assert_eq!(c.sharing, None, "what is shared is decided afresh");

    // While a difference is being settled too.
    let mut case = w.searched(P, 2);
    w.examine(&mut case, d.examiners[0], &[true, true]);
    w.examine(&mut case, d.examiners[1], &[true, false]);
    assert_eq!(case.probes[0].candidates[0].matched, Some(true));
    w.done(d.examiners[0], &mut case, Command::DeclareConflict { words });
    w.examine(&mut case, d.examiners[2], &[true, true]);
    assert_eq!(case.state, State::Comparing);
    w.examine(&mut case, d.examiners[3], &[true, true]);
    assert_eq!(case.state, State::Responding);
    assert_eq!(case.probes[0].matches().count(), 2);
}

#[test]
fn r2_a_force_asks_within_an_agreement_in_force() {
    let mut w = World::new();
    let form = w.complete_form();
    let mut case = Case::new(RequestId::fixed(1));
    for (edit, words) in [
        ("competent", "competent authority"),
        ("ended", "in force today"),
        ("offline", "does not permit"),
        ("unknown", "not on the register"),
    ] {
        let mut other = w.clone();
        let dsas = other.register.dsas.values_mut();
        match edit {
            "competent" => {
                other.register.leos.get_mut(&FORCE).unwrap().competent_authority = false;
            }
            "ended" => dsas.for_each(|d| d.until = date(2026, 11, 22)),
            "offline" => dsas.for_each(|d| d.online = false),
            _ => drop(other.register.leos.remove(&FORCE)),
        }
        let refused = other.refused(REQUESTER, &mut case, World::prepare(form.clone(), P));
        assert!(says(&refused, Clause::R2, words), "{edit}: {refused:?}");
    }
    w.done(REQUESTER, &mut case, World::prepare(form, P));
}

#[test]
fn r2_an_agreement_that_lapsed_meanwhile_stops_the_request_and_the_answer() {
    let mut w = World::new();
    let mut waiting = w.at(State::AwaitingApproval);
    let mut leaving = w.at(State::Answering);
    for d in w.register.dsas.values_mut() {
        d.until = date(2026, 11, 22);
    }
    let events = w.done(APPROVER, &mut waiting, Command::Approve);
    assert_eq!(waiting.state, State::Rejected);
    let Some(Event::Rejected { missing, .. }) = events.last() else { panic!("{events:?}") };
    assert!(says(missing, Clause::R2, "in force today"));
    assert!(cites(
        &{
            let release = World::release(&leaving);
            w.refused(None, &mut leaving, release)
        },
        Clause::R2
    ));
}

#[test]
fn r2_another_force_cannot_tell_that_a_request_exists() {
    let mut w = World::new();
    for state in [State::AwaitingApproval, State::Answered] {
        let mut case = w.at(state);
        let reason = "x".to_owned();
        for who in [NCA_REQUESTER, NCA_APPROVER] {
            let refused = w.refused(who, &mut case, Command::Withdraw { reason: reason.clone() });
            let nothing = w.ask(who, &Case::new(RequestId::fixed(9)), &Command::Withdraw { reason: reason.clone() }).unwrap_err();
            assert_eq!(refused, nothing, "the same answer as for no request at all");
        }
    }
}

#[test]
fn r3_only_a_registrar_changes_the_register_and_delegation_has_dates() {
    let mut w = World::new();
    let d = desk(P);
    let delegation =
        RegisterEvent::DelegationEntered(Delegation { gallery: P, to: d.leader, from: date(2026, 11, 1), until: date(2026, 11, 30) });
    for who in [REQUESTER, d.siao, AUDITOR, d.leader] {
        assert!(cites(&w.register.decide(&w.actor(who), &delegation).unwrap_err(), Clause::R3));
    }
    let registrar = w.actor(REGISTRAR);
    w.register.decide(&registrar, &delegation).unwrap();
    w.register.apply(delegation);
    let on = |day| w.register.actor(d.leader, day).unwrap().has(Role::Siao);
    assert!(on(date(2026, 11, 1)) && on(date(2026, 11, 30)));
    assert!(!on(date(2026, 10, 31)) && !on(date(2026, 12, 1)));
    let backwards =
        RegisterEvent::DelegationEntered(Delegation { gallery: P, to: d.leader, from: date(2026, 12, 1), until: date(2026, 11, 1) });
    assert!(w.register.decide(&registrar, &backwards).is_err());
}

#[test]
fn r3_police_roles_and_home_office_roles_do_not_mix() {
    let w = World::new();
    let registrar = w.actor(REGISTRAR);
    let mut person = w.register.people[&REQUESTER].clone();
    person.roles.insert(Role::Assessor);
    let refused = w.register.decide(&registrar, &RegisterEvent::PersonEntered(person.clone())).unwrap_err();
    assert!(cites(&refused, Clause::R2));
    person.at = Affiliation::Team(desk(P).team);
    assert!(w.register.decide(&registrar, &RegisterEvent::PersonEntered(person)).is_err());
}

#[test]
fn s1_an_incomplete_form_is_told_everything_at_once() {
    let refused = missing(&Form::default());
    for clause in [Clause::S1, Clause::S2, Clause::S3, Clause::S6, Clause::S7, Clause::S8, Clause::S9, Clause::S11, Clause::S12] {
        assert!(cites(&refused, clause), "{clause}");
    }
    assert!(refused.iter().all(|r| r.clauses.contains(&Clause::S1)));
    assert!(refused.iter().all(|r| r.field.is_some()));
    let mut w = World::new();
    let mut case = Case::new(RequestId::fixed(1));
    let at_the_door = w.refused(REQUESTER, &mut case, World::prepare(Form::default(), P));
    assert!(refused.iter().all(|r| at_the_door.contains(r)));
    assert!(missing(&w.complete_form()).is_empty());
}

#[test]
fn s1_every_required_answer_is_required_on_its_own() {
    let mut w = World::new();
    let full = w.form(I);
    type Edit = fn(&mut Form);
    let edits: [(Field, Edit); 21] = [
        (Field::Template, |f| f.template = "another/1".into()),
        (Field::Investigation, |f| f.investigation = " ".into()),
        (Field::Nationality, |f| f.nationality = None),
        (Field::FingerprintsHeld, |f| f.fingerprints_held = None),
        (Field::FingerprintCheck, |f| f.fingerprint_check = None),
        (Field::FingerprintReference, |f| f.fingerprint_reference.clear()),
        (Field::Purposes, |f| f.purposes.clear()),
        (Field::PurposeWords, |f| f.purpose_words.clear()),
        (Field::Mode, |f| f.mode = None),
        (Field::Offence, |f| f.offence.clear()),
        (Field::SexualOffence, |f| f.crime.sexual_offence = None),
        (Field::TwoYears, |f| f.crime.two_years = None),
        (Field::PeopleAffected, |f| f.people_affected.clear()),
        (Field::Harm, |f| f.harm.clear()),
        (Field::Images, |f| f.images.clear()),
        (Field::OwnDatabases, |f| f.own_databases.clear()),
        (Field::OtherDatabases, |f| f.other_databases.clear()),
        (Field::OtherEnquiries, |f| f.other_enquiries.clear()),
        (Field::Vulnerable, |f| f.vulnerable = None),
        (Field::Urgent, |f| f.urgent = None),
        (Field::Declarations, |f| f.declarations.clear()),
    ];
    for (field, edit) in edits {
        let mut form = full.clone();
        edit(&mut form);
        let refused = missing(&form);
        assert!(!refused.is_empty(), "{field}");
        assert!(refused.iter().all(|r| r.field == Some(field)), "{field}: {refused:?}");
    }
    // What is known about the person may be nothing.
    let mut form = full;
    form.person.clear();
    assert!(missing(&form).is_empty());
}

#[test]
fn s1_a_rejected_form_can_be_copied_and_linked() {
    let mut w = World::new();
    let rejected = w.at(State::Rejected);
    let mut form = rejected.form.clone().unwrap().copied();
    assert!(form.images.is_empty() && form.declarations.is_empty());
    assert!(!missing(&form).is_empty());
    form.images = vec![w.image()];
    form.declarations = strum_all();
    let mut case = Case::new(RequestId::fixed(77));
    let mut command = World::prepare(form, P);
    if let Command::Prepare { replaces, .. } = &mut command {
        *replaces = Some(rejected.id);
    }
    w.done(REQUESTER, &mut case, command);
    assert_eq!(case.replaces, Some(rejected.id));
}

fn strum_all() -> std::collections::BTreeSet<Declaration> {
    [Declaration::LawfulUse, Declaration::AvenuesExhausted, Declaration::NotIdentifiedOtherwise, Declaration::OwnPolicyFollowed].into()
}

#[test]
fn s1_staff_reject_only_what_lacks_something_and_say_what() {
    let mut w = World::new();
    let mut case = w.assessing(P);
    let holder = desk(P).assessors[0];
    let refused = w.refused(holder, &mut case, Command::Reject { missing: vec![] });
    assert!(cites(&refused, Clause::S1));
    let missing = vec![(Field::Harm, " ".to_owned())];
    let refused = w.refused(holder, &mut case, Command::Reject { missing });
    assert!(says(&refused, Clause::S1, "Harm"));
    let missing = vec![(Field::Harm, "It does not say whose.".to_owned())];
    w.done(holder, &mut case, Command::Reject { missing });
    assert_eq!(case.rejected[0].field, Some(Field::Harm));
}

#[test]
fn s1_images_that_cannot_be_recorded_are_not_taken() {
    let mut w = World::new();
    let mut form = w.complete_form();
    let copy = form.images[0].clone();
    form.images.push(copy);
    assert!(says(&missing(&form), Clause::S1, "twice"));
    form.images.pop();
    form.images[0].faces[0].x = f32::NAN;
    assert!(cites(&missing(&form), Clause::A3));
    let mut form = w.complete_form();
    for _ in 0..casework::limits::IMAGES_PER_REQUEST_MAX {
        let image = w.image();
        form.images.push(image);
    }
    assert!(says(&missing(&form), Clause::S1, "at most 10"));
    let mut form = w.complete_form();
    form.offence = "x".repeat(casework::limits::TEXT_CHARS_MAX + 1);
    assert!(says(&missing(&form), Clause::S1, "at most 5000"));
}

#[test]
fn s2_one_form_for_each_investigation_and_gallery() {
    let mut w = World::new();
    let open = w.received(P);
    let mut case = Case::new(RequestId::fixed(1));
    let with = |other| {
        let mut command = World::prepare(open.form.clone().unwrap(), P);
        if let Command::Prepare { same_investigation, .. } = &mut command {
            *same_investigation = other;
        }
        command
    };
    let refused = w.refused(REQUESTER, &mut case, with(Some(open.id)));
    assert!(says(&refused, Clause::S2, "One form carries all its images"));
    // Sending the same request again after it was returned is not a second form.
    let again = with(Some(case.id));
    w.done(REQUESTER, &mut case, again);
    // A form carries several images.
    let mut form = w.complete_form();
    form.investigation = "OP-TWO".into();
    let image = w.image();
    form.images.push(image);
    assert_eq!(w.received_form(form, P).probes.len(), 2);
}

#[test]
fn s3_nationality_decides_the_gallery() {
    let mut w = World::new();
    for (nationality, gallery, twin, ok) in [
        (Nationality::British, P, false, true),
        (Nationality::British, I, false, false),
        (Nationality::Foreign, I, false, true),
        (Nationality::Foreign, P, false, false),
        (Nationality::Unsure, P, false, false),
        (Nationality::Unsure, P, true, true),
        (Nationality::Unsure, I, true, true),
    ] {
        let mut form = w.form(I);
        form.nationality = Some(nationality);
        let mut command = World::prepare(form, gallery);
        if let Command::Prepare { twin: t, .. } = &mut command {
            *t = twin.then_some(RequestId::fixed(5));
        }
        let mut case = Case::new(RequestId::fixed(6));
        match w.decide(REQUESTER, &mut case, command) {
            Ok(_) => assert!(ok, "{nationality} to {gallery}"),
            Err(r) => {
                assert!(!ok, "{nationality} to {gallery}: {r:?}");
                assert!(cites(&r, Clause::S3));
            }
        }
    }
}

#[test]
fn s4_fingerprints_come_first_for_a_foreign_national() {
    let mut w = World::new();
    let mut form = w.form(I);
    for (held, check, ok) in [
        (None, None, false),
        (Some(false), None, true),
        (Some(true), None, false),
        (Some(true), Some(FingerprintCheck::NotRun), false),
        (Some(true), Some(FingerprintCheck::Identified), false),
        (Some(true), Some(FingerprintCheck::NotIdentified), true),
    ] {
        form.fingerprints_held = held;
        form.fingerprint_check = check;
        let refused = missing(&form);
        assert_eq!(refused.is_empty(), ok, "{held:?} {check:?}");
        assert!(ok || cites(&refused, Clause::S4));
    }
    // A British person's fingerprints are not in question.
    let mut british = w.complete_form();
    british.fingerprints_held = None;
    assert!(missing(&british).is_empty());
}

#[test]
fn s6_urgency_needs_a_reason_and_changes_the_due_date_only() {
    let mut w = World::new();
    let mut form = w.complete_form();
    form.urgent = Some(true);
    assert!(says(&missing(&form), Clause::S6, "absolutely necessary"));
    form.urgent_reason = "He is armed and at large.".into();
    let mut urgent = w.received_form(form.clone(), P);
    form.urgent = Some(false);
    let mut ordinary = w.received_form(form, P);
    let today = w.today();
    assert_eq!(urgent.due, Some(calendar::after(today, Period::WorkingDays(2))));
    assert_eq!(ordinary.due, Some(calendar::after(today, Period::WorkingDays(20))));
    // The same is refused to both.
    for case in [&mut urgent, &mut ordinary] {
        assert!(case.urgent() == (case.due == Some(calendar::after(today, Period::WorkingDays(2)))));
        let command = w.authorise(case, case.probe_id());
        let refused = w.refused(desk(P).assessors[0], case, command);
        assert!(cites(&refused, Clause::R1));
    }
}

#[test]
fn s7_the_force_confirms_lawful_use() {
    declaration(Declaration::LawfulUse, Clause::S7);
}

fn declaration(left_out: Declaration, clause: Clause) {
    let mut form = World::new().complete_form();
    assert!(form.declarations.remove(&left_out));
    let refused = missing(&form);
    assert_eq!(refused.len(), 1);
    assert!(cites(&refused, clause));
    assert_eq!(refused[0].field, Some(Field::Declarations));
}

#[test]
fn s8_other_avenues_are_exhausted_and_a_known_person_has_its_own_words() {
    declaration(Declaration::AvenuesExhausted, Clause::S8);
    declaration(Declaration::NotIdentifiedOtherwise, Clause::S8);
    let words = Declaration::NotIdentifiedOtherwise;
    assert!(words.words(Some(Mode::Unidentified)).contains("could not identify"));
    assert!(words.words(Some(Mode::Known)).contains("could not establish other identities"));
}

#[test]
fn s9_the_approver_is_another_person_of_rank_or_with_a_delegation() {
    declaration(Declaration::OwnPolicyFollowed, Clause::S9);
    let mut w = World::new();
    let mut case = w.at(State::AwaitingApproval);
    // The requester, even with the approver's role and rank, never approves their own.
    let mut vain = w.clone();
    edit_person(&mut vain, REQUESTER, |p| {
        p.roles.insert(Role::Approver);
        p.rank = Some(casework::people::Rank::Superintendent);
    });
    let refused = vain.refused(REQUESTER, &mut case, Command::Approve);
    assert!(says(&refused, Clause::S9, "different person"));
    let refused = w.refused(SERGEANT, &mut case, Command::Approve);
    assert!(says(&refused, Clause::S9, "Inspector"));
    let mut delegated = w.clone();
    edit_person(&mut delegated, SERGEANT, |p| p.may_approve_by_delegation = true);
    let events = delegated.done(SERGEANT, &mut case.clone(), Command::Approve);
    assert!(matches!(events[0], Event::Approved { by_delegation: true, .. }));
    w.done(APPROVER, &mut case, Command::Approve);
    assert_eq!((case.state, case.approver), (State::Received, Some(APPROVER)));
}

#[test]
fn s9_a_returned_form_goes_back_with_reasons_and_can_come_again() {
    let mut w = World::new();
    let mut case = w.at(State::AwaitingApproval);
    let refused = w.refused(APPROVER, &mut case, Command::Return { reasons: " ".into() });
    assert!(cites(&refused, Clause::S9));
    let reasons = "Say more of the harm.".to_owned();
    w.done(APPROVER, &mut case, Command::Return { reasons });
    let form = case.form.clone().unwrap();
    w.done(REQUESTER, &mut case, World::prepare(form, P));
    w.done(APPROVER, &mut case, Command::Approve);
    assert_eq!(case.state, State::Received);
}

#[test]
fn s10_each_image_says_where_it_comes_from_and_both_sources_are_taken() {
    let mut w = World::new();
    let mut form = w.complete_form();
    form.images[0].source = None;
    assert!(cites(&missing(&form), Clause::S10));
    for source in [Source::Supervised, Source::Unsupervised] {
        form.images[0].source = Some(source);
        assert!(missing(&form).is_empty());
    }
    // Quality is asked for "as far as possible" at intake; it is A3 that stops a search.
    form.images[0].quality = vec![casework::form::QualityNote {
        component: "sharpness".into(),
        value: Some(0.4),
        unit: "grey levels".into(),
        verdict: casework::form::Verdict::Block,
        advice: "Blurred.".into(),
    }];
    assert!(missing(&form).is_empty());
}

#[test]
fn s11_section_8_is_answered_and_a_yes_says_why() {
    let mut form = World::new().complete_form();
    form.vulnerable = None;
    assert!(cites(&missing(&form), Clause::S11));
    form.vulnerable = Some(true);
    assert!(says(&missing(&form), Clause::S11, "why"));
    form.vulnerable_words = "A witness under protection.".into();
    assert!(missing(&form).is_empty());
}

#[test]
fn s12_purposes_and_mode_are_named() {
    let mut form = World::new().complete_form();
    form.purposes.clear();
    form.purpose_words.clear();
    form.mode = None;
    let refused = missing(&form);
    let fields: Vec<_> = refused.iter().filter_map(|r| r.field).collect();
    assert_eq!(fields, [Field::Purposes, Field::PurposeWords, Field::Mode]);
    assert!(refused.iter().all(|r| r.clauses.contains(&Clause::S12)));
}

#[test]
fn s12_only_the_requester_withdraws_and_says_why() {
    let mut w = World::new();
    let mut case = w.at(State::Comparing);
    let withdraw = |reason: &str| Command::Withdraw { reason: reason.into() };
    assert!(!w.refused(REQUESTER, &mut case, withdraw(" ")).is_empty());
    assert!(!w.refused(APPROVER, &mut case, withdraw("x")).is_empty());
    w.done(REQUESTER, &mut case, withdraw("Solved."));
    assert_eq!(case.state, State::Withdrawn);
}

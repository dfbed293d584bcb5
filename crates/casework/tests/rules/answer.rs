//! O, V, W and D: answers, vulnerable people, reviews, records.

use crate::support::{cites, says};
use casework::{
    access::{self, Action},
    clause::Clause,
    command::Command,
    disclosure::{Biography, Disclosure, Held, NO_MATCH},
    event::{ReviewResult, Sharing},
    form::{Mode, Purpose},
    ids::{CandidateId, LeoId, PersonId, RequestId},
    people::{RegisterEvent, Role, Team},
    policy::BioField,
    record::{GalleryId, RetentionClass},
    report,
    request::{Outcome, State},
    retain,
    testing::*,
};
use jiff::civil::date;
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

const P: GalleryId = GalleryId::Passport;
const I: GalleryId = GalleryId::Immigration;

/// Every field of every candidate of a case, filled.
fn held(case: &Case) -> BTreeMap<CandidateId, Held> {
    case.probes
        .iter()
        .flat_map(|p| &p.candidates)
        .filter_map(|c| Some((c.id, c.reference?)))
        .map(|(c, r)| {
            let all = BioField::iter().map(|f| (f, format!("{f} of {r}")));
            (c, Held { biography: Biography(all.collect()), picture: true })
        })
        .collect()
}

fn disclosed(w: &World, case: &Case) -> Disclosure {
    Disclosure::assemble(case, &held(case), "Amina Example", &w.policy).unwrap()
}

fn fields(list: &[BioField]) -> Sharing {
    Sharing::Share {
        image: true,
        fields: list.iter().map(|f| (*f, "To trace him.".into())).collect(),
        reasons: "The harm is grave.".into(),
    }
}

fn share_command(case: &Case, sharing: Sharing) -> Command {
    Command::DecideSharing { probe: case.probe_id(), candidate: case.candidate_ids()[0], sharing }
}

#[test]
fn o1_a_decline_is_answered_with_its_explanation_and_clauses() {
    let mut w = World::new();
    let mut case = w.assessing(P);
    let mut silent = w.decline(&case, case.probe_id());
    if let Command::Assess { decision, .. } = &mut silent {
        *decision = casework::assess::Decision::Decline { explanation: " ".into() };
    }
    assert!(cites(&w.refused(case.assignee, &mut case, silent), Clause::O1));
    let case = w.declined(P);
    let answer = disclosed(&w, &case);
    assert_eq!(answer.outcome(), Outcome::Declined);
    assert_eq!(answer.probes()[0].words, "The request is below the threshold.");
    assert_eq!(answer.probes()[0].clauses, [Clause::A6]);
    assert!(answer.probes()[0].shared.is_empty());
}

#[test]
fn o2_no_match_says_that_the_person_may_still_be_held() {
    let mut w = World::new();
    let mut case = w.searched(P, 1);
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[false]);
    }
    w.answer(&mut case);
    let answer = disclosed(&w, &case);
    assert_eq!(answer.outcome(), Outcome::NoMatch);
    let words = &answer.probes()[0].words;
    assert_eq!(words, NO_MATCH);
    assert!(words.contains("does not mean that the person is not held on either"));
    assert!(words.contains("only that the image could not be matched"));
    assert_eq!(answer.probes()[0].clauses, [Clause::O2]);
}

#[test]
fn o3_a_match_of_an_unidentified_person_brings_image_and_details() {
    let mut w = World::new();
    let case = w.answered(P);
    let answer = disclosed(&w, &case);
    let probe = &answer.probes()[0];
    assert_eq!((probe.outcome, &probe.clauses[..]), (Outcome::Match, &[Clause::O3][..]));
    assert_eq!(probe.shared.len(), 1, "the match and nobody else");
    let shared = &probe.shared[0];
    assert!(shared.image);
    assert_eq!(shared.fields[0].0, BioField::Name);
    let json = serde_json::to_string(&answer).unwrap();
    let unmatched = case.candidate_ids()[1];
    assert!(!json.contains(&unmatched.to_string()));
    // An empty share is no answer.
    let mut case = w.matched(P);
    let nothing = share_command(&case, Sharing::Share { image: false, fields: vec![], reasons: "x".into() });
    assert!(cites(&w.refused(case.assignee, &mut case, nothing), Clause::O3));
}

#[test]
fn o4_a_known_person_s_other_identities_are_answered_for_comparison() {
    let mut w = World::new();
    let mut form = w.complete_form();
    form.mode = Some(Mode::Known);
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    w.authorise_first(&mut case);
    w.search(&mut case, 2);
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[true, true]);
    }
    for candidate in case.candidate_ids() {
        let command = Command::DecideSharing { probe: case.probe_id(), candidate, sharing: World::share() };
        w.done(case.assignee, &mut case, command);
    }
    w.answer(&mut case);
    let answer = disclosed(&w, &case);
    assert_eq!(answer.probes()[0].clauses, [Clause::O4]);
    assert!(answer.probes()[0].words.contains("confirm whether the identities relate to the same person"));
    assert_eq!(answer.probes()[0].shared.len(), 2);
}

/// What a gallery may give, and that each chosen field says why it is needed.
fn may_give(gallery: GalleryId, expected: &[BioField], clause: Clause) {
    let mut w = World::new();
    let listed: Vec<BioField> = w.policy.gallery(gallery).fields.iter().filter(|f| f.clause == clause).map(|f| f.field).collect();
    assert_eq!(listed, expected);
    let mut case = w.matched(gallery);
    for field in listed {
        let unsaid = Sharing::Share { image: true, fields: vec![(field, " ".into())], reasons: "Grave.".into() };
        let command = share_command(&case, unsaid);
        assert!(cites(&w.refused(case.assignee, &mut case, command), clause));
        w.decide_sharing(&mut case, fields(&[field]));
    }
}

#[test]
fn o5_the_passport_gallery_s_fields() {
    use BioField as F;
    may_give(P, &[F::Name, F::DateOfBirth, F::Nationality, F::SexMarker, F::PassportNumber], Clause::O5);
    let mut w = World::new();
    let mut case = w.matched(P);
    let foreign = share_command(&case, fields(&[F::HomeOfficeReference]));
    assert!(cites(&w.refused(case.assignee, &mut case, foreign), Clause::O5));
    let twice = share_command(&case, fields(&[F::Name, F::Name]));
    assert!(!w.refused(case.assignee, &mut case, twice).is_empty());
}

#[test]
fn o6_the_immigration_gallery_s_fields() {
    use BioField as F;
    may_give(
        I,
        &[
            F::PortLocalReference,
            F::PersonNationalityCode,
            F::PassportNationalityCode,
            F::PassportNumber,
            F::HomeOfficeReference,
            F::BiometricRecordingOfficer,
            F::BiometricRecordingDate,
            F::BiometricRecordingLocation,
        ],
        Clause::O6,
    );
    let mut w = World::new();
    let mut case = w.matched(I);
    let sex = share_command(&case, fields(&[F::SexMarker]));
    assert!(cites(&w.refused(case.assignee, &mut case, sex), Clause::O6));
}

#[test]
fn o7_further_details_where_available() {
    use BioField as F;
    let further = [F::LastKnownAddress, F::OtherContact, F::OtherBiographical];
    may_give(P, &further, Clause::O7);
    let mut immigration = vec![F::Name, F::DateOfBirth];
    immigration.extend(further);
    may_give(I, &immigration, Clause::O7);
    // A chosen field that is not held is left out, not invented.
    let mut w = World::new();
    let mut case = w.matched(P);
    w.decide_sharing(&mut case, fields(&[F::Name, F::LastKnownAddress]));
    w.answer(&mut case);
    let mut held = held(&case);
    held.values_mut().for_each(|b| {
        b.biography.0.remove(&F::LastKnownAddress);
    });
    let answer = Disclosure::assemble(&case, &held, "Amina Example", &w.policy).unwrap();
    let shared = &answer.probes()[0].shared[0].fields;
    assert_eq!(shared.iter().map(|f| f.0).collect::<Vec<_>>(), [F::Name]);
}

#[test]
fn o8_the_answer_prints_the_purposes_it_may_be_used_for() {
    let mut w = World::new();
    let case = w.answered(P);
    let answer = disclosed(&w, &case);
    let words = answer.conditions().iter().find(|(c, _)| *c == Clause::O8).map(|(_, w)| w.clone()).unwrap();
    assert!(words.contains(Purpose::SeriousCrime.label()));
    assert!(!words.contains(Purpose::NationalSecurity.label()));
}

#[test]
fn o9_a_full_queue_is_no_ground_to_decline() {
    let mut w = World::new();
    let mut case = w.assessing(P);
    let command = Command::Assess {
        probe: case.probe_id(),
        assessment: Box::new(w.assessment(P)),
        decision: casework::assess::Decision::Decline { explanation: "We have no time this month.".into() },
        authorisation: casework::ids::AuthorisationId::fixed(1),
    };
    let refused = w.refused(case.assignee, &mut case, command);
    assert!(cites(&refused, Clause::O9) && says(&refused, Clause::O1, "no ground to decline"));
}

#[test]
fn o10_a_match_cannot_be_shared_without_a_decision() {
    let mut w = World::new();
    let mut case = w.matched(P);
    let refused = w.refused(case.assignee, &mut case, World::answer_command());
    assert!(cites(&refused, Clause::O10));
    assert!(cites(&Disclosure::assemble(&case, &held(&case), "Amina Example", &w.policy).unwrap_err(), Clause::O10));
    for sharing in [Sharing::Share { image: true, fields: vec![], reasons: " ".into() }, Sharing::Withhold { reasons: String::new() }] {
        let command = share_command(&case, sharing);
        assert!(cites(&w.refused(case.assignee, &mut case, command), Clause::O10));
    }
    // A colleague who does not hold the request decides nothing.
    let command = share_command(&case, World::share());
    assert!(cites(&w.refused(desk(P).assessors[1], &mut case, command), Clause::R1));
    let reasons = "It would expose a witness.".into();
    w.decide_sharing(&mut case, Sharing::Withhold { reasons });
    w.answer(&mut case);
    let answer = disclosed(&w, &case);
    assert_eq!(answer.outcome(), Outcome::Withheld);
    assert!(answer.probes()[0].shared.is_empty());
    assert!(answer.conditions().is_empty());
}

#[test]
fn o10_an_answer_waiting_to_leave_is_not_seen_by_the_force() {
    let mut w = World::new();
    for state in [State::Responding, State::Answering] {
        let mut case = w.at(state);
        let see = |w: &World, case: &Case, who| {
            let actor = w.actor(who);
            access::refusals(case, Action::SeeAnswer, &w.context(Some(&actor)))
        };
        assert!(!see(&w, &case, REQUESTER).is_empty(), "{state}");
        let reason = "Solved.".into();
        w.done(REQUESTER, &mut case, Command::Withdraw { reason });
        assert!(!see(&w, &case, REQUESTER).is_empty(), "withdrawing does not bring it forth");
        w.done(desk(P).assessors[0], &mut case, Command::Close);
        assert!(!see(&w, &case, REQUESTER).is_empty(), "nor closing");
        assert!(cites(&w.refused(REQUESTER, &mut case, Command::Collect), Clause::V2));
    }
    let mut case = w.at(State::Answered);
    w.done(REQUESTER, &mut case, Command::Collect);
}

/// A sensitive request, flagged in section 8, up to a state in which a match waits for a decision.
fn sensitive(w: &mut World) -> Case {
    let mut form = w.complete_form();
    form.vulnerable = Some(true);
    form.vulnerable_words = "Changed her name to escape violence.".into();
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    w.authorise_first(&mut case);
    w.search(&mut case, 1);
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[true]);
    }
    case
}

#[test]
fn v0_vulnerability_is_found_at_any_stage_and_stays() {
    let words = || "Her records show a new name.".to_owned();
    for state in
        [State::AwaitingApproval, State::Received, State::Comparing, State::Responding, State::Answering, State::Answered, State::Closed]
    {
        let mut w = World::new();
        let mut case = w.at(state);
        let who = if state == State::AwaitingApproval { APPROVER } else { desk(P).examiners[0] };
        let empty = Command::FlagVulnerable { words: " ".into() };
        assert!(cites(&w.refused(who, &mut case, empty), Clause::V0));
        w.done(who, &mut case, Command::FlagVulnerable { words: words() });
        assert!(case.sensitive, "{state}");
    }
    // A later version of the form does not take it back.
    let mut w = World::new();
    let mut case = w.at(State::AwaitingApproval);
    w.done(APPROVER, &mut case, Command::FlagVulnerable { words: words() });
    let reasons = "Say more.".into();
    w.done(APPROVER, &mut case, Command::Return { reasons });
    let form = case.form.clone().unwrap();
    assert_eq!(form.vulnerable, Some(false));
    w.done(REQUESTER, &mut case, World::prepare(form, P));
    assert!(case.sensitive);
}

#[test]
fn v0_an_answer_about_to_leave_is_made_up_again() {
    let mut w = World::new();
    let mut case = w.at(State::Answering);
    let words = "The match shows a changed gender.".into();
    w.done(desk(P).assessors[0], &mut case, Command::FlagVulnerable { words });
    assert_eq!((case.state, case.outcome), (State::Responding, None));
    let release = World::release(&case);
    assert!(!w.refused(None, &mut case, release).is_empty());
    let reasons = "It would expose her.".into();
    w.decide_sharing(&mut case, Sharing::Withhold { reasons });
    w.answer(&mut case);
    assert_eq!(case.outcome, Some(Outcome::Withheld));
}

#[test]
fn v1_others_cannot_tell_that_a_sensitive_request_exists() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.at(State::Comparing);
    let third = d.examiners[2];
    w.join(&mut case, d.examiners[0]);
    let words = "A witness under protection.".into();
    w.done(d.examiners[0], &mut case, Command::FlagVulnerable { words });
    let probe = case.probe_id();
    let order = case.candidate_ids();
    let examine = Command::Examine { probe, order };
    let nothing = Case::new(RequestId::fixed(42));
    for who in [third, d.assessors[1], OTHER_REQUESTER, desk(I).leader] {
        let hidden = w.ask(who, &case, &examine).unwrap_err();
        let absent = w.ask(who, &nothing, &examine).unwrap_err();
        assert_eq!(hidden, absent);
        assert!(!access::may_know(&case, &w.actor(who)));
    }
    for who in [REQUESTER, APPROVER, d.assessors[0], d.examiners[0], d.leader, d.siao, AUDITOR] {
        assert!(access::may_know(&case, &w.actor(who)), "{who}");
    }
    // Let in by name, with a reason, by the holder or the leader.
    let admit = |person, reason: &str| Command::Admit { person, reason: reason.into() };
    assert!(cites(&w.refused(d.leader, &mut case, admit(third, " ")), Clause::V1));
    assert!(cites(&w.refused(d.leader, &mut case, admit(desk(I).examiners[0], "x")), Clause::V1));
    assert!(cites(&w.refused(d.leader, &mut case, admit(REQUESTER, "x")), Clause::V1));
    w.done(d.leader, &mut case, admit(third, "To compare."));
    w.done(third, &mut case, examine);
}

#[test]
fn v1_a_sensitive_request_is_allocated_by_name() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.at(State::Assessing);
    let words = "A witness under protection.".into();
    w.done(d.assessors[0], &mut case, Command::FlagVulnerable { words });
    w.done(d.assessors[0], &mut case, Command::PutBack);
    for who in d.assessors {
        let take = Command::Take { no_conflict: true };
        assert_eq!(w.refused(who, &mut case, take), vec![access::unknown()]);
    }
    let to = d.assessors[1];
    let reason = "Trained for it.".into();
    w.done(d.leader, &mut case, Command::Allocate { to, reason });
    assert!(access::may_know(&case, &w.actor(to)));
}

#[test]
fn v2_a_sensitive_answer_goes_to_a_person_and_is_confirmed() {
    let mut w = World::new();
    let mut case = sensitive(&mut w);
    w.decide_sharing(&mut case, World::share());
    let unconfirmed = w.refused(case.assignee, &mut case, Command::Answer { recipient_confirmed: false });
    assert!(says(&unconfirmed, Clause::V2, "Confirm"));
    w.done(case.assignee, &mut case, Command::Answer { recipient_confirmed: true });
    assert_eq!(case.recipient, Some(REQUESTER), "the person who asked, who alone can open it");
    let release = World::release(&case);
    w.done(None, &mut case, release);
    // In the force it is for the requester: the approver, even as a requester too, does not open it.
    let mut person = w.register.people[&APPROVER].clone();
    person.roles.insert(Role::Requester);
    w.register.apply(RegisterEvent::PersonEntered(person));
    assert!(cites(&w.refused(APPROVER, &mut case, Command::Collect), Clause::V2));
    let actor = w.actor(APPROVER);
    let ctx = w.context(Some(&actor));
    assert!(cites(&access::refusals(&case, Action::SeeAnswer, &ctx), Clause::V2));
    w.done(REQUESTER, &mut case, Command::Collect);
}

#[test]
fn v3_passing_a_sensitive_answer_on_is_asked_and_decided_first() {
    let mut w = World::new();
    let mut case = sensitive(&mut w);
    w.decide_sharing(&mut case, World::share());
    w.answer(&mut case);
    assert!(disclosed(&w, &case).conditions().iter().any(|(c, _)| *c == Clause::V3));
    let ask = |to: &str| Command::AskOnward { to: to.into(), reasons: "They hold the other half.".into() };
    let decide = |allowed| Command::DecideOnward { allowed, reasons: "Lawful.".into() };
    let holder = case.assignee;
    assert!(cites(&w.refused(holder, &mut case, decide(true)), Clause::V3));
    assert!(cites(&w.refused(REQUESTER, &mut case, ask(" ")), Clause::V3));
    w.done(REQUESTER, &mut case, ask("Otherton Police"));
    assert!(cites(&w.refused(REQUESTER, &mut case, ask("Otherton Police")), Clause::V3));
    assert!(cites(&w.refused(holder, &mut case, Command::Close), Clause::V3));
    w.done(holder, &mut case, decide(false));
    assert_eq!(case.onward[0].decision.as_ref().map(|d| d.0), Some(false));
    // Asked and decided after closing too.
    w.done(holder, &mut case, Command::Close);
    w.done(REQUESTER, &mut case, ask("Otherton Police"));
    w.done(desk(P).leader, &mut case, decide(true));
}

#[test]
fn w1_the_force_is_told_of_a_rejection_and_what_was_missing() {
    let mut w = World::new();
    let case = w.at(State::Rejected);
    assert_eq!(case.rejected.len(), 1);
    let actor = w.actor(REQUESTER);
    let ctx = w.context(Some(&actor));
    assert_eq!(access::refusals(&case, Action::SeeAnswer, &ctx), vec![]);
    let header = &case.records.last().unwrap().header;
    assert_eq!(header.clauses, ["S1", "W1"]);
}

#[test]
fn w2_the_requester_asks_with_reasons_and_once_at_a_time() {
    let mut w = World::new();
    for mut case in [w.at(State::Rejected), w.declined(P)] {
        let ask = |reasons: &str| Command::AskReview { reasons: reasons.into() };
        assert!(cites(&w.refused(REQUESTER, &mut case, ask(" ")), Clause::W2));
        assert!(!w.refused(APPROVER, &mut case, ask("x")).is_empty());
        let nobody_asked = Command::DecideReview { result: ReviewResult::Maintained, reasons: "x".into() };
        assert!(cites(&w.refused(desk(P).leader, &mut case, nobody_asked), Clause::W2));
        w.done(REQUESTER, &mut case, ask("Two were stabbed."));
        assert!(cites(&w.refused(REQUESTER, &mut case, ask("Again.")), Clause::W2));
    }
}

fn decide_review(result: ReviewResult) -> Command {
    Command::DecideReview { result, reasons: "The harm was misread.".into() }
}

fn asked(w: &mut World, mut case: Case) -> Case {
    let reasons = "Two were stabbed.".into();
    w.done(REQUESTER, &mut case, Command::AskReview { reasons });
    case
}

#[test]
fn w3_the_leader_of_the_team_that_decided_reviews_never_the_decider() {
    let mut w = World::new();
    let d = desk(P);
    let case = w.declined(P);
    let mut case = asked(&mut w, case);
    // A leader of another team of the same gallery.
    let other = PersonId::fixed(190);
    let mut person = w.register.people[&d.leader].clone();
    person.id = other;
    person.at = casework::people::Affiliation::Team(casework::ids::TeamId::fixed(190));
    w.register.apply(RegisterEvent::TeamEntered(Team {
        id: casework::ids::TeamId::fixed(190),
        name: "Other".into(),
        gallery: P,
        leader: Some(other),
    }));
    w.register.apply(RegisterEvent::PersonEntered(person));
    let refused = w.refused(other, &mut case, decide_review(ReviewResult::Changed));
    assert!(says(&refused, Clause::W3, "team that decided"));
    // The leader who decided it themselves.
    let mut own = w.clone();
    let mut assessor = own.register.people[&d.assessors[0]].clone();
    assessor.roles.insert(Role::TeamLeader);
    own.register.apply(RegisterEvent::PersonEntered(assessor));
    own.register.apply(RegisterEvent::TeamEntered(Team { id: d.team, name: "Passport".into(), gallery: P, leader: Some(d.assessors[0]) }));
    let refused = own.refused(d.assessors[0], &mut case, decide_review(ReviewResult::Maintained));
    assert!(says(&refused, Clause::W3, "never decided by the person"));
    w.done(d.leader, &mut case, decide_review(ReviewResult::Maintained));
}

#[test]
fn w3_a_later_authorisation_elsewhere_does_not_move_the_review() {
    let mut w = World::new();
    let mut form = w.complete_form();
    let second = w.image();
    let second_probe = second.probe;
    form.images.push(second);
    let mut case = w.received_form(form, P);
    w.take(&mut case);
    let decline = w.decline(&case, case.probe_id());
    w.done(case.assignee, &mut case, decline);
    // A colleague of another team takes it over and authorises the other image.
    let team = casework::ids::TeamId::fixed(191);
    let colleague = desk(P).assessors[1];
    let mut person = w.register.people[&colleague].clone();
    person.at = casework::people::Affiliation::Team(team);
    w.register.apply(RegisterEvent::TeamEntered(Team { id: team, name: "Other".into(), gallery: P, leader: None }));
    w.register.apply(RegisterEvent::PersonEntered(person));
    w.done(case.assignee, &mut case, Command::PutBack);
    w.done(colleague, &mut case, Command::Take { no_conflict: true });
    let authorise = w.authorise(&case, second_probe);
    w.done(colleague, &mut case, authorise);
    assert_eq!(case.decided_by_team, Some(desk(P).team));
}

#[test]
fn w4_a_review_is_about_eligibility_and_nothing_else() {
    let mut w = World::new();
    let case = w.answered(P);
    let mut case = asked(&mut w, case);
    for result in [ReviewResult::Maintained, ReviewResult::Changed] {
        assert!(cites(&w.refused(desk(P).leader, &mut case, decide_review(result)), Clause::W4));
    }
    w.done(desk(P).leader, &mut case, decide_review(ReviewResult::OutOfScope));
    assert_eq!(case.state, State::Answered);
}

#[test]
fn w4_a_changed_decision_goes_back_to_be_assessed_and_is_answered_anew() {
    let mut w = World::new();
    let mut case = w.declined(P);
    w.done(REQUESTER, &mut case, Command::Collect);
    w.review(&mut case, ReviewResult::Changed);
    assert_eq!((case.state, case.assignee), (State::Received, None));
    w.take(&mut case);
    w.authorise_first(&mut case);
    w.search(&mut case, 1);
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[true]);
    }
    w.decide_sharing(&mut case, World::share());
    w.answer(&mut case);
    assert_eq!(case.outcome, Some(Outcome::Match));
    w.done(REQUESTER, &mut case, Command::Collect);
}

#[test]
fn w4_a_request_rejected_at_the_door_is_received_when_that_changes() {
    let mut w = World::new();
    let mut case = w.at(State::AwaitingApproval);
    let dsas = w.register.dsas.clone();
    w.register.dsas.clear();
    w.done(APPROVER, &mut case, Command::Approve);
    assert_eq!((case.state, case.received_at), (State::Rejected, None));
    w.register.dsas = dsas;
    w.review(&mut case, ReviewResult::Changed);
    assert!(case.received_at.is_some() && case.due.is_some());
    assert_eq!(case.state, State::Received);
}

#[test]
fn w5_the_result_is_given_with_reasons_and_a_request_is_not_closed_over_it() {
    let mut w = World::new();
    let case = w.declined(P);
    let mut case = asked(&mut w, case);
    let holder = desk(P).assessors[0];
    assert!(cites(&w.refused(holder, &mut case, Command::Close), Clause::W5));
    let silent = Command::DecideReview { result: ReviewResult::Maintained, reasons: " ".into() };
    assert!(cites(&w.refused(desk(P).leader, &mut case, silent), Clause::W5));
    w.done(desk(P).leader, &mut case, decide_review(ReviewResult::Maintained));
    let (result, reasons) = case.reviews[0].result.clone().unwrap();
    assert_eq!((result, reasons.as_str()), (ReviewResult::Maintained, "The harm was misread."));
    w.done(holder, &mut case, Command::Close);
}

#[test]
fn d1_the_clear_header_of_an_event_names_no_person_and_repeats_no_answer() {
    let mut w = World::new();
    let mut cases = vec![w.answered(P), w.at(State::Rejected), w.declined(I)];
    cases.push(sensitive(&mut w));
    for case in cases {
        let people: Vec<String> = w.register.people.keys().map(ToString::to_string).collect();
        let form = case.form.clone().unwrap();
        for r in &case.records {
            let clear = serde_json::to_string(&r.header).unwrap();
            for id in &people {
                assert!(!clear.contains(id.as_str()), "{clear}");
            }
            for text in [&form.investigation, &form.offence, &form.harm, &form.person, &form.vulnerable_words] {
                assert!(text.is_empty() || !clear.contains(text.as_str()), "{clear}");
            }
            for p in &case.probes {
                assert!(!clear.contains(&p.id.to_string()));
            }
        }
    }
}

#[test]
fn d3_the_record_goes_six_years_after_closing_a_leap_day_included() {
    let mut w = World::new();
    w.now = "2028-02-29T10:00:00Z".parse().unwrap();
    let case = w.at(State::Closed);
    let due_on = |day| retain::due(&case, &w.policy, day);
    let has = |day, class| due_on(day).iter().any(|d| d.class == class);
    assert!(!has(date(2034, 2, 27), RetentionClass::Record));
    assert!(has(date(2034, 2, 28), RetentionClass::Record));
    assert!(!has(date(2028, 3, 29), RetentionClass::Images));
    assert!(has(date(2028, 3, 30), RetentionClass::Images));
    assert!(due_on(date(2040, 1, 1)).iter().all(|d| d.clause == Clause::D3));
    // Not before, and not twice.
    let mut case = case;
    let class = RetentionClass::Images;
    assert!(cites(&w.refused(None, &mut case, Command::Erase { class }), Clause::D3));
    w.now = "2028-03-30T10:00:00Z".parse().unwrap();
    w.done(None, &mut case, Command::Erase { class });
    assert!(cites(&w.refused(None, &mut case, Command::Erase { class }), Clause::D3));
    w.now = "2034-02-28T10:00:00Z".parse().unwrap();
    let class = RetentionClass::Record;
    w.done(None, &mut case, Command::Erase { class });
    assert_eq!(case.state, State::Erased);
}

#[test]
fn d3_candidates_whom_nobody_confirmed_go_at_once_or_when_the_request_is_over() {
    let mut w = World::new();
    let class = RetentionClass::Candidates;
    let due = |w: &World, case: &Case| retain::due(case, &w.policy, w.today()).iter().any(|d| d.class == class);
    let mut case = w.searched(P, 1);
    assert!(!due(&w, &case), "people still compare");
    let reason = "Solved.".into();
    let mut withdrawn = case.clone();
    w.done(REQUESTER, &mut withdrawn, Command::Withdraw { reason });
    assert!(due(&w, &withdrawn), "nobody will conclude on them now");
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[false]);
    }
    assert!(due(&w, &case));
    w.done(None, &mut case, Command::Erase { class });
    assert!(!due(&w, &case));
}

#[test]
fn d3_the_record_says_who_asked_when_whether_authorised_and_the_outcome() {
    let mut w = World::new();
    let case = w.answered(P);
    let kinds: Vec<&str> = case.records.iter().map(|r| r.header.kind.as_str()).collect();
    assert_eq!(kinds[..4], ["prepared", "approved", "submitted", "received"]);
    assert!(kinds.contains(&"authorised") && kinds.contains(&"released"));
    let released = &case.records.last().unwrap().header;
    assert_eq!((released.leo, released.gallery, released.outcome.as_deref()), (Some(FORCE), Some(P), Some("match")));
    assert_eq!(released.policy, w.policy.version);
    assert_eq!(case.requester, Some(REQUESTER));
}

#[test]
fn d4_counts_come_from_headers_alone_and_the_sample_can_be_repeated() {
    let mut w = World::new();
    let mut urgent = w.complete_form();
    urgent.urgent = Some(true);
    urgent.urgent_reason = "Armed.".into();
    let cases = [w.answered(P), w.declined(P), w.at(State::Rejected), w.received_form(urgent, P), w.answered(I)];
    let mut headers: Vec<_> = cases.iter().flat_map(|c| c.records.iter().map(|r| r.header.clone())).collect();
    let counts = report::counts(&headers);
    let p = &counts[&P];
    assert_eq!((p.received, p.urgent, p.rejected, p.authorised, p.declined), (4, 1, 1, 1, 1));
    assert_eq!(p.answered, BTreeMap::from([("match".into(), 1), ("declined".into(), 1)]));
    assert_eq!(p.declines_by_clause, BTreeMap::from([("A6".into(), 1)]));
    assert_eq!(counts[&I].received, 1);
    headers.reverse();
    assert_eq!(report::counts(&headers), counts, "order does not matter");

    let ids: Vec<RequestId> = (0..50).map(RequestId::fixed).collect();
    let keyed = |seed: u8| {
        move |id: &RequestId| {
            let mut out = [0u8; 32];
            for (n, b) in out.iter_mut().enumerate() {
                *b = id.as_bytes()[15].wrapping_mul(31).rotate_left(3) ^ seed.wrapping_mul(n as u8 + 7);
            }
            out
        }
    };
    let drawn = report::sample(&ids, 7, keyed(3));
    let mut shuffled = ids.clone();
    shuffled.reverse();
    shuffled.extend(&ids[..5]);
    assert_eq!(report::sample(&shuffled, 7, keyed(3)), drawn);
    assert_eq!(drawn.len(), 7);
    assert_ne!(report::sample(&ids, 7, keyed(4)), drawn);
}

#[test]
fn d5_whatever_changes_a_request_is_an_event_with_who_and_when() {
    let mut w = World::new();
    for state in State::iter() {
        let case = w.at(state);
        assert_eq!(case.version, case.records.len() as u64);
        for r in &case.records {
            let entry: serde_json::Value = serde_json::from_slice(r.payload.as_ref().unwrap()).unwrap();
            assert!(entry.get("who").is_some(), "who");
            assert!(r.header.at <= w.now || state == State::Erased, "when");
            assert_eq!(entry["event"], r.header.kind.as_str());
        }
    }
}

#[test]
fn g1_what_differs_between_galleries_is_data() {
    let mut w = World::new();
    let mut case = w.assessing(P);
    // A gallery with other legal bases and fields obeys them without new code.
    let mut text = include_str!("../../policy/v1.toml").to_owned();
    text = text.replace("royal-prerogative", "custody-code");
    text = text.replace("{ field = \"name\", clause = \"O5\" },", "{ field = \"home-office-reference\", clause = \"O5\" },");
    let old = w.authorise(&case, case.probe_id());
    w.policy = toml::from_str(&text).unwrap();
    assert!(cites(&w.refused(case.assignee, &mut case, old), Clause::A1));
    w.authorise_first(&mut case);
    w.search(&mut case, 1);
    for e in &desk(P).examiners[..2] {
        w.examine(&mut case, *e, &[true]);
    }
    let name = share_command(&case, fields(&[BioField::Name]));
    assert!(cites(&w.refused(case.assignee, &mut case, name), Clause::O5));
    w.decide_sharing(&mut case, fields(&[BioField::HomeOfficeReference]));
}

#[test]
fn r2_the_events_of_a_request_stay_with_one_force() {
    let mut w = World::new();
    let case = w.answered(P);
    let forces: Vec<Option<LeoId>> = case.records.iter().map(|r| r.header.leo).collect();
    assert!(forces.iter().all(|l| *l == Some(FORCE)));
    assert!(matches!(
        w.ask(NCA_REQUESTER, &case, &Command::Collect),
        Err(r) if r == vec![access::unknown()]
    ));
}

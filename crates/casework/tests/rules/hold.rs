//! Legal holds (D3): who places them, what they keep, and that they never end by themselves.

use crate::support::cites;
use casework::{
    clause::Clause,
    command::Command,
    hold::latest_review,
    ids::PersonId,
    record::{GalleryId, RetentionClass},
    request::State,
    retain,
    task::Task,
    testing::*,
};
use jiff::{ToSpan as _, civil::Date};

const P: GalleryId = GalleryId::Passport;

fn in_days(w: &World, days: i64) -> Date {
    w.today().checked_add(days.days()).unwrap()
}

fn place(owner: PersonId, review: Date) -> Command {
    Command::PlaceHold { owner, reason: "A court asks for it.".into(), review }
}

#[test]
fn d3_a_hold_keeps_everything_until_it_is_lifted_and_then_it_goes_at_once() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.at(State::Closed);
    let closed = case.closed_at;
    let review = in_days(&w, 90);
    w.done(d.leader, &mut case, place(d.siao, review));
    assert_eq!((case.hold.as_ref().unwrap().owner, case.hold.as_ref().unwrap().review), (d.siao, review));
    w.pass_days(366 * 7);
    assert!(retain::due(&case, &w.policy, w.today()).is_empty(), "years after its time");
    assert!(case.hold.as_ref().unwrap().overdue(w.today()), "and long after it should have been looked at again");
    for class in [RetentionClass::Images, RetentionClass::Disclosure, RetentionClass::Record, RetentionClass::Candidates] {
        assert!(!Task::Erase { class }.owed(&case, &w.policy, w.now));
        let told = w.refused(None, &mut case, Command::Erase { class });
        assert!(cites(&told, Clause::D3) && told.iter().any(|r| r.words.contains("legal hold")), "{told:?}");
    }
    let review = in_days(&w, 366);
    w.done(d.siao, &mut case, Command::ReviewHold { owner: d.leader, reason: "The appeal goes on.".into(), review });
    assert!(!case.hold.as_ref().unwrap().overdue(w.today()));
    assert!(retain::due(&case, &w.policy, w.today()).is_empty());
    w.done(d.leader, &mut case, Command::LiftHold { reason: "The appeal is over.".into() });
    assert_eq!((case.hold.clone(), case.closed_at), (None, closed), "its time was never stopped");
    let due: Vec<_> = retain::due(&case, &w.policy, w.today()).into_iter().map(|d| d.class).collect();
    for class in [RetentionClass::Images, RetentionClass::Disclosure, RetentionClass::Record] {
        assert!(due.contains(&class), "{due:?}");
    }
    w.done(None, &mut case, Command::Erase { class: RetentionClass::Record });
    assert_eq!(case.state, State::Erased);
}

#[test]
fn d3_a_hold_has_an_owner_a_reason_and_a_day_on_which_it_is_looked_at_again() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.answered(P);
    let (tomorrow, last) = (in_days(&w, 1), latest_review(&w.policy, w.today()));
    assert_eq!(last, in_days(&w, i64::from(w.policy.hold_review_days_max)));
    // Everything that is wrong with it, at once.
    let nobody = PersonId::fixed(424_242);
    let worst = Command::PlaceHold { owner: nobody, reason: "  ".into(), review: w.today() };
    assert_eq!(w.refused(d.leader, &mut case, worst).len(), 3);
    for owner in [REQUESTER, AUDITOR, desk(GalleryId::Immigration).leader] {
        assert!(cites(&w.refused(d.leader, &mut case, place(owner, tomorrow)), Clause::D3), "of another house");
    }
    for review in [in_days(&w, -1), w.today(), last.tomorrow().unwrap()] {
        assert!(cites(&w.refused(d.leader, &mut case, place(d.siao, review)), Clause::D3), "{review}");
    }
    for command in
        [Command::ReviewHold { owner: d.siao, reason: "Again.".into(), review: tomorrow }, Command::LiftHold { reason: "Over.".into() }]
    {
        assert!(cites(&w.refused(d.leader, &mut case, command), Clause::D3), "there is none yet");
    }
    w.done(d.siao, &mut case, place(d.siao, last));
    assert!(cites(&w.refused(d.leader, &mut case, place(d.leader, tomorrow)), Clause::D3), "one at a time");
    assert!(cites(&w.refused(d.leader, &mut case, Command::LiftHold { reason: String::new() }), Clause::D3));
    // A hold stops no work: it closes as others do.
    w.done(case.assignee, &mut case, Command::Close);
    assert!(case.hold.is_some());
    w.done(d.siao, &mut case, Command::LiftHold { reason: "Over.".into() });
    w.done(d.leader, &mut case, place(d.leader, tomorrow));
}

#[test]
fn d3_who_places_a_hold_leads_the_team_or_answers_for_the_gallery() {
    let mut w = World::new();
    let (d, other) = (desk(P), desk(GalleryId::Immigration));
    let mut case = w.answered(P);
    let review = in_days(&w, 30);
    for who in [REQUESTER, APPROVER, d.assessors[0], d.examiners[0], AUDITOR, REGISTRAR, other.leader, other.siao] {
        w.refused(who, &mut case, place(d.siao, review));
    }
    w.refused(None, &mut case, place(d.siao, review));
    w.done(d.siao, &mut case, place(d.siao, review));
    w.refused(d.assessors[0], &mut case, Command::LiftHold { reason: "Over.".into() });
    w.refused(None, &mut case, Command::LiftHold { reason: "It is overdue.".into() });
}

#[test]
fn d3_a_hold_leaves_when_it_closes_as_it_was() {
    let mut w = World::new();
    let d = desk(P);
    let mut case = w.answered(P);
    let due = retain::close_due(&case, &w.policy);
    w.pass_days(20);
    let review = in_days(&w, 30);
    w.done(d.leader, &mut case, place(d.siao, review));
    w.pass_days(1);
    w.done(d.leader, &mut case, Command::LiftHold { reason: "Over.".into() });
    assert_eq!(retain::close_due(&case, &w.policy), due, "nothing about the request itself happened");
}

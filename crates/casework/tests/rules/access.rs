//! The access table: printed for an auditor, and held against what `decide` really lets through.

use crate::support::golden;
use casework::{
    access::{Action, ruling},
    assess::Decision,
    command::Command,
    event::{ReviewResult, Sharing},
    form::Field,
    ids::{AuthorisationId, PersonId},
    people::{RegisterEvent, Role},
    record::{GalleryId, RetentionClass},
    request::{ProbeState, State},
    review::{self, Conclusion},
    task::Task,
    testing::*,
};
use std::fmt::Write as _;
use strum::IntoEnumIterator;

/// The state in a few letters, for a column.
fn short(state: State) -> &'static str {
    match state {
        State::Draft => "Draft",
        State::AwaitingApproval => "Approver",
        State::Returned => "Retd",
        State::Rejected => "Rejd",
        State::Received => "Recd",
        State::Assessing => "Assess",
        State::Clarifying => "Clarify",
        State::Searching => "Search",
        State::Comparing => "Comp",
        State::Responding => "Prep",
        State::Answering => "Sending",
        State::Answered => "Answd",
        State::Withdrawn => "Withdn",
        State::Closed => "Closed",
        State::Erased => "Erased",
    }
}

fn page() -> String {
    let mut out = String::from(
        "# Who may do what, when\n\n\
         Generated from `casework::access::ruling` by the test `the_access_table_is_as_printed`; do not edit.\n\
         Every role × state × action is here: **yes** is allowed, **–** is denied. What is not allowed is denied. The clause is\n\
         the one that a denial cites.\n\n\
         The table is the outer wall only. Inside it stand the relations that no table can hold: own force, own gallery, own\n\
         request, the holder, training in date, need to know, blindness, conflict of interest (`access::refusals` and `decide`).\n\n\
         The columns are the states: ",
    );
    let names: Vec<_> = State::iter().map(|s| format!("{} = {}", short(s), s.label().to_lowercase())).collect();
    let _ = writeln!(out, "{}.\n", names.join("; "));
    let (mut yes, mut cells) = (0, 0);
    for role in Role::iter() {
        let columns: Vec<_> = State::iter().map(short).collect();
        let _ = writeln!(out, "## {}\n", role.label());
        let _ = writeln!(out, "| Action | Clause | {} |", columns.join(" | "));
        let _ = writeln!(out, "| --- | --- |{}", " --- |".repeat(columns.len()));
        for action in Action::iter() {
            let row: Vec<_> = State::iter().map(|s| ruling(role, s, action)).collect();
            cells += row.len();
            yes += row.iter().filter(|c| c.allowed).count();
            let clause = row[0].clause;
            assert!(row.iter().all(|c| c.clause == clause));
            let row: Vec<_> = row.iter().map(|c| if c.allowed { "yes" } else { "–" }).collect();
            let _ = writeln!(out, "| {action} | {clause} | {} |", row.join(" | "));
        }
        out.push('\n');
    }
    let nobody = |a: &Action| !Role::iter().any(|r| State::iter().any(|s| ruling(r, s, *a).allowed));
    let workers: Vec<_> = Action::iter().filter(nobody).map(|a| a.to_string()).collect();
    let _ = writeln!(
        out,
        "Denied to every person in every state, and done by workers alone, who carry out what people decided (P2): {}.\n",
        workers.join(", ")
    );
    let _ = writeln!(
        out,
        "{cells} cells ({} roles × {} states × {} actions): {yes} allowed, {} denied.",
        Role::iter().count(),
        State::iter().count(),
        Action::iter().count(),
        cells - yes
    );
    out
}

#[test]
fn the_access_table_is_as_printed() {
    golden("access.md", &page());
}

/// Every command with contents that would do, for the state the request is in.
fn commands(w: &mut World, case: &Case, actor: PersonId) -> Vec<Command> {
    let words = || "Because it is so.".to_owned();
    let mut form = case.form.clone().unwrap_or_else(|| w.complete_form());
    form.investigation = "OP-MATRIX".into();
    let hold = (desk(GalleryId::Passport).siao, w.today().tomorrow().unwrap());
    let mut out = vec![
        World::prepare(form, GalleryId::Passport),
        Command::Return { reasons: words() },
        Command::Approve,
        Command::Withdraw { reason: words() },
        Command::Reject { missing: vec![(Field::Harm, words())] },
        Command::Take { no_conflict: true },
        Command::DeclareConflict { words: words() },
        Command::PutBack,
        Command::Allocate { to: desk(GalleryId::Passport).assessors[1], reason: words() },
        Command::AskClarification { question: words() },
        Command::AnswerClarification { answer: words() },
        Command::FlagVulnerable { words: words() },
        Command::Admit { person: desk(GalleryId::Passport).examiners[3], reason: words() },
        World::answer_command(),
        World::release(case),
        Command::Collect,
        Command::AskReview { reasons: words() },
        Command::DecideReview { result: ReviewResult::OutOfScope, reasons: words() },
        Command::AskOnward { to: words(), reasons: words() },
        Command::DecideOnward { allowed: true, reasons: words() },
        Command::ReplaceExaminer { examiner: desk(GalleryId::Passport).examiners[0], reason: words() },
        Command::TryAgain { task: Task::Release },
        Command::TryAgain { task: Task::Close },
        Command::PlaceHold { owner: hold.0, reason: words(), review: hold.1 },
        Command::ReviewHold { owner: hold.0, reason: words(), review: hold.1 },
        Command::LiftHold { reason: words() },
        Command::SeedTrial { material: Box::new(w.material(&[true, false])) },
        Command::StopTrial { reason: words() },
        Command::Close,
        Command::Erase { class: RetentionClass::Record },
        Command::Erase { class: RetentionClass::Candidates },
    ];
    let Some(p) = case.probes.first() else {
        return out;
    };
    let probe = p.id;
    out.push(w.authorise(case, probe));
    out.push(w.decline(case, probe));
    out.push(Command::Assess {
        probe,
        assessment: Box::new(w.assessment(GalleryId::Passport)),
        decision: Decision::Authorise,
        authorisation: AuthorisationId::fixed(3),
    });
    out.push(Command::StartSearch { probe });
    out.push(w.search_result(case, probe, 1));
    out.push(Command::ExpireAuthorisation { probe });
    if let ProbeState::Authorised(a) | ProbeState::Started(a) = &p.state {
        out.push(Command::TryAgain { task: Task::Search { probe, authorisation: a.id } });
    }
    out.push(Command::Examine { probe, order: review::in_question(p) });
    out.push(Command::ConcludeEmpty { probe, words: words() });
    let version = w.version_of(case, actor);
    for c in &p.candidates {
        out.push(Command::GiveVisual { probe, candidate: c.id, opinion: World::visual(Conclusion::Same), version });
        out.push(Command::GiveInformed { probe, candidate: c.id, opinion: World::informed(true), version });
        for sharing in [World::share(), Sharing::Withhold { reasons: words() }] {
            out.push(Command::DecideSharing { probe, candidate: c.id, sharing });
        }
    }
    out
}

/// The person of the world in each part of a case, and a stranger to it, given exactly one role.
fn with_role(w: &mut World, role: Role) -> Vec<PersonId> {
    let d = desk(GalleryId::Passport);
    let people: Vec<PersonId> = match role {
        Role::Requester | Role::Approver => {
            vec![REQUESTER, APPROVER, OTHER_REQUESTER, NCA_REQUESTER]
        }
        Role::Assessor | Role::Examiner | Role::TeamLeader | Role::Siao => {
            vec![d.leader, d.assessors[0], d.assessors[1], d.examiners[0], d.examiners[2], desk(GalleryId::Immigration).assessors[0]]
        }
        Role::Auditor => vec![AUDITOR],
        Role::Registrar => vec![REGISTRAR],
    };
    // A leader needs somebody left to allocate to.
    let spared = (role == Role::TeamLeader).then_some(d.assessors[1]);
    for p in people.iter().filter(|p| Some(**p) != spared) {
        let mut person = w.register.people[p].clone();
        person.roles = [role].into();
        if role == Role::Approver {
            person.rank = Some(casework::people::Rank::Inspector);
        }
        w.register.apply(RegisterEvent::PersonEntered(person));
    }
    people.into_iter().filter(|p| Some(*p) != spared).collect()
}

#[test]
fn no_command_succeeds_where_the_table_denies() {
    let (mut tried, mut allowed) = (0, std::collections::BTreeSet::new());
    let mut base = World::new();
    for state in State::iter() {
        let mut cases = vec![base.at(state)];
        // Beside the usual walk: one whose leave is expired, whose list is empty, that is half compared.
        if state == State::Searching {
            let mut started = cases[0].clone();
            let probe = started.probe_id();
            base.done(started.assignee, &mut started, Command::StartSearch { probe });
            cases.push(started);
        }
        if state == State::Comparing {
            cases.push(base.searched(GalleryId::Passport, 0));
            let mut half = base.searched(GalleryId::Passport, 1);
            base.join(&mut half, desk(GalleryId::Passport).examiners[0]);
            cases.push(half.clone());
            let c = half.candidate_ids()[0];
            base.look(&mut half, desk(GalleryId::Passport).examiners[0], c, Conclusion::Same);
            cases.push(half);
        }
        if state == State::Comparing {
            cases.push(base.trial(&[true, false]));
        }
        if state == State::Responding {
            let mut decided = cases[0].clone();
            base.decide_sharing(&mut decided, World::share());
            cases.push(decided);
        }
        if matches!(state, State::Rejected | State::Answered) {
            let mut asked = cases[0].clone();
            let reasons = "Look again.".to_owned();
            base.done(REQUESTER, &mut asked, Command::AskReview { reasons });
            cases.push(asked);
        }
        if matches!(state, State::Answered | State::Closed) {
            let mut held = cases[0].clone();
            let (owner, review) = (desk(GalleryId::Passport).siao, base.today().tomorrow().unwrap());
            base.done(owner, &mut held, Command::PlaceHold { owner, reason: "A court asks.".into(), review });
            cases.push(held);
        }
        if state == State::Answered {
            let mut asked = cases[0].clone();
            let (to, reasons) = ("Otherton Police".to_owned(), "Needed.".to_owned());
            base.done(REQUESTER, &mut asked, Command::AskOnward { to, reasons });
            cases.push(asked);
        }
        for role in Role::iter() {
            for case in &cases {
                let mut w = base.clone();
                for person in with_role(&mut w, role) {
                    for command in commands(&mut w, case, person) {
                        tried += 1;
                        let action = command.action();
                        if let Ok(events) = w.ask(person, case, &command) {
                            assert!(!events.is_empty(), "{action} leaves an event (D5)");
                            assert!(ruling(role, state, action).allowed, "{role} did {action} in {state}");
                            allowed.insert((role, state, action));
                        }
                    }
                }
            }
        }
        // Workers are not in the table; nothing that a person decides is theirs.
        for case in &cases {
            for command in commands(&mut base.clone(), case, AUDITOR) {
                if base.ask(None, case, &command).is_ok() {
                    assert!(
                        matches!(command.action(), Action::RecordSearch | Action::ExpireAuthorisation | Action::Release | Action::Erase),
                        "a worker did {}",
                        command.action()
                    );
                }
            }
        }
    }
    // The wall is not all there is: the matrix also shows that it has doors, one for each action.
    let opened: std::collections::BTreeSet<Action> = allowed.iter().map(|(_, _, a)| *a).collect();
    let commands: std::collections::BTreeSet<Action> = Action::iter()
        .take_while(|a| *a != Action::SeeRequest)
        .filter(|a| !matches!(a, Action::RecordSearch | Action::ExpireAuthorisation | Action::Release | Action::Erase))
        .collect();
    let never: Vec<_> = commands.difference(&opened).collect();
    assert!(never.is_empty(), "never allowed in the matrix: {never:?}");
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn workers_only_carry_out_what_people_decided() {
    let mut w = World::new();
    let mut case = w.at(State::Searching);
    let probe = case.probe_id();
    assert!(matches!(case.probes[0].state, ProbeState::Authorised(_)));
    w.refused(None, &mut case, Command::StartSearch { probe });
    w.refused(None, &mut case, Command::Close);
}

//! The state diagram, walked out of the real `decide`.

use crate::support::{golden, golden_part};
use casework::{access::Action, command::Command, event::ReviewResult, record::GalleryId, request::State, task::Task, testing::*};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use strum::IntoEnumIterator;

type Edges = BTreeMap<(State, State), BTreeSet<String>>;

/// Tries commands on a case by whoever may, and notes where each leads.
struct Walker {
    world: World,
    edges: Edges,
    seen: BTreeSet<String>,
}

impl Walker {
    fn step(&mut self, case: &Case, who: Option<casework::ids::PersonId>, command: Command) -> Option<Case> {
        let name = match &command {
            Command::Assess { decision, .. } => match decision {
                casework::assess::Decision::Authorise => "assess (authorise)".into(),
                casework::assess::Decision::Decline { .. } => "assess (decline)".into(),
            },
            Command::DecideReview { result, .. } => format!("decide-review ({result})"),
            Command::Erase { class } => format!("erase ({class})"),
            other => other.action().to_string(),
        };
        let mut next = case.clone();
        let events = self.world.ask(who, case, &command).ok()?;
        let by = who.map_or(casework::event::Who::System, casework::event::Who::Person);
        let entry = |event| casework::event::Entry { by, event };
        for event in events {
            next.request.apply(&entry(event), self.world.now);
        }
        self.edges.entry((case.state, next.state)).or_default().insert(name);
        Some(next)
    }

    /// Everything that anybody can do now, and where it leads; each sort of case once.
    fn walk(&mut self, case: Case) {
        let mut open = vec![case];
        while let Some(case) = open.pop() {
            let probes: Vec<_> = case
                .probes
                .iter()
                .map(|p| {
                    let state = format!("{:?}", p.state);
                    let word = state.split(['(', ' ']).next().unwrap_or_default().to_owned();
                    let said: Vec<_> = p
                        .candidates
                        .iter()
                        .flat_map(|c| c.opinions.values())
                        .map(|o| (o.visual.is_some(), o.informed.as_ref().map(|i| i.same_person)))
                        .collect();
                    (word, p.examiners.len(), said, p.matches().count(), p.ended())
                })
                .collect();
            let review = case.reviews.last().map(|r| r.result.is_some());
            let held = (case.assignee.is_some(), case.undeclared().is_some());
            let sort = format!("{} {probes:?} {review:?} {held:?} {:?} {}", case.state, case.erased, case.replaced.len());
            // Reviews and re-preparations go round and round: once is enough.
            if case.reviews.len() > 1 || case.version > 60 || !self.seen.insert(sort) {
                continue;
            }
            let before = self.world.now;
            for (who, command, days) in self.moves(&case) {
                self.world.now = before;
                self.world.pass_days(days);
                open.extend(self.step(&case, who, command));
            }
            self.world.now = before;
        }
    }

    fn moves(&mut self, case: &Case) -> Vec<(Option<casework::ids::PersonId>, Command, i64)> {
        let d = desk(GalleryId::Passport);
        let words = || "Because it is so.".to_owned();
        let w = &mut self.world;
        let holder = case.assignee;
        let form = case.form.clone().unwrap_or_else(|| w.complete_form());
        let mut out = vec![
            (Some(REQUESTER), World::prepare(form, GalleryId::Passport), 0),
            (Some(APPROVER), Command::Return { reasons: words() }, 0),
            (Some(APPROVER), Command::Approve, 0),
            // After 2060 no agreement of this world is in force: rejected at the door.
            (Some(APPROVER), Command::Approve, 366 * 40),
            (Some(REQUESTER), Command::Withdraw { reason: words() }, 0),
            (holder, Command::Reject { missing: vec![(casework::form::Field::Harm, words())] }, 0),
            (Some(d.assessors[0]), Command::Take { no_conflict: true }, 0),
            (holder, Command::Take { no_conflict: true }, 0),
            (Some(d.assessors[0]), Command::PutBack, 0),
            (Some(d.leader), Command::Allocate { to: d.assessors[1], reason: words() }, 0),
            (holder, Command::DeclareConflict { words: words() }, 0),
            (holder, Command::AskClarification { question: words() }, 0),
            (Some(REQUESTER), Command::AnswerClarification { answer: words() }, 0),
            (Some(REQUESTER), Command::FlagVulnerable { words: words() }, 0),
            (holder, World::answer_command(), 0),
            (None, World::release(case), 0),
            (Some(REQUESTER), Command::Collect, 0),
            (Some(REQUESTER), Command::AskReview { reasons: words() }, 0),
            (Some(d.leader), Command::TryAgain { task: Task::Release }, 0),
            (Some(d.leader), Command::TryAgain { task: Task::Close }, 61),
            (Some(d.leader), Command::Close, 0),
        ];
        for result in [ReviewResult::OutOfScope, ReviewResult::Maintained, ReviewResult::Changed] {
            out.push((Some(d.leader), Command::DecideReview { result, reasons: words() }, 0));
        }
        for class in casework::record::RetentionClass::iter() {
            out.push((None, Command::Erase { class }, 366 * 7));
        }
        if case.state == State::Responding {
            out.push((Some(d.examiners[0]), Command::DeclareConflict { words: words() }, 0));
        }
        let examiners: Vec<_> = d.examiners[..2].to_vec();
        out.push((Some(d.leader), Command::ReplaceExaminer { examiner: d.examiners[0], reason: words() }, 0));
        for p in &case.probes {
            let probe = p.id;
            out.push((holder, w.authorise(case, probe), 0));
            out.push((holder, w.decline(case, probe), 0));
            out.push((holder, Command::StartSearch { probe }, 0));
            out.push((None, Command::ExpireAuthorisation { probe }, 40));
            for n in 0..2 {
                out.push((None, w.search_result(case, probe, n), 0));
            }
            out.push((Some(examiners[0]), Command::ConcludeEmpty { probe, words: words() }, 0));
            for e in &examiners {
                // The second begins once the first has finished: interleaving leads nowhere else.
                let working = p.examiners.iter().any(|x| {
                    x.person != *e && !p.candidates.iter().all(|c| c.opinions.get(&x.person).is_some_and(|o| o.informed.is_some()))
                });
                if working {
                    continue;
                }
                let order = casework::review::in_question(p);
                out.push((Some(*e), Command::Examine { probe, order }, 0));
                let version = casework::review::sheet(case, probe, *e).map_or(0, |s| s.version);
                for c in &p.candidates {
                    let conclusion = casework::review::Conclusion::Same;
                    out.push((Some(*e), Command::GiveVisual { probe, candidate: c.id, opinion: World::visual(conclusion), version }, 0));
                    for same in [true, false] {
                        out.push((Some(*e), Command::GiveInformed { probe, candidate: c.id, opinion: World::informed(same), version }, 0));
                    }
                }
            }
            for c in p.matches() {
                out.push((holder, Command::DecideSharing { probe, candidate: c.id, sharing: World::share() }, 0));
            }
        }
        out
    }
}

fn walked() -> Edges {
    let mut walker = Walker { world: World::new(), edges: Edges::new(), seen: BTreeSet::new() };
    let draft = walker.world.at(State::Draft);
    walker.walk(draft);
    // Two images on one form, for the states that only a mixed request passes through.
    let mut form = walker.world.complete_form();
    let second = walker.world.image();
    form.images.push(second);
    let mut mixed = walker.world.received_form(form, GalleryId::Passport);
    walker.world.take(&mut mixed);
    walker.walk(mixed);
    eprintln!("{} sorts of request", walker.seen.len());
    walker.edges
}

fn page(edges: &Edges) -> String {
    let mut out = String::from(
        "# The states of a request\n\n\
         Generated by walking commands through the real `decide` (test `the_state_diagram_is_as_printed`); do not edit.\n\
         An arrow is there because a command led from one state to the other. What leaves the state as it is stands in\n\
         the table below the diagram.\n\n```mermaid\nstateDiagram-v2\n",
    );
    let id = |s: State| format!("{s:?}");
    for state in State::iter() {
        let _ = writeln!(out, "    {} : {}", id(state), state.label());
    }
    out.push_str("    [*] --> Draft\n");
    for ((from, to), by) in edges.iter().filter(|((from, to), _)| from != to) {
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        let _ = writeln!(out, "    {} --> {} : {}", id(*from), id(*to), by.join(", "));
    }
    out.push_str("    Erased --> [*]\n```\n\n| From | To | By |\n| --- | --- | --- |\n");
    for ((from, to), by) in edges {
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        let to = if from == to { "(stays)" } else { to.label() };
        let _ = writeln!(out, "| {} | {to} | {} |", from.label(), by.join(", "));
    }
    out
}

#[test]
fn the_state_diagram_is_as_printed() {
    let edges = walked();
    let reached: BTreeSet<State> = edges.keys().map(|(_, to)| *to).collect();
    for state in State::iter().filter(|s| *s != State::Draft) {
        assert!(reached.contains(&state), "{state} is never reached");
    }
    what_is_over_stays_over(&edges);
    let page = page(&edges);
    golden("states.md", &page);
    let start = page.find("```mermaid").unwrap();
    let end = start + page[start..].find("```\n\n").or_else(|| page[start..].rfind("```\n")).unwrap();
    golden_part("ARCHITECTURE.md", "state diagram", &page[start..end + 4]);
}

fn what_is_over_stays_over(edges: &Edges) {
    let from = |state| -> BTreeSet<State> { edges.keys().filter(|(f, t)| *f == state && f != t).map(|(_, t)| *t).collect() };
    assert_eq!(from(State::Withdrawn), [State::Closed].into());
    // W2: a closed request may still be reviewed, and a changed decision opens it again.
    assert_eq!(from(State::Closed), [State::Received, State::Erased].into());
    assert_eq!(from(State::Erased), BTreeSet::new());
    // An answer leaves by one door only.
    let into: Vec<_> = edges.iter().filter(|((f, t), _)| *t == State::Answered && f != t).collect();
    assert_eq!(into.len(), 1);
    assert_eq!(into[0], (&(State::Answering, State::Answered), &[Action::Release.to_string()].into()));
}

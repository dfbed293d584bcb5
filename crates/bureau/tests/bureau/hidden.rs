//! V1: who does not need to know of a sensitive request cannot see that it exists.

use crate::house::{AUDITOR, House, SOUGHT, cites, form, probe, refusals};
use bureau::{Bureau, assess::List};
use casework::{
    command::Command,
    form::Form,
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    people::{RegisterEvent, Role},
    record::GalleryId,
    refusal::Refusal,
    request::State,
    testing::{APPROVER, NCA_APPROVER, OTHER_REQUESTER, REGISTRAR, REQUESTER, World, desk},
};

const PASSPORT: GalleryId = GalleryId::Passport;

fn sensitive() -> Form {
    Form { vulnerable: Some(true), vulnerable_words: "Fled abuse and changed her name.".into(), ..form(PASSPORT) }
}

/// Every answer there is about a request, from one person: refusals, all of them.
async fn everything_asked(b: &Bureau, who: PersonId, id: RequestId, probe: ProbeId) -> Vec<Vec<Refusal>> {
    let candidate = CandidateId::fixed(1);
    let mut out = vec![
        refusals(b.request(who, id).await),
        refusals(b.brief(who, id).await),
        refusals(b.history(who, id).await),
        refusals(b.probe_image(who, id, probe).await),
        refusals(b.matches(who, id).await),
        refusals(b.preview(who, id).await),
        refusals(b.answer(who, id).await),
        refusals(b.comparison(who, id, probe).await),
        refusals(b.comparison_probe(who, id, probe).await),
        refusals(b.comparison_candidate(who, id, probe, candidate).await),
        refusals(b.informed(who, id, probe, candidate).await),
        refusals(b.take_up(who, id, probe).await),
    ];
    for command in [
        Command::Take { no_conflict: true },
        Command::DeclareConflict { words: "I know her.".into() },
        Command::StartSearch { probe },
        Command::FlagVulnerable { words: "Perhaps.".into() },
        Command::Admit { person: who, reason: "Curiosity.".into() },
        Command::Close,
        Command::Withdraw { reason: "No.".into() },
        Command::ConcludeEmpty { probe, words: "None.".into() },
        Command::Answer { recipient_confirmed: true },
    ] {
        for seen in [None, Some(1), Some(99)] {
            out.push(refusals(b.act(who, id, command.clone(), seen, None).await));
        }
    }
    out
}

#[tokio::test]
async fn v1_a_sensitive_request_is_like_none_at_all_to_whoever_need_not_know() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(sensitive(), SOUGHT).await;
    let [holder, other] = desk(PASSPORT).assessors;
    assert_eq!(house.open(id).await.assignee, Some(holder));
    let nothing = RequestId(uuid::Uuid::now_v7());
    let immigration = desk(GalleryId::Immigration);
    let uninvolved = [
        other,
        desk(PASSPORT).examiners[0],
        OTHER_REQUESTER,
        NCA_APPROVER,
        immigration.leader,
        immigration.assessors[0],
        immigration.siao,
        immigration.examiners[0],
    ];
    for who in uninvolved {
        assert_eq!(everything_asked(b, who, id, probe).await, everything_asked(b, who, nothing, probe).await, "{who}");
    }
    let unknown = vec![casework::access::unknown()];
    assert_eq!(refusals(b.request(other, id).await), unknown);
    // Nor did any of that leave a look.
    assert!(house.looks(id).await.iter().all(|l| !uninvolved.contains(&l.by)));
    // Those who need to know, know.
    for who in [holder, desk(PASSPORT).leader, desk(PASSPORT).siao, AUDITOR, REQUESTER, APPROVER] {
        assert!(b.request(who, id).await.is_ok(), "{who}");
    }
    // Let in by name, an examiner can work on it.
    let examiner = desk(PASSPORT).examiners[0];
    house.examine(examiner, id, probe).await;
    assert!(refusals(b.request(desk(PASSPORT).examiners[1], id).await) == unknown);
}

#[tokio::test]
async fn v1_a_sensitive_request_is_in_no_list_count_or_look_up_of_whoever_need_not_know() {
    let house = House::new().await;
    let b = &house.bureau;
    let plain = house.received(form(PASSPORT), SOUGHT).await;
    let secret = Form { investigation: "OP-CANARY-SECRET".into(), ..sensitive() };
    let hidden = house.received(secret, SOUGHT).await;
    let [_, other] = desk(PASSPORT).assessors;
    let leader = desk(PASSPORT).leader;
    let all = async |who: PersonId, list: List| {
        let lines = b.list(who, list, None, 1).await.unwrap();
        assert_eq!(lines.total, lines.lines.len() as u64);
        lines.lines.iter().map(|l| l.id).collect::<Vec<_>>()
    };
    for list in [List::Waiting, List::All] {
        assert_eq!(all(other, list).await, [plain], "{list}");
        assert_eq!(all(leader, list).await.len(), 2, "{list}");
    }
    let by_state = b.list(other, List::All, Some(State::Received), 1).await.unwrap();
    assert_eq!(by_state.total, 1);
    assert_eq!(b.next_in_queue(other).await.unwrap(), Some(plain));
    // Look-ups by either reference.
    for text in [hidden.reference(), "OP-CANARY-SECRET".into()] {
        assert!(b.look_up(other, &text).await.unwrap().is_empty());
        assert_eq!(b.look_up(leader, &text).await.unwrap().len(), 1);
        assert!(b.look_up(desk(GalleryId::Immigration).leader, &text).await.unwrap().is_empty());
    }
    assert_eq!(b.look_up(other, &plain.reference()).await.unwrap().len(), 1);
    // Counts by state.
    let counted = async |who: PersonId| -> u64 {
        let oversees = (who == leader).then_some(PASSPORT);
        b.store()
            .counts(Some(store::Viewer { oversees, ..store::Viewer::only(who) }))
            .await
            .unwrap()
            .iter()
            .filter(|c| c.gallery == PASSPORT)
            .map(|c| c.number)
            .sum()
    };
    assert_eq!((counted(other).await, counted(leader).await), (1, 2));
    // How much each colleague holds, too.
    let reason = "Trained for it.".to_owned();
    house.act(leader, hidden, Command::Allocate { to: desk(PASSPORT).assessors[0], reason }).await;
    let load = async |who: PersonId| {
        let loads = b.team_load(who).await.unwrap();
        loads.iter().find(|l| l.person == desk(PASSPORT).assessors[0]).unwrap().holds
    };
    assert_eq!((load(other).await, load(leader).await), (0, 1));
    // A job of it that fails is the leader's to see, of this gallery only.
    // However many of the other gallery's failed before it.
    let theirs = house.received(form(GalleryId::Immigration), SOUGHT).await;
    house.sql("INSERT INTO job (kind, stream, payload, run_at, failed, reason) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) SELECT 'release', s.stream, '{\"job\":\"release\"}', 0, 1, 'failed' FROM n, stream s JOIN request_row r ON r.request = substr(s.stream, 2) WHERE hex(s.stream) LIKE '52%' AND r.gallery = 'immigration'").await;
    house.sql("INSERT INTO job (kind, stream, payload, run_at, failed, reason) SELECT 'release', stream, '{\"job\":\"release\"}', 0, 1, 'failed' FROM stream WHERE hex(stream) LIKE '52%'").await;
    let failed = b.failed_jobs(leader).await.unwrap();
    assert_eq!(failed.len(), 2);
    let stranger = desk(GalleryId::Immigration).leader;
    let of_theirs = b.failed_jobs(stranger).await.unwrap();
    assert!(of_theirs.len() == 100 && of_theirs.iter().all(|f| f.request == theirs));
    refusals(b.failed_jobs(other).await);
    for who in [other, stranger, REQUESTER] {
        for f in &failed {
            assert_eq!(refusals(b.try_again(who, f.job).await), vec![casework::access::unknown()], "V1");
        }
    }
    // Nothing waits to be released here: it cannot be tried again, and is dropped.
    assert!(failed.iter().all(|f| !f.owed));
    assert!(cites(&refusals(b.try_again(leader, failed[0].job).await), casework::clause::Clause::O10));
    b.tidy().await.unwrap();
    assert!(b.failed_jobs(leader).await.unwrap().is_empty());
    assert!(b.store().failed_jobs(1).await.unwrap().is_empty(), "however many there were");
}

#[tokio::test]
async fn m2_who_examines_a_request_and_answers_for_the_gallery_draws_no_sample_with_it() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, probe) = house.searched(form(PASSPORT), SOUGHT).await;
    let d = desk(PASSPORT);
    let examiner = d.examiners[0];
    let mut person = b.register().await.unwrap().people[&examiner].clone();
    person.roles.insert(Role::Siao);
    b.change_register(REGISTRAR, RegisterEvent::PersonEntered(person), None).await.unwrap();
    let sampled = async |who: PersonId| b.sample(who, "seed", 10).await.unwrap().iter().any(|l| l.id == id);
    assert!(sampled(examiner).await);
    b.take_up(examiner, id, probe).await.unwrap();
    assert!(!sampled(examiner).await, "its state would tell how far the other examiner is");
    assert!(sampled(d.siao).await);
}

#[tokio::test]
async fn v1_who_takes_an_office_over_sees_and_who_left_it_does_not() {
    let house = House::new().await;
    let b = &house.bureau;
    let id = house.received(sensitive(), SOUGHT).await;
    let d = desk(PASSPORT);
    let [holder, other] = d.assessors;
    let listed = async |who: PersonId| b.list(who, List::All, None, 1).await.unwrap().lines.iter().any(|l| l.id == id);
    let sampled = async |who: PersonId| b.sample(who, "seed", 10).await.unwrap().iter().any(|l| l.id == id);
    assert!(listed(d.leader).await && sampled(d.siao).await && listed(AUDITOR).await && !listed(other).await);
    // Nothing happens to the request: only the register changes.
    let version = house.open(id).await.version;
    let becomes = async |who: PersonId, roles: &[Role]| {
        let mut person = b.register().await.unwrap().people[&who].clone();
        person.roles = roles.iter().copied().collect();
        if roles.contains(&Role::Approver) {
            person.rank = Some(casework::people::Rank::Inspector);
        }
        person.post = b.register().await.unwrap().people[&d.leader].post.filter(|_| !roles[0].is_police());
        b.change_register(REGISTRAR, RegisterEvent::PersonEntered(person), None).await.unwrap();
    };
    becomes(other, &[Role::Assessor, Role::TeamLeader]).await;
    becomes(d.leader, &[Role::Assessor]).await;
    assert!(listed(other).await && b.request(other, id).await.is_ok(), "the new leader sees it at once");
    assert!(!listed(d.leader).await, "the former does not");
    assert_eq!(refusals(b.request(d.leader, id).await), vec![casework::access::unknown()]);
    assert!(b.look_up(d.leader, &id.reference()).await.unwrap().is_empty());
    becomes(other, &[Role::Siao]).await;
    becomes(d.siao, &[Role::Assessor]).await;
    assert!(sampled(other).await && listed(other).await && !listed(d.siao).await, "so with the owner's office");
    becomes(other, &[Role::Assessor]).await;
    assert!(!listed(other).await);
    assert_eq!(house.open(id).await.version, version);
    // Within the force it waits for any approver while it waits, and for nobody new afterwards.
    let waiting = house.prepared(sensitive(), SOUGHT).await;
    becomes(OTHER_REQUESTER, &[Role::Requester, Role::Approver]).await;
    let queue = async |who: PersonId| b.list(who, List::Approval, None, 1).await.unwrap().lines.iter().any(|l| l.id == waiting);
    assert!(queue(OTHER_REQUESTER).await && queue(APPROVER).await && !queue(NCA_APPROVER).await);
    house.act(APPROVER, waiting, Command::Approve).await;
    assert!(!queue(OTHER_REQUESTER).await);
    assert_eq!(refusals(b.request(OTHER_REQUESTER, waiting).await), vec![casework::access::unknown()]);
    // Whoever held it and holds it no longer has no part in it.
    becomes(d.leader, &[Role::TeamLeader]).await;
    house.act(d.leader, id, Command::Allocate { to: holder, reason: "Trained for it.".into() }).await;
    house.act(holder, id, Command::Take { no_conflict: true }).await;
    assert!(listed(holder).await);
    house.act(holder, id, Command::PutBack).await;
    assert!(!listed(holder).await && b.request(holder, id).await.is_err());
    house.holds().await;
}

#[tokio::test]
async fn v0_found_vulnerable_at_a_late_stage_it_disappears_from_those_who_saw_it() {
    let house = House::new().await;
    let b = &house.bureau;
    let (id, _) = house.authorised(form(PASSPORT), SOUGHT).await;
    let [holder, other] = desk(PASSPORT).assessors;
    assert!(b.request(other, id).await.is_ok());
    let before = b.list(other, List::All, None, 1).await.unwrap().total;
    house.act(holder, id, Command::FlagVulnerable { words: "The name was changed.".into() }).await;
    assert_eq!(refusals(b.request(other, id).await), vec![casework::access::unknown()]);
    assert_eq!(b.list(other, List::All, None, 1).await.unwrap().total, before - 1);
    // An approver of the force who had no part in it never hears of it; the one who approved does.
    assert!(b.request(APPROVER, id).await.is_ok());
    // The same image in another request is noted without saying where.
    let draft = b.new_draft(OTHER_REQUESTER).await.unwrap();
    let (_, _, notes) = b.add_image(OTHER_REQUESTER, draft, 1, &probe(), None).await.unwrap();
    let said = format!("{notes:?}");
    assert!(!said.contains(&id.to_string()) && !said.contains(&id.reference()), "{said}");
    house.holds().await;
    assert!(World::new().register.people.contains_key(&holder));
}

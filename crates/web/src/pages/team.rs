//! The team leader's pages: who holds what, allocating one request or several, reviews and onward
//! sharing that wait for a decision, and jobs that failed, in human words.

use super::{
    Routes,
    assess::{lines, once, open::Case, refused, who},
};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    render::show,
};
use axum::{
    Router,
    extract::{Path, Query},
    response::Response,
    routing::get,
};
use bureau::{
    Once,
    assess::{List, Load},
    views::{RequestLine, RequestView},
};
use casework::{
    access::Action,
    command::Command,
    event::ReviewResult,
    ids::{PersonId, RequestId},
    refusal::Refusal,
};
use minijinja::{Value, context};
use serde::Deserialize;
use std::cmp::Ordering;

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/assess/team", get(team))
            .route("/assess/team/allocate", get(ask_allocate).post(allocate))
            .route("/assess/{id}/review", get(ask_review).post(review))
            .route("/assess/{id}/onward", get(ask_onward).post(onward)),
    )
}

/// Requests looked through at most for the page of who holds what.
const PAGES_MAX: u32 = 20;

/// Everything open in the gallery that the leader may know of.
async fn all_open(page: &Page) -> Result<Vec<RequestLine>, PageError> {
    let bureau = page.state.bureau()?;
    let mut out = vec![];
    for number in 1..=PAGES_MAX {
        let lines = bureau.list(who(page), List::All, None, number).await?;
        let last = number >= lines.pages;
        out.extend(lines.lines);
        if last {
            break;
        }
    }
    Ok(out)
}

/// What the lines are sorted by: a column's key, with `-` before it the other way round. Without one,
/// urgent requests come first, then the oldest (S6).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sorting {
    sort: String,
}

impl Sorting {
    /// Sorts lines, and says by which column and which way round.
    fn sort(&self, lines: &mut [RequestLine]) -> Option<(&str, bool)> {
        let (key, down) = self.sort.strip_prefix('-').map_or((self.sort.as_str(), false), |key| (key, true));
        let order: fn(&RequestLine, &RequestLine) -> Ordering = match key {
            "force" => |a, b| a.leo.cmp(&b.leo),
            "age" => |a, b| b.received.cmp(&a.received),
            "due" => |a, b| a.due.is_none().cmp(&b.due.is_none()).then(a.due.cmp(&b.due)),
            _ => return None,
        };
        lines.sort_by(|a, b| if down { order(b, a) } else { order(a, b) });
        Some((key, down))
    }
}

async fn team(page: Page, Query(sorting): Query<Sorting>) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    // Only a team leader is told of failed jobs; to everybody else this page does not exist.
    let failed = bureau.failed_jobs(who(&page)).await?;
    let load = bureau.team_load(who(&page)).await?;
    let mut open = all_open(&page).await?;
    let sorted = sorting.sort(&mut open);
    let holders: Vec<Value> = load
        .iter()
        .filter(|p| p.assessor)
        .map(|p| {
            let held: Vec<&RequestLine> = open.iter().filter(|l| l.assignee.as_deref() == Some(p.name.as_str())).collect();
            context! { p => show(p), lines => show(&held), overdue => held.iter().filter(|l| l.overdue).count() }
        })
        .collect();
    let free: Vec<&RequestLine> = open.iter().filter(|l| l.assignee.is_none()).collect();
    let sensitive = free.iter().filter(|l| l.sensitive).count();
    let asked = bureau.list(who(&page), List::Asked, None, 1).await?;
    let failed: Vec<Value> = failed
        .iter()
        .map(|f| {
            let (what, why, then) = job_words(&f.kind, &f.reason);
            context! { job => f.job, owed => f.owed, reference => f.reference.as_str(), what, why, then }
        })
        .collect();
    page.view("team/team.html", "Your team")
        .back("/assess")
        .with(context! { sorted => sorted.map(|(key, down)| context! { key, down }), holders, free => show(&free), sensitive, asked => show(&asked.lines), asked_total => asked.total, failed })
        .draw()
        .await
}

/// A failed job as somebody would say it: what, why, and what to do.
fn job_words(kind: &str, reason: &str) -> (&'static str, &'static str, &'static str) {
    let what = match kind {
        "search" => "A search did not finish",
        "expire" => "Leave to search that ran out was not noted",
        "release" => "An answer did not leave",
        "close" => "A request that lay idle was not closed",
        "erase" => "Data that is due was not erased",
        _ => "A task did not finish",
    };
    let (why, then) = match reason {
        "refused" => (
            "the rules no longer allow it, for example because the request was withdrawn, an agreement has lapsed or the gallery’s certificate was revoked",
            "Open the request and look at its state and history.",
        ),
        "overtaken" => ("somebody kept changing the request meanwhile", "Open the request; doing the step again starts it afresh."),
        "erased" => ("what it needed has been erased", "Nothing more can be done; close the request."),
        "engine" => ("the face engine failed on the image", "Tell whoever runs the service; the image may have to be assessed again."),
        "face" => (
            "the face that was assessed is not found again in its place on the image, so nothing was searched",
            "Tell whoever runs the service: the face model may have been changed since. With the one before it, this can be tried again.",
        ),
        "gallery" => ("the gallery could not be searched", "Tell whoever runs the service."),
        _ => ("something broke", "Tell whoever runs the service."),
    };
    (what, why, then)
}

/// A request chosen beforehand, from its own page.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beforehand {
    request: Option<RequestId>,
}

async fn ask_allocate(page: Page, Query(beforehand): Query<Beforehand>) -> Result<Response, PageError> {
    draw_allocate(&page, &beforehand.request.into_iter().collect::<Vec<_>>(), None, "", vec![]).await
}

async fn draw_allocate(
    page: &Page,
    chosen: &[RequestId],
    to: Option<PersonId>,
    reason: &str,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    bureau.failed_jobs(who(page)).await?;
    let open = all_open(page).await?;
    let people = colleagues(page).await?;
    let items: Vec<Value> = open.iter().map(|l| context! { line => show(l), checked => chosen.contains(&l.id) }).collect();
    let people: Vec<Value> = people.iter().map(|p| context! { p => show(p), checked => Some(p.person) == to }).collect();
    page.view("team/allocate.html", "Allocate requests")
        .back("/assess/team")
        .with(context! { items, people, reason })
        .errors(errors)
        .draw()
        .await
}

/// Colleagues to whom the leader may allocate.
async fn colleagues(page: &Page) -> Result<Vec<Load>, PageError> {
    let mut out = page.state.bureau()?.team_load(who(page)).await?;
    out.retain(|p| p.assessor && p.same_team);
    Ok(out)
}

/// Checks what is to be allocated, asks to confirm it, and does it, each request by itself.
async fn allocate(page: Page, posted: Posted) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    bureau.failed_jobs(who(&page)).await?;
    let chosen: Vec<RequestId> = posted.all("request").filter_map(|r| r.parse().ok()).collect();
    let to: Option<PersonId> = posted.text("to").and_then(|p| p.parse().ok());
    let reason = posted.text("reason").unwrap_or_default();
    if posted.has("step", "change") {
        return draw_allocate(&page, &chosen, to, reason, vec![]).await;
    }
    let mut errors = vec![];
    if chosen.is_empty() {
        errors.push(RefusalLine::on("request", "Choose at least one request"));
    }
    let Some(to) = to else {
        errors.push(RefusalLine { clauses: vec!["R3".into()], ..RefusalLine::on("to", "Choose somebody") });
        return draw_allocate(&page, &chosen, None, reason, errors).await;
    };
    let confirm = posted.has("step", "confirm");
    let token = posted.once()?;
    let (mut lines_of, mut done) = (vec![], 0_usize);
    for id in &chosen {
        let brief = bureau.brief(who(&page), *id).await?;
        let command = Command::Allocate { to, reason: reason.into() };
        let reference = brief.line.reference.clone();
        let answer = if confirm {
            let seen = posted.text(&format!("version-{id}")).and_then(|v| v.parse().ok());
            bureau.act_and_work(who(&page), *id, command, seen, Some(Once(format!("{token}-{id}")))).await.map(|_| ())
        } else {
            bureau.check(who(&page), *id, command, None).await.map(|_| ())
        };
        match answer {
            Ok(()) => {
                done += 1;
                lines_of.push(context! { line => show(&brief.line), version => brief.version });
            }
            Err(e) => told(refused(e)?, &reference, &mut errors),
        }
    }
    if confirm {
        let words = match done {
            1 => "1 request was allocated.".to_owned(),
            n => format!("{n} requests were allocated."),
        };
        if errors.is_empty() {
            return page.done(words, "/assess/team").await;
        }
        page.tell(crate::session::NoticeKind::Information, words).await?;
    }
    if !errors.is_empty() {
        return draw_allocate(&page, &chosen, Some(to), reason, errors).await;
    }
    let person = colleagues(&page).await?.into_iter().find(|p| p.person == to);
    page.view("team/allocate-check.html", "Check the allocation")
        .back("/assess/team/allocate")
        .with(context! { lines => lines_of, to => to.to_string(), person => show(&person), reason })
        .draw()
        .await
}

/// Adds refusals about one of several requests: what is true of all of them is said once.
fn told(all: Vec<Refusal>, reference: &str, errors: &mut Vec<RefusalLine>) {
    let field = |r: &Refusal| match r.words.as_str() {
        w if w.starts_with("Say why") => "reason",
        w if w.starts_with("That person") => "to",
        _ => "request",
    };
    for mut line in lines(all, |r| Some(field(r).into())) {
        if line.field.as_deref() == Some("request") {
            line.words = format!("{reference}: {}", line.words);
        }
        if !errors.contains(&line) {
            errors.push(line);
        }
    }
}

async fn ask_review(page: Page, Case(view): Case) -> Result<Response, PageError> {
    draw_review(&page, &view, Value::UNDEFINED, vec![]).await
}

async fn draw_review(page: &Page, view: &RequestView, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let policy = page.state.bureau()?.policy();
    let Some(asked) = view.reviews.last() else { return Err(PageError::NotFound) };
    let declined: Vec<Value> = view
        .probes
        .iter()
        .filter_map(|p| {
            let (clauses, words) = p.declined.as_ref()?;
            let clauses: Vec<Value> =
                clauses.iter().map(|c| context! { id => c.to_string(), text => policy.clause(*c).map(|t| t.text.clone()) }).collect();
            Some(context! { number => p.number, words, clauses })
        })
        .collect();
    page.view("team/review.html", "Decide a review")
        .back(format!("/assess/{}", view.line.id))
        .with(context! {
            id => view.line.id.to_string(), version => view.version, reference_text => view.line.reference.clone(), values, asked => show(asked), declined,
            rejected => show(&view.rejected), may => view.may.contains(&Action::DecideReview) && asked.result.is_none(),
            scope => policy.clause(casework::clause::Clause::W4).map(|c| c.text.clone()),
        })
        .errors(errors)
        .draw()
        .await
}

async fn review(page: Page, Case(view): Case, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let Some(result) = posted.text("result").and_then(|r| r.parse::<ReviewResult>().ok()) else {
        let missing = RefusalLine { clauses: vec!["W4".into()], ..RefusalLine::on("result", "Choose a result") };
        return draw_review(&page, &view, posted.values(), vec![missing]).await;
    };
    let command = Command::DecideReview { result, reasons: posted.text("reasons").unwrap_or_default().into() };
    match page.state.bureau()?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) => page.done("The review is decided. The requester is told the result.", "/assess/team").await,
        Err(e) => {
            let all = lines(refused(e)?, |r| Some(if r.words.starts_with("Give the reasons") { "reasons" } else { "result" }.into()));
            draw_review(&page, &view, posted.values(), all).await
        }
    }
}

async fn ask_onward(page: Page, Case(view): Case) -> Result<Response, PageError> {
    draw_onward(&page, &view, Value::UNDEFINED, vec![]).await
}

async fn draw_onward(page: &Page, view: &RequestView, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let Some(asked) = view.onward.last() else { return Err(PageError::NotFound) };
    page.view("team/onward.html", "May the answer be passed on?")
        .back(format!("/assess/{}", view.line.id))
        .with(context! {
            version => view.version, reference_text => view.line.reference.clone(), values, asked => show(asked), id => view.line.id.to_string(),
            may => view.may.contains(&Action::DecideOnward) && asked.decision.is_none(), outcome => view.outcome.map(|o| o.to_string()),
            force => view.line.leo.clone(),
        })
        .errors(errors)
        .draw()
        .await
}

async fn onward(page: Page, Case(view): Case, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let allowed = match posted.text("allowed") {
        Some("yes") => true,
        Some("no") => false,
        _ => {
            let missing =
                RefusalLine { clauses: vec!["V3".into()], ..RefusalLine::on("allowed", "Decide whether the answer may be passed on") };
            return draw_onward(&page, &view, posted.values(), vec![missing]).await;
        }
    };
    let command = Command::DecideOnward { allowed, reasons: posted.text("reasons").unwrap_or_default().into() };
    match page.state.bureau()?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) => page.done("The requester is told.", &format!("/assess/{id}")).await,
        Err(e) => {
            let all = lines(refused(e)?, |_| Some("reasons".into()));
            draw_onward(&page, &view, posted.values(), all).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestLine, Sorting, job_words};
    use casework::{ids::RequestId, record::GalleryId, request::State};

    #[test]
    fn lines_are_sorted_by_a_column_either_way_round_and_by_nothing_else() {
        let line = |n: u8, leo: &str, received: &str, due: Option<&str>| RequestLine {
            id: RequestId::fixed(n.into()),
            reference: n.to_string(),
            gallery: GalleryId::Passport,
            leo: leo.into(),
            state: State::Received,
            state_label: "",
            urgent: false,
            sensitive: false,
            received: received.parse().unwrap(),
            age_working_days: 0,
            due: due.map(|d| d.parse().unwrap()),
            due_words: None,
            overdue: false,
            assignee: None,
            mine: false,
            requester: String::new(),
            flags: Default::default(),
        };
        for (sort, expected) in
            [("", "123"), ("force", "231"), ("-force", "132"), ("age", "312"), ("-age", "213"), ("due", "321"), ("offence", "123")]
        {
            let mut lines = vec![
                line(1, "Westshire", "2026-11-20T10:00:00Z", None),
                line(2, "Anyshire", "2026-11-19T10:00:00Z", Some("2026-12-01")),
                line(3, "Northshire", "2026-11-21T10:00:00Z", Some("2026-11-30")),
            ];
            Sorting { sort: sort.into() }.sort(&mut lines);
            assert_eq!(lines.iter().map(|l| l.reference.as_str()).collect::<String>(), expected, "{sort}");
        }
    }

    #[test]
    fn a_failed_job_is_said_in_words_with_what_to_do() {
        for kind in ["search", "expire", "release", "erase", "unheard-of"] {
            for reason in ["refused", "overtaken", "erased", "engine", "face", "gallery", "failed", ""] {
                let (what, why, then) = job_words(kind, reason);
                assert!(!what.is_empty() && !why.is_empty() && then.ends_with('.'), "{kind} {reason}");
            }
        }
    }
}

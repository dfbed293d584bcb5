//! A request as its requester follows it: where it is, what happens next, and what they can do.

use super::{Words, answered, at, house, jpeg, once, sections, who};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    pages::Routes,
    render::show,
};
use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bureau::views::RequestView;
use casework::{
    access::Action,
    command::Command,
    form::SECTIONS,
    ids::{ProbeId, RequestId},
    request::{Outcome, State},
};
use minijinja::{Value, context};

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/intake/requests/{id}", get(track))
            .route("/intake/requests/{id}/form", get(form))
            .route("/intake/requests/{id}/history", get(history))
            .route("/intake/requests/{id}/sent", get(sent))
            .route("/intake/requests/{id}/images/{probe}", get(picture))
            .route("/intake/requests/{id}/copy", post(copy))
            .route("/intake/requests/{id}/edit", post(edit))
            .route("/intake/requests/{id}/{say}", get(ask).post(say)),
    )
}

async fn picture(page: Page, Path((id, probe)): Path<(RequestId, ProbeId)>) -> Result<Response, PageError> {
    Ok(jpeg(house(&page)?.probe_image(who(&page), id, probe).await?))
}

/// The seven steps: name, and what happens in it as the force sees it.
const STEPS: [(&str, &str); 7] = [
    ("Intake", "You fill the form in, a colleague approves it, and it is received."),
    ("Assess", "Home Office staff decide whether it may be searched, image by image."),
    ("Search", "An authorised image is searched once, in the gallery that was asked."),
    ("Review", "Two trained people compare what was found, each without seeing the other’s answer."),
    ("Respond", "What may be shared is decided, and the answer is sent to you."),
    ("Retain", "Images and other details are destroyed when their time is over; the record stays for up to 6 years."),
    ("Report", "The request is counted, without names, in the published figures."),
];

/// The step that a request is in, from 1, and whether it has stopped there.
fn step(request: &RequestView) -> (usize, bool) {
    match request.line.state {
        State::Draft | State::AwaitingApproval | State::Returned => (1, false),
        State::Rejected => (1, true),
        State::Received | State::Assessing | State::Clarifying => (2, false),
        State::Searching => (3, false),
        State::Comparing => (4, false),
        State::Responding | State::Answering => (5, false),
        State::Answered | State::Closed => (6, false),
        State::Withdrawn => (if request.due.is_some() { 2 } else { 1 }, true),
        State::Erased => (7, false),
    }
}

fn steps(request: &RequestView) -> Vec<Value> {
    let (now, stopped) = step(request);
    let skipped = request.outcome == Some(Outcome::Declined);
    STEPS
        .iter()
        .enumerate()
        .map(|(n, (name, words))| {
            let n = n + 1;
            let state = match () {
                () if skipped && matches!(n, 3 | 4) => "Not needed",
                () if n < now => "Done",
                () if n == now && stopped => "Ended here",
                () if n == now => "Now",
                () if stopped && n < 6 => "Will not happen",
                () => "To come",
            };
            context! { name => *name, words => *words, state, current => n == now, done => state == "Done" }
        })
        .collect()
}

/// What happens next, and who has to do it.
fn next(request: &RequestView) -> &'static str {
    match request.line.state {
        State::Draft => "Send the form to an approver.",
        State::AwaitingApproval => "A colleague who may approve looks at it next. It cannot be you.",
        State::Returned => "Your approver returned it. Read the reasons, change the form and send it again.",
        State::Rejected => "It was rejected. What was missing is listed below; copy it into a new form, or ask for a review.",
        State::Received => "It waits for a caseworker, urgent requests first.",
        State::Assessing => "A caseworker decides whether it may be searched. You need do nothing.",
        State::Clarifying => "A caseworker has asked you something and waits for your answer.",
        State::Searching => "The search is authorised and under way. You need do nothing.",
        State::Comparing => "Two people compare what was found. You need do nothing.",
        State::Responding | State::Answering => "The answer is being made up. It will wait for you here.",
        State::Answered | State::Closed if request.waits_for.is_some() => {
            "The answer is made up and waits for witnesses outside, who confirm the record of it. It will wait for you here; look again in a while."
        }
        State::Answered if request.collected_at.is_none() => "The answer waits for you. Opening it is recorded.",
        State::Answered | State::Closed => "It has been answered. What you must do with the answer is listed with it.",
        State::Withdrawn => "It was withdrawn. Nothing more happens but its erasure in time.",
        State::Erased => "Its retention has ended.",
    }
}

/// The tabs of a request.
fn ways(id: RequestId, current: &str) -> Vec<Value> {
    [("Progress", String::new()), ("The form", "/form".into()), ("History", "/history".into())]
        .into_iter()
        .map(|(text, below)| context! { text, href => format!("{}{below}", at(id)), current => text == current })
        .collect()
}

async fn track(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    draw(&page, id, vec![]).await
}

async fn draw(page: &Page, id: RequestId, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let request = house(page)?.request(who(page), id).await?;
    let may = |a| request.may.contains(&a);
    let refused = request.line.state == State::Rejected || request.outcome == Some(Outcome::Declined);
    let rejected: Vec<Value> = request
        .rejected
        .iter()
        .map(|r| {
            let section = r.field.map(casework::form::Field::section);
            context! {
                words => r.words.as_str(), clauses => show(&RefusalLine::from(r.clone()).clauses),
                section => section.map(|s| format!("Section {s}, {}", SECTIONS[usize::from(s) - 1])),
            }
        })
        .collect();
    let reviews: Vec<Value> = request
        .reviews
        .iter()
        .map(|r| context! { reasons => r.reasons.as_str(), result => r.result.as_ref().map(|(result, why)| context! { result => result.to_string(), why => why.as_str() }) })
        .collect();
    page.view("intake/tracker.html", "A request")
        .back("/intake")
        .with(context! {
            id => id.to_string(), version => request.version, r => show(&request), steps => steps(&request), next => next(&request),
            ways => ways(id, "Progress"), rejected, reviews,
            question => request.clarifications.last().filter(|c| c.answer.is_none()).map(|c| c.question.as_str()),
            answered_questions => request.clarifications.iter().filter(|c| c.answer.is_some()).map(|c| context! { question => c.question.as_str(), answer => c.answer.as_deref() }).collect::<Vec<_>>(),
            can => context! {
                clarify => may(Action::AnswerClarification), withdraw => may(Action::Withdraw), edit => may(Action::Prepare),
                copy => request.line.state == State::Rejected && may(Action::SeeAnswer),
                review => refused && may(Action::AskReview) && request.reviews.iter().all(|r| r.result.is_some()),
                flag => may(Action::FlagVulnerable) && !request.line.sensitive,
                collect => may(Action::Collect) && request.released_at.is_some() && request.waits_for.is_none(),
                history => may(Action::SeeHistory),
            },
        })
        .errors(errors)
        .draw()
        .await
}

async fn form(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let request = house(&page)?.request(who(&page), id).await?;
    let policy = house(&page)?.policy();
    let images = request.form.as_ref().map(|f| sections::images(f, &format!("{}/images", at(id)))).unwrap_or_default();
    page.view("intake/form.html", "The form as it was sent")
        .back(at(id))
        .with(context! {
            id => id.to_string(), r => show(&request), ways => ways(id, "The form"), images => show(&images),
            sections => request.form.as_ref().map(|f| sections::whole(f, policy)),
            crime => request.form.as_ref().map(|f| show(&sections::crime(f))),
        })
        .draw()
        .await
}

async fn history(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let mut lines = house(&page)?.history(who(&page), id).await?;
    lines.reverse();
    let entries: Vec<Value> = lines
        .iter()
        .map(|l| {
            let who = if l.team.is_empty() || l.who == "Home Office" { l.who.clone() } else { format!("{}, {}", l.who, l.team) };
            context! { what => l.what.as_str(), who, when => l.at.to_string(), clauses => show(&l.clauses) }
        })
        .collect();
    page.view("intake/history.html", "History of a request")
        .back(at(id))
        .with(context! { reference => id.reference(), ways => ways(id, "History"), entries })
        .draw()
        .await
}

async fn sent(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let (bureau, me) = (house(&page)?, who(&page));
    let first = bureau.request(me, id).await?;
    let mut sent = vec![first];
    if let Some(twin) = sent[0].twin {
        sent.push(bureau.request(me, twin).await?);
    }
    page.view("intake/sent.html", "Sent to an approver")
        .with(context! { sent => show(&sent), rank => bureau.policy().approving_rank.label() })
        .draw()
        .await
}

async fn copy(page: Page, Path(id): Path<RequestId>, _: Posted) -> Result<Response, PageError> {
    match answered(house(&page)?.copy_rejected(who(&page), id).await)? {
        Ok(new) => {
            page.done(
                "Your answers were copied into a new form. Add the images and make the declarations again.",
                &format!("/intake/drafts/{new}"),
            )
            .await
        }
        Err(lines) => draw(&page, id, lines).await,
    }
}

async fn edit(page: Page, Path(id): Path<RequestId>, _: Posted) -> Result<Response, PageError> {
    match answered(house(&page)?.edit_returned(who(&page), id).await)? {
        Ok(id) => Ok(Redirect::to(&format!("/intake/drafts/{id}")).into_response()),
        Err(lines) => draw(&page, id, lines).await,
    }
}

/// What a requester may say about a request, each a page of one text box.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    Clarification,
    Withdrawal,
    Review,
    Vulnerable,
}

impl Say {
    fn of(word: &str) -> Result<Self, PageError> {
        match word {
            "clarification" => Ok(Self::Clarification),
            "withdraw" => Ok(Self::Withdrawal),
            "review" => Ok(Self::Review),
            "vulnerable" => Ok(Self::Vulnerable),
            _ => Err(PageError::NotFound),
        }
    }

    fn command(self, words: String) -> Command {
        match self {
            Self::Clarification => Command::AnswerClarification { answer: words },
            Self::Withdrawal => Command::Withdraw { reason: words },
            Self::Review => Command::AskReview { reasons: words },
            Self::Vulnerable => Command::FlagVulnerable { words },
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Clarification => Action::AnswerClarification,
            Self::Withdrawal => Action::Withdraw,
            Self::Review => Action::AskReview,
            Self::Vulnerable => Action::FlagVulnerable,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Clarification => "Your answer was sent. The request goes on.",
            Self::Withdrawal => "The request is withdrawn.",
            Self::Review => "You asked for a review. The result will be shown here.",
            Self::Vulnerable => "The request is now handled as sensitive.",
        }
    }

    fn page(self, request: &RequestView) -> Words<'_> {
        let id = request.line.id;
        let words = Words {
            title: "",
            label: "",
            consequences: vec![],
            clauses: &[],
            button: "Send",
            warning: false,
            back: at(id),
            version: request.version,
            quote: None,
            first: None,
        };
        match self {
            Self::Clarification => Words {
                title: "Answer a question about your request",
                label: "Your answer",
                clauses: &["A3"],
                quote: request.clarifications.last().map(|c| c.question.as_str()),
                consequences: vec!["The caseworker reads it with your request, and goes on.".into()],
                ..words
            },
            Self::Withdrawal => Words {
                title: "Withdraw this request?",
                label: "Why are you withdrawing it?",
                clauses: &["S1"],
                button: "Withdraw the request",
                warning: true,
                consequences: vec![
                    "Work on it stops and no answer is sent.".into(),
                    "The record that it was made stays.".into(),
                    "This cannot be undone. A new request can be made.".into(),
                ],
                ..words
            },
            Self::Review => Words {
                title: "Ask for a review",
                label: "Your reasons",
                clauses: &["W2", "W3", "W4", "W5"],
                button: "Ask for a review",
                consequences: vec![
                    "The leader of the team that decided reviews it, never the person who decided.".into(),
                    "The review is about whether the request met the eligibility criteria. Anything else is answered as out of scope."
                        .into(),
                    "You are told the result here.".into(),
                ],
                ..words
            },
            Self::Vulnerable => Words {
                title: "Say that the person may be vulnerable",
                label: "Why may the person be vulnerable?",
                clauses: &["V0", "V1", "V2", "V3"],
                button: "Flag as vulnerable",
                warning: true,
                consequences: vec![
                    "Only those who need it will know that the request exists.".into(),
                    "The answer goes to a named person, never to a team.".into(),
                    "You will need our permission before you pass the answer on.".into(),
                    "The flag cannot be taken back.".into(),
                ],
                ..words
            },
        }
    }
}

async fn ask(page: Page, Path((id, word)): Path<(RequestId, String)>) -> Result<Response, PageError> {
    let say = Say::of(&word)?;
    let request = house(&page)?.request(who(&page), id).await?;
    if !request.may.contains(&say.action()) {
        return Ok(Redirect::to(&at(id)).into_response());
    }
    say.page(&request).draw(&page, Value::UNDEFINED, vec![]).await
}

async fn say(page: Page, Path((id, word)): Path<(RequestId, String)>, posted: Posted) -> Result<Response, PageError> {
    let say = Say::of(&word)?;
    let bureau = house(&page)?;
    let command = say.command(posted.text("words").unwrap_or_default().replace("\r\n", "\n"));
    let done = bureau.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await;
    match answered(done)? {
        Ok(_) => page.done(say.done(), &at(id)).await,
        Err(lines) => {
            let request = bureau.request(who(&page), id).await?;
            say.page(&request).draw(&page, posted.values(), lines).await
        }
    }
}

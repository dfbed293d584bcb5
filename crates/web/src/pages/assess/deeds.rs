//! Small things done to a case, each on a page of its own that says what follows: put it back, ask the
//! force, flag vulnerability, let a colleague in, replace an absent examiner, declare a conflict, close it.

use super::{Routes, lines, once, open::Case, refused, who};
use crate::{
    AppState,
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
};
use axum::{Router, extract::Path, response::Response, routing::get};
use bureau::views::RequestView;
use casework::{
    access::Action,
    command::Command,
    ids::{PersonId, RequestId},
};
use minijinja::{Value, context};

pub(super) fn routes() -> Routes {
    Routes::pages(Router::<AppState>::new().route("/assess/{id}/{deed}", get(ask).post(act)))
}

/// What can be done.
#[derive(Clone, Copy, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
enum Deed {
    PutBack,
    Clarify,
    Flag,
    Admit,
    Replace,
    Conflict,
    Close,
}

/// How it is asked for and what follows.
struct Words {
    action: Action,
    title: &'static str,
    follows: &'static [&'static str],
    label: Option<&'static str>,
    hint: &'static str,
    button: &'static str,
    warning: bool,
    done: &'static str,
    clauses: &'static [&'static str],
}

impl Deed {
    fn words(self) -> Words {
        match self {
            Self::PutBack => Words {
                action: Action::PutBack,
                title: "Put this request back?",
                follows: &["It leaves your list and waits for somebody else.", "What you have recorded on it stays with it."],
                label: None,
                hint: "",
                button: "Put it back",
                warning: false,
                done: "The request is back in the queue.",
                clauses: &[],
            },
            Self::Clarify => Words {
                action: Action::AskClarification,
                title: "Ask the force something",
                follows: &[
                    "The requester sees the question and can answer it here.",
                    "The request waits for the answer. An incomplete form is rejected instead.",
                ],
                label: Some("Your question"),
                hint: "It is shown to the requester as you write it.",
                button: "Send the question",
                warning: false,
                done: "The question was sent to the requester.",
                clauses: &["A3"],
            },
            Self::Flag => Words {
                action: Action::FlagVulnerable,
                title: "Flag that the person may be vulnerable",
                follows: &[
                    "From now on only the people who need it can see that this request exists.",
                    "The answer goes to a named person, who is confirmed again, and may be passed on only with permission.",
                    "It cannot be taken back.",
                ],
                label: Some("Why the person may be vulnerable"),
                hint: "For example a changed gender, or a changed name after domestic abuse. It may be found at any stage, the match included.",
                button: "Flag it",
                warning: true,
                done: "The request is handled sensitively from now on.",
                clauses: &["V0", "V1"],
            },
            Self::Admit => Words {
                action: Action::Admit,
                title: "Let a named colleague in",
                follows: &["They can see this request even though it is sensitive.", "The history says who let them in and why."],
                label: Some("Why they need to know"),
                hint: "",
                button: "Let them in",
                warning: false,
                done: "Your colleague can see the request now.",
                clauses: &["V1"],
            },
            Self::Replace => Words {
                action: Action::ReplaceExaminer,
                title: "Replace an examiner",
                follows: &[
                    "Their place is free: any examiner who has not read this request and has no conflict of interest can take it up.",
                    "What they have given so far does not count and is shown to nobody. They cannot come back to this request.",
                    "It leaves their list. It cannot be taken back.",
                ],
                label: Some("Why they are replaced"),
                hint: "For example, absence. It stands in the record.",
                button: "Replace them",
                warning: true,
                done: "The examiner is replaced. Their comparison waits for somebody else.",
                clauses: &["M2"],
            },
            Self::Conflict => Words {
                action: Action::DeclareConflict,
                title: "Declare a conflict of interest",
                follows: &[
                    "You are barred from this request from now on, whatever you have done on it.",
                    "It goes back to the queue if you hold it.",
                ],
                label: Some("What the conflict is"),
                hint: "In a few words. Only your team leader and auditors read it.",
                button: "Declare it",
                warning: true,
                done: "Your conflict of interest is recorded.",
                clauses: &["R1"],
            },
            Self::Close => Words {
                action: Action::Close,
                title: "Close this request?",
                follows: &[
                    "Nothing more is to be done on it.",
                    "Its periods of retention begin: images go first, the record at the latest after six years.",
                ],
                label: None,
                hint: "",
                button: "Close it",
                warning: true,
                done: "The request is closed.",
                clauses: &["D3"],
            },
        }
    }

    fn command(self, posted: &Posted) -> Command {
        let words = posted.text("words").unwrap_or_default().to_owned();
        match self {
            Self::PutBack => Command::PutBack,
            Self::Clarify => Command::AskClarification { question: words },
            Self::Flag => Command::FlagVulnerable { words },
            Self::Admit => Command::Admit { person: person(posted), reason: words },
            Self::Replace => Command::ReplaceExaminer { examiner: person(posted), reason: words },
            Self::Conflict => Command::DeclareConflict { words },
            Self::Close => Command::Close,
        }
    }

    /// Where to go afterwards: what is barred or gone from one's list is not gone back to.
    fn then(self, id: RequestId) -> String {
        match self {
            Self::PutBack | Self::Conflict => "/assess".into(),
            _ => format!("/assess/{id}"),
        }
    }
}

/// Who was chosen; nobody is a person whom no register holds, and the rules say what is wrong.
fn person(posted: &Posted) -> PersonId {
    posted.text("person").and_then(|p| p.parse().ok()).unwrap_or(PersonId::fixed(0))
}

async fn ask(page: Page, Case(view): Case, Path((_, deed)): Path<(RequestId, String)>) -> Result<Response, PageError> {
    let deed: Deed = deed.parse().map_err(|_| PageError::NotFound)?;
    draw(&page, &view, deed, Value::UNDEFINED, vec![]).await
}

async fn draw(page: &Page, view: &RequestView, deed: Deed, values: Value, mut errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let words = deed.words();
    let mut may = view.may.contains(&words.action);
    let choice = |person: PersonId, name: &str, hint: String| context! { value => person.to_string(), text => name, hint => context! { text => hint } };
    let bureau = page.state.bureau()?;
    let people: Vec<Value> = match deed {
        Deed::Admit => {
            let colleagues = bureau.team_load(who(page)).await?;
            colleagues.iter().filter(|p| p.person != who(page)).map(|p| choice(p.person, &p.name, p.roles.join(", "))).collect()
        }
        Deed::Replace if may => {
            let at_work = bureau.examiners_at_work(who(page), view.line.id).await?;
            let since = |at| format!("Began on {}", casework::calendar::in_words(at));
            at_work.iter().map(|e| choice(e.person, &e.name, since(e.since))).collect()
        }
        _ => vec![],
    };
    may &= deed != Deed::Replace || !people.is_empty();
    if !may && errors.is_empty() {
        let clauses = words.clauses.iter().map(ToString::to_string).collect();
        let said = match deed {
            Deed::Replace if view.may.contains(&words.action) => "No examiner of this request has a comparison left to finish.",
            _ => "This cannot be done now. Somebody may already have done it, or it is not part of your work.",
        };
        errors = vec![RefusalLine { clauses, words: said.into(), field: None }];
    }
    page.view("assess/deed.html", words.title)
        .back(format!("/assess/{}", view.line.id))
        .with(context! {
            reference_text => view.line.reference.clone(), id => view.line.id.to_string(), version => view.version, values, may, people,
            follows => crate::render::show(&words.follows), label => words.label, hint => words.hint, button => words.button, warning => words.warning,
            clause_ids => crate::render::show(&words.clauses),
        })
        .errors(errors)
        .draw()
        .await
}

async fn act(page: Page, Case(view): Case, Path((id, deed)): Path<(RequestId, String)>, posted: Posted) -> Result<Response, PageError> {
    let deed: Deed = deed.parse().map_err(|_| PageError::NotFound)?;
    let done = page.state.bureau()?.act_and_work(who(&page), id, deed.command(&posted), Some(posted.version()?), once(&posted)?).await;
    match done {
        Ok(_) => page.done(deed.words().done, &deed.then(id)).await,
        Err(e) => {
            let mut all = lines(refused(e)?, |r| match deed {
                Deed::Admit | Deed::Replace if r.words.starts_with("That person") => Some("person".into()),
                _ => Some("words".into()),
            });
            // The rules speak of a person whom no register holds; who filled in the form chose nobody.
            if posted.text("person").is_none() {
                all.iter_mut().filter(|l| l.field.as_deref() == Some("person")).for_each(|l| l.words = "Choose somebody.".into());
            }
            draw(&page, &view, deed, posted.values(), all).await
        }
    }
}

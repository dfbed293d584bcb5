//! respond: the tab Response. What is shared of each match, field by field with why (O3–O7, O10); the
//! named recipient (V2); the answer exactly as it will arrive; and sending it.

use super::{
    Routes,
    assess::{
        lines, once,
        open::{Case, answered},
        refused, said, who,
    },
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
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bureau::{BureauError, assess::List, respond::MatchView, views::RequestView};
use casework::{
    access::Action,
    command::Command,
    event::Sharing,
    ids::{CandidateId, ProbeId, RequestId},
    policy::BioField,
    refusal::Refusal,
    request::State,
};
use minijinja::{Value, context};

pub(crate) fn routes() -> Routes {
    Routes::pages(
        Router::<AppState>::new()
            .route("/respond", get(list))
            .route("/respond/{id}", get(response))
            .route("/respond/{id}/match/{candidate}", get(ask_sharing).post(decide_sharing))
            .route("/respond/{id}/send", get(ask_send).post(send))
            .route("/respond/{id}/images/{candidate}", get(image)),
    )
}

/// What the viewer holds that waits for its answer. The force finds its answers on pages of its own.
async fn list(page: Page) -> Result<Response, PageError> {
    if page.person.roles.iter().any(|r| r == "requester") {
        return Ok(Redirect::to("/respond/answers").into_response());
    }
    let bureau = page.state.bureau()?;
    let responding = bureau.list(who(&page), List::Mine, Some(State::Responding), 1).await?;
    let answering = bureau.list(who(&page), List::Mine, Some(State::Answering), 1).await?;
    let part = |title: &str, empty: &str, l: &bureau::assess::Lines| context! { title, empty, lines => show(&l.lines), total => l.total };
    let parts = vec![
        part("To be answered", "You hold nothing that can be answered now.", &responding),
        part("Being sent", "Nothing is on its way.", &answering),
    ];
    page.view("search/list.html", "Respond").with(context! { parts, href => "/respond/" }).draw().await
}

/// The matches, if the viewer is the one who decides about them.
async fn matches(page: &Page, view: &RequestView) -> Result<Vec<MatchView>, PageError> {
    if view.line.mine && view.may.contains(&Action::SeeCandidates) {
        match page.state.bureau()?.matches(who(page), view.line.id).await {
            // What has left is shown as it left, whatever the gallery holds of them by now.
            Err(BureauError::Gone) if view.released_at.is_some() => Ok(vec![]),
            other => Ok(other?),
        }
    } else {
        Ok(vec![])
    }
}

async fn response(page: Page, Case(view): Case, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    let matches = matches(&page, &view).await?;
    let undecided = matches.iter().filter(|m| m.sharing.is_none()).count();
    // Until everything is decided there is no answer to show; what stands in the way is said instead.
    let (disclosure, in_the_way) = if view.may.contains(&Action::SeeAnswer)
        && matches!(view.line.state, State::Responding | State::Answering | State::Answered | State::Closed)
    {
        match page.state.bureau()?.preview(who(&page), id).await {
            Ok(d) => (show(&d), vec![]),
            Err(BureauError::Refused(all)) => (Value::UNDEFINED, all),
            // The held image or biography of a match is gone at the end of its retention.
            Err(BureauError::Gone) => (
                Value::UNDEFINED,
                vec![casework::refusal::refuse(
                    &[casework::clause::Clause::D3],
                    "What was shared has been erased at the end of its retention.",
                )],
            ),
            Err(e) => return Err(e.into()),
        }
    } else {
        (Value::UNDEFINED, vec![])
    };
    let waits = view.waits_for.map(casework::witnessed::Witnessed::words);
    let before = matches!(view.line.state, State::Received | State::Assessing | State::Clarifying | State::Searching | State::Comparing);
    page.view("respond/response.html", "Response")
        .back("/assess")
        .with(context! {
            matches => show(&matches), undecided, disclosure, in_the_way => show(&in_the_way), before, waits,
            may_share => view.may.contains(&Action::DecideSharing) && view.line.mine, may_answer => view.may.contains(&Action::Answer) && view.line.mine,
            may_close => view.may.contains(&Action::Close), image_prefix => format!("/respond/{id}/images/"),
            ..said::case(&view, "response")
        })
        .draw()
        .await
}

/// A match's held image, or, once the answer has left, the picture that left. A synthetic reference has none.
async fn image(page: Page, Path((id, candidate)): Path<(RequestId, CandidateId)>) -> Result<Response, PageError> {
    answered(&page, id).await?;
    match page.state.bureau()?.match_image(who(&page), id, candidate).await? {
        Some(bytes) => Ok(super::assess::jpeg(bytes)),
        None => Err(PageError::NotFound),
    }
}

/// What was chosen to share of one match.
#[derive(Default)]
struct Chosen {
    decision: String,
    image: bool,
    fields: Vec<BioField>,
    why: Vec<(BioField, String)>,
    reasons: String,
}

impl Chosen {
    fn of(sharing: Option<&Sharing>) -> Self {
        match sharing {
            Some(Sharing::Share { image, fields, reasons }) => Self {
                decision: "share".into(),
                image: *image,
                fields: fields.iter().map(|(f, _)| *f).collect(),
                why: fields.clone(),
                reasons: reasons.clone(),
            },
            Some(Sharing::Withhold { reasons }) => Self { decision: "withhold".into(), reasons: reasons.clone(), ..Self::default() },
            None => Self::default(),
        }
    }

    fn read(posted: &Posted, held: &MatchView) -> Self {
        let text = |name: &str| posted.text(name).unwrap_or_default().to_owned();
        let decision = text("decision");
        let reasons = text(if decision == "withhold" { "reasons-withhold" } else { "reasons-share" });
        Self {
            image: posted.has("share", "image"),
            fields: held.fields.iter().map(|f| f.0).filter(|f| posted.has("share", &f.to_string())).collect(),
            why: held.fields.iter().map(|f| (f.0, text(&format!("why-{}", f.0)))).collect(),
            decision,
            reasons,
        }
    }

    fn sharing(&self) -> Option<Sharing> {
        match self.decision.as_str() {
            "share" => Some(Sharing::Share {
                image: self.image,
                fields: self.why.iter().filter(|(f, _)| self.fields.contains(f)).cloned().collect(),
                reasons: self.reasons.clone(),
            }),
            "withhold" => Some(Sharing::Withhold { reasons: self.reasons.clone() }),
            _ => None,
        }
    }

    fn anchor(&self, r: &Refusal) -> Option<String> {
        let about = self.why.iter().find(|(f, _)| r.words.ends_with(&format!("{}.", f.label())));
        Some(match about {
            Some((f, _)) => format!("why-{f}"),
            None if r.words.starts_with("Choose what is shared") => "share".into(),
            None if self.decision == "withhold" => "reasons-withhold".into(),
            None => "reasons-share".into(),
        })
    }
}

/// A match of this case and the image it belongs to.
async fn the_match(page: &Page, view: &RequestView, candidate: CandidateId) -> Result<(ProbeId, usize, MatchView), PageError> {
    let (probe, number) = view
        .probes
        .iter()
        .find(|p| p.candidates.iter().any(|c| c.id == candidate && c.matched == Some(true)))
        .map(|p| (p.id, p.number))
        .ok_or(PageError::NotFound)?;
    let held = matches(page, view).await?.into_iter().find(|m| m.candidate == candidate).ok_or(PageError::NotFound)?;
    Ok((probe, number, held))
}

async fn ask_sharing(page: Page, Case(view): Case, Path((_, candidate)): Path<(RequestId, CandidateId)>) -> Result<Response, PageError> {
    let (_, number, held) = the_match(&page, &view, candidate).await?;
    let chosen = Chosen::of(held.sharing.as_ref());
    draw_sharing(&page, &view, number, &held, &chosen, vec![]).await
}

async fn draw_sharing(
    page: &Page,
    view: &RequestView,
    number: usize,
    held: &MatchView,
    chosen: &Chosen,
    errors: Vec<RefusalLine>,
) -> Result<Response, PageError> {
    let id = view.line.id;
    let fields: Vec<Value> = held
        .fields
        .iter()
        .map(|(field, label, value, clause)| {
            context! {
                key => field.to_string(), label => *label, value, clause => clause.to_string(), ticked => chosen.fields.contains(field),
                why => chosen.why.iter().find(|(f, _)| f == field).map(|(_, w)| w.clone()),
            }
        })
        .collect();
    page.view("respond/match.html", "Decide what is shared")
        .back(format!("/respond/{id}"))
        .with(context! {
            id => id.to_string(), version => view.version, reference_text => view.line.reference.clone(), fields, decision => chosen.decision.clone(),
            image => chosen.image, has_image => held.has_image, candidate => held.candidate.to_string(), reasons => chosen.reasons.clone(),
            picture => show(&said::pictures(view).into_iter().nth(number - 1)), gallery => view.gallery_name.clone(),
            purposes => view.form.as_ref().map(|f| f.purposes.iter().map(|p| said::purpose(*p)).collect::<Vec<_>>()),
            known => view.form.as_ref().is_some_and(|f| f.mode == Some(casework::form::Mode::Known)), sensitive => view.line.sensitive,
        })
        .errors(errors)
        .draw()
        .await
}

async fn decide_sharing(
    page: Page,
    Case(view): Case,
    Path((id, candidate)): Path<(RequestId, CandidateId)>,
    posted: Posted,
) -> Result<Response, PageError> {
    let (probe, number, held) = the_match(&page, &view, candidate).await?;
    let chosen = Chosen::read(&posted, &held);
    let Some(sharing) = chosen.sharing() else {
        let missing =
            RefusalLine { clauses: vec!["O10".into()], ..RefusalLine::on("decision", "Decide whether this match is shared or withheld") };
        return draw_sharing(&page, &view, number, &held, &chosen, vec![missing]).await;
    };
    let command = Command::DecideSharing { probe, candidate, sharing };
    match page.state.bureau()?.act_and_work(who(&page), id, command, Some(posted.version()?), once(&posted)?).await {
        Ok(_) => page.done("Your decision is recorded. Nothing has been sent yet.", &format!("/respond/{id}")).await,
        Err(e) => draw_sharing(&page, &view, number, &held, &chosen, lines(refused(e)?, |r| chosen.anchor(r))).await,
    }
}

async fn ask_send(page: Page, Case(view): Case, Path(id): Path<RequestId>) -> Result<Response, PageError> {
    if !view.may.contains(&Action::Answer) {
        return Ok(Redirect::to(&format!("/respond/{id}")).into_response());
    }
    draw_send(&page, &view, false, vec![]).await
}

async fn draw_send(page: &Page, view: &RequestView, confirmed: bool, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let id = view.line.id;
    page.view("respond/send.html", "Who is the answer for?")
        .back(format!("/respond/{id}"))
        .with(context! {
            id => id.to_string(), version => view.version, reference_text => view.line.reference.clone(), confirmed,
            sensitive => view.line.sensitive, requester => view.line.requester.clone(), leo => view.line.leo.clone(),
        })
        .errors(errors)
        .draw()
        .await
}

/// Whom it goes to, then the answer exactly as it will arrive, then sending it.
async fn send(page: Page, Case(view): Case, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
    let bureau = page.state.bureau()?;
    let confirmed = posted.has("confirmed", "yes");
    let seen = Some(posted.version()?);
    if posted.has("step", "change") {
        return draw_send(&page, &view, confirmed, vec![]).await;
    }
    let again = |all: Vec<Refusal>| lines(all, |r| r.words.starts_with("Confirm").then(|| "confirmed".into()));
    if posted.has("step", "confirm") {
        let command = Command::Answer { recipient_confirmed: confirmed };
        return match bureau.act_and_work(who(&page), id, command, seen, once(&posted)?).await {
            Ok(_) => page.done("The answer was sent.", &format!("/respond/{id}")).await,
            Err(e) => draw_send(&page, &view, confirmed, again(refused(e)?)).await,
        };
    }
    match bureau.preview_to(who(&page), id, confirmed, seen).await {
        Ok(disclosure) => {
            page.view("respond/send-check.html", "Send this answer?")
                .back(format!("/respond/{id}/send"))
                .with(context! {
                    id => id.to_string(), version => view.version, reference_text => view.line.reference.clone(), recipient => view.line.requester.clone(), confirmed,
                    sensitive => view.line.sensitive, disclosure => show(&disclosure), image_prefix => format!("/respond/{id}/images/"),
                })
                .draw()
                .await
        }
        Err(e) => draw_send(&page, &view, confirmed, again(refused(e)?)).await,
    }
}

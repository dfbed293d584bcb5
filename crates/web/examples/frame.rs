//! The frame of the pages alone, with a few invented people and nothing behind it: for looking at the
//! frame, and for its browser tests. `cargo run -p web --example frame -- 127.0.0.1:8081`

use axum::{Router, response::Response, routing::get};
use minijinja::{Value, context};
use std::sync::Arc;
use tokio::net::TcpListener;
use uuid::Uuid;
use web::{
    AppState, Config,
    desk::{MemoryDesk, Person},
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    pages::{self, Routes},
    router_with,
};

fn person(n: u128, name: &str, roles: &[&str], role_words: &str, organisation: &str) -> Person {
    Person {
        id: Uuid::from_u128(n),
        name: name.into(),
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        role_words: role_words.into(),
        organisation: organisation.into(),
    }
}

fn people() -> Vec<Person> {
    vec![
        person(1, "Morgan Hale", &["requester"], "Requester", "Northshire Police"),
        person(2, "Insp. Rowan Pike", &["approver"], "Approver", "Northshire Police"),
        person(3, "Asha Verma", &["assessor", "examiner"], "Caseworker and examiner", "Passport counter fraud team"),
        person(4, "Lewis Okoro", &["team-leader"], "Team leader", "Passport counter fraud team"),
    ]
}

/// A page with a form, standing where the first page of intake will be.
async fn show(page: Page) -> Result<Response, PageError> {
    form(&page, Value::UNDEFINED, vec![]).await
}

async fn save(page: Page, posted: Posted) -> Result<Response, PageError> {
    posted.version()?;
    posted.once()?;
    if posted.text("reason").is_none() {
        let line = RefusalLine {
            clauses: vec!["S6".into(), "A4".into()],
            words: "Enter the reason for urgency".into(),
            field: Some("reason".into()),
        };
        return form(&page, posted.values(), vec![line]).await;
    }
    page.done("The note was saved.", "/intake").await
}

async fn form(page: &Page, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    page.view("frame-sample.html", "A sample of the frame")
        .back("/policy")
        .with(context! { values, version => 7 })
        .errors(errors)
        .draw()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::stderr).init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".into());
    let listener = TcpListener::bind(&address).await?;
    let host = listener.local_addr()?.to_string();
    let config = Config { hosts: vec![host.clone()], demo: true, secure: false, trusted_proxies: vec![] };
    let state = AppState::new(config, Arc::new(MemoryDesk::new(people())))?;
    let sample = Routes::pages(Router::new().route("/intake", get(show).post(save)));
    println!("http://{host}/");
    let stop = async {
        let _ = web::asked_to_stop().await;
    };
    Ok(web::serve(listener, router_with(state, pages::frame().and(sample), Router::new()), stop).await?)
}

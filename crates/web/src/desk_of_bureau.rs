//! The product's [`Desk`]: sessions and people out of the use cases.

use crate::desk::{Desk, Person, SessionBackend, SessionKey, Unavailable};
use async_trait::async_trait;
use bureau::{Bureau, register::organisation_of};
use casework::{ids::PersonId, people::Register};
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

/// A desk over the use cases.
pub(crate) struct BureauDesk {
    bureau: Arc<Bureau>,
}

impl BureauDesk {
    pub(crate) fn new(bureau: Arc<Bureau>) -> Self {
        Self { bureau }
    }

    fn as_page_person(&self, register: &Register, id: PersonId) -> Option<Person> {
        let today = casework::calendar::london_date(self.bureau.now());
        let actor = register.actor(id, today)?;
        let person = register.people.get(&id)?;
        Some(Person {
            id: id.0,
            name: person.name.clone(),
            roles: actor.roles.iter().map(ToString::to_string).collect(),
            role_words: words(&actor.roles.iter().map(|r| r.label()).collect::<Vec<_>>(), person.rank.map(|r| r.label())),
            organisation: organisation_of(register, person),
        })
    }
}

/// `Inspector, requester and approver`.
fn words(roles: &[&str], rank: Option<&str>) -> String {
    let lower: Vec<String> = roles
        .iter()
        .enumerate()
        .map(|(n, r)| if n == 0 && rank.is_none() || *r == "Senior Information Asset Owner" { (*r).to_owned() } else { r.to_lowercase() })
        .collect();
    let listed = match lower.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    };
    rank.map_or(listed.clone(), |rank| format!("{rank}, {listed}"))
}

fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    tracing::error!(%error, "the house did not answer");
    Unavailable
}

#[async_trait]
impl SessionBackend for BureauDesk {
    async fn session(&self, key: SessionKey) -> Result<Option<Vec<u8>>, Unavailable> {
        self.bureau.store().get_session(&key, self.bureau.now()).await.map_err(unavailable)
    }
    async fn put_session(&self, key: SessionKey, bytes: Vec<u8>, expires: Timestamp) -> Result<(), Unavailable> {
        self.bureau.store().put_session(&key, &bytes, expires).await.map_err(unavailable)
    }
    async fn replace_session(&self, key: SessionKey, bytes: Vec<u8>, expires: Timestamp) -> Result<bool, Unavailable> {
        self.bureau.store().replace_session(&key, &bytes, expires).await.map_err(unavailable)
    }
    async fn forget_session(&self, key: SessionKey) -> Result<(), Unavailable> {
        self.bureau.store().delete_session(&key).await.map_err(unavailable)
    }
}

#[async_trait]
impl Desk for BureauDesk {
    async fn person(&self, id: Uuid) -> Result<Option<Person>, Unavailable> {
        let register = self.bureau.register().await.map_err(unavailable)?;
        Ok(self.as_page_person(&register, PersonId(id)))
    }
    async fn people(&self) -> Result<Vec<Person>, Unavailable> {
        let register = self.bureau.register().await.map_err(unavailable)?;
        Ok(register.people.keys().filter_map(|id| self.as_page_person(&register, *id)).collect())
    }
    async fn ready(&self) -> Result<(), Unavailable> {
        self.bureau.store().ping().await.map_err(unavailable)
    }
}

//! The register: forces, agreements, people, training, teams. Every change is an event (R1–R3).

use crate::{Bureau, BureauError, Result};
use casework::{
    event::Who,
    ids::{LeoId, PersonId},
    people::{Affiliation, Person, Register, RegisterEvent, Role},
    record::{Header, NewRecord, RetentionClass, StreamId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{Commit, CommitError};

/// A change with who made it: the sealed payload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Who.
    pub by: Who,
    /// What.
    #[serde(flatten)]
    pub event: RegisterEvent,
}

/// One line of the register's history.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeLine {
    /// Position.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who, by name.
    pub by: String,
    /// What, in words.
    pub what: String,
}

impl Bureau {
    /// Records a registrar's change.
    ///
    /// # Errors
    /// Refused with every reason; [`BureauError::Overtaken`] when the register changed meanwhile.
    pub async fn change_register(&self, who: PersonId, event: RegisterEvent, seen: Option<u64>) -> Result<()> {
        let (register, actor) = self.actor(who).await?;
        register.decide(&actor, &event)?;
        self.record_change(Who::Person(who), event, seen.unwrap_or(register.version)).await
    }

    /// Sets the register up when it is empty: the one moment when nobody is on it yet.
    ///
    /// # Errors
    /// When it is not empty.
    pub async fn found_register(&self, events: Vec<RegisterEvent>) -> Result<()> {
        let version = self.register().await?.version;
        if version != 0 {
            return Err(BureauError::Failed("the register is not empty; changes go through a registrar".into()));
        }
        let records = events.into_iter().map(|e| self.change_record(Who::System, e)).collect::<Result<Vec<_>>>()?;
        self.commit_changes(version, records).await
    }

    pub(crate) async fn record_change(&self, by: Who, event: RegisterEvent, expected: u64) -> Result<()> {
        let record = self.change_record(by, event)?;
        self.commit_changes(expected, vec![record]).await
    }

    fn change_record(&self, by: Who, event: RegisterEvent) -> Result<NewRecord> {
        let header = Header {
            kind: event.kind().into(),
            at: self.now(),
            gallery: event.gallery(),
            leo: None,
            clauses: vec![event.clause().to_string()],
            outcome: None,
            state: None,
            policy: self.policy().version.clone(),
            class: RetentionClass::Record,
            trial: false,
        };
        Ok(NewRecord { header, payload: serde_json::to_vec(&Change { by, event })? })
    }

    async fn commit_changes(&self, expected: u64, records: Vec<NewRecord>) -> Result<()> {
        match self.store.commit(Commit::new(StreamId::Register, expected, records)).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(e)) => Err(e.into()),
            Err(_) => Err(BureauError::Overtaken),
        }
    }

    /// The register for people who may see it.
    ///
    /// # Errors
    /// Refused to others.
    pub async fn see_register(&self, who: PersonId) -> Result<Arc<Register>> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, casework::access::Action::SeeRegister)?;
        Ok(register)
    }

    /// Whether somebody may change the register, so that a page shows them how.
    ///
    /// # Errors
    /// Refused when they are not on it.
    pub async fn may_change_register(&self, who: PersonId) -> Result<bool> {
        let (_, actor) = self.actor(who).await?;
        Ok(self.house_access(&actor, casework::access::Action::ChangeRegister).is_ok())
    }

    /// The register's changes, newest first.
    ///
    /// # Errors
    /// Refused to people who may not see the register.
    pub async fn register_history(&self, who: PersonId) -> Result<Vec<ChangeLine>> {
        let register = self.see_register(who).await?;
        let mut out = vec![];
        for record in self.store.load(StreamId::Register).await? {
            let Some(payload) = record.payload else { continue };
            let change: Change = serde_json::from_slice(&payload)?;
            out.push(ChangeLine {
                seq: record.seq,
                at: record.header.at,
                by: name_of(&register, change.by),
                what: in_words(&register, &change.event),
            });
        }
        out.reverse();
        Ok(out)
    }

    /// Everybody who may sign in today.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn people(&self) -> Result<Vec<Person>> {
        let register = self.register().await?;
        let today = casework::calendar::london_date(self.now());
        Ok(register.people.values().filter(|p| register.actor(p.id, today).is_some()).cloned().collect())
    }

    pub(crate) fn house_access(&self, actor: &casework::people::Actor, action: casework::access::Action) -> Result<()> {
        use casework::{access::ruling, request::State};
        if actor.roles.iter().any(|r| ruling(*r, State::Draft, action).allowed || ruling(*r, State::Received, action).allowed) {
            Ok(())
        } else {
            let clause = ruling(Role::Auditor, State::Draft, action).clause;
            Err(vec![casework::refusal::refuse(&[clause], "Your role does not include this.")].into())
        }
    }
}

/// A name for a history line.
#[must_use]
pub fn name_of(register: &Register, who: Who) -> String {
    match who {
        Who::System => "Countersign".into(),
        Who::Person(p) => register.people.get(&p).map_or_else(|| "A person no longer on the register".into(), |p| p.name.clone()),
    }
}

/// Where a person belongs, in words.
#[must_use]
pub fn organisation_of(register: &Register, person: &Person) -> String {
    let leo = |l: LeoId| register.leos.get(&l).map_or("Unknown organisation", |l| l.name.as_str()).to_owned();
    match person.at {
        Affiliation::Leo(l) => leo(l),
        Affiliation::Team(t) => register.teams.get(&t).map_or("Unknown team", |t| t.name.as_str()).to_owned(),
        Affiliation::Gallery(g) => format!("Home Office, {g} gallery"),
        Affiliation::House => {
            if person.roles.contains(&Role::Auditor) {
                "Information Commissioner's Office".into()
            } else {
                "Home Office".into()
            }
        }
    }
}

pub(crate) fn in_words(register: &Register, event: &RegisterEvent) -> String {
    let person = |p: &PersonId| name_of(register, Who::Person(*p));
    match event {
        RegisterEvent::LeoEntered(l) => format!("Organisation entered: {}", l.name),
        RegisterEvent::DsaEntered(d) => format!(
            "Agreement entered: {} with the {} gallery, {} to {}",
            register.leos.get(&d.leo).map_or("unknown", |l| &l.name),
            d.gallery,
            d.from,
            d.until
        ),
        RegisterEvent::PersonEntered(p) => {
            format!("Person entered: {} ({})", p.name, p.roles.iter().map(|r| r.label()).collect::<Vec<_>>().join(", "))
        }
        RegisterEvent::TrainingEntered { person: p, training } => {
            format!("Training recorded: {}, {} to {}", person(p), training.from, training.until)
        }
        RegisterEvent::TeamEntered(t) => format!("Team entered: {}", t.name),
        RegisterEvent::DelegationEntered(d) => {
            format!("Delegation entered: {} for the {} gallery, {} to {}", person(&d.to), d.gallery, d.from, d.until)
        }
        RegisterEvent::CertificateIssued { gallery, .. } => format!("Accuracy certificate issued for the {gallery} gallery"),
        RegisterEvent::ThresholdProposed(p) => format!(
            "Another threshold proposed for the {} gallery: {} instead of {}. {}",
            p.certificate.gallery, p.certificate.threshold, p.old_threshold, p.reasons
        ),
        RegisterEvent::ThresholdConfirmed { gallery, .. } => {
            format!("Proposed threshold of the {gallery} gallery confirmed by a second person; its certificate issued")
        }
        RegisterEvent::ThresholdDeclined { gallery, reasons, .. } => {
            format!("Proposed threshold of the {gallery} gallery declined. {reasons}")
        }
        RegisterEvent::CertificateRevoked { gallery, on, reasons, .. } => {
            format!("Accuracy certificate of the {gallery} gallery revoked on {on}. {reasons}")
        }
        RegisterEvent::PersonLeft { person: p, on } => format!("Person left: {}, last day {on}", person(p)),
    }
}

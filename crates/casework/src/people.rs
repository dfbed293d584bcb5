//! Forces, agreements, people, training, teams (R1–R3) and gallery settings (P1): the register, a stream of its own in which
//! every change is recorded and dated and nothing is overwritten.

use crate::{
    certificate::{Proposal, Revoked, Setting},
    clause::Clause,
    ids::{DsaId, LeoId, PersonId, TeamId},
    record::GalleryId,
    refusal::{Refusal, refuse},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a person may be asked to do. A person may hold several; what each may do is in [`crate::access`].
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Role {
    /// Police: fills in and follows a request.
    Requester,
    /// Police: approves a colleague's request (S9).
    Approver,
    /// Home Office: assesses, runs the search, prepares the answer.
    Assessor,
    /// Home Office: compares faces (M2).
    Examiner,
    /// Home Office: leads a team, allocates, reviews rejections (W3).
    TeamLeader,
    /// Senior Information Asset Owner of a gallery, or a delegate (R3).
    Siao,
    /// Outside assessor: reads the record (D5).
    Auditor,
    /// Keeps this register.
    Registrar,
}

impl Role {
    /// The role in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Requester => "Requester",
            Self::Approver => "Approver",
            Self::Assessor => "Caseworker",
            Self::Examiner => "Examiner",
            Self::TeamLeader => "Team leader",
            Self::Siao => "Senior Information Asset Owner",
            Self::Auditor => "Auditor",
            Self::Registrar => "Registrar",
        }
    }
    /// Whether the role belongs to the police side.
    #[must_use]
    pub fn is_police(self) -> bool {
        matches!(self, Self::Requester | Self::Approver)
    }
}

/// The specialist posts of the guidance (R1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Post {
    /// HMPO.
    PassportCounterFraudOfficer,
    /// UKVI.
    ImmigrationFingerprintBureauCaseworker,
}

/// Police ranks in order; National Crime Agency grades map to their equivalent.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Rank {
    /// Constable or equivalent.
    Constable,
    /// Sergeant or equivalent.
    Sergeant,
    /// Inspector or equivalent: normally approves (S9).
    Inspector,
    /// Chief inspector or equivalent.
    ChiefInspector,
    /// Superintendent or above.
    Superintendent,
}

impl Rank {
    /// The rank in words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Constable => "Constable",
            Self::Sergeant => "Sergeant",
            Self::Inspector => "Inspector",
            Self::ChiefInspector => "Chief Inspector",
            Self::Superintendent => "Superintendent",
        }
    }
}

/// A UK law enforcement organisation (R2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leo {
    /// Its id.
    pub id: LeoId,
    /// Its name.
    pub name: String,
    /// Whether it is a competent authority under the DPA 2018 (R2).
    pub competent_authority: bool,
}

/// A Data Sharing Agreement between a force and a gallery (R2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dsa {
    /// Its id.
    pub id: DsaId,
    /// The force.
    pub leo: LeoId,
    /// The gallery it covers.
    pub gallery: GalleryId,
    /// First day in force.
    pub from: Date,
    /// Last day in force.
    pub until: Date,
    /// Whether it permits the signed-in form and API (S5, ours).
    pub online: bool,
}

/// A training record on facial image searching and this policy (R1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// First valid day.
    pub from: Date,
    /// Last valid day.
    pub until: Date,
}

/// Where a person belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Affiliation {
    /// A force.
    Leo(LeoId),
    /// A Home Office team.
    Team(TeamId),
    /// The Home Office, outside a team, for one gallery (SIAO).
    Gallery(GalleryId),
    /// The house as a whole (registrar) or outside it (auditor).
    House,
}

/// A person who can act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// Their name.
    pub name: String,
    /// Where they belong.
    pub at: Affiliation,
    /// What they may be asked to do.
    pub roles: BTreeSet<Role>,
    /// Police rank.
    pub rank: Option<Rank>,
    /// Whether a named delegation lets them approve below the usual rank (S9).
    pub may_approve_by_delegation: bool,
    /// Home Office post (R1).
    pub post: Option<Post>,
    /// Training records, latest last (R1).
    pub training: Vec<Training>,
    /// Last day of service, once known.
    pub left: Option<Date>,
}

/// A Home Office team and its leader (R3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Its id.
    pub id: TeamId,
    /// Its name.
    pub name: String,
    /// The gallery it works for.
    pub gallery: GalleryId,
    /// Its leader.
    pub leader: Option<PersonId>,
}

/// A SIAO's delegation to a manager (R3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The gallery.
    pub gallery: GalleryId,
    /// The manager.
    pub to: PersonId,
    /// First day.
    pub from: Date,
    /// Last day.
    pub until: Date,
}

/// A change to the register.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[strum(serialize_all = "kebab-case")]
pub enum RegisterEvent {
    /// A force was added or its entry replaced.
    LeoEntered(Leo),
    /// An agreement was added or its entry replaced.
    DsaEntered(Dsa),
    /// A person was added or their entry replaced.
    PersonEntered(Person),
    /// A person's training was recorded.
    TrainingEntered {
        /// Who.
        person: PersonId,
        /// What.
        training: Training,
    },
    /// A team was added or its entry replaced.
    TeamEntered(Team),
    /// A SIAO delegated.
    DelegationEntered(Delegation),
    /// A person left.
    PersonLeft {
        /// Who.
        person: PersonId,
        /// Last day of service.
        on: Date,
    },
    /// An accuracy certificate was issued (P1). The first of a gallery sets its threshold.
    CertificateIssued {
        /// The gallery.
        gallery: GalleryId,
        /// The signed note.
        note: String,
    },
    /// A change of a gallery's threshold was proposed.
    ThresholdProposed(Box<Proposal>),
    /// A second person confirmed it.
    ThresholdConfirmed {
        /// The gallery.
        gallery: GalleryId,
        /// The certificate that it issued: the signed note.
        note: String,
    },
    /// It was taken off the table.
    ThresholdDeclined {
        /// The gallery.
        gallery: GalleryId,
        /// Why.
        reasons: String,
    },
    /// A certificate was revoked before its end: nothing is searched within it, or an older one of its model, any more.
    CertificateRevoked {
        /// The gallery.
        gallery: GalleryId,
        /// The certificate: the signed note.
        note: String,
        /// The London date.
        on: Date,
        /// Why; it is told to whoever's search is refused, so it names nobody.
        reasons: String,
    },
}

impl RegisterEvent {
    /// The header kind, e.g. `dsa-entered`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }
    /// The clause it rests on.
    #[must_use]
    pub fn clause(&self) -> Clause {
        if self.gallery().is_some() { Clause::P1 } else { Clause::R3 }
    }
    /// The gallery whose setting it changes.
    #[must_use]
    pub fn gallery(&self) -> Option<GalleryId> {
        match self {
            Self::CertificateIssued { gallery, .. }
            | Self::ThresholdConfirmed { gallery, .. }
            | Self::ThresholdDeclined { gallery, .. }
            | Self::CertificateRevoked { gallery, .. } => Some(*gallery),
            Self::ThresholdProposed(p) => Some(p.certificate.gallery),
            _ => None,
        }
    }
}

/// The register as it stands: the fold of its events.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// Version: the number of events folded.
    pub version: u64,
    /// Forces.
    pub leos: BTreeMap<LeoId, Leo>,
    /// Agreements.
    pub dsas: BTreeMap<DsaId, Dsa>,
    /// People.
    pub people: BTreeMap<PersonId, Person>,
    /// Teams.
    pub teams: BTreeMap<TeamId, Team>,
    /// Delegations, in the order they were entered.
    pub delegations: Vec<Delegation>,
    /// Each gallery's threshold and certificates (P1).
    pub settings: BTreeMap<GalleryId, Setting>,
}

/// Who acts, as the register has them on a date. Only [`Register::actor`] makes one.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The person.
    pub person: PersonId,
    /// Their roles that day (a delegate holds `siao`).
    pub roles: BTreeSet<Role>,
    /// Their force.
    pub leo: Option<LeoId>,
    /// Their team.
    pub team: Option<TeamId>,
    /// Their gallery.
    pub gallery: Option<GalleryId>,
    /// Police rank.
    pub rank: Option<Rank>,
    /// Whether they may approve below the usual rank.
    pub may_approve_by_delegation: bool,
    /// Home Office post.
    pub post: Option<Post>,
    /// Whether a training record is in date.
    pub trained: bool,
}

impl Actor {
    /// Whether the actor holds a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

impl Register {
    /// Applies one event.
    pub fn apply(&mut self, event: RegisterEvent) {
        self.version += 1;
        match event {
            RegisterEvent::LeoEntered(l) => drop(self.leos.insert(l.id, l)),
            RegisterEvent::DsaEntered(d) => drop(self.dsas.insert(d.id, d)),
            RegisterEvent::PersonEntered(p) => drop(self.people.insert(p.id, p)),
            RegisterEvent::TeamEntered(t) => drop(self.teams.insert(t.id, t)),
            RegisterEvent::DelegationEntered(d) => self.delegations.push(d),
            RegisterEvent::TrainingEntered { person, training } => {
                if let Some(p) = self.people.get_mut(&person) {
                    p.training.push(training);
                }
            }
            RegisterEvent::PersonLeft { person, on } => {
                if let Some(p) = self.people.get_mut(&person) {
                    p.left = Some(on);
                }
            }
            RegisterEvent::CertificateIssued { gallery, note } => self.settings.entry(gallery).or_default().hold(note, false),
            RegisterEvent::ThresholdProposed(p) => {
                let gallery = p.certificate.gallery;
                self.settings.entry(gallery).or_default().proposal = Some((self.version, *p));
            }
            RegisterEvent::ThresholdConfirmed { gallery, note, .. } => {
                let setting = self.settings.entry(gallery).or_default();
                setting.proposal = None;
                setting.hold(note, true);
            }
            RegisterEvent::ThresholdDeclined { gallery, .. } => self.settings.entry(gallery).or_default().proposal = None,
            RegisterEvent::CertificateRevoked { gallery, note, on, reasons } => {
                let revoked = Revoked { on, reasons, number: self.version };
                self.settings.entry(gallery).or_default().revoke(&note, &revoked);
            }
        }
    }

    /// The person as they stand on a London date, or `None` when unknown or gone.
    #[must_use]
    pub fn actor(&self, person: PersonId, on: Date) -> Option<Actor> {
        let p = self.people.get(&person)?;
        if p.left.is_some_and(|left| left < on) {
            return None;
        }
        let (leo, team, gallery) = match p.at {
            Affiliation::Leo(l) => (Some(l), None, None),
            Affiliation::Team(t) => (None, Some(t), self.teams.get(&t).map(|t| t.gallery)),
            Affiliation::Gallery(g) => (None, None, Some(g)),
            Affiliation::House => (None, None, None),
        };
        let mut roles = p.roles.clone();
        if self.delegations.iter().any(|d| d.to == person && d.from <= on && on <= d.until && gallery == Some(d.gallery)) {
            roles.insert(Role::Siao);
        }
        Some(Actor {
            person,
            roles,
            leo,
            team,
            gallery,
            rank: p.rank,
            may_approve_by_delegation: p.may_approve_by_delegation,
            post: p.post,
            trained: p.training.iter().any(|t| t.from <= on && on <= t.until),
        })
    }

    /// The agreement in force between a force and a gallery on a date (R2).
    #[must_use]
    pub fn dsa(&self, leo: LeoId, gallery: GalleryId, on: Date) -> Option<&Dsa> {
        self.dsas.values().find(|d| d.leo == leo && d.gallery == gallery && d.from <= on && on <= d.until)
    }

    /// Why a force may not ask a gallery today: nothing, or R2's reasons.
    #[must_use]
    pub fn force_refusals(&self, leo: Option<LeoId>, gallery: GalleryId, on: Date) -> Vec<Refusal> {
        let Some(entry) = leo.and_then(|l| self.leos.get(&l)) else {
            return vec![refuse(&[Clause::R2], "Your organisation is not on the register of law enforcement organisations.")];
        };
        let mut out = vec![];
        if !entry.competent_authority {
            out.push(refuse(
                &[Clause::R2],
                "Your organisation is not recorded as a competent authority under the Data Protection Act 2018.",
            ));
        }
        match self.dsa(entry.id, gallery, on) {
            None => out.push(refuse(
                &[Clause::R2],
                format!("No Data Sharing Agreement between your organisation and the {gallery} gallery is in force today."),
            )),
            Some(d) if !d.online => out.push(refuse(
                &[Clause::R2, Clause::S5],
                "Your Data Sharing Agreement does not permit requests by this service; use secure email.",
            )),
            Some(_) => {}
        }
        out
    }

    /// Whether a registrar's change can be recorded, all reasons at once.
    ///
    /// # Errors
    /// One refusal for each thing wrong: not a registrar, an empty name, dates the wrong way round, an unknown force, team or person.
    pub fn decide(&self, actor: &Actor, change: &RegisterEvent) -> Result<(), Vec<Refusal>> {
        let mut out = vec![];
        let mut no = |clause, words: &str| out.push(refuse(&[clause], words));
        if !actor.has(Role::Registrar) {
            no(Clause::R3, "Only a registrar changes the register.");
        }
        match change {
            RegisterEvent::LeoEntered(l) => {
                if l.name.trim().is_empty() {
                    no(Clause::R2, "Give the organisation's name.");
                }
            }
            RegisterEvent::DsaEntered(d) => {
                if !self.leos.contains_key(&d.leo) {
                    no(Clause::R2, "That organisation is not on the register.");
                }
                if d.until < d.from {
                    no(Clause::R2, "The agreement ends before it begins.");
                }
            }
            RegisterEvent::PersonEntered(p) => {
                if p.name.trim().is_empty() {
                    no(Clause::R3, "Give the person's name.");
                }
                if p.roles.is_empty() {
                    no(Clause::R3, "Choose at least one role.");
                }
                let police = match p.at {
                    Affiliation::Leo(l) => {
                        if !self.leos.contains_key(&l) {
                            no(Clause::R2, "That organisation is not on the register.");
                        }
                        true
                    }
                    Affiliation::Team(t) => {
                        if !self.teams.contains_key(&t) {
                            no(Clause::R3, "That team is not on the register.");
                        }
                        false
                    }
                    Affiliation::Gallery(_) | Affiliation::House => false,
                };
                if p.roles.iter().any(|r| r.is_police() != police) {
                    no(Clause::R2, "Police roles belong to people of a force, and Home Office roles to people of the Home Office.");
                }
                if p.roles.contains(&Role::Approver) && p.rank.is_none() {
                    no(Clause::S9, "Give the approver's rank.");
                }
                if (p.roles.contains(&Role::Assessor) || p.roles.contains(&Role::Examiner)) && p.post.is_none() {
                    no(Clause::R1, "Give the post that the person holds.");
                }
            }
            RegisterEvent::TrainingEntered { person, training } => {
                if !self.people.contains_key(person) {
                    no(Clause::R1, "That person is not on the register.");
                }
                if training.until < training.from {
                    no(Clause::R1, "The training record ends before it begins.");
                }
            }
            RegisterEvent::TeamEntered(t) => {
                if t.name.trim().is_empty() {
                    no(Clause::R3, "Give the team's name.");
                }
            }
            RegisterEvent::DelegationEntered(d) => {
                if !self.people.contains_key(&d.to) {
                    no(Clause::R3, "That person is not on the register.");
                }
                if d.until < d.from {
                    no(Clause::R3, "The delegation ends before it begins.");
                }
            }
            RegisterEvent::PersonLeft { person, .. } => {
                if !self.people.contains_key(person) {
                    no(Clause::R3, "That person is not on the register.");
                }
            }
            RegisterEvent::CertificateIssued { .. }
            | RegisterEvent::ThresholdProposed(_)
            | RegisterEvent::ThresholdConfirmed { .. }
            | RegisterEvent::ThresholdDeclined { .. }
            | RegisterEvent::CertificateRevoked { .. } => {
                no(Clause::P1, "A threshold is changed by a measurement and two people of its gallery, not by an entry.");
            }
        }
        if out.is_empty() { Ok(()) } else { Err(out) }
    }
}

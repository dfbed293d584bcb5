//! Entering things on the register: one description of fields for each kind of entry, one template.

use super::{closed, me, plain, post_words};
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
    pages::Routes,
    render::show,
};
use axum::{Router, extract::Path, response::Response, routing::get};
use bureau::{Bureau, BureauError};
use casework::{
    ids::{DsaId, LeoId, PersonId, TeamId},
    people::{Affiliation, Delegation, Dsa, Leo, Person, Post, Rank, Register, RegisterEvent, Role, Team, Training},
    record::GalleryId,
};
use jiff::civil::Date;
use minijinja::{Value, context};
use serde::Serialize;
use std::collections::BTreeMap;
use strum::IntoEnumIterator;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    Routes::pages(
        Router::new()
            .route("/register/enter/{kind}", get(ask_new).post(enter_new))
            .route("/register/enter/{kind}/{id}", get(ask).post(enter)),
    )
}

/// What is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::EnumIter, strum::Display)]
#[strum(serialize_all = "kebab-case")]
enum Kind {
    Force,
    Agreement,
    Person,
    Training,
    Left,
    Team,
    Delegation,
}

impl Kind {
    fn title(self, new: bool) -> &'static str {
        match (self, new) {
            (Self::Force, true) => "Enter a force",
            (Self::Force, false) => "Change a force’s entry",
            (Self::Agreement, true) => "Enter an agreement",
            (Self::Agreement, false) => "Change an agreement’s entry",
            (Self::Person, true) => "Enter a person",
            (Self::Person, false) => "Change a person’s entry",
            (Self::Training, _) => "Record training",
            (Self::Left, _) => "Record that a person leaves",
            (Self::Team, true) => "Enter a team",
            (Self::Team, false) => "Change a team’s entry",
            (Self::Delegation, _) => "Record a delegation",
        }
    }

    fn back(self, id: Option<Uuid>) -> String {
        match (self, id) {
            (Self::Force | Self::Agreement, _) => "/register".into(),
            (Self::Team | Self::Delegation, _) => "/register/teams".into(),
            (Self::Person | Self::Training | Self::Left, Some(id)) => format!("/register/people/{id}"),
            (Self::Person | Self::Training | Self::Left, None) => "/register/people".into(),
        }
    }
}

/// One question of a form.
#[derive(Serialize)]
struct Question {
    kind: &'static str,
    name: &'static str,
    label: &'static str,
    hint: Option<&'static str>,
    clauses: Vec<&'static str>,
    options: Vec<(String, String)>,
}

fn ask_for(kind: &'static str, name: &'static str, label: &'static str) -> Question {
    Question { kind, name, label, hint: None, clauses: vec![], options: vec![] }
}

impl Question {
    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
    fn cites(mut self, clause: &'static str) -> Self {
        self.clauses.push(clause);
        self
    }
    fn of(mut self, options: impl IntoIterator<Item = (String, String)>) -> Self {
        self.options.extend(options);
        self
    }
}

fn yes_no() -> [(String, String); 2] {
    [("yes".into(), "Yes".into()), ("no".into(), "No".into())]
}

fn galleries() -> Vec<(String, String)> {
    GalleryId::iter().map(|g| (g.to_string(), capital(&g.to_string()))).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn none(words: &str) -> [(String, String); 1] {
    [(String::new(), words.to_owned())]
}

fn by_name(mut options: Vec<(String, String)>) -> Vec<(String, String)> {
    options.sort_by(|a, b| a.1.cmp(&b.1));
    options
}

fn people(register: &Register, keep: impl Fn(&Person) -> bool) -> Vec<(String, String)> {
    by_name(register.people.values().filter(|p| keep(p)).map(|p| (p.id.to_string(), p.name.clone())).collect())
}

const POSTS: [Post; 2] = [Post::PassportCounterFraudOfficer, Post::ImmigrationFingerprintBureauCaseworker];

fn questions(kind: Kind, register: &Register) -> Vec<Question> {
    match kind {
        Kind::Force => vec![
            ask_for("text", "name", "Name of the organisation").cites("R2"),
            ask_for("radios", "competent", "Is it a competent authority under the Data Protection Act 2018?").cites("R2").of(yes_no()),
        ],
        Kind::Agreement => vec![
            ask_for("select", "leo", "Organisation")
                .cites("R2")
                .of(by_name(register.leos.values().map(|l| (l.id.to_string(), l.name.clone())).collect())),
            ask_for("radios", "gallery", "Gallery").of(galleries()),
            ask_for("date", "from", "First day in force"),
            ask_for("date", "until", "Last day in force"),
            ask_for("radios", "online", "Does it permit requests by this service?")
                .cites("S5")
                .hint("Otherwise requests come by secure official email.")
                .of(yes_no()),
        ],
        Kind::Person => {
            let forces = register.leos.values().map(|l| (format!("leo:{}", l.id), l.name.clone())).collect();
            let teams = register.teams.values().map(|t| (format!("team:{}", t.id), t.name.clone())).collect();
            let offices = GalleryId::iter().map(|g| (format!("gallery:{g}"), format!("Home Office, {g} gallery (outside a team)")));
            vec![
                ask_for("text", "name", "Full name"),
                ask_for("select", "at", "Where they belong")
                    .of(none("Choose"))
                    .of(by_name(forces))
                    .of(by_name(teams))
                    .of(offices)
                    .of([("house".to_owned(), "The service as a whole, or outside it".to_owned())]),
                ask_for("checkboxes", "roles", "Roles").cites("R3").of(Role::iter().map(|r| (r.to_string(), r.label().to_owned()))),
                ask_for("select", "rank", "Police rank or equivalent")
                    .cites("S9")
                    .hint("An approver is normally an inspector or above.")
                    .of(none("None"))
                    .of(Rank::iter().map(|r| (r.to_string(), r.label().to_owned()))),
                ask_for("checkboxes", "delegated", "Approving below that rank")
                    .cites("S9")
                    .of([("yes".to_owned(), "A named delegation lets them approve".to_owned())]),
                ask_for("select", "post", "Home Office post")
                    .cites("R1")
                    .of(none("None"))
                    .of(POSTS.map(|p| (p.to_string(), post_words(p).to_owned()))),
            ]
        }
        Kind::Training => vec![
            ask_for("date", "from", "First valid day").cites("R1").hint("Training on facial image searching and on this policy."),
            ask_for("date", "until", "Last valid day"),
        ],
        Kind::Left => vec![ask_for("date", "on", "Last day of service").hint("They can sign in until the end of that day.")],
        Kind::Team => vec![
            ask_for("text", "name", "Name of the team"),
            ask_for("radios", "gallery", "Gallery").of(galleries()),
            ask_for("select", "leader", "Leader")
                .cites("W3")
                .hint("Reviews rejections by this team.")
                .of(none("None yet"))
                .of(people(register, |p| p.roles.contains(&Role::TeamLeader))),
        ],
        Kind::Delegation => vec![
            ask_for("radios", "gallery", "Gallery whose Senior Information Asset Owner delegates").cites("R3").of(galleries()),
            ask_for("select", "to", "To which manager").of(none("Choose")).of(people(register, |p| !p.roles.iter().any(|r| r.is_police()))),
            ask_for("date", "from", "First day"),
            ask_for("date", "until", "Last day"),
        ],
    }
}

type Values = BTreeMap<String, Vec<String>>;

/// What the form is filled in with when an entry is changed.
fn held(kind: Kind, id: Uuid, register: &Register) -> Option<Values> {
    let mut out = Values::new();
    let mut put = |name: &str, value: String| out.entry(name.to_owned()).or_default().push(value);
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    match kind {
        Kind::Force => {
            let l = register.leos.get(&LeoId(id))?;
            put("name", l.name.clone());
            put("competent", yes(l.competent_authority));
        }
        Kind::Agreement => {
            let d = register.dsas.get(&DsaId(id))?;
            put("leo", d.leo.to_string());
            put("gallery", d.gallery.to_string());
            put("online", yes(d.online));
            for (name, date) in [("from", d.from), ("until", d.until)] {
                for (part, value) in
                    [("day", date.day().to_string()), ("month", date.month().to_string()), ("year", date.year().to_string())]
                {
                    put(&format!("{name}-{part}"), value);
                }
            }
        }
        Kind::Person => {
            let p = register.people.get(&PersonId(id))?;
            put("name", p.name.clone());
            put(
                "at",
                match p.at {
                    Affiliation::Leo(l) => format!("leo:{l}"),
                    Affiliation::Team(t) => format!("team:{t}"),
                    Affiliation::Gallery(g) => format!("gallery:{g}"),
                    Affiliation::House => "house".into(),
                },
            );
            p.roles.iter().for_each(|r| put("roles", r.to_string()));
            put("rank", p.rank.map(|r| r.to_string()).unwrap_or_default());
            if p.may_approve_by_delegation {
                put("delegated", "yes".into());
            }
            put("post", p.post.map(|r| r.to_string()).unwrap_or_default());
        }
        Kind::Training | Kind::Left => {
            register.people.get(&PersonId(id))?;
        }
        Kind::Team => {
            let t = register.teams.get(&TeamId(id))?;
            put("name", t.name.clone());
            put("gallery", t.gallery.to_string());
            put("leader", t.leader.map(|p| p.to_string()).unwrap_or_default());
        }
        Kind::Delegation => return None,
    }
    Some(out)
}

/// Reads a form, gathering everything that is wrong with it.
struct Reader<'a> {
    posted: &'a Posted,
    wrong: Vec<RefusalLine>,
}

impl Reader<'_> {
    fn miss<T>(&mut self, field: &str, words: &str) -> Option<T> {
        self.wrong.push(RefusalLine::on(field, words));
        None
    }

    fn text(&mut self, field: &str, words: &str) -> Option<String> {
        match self.posted.text(field) {
            Some(text) => Some(text.to_owned()),
            None => self.miss(field, words),
        }
    }

    fn parse<T: std::str::FromStr>(&mut self, field: &str, words: &str) -> Option<T> {
        match self.posted.text(field).and_then(|v| v.parse().ok()) {
            Some(value) => Some(value),
            None => self.miss(field, words),
        }
    }

    fn optional<T: std::str::FromStr>(&self, field: &str) -> Option<T> {
        self.posted.text(field).and_then(|v| v.parse().ok())
    }

    fn yes(&mut self, field: &str, words: &str) -> Option<bool> {
        match self.posted.text(field) {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => self.miss(field, words),
        }
    }

    fn date(&mut self, field: &str, what: &str) -> Option<Date> {
        let part = |name: &str| self.posted.text(&format!("{field}-{name}")).and_then(|v| v.parse::<i16>().ok());
        let date = match (part("day"), part("month"), part("year")) {
            (Some(d), Some(m), Some(y)) if (1_900..=2_200).contains(&y) => {
                i8::try_from(m).ok().zip(i8::try_from(d).ok()).and_then(|(m, d)| Date::new(y, m, d).ok())
            }
            _ => None,
        };
        match date {
            Some(date) => Some(date),
            None => self.miss(&format!("{field}-day"), &format!("{what} must be a real date, such as 27 3 2027")),
        }
    }
}

fn affiliation(text: &str) -> Option<Affiliation> {
    match text.split_once(':') {
        Some(("leo", id)) => id.parse().ok().map(Affiliation::Leo),
        Some(("team", id)) => id.parse().ok().map(Affiliation::Team),
        Some(("gallery", id)) => id.parse().ok().map(Affiliation::Gallery),
        _ => (text == "house").then_some(Affiliation::House),
    }
}

/// The change that a form asks for, or everything that is wrong with it. `id` is new or the entry's own.
fn change(kind: Kind, id: Uuid, register: &Register, posted: &Posted) -> Result<RegisterEvent, Vec<RefusalLine>> {
    let mut r = Reader { posted, wrong: vec![] };
    let event = match kind {
        Kind::Force => {
            let (name, competent) =
                (r.text("name", "Enter the organisation’s name"), r.yes("competent", "Say whether it is a competent authority"));
            name.zip(competent)
                .map(|(name, competent_authority)| RegisterEvent::LeoEntered(Leo { id: LeoId(id), name, competent_authority }))
        }
        Kind::Agreement => {
            let leo = r.parse("leo", "Choose the organisation");
            let gallery = r.parse("gallery", "Choose the gallery");
            let (from, until) = (r.date("from", "The first day"), r.date("until", "The last day"));
            let online = r.yes("online", "Say whether it permits requests by this service");
            (|| {
                Some(RegisterEvent::DsaEntered(Dsa {
                    id: DsaId(id),
                    leo: leo?,
                    gallery: gallery?,
                    from: from?,
                    until: until?,
                    online: online?,
                }))
            })()
        }
        Kind::Person => {
            let name = r.text("name", "Enter the person’s name");
            let at = match posted.text("at").and_then(affiliation) {
                Some(at) => Some(at),
                None => r.miss("at", "Choose where they belong"),
            };
            let before = register.people.get(&PersonId(id));
            let roles = posted.all("roles").filter_map(|v| v.parse().ok()).collect();
            name.zip(at).map(|(name, at)| {
                RegisterEvent::PersonEntered(Person {
                    id: PersonId(id),
                    name,
                    at,
                    roles,
                    rank: r.optional("rank"),
                    may_approve_by_delegation: posted.has("delegated", "yes"),
                    post: r.optional("post"),
                    training: before.map(|p| p.training.clone()).unwrap_or_default(),
                    left: before.and_then(|p| p.left),
                })
            })
        }
        Kind::Training => {
            let (from, until) = (r.date("from", "The first valid day"), r.date("until", "The last valid day"));
            from.zip(until).map(|(from, until)| RegisterEvent::TrainingEntered { person: PersonId(id), training: Training { from, until } })
        }
        Kind::Left => r.date("on", "The last day").map(|on| RegisterEvent::PersonLeft { person: PersonId(id), on }),
        Kind::Team => {
            let (name, gallery) = (r.text("name", "Enter the team’s name"), r.parse("gallery", "Choose the gallery"));
            let leader = r.optional("leader");
            name.zip(gallery).map(|(name, gallery)| RegisterEvent::TeamEntered(Team { id: TeamId(id), name, gallery, leader }))
        }
        Kind::Delegation => {
            let (gallery, to) = (r.parse("gallery", "Choose the gallery"), r.parse("to", "Choose the manager"));
            let (from, until) = (r.date("from", "The first day"), r.date("until", "The last day"));
            (|| Some(RegisterEvent::DelegationEntered(Delegation { gallery: gallery?, to: to?, from: from?, until: until? })))()
        }
    };
    match event {
        Some(event) if r.wrong.is_empty() => Ok(event),
        _ => Err(r.wrong),
    }
}

/// Which field a refusal of the register's own rules is about.
fn field_of(words: &str, kind: Kind) -> &'static str {
    const ABOUT: [(&str, &str); 6] =
        [("ends before", "until-day"), ("rank", "rank"), ("post", "post"), ("role", "roles"), ("Police roles", "roles"), ("team", "at")];
    let first = match kind {
        Kind::Force | Kind::Person | Kind::Team => "name",
        Kind::Agreement => "leo",
        Kind::Training => "from-day",
        Kind::Left => "on-day",
        Kind::Delegation => "to",
    };
    ABOUT.iter().find(|(part, _)| words.contains(part)).map_or(first, |(_, field)| field)
}

async fn ask_new(page: Page, Path(kind): Path<String>) -> Result<Response, PageError> {
    let kind = kind.parse::<Kind>().ok().filter(|k| !matches!(k, Kind::Training | Kind::Left)).ok_or(PageError::NotFound)?;
    draw(&page, kind, None, None, vec![]).await
}

async fn ask(page: Page, Path((kind, id)): Path<(String, Uuid)>) -> Result<Response, PageError> {
    let kind = kind.parse::<Kind>().map_err(|_| PageError::NotFound)?;
    draw(&page, kind, Some(id), None, vec![]).await
}

async fn draw(page: &Page, kind: Kind, id: Option<Uuid>, typed: Option<Value>, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
    let register = registrar(page).await?.1;
    let values = match id {
        None => typed.unwrap_or_default(),
        Some(id) => {
            let held = held(kind, id, &register).ok_or(PageError::NotFound)?;
            typed.unwrap_or_else(|| {
                Value::from_pairs(
                    held.into_iter().map(|(n, v)| (n, if let [one] = v.as_slice() { Value::from(one.as_str()) } else { show(&v) })),
                )
            })
        }
    };
    let who = id
        .filter(|_| matches!(kind, Kind::Training | Kind::Left))
        .and_then(|id| register.people.get(&PersonId(id)))
        .map(|p| p.name.clone());
    page.view("register/form.html", kind.title(id.is_none()))
        .back(kind.back(id))
        .with(
            context! { questions => show(&questions(kind, &register)), values, version => register.version, who, changing => id.is_some() },
        )
        .errors(errors)
        .draw()
        .await
}

/// The register, for somebody who may change it.
async fn registrar(page: &Page) -> Result<(std::sync::Arc<Bureau>, std::sync::Arc<Register>), PageError> {
    let bureau = page.state.bureau()?.clone();
    let register = bureau.see_register(me(page)).await.map_err(closed)?;
    if !bureau.may_change_register(me(page)).await? {
        return Err(PageError::Forbidden(vec![]));
    }
    Ok((bureau, register))
}

async fn enter_new(page: Page, Path(kind): Path<String>, posted: Posted) -> Result<Response, PageError> {
    let kind = kind.parse::<Kind>().ok().filter(|k| !matches!(k, Kind::Training | Kind::Left)).ok_or(PageError::NotFound)?;
    carry_out(page, kind, None, &posted).await
}

async fn enter(page: Page, Path((kind, id)): Path<(String, Uuid)>, posted: Posted) -> Result<Response, PageError> {
    let kind = kind.parse::<Kind>().map_err(|_| PageError::NotFound)?;
    carry_out(page, kind, Some(id), &posted).await
}

async fn carry_out(page: Page, kind: Kind, id: Option<Uuid>, posted: &Posted) -> Result<Response, PageError> {
    let (bureau, register) = registrar(&page).await?;
    if let Some(id) = id {
        held(kind, id, &register).ok_or(PageError::NotFound)?;
    }
    let own: Uuid = match id {
        Some(id) => id,
        None => bureau.id::<PersonId>()?.0,
    };
    let event = match change(kind, own, &register, posted) {
        Ok(event) => event,
        Err(wrong) => return draw(&page, kind, id, Some(posted.values()), wrong).await,
    };
    match bureau.change_register(me(&page), event, Some(posted.version()?)).await {
        Ok(()) => page.done("The register was changed. The history shows what it said before.", &kind.back(id)).await,
        Err(BureauError::Refused(all)) => {
            let wrong = all
                .into_iter()
                .flat_map(|r| {
                    let f = field_of(&r.words, kind);
                    plain(vec![r], f)
                })
                .collect();
            draw(&page, kind, id, Some(posted.values()), wrong).await
        }
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(pairs: &[(&str, &str)]) -> Posted {
        Posted { fields: pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(), files: vec![] }
    }

    #[test]
    fn everything_that_is_wrong_with_a_form_is_said_at_once() {
        let register = Register::default();
        for kind in Kind::iter().filter(|k| *k != Kind::Person) {
            let wrong = change(kind, Uuid::nil(), &register, &posted(&[])).unwrap_err();
            let asked = questions(kind, &register).iter().filter(|q| q.name != "leader").count();
            assert_eq!(wrong.len(), asked, "{kind}: {wrong:?}");
        }
    }

    #[test]
    fn a_date_must_be_real() {
        let february = [
            ("from-day", "30"),
            ("from-month", "2"),
            ("from-year", "2027"),
            ("until-day", "1"),
            ("until-month", "3"),
            ("until-year", "2028"),
        ];
        let wrong = change(Kind::Training, Uuid::nil(), &Register::default(), &posted(&february)).unwrap_err();
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].field.as_deref(), Some("from-day"));
    }

    #[test]
    fn changing_a_person_keeps_their_training() {
        let mut register = Register::default();
        let training = vec![Training { from: Date::constant(2026, 1, 1), until: Date::constant(2027, 1, 1) }];
        let id = PersonId::fixed(7);
        register.apply(RegisterEvent::PersonEntered(Person {
            id,
            name: "Before".into(),
            at: Affiliation::House,
            roles: [Role::Auditor].into(),
            rank: None,
            may_approve_by_delegation: false,
            post: None,
            training: training.clone(),
            left: None,
        }));
        let event = change(Kind::Person, id.0, &register, &posted(&[("name", "After"), ("at", "house"), ("roles", "auditor")])).unwrap();
        let RegisterEvent::PersonEntered(p) = event else { panic!("another event") };
        assert_eq!((p.name.as_str(), p.training), ("After", training));
    }

    #[test]
    fn what_a_form_shows_of_an_entry_reads_back_as_the_same_entry() {
        let mut register = Register::default();
        let dsa = Dsa {
            id: DsaId::fixed(1),
            leo: LeoId::fixed(2),
            gallery: GalleryId::Passport,
            from: Date::constant(2026, 1, 5),
            until: Date::constant(2027, 12, 31),
            online: true,
        };
        register.apply(RegisterEvent::DsaEntered(dsa.clone()));
        let held = held(Kind::Agreement, dsa.id.0, &register).unwrap();
        let fields = held.into_iter().flat_map(|(n, v)| v.into_iter().map(move |v| (n.clone(), v))).collect();
        assert_eq!(change(Kind::Agreement, dsa.id.0, &register, &Posted { fields, files: vec![] }), Ok(RegisterEvent::DsaEntered(dsa)));
    }
}

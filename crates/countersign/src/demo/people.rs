//! The people of the demo. All invented.

use casework::{
    ids::{DsaId, LeoId, PersonId, TeamId},
    people::{Affiliation, Delegation, Dsa, Leo, Person, Post, Rank, RegisterEvent, Role, Team, Training},
    record::GalleryId,
};
use jiff::{ToSpan, civil::Date};

/// Police.
pub const OKAFOR: PersonId = PersonId::fixed(0x101);
pub const MARSH: PersonId = PersonId::fixed(0x102);
pub const REID: PersonId = PersonId::fixed(0x103);
pub const BYRNE: PersonId = PersonId::fixed(0x111);
pub const HALE: PersonId = PersonId::fixed(0x112);
/// HM Passport Office.
pub const ADEYEMI: PersonId = PersonId::fixed(0x201);
pub const VERMA: PersonId = PersonId::fixed(0x202);
pub const PRICE: PersonId = PersonId::fixed(0x203);
pub const LIN: PersonId = PersonId::fixed(0x204);
pub const CLARKE: PersonId = PersonId::fixed(0x205);
pub const SIDDIQUI: PersonId = PersonId::fixed(0x206);
/// UK Visas and Immigration.
pub const BRIGHT: PersonId = PersonId::fixed(0x301);
pub const MENSAH: PersonId = PersonId::fixed(0x302);
pub const HOLT: PersonId = PersonId::fixed(0x303);
pub const TRAN: PersonId = PersonId::fixed(0x304);
pub const NOVAK: PersonId = PersonId::fixed(0x305);
pub const KHAN: PersonId = PersonId::fixed(0x306);
/// Oversight.
pub const ELLIS: PersonId = PersonId::fixed(0x401);
pub const SHAW: PersonId = PersonId::fixed(0x402);
pub const RAHMAN: PersonId = PersonId::fixed(0x403);
pub const LOWE: PersonId = PersonId::fixed(0x404);

const NORTHSHIRE: LeoId = LeoId::fixed(0x11);
const AGENCY: LeoId = LeoId::fixed(0x12);
const PASSPORT_TEAM: TeamId = TeamId::fixed(0x21);
const IMMIGRATION_TEAM: TeamId = TeamId::fixed(0x22);

/// Everything the registrar entered before the demo begins.
pub fn register(today: Date) -> Vec<RegisterEvent> {
    let year_ago = today.saturating_sub(1.year());
    let in_a_year = today.saturating_add(1.year());
    let mut out = vec![];
    for (leo, name) in [(NORTHSHIRE, "Northshire Police"), (AGENCY, "National Crime Agency")] {
        out.push(RegisterEvent::LeoEntered(Leo { id: leo, name: name.into(), competent_authority: true }));
    }
    for (n, leo) in [NORTHSHIRE, AGENCY].into_iter().enumerate() {
        for (m, gallery) in [GalleryId::Passport, GalleryId::Immigration].into_iter().enumerate() {
            let id = DsaId::fixed(0x30 + 2 * n as u128 + m as u128);
            out.push(RegisterEvent::DsaEntered(Dsa { id, leo, gallery, from: year_ago, until: in_a_year, online: true }));
        }
    }
    for (id, name, gallery) in [
        (PASSPORT_TEAM, "Passport facial search team", GalleryId::Passport),
        (IMMIGRATION_TEAM, "Immigration Fingerprint Bureau, facial search team", GalleryId::Immigration),
    ] {
        out.push(RegisterEvent::TeamEntered(Team { id, name: name.into(), gallery, leader: None }));
    }
    let police = |id, name: &str, leo, roles: &[Role], rank| person(id, name, Affiliation::Leo(leo), roles, Some(rank), None, vec![]);
    out.extend([
        police(OKAFOR, "Sam Okafor", NORTHSHIRE, &[Role::Requester], Rank::Constable),
        police(REID, "Tom Reid", NORTHSHIRE, &[Role::Requester, Role::Approver], Rank::Inspector),
        police(MARSH, "Helen Marsh", NORTHSHIRE, &[Role::Approver], Rank::Inspector),
        police(BYRNE, "Alex Byrne", AGENCY, &[Role::Requester], Rank::Sergeant),
        police(HALE, "Morgan Hale", AGENCY, &[Role::Approver], Rank::ChiefInspector),
    ]);
    let trained = vec![Training { from: today.saturating_sub(6.months()), until: today.saturating_add(6.months()) }];
    let expiring = vec![Training { from: year_ago, until: today.saturating_add(10.days()) }];
    let staff = |id, name: &str, team, roles: &[Role], training: &Vec<Training>| {
        let post = if team == PASSPORT_TEAM { Post::PassportCounterFraudOfficer } else { Post::ImmigrationFingerprintBureauCaseworker };
        person(id, name, Affiliation::Team(team), roles, None, Some(post), training.clone())
    };
    out.extend([
        staff(ADEYEMI, "Ruth Adeyemi", PASSPORT_TEAM, &[Role::TeamLeader], &trained),
        staff(VERMA, "Asha Verma", PASSPORT_TEAM, &[Role::Assessor], &trained),
        staff(PRICE, "Daniel Price", PASSPORT_TEAM, &[Role::Assessor, Role::Examiner], &trained),
        staff(LIN, "Mei Lin", PASSPORT_TEAM, &[Role::Examiner], &trained),
        staff(CLARKE, "Owen Clarke", PASSPORT_TEAM, &[Role::Examiner], &trained),
        staff(SIDDIQUI, "Fatima Siddiqui", PASSPORT_TEAM, &[Role::Examiner], &expiring),
        staff(BRIGHT, "Colin Bright", IMMIGRATION_TEAM, &[Role::TeamLeader], &trained),
        staff(MENSAH, "Grace Mensah", IMMIGRATION_TEAM, &[Role::Assessor], &trained),
        staff(HOLT, "Ian Holt", IMMIGRATION_TEAM, &[Role::Assessor, Role::Examiner], &trained),
        staff(TRAN, "Lucy Tran", IMMIGRATION_TEAM, &[Role::Examiner], &trained),
        staff(NOVAK, "Pavel Novak", IMMIGRATION_TEAM, &[Role::Examiner], &trained),
        staff(KHAN, "Sara Khan", IMMIGRATION_TEAM, &[Role::Examiner], &trained),
        person(ELLIS, "Margaret Ellis", Affiliation::Gallery(GalleryId::Passport), &[Role::Siao], None, None, vec![]),
        person(SHAW, "Robert Shaw", Affiliation::Gallery(GalleryId::Immigration), &[Role::Siao], None, None, vec![]),
        person(RAHMAN, "Nadia Rahman", Affiliation::House, &[Role::Auditor], None, None, vec![]),
        person(LOWE, "Peter Lowe", Affiliation::House, &[Role::Registrar], None, None, vec![]),
    ]);
    for (id, name, gallery, leader) in [
        (PASSPORT_TEAM, "Passport facial search team", GalleryId::Passport, ADEYEMI),
        (IMMIGRATION_TEAM, "Immigration Fingerprint Bureau, facial search team", GalleryId::Immigration, BRIGHT),
    ] {
        out.push(RegisterEvent::TeamEntered(Team { id, name: name.into(), gallery, leader: Some(leader) }));
    }
    out.push(RegisterEvent::DelegationEntered(Delegation { gallery: GalleryId::Passport, to: ADEYEMI, from: today, until: in_a_year }));
    out
}

fn person(
    id: PersonId,
    name: &str,
    at: Affiliation,
    roles: &[Role],
    rank: Option<Rank>,
    post: Option<Post>,
    training: Vec<Training>,
) -> RegisterEvent {
    RegisterEvent::PersonEntered(Person {
        id,
        name: name.into(),
        at,
        roles: roles.iter().copied().collect(),
        rank,
        may_approve_by_delegation: false,
        post,
        training,
        left: None,
    })
}

//! The demo's stories, told through the same use cases that the pages call.

use super::people::{ADEYEMI, BYRNE, CLARKE, HALE, HOLT, LIN, MARSH, MENSAH, OKAFOR, PRICE, REID, TRAN, VERMA};
use bureau::{Bureau, BureauError};
use casework::{
    access::Action,
    assess::{Assessment, Criterion, Decision, Finding, Handling},
    command::Command,
    crime::SeriousCrimeTest,
    event::Sharing,
    form::{Declaration, Field, FingerprintCheck, Form, Mode, Nationality, Purpose, Source},
    ids::{AuthorisationId, PersonId, ProbeId, RequestId},
    image_log::Steps,
    policy::BioField,
    request::Outcome,
    review::{Agreement, Component, Conclusion, Informed, Visual},
};
use miette::{IntoDiagnostic, Result, miette};
use strum::IntoEnumIterator;
use uuid::Uuid;

/// Tells as it happens: a word of the seven, and what was done.
pub type Tell<'a> = &'a (dyn Fn(&str, &str) + Sync);

/// Who plays which part in a story.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Police.
    pub requester: PersonId,
    /// Police.
    pub approver: PersonId,
    /// Home Office.
    pub assessor: PersonId,
    /// Home Office.
    pub examiners: [PersonId; 2],
}

/// A story of the passport gallery.
pub const PASSPORT: Cast = Cast { requester: OKAFOR, approver: MARSH, assessor: VERMA, examiners: [LIN, CLARKE] };
/// A story of the immigration gallery.
pub const IMMIGRATION: Cast = Cast { requester: BYRNE, approver: HALE, assessor: MENSAH, examiners: [TRAN, HOLT] };

/// What a told story came to.
#[derive(Clone, Debug)]
pub struct Told {
    /// The request.
    pub request: RequestId,
    /// How many references were searched.
    pub searched: u64,
    /// How long the candidate list was.
    pub candidates: usize,
    /// How many confirmed each match.
    pub confirmed_by: usize,
    /// The answer.
    pub outcome: Outcome,
}

/// A complete form of a serious investigation. Everything in it is invented.
pub fn form(investigation: &str, nationality: Nationality) -> Form {
    Form {
        investigation: investigation.into(),
        nationality: Some(nationality),
        fingerprints_held: Some(nationality == Nationality::Foreign),
        fingerprint_check: (nationality == Nationality::Foreign).then_some(FingerprintCheck::NotIdentified),
        fingerprint_reference: "IABS/DEMO/0071".into(),
        purposes: [Purpose::SeriousCrime].into(),
        purpose_words: "To identify the person seen with the victim, whom nobody at the scene knew.".into(),
        mode: Some(Mode::Unidentified),
        offence: "Robbery of an elderly man at a cash machine; he was pushed to the ground and his wrist was broken.".into(),
        crime: SeriousCrimeTest { sexual_offence: Some(false), two_years: Some(true), violence: true, ..SeriousCrimeTest::default() },
        people_affected: "One victim; two similar robberies in the same week.".into(),
        harm: "A broken wrist, and lasting fear of going out.".into(),
        person: "About 30 years old. Spoke with a local accent.".into(),
        own_databases: "Custody images and intelligence, Northshire and neighbouring forces: no match.".into(),
        other_databases: "Police National Database facial search: no match. INTERPOL not applicable.".into(),
        other_enquiries: "House to house, shop staff and a local media appeal: nobody knew the person.".into(),
        vulnerable: Some(false),
        urgent: Some(false),
        declarations: Declaration::iter().collect(),
        ..Form::new()
    }
}

/// A request with one image, sent and approved.
pub async fn submitted(bureau: &Bureau, cast: Cast, form: Form, photograph: &[u8], face: usize) -> Result<Vec<RequestId>> {
    let ids = prepared(bureau, cast, form, photograph, face).await?;
    for id in &ids {
        bureau.act_and_work(cast.approver, *id, Command::Approve, None, None).await.into_diagnostic()?;
    }
    Ok(ids)
}

/// A request with one image, waiting for its approver.
pub async fn prepared(bureau: &Bureau, cast: Cast, form: Form, photograph: &[u8], face: usize) -> Result<Vec<RequestId>> {
    let (id, version) = drafted(bureau, cast, form, photograph, face).await?;
    bureau.send(cast.requester, id, version, None).await.into_diagnostic()
}

/// A complete draft with one image, and its version.
pub async fn drafted(bureau: &Bureau, cast: Cast, form: Form, photograph: &[u8], face: usize) -> Result<(RequestId, u64)> {
    let id = bureau.new_draft(cast.requester).await.into_diagnostic()?;
    let version = bureau.save_draft(cast.requester, id, 1, form).await.into_diagnostic()?;
    let (version, probe, _) = bureau.add_image(cast.requester, id, version, photograph, Some("still.jpg")).await.into_diagnostic()?;
    let source = Some(Source::Unsupervised);
    let version = bureau.describe_image(cast.requester, id, version, probe, Some(face), source).await.into_diagnostic()?;
    Ok((id, version))
}

/// Findings that are all met, with reasons, and the form's own answers accepted.
pub fn assessment(form: &Form, legal_basis: &str, handling: Handling) -> Assessment {
    let reasons = |c: Criterion| match c {
        Criterion::Importance => "Bringing a violent robber to justice is an important objective in the public interest.",
        Criterion::Connection => "The still shows the person who was with the victim; a name would let the force act.",
        Criterion::ImageUsable => "The face is large, sharp enough and nearly frontal.",
        Criterion::Biography => "The accent makes it likely that the person lives here and has held a document.",
        Criterion::Exhausted => "Local and national databases and a media appeal were tried; I looked at the results given.",
        Criterion::Balance => "One face, one search, a short list that two people check: the benefit outweighs the intrusion.",
        Criterion::Threshold => "It is an act capable of more than two years' imprisonment and it involved violence.",
        Criterion::Extent => "One person was injured and others are at risk; sharing a confirmed match is justified.",
        Criterion::Rights => "Article 8 is interfered with lawfully and no more than needed; no protected characteristic played a part.",
    };
    Assessment {
        legal_basis: legal_basis.into(),
        findings: Criterion::iter().map(|c| (c, Finding { met: Some(true), reasons: reasons(c).into() })).collect(),
        purposes: form.purposes.clone(),
        crime: form.crime,
        section_8_read: true,
        handling: Some(handling),
    }
}

fn legal_basis(bureau: &Bureau, form: &Form) -> String {
    let gallery = form.nationality.map_or(casework::record::GalleryId::Passport, |n| n.galleries()[0]);
    bureau.policy().gallery(gallery).legal_bases.first().map(|b| b.id.clone()).unwrap_or_default()
}

/// Takes a request and authorises its first image.
pub async fn authorised(bureau: &Bureau, cast: Cast, id: RequestId) -> Result<ProbeId> {
    bureau.act_and_work(cast.assessor, id, Command::Take { no_conflict: true }, None, None).await.into_diagnostic()?;
    let (form, probe) = first_probe(bureau, cast.assessor, id).await?;
    let assessment = assessment(&form, &legal_basis(bureau, &form), Handling::Ordinary);
    let command = Command::Assess {
        probe,
        assessment: Box::new(assessment),
        decision: Decision::Authorise,
        authorisation: AuthorisationId(Uuid::now_v7()),
    };
    bureau.act_and_work(cast.assessor, id, command, None, None).await.into_diagnostic()?;
    Ok(probe)
}

async fn first_probe(bureau: &Bureau, who: PersonId, id: RequestId) -> Result<(Form, ProbeId)> {
    let view = bureau.request(who, id).await.into_diagnostic()?;
    let form = view.form.ok_or_else(|| miette!("the form is gone"))?;
    let probe = form.images.first().map(|i| i.probe).ok_or_else(|| miette!("the form has no image"))?;
    Ok((form, probe))
}

/// One whole request through the seven rooms, ending in whatever the search and two people find.
/// `same(n)` says how an examiner sees the n-th candidate of their list.
pub async fn whole(bureau: &Bureau, cast: Cast, form: Form, photograph: &[u8], face: usize, tell: Tell<'_>) -> Result<Told> {
    let id = *submitted(bureau, cast, form, photograph, face).await?.first().ok_or_else(|| miette!("nothing was sent"))?;
    tell("intake", &format!("{} sent by the requester, approved by an inspector, received complete", id.reference()));
    let probe = authorised(bureau, cast, id).await?;
    tell("assess", "nine findings with reasons; search authorised for one face in one gallery");
    bureau.act_and_work(cast.assessor, id, Command::StartSearch { probe }, None, None).await.into_diagnostic()?;
    let request = bureau.open(id).await.into_diagnostic()?;
    let facts = request.probe(probe).and_then(|p| p.facts.clone()).ok_or_else(|| miette!("the search was not made"))?;
    let candidates = request.probe(probe).map(|p| p.candidates.len()).unwrap_or_default();
    tell("search", &format!("{} references compared exactly; {candidates} on the candidate list", facts.searched));
    let confirmed_by = review(bureau, cast, id, probe).await?;
    tell(
        "review",
        &match candidates {
            0 => "a person concluded on the empty list".to_owned(),
            _ => format!("two examiners, blind and then informed; confirmed by {confirmed_by}"),
        },
    );
    let outcome = respond(bureau, cast, id).await?;
    tell("respond", &format!("answer released: {}; opened by the requester", outcome.to_string().replace('-', " ")));
    Ok(Told { request: id, searched: facts.searched, candidates, confirmed_by, outcome })
}

/// Both examiners' work on one probe. Each looks at the pictures: here, the reference whose picture shows
/// the probe's person is the one that the search put on its list from the photograph, and synthetic
/// references have no picture, so nobody can find that they are the same person.
pub async fn review(bureau: &Bureau, cast: Cast, id: RequestId, probe: ProbeId) -> Result<usize> {
    if bureau.comparisons(cast.examiners[0]).await.into_diagnostic()?.iter().any(|c| c.probe == probe && c.step == "conclude-empty") {
        let words = "I looked: the list is empty, so there is no match.".to_owned();
        bureau.act_and_work(cast.examiners[0], id, Command::ConcludeEmpty { probe, words }, None, None).await.into_diagnostic()?;
        return Ok(0);
    }
    for examiner in cast.examiners {
        examine(bureau, examiner, id, probe).await?;
    }
    let request = bureau.open(id).await.into_diagnostic()?;
    Ok(request.probe(probe).into_iter().flat_map(|p| p.matches().map(|c| c.confirmed_by.len())).max().unwrap_or_default())
}

/// One examiner's work: every candidate blind, then every candidate informed.
pub async fn examine(bureau: &Bureau, examiner: PersonId, id: RequestId, probe: ProbeId) -> Result<()> {
    bureau.take_up(examiner, id, probe).await.into_diagnostic()?;
    let sheet = bureau.comparison(examiner, id, probe).await.into_diagnostic()?.sheet;
    let mut version = sheet.version;
    let mut seen = vec![];
    let looked_closer = || Steps::read("pv150.500.500_hv150.500.500_pt20.10_g1_g0");
    for c in &sheet.candidates {
        bureau.comparison_probe(examiner, id, probe).await.into_diagnostic()?;
        let picture = bureau.comparison_candidate(examiner, id, probe, c.id).await.into_diagnostic()?.is_some();
        seen.push(picture);
        let opinion = Visual {
            conclusion: if picture { Conclusion::StronglySame } else { Conclusion::CannotSay },
            components: if picture {
                [Component::Eyes, Component::Nose, Component::Mouth, Component::Jaw].map(|c| (c, Agreement::Alike)).into()
            } else {
                [(Component::Outline, Agreement::NotVisible)].into()
            },
            words: if picture {
                "Eyes, nose, mouth and jaw agree in detail; no difference that the angle does not explain."
            } else {
                "There is no picture to compare."
            }
            .into(),
            // Where there is a picture, they looked closer at both.
            image_log: if picture {
                bureau.image_log(examiner, id, probe, c.id, looked_closer()).await.into_diagnostic()?
            } else {
                Default::default()
            },
        };
        bureau
            .act_and_work(examiner, id, Command::GiveVisual { probe, candidate: c.id, opinion, version }, None, None)
            .await
            .into_diagnostic()?;
        version += 1;
    }
    for (c, same_person) in sheet.candidates.iter().zip(seen) {
        bureau.informed(examiner, id, probe, c.id).await.into_diagnostic()?;
        let reasons =
            if same_person { "Age and description fit; I confirm what I saw." } else { "Nothing to compare, so I cannot confirm." }
                .to_owned();
        let opinion = Informed { same_person, reasons, image_log: Default::default() };
        bureau
            .act_and_work(examiner, id, Command::GiveInformed { probe, candidate: c.id, opinion, version }, None, None)
            .await
            .into_diagnostic()?;
        version += 1;
    }
    Ok(())
}

/// Decides what is shared, sends the answer, and has the requester open it.
pub async fn respond(bureau: &Bureau, cast: Cast, id: RequestId) -> Result<Outcome> {
    answered(bureau, cast, id).await?;
    Ok(bureau.answer(cast.requester, id).await.into_diagnostic()?.outcome())
}

/// Decides what is shared and sends the answer, which then waits for the requester.
pub async fn answered(bureau: &Bureau, cast: Cast, id: RequestId) -> Result<()> {
    for m in bureau.matches(cast.assessor, id).await.into_diagnostic()? {
        let request = bureau.open(id).await.into_diagnostic()?;
        let probe =
            request.probes.iter().find(|p| p.candidate(m.candidate).is_some()).map(|p| p.id).ok_or_else(|| miette!("no such probe"))?;
        let wanted = [BioField::Name, BioField::DateOfBirth, BioField::PassportNumber, BioField::HomeOfficeReference];
        let fields = m
            .fields
            .iter()
            .filter(|f| wanted.contains(&f.0))
            .map(|f| (f.0, format!("Needed to find the person: {}.", f.1.to_lowercase())))
            .collect();
        let sharing = Sharing::Share {
            image: m.has_image,
            fields,
            reasons: "A violent robbery with a risk of more; these details are the least that lets the force find the person.".into(),
        };
        bureau
            .act_and_work(cast.assessor, id, Command::DecideSharing { probe, candidate: m.candidate, sharing }, None, None)
            .await
            .into_diagnostic()?;
    }
    bureau.preview(cast.assessor, id).await.into_diagnostic()?;
    bureau.act_and_work(cast.assessor, id, Command::Answer { recipient_confirmed: true }, None, None).await.into_diagnostic()?;
    Ok(())
}

/// A request below the threshold, declined with clauses; its answer waits to be opened.
pub async fn declined(bureau: &Bureau, photograph: &[u8]) -> Result<RequestId> {
    let cast = Cast { requester: REID, ..PASSPORT };
    let form = Form {
        offence: "A bicycle was taken from outside a shop and left two streets away.".into(),
        crime: SeriousCrimeTest { sexual_offence: Some(false), two_years: Some(false), ..SeriousCrimeTest::default() },
        harm: "The owner walked home.".into(),
        people_affected: "One person.".into(),
        ..form("NS/2026/0419", Nationality::British)
    };
    let id = submitted(bureau, cast, form, photograph, 0).await?[0];
    bureau.act_and_work(cast.assessor, id, Command::Take { no_conflict: true }, None, None).await.into_diagnostic()?;
    let (form, probe) = first_probe(bureau, cast.assessor, id).await?;
    let mut assessment = assessment(&form, &legal_basis(bureau, &form), Handling::Ordinary);
    for (criterion, reasons) in [
        (Criterion::Threshold, "Taking a bicycle and leaving it is not a serious crime: neither limb is met, and no life is at risk."),
        (Criterion::Balance, "The benefit is small beside the intrusion on everyone in the gallery."),
    ] {
        assessment.findings.insert(criterion, Finding { met: Some(false), reasons: reasons.into() });
    }
    let command = Command::Assess {
        probe,
        assessment: Box::new(assessment),
        decision: Decision::Decline {
            explanation: "We cannot search for this. The policy permits a search for serious crime, national security or a serious risk to life. What you describe is not a sexual offence, would not normally result in a sentence of two years, and involved no violence, grooming, online criminality or substantial gain.".into(),
        },
        authorisation: AuthorisationId(Uuid::now_v7()),
    };
    bureau.act_and_work(cast.assessor, id, command, None, None).await.into_diagnostic()?;
    answered(bureau, cast, id).await?;
    Ok(id)
}

/// A request whose answers say nothing, rejected as incomplete.
pub async fn rejected(bureau: &Bureau, photograph: &[u8]) -> Result<RequestId> {
    let form = Form {
        own_databases: "See file.".into(),
        other_databases: "n/a".into(),
        other_enquiries: "Done.".into(),
        ..form("NS/2026/0433", Nationality::British)
    };
    let id = submitted(bureau, PASSPORT, form, photograph, 0).await?[0];
    bureau.act_and_work(PRICE, id, Command::Take { no_conflict: true }, None, None).await.into_diagnostic()?;
    let missing = vec![
        (Field::OwnDatabases, "Say which of your own databases were searched and with what result; the file did not reach us.".into()),
        (Field::OtherDatabases, "Say which other databases were searched, or why none applied.".into()),
        (Field::OtherEnquiries, "Say which other enquiries were made.".into()),
    ];
    bureau.act_and_work(PRICE, id, Command::Reject { missing }, None, None).await.into_diagnostic()?;
    Ok(id)
}

/// A request about somebody who may be vulnerable: seen by the few who need to know.
pub async fn vulnerable(bureau: &Bureau, photograph: &[u8]) -> Result<RequestId> {
    let form = Form {
        vulnerable: Some(true),
        vulnerable_words: "The person may have fled domestic abuse and changed their name.".into(),
        purposes: [Purpose::RiskToLife].into(),
        purpose_words: "To reach the person before the former partner does.".into(),
        offence: "Threats to kill made by a former partner who is looking for the person.".into(),
        urgent: Some(true),
        urgent_reason: "The former partner was released yesterday and has said that they will find the person.".into(),
        ..form("NS/2026/0457", Nationality::British)
    };
    let id = submitted(bureau, PASSPORT, form, photograph, 2).await?[0];
    let reason = "Sensitive: allocated by name".to_owned();
    bureau.act_and_work(ADEYEMI, id, Command::Allocate { to: VERMA, reason }, None, None).await.into_diagnostic()?;
    Ok(id)
}

/// Whether somebody can see a request at all: used to show that a sensitive one stays hidden.
pub async fn sees(bureau: &Bureau, who: PersonId, id: RequestId) -> Result<bool> {
    match bureau.request(who, id).await {
        Ok(view) => Ok(view.may.contains(&Action::SeeRequest)),
        Err(BureauError::Refused(_)) => Ok(false),
        Err(e) => Err(e).into_diagnostic(),
    }
}

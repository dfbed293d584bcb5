//! The values of the assessment form: read from what was sent, filled in from the request, and turned
//! into the command.

use crate::forms::Posted;
use bureau::views::ProbeView;
use casework::{
    assess::{Assessment, Criterion, Decision, Finding},
    command::Command,
    crime::SeriousCrimeTest,
    form::{Form, Purpose},
    ids::{AuthorisationId, ProbeId},
    refusal::Refusal,
};
use serde::Serialize;
use strum::IntoEnumIterator;
use uuid::Uuid;

/// What is on the form.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) assessment: Assessment,
    /// `authorise` or `decline`.
    pub(super) decision: String,
    pub(super) explanation: String,
}

fn yes_no(text: Option<&str>) -> Option<bool> {
    match text {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    }
}

fn said(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

impl Findings {
    /// As the form begins: an earlier assessment of this image (leave that expired, a review), otherwise the
    /// purposes and the serious-crime test as the force answers them. Nothing is found on its behalf.
    pub(super) fn begin(form: &Form, probe: &ProbeView) -> Self {
        let assessment = probe.assessment.clone().unwrap_or_else(|| Assessment {
            purposes: form.purposes.clone(),
            crime: form.crime,
            ..Assessment::default()
        });
        Self { assessment, ..Self::default() }
    }

    pub(super) fn read(posted: &Posted) -> Self {
        let text = |name: &str| posted.text(name).unwrap_or_default().to_owned();
        let findings = Criterion::iter()
            .map(|c| (c, Finding { met: yes_no(posted.text(&format!("met-{c}"))), reasons: text(&format!("reasons-{c}")) }))
            .collect();
        let aspect = |name: &str| posted.has("involves", name);
        Self {
            assessment: Assessment {
                legal_basis: text("legal-basis"),
                findings,
                purposes: posted.all("purposes").filter_map(|p| p.parse::<Purpose>().ok()).collect(),
                crime: SeriousCrimeTest {
                    sexual_offence: yes_no(posted.text("sexual-offence")),
                    two_years: yes_no(posted.text("two-years")),
                    violence: aspect("violence"),
                    grooming: aspect("grooming"),
                    online: aspect("online"),
                    gain: aspect("gain"),
                },
                section_8_read: posted.has("section-8-read", "yes"),
                handling: posted.text("handling").and_then(|h| h.parse().ok()),
            },
            decision: text("decision"),
            explanation: text("explanation"),
        }
    }

    /// The command, if a decision was chosen.
    pub(super) fn command(&self, probe: ProbeId) -> Option<Command> {
        let decision = match self.decision.as_str() {
            "authorise" => Decision::Authorise,
            "decline" => Decision::Decline { explanation: self.explanation.clone() },
            _ => return None,
        };
        Some(Command::Assess {
            probe,
            assessment: Box::new(self.assessment.clone()),
            decision,
            authorisation: AuthorisationId(Uuid::now_v7()),
        })
    }

    /// The whole form as hidden fields of the page that asks to confirm.
    pub(super) fn hidden(&self) -> Vec<(String, String)> {
        let a = &self.assessment;
        let mut out = vec![("legal-basis".to_owned(), a.legal_basis.clone())];
        for (c, f) in &a.findings {
            out.push((format!("met-{c}"), said(f.met).into()));
            out.push((format!("reasons-{c}"), f.reasons.clone()));
        }
        out.extend(a.purposes.iter().map(|p| ("purposes".to_owned(), p.to_string())));
        out.push(("sexual-offence".into(), said(a.crime.sexual_offence).into()));
        out.push(("two-years".into(), said(a.crime.two_years).into()));
        let c = &a.crime;
        for (on, name) in [(c.violence, "violence"), (c.grooming, "grooming"), (c.online, "online"), (c.gain, "gain")] {
            if on {
                out.push(("involves".into(), name.into()));
            }
        }
        if a.section_8_read {
            out.push(("section-8-read".into(), "yes".into()));
        }
        out.push(("handling".into(), a.handling.map(|h| h.to_string()).unwrap_or_default()));
        out.push(("decision".into(), self.decision.clone()));
        out.push(("explanation".into(), self.explanation.clone()));
        out
    }
}

/// The field of the form that a refusal is about.
pub(super) fn anchor(r: &Refusal) -> Option<String> {
    for c in Criterion::iter() {
        if r.words == format!("Answer: {}", c.question()) || r.words == c.not_met() {
            return Some(format!("met-{c}"));
        }
        if r.words == format!("Give your reasons: {}", c.question()) {
            return Some(format!("reasons-{c}"));
        }
    }
    let ids: Vec<String> = r.clauses.iter().map(ToString::to_string).collect();
    let has = |id: &str| ids.iter().any(|i| i == id);
    let field = if has("A1") {
        "legal-basis"
    } else if r.words.starts_with("Read section 8") {
        "section-8-read"
    } else if has("A9") {
        "handling"
    } else if has("A7") {
        "sexual-offence"
    } else if has("A6") {
        "purposes"
    } else if has("O1") {
        if has("O9") { "decision" } else { "explanation" }
    } else if r.words.starts_with("Look at any biographical") {
        "met-biography"
    } else if has("A3") {
        "met-image-usable"
    } else {
        return None;
    };
    Some(field.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use casework::{assess::Handling, policy::Policy, record::GalleryId};

    #[test]
    fn every_refusal_of_an_empty_assessment_leads_to_a_field() {
        let policy = Policy::in_force(jiff::civil::date(2026, 11, 23));
        let empty = Assessment::default();
        let mut all = empty.incomplete(policy.gallery(GalleryId::Passport), true);
        all.extend(empty.against(None));
        assert!(all.len() > 20, "{}", all.len());
        for r in &all {
            assert!(anchor(r).is_some(), "{r:?} leads nowhere");
        }
    }

    #[test]
    fn the_page_that_asks_to_confirm_carries_everything() {
        let mut findings = Findings {
            assessment: Assessment {
                legal_basis: "royal-prerogative".into(),
                purposes: [Purpose::SeriousCrime, Purpose::RiskToLife].into(),
                crime: SeriousCrimeTest { sexual_offence: Some(false), two_years: Some(true), gain: true, ..Default::default() },
                section_8_read: true,
                handling: Some(Handling::Sensitive),
                ..Default::default()
            },
            decision: "decline".into(),
            explanation: "Below the threshold.\nSorry.".into(),
        };
        for c in Criterion::iter() {
            findings.assessment.findings.insert(c, Finding { met: Some(c != Criterion::Threshold), reasons: format!("because {c}") });
        }
        let back = Findings::read(&Posted { fields: findings.hidden(), files: vec![] });
        assert_eq!(back.assessment, findings.assessment);
        assert_eq!((back.decision, back.explanation), (findings.decision, findings.explanation));
    }
}

//! Accuracy, measured and enforced (P1): certificates, each gallery's setting, and the measurement and
//! the two people that a change of threshold takes. A certificate's signature is checked by whoever holds
//! the installation's key ([`Held::genuine`]); what it says is judged here.

use crate::{
    access::{Action, ruling},
    calendar::date_in_words,
    clause::Clause,
    ids::{Digest, PersonId},
    people::{Actor, Register, Role},
    policy::Policy,
    record::GalleryId,
    refusal::{Refusal, refuse},
    request::State,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The first line of a certificate's text. No log's origin may be the same.
pub const HEADING: &str = "countersign accuracy certificate 1";
/// Certificates of a gallery that are kept in view; the newest count.
pub const CERTIFICATES_MAX: usize = 20;

/// A share of searches that went wrong, as counted, with its exact 95 % interval (Clopper and Pearson 1934).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Searches that went wrong.
    pub errors: u64,
    /// Searches made.
    pub of: u64,
    /// Lower end of the interval, 0 to 1.
    pub low: f64,
    /// Upper end of the interval, 0 to 1.
    pub high: f64,
}

impl Rate {
    /// The share, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts of searches are far below 2^53
    pub fn share(&self) -> f64 {
        self.errors as f64 / self.of.max(1) as f64
    }

    fn sound(&self) -> bool {
        let (low, high) = (self.low, self.high);
        self.errors <= self.of && (0.0..=1.0).contains(&low) && (low..=1.0).contains(&high)
    }
}

/// The two error rates of an open-set search (ISO/IEC 19795-1): false positive and false negative
/// identification rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Searches for people who are not enrolled that put anybody on the list.
    pub fpir: Rate,
    /// Searches for people who are enrolled that did not put them on the list.
    pub fnir: Rate,
}

/// The rates among the searches of one group of people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Which: the kind of group and its name.
    pub name: String,
    /// At the certificate's threshold.
    pub rates: Rates,
}

/// What a search runs on, or ran on. A certificate must be for exactly this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Running {
    /// The model pack's id.
    pub pack: String,
    /// SHA-256 over the pack, hexadecimal.
    pub pack_digest: String,
    /// The model's id.
    pub model: String,
    /// SHA-256 over the image specification in force, hexadecimal (A3b).
    pub specification: String,
}

/// What was measured, for which setting, and until when it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The gallery it is for, and no other.
    pub gallery: GalleryId,
    /// What was measured.
    pub running: Running,
    /// The score from which a reference is put on the list, in the model's range.
    #[serde(with = "crate::event::exact")]
    pub threshold: f64,
    /// References that the gallery may hold at most.
    pub references_max: u64,
    /// References that were enrolled when it was measured.
    pub references_measured: u64,
    /// Of those, synthetic ones, with no person behind them.
    pub synthetic: u64,
    /// The false positive identification rate that may have to be expected at `references_max`, as an estimate and no
    /// measurement, where more may be held than was measured: [`fpir_estimate`] of the interval's upper end.
    pub fpir_estimate: Option<f64>,
    /// The rates at the threshold.
    pub rates: Rates,
    /// The rates by group, where groups were named.
    pub groups: Vec<Group>,
    /// People in the evaluation.
    pub people: u64,
    /// Images in the evaluation.
    pub images: u64,
    /// SHA-256 of the evaluation's file.
    pub evaluation: Digest,
    /// Whether it only shows how certificates work: the sample is too small to say anything of accuracy.
    pub demonstration: bool,
    /// The day it was measured, London.
    pub measured: Date,
    /// First day it counts, London.
    pub issued: Date,
    /// Last day it counts, London; reckoned from the day it was measured, whenever it was issued.
    pub until: Date,
}

impl Certificate {
    /// The text that is signed: [`HEADING`], then JSON.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(format!("{HEADING}\n{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Reads such a text, whoever signed it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (heading, json) = text.split_once('\n')?;
        if heading != HEADING {
            return None;
        }
        serde_json::from_str(json).ok()
    }

    /// What keeps it from being issued, all at once: a sample that supports no claim, a band that was not
    /// measured, dates.
    fn faults(&self, policy: &Policy) -> Vec<Refusal> {
        let p = &policy.accuracy;
        let mut out = vec![];
        let mut no = |words: String| out.push(refuse(&[Clause::P1], words));
        let sound = |r: &Rates| r.fpir.sound() && r.fnir.sound();
        if !self.threshold.is_finite() || !sound(&self.rates) || !self.groups.iter().all(|g| sound(&g.rates)) {
            no("The evaluation's counts and intervals do not add up. Make it again.".into());
        }
        if self.rates.fnir.of == 0 || self.rates.fpir.of == 0 || self.references_measured == 0 {
            no("The evaluation has no searches for people who are enrolled, or none for people who are not.".into());
        } else if !self.demonstration {
            // Rule of three (Hanley and Lippman-Hand 1983): of n searches without an error, the rate is below 3/n at 95 %.
            if self.rates.fpir.of < p.nonmated_searches_min {
                no(format!(
                    "The evaluation has {} searches for people who are not enrolled; {} are needed. With fewer, not even a run without one false positive shows a rate below {:.1} % (rule of three).",
                    self.rates.fpir.of,
                    p.nonmated_searches_min,
                    300.0 / whole(p.nonmated_searches_min)
                ));
            }
            if self.rates.fnir.of < p.mated_searches_min {
                no(format!(
                    "The evaluation has {} searches for people who are enrolled; {} are needed for its miss rate to say anything.",
                    self.rates.fnir.of, p.mated_searches_min
                ));
            }
        }
        let measured_for = self.references_measured.saturating_mul(p.references_factor_max);
        if self.references_max == 0 {
            no("Say how many references the gallery may hold.".into());
        } else if self.references_max > measured_for && self.fpir_estimate.is_none() {
            no(format!(
                "It was measured with {} references and so counts for {measured_for} at most; {} were asked for. Enrol more in the evaluation, or say that the rest is an estimate.",
                self.references_measured, self.references_max
            ));
        }
        if self.measured > self.issued {
            no(format!("The evaluation says that it was made on {}, which is not yet.", self.measured));
        }
        if self.until > last_day(self.measured, policy) {
            no(format!(
                "A certificate counts for {} days from its measurement at most; then it is measured again.",
                p.certificate_days_max
            ));
        }
        out
    }

    /// Why it is not for a search with this engine, threshold and gallery on this day: every reason.
    fn against(&self, running: &Running, threshold: f64, references: u64, on: Date) -> Vec<Refusal> {
        let mut out = vec![];
        let ours = &self.running;
        if ours.model != running.model {
            out.push(refuse(&[Clause::P1], format!("It is for the model {}; the one in use is {}.", ours.model, running.model)));
        }
        if (&ours.pack, &ours.pack_digest) != (&running.pack, &running.pack_digest) {
            out.push(refuse(&[Clause::P1], format!("It is for another edition of the model pack than the one in use ({}).", running.pack)));
        }
        if ours.specification != running.specification {
            out.push(refuse(&[Clause::P1, Clause::A3], "It is for another image specification than the one in force (A3b)."));
        }
        // Thresholds of two models are not one another's.
        if ours.model == running.model && self.threshold.total_cmp(&threshold).is_ne() {
            out.push(refuse(&[Clause::P1], format!("It is for the threshold {}; the one in use is {threshold}.", self.threshold)));
        }
        if references > self.references_max {
            out.push(refuse(&[Clause::P1], format!("It is for up to {} references; the gallery holds {references}.", self.references_max)));
        }
        if on > self.until {
            out.push(refuse(
                &[Clause::P1],
                format!(
                    "It was measured on {} and counted until {}: it has to be measured again.",
                    date_in_words(self.measured),
                    date_in_words(self.until)
                ),
            ));
        }
        if on < self.issued {
            out.push(refuse(&[Clause::P1], format!("It counts from {}.", date_in_words(self.issued))));
        }
        out
    }
}

/// The last day that a certificate counts, the day of its measurement being the first.
#[must_use]
pub fn last_day(measured: Date, policy: &Policy) -> Date {
    let days = i64::from(policy.accuracy.certificate_days_max) - 1;
    measured.checked_add(jiff::Span::new().days(days)).unwrap_or(measured)
}

/// The false positive identification rate up to which `n` references may err, 1 − (1 − FPIR)^(n / measured) from the upper
/// end of the rate's 95 % interval at `measured`, if references err independently. No error in a few hundred searches does
/// not show that there is none among millions.
#[must_use]
pub fn fpir_estimate(fpir: &Rate, measured: u64, n: u64) -> f64 {
    1.0 - (1.0 - fpir.high.clamp(0.0, 1.0)).powf(whole(n) / whole(measured.max(1)))
}

/// A share in words, with two decimals below 10 %: what is not nothing never reads as nothing.
#[must_use]
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".into(),
        p if p < 0.01 => "below 0.01 %".into(),
        p if p < 10.0 => format!("{p:.2} %"),
        p => format!("{p:.0} %"),
    }
}

#[allow(clippy::cast_precision_loss)] // numbers of references and searches are far below 2^53
fn whole(n: u64) -> f64 {
    n as f64
}

/// A certificate as the register holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What it says.
    pub certificate: Certificate,
    /// The signed note, as issued.
    pub note: String,
    /// SHA-256 of the note, once this installation's key was found to have signed it. Without, it counts
    /// for nothing.
    pub genuine: Option<Digest>,
    /// That it was revoked before its end: then it counts for nothing.
    pub revoked: Option<Revoked>,
}

/// The end of a certificate before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// The London date.
    pub on: Date,
    /// Why, in words that name nobody.
    pub reasons: String,
    /// Which revocation: the register's version that it made. One ends several certificates.
    pub number: u64,
}

impl Revoked {
    /// That it was, since when and why, as a sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("It was revoked on {}: {}", date_in_words(self.on), self.reasons)
    }
}

impl Held {
    /// Why it counts for nothing, where it was revoked.
    fn ended(&self) -> Option<Refusal> {
        let revoked = self.revoked.as_ref()?;
        Some(refuse(&[Clause::P1], revoked.in_words()))
    }
}

/// How many of an evaluation's searches turn out otherwise at another threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// People found who were missed before.
    pub found: u64,
    /// People missed who were found before.
    pub missed: u64,
    /// Searches for people not enrolled that now point at somebody.
    pub alerts: u64,
    /// Searches for people not enrolled that no longer point at anybody.
    pub spared: u64,
}

/// A change of threshold that waits for a second person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Who proposes it.
    pub proposer: PersonId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reasons: String,
    /// The certificate that its confirmation issues.
    pub certificate: Certificate,
    /// The threshold in use and its rates on the same evaluation.
    #[serde(with = "crate::event::exact")]
    pub old_threshold: f64,
    /// The same evaluation at the threshold in use.
    pub old: Rates,
    /// What would change.
    pub changes: Changes,
}

/// A gallery's setting: the threshold in use with each model, its certificates, and what is proposed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setting {
    /// By model, the threshold in use with it: scores of two models are not one another's, so a model's first certificate
    /// sets its own and leaves the others alone.
    pub thresholds: BTreeMap<String, f64>,
    /// Certificates, newest last; at most [`CERTIFICATES_MAX`].
    pub certificates: Vec<Held>,
    /// What waits for a second person, with its number: the register's version that it made.
    pub proposal: Option<(u64, Proposal)>,
    /// Evaluations whose certificates were revoked: nothing is certified on them again, however old they are.
    pub revoked: BTreeMap<Digest, Revoked>,
}

impl Setting {
    /// The threshold in use with a model; none before its first certificate.
    #[must_use]
    pub fn threshold(&self, model: &str) -> Option<f64> {
        self.thresholds.get(model).copied()
    }

    /// The newest genuine certificate for the threshold in use with this model, whether or not it still counts; of any
    /// model, where none is named.
    #[must_use]
    pub fn current(&self, model: Option<&str>) -> Option<&Held> {
        self.certificates.iter().rev().find(|h| {
            let c = &h.certificate;
            let in_use = self.threshold(&c.running.model).is_some_and(|t| t.total_cmp(&c.threshold).is_eq());
            h.genuine.is_some() && in_use && model.is_none_or(|m| m == c.running.model)
        })
    }

    /// Puts a certificate with the others; as the model's first, or when two people `chose` it, it sets the threshold.
    pub(crate) fn hold(&mut self, note: String, chosen: bool) {
        let text = note.rsplit_once("\n\n").map_or_else(String::new, |(text, _)| format!("{text}\n"));
        let Some(certificate) = Certificate::read(&text) else { return };
        let model = &certificate.running.model;
        if chosen || !self.thresholds.contains_key(model) {
            self.thresholds.insert(model.clone(), certificate.threshold);
        }
        let revoked = self.revoked.get(&certificate.evaluation).cloned();
        self.certificates.push(Held { certificate, note, genuine: None, revoked });
        let over = self.certificates.len().saturating_sub(CERTIFICATES_MAX);
        self.certificates.drain(..over);
    }

    /// Ends a certificate before its time, and with it every older one of its model: none of them steps into its place.
    pub(crate) fn revoke(&mut self, note: &str, revoked: &Revoked) {
        // The last of that text: the same evaluation, issued twice on a day, is the same note.
        let Some(last) = self.certificates.iter().rposition(|h| h.note == note) else { return };
        let model = self.certificates[last].certificate.running.model.clone();
        let of_model = self.certificates[..=last].iter_mut().filter(|h| h.certificate.running.model == model);
        for held in of_model.filter(|h| h.revoked.is_none()) {
            self.revoked.insert(held.certificate.evaluation, revoked.clone());
            held.revoked = Some(revoked.clone());
        }
    }

    /// The certificates that one revocation ended, this one among them, newest first; of one that was not revoked, those
    /// that its revocation would end. Empty where it is none of this gallery's that this installation signed.
    #[must_use]
    pub fn ending_with(&self, certificate: Digest) -> Vec<&Held> {
        let Some(last) = self.certificates.iter().rposition(|h| h.genuine == Some(certificate)) else { return vec![] };
        let named = &self.certificates[last];
        let number = named.revoked.as_ref().map(|r| r.number);
        let within = if number.is_some() { self.certificates.len() } else { last + 1 };
        let together = |h: &&Held| {
            let same_model = h.certificate.running.model == named.certificate.running.model;
            h.genuine.is_some() && same_model && h.revoked.as_ref().map(|r| r.number) == number
        };
        self.certificates[..within].iter().rev().filter(together).collect()
    }

    /// Each revocation of a certificate that this installation signed, newest first, with the newest that it ended.
    #[must_use]
    pub fn revocations(&self) -> Vec<(&Revoked, &Held)> {
        let ended = self.certificates.iter().filter(|h| h.genuine.is_some());
        let by_number: BTreeMap<u64, _> = ended.filter_map(|h| h.revoked.as_ref().map(|r| (r.number, (r, h)))).collect();
        by_number.into_values().rev().collect()
    }

    /// Whether a revocation stopped the searches with a model: its newest certificate was revoked.
    fn stopped(&self, model: &str) -> bool {
        let newest = self.certificates.iter().rev().find(|h| h.genuine.is_some() && h.certificate.running.model == model);
        newest.is_some_and(|h| h.revoked.is_some())
    }
}

impl Register {
    /// The certificate under which a gallery of `references` may be searched at `threshold` today.
    ///
    /// # Errors
    /// Every reason against the certificate that comes closest (P1).
    pub fn certified(
        &self,
        gallery: GalleryId,
        running: &Running,
        threshold: f64,
        references: u64,
        on: Date,
    ) -> Result<&Held, Vec<Refusal>> {
        let none = || {
            vec![refuse(
                &[Clause::P1],
                format!("No accuracy certificate was issued here for the {gallery} gallery, so it is not searched."),
            )]
        };
        let setting = self.settings.get(&gallery).ok_or_else(none)?;
        let mut out = vec![];
        if setting.threshold(&running.model).is_some_and(|t| t.total_cmp(&threshold).is_ne()) {
            out.push(refuse(&[Clause::P1], "This is not the threshold in use for the gallery."));
        }
        let genuine = setting.certificates.iter().rev().filter(|h| h.genuine.is_some() && h.certificate.gallery == gallery);
        let judged = genuine.map(|h| {
            let mut faults = h.certificate.against(running, threshold, references, on);
            faults.extend(h.ended());
            (h, faults)
        });
        let Some((held, faults)) = judged.min_by_key(|(_, faults)| faults.len()) else { return Err(none()) };
        if !faults.is_empty() {
            out.push(refuse(
                &[Clause::P1],
                format!("No accuracy certificate of the {gallery} gallery covers this search. The closest does not:"),
            ));
            out.extend(faults);
        }
        if out.is_empty() { Ok(held) } else { Err(out) }
    }

    /// Whether an operator may enter a certificate: the first of a gallery and model sets its threshold; later ones
    /// measure the threshold in use again.
    ///
    /// # Errors
    /// Every reason at once (P1).
    pub fn may_issue(&self, certificate: &Certificate, running: &Running, policy: &Policy) -> Result<(), Vec<Refusal>> {
        let mut out = certificate.faults(policy);
        out.extend(not_running(certificate, running));
        let setting = self.settings.get(&certificate.gallery);
        if let Some(t) =
            setting.and_then(|s| s.threshold(&certificate.running.model)).filter(|t| t.total_cmp(&certificate.threshold).is_ne())
        {
            out.push(refuse(
                &[Clause::P1],
                format!("The threshold in use is {t}. Another takes a proposal and a second person: it is not set from here."),
            ));
        }
        if setting.is_some_and(|s| s.stopped(&certificate.running.model)) {
            out.push(refuse(
                &[Clause::P1],
                "The last certificate was revoked. To search again takes a new evaluation, which the gallery's owner proposes and a second person confirms: not an entry from here.",
            ));
        }
        out.extend(self.on_a_revoked_evaluation(certificate));
        out.extend(self.no_demonstration(certificate));
        finish(out)
    }

    /// Whether a change of threshold may be proposed.
    ///
    /// # Errors
    /// Every reason at once (P1).
    pub fn may_propose(
        &self,
        actor: &Actor,
        proposal: &Proposal,
        running: &Running,
        references: u64,
        policy: &Policy,
    ) -> Result<(), Vec<Refusal>> {
        let certificate = &proposal.certificate;
        let mut out = may(actor, Action::ProposeThreshold, certificate.gallery);
        out.extend(certificate.faults(policy));
        out.extend(not_running(certificate, running));
        if references > certificate.references_max {
            out.push(refuse(
                &[Clause::P1],
                format!("The gallery holds {references} references already; say a number that is not smaller."),
            ));
        }
        out.extend(unsaid(&proposal.reasons, "Say why the threshold should change."));
        let setting = self.settings.get(&certificate.gallery);
        if setting.is_some_and(|s| s.proposal.is_some()) {
            out.push(refuse(&[Clause::P1], "A change is proposed already. It is confirmed or declined first."));
        }
        match setting.and_then(|s| s.threshold(&certificate.running.model)) {
            None => out.push(refuse(&[Clause::P1], "The gallery has no threshold for this model yet; its first certificate sets it.")),
            // After a revocation the same threshold is certified again, by the same two people.
            Some(t) if t.total_cmp(&certificate.threshold).is_eq() && !setting.is_some_and(|s| s.stopped(&certificate.running.model)) => {
                out.push(refuse(&[Clause::P1], "That is the threshold in use."));
            }
            Some(t) if t.total_cmp(&proposal.old_threshold).is_ne() => {
                out.push(refuse(&[Clause::P1], "The threshold has changed meanwhile."));
            }
            Some(_) => {}
        }
        out.extend(self.on_a_revoked_evaluation(certificate));
        out.extend(self.no_demonstration(certificate));
        finish(out)
    }

    /// The change that this person confirms, as the second of two: with the day from which it counts. Until when, its
    /// measurement has said.
    ///
    /// # Errors
    /// Every reason at once (P1): the same person twice, a proposer who has left or is no longer the
    /// gallery's owner, another engine or threshold by now, a measurement that is too old by now.
    pub fn may_confirm(
        &self,
        actor: &Actor,
        gallery: GalleryId,
        running: &Running,
        references: u64,
        policy: &Policy,
        on: Date,
    ) -> Result<Certificate, Vec<Refusal>> {
        let mut out = may(actor, Action::ConfirmThreshold, gallery);
        let Some((_, proposal)) = self.settings.get(&gallery).and_then(|s| s.proposal.as_ref()) else {
            out.push(refuse(&[Clause::P1], "No change is proposed."));
            return Err(out);
        };
        if proposal.proposer == actor.person {
            out.push(refuse(&[Clause::P1], "You proposed it: a second person confirms it."));
        }
        if self.actor(proposal.proposer, on).is_none_or(|a| !may(&a, Action::ProposeThreshold, gallery).is_empty()) {
            out.push(refuse(
                &[Clause::P1],
                "Whoever proposed it is no longer an owner of this gallery. Decline it; it can be proposed again.",
            ));
        }
        let certificate = Certificate { issued: on, ..proposal.certificate.clone() };
        out.extend(certificate.faults(policy));
        out.extend(self.on_a_revoked_evaluation(&certificate));
        out.extend(not_running(&certificate, running));
        if references > certificate.references_max {
            out.push(refuse(
                &[Clause::P1],
                format!("The gallery holds {references} references by now, more than was proposed. Decline it."),
            ));
        }
        if out.is_empty() { Ok(certificate) } else { Err(out) }
    }

    /// Whether this person may take a proposal off the table: either of the two.
    ///
    /// # Errors
    /// Every reason at once (P1).
    pub fn may_decline(&self, actor: &Actor, gallery: GalleryId, reasons: &str) -> Result<(), Vec<Refusal>> {
        let mut out = may(actor, Action::ConfirmThreshold, gallery);
        if self.settings.get(&gallery).is_none_or(|s| s.proposal.is_none()) {
            out.push(refuse(&[Clause::P1], "No change is proposed."));
        }
        out.extend(unsaid(reasons, "Say why it is declined."));
        finish(out)
    }

    /// Whether this person may end a certificate before its time, named by the SHA-256 of its note. Stopping searches is
    /// safe, so one person does it; to search again takes two.
    ///
    /// # Errors
    /// Every reason at once (P1).
    pub fn may_revoke(&self, actor: &Actor, gallery: GalleryId, certificate: Digest, reasons: &str) -> Result<&Held, Vec<Refusal>> {
        let mut out = may(actor, Action::RevokeCertificate, gallery);
        out.extend(unsaid(reasons, "Say why the certificate is revoked."));
        let all = self.settings.get(&gallery).map(|s| s.certificates.as_slice()).unwrap_or_default();
        let held = all.iter().find(|h| h.genuine == Some(certificate));
        match held {
            None => out.push(refuse(&[Clause::P1], "There is no such certificate of this gallery.")),
            Some(held) if held.revoked.is_some() => out.push(refuse(&[Clause::P1], "It is revoked already.")),
            Some(held) if out.is_empty() => return Ok(held),
            Some(_) => {}
        }
        Err(out)
    }

    /// What was found not to hold is not certified again on the same evaluation.
    fn on_a_revoked_evaluation(&self, certificate: &Certificate) -> Option<Refusal> {
        let revoked = self.settings.values().any(|s| s.revoked.contains_key(&certificate.evaluation));
        revoked.then(|| refuse(&[Clause::P1], "A certificate from this evaluation was revoked: it has to be measured again."))
    }

    /// A demonstration never takes the place of a measurement.
    fn no_demonstration(&self, certificate: &Certificate) -> Option<Refusal> {
        let held = self.settings.get(&certificate.gallery).map(|s| &s.certificates)?;
        (certificate.demonstration && held.iter().any(|h| !h.certificate.demonstration))
            .then(|| refuse(&[Clause::P1], "The gallery has a measured certificate: a demonstration does not take its place."))
    }
}

/// A certificate for an engine that is not in use would stop every search.
fn not_running(certificate: &Certificate, running: &Running) -> Vec<Refusal> {
    let (threshold, references, on) = (certificate.threshold, certificate.references_max, certificate.issued);
    certificate.against(running, threshold, references, on)
}

/// What the access table, and whose gallery it is, have against it.
fn may(actor: &Actor, action: Action, gallery: GalleryId) -> Vec<Refusal> {
    let mut out = vec![];
    if !actor.roles.iter().any(|r| ruling(*r, State::Received, action).allowed) {
        out.push(refuse(&[ruling(Role::Auditor, State::Received, action).clause], "Your role does not include this."));
    }
    if actor.gallery != Some(gallery) {
        out.push(refuse(&[Clause::R3], "This is another gallery's setting."));
    }
    out
}

/// A refusal unless the reasons say something and fit.
fn unsaid(reasons: &str, ask: &str) -> Option<Refusal> {
    if reasons.trim().is_empty() {
        Some(refuse(&[Clause::P1], ask))
    } else if reasons.trim().chars().count() > crate::limits::TEXT_CHARS_MAX {
        Some(refuse(&[Clause::P1], format!("The reasons are longer than {} characters.", crate::limits::TEXT_CHARS_MAX)))
    } else {
        None
    }
}

fn finish(out: Vec<Refusal>) -> Result<(), Vec<Refusal>> {
    if out.is_empty() { Ok(()) } else { Err(out) }
}

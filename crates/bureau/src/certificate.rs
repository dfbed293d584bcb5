//! certificate: what was measured, issued and signed for a gallery's setting, and the two people that
//! another threshold takes (P1). The rules are `casework::certificate`'s; here they meet the evaluation's
//! file, the engine in use and the installation's key.

use crate::{Bureau, BureauError, Result, register::name_of, sha256};
use casework::{
    access::Action,
    calendar,
    certificate::{Certificate, Changes, Group, Held, Proposal, Rate, Rates, Revoked, Running, Setting, fpir_estimate, last_day},
    clause::Clause,
    event::Who,
    ids::{Digest, PersonId},
    people::{Register, RegisterEvent},
    record::GalleryId,
    refusal::{Refusal, refuse},
};
use face::accuracy::{Evaluation, Search};
use gallery::Gallery as _;
use jiff::civil::Date;
use serde::Serialize;
use strum::IntoEnumIterator;

/// The largest evaluation's file, in bytes: over 100,000 searches.
pub const EVALUATION_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Searches of either kind, and people, that a group needs to be published: fewer say nothing, and may tell of a person.
const GROUP_MIN: u64 = 30;

/// Which certificate is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// The gallery.
    pub gallery: GalleryId,
    /// The threshold, in the model's range.
    pub threshold: f64,
    /// References that the gallery may hold.
    pub references_max: u64,
    /// Whether the false positive rate of more references than were measured may be an estimate, marked as one.
    pub estimate: bool,
}

/// How a gallery's accuracy stands: nothing in it is personal, and everybody may read it.
#[derive(Clone, Debug)]
pub struct Accuracy {
    /// The gallery.
    pub gallery: GalleryId,
    /// Its name.
    pub name: String,
    /// References it holds, if it is open here.
    pub references: Option<u64>,
    /// The threshold in use with the model in use; with the last one that was certified, where none is loaded here.
    pub threshold: Option<f64>,
    /// The certificate in force, or else the newest for that model and threshold.
    pub held: Option<Held>,
    /// Why it may not be searched now; empty where it may.
    pub against: Vec<Refusal>,
}

/// A change of threshold that waits, as its gallery's people see it.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Its number, which its confirmation names.
    pub number: u64,
    /// What is proposed.
    pub proposal: Proposal,
    /// Who proposed it.
    pub by: String,
    /// Why this viewer cannot confirm it; empty where they can.
    pub against: Vec<Refusal>,
}

/// A certificate that was ended before its time; older ones may have stopped counting with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The certificate: SHA-256 of its note.
    pub digest: Digest,
    /// Its threshold.
    pub threshold: f64,
    /// First day it counted, London.
    pub issued: Date,
    /// When it ended, and why.
    pub revoked: Revoked,
}

/// A gallery's setting, as its people see it.
#[derive(Clone, Debug)]
pub struct SettingView {
    /// What everybody may read.
    pub accuracy: Accuracy,
    /// What waits for a second person.
    pub proposed: Option<Proposed>,
    /// Whether the viewer may propose another threshold.
    pub may_propose: bool,
    /// Whether the viewer may take a proposal off the table.
    pub may_decline: bool,
    /// Whether there is a certificate that the viewer may end before its time.
    pub may_revoke: bool,
    /// The revoked certificates of the last [`casework::certificate::CERTIFICATES_MAX`], newest revocation first.
    pub ended: Vec<Ended>,
}

/// What checking a certificate's file found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// What it says.
    pub certificate: Certificate,
    /// Why it does not cover a search here today; empty where it does.
    pub against: Vec<String>,
}

impl Bureau {
    /// What a search of a gallery would run on now, and how many references it holds.
    ///
    /// # Errors
    /// When no engine is loaded or the gallery is not open here.
    pub fn running(&self, gallery: GalleryId) -> Result<(Running, u64)> {
        let specification = hex::encode(self.specification(gallery)?.digest());
        if let Some(elsewhere) = self.elsewhere.get(&gallery) {
            return Ok((elsewhere.running(specification), elsewhere.held()));
        }
        let local = self.galleries.get(&gallery).ok_or_else(|| BureauError::Gallery("this gallery is not open here".into()))?;
        let model = self.engine()?.model();
        let running =
            Running { pack: model.pack.clone(), pack_digest: self.pack_digest.clone(), model: model.id.to_string(), specification };
        Ok((running, local.len()))
    }

    /// The certificate under which a gallery may be searched now (P1).
    ///
    /// # Errors
    /// Refused with every reason.
    pub(crate) fn certified(&self, register: &Register, gallery: GalleryId) -> Result<Held> {
        let (running, references) = self.running(gallery)?;
        let threshold = in_use(register, gallery, &running).unwrap_or_default();
        let today = calendar::london_date(self.now());
        Ok(register.certified(gallery, &running, threshold, references, today)?.clone())
    }

    /// Signs and enters a certificate, as an operator: the first of a gallery and model sets its threshold, later
    /// ones are for the threshold in use.
    ///
    /// # Errors
    /// Refused with every reason; [`BureauError::Overtaken`] when the register changed meanwhile.
    pub async fn issue_certificate(&self, evaluation: &[u8], wanted: Wanted) -> Result<Held> {
        let register = self.register().await?;
        let (running, _) = self.running(wanted.gallery)?;
        let (certificate, ..) = self.certificate(evaluation, wanted, &running, wanted.threshold).await?;
        register.may_issue(&certificate, &running, self.policy())?;
        let note = self.sign(&certificate)?;
        let held = Held { certificate, genuine: Some(sha256(note.as_bytes())), note: note.clone(), revoked: None };
        let event = RegisterEvent::CertificateIssued { gallery: wanted.gallery, note };
        self.record_change(Who::System, event, register.version).await?;
        Ok(held)
    }

    /// Checks a certificate's note: whether this installation signed it, and whether it covers a search today.
    ///
    /// # Errors
    /// Failed when it is not a certificate that this installation signed.
    pub async fn check_certificate(&self, note: &str) -> Result<Checked> {
        let text = self
            .store
            .open_certificate(note)
            .map_err(|e| BureauError::Failed(format!("This is no certificate of this installation: {e}.")))?;
        let certificate =
            Certificate::read(&text).ok_or_else(|| BureauError::Failed("This is signed here, but is no accuracy certificate.".into()))?;
        let register = self.register().await?;
        let entry = register.settings.get(&certificate.gallery).and_then(|s| s.certificates.iter().find(|h| h.note == note));
        let mut against = vec![];
        match entry.map(|h| &h.revoked) {
            None => against.push("It is not on the register of this installation.".to_owned()),
            Some(Some(revoked)) => against.push(revoked.in_words()),
            Some(None) => {}
        }
        let (running, references) = self.running(certificate.gallery)?;
        let mut alone = Register::default();
        alone.apply(RegisterEvent::CertificateIssued { gallery: certificate.gallery, note: note.to_owned() });
        self.check_signatures(&mut alone);
        let today = calendar::london_date(self.now());
        let threshold = in_use(&register, certificate.gallery, &running).unwrap_or(certificate.threshold);
        if let Err(why) = alone.certified(certificate.gallery, &running, threshold, references, today) {
            against.extend(why.into_iter().map(|r| r.words));
        }
        Ok(Checked { certificate, against })
    }

    /// How each gallery's accuracy stands. Public.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn accuracy(&self) -> Result<Vec<Accuracy>> {
        let register = self.register().await?;
        Ok(GalleryId::iter().map(|g| self.accuracy_of(&register, g)).collect())
    }

    fn accuracy_of(&self, register: &Register, gallery: GalleryId) -> Accuracy {
        let setting = register.settings.get(&gallery);
        let model = self.running(gallery).map(|(r, _)| r.model).or_else(|_| self.engine().map(|e| e.model().id.to_string())).ok();
        let current = setting.and_then(|s| s.current(model.as_deref()));
        let (held, against) = match self.certified(register, gallery) {
            Ok(held) => (Some(held), vec![]),
            Err(e) => {
                let why = match e {
                    BureauError::Refused(why) => why,
                    other => vec![refuse(&[Clause::P1], other.to_string())],
                };
                (current.cloned(), why)
            }
        };
        Accuracy {
            gallery,
            name: self.policy().gallery(gallery).name.clone(),
            references: self.gallery_size(gallery),
            threshold: current.map(|h| h.certificate.threshold),
            held,
            against,
        }
    }

    /// The public key that certificates are checked with.
    #[must_use]
    pub fn certificate_key(&self) -> String {
        self.store.certificate_key().to_string()
    }

    /// The settings of the galleries whose figures a person may see.
    ///
    /// # Errors
    /// Refused to people who may not see statistics.
    pub async fn settings(&self, who: PersonId) -> Result<Vec<SettingView>> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::SeeStatistics)?;
        let today = calendar::london_date(self.now());
        let own = |g: &GalleryId| actor.gallery.is_none() || actor.gallery == Some(*g);
        let view = |g: GalleryId| {
            let waiting = register.settings.get(&g).and_then(|s| s.proposal.as_ref());
            let may = |a| actor.gallery == Some(g) && self.house_access(&actor, a).is_ok();
            let proposed = waiting.map(|(number, p)| {
                let against = match self.running(g) {
                    Ok((running, references)) => register.may_confirm(&actor, g, &running, references, self.policy(), today).err(),
                    Err(e) => Some(vec![refuse(&[Clause::P1], e.to_string())]),
                };
                let by = name_of(&register, Who::Person(p.proposer));
                Proposed { number: *number, proposal: p.clone(), by, against: against.unwrap_or_default() }
            });
            let accuracy = self.accuracy_of(&register, g);
            let ended = register.settings.get(&g).map(ended).unwrap_or_default();
            let stands = accuracy.held.as_ref().is_some_and(|h| h.genuine.is_some() && h.revoked.is_none());
            SettingView {
                may_revoke: stands && may(Action::RevokeCertificate),
                ended,
                accuracy,
                may_propose: waiting.is_none() && may(Action::ProposeThreshold),
                may_decline: waiting.is_some() && may(Action::ConfirmThreshold),
                proposed,
            }
        };
        Ok(GalleryId::iter().filter(own).map(view).collect())
    }

    /// Proposes another threshold, on a new evaluation.
    ///
    /// # Errors
    /// Refused with every reason; [`BureauError::Overtaken`] when the register changed meanwhile.
    pub async fn propose_threshold(&self, who: PersonId, evaluation: &[u8], wanted: Wanted, reasons: &str) -> Result<()> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::ProposeThreshold)?;
        let (running, references) = self.running(wanted.gallery)?;
        let old_threshold = in_use(&register, wanted.gallery, &running).unwrap_or(wanted.threshold);
        let (certificate, old, changes) = self.certificate(evaluation, wanted, &running, old_threshold).await?;
        let proposal =
            Proposal { proposer: who, at: self.now(), reasons: reasons.trim().to_owned(), certificate, old_threshold, old, changes };
        register.may_propose(&actor, &proposal, &running, references, self.policy())?;
        self.record_change(Who::Person(who), RegisterEvent::ThresholdProposed(Box::new(proposal)), register.version).await
    }

    /// Confirms the proposal of this number as the second person: signs its certificate, and changes the threshold.
    ///
    /// # Errors
    /// Refused with every reason; [`BureauError::Overtaken`] when another proposal or none waits by now.
    pub async fn confirm_threshold(&self, who: PersonId, gallery: GalleryId, number: u64) -> Result<Held> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::ConfirmThreshold)?;
        still_waits(&register, gallery, number)?;
        let (running, references) = self.running(gallery)?;
        let today = calendar::london_date(self.now());
        let certificate = register.may_confirm(&actor, gallery, &running, references, self.policy(), today)?;
        let note = self.sign(&certificate)?;
        let held = Held { certificate, genuine: Some(sha256(note.as_bytes())), note: note.clone(), revoked: None };
        self.record_change(Who::Person(who), RegisterEvent::ThresholdConfirmed { gallery, note }, register.version).await?;
        Ok(held)
    }

    /// Takes the proposal of this number off the table.
    ///
    /// # Errors
    /// As [`Bureau::confirm_threshold`].
    pub async fn decline_threshold(&self, who: PersonId, gallery: GalleryId, number: u64, reasons: &str) -> Result<()> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::ConfirmThreshold)?;
        still_waits(&register, gallery, number)?;
        register.may_decline(&actor, gallery, reasons)?;
        let event = RegisterEvent::ThresholdDeclined { gallery, reasons: reasons.trim().to_owned() };
        self.record_change(Who::Person(who), event, register.version).await
    }

    /// Ends a certificate before its time, named by the SHA-256 of its note: every search within it is refused from now on,
    /// with the reason. One person does it, as stopping is safe.
    ///
    /// # Errors
    /// Refused with every reason; [`BureauError::Overtaken`] when the register changed meanwhile.
    pub async fn revoke_certificate(&self, who: PersonId, gallery: GalleryId, certificate: Digest, reasons: &str) -> Result<()> {
        let (register, actor) = self.actor(who).await?;
        self.house_access(&actor, Action::RevokeCertificate)?;
        let note = register.may_revoke(&actor, gallery, certificate, reasons)?.note.clone();
        let (on, reasons) = (calendar::london_date(self.now()), reasons.trim().to_owned());
        self.record_change(Who::Person(who), RegisterEvent::CertificateRevoked { gallery, note, on, reasons }, register.version).await
    }

    /// The certificate that an evaluation supports, not yet signed; and its searches at the `old` threshold: their rates,
    /// and what changes.
    async fn certificate(&self, file: &[u8], wanted: Wanted, running: &Running, old: f64) -> Result<(Certificate, Rates, Changes)> {
        let no = |words: String| BureauError::Refused(vec![refuse(&[Clause::P1], words)]);
        if file.len() > EVALUATION_BYTES_MAX {
            return Err(no(format!("The evaluation has {} bytes; at most {EVALUATION_BYTES_MAX} are read.", file.len())));
        }
        let (min, max) = match self.elsewhere.get(&wanted.gallery) {
            Some(elsewhere) => elsewhere.scale(),
            None => self.engine().map(|e| (e.model().scale.min, e.model().scale.max))?,
        };
        if !(min..=max).contains(&wanted.threshold) {
            return Err(no(format!("The threshold is {}; scores of this model are {min} to {max}.", wanted.threshold)));
        }
        let (file, specification) = (file.to_vec(), running.specification.clone());
        let (policy, issued) = (self.policy().clone(), calendar::london_date(self.now()));
        // Reading and counting a large evaluation takes seconds.
        let reckoned = tokio::task::spawn_blocking(move || {
            let it = Evaluation::read(&file)?;
            let at = rates(&it.rates_at(wanted.threshold));
            let (old_rates, changes) = (rates(&it.rates_at(old)), changes(&it.searches, old, wanted.threshold));
            let groups = groups(&it, wanted.threshold);
            let estimated = wanted.estimate && wanted.references_max > it.enrolled;
            let certificate = Certificate {
                gallery: wanted.gallery,
                running: Running {
                    pack: it.pack,
                    pack_digest: it.pack_digest,
                    model: it.model,
                    // Measured on every image, whatever its quality: then it stands for the one in force today.
                    specification: it.image_specification.unwrap_or(specification),
                },
                threshold: wanted.threshold,
                references_max: wanted.references_max,
                references_measured: it.enrolled,
                synthetic: it.fillers,
                fpir_estimate: estimated.then(|| fpir_estimate(&at.fpir, it.enrolled, wanted.references_max)),
                rates: at,
                groups,
                people: it.people,
                images: it.images,
                evaluation: sha256(&file),
                demonstration: it.demonstration,
                measured: it.measured_on,
                issued,
                until: last_day(it.measured_on, &policy),
            };
            Ok::<_, face::accuracy::AccuracyError>((certificate, old_rates, changes))
        });
        reckoned.await.map_err(|e| BureauError::Failed(e.to_string()))?.map_err(|e| no(e.to_string()))
    }

    fn sign(&self, certificate: &Certificate) -> Result<String> {
        Ok(self.store.sign_certificate(&certificate.text()?)?)
    }

    /// Marks the certificates that this installation's key signed.
    pub(crate) fn check_signatures(&self, register: &mut Register) {
        for held in register.settings.values_mut().flat_map(|s| &mut s.certificates) {
            let said = self.store.open_certificate(&held.note).ok().and_then(|text| Certificate::read(&text));
            held.genuine = (said.as_ref() == Some(&held.certificate)).then(|| sha256(held.note.as_bytes()));
        }
    }
}

/// What was revoked in a gallery.
fn ended(setting: &Setting) -> Vec<Ended> {
    let all = setting.revocations().into_iter();
    let line = |(revoked, held): (&Revoked, &Held)| {
        let c = &held.certificate;
        Some(Ended { digest: held.genuine?, threshold: c.threshold, issued: c.issued, revoked: revoked.clone() })
    };
    all.filter_map(line).collect()
}

/// The threshold in use in a gallery with what is running.
fn in_use(register: &Register, gallery: GalleryId, running: &Running) -> Option<f64> {
    register.settings.get(&gallery).and_then(|s| s.threshold(&running.model))
}

/// Somebody was quicker, or the page is old.
fn still_waits(register: &Register, gallery: GalleryId, number: u64) -> Result<()> {
    let waiting = register.settings.get(&gallery).and_then(|s| s.proposal.as_ref()).map(|p| p.0);
    if waiting == Some(number) { Ok(()) } else { Err(BureauError::Overtaken) }
}

fn rates(r: &face::accuracy::Rates) -> Rates {
    let rate = |errors, of, [low, high]: [f64; 2]| Rate { errors, of, low, high };
    Rates { fpir: rate(r.false_positives, r.nonmated, r.fpir_interval), fnir: rate(r.misses, r.mated, r.fnir_interval) }
}

/// The rates of each group that is large enough to say anything.
fn groups(evaluation: &Evaluation, threshold: f64) -> Vec<Group> {
    let all = evaluation.by_group(threshold).into_iter();
    let large = all.filter(|g| [g.people, g.rates.mated, g.rates.nonmated].iter().all(|n| *n >= GROUP_MIN));
    large.map(|g| Group { name: format!("{}: {}", g.column, g.group), rates: rates(&g.rates) }).collect()
}

/// How many searches turn out otherwise at the new threshold.
fn changes(searches: &[Search], old: f64, new: f64) -> Changes {
    let mut out = Changes::default();
    for s in searches {
        match (s.is_miss(old), s.is_miss(new)) {
            (true, false) => out.found += 1,
            (false, true) => out.missed += 1,
            _ => {}
        }
        match (s.is_false_positive(old), s.is_false_positive(new)) {
            (false, true) => out.alerts += 1,
            (true, false) => out.spared += 1,
            _ => {}
        }
    }
    out
}

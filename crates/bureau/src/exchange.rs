//! exchange: references from and to ANSI/NIST-ITL files. Coming in they are enrolled like any picture ([`crate::enrol`]);
//! going out they are an event of a named person first.

use crate::{Bureau, BureauError, Result, enrol::Enrolment};
use casework::{
    disclosure::Biography,
    export::Export,
    ids::{PersonId, ReferenceId},
    limits::EXPORT_REFERENCES_MAX,
    policy::BioField,
    processing::HouseKind,
    record::{GalleryId, Header, NewRecord, RetentionClass, StreamId},
};
use jiff::civil::Date;
use nist::{Face, Field, Tagged, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use strum::IntoEnumIterator as _;

/// Extensions by which such files are known.
pub const EXTENSIONS: [&str; 3] = ["an2", "nist", "eft"];
/// What an export's event calls the format.
const FORMAT: &str = "ANSI/NIST-ITL 1-2011, Update:2015";
/// The longest agency code (1.007, 1.008, 10.004), in characters.
pub const AGENCY_CHARS_MAX: usize = 35;
/// A day that is not known (10.005 and dates of Type-2).
const NO_DATE: &str = "00000000";

/// Which Type-2 field holds which field of a biography: data of each exchange, since Type-2 is each agency's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Type2 {
    field: Vec<Mapped>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapped {
    field: BioField,
    number: u32,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    date: bool,
}

impl Type2 {
    /// The mapping that is used where no other is named: `type2.toml` beside this file.
    ///
    /// # Errors
    /// Failed when it cannot be read: a broken build.
    pub fn standard() -> Result<Self> {
        Self::read(include_str!("type2.toml"))
    }

    /// Reads a mapping.
    ///
    /// # Errors
    /// Failed, saying why, when it is none; when a field stands in it twice, or a number without a prefix twice.
    pub fn read(text: &str) -> Result<Self> {
        let no = |why: String| BureauError::Failed(format!("This is no mapping of Type-2 fields: {why}."));
        let read: Self = toml::from_str(text).map_err(|e| no(e.message().to_owned()))?;
        let (mut fields, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for m in &read.field {
            if !(3..=nist::FIELD_NUMBER_MAX).contains(&m.number) {
                return Err(no(format!("2.{:03} is not one of an agency's fields", m.number)));
            }
            if !fields.insert(m.field) {
                return Err(no(format!("{} stands in it twice", m.field)));
            }
            if !numbers.insert(m.number) {
                return Err(no(format!("2.{:03} stands in it twice", m.number)));
            }
        }
        Ok(read)
    }

    /// What a Type-2 record says of a person, as far as the mapping names it; the rest is not kept.
    fn biography(&self, file: &Transaction, record: &Tagged) -> Result<Biography> {
        let mut out = Biography::default();
        for m in &self.field {
            let no = |why: &str| refused(format!("Its field 2.{:03} {why}.", m.number));
            let Some(text) = file.text(record, m.number).map_err(|e| refused(format!("{e}.")))? else { continue };
            let value =
                if m.prefix.is_empty() { Some(text.as_str()) } else { text.split("; ").find_map(|entry| entry.strip_prefix(&m.prefix)) };
            let Some(value) = value.map(str::trim).filter(|v| !v.is_empty()) else { continue };
            let value = match (m.date, value) {
                (true, NO_DATE) => continue,
                (true, day) => Date::strptime("%Y%m%d", day).map_err(|_| no("is no day (YYYYMMDD)"))?.to_string(),
                (false, text) => text.to_owned(),
            };
            out.0.insert(m.field, value);
        }
        Ok(out)
    }

    /// A Type-2 record of a biography; a field that the mapping does not name stays here.
    fn record(&self, biography: &Biography, idc: u8) -> Result<Tagged> {
        let mut out = Tagged::new(2, idc).map_err(unwritten)?;
        for m in &self.field {
            let Some(value) = biography.0.get(&m.field) else { continue };
            let text = if m.date { day(Some(value)) } else { format!("{}{}", m.prefix, no_separators(value)) };
            out.set(Field::text(m.number, &text).map_err(unwritten)?).map_err(unwritten)?;
        }
        Ok(out)
    }

    /// Fields of a biography that it has no place for.
    #[must_use]
    pub fn without(&self) -> Vec<BioField> {
        BioField::iter().filter(|f| !self.field.iter().any(|m| m.field == *f)).collect()
    }
}

/// A biography's text has no separators of files; were there one, a space stands in its place.
fn no_separators(text: &str) -> String {
    text.replace(|c: char| ('\u{1c}'..='\u{1f}').contains(&c), " ")
}

fn day(iso: Option<&String>) -> String {
    let read = iso.and_then(|d| d.parse::<Date>().ok());
    read.map_or_else(|| NO_DATE.to_owned(), |d| d.strftime("%Y%m%d").to_string())
}

fn refused(words: String) -> BureauError {
    vec![casework::refusal::refuse(&[casework::clause::Clause::A3], words)].into()
}

fn unwritten(e: nist::Error) -> BureauError {
    BureauError::Failed(format!("The file could not be written: {e}."))
}

/// A face of a file, to be enrolled, with the size that the file says.
#[derive(Debug)]
pub(crate) struct FromFile {
    pub(crate) enrolment: Enrolment,
    pub(crate) says: (u32, u32),
}

/// The faces of a file: each one's place in it, and the face or why it is none. A file that cannot be read is one fault.
pub(crate) fn faces(bytes: &[u8], map: &Type2) -> Vec<(Option<String>, Result<FromFile>)> {
    let file = match nist::parse(bytes) {
        Ok(file) => file,
        Err(e) => return vec![(None, Err(refused(format!("It is no file that can be read: {e}."))))],
    };
    let out: Vec<_> = file
        .faces()
        .enumerate()
        .map(|(n, face)| {
            let face = face.map_err(|e| refused(format!("{e}.")));
            let read = face.and_then(|face| {
                let enrolment = Enrolment { biography: biography(&file, &face, map)?, image: face.picture };
                Ok(FromFile { enrolment, says: (face.width, face.height) })
            });
            (Some(format!("picture {}", n + 1)), read)
        })
        .collect();
    if out.is_empty() { vec![(None, Err(refused("It has no Type-10 record, and so no picture of a face.".into())))] } else { out }
}

/// The biography of a face: the file's one Type-2 record, or of several the one that shares the face's IDC.
fn biography(file: &Transaction, face: &Face, map: &Type2) -> Result<Biography> {
    let all: Vec<&Tagged> = file.tagged(2).collect();
    let own: Vec<&Tagged> = all.iter().copied().filter(|r| r.idc() == face.idc).collect();
    match (all.as_slice(), own.as_slice()) {
        ([], _) => Ok(Biography::default()),
        ([one], _) | (_, [one]) => map.biography(file, one),
        _ => {
            Err(refused(format!("Of its Type-2 records not exactly one has the picture's IDC ({}): whose it is cannot be told.", face.idc)))
        }
    }
}

/// What is asked to be exported.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// From which gallery.
    pub gallery: GalleryId,
    /// Which references; none named means all that have a picture.
    pub references: Vec<ReferenceId>,
    /// To whom.
    pub recipient: String,
    /// Why.
    pub reasons: String,
    /// The agency code of the sender (1.008, ORI; 10.004, SRC).
    pub origin: String,
    /// The agency code of the receiver (1.007, DAI).
    pub destination: String,
}

/// What an export did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Files written.
    pub written: u64,
    /// References left out because no picture of them is held (synthetic ones).
    pub without_picture: u64,
}

impl Bureau {
    /// Writes held references as ANSI/NIST-ITL files, one each: Type-1, Type-2 and Type-10. Who, what, to whom and why is
    /// recorded durably before the first of them is given to `write`, and how many were written afterwards (D5).
    /// `progress(done, all)` is called after each.
    ///
    /// # Errors
    /// Refused, with every reason, to anybody but the gallery's owner; [`BureauError::AwaitingWitnesses`], with nothing
    /// written, where too few witnesses cosign the record of it; failed when a reference is not held, is damaged, or
    /// `write` fails: then some files may be written, and the record says how many.
    pub async fn export(
        &self,
        who: PersonId,
        wanted: &Wanted,
        map: &Type2,
        mut write: impl FnMut(ReferenceId, &[u8]) -> std::io::Result<()>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Exported> {
        let (_, actor) = self.actor(who).await?;
        for code in [&wanted.origin, &wanted.destination] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            if code.is_empty() || code.len() > AGENCY_CHARS_MAX || !code.chars().all(plain) {
                return Err(BureauError::Failed(format!(
                    "An agency code has 1 to {AGENCY_CHARS_MAX} letters, digits or any of - _ . /; this one has not: {code}"
                )));
            }
        }
        let mut done = Exported::default();
        let mut asked = Export {
            by: who,
            gallery: wanted.gallery,
            recipient: wanted.recipient.trim().to_owned(),
            reasons: wanted.reasons.trim().to_owned(),
            format: FORMAT.into(),
            references: wanted.references.clone(),
        };
        // Who may not is told nothing of what is held.
        if let Err(mut why) = (Export { references: vec![ReferenceId(uuid::Uuid::nil())], ..asked.clone() }).allowed(&actor) {
            why.dedup();
            return Err(why.into());
        }
        if asked.references.is_empty() {
            (asked.references, done.without_picture) = self.pictured(wanted.gallery).await?;
        } else {
            let named: BTreeSet<ReferenceId> = asked.references.iter().copied().collect();
            asked.references = named.into_iter().collect();
            for reference in &asked.references {
                if self.store.get_holding_image(wanted.gallery, *reference).await?.is_none() {
                    return Err(BureauError::Failed(format!("No picture of {reference} is held in this gallery; nothing was exported.")));
                }
            }
        }
        asked.allowed(&actor)?;
        let header = Header {
            kind: HouseKind::Exported.to_string(),
            at: self.now(),
            gallery: Some(wanted.gallery),
            leo: None,
            clauses: vec!["D5".into()],
            outcome: None,
            state: None,
            policy: self.policy().version.clone(),
            class: RetentionClass::Record,
            trial: false,
        };
        let payload = serde_json::to_vec(&asked)?;
        let seq = self.store.append(StreamId::House, vec![NewRecord { header, payload }]).await?;
        let all = asked.references.len() as u64;
        if let Err(held) = self.witnessed_now(StreamId::House, seq).await {
            // It is on record that it was to leave; so it is that it did not.
            self.note_house(HouseKind::ExportEnded, who, &format!("0 of {all} files of an export were written"), Some(wanted.gallery))
                .await?;
            return Err(held);
        }
        let mut outcome = Ok(());
        for reference in &asked.references {
            outcome = async {
                let bytes = self.as_file(wanted, *reference, map).await?;
                write(*reference, &bytes).map_err(|e| BureauError::Failed(format!("A file could not be written: {e}")))
            }
            .await;
            if outcome.is_err() {
                break;
            }
            done.written += 1;
            progress(done.written, all);
        }
        let what = format!("{} of {all} files of an export were written", done.written);
        self.note_house(HouseKind::ExportEnded, who, &what, Some(wanted.gallery)).await?;
        outcome.map(|()| done)
    }

    /// All references with a picture (one more than may be exported at most), and how many have none.
    async fn pictured(&self, gallery: GalleryId) -> Result<(Vec<ReferenceId>, u64)> {
        let (mut out, mut without, mut after) = (vec![], 0, None);
        loop {
            let page = self.store.holdings_after(gallery, after, 1_000).await?;
            let Some(last) = page.last() else { return Ok((out, without)) };
            after = Some(last.0);
            for (reference, pictured) in page {
                if pictured {
                    out.push(reference)
                } else {
                    without += 1
                }
                if out.len() > EXPORT_REFERENCES_MAX {
                    return Ok((out, without));
                }
            }
        }
    }

    async fn as_file(&self, wanted: &Wanted, reference: ReferenceId, map: &Type2) -> Result<Vec<u8>> {
        let gone = || BureauError::Failed("A reference was taken out while it was exported; run it again.".into());
        let picture = self.store.get_holding_image(wanted.gallery, reference).await?.ok_or_else(gone)?;
        let biography = self.store.get_holding_biography(wanted.gallery, reference).await?.ok_or_else(gone)?;
        let biography: Biography = serde_json::from_slice(&biography)?;
        let pixels = self.decode_again(&picture).await?;
        let header = nist::Header {
            transaction_type: "FACE".into(),
            date: casework::calendar::london_date(self.now()).strftime("%Y%m%d").to_string(),
            destination: wanted.destination.clone(),
            origin: wanted.origin.clone(),
            control_number: reference.to_string(),
        };
        let mut file = Transaction::new(&header).map_err(unwritten)?;
        file.declare_utf8().map_err(unwritten)?;
        file.push(map.record(&biography, 0)?).map_err(unwritten)?;
        // What is held is our own rendering: JPEG, three channels.
        let face = Face {
            idc: 1,
            source: wanted.origin.clone(),
            taken: day(biography.0.get(&BioField::BiometricRecordingDate)),
            width: pixels.width,
            height: pixels.height,
            compression: "JPEGB".into(),
            colour: "YCC".into(),
            picture,
        };
        file.push(face.to_record().map_err(unwritten)?).map_err(unwritten)?;
        Ok(file.to_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_biography_goes_out_and_comes_back() {
        let map = Type2::standard().unwrap();
        assert_eq!(map.without(), []);
        let value = |f: BioField| match f {
            BioField::DateOfBirth | BioField::BiometricRecordingDate => "1990-01-02".to_owned(),
            f => format!("{f} of Łucja, in words; and more"),
        };
        // A number behind a prefix is one entry of several.
        let value = |f: BioField| if f == BioField::PassportNumber { "123456789".into() } else { value(f) };
        let all = Biography(BioField::iter().map(|f| (f, value(f))).collect());
        let header = nist::Header {
            transaction_type: "FACE".into(),
            date: "20261128".into(),
            destination: "TO".into(),
            origin: "FROM".into(),
            control_number: "1".into(),
        };
        let mut file = Transaction::new(&header).unwrap();
        file.declare_utf8().unwrap();
        file.push(map.record(&all, 0).unwrap()).unwrap();
        let read = nist::parse(&file.to_bytes()).unwrap();
        let record = read.tagged(2).next().unwrap();
        assert_eq!(map.biography(&read, record).unwrap(), all);
        assert_eq!(read.text(record, 17).unwrap().as_deref(), Some("PP-123456789"));
        assert_eq!(read.text(record, 22).unwrap().as_deref(), Some("19900102"));
    }

    #[test]
    fn others_entries_are_read_as_the_mapping_says() {
        let map = Type2::read("field = [{ field = \"passport-number\", number = 17, prefix = \"PP-\" }, { field = \"date-of-birth\", number = 22, date = true }]").unwrap();
        assert_eq!(map.without().len(), BioField::iter().count() - 2);
        let header = nist::Header {
            transaction_type: "X".into(),
            date: "20261128".into(),
            destination: "TO".into(),
            origin: "FROM".into(),
            control_number: "1".into(),
        };
        let read = |fields: Vec<Field>| {
            let mut file = Transaction::new(&header).unwrap();
            let mut two = Tagged::new(2, 0).unwrap();
            fields.into_iter().for_each(|f| two.set(f).unwrap());
            file.push(two).unwrap();
            let record = file.tagged(2).next().unwrap();
            map.biography(&file, record)
        };
        let said = read(vec![
            Field::items(17, &[&["AF-1"], &["PP-22"]]).unwrap(),
            Field::text(22, "00000000").unwrap(),
            Field::text(18, "not named").unwrap(),
        ]);
        assert_eq!(said.unwrap(), Biography([(BioField::PassportNumber, "22".into())].into()));
        let wrong = read(vec![Field::text(22, "19900230").unwrap()]).unwrap_err().to_string();
        assert!(wrong.contains("2.022 is no day") && !wrong.contains("1990"), "{wrong}");
    }

    #[test]
    fn a_mapping_that_is_none_is_refused_with_the_reason() {
        let one = |text: &str| Type2::read(&format!("field = [{text}]")).unwrap_err().to_string();
        assert!(one("{ field = \"colour\", number = 3 }").contains("unknown variant"));
        assert!(one("{ field = \"name\", number = 2 }").contains("not one of an agency's"));
        assert!(one("{ field = \"name\", number = 3 }, { field = \"name\", number = 4 }").contains("name stands in it twice"));
        assert!(one("{ field = \"name\", number = 3 }, { field = \"nationality\", number = 3 }").contains("2.003 stands in it twice"));
    }
}

//! The demo's galleries: the people in the model pack's sample photographs, under invented biographies,
//! and synthetic references that make a search a search.

use crate::enrol::bar;
use bureau::{Bureau, BureauError, enrol::Enrolment};
use casework::{disclosure::Biography, policy::BioField, record::GalleryId};
use decoder::{JPEG_QUALITY, Mask, PixelArea, Rgb8};
use face::{Pack, filler::Filler};
use miette::{IntoDiagnostic, Result, miette};
use std::path::{Path, PathBuf};

/// The probe's photograph, left out of the galleries.
pub const PROBE: &str = "sample3.jpg";
/// Which photographs go into which gallery.
const PHOTOGRAPHS: [(&str, GalleryId); 5] = [
    ("sample1.jpg", GalleryId::Passport),
    ("sample2.jpg", GalleryId::Passport),
    ("sample5.jpg", GalleryId::Passport),
    ("sample4.jpg", GalleryId::Immigration),
    ("sample6.jpg", GalleryId::Immigration),
];
/// The seed of the synthetic references.
const SEED: u64 = 2026;
/// Said in every invented biography.
const INVENTED: &str = "Invented for the demonstration; not this person's data";
/// The margin left around a face, as a share of its box.
pub const MARGIN: f64 = 0.6;

/// The folder of sample photographs that came with the pack.
///
/// # Errors
/// When the pack names none.
pub fn photographs(pack: &Pack) -> Result<PathBuf> {
    pack.samples().map(Path::to_owned).ok_or_else(|| miette!(help = "run `make setup`", "the model pack names no sample photographs"))
}

/// Enrols every face of the photographs, each as a picture of its own, then the synthetic references.
/// Returns how many people and how many synthetic references there are.
///
/// # Errors
/// When a photograph is missing or the gallery fails.
pub async fn fill(bureau: &Bureau, pack: &Pack, synthetic: u64) -> Result<(u64, u64)> {
    let folder = photographs(pack)?;
    let progress = bar(PHOTOGRAPHS.len() as u64, "Enrolling photographs");
    let mut people = 0;
    for (file, gallery) in PHOTOGRAPHS {
        let bytes = std::fs::read(folder.join(file)).into_diagnostic()?;
        let pixels = bureau.decode(&bytes).await.into_diagnostic()?;
        let faces = bureau.faces(&pixels).await.into_diagnostic()?;
        let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).into_diagnostic()?;
        let area = |f: &face::DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
        for f in &faces {
            let others: Vec<_> = faces.iter().filter(|o| o.index != f.index).map(|o| area(o).padded(0.1)).collect();
            let one = whole.mask_boxes(&others, Mask::Solid).crop(area(f).padded(MARGIN)).into_diagnostic()?;
            let image = one.to_jpeg(JPEG_QUALITY).into_diagnostic()?;
            match bureau.enrol_one(gallery, Enrolment { image, biography: invented(gallery, people) }).await {
                Ok(_) => people += 1,
                Err(BureauError::Refused(_)) => {} // a face that is not found again alone, or hidden behind another
                Err(e) => return Err(e).into_diagnostic(),
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let filler = Filler::open(pack).into_diagnostic()?;
    let mut fillers = 0;
    for (n, gallery) in [GalleryId::Passport, GalleryId::Immigration].into_iter().enumerate() {
        let progress = bar(synthetic, "Adding synthetic references");
        fillers += bureau
            .enrol_fillers(gallery, &filler, SEED + n as u64, synthetic, |done, _| progress.set_position(done))
            .await
            .into_diagnostic()?;
        progress.finish_and_clear();
    }
    Ok((people, fillers))
}

fn invented(gallery: GalleryId, n: u64) -> Biography {
    const NAMES: [&str; 12] = [
        "Jordan Ashby",
        "Robin Calder",
        "Casey Dunmore",
        "Taylor Everett",
        "Morgan Fairley",
        "Alexis Grainger",
        "Jamie Hollis",
        "Rowan Ivers",
        "Sidney Jessop",
        "Frankie Kelso",
        "Charlie Lorne",
        "Sasha Merrick",
    ];
    let name = NAMES[usize::try_from(n).unwrap_or_default() % NAMES.len()];
    let born = format!("19{:02}-{:02}-{:02}", 70 + n % 30, 1 + n % 12, 1 + n % 28);
    let mut fields: Vec<(BioField, String)> = vec![
        (BioField::Name, name.into()),
        (BioField::DateOfBirth, born),
        (BioField::PassportNumber, format!("DEMO{:05}", 10_000 + n)),
        (BioField::LastKnownAddress, format!("{} Example Street, Northtown", n + 1)),
        (BioField::OtherBiographical, INVENTED.into()),
    ];
    match gallery {
        GalleryId::Passport => {
            fields.extend([
                (BioField::Nationality, "British citizen".into()),
                (BioField::SexMarker, if n.is_multiple_of(2) { "F" } else { "M" }.into()),
            ]);
        }
        GalleryId::Immigration => fields.extend([
            (BioField::PortLocalReference, format!("DEMO/PORT/{n:04}")),
            (BioField::PersonNationalityCode, "XXA".into()),
            (BioField::PassportNationalityCode, "XXA".into()),
            (BioField::HomeOfficeReference, format!("DEMO-H{n:06}")),
            (BioField::BiometricRecordingOfficer, "Invented officer".into()),
            (BioField::BiometricRecordingDate, "2021-03-04".into()),
            (BioField::BiometricRecordingLocation, "Invented enrolment centre".into()),
        ]),
    }
    Biography(fields.into_iter().collect())
}

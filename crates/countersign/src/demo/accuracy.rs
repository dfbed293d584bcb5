//! The demo's accuracy certificates: measured on its own photographs by the real protocol, and marked as
//! what they are. Each person is enrolled cut out of a photograph and searched for in the whole of it, so
//! the second image is no other photograph: it shows how certificates work and says nothing of accuracy.

use super::gallery;
use bureau::{Bureau, certificate::Wanted};
use casework::record::GalleryId;
use decoder::{JPEG_QUALITY, Mask, PixelArea, Rgb8};
use face::{
    Image, Pack,
    accuracy::{About, Acquired, Evaluation, Person, Protocol, Refusals, evaluate},
    filler::Filler,
};
use miette::{IntoDiagnostic, Result};
use std::{num::NonZeroUsize, path::Path};
use strum::IntoEnumIterator;

/// Where the evaluation lies in the demo's folder, to propose another threshold with.
pub const FILE: &str = "evaluation.json";
/// The photographs that came with the pack.
const PHOTOGRAPHS: [&str; 6] = ["sample1.jpg", "sample2.jpg", "sample3.jpg", "sample4.jpg", "sample5.jpg", "sample6.jpg"];
/// The one person who is on two photographs: the second of `sample3.jpg` is the third of `sample1.jpg`.
const AGAIN: ((usize, usize), (usize, usize)) = ((2, 1), (0, 2));
const SEED: u64 = 2026;

/// Measures, keeps the evaluation in `data`, and issues a certificate for each gallery.
///
/// # Errors
/// When a photograph is missing, or the certificate is refused.
pub async fn certify(bureau: &Bureau, pack: &Pack, data: &Path, synthetic: u64) -> Result<()> {
    let evaluation = measure(bureau, pack, synthetic).await?;
    let file = serde_json::to_vec_pretty(&evaluation).into_diagnostic()?;
    std::fs::write(data.join(FILE), &file).into_diagnostic()?;
    let threshold = bureau.engine().into_diagnostic()?.model().threshold.value;
    for gallery in GalleryId::iter() {
        let wanted = Wanted { gallery, threshold, references_max: 2 * evaluation.enrolled, estimate: false };
        bureau.issue_certificate(&file, wanted).await.into_diagnostic()?;
    }
    let at = evaluation.rates_at(threshold);
    eprintln!(
        "Certificates issued, as a DEMONSTRATION: {} of {} people missed, {} of {} searches point at somebody by mistake",
        at.misses, at.mated, at.false_positives, at.nonmated
    );
    Ok(())
}

/// The open-set protocol over the photographs' faces, half as many synthetic references beside them.
async fn measure(bureau: &Bureau, pack: &Pack, synthetic: u64) -> Result<Evaluation> {
    let engine = bureau.engine().into_diagnostic()?.clone();
    let folder = gallery::photographs(pack)?;
    let mut people: Vec<((usize, usize), Person)> = vec![];
    let mut missing = 0;
    for (n, file) in PHOTOGRAPHS.iter().enumerate() {
        let bytes = std::fs::read(folder.join(file)).into_diagnostic()?;
        let pixels = bureau.decode(&bytes).await.into_diagnostic()?;
        let whole = Rgb8::new(pixels.width, pixels.height, pixels.data).into_diagnostic()?;
        let image = Image::new(whole.width(), whole.height(), whole.data()).into_diagnostic()?;
        let faces = engine.detect(&image).into_diagnostic()?;
        let area = |f: &face::DetectedFace| PixelArea { x: f.area.x, y: f.area.y, width: f.area.width, height: f.area.height };
        for f in &faces {
            let others: Vec<_> = faces.iter().filter(|o| o.index != f.index).map(|o| area(o).padded(0.1)).collect();
            let cut = whole.mask_boxes(&others, Mask::Solid).crop(area(f).padded(gallery::MARGIN)).into_diagnostic()?;
            let cut = bureau.decode(&cut.to_jpeg(JPEG_QUALITY).into_diagnostic()?).await.into_diagnostic()?;
            let small = Image::new(cut.width, cut.height, &cut.data).into_diagnostic()?;
            // A face hidden behind a neighbour is not found again alone, and so cannot be enrolled.
            let alone = match engine.detect(&small).into_diagnostic()?.as_slice() {
                [one] => Acquired::from_face(&*engine, &small, one, 1).ok(),
                _ => None,
            };
            let found = Acquired::from_face(&*engine, &image, f, faces.len()).ok();
            missing += u64::from(alone.is_none()) + u64::from(found.is_none());
            match people.iter_mut().find(|(who, _)| *who == AGAIN.1 && (n, f.index) == AGAIN.0) {
                Some((_, person)) => person.images.extend([alone, found]),
                None => people.push(((n, f.index), Person { groups: vec![], images: vec![alone, found] })),
            }
        }
    }
    let filler = Filler::open(pack).into_diagnostic()?;
    let fillers = (0..synthetic / 2 + 20).map(|n| filler.template(SEED, n)).collect::<Result<Vec<_>, _>>().into_diagnostic()?;
    let model = engine.model();
    let about = About {
        measured_on: casework::calendar::london_date(bureau.now()),
        demonstration: true,
        pack: model.pack.clone(),
        pack_digest: pack.digest().to_owned(),
        model: model.id.to_string(),
        pack_threshold: model.threshold.value,
        image_specification: None,
        refusals: vec![Refusals { why: "No face could be found again when it was cut out.".into(), images: missing }],
        several_faces: 0,
    };
    let people: Vec<Person> = people.into_iter().map(|(_, person)| person).collect();
    let protocol = Protocol { seed: SEED, gallery_fraction: 0.5, columns: vec![], threads: NonZeroUsize::MIN };
    evaluate(about, &people, &fillers, None, &protocol).into_diagnostic()
}

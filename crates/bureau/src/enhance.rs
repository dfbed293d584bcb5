//! How an examiner looks closer without scripts: a picture of ours, drawn on the server from pixels that were decoded in the
//! bounded place, as the steps of the image-processing log say. Drawing is the same whenever it is done, so that what an
//! examiner looked at can be made again. Nothing here adds to what the picture shows.

use crate::{Bureau, BureauError, Result, register::name_of, sha256};
use casework::{
    access::{self, Action},
    event::{Entry, Event, Thing, Who},
    ids::{CandidateId, PersonId, ProbeId, RequestId},
    image_log::{ImageLog, Picture, Settings, Shown, Steps},
    record::StreamId,
};
use decoder::{JPEG_QUALITY, PixelArea, Rgb8};
use jiff::Timestamp;

/// Cells of the grid across each side.
pub const GRID_CELLS: u32 = 8;

/// An examiner's log, for whoever oversees.
#[derive(Clone, Debug)]
pub struct LoggedOpinion {
    /// The examiner's name.
    pub examiner: String,
    /// When the opinion was given.
    pub at: Timestamp,
    /// Whether it was the informed conclusion.
    pub informed: bool,
    /// The image and the candidate compared.
    pub compared: (ProbeId, CandidateId),
    /// What was done.
    pub image_log: ImageLog,
}

/// A picture made again from its original by a log.
#[derive(Clone, Debug)]
pub struct MadeAgain {
    /// The picture, JPEG.
    pub jpeg: Vec<u8>,
    /// Whether the original and what was made of it are, byte for byte, what the log says.
    pub same: bool,
}

/// Keeps the view inside the picture: its middle stays half a view from each edge.
fn inside(s: Settings) -> Settings {
    let half = u16::try_from(50_000 / u32::from(s.percent.max(100))).unwrap_or(500);
    Settings { x: s.x.clamp(half, 1_000 - half), y: s.y.clamp(half, 1_000 - half), ..s }
}

fn draw(picture: &Rgb8, settings: Settings) -> Result<Rgb8> {
    let s = inside(settings);
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let share = 100.0 / f64::from(s.percent.max(100));
    let view = PixelArea {
        x: width * (f64::from(s.x) / 1_000.0 - share / 2.0),
        y: height * (f64::from(s.y) / 1_000.0 - share / 2.0),
        width: width * share,
        height: height * share,
    };
    let seen = picture.turned_view(view, s.degrees).map_err(|e| BureauError::Failed(e.to_string()))?;
    let seen = seen.brightness_contrast(i32::from(s.brightness), i32::from(s.contrast));
    if s.grid { ruled(&seen) } else { Ok(seen) }
}

/// The picture under a grid of [`GRID_CELLS`] cells a side: a light and a dark line beside each other,
/// so that it shows on any tone.
fn ruled(picture: &Rgb8) -> Result<Rgb8> {
    let (width, height) = (picture.width(), picture.height());
    let mut data = picture.data().to_vec();
    let mut paint = |x: u32, y: u32, tone: u8| {
        if x < width && y < height {
            let at = (y as usize * width as usize + x as usize) * 3;
            data[at..at + 3].fill(tone);
        }
    };
    for n in 1..GRID_CELLS {
        for y in 0..height {
            paint(width * n / GRID_CELLS, y, 255);
            paint(width * n / GRID_CELLS + 1, y, 0);
        }
        for x in 0..width {
            paint(x, height * n / GRID_CELLS, 255);
            paint(x, height * n / GRID_CELLS + 1, 0);
        }
    }
    Rgb8::new(width, height, data).map_err(|e| BureauError::Failed(e.to_string()))
}

impl Bureau {
    /// A picture of ours (a JPEG that this house encoded) as the settings show it, as a JPEG.
    ///
    /// # Errors
    /// When it cannot be decoded or encoded.
    pub async fn rendered(&self, jpeg: Vec<u8>, settings: Settings) -> Result<Vec<u8>> {
        if inside(settings) == Settings::default() {
            return Ok(jpeg);
        }
        let picture = self.decoder()?.decode(&jpeg, None).await.map_err(|e| BureauError::Failed(e.to_string()))?.pixels;
        let drawn = tokio::task::spawn_blocking(move || {
            draw(&picture, settings)?.to_jpeg(JPEG_QUALITY).map_err(|e| BureauError::Failed(e.to_string()))
        });
        drawn.await.map_err(|e| BureauError::Failed(e.to_string()))?
    }

    /// The log that goes with an examiner's opinion: the steps, and by digest what they made of the pictures before them.
    ///
    /// # Errors
    /// As [`Bureau::comparison_probe`].
    pub async fn image_log(&self, who: PersonId, id: RequestId, probe: ProbeId, candidate: CandidateId, steps: Steps) -> Result<ImageLog> {
        if steps.0.is_empty() {
            return Ok(ImageLog::default());
        }
        let pictures = [
            (Picture::Probe, Some(self.comparison_probe(who, id, probe).await?)),
            (Picture::Held, self.comparison_candidate(who, id, probe, candidate).await?),
        ];
        let mut shown = vec![];
        for (picture, jpeg) in pictures {
            let Some(jpeg) = jpeg else { continue };
            let original = sha256(&jpeg);
            let drawn = self.rendered(jpeg, steps.settings(picture)).await?;
            shown.push(Shown { picture, original, shown: sha256(&drawn) });
        }
        Ok(ImageLog { steps, shown })
    }

    /// The logs of a request's opinions in the order in which they were given, by their place in its history. Looking at them
    /// is recorded, and ends with being able to examine it.
    ///
    /// # Errors
    /// Refused with every reason.
    pub async fn image_logs(&self, who: PersonId, id: RequestId) -> Result<Vec<(u64, LoggedOpinion)>> {
        let (request, _, register) = self.open_for(who, id, Action::SeeImageLog).await?;
        self.consult(who, &request, Thing::History, "how examiners looked at the pictures").await?;
        let mut out = vec![];
        for (place, record) in self.store.load(StreamId::Request(id)).await?.into_iter().enumerate() {
            let Some(payload) = record.payload.filter(|_| ["visual-given", "informed-given"].contains(&record.header.kind.as_str())) else {
                continue;
            };
            let (informed, probe, candidate, examiner, image_log) = match serde_json::from_slice::<Entry>(&payload)?.event {
                Event::VisualGiven { probe, candidate, examiner, opinion } => (false, probe, candidate, examiner, opinion.image_log),
                Event::InformedGiven { probe, candidate, examiner, opinion } => (true, probe, candidate, examiner, opinion.image_log),
                _ => continue,
            };
            let examiner = name_of(&register, Who::Person(examiner));
            out.push((place as u64, LoggedOpinion { examiner, at: record.header.at, informed, compared: (probe, candidate), image_log }));
        }
        Ok(out)
    }

    /// Whether somebody sees such pictures, and not only that they can be made again.
    ///
    /// # Errors
    /// Refused as unknown to whoever may not know of the request.
    pub async fn sees_pictures_made_again(&self, who: PersonId, id: RequestId) -> Result<bool> {
        let (request, actor, _) = self.open_for(who, id, Action::SeeImageLog).await?;
        Ok(actor.roles.iter().any(|r| access::ruling(*r, request.state, Action::SeeImage).allowed))
    }

    /// A picture as an examiner saw it, made again from the original by the log at this place of the history.
    ///
    /// # Errors
    /// Refused with every reason; gone when the original has been erased, or there is no such log.
    pub async fn made_again(&self, who: PersonId, id: RequestId, place: u64, picture: Picture) -> Result<MadeAgain> {
        let (_, log) = self.image_logs(who, id).await?.into_iter().find(|(at, _)| *at == place).ok_or(BureauError::Gone)?;
        let said = log.image_log.shown.iter().find(|s| s.picture == picture).ok_or(BureauError::Gone)?;
        let (request, ..) = self.open_for(who, id, Action::SeeImageLog).await?;
        let (probe, candidate) = log.compared;
        const WHY: &str = "making a picture again as an examiner saw it";
        let original = match picture {
            Picture::Probe => {
                self.consult(who, &request, Thing::Probe(probe), WHY).await?;
                self.masked(request.image(probe).ok_or(BureauError::Gone)?).await?
            }
            Picture::Held => {
                self.consult(who, &request, Thing::CandidateImage(candidate), WHY).await?;
                self.held_image(&request, candidate).await?.ok_or(BureauError::Gone)?
            }
        };
        let digest = sha256(&original);
        let jpeg = self.rendered(original, log.image_log.steps.settings(picture)).await?;
        Ok(MadeAgain { same: digest == said.original && sha256(&jpeg) == said.shown, jpeg })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 80 × 40 pixels: left half dark, right half light.
    fn halves() -> Rgb8 {
        let data = (0..40).flat_map(|_| (0..80).flat_map(|x| [if x < 40 { 50 } else { 200 }; 3])).collect();
        Rgb8::new(80, 40, data).unwrap()
    }

    #[test]
    fn nothing_asked_shows_the_picture_as_it_is() {
        assert_eq!(draw(&halves(), Settings::default()).unwrap(), halves());
    }

    #[test]
    fn zooming_shows_the_part_in_the_middle_of_the_view() {
        let right = draw(&halves(), Settings { percent: 400, x: 1_000, ..Settings::default() }).unwrap();
        assert_eq!((right.width(), right.height()), (20, 10));
        assert!(right.data().iter().all(|v| *v == 200), "the view was moved to the right edge");
    }

    #[test]
    fn turning_and_tones_are_done_to_what_is_seen() {
        let turned = draw(&halves(), Settings { degrees: 90, ..Settings::default() }).unwrap();
        assert_eq!((turned.width(), turned.height()), (40, 80));
        let bright = draw(&halves(), Settings { brightness: 20, ..Settings::default() }).unwrap();
        assert_eq!((bright.data()[0], bright.data()[237]), (60, 240));
        let flat = draw(&halves(), Settings { contrast: -50, ..Settings::default() }).unwrap();
        assert!(flat.data()[237] - flat.data()[0] < 80);
    }

    #[test]
    fn the_grid_is_drawn_over_the_picture_and_nothing_else_changes() {
        let ruled = draw(&halves(), Settings { grid: true, ..Settings::default() }).unwrap();
        assert_eq!(&ruled.data()[10 * 3..10 * 3 + 6], [255, 255, 255, 0, 0, 0], "the first line stands at an eighth");
        assert_eq!(ruled.data()[0], 50);
    }

    #[test]
    fn whatever_is_asked_is_drawn_and_twice_the_same() {
        for degrees in [0, 1, 15, 90, 135, 180, 270, 359] {
            for percent in [100, 101, 333, 1_600] {
                let s = Settings { percent, x: 1_000, y: 0, degrees, brightness: -90, contrast: 90, grid: true };
                let drawn = draw(&halves(), s).unwrap();
                assert!(drawn.width() <= 80 && drawn.height() <= 80);
                assert_eq!(drawn, draw(&halves(), s).unwrap());
            }
        }
    }
}

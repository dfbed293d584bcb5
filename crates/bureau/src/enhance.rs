//! How an examiner looks closer without scripts: an enhancement of a picture, drawn on the server from
//! pixels that were decoded in the bounded place. Nothing here adds to what the picture shows.

use crate::{Bureau, BureauError, Result};
use decoder::{JPEG_QUALITY, PixelArea, Rgb8};

/// The magnifications, in percent of the whole picture's width.
pub const ZOOM_PERCENT: [u16; 7] = [100, 150, 200, 300, 400, 600, 800];
/// The furthest that brightness goes either way, in grey levels.
pub const BRIGHTNESS_LEVELS_MAX: i16 = 120;
/// The most contrast that is taken away or added, in percent.
pub const CONTRAST_PERCENT_MAX: i16 = 90;
/// Cells of the grid across each side.
pub const GRID_CELLS: u32 = 8;

/// What is done to one picture before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhancement {
    /// An index into [`ZOOM_PERCENT`].
    pub zoom: u8,
    /// Where the middle of the view lies across the picture, in thousandths from the left.
    pub x: u16,
    /// Where it lies down the picture, in thousandths from the top.
    pub y: u16,
    /// Clockwise quarter turns, 0 to 3.
    pub turns: u8,
    /// Grey levels added, within ±[`BRIGHTNESS_LEVELS_MAX`].
    pub brightness: i16,
    /// Contrast added in percent, within ±[`CONTRAST_PERCENT_MAX`].
    pub contrast: i16,
    /// Whether a grid is drawn over it.
    pub grid: bool,
}

impl Default for Enhancement {
    fn default() -> Self {
        Self { zoom: 0, x: 500, y: 500, turns: 0, brightness: 0, contrast: 0, grid: false }
    }
}

impl Enhancement {
    /// The same with everything brought within its bounds.
    #[must_use]
    pub fn bounded(self) -> Self {
        let zoom = self.zoom.min(u8::try_from(ZOOM_PERCENT.len() - 1).unwrap_or_default());
        // The view stays inside the picture: its middle keeps half a view from each edge.
        let half = u16::try_from(50_000 / u32::from(ZOOM_PERCENT[usize::from(zoom)])).unwrap_or(500);
        Self {
            zoom,
            x: self.x.clamp(half, 1_000 - half),
            y: self.y.clamp(half, 1_000 - half),
            turns: self.turns % 4,
            brightness: self.brightness.clamp(-BRIGHTNESS_LEVELS_MAX, BRIGHTNESS_LEVELS_MAX),
            contrast: self.contrast.clamp(-CONTRAST_PERCENT_MAX, CONTRAST_PERCENT_MAX),
            grid: self.grid,
        }
    }

    /// The magnification in percent.
    #[must_use]
    pub fn percent(self) -> u16 {
        ZOOM_PERCENT[usize::from(self.bounded().zoom)]
    }

    fn draw(self, picture: &Rgb8) -> Result<Rgb8> {
        let e = self.bounded();
        let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
        let share = 100.0 / f64::from(e.percent());
        let view = PixelArea {
            x: width * (f64::from(e.x) / 1_000.0 - share / 2.0),
            y: height * (f64::from(e.y) / 1_000.0 - share / 2.0),
            width: width * share,
            height: height * share,
        };
        let seen = picture.crop(view).map_err(|e| BureauError::Failed(e.to_string()))?;
        let seen = seen.rotate(e.turns).brightness_contrast(i32::from(e.brightness), i32::from(e.contrast));
        if e.grid { ruled(&seen) } else { Ok(seen) }
    }
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
    /// A picture of ours (a JPEG that this house encoded) as an enhancement shows it, as a JPEG.
    ///
    /// # Errors
    /// When it cannot be decoded or encoded.
    pub async fn rendered(&self, jpeg: Vec<u8>, enhancement: Enhancement) -> Result<Vec<u8>> {
        if enhancement.bounded() == Enhancement::default() {
            return Ok(jpeg);
        }
        let picture = self.decoder()?.decode(&jpeg, None).await.map_err(|e| BureauError::Failed(e.to_string()))?.pixels;
        let drawn = tokio::task::spawn_blocking(move || {
            enhancement.draw(&picture)?.to_jpeg(JPEG_QUALITY).map_err(|e| BureauError::Failed(e.to_string()))
        });
        drawn.await.map_err(|e| BureauError::Failed(e.to_string()))?
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
        assert_eq!(Enhancement::default().draw(&halves()).unwrap(), halves());
    }

    #[test]
    fn zooming_shows_the_part_in_the_middle_of_the_view() {
        let right = Enhancement { zoom: 4, x: 1_000, ..Enhancement::default() }.draw(&halves()).unwrap();
        assert_eq!((right.width(), right.height()), (20, 10));
        assert!(right.data().iter().all(|v| *v == 200), "the view was moved to the right edge");
    }

    #[test]
    fn turning_and_tones_are_done_to_what_is_seen() {
        let turned = Enhancement { turns: 1, ..Enhancement::default() }.draw(&halves()).unwrap();
        assert_eq!((turned.width(), turned.height()), (40, 80));
        let bright = Enhancement { brightness: 20, ..Enhancement::default() }.draw(&halves()).unwrap();
        assert_eq!((bright.data()[0], bright.data()[237]), (70, 220));
        let flat = Enhancement { contrast: -50, ..Enhancement::default() }.draw(&halves()).unwrap();
        assert!(flat.data()[237] - flat.data()[0] < 80);
    }

    #[test]
    fn the_grid_is_drawn_over_the_picture_and_nothing_else_changes() {
        let ruled = Enhancement { grid: true, ..Enhancement::default() }.draw(&halves()).unwrap();
        assert_eq!(&ruled.data()[10 * 3..10 * 3 + 6], [255, 255, 255, 0, 0, 0], "the first line stands at an eighth");
        assert_eq!(ruled.data()[0], 50);
    }

    #[test]
    fn whatever_is_asked_stays_within_bounds() {
        for zoom in 0..=u8::MAX {
            let wild = Enhancement { zoom, x: u16::MAX, y: 0, turns: 255, brightness: i16::MIN, contrast: i16::MAX, grid: true };
            let drawn = wild.draw(&halves()).unwrap();
            assert!(drawn.width() <= 80 && drawn.height() <= 80);
            assert_eq!(wild.bounded(), wild.bounded().bounded());
        }
    }
}

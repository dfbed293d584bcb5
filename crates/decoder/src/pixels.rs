//! Pixels that have come through the decoder, and what pages do with them.

use image::{
    ExtendedColorType, ImageEncoder, RgbImage,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    imageops::{self, FilterType},
};
use std::fmt;

/// The JPEG quality for pictures that people compare, 1 to 100: high, so that nothing is lost that matters.
pub const JPEG_QUALITY: u8 = 92;
/// How many cells a mosaic keeps across the longer side of a masked area: too few to recognise anyone.
const MOSAIC_CELLS: u32 = 5;

/// What can be wrong with a request about pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PixelError {
    /// The data is not `width` × `height` × 3 bytes, or a side is zero.
    #[error("{bytes} bytes are not a {width} × {height} picture of 3 bytes a pixel")]
    Geometry {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes given.
        bytes: usize,
    },
    /// The area lies outside the picture.
    #[error("the area lies outside the {width} × {height} picture")]
    Outside {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The encoder failed.
    #[error("the picture could not be written: {0}")]
    Encode(String),
}

/// A rectangle in pixels; it may reach outside a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelArea {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl PixelArea {
    /// The same, larger by a share of its sides on every edge (0.25 adds a quarter on each).
    #[must_use]
    pub fn padded(self, share: f64) -> Self {
        Self {
            x: self.x - self.width * share,
            y: self.y - self.height * share,
            width: self.width * (1.0 + 2.0 * share),
            height: self.height * (1.0 + 2.0 * share),
        }
    }

    /// Whole pixels of it that lie within a picture: left, top, right, bottom (exclusive).
    fn within(&self, width: u32, height: u32) -> Option<(u32, u32, u32, u32)> {
        // A float cast saturates and turns NaN into 0.
        let side = |v: f64, most: u32| v.clamp(0.0, f64::from(most)) as u32;
        let left = side(self.x.floor(), width);
        let top = side(self.y.floor(), height);
        let right = side((self.x + self.width).ceil(), width);
        let bottom = side((self.y + self.height).ceil(), height);
        (left < right && top < bottom).then_some((left, top, right, bottom))
    }
}

/// How an area is made unrecognisable. Both are irreversible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// One grey: nothing is left.
    Solid,
    /// A few large cells: shows that somebody is there, and roughly in which colours.
    Mosaic,
}

/// 8-bit RGB pixels, rows from the top, no padding. `Debug` shows the size only.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb8 {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl fmt::Debug for Rgb8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rgb8({} × {})", self.width, self.height)
    }
}

impl Rgb8 {
    /// Wraps pixels.
    ///
    /// # Errors
    /// [`PixelError::Geometry`] if a side is zero or the length does not fit.
    pub fn new(width: u32, height: u32, data: Vec<u8>) -> Result<Self, PixelError> {
        let needed = u128::from(width) * u128::from(height) * 3;
        if width == 0 || height == 0 || data.len() as u128 != needed {
            return Err(PixelError::Geometry { width, height, bytes: data.len() });
        }
        Ok(Self { width, height, data })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, three bytes each.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    fn from_image(picture: RgbImage) -> Self {
        Self { width: picture.width(), height: picture.height(), data: picture.into_raw() }
    }

    fn to_image(&self) -> RgbImage {
        // The length was checked when this was made.
        RgbImage::from_raw(self.width, self.height, self.data.clone()).unwrap_or_default()
    }

    /// The part of an area that lies within the picture.
    ///
    /// # Errors
    /// [`PixelError::Outside`] if none of it does.
    pub fn crop(&self, area: PixelArea) -> Result<Self, PixelError> {
        let part = area.within(self.width, self.height);
        let (left, top, right, bottom) = part.ok_or(PixelError::Outside { width: self.width, height: self.height })?;
        let mut data = Vec::with_capacity(((right - left) * (bottom - top)) as usize * 3);
        for row in top..bottom {
            data.extend_from_slice(&self.data[self.span(row, left, right)]);
        }
        Ok(Self { width: right - left, height: bottom - top, data })
    }

    fn span(&self, row: u32, left: u32, right: u32) -> std::ops::Range<usize> {
        let start = row as usize * self.width as usize;
        (start + left as usize) * 3..(start + right as usize) * 3
    }

    /// Scaled, in proportion, to fit within a size; a smaller picture stays as it is.
    #[must_use]
    pub fn scale_to_fit(&self, width: u32, height: u32) -> Self {
        let share = (f64::from(width) / f64::from(self.width)).min(f64::from(height) / f64::from(self.height));
        if share >= 1.0 {
            return self.clone();
        }
        let side = |v: u32| ((f64::from(v) * share).round() as u32).max(1);
        let (w, h) = (side(self.width), side(self.height));
        Self::from_image(imageops::resize(&self.to_image(), w, h, FilterType::CatmullRom))
    }

    /// Areas made unrecognisable; parts outside the picture do not matter.
    #[must_use]
    pub fn mask_boxes(&self, areas: &[PixelArea], mask: Mask) -> Self {
        let mut out = self.clone();
        for area in areas {
            let Some((left, top, right, bottom)) = area.within(self.width, self.height) else {
                continue;
            };
            let cell = match mask {
                Mask::Solid => u32::MAX,
                Mask::Mosaic => (right - left).max(bottom - top).div_ceil(MOSAIC_CELLS),
            };
            let mut y = top;
            while y < bottom {
                let low = y.saturating_add(cell).min(bottom);
                let mut x = left;
                while x < right {
                    let far = x.saturating_add(cell).min(right);
                    let colour = match mask {
                        Mask::Solid => [128; 3],
                        Mask::Mosaic => self.mean(x, y, far, low),
                    };
                    for row in y..low {
                        let span = out.span(row, x, far);
                        let pixels = out.data[span].chunks_exact_mut(3);
                        pixels.for_each(|p| p.copy_from_slice(&colour));
                    }
                    x = far;
                }
                y = low;
            }
        }
        out
    }

    fn mean(&self, left: u32, top: u32, right: u32, bottom: u32) -> [u8; 3] {
        let mut sum = [0u64; 3];
        for row in top..bottom {
            for pixel in self.data[self.span(row, left, right)].chunks_exact(3) {
                (0..3).for_each(|k| sum[k] += u64::from(pixel[k]));
            }
        }
        let count = u64::from(right - left) * u64::from(bottom - top);
        sum.map(|s| (s / count.max(1)) as u8)
    }

    /// Turned clockwise by quarter turns.
    #[must_use]
    pub fn rotate(&self, quarter_turns: u8) -> Self {
        match quarter_turns % 4 {
            1 => Self::from_image(imageops::rotate90(&self.to_image())),
            2 => Self::from_image(imageops::rotate180(&self.to_image())),
            3 => Self::from_image(imageops::rotate270(&self.to_image())),
            _ => self.clone(),
        }
    }

    /// An area as it looks after turning the picture clockwise about the area's middle. Quarter turns are exact, and turn the
    /// area's sides; at any other angle the sides stay, and each pixel is a mixture of its four nearest (white outside).
    ///
    /// # Errors
    /// [`PixelError::Outside`] if none of the area lies within the picture.
    pub fn turned_view(&self, area: PixelArea, degrees: u16) -> Result<Self, PixelError> {
        let plain = self.crop(area)?;
        if degrees.is_multiple_of(90) {
            return Ok(plain.rotate((degrees / 90 % 4) as u8));
        }
        // Places are taken to a 256th of a pixel, so that no processor's last bit of a sine shows.
        const FINE: f64 = 256.0;
        let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
        let (sin, cos) = ((sin * 65_536.0).round() / 65_536.0, (cos * 65_536.0).round() / 65_536.0);
        let (middle_x, middle_y) = (area.x + area.width / 2.0, area.y + area.height / 2.0);
        let mut data = Vec::with_capacity(plain.data.len());
        for row in 0..plain.height {
            for column in 0..plain.width {
                let dx = f64::from(column) + 0.5 - f64::from(plain.width) / 2.0;
                let dy = f64::from(row) + 0.5 - f64::from(plain.height) / 2.0;
                let x = ((middle_x + dx * cos + dy * sin - 0.5) * FINE).round() as i64;
                let y = ((middle_y - dx * sin + dy * cos - 0.5) * FINE).round() as i64;
                data.extend(self.mixed(x, y));
            }
        }
        Ok(Self { width: plain.width, height: plain.height, data })
    }

    /// The mixture of the four pixels around a place given in 256ths of a pixel.
    fn mixed(&self, x: i64, y: i64) -> [u8; 3] {
        let at = |x: i64, y: i64| match (u32::try_from(x), u32::try_from(y)) {
            (Ok(x), Ok(y)) if x < self.width && y < self.height => {
                let at = (y as usize * self.width as usize + x as usize) * 3;
                [self.data[at], self.data[at + 1], self.data[at + 2]]
            }
            _ => [255; 3],
        };
        let (left, top) = (x.div_euclid(256), y.div_euclid(256));
        let (right_share, low_share) = (x.rem_euclid(256), y.rem_euclid(256));
        let corners = [
            (at(left, top), (256 - right_share) * (256 - low_share)),
            (at(left + 1, top), right_share * (256 - low_share)),
            (at(left, top + 1), (256 - right_share) * low_share),
            (at(left + 1, top + 1), right_share * low_share),
        ];
        std::array::from_fn(|k| {
            let sum: i64 = corners.iter().map(|(colour, share)| i64::from(colour[k]) * share).sum();
            ((sum + 32_768) / 65_536) as u8
        })
    }

    /// Every value times 1 + `brightness` percent, then spread around mid-grey by 1 + `contrast` percent (each −100 to 300; values
    /// beyond are brought within): what the CSS filters of these names do.
    #[must_use]
    pub fn brightness_contrast(&self, brightness: i32, contrast: i32) -> Self {
        let factor = |percent: i32| 1.0 + f64::from(percent.clamp(-100, 300)) / 100.0;
        let (times, spread) = (factor(brightness), factor(contrast));
        let table: Vec<u8> = (0..=255u8)
            .map(|v| {
                let lit = (f64::from(v) * times).min(255.0);
                ((lit - 127.5) * spread + 127.5).round().clamp(0.0, 255.0) as u8
            })
            .collect();
        let data = self.data.iter().map(|v| table[usize::from(*v)]).collect();
        Self { width: self.width, height: self.height, data }
    }

    /// As a JPEG of quality 1 to 100, without any metadata.
    ///
    /// # Errors
    /// [`PixelError::Encode`] if the encoder fails, as it does past 65,535 pixels a side.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, PixelError> {
        let mut out = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut out, quality.clamp(1, 100));
        self.write(encoder)?;
        Ok(out)
    }

    /// As a PNG, without any metadata or loss.
    ///
    /// # Errors
    /// [`PixelError::Encode`] if the encoder fails.
    pub fn to_png(&self) -> Result<Vec<u8>, PixelError> {
        let mut out = Vec::new();
        self.write(PngEncoder::new(&mut out))?;
        Ok(out)
    }

    fn write(&self, encoder: impl ImageEncoder) -> Result<(), PixelError> {
        let written = encoder.write_image(&self.data, self.width, self.height, ExtendedColorType::Rgb8);
        written.map_err(|e| PixelError::Encode(e.to_string()))
    }
}

//! Copies of real photographs, made worse in one known way.

use super::Photograph;
use image::{
    DynamicImage, RgbImage,
    imageops::{self, FilterType},
};

impl Photograph {
    fn buffer(&self) -> RgbImage {
        RgbImage::from_raw(self.width, self.height, self.rgb.clone()).unwrap()
    }

    fn of(picture: RgbImage) -> Self {
        Self { width: picture.width(), height: picture.height(), rgb: picture.into_raw() }
    }

    /// Each value by a function of it.
    pub fn toned(&self, how: impl Fn(u8) -> u8) -> Self {
        Self { width: self.width, height: self.height, rgb: self.rgb.iter().map(|v| how(*v)).collect() }
    }

    /// Out of focus: a Gaussian of this standard deviation, in pixels.
    pub fn blurred(&self, pixels: f32) -> Self {
        Self::of(imageops::blur(&self.buffer(), pixels))
    }

    /// At a share of its size.
    pub fn smaller(&self, share: f64) -> Self {
        let side = |v: u32| ((f64::from(v) * share).round() as u32).max(1);
        Self::of(imageops::resize(&self.buffer(), side(self.width), side(self.height), FilterType::Triangle))
    }

    /// Made smaller and brought back to its size: the pixels are there, the detail is not.
    pub fn enlarged_from(&self, share: f64) -> Self {
        Self::of(imageops::resize(&self.smaller(share).buffer(), self.width, self.height, FilterType::Triangle))
    }

    /// Through a JPEG of this quality, 1 to 100.
    pub fn through_jpeg(&self, quality: u8) -> Self {
        let mut file = vec![];
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
        DynamicImage::ImageRgb8(self.buffer()).write_with_encoder(encoder).unwrap();
        Self::of(image::load_from_memory(&file).unwrap().into_rgb8())
    }

    /// A part of it.
    pub fn part(&self, x: u32, y: u32, width: u32, height: u32) -> Self {
        Self::of(imageops::crop_imm(&self.buffer(), x, y, width, height).to_image())
    }

    /// Turned about its middle by so many degrees; what lies outside is black.
    pub fn turned(&self, degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (mx, my) = (f64::from(self.width) / 2.0, f64::from(self.height) / 2.0);
        let from = self.buffer();
        Self::of(RgbImage::from_fn(self.width, self.height, |x, y| {
            let (dx, dy) = (f64::from(x) - mx, f64::from(y) - my);
            let (sx, sy) = (mx + cos * dx + sin * dy, my - sin * dx + cos * dy);
            imageops::sample_bilinear(&from, (sx / f64::from(self.width)) as f32, (sy / f64::from(self.height)) as f32)
                .unwrap_or(image::Rgb([0; 3]))
        }))
    }
}

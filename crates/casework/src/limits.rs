//! Limits of a request, each in one place, unit last. Limits of bytes and pixels are the decoder's.

/// Images that one form may carry.
pub const IMAGES_PER_REQUEST_MAX: usize = 10;
/// Faces that one image may show.
pub const FACES_PER_IMAGE_MAX: usize = 30;
/// Characters in one free-text answer.
pub const TEXT_CHARS_MAX: usize = 5_000;
/// Entries in a candidate list; long lists make people worse.
pub const CANDIDATES_MAX: usize = 10;
/// Examiners who may give an opinion on one probe: two, and one to settle a difference.
pub const EXAMINERS_MAX: usize = 3;
/// Confirmations that a match needs (M2).
pub const CONFIRMATIONS_MIN: usize = 2;
/// References that one export may carry, recorded as one event.
pub const EXPORT_REFERENCES_MAX: usize = 1_000;

//! Checking a pack before it is trusted: digests, licence, and whether the nets say here what they said
//! where the pack was made.

use crate::{FaceError, ModelInfo, OnnxEngine, Pack, PackError};
use std::path::Path;

/// How far a value may be from the recorded one: processors round differently.
const SELF_TEST_TOLERANCE: f32 = 2e-3;

/// Why a pack did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It did not open.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It did not load or run.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// The manifest names no licence.
    #[error("the manifest names no licence, so the pack cannot be used. Ask its maker, and write it in `licence`")]
    NoLicence,
    /// A net's values are not the recorded ones.
    #[error(
        "the {net} net gives other values than recorded (off by {off}; {SELF_TEST_TOLERANCE} is allowed). The runtime or the processor does not suit it"
    )]
    SelfTest {
        /// The net.
        net: &'static str,
        /// The largest difference.
        off: f32,
    },
}

/// What a pack that passed is.
#[derive(Clone, Debug)]
pub struct PackReport {
    /// The model.
    pub model: ModelInfo,
    /// The maker's remarks.
    pub notes: String,
    /// SHA-256 of the manifest, for the whole pack.
    pub digest: String,
    /// Nets whose recorded values were compared. Empty when the manifest records none.
    pub self_tested: Vec<&'static str>,
}

/// Opens a pack, checks digests and licence, loads the nets and compares their self-test values.
///
/// # Errors
/// [`CheckError`], which says what is wrong and what to do.
pub fn pack_check(folder: &Path, library: &Path) -> Result<PackReport, CheckError> {
    check(&Pack::open(folder)?, library)
}

/// The same for a pack that is open: what was checked is what [`Pack::files`] holds.
///
/// # Errors
/// As [`pack_check`].
pub fn check(pack: &Pack, library: &Path) -> Result<PackReport, CheckError> {
    if pack.info().licence.trim().is_empty() {
        return Err(CheckError::NoLicence);
    }
    let engine = OnnxEngine::load(pack, library)?;
    engine.dry_run()?;
    let mut self_tested = Vec::new();
    for (net, expected, found) in engine.self_test()? {
        if expected.is_empty() {
            continue;
        }
        let far = |(a, b): (&f32, &f32)| (a - b).abs();
        let off = expected.iter().zip(&found).map(far).fold(0.0, f32::max);
        if found.len() != expected.len() || off.is_nan() || off > SELF_TEST_TOLERANCE {
            return Err(CheckError::SelfTest { net, off });
        }
        self_tested.push(net);
    }
    Ok(PackReport { model: pack.info().clone(), notes: pack.notes().to_owned(), digest: pack.digest().to_owned(), self_tested })
}

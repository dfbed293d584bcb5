//! Where the tests' packs and photographs are: made and fetched by `make setup`, never committed.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helper")]

pub mod degrade;
#[path = "../../examples/common/mod.rs"]
pub mod pictures;
pub mod trials;

use face::{DetectedFace, Engine, Image, OnnxEngine, Pack, Template};
use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn needed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run make setup", path.display());
    path
}

pub fn bundled() -> PathBuf {
    needed(root().join("build/packs/bundled"))
}

pub fn library() -> PathBuf {
    needed(root().join("build/onnxruntime/libonnxruntime.so"))
}

pub fn engine() -> OnnxEngine {
    OnnxEngine::load(&Pack::open(&bundled()).unwrap(), &library()).unwrap()
}

/// Photographs for development beside the repository; said aloud when absent.
pub fn shared() -> Option<PathBuf> {
    let path = std::env::var_os("COUNTERSIGN_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if ["models", "faces/people"].iter().all(|part| path.join(part).is_dir()) {
        return Some(path);
    }
    eprintln!("NOT RUN: no development models and photographs at {}; set COUNTERSIGN_SHARED", path.display());
    None
}

pub struct Photograph {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}

impl Photograph {
    pub fn open(path: &Path) -> Self {
        let picture = image::open(path).unwrap().into_rgb8();
        Self { width: picture.width(), height: picture.height(), rgb: picture.into_raw() }
    }

    /// `sample1.jpg` to `sample6.jpg` of the npm package.
    pub fn sample(number: u32) -> Self {
        let demo = root().join("node_modules/@vladmandic/face-api/demo");
        Self::open(&needed(demo.join(format!("sample{number}.jpg"))))
    }

    pub fn image(&self) -> Image<'_> {
        Image::new(self.width, self.height, &self.rgb).unwrap()
    }

    pub fn faces(&self, engine: &dyn Engine) -> Vec<DetectedFace> {
        engine.detect(&self.image()).unwrap()
    }

    pub fn template(&self, engine: &dyn Engine, index: usize) -> Template {
        let faces = self.faces(engine);
        engine.template(&self.image(), &faces[index]).unwrap()
    }
}

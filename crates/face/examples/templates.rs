//! Prints the templates of all photographs below a folder, one JSON line each: what
//! `tools/packs/calibrate.py` measures a threshold and filler statistics from.
//!
//! ```sh
//! cargo run -p face --example templates -- PACK LIBRARY FOLDER > templates.jsonl
//! ```
#![allow(clippy::expect_used, reason = "a developer's tool: it stops where it fails")]

mod common;

use face::{Engine, Image};

fn main() {
    let (engine, paths) = common::engine_and_photographs("templates");
    for (done, path) in paths.iter().enumerate() {
        let picture = image::open(path).expect("a photograph").into_rgb8();
        let image = Image::new(picture.width(), picture.height(), picture.as_raw()).expect("an image");
        let faces = engine.detect(&image).expect("detection runs");
        for face in &faces {
            let template = engine.template(&image, face).expect("a template");
            let line = serde_json::json!({
                "model": template.model(), "path": path, "face": face.index, "faces": faces.len(),
                "width": picture.width(), "height": picture.height(), "area": face.area, "score": face.score,
                "points": face.points, "values": template.values(),
            });
            println!("{line}");
        }
        if faces.is_empty() {
            eprintln!("no face: {}", path.display());
        }
        if (done + 1) % 50 == 0 {
            eprintln!("{} of {}", done + 1, paths.len());
        }
    }
}

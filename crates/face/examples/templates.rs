//! Prints the templates of all photographs below a folder, one JSON line each: what
//! `tools/packs/calibrate.py` measures a threshold and filler statistics from.
//!
//! ```sh
//! cargo run -p face --example templates -- PACK LIBRARY FOLDER > templates.jsonl
//! ```
#![allow(clippy::expect_used, reason = "a developer's tool: it stops where it fails")]

use face::{Engine, Image, OnnxEngine, Pack};
use std::path::{Path, PathBuf};

fn photographs(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            photographs(&path, into);
        } else if path.extension().is_some_and(|e| e == "jpg" || e == "png") {
            into.push(path);
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, pack, library, folder] = args.as_slice() else {
        eprintln!("usage: templates PACK LIBRARY FOLDER");
        std::process::exit(2);
    };
    let pack = Pack::open(pack.as_ref()).expect("the pack opens");
    let engine = OnnxEngine::load(&pack, library.as_ref()).expect("the engine loads");
    let mut paths = Vec::new();
    photographs(folder.as_ref(), &mut paths);
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

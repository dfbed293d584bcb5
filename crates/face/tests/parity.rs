//! The engine beside `tools/packs/pipeline.py`, the same pipeline written once more in another language.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::{Photograph, pictures::photographs, root, shared, trials::second_engine};
use face::{Area, DetectedFace, Engine};
use serde::Deserialize;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

/// A face as the other pipeline has it.
#[derive(Deserialize)]
struct Theirs {
    #[serde(rename = "box")]
    edges: [f64; 4],
    points: [[f64; 2]; 5],
    template: Vec<f64>,
}

#[test]
fn templates_agree_with_a_pipeline_written_in_python() {
    let Some(shared) = shared() else { return };
    let python = root().join(".venv/bin/python");
    if !python.exists() {
        eprintln!("NOT RUN: no Python at {}; run make setup", python.display());
        return;
    }
    let engine = second_engine(&shared);
    let paths = photographs(&shared.join("faces"));
    assert!(paths.len() > 500, "{}", paths.len());

    let packs = root().join("tools/packs");
    let arguments = [packs.join("pipeline.py"), packs.join("yunet_mobilefacenet.toml"), shared.join("models")];
    let mut child = Command::new(python).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut answers = from.lines();
    let (mut faces, mut least, mut farthest, mut alone) = (0, f64::INFINITY, 0f64, 0);
    // All as they are, and every tenth turned too, so that every kind of look is compared.
    let turned = paths.iter().step_by(10).map(|path| Photograph::open(path).turned(100.0));
    for photograph in paths.iter().map(|path| Photograph::open(path)).chain(turned) {
        write!(to, "P6\n{} {}\n255\n", photograph.width, photograph.height).unwrap();
        to.write_all(&photograph.rgb).unwrap();
        to.flush().unwrap();
        let ours = photograph.faces(&engine);
        let theirs: Vec<Theirs> = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        alone += ours.len().abs_diff(theirs.len());
        for one in &theirs {
            let [left, top, right, bottom] = one.edges;
            let area = Area { x: left, y: top, width: right - left, height: bottom - top };
            let Some(face) = DetectedFace::nearest(&area, &ours) else { continue };
            let template = engine.template(&photograph.image(), face).unwrap();
            let cosine: f64 = template.values().iter().zip(&one.template).map(|(a, b)| f64::from(*a) * b).sum();
            let p = &face.points;
            let pairs = [p.left_eye, p.right_eye, p.nose, p.left_mouth, p.right_mouth].into_iter().zip(one.points);
            farthest = pairs.map(|(a, [x, y])| (a.x - x).hypot(a.y - y)).fold(farthest, f64::max);
            least = least.min(cosine);
            faces += 1;
            assert!(cosine >= 0.9999, "a face of a photograph agrees by {cosine} only");
        }
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    println!(
        "{faces} faces in {} photographs and the turned: least cosine {least:.7}, points {farthest:.4} pixels apart at most, {alone} found by one alone",
        paths.len()
    );
    assert!(faces > 600, "{faces}");
    assert_eq!(alone, 0, "faces that one of the two found alone");
}

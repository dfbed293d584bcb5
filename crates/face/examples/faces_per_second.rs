//! The engine's half of `tools/packs/faces_per_second.py`, which measures it beside Python's onnxruntime.
//!
//! ```sh
//! cargo build --release -p face --example faces_per_second
//! .venv/bin/python tools/packs/faces_per_second.py PACK FOLDER
//! ```
//! Reads all photographs below FOLDER once; then, for each line on standard input, either prints them as binary PPM
//! (`pictures`), or finds, aligns and templates every face with that many threads and prints faces and seconds.
#![allow(clippy::expect_used, reason = "a developer's tool: it stops where it fails")]

mod common;

use face::{Engine, Image};
use std::{
    io::{BufRead, Write},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

fn main() {
    let (engine, paths) = common::engine_and_photographs("faces_per_second");
    let pictures: Vec<_> = paths.iter().map(|p| image::open(p).expect("a photograph").into_rgb8()).collect();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input");
        if line == "pictures" {
            writeln!(out, "{}", pictures.len()).expect("standard output");
            for p in &pictures {
                write!(out, "P6\n{} {}\n255\n", p.width(), p.height()).expect("standard output");
                out.write_all(p.as_raw()).expect("standard output");
            }
        } else {
            let threads: usize = line.parse().expect("a number of threads");
            let (next, faces) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let started = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        while let Some(p) = pictures.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let image = Image::new(p.width(), p.height(), p.as_raw()).expect("an image");
                            for face in engine.detect(&image).expect("detection runs") {
                                engine.template(&image, &face).expect("a template");
                                faces.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            let seconds = started.elapsed().as_secs_f64();
            writeln!(out, "{} {seconds}", faces.into_inner()).expect("standard output");
        }
        out.flush().expect("standard output");
    }
}

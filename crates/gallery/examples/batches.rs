//! Answers batches of probes from NumPy files, for comparing with other engines in one run.
//!
//! `cargo run --release -p gallery --example batches -- --gallery ROWS.npy --probes PROBES.npy --k 50 --threads 1`
//!
//! Enrols the rows (row number as id) in a temporary gallery, prints `ready {facts}`, then answers each
//! line `START COUNT` on standard input, rows of the probe file, with one JSON line:
//! `{"ms": time of the search alone, "ids": [[row, …], …], "scores": [[…], …]}`, best first, ties by
//! lower row. `--threshold T` keeps scores of at least T only, `--kernel scalar|avx2|avx512` chooses.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::time::Instant;

use gallery::{Attributes, Filters, Gallery, Kernel, LocalGallery, ModelId, NewReference, Probe, SearchLimits, Settings};

/// References enrolled at a time: bounds the memory of the enrolment.
const BATCH: usize = 1 << 18;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).map(String::as_str);
    let k: usize = option("--k").unwrap_or("50").parse()?;
    let threads: NonZeroUsize = option("--threads").unwrap_or("1").parse()?;
    let threshold: Option<f64> = option("--threshold").map(str::parse).transpose()?;
    let kernel = match option("--kernel") {
        None => Kernel::best(),
        Some("scalar") => Kernel::Scalar,
        Some("avx2") => Kernel::Avx2,
        Some("avx512") => Kernel::Avx512Vnni,
        Some(other) => return Err(format!("no kernel is called {other}").into()),
    };
    let model = ModelId::new("npy/1")?;
    let mut rows = Npy::open(option("--gallery").ok_or("--gallery FILE.npy is missing")?)?;
    let mut probes = Npy::open(option("--probes").ok_or("--probes FILE.npy is missing")?)?;
    let probes: Vec<Probe> = probes.take(usize::MAX)?.into_iter().map(|t| Probe::new(model.clone(), t)).collect::<Result<_, _>>()?;

    let folder = tempfile::tempdir()?;
    let settings = Settings { threads, kernel };
    let gallery = LocalGallery::create(folder.path(), &model, rows.columns, settings)?;
    let mut number = 0_u128;
    let mut enrolling = 0.0;
    loop {
        let batch: Vec<NewReference> = rows
            .take(BATCH)?
            .into_iter()
            .map(|template| {
                number += 1;
                NewReference { id: (number - 1).to_be_bytes(), template, attributes: Attributes::default() }
            })
            .collect();
        if batch.is_empty() {
            break;
        }
        let start = Instant::now();
        gallery.append(&model, &batch)?;
        enrolling += start.elapsed().as_secs_f64();
    }
    // As other engines load an index, and only then answer.
    gallery.warm()?;
    let facts = serde_json::json!({
        "references": number as u64, "dimension": rows.columns, "kernel": format!("{kernel:?}"), "threads": threads,
        "enrolled_a_second": (number as f64 / enrolling).round(),
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready {facts}")?;
    out.flush()?;

    let limits = SearchLimits { k, threshold, filters: Filters::default() };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (start, count) = line.trim().split_once(' ').ok_or("a line is START COUNT")?;
        let (start, count): (usize, usize) = (start.parse()?, count.parse()?);
        let batch = probes.get(start..start + count).ok_or("no such probes")?;
        let begin = Instant::now();
        let lists = gallery.search_batch(batch, &limits)?;
        let ms = begin.elapsed().as_secs_f64() * 1e3;
        let ids: Vec<Vec<u64>> = lists.iter().map(|l| l.entries.iter().map(|c| u128::from_be_bytes(c.id) as u64).collect()).collect();
        let scores: Vec<Vec<f64>> = lists.iter().map(|l| l.entries.iter().map(|c| c.score).collect()).collect();
        writeln!(out, "{}", serde_json::json!({ "ms": ms, "ids": ids, "scores": scores }))?;
        out.flush()?;
    }
    Ok(())
}

/// A two-dimensional little-endian f32 array in NumPy's format, read row by row.
struct Npy {
    file: BufReader<File>,
    left: usize,
    columns: usize,
}

impl Npy {
    fn open(path: &str) -> Result<Self, Box<dyn Error>> {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut start = [0; 10];
        file.read_exact(&mut start)?;
        if &start[..6] != b"\x93NUMPY" || start[6] != 1 {
            return Err(format!("{path} is not a NumPy file of version 1").into());
        }
        let mut header = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
        file.read_exact(&mut header)?;
        let header = String::from_utf8(header)?;
        let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).map(|(shape, _)| shape);
        let sizes: Vec<usize> = shape.unwrap_or_default().split(',').filter_map(|n| n.trim().parse().ok()).collect();
        let [left, columns] = sizes[..] else { return Err(format!("{path} does not hold a table").into()) };
        if !header.contains("'<f4'") || !header.contains("'fortran_order': False") {
            return Err(format!("{path} does not hold f32 in C order").into());
        }
        Ok(Npy { file, left, columns })
    }

    fn take(&mut self, most: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let mut rows = Vec::new();
        let mut bytes = vec![0; 4 * self.columns];
        while self.left > 0 && rows.len() < most {
            self.file.read_exact(&mut bytes)?;
            rows.push(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect());
            self.left -= 1;
        }
        Ok(rows)
    }
}

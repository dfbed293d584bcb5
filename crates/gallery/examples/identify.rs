//! Fills a gallery with random templates, searches it, and prints what each step took.
//!
//! `cargo run --release -p gallery --example identify -- [REFERENCES] [DIMENSION]`

use std::error::Error;
use std::time::{Duration, Instant};

use gallery::{Attributes, Filters, Gallery, LocalGallery, ModelId, NewReference, Probe, SearchLimits, Settings};

/// References made and enrolled at a time: bounds the memory that takes.
const BATCH: u32 = 1 << 18;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let references: u32 = arguments.next().map_or(Ok(100_000), |a| a.parse())?;
    let dimension: usize = arguments.next().map_or(Ok(128), |a| a.parse())?;
    let folder = tempfile::tempdir()?;
    let model = ModelId::new("random/1")?;
    let mut state = 42;

    let gallery = LocalGallery::create(folder.path(), &model, dimension, Settings::default())?;
    let mut enrolling = Duration::ZERO;
    for from in (0..references).step_by(BATCH as usize) {
        let batch: Vec<NewReference> = (from..references.min(from + BATCH))
            .map(|n| NewReference {
                id: u128::from(n).to_be_bytes(),
                template: random_unit(&mut state, dimension),
                attributes: Attributes { synthetic: true, ..Attributes::default() },
            })
            .collect();
        let start = Instant::now();
        gallery.append(&model, &batch)?;
        enrolling += start.elapsed();
    }
    let rate = f64::from(references) / enrolling.as_secs_f64();
    println!("enrolled {references} × {dimension} and synced: {enrolling:?}, {rate:.0} a second");
    drop(gallery);

    let files: Vec<u64> = std::fs::read_dir(folder.path())?.map(|e| Ok(e?.metadata()?.len())).collect::<std::io::Result<_>>()?;
    let (start, before) = (Instant::now(), mapped_and_resident());
    let gallery = LocalGallery::open_for_search(folder.path(), &model, Settings::default())?;
    let took = start.elapsed();
    print!("opened {:.1} GB in {} files: {took:?}", files.iter().sum::<u64>() as f64 / 1e9, files.len());
    match (before, mapped_and_resident()) {
        (Some(before), Some(after)) => println!("; of them {:.1} MB are in memory", (after - before) as f64 / 1e6),
        _ => println!(),
    }
    let probe = Probe::new(model.clone(), random_unit(&mut state, dimension))?;
    let start = Instant::now();
    gallery.search(&probe, &SearchLimits { k: 10, threshold: None, filters: Filters::default() })?;
    println!("first search, which checks what it reads: {:?}", start.elapsed());

    for (what, threshold) in [("best 10", None), ("best 10 at or above 0.35", Some(0.35))] {
        let mut took = Vec::new();
        let mut list = None;
        for _ in 0..21 {
            let probe = Probe::new(model.clone(), random_unit(&mut state, dimension))?;
            let limits = SearchLimits { k: 10, threshold, filters: Filters::default() };
            let start = Instant::now();
            list = Some(gallery.search(&probe, &limits)?);
            took.push(start.elapsed());
        }
        took.sort_unstable();
        let list = list.ok_or("no search ran")?;
        println!(
            "{what}: median {:?} over {} searched; {} candidates, more: {}",
            took[took.len() / 2],
            list.searched,
            list.entries.len(),
            list.more_above_threshold
        );
    }
    println!("{} references at epoch {}", gallery.len(), gallery.epoch());
    Ok(())
}

/// Bytes of mapped files that are in this process's memory, where the system tells (Linux).
fn mapped_and_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssFile:"))?.trim().strip_suffix(" kB")?;
    Some(1_024 * kilobytes.parse::<u64>().ok()?)
}

/// A unit vector with components drawn evenly (SplitMix64), good enough to time with.
fn random_unit(state: &mut u64, dimension: usize) -> Vec<f32> {
    let mut next = || {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64 - 0.5
    };
    let raw: Vec<f64> = (0..dimension).map(|_| next()).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.iter().map(|x| (x / length) as f32).collect()
}

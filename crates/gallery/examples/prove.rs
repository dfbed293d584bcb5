//! Holds every list to a brute force at scale: all kernels, batches, threads, list lengths, filters,
//! erasures and thresholds, against f64 sums written out here without any of the crate's code.
//!
//! `cargo run --release -p gallery --example prove -- [REFERENCES] [DIMENSION] [PROBES]`
//! (1,000,000 × 128 and 1,024 probes unless told; about five minutes on two cores). Exits non-zero at
//! the first list that differs, and prints how many were compared.

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Instant;

use gallery::{
    Attributes, CandidateList, Filters, Gallery, Kernel, LocalGallery, ModelId, NewReference, Probe, ReferenceId, SearchLimits, Settings,
};

const LONGEST: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let references: u64 = arguments.next().map_or(Ok(1_000_000), |a| a.parse())?;
    let dimension: usize = arguments.next().map_or(Ok(128), |a| a.parse())?;
    let probes: usize = arguments.next().map_or(Ok(1_024), |a| a.parse())?;
    let mut random = Random(11);
    let model = ModelId::new("random/1")?;

    // A crowd around a few centres, so that there are near-ties; some exact duplicates.
    let centres: Vec<Vec<f32>> = (0..20).map(|_| random.unit(dimension)).collect();
    let mut held: Vec<NewReference> = Vec::with_capacity(references as usize);
    for n in 0..references {
        let template = if n % 1_000 == 999 {
            held[random.below(n) as usize].template.clone()
        } else {
            let centre = random.below(20) as usize;
            random.near(&centres[centre], 0.9)
        };
        let attributes = Attributes {
            sex_marker: random.below(3) as u8,
            year_of_birth: 1_930 + random.below(80) as u16,
            enrolled_at: random.below(1_000_000) as i64,
            synthetic: true,
        };
        held.push(NewReference { id: (u128::from(random.next()) << 64 | u128::from(n)).to_be_bytes(), template, attributes });
    }
    let folder = tempfile::tempdir()?;
    let gallery = LocalGallery::create(folder.path(), &model, dimension, Settings::default())?;
    for part in held.chunks(200_000) {
        gallery.append(&model, part)?;
    }
    let erased: Vec<ReferenceId> = (0..references.min(20_000)).map(|_| held[random.below(references) as usize].id).collect();
    gallery.erase(&erased)?;
    drop(gallery);
    let gone: std::collections::HashSet<ReferenceId> = erased.into_iter().collect();
    held.retain(|r| !gone.contains(&r.id));
    println!("{} references of dimension {dimension} enrolled, {} erased", held.len(), gone.len());

    let asked: Vec<Vec<f32>> = (0..probes)
        .map(|n| {
            let mated = random.below(held.len() as u64) as usize;
            if n % 2 == 0 { random.near(&held[mated].template, 0.4) } else { random.unit(dimension) }
        })
        .collect();
    let narrow = Filters {
        sex_markers: vec![1],
        years_of_birth: Some(gallery::YearBand { from: 1_960, to: 1_975, or_unknown: false }),
        enrolled_before: Some(900_000),
        ..Filters::default()
    };
    let start = Instant::now();
    let truths: Vec<[Vec<(f64, ReferenceId)>; 2]> = brute_force(&held, &asked, &narrow);
    println!("brute force of {probes} probes, with and without filters: {:.0} s", start.elapsed().as_secs_f64());

    let asked: Vec<Probe> = asked.into_iter().map(|t| Probe::new(model.clone(), t)).collect::<Result<_, _>>()?;
    let mut compared = 0_u64;
    for kernel in Kernel::available() {
        for threads in [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)] {
            let gallery = LocalGallery::open_for_search(folder.path(), &model, Settings { threads, kernel })?;
            for (which, filters) in [(0, Filters::default()), (1, narrow.clone())] {
                for k in [1, 10, 50, LONGEST] {
                    for batch in [1, 16] {
                        // The scalar kernel is hundreds of times slower: it gets a share of the probes.
                        let share = if kernel == Kernel::Scalar { 64 } else { 1 };
                        for (chunk, truths) in asked.chunks(batch).zip(truths.chunks(batch)).step_by(share) {
                            // The threshold cuts the first probe's list in the middle, at an exact tie with itself.
                            let middle = truths[0][which].get(k / 2).map(|t| t.0);
                            for threshold in [None, middle] {
                                let limits = SearchLimits { k, threshold, filters: filters.clone() };
                                let lists = gallery.search_batch(chunk, &limits)?;
                                for (list, truth) in lists.iter().zip(truths) {
                                    same(list, &truth[which], &limits).map_err(|e| format!("{kernel:?}, {threads} threads, k {k}: {e}"))?;
                                    compared += 1;
                                }
                            }
                        }
                    }
                }
            }
            println!("{kernel:?} on {threads} threads: as the brute force ({compared} lists so far)");
        }
    }
    println!("{compared} lists compared, none differs");
    Ok(())
}

/// Compares a list with the best [`LONGEST`] + 1 by definition.
fn same(list: &CandidateList, truth: &[(f64, ReferenceId)], limits: &SearchLimits) -> Result<(), &'static str> {
    let reach: Vec<&(f64, ReferenceId)> = truth.iter().filter(|t| limits.threshold.is_none_or(|at| t.0 >= at)).collect();
    let expected = reach.iter().take(limits.k).map(|t| (t.0.to_bits(), t.1));
    if !list.entries.iter().map(|c| (c.score.to_bits(), c.id)).eq(expected) {
        return Err("a list differs from the brute force");
    }
    if list.more_above_threshold == (reach.len() > limits.k) { Ok(()) } else { Err("a list tells wrongly whether there are more") }
}

/// The best [`LONGEST`] + 1 of all, and of those that the filters admit: f64 in dimension order, ties by id.
fn brute_force(held: &[NewReference], asked: &[Vec<f32>], narrow: &Filters) -> Vec<[Vec<(f64, ReferenceId)>; 2]> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = asked.len().div_ceil(threads);
    let work = |asked: &[Vec<f32>]| -> Vec<[Vec<(f64, ReferenceId)>; 2]> {
        let mut best: Vec<[Vec<(f64, ReferenceId)>; 2]> = vec![[Vec::new(), Vec::new()]; asked.len()];
        let cut = |list: &mut Vec<(f64, ReferenceId)>| {
            list.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            list.truncate(LONGEST + 1);
        };
        for r in held {
            let admitted = narrow.admit(&r.attributes);
            for (probes, best) in asked.chunks(8).zip(best.chunks_mut(8)) {
                let mut sums = [0.0_f64; 8];
                for (i, x) in r.template.iter().enumerate() {
                    for (sum, probe) in sums.iter_mut().zip(probes) {
                        *sum += f64::from(probe[i]) * f64::from(*x);
                    }
                }
                for (best, sum) in best.iter_mut().zip(sums) {
                    for list in &mut best[..if admitted { 2 } else { 1 }] {
                        list.push((sum, r.id));
                        if list.len() >= 8 * LONGEST {
                            cut(list);
                        }
                    }
                }
            }
        }
        best.iter_mut().flatten().for_each(cut);
        best
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = asked.chunks(share).map(|part| scope.spawn(move || work(part))).collect();
        parts.into_iter().flat_map(|p| p.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    })
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn unit(&mut self, d: usize) -> Vec<f32> {
        self.near(&vec![0.0; d], 1.0)
    }

    /// A unit vector in the direction of `centre` with noise of about length `noise`.
    fn near(&mut self, centre: &[f32], noise: f64) -> Vec<f32> {
        let scale = noise * (12.0 / centre.len() as f64).sqrt();
        let raw: Vec<f64> = centre.iter().map(|c| f64::from(*c) + scale * (self.next() as f64 / u64::MAX as f64 - 0.5)).collect();
        let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
        raw.iter().map(|x| (x / length) as f32).collect()
    }
}

//! What a search hopes for, and what it does when that was too much.

use super::*;
use crate::{Attributes, Gallery, LocalGallery, ModelId, NewReference, Probe};

const D: usize = 16;
const SPANS: usize = 12;
const SPAN_ROWS: usize = SPAN_ZONES * ZONE_ROWS;

/// A unit vector, `near` of the way to `to`.
fn template(state: &mut u64, to: &[f32], near: f64) -> Vec<f32> {
    let mut next = || {
        *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (*state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let v: Vec<f64> = to.iter().map(|t| f64::from(*t) * near + next() * (1.0 - near)).collect();
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter().map(|x| (x / length) as f32).collect()
}

/// A gallery of [`SPANS`] spans, sorted by year of birth; those of the crowd resemble the probe.
fn gallery(folder: &std::path::Path, probe: &[f32], crowd: impl Fn(usize) -> bool) -> (LocalGallery, Vec<NewReference>) {
    let mut state = 7;
    let references: Vec<NewReference> = (0..SPANS * SPAN_ROWS)
        .map(|n| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(n as u64).to_be_bytes());
            let near = if crowd(n) { 0.8 } else { 0.0 };
            let attributes = Attributes { year_of_birth: (n / SPAN_ROWS) as u16 + 1, ..Attributes::default() };
            NewReference { id, template: template(&mut state, probe, near), attributes }
        })
        .collect();
    let model = ModelId::new("test-net/1").unwrap();
    let gallery = LocalGallery::create(folder, &model, D, Settings::default()).unwrap();
    gallery.append(&model, &references).unwrap();
    gallery.compact().unwrap();
    (gallery, references)
}

fn best(references: &[NewReference], probe: &[f32], k: usize) -> Vec<ReferenceId> {
    let mut all: Vec<Ranked> = references.iter().map(|r| Ranked { score: score::canonical(probe, &r.template), id: r.id }).collect();
    all.sort_by(|a, b| b.cmp(a));
    all.iter().take(k).map(|r| r.id).collect()
}

/// Searches once with hope and says whether it was kept, and whether there was any; and as everybody searches.
fn both(gallery: &LocalGallery, probe: &[f32], limits: &SearchLimits) -> (bool, bool, Vec<ReferenceId>) {
    let snapshot = gallery.snapshot();
    let probes = [probe];
    let floors = [limits.threshold.unwrap_or(f64::NEG_INFINITY)];
    let once = Search::new(&snapshot, &gallery.rotation, &probes, limits, Settings::default(), &floors).unwrap();
    once.run(true).unwrap();
    let answer = &once.answers[0];
    let probe = Probe::new(ModelId::new("test-net/1").unwrap(), probe.to_vec()).unwrap();
    let list = gallery.search(&probe, limits).unwrap();
    (answer.kept_its_hope(), answer.hope.get() > f64::NEG_INFINITY, list.entries.iter().map(|c| c.id).collect())
}

#[test]
fn a_hope_that_is_kept_spares_work_and_one_that_is_not_costs_no_candidate() {
    let probe = template(&mut 3, &[0.0; D], 0.0);
    let limits = |k, threshold| SearchLimits { k, threshold, filters: Filters::default() };
    let folder = tempfile::tempdir().unwrap();
    let (even, references) = gallery(folder.path(), &probe, |n| n % 97 == 0);
    assert_eq!(both(&even, &probe, &limits(40, None)), (true, true, best(&references, &probe, 40)));

    // All who resemble the probe are in the span that is visited first, and are too few for a list.
    let folder = tempfile::tempdir().unwrap();
    let (crowded, references) = gallery(folder.path(), &probe, |n| n < 30);
    assert_eq!(both(&crowded, &probe, &limits(40, None)), (false, true, best(&references, &probe, 40)));
    // So too where a threshold is all that the floor can reach, and fewer than asked for reach it.
    let (kept, _, list) = both(&crowded, &probe, &limits(40, Some(0.8)));
    let reach: Vec<ReferenceId> = best(&references, &probe, 40)
        .into_iter()
        .filter(|id| references.iter().any(|r| r.id == *id && score::canonical(&probe, &r.template) >= 0.8))
        .collect();
    assert!(!kept && !reach.is_empty() && reach.len() < 40);
    assert_eq!(list, reach);
}

#[test]
fn the_scattered_order_visits_each_once_and_covers_alike() {
    for count in [0, 1, 2, 3, 4, 5, 6, 7, 30, 61, 64, 245, 1_000] {
        let order: Vec<usize> = scattered((0..count).collect()).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        // Every beginning has its share of the first eighth of all, and of the last, within three.
        for (seen, beginning) in (1..=count).map(|seen| (seen, &order[..seen])) {
            for part in [0..count / 8, count - count / 8..count] {
                let found = beginning.iter().filter(|n| part.contains(n)).count();
                let share = seen as f64 * part.len() as f64 / count as f64;
                assert!((found as f64 - share).abs() <= 3.0, "{count}: {found} of the first {seen}, not {share}");
            }
        }
    }
}

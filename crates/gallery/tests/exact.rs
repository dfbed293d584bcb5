//! The list equals brute force, bit for bit: order, scores, `more`, count.

#![allow(clippy::unwrap_used)] // in helpers too: a test that cannot go on says where

mod common;

use common::{Random, best, brute_force, model, plain, probe, threads, unit};
use gallery::{Filters, Gallery, Kernel, LocalGallery, NewReference, Probe, SearchLimits, Settings, YearBand};
use proptest::prelude::*;

/// Sets of templates that a quick score, a bound or a tie rule could get wrong.
fn adversarial(random: &mut Random, d: usize) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for axis in 0..d.min(40) {
        // one-hot and its opposite: exact ties at 0 with everything else
        for sign in [1.0, -1.0] {
            let mut v = vec![0.0_f32; d];
            v[axis] = sign;
            all.push(v);
        }
    }
    let centre = random.unit(d);
    all.extend(vec![centre.clone(); 60]); // the same template under many ids
    for n in 0..300 {
        // a crowd one or two units in the last place from the centre: closer than f32 can tell
        let mut v = centre.clone();
        let at = random.below(d as u64) as usize;
        v[at] = f32::from_bits(v[at].to_bits() + 1 + n % 2);
        all.push(v);
    }
    for _ in 0..100 {
        // a crowd about as wide as the quick score's slack
        let raw: Vec<f64> = centre.iter().map(|x| f64::from(*x) + 3e-7 * random.even()).collect();
        all.push(unit(&raw));
    }
    for _ in 0..50 {
        // denormal and vanishing components beside one large one
        let mut v: Vec<f32> = (0..d).map(|_| f32::from_bits(random.below(0x0080_0000) as u32)).collect();
        v[random.below(d as u64) as usize] = 1.0;
        all.push(v);
        let mut v: Vec<f32> = (0..d).map(|_| (random.even() * 1e-21) as f32).collect();
        v[random.below(d as u64) as usize] = -1.0;
        all.push(v);
    }
    for _ in 0..200 {
        // heavy tails, and the edge of the permitted length
        let raw: Vec<f64> = (0..d).map(|_| random.even().powi(9)).collect();
        let stretch = if random.below(2) == 0 { 1.00009 } else { 0.99991 };
        all.push(unit(&raw).iter().map(|x| x * stretch).collect());
    }
    all.extend((0..600).map(|_| random.unit(d)));
    all
}

#[test]
fn equals_brute_force_on_adversarial_sets() {
    for (seed, d) in [1, 2, 3, 16, 17, 128, 192, 256, 512, 1024].into_iter().enumerate() {
        let mut random = Random(seed as u64);
        let templates = adversarial(&mut random, d);
        let references = random.references(templates);
        let folder = tempfile::tempdir().unwrap();
        let model = model();
        let gallery = LocalGallery::create(folder.path(), &model, d, threads(3)).unwrap();
        for part in references.chunks(700) {
            gallery.append(&model, part).unwrap();
        }
        drop(gallery);
        // Every kernel, on one thread and on several.
        let kernels = Kernel::available();
        let open = |(n, kernel)| LocalGallery::open_for_search(folder.path(), &model, Settings { kernel, ..threads(n) }).unwrap();
        let galleries: Vec<_> = kernels.iter().flat_map(|kernel| [(1, *kernel), (5, *kernel)]).map(open).collect();
        let mut compared = 0;
        for n in 0..8 {
            let template = match n % 4 {
                0 => references[random.below(references.len() as u64) as usize].template.clone(),
                1 => references[100 + n].template.clone(), // among the crowd
                2 => references[n].template.clone(),       // an axis
                _ => random.unit(d),
            };
            let (every, _, searched) = brute_force(&references, &template, &best(references.len()));
            let score = |rank: usize| f64::from_bits(every[rank].1);
            for k in [1, 10, 50, 200, references.len(), references.len() + 5] {
                // At the first score that the list has no room for, and just above it: there the
                // threshold is inclusive, and `more` hangs on the last bit.
                let next = score(k.min(references.len() - 1));
                let fixed = [Some(score(9)), Some(0.0), Some(-2.0), Some(1.5)];
                let thresholds = [None, Some(next), Some(next.next_up())].into_iter().chain(fixed);
                for threshold in thresholds {
                    let reach = |s: &&(_, u64)| threshold.is_none_or(|t| f64::from_bits(s.1) >= t);
                    let reaching = every.iter().filter(reach).count();
                    let truth = (every[..reaching.min(k)].to_vec(), reaching > k, searched);
                    let limits = SearchLimits { k, threshold, filters: Filters::default() };
                    for gallery in &galleries {
                        let list = gallery.search(&probe(&template), &limits).unwrap();
                        assert_eq!(plain(&list), truth, "d {d}, k {k}, threshold {threshold:?}");
                        compared += 1;
                    }
                }
            }
        }
        assert_eq!(compared, 8 * 6 * 7 * galleries.len());
    }
}

#[test]
fn equals_brute_force_over_many_chunks_and_segments() {
    let d = 128;
    let mut random = Random(77);
    let centre = random.unit(d);
    let templates = (0..30_000)
        .map(|n| match n % 5 {
            0 => {
                let near: Vec<f64> = centre.iter().map(|x| f64::from(*x) + 0.05 * random.even()).collect();
                unit(&near)
            }
            _ => random.unit(d),
        })
        .collect();
    let references = random.references(templates);
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), d, threads(4)).unwrap();
    gallery.append(&model(), &references[..20_000]).unwrap();
    gallery.append(&model(), &references[20_000..]).unwrap();
    for n in 0..60 {
        let template = if n % 2 == 0 { random.unit(d) } else { references[n * 31].template.clone() };
        for (k, threshold) in [(10, None), (200, Some(0.2)), (50, Some(0.97)), (1, Some(0.999))] {
            let limits = SearchLimits { k, threshold, filters: Filters::default() };
            let list = gallery.search(&probe(&template), &limits).unwrap();
            assert_eq!(plain(&list), brute_force(&references, &template, &limits));
        }
    }
}

/// A batch gives each probe the list that it gets alone: on any kernel, with filters, thresholds and
/// erasures, and for more probes than one pass serves.
#[test]
fn a_batch_is_as_many_searches() {
    let d = 192;
    let mut random = Random(12);
    let templates = (0..12_000).map(|_| random.unit(d)).collect();
    let mut references = random.references(templates);
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), d, threads(2)).unwrap();
    gallery.append(&model(), &references[..11_000]).unwrap();
    gallery.append(&model(), &references[11_000..]).unwrap(); // these stay in the log
    let erased: Vec<_> = references.iter().step_by(7).map(|r| r.id).collect();
    gallery.erase(&erased).unwrap();
    references.retain(|r| !erased.contains(&r.id));
    let probes: Vec<Probe> =
        (0..35).map(|n| if n % 2 == 0 { probe(&references[n * 300].template) } else { probe(&random.unit(d)) }).collect();
    let narrow = Filters { sex_markers: vec![1, 2], enrolled_before: Some(200), ..Filters::default() };
    for kernel in Kernel::available() {
        for n in [1, 2] {
            let gallery = LocalGallery::open_for_search(folder.path(), &model(), Settings { kernel, ..threads(n) }).unwrap();
            if n == 2 {
                gallery.warm().unwrap(); // the same lists from memory of its own
            }
            for (k, threshold, filters) in
                [(10, None, Filters::default()), (50, Some(0.15), narrow.clone()), (200, Some(0.05), Filters::default())]
            {
                let limits = SearchLimits { k, threshold, filters };
                for count in [1, 3, 16, 35] {
                    let lists = gallery.search_batch(&probes[..count], &limits).unwrap();
                    assert_eq!(lists.len(), count);
                    for (list, probe) in lists.iter().zip(&probes) {
                        assert_eq!(plain(list), brute_force(&references, probe.template(), &limits), "{kernel:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn filters_narrow_exactly() {
    let mut random = Random(5);
    let templates = (0..3_000).map(|_| random.unit(16)).collect();
    let references = random.references(templates);
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), 16, threads(2)).unwrap();
    gallery.append(&model(), &references).unwrap();
    let band = |from, to, or_unknown| Some(YearBand { from, to, or_unknown });
    let filters = [
        (Filters { sex_markers: vec![2], ..Filters::default() }, 750),
        (Filters { sex_markers: vec![0, 2], ..Filters::default() }, 1_500),
        (Filters { years_of_birth: band(1950, 1970, false), ..Filters::default() }, 1_200),
        (Filters { years_of_birth: band(1971, 1971, true), ..Filters::default() }, 1_200),
        (Filters { enrolled_before: Some(0), ..Filters::default() }, 1_500),
        (Filters { synthetic: Some(false), ..Filters::default() }, 2_250),
        (Filters { sex_markers: vec![9], ..Filters::default() }, 0),
    ];
    for (filters, about) in filters {
        let limits = SearchLimits { k: 20, threshold: Some(0.3), filters };
        let template = random.unit(16);
        let list = gallery.search(&probe(&template), &limits).unwrap();
        assert_eq!(plain(&list), brute_force(&references, &template, &limits));
        assert_eq!(list.searched, gallery.count(&limits.filters).unwrap());
        assert!(list.searched.abs_diff(about) < 120, "{} searched, about {about}", list.searched);
    }
}

#[test]
fn a_filter_reads_each_attribute_at_its_edge() {
    let person = gallery::Attributes { synthetic: false, sex_marker: 1, year_of_birth: 1980, enrolled_at: 100 };
    let unknown = gallery::Attributes { year_of_birth: 0, ..person };
    let years = |from, to, or_unknown| Filters { years_of_birth: Some(YearBand { from, to, or_unknown }), ..Filters::default() };
    assert!(years(1980, 1980, false).admit(&person));
    assert!(!years(1981, 1990, true).admit(&person));
    assert!(!years(0, 1990, false).admit(&unknown));
    assert!(years(1981, 1990, true).admit(&unknown));
    let before = |t| Filters { enrolled_before: Some(t), ..Filters::default() };
    assert!(before(101).admit(&person) && !before(100).admit(&person));
    let synthetic = |s| Filters { synthetic: Some(s), ..Filters::default() };
    assert!(synthetic(false).admit(&person) && !synthetic(true).admit(&person));
    assert!(!Filters { sex_markers: vec![0, 2], ..Filters::default() }.admit(&person));
}

#[test]
fn the_edges_of_k_and_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), 4, threads(2)).unwrap();
    let at = probe(&[1.0, 0.0, 0.0, 0.0]);
    let empty = gallery.search(&at, &best(5)).unwrap();
    assert_eq!(plain(&empty), (vec![], false, 0));
    assert!(gallery.is_empty());
    let mut random = Random(3);
    let templates = (0..3).map(|_| random.unit(4)).collect();
    gallery.append(&model(), &random.references(templates)).unwrap();
    for (k, entries, more) in [(1, 1, true), (3, 3, false), (4, 3, false), (10_000, 3, false)] {
        let list = gallery.search(&at, &best(k)).unwrap();
        assert_eq!((list.entries.len(), list.more_above_threshold, list.searched), (entries, more, 3));
    }
    for k in [0, 10_001] {
        assert!(matches!(gallery.search(&at, &best(k)), Err(gallery::Error::Limits(_))));
    }
    for threshold in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let limits = SearchLimits { threshold: Some(threshold), ..best(1) };
        assert!(matches!(gallery.search(&at, &limits), Err(gallery::Error::Limits(_))));
    }
}

/// What a random history does to a gallery.
#[derive(Debug, Clone)]
enum Op {
    Append(Vec<u8>),
    Erase(Vec<u16>),
    Compact,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Op::Append),
        3 => prop::collection::vec(any::<u16>(), 0..12).prop_map(Op::Erase),
        1 => Just(Op::Compact),
        1 => Just(Op::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Any history of appends, erasures, compactions and reopenings leaves a gallery that answers
    /// as a brute force over what should be in it. Templates come from a handful of shapes, so ties abound.
    #[test]
    fn equals_brute_force_after_any_history(ops in prop::collection::vec(op(), 1..14), seed in any::<u64>()) {
        let d = 8;
        let mut random = Random(seed);
        let shapes: Vec<Vec<f32>> = (0..40).map(|_| random.unit(d)).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut gallery = LocalGallery::create(folder.path(), &model(), d, threads(2)).unwrap();
        let mut held: Vec<NewReference> = Vec::new();
        for op in ops {
            match op {
                Op::Append(picks) => {
                    let templates =
                        picks.iter().map(|p| shapes[*p as usize % shapes.len()].clone()).collect();
                    let new = random.references(templates);
                    gallery.append(&model(), &new).unwrap();
                    held.extend(new);
                }
                Op::Erase(picks) => {
                    let mut ids = vec![[0xee; 16]];
                    for pick in picks {
                        if !held.is_empty() {
                            ids.push(held.remove(pick as usize % held.len()).id);
                        }
                    }
                    let done = gallery.erase(&ids).unwrap();
                    prop_assert_eq!((done.erased, done.unknown), (ids.len() as u64 - 1, 1));
                }
                Op::Compact => { gallery.compact().unwrap(); }
                Op::Reopen => {
                    drop(gallery);
                    gallery = LocalGallery::open(folder.path(), &model(), threads(2)).unwrap();
                }
            }
            prop_assert_eq!(gallery.len(), held.len() as u64);
            let template = &shapes[random.below(40) as usize];
            let limits = SearchLimits { k: 7, threshold: Some(0.1), filters: Filters::default() };
            let list = gallery.search(&probe(template), &limits).unwrap();
            prop_assert_eq!(plain(&list), brute_force(&held, template, &limits));
            prop_assert!(held.iter().all(|r| gallery.attributes(&r.id).unwrap() == Some(r.attributes)));
        }
    }
}

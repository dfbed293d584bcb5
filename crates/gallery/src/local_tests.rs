//! Killing the writer at each of its steps on the way to disk, many callers at once, and what is left of the erased.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::disk::watch::Done as Step;
use crate::segment::Segment;
use crate::{MAX_ERASED_WAITING, codes};

const D: usize = 4;

fn model() -> ModelId {
    ModelId::new("test-net/1").unwrap()
}

fn reference(n: u8) -> NewReference {
    let mut template = vec![0.0; D];
    template[n as usize % D] = 1.0;
    NewReference { id: [n; 16], template, attributes: Attributes::default() }
}

fn references(numbers: impl IntoIterator<Item = u8>) -> Vec<NewReference> {
    numbers.into_iter().map(reference).collect()
}

fn create(folder: &Path) -> LocalGallery {
    LocalGallery::create(folder, &model(), D, Settings::default()).unwrap()
}

fn ids(gallery: &LocalGallery) -> Vec<u8> {
    (0..50).filter(|n| gallery.contains(&[*n; 16]).unwrap()).collect()
}

/// The files that the gallery should consist of.
fn named(gallery: &LocalGallery) -> BTreeSet<PathBuf> {
    let manifest = gallery.writer().unwrap().manifest.clone();
    let log = (manifest.log.length > 0).then(|| log::path(&gallery.folder, manifest.log.number));
    manifest.segments.iter().flat_map(|s| crate::segment::paths(&gallery.folder, s.number)).chain(log).collect()
}

fn numbered(gallery: &LocalGallery) -> BTreeSet<PathBuf> {
    writer::numbered_files(&gallery.folder).unwrap().into_iter().map(|(_, path)| path).collect()
}

/// One change, and the ids before and after it.
type Change = fn(&LocalGallery) -> Result<(), Error>;

/// Runs `change` with the disk dying after 0, 1, 2 … steps until it gets through, and each time
/// opens the folder again as a new process would. Half of what is there is in a segment, half in the log.
fn kill_at_every_step(log_rows: usize, change: Change, after: &[u8]) -> usize {
    let before: Vec<u8> = vec![1, 2, 3, 4, 5];
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let mut gallery = create(folder.path());
        gallery.log_rows = log_rows;
        gallery.append(&model(), &references([1, 2, 3])).unwrap();
        gallery.compact().unwrap();
        gallery.append(&model(), &references([4, 5, 6])).unwrap();
        gallery.erase(&[[6; 16]]).unwrap();

        gallery.disk.watch.die_after(steps);
        let outcome = change(&gallery);
        let died = gallery.disk.watch.dead();
        let in_memory = ids(&gallery);
        match &outcome {
            Ok(()) => assert_eq!(in_memory, after),
            // A compaction may fail after its commit, in unlinking: then both sets are the same.
            Err(Error::Io { .. }) => assert_eq!(in_memory, before),
            Err(Error::Unsure) => {
                assert_eq!(in_memory, before);
                assert!(matches!(gallery.erase(&[[1; 16]]), Err(Error::Unsure)));
                assert!(matches!(gallery.compact(), Err(Error::Unsure)));
            }
            Err(other) => panic!("{other}"),
        }
        drop(gallery);
        let again = LocalGallery::open(folder.path(), &model(), Settings::default()).unwrap();
        let found = ids(&again);
        match outcome {
            Ok(()) => assert_eq!(found, after, "acknowledged, then lost"),
            Err(Error::Unsure) => assert!(found == before || found == after, "{found:?}"),
            Err(_) => assert_eq!(found, before, "said to have failed, then found"),
        }
        assert_eq!(numbered(&again), named(&again), "nothing lies about");
        again.check_all().unwrap();
        // It goes on as if nothing had been.
        again.append(&model(), &[reference(40)]).unwrap();
        assert!(again.contains(&[40; 16]).unwrap());
        if !died {
            return steps as usize;
        }
    }
    unreachable!("the loop is without end")
}

/// Of a manifest: remove the next, create, write, sync, rename, sync the folder.
const COMMIT: usize = 6;
/// Of a segment: create, write and sync five files; and the folder.
const SEGMENT: usize = 16;

#[test]
fn append_is_whole_or_not_at_all() {
    let steps = kill_at_every_step(9, |g| g.append(&model(), &references([7, 8])).map(drop), &[1, 2, 3, 4, 5, 7, 8]);
    assert_eq!(steps, 2 + COMMIT, "write and sync the log");
}

#[test]
fn erase_is_whole_or_not_at_all() {
    let steps = kill_at_every_step(9, |g| g.erase(&[[2; 16], [4; 16]]).map(drop), &[1, 3, 5]);
    assert_eq!(steps, 2 + COMMIT);
}

#[test]
fn replace_is_whole_or_not_at_all() {
    fn replace(g: &LocalGallery) -> Result<(), Error> {
        let moved = |n: u8| NewReference { attributes: Attributes { year_of_birth: 1990, ..Attributes::default() }, ..reference(n) };
        let years = |g: &LocalGallery| [2, 4, 7].map(|n| g.attributes(&[n; 16]).unwrap().map(|a| a.year_of_birth));
        assert_eq!(years(g), [Some(0), Some(0), None]);
        let done = g.replace(&model(), &[moved(2), moved(4), moved(7)]).inspect_err(|_| assert_eq!(years(g), [Some(0), Some(0), None]))?;
        assert_eq!((done.count, done.erased), (3, 2));
        assert_eq!(years(g), [Some(1990); 3]);
        Ok(())
    }
    assert_eq!(kill_at_every_step(9, replace, &[1, 2, 3, 4, 5, 7]), 2 + COMMIT);
    assert_eq!(kill_at_every_step(3, replace, &[1, 2, 3, 4, 5, 7]), SEGMENT + COMMIT + 2, "in bulk, and then the old log goes");
}

#[test]
fn a_log_is_rolled_over_wholly_or_not_at_all() {
    let steps = kill_at_every_step(4, |g| g.append(&model(), &references([7, 8, 9])).map(drop), &[1, 2, 3, 4, 5, 7, 8, 9]);
    assert_eq!(steps, SEGMENT + 4 + COMMIT + 2, "the old log as a segment, a new log and its name, the old log's end");
}

#[test]
fn a_bulk_append_is_whole_or_not_at_all() {
    let steps = kill_at_every_step(3, |g| g.append(&model(), &references([7, 8, 9])).map(drop), &[1, 2, 3, 4, 5, 7, 8, 9]);
    assert_eq!(steps, SEGMENT + COMMIT + 2);
}

#[test]
fn compaction_changes_no_answer_wherever_it_stops() {
    let steps = kill_at_every_step(9, |g| g.compact().map(drop), &[1, 2, 3, 4, 5]);
    assert_eq!(steps, SEGMENT + COMMIT + 7, "then five old files, the log, and the folder");
}

#[test]
fn a_failed_change_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = create(folder.path());
    for steps in 0..SEGMENT as i64 {
        gallery.disk.watch.die_after(steps);
        let failed = gallery.append(&model(), &[reference(1)]);
        if matches!(failed, Err(Error::Unsure)) {
            break;
        }
        assert!(matches!(failed, Err(Error::Io { .. })), "{steps}: {failed:?}");
        assert!(gallery.is_empty());
        gallery.disk.watch.die_after(i64::MAX);
        let other = 2 + (steps % 5) as u8;
        if steps % 3 == 2 {
            // and other changes do not mind
            gallery.append(&model(), &[reference(other)]).unwrap();
            assert_eq!(ids(&gallery), [other]);
            gallery.erase(&[[other; 16]]).unwrap();
        }
    }
    drop(gallery);
    let gallery = LocalGallery::open(folder.path(), &model(), Settings::default()).unwrap();
    gallery.append(&model(), &[reference(1)]).unwrap();
    assert_eq!(ids(&gallery), [1]);
    gallery.compact().unwrap();
    assert_eq!((numbered(&gallery), named(&gallery).len()), (named(&gallery), 5), "what failed is swept");
}

#[test]
fn a_log_that_failed_gets_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = create(folder.path());
    gallery.append(&model(), &[reference(1)]).unwrap();
    let log = || gallery.writer().unwrap().manifest.log.number;
    let first = log();
    gallery.disk.watch.die_after(1); // the write succeeds, the sync does not
    gallery.append(&model(), &[reference(2)]).unwrap_err();
    gallery.disk.watch.die_after(i64::MAX);
    assert_eq!((ids(&gallery), log()), (vec![1], first));
    gallery.append(&model(), &[reference(3)]).unwrap();
    assert_ne!(log(), first);
    assert_eq!(numbered(&gallery), named(&gallery), "the failed log is gone, what counted of it is in a segment");
    let again = LocalGallery::open_for_search(folder.path(), &model(), Settings::default()).unwrap();
    assert_eq!((ids(&gallery), ids(&again)), (vec![1, 3], vec![1, 3]));
}

#[test]
fn a_crowd_of_erasures_is_compacted_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = create(folder.path());
    let id = |n: usize| (n as u128).to_be_bytes();
    let many: Vec<_> = (0..MAX_ERASED_WAITING + 2).map(|n| NewReference { id: id(n), ..reference(0) }).collect();
    gallery.append(&model(), &many).unwrap();
    let most: Vec<_> = (0..MAX_ERASED_WAITING).map(id).collect();
    gallery.erase(&most).unwrap();
    let waiting = || gallery.snapshot().erased_waiting();
    assert_eq!(waiting(), MAX_ERASED_WAITING);
    gallery.erase(&[id(MAX_ERASED_WAITING)]).unwrap();
    assert_eq!((waiting(), gallery.len()), (1, 1));
}

#[test]
fn the_log_stays_short_and_epochs_share_what_did_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut gallery = create(folder.path());
    gallery.log_rows = 10;
    let follower = LocalGallery::open_for_search(folder.path(), &model(), Settings::default()).unwrap();
    let mut files = 0;
    for n in 0..50 {
        let before = follower.snapshot();
        gallery.append(&model(), &[reference(n)]).unwrap();
        files = files.max(numbered(&gallery).len());
        for (gallery, before) in [(&gallery, None), (&follower, Some(before))] {
            gallery.refresh().unwrap();
            let after = gallery.snapshot();
            assert!(after.log.rows.len() <= 10);
            assert_eq!(ids(gallery), (0..=n).collect::<Vec<_>>());
            if let Some(before) = before.filter(|b| b.log.entry.number == after.log.entry.number) {
                let shared = |row| after.log.rows.iter().any(|r| Arc::ptr_eq(r, row));
                assert!(before.log.rows.iter().all(shared), "only the new tail is read");
                let same = |(a, b): (&crate::snapshot::LiveSegment, &crate::snapshot::LiveSegment)| Arc::ptr_eq(&a.segment, &b.segment);
                assert!(before.segments.iter().zip(&after.segments).all(same));
            }
        }
    }
    assert!(files >= 4 * 4, "it was rolled over");
    assert_eq!(gallery.check(&references([3, 49, 50])).unwrap().len(), 2);
}

/// Lets `callers` put their changes in the queue while the writer is busy, and then lets it go.
fn all_at_once<R: Send>(gallery: &LocalGallery, callers: &[&(dyn Fn(&LocalGallery) -> R + Sync)]) -> Vec<R> {
    std::thread::scope(|scope| {
        let busy = gallery.writer().unwrap();
        let mut threads = Vec::new();
        for (n, caller) in callers.iter().enumerate() {
            threads.push(scope.spawn(move || caller(gallery)));
            // In this order.
            while gallery.desk().unwrap().queue().pending.len() <= n {
                std::thread::yield_now();
            }
        }
        drop(busy);
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn syncs(gallery: &LocalGallery) -> usize {
    gallery.disk.watch.recorded().iter().filter(|s| matches!(s, Step::Sync(_) | Step::SyncFolder)).count()
}

#[test]
fn changes_made_at_once_share_a_commit_and_have_each_its_own_result() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = create(folder.path());
    gallery.append(&model(), &references([1, 2])).unwrap();
    gallery.disk.watch.record();
    let append = |numbers: &'static [u8]| move |g: &LocalGallery| g.append(&model(), &references(numbers.iter().copied())).map(|d| d.epoch);
    let erase = |numbers: &'static [u8]| {
        move |g: &LocalGallery| {
            let ids: Vec<_> = numbers.iter().map(|n| [*n; 16]).collect();
            g.erase(&ids).map(|d| 100 * d.erased + d.unknown)
        }
    };
    let results = all_at_once(
        &gallery,
        &[
            &append(&[3, 4]),
            &append(&[5, 1]),    // 1 is enrolled
            &append(&[6, 4]),    // 4 is, by the first of the group
            &erase(&[1, 4, 30]), // one of a commit before, one of this group, one of none
            &append(&[4, 7]),    // 4 can be enrolled again
            &erase(&[4, 4]),
            &append(&[8]),
        ],
    );
    let refused = |result: &Result<u64, Error>| match result {
        Err(Error::Refused(refused)) => refused.iter().map(|r| (r.position, r.refusal.clone())).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&results[1]), [(1, Refusal::AlreadyEnrolled)]);
    assert_eq!(refused(&results[2]), [(1, Refusal::AlreadyEnrolled)]);
    let fine: Vec<u64> = results.iter().flatten().copied().collect();
    assert_eq!(fine, [2, 201, 2, 101, 2], "one epoch for all of them");
    assert_eq!((gallery.epoch(), ids(&gallery)), (2, vec![2, 3, 7, 8]));
    assert_eq!(syncs(&gallery), 3, "the log, the manifest and its name");
    let again = LocalGallery::open_for_search(folder.path(), &model(), Settings::default()).unwrap();
    assert_eq!(ids(&again), [2, 3, 7, 8]);
}

#[test]
fn a_group_that_fails_is_told_to_all_and_a_group_too_large_is_several() {
    let folder = tempfile::tempdir().unwrap();
    let mut gallery = create(folder.path());
    gallery.log_rows = 5;
    let append = |numbers: &'static [u8]| move |g: &LocalGallery| g.append(&model(), &references(numbers.iter().copied())).map(|d| d.epoch);
    gallery.disk.watch.die_after(1);
    let results = all_at_once(&gallery, &[&append(&[1]), &append(&[2, 3]), &append(&[1])]);
    assert!(results.iter().all(|r| matches!(r, Err(Error::Io { .. }))), "{results:?}");
    assert!(gallery.is_empty());
    gallery.disk.watch.die_after(i64::MAX);
    let results = all_at_once(&gallery, &[&append(&[1, 2, 3]), &append(&[4, 5, 6]), &append(&[7]), &append(&[8, 9, 10, 11])]);
    let epochs: Vec<u64> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(epochs, [1, 2, 2, 3]);
    assert_eq!(ids(&gallery), (1..12).collect::<Vec<_>>());
    let again = LocalGallery::open_for_search(folder.path(), &model(), Settings::default()).unwrap();
    assert_eq!(ids(&again), (1..12).collect::<Vec<_>>());
}

#[test]
fn many_threads_need_fewer_syncs_than_they_make_changes() {
    const THREADS: u8 = 8;
    const EACH: u8 = 25;
    let folder = tempfile::tempdir().unwrap();
    let gallery = create(folder.path());
    gallery.disk.watch.slow_syncs(std::time::Duration::from_millis(1));
    gallery.disk.watch.record();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let gallery = &gallery;
            scope.spawn(move || {
                for n in 0..EACH {
                    let id = [thread * EACH + n; 16];
                    gallery.append(&model(), &[NewReference { id, ..reference(n) }]).unwrap();
                    assert!(gallery.contains(&id).unwrap(), "acknowledged, so it is there");
                    if n % 5 == 4 {
                        assert_eq!(gallery.erase(&[id]).unwrap().erased, 1);
                        assert!(!gallery.contains(&id).unwrap());
                    }
                }
            });
        }
    });
    let changes = usize::from(THREADS) * usize::from(EACH) * 6 / 5;
    let syncs =
        gallery.disk.watch.recorded().iter().filter(|s| matches!(s, Step::Sync(p) if p.extension().is_some_and(|e| e == "log"))).count();
    assert!(syncs < changes / 2, "{syncs} syncs of the log for {changes} changes");
    assert_eq!(gallery.len(), u64::from(THREADS) * u64::from(EACH) * 4 / 5);
}

#[test]
fn a_search_waits_for_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = create(folder.path());
    gallery.append(&model(), &references(0..20)).unwrap();
    let follower = LocalGallery::open_for_search(folder.path(), &model(), Settings::default()).unwrap();
    let many: Vec<_> = (0..5_000_u32).map(|n| NewReference { id: (1_000 + u128::from(n)).to_be_bytes(), ..reference(n as u8) }).collect();
    let probe = Probe::new(model(), vec![0.6, 0.0, 0.8, 0.0]).unwrap();
    let limits = SearchLimits { k: 7, threshold: None, filters: Filters::default() };
    let search = |g: &LocalGallery| g.search(&probe, &limits).unwrap();
    let before = search(&gallery);
    std::thread::scope(|scope| {
        gallery.disk.watch.hold();
        let bulk = scope.spawn(|| gallery.append(&model(), &many).unwrap());
        gallery.disk.watch.wait_until_held();
        let waiting = scope.spawn(|| gallery.append(&model(), &references([30])).unwrap());
        while gallery.desk().unwrap().queue().pending.is_empty() {
            std::thread::yield_now();
        }
        // The writer holds its lock in the middle of a bulk append and somebody waits for it.
        for _ in 0..50 {
            assert_eq!((search(&gallery), search(&follower)), (before.clone(), before.clone()));
            assert_eq!(gallery.count(&Filters::default()).unwrap(), 20);
            assert!(!gallery.contains(&[30; 16]).unwrap());
        }
        gallery.disk.watch.release();
        assert!(bulk.join().unwrap().epoch < waiting.join().unwrap().epoch);
    });
    assert_eq!((search(&gallery).searched, search(&follower).searched), (5_021, 5_021));
}

/// The codes of one reference in four bytes each, and how far each is from the first.
type Pieces = Vec<(usize, [u8; 4])>;

fn pieces(table: &[u8], places: impl Iterator<Item = usize>) -> Pieces {
    let places: Vec<usize> = places.collect();
    places.iter().map(|at| (at - places[0], *table[*at..].first_chunk().unwrap())).collect()
}

fn holds(bytes: &[u8], pieces: &Pieces) -> bool {
    (0..bytes.len()).any(|from| pieces.iter().all(|(at, piece)| bytes.get(from + at..).is_some_and(|b| b.starts_with(piece))))
}

#[test]
fn after_compaction_not_even_codes_of_the_erased_are_left() {
    const D: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), D, Settings::default()).unwrap();
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) - 0.5
    };
    let all: Vec<NewReference> = (0..40_u8)
        .map(|n| {
            let raw: Vec<f64> = (0..D).map(|_| random()).collect();
            let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
            NewReference { template: raw.iter().map(|x| (x / length) as f32).collect(), ..reference(n) }
        })
        .collect();
    gallery.append(&model(), &all).unwrap();
    gallery.compact().unwrap();
    // What the codes of each are, read where they are.
    let snapshot = gallery.snapshot();
    let segment: &Segment = &snapshot.segments[0].segment;
    let codes_of = |r: &NewReference| {
        let row = segment.find(&r.id).unwrap().unwrap();
        let (group, v) = (row / codes::GROUP, row % codes::GROUP);
        let lines = codes::lines(D);
        let line = |line: usize| line / codes::BLOCK_LINES * codes::BLOCK + line % codes::BLOCK_LINES * codes::LINE + 4 * v;
        let bits = |block: usize| block * codes::LINE + 4 * v;
        let blocks = lines / codes::BLOCK_LINES;
        let stretch = segment.stretch(group..group + 1, codes::Depth::Six).unwrap();
        let fine = (0..lines).map(|line| row * codes::fine_bytes(D) + 4 * line);
        [
            pieces(stretch.coarse, (0..lines).map(line)),
            pieces(stretch.coarse, (0..blocks).map(|block| block * codes::BLOCK + codes::BLOCK_LINES * codes::LINE + 4 * v)),
            pieces(stretch.sixth, (0..blocks).map(bits)),
            pieces(segment.fine(&[row as u32]).unwrap(), fine),
        ]
    };
    let codes: Vec<_> = all.iter().map(codes_of).collect();
    let found = |codes: &[Pieces; 4]| {
        let files: Vec<Vec<u8>> = fs::read_dir(folder.path()).unwrap().map(|e| fs::read(e.unwrap().path()).unwrap()).collect();
        codes.each_ref().map(|pieces| files.iter().any(|f| holds(f, pieces)))
    };
    assert!(codes.iter().all(|c| found(c) == [true; 4]), "the scan can see what is there");
    let gone: Vec<ReferenceId> = (0..40).filter(|n| n % 3 == 0).map(|n| [n; 16]).collect();
    gallery.erase(&gone).unwrap();
    assert!(codes.iter().all(|c| found(c) == [true; 4]));
    gallery.compact().unwrap();
    for n in (0..40).filter(|n| n % 3 == 0) {
        assert_eq!(found(&codes[n]), [false; 4], "{n}");
    }
}

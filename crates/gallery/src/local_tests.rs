//! Killing the writer at each of its steps on the way to disk.

use super::*;

const D: usize = 4;

fn model() -> ModelId {
    ModelId::new("test-net/1").unwrap()
}

fn reference(n: u8) -> NewReference {
    let mut template = vec![0.0; D];
    template[n as usize % D] = 1.0;
    NewReference { id: [n; 16], template, attributes: Attributes::default() }
}

fn ids(gallery: &LocalGallery) -> Vec<u8> {
    (0..50).filter(|n| gallery.contains(&[*n; 16])).collect()
}

/// One change, and the ids before and after it.
type Change = fn(&LocalGallery) -> Result<(), Error>;

/// Runs `change` with the disk dying after 0, 1, 2 … steps until it gets through, and each time
/// opens the folder again as a new process would.
fn kill_at_every_step(change: Change, after: &[u8]) -> usize {
    let before: Vec<u8> = vec![1, 2, 3, 4, 5];
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let gallery = LocalGallery::create(folder.path(), &model(), D, Settings::default()).unwrap();
        let references: Vec<_> = before.iter().map(|n| reference(*n)).collect();
        gallery.append(&model(), &references).unwrap();
        gallery.append(&model(), &[reference(6)]).unwrap();
        gallery.erase(&[[6; 16]]).unwrap();

        gallery.disk.fault.after(steps);
        let outcome = change(&gallery);
        let in_memory = ids(&gallery);
        match &outcome {
            Ok(()) => assert_eq!(in_memory, after),
            // A compaction may fail after its commit, in unlinking: then both sets are the same.
            Err(Error::Io { .. }) => assert_eq!(in_memory, before),
            Err(Error::Unsure) => {
                assert_eq!(in_memory, before);
                assert!(matches!(gallery.erase(&[[1; 16]]), Err(Error::Unsure)));
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
        let named = 2 * again.writer().unwrap().manifest.segments.len();
        assert_eq!(segment_numbers(folder.path()).unwrap().len(), named, "nothing lies about");
        // It goes on as if nothing had been.
        again.append(&model(), &[reference(40)]).unwrap();
        assert!(again.contains(&[40; 16]));
        if outcome.is_ok() {
            return steps as usize;
        }
    }
    unreachable!("the loop is without end")
}

#[test]
fn append_is_whole_or_not_at_all() {
    let steps = kill_at_every_step(|g| g.append(&model(), &[reference(7), reference(8)]).map(drop), &[1, 2, 3, 4, 5, 7, 8]);
    // two files (begin, sync) + folder + next manifest (remove, begin, sync) + rename + folder
    assert_eq!(steps, 10);
}

#[test]
fn erase_is_whole_or_not_at_all() {
    let steps = kill_at_every_step(|g| g.erase(&[[2; 16], [4; 16]]).map(drop), &[1, 3, 5]);
    assert_eq!(steps, 6);
}

#[test]
fn compaction_changes_no_answer_wherever_it_stops() {
    let steps = kill_at_every_step(|g| g.compact().map(drop), &[1, 2, 3, 4, 5]);
    // as an append, then four old files and the folder
    assert_eq!(steps, 15);
}

#[test]
fn a_failed_change_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), D, Settings::default()).unwrap();
    for steps in 0..8 {
        gallery.disk.fault.after(steps);
        let failed = gallery.append(&model(), &[reference(1)]);
        assert!(matches!(failed, Err(Error::Io { .. })), "{steps}: {failed:?}");
        assert!(gallery.is_empty());
        gallery.disk.fault.after(i64::MAX);
    }
    gallery.append(&model(), &[reference(1)]).unwrap();
    assert_eq!(ids(&gallery), [1]);
    gallery.compact().unwrap();
    assert_eq!(segment_numbers(folder.path()).unwrap().len(), 2, "what failed is swept");
}

#[test]
fn a_crowd_of_erasures_is_compacted_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), D, Settings::default()).unwrap();
    let id = |n: usize| (n as u128).to_be_bytes();
    let many: Vec<_> = (0..MAX_ERASED_WAITING + 2).map(|n| NewReference { id: id(n), ..reference(0) }).collect();
    gallery.append(&model(), &many).unwrap();
    let most: Vec<_> = (0..MAX_ERASED_WAITING).map(id).collect();
    gallery.erase(&most).unwrap();
    let waiting = || -> usize { gallery.writer().unwrap().manifest.segments.iter().map(|s| s.erased.len()).sum() };
    assert_eq!(waiting(), MAX_ERASED_WAITING);
    gallery.erase(&[id(MAX_ERASED_WAITING)]).unwrap();
    assert_eq!((waiting(), gallery.len()), (1, 1));
}

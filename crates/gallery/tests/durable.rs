//! What survives a kill, what a damaged file does, what erasure leaves, and who may work side by side.

#![allow(clippy::unwrap_used)] // in helpers too: a test that cannot go on says where

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Random, best, brute_force, model, plain, probe, threads};
use gallery::{Error, Gallery, LocalGallery, NewReference};

const D: usize = 8;

fn some(random: &mut Random, n: usize) -> Vec<NewReference> {
    let templates = (0..n).map(|_| random.unit(D)).collect();
    random.references(templates)
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.file_name().unwrap() != "LOCK");
    files.sort();
    files
}

/// A gallery of two segments, one with an erased row.
fn small_gallery(folder: &Path) -> Vec<NewReference> {
    let mut random = Random(1);
    let references = some(&mut random, 24);
    let gallery = LocalGallery::create(folder, &model(), D, threads(1)).unwrap();
    gallery.append(&model(), &references[..14]).unwrap();
    gallery.append(&model(), &references[14..]).unwrap();
    gallery.erase(&[references[3].id]).unwrap();
    references
}

fn opens(folder: &Path) -> Result<LocalGallery, Error> {
    let reading = LocalGallery::open_for_search(folder, &model(), threads(1));
    let writing = LocalGallery::open(folder, &model(), threads(1));
    assert_eq!(reading.is_ok(), writing.is_ok());
    writing
}

#[test]
fn no_flipped_bit_and_no_truncation_goes_unseen() {
    let folder = tempfile::tempdir().unwrap();
    small_gallery(folder.path());
    let files = files(folder.path());
    assert_eq!(files.len(), 5, "{files:?}");
    let mut tried = 0;
    for file in &files {
        let good = fs::read(file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(file, &bad).unwrap();
            let opened = opens(folder.path());
            assert!(matches!(opened, Err(Error::Damaged { .. })), "{file:?} byte {at}: {opened:?}");
            tried += 1;
        }
        for length in 0..good.len() {
            fs::write(file, &good[..length]).unwrap();
            let opened = opens(folder.path());
            assert!(matches!(opened, Err(Error::Damaged { .. })), "{file:?} cut to {length}");
        }
        fs::write(file, [&good[..], b"\0"].concat()).unwrap();
        assert!(matches!(opens(folder.path()), Err(Error::Damaged { .. })), "{file:?} longer");
        fs::write(file, vec![0; good.len()]).unwrap();
        assert!(matches!(opens(folder.path()), Err(Error::Damaged { .. })), "{file:?} zeroed");
        fs::write(file, &good).unwrap();
    }
    assert!(tried > 2_000);
    assert_eq!(opens(folder.path()).unwrap().len(), 23);
}

#[test]
fn missing_and_exchanged_files_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    small_gallery(folder.path());
    let all = files(folder.path());
    for file in &all {
        let good = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        let refused = opens(folder.path()).unwrap_err();
        if file.ends_with("MANIFEST") {
            assert!(matches!(refused, Error::NotAGallery(_)));
            let made = LocalGallery::create(folder.path(), &model(), D, threads(1));
            assert!(matches!(made, Err(Error::AlreadyThere(_))), "the segments must not be lost");
        } else {
            assert!(matches!(&refused, Error::Damaged { file: f, .. } if f == file), "{refused}");
        }
        fs::write(file, good).unwrap();
    }
    assert_eq!(files(folder.path()), all);
    // a segment of the same shape from elsewhere, right in itself
    let other = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(other.path(), &model(), D, threads(1)).unwrap();
    gallery.append(&model(), &some(&mut Random(2), 14)).unwrap();
    fs::copy(&files(other.path())[1], folder.path().join("0000000000000001.templates")).unwrap();
    assert!(matches!(opens(folder.path()), Err(Error::Damaged { .. })));
}

#[test]
fn what_a_crash_left_is_swept_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    small_gallery(folder.path());
    let before = files(folder.path());
    for left in ["0000000000000009.templates", "0000000000000009.references", "MANIFEST.next"] {
        fs::write(folder.path().join(left), b"half").unwrap();
    }
    fs::write(folder.path().join("notes.txt"), b"not ours").unwrap();
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
    assert_eq!(files(folder.path()).len(), before.len() + 4, "a reader removes nothing");
    let gallery = LocalGallery::open(folder.path(), &model(), threads(1)).unwrap();
    assert_eq!((gallery.len(), reader.len()), (23, 23));
    let after = files(folder.path());
    assert_eq!(after.len(), before.len() + 1);
    assert!(after.iter().any(|f| f.ends_with("notes.txt")));
}

#[test]
fn after_compaction_no_byte_of_an_erased_reference_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(4);
    let mut references = some(&mut random, 200);
    for (n, r) in references.iter_mut().enumerate() {
        r.attributes.enrolled_at = 0x1122_3344_5566_0000 + n as i64;
    }
    let gallery = LocalGallery::create(folder.path(), &model(), D, threads(2)).unwrap();
    gallery.append(&model(), &references[..150]).unwrap();
    gallery.append(&model(), &references[150..]).unwrap();
    let traces = |r: &NewReference| {
        let template: Vec<u8> = r.template.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut traces = vec![r.id.to_vec(), r.attributes.enrolled_at.to_le_bytes().to_vec()];
        traces.extend(template.chunks(8).map(<[u8]>::to_vec)); // every two components
        traces
    };
    let found = |trace: &[u8]| {
        let holds = |f: &Path| fs::read(f).unwrap().windows(trace.len()).any(|w| w == trace);
        files(folder.path()).iter().any(|f| holds(f))
    };
    let (gone, stays): (Vec<_>, Vec<_>) = references.iter().enumerate().partition(|(n, _)| n % 9 == 0 || *n > 192);
    let ids: Vec<_> = gone.iter().map(|(_, r)| r.id).collect();
    let erased = gallery.erase(&ids).unwrap();
    assert_eq!((erased.erased, erased.unknown), (ids.len() as u64, 0));
    for (_, r) in &gone {
        let list = gallery.search(&probe(&r.template), &best(1)).unwrap();
        assert_ne!(list.entries[0].id, r.id, "returned after its erasure was acknowledged");
        assert!(traces(r).iter().all(|t| found(t)), "the scan can see what is there");
    }
    let compacted = gallery.compact().unwrap();
    assert_eq!((compacted.removed, compacted.rewritten), (ids.len() as u64, 2));
    for (_, r) in &gone {
        assert!(!traces(r).iter().any(|t| found(t)), "bytes of an erased reference in a file");
    }
    for (_, r) in &stays {
        assert!(traces(r).iter().all(|t| found(t)));
    }
    let live = || stays.iter().map(|(_, r)| *r);
    let again = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
    for gallery in [&gallery, &again] {
        let list = gallery.search(&probe(&references[0].template), &best(300)).unwrap();
        assert_eq!(plain(&list), brute_force(live(), &references[0].template, &best(300)));
    }
    // and all of it
    let ids: Vec<_> = live().map(|r| r.id).collect();
    gallery.erase(&ids).unwrap();
    gallery.compact().unwrap();
    assert_eq!(files(folder.path()).len(), 1, "only the manifest is left");
    assert!(gallery.is_empty());
}

#[test]
fn enrolling_one_by_one_does_not_leave_a_file_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let references = some(&mut Random(6), 300);
    let gallery = LocalGallery::create(folder.path(), &model(), D, threads(2)).unwrap();
    for r in &references {
        gallery.append(&model(), std::slice::from_ref(r)).unwrap();
    }
    assert!(files(folder.path()).len() <= 2 * 65 + 1, "{}", files(folder.path()).len());
    let at = &references[17].template;
    let list = gallery.search(&probe(at), &best(300)).unwrap();
    assert_eq!(plain(&list), brute_force(&references, at, &best(300)));
    gallery.compact().unwrap();
    assert_eq!(files(folder.path()).len(), 3);
    let list = gallery.search(&probe(at), &best(300)).unwrap();
    assert_eq!(plain(&list), brute_force(&references, at, &best(300)));
}

/// Lets the watchers end also when the test fails.
struct EndsWatching<'a>(&'a AtomicBool);

impl Drop for EndsWatching<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_search_sees_one_epoch_while_others_enrol_and_erase() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(8);
    let writer = LocalGallery::create(folder.path(), &model(), D, threads(1)).unwrap();
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(2)).unwrap();
    // What each epoch holds, known before it can be seen.
    let truth: Mutex<HashMap<u64, Vec<NewReference>>> = Mutex::new(HashMap::from([(0, vec![])]));
    let done = AtomicBool::new(false);
    let probes: Vec<Vec<f32>> = (0..16).map(|_| random.unit(D)).collect();
    let look = |gallery: &'_ LocalGallery| {
        let mut epochs = std::collections::BTreeSet::new();
        let mut last = 0;
        let mut n = 0;
        while !done.load(Ordering::SeqCst) || n < 50 {
            let template = &probes[n % probes.len()];
            let list = gallery.search(&probe(template), &best(20)).unwrap();
            assert!(list.epoch >= last, "epochs go forward");
            last = list.epoch;
            epochs.insert(last);
            let truth = truth.lock().unwrap();
            assert_eq!(plain(&list), brute_force(&truth[&last], template, &best(20)));
            n += 1;
        }
        epochs
    };
    let seen = std::thread::scope(|scope| {
        let (look, writer, reader) = (&look, &writer, &reader);
        let watchers = [scope.spawn(|| look(writer)), scope.spawn(|| look(reader))];
        let end = EndsWatching(&done);
        let mut held: Vec<NewReference> = Vec::new();
        for round in 0..120 {
            let epoch = writer.epoch();
            if round % 4 == 3 {
                let gone: Vec<_> = held.drain(..held.len() / 3).map(|r| r.id).collect();
                truth.lock().unwrap().insert(epoch + 1, held.clone());
                writer.erase(&gone).unwrap();
            } else if round % 10 == 9 {
                truth.lock().unwrap().insert(epoch + 1, held.clone());
                writer.compact().unwrap();
            } else {
                held.extend(some(&mut random, 1 + round * 3));
                truth.lock().unwrap().insert(epoch + 1, held.clone());
                let from = held.len() - (1 + round * 3);
                writer.append(&model(), &held[from..]).unwrap();
            }
            // acknowledged, so the next search of any process sees it
            let list = reader.search(&probe(&probes[0]), &best(1)).unwrap();
            assert_eq!(list.epoch, writer.epoch());
        }
        drop(end);
        watchers.map(|w| w.join().unwrap())
    });
    assert!(seen.iter().all(|epochs| epochs.len() > 5), "{seen:?}");
}

const CHILD: &str = "GALLERY_TEST_CHILD_FOLDER";
const BATCH: usize = 25;

/// Not a test of its own: the process that the next one kills. It enrols batches without end and
/// says which are acknowledged; every third batch it erases the one before the last, and compacts now and then.
#[test]
fn child_that_enrols_until_killed() {
    let Ok(folder) = std::env::var(CHILD) else {
        return;
    };
    let gallery = LocalGallery::open_or_create(folder, &model(), D, threads(1)).unwrap();
    for batch in gallery.epoch().. {
        gallery.append(&model(), &numbered(batch)).unwrap();
        println!("\nenrolled {batch}");
        if batch % 3 == 2 {
            let ids: Vec<_> = numbered(batch - 2).iter().map(|r| r.id).collect();
            gallery.erase(&ids).unwrap();
            println!("\nerased {}", batch - 2);
        }
        if batch % 7 == 6 {
            gallery.compact().unwrap();
        }
    }
}

fn numbered(batch: u64) -> Vec<NewReference> {
    let mut random = Random(batch);
    let mut references = some(&mut random, BATCH);
    for (n, r) in references.iter_mut().enumerate() {
        r.id = (u128::from(batch) << 64 | n as u128).to_be_bytes();
    }
    references
}

#[test]
fn killed_at_any_moment_it_holds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(10);
    let (mut enrolled, mut erased) = (Vec::<u64>::new(), Vec::<u64>::new());
    for _ in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_enrols_until_killed", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = 2 + random.below(25) as usize;
        let note = |line: String, enrolled: &mut Vec<u64>, erased: &mut Vec<u64>| {
            if let Some(n) = line.strip_prefix("enrolled ") {
                enrolled.push(n.parse().unwrap());
            } else if let Some(n) = line.strip_prefix("erased ") {
                erased.push(n.parse().unwrap());
            } else {
                return false;
            }
            true
        };
        let mut acknowledged = 0;
        for line in lines.by_ref() {
            acknowledged += usize::from(note(line.unwrap(), &mut enrolled, &mut erased));
            if acknowledged == enough {
                break;
            }
        }
        assert_eq!(acknowledged, enough, "the child ended by itself");
        std::thread::sleep(std::time::Duration::from_micros(random.below(3_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|l| {
            note(l, &mut enrolled, &mut erased);
        });
        let gallery = LocalGallery::open(folder.path(), &model(), threads(1)).unwrap();
        for batch in &enrolled {
            let there = numbered(*batch).iter().filter(|r| gallery.contains(&r.id)).count();
            if erased.contains(batch) {
                assert_eq!(there, 0, "an acknowledged erasure came back");
            } else {
                // the next erasure may have been done and not yet said
                assert!(there == BATCH || (there == 0 && batch % 3 == 0), "batch {batch}: {there}");
            }
        }
        assert_eq!(gallery.len() % BATCH as u64, 0, "whole batches only");
    }
    assert!(enrolled.len() > 60 && erased.len() > 10);
}

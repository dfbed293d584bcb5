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
use gallery::{Error, Filters, Gallery, LocalGallery, NewReference, Probe, SearchLimits};

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

/// A gallery of a segment and a log that enrols more, and erases a row of the segment and one of its own.
fn small_gallery(folder: &Path) -> Vec<NewReference> {
    let mut random = Random(1);
    let mut references = some(&mut random, 26);
    let gallery = LocalGallery::create(folder, &model(), D, threads(1)).unwrap();
    gallery.append(&model(), &references[..18]).unwrap();
    gallery.compact().unwrap();
    gallery.append(&model(), &references[18..]).unwrap();
    gallery.erase(&[references[3].id, references[20].id]).unwrap();
    references.remove(20);
    references.remove(3);
    references
}

fn opens(folder: &Path) -> Result<LocalGallery, Error> {
    let reading = LocalGallery::open_for_search(folder, &model(), threads(1));
    let writing = LocalGallery::open(folder, &model(), threads(1));
    assert_eq!(reading.is_ok(), writing.is_ok());
    writing
}

/// Opens a gallery whose `file` is damaged. It must refuse to open; or, if the damage is where opening
/// does not look, a check must find it, and a search that touches it must refuse, and one that does
/// not must be right.
fn sees_damage(folder: &Path, file: &Path, live: &[NewReference], what: &str) {
    let gallery = match opens(folder) {
        Err(Error::Damaged { .. }) => return,
        other => other.unwrap(),
    };
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name != "MANIFEST" && !name.ends_with(".log"), "{name} {what}: opened");
    let checked = gallery.check_all();
    assert!(matches!(&checked, Err(Error::Damaged { file: f, .. }) if f == file), "{name} {what}: {checked:?}");
    let men = Filters { sex_markers: vec![1, 2], ..Filters::default() };
    for (n, filters) in [(2, Filters::default()), (30, Filters::default()), (1, men.clone()), (30, men)] {
        for at in [0, 9, 23] {
            let limits = SearchLimits { k: n, threshold: (n == 2).then_some(0.4), filters: filters.clone() };
            match gallery.search(&probe(&live[at].template), &limits) {
                Ok(list) => assert_eq!(plain(&list), brute_force(live, &live[at].template, &limits), "{name} {what}"),
                Err(refused) => assert!(matches!(&refused, Error::Damaged { file: f, .. } if f == file), "{name} {what}: {refused}"),
            }
        }
    }
    // A batch reads the sixth bits too.
    let limits = SearchLimits { k: 3, threshold: None, filters: Filters::default() };
    let batch: Vec<Probe> = live[..8].iter().map(|r| probe(&r.template)).collect();
    match gallery.search_batch(&batch, &limits) {
        Ok(lists) => lists.iter().zip(live).for_each(|(list, r)| {
            assert_eq!(plain(list), brute_force(live, &r.template, &limits), "{name} {what}, in a batch");
        }),
        Err(refused) => assert!(matches!(&refused, Error::Damaged { file: f, .. } if f == file), "{name} {what}: {refused}"),
    }
}

#[test]
fn a_gallery_of_an_older_version_is_refused_by_that_name() {
    let folder = scratch();
    small_gallery(folder.path());
    let manifest = folder.path().join("MANIFEST");
    let now = fs::read_to_string(&manifest).unwrap();
    for older in ["1", "2"] {
        let then = now.replacen("countersign-gallery 3 ", &format!("countersign-gallery {older} "), 1);
        assert_ne!(then, now);
        fs::write(&manifest, then).unwrap();
        let refused = opens(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("older version"), "{refused}");
    }
}

/// A folder in memory where there is one: thousands of openings sync nothing that matters.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Bigger than a block of any table, with erased rows that the manifest names.
#[test]
fn no_flipped_bit_goes_unseen_where_tables_have_many_blocks() {
    let folder = scratch();
    let mut random = Random(15);
    let mut live = some(&mut random, 9_000);
    let gallery = LocalGallery::create(folder.path(), &model(), D, threads(1)).unwrap();
    gallery.append(&model(), &live[..4_500]).unwrap();
    let gone: Vec<_> = live.drain(100..130).map(|r| r.id).collect();
    gallery.erase(&gone).unwrap();
    gallery.append(&model(), &live[4_470..]).unwrap();
    drop(gallery);
    let manifest = fs::read_to_string(folder.path().join("MANIFEST")).unwrap();
    assert!(!manifest.contains("\"erased\":[],\"") && manifest.len() > 300, "it names erased rows");
    opens(folder.path()).unwrap().check_all().unwrap();
    for file in files(folder.path()) {
        let good = fs::read(&file).unwrap();
        for _ in 0..25 {
            let mut bad = good.clone();
            let at = random.below(bad.len() as u64) as usize;
            bad[at] ^= 1 << random.below(8);
            fs::write(&file, &bad).unwrap();
            sees_damage(folder.path(), &file, &live, &format!("with a bit flipped in byte {at}"));
        }
        fs::write(&file, &good).unwrap();
    }
    opens(folder.path()).unwrap().check_all().unwrap();
}

#[test]
fn no_flipped_bit_and_no_truncation_goes_unseen() {
    let folder = scratch();
    let live = small_gallery(folder.path());
    opens(folder.path()).unwrap().check_all().unwrap();
    let files = files(folder.path());
    assert_eq!(files.len(), 7, "{files:?}");
    let mut tried = 0;
    for file in &files {
        let good = fs::read(file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(file, &bad).unwrap();
            sees_damage(folder.path(), file, &live, &format!("with a bit flipped in byte {at}"));
            tried += 1;
        }
        for length in 0..good.len() {
            fs::write(file, &good[..length]).unwrap();
            let opened = opens(folder.path());
            assert!(matches!(opened, Err(Error::Damaged { .. })), "{file:?} cut to {length}");
        }
        if file.extension().is_none_or(|e| e != "log") {
            fs::write(file, [&good[..], b"\0"].concat()).unwrap();
            assert!(matches!(opens(folder.path()), Err(Error::Damaged { .. })), "{file:?} longer");
        }
        fs::write(file, vec![0; good.len()]).unwrap();
        assert!(matches!(opens(folder.path()), Err(Error::Damaged { .. })), "{file:?} zeroed");
        fs::write(file, &good).unwrap();
    }
    assert!(tried > 2_000, "{tried}");
    opens(folder.path()).unwrap().check_all().unwrap();
}

#[test]
fn what_a_log_has_beyond_what_was_acknowledged_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let live = small_gallery(folder.path());
    let log = files(folder.path()).into_iter().find(|f| f.extension().is_some_and(|e| e == "log")).unwrap();
    let good = fs::read(&log).unwrap();
    // Rubbish, zeros, and what would be a record.
    for beyond in [vec![7; 1_000], vec![0; 64], good[32..96].to_vec()] {
        fs::write(&log, [&good[..], &beyond].concat()).unwrap();
        let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
        assert_eq!(fs::read(&log).unwrap().len(), good.len() + beyond.len(), "a reader changes nothing");
        let gallery = LocalGallery::open(folder.path(), &model(), threads(1)).unwrap();
        assert_eq!(fs::read(&log).unwrap(), good);
        for gallery in [&reader, &gallery] {
            let list = gallery.search(&probe(&live[0].template), &best(30)).unwrap();
            assert_eq!(plain(&list), brute_force(&live, &live[0].template, &best(30)));
        }
    }
}

#[test]
fn damage_that_appears_while_it_is_open_is_found_by_a_check() {
    let folder = tempfile::tempdir().unwrap();
    small_gallery(folder.path());
    let gallery = LocalGallery::open(folder.path(), &model(), threads(1)).unwrap();
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
    for file in files(folder.path()) {
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 4;
        fs::write(&file, &bad).unwrap();
        for gallery in [&gallery, &reader] {
            let checked = gallery.check_all();
            assert!(matches!(&checked, Err(Error::Damaged { file: f, .. }) if *f == file), "{file:?}: {checked:?}");
        }
        fs::write(&file, &good).unwrap();
        gallery.check_all().unwrap();
    }
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
    // Files of the same shape from elsewhere, right in themselves.
    let other = tempfile::tempdir().unwrap();
    small_gallery(other.path());
    let theirs = files(other.path());
    let names = |files: &[std::path::PathBuf]| files.iter().map(|f| f.file_name().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&all), names(&theirs));
    for (ours, theirs) in all.iter().zip(&theirs) {
        let (good, bad) = (fs::read(ours).unwrap(), fs::read(theirs).unwrap());
        if good == bad {
            continue; // the rotations differ, templates and ids do not
        }
        fs::write(ours, bad).unwrap();
        assert!(matches!(opens(folder.path()), Err(Error::Damaged { .. })), "{ours:?}");
        fs::write(ours, good).unwrap();
    }
    // A search that follows is not led into another gallery.
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
    for file in &theirs {
        fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let found = reader.search(&probe(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), &best(1));
    assert!(matches!(found, Err(Error::Damaged { .. })), "{found:?}");
}

#[test]
fn what_a_crash_left_is_swept_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    small_gallery(folder.path());
    let before = files(folder.path());
    let left = [
        "0000000000000009.templates",
        "0000000000000009.references",
        "0000000000000009.coarse",
        "0000000000000009.sixth",
        "0000000000000010.log",
        "MANIFEST.next",
    ];
    for left in left {
        fs::write(folder.path().join(left), b"half").unwrap();
    }
    fs::write(folder.path().join("notes.txt"), b"not ours").unwrap();
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
    assert_eq!(files(folder.path()).len(), before.len() + 7, "a reader removes nothing");
    let gallery = LocalGallery::open(folder.path(), &model(), threads(1)).unwrap();
    assert_eq!((gallery.len(), reader.len()), (24, 24));
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
    gallery.compact().unwrap();
    gallery.append(&model(), &references[150..]).unwrap();
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
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
        let newly = LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap();
        for gallery in [&gallery, &reader, &newly] {
            let list = gallery.search(&probe(&r.template), &best(1)).unwrap();
            assert_ne!(list.entries[0].id, r.id, "returned after its erasure was acknowledged");
        }
        assert!(traces(r).iter().all(|t| found(t)), "the scan can see what is there");
    }
    let compacted = gallery.compact().unwrap();
    assert_eq!((compacted.removed, compacted.rewritten), (ids.len() as u64, 1));
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
    assert_eq!(files(folder.path()).len(), 2, "a manifest and a log");
    let at = &references[17].template;
    let list = gallery.search(&probe(at), &best(300)).unwrap();
    assert_eq!(plain(&list), brute_force(&references, at, &best(300)));
    gallery.compact().unwrap();
    assert_eq!(files(folder.path()).len(), 6);
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

/// What a thread did, or what a search found, and in which epoch.
enum Noted {
    Appended(u64, Vec<NewReference>),
    Replaced(u64, Vec<NewReference>),
    Erased(u64, Vec<[u8; 16]>),
    Found(u64, Vec<f32>, common::Answer),
}

#[test]
fn many_writers_at_once_and_every_search_is_right_for_its_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = LocalGallery::create(folder.path(), &model(), D, threads(1)).unwrap();
    let reader = LocalGallery::open_for_search(folder.path(), &model(), threads(2)).unwrap();
    let done = AtomicBool::new(false);
    let write = |seed: u64| {
        let (mut random, mut held, mut noted) = (Random(seed), Vec::<NewReference>::new(), Vec::new());
        for n in 0..50 {
            if n % 5 == 4 {
                let gone: Vec<_> = held.drain(..held.len() / 3).map(|r| r.id).collect();
                noted.push(Noted::Erased(gallery.erase(&gone).unwrap().epoch, gone));
            } else if n % 7 == 6 {
                let new: Vec<_> = held.iter().take(3).map(|r| NewReference { template: random.unit(D), ..r.clone() }).collect();
                let replaced = gallery.replace(&model(), &new).unwrap();
                assert_eq!((replaced.count, replaced.erased), (new.len() as u64, new.len() as u64));
                noted.push(Noted::Replaced(replaced.epoch, new));
            } else {
                let new = some(&mut random, if n % 20 == 10 { 4_100 } else { 1 + n % 4 });
                noted.push(Noted::Appended(gallery.append(&model(), &new).unwrap().epoch, new.clone()));
                held.extend(new.into_iter().take(4));
            }
        }
        noted
    };
    let look = |gallery: &LocalGallery, seed: u64| {
        let (mut random, mut noted) = (Random(seed), Vec::new());
        while !done.load(Ordering::SeqCst) || noted.len() < 20 {
            let template = random.unit(D);
            let list = gallery.search(&probe(&template), &best(15)).unwrap();
            noted.push(Noted::Found(list.epoch, template, plain(&list)));
            std::thread::sleep(std::time::Duration::from_millis(3)); // each is held to brute force afterwards
        }
        noted
    };
    let mut noted = std::thread::scope(|scope| {
        let (write, look, gallery, reader, done) = (&write, &look, &gallery, &reader, &done);
        let watchers = [scope.spawn(move || look(gallery, 91)), scope.spawn(move || look(reader, 92))];
        let end = EndsWatching(done);
        let writers: Vec<_> = (1..5).map(|seed| scope.spawn(move || write(seed))).collect();
        let compacting = scope.spawn(move || (0..10).for_each(|_| _ = gallery.compact().unwrap()));
        let mut noted: Vec<Noted> = writers.into_iter().flat_map(|w| w.join().unwrap()).collect();
        compacting.join().unwrap();
        drop(end);
        noted.extend(watchers.into_iter().flat_map(|w| w.join().unwrap()));
        noted
    });
    // Now what each epoch held can be told, because each thread's references are its own: play all of it again.
    // What one thread did in one epoch stays in its order, because sorting is stable.
    noted.sort_by_key(|n| match n {
        Noted::Appended(epoch, _) | Noted::Replaced(epoch, _) | Noted::Erased(epoch, _) => (*epoch, 0),
        Noted::Found(epoch, ..) => (*epoch, 1),
    });
    let mut held: HashMap<[u8; 16], NewReference> = HashMap::new();
    let mut searches = 0;
    for n in noted {
        match n {
            Noted::Appended(_, new) | Noted::Replaced(_, new) => held.extend(new.into_iter().map(|r| (r.id, r))),
            Noted::Erased(_, gone) => gone.iter().for_each(|id| drop(held.remove(id).unwrap())),
            Noted::Found(epoch, template, list) => {
                assert_eq!(list, brute_force(held.values(), &template, &best(15)), "epoch {epoch}");
                searches += 1;
            }
        }
    }
    assert!(searches >= 40 && gallery.len() == held.len() as u64);
    gallery.check_all().unwrap();
    assert_eq!(LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap().len(), held.len() as u64);
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
        let mut reader = None;
        let mut note = |line: String, enrolled: &mut Vec<u64>, erased: &mut Vec<u64>| {
            if let Some(n) = line.strip_prefix("enrolled ") {
                enrolled.push(n.parse().unwrap());
                reader.get_or_insert_with(|| LocalGallery::open_for_search(folder.path(), &model(), threads(1)).unwrap());
            } else if let Some(n) = line.strip_prefix("erased ") {
                erased.push(n.parse().unwrap());
                if let Some(reader) = &reader {
                    let gone = &numbered(erased[erased.len() - 1])[7];
                    let list = reader.search(&probe(&gone.template), &best(1)).unwrap();
                    assert!(list.entries.iter().all(|c| c.id != gone.id), "another process returns what is erased");
                }
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
            let there = numbered(*batch).iter().filter(|r| gallery.contains(&r.id).unwrap()).count();
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

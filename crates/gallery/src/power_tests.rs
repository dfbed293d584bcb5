//! Cutting the power at every step. Every step of a history on its way to disk is written down; then,
//! for each point between two of them, folders are made that a power cut there could leave: what was
//! synced is there, and of what was not, any part. Each must open, without a complaint, to exactly what
//! was acknowledged, or to that and the one change that was under way.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{Hash, Hasher};

use super::*;
use crate::disk::watch::Done as Step;

/// So that a template is longer than a third of a sector and tears go through records.
const D: usize = 40;
/// What a disk writes wholly or not at all.
const SECTOR: usize = 512;

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

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

fn model() -> ModelId {
    ModelId::new("test-net/1").unwrap()
}

/// Reference `n` in its `version`: the template tells both.
fn reference(n: u8, version: u16) -> NewReference {
    let mut random = Random(u64::from(n) << 32 | u64::from(version));
    let raw: Vec<f64> = (0..D).map(|_| random.next() as f64 / u64::MAX as f64 - 0.5).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    let attributes = Attributes { year_of_birth: version, sex_marker: n % 3, ..Attributes::default() };
    NewReference { id: [n; 16], template: raw.iter().map(|x| (x / length) as f32).collect(), attributes }
}

fn references(numbers: &[u8]) -> Vec<NewReference> {
    numbers.iter().map(|n| reference(*n, 0)).collect()
}

/// What a gallery holds: version by number. `None`: there is no gallery.
type State = Option<BTreeMap<u8, u16>>;
type Files = BTreeMap<String, Vec<u8>>;

/// What was done, and what may be found if the power fails.
struct History {
    disk: Disk,
    folder: PathBuf,
    _scratch: tempfile::TempDir,
    log_rows: usize,
    gallery: Option<LocalGallery>,
    state: State,
    /// From how many steps on which states are right.
    phases: Vec<(usize, Vec<State>)>,
}

fn scratch() -> tempfile::TempDir {
    // Nothing here relies on what a real disk does, so where there is a folder in memory, that is quicker.
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl History {
    fn new(log_rows: usize) -> Self {
        let scratch = scratch();
        let disk = Disk::default();
        disk.watch.record();
        let folder = scratch.path().to_owned();
        let mut history = History {
            disk,
            folder,
            _scratch: scratch,
            log_rows,
            gallery: None,
            state: None,
            phases: vec![(0, vec![None]), (1, vec![None, Some(BTreeMap::new())])],
        };
        let created = LocalGallery::create_on(history.disk.clone(), &history.folder, &model(), D, Settings::default()).unwrap();
        history.take_over(created);
        history.state = Some(BTreeMap::new());
        history.settled();
        history
    }

    fn take_over(&mut self, mut gallery: LocalGallery) {
        gallery.log_rows = self.log_rows;
        self.gallery = Some(gallery);
    }

    fn gallery(&self) -> &LocalGallery {
        self.gallery.as_ref().unwrap()
    }

    fn steps(&self) -> usize {
        self.disk.watch.recorded().len()
    }

    fn settled(&mut self) {
        self.phases.push((self.steps(), vec![self.state.clone()]));
    }

    /// Makes a change that ends in `after`.
    fn change(&mut self, after: State, change: impl FnOnce(&LocalGallery)) {
        self.phases.push((self.steps() + 1, vec![self.state.clone(), after.clone()]));
        change(self.gallery());
        self.state = after;
        assert_eq!(contents(self.gallery()), self.state);
        self.settled();
    }

    fn with(&self, change: impl FnOnce(&mut BTreeMap<u8, u16>)) -> State {
        let mut after = self.state.clone().unwrap();
        change(&mut after);
        Some(after)
    }

    fn append(&mut self, numbers: &[u8]) {
        let after = self.with(|s| s.extend(numbers.iter().map(|n| (*n, 0))));
        self.change(after, |g| _ = g.append(&model(), &references(numbers)).unwrap());
    }

    fn replace(&mut self, numbers: &[u8], version: u16) {
        let after = self.with(|s| s.extend(numbers.iter().map(|n| (*n, version))));
        let new: Vec<_> = numbers.iter().map(|n| reference(*n, version)).collect();
        self.change(after, |g| _ = g.replace(&model(), &new).unwrap());
    }

    fn erase(&mut self, numbers: &[u8]) {
        let after = self.with(|s| s.retain(|n, _| !numbers.contains(n)));
        let ids: Vec<_> = numbers.iter().map(|n| [*n; 16]).collect();
        self.change(after, |g| _ = g.erase(&ids).unwrap());
    }

    fn compact(&mut self) {
        self.change(self.state.clone(), |g| _ = g.compact().unwrap());
    }

    /// Several callers' changes in one group: two appends, one that is refused, and an erasure.
    fn group(&mut self, first: &[u8], second: &[u8], erased: u8) {
        let after = self.with(|s| {
            s.extend(first.iter().chain(second).map(|n| (*n, 0)));
            s.remove(&erased);
        });
        self.change(after, |g| {
            let desk = g.desk().unwrap();
            let enrol = |numbers: &[u8]| Change::enrol(Kind::Append, &references(numbers));
            let slots = [enrol(first), enrol(&[first[0], 99]), enrol(second), Change::erase(&[[erased; 16]])].map(|c| desk.put(c));
            g.settle(desk, &mut g.writer().unwrap());
            let fine = slots.map(|s| s.lock().unwrap().take().unwrap().is_ok());
            assert_eq!(fine, [true, false, true, true]);
        });
    }

    /// Makes a change that the process does not survive, and opens the gallery again.
    fn killed_after(&mut self, steps: usize, after: State, change: impl FnOnce(&LocalGallery)) {
        self.phases.push((self.steps() + 1, vec![self.state.clone(), after.clone()]));
        self.disk.watch.die_after(steps as i64);
        change(self.gallery());
        self.disk.watch.die_after(i64::MAX);
        self.gallery = None;
        let again = LocalGallery::open_on(self.disk.clone(), &self.folder, &model(), Settings::default()).unwrap();
        let found = contents(&again);
        assert!(found == self.state || found == after);
        self.take_over(again);
        self.state = found;
        self.settled();
    }

    fn allowed(&self, step: usize) -> &[State] {
        &self.phases.iter().rev().find(|(from, _)| *from <= step).unwrap().1
    }

    /// Cuts the power at every step, `trials` times and in the extreme ways, and once more while the
    /// gallery is opened and used after that. Returns how many different folders were opened.
    fn cut_the_power_everywhere(&self, seed: u64, trials: usize) -> usize {
        let steps = self.disk.watch.recorded();
        let mut random = Random(seed);
        let mut seen = HashSet::new();
        let mut world = World::default();
        for step in 0..=steps.len() {
            if step > 0 {
                world.apply(&steps[step - 1]);
            }
            for trial in 0..trials + 2 {
                let files = world.after_power_cut(trial, &mut random);
                let mut hasher = DefaultHasher::new();
                (&files, self.allowed(step)).hash(&mut hasher);
                if seen.insert(hasher.finish()) {
                    let again = opens_to(
                        &files,
                        self.allowed(step),
                        &format!("step {step} of {}, trial {trial}: {:?}", steps.len(), steps.get(step)),
                    );
                    if let Some(again) = again.filter(|_| seen.len() % 16 == 0) {
                        again.cut_the_power_once_more(&files, &mut random);
                    }
                }
            }
        }
        seen.len()
    }
}

/// What is in a gallery, read row by row.
fn contents(gallery: &LocalGallery) -> State {
    let snapshot = gallery.snapshot();
    let mut found = BTreeMap::new();
    let mut take = |id: ReferenceId, template: &[f32], attributes: Attributes| {
        let (n, version) = (id[0], attributes.year_of_birth);
        let expected = reference(n, version);
        assert!(expected.id == id && expected.template == template && expected.attributes == attributes, "{n} {version}");
        assert_eq!(found.insert(n, version), None, "twice");
    };
    for live in &snapshot.segments {
        for row in live.live_rows() {
            take(live.segment.id(row).unwrap(), live.segment.template(row).unwrap(), live.segment.attributes(row).unwrap());
        }
    }
    snapshot.log_rows().for_each(|(id, template, attributes)| take(*id, template, *attributes));
    assert_eq!(found.len() as u64, gallery.len());
    Some(found)
}

/// What was done after a power cut.
struct Again {
    steps: Vec<Step>,
    found: BTreeMap<u8, u16>,
}

/// Opens a folder that a power cut left, for search and then for enrolment, and uses it.
fn opens_to(files: &Files, allowed: &[State], when: &str) -> Option<Again> {
    let folder = scratch();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    let reader = match LocalGallery::open_for_search(folder.path(), &model(), Settings::default()) {
        Err(Error::NotAGallery(_)) if allowed.contains(&None) => {
            LocalGallery::open_or_create(folder.path(), &model(), D, Settings::default()).unwrap();
            return None;
        }
        opened => opened.unwrap_or_else(|e| panic!("{when}: {e}")),
    };
    let found = contents(&reader);
    assert!(allowed.contains(&found), "{when}: {found:?}, not {allowed:?}");
    let found = found.unwrap();

    let disk = Disk::default();
    disk.watch.record();
    let gallery =
        LocalGallery::open_on(disk.clone(), folder.path(), &model(), Settings::default()).unwrap_or_else(|e| panic!("{when}: {e}"));
    assert_eq!(contents(&gallery).as_ref(), Some(&found), "{when}");
    let (probe, k) = (reference(200, 0).template, 300);
    let search = |gallery: &LocalGallery| {
        let limits = SearchLimits { k, threshold: None, filters: Filters::default() };
        let list = gallery.search(&Probe::new(model(), probe.clone()).unwrap(), &limits).unwrap();
        list.entries.iter().map(|c| (c.id[0], c.score.to_bits())).collect::<Vec<_>>()
    };
    let mut truth: Vec<(u8, f64)> =
        found.iter().map(|(n, version)| (*n, crate::canonical_score(&probe, &reference(*n, *version).template))).collect();
    truth.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let truth: Vec<_> = truth.into_iter().map(|(n, score)| (n, score.to_bits())).collect();
    assert_eq!((search(&reader), search(&gallery)), (truth.clone(), truth), "{when}");
    gallery.check_all().unwrap();
    gallery.append(&model(), &[reference(200, 0)]).unwrap();
    for gallery in [&reader, &gallery] {
        assert_eq!(search(gallery)[0].0, 200, "{when}: it goes on");
    }
    Some(Again { steps: disk.watch.recorded(), found })
}

impl Again {
    /// Cuts the power at each step of opening, and of the append after it.
    fn cut_the_power_once_more(&self, files: &Files, random: &mut Random) {
        let with = || Some(self.found.iter().map(|(n, v)| (*n, *v)).chain([(200, 0)]).collect());
        let mut world = World::holding(files);
        for step in 0..=self.steps.len() {
            if step > 0 {
                world.apply(&self.steps[step - 1]);
            }
            let allowed: &[State] = if step == self.steps.len() { &[with()] } else { &[Some(self.found.clone()), with()] };
            for trial in 0..4 {
                let files = world.after_power_cut(trial, random);
                if files.contains_key("MANIFEST") {
                    // 200 is there already where it was appended.
                    let folder = scratch();
                    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
                    let again = LocalGallery::open(folder.path(), &model(), Settings::default()).unwrap();
                    let found = contents(&again);
                    assert!(allowed.contains(&found), "again at {step}: {found:?}, not {allowed:?}");
                    again.check_all().unwrap();
                } else {
                    panic!("the manifest is gone");
                }
            }
        }
    }
}

/// A folder as the disk has it, and what it has not been told to keep.
#[derive(Default)]
struct World {
    files: Vec<Contents>,
    /// By name, as a running system sees it.
    names: BTreeMap<String, usize>,
    kept_names: BTreeMap<String, usize>,
    /// Changes of names since the folder was synced, each of which happens wholly or not at all.
    loose: Vec<Vec<(String, Option<usize>)>>,
}

#[derive(Default)]
struct Contents {
    kept: Vec<u8>,
    loose: Vec<Loose>,
}

enum Loose {
    Write(usize, Vec<u8>),
    Cut(usize),
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

impl World {
    fn holding(files: &Files) -> Self {
        let mut world = World::default();
        for (n, (name, bytes)) in files.iter().enumerate() {
            world.files.push(Contents { kept: bytes.clone(), loose: Vec::new() });
            world.names.insert(name.clone(), n);
        }
        world.kept_names = world.names.clone();
        world
    }

    fn file(&mut self, path: &Path) -> &mut Contents {
        &mut self.files[self.names[&name(path)]]
    }

    fn rename(&mut self, changes: Vec<(String, Option<usize>)>) {
        for (name, file) in &changes {
            match file {
                Some(file) => self.names.insert(name.clone(), *file),
                None => self.names.remove(name),
            };
        }
        self.loose.push(changes);
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Create(path) => {
                self.files.push(Contents::default());
                self.rename(vec![(name(path), Some(self.files.len() - 1))]);
            }
            Step::Write(path, at, bytes) => self.file(path).loose.push(Loose::Write(*at as usize, bytes.clone())),
            Step::Cut(path, length) => self.file(path).loose.push(Loose::Cut(*length as usize)),
            Step::Sync(path) => {
                let file = self.file(path);
                for loose in std::mem::take(&mut file.loose) {
                    match loose {
                        Loose::Write(at, bytes) => put(&mut file.kept, at, &bytes),
                        Loose::Cut(length) => file.kept.truncate(length),
                    }
                }
            }
            Step::Rename(from, to) => {
                let file = self.names[&name(from)];
                self.rename(vec![(name(from), None), (name(to), Some(file))]);
            }
            Step::Remove(path) => {
                if self.names.contains_key(&name(path)) {
                    self.rename(vec![(name(path), None)]);
                }
            }
            Step::SyncFolder => {
                self.kept_names = self.names.clone();
                self.loose.clear();
            }
        }
    }

    /// A folder that a power cut now could leave. Trial 0 loses all that was not synced, trial 1
    /// nothing, the others any part, of names in any order.
    fn after_power_cut(&self, trial: usize, random: &mut Random) -> Files {
        let mut names = self.kept_names.clone();
        let mut changes: Vec<_> = self.loose.iter().collect();
        if trial > 1 {
            changes.retain(|_| random.coin());
            if random.coin() {
                for n in (1..changes.len()).rev() {
                    changes.swap(n, random.below(n + 1));
                }
            }
        }
        for (name, file) in changes.into_iter().filter(|_| trial != 0).flatten() {
            match file {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            };
        }
        names.into_iter().map(|(name, file)| (name, self.files[file].after_power_cut(trial, random))).collect()
    }
}

impl Contents {
    fn after_power_cut(&self, trial: usize, random: &mut Random) -> Vec<u8> {
        let mut file = self.kept.clone();
        for loose in self.loose.iter().filter(|_| trial != 0) {
            match (loose, if trial == 1 { 0 } else { random.below(5) }) {
                (Loose::Write(at, bytes), 0) => put(&mut file, *at, bytes),
                (Loose::Cut(length), 0 | 1) => file.truncate(*length),
                (_, 1) => {} // lost
                (Loose::Cut(_), _) => {}
                (Loose::Write(at, bytes), how) => {
                    // Torn between sectors of the file: some are written, some are not. The length may
                    // be known of before the contents are; then there is nothing there, or anything.
                    if how >= 3 {
                        let rubbish = if how == 3 { 0 } else { random.next() as u8 };
                        file.resize(file.len().max(at + bytes.len()), rubbish);
                    }
                    let prefix = random.coin().then(|| random.below(bytes.len() / SECTOR + 2));
                    let mut start = 0;
                    let mut sector = 0;
                    while start < bytes.len() {
                        let end = bytes.len().min(start + SECTOR - (at + start) % SECTOR);
                        if prefix.map_or_else(|| random.coin(), |n| sector < n) {
                            put(&mut file, at + start, &bytes[start..end]);
                        }
                        (start, sector) = (end, sector + 1);
                    }
                }
            }
        }
        file
    }
}

#[test]
fn single_appends() {
    let mut history = History::new(100);
    for n in 0..5 {
        history.append(&[n]);
    }
    history.append(&[5, 6, 7, 8, 9, 10, 11, 12]);
    assert!(history.cut_the_power_everywhere(1, 60) > 100);
}

#[test]
fn erasures_and_replacements_of_what_is_in_the_log_and_in_segments() {
    let mut history = History::new(100);
    history.append(&[1, 2, 3, 4, 5, 6]);
    history.compact();
    history.append(&[7, 8, 9]);
    history.erase(&[2]);
    history.erase(&[7, 3]);
    history.replace(&[1, 9, 2], 1);
    history.replace(&[1, 9], 2);
    history.erase(&[1, 4, 5, 6]);
    assert!(history.cut_the_power_everywhere(2, 30) > 120);
}

#[test]
fn groups_of_changes() {
    let mut history = History::new(8);
    history.append(&[1, 2]);
    history.group(&[3, 4], &[5], 1);
    history.group(&[6], &[7, 8], 6);
    history.compact();
    history.group(&[1], &[6], 7);
    assert!(history.cut_the_power_everywhere(3, 50) > 100);
}

#[test]
fn logs_rolled_over() {
    let mut history = History::new(4);
    for n in 0..14 {
        history.append(&[n]);
    }
    history.erase(&[0, 13]);
    history.append(&[20, 21, 22]);
    history.append(&[23, 24, 25]);
    assert!(history.cut_the_power_everywhere(4, 20) > 250);
}

#[test]
fn compactions_and_bulk() {
    let mut history = History::new(4);
    history.append(&(0..20).collect::<Vec<_>>());
    history.append(&[30, 31]);
    history.erase(&[3, 4, 30]);
    history.compact();
    history.replace(&[1, 2, 3, 4, 31], 1);
    history.erase(&(0..20).collect::<Vec<_>>());
    history.compact();
    history.erase(&[31]);
    history.compact();
    history.append(&[1]);
    assert!(history.cut_the_power_everywhere(5, 20) > 250);
}

#[test]
fn any_history() {
    for seed in 0..4 {
        let mut random = Random(seed);
        let mut history = History::new(1 + random.below(6));
        for version in 1..14 {
            let held: Vec<u8> = history.state.iter().flatten().map(|(n, _)| *n).collect();
            let mut some = |of: Vec<u8>| -> Vec<u8> { of.into_iter().filter(|_| random.below(8) == 0).collect() };
            let (old, new) = (some(held.clone()), some((0..60).filter(|n| !held.contains(n)).collect()));
            match random.below(5) {
                0 | 1 => history.append(&new),
                2 => history.erase(&old),
                3 => history.replace(&[old, new].concat(), version),
                _ => history.compact(),
            }
        }
        assert!(history.cut_the_power_everywhere(seed, 12) > 150);
    }
}

/// A killed process leaves what it has written to the system, synced or not; the next one builds on
/// that, and only then the power fails.
#[test]
fn killed_then_opened_then_the_power_fails() {
    let mut folders = 0;
    for steps in 0..30 {
        let mut history = History::new(4);
        history.append(&[1, 2, 3]);
        history.erase(&[2]);
        let after = history.with(|s| s.extend([(4, 0), (5, 0), (6, 0)]));
        history.killed_after(steps, after, |g| _ = g.append(&model(), &references(&[4, 5, 6])));
        history.append(&[7]);
        let same = history.state.clone();
        history.killed_after(steps, same, |g| _ = g.compact());
        history.replace(&[1], 9);
        folders += history.cut_the_power_everywhere(steps as u64, 3);
    }
    assert!(folders > 1_000, "{folders}");
}

//! `evaluate DIR`: the protocol on real photographs, what it refuses, and that nobody's name comes out.

use crate::run::{BINARY, Ran, command, photograph, run};
use decoder::{Decoder, PixelArea, Rgb8};
use face::{Engine, OnnxEngine, Pack, accuracy::Evaluation};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Names that occur nowhere else in the binary's words.
const NAMES: [&str; 6] = ["Xanthippe_Quux", "Ygraine_Vosz", "Zebedee_Wrox", "Peregrin_Blix", "Quenby_Jarv", "Ozymand_Fyx"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Faces of the sample photographs, cut out with room around them: photograph, face from the left.
fn faces(wanted: &[(u32, usize)]) -> Vec<Rgb8> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let decoder = Decoder::new(BINARY.into(), vec!["decode-child".into()]);
    let pack = Pack::open(&root().join("build/packs/bundled")).unwrap();
    let engine = OnnxEngine::load(&pack, &root().join("build/onnxruntime/libonnxruntime.so")).unwrap();
    let one = |(sample, face): &(u32, usize)| {
        let bytes = fs::read(photograph(&format!("sample{sample}.jpg"))).unwrap();
        let pixels = runtime.block_on(decoder.decode(&bytes, None)).unwrap().pixels;
        let found = engine.detect(&face::Image::new(pixels.width(), pixels.height(), pixels.data()).unwrap()).unwrap();
        let f = &found[*face].area;
        let area = PixelArea { x: f.x, y: f.y, width: f.width, height: f.height }.padded(0.4);
        pixels.crop(area).unwrap().scale_to_fit(260, 260)
    };
    wanted.iter().map(one).collect()
}

/// One person on two photographs, one on a photograph and a darker print of it, one whose second picture is no picture, and
/// three with one picture.
struct Ground {
    folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { folder: tempfile::tempdir().unwrap() };
        // The third of sample 1 is the second of sample 3.
        let mut all = faces(&[(1, 1), (1, 1), (1, 2), (3, 1), (1, 0), (3, 0), (4, 1), (5, 0)]);
        all[1] = all[1].brightness_contrast(-30, 0);
        for (person, images) in [(0, &all[..2]), (1, &all[2..4]), (2, &all[4..5]), (3, &all[5..6]), (4, &all[6..7]), (5, &all[7..8])] {
            for (n, image) in images.iter().enumerate() {
                ground.put(person, n + 1, &image.to_jpeg(92).unwrap());
            }
        }
        ground.put(2, 2, b"Dear Sir or Madam");
        fs::write(ground.people().join("notes.txt"), "not a person").unwrap();
        ground
    }

    fn people(&self) -> PathBuf {
        let people = self.folder.path().join("people");
        fs::create_dir_all(&people).unwrap();
        people
    }

    fn put(&self, person: usize, number: usize, bytes: &[u8]) {
        let folder = self.people().join(NAMES[person]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{}_{number:04}.jpg", NAMES[person])), bytes).unwrap();
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn evaluate(&self, more: &[&str]) -> Ran {
        run(&[&["evaluate", self.people().to_str().unwrap()], more].concat())
    }
}

fn names_nobody(text: &str) {
    for name in NAMES.iter().flat_map(|n| n.split('_')).chain(["_0001", "_0002", "/people"]) {
        assert!(!text.contains(name), "{name} comes out");
    }
}

#[test]
fn a_small_sample_is_measured_without_a_name_and_says_what_it_cannot_support() {
    let ground = Ground::new();
    let side = |n: usize| ["left", "right"][n % 2];
    let lines: String =
        NAMES.iter().enumerate().map(|(n, name)| format!("{name}, {},{}\n", side(n), if n < 3 { "old" } else { "" })).collect();
    let groups = ground.file("groups.csv", &format!("name,side,age\n{lines}"));
    let pairs = format!("2 1\n{a} 1 2\n{a} 1 {b} 1\n{b} 1 2\n{a} 2 {b} 2\n", a = NAMES[0], b = NAMES[1]);
    let pairs = ground.file("pairs.txt", &pairs);
    let report = ground.path("report.html");
    let arguments = ["--json", "--groups", &groups, "--pairs", &pairs, "--fillers", "300", "--report", &report];
    let ran = ground.evaluate(&arguments).well();
    assert_eq!(ran.out.lines().count(), 1);
    let said = Evaluation::read(ran.out.trim().as_bytes()).unwrap();
    assert_eq!((said.people, said.images, said.refused), (6, 9, 1));
    assert_eq!(said.refusals[0].why, "the file is not a usable JPEG or PNG image");
    // Three have two images; the third one's probe is no picture, and a miss.
    assert_eq!((said.enrolled, said.fillers, said.mated, said.mated_not_acquired, said.nonmated), (303, 300, 3, 1, 3));
    assert_eq!((said.rank1, said.rank10), (2.0 / 3.0, 2.0 / 3.0), "two are found among 300 strangers: {:?}", said.searches);
    let verification = said.verification.as_ref().unwrap();
    assert_eq!((verification.pairs, verification.given, verification.accuracy), (4, true, 1.0));
    assert!(said.identification.iter().all(|p| !p.measurable && p.fnir.is_none() && p.says.starts_with("Not measurable: 3 searches")));
    assert_eq!(said.columns, ["side", "age"]);
    let shown: Vec<(&str, &str, u64)> = said.groups.iter().map(|g| (g.column.as_str(), g.group.as_str(), g.people)).collect();
    assert_eq!(shown, [("side", "left", 3), ("side", "right", 3), ("age", "old", 3)]);
    let at = said.rates_at(said.at_pack_threshold.threshold);
    assert_eq!((at.misses, at.false_positives), (said.at_pack_threshold.misses, said.at_pack_threshold.false_positives));

    assert!(said.searches.iter().all(|s| s.quality.is_some() == s.acquired), "each face that was found was measured");

    let html = fs::read_to_string(&report).unwrap();
    names_nobody(&ran.out);
    names_nobody(&html);
    for outside in ["<script", "<img", "<link", "src=", "href=", "url(", "://"] {
        assert!(!html.contains(outside), "it stands alone: {outside}");
    }
    assert!(html.contains("Not measurable: 3 searches") && html.contains("300 of them synthetic"));
    for needed in [
        "<html lang=\"en-GB\">",
        "role=\"img\"",
        "<title id=\"det-title\">",
        "<caption>Searches by score</caption>",
        "<title id=\"discard-title\">",
    ] {
        assert!(html.contains(needed), "{needed}");
    }
    let html = |more: &[&str]| {
        ground.evaluate(&[&arguments[..], more].concat()).well();
        fs::read_to_string(&report).unwrap()
    };
    let named = html(&["--name-people", "--demonstration"]);
    assert!(named.contains("Xanthippe_Quux_0002.jpg") && named.contains("This part names people"), "asked for");
    assert!(named.contains("A demonstration: it shows"));

    for threads in ["1", "5"] {
        let again = ground.evaluate(&[&arguments[..], &["--threads", threads]].concat()).well();
        assert!(again.out == ran.out, "{threads} threads");
    }
    let words = ground.evaluate(&["--gallery-fraction", "0.4", "--seed", "3"]).well();
    assert!(words.out.contains("1 enrolled (none of them synthetic), 1 mated and 7 non-mated searches"), "{}", words.out);
    names_nobody(&words.out);
}

#[test]
fn a3_under_an_image_specification_what_it_blocks_is_not_searched_for_and_missed() {
    let ground = Ground::new();
    // The second picture of the second person is too small: the eyes are fewer than 24 pixels apart.
    ground.put(1, 2, &faces(&[(3, 1)])[0].scale_to_fit(84, 84).to_jpeg(95).unwrap());
    let work = ground.path("work");
    let read = |more: &[&str]| {
        let ran = ground.evaluate(&[&["--json", "--work", &work], more].concat()).well();
        names_nobody(&ran.out);
        Evaluation::read(ran.out.trim().as_bytes()).unwrap()
    };
    let open = read(&[]);
    let size = || fs::metadata(Path::new(&work).join("templates")).unwrap().len();
    let kept = size();
    let under = read(&["--image-specification", "passport"]);
    assert_eq!(size(), kept, "judging takes what was measured before; nothing is made again");
    let digest = bureau::images::image_specifications().unwrap()[&casework::record::GalleryId::Passport].digest();
    assert_eq!((&open.image_specification, &under.image_specification), (&None, &Some(hex::encode(digest))));
    assert_eq!((open.mated_blocked, under.mated_blocked, under.nonmated_blocked), (0, 1, 0));
    assert_eq!((under.mated, under.mated_not_acquired, under.refused), (open.mated, open.mated_not_acquired + 1, open.refused));
    let found = |e: &Evaluation| e.mated - e.rates_at(-1.0).misses;
    assert_eq!(found(&under) + 1, found(&open), "the blocked one is missed at any threshold");
    let said = ground.evaluate(&["--work", &work, "--image-specification", "passport"]).well().out;
    assert!(said.contains("The image specification blocks 1 of 3 mated and 0 of 3 non-mated probes."), "{said}");
    assert!(said.contains("of the 1 that were searched for"), "{said}");
    assert_eq!(ground.evaluate(&["--image-specification", "nowhere"]).code, Some(2));
}

#[test]
fn an_evaluation_killed_half_way_goes_on_and_says_the_same() {
    let ground = Ground::new();
    // Twelve more pictures, so that there is a half-way.
    let one = &faces(&[(1, 1)])[0];
    for n in 0..12 {
        let picture = one.brightness_contrast(n * 4 - 24, 0).to_jpeg(92).unwrap();
        ground.put(0, 3 + usize::try_from(n).unwrap(), &picture);
    }
    let people = ground.people();
    let work = ground.path("work");
    let arguments = ["evaluate", people.to_str().unwrap(), "--json", "--threads", "1"];
    let resumed = [&arguments[..], &["--work", &work]].concat();
    let kept = Path::new(&work).join("templates");
    let size = || fs::metadata(&kept).map_or(0, |m| m.len());
    for until in [1_500, 3_500] {
        let mut child = command(&resumed).stdout(std::process::Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while size() < until && began.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it was still at work");
    }
    let done = size();
    assert!(done >= 3_500, "killed half-way: {done}");
    // Cut within a record, as a machine that stops may leave it.
    fs::OpenOptions::new().write(true).open(&kept).unwrap().set_len(done - 100).unwrap();
    let whole = run(&arguments).well();
    let second = run(&resumed).well();
    assert!(second.out == whole.out, "the same bytes");
    let full = size();
    assert!(full > done);
    // Everything is there: nothing is made again, and damage is noticed and made good.
    assert!(run(&resumed).well().out == whole.out && size() == full);
    let mut bytes = fs::read(&kept).unwrap();
    bytes[2_000] ^= 1;
    fs::write(&kept, bytes).unwrap();
    assert!(run(&resumed).well().out == whole.out && size() == full);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o077, 0, "biometric data is its owner's alone");

    fs::write(&kept, "a letter").unwrap();
    let said = run(&resumed).badly().said();
    assert!(said.contains("is not the work file of an evaluation"), "{said}");
}

#[test]
fn what_is_wrong_is_said_at_once() {
    let ground = Ground::new();
    let began = Instant::now();
    let said = |more: &[&str]| ground.evaluate(more).badly().said();
    let nowhere = run(&["evaluate", &ground.path("nowhere")]).badly().said();
    assert!(nowhere.contains("cannot be read"), "{nowhere}");
    let empty = ground.path("empty");
    fs::create_dir_all(Path::new(&empty).join("somebody")).unwrap();
    let nobody = run(&["evaluate", &empty]).badly().said();
    assert!(nobody.contains("holds no folder with JPEG or PNG images") && nobody.contains("NAME_0001.jpg"), "{nobody}");
    fs::write(Path::new(&empty).join("somebody/a_0001.jpg"), "x").unwrap();
    let once = run(&["evaluate", &empty]).badly().said();
    assert!(once.contains("nobody has two images"), "{once}");

    fs::write(Path::new(&empty).join("somebody/a_0002.jpg"), "x").unwrap();
    let inside = run(&["evaluate", &empty]).badly().said();
    assert!(inside.contains("everybody is in the gallery") && inside.contains("--gallery-fraction"), "{inside}");

    let strangers = ground.file("strangers.csv", "name,sex\nNobody_Known,female\nXanthippe_Quux,female\nNor_Him,male\n");
    let unknown = said(&["--groups", &strangers]);
    assert!(unknown.contains("2 lines name somebody who has no folder: line 2, 4"), "{unknown}");
    let twice = ground.file("twice.csv", "name,sex\nXanthippe_Quux,female\nXanthippe_Quux,male\n");
    assert!(said(&["--groups", &twice]).contains("for a second time: line 3"));
    let bare = ground.file("bare.csv", "name\nXanthippe_Quux\n");
    assert!(said(&["--groups", &bare]).contains("must name the columns"));
    let missing = ground.file("pairs.txt", "2 1\nXanthippe_Quux 1 9\nA 1 B 1\nA 1 2\nA 1 B 2\n");
    let missing = said(&["--pairs", &missing]);
    assert!(missing.contains("4 of 4 pairs name an image that is not in the folder; lines 2 3 4 5"), "{missing}");
    assert!(said(&["--gallery-fraction", "1.5"]).contains("above 0 and at most 1"));
    assert!(said(&["--report", &ground.path("no/such/folder/report.html")]).contains("Name a file in a folder that is there"));
    assert!(said(&["--pack", &empty]).contains("manifest.toml"));
    assert!(said(&["--fillers", "9000000000"]).contains("at most can be held"));
    assert_eq!(ground.evaluate(&["--name-people"]).code, Some(2), "there is no report to name them in");
    assert_eq!(run(&["evaluate"]).code, Some(2));
    assert!(began.elapsed() < Duration::from_secs(60), "before any image is looked at");
}

/// Peak memory of a run, in bytes.
fn peak(folder: &Path) -> u64 {
    let mut child = command(&["evaluate", folder.to_str().unwrap(), "--threads", "2", "--gallery-fraction", "0.5"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        most = most.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    most * 1024
}

#[test]
fn memory_does_not_grow_with_the_number_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let large = faces(&[(1, 1)])[0].crop(PixelArea { x: 0.0, y: 0.0, width: 200.0, height: 200.0 }).unwrap();
    // Sixteen times each pixel: 10 million of them, 31 MB decoded.
    let side = large.width() * 16;
    let rows = (0..large.height() * 16).flat_map(|y| (0..side).map(move |x| (x / 16, y / 16)));
    let at = |x: u32, y: u32| (y * large.width() + x) as usize * 3;
    let data: Vec<u8> = rows.flat_map(|(x, y)| large.data()[at(x, y)..at(x, y) + 3].to_vec()).collect();
    let large = Rgb8::new(side, large.height() * 16, data).unwrap();
    let put = |people: usize, images: usize| {
        for person in 0..people {
            let of = folder.path().join(format!("P{person}"));
            fs::create_dir_all(&of).unwrap();
            for n in 0..images {
                let shade = i32::try_from(person * 7 + n).unwrap();
                let file = of.join(format!("P{person}_{n:04}.jpg"));
                if !file.exists() {
                    fs::write(file, large.brightness_contrast(shade, 0).to_jpeg(60).unwrap()).unwrap();
                }
            }
        }
    };
    put(2, 2);
    let few = peak(folder.path());
    put(2, 7);
    let many = peak(folder.path());
    // Ten more images would be 310 MB more if they were held.
    assert!(many < few + 120_000_000, "{few} bytes with 4 images, {many} with 14");
}

#[test]
fn real_people_with_a_pack_given_by_path() {
    let shared = std::env::var_os("COUNTERSIGN_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    if !shared.join("models").is_dir() || !shared.join("faces/people").is_dir() {
        eprintln!("NOT RUN: no development models or faces at {}; set COUNTERSIGN_SHARED", shared.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    fs::create_dir_all(&pack).unwrap();
    fs::copy(root().join("tools/packs/yunet_mobilefacenet.toml"), pack.join("manifest.toml")).unwrap();
    for net in ["yunet_n_dynamic.onnx", "foamliu_MobileFaceNet.onnx"] {
        std::os::unix::fs::symlink(shared.join("models").canonicalize().unwrap().join(net), pack.join(net)).unwrap();
    }
    // Fifty people with two or three pictures, seventy with one.
    let people = folder.path().join("people");
    fs::create_dir_all(&people).unwrap();
    let (mut several, mut one) = (0, 0);
    let mut all: Vec<PathBuf> =
        fs::read_dir(shared.join("faces/people")).unwrap().map(|e| e.unwrap().path().canonicalize().unwrap()).collect();
    all.sort();
    for person in all {
        let (count, most) = if fs::read_dir(&person).unwrap().count() > 1 { (&mut several, 50) } else { (&mut one, 70) };
        if *count < most {
            *count += 1;
            std::os::unix::fs::symlink(&person, people.join(person.file_name().unwrap())).unwrap();
        }
    }
    let ran = run(&["evaluate", people.to_str().unwrap(), "--pack", pack.to_str().unwrap(), "--json"]).well();
    let said = Evaluation::read(ran.out.trim().as_bytes()).unwrap();
    assert_eq!((said.people, said.enrolled, said.nonmated), (120, 50, 70));
    assert_eq!((said.refused, said.failed_to_enrol), (0, 0));
    assert!(said.rank1 >= 0.95 && said.rank10 >= 0.95, "{} {}", said.rank1, said.rank10);
    assert!(said.verification.as_ref().unwrap().accuracy >= 0.95, "{:?}", said.verification);
    assert!(said.at_no_false_alarm.fnir <= 0.2, "{:?}", said.at_no_false_alarm);
    names_nobody(&ran.out);
    for entry in fs::read_dir(&people).unwrap() {
        assert!(!ran.out.contains(entry.unwrap().file_name().to_str().unwrap()));
    }
}

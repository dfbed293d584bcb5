//! Mated comparisons of real photographs and of worse copies of them, with the quality of each probe: what
//! error-versus-discard is drawn from.

use super::{Photograph, root};
use face::{
    Component, DetectedFace, Engine, Measured, OnnxEngine, Pack, Template, measure,
    quality::discard::{Kept, Outcome, error_versus_discard},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One probe against another photograph of the same person.
pub struct Trial {
    /// In which way the probe was made worse.
    pub way: &'static str,
    pub measured: Vec<Measured>,
    pub missed: bool,
}

impl Trial {
    pub fn value(&self, component: Component) -> Option<f64> {
        self.measured.iter().find(|m| m.component == component).and_then(|m| m.value)
    }
}

/// What was tried.
#[derive(Default)]
pub struct Trials {
    pub made: Vec<Trial>,
    /// Probes in which no face was found: refused at upload, so no part of a curve.
    pub faceless: usize,
}

/// As it is.
pub const AS_IT_IS: &str = "as it is";

type Way = (&'static str, fn(&Photograph) -> Photograph);

/// The ways in which probes are made worse.
pub const WAYS: [Way; 12] = [
    ("blurred a little", |p| p.blurred(1.5)),
    ("blurred", |p| p.blurred(3.0)),
    ("much blurred", |p| p.blurred(5.0)),
    ("dark", |p| p.toned(|v| v / 6)),
    ("nearly black", |p| p.toned(|v| v / 20)),
    ("washed out", |p| p.toned(|v| v.saturating_mul(4))),
    ("hazy", |p| p.toned(|v| 110 + v / 12)),
    ("half the size", |p| p.smaller(0.5)),
    ("a quarter of the size", |p| p.smaller(0.25)),
    ("enlarged from a fifth", |p| p.enlarged_from(0.2)),
    ("JPEG of quality 8", |p| p.smaller(0.8).through_jpeg(8)),
    ("turned by 30 degrees", |p| p.turned(30.0)),
];

/// The YuNet and MobileFaceNet pack of the development models.
pub fn second_engine(shared: &Path) -> OnnxEngine {
    let folder = tempfile::tempdir().unwrap();
    for name in ["yunet_n_dynamic.onnx", "foamliu_MobileFaceNet.onnx"] {
        let from = shared.join("models").join(name).canonicalize().unwrap();
        std::os::unix::fs::symlink(from, folder.path().join(name)).unwrap();
    }
    fs::copy(root().join("tools/packs/yunet_mobilefacenet.toml"), folder.path().join("manifest.toml")).unwrap();
    OnnxEngine::load(&Pack::open(folder.path()).unwrap(), &super::library()).unwrap()
}

/// Of each person with several photographs the first is the reference and each other one a probe: as it is, and in each of
/// the `ways`, or in one of them in turn.
pub fn trials(engine: &dyn Engine, shared: &Path, every_way: bool) -> Trials {
    let people = listed(&shared.join("faces/people"));
    let mut out = Trials::default();
    let mut turn = 0;
    for files in people.iter().map(|p| listed(p)).filter(|f| f.len() > 1) {
        let Some((photograph, face)) = Photograph::open(&files[0]).central(engine) else { continue };
        let reference = engine.template(&photograph.image(), &face).unwrap();
        for file in &files[1..] {
            let probe = Photograph::open(file);
            let (from, to) = if every_way { (0, WAYS.len()) } else { (turn % WAYS.len(), turn % WAYS.len() + 1) };
            turn += 1;
            for (way, worse) in WAYS[from..to].iter().map(|(way, how)| (*way, how(&probe))) {
                out.add(engine, &reference, way, worse);
            }
            out.add(engine, &reference, AS_IT_IS, probe);
        }
    }
    out
}

impl Trials {
    fn add(&mut self, engine: &dyn Engine, reference: &Template, way: &'static str, probe: Photograph) {
        let Some((probe, face)) = probe.central(engine) else {
            self.faceless += 1;
            return;
        };
        let template = engine.template(&probe.image(), &face).unwrap();
        let score = template.compare(reference).unwrap();
        let missed = !engine.model().threshold.reached_by(&score).unwrap();
        self.made.push(Trial { way, measured: measure(&probe.image(), &face, 1), missed });
    }

    /// The false non-match rate after discarding by a component: `more` says whether more of it is better.
    pub fn curve(&self, component: Component, more: bool, shares: &[f64], of: impl Fn(&Trial) -> bool) -> Vec<Kept> {
        let signed = |v: f64| if more { v } else { -v };
        let outcomes =
            self.made.iter().filter(|t| of(t)).map(|t| Outcome { quality: t.value(component).map_or(f64::NAN, signed), missed: t.missed });
        error_versus_discard(&outcomes.collect::<Vec<_>>(), shares)
    }
}

impl Photograph {
    /// With its most central face, as Labeled Faces in the Wild is meant.
    fn central(self, engine: &dyn Engine) -> Option<(Self, DetectedFace)> {
        let middle = f64::from(self.width) / 2.0;
        let off = |f: &DetectedFace| (f.area.x + f.area.width / 2.0 - middle).abs();
        let face = self.faces(engine).into_iter().min_by(|a, b| off(a).total_cmp(&off(b)))?;
        Some((self, face))
    }
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

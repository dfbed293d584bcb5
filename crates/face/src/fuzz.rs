//! Hostile bytes for each of this crate's parsers (docs/FUZZING.md).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a target ends where a promise is broken")]

use crate::{
    accuracy::{Evaluation, Pairs},
    pack::Manifest,
};

/// A pack is refused in words, or its model has an id and a length.
pub fn pack(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok((_, info)) = Manifest::read(text) {
        assert!(info.dimension > 0 && !info.id.as_str().is_empty());
        assert!(!info.pack.contains(['/', '.']), "a pack's id names a folder");
    }
}

/// An evaluation is refused, or every number that a certificate takes from it can be asked for.
pub fn evaluation(bytes: &[u8]) {
    let Ok(read) = Evaluation::read(bytes) else {
        return;
    };
    for threshold in [read.groups_threshold, f64::MIN, 0.0, f64::MAX] {
        let rates = read.rates_at(threshold);
        assert!(rates.misses <= rates.mated && rates.false_positives <= rates.nonmated);
        let _ = read.by_group(threshold);
    }
    for fpir in [0.01, 0.001] {
        let _ = (read.supports(fpir), read.threshold_at(fpir));
    }
    let _ = (read.trade_off(), read.histogram(20));
    assert_eq!(Evaluation::read(&serde_json::to_vec(&read).unwrap()).unwrap(), read);
}

/// Pairs are refused with their line, or are as many as the file says.
pub fn pairs(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Pairs::parse(text, |name, number| (name.len() < 4 && number < 9).then_some((name.len(), number as usize)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ModelId, Template,
        accuracy::{About, Person, Protocol, evaluate},
    };
    use std::num::NonZeroUsize;

    /// A manifest of every table, of no real pack.
    const MANIFEST: &str = r#"
format = 1
id = "invented"
name = "Invented"
model = "invented-2"
licence = "MIT"
source = "nowhere"
samples = "photographs"
[detector]
kind = "ssd-mobilenet-v1-faceapi"
file = "detector.onnx"
score_min = 0.5
overlap_max = 0.5
retry_fill = [0.6, 0.3]
retry_turns = [90.0, 270.0]
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
self_test = [-0.00355, 0.01116]
[detector.input]
width = 512
height = 512
channels = "rgb"
mean = [127.5, 127.5, 127.5]
divide_by = [127.5, 127.5, 127.5]
[landmarks]
kind = "landmarks-68"
file = "landmarks.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000001"
self_test = [0.31569, 0.68003]
[landmarks.input]
width = 112
height = 112
channels = "rgb"
mean = [122.7, 117.0, 104.2]
divide_by = [255.0, 255.0, 255.0]
[embedding]
kind = "embedding"
file = "recognition.onnx"
dimension = 2
normalisation = "unit-length"
sha256 = "0000000000000000000000000000000000000000000000000000000000000002"
self_test = [-0.05325, 0.09946]
[embedding.input]
width = 150
height = 150
channels = "rgb"
mean = [122.7, 117.0, 104.2]
divide_by = [255.0, 255.0, 255.0]
[embedding.alignment]
left_eye = [46.6, 41.8]
right_eye = [103.2, 41.5]
left_mouth = [51.7, 107.3]
right_mouth = [98.7, 107.0]
[score]
kind = "cosine"
min = -1.0
max = 1.0
better = "higher"
[threshold]
value = 0.9
false_match_rate = 0.01
genuine_pairs = 10
impostor_pairs = 10
measured_on = "invented photographs"
method = "by hand."
"#;

    #[test]
    fn manifests() {
        assert_eq!(Manifest::read(MANIFEST).map(|(_, info)| info.pack), Ok("invented".into()));
        hostile::tried("pack", vec![MANIFEST.into()], pack, hostile::CHANGES);
    }

    fn measured() -> Vec<u8> {
        let person = |angles: &[f32], group: &str| Person {
            groups: vec![Some(group.to_owned())],
            images: angles
                .iter()
                .map(|a| Template::normalised(ModelId::new("test"), vec![a.to_radians().cos(), a.to_radians().sin()]).ok().map(Into::into))
                .collect(),
        };
        let people = [person(&[0.0, 10.0], "a"), person(&[90.0, 120.0], "b"), person(&[45.0], "a"), person(&[200.0], "b")];
        let about = About {
            measured_on: jiff::civil::date(2026, 11, 20),
            demonstration: true,
            pack: "test".into(),
            pack_digest: "00".into(),
            model: "test".into(),
            pack_threshold: 0.9,
            image_specification: None,
            refusals: vec![],
            several_faces: 0,
        };
        let protocol = Protocol { seed: 1, gallery_fraction: 1.0, columns: vec!["group".into()], threads: NonZeroUsize::MIN };
        serde_json::to_vec(&evaluate(about, &people, &[], Pairs::drawn(&people, 1), &protocol).unwrap()).unwrap()
    }

    #[test]
    fn evaluations() {
        hostile::tried("evaluation", vec![measured()], evaluation, 500);
    }

    #[test]
    fn pairs_of_people() {
        let seeds = vec![b"2\t1\nAnn 1 2\nAnn 1 Bo 1\nBo 1 2\nBo 2 Cy 1\n".to_vec(), b"10 300\n".to_vec()];
        hostile::tried("pairs", seeds, pairs, hostile::CHANGES);
    }
}

//! An evaluation for the tests of several crates: the real protocol over synthetic templates.

use face::{
    ModelInfo, Pack,
    accuracy::{About, Evaluation, Person, Protocol, evaluate},
    filler::Filler,
};

/// 150 people twice, 350 people once, and `fillers` enrolled beside them. `edit` changes it before it is written.
/// It was measured `on` that day.
pub fn evaluation(pack: &Pack, model: &ModelInfo, fillers: u64, on: jiff::civil::Date, edit: impl FnOnce(&mut Evaluation)) -> Vec<u8> {
    let filler = Filler::open(pack).unwrap();
    let person = |n: u64| {
        let template = filler.template(7, n).unwrap();
        let again = (n < 150).then(|| Some(template.clone().into()));
        Person { groups: vec![], images: std::iter::once(Some(template.into())).chain(again).collect() }
    };
    let people: Vec<_> = (0..500).map(person).collect();
    let fillers: Vec<_> = (0..fillers).map(|n| filler.template(8, n).unwrap()).collect();
    let about = About {
        measured_on: on,
        demonstration: false,
        pack: model.pack.clone(),
        pack_digest: pack.digest().to_owned(),
        model: model.id.to_string(),
        pack_threshold: model.threshold.value,
        image_specification: None,
        refusals: vec![],
        several_faces: 0,
    };
    let protocol = Protocol { seed: 1, gallery_fraction: 1.0, columns: vec![], threads: std::num::NonZeroUsize::MIN };
    let mut made = evaluate(about, &people, &fillers, None, &protocol).unwrap();
    edit(&mut made);
    serde_json::to_vec(&made).unwrap()
}

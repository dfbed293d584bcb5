//! Prints error-versus-discard curves of the quality measures: how the false non-match rate at a pack's threshold falls
//! as the worst probes are left out, on photographs of people with several, and on worse copies of them.
//!
//! ```sh
//! cargo run -p face --example discard            # needs the development photographs (COUNTERSIGN_SHARED)
//! cargo run -p face --example discard -- values  # each trial's numbers, one JSON line each, to set ramps and limits by
//! ```

#[path = "../tests/common/mod.rs"]
mod common;

use common::trials::{AS_IT_IS, Trial, Trials, WAYS, second_engine, trials};
use face::{Component, Engine};

const SHARES: [f64; 7] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5];

/// What is drawn, and whether more of it is better.
const DRAWN: [(Component, bool); 11] = [
    (Component::UnifiedQuality, true),
    (Component::InterEyeDistance, true),
    (Component::HeadPoseYaw, false),
    (Component::HeadPosePitch, false),
    (Component::HeadPoseRoll, false),
    (Component::Sharpness, true),
    (Component::UnderExposurePrevention, false),
    (Component::OverExposurePrevention, false),
    (Component::DynamicRange, true),
    (Component::IlluminationUniformity, true),
    (Component::CompressionArtifacts, false),
];

fn print(name: &str, engine: &dyn Engine, trials: &Trials) {
    println!("\n{name}: {} at threshold {}", engine.model().name, engine.model().threshold.value);
    println!("{} comparisons; {} probes had no face that was found", trials.made.len(), trials.faceless);
    for (kind, every) in [("as they are", false), ("as they are and worse", true)] {
        let of = |t: &Trial| every || t.way == AS_IT_IS;
        println!("\n  photographs {kind}: false non-match rate, percent, after discarding");
        println!("  {:28}{}", "", SHARES.map(|s| format!("{:>7.0}%", s * 100.0)).concat());
        for (component, more) in DRAWN {
            let curve = trials.curve(component, more, &SHARES, of);
            let row: String = curve.iter().map(|k| k.rate.map_or("       –".into(), |r| format!("{:>8.1}", r * 100.0))).collect();
            println!("  {:28}{row}", component.name());
        }
    }
    println!("\n  {:28}{:>8}{:>8}{:>10}", "probes", "tried", "missed", "unified");
    for way in std::iter::once(AS_IT_IS).chain(WAYS.iter().map(|w| w.0)) {
        let of: Vec<_> = trials.made.iter().filter(|t| t.way == way).collect();
        let mut scores: Vec<f64> = of.iter().filter_map(|t| t.value(Component::UnifiedQuality)).collect();
        scores.sort_by(f64::total_cmp);
        let median = scores.get(scores.len() / 2).map_or(String::new(), |m| format!("{m:.0}"));
        println!("  {way:28}{:>8}{:>8}{median:>10}", of.len(), of.iter().filter(|t| t.missed).count());
    }
}

fn main() {
    let Some(shared) = common::shared() else { return };
    let values = std::env::args().nth(1).is_some_and(|a| a == "values");
    for (name, engine) in [("second", second_engine(&shared)), ("bundled", common::engine())] {
        let trials = trials(&engine, &shared, true);
        if values {
            for t in &trials.made {
                println!("{}", serde_json::json!({ "engine": name, "way": t.way, "missed": t.missed, "measured": t.measured }));
            }
        } else {
            print(name, &engine, &trials);
        }
    }
}

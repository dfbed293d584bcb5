//! The quality of an image in words: what is wrong with it first, what is fine folded away (S10, A3b).

use casework::form::{FormImage, QualityNote, Suspicion, SuspicionNote, Verdict};
use serde::Serialize;

/// One component.
#[derive(Clone, Debug, Serialize)]
struct Line {
    component: String,
    says: &'static str,
    colour: &'static str,
    advice: String,
}

/// What is said of one image's chosen face.
#[derive(Clone, Debug, Serialize)]
pub(in crate::pages) struct Findings {
    /// What somebody should read, worst first.
    told: Vec<Line>,
    /// What is fine, and what was not measured.
    folded: Vec<Line>,
    /// How many of the folded are fine.
    fine: usize,
    /// `choose` (a face), `block`, `warn` or `fine`.
    verdict: &'static str,
    /// The first 16 of the 64 digits of the image specification's SHA-256.
    specification: Option<String>,
    /// What the image may be instead of a photograph, and why.
    suspicions: Vec<Line>,
}

impl Findings {
    pub(in crate::pages) fn of(image: &FormImage) -> Self {
        let mut told: Vec<&QualityNote> = image.quality.iter().filter(|n| n.verdict > Verdict::Fine).collect();
        told.sort_by_key(|n| std::cmp::Reverse(n.verdict));
        let (fine, unmeasured): (Vec<_>, Vec<_>) =
            image.quality.iter().filter(|n| n.verdict <= Verdict::Fine).partition(|n| n.verdict == Verdict::Fine);
        let verdict = match (image.chosen, told.first().map(|n| n.verdict)) {
            (None, _) => "choose",
            _ if !image.usable() => "block",
            (_, Some(Verdict::Warn)) => "warn",
            _ => "fine",
        };
        Self {
            told: told.into_iter().map(line).collect(),
            fine: fine.len(),
            folded: fine.into_iter().chain(unmeasured).map(line).collect(),
            verdict,
            specification: image.specification.map(|d| d.to_string().chars().take(16).collect()),
            suspicions: image.suspicions.iter().map(suspected).collect(),
        }
    }
}

/// A suspicion is not a finding of quality: it is told beside them, in words that leave it to the reader.
fn suspected(note: &SuspicionNote) -> Line {
    let component = match note.suspicion {
        Suspicion::Edited => "This image may have been changed",
        Suspicion::Synthetic => "This image may not be of a real person",
        Suspicion::ScreenCapture => "This image may be a picture of a screen",
    };
    Line { component: component.into(), says: "Look closer", colour: "orange", advice: note.reason.clone() }
}

fn line(note: &QualityNote) -> Line {
    let (says, colour) = match note.verdict {
        Verdict::Unmeasured => ("Not measured", "grey"),
        Verdict::Fine => ("Good", "green"),
        Verdict::Inform => ("Worth knowing", "light-blue"),
        Verdict::Warn => ("Could be better", "yellow"),
        Verdict::Block => ("Not usable", "red"),
    };
    Line { component: component_words(&note.component), says, colour, advice: note.advice.clone() }
}

/// A component of ISO/IEC 29794-5 as people call it.
fn component_words(component: &str) -> String {
    let words = match component {
        "unified-quality" => "All in all",
        "single-face-present" => "Faces in the image",
        "inter-eye-distance" => "Distance between the eyes",
        "head-pose-yaw" => "Head turned",
        "head-pose-pitch" => "Head raised or lowered",
        "head-pose-roll" => "Head tilted",
        "leftward-crop" => "Room to the left",
        "rightward-crop" => "Room to the right",
        "margin-above" => "Room above",
        "margin-below" => "Room below",
        "sharpness" => "Sharpness",
        "under-exposure-prevention" => "Shadow",
        "over-exposure-prevention" => "Glare",
        "dynamic-range" => "Contrast",
        "illumination-uniformity" => "Evenness of light",
        "compression-artifacts" => "Compression",
        "background-uniformity" => "Background",
        "eyes-open" => "Eyes open",
        "mouth-closed" => "Mouth closed",
        "face-occlusion-prevention" => "Anything over the face",
        // One of an older record.
        other => return other.replace('-', " "),
    };
    words.into()
}

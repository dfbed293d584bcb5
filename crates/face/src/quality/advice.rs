//! Findings in words: the number with its unit, what is needed, and what to do.

use super::{Bounds, Component, Level, Limits, Measured};

/// How a component is spoken of.
struct Words {
    unit: &'static str,
    /// The finding; `{}` is the number.
    says: &'static str,
    /// What to do about it.
    todo: &'static str,
}

const fn words(component: Component) -> Words {
    let (unit, says, todo) = match component {
        Component::UnifiedQuality => {
            ("of 100", "Taken together, the picture of the face reaches {} of 100", "See below what keeps it low.")
        }
        Component::SingleFacePresent => {
            ("faces", "The picture shows {} faces", "Mark the person concerned; the others are masked before anyone compares.")
        }
        Component::InterEyeDistance => (
            "pixels",
            "The face is {} pixels between the eyes",
            "Use the original picture, not a reduced or forwarded copy, or one taken nearer.",
        ),
        Component::HeadPoseYaw => (
            "degrees",
            "The head is turned about {} degrees away from the camera",
            "Use a picture in which the person looks towards the camera.",
        ),
        Component::HeadPosePitch => {
            ("degrees", "The head is raised or lowered by about {} degrees", "Use a picture taken from about the height of the face.")
        }
        Component::HeadPoseRoll => {
            ("degrees", "The head is tilted {} degrees to a shoulder", "Use a picture in which the head is upright.")
        }
        Component::LeftwardCrop => (
            "eye distances",
            "The picture ends {} eye distances to the left of the middle of the face",
            "Use a picture that shows the whole face, or crop less tightly.",
        ),
        Component::RightwardCrop => (
            "eye distances",
            "The picture ends {} eye distances to the right of the middle of the face",
            "Use a picture that shows the whole face, or crop less tightly.",
        ),
        Component::MarginAbove => (
            "eye distances",
            "The picture ends {} eye distances above the eyes",
            "Use a picture that shows the whole forehead, or crop less tightly.",
        ),
        Component::MarginBelow => (
            "eye distances",
            "The picture ends {} eye distances below the eyes",
            "Use a picture that shows the whole chin, or crop less tightly.",
        ),
        Component::Sharpness => (
            "percent",
            "Fine detail makes up {} percent of the face's contrast",
            "Use a picture that is in focus and not blurred by movement, enlargement or compression.",
        ),
        Component::UnderExposurePrevention => (
            "percent",
            "{} percent of the face is lost in shadow",
            "Use a picture with more light on the face. Brightening this one does not bring back what is lost.",
        ),
        Component::OverExposurePrevention => (
            "percent",
            "{} percent of the face is washed out",
            "Use a picture with less light on the face. Darkening this one does not bring back what is lost.",
        ),
        Component::DynamicRange => {
            ("grey levels", "The face spans {} of 255 grey levels", "Use a picture with less haze or glare, and enough light.")
        }
        Component::IlluminationUniformity => (
            "percent",
            "The darker side of the face has {} percent of the brightness of the lighter side",
            "Use a picture with more even light on the face.",
        ),
        Component::CompressionArtifacts => (
            "grey levels",
            "The borders of compression blocks stand out by {} grey levels",
            "Use the original file, not one that was sent through a messenger, saved again or taken from a document.",
        ),
        Component::BackgroundUniformity => (
            "grey levels",
            "The background varies by {} grey levels from point to point",
            "A plainer background helps where there is a choice.",
        ),
        Component::EyesOpen => (
            "percent",
            "The narrower eye is open by {} percent of the length from eyes to chin",
            "Use a picture in which both eyes are open.",
        ),
        Component::MouthClosed => {
            ("percent", "The lips are apart by {} percent of the length from eyes to chin", "Use a picture in which the mouth is closed.")
        }
        Component::FaceOcclusionPrevention => {
            ("percent", "{} percent of the face is covered", "Use a picture in which nothing covers the face.")
        }
    };
    Words { unit, says, todo }
}

/// The unit of a component's value.
pub(super) const fn unit(component: Component) -> &'static str {
    words(component).unit
}

/// What is said of one measured component.
pub(super) fn sentence(measured: &Measured, level: Level, limits: &Limits) -> String {
    let Some(value) = measured.value else { return unmeasured(measured.component).into() };
    let Words { says, todo, .. } = words(measured.component);
    // What is asked for, also of a face that fails the lesser limit below which it is not usable.
    let (asked, better) = match level {
        Level::Fine | Level::Unmeasured => (None, false),
        Level::Inform => (passed(limits.inform, value), true),
        Level::Warn | Level::Block => (passed(limits.warn, value).or_else(|| passed(limits.block, value)), false),
    };
    let says = match measured.component {
        Component::SingleFacePresent if value == 1.0 => "The picture shows 1 face".to_owned(),
        _ => says.replace("{}", &shown(value, asked.map(|(bound, _)| bound))),
    };
    match asked {
        None => format!("{says}."),
        Some((bound, Side::Less)) if measured.component == Component::SingleFacePresent => {
            format!("{says}; {} is expected. {todo}", shown(bound, None))
        }
        Some((bound, side)) => {
            let need = match (side, better) {
                (Side::More, false) => "or more are needed",
                (Side::More, true) => "or more would be better",
                (Side::Less, false) => "or less is wanted",
                (Side::Less, true) => "or less would be better",
            };
            format!("{says}; {} {need}. {todo}", shown(bound, None))
        }
    }
}

/// Which side of a bound would do.
#[derive(Clone, Copy)]
enum Side {
    More,
    Less,
}

/// The bound that the value passes.
fn passed(bounds: Bounds, value: f64) -> Option<(f64, Side)> {
    let under = bounds.below.filter(|b| value < *b).map(|b| (b, Side::More));
    under.or_else(|| bounds.above.filter(|a| value > *a).map(|a| (a, Side::Less)))
}

fn unmeasured(component: Component) -> &'static str {
    match component {
        Component::FaceOcclusionPrevention => {
            "Whether anything covers the face is not measured with this model. Look for glasses, a mask, hair or a hand."
        }
        Component::EyesOpen => "Whether the eyes are open is not measured with this model.",
        Component::MouthClosed => "Whether the mouth is closed is not measured with this model.",
        Component::BackgroundUniformity => "The picture shows too little background to measure.",
        Component::CompressionArtifacts => "The picture around the face is too small to measure compression on.",
        _ => "This could not be measured, since the eyes, nose and mouth could not be placed.",
    }
}

/// Whole where the number is large enough, else with one decimal; finer where it would read as the bound that it misses.
fn shown(value: f64, beside: Option<f64>) -> String {
    let decimals = if value >= 10.0 || value.fract() == 0.0 { 0 } else { 1 };
    let reads = |decimals: i32| (value * 10f64.powi(decimals)).round() / 10f64.powi(decimals);
    let fine = (decimals..2).find(|d| beside.is_none_or(|b| (reads(*d) - b).abs() > 1e-9)).unwrap_or(2);
    format!("{value:.*}", fine as usize)
}

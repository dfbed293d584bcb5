//! The image-processing log: what an examiner did to the two pictures before giving an opinion, step by step and with every
//! number, so that what they looked at can be made again from the original (FISWG and SWGDE ask for such a record).
//!
//! A step says what a setting *became*, not by how much it changed. The settings after the steps are how a picture is
//! drawn ([`Steps::settings`]); drawing is `bureau::enhance`, the same code while looking and when it is made again.

use crate::{
    clause::Clause,
    ids::Digest,
    refusal::{Refusal, refuse},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The most steps of one log. A further one takes the place of one that no longer has an effect ([`Steps::push`]).
pub const STEPS_MAX: usize = 150;
/// The least and the most magnification, in percent of the whole picture's width.
pub const VIEW_PERCENT: [u16; 2] = [100, 1_600];
/// The furthest that brightness and contrast go either way, in percent.
pub const TONE_PERCENT_MAX: i16 = 90;

/// One of the two pictures before an examiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Picture {
    /// The image of the request.
    Probe,
    /// The candidate's held image.
    Held,
}

impl Picture {
    /// In words.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Probe => "Image of the request",
            Self::Held => "Held image",
        }
    }

    fn code(self) -> char {
        match self {
            Self::Probe => 'p',
            Self::Held => 'h',
        }
    }
}

/// How the two pictures lay. It changes neither of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter, strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Arrangement {
    /// Beside each other.
    Side,
    /// One wiped over the other.
    Swipe,
    /// One through the other.
    Overlay,
    /// In turns.
    Blink,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// A part of the picture: magnification in percent ([`VIEW_PERCENT`]), and where its middle lies, in thousandths from the
    /// left and the top.
    View {
        /// Which picture.
        picture: Picture,
        /// Magnification.
        percent: u16,
        /// Across.
        x: u16,
        /// Down.
        y: u16,
    },
    /// Turned clockwise about the middle of the view, to this angle.
    Turn {
        /// Which picture.
        picture: Picture,
        /// 0 to 359.
        degrees: u16,
    },
    /// Every value times 1 + brightness, then spread around mid-grey by 1 + contrast; both in percent, within
    /// ±[`TONE_PERCENT_MAX`]. What the CSS filters of these names do.
    Tone {
        /// Which picture.
        picture: Picture,
        /// Brightness.
        brightness: i16,
        /// Contrast.
        contrast: i16,
    },
    /// A grid over both pictures, or none.
    Grid {
        /// Whether there is one.
        on: bool,
    },
    /// How they lay, and how much of the held image was over the other, in percent.
    Arranged {
        /// How.
        how: Arrangement,
        /// How much.
        percent: u8,
    },
    /// Both pictures as they were.
    Reset,
}

impl Step {
    fn within(self) -> bool {
        match self {
            Self::View { percent, x, y, .. } => (VIEW_PERCENT[0]..=VIEW_PERCENT[1]).contains(&percent) && x <= 1_000 && y <= 1_000,
            Self::Turn { degrees, .. } => degrees < 360,
            Self::Tone { brightness, contrast, .. } => brightness.abs() <= TONE_PERCENT_MAX && contrast.abs() <= TONE_PERCENT_MAX,
            Self::Arranged { percent, .. } => percent <= 100,
            Self::Grid { .. } | Self::Reset => true,
        }
    }

    /// Which picture it changes; none for what changes both.
    fn picture(self) -> Option<Picture> {
        match self {
            Self::View { picture, .. } | Self::Turn { picture, .. } | Self::Tone { picture, .. } => Some(picture),
            Self::Grid { .. } | Self::Arranged { .. } | Self::Reset => None,
        }
    }

    /// In words, with its numbers.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::View { picture, percent, x, y } => {
                let place = |v: u16| format!("{}.{} %", v / 10, v % 10);
                format!("{}: zoom {percent} %, the middle {} across and {} down", picture.label(), place(x), place(y))
            }
            Self::Turn { picture, degrees } => format!("{}: turned {degrees}°", picture.label()),
            Self::Tone { picture, brightness, contrast } => {
                format!("{}: brightness {brightness:+} %, contrast {contrast:+} %", picture.label())
            }
            Self::Grid { on: true } => "Grid on".into(),
            Self::Grid { on: false } => "Grid off".into(),
            Self::Arranged { how: Arrangement::Side, .. } => "Side by side".into(),
            Self::Arranged { how: Arrangement::Swipe, percent } => format!("Swiped one over the other, at {percent} %"),
            Self::Arranged { how: Arrangement::Overlay, percent } => format!("Overlaid, at {percent} %"),
            Self::Arranged { how: Arrangement::Blink, .. } => "Blinked".into(),
            Self::Reset => "Both reset".into(),
        }
    }
}

/// A step as it stands in an address: letters, digits, dots and minus.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View { picture, percent, x, y } => write!(f, "{}v{percent}.{x}.{y}", picture.code()),
            Self::Turn { picture, degrees } => write!(f, "{}r{degrees}", picture.code()),
            Self::Tone { picture, brightness, contrast } => write!(f, "{}t{brightness}.{contrast}", picture.code()),
            Self::Grid { on } => write!(f, "g{}", u8::from(*on)),
            Self::Arranged { how, percent } => write!(f, "a{how}.{percent}"),
            Self::Reset => f.write_str("x"),
        }
    }
}

/// Not a step, or beyond its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no step of image processing")]
pub struct NoStep;

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        fn number<T: FromStr>(text: Option<&str>) -> Result<T, NoStep> {
            text.and_then(|t| t.parse().ok()).ok_or(NoStep)
        }
        let mut letters = text.chars();
        let (first, second) = (letters.next(), letters.next());
        let picture = match first {
            Some('p') => Some(Picture::Probe),
            Some('h') => Some(Picture::Held),
            _ => None,
        };
        let step = match (picture, second, text) {
            (_, _, "x") => Self::Reset,
            (_, _, "g0") => Self::Grid { on: false },
            (_, _, "g1") => Self::Grid { on: true },
            (Some(picture), Some(kind @ ('v' | 'r' | 't')), _) => {
                let mut numbers = text[2..].split('.');
                let mut next = || numbers.next();
                let step = match kind {
                    'v' => Self::View { picture, percent: number(next())?, x: number(next())?, y: number(next())? },
                    'r' => Self::Turn { picture, degrees: number(next())? },
                    _ => Self::Tone { picture, brightness: number(next())?, contrast: number(next())? },
                };
                if next().is_some() {
                    return Err(NoStep);
                }
                step
            }
            (None, Some(_), _) if first == Some('a') => {
                let (how, percent) = text[1..].split_once('.').ok_or(NoStep)?;
                Self::Arranged { how: how.parse().map_err(|_| NoStep)?, percent: number(Some(percent))? }
            }
            _ => return Err(NoStep),
        };
        if step.within() { Ok(step) } else { Err(NoStep) }
    }
}

/// How a picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Magnification in percent.
    pub percent: u16,
    /// Where the middle of the view lies across the picture, in thousandths from the left.
    pub x: u16,
    /// Where it lies down the picture, in thousandths from the top.
    pub y: u16,
    /// Turned clockwise, degrees.
    pub degrees: u16,
    /// Brightness in percent.
    pub brightness: i16,
    /// Contrast in percent.
    pub contrast: i16,
    /// Whether a grid lies over it.
    pub grid: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { percent: 100, x: 500, y: 500, degrees: 0, brightness: 0, contrast: 0, grid: false }
    }
}

/// Steps in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Steps(pub Vec<Step>);

impl Steps {
    /// Reads what [`Steps::code`] wrote; what is no step is passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut out = Self::default();
        text.split('_').filter_map(|s| s.parse().ok()).take(STEPS_MAX).for_each(|s| out.push(s));
        out
    }

    /// As they stand in an address.
    #[must_use]
    pub fn code(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("_")
    }

    /// Adds a step; past [`STEPS_MAX`] the first goes that a later one of its kind made of no effect.
    pub fn push(&mut self, step: Step) {
        self.0.push(step);
        if self.0.len() > STEPS_MAX {
            let kind = |s: &Step| (std::mem::discriminant(s), s.picture());
            // There are nine kinds, so there is one.
            let spent = |at: &usize| self.0[at + 1..].iter().any(|later| kind(later) == kind(&self.0[*at]));
            let at = (0..STEPS_MAX).find(spent).unwrap_or_default();
            self.0.remove(at);
        }
    }

    /// How a picture is drawn after all of them.
    #[must_use]
    pub fn settings(&self, of: Picture) -> Settings {
        self.0.iter().fold(Settings::default(), |now, step| match *step {
            Step::Reset => Settings::default(),
            Step::Grid { on } => Settings { grid: on, ..now },
            Step::View { picture, percent, x, y } if picture == of => Settings { percent, x, y, ..now },
            Step::Turn { picture, degrees } if picture == of => Settings { degrees, ..now },
            Step::Tone { picture, brightness, contrast } if picture == of => Settings { brightness, contrast, ..now },
            _ => now,
        })
    }
}

/// A picture as it was before the examiner when they gave their opinion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which.
    pub picture: Picture,
    /// SHA-256 of the picture without any step.
    pub original: Digest,
    /// SHA-256 of the picture after all of them.
    pub shown: Digest,
}

/// What goes with an opinion: the steps, and what they made of which pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageLog {
    /// The steps.
    pub steps: Steps,
    /// Both pictures, where there are two; empty where nothing was done.
    pub shown: Vec<Shown>,
}

impl ImageLog {
    /// What keeps it from being a log that can be drawn again.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        let mut out = vec![];
        if self.steps.0.len() > STEPS_MAX || !self.steps.0.iter().all(|s| s.within()) {
            let words = format!(
                "What was done to the pictures is not {STEPS_MAX} steps or fewer within their ranges, so it could not be done again."
            );
            out.push(refuse(&[Clause::M2], words));
        }
        if self.steps.0.is_empty() != self.shown.is_empty() {
            out.push(refuse(&[Clause::M2], "What was done to the pictures does not say what it made of them."));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture() -> impl Strategy<Value = Picture> {
        prop_oneof![Just(Picture::Probe), Just(Picture::Held)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (picture(), 100..=1_600u16, 0..=1_000u16, 0..=1_000u16).prop_map(|(picture, percent, x, y)| Step::View {
                picture,
                percent,
                x,
                y
            }),
            (picture(), 0..360u16).prop_map(|(picture, degrees)| Step::Turn { picture, degrees }),
            (picture(), -90..=90i16, -90..=90i16).prop_map(|(picture, brightness, contrast)| Step::Tone { picture, brightness, contrast }),
            any::<bool>().prop_map(|on| Step::Grid { on }),
            (0..=100u8).prop_map(|percent| Step::Arranged { how: Arrangement::Overlay, percent }),
            Just(Step::Reset),
        ]
    }

    proptest! {
        #[test]
        fn steps_are_read_as_they_were_written(steps in prop::collection::vec(step(), 0..40)) {
            let steps = Steps(steps);
            prop_assert_eq!(&Steps::read(&steps.code()), &steps);
            let json = serde_json::to_string(&steps).unwrap();
            prop_assert_eq!(serde_json::from_str::<Steps>(&json).unwrap(), steps);
        }

        #[test]
        fn the_end_is_right_however_many_steps_there_were(steps in prop::collection::vec(step(), 0..400)) {
            let mut kept = Steps::default();
            steps.iter().for_each(|s| kept.push(*s));
            prop_assert!(kept.0.len() <= STEPS_MAX);
            prop_assert!(kept.0.last() == steps.last());
            for of in [Picture::Probe, Picture::Held] {
                prop_assert_eq!(kept.settings(of), Steps(steps.clone()).settings(of));
            }
        }

        #[test]
        fn nonsense_is_no_step(text in ".{0,40}") {
            for step in Steps::read(&text).0 {
                prop_assert!(step.within());
            }
        }
    }

    #[test]
    fn what_is_beyond_a_range_is_refused() {
        for wrong in ["pv99.1.1", "pv100.1001.0", "hr360", "pt91.0", "pt0.-91", "aside.101", "pv1.2", "pv200.1.1.1", "", "p", "é1", "g2"] {
            assert_eq!(wrong.parse::<Step>(), Err(NoStep), "{wrong}");
        }
        let far = ImageLog { steps: Steps(vec![Step::Turn { picture: Picture::Probe, degrees: 400 }]), shown: vec![] };
        assert_eq!(far.refusals().len(), 2);
        assert!(ImageLog::default().refusals().is_empty());
    }
}

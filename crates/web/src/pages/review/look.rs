//! Looking closer without scripts: each tool is a link that adds a step to the page's address. The steps are the
//! image-processing log: folded they say how each picture is drawn, and they go with the opinion (where scripts work, as the
//! scripts wrote them, in the same form).

use casework::image_log::{Picture, Settings, Step, Steps, TONE_PERCENT_MAX};
use minijinja::{Value, context};
use serde::Deserialize;

/// Percent that one step of light or contrast adds.
const TONE_STEP: i16 = 15;
/// The magnifications that links offer, in percent.
const ZOOM_PERCENT: [u16; 7] = [100, 150, 200, 300, 400, 600, 800];
/// Degrees that one turn adds.
const TURN_DEGREES: u16 = 15;

/// What one link does to one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    ZoomIn,
    ZoomOut,
    Left,
    Right,
    Up,
    Down,
    TurnRight,
    TurnLeft,
    Lighter,
    Darker,
    MoreContrast,
    LessContrast,
}

/// In the order of the page: what the link says.
const TOOLS: [(Tool, &str); 12] = [
    (Tool::ZoomIn, "Zoom in"),
    (Tool::ZoomOut, "Zoom out"),
    (Tool::Left, "Move left"),
    (Tool::Right, "Move right"),
    (Tool::Up, "Move up"),
    (Tool::Down, "Move down"),
    (Tool::TurnRight, "Turn clockwise"),
    (Tool::TurnLeft, "Turn anticlockwise"),
    (Tool::Lighter, "Lighter"),
    (Tool::Darker, "Darker"),
    (Tool::MoreContrast, "More contrast"),
    (Tool::LessContrast, "Less contrast"),
];

/// The address's query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Looking {
    steps: Option<String>,
}

impl Looking {
    /// The steps; what is not a step is passed over.
    pub(super) fn look(&self) -> Look {
        Look(Steps::read(self.steps.as_deref().unwrap_or_default()))
    }
}

/// The steps taken on a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Look(pub(super) Steps);

/// The step that a tool is, or nothing where it would change nothing.
fn step(picture: Picture, s: Settings, tool: Tool) -> Option<Step> {
    // A quarter of what is seen, along the screen: a turned picture moves along its own direction.
    let moved = |right: f64, down: f64| {
        let quarter = 25_000.0 / f64::from(s.percent);
        let (sin, cos) = f64::from(s.degrees).to_radians().sin_cos();
        let half = 50_000 / u32::from(s.percent);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 to 1,000
        let at = |v: u16, by: f64| (f64::from(v) + by * quarter).round().clamp(f64::from(half), f64::from(1_000 - half)) as u16;
        let (x, y) = (at(s.x, right * cos + down * sin), at(s.y, down * cos - right * sin));
        Step::View { picture, percent: s.percent, x, y }
    };
    let zoomed = |percent: Option<&u16>| {
        let percent = percent.copied().unwrap_or(s.percent);
        let half = u16::try_from(50_000 / u32::from(percent)).unwrap_or(500);
        Step::View { picture, percent, x: s.x.clamp(half, 1_000 - half), y: s.y.clamp(half, 1_000 - half) }
    };
    let toned = |light: i16, contrast: i16| {
        let within = |v: i16| v.clamp(-TONE_PERCENT_MAX, TONE_PERCENT_MAX);
        Step::Tone { picture, brightness: within(s.brightness + light), contrast: within(s.contrast + contrast) }
    };
    let made = match tool {
        Tool::ZoomIn => zoomed(ZOOM_PERCENT.iter().find(|p| **p > s.percent)),
        Tool::ZoomOut => zoomed(ZOOM_PERCENT.iter().rfind(|p| **p < s.percent)),
        Tool::Left => moved(-1.0, 0.0),
        Tool::Right => moved(1.0, 0.0),
        Tool::Up => moved(0.0, -1.0),
        Tool::Down => moved(0.0, 1.0),
        Tool::TurnRight => Step::Turn { picture, degrees: (s.degrees + TURN_DEGREES) % 360 },
        Tool::TurnLeft => Step::Turn { picture, degrees: (s.degrees + 360 - TURN_DEGREES) % 360 },
        Tool::Lighter => toned(TONE_STEP, 0),
        Tool::Darker => toned(-TONE_STEP, 0),
        Tool::MoreContrast => toned(0, TONE_STEP),
        Tool::LessContrast => toned(0, -TONE_STEP),
    };
    let changed = match made {
        Step::View { percent, x, y, .. } => (percent, x, y) != (s.percent, s.x, s.y),
        Step::Tone { brightness, contrast, .. } => (brightness, contrast) != (s.brightness, s.contrast),
        _ => true,
    };
    changed.then_some(made)
}

impl Look {
    /// How one picture is drawn after all steps.
    pub(super) fn of(&self, picture: Picture) -> Settings {
        self.0.settings(picture)
    }

    /// Every step in words, in order.
    pub(super) fn log(&self) -> Vec<String> {
        self.0.0.iter().map(|s| s.words()).collect()
    }

    /// The query that leads here: empty, or `?steps=…`. Letters, digits, dots, minus and underscores only.
    pub(super) fn query(&self) -> String {
        if self.0.0.is_empty() { String::new() } else { format!("?steps={}", self.0.code()) }
    }

    fn with(&self, step: Step) -> String {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps).query()
    }

    /// The links, for the template. A tool that would change nothing is shown without a link.
    pub(super) fn tools(&self, held: bool) -> Value {
        let pictures = [Some(Picture::Probe), held.then_some(Picture::Held)];
        let sides: Vec<Value> = pictures
            .into_iter()
            .flatten()
            .map(|picture| {
                let settings = self.of(picture);
                let links: Vec<Value> = TOOLS
                    .iter()
                    .map(|(tool, text)| context! { text => *text, href => step(picture, settings, *tool).map(|s| self.with(s)) })
                    .collect();
                context! { label => picture.label(), links }
            })
            .collect();
        let on = self.of(Picture::Probe).grid;
        let grid = context! { text => if on { "Take the grid away" } else { "Show a grid" }, href => self.with(Step::Grid { on: !on }) };
        let reset = (!self.0.0.is_empty()).then(|| self.with(Step::Reset));
        context! { sides, grid, reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(steps: &str) -> Look {
        Looking { steps: Some(steps.into()) }.look()
    }

    /// Follows links as a browser would.
    fn followed(tools: &[Tool]) -> Look {
        let mut look = Look::default();
        for tool in tools {
            if let Some(step) = step(Picture::Probe, look.of(Picture::Probe), *tool) {
                look.0.push(step);
            }
        }
        look
    }

    #[test]
    fn every_step_is_drawn_and_told() {
        let l = look("pv150.500.500_ht15.0_g1_pr15");
        assert_eq!((l.of(Picture::Probe).percent, l.of(Picture::Probe).degrees), (150, 15));
        assert_eq!(l.of(Picture::Held).brightness, 15);
        assert!(l.of(Picture::Held).grid);
        assert_eq!(l.log()[1..], ["Held image: brightness +15 %, contrast +0 %", "Grid on", "Image of the request: turned 15°"]);
        assert_eq!(l.query(), "?steps=pv150.500.500_ht15.0_g1_pr15");
    }

    #[test]
    fn a_reset_is_told_and_forgets_what_was_drawn() {
        let l = look("pv150.500.500_ht-15.0_x");
        assert_eq!((l.of(Picture::Probe), l.of(Picture::Held)), (Settings::default(), Settings::default()));
        assert_eq!(l.log().last().unwrap(), "Both reset");
    }

    #[test]
    fn moving_right_follows_the_screen_when_the_picture_is_turned() {
        let closer = [Tool::ZoomIn; 3];
        let plain = followed(&[&closer[..], &[Tool::Right]].concat()).of(Picture::Probe);
        assert!(plain.x > 500 && plain.y == 500);
        let turned = followed(&[&closer[..], &[Tool::TurnRight; 6], &[Tool::Right]].concat()).of(Picture::Probe);
        assert!(turned.x == 500 && turned.y < 500, "a quarter clockwise puts the picture's top on the right");
    }

    #[test]
    fn links_stay_within_their_ranges_and_stop_at_the_end() {
        let far = followed(&[Tool::Lighter; 50]);
        assert_eq!(far.of(Picture::Probe).brightness, TONE_PERCENT_MAX);
        assert_eq!(far.log().len(), 6, "steps at the end of a range change nothing");
        let closest = followed(&[Tool::ZoomIn; 50]).of(Picture::Probe);
        assert_eq!(closest.percent, 800);
        let edge = followed(&[Tool::ZoomIn, Tool::Left, Tool::Left, Tool::Left, Tool::Left]);
        assert_eq!(step(Picture::Probe, edge.of(Picture::Probe), Tool::Left), None);
        assert_eq!(followed(&[Tool::TurnLeft]).of(Picture::Probe).degrees, 345);
        assert!(look("<script>_pp_zz_i_").log().is_empty());
    }
}

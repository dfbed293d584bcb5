//! Looking closer without scripts: each tool is a link that adds a step to the page's address. The steps
//! folded in order say how each picture is drawn; told in words they are the log that goes with the opinion.

use bureau::enhance::{BRIGHTNESS_LEVELS_MAX, CONTRAST_PERCENT_MAX, Enhancement, ZOOM_PERCENT};
use minijinja::{Value, context};
use serde::Deserialize;

/// Steps in one address at most; then the next step begins a new log.
const STEPS_MAX: usize = 80;
/// Grey levels and percent that one step adds.
const TONE_STEP: i16 = 20;

/// Which picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The image of the request.
    Probe,
    /// The held image.
    Held,
}

impl Side {
    fn code(self) -> char {
        match self {
            Self::Probe => 'p',
            Self::Held => 'h',
        }
    }
    fn label(self) -> &'static str {
        match self {
            Self::Probe => "Image of the request",
            Self::Held => "Held image",
        }
    }
}

/// What one link does to one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    ZoomIn,
    ZoomOut,
    Left,
    Right,
    Up,
    Down,
    Turn,
    Lighter,
    Darker,
    MoreContrast,
    LessContrast,
}

/// In the order of the page: code, what the link says.
const TOOLS: [(Tool, char, &str); 11] = [
    (Tool::ZoomIn, 'i', "Zoom in"),
    (Tool::ZoomOut, 'o', "Zoom out"),
    (Tool::Left, 'l', "Move left"),
    (Tool::Right, 'r', "Move right"),
    (Tool::Up, 'u', "Move up"),
    (Tool::Down, 'd', "Move down"),
    (Tool::Turn, 't', "Turn clockwise"),
    (Tool::Lighter, 'b', "Lighter"),
    (Tool::Darker, 'k', "Darker"),
    (Tool::MoreContrast, 'c', "More contrast"),
    (Tool::LessContrast, 'm', "Less contrast"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Use(Side, Tool),
    Grid,
    Reset,
}

impl Step {
    fn read(code: &str) -> Option<Self> {
        match code {
            "g" => return Some(Self::Grid),
            "x" => return Some(Self::Reset),
            _ => {}
        }
        let side = [Side::Probe, Side::Held].into_iter().find(|s| code.starts_with(s.code()))?;
        let tool = code.chars().nth(1).filter(|_| code.len() == 2)?;
        TOOLS.iter().find(|(_, c, _)| *c == tool).map(|(t, ..)| Self::Use(side, *t))
    }

    fn code(self) -> String {
        match self {
            Self::Grid => "g".into(),
            Self::Reset => "x".into(),
            Self::Use(side, tool) => {
                TOOLS.iter().find(|(t, ..)| *t == tool).map(|(_, c, _)| format!("{}{c}", side.code())).unwrap_or_default()
            }
        }
    }
}

/// The address's query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Looking {
    steps: Option<String>,
}

impl Looking {
    /// The steps; what is not a step is passed over.
    pub(super) fn look(&self) -> Look {
        let steps = self.steps.as_deref().unwrap_or_default().split('-').filter_map(Step::read).take(STEPS_MAX).collect();
        Look { steps }
    }
}

/// The steps taken on a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Default)]
struct Drawn {
    probe: Enhancement,
    held: Enhancement,
}

impl Drawn {
    fn side(&mut self, side: Side) -> &mut Enhancement {
        match side {
            Side::Probe => &mut self.probe,
            Side::Held => &mut self.held,
        }
    }

    /// Takes a step and says what it came to; nothing when it changed nothing.
    fn take(&mut self, step: Step) -> Option<String> {
        match step {
            Step::Reset => {
                *self = Self::default();
                Some("Both reset".into())
            }
            Step::Grid => {
                self.probe.grid = !self.probe.grid;
                self.held.grid = self.probe.grid;
                Some(if self.probe.grid { "Grid on".into() } else { "Grid off".into() })
            }
            Step::Use(side, tool) => {
                let e = self.side(side);
                let before = *e;
                *e = used(*e, tool).bounded();
                (*e != before).then(|| format!("{}: {}", side.label(), came_to(*e, tool)))
            }
        }
    }
}

/// An enhancement after one tool.
fn used(e: Enhancement, tool: Tool) -> Enhancement {
    // A quarter of what is seen, along the screen: a turned picture moves along its own other side.
    let quarter = i32::from(25_000 / e.percent());
    let moved = |right: i32, down: i32| {
        let (right, down) = match e.turns % 4 {
            0 => (right, down),
            1 => (down, -right),
            2 => (-right, -down),
            _ => (-down, right),
        };
        let at = |v: u16, by: i32| u16::try_from((i32::from(v) + by * quarter).clamp(0, 1_000)).unwrap_or(500);
        Enhancement { x: at(e.x, right), y: at(e.y, down), ..e }
    };
    match tool {
        Tool::ZoomIn => Enhancement { zoom: e.zoom.saturating_add(1), ..e },
        Tool::ZoomOut => Enhancement { zoom: e.zoom.saturating_sub(1), ..e },
        Tool::Left => moved(-1, 0),
        Tool::Right => moved(1, 0),
        Tool::Up => moved(0, -1),
        Tool::Down => moved(0, 1),
        Tool::Turn => Enhancement { turns: e.turns + 1, ..e },
        Tool::Lighter => Enhancement { brightness: e.brightness + TONE_STEP, ..e },
        Tool::Darker => Enhancement { brightness: e.brightness - TONE_STEP, ..e },
        Tool::MoreContrast => Enhancement { contrast: e.contrast + TONE_STEP, ..e },
        Tool::LessContrast => Enhancement { contrast: e.contrast - TONE_STEP, ..e },
    }
}

fn came_to(e: Enhancement, tool: Tool) -> String {
    match tool {
        Tool::ZoomIn | Tool::ZoomOut => format!("zoom {} %", e.percent()),
        Tool::Left => "moved left".into(),
        Tool::Right => "moved right".into(),
        Tool::Up => "moved up".into(),
        Tool::Down => "moved down".into(),
        Tool::Turn => format!("turned {}°", u16::from(e.turns) * 90),
        Tool::Lighter | Tool::Darker => format!("brightness {:+}", e.brightness),
        Tool::MoreContrast | Tool::LessContrast => format!("contrast {:+} %", e.contrast),
    }
}

impl Look {
    fn drawn(&self) -> Drawn {
        self.steps.iter().fold(Drawn::default(), |mut d, s| {
            d.take(*s);
            d
        })
    }

    /// How one picture is drawn after all steps.
    pub(super) fn of(&self, side: Side) -> Enhancement {
        *self.drawn().side(side)
    }

    /// Every step in words, in order.
    pub(super) fn log(&self) -> Vec<String> {
        let mut d = Drawn::default();
        self.steps.iter().filter_map(|s| d.take(*s)).collect()
    }

    /// The query that leads here: empty, or `?steps=…`. Letters and hyphens only.
    pub(super) fn query(&self) -> String {
        if self.steps.is_empty() {
            return String::new();
        }
        format!("?steps={}", self.steps.iter().map(|s| s.code()).collect::<Vec<_>>().join("-"))
    }

    fn with(&self, step: Step) -> String {
        let mut steps = if self.steps.len() < STEPS_MAX { self.steps.clone() } else { vec![] };
        steps.push(step);
        Self { steps }.query()
    }

    /// The links, for the template. A tool that would change nothing is shown without a link.
    pub(super) fn tools(&self, held: bool) -> Value {
        let drawn = self.drawn();
        let side = |side: Side, e: Enhancement| {
            let links: Vec<Value> = TOOLS
                .iter()
                .map(|(tool, _, text)| {
                    let href = (used(e, *tool).bounded() != e.bounded()).then(|| self.with(Step::Use(side, *tool)));
                    context! { text => *text, href }
                })
                .collect();
            context! { label => side.label(), links }
        };
        let mut sides = vec![side(Side::Probe, drawn.probe)];
        if held {
            sides.push(side(Side::Held, drawn.held));
        }
        let grid = context! { text => if drawn.probe.grid { "Take the grid away" } else { "Show a grid" }, href => self.with(Step::Grid) };
        let reset = (!self.steps.is_empty()).then(|| self.with(Step::Reset));
        let most = context! { zoom => ZOOM_PERCENT.last().copied().unwrap_or(100), brightness => BRIGHTNESS_LEVELS_MAX, contrast => CONTRAST_PERCENT_MAX };
        context! { sides, grid, reset, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(steps: &str) -> Look {
        Looking { steps: Some(steps.into()) }.look()
    }

    #[test]
    fn every_step_is_drawn_and_told() {
        let l = look("pi-pi-hb-hb-g-pt");
        assert_eq!((l.of(Side::Probe).percent(), l.of(Side::Probe).turns), (200, 1));
        assert_eq!(l.of(Side::Held).brightness, 40);
        assert!(l.of(Side::Held).grid);
        assert_eq!(l.log()[1..4], ["Image of the request: zoom 200 %", "Held image: brightness +20", "Held image: brightness +40"]);
        assert_eq!(l.query(), "?steps=pi-pi-hb-hb-g-pt");
    }

    #[test]
    fn a_reset_is_told_and_forgets_what_was_drawn() {
        let l = look("pi-hk-x");
        assert_eq!(l.of(Side::Probe), Enhancement::default());
        assert_eq!(l.of(Side::Held), Enhancement::default());
        assert_eq!(l.log().last().unwrap(), "Both reset");
    }

    #[test]
    fn moving_right_follows_the_screen_when_the_picture_is_turned() {
        let plain = look("pi-pi-pi-pr").of(Side::Probe);
        assert!(plain.x > 500 && plain.y == 500);
        let turned = look("pi-pi-pi-pt-pr").of(Side::Probe);
        assert!(turned.x == 500 && turned.y < 500, "a quarter clockwise puts the picture's top on the right");
    }

    #[test]
    fn nonsense_is_passed_over_and_bounded() {
        assert!(look("<script>-pp-zz-i-").steps.is_empty());
        let long = vec!["pb"; 1_000].join("-");
        assert_eq!(look(&long).steps.len(), STEPS_MAX);
        assert_eq!(
            look(&long).log().len(),
            usize::from(BRIGHTNESS_LEVELS_MAX.unsigned_abs()) / 20,
            "steps at the end of a range change nothing"
        );
    }
}

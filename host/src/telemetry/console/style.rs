//! How a trace is drawn: width, colours, and which characters.

use std::fmt::Write;

use anstyle::{Ansi256Color, Color};

use crate::look;

/// Narrower than this and a tree with names, bars and numbers is of no use.
pub const MIN_WIDTH: u16 = 60;
/// Wider than this and the eye loses the line between a name and its bar.
pub const MAX_WIDTH: u16 = 200;
/// Where there is no terminal: what a page of a report holds.
pub const DEFAULT_WIDTH: u16 = 100;
/// Of a terminal that does not tell its width, or tells none.
const TERMINAL_WIDTH: u16 = 80;

/// What the terminal, or the file instead of it, can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of a line, used within [`MIN_WIDTH`] and [`MAX_WIDTH`].
    pub width: u16,
    pub colour: bool,
    /// Otherwise the output is ASCII to the last byte.
    pub unicode: bool,
    /// Words in place of lines, bars and symbols: for screen readers and logs.
    pub plain: bool,
    /// Whether what is said of a trace may take several lines. In a pipe without `COLUMNS` it takes
    /// one, however long, so that `grep` finds all of it.
    pub wraps: bool,
    /// Whether attributes are shown beyond the status code and what explains an error.
    pub attributes: bool,
    /// Whether events and log records have lines of their own, at their times among the child spans; else
    /// they stand below the line of their span.
    pub logs: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            width: DEFAULT_WIDTH,
            colour: false,
            unicode: true,
            plain: false,
            wraps: false,
            attributes: true,
            logs: false,
        }
    }
}

impl Style {
    /// The style for an output, from what its environment says.
    ///
    /// `NO_COLOR` wins over `CLICOLOR_FORCE`, as everywhere. Output that does not go to a
    /// terminal depends neither on a terminal's width nor on the locale, so that two people who
    /// run the same seed can compare their files. `COLUMNS` sets its width, and that of a terminal
    /// which has none.
    pub fn detect(
        is_terminal: bool,
        env: impl Fn(&str) -> Option<String>,
        terminal_width: Option<u16>,
    ) -> Self {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty() && value != "0");
        let dumb = env("TERM").as_deref() == Some("dumb");
        let colour = if env("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            false
        } else if set("CLICOLOR_FORCE") {
            true
        } else {
            is_terminal && !dumb && env("CLICOLOR").as_deref() != Some("0")
        };
        let (colour, plain) = (look::is_coloured(colour), look::is_plain());
        let wanted: Option<u16> = env("COLUMNS").and_then(|columns| columns.parse().ok());
        if !is_terminal {
            let width = wanted.unwrap_or(DEFAULT_WIDTH).clamp(MIN_WIDTH, MAX_WIDTH);
            return Self { width, colour, plain, wraps: wanted.is_some(), ..Self::default() };
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| env(name).filter(|value| !value.is_empty()));
        // No locale at all is common in containers, whose terminal is a modern one all the same.
        let ascii = matches!(locale.as_deref(), Some("C" | "POSIX"));
        let width = terminal_width.filter(|width| *width > 0).or(wanted).unwrap_or(TERMINAL_WIDTH);
        let width = width.clamp(MIN_WIDTH, MAX_WIDTH);
        let (unicode, plain) = (!dumb && !ascii, plain || dumb);
        Self { width, colour, unicode, plain, wraps: true, ..Self::default() }
    }

    pub fn columns(&self) -> usize {
        usize::from(self.width.clamp(MIN_WIDTH, MAX_WIDTH))
    }

    pub(super) fn glyphs(&self) -> &'static Glyphs {
        match self {
            Self { plain: true, .. } => &WORDS,
            Self { unicode: true, .. } => &UNICODE,
            _ => &ASCII,
        }
    }

    /// Appends `text`, in `ink` where there is colour.
    pub(super) fn paint(&self, out: &mut String, ink: Ink, text: &str) {
        if self.colour && ink != Ink::new() && !text.is_empty() {
            // A String takes whatever is written to it.
            let _ = write!(out, "{ink}{text}{ink:#}");
        } else {
            out.push_str(text);
        }
    }
}

/// The look of a piece of text.
pub(super) type Ink = anstyle::Style;

pub(super) const PLAIN: Ink = Ink::new();
pub(super) const DIM: Ink = Ink::new().dimmed();
pub(super) const BOLD: Ink = Ink::new().bold();
pub(super) const RED: Ink = colour(196);
pub(super) const GREEN: Ink = colour(28);
pub(super) const YELLOW: Ink = colour(130);

/// Colours of services, in the order of the topology, by their number among the 256 of xterm. Red
/// is left to errors. All have a contrast of at least 3.8 to 1 on black and on white (WCAG 2.2,
/// "contrast ratio"): the first sixteen numbers have the terminal's own colours, of which some
/// cannot be read on white.
const PALETTE: [u8; 10] = [30, 98, 130, 28, 63, 163, 131, 31, 64, 133];

const fn colour(number: u8) -> Ink {
    Ink::new().fg_color(Some(Color::Ansi256(Ansi256Color(number))))
}

/// The colour of the service that is the `index`-th of the topology.
pub(super) fn service_ink(index: usize) -> Ink {
    colour(PALETTE[index % PALETTE.len()])
}

/// Every character that is drawn and not quoted.
#[derive(Debug)]
pub(super) struct Glyphs {
    /// The lines of the tree, for 1, 2 and 3 columns a level.
    pub tree: [Branches; 3],
    /// In place of ancestors for which there is no room.
    pub clipped: &'static str,
    pub ellipsis: &'static str,
    pub server: &'static str,
    pub client: &'static str,
    pub producer: &'static str,
    pub consumer: &'static str,
    pub error: &'static str,
    pub event: &'static str,
    pub link: &'static str,
    pub hot: &'static str,
    /// One column of time of a span's own, and one spent in its children.
    pub own: &'static str,
    pub child: &'static str,
}

#[derive(Debug)]
pub(super) struct Branches {
    pub tee: &'static str,
    pub corner: &'static str,
    pub line: &'static str,
    pub blank: &'static str,
}

const fn branches(
    tee: &'static str,
    corner: &'static str,
    line: &'static str,
    blank: &'static str,
) -> Branches {
    Branches { tee, corner, line, blank }
}

static UNICODE: Glyphs = Glyphs {
    tree: [
        branches("├", "└", "│", " "),
        branches("├─", "└─", "│ ", "  "),
        branches("├─ ", "└─ ", "│  ", "   "),
    ],
    clipped: "⋯",
    ellipsis: "…",
    server: "▸",
    client: "→",
    producer: "⇢",
    consumer: "▹",
    error: "✗",
    event: "•",
    link: "⤷ link",
    hot: "◂",
    own: "█",
    child: "─",
};

static ASCII: Glyphs = Glyphs {
    tree: [
        branches("|", "`", "|", " "),
        branches("|-", "`-", "| ", "  "),
        branches("|- ", "`- ", "|  ", "   "),
    ],
    clipped: "~",
    ellipsis: "..",
    server: ">",
    client: "->",
    producer: "~>",
    consumer: ">>",
    error: "!",
    event: "*",
    link: "=> link",
    hot: "<",
    own: "#",
    child: "-",
};

static WORDS: Glyphs = Glyphs {
    tree: [
        branches(" ", " ", " ", " "),
        branches("  ", "  ", "  ", "  "),
        branches("   ", "   ", "   ", "   "),
    ],
    clipped: "level ",
    ellipsis: "..",
    server: "serves",
    client: "calls",
    producer: "sends",
    consumer: "receives",
    error: "error",
    event: "event",
    link: "link",
    hot: "longest",
    own: "",
    child: "",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(is_terminal: bool, env: &[(&str, &str)], width: Option<u16>) -> Style {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Style::detect(is_terminal, get, width)
    }

    #[test]
    fn a_terminal_gets_colours_and_its_own_width() {
        let style = detect(true, &[("TERM", "xterm-256color"), ("LANG", "de_DE.UTF-8")], Some(132));
        assert_eq!(style, Style { width: 132, colour: true, wraps: true, ..Style::default() });
        assert_eq!(detect(true, &[], Some(20)).width, MIN_WIDTH);
        // Nobody has told a terminal of 0 columns how wide it is.
        assert_eq!([None, Some(0)].map(|width| detect(true, &[], width).width), [TERMINAL_WIDTH; 2]);
        assert_eq!(detect(true, &[("COLUMNS", "120")], Some(0)).width, 120);
        assert_eq!(detect(true, &[("COLUMNS", "120")], Some(90)).width, 90);
    }

    #[test]
    fn a_file_looks_the_same_whatever_the_terminal_is() {
        let bare = detect(false, &[], None);
        assert_eq!(bare, Style::default());
        assert_eq!(detect(false, &[("TERM", "dumb"), ("LANG", "C")], Some(180)), bare);
    }

    #[test]
    fn the_environment_decides_about_colours() {
        let forced = ("CLICOLOR_FORCE", "1");
        assert!(detect(false, &[forced], None).colour);
        assert!(!detect(true, &[forced, ("NO_COLOR", "1")], None).colour);
        assert!(!detect(true, &[("NO_COLOR", "1")], None).colour);
        assert!(detect(true, &[("NO_COLOR", "")], None).colour);
        assert!(!detect(true, &[("CLICOLOR", "0")], None).colour);
    }

    #[test]
    fn a_dumb_terminal_and_the_c_locale_get_ascii() {
        assert_eq!(
            detect(true, &[("TERM", "dumb")], None),
            Style { width: TERMINAL_WIDTH, unicode: false, plain: true, wraps: true, ..Style::default() }
        );
        assert!(!detect(true, &[("LANG", "C")], None).unicode);
        assert!(detect(true, &[("LC_ALL", "C.UTF-8"), ("LANG", "C")], None).unicode);
    }

    #[test]
    fn every_colour_can_be_read_on_black_and_on_white() {
        // Levels of the cube of 6 x 6 x 6 colours, and their luminance (WCAG 2.2).
        let linear = |level: u8| match f64::from(if level == 0 { 0 } else { 55 + 40 * level }) / 255.0 {
            low if low <= 0.04045 => low / 12.92,
            high => libm::pow((high + 0.055) / 1.055, 2.4),
        };
        for number in PALETTE.into_iter().chain([196, 28, 130]) {
            let cube = number - 16;
            let [red, green, blue] = [cube / 36, cube / 6 % 6, cube % 6].map(linear);
            let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
            let (on_black, on_white) = ((luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05));
            assert!(on_black >= 3.8 && on_white >= 3.8, "{number}: {on_black:.2} and {on_white:.2}");
        }
    }

    #[test]
    fn a_pipe_is_as_wide_as_columns_says() {
        assert_eq!(detect(false, &[("COLUMNS", "80")], None).width, 80);
        assert_eq!(detect(false, &[("COLUMNS", "wide")], None).width, DEFAULT_WIDTH);
    }
}

//! The report that a person reads when the input is refused.

use std::io::{self, IsTerminal as _};

use miette::{GraphicalReportHandler, GraphicalTheme, NarratableReportHandler, ThemeCharacters, ThemeStyles};

use crate::look;

use super::{Findings, Found, Refused, Warnings, excerpt, in_words, is_long};

/// Whether carets and frames are drawn with Unicode's line characters; if not, with ASCII's.
const UNICODE: bool = true;

/// How a report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub colour: bool,
    /// Words in place of frames and carets: for screen readers and logs.
    pub plain: bool,
    /// Columns; longer messages wrap.
    pub width: usize,
}

impl Look {
    /// For files and pipes.
    pub const PLAIN: Self = Self { colour: false, plain: false, width: 100 };

    /// For this process's stderr: coloured on a terminal, unless `NO_COLOR` is
    /// set or `TERM` is `dumb`, and as wide as the terminal, or as `COLUMNS` says. A terminal that does not
    /// tell its width has 80 columns.
    pub fn of_stderr() -> Self {
        let choice = anstream::AutoStream::choice(&io::stderr());
        let terminal = terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0));
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
        let untold = || io::stderr().is_terminal().then_some(80);
        let width = terminal.filter(|width| *width > 0).or_else(columns).or_else(untold);
        Self {
            colour: look::is_coloured(choice != anstream::ColorChoice::Never),
            plain: look::is_plain(),
            width: width.map_or(Self::PLAIN.width, |width| width.clamp(40, 120)),
        }
    }
}

impl Refused {
    /// Every problem with its place in the text, a caret and the remedy, then
    /// the headline. Ends with a newline.
    pub fn render(&self, look: Look) -> String {
        self.0.render(look) + &format!("{self}\n")
    }
}

impl Warnings {
    /// Like [`Refused::render`]; nothing at all where there is no warning.
    pub fn render(&self, look: Look) -> String {
        if self.is_empty() { String::new() } else { self.0.render(look) + &format!("{self}\n") }
    }
}

impl Findings {
    fn render(&self, look: Look) -> String {
        let mut report: String = self.problems.iter().map(|found| one(look, found)).collect();
        if self.further > 0 {
            report.push_str(&format!("… and {} more\n\n", self.further));
        }
        report
    }
}

fn handler(look: Look) -> GraphicalReportHandler {
    let characters = if UNICODE { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() };
    let styles = if look.colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
    GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(look.width)
        .with_wrap_lines(false)
        .with_links(false)
        .without_syntax_highlighting()
}

/// One problem, with an empty line behind it.
fn one(look: Look, found: &Found) -> String {
    let Found { mut problem, source } = shown(look, found);
    let width = look.width;
    problem.message = wrap(&problem.message, width.saturating_sub(super::width("  × ")));
    problem.help = problem.help.map(|help| wrap(&help, width.saturating_sub("  help: ".len())));
    let wrapped = Found { problem, source };
    let mut text = String::new();
    let rendered = match look.plain {
        true => NarratableReportHandler::new().render_report(&mut text, &wrapped),
        false => handler(look).render_report(&mut text, &wrapped),
    };
    if rendered.is_err() {
        text = format!("{found}\n");
    }
    // The frame leaves blanks at the ends of lines, which no reader wants in a file.
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>() + "\n"
}

/// The problem with as much of its lines as is shown.
fn shown(look: Look, found: &Found) -> Found {
    if !look.plain {
        return excerpt::cut(found, look.width);
    }
    // Words have no page to be cut to.
    match (&found.source, &found.problem.at) {
        (Some(source), Some(at)) if is_long(source.text(), at) => {
            Found { problem: in_words(found.problem.clone(), source.name(), source.text()), source: None }
        }
        _ => found.clone(),
    }
}

/// Breaks lines of more than `width` columns, at blanks only: dividing names
/// at their hyphens, as the frame's own wrapping does, would keep `order-service`
/// from being searched for.
pub fn wrap(text: &str, width: usize) -> String {
    text.split('\n').map(|line| wrap_line(line, width)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(line.len());
    let mut column = 0;
    for (at, word) in line.split(' ').enumerate() {
        let length = super::width(word);
        if column > 0 && column + 1 + length > width {
            wrapped.push('\n');
            column = 0;
        } else if at > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

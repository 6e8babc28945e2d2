//! What standard output is: a terminal or not, and what it can show.

use std::io::IsTerminal as _;

use crate::run::Stdout;
use crate::telemetry::console::Style;

use super::environment;

/// What a run is told of standard output.
pub fn stdout() -> Stdout {
    Stdout { is_terminal: std::io::stdout().is_terminal(), style: style() }
}

/// How standard output wants to be drawn on.
pub fn style() -> Style {
    let stdout = std::io::stdout();
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0);
    Style::detect(stdout.is_terminal(), environment, width)
}

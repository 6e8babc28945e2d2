//! How what people read looks: what the command line asks of every output of this process.
//!
//! Standard output and standard error each ask here, as both belong to the person who gave the
//! flags.

use std::sync::OnceLock;

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb; everywhere with CLICOLOR_FORCE
    #[default]
    Auto,
    /// Also in files and pipes
    Always,
    /// Nowhere
    Never,
}

static CHOSEN: OnceLock<(Color, bool)> = OnceLock::new();

/// Notes what the command line asks for. What was said first holds.
pub fn choose(color: Color, plain: bool) {
    CHOSEN.set((color, plain)).ok();
}

/// Whether an output is coloured that would be by its surroundings if nothing else is asked for.
pub fn is_coloured(by_surroundings: bool) -> bool {
    match CHOSEN.get() {
        Some((Color::Always, _)) => true,
        Some((Color::Never, _)) => false,
        _ => by_surroundings,
    }
}

/// Whether output does without lines, bars and symbols.
pub fn is_plain() -> bool {
    CHOSEN.get().is_some_and(|(_, plain)| *plain)
}

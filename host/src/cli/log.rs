//! `-v` and `--log`: what the simulator itself does, on standard error.
//!
//! These lines are about the program, not about the simulated services, and are not part of the
//! telemetry, of the report or of the digest.

use clap::{ArgAction, Args};
use simhost_notation::did_you_mean;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::time::Uptime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The levels of events, from the fewest to the most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The module path of all of simhost's events.
const OURS: &str = "simhost";

/// Which events of the program are printed.
#[derive(Debug, Args)]
pub struct Log {
    /// Say on standard error what simhost itself does; -vv says more, -vvv also what its libraries do
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    /// The same for chosen modules: LEVEL or MODULE=LEVEL, separated by commas. Levels are error, warn,
    /// info, debug and trace. For example: simhost::telemetry=debug,hyper=info
    #[arg(long, global = true, value_name = "FILTER", value_parser = targets, conflicts_with = "verbose")]
    log: Option<Targets>,
}

impl Log {
    /// Prints the chosen events from now on, each with the seconds since now.
    pub fn start(self) {
        let Some(chosen) = self.chosen() else { return };
        let lines = fmt::layer().with_writer(std::io::stderr).with_timer(Uptime::default());
        tracing_subscriber::registry().with(chosen).with(lines).init();
    }

    fn chosen(self) -> Option<Targets> {
        let ours = |level| Some(Targets::new().with_target(OURS, level));
        match (self.log, self.verbose) {
            (Some(chosen), _) => Some(chosen),
            (None, 0) => None,
            (None, 1) => ours(LevelFilter::INFO),
            (None, 2) => ours(LevelFilter::DEBUG),
            (None, _) => {
                Some(Targets::new().with_default(LevelFilter::DEBUG).with_target(OURS, LevelFilter::TRACE))
            }
        }
    }
}

/// Reads `LEVEL` and `MODULE=LEVEL`, with commas between them. What `Targets` reads beyond that, it takes for
/// the name of a module: a misspelt level among it.
fn targets(text: &str) -> Result<Targets, String> {
    let parts = text.split(',').map(str::trim);
    parts.clone().try_for_each(check)?;
    let joined = parts.collect::<Vec<_>>().join(",");
    joined.parse().map_err(|error: tracing_subscriber::filter::ParseError| error.to_string())
}

fn check(part: &str) -> Result<(), String> {
    let (module, level) = part.split_once('=').map_or((None, part), |(module, level)| (Some(module), level));
    let is_module = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_:-".contains(c);
        !name.is_empty() && name.chars().all(allowed)
    };
    if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
        return Err(format!("{level:?} is no level: {}", did_you_mean(level, "levels", LEVELS)));
    }
    match module.filter(|module| !is_module(module)) {
        Some(module) => Err(format!("{module:?} is no module: write one as in simhost::telemetry=debug")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_modules_with_levels() {
        for text in ["debug", "INFO", "simhost::telemetry=debug,hyper=info", " warn , simhost=trace", "off"] {
            targets(text).unwrap();
        }
        let near = targets("debgu").unwrap_err();
        assert!(near.starts_with("\"debgu\" is no level: did you mean \"debug\"?"), "{near}");
        for text in ["", "foo bar=", "foo bar=info", "=info", "simhost", "info,", "simhost=9"] {
            targets(text).unwrap_err();
        }
    }
}

//! `-v` and `--log`: what the simulator itself does, on standard error.
//!
//! These lines are about the program, not about the simulated services, and are not part of the
//! telemetry, of the report or of the digest.

use clap::{ArgAction, Args};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::time::Uptime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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
    #[arg(long, global = true, value_name = "FILTER", conflicts_with = "verbose")]
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

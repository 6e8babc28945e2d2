//! What a run is asked for, by the command line or by whoever embeds simhost.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::{Nanos, Picos};
use crate::telemetry::choice::Choice;
use crate::telemetry::console::Style;
use crate::telemetry::env::Flags;
use crate::telemetry::log_lines::Format;
use crate::telemetry::record::Severity;
use crate::topology;

use super::event::RunEvent;
use super::requests::RequestFlag;
use super::start::{Speed, Start};

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub topology: PathBuf,
    pub virtual_time: bool,
    /// Overrides the topology's.
    pub seed: Option<u64>,
    /// Stands in for the topology's name in every draw, so that two topologies can be compared.
    pub key_name: Option<String>,
    /// Overrides the topology's; there may be none.
    pub listen: Option<SocketAddr>,
    /// Services whose guest is another: `(service, file)`.
    pub guests: Vec<(String, PathBuf)>,
    /// Faults to switch: `(name, on)`.
    pub faults: Vec<(String, bool)>,
    /// Loads to switch: `(name, on)`.
    pub loads: Vec<(String, bool)>,
    /// Whether the loads go over HTTP and through the ingress.
    pub through_ingress: bool,
    /// Requests to send, and then to end: no listening, no load.
    pub requests: Vec<RequestFlag>,
    /// Simulated nanoseconds after which nothing more comes in. None: until the
    /// loads are over, or somebody says so.
    pub stop_after: Option<Nanos>,
    /// When a run in virtual time begins; none: as the records' destination wants it.
    pub start: Option<Start>,
    /// Keep what became of each request from outside:
    /// [`RunOutcome::requests`](super::outcome::RunOutcome::requests).
    pub remembers: bool,
    /// Keep the databases as they are at the end:
    /// [`RunOutcome::databases`](super::outcome::RunOutcome::databases).
    pub keeps_databases: bool,
    /// Where faults can be switched while the run goes on.
    pub control: Option<SocketAddr>,
    /// Simulated seconds in each real one: in virtual time at most, and none is
    /// without a limit; in real time exactly, and none is one.
    pub speed: Option<Speed>,
    /// Worlds that run beside one another, in virtual time; none is one.
    pub shards: Option<u32>,
    /// Overrides the topology's.
    pub compute: Option<Picos>,
    /// Whether what is only doubtful is refused too.
    pub strict: bool,
    /// Leave out the runs that say what each fault has caused.
    pub no_counterfactual: bool,
    /// How many requests that a fault has changed the truth lists.
    pub changed: Listed,
    /// Whether the simulator sends telemetry of its own.
    pub self_telemetry: bool,
    /// Leave the faults out of all that is said, shown and exported.
    pub blind: bool,
    pub destinations: Destinations,
    /// Who is told of what takes long before the run begins.
    pub tell: Option<fn(RunEvent)>,
}

impl Options {
    /// Whether the run listens, if there is an ingress: real clients cannot keep pace with virtual time.
    pub const fn listens(&self) -> bool {
        self.requests.is_empty() && !self.virtual_time
    }

    /// How many worlds the run has.
    pub fn worlds(&self) -> u32 {
        self.shards.unwrap_or(1)
    }

    /// The flags that decide what happens in the simulated world, as they are written. Those are left out
    /// that the first line of the truth has in a key of its own, and those of the output and of the pace.
    pub fn decisive_flags(&self) -> Vec<String> {
        // A new flag is sorted here, into those that decide or those that do not.
        let Self {
            stop_after,
            guests,
            faults,
            loads,
            requests,
            through_ingress,
            compute,
            // Keys of their own: topology, seed, virtual, shards.
            topology: _,
            virtual_time: _,
            seed: _,
            shards: _,
            // Only a comparison sets it, and it writes no truth.
            key_name: _,
            // When and how fast: a run in virtual time is the same.
            start: _,
            speed: _,
            // Where it listens, and what is kept and said of it.
            listen: _,
            control: _,
            remembers: _,
            keeps_databases: _,
            strict: _,
            no_counterfactual: _,
            changed: _,
            blind: _,
            // About the program.
            self_telemetry: _,
            destinations: _,
            tell: _,
        } = self;
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: String| flags.push(format!("--{name} {value}"));
        if let Some(nanos) = stop_after {
            flag("for", crate::clock::show(*nanos));
        }
        for (service, file) in guests {
            flag("guest", format!("{service}={}", file.display()));
        }
        let switch = |(name, on): &(String, bool)| format!("{name}={}", if *on { "on" } else { "off" });
        faults.iter().for_each(|fault| flag("fault", switch(fault)));
        loads.iter().for_each(|load| flag("load", switch(load)));
        requests.iter().for_each(|asked| flag("request", asked.written()));
        if let Some(picos) = compute {
            flag("compute", topology::show_compute(*picos));
        }
        if *through_ingress {
            flags.push("--through-ingress".to_owned());
        }
        flags
    }
}

/// What to show on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Every trace as a tree, and the report.
    Traces,
    /// The report.
    Summary,
    None,
}

/// Where the command line sends records.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// `--otlp URL`.
    pub otlp: Option<String>,
    /// `--out FILE`; `-` is standard output.
    pub out: Option<PathBuf>,
    /// `--truth FILE`; `-` is standard output.
    pub truth: Option<PathBuf>,
    /// `--log-format FORMAT` and its like; none: log records are not written as lines.
    pub logs: Option<LogLines>,
    /// `--out FILE` of `simhost graph`: none of those that the topology reads.
    pub picture: Option<PathBuf>,
    /// None: traces when nothing else takes them, or some are chosen, else the report.
    pub show: Option<Show>,
    /// Which traces to show.
    pub choice: Choice,
    pub json: bool,
    /// Name a trace for the p99 of each route in the report; as JSON it has them anyway.
    pub exemplars: bool,
    /// What standard output is.
    pub stdout: Stdout,
}

impl Destinations {
    /// What of it the settings of telemetry depend on.
    pub fn flags(&self) -> Flags<'_> {
        Flags { otlp: self.otlp.as_deref(), is_written: self.out.is_some() }
    }
}

/// Whether a path is standard output, by this or another of its names.
fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path.as_os_str() == *name)
}

/// Log records as lines.
#[derive(Clone, Debug)]
pub struct LogLines {
    pub format: Format,
    /// None is standard error; `-` is standard output.
    pub out: Option<PathBuf>,
    /// Those below it are left out.
    pub least: Severity,
}

/// What standard output is, as far as a run has to know; by default a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stdout {
    pub is_terminal: bool,
    /// How traces are drawn on it.
    pub style: Style,
}

impl Destinations {
    /// Whether programs read standard output, so that words for people go elsewhere.
    pub fn document_on_stdout(&self) -> bool {
        self.json || self.lines_on_stdout()
    }

    /// Whether records, log lines or the truth take standard output, so that the report has
    /// to go elsewhere.
    pub fn lines_on_stdout(&self) -> bool {
        self.on_stdout().next().is_some()
    }

    /// The flags whose lines standard output gets, and what they name.
    pub fn on_stdout(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let logs = self.logs.as_ref().and_then(|logs| logs.out.as_ref());
        let lines = [("--out", self.out.as_ref()), ("--truth", self.truth.as_ref()), ("--log-out", logs)];
        let given = lines.into_iter().filter_map(|(flag, path)| Some((flag, path?.as_path())));
        given.filter(|(_, path)| is_stdout(path))
    }

    /// Whether the report is to name traces.
    pub const fn keeps_exemplars(&self) -> bool {
        self.json || self.exemplars
    }

    /// Whether standard error gets the services' log records.
    pub fn logs_on_stderr(&self) -> bool {
        self.logs.as_ref().is_some_and(|logs| logs.out.is_none())
    }
}

/// How many requests that a fault has changed the truth lists, of each fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    All,
    Most(usize),
}

impl Default for Listed {
    fn default() -> Self {
        Self::Most(1_000)
    }
}

impl Listed {
    /// The most that are listed.
    pub const fn most(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Most(most) => most,
        }
    }
}

impl FromStr for Listed {
    type Err = String;

    /// `all`, or a number.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        text.parse().map(Self::Most).map_err(|_| "write a number, or all".to_owned())
    }
}

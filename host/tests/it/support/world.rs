//! A small world for a test: a topology of test guests, run by the real program.
//!
//! [`World::virtually`] sends requests in virtual time and gives a [`Run`] back; [`World::serve`]
//! opens the door to real requests, and [`Serving::stop`] gives the same. Spans and log records are
//! read from the file that `--out` names.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{self, Answer};
use super::metrics::{self, Point};
use super::process::{METRICS, finish, refused, simhost};
use super::serving::Serving;
use super::telemetry::{Log, Records, Span, SpanKind};
use super::topology::EXACT_RUN;

const TOPOLOGY: &str = "topology.toml";
/// The file of the records.
pub const OUT: &str = "out.jsonl";

/// The folder of the built test guests.
pub fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/dist/tests")
}

/// A topology that is being put together, and the flags to run it with.
#[derive(Clone, Debug, Default)]
pub struct World {
    services: String,
    rest: String,
    entry: Option<String>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

impl World {
    /// One service, `front`, with the test guest `guest`; `settings` are lines
    /// of its table.
    pub fn of(guest: &str, settings: &str) -> Self {
        Self::default().and("front", guest, settings)
    }

    /// Services with the built-in guest `service`, by their names and their lines
    /// of configuration. Requests go to the first.
    pub fn of_services(services: &[(&str, &str)]) -> Self {
        services
            .iter()
            .fold(Self::default(), |world, (name, settings)| world.with_guest(name, "service", settings))
    }

    /// Another service. Requests go to the first.
    pub fn and(self, name: &str, guest: &str, settings: &str) -> Self {
        let path = guests().join(guest).with_extension("wasm");
        self.with_guest(name, &path.display().to_string(), settings)
    }

    /// A service whose guest is a file or built in.
    pub fn with_guest(mut self, name: &str, guest: &str, settings: &str) -> Self {
        self.entry.get_or_insert_with(|| name.to_owned());
        write!(self.services, "\n[services.{name}]\nguest = '{guest}'\n{settings}\n").expect(INFALLIBLE);
        self
    }

    /// Further sections: links, faults, limits.
    pub fn with(mut self, sections: &str) -> Self {
        write!(self.rest, "\n{sections}\n").expect(INFALLIBLE);
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes metrics too, collected at this interval: milliseconds.
    pub fn measured(self, interval: u64) -> Self {
        self.env(METRICS, "").env("OTEL_METRIC_EXPORT_INTERVAL", &interval.to_string())
    }

    /// Further flags of `simhost run`.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// Sends the requests in virtual time, one after the other.
    pub fn virtually(&self, requests: &[&str]) -> Run {
        let (folder, mut command) = self.virtual_command(requests);
        let finished = finish(&mut command);
        finished.success();
        let (told, stdout) = (finished.told(), finished.stdout);
        let bytes = fs::read_to_string(folder.path().join(OUT)).expect("simhost writes its records");
        let (answers, report) = client::printed(&stdout, requests);
        Run { answers, report, told, stdout, records: Records::parse(&bytes), bytes }
    }

    /// What does that, and the folder in which it does.
    pub fn virtual_command(&self, requests: &[&str]) -> (TempDir, Command) {
        let folder = self.write();
        let mut command = self.command(&folder);
        command.args(["--virtual", "--out", OUT]);
        for request in requests {
            command.args(["--request", request]);
        }
        (folder, command)
    }

    /// Opens the door at a free port, in real time.
    pub fn serve(&self) -> Serving {
        let folder = self.write();
        let mut command = self.command(&folder);
        command.args(["--out", OUT]);
        Serving::start(folder, command)
    }

    /// What standard error says of a topology that must not run: exit code 2.
    pub fn refusal(&self) -> String {
        let folder = self.write();
        let mut command = self.command(&folder);
        let finished = finish(command.args(["--virtual", "--request", "GET /"]));
        refused(&finished, &[]);
        finished.told()
    }

    fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder for the topology");
        let entry = self.entry.as_deref().expect("a world has a service");
        let head = format!(
            "[topology]\nname = \"tests\"\n\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"{entry}\"\n"
        );
        // Times add up where messages take the same, timers are exact and computing takes no time; a test
        // of these writes a section of its own.
        const EXACT: &str = "[network]\ntimer-slack = \"0s\"";
        let text = match (self.rest.contains("[network]"), self.rest.contains("timer-slack")) {
            (_, true) => format!("{head}{}{}", self.services, self.rest),
            (true, false) => format!("{head}{}{}", self.services, self.rest.replacen("[network]", EXACT, 1)),
            (false, false) => format!("{head}{}{}\n{EXACT}\nlatency = \"300us\"\n", self.services, self.rest),
        };
        let text = if text.contains("[run]") { text } else { text + EXACT_RUN };
        fs::write(folder.path().join(TOPOLOGY), text).expect("the topology is written");
        folder
    }

    /// `simhost run` of it, in its folder.
    fn command(&self, folder: &TempDir) -> Command {
        let mut command = simhost();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(folder.path()).args(["run", TOPOLOGY]).args(&self.flags);
        command
    }
}

const INFALLIBLE: &str = "a String takes every write";

/// A run that has ended well.
#[derive(Debug)]
pub struct Run {
    /// Answers to the requests, in order; of a server, each request has its own.
    pub answers: Vec<Answer>,
    /// The report at the end of standard output.
    pub report: String,
    /// The words on its standard error, in one line.
    pub told: String,
    pub stdout: String,
    /// The file of `--out`, as it is.
    pub bytes: String,
    pub(super) records: Records,
}

impl Run {
    /// The report of a run with `--json`.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.report).unwrap_or_else(|error| panic!("{error}: {}", self.report))
    }

    /// The statuses of the answers.
    pub fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }

    /// The bodies of the answers.
    pub fn bodies(&self) -> Vec<&str> {
        self.answers.iter().map(|answer| answer.body.as_str()).collect()
    }

    /// All spans, in the order of their starts.
    pub fn spans(&self) -> &[Span] {
        &self.records.spans
    }

    /// The spans of this name.
    pub fn named(&self, name: &str) -> Vec<&Span> {
        self.spans().iter().filter(|span| span.name == name).collect()
    }

    /// The only span of this name.
    #[track_caller]
    pub fn span(&self, name: &str) -> &Span {
        match self.named(name)[..] {
            [span] => span,
            ref several => {
                let names: Vec<_> = self.spans().iter().map(|span| &span.name).collect();
                panic!("{} spans are named {name:?}, of {names:?}", several.len())
            }
        }
    }

    /// The spans of a kind and service.
    pub fn of(&self, service: &str, kind: SpanKind) -> Vec<&Span> {
        self.spans().iter().filter(|span| span.service == service && span.kind == kind).collect()
    }

    /// The spans whose parent is `parent`.
    pub fn children(&self, parent: &Span) -> Vec<&Span> {
        self.spans().iter().filter(|span| span.parent == parent.id && span.trace == parent.trace).collect()
    }

    /// All data points, in order.
    pub fn points(&self) -> Vec<Point> {
        metrics::parse(&self.bytes)
    }

    /// All log records, in order.
    pub fn logs(&self) -> &[Log] {
        &self.records.logs
    }
}

//! `simhost run`: its flags, and what its end means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::error::{Problem, Refused, printable};
use crate::model::Nanos;
use crate::report::{Report, words};
use crate::run::{self, Destinations, Intent, Listed, Options, Plan, RunOutcome, SHARDS, Speed, Start};
use crate::telemetry::choice::Choice;

use super::choice::Choose;
use super::input::Input;
use super::logs::Logs;
use super::tell::{tell, tell_doubts};
use super::terminal::{self, style};
use super::{among, complain, environment, failed, length, listen, print, refuse, say};

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    input: Input,

    /// Stop listening, and the loads, after this long, for example 10s, 5m or 1h [default: when the
    /// loads are over, or at ctrl-c]
    #[arg(long = "for", allow_hyphen_values = true, conflicts_with = "requests", value_name = "DURATION", value_parser = length)]
    stop_after: Option<Nanos>,

    /// When a run in virtual time begins: an instant such as 2026-01-01T00:00:00Z, or now
    /// [default: 2026-01-01T00:00:00Z; if records go over OTLP, so that the run ends now]
    #[arg(long, value_name = "INSTANT")]
    start: Option<Start>,

    /// Serve the control API on this loopback address, for simhost fault; port 0 takes any free
    /// port [default: not served]
    #[arg(long, conflicts_with = "requests", value_name = "ADDRESS:PORT", value_parser = listen)]
    control: Option<SocketAddr>,

    /// Simulated seconds per real second. With --virtual an upper limit [default: none], else exact
    /// [default: 1]
    #[arg(long, value_name = "N")]
    speed: Option<Speed>,

    /// Simulate N worlds of the topology beside one another, each with a seed of its own, and add them
    /// up: N times the traffic, on N times the replicas, as fast as there are processors
    #[arg(long, conflicts_with = "requests", value_name = "N", value_parser = among(&SHARDS))]
    shards: Option<u32>,

    /// Write spans, log records and metrics to this file as OTLP JSON lines; - is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write to this file what faults do, a line of JSON for each event; - is standard output
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,

    /// With --truth and --virtual: leave out the runs without each fault that say what it has caused
    #[arg(long, requires = "truth")]
    no_counterfactual: bool,

    /// With --truth and --virtual: list N of the requests that each fault has changed, drawn
    /// evenly; a number, or all [default: 1000]
    #[arg(long, requires = "truth", value_name = "N|all")]
    changed: Option<Listed>,

    /// Send telemetry of simhost itself to the OTLP receiver too: spans of the phases of the run, metrics
    /// of its exporters
    #[arg(long)]
    self_telemetry: bool,

    /// Refuse a topology with warnings, and fail if a fault has struck nothing, unless its probability
    /// and its counts explain that
    #[arg(long)]
    strict: bool,

    /// Do not fail if a receiver or a file has not got every record
    #[arg(long)]
    lossy: bool,

    /// What to show on standard output [default: traces on a terminal or with --request, if they
    /// are exported nowhere else; otherwise the summary]
    #[arg(long, value_enum)]
    show: Option<Show>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Name in the report a trace for the p99 of each route; as JSON it has them anyway
    #[arg(long)]
    exemplars: bool,

    #[command(flatten)]
    logs: Logs,

    #[command(flatten)]
    choose: Choose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Show {
    /// Every trace as a tree, and the report
    Traces,
    /// The report
    Summary,
    /// Nothing
    None,
}

impl From<Show> for run::Show {
    fn from(show: Show) -> Self {
        match show {
            Show::Traces => Self::Traces,
            Show::Summary => Self::Summary,
            Show::None => Self::None,
        }
    }
}

/// Broken laws that are shown: one is enough to know that something is wrong.
const BROKEN_AT_MOST: usize = 5;

impl Run {
    pub fn execute(self) -> ExitCode {
        let Self {
            input,
            stop_after,
            start,
            control,
            speed,
            shards,
            out,
            truth,
            no_counterfactual,
            changed,
            self_telemetry,
            strict,
            lossy,
            show,
            json,
            exemplars,
            logs,
            choose,
        } = self;
        let choice = Choice::try_from(choose).and_then(|choice| match hidden_traces(&choice, show) {
            Some(problem) => Err(problem),
            None => Ok(choice),
        });
        let (choice, logs) = match (choice, logs.lines()) {
            (Ok(choice), Ok(logs)) => (choice, logs),
            (choice, logs) => {
                let problems = choice.err().into_iter().chain(logs.err());
                return refuse(&Refused::new(None, problems.collect()));
            }
        };
        let quiet = show == Some(Show::None);
        let show = show.map(Into::into);
        let stdout = terminal::stdout();
        let destinations = Destinations {
            out,
            truth,
            logs,
            show,
            choice,
            json,
            exemplars,
            stdout,
            ..Destinations::default()
        };
        let options = input.options(stop_after, destinations);
        let changed = changed.unwrap_or_default();
        let options = Options {
            start,
            control,
            speed,
            shards,
            self_telemetry,
            strict,
            no_counterfactual,
            changed,
            ..options
        };
        let lines_on_stdout = options.destinations.lines_on_stdout();
        let plan = match Plan::from_file(options, Intent::Run, environment) {
            Ok(plan) => plan,
            Err(refused) => return refuse(&refused),
        };
        tell_doubts(&plan);
        match plan.run(tell) {
            Ok(outcome) => {
                let text = if quiet { String::new() } else { document(&outcome, json) };
                // A second document on standard output would spoil the first.
                let printed = if lines_on_stdout {
                    say(&text);
                    ExitCode::SUCCESS
                } else {
                    print(&text)
                };
                let whole = judge(&outcome.report, strict) & is_complete(&outcome.report, lossy);
                for failure in &outcome.failures {
                    complain("error", &failure.what, Some(failure.help));
                }
                if whole && outcome.failures.is_empty() { printed } else { ExitCode::FAILURE }
            }
            Err(error) => failed(&error),
        }
    }
}

/// Why traces that are chosen would not be shown.
fn hidden_traces(choice: &Choice, show: Option<Show>) -> Option<Problem> {
    let show = show.filter(|show| choice.is_choosy() && *show != Show::Traces)?;
    let name = show.to_possible_value()?.get_name().to_owned();
    let problem = format!("traces are chosen, and --show {name} shows none");
    Some(Problem::new(problem).help("leave out --show, which is traces where some are chosen"))
}

/// Whether the run did what it had to; if not, standard error says so.
fn judge(report: &Report, strict: bool) -> bool {
    let idle = if strict { report.warnings() } else { &[] };
    for warning in idle {
        say(&format!("error: {}\n", printable(warning)));
    }
    if !idle.is_empty() {
        say("  help: correct its target, its conditions or its window, let the run go on for longer, or \
             switch it off\n");
    }
    let (missed, all) = (report.missed(), report.objectives.len());
    if missed > 0 {
        say(&format!("error: {missed} of {} missed\n", words::counted(all as u64, "objective")));
    }
    let broken = report.invariants();
    for law in broken.iter().take(BROKEN_AT_MOST) {
        say(&format!("error: the counts of this run do not agree: {law}\n"));
    }
    if !broken.is_empty() {
        say("  help: this is a defect of simhost: please report it with the topology\n");
    }
    missed == 0 && broken.is_empty() && idle.is_empty()
}

/// Whether every record is where it should be, or need not be; if not, standard error says so.
fn is_complete(report: &Report, lossy: bool) -> bool {
    for warning in report.telemetry.warnings() {
        complain("warning", &warning, None);
    }
    let losses = report.telemetry.losses();
    let severity = if lossy { "warning" } else { "error" };
    const HELP: &str = "make sure that the receiver or the file takes all records; OTEL_LOGS_EXPORTER=none leaves out \
                        log records, OTEL_METRICS_EXPORTER=none metrics; --lossy accepts losses";
    for (at, loss) in losses.iter().enumerate() {
        let is_last = at + 1 == losses.len();
        complain(severity, loss, (is_last && !lossy).then_some(HELP));
    }
    losses.is_empty() || lossy
}

/// What standard output gets at the end: answers, traces, report.
fn document(outcome: &RunOutcome, json: bool) -> String {
    if json {
        let report = serde_json::to_string_pretty(&outcome.report);
        return report.expect("a report has only keys that are strings") + "\n";
    }
    let mut text = String::new();
    for reply in &outcome.replies {
        text.push_str(&reply.text());
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&String::from_utf8_lossy(&outcome.page));
    if outcome.traces && outcome.report.telemetry.spans > 0 {
        text.push('\n');
    }
    text.push_str(&printable(&outcome.report.text(style())));
    text
}

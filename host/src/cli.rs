//! The command line: flags in, words and exit codes out.

mod diff;
mod fault;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::bench::{self, Effort};
use crate::error::{Look, Problem, Refused, printable, quote};
use crate::generate::{self, Wanted};
use crate::model::Nanos;
use crate::progress;
use crate::report::{Report, words};
use crate::run::{Asked, Destinations, Event, Options, Outcome, Plan, RunError, SHARDS, Show, Speed, Start};

/// A flight simulator for microservices: every service of a topology as a
/// WebAssembly guest in one process, with real traces.
#[derive(Debug, Parser)]
#[command(name = "simhost", version, max_term_width = 100, help_expected = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a topology: listen for requests, or send those of --request
    Run(Run),
    /// Say everything that is wrong with a topology, or what it would run
    Check(Check),
    /// Run a topology twice, as it is and with a change, and say what the change causes
    Diff(diff::Diff),
    /// List the faults of a run that goes on, and switch them
    Fault(fault::Fault),
    /// Write a topology of many services that call one another, drawn from a seed
    Generate(Generate),
    /// Measure what things cost on this machine, beside the targets
    Bench(Bench),
}

/// What `run` and `check` have in common.
#[derive(Debug, Args)]
struct Input {
    /// The topology file
    topology: PathBuf,

    /// Let time jump from event to event instead of passing: same seed, same bytes
    #[arg(long = "virtual")]
    virtual_time: bool,

    /// The seed of all chance [default: the topology's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Run another component as this service's guest; may be repeated
    #[arg(long = "guest", value_name = "SERVICE=FILE", value_parser = guest)]
    guests: Vec<(String, PathBuf)>,

    /// Switch a fault of the topology on or off; may be repeated
    #[arg(long = "fault", value_name = "NAME=on|off", value_parser = switch)]
    faults: Vec<(String, bool)>,

    /// Switch a load of the topology on or off; may be repeated
    #[arg(long = "load", conflicts_with = "requests", value_name = "NAME=on|off", value_parser = switch)]
    loads: Vec<(String, bool)>,

    /// Let the loads go over HTTP, through the ingress, and not straight to their services
    #[arg(long, conflicts_with_all = ["requests", "virtual_time"])]
    through_ingress: bool,

    /// Where to listen [default: the topology's ingress]; port 0 takes any free port
    #[arg(long, conflicts_with = "requests", value_name = "ADDRESS:PORT", value_parser = listen)]
    listen: Option<SocketAddr>,

    /// Send this request and end, instead of listening; may be repeated
    #[arg(long = "request", value_name = "METHOD PATH [BODY]")]
    requests: Vec<Asked>,

    /// Export over OTLP to this receiver [default: OTEL_EXPORTER_OTLP_ENDPOINT, or the topology's]
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    input: Input,

    /// Stop listening, and the loads, after this long, for example 10s, 5m or 1h [default: when the
    /// loads are over, or at ctrl-c]
    #[arg(long = "for", conflicts_with = "requests", value_name = "DURATION", value_parser = length)]
    stop_after: Option<Nanos>,

    /// When a run in virtual time begins: an instant such as 2026-01-01T00:00:00Z, or now
    /// [default: 2026-01-01T00:00:00Z; if records go over OTLP, so that the run ends now]
    #[arg(long, value_name = "INSTANT")]
    start: Option<Start>,

    /// Let faults be switched while the run goes on, by simhost fault, over this address of this
    /// machine; port 0 takes any free port [default: they cannot be]
    #[arg(long, conflicts_with = "requests", value_name = "ADDRESS:PORT", value_parser = listen)]
    control: Option<SocketAddr>,

    /// Let N seconds pass in each real one: with --virtual at most so many [default: no limit],
    /// without it exactly [default: 1]
    #[arg(long, value_name = "N")]
    speed: Option<Speed>,

    /// Simulate N worlds of the topology beside one another, each with a seed of its own, and add them
    /// up: N times the traffic, on N times the replicas, as fast as there are processors
    #[arg(long, conflicts_with = "requests", value_name = "N", value_parser = among(&SHARDS))]
    shards: Option<u32>,

    /// Write spans and log records to this file as OTLP JSON lines; - is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Write what faults really do to this file, a JSON line each, as it happens; - is standard output
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,

    /// With --truth and --virtual: leave out the runs without each fault that say what it has caused
    #[arg(long, requires = "truth")]
    no_counterfactual: bool,

    /// Fail if a fault has met nothing to strike
    #[arg(long)]
    strict: bool,

    /// What to show on standard output [default: traces on a terminal or with --request, if they
    /// are exported nowhere else; otherwise the summary]
    #[arg(long, value_enum)]
    show: Option<Show>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    input: Input,
}

#[derive(Debug, Args)]
struct Generate {
    /// How many services, 2 to 2000
    #[arg(long, value_name = "N", value_parser = among(&generate::SERVICES))]
    services: u32,

    /// The seed of all chance in it, which becomes the topology's own
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// From the edge to the data, 2 to 12 layers [default: as many as suit the services]
    #[arg(long, value_name = "N", value_parser = among(&generate::LAYERS))]
    layers: Option<u32>,

    /// Requests per second that come in, 1 to 100000: workers are enough for them
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = among(&generate::RATE))]
    rate: u32,

    /// The topology's name [default: services-N]
    #[arg(long, value_parser = crate::topology::name)]
    name: Option<String>,

    /// The file to write, in place of one that is there [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Bench {
    /// How long each of the measurements runs, for example 2s
    #[arg(long = "for", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    each: Nanos,

    /// How often each is repeated; the best counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Print the numbers as JSON
    #[arg(long)]
    json: bool,
}

/// Broken laws that are shown: one is enough to know that something is wrong.
const BROKEN_AT_MOST: usize = 5;

/// How long a run in virtual time took is of interest from here on.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// The exit code for input that is refused.
const REFUSED: u8 = 2;

/// The exit code of who was told to quit: 128 + SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Diff(diff) => diff.execute(),
        Command::Fault(fault) => fault.execute(),
        Command::Generate(generate) => generate.execute(),
        Command::Bench(bench) => bench.execute(),
    }
}

impl Input {
    fn options(self, stop_after: Option<Nanos>, destinations: Destinations) -> Options {
        Options {
            topology: self.topology,
            virtual_time: self.virtual_time,
            seed: self.seed,
            listen: self.listen,
            guests: self.guests,
            faults: self.faults,
            loads: self.loads,
            through_ingress: self.through_ingress,
            requests: self.requests,
            stop_after,
            start: None,
            control: None,
            speed: None,
            shards: None,
            no_counterfactual: false,
            destinations: Destinations { otlp: self.otlp, ..destinations },
        }
    }
}

impl Run {
    fn execute(self) -> ExitCode {
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
            strict,
            show,
            json,
        } = self;
        let quiet = show == Some(Show::None);
        let destinations = Destinations { otlp: None, out, truth, show, json };
        let options = input.options(stop_after, destinations);
        let options = Options { start, control, speed, shards, no_counterfactual, ..options };
        let lines_on_stdout = options.destinations.lines_on_stdout();
        let plan = match Plan::make(options, environment) {
            Ok(plan) => plan,
            Err(refused) => return refuse(&refused),
        };
        tell_notes(&plan);
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
                let whole = judge(&outcome.report, strict);
                for failure in &outcome.failures {
                    say(&format!("error: {}\n  help: {}\n", printable(&failure.what), failure.help));
                }
                if whole && outcome.failures.is_empty() { printed } else { ExitCode::FAILURE }
            }
            Err(error) => failed(&error),
        }
    }
}

impl Check {
    fn execute(self) -> ExitCode {
        let options = self.input.options(None, Destinations::default());
        match Plan::check(options, environment) {
            Ok(plan) => {
                tell_notes(&plan);
                print(&plan.description())
            }
            Err(refused) => refuse(&refused),
        }
    }
}

impl Generate {
    fn execute(self) -> ExitCode {
        let Self { services, seed, layers, rate, name, out } = self;
        let file = out.as_deref().and_then(std::path::Path::file_name);
        let file = file.map(|name| name.to_string_lossy().into_owned());
        let text = match generate::generate(&Wanted { services, seed, layers, name, rate, file }) {
            Ok(text) => text,
            Err(problems) => return refuse(&Refused::new(None, problems)),
        };
        let Some(path) = out else { return print(&text) };
        match std::fs::write(&path, text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let path = quote(&path.display().to_string());
                let problem = Problem::new(format!("cannot write {path}: {error}"));
                refuse(&Refused::new(None, vec![problem.help("name a file in a folder that is there")]))
            }
        }
    }
}

impl Bench {
    fn execute(self) -> ExitCode {
        if cfg!(debug_assertions) {
            say("note: this is a debug build; its numbers mean nothing. Use cargo run --release -- bench\n");
        }
        let effort = Effort { each: Duration::from_nanos(self.each), rounds: self.rounds };
        match bench::run(effort) {
            Ok(rows) if self.json => {
                let json = serde_json::to_string_pretty(&rows);
                print(&(json.expect("rows have only keys that are strings") + "\n"))
            }
            Ok(rows) => print(&(bench::table(&rows) + "\n")),
            Err(error) => {
                say(&format!("error: {error}\n"));
                ExitCode::FAILURE
            }
        }
    }
}

fn among(range: &std::ops::RangeInclusive<u32>) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(*range.start())..=i64::from(*range.end()))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Says why a run could not be done.
fn failed(error: &RunError) -> ExitCode {
    if let RunError::Refused(refused) = error {
        return refuse(refused);
    }
    say(&format!("error: {}\n", printable(&error.to_string())));
    if let Some(remedy) = error.remedy() {
        say(&format!("  help: {remedy}\n"));
    }
    ExitCode::FAILURE
}

fn refuse(refused: &Refused) -> ExitCode {
    say(&refused.render(Look::of_stderr()));
    ExitCode::from(REFUSED)
}

/// Prints what was asked for. Who closed the pipe has seen enough, which is no error.
fn print(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            say(&format!("error: cannot write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Tells a person something. If standard error takes nothing, nobody can be told.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).ok();
}

fn tell_notes(plan: &Plan) {
    for note in plan.notes() {
        say(&format!("note: {note}\n"));
    }
}

fn tell(event: Event) {
    match event {
        Event::Listening { address, to } => {
            say(&format!("listening on http://{address} for {to}; ctrl-c ends the run\n"));
        }
        Event::Control { address } => say(&format!("control on http://{address}\n")),
        Event::Draining => say("finishing what is under way; ctrl-c again quits at once\n"),
        Event::Trouble { exporter, trouble } => {
            // A receiver may recover; a disk that is full stays so.
            let again = if exporter.starts_with("otlp") { ", and tries again" } else { "" };
            say(&format!("warning: {exporter} has trouble{again}: {}\n", printable(&trouble)));
        }
        Event::Simulated { simulated, took } if took >= WORTH_TELLING => {
            let factor = words::number(progress::factor(simulated, took));
            let (simulated, took) = (words::time(simulated), words::time(crate::clock::nanos(took)));
            say(&format!("simulated {simulated} in {took}, {factor} times real time\n"));
        }
        Event::Comparing { faults, took } if took >= WORTH_TELLING => {
            let what = if faults == 1 { "the fault".to_owned() } else { format!("each of {faults} faults") };
            say(&format!("running once more without {what}, for the truth; ctrl-c leaves that out\n"));
        }
        Event::Simulated { .. } | Event::Comparing { .. } => {}
        Event::Flushing { patience } => {
            let patience = crate::clock::show(crate::clock::nanos(patience));
            say(&format!("waiting up to {patience} for the spans to be taken; ctrl-c quits at once\n"));
        }
    }
}

/// Whether the run did what it had to; if not, standard error says so.
fn judge(report: &Report, strict: bool) -> bool {
    let idle = if strict { report.warnings() } else { Vec::new() };
    for warning in &idle {
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

/// What standard output gets at the end: answers, traces, report.
fn document(outcome: &Outcome, json: bool) -> String {
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
    text.push_str(&printable(&outcome.report.text()));
    text
}

fn guest(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((service, file)) if !service.is_empty() && !file.is_empty() => {
            Ok((service.to_owned(), PathBuf::from(file)))
        }
        _ => Err("write it as SERVICE=FILE, for example inventory-service=./mine.wasm".to_owned()),
    }
}

fn switch(text: &str) -> Result<(String, bool), String> {
    match text.rsplit_once('=') {
        Some((name, "on")) if !name.is_empty() => Ok((name.to_owned(), true)),
        Some((name, "off")) if !name.is_empty() => Ok((name.to_owned(), false)),
        _ => Err("write it as NAME=on or NAME=off".to_owned()),
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    crate::topology::listen(text)
}

/// How long a run goes on.
fn length(text: &str) -> Result<Nanos, String> {
    match duration(text)? {
        0 => Err("a run of no time does nothing: write a time above 0, such as 10s".to_owned()),
        nanos => Ok(nanos),
    }
}

fn duration(text: &str) -> Result<Nanos, String> {
    crate::topology::duration(text)
}

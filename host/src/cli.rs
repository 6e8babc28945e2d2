//! The command line: flags in, words and exit codes out.

mod bench;
mod check;
mod choice;
mod completions;
mod diff;
mod fault;
mod generate;
mod graph;
mod import;
mod input;
mod lab;
mod log;
mod logs;
mod man;
mod metrics;
mod run;
mod schema;
mod sql;
mod tell;
mod terminal;
mod traces;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Look, Problem, Refused, printable, quote, wrap};
use crate::files;
use crate::look::{self, Color};
use crate::model::{Nanos, Picos};
use crate::run::{RunError, signals};
use crate::telemetry::console::text::safe_json;

/// What no flag says.
const AFTER_RUN: &str = "Variables of OpenTelemetry (OTEL_…) say what is sampled, which metrics there are and \
                         how often, and where records go: docs/reference/environment.md";

/// A flight simulator for microservices: every service of a topology as a
/// WebAssembly guest in one process, with real traces.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 100, help_expected = true)]
#[command(next_help_heading = GLOBAL)]
pub struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: Color,

    /// Words in place of lines, bars and symbols: for screen readers and logs
    #[arg(long, global = true)]
    plain: bool,

    #[command(flatten)]
    log: log::Log,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a topology: listen for requests, or send those of --request
    #[command(after_help = AFTER_RUN)]
    Run(Box<run::Run>),
    /// Say everything that is wrong with a topology, or what it would run
    Check(check::Check),
    /// Draw who calls whom
    Graph(graph::Graph),
    /// Choose traces of a file that --out has written, and draw them
    Traces(traces::Traces),
    /// Print the metrics of a file that --out has written, by service
    Metrics(metrics::Metrics),
    /// Run a topology twice, as it is and with a change, and say what the change causes
    Diff(diff::Diff),
    /// List the faults of a run that goes on, and switch them
    Fault(fault::Fault),
    /// Write a topology of many services that call one another, drawn from a seed
    Generate(generate::Generate),
    /// Sketch a topology from recorded traces, of any origin
    Import(import::Import),
    /// Ask a database of a topology, as its schema makes it or as a run leaves it
    Sql(sql::Sql),
    /// Learn with exercises that check themselves
    Lab(lab::Labs),
    /// Print the JSON Schema of a topology, or of a document that simhost prints
    Schema(schema::Schema),
    /// Measure what things cost on this machine, beside the targets
    Bench(bench::Bench),
    /// Print the script by which a shell completes commands and flags
    Completions(completions::Completions),
    /// Print a manual page, for man -l -
    Man(man::Man),
}

/// The name of the program.
const NAME: &str = "simhost";

/// The heading of the flags that all commands have.
const GLOBAL: &str = "Global options";

/// The exit code for input that is refused.
const REFUSED: u8 = 2;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let Cli { color, plain, log, command } = Cli::parse();
    look::choose(color, plain);
    log.start();
    if let Err(shortage) = files::room() {
        say(&format!("error: {shortage}\n  help: raise the limit, for example: ulimit -n 1024\n"));
        return ExitCode::FAILURE;
    }
    signals::catch();
    match command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Graph(graph) => graph.execute(),
        Command::Traces(traces) => traces.execute(),
        Command::Metrics(metrics) => metrics.execute(),
        Command::Diff(diff) => diff.execute(),
        Command::Fault(fault) => fault.execute(),
        Command::Generate(generate) => generate.execute(),
        Command::Import(import) => import.execute(),
        Command::Sql(sql) => sql.execute(),
        Command::Lab(lab) => lab.execute(),
        Command::Schema(schema) => schema.execute(),
        Command::Bench(bench) => bench.execute(),
        Command::Completions(completions) => completions.execute(),
        Command::Man(man) => man.execute(),
    }
}

fn among(range: &std::ops::RangeInclusive<u32>) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(*range.start())..=i64::from(*range.end()))
}

/// A variable of the environment. What of its value is no UTF-8 becomes `U+FFFD`.
fn environment(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

/// Says why a run could not be done.
fn failed(error: &RunError) -> ExitCode {
    if let RunError::Refused(refused) = error {
        return refuse(refused);
    }
    complain("error", &error.to_string(), error.remedy());
    ExitCode::FAILURE
}

/// Says what is wrong, or may be, and what to do about it: in lines that fit the page.
fn complain(severity: &str, what: &str, help: Option<&str>) {
    let width = Look::of_stderr().width;
    let said = |head: &str, text: &str| {
        let below = format!("\n{}", " ".repeat(head.len()));
        format!("{head}{}\n", wrap(&printable(text), width - head.len()).replace('\n', &below))
    };
    say(&said(&format!("{severity}: "), what));
    if let Some(help) = help {
        say(&said("  help: ", help));
    }
}

fn refuse(refused: &Refused) -> ExitCode {
    say(&refused.render(Look::of_stderr()));
    ExitCode::from(REFUSED)
}

/// Prints what was asked for, which is JSON or has nothing that a terminal would obey.
fn print(text: &str) -> ExitCode {
    let text = if std::io::stdout().is_terminal() { safe_json(text) } else { text.into() };
    print_drawn(&text)
}

/// Prints what was drawn: the only escapes in it are its colours. Who closed the pipe has seen enough,
/// which is no error.
fn print_drawn(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            say(&format!("error: cannot write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes what was asked for to a file, in place of one that is there; `-` is standard output.
fn write(text: &str, out: Option<&Path>) -> ExitCode {
    let Some(path) = out.filter(|path| path.as_os_str() != "-") else { return print(text) };
    match files::replace(path, text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&Refused::new(None, vec![cannot_write(path, &error)])),
    }
}

/// Refuses a file that cannot be written, before the work whose result it is to have.
fn writable(out: Option<&Path>) -> Result<(), Refused> {
    let Some(path) = out.filter(|path| path.as_os_str() != "-") else { return Ok(()) };
    files::can_replace(path).map_err(|error| Refused::new(None, vec![cannot_write(path, &error)]))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Problem {
    let problem = Problem::new(format!("cannot write {}: {error}", quote(&path.display().to_string())));
    problem.help(match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "make room on the disk, or name a file on another one"
        }
        std::io::ErrorKind::IsADirectory => "name a file in it",
        _ => "name a file in a folder that is there and may be written",
    })
}

/// Tells a person something. If standard error takes nothing, nobody can be told.
fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).ok();
}

fn guest(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((service, file)) if !service.is_empty() && !file.is_empty() => {
            Ok((service.to_owned(), PathBuf::from(file)))
        }
        _ => Err("write it as SERVICE=GUEST, for example inventory-service=./mine.wasm".to_owned()),
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

fn duration(text: &str) -> Result<Nanos, String> {
    crate::topology::duration(text)
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}", u64::MAX))
}

fn compute(text: &str) -> Result<Picos, String> {
    crate::topology::compute(text)
}

/// How long a run goes on.
fn length(text: &str) -> Result<Nanos, String> {
    match duration(text)? {
        0 => Err("a run of no time does nothing: write a time above 0, such as 10s".to_owned()),
        nanos => Ok(nanos),
    }
}

//! `simhost diff`: the flags of a comparison.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::diff::{Broken, Comparison, Question};
use crate::error::Look;
use crate::model::{Nanos, Picos};
use crate::run::signals::INTERRUPTED;
use crate::run::{Options, RequestFlag, RunError, RunEvent};

use super::tell::tell;
use super::terminal::style;
use super::{REFUSED, complain, guest, length, print, print_drawn, refuse, say, switch};

#[derive(Debug, Args)]
pub struct Diff {
    /// The topology file
    topology: PathBuf,

    /// The change: run this topology as the second one
    other: Option<PathBuf>,

    /// The change: this fault is on; may be repeated
    #[arg(long, value_name = "FAULT")]
    with: Vec<String>,

    /// The change: this fault is off; may be repeated
    #[arg(long, value_name = "FAULT")]
    without: Vec<String>,

    /// The change: another guest runs as this service, a component's file or the name of a built-in one; may
    /// be repeated
    #[arg(long = "guest", value_name = "SERVICE=GUEST", value_parser = guest)]
    guests: Vec<(String, PathBuf)>,

    /// For both runs: the seed of all chance [default: the first topology's]
    #[arg(long, value_name = "N", value_parser = super::seed)]
    seed: Option<u64>,

    /// For both runs: let an instruction of a guest take this long, for example 0.04ns; 0: computing
    /// takes no time [default: the topology's]
    #[arg(long, value_name = "TIME", value_parser = super::compute)]
    compute: Option<Picos>,

    /// For both runs: switch a fault on or off; may be repeated
    #[arg(long = "fault", value_name = "NAME=on|off", value_parser = switch)]
    faults: Vec<(String, bool)>,

    /// For both runs: switch a load on or off; may be repeated
    #[arg(long = "load", value_name = "NAME=on|off", value_parser = switch)]
    loads: Vec<(String, bool)>,

    /// For both runs: stop the loads after this long, for example 10s, 5m or 1h [default: when they
    /// are over]
    #[arg(long = "for", allow_hyphen_values = true, conflicts_with = "requests", value_name = "DURATION", value_parser = length)]
    stop_after: Option<Nanos>,

    /// For both runs: send this request instead of the loads; may be repeated
    #[arg(long = "request", value_name = "METHOD PATH [BODY]")]
    requests: Vec<RequestFlag>,

    /// Print the difference as JSON
    #[arg(long)]
    json: bool,

    /// Exit with 1 if there is a difference, as diff does, and with 2 if the runs fail
    #[arg(long)]
    exit_code: bool,
}

impl Diff {
    pub fn execute(self) -> ExitCode {
        let (json, exit_code) = (self.json, self.exit_code);
        let comparison = match Comparison::make(self.question()) {
            Ok(comparison) => comparison,
            Err(refused) => {
                for refused in &refused {
                    refuse(refused);
                }
                return ExitCode::from(REFUSED);
            }
        };
        for warnings in comparison.warnings() {
            say(&warnings.render(Look::of_stderr()));
        }
        let difference = match comparison.run(tell_or_quit) {
            Ok(difference) => difference,
            Err(broken) => {
                let code = say_broken(broken);
                // 1 says that the runs differ.
                return if exit_code { ExitCode::from(REFUSED) } else { code };
            }
        };
        let printed = if json {
            let json = serde_json::to_string_pretty(&difference);
            print(&(json.expect("a difference has only keys that are strings") + "\n"))
        } else {
            print_drawn(&difference.text(style()))
        };
        if exit_code && difference.differs && printed == ExitCode::SUCCESS {
            return ExitCode::FAILURE;
        }
        printed
    }

    fn question(self) -> Question {
        let Self {
            topology,
            other,
            with,
            without,
            guests,
            seed,
            compute,
            faults,
            loads,
            stop_after,
            requests,
            json: _,
            exit_code: _,
        } = self;
        let common =
            Options { topology, seed, compute, faults, loads, requests, stop_after, ..Options::default() };
        Question { common, other, with, without, guests }
    }
}

/// Says which of the runs has failed, and why.
fn say_broken(Broken { run, error }: Broken) -> ExitCode {
    match error {
        RunError::Refused(refused) => refuse(&refused.after(format!("{run} is not possible"))),
        error => {
            complain("error", &format!("{run}: {error}"), error.remedy());
            ExitCode::FAILURE
        }
    }
}

/// Two runs that were stopped somewhere cannot be compared.
fn tell_or_quit(event: RunEvent) {
    match event {
        RunEvent::Draining => crate::files::end_program(INTERRUPTED),
        // Each of the runs says so, and none of them is what was asked for.
        RunEvent::Simulated { .. } => {}
        event => tell(event),
    }
}

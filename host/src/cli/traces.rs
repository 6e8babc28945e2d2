//! `simhost traces`: looking at the traces of a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::error::Refused;
use crate::telemetry::choice::Choice;
use crate::telemetry::console::Style;
use crate::traces::{self, Wanted, Wish};

use super::choice::Choose;
use super::terminal::style;
use super::{REFUSED, complain, print_drawn, refuse};

/// Traces that are drawn, and lines of a list, where nothing else is asked for.
const DRAWN: usize = 10;
const LISTED: usize = 30;

#[derive(Debug, Args)]
pub struct Traces {
    /// A file of OTLP JSON lines, as --out writes it, also compressed (.gz, .zst); - is standard input
    file: PathBuf,

    /// A line for each trace, not a tree
    #[arg(long)]
    list: bool,

    /// How many traces are shown [default: 10 trees, 30 lines, or those of --slowest]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Give events and log records lines of their own, at their times among the spans
    #[arg(long, conflicts_with = "list")]
    logs: bool,

    /// The trace that stands for a percentile of a route, in the words of the report:
    /// 'order-service POST /orders p99'
    #[arg(long, value_name = "SERVICE ROUTE PERCENTILE",
          conflicts_with_all = ["list", "limit", "slowest", "errors", "service", "route", "root", "not_root", "id",
                                "query", "between"])]
    exemplar: Option<Wish>,

    #[command(flatten)]
    choose: Choose,
}

impl Traces {
    pub fn execute(self) -> ExitCode {
        let Self { file, choose, list, limit, logs, exemplar } = self;
        let choice = match Choice::try_from(choose) {
            Ok(choice) => choice,
            Err(problem) => return refuse(&Refused::new(None, vec![problem])),
        };
        let few = if list || !choice.is_choosy() { LISTED } else { DRAWN };
        let most = few.max(choice.slowest.unwrap_or(0));
        let file = (file.as_os_str() != "-").then_some(file);
        let wanted = Wanted { file, choice, exemplar, limit: limit.unwrap_or(most), list };
        match traces::find(&wanted, Style { logs, ..style() }) {
            Ok(found) => print_drawn(found.text()),
            Err(error) => {
                complain("error", &error.to_string(), Some(error.remedy()));
                ExitCode::from(REFUSED)
            }
        }
    }
}

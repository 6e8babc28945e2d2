//! `simhost metrics`: looking at the metrics of a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::error::Refused;
use crate::metrics_file::{self, Wanted};
use crate::telemetry::choice::Instant;

use super::choice::{instant, interval};
use super::terminal::style;
use super::{REFUSED, complain, print, refuse};

#[derive(Debug, Args)]
pub struct Metrics {
    /// A file of OTLP JSON lines, as --out writes it, also compressed (.gz, .zst); - is standard input
    file: PathBuf,

    /// Only those of this service, or of all with this text in their names
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Only the metric of this name, or all with this text in their names
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,

    /// A row for each value of this attribute, such as http.route; repeatable
    #[arg(long, value_name = "ATTRIBUTE")]
    by: Vec<String>,

    /// Collections after A, up to B. Each is an instant such as 2026-01-01T00:02:00Z, or a time such as 2m
    /// after the start of the file, which is that of its first series
    #[arg(long, num_args = 2, allow_hyphen_values = true, value_names = ["A", "B"], value_parser = instant)]
    between: Option<Vec<Instant>>,

    /// List the measurements of the greatest values that name a trace (simhost traces FILE --id ID)
    #[arg(long)]
    exemplars: bool,

    /// How many services are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Print JSON: `simhost schema metrics` describes it
    #[arg(long)]
    json: bool,
}

impl Metrics {
    pub fn execute(self) -> ExitCode {
        let Self { file, service, metric, by, between, exemplars, limit, json } = self;
        let file = (file.as_os_str() != "-").then_some(file);
        let between = match between.map(|ends| interval(&ends)).transpose() {
            Ok(between) => between.flatten(),
            Err(problem) => return refuse(&Refused::new(None, vec![problem])),
        };
        let wanted = Wanted { file, service, metric, by, between, limit, exemplars };
        match metrics_file::find(&wanted) {
            Ok(found) if json => {
                let document = serde_json::to_string_pretty(&found.document());
                print(&(document.expect("a document has only keys that are strings") + "\n"))
            }
            Ok(found) => print(&found.text(&wanted, style())),
            Err(error) => {
                complain("error", &error.to_string(), Some(error.remedy()));
                ExitCode::from(REFUSED)
            }
        }
    }
}

//! `simhost metrics`: looking at the metrics of a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::metrics_file::{self, Wanted};

use super::terminal::style;
use super::{REFUSED, complain, print};

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
        let Self { file, service, metric, by, exemplars, limit, json } = self;
        let file = (file.as_os_str() != "-").then_some(file);
        let wanted = Wanted { file, service, metric, by, limit, exemplars };
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

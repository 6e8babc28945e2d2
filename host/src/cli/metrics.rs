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

    /// Only those of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Only those with this text in their names
    #[arg(long, value_name = "TEXT")]
    metric: Option<String>,

    /// How many services are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    /// Print JSON: `simhost schema metrics` describes it
    #[arg(long)]
    json: bool,
}

impl Metrics {
    pub fn execute(self) -> ExitCode {
        let Self { file, service, metric, limit, json } = self;
        let file = (file.as_os_str() != "-").then_some(file);
        let wanted = Wanted { file, service, metric, limit };
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

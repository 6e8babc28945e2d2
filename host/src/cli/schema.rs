//! `simhost schema`: the JSON Schemas of what simhost reads and writes.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::{control, diff, lab, metrics_file, report, run, topology, truth};

use super::print;

#[derive(Debug, Args)]
pub struct Schema {
    /// What the schema describes
    #[arg(value_enum)]
    of: Document,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Document {
    /// A topology: editors complete and check its keys with it
    Topology,
    /// What `run --json` prints
    Report,
    /// A line of the file that `run --truth` writes
    Truth,
    /// What `diff --json` prints
    Diff,
    /// What `check --json` prints
    Check,
    /// What `metrics --json` prints
    Metrics,
    /// What goes over the control API of `run --control`
    Control,
    /// `lab.toml`, the manifest of a lab
    Lab,
    /// What `lab check --format json` prints
    LabResult,
}

impl Schema {
    pub fn execute(self) -> ExitCode {
        let schema = match self.of {
            Document::Topology => topology::schema(),
            Document::Report => report::Report::schema(),
            Document::Truth => truth::schema(),
            Document::Diff => diff::Difference::schema(),
            Document::Check => run::Document::schema(),
            Document::Metrics => metrics_file::Document::schema(),
            Document::Control => control::Document::schema(),
            Document::Lab => lab::manifest::schema(),
            Document::LabResult => lab::Verdict::schema(),
        };
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
        print(&(text + "\n"))
    }
}

//! `simhost check`: what is wrong with a topology, or what it would run.

use std::process::ExitCode;

use clap::Args;

use crate::error::printable;
use crate::model::Nanos;
use crate::run::{Destinations, Intent, Options, Plan};

use super::input::Input;
use super::tell::tell_doubts;
use super::{environment, length, print, refuse};

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    input: Input,

    /// Check a run of this length, for example 10s, 5m or 1h [default: until the loads are over]
    #[arg(long = "for", allow_hyphen_values = true, conflicts_with = "requests", value_name = "DURATION", value_parser = length)]
    stop_after: Option<Nanos>,

    /// Refuse a topology with warnings
    #[arg(long)]
    strict: bool,

    /// Print what it would run as JSON (docs/check.schema.json)
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn execute(self) -> ExitCode {
        let options = self.input.options(self.stop_after, Destinations::default());
        let options = Options { strict: self.strict, ..options };
        match Plan::from_file(options, Intent::Describe, environment) {
            Ok(mut plan) => {
                tell_doubts(&plan);
                if !self.json {
                    return print(&printable(&plan.description()));
                }
                let json = serde_json::to_string_pretty(&plan.document());
                print(&(json.expect("a document has only keys that are strings") + "\n"))
            }
            Err(refused) => refuse(&refused),
        }
    }
}

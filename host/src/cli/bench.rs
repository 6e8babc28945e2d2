//! `simhost bench`: what things cost on this machine.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::bench::{self, Effort};
use crate::model::Nanos;

use super::terminal::style;
use super::{duration, print, say};

#[derive(Debug, Args)]
pub struct Bench {
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

impl Bench {
    pub fn execute(self) -> ExitCode {
        if cfg!(debug_assertions) {
            say("note: this is a debug build; its numbers mean nothing. Use cargo run --release -- bench\n");
        }
        let effort = Effort { each: Duration::from_nanos(self.each), rounds: self.rounds };
        match bench::run(effort) {
            Ok(rows) if self.json => {
                let json = serde_json::to_string_pretty(&rows);
                print(&(json.expect("rows have only keys that are strings") + "\n"))
            }
            Ok(rows) => print(&bench::table(&rows, style())),
            Err(error) => {
                say(&format!("error: {error}\n"));
                ExitCode::FAILURE
            }
        }
    }
}

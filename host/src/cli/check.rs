//! `simhost check`: what is wrong with a topology, or what it would run.

use std::process::ExitCode;

use clap::Args;

use crate::run::{Destinations, Plan};

use super::input::Input;
use super::tell::tell_notes;
use super::{environment, print, refuse};

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    input: Input,
}

impl Check {
    pub fn execute(self) -> ExitCode {
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

//! `simhost completions`: what a shell needs to complete commands and flags.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, NAME, print};

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell. Put the script where the shell looks for completions: for bash
    /// ~/.local/share/bash-completion/completions/simhost
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn execute(self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), NAME, &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}

//! `simhost man`: the manual pages, made of the same declarations as the help.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use crate::error::{Problem, Refused, did_you_mean, quote};

use super::{Cli, print, refuse};

#[derive(Debug, Args)]
pub struct Man {
    /// Print the page of this command, for example run, or fault list [default: that of simhost itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write all pages into this folder instead, simhost.1, simhost-run.1 and so on
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

impl Man {
    pub fn execute(self) -> ExitCode {
        match (self.out, self.command) {
            (Some(folder), _) => write_all(&folder),
            (None, command) => print_one(&command),
        }
    }
}

fn write_all(folder: &Path) -> ExitCode {
    match clap_mangen::generate_to(Cli::command(), folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let problem = format!("cannot write to {}: {error}", quote(&folder.display().to_string()));
            refuse(&Refused::new(None, vec![Problem::new(problem).help("name a folder that is there")]))
        }
    }
}

fn print_one(command: &[String]) -> ExitCode {
    // As `generate_to` does.
    let mut program = Cli::command().disable_help_subcommand(true);
    // Gives the commands the names that their pages have: simhost-run.
    program.build();
    let mut page = &program;
    for name in command {
        page = match page.find_subcommand(name) {
            Some(command) => command,
            None => {
                let known: Vec<_> = page.get_subcommands().map(clap::Command::get_name).collect();
                let problem =
                    Problem::new(format!("there is no command {} of {}", quote(name), page.get_name()));
                let problem = problem.help(did_you_mean(name, "commands", known));
                return refuse(&Refused::new(None, vec![problem]));
            }
        };
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).render(&mut text).expect("memory takes every page");
    print(&String::from_utf8_lossy(&text))
}

//! `simhost man`: the manual pages, made of the same declarations as the help.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use crate::error::{Problem, Refused, quote};

use super::{Cli, print, refuse};

#[derive(Debug, Args)]
pub struct Man {
    /// Print the page of this command [default: that of simhost itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,

    /// Write all pages into this folder instead, simhost.1, simhost-run.1 and so on
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

impl Man {
    pub fn execute(self) -> ExitCode {
        match (self.out, self.command) {
            (Some(folder), _) => write_all(&folder),
            (None, command) => print_one(command.as_deref()),
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

fn print_one(command: Option<&str>) -> ExitCode {
    let mut program = Cli::command();
    // Gives the commands the names that their pages have: simhost-run.
    program.build();
    let page = match command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                let names: Vec<_> = program.get_subcommands().map(clap::Command::get_name).collect();
                let problem = Problem::new(format!("there is no command {}", quote(name)));
                return refuse(&Refused::new(
                    None,
                    vec![problem.help(format!("one of {}", names.join(", ")))],
                ));
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).expect("memory takes every page");
    print(&String::from_utf8_lossy(&text))
}

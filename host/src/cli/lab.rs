//! `simhost lab`: exercises that check themselves.

mod check;
mod develop;
mod folder;
mod grade;
mod list;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::{Problem, Refused};
use crate::lab::catalogue::{self, Lab};
use crate::lab::state::State;
use crate::run::RunEvent;
use crate::run::signals::INTERRUPTED;

use super::refuse;
use super::tell::tell;

#[derive(Debug, Args)]
pub struct Labs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the labs, and how far you are in those of this folder
    List(list::List),
    /// Write the files of a lab into a new folder
    Start(folder::Start),
    /// Write the telemetry of the system that a lab is about, where its topology is hidden
    Record(folder::Record),
    /// Judge what you have done, over several seeds
    Check(check::Check),
    /// Draw the trace that shows why the last check has failed
    Show(check::Show),
    /// Check again whenever a file is saved
    Watch(watch::Watch),
    /// Give the next hint
    Hint(folder::Hint),
    /// Show the solution, with an explanation
    Reveal(folder::Reveal),
    /// Write the starter again; your files are moved aside
    Reset(folder::Reset),
    /// For teachers: check many submissions, each in a process of its own
    Grade(grade::GradeAll),
    /// For the authors of labs
    Dev(develop::Dev),
}

impl Labs {
    pub fn execute(self) -> ExitCode {
        let done = match self.command {
            Command::List(list) => list.execute(),
            Command::Start(start) => start.execute(),
            Command::Record(record) => record.execute(),
            Command::Check(check) => check.execute(),
            Command::Show(show) => show.execute(),
            Command::Watch(watch) => watch.execute(),
            Command::Hint(hint) => hint.execute(),
            Command::Reveal(reveal) => reveal.execute(),
            Command::Reset(reset) => reset.execute(),
            Command::Grade(grade) => grade.execute(),
            Command::Dev(dev) => dev.execute(),
        };
        done.unwrap_or_else(|refused| refuse(&refused))
    }
}

/// The folder of a lab, and the lab that it is of.
#[derive(Clone, Debug, Args)]
struct Folder {
    /// The folder of the lab
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,

    /// Which lab it is: a number, an id or a folder [default: as the folder says]
    #[arg(long, value_name = "LAB")]
    lab: Option<String>,
}

impl Folder {
    /// The lab, and what is remembered of it. The folder may have lost its state: then its name says which
    /// lab it is.
    fn open(&self) -> Result<(Lab, State), Refused> {
        if !self.folder.is_dir() {
            let problem = Problem::new(format!("there is no folder {}", self.folder.display()));
            let help = "`simhost lab start NAME` makes one, `simhost lab list` has the names";
            return Err(refused(problem.help(help)));
        }
        let state = State::read(&self.folder);
        let remembered =
            state.as_ref().map(|state| state.origin.clone().unwrap_or_else(|| state.lab.clone()));
        let whole = self.folder.canonicalize().unwrap_or_default();
        let named = whole.file_name().map(|name| name.to_string_lossy().into_owned());
        let lab = match self.lab.clone().or(remembered) {
            Some(name) => catalogue::find(&name)?,
            None => catalogue::find(&named.unwrap_or_default()).map_err(|_| {
                let problem = Problem::new(format!("{} is no folder of a lab", self.folder.display()));
                let help = "go to the folder that `simhost lab start` made, or name the lab with --lab";
                refused(problem.help(help))
            })?,
        };
        let state = state.unwrap_or_else(|| State { lab: lab.manifest.id.clone(), ..State::default() });
        Ok((lab, state))
    }
}

fn refused(problem: Problem) -> Refused {
    Refused::new(None, vec![problem])
}

/// A check that was stopped has no result.
fn tell_or_quit(event: RunEvent) {
    match event {
        RunEvent::Draining => std::process::exit(INTERRUPTED),
        RunEvent::Compiling { .. } => tell(event),
        _ => {}
    }
}

//! `simhost lab`: exercises that check themselves.

mod check;
mod develop;
mod folder;
mod grade;
mod line;
mod list;
mod next;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::{Problem, Refused, quote};
use crate::lab::catalogue::{self, Lab};
use crate::lab::state::{self, State};
use crate::lab::told::{Step, Told};
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
        self.is_there()?;
        let state = State::read(&self.folder)?;
        let lab = match (&self.lab, &state) {
            (Some(name), None) => self.holding(catalogue::find(name)?)?,
            (Some(name), Some(_)) => catalogue::find(name)?,
            (None, Some(state)) => self.remembered(state.origin.as_ref().unwrap_or(&state.lab))?,
            (None, None) => self.named()?,
        };
        let state = state.unwrap_or_else(|| State { lab: lab.manifest.id.clone(), ..State::default() });
        Ok((lab, state))
    }

    /// The lab alone. What a state file says does not count.
    fn open_unread(&self) -> Result<Lab, Refused> {
        self.is_there()?;
        self.lab.as_ref().map_or_else(|| self.named(), |name| catalogue::find(name))
    }

    fn is_there(&self) -> Result<(), Refused> {
        if self.folder.is_dir() {
            return Ok(());
        }
        let problem = Problem::new(format!("there is no folder {}", self.folder.display()));
        let name = self.folder.to_str();
        let meant = name.map(|name| next::started(Path::new("."), Some(name))).unwrap_or_default();
        let lab = name.and_then(|name| catalogue::find(name).ok());
        let help = match (meant.as_slice(), lab) {
            ([meant, ..], _) => format!("did you mean {meant}?"),
            ([], Some(lab)) if is_of(&lab, Path::new(".")) => {
                "this is the folder of that lab: leave its name out".to_owned()
            }
            ([], Some(lab)) => format!("`simhost lab start {}` makes one", lab.folder),
            ([], None) => "`simhost lab start NAME` makes one, `simhost lab list` has the names".to_owned(),
        };
        Err(refused(problem.help(help)))
    }

    /// The lab, if the folder has a file of it: nothing is remembered elsewhere.
    fn holding(&self, lab: Lab) -> Result<Lab, Refused> {
        if lab.starter().keys().any(|path| self.folder.join(path).exists()) {
            return Ok(lab);
        }
        let (folder, id) = (self.folder.display(), &lab.manifest.id);
        let problem = Problem::new(format!("{folder} has no file of the lab {}", quote(id)));
        Err(refused(problem.help(self.remedy(Some(id)))))
    }

    /// What to do in a folder that is none of a lab: where labs are, or how to begin this one.
    fn remedy(&self, id: Option<&str>) -> String {
        let beside = next::started(&self.folder, id);
        match (beside.as_slice(), id) {
            ([], Some(id)) => format!("`simhost lab start {id}` writes them into a folder"),
            ([], None) => "go to the folder that `simhost lab start` made, or name it".to_owned(),
            (folders, _) => format!("go to the lab's folder, or name it: {}", folders.join(", ")),
        }
    }

    /// The lab that the name of the folder says.
    fn named(&self) -> Result<Lab, Refused> {
        let whole = self.folder.canonicalize().unwrap_or_default();
        let name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
        catalogue::find(&name.unwrap_or_default()).map_err(|_| {
            let problem = Problem::new(format!("{} is no folder of a lab", self.folder.display()));
            refused(problem.help(self.remedy(None)))
        })
    }

    /// The lab that the state names.
    fn remembered(&self, name: &str) -> Result<Lab, Refused> {
        catalogue::find(name).map_err(|wrong| {
            // Of a folder that is there, its manifest is wrong.
            if Path::new(name).is_dir() {
                return wrong;
            }
            let file = quote(&self.folder.join(state::FILE).display().to_string());
            let problem = Problem::new(format!("{file} names the lab {}, which is not there", quote(name)));
            refused(problem.help("name the lab with --lab: its number, its id, or its folder"))
        })
    }
}

/// Whether a folder says that it is of this lab.
fn is_of(lab: &Lab, folder: &Path) -> bool {
    State::read(folder).ok().flatten().is_some_and(|state| state.lab == lab.manifest.id)
}

fn refused(problem: Problem) -> Refused {
    Refused::new(None, vec![problem])
}

/// Who is told of a command that takes no long time: of the events of its runs alone.
fn quiet() -> Told {
    Told::new(|step| {
        if let Step::Run(event) = step {
            tell_or_quit(event);
        }
    })
}

/// A check that was stopped has no result.
fn tell_or_quit(event: RunEvent) {
    match event {
        RunEvent::Draining => crate::files::end_program(INTERRUPTED),
        RunEvent::Compiling { .. } => tell(event),
        _ => {}
    }
}

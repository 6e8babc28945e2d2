//! What is remembered of a lab in the student's folder. It says nothing that a result depends on but which
//! lab it is and its salt, so that it may be lost.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Problem, Refused, quote};
use crate::files::Unreadable;

use super::files;
use super::score::Failures;

/// Its file.
pub const FILE: &str = ".simhost-lab.json";

/// A larger one is none of ours.
const FILE_AT_MOST: u64 = 64 << 10;

/// The state of a lab in a student's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct State {
    pub note: String,
    /// The id of the lab.
    pub lab: String,
    /// The folder of a lab that is no part of the program.
    pub origin: Option<String>,
    /// Of simhost, when the lab was started.
    pub version: String,
    pub salt: String,
    /// Instants, in UTC.
    pub started: Option<String>,
    pub checked: Option<String>,
    pub solved: Option<String>,
    pub revealed: Option<String>,
    pub attempts: u32,
    pub hints: u32,
    /// What has failed, where guessing has a price.
    pub failures: Failures,
    /// What the last check failed by.
    pub last: Option<Last>,
}

/// The failure that the last check has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Last {
    pub check: String,
    pub seed: u64,
    /// Faults that were on, if the check says which.
    pub faults: Option<Vec<String>>,
    pub trace: Option<String>,
}

/// How far a student has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    Untouched,
    Begun,
    Solved,
}

impl Progress {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Untouched => "not started",
            Self::Begun => "started",
            Self::Solved => "solved",
        }
    }
}

impl State {
    /// The state in a folder; none if there is no file.
    ///
    /// # Errors
    /// It cannot be read, it is broken, or a later simhost has written it.
    pub fn read(folder: &Path) -> Result<Option<Self>, Refused> {
        let path = folder.join(FILE);
        let name = path.display().to_string();
        let refused = |problem: Problem| Refused::new(None, vec![problem.help(REMEDY)]);
        let bytes = match crate::files::read(&path, FILE_AT_MOST) {
            Ok(bytes) => bytes,
            Err(Unreadable::Missing) => return Ok(None),
            Err(reason) => {
                return Err(refused(Problem::new(format!("cannot read {}: {reason}", quote(&name)))));
            }
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| refused(Problem::new(format!("{} is not UTF-8 text", quote(&name)))))?;
        if text.trim().is_empty() {
            return Err(refused(Problem::new(format!("{} is empty", quote(&name)))));
        }
        let problem = match parse(&text) {
            Ok(state) => match state.doubt() {
                None => return Ok(Some(state)),
                Some(doubt) => Problem::new(format!("{} {doubt}", quote(&name))),
            },
            Err(problem) => problem,
        };
        Err(Refused::new(Some((&name, &text)), vec![problem.help(REMEDY)]))
    }

    /// Why it cannot be used, although it is well-formed.
    fn doubt(&self) -> Option<String> {
        if self.lab.is_empty() {
            return Some("names no lab".to_owned());
        }
        let ours = semver::Version::parse(env!("CARGO_PKG_VERSION")).expect("our version is one");
        match semver::Version::parse(&self.version) {
            // An older simhost, or a lab that was begun without `start`, has left it out.
            _ if self.version.is_empty() => None,
            Ok(theirs) if (theirs.major, theirs.minor) > (ours.major, ours.minor) => {
                Some(format!("was written by simhost {theirs}, and this is simhost {ours}"))
            }
            Ok(_) => None,
            Err(_) => Some(format!("has {} as its version, which is none", quote(&self.version))),
        }
    }

    /// Changes it, and nobody else's change is lost. Where it is gone, `opened` is changed.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn update(folder: &Path, opened: Self, change: impl FnOnce(&mut Self)) -> Result<(), Refused> {
        let _lock = lock(folder);
        let mut state = Self::read(folder)?.unwrap_or(opened);
        change(&mut state);
        state.write(folder).map_err(|problem| Refused::new(None, vec![problem]))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn write(&self, folder: &Path) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(self).expect("a state has only keys that are strings");
        files::write_whole(&folder.join(FILE), format!("{text}\n").as_bytes())
    }

    pub const fn progress(&self) -> Progress {
        if self.solved.is_some() { Progress::Solved } else { Progress::Begun }
    }
}

/// What to do about a file that cannot be used.
const REMEDY: &str = "start the lab again into another folder, with your --salt if you have one, and copy the file \
                      from there; or remove it if you have no salt";

fn parse(text: &str) -> Result<State, Problem> {
    let broken = |what: &str, place: Range<usize>| {
        Problem::new(format!("the state of the lab {what}")).at(place, "here")
    };
    // Of a list the fields would be taken one after the other.
    let read = serde_json::from_str::<serde_json::Value>(text).and_then(|value| match value {
        serde_json::Value::Object(_) => serde_json::from_str(text).map(Some),
        _ => Ok(None),
    });
    match read {
        Ok(Some(state)) => Ok(state),
        Ok(None) => Err(broken("is no JSON object", 0..1)),
        Err(error) => {
            let message = error.to_string();
            let what = message.split(" at line ").next().unwrap_or(&message);
            Err(broken(&format!("is broken: {what}"), place(text, error.line(), error.column())))
        }
    }
}

/// A character of a text by its line and column, from 1, as bytes.
fn place(text: &str, line: usize, column: usize) -> Range<usize> {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = (before + column.saturating_sub(1)).min(text.len().saturating_sub(1));
    let start = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    start..start + text[start..].chars().next().map_or(0, char::len_utf8)
}

/// Holds the folder of a student until it is dropped. Where the system locks no folders, nobody waits.
fn lock(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    folder.lock().ok().map(|()| folder)
}

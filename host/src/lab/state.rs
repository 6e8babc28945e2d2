//! What is remembered of a lab in the student's folder. It says nothing that a result depends on but which
//! lab it is and its salt, so that it may be lost.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Problem;

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
    /// The state in a folder; none if there is no file, or one that is broken.
    pub fn read(folder: &Path) -> Option<Self> {
        let bytes = crate::files::read(&folder.join(FILE), FILE_AT_MOST).ok()?;
        serde_json::from_slice(&bytes).ok()
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

//! `simhost lab grade`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::error::{Problem, Refused, printable};
use crate::lab::catalogue;
use crate::lab::files;
use crate::lab::grade::{Grade, Grading, csv, submissions};
use crate::model::Nanos;

use super::super::{length, say, writable, write};
use super::check::seeds;
use super::refused;

#[derive(Debug, Args)]
pub struct GradeAll {
    /// A folder with a folder for each submission
    submissions: PathBuf,

    /// The lab: a number, an id or a folder
    #[arg(long, value_name = "LAB")]
    lab: String,

    /// A table with a row `folder,salt` for each submission [default: no salt]
    #[arg(long, value_name = "FILE")]
    salt_from: Option<PathBuf>,

    /// Write the table of grades to this file; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,

    /// Write the result of each submission into this folder, which is made
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,

    /// Seeds to check at
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = seeds)]
    seeds: usize,

    /// How long the check of one submission may take, in reality
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = length)]
    time: Nanos,

    /// Memory that the check of one submission may take: MiB
    #[arg(long, value_name = "MIB", default_value_t = 2_048, value_parser = mebibytes())]
    memory: u64,
}

impl GradeAll {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let lab = catalogue::find(&self.lab)?;
        let salts = self.salt_from.as_deref().map(files::read_text).transpose().map_err(refused)?;
        writable(Some(&self.out))?;
        self.results.as_deref().map_or(Ok(()), can_take_results).map_err(refused)?;
        let found = submissions(&self.submissions, salts.as_deref());
        let found = found.map_err(|problems| Refused::new(None, problems))?;
        if found.is_empty() {
            let problem = Problem::new(format!("{} has no folders", self.submissions.display()));
            return Err(refused(problem.help("put each submission into a folder of its own")));
        }
        let program = std::env::current_exe();
        let program =
            program.map_err(|error| refused(Problem::new(format!("cannot find simhost: {error}"))))?;
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let grading = Grading {
            program,
            lab: self.lab,
            max: lab.manifest.points(),
            names: lab.starter().keys().filter_map(|path| Some(path.split('/').next()?.to_owned())).collect(),
            seeds: self.seeds,
            time: Duration::from_nanos(self.time),
            memory: self.memory << 20,
            // Each check runs its seeds side by side.
            at_once: processors.div_ceil(2),
        };
        let grades = grading.grade(&found, |grade| {
            say(&format!("{}: {} of {}\n", printable(&grade.name), grade.score, grade.max));
        });
        if let Some(folder) = &self.results {
            results(&grades, folder).map_err(refused)?;
        }
        Ok(write(&csv(&grades), Some(&self.out)))
    }
}

/// Makes the folder of the results, and sees whether a file can be written there.
fn can_take_results(folder: &Path) -> Result<(), Problem> {
    std::fs::create_dir_all(folder).map_err(|error| files::cannot("make", folder, &error))?;
    tempfile::tempfile_in(folder).map(drop).map_err(|error| files::cannot("write into", folder, &error))
}

/// A file for each submission that has a result.
fn results(grades: &[Grade], folder: &Path) -> Result<(), Problem> {
    for grade in grades {
        if let Some(result) = &grade.result {
            let text = serde_json::to_string_pretty(result).expect("a result is JSON");
            files::write_whole(&folder.join(format!("{}.json", grade.name)), format!("{text}\n").as_bytes())?;
        }
    }
    Ok(())
}

/// Memory that a check needs at least, and the most that one may be granted.
fn mebibytes() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(64..=1_048_576)
}

//! `simhost lab grade`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::error::{Problem, Refused, printable};
use crate::lab::catalogue;
use crate::lab::files;
use crate::lab::grade::{Grade, Grading, Outcome, csv};
use crate::lab::submissions::{Salts, submissions};
use crate::model::Nanos;
use crate::report::words::counted;

use super::super::{complain, length, say, writable, write};
use super::check::seeds;
use super::refused;

/// Bytes of a file's name: what Linux, macOS and Windows allow.
const FILE_NAME_AT_MOST: usize = 255;

/// Bytes of the digest in the name of a file.
const DIGEST_BYTES: usize = 8;

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
        let salts = self.salts()?;
        writable(Some(&self.out))?;
        self.results.as_deref().map_or(Ok(()), can_take_results).map_err(refused)?;
        let found = submissions(&self.submissions, salts).map_err(refused)?;
        for note in &found.notes {
            complain("note", note, None);
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
        let grades = grading.grade(&found.submissions, |grade| say(&progress(grade)));
        // The table first: a result that cannot be written must not cost the others.
        let written = write(&csv(&grades), Some(&self.out));
        let left = grades.iter().filter(|grade| matches!(grade.outcome, Outcome::NotGraded(_))).count();
        if left > 0 {
            let what = format!("{left} of {} not graded", counted(grades.len() as u64, "submission"));
            complain("error", &what, Some("their rows say why: mend that, and give the command again"));
        }
        if let Some(folder) = &self.results {
            let refused =
                |problems| Refused::new(None, problems).after("not all results are written".to_owned());
            results(&grades, folder).map_err(refused)?;
        }
        Ok(if left > 0 && written == ExitCode::SUCCESS { ExitCode::FAILURE } else { written })
    }

    fn salts(&self) -> Result<Option<Salts>, Refused> {
        let Some(path) = &self.salt_from else { return Ok(None) };
        let text = files::read_text(path).map_err(refused)?;
        Salts::parse(&path.display().to_string(), &text).map(Some)
    }
}

/// What is said of a submission when it is done.
fn progress(Grade { name, max, outcome }: &Grade) -> String {
    match outcome {
        Outcome::Judged { score, .. } => format!("{name}: {score} of {max}\n"),
        Outcome::NotGraded(why) => printable(&format!("{name}: not graded: {why}\n")),
    }
}

/// Makes the folder of the results, and sees whether a file can be written there.
fn can_take_results(folder: &Path) -> Result<(), Problem> {
    std::fs::create_dir_all(folder).map_err(|error| files::cannot("make", folder, &error))?;
    tempfile::tempfile_in(folder).map(drop).map_err(|error| files::cannot("write into", folder, &error))
}

/// A file for each submission that has a result.
fn results(grades: &[Grade], folder: &Path) -> Result<(), Vec<Problem>> {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    grades.iter().for_each(|grade| *alike.entry(grade.name.to_lowercase()).or_default() += 1);
    let write = |grade: &Grade| {
        let Outcome::Judged { result: Some(result), .. } = &grade.outcome else { return Ok(()) };
        let text = serde_json::to_string_pretty(result).expect("a result is JSON");
        let name = file_name(&grade.name, alike[&grade.name.to_lowercase()] > 1);
        files::write_whole(&folder.join(name), format!("{text}\n").as_bytes())
    };
    let problems: Vec<_> = grades.iter().filter_map(|grade| write(grade).err()).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The file of a submission's result: its name, of which a digest stands for the end if it is too long. One
/// that differs from another by case alone has the digest too: not every disk tells such files apart.
fn file_name(name: &str, is_alike: bool) -> String {
    let whole = format!("{name}.json");
    if whole.len() <= FILE_NAME_AT_MOST && !is_alike {
        return whole;
    }
    let digest = Sha256::digest(name);
    let digest: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let end = format!("-{digest}.json");
    format!("{}{end}", &name[..name.floor_char_boundary(FILE_NAME_AT_MOST - end.len())])
}

/// Memory that a check needs at least, and the most that one may be granted.
fn mebibytes() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(64..=1_048_576)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_the_name_of_its_submission_as_far_as_a_file_may() {
        assert_eq!(file_name("ada", false), "ada.json");
        assert_eq!(file_name(&"a".repeat(250), false).len(), 255);
        let long = ["é".repeat(127) + "a", "é".repeat(127) + "b"].map(|name| file_name(&name, false));
        assert!(long.iter().all(|name| name.len() <= 255 && name.ends_with(".json")), "{long:?}");
        assert_ne!(long[0], long[1]);
    }
}

//! `simhost lab dev`: for the authors of labs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::{Problem, Refused, printable, quote};
use crate::lab::catalogue::{self, Lab};
use crate::lab::develop::examine;
use crate::report::words::counted;

use super::super::{print, refuse};
use super::check::seeds;
use super::quiet;

#[derive(Debug, Args)]
pub struct Dev {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prove a lab: the starter fails, the solution passes, each wrong answer is caught
    Check(DevCheck),
}

#[derive(Debug, Args)]
struct DevCheck {
    /// Folders of labs, or of folders of labs
    #[arg(default_value = ".", value_name = "FOLDER")]
    folders: Vec<PathBuf>,

    /// Only this lab of the folders, by its folder's name
    #[arg(long, value_name = "NAME")]
    lab: Option<String>,

    /// Seeds to check at, without a salt and again with one
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = seeds)]
    seeds: usize,

    /// The salt of the second half: seeds, names and recordings follow from it
    #[arg(long, value_name = "TEXT", default_value = "dev check", value_parser = salt)]
    salt: String,
}

fn salt(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("write a text that is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

impl Dev {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let Command::Check(check) = self.command;
        check.execute()
    }
}

impl DevCheck {
    fn execute(self) -> Result<ExitCode, Refused> {
        let mut bad = 0;
        for path in self.labs()? {
            let done = catalogue::of_folder(&path).and_then(|lab| self.examine(&lab));
            match done {
                Ok(is_good) => bad += u32::from(!is_good),
                Err(refused) => {
                    refuse(&refused);
                    print(&format!("{}: it cannot be judged\n", path.display()));
                    bad += 1;
                }
            }
        }
        Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn examine(&self, lab: &Lab) -> Result<bool, Refused> {
        let findings = examine(lab, self.seeds, &self.salt, &quiet())?;
        let is_good = findings.problems.is_empty();
        let mut text = format!(
            "{}: {}, the longest of {} took {:.1} s\n",
            lab.folder,
            if is_good { "good".to_owned() } else { counted(findings.problems.len() as u64, "problem") },
            counted(findings.checks.into(), "check"),
            findings.longest.as_secs_f64()
        );
        text.extend(findings.problems.iter().map(|problem| format!("  - {}\n", printable(problem))));
        print(&text);
        Ok(is_good)
    }

    /// The folders of labs that are asked for.
    fn labs(&self) -> Result<Vec<PathBuf>, Refused> {
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for folder in &self.folders {
            let labs = below(folder);
            if labs.is_empty() {
                let problem = Problem::new(format!("{} has no lab", folder.display()));
                problems.push(problem.help("name a folder with a lab.toml, or one with folders of labs"));
            }
            all.extend(labs);
        }
        if let Some(name) = self.lab.as_deref().filter(|_| problems.is_empty()) {
            let first = all.first().map(|lab| folder_name(lab));
            all.retain(|lab| folder_name(lab) == name);
            if let Some(first) = first.filter(|_| all.is_empty()) {
                let problem = Problem::new(format!("the folders have no lab {}", quote(name)));
                problems.push(problem.help(format!("name the folder of a lab, as in --lab {first}")));
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(Refused::new(None, problems)) }
    }
}

/// The lab of this folder, or those in it.
fn below(folder: &Path) -> Vec<PathBuf> {
    let is_lab = |path: &PathBuf| path.join("lab.toml").is_file();
    let folder = folder.to_owned();
    if is_lab(&folder) {
        return vec![folder];
    }
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut labs: Vec<_> = entries.map(|entry| entry.path()).filter(is_lab).collect();
    labs.sort();
    labs
}

/// What a folder is called, also where it is named as `.`.
fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize();
    let name = whole.as_deref().unwrap_or(folder).file_name();
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

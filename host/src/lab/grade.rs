//! `simhost lab grade`: many submissions, each checked in a process of its own, bounded in time and memory.
//!
//! A guest of a submission is contained twice: as any guest of a run (fuel, memory, no files, no network),
//! and by its process, which is ended when it takes too long or too much.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clock::{self, Stopwatch};
use crate::error::{Problem, quote};

use super::files;

/// Submissions of one command.
const SUBMISSIONS_AT_MOST: usize = 10_000;

/// Bytes of what a check may print.
const PRINTED_AT_MOST: u64 = 4 << 20;

/// How often the memory of a check is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The folder that archives of a Mac have beside their files.
const MADE_BY_MACOS: &str = "__MACOSX";

/// Characters of a reason in the table.
const REASON_AT_MOST: usize = 400;

/// What is graded, and within which bounds.
#[derive(Clone, Debug)]
pub struct Grading {
    /// The program that checks: this one.
    pub program: PathBuf,
    pub lab: String,
    /// Its points.
    pub max: u32,
    /// What `start` writes beside each other: the names of files and folders.
    pub names: BTreeSet<String>,
    pub seeds: usize,
    /// Of one submission.
    pub time: Duration,
    /// Resident memory of one submission: bytes.
    pub memory: u64,
    /// Submissions that are checked at a time.
    pub at_once: usize,
}

/// A folder that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The name of its folder.
    pub name: String,
    pub folder: PathBuf,
    /// What its hidden seeds and its names follow from; none if nobody said it.
    pub salt: Option<String>,
}

/// The result of one submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    pub name: String,
    pub score: f64,
    pub max: f64,
    pub solved: bool,
    /// Why it is not more.
    pub reason: String,
    /// The result in full; none if there is none.
    pub result: Option<Value>,
}

/// The folders below a folder, with their salts: a row `folder,salt` for each.
///
/// # Errors
/// The folder cannot be read, has too many, or a row names a folder that is not there.
pub fn submissions(folder: &Path, salts: Option<&str>) -> Result<Vec<Submission>, Vec<Problem>> {
    let one = |problem| vec![problem];
    let mut salts = match salts {
        Some(text) => Some(names(text)?),
        None => None,
    };
    let entries = fs::read_dir(folder).map_err(|error| one(files::cannot("read", folder, &error)))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| one(files::cannot("read", folder, &error)))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A file beside the folders is none of them; a link may be, and is refused later.
        if name.starts_with('.') || entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let salt = match &mut salts {
            Some(salts) => salts.remove(&name),
            None => Some(String::new()),
        };
        found.push(Submission { name, folder: entry.path(), salt });
    }
    if found.len() > SUBMISSIONS_AT_MOST {
        let what = format!("{} has {} folders", quote(&folder.display().to_string()), found.len());
        return Err(one(Problem::new(what).help(format!("grade {SUBMISSIONS_AT_MOST} at a time, at most"))));
    }
    // Who has handed nothing in is in the table too.
    let missing = salts.into_iter().flatten();
    found.extend(missing.map(|(name, salt)| {
        let folder = folder.join(&name);
        Submission { name, folder, salt: Some(salt) }
    }));
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// Rows `folder,salt`, below a head.
fn names(text: &str) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let (mut names, mut problems) = (BTreeMap::new(), Vec::new());
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() || at == 0 && line.trim() == "folder,salt" {
            continue;
        }
        let is_folder =
            |name: &str| !name.is_empty() && name != ".." && name != "." && !name.contains(['/', '\\']);
        match row(line).as_slice() {
            [folder, salt] if is_folder(folder) => {
                if names.insert(folder.clone(), salt.clone()).is_some() {
                    problems.push(Problem::new(format!("line {}: {} is there twice", at + 1, quote(folder))));
                }
            }
            _ => problems.push(
                Problem::new(format!("line {} is no row of a folder and a salt", at + 1))
                    .help("write the name of a folder, a comma, and its salt"),
            ),
        }
    }
    if problems.is_empty() { Ok(names) } else { Err(problems) }
}

/// The cells of a line of CSV (RFC 4180), which are in quotes or not.
fn row(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            c => cell.push(c),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

impl Grading {
    /// Grades all, several at a time, in their order; `told` hears of each when it is done.
    pub fn grade(&self, submissions: &[Submission], told: impl Fn(&Grade) + Sync) -> Vec<Grade> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((at, submission)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                submissions.get(at).map(|submission| (at, submission))
            } {
                let grade = self.one(submission);
                told(&grade);
                done.push((at, grade));
            }
            done
        };
        let mut done: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.at_once.max(1)).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().flat_map(join).collect()
        });
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, grade)| grade).collect()
    }

    fn one(&self, submission: &Submission) -> Grade {
        let nothing = |reason: String| Grade {
            name: submission.name.clone(),
            score: 0.0,
            max: f64::from(self.max),
            solved: false,
            reason,
            result: None,
        };
        let Some(salt) = &submission.salt else {
            return nothing("the table of salts has no row for it".to_owned());
        };
        match fs::symlink_metadata(&submission.folder) {
            Ok(about) if about.is_symlink() => {
                return nothing("it is a symbolic link, not a folder".to_owned());
            }
            Ok(_) => {}
            Err(_) => return nothing("nothing was handed in".to_owned()),
        }
        match self.check(&unwrapped(&submission.folder, &self.names), salt) {
            Ok(result) => Grade {
                name: submission.name.clone(),
                score: result["score"].as_f64().unwrap_or(0.0),
                max: result["max"].as_f64().unwrap_or(0.0),
                solved: result["solved"].as_bool().unwrap_or(false),
                reason: reason(&result),
                result: Some(result),
            },
            Err(reason) => nothing(reason),
        }
    }

    /// The result of a check in a process of its own.
    fn check(&self, folder: &Path, salt: &str) -> Result<Value, String> {
        let mut child = Command::new(&self.program)
            .args(["lab", "check", "--graded", "--format", "json", "--lab", &self.lab])
            .args(["--seeds", &self.seeds.to_string(), "--salt", salt])
            .arg("--")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("the check cannot be started: {error}"))?;
        let (printed, ended) = mpsc::channel();
        let stdout = child.stdout.take();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(PRINTED_AT_MOST).read_to_end(&mut text).ok();
            }
            printed.send(text).ok();
        });
        let watch = Stopwatch::start();
        let text = loop {
            match ended.recv_timeout(LOOK) {
                Ok(text) => break text,
                Err(_) if watch.elapsed() > self.time => {
                    end(&mut child, reader);
                    let most = clock::show(clock::nanos(self.time));
                    return Err(format!("it was stopped: the check took longer than {most}"));
                }
                Err(_) if resident(child.id()).is_some_and(|bytes| bytes > self.memory) => {
                    end(&mut child, reader);
                    return Err(format!(
                        "it was stopped: the check took more than {} MiB",
                        self.memory >> 20
                    ));
                }
                Err(_) => {}
            }
        };
        // It has printed all: what is left of it is its end.
        let status = child.wait().map_err(|error| format!("the check cannot be waited for: {error}"))?;
        serde_json::from_slice(&text).map_err(|_| format!("the check ended without a result: {status}"))
    }
}

/// Where the files of a submission are: in its one folder, as archives have it, if no file of the lab is
/// beside that folder.
fn unwrapped(folder: &Path, names: &BTreeSet<String>) -> PathBuf {
    if names.iter().any(|name| fs::symlink_metadata(folder.join(name)).is_ok()) {
        return folder.to_owned();
    }
    let is_meant = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        !name.starts_with('.') && name != MADE_BY_MACOS
    };
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten().filter(is_meant);
    match (entries.next(), entries.next()) {
        (Some(one), None) if one.file_type().is_ok_and(|kind| kind.is_dir()) => one.path(),
        _ => folder.to_owned(),
    }
}

/// Ends a process and waits until it is gone.
fn end(child: &mut Child, reader: thread::JoinHandle<()>) {
    child.kill().ok();
    child.wait().ok();
    reader.join().ok();
}

/// Resident memory of a process in bytes; none where the system does not tell.
fn resident(process: u32) -> Option<u64> {
    // Pages: size, resident, … (Linux, "proc.rst").
    let pages = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

/// Why a result is not more, in one line.
fn reason(result: &Value) -> String {
    if let Some(error) = result["error"].as_str() {
        return error.to_owned();
    }
    if let Some(path) = result["frozen"]["path"].as_str() {
        return format!("{path} may not be changed");
    }
    let checks = result["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let failed =
        checks.iter().filter(|check| check["passed"] == false).filter_map(|check| check["name"].as_str());
    failed.collect::<Vec<_>>().join("; ")
}

/// The table of grades.
pub fn csv(grades: &[Grade]) -> String {
    let mut text = "folder,score,max,solved,reason\n".to_owned();
    for Grade { name, score, max, solved, reason, .. } in grades {
        let reason: String = reason.chars().take(REASON_AT_MOST).collect();
        let solved = if *solved { "yes" } else { "no" };
        text.push_str(&format!("{},{score},{max},{solved},{}\n", cell(name), cell(&reason)));
    }
    text
}

/// A cell in quotes. What a spreadsheet would take for a formula begins with an apostrophe.
fn cell(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_ends_where_it_should() {
        assert_eq!(cell("ada"), "\"ada\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("\t@SUM(1)\n"), "\"' @SUM(1) \"");
    }

    #[test]
    fn rows_of_salts_may_be_in_quotes() {
        let read = names("folder,salt\nada,s1\n\"bob, jr\",\"s \"\"2\"\"\"\n").expect("names");
        let wanted = [("ada".to_owned(), "s1".to_owned()), ("bob, jr".to_owned(), "s \"2\"".to_owned())];
        assert_eq!(read, wanted.into());
        assert_eq!(names("../x,s\nada\nbob,1\nbob,2\n").expect_err("wrong").len(), 3);
    }
}

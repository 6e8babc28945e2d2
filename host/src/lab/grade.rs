//! `simhost lab grade`: many submissions, each checked in a process of its own, bounded in time and memory.
//!
//! What is wrong with the machine or with the lab is no submission's fault: its row has no points then, and
//! not 0. A guest of a submission is contained twice: as any guest of a run (fuel, memory, no files, no
//! network), and by its process, which is ended when it takes too long or too much.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clock::{self, Stopwatch};
use crate::error::printable;

use super::files;
use super::submissions::{Handed, Submission, is_archive};

/// Bytes of what a check may print.
const PRINTED_AT_MOST: u64 = 4 << 20;

/// Bytes of what a check may tell beside it.
const TOLD_AT_MOST: u64 = 64 << 10;

/// The exit code of a check that has no result, for a reason that is none of the submission: of the machine,
/// or of the lab.
pub const UNJUDGED: u8 = 3;

/// How often the memory of a check is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How often a check is looked at that has printed its result, and has still to end.
const ENDING: Duration = Duration::from_millis(2);

/// Folders that a submission may be in, one in the other: those of an archive and of who has unpacked it.
const WRAPPED_AT_MOST: usize = 3;

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

/// The row of one submission.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// That of the submission.
    pub name: String,
    pub max: f64,
    pub outcome: Outcome,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Judged {
        score: f64,
        solved: bool,
        /// Why it is not more.
        reason: String,
        /// The result in full; none if there is none.
        result: Option<Value>,
    },
    /// Nothing can be said of it, for a reason that is none of the submission.
    NotGraded(String),
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
        let (max, name) = (f64::from(self.max), submission.name.clone());
        let (folder, salt) = match &submission.handed {
            Handed::In { folder, salt } => (folder, salt),
            Handed::WithoutSalt => {
                let outcome = Outcome::NotGraded("the table of salts has no row for it".to_owned());
                return Grade { name, max, outcome };
            }
            Handed::Not(why) => return Grade { name, max, outcome: Outcome::nothing(why) },
            Handed::Unready(why) => return Grade { name, max, outcome: Outcome::NotGraded(why.clone()) },
        };
        let checked = unwrapped(folder, &self.names).and_then(|folder| self.check(&folder, salt));
        match checked {
            Ok(result) => {
                let (score, solved) = (result["score"].as_f64(), result["solved"].as_bool());
                let outcome = Outcome::Judged {
                    score: score.unwrap_or(0.0),
                    solved: solved.unwrap_or(false),
                    reason: reason(&result),
                    result: Some(result),
                };
                Grade { name, max, outcome }
            }
            Err(outcome) => Grade { name, max, outcome },
        }
    }

    /// The result of a check in a process of its own.
    fn check(&self, folder: &Path, salt: &str) -> Result<Value, Outcome> {
        let not_graded = |why: String| Outcome::NotGraded(why);
        // A check that is ended removes nothing itself.
        let home = files::folder_for_a_while().map_err(|problem| not_graded(problem.message))?;
        let mut child = Command::new(&self.program)
            .env("TMPDIR", home.path())
            .args(["lab", "check", "--graded", "--format", "json", "--lab", &self.lab])
            .args(["--seeds", &self.seeds.to_string(), "--salt", salt, "--while-stdin-is-open"])
            .arg("--")
            .arg(folder)
            // Nothing is written there. It is open as long as this process lives, however that ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_graded(format!("the check cannot be started: {error}")))?;
        let (printed, told) =
            (read(child.stdout.take(), PRINTED_AT_MOST), read(child.stderr.take(), TOLD_AT_MOST));
        let watch = Stopwatch::start();
        // It has to print its result and to end within its time, whatever it waits for.
        let mut text = None;
        let status = loop {
            match &text {
                None => text = printed.recv_timeout(LOOK).ok(),
                Some(_) => thread::park_timeout(ENDING),
            }
            let ended = child.try_wait();
            match ended.map_err(|error| not_graded(format!("the check cannot be waited for: {error}")))? {
                Some(status) if text.is_some() => break status,
                _ if watch.elapsed() > self.time => {
                    let starved = starved(child.id(), self.time);
                    end(&mut child);
                    return Err(late(self.time, starved));
                }
                _ if resident(child.id()).is_some_and(|bytes| bytes > self.memory) => {
                    end(&mut child);
                    let most = self.memory >> 20;
                    return Err(Outcome::nothing(&format!(
                        "it was stopped: the check took more than {most} MiB"
                    )));
                }
                _ => {}
            }
        };
        let text = text.unwrap_or_default();
        let told = told.recv_timeout(self.time).map(|told| words(&told)).unwrap_or_default();
        if status.code() == Some(UNJUDGED.into()) {
            return Err(not_graded(told));
        }
        serde_json::from_slice(&text).map_err(|_| {
            let told = if told.is_empty() { told } else { format!(": {told}") };
            not_graded(format!("the check ended without a result, with {status}{told}"))
        })
    }
}

impl Outcome {
    fn nothing(why: &str) -> Self {
        Self::Judged { score: 0.0, solved: false, reason: why.to_owned(), result: None }
    }
}

/// Reads what a check writes, in a thread of its own.
fn read(pipe: Option<impl Read + Send + 'static>, most: u64) -> mpsc::Receiver<Vec<u8>> {
    let (done, bytes) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(pipe) = pipe {
            pipe.take(most).read_to_end(&mut text).ok();
        }
        done.send(text).ok();
    });
    bytes
}

/// What a check has told, in one line.
fn words(told: &[u8]) -> String {
    let text = String::from_utf8_lossy(told);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_start_matches("error: ").to_owned()
}

/// Where the files of a submission are: in its one folder, as archives have it, if no file of the lab is
/// beside that folder. Archives that are all there is have to be unpacked first.
fn unwrapped(folder: &Path, names: &BTreeSet<String>) -> Result<PathBuf, Outcome> {
    let mut at = folder.to_owned();
    for _ in 0..=WRAPPED_AT_MOST {
        if names.iter().any(|name| fs::symlink_metadata(at.join(name)).is_ok()) {
            return Ok(at);
        }
        let entries = fs::read_dir(&at).into_iter().flatten().flatten();
        let mut entries: Vec<_> = entries.take(files::FILES_AT_MOST + 1).collect();
        if entries.len() > files::FILES_AT_MOST {
            break;
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        let named = entries.iter().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry));
        let meant = named.filter(|(name, _)| !name.starts_with('.') && name != MADE_BY_MACOS);
        let of_kind = |entry: &fs::DirEntry| entry.file_type().ok();
        let (folders, files): (Vec<_>, Vec<_>) =
            meant.partition(|(_, entry)| of_kind(entry).is_some_and(|kind| kind.is_dir()));
        let is_packed = |(name, entry): &(String, &fs::DirEntry)| {
            is_archive(name) && of_kind(entry).is_some_and(|kind| kind.is_file())
        };
        match (folders.as_slice(), files.as_slice()) {
            ([(_, one)], _) => at = one.path(),
            ([], [(name, _), ..]) if files.iter().all(is_packed) => {
                let why = format!("unpack the archive {} in its folder first", printable(name));
                return Err(Outcome::NotGraded(why));
            }
            _ => break,
        }
    }
    Ok(folder.to_owned())
}

/// What came of a check that took too long. One that could hardly compute is none of the submission's fault.
fn late(most: Duration, starved: Option<Duration>) -> Outcome {
    let what = format!("it was stopped: the check took longer than {}", clock::show(clock::nanos(most)));
    match starved {
        None => Outcome::nothing(&what),
        Some(computed) => {
            let computed = clock::show(clock::nanos(computed));
            Outcome::NotGraded(format!(
                "{what}, and could compute for {computed} of it: the machine is busy, so give it more --time"
            ))
        }
    }
}

/// The processor time of a process, if it is less than half of the time that has passed: it has waited for
/// others then. A run in virtual time waits for nothing else.
pub fn starved(process: u32, passed: Duration) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    computed(&stat).filter(|computed| *computed < passed / 2)
}

/// The processor time in a line of `/proc/PID/stat` (Linux, proc.rst).
fn computed(stat: &str) -> Option<Duration> {
    // The name of the program is in brackets, and may have blanks. Behind it the state is the third field.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map_while(|field| field.parse().ok()).collect();
    // A tick of this file is 10 ms on all machines.
    Some(Duration::from_millis(10) * u32::try_from(ticks.iter().sum::<u64>()).ok()?)
}

/// Ends a process and waits until it is gone.
fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
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
    for Grade { name, max, outcome } in grades {
        let (score, solved, reason) = match outcome {
            Outcome::Judged { score, solved, reason, .. } => {
                (score.to_string(), if *solved { "yes" } else { "no" }, reason.clone())
            }
            Outcome::NotGraded(why) => (String::new(), "", format!("not graded: {why}")),
        };
        let reason: String = reason.chars().take(REASON_AT_MOST).collect();
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
    fn who_could_not_compute_is_not_late() {
        let stat = "42 (sim) host) R 1 42 42 0 -1 4194304 100 0 0 0 1200 300 0 0 20 0 3 0 100 1 1";
        assert_eq!(computed(stat), Some(Duration::from_secs(15)));
        let late = |starved| match late(Duration::from_secs(120), starved) {
            Outcome::NotGraded(why) => why,
            Outcome::Judged { reason, .. } => format!("0 points: {reason}"),
        };
        assert_eq!(late(None), "0 points: it was stopped: the check took longer than 2m");
        assert!(late(Some(Duration::from_secs(15))).contains("could compute for 15s of it"));
    }

    #[test]
    fn a_cell_is_no_formula_and_ends_where_it_should() {
        assert_eq!(cell("ada"), "\"ada\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("\t@SUM(1)\n"), "\"' @SUM(1) \"");
    }
}

//! `simhost lab start` and what else writes a student's folder, or reads from the lab to him.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tempfile::TempPath;

use crate::clock;
use crate::error::{Problem, Refused, wrap};
use crate::files::Temporary;
use crate::lab::catalogue::{self, Lab};
use crate::lab::changes::changes;
use crate::lab::manifest::Kind;
use crate::lab::state::{self, State};
use crate::lab::{Bench, files, judge, prose};
use crate::telemetry::console::Style;
use crate::telemetry::console::text::moment;

use super::super::terminal::style;
use super::super::{complain, print, say};
use super::{Folder, next, quiet, refused};

/// What `record` writes.
const TELEMETRY: &str = "telemetry.jsonl";
const REPORT: &str = "report.txt";

/// Columns of the report: its tables have all their columns there.
const REPORT_WIDTH: u16 = 130;

#[derive(Debug, Args)]
pub struct Start {
    /// The lab: its number, its id, or the folder of a lab that you wrote
    lab: String,

    /// Write into this folder, which is made [default: of the lab's name, beside other labs]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,

    /// A text from your teacher: hidden seeds and the names of services follow from it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    salt: String,
}

#[derive(Debug, Args)]
pub struct Hint {
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Args)]
pub struct Reveal {
    #[command(flatten)]
    folder: Folder,

    /// Do not ask first
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub struct Reset {
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Args)]
pub struct Record {
    #[command(flatten)]
    folder: Folder,
}

impl Start {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let lab = catalogue::find(&self.lab)?.salted(&self.salt)?;
        // A lab in the folder of another one would be part of what is watched and handed in there.
        let is_in_another = Path::new(state::FILE).exists();
        let place =
            || if is_in_another { Path::new("..").join(&lab.folder) } else { PathBuf::from(&lab.folder) };
        let folder = self.into.unwrap_or_else(place);
        let state = State {
            note: "written by simhost lab; it may be lost, and nothing in it is worth editing".to_owned(),
            lab: lab.manifest.id.clone(),
            origin: lab.origin.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            salt: self.salt,
            started: now(),
            ..State::default()
        };
        let whole = folder.canonicalize().ok();
        if whole.is_some_and(|whole| lab.origin.as_deref() == Some(&*whole.to_string_lossy())) {
            let problem = Problem::new(format!("{} is the lab itself", folder.display()));
            return Err(refused(problem.help("name the folder of the student with --into")));
        }
        files::make_folder(&folder, &lab.starter()).map_err(refused)?;
        state.write(&folder).map_err(refused)?;
        let shown = folder.display();
        let manifest = &lab.manifest;
        let mut text = format!("{}\n", manifest.title);
        text.extend(manifest.objectives.iter().map(|objective| format!("  - {objective}\n")));
        text.push_str(&format!("\nabout {} minutes; the files are in {shown}\n\n", manifest.minutes));
        text.push_str(&format!("  cd {shown}\n  less README.md\n"));
        text.push_str(if manifest.record.is_some() { "  simhost lab record\n" } else { "" });
        text.push_str("  simhost lab check\n");
        Ok(print(&text))
    }
}

impl Hint {
    /// The next hint; when all were given, all of them again.
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, state) = self.folder.open()?;
        let lab = lab.salted(&state.salt)?;
        let hints = &lab.manifest.hints;
        let given = state.hints as usize;
        let shown = if given < hints.len() { given..given + 1 } else { 0..hints.len() };
        let width = usize::from(style().width);
        let mut text = String::new();
        for (at, hint) in hints.iter().enumerate().take(shown.end).skip(shown.start) {
            text.push_str(&format!("hint {} of {}\n{}\n\n", at + 1, hints.len(), wrap(hint.trim(), width)));
        }
        if hints.is_empty() {
            text.push_str("this lab has no hints\n");
        } else if shown.end == hints.len() {
            text.push_str("That was the last hint: `simhost lab reveal` shows the solution.\n");
        }
        let given = u32::try_from(shown.end).unwrap_or(u32::MAX);
        remember(&self.folder, state, |state| state.hints = state.hints.max(given));
        Ok(print(&text))
    }
}

impl Reveal {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, state) = self.folder.open()?;
        let is_due = state.solved.is_some() || state.revealed.is_some();
        if !is_due && !self.yes && !agreed()? {
            return Ok(print("nothing was shown\n"));
        }
        let lab = lab.salted(&state.salt)?;
        // A solution is shown beside a topology that cannot be read, too; the answers need a run of it.
        let printed = print(&solution(&lab, style()));
        let salt = state.salt.clone();
        remember(&self.folder, state, |state| state.revealed = state.revealed.take().or_else(now));
        let answers = answers(&lab, &salt, &self.folder)?;
        Ok(if printed == ExitCode::SUCCESS { print(&answers) } else { printed })
    }
}

/// The answers that are right for this student: those of the recording that the salt has drawn.
fn answers(lab: &Lab, salt: &str, folder: &Folder) -> Result<String, Refused> {
    if !lab.manifest.checks.iter().any(|check| matches!(check.kind, Kind::Answer(_))) {
        return Ok(String::new());
    }
    let bench = Bench::new(lab, salt, &folder.folder, &quiet())?;
    let right: String = bench.solution()?.iter().map(|line| format!("  {line}\n")).collect();
    Ok(format!("\nThe answers that are right for you:\n{right}"))
}

/// Whether the student wants to see the solution.
fn agreed() -> Result<bool, Refused> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let problem = Problem::new("the solution is shown only to who wants to see it");
        return Err(refused(problem.help("give --yes; that it was shown is noted")));
    }
    say("This shows the solution, and is noted. Go on? [y/N] ");
    let mut line = String::new();
    stdin.lock().read_line(&mut line).ok();
    Ok(["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()))
}

/// The explanation, and what the solution changes.
fn solution(lab: &Lab, style: Style) -> String {
    let explanation = lab.text("solution/EXPLANATION.md");
    let mut text = format!("{}\n", prose::fill(explanation.trim(), usize::from(style.width)).trim_end());
    let files = files::below(&lab.files, "solution");
    if files.is_empty() {
        "this copy of the lab has no solution\n".clone_into(&mut text);
    }
    for (path, bytes) in files {
        if path == "EXPLANATION.md" {
            continue;
        }
        let start = lab.files.get(&format!("start/{path}"));
        let both = (start.map(|start| std::str::from_utf8(start)), std::str::from_utf8(&bytes));
        let shown = match both {
            (None, Ok(new)) => changes("", new),
            (Some(Ok(start)), Ok(new)) => changes(start, new),
            _ => "the files differ, and are no text\n".to_owned(),
        };
        text.push_str(&format!("\n{path}:\n{shown}"));
    }
    text
}

impl Reset {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, state) = self.folder.open()?;
        let lab = lab.salted(&state.salt)?;
        // As at the start there is no recording: what the brief says can be done again.
        let recorded: &[&str] = if lab.manifest.record.is_some() { &[TELEMETRY, REPORT] } else { &[] };
        let aside = files::replace(&self.folder.folder, &lab.starter(), recorded).map_err(refused)?;
        Ok(print(&match aside {
            Some(name) => format!("the starter is back; your files are in {name}\n"),
            None => "the files are those of the starter\n".to_owned(),
        }))
    }
}

impl Record {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, state) = self.folder.open()?;
        let folder = &self.folder.folder;
        let lab = lab.salted(&state.salt)?;
        let has_report = lab.manifest.record.is_some_and(|record| record.report);
        let written: &[&str] = if has_report { &[TELEMETRY, REPORT] } else { &[TELEMETRY] };
        for name in written {
            let path = folder.join(name);
            if std::fs::symlink_metadata(&path).is_ok() {
                let problem = Problem::new(format!("{} is there already", path.display()));
                return Err(refused(
                    problem.help("a recording is the same every time; remove it to record again"),
                ));
            }
        }
        // Under another name until it is whole.
        let part = || TempPath::try_from_path(folder.join(format!(".{TELEMETRY}.part")));
        let cannot = |error| refused(files::cannot("write", &folder.join(TELEMETRY), &error));
        let part = Temporary::make(part).map_err(cannot)?;
        let style = Style { width: REPORT_WIDTH, ..Style::default() };
        let report = judge::record(&lab, &state.salt, &part, TELEMETRY, style, &quiet())?;
        let whole = part.settle(|part| part.persist(folder.join(TELEMETRY)));
        whole.map_err(|failed| cannot(failed.error))?;
        let mut text = format!("wrote {TELEMETRY} (traces, metrics, logs)");
        if has_report {
            files::write_whole(&folder.join(REPORT), report.as_bytes()).map_err(refused)?;
            text.push_str(&format!(" and {REPORT}\n\n{}  less -S {REPORT}\n", next::go(folder)));
        } else {
            text.push_str(&format!("\n\n{}", next::go(folder)));
        }
        Ok(print(&(text + &format!("  simhost traces {TELEMETRY} --slowest 1\n"))))
    }
}

/// Changes what is remembered, which is no reason to fail. `opened` is what it was.
pub fn remember(folder: &Folder, opened: State, change: impl FnOnce(&mut State)) {
    if let Err(refused) = State::update(&folder.folder, opened, change) {
        for problem in refused.problems() {
            complain("warning", &problem.message, problem.help.as_deref());
        }
    }
}

/// The instant, in UTC.
pub fn now() -> Option<String> {
    moment(clock::wall())
}

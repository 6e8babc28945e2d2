//! `simhost lab watch`: checks again whenever a file is saved.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::error::{Problem, Refused};
use crate::lab::catalogue;
use crate::lab::files::FILES_AT_MOST;
use crate::lab::state::State;

use super::super::{print, say};
use super::check::seeds;
use super::{Folder, refused};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub struct Watch {
    #[command(flatten)]
    folder: Folder,

    /// Seeds to check at
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = seeds)]
    seeds: usize,
}

/// When each file was changed, and how long it is.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Watch {
    pub fn execute(self) -> Result<ExitCode, Refused> {
        let (lab, _) = self.folder.open()?;
        let program = std::env::current_exe();
        let program =
            program.map_err(|error| refused(Problem::new(format!("cannot find simhost: {error}"))))?;
        let (keys, pressed) = mpsc::channel();
        // So that waiting for a key takes its time also when no one can press one: a signal ends the watch.
        let _kept = keys.clone();
        thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if keys.send(line).is_err() {
                    break;
                }
            }
        });
        let mut seen = Seen::new();
        loop {
            let now = look(&self.folder.folder);
            if now != seen {
                self.run(&program, &["check", "--seeds", &self.seeds.to_string()]);
                // What is saved while the check runs is judged by the next one.
                seen = now;
                say("watching; press h, c, n or q and Enter: a hint, check again, the next lab, quit\n");
            }
            if let Ok(line) = pressed.recv_timeout(LOOK) {
                match line.trim() {
                    "q" => return Ok(ExitCode::SUCCESS),
                    "h" => self.run(&program, &["hint"]),
                    "c" => seen.clear(),
                    "n" => drop(print(&next(&lab.folder))),
                    _ => say("h a hint, c check again, n the next lab, q quit\n"),
                }
            }
        }
    }

    /// Runs a command of this program on the folder. Each check is a process of its own, so that one that
    /// never ends can be stopped.
    fn run(&self, program: &Path, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.arg("lab").args(arguments);
        if let Some(lab) = &self.folder.lab {
            command.args(["--lab", lab]);
        }
        command.arg("--").arg(&self.folder.folder).stdin(std::process::Stdio::null());
        if let Err(error) = command.status() {
            say(&format!("error: the check cannot be started: {error}\n"));
        }
    }
}

/// The files of a folder and when they were changed, without what is hidden or built.
fn look(folder: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') || name == "target" || seen.len() >= FILES_AT_MOST {
                continue;
            }
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) => drop(seen.insert(entry.path(), (about.modified().ok(), about.len()))),
                Err(_) => {}
            }
        }
    }
    seen
}

/// How to start the lab behind this one.
fn next(folder: &str) -> String {
    let labs = catalogue::all().unwrap_or_default();
    let behind = labs.iter().skip_while(|lab| lab.folder != folder).nth(1);
    let begun = |lab: &&catalogue::Lab| State::read(Path::new("..").join(&lab.folder).as_path()).is_none();
    match behind.filter(begun) {
        Some(lab) => format!("next: {}\n  simhost lab start {}\n", lab.manifest.title, lab.folder),
        None => "simhost lab list has all labs\n".to_owned(),
    }
}

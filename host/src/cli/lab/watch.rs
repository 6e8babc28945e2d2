//! `simhost lab watch`: checks again whenever a file is saved, also while a check runs.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::error::{Problem, Refused};
use crate::lab::files::FILES_AT_MOST;

use super::super::{print, say};
use super::check::seeds;
use super::{Folder, next, refused};

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
        let mut check: Option<Child> = None;
        let mut is_asked = false;
        loop {
            let now = look(&self.folder.folder);
            if now != seen {
                // What was saved last is judged, and not what was there when the check began.
                if let Some(mut old) = check.take() {
                    old.kill().and_then(|()| old.wait()).ok();
                    wipe();
                    say(if is_asked {
                        "asked for: checking again\n"
                    } else {
                        "a file was saved: checking again\n"
                    });
                }
                is_asked = false;
                say("checking\n");
                check = self.spawn(&program, &["check", "--seeds", &self.seeds.to_string()]);
                seen = now;
            }
            if check.as_mut().is_some_and(|check| !matches!(check.try_wait(), Ok(None))) {
                check = None;
                say("watching; press h, c, n or q and Enter: a hint, check again, the next lab, quit\n");
            }
            if let Ok(line) = pressed.recv_timeout(LOOK) {
                match line.trim() {
                    "q" => {
                        if let Some(mut check) = check {
                            check.kill().and_then(|()| check.wait()).ok();
                            wipe();
                        }
                        return Ok(ExitCode::SUCCESS);
                    }
                    "h" => drop(self.spawn(&program, &["hint"]).map(|mut hint| hint.wait())),
                    "c" => {
                        seen.clear();
                        is_asked = true;
                    }
                    "n" => drop(print(&following(&self.folder.folder, &lab.folder))),
                    _ => say("h a hint, c check again, n the next lab, q quit\n"),
                }
            }
        }
    }

    /// Starts a command of this program on the folder. Each check is a process of its own, so that one that
    /// never ends can be stopped.
    fn spawn(&self, program: &Path, arguments: &[&str]) -> Option<Child> {
        let mut command = Command::new(program);
        command.arg("lab").args(arguments);
        if let Some(lab) = &self.folder.lab {
            command.args(["--lab", lab]);
        }
        command.arg("--").arg(&self.folder.folder).stdin(Stdio::null());
        command
            .spawn()
            .inspect_err(|error| say(&format!("error: the check cannot be started: {error}\n")))
            .ok()
    }
}

/// Takes the line of a check away that was stopped.
fn wipe() {
    if std::io::stderr().is_terminal() {
        say("\r\u{1b}[2K");
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

/// How to start the lab behind this one, whose files are in `folder`.
fn following(folder: &Path, name: &str) -> String {
    match next::behind(folder, name) {
        Some(lab) => format!("next: {}\n  simhost lab start {}\n", lab.manifest.title, lab.folder),
        None => "simhost lab list has all labs\n".to_owned(),
    }
}

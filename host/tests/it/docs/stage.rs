//! The commands of a page, and the folder in which they are played.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Block, root};
use crate::support::{Finished, METRICS, finish, simhost};

/// A command of a block, and what it shows below.
pub struct Step {
    pub command: String,
    pub shown: Vec<String>,
}

impl Step {
    pub fn fails(&self) -> bool {
        // The last one is of a lab that is not solved.
        let is_failure = |line: &String| {
            line.starts_with("error: ") || line.contains(" × ") || line.starts_with("not yet: ")
        };
        self.shown.iter().any(is_failure)
    }

    /// Says what of a finished command is not as it is shown.
    pub fn problem(&self, finished: &Finished) -> Option<String> {
        if (finished.code == Some(0)) == self.fails() {
            return Some(format!("its exit code is {:?}\n{}", finished.code, finished.stderr));
        }
        let mut said = finished.stdout.clone();
        if self.fails() {
            said.push_str(&finished.stderr);
        }
        difference(&said, &self.shown).map(|line| format!("it does not print\n{line}\nbut\n{said}"))
    }

    /// What is run in its place.
    pub fn short(&self) -> String {
        if !self.shown.is_empty() {
            return self.command.clone();
        }
        let words = self.command.split(' ').scan("", |before, word| {
            let is_long = *before == "--for" && word.ends_with(['m', 'h']);
            *before = word;
            Some(if is_long { "2s" } else { word })
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

pub fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
            (None, Some(step)) if goes_on => step.command.extend(["\n", line]),
            (None, Some(step)) => step.shown.push(line.to_owned()),
            (None, None) => panic!("line {}: a block begins with a command", block.line),
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

/// The folder in which a page is played.
pub struct Stage(tempfile::TempDir);

impl Stage {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        std::fs::create_dir(path.join("bin")).expect("a folder");
        let program = env!("CARGO_BIN_EXE_simhost");
        std::os::unix::fs::symlink(program, path.join("bin/simhost")).expect("a link");
        for name in ["topologies", "docs"] {
            std::os::unix::fs::symlink(root().join(name), path.join(name)).expect("a link");
        }
        Self(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file, if the block is an example that names one.
    pub fn write(&self, block: &Block) {
        if !["toml", "sql"].contains(&block.language.as_str()) {
            return;
        }
        let example = &block.text;
        let first = example.lines().next().unwrap_or_default();
        let named = |prefix, ending| {
            let rest: &str = first.strip_prefix(prefix)?;
            let (name, _) = rest.split_once(ending)?;
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            is_name.then(|| self.0.path().join(format!("{name}{ending}")))
        };
        if let Some(path) = named("# Add to ", ".toml") {
            let whole = std::fs::read_to_string(&path).expect("a file to add to") + example;
            std::fs::write(path, whole).expect("a file");
        } else if let Some(path) = named("# ", ".toml").or_else(|| named("-- ", ".sql")) {
            std::fs::write(path, example).expect("a file");
        }
    }

    /// A shell in the folder, with the program on its path.
    pub fn shell(&self, command: &str) -> Command {
        let mut path = OsString::from(self.0.path().join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut shell = Command::new("/bin/sh");
        let mut program = simhost();
        // As readers have it: with metrics.
        program.env_remove(METRICS);
        shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", path).current_dir(self.0.path()).args(["-c", command]);
        shell.stdin(Stdio::null());
        shell
    }

    /// Says what is not as it is shown.
    pub fn play(&self, step: &Step) -> Option<String> {
        step.problem(&finish(&mut self.shell(&step.short())))
    }
}

/// The first line that is shown and not printed in its place.
pub fn difference(said: &str, shown: &[String]) -> Option<String> {
    let said: Vec<_> = said.lines().collect();
    let (mut at, mut may_skip) = (0, shown.is_empty());
    for line in shown {
        if line == "…" {
            may_skip = true;
            continue;
        }
        let within = if may_skip { said.len() } else { (at + 1).min(said.len()) };
        let Some(found) = (at..within).find(|at| is_shown(said[*at], line)) else {
            return Some(line.clone());
        };
        (at, may_skip) = (found + 1, false);
    }
    (!may_skip && at < said.len()).then(|| format!("(the end, before {:?})", said[at]))
}

/// `…` stands for any text.
pub fn is_shown(said: &str, shown: &str) -> bool {
    let said = said.trim_end();
    if said == shown {
        return true;
    }
    let mut parts = shown.split('…');
    let Some(mut rest) = said.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(_) if part.is_empty() => rest = "",
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    shown.contains('…') && rest.is_empty()
}

/// The words behind `console`, or none where the block is no transcript.
pub fn marks(block: &Block) -> Option<Vec<&str>> {
    let mut words = block.language.split(',');
    (words.next() == Some("console")).then(|| words.collect())
}

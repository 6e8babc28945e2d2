//! The topologies that ship, and how each is run to be compared.
//!
//! `NAME.expected` beside `NAME.toml` opens with the command that printed the
//! rest of it, so that a reader can do the same; other tests run the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::simhost;

/// What a topology is run with that has no `.expected` yet.
const FLAGS: &str = "--virtual --compute 0 --for 10s --seed 7";

/// Opens a golden file.
const PROMPT: &str = "$ simhost run ";

/// Where the truth goes, beside whoever runs the command.
pub const TRUTH: [&str; 2] = ["--truth", "truth.jsonl"];

/// A topology that ships.
#[derive(Clone, Debug)]
pub struct Shipped {
    /// From the root of the repository, with `/`: `topologies/orders.toml`.
    pub name: String,
    pub path: PathBuf,
    /// The flags of the golden file, without [`TRUTH`].
    pub flags: Vec<String>,
    /// The golden file's command has [`TRUTH`]: what faults did is golden too.
    pub has_truth: bool,
}

impl Shipped {
    /// All of them, by name.
    pub fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        let mut folders = vec![root.join("topologies")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of topologies") {
                let path = entry.expect("a file").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "toml") {
                    found.push(Self::at(&root, path));
                }
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(!found.is_empty(), "no topology ships");
        found
    }

    fn at(root: &Path, path: PathBuf) -> Self {
        let name = path.strip_prefix(root).expect("it is in there").to_string_lossy().replace('\\', "/");
        let mut shipped = Self { name, path, flags: Vec::new(), has_truth: false };
        let golden = shipped.golden();
        let opening = format!("{PROMPT}{} ", shipped.name);
        let command = golden.lines().next().map_or(FLAGS, |line| {
            line.strip_prefix(&opening).unwrap_or_else(|| panic!("{line:?} does not open with {opening:?}"))
        });
        shipped.flags = words(command);
        shipped.has_truth = shipped.flags.ends_with(&TRUTH.map(str::to_owned));
        if shipped.has_truth {
            shipped.flags.truncate(shipped.flags.len() - TRUTH.len());
        }
        shipped
    }

    /// The same for another time.
    pub fn for_time(&self, time: &str) -> Self {
        let mut other = self.clone();
        let flag = other.flags.iter().position(|flag| flag == "--for").expect("the command has --for");
        time.clone_into(&mut other.flags[flag + 1]);
        other
    }

    /// The file with its report.
    pub fn expected(&self) -> PathBuf {
        self.path.with_extension("expected")
    }

    /// The file with what its faults did.
    pub fn truth(&self) -> PathBuf {
        self.path.with_extension("truth.jsonl")
    }

    /// What is in that file; nothing if there is none.
    pub fn golden(&self) -> String {
        std::fs::read_to_string(self.expected()).unwrap_or_default()
    }

    /// The command that the golden file opens with.
    pub fn command(&self) -> String {
        let quoted =
            |flag: &String| if flag.contains([' ', '"']) { format!("'{flag}'") } else { flag.clone() };
        let truth = if self.has_truth { &TRUTH[..] } else { &[] };
        let flags = self.flags.iter().map(quoted).chain(truth.iter().map(|word| (*word).to_owned()));
        format!("{PROMPT}{} {}", self.name, flags.collect::<Vec<_>>().join(" "))
    }

    /// `simhost` with the command's arguments, without [`TRUTH`]. Golden files have no metrics: their
    /// digests are those of spans and log records.
    pub fn run(&self) -> Command {
        let mut command = simhost();
        command.arg("run").arg(&self.path).args(&self.flags);
        command.env("OTEL_METRICS_EXPORTER", "none");
        command
    }
}

/// The words of a command; one with spaces has `'` around it.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

//! `simhost lab`: what students, teachers and authors of labs do, with small labs of the tests' own.

mod authors;
mod checks;
mod classroom;
mod documents;
mod folder;
mod manifest;
mod observation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Finished, finish, simhost};

/// Two services: the second one takes 30 ms, and its caller waits for 20 ms.
const TOPOLOGY: &str = r#"[topology]
name = "pages"

[services.shop]
guest = "service"
config.go = { route = "GET /pages", calls = "stock/items" }

[services.stock]
guest = "service"
workers = 1
config.work = "30ms"
config.go = { route = "GET /items" }

[[links]]
from = "shop"
to = "stock"
timeout = "20ms"

[[load]]
name = "users"
to = "shop"
request = { path = "/pages" }
arrivals = { constant = "5/s" }
"#;

/// What solves the lab.
const CHANGE: (&str, &str) = ("timeout = \"20ms\"", "timeout = \"200ms\"");

const HEAD: &str = r#"[lab]
id = "pages"
format = 1
title = "Pages that never come"
level = 2
minutes = 5
objectives = ["choose a timeout"]

[run]
topology = "topology.toml"
for = "2s"
seeds = [1]
"#;

const REST: &str = r#"
[frozen]
except = ["links.*.timeout"]

[[check]]
name = "pages come"
kind = "report"
metric = "load users error-share"
at-most = "10%"
weight = 3
say = "{got} of the pages fail at seed {seed}, and {want} may."

[[check]]
name = "same calls"
guard = true
kind = "edges"
as = "start"

[[hint]]
text = "Look at the link."

[[hint]]
text = "The callee takes 30 ms."

[[hint]]
text = "Write timeout = \"200ms\"."

[[wrong]]
name = "more-workers"
caught-by = "frozen"

[[wrong]]
name = "shorter"
caught-by = "pages come"
"#;

/// A folder for a test: a lab in `05-pages`, and what is made beside it.
struct Home(TempDir);

impl Home {
    /// With the lab of this page.
    fn new() -> Self {
        let home = Self::empty();
        home.write("05-pages/lab.toml", &format!("{HEAD}{REST}"));
        home.write("05-pages/README.md", "# Pages\n\nSee [the topology](topology.toml).\n");
        home.write("05-pages/start/topology.toml", TOPOLOGY);
        home.write("05-pages/solution/topology.toml", &TOPOLOGY.replace(CHANGE.0, CHANGE.1));
        home.write(
            "05-pages/solution/EXPLANATION.md",
            "# Why\n\nA timeout is longer than what it waits for.\n",
        );
        let more = TOPOLOGY.replace("workers = 1", "workers = 9");
        home.write("05-pages/wrong/more-workers/topology.toml", &more);
        home.write("05-pages/wrong/shorter/topology.toml", &TOPOLOGY.replace(CHANGE.0, "timeout = \"10ms\""));
        home
    }

    /// With a lab of this topology and these checks in place of the usual ones.
    fn with_checks(topology: &str, checks: &str) -> Self {
        let home = Self::empty();
        home.write("05-pages/lab.toml", &format!("{HEAD}{checks}"));
        home.write("05-pages/README.md", "# Pages\n");
        home.write("05-pages/start/topology.toml", topology);
        home
    }

    fn empty() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        fs::write(path, text).expect("it is written");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file")
    }

    /// Replaces a text that is there in a file.
    fn edit(&self, path: &str, (from, to): (&str, &str)) {
        let text = self.read(path);
        assert!(text.contains(from), "{text}");
        self.write(path, &text.replace(from, to));
    }

    /// `simhost lab …` in this folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = simhost();
        command.arg("lab").args(arguments).current_dir(self.0.path());
        command
    }

    fn lab(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Starts the lab into `mine`.
    fn start(&self) -> &Self {
        self.lab(&["start", "./05-pages", "--into", "mine"]).success();
        self
    }

    /// Checks `mine` at two seeds: the exit code, and the result.
    fn check(&self) -> (Option<i32>, Value) {
        let done = self.lab(&["check", "mine", "--seeds", "2", "--format", "json"]);
        (done.code, done.json())
    }
}

/// The check of this name in a result.
fn named<'a>(result: &'a Value, name: &str) -> &'a Value {
    let checks = result["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{result:#}"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A system in which `stock` takes longer from the first second to the third.
const FAULTY: &str = r#"[topology]
name = "pages"

[services.shop]
guest = "service"
config.go = { route = "GET /pages", calls = "stock/items" }

[services.stock]
guest = "service"
config.go = { route = "GET /items" }

[[load]]
name = "users"
to = "shop"
request = { path = "/pages" }
arrivals = { constant = "5/s" }

[[faults]]
name = "molasses"
kind = "latency"
delay = "300ms"
target = { service = "stock" }
when = { at = "1s", for = "2s" }
"#;

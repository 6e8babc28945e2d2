//! A topology in a file, and runs of it.

use std::path::PathBuf;
use std::process::Command;

use super::process::{Finished, finish, in_shell, simhost};

/// Computing takes no time, so that a guest that is built anew changes no time of a test.
pub const EXACT_RUN: &str = "\n[run]\ncompute = \"0\"\n";

/// A component of `guests/dist/`: `payment`, `tests/probe`.
pub fn guest(name: &str) -> String {
    format!("{}/../guests/dist/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

/// A topology in a file of its own, gone with this value.
pub struct Topology {
    folder: tempfile::TempDir,
    name: String,
    text: String,
}

impl Topology {
    /// The orders topology that ships, without the time that computing takes.
    pub fn orders() -> Self {
        let Self { name, text, .. } = Self::orders_as_it_ships();
        Self::new(&name, text)
    }

    /// The orders topology that ships.
    pub fn orders_as_it_ships() -> Self {
        let path = format!("{}/../topologies/orders.toml", env!("CARGO_MANIFEST_DIR"));
        Self::as_written("orders", std::fs::read_to_string(path).expect("the orders topology"))
    }

    /// Two probes, `front` at the door and `back` behind it.
    pub fn probe() -> Self {
        let text = format!(
            "\n[topology]\nname = \"probe\"\n\n[limits]\n\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"front\"\n\n\
             [network]\nlatency = \"300us\"\ntimer-slack = \"0s\"\n\n[services.front]\nguest = {probe:?}\nconfig = {{ next = \"back\" }}\n\n\
             [services.back]\nguest = {probe:?}\n\n",
            probe = guest("tests/probe")
        );
        Self::new("probe", text)
    }

    /// Adds the service `legacy`, a real server at `url`.
    pub fn with_legacy(self, url: &str) -> Self {
        self.with("[limits]", &format!("[services.legacy]\nurl = {url:?}\n"))
    }

    /// One in which times add up: computing takes none, unless the text says how long.
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let text = if text.contains("[run]") { text } else { text + EXACT_RUN };
        Self::as_written(name, text)
    }

    pub fn as_written(name: &str, text: impl Into<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let topology = Self { folder, name: name.to_owned(), text: text.into() };
        topology.write();
        topology
    }

    /// Puts `more` below the line `line`.
    pub fn with(mut self, line: &str, more: &str) -> Self {
        let line = format!("\n{line}\n");
        assert_eq!(self.text.matches(&line).count(), 1, "{line:?} is there once");
        self.text = self.text.replace(&line, &format!("{line}{more}\n"));
        self.write();
        self
    }

    fn write(&self) {
        std::fs::write(self.path(), &self.text).expect("a topology");
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.toml", self.name))
    }

    /// A file beside the topology.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `simhost run` of it with `arguments`, started in its folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = simhost();
        command.current_dir(self.folder.path());
        command.arg("run").arg(format!("{}.toml", self.name)).args(arguments);
        command
    }

    /// `simhost run` of it, started by a shell after `script`, such as `ulimit -n 16`.
    pub fn in_shell(&self, script: &str, arguments: &[&str]) -> Command {
        in_shell(script, &self.command(arguments))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Runs it in virtual time to its end; with the bytes of `--out`.
    pub fn records(&self, arguments: &[&str]) -> (Finished, String) {
        self.records_of(&mut self.command(arguments))
    }

    /// Runs `command` in virtual time. Returns how it ended and the records that it wrote.
    pub fn records_of(&self, command: &mut Command) -> (Finished, String) {
        let finished = finish(command.args(["--virtual", "--out", "records.jsonl"]));
        let records = std::fs::read_to_string(self.beside("records.jsonl"));
        let records = records.unwrap_or_else(|error| panic!("{error}, after {finished:?}"));
        (finished, records)
    }
}

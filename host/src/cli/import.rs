//! `simhost import`: a topology from recorded traces.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::error::{Problem, Refused};
use crate::files;
use crate::import::{self, Wanted};

use super::{REFUSED, complain, refuse, writable, write};

/// The topology's name where the traces come from standard input.
const NAMELESS: &str = "imported";

/// Endings of files that are no part of a topology's name.
const ENDINGS: [&str; 5] = [".gz", ".zst", ".jsonl", ".json", ".ndjson"];

#[derive(Debug, Args)]
pub struct Import {
    /// A file of OTLP JSON lines, as --out or the Collector's file exporter writes it, also compressed
    /// (.gz, .zst); - is standard input
    file: PathBuf,

    /// The file to write, in place of one that is there; - is standard output [default: -]
    #[arg(long, value_name = "TOPOLOGY")]
    out: Option<PathBuf>,

    /// The topology's name [default: that of FILE]
    #[arg(long, value_parser = crate::topology::name)]
    name: Option<String>,

    /// The seed of all chance in the topology's runs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::seed)]
    seed: u64,
}

impl Import {
    pub fn execute(self) -> ExitCode {
        let Self { file, out, name, seed } = self;
        if let Err(refused) = not_over(&file, out.as_deref()).and_then(|()| writable(out.as_deref())) {
            return refuse(&refused);
        }
        let path = (file.as_os_str() != "-").then_some(file);
        let called = path.as_deref().and_then(name_of).unwrap_or_else(|| "-".to_owned());
        let out_name = out.as_deref().filter(|path| path.as_os_str() != "-").and_then(name_of);
        let name = name.unwrap_or_else(|| default_name(&called));
        match import::import(&Wanted { path, file: called, name, seed, out: out_name }) {
            Ok(imported) => {
                imported.notes.iter().for_each(|note| complain("note", note, None));
                write(&imported.text, out.as_deref())
            }
            Err(error) => {
                complain("error", &error.to_string(), Some(error.remedy()));
                ExitCode::from(REFUSED)
            }
        }
    }
}

/// Refuses to write over the traces that are read.
fn not_over(file: &Path, out: Option<&Path>) -> Result<(), Refused> {
    let Some(out) = out.filter(|out| files::are_one(file, out)) else { return Ok(()) };
    let problem =
        Problem::new(format!("--out {} is the file that is read, and would be lost", out.display()));
    Err(Refused::new(None, vec![problem.help("name another file with --out")]))
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// A file's name without its endings, as a topology may be called.
fn default_name(file: &str) -> String {
    let mut name = file;
    while let Some(rest) = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
        name = rest;
    }
    let kept = |c: char| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '-' };
    let name: String = name.chars().map(kept).take(100).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { NAMELESS.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topology_is_called_like_its_file() {
        let named = ["orders.jsonl.gz", "Tuesday's traces.json", "-", ".jsonl"].map(default_name);
        assert_eq!(named, ["orders", "Tuesday-s-traces", "imported", "imported"]);
    }
}

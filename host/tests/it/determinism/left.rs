//! What a run leaves behind, and whether two runs left the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::determinism::difference;
use crate::support::{finish, simhost};

/// What a run in virtual time left behind.
#[derive(Clone, Debug)]
pub struct Left {
    /// The report as JSON.
    pub report: String,
    /// The file of `--out`.
    pub records: String,
    /// The file of `--truth`.
    pub truth: String,
}

impl Left {
    /// Runs a command that names a topology by its whole path, in a folder of its own.
    #[track_caller]
    pub fn by(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The file's name is in the report, so it is the same everywhere.
        command.current_dir(folder.path()).args([
            "--json",
            "--out",
            "records.jsonl",
            "--truth",
            "truth.jsonl",
        ]);
        let finished = finish(command);
        let records = std::fs::read_to_string(folder.path().join("records.jsonl"));
        let truth = std::fs::read_to_string(folder.path().join("truth.jsonl"));
        let report = finished.success().to_owned();
        let records = records.expect("a run writes its records");
        Self { report, records, truth: truth.expect("a run writes its truth") }
    }

    /// Runs `simhost run TOPOLOGY FLAGS…`.
    #[track_caller]
    pub fn of(topology: &Path, flags: &[&str]) -> Self {
        Self::by(simhost().arg("run").arg(topology).args(flags))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.report).expect("a report")
    }

    #[track_caller]
    pub fn digest(&self) -> String {
        let digest = &self.json()["digest"];
        digest.as_str().unwrap_or_else(|| panic!("no digest in {}", self.report)).to_owned()
    }

    /// The same, without a part of the report: a path such as `/telemetry/exporters`.
    pub fn without(mut self, part: &str) -> Self {
        let mut report = self.json();
        let gone = report.pointer_mut(part).unwrap_or_else(|| panic!("{part} is not in {}", self.report));
        *gone = Value::Null;
        self.report = serde_json::to_string_pretty(&report).expect("JSON");
        self
    }

    /// Each trace as text, by its id: its spans and log records as they are in
    /// the file, each with its resource and scope. They are sorted, as the file has
    /// them by resource in every batch, and other traces decide where one ends.
    pub fn traces(&self) -> BTreeMap<String, String> {
        let mut traces: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.records.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            for of_resource in list(&line, &["resourceSpans", "resourceLogs"]) {
                for of_scope in list(of_resource, &["scopeSpans", "scopeLogs"]) {
                    for record in list(of_scope, &["spans", "logRecords"]) {
                        let trace = record["traceId"].as_str().expect("a trace id").to_owned();
                        let place = format!("{} {}", of_resource["resource"], of_scope["scope"]);
                        traces.entry(trace).or_default().push(format!("{record}\n  of {place}\n"));
                    }
                }
            }
        }
        let sorted = |(id, mut records): (String, Vec<String>)| {
            records.sort();
            (id, records.concat())
        };
        traces.into_iter().map(sorted).collect()
    }

    /// The report's row of a fault.
    #[track_caller]
    pub fn fault(&self, name: &str) -> Value {
        let report = self.json();
        let mut rows = report["faults"].as_array().expect("faults").iter();
        rows.find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {}", self.report)).clone()
    }
}

/// What the object has under the first of `keys` that it has.
fn list<'a>(object: &'a Value, keys: &[&str]) -> &'a [Value] {
    let found = keys.iter().find_map(|key| object[key].as_array());
    found.unwrap_or_else(|| panic!("{object} has none of {keys:?}"))
}

/// Holds two runs against each other, byte for byte. If they differ it says where
/// first, and keeps both.
#[track_caller]
pub fn assert_same(what: &str, one: &Left, other: &Left) {
    let records = difference::first(&one.records, &other.records);
    let report = difference::first(&one.report, &other.report);
    let mut told = String::new();
    for (of, difference) in [("records", records), ("reports", report)] {
        if let Some(difference) = difference {
            told += &format!("\nthe {of} differ first in {difference}");
        }
    }
    if told.is_empty() {
        return;
    }
    // Outside of the repository's sources, where a person finds them after the test.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differ");
    std::fs::create_dir_all(&folder).expect("a folder");
    let name: String = what.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    for (run, left) in [("one", one), ("other", other)] {
        std::fs::write(folder.join(format!("{name}.{run}.jsonl")), &left.records).expect("a file");
        std::fs::write(folder.join(format!("{name}.{run}.json")), &left.report).expect("a file");
    }
    panic!("{what}: not the same run{told}\nboth are kept in {}, as {name}.*", folder.display());
}

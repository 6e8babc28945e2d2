//! Faults through whole runs: when they are active, whom they strike, and what a
//! hand can do to them meanwhile.

#[allow(dead_code, reason = "it is for all tests of the program")]
mod support;

#[path = "faults/chance.rs"]
mod chance;
#[path = "faults/conditions.rs"]
mod conditions;
#[path = "faults/lifecycle.rs"]
mod lifecycle;
#[path = "faults/resource.rs"]
mod resource;
#[path = "faults/schedule.rs"]
mod schedule;
#[path = "faults/windows.rs"]
mod windows;

use serde_json::Value;
use simhost::clock::VIRTUAL_START;
use support::{Run, SpanKind, World};

const MS: u64 = 1_000_000;

/// `front`, which is asked for the time ten times in each second.
fn steady(faults: &str) -> World {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/now\" }";
    World::of("probe", "").with("[network]\nlatency = \"0s\"").with(load).with(faults)
}

/// A fault that makes `front` take 40 ms longer, with further lines of its own.
fn slow(name: &str, more: &str) -> String {
    format!(
        "[[faults]]\nname = \"{name}\"\nkind = \"latency\"\ndelay = \"40ms\"\n\
         target = {{ service = \"front\" }}\n{more}\n"
    )
}

/// When each request to `front` came, and how long it took: milliseconds.
fn requests(run: &Run) -> Vec<(u64, u64)> {
    let spans = run.of("front", SpanKind::Server);
    spans.iter().map(|span| ((span.start - VIRTUAL_START) / MS, span.duration() / MS)).collect()
}

/// When the requests came that took longer: milliseconds.
fn struck(run: &Run) -> Vec<u64> {
    requests(run).into_iter().filter(|(_, took)| *took > 0).map(|(at, _)| at).collect()
}

/// What the report says of a fault.
#[track_caller]
fn counts(run: &Run, fault: &str) -> (u64, u64) {
    let report: Value = serde_json::from_str(&run.report).expect("a report as JSON");
    let rows = report["faults"].as_array().expect("a list of faults");
    let row = rows.iter().find(|row| row["name"] == fault).unwrap_or_else(|| panic!("no {fault}: {rows:?}"));
    (row["matched"].as_u64().expect("a count"), row["injected"].as_u64().expect("a count"))
}

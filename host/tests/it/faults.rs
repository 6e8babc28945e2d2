//! Faults through whole runs: when they are active, whom they strike, and what a
//! hand can do to them meanwhile.

mod cache;
mod chance;
mod conditions;
mod context;
mod control;
mod database;
mod lifecycle;
mod link;
mod outside;
mod record;
mod request;
mod resource;
mod schedule;
mod scheduler;
mod span;
mod targets;
mod told;
mod topic;
mod windows;

use crate::support::{Run, Span, SpanKind, World};
use simhost::clock::VIRTUAL_START;

const MS: u64 = 1_000_000;

/// A load that asks `front` ten times in each second.
fn asking(path: &str) -> String {
    format!(
        "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = {{ constant = \"10/s\" }}\n\
         request = {{ path = \"{path}\" }}"
    )
}

/// `front`, which is asked for the time ten times in each second.
fn steady(faults: &str) -> World {
    World::of("probe", "").with("[network]\nlatency = \"0s\"").with(&asking("/now")).with(faults)
}

/// `front` calls `back` ten times in each second; the lines of their tables, and the time on the way.
fn calling(front: &str, back: &str, latency: &str) -> World {
    let front = format!("config.calls = 'back'\n{front}");
    let world = World::of_services(&[("front", &front), ("back", back)]);
    world.with(&format!("[network]\nlatency = \"{latency}\"")).with(&asking("/"))
}

/// A fault of this kind, from 1 s to 2 s.
fn fault(kind: &str, target: &str) -> String {
    let when = "when = { at = \"1s\", for = \"1s\" }";
    format!("[[faults]]\nname = \"it\"\nkind = {kind}\ntarget = {{ {target} }}\n{when}\n")
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
    let report = run.json();
    let rows = report["faults"].as_array().expect("a list of faults");
    let row = rows.iter().find(|row| row["name"] == fault).unwrap_or_else(|| panic!("no {fault}: {rows:?}"));
    (row["matched"].as_u64().expect("a count"), row["injected"].as_u64().expect("a count"))
}

/// `front` calls `back`, 10 ms away, and this fault of a kind, called `it`, is in between.
fn between(kind: &str, more: &str) -> World {
    let fault = format!(
        "[[faults]]\nname = \"it\"\nkind = \"{kind}\"\ntarget = {{ link = \"front -> back\" }}\n{more}"
    );
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "");
    world.with("[network]\nlatency = \"10ms\"").with(&fault)
}

const CALL: &str = "GET /call?service=back&path=/now";

/// How long spans took, in milliseconds.
fn took(spans: &[&Span]) -> Vec<u64> {
    spans.iter().map(|span| span.duration() / MS).collect()
}

/// The CLIENT spans of `front`: how long they took, in milliseconds, and their `error.type`.
fn calls(run: &Run) -> Vec<(u64, String)> {
    let one = |span: &&Span| (span.duration() / MS, span.error_type().as_str().unwrap_or("").to_owned());
    run.of("front", SpanKind::Client).iter().map(one).collect()
}

/// Expects the report to say so of the fault `it`.
#[track_caller]
fn assert_counts(run: &Run, matched: u64, injected: u64) {
    let said = format!("fault it: matched {matched}, injected {injected}");
    assert!(run.report.contains(&said), "{said}: {}", run.report);
}

//! The truth file: what faults really did, as it happens, beside the telemetry and
//! never in it.
//!
//! `BLESS=1 cargo test --test it truth::` writes the schema anew; read the difference
//! before committing it.

mod blind;
mod causes;
mod changed;
mod errors;
mod labels;
mod messages;
mod report;
mod signs;
mod trouble;

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::schema;
use crate::support::telemetry::{self, Span};
use crate::support::{Finished, ORDER, Topology};
use serde_json::Value;

const BOTH: [&str; 4] = ["--fault", "slow-index-scan=on", "--fault", "payment-errors=on"];

/// A run in virtual time with both faults of the orders topology; with its lines.
fn told(topology: &Topology, flags: &[&str]) -> (Finished, Vec<Value>) {
    let flags = [&["--virtual", "--truth", "truth.jsonl"], &BOTH[..], flags].concat();
    let finished = topology.run(&flags);
    finished.success();
    (finished, lines(&written(topology)))
}

fn written(topology: &Topology) -> String {
    std::fs::read_to_string(topology.beside("truth.jsonl")).expect("a file of truth")
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The lines of one kind.
fn records<'a>(lines: &'a [Value], record: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["record"] == record).collect()
}

/// What the last line says of a fault.
#[track_caller]
fn summary<'a>(lines: &'a [Value], fault: &str) -> &'a Value {
    let last = lines.last().expect("a line");
    assert_eq!(last["record"], "summary");
    let faults = last["faults"].as_array().expect("faults");
    faults.iter().find(|row| row["fault"] == fault).unwrap_or_else(|| panic!("no {fault} in {last}"))
}

fn parent<'a>(spans: &'a [Span], span: &Span) -> Option<&'a Span> {
    spans.iter().find(|other| other.id == span.parent && other.trace == span.trace)
}

/// Every kind of line, of real and of virtual time.
#[test]
fn every_line_is_as_the_schema_describes() {
    let text = simhost::truth::schema();
    let text = serde_json::to_string_pretty(&text).expect("JSON") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/truth.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("the schema");
    }
    assert!(std::fs::read_to_string(&path).expect("the schema") == text, "BLESS=1 writes it anew");
    let schema: Value = serde_json::from_str(&text).expect("JSON");

    let topology = Topology::orders();
    let (_, in_virtual_time) = told(&topology, &["--for", "2s"]);
    let real = [&["--truth", "truth.jsonl", "--request", ORDER, "--request", "GET /nowhere"], &BOTH[..]];
    topology.run(&real.concat()).success();
    let in_real_time = lines(&written(&topology));
    let mut seen = BTreeSet::new();
    for line in in_virtual_time.iter().chain(&in_real_time) {
        assert_eq!(schema::problems(&schema, line), [""; 0], "{line}");
        seen.insert(line["record"].as_str().expect("a record"));
    }
    assert_eq!(seen, BTreeSet::from(["changed", "firing", "run", "summary", "window"]));
    assert_eq!(in_virtual_time[0]["schema"], simhost::truth::SCHEMA);
    assert_eq!(in_virtual_time[0]["virtual"], true);
    assert_eq!(in_real_time[0]["virtual"], false);
    assert_eq!(summary(&in_real_time, "slow-index-scan")["causes_skipped"], "real_time");
}

/// Also where trace ids have a mask, as the run begins at another instant.
#[test]
fn a_firing_names_the_span_that_shows_it() {
    let topology = Topology::orders();
    for start in ["2026-01-01T00:00:00Z", "2031-05-17T12:00:00Z"] {
        let (_, lines) = told(&topology, &["--for", "2s", "--out", "out.jsonl", "--start", start]);
        let spans = telemetry::read(&std::fs::read_to_string(topology.beside("out.jsonl")).expect("spans"));
        let firings = records(&lines, "firing");
        assert!(firings.len() > 50, "{}", firings.len());
        for firing in firings {
            let found = spans.iter().find(|span| firing["span_id"] == span.id.as_str());
            let span = found.unwrap_or_else(|| panic!("no span of {firing}"));
            assert_eq!(
                (span.kind_name(), span.trace.as_str()),
                ("SERVER", firing["trace_id"].as_str().unwrap())
            );
            assert_eq!(
                (&firing["service"], &firing["route"]),
                (&span.service.as_str().into(), &span.name.as_str().into())
            );
            assert_eq!(firing["from"], "order-service");
            let at = firing["at"].as_f64().expect("seconds");
            assert_eq!(((span.start - spans[0].start / 1_000_000_000 * 1_000_000_000) as f64 / 1e9), at);
            match firing["kind"].as_str() {
                Some("latency") => {
                    // The fault's delay, the guest's own work is in virtual time none.
                    let delay = firing["drawn"]["delay_ms"].as_f64().expect("a delay");
                    let took = (span.end - span.start) as f64 / 1e6;
                    assert!(took >= delay && took < delay + 400.0, "{took} {delay}");
                }
                Some("error") => {
                    assert_eq!(firing["drawn"]["status"], 503);
                    assert_eq!(span.int("http.response.status_code"), Some(503));
                }
                kind => panic!("{kind:?}"),
            }
        }
    }
}

#[test]
fn the_summary_names_the_first_symptom_and_everybody_above() {
    let topology = Topology::orders();
    let (_, lines) = told(&topology, &["--for", "5s", "--out", "out.jsonl"]);
    let spans = telemetry::read(&std::fs::read_to_string(topology.beside("out.jsonl")).expect("spans"));
    let row = summary(&lines, "payment-errors");
    let firing = records(&lines, "firing").into_iter().find(|line| line["fault"] == "payment-errors");
    let firing = firing.expect("a firing");
    assert_eq!(row["first_firing_at"], firing["at"]);
    let struck = spans.iter().find(|span| firing["span_id"] == span.id.as_str()).expect("the struck span");
    let above = std::iter::successors(Some(struck), |span| parent(&spans, span));
    let root = above.last().expect("the struck span at least");
    assert_eq!((root.kind_name(), root.parent.as_str()), ("SERVER", ""));
    let symptom = &row["first_symptom"];
    assert_eq!(symptom["span_id"], root.id.as_str());
    assert_eq!(symptom["trace_id"], root.trace.as_str());
    assert_eq!((&symptom["service"], &symptom["route"]), (&"order-service".into(), &"POST /orders".into()));
    assert_eq!(symptom["status"].as_i64(), root.int("http.response.status_code"));
    assert_eq!(symptom["took_ms"], (root.end - root.start) as f64 / 1e6);
    assert_eq!(
        row["struck"],
        serde_json::json!([{ "service": "payment-service", "route": "POST /charges" }])
    );
    assert_eq!(row["upstream"], serde_json::json!([{ "service": "order-service", "route": "POST /orders" }]));
    // Each order makes one charge.
    assert_eq!(row["requests"], row["injected"]);
    assert_eq!(row["requests_failed"], row["injected"]);
    assert_eq!(
        row["matched"],
        row["injected"].as_u64().unwrap() + row["suppressed"]["probability"].as_u64().unwrap()
    );
    assert_eq!(summary(&lines, "slow-index-scan")["first_symptom"]["status"], 201);
}

#[test]
fn the_same_seed_tells_the_same_truth_at_any_pace_and_beside_any_telemetry() {
    let topology = Topology::orders();
    let told = |flags: &[&str]| {
        told(&topology, &[&["--for", "2s"], flags].concat());
        written(&topology)
    };
    let one = told(&[]);
    assert!(one.lines().filter(|line| line.contains("\"firing\"")).count() > 100);
    for flags in [&[][..], &["--out", "out.jsonl"], &["--speed", "40"], &["--json"]] {
        assert!(told(flags) == one, "with {flags:?}");
    }
    assert!(told(&["--seed", "7"]) != one);
}

/// What writes it changes nothing of what it is about.
#[test]
fn a_run_that_tells_the_truth_is_the_same_run() {
    let topology = Topology::orders();
    let flags = [&["--virtual", "--for", "2s", "--show", "summary"], &BOTH[..]].concat();
    let quiet = topology.run(&flags);
    let (telling, _) = told(&topology, &["--for", "2s", "--show", "summary"]);
    assert_eq!(quiet.success(), telling.success());
}

/// Each shard writes a file of its own meanwhile: none is left.
#[test]
fn the_truths_of_shards_come_one_behind_the_other() {
    let topology = Topology::orders();
    let flags = ["--for", "2s", "--shards", "3"];
    let (_, all) = told(&topology, &flags);
    let text = written(&topology);
    let of_world = |line: &&Value| line["record"] != "changed";
    let shards: Vec<_> = all.iter().filter(of_world).filter_map(|line| line["shard"].as_u64()).collect();
    assert!(shards.is_sorted(), "{shards:?}");
    assert_eq!(shards.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(records(&all, "run").len(), 1);
    told(&topology, &flags);
    assert!(written(&topology) == text, "the same bytes");
    assert!(!topology.beside("truth.jsonl.shard-1").exists());
    // The first is the run without the flag, and all add up.
    let (_, alone) = told(&topology, &flags[..2]);
    let first = |lines: &'_ [Value]| -> Vec<Value> {
        let lines = lines.iter().filter(|line| line["shard"] == 0 && line["record"] != "changed");
        lines.cloned().collect()
    };
    let (of_first, of_one) = (first(&all), first(&alone));
    assert_eq!(of_first, of_one);
    for fault in ["slow-index-scan", "payment-errors"] {
        let fired = records(&all, "firing").into_iter().filter(|line| line["fault"] == fault);
        assert_eq!(summary(&all, fault)["injected"], fired.count() as u64);
        let causes = &summary(&all, fault)["causes"];
        assert_eq!(causes["changed"], summary(&all, fault)["requests"]);
        let changed = records(&all, "changed").into_iter().filter(|line| line["fault"] == fault);
        let shards: BTreeSet<_> = changed.filter_map(|line| line["shard"].as_u64()).collect();
        assert_eq!(shards, BTreeSet::from([0, 1, 2]));
    }
}

#[test]
fn standard_output_takes_the_truth_alone() {
    let topology = Topology::orders();
    let flags = [&["--virtual", "--for", "1s", "--truth", "-", "--show", "summary"], &BOTH[..]].concat();
    let finished = topology.run(&flags);
    let told = lines(finished.success());
    assert_eq!(told.last().expect("a line")["record"], "summary");
    assert!(finished.stderr.contains("fault slow-index-scan: matched"), "{}", finished.stderr);
}

#[test]
fn a_window_is_told_when_it_opens_and_when_it_closes() {
    let window = "when = { at = \"500ms\", for = \"1s\", every = \"2s\" }\nenabled = true";
    let text = std::fs::read_to_string(Topology::orders().path()).expect("the topology");
    let (before, after) = text.rsplit_once("enabled = false").expect("a fault that is off");
    let topology = Topology::new("orders", format!("{before}{window}{after}"));
    let flags = ["--virtual", "--for", "3s", "--truth", "truth.jsonl"];
    topology.run(&flags).success();
    let lines = lines(&written(&topology));
    let windows: Vec<_> = records(&lines, "window")
        .iter()
        .map(|line| {
            let (state, by) = (line["state"].as_str().unwrap(), line["by"].as_str().unwrap());
            (
                state,
                by,
                line["number"].as_u64().unwrap(),
                line["at"].as_f64().unwrap(),
                line["closes_at"].as_f64(),
            )
        })
        .collect();
    let expected = [
        ("opened", "schedule", 1, 0.5, Some(1.5)),
        ("closed", "schedule", 1, 1.5, None),
        ("opened", "schedule", 2, 2.5, Some(3.5)),
    ];
    assert_eq!(windows[..3], expected);
    assert_eq!(
        lines.iter().find(|line| line["record"] == "window").unwrap()["time"],
        "2026-01-01T00:00:00.500000000Z"
    );
    let within = |at: f64| (0.5..1.5).contains(&at) || (2.5..3.5).contains(&at);
    let firings = records(&lines, "firing");
    assert!(!firings.is_empty() && firings.iter().all(|line| within(line["at"].as_f64().unwrap())));
}

/// Two runs that differ in a body are two runs, and their truths say so.
#[test]
fn the_truth_has_the_requests_of_the_command_line_with_their_bodies() {
    let topology = Topology::orders();
    let (_, all) = told(&topology, &["--request", ORDER, "--request", "GET /health"]);
    let requests = [format!("--request {ORDER}"), "--request GET /health".to_owned()];
    let flags = records(&all, "run")[0]["flags"].as_array().expect("flags").clone();
    assert!(requests.iter().all(|request| flags.contains(&request.as_str().into())), "{flags:?}");
}

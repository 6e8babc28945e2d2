//! What a real OpenTelemetry Collector makes of simhost's export.
//!
//! `collector/build.sh` builds one into `target/otelcol/`; without it these
//! tests say so and pass. `SIMHOST_OTELCOL` names another binary, which then
//! has to exist.

mod book;
mod derived;
mod probability;
mod read;
mod running;
mod shipped;
mod systems;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::metrics::parse;
use crate::support::program::now;
use crate::support::{METRICS, finish, simhost};

use read::{CLIENT, SERVER, Span, array, exports};
use running::{Collector, Protocol};

#[test]
fn an_order_arrives_over_grpc_as_one_trace_and_draws_the_service_graph() {
    an_order_arrives_whole(Protocol::Grpc);
}

#[test]
fn an_order_arrives_over_http_as_one_trace_and_draws_the_service_graph() {
    an_order_arrives_whole(Protocol::Http);
}

fn an_order_arrives_whole(protocol: Protocol) {
    let Some(collector) = Collector::start() else { return };
    let before = now();
    collector.run_one_order(protocol);

    let spans = collector.wait_for_spans(17);
    it_is_one_trace_of_four_services(&spans);
    every_call_is_a_client_and_its_server(&spans);
    the_time_of_the_run_ends_now(&spans, before);

    collector.wait_for_edges(&[
        ("order-service", "inventory-service", 2),
        ("order-service", "payment-service", 1),
        ("order-service", "notification-service", 1),
        // The root has no caller that anyone knows.
        ("user", "order-service", 1),
    ]);
    // Each span counted once, under its own service and name.
    collector.wait_for_calls(&spans);
}

/// All three signals, to every field of every record: over the wire, through the Collector and its writer.
/// Cumulative points with explicit buckets, and deltas with exponential ones.
#[test]
fn what_arrives_of_all_three_signals_is_what_a_file_of_the_same_run_has() {
    let others: [(&str, &str); 2] = [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
    ];
    for (protocol, settings) in [(Protocol::Grpc, &[] as &[_]), (Protocol::Http, &others)] {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("out.jsonl");
        let Some(collector) = Collector::start() else { return };
        let mut run = collector.run(protocol);
        run.args(["topologies/generated/services-10.toml", "--virtual", "--for", "20s", "--json", "--out"]);
        let finished =
            finish(run.arg(&file).env("OTEL_METRIC_EXPORT_INTERVAL", "5000").envs(settings.iter().copied()));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let written = fs::read_to_string(&file).expect("the file");
        let read = collector.wait_for_all(&written);

        let recorded = &finished.json()["telemetry"];
        assert_eq!(recorded["spans"], read[0].len());
        assert_eq!(recorded["data_points"], parse(&written).len());
        assert_eq!(recorded["logs"], read[2].len());
        assert!(read[1].iter().any(|metric| metric.contains("\"exemplars\"")), "no exemplar arrived");
    }
}

/// Every field of every record, through the Collector's reader of files and its writer.
#[test]
fn a_file_of_many_lines_is_read_back_to_the_span_and_the_data_point() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("spans.jsonl");
    let Some(collector) =
        Collector::start_with(&["check-file.yaml"], &[("SIMHOST_JSON_FILE", file.as_os_str())])
    else {
        return;
    };
    let mut run = simhost();
    run.current_dir(root()).env_remove(METRICS).args(["run", "topologies/generated/services-10.toml"]);
    run.args(["--virtual", "--for", "15s", "--show", "none", "--out"]).arg(&file);
    finish(&mut run).success();
    let text = fs::read_to_string(&file).expect("the file");
    let longest = text.lines().map(str::len).max().expect("lines");
    assert!(text.lines().count() > 3 && longest < 1 << 20, "{longest}");
    collector.wait_for_all(&text);
}

/// Where the Collector writes a signal, and the lists that its records are in.
const SIGNALS: [(&str, [&str; 3]); 3] = [
    ("traces.jsonl", ["resourceSpans", "scopeSpans", "spans"]),
    ("own-metrics.jsonl", ["resourceMetrics", "scopeMetrics", "metrics"]),
    ("logs.jsonl", ["resourceLogs", "scopeLogs", "logRecords"]),
];

impl Collector {
    /// Waits for every record of the lines that simhost has written, and returns them by signal.
    fn wait_for_all(&self, lines: &str) -> [Vec<String>; 3] {
        SIGNALS.map(|(file, lists)| {
            let written = whole(&exports(lines), lists);
            assert!(!written.is_empty(), "{file}");
            let read = self.wait(file, |exports| {
                let read = whole(exports, lists);
                if read.len() >= written.len() { Ok(read) } else { Err(format!("{} records", read.len())) }
            });
            assert_eq!(read.len(), written.len(), "{file}");
            for (read, written) in read.iter().zip(&written) {
                assert_eq!(read, written, "{file}");
            }
            read
        })
    }
}

/// Every record with its resource and scope, without what is empty, in order.
fn whole(exports: &[Value], [resources, scopes, records]: [&str; 3]) -> Vec<String> {
    let mut all = Vec::new();
    for resource in exports.iter().flat_map(|export| array(&export[resources])) {
        for scope in array(&resource[scopes]) {
            for record in array(&scope[records]) {
                let mut whole = [record, &scope["scope"], &resource["resource"]].map(Value::clone);
                whole.iter_mut().for_each(prune);
                all.push(whole.map(|part| part.to_string()).join(" "));
            }
        }
    }
    all.sort_unstable();
    all
}

/// Takes away what proto3's JSON mapping may leave out, and writes a number in one way: 1.0 may be 1.
fn prune(value: &mut Value) {
    let is_empty = |value: &Value| {
        value.is_null()
            || value.as_f64() == Some(0.0)
            || *value == ""
            || *value == "0"
            || *value == Value::Array(Vec::new())
            || *value == Value::Object(serde_json::Map::new())
    };
    match value {
        Value::Number(number) => *value = number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.iter_mut().for_each(prune),
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, value| !is_empty(value));
        }
        _ => {}
    }
}

fn it_is_one_trace_of_four_services(spans: &[Span]) {
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1, "one trace id: {traces:?}");
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    let expected = ["inventory-service", "notification-service", "order-service", "payment-service"];
    assert_eq!(services, BTreeSet::from(expected));
    let failed: Vec<_> = spans.iter().filter(|span| span.failed).collect();
    assert!(failed.is_empty(), "nothing failed: {failed:#?}");
}

/// Tempo and the Collector pair spans exactly so: a SERVER span, and the CLIENT
/// span of another service as its parent.
fn every_call_is_a_client_and_its_server(spans: &[Span]) {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "span ids are unique");

    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "one root: {roots:#?}");
    assert_eq!((roots[0].kind, roots[0].name.as_str()), (SERVER, "POST /orders"));

    let mut calls = Vec::new();
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        let parent = by_id.get(span.parent.as_str()).unwrap_or_else(|| panic!("no parent for {span:#?}"));
        if span.kind == SERVER {
            assert_eq!(parent.kind, CLIENT, "the parent of {span:#?}");
            assert_ne!(parent.service, span.service, "a call leaves its service");
            calls.push((parent.service.as_str(), span.service.as_str(), span.name.as_str()));
        } else {
            assert_eq!(parent.service, span.service, "only a call crosses services: {span:#?}");
        }
    }
    calls.sort_unstable();
    let expected = [
        ("order-service", "inventory-service", "GET /stock/{item}"),
        ("order-service", "inventory-service", "POST /stock/{item}/reserve"),
        ("order-service", "notification-service", "POST /notify"),
        ("order-service", "payment-service", "POST /charges"),
    ];
    assert_eq!(calls, expected);
    assert_eq!(
        spans.iter().filter(|span| span.kind == CLIENT).count(),
        calls.len(),
        "every CLIENT span has its SERVER"
    );
}

/// A run in virtual time has any clock it likes, but backends drop spans that
/// lie far from their own.
fn the_time_of_the_run_ends_now(spans: &[Span], before: Duration) {
    let end = spans.iter().map(|span| span.end).max().expect("spans");
    let slack = Duration::from_secs(5);
    let window = (before - slack)..(now() + slack);
    assert!(
        window.contains(&Duration::from_nanos(end)),
        "the last span ends at {end}, outside of {window:?}"
    );
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

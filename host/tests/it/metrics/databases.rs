//! Metrics of clients of databases, beside the spans and the report of the same run.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::metrics::{self, Histogram, Point};
use crate::support::telemetry::{self, Span};
use crate::support::{METRICS, finish, simhost};

/// The points at the end of a run, and all spans.
struct Told {
    points: Vec<Point>,
    spans: Vec<Span>,
}

fn run(kind: &str) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.jsonl");
    let topology = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/faults/{kind}.toml"));
    let mut command = simhost();
    command.arg("run").arg(topology).args(["--virtual", "--for", "40s", "--seed", "5", "--compute", "0"]);
    finish(command.arg("--out").arg(&out).env(METRICS, "")).success();
    let text = std::fs::read_to_string(out).expect("the records");
    let mut points = metrics::parse(&text);
    let end = points.iter().map(|point| point.time).max();
    points.retain(|point| Some(point.time) == end);
    Told { points, spans: telemetry::read(&text) }
}

impl Told {
    fn of(&self, metric: &str) -> Vec<&Point> {
        self.points.iter().filter(|point| point.metric == metric).collect()
    }

    /// The histogram of the one pool.
    #[track_caller]
    fn of_pool(&self, metric: &str) -> &Histogram {
        let points = self.of(metric);
        assert_eq!(points.len(), 1, "{metric}: {points:?}");
        assert_eq!(points[0].attributes["db.client.connection.pool.name"], "inventory");
        points[0].histogram()
    }

    #[track_caller]
    fn number(&self, metric: &str) -> f64 {
        self.of(metric).iter().map(|point| point.number()).sum()
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(move |span| span.name == name)
    }
}

/// What tells an operation from others: its summary or its name, and how it failed.
fn operation(attributes: &telemetry::Attributes) -> (String, String) {
    let text = |key: &str| attributes.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = [text("db.query.summary"), text("db.operation.name")].concat();
    (name, text("error.type"))
}

#[test]
fn each_client_span_of_a_database_is_measured_with_its_length() {
    for kind in ["lock-table", "too-many-connections", "failover"] {
        let told = run(kind);
        let mut spans: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for span in told.spans.iter().filter(|span| span.kind_name() == "CLIENT") {
            let (count, took) = spans.entry(operation(&span.attributes)).or_default();
            (*count, *took) = (*count + 1, *took + (span.end - span.start));
        }
        let points = told.of("db.client.operation.duration");
        let mut measured: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for point in &points {
            let said = ["db.system.name", "db.namespace", "server.address"].map(|key| &point.attributes[key]);
            assert_eq!(said, ["postgresql", "inventory|public", "inventory"]);
            let histogram = point.histogram();
            assert_eq!(histogram.bounds, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
            let known = |id: &str| told.spans.iter().any(|span| span.id == id);
            assert!(!point.exemplars.is_empty());
            assert!(point.exemplars.iter().all(|exemplar| known(&exemplar.span)));
            let (count, took) = measured.entry(operation(&point.attributes)).or_default();
            (*count, *took) = (*count + histogram.count, *took + (histogram.sum * 1e9).round() as u64);
        }
        assert!(measured.len() >= 4, "{kind}: {measured:?}");
        // A span that took no time is recorded with one nanosecond.
        let close = |a: &(u64, u64), b: &(u64, u64)| a.0 == b.0 && a.1.abs_diff(b.1) <= a.0;
        assert_eq!(measured.len(), spans.len(), "{kind}: {measured:?} {spans:?}");
        assert!(measured.iter().all(|(key, of)| close(of, &spans[key])), "{kind}: {measured:?} {spans:?}");
    }
}

#[test]
fn a_pool_says_what_it_has_who_waits_and_for_how_long() {
    let told = run("lock-table");
    let states: BTreeMap<_, _> = told
        .of("db.client.connection.count")
        .into_iter()
        .map(|point| (point.attributes["db.client.connection.state"].to_string(), point.number()))
        .collect();
    assert_eq!(states.into_values().collect::<Vec<_>>(), [10.0, 0.0], "all are open, and idle in the end");
    assert_eq!(told.number("db.client.connection.max"), 10.0);
    assert_eq!(told.number("db.client.connection.pending_requests"), 0.0);
    let timed_out = told.named("get connection inventory").count();
    assert!(timed_out > 5);
    assert_eq!(told.number("db.client.connection.timeouts"), timed_out as f64);
    let begun = told.named("BEGIN").count() as u64;
    let waits = told.of_pool("db.client.connection.wait_time");
    assert!(waits.count == begun && waits.max > 1.0 && waits.max <= 3.01, "{waits:?}");
    let uses = told.of_pool("db.client.connection.use_time");
    assert!(uses.count == begun && uses.max > 2.0, "{uses:?}");
    let creates = told.of_pool("db.client.connection.create_time");
    assert!(creates.count == 10 && creates.min < creates.max, "{creates:?}");
    // Eight ways of 0.2 ms each, more or less.
    assert!(creates.min > 0.000_8 && creates.max < 0.003_2, "{creates:?}");
}

#[test]
fn connections_that_break_are_not_counted_any_more() {
    let told = run("failover");
    let creates = told.of_pool("db.client.connection.create_time").count as f64;
    let open = told.number("db.client.connection.count");
    assert!(open >= 1.0 && creates > open, "{open} of {creates}");
}

#[test]
fn rows_of_results_are_counted_where_there_are_any() {
    let told = run("drop-index");
    let points = told.of("db.client.response.returned_rows");
    assert_eq!(points.len(), 1, "{points:?}");
    let (rows, count) = (points[0].histogram(), told.named("SELECT stock").count() as u64);
    assert_eq!((rows.count, rows.min, rows.max, points[0].unit.as_str()), (count, 1.0, 1.0, "{row}"));
    assert_eq!(rows.bounds[..3], [1.0, 2.0, 5.0]);
    assert!(run("lock-table").of("db.client.response.returned_rows").is_empty(), "an UPDATE gives none");
}

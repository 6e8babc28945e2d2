//! What a Collector derives from spans by the connectors and the sampler that courses on tracing set up,
//! and what the services themselves have measured in the same run.

use std::collections::{BTreeMap, BTreeSet};

use super::read::{Span, array, latest, latest_sums, number, text};
use super::root;
use super::running::{Collector, Protocol};
use crate::support::metrics::{Point, parse};
use crate::support::telemetry::{self, Attributes, StatusCode};
use crate::support::{SpanKind, finish, simhost};

/// A run of which a tail sampler keeps some: charges that fail, and orders that take long.
const RUN: [&str; 8] = [
    "topologies/orders.toml",
    "--virtual",
    "--for",
    "10s",
    "--fault",
    "payment-errors=on",
    "--fault",
    "slow-index-scan=on",
];

/// A run through a Collector, and what it has recorded itself.
struct Course {
    collector: Collector,
    spans: Vec<telemetry::Span>,
    points: Vec<Point>,
}

impl Course {
    /// None where there is no Collector to test with.
    fn run() -> Option<Self> {
        let collector = Collector::start_with(&["check-tutorial.yaml"], &[])?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("out.jsonl");
        finish(collector.run(Protocol::Grpc).args(RUN).args(["--show", "none", "--out"]).arg(&file))
            .success();
        let written = std::fs::read_to_string(file).expect("the file");
        let spans = telemetry::read(&written);
        collector.wait_for_spans(spans.len());
        Some(Self { collector, spans, points: parse(&written) })
    }

    /// The points of a metric. There is one collection, so that each series has one.
    fn points(&self, metric: &str) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| point.metric == metric)
    }
}

/// A service, what it did, to whom or where, and the status.
type Requests = [String; 4];

/// Durations: how many, their sum in seconds, and how many in each bucket.
type Durations = (u64, f64, Vec<u64>);

fn attribute(attributes: &Attributes, name: &str) -> String {
    attributes
        .get(name)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .unwrap_or_default()
}

const OF_SERVER: (&str, &str) = ("SPAN_KIND_SERVER", "http.route");
const OF_CLIENT: (&str, &str) = ("SPAN_KIND_CLIENT", "server.address");

/// Adds durations to those of the same key, such as those of another method.
fn add(all: &mut BTreeMap<Requests, Durations>, key: Requests, (count, sum, buckets): Durations) {
    let (counts, sums, per_bucket) = all.entry(key).or_insert_with(|| (0, 0.0, vec![0; buckets.len()]));
    *counts += count;
    *sums += sum;
    per_bucket.iter_mut().zip(buckets).for_each(|(all, more)| *all += more);
}

/// What the services have measured.
fn measured(course: &Course) -> BTreeMap<Requests, Durations> {
    let mut all = BTreeMap::new();
    for (metric, (kind, place)) in
        [("http.server.request.duration", OF_SERVER), ("http.client.request.duration", OF_CLIENT)]
    {
        for point in course.points(metric) {
            let of = |name| attribute(&point.attributes, name);
            let key = [point.service.clone(), kind.to_owned(), of(place), of("http.response.status_code")];
            let histogram = point.histogram();
            add(&mut all, key, (histogram.count, histogram.sum, histogram.buckets.clone()));
        }
    }
    all
}

/// The same of the span metrics, as far as they are there yet.
fn derived(exports: &[serde_json::Value]) -> BTreeMap<Requests, Durations> {
    let mut all = BTreeMap::new();
    for (labels, point) in latest(exports, "traces.spanmetrics.duration", "histogram") {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let of_kind = |(kind, _): &(&str, &str)| label("span.kind") == *kind;
        // The guests' own spans are neither.
        let Some((_, place)) = [OF_SERVER, OF_CLIENT].into_iter().find(of_kind) else { continue };
        let key =
            [label("service.name"), label("span.kind"), label(place), label("http.response.status_code")];
        let buckets = array(&point["bucketCounts"]).iter().map(number).collect();
        add(&mut all, key, (number(&point["count"]), point["sum"].as_f64().expect("a sum"), buckets));
    }
    all
}

#[test]
fn span_metrics_have_the_requests_that_the_services_measure_in_the_same_buckets() {
    let Some(course) = Course::run() else { return };
    let measured = measured(&course);
    assert!(measured.len() > 10, "{measured:#?}");
    course.collector.wait("metrics.jsonl", |exports| {
        let derived = derived(exports);
        let counts = |all: &BTreeMap<Requests, Durations>| {
            all.iter()
                .map(|(key, (count, _, buckets))| (key.clone(), (*count, buckets.clone())))
                .collect::<Vec<_>>()
        };
        if counts(&derived) != counts(&measured) {
            return Err(format!("span metrics {derived:#?}\ninstead of {measured:#?}"));
        }
        for (key, (count, sum, _)) in &derived {
            let (_, expected, _) = measured[key];
            // A span that took no time is recorded with a nanosecond.
            assert!(
                (sum - expected).abs() < 1.001e-9 * *count as f64 + 1e-9,
                "{key:?}: {sum}, not {expected}"
            );
        }
        Ok(())
    });
    exemplars_are_spans_of_the_run(&course);
}

fn exemplars_are_spans_of_the_run(course: &Course) {
    let by_id: BTreeMap<_, _> = course.spans.iter().map(|span| (span.id.as_str(), span)).collect();
    course.collector.wait("metrics.jsonl", |exports| {
        let points = exports.iter().flat_map(|export| array(&export["resourceMetrics"]));
        let points = points.flat_map(|resource| array(&resource["scopeMetrics"]));
        let points = points.flat_map(|scope| array(&scope["metrics"]));
        let points = points.flat_map(|metric| array(&metric["histogram"]["dataPoints"]));
        let mut seen = 0;
        for exemplar in points.flat_map(|point| array(&point["exemplars"])) {
            let span = by_id.get(text(&exemplar["spanId"]).as_str());
            let span = span.unwrap_or_else(|| panic!("no span of {exemplar}"));
            assert_eq!(text(&exemplar["traceId"]), span.trace);
            let value = exemplar["asDouble"].as_f64().expect("a value");
            assert!((value - span.duration() as f64 / 1e9).abs() < 1e-9, "{exemplar} of {span:?}");
            seen += 1;
        }
        if seen > 0 { Ok(()) } else { Err("no exemplars".to_owned()) }
    });
}

#[test]
fn the_service_graph_has_the_links_of_the_topology_and_the_calls_that_callers_measure() {
    let Some(course) = Course::run() else { return };
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |client: &str, server: &str, point: &Point| {
        let failed = point.attributes.contains_key("error.type");
        *expected.entry(format!("{client} → {server}, failed: {failed}")).or_default() +=
            point.histogram().count;
    };
    for point in course.points("http.client.request.duration") {
        count(&point.service, &attribute(&point.attributes, "server.address"), point);
    }
    // The root has no caller that anyone knows.
    for point in
        course.points("http.server.request.duration").filter(|point| point.service == "order-service")
    {
        count("user", &point.service, point);
    }
    assert!(expected.keys().any(|edge| edge.contains("payment-service, failed: true")), "{expected:#?}");
    course.collector.wait("metrics.jsonl", |exports| {
        let mut edges = latest_sums(exports, "traces_service_graph_request_total", |labels| {
            format!("{} → {}, failed: {}", labels["client"], labels["server"], labels["failed"])
        });
        // A series begins with a zero.
        edges.retain(|_, requests| *requests > 0);
        if edges == expected { Ok(()) } else { Err(format!("edges {edges:#?}\ninstead of {expected:#?}")) }
    });
    let edges: BTreeSet<_> = expected.keys().filter(|edge| !edge.starts_with("user")).collect();
    let edges: BTreeSet<_> = edges.iter().map(|edge| edge.split(',').next().expect("an edge")).collect();
    let mut check = simhost();
    let topology = finish(check.current_dir(root()).args(["check", RUN[0], "--json"])).json();
    let calls = topology["calls"].as_array().expect("calls").iter();
    let calls = calls.map(|call| format!("{} → {}", text(&call["from"]), text(&call["to"])));
    assert_eq!(edges, calls.collect::<BTreeSet<_>>().iter().map(String::as_str).collect());
}

#[test]
fn the_tail_sampler_keeps_failed_and_slow_traces_whole_and_metrics_count_all() {
    let Some(course) = Course::run() else { return };
    let mut traces: BTreeMap<&str, Vec<&telemetry::Span>> = BTreeMap::new();
    for span in &course.spans {
        traces.entry(&span.trace).or_default().push(span);
    }
    let must_be_kept = |spans: &[&telemetry::Span]| {
        let first = spans.iter().map(|span| span.start).min().expect("a span");
        let last = spans.iter().map(|span| span.end).max().expect("a span");
        spans.iter().any(|span| span.status == StatusCode::Error) || (last - first) / 1_000_000 >= 500
    };
    let (kept, others): (Vec<_>, Vec<_>) = traces.iter().partition(|(_, spans)| must_be_kept(spans));
    assert!(kept.len() > 100 && others.len() > 200, "{} and {}", kept.len(), others.len());
    course.collector.wait("sampled.jsonl", |exports| {
        let mut sampled: BTreeMap<String, usize> = BTreeMap::new();
        for span in exports.iter().flat_map(Span::all) {
            *sampled.entry(span.trace).or_default() += 1;
        }
        for (trace, spans) in &kept {
            if sampled.get(**trace) != Some(&spans.len()) {
                return Err(format!("{:?} of {} spans of {trace}", sampled.get(**trace), spans.len()));
            }
        }
        // One in twenty of the others.
        let baseline: Vec<_> = others.iter().filter(|(trace, _)| sampled.contains_key(**trace)).collect();
        if baseline.len() * 100 < others.len()
            || baseline.iter().any(|(trace, spans)| sampled[**trace] != spans.len())
        {
            return Err(format!("of the others {baseline:?}"));
        }
        assert!(baseline.len() * 100 < others.len() * 12, "{} of {}", baseline.len(), others.len());
        Ok(())
    });
    let all = course.spans.iter().filter(|span| span.kind == SpanKind::Server && span.parent.is_empty());
    let measured =
        course.points("http.server.request.duration").filter(|point| point.service == "order-service");
    assert_eq!(measured.map(|point| point.histogram().count).sum::<u64>(), all.count() as u64);
}

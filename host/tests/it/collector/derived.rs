//! What a Collector derives from spans by the connectors that courses on tracing set up, and what the
//! services themselves have measured in the same run.

use std::collections::{BTreeMap, BTreeSet};

use super::read::{array, latest, latest_sums, number, text};
use super::root;
use super::systems::Course;
use crate::support::telemetry::{Attributes, Span, StatusCode};
use crate::support::{SpanKind, finish, simhost};

/// A service, what it did, to whom or where, and the status.
type Operation = [String; 4];

/// Durations: how many, their sum in seconds, and how many in each bucket of the same bounds.
#[derive(Clone, Debug, Default)]
struct Durations {
    count: u64,
    sum: f64,
    buckets: BTreeMap<String, u64>,
}

impl Durations {
    fn add(&mut self, count: u64, sum: f64, bounds: &[f64], buckets: &[u64]) {
        self.count += count;
        self.sum += sum;
        let bounds = bounds.iter().map(f64::to_string).chain(["inf".to_owned()]);
        for (bound, count) in bounds.zip(buckets) {
            *self.buckets.entry(bound).or_default() += count;
        }
    }
}

type ByOperation = BTreeMap<Operation, Durations>;

/// A metric of the services, and the spans of which a Collector makes the same: their kind, and the
/// attributes that both have, which say where and how it went.
struct Same {
    metric: &'static str,
    kind: &'static str,
    place: &'static str,
    status: &'static str,
}

const SAME: [Same; 4] = [
    Same {
        metric: "http.server.request.duration",
        kind: "SPAN_KIND_SERVER",
        place: "http.route",
        status: "http.response.status_code",
    },
    Same {
        metric: "http.client.request.duration",
        kind: "SPAN_KIND_CLIENT",
        place: "server.address",
        status: "http.response.status_code",
    },
    Same {
        metric: "db.client.operation.duration",
        kind: "SPAN_KIND_CLIENT",
        place: "db.namespace",
        status: "db.operation.name",
    },
    Same {
        metric: "messaging.process.duration",
        kind: "SPAN_KIND_CONSUMER",
        place: "messaging.destination.name",
        status: "error.type",
    },
];

fn attribute(attributes: &Attributes, name: &str) -> String {
    attributes
        .get(name)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .unwrap_or_default()
}

/// What the services have measured.
fn measured(course: &Course) -> ByOperation {
    let mut all = ByOperation::new();
    for Same { metric, kind, place, status } in SAME {
        for point in course.points(metric) {
            let of = |name| attribute(&point.attributes, name);
            let key = [point.service.clone(), kind.to_owned(), of(place), of(status)];
            let histogram = point.histogram();
            all.entry(key).or_default().add(
                histogram.count,
                histogram.sum,
                &histogram.bounds,
                &histogram.buckets,
            );
        }
    }
    all
}

/// The same of the span metrics, as far as they are there yet.
fn derived(exports: &[serde_json::Value]) -> ByOperation {
    let mut all = ByOperation::new();
    for (labels, point) in latest(exports, "traces.spanmetrics.duration", "histogram") {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        // A statement's span has the address of its server, too.
        let is_database = !label("db.namespace").is_empty();
        let of_kind = |same: &&Same| {
            label("span.kind") == same.kind
                && (same.kind != "SPAN_KIND_CLIENT" || is_database == (same.place == "db.namespace"))
        };
        // The guests' own spans are nothing that is measured so.
        let Some(same) = SAME.iter().find(of_kind) else { continue };
        let key = [label("service.name"), same.kind.to_owned(), label(same.place), label(same.status)];
        let bounds: Vec<_> =
            array(&point["explicitBounds"]).iter().map(|bound| bound.as_f64().expect("a bound")).collect();
        let buckets: Vec<_> = array(&point["bucketCounts"]).iter().map(number).collect();
        let sum = point["sum"].as_f64().expect("a sum");
        all.entry(key).or_default().add(number(&point["count"]), sum, &bounds, &buckets);
    }
    all
}
pub fn span_metrics_have_what_the_services_measure(course: &Course, system: &str) {
    let measured = measured(course);
    assert!(!measured.is_empty());
    let compared = |all: &ByOperation, of: &ByOperation| -> Vec<_> {
        all.iter()
            .map(|(key, Durations { count, buckets, .. })| {
                // Bounds that the other has not say nothing about its buckets.
                let has = |bound: &&String| {
                    of.get(key).is_some_and(|of| {
                        of.buckets.keys().eq(buckets.keys()) && of.buckets.contains_key(*bound)
                    })
                };
                let buckets: Vec<_> = buckets.iter().filter(|(bound, _)| has(bound)).collect();
                format!("{key:?}: {count} {buckets:?}")
            })
            .collect()
    };
    course.collector.wait("metrics.jsonl", |exports| {
        let derived = derived(exports);
        let (has, expected) = (compared(&derived, &measured), compared(&measured, &derived));
        if has != expected {
            return Err(format!("{system}: span metrics {has:#?}\ninstead of {expected:#?}"));
        }
        for (key, Durations { count, sum, .. }) in &derived {
            let expected = measured[key].sum;
            // A span that took no time is recorded with a nanosecond.
            let off = (sum - expected).abs();
            assert!(off < 1.001e-9 * *count as f64 + 1e-9, "{system}: {key:?}: {sum}, not {expected}");
        }
        Ok(())
    });
}

pub fn exemplars_are_spans_of_the_run(course: &Course) {
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

/// The edges that the spans of a run have, and how often: who called or told whom, and who asked which
/// database.
fn edges(spans: &[Span]) -> BTreeMap<String, u64> {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let mut edges = BTreeMap::new();
    for span in spans {
        let failed = span.status == StatusCode::Error;
        let edge = match span.kind {
            SpanKind::Server | SpanKind::Consumer => {
                let parent = by_id.get(span.parent.as_str());
                // The root has no caller that anyone knows.
                let from = parent.map_or("user", |parent| &parent.service);
                let failed = failed || parent.is_some_and(|parent| parent.status == StatusCode::Error);
                format!("{from} → {}, failed: {failed}", span.service)
            }
            SpanKind::Client => match span.text("db.namespace") {
                Some(database) => format!("{} → {database}, failed: {failed}", span.service),
                None => continue,
            },
            _ => continue,
        };
        *edges.entry(edge).or_default() += 1;
    }
    edges
}

/// The same edges as far as those who call by HTTP have measured them.
fn measured_edges(course: &Course) -> BTreeMap<String, u64> {
    let mut edges = BTreeMap::new();
    for point in course.points("http.client.request.duration") {
        let (from, to) = (&point.service, attribute(&point.attributes, "server.address"));
        let failed = point.attributes.contains_key("error.type");
        *edges.entry(format!("{from} → {to}, failed: {failed}")).or_default() += point.histogram().count;
    }
    edges
}

pub fn the_service_graph_has_the_calls_messages_and_statements(course: &Course, system: &str) {
    let expected = edges(&course.spans);
    course.collector.wait("metrics.jsonl", |exports| {
        let mut drawn = latest_sums(exports, "traces_service_graph_request_total", |labels| {
            format!("{} → {}, failed: {}", labels["client"], labels["server"], labels["failed"])
        });
        // A series begins with a zero.
        drawn.retain(|_, requests| *requests > 0);
        if drawn == expected {
            Ok(())
        } else {
            Err(format!("{system}: edges {drawn:#?}\ninstead of {expected:#?}"))
        }
    });
    let measured = measured_edges(course);
    for (edge, requests) in &measured {
        assert_eq!(expected.get(edge), Some(requests), "{system}: {edge}");
    }
    let mut check = simhost();
    let file = format!("topologies/{system}.toml");
    let topology = finish(check.current_dir(root()).args(["check", &file, "--json"])).json();
    let calls = topology["calls"].as_array().expect("calls").iter();
    let calls: BTreeSet<_> =
        calls.map(|call| format!("{} → {}", text(&call["from"]), text(&call["to"]))).collect();
    let called: BTreeSet<_> =
        measured.keys().map(|edge| edge.split(',').next().expect("an edge").to_owned()).collect();
    // A route that no load asks for calls nobody.
    let unused = if system == "checkout" { "api-gateway → inventory-service" } else { "" };
    assert_eq!(called, calls.into_iter().filter(|call| call != unused).collect(), "{system}");
}

//! Instruments of guests: what leaves is what the guest did, and what is wrong is counted.

use serde_json::{Value, json};

use crate::support::metrics::{Measured, Point};
use crate::support::{Run, World, finish};

fn world(settings: &str) -> World {
    World::of("probe", settings).measured(60_000)
}

fn measured(requests: &[&str]) -> (Run, Vec<Point>) {
    let run = world("workers = 2").virtually(requests);
    let points = run.points().into_iter().filter(|point| point.scope == "simhost.guest").collect();
    (run, points)
}

/// The last points of a metric.
#[track_caller]
fn of<'a>(points: &'a [Point], metric: &str) -> Vec<&'a Point> {
    let all: Vec<_> = points.iter().filter(|point| point.metric == metric).collect();
    let last = all.iter().map(|point| point.time).max().unwrap_or_else(|| panic!("no points of {metric}"));
    all.into_iter().filter(|point| point.time == last).collect()
}

#[track_caller]
fn only<'a>(points: &'a [Point], metric: &str) -> &'a Point {
    match of(points, metric)[..] {
        [point] => point,
        ref several => panic!("{several:?}"),
    }
}

fn sum(value: f64, is_monotonic: bool) -> Measured {
    Measured::Sum { value, is_monotonic }
}

#[test]
fn what_a_guest_measures_leaves_as_it_was_measured() {
    let (run, points) = measured(&["GET /measure", "GET /measure"]);
    assert_eq!(run.statuses(), [200, 200]);
    let counters = of(&points, "probe.counter");
    let [a, b] = counters[..] else { panic!("{counters:?}") };
    let text = |key: &str| (key.to_owned(), json!("a"));
    assert_eq!(a.attributes, [text("probe.kind"), ("probe.number".to_owned(), json!(1))].into());
    assert_eq!((&a.value, &b.value, a.unit.as_str()), (&sum(10.0, true), &sum(8.0, true), "{thing}"));
    for (metric, value) in [
        ("probe.static", sum(2.0, true)),
        ("probe.fractions", sum(1.0, true)),
        ("probe.open", sum(-4.0, false)),
        ("probe.drift", sum(-0.5, false)),
        ("probe.temperature", Measured::Gauge(-1.5)),
        ("probe.level", Measured::Gauge(-3.0)),
    ] {
        assert_eq!(only(&points, metric).value, value, "{metric}");
    }
    assert!(points.iter().all(|point| point.service == "front" && !point.is_delta));
}

#[test]
fn whole_numbers_stay_whole() {
    let (run, _) = measured(&["GET /measure"]);
    let lines: Vec<Value> = run.bytes.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let text = serde_json::to_string(&lines).expect("JSON");
    assert!(text.contains(r#""asInt":"5""#), "the counter of whole numbers");
    assert!(text.contains(r#""asDouble":0.5"#), "the counter of fractions");
}

#[test]
fn a_histogram_has_the_bounds_that_it_asks_for_or_those_of_opentelemetry() {
    let (_, points) = measured(&["GET /measure"]);
    let size = only(&points, "probe.size").histogram();
    assert_eq!((&size.bounds, &size.buckets), (&vec![1.0, 10.0], &vec![1, 3, 1]));
    assert_eq!((size.count, size.sum, size.min, size.max), (5, 28.0, 1.0, 11.0));
    let duration = only(&points, "probe.duration").histogram();
    assert_eq!((duration.bounds.len(), duration.bounds[0], duration.bounds[14]), (15, 0.0, 10_000.0));
    assert_eq!(duration.buckets.iter().position(|count| *count == 1), Some(5), "60 is over 50, not over 75");
}

#[test]
fn an_exemplar_points_to_the_span_that_was_current() {
    let (run, points) = measured(&["GET /measure"]);
    let (server, inner) = (run.span("GET /measure"), run.span("measuring"));
    let spans = |metric| {
        let exemplars = of(&points, metric).into_iter().flat_map(|point| &point.exemplars);
        exemplars.map(|exemplar| (exemplar.value, exemplar.span.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(spans("probe.size"), [(1.0, &*inner.id), (2.0, &*inner.id), (11.0, &*inner.id)]);
    assert_eq!(spans("probe.fractions"), [(0.5, &*server.id)]);
    // The first value was measured outside of the inner span, the second in it: a draw chooses.
    let [(_, first), (4.0, second)] = spans("probe.counter")[..] else { panic!("{points:?}") };
    assert!([&*server.id, &*inner.id].contains(&first) && second == inner.id);
    let all = points.iter().flat_map(|point| &point.exemplars);
    assert!(all.clone().all(|exemplar| exemplar.trace == server.trace));
    assert!(all.clone().all(|exemplar| (server.start..=server.end).contains(&exemplar.time)));
}

#[test]
fn an_exemplar_of_a_worker_that_is_ahead_leaves_with_the_point_that_is_not_before_it() {
    // It computes for longer than there is between two collections.
    let world = World::of("probe", "").measured(1).with("[run]\ncompute = \"1us\"");
    let run = world.virtually(&["GET /measure"]);
    let points = run.points().into_iter().filter(|point| point.metric == "probe.fractions");
    let points: Vec<_> = points.collect();
    let first = &points[0];
    assert_eq!((first.number(), first.exemplars.len()), (0.5, 0), "it counts at once: {points:?}");
    let at = points.iter().position(|point| !point.exemplars.is_empty()).expect("it leaves");
    let (before, point) = (&points[at - 1], &points[at]);
    let exemplar = &point.exemplars[0];
    assert!((before.time + 1..=point.time).contains(&exemplar.time), "{exemplar:?}, {point:?}");
    assert_eq!(points.iter().map(|point| point.exemplars.len()).sum::<usize>(), 1);
    for point in run.points() {
        assert!(point.exemplars.iter().all(|exemplar| exemplar.time <= point.time), "{point:?}");
    }
}

#[test]
fn what_is_misused_is_not_kept_and_said_with_its_reason() {
    let requests = ["GET /measure", "GET /misuse"];
    let (_folder, mut command) = world("").flags(&["--json"]).virtual_command(&requests);
    let misuses = finish(&mut command).json()["telemetry"]["misuses"].clone();
    let row = |instrument: &str, problem: &str, measurements: u64| {
        json!({
            "service": "front", "instrument": instrument, "instruments": 1,
            "problem": problem, "measurements": measurements,
        })
    };
    let expected = json!([
        row("probe.counter", "conflicting_instrument", 3),
        row("1st", "invalid_name", 1),
        row("probe.unit", "invalid_unit", 1),
        row("probe.description", "description_too_long", 1),
        row("probe.bounds", "invalid_bounds", 1),
        row("probe.fractions", "not_finite", 2),
        row("probe.fractions", "negative", 1),
        row("probe.temperature", "conflicting_instrument", 1),
        row("probe.counter", "invalid_attributes", 2),
    ]);
    assert_eq!(misuses, expected);
    let (_, points) = measured(&requests);
    assert_eq!(only(&points, "probe.fractions").value, sum(3.0, true));
    let counted: f64 = of(&points, "probe.counter").into_iter().map(Point::number).sum();
    assert_eq!(counted, 10.0);
}

#[test]
fn a_person_reads_what_is_misused_in_the_report() {
    let (run, points) = measured(&["GET /misuse"]);
    // Lines that are longer than the page go on below.
    let report = run.report.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "front: 3 measurements of probe.counter not kept: an instrument of this name has another kind,",
        "front: 1 measurement of 1st not kept: the name is not a letter and then",
        "front: 1 measurement of probe.fractions not kept: the value of a counter is below 0",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
    // Here the gauge is the first of its name, and its value the only one.
    assert!(report.contains("1 measurement of probe.temperature not kept: the value is not a finite"));
    assert!(points.iter().all(|point| point.metric != "probe.temperature"));
}

#[test]
fn without_metrics_instruments_do_nothing_and_cost_the_same() {
    let world = world("").with("[run]\ncompute = \"1ns\"");
    let requests = ["GET /measure", "GET /misuse"];
    let with = world.virtually(&requests);
    let without = world.env("OTEL_METRICS_EXPORTER", "none").virtually(&requests);
    assert_eq!(with.spans(), without.spans(), "what a guest computes does not depend on who looks");
    assert!(without.points().is_empty());
    assert!(!without.report.contains("not kept"), "{}", without.report);
}

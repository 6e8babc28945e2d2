//! Durations of requests: each span is one measurement, and nothing else is.

use std::collections::BTreeMap;

use simhost::clock::VIRTUAL_START;

use super::{CLIENT, Of, SECOND, SERVER, callers, exemplars, last, of, of_metric};
use crate::support::metrics::{Exemplar, Histogram, Point};
use crate::support::telemetry::Attributes;
use crate::support::{METRICS, Run, SpanKind};

const OF_SERVER: [&str; 6] = [
    "http.request.method",
    "url.scheme",
    "http.route",
    "http.response.status_code",
    "error.type",
    "network.protocol.version",
];
const OF_CLIENT: [&str; 6] = [
    "http.request.method",
    "server.address",
    "server.port",
    "http.response.status_code",
    "error.type",
    "network.protocol.version",
];

/// The durations of all spans of a kind, by the series that they belong to. A span that took no time is
/// recorded with a nanosecond.
fn durations(run: &Run, kind: SpanKind, keys: &[&str]) -> BTreeMap<Of, Vec<u64>> {
    let mut all: BTreeMap<Of, Vec<u64>> = BTreeMap::new();
    for span in run.spans().iter().filter(|span| span.kind == kind && span.scope == "simhost.bus") {
        let attributes = span.attributes.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        let attributes: Attributes = attributes.map(|(key, value)| (key.clone(), value.clone())).collect();
        all.entry(of(&span.service, &span.instance, &attributes)).or_default().push(span.duration());
    }
    all
}

/// Whether a histogram is that of these durations, but for a nanosecond of each.
#[track_caller]
fn assert_is_of(histogram: &Histogram, durations: &[u64]) {
    let near = |one: f64, other: f64, tolerance: f64| {
        assert!((one - other).abs() <= tolerance, "{one} is not {other}: {histogram:?}");
    };
    assert_eq!(histogram.count, durations.len() as u64, "{histogram:?}");
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    near(histogram.sum, seconds(durations.iter().sum()), 1.001e-9 * durations.len() as f64 + 1e-12);
    near(histogram.min, seconds(*durations.iter().min().expect("a span")), 1.001e-9);
    near(histogram.max, seconds(*durations.iter().max().expect("a span")), 1.001e-9);
    let buckets = histogram.bounds.iter().chain([&f64::INFINITY]);
    let mut below = 0;
    for (bound, count) in buckets.zip(&histogram.buckets) {
        let within = durations.iter().filter(|nanos| seconds(**nanos) <= *bound).count() as u64;
        assert_eq!(*count, within - below, "up to {bound} s: {histogram:?}");
        below = within;
    }
}

#[test]
fn histograms_are_those_of_the_spans_by_their_attributes() {
    let run = callers("").virtually(&[]);
    for (metric, kind, keys) in [(SERVER, SpanKind::Server, OF_SERVER), (CLIENT, SpanKind::Client, OF_CLIENT)]
    {
        let (spans, points) = (durations(&run, kind, &keys), last(&run, metric));
        assert_eq!(spans.keys().collect::<Vec<_>>(), points.keys().collect::<Vec<_>>(), "{metric}");
        assert!(points.keys().any(|(_, _, attributes)| attributes.contains(r#""error.type":"503""#)));
        for (series, durations) in &spans {
            assert_is_of(points[series].histogram(), durations);
        }
    }
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    let points = of_metric(&run, SERVER);
    assert!(points.iter().all(|point| point.histogram().bounds == bounds && point.unit == "s"));
}

#[test]
fn histograms_count_what_the_report_does() {
    let run = callers("").virtually(&[]);
    let report = run.json();
    let points = last(&run, SERVER);
    for row in report["routes"].as_array().expect("rows") {
        let service = row["service"].as_str().expect("a name");
        let histograms = points.values().filter(|point| point.service == service);
        let (mut count, mut errors) = (0, 0);
        for point in histograms {
            count += point.histogram().count;
            errors += point.attributes.get("error.type").map_or(0, |_| point.histogram().count);
        }
        assert_eq!(row["count"], count, "{row}");
        assert_eq!(row["errors"], errors, "{row}");
    }
}

#[test]
fn points_are_collected_at_each_interval_and_once_at_the_end() {
    let run = callers("").virtually(&[]);
    let simulated = run.json()["simulated_ns"].as_u64().expect("a number");
    let mut times: Vec<_> = of_metric(&run, SERVER).iter().map(|point| point.time - VIRTUAL_START).collect();
    times.dedup();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times, [10 * SECOND, 20 * SECOND, simulated]);
    assert!(of_metric(&run, SERVER).iter().all(|point| point.start == VIRTUAL_START && !point.is_delta));
}

#[test]
fn an_interval_longer_than_the_run_has_one_collection() {
    let run = callers("").env("OTEL_METRIC_EXPORT_INTERVAL", "3600000").virtually(&[]);
    let points = of_metric(&run, SERVER);
    assert_eq!(points.len(), last(&run, SERVER).len());
    assert!(!points.is_empty());
}

/// Whether the span of an exemplar is there, and is what the point measures.
#[track_caller]
fn assert_names_its_span(run: &Run, kind: SpanKind, point: &Point, exemplar: &Exemplar) {
    let span = run.spans().iter().find(|span| span.id == exemplar.span && span.trace == exemplar.trace);
    let span = span.unwrap_or_else(|| panic!("no span of {exemplar:?}"));
    assert_eq!((span.kind, &span.instance), (kind, &point.instance));
    for (key, value) in &point.attributes {
        assert_eq!(span.attributes.get(key), Some(value), "{key}: {span:?}");
    }
    assert!((span.duration() as f64 / 1e9 - exemplar.value).abs() < 1.001e-9, "{exemplar:?}, {span:?}");
    // It was measured since the collection before, and that was at most 10 seconds earlier.
    assert!(exemplar.time <= point.time && point.time - exemplar.time <= 10 * SECOND);
}

#[test]
fn exemplars_name_spans_whose_durations_they_have() {
    let run = callers("").virtually(&[]);
    for (metric, kind) in [(SERVER, SpanKind::Server), (CLIENT, SpanKind::Client)] {
        let points = of_metric(&run, metric);
        let mut seen = 0;
        for (point, exemplar) in exemplars(&points) {
            assert_names_its_span(&run, kind, point, exemplar);
            seen += 1;
        }
        assert!(seen > 10, "{seen} exemplars of {metric}");
        for point in &points {
            let bounds = &point.histogram().bounds;
            let buckets: Vec<_> = point
                .exemplars
                .iter()
                .map(|exemplar| bounds.partition_point(|bound| *bound < exemplar.value))
                .collect();
            assert!(buckets.is_sorted_by(|one, next| one < next), "one a bucket, in order: {buckets:?}");
            assert!(buckets.iter().all(|bucket| point.histogram().buckets[*bucket] > 0));
        }
    }
}

#[test]
fn sampling_changes_no_value_and_leaves_no_exemplars() {
    let with_sampler = |sampler: &str| callers("").env("OTEL_TRACES_SAMPLER", sampler).virtually(&[]);
    let (kept, dropped) = (with_sampler("always_on"), with_sampler("always_off"));
    assert!(dropped.spans().is_empty());
    // What leaves together is grouped by Resource.
    let sorted = |run: &Run| {
        let mut points = run.points();
        points.sort_by_key(|point| (point.time, point.service.clone(), point.instance.clone()));
        points
    };
    let mut expected = sorted(&kept);
    assert!(expected.iter().any(|point| !point.exemplars.is_empty()));
    expected.iter_mut().for_each(|point| point.exemplars.clear());
    for (point, expected) in sorted(&dropped).iter().zip(&expected) {
        assert_eq!(point, expected);
    }
    assert_eq!(dropped.points().len(), expected.len());
    let all =
        callers("").env("OTEL_TRACES_SAMPLER", "always_off").env("OTEL_METRICS_EXEMPLAR_FILTER", "always_on");
    assert!(all.virtually(&[]).points().iter().any(|point| !point.exemplars.is_empty()));
}

#[test]
fn deltas_add_up_to_the_cumulative_points() {
    let with = |preference: &str| {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        callers("").env(name, preference).virtually(&[])
    };
    let (cumulative, delta) = (with("cumulative"), with("delta"));
    for metric in [SERVER, CLIENT] {
        let mut sums: BTreeMap<Of, Histogram> = BTreeMap::new();
        let mut ends: BTreeMap<Of, u64> = BTreeMap::new();
        for point in of_metric(&delta, metric) {
            let series = of(&point.service, &point.instance, &point.attributes);
            assert!(point.is_delta && point.start >= ends.get(&series).copied().unwrap_or(VIRTUAL_START));
            ends.insert(series.clone(), point.time);
            let histogram = point.histogram();
            let sum = sums.entry(series).or_insert_with(|| Histogram {
                buckets: vec![0; histogram.buckets.len()],
                ..Histogram::default()
            });
            sum.count += histogram.count;
            sum.sum += histogram.sum;
            sum.buckets.iter_mut().zip(&histogram.buckets).for_each(|(sum, count)| *sum += count);
        }
        let last = last(&cumulative, metric);
        assert_eq!(sums.len(), last.len());
        for (series, point) in last {
            let (sum, all) = (&sums[&series], point.histogram());
            assert_eq!((sum.count, &sum.buckets), (all.count, &all.buckets));
            assert!((sum.sum - all.sum).abs() < 1e-9);
        }
    }
    let active = of_metric(&delta, "http.server.active_requests");
    assert!(!active.is_empty() && active.iter().all(|point| !point.is_delta));
}

#[test]
fn paths_without_spans_are_measured_all_the_same() {
    let run = callers("[telemetry]\nexclude = [\"/spans\"]").virtually(&[]);
    assert!(run.of("back", SpanKind::Server).is_empty());
    let counts = last(&run, SERVER).into_values().filter(|point| point.service == "back");
    assert_eq!(counts.map(|point| point.histogram().count).sum::<u64>(), 1_000);
}

/// Whether exponential buckets are those of these durations. One of no time is recorded with a nanosecond.
#[track_caller]
fn assert_buckets_are_of(histogram: &Histogram, durations: &[u64]) {
    let (scale, offset, counts, zeros) = histogram.exponential.clone().expect("exponential buckets");
    assert!((-10..=20).contains(&scale) && counts.len() <= 160, "{histogram:?}");
    assert_eq!(zeros, durations.iter().filter(|nanos| **nanos <= 1).count() as u64, "{histogram:?}");
    let bound = |index: i32| libm::exp2(f64::from(index) * libm::exp2(f64::from(-scale)));
    let seconds = || durations.iter().filter(|nanos| **nanos > 1).map(|nanos| *nanos as f64 / 1e9);
    for (at, count) in (offset..).zip(&counts) {
        let (low, high) = (bound(at), bound(at + 1));
        let within = seconds().filter(|took| low < *took && *took <= high).count() as u64;
        assert_eq!(*count, within, "from {low} to {high}: {histogram:?}");
    }
    assert_eq!(counts.iter().sum::<u64>() + zeros, durations.len() as u64);
}

#[test]
fn exponential_histograms_are_those_of_the_spans() {
    let name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let run = callers("").env(name, "base2_exponential_bucket_histogram").virtually(&[]);
    let (spans, explicit) =
        (durations(&run, SpanKind::Server, &OF_SERVER), last(&callers("").virtually(&[]), SERVER));
    let points = last(&run, SERVER);
    assert_eq!(spans.keys().collect::<Vec<_>>(), points.keys().collect::<Vec<_>>());
    let mut scales = Vec::new();
    for (series, point) in points {
        let (exponential, explicit) = (point.histogram(), explicit[&series].histogram());
        let of = |histogram: &Histogram| (histogram.count, histogram.sum, histogram.min, histogram.max);
        assert_eq!(of(exponential), of(explicit));
        assert_buckets_are_of(exponential, &spans[&series]);
        scales.extend(exponential.exponential.as_ref().map(|(scale, ..)| *scale));
    }
    assert!(scales.iter().any(|scale| *scale < 20), "some series have values far apart: {scales:?}");
}

#[test]
fn exponential_histograms_have_an_exemplar_of_each_measurement_up_to_twenty() {
    let name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let run = callers("").env(name, "base2_exponential_bucket_histogram").virtually(&[]);
    let points = of_metric(&run, SERVER);
    let mut counts: BTreeMap<Of, u64> = BTreeMap::new();
    for point in &points {
        let series = of(&point.service, &point.instance, &point.attributes);
        let before = counts.insert(series, point.histogram().count).unwrap_or(0);
        let measured = point.histogram().count - before;
        assert_eq!(point.exemplars.len() as u64, measured.min(20), "{point:?}");
    }
    for (point, exemplar) in exemplars(&points) {
        assert_names_its_span(&run, SpanKind::Server, point, exemplar);
    }
}

#[test]
fn without_metrics_none_are_made_and_the_digest_is_another() {
    let digest = |run: &Run| run.json()["digest"].as_str().expect("a digest").to_owned();
    let with = callers("").virtually(&[]);
    let without = callers("").env(METRICS, "none").virtually(&[]);
    assert!(without.points().is_empty());
    assert_eq!(without.spans(), with.spans());
    assert_ne!(digest(&without), digest(&with));
}

#[test]
fn the_same_seed_has_the_same_metrics() {
    let with = |flags: &[&str]| callers("").flags(flags).virtually(&[]);
    assert_eq!(with(&[]).bytes, with(&[]).bytes);
    let (one, other) = (with(&["--shards", "2"]), with(&["--shards", "2"]));
    assert_eq!(one.bytes, other.bytes);
    let instances: std::collections::BTreeSet<_> = one
        .points()
        .into_iter()
        .filter(|point| point.service == "back")
        .map(|point| point.instance)
        .collect();
    assert_eq!(instances.len(), 4, "two replicas in each of two worlds");
}

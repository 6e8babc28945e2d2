//! The instruments of guests over a whole run: as deltas, with exponential histograms, and over several
//! worlds, compared with the spans and with the cumulative run.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::metrics::{Histogram, Measured, Point};
use crate::support::{Run, SpanKind, World};

const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
const AGGREGATION: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
const EXPONENTIAL: &str = "base2_exponential_bucket_histogram";

/// Two loads for 25 seconds, whose orders `front` counts; metrics are collected each 10 seconds.
fn shop() -> World {
    let front = "config.place = { route = \"GET /orders/{channel}\", metrics = { \
                 \"orders.placed\" = \"counter 2 {order} channel={channel}\", \
                 \"orders.items\" = \"histogram 1..9 {item} channel={channel}\", \
                 \"orders.level\" = \"gauge 0.5..1.5 channel={channel}\" } }";
    let load = |channel: &str, rate: u32| {
        format!(
            "[[load]]\nname = \"{channel}\"\nto = \"front\"\narrivals = {{ poisson = \"{rate}/s\" }}\n\
             request = {{ path = \"/orders/{channel}\" }}"
        )
    };
    let world = World::of_services(&[("front", front)]).with(&load("web", 20)).with(&load("app", 7));
    world.measured(10_000).flags(&["--for", "25s"])
}

/// What tells a series apart: metric, instance, channel.
type Series = (String, String, String);

/// The points of the guest's instruments by series, in their order.
fn series(run: &Run) -> BTreeMap<Series, Vec<Point>> {
    let mut all: BTreeMap<Series, Vec<Point>> = BTreeMap::new();
    for point in run.points().into_iter().filter(|point| point.scope == "simhost.guest") {
        let channel = point.attributes["channel"].as_str().expect("a text").to_owned();
        all.entry((point.metric.clone(), point.instance.clone(), channel)).or_default().push(point);
    }
    all
}

/// The orders of a channel at an instance, as the spans have them.
fn orders(run: &Run, instance: &str, channel: &str) -> usize {
    let path = format!("/orders/{channel}");
    let spans = run.of("front", SpanKind::Server).into_iter();
    spans.filter(|span| span.instance == instance && span.text("url.path") == Some(&path)).count()
}

/// Sums and histograms are those of the spans.
fn assert_counts_all(run: &Run, series: &BTreeMap<Series, Vec<Point>>) {
    for ((metric, instance, channel), points) in series {
        let expected = orders(run, instance, channel) as u64;
        assert!(expected > 50, "{expected} orders of {channel}");
        match &points.last().expect("a point").value {
            Measured::Sum { value, is_monotonic } => {
                assert_eq!((*value, *is_monotonic), (2.0 * expected as f64, true), "{metric}");
            }
            Measured::Histogram(histogram) => assert_eq!(histogram.count, expected, "{metric}"),
            Measured::Gauge(level) => assert!((0.5..1.5).contains(level), "{metric}: {level}"),
        }
    }
}

#[test]
fn what_guests_count_is_what_the_spans_have() {
    let run = shop().virtually(&[]);
    let all = series(&run);
    assert_eq!(all.len(), 6, "three instruments, two channels");
    assert!(all.values().all(|points| points.len() == 3 && points.iter().all(|point| !point.is_delta)));
    assert_counts_all(&run, &all);
}

#[test]
fn what_guests_count_in_several_worlds_is_merged_in_one_order() {
    let with = |flags: &[&str]| shop().flags(flags).virtually(&[]);
    let (run, again) = (with(&["--shards", "2"]), with(&["--shards", "2"]));
    assert_eq!(run.bytes, again.bytes);
    let (all, alone) = (series(&run), series(&with(&[])));
    assert_counts_all(&run, &all);
    let instances: BTreeSet<_> = all.keys().map(|(_, instance, _)| instance.clone()).collect();
    assert_eq!((instances.len(), all.len()), (2, 2 * alone.len()));
    // The first world is the run with one.
    for (series, points) in &alone {
        assert_eq!(&all[series], points, "{series:?}");
    }
    for points in all.values() {
        assert!(points.is_sorted_by(|one, next| one.time < next.time), "{points:?}");
    }
}

/// The points of a series, as deltas, added up.
fn added_up(points: &[Point]) -> Measured {
    let mut sum = points[0].value.clone();
    for (before, point) in points.iter().zip(&points[1..]) {
        assert!(point.time > before.time, "{point:?}");
        assert!(!point.is_delta || point.start >= before.time, "{point:?}");
        match (&mut sum, &point.value) {
            (Measured::Sum { value: sum, .. }, Measured::Sum { value, .. }) => *sum += value,
            (Measured::Histogram(sum), Measured::Histogram(histogram)) => add(sum, histogram),
            (sum, Measured::Gauge(value)) => *sum = Measured::Gauge(*value),
            other => panic!("{other:?}"),
        }
    }
    sum
}

fn add(sum: &mut Histogram, other: &Histogram) {
    sum.count += other.count;
    sum.sum += other.sum;
    (sum.min, sum.max) = (sum.min.min(other.min), sum.max.max(other.max));
    sum.buckets.iter_mut().zip(&other.buckets).for_each(|(sum, count)| *sum += count);
}

#[test]
fn deltas_of_guests_instruments_add_up_to_what_is_cumulative() {
    let cumulative = series(&shop().virtually(&[]));
    let deltas = series(&shop().env(TEMPORALITY, "delta").virtually(&[]));
    assert!(deltas.keys().eq(cumulative.keys()));
    for (of, points) in &deltas {
        assert!(points.iter().all(|point| point.is_delta != (of.0 == "orders.level")), "{of:?}");
        assert_eq!(added_up(points), cumulative[of].last().expect("a point").value, "{of:?}");
    }
}

#[test]
fn exponential_histograms_of_guests_have_the_same_values_in_other_buckets() {
    let explicit = series(&shop().virtually(&[]));
    let with = |preference: &str| {
        series(&shop().env(AGGREGATION, EXPONENTIAL).env(TEMPORALITY, preference).virtually(&[]))
    };
    let (cumulative, deltas) = (with("cumulative"), with("delta"));
    for (of, points) in &explicit {
        let last = points.last().expect("a point");
        let Measured::Histogram(expected) = &last.value else {
            assert_eq!(cumulative[of].last(), Some(last), "only histograms differ");
            continue;
        };
        let Measured::Histogram(delta) = added_up(&deltas[of]) else { panic!("{of:?} is no histogram") };
        for histogram in [cumulative[of].last().expect("a point").histogram(), &delta] {
            let values =
                |histogram: &Histogram| (histogram.count, histogram.sum, histogram.min, histogram.max);
            assert_eq!(values(histogram), values(expected), "{of:?}");
        }
        for point in cumulative[of].iter().chain(&deltas[of]) {
            let histogram = point.histogram();
            let (scale, offset, counts, zeros) = histogram.exponential.clone().expect("exponential buckets");
            assert_eq!(counts.iter().sum::<u64>() + zeros, histogram.count);
            let bound =
                |index: usize| libm::exp2((f64::from(offset) + index as f64) * libm::exp2(f64::from(-scale)));
            assert!(bound(0) <= histogram.min && histogram.max <= bound(counts.len()) * (1.0 + 1e-9));
        }
    }
}

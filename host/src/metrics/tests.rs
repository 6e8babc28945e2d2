use std::num::{NonZeroU64, NonZeroU128};

use super::*;
use crate::context::{SpanId, TraceId};
use crate::telemetry::console::text::grouped;
use crate::telemetry::env::TemporalityPreference;
use crate::telemetry::record::{Instrument, Number, NumberPoint, Points, Scope, Temporality};

const SECOND: Nanos = 1_000_000_000;
const START: Nanos = 1_000 * SECOND;
const REPLICA: ResourceId = ResourceId(7);

fn metrics(temporality: TemporalityPreference) -> Metrics {
    Metrics::new(Settings { temporality, ..Settings::default() }, 42, REPLICA, START)
}

fn origin(time: Nanos) -> Origin {
    let span_id = SpanId(NonZeroU64::new(time).expect("time is not zero"));
    Origin { trace_id: TraceId(NonZeroU128::MIN), span_id, is_sampled: true, time }
}

/// A request that took `took` has ended at `now` with this status.
fn serve(metrics: &Metrics, status: u16, took: Nanos, now: Nanos) {
    let key = RequestKey { place: 0, method: 0, version: HttpVersion::Http11, status, error: None };
    let attributes = || [KeyValue::new("http.response.status_code", i64::from(status))].into();
    metrics.served(
        metrics.incarnation(REPLICA),
        key,
        attributes,
        Ended { took, sizes: None, origin: origin(now) },
    );
}

fn collect(metrics: &Metrics, now: Nanos) -> Vec<MetricRecord> {
    let mut records = Vec::new();
    metrics.collect(REPLICA, Some(Observed::default()), now, &mut |record| records.push(record));
    records
}

fn snapshot(metrics: &Metrics, now: Nanos) -> Vec<MetricRecord> {
    let mut snapshot = Snapshot::default();
    metrics.snapshot(REPLICA, Some(Observed::default()), false, now, &mut snapshot);
    snapshot.records
}

fn find<'a>(records: &'a [MetricRecord], name: &str) -> Option<&'a MetricRecord> {
    records.iter().find(|record| *record.instrument.name == *name)
}

/// Counts and sums of a histogram's points.
fn points(records: &[MetricRecord], name: &str) -> Vec<(u64, f64)> {
    let Some(record) = find(records, name) else { return Vec::new() };
    let Points::Histogram { points, .. } = &record.points else { panic!("{name} is a histogram") };
    points.iter().map(|point| (point.summary.count, point.summary.sum.expect("a sum"))).collect()
}

fn number(records: &[MetricRecord], name: &str) -> Option<Number> {
    match &find(records, name)?.points {
        Points::Gauge(points) | Points::Sum { points, .. } => points.first().map(|point| point.value),
        _ => panic!("{name} is a number"),
    }
}

const DURATION: &str = "http.server.request.duration";

#[test]
fn cumulative_points_count_from_the_beginning_and_deltas_from_the_last_collection() {
    for (preference, expected) in [
        (
            TemporalityPreference::Cumulative,
            [vec![(2, 3.0)], vec![(2, 3.0), (1, 0.5)], vec![(2, 3.0), (1, 0.5)]],
        ),
        (TemporalityPreference::Delta, [vec![(2, 3.0)], vec![(1, 0.5)], vec![]]),
    ] {
        let metrics = metrics(preference);
        let at = |seconds| START + seconds * SECOND;
        serve(&metrics, 200, SECOND, at(1));
        serve(&metrics, 200, 2 * SECOND, at(2));
        let first = collect(&metrics, at(10));
        serve(&metrics, 503, SECOND / 2, at(12));
        let second = collect(&metrics, at(20));
        let third = collect(&metrics, at(30));
        let all = [&first, &second, &third];
        assert_eq!(all.map(|records| points(records, DURATION)), expected, "{preference:?}");
        let starts = all.map(|records| find(records, DURATION).map(|record| record.start));
        match preference {
            TemporalityPreference::Cumulative => assert_eq!(starts, [Some(START); 3]),
            _ => assert_eq!(starts, [Some(START), Some(at(10)), None]),
        }
        assert!(all.iter().flat_map(|records| records.iter()).all(|record| record.start <= record.time));
    }
}

#[test]
fn exemplars_lie_within_the_interval_of_their_point() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    serve(&metrics, 200, SECOND, START + SECOND);
    let exemplars = |records: &[MetricRecord]| match &find(records, DURATION).expect("it leaves").points {
        Points::Histogram { points, .. } => points[0].exemplars.clone(),
        other => panic!("{other:?}"),
    };
    let first = exemplars(&collect(&metrics, START + 10 * SECOND));
    assert_eq!(first.iter().map(|exemplar| exemplar.value).collect::<Vec<_>>(), [Number::Float(1.0)]);
    assert!(exemplars(&collect(&metrics, START + 20 * SECOND)).is_empty());
}

#[test]
fn a_process_that_died_begins_anew_and_leaves_nothing_while_it_is_down() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let at = |seconds| START + seconds * SECOND;
    serve(&metrics, 200, SECOND, at(1));
    metrics.began(metrics.incarnation(REPLICA), 0, Arc::default);
    metrics.change(REPLICA, Change::Died(at(25)), at(2));
    assert!(collect(&metrics, at(10)).is_empty());
    metrics.change(REPLICA, Change::Returns(at(15)), at(15));
    let records = collect(&metrics, at(20));
    assert_eq!(points(&records, DURATION), []);
    assert_eq!(number(&records, "http.server.active_requests"), None);
    assert_eq!(number(&records, "process.uptime"), Some(Number::Float(5.0)));
    assert_eq!(number(&records, "simhost.process.restarts"), Some(Number::Int(1)));
    assert_eq!(find(&records, "process.memory.usage").map(|record| record.start), Some(at(15)));
    assert_eq!(find(&records, "simhost.process.restarts").map(|record| record.start), Some(START));
    // It is up: only its death changes when it began.
    metrics.change(REPLICA, Change::Returns(at(30)), at(30));
    assert_eq!(number(&collect(&metrics, at(40)), "process.uptime"), Some(Number::Float(25.0)));
}

#[test]
fn what_is_measured_for_a_dead_process_counts_for_nothing() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let process = metrics.incarnation(REPLICA);
    let counter = metrics.instrument(process, definition("orders", GuestKind::Counter));
    metrics.change(REPLICA, Change::Died(START + SECOND), START + SECOND);
    let key = RequestKey { place: 0, method: 0, version: HttpVersion::Http11, status: 200, error: None };
    let ended = || Ended { took: SECOND, sizes: None, origin: origin(START + SECOND) };
    metrics.served(process, key, Arc::default, ended());
    metrics.sent(process, key, Arc::default, ended());
    metrics.began(process, 0, Arc::default);
    metrics.ended(process, 0, SECOND);
    metrics.waited(process, SECOND);
    metrics.policies(process, 0, Arc::default, PolicyCounts { retries: 1, ..PolicyCounts::default() });
    metrics.breaker(process, 0, Arc::default, 0, |_| Default::default());
    metrics.record(process, counter, Measured::Float(1.0), Vec::new(), None);
    metrics.record(process, counter, Measured::Float(-1.0), Vec::new(), None);
    let late = metrics.instrument(process, definition("late", GuestKind::Counter));
    metrics.record(process, late, Measured::Float(1.0), Vec::new(), None);
    let records = collect(&metrics, START + 2 * SECOND);
    let names: Vec<_> = records.iter().map(|record| &*record.instrument.name).collect();
    let expected = [
        "simhost.queue.length",
        "simhost.worker.count",
        "simhost.worker.busy",
        "process.memory.usage",
        "process.uptime",
        "simhost.process.restarts",
    ];
    assert_eq!((names, misused(&metrics)), (expected.to_vec(), Vec::new()));
}

#[test]
fn what_may_shrink_is_cumulative_under_every_preference_and_what_is_observed_under_lowmemory() {
    let temporality = |preference, name| {
        let metrics = metrics(preference);
        metrics.began(metrics.incarnation(REPLICA), 0, Arc::default);
        metrics.ended(metrics.incarnation(REPLICA), 0, SECOND);
        match find(&collect(&metrics, START + SECOND), name).expect("it leaves").points {
            Points::Sum { temporality, is_monotonic, .. } => (temporality, is_monotonic),
            ref other => panic!("{other:?}"),
        }
    };
    for preference in
        [TemporalityPreference::Cumulative, TemporalityPreference::Delta, TemporalityPreference::LowMemory]
    {
        let active = temporality(preference, "http.server.active_requests");
        assert_eq!(active, (Temporality::Cumulative, false), "{preference:?}");
    }
    let cpu = |preference| temporality(preference, "process.cpu.time");
    assert_eq!(cpu(TemporalityPreference::Delta), (Temporality::Delta, true));
    assert_eq!(cpu(TemporalityPreference::LowMemory), (Temporality::Cumulative, true));
}

#[test]
fn a_process_that_is_replaced_leaves_its_metrics_a_last_time() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let at = |seconds| START + seconds * SECOND;
    serve(&metrics, 200, SECOND, at(1));
    metrics.change(REPLICA, Change::Replaced, at(5));
    assert_eq!(points(&collect(&metrics, at(10)), DURATION), [(1, 1.0)]);
    assert!(collect(&metrics, at(20)).is_empty());
    metrics.change(REPLICA, Change::Deployed(at(25)), at(25));
    serve(&metrics, 200, 2 * SECOND, at(28));
    let records = collect(&metrics, at(30));
    assert_eq!(points(&records, DURATION), [(1, 2.0)]);
    assert_eq!(find(&records, DURATION).map(|record| record.start), Some(at(25)));
    assert_eq!(number(&records, "simhost.process.restarts"), None);
}

fn definition(name: &str, kind: GuestKind) -> Definition {
    let instrument = Instrument { name: name.to_owned().into(), unit: "1".into(), description: "".into() };
    let bounds = if kind == GuestKind::Histogram { vec![1.0, 10.0] } else { Vec::new() };
    Definition { instrument, kind, is_whole: false, bounds }
}

/// The misuses so far: instrument, what it is, how many measurements.
fn misused(metrics: &Metrics) -> Vec<(String, Misuse, u64)> {
    let all = metrics.misused().into_iter();
    all.map(|one| (one.instrument.to_string(), one.misuse, one.measurements)).collect()
}

#[test]
fn guests_have_instruments_within_bounds() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let counter = metrics.instrument(metrics.incarnation(REPLICA), definition("orders", GuestKind::Counter));
    for name in ["orders", "Orders"] {
        assert_eq!(
            metrics.instrument(metrics.incarnation(REPLICA), definition(name, GuestKind::Counter)),
            counter
        );
    }
    let mut further = definition("orders", GuestKind::Counter);
    further.instrument.description = "another one".into();
    assert_eq!(
        metrics.instrument(metrics.incarnation(REPLICA), further.clone()),
        counter,
        "the first description stands"
    );
    further.instrument.unit = "s".into();
    let whole = Definition { is_whole: true, ..definition("orders", GuestKind::Counter) };
    for conflict in [further, whole, definition("orders", GuestKind::Gauge)] {
        let conflict = metrics.instrument(metrics.incarnation(REPLICA), conflict);
        metrics.record(metrics.incarnation(REPLICA), conflict, Measured::Float(1.0), Vec::new(), None);
    }
    for number in 1..INSTRUMENTS + 3 {
        metrics.instrument(
            metrics.incarnation(REPLICA),
            definition(&format!("other.{number}"), GuestKind::Gauge),
        );
    }
    let expected = [("orders".to_owned(), Misuse::Conflict, 3), ("other.100".to_owned(), Misuse::TooMany, 0)];
    assert_eq!(misused(&metrics), expected);
    let records = collect(&metrics, START + SECOND);
    assert!(records.iter().all(|record| record.scope != Scope::Guest), "without values there are no points");
}

#[test]
fn values_that_an_instrument_cannot_take_count_for_nothing() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let counter = metrics.instrument(metrics.incarnation(REPLICA), definition("orders", GuestKind::Counter));
    let gauge = metrics.instrument(metrics.incarnation(REPLICA), definition("load", GuestKind::Gauge));
    let process = metrics.incarnation(REPLICA);
    let record = |id, value| metrics.record(process, id, Measured::Float(value), Vec::new(), None);
    for value in [f64::NAN, f64::INFINITY, -1.0, 1.5, 2.0] {
        record(counter, value);
    }
    record(gauge, -3.0);
    record(gauge, f64::NEG_INFINITY);
    let expected = [
        ("orders".to_owned(), Misuse::NotFinite, 2),
        ("orders".to_owned(), Misuse::Negative, 1),
        ("load".to_owned(), Misuse::NotFinite, 1),
    ];
    assert_eq!(misused(&metrics), expected);
    let records = collect(&metrics, START + SECOND);
    assert_eq!(number(&records, "orders"), Some(Number::Float(3.5)));
    assert_eq!(number(&records, "load"), Some(Number::Float(-3.0)));
    metrics.change(REPLICA, Change::Died(START + SECOND), START + SECOND);
    record(counter, 1.0);
    assert_eq!(misused(&metrics), expected, "what dies with its process is no misuse");
}

#[test]
fn each_delta_of_fractions_is_the_sum_of_its_interval() {
    let metrics = metrics(TemporalityPreference::Delta);
    let counter = metrics.instrument(metrics.incarnation(REPLICA), definition("weight", GuestKind::Counter));
    let histogram =
        metrics.instrument(metrics.incarnation(REPLICA), definition("weights", GuestKind::Histogram));
    let expected: f64 = (0..20).map(|_| 0.1).sum();
    for interval in 1..=500 {
        for _ in 0..20 {
            metrics.record(metrics.incarnation(REPLICA), counter, Measured::Float(0.1), Vec::new(), None);
            metrics.record(metrics.incarnation(REPLICA), histogram, Measured::Float(0.1), Vec::new(), None);
        }
        let records = collect(&metrics, START + interval * SECOND);
        assert_eq!(number(&records, "weight"), Some(Number::Float(expected)), "{interval}");
        assert_eq!(points(&records, "weights"), [(20, expected)], "{interval}");
    }
    let cumulative = number(&snapshot(&metrics, START + 501 * SECOND), "weight");
    let Some(Number::Float(sum)) = cumulative else { panic!("{cumulative:?}") };
    assert!((sum - 1_000.0).abs() < 1e-6, "{sum}");
}

#[test]
fn a_snapshot_changes_nothing() {
    for temporality in [TemporalityPreference::Cumulative, TemporalityPreference::Delta] {
        let [seen, unseen] = [(); 2].map(|()| metrics(temporality));
        for metrics in [&seen, &unseen] {
            serve(metrics, 200, SECOND, START + 1);
            let gauge =
                metrics.instrument(metrics.incarnation(REPLICA), definition("load", GuestKind::Gauge));
            metrics.record(
                metrics.incarnation(REPLICA),
                gauge,
                Measured::Float(1.5),
                Vec::new(),
                Some(origin(START + 2)),
            );
        }
        let now = START + SECOND;
        let [one, other] = [(); 2].map(|()| format!("{:?}", snapshot(&seen, now)));
        assert_eq!(one, other);
        assert!(one.contains("span_id"), "it has exemplars: {one}");
        assert_eq!(format!("{:?}", collect(&seen, now)), format!("{:?}", collect(&unseen, now)));
    }
}

#[test]
fn a_series_takes_what_the_reference_says() {
    let reference = std::fs::read_to_string("../docs/reference/bounds.md").expect("it is there");
    let bytes = |aggregation, temporality| {
        let shape = Shape::of(&Settings { aggregation, temporality, ..Settings::default() });
        grouped(histogram::Histogram::bytes(shape, DURATIONS.len()) as u64)
    };
    let [explicit, exponential] =
        [HistogramAggregation::Explicit, HistogramAggregation::Exponential].map(|of| {
            let [cumulative, delta] =
                [TemporalityPreference::Cumulative, TemporalityPreference::Delta].map(|when| bytes(of, when));
            format!("{cumulative} bytes, {delta} where deltas leave")
        });
    let said = format!("{explicit}; with exponential buckets {exponential}");
    assert!(reference.contains(&said), "the reference does not say: {said}");
}

#[test]
fn a_sum_stays_a_finite_number() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let counter = metrics.instrument(metrics.incarnation(REPLICA), definition("orders", GuestKind::Counter));
    (0..3).for_each(|_| {
        metrics.record(metrics.incarnation(REPLICA), counter, Measured::Float(f64::MAX), Vec::new(), None)
    });
    assert_eq!(number(&collect(&metrics, START + SECOND), "orders"), Some(Number::Float(f64::MAX)));
}

/// The attributes and values of a counter's points, and the misuses, after `sets` measurements of 1 whose
/// attributes `attributes` gives.
fn flood(sets: usize, attributes: impl Fn(usize) -> Vec<KeyValue>) -> (Vec<NumberPoint>, Vec<(Misuse, u64)>) {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let definition = Definition { is_whole: true, ..definition("orders", GuestKind::Counter) };
    let counter = metrics.instrument(metrics.incarnation(REPLICA), definition);
    for number in 0..sets {
        metrics.record(metrics.incarnation(REPLICA), counter, Measured::Whole(1), attributes(number), None);
    }
    let records = collect(&metrics, START + SECOND);
    let points = match records.into_iter().find(|record| *record.instrument.name == *"orders") {
        Some(MetricRecord { points: Points::Sum { points, .. }, .. }) => points,
        _ => Vec::new(),
    };
    (points, misused(&metrics).into_iter().map(|(_, misuse, times)| (misuse, times)).collect())
}

fn total(points: &[NumberPoint]) -> i64 {
    let whole = |point: &NumberPoint| match point.value {
        Number::Int(value) => value,
        Number::Float(value) => panic!("{value} is no whole number"),
    };
    points.iter().map(whole).sum()
}

#[test]
fn a_flood_of_attribute_sets_shares_one_and_loses_no_value() {
    let (points, misused) = flood(3_000, |number| vec![KeyValue::new("order", number as i64)]);
    assert_eq!((points.len(), total(&points)), (ATTRIBUTE_SETS + 1, 3_000));
    assert_eq!(misused, [(Misuse::Sets, 1_000)]);
    let overflow = points.last().expect("there are points");
    assert_eq!(
        (&*overflow.attributes, overflow.value),
        (&[KeyValue::new(OVERFLOW, true)][..], Number::Int(1_000))
    );
}

#[test]
fn large_attribute_sets_have_a_bound_in_bytes() {
    let large = |number| vec![KeyValue::new("order", "x".repeat(65_530) + &format!("{number:06}"))];
    let (points, misused) = flood(1_000, large);
    assert_eq!(total(&points), 1_000);
    assert!((200..257).contains(&points.len()), "of 64 KiB each: {}", points.len());
    assert_eq!(misused, [(Misuse::Bytes, 1_001 - points.len() as u64)]);
}

#[test]
fn what_are_no_attributes_is_refused() {
    let many = |number| (0..=128 + number as i64).map(|key| KeyValue::new(key.to_string(), 1)).collect();
    assert_eq!(flood(3, many), (Vec::new(), vec![(Misuse::Attributes, 3)]));
    assert_eq!(flood(1, |_| vec![KeyValue::new("", 1)]), (Vec::new(), vec![(Misuse::Attributes, 1)]));
}

#[test]
fn servers_outside_have_numbers_of_their_own_within_a_bound() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    assert_eq!(["http://a", "http://b", "http://a"].map(|base| metrics.external(base)), [0, 1, 0].map(Some));
    assert_eq!(metrics.external_at(1).as_deref(), Some("http://b"));
    for number in 2..ATTRIBUTE_SETS {
        metrics.external(&format!("http://{number}"));
    }
    assert_eq!(metrics.external("http://one-more"), None);
}

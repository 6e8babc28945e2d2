use std::num::{NonZeroU64, NonZeroU128};

use super::*;
use crate::context::{SpanId, TraceId};
use crate::telemetry::env::TemporalityPreference;
use crate::telemetry::record::{Instrument, Number, Points, Temporality};

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
    metrics.served(REPLICA, key, attributes, Ended { took, sizes: None, origin: origin(now) });
}

fn collect(metrics: &Metrics, now: Nanos) -> Vec<MetricRecord> {
    let mut records = Vec::new();
    metrics.collect(REPLICA, Some(Observed::default()), now, &mut |record| records.push(record));
    records
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
    metrics.began(REPLICA, 0, Arc::default);
    metrics.died(REPLICA, at(25), at(2));
    assert!(collect(&metrics, at(10)).is_empty());
    metrics.comes_up(REPLICA, at(15), at(15));
    let records = collect(&metrics, at(20));
    assert_eq!(points(&records, DURATION), []);
    assert_eq!(number(&records, "http.server.active_requests"), None);
    assert_eq!(number(&records, "process.uptime"), Some(Number::Float(5.0)));
    assert_eq!(number(&records, "simhost.process.restarts"), Some(Number::Int(1)));
    assert_eq!(find(&records, "process.memory.usage").map(|record| record.start), Some(at(15)));
    assert_eq!(find(&records, "simhost.process.restarts").map(|record| record.start), Some(START));
    // It is up: only its death changes when it began.
    metrics.comes_up(REPLICA, at(30), at(30));
    assert_eq!(number(&collect(&metrics, at(40)), "process.uptime"), Some(Number::Float(25.0)));
}

#[test]
fn what_may_shrink_is_cumulative_under_every_preference_and_what_is_observed_under_lowmemory() {
    let temporality = |preference, name| {
        let metrics = metrics(preference);
        metrics.began(REPLICA, 0, Arc::default);
        metrics.computed(REPLICA, SECOND);
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
    metrics.retire(REPLICA);
    assert_eq!(points(&collect(&metrics, at(10)), DURATION), [(1, 1.0)]);
    assert!(collect(&metrics, at(20)).is_empty());
    metrics.deploy(REPLICA, at(25));
    serve(&metrics, 200, 2 * SECOND, at(28));
    let records = collect(&metrics, at(30));
    assert_eq!(points(&records, DURATION), [(1, 2.0)]);
    assert_eq!(find(&records, DURATION).map(|record| record.start), Some(at(25)));
    assert_eq!(number(&records, "simhost.process.restarts"), None);
}

fn described(name: &'static str, kind: GuestKind) -> Described {
    let instrument = Instrument { name: name.into(), unit: "1".into(), description: "".into() };
    Described { instrument, kind, bounds: Vec::new() }
}

#[test]
fn guests_have_instruments_within_bounds() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let counter = metrics.instrument(REPLICA, described("orders", GuestKind::Counter));
    assert_eq!(metrics.instrument(REPLICA, described("orders", GuestKind::Counter)), counter);
    let conflict = metrics.instrument(REPLICA, described("orders", GuestKind::Gauge));
    assert_eq!(conflict, Err(Refused::Conflict));
    let names: Vec<String> = (1..INSTRUMENTS).map(|number| format!("other.{number}")).collect();
    for name in names {
        let instrument = Instrument { name: name.into(), unit: "1".into(), description: "".into() };
        let more = Described { instrument, kind: GuestKind::Gauge, bounds: Vec::new() };
        assert!(metrics.instrument(REPLICA, more).is_ok());
    }
    let one_more = metrics.instrument(REPLICA, described("one.more", GuestKind::Gauge));
    assert_eq!(one_more, Err(Refused::TooMany));
}

#[test]
fn values_that_an_instrument_cannot_take_count_for_nothing() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    let counter = metrics.instrument(REPLICA, described("orders", GuestKind::Counter)).expect("room");
    let gauge = metrics.instrument(REPLICA, described("load", GuestKind::Gauge)).expect("room");
    let record = |id, value| metrics.record(REPLICA, id, value, Vec::new(), None);
    for (value, rejected) in
        [(f64::NAN, Rejected::NotFinite), (f64::INFINITY, Rejected::NotFinite), (-1.0, Rejected::Negative)]
    {
        assert_eq!(record(counter, value), Err(rejected));
    }
    assert_eq!([record(counter, 1.5), record(counter, 2.0), record(gauge, -3.0)], [Ok(()); 3]);
    let records = collect(&metrics, START + SECOND);
    assert_eq!(number(&records, "orders"), Some(Number::Float(3.5)));
    assert_eq!(number(&records, "load"), Some(Number::Float(-3.0)));
    metrics.died(REPLICA, START + SECOND, START + SECOND);
    assert_eq!(record(counter, 1.0), Err(Rejected::Gone));
}

#[test]
fn servers_outside_have_numbers_of_their_own_within_a_bound() {
    let metrics = metrics(TemporalityPreference::Cumulative);
    assert_eq!(["http://a", "http://b", "http://a"].map(|base| metrics.stranger(base)), [0, 1, 0].map(Some));
    assert_eq!(metrics.stranger_at(1).as_deref(), Some("http://b"));
    for number in 2..ATTRIBUTE_SETS {
        metrics.stranger(&format!("http://{number}"));
    }
    assert_eq!(metrics.stranger("http://one-more"), None);
}

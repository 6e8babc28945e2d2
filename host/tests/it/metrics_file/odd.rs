//! What `simhost metrics` leaves out of files that are odd, and says so.

use serde_json::{Value, json};

use super::rows::{NONE, file, gauge, histogram, point, sum};
use super::{MINUTE, START, json as document, metrics, row};

/// What has been counted by the end of each minute, as one point a metric.
fn cumulative(counts: &[(u64, f64)]) -> Vec<(&'static str, Value)> {
    let of = |(minute, count): &(u64, f64)| {
        ("", sum("orders", true, vec![point(minute * MINUTE, NONE, json!({ "asDouble": count }))]))
    };
    counts.iter().map(of).collect()
}

/// What has come in a minute.
fn delta(minute: u64, count: f64) -> (&'static str, Value) {
    let mut metric = cumulative(&[(minute, count)]).remove(0).1;
    metric["sum"]["aggregationTemporality"] = json!(1);
    let start = START + (minute - 1) * MINUTE;
    metric["sum"]["dataPoints"][0]["startTimeUnixNano"] = json!(start.to_string());
    ("", metric)
}

/// The count of the metric, and the notes.
fn counted(metrics: &[(&str, Value)], name: &str) -> (Option<f64>, String) {
    let (_folder, path) = file(metrics);
    let found = document(&path, &[]);
    (row(&found, name)["count"].as_f64(), found["notes"].to_string())
}

#[test]
fn points_of_both_temporalities_in_one_series_are_not_counted_twice() {
    let (totals, news) = (cumulative(&[(1, 10.0), (2, 20.0)]), [delta(1, 10.0), delta(2, 10.0)]);
    let mixed: Vec<_> = totals.into_iter().zip(news).flat_map(|(total, new)| [total, new]).collect();
    let (count, notes) = counted(&mixed, "orders");
    assert_eq!(count, Some(20.0), "{notes}");
    assert!(
        notes.contains("2 data points left out: their series have delta and cumulative points"),
        "{notes}"
    );
}

#[test]
fn a_delta_point_that_comes_twice_counts_once() {
    let (count, notes) = counted(&[delta(1, 10.0), delta(1, 10.0), delta(2, 5.0)], "orders");
    assert_eq!(count, Some(15.0), "{notes}");
    assert!(notes.contains("1 data point left out: in the file before"), "{notes}");
}

#[test]
fn a_cumulative_point_behind_a_later_one_counts_for_nothing() {
    let (count, notes) = counted(&cumulative(&[(3, 30.0), (1, 10.0), (2, 20.0)]), "orders");
    assert_eq!(count, Some(30.0), "{notes}");
    assert!(notes.contains("2 data points left out: a later one of the series, with more"), "{notes}");
    // A clock that is put back: what is counted goes on.
    let (count, notes) = counted(&cumulative(&[(3, 30.0), (1, 40.0), (2, 50.0)]), "orders");
    assert_eq!((count, notes.as_str()), (Some(50.0), "[]"));
    let of = |minute: u64, count: u64| {
        let value = json!({ "count": count, "bucketCounts": [count, 0], "explicitBounds": [1.0] });
        ("", histogram("wait", vec![point(minute * MINUTE, NONE, value)]))
    };
    let (count, notes) = counted(&[of(2, 20), of(1, 10), of(3, 30)], "wait");
    assert_eq!(count, Some(30.0), "{notes}");
}

/// As a receiver of Prometheus marks the end of a series.
#[test]
fn a_point_without_a_recorded_value_is_none() {
    let mut points = cumulative(&[(1, 10.0), (2, 0.0), (3, 12.0)]);
    points[1].1["sum"]["dataPoints"][0]["flags"] = json!(1);
    assert_eq!(counted(&points, "orders"), (Some(12.0), "[]".to_owned()));
    let of = |minute: u64, value: Value| ("", histogram("wait", vec![point(minute * MINUTE, NONE, value)]));
    let whole = |count: u64| json!({ "count": count, "bucketCounts": [count, 0], "explicitBounds": [1.0] });
    let points = [of(1, whole(10)), of(2, json!({ "flags": "1" })), of(3, whole(12))];
    assert_eq!(counted(&points, "wait"), (Some(12.0), "[]".to_owned()));
}

/// As native histograms of Prometheus do when they have too many buckets.
#[test]
fn values_that_a_histogram_takes_for_zeros_later_are_not_counted_twice() {
    let of = |minute: u64, zeros: u64, threshold: f64, buckets: [u64; 4]| {
        let count = zeros + buckets.iter().sum::<u64>();
        let value = json!({
            "count": count, "scale": 0, "zeroCount": zeros, "zeroThreshold": threshold,
            "positive": { "offset": -8, "bucketCounts": buckets },
        });
        let points =
            json!({ "dataPoints": [point(minute * MINUTE, NONE, value)], "aggregationTemporality": 2 });
        ("", json!({ "name": "wait", "unit": "s", "exponentialHistogram": points }))
    };
    // Up to 1/128, 1/64, 1/32 and 1/16.
    let points = [of(1, 0, 0.0, [4, 1, 1, 2]), of(2, 5, 0.01, [0, 0, 1, 2]), of(3, 6, 0.01, [0, 0, 1, 2])];
    assert_eq!(counted(&points, "wait"), (Some(9.0), "[]".to_owned()));
}

#[test]
fn histograms_whose_bounds_do_not_fit_and_counters_below_zero_are_left_out() {
    let of = |bounds: Value, counts: Value| {
        let value = json!({ "count": 3, "bucketCounts": counts, "explicitBounds": bounds });
        ("", histogram("wait", vec![point(MINUTE, NONE, value)]))
    };
    let mut odd = vec![
        of(json!([1.0, "NaN"]), json!([1, 1, 1])),
        of(json!([2.0, 1.0]), json!([1, 1, 1])),
        of(json!([1.0, 2.0]), json!([3])),
        of(json!([1.0]), json!(vec![0; 10_001])),
        ("", gauge("well", "", vec![point(MINUTE, NONE, json!({ "asInt": 1 }))])),
        // Only its values are counted.
        of(json!([1.0, 2.0]), json!([])),
    ];
    odd.extend(cumulative(&[(1, -4.0)]));
    let (_folder, path) = file(&odd);
    let found = document(&path, &[]);
    let wait = row(&found, "wait");
    assert_eq!((&wait["count"], &wait["p50"]), (&json!(3.0), &Value::Null), "{found:#}");
    assert_eq!(found["metrics"].as_array().map(Vec::len), Some(2), "{found:#}");
    let notes = found["notes"].to_string();
    for said in [
        "3 data points left out: the bounds of a histogram do not ascend, or do not fit its counts",
        "1 data point left out: a histogram has more than 10,000 buckets",
        "1 data point left out: the value of a counter is below 0",
    ] {
        assert!(notes.contains(said), "{notes}");
    }
}

#[test]
fn a_point_whose_time_is_not_known_does_not_stretch_the_file() {
    let mut points = cumulative(&[(1, 10.0), (2, 20.0)]);
    let data = json!([{ "asDouble": 5.0 }]);
    points.push(("", json!({ "name": "level", "gauge": { "dataPoints": data } })));
    let (_folder, path) = file(&points);
    let text = metrics(&path, &[]);
    assert!(text.success().contains("collected 2 times in 2m, from 2026-01-01T00:00"), "{}", text.stdout);
    assert!(text.stdout.contains(" level "), "{}", text.stdout);
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let (_folder, path) = file(&[]);
    assert_eq!(metrics(&path, &[]).success(), "the file is empty\n");
}

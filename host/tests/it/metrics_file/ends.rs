//! The least and the greatest value of histograms, and quantiles beside them.

use serde_json::{Value, json};

use super::rows::{NONE, file, histogram, point, sum};
use super::{MINUTE, json as document, metrics, row};

const DELTA: u32 = 1;

/// Values of two buckets, (0.025, 0.05] and (0.1, 0.25], with their ends if there are any.
fn waits(counts: [u64; 2], ends: Option<(f64, f64)>) -> Value {
    let mut waits = json!({
        "count": counts[0] + counts[1], "explicitBounds": [0.025, 0.05, 0.1, 0.25, 1.0],
        "bucketCounts": [0, counts[0], 0, counts[1], 0, 0],
    });
    if let Some((least, most)) = ends {
        (waits["min"], waits["max"]) = (json!(least), json!(most));
    }
    waits
}

/// The same as an exponential histogram of scale 0: (1/32, 1/16] and (1/8, 1/4].
fn exponential(counts: [u64; 2], ends: (f64, f64)) -> Value {
    json!({
        "count": counts[0] + counts[1], "scale": 0, "min": ends.0, "max": ends.1,
        "positive": { "offset": -5, "bucketCounts": [counts[0], 0, counts[1]] },
    })
}

/// A metric with these points, the first after a minute, the next after two.
fn told(kind: &str, points: Vec<Value>, temporality: u32) -> Value {
    let points = points.into_iter().zip(1..).map(|(value, minute)| {
        let mut point = point(minute * MINUTE, NONE, value);
        if temporality == DELTA {
            let start = super::START + (minute - 1) * MINUTE;
            point["startTimeUnixNano"] = json!(start.to_string());
        }
        point
    });
    let data = json!({ "dataPoints": points.collect::<Vec<_>>(), "aggregationTemporality": temporality });
    let mut metric = json!({ "name": "wait", "unit": "s" });
    metric[kind] = data;
    metric
}

fn numbers(row: &Value) -> [Option<f64>; 4] {
    ["p50", "p99", "min", "max"].map(|key| row[key].as_f64())
}

#[test]
fn quantiles_of_an_interval_lie_within_the_ends_of_all_values_so_far() {
    let all = (0.03, 0.13);
    let points = [[5, 5], [10, 25], [20, 30]];
    let explicit = points.map(|counts| waits(counts, Some(all))).to_vec();
    let exponential = points.map(|counts| exponential(counts, all)).to_vec();
    for metric in [told("histogram", explicit, 2), told("exponentialHistogram", exponential, 2)] {
        let (_folder, path) = file(&[("", metric)]);
        let found = document(&path, &["--between", "1m", "2m"]);
        let [p50, p99, min, max] = numbers(row(&found, "wait"));
        assert!(p50 > Some(0.1) && p99 > p50 && p99 <= Some(0.13), "{found:#}");
        // They may have come in the first minute.
        assert_eq!((min, max), (None, None), "{found:#}");
        let over_time = &row(&found, "wait")["over_time"];
        assert!(over_time[0].as_f64() <= Some(0.13), "{found:#}");
        let whole = document(&path, &[]);
        assert_eq!(numbers(row(&whole, "wait"))[2..], [Some(0.03), Some(0.13)]);
    }
}

#[test]
fn an_end_that_has_moved_in_an_interval_is_known_and_so_are_those_of_delta_points() {
    let points = vec![waits([5, 5], Some((0.03, 0.12))), waits([9, 9], Some((0.03, 0.2)))];
    let (_folder, path) = file(&[("", told("histogram", points, 2))]);
    let found = document(&path, &["--between", "1m", "2m"]);
    assert_eq!(numbers(row(&found, "wait"))[2..], [None, Some(0.2)]);
    let points = vec![waits([5, 5], Some((0.03, 0.2))), waits([9, 9], Some((0.04, 0.11)))];
    let (_folder, path) = file(&[("", told("histogram", points, DELTA))]);
    let found = document(&path, &[]);
    let row = row(&found, "wait");
    assert_eq!(numbers(row)[2..], [Some(0.03), Some(0.2)]);
    // A bar is within the ends of its own values.
    assert!(row["over_time"][1].as_f64() <= Some(0.11), "{row:#}");
    let second = document(&path, &["--between", "1m", "2m"]);
    assert_eq!(numbers(super::row(&second, "wait"))[2..], [Some(0.04), Some(0.11)]);
}

#[test]
fn the_ends_of_one_series_are_not_those_of_all() {
    let of = |name: &str, minutes: u64, value: Value| {
        histogram("wait", vec![point(minutes * MINUTE, ("replica", name), value)])
    };
    // A replica that has begun in the interval, beside one from before; and one that tells no ends.
    let mut late = of("late", 2, waits([1, 0], Some((0.026, 0.03))));
    late["histogram"]["dataPoints"][0]["startTimeUnixNano"] = json!((super::START + MINUTE).to_string());
    let early = [1, 2].map(|minute| ("", of("early", minute, waits([0, minute * 10], Some((0.11, 0.2))))));
    let (_folder, path) = file(&[&early[..], &[("", late)]].concat());
    let found = document(&path, &["--between", "1m", "2m"]);
    let [_, p99, min, max] = numbers(row(&found, "wait"));
    assert!((min, max) == (Some(0.026), None) && (0.11..=0.2).contains(&p99.expect("a p99")), "{found:#}");
    let untold =
        [("", of("a", 1, waits([9, 0], Some((0.026, 0.03))))), ("", of("b", 1, waits([0, 9], None)))];
    let (_folder, path) = file(&untold);
    let found = document(&path, &[]);
    let [_, p99, min, max] = numbers(row(&found, "wait"));
    assert!((min, max) == (None, None) && p99 > Some(0.1), "{found:#}");
}

#[test]
fn a_quantile_beyond_the_last_bound_is_shown_as_above_it_where_the_greatest_value_is_not_known() {
    let beyond = |most: Option<f64>| {
        let mut value = json!({ "count": 4, "explicitBounds": [0.1, 1.0], "bucketCounts": [0, 1, 3] });
        most.into_iter().for_each(|most| value["max"] = json!(most));
        let (_folder, path) = file(&[("", histogram("wait", vec![point(MINUTE, NONE, value)]))]);
        metrics(&path, &[]).success().to_owned()
    };
    let cells = |text: &str| text.split_whitespace().filter(|cell| *cell == ">1s").count();
    assert_eq!(cells(&beyond(None)), 3, "{}", beyond(None));
    let known = beyond(Some(3.0));
    assert!(cells(&known) == 0 && known.contains(" 2.9"), "{known}");
}

#[test]
fn a_histogram_without_a_value_in_the_interval_has_no_row_and_is_named() {
    let points = [[5, 5], [5, 5]].map(|counts| waits(counts, Some((0.03, 0.2)))).to_vec();
    let count = |minute: u64| point(minute * MINUTE, NONE, json!({ "asInt": "7" }));
    let (_folder, path) =
        file(&[("", told("histogram", points, 2)), ("", sum("orders", true, vec![count(1), count(2)]))]);
    let note = "1 histogram without a value in the interval: wait of shop";
    let found = document(&path, &["--between", "1m", "2m"]);
    assert_eq!(found["metrics"].as_array().map(Vec::len), Some(1), "{found:#}");
    assert_eq!(found["notes"], json!([note]));
    assert_eq!(row(&found, "orders")["count"], json!(0.0));
    let text = metrics(&path, &["--between", "1m", "2m"]);
    assert!(
        text.success().contains(note) && text.stdout.contains("1 metric of 1 service"),
        "{}",
        text.stdout
    );
    assert!(!document(&path, &[])["notes"].to_string().contains("without"));
}

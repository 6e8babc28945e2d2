//! What `simhost metrics` makes of files that it did not write, and of those of real runs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{MINUTE, START, json as document, metrics, row};
use crate::support::{METRICS, Topology, finish};

const CUMULATIVE: u32 = 2;

/// A file with a line for each of these metrics of one service: its scope, and the metric.
pub(super) fn file(metrics: &[(&str, Value)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foreign.jsonl");
    let line = |(scope, metric): &(&str, Value)| {
        let service = json!({ "key": "service.name", "value": { "stringValue": "shop" } });
        let scope = json!({ "scope": { "name": scope }, "metrics": [metric] });
        let resource = json!({ "resource": { "attributes": [service] }, "scopeMetrics": [scope] });
        json!({ "resourceMetrics": [resource] }).to_string() + "\n"
    };
    std::fs::write(&path, metrics.iter().map(line).collect::<String>()).expect("a file");
    (folder, path)
}

/// A point at this time after the start, with one attribute if it has a name.
pub(super) fn point(after: u64, attribute: (&str, &str), value: Value) -> Value {
    let mut point =
        json!({ "startTimeUnixNano": START.to_string(), "timeUnixNano": (START + after).to_string() });
    if !attribute.0.is_empty() {
        point["attributes"] = json!([{ "key": attribute.0, "value": { "stringValue": attribute.1 } }]);
    }
    for (key, value) in value.as_object().expect("an object") {
        point[key] = value.clone();
    }
    point
}

pub(super) const NONE: (&str, &str) = ("", "");

pub(super) fn gauge(name: &str, unit: &str, points: Vec<Value>) -> Value {
    json!({ "name": name, "unit": unit, "gauge": { "dataPoints": points } })
}

pub(super) fn sum(name: &str, is_monotonic: bool, points: Vec<Value>) -> Value {
    let data = json!({
        "dataPoints": points, "isMonotonic": is_monotonic, "aggregationTemporality": CUMULATIVE,
    });
    json!({ "name": name, "unit": "", "sum": data })
}

pub(super) fn histogram(name: &str, points: Vec<Value>) -> Value {
    let data = json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE });
    json!({ "name": name, "unit": "s", "histogram": data })
}

/// As many values between 0 and 1 s.
fn counts(count: u64) -> Value {
    json!({ "count": count, "bucketCounts": [count, 0], "explicitBounds": [1.0] })
}

fn text(path: &Path, arguments: &[&str]) -> String {
    metrics(path, arguments).success().to_owned()
}

#[test]
fn metrics_of_one_name_are_told_apart_by_scope_kind_and_unit() {
    let one = |value: f64| vec![point(MINUTE, NONE, json!({ "asDouble": value }))];
    let (_folder, path) = file(&[
        ("library", gauge("a", "s", one(1.0))),
        ("library", gauge("a", "By", one(2.0))),
        ("other", gauge("a", "s", one(3.0))),
        ("library", sum("a", true, one(4.0))),
        ("library", sum("a", false, one(5.0))),
        ("library", histogram("a", vec![point(MINUTE, NONE, counts(6))])),
    ]);
    let rows = document(&path, &[]);
    let rows = rows["metrics"].as_array().expect("rows");
    let values: Vec<_> =
        rows.iter().filter_map(|row| row["last"].as_f64().or_else(|| row["count"].as_f64())).collect();
    assert_eq!(values, [6.0, 4.0, 5.0, 2.0, 1.0, 3.0]);
    let text = text(&path, &[]);
    for label in
        ["  a [library] [s] ", "  a [other] [s] ", "  a [library] [By] ", "  a [library] [up-down counter] "]
    {
        assert!(text.contains(label), "{label}: {text}");
    }
    assert!(text.contains("6 metrics of 1 service, 6 series"), "{text}");
}

#[test]
fn nothing_of_a_file_reaches_the_terminal_as_it_is() {
    let odd = "\u{1b}]0;x\u{7}\u{202e}";
    let value = json!({
        "asDouble": 1.0,
        "exemplars": [{ "timeUnixNano": START.to_string(), "asDouble": 1.0, "traceId": odd, "spanId": odd }],
    });
    let (_folder, path) = file(&[
        (odd, gauge(odd, odd, vec![point(MINUTE, (odd, odd), value.clone())])),
        ("other", gauge(odd, odd, vec![point(MINUTE, NONE, value)])),
    ]);
    let text = text(&path, &["--exemplars", "--by", odd]);
    assert!(text.contains("\\x1b]0;x\\x07"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
}

#[test]
fn a_counter_of_a_steady_rate_is_level_however_often_it_is_collected() {
    // Each 10 s for 12 minutes, and a last time shortly after: 50 a second.
    let mut times: Vec<u64> = (1..=72).map(|number| number * MINUTE / 6).collect();
    times.push(12 * MINUTE + 27_000_000);
    let points =
        times.iter().map(|after| point(*after, NONE, json!({ "asInt": (after / 20_000_000).to_string() })));
    let active = times.iter().map(|after| {
        // After the last request nothing is active.
        point(*after, NONE, json!({ "asInt": if *after > 12 * MINUTE { "0" } else { "7" } }))
    });
    let (_folder, path) =
        file(&[("", sum("orders", true, points.collect())), ("", sum("active", false, active.collect()))]);
    let document = document(&path, &[]);
    let rates = row(&document, "orders")["over_time"].as_array().expect("bars");
    assert_eq!(rates.len(), 36, "two collections each");
    assert!(rates.iter().all(|rate| (rate.as_f64().expect("a rate") - 50.0).abs() < 0.1), "{rates:?}");
    let active = row(&document, "active");
    assert_eq!((&active["last"], &active["min"]), (&json!(7.0), &json!(7.0)), "at regular collections");
}

#[test]
fn rates_are_over_the_window_of_the_file() {
    // A process that came after five minutes of ten.
    let mut late = point(10 * MINUTE, NONE, json!({ "asInt": "30" }));
    late["startTimeUnixNano"] = json!((START + 5 * MINUTE).to_string());
    let early = point(10 * MINUTE, NONE, json!({ "asInt": "60" }));
    let (_folder, path) = file(&[("", sum("late", true, vec![late])), ("", sum("early", true, vec![early]))]);
    for arguments in [&[][..], &["--metric", "late"]] {
        let document = document(&path, arguments);
        assert_eq!(row(&document, "late")["rate_per_second"], json!(0.05));
    }
    let text = text(&path, &[]);
    assert!(text.contains("in 10m, from 2026-01-01T00:00:00.000Z to"), "{text}");
}

#[test]
fn durations_have_a_share_of_errors_and_a_row_for_each_value_of_an_attribute() {
    let points = vec![point(MINUTE, NONE, counts(150)), point(MINUTE, ("error.type", "503"), counts(50))];
    let (_folder, path) = file(&[
        ("", histogram("http.server.request.duration", points)),
        ("", histogram("order.items", vec![point(MINUTE, NONE, counts(5))])),
    ]);
    let whole = document(&path, &[]);
    assert_eq!(row(&whole, "http.server.request.duration")["error_share"], json!(0.25));
    assert_eq!(row(&whole, "order.items")["error_share"], Value::Null);
    let apart = document(&path, &["--by", "error.type", "--metric", "request.duration"]);
    let rows: Vec<_> = apart["metrics"].as_array().expect("rows").iter().collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["by"], &rows[0]["count"]), (&json!({}), &json!(150.0)));
    assert_eq!((&rows[1]["by"], &rows[1]["count"]), (&json!({ "error.type": "503" }), &json!(50.0)));
    let table = text(&path, &["--by", "error.type", "--by", "service.name"]);
    assert!(table.contains("histogram") && table.contains(" type ") && table.contains(" name "), "{table}");
}

#[test]
fn a_quantile_among_zeros_is_shown_as_below_the_end_of_its_bucket() {
    let waits = json!({
        "count": 579, "sum": 0.003, "min": 0.0, "max": 0.0016,
        "bucketCounts": [577, 2, 0], "explicitBounds": [0.001, 0.005],
    });
    let (_folder, path) = file(&[("", histogram("wait", vec![point(MINUTE, NONE, waits)]))]);
    let table = text(&path, &[]);
    let line = table.lines().find(|line| line.trim_start().starts_with("wait ")).expect("a row");
    assert_eq!(line.split_whitespace().filter(|cell| *cell == "<1ms").count(), 3, "{table}");
    let p50 = row(&document(&path, &[]), "wait")["p50"].as_f64().expect("a number");
    assert!(p50 > 0.0 && p50 < 0.001, "{p50}");
}

/// A cumulative point does not tell when its least value has come.
#[test]
fn a_quantile_that_may_lie_among_zeros_is_shown_so_in_an_interval_too() {
    let waits = |first: u64| {
        json!({
            "count": first + 2, "sum": 0.003, "min": 0.0, "max": 0.0016,
            "bucketCounts": [first, 2, 0], "explicitBounds": [0.001, 0.005],
        })
    };
    let points = vec![point(MINUTE, NONE, waits(100)), point(2 * MINUTE, NONE, waits(577))];
    let (_folder, path) = file(&[("", histogram("wait", points))]);
    let table = text(&path, &["--between", "1m", "2m"]);
    let line = table.lines().find(|line| line.trim_start().starts_with("wait ")).expect("a row");
    assert_eq!(line.split_whitespace().filter(|cell| *cell == "<1ms").count(), 3, "{table}");
    let above = |first: u64| {
        let mut waits = waits(first);
        waits["min"] = json!(0.0001);
        waits
    };
    let points = vec![point(MINUTE, NONE, above(100)), point(2 * MINUTE, NONE, above(577))];
    let (_folder, path) = file(&[("", histogram("wait", points))]);
    assert!(!text(&path, &["--between", "1m", "2m"]).contains("<1ms"));
}

#[test]
fn states_of_a_thing_have_a_row_each() {
    let states = ["closed", "open"].iter().zip(["3", "1"]);
    let points = states
        .map(|(state, value)| point(MINUTE, ("simhost.breaker.state", state), json!({ "asInt": value })));
    let (_folder, path) = file(&[("", sum("simhost.breaker.state", false, points.collect()))]);
    let document = document(&path, &[]);
    let rows = document["metrics"].as_array().expect("rows").iter();
    let rows: Vec<_> = rows.map(|row| (&row["by"]["simhost.breaker.state"], row["last"].as_f64())).collect();
    assert_eq!(rows, [(&json!("closed"), Some(3.0)), (&json!("open"), Some(1.0))]);
}

#[test]
fn summaries_are_counted_and_numbers_of_any_size_are_shown() {
    let one = |value: Value| vec![point(MINUTE, NONE, value)];
    let summary = json!({ "dataPoints": one(json!({ "count": "3", "sum": 3, "quantileValues": [] })) });
    let most = u64::MAX.to_string();
    let full = json!({ "count": most, "bucketCounts": [most, "7"], "explicitBounds": [1.0] });
    let (_folder, path) = file(&[
        ("", json!({ "name": "old", "summary": summary })),
        ("", gauge("greatest", "", one(json!({ "asDouble": f64::MAX })))),
        ("", sum("whole", true, one(json!({ "asInt": i64::MAX.to_string() })))),
        ("", histogram("full", one(full))),
    ]);
    let text = text(&path, &[]);
    let said = "1 data point of summaries left out: quantiles of several series cannot be added up";
    assert!(text.contains(said), "{text}");
    assert!(text.contains(" 1.8e308") && text.contains(" 9.22e18") && text.contains(" 1.84e19"), "{text}");
}

#[test]
fn the_exemplars_of_a_run_lead_to_its_traces() {
    let topology = Topology::orders();
    let mut run = topology.command(&["--virtual", "--for", "30s", "--out", "run.jsonl", "--show", "none"]);
    finish(run.env_remove(METRICS)).success();
    let path = topology.beside("run.jsonl");
    let document =
        document(&path, &["--service", "order-service", "--metric", "http.server.request.duration"]);
    let row = row(&document, "http.server.request.duration");
    let exemplars = row["exemplars"].as_array().expect("exemplars");
    assert!((1..=3).contains(&exemplars.len()), "{row}");
    let values: Vec<_> = exemplars.iter().map(|exemplar| exemplar["value"].as_f64()).collect();
    assert!(values.is_sorted_by(|left, right| left >= right) && values[0] <= row["max"].as_f64(), "{row}");
    let id = exemplars[0]["trace_id"].as_str().expect("an id");
    let traces = finish(crate::support::simhost().arg("traces").arg(&path).args(["--id", id]));
    assert!(traces.success().contains("order-service"), "{}", traces.stdout);
    let table = text(&path, &["--exemplars", "--service", "order-service"]);
    assert!(table.contains(id) && table.contains("exemplar"), "{table}");
}

//! `simhost metrics --between`: the collections of an interval.

use serde_json::Value;
use simhost::telemetry::record::Temporality;

use super::{MINUTE, PLAIN, START, TIMES, Told, file, json, metrics, records, row};

fn within(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap_or_else(|| panic!("{value}"));
    assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
}

#[test]
fn what_has_come_between_two_instants_is_counted_however_it_is_told() {
    let expected: Vec<f64> = TIMES[1..3].concat();
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        for is_exponential in [false, true] {
            let (_folder, path) = file("metrics.jsonl", records(Told { temporality, is_exponential }));
            let document = json(&path, &["--between", "1m", "3m"]);
            let window = (document["start_unix_ns"].as_u64(), document["end_unix_ns"].as_u64());
            assert_eq!(window, (Some(START + MINUTE), Some(START + 3 * MINUTE)));
            let durations = row(&document, "http.server.request.duration");
            within(&durations["count"], 10.0);
            within(&durations["rate_per_second"], 10.0 / 120.0);
            assert_eq!(durations["series"], 1);
            // Half took 0.9 s: none of the first minute is among them.
            let p95 = durations["p95"].as_f64().expect("a p95");
            assert!((0.5..=1.0).contains(&p95), "{p95}");
            assert_eq!(durations["over_time"].as_array().map(Vec::len), Some(2));
            let cpu = row(&document, "process.cpu.time");
            within(&cpu["count"], expected.iter().sum());
            within(&cpu["over_time"][0], TIMES[1].iter().sum::<f64>() / 60.0);
        }
    }
}

#[test]
fn values_are_those_of_the_collections_in_the_interval() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let document = json(&path, &["--between", "2026-01-01T00:02:00Z", "2026-01-01T00:10:00Z"]);
    let active = row(&document, "http.server.active_requests");
    assert_eq!((active["min"].as_f64(), active["last"].as_f64()), (Some(7.0), Some(9.0)));
    let memory = row(&document, "process.memory.usage");
    assert_eq!(memory["over_time"], serde_json::json!([3.5e6, 4.5e6]));
    let text = metrics(&path, &["--between", "2m", "10m"]);
    let told = text.success().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("collected 2 times in 2m, from 2026-01-01T00:02:00.000Z to 2026-01-01T00:04:00.000Z"),
        "{told}"
    );
}

#[test]
fn the_whole_file_is_the_same_with_and_without_its_interval() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    assert_eq!(json(&path, &["--between", "0s", "4m"]), json(&path, &[]));
}

#[test]
fn an_interval_without_a_collection_is_refused_with_where_they_are() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let beyond = metrics(&path, &["--between", "5m", "6m"]);
    assert_eq!(beyond.code, Some(2));
    let told = beyond.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("no collection of the file is in the interval of --between"), "{told}");
    assert!(told.contains("its collections are from 1m to 4m after its start"), "{told}");
    let turned = metrics(&path, &["--between", "3m", "1m"]);
    assert_eq!(turned.code, Some(2));
    assert!(turned.stderr.contains("write the earlier end first: --between 1m 2m"), "{}", turned.stderr);
}

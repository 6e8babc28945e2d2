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
    assert!(turned.stderr.contains("write the earlier end first: --between 1m 3m"), "{}", turned.stderr);
}

#[test]
fn an_interval_of_no_length_or_of_other_units_is_refused_with_its_ends() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let refused = |from: &str, to: &str| {
        let found = metrics(&path, &["--between", from, to]);
        assert_eq!((found.code, &*found.stdout), (Some(2), ""), "{from} {to}");
        found.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let equal = refused("60s", "1m");
    assert!(
        equal.contains("nothing is in the interval --between 1m 1m: its end is not after its start"),
        "{equal}"
    );
    assert!(equal.contains("write a later end, such as --between 1m 1m01s"), "{equal}");
    // An instant is before a time, or not, once the file has told its start.
    let mixed = refused("3m", "2026-01-01T00:02:00Z");
    assert!(
        mixed.contains("--between 3m 2026-01-01T00:02:00.000Z: its end is not after its start"),
        "{mixed}"
    );
    assert!(
        mixed.contains(
            "its first series begins at 2026-01-01T00:00:00.000Z, so the interval is from 2026-01-01T00:03:00.000Z \
             to 2026-01-01T00:02:00.000Z: write an earlier start or a later end"
        ),
        "{mixed}"
    );
    let mixed = metrics(&path, &["--between", "2026-01-01T00:01:00Z", "3m"]);
    assert!(mixed.success().contains("collected 2 times in 2m"), "{}", mixed.stdout);
    for (from, said) in [
        ("-1m", "invalid value '-1m' for '--between <A> <B>': a length of time cannot be negative"),
        ("100000h", "\"100000h\" is out of range"),
        ("1x", "\"1x\" is not a length of time"),
        ("1969-01-01T00:00:00Z", "write an instant from 1970 to 2554, with its distance from UTC"),
        ("2026-01-01", "write an instant such as 2026-01-01T00:02:00Z, or a time such as 2m"),
    ] {
        let told = refused(from, "2m");
        assert!(told.contains(said), "{from}: {told}");
    }
    let beyond = refused("5m", "6m");
    assert!(beyond.contains("from 1m to 4m after its start, 2026-01-01T00:00:00.000Z"), "{beyond}");
}

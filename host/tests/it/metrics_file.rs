//! `simhost metrics`: the metrics of a file, by the real program.

mod between;
mod ends;
mod odd;
mod rows;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use simhost::telemetry::exporter::Exporter;
use simhost::telemetry::file::JsonLines;
use simhost::telemetry::record::{
    ExponentialBuckets, ExponentialPoint, HistogramPoint, Instrument, KeyValue, MetricRecord, Number,
    NumberPoint, Points, Resource, ResourceId, Scope, Summary, Temporality,
};
use simhost::telemetry::signal::Batch;

use crate::support::{Finished, Topology, finish, simhost};

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600_000_000_000;
const MINUTE: u64 = 60_000_000_000;

/// What a service measures in each minute: seconds.
const TIMES: [&[f64]; 4] = [
    &[0.010, 0.020, 0.030, 0.040],
    &[0.015, 0.025],
    &[0.012, 0.022, 0.032, 0.042, 0.9, 0.9, 0.9, 0.9],
    &[0.011, 0.021],
];

const BOUNDS: [f64; 7] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];

/// How the same measurements are told.
#[derive(Clone, Copy, PartialEq)]
struct Told {
    temporality: Temporality,
    is_exponential: bool,
}

const PLAIN: Told = Told { temporality: Temporality::Cumulative, is_exponential: false };

fn of_explicit(values: &[f64]) -> HistogramPoint {
    let mut buckets = vec![0; BOUNDS.len() + 1];
    values.iter().for_each(|value| buckets[BOUNDS.partition_point(|bound| bound < value)] += 1);
    HistogramPoint {
        attributes: Arc::new([KeyValue::new("http.route", "/orders")]),
        summary: summary(values),
        bounds: Arc::new(BOUNDS),
        buckets,
        exemplars: Vec::new(),
    }
}

/// At scale 3, the eighth root of two.
fn of_exponential(values: &[f64]) -> ExponentialPoint {
    let index = |value: &f64| (libm::log2(*value) * 8.0).ceil() as i32 - 1;
    let first = values.iter().map(index).min().unwrap_or(0);
    let last = values.iter().map(index).max().unwrap_or(0);
    let mut counts = vec![0; (last - first + 1) as usize];
    values.iter().for_each(|value| counts[(index(value) - first) as usize] += 1);
    ExponentialPoint {
        attributes: Arc::new([KeyValue::new("http.route", "/orders")]),
        summary: summary(values),
        scale: 3,
        zeros: 0,
        positive: ExponentialBuckets { offset: first, counts },
        negative: ExponentialBuckets::default(),
        exemplars: Vec::new(),
    }
}

fn summary(values: &[f64]) -> Summary {
    let least = values.iter().copied().reduce(f64::min);
    let most = values.iter().copied().reduce(f64::max);
    Summary { count: values.len() as u64, sum: Some(values.iter().sum()), range: least.zip(most) }
}

fn number(value: f64) -> Vec<NumberPoint> {
    vec![NumberPoint { attributes: Arc::new([]), value: Number::Float(value), exemplars: Vec::new() }]
}

/// What two services, the second with two replicas, collect at the end of each minute.
fn records(told: Told) -> Vec<MetricRecord> {
    let Told { temporality, is_exponential } = told;
    let mut records = Vec::new();
    let mut so_far = Vec::new();
    for (minute, times) in TIMES.iter().enumerate() {
        let time = START + (minute as u64 + 1) * MINUTE;
        so_far.extend_from_slice(times);
        let (values, start) = match temporality {
            Temporality::Delta => (times.to_vec(), time - MINUTE),
            Temporality::Cumulative => (so_far.clone(), START),
        };
        let durations = match is_exponential {
            false => Points::Histogram { points: vec![of_explicit(&values)], temporality },
            true => Points::ExponentialHistogram { points: vec![of_exponential(&values)], temporality },
        };
        let cpu = Points::Sum { points: number(values.iter().sum()), is_monotonic: true, temporality };
        let active = |value| Points::Sum {
            points: number(value),
            is_monotonic: false,
            temporality: Temporality::Cumulative,
        };
        let record = |resource, name: &'static str, unit: &'static str, points| MetricRecord {
            resource: ResourceId(resource),
            scope: Scope::Bus,
            instrument: Arc::new(Instrument { name: name.into(), unit: unit.into(), description: "".into() }),
            start,
            time,
            points,
        };
        records.push(record(0, "http.server.request.duration", "s", durations));
        records.push(record(0, "process.cpu.time", "s", cpu));
        for replica in [1, 2] {
            let number = minute as f64 + f64::from(replica);
            records.push(record(replica, "http.server.active_requests", "{request}", active(number)));
            records.push(record(
                replica,
                "process.memory.usage",
                "By",
                Points::Gauge(self::number(number * 1e6)),
            ));
        }
    }
    records
}

fn resources() -> Vec<Resource> {
    let of = |(name, instance): (&'static str, i64)| Resource {
        service: name.into(),
        attributes: vec![KeyValue::new("service.name", name), KeyValue::new("service.instance.id", instance)],
    };
    [("order-service", 1), ("inventory-service", 1), ("inventory-service", 2)].map(of).to_vec()
}

/// A file of these records, in a folder that goes with the first value.
fn file(name: &str, records: Vec<MetricRecord>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    let mut file = JsonLines::create(&path).expect("a file");
    file.export(&Batch { metrics: records, ..Batch::default() }, &resources());
    file.flush(tokio::time::Instant::now());
    (folder, path)
}

fn metrics(path: &Path, arguments: &[&str]) -> Finished {
    finish(simhost().arg("metrics").arg(path).args(arguments))
}

fn json(path: &Path, arguments: &[&str]) -> Value {
    let found = metrics(path, &[arguments, &["--json"]].concat());
    serde_json::from_str(found.success()).expect("JSON")
}

/// The row of a metric.
fn row<'a>(document: &'a Value, metric: &str) -> &'a Value {
    let rows = document["metrics"].as_array().expect("metrics");
    rows.iter().find(|row| row["metric"] == metric).unwrap_or_else(|| panic!("{metric}: {document:#}"))
}

#[test]
fn a_table_for_each_kind_has_the_metrics_of_each_service() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let found = finish(simhost().arg("metrics").arg(&path).env("COLUMNS", "100"));
    insta::assert_snapshot!(found.success());
}

#[test]
fn a_narrow_page_is_kept_and_says_what_is_left_out() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    for columns in ["60", "80", "120"] {
        let found = finish(simhost().arg("metrics").arg(&path).env("COLUMNS", columns));
        let widest = found.success().lines().map(|line| line.chars().count()).max();
        assert!(widest <= columns.parse().ok(), "{columns}: {}", found.stdout);
        let is_said = found.stdout.contains("left out, as the page is narrow: ");
        assert_eq!(is_said, columns != "120", "{}", found.stdout);
        assert!(columns == "60" || found.stdout.contains(" p50 "), "{}", found.stdout);
    }
}

#[test]
fn counts_and_rates_are_those_of_the_measurements_however_they_are_told() {
    let all: Vec<f64> = TIMES.concat();
    let within = |value: &Value, expected: f64| {
        let value = value.as_f64().unwrap_or_else(|| panic!("{value}"));
        assert!((value - expected).abs() < 1e-9, "{value}, not {expected}");
    };
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        for is_exponential in [false, true] {
            let (_folder, path) = file("metrics.jsonl.gz", records(Told { temporality, is_exponential }));
            let document = json(&path, &[]);
            let durations = row(&document, "http.server.request.duration");
            assert_eq!(durations["kind"], "histogram");
            within(&durations["count"], 16.0);
            within(&durations["rate_per_second"], 16.0 / 240.0);
            within(&durations["min"], 0.010);
            within(&durations["max"], 0.9);
            // Four of 16 took 0.9 s: the 95th percentile is one of them; half took less than 30 ms.
            let p95 = durations["p95"].as_f64().expect("a p95");
            let p50 = durations["p50"].as_f64().expect("a p50");
            assert!((0.5..=0.9).contains(&p95) && (0.02..=0.035).contains(&p50), "{p50} {p95}");
            let minutes: Vec<f64> = durations["over_time"]
                .as_array()
                .expect("a course")
                .iter()
                .filter_map(Value::as_f64)
                .collect();
            assert!(minutes.len() == 4 && minutes[2] > 0.5 && minutes[3] < 0.05, "{minutes:?}");
            let cpu = row(&document, "process.cpu.time");
            within(&cpu["count"], all.iter().sum());
            for (minute, times) in TIMES.iter().enumerate() {
                within(&cpu["over_time"][minute], times.iter().sum::<f64>() / 60.0);
            }
        }
    }
}

#[test]
fn values_of_replicas_add_up_for_up_down_counters_and_have_a_mean_for_gauges() {
    let (_folder, path) = file("metrics.jsonl.zst", records(PLAIN));
    let document = json(&path, &["--service", "inventory-service"]);
    assert_eq!(document["metrics"].as_array().map(Vec::len), Some(2));
    let active = row(&document, "http.server.active_requests");
    assert_eq!((&active["kind"], &active["series"]), (&"up-down-counter".into(), &2.into()));
    assert_eq!((active["last"].as_f64(), active["min"].as_f64()), (Some(9.0), Some(3.0)));
    assert_eq!(active["max"].as_f64(), Some(9.0), "the greatest sum, not the greatest of a replica");
    let memory = row(&document, "process.memory.usage");
    assert_eq!((memory["last"].as_f64(), memory["max"].as_f64()), (Some(4.5e6), Some(5e6)));
    assert_eq!(memory["over_time"], serde_json::json!([1.5e6, 2.5e6, 3.5e6, 4.5e6]));
}

#[test]
fn a_counter_that_begins_anew_is_counted_from_zero() {
    let mut records = records(PLAIN);
    records.retain(|record| &*record.instrument.name == "process.cpu.time");
    for (index, record) in records.iter_mut().enumerate() {
        // A process that is restarted after two minutes: what it counts in each is 3, 2, 2 and 2.
        let value = [3.0, 5.0, 2.0, 4.0][index] * 60.0;
        record.start = START + [0, 0, 2, 2][index] * MINUTE;
        record.points =
            Points::Sum { points: number(value), is_monotonic: true, temporality: Temporality::Cumulative };
    }
    let (_folder, path) = file("metrics.jsonl", records);
    assert_eq!(
        row(&json(&path, &[]), "process.cpu.time")["over_time"],
        serde_json::json!([3.0, 2.0, 2.0, 2.0])
    );
}

#[test]
fn values_that_are_not_finite_are_left_out_and_counted() {
    let gauge = |value| Points::Gauge(number(value));
    let mut records = records(PLAIN);
    records.truncate(4);
    records[0].points = gauge(f64::NAN);
    records[1].points = gauge(f64::INFINITY);
    let (_folder, path) = file("metrics.jsonl", records);
    let found = metrics(&path, &[]);
    let said = "2 data points left out: the value is not a finite number";
    assert!(found.success().contains(said), "{}", found.stdout);
    assert!(!found.stdout.contains("order-service"), "{}", found.stdout);
    assert_eq!(json(&path, &[])["metrics"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_filter_takes_a_name_or_a_part_and_one_that_meets_nothing_is_refused() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let said = |arguments: &[&str]| metrics(&path, arguments).success().to_owned();
    assert!(said(&["--metric", "memory"]).contains("process.memory.usage"));
    assert!(said(&["--service", "order"]).contains("\n order-service\n"));
    // A whole name is that one, and not others that have it in them.
    let mut twins = records(PLAIN);
    twins[0].instrument =
        Arc::new(Instrument { name: "process.cpu.time.total".into(), ..(*twins[1].instrument).clone() });
    let (_folder, other) = file("metrics.jsonl", twins);
    assert_eq!(json(&other, &["--metric", "process.cpu.time"])["metrics"].as_array().map(Vec::len), Some(1));
    assert_eq!(json(&other, &["--metric", "process.cpu.tim"])["metrics"].as_array().map(Vec::len), Some(2));

    let refused = |arguments: &[&str]| {
        let found = metrics(&path, arguments);
        assert_eq!((found.code, &*found.stdout), (Some(2), ""), "{arguments:?}");
        found.stderr
    };
    let service = refused(&["--service", "order-servise"]);
    assert!(service.contains("no service of the file has \"order-servise\" in its name"), "{service}");
    assert!(service.contains("did you mean \"order-service\"?"), "{service}");
    let metric = refused(&["--metric", "latency"]);
    assert!(metric.contains("no metric has \"latency\" in its name"), "{metric}");
    let both = refused(&["--service", "order-service", "--metric", "memory"]);
    assert!(both.contains("no metric of \"order-service\" has \"memory\" in its name"), "{both}");
    let by = refused(&["--by", "http.rout"]);
    assert!(by.contains("has the attribute \"http.rout\""), "{by}");
    assert!(by.contains("did you mean \"http.route\"?"), "{by}");
}

#[test]
fn services_beyond_the_limit_are_counted() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let found = metrics(&path, &["--limit", "1"]);
    assert!(found.success().contains("… and 1 service more: --limit shows more"), "{}", found.stdout);
    assert!(!found.stdout.contains("\n order-service"), "{}", found.stdout);
}

#[test]
fn standard_input_is_a_file_too() {
    let (_folder, path) = file("metrics.jsonl.gz", records(PLAIN));
    let input = File::open(&path).expect("a file");
    let piped = finish(simhost().args(["metrics", "-"]).stdin(Stdio::from(input)));
    assert_eq!(piped.success(), metrics(&path, &[]).success());
}

#[test]
fn a_file_without_metrics_says_how_that_comes_and_traces_leave_metrics_out() {
    let topology = Topology::orders();
    let mut command =
        topology.command(&["--virtual", "--for", "5s", "--out", "spans.jsonl", "--show", "none"]);
    finish(command.env("OTEL_METRICS_EXPORTER", "none")).success();
    let found = metrics(&topology.beside("spans.jsonl"), &[]);
    assert!(found.success().contains("no line of the file has metrics"), "{}", found.stdout);

    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let traces = finish(simhost().arg("traces").arg(&path));
    assert_eq!(traces.success(), "0 traces\n");
}

#[test]
fn what_is_no_otlp_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "milk\neggs\n").expect("a file");
    let found = metrics(&path, &[]);
    assert_eq!(found.code, Some(2));
    assert!(found.stderr.contains("no line of "), "{}", found.stderr);
}

#[test]
fn a_file_that_is_cut_off_gives_its_whole_lines_and_without_one_is_refused() {
    let (_folder, path) = file("metrics.jsonl", records(PLAIN));
    let text = std::fs::read_to_string(&path).expect("text");
    let cut = |bytes: usize| {
        std::fs::write(&path, &text[..bytes]).expect("a file");
        metrics(&path, &[])
    };
    let most = cut(text.len() - 10);
    assert!(most.code == Some(2) || most.stdout.contains("1 line left out: no OTLP as JSON"), "{most:?}");
    let none = cut(100);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("of one that is cut off, whole lines are read"), "{}", none.stderr);

    let (_folder, path) = file("metrics.jsonl.gz", records(PLAIN));
    let packed = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &packed[..40]).expect("a file");
    for command in ["metrics", "traces"] {
        let found = finish(simhost().arg(command).arg(&path));
        assert_eq!(found.code, Some(2), "{command}: {}", found.stdout);
        assert!(found.stderr.contains("error: nothing of "), "{command}: {}", found.stderr);
        assert!(found.stderr.contains("cut off within its first line"), "{command}: {}", found.stderr);
    }
}

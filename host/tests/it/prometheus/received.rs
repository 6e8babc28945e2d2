//! Prometheus takes the metrics of a run over OTLP, with the configuration that ships.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Prometheus, binary};
use crate::support::metrics::{Exemplar as Measurement, Point, parse};
use crate::support::program::now;
use crate::support::{METRICS, at_once, finish, simhost};

/// The binary to test with; none, and a line that says why, where there is none that takes OTLP.
fn receiver() -> Option<PathBuf> {
    let binary = binary()?;
    let help = Command::new(&binary).arg("--help").output().expect("Prometheus has help");
    let help = format!("{}{}", String::from_utf8_lossy(&help.stdout), String::from_utf8_lossy(&help.stderr));
    if help.contains("web.enable-otlp-receiver") {
        return Some(binary);
    }
    eprintln!("skipped: {} takes no OTLP as Prometheus 3 does", binary.display());
    None
}

/// A Prometheus with the metrics of 90 seconds of a system in virtual time, and the points of that run.
fn received(system: &str) -> Option<(Prometheus, Vec<Point>)> {
    let binary = receiver()?;
    let configuration = std::fs::read_to_string(shipped("prometheus.yml")).expect("the configuration");
    let prometheus = Prometheus::start(&binary, &configuration, &["--web.enable-otlp-receiver"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.jsonl");
    let mut command = simhost();
    command.arg("run").arg(shipped("../topologies").join(format!("{system}.toml")));
    command.args(["--virtual", "--for", "90s", "--show", "none", "--out"]).arg(&file);
    command
        .env(METRICS, "otlp")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "15000")
        .env("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
        .env(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            format!("http://{}/api/v1/otlp/v1/metrics", prometheus.address),
        );
    finish(&mut command).success();
    Some((prometheus, parse(&std::fs::read_to_string(file).expect("the file"))))
}

/// A file of `collector/`.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector").join(name)
}

/// Each system, and the metrics that some service of it has besides those of its requests.
const SYSTEMS: [(&str, &[&str]); 5] = [
    ("orders", &["http.client.request.duration"]),
    ("checkout", &["http.client.request.duration", "db.client.operation.duration"]),
    (
        "storefront",
        &["http.client.request.duration", "db.client.operation.duration", "messaging.process.duration"],
    ),
    ("items", &["db.client.operation.duration"]),
    ("dispatch", &["http.client.request.duration", "messaging.process.duration"]),
];

#[test]
fn each_system_in_virtual_time_leaves_its_whole_course_in_prometheus() {
    at_once(&SYSTEMS, |(system, others)| {
        let Some((prometheus, points)) = received(system) else { return };
        for metric in others.iter().chain(&["http.server.request.duration"]) {
            the_course_of_a_metric(&prometheus, system, metric, &points);
        }
    });
}

/// Seven collections: at six intervals and at the end.
const COLLECTIONS: usize = 7;

fn the_course_of_a_metric(prometheus: &Prometheus, system: &str, metric: &str, points: &[Point]) {
    let in_prometheus = format!("{}_seconds", metric.replace('.', "_"));
    let mut collections = BTreeSet::new();
    for point in points.iter().filter(|point| point.metric == metric) {
        let histogram = point.histogram();
        let at = point.time as f64 / 1e9;
        collections.insert(point.time);
        let Point { service, instance, .. } = point;
        let mut labels =
            format!("job=\"{system}/{service}\", service_name=\"{service}\", instance=\"{instance}\"");
        for (key, value) in &point.attributes {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(labels, ", {}=\"{value}\"", key.replace('.', "_")).expect("a text takes more");
        }
        let one = |part: &str| {
            let series = format!("{in_prometheus}_{part}{{{labels}}}");
            let vector = prometheus.query(&series, Some(at));
            // A series without an attribute matches those that have it: it is the one with the fewest labels.
            let least = vector.iter().min_by_key(|(labels, _)| labels.len());
            least.unwrap_or_else(|| panic!("no {series} at {at}")).1
        };
        assert_eq!(one("count"), histogram.count as f64, "{in_prometheus}{{{labels}}} at {at}");
        assert!((one("sum") - histogram.sum).abs() < 1e-9, "{in_prometheus}{{{labels}}} at {at}");
    }
    assert_eq!(collections.len(), COLLECTIONS, "{system}: {metric}");
    let measured: Vec<_> = points.iter().flat_map(|point| &point.exemplars).collect();
    let kept = prometheus.exemplars(&format!("{in_prometheus}_bucket"), now().as_secs_f64());
    assert!(kept.len() > 5, "{system}: {metric}: {kept:?}");
    for (_, exemplar) in &kept {
        let same = |one: &&&Measurement| (&one.trace, &one.span) == (&exemplar.trace, &exemplar.span);
        let all: Vec<_> = measured.iter().filter(same).map(|one| one.value).collect();
        assert!(all.contains(&exemplar.value), "nobody measured {exemplar:?}, but {all:?}");
    }
}

#[test]
fn the_panels_of_the_dashboard_that_show_what_services_measure_have_all_services() {
    let Some((prometheus, points)) = received("orders") else { return };
    let end = points.iter().map(|point| point.time).max().expect("a point") as f64 / 1e9;
    let dashboard = std::fs::read_to_string(shipped("grafana/dashboards/simhost.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let expressions: Vec<_> = targets
        .filter_map(|target| target["expr"].as_str())
        .filter(|expression| expression.contains("service_name"))
        .collect();
    assert_eq!(expressions.len(), 5, "{expressions:#?}");
    for expression in expressions {
        // What Grafana writes in their places.
        let filled = expression.replace("$service", ".*").replace("$__rate_interval", "1m");
        let vector = prometheus.query(&filled, Some(end));
        let services: Vec<_> = vector.iter().map(|(labels, _)| labels["service_name"].as_str()).collect();
        assert_eq!(services.len(), 4, "{filled}: {vector:#?}");
        assert!(vector.iter().all(|(_, value)| value.is_finite()), "{filled}: {vector:#?}");
    }
}

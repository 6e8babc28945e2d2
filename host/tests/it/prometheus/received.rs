//! Prometheus takes the metrics of a run over OTLP, with the configuration that ships.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Prometheus, binary};
use crate::support::metrics::{Exemplar as Measurement, Point, parse};
use crate::support::program::now;
use crate::support::{METRICS, Topology};

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

/// A Prometheus with the metrics of 90 seconds in virtual time, and the points of that run.
fn received() -> Option<(Prometheus, Vec<Point>)> {
    let binary = receiver()?;
    let configuration = std::fs::read_to_string(shipped("prometheus.yml")).expect("the configuration");
    let prometheus = Prometheus::start(&binary, &configuration, &["--web.enable-otlp-receiver"]);
    let topology = Topology::orders_as_it_ships();
    let mut command = topology.command(&["--for", "90s", "--show", "none"]);
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
    let (finished, records) = topology.records_of(&mut command);
    finished.success();
    Some((prometheus, parse(&records)))
}

/// A file of `collector/`.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector").join(name)
}

#[test]
fn a_run_in_virtual_time_leaves_its_whole_course_in_prometheus() {
    let Some((prometheus, points)) = received() else { return };
    let mut compared = 0;
    for point in points.iter().filter(|point| point.metric == "http.server.request.duration") {
        let histogram = point.histogram();
        let at = point.time as f64 / 1e9;
        let route = point.attributes["http.route"].as_str().expect("a route");
        let Point { service, instance, .. } = point;
        let series = format!(
            "{{job=\"orders/{service}\", service_name=\"{service}\", instance=\"{instance}\", \
             http_route=\"{route}\"}}"
        );
        let one = |name: &str| {
            let metric = format!("http_server_request_duration_seconds_{name}{series}");
            let vector = prometheus.query(&metric, Some(at));
            let [(_, value)] = vector.as_slice() else { panic!("{metric} at {at}: {vector:#?}") };
            *value
        };
        assert_eq!(one("count"), histogram.count as f64, "{series} at {at}");
        assert!((one("sum") - histogram.sum).abs() < 1e-9, "{series} at {at}");
        compared += 1;
    }
    assert_eq!(compared, 5 * 7, "five routes at six intervals and at the end");
    let measured: Vec<_> = points.iter().flat_map(|point| &point.exemplars).collect();
    let kept = prometheus.exemplars("http_server_request_duration_seconds_bucket", now().as_secs_f64());
    assert!(kept.len() > 10, "{kept:?}");
    for (_, exemplar) in &kept {
        let same = |one: &&&Measurement| (&one.trace, &one.span) == (&exemplar.trace, &exemplar.span);
        let one = measured.iter().find(same).unwrap_or_else(|| panic!("nobody measured {exemplar:?}"));
        assert_eq!(one.value, exemplar.value);
    }
}

#[test]
fn the_panels_of_the_dashboard_that_show_what_services_measure_have_all_services() {
    let Some((prometheus, points)) = received() else { return };
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

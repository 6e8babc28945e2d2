//! Prometheus takes the metrics of a run over OTLP, where its version can.

use std::path::Path;
use std::process::Command;

use super::{Prometheus, binary};
use crate::support::metrics::{Exemplar as Measurement, parse};
use crate::support::{METRICS, Topology};

/// The flag that lets this Prometheus take OTLP; none, and a line that says why, where it is too old.
fn receiver(binary: &Path) -> Option<&'static str> {
    let help = Command::new(binary).arg("--help").output().expect("Prometheus has help");
    let help = format!("{}{}", String::from_utf8_lossy(&help.stdout), String::from_utf8_lossy(&help.stderr));
    let flags = [
        ("web.enable-otlp-receiver", "--web.enable-otlp-receiver"),
        // From version 2.47 until 3.0.
        ("otlp-write-receiver", "--enable-feature=otlp-write-receiver"),
    ];
    let flag = flags.into_iter().find(|(sign, _)| help.contains(sign)).map(|(_, flag)| flag);
    if flag.is_none() {
        eprintln!("skipped: {} takes no OTLP: that began with Prometheus 2.47", binary.display());
    }
    flag
}

#[test]
fn a_run_in_virtual_time_leaves_its_whole_course_in_prometheus() {
    let Some(binary) = binary() else { return };
    let Some(flag) = receiver(&binary) else { return };
    let prometheus = Prometheus::start(&binary, "scrape_configs: []\n", &[flag]);
    let topology = Topology::orders_as_it_ships();
    let mut command = topology.command(&["--for", "5m", "--show", "none"]);
    command
        .env(METRICS, "otlp")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
        .env(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            format!("http://{}/api/v1/otlp/v1/metrics", prometheus.address),
        );
    let (finished, records) = topology.records_of(&mut command);
    finished.success();
    let points = parse(&records);
    let mut compared = 0;
    for point in points.iter().filter(|point| point.metric == "http.server.request.duration") {
        let histogram = point.histogram();
        let at = point.time as f64 / 1e9;
        let route = point.attributes["http.route"].as_str().expect("a route");
        let series = format!(
            "{{job=\"orders/{}\", instance=\"{}\", http_route=\"{route}\"}}",
            point.service, point.instance
        );
        let one = |name: &str| {
            let vector =
                prometheus.query(&format!("http_server_request_duration_seconds_{name}{series}"), Some(at));
            let [(_, value)] = vector.as_slice() else { panic!("{name} of {series} at {at}: {vector:#?}") };
            *value
        };
        assert_eq!(one("count"), histogram.count as f64, "{series} at {at}");
        assert!((one("sum") - histogram.sum).abs() < 1e-9, "{series} at {at}");
        compared += 1;
    }
    assert_eq!(compared, 5 * 6, "five routes at five minutes and at the end");
    let measured: Vec<_> = points.iter().flat_map(|point| &point.exemplars).collect();
    let kept = prometheus.exemplars("http_server_request_duration_seconds_bucket");
    assert!(kept.len() >= 6, "{kept:?}");
    for (_, exemplar) in &kept {
        let same = |one: &&&Measurement| (&one.trace, &one.span) == (&exemplar.trace, &exemplar.span);
        let one = measured.iter().find(same).unwrap_or_else(|| panic!("nobody measured {exemplar:?}"));
        assert_eq!(one.value, exemplar.value);
    }
}

//! What is said of metrics, of log records, and of where they go.

use std::time::Duration;

use simhost::telemetry::env::{
    ExemplarFilter, HistogramAggregation, MetricSettings, Prometheus, TemporalityPreference,
};
use simhost::telemetry::pipeline::Batching;
use simhost::telemetry::signal::Signal;

use super::{ENDPOINT, ends, read, settings};

#[test]
fn metrics_have_settings_of_their_own() {
    let all = settings(&[
        (ENDPOINT, "http://c:4317"),
        ("OTEL_METRICS_EXPORTER", "otlp, console,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "5000"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
    ]);
    let expected = MetricSettings {
        is_on: true,
        interval: Duration::from_secs(10),
        temporality: TemporalityPreference::LowMemory,
        aggregation: HistogramAggregation::Exponential,
        exemplars: ExemplarFilter::AlwaysOff,
        prometheus: Some(Prometheus { host: "0.0.0.0".to_owned(), port: 0 }),
    };
    assert_eq!(all.metrics, expected);
    assert!(all.console[Signal::Metrics] && ends(&all)[2].is_some());
    assert_eq!(
        (all.batching[Signal::Metrics].timeout, all.patience().as_millis()),
        (Duration::from_secs(5), 30_000)
    );
    assert_eq!(all.notes, [""; 0]);
}

#[test]
fn log_records_are_gathered_by_variables_of_their_own() {
    let all = settings(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "7"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "60000"),
    ]);
    let Batching { delay, queue, batch, timeout } = all.batching[Signal::Logs];
    assert_eq!((delay.as_millis(), queue, batch, timeout.as_millis()), (7, 100, 100, 60_000));
    assert_eq!(all.batching[Signal::Traces].queue, 65_536);
    assert_eq!(all.patience().as_millis(), 60_000);
}

#[test]
fn prometheus_alone_leaves_metrics_out_of_a_receiver_on_the_command_line() {
    let all = read(&[("OTEL_METRICS_EXPORTER", "prometheus")], None, Some("http://c:4317")).unwrap();
    let prometheus = Prometheus { host: "localhost".to_owned(), port: 9464 };
    assert_eq!(
        (all.metrics.is_on, &all.metrics.prometheus, &ends(&all)[2]),
        (true, &Some(prometheus), &None)
    );
    assert!(ends(&all)[0].is_some());
}

#[test]
fn metrics_that_are_off_make_their_other_variables_pointless_and_a_note_says_so() {
    let off = ("OTEL_METRICS_EXPORTER", "none");
    let all =
        settings(&[off, ("OTEL_METRIC_EXPORT_INTERVAL", "1000"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "1")]);
    assert!(!all.metrics.is_on);
    let said = [
        "OTEL_EXPORTER_PROMETHEUS_PORT has no effect: OTEL_METRICS_EXPORTER does not name prometheus",
        "OTEL_METRIC_EXPORT_INTERVAL has no effect: OTEL_METRICS_EXPORTER is none",
    ];
    assert_eq!(all.notes, said);
    let variable = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
    let all = settings(&[("OTEL_METRICS_EXPORTER", "prometheus"), variable]);
    let said = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is not for Prometheus, which gets cumulative values";
    assert_eq!(all.notes, [said]);
}

#[test]
fn logs_and_metrics_can_be_kept_from_a_receiver_on_the_command_line() {
    let url = "http://localhost:4317";
    let grpc = || Some(format!("Grpc {url}"));
    for (exporter, end) in [("none", None), ("console", grpc()), ("otlp", grpc()), ("", grpc())] {
        let settings = read(&[("OTEL_LOGS_EXPORTER", exporter)], None, Some(url)).unwrap();
        assert_eq!(ends(&settings), [grpc(), end.clone(), grpc()], "{exporter:?}");
        assert_eq!(settings.console[Signal::Logs], exporter == "console");
        let settings = read(&[("OTEL_METRICS_EXPORTER", exporter)], None, Some(url)).unwrap();
        assert_eq!(ends(&settings), [grpc(), grpc(), end], "{exporter:?}");
    }
}

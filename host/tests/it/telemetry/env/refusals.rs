//! Values that are refused.

use super::{ENDPOINT, PROTOCOL, TRACES_ENDPOINT, problems, read, settings};

#[test]
fn every_variable_refuses_what_it_does_not_know() {
    let endpoint = (ENDPOINT, "https://c:9");
    let table = [
        (ENDPOINT, "ftp://c"),
        (ENDPOINT, "http://"),
        (ENDPOINT, "http://c:9/path"),
        (ENDPOINT, "http://me:secret@c:9"),
        (TRACES_ENDPOINT, "http://c:99999"),
        (PROTOCOL, "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "GRPC"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no-equals-sign"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%00"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist.pem"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/dev/null"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "none,otlp"),
        ("OTEL_LOGS_EXPORTER", "Otlp"),
        ("OTEL_SDK_DISABLED", "1"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "65537"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "65537"),
        ("OTEL_METRICS_EXPORTER", "statsd"),
        ("OTEL_METRICS_EXPORTER", "none,prometheus"),
        ("OTEL_TRACES_EXPORTER", "prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "0"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "all"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "exponential"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "65536"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_ENABLED", "no"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1.5"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4294967296"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=%ff"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,team=50%"),
        ("OTEL_RESOURCE_ATTRIBUTES", "te%zzam=50"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%2"),
    ];
    for (name, value) in table {
        let found = problems(&[(name, value), endpoint]);
        assert_eq!(found.len(), 1, "{name}={value}: {found:?}");
        assert!(found[0].message.contains(name) && found[0].help.is_some(), "{:?}", found[0]);
    }
    for ratio in ["1.1", "-0.1", "NaN", "half"] {
        let found = problems(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        assert!(found[0].message.contains(ratio), "{found:?}");
    }
}

#[test]
fn all_problems_come_at_once_and_none_shows_a_secret() {
    let found = problems(&[
        (ENDPOINT, "http://c:9"),
        (PROTOCOL, "carrier pigeon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer s3cret"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!format!("{found:?}").contains("s3cret"));
    let found = problems(&[(ENDPOINT, "http://me:s3cret@c:9"), (TRACES_ENDPOINT, "me:s3cret@c:x")]);
    assert!(found.len() == 2 && !format!("{found:?}").contains("s3cret"), "{found:?}");
    let url = settings(&[(ENDPOINT, "http://me:s3cret@c:4318")]);
    assert!(!format!("{url:?}").contains("s3cret"));
    let wrong = read(&[], None, Some("localhost:4317")).unwrap_err();
    insta::assert_snapshot!(wrong[0].message, @"--otlp is not a URL: `localhost:4317`");
    insta::assert_snapshot!(wrong[0].help.as_ref().unwrap(), @"write http://localhost:4317");
}

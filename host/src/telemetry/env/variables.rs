//! The variables that are read. Each is declared once: the reader gets at no others, and the table of the
//! reference is made of these.

use super::SpanLimits;
use super::metrics::MetricSettings;
use crate::telemetry::otlp::ATTEMPT_AT_MOST;
use crate::telemetry::pipeline::Batching;
use crate::telemetry::signal::Signal;

/// A variable. `{SIGNAL}` in its name stands for each signal.
struct Variable {
    name: &'static str,
    /// What holds without it: Markdown.
    default: fn() -> String,
    /// What it means: a phrase of Markdown.
    says: &'static str,
    /// One signal may have a value of its own: `OTEL_EXPORTER_OTLP_TRACES_…`.
    per_signal: bool,
}

const fn variable(name: &'static str, default: fn() -> String, says: &'static str) -> Variable {
    Variable { name, default, says, per_signal: false }
}

const fn exporter(name: &'static str, default: fn() -> String, says: &'static str) -> Variable {
    Variable { name, default, says, per_signal: true }
}

const PEM: &str = "a PEM file";

/// In the order of the reference.
const VARIABLES: [Variable; 38] = [
    exporter(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        || "the topology's, or none".to_owned(),
        "`http://localhost:4317`; over HTTP `v1/traces`, `v1/logs` and `v1/metrics` are appended",
    ),
    exporter(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        || "`grpc`; on port 4318 `http/protobuf`".to_owned(),
        "`grpc` or `http/protobuf`",
    ),
    exporter(
        "OTEL_EXPORTER_OTLP_HEADERS",
        || "none".to_owned(),
        "`key=value,key=value`, values percent-encoded",
    ),
    exporter("OTEL_EXPORTER_OTLP_COMPRESSION", || code("none"), "`none` or `gzip`"),
    exporter(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        || code(ATTEMPT_AT_MOST.as_millis()),
        "milliseconds, for one attempt",
    ),
    exporter(
        "OTEL_EXPORTER_OTLP_INSECURE",
        || code(false),
        "`true`: no TLS, for a gRPC endpoint that is written without a scheme",
    ),
    exporter("OTEL_EXPORTER_OTLP_CERTIFICATE", || "the system's authorities".to_owned(), PEM),
    exporter("OTEL_EXPORTER_OTLP_CLIENT_KEY", || "none".to_owned(), PEM),
    exporter("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", || "none".to_owned(), PEM),
    variable(
        "OTEL_{SIGNAL}_EXPORTER",
        || "`otlp` if there is an endpoint".to_owned(),
        "`otlp`, `console`, both with a comma, or `none`; of metrics also `prometheus`",
    ),
    variable(
        "OTEL_TRACES_SAMPLER",
        || code("parentbased_always_on"),
        "or `always_on`, `always_off`, `traceidratio`, `parentbased_always_off`, `parentbased_traceidratio`, `probability`, \
         `parentbased_probability`: see [sampling](../guides/sampling.md)",
    ),
    variable(
        "OTEL_TRACES_SAMPLER_ARG",
        || code("1.0"),
        "the share of traces that `traceidratio`, `probability` and their `parentbased_` kin keep",
    ),
    variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        || "none".to_owned(),
        "`key=value,key=value`, both percent-encoded: attributes of every service. A value of the topology for the \
         same key counts in its place",
    ),
    variable(
        "OTEL_BSP_SCHEDULE_DELAY",
        || code(Batching::default().delay.as_millis()),
        "milliseconds until a batch that is not full leaves",
    ),
    variable(
        "OTEL_BSP_EXPORT_TIMEOUT",
        || code(Batching::default().timeout.as_millis()),
        "milliseconds: see [waiting for receivers](../guides/export.md#waiting-for-receivers)",
    ),
    variable("OTEL_BSP_MAX_QUEUE_SIZE", || code(Batching::default().queue), "records that wait"),
    variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", || code(Batching::default().batch), "records of a batch"),
    variable("OTEL_BLRP_SCHEDULE_DELAY", || of_spans("SCHEDULE_DELAY"), "the same for log records"),
    variable("OTEL_BLRP_EXPORT_TIMEOUT", || of_spans("EXPORT_TIMEOUT"), "the same for log records"),
    variable(
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        || of_spans("MAX_QUEUE_SIZE"),
        "log records that wait for their receiver",
    ),
    variable(
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        || of_spans("MAX_EXPORT_BATCH_SIZE"),
        "log records of a batch",
    ),
    variable(
        "OTEL_METRIC_EXPORT_INTERVAL",
        || code(MetricSettings::default().interval.as_millis()),
        "milliseconds of simulated time from one collection of metrics to the next",
    ),
    variable(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        || "that of `OTEL_BSP_EXPORT_TIMEOUT`".to_owned(),
        "milliseconds: for how long a receiver of metrics is waited for",
    ),
    variable(
        "OTEL_METRICS_EXEMPLAR_FILTER",
        || code("trace_based"),
        "which measurements may become exemplars: `trace_based`, those in sampled spans; `always_on`; `always_off`",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        || code("cumulative"),
        "`cumulative`, `delta` or `lowmemory`, of counters and histograms over OTLP and in files; up-down counters \
         and what Prometheus fetches are cumulative",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        || code("explicit_bucket_histogram"),
        "or `base2_exponential_bucket_histogram`",
    ),
    variable(
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        || code("localhost"),
        "where Prometheus fetches metrics with `OTEL_METRICS_EXPORTER=prometheus`",
    ),
    variable("OTEL_EXPORTER_PROMETHEUS_PORT", || code(9464), "the port there; `0` takes any that is free"),
    variable(
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        || code(SpanLimits::default().attributes),
        "attributes of a span; further ones are dropped and counted",
    ),
    variable("OTEL_SPAN_EVENT_COUNT_LIMIT", || code(SpanLimits::default().events), "events of a span"),
    variable(
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        || code(SpanLimits::default().event_attributes),
        "attributes of an event",
    ),
    variable(
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        || "none".to_owned(),
        "characters of a text in a span; longer ones are cut",
    ),
    variable(
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        || "none".to_owned(),
        "holds where `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` is not set",
    ),
    variable(
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        || "none".to_owned(),
        "holds where `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` is not set",
    ),
    variable(
        "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN",
        || "span events".to_owned(),
        "`logs`: exceptions are log records; `logs/dup`: both: see [exceptions](span-attributes.md#exceptions)",
    ),
    variable(
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        || "the stable names".to_owned(),
        "`database/dup`: spans of databases and caches have the old names of attributes too: see \
         [statements](span-attributes.md#statements)",
    ),
    variable(
        "OTEL_SDK_DISABLED",
        || code(false),
        "`true`: no span, log record or data point is made, and no receiver of the environment or the topology gets \
         any. `--out` and `--otlp` win over it, and a note says so; `--show traces`, the flags that choose traces and \
         `--log-format` show nothing then",
    ),
    variable("OTEL_ENABLED", || code(true), "`false`: the same as `OTEL_SDK_DISABLED=true`"),
];

fn code(value: impl std::fmt::Display) -> String {
    format!("`{value}`")
}

/// The default of log records: what holds for spans.
fn of_spans(rest: &str) -> String {
    format!("that of `OTEL_BSP_{rest}`")
}

/// Whether a variable is declared, for all signals or for one.
pub fn is_declared(name: &str) -> bool {
    names().any(|declared| declared == name)
}

/// The names of all variables, those of each signal among them.
pub fn names() -> impl Iterator<Item = String> {
    VARIABLES.iter().flat_map(|variable| {
        let of_signals = Signal::ALL.iter().filter_map(|signal| {
            let signal = signal.spec().variable;
            let is_named = variable.name.contains("{SIGNAL}");
            let own = || variable.name.replace("OTLP_", &format!("OTLP_{signal}_"));
            (is_named.then(|| variable.name.replace("{SIGNAL}", signal))).or(variable.per_signal.then(own))
        });
        let shared = (!variable.name.contains("{SIGNAL}")).then(|| variable.name.to_owned());
        shared.into_iter().chain(of_signals).collect::<Vec<_>>()
    })
}

/// The table of the reference: Markdown.
pub fn table() -> String {
    let mut table = "| variable | default | |\n|---|---|---|\n".to_owned();
    for Variable { name, default, says, .. } in &VARIABLES {
        let names = Signal::ALL.map(|signal| code(name.replace("{SIGNAL}", signal.spec().variable)));
        let names = if name.contains("{SIGNAL}") { names.join(", ") } else { code(name) };
        table.push_str(&format!("| {names} | {} | {says} |\n", default()));
    }
    table
}

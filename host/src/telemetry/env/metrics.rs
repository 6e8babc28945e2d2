//! What only metrics have: when and how they are collected, and who fetches them
//! ("Environment Variable Specification"; "OTLP Metrics Exporter"; "Prometheus Exporter").

use std::time::Duration;

use super::reader::Reader;

/// How metrics are collected, and what is sent of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSettings {
    /// False for `OTEL_METRICS_EXPORTER=none`: nothing is counted.
    pub is_on: bool,
    /// Simulated time from one collection to the next.
    pub interval: Duration,
    pub temporality: TemporalityPreference,
    pub aggregation: HistogramAggregation,
    pub exemplars: ExemplarFilter,
    /// Where Prometheus fetches them, if it is to.
    pub prometheus: Option<Prometheus>,
}

impl Default for MetricSettings {
    /// The specification's.
    fn default() -> Self {
        Self {
            is_on: true,
            interval: Duration::from_secs(60),
            temporality: TemporalityPreference::default(),
            aggregation: HistogramAggregation::default(),
            exemplars: ExemplarFilter::default(),
            prometheus: None,
        }
    }
}

/// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`. Up-down counters are cumulative in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemporalityPreference {
    #[default]
    Cumulative,
    /// Counters and histograms are delta.
    Delta,
    /// Counters and histograms are delta, but for counters that are read when they are collected.
    LowMemory,
}

/// `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistogramAggregation {
    #[default]
    Explicit,
    /// Base-2 exponential.
    Exponential,
}

/// `OTEL_METRICS_EXEMPLAR_FILTER`: which measurements may become exemplars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExemplarFilter {
    /// Those in a span that is sampled.
    #[default]
    TraceBased,
    AlwaysOn,
    AlwaysOff,
}

/// Where Prometheus fetches metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// A name or an address: `OTEL_EXPORTER_PROMETHEUS_HOST`.
    pub host: String,
    /// 0 takes any that is free.
    pub port: u16,
}

/// What `OTEL_METRICS_EXPORTER` selects beside receivers and the console.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selected {
    pub is_off: bool,
    pub otlp: bool,
    pub prometheus: bool,
}

const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const TIMEOUT: &str = "OTEL_METRIC_EXPORT_TIMEOUT";
const EXEMPLARS: &str = "OTEL_METRICS_EXEMPLAR_FILTER";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
const AGGREGATION: &str = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// Reads the variables of metrics.
pub fn read(reader: &mut Reader<'_>, selected: Selected) -> MetricSettings {
    let default = MetricSettings::default();
    let interval = reader.number(INTERVAL, 1).map(|interval| Duration::from_millis(interval.into()));
    let temporality = reader.choice(
        TEMPORALITY,
        &[
            ("cumulative", TemporalityPreference::Cumulative),
            ("delta", TemporalityPreference::Delta),
            ("lowmemory", TemporalityPreference::LowMemory),
        ],
    );
    let aggregation = reader.choice(
        AGGREGATION,
        &[
            ("explicit_bucket_histogram", HistogramAggregation::Explicit),
            ("base2_exponential_bucket_histogram", HistogramAggregation::Exponential),
        ],
    );
    let exemplars = reader.choice(
        EXEMPLARS,
        &[
            ("trace_based", ExemplarFilter::TraceBased),
            ("always_on", ExemplarFilter::AlwaysOn),
            ("always_off", ExemplarFilter::AlwaysOff),
        ],
    );
    let prometheus = prometheus(reader, selected);
    if selected.is_off {
        let unused = [INTERVAL, TIMEOUT, EXEMPLARS, TEMPORALITY, AGGREGATION];
        no_effect(reader, &unused, "OTEL_METRICS_EXPORTER is none");
    }
    let is_cumulative = temporality.unwrap_or_default() == TemporalityPreference::Cumulative;
    if prometheus.is_some() && !selected.otlp && !is_cumulative {
        reader.note(format!("{TEMPORALITY} is not for Prometheus, which gets cumulative values"));
    }
    MetricSettings {
        is_on: !selected.is_off,
        interval: interval.unwrap_or(default.interval),
        temporality: temporality.unwrap_or_default(),
        aggregation: aggregation.unwrap_or_default(),
        exemplars: exemplars.unwrap_or_default(),
        prometheus,
    }
}

/// `OTEL_EXPORTER_PROMETHEUS_*`, with the specification's defaults.
fn prometheus(reader: &mut Reader<'_>, selected: Selected) -> Option<Prometheus> {
    let host = reader.text(HOST);
    let port = reader.port(PORT);
    if !selected.prometheus {
        no_effect(reader, &[HOST, PORT], "OTEL_METRICS_EXPORTER does not name prometheus");
        return None;
    }
    Some(Prometheus { host: host.unwrap_or_else(|| "localhost".to_owned()), port: port.unwrap_or(9464) })
}

fn no_effect(reader: &mut Reader<'_>, names: &[&str], why: &str) {
    for name in names.iter().filter(|name| reader.text(name).is_some()).collect::<Vec<_>>() {
        reader.note(format!("{name} has no effect: {why}"));
    }
}

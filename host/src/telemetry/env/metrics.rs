//! What only metrics have: when and how they are collected, and who fetches them.

use std::time::Duration;

/// How metrics are collected, and what is sent of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSettings {
    /// False for `OTEL_METRICS_EXPORTER=none` and for `OTEL_SDK_DISABLED=true`: nothing is counted.
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

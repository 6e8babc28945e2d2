//! What is asked of metrics.

use crate::model::Nanos;

/// How metrics are made, and when they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Nanoseconds of simulated time between two collections.
    pub interval: Nanos,
    pub temporality: Preference,
    pub histograms: Histograms,
    pub exemplars: ExemplarFilter,
    /// Whether explicit buckets are kept for a Prometheus endpoint, whatever else is asked.
    pub is_scraped: bool,
}

/// `OTEL_METRIC_EXPORT_INTERVAL`, where nothing is set.
pub const INTERVAL: Nanos = 60_000_000_000;

impl Default for Settings {
    /// The specification's.
    fn default() -> Self {
        Self {
            interval: INTERVAL,
            temporality: Preference::Cumulative,
            histograms: Histograms::Explicit,
            exemplars: ExemplarFilter::TraceBased,
            is_scraped: false,
        }
    }
}

/// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    Cumulative,
    /// Counters and histograms as deltas.
    Delta,
    /// As [`Delta`](Self::Delta), but counters that are observed stay cumulative.
    LowMemory,
}

/// `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Histograms {
    Explicit,
    Exponential,
}

/// `OTEL_METRICS_EXEMPLAR_FILTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExemplarFilter {
    TraceBased,
    AlwaysOn,
    AlwaysOff,
}

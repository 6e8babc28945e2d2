//! What is asked of metrics.

use crate::clock;
use crate::model::Nanos;
use crate::telemetry::env::{ExemplarFilter, HistogramAggregation, MetricSettings, TemporalityPreference};

/// How metrics are made, and when they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Nanoseconds of simulated time between two collections.
    pub interval: Nanos,
    pub temporality: TemporalityPreference,
    pub aggregation: HistogramAggregation,
    pub exemplars: ExemplarFilter,
    /// Whether the sizes of bodies are measured.
    pub body_sizes: bool,
    /// Whether explicit buckets are kept for a Prometheus endpoint, whatever else is asked.
    pub is_scraped: bool,
}

impl Settings {
    /// Those of the environment; `body_sizes` says whether the sizes of bodies are measured.
    pub fn new(settings: &MetricSettings, body_sizes: bool) -> Self {
        Self {
            interval: clock::nanos(settings.interval),
            temporality: settings.temporality,
            aggregation: settings.aggregation,
            exemplars: settings.exemplars,
            body_sizes,
            is_scraped: settings.prometheus.is_some(),
        }
    }
}

impl Default for Settings {
    /// The specification's.
    fn default() -> Self {
        Self::new(&MetricSettings::default(), false)
    }
}

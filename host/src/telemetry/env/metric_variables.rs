//! The variables of metrics ("Environment Variable Specification"; "OTLP Metrics Exporter";
//! "Prometheus Exporter").

use super::metrics::{
    ExemplarFilter, HistogramAggregation, MetricSettings, Prometheus, TemporalityPreference,
};
use super::reader::Reader;

/// What `OTEL_METRICS_EXPORTER` selects beside receivers and the console.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selected {
    pub is_off: bool,
    pub otlp: bool,
    pub console: bool,
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
    let interval = reader.milliseconds(INTERVAL, 1);
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
    if prometheus.is_some() && !selected.otlp && !selected.console {
        if temporality.is_some_and(|temporality| temporality != TemporalityPreference::Cumulative) {
            reader.note(format!("{TEMPORALITY} is not for Prometheus, which gets cumulative values"));
        }
        if aggregation == Some(HistogramAggregation::Exponential) {
            reader.note(format!("{AGGREGATION} is not for Prometheus, which gets explicit buckets"));
        }
        no_effect(reader, &[INTERVAL, TIMEOUT], "Prometheus collects when it asks");
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
    // As URLs have an address of IPv6.
    let host = host.map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned());
    Some(Prometheus { host: host.unwrap_or_else(|| "localhost".to_owned()), port: port.unwrap_or(9464) })
}

fn no_effect(reader: &mut Reader<'_>, names: &[&str], why: &str) {
    for name in names.iter().filter(|name| reader.text(name).is_some()).collect::<Vec<_>>() {
        reader.note(format!("{name} has no effect: {why}"));
    }
}

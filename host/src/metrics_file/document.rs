//! The metrics of a file as JSON; `docs/metrics.schema.json` describes it.

use schemars::JsonSchema;
use serde::Serialize;

use super::Found;
use super::series::{Kind, Row};

/// The version of the document.
const SCHEMA: u32 = 1;

/// What `simhost metrics --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "The metrics of a file")]
pub struct Document {
    /// The version of this document.
    pub schema: u32,
    /// When the first and the last data points were collected: nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    pub end_unix_ns: u64,
    /// The length of a place of `over_time`; none where there is one for each instant at which metrics
    /// were collected.
    pub slot_ns: Option<u64>,
    /// By service and name.
    pub metrics: Vec<MetricRow>,
    /// What else is to be known of the file: a sentence each.
    pub notes: Vec<String>,
}

/// A metric of a service, summed over its replicas and attributes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MetricRow {
    pub service: String,
    pub metric: String,
    /// By the Unified Code for Units of Measure; empty where the file has none.
    pub unit: String,
    pub kind: MetricKind,
    /// Sets of attributes, over all replicas.
    pub series: u64,
    /// Values of a histogram, or what a counter has counted.
    pub count: Option<f64>,
    /// That by the second.
    pub rate_per_second: Option<f64>,
    /// Of a histogram, from its buckets: within a bucket values are taken to be spread evenly.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// The least and the greatest value, where they are known.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The last value of a gauge, the mean of its series; of an up-down counter, the sum.
    pub last: Option<f64>,
    /// Of a histogram the p95, of a counter what it has counted, of others their value.
    pub over_time: Vec<Option<f64>>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MetricKind {
    Histogram,
    Counter,
    UpDownCounter,
    Gauge,
}

impl Document {
    pub fn new(found: &Found) -> Self {
        let (start_unix_ns, end_unix_ns) = found.timeline.range();
        let rows = found.table.rows.iter();
        Self {
            schema: SCHEMA,
            start_unix_ns,
            end_unix_ns,
            slot_ns: found.timeline.slot_length(),
            metrics: rows.map(|((service, metric), row)| MetricRow::new(service, metric, row)).collect(),
            notes: found.notes.clone(),
        }
    }

    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>()
    }
}

impl MetricRow {
    fn new(service: &str, metric: &str, row: &Row) -> Self {
        let is_counted = matches!(row.kind, Kind::Histogram | Kind::Counter);
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        Self {
            service: service.to_owned(),
            metric: metric.to_owned(),
            unit: row.unit.clone(),
            kind: match row.kind {
                Kind::Histogram => MetricKind::Histogram,
                Kind::Counter => MetricKind::Counter,
                Kind::UpDownCounter => MetricKind::UpDownCounter,
                Kind::Gauge => MetricKind::Gauge,
            },
            series: row.series,
            count: is_counted.then(|| row.count()),
            rate_per_second: row.rate().filter(|_| is_counted),
            p50: finite(row.quantile(0.5)),
            p95: finite(row.quantile(0.95)),
            p99: finite(row.quantile(0.99)),
            min: finite(row.range.map(|(min, _)| min)),
            max: finite(row.range.map(|(_, max)| max)),
            last: finite(row.last().filter(|_| !is_counted)),
            over_time: row.slots.iter().map(|slot| finite(row.at(slot))).collect(),
        }
    }
}

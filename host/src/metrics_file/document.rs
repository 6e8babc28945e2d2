//! The metrics of a file as JSON; `docs/metrics.schema.json` describes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Found;
use super::line::Exemplar;
use super::row::{Kind, Name, Row};
use super::timeline::Timeline;

/// The version of the document.
const SCHEMA: u32 = 1;

/// What `simhost metrics --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "The metrics of a file")]
pub struct Document {
    /// The version of this document.
    pub schema: u32,
    /// The window: from when the first series began to the last data point. Nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    pub end_unix_ns: u64,
    /// The time between two places of `over_time`: one collection or several. The first place begins with
    /// the window, the last one ends with it.
    pub slot_ns: u64,
    /// By service and name.
    pub metrics: Vec<MetricRow>,
    /// What else is to be known of the file: a sentence each.
    pub notes: Vec<String>,
}

/// A metric of a service, summed over its replicas and the attributes that are not in `by`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MetricRow {
    pub service: String,
    pub metric: String,
    /// The attributes that are asked for with `--by`, and those whose names end in `.state`: the sum over
    /// states would say nothing of any.
    pub by: BTreeMap<String, String>,
    /// The name of the instrumentation scope; empty where the file has none.
    pub scope: String,
    /// By the Unified Code for Units of Measure; empty where the file has none.
    pub unit: String,
    pub kind: MetricKind,
    /// Sets of attributes, over all replicas.
    pub series: u64,
    /// Values of a histogram, or what a counter has counted.
    pub count: Option<f64>,
    /// That by the second of the window.
    pub rate_per_second: Option<f64>,
    /// The share of values that have an `error.type`: of histograms whose names end in `.duration`.
    pub error_share: Option<f64>,
    /// Of a histogram, from its buckets: within a bucket values are taken to be spread evenly. A bucket
    /// without a bound above, and with no greatest value known, counts as the bound below.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// The least and the greatest value, where they are known: of single series of a gauge, of sums over the
    /// series of an up-down counter. Cumulative histograms tell those of an interval only where they are
    /// beyond all values before it.
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// The last value of a gauge, the mean of its series; of an up-down counter, the sum.
    pub last: Option<f64>,
    /// Of a histogram the p95, of a counter its rate by the second, of others their value.
    pub over_time: Vec<Option<f64>>,
    /// The measurements of the greatest values that name a trace, the greatest first.
    pub exemplars: Vec<ExemplarRow>,
}

/// A measurement that names the span in which it was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExemplarRow {
    pub value: Option<f64>,
    pub time_unix_ns: u64,
    pub trace_id: String,
    pub span_id: String,
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
        let timeline = &found.table.timeline;
        let (start_unix_ns, end_unix_ns) = timeline.window();
        let rows = found.table.rows.iter();
        Self {
            schema: SCHEMA,
            start_unix_ns,
            end_unix_ns,
            slot_ns: timeline.slot_length(),
            metrics: rows.map(|(name, row)| MetricRow::new(name, row, timeline)).collect(),
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
    fn new(name: &Name, row: &Row, timeline: &Timeline) -> Self {
        let kind = name.kind;
        let is_counted = matches!(kind, Kind::Histogram | Kind::Counter);
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let (min, max) = row.range(kind);
        Self {
            service: name.service.clone(),
            metric: name.metric.clone(),
            by: name.by.iter().cloned().collect(),
            scope: name.scope.clone(),
            unit: name.unit.clone(),
            kind: match kind {
                Kind::Histogram => MetricKind::Histogram,
                Kind::Counter => MetricKind::Counter,
                Kind::UpDownCounter => MetricKind::UpDownCounter,
                Kind::Gauge => MetricKind::Gauge,
            },
            series: row.series,
            count: is_counted.then(|| row.count()),
            rate_per_second: row.rate(timeline).filter(|_| is_counted),
            error_share: row.error_share(name),
            p50: finite(row.quantile(0.5)),
            p95: finite(row.quantile(0.95)),
            p99: finite(row.quantile(0.99)),
            min: finite(min),
            max: finite(max),
            last: finite(row.last(kind)),
            over_time: (0..timeline.slots()).map(|slot| finite(row.at(slot, kind, timeline))).collect(),
            exemplars: row.exemplars.iter().map(ExemplarRow::from).collect(),
        }
    }
}

impl From<&Exemplar> for ExemplarRow {
    fn from(exemplar: &Exemplar) -> Self {
        Self {
            value: exemplar.value(),
            time_unix_ns: exemplar.time(),
            trace_id: exemplar.trace_id.clone(),
            span_id: exemplar.span_id.clone(),
        }
    }
}

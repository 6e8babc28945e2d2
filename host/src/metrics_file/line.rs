//! A line of OTLP as JSON, as far as it is of metrics.
//!
//! The types of `opentelemetry-proto` do not read the numbers that JSON does not have, which are
//! text in OTLP (`"NaN"`), and would lose the whole line.

use std::fmt;

use opentelemetry_semantic_conventions::attribute;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};
use serde_json::Value;

/// The bit of `flags` of a point that tells of no value: its series has ended (`metrics.proto`,
/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`).
const NO_VALUE: u64 = 1;

/// The name of what has no `service.name` (OpenTelemetry specification, "Resource SDK").
const UNKNOWN: &str = "unknown_service";

/// A line as it is written (OTLP file exporter: `MetricsData`, `TracesData` or `LogsData`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    resource_metrics: Option<Vec<OfResource>>,
    resource_spans: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
}

/// `ResourceMetrics`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OfResource {
    resource: Option<Resource>,
    pub scope_metrics: Vec<OfScope>,
}

/// `Resource`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    attributes: Vec<Attribute>,
}

/// `ScopeMetrics`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct OfScope {
    scope: Option<InstrumentationScope>,
    pub metrics: Vec<Metric>,
}

impl OfScope {
    /// The name of what measures; empty where it is not known.
    pub fn name(&self) -> &str {
        self.scope.as_ref().map_or("", |scope| &scope.name)
    }

    /// Its version; empty where it is not known.
    pub fn version(&self) -> &str {
        self.scope.as_ref().map_or("", |scope| &scope.version)
    }
}

/// `InstrumentationScope`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct InstrumentationScope {
    name: String,
    version: String,
}

/// `Metric`. Of its data there is one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    pub name: String,
    pub unit: String,
    pub gauge: Option<Points<NumberPoint>>,
    pub sum: Option<Points<NumberPoint>>,
    pub histogram: Option<Points<HistogramPoint>>,
    pub exponential_histogram: Option<Points<ExponentialPoint>>,
    /// Quantiles of one process, which cannot be added to others.
    summary: Option<Points<IgnoredAny>>,
}

impl Metric {
    /// What its points have, of whichever kind they are.
    pub fn points(&self) -> impl Iterator<Item = &Common> {
        let numbers = self.gauge.iter().chain(&self.sum).flat_map(|of| &of.data_points);
        let explicit = self.histogram.iter().flat_map(|of| &of.data_points);
        let exponential = self.exponential_histogram.iter().flat_map(|of| &of.data_points);
        let numbers = numbers.map(|point| &point.common).chain(explicit.map(|point| &point.common));
        numbers.chain(exponential.map(|point| &point.common))
    }

    /// Points of summaries.
    pub fn summaries(&self) -> u64 {
        self.summary.iter().map(|of| of.data_points.len() as u64).sum()
    }
}

/// `Gauge`, `Sum`, `Histogram` and `ExponentialHistogram`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Points<P> {
    #[serde(default = "Vec::new")]
    pub data_points: Vec<P>,
    #[serde(default)]
    aggregation_temporality: Value,
    #[serde(default)]
    pub is_monotonic: bool,
}

impl<P> Points<P> {
    /// Whether a point counts since the one before; else since its series began.
    pub fn is_delta(&self) -> bool {
        self.aggregation_temporality == 1 || self.aggregation_temporality == "AGGREGATION_TEMPORALITY_DELTA"
    }
}

/// What points of all kinds have.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Common {
    attributes: Vec<Attribute>,
    start_time_unix_nano: Whole,
    time_unix_nano: Whole,
    flags: Whole,
    pub exemplars: Vec<Exemplar>,
}

/// `KeyValue`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attribute {
    key: String,
    /// `AnyValue`.
    value: Value,
}

/// `Exemplar`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exemplar {
    time_unix_nano: Whole,
    as_double: Option<Real>,
    as_int: Option<Real>,
    pub trace_id: String,
    pub span_id: String,
}

impl Exemplar {
    /// Nanoseconds since the Unix epoch.
    pub const fn time(&self) -> u64 {
        self.time_unix_nano.0
    }

    /// None where it has no value, or one that is not finite.
    pub fn value(&self) -> Option<f64> {
        self.as_double.or(self.as_int).map(|value| value.0).filter(|value| value.is_finite())
    }
}

impl Common {
    /// The attribute of this name, as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        self.attributes.iter().find(|of| of.key == key).map(|of| shown(&of.value))
    }

    /// The names of its attributes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|of| of.key.as_str())
    }

    /// Nanoseconds since the Unix epoch; 0 where it is not known.
    pub const fn start(&self) -> u64 {
        self.start_time_unix_nano.0
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn time(&self) -> u64 {
        self.time_unix_nano.0
    }

    /// Whether it tells of a value.
    pub const fn has_value(&self) -> bool {
        self.flags.0 & NO_VALUE == 0
    }

    /// The attributes as text, the same in whichever order they stand.
    pub fn key(&self) -> String {
        let mut texts: Vec<_> =
            self.attributes.iter().map(|of| format!("{:?}={}", of.key, of.value)).collect();
        texts.sort();
        texts.join(",")
    }
}

/// An `AnyValue` as text: what is in it, without its type.
fn shown(value: &Value) -> String {
    let inner = value.as_object().and_then(|of| of.values().next());
    match inner.unwrap_or(value) {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `NumberDataPoint`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NumberPoint {
    #[serde(flatten)]
    pub common: Common,
    as_double: Option<Real>,
    as_int: Option<Real>,
}

impl NumberPoint {
    /// None where the point has no value.
    pub fn value(&self) -> Option<f64> {
        Some(self.as_double.or(self.as_int)?.0).filter(|_| self.common.has_value())
    }
}

/// What histograms of both kinds have.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    count: Whole,
    min: Option<Real>,
    max: Option<Real>,
}

impl Summary {
    pub const fn count(&self) -> u64 {
        self.count.0
    }

    /// The least and the greatest value, those that are finite; neither where they are the wrong way round.
    pub fn range(&self) -> (Option<f64>, Option<f64>) {
        let finite = |of: Option<Real>| of.map(|value| value.0).filter(|value| value.is_finite());
        match (finite(self.min), finite(self.max)) {
            (Some(least), Some(most)) if least > most => (None, None),
            range => range,
        }
    }
}

/// `HistogramDataPoint`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistogramPoint {
    #[serde(flatten)]
    pub common: Common,
    #[serde(flatten)]
    pub summary: Summary,
    bucket_counts: Vec<Whole>,
    explicit_bounds: Vec<Real>,
}

impl HistogramPoint {
    pub fn counts(&self) -> Vec<u64> {
        self.bucket_counts.iter().map(|count| count.0).collect()
    }

    pub fn bounds(&self) -> Vec<f64> {
        self.explicit_bounds.iter().map(|bound| bound.0).collect()
    }
}

/// `ExponentialHistogramDataPoint`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialPoint {
    #[serde(flatten)]
    pub common: Common,
    #[serde(flatten)]
    pub summary: Summary,
    pub scale: i32,
    zero_count: Whole,
    /// Values up to this distance from 0 count as zeros.
    zero_threshold: Option<Real>,
    pub positive: Buckets,
    pub negative: Buckets,
}

impl ExponentialPoint {
    pub const fn zeros(&self) -> u64 {
        self.zero_count.0
    }

    /// How far from 0 a value may be that counts as one of the zeros.
    pub fn threshold(&self) -> f64 {
        self.zero_threshold.map(|of| of.0).filter(|of| of.is_finite() && *of > 0.0).unwrap_or(0.0)
    }
}

/// `ExponentialHistogramDataPoint.Buckets`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Buckets {
    offset: i32,
    bucket_counts: Vec<Whole>,
}

impl Buckets {
    /// All buckets, those without values too.
    pub const fn width(&self) -> usize {
        self.bucket_counts.len()
    }

    /// The index of each bucket that has values, and how many it has.
    pub fn filled(&self) -> impl Iterator<Item = (i32, u64)> {
        let indices = (0..).map(|index| self.offset.saturating_add(index));
        indices
            .zip(&self.bucket_counts)
            .map(|(index, count)| (index, count.0))
            .filter(|(_, count)| *count > 0)
    }
}

impl OfResource {
    fn attributes(&self) -> &[Attribute] {
        self.resource.as_ref().map_or(&[], |resource| &resource.attributes)
    }

    /// Its `service.name`.
    pub fn service(&self) -> String {
        let name = self.attributes().iter().find(|of| of.key == attribute::SERVICE_NAME);
        let name = name.and_then(|of| of.value.get("stringValue")).and_then(Value::as_str);
        name.unwrap_or(UNKNOWN).to_owned()
    }

    /// The attribute of this name, as text.
    pub fn attribute(&self, key: &str) -> Option<String> {
        self.attributes().iter().find(|of| of.key == key).map(|of| shown(&of.value))
    }

    /// The names of its attributes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.attributes().iter().map(|of| of.key.as_str())
    }

    /// All that tells it from others, as text.
    pub fn key(&self) -> String {
        self.attributes().iter().map(|of| format!("{:?}={},", of.key, of.value)).collect()
    }
}

/// The metrics of a line, none for one of another signal; or nothing, where it is no OTLP.
pub fn line(text: &str) -> Option<Vec<OfResource>> {
    let data: Data = serde_json::from_str(text).ok()?;
    match data {
        Data { resource_metrics: Some(metrics), .. } => Some(metrics),
        Data { resource_spans: None, resource_logs: None, .. } => None,
        Data { .. } => Some(Vec::new()),
    }
}

/// A whole number of 64 bits, as text or as a number.
#[derive(Clone, Copy, Debug, Default)]
struct Whole(u64);

/// A number, also one that JSON does not have, as text or as a number.
#[derive(Clone, Copy, Debug, Default)]
struct Real(f64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number, or one as text")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
        Ok(Whole(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
        text.parse().map(Whole).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RealVisitor)
    }
}

struct RealVisitor;

impl Visitor<'_> for RealVisitor {
    type Value = Real;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or one as text")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Real, E> {
        Ok(Real(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Real, E> {
        Ok(Real(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Real, E> {
        Ok(Real(value as f64))
    }

    /// `NaN`, `Infinity` and `-Infinity` too, which Rust spells the same.
    fn visit_str<E: Error>(self, text: &str) -> Result<Real, E> {
        text.parse().map(Real).map_err(E::custom)
    }
}

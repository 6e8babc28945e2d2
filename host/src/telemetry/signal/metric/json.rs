//! Metrics as OTLP JSON ("JSON Protobuf Encoding" of `metrics.proto`).

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::telemetry::encode::json::{AttributeList, Double, Shown, entry};
use crate::telemetry::record::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, KeyValue, MetricRecord, Number,
    NumberPoint, Points, Summary, Temporality,
};

/// The fields of a `Metric`.
pub fn fields<M: SerializeMap>(record: &MetricRecord, map: &mut M) -> Result<(), M::Error> {
    let instrument = &*record.instrument;
    map.serialize_entry("name", &*instrument.name)?;
    entry(map, "description", filled(&instrument.description))?;
    entry(map, "unit", filled(&instrument.unit))?;
    let at = Instants { start: Some(record.start), time: record.time };
    match &record.points {
        Points::Gauge(points) => {
            let at = Instants { start: None, ..at };
            map.serialize_entry("gauge", &Data { points, temporality: None, is_monotonic: false, at })
        }
        Points::Sum { points, is_monotonic, temporality } => {
            let (temporality, is_monotonic) = (Some(*temporality), *is_monotonic);
            map.serialize_entry("sum", &Data { points, temporality, is_monotonic, at })
        }
        Points::Histogram { points, temporality } => {
            let temporality = Some(*temporality);
            map.serialize_entry("histogram", &Data { points, temporality, is_monotonic: false, at })
        }
        Points::ExponentialHistogram { points, temporality } => {
            let temporality = Some(*temporality);
            map.serialize_entry(
                "exponentialHistogram",
                &Data { points, temporality, is_monotonic: false, at },
            )
        }
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// When a point was measured.
#[derive(Clone, Copy)]
struct Instants {
    start: Option<u64>,
    time: u64,
}

/// `Gauge`, `Sum`, `Histogram` and `ExponentialHistogram`.
struct Data<'a, P> {
    points: &'a [P],
    temporality: Option<Temporality>,
    is_monotonic: bool,
    at: Instants,
}

impl<P: Point> Serialize for Data<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("dataPoints", &List(self.points, |point| Of(point, self.at)))?;
        entry(&mut map, "aggregationTemporality", self.temporality.map(|temporality| temporality as u8))?;
        entry(&mut map, "isMonotonic", self.is_monotonic.then_some(true))?;
        map.end()
    }
}

/// A list, and how an item stands in it.
struct List<'a, T, F>(&'a [T], F);

impl<'a, T, V: Serialize, F: Fn(&'a T) -> V> Serialize for List<'a, T, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

/// A point, and when it was measured.
struct Of<'a, P>(&'a P, Instants);

impl<P: Point> Serialize for Of<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(point, at) = self;
        let mut map = serializer.serialize_map(None)?;
        let attributes = Some(point.attributes()).filter(|attributes| !attributes.is_empty());
        entry(&mut map, "attributes", attributes.map(AttributeList))?;
        if let Some(start) = at.start {
            map.serialize_entry("startTimeUnixNano", &Shown(format_args!("{start}")))?;
        }
        map.serialize_entry("timeUnixNano", &Shown(format_args!("{}", at.time)))?;
        point.fields(&mut map)?;
        let exemplars = Some(point.exemplars()).filter(|exemplars| !exemplars.is_empty());
        entry(&mut map, "exemplars", exemplars)?;
        map.end()
    }
}

/// A data point of any kind, and the fields that only its kind has.
trait Point {
    fn attributes(&self) -> &[KeyValue];

    fn exemplars(&self) -> &[Exemplar];

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// `NumberDataPoint`.
impl Point for NumberPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn exemplars(&self) -> &[Exemplar] {
        &self.exemplars
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        number(self.value, map)
    }
}

/// `HistogramDataPoint`.
impl Point for HistogramPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn exemplars(&self) -> &[Exemplar] {
        &self.exemplars
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        summary(self.summary, map)?;
        map.serialize_entry("bucketCounts", &counts(&self.buckets))?;
        let bounds = Some(&*self.bounds).filter(|bounds| !bounds.is_empty());
        entry(map, "explicitBounds", bounds.map(|bounds| List(bounds, |bound: &f64| Double(*bound))))
    }
}

/// `ExponentialHistogramDataPoint`.
impl Point for ExponentialPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn exemplars(&self) -> &[Exemplar] {
        &self.exemplars
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        summary(self.summary, map)?;
        entry(map, "scale", Some(self.scale).filter(|scale| *scale != 0))?;
        if self.zeros > 0 {
            map.serialize_entry("zeroCount", &Shown(format_args!("{}", self.zeros)))?;
        }
        for (key, buckets) in [("positive", &self.positive), ("negative", &self.negative)] {
            entry(map, key, Some(buckets).filter(|buckets| !buckets.counts.is_empty()))?;
        }
        Ok(())
    }
}

/// `ExponentialHistogramDataPoint.Buckets`.
impl Serialize for ExponentialBuckets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "offset", Some(self.offset).filter(|offset| *offset != 0))?;
        map.serialize_entry("bucketCounts", &counts(&self.counts))?;
        map.end()
    }
}

/// `Exemplar`.
impl Serialize for Exemplar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timeUnixNano", &Shown(format_args!("{}", self.time)))?;
        number(self.value, &mut map)?;
        map.serialize_entry("spanId", &Shown(format_args!("{:016x}", self.span_id.0)))?;
        map.serialize_entry("traceId", &Shown(format_args!("{:032x}", self.trace_id.0)))?;
        map.end()
    }
}

/// The value of a point or an exemplar.
fn number<M: SerializeMap>(value: Number, map: &mut M) -> Result<(), M::Error> {
    match value {
        Number::Float(value) => map.serialize_entry("asDouble", &Double(value)),
        Number::Int(value) => map.serialize_entry("asInt", &Shown(format_args!("{value}"))),
    }
}

fn summary<M: SerializeMap>(summary: Summary, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("count", &Shown(format_args!("{}", summary.count)))?;
    let (min, max) = summary.range.unzip();
    for (key, value) in [("sum", summary.sum), ("min", min), ("max", max)] {
        entry(map, key, value.map(Double))?;
    }
    Ok(())
}

/// The counts of buckets.
fn counts(counts: &[u64]) -> impl Serialize {
    List(counts, |count: &u64| Count(*count))
}

/// A `uint64` or `fixed64`: a JSON string.
struct Count(u64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shown(format_args!("{}", self.0)).serialize(serializer)
    }
}

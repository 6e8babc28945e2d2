//! Metrics: how the points of an instrument are encoded, what they weigh, and where they go.

mod json;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::{DecodeError, Message};
use serde::ser::SerializeMap;

use super::{Batch, PartialSuccess, Record, Signal, Spec};
use crate::telemetry::encode::Encode;
use crate::telemetry::encode::wire::{Base, Sink};
use crate::telemetry::record::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, KeyValue, MetricRecord, NumberPoint,
    Points, ResourceId, Scope,
};
use crate::telemetry::weight;

impl Record for MetricRecord {
    const SIGNAL: Signal = Signal::Metrics;
    const SPEC: Spec = Spec {
        noun: "data point",
        variable: "METRICS",
        path: "v1/metrics",
        method: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        items: points_of,
        answer,
    };

    fn weight(&self) -> usize {
        let points = match &self.points {
            Points::Gauge(points) | Points::Sum { points, .. } => {
                points.iter().map(NumberPoint::weight).sum()
            }
            Points::Histogram { points, .. } => points.iter().map(HistogramPoint::weight).sum(),
            Points::ExponentialHistogram { points, .. } => {
                points.iter().map(ExponentialPoint::weight).sum::<usize>()
            }
        };
        size_of::<Self>() + points
    }

    fn list(batch: &Batch) -> &Vec<Self> {
        &batch.metrics
    }

    fn list_mut(batch: &mut Batch) -> &mut Vec<Self> {
        &mut batch.metrics
    }
}

/// The data points of an encoded `Metric`.
fn points_of(metric: &[u8]) -> usize {
    match Metric::decode(metric).ok().and_then(|metric| metric.data) {
        None => 0,
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
    }
}

fn answer(answer: Bytes) -> Result<PartialSuccess, DecodeError> {
    let partial = ExportMetricsServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok(PartialSuccess { rejected: partial.rejected_data_points, message: partial.error_message })
}

/// `Metric`.
impl Encode for MetricRecord {
    const LISTS: [&'static str; 3] = ["resourceMetrics", "scopeMetrics", "metrics"];

    fn origin(&self) -> (ResourceId, Scope) {
        (self.resource, self.scope)
    }

    /// Its data points.
    fn items(&self) -> usize {
        self.points.len()
    }

    fn put(&self, base: Base, out: &mut impl Sink) {
        wire::put(self, base, out);
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        json::fields(self, map)
    }
}

impl MetricRecord {
    /// Keeps as many of its points as take `bytes`, and the first in any case. Returns a record of
    /// the others, if there are any. Attributes count here, although they are shared: this bounds
    /// what is sent of a record.
    pub fn split_off(&mut self, bytes: usize) -> Option<Self> {
        let points = match &mut self.points {
            Points::Gauge(points) => Points::Gauge(split(points, bytes)?),
            &mut Points::Sum { ref mut points, is_monotonic, temporality } => {
                Points::Sum { points: split(points, bytes)?, is_monotonic, temporality }
            }
            &mut Points::Histogram { ref mut points, temporality } => {
                Points::Histogram { points: split(points, bytes)?, temporality }
            }
            &mut Points::ExponentialHistogram { ref mut points, temporality } => {
                Points::ExponentialHistogram { points: split(points, bytes)?, temporality }
            }
        };
        Some(Self { instrument: Arc::clone(&self.instrument), points, ..*self })
    }
}

/// The points behind those that take `bytes`.
fn split<P: Point>(points: &mut Vec<P>, bytes: usize) -> Option<Vec<P>> {
    let mut taken = 0;
    let behind = points.iter().position(|point| {
        taken += point.weight() + weight::sum(point.attributes());
        taken > bytes
    })?;
    let kept = behind.max(1);
    (kept < points.len()).then(|| points.split_off(kept))
}

/// A data point of any kind.
trait Point {
    fn attributes(&self) -> &[KeyValue];

    /// Bytes that it takes in a list. Its attributes and bounds are shared by those of all
    /// instants, and count for none.
    fn weight(&self) -> usize;
}

impl Point for NumberPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val::<[Exemplar]>(&self.exemplars)
    }
}

impl Point for HistogramPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn weight(&self) -> usize {
        let exemplars = size_of_val::<[Exemplar]>(&self.exemplars);
        size_of::<Self>() + size_of_val::<[u64]>(&self.buckets) + exemplars
    }
}

impl Point for ExponentialPoint {
    fn attributes(&self) -> &[KeyValue] {
        &self.attributes
    }

    fn weight(&self) -> usize {
        let counts = |buckets: &ExponentialBuckets| size_of_val::<[u64]>(&buckets.counts);
        let exemplars = size_of_val::<[Exemplar]>(&self.exemplars);
        size_of::<Self>() + counts(&self.positive) + counts(&self.negative) + exemplars
    }
}

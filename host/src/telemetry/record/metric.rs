//! Metrics as the core thread leaves them (opentelemetry-proto 1.x, `metrics.proto`).

use std::sync::Arc;

use super::{KeyValue, ResourceId, Scope, Text};
use crate::context::{SpanId, TraceId};

/// All data points of one instrument of one replica, at one instant at which metrics are collected.
#[derive(Clone, Debug)]
pub struct MetricRecord {
    pub resource: ResourceId,
    pub scope: Scope,
    pub instrument: Arc<Instrument>,
    /// Since when its points count: nanoseconds since the Unix epoch. A gauge has none.
    pub start: u64,
    /// When they were collected: nanoseconds since the Unix epoch.
    pub time: u64,
    pub points: Points,
}

/// What an instrument measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// `http.server.request.duration`.
    pub name: Text,
    /// By the Unified Code for Units of Measure: `s`, `By`, `{request}`.
    pub unit: Text,
    pub description: Text,
}

/// The points of an instrument, each with attributes of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    Gauge(Vec<NumberPoint>),
    Sum { points: Vec<NumberPoint>, is_monotonic: bool, temporality: Temporality },
    Histogram { points: Vec<HistogramPoint>, temporality: Temporality },
    ExponentialHistogram { points: Vec<ExponentialPoint>, temporality: Temporality },
}

impl Points {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Gauge(points) | Self::Sum { points, .. } => points.len(),
            Self::Histogram { points, .. } => points.len(),
            Self::ExponentialHistogram { points, .. } => points.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The attributes of each point.
    pub fn attributes(&self) -> Box<dyn Iterator<Item = &Arc<[KeyValue]>> + '_> {
        match self {
            Self::Gauge(points) | Self::Sum { points, .. } => {
                Box::new(points.iter().map(|point| &point.attributes))
            }
            Self::Histogram { points, .. } => Box::new(points.iter().map(|point| &point.attributes)),
            Self::ExponentialHistogram { points, .. } => {
                Box::new(points.iter().map(|point| &point.attributes))
            }
        }
    }

    /// The exemplars of all points.
    pub fn exemplars(&mut self) -> Box<dyn Iterator<Item = &mut Exemplar> + '_> {
        match self {
            Self::Gauge(points) | Self::Sum { points, .. } => {
                Box::new(points.iter_mut().flat_map(|point| &mut point.exemplars))
            }
            Self::Histogram { points, .. } => {
                Box::new(points.iter_mut().flat_map(|point| &mut point.exemplars))
            }
            Self::ExponentialHistogram { points, .. } => {
                Box::new(points.iter_mut().flat_map(|point| &mut point.exemplars))
            }
        }
    }
}

/// `AggregationTemporality`, with its numbers: what a point counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Temporality {
    /// What was measured since it was collected last.
    Delta = 1,
    /// What was measured since the process began.
    Cumulative = 2,
}

/// A number that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
}

/// `NumberDataPoint`.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberPoint {
    pub attributes: Arc<[KeyValue]>,
    pub value: Number,
    pub exemplars: Vec<Exemplar>,
}

/// `HistogramDataPoint`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramPoint {
    pub attributes: Arc<[KeyValue]>,
    pub summary: Summary,
    /// The upper bounds of all buckets but the last, which has none. A value that is a bound
    /// belongs to the bucket below it.
    pub bounds: Arc<[f64]>,
    /// One more than there are bounds.
    pub buckets: Vec<u64>,
    pub exemplars: Vec<Exemplar>,
}

/// `ExponentialHistogramDataPoint`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialPoint {
    pub attributes: Arc<[KeyValue]>,
    pub summary: Summary,
    /// A bucket's bounds are neighbouring powers of `2^(2^-scale)`.
    pub scale: i32,
    /// Values that are zero.
    pub zeros: u64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
    pub exemplars: Vec<Exemplar>,
}

/// `ExponentialHistogramDataPoint.Buckets`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExponentialBuckets {
    /// The index of the first.
    pub offset: i32,
    pub counts: Vec<u64>,
}

/// What any histogram knows of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    pub count: u64,
    /// None where values may be negative, as the protocol asks.
    pub sum: Option<f64>,
    /// The smallest and the largest; none where none are kept.
    pub range: Option<(f64, f64)>,
}

/// A value that went into a point, and the span in which it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub value: Number,
    pub trace_id: TraceId,
    pub span_id: SpanId,
}

//! Data points, read back from OTLP JSON lines.

use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as NumberValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as ExemplarRecord, MetricsData, NumberDataPoint,
};

use super::telemetry::{Attributes, attributes, hex};

/// A data point, and what its metric and its Resource say.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    pub scope: String,
    pub metric: String,
    pub unit: String,
    pub attributes: Attributes,
    /// 0 for a gauge.
    pub start: u64,
    pub time: u64,
    pub is_delta: bool,
    pub value: Measured,
    pub exemplars: Vec<Exemplar>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    Gauge(f64),
    Sum { value: f64, is_monotonic: bool },
    Histogram(Histogram),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    /// Of explicit buckets.
    pub bounds: Vec<f64>,
    pub buckets: Vec<u64>,
    /// Of exponential ones: scale, offset and counts of positive values, and zeros.
    pub exponential: Option<(i32, i32, Vec<u64>, u64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub time: u64,
    pub value: f64,
    pub trace: String,
    pub span: String,
}

impl Point {
    /// Its value, if it has one.
    #[track_caller]
    pub fn number(&self) -> f64 {
        match self.value {
            Measured::Gauge(value) | Measured::Sum { value, .. } => value,
            Measured::Histogram(_) => panic!("{} is a histogram", self.metric),
        }
    }

    #[track_caller]
    pub fn histogram(&self) -> &Histogram {
        match &self.value {
            Measured::Histogram(histogram) => histogram,
            _ => panic!("{} is no histogram", self.metric),
        }
    }
}

/// The data points of a file, in its order.
pub fn parse(lines: &str) -> Vec<Point> {
    let mut points = Vec::new();
    for line in lines.lines().filter(|line| line.starts_with(r#"{"resourceMetrics""#)) {
        let data: MetricsData = serde_json::from_str(line).expect("a line of MetricsData");
        for group in data.resource_metrics {
            let resource = attributes(group.resource.unwrap_or_default().attributes);
            let text = |key: &str| resource[key].as_str().expect("a text").to_owned();
            for of_scope in group.scope_metrics {
                let scope = of_scope.scope.unwrap_or_default().name;
                for metric in of_scope.metrics {
                    let base = Point {
                        service: text("service.name"),
                        instance: text("service.instance.id"),
                        scope: scope.clone(),
                        metric: metric.name,
                        unit: metric.unit,
                        attributes: Attributes::new(),
                        start: 0,
                        time: 0,
                        is_delta: false,
                        value: Measured::Gauge(0.0),
                        exemplars: Vec::new(),
                    };
                    points.extend(of_metric(&base, metric.data.expect("a metric has points")));
                }
            }
        }
    }
    points
}

fn of_metric(base: &Point, data: Data) -> Vec<Point> {
    match data {
        Data::Gauge(gauge) => {
            let points = gauge.data_points.into_iter();
            points.map(|point| number(base, point, false, Measured::Gauge)).collect()
        }
        Data::Sum(sum) => {
            let is_monotonic = sum.is_monotonic;
            let value = move |value| Measured::Sum { value, is_monotonic };
            let is_delta = is_delta(sum.aggregation_temporality);
            sum.data_points.into_iter().map(|point| number(base, point, is_delta, value)).collect()
        }
        Data::Histogram(histogram) => {
            let is_delta = is_delta(histogram.aggregation_temporality);
            let point = |point: opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| Point {
                attributes: attributes(point.attributes),
                start: point.start_time_unix_nano,
                time: point.time_unix_nano,
                is_delta,
                value: Measured::Histogram(Histogram {
                    count: point.count,
                    sum: point.sum.expect("a sum"),
                    min: point.min.expect("a minimum"),
                    max: point.max.expect("a maximum"),
                    bounds: point.explicit_bounds,
                    buckets: point.bucket_counts,
                    exponential: None,
                }),
                exemplars: point.exemplars.into_iter().map(exemplar).collect(),
                ..base.clone()
            };
            histogram.data_points.into_iter().map(point).collect()
        }
        Data::ExponentialHistogram(histogram) => {
            let is_delta = is_delta(histogram.aggregation_temporality);
            let point = |point: opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint| {
                let positive = point.positive.unwrap_or_default();
                let buckets = (point.scale, positive.offset, positive.bucket_counts, point.zero_count);
                Point {
                    attributes: attributes(point.attributes),
                    start: point.start_time_unix_nano,
                    time: point.time_unix_nano,
                    is_delta,
                    value: Measured::Histogram(Histogram {
                        count: point.count,
                        sum: point.sum.expect("a sum"),
                        min: point.min.expect("a minimum"),
                        max: point.max.expect("a maximum"),
                        exponential: Some(buckets),
                        ..Histogram::default()
                    }),
                    exemplars: point.exemplars.into_iter().map(exemplar).collect(),
                    ..base.clone()
                }
            };
            histogram.data_points.into_iter().map(point).collect()
        }
        Data::Summary(_) => panic!("simhost makes no summaries"),
    }
}

fn is_delta(temporality: i32) -> bool {
    match AggregationTemporality::try_from(temporality) {
        Ok(AggregationTemporality::Delta) => true,
        Ok(AggregationTemporality::Cumulative) => false,
        other => panic!("{other:?}"),
    }
}

fn number(base: &Point, point: NumberDataPoint, is_delta: bool, value: impl Fn(f64) -> Measured) -> Point {
    Point {
        attributes: attributes(point.attributes),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        is_delta,
        value: value(match point.value.expect("a value") {
            NumberValue::AsDouble(value) => value,
            NumberValue::AsInt(value) => value as f64,
        }),
        exemplars: point.exemplars.into_iter().map(exemplar).collect(),
        ..base.clone()
    }
}

fn exemplar(exemplar: ExemplarRecord) -> Exemplar {
    Exemplar {
        time: exemplar.time_unix_nano,
        value: match exemplar.value.expect("a value") {
            ExemplarValue::AsDouble(value) => value,
            ExemplarValue::AsInt(value) => value as f64,
        },
        trace: hex(&exemplar.trace_id),
        span: hex(&exemplar.span_id),
    }
}

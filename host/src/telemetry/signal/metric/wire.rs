//! Metrics as protobuf (opentelemetry-proto 1.x, `metrics.proto`).

use crate::telemetry::encode::wire::{Base, Part, Sink};
use crate::telemetry::record::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, MetricRecord, Number, NumberPoint,
    Points, Temporality,
};

/// `Metric`.
pub fn put(record: &MetricRecord, base: Base, out: &mut impl Sink) {
    let instrument = &*record.instrument;
    out.text(1, &instrument.name);
    out.text(2, &instrument.description);
    out.text(3, &instrument.unit);
    // A gauge has no interval.
    let start = match record.points {
        Points::Gauge(_) => 0,
        _ => base.time(record.start),
    };
    let at = Instants { start, time: base.time(record.time), base };
    match &record.points {
        Points::Gauge(points) => out.part(5, &Numbers { points, of: None, at }),
        Points::Sum { points, is_monotonic, temporality } => {
            out.part(7, &Numbers { points, of: Some((*temporality, *is_monotonic)), at });
        }
        Points::Histogram { points, temporality } => {
            out.part(9, &Histogram { points, temporality: *temporality, at });
        }
        Points::ExponentialHistogram { points, temporality } => {
            out.part(10, &Histogram { points, temporality: *temporality, at });
        }
    }
}

/// When a point was measured, as seen from a base.
#[derive(Clone, Copy)]
struct Instants {
    start: u64,
    time: u64,
    base: Base,
}

impl Instants {
    fn put(self, out: &mut impl Sink) {
        out.fixed64(2, self.start);
        out.fixed64(3, self.time);
    }
}

/// `Gauge`; `Sum`, where it has a temporality and is monotonic or not.
struct Numbers<'a> {
    points: &'a [NumberPoint],
    of: Option<(Temporality, bool)>,
    at: Instants,
}

impl Part for Numbers<'_> {
    fn put(&self, out: &mut impl Sink) {
        self.points.iter().for_each(|point| out.part(1, &Of(point, self.at)));
        if let Some((temporality, is_monotonic)) = self.of {
            out.varint(2, temporality as u64);
            out.varint(3, is_monotonic.into());
        }
    }
}

/// `Histogram` and `ExponentialHistogram`, which have the same fields.
struct Histogram<'a, P> {
    points: &'a [P],
    temporality: Temporality,
    at: Instants,
}

impl<P> Part for Histogram<'_, P>
where
    for<'p> Of<'p, P>: Part,
{
    fn put(&self, out: &mut impl Sink) {
        self.points.iter().for_each(|point| out.part(1, &Of(point, self.at)));
        out.varint(2, self.temporality as u64);
    }
}

/// A point, and when it was measured.
struct Of<'a, P>(&'a P, Instants);

/// `NumberDataPoint`. Its value stands first of those that follow, whichever number it has, as
/// in what prost makes of it.
impl Part for Of<'_, NumberPoint> {
    fn put(&self, out: &mut impl Sink) {
        let &Self(point, at) = self;
        at.put(out);
        match point.value {
            Number::Float(value) => out.fixed64_always(4, value.to_bits()),
            Number::Int(value) => out.fixed64_always(6, value.cast_unsigned()),
        }
        exemplars(5, &point.exemplars, at.base, out);
        point.attributes.iter().for_each(|attribute| out.part(7, attribute));
    }
}

/// `HistogramDataPoint`.
impl Part for Of<'_, HistogramPoint> {
    fn put(&self, out: &mut impl Sink) {
        let &Self(point, at) = self;
        at.put(out);
        out.fixed64(4, point.summary.count);
        double(5, point.summary.sum, out);
        if !point.buckets.is_empty() {
            out.part(6, &Fixed(&point.buckets, |count| *count));
        }
        if !point.bounds.is_empty() {
            out.part(7, &Fixed(&point.bounds, |bound| bound.to_bits()));
        }
        exemplars(8, &point.exemplars, at.base, out);
        point.attributes.iter().for_each(|attribute| out.part(9, attribute));
        let (min, max) = point.summary.range.unzip();
        double(11, min, out);
        double(12, max, out);
    }
}

/// `ExponentialHistogramDataPoint`.
impl Part for Of<'_, ExponentialPoint> {
    fn put(&self, out: &mut impl Sink) {
        let &Self(point, at) = self;
        point.attributes.iter().for_each(|attribute| out.part(1, attribute));
        at.put(out);
        out.fixed64(4, point.summary.count);
        double(5, point.summary.sum, out);
        out.varint(6, zigzag(point.scale));
        out.fixed64(7, point.zeros);
        for (tag, buckets) in [(8, &point.positive), (9, &point.negative)] {
            if !buckets.counts.is_empty() {
                out.part(tag, buckets);
            }
        }
        exemplars(11, &point.exemplars, at.base, out);
        let (min, max) = point.summary.range.unzip();
        double(12, min, out);
        double(13, max, out);
    }
}

/// `ExponentialHistogramDataPoint.Buckets`.
impl Part for ExponentialBuckets {
    fn put(&self, out: &mut impl Sink) {
        out.varint(1, zigzag(self.offset));
        out.part(2, &Varints(&self.counts));
    }
}

fn exemplars(tag: u32, exemplars: &[Exemplar], base: Base, out: &mut impl Sink) {
    exemplars.iter().for_each(|exemplar| out.part(tag, &BasedExemplar { exemplar, base }));
}

/// An exemplar as seen from a base.
struct BasedExemplar<'a> {
    exemplar: &'a Exemplar,
    base: Base,
}

/// `Exemplar`. Where its value stands: see `NumberDataPoint`.
impl Part for BasedExemplar<'_> {
    fn put(&self, out: &mut impl Sink) {
        let Self { exemplar, base } = *self;
        out.fixed64(2, base.time(exemplar.time));
        match exemplar.value {
            Number::Float(value) => out.fixed64_always(3, value.to_bits()),
            Number::Int(value) => out.fixed64_always(6, value.cast_unsigned()),
        }
        out.bytes_always(4, &exemplar.span_id.0.get().to_be_bytes());
        out.bytes_always(5, &base.trace_id(exemplar.trace_id));
    }
}

/// An `optional double`, which is there even if it is zero.
fn double(tag: u32, value: Option<f64>, out: &mut impl Sink) {
    if let Some(value) = value {
        out.fixed64_always(tag, value.to_bits());
    }
}

/// A `sint32`: numbers near zero are short, whichever their sign.
const fn zigzag(value: i32) -> u64 {
    ((value << 1) ^ (value >> 31)).cast_unsigned() as u64
}

/// The packed values of a repeated `fixed64` or `double`, and how an item is one.
struct Fixed<'a, T>(&'a [T], fn(&T) -> u64);

impl<T> Part for Fixed<'_, T> {
    fn put(&self, out: &mut impl Sink) {
        self.0.iter().for_each(|item| out.raw(&(self.1)(item).to_le_bytes()));
    }

    fn size(&self) -> usize {
        8 * self.0.len()
    }
}

/// The packed values of a repeated `uint64`.
struct Varints<'a>(&'a [u64]);

impl Part for Varints<'_> {
    fn put(&self, out: &mut impl Sink) {
        self.0.iter().for_each(|value| out.number(*value));
    }
}

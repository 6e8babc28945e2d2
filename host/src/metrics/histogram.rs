//! What is kept for a series of a histogram.

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::env::{HistogramAggregation, TemporalityPreference};
use crate::telemetry::record::{ExponentialPoint, HistogramPoint, KeyValue, Summary};

use super::exemplars::{Candidate, Exemplars, OF_EXPONENTIAL};
use super::exponential::Exponential;
use super::settings::Settings;
use super::value::{Measured, Sum};

/// Which buckets the histograms of a run keep, and what of them leaves.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    has_explicit: bool,
    /// Exponential ones leave.
    pub is_exponential: bool,
    /// Deltas leave.
    pub is_delta: bool,
}

impl Shape {
    pub fn of(settings: &Settings) -> Self {
        let is_exponential = settings.aggregation == HistogramAggregation::Exponential;
        Self {
            has_explicit: !is_exponential || settings.is_scraped,
            is_exponential,
            is_delta: settings.temporality != TemporalityPreference::Cumulative,
        }
    }
}

/// A series of a histogram. Count, sum and explicit buckets are cumulative; the rest is of the interval
/// where deltas leave.
#[derive(Debug)]
pub struct Histogram {
    pub count: u64,
    pub sum: Sum,
    /// The smallest value and the largest.
    range: Option<(f64, f64)>,
    /// One more than there are bounds; none where only exponential ones are kept.
    pub buckets: Box<[u64]>,
    exponential: Option<Box<Exponential>>,
    /// The interval since it was collected last, where deltas leave.
    interval: Option<Box<Interval>>,
    pub exemplars: Exemplars,
}

#[derive(Debug)]
struct Interval {
    /// Count and explicit buckets at its beginning.
    count: u64,
    buckets: Box<[u64]>,
    /// Of the values in it. The difference of two sums of fractions has the errors of both.
    sum: Sum,
}

impl Histogram {
    /// Without a value yet: the first will be of the kind of `value`.
    pub fn new(shape: Shape, bounds: &[f64], value: Measured) -> Self {
        let buckets = if shape.has_explicit { bounds.len() + 1 } else { 0 };
        let (buckets, sum): (Box<[u64]>, _) = (vec![0; buckets].into(), Sum::none_of(value));
        let interval = shape.is_delta.then(|| {
            let buckets = if shape.is_exponential { Box::default() } else { buckets.clone() };
            Box::new(Interval { count: 0, buckets, sum })
        });
        let exponential = shape.is_exponential.then(Box::default);
        Self { count: 0, sum, range: None, buckets, exponential, interval, exemplars: Exemplars::default() }
    }

    /// Bytes that one with this number of bounds takes at most.
    pub const fn bytes(shape: Shape, bounds: usize) -> usize {
        let buckets = if shape.has_explicit { bounds + 1 } else { 0 };
        let (exponential, exemplars) =
            if shape.is_exponential { (Exponential::BYTES, OF_EXPONENTIAL) } else { (0, buckets) };
        let counts = buckets * size_of::<u64>();
        let interval = if shape.is_delta { size_of::<Interval>() + counts } else { 0 };
        size_of::<Self>() + counts + interval + exponential + Exemplars::bytes(exemplars)
    }

    /// Counts a value. `bounds` are those it was made with.
    #[inline]
    pub fn record(&mut self, value: Measured, bounds: &[f64], candidate: Option<Candidate>) {
        self.count += 1;
        self.sum.add(value);
        if let Some(interval) = &mut self.interval {
            interval.sum.add(value);
        }
        let value = value.as_f64();
        self.range = Some(match self.range {
            Some((least, most)) => (least.min(value), most.max(value)),
            None => (value, value),
        });
        // A value that is a bound belongs to the bucket below it.
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        match &mut self.exponential {
            Some(exponential) => {
                exponential.record(value);
                candidate.into_iter().for_each(|candidate| self.exemplars.offer(OF_EXPONENTIAL, candidate));
            }
            None => {
                let buckets = bounds.len() + 1;
                candidate
                    .into_iter()
                    .for_each(|candidate| self.exemplars.offer_to_bucket(buckets, bucket, candidate))
            }
        }
    }

    /// Its point with explicit buckets at this instant; none where a delta leaves and there was no value.
    pub fn point(
        &self,
        attributes: &Arc<[KeyValue]>,
        bounds: &Arc<[f64]>,
        is_delta: bool,
        now: Nanos,
    ) -> Option<HistogramPoint> {
        let summary = self.summary(is_delta)?;
        let buckets = match self.interval.as_ref().filter(|_| is_delta) {
            Some(interval) => {
                self.buckets.iter().zip(&interval.buckets).map(|(now, then)| now - then).collect()
            }
            None => self.buckets.to_vec(),
        };
        let exemplars = self.exemplars.sorted(now);
        let (attributes, bounds) = (Arc::clone(attributes), Arc::clone(bounds));
        Some(HistogramPoint { attributes, summary, bounds, buckets, exemplars })
    }

    /// Its point with exponential buckets at this instant; none where it keeps none, and where a delta leaves
    /// and there was no value.
    pub fn exponential_point(
        &self,
        attributes: &Arc<[KeyValue]>,
        is_delta: bool,
        now: Nanos,
    ) -> Option<ExponentialPoint> {
        let exponential = self.exponential.as_ref()?;
        let summary = self.summary(is_delta)?;
        let Exponential { scale, zeros, positive, negative } = (**exponential).clone();
        let (attributes, exemplars) = (Arc::clone(attributes), self.exemplars.sorted(now));
        Some(ExponentialPoint { attributes, summary, scale, zeros, positive, negative, exemplars })
    }

    /// Its point has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        self.exemplars.clear(now);
        let Some(interval) = &mut self.interval else { return };
        interval.count = self.count;
        interval.sum.reset();
        if !interval.buckets.is_empty() {
            interval.buckets.copy_from_slice(&self.buckets);
        }
        self.range = None;
        // Each begins at the finest scale.
        if let Some(exponential) = &mut self.exponential {
            **exponential = Exponential::default();
        }
    }

    /// Count, sum and range; none where there is no value.
    fn summary(&self, is_delta: bool) -> Option<Summary> {
        let (count, sum) = match self.interval.as_ref().filter(|_| is_delta) {
            Some(interval) => (self.count - interval.count, interval.sum),
            None => (self.count, self.sum),
        };
        let range = self.range;
        let may_shrink = range.is_some_and(|(least, _)| least < 0.0);
        (count > 0).then(|| Summary { count, sum: (!may_shrink).then(|| sum.as_f64()), range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [f64; 3] = [0.005, 0.01, 0.1];

    fn shape(is_delta: bool, is_exponential: bool) -> Shape {
        Shape { has_explicit: !is_exponential, is_exponential, is_delta }
    }

    fn record(histogram: &mut Histogram, times: &[u64]) {
        times.iter().for_each(|nanos| histogram.record(Measured::Time(*nanos), &BOUNDS, None));
    }

    fn new(shape: Shape) -> Histogram {
        Histogram::new(shape, &BOUNDS, Measured::Time(0))
    }

    #[test]
    fn a_value_that_is_a_bound_belongs_to_the_bucket_below_it() {
        let mut histogram = new(shape(false, false));
        record(&mut histogram, &[0, 5_000_000, 5_000_001, 10_000_000, 100_000_000, 100_000_001]);
        assert_eq!(*histogram.buckets, [2, 2, 1, 1]);
        let point = histogram.point(&[].into(), &BOUNDS.into(), false, 0).expect("it has values");
        assert_eq!(point.summary.range, Some((0.0, 0.100_000_001)));
        assert_eq!(point.summary.sum, Some(0.220_000_002));
    }

    #[test]
    fn deltas_add_up_to_what_is_cumulative() {
        for is_exponential in [false, true] {
            let mut delta = new(shape(true, is_exponential));
            let mut cumulative = new(shape(false, is_exponential));
            let mut sum = Summary::default();
            let intervals: [&[u64]; 4] = [&[1_000_000, 7_000_000], &[], &[90_000_000], &[1, 2, 300_000_000]];
            for times in intervals {
                record(&mut delta, times);
                record(&mut cumulative, times);
                let summary = if is_exponential {
                    delta.exponential_point(&[].into(), true, 0).map(|point| point.summary)
                } else {
                    delta.point(&[].into(), &BOUNDS.into(), true, 0).map(|point| point.summary)
                };
                assert_eq!(summary.is_none(), times.is_empty());
                delta.collected(0);
                let Some(summary) = summary else { continue };
                let longest = times.iter().max().map(|nanos| *nanos as f64 / 1e9);
                assert_eq!(summary.range.map(|(_, most)| most), longest, "of the interval alone");
                sum.count += summary.count;
                sum.sum = Some(sum.sum.unwrap_or(0.0) + summary.sum.expect("no value is negative"));
            }
            let all = cumulative.summary(false).expect("it has values");
            assert_eq!(all.count, sum.count);
            assert!((all.sum.expect("a sum") - sum.sum.expect("a sum")).abs() < 1e-12);
        }
    }

    #[test]
    fn the_sum_is_left_out_where_values_are_negative() {
        let mut histogram = Histogram::new(shape(false, true), &[], Measured::Float(0.0));
        histogram.record(Measured::Float(-2.0), &[], None);
        histogram.record(Measured::Float(3.0), &[], None);
        let point = histogram.exponential_point(&[].into(), false, 0).expect("it has values");
        assert_eq!((point.summary.sum, point.summary.range), (None, Some((-2.0, 3.0))));
    }
}

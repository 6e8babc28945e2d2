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
#[derive(Clone, Debug)]
pub struct Histogram {
    pub count: u64,
    pub sum: Sum,
    /// The smallest value and the largest.
    range: Option<(f64, f64)>,
    /// One more than there are bounds; none where only exponential ones are kept.
    pub buckets: Box<[u64]>,
    exponential: Option<Box<Exponential>>,
    /// What had left when it was collected last, where deltas leave.
    left: Option<Box<Left>>,
    pub exemplars: Exemplars,
}

#[derive(Clone, Debug)]
struct Left {
    count: u64,
    sum: Sum,
    buckets: Box<[u64]>,
}

impl Histogram {
    /// Without a value yet: the first will be of the kind of `value`.
    pub fn new(shape: Shape, bounds: &[f64], value: Measured) -> Self {
        let buckets = if shape.has_explicit { bounds.len() + 1 } else { 0 };
        let (buckets, sum): (Box<[u64]>, _) = (vec![0; buckets].into(), Sum::none_of(value));
        let left = shape.is_delta.then(|| {
            let buckets = if shape.is_exponential { Box::default() } else { buckets.clone() };
            Box::new(Left { count: 0, sum, buckets })
        });
        let exponential = shape.is_exponential.then(Box::default);
        Self { count: 0, sum, range: None, buckets, exponential, left, exemplars: Exemplars::default() }
    }

    /// Bytes that one with this number of bounds takes at most.
    pub const fn bytes(shape: Shape, bounds: usize) -> usize {
        let buckets = if shape.has_explicit { bounds + 1 } else { 0 };
        let (exponential, exemplars) =
            if shape.is_exponential { (Exponential::BYTES, OF_EXPONENTIAL) } else { (0, buckets) };
        let left = if shape.is_delta { size_of::<Left>() + buckets * size_of::<u64>() } else { 0 };
        size_of::<Self>() + buckets * size_of::<u64>() + left + exponential + Exemplars::bytes(exemplars)
    }

    /// Counts a value. `bounds` are those it was made with.
    #[inline]
    pub fn record(&mut self, value: Measured, bounds: &[f64], candidate: Option<Candidate>) {
        self.count += 1;
        self.sum.add(value);
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
                candidate.into_iter().for_each(|candidate| self.exemplars.offer_to_bucket(bucket, candidate))
            }
        }
    }

    /// Its point with explicit buckets at this instant; none where a delta leaves and there was no value.
    pub fn point(
        &mut self,
        attributes: &Arc<[KeyValue]>,
        bounds: &Arc<[f64]>,
        is_delta: bool,
        now: Nanos,
    ) -> Option<HistogramPoint> {
        let left = self.left.as_mut().filter(|_| is_delta);
        let buckets = match left {
            Some(left) => {
                let buckets = self.buckets.iter().zip(&left.buckets).map(|(now, left)| now - left).collect();
                left.buckets.clone_from(&self.buckets);
                buckets
            }
            None => self.buckets.to_vec(),
        };
        // Also where none leaves: they are of this interval.
        let exemplars = self.exemplars.take(now);
        let summary = self.leave(is_delta)?;
        let (attributes, bounds) = (Arc::clone(attributes), Arc::clone(bounds));
        Some(HistogramPoint { attributes, summary, bounds, buckets, exemplars })
    }

    /// Its point with exponential buckets at this instant; none where it keeps none, and where a delta leaves
    /// and there was no value.
    pub fn exponential_point(
        &mut self,
        attributes: &Arc<[KeyValue]>,
        is_delta: bool,
        now: Nanos,
    ) -> Option<ExponentialPoint> {
        self.exponential.as_ref()?;
        let exemplars = self.exemplars.take(now);
        let summary = self.leave(is_delta)?;
        let exponential = self.exponential.as_mut()?;
        // Each interval begins at the finest scale.
        let buckets = if is_delta { std::mem::take(&mut **exponential) } else { (**exponential).clone() };
        let Exponential { scale, zeros, positive, negative } = buckets;
        let attributes = Arc::clone(attributes);
        Some(ExponentialPoint { attributes, summary, scale, zeros, positive, negative, exemplars })
    }

    /// Count, sum and range of what leaves now.
    fn leave(&mut self, is_delta: bool) -> Option<Summary> {
        let (mut count, mut sum, range) = (self.count, self.sum, self.range);
        if let Some(left) = self.left.as_mut().filter(|_| is_delta) {
            (count, sum) = (self.count - left.count, self.sum.since(left.sum));
            (left.count, left.sum) = (self.count, self.sum);
            self.range = None;
        }
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
                let Some(summary) = summary else { continue };
                let longest = times.iter().max().map(|nanos| *nanos as f64 / 1e9);
                assert_eq!(summary.range.map(|(_, most)| most), longest, "of the interval alone");
                sum.count += summary.count;
                sum.sum = Some(sum.sum.unwrap_or(0.0) + summary.sum.expect("no value is negative"));
            }
            let all = cumulative.leave(false).expect("it has values");
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

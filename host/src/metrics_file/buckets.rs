//! Histograms of both kinds as one: how many values lie between two bounds.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::bounds::MAX_POINT_BUCKETS;
use super::left_out::Why;
use super::line::{ExponentialPoint, HistogramPoint};

/// How much of itself a bound may be off.
const ROUNDING: f64 = 1e-9;

/// A range of values, the lower bound left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
}

impl Bucket {
    /// The ends between which its values lie, if all values lie within these limits.
    const fn within(self, (least, most): (f64, f64)) -> (f64, f64) {
        let lower = if self.lower.is_finite() { self.lower.max(least) } else { least };
        let upper = if self.upper.is_finite() { self.upper.min(most) } else { most };
        (lower, upper)
    }
}

impl Eq for Bucket {}

/// By their upper bounds.
impl Ord for Bucket {
    fn cmp(&self, other: &Self) -> Ordering {
        self.upper.total_cmp(&other.upper).then(self.lower.total_cmp(&other.lower))
    }
}

impl PartialOrd for Bucket {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What is known of a quantile, if it is no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Below(f64),
    Above(f64),
}

/// How many values each bucket has; those that have none are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets(BTreeMap<Bucket, u64>);

impl Buckets {
    /// Adds the values of another, and returns how many buckets there are more.
    pub fn add(&mut self, other: &Self) -> usize {
        let before = self.0.len();
        other.0.iter().for_each(|(bucket, count)| self.put(*bucket, *count));
        self.0.len() - before
    }

    fn put(&mut self, bucket: Bucket, count: u64) {
        if count > 0 {
            let all = self.0.entry(bucket).or_default();
            *all = all.saturating_add(count);
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |all, count| all.saturating_add(*count))
    }

    /// The value below which a share of all lies, as if they were spread evenly over each bucket,
    /// and within the limits of all. Where the bucket has one end alone, that. None of no values, and of
    /// values of which nothing is known.
    pub fn quantile(&self, share: f64, limits: (f64, f64)) -> Option<f64> {
        let Place { bucket, count, rank, below } = self.place(share)?;
        let (lower, upper) = bucket.within(limits);
        match (lower.is_finite(), upper.is_finite()) {
            (true, true) => {
                let length = (upper - lower).max(0.0);
                // Rounding does not lead beyond the end.
                Some((lower + length * ((rank - below as f64) / count as f64)).min(lower + length))
            }
            (true, false) => Some(lower),
            (false, true) => Some(upper),
            (false, false) => None,
        }
    }

    /// What is known of a quantile where its bucket has one end alone, or where the least of all values may
    /// be 0 and lies in it: nobody can tell how many are 0.
    pub fn bound(&self, share: f64, limits: (f64, f64)) -> Option<Bound> {
        let Place { bucket, .. } = self.place(share)?;
        let (lower, upper) = bucket.within(limits);
        let has_zeros = bucket.lower == 0.0 && bucket.upper > 0.0 && limits.0 == 0.0 && limits.1 > 0.0;
        match (lower.is_finite(), upper.is_finite()) {
            (true, false) => Some(Bound::Above(lower)),
            (false, true) => Some(Bound::Below(upper)),
            _ if has_zeros && bucket.upper.is_finite() => Some(Bound::Below(bucket.upper)),
            _ => None,
        }
    }

    /// Where a share of all values ends. None of no values.
    fn place(&self, share: f64) -> Option<Place> {
        let rank = share * self.count() as f64;
        let mut below = 0_u64;
        let last = *self.0.keys().next_back()?;
        let within = self.0.iter().find(|(_, count)| {
            let with = below.saturating_add(**count);
            let is_within = with as f64 >= rank;
            below = if is_within { below } else { with };
            is_within
        });
        let (bucket, count) = within.map_or((last, 1), |(bucket, count)| (*bucket, *count));
        Some(Place { bucket, count, rank, below })
    }
}

/// Where a share of all values ends.
struct Place {
    bucket: Bucket,
    /// Values in it.
    count: u64,
    /// The number of values up to there.
    rank: f64,
    /// Values in the buckets before it.
    below: u64,
}

/// The values of a point, as they can be told from those of an earlier one of its series.
#[derive(Clone, Debug, PartialEq)]
pub enum BucketCounts {
    Explicit {
        bounds: Vec<f64>,
        counts: Vec<u64>,
    },
    Exponential {
        scale: i32,
        zeros: u64,
        /// How far from 0 the zeros may be.
        threshold: f64,
        positive: BTreeMap<i32, u64>,
        negative: BTreeMap<i32, u64>,
    },
}

impl TryFrom<&HistogramPoint> for BucketCounts {
    type Error = Why;

    fn try_from(point: &HistogramPoint) -> Result<Self, Why> {
        let (bounds, counts) = (point.bounds(), point.counts());
        if counts.is_empty() {
            // OTLP allows a histogram of no buckets: only its values are counted.
            return Ok(Self::Explicit { bounds: Vec::new(), counts: vec![point.summary.count()] });
        }
        let is_ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        match counts.len() {
            width if width > MAX_POINT_BUCKETS => Err(Why::Buckets),
            width
                if width == bounds.len() + 1
                    && is_ascending
                    && !bounds.iter().any(|bound| bound.is_nan()) =>
            {
                Ok(Self::Explicit { bounds, counts })
            }
            _ => Err(Why::Unfit),
        }
    }
}

impl TryFrom<&ExponentialPoint> for BucketCounts {
    type Error = Why;

    fn try_from(point: &ExponentialPoint) -> Result<Self, Why> {
        if point.positive.width() + point.negative.width() > MAX_POINT_BUCKETS {
            return Err(Why::Buckets);
        }
        Ok(Self::Exponential {
            scale: point.scale,
            zeros: point.zeros(),
            threshold: point.threshold(),
            positive: point.positive.filled().collect(),
            negative: point.negative.filled().collect(),
        })
    }
}

impl BucketCounts {
    /// The buckets that are held.
    pub fn width(&self) -> usize {
        match self {
            Self::Explicit { counts, .. } => counts.len(),
            Self::Exponential { positive, negative, .. } => positive.len() + negative.len(),
        }
    }

    /// What has come since an earlier point of the series; none where that has more of something, so
    /// that the series has begun anew.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        match (self, earlier) {
            (Self::Explicit { bounds, counts }, Self::Explicit { bounds: same, counts: before })
                if bounds == same && counts.len() == before.len() =>
            {
                let counts = counts.iter().zip(before).map(|(now, before)| now.checked_sub(*before));
                Some(Self::Explicit { bounds: bounds.clone(), counts: counts.collect::<Option<_>>()? })
            }
            (
                Self::Exponential { scale, zeros, threshold, positive, negative },
                Self::Exponential {
                    scale: was,
                    zeros: zeros_before,
                    threshold: threshold_before,
                    positive: up,
                    negative: down,
                },
            ) if was >= scale => {
                // A histogram halves its resolution as its values spread, and takes more of them for zeros.
                let widened = (threshold > threshold_before).then_some(*threshold);
                let (positive, low) = less(positive, *scale, (up, *was), widened)?;
                let (negative, high) = less(negative, *scale, (down, *was), widened)?;
                let zeros_before = zeros_before.checked_add(low)?.checked_add(high)?;
                let zeros = zeros.checked_sub(zeros_before)?;
                Some(Self::Exponential { scale: *scale, zeros, threshold: *threshold, positive, negative })
            }
            _ => None,
        }
    }

    pub fn buckets(&self) -> Buckets {
        let mut buckets = Buckets::default();
        match self {
            Self::Explicit { bounds, counts } => {
                let is_positive = bounds.first().is_some_and(|first| *first > 0.0);
                let mut lower = if is_positive { 0.0 } else { f64::NEG_INFINITY };
                let upper = bounds.iter().copied().chain([f64::INFINITY]);
                for (upper, count) in upper.zip(counts) {
                    buckets.put(Bucket { lower, upper }, *count);
                    lower = upper;
                }
            }
            Self::Exponential { scale, zeros, threshold, positive, negative } => {
                let bound = |index: i32| bound(*scale, index);
                let lower = if negative.is_empty() { 0.0 } else { -threshold };
                buckets.put(Bucket { lower, upper: *threshold }, *zeros);
                for (index, count) in positive {
                    buckets
                        .put(Bucket { lower: bound(*index), upper: bound(index.saturating_add(1)) }, *count);
                }
                for (index, count) in negative {
                    buckets.put(
                        Bucket { lower: -bound(index.saturating_add(1)), upper: -bound(*index) },
                        *count,
                    );
                }
            }
        }
        buckets
    }
}

/// Where a bucket of an exponential histogram begins. Values are finite, and so are the bounds between which
/// they lie.
fn bound(scale: i32, index: i32) -> f64 {
    let power = match index {
        0 => 0.0,
        _ => f64::from(index) * libm::exp2(-f64::from(scale)),
    };
    libm::exp2(power).min(f64::MAX)
}

/// What buckets have more than at an earlier point, which may have been finer, and how many of the values of
/// that are zeros since, where these have `widened` to a greater distance from 0. None: they have less.
fn less(
    now: &BTreeMap<i32, u64>,
    scale: i32,
    (before, was): (&BTreeMap<i32, u64>, i32),
    widened: Option<f64>,
) -> Option<(BTreeMap<i32, u64>, u64)> {
    let mut zeros = 0_u64;
    let mut before = before.clone();
    if let Some(threshold) = widened {
        // Writers take whole buckets for zeros, and may round their ends otherwise.
        let is_zero = |index: i32| bound(was, index.saturating_add(1)) <= threshold * (1.0 + ROUNDING);
        zeros = before
            .extract_if(.., |index, _| is_zero(*index))
            .fold(0, |all, (_, count)| all.saturating_add(count));
    }
    let (mut now, shift) = (now.clone(), was.saturating_sub(scale));
    for (index, count) in coarser(&before, shift) {
        let left = now.get(&index).copied().unwrap_or(0);
        // Where the distance lies within a bucket, some of its values are zeros.
        let is_split = widened.is_some_and(|threshold| bound(scale, index) < threshold);
        let gone = if is_split { count.saturating_sub(left) } else { 0 };
        zeros = zeros.saturating_add(gone);
        let left = left.checked_sub(count - gone)?;
        now.entry(index).and_modify(|count| *count = left);
    }
    Some((now, zeros))
}

/// The same counts in buckets of `2^shift` each.
fn coarser(counts: &BTreeMap<i32, u64>, shift: i32) -> BTreeMap<i32, u64> {
    let mut merged = BTreeMap::new();
    for (index, count) in counts {
        let all: &mut u64 = merged.entry(index >> shift.min(31)).or_default();
        *all = all.saturating_add(*count);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits of values of which nothing is known.
    const ANYWHERE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    fn explicit(bounds: &[f64], counts: &[u64]) -> BucketCounts {
        BucketCounts::Explicit { bounds: bounds.to_vec(), counts: counts.to_vec() }
    }

    fn exponential(scale: i32, zeros: u64, positive: &[(i32, u64)]) -> BucketCounts {
        exponential_of(scale, zeros, positive.iter().copied().collect(), BTreeMap::new())
    }

    fn exponential_of(
        scale: i32,
        zeros: u64,
        positive: BTreeMap<i32, u64>,
        negative: BTreeMap<i32, u64>,
    ) -> BucketCounts {
        BucketCounts::Exponential { scale, zeros, threshold: 0.0, positive, negative }
    }

    #[test]
    fn a_quantile_lies_in_its_bucket_and_within_the_range() {
        let buckets = explicit(&[1.0, 2.0, 4.0], &[10, 80, 0, 10]).buckets();
        assert_eq!(buckets.quantile(0.5, ANYWHERE), Some(1.5));
        assert_eq!(buckets.quantile(0.1, ANYWHERE), Some(1.0));
        assert_eq!(buckets.quantile(0.99, ANYWHERE), Some(4.0), "the last bucket has no end");
        assert_eq!(buckets.quantile(0.95, (0.5, 8.0)), Some(6.0));
        assert_eq!(buckets.quantile(0.05, (0.5, 8.0)), Some(0.75));
        assert_eq!(Buckets::default().quantile(0.5, ANYWHERE), None);
    }

    #[test]
    fn of_a_quantile_among_zeros_only_its_bound_is_known() {
        let buckets = explicit(&[0.001, 0.005], &[98, 2, 0]).buckets();
        assert_eq!(buckets.bound(0.5, (0.0, 0.0016)), Some(Bound::Below(0.001)));
        assert_eq!(buckets.bound(0.99, (0.0, 0.0016)), None, "its bucket begins above 0");
        assert_eq!(buckets.bound(0.5, (0.0002, 0.0016)), None, "no value is 0");
        assert_eq!(buckets.bound(0.5, (0.0, 0.0)), None, "all are 0");
        assert_eq!(buckets.bound(0.5, ANYWHERE), None);
        let ends = explicit(&[-1.0, 5.0], &[2, 0, 2]).buckets();
        assert_eq!(ends.bound(0.2, ANYWHERE), Some(Bound::Below(-1.0)));
        assert_eq!(ends.bound(0.9, ANYWHERE), Some(Bound::Above(5.0)));
        assert_eq!((ends.bound(0.2, (-9.0, 9.0)), ends.bound(0.9, (-9.0, 9.0))), (None, None));
        let zeros = exponential(0, 9, &[(0, 1)]).buckets();
        assert_eq!(zeros.bound(0.5, (0.0, 2.0)), None, "zeros have a bucket of their own");
    }

    #[test]
    fn zeros_are_as_far_from_zero_as_the_point_says() {
        let of = |negative| BucketCounts::Exponential {
            scale: 0,
            zeros: 4,
            threshold: 0.5,
            positive: [(0, 1)].into(),
            negative,
        };
        let buckets = of(BTreeMap::new()).buckets();
        assert_eq!(buckets.quantile(0.4, ANYWHERE), Some(0.25));
        assert_eq!(buckets.bound(0.4, (0.0, 2.0)), Some(Bound::Below(0.5)));
        assert_eq!(of([(0, 1)].into()).buckets().quantile(0.5, ANYWHERE), Some(0.0), "on both sides of 0");
    }

    #[test]
    fn one_value_is_every_quantile_of_an_exponential_histogram() {
        let buckets = exponential(20, 0, &[(613_377, 1)]).buckets();
        for share in [0.0, 0.5, 0.99] {
            let value = buckets.quantile(share, (1.5, 1.5)).unwrap();
            assert!((value - 1.5).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn zeros_and_negative_values_come_before_positive_ones() {
        let negative = [(0, 1)].into();
        let counted = exponential_of(0, 2, [(0, 1)].into(), negative);
        let buckets = counted.buckets();
        assert_eq!(buckets.quantile(0.25, ANYWHERE), Some(-1.0));
        assert_eq!(buckets.quantile(0.5, ANYWHERE), Some(0.0));
        assert_eq!(buckets.quantile(1.0, ANYWHERE), Some(2.0));
    }

    #[test]
    fn quantiles_are_finite_and_ascend_at_any_scale() {
        for scale in [i32::MIN, -20, 20, i32::MAX] {
            for offset in [i32::MIN, -1, 0, i32::MAX] {
                let negative = [(5, 7)].into();
                let positive = [(offset, 2)].into();
                let buckets = exponential_of(scale, 1, positive, negative).buckets();
                let quantiles: Vec<f64> = [0.1, 0.5, 0.75, 0.95, 1.0]
                    .iter()
                    .filter_map(|of| buckets.quantile(*of, ANYWHERE))
                    .collect();
                assert!(quantiles.len() == 5 && quantiles.is_sorted(), "{scale} {offset}: {quantiles:?}");
                assert!(quantiles.iter().all(|of| of.is_finite()), "{scale} {offset}: {quantiles:?}");
            }
        }
        let counted = BucketCounts::Explicit { bounds: Vec::new(), counts: vec![3] };
        assert_eq!(counted.buckets().quantile(0.5, ANYWHERE), None, "without buckets nothing is known");
        assert_eq!(counted.buckets().quantile(0.5, (1.0, 3.0)), Some(2.0));
    }

    #[test]
    fn values_that_have_become_zeros_have_come_before() {
        let of = |scale, zeros, threshold, positive: &[(i32, u64)], negative: &[(i32, u64)]| {
            let [positive, negative] = [positive, negative].map(|all| all.iter().copied().collect());
            BucketCounts::Exponential { scale, zeros, threshold, positive, negative }
        };
        // Up to 1/4, 1/2, 1 and 2.
        let earlier = of(0, 1, 0.0, &[(-3, 2), (-2, 3), (-1, 1), (0, 4)], &[(-2, 1), (1, 1)]);
        let now = of(0, 8, 0.5, &[(-1, 1), (0, 5)], &[(1, 1)]);
        assert_eq!(now.since(&earlier), Some(of(0, 1, 0.5, &[(-1, 0), (0, 1)], &[(1, 0)])));
        // The distance lies within a bucket: on one side its values are still counted in it.
        let within = of(0, 6, 0.3, &[(-2, 3), (-1, 1), (0, 4)], &[(-2, 0), (1, 1)]);
        assert_eq!(
            within.since(&earlier),
            Some(of(0, 2, 0.3, &[(-2, 0), (-1, 0), (0, 0)], &[(-2, 0), (1, 0)]))
        );
        // The buckets have become coarser too.
        let coarse = of(-1, 9, 0.5, &[(-1, 1), (0, 4)], &[(0, 1)]);
        assert_eq!(coarse.since(&earlier), Some(of(-1, 2, 0.5, &[(-1, 0), (0, 0)], &[(0, 0)])));
        // Fewer zeros than there were, or fewer values beyond them: the series has begun anew.
        assert_eq!(of(0, 6, 0.5, &[(-1, 1), (0, 5)], &[(1, 1)]).since(&earlier), None);
        assert_eq!(of(0, 9, 0.5, &[(-1, 1), (0, 3)], &[(1, 1)]).since(&earlier), None);
        assert_eq!(of(0, 9, 0.0, &[(-1, 1), (0, 5)], &[(1, 1)]).since(&earlier), None, "not widened");
        let finest = exponential(i32::MAX, 1, &[(0, 1)]);
        let coarsest = exponential(i32::MIN, 1, &[(0, 2)]);
        assert_eq!(coarsest.since(&finest), Some(exponential(i32::MIN, 0, &[(0, 1)])));
    }

    #[test]
    fn what_has_come_since_is_told_across_a_change_of_scale() {
        let earlier = exponential(1, 1, &[(2, 3), (3, 1), (4, 1)]);
        let now = exponential(0, 1, &[(1, 6), (2, 1)]);
        assert_eq!(now.since(&earlier), Some(exponential(0, 0, &[(1, 2), (2, 0)])));
        assert_eq!(earlier.since(&now), None, "a scale never grows");
        assert_eq!(explicit(&[1.0], &[1, 1]).since(&explicit(&[1.0], &[2, 0])), None);
        assert_eq!(
            explicit(&[1.0], &[3, 1]).since(&explicit(&[1.0], &[2, 0])),
            Some(explicit(&[1.0], &[1, 1]))
        );
    }
}

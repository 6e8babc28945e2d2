//! Exponential histograms (OpenTelemetry specification, "Metrics SDK", "Base2 Exponential Bucket Histogram
//! Aggregation"): buckets whose bounds are powers of `2^(2^-scale)`. They begin at the finest scale; when
//! values lie too far apart, neighbouring buckets are merged until there are few enough.

use crate::telemetry::record::ExponentialBuckets;

/// Buckets of positive values, and of negative ones, at most.
pub const MAX_SIZE: i64 = 160;

/// The finest scale.
pub const MAX_SCALE: i32 = 20;

/// Bits of the mantissa of an `f64`, and the bias of its exponent.
const MANTISSA_BITS: u32 = 52;
const EXPONENT_BIAS: i64 = 1023;

/// The buckets of an exponential histogram. Count, sum and range are kept beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exponential {
    pub scale: i32,
    pub zeros: u64,
    pub positive: ExponentialBuckets,
    pub negative: ExponentialBuckets,
}

impl Default for Exponential {
    fn default() -> Self {
        Self {
            scale: MAX_SCALE,
            zeros: 0,
            positive: ExponentialBuckets::default(),
            negative: ExponentialBuckets::default(),
        }
    }
}

impl Exponential {
    /// Bytes that one takes at most.
    pub const BYTES: usize = size_of::<Self>() + 2 * MAX_SIZE as usize * size_of::<u64>();

    /// Counts a finite value.
    pub fn record(&mut self, value: f64) {
        if value == 0.0 {
            self.zeros += 1;
            return;
        }
        let size = value.abs();
        let side = if value > 0.0 { &self.positive } else { &self.negative };
        let reduction = reduction(side, index(size, self.scale));
        if reduction > 0 {
            self.scale -= reduction as i32;
            downscale(&mut self.positive, reduction);
            downscale(&mut self.negative, reduction);
        }
        let at = index(size, self.scale);
        count(if value > 0.0 { &mut self.positive } else { &mut self.negative }, at);
    }
}

/// The bucket of a positive value: bucket `i` is from `base^i`, which it does not contain, to `base^(i + 1)`,
/// which it does.
fn index(value: f64, scale: i32) -> i32 {
    let bits = value.max(f64::MIN_POSITIVE).to_bits();
    let exponent = (bits >> MANTISSA_BITS) as i64 - EXPONENT_BIAS;
    let is_power = bits & ((1 << MANTISSA_BITS) - 1) == 0;
    // A power of two is a bound at every scale, exactly.
    let below = exponent - i64::from(is_power);
    if scale <= 0 {
        return (below >> -scale) as i32;
    }
    if is_power {
        return ((exponent << scale) - 1) as i32;
    }
    let factor = std::f64::consts::LOG2_E * f64::from(1_u32 << scale);
    let drawn = (libm::log(value) * factor).floor() as i64;
    // The logarithm is rounded: the value stays between its neighbouring powers of two.
    drawn.clamp(exponent << scale, ((exponent + 1) << scale) - 1) as i32
}

/// By how many scales buckets have to become coarser, so that there is room for one more.
fn reduction(buckets: &ExponentialBuckets, at: i32) -> u32 {
    let Some(last) = buckets.counts.len().checked_sub(1) else { return 0 };
    let (mut low, mut high) = (i64::from(buckets.offset), i64::from(buckets.offset) + last as i64);
    (low, high) = (low.min(at.into()), high.max(at.into()));
    let mut reduction = 0;
    while high - low >= MAX_SIZE {
        (low, high) = (low >> 1, high >> 1);
        reduction += 1;
    }
    reduction
}

/// Merges each `2^by` neighbouring buckets.
fn downscale(buckets: &mut ExponentialBuckets, by: u32) {
    if buckets.counts.is_empty() {
        return;
    }
    let offset = buckets.offset >> by;
    let last = (buckets.offset + buckets.counts.len() as i32 - 1) >> by;
    let mut counts = vec![0; (last - offset + 1) as usize];
    for (at, count) in (buckets.offset..).zip(&buckets.counts) {
        counts[((at >> by) - offset) as usize] += count;
    }
    *buckets = ExponentialBuckets { offset, counts };
}

/// Counts one in a bucket for which there is room.
fn count(buckets: &mut ExponentialBuckets, at: i32) {
    if buckets.counts.is_empty() {
        buckets.offset = at;
    }
    if at < buckets.offset {
        let more = (buckets.offset - at) as usize;
        buckets.counts.splice(0..0, std::iter::repeat_n(0, more));
        buckets.offset = at;
    }
    let place = (at - buckets.offset) as usize;
    if place >= buckets.counts.len() {
        buckets.counts.resize(place + 1, 0);
    }
    buckets.counts[place] += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds of the bucket of a value, by the definition.
    fn bounds(index: i32, scale: i32) -> (f64, f64) {
        let base = |power: i32| libm::exp2(f64::from(power) * libm::exp2(f64::from(-scale)));
        (base(index), base(index + 1))
    }

    #[test]
    fn a_value_lies_within_the_bounds_of_its_bucket_at_every_scale() {
        let values = [1e-300, 3.7e-9, 0.004_999, 0.005, 0.75, 1.0, 1.5, 2.0, 1023.9, 1024.0, 9.9e12, 1e300];
        for scale in -10..=MAX_SCALE {
            for value in values {
                let (low, high) = bounds(index(value, scale), scale);
                let near = 1e-9 * value;
                assert!(
                    low - near <= value && value <= high + near,
                    "{value} at {scale}: from {low} to {high}"
                );
            }
        }
    }

    #[test]
    fn a_power_of_two_is_the_upper_bound_of_its_bucket() {
        for scale in [0, 1, 5, 20] {
            assert_eq!(index(1.0, scale), -1);
            assert_eq!(index(2.0, scale), (1 << scale) - 1);
            assert_eq!(index(4.0, scale), (2 << scale) - 1);
        }
        assert_eq!([index(4.0, -1), index(4.1, -1), index(16.0, -1), index(16.5, -1)], [0, 1, 1, 2]);
    }

    #[test]
    fn one_value_has_one_bucket_at_the_finest_scale() {
        let mut histogram = Exponential::default();
        histogram.record(0.05);
        assert_eq!((histogram.scale, histogram.positive.counts.as_slice()), (MAX_SCALE, &[1][..]));
    }

    #[test]
    fn no_count_is_lost_when_buckets_are_merged() {
        let mut histogram = Exponential::default();
        let mut value = 1e-9;
        let mut recorded = 0;
        while value < 1e9 {
            histogram.record(value);
            histogram.record(-value);
            recorded += 1;
            value *= 1.01;
        }
        histogram.record(0.0);
        for side in [&histogram.positive, &histogram.negative] {
            assert!(side.counts.len() as i64 <= MAX_SIZE, "{} buckets", side.counts.len());
            assert_eq!(side.counts.iter().sum::<u64>(), recorded);
        }
        assert_eq!(histogram.zeros, 1);
        // 18 decades are 60 doublings: 160 buckets have room for two of each.
        assert_eq!(histogram.scale, 1);
    }

    #[test]
    fn the_scale_does_not_depend_on_the_order_of_the_values() {
        let values: Vec<f64> = (1..2_000).map(|number| f64::from(number) * 0.37).collect();
        let record = |values: &mut dyn Iterator<Item = &f64>| {
            let mut histogram = Exponential::default();
            values.for_each(|value| histogram.record(*value));
            histogram
        };
        assert_eq!(record(&mut values.iter()), record(&mut values.iter().rev()));
    }
}

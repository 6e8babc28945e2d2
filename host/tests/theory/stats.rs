//! Confidence intervals for the means of one long run, by batch means.
//!
//! What a run gives is correlated: who waits long is followed by others who do,
//! so the spread of single requests says little about the error of their mean.
//! The means of long stretches of the run, its batches, hardly depend on one
//! another, and are sums of much: they are taken for independent draws of one
//! normal distribution, and Student's t gives the interval (Law, "Simulation
//! Modeling and Analysis", section 9.5.3). The tests below hold that against a
//! process whose correlation is known.

use std::f64::consts::FRAC_2_PI;

/// How sure the intervals of the tests are. Seeds are fixed, so a test does not
/// fail now and then; when draws are moved on purpose, one comparison in a
/// thousand will.
pub const CONFIDENCE: f64 = 0.999;

/// A mean, and how far the true one may be from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub mean: f64,
    /// Half of the confidence interval.
    pub half_width: f64,
}

impl Estimate {
    /// The interval, [`CONFIDENCE`] sure, from the means of batches of equal length.
    pub fn of_batches(means: &[f64]) -> Self {
        Self::with_confidence(means, CONFIDENCE)
    }

    fn with_confidence(means: &[f64], confidence: f64) -> Self {
        let count = means.len() as f64;
        assert!(count >= 2.0, "one batch says nothing about its error");
        let mean = means.iter().sum::<f64>() / count;
        let variance = means.iter().map(|batch| (batch - mean) * (batch - mean)).sum::<f64>() / (count - 1.0);
        let quantile = student(means.len() as u32 - 1, confidence);
        Self { mean, half_width: quantile * (variance / count).sqrt() }
    }

    /// Whether `expected` lies in the interval.
    pub fn covers(&self, expected: f64) -> bool {
        (self.mean - expected).abs() <= self.half_width
    }
}

/// What a draw of Student's distribution does not exceed, in absolute value, with this probability.
fn student(freedom: u32, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e9);
    // Halved until nothing lies between.
    loop {
        let middle = (low + high) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if student_within(freedom, middle) < probability { low = middle } else { high = middle }
    }
}

/// The probability that a draw of Student's distribution lies within `-limit..limit`: finite
/// sums of cosines (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn student_within(freedom: u32, limit: f64) -> f64 {
    let angle = libm::atan(limit / f64::from(freedom).sqrt());
    let cosine = libm::cos(angle);
    // Odd degrees of freedom have the odd powers, even ones the even.
    let first = freedom % 2;
    let (mut term, mut sum) = (if first == 1 { cosine } else { 1.0 }, 0.0);
    for power in (first..=freedom.saturating_sub(2)).step_by(2) {
        sum += term;
        term *= cosine * cosine * f64::from(power + 1) / f64::from(power + 2);
    }
    if first == 1 {
        FRAC_2_PI * (angle + if freedom > 1 { libm::sin(angle) * sum } else { 0.0 })
    } else {
        libm::sin(angle) * sum
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.5} ± {:.5}", self.mean, self.half_width)
    }
}

/// The means of `count` batches of equal length; what is left over at the end is left out.
pub fn batch_means(values: &[f64], count: usize) -> Vec<f64> {
    let length = values.len() / count;
    assert!(length > 0, "{} values are less than {count} batches", values.len());
    values.chunks_exact(length).take(count).map(|batch| batch.iter().sum::<f64>() / length as f64).collect()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    const MEAN: f64 = 5.0;
    /// Of a value and the next one.
    const CORRELATION: f64 = 0.8;
    const BATCHES: usize = 30;
    const LENGTH: usize = 6_000;
    const RUNS: u64 = 1_000;

    /// A first-order autoregressive process: its mean is known, the error of an average of it too.
    fn process(seed: u64) -> Vec<f64> {
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(seed);
        // A standard normal draw, by Box and Muller.
        let mut noise = || {
            let (radius, angle): (f64, f64) = (stream.random(), stream.random());
            (-2.0 * libm::log1p(-radius)).sqrt() * libm::cos(TAU * angle)
        };
        // Begun in its steady state.
        let mut offset = noise() / f64::sqrt(1.0 - CORRELATION * CORRELATION);
        let step = |_| {
            offset = CORRELATION * offset + noise();
            MEAN + offset
        };
        (0..LENGTH).map(step).collect()
    }

    /// How many of the runs have an interval that does not cover the mean.
    fn misses(interval: impl Fn(&[f64]) -> Estimate) -> usize {
        (0..RUNS).filter(|seed| !interval(&process(*seed)).covers(MEAN)).count()
    }

    #[test]
    fn intervals_of_a_correlated_process_cover_its_mean_as_often_as_they_say() {
        let of = |confidence| misses(|run| Estimate::with_confidence(&batch_means(run, BATCHES), confidence));
        // A hundred of a thousand, give or take three standard deviations.
        let tenth = of(0.9);
        assert!((72..=128).contains(&tenth), "{tenth} of {RUNS} intervals of 90 % miss the mean");
        let thousandth = of(CONFIDENCE);
        assert!(thousandth <= 5, "{thousandth} of {RUNS} intervals of 99.9 % miss the mean");
    }

    #[test]
    fn intervals_that_take_correlated_values_for_independent_ones_are_too_narrow() {
        // Which is why there are batches: a correlation of 0.8 makes the true error three times as large.
        let naive = misses(|run| Estimate::with_confidence(run, 0.9));
        assert!((500..=680).contains(&naive), "{naive} of {RUNS} intervals miss the mean");
    }

    #[test]
    fn the_half_width_is_the_true_error_times_the_quantile_of_student() {
        let interval = |seed| Estimate::of_batches(&batch_means(&process(seed), BATCHES));
        let widths = (0..RUNS).map(|seed| interval(seed).half_width);
        let mean_square = widths.map(|width| width * width).sum::<f64>() / RUNS as f64;
        // The variance of an average of n values tends to 1 / (1 - correlation)² / n, and
        // Student's t with 29 degrees of freedom is within 3.6594 in 99.9 % of cases.
        let expected = 3.659_4 / (1.0 - CORRELATION) / f64::sqrt(LENGTH as f64);
        let found = mean_square.sqrt();
        assert!((found / expected - 1.0).abs() < 0.03, "{found}, not {expected}");
    }

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        let table = [
            (1, 0.9, 6.313_752),
            (2, 0.95, 4.302_653),
            (3, 0.99, 5.840_909),
            (4, 0.95, 2.776_445),
            (29, 0.95, 2.045_230),
            (29, 0.999, 3.659_405),
            (30, 0.999, 3.645_959),
        ];
        for (freedom, probability, expected) in table {
            let found = student(freedom, probability);
            assert!((found - expected).abs() < 1e-6, "{freedom}, {probability}: {found}, not {expected}");
        }
    }

    #[test]
    fn batches_are_of_equal_length_and_the_rest_is_left_out() {
        assert_eq!(batch_means(&[1.0, 3.0, 5.0, 7.0, 100.0], 2), [2.0, 6.0]);
        let estimate = Estimate { mean: 2.0, half_width: 0.5 };
        assert_eq!(
            [1.4, 1.5, 2.5, 2.6].map(|expected| estimate.covers(expected)),
            [false, true, true, false]
        );
    }
}

//! Random lengths of time, described as a topology describes them.

mod fields;

use crate::problem::Problem;
use crate::random;
use std::time::Duration;

/// A random length of time. [`config::distribution`](crate::config::distribution) reads one from the topology, in the
/// form that latencies and delays have there.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Fixed(Duration),
    /// The normal distribution, cut at zero.
    Normal {
        /// The middle.
        mean: Duration,
        /// How far draws usually lie from it.
        stddev: Duration,
    },
    /// What has a normal distribution as its logarithm.
    Lognormal {
        /// Half of the draws are below it.
        median: Duration,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// The time to the next event of many that are independent: without memory.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// Each length as likely as the others.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A heavy tail.
    Pareto {
        /// The shortest.
        min: Duration,
        /// The smaller, the heavier the tail.
        shape: f64,
    },
    /// Straight lines between points `(percentile, length)`, in rising order; the ends hold beyond the outer ones.
    Percentiles(Vec<(f64, Duration)>),
}

impl Distribution {
    /// Draws a length of time.
    pub fn sample(&self) -> Duration {
        // A cast from a double cuts what is too small or too large.
        Duration::from_nanos(self.draw(random::unit) as u64)
    }

    /// Nanoseconds, from a number of `unit` from 0 to below 1.
    fn draw(&self, mut unit: impl FnMut() -> f64) -> f64 {
        // Above 0, so that there is a logarithm.
        let mut share = || 1.0 - unit();
        match self {
            Self::Fixed(length) => nanos(*length),
            Self::Normal { mean, stddev } => nanos(*mean) + nanos(*stddev) * normal(share()),
            Self::Lognormal { median, sigma } => nanos(*median) * (sigma * normal(share())).exp(),
            Self::Exponential { mean } => -nanos(*mean) * share().ln(),
            Self::Uniform { min, max } => nanos(*max) - (nanos(*max) - nanos(*min)) * share(),
            Self::Pareto { min, shape } => nanos(*min) * share().powf(-1.0 / shape),
            Self::Percentiles(points) => interpolate(points, unit() * 100.0),
        }
    }

    /// Reads one from the settings below a key of the configuration, where a table is flattened: `("", "5ms")`, or
    /// `("exponential.mean", "5ms")`.
    ///
    /// # Errors
    /// What is wrong, and what to write instead. The problem's key is that of the field at fault, `exponential.mean`;
    /// there is none if the whole is at fault. [`Problem::within`] puts the key of the distribution in front of it.
    pub fn from_fields(fields: &[(String, String)]) -> Result<Self, Problem> {
        fields::read(fields)
    }
}

fn nanos(length: Duration) -> f64 {
    length.as_nanos() as f64
}

/// The value that a standard normal draw is below in this share of cases: Wichura's algorithm AS 241 (Applied
/// Statistics 37, 1988), good to 16 digits. One number makes one draw, and a larger one a larger draw.
fn normal(share: f64) -> f64 {
    const BELOW_ONE: f64 = 1.0 - f64::EPSILON / 2.0;
    let share = share.min(BELOW_ONE);
    let middle = share - 0.5;
    if middle.abs() <= 0.425 {
        return middle * ratio(&MIDDLE, 0.180625 - middle * middle);
    }
    let far = (-share.min(1.0 - share).ln()).sqrt();
    let distance = if far <= 5.0 { ratio(&SHOULDER, far - 1.6) } else { ratio(&TAIL, far - 5.0) };
    distance.copysign(middle)
}

/// The coefficients of two polynomials, the highest power first, one to be divided by the other.
type Ratio = [[f64; 8]; 2];

fn ratio(of: &Ratio, at: f64) -> f64 {
    let [above, below] = of.map(|polynomial| polynomial.iter().fold(0.0, |sum, factor| sum * at + factor));
    above / below
}

const MIDDLE: Ratio = [
    [
        2509.0809287301227,
        33_430.57558358813,
        67_265.7709270087,
        45_921.95393154987,
        13_731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ],
    [
        5226.495278852854,
        28_729.085735721943,
        39_307.89580009271,
        21_213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ],
];

const SHOULDER: Ratio = [
    [
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ],
    [
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ],
];

const TAIL: Ratio = [
    [
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ],
    [
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ],
];

fn interpolate(points: &[(f64, Duration)], percentile: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= percentile);
    match (points[..after].last(), points.get(after)) {
        (Some((from, low)), Some((to, high))) => {
            let share = (percentile - from) / (to - from);
            nanos(*low) + share * (nanos(*high) - nanos(*low))
        }
        (Some((_, length)), None) | (None, Some((_, length))) => nanos(*length),
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Evenly spread numbers in an order that has no pattern for what is drawn from them.
    fn numbers() -> impl FnMut() -> f64 {
        let mut state = 7_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn draws_have_the_mean_and_the_spread_that_the_parameters_say() {
        // The mean, and the square of the coefficient of variation.
        let cases = [
            (Distribution::Fixed(3 * MS), 3.0, 0.0),
            (Distribution::Normal { mean: 10 * MS, stddev: 2 * MS }, 10.0, 0.04),
            (Distribution::Lognormal { median: MS, sigma: 0.5 }, 1.133, 0.284),
            (Distribution::Exponential { mean: 3 * MS }, 3.0, 1.0),
            (Distribution::Uniform { min: Duration::ZERO, max: 4 * MS }, 2.0, 1.0 / 3.0),
            (Distribution::Pareto { min: MS, shape: 6.0 }, 1.2, 1.0 / 24.0),
            (Distribution::Percentiles(vec![(0.0, Duration::ZERO), (100.0, 4 * MS)]), 2.0, 1.0 / 3.0),
        ];
        for (distribution, mean, variation) in cases {
            let mut unit = numbers();
            let draws: Vec<f64> = (0..200_000).map(|_| distribution.draw(&mut unit) / 1e6).collect();
            let average = draws.iter().sum::<f64>() / draws.len() as f64;
            let square = draws.iter().map(|draw| (draw - average).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((average / mean - 1.0).abs() < 0.01, "{distribution:?}: a mean of {average}, not {mean}");
            let spread = square / average.powi(2);
            assert!((spread - variation).abs() < 0.03, "{distribution:?}: {spread}, not {variation}");
        }
    }

    #[test]
    fn the_normal_distribution_has_its_percentage_points() {
        // From tables; the algorithm has a formula of its own for each third of them.
        let points = [
            (0.5, 0.0),
            (0.841_344_746_068_542_9, 1.0),
            (0.975, 1.959_963_984_540_054),
            (0.999, 3.090_232_306_167_813_5),
            (1e-9, -5.997_807_015_007_686_5),
            (1e-15, -7.941_345_326_170_997),
        ];
        for (share, expected) in points {
            let draw = normal(share);
            assert!((draw - expected).abs() < 1e-12, "{share}: {draw}, not {expected}");
        }
        assert!(normal(1.0).is_finite() && normal(f64::MIN_POSITIVE).is_finite());
    }

    #[test]
    fn a_draw_is_never_below_zero() {
        let wild = Distribution::Normal { mean: Duration::ZERO, stddev: MS };
        assert!((0..100).any(|_| wild.sample() == Duration::ZERO));
    }

    #[test]
    fn beyond_the_outer_percentiles_the_ends_hold() {
        let inner = Distribution::Percentiles(vec![(40.0, MS), (60.0, 2 * MS)]);
        assert_eq!(inner.draw(|| 0.0), 1e6);
        assert_eq!(inner.draw(|| 0.5), 1.5e6);
        assert_eq!(inner.draw(|| 0.99), 2e6);
    }
}

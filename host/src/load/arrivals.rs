//! When the requests of an open loop are due.

use crate::model::{Arrivals, Nanos, Spacing};
use crate::rng::Key;

const SECOND: f64 = 1e9;

/// The instants of a load's requests, one after the other.
#[derive(Debug)]
pub struct Due {
    arrivals: Arrivals,
    chance: Key,
    /// Arrivals so far.
    number: u64,
    /// The instant of the last one, in the time of a process with one arrival in
    /// a unit of time.
    passed: f64,
}

impl Due {
    /// `chance` is the load's own.
    pub const fn new(arrivals: Arrivals, chance: Key) -> Self {
        Self { arrivals, chance, number: 0, passed: 0.0 }
    }

    /// Nanoseconds from the load's start to the next request; none when there is none.
    pub fn next(&mut self) -> Option<Nanos> {
        let Arrivals::Steady { rate, spacing } = self.arrivals;
        match spacing {
            Spacing::Even => self.passed = self.number as f64,
            // A unit draw is below 1, so the logarithm is finite.
            Spacing::Poisson => self.passed -= libm::log1p(-self.chance.with(self.number).unit()),
        }
        self.number += 1;
        // To the nearest: the hundredth of 100/m is due after a minute, and not a nanosecond before.
        Some(libm::round(self.passed * SECOND / rate) as Nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn instants(spacing: Spacing, rate: f64, count: usize) -> Vec<Nanos> {
        let chance = Key::new(7, Purpose::Arrival).with_name("test");
        let mut due = Due::new(Arrivals::Steady { rate, spacing }, chance);
        (0..count).map_while(|_| due.next()).collect()
    }

    #[test]
    fn a_constant_rate_is_kept_to_the_nanosecond() {
        let instants = instants(Spacing::Even, 100.0 / 60.0, 6_001);
        assert_eq!(instants[..3], [0, 600_000_000, 1_200_000_000]);
        assert_eq!(instants[6_000], 3_600_000_000_000);
    }

    #[test]
    fn gaps_of_a_poisson_process_have_mean_and_deviation_alike() {
        let instants = instants(Spacing::Poisson, 50.0, 100_001);
        let gaps: Vec<f64> = instants.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 2e7).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
        // Four standard errors: 1 / sqrt(n) of the mean, sqrt(8 / n) of the variance.
        assert!((mean - 1.0).abs() < 0.013, "{mean}");
        assert!((variance - 1.0).abs() < 0.036, "{variance}");
    }
}

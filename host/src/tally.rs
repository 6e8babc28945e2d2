//! Counting requests: how many there were, how many failed and why, how long they took.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::model::Nanos;

/// Requests of one kind: of a route, a link, a load.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Requests that came to an end, whichever.
    pub count: u64,
    /// Of those, the ones that failed, by their `error.type`.
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// The longest time that one took, exactly.
    pub longest: Nanos,
    /// All their times together: nanoseconds.
    pub total: u128,
    times: Histogram<u32>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            count: 0,
            errors: BTreeMap::new(),
            longest: 0,
            total: 0,
            // Three digits: the quantiles are within 0.1 %.
            times: Histogram::new(3).expect("three significant digits are valid"),
        }
    }
}

impl Tally {
    /// Notes a request that took `took` and, where it failed, its `error.type`.
    pub fn note(&mut self, took: Nanos, error: Option<Cow<'static, str>>) {
        self.count += 1;
        self.longest = self.longest.max(took);
        self.total += u128::from(took);
        if let Some(error) = error {
            *self.errors.entry(error).or_default() += 1;
        }
        // It grows as it must; no time of a run is too long for it.
        self.times.record(took).ok();
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The time that a share `quantile` (`0.0..=1.0`) of the requests did not exceed.
    pub fn quantile(&self, quantile: f64) -> Nanos {
        self.times.value_at_quantile(quantile).min(self.longest)
    }

    /// The mean time, in nanoseconds; 0 where there were none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total as f64 / self.count as f64 }
    }

    /// Takes in what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
        self.total += other.total;
        for (error, count) in &other.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
        self.times.add(&other.times).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tallies_merged_are_as_one_that_saw_everything() {
        let (mut all, mut parts) = (Tally::default(), [Tally::default(), Tally::default()]);
        for number in 0..1_000_u64 {
            let error = number.is_multiple_of(10).then_some(Cow::Borrowed("timeout"));
            all.note(number * 1_000, error.clone());
            parts[usize::from(number.is_multiple_of(3))].note(number * 1_000, error);
        }
        let [mut merged, other] = parts;
        merged.merge(&other);
        assert_eq!((merged.count, merged.failed(), merged.longest), (1_000, 100, 999_000));
        assert_eq!(merged.total, all.total);
        assert_eq!([0.5, 0.95, 0.99].map(|q| merged.quantile(q)), [0.5, 0.95, 0.99].map(|q| all.quantile(q)));
    }
}

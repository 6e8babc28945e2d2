//! Chance for one part of a system, from its name.

use crate::rng::{Key, Purpose};

/// Draws in a row, the same on every platform.
#[derive(Clone, Debug)]
pub struct Dice {
    key: Key,
    drawn: u64,
}

impl Dice {
    pub fn new(seed: u64, part: &str) -> Self {
        Self { key: Key::new(seed, Purpose::Generate).with_name(part), drawn: 0 }
    }

    fn next(&mut self) -> Key {
        self.drawn += 1;
        self.key.with(self.drawn)
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        self.next().unit()
    }

    /// From 0 to below `bound`, which is above 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.unit() * bound as f64) as usize
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of them, each as likely as the others.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// An index, as likely as its weight says; the last one where rounding leaves nothing.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        let found = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        found.unwrap_or(weights.len() - 1)
    }

    /// From `low` to `high`, each doubling as likely as the others.
    pub fn spread(&mut self, low: f64, high: f64) -> f64 {
        low * libm::exp(self.unit() * libm::log(high / low))
    }

    /// 1, 2, 3 …, up to `most`, each as likely as its power to minus `slope` says.
    pub fn heavy_tailed(&mut self, slope: f64, most: usize) -> usize {
        let weights: Vec<_> = (1..=most).map(|number| libm::pow(number as f64, -slope)).collect();
        1 + self.weighted(&weights)
    }

    /// The same things in another order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_tails_come_as_often_as_they_should() {
        let mut dice = Dice::new(1, "test");
        let mut counts = [0_u32; 4];
        for _ in 0..10_000 {
            counts[dice.weighted(&[1.0, 0.0, 3.0])] += 1;
        }
        assert!((2_300..2_700).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
        let mut counts = [0_u32; 5];
        for _ in 0..10_000 {
            counts[dice.heavy_tailed(2.0, 4)] += 1;
        }
        // 1, 1/4, 1/9 and 1/16 of 1.42.
        assert!((6_800..7_250).contains(&counts[1]) && (350..530).contains(&counts[4]), "{counts:?}");
    }

    #[test]
    fn a_spread_stays_between_its_ends_and_a_shuffle_loses_nothing() {
        let mut dice = Dice::new(1, "test");
        assert!((0..1_000).all(|_| (2.0..=8.0).contains(&dice.spread(2.0, 8.0))));
        let mut things: Vec<_> = (0..50).collect();
        dice.shuffle(&mut things);
        assert!(!things.is_sorted());
        things.sort_unstable();
        assert_eq!(things, (0..50).collect::<Vec<_>>());
    }
}

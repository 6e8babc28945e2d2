//! How high something stood over time: the greatest value of each interval.

use crate::model::Nanos;

use super::{INTERVALS, LENGTHS, Timeline};

/// The greatest value of a level in each interval of a [`Timeline`].
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Of [`LENGTHS`].
    length: usize,
    most: Vec<u64>,
    level: u64,
}

impl Levels {
    /// It stands at `level` from `at` on: nanoseconds from the start of the run, not before the last time.
    pub fn set(&mut self, at: Nanos, level: u64) {
        while at / LENGTHS[self.length] >= INTERVALS as u64 && self.length + 1 < LENGTHS.len() {
            self.lengthen();
        }
        let length = LENGTHS[self.length];
        let index = ((at / length) as usize).min(INTERVALS - 1);
        if index >= self.most.len() {
            // Until now it stood where it did.
            self.most.resize(index, self.level);
            self.most.push(if at.is_multiple_of(length) { level } else { self.level });
        }
        self.most[index] = self.most[index].max(level);
        self.level = level;
    }

    /// The greatest value of each of this many intervals, which are as long as those of `timeline`.
    pub fn most(&self, timeline: &Timeline, intervals: usize) -> Vec<u64> {
        let mut aligned = self.clone();
        while aligned.length < timeline.length {
            aligned.lengthen();
        }
        aligned.most.resize(intervals, aligned.level);
        aligned.most
    }

    /// Takes in the level of the same elsewhere. The greatest values need not have been at the same time.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        while self.length < other.length {
            self.lengthen();
        }
        while other.length < self.length {
            other.lengthen();
        }
        let longest = self.most.len().max(other.most.len());
        self.most.resize(longest, self.level);
        other.most.resize(longest, other.level);
        self.most.iter_mut().zip(&other.most).for_each(|(mine, theirs)| *mine += theirs);
        self.level += other.level;
    }

    fn lengthen(&mut self) {
        let several = (LENGTHS[self.length + 1] / LENGTHS[self.length]) as usize;
        let most = |of: &[u64]| of.iter().copied().max().unwrap_or(0);
        self.most = self.most.chunks(several).map(most).collect();
        self.length += 1;
    }
}

impl Timeline {
    /// Makes the intervals at least as long as those of `levels`.
    pub fn align_with(&mut self, levels: &Levels) {
        while self.length < levels.length {
            self.lengthen();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn a_level_stands_until_it_changes() {
        let mut levels = Levels::default();
        levels.set(0, 2);
        levels.set(SECOND / 4, 5);
        levels.set(SECOND / 4 + 1, 1);
        assert_eq!(levels.most(&Timeline::default(), 5), [2, 2, 5, 1, 1]);
    }

    #[test]
    fn longer_intervals_have_the_greatest_of_the_shorter_ones() {
        let mut levels = Levels::default();
        for second in 0..60 {
            levels.set(second * SECOND, if second == 30 { 9 } else { second % 3 });
        }
        let mut timeline = Timeline::default();
        timeline.align_with(&levels);
        assert_eq!(timeline.length(), SECOND);
        let most = levels.most(&timeline, 60);
        assert_eq!((most[29], most[30], most[31]), (2, 9, 1));
    }

    #[test]
    fn levels_of_two_worlds_add_up() {
        let (mut one, mut other) = (Levels::default(), Levels::default());
        one.set(0, 3);
        other.set(30 * SECOND, 4);
        let mut timeline = Timeline::default();
        one.merge(&other);
        timeline.align_with(&one);
        let most = one.most(&timeline, 31);
        assert_eq!((most[0], most[29], most[30]), (3, 3, 7), "{most:?}");
    }
}

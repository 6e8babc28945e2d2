//! How requests fared over time: counts and times by interval.
//!
//! The number of intervals is bounded ([`INTERVALS`]): a run that outlasts them
//! makes them longer, and what was counted is added up. Quantiles are within 3 %
//! ([`Sketch`]): a sketch of one interval takes some hundred bytes, so that each
//! service can have a timeline.

mod levels;

use crate::model::Nanos;

pub use levels::Levels;

/// Intervals that a timeline has at most.
pub const INTERVALS: usize = 120;

/// Lengths of an interval, in nanoseconds: from 100 ms to a day, each a multiple of
/// the one before. The last one bounds nothing: requests after its last interval are
/// counted there.
const LENGTHS: [Nanos; 14] = {
    const SECOND: Nanos = 1_000_000_000;
    const MINUTE: Nanos = 60 * SECOND;
    const HOUR: Nanos = 60 * MINUTE;
    [
        SECOND / 10,
        SECOND / 5,
        SECOND,
        2 * SECOND,
        10 * SECOND,
        30 * SECOND,
        MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        30 * MINUTE,
        HOUR,
        6 * HOUR,
        12 * HOUR,
        24 * HOUR,
    ]
};

/// Requests by the interval in which they were due or arrived.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Of [`LENGTHS`].
    length: usize,
    intervals: Vec<Interval>,
}

/// The requests of one interval that have ended.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    pub count: u64,
    /// Of those, the ones that failed.
    pub failed: u64,
    /// The times of all of them together: nanoseconds.
    total: u128,
    times: Sketch,
}

impl Timeline {
    /// Notes a request that was due or arrived `at`, nanoseconds from the start of the run,
    /// and took `took`; none for one that was never sent, and so has no time.
    pub fn note(&mut self, at: Nanos, took: Option<Nanos>, failed: bool) {
        while at / self.length() >= INTERVALS as u64 && self.length + 1 < LENGTHS.len() {
            self.lengthen();
        }
        let index = ((at / self.length()) as usize).min(INTERVALS - 1);
        if index >= self.intervals.len() {
            self.intervals.resize_with(index + 1, Interval::default);
        }
        let interval = &mut self.intervals[index];
        interval.count += 1;
        interval.failed += u64::from(failed);
        if let Some(took) = took {
            interval.total += u128::from(took);
            interval.times.note(took);
        }
    }

    /// The length of each interval: nanoseconds.
    pub const fn length(&self) -> Nanos {
        LENGTHS[self.length]
    }

    /// The intervals from the start of the run up to the last one with a request.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Makes the intervals at least as long as those of `other`.
    pub fn align(&mut self, other: &Self) {
        while self.length < other.length {
            self.lengthen();
        }
    }

    /// Makes the intervals long enough to reach to `end`: nanoseconds from the start of the run.
    pub fn reach(&mut self, end: Nanos) {
        while end.div_ceil(self.length()) > INTERVALS as u64 && self.length + 1 < LENGTHS.len() {
            self.lengthen();
        }
    }

    /// Takes in what was counted at the same time elsewhere.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        self.align(&other);
        other.align(self);
        if self.intervals.len() < other.intervals.len() {
            self.intervals.resize_with(other.intervals.len(), Interval::default);
        }
        for (mine, theirs) in self.intervals.iter_mut().zip(&other.intervals) {
            mine.merge(theirs);
        }
    }

    /// Goes on to the next length.
    fn lengthen(&mut self) {
        let several = (LENGTHS[self.length + 1] / LENGTHS[self.length]) as usize;
        self.intervals = self.intervals.chunks(several).map(Interval::sum).collect();
        self.length += 1;
    }
}

impl Interval {
    /// The time that a share `quantile` (`0.0..=1.0`) of the requests did not exceed, within
    /// 3 %: nanoseconds. None if no request of this interval has a time.
    pub fn quantile(&self, quantile: f64) -> Option<Nanos> {
        self.times.quantile(quantile)
    }

    /// The mean time of the requests that have one: nanoseconds. None if no request of this
    /// interval has a time.
    pub fn mean(&self) -> Option<f64> {
        let timed = self.times.count();
        (timed > 0).then(|| self.total as f64 / timed as f64)
    }

    /// The requests of all these intervals.
    pub fn sum(intervals: &[Self]) -> Self {
        let mut sum = Self::default();
        intervals.iter().for_each(|interval| sum.merge(interval));
        sum
    }

    /// Takes in the requests of another interval.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.failed += other.failed;
        self.total += other.total;
        self.times.merge(&other.times);
    }
}

/// Times in buckets whose width is a sixteenth of the power of two below them: the middle
/// of a bucket is within 3 % of all that is in it. Only the buckets between the shortest and
/// the longest time take memory.
#[derive(Clone, Debug, Default)]
struct Sketch {
    /// The number of the first bucket in `counts`.
    first: u16,
    counts: Vec<u32>,
    /// The shortest time and the longest, where there are any: no quantile is beyond them.
    range: (Nanos, Nanos),
}

/// Buckets for each power of two, as a power of two.
const FINE: u32 = 4;

/// Times below this many nanoseconds, as a power of two, share the first bucket.
const SHORTEST: u32 = 10;

impl Sketch {
    fn note(&mut self, time: Nanos) {
        let bucket = bucket(time);
        self.widen((time, time));
        self.make_room(bucket, bucket);
        let count = &mut self.counts[usize::from(bucket - self.first)];
        *count = count.saturating_add(1);
    }

    /// How many times there are.
    fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    fn quantile(&self, quantile: f64) -> Option<Nanos> {
        let rank = ((quantile * self.count() as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        let (shortest, longest) = self.range;
        found.map(|index| middle(self.first + index as u16).clamp(shortest, longest))
    }

    /// To be called before there is room for what it is widened for.
    fn widen(&mut self, (shortest, longest): (Nanos, Nanos)) {
        let (least, most) = if self.counts.is_empty() { (shortest, longest) } else { self.range };
        self.range = (least.min(shortest), most.max(longest));
    }

    fn merge(&mut self, other: &Self) {
        let Some(more) = other.counts.len().checked_sub(1) else { return };
        self.widen(other.range);
        self.make_room(other.first, other.first + more as u16);
        let offset = usize::from(other.first - self.first);
        for (mine, theirs) in self.counts[offset..].iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// Makes the buckets from `low` to `high` exist.
    fn make_room(&mut self, low: u16, high: u16) {
        if self.counts.is_empty() {
            self.first = low;
        }
        if low < self.first {
            let missing = usize::from(self.first - low);
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = low;
        }
        let wanted = usize::from(high - self.first) + 1;
        if wanted > self.counts.len() {
            self.counts.resize(wanted, 0);
        }
    }
}

fn bucket(time: Nanos) -> u16 {
    let Some(power) = time.checked_ilog2().filter(|power| *power >= SHORTEST) else { return 0 };
    let within = (time >> (power - FINE)) & ((1 << FINE) - 1);
    (1 + (u64::from(power - SHORTEST) << FINE) + within) as u16
}

/// The middle of a bucket: nanoseconds.
fn middle(bucket: u16) -> Nanos {
    let Some(bucket) = bucket.checked_sub(1) else { return 1 << (SHORTEST - 1) };
    let power = SHORTEST + (u32::from(bucket) >> FINE);
    let within = u64::from(bucket) & ((1 << FINE) - 1);
    let width = 1 << (power - FINE);
    (1 << power) + within * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn quantiles_of_an_interval_are_within_3_percent() {
        let mut timeline = Timeline::default();
        (1..=1_000).for_each(|number| timeline.note(0, Some(number * 1_000_000), false));
        for quantile in [0.01, 0.5, 0.95, 1.0] {
            let (exact, found) = (quantile * 1e9, timeline.intervals()[0].quantile(quantile).unwrap() as f64);
            assert!((found - exact).abs() <= 0.032 * exact, "{found} for {exact}");
        }
        for time in (0..64).map(|power| 1_u64 << power).chain([u64::MAX]) {
            let off = middle(bucket(time)).abs_diff(time) as f64;
            assert!(time < 1 << SHORTEST || off <= 0.032 * time as f64, "{time}");
        }
    }

    #[test]
    fn no_quantile_of_an_interval_is_beyond_its_times() {
        for times in [[0, 0], [371, 489], [1_030, 1_030], [38_800_000, 38_900_000]] {
            let mut timeline = Timeline::default();
            times.iter().for_each(|took| timeline.note(0, Some(*took), false));
            let mut interval = Interval::sum(timeline.intervals());
            interval.merge(&Interval::default());
            for quantile in [0.0, 0.5, 0.95, 1.0] {
                let found = interval.quantile(quantile).expect("it has times");
                assert!((times[0]..=times[1]).contains(&found), "{found} for {times:?}");
            }
        }
    }

    #[test]
    fn a_timeline_that_is_full_has_longer_intervals_and_the_same_requests() {
        let mut timeline = Timeline::default();
        let lengths: Vec<_> = (0..7_200)
            .map(|second| {
                timeline.note(second * SECOND, Some(SECOND), second % 2 == 0);
                timeline.length() / (SECOND / 10)
            })
            .collect();
        assert_eq!([lengths[11], lengths[12], lengths[30], lengths[7_199]], [1, 2, 10, 600]);
        let intervals = timeline.intervals();
        assert_eq!(intervals.len(), INTERVALS);
        assert!(intervals.iter().all(|interval| (interval.count, interval.failed) == (60, 30)));
    }

    #[test]
    fn two_timelines_merged_are_as_one_that_saw_everything() {
        let (mut all, mut short, mut long) = <(Timeline, Timeline, Timeline)>::default();
        for second in 0..600_u64 {
            let took = Some((second + 1) * 1_000_000);
            all.note(second * SECOND, took, second < 100);
            let part = if second < 3 { &mut short } else { &mut long };
            part.note(second * SECOND, took, second < 100);
        }
        for merged in [(&short, &long), (&long, &short)].map(|(one, other)| {
            let mut one = one.clone();
            one.merge(other);
            one
        }) {
            assert_eq!(merged.length(), all.length());
            let of = |timeline: &Timeline| -> Vec<_> {
                let intervals = timeline.intervals().iter();
                intervals.map(|one| (one.count, one.failed, one.quantile(0.5), one.quantile(0.95))).collect()
            };
            assert_eq!(of(&merged), of(&all));
        }
    }

    #[test]
    fn a_request_without_a_time_is_counted_and_has_none() {
        let mut timeline = Timeline::default();
        timeline.note(5 * SECOND / 10, None, true);
        let last = timeline.intervals().last().unwrap();
        assert_eq!(
            (timeline.intervals().len(), last.count, last.failed, last.quantile(0.5), last.mean()),
            (6, 1, 1, None, None)
        );
        timeline.note(5 * SECOND / 10, Some(8_000_000), false);
        assert_eq!(timeline.intervals().last().unwrap().mean(), Some(8_000_000.0));
    }
}
